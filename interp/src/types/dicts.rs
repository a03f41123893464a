//! `dict`: methods and constructor.
use super::chain::chain;
use super::gather::{gather, give_back, Then};
use super::hook;
use super::lists::{finish, split_class};
use super::quick;
use super::stepwise;
use super::support::{fail, release_all, unpack, unwrap};
use super::tables::{are_small, Entries, FillDict, Listed, Merge};
use crate::heap::{Builtin, Dict, IterMode, Outcome, Style, Value};
use crate::vm::native::{value, Args, NativeDef, NativeReturn, Resume, ANY};
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
    if !are_small(vm, &[Value::Dict(dict)]) {
        let copy = vm.heap.new_dict();
        let result = vm.heap.share(Value::Dict(copy));
        let merge = Merge::new(vm, copy, dict, result);
        return stepwise::start(vm, merge);
    }
    value(Value::Dict(copy_of(vm, dict)?))
}

fn fromkeys(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let item = args.get(1).unwrap_or(Value::None);
    if let keys @ (Value::List(_) | Value::Tuple(_)) = args.positional[0] {
        if are_small(vm, &[keys]) {
            return value(Value::Dict(dict_of_keys(vm, keys, item)?));
        }
    }
    vm.heap.retain(item);
    let dict = vm.heap.new_dict();
    let result = vm.heap.share(Value::Dict(dict));
    gather(vm, args.positional[0], Fill { dict, entries: Entries::Keys(item), keywords: Vec::new(), result })
}

/// A dict with the items of a small list or tuple as keys, all with the same value: owned. Borrows both.
fn dict_of_keys(vm: &mut Vm, keys: Value, item: Value) -> Outcome<Dict> {
    let dict = vm.heap.new_dict();
    let mut at = 0;
    loop {
        let key = match keys {
            Value::List(list) => vm.heap.list(list).get(at),
            Value::Tuple(tuple) => vm.heap.tuple(tuple).get(at),
            _ => None,
        };
        let Some(&key) = key else { break };
        at += 1;
        vm.heap.retain(item);
        if let Err(raised) = vm.heap.dict_set(dict, key, item) {
            vm.heap.release(Value::Dict(dict));
            return Err(raised);
        }
    }
    vm.spend(at / 4);
    Ok(dict)
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
    if !are_small(vm, &[Value::Dict(dict)]) {
        let listed = Listed::new(vm, dict, mode);
        return stepwise::start(vm, listed);
    }
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
                let (key, item) = (vm.heap.share(entry.key), vm.heap.share(entry.value));
                vm.heap.new_pair(key, item)
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

/// Pairs up to which a dict is filled in one go.
const FEW: usize = 4096;

/// What `dict(…)` and `update` do with their arguments. Takes `dict` and `result` (what they give) over, borrows the
/// rest.
fn merge(
    vm: &mut Vm,
    name: &str,
    dict: Dict,
    given: &[Value],
    args: &Args<'_>,
    result: Value,
) -> NativeReturn {
    let keywords = args.keywords.iter().map(|&(key, item)| (Value::Str(key), item));
    let keywords: Vec<(Value, Value)> = keywords.collect();
    for &(key, item) in &keywords {
        vm.heap.retain(key);
        vm.heap.retain(item);
    }
    let fill = Fill { dict, entries: Entries::Pairs, keywords, result };
    if let Err(raised) = unpack(vm, name, given.len(), 0, 1) {
        return Err(fill.failed(vm, raised));
    }
    let Some(&source) = given.first() else { return fill.end(vm) };
    if let Value::List(list) = source {
        let count = vm.heap.list(list).len();
        if count <= FEW {
            let items = match hook::collect(vm, source) {
                Ok(items) => items,
                Err(raised) => return Err(fill.failed(vm, raised)),
            };
            vm.spend(count / 4);
            let merged = merge_pairs(vm, dict, &items, 0);
            release_all(&mut vm.heap, items);
            return match merged {
                Ok(()) => fill.end(vm),
                Err(raised) => Err(fill.failed(vm, raised)),
            };
        }
    }
    match vm.as_dict(unwrap(&vm.heap, source)) {
        None => gather(vm, source, fill),
        Some(other) if other == dict => fill.end(vm),
        Some(other) if are_small(vm, &[Value::Dict(other)]) => match merge_dict(vm, dict, other) {
            Ok(()) => fill.end(vm),
            Err(raised) => Err(fill.failed(vm, raised)),
        },
        Some(other) => {
            vm.heap.retain(Value::Dict(dict));
            let merge = Merge::new(vm, dict, other, Value::None);
            let flow = stepwise::start(vm, merge);
            chain(vm, flow, Box::new(fill))
        }
    }
}

/// A dict that is being filled; all owned.
struct Fill {
    dict: Dict,
    entries: Entries,
    /// Keyword arguments, which come last.
    keywords: Vec<(Value, Value)>,
    result: Value,
}

impl Fill {
    fn end(mut self, vm: &mut Vm) -> NativeReturn {
        while !self.keywords.is_empty() {
            let (key, item) = self.keywords.remove(0);
            let done = vm.heap.dict_set(self.dict, key, item);
            vm.heap.release(key);
            if let Err(raised) = done {
                return Err(self.failed(vm, raised));
            }
        }
        vm.heap.release(Value::Dict(self.dict));
        if let Entries::Keys(item) = self.entries {
            vm.heap.release(item);
        }
        value(self.result)
    }
}

impl Then for Fill {
    fn go(self, vm: &mut Vm, items: Vec<Value>) -> NativeReturn {
        vm.heap.retain(Value::Dict(self.dict));
        let entries = self.entries;
        if let Entries::Keys(item) = entries {
            vm.heap.retain(item);
        }
        let fill = FillDict { target: self.dict, items, at: 0, entries, result: Value::None };
        let flow = stepwise::start(vm, fill);
        chain(vm, flow, Box::new(self))
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::Dict(self.dict));
        if let Entries::Keys(item) = self.entries {
            visit(item);
        }
        for &(key, item) in &self.keywords {
            visit(key);
            visit(item);
        }
        visit(self.result);
    }
}

impl Resume for Fill {
    fn resume(self: Box<Self>, vm: &mut Vm, _: Value) -> NativeReturn {
        self.end(vm)
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        give_back(*self, vm);
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        self.owned(visit);
    }
}

fn merge_dict(vm: &mut Vm, dict: Dict, other: Dict) -> Outcome<()> {
    if dict == other {
        return Ok(());
    }
    if vm.heap.dicts[dict].table.is_empty() && !vm.heap.dicts[other].table.is_empty() {
        // An empty dict becomes a copy, index and all.
        let copy = copy_of(vm, other)?;
        vm.heap.swap_dicts(dict, copy);
        vm.heap.release(Value::Dict(copy));
        return Ok(());
    }
    for at in 0..vm.heap.dicts[other].table.slots().len() {
        let Some(&entry) = vm.heap.dicts[other].table.slots().get(at) else { break };
        if !entry.key.is_unset() {
            let item = vm.heap.share(entry.value);
            vm.heap.dict_set_hashed(dict, entry.hash, entry.key, item)?;
        }
    }
    vm.spend(vm.heap.dicts[other].table.len() / 4);
    Ok(())
}

/// Sets a key for each pair from a position on.
pub(super) fn merge_pairs(vm: &mut Vm, dict: Dict, pairs: &[Value], from: usize) -> Outcome<()> {
    for (at, &pair) in pairs.iter().enumerate().skip(from) {
        let plain = match pair {
            Value::Tuple(tuple) => <[Value; 2]>::try_from(vm.heap.tuple(tuple)).ok(),
            Value::List(list) => <[Value; 2]>::try_from(vm.heap.list(list)).ok(),
            _ => None,
        };
        if let Some([key, item]) = plain {
            vm.heap.retain(item);
            vm.heap.dict_set(dict, key, item)?;
            continue;
        }
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
    vm.heap.retain(Value::Dict(dict));
    merge(vm, "update", dict, &args.positional[1..], &args, Value::None)
}

fn init(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let dict = this(vm, &args)?;
    vm.heap.retain(Value::Dict(dict));
    merge(vm, "dict", dict, &args.positional[1..], &args, Value::None)
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
        let result = vm.heap.share(Value::Dict(dict));
        return merge(vm, "dict", dict, given, &args, result);
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
    NativeDef::method("get", 0, ANY, get).quickly(quick::dict_get),
    NativeDef::method("has_key", 1, 1, has_key).quickly(quick::has_key),
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
