//! What the types need of the machine: truth, order, iteration, items and attributes, in one place.
use crate::heap::{Outcome, Value};
use crate::syntax::ast::CompareOperator;
use crate::vm::Vm;

/// All items of an iterable: owned.
pub fn collect(vm: &mut Vm, iterable: Value) -> Outcome<Vec<Value>> {
    let items: Vec<Value> = match iterable {
        Value::List(list) => vm.heap.list(list).to_vec(),
        Value::Tuple(tuple) => vm.heap.tuple(tuple).to_vec(),
        _ => {
            let items = vm.collect_items(iterable)?;
            vm.spend(items.len() / 8);
            return Ok(items);
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
#[inline]
pub fn truth(vm: &mut Vm, item: Value) -> Outcome<bool> {
    Ok(vm.truth(item))
}

/// `a == b`
#[inline]
pub fn equal(vm: &mut Vm, a: Value, b: Value) -> Outcome<bool> {
    vm.equal(a, b)
}

/// `a < b`
#[inline]
pub fn less(vm: &mut Vm, a: Value, b: Value) -> Outcome<bool> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Ok(a < b),
        (Value::Float(a), Value::Float(b)) => Ok(a.get() < b.get()),
        (Value::Str(a), Value::Str(b)) => Ok(vm.heap.bytes(a) < vm.heap.bytes(b)),
        _ => vm.compare(CompareOperator::Less, a, b),
    }
}

/// `item[key]`: owned.
pub fn get_item(vm: &mut Vm, item: Value, key: Value) -> Outcome<Value> {
    vm.get_item(item, key)
}

/// `item.name`: owned.
pub fn get_attribute(vm: &mut Vm, item: Value, name: &[u8]) -> Outcome<Value> {
    let name = vm.heap.intern(name);
    vm.get_attribute(item, name)
}
