//! The children that resolve names: a few at a time, each for one name, each
//! killed when its time is over.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::wait::{waitid, Id, WaitPidFlag};
use policies::channel::network::{Failure, MAXIMUM_FRAME};

use super::{decode, encode, look_up, Entry, Files, Problem};
use crate::broker::pace::Pace;
use crate::sys::process::{self, Cloned};
use crate::sys::{descriptor, pidfd};

/// Most children at once; the other names wait.
pub const CHILDREN: usize = 8;
/// Most names asked for in one second: a program that asks for more waits, so
/// that it cannot use this host to flood a name server.
const NAMES_PER_SECOND: f64 = 100.0;
/// How long a name is looked for.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// How much longer than its own deadline a child lives.
const GRACE: Duration = Duration::from_millis(300);

/// A name that a request waits for.
#[derive(Debug)]
pub struct Wanted {
    /// The request's number.
    pub request: u32,
    /// The name, a host name.
    pub name: Vec<u8>,
    /// Whether only this host's own file counts.
    pub near: bool,
    /// When the request no longer wants it.
    pub deadline: Instant,
}

/// A child at work.
#[derive(Debug)]
struct Running {
    request: u32,
    pidfd: OwnedFd,
    answer: OwnedFd,
    text: Vec<u8>,
    until: Instant,
}

/// See the module.
#[derive(Debug)]
pub struct Pool {
    files: Files,
    running: Vec<Running>,
    waiting: VecDeque<Wanted>,
    pace: Pace,
}

/// A child's end: the request, and what it found.
pub type Found = (u32, Result<Entry, Failure>);

impl Pool {
    /// No child yet.
    pub fn new(files: Files, now: Instant) -> Pool {
        Pool { files, running: Vec::new(), waiting: VecDeque::new(), pace: Pace::new(NAMES_PER_SECOND, now) }
    }

    /// Wants a name; [`Pool::start`] begins with it when there is room.
    pub fn want(&mut self, wanted: Wanted) {
        self.waiting.push_back(wanted);
    }

    /// Starts as many children as may run, and tells of each the descriptor
    /// to watch. A child that cannot be made is a name not found.
    pub fn start(&mut self, now: Instant, mut watch: impl FnMut(u32, &OwnedFd)) -> Vec<Found> {
        let mut failed = Vec::new();
        while self.running.len() < CHILDREN && !self.waiting.is_empty() && self.pace.take(now) {
            let Some(wanted) = self.waiting.pop_front() else { break };
            match self.make(&wanted) {
                Ok(running) => {
                    watch(running.request, &running.answer);
                    self.running.push(running);
                }
                Err(_) => failed.push((wanted.request, Err(Problem::TryAgain.failure()))),
            }
        }
        failed
    }

    fn make(&self, wanted: &Wanted) -> Result<Running, crate::sys::Errno> {
        let (answer, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        match process::fork()? {
            Cloned::Child => work(&self.files, wanted, &theirs),
            Cloned::Parent { pidfd, .. } => Ok(Running {
                request: wanted.request,
                pidfd,
                answer,
                text: Vec::new(),
                until: wanted.deadline + GRACE,
            }),
        }
    }

    /// Reads what a request's child says; its end, if this was it.
    pub fn read(&mut self, request: u32) -> Option<Found> {
        let index = self.running.iter().position(|running| running.request == request)?;
        let running = self.running.get_mut(index)?;
        let mut block = [0u8; 4096];
        match nix::unistd::read(&running.answer, &mut block) {
            Ok(0) => {}
            Ok(count) if running.text.len() + count <= MAXIMUM_FRAME => {
                running.text.extend(block.get(..count).unwrap_or_default());
                return None;
            }
            // More than it can have to say.
            Ok(_) => running.text.clear(),
            Err(Errno::EINTR | Errno::EAGAIN) => return None,
            Err(_) => {}
        }
        let running = self.running.swap_remove(index);
        end(&running);
        Some((request, decode(&running.text)))
    }

    /// Nobody waits for this request's name any more.
    pub fn forget(&mut self, request: u32) {
        self.waiting.retain(|wanted| wanted.request != request);
        if let Some(index) = self.running.iter().position(|running| running.request == request) {
            end(&self.running.swap_remove(index));
        }
    }

    /// Ends the children whose time is over.
    pub fn on_time(&mut self, now: Instant) -> Vec<Found> {
        let mut ended = Vec::new();
        self.running.retain(|running| {
            let over = now >= running.until;
            if over {
                end(running);
                ended.push((running.request, Err(Problem::TryAgain.failure())));
            }
            !over
        });
        ended
    }

    /// The next time at which something is due.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let ends = self.running.iter().map(|running| running.until);
        let free = !self.waiting.is_empty() && self.running.len() < CHILDREN;
        ends.chain(free.then(|| self.pace.next(now))).min()
    }

    /// How many children run.
    pub fn children(&self) -> usize {
        self.running.len()
    }
}

/// Kills a child and takes its status. One that has closed its pipe is about to
/// end anyway.
fn end(running: &Running) {
    // ESRCH: it has ended.
    let _ = pidfd::send(running.pidfd.as_fd(), libc::SIGKILL);
    while waitid(Id::PIDFd(running.pidfd.as_fd()), WaitPidFlag::WEXITED) == Err(Errno::EINTR) {}
}

/// What a child does: gives up everything but the two files and its pipe, looks
/// the name up, tells, ends.
fn work(files: &Files, wanted: &Wanted, answer: &OwnedFd) -> ! {
    let kept = [Some(answer), files.hosts.as_ref(), files.resolver.as_ref()];
    let kept = kept.into_iter().flatten().map(AsRawFd::as_raw_fd).collect();
    if process::die_with_parent().is_ok() && descriptor::close_all_but(kept).is_ok() {
        let found = look_up(files, &wanted.name, wanted.near, wanted.deadline);
        let _ = descriptor::write_all(answer.as_fd(), &encode(found));
    }
    process::exit_now(0)
}
