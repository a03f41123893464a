//! The one wait of the supervisor: what it waits for, and until when. It happens
//! up to some hundred times in a second, so nothing here allocates.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use super::{Supervisor, DEATH, GRACE};
use crate::monitor::cpu::TICK;
use crate::output::Which;
use crate::stopfile::StopFile;

/// What the poll loop found ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
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

/// Most that is waited for at once: one of each kind, and two streams each way.
const MOST: usize = 12;

/// Descriptors to wait for, each with what it means.
pub(super) struct Waiting<'a> {
    what: [Ready; MOST],
    set: [PollFd<'a>; MOST],
    length: usize,
}

/// What was found ready.
#[derive(Clone, Copy)]
pub(super) struct Found {
    what: [Ready; MOST],
    length: usize,
}

impl Found {
    pub fn iter(&self) -> impl Iterator<Item = Ready> + '_ {
        self.what[..self.length].iter().copied()
    }
}

impl<'a> Waiting<'a> {
    /// Begins with one descriptor.
    pub fn new(what: Ready, descriptor: BorrowedFd<'a>) -> Waiting<'a> {
        let set = std::array::from_fn(|_| PollFd::new(descriptor, PollFlags::POLLIN));
        Waiting { what: [what; MOST], set, length: 1 }
    }

    /// Adds one more, if there is one.
    pub fn add(&mut self, what: Ready, descriptor: Option<BorrowedFd<'a>>, flags: PollFlags) {
        if let (Some(descriptor), true) = (descriptor, self.length < MOST) {
            self.what[self.length] = what;
            self.set[self.length] = PollFd::new(descriptor, flags);
            self.length += 1;
        }
    }

    /// Waits.
    pub fn poll(mut self, timeout: PollTimeout) -> Result<Found, Errno> {
        let mut found = Found { what: self.what, length: 0 };
        if poll(&mut self.set[..self.length], timeout)? > 0 {
            for (what, polled) in self.what.iter().zip(&self.set[..self.length]) {
                if polled.any() != Some(false) {
                    found.what[found.length] = *what;
                    found.length += 1;
                }
            }
        }
        Ok(found)
    }
}

impl Supervisor<'_> {
    /// Waits for the next thing to happen.
    pub(super) fn wait(&mut self, now: Instant) -> Found {
        let until = self.deadline(now);
        let tick = self.watch.tick_at().filter(|_| self.cause.is_none());
        if let Some(end) = self.farewell.filter(|end| now < *end) {
            // The kernel closes what a process held one by one, and would wake us for each.
            let mut waiting = Waiting::new(Ready::Sandbox, self.pidfd.as_fd());
            waiting.add(Ready::Signal, Some(self.signals.readable()), PollFlags::POLLIN);
            return found(waiting.poll(timeout(Some(until.map_or(end, |until| until.min(end))), now)));
        }
        let (input, room) = (PollFlags::POLLIN, PollFlags::POLLOUT);
        let mut waiting = Waiting::new(Ready::Sandbox, self.pidfd.as_fd());
        waiting.add(Ready::Signal, Some(self.signals.readable()), input);
        waiting.add(Ready::Disk, self.watch.disk_readable(now), input);
        waiting.add(Ready::Stop, self.stop.as_ref().and_then(StopFile::readable), input);
        waiting.add(Ready::Partner, self.control.partner_readable(), input);
        waiting.add(Ready::Network, self.network.as_ref().map(AsFd::as_fd), input);
        let broker = self.running_broker.as_ref().filter(|_| self.broker_gone.is_none());
        waiting.add(Ready::Broker, broker.map(|broker| broker.pidfd.as_fd()), input);
        let interest = self.output.interest(now);
        for (which, descriptor) in interest.readable.into_iter().flatten() {
            waiting.add(Ready::Read(which), Some(descriptor), input);
        }
        for (which, descriptor) in interest.writable.into_iter().flatten() {
            waiting.add(Ready::Write(which), Some(descriptor), room);
        }
        waiting.add(Ready::Control, self.control.readable(now), input);
        // A pipe that rests can rest until the tick that comes anyway.
        let wake = interest.wake.filter(|wake| tick.is_none_or(|tick| tick > *wake + TICK));
        let until = [until, wake].into_iter().flatten().min();
        found(waiting.poll(timeout(until, now)))
    }

    /// The next time at which something is due.
    fn deadline(&self, now: Instant) -> Option<Instant> {
        let times = [
            Some(self.next_second),
            self.wall.filter(|_| self.cause.is_none()),
            self.signalled.map(|(at, ..)| at).filter(|_| self.cause.is_none()),
            self.killed_at.map(|at| at + DEATH),
            self.watch.next(now).filter(|_| self.cause.is_none()),
            self.control.next(now),
            self.outward.next(),
            self.broker_gone.filter(|_| self.cause.is_none()).map(|at| at + GRACE),
        ];
        times.into_iter().flatten().min()
    }

    /// Passes on what was printed before the frames that were just read: who
    /// shows a prompt next shows it behind. False while the meter lets it wait.
    pub(super) fn has_passed_on(&mut self, now: Instant) -> bool {
        // A pipe holds at most a few pieces.
        for _ in 0..32 {
            let interest = self.output.interest(now);
            let streams = interest.readable.iter().flatten().count();
            if streams < 2 && interest.wake.is_some() {
                return false;
            }
            let mut streams = interest.readable.into_iter().flatten();
            let Some((which, descriptor)) = streams.next() else { return true };
            let mut waiting = Waiting::new(Ready::Read(which), descriptor);
            for (which, descriptor) in streams {
                waiting.add(Ready::Read(which), Some(descriptor), PollFlags::POLLIN);
            }
            let Ok(found) = waiting.poll(PollTimeout::ZERO) else { return true };
            if found.iter().next().is_none() {
                return true;
            }
            for ready in found.iter() {
                if let Ready::Read(which) = ready {
                    self.pass_on(|output| output.read(which, now));
                }
            }
        }
        true
    }
}

/// What a wait found; nothing if it failed.
fn found(result: Result<Found, Errno>) -> Found {
    let nothing = Found { what: [Ready::Sandbox; MOST], length: 0 };
    match result {
        Ok(found) => found,
        // A signal: its pipe is readable the next time.
        Err(Errno::EINTR) => nothing,
        Err(_) => {
            // Out of kernel memory: not a reason to spin.
            std::thread::sleep(Duration::from_millis(10));
            nothing
        }
    }
}

/// Milliseconds until `wake`, rounded up, so that the loop never spins.
pub(super) fn timeout(wake: Option<Instant>, now: Instant) -> PollTimeout {
    let Some(wake) = wake else { return PollTimeout::NONE };
    let wait = wake.saturating_duration_since(now);
    let milliseconds = u32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX);
    PollTimeout::try_from(milliseconds.min(i32::MAX as u32)).unwrap_or(PollTimeout::MAX)
}
