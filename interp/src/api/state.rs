//! What the API keeps for a run. It lives in [`Vm::host`]; natives take it
//! from there.

use std::collections::{HashMap, VecDeque};

use policies::channel::control::ToInterpreter;
use policies::{Action, Argument, Call, Policy};

use super::error::{ApiError, Arguments, Class, Failure, Kill};
use super::files::Files;
use super::locks::Locks;
use super::network::Network;
use super::record::Recorder;
use crate::events::Deadlines;
use crate::heap::{Builtin, Heap, NativeId, Raised, Value};
use crate::host::{Host, Ready, Stream};
use crate::meter::{Meters, Pass, Rate};
use crate::vm::native::{block, value, NativeReturn, Resume};
use crate::vm::{ThreadId, Vm};

/// What a moment in the heap of moments stands for.
#[derive(Debug)]
pub enum Due {
    /// A thread is woken; the value (owned) is the result of its call.
    Wake(ThreadId, Value),
    /// A timer goes off. Both values are owned.
    Timer {
        /// What is called.
        function: Value,
        /// The tuple or list of its arguments.
        arguments: Value,
        /// The number in the thread's name.
        number: u64,
    },
    /// Listeners look again: a rate is paid for, or an item may be free.
    Listeners,
}

/// What a thread is, for its name and for what its end means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The initialize or the exit run.
    Main,
    /// A timer's function.
    Timer(u64),
    /// A network callback.
    Callback(u64),
}

impl Role {
    /// The thread's name as `get_thread_name` gives it.
    pub fn name(self) -> String {
        match self {
            Role::Main => "MainThread".to_owned(),
            Role::Timer(number) => format!("_EVENT:Thread:{number}"),
            Role::Callback(number) => format!("_COMMH:Thread:{number}"),
        }
    }
}

/// The exception classes of the API that programs cannot name.
#[derive(Debug, Clone, Copy)]
pub struct HiddenClasses {
    pub(super) socket_error: crate::heap::Class,
    pub(super) address_error: crate::heap::Class,
    pub(super) thread_error: crate::heap::Class,
}

/// See the module.
pub struct Api {
    /// The world.
    pub host: Box<dyn Host>,
    /// Rates, items, the disk.
    pub meters: Meters,
    /// The rules; `None` where none are checked (`--norestrictions`, a run by
    /// hand without a policy).
    pub policy: Option<Policy>,
    /// Granted local ports (TCP or not, port); `None` to grant all.
    pub ports: Option<Vec<(bool, u16)>>,
    /// Moments at which something is to happen.
    pub deadlines: Deadlines<Due>,
    /// Open files.
    pub files: Files,
    /// Held locks.
    pub locks: Locks<ThreadId>,
    /// Listeners, sockets and requests.
    pub network: Network,
    /// An end that a call has asked for; nothing of the program runs after.
    pub end: Option<Kill>,
    /// Calls refused by a rule so far.
    pub refusals: u64,
    /// Notes every call, where that was asked for.
    pub recorder: Option<Recorder>,
    /// Whether somebody answers what a `prompt` rule asks.
    pub asks: bool,
    /// Questions asked so far.
    pub questions: u32,
    /// What became ready while an answer was waited for.
    pub unhandled: VecDeque<Ready>,
    /// What the supervisor said meanwhile.
    pub unheard: VecDeque<ToInterpreter>,
    /// Threads other than the main one.
    pub(crate) threads: HashMap<ThreadId, Role>,
    /// Origin of `getruntime`, monotonic nanoseconds.
    pub(super) origin: u64,
    /// Whether `events` items are taken (not under `--simple`).
    pub(crate) counts_events: bool,
    pub(super) hidden: HiddenClasses,
    /// Timers set and not gone off.
    pub(crate) timers: usize,
    /// The code of virtual namespaces by the identity of their object: owned.
    namespaces: HashMap<u64, Value>,
    /// Threads in the line of `fileread` within a `for` over a file.
    pub(super) line_waiters: std::collections::HashSet<ThreadId>,
    /// The rows of API functions among the natives.
    pub(super) functions: std::ops::Range<u64>,
    handles: u64,
    threads_named: u64,
    locks_made: u64,
    output: Vec<u8>,
    random: Vec<u8>,
}

/// Bytes of output gathered before they are written.
const OUTPUT_BLOCK: usize = 8192;
/// Random bytes fetched at a time.
const RANDOM_BLOCK: usize = 256;

/// What an [`Api`] starts from.
pub struct Setup {
    /// The world.
    pub host: Box<dyn Host>,
    /// Limits and what was used before.
    pub meters: Meters,
    /// The rules, `None` to allow everything.
    pub policy: Option<Policy>,
    /// Granted local ports (TCP or not, port), `None` to grant all.
    pub ports: Option<Vec<(bool, u16)>>,
    /// Names in the vessel that are not the program's.
    pub reserved: Vec<String>,
    /// Origin of `getruntime`, monotonic nanoseconds.
    pub origin: u64,
    /// Connections accepted at once.
    pub max_accepted: u32,
    /// Whether `events` items are taken.
    pub counts_events: bool,
}

impl Api {
    pub(super) fn new(setup: Setup, hidden: HiddenClasses) -> Api {
        let Setup { host, meters, policy, ports, reserved, origin, max_accepted, counts_events } = setup;
        Api {
            host,
            meters,
            policy,
            ports,
            deadlines: Deadlines::default(),
            files: Files::new(&reserved),
            locks: Locks::default(),
            network: Network::new(max_accepted),
            end: None,
            refusals: 0,
            recorder: None,
            asks: false,
            questions: 0,
            unhandled: VecDeque::new(),
            unheard: VecDeque::new(),
            threads: HashMap::new(),
            origin,
            counts_events,
            hidden,
            timers: 0,
            namespaces: HashMap::new(),
            line_waiters: std::collections::HashSet::new(),
            functions: 0..0,
            handles: 0,
            threads_named: 0,
            locks_made: 0,
            output: Vec::new(),
            random: Vec::new(),
        }
    }

    /// The API of a machine and its heap. Every native here runs in a machine
    /// that [`super::install`] was called on.
    pub fn of(vm: &mut Vm) -> (&mut Api, &mut Heap) {
        let api = vm.host.as_mut().and_then(|host| host.downcast_mut::<Api>());
        match api {
            Some(api) => (api, &mut vm.heap),
            // API natives exist only where `install` has put an Api first.
            None => unreachable!("the API is installed before its natives"),
        }
    }

    /// The API of a machine, to look at.
    pub fn of_ref(vm: &Vm) -> Option<&Api> {
        vm.host.as_ref().and_then(|host| host.downcast_ref::<Api>())
    }

    /// Whether a native is one of the API's functions.
    pub fn is_api_function(&self, native: NativeId) -> bool {
        self.functions.contains(&native.0)
    }

    /// The role of a thread.
    pub fn role(&self, thread: ThreadId) -> Role {
        self.threads.get(&thread).copied().unwrap_or(Role::Main)
    }

    /// The next number for a thread's name.
    pub fn next_thread_number(&mut self) -> u64 {
        self.threads_named += 1;
        self.threads_named
    }

    /// The next inner handle: prefix, thread, counter.
    pub fn next_handle(&mut self, prefix: &str, role: Role) -> String {
        self.handles += 1;
        format!("{prefix}{}:{}", role.name(), self.handles)
    }

    /// Gives an `events` item back; listeners may have waited for it.
    pub fn give_back_event(&mut self) {
        if self.counts_events {
            self.meters.give_back(crate::meter::Count::Events);
            self.network.look_again();
        }
    }

    /// Takes a countable item (no `events` under `--simple`).
    pub fn take(&mut self, count: crate::meter::Count) -> Result<(), Failure> {
        if count == crate::meter::Count::Events && !self.counts_events {
            return Ok(());
        }
        Ok(self.meters.take(count)?)
    }

    /// A number for a new lock.
    pub fn next_lock(&mut self) -> u64 {
        self.locks_made += 1;
        self.locks_made
    }

    /// Keeps the code of a namespace (takes it over) and returns its identity.
    pub fn add_namespace(&mut self, function: Value) -> u64 {
        let id = self.network.next_id();
        self.namespaces.insert(id, function);
        id
    }

    /// The code of a namespace, borrowed.
    pub fn namespace(&self, id: u64) -> Option<Value> {
        self.namespaces.get(&id).copied()
    }

    /// Whether something is still to happen that the initialize run waits
    /// for: timers, callbacks, listeners.
    pub fn is_pending(&self) -> bool {
        self.timers > 0
            || !self.threads.is_empty()
            || self.network.opening > 0
            || self.network.listening() > 0
    }

    /// Gathers output; whole lines go out at once.
    pub fn print(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
        if self.output.len() >= OUTPUT_BLOCK || bytes.contains(&b'\n') {
            self.flush_output();
        }
    }

    /// Writes out what was printed.
    pub fn flush_output(&mut self) {
        if !self.output.is_empty() {
            self.host.write_stream(Stream::Output, &self.output);
            self.output.clear();
        }
    }

    /// Eight random bytes as a number.
    pub fn random_bits(&mut self) -> Result<u64, ApiError> {
        if self.random.len() < 8 {
            let mut fresh = vec![0; RANDOM_BLOCK];
            self.host.random(&mut fresh).map_err(|error| ApiError::system(Class::OsError, error, None))?;
            self.random = fresh;
        }
        let rest = self.random.len().saturating_sub(8);
        let mut number = [0; 8];
        number.copy_from_slice(&self.random[rest..]);
        self.random.truncate(rest);
        Ok(u64::from_ne_bytes(number))
    }

    /// Every value the API owns (for the check of counts).
    pub fn held(&self, visit: &mut dyn FnMut(Value)) {
        for class in [self.hidden.socket_error, self.hidden.address_error, self.hidden.thread_error] {
            visit(Value::Class(class));
        }
        for due in self.deadlines.payloads() {
            match due {
                Due::Wake(_, result) => visit(*result),
                Due::Timer { function, arguments, .. } => {
                    visit(*function);
                    visit(*arguments);
                }
                Due::Listeners => {}
            }
        }
        self.namespaces.values().for_each(|function| visit(*function));
        self.network.held(visit);
    }
}

/// Raises what a call failed with; an end of the run stops the machine.
#[cold]
pub fn fail(vm: &mut Vm, failure: Failure) -> NativeReturn {
    match failure {
        Failure::Raise(error) => Err(raise(vm, &error)),
        Failure::Kill(kill) => end_run(vm, kill),
    }
}

/// Ends the run: the thread never goes on, the scheduler sees the end before
/// any other thread runs.
pub fn end_run(vm: &mut Vm, kill: Kill) -> NativeReturn {
    Api::of(vm).0.end.get_or_insert(kill);
    vm.interrupt = true;
    block(None)
}

/// Raises an exception of the API.
#[cold]
pub fn raise(vm: &mut Vm, error: &ApiError) -> Raised {
    let (api, heap) = Api::of(vm);
    let class = match error.class {
        Class::Exception => Builtin::Exception.class(),
        Class::TypeError => Builtin::TypeError.class(),
        Class::ValueError => Builtin::ValueError.class(),
        Class::KeyError => Builtin::KeyError.class(),
        Class::IoError => Builtin::IOError.class(),
        Class::OsError => Builtin::OSError.class(),
        Class::AttributeError => Builtin::AttributeError.class(),
        Class::StopIteration => Builtin::StopIteration.class(),
        Class::NamespaceViolation => Builtin::NamespaceViolationError.class(),
        Class::SocketError => api.hidden.socket_error,
        Class::AddressError => api.hidden.address_error,
        Class::ThreadError => api.hidden.thread_error,
    };
    match &error.arguments {
        Arguments::None => heap.raise_with(class, &[]),
        Arguments::Text(text) => heap.raise_bytes(class, text),
        Arguments::System { number, text, name } => {
            let number = Value::Int(i64::from(*number));
            let text = heap.new_str(text.as_bytes());
            let shown = match name {
                Some(name) => heap.new_str(name),
                None => Value::None,
            };
            // As EnvironmentError's constructor: two arguments, three attributes.
            let exception = heap.new_exception(class, &[number, text]);
            if let Value::Instance(instance) = exception {
                let given = if shown.is_none() { 2 } else { 3 };
                let all = [("errno", number), ("strerror", text), ("filename", shown)];
                for (attribute, item) in all.into_iter().take(given) {
                    let attribute = heap.intern(attribute.as_bytes());
                    let item = heap.share(item);
                    heap.set_instance_attribute(instance, attribute, item);
                }
            }
            heap.release(shown);
            heap.raise_value(exception)
        }
    }
}

/// Lets the result of `act` go on, or raises.
pub fn finish(vm: &mut Vm, result: Result<Value, Failure>) -> NativeReturn {
    match result {
        Ok(result) => value(result),
        Err(failure) => fail(vm, failure),
    }
}

/// Closes what the program no longer refers to: files and sockets, promptly.
pub fn drain_dropped(vm: &mut Vm) {
    if vm.heap.dropped.is_empty() {
        return;
    }
    for (class, id) in std::mem::take(&mut vm.heap.dropped) {
        let (api, _) = Api::of(vm);
        if class == Builtin::ApiFile.class() {
            // As in CPython, what cannot be written at this point is lost.
            let file = super::calls::files::handle_of_identity(id);
            let _lost = api.files.close(file, &mut *api.host, &mut api.meters);
        } else if class == Builtin::ApiSocket.class() {
            super::network::forget_socket(vm, id);
        } else if class == Builtin::ApiLock.class() {
            api.locks.forget(id);
        } else if class == Builtin::ApiVirtualNamespace.class() {
            if let Some(function) = api.namespaces.remove(&id) {
                vm.heap.release(function);
                vm.drop_unused_code();
            }
        }
    }
}

/// Checks the rules for a call. `arguments` are those the program wrote, in
/// their positions; `Unset` where it left one out.
pub fn permit(vm: &mut Vm, call: Call, arguments: &[Value]) -> Result<(), Raised> {
    let (api, heap) = Api::of(vm);
    if let Some(recorder) = &mut api.recorder {
        recorder.record(heap, call, arguments);
    }
    let Some(policy) = &api.policy else { return Ok(()) };
    if let Some(decision) = policy.decided(call) {
        if decision.is_allow() {
            return Ok(());
        }
    }
    let texts: Vec<Argument<'_>> = arguments
        .iter()
        .enumerate()
        .map(|(index, argument)| match argument {
            Value::Unset => Argument::Absent,
            // No rule compares it: no text need be made.
            _ if !policy.looks_at(call, index) => Argument::text(b""),
            Value::Str(text) => Argument::text(heap.bytes(*text)),
            other => Argument::Text(super::show::text_of(heap, *other).into()),
        })
        .collect();
    let decision = policy.decide(call, &texts);
    if decision.is_allow() {
        return Ok(());
    }
    let refusal = policy.refusal(call, &texts);
    let given: Vec<Value> = arguments.iter().copied().filter(|argument| !argument.is_unset()).collect();
    let shown = String::from_utf8_lossy(&super::show::repr_of_tuple(heap, &given)).into_owned();
    let message = refusal.message(&shown);
    if let (true, Action::Prompt, Some(rule)) = (api.asks, decision.action, decision.rule) {
        if super::ask::ask(api, call, rule, &shown) {
            return Ok(());
        }
    }
    api.refusals += 1;
    Err(vm.heap.raise(Builtin::Exception, &message))
}

/// What a call does once its rate's past is paid for.
pub type Act = fn(&mut Vm, &[Value]) -> NativeReturn;

/// Charges 0 to a rate before an act: does it at once, or when the past is
/// paid for and those who waited before have had their turn. Borrows `values`.
pub fn gate(vm: &mut Vm, rate: Rate, values: &[Value], act: Act) -> NativeReturn {
    let thread = vm.current;
    let (api, heap) = Api::of(vm);
    let now = api.host.now();
    match api.meters.before(rate, thread.0, now) {
        Err(refused) => fail(vm, refused.into()),
        Ok(Pass::Now) => act(vm, values),
        Ok(pass) => {
            if let Pass::Until(moment) = pass {
                api.deadlines.add(moment, Due::Wake(thread, Value::None));
            }
            let values = values.iter().map(|item| heap.share(*item)).collect();
            block(Some(Box::new(AtGate { rate, thread, values, act })))
        }
    }
}

/// A thread that waits before an act.
struct AtGate {
    rate: Rate,
    thread: ThreadId,
    values: Vec<Value>,
    act: Act,
}

impl Resume for AtGate {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        vm.heap.release(result);
        let (api, _) = Api::of(vm);
        let now = api.host.now();
        match api.meters.before_again(self.rate, self.thread.0, now) {
            Pass::Now => {
                let outcome = (self.act)(vm, &self.values);
                super::copy::release_all(&mut vm.heap, &self.values);
                wake_next(vm, self.rate);
                outcome
            }
            pass => {
                if let Pass::Until(moment) = pass {
                    api.deadlines.add(moment, Due::Wake(self.thread, Value::None));
                }
                block(Some(self))
            }
        }
    }

    fn abandon(self: Box<Self>, vm: &mut Vm) {
        super::copy::release_all(&mut vm.heap, &self.values);
    }

    fn held(&self, visit: &mut dyn FnMut(Value)) {
        self.values.iter().for_each(|held| visit(*held));
    }
}

/// After the first in line has acted: the next one gets its moment.
pub(super) fn wake_next(vm: &mut Vm, rate: Rate) {
    let (api, _) = Api::of(vm);
    if let Some(next) = api.meters.first_in_line(rate) {
        let now = api.host.now();
        let moment = api.meters.free_at(rate, now);
        api.deadlines.add(moment, Due::Wake(ThreadId(next), Value::None));
    }
}

/// The true charge after an act: the result (owned) comes at once, or when
/// it is paid for.
pub fn pay(vm: &mut Vm, rate: Rate, units: u64, result: Value) -> NativeReturn {
    let thread = vm.current;
    let (api, _) = Api::of(vm);
    let now = api.host.now();
    let free = api.meters.after(rate, units, now);
    if free <= now {
        return value(result);
    }
    api.deadlines.add(free, Due::Wake(thread, result));
    block(None)
}
