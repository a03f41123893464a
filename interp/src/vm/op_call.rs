//! Instructions that call and return.

use std::rc::Rc;

use super::native::{Args, Flow, NativeFn, NativeReturn, ANY};
use super::slow::Registers;
use super::Vm;
use crate::compile::{Code, Reg};
use crate::heap::{NativeId, Outcome, Value};

/// What a call instruction comes to.
pub(super) enum Called {
    /// A frame of this code is ready at the callee's place.
    Enter(Rc<Code>),
    /// It is done.
    Done,
    /// A native goes on later.
    Flow(Flow),
    /// The long way must be gone.
    Slow,
}

impl Vm {
    /// `d = t(t + 1, …)` with `count` arguments. `on_object` says that the callee was found as
    /// a method of the first one, `deep` that no more frames may be entered here.
    #[inline(always)]
    pub(super) fn op_call(
        &mut self,
        regs: &mut Registers,
        (d, t, count): (Reg, Reg, usize),
        on_object: bool,
        deep: bool,
    ) -> Outcome<Called> {
        match regs[usize::from(t)] {
            Value::Function(function) => {
                let callee = &self.heap.functions[function].code;
                if usize::from(callee.arity) == count {
                    self.fuel -= 1;
                    if !deep && self.fuel >= 0 {
                        return Ok(Called::Enter(Rc::clone(callee)));
                    }
                }
                Ok(Called::Slow)
            }
            Value::Native(native) => self.call_native(regs, (d, t, count), native, on_object),
            Value::Class(class) => match self.constructor(class) {
                // A built-in type: its constructor takes the class as first argument.
                Some(constructor) => self.run_call(regs, d, usize::from(t), count + 1, constructor),
                None => Ok(Called::Slow),
            },
            _ => Ok(Called::Slow),
        }
    }

    #[inline(always)]
    fn call_native(
        &mut self,
        regs: &mut Registers,
        (d, t, count): (Reg, Reg, usize),
        native: NativeId,
        on_object: bool,
    ) -> Outcome<Called> {
        let first = usize::from(t.wrapping_add(1));
        if on_object && Value::Native(native).same(self.append) && count == 2 {
            if let Value::List(list) = regs[first] {
                let item = std::mem::replace(&mut regs[usize::from(t + 2)], Value::Unset);
                let items = &mut self.heap.lists[list].items;
                if items.len() < items.capacity() {
                    items.push(item);
                } else {
                    self.heap.list_push(list, item)?;
                }
                self.put(regs, t + 1, Value::Unset);
                self.put(regs, d, Value::None);
                return Ok(Called::Done);
            }
        }
        let row = self.native(native);
        let (call, method) = (row.call, row.method);
        let given = count.wrapping_sub(usize::from(method));
        let fits = given >= usize::from(row.min) && (given <= usize::from(row.max) || row.max == ANY);
        // The object of a method found in its own class needs no check
        // unless it is an instance; one taken from a class does.
        let direct = !method || (on_object && self.is_own_method(native, regs[first]));
        if fits && direct {
            regs[usize::from(t)] = Value::Unset;
            return self.run_call(regs, d, first, count, call);
        }
        Ok(Called::Slow)
    }

    /// Runs a native on `count` arguments from `first` on.
    #[inline(always)]
    fn run_call(
        &mut self,
        regs: &mut Registers,
        d: Reg,
        first: usize,
        count: usize,
        call: NativeFn,
    ) -> Outcome<Called> {
        let args = Args { positional: &regs[first..first + count], keywords: &[] };
        let result: NativeReturn = call(self, args);
        for place in &mut regs[first..first + count] {
            let old = std::mem::replace(place, Value::Unset);
            if old.is_counted() {
                self.drop_value(old);
            }
        }
        match result? {
            Flow::Value(value) => {
                self.put(regs, d, value);
                Ok(Called::Done)
            }
            flow => Ok(Called::Flow(flow)),
        }
    }

    /// Loads the callee `globals[g]` of a call into `t`.
    #[inline(always)]
    pub(super) fn op_callee(&mut self, regs: &mut Registers, code: &Code, t: Reg, g: u16) -> Outcome<()> {
        let site = &code.globals[usize::from(g)];
        let mut value = Value::Unset;
        if let Some(dict) = self.globals_of(regs[0]) {
            let table = &self.heap.dicts[dict].table;
            if let Some(entry) = table.slots().get(site.position.get() as usize) {
                if matches!(entry.key, Value::Str(name) if name == site.name) {
                    value = entry.value;
                }
            }
        }
        if value.is_unset() {
            value = self.global_slow(regs, code, g)?;
        }
        self.heap.retain(value);
        regs[usize::from(t)] = value;
        Ok(())
    }

    /// A method call without object: the arguments move down by one.
    #[inline(always)]
    pub(super) fn close_gap(&mut self, regs: &mut Registers, t: Reg, count: u8) {
        let first = usize::from(t.wrapping_add(1));
        regs.copy_within(first + 1..first + 1 + usize::from(count), first);
        regs[first + usize::from(count)] = Value::Unset;
    }

    /// Gives back what the registers of a call hold.
    #[inline(always)]
    pub(super) fn drop_locals(&mut self, regs: &mut Registers, code: &Code) {
        if let Value::Function(function) = regs[0] {
            regs[0] = Value::Unset;
            self.heap.release_function(function);
        }
        for r in 1..code.locals {
            let old = regs[usize::from(r)];
            if old.is_counted() {
                regs[usize::from(r)] = Value::Unset;
                self.drop_value(old);
            }
        }
    }

    /// Whether a built-in method may be called with this object without a check.
    #[inline(always)]
    fn is_own_method(&self, native: NativeId, object: Value) -> bool {
        match object {
            Value::Instance(_) | Value::Class(_) | Value::Unset => false,
            _ => match self.native_owner(native) {
                Some(owner) => owner == self.heap.class_of(object),
                None => false,
            },
        }
    }
}
