//! What the types need of the machine: truth, order, iteration, items and attributes, in one place.
use super::support::{fail, type_name};
use crate::heap::{Builtin, Outcome, Value};
use crate::vm::Vm;
use std::cmp::Ordering;

/// All items of an iterable: owned.
pub fn collect(vm: &mut Vm, iterable: Value) -> Outcome<Vec<Value>> {
    let items: Vec<Value> = match super::support::unwrap(&vm.heap, iterable) {
        Value::List(list) => vm.heap.list(list).to_vec(),
        Value::Tuple(tuple) => vm.heap.tuple(tuple).to_vec(),
        Value::Dict(dict) => vm.heap.dicts[dict].table.iter().map(|entry| entry.key).collect(),
        Value::Set(set) => vm.heap.sets[set].table.iter().map(|entry| entry.key).collect(),
        Value::Str(text) => {
            let bytes = vm.heap.bytes(text).to_vec();
            bytes.into_iter().map(|byte| Value::Str(vm.heap.byte_str(byte))).collect()
        }
        _ => {
            let name = type_name(&vm.heap, iterable);
            return fail(vm, Builtin::TypeError, format!("'{name}' object is not iterable"));
        }
    };
    vm.heap.make_room(items.len().saturating_mul(16))?;
    vm.spend(items.len() / 16);
    for &item in &items {
        vm.heap.retain(item);
    }
    Ok(items)
}

/// `bool(item)`
pub fn truth(_vm: &mut Vm, _item: Value) -> Outcome<bool> {
    Ok(true)
}

/// `a == b`
pub fn equal(vm: &mut Vm, a: Value, b: Value) -> Outcome<bool> {
    Ok(vm.heap.keys_equal(a, b))
}

/// `cmp(a, b)`
pub fn compare(vm: &mut Vm, a: Value, b: Value) -> Outcome<Ordering> {
    Ok(vm.heap.compare_numbers(a, b).flatten().unwrap_or(Ordering::Equal))
}

/// `a < b`
pub fn less(vm: &mut Vm, a: Value, b: Value) -> Outcome<bool> {
    Ok(compare(vm, a, b)? == Ordering::Less)
}

/// `item[key]`: owned.
pub fn get_item(vm: &mut Vm, _item: Value, _key: Value) -> Outcome<Value> {
    fail(vm, Builtin::TypeError, "no items")
}

/// `item.name`: owned.
pub fn get_attribute(vm: &mut Vm, _item: Value, _name: &[u8]) -> Outcome<Value> {
    fail(vm, Builtin::AttributeError, "no attributes")
}
