//! One turn of the loop: what is due is started, what is ready is run, and
//! when nothing is, the process sleeps until something happens.

use std::collections::VecDeque;

use policies::channel::control::{Counter, FromInterpreter, ToInterpreter};
use policies::Resource;

use super::profile::Profile;
use crate::api::error::Kill;
use crate::api::state::{drain_dropped, Api, Due, Role};
use crate::api::{deliver, network};
use crate::heap::Value;
use crate::host::{Channel, Ready};
use crate::vm::{Event, ThreadId, Uncaught, Vm};

/// How long a thread runs while others wait, in nanoseconds: one busy thread
/// makes no timer late.
const SLICE: u64 = 500_000;
/// Most and fewest calls and back jumps of a slice.
const FUEL: (i64, i64) = (20_000, 16);
/// While threads are busy, the kernel is asked for news this often, in
/// nanoseconds.
const POLL: u64 = 1_000_000;
/// How long a run must have left its files alone for a recount from outside to
/// be newer than its own account, in nanoseconds.
const QUIET: u64 = 2_000_000_000;
/// With so many threads ready, only one more timer starts in a turn, in which at
/// most one thread ends. A thread costs far more memory than a timer: where a
/// hundred thousand are late at once, they must not all become threads at once.
const CROWD: usize = 256;
/// Shortest time between two reports of use, in nanoseconds.
const REPORT: u64 = 1_000_000_000;
/// The same where somebody learns from the run, which may be ended at any moment.
const REPORT_RECORDED: u64 = 100_000_000;

/// Wakes a waiting thread with the result (owned) of what it waits for.
pub fn wake(vm: &mut Vm, thread: ThreadId, result: Value) {
    // A thread that does not wait any more has ended: the result is dropped.
    let _waited = vm.wake(thread, Ok(result));
}

/// Starts an event's thread; function and arguments are owned. The caller has
/// taken its `events` item.
pub fn spawn(vm: &mut Vm, function: Value, arguments: Vec<Value>, role: Role) {
    let thread = vm.spawn(function, arguments, &role.name());
    Api::of(vm).0.threads.insert(thread, role);
}

/// What the loop keeps between turns.
#[derive(Debug)]
pub struct Loop {
    /// Calls and back jumps of the next slice: as many as took [`SLICE`] last time.
    fuel: i64,
    /// Where the time goes, if that was asked for.
    pub profile: Option<Profile>,
    polled: u64,
    /// When samples were sent last.
    profiled: u64,
    reported: u64,
    unreported: bool,
    /// The disk account's number of changes, and when it was first seen.
    disk_seen: (u64, u64),
    ready: Vec<Ready>,
    /// In a session: the statements that came, and whether the running one is
    /// to end. A session waits for more where another run is over.
    pub session: Option<Session>,
}

/// What the supervisor has sent to a session.
#[derive(Debug, Default)]
pub struct Session {
    /// Statements, in order.
    pub statements: VecDeque<Vec<u8>>,
    /// Ctrl-C was pressed.
    pub interrupted: bool,
    /// The supervisor is gone, or has closed the session.
    pub closed: bool,
}

impl Default for Loop {
    fn default() -> Self {
        // The first guess is a low one: a program may begin with slow steps.
        Loop {
            fuel: FUEL.0 / 8,
            profile: None,
            polled: 0,
            profiled: 0,
            reported: 0,
            unreported: false,
            disk_seen: (0, 0),
            ready: Vec::new(),
            session: None,
        }
    }
}

/// What a turn came to.
pub enum Turn {
    /// The thread has ended: its result, owned, or what nobody caught.
    Ended(ThreadId, Result<Value, Uncaught>),
    /// Something happened, or the process has slept; go on.
    Again,
    /// Nothing is ready, and nothing that was started is still to come.
    Settled,
    /// The run is over: no exception, no handler.
    Kill(Kill),
}

impl Loop {
    /// That of a session.
    pub fn of_session() -> Loop {
        Loop { session: Some(Session::default()), ..Loop::default() }
    }

    /// One turn.
    pub fn turn(&mut self, vm: &mut Vm) -> Turn {
        drain_dropped(vm);
        let (api, _) = Api::of(vm);
        if let Some(recorder) = &mut api.recorder {
            // A run that is killed has told what it did.
            recorder.tell(&mut *api.host);
        }
        let now = api.host.now();
        start_due(vm, now);
        if now.saturating_sub(self.polled) >= POLL {
            self.look(vm, Some(0), now);
        }
        deliver::reclaim(vm, now);
        deliver::deliver(vm);
        if let Some(kill) = Api::of(vm).0.end {
            return Turn::Kill(kill);
        }
        let began = Api::of(vm).0.host.now();
        let fuel = self.profile.as_ref().map_or(self.fuel, |profile| profile.fuel(self.fuel));
        if vm.ready_count() > 0 {
            deliver::program_ran(&mut Api::of(vm).0.network);
        }
        let event = vm.run(fuel);
        if let Some(profile) = &mut self.profile {
            let elapsed = Api::of(vm).0.host.now().saturating_sub(began);
            profile.ran(vm, matches!(event, Event::Fuel), vm.unspent, elapsed);
            let (api, _) = Api::of(vm);
            let now = api.host.now();
            if now.saturating_sub(self.profiled) >= REPORT {
                self.profiled = now;
                // What the channel does not take now waits for the next time.
                let _all = profile.send(api);
            }
        }
        if let Some(kill) = Api::of(vm).0.end {
            if let Event::Ended(_, Ok(result)) = event {
                vm.heap.release(result);
            }
            return Turn::Kill(kill);
        }
        match event {
            Event::Ended(thread, result) => Turn::Ended(thread, result),
            Event::Fuel => {
                let (api, _) = Api::of(vm);
                self.fuel = next_fuel(fuel, api.host.now().saturating_sub(began));
                api.flush_output();
                Turn::Again
            }
            Event::Idle => self.rest(vm),
        }
    }

    /// Nothing is ready: sleeps until something is.
    fn rest(&mut self, vm: &mut Vm) -> Turn {
        drain_dropped(vm);
        let (api, _) = Api::of(vm);
        api.flush_output();
        let now = api.host.now();
        self.unreported |= api.meters.take_changed();
        let pause = if api.recorder.is_some() { REPORT_RECORDED } else { REPORT };
        if self.unreported && now.saturating_sub(self.reported) >= pause {
            self.report(api, now);
        }
        if api.network.wants_turn() {
            return Turn::Again;
        }
        let reclaims = deliver::reclaims_at(&api.network);
        let mut until = api.deadlines.next().into_iter().chain(reclaims).min();
        if self.unreported {
            // One last report, and then no more wakeups.
            let moment = self.reported.saturating_add(pause);
            until = Some(until.map_or(moment, |until| until.min(moment)));
        }
        if let Some(session) = &self.session {
            // A frame that was taken at the start of this turn wakes nobody again.
            if !session.statements.is_empty() || session.interrupted || session.closed {
                return Turn::Again;
            }
        } else if until.is_none() && !api.is_pending() && vm.thread_count() == 0 {
            return Turn::Settled;
        }
        self.look(vm, until, now);
        Turn::Again
    }

    /// Asks the kernel what is ready, waiting until a moment.
    fn look(&mut self, vm: &mut Vm, until: Option<u64>, now: u64) {
        self.polled = now;
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        let (api, _) = Api::of(vm);
        // What came while the operator was asked is not told again.
        ready.extend(api.unhandled.drain(..));
        let heard = !api.unheard.is_empty();
        let until = if ready.is_empty() && !heard { until } else { Some(0) };
        api.host.wait(until, &mut ready);
        if heard && !ready.contains(&Ready::Control) {
            ready.push(Ready::Control);
        }
        for event in &ready {
            match *event {
                Ready::Socket { socket, readable, writable } => {
                    network::socket_ready(vm, socket, readable, writable);
                }
                Ready::Network => network::take_answers(vm),
                Ready::Control => self.take_control(vm),
            }
        }
        self.ready = ready;
    }

    /// Takes the supervisor's frames. A recount that was taken while this run
    /// was changing files is already wrong when it arrives: the own account,
    /// which is exact, stands until it has not changed for a while.
    fn take_control(&mut self, vm: &mut Vm) {
        let (api, _) = Api::of(vm);
        let now = api.host.now();
        let changes = api.meters.disk_changes();
        if self.disk_seen.0 != changes || self.disk_seen.1 == 0 {
            self.disk_seen = (changes, now);
        }
        let quiet = now.saturating_sub(self.disk_seen.1) >= QUIET;
        // An error means that there are no more, or that the supervisor is
        // gone: then the kernel ends this process as well.
        loop {
            let told = match api.unheard.pop_front() {
                Some(told) => told,
                None => match api.host.receive_frame(Channel::Control) {
                    Ok(frame) => match ToInterpreter::decode(&frame.bytes) {
                        Ok(told) => told,
                        Err(_) => continue,
                    },
                    Err(error) => {
                        if let (Some(session), false) = (&mut self.session, error.would_block()) {
                            session.closed = true;
                        }
                        return;
                    }
                },
            };
            match (told, &mut self.session) {
                (ToInterpreter::DiskUsed(bytes), _) if quiet => {
                    let unwritten = api.files.unwritten();
                    api.meters.disk_recount(bytes, unwritten);
                }
                (ToInterpreter::Statement(text), Some(session)) => session.statements.push_back(text),
                (ToInterpreter::Interrupt, Some(session)) => session.interrupted = true,
                // A figure that comes too late, an answer nobody waits for.
                _ => {}
            }
        }
    }

    /// Tells the supervisor what has been used.
    pub fn report(&mut self, api: &mut Api, now: u64) {
        self.reported = now;
        self.unreported = false;
        let _later = api.meters.take_changed();
        let frame = usage(api).encode();
        // Without a supervisor (a run by hand) nobody listens.
        let _sent = api.host.send_frame(Channel::Control, &frame);
        if let Some(recorder) = &mut api.recorder {
            recorder.tell(&mut *api.host);
        }
    }
}

/// The fuel of the next slice after one that took so many nanoseconds. A slice
/// can be long because the whole process had to wait: it shrinks by steps.
fn next_fuel(fuel: i64, elapsed: u64) -> i64 {
    let wanted = i128::from(fuel) * i128::from(SLICE) / i128::from(elapsed.max(1));
    let bounded = wanted.clamp(i128::from(fuel / 4), i128::from(fuel) * 2);
    // In between the bounds, which are an i64 each.
    (bounded as i64).clamp(FUEL.1, FUEL.0)
}

/// Wakes and starts what is due.
fn start_due(vm: &mut Vm, now: u64) {
    loop {
        let (api, heap) = Api::of(vm);
        match api.deadlines.take_due(now) {
            None => return,
            Some(Due::Wake(thread, result)) => wake(vm, thread, result),
            Some(Due::Listeners) => api.network.look_again(),
            Some(Due::Timer { function, arguments, number }) => {
                api.timers = api.timers.saturating_sub(1);
                let items: Vec<Value> = match arguments {
                    Value::Tuple(tuple) => heap.tuple(tuple).to_vec(),
                    Value::List(list) => heap.list(list).to_vec(),
                    _ => Vec::new(),
                };
                for item in &items {
                    heap.retain(*item);
                }
                heap.release(arguments);
                spawn(vm, function, items, Role::Timer(number));
                if vm.ready_count() >= CROWD {
                    return;
                }
            }
        }
    }
}

/// The resources of the meters, in the order of [`Rate::ALL`].
const RATES: [Resource; 8] = [
    Resource::FileWrite,
    Resource::FileRead,
    Resource::NetSend,
    Resource::NetRecv,
    Resource::LoopSend,
    Resource::LoopRecv,
    Resource::LogRate,
    Resource::Random,
];

/// The resources of the counters, in the order of [`Count::ALL`].
const COUNTS: [Resource; 4] =
    [Resource::Events, Resource::FilesOpened, Resource::InSockets, Resource::OutSockets];

/// What was used so far.
fn usage(api: &Api) -> FromInterpreter {
    let (rates, counts, disk) = api.meters.used();
    let row = |resource, used: &crate::meter::Used| Counter {
        resource,
        total: used.total,
        peak: used.peak,
        denials: used.denials,
        waited_ns: used.waited,
    };
    let mut counters: Vec<Counter> = Vec::with_capacity(RATES.len() + COUNTS.len() + 1);
    counters.extend(RATES.iter().zip(rates).map(|(resource, used)| row(*resource, used)));
    counters.extend(COUNTS.iter().zip(counts).map(|(resource, used)| row(*resource, used)));
    counters.push(row(Resource::DiskUsed, &disk));
    FromInterpreter::Usage { counters, refusals: api.refusals, accepted: api.network.accepted }
}

/// The limits of a policy, for the meters.
pub fn limits_of(policy: &policies::Policy) -> crate::meter::Limits {
    crate::meter::Limits {
        rates: RATES.map(|resource| policy.amount(resource)),
        items: COUNTS.map(|resource| policy.amount(resource)),
        disk: policy.amount(Resource::DiskUsed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::{Count, Rate};

    #[test]
    fn slices_follow_the_time_that_code_takes() {
        // Slow steps: 1 ms for each call or back jump.
        let mut fuel = FUEL.0;
        for _ in 0..20 {
            fuel = next_fuel(fuel, fuel as u64 * 1_000_000);
        }
        assert_eq!(fuel, FUEL.1);
        // Steps of 100 us, then of 2 ns.
        for (step, expected) in [(100_000, FUEL.1), (1_000, 500), (2, FUEL.0)] {
            for _ in 0..20 {
                fuel = next_fuel(fuel, fuel as u64 * step);
            }
            assert_eq!(fuel, expected, "steps of {step} ns");
        }
        // A pause of the whole process costs one step down.
        assert_eq!(next_fuel(FUEL.0, u64::MAX), FUEL.0 / 4);
        assert_eq!(next_fuel(FUEL.0, 0), FUEL.0);
    }

    #[test]
    fn the_tables_agree_with_the_meters() {
        for (resource, rate) in RATES.iter().zip(Rate::ALL) {
            assert_eq!(resource.name(), rate.name());
        }
        for (resource, count) in COUNTS.iter().zip(Count::ALL) {
            assert_eq!(resource.name(), count.name());
        }
    }
}
