//! The copy the original makes of every argument: containers become new
//! objects (shared and cyclic ones stay so), everything harmless passes as it
//! is, and the rest is refused.

use std::collections::HashMap;

use super::show;
use super::state::Api;
use crate::heap::{Builtin, Heap, Kind, Raised, Style, Value};
use crate::vm::Vm;

/// How deep containers may be nested: the copy is the only native recursion
/// of the API, and 2.7's own recursion limit stops such a copy near here.
const DEEPEST: usize = 240;

/// What passes into a call as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Passage {
    AsIs,
    Copied,
    Refused,
}

fn passage(vm: &Vm, value: Value) -> Passage {
    match value {
        Value::Unset
        | Value::None
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Str(_)
        | Value::Long(_)
        | Value::Complex(_)
        | Value::Function(_)
        | Value::Method(_)
        | Value::Api(_) => Passage::AsIs,
        Value::List(_) | Value::Tuple(_) | Value::Dict(_) => Passage::Copied,
        Value::Set(set) if vm.heap.sets[set].frozen => Passage::AsIs,
        Value::Set(_) => Passage::Copied,
        Value::Instance(instance) => {
            let class = vm.heap.instances[instance].class;
            match vm.heap.classes[class].style {
                Style::Old => Passage::AsIs,
                Style::New | Style::Builtin => Passage::Refused,
            }
        }
        Value::Native(native) if Api::of_ref(vm).is_some_and(|api| api.is_api_function(native)) => {
            Passage::AsIs
        }
        Value::BoundNative(bound) if matches!(vm.heap.bound_natives[bound].object, Value::Api(_)) => {
            Passage::AsIs
        }
        _ => Passage::Refused,
    }
}

/// Why a copy stopped.
enum Stop {
    Refused(Value),
    Raised(Raised),
}

impl From<Raised> for Stop {
    fn from(raised: Raised) -> Self {
        Stop::Raised(raised)
    }
}

type Memo = HashMap<(Kind, u32), Value>;

/// Copies arguments: owned. Borrows them.
pub fn copy_all(vm: &mut Vm, values: &[Value]) -> Result<Vec<Value>, Raised> {
    let mut memo = Memo::new();
    let mut copies = Vec::with_capacity(values.len());
    for value in values {
        match copy(vm, *value, &mut memo, 0) {
            Ok(copied) => copies.push(copied),
            Err(stop) => {
                release_all(&mut vm.heap, &copies);
                return Err(stopped(vm, values, stop));
            }
        }
    }
    Ok(copies)
}

/// Whether nothing among the values needs copying; `Err` as [`copy_all`].
pub fn all_plain(vm: &mut Vm, values: &[Value]) -> Result<bool, Raised> {
    let mut plain = true;
    for value in values {
        match passage(vm, *value) {
            Passage::AsIs => {}
            Passage::Copied => plain = false,
            Passage::Refused => return Err(stopped(vm, values, Stop::Refused(*value))),
        }
    }
    Ok(plain)
}

/// Gives owned values back.
pub fn release_all(heap: &mut Heap, values: &[Value]) {
    for value in values {
        heap.release(*value);
    }
}

#[cold]
fn stopped(vm: &mut Vm, values: &[Value], stop: Stop) -> Raised {
    let refused = match stop {
        Stop::Raised(raised) => return raised,
        Stop::Refused(refused) => refused,
    };
    let heap = &mut vm.heap;
    let mut text = b"Namespace violation: _copy failed on ".to_vec();
    text.extend_from_slice(&show::repr_of_tuple(heap, values));
    let kind = heap.text(heap.classes[heap.type_of(refused)].name);
    text.extend_from_slice(
        format!(" with message objects of type '{kind}' cannot be passed to an API call").as_bytes(),
    );
    heap.raise_bytes(Builtin::NamespaceViolationError.class(), &text)
}

fn copy(vm: &mut Vm, value: Value, memo: &mut Memo, depth: usize) -> Result<Value, Stop> {
    match passage(vm, value) {
        Passage::AsIs => return Ok(vm.heap.share(value)),
        Passage::Refused => return Err(Stop::Refused(value)),
        Passage::Copied => {}
    }
    let Some(key) = value.counted() else { return Ok(value) };
    if let Some(known) = memo.get(&key) {
        return Ok(vm.heap.share(*known));
    }
    if depth > DEEPEST {
        let text = "maximum recursion depth exceeded";
        return Err(Stop::Raised(vm.heap.raise(Builtin::RuntimeError, text)));
    }
    match value {
        Value::List(list) => {
            let length = vm.heap.list(list).len();
            vm.heap.make_room(length.saturating_mul(16))?;
            vm.spend(length);
            let copied = vm.heap.new_list(Vec::new());
            memo.insert(key, copied);
            let Value::List(target) = copied else { return Ok(copied) };
            // No program code runs in between, so the list stays as it is.
            for index in 0..length {
                let Some(item) = vm.heap.list(list).get(index).copied() else { break };
                let item = or_release(vm, copied, |vm| copy(vm, item, memo, depth + 1))?;
                or_release(vm, copied, |vm| Ok(vm.heap.list_push(target, item)?))?;
            }
            Ok(copied)
        }
        Value::Tuple(tuple) => {
            let items = vm.heap.tuple(tuple).to_vec();
            vm.spend(items.len());
            let mut copies = Vec::with_capacity(items.len());
            for item in items {
                match copy(vm, item, memo, depth + 1) {
                    Ok(copied) => copies.push(copied),
                    Err(stop) => {
                        release_all(&mut vm.heap, &copies);
                        return Err(stop);
                    }
                }
            }
            // A tuple within itself (through a list) was copied on the way.
            if let Some(known) = memo.get(&key) {
                let known = vm.heap.share(*known);
                release_all(&mut vm.heap, &copies);
                return Ok(known);
            }
            let copied = vm.heap.new_tuple(&copies);
            memo.insert(key, copied);
            Ok(copied)
        }
        Value::Dict(dict) => {
            let entries: Vec<(Value, Value)> =
                vm.heap.dicts[dict].table.iter().map(|entry| (entry.key, entry.value)).collect();
            vm.heap.make_room(entries.len().saturating_mul(48))?;
            vm.spend(entries.len());
            let target = vm.heap.new_dict();
            let copied = Value::Dict(target);
            memo.insert(key, copied);
            for (name, item) in entries {
                let name = or_release(vm, copied, |vm| copy(vm, name, memo, depth + 1))?;
                let item = match copy(vm, item, memo, depth + 1) {
                    Ok(item) => item,
                    Err(stop) => {
                        release_all(&mut vm.heap, &[name, copied]);
                        return Err(stop);
                    }
                };
                let set = vm.heap.dict_set(target, name, item);
                vm.heap.release(name);
                or_release(vm, copied, |_| Ok(set?))?;
            }
            Ok(copied)
        }
        Value::Set(set) => {
            let items: Vec<Value> = vm.heap.sets[set].table.iter().map(|entry| entry.key).collect();
            vm.heap.make_room(items.len().saturating_mul(32))?;
            vm.spend(items.len());
            let target = vm.heap.new_set(false);
            let copied = Value::Set(target);
            memo.insert(key, copied);
            for item in items {
                let item = or_release(vm, copied, |vm| copy(vm, item, memo, depth + 1))?;
                let added = vm.heap.set_add(target, item);
                vm.heap.release(item);
                or_release(vm, copied, |_| Ok(added?))?;
            }
            Ok(copied)
        }
        other => Ok(vm.heap.share(other)),
    }
}

/// Does `act`; gives `owned` back if it fails.
fn or_release<T>(vm: &mut Vm, owned: Value, act: impl FnOnce(&mut Vm) -> Result<T, Stop>) -> Result<T, Stop> {
    act(vm).inspect_err(|_| vm.heap.release(owned))
}
