//! Instructions that call and return.

use std::rc::Rc;

use super::native::{Args, Flow, NativeFn, NativeReturn, ANY};
use super::slow::Registers;
use super::{Vm, RECURSION_LIMIT, WINDOW};
use crate::compile::{Code, Reg};
use crate::heap::{Class, Function, NativeId, Outcome, Value};

/// What a call of something that is no function of the program comes to.
pub(super) enum Called {
    /// It is done.
    Done,
    /// A native goes on later.
    Flow(Flow),
    /// The long way must be gone.
    Slow,
}

impl Vm {
    /// The code of a function that can be entered at once: the arguments fit, and there are fuel and
    /// room for a frame.
    #[inline(always)]
    pub(super) fn enters(&mut self, function: Function, count: usize, depth: usize) -> Option<Rc<Code>> {
        let data = &self.heap.functions[function];
        if usize::from(data.arity) != count || depth >= RECURSION_LIMIT {
            return None;
        }
        self.fuel -= 1;
        if self.fuel < 0 {
            return None;
        }
        Some(Rc::clone(&data.code))
    }

    /// `t(t + 1, …)` of a class of the program whose instances need nothing but their `__init__`, which can be
    /// entered at once: its code and the instance, which is owned and the first argument now.
    #[inline(never)]
    pub(super) fn constructs(
        &mut self,
        regs: &mut Registers,
        class: Class,
        (t, count): (Reg, usize),
        depth: usize,
    ) -> Option<(Rc<Code>, Value)> {
        let (epoch, function) = self.heap.classes[class].init?;
        let t = usize::from(t);
        if epoch != self.heap.class_epoch || t + count + 1 >= WINDOW {
            return None;
        }
        let code = self.enters(function, count + 1, depth)?;
        let instance = self.heap.new_instance(class, Value::Unset);
        self.heap.retain(instance);
        regs.copy_within(t + 1..t + 1 + count, t + 2);
        regs[t + 1] = instance;
        self.heap.retain_function(function);
        regs[t] = Value::Function(function);
        self.heap.release(Value::Class(class));
        Some((code, instance))
    }

    /// `d = t(t + 1, …)` with `count` arguments, of a native or a built-in class. `on_object`
    /// says that the callee was found as a method of the first one.
    #[inline(never)]
    pub(super) fn op_call(
        &mut self,
        regs: &mut Registers,
        (d, t, count): (Reg, Reg, usize),
        on_object: bool,
    ) -> Outcome<Called> {
        match regs[usize::from(t)] {
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
                regs[usize::from(t)] = Value::Unset;
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
        if count == 1 && Value::Native(native).same(self.len) {
            let length = match regs[first] {
                Value::Str(text) => Some(self.heap.bytes(text).len()),
                Value::List(list) => Some(self.heap.list(list).len()),
                Value::Tuple(tuple) => Some(self.heap.tuple(tuple).len()),
                Value::Dict(dict) => Some(self.heap.dicts[dict].table.len()),
                _ => None,
            };
            if let Some(length) = length {
                regs[usize::from(t)] = Value::Unset;
                self.put(regs, t + 1, Value::Unset);
                self.put(regs, d, Value::Int(length as i64));
                return Ok(Called::Done);
            }
        }
        let row = self.native(native);
        let (call, method) = (row.call, row.method);
        let given = count.wrapping_sub(usize::from(method));
        let fits = given >= usize::from(row.min) && (given <= usize::from(row.max) || row.max == ANY);
        // A method found in the class of its object needs no check, but an instance has to be
        // unwrapped; the object of one taken from a class must be looked at.
        let direct = !method || (on_object && !matches!(regs[first], Value::Instance(_)));
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
        let flow = result?;
        if let Flow::Value(value) = flow {
            // There is nothing to drop in it.
            std::mem::forget(flow);
            self.put(regs, d, value);
            return Ok(Called::Done);
        }
        Ok(Called::Flow(flow))
    }

    /// The callee `globals[g]` of a call: borrowed.
    #[inline(always)]
    pub(super) fn op_callee(&mut self, regs: &mut Registers, code: &Code, g: u16) -> Outcome<Value> {
        let site = &code.globals[usize::from(g)];
        if let Some(dict) = self.globals_of(regs[0]) {
            let table = &self.heap.dicts[dict].table;
            if let Some(entry) = table.slots().get(site.position.get() as usize) {
                if matches!(entry.key, Value::Str(name) if name == site.name) {
                    return Ok(entry.value);
                }
            }
        }
        self.global_slow(regs, code, g)
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
        for register in 1..code.locals {
            let old = regs[usize::from(register)];
            if old.is_counted() {
                regs[usize::from(register)] = Value::Unset;
                self.drop_value(old);
            }
        }
    }
}
