//! Putting resumable natives together: a native that uses another one waits for it the same way it waits for program code.
use crate::heap::Value;
use crate::vm::native::{CallRequest, Flow, NativeReturn, Resume};
use crate::vm::Vm;

/// A state whose result goes to another state.
struct Chain {
    inner: Box<dyn Resume>,
    outer: Box<dyn Resume>,
}

impl Resume for Chain {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        let Chain { inner, outer } = *self;
        let flow = inner.resume(vm, result);
        chain(vm, flow, outer)
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        self.inner.abandon(vm);
        self.outer.abandon(vm);
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        self.inner.held(visit);
        self.outer.held(visit);
    }
}

/// Goes on with `outer` once `flow` has its value. A loop over many steps should take a [`Flow::Value`] itself instead,
/// so that native depth does not grow with the number of steps.
pub fn chain(vm: &mut Vm, flow: NativeReturn, outer: Box<dyn Resume>) -> NativeReturn {
    match flow {
        Err(raised) => {
            outer.abandon(vm);
            Err(raised)
        }
        Ok(Flow::Value(result)) => outer.resume(vm, result),
        Ok(other) => Ok(chain_pending(other, outer)),
    }
}

/// [`chain`] for a flow that is not done yet.
pub fn chain_pending(flow: Flow, outer: Box<dyn Resume>) -> Flow {
    match flow {
        Flow::Value(result) => Flow::Value(result),
        Flow::Call(request) => {
            let CallRequest { callee, args, then } = *request;
            Flow::Call(Box::new(CallRequest { callee, args, then: Box::new(Chain { inner: then, outer }) }))
        }
        Flow::Yield(inner) => Flow::Yield(Box::new(Box::new(Chain { inner: *inner, outer }))),
        Flow::Block(Some(inner)) => Flow::Block(Some(Box::new(Box::new(Chain { inner: *inner, outer })))),
        Flow::Block(None) => Flow::Block(Some(Box::new(outer))),
    }
}
