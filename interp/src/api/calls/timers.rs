//! Timers and locks.

use policies::Call;

use super::misc::new_object;
use super::{integer, moment_after, number};
use crate::api::bind::Bound;
use crate::api::error::{ApiError, Class};
use crate::api::locks::NotHeld;
use crate::api::state::{fail, permit, raise, Api, Due};
use crate::events::{wake, Key};
use crate::heap::{Builtin, Value};
use crate::meter::Count;
use crate::vm::native::{block, value, NativeReturn, Resume};
use crate::vm::Vm;

/// `settimer(waittime, function, args)`
pub fn settimer(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::SetTimer, bound.written())?;
    let thread = vm.current;
    let (api, heap) = Api::of(vm);
    if let Err(failure) = api.take(Count::Events) {
        return fail(vm, failure);
    }
    let now = api.host.now();
    let moment = moment_after(now, number(heap, bound.get(0)));
    let function = heap.share(bound.get(1));
    let arguments = heap.share(bound.get(2));
    let number = api.next_thread_number();
    let role = api.role(thread);
    let label = api.next_handle("_EVENT:", role);
    api.timers += 1;
    let key = api.deadlines.add(moment, Due::Timer { function, arguments, number });
    value(new_object(heap, Builtin::ApiTimerHandle, key.bits(), &label))
}

/// `canceltimer(handle)`
pub fn canceltimer(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::CancelTimer, bound.written())?;
    let (api, heap) = Api::of(vm);
    let Value::Api(handle) = bound.get(0) else { return value(Value::bool(false)) };
    let key = Key::from_bits(heap.apis[handle].id);
    let Some(Due::Timer { .. }) = api.deadlines.get(key) else { return value(Value::bool(false)) };
    if let Some(Due::Timer { function, arguments, .. }) = api.deadlines.cancel(key) {
        heap.release(function);
        heap.release(arguments);
        api.timers = api.timers.saturating_sub(1);
        api.give_back_event();
    }
    value(Value::bool(true))
}

/// `lock.acquire(blocking=1)`
pub fn acquire(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    let thread = vm.current;
    let (api, heap) = Api::of(vm);
    let lock = bound.object_id(heap);
    if api.locks.try_acquire(lock) {
        return value(Value::bool(true));
    }
    let blocking = match bound.get(0) {
        Value::Unset => true,
        Value::Bool(blocking) => blocking.get(),
        other => integer(heap, other) != Some(0),
    };
    if !blocking {
        return value(Value::bool(false));
    }
    api.locks.wait(lock, thread);
    // The line must not vanish with the last name of the lock.
    let object = heap.share(bound.object);
    block(Some(Box::new(InLine(object))))
}

/// A thread in the line of a lock; the result of its wake is `True`.
struct InLine(Value);

impl Resume for InLine {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        vm.heap.release(self.0);
        value(result)
    }

    fn abandon(self: Box<Self>, vm: &mut Vm) {
        vm.heap.release(self.0);
    }

    fn held(&self, visit: &mut dyn FnMut(Value)) {
        visit(self.0);
    }
}

/// `lock.release()`
pub fn release(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    let (api, heap) = Api::of(vm);
    let lock = bound.object_id(heap);
    match api.locks.release(lock) {
        Ok(Some(next)) => wake(vm, next, Value::bool(true)),
        Ok(None) => {}
        Err(NotHeld) => return Err(raise(vm, &ApiError::new(Class::ThreadError, NotHeld::TEXT))),
    }
    value(Value::None)
}
