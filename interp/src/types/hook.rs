//! What the types need of the machine: truth, order, iteration, items and attributes, in one place.
use crate::heap::{NativeId, Outcome, Value};
use crate::syntax::ast::CompareOperator;
use crate::vm::native::{Args, Flow, NativeReturn};
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
    if let Some(name) = vm.heap.find_interned(name) {
        return vm.get_attribute(item, name);
    }
    // Nothing has an attribute of a name that was never interned; it is not kept for ever because it was asked for.
    let unknown = vm.heap.new_str(name);
    let found = match unknown {
        Value::Str(name) => vm.get_attribute(item, name),
        _ => Ok(Value::None),
    };
    vm.heap.release(unknown);
    found
}

/// What calling a built-in function, type or method with these arguments gives, without leaving the native that
/// calls it; `None` if it has to be called the long way. The result may have to be waited for
/// ([`super::chain::chain_pending`]). Borrows all.
#[inline]
pub fn direct(vm: &mut Vm, callee: Value, arguments: &[Value]) -> Option<NativeReturn> {
    let (first, code, quick) = match callee {
        Value::Native(native) => {
            let row = vm.native(native);
            let given = arguments.len().checked_sub(usize::from(row.method))?;
            // The object of a method taken from its class must be one of it.
            if !row.takes(given) || (row.method && !owns(vm, native, arguments[0])) {
                return None;
            }
            (None, row.call, row.quick)
        }
        Value::BoundNative(bound) => {
            let data = vm.heap.bound_natives[bound];
            let row = vm.native(data.native);
            if matches!(data.object, Value::Instance(_)) || !row.method || !row.takes(arguments.len()) {
                return None;
            }
            (Some(data.object), row.call, row.quick)
        }
        Value::Class(class) => (Some(callee), vm.constructor(class)?, vm.quick_constructor(class)),
        _ => return None,
    };
    vm.spend(1);
    let mut all = [Value::Unset; 4];
    let offset = usize::from(first.is_some());
    all[0] = first.unwrap_or(Value::Unset);
    all.get_mut(offset..offset + arguments.len())?.copy_from_slice(arguments);
    let all = &mut all[..offset + arguments.len()];
    if let Some(quick) = quick {
        // The short way of a class does not see the class.
        let seen = usize::from(matches!(callee, Value::Class(_)));
        let result = quick(vm, &mut all[seen..]);
        // What it took out belongs to others here.
        for (place, given) in all[offset..].iter_mut().zip(arguments) {
            if place.is_unset() {
                vm.heap.retain(*given);
                *place = *given;
            }
        }
        if !result.is_unset() {
            return Some(Ok(Flow::Value(result)));
        }
    }
    if let Some(first) = first {
        vm.heap.retain(first);
    }
    let result = code(vm, Args { positional: all, keywords: &[] });
    if let Some(first) = first {
        vm.heap.release(first);
    }
    Some(result)
}

/// Whether a value is an object of exactly the built-in class a method belongs to.
fn owns(vm: &Vm, native: NativeId, object: Value) -> bool {
    let owner = vm.native_owner(native);
    !matches!(object, Value::Instance(_)) && owner.is_some_and(|owner| vm.heap.is_instance(object, owner))
}
