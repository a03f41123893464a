//! `dict`: methods and constructor.
use super::hook;
use super::lists::{finish, split_class};
use super::support::{fail, release_all, unpack, unwrap};
use crate::heap::{Builtin, Dict, IterMode, Outcome, Style, Value};
use crate::vm::native::{value, Args, NativeDef, NativeReturn, ANY};
use crate::vm::Vm;

#[inline]
fn this(vm: &mut Vm, args: &Args<'_>) -> Outcome<Dict> {
    match args.get(0).map(|object| unwrap(&vm.heap, object)) {
        Some(Value::Dict(dict)) => Ok(dict),
        _ => fail(vm, Builtin::TypeError, "descriptor requires a 'dict' object"),
    }
}

fn clear(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let dict = this(vm, &args)?;
    vm.heap.dict_clear(dict);
    value(Value::None)
}

/// A copy of a dict: owned.
pub fn copy_of(vm: &mut Vm, dict: Dict) -> Outcome<Dict> {
    let size = vm.heap.dicts[dict].table.outside();
    vm.heap.make_room(size)?;
    vm.spend(vm.heap.dicts[dict].table.len() / 8);
    let table = vm.heap.dicts[dict].table.clone();
    for entry in table.iter() {
        let (key, item) = (entry.key, entry.value);
        vm.heap.retain(key);
        vm.heap.retain(item);
    }
    Ok(vm.heap.new_dict_from(table))
}

fn copy(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let dict = this(vm, &args)?;
    value(Value::Dict(copy_of(vm, dict)?))
}

fn fromkeys(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let item = args.get(1).unwrap_or(Value::None);
    let keys = hook::collect(vm, args.positional[0])?;
    let dict = vm.heap.new_dict();
    let mut outcome = Ok(());
    for &key in &keys {
        let item = vm.heap.share(item);
        outcome = vm.heap.dict_set(dict, key, item);
        if outcome.is_err() {
            break;
        }
    }
    release_all(&mut vm.heap, keys);
    match outcome {
        Ok(()) => value(Value::Dict(dict)),
        Err(raised) => {
            vm.heap.release(Value::Dict(dict));
            Err(raised)
        }
    }
}

fn get(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    unpack(vm, "get", args.positional.len() - 1, 1, 2)?;
    let dict = this(vm, &args)?;
    let found = vm.heap.dict_get(dict, args.positional[1])?;
    let found = found.or(args.get(2)).unwrap_or(Value::None);
    value(vm.heap.share(found))
}

fn has_key(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let dict = this(vm, &args)?;
    let found = vm.heap.dict_get(dict, args.positional[1])?;
    value(Value::bool(found.is_some()))
}

fn listed(vm: &mut Vm, args: &Args<'_>, mode: IterMode) -> NativeReturn {
    let dict = this(vm, args)?;
    let count = vm.heap.dicts[dict].table.len();
    let each = if mode == IterMode::Pairs { 88 } else { 16 };
    vm.heap.make_room(count.saturating_mul(each))?;
    vm.spend(count / 8);
    let mut items = Vec::with_capacity(count);
    for at in 0..vm.heap.dicts[dict].table.slots().len() {
        let entry = vm.heap.dicts[dict].table.slots()[at];
        if entry.key.is_unset() {
            continue;
        }
        items.push(match mode {
            IterMode::Items => vm.heap.share(entry.key),
            IterMode::Values => vm.heap.share(entry.value),
            IterMode::Pairs => {
                let pair = [vm.heap.share(entry.key), vm.heap.share(entry.value)];
                vm.heap.new_tuple(&pair)
            }
        });
    }
    value(vm.heap.new_list(items))
}

fn keys(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    listed(vm, &args, IterMode::Items)
}

fn values(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    listed(vm, &args, IterMode::Values)
}

fn items(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    listed(vm, &args, IterMode::Pairs)
}

fn iterated(vm: &mut Vm, args: &Args<'_>, mode: IterMode) -> NativeReturn {
    let dict = this(vm, args)?;
    let source = vm.heap.share(Value::Dict(dict));
    value(vm.heap.new_iter(source, mode))
}

fn iterkeys(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    iterated(vm, &args, IterMode::Items)
}

fn itervalues(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    iterated(vm, &args, IterMode::Values)
}

fn iteritems(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    iterated(vm, &args, IterMode::Pairs)
}

fn viewed(vm: &mut Vm, args: &Args<'_>, mode: IterMode) -> NativeReturn {
    let dict = this(vm, args)?;
    let source = vm.heap.share(Value::Dict(dict));
    value(vm.heap.new_view(source, mode))
}

fn viewkeys(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    viewed(vm, &args, IterMode::Items)
}

fn viewvalues(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    viewed(vm, &args, IterMode::Values)
}

fn viewitems(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    viewed(vm, &args, IterMode::Pairs)
}

/// Raises KeyError with the key itself.
pub(super) fn key_error<T>(vm: &mut Vm, key: Value) -> Outcome<T> {
    let key = vm.heap.share(key);
    Err(vm.heap.raise_with(Builtin::KeyError.class(), &[key]))
}

fn pop(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    unpack(vm, "pop", args.positional.len() - 1, 1, 2)?;
    let dict = this(vm, &args)?;
    let key = args.positional[1];
    match vm.heap.dict_remove(dict, key)? {
        Some(item) => value(item),
        None => match args.get(2) {
            Some(default) => value(vm.heap.share(default)),
            None => key_error(vm, key),
        },
    }
}

fn popitem(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let dict = this(vm, &args)?;
    let Some(entry) = vm.heap.dicts[dict].table.iter().next_back().copied() else {
        return fail(vm, Builtin::KeyError, "popitem(): dictionary is empty");
    };
    vm.heap.retain(entry.key);
    let item = match vm.heap.dict_remove(dict, entry.key)? {
        Some(item) => item,
        None => Value::None,
    };
    value(vm.heap.new_tuple(&[entry.key, item]))
}

fn setdefault(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    unpack(vm, "setdefault", args.positional.len() - 1, 1, 2)?;
    let dict = this(vm, &args)?;
    let key = args.positional[1];
    if let Some(found) = vm.heap.dict_get(dict, key)? {
        return value(vm.heap.share(found));
    }
    let default = args.get(2).unwrap_or(Value::None);
    let stored = vm.heap.share(default);
    vm.heap.dict_set(dict, key, stored)?;
    value(vm.heap.share(default))
}

/// What `dict(…)` and `update` do with their arguments. Borrows all.
fn merge(vm: &mut Vm, name: &str, dict: Dict, given: &[Value], args: &Args<'_>) -> Outcome<()> {
    unpack(vm, name, given.len(), 0, 1)?;
    if let Some(&source) = given.first() {
        match unwrap(&vm.heap, source) {
            Value::Dict(other) => merge_dict(vm, dict, other)?,
            Value::SafeDict(safe) => {
                let other = vm.heap.safe_dicts[safe].dict;
                merge_dict(vm, dict, other)?;
            }
            _ => {
                let pairs = hook::collect(vm, source)?;
                let outcome = merge_pairs(vm, dict, &pairs);
                release_all(&mut vm.heap, pairs);
                outcome?;
            }
        }
    }
    for &(key, item) in args.keywords {
        let item = vm.heap.share(item);
        vm.heap.dict_set(dict, Value::Str(key), item)?;
    }
    Ok(())
}

fn merge_dict(vm: &mut Vm, dict: Dict, other: Dict) -> Outcome<()> {
    if dict == other {
        return Ok(());
    }
    for at in 0..vm.heap.dicts[other].table.slots().len() {
        let Some(&entry) = vm.heap.dicts[other].table.slots().get(at) else { break };
        if !entry.key.is_unset() {
            let item = vm.heap.share(entry.value);
            vm.heap.dict_set(dict, entry.key, item)?;
        }
    }
    vm.spend(vm.heap.dicts[other].table.len() / 4);
    Ok(())
}

fn merge_pairs(vm: &mut Vm, dict: Dict, pairs: &[Value]) -> Outcome<()> {
    for (at, &pair) in pairs.iter().enumerate() {
        let parts = match hook::collect(vm, pair) {
            Ok(parts) => parts,
            Err(raised) => {
                let exception = vm.heap.peek_raised(&raised);
                if vm.heap.is_instance(exception, Builtin::TypeError.class()) {
                    let text =
                        format!("cannot convert dictionary update sequence element #{at} to a sequence");
                    return fail(vm, Builtin::TypeError, text);
                }
                return Err(raised);
            }
        };
        let [key, item] = parts[..] else {
            let length = parts.len();
            release_all(&mut vm.heap, parts);
            let text = format!("dictionary update sequence element #{at} has length {length}; 2 is required");
            return fail(vm, Builtin::ValueError, text);
        };
        let outcome = vm.heap.dict_set(dict, key, item);
        vm.heap.release(key);
        outcome?;
    }
    Ok(())
}

fn update(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let dict = this(vm, &args)?;
    merge(vm, "update", dict, &args.positional[1..], &args)?;
    value(Value::None)
}

fn init(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let dict = this(vm, &args)?;
    merge(vm, "dict", dict, &args.positional[1..], &args)?;
    value(Value::None)
}

fn show(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let dict = this(vm, &args)?;
    super::repr(vm, Value::Dict(dict))
}

/// `dict(…)`
pub fn construct(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let (class, given) = split_class(vm, &args)?;
    let dict = vm.heap.new_dict();
    if vm.heap.classes[class].style == Style::Builtin {
        if let Err(raised) = merge(vm, "dict", dict, given, &args) {
            vm.heap.release(Value::Dict(dict));
            return Err(raised);
        }
    }
    finish(vm, class, Value::Dict(dict))
}

/// `iterator.next()`
fn next(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let mut iteration = vm.iterate(args.get(0).unwrap_or(Value::None))?;
    let item = vm.next(&mut iteration);
    let item = match item {
        Ok(Some(item)) => {
            vm.finish(iteration);
            item
        }
        Ok(None) => return Err(vm.heap.raise_bare(Builtin::StopIteration)),
        Err(raised) => return Err(raised),
    };
    value(item)
}

/// Methods of iterators over dicts.
pub const ITERATOR_METHODS: &[NativeDef] = &[NativeDef::method("next", 0, 0, next)];

/// Methods of `dict`.
pub const METHODS: &[NativeDef] = &[
    NativeDef::method("clear", 0, 0, clear),
    NativeDef::method("copy", 0, 0, copy),
    NativeDef::function("fromkeys", 1, 2, fromkeys),
    NativeDef::method("get", 0, ANY, get),
    NativeDef::method("has_key", 1, 1, has_key),
    NativeDef::method("items", 0, 0, items),
    NativeDef::method("iteritems", 0, 0, iteritems),
    NativeDef::method("iterkeys", 0, 0, iterkeys),
    NativeDef::method("itervalues", 0, 0, itervalues),
    NativeDef::method("keys", 0, 0, keys),
    NativeDef::method("pop", 0, ANY, pop),
    NativeDef::method("popitem", 0, 0, popitem),
    NativeDef::method("setdefault", 0, ANY, setdefault),
    NativeDef::method("update", 0, ANY, update).with_keywords(),
    NativeDef::method("values", 0, 0, values),
    NativeDef::method("viewitems", 0, 0, viewitems),
    NativeDef::method("viewkeys", 0, 0, viewkeys),
    NativeDef::method("viewvalues", 0, 0, viewvalues),
    NativeDef::method("__init__", 0, ANY, init).with_keywords(),
    NativeDef::method("__repr__", 0, 0, show),
];
