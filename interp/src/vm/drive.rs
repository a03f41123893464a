//! The outer loop: what goes on between the frames of a thread.
//!
//! The loop over instructions (`run.rs`) leaves one frame for another by itself
//! where it can; everything else about calls, results and exceptions comes here.

use std::rc::Rc;

use super::call::Extra;
use super::native::{CallArgs, CallRequest, Flow};
use super::thread::{Frame, FrameKind, Invoke, Pending, Stop, Thread, Uncaught};
use super::{Vm, RECURSION_LIMIT};
use crate::compile::{Code, Reg};
use crate::heap::{Builtin, Raised, Value};

/// What the outer loop does next.
pub(super) enum Action {
    /// Run this code.
    Run(Rc<Code>, usize, usize),
    /// Hand a value to the frame on top: owned.
    Deliver(Value),
    /// Let an exception go through the frame on top.
    Unwind(Raised),
    /// Call what lies at this place of the stack.
    Invoke(usize, usize),
    /// The same with keywords.
    InvokeExtra(usize, usize, Extra),
    /// Do what a native wishes; it was called with the stack free from this place on.
    Flow(Flow, usize),
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
                Action::Invoke(0, count)
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
                Action::Invoke(at, count) => match self.invoke_at(thread, at, count, Extra::default()) {
                    Ok(action) => action,
                    Err(stop) => return stop,
                },
                Action::InvokeExtra(at, count, extra) => match self.invoke_at(thread, at, count, extra) {
                    Ok(action) => action,
                    Err(stop) => return stop,
                },
                Action::Flow(flow, at) => {
                    let (state, stop) = match flow {
                        Flow::Value(value) => {
                            action = Action::Deliver(value);
                            continue;
                        }
                        Flow::Call(request) => {
                            action = self.begin_call(thread, request, at);
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
                        thread.natives.push(*state);
                        thread.frames.push(self.codeless_frame(at, FrameKind::Native));
                    }
                    return stop;
                }
            };
        }
    }

    /// Calls what lies at a place of the stack.
    fn invoke_at(
        &mut self,
        thread: &mut Thread,
        at: usize,
        count: usize,
        extra: Extra,
    ) -> Result<Action, Stop> {
        self.depth = thread.frames.len();
        if thread.frames.len() >= RECURSION_LIMIT {
            self.clear(&mut thread.stack, at, count + 1);
            extra.keywords.into_iter().for_each(|(_, value)| self.heap.release(value));
            return Ok(Action::Unwind(self.too_deep_calls()));
        }
        Ok(match self.invoke(&mut thread.stack, at, count, extra) {
            Invoke::Enter(code) => {
                Thread::reach(&mut thread.stack, at, &mut self.heap);
                self.fuel -= 1;
                if self.fuel < 0 {
                    thread.frames.push(code_frame(code, 0, at, 0, FrameKind::Interrupted));
                    return Err(Stop::Fuel);
                }
                Action::Run(code, 0, at)
            }
            Invoke::EnterInit(code, instance) => {
                Thread::reach(&mut thread.stack, at, &mut self.heap);
                thread.instances.push(instance);
                match thread.frames.last_mut() {
                    Some(frame) if frame.kind == FrameKind::Store => frame.kind = FrameKind::Init,
                    _ => thread.frames.push(self.codeless_frame(at, FrameKind::Made)),
                }
                Action::Run(code, 0, at)
            }
            Invoke::Value(value) => Action::Deliver(value),
            Invoke::Flow(flow) => Action::Flow(flow, at),
            Invoke::Raised(raised) => Action::Unwind(raised),
        })
    }

    /// Begins a call that a native asks for, over the stack that is free from `at` on. A function of the program
    /// that takes the arguments as they are is entered at once.
    #[allow(clippy::boxed_local)] // It comes in its box, and goes from there to the stack.
    fn begin_call(&mut self, thread: &mut Thread, request: Box<CallRequest>, at: usize) -> Action {
        let CallRequest { callee, args, then } = *request;
        thread.natives.push(then);
        thread.frames.push(self.codeless_frame(at, FrameKind::Native));
        let count = match args {
            CallArgs::One(_) => 1,
            CallArgs::Two(..) => 2,
            CallArgs::Many(ref values) => values.len(),
        };
        Thread::reach(&mut thread.stack, at + count, &mut self.heap);
        thread.stack[at] = callee;
        match args {
            CallArgs::One(value) => thread.stack[at + 1] = value,
            CallArgs::Two(first, second) => {
                thread.stack[at + 1] = first;
                thread.stack[at + 2] = second;
            }
            CallArgs::Many(values) => thread.stack[at + 1..=at + count].copy_from_slice(&values),
        }
        if let Value::Function(function) = callee {
            if let Some(code) = self.enters(function, count, thread.frames.len()) {
                return Action::Run(code, 0, at);
            }
        }
        Action::Invoke(at, count)
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
                    let frame = Frame { kind: FrameKind::Store, ..frame };
                    return self.unwind(thread, frame, raised);
                }
            },
            FrameKind::Made => {
                let instance = thread.instances.pop().unwrap_or(Value::None);
                return match self.finish_init(value, instance) {
                    Ok(instance) => Action::Deliver(instance),
                    Err(raised) => Action::Unwind(raised),
                };
            }
            FrameKind::Discard | FrameKind::Interrupted => {
                self.heap.release(value);
                return Action::Run(frame.code, frame.pc as usize, base);
            }
            FrameKind::Native => {
                let Some(state) = thread.natives.pop() else { return Action::Deliver(value) };
                self.depth = thread.frames.len();
                return match state.resume(self, value) {
                    Ok(Flow::Value(value)) => Action::Deliver(value),
                    Ok(Flow::Call(request)) => self.begin_call(thread, request, base),
                    Ok(flow) => Action::Flow(flow, base),
                    Err(raised) => Action::Unwind(raised),
                };
            }
        };
        let place = &mut thread.stack[base + usize::from(frame.dst)];
        let old = std::mem::replace(place, value);
        self.heap.release(old);
        Action::Run(frame.code, frame.pc as usize, base)
    }

    /// Lets an exception go through a frame: to a handler of it, or out of it.
    fn unwind(&mut self, thread: &mut Thread, frame: Frame, raised: Raised) -> Action {
        match frame.kind {
            FrameKind::Init | FrameKind::Made => {
                if let Some(instance) = thread.instances.pop() {
                    self.heap.release(instance);
                }
                if frame.kind == FrameKind::Made {
                    return Action::Unwind(raised);
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
                return Action::Run(frame.code, frame.pc as usize, frame.base as usize);
            }
            _ => {}
        }
        self.raise_in(thread, frame.code, frame.pc as usize, frame.base as usize, raised)
    }

    /// A frame that waits and is none of code.
    fn codeless_frame(&self, at: usize, kind: FrameKind) -> Frame {
        code_frame(self.heap.no_code(), 0, at, 0, kind)
    }

    /// Handles an exception raised at the instruction before `pc`.
    #[inline(never)]
    pub(super) fn raise_in(
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
            // The calls that the exception went through are over: what compares next may go as deep as before.
            self.depth = thread.frames.len() + 1;
            return Action::Run(code, range.handler as usize, base);
        }
        let old = self.restore_handled(&mut thread.handled, &code, &mut thread.stack[base..]);
        self.heap.release(old.0);
        self.heap.release(old.1);
        self.clear(&mut thread.stack, base, usize::from(code.registers));
        Action::Unwind(raised)
    }
}

/// A frame of code that waits.
pub(super) fn code_frame(code: Rc<Code>, pc: usize, base: usize, dst: Reg, kind: FrameKind) -> Frame {
    Frame { code, pc: pc as u32, base: base as u32, dst, kind }
}
