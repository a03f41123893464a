//! The way out of the loop over instructions.

use std::rc::Rc;

use super::call::Extra;
use super::drive::{code_frame, Action};
use super::native::Flow;
use super::thread::{FrameKind, Stop, Thread};
use super::Vm;
use crate::compile::{Code, Op, Reg};
use crate::heap::{Raised, Value};

/// Why the inner loop is left.
pub(super) enum Exit {
    /// Something was raised at the instruction before `pc`.
    Raise(Raised),
    /// Enter this code, whose arguments lie from `t + 1` on; the value goes to `d`. The loop does that itself.
    Enter { callee: Rc<Code>, d: Reg, t: Reg, kind: FrameKind },
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

impl Vm {
    /// What the outer loop has to do after [`Vm::run_code`] has left the code.
    #[inline(never)]
    pub(super) fn leave_code(
        &mut self,
        thread: &mut Thread,
        running: Rc<Code>,
        pc: usize,
        base: usize,
        exit: Exit,
    ) -> Result<Action, Stop> {
        let top = |code: &Code, base: usize| base + usize::from(code.registers);
        match exit {
            Exit::Raise(raised) => match self.postponed.take() {
                None => Ok(self.raise_in(thread, running, pc, base, raised)),
                Some(flow) => {
                    let exception = self.heap.take_raised(raised);
                    self.heap.release(exception);
                    let at = top(&running, base);
                    let frame = match running.ops[pc - 1] {
                        Op::Slice { d, .. } | Op::Item { d, .. } => {
                            code_frame(running, pc, base, d, FrameKind::Store)
                        }
                        // A comparison: it is run again and finds its answer.
                        _ => code_frame(running, pc - 1, base, 0, FrameKind::Discard),
                    };
                    thread.frames.push(frame);
                    Ok(Action::Flow(flow, at))
                }
            },
            Exit::Enter { callee, d, t, kind } => {
                thread.frames.push(code_frame(running, pc, base, d, kind));
                Ok(Action::Run(callee, 0, base + usize::from(t)))
            }
            Exit::Call { d, t, count } => {
                let at = base + usize::from(t);
                thread.frames.push(code_frame(running, pc, base, d, FrameKind::Store));
                Ok(Action::Invoke(at, count))
            }
            Exit::CallExtra { d, t, count, extra } => {
                let at = base + usize::from(t);
                thread.frames.push(code_frame(running, pc, base, d, FrameKind::Store));
                Ok(Action::InvokeExtra(at, count, extra))
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
                // One frame deeper, `__del__` runs: it is done when this depth is reached again.
                let depth = thread.frames.len() - 1;
                let Some(object) = self.heap.begin_finalizer(self.current.0, depth) else {
                    return Ok(Action::Deliver(Value::None));
                };
                let name = self.names.del;
                match self.program_method(object, name) {
                    Some(function) => {
                        self.heap.retain(function);
                        Thread::reach(&mut thread.stack, at, &mut self.heap);
                        thread.stack[at] = function;
                        thread.stack[at + 1] = object;
                        Ok(Action::Invoke(at, 1))
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
}
