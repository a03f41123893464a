//! The end of a run: what is left is collected, decided on, told and cleaned up.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::wait::{waitid, Id, WaitPidFlag, WaitStatus};

use super::ending::{self, Cause, Death, Limits, Seen};
use super::signals::Signals;
use super::waiting::{timeout, Ready, Waiting};
use super::{Ended, Supervisor};
use crate::output::{Output, Which};
use crate::status::Status;
use crate::verdict::{Ending, STOPPED};

/// How long a run that was ended from outside waits for a reader of its output.
const LAST_OUTPUT: Duration = Duration::from_millis(300);

impl Supervisor<'_> {
    /// The sandbox has ended (or the kernel keeps it): collects what is left,
    /// decides, tells, and cleans up.
    pub(super) fn end(mut self, limits: Limits) -> Ended {
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
        let interest = output.interest(now);
        let mut waiting = Waiting::new(Ready::Signal, signals.readable());
        for (which, descriptor) in interest.writable.into_iter().flatten() {
            waiting.add(Ready::Write(which), Some(descriptor), PollFlags::POLLOUT);
        }
        let Ok(found) = waiting.poll(timeout(patience, now)) else { continue };
        for ready in found.iter() {
            match ready {
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
