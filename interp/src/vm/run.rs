//! The loop that runs code.
//!
//! One match over the instructions, with the fast paths in place and everything
//! else in `slow.rs` and the modules beside it. Registers are a window of
//! 256 on the thread's stack, so that no access is checked; calls put the window of
//! the callee over the arguments.

use std::rc::Rc;

use super::attribute::{class_key, Callee};
use super::call::Extra;
use super::exception::RaisePlan;
use super::native::{Args, CallRequest, Flow, NativeReturn, Resume};
use super::slow::{version_of, Registers};
use super::thread::{Frame, FrameKind, Invoke, Pending, Stop, Thread, Uncaught};
use super::{Vm, RECURSION_LIMIT, WINDOW};
use crate::compile::{Code, Op, Reg, IN_INSTANCE};
use crate::heap::{Builtin, Class, Raised, Value};
use crate::syntax::ast::{BinaryOperator, CompareOperator};

/// Why the inner loop is left.
enum Exit {
    /// Something was raised at the instruction before `pc`.
    Raise(Raised),
    /// Call what lies in register `t` with `count` arguments; the value goes to `d`.
    Call { d: Reg, t: Reg, count: usize },
    /// The same with keywords.
    CallExtra { d: Reg, t: Reg, count: usize, extra: Extra },
    /// Return this: owned.
    Return(Value),
    /// A native goes on later; the value goes to `d`.
    Flow(Flow, Reg),
    /// A native goes on later; then the instruction is run again.
    Again(Flow),
    /// A piece is being printed; then the code goes on at `pc`.
    Print(Flow),
    /// Run a `__del__`, then the instruction again.
    Finalize,
    /// The fuel is used up.
    Fuel,
}

/// What the outer loop does next.
enum Action {
    /// Run this code.
    Run(Rc<Code>, usize, usize),
    /// Hand a value to the frame on top: owned.
    Deliver(Value),
    /// Let an exception go through the frame on top.
    Unwind(Raised),
    /// Call what lies at this place of the stack.
    Invoke(usize, usize, Extra),
    /// Do what a native wishes; it was called with the stack free from this place on.
    Flow(Flow, usize),
}

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

/// A callee that no frame's stack has room for.
#[inline(always)]
fn window(stack: &mut [Value], base: usize) -> Option<&mut Registers> {
    stack.get_mut(base..)?.first_chunk_mut::<WINDOW>()
}

impl Vm {
    /// Runs a thread until it ends, waits, or has used up `self.fuel`.
    pub(crate) fn run_thread(&mut self, thread: &mut Thread) -> Stop {
        let mut action = match std::mem::replace(&mut thread.pending, Pending::Blocked) {
            Pending::Start(callee, args) => {
                Thread::reach(&mut thread.stack, args.len(), &mut self.heap);
                thread.stack[0] = callee;
                let count = args.len();
                thread.stack[1..=count].copy_from_slice(&args);
                Action::Invoke(0, count, Extra::default())
            }
            Pending::Deliver(value) => Action::Deliver(value),
            Pending::Raise(exception) => Action::Unwind(self.heap.raise_value(exception)),
            Pending::Continue => Action::Deliver(Value::None),
            Pending::Blocked => return Stop::Blocked,
        };
        loop {
            action = match action {
                Action::Run(code, pc, base) => match self.run_code(thread, code, pc, base) {
                    Ok(action) => action,
                    Err(stop) => return stop,
                },
                Action::Deliver(value) => match thread.frames.pop() {
                    None => return Stop::Done(Ok(value)),
                    Some(frame) => self.deliver(thread, frame, value),
                },
                Action::Unwind(raised) => match thread.frames.pop() {
                    None => {
                        let (exception, trace) = self.heap.take_raised_trace(raised);
                        return Stop::Done(Err(Uncaught { exception, trace }));
                    }
                    Some(frame) => self.unwind(thread, frame, raised),
                },
                Action::Invoke(at, count, extra) => {
                    self.depth = thread.frames.len();
                    if thread.frames.len() >= RECURSION_LIMIT {
                        self.clear(&mut thread.stack, at, count + 1);
                        extra.keywords.into_iter().for_each(|(_, value)| self.heap.release(value));
                        Action::Unwind(self.too_deep_calls())
                    } else {
                        match self.invoke(&mut thread.stack, at, count, extra) {
                            Invoke::Enter(code) => {
                                Thread::reach(&mut thread.stack, at, &mut self.heap);
                                self.fuel -= 1;
                                if self.fuel < 0 {
                                    thread.frames.push(code_frame(code, 0, at, 0, FrameKind::Interrupted));
                                    return Stop::Fuel;
                                }
                                Action::Run(code, 0, at)
                            }
                            Invoke::EnterInit(code, instance) => {
                                Thread::reach(&mut thread.stack, at, &mut self.heap);
                                thread.instances.push(instance);
                                match thread.frames.last_mut() {
                                    Some(frame) if frame.kind == FrameKind::Store => {
                                        frame.kind = FrameKind::Init;
                                    }
                                    _ => thread.frames.push(Frame {
                                        code: None,
                                        pc: 0,
                                        base: at as u32,
                                        dst: 0,
                                        kind: FrameKind::Init,
                                    }),
                                }
                                Action::Run(code, 0, at)
                            }
                            Invoke::Value(value) => Action::Deliver(value),
                            Invoke::Flow(flow) => Action::Flow(flow, at),
                            Invoke::Raised(raised) => Action::Unwind(raised),
                        }
                    }
                }
                Action::Flow(flow, at) => {
                    let (state, stop) = match flow {
                        Flow::Value(value) => {
                            action = Action::Deliver(value);
                            continue;
                        }
                        Flow::Call(request) => {
                            let CallRequest { callee, args, then } = *request;
                            thread.natives.push(then);
                            thread.frames.push(native_frame(at));
                            let count = args.len();
                            Thread::reach(&mut thread.stack, at + count, &mut self.heap);
                            thread.stack[at] = callee;
                            thread.stack[at + 1..=at + count].copy_from_slice(&args);
                            action = Action::Invoke(at, count, Extra::default());
                            continue;
                        }
                        Flow::Yield(state) => {
                            if self.fuel >= 0 {
                                action = match state.resume(self, Value::None) {
                                    Ok(flow) => Action::Flow(flow, at),
                                    Err(raised) => Action::Unwind(raised),
                                };
                                continue;
                            }
                            (Some(state), Stop::Fuel)
                        }
                        Flow::Block(state) => (state, Stop::Blocked),
                    };
                    if let Some(state) = state {
                        thread.natives.push(state);
                        thread.frames.push(native_frame(at));
                    }
                    return stop;
                }
            };
        }
    }

    #[cold]
    fn too_deep_calls(&mut self) -> Raised {
        self.heap.raise(Builtin::RuntimeError, "maximum recursion depth exceeded")
    }

    /// Gives a value to a frame.
    fn deliver(&mut self, thread: &mut Thread, frame: Frame, value: Value) -> Action {
        let base = frame.base as usize;
        let value = match frame.kind {
            FrameKind::Store => value,
            FrameKind::Init => match self.finish_init(value, thread.instances.pop().unwrap_or(Value::None)) {
                Ok(instance) => instance,
                Err(raised) => {
                    return match frame.code {
                        None => Action::Unwind(raised),
                        Some(_) => {
                            let frame = Frame { kind: FrameKind::Store, ..frame };
                            self.unwind(thread, frame, raised)
                        }
                    };
                }
            },
            FrameKind::Discard | FrameKind::Interrupted => {
                self.heap.release(value);
                return match frame.code {
                    Some(code) => Action::Run(code, frame.pc as usize, base),
                    None => Action::Deliver(Value::None),
                };
            }
            FrameKind::Native => {
                let Some(state) = thread.natives.pop() else { return Action::Deliver(value) };
                self.depth = thread.frames.len();
                return match state.resume(self, value) {
                    Ok(Flow::Value(value)) => Action::Deliver(value),
                    Ok(flow) => Action::Flow(flow, base),
                    Err(raised) => Action::Unwind(raised),
                };
            }
        };
        match frame.code {
            Some(code) => {
                let place = &mut thread.stack[base + usize::from(frame.dst)];
                let old = std::mem::replace(place, value);
                self.heap.release(old);
                Action::Run(code, frame.pc as usize, base)
            }
            None => Action::Deliver(value),
        }
    }

    /// Lets an exception go through a frame: to a handler of it, or out of it.
    fn unwind(&mut self, thread: &mut Thread, frame: Frame, raised: Raised) -> Action {
        match frame.kind {
            FrameKind::Init => {
                if let Some(instance) = thread.instances.pop() {
                    self.heap.release(instance);
                }
            }
            FrameKind::Native => {
                if let Some(state) = thread.natives.pop() {
                    state.abandon(self);
                }
                return Action::Unwind(raised);
            }
            FrameKind::Discard => {
                // A __del__ has raised: 2.7 says "ignored" on stderr and goes on.
                let exception = self.heap.take_raised(raised);
                self.heap.release(exception);
                return match frame.code {
                    Some(code) => Action::Run(code, frame.pc as usize, frame.base as usize),
                    None => Action::Deliver(Value::None),
                };
            }
            _ => {}
        }
        let Some(code) = frame.code else { return Action::Unwind(raised) };
        let base = frame.base as usize;
        self.raise_in(thread, code, frame.pc as usize, base, raised)
    }

    /// Handles an exception raised at the instruction before `pc`.
    #[inline(never)]
    fn raise_in(
        &mut self,
        thread: &mut Thread,
        code: Rc<Code>,
        pc: usize,
        base: usize,
        raised: Raised,
    ) -> Action {
        let place = (pc as u32).wrapping_sub(1);
        self.heap.note_trace(&code, place);
        let found = code.handlers.iter().find(|range| range.start <= place && place < range.end).copied();
        if let Some(range) = found {
            let first = base + usize::from(range.keep);
            let end = base + usize::from(code.registers);
            self.clear(&mut thread.stack, first, end - first);
            let (exception, trace) = self.heap.take_raised_trace(raised);
            thread.stack[first] = exception;
            thread.stack[first + 1] = trace;
            return Action::Run(code, range.handler as usize, base);
        }
        let old = self.restore_handled(&mut thread.handled, &code, &mut thread.stack[base..]);
        self.heap.release(old.0);
        self.heap.release(old.1);
        self.clear(&mut thread.stack, base, usize::from(code.registers));
        Action::Unwind(raised)
    }

    /// At the end of a call that has handled exceptions: the caller's comes back.
    #[inline(never)]
    fn end_handling(&mut self, handled: &mut (Value, Value), code: &Rc<Code>, regs: &mut Registers) {
        let old = self.restore_handled(handled, code, regs);
        self.heap.release(old.0);
        self.heap.release(old.1);
    }

    fn restore_handled(
        &mut self,
        handled: &mut (Value, Value),
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

    /// Runs code until something happens that concerns other frames.
    #[allow(clippy::cognitive_complexity, clippy::too_many_lines)] // The loop.
    fn run_code(
        &mut self,
        thread: &mut Thread,
        code: Rc<Code>,
        pc: usize,
        base: usize,
    ) -> Result<Action, Stop> {
        let (mut running, mut pc, mut base) = (code, pc, base);
        let Thread { stack, frames, handled, .. } = thread;
        let exit = 'frame: loop {
            // Everything reaches the code through `running`: one pointer to keep at hand.
            let code: &Rc<Code> = &running;
            let ops: &[Op] = &code.ops;
            let Some(regs) = window(stack, base) else {
                Thread::reach(stack, base, &mut self.heap);
                continue 'frame;
            };

            macro_rules! reg {
                ($r:expr) => {
                    regs[$r as usize]
                };
            }
            macro_rules! attempt {
                ($e:expr) => {
                    match $e {
                        Ok(value) => value,
                        Err(raised) => break 'frame Exit::Raise(raised),
                    }
                };
            }
            macro_rules! put {
                ($d:expr, $v:expr) => {{
                    let value = $v;
                    self.put(regs, $d, value)
                }};
            }
            macro_rules! step {
                ($d:expr, $e:expr) => {
                    match $e {
                        Ok(None) => {}
                        Ok(Some(flow)) => break 'frame Exit::Flow(flow, $d),
                        Err(raised) => break 'frame Exit::Raise(raised),
                    }
                };
            }
            macro_rules! jump {
                ($to:expr) => {{
                    pc = $to as usize;
                    self.fuel -= 1;
                    if self.fuel < 0 {
                        break 'frame Exit::Fuel;
                    }
                }};
            }
            macro_rules! leave {
                ($value:expr) => {{
                    if let Value::Function(function) = reg!(0) {
                        reg!(0) = Value::Unset;
                        self.heap.release_function(function);
                    }
                    for r in 1..code.locals {
                        let old = reg!(r);
                        if old.is_counted() {
                            reg!(r) = Value::Unset;
                            self.drop_value(old);
                        }
                    }
                    let value = $value;
                    match frames.pop() {
                        Some(Frame { code: Some(caller), pc: at, base: b, dst, kind: FrameKind::Store }) => {
                            running = caller;
                            pc = at as usize;
                            base = b as usize;
                            let place = &mut stack[base + dst as usize];
                            let old = std::mem::replace(place, value);
                            if old.is_counted() {
                                self.drop_value(old);
                            }
                            continue 'frame;
                        }
                        Some(frame) => {
                            frames.push(frame);
                            break 'frame Exit::Return(value);
                        }
                        None => break 'frame Exit::Return(value),
                    }
                }};
            }
            macro_rules! call {
                ($d:expr, $t:expr, $count:expr, $on_object:expr) => {{
                    let (d, t, count): (Reg, Reg, usize) = ($d, $t, $count);
                    match reg!(t) {
                        Value::Function(function) => {
                            let callee = &self.heap.functions[function].code;
                            if callee.arity as usize == count {
                                self.fuel -= 1;
                                if frames.len() < RECURSION_LIMIT && self.fuel >= 0 {
                                    let callee = Rc::clone(callee);
                                    let caller = std::mem::replace(&mut running, callee);
                                    frames.push(Frame {
                                        code: Some(caller),
                                        pc: pc as u32,
                                        base: base as u32,
                                        dst: d,
                                        kind: FrameKind::Store,
                                    });
                                    base += t as usize;
                                    pc = 0;
                                    continue 'frame;
                                }
                            }
                        }
                        Value::Native(native) => {
                            let first = t.wrapping_add(1) as usize;
                            if $on_object && Value::Native(native).same(self.append) && count == 2 {
                                if let Value::List(list) = reg!(t + 1) {
                                    let item = std::mem::replace(&mut reg!(t + 2), Value::Unset);
                                    let items = &mut self.heap.lists[list].items;
                                    if items.len() < items.capacity() {
                                        items.push(item);
                                    } else {
                                        attempt!(self.heap.list_push(list, item));
                                    }
                                    put!(t + 1, Value::Unset);
                                    put!(d, Value::None);
                                    continue;
                                }
                            }
                            let row = self.native(native);
                            let (call, method) = (row.call, row.method);
                            let fits = {
                                let given = count.wrapping_sub(usize::from(method));
                                given >= usize::from(row.min)
                                    && (given <= usize::from(row.max) || row.max == super::native::ANY)
                            };
                            // The object of a method found in its own class needs no check
                            // unless it is an instance; one taken from a class does.
                            let direct = !method || ($on_object && self.is_own_method(native, reg!(t + 1)));
                            if fits && direct {
                                let args = Args { positional: &regs[first..first + count], keywords: &[] };
                                let result = call(self, args);
                                for place in &mut regs[first..first + count] {
                                    let old = std::mem::replace(place, Value::Unset);
                                    if old.is_counted() {
                                        self.drop_value(old);
                                    }
                                }
                                reg!(t) = Value::Unset;
                                match attempt!(result) {
                                    Flow::Value(value) => {
                                        put!(d, value);
                                        continue;
                                    }
                                    flow => break 'frame Exit::Flow(flow, d),
                                }
                            }
                        }
                        Value::Class(class) => {
                            // A built-in type: its constructor takes the class as first argument.
                            if let Some(constructor) = self.constructor(class) {
                                let all = t as usize..t as usize + 1 + count;
                                let args = Args { positional: &regs[all.clone()], keywords: &[] };
                                let result = constructor(self, args);
                                for place in &mut regs[all] {
                                    let old = std::mem::replace(place, Value::Unset);
                                    if old.is_counted() {
                                        self.drop_value(old);
                                    }
                                }
                                match attempt!(result) {
                                    Flow::Value(value) => {
                                        put!(d, value);
                                        continue;
                                    }
                                    flow => break 'frame Exit::Flow(flow, d),
                                }
                            }
                        }
                        _ => {}
                    }
                    break 'frame Exit::Call { d, t, count };
                }};
            }
            macro_rules! arithmetic {
                ($operator:ident, $d:expr, $a:expr, $b:expr, $inplace:expr, $int:expr, $float:expr) => {{
                    match (reg!($a), reg!($b)) {
                        (Value::Int(x), Value::Int(y)) => {
                            if let Some(z) = $int(x, y) {
                                put!($d, Value::Int(z));
                                continue;
                            }
                        }
                        (Value::Float(x), Value::Float(y)) => {
                            if let Some(z) = $float(x.get(), y.get()) {
                                put!($d, Value::float(z));
                                continue;
                            }
                        }
                        (Value::Float(x), Value::Int(y)) => {
                            if let Some(z) = $float(x.get(), y as f64) {
                                put!($d, Value::float(z));
                                continue;
                            }
                        }
                        (Value::Int(x), Value::Float(y)) => {
                            if let Some(z) = $float(x as f64, y.get()) {
                                put!($d, Value::float(z));
                                continue;
                            }
                        }
                        _ => {}
                    }
                    step!($d, self.binary_slow(regs, code, BinaryOperator::$operator, $d, $a, $b, $inplace));
                }};
            }
            macro_rules! integer {
                ($operator:ident, $d:expr, $a:expr, $b:expr, $inplace:expr, $int:expr) => {{
                    if let (Value::Int(x), Value::Int(y)) = (reg!($a), reg!($b)) {
                        if let Some(z) = $int(x, y) {
                            put!($d, Value::Int(z));
                            continue;
                        }
                    }
                    step!($d, self.binary_slow(regs, code, BinaryOperator::$operator, $d, $a, $b, $inplace));
                }};
            }
            macro_rules! with_int {
                ($operator:ident, $d:expr, $a:expr, $i:expr, $inplace:expr, $int:expr) => {{
                    if let Value::Int(x) = reg!($a) {
                        if let Some(z) = $int(x, i64::from($i)) {
                            put!($d, Value::Int(z));
                            continue;
                        }
                    }
                    step!(
                        $d,
                        self.binary_int_slow(regs, code, BinaryOperator::$operator, $d, $a, ($i, $inplace))
                    );
                }};
            }
            macro_rules! with_int_or_float {
                ($operator:ident, $d:expr, $a:expr, $i:expr, $inplace:expr, $int:expr, $float:expr) => {{
                    match reg!($a) {
                        Value::Int(x) => {
                            if let Some(z) = $int(x, i64::from($i)) {
                                put!($d, Value::Int(z));
                                continue;
                            }
                        }
                        Value::Float(x) => {
                            put!($d, Value::float($float(x.get(), f64::from($i))));
                            continue;
                        }
                        _ => {}
                    }
                    step!(
                        $d,
                        self.binary_int_slow(regs, code, BinaryOperator::$operator, $d, $a, ($i, $inplace))
                    );
                }};
            }
            macro_rules! branch {
                ($operator:ident, $a:expr, $b:expr, $to:expr, $wanted:expr, $int:expr, $float:expr) => {{
                    let holds = match (reg!($a), reg!($b)) {
                        (Value::Int(x), Value::Int(y)) => $int(&x, &y),
                        (Value::Float(x), Value::Float(y)) => $float(&x.get(), &y.get()),
                        _ => attempt!(self.compare_slow(regs, code, CompareOperator::$operator, $a, $b)),
                    };
                    if holds == $wanted {
                        jump!($to);
                    }
                }};
            }
            macro_rules! branch_int {
                ($operator:ident, $a:expr, $i:expr, $to:expr, $wanted:expr, $int:expr, $float:expr) => {{
                    let holds = match reg!($a) {
                        Value::Int(x) => $int(&x, &i64::from($i)),
                        Value::Float(x) => $float(&x.get(), &f64::from($i)),
                        _ => {
                            let right = Value::Int(i64::from($i));
                            attempt!(self.compare_const_slow(
                                regs,
                                code,
                                CompareOperator::$operator,
                                $a,
                                right
                            ))
                        }
                    };
                    if holds == $wanted {
                        jump!($to);
                    }
                }};
            }

            loop {
                let at = pc;
                pc += 1;
                match ops[at] {
                    Op::Copy { d, a } => {
                        let value = reg!(a);
                        if value.is_unset() {
                            break 'frame Exit::Raise(self.unbound(code, a));
                        }
                        self.heap.retain(value);
                        put!(d, value);
                    }
                    Op::CopyBound { d, a } => {
                        let value = reg!(a);
                        self.heap.retain(value);
                        put!(d, value);
                    }
                    Op::Take { d, a } => {
                        let value = std::mem::replace(&mut reg!(a), Value::Unset);
                        put!(d, value);
                    }
                    Op::Constant { d, k } => {
                        let value = code.constants[k as usize];
                        self.heap.retain(value);
                        put!(d, value);
                    }
                    Op::Int { d, value } => put!(d, Value::Int(i64::from(value))),
                    Op::None { d } => put!(d, Value::None),
                    Op::Truth { d, value } => put!(d, Value::bool(value)),
                    Op::Clear { from, to } => regs[from as usize..to as usize].fill(Value::Unset),
                    Op::Drop { d } => put!(d, Value::Unset),
                    Op::DeleteLocal { d } => {
                        if reg!(d).is_unset() {
                            break 'frame Exit::Raise(self.unbound(code, d));
                        }
                        put!(d, Value::Unset);
                    }

                    Op::Global { d, g } => {
                        let site = &code.globals[g as usize];
                        if let Some(dict) = self.globals_of(reg!(0)) {
                            let table = &self.heap.dicts[dict].table;
                            if let Some(entry) = table.slots().get(site.position.get() as usize) {
                                if matches!(entry.key, Value::Str(name) if name == site.name) {
                                    let value = entry.value;
                                    self.heap.retain(value);
                                    put!(d, value);
                                    continue;
                                }
                            }
                            if site.version.get() == version_of(dict, table.version()) {
                                let value = site.builtin.get();
                                self.heap.retain(value);
                                put!(d, value);
                                continue;
                            }
                        }
                        let value = attempt!(self.global_slow(regs, code, g));
                        self.heap.retain(value);
                        put!(d, value);
                    }
                    Op::SetGlobal { a, g } => {
                        let value = attempt!(self.own(regs, code, a));
                        let site = &code.globals[g as usize];
                        if let Some(dict) = self.globals_of(reg!(0)) {
                            let table = &mut self.heap.dicts[dict].table;
                            let position = site.position.get() as usize;
                            if let Some(entry) = table.slots().get(position) {
                                if matches!(entry.key, Value::Str(name) if name == site.name) {
                                    let old = table.set_value(position, value);
                                    self.heap.release(old);
                                    continue;
                                }
                            }
                        }
                        attempt!(self.set_global_slow(regs, code, g, value));
                    }
                    Op::DeleteGlobal { g } => attempt!(self.delete_global(regs, code, g)),
                    Op::CellGet { d, c } => {
                        let value = match reg!(c) {
                            Value::Cell(cell) => self.heap.cells[cell].value,
                            _ => Value::Unset,
                        };
                        if value.is_unset() {
                            break 'frame Exit::Raise(self.unbound(code, c));
                        }
                        self.heap.retain(value);
                        put!(d, value);
                    }
                    Op::CellSet { c, a } => {
                        let value = attempt!(self.own(regs, code, a));
                        if let Value::Cell(cell) = reg!(c) {
                            let old = std::mem::replace(&mut self.heap.cells[cell].value, value);
                            self.heap.release(old);
                        }
                    }
                    Op::CellNew { d } => {
                        let value = std::mem::replace(&mut reg!(d), Value::Unset);
                        let cell = self.heap.new_cell(value);
                        reg!(d) = Value::Cell(cell);
                    }
                    Op::Free { d, index } => {
                        let value = match reg!(0) {
                            Value::Function(function) => {
                                match self.heap.functions[function].cells.get(index as usize) {
                                    Some(cell) => self.heap.cells[*cell].value,
                                    None => Value::Unset,
                                }
                            }
                            _ => Value::Unset,
                        };
                        if value.is_unset() {
                            break 'frame Exit::Raise(self.unbound_free(code, index));
                        }
                        self.heap.retain(value);
                        put!(d, value);
                    }
                    Op::WideNew { d, count } => {
                        let list = self.heap.new_list(vec![Value::Unset; count as usize]);
                        put!(d, list);
                    }
                    Op::WideGet { d, w, index } => {
                        let value = match reg!(w) {
                            Value::List(list) => self.heap.list(list)[index as usize],
                            _ => Value::Unset,
                        };
                        if value.is_unset() {
                            break 'frame Exit::Raise(self.unbound_wide(code, index));
                        }
                        self.heap.retain(value);
                        put!(d, value);
                    }
                    Op::WideSet { w, a, index } => {
                        let value = attempt!(self.own(regs, code, a));
                        if let Value::List(list) = reg!(w) {
                            let place = &mut self.heap.lists[list].items[index as usize];
                            let old = std::mem::replace(place, value);
                            self.heap.release(old);
                        }
                    }
                    Op::WideDelete { w, index } => {
                        if let Value::List(list) = reg!(w) {
                            let place = &mut self.heap.lists[list].items[index as usize];
                            let old = std::mem::replace(place, Value::Unset);
                            if old.is_unset() {
                                break 'frame Exit::Raise(self.unbound_wide(code, index));
                            }
                            self.heap.release(old);
                        }
                    }
                    Op::ClassGet { d, n, g } => {
                        let name = code.globals[g as usize].name;
                        let found = match reg!(n) {
                            Value::Dict(dict) => {
                                let hash = self.heap.hash_str(name);
                                let table = &self.heap.dicts[dict].table;
                                table.find_str(&self.heap, hash, name).map(|at| table.value(at))
                            }
                            _ => None,
                        };
                        let value = match found {
                            Some(value) => value,
                            None => attempt!(self.global_slow(regs, code, g)),
                        };
                        self.heap.retain(value);
                        put!(d, value);
                    }
                    Op::ClassSet { n, a, g } => {
                        let value = attempt!(self.own(regs, code, a));
                        let name = code.globals[g as usize].name;
                        if let Value::Dict(dict) = reg!(n) {
                            attempt!(self.heap.dict_set(dict, Value::Str(name), value));
                        }
                    }
                    Op::ClassDelete { n, g } => {
                        let name = code.globals[g as usize].name;
                        let removed = match reg!(n) {
                            Value::Dict(dict) => attempt!(self.heap.dict_remove(dict, Value::Str(name))),
                            _ => None,
                        };
                        match removed {
                            Some(value) => self.heap.release(value),
                            None => {
                                let name = self.heap.text(name);
                                let message = format!("name '{name}' is not defined");
                                break 'frame Exit::Raise(self.heap.raise(Builtin::NameError, &message));
                            }
                        }
                    }

                    Op::Add { d, a, b, inplace } => {
                        arithmetic!(Add, d, a, b, inplace, i64::checked_add, |x: f64, y: f64| Some(x + y));
                    }
                    Op::Sub { d, a, b, inplace } => {
                        arithmetic!(Subtract, d, a, b, inplace, i64::checked_sub, |x: f64, y: f64| Some(
                            x - y
                        ));
                    }
                    Op::Mul { d, a, b, inplace } => {
                        arithmetic!(Multiply, d, a, b, inplace, i64::checked_mul, |x: f64, y: f64| Some(
                            x * y
                        ));
                    }
                    Op::Div { d, a, b, inplace } => {
                        arithmetic!(Divide, d, a, b, inplace, floor_div, |x: f64, y: f64| if y == 0.0 {
                            None
                        } else {
                            Some(x / y)
                        });
                    }
                    Op::FloorDiv { d, a, b, inplace } => {
                        integer!(FloorDivide, d, a, b, inplace, floor_div);
                    }
                    Op::Mod { d, a, b, inplace } => integer!(Modulo, d, a, b, inplace, floor_mod),
                    Op::And { d, a, b, inplace } => {
                        integer!(And, d, a, b, inplace, |x: i64, y: i64| Some(x & y));
                    }
                    Op::Or { d, a, b, inplace } => {
                        integer!(Or, d, a, b, inplace, |x: i64, y: i64| Some(x | y));
                    }
                    Op::Xor { d, a, b, inplace } => {
                        integer!(Xor, d, a, b, inplace, |x: i64, y: i64| Some(x ^ y));
                    }
                    Op::Shl { d, a, b, inplace } => integer!(ShiftLeft, d, a, b, inplace, shift_left),
                    Op::Shr { d, a, b, inplace } => integer!(ShiftRight, d, a, b, inplace, shift_right),
                    Op::Pow { d, a, b, inplace } => {
                        if let (Value::Float(x), Value::Float(y)) = (reg!(a), reg!(b)) {
                            let power = x.get().powf(y.get());
                            if x.get() > 0.0 && power.is_finite() && power != 0.0 {
                                put!(d, Value::float(power));
                                continue;
                            }
                        }
                        step!(d, self.binary_slow(regs, code, BinaryOperator::Power, d, a, b, inplace));
                    }
                    Op::AddInt { d, a, i, inplace } => {
                        with_int_or_float!(Add, d, a, i, inplace, i64::checked_add, |x: f64, y: f64| x + y);
                    }
                    Op::SubInt { d, a, i, inplace } => {
                        with_int_or_float!(Subtract, d, a, i, inplace, i64::checked_sub, |x: f64, y: f64| x
                            - y);
                    }
                    Op::MulInt { d, a, i, inplace } => {
                        with_int_or_float!(Multiply, d, a, i, inplace, i64::checked_mul, |x: f64, y: f64| x
                            * y);
                    }
                    Op::FloorDivInt { d, a, i, inplace } => {
                        with_int!(FloorDivide, d, a, i, inplace, |x: i64, y: i64| Some(x.div_euclid(y)));
                    }
                    Op::DivInt { d, a, i, inplace } => {
                        with_int_or_float!(
                            Divide,
                            d,
                            a,
                            i,
                            inplace,
                            |x: i64, y: i64| Some(x.div_euclid(y)),
                            |x: f64, y: f64| x / y
                        );
                    }
                    Op::ModInt { d, a, i, inplace } => {
                        with_int!(Modulo, d, a, i, inplace, |x: i64, y: i64| Some(x.rem_euclid(y)));
                    }
                    Op::AndInt { d, a, i, inplace } => {
                        with_int!(And, d, a, i, inplace, |x: i64, y: i64| Some(x & y))
                    }
                    Op::OrInt { d, a, i, inplace } => {
                        with_int!(Or, d, a, i, inplace, |x: i64, y: i64| Some(x | y))
                    }
                    Op::XorInt { d, a, i, inplace } => {
                        with_int!(Xor, d, a, i, inplace, |x: i64, y: i64| Some(x ^ y))
                    }
                    Op::AndMask { d, a, inplace, mask } => {
                        if let Value::Int(x) = reg!(a) {
                            put!(d, Value::Int(x & i64::from(mask)));
                            continue;
                        }
                        step!(d, self.binary_mask_slow(regs, code, BinaryOperator::And, d, a, inplace, mask));
                    }
                    Op::XorMask { d, a, inplace, mask } => {
                        if let Value::Int(x) = reg!(a) {
                            put!(d, Value::Int(x ^ i64::from(mask)));
                            continue;
                        }
                        step!(d, self.binary_mask_slow(regs, code, BinaryOperator::Xor, d, a, inplace, mask));
                    }
                    Op::ShlInt { d, a, i, inplace } => with_int!(ShiftLeft, d, a, i, inplace, shift_left),
                    Op::ShrInt { d, a, i, inplace } => {
                        with_int!(ShiftRight, d, a, i, inplace, |x: i64, y: i64| Some(x >> (y & 63)));
                    }
                    Op::Unary { d, a, operator } => {
                        use crate::syntax::ast::UnaryOperator;
                        match (operator, reg!(a)) {
                            (UnaryOperator::Negate, Value::Int(x)) if x != i64::MIN => {
                                put!(d, Value::Int(-x));
                            }
                            (UnaryOperator::Negate, Value::Float(x)) => put!(d, Value::float(-x.get())),
                            (UnaryOperator::Invert, Value::Int(x)) => put!(d, Value::Int(!x)),
                            _ => step!(d, self.unary_slow(regs, code, operator, d, a)),
                        }
                    }
                    Op::Not { d, a } => {
                        let value = reg!(a);
                        if value.is_unset() {
                            break 'frame Exit::Raise(self.unbound(code, a));
                        }
                        let truth = self.truth(value);
                        self.consume(regs, code.locals, a);
                        put!(d, Value::bool(!truth));
                    }

                    Op::Compare { d, a, b, operator } => {
                        let holds = match (reg!(a), reg!(b)) {
                            (Value::Int(x), Value::Int(y)) if operator != CompareOperator::In => {
                                match operator {
                                    CompareOperator::Less => x < y,
                                    CompareOperator::LessEqual => x <= y,
                                    CompareOperator::Greater => x > y,
                                    CompareOperator::GreaterEqual => x >= y,
                                    CompareOperator::Equal | CompareOperator::Is => x == y,
                                    CompareOperator::NotEqual | CompareOperator::IsNot => x != y,
                                    _ => attempt!(self.compare_slow(regs, code, operator, a, b)),
                                }
                            }
                            _ => attempt!(self.compare_slow(regs, code, operator, a, b)),
                        };
                        put!(d, Value::bool(holds));
                    }
                    Op::JumpLess { a, b, to } => branch!(Less, a, b, to, true, i64::lt, f64::lt),
                    Op::JumpLessEqual { a, b, to } => branch!(LessEqual, a, b, to, true, i64::le, f64::le),
                    Op::JumpGreater { a, b, to } => branch!(Greater, a, b, to, true, i64::gt, f64::gt),
                    Op::JumpGreaterEqual { a, b, to } => {
                        branch!(GreaterEqual, a, b, to, true, i64::ge, f64::ge);
                    }
                    Op::JumpNotLess { a, b, to } => branch!(Less, a, b, to, false, i64::lt, f64::lt),
                    Op::JumpNotLessEqual { a, b, to } => {
                        branch!(LessEqual, a, b, to, false, i64::le, f64::le);
                    }
                    Op::JumpNotGreater { a, b, to } => branch!(Greater, a, b, to, false, i64::gt, f64::gt),
                    Op::JumpNotGreaterEqual { a, b, to } => {
                        branch!(GreaterEqual, a, b, to, false, i64::ge, f64::ge);
                    }
                    Op::JumpEqual { a, b, to } => branch!(Equal, a, b, to, true, i64::eq, f64::eq),
                    Op::JumpNotEqual { a, b, to } => branch!(Equal, a, b, to, false, i64::eq, f64::eq),
                    Op::JumpLessInt { a, i, to } => branch_int!(Less, a, i, to, true, i64::lt, f64::lt),
                    Op::JumpLessEqualInt { a, i, to } => {
                        branch_int!(LessEqual, a, i, to, true, i64::le, f64::le);
                    }
                    Op::JumpGreaterInt { a, i, to } => {
                        branch_int!(Greater, a, i, to, true, i64::gt, f64::gt);
                    }
                    Op::JumpGreaterEqualInt { a, i, to } => {
                        branch_int!(GreaterEqual, a, i, to, true, i64::ge, f64::ge);
                    }
                    Op::JumpNotLessInt { a, i, to } => branch_int!(Less, a, i, to, false, i64::lt, f64::lt),
                    Op::JumpNotLessEqualInt { a, i, to } => {
                        branch_int!(LessEqual, a, i, to, false, i64::le, f64::le);
                    }
                    Op::JumpNotGreaterInt { a, i, to } => {
                        branch_int!(Greater, a, i, to, false, i64::gt, f64::gt);
                    }
                    Op::JumpNotGreaterEqualInt { a, i, to } => {
                        branch_int!(GreaterEqual, a, i, to, false, i64::ge, f64::ge);
                    }
                    Op::JumpEqualInt { a, i, to } => branch_int!(Equal, a, i, to, true, i64::eq, f64::eq),
                    Op::JumpNotEqualInt { a, i, to } => {
                        branch_int!(Equal, a, i, to, false, i64::eq, f64::eq);
                    }
                    Op::JumpEqualConst { a, k, to } => {
                        let right = code.constants[k as usize];
                        let holds = match (reg!(a), right) {
                            (Value::Str(x), Value::Str(y)) => {
                                let same = self.heap.same_bytes(x, y);
                                self.consume(regs, code.locals, a);
                                same
                            }
                            _ => attempt!(self.compare_const_slow(
                                regs,
                                code,
                                CompareOperator::Equal,
                                a,
                                right
                            )),
                        };
                        if holds {
                            jump!(to);
                        }
                    }
                    Op::JumpNotEqualConst { a, k, to } => {
                        let right = code.constants[k as usize];
                        let holds = match (reg!(a), right) {
                            (Value::Str(x), Value::Str(y)) => {
                                let same = self.heap.same_bytes(x, y);
                                self.consume(regs, code.locals, a);
                                same
                            }
                            _ => attempt!(self.compare_const_slow(
                                regs,
                                code,
                                CompareOperator::Equal,
                                a,
                                right
                            )),
                        };
                        if !holds {
                            jump!(to);
                        }
                    }
                    Op::JumpIs { a, b, to } => {
                        let (left, right) = (reg!(a), reg!(b));
                        if left.is_unset() || right.is_unset() {
                            let which = if left.is_unset() { a } else { b };
                            break 'frame Exit::Raise(self.unbound(code, which));
                        }
                        let same = left.same(right);
                        self.consume(regs, code.locals, a);
                        self.consume(regs, code.locals, b);
                        if same {
                            jump!(to);
                        }
                    }
                    Op::JumpIsNot { a, b, to } => {
                        let (left, right) = (reg!(a), reg!(b));
                        if left.is_unset() || right.is_unset() {
                            let which = if left.is_unset() { a } else { b };
                            break 'frame Exit::Raise(self.unbound(code, which));
                        }
                        let same = left.same(right);
                        self.consume(regs, code.locals, a);
                        self.consume(regs, code.locals, b);
                        if !same {
                            jump!(to);
                        }
                    }
                    Op::JumpNone { a, to } => {
                        let value = reg!(a);
                        if value.is_unset() {
                            break 'frame Exit::Raise(self.unbound(code, a));
                        }
                        self.consume(regs, code.locals, a);
                        if value.is_none() {
                            jump!(to);
                        }
                    }
                    Op::JumpNotNone { a, to } => {
                        let value = reg!(a);
                        if value.is_unset() {
                            break 'frame Exit::Raise(self.unbound(code, a));
                        }
                        self.consume(regs, code.locals, a);
                        if !value.is_none() {
                            jump!(to);
                        }
                    }
                    Op::JumpIn { a, b, to } => {
                        let found = attempt!(self.contains_step(regs, code, a, b));
                        if found {
                            jump!(to);
                        }
                    }
                    Op::JumpNotIn { a, b, to } => {
                        let found = attempt!(self.contains_step(regs, code, a, b));
                        if !found {
                            jump!(to);
                        }
                    }
                    Op::JumpTrue { a, to } => {
                        let value = reg!(a);
                        let truth = match value {
                            Value::Bool(b) => b.get(),
                            Value::Int(i) => i != 0,
                            Value::Unset => break 'frame Exit::Raise(self.unbound(code, a)),
                            other => {
                                let truth = self.truth(other);
                                self.consume(regs, code.locals, a);
                                truth
                            }
                        };
                        if truth {
                            jump!(to);
                        }
                    }
                    Op::JumpFalse { a, to } => {
                        let value = reg!(a);
                        let truth = match value {
                            Value::Bool(b) => b.get(),
                            Value::Int(i) => i != 0,
                            Value::Unset => break 'frame Exit::Raise(self.unbound(code, a)),
                            other => {
                                let truth = self.truth(other);
                                self.consume(regs, code.locals, a);
                                truth
                            }
                        };
                        if !truth {
                            jump!(to);
                        }
                    }
                    Op::KeepTrue { a, to } => {
                        if self.truth(reg!(a)) {
                            pc = to as usize;
                        } else {
                            self.consume(regs, code.locals, a);
                        }
                    }
                    Op::KeepFalse { a, to } => {
                        if self.truth(reg!(a)) {
                            self.consume(regs, code.locals, a);
                        } else {
                            pc = to as usize;
                        }
                    }
                    Op::Jump { to } => pc = to as usize,
                    Op::Loop { to } => jump!(to),

                    Op::Attribute { d, a, site } => {
                        let object = reg!(a);
                        let site = &code.sites[site as usize];
                        if let Value::Instance(instance) = object {
                            let data = &self.heap.instances[instance];
                            if let Some(cache) = Vm::cached(site, data.shape.0) {
                                let value = if cache.class == IN_INSTANCE {
                                    data.slot(cache.slot as usize)
                                } else {
                                    Value::Unset
                                };
                                if !value.is_unset() {
                                    self.heap.retain(value);
                                    self.consume(regs, code.locals, a);
                                    put!(d, value);
                                    continue;
                                }
                            }
                        } else if object.is_unset() {
                            break 'frame Exit::Raise(self.unbound(code, a));
                        }
                        let result = self.get_attribute_filling(object, site);
                        self.consume(regs, code.locals, a);
                        let value = attempt!(result);
                        put!(d, value);
                    }
                    Op::SetAttribute { a, b, site } => {
                        let object = reg!(a);
                        let value = attempt!(self.own(regs, code, b));
                        let site = &code.sites[site as usize];
                        if let Value::Instance(instance) = object {
                            let data = &mut self.heap.instances[instance];
                            if let Some(cache) = Vm::cached(site, data.shape.0) {
                                if cache.class == IN_INSTANCE {
                                    let place = data.slot_mut(cache.slot as usize);
                                    let old = std::mem::replace(place, value);
                                    self.heap.release(old);
                                } else {
                                    self.add_cached(instance, cache, value);
                                }
                                self.consume(regs, code.locals, a);
                                continue;
                            }
                        } else if object.is_unset() {
                            self.heap.release(value);
                            break 'frame Exit::Raise(self.unbound(code, a));
                        }
                        let result = self.set_attribute_filling(object, site, value);
                        self.consume(regs, code.locals, a);
                        attempt!(result);
                    }
                    Op::DeleteAttribute { a, site } => {
                        let object = reg!(a);
                        if object.is_unset() {
                            break 'frame Exit::Raise(self.unbound(code, a));
                        }
                        let result = self.delete_attribute(object, code.sites[site as usize].name);
                        self.consume(regs, code.locals, a);
                        attempt!(result);
                    }
                    Op::Method { t, a, site } => {
                        let object = reg!(a);
                        let site = &code.sites[site as usize];
                        let key = match object {
                            Value::Instance(instance) => self.heap.instances[instance].shape.0,
                            Value::Class(_) | Value::Function(_) | Value::Method(_) | Value::Api(_) => {
                                u32::MAX
                            }
                            Value::Unset => break 'frame Exit::Raise(self.unbound(code, a)),
                            other => class_key(self.heap.class_of(other)),
                        };
                        let first = t.wrapping_add(1);
                        if let Some(cache) = Vm::cached(site, key) {
                            if cache.epoch == self.heap.class_epoch && key != u32::MAX {
                                let owner = &self.heap.classes[Class(u64::from(cache.class))];
                                let value = owner.attributes.value(cache.slot as usize);
                                if let Value::Function(_) | Value::Native(_) = value {
                                    self.heap.retain(value);
                                    put!(t, value);
                                    if a != first {
                                        self.heap.retain(object);
                                        put!(first, object);
                                    }
                                    continue;
                                }
                            }
                        }
                        match attempt!(self.prepare_method(object, site)) {
                            Callee::WithObject(value) => {
                                put!(t, value);
                                if a != first {
                                    self.heap.retain(object);
                                    put!(first, object);
                                }
                            }
                            Callee::Alone(value) => {
                                put!(t, value);
                                put!(first, Value::Unset);
                            }
                        }
                    }
                    Op::Item { d, a, b } => {
                        let (container, index) = (reg!(a), reg!(b));
                        match (container, index) {
                            (Value::List(list), Value::Int(i)) => {
                                if let Some(&item) = self.heap.list(list).get(i as usize) {
                                    self.heap.retain(item);
                                    self.consume(regs, code.locals, a);
                                    put!(d, item);
                                    continue;
                                }
                            }
                            (Value::Str(text), Value::Int(i)) => {
                                if let Some(&byte) = self.heap.bytes(text).get(i as usize) {
                                    let item = self.heap.byte(byte);
                                    self.consume(regs, code.locals, a);
                                    put!(d, item);
                                    continue;
                                }
                            }
                            (Value::Unset, _) => {
                                self.consume(regs, code.locals, b);
                                break 'frame Exit::Raise(self.unbound(code, a));
                            }
                            (_, Value::Unset) => {
                                self.consume(regs, code.locals, a);
                                break 'frame Exit::Raise(self.unbound(code, b));
                            }
                            _ => {}
                        }
                        let result = self.get_item(container, index);
                        self.consume(regs, code.locals, a);
                        self.consume(regs, code.locals, b);
                        let item = attempt!(result);
                        put!(d, item);
                    }
                    Op::ItemInt { d, a, i } => {
                        let container = reg!(a);
                        let found = match container {
                            Value::List(list) => self.heap.list(list).get(i as usize).copied(),
                            Value::Tuple(tuple) => self.heap.tuple(tuple).get(i as usize).copied(),
                            Value::Unset => break 'frame Exit::Raise(self.unbound(code, a)),
                            _ => None,
                        };
                        let item = match found {
                            Some(item) => {
                                self.heap.retain(item);
                                self.consume(regs, code.locals, a);
                                item
                            }
                            None => {
                                let result = self.get_item(container, Value::Int(i64::from(i)));
                                self.consume(regs, code.locals, a);
                                attempt!(result)
                            }
                        };
                        put!(d, item);
                    }
                    Op::SetItem { a, b, c } => {
                        let value = attempt!(self.own(regs, code, c));
                        let (container, index) = (reg!(a), reg!(b));
                        if let (Value::List(list), Value::Int(i)) = (container, index) {
                            if let Some(place) = self.heap.lists[list].items.get_mut(i as usize) {
                                let old = std::mem::replace(place, value);
                                self.heap.release(old);
                                self.consume(regs, code.locals, a);
                                continue;
                            }
                        }
                        if container.is_unset() || index.is_unset() {
                            self.heap.release(value);
                            self.consume(regs, code.locals, a);
                            self.consume(regs, code.locals, b);
                            let which = if container.is_unset() { a } else { b };
                            break 'frame Exit::Raise(self.unbound(code, which));
                        }
                        let result = self.set_item(container, index, value);
                        self.consume(regs, code.locals, a);
                        self.consume(regs, code.locals, b);
                        attempt!(result);
                    }
                    Op::SetItemInt { a, c, i } => {
                        let value = attempt!(self.own(regs, code, c));
                        let container = reg!(a);
                        if let Value::List(list) = container {
                            if let Some(place) = self.heap.lists[list].items.get_mut(i as usize) {
                                let old = std::mem::replace(place, value);
                                self.heap.release(old);
                                self.consume(regs, code.locals, a);
                                continue;
                            }
                        }
                        if container.is_unset() {
                            self.heap.release(value);
                            break 'frame Exit::Raise(self.unbound(code, a));
                        }
                        let result = self.set_item(container, Value::Int(i64::from(i)), value);
                        self.consume(regs, code.locals, a);
                        attempt!(result);
                    }
                    Op::DeleteItem { a, b } => {
                        let (container, index) = (reg!(a), reg!(b));
                        let result = if container.is_unset() {
                            Err(self.unbound(code, a))
                        } else if index.is_unset() {
                            Err(self.unbound(code, b))
                        } else {
                            self.delete_item(container, index)
                        };
                        self.consume(regs, code.locals, a);
                        self.consume(regs, code.locals, b);
                        attempt!(result);
                    }
                    Op::Slice { d, a, b, c } => {
                        let container = reg!(a);
                        let result = if container.is_unset() {
                            Err(self.unbound(code, a))
                        } else {
                            self.get_slice(container, reg!(b), reg!(c))
                        };
                        self.consume(regs, code.locals, a);
                        self.consume(regs, code.locals, b);
                        self.consume(regs, code.locals, c);
                        let value = attempt!(result);
                        put!(d, value);
                    }
                    Op::SetSlice { a, b, c, v } => {
                        let value = attempt!(self.own(regs, code, v));
                        let result = self.set_slice(reg!(a), reg!(b), reg!(c), value);
                        self.heap.release(value);
                        self.consume(regs, code.locals, a);
                        self.consume(regs, code.locals, b);
                        self.consume(regs, code.locals, c);
                        attempt!(result);
                    }
                    Op::DeleteSlice { a, b, c } => {
                        let result = self.delete_slice(reg!(a), reg!(b), reg!(c));
                        self.consume(regs, code.locals, a);
                        self.consume(regs, code.locals, b);
                        self.consume(regs, code.locals, c);
                        attempt!(result);
                    }
                    Op::NewSlice { d, a } => {
                        let mut parts = [Value::Unset; 3];
                        for (at, part) in parts.iter_mut().enumerate() {
                            *part = std::mem::replace(&mut reg!(a as usize + at), Value::Unset);
                        }
                        let slice = self.heap.new_slice(parts[0], parts[1], parts[2]);
                        put!(d, slice);
                    }

                    Op::NewList { d, a, count } => {
                        let items = &mut regs[a as usize..a as usize + count as usize];
                        let list = self.heap.new_list(items.to_vec());
                        items.fill(Value::Unset);
                        put!(d, list);
                    }
                    Op::NewTuple { d, a, count } => {
                        let items = &mut regs[a as usize..a as usize + count as usize];
                        let tuple = self.heap.new_tuple(items);
                        items.fill(Value::Unset);
                        put!(d, tuple);
                    }
                    Op::NewDict { d } => {
                        let dict = self.heap.new_dict();
                        put!(d, Value::Dict(dict));
                    }
                    Op::Append { a, b } => {
                        let value = attempt!(self.own(regs, code, b));
                        if let Value::List(list) = reg!(a) {
                            let items = &mut self.heap.lists[list].items;
                            if items.len() < items.capacity() {
                                items.push(value);
                            } else {
                                attempt!(self.heap.list_push(list, value));
                            }
                        }
                    }
                    Op::ListToTuple { a } => {
                        if let Value::List(list) = reg!(a) {
                            let items = std::mem::take(&mut self.heap.lists[list].items);
                            self.heap.recharge_list(list);
                            let tuple = self.heap.new_tuple(&items);
                            put!(a, tuple);
                        }
                    }
                    Op::Store { a, b, c } => {
                        let value = attempt!(self.own(regs, code, c));
                        if reg!(b).is_unset() {
                            self.heap.release(value);
                            break 'frame Exit::Raise(self.unbound(code, b));
                        }
                        if let Value::Dict(dict) = reg!(a) {
                            let result = self.heap.dict_set(dict, reg!(b), value);
                            self.consume(regs, code.locals, b);
                            attempt!(result);
                        }
                    }
                    Op::Unpack { a, t, count } => {
                        let source = reg!(a);
                        let n = count as usize;
                        let first = t as usize;
                        match source {
                            Value::Tuple(tuple) if self.heap.tuple(tuple).len() == n => {
                                for at in 0..n {
                                    let item = self.heap.tuple(tuple)[at];
                                    self.heap.retain(item);
                                    reg!(first + at) = item;
                                }
                                self.consume(regs, code.locals, a);
                            }
                            Value::Unset => break 'frame Exit::Raise(self.unbound(code, a)),
                            _ => {
                                let result = self.unpack(source, n);
                                self.consume(regs, code.locals, a);
                                let items = attempt!(result);
                                regs[first..first + n].copy_from_slice(&items);
                            }
                        }
                    }
                    Op::UnpackMany { d, a, count } => {
                        let result = self.unpack(reg!(a), count as usize);
                        self.consume(regs, code.locals, a);
                        let items = attempt!(result);
                        let list = self.heap.new_list(items);
                        put!(d, list);
                    }

                    Op::Iterate { t } => {
                        let source = reg!(t);
                        match source {
                            Value::List(_) => reg!(t + 1) = Value::Int(0),
                            _ => {
                                let iteration = attempt!(self.iterate(source));
                                put!(t, iteration.source);
                                reg!(t + 1) = Value::Int(iteration.position);
                                reg!(t + 2) = Value::Int(iteration.expected);
                            }
                        }
                    }
                    Op::Next { t, d, to } => {
                        // The two commonest first, one predictable test each.
                        if let (Value::Int(next), Value::Int(step)) = (reg!(t), reg!(t + 1)) {
                            if let Value::Int(left) = reg!(t + 2) {
                                if left > 0 {
                                    reg!(t) = Value::Int(next.wrapping_add(step));
                                    reg!(t + 2) = Value::Int(left - 1);
                                    put!(d, Value::Int(next));
                                    jump!(to);
                                }
                            }
                            continue;
                        }
                        if let (Value::List(list), Value::Int(i)) = (reg!(t), reg!(t + 1)) {
                            match self.heap.list(list).get(i as usize) {
                                Some(&item) => {
                                    reg!(t + 1) = Value::Int(i + 1);
                                    self.heap.retain(item);
                                    put!(d, item);
                                    jump!(to);
                                }
                                None => put!(t, Value::Unset),
                            }
                            continue;
                        }
                        match (reg!(t), reg!(t + 1)) {
                            (Value::Str(text), Value::Int(i)) => {
                                match self.heap.bytes(text).get(i as usize) {
                                    Some(&byte) => {
                                        reg!(t + 1) = Value::Int(i + 1);
                                        let item = self.heap.byte(byte);
                                        put!(d, item);
                                        jump!(to);
                                    }
                                    None => put!(t, Value::Unset),
                                }
                            }
                            (source @ Value::Api(_), _) if self.line_hook.is_some() => {
                                let result = match self.line_hook {
                                    Some(hook) => hook(self, source),
                                    None => Ok(Flow::Value(Value::Unset)),
                                };
                                match attempt!(result) {
                                    Flow::Value(Value::Unset) => put!(t, Value::Unset),
                                    Flow::Value(line) => {
                                        put!(d, line);
                                        jump!(to);
                                    }
                                    flow => break 'frame Exit::Again(flow),
                                }
                            }
                            (source, Value::Int(position)) => {
                                let expected = reg!(t + 2).as_int().unwrap_or(0);
                                let mut iteration = super::Iteration { source, position, expected };
                                let item = attempt!(self.step(&mut iteration));
                                reg!(t + 1) = Value::Int(iteration.position);
                                reg!(t + 2) = Value::Int(iteration.expected);
                                match item {
                                    Some(item) => {
                                        put!(d, item);
                                        jump!(to);
                                    }
                                    None => put!(t, Value::Unset),
                                }
                            }
                            _ => {}
                        }
                    }
                    Op::Range { t, count, to } => {
                        let callee = reg!(t);
                        let builtin = callee.same(self.range) || callee.same(self.xrange);
                        let arg = |at: Reg| match regs[(t + at) as usize] {
                            Value::Int(i) => Some(i),
                            _ => None,
                        };
                        let parts = match count {
                            1 => (Some(0), arg(1), Some(1)),
                            2 => (arg(1), arg(2), Some(1)),
                            _ => (arg(1), arg(2), arg(3)),
                        };
                        if let (true, (Some(start), Some(stop), Some(step))) = (builtin, parts) {
                            if let Some(length) = range_length(start, stop, step) {
                                put!(t, Value::Int(start));
                                reg!(t + 1) = Value::Int(step);
                                reg!(t + 2) = Value::Int(length);
                                pc = to as usize;
                            }
                        }
                    }

                    Op::CallGlobal { d, t, count, g } => {
                        let site = &code.globals[g as usize];
                        let mut value = Value::Unset;
                        if let Some(dict) = self.globals_of(reg!(0)) {
                            let table = &self.heap.dicts[dict].table;
                            if let Some(entry) = table.slots().get(site.position.get() as usize) {
                                if matches!(entry.key, Value::Str(name) if name == site.name) {
                                    value = entry.value;
                                }
                            }
                        }
                        if value.is_unset() {
                            value = attempt!(self.global_slow(regs, code, g));
                        }
                        self.heap.retain(value);
                        reg!(t) = value;
                        call!(d, t, count as usize, false);
                    }
                    Op::Call { d, t, count } => call!(d, t, count as usize, false),
                    Op::CallMethod { d, t, count } => {
                        if reg!(t + 1).is_unset() {
                            // No object: the arguments move down by one.
                            let first = t.wrapping_add(1) as usize;
                            regs.copy_within(first + 1..first + 1 + count as usize, first);
                            reg!(first + count as usize) = Value::Unset;
                            call!(d, t, count as usize, false);
                        } else {
                            call!(d, t, count as usize + 1, true);
                        }
                    }
                    Op::CallKeywords { d, t, count, k } | Op::CallSpread { d, t, count, k, .. } => {
                        let extra = match ops[at] {
                            Op::CallSpread { extra, .. } => extra,
                            _ => 0,
                        };
                        let result = self.spread(stack, base + t as usize, count as usize, code, k, extra);
                        let (count, extra) = attempt!(result);
                        break 'frame Exit::CallExtra { d, t, count, extra };
                    }
                    Op::Return { a } => {
                        let value = std::mem::replace(&mut reg!(a), Value::Unset);
                        if value.is_unset() {
                            break 'frame Exit::Raise(self.unbound(code, a));
                        }
                        leave!(value);
                    }
                    Op::ReturnNone => leave!(Value::None),
                    Op::Function { d, t, count, f } => {
                        let function = self.make_function(regs, code, t, count, f);
                        put!(d, function);
                    }
                    Op::Class { d } => {
                        let class = attempt!(self.make_class(regs, code));
                        put!(d, class);
                    }

                    Op::Raise { t, count } => {
                        let kind = std::mem::replace(&mut reg!(t), Value::Unset);
                        let mut given = Value::None;
                        if count > 1 {
                            given = std::mem::replace(&mut reg!(t + 1), Value::Unset);
                        }
                        if count > 2 {
                            let trace = std::mem::replace(&mut reg!(t + 2), Value::Unset);
                            let none = trace.is_none();
                            self.heap.release(trace);
                            if !none {
                                self.heap.release(kind);
                                self.heap.release(given);
                                let message = "raise: arg 3 must be a traceback or None";
                                break 'frame Exit::Raise(self.heap.raise(Builtin::TypeError, message));
                            }
                        }
                        match self.plan_raise(kind, given) {
                            RaisePlan::Raise(exception) => {
                                break 'frame Exit::Raise(self.heap.raise_value(exception));
                            }
                            RaisePlan::Error(raised) => break 'frame Exit::Raise(raised),
                            RaisePlan::Make(callee, args) => {
                                let request = CallRequest { callee, args, then: Box::new(RaiseResult) };
                                break 'frame Exit::Flow(Flow::Call(Box::new(request)), t);
                            }
                        }
                    }
                    Op::RaiseAgain => {
                        let (exception, trace) = *handled;
                        if exception.is_unset() {
                            let message = "exceptions must be old-style classes or derived from \
                                           BaseException, not NoneType";
                            break 'frame Exit::Raise(self.heap.raise(Builtin::TypeError, message));
                        }
                        self.heap.retain(exception);
                        self.heap.retain(trace);
                        break 'frame Exit::Raise(self.heap.raise_again(exception, trace));
                    }
                    Op::Handling { t } => {
                        let now = (reg!(t), reg!(t + 1));
                        self.heap.retain(now.0);
                        self.heap.retain(now.1);
                        let before = std::mem::replace(handled, now);
                        let h = code.handling as usize;
                        if h != 0 && reg!(h).is_unset() {
                            reg!(h) = if before.0.is_unset() { Value::None } else { before.0 };
                            reg!(h + 1) = before.1;
                        } else {
                            self.heap.release(before.0);
                            self.heap.release(before.1);
                        }
                    }
                    Op::EndHandling => self.end_handling(handled, code, regs),
                    Op::Reraise { t } => {
                        let exception = std::mem::replace(&mut reg!(t), Value::Unset);
                        let trace = std::mem::replace(&mut reg!(t + 1), Value::Unset);
                        break 'frame Exit::Raise(self.heap.raise_again(exception, trace));
                    }
                    Op::Match { t, a, to } => {
                        let kind = reg!(a);
                        if kind.is_unset() {
                            break 'frame Exit::Raise(self.unbound(code, a));
                        }
                        let matches = self.exception_matches(reg!(t), kind);
                        self.consume(regs, code.locals, a);
                        if !matches {
                            pc = to as usize;
                        }
                    }
                    Op::EndFinally { t } => {
                        if reg!(t).is_counted() {
                            let exception = std::mem::replace(&mut reg!(t), Value::Unset);
                            let trace = std::mem::replace(&mut reg!(t + 1), Value::Unset);
                            break 'frame Exit::Raise(self.heap.raise_again(exception, trace));
                        }
                    }
                    Op::IfReason { t, i, to } => {
                        if matches!(reg!(t), Value::Int(reason) if reason == i64::from(i)) {
                            pc = to as usize;
                        }
                    }
                    Op::AssertFail { t, count } => {
                        let class = Builtin::AssertionError.class();
                        let raised = if count == 0 {
                            self.heap.raise_with(class, &[])
                        } else {
                            let message = std::mem::replace(&mut reg!(t), Value::Unset);
                            self.heap.raise_with(class, &[message])
                        };
                        break 'frame Exit::Raise(raised);
                    }

                    Op::PrintStr { a, to } => match reg!(a) {
                        Value::Str(text) => {
                            if let Some(flow) = attempt!(self.print_space()) {
                                // The space is paid for first, then the text is printed.
                                pc -= 1;
                                break 'frame Exit::Print(flow);
                            }
                            let flow = attempt!(self.print_text(text, true));
                            self.consume(regs, code.locals, a);
                            pc = to as usize;
                            if let Some(flow) = flow {
                                break 'frame Exit::Print(flow);
                            }
                        }
                        Value::Unset => break 'frame Exit::Raise(self.unbound(code, a)),
                        _ => {}
                    },
                    Op::ToStr { d, a } => {
                        let result = crate::types::to_str(self, reg!(a));
                        self.consume(regs, code.locals, a);
                        step!(d, self.finish_step(regs, d, result));
                    }
                    Op::Print { a } => {
                        if let Some(flow) = attempt!(self.print_space()) {
                            pc -= 1;
                            break 'frame Exit::Print(flow);
                        }
                        let flow = match reg!(a) {
                            Value::Str(text) => attempt!(self.print_text(text, false)),
                            _ => None,
                        };
                        self.consume(regs, code.locals, a);
                        if let Some(flow) = flow {
                            break 'frame Exit::Print(flow);
                        }
                    }
                    Op::PrintNewline => {
                        self.softspace = false;
                        let newline = self.heap.byte_str(b'\n');
                        if let Some(flow) = attempt!(self.print_piece(newline)) {
                            break 'frame Exit::Print(flow);
                        }
                    }
                    Op::IfStr { a, to } => match reg!(a) {
                        Value::Str(_) => pc = to as usize,
                        Value::Unset => break 'frame Exit::Raise(self.unbound(code, a)),
                        _ => {}
                    },
                    Op::SoftSpace { d, f, set } => {
                        let due = attempt!(self.swap_softspace(reg!(f), set));
                        put!(d, Value::bool(due));
                    }
                    Op::SoftSpaceAfter { f, a } => {
                        if let Value::Str(text) = reg!(a) {
                            let due = space_due(self.heap.bytes(text));
                            attempt!(self.swap_softspace(reg!(f), due));
                        }
                    }
                    Op::Finalizers => {
                        if !self.heap.finalized.is_empty() {
                            self.heap.settle_finalized(self.current.0, frames.len());
                        }
                        if !self.heap.finalizers.is_empty() {
                            break 'frame Exit::Finalize;
                        }
                    }
                }
            }
        };
        let top = |code: &Code, base: usize| base + usize::from(code.registers);
        match exit {
            Exit::Raise(raised) => Ok(self.raise_in(thread, running, pc, base, raised)),
            Exit::Call { d, t, count } => {
                let at = base + usize::from(t);
                thread.frames.push(code_frame(running, pc, base, d, FrameKind::Store));
                Ok(Action::Invoke(at, count, Extra::default()))
            }
            Exit::CallExtra { d, t, count, extra } => {
                let at = base + usize::from(t);
                thread.frames.push(code_frame(running, pc, base, d, FrameKind::Store));
                Ok(Action::Invoke(at, count, extra))
            }
            Exit::Return(value) => Ok(Action::Deliver(value)),
            Exit::Flow(flow, d) => {
                let at = top(&running, base);
                thread.frames.push(code_frame(running, pc, base, d, FrameKind::Store));
                Ok(Action::Flow(flow, at))
            }
            Exit::Print(flow) => {
                let at = top(&running, base);
                thread.frames.push(code_frame(running, pc, base, 0, FrameKind::Interrupted));
                Ok(Action::Flow(flow, at))
            }
            Exit::Again(flow) => {
                let at = top(&running, base);
                thread.frames.push(code_frame(running, pc - 1, base, 0, FrameKind::Discard));
                Ok(Action::Flow(flow, at))
            }
            Exit::Finalize => {
                let at = top(&running, base);
                thread.frames.push(code_frame(running, pc - 1, base, 0, FrameKind::Discard));
                if self.heap.finalizers.is_empty() {
                    return Ok(Action::Deliver(Value::None));
                }
                let object = self.heap.finalizers.remove(0);
                self.heap.retain(object);
                // One frame deeper, `__del__` runs: it is done when this depth is reached again.
                self.heap.finalized.push((object, self.current.0, thread.frames.len() - 1));
                let name = self.names.del;
                match self.program_method(object, name) {
                    Some(function) => {
                        self.heap.retain(function);
                        Thread::reach(&mut thread.stack, at, &mut self.heap);
                        thread.stack[at] = function;
                        thread.stack[at + 1] = object;
                        Ok(Action::Invoke(at, 1, Extra::default()))
                    }
                    None => {
                        self.heap.release(object);
                        Ok(Action::Deliver(Value::None))
                    }
                }
            }
            Exit::Fuel => {
                thread.frames.push(code_frame(running, pc, base, 0, FrameKind::Interrupted));
                Err(Stop::Fuel)
            }
        }
    }

    /// Whether a built-in method may be called with this object without a check.
    #[inline(always)]
    fn is_own_method(&self, native: crate::heap::NativeId, object: Value) -> bool {
        match object {
            Value::Instance(_) | Value::Class(_) | Value::Unset => false,
            _ => match self.native_owner(native) {
                Some(owner) => owner == self.heap.class_of(object),
                None => false,
            },
        }
    }

    /// Prints the space that is due, if one is. As [`Vm::print_piece`].
    fn print_space(&mut self) -> crate::heap::Outcome<Option<Flow>> {
        if !std::mem::take(&mut self.softspace) {
            return Ok(None);
        }
        let space = self.heap.byte_str(b' ');
        self.print_piece(space)
    }

    /// Prints an item; `text` says that the program gave a str. As [`Vm::print_piece`].
    fn print_text(&mut self, piece: crate::heap::Str, text: bool) -> crate::heap::Outcome<Option<Flow>> {
        self.softspace = !text || space_due(self.heap.bytes(piece));
        self.print_piece(piece)
    }

    /// Prints one piece; what is left to do if the thread must wait.
    fn print_piece(&mut self, piece: crate::heap::Str) -> crate::heap::Outcome<Option<Flow>> {
        match self.print_hook {
            Some(hook) => match hook(self, Value::Str(piece))? {
                Flow::Value(value) => {
                    self.heap.release(value);
                    Ok(None)
                }
                flow => Ok(Some(flow)),
            },
            None => {
                self.output.write(self.heap.bytes(piece));
                Ok(None)
            }
        }
    }

    /// Whether a space is due on a file-like object, and whether one is from now on.
    fn swap_softspace(&mut self, file: Value, due: bool) -> crate::heap::Outcome<bool> {
        let name = self.names.softspace;
        let before = match self.find_attribute(file, name)? {
            Some(value) => {
                let due = self.truth(value);
                self.heap.release(value);
                due
            }
            None => false,
        };
        if before != due {
            self.set_attribute(file, name, Value::Int(i64::from(due)))?;
        }
        Ok(before)
    }
}

/// Whether `print` puts a space after this str.
fn space_due(bytes: &[u8]) -> bool {
    match bytes.last() {
        Some(b' ') | None => true,
        Some(last) => !(last.is_ascii_whitespace() || *last == 0x0b),
    }
}

fn native_frame(at: usize) -> Frame {
    Frame { code: None, pc: 0, base: at as u32, dst: 0, kind: FrameKind::Native }
}

fn code_frame(code: Rc<Code>, pc: usize, base: usize, dst: Reg, kind: FrameKind) -> Frame {
    Frame { code: Some(code), pc: pc as u32, base: base as u32, dst, kind }
}

/// `x // y`, `None` where the result is no int.
#[inline(always)]
fn floor_div(x: i64, y: i64) -> Option<i64> {
    if y == 0 || (y == -1 && x == i64::MIN) {
        return None;
    }
    let quotient = x / y;
    Some(if (x % y != 0) && ((x < 0) != (y < 0)) { quotient - 1 } else { quotient })
}

/// `x % y`, `None` where the result is no int.
#[inline(always)]
fn floor_mod(x: i64, y: i64) -> Option<i64> {
    if y == 0 || y == -1 {
        return None;
    }
    let rest = x % y;
    Some(if rest != 0 && ((rest < 0) != (y < 0)) { rest + y } else { rest })
}

/// `x << y`, `None` where the result is no int.
#[inline(always)]
fn shift_left(x: i64, y: i64) -> Option<i64> {
    if !(0..=62).contains(&y) {
        return None;
    }
    let shifted = x << y;
    if shifted >> y == x {
        Some(shifted)
    } else {
        None
    }
}

/// `x >> y`, `None` where there is no such shift.
#[inline(always)]
fn shift_right(x: i64, y: i64) -> Option<i64> {
    if y < 0 {
        return None;
    }
    Some(x >> y.min(63))
}

/// Number of items of `range(start, stop, step)`; `None` for a step of 0 or a length past 63 bits.
pub(crate) fn range_length(start: i64, stop: i64, step: i64) -> Option<i64> {
    if step == 0 {
        return None;
    }
    let (low, high, step) =
        if step > 0 { (start, stop, i128::from(step)) } else { (stop, start, -i128::from(step)) };
    if low >= high {
        return Some(0);
    }
    let length = (i128::from(high) - i128::from(low) - 1) / step + 1;
    i64::try_from(length).ok()
}
