//! The making of an instance whose built-in part takes its time: a list of a class of the program from a large iterable,
//! a str from what has a `__str__` of its own.

use super::native::{call, value, NativeReturn, Resume};
use super::Vm;
use crate::heap::{Class, Value};

/// Waits for what the instance wraps; all owned.
pub(super) struct Constructed {
    /// The class of the program.
    pub(super) class: Class,
    /// Its `__init__`, and whether it takes the instance, if the program has written one.
    pub(super) init: Option<(Value, bool)>,
    /// The arguments for it.
    pub(super) arguments: Vec<Value>,
}

impl Resume for Constructed {
    fn resume(self: Box<Self>, vm: &mut Vm, payload: Value) -> NativeReturn {
        let Constructed { class, init, mut arguments } = *self;
        let instance = vm.heap.new_instance(class, payload);
        vm.heap.release(Value::Class(class));
        let Some((init, takes_instance)) = init else {
            arguments.into_iter().for_each(|argument| vm.heap.release(argument));
            return value(instance);
        };
        if takes_instance {
            arguments.insert(0, vm.heap.share(instance));
        }
        call(init, arguments, Box::new(Initialized(instance)))
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        let mut all = Vec::new();
        self.held(&mut |share| all.push(share));
        all.into_iter().for_each(|share| vm.heap.release(share));
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::Class(self.class));
        if let Some((init, _)) = self.init {
            visit(init);
        }
        self.arguments.iter().copied().for_each(visit);
    }
}

/// Waits for the `__init__` of this instance (owned).
struct Initialized(Value);

impl Resume for Initialized {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        value(vm.finish_init(result, self.0)?)
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        vm.heap.release(self.0);
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        visit(self.0);
    }
}
