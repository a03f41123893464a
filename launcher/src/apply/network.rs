//! The empty network of the sandbox, made while the launcher still reads
//! (see `sys::beside`). The launcher joins it for the length of its `clone3` and
//! goes back. Where it could not be made early, `clone3` makes it.

use std::os::fd::{AsFd, OwnedFd};

use nix::sched::{setns, CloneFlags};

use crate::sys::beside::{self, Beside, Networks};
use crate::sys::{Errno, Sys};

/// A network namespace in the making.
pub struct EarlyNetwork {
    made: Beside,
}

impl EarlyNetwork {
    /// Begins, if this process is root: anybody else needs a user namespace first,
    /// which no thread can have for itself.
    pub fn begin() -> Option<EarlyNetwork> {
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        let made = beside::begin().ok()?;
        Some(EarlyNetwork { made })
    }
}

/// The launcher in the sandbox's network, until it leaves.
#[derive(Debug)]
pub(super) struct Visit {
    own: OwnedFd,
}

impl Visit {
    /// Enters the network that was begun early. None where there is none: then the
    /// launcher is where it was.
    pub fn enter(early: Option<EarlyNetwork>) -> Option<Visit> {
        let Networks { own, new } = early?.made.take()?;
        // Whoever is root only in a user namespace, on the host's network, could leave that
        // and not come back: then it may not join it either.
        setns(own.as_fd(), CloneFlags::CLONE_NEWNET).ok()?;
        setns(new.as_fd(), CloneFlags::CLONE_NEWNET).ok()?;
        Some(Visit { own })
    }

    /// Goes back.
    ///
    /// # Errors
    /// None that a kernel gives to whom it let in.
    pub fn leave(self) -> Sys<()> {
        setns(self.own.as_fd(), CloneFlags::CLONE_NEWNET).map_err(Errno::from)
    }
}
