//! Time, randomness, names, the end.

use policies::Call;

use super::{moment_after, number};
use crate::api::bind::Bound;
use crate::api::error::Kill;
use crate::api::state::{end_run, gate, pay, permit, raise, Api, Due};
use crate::heap::{Builtin, Value};
use crate::meter::Rate;
use crate::vm::native::{block, value, NativeReturn};
use crate::vm::Vm;

/// `getruntime()`
pub fn getruntime(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::GetRuntime, bound.written())?;
    let (api, _) = Api::of(vm);
    let elapsed = api.host.now().saturating_sub(api.origin);
    value(Value::float(elapsed as f64 / 1e9))
}

/// `randomfloat()`
pub fn randomfloat(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::RandomFloat, bound.written())?;
    gate(vm, Rate::Random, &[], |vm, _| {
        let bits = Api::of(vm).0.random_bits();
        match bits {
            // 53 bits, as the original: every result is a multiple of 2**-53.
            Ok(bits) => {
                let number = (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64);
                pay(vm, Rate::Random, 1, Value::float(number))
            }
            Err(error) => Err(raise(vm, &error)),
        }
    })
}

/// `exitall()`
pub fn exitall(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::ExitAll, bound.written())?;
    end_run(vm, Kill::ExitAll)
}

/// `getlock()`
pub fn getlock(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::GetLock, bound.written())?;
    let thread = vm.current;
    let (api, heap) = Api::of(vm);
    let id = api.next_lock();
    let role = api.role(thread);
    let label = api.next_handle("", role);
    value(new_object(heap, Builtin::ApiLock, id, &label))
}

/// `get_thread_name()`
pub fn get_thread_name(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::GetThreadName, bound.written())?;
    let thread = vm.current;
    let (api, heap) = Api::of(vm);
    let name = api.role(thread).name();
    value(heap.new_str(name.as_bytes()))
}

/// `sleep(seconds)`
pub fn sleep(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::Sleep, bound.written())?;
    let thread = vm.current;
    let (api, heap) = Api::of(vm);
    let now = api.host.now();
    let moment = moment_after(now, number(heap, bound.get(0)));
    // Also a sleep of nothing lets the others run.
    api.deadlines.add(moment, Due::Wake(thread, Value::None));
    block(None)
}

/// An API object: owned.
pub(in crate::api) fn new_object(
    heap: &mut crate::heap::Heap,
    class: Builtin,
    id: u64,
    label: &str,
) -> Value {
    if let Value::Str(label) = heap.new_str(label.as_bytes()) {
        return heap.new_api(class.class(), id, label);
    }
    // `new_str` makes nothing else.
    Value::None
}
