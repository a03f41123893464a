//! Instructions that call and return.

use std::rc::Rc;

use super::native::{Args, Flow, NativeFn, NativeReturn, QuickFn, ANY};
use super::slow::Registers;
use super::{Vm, RECURSION_LIMIT, WINDOW};
use crate::compile::{Code, Reg, NO_ARITY};
use crate::heap::{Class, Function, NativeId, Outcome, Value};

/// What a call of something that is no function of the program comes to.
pub(super) enum Called {
    /// It is done.
    Done,
    /// A native goes on later.
    Flow(Flow),
    /// The long way must be gone, with so many arguments.
    Slow(usize),
    /// The function in `t` is to be entered: its arguments are laid out.
    Enter(Rc<Code>),
    /// The same of an `__init__`, whose instance (owned) is the value of the call.
    Init(Rc<Code>, Value),
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

    /// The code of the function that `globals[g]` is known to be bound to, if it can be entered at once. The
    /// function itself is not held: nothing of it is needed while it runs, and a frame below holds its namespace.
    #[inline(always)]
    pub(super) fn enters_known(&mut self, code: &Code, g: u16, count: u8, depth: usize) -> Option<Rc<Code>> {
        let site = &code.globals[usize::from(g)];
        if site.bound.get() != self.heap.rebindings {
            return None;
        }
        let data = &self.heap.functions[site.function.get()];
        if data.alone != u16::from(count) || depth >= RECURSION_LIMIT {
            return None;
        }
        self.fuel -= 1;
        if self.fuel < 0 {
            return None;
        }
        Some(Rc::clone(&data.code))
    }

    /// The number of arguments a function is entered with when `count` are given by position: all of
    /// its parameters, if defaults stand for the others.
    #[inline(always)]
    fn filled(&self, function: Function, count: usize) -> Option<usize> {
        let data = &self.heap.functions[function];
        let parameters = usize::from(data.arity);
        let covered = count <= parameters && parameters <= count + data.defaults.len();
        (covered && data.arity != NO_ARITY).then_some(parameters)
    }

    /// Puts defaults behind the `count` arguments in `t + 1, …` of a function that is to be entered with `all`.
    pub(super) fn put_defaults(
        &mut self,
        regs: &mut Registers,
        t: usize,
        count: usize,
        all: usize,
        function: Function,
    ) {
        let defaults = &self.heap.functions[function].defaults;
        let first = defaults.len() + count - all;
        for (place, at) in (t + 1 + count..=t + all).zip(first..) {
            let value = self.heap.functions[function].defaults[at];
            regs[place] = self.heap.share(value);
        }
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
        if epoch != self.heap.class_epoch {
            return None;
        }
        let all = self.filled(function, count + 1)?;
        if t + all >= WINDOW {
            return None;
        }
        let code = self.enters(function, all, depth)?;
        let instance = self.heap.new_instance(class, Value::Unset);
        self.heap.retain(instance);
        regs.copy_within(t + 1..t + 1 + count, t + 2);
        regs[t + 1] = instance;
        if all > count + 1 {
            self.put_defaults(regs, t, count + 1, all, function);
        }
        self.heap.retain_function(function);
        regs[t] = Value::Function(function);
        self.heap.release(Value::Class(class));
        Some((code, instance))
    }

    /// `d = t(t + 1, …)` with `count` arguments, of anything but a program function whose arguments fit at
    /// once. `on_object` says that the callee was found as a method of the first one.
    #[inline(never)]
    pub(super) fn op_call(
        &mut self,
        regs: &mut Registers,
        (d, t, count): (Reg, Reg, usize),
        on_object: bool,
        depth: usize,
    ) -> Outcome<Called> {
        self.depth = depth + 1;
        let (count, on_object) = match regs[usize::from(t)] {
            Value::Native(_) => (count, on_object),
            _ => match self.open_callee(regs, t, count, count) {
                Some(count) => (count, true),
                None => (count, on_object),
            },
        };
        match regs[usize::from(t)] {
            Value::Native(native) => self.call_native(regs, (d, t, count), native, on_object),
            Value::Function(function) => Ok(match self.bind_in_place(regs, t, count, function, depth) {
                Some(code) => Called::Enter(code),
                None => Called::Slow(count),
            }),
            Value::Class(class) => match self.constructor(class) {
                // A built-in type: its constructor takes the class as first argument.
                Some(constructor) => self.run_call(regs, d, usize::from(t), count + 1, constructor),
                None => Ok(Called::Slow(count)),
            },
            _ => Ok(Called::Slow(count)),
        }
    }

    /// Replaces a method in `t` by what it calls, with its object as the first argument; how many arguments
    /// there are then. `None` leaves all as it is. `count` are given, `positional` of them by position.
    #[inline(always)]
    pub(super) fn open_callee(
        &mut self,
        regs: &mut Registers,
        t: Reg,
        count: usize,
        positional: usize,
    ) -> Option<usize> {
        match regs[usize::from(t)] {
            Value::Method(_) | Value::BoundNative(_) => {
                self.open_bound(regs, usize::from(t), count, positional)
            }
            _ => None,
        }
    }

    fn open_bound(
        &mut self,
        regs: &mut Registers,
        t: usize,
        count: usize,
        positional: usize,
    ) -> Option<usize> {
        if t + count + 2 > WINDOW {
            return None;
        }
        let (callee, object) = match regs[t] {
            Value::Method(method) => {
                let data = self.heap.methods[method];
                if data.object.is_unset() {
                    // An unbound method: the first argument must be an instance of its class.
                    if positional == 0 || !self.heap.is_instance(regs[t + 1], data.class) {
                        return None;
                    }
                    let old = std::mem::replace(&mut regs[t], self.heap.share(data.function));
                    self.heap.release(old);
                    return Some(count);
                }
                (data.function, data.object)
            }
            Value::BoundNative(bound) => {
                let data = self.heap.bound_natives[bound];
                (Value::Native(data.native), data.object)
            }
            _ => return None,
        };
        regs.copy_within(t + 1..t + 1 + count, t + 2);
        regs[t + 1] = self.heap.share(object);
        let old = std::mem::replace(&mut regs[t], self.heap.share(callee));
        self.heap.release(old);
        Some(count + 1)
    }

    /// Lays out the `count` arguments of a call from `t + 1` on as the function wants them, where that needs no error
    /// message: defaults, the tuple of the surplus and the dict of the keywords behind them.
    /// Its code, if it can be entered now; else nothing has been changed.
    pub(super) fn bind_in_place(
        &mut self,
        regs: &mut Registers,
        t: Reg,
        count: usize,
        function: Function,
        depth: usize,
    ) -> Option<Rc<Code>> {
        let data = &self.heap.functions[function];
        let code = Rc::clone(&data.code);
        let (parameters, defaults) = (usize::from(code.parameters), data.defaults.len());
        let first = usize::from(t) + 1;
        let end = first + parameters.max(count) + 2;
        if depth >= RECURSION_LIMIT || self.fuel < 1 || end > WINDOW {
            return None;
        }
        if (count > parameters && !code.star) || parameters > count + defaults {
            return None;
        }
        if count < parameters {
            self.put_defaults(regs, first - 1, count, parameters, function);
        }
        if code.star {
            self.put_surplus(regs, first + parameters, count.saturating_sub(parameters));
        }
        if code.double_star {
            regs[first + parameters + usize::from(code.star)] = Value::Dict(self.heap.new_dict());
        }
        self.fuel -= 1;
        Some(code)
    }

    /// Puts the `count` values from `at` on into a tuple, which takes the place of the first.
    pub(super) fn put_surplus(&mut self, regs: &mut Registers, at: usize, count: usize) {
        let surplus = &mut regs[at..at + count];
        let tuple = self.heap.new_tuple(surplus);
        surplus.fill(Value::Unset);
        regs[at] = tuple;
    }

    /// The short way of calling a built-in.
    #[inline(always)]
    fn quick_way(&self, callee: Value) -> Option<QuickFn> {
        match callee {
            Value::Native(native) => self.native(native).quick,
            Value::Class(class) => self.quick_constructor(class),
            _ => None,
        }
    }

    /// `d = t(t + 1, …)` with `count` arguments by the short way of a built-in, if `t` has one that takes them.
    #[inline(never)]
    pub(super) fn call_quick(&mut self, regs: &mut Registers, d: Reg, t: Reg, count: usize) -> bool {
        let t = usize::from(t);
        let callee = regs[t];
        let Some(quick) = self.quick_way(callee) else { return false };
        let Some(args) = regs.get_mut(t + 1..t + 1 + count) else { return false };
        let value = quick(self, args);
        if value.is_unset() {
            return false;
        }
        for place in args {
            let old = std::mem::replace(place, Value::Unset);
            self.heap.release(old);
        }
        regs[t] = Value::Unset;
        if let Value::Class(_) = callee {
            self.heap.release(callee);
        }
        self.put(regs, d, value);
        true
    }

    /// `d = globals[g](a)` by the short way of a built-in; else false, and the call is laid out from `t` on.
    #[inline(never)]
    pub(super) fn op_builtin(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        (d, t, a): (Reg, Reg, Reg),
        g: u16,
    ) -> Outcome<bool> {
        let site = &code.globals[usize::from(g)];
        let version = u64::from(self.heap.dicts[code.home.get()].table.version());
        let callee = match site.version.get() == version {
            true => site.builtin.get(),
            false => self.op_callee(code, g)?,
        };
        if let Some(quick) = self.quick_way(callee) {
            // The only argument of a function is never taken out.
            let value = quick(self, std::slice::from_mut(&mut regs[usize::from(a)]));
            if !value.is_unset() {
                self.consume(regs, code.locals, a);
                self.put(regs, d, value);
                return Ok(true);
            }
        }
        let argument = self.own(regs, code, a)?;
        regs[usize::from(t)] = self.heap.share(callee);
        regs[usize::from(t.wrapping_add(1))] = argument;
        Ok(false)
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
        Ok(Called::Slow(count))
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

    /// `d = globals[g](t + 1, …)` of what is not remembered yet, or is no function of the program.
    #[inline(never)]
    pub(super) fn call_global(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        (d, t, count): (Reg, Reg, usize),
        g: u16,
        depth: usize,
    ) -> Outcome<Called> {
        let callee = self.op_callee(code, g)?;
        regs[usize::from(t)] = self.heap.share(callee);
        if self.call_quick(regs, d, t, count) {
            return Ok(Called::Done);
        }
        match callee {
            Value::Native(native) => {
                self.depth = depth + 1;
                return self.call_native(regs, (d, t, count), native, false);
            }
            Value::Function(function) => {
                if let Some(callee) = self.enters(function, count, depth) {
                    return Ok(Called::Enter(callee));
                }
            }
            Value::Class(class) => {
                if let Some((callee, instance)) = self.constructs(regs, class, (t, count), depth) {
                    return Ok(Called::Init(callee, instance));
                }
            }
            _ => {}
        }
        self.op_call(regs, (d, t, count), false, depth)
    }

    /// Raises unless `globals[g]` is bound.
    #[inline(always)]
    pub(super) fn op_need_global(&mut self, code: &Code, g: u16) -> Outcome<()> {
        if code.globals[usize::from(g)].bound.get() != self.heap.rebindings {
            self.op_callee(code, g)?;
        }
        Ok(())
    }

    /// `d = len(a)` if `globals[g]` is known to be the built-in one and `a` of a usual kind; else nothing is done.
    #[inline(always)]
    pub(super) fn op_len(&mut self, regs: &mut Registers, code: &Code, d: Reg, a: Reg, g: u16) -> bool {
        let site = &code.globals[usize::from(g)];
        let version = self.heap.dicts[code.home.get()].table.version();
        if site.version.get() != u64::from(version) || !site.builtin.get().same(self.len) {
            return false;
        }
        let length = match regs[usize::from(a)] {
            Value::Str(text) => self.heap.bytes(text).len(),
            Value::List(list) => self.heap.list(list).len(),
            Value::Tuple(tuple) => self.heap.tuple(tuple).len(),
            Value::Dict(dict) => self.heap.dicts[dict].table.len(),
            _ => return false,
        };
        self.consume(regs, code.locals, a);
        self.put(regs, d, Value::Int(length as i64));
        true
    }

    /// Lays out a call `globals[g](a)` in `t` and `t + 1`.
    #[inline(never)]
    pub(super) fn lay_out_len(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        (a, t): (Reg, Reg),
        g: u16,
    ) -> Outcome<()> {
        let callee = self.op_callee(code, g)?;
        let value = self.own(regs, code, a)?;
        regs[usize::from(t)] = self.heap.share(callee);
        regs[usize::from(t.wrapping_add(1))] = value;
        Ok(())
    }

    /// The callee `globals[g]` of a call: borrowed. A function is remembered.
    #[inline(never)]
    pub(super) fn op_callee(&mut self, code: &Code, g: u16) -> Outcome<Value> {
        let site = &code.globals[usize::from(g)];
        let home = code.home.get();
        let table = &self.heap.dicts[home].table;
        let callee = match table.slots().get(site.position.get() as usize) {
            Some(entry) if matches!(entry.key, Value::Str(name) if name == site.name) => entry.value,
            _ => self.global_slow(code, g)?,
        };
        if let Value::Function(function) = callee {
            if self.heap.functions[function].globals == home {
                site.function.set(function);
                site.bound.set(self.heap.rebindings);
            }
        }
        Ok(callee)
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
