//! The empty network of the sandbox, made while the launcher still reads.
//!
//! Making a network namespace keeps the kernel busy for 300 to 500
//! microseconds, more than anything else of a start, and needs nothing of the
//! policy. A thread does it meanwhile, where the launcher is root; the launcher
//! joins the namespace for the length of its `clone3` and goes back. Where that
//! is not possible, `clone3` makes it.

use std::os::fd::{AsFd, OwnedFd};
use std::thread::{Builder, JoinHandle};

use nix::sched::{setns, unshare, CloneFlags};

use crate::sys::{descriptor, Errno, Sys};

/// Enough for two system calls.
const STACK: usize = 64 << 10;

/// A network namespace in the making.
#[derive(Debug)]
pub struct EarlyNetwork {
    maker: JoinHandle<Sys<Namespaces>>,
}

/// The new network namespace and the launcher's own.
#[derive(Debug)]
struct Namespaces {
    new: OwnedFd,
    own: OwnedFd,
}

impl EarlyNetwork {
    /// Begins, if this process is root: anybody else needs a user namespace first,
    /// which no thread can have for itself.
    pub fn begin() -> Option<EarlyNetwork> {
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        let maker = Builder::new().stack_size(STACK).spawn(make).ok()?;
        Some(EarlyNetwork { maker })
    }

    /// Waits until it is made and the thread has ended; None where it could not be made.
    fn made(self) -> Option<Namespaces> {
        self.maker.join().ok()?.ok()
    }
}

fn make() -> Sys<Namespaces> {
    let own = descriptor::open(c"/proc/thread-self/ns/net", libc::O_RDONLY)?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    let new = descriptor::open(c"/proc/thread-self/ns/net", libc::O_RDONLY)?;
    Ok(Namespaces { new, own })
}

/// The launcher in the sandbox's network, until it leaves.
#[derive(Debug)]
pub(super) struct Visit {
    own: OwnedFd,
}

impl Visit {
    /// Enters the network that was begun early, if it is wanted. None where there is
    /// none: then the launcher is where it was. In either case no thread is left.
    pub fn enter(early: Option<EarlyNetwork>, wanted: bool) -> Option<Visit> {
        let Namespaces { new, own } = early?.made().filter(|_| wanted)?;
        setns(new.as_fd(), CloneFlags::CLONE_NEWNET).ok()?;
        Some(Visit { own })
    }

    /// Goes back.
    ///
    /// # Errors
    /// None that a kernel gives to whom it let in.
    pub fn leave(self) -> Result<(), Errno> {
        Ok(setns(self.own.as_fd(), CloneFlags::CLONE_NEWNET)?)
    }
}
