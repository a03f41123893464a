//! The loop that runs code.
//!
//! One match over the instructions. What an instruction does stands in the `op_*.rs`
//! files, in functions that are always inlined here, with everything but the fast
//! paths in `slow.rs` and the modules beside it. Registers are a window of
//! 256 on the thread's stack, so that no access is checked; calls put the window of
//! the callee over the arguments.

use std::rc::Rc;

use super::drive::{code_frame, Action};
use super::leave::Exit;
use super::op_call::Called;
use super::op_loop::Next;
use super::op_number::{float_div, floor_div, floor_mod, int_div, int_mod, shift_left, shift_right};
use super::op_print::Printed;
use super::op_raise::Raise;
use super::slow::Registers;
use super::thread::{Frame, FrameKind, Stop, Thread};
use super::{Vm, WINDOW};
use crate::compile::{Code, Op, Reg};
use crate::heap::{Heap, Value};

/// The window of registers from `base` on, if the stack reaches that far.
#[inline(always)]
fn window(stack: &mut [Value], base: u32) -> Option<&mut Registers> {
    let base = base as usize;
    stack.get_mut(base..base + WINDOW)?.first_chunk_mut()
}

/// The window of registers from `base` on; the stack is made to reach that far.
#[inline(always)]
fn reached<'s>(stack: &'s mut Vec<Value>, base: u32, heap: &mut Heap) -> Option<&'s mut Registers> {
    if stack.len() < base as usize + WINDOW {
        Thread::grow(stack, base as usize, heap);
    }
    window(stack, base)
}

impl Vm {
    /// Runs code until something happens that concerns other frames.
    #[allow(clippy::cognitive_complexity, clippy::too_many_lines)] // The loop.
    pub(super) fn run_code(
        &mut self,
        thread: &mut Thread,
        code: Rc<Code>,
        pc: usize,
        base: usize,
    ) -> Result<Action, Stop> {
        let (mut running, mut pc, mut base) = (code, pc, base as u32);
        let Thread { stack, frames, handled, instances, .. } = thread;
        let Some(mut regs) = reached(stack, base, &mut self.heap) else {
            return self.leave_code(thread, running, pc, base as usize, Exit::Fuel);
        };
        let exit = 'frame: loop {
            // Everything reaches the code through `running`: one pointer to keep at hand.
            let code: &Rc<Code> = &running;
            // The instructions still to come, so that the next one is found by one comparison.
            let ops: &[Op] = &code.ops;
            let mut rest = ops[pc..].iter();

            let exit = 'ops: loop {
                macro_rules! go {
                    ($to:expr) => {
                        rest = ops[$to as usize..].iter()
                    };
                }
                // Enters a function's code; the value of the call goes to `d`.
                macro_rules! enter {
                    ($callee:expr, $d:expr, $t:expr, $kind:expr) => {{
                        pc = ops.len() - rest.len();
                        let (d, t): (Reg, Reg) = ($d, $t);
                        let caller = std::mem::replace(&mut running, $callee);
                        frames.push(code_frame(caller, pc, base as usize, d, $kind));
                        base += u32::from(t);
                        pc = 0;
                        match window(stack, base) {
                            Some(window) => regs = window,
                            None => {
                                Thread::grow(stack, base as usize, &mut self.heap);
                                match window(stack, base) {
                                    Some(window) => regs = window,
                                    None => break 'frame Exit::Fuel,
                                }
                            }
                        }
                        continue 'frame;
                    }};
                }
                // Returns an owned value to the frame below, if that is one of code.
                macro_rules! give {
                    ($value:expr) => {{
                        let value: Value = $value;
                        self.drop_locals(regs, code);
                        match frames.pop() {
                            Some(Frame { code: caller, pc: at, base: b, dst, kind })
                                if kind == FrameKind::Store
                                    || (kind == FrameKind::Init && value.is_none()) =>
                            {
                                running = caller;
                                pc = at as usize;
                                base = b;
                                // It was reached before the call.
                                match window(stack, base) {
                                    Some(window) => regs = window,
                                    None => break 'frame Exit::Fuel,
                                }
                                let value = match kind {
                                    FrameKind::Init => instances.pop().unwrap_or(Value::None),
                                    _ => value,
                                };
                                self.put(regs, dst, value);
                                continue 'frame;
                            }
                            Some(frame) => {
                                frames.push(frame);
                                break 'ops Exit::Return(value);
                            }
                            None => break 'ops Exit::Return(value),
                        }
                    }};
                }
                macro_rules! attempt {
                    ($e:expr) => {
                        match $e {
                            Ok(value) => value,
                            Err(raised) => break 'ops Exit::Raise(raised),
                        }
                    };
                }
                // An instruction whose value may come later, into `d`.
                macro_rules! step {
                    ($d:expr, $e:expr) => {
                        if let Some(flow) = attempt!($e) {
                            break 'ops Exit::Flow(flow, $d);
                        }
                    };
                }
                // Arithmetic in place, or by `number_slow`.
                macro_rules! number {
                ($how:ident, $d:expr, $a:expr, $b:expr, $op:expr, $($by:expr),+) => {
                    if !self.$how(regs, ($d, $a, $b), $($by),+) {
                        step!($d, self.number_slow(regs, code, $op));
                    }
                };
            }
                macro_rules! jump {
                    ($to:expr) => {{
                        go!($to);
                        self.fuel -= 1;
                        if self.fuel < 0 {
                            break 'ops Exit::Fuel;
                        }
                    }};
                }
                macro_rules! jump_if {
                    ($to:expr, $wanted:expr, $e:expr) => {
                        if attempt!($e) == $wanted {
                            jump!($to);
                        }
                    };
                }
                // Ints and floats are compared in the loop, each with a jump of its own.
                macro_rules! branch {
                    ($a:expr, $b:expr, $to:expr, $op:expr, $wanted:expr, $test:ident) => {
                        match (regs[usize::from($a)], regs[usize::from($b)]) {
                            (Value::Int(x), Value::Int(y)) => {
                                if i64::$test(&x, &y) == $wanted {
                                    jump!($to);
                                }
                            }
                            (Value::Float(x), Value::Float(y)) => {
                                if f64::$test(&x.get(), &y.get()) == $wanted {
                                    jump!($to);
                                }
                            }
                            _ => jump_if!($to, true, self.branch_slow(regs, code, $op)),
                        }
                    };
                }
                macro_rules! branch_int {
                    ($a:expr, $i:expr, $to:expr, $op:expr, $wanted:expr, $test:ident) => {
                        match regs[usize::from($a)] {
                            Value::Int(x) => {
                                if i64::$test(&x, &i64::from($i)) == $wanted {
                                    jump!($to);
                                }
                            }
                            _ => jump_if!($to, true, self.branch_slow(regs, code, $op)),
                        }
                    };
                }
                macro_rules! truth {
                    ($a:expr, $to:expr, $wanted:expr) => {
                        match regs[usize::from($a)] {
                            Value::Bool(truth) => {
                                if truth.get() == $wanted {
                                    jump!($to);
                                }
                            }
                            Value::Int(i) => {
                                if (i != 0) == $wanted {
                                    jump!($to);
                                }
                            }
                            _ => jump_if!($to, $wanted, self.truth_step(regs, code, $a)),
                        }
                    };
                }
                macro_rules! call {
                    ($d:expr, $t:expr, $count:expr, $on_object:expr) => {{
                        let (d, t, count): (Reg, Reg, usize) = ($d, $t, $count);
                        if let Value::Function(function) = regs[usize::from(t)] {
                            if let Some(callee) = self.enters(function, count, frames.len()) {
                                enter!(callee, d, t, FrameKind::Store);
                            }
                        }
                        if self.call_quick(regs, d, t, count) {
                            continue 'ops;
                        }
                        if let Value::Class(class) = regs[usize::from(t)] {
                            if let Some((callee, instance)) =
                                self.constructs(regs, class, (t, count), frames.len())
                            {
                                instances.push(instance);
                                break 'ops Exit::Enter { callee, d, t, kind: FrameKind::Init };
                            }
                        }
                        match attempt!(self.op_call(regs, (d, t, count), $on_object, frames.len())) {
                            Called::Done => {}
                            Called::Flow(flow) => break 'ops Exit::Flow(flow, d),
                            Called::Enter(callee) => {
                                break 'ops Exit::Enter { callee, d, t, kind: FrameKind::Store };
                            }
                            Called::Init(callee, instance) => {
                                instances.push(instance);
                                break 'ops Exit::Enter { callee, d, t, kind: FrameKind::Init };
                            }
                            Called::Slow(count) => break 'ops Exit::Call { d, t, count },
                        }
                    }};
                }

                let Some(op) = rest.next() else { give!(Value::None) };
                match *op {
                    Op::Copy { d, a } => attempt!(self.op_copy(regs, code, d, a)),
                    Op::CopyTwo { d, a, b } => attempt!(self.op_copy_two(regs, code, d, a, b)),
                    Op::CopyBound { d, a } => {
                        let value = self.heap.share(regs[usize::from(a)]);
                        self.put(regs, d, value);
                    }
                    Op::Take { d, a } => {
                        let value = std::mem::replace(&mut regs[usize::from(a)], Value::Unset);
                        self.put(regs, d, value);
                    }
                    Op::Constant { d, k } => attempt!(self.op_constant(regs, code, d, k)),
                    Op::Int { d, value } => self.put(regs, d, Value::Int(i64::from(value))),
                    Op::None { d } => self.put(regs, d, Value::None),
                    Op::Truth { d, value } => self.put(regs, d, Value::bool(value)),
                    Op::Clear { from, to } => regs[usize::from(from)..usize::from(to)].fill(Value::Unset),
                    Op::Drop { d } => self.put(regs, d, Value::Unset),
                    Op::DeleteLocal { d } => attempt!(self.op_delete_local(regs, code, d)),
                    Op::Global { d, g } => attempt!(self.op_global(regs, code, d, g)),
                    Op::SetGlobal { a, g } => attempt!(self.op_set_global(regs, code, a, g)),
                    Op::DeleteGlobal { g } => attempt!(self.delete_global(code, g)),
                    Op::CellGet { d, c } => attempt!(self.op_cell_get(regs, code, d, c)),
                    Op::CellSet { c, a } => attempt!(self.op_cell_set(regs, code, c, a)),
                    Op::CellNew { d } => attempt!(self.op_cell_new(regs, d)),
                    Op::Free { d, index } => attempt!(self.op_free(regs, code, d, index)),
                    Op::WideNew { d, count } => attempt!(self.op_wide_new(regs, d, count)),
                    Op::WideGet { d, w, index } => attempt!(self.op_wide_get(regs, code, d, w, index)),
                    Op::WideSet { w, a, index } => attempt!(self.op_wide_set(regs, code, w, a, index)),
                    Op::WideDelete { w, index } => attempt!(self.op_wide_delete(regs, code, w, index)),
                    Op::ClassGet { d, n, g } => attempt!(self.op_class_get(regs, code, d, n, g)),
                    Op::ClassSet { n, a, g } => attempt!(self.op_class_set(regs, code, n, a, g)),
                    Op::ClassDelete { n, g } => attempt!(self.op_class_delete(regs, code, n, g)),

                    Op::Add { d, a, b, .. } => {
                        number!(op_number, d, a, b, *op, i64::checked_add, |x, y| Some(x + y))
                    }
                    Op::Sub { d, a, b, .. } => {
                        number!(op_number, d, a, b, *op, i64::checked_sub, |x, y| Some(x - y))
                    }
                    Op::Mul { d, a, b, .. } => {
                        number!(op_number, d, a, b, *op, i64::checked_mul, |x, y| Some(x * y))
                    }
                    Op::Div { d, a, b, .. } => number!(op_number, d, a, b, *op, floor_div, float_div),
                    Op::FloorDiv { d, a, b, .. } => number!(op_integer, d, a, b, *op, floor_div),
                    Op::Mod { d, a, b, .. } => number!(op_integer, d, a, b, *op, floor_mod),
                    Op::And { d, a, b, .. } => number!(op_integer, d, a, b, *op, |x, y| Some(x & y)),
                    Op::Or { d, a, b, .. } => number!(op_integer, d, a, b, *op, |x, y| Some(x | y)),
                    Op::Xor { d, a, b, .. } => number!(op_integer, d, a, b, *op, |x, y| Some(x ^ y)),
                    Op::Shl { d, a, b, .. } => number!(op_integer, d, a, b, *op, shift_left),
                    Op::Shr { d, a, b, .. } => number!(op_integer, d, a, b, *op, shift_right),
                    Op::AddInt { d, a, i, .. } => {
                        number!(op_number_int, d, a, i, *op, i64::checked_add, |x, y| x + y)
                    }
                    Op::SubInt { d, a, i, .. } => {
                        number!(op_number_int, d, a, i, *op, i64::checked_sub, |x, y| x - y)
                    }
                    Op::MulInt { d, a, i, .. } => {
                        number!(op_number_int, d, a, i, *op, i64::checked_mul, |x, y| x * y)
                    }
                    Op::DivInt { d, a, i, .. } => number!(op_number_int, d, a, i, *op, int_div, |x, y| x / y),
                    Op::FloorDivInt { d, a, i, .. } => number!(op_integer_int, d, a, i, *op, int_div),
                    Op::ModInt { d, a, i, .. } => number!(op_integer_int, d, a, i, *op, int_mod),
                    Op::AndInt { d, a, i, .. } => number!(op_integer_int, d, a, i, *op, |x, y| Some(x & y)),
                    Op::OrInt { d, a, i, .. } => number!(op_integer_int, d, a, i, *op, |x, y| Some(x | y)),
                    Op::XorInt { d, a, i, .. } => number!(op_integer_int, d, a, i, *op, |x, y| Some(x ^ y)),
                    Op::ShlInt { d, a, i, .. } => number!(op_integer_int, d, a, i, *op, shift_left),
                    Op::ShrInt { d, a, i, .. } => {
                        number!(op_integer_int, d, a, i, *op, |x, y| Some(x >> (y & 63)))
                    }
                    Op::AndMask { d, a, mask, .. } => number!(op_mask, d, a, mask, *op, |x, y| x & y),
                    Op::XorMask { d, a, mask, .. } => number!(op_mask, d, a, mask, *op, |x, y| x ^ y),
                    Op::Pow { d, .. } | Op::Unary { d, .. } => step!(d, self.number_slow(regs, code, *op)),
                    Op::Not { d, a } => attempt!(self.op_not(regs, code, d, a)),

                    Op::Compare { d, a, b, operator } => {
                        attempt!(self.op_compare(regs, code, d, a, b, operator))
                    }
                    Op::JumpLess { a, b, to } => branch!(a, b, to, *op, true, lt),
                    Op::JumpLessEqual { a, b, to } => branch!(a, b, to, *op, true, le),
                    Op::JumpGreater { a, b, to } => branch!(a, b, to, *op, true, gt),
                    Op::JumpGreaterEqual { a, b, to } => branch!(a, b, to, *op, true, ge),
                    Op::JumpNotLess { a, b, to } => branch!(a, b, to, *op, false, lt),
                    Op::JumpNotLessEqual { a, b, to } => branch!(a, b, to, *op, false, le),
                    Op::JumpNotGreater { a, b, to } => branch!(a, b, to, *op, false, gt),
                    Op::JumpNotGreaterEqual { a, b, to } => branch!(a, b, to, *op, false, ge),
                    Op::JumpEqual { a, b, to } => branch!(a, b, to, *op, true, eq),
                    Op::JumpNotEqual { a, b, to } => branch!(a, b, to, *op, false, eq),
                    Op::JumpLessInt { a, i, to } => branch_int!(a, i, to, *op, true, lt),
                    Op::JumpLessEqualInt { a, i, to } => branch_int!(a, i, to, *op, true, le),
                    Op::JumpGreaterInt { a, i, to } => branch_int!(a, i, to, *op, true, gt),
                    Op::JumpGreaterEqualInt { a, i, to } => branch_int!(a, i, to, *op, true, ge),
                    Op::JumpNotLessInt { a, i, to } => branch_int!(a, i, to, *op, false, lt),
                    Op::JumpNotLessEqualInt { a, i, to } => branch_int!(a, i, to, *op, false, le),
                    Op::JumpNotGreaterInt { a, i, to } => branch_int!(a, i, to, *op, false, gt),
                    Op::JumpNotGreaterEqualInt { a, i, to } => branch_int!(a, i, to, *op, false, ge),
                    Op::JumpEqualInt { a, i, to } => branch_int!(a, i, to, *op, true, eq),
                    Op::JumpNotEqualInt { a, i, to } => branch_int!(a, i, to, *op, false, eq),
                    Op::JumpEqualConst { a, k, to } => {
                        jump_if!(to, true, self.op_equal_const(regs, code, a, k))
                    }
                    Op::JumpNotEqualConst { a, k, to } => {
                        jump_if!(to, false, self.op_equal_const(regs, code, a, k));
                    }
                    Op::JumpIs { a, b, to } => jump_if!(to, true, self.op_is(regs, code, a, b)),
                    Op::JumpIsNot { a, b, to } => jump_if!(to, false, self.op_is(regs, code, a, b)),
                    Op::JumpNone { a, to } => jump_if!(to, true, self.op_is_none(regs, code, a)),
                    Op::JumpNotNone { a, to } => jump_if!(to, false, self.op_is_none(regs, code, a)),
                    Op::JumpIn { a, b, to } => jump_if!(to, true, self.contains_step(regs, code, a, b)),
                    Op::JumpNotIn { a, b, to } => jump_if!(to, false, self.contains_step(regs, code, a, b)),
                    Op::JumpInConst { a, k, to } => jump_if!(to, true, self.op_in_const(regs, code, a, k)),
                    Op::JumpNotInConst { a, k, to } => {
                        jump_if!(to, false, self.op_in_const(regs, code, a, k))
                    }
                    Op::JumpTrue { a, to } => truth!(a, to, true),
                    Op::JumpFalse { a, to } => truth!(a, to, false),
                    Op::KeepTrue { a, to } => {
                        if self.op_keep(regs, code, a, true) {
                            go!(to);
                        }
                    }
                    Op::KeepFalse { a, to } => {
                        if !self.op_keep(regs, code, a, false) {
                            go!(to);
                        }
                    }
                    Op::Jump { to } => go!(to),
                    Op::Loop { to } => jump!(to),

                    Op::Attribute { d, a, site } => attempt!(self.op_attribute(regs, code, d, a, site)),
                    Op::SetAttribute { a, b, site } => {
                        attempt!(self.op_set_attribute(regs, code, a, b, site))
                    }
                    Op::DeleteAttribute { a, site } => {
                        attempt!(self.op_delete_attribute(regs, code, a, site))
                    }
                    Op::Method { t, a, site } => attempt!(self.op_method(regs, code, t, a, site)),
                    Op::Item { d, a, b } => attempt!(self.op_item(regs, code, d, a, b)),
                    Op::ItemInt { d, a, i } => attempt!(self.op_item_int(regs, code, d, a, i)),
                    Op::SetItem { a, b, c } => attempt!(self.op_set_item(regs, code, a, b, c)),
                    Op::SetItemInt { a, c, i } => attempt!(self.op_set_item_int(regs, code, a, c, i)),
                    Op::DeleteItem { a, b } => attempt!(self.op_delete_item(regs, code, a, b)),
                    Op::Slice { d, a, b, c } => attempt!(self.op_slice(regs, code, d, a, b, c)),
                    Op::SetSlice { a, b, c, v } => attempt!(self.op_set_slice(regs, code, a, b, c, v)),
                    Op::DeleteSlice { a, b, c } => attempt!(self.op_delete_slice(regs, code, a, b, c)),
                    Op::NewSlice { d, a } => attempt!(self.op_new_slice(regs, d, a)),

                    Op::NewList { d, a, count } => attempt!(self.op_new_list(regs, d, a, count)),
                    Op::NewTuple { d, a, count } => attempt!(self.op_new_tuple(regs, d, a, count)),
                    Op::NewDict { d } => {
                        let dict = self.heap.new_dict();
                        self.put(regs, d, Value::Dict(dict));
                    }
                    Op::Append { a, b } => attempt!(self.op_append(regs, code, a, b)),
                    Op::ListToTuple { a } => attempt!(self.op_list_to_tuple(regs, a)),
                    Op::Store { a, b, c } => attempt!(self.op_store(regs, code, a, b, c)),
                    Op::Unpack { a, t, count } => attempt!(self.op_unpack(regs, code, a, t, count)),
                    Op::UnpackTwo { a, d, e } => attempt!(self.op_unpack_into(regs, code, a, [d, e])),
                    Op::UnpackThree { a, d, e, f } => attempt!(self.op_unpack_into(regs, code, a, [d, e, f])),
                    Op::UnpackMany { d, a, count } => attempt!(self.op_unpack_many(regs, code, d, a, count)),

                    Op::Iterate { t } => attempt!(self.op_iterate(regs, t)),
                    Op::Next { t, d, to } => match attempt!(self.op_next(regs, t, d)) {
                        Next::Item => jump!(to),
                        Next::End => {}
                        Next::Wait(flow) => break 'ops Exit::Again(flow),
                    },
                    Op::Range { t, count, to } => {
                        if self.op_range(regs, t, count) {
                            go!(to);
                        }
                    }

                    Op::Builtin { d, t, a, g } => {
                        if attempt!(self.op_builtin(regs, code, (d, t, a), g)) {
                            go!(ops.len() - rest.len() + 1);
                        }
                    }
                    Op::CallGlobal { ref d, ref t, ref count, ref g } => {
                        // Read as late as possible: they would be kept on the stack.
                        if let Some(callee) = self.enters_known(code, *g, *count, frames.len()) {
                            // Register 0 of the callee stays free.
                            enter!(callee, *d, *t, FrameKind::Store);
                        }
                        let (d, t, count) = (*d, *t, usize::from(*count));
                        match attempt!(self.call_global(regs, code, (d, t, count), *g, frames.len())) {
                            Called::Done => {}
                            Called::Flow(flow) => break 'ops Exit::Flow(flow, d),
                            Called::Enter(callee) => {
                                break 'ops Exit::Enter { callee, d, t, kind: FrameKind::Store };
                            }
                            Called::Init(callee, instance) => {
                                instances.push(instance);
                                break 'ops Exit::Enter { callee, d, t, kind: FrameKind::Init };
                            }
                            Called::Slow(count) => break 'ops Exit::Call { d, t, count },
                        }
                    }
                    Op::NeedGlobal { g } => attempt!(self.op_need_global(code, g)),
                    Op::Len { d, a, t, g } => {
                        if !self.op_len(regs, code, d, a, g) {
                            attempt!(self.lay_out_len(regs, code, (a, t), g));
                            break 'ops Exit::Call { d, t, count: 1 };
                        }
                    }
                    Op::Call { d, t, count } => call!(d, t, usize::from(count), false),
                    Op::CallMethod { d, t, count } => {
                        if regs[usize::from(t + 1)].is_unset() {
                            self.close_gap(regs, t, count);
                            call!(d, t, usize::from(count), false);
                        } else {
                            call!(d, t, usize::from(count) + 1, true);
                        }
                    }
                    Op::CallKeywords { d, t, count, k } | Op::CallSpread { d, t, count, k, .. } => {
                        let extra = match *op {
                            Op::CallSpread { extra, .. } => extra,
                            _ => 0,
                        };
                        let keywords = &code.keywords[usize::from(k)];
                        let given = (usize::from(count), extra);
                        let entered = self.enters_spread(regs, t, given, keywords, frames.len());
                        if let Some(callee) = entered.1 {
                            break 'ops Exit::Enter { callee, d, t, kind: FrameKind::Store };
                        }
                        let count = entered.0;
                        let first = base as usize + usize::from(t);
                        let result = self.spread(stack, first, count, code, k, extra);
                        let (count, extra) = attempt!(result);
                        break 'ops Exit::CallExtra { d, t, count, extra };
                    }
                    Op::Return { a } => {
                        let value = std::mem::replace(&mut regs[usize::from(a)], Value::Unset);
                        if value.is_unset() {
                            break 'ops Exit::Raise(self.unbound(code, a));
                        }
                        give!(value);
                    }
                    Op::ReturnNone => give!(Value::None),
                    Op::Function { d, t, count, f } => {
                        let function = self.make_function(regs, code, t, count, f);
                        self.put(regs, d, function);
                    }
                    Op::Class { d } => {
                        let class = attempt!(self.make_class(regs, code));
                        self.put(regs, d, class);
                    }

                    Op::Raise { t, count } => match self.op_raise(regs, t, count) {
                        Raise::Raised(raised) => break 'ops Exit::Raise(raised),
                        Raise::Call(flow) => break 'ops Exit::Flow(flow, t),
                    },
                    Op::RaiseAgain => break 'ops Exit::Raise(self.op_raise_again(handled)),
                    Op::Handling { t } => self.op_handling(regs, code, handled, t),
                    Op::EndHandling => self.end_handling(handled, code, regs),
                    Op::Reraise { t } => break 'ops Exit::Raise(self.op_reraise(regs, t)),
                    Op::Match { t, a, to } => {
                        if !attempt!(self.op_match(regs, code, t, a)) {
                            go!(to);
                        }
                    }
                    Op::EndFinally { t } => {
                        if regs[usize::from(t)].is_counted() {
                            break 'ops Exit::Raise(self.op_reraise(regs, t));
                        }
                    }
                    Op::IfReason { t, i, to } => {
                        if matches!(regs[usize::from(t)], Value::Int(reason) if reason == i64::from(i)) {
                            go!(to);
                        }
                    }
                    Op::AssertFail { t, count } => {
                        break 'ops Exit::Raise(self.op_assert_fail(regs, t, count));
                    }

                    Op::PrintStr { a, to } => match attempt!(self.op_print(regs, code, a, true)) {
                        Printed::Done => go!(to),
                        Printed::NotStr => {}
                        Printed::Wait(flow) => {
                            go!(to);
                            break 'ops Exit::Print(flow);
                        }
                        Printed::WaitForSpace(flow) => {
                            go!(ops.len() - rest.len() - 1);
                            break 'ops Exit::Print(flow);
                        }
                    },
                    Op::Print { a } => match attempt!(self.op_print(regs, code, a, false)) {
                        Printed::Done | Printed::NotStr => {}
                        Printed::Wait(flow) => break 'ops Exit::Print(flow),
                        Printed::WaitForSpace(flow) => {
                            go!(ops.len() - rest.len() - 1);
                            break 'ops Exit::Print(flow);
                        }
                    },
                    Op::PrintNewline => {
                        if let Some(flow) = attempt!(self.op_print_newline()) {
                            break 'ops Exit::Print(flow);
                        }
                    }
                    Op::ToStr { d, a } => {
                        let result = crate::types::to_str(self, regs[usize::from(a)]);
                        self.consume(regs, code.locals, a);
                        step!(d, self.finish_step(regs, d, result));
                    }
                    Op::IfStr { a, to } => match regs[usize::from(a)] {
                        Value::Str(_) => go!(to),
                        Value::Unset => break 'ops Exit::Raise(self.unbound(code, a)),
                        _ => {}
                    },
                    Op::SoftSpace { d, f, set } => attempt!(self.op_soft_space(regs, d, f, set)),
                    Op::SoftSpaceAfter { f, a } => attempt!(self.op_soft_space_after(regs, f, a)),
                    Op::Finalizers => {
                        if !self.heap.finalized.is_empty() {
                            self.heap.settle_finalized(self.current.0, frames.len());
                        }
                        if !self.heap.finalizers.is_empty() {
                            break 'ops Exit::Finalize;
                        }
                    }
                }
            };
            pc = ops.len() - rest.len();
            if let Exit::Enter { callee, d, t, kind } = exit {
                let caller = std::mem::replace(&mut running, callee);
                frames.push(code_frame(caller, pc, base as usize, d, kind));
                (pc, base) = (0, base + u32::from(t));
                match reached(stack, base, &mut self.heap) {
                    Some(window) => regs = window,
                    None => break 'frame Exit::Fuel,
                }
                continue 'frame;
            }
            break 'frame exit;
        };
        self.leave_code(thread, running, pc, base as usize, exit)
    }
}
