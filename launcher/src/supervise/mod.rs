//! Watches over one sandbox from its start to its end: one thread, one poll
//! loop. Everything that can happen to a run wakes the loop; nothing in it waits.

pub mod broker;
mod closing;
pub mod control;
pub mod ending;
pub mod limits;
pub mod outward;
pub mod partner;
pub mod profile;
pub mod signals;
mod waiting;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::{raise, Signal};
use nix::sys::wait::{waitid, Id, WaitPidFlag};

use crate::cgroup::Group;
use crate::monitor::cpu::Step;
use crate::output::{Output, Totals};
use crate::registry::live::{Live, ResourceUse};
use crate::status::{Status, StatusFile};
use crate::stopfile::StopFile;
use crate::sys::pidfd;
use crate::verdict::Ending;

use broker::{Broker, RunningBroker};
use control::{Control, Told};
use ending::{Cause, Death, Finding, Limits};
use limits::{Asked, Used, Watch};
use outward::{Describe, Outward};
use partner::Partner;
use signals::Signals;
use waiting::Ready;

/// How often status file, stop file and control group are looked after.
const SECOND: Duration = Duration::from_secs(1);

/// How long a killed process is waited for. Longer than this the kernel itself
/// holds it, and waiting more would only hide that.
const DEATH: Duration = Duration::from_millis(1_500);

/// How long an interpreter that has said its last word may take to end before all it could
/// still do is waited for again.
const FAREWELL: Duration = Duration::from_millis(20);

/// How long the broker may take to notice that the run is over.
const GRACE: Duration = Duration::from_millis(200);

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
    /// A signal ended the run: when it is killed for that.
    signalled: Option<(Instant, &'static str, Ending)>,
    /// Frames for the partner were read, and it has not been told that all that
    /// was printed before them is passed on.
    settling: bool,
    /// The interpreter has said its last word: until then its end alone is waited for.
    farewell: Option<Instant>,
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
        signalled: None,
        settling: false,
        farewell: None,
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
            if ready.iter().any(|what| what == Ready::Sandbox) {
                return;
            }
            for what in ready.iter() {
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

    fn on_time(&mut self, now: Instant) {
        if self.cause.is_none() {
            if let Some((at, name, ending)) = self.signalled {
                if now >= at {
                    self.kill(Cause::Signal(name, ending));
                }
            }
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
        if let Some(partner) = self.control.partner() {
            partner.on_second();
        }
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
                if self.control.told().outcome.is_some() && !self.settling && self.farewell.is_none() {
                    self.farewell = Some(now + FAREWELL);
                }
            }
            Ready::Read(which) => self.pass_on(|output| output.read(which, now)),
            Ready::Write(which) => self.pass_on(|output| output.write(which)),
            Ready::Partner => self.control.partner_ready(),
            Ready::Disk => {
                self.watch.disk_changed();
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

    fn on_signal(&mut self) {
        self.signals.clear();
        if let Some((name, ending)) = self.signals.ending() {
            let words = self.control.partner().map_or(Duration::ZERO, |partner| partner.last_words());
            // A second signal does not wait.
            if words.is_zero() || self.signalled.is_some() {
                self.kill(Cause::Signal(name, ending));
            } else {
                self.signalled = Some((Instant::now() + words, name, ending));
            }
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
}

#[cfg(test)]
mod tests;
