//! Instructions of `raise`, `try` and `assert`.

use super::exception::RaisePlan;
use super::native::{CallRequest, Flow, NativeReturn, Resume};
use super::slow::Registers;
use super::Vm;
use crate::compile::{Code, Reg};
use crate::heap::{Builtin, Outcome, Raised, Value};

/// `raise Class` where the class has to be called.
struct RaiseResult;

impl Resume for RaiseResult {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        match vm.plan_raise(result, Value::None) {
            RaisePlan::Raise(exception) => Err(vm.heap.raise_value(exception)),
            RaisePlan::Error(raised) => Err(raised),
            RaisePlan::Make(class, args) => {
                vm.heap.release(class);
                args.into_iter().for_each(|value| vm.heap.release(value));
                vm.type_error("calling the class gave no exception")
            }
        }
    }

    fn abandon(self: Box<Self>, _vm: &mut Vm) {}

    fn held(&self, _visit: &mut dyn FnMut(Value)) {}
}

/// The exception handled last and its way: owned.
pub(super) type Handled = (Value, Value);

/// What a `raise` statement comes to.
pub(super) enum Raise {
    /// This has been raised.
    Raised(Raised),
    /// The class is to be called first.
    Call(Flow),
}

impl Vm {
    /// `raise` with `count` of kind, value, traceback in `t`, `t + 1`, `t + 2`.
    pub(super) fn op_raise(&mut self, regs: &mut Registers, t: Reg, count: u8) -> Raise {
        let t = usize::from(t);
        let kind = std::mem::replace(&mut regs[t], Value::Unset);
        let mut given = Value::None;
        if count > 1 {
            given = std::mem::replace(&mut regs[t + 1], Value::Unset);
        }
        if count > 2 {
            let trace = std::mem::replace(&mut regs[t + 2], Value::Unset);
            let none = trace.is_none();
            self.heap.release(trace);
            if !none {
                self.heap.release(kind);
                self.heap.release(given);
                let message = "raise: arg 3 must be a traceback or None";
                return Raise::Raised(self.heap.raise(Builtin::TypeError, message));
            }
        }
        match self.plan_raise(kind, given) {
            RaisePlan::Raise(exception) => Raise::Raised(self.heap.raise_value(exception)),
            RaisePlan::Error(raised) => Raise::Raised(raised),
            RaisePlan::Make(callee, args) => {
                let request = CallRequest { callee, args: args.into(), then: Box::new(RaiseResult) };
                Raise::Call(Flow::Call(Box::new(request)))
            }
        }
    }

    /// `raise` alone: the exception handled last.
    pub(super) fn op_raise_again(&mut self, handled: &Handled) -> Raised {
        let (exception, trace) = *handled;
        if exception.is_unset() {
            let message = "exceptions must be old-style classes or derived from BaseException, not NoneType";
            return self.heap.raise(Builtin::TypeError, message);
        }
        self.heap.retain(exception);
        self.heap.retain(trace);
        self.heap.raise_again(exception, trace)
    }

    /// At the head of an `except` or `finally`: makes the exception in `t` the one handled last.
    #[inline(never)]
    pub(super) fn op_handling(&mut self, regs: &mut Registers, code: &Code, handled: &mut Handled, t: Reg) {
        let t = usize::from(t);
        let now = (regs[t], regs[t + 1]);
        self.heap.retain(now.0);
        self.heap.retain(now.1);
        let before = std::mem::replace(handled, now);
        let h = usize::from(code.handling);
        if h != 0 && regs[h].is_unset() {
            regs[h] = if before.0.is_unset() { Value::None } else { before.0 };
            regs[h + 1] = before.1;
        } else {
            self.heap.release(before.0);
            self.heap.release(before.1);
        }
    }

    /// At the end of a call that has handled exceptions: the caller's comes back.
    #[inline(never)]
    pub(super) fn end_handling(&mut self, handled: &mut Handled, code: &Code, regs: &mut Registers) {
        let old = self.restore_handled(handled, code, regs);
        self.heap.release(old.0);
        self.heap.release(old.1);
    }

    pub(super) fn restore_handled(
        &mut self,
        handled: &mut Handled,
        code: &Code,
        regs: &mut [Value],
    ) -> (Value, Value) {
        let h = usize::from(code.handling);
        if h == 0 || regs[h].is_unset() {
            return (Value::Unset, Value::Unset);
        }
        let exception = match std::mem::replace(&mut regs[h], Value::Unset) {
            Value::None => Value::Unset,
            exception => exception,
        };
        let trace = std::mem::replace(&mut regs[h + 1], Value::Unset);
        std::mem::replace(handled, (exception, trace))
    }

    /// Goes on with the exception in `t`, `t + 1`.
    #[inline(never)]
    pub(super) fn op_reraise(&mut self, regs: &mut Registers, t: Reg) -> Raised {
        let t = usize::from(t);
        let exception = std::mem::replace(&mut regs[t], Value::Unset);
        let trace = std::mem::replace(&mut regs[t + 1], Value::Unset);
        self.heap.raise_again(exception, trace)
    }

    /// Whether the exception in `t` (kept) matches `a`.
    #[inline(never)]
    pub(super) fn op_match(&mut self, regs: &mut Registers, code: &Code, t: Reg, a: Reg) -> Outcome<bool> {
        let kind = regs[usize::from(a)];
        if kind.is_unset() {
            return Err(self.unbound(code, a));
        }
        let matches = self.exception_matches(regs[usize::from(t)], kind);
        self.consume(regs, code.locals, a);
        Ok(matches)
    }

    /// AssertionError without argument (`count` 0) or with that in `t`.
    pub(super) fn op_assert_fail(&mut self, regs: &mut Registers, t: Reg, count: u8) -> Raised {
        let class = Builtin::AssertionError.class();
        if count == 0 {
            return self.heap.raise_with(class, &[]);
        }
        let message = std::mem::replace(&mut regs[usize::from(t)], Value::Unset);
        self.heap.raise_with(class, &[message])
    }
}
