//! `SafeDict`: a dict whose keys are strings that a program may use as names.
//!
//! Subscripts, `in`, `len`, iteration and comparison are the machine's; it
//! asks [`check_key`] about every key. Here are the constructor and methods.

use crate::check::names;
use crate::heap::{Builtin, Dict, Heap, IterMode, Outcome, Value};
use crate::types::kernel::strrepr;
use crate::vm::native::{value, Args, NativeDef, NativeReturn};
use crate::vm::Vm;

const NOT_TEXT: &str = "'SafeDict' keys must be of string type!";

/// Refuses a key that is no string (TypeError) or no name a program may use
/// (ValueError). Borrows it.
pub fn check_key(heap: &mut Heap, key: Value) -> Outcome<()> {
    let Value::Str(text) = key else { return Err(heap.raise(Builtin::TypeError, NOT_TEXT)) };
    if names::refused(heap.bytes(text)).is_none() {
        return Ok(());
    }
    let message = unsafe_key(heap.bytes(text));
    Err(heap.raise_bytes(Builtin::ValueError.class(), &message))
}

fn unsafe_key(key: &[u8]) -> Vec<u8> {
    [&b"Unsafe key: "[..], &strrepr::repr(key)].concat()
}

/// Why the first bad key of a dict is refused.
pub fn refused_key(heap: &Heap, dict: Dict) -> Option<Vec<u8>> {
    heap.dicts[dict].table.iter().find_map(|entry| match entry.key {
        Value::Str(text) if names::refused(heap.bytes(text)).is_none() => None,
        Value::Str(text) => Some(unsafe_key(heap.bytes(text))),
        _ => Some(NOT_TEXT.as_bytes().to_vec()),
    })
}

/// Copies every entry of one dict into another.
pub fn copy_entries(heap: &mut Heap, from: Dict, into: Dict) -> Outcome<()> {
    let entries: Vec<(Value, Value)> =
        heap.dicts[from].table.iter().map(|entry| (entry.key, entry.value)).collect();
    heap.make_room(entries.len().saturating_mul(48))?;
    for (key, item) in entries {
        let item = heap.share(item);
        heap.dict_set(into, key, item)?;
    }
    Ok(())
}

/// The dict behind a SafeDict.
fn inner(heap: &Heap, object: Value) -> Option<Dict> {
    match object {
        Value::SafeDict(safe) => Some(heap.safe_dicts[safe].dict),
        _ => None,
    }
}

fn inner_or_raise(vm: &mut Vm, args: Args<'_>) -> Outcome<Dict> {
    match args.get(0).and_then(|object| inner(&vm.heap, object)) {
        Some(dict) => Ok(dict),
        None => vm.type_error("a 'SafeDict' is required"),
    }
}

/// A new SafeDict with the entries of a dict or SafeDict: owned. Checks keys.
fn copy_of(vm: &mut Vm, from: Option<Dict>) -> NativeReturn {
    let dict = vm.heap.new_dict();
    let result = vm.heap.new_safe_dict(dict);
    let filled = match from {
        None => Ok(()),
        Some(from) => match refused_key(&vm.heap, from) {
            Some(text) if text == NOT_TEXT.as_bytes() => Err(vm.heap.raise(Builtin::TypeError, NOT_TEXT)),
            Some(text) => Err(vm.heap.raise_bytes(Builtin::ValueError.class(), &text)),
            None => copy_entries(&mut vm.heap, from, dict),
        },
    };
    if let Err(raised) = filled {
        vm.heap.release(result);
        return Err(raised);
    }
    value(result)
}

/// `SafeDict(d=None)`: an argument that is no dict gives an empty one.
pub fn construct(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    // The first argument is the class.
    let from = match args.get(1) {
        Some(Value::Dict(dict)) => Some(dict),
        Some(other) => inner(&vm.heap, other),
        None => None,
    };
    copy_of(vm, from)
}

#[derive(Clone, Copy)]
enum Part {
    Keys,
    Values,
    Items,
}

/// Keys, values or pairs, without what a program may not name.
fn parts(vm: &mut Vm, args: Args<'_>, part: Part) -> NativeReturn {
    let dict = inner_or_raise(vm, args)?;
    let heap = &mut vm.heap;
    let mut entries = Vec::new();
    for entry in heap.dicts[dict].table.iter() {
        if let Value::Str(text) = entry.key {
            if names::refused(heap.bytes(text)).is_none() {
                entries.push((entry.key, entry.value));
            }
        }
    }
    heap.make_room(entries.len().saturating_mul(80))?;
    let items = entries
        .into_iter()
        .map(|(key, item)| match part {
            Part::Keys => heap.share(key),
            Part::Values => heap.share(item),
            Part::Items => {
                let pair = [heap.share(key), heap.share(item)];
                heap.new_tuple(&pair)
            }
        })
        .collect();
    value(heap.new_list(items))
}

fn keys(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    parts(vm, args, Part::Keys)
}

fn values(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    parts(vm, args, Part::Values)
}

fn items(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    parts(vm, args, Part::Items)
}

/// An iterator over keys, values or pairs.
fn iterate(vm: &mut Vm, args: Args<'_>, mode: IterMode) -> NativeReturn {
    let dict = inner_or_raise(vm, args)?;
    let source = vm.heap.share(Value::Dict(dict));
    value(vm.heap.new_iter(source, mode))
}

fn iterkeys(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    iterate(vm, args, IterMode::Items)
}

fn itervalues(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    iterate(vm, args, IterMode::Values)
}

fn iteritems(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    iterate(vm, args, IterMode::Pairs)
}

fn key_argument(vm: &mut Vm, args: Args<'_>) -> Outcome<(Dict, Value)> {
    let dict = inner_or_raise(vm, args)?;
    let key = args.get(1).unwrap_or(Value::None);
    check_key(&mut vm.heap, key)?;
    Ok((dict, key))
}

fn has_key(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let (dict, key) = key_argument(vm, args)?;
    let found = vm.heap.dict_get(dict, key)?.is_some();
    value(Value::bool(found))
}

fn get(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let (dict, key) = key_argument(vm, args)?;
    let found = vm.heap.dict_get(dict, key)?;
    let result = found.or(args.get(2)).unwrap_or(Value::None);
    value(vm.heap.share(result))
}

fn setdefault(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let (dict, key) = key_argument(vm, args)?;
    if let Some(found) = vm.heap.dict_get(dict, key)? {
        return value(vm.heap.share(found));
    }
    let default = args.get(2).unwrap_or(Value::None);
    let stored = vm.heap.share(default);
    vm.heap.dict_set(dict, key, stored)?;
    value(vm.heap.share(default))
}

fn pop(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let (dict, key) = key_argument(vm, args)?;
    if let Some(found) = vm.heap.dict_remove(dict, key)? {
        return value(found);
    }
    match args.get(2) {
        Some(default) => value(vm.heap.share(default)),
        None => {
            let key = vm.heap.share(key);
            Err(vm.heap.raise_with(Builtin::KeyError.class(), &[key]))
        }
    }
}

fn popitem(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let dict = inner_or_raise(vm, args)?;
    let last = vm.heap.dicts[dict].table.iter().next_back().map(|entry| entry.key);
    let Some(key) = last else {
        return Err(vm.heap.raise(Builtin::KeyError, "popitem(): dictionary is empty"));
    };
    check_key(&mut vm.heap, key)?;
    let key = vm.heap.share(key);
    let item = vm.heap.dict_remove(dict, key)?.unwrap_or(Value::None);
    value(vm.heap.new_tuple(&[key, item]))
}

fn clear(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let dict = inner_or_raise(vm, args)?;
    vm.heap.dict_clear(dict);
    value(Value::None)
}

fn copy(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let dict = inner_or_raise(vm, args)?;
    copy_of(vm, Some(dict))
}

/// `update(d=None, **entries)`: all keys are checked before any is stored.
fn update(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let dict = inner_or_raise(vm, args)?;
    let from = match args.get(1) {
        None => None,
        Some(Value::Dict(from)) => Some(from),
        Some(other) => match inner(&vm.heap, other) {
            Some(from) => Some(from),
            None => return vm.type_error("a 'SafeDict' is updated from a dict"),
        },
    };
    if let Some(from) = from {
        let entries: Vec<Value> = vm.heap.dicts[from].table.iter().map(|entry| entry.key).collect();
        for key in entries {
            check_key(&mut vm.heap, key)?;
        }
        copy_entries(&mut vm.heap, from, dict)?;
    }
    for (name, _) in args.keywords {
        check_key(&mut vm.heap, Value::Str(*name))?;
    }
    for (name, item) in args.keywords {
        let item = vm.heap.share(*item);
        vm.heap.dict_set(dict, Value::Str(*name), item)?;
    }
    value(Value::None)
}

/// The methods.
pub const METHODS: &[NativeDef] = &[
    NativeDef::method("keys", 0, 0, keys),
    NativeDef::method("values", 0, 0, values),
    NativeDef::method("items", 0, 0, items),
    NativeDef::method("iterkeys", 0, 0, iterkeys),
    NativeDef::method("itervalues", 0, 0, itervalues),
    NativeDef::method("iteritems", 0, 0, iteritems),
    NativeDef::method("has_key", 1, 1, has_key),
    NativeDef::method("get", 1, 2, get),
    NativeDef::method("setdefault", 1, 2, setdefault),
    NativeDef::method("pop", 1, 2, pop),
    NativeDef::method("popitem", 0, 0, popitem),
    NativeDef::method("clear", 0, 0, clear),
    NativeDef::method("copy", 0, 0, copy),
    NativeDef::method("update", 0, 1, update).with_keywords(),
];
