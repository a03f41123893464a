//! Watches over one sandbox from its start to its end: one thread, one poll
//! loop. Everything that can happen to a run wakes the loop; nothing in it waits.

pub mod broker;
pub mod control;
pub mod ending;
pub mod limits;
pub mod outward;
pub mod partner;
pub mod profile;
pub mod signals;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{raise, Signal};
use nix::sys::socket::{recv, MsgFlags};
use nix::sys::wait::{waitid, Id, WaitPidFlag, WaitStatus};

use crate::broker::End;
use crate::cgroup::Group;
use crate::monitor::cpu::Step;
use crate::output::{Output, Totals, Which};
use crate::registry::live::{Live, ResourceUse};
use crate::status::{Status, StatusFile};
use crate::stopfile::StopFile;
use crate::sys::pidfd;
use crate::verdict::{Ending, STOPPED};

use broker::{Broker, RunningBroker};
use control::{Control, Told};
use ending::{Cause, Death, Finding, Limits, Seen};
use limits::{Asked, Used, Watch};
use outward::{Describe, Outward};
use partner::Partner;
use signals::Signals;

/// How often status file, stop file and control group are looked after.
const SECOND: Duration = Duration::from_secs(1);

/// How long a killed process is waited for. Longer than this the kernel itself
/// holds it, and waiting more would only hide that.
const DEATH: Duration = Duration::from_millis(1_500);

/// How long the broker may take to notice that the run is over.
const GRACE: Duration = Duration::from_millis(200);

/// How long a run that was ended from outside waits for a reader of its output.
const LAST_OUTPUT: Duration = Duration::from_millis(300);

/// A sandbox that has been started, and everything that belongs to its run.
pub struct Run<'d> {
    /// The sandbox process: readable when it has ended.
    pub pidfd: OwnedFd,
    /// Its process id on the host.
    pub pid: i32,
    /// The supervisor's end of the control channel.
    pub control: OwnedFd,
    /// The broker's end of the network channel, if the policy grants network.
    pub network: Option<OwnedFd>,
    /// Its control group, unless the layer is waived.
    pub group: Option<Group>,
    /// Where its output goes.
    pub output: Output,
    /// `--status`.
    pub status: Option<StatusFile>,
    /// `--stop`.
    pub stop: Option<StopFile>,
    /// The vessel directory, and its disk use before the start.
    pub vessel: (OwnedFd, u64),
    /// Whether the vessel lies in memory: then the control group counts it, and
    /// the program's own memory is looked at.
    pub scratch: bool,
    /// The hard limits.
    pub limits: Limits,
    /// `resource cpu`.
    pub cpu_share: f64,
    /// `--wall`.
    pub wall: Option<Duration>,
    /// When the launcher started.
    pub started: Instant,
    /// Starts the broker; present if the policy grants network.
    pub broker: Option<Box<dyn Broker>>,
    /// Makes the record of the run, for `ps` and `audit`.
    pub describe: Option<Describe<'d>>,
    /// Who talks with the interpreter, if anybody does.
    pub partner: Option<Box<dyn Partner>>,
}

/// A run that is over.
#[derive(Debug)]
pub struct Ended {
    /// The verdict.
    pub finding: Finding,
    /// How the process ended.
    pub death: Death,
    /// Its process id, which the kernel log names.
    pub pid: i32,
    /// What the interpreter told.
    pub told: Told,
    /// What was printed.
    pub totals: Totals,
    /// What was used.
    pub used: Used,
    /// What else the report should say.
    pub notes: Vec<String>,
}

/// What the poll loop found ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ready {
    Sandbox,
    Signal,
    Control,
    Read(Which),
    Write(Which),
    Disk,
    Stop,
    Network,
    Broker,
    Partner,
}

struct Supervisor<'s> {
    outward: &'s mut Outward,
    describe: Option<Describe<'s>>,
    started: Instant,
    pidfd: OwnedFd,
    pid: i32,
    signals: &'s mut Signals,
    control: Control,
    output: Output,
    watch: Watch,
    status: Option<StatusFile>,
    stop: Option<StopFile>,
    wall: Option<Instant>,
    next_second: Instant,
    network: Option<OwnedFd>,
    broker: Option<Box<dyn Broker>>,
    running_broker: Option<RunningBroker>,
    broker_gone: Option<Instant>,
    cause: Option<Cause>,
    killed_at: Option<Instant>,
    /// Frames for the partner were read, and it has not been told that all that
    /// was printed before them is passed on.
    settling: bool,
    /// When the operator left a session.
    left: Option<Instant>,
    notes: Vec<String>,
}

/// Watches over a run until it is over and nothing of it is left.
///
/// # Errors
/// The monitor cannot begin: the sandbox is killed before this returns.
pub fn supervise<'s>(run: Run<'s>, signals: &'s mut Signals, outward: &'s mut Outward) -> io::Result<Ended> {
    let now = Instant::now();
    let watch = match Watch::new(run.pid, run.group, run.vessel, run.scratch, run.limits, run.cpu_share, now)
    {
        Ok(watch) => watch,
        Err(error) => {
            // It may have ended already.
            let _ = pidfd::send(run.pidfd.as_fd(), libc::SIGKILL);
            let _ = waitid(Id::PIDFd(run.pidfd.as_fd()), WaitPidFlag::WEXITED);
            return Err(error);
        }
    };
    outward.began(now);
    let mut control = Control::new(run.control);
    control.introduce(run.partner);
    let mut supervisor = Supervisor {
        outward,
        describe: run.describe,
        started: run.started,
        pid: run.pid,
        pidfd: run.pidfd,
        signals,
        control,
        output: run.output,
        watch,
        status: run.status,
        stop: run.stop,
        wall: run.wall.map(|wall| run.started + wall),
        next_second: now + SECOND,
        network: run.network,
        broker: run.broker,
        running_broker: None,
        broker_gone: None,
        cause: None,
        killed_at: None,
        settling: false,
        left: None,
        notes: Vec::new(),
    };
    supervisor.watch_over();
    Ok(supervisor.end(run.limits))
}

impl Supervisor<'_> {
    /// The loop: returns when the sandbox has ended, or will not.
    fn watch_over(&mut self) {
        loop {
            let now = Instant::now();
            self.on_time(now);
            if self.killed_at.is_some_and(|at| now >= at + DEATH) {
                return;
            }
            let ready = self.wait(now);
            let now = Instant::now();
            if ready.contains(&Ready::Sandbox) {
                return;
            }
            for what in ready {
                self.on_ready(what, now);
            }
            if self.settling && self.has_passed_on(now) {
                self.settling = false;
                self.control.settle_partner();
            }
            if self.left.is_none() && self.control.partner().is_some_and(|partner| partner.has_left()) {
                self.control.close();
                self.left = Some(now);
            }
        }
    }

    /// Waits for the next thing to happen.
    fn wait(&mut self, now: Instant) -> Vec<Ready> {
        let mut wake = self.deadline(now);
        let mut waiting: Vec<(Ready, BorrowedFd<'_>, PollFlags)> = Vec::with_capacity(10);
        let input = PollFlags::POLLIN;
        waiting.push((Ready::Sandbox, self.pidfd.as_fd(), input));
        waiting.push((Ready::Signal, self.signals.readable(), input));
        let optional = [
            (Ready::Disk, self.watch.disk().readable(now)),
            (Ready::Stop, self.stop.as_ref().and_then(StopFile::readable)),
            (Ready::Partner, self.control.partner_readable()),
            (Ready::Network, self.network.as_ref().map(AsFd::as_fd)),
            (
                Ready::Broker,
                self.running_broker.as_ref().filter(|_| self.broker_gone.is_none()).map(|b| b.pidfd.as_fd()),
            ),
        ];
        waiting.extend(optional.into_iter().filter_map(|(what, fd)| Some((what, fd?, input))));
        let interest = self.output.interest(now);
        wake = [wake, interest.wake].into_iter().flatten().min();
        waiting.extend(interest.readable.into_iter().map(|(which, fd)| (Ready::Read(which), fd, input)));
        let room = PollFlags::POLLOUT;
        waiting.extend(interest.writable.into_iter().map(|(which, fd)| (Ready::Write(which), fd, room)));
        waiting.extend(self.control.readable(now).map(|fd| (Ready::Control, fd, input)));

        let mut set: Vec<PollFd<'_>> =
            waiting.iter().map(|(_, fd, flags)| PollFd::new(*fd, *flags)).collect();
        match poll(&mut set, timeout(wake, now)) {
            Ok(0) => Vec::new(),
            Ok(_) => {
                let found = waiting.iter().zip(&set).filter(|(_, polled)| polled.any() != Some(false));
                found.map(|((what, _, _), _)| *what).collect()
            }
            // A signal: its pipe is readable the next time.
            Err(Errno::EINTR) => Vec::new(),
            Err(_) => {
                // Out of kernel memory: not a reason to spin.
                std::thread::sleep(Duration::from_millis(10));
                Vec::new()
            }
        }
    }

    /// The next time at which something is due.
    fn deadline(&self, now: Instant) -> Option<Instant> {
        let times = [
            Some(self.next_second),
            self.wall.filter(|_| self.cause.is_none()),
            self.killed_at.map(|at| at + DEATH),
            self.watch.next(now).filter(|_| self.cause.is_none()),
            self.control.next(now),
            self.outward.next(),
            self.broker_gone.filter(|_| self.cause.is_none()).map(|at| at + GRACE),
        ];
        times.into_iter().flatten().min()
    }

    fn on_time(&mut self, now: Instant) {
        if self.cause.is_none() {
            if self.wall.is_some_and(|wall| now >= wall) {
                self.kill(Cause::Wall);
            }
            if self.left.is_some_and(|at| now >= at + SECOND) {
                self.kill(Cause::Left);
            }
            if self.broker_gone.is_some_and(|at| now >= at + GRACE) {
                self.kill(Cause::BrokerLost(self.why_broker_ended()));
            }
            let asked = self.watch.look(now);
            self.carry_out(asked);
        }
        if self.outward.next().is_some_and(|due| now >= due) {
            let record = self.describe.take().and_then(|describe| describe());
            let live = self.live(now);
            self.outward.register(now, record, live);
        }
        if now >= self.next_second {
            self.next_second = now + SECOND;
            self.on_second(now);
        }
    }

    /// What the run uses, for those who look at it.
    fn live(&self, now: Instant) -> Live {
        let told = self.control.told();
        let mut live = self.watch.live();
        live.elapsed = now.saturating_duration_since(self.started).as_secs_f64();
        live.refusals = told.refusals;
        live.accepted = told.accepted;
        live.broker = self.running_broker.as_ref().map(|broker| broker.pid);
        let totals = self.output.totals();
        live.printed = totals.stdout.saturating_add(totals.stderr);
        live.dropped = totals.dropped;
        for counter in &told.counters {
            let use_of = ResourceUse {
                total: counter.total,
                peak: counter.peak,
                denials: counter.denials,
                waited: counter.waited_ns as f64 / 1e9,
            };
            live.resources.insert(counter.resource.name().to_owned(), use_of);
        }
        live
    }

    fn on_second(&mut self, now: Instant) {
        self.control.send_again();
        if self.outward.is_listened_to() {
            let live = self.live(now);
            self.outward.second(now, live);
        }
        if self.cause.is_some() {
            return;
        }
        let asked = self.watch.check();
        self.carry_out(asked);
        self.look_for_stop();
        if let Some(status) = &mut self.status {
            if let Err(error) = status.write(Status::Started) {
                let note = format!("the status file could not be renewed: {error}");
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
        }
    }

    fn carry_out(&mut self, asked: Asked) {
        if let Some(bytes) = asked.disk_used {
            self.control.tell_disk_used(bytes);
        }
        if let Some(step) = asked.step {
            let signal = if step == Step::Stop { libc::SIGSTOP } else { libc::SIGCONT };
            // It may have ended by itself.
            let _ = pidfd::send(self.pidfd.as_fd(), signal);
        }
        if let Some(note) = asked.note {
            if self.notes.len() < 20 && !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        if let Some(cause) = asked.kill {
            self.kill(cause);
        }
    }

    fn on_ready(&mut self, what: Ready, now: Instant) {
        match what {
            // The loop's own business.
            Ready::Sandbox => {}
            Ready::Signal => self.on_signal(),
            Ready::Control => {
                if let Err(what) = self.control.read(now) {
                    self.kill(Cause::Protocol(what));
                }
                self.settling = self.control.partner().is_some();
            }
            Ready::Read(which) => self.pass_on(|output| output.read(which, now)),
            Ready::Write(which) => self.pass_on(|output| output.write(which)),
            Ready::Partner => self.control.partner_ready(),
            Ready::Disk => {
                let asked = self.watch.look(now);
                self.carry_out(asked);
            }
            Ready::Stop => {
                if self.stop.as_ref().is_some_and(StopFile::noticed) {
                    self.look_for_stop();
                }
            }
            Ready::Network => self.start_broker(),
            Ready::Broker => self.broker_gone = Some(now),
        }
    }

    /// Moves output on; who edits a line on the same terminal makes room first.
    fn pass_on(&mut self, act: impl FnOnce(&mut Output)) {
        if let Some(partner) = self.control.partner() {
            partner.before_output();
        }
        act(&mut self.output);
        if let Some(partner) = self.control.partner() {
            partner.after_output();
        }
    }

    /// Passes on what was printed before the frames that were just read: who
    /// shows a prompt next shows it behind. False while the meter lets it wait.
    fn has_passed_on(&mut self, now: Instant) -> bool {
        // A pipe holds at most a few pieces.
        for _ in 0..32 {
            let ready: Vec<Which> = {
                let interest = self.output.interest(now);
                if interest.readable.len() < 2 && interest.wake.is_some() {
                    return false;
                }
                let mut set: Vec<PollFd<'_>> =
                    interest.readable.iter().map(|(_, fd)| PollFd::new(*fd, PollFlags::POLLIN)).collect();
                if set.is_empty() || poll(&mut set, PollTimeout::ZERO).is_err() {
                    return true;
                }
                let readable = |polled: &PollFd<'_>| {
                    polled.revents().is_some_and(|flags| flags.contains(PollFlags::POLLIN))
                };
                let found = interest.readable.iter().zip(&set).filter(|(_, polled)| readable(polled));
                found.map(|((which, _), _)| *which).collect()
            };
            if ready.is_empty() {
                return true;
            }
            for which in ready {
                self.pass_on(|output| output.read(which, now));
            }
        }
        true
    }

    fn on_signal(&mut self) {
        self.signals.clear();
        if let Some((name, ending)) = self.signals.ending() {
            self.kill(Cause::Signal(name, ending));
        } else if self.signals.suspend() && self.cause.is_none() {
            // Ctrl-Z holds the program too, and nothing runs unwatched. The
            // sandbox is in a session of its own, so the terminal does not.
            let _ = pidfd::send(self.pidfd.as_fd(), libc::SIGSTOP);
            let _ = raise(Signal::SIGSTOP);
            if !self.watch.is_stopped() {
                let _ = pidfd::send(self.pidfd.as_fd(), libc::SIGCONT);
            }
        }
    }

    fn look_for_stop(&mut self) {
        if let Some(order) = self.stop.as_ref().and_then(StopFile::look) {
            self.kill(Cause::Stop(order));
        }
    }

    /// Kills the sandbox; the first cause is the one that counts.
    fn kill(&mut self, cause: Cause) {
        if self.cause.is_some() {
            return;
        }
        self.cause = Some(cause);
        self.killed_at = Some(Instant::now());
        // ESRCH: it has ended in between. SIGKILL also ends a stopped process.
        let _ = pidfd::send(self.pidfd.as_fd(), libc::SIGKILL);
        if let Some(group) = self.watch.group() {
            group.kill();
        }
    }

    /// The sandbox uses its network channel for the first time.
    fn start_broker(&mut self) {
        let Some(channel) = self.network.take() else { return };
        // A closed channel is readable, too: only a request that waits there
        // starts a broker, not the end of a run that never asked for anything.
        let look = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        let asked = matches!(recv(channel.as_raw_fd(), &mut [0], look), Ok(1..));
        let Some(broker) = self.broker.as_mut().filter(|_| asked) else { return };
        let group = match self.watch.group() {
            Some(group) => group.broker_entry(broker.memory(), broker.processes()).map(Some),
            None => Ok(None),
        };
        match group.and_then(|group| broker.start(channel, group)) {
            Ok(running) => {
                self.watch.count_broker(running.pid, Instant::now());
                self.running_broker = Some(running);
            }
            Err(error) => self.kill(Cause::BrokerLost(format!("it could not be started: {error}"))),
        }
    }

    /// The broker has ended while the sandbox goes on.
    fn why_broker_ended(&self) -> String {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let status =
            self.running_broker.as_ref().map(|running| waitid(Id::PIDFd(running.pidfd.as_fd()), flags));
        match status {
            Some(Ok(WaitStatus::Exited(_, status))) => {
                format!("it ended before the program did: {}", End::of_status(status))
            }
            Some(Ok(WaitStatus::Signaled(_, signal, _))) => format!("it was killed by {}", signal.as_str()),
            _ => "it ended before the program did".to_owned(),
        }
    }

    /// The sandbox has ended (or the kernel keeps it): collects what is left,
    /// decides, tells, and cleans up.
    fn end(mut self, limits: Limits) -> Ended {
        self.watch.last_words();
        let death = self.reap();
        self.end_broker();
        if let Err(what) = self.control.finish() {
            self.notes.push(what);
        }
        self.output.drain(Instant::now());
        if self.outward.is_listened_to() {
            let live = self.live(Instant::now());
            self.outward.over(live);
        }
        self.notes.append(&mut self.outward.notes);
        let told = self.control.told().clone();
        let used = self.watch.finish();
        // What was written between the last count and the end is found here.
        let (before, after, _) = used.disk;
        if self.cause.is_none() && after > limits.disk && after > before {
            self.cause = Some(Cause::Disk { used: after });
        }
        let finding = ending::decide(&Seen {
            cause: self.cause.as_ref(),
            death,
            outcome: told.outcome.as_ref(),
            memory: used
                .group
                .filter(|group| group.own_limit_hit)
                .map(|group| used.memory_peak.max(group.memory_peak.unwrap_or(0))),
            limits,
        });
        if let Some(line) = &finding.line {
            self.output.say(line);
        }
        if let (Some(Cause::Stop(order)), Ending::Stopped(_)) = (&self.cause, finding.ending) {
            self.output.add(Which::Out, &order.message);
        }
        if let Some(status) = &mut self.status {
            let word =
                if finding.ending == Ending::Stopped(STOPPED) { Status::Stopped } else { Status::Terminated };
            if let Err(error) = status.write(word) {
                self.notes.push(format!("the status file could not be written: {error}"));
            }
        }
        let patience = self.cause.as_ref().map(|_| Instant::now() + LAST_OUTPUT);
        last_output(&mut self.output, self.signals, patience);
        for stream in self.output.without_reader() {
            self.notes.push(format!("the reader of {stream} went away: what was printed afterwards is lost"));
        }
        Ended { finding, death, pid: self.pid, told, totals: self.output.totals(), used, notes: self.notes }
    }

    fn reap(&self) -> Death {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
        loop {
            match waitid(Id::PIDFd(self.pidfd.as_fd()), flags) {
                Ok(WaitStatus::Exited(_, status)) => return Death::Exited(status),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Death::Killed(signal),
                Err(Errno::EINTR) => {}
                _ => return Death::Unfinished,
            }
        }
    }

    /// The broker ends when the sandbox's end of the channel is gone; one that
    /// does not is killed.
    fn end_broker(&mut self) {
        let Some(running) = self.running_broker.take() else { return };
        let mut set = [PollFd::new(running.pidfd.as_fd(), PollFlags::POLLIN)];
        let grace = PollTimeout::try_from(GRACE).unwrap_or(PollTimeout::ZERO);
        if !matches!(poll(&mut set, grace), Ok(ready) if ready > 0) {
            let _ = pidfd::send(running.pidfd.as_fd(), libc::SIGKILL);
            self.notes.push("the broker did not end by itself and was killed".to_owned());
        }
        let _ = waitid(Id::PIDFd(running.pidfd.as_fd()), WaitPidFlag::WEXITED);
    }
}

/// Waits until readers have taken the rest of the output: as long as it takes
/// for a run that ended by itself, shortly for one that was ended. A signal ends
/// the wait.
fn last_output(output: &mut Output, signals: &mut Signals, patience: Option<Instant>) {
    while output.is_held() {
        let now = Instant::now();
        if patience.is_some_and(|until| now >= until) {
            return output.abandon();
        }
        let ready: Vec<Ready> = {
            let interest = output.interest(now);
            let mut waiting = vec![(Ready::Signal, signals.readable(), PollFlags::POLLIN)];
            let room = PollFlags::POLLOUT;
            waiting.extend(interest.writable.into_iter().map(|(which, fd)| (Ready::Write(which), fd, room)));
            let mut set: Vec<PollFd<'_>> =
                waiting.iter().map(|(_, fd, flags)| PollFd::new(*fd, *flags)).collect();
            if poll(&mut set, timeout(patience, now)).is_err() {
                continue;
            }
            let found = waiting.iter().zip(&set).filter(|(_, polled)| polled.any() != Some(false));
            found.map(|((what, _, _), _)| *what).collect()
        };
        for what in ready {
            match what {
                Ready::Write(which) => output.write(which),
                _ => {
                    signals.clear();
                    if signals.ending().is_some() {
                        return output.abandon();
                    }
                }
            }
        }
    }
}

/// Milliseconds until `wake`, rounded up, so that the loop never spins.
fn timeout(wake: Option<Instant>, now: Instant) -> PollTimeout {
    let Some(wake) = wake else { return PollTimeout::NONE };
    let wait = wake.saturating_duration_since(now);
    let milliseconds = u32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX);
    PollTimeout::try_from(milliseconds.min(i32::MAX as u32)).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests;
