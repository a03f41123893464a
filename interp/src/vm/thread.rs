//! Green threads: a stack of registers and a stack of frames each.

use std::collections::VecDeque;
use std::rc::Rc;

use super::native::Resume;
use super::{Vm, WINDOW};
use crate::compile::Code;
use crate::heap::{Raised, Value, PIECE, SMALL_PIECE};

/// A green thread; no number is used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadId(pub u64);

/// What a frame does with the value that the call above it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// Stores it in register `dst`.
    Store,
    /// Stores the instance on top of `Thread::instances`: the call was an `__init__`.
    Init,
    /// Hands that instance on to the frame below.
    Made,
    /// Forgets it: the call was a `__del__`, or the instruction is to be run again.
    Discard,
    /// Hands it to the native on top of `Thread::natives`.
    Native,
    /// There is no value: the thread was interrupted between two instructions.
    Interrupted,
}

/// A call that waits for the call above it.
pub(crate) struct Frame {
    /// The code; an empty one for natives.
    pub code: Rc<Code>,
    /// The next instruction.
    pub pc: u32,
    /// Where its registers begin.
    pub base: u32,
    /// Where the value goes.
    pub dst: u8,
    /// What is done with the value.
    pub kind: FrameKind,
}

impl Frame {
    /// Whether it is a call of code.
    pub(crate) fn is_code(&self) -> bool {
        !matches!(self.kind, FrameKind::Native | FrameKind::Made)
    }
}

/// How a thread goes on when it is its turn.
pub(crate) enum Pending {
    /// Begin: call this with these arguments, all owned.
    Start(Value, Vec<Value>),
    /// The value waited for: owned.
    Deliver(Value),
    /// An exception instead of the value: owned.
    Raise(Value),
    /// Where it was interrupted.
    Continue,
    /// It waits to be woken.
    Blocked,
}

/// A green thread.
pub struct Thread {
    /// Its number.
    pub id: ThreadId,
    /// Its name, as `get_thread_name` gives it.
    pub name: String,
    pub(crate) stack: Vec<Value>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) natives: Vec<Box<dyn Resume>>,
    /// Instances whose `__init__` runs: owned.
    pub(crate) instances: Vec<Value>,
    /// The exception handled last and its way, for `raise` alone: owned.
    pub(crate) handled: (Value, Value),
    pub(crate) pending: Pending,
}

/// An exception nobody caught.
pub struct Uncaught {
    /// The exception: owned.
    pub exception: Value,
    /// Its way, a trace or unset: owned.
    pub trace: Value,
}

/// What [`Vm::run`] comes back with.
pub enum Event {
    /// A thread has ended: its number and result (owned) or exception.
    Ended(ThreadId, Result<Value, Uncaught>),
    /// The fuel is used up; threads are ready.
    Fuel,
    /// No thread is ready: all wait, or there are none.
    Idle,
}

/// The threads of a machine.
#[derive(Default)]
pub(crate) struct Threads {
    pub all: std::collections::HashMap<ThreadId, Thread>,
    pub ready: VecDeque<ThreadId>,
    pub next: u64,
}

/// Instructions (back jumps and calls) a thread may run before the next one gets its turn.
pub const SLICE: i64 = 20_000;

impl Vm {
    /// Makes a thread that will call `callee`; it runs when [`Vm::run`] is next
    /// called. Takes `callee` and `args` over.
    pub fn spawn(&mut self, callee: Value, args: Vec<Value>, name: &str) -> ThreadId {
        let id = ThreadId(self.threads.next);
        self.threads.next += 1;
        let thread = Thread {
            id,
            name: name.to_owned(),
            stack: Vec::new(),
            frames: Vec::new(),
            natives: Vec::new(),
            instances: Vec::new(),
            handled: (Value::Unset, Value::Unset),
            pending: Pending::Start(callee, args),
        };
        self.threads.all.insert(id, thread);
        self.threads.ready.push_back(id);
        id
    }

    /// Wakes a thread that a native has blocked: with the value it waited for
    /// (owned) or an exception instance (owned). False if it does not wait.
    pub fn wake(&mut self, id: ThreadId, result: Result<Value, Value>) -> bool {
        match self.threads.all.get_mut(&id) {
            Some(thread) if matches!(thread.pending, Pending::Blocked) => {
                thread.pending = match result {
                    Ok(value) => Pending::Deliver(value),
                    Err(exception) => Pending::Raise(exception),
                };
                self.threads.ready.push_back(id);
                true
            }
            _ => {
                let (Ok(value) | Err(value)) = result;
                self.heap.release(value);
                false
            }
        }
    }

    /// The name of a thread: that of the running one, or of one that waits.
    pub fn thread_name(&self, id: ThreadId) -> &str {
        // The one that ran last is current still, but waits among the others again.
        match self.threads.all.get(&id) {
            Some(thread) => &thread.name,
            None if id == self.current => &self.current_name,
            None => "",
        }
    }

    /// Number of threads that are ready to run.
    pub fn ready_count(&self) -> usize {
        self.threads.ready.len()
    }

    /// Whether any thread is ready to run.
    pub fn has_ready(&self) -> bool {
        !self.threads.ready.is_empty()
    }

    /// Number of threads, waiting ones included.
    pub fn thread_count(&self) -> usize {
        self.threads.all.len()
    }

    /// Runs ready threads in turn until one ends, `fuel` is used up, or all wait.
    /// `fuel` counts calls and back jumps.
    pub fn run(&mut self, fuel: i64) -> Event {
        let mut left = fuel;
        while let Some(id) = self.threads.ready.pop_front() {
            let Some(mut thread) = self.threads.all.remove(&id) else { continue };
            self.current = id;
            std::mem::swap(&mut self.current_name, &mut thread.name);
            let slice = left.min(SLICE);
            self.fuel = slice;
            self.heap.bury_some();
            let result = self.run_thread(&mut thread);
            left -= slice - self.fuel;
            self.unspent = left;
            std::mem::swap(&mut self.current_name, &mut thread.name);
            match result {
                Stop::Fuel => {
                    thread.pending = Pending::Continue;
                    self.threads.ready.push_back(id);
                    self.threads.all.insert(id, thread);
                    self.collect_some(PIECE);
                }
                Stop::Blocked => {
                    thread.pending = Pending::Blocked;
                    self.threads.all.insert(id, thread);
                    self.collect_some(SMALL_PIECE);
                }
                Stop::Done(result) => {
                    let (exception, trace) = thread.handled;
                    self.heap.release(exception);
                    self.heap.release(trace);
                    self.heap.discharge(thread.stack.capacity() * 16);
                    self.collect_some(SMALL_PIECE);
                    return Event::Ended(id, result);
                }
            }
            if left <= 0 || self.interrupt {
                self.interrupt = false;
                return Event::Fuel;
            }
        }
        if self.heap.has_remains() {
            // Not idle yet: the rest of a large structure is given back meanwhile.
            self.heap.bury_some();
            return Event::Fuel;
        }
        if self.heap.wants_collection() {
            self.collect_some(PIECE);
            return Event::Fuel;
        }
        Event::Idle
    }

    /// Does a piece of the collection of cycles that is due or under way.
    fn collect_some(&mut self, most: usize) {
        if self.heap.wants_collection() && self.heap.collect_some(most) {
            self.drop_unused_code();
        }
    }

    /// The calls under way in a thread that does not run now, outermost first, as `function:line`.
    pub fn calls_of(&self, id: ThreadId) -> Vec<String> {
        let Some(thread) = self.threads.all.get(&id) else { return Vec::new() };
        let of_frame = |frame: &Frame| {
            let code = frame.is_code().then_some(&frame.code)?;
            // The instruction the frame is at is the one before the next.
            let at = (frame.pc as usize).saturating_sub(1).min(code.spans.len().saturating_sub(1));
            let line = code.spans.get(at).map_or(0, |span| code.source.line_column(span.start).0);
            Some(format!("{}:{line}", self.heap.text(code.name)))
        };
        let mut calls: Vec<String> = thread.frames.iter().filter_map(of_frame).collect();
        if thread.frames.last().is_some_and(|frame| !frame.is_code()) {
            calls.push("(built-in)".to_owned());
        }
        calls
    }

    /// Ends a waiting or ready thread; nothing of it runs any more, `finally`
    /// blocks included. False if there is no such thread.
    pub fn kill(&mut self, id: ThreadId) -> bool {
        let Some(mut thread) = self.threads.all.remove(&id) else { return false };
        while let Some(state) = thread.natives.pop() {
            state.abandon(self);
        }
        match std::mem::replace(&mut thread.pending, Pending::Blocked) {
            Pending::Start(callee, args) => {
                self.heap.release(callee);
                args.into_iter().for_each(|value| self.heap.release(value));
            }
            Pending::Deliver(value) | Pending::Raise(value) => self.heap.release(value),
            Pending::Continue | Pending::Blocked => {}
        }
        for instance in std::mem::take(&mut thread.instances) {
            self.heap.release(instance);
        }
        for value in std::mem::take(&mut thread.stack) {
            self.heap.release(value);
        }
        self.heap.release(thread.handled.0);
        self.heap.release(thread.handled.1);
        // A `__del__` that it was in is over, too.
        self.heap.settle_finalized(id.0, 0);
        true
    }

    /// Ends every waiting or ready thread, as [`Vm::kill`].
    pub fn kill_all(&mut self) {
        let all: Vec<ThreadId> = self.threads.all.keys().copied().collect();
        for id in all {
            self.kill(id);
        }
        self.threads.ready.clear();
    }

    /// Every share the threads hold, for [`crate::heap::Heap::check_counts`].
    pub fn held(&self, visit: &mut dyn FnMut(Value)) {
        for thread in self.threads.all.values() {
            thread.stack.iter().for_each(|value| visit(*value));
            thread.instances.iter().for_each(|value| visit(*value));
            thread.natives.iter().for_each(|state| state.held(visit));
            visit(thread.handled.0);
            visit(thread.handled.1);
            match &thread.pending {
                Pending::Start(callee, args) => {
                    visit(*callee);
                    args.iter().for_each(|value| visit(*value));
                }
                Pending::Deliver(value) | Pending::Raise(value) => visit(*value),
                Pending::Continue | Pending::Blocked => {}
            }
        }
        self.builtins.iter().for_each(|entry| {
            visit(entry.key);
            visit(entry.value);
        });
        self.modules.iter().for_each(|code| code.held(visit));
        self.spread_names.iter().copied().for_each(&mut *visit);
    }
}

/// Why a thread stops running.
pub(crate) enum Stop {
    /// Its slice is over.
    Fuel,
    /// It waits.
    Blocked,
    /// It has ended.
    Done(Result<Value, Uncaught>),
}

const _: () = assert!(std::mem::size_of::<Frame>() <= 24);

impl Thread {
    /// Makes the stack reach a whole window from `base` on.
    #[inline(always)]
    pub(crate) fn reach(stack: &mut Vec<Value>, base: usize, heap: &mut crate::heap::Heap) {
        if stack.len() < base + WINDOW {
            Thread::grow(stack, base, heap);
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn grow(stack: &mut Vec<Value>, base: usize, heap: &mut crate::heap::Heap) {
        let before = stack.capacity();
        let wanted = (base + WINDOW).max(stack.len() * 3 / 2);
        stack.reserve_exact(wanted - stack.len());
        stack.resize(wanted, Value::Unset);
        heap.charge((stack.capacity() - before) * 16);
    }
}

/// What [`Vm::invoke`] comes to.
pub(crate) enum Invoke {
    /// A frame of this code is ready at the callee's place.
    Enter(Rc<Code>),
    /// The same, of an `__init__`; the instance (owned) is the value of the call.
    EnterInit(Rc<Code>, Value),
    /// It is done: owned.
    Value(Value),
    /// A native goes on later.
    Flow(super::native::Flow),
    /// It raised.
    Raised(Raised),
}
