//! Every `unsafe` block of the launcher: system calls that no crate wraps, or
//! that must run between `clone3` and `execveat`.
//!
//! The wrappers return the kernel's error number ([`Errno`]) and allocate
//! nothing, so that they may also be called in the child.
#![allow(unsafe_code)]

pub mod descriptor;
pub mod dump;
pub mod landlock;
pub mod mount;
pub mod pidfd;
pub mod process;
pub mod random;
pub mod shared;
pub mod terminal;
pub mod trial;

/// A result whose error is the kernel's error number.
pub type Sys<T> = Result<T, Errno>;

/// An error number of the kernel (`errno(3)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// The error number of the last failed call of this thread.
    pub fn last() -> Errno {
        Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }
}

impl From<nix::errno::Errno> for Errno {
    fn from(errno: nix::errno::Errno) -> Errno {
        Errno(errno as i32)
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Errno {
        Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

/// Turns the return value of a raw system call into a result.
fn check(returned: libc::c_long) -> Sys<libc::c_long> {
    if returned < 0 {
        Err(Errno::last())
    } else {
        Ok(returned)
    }
}

/// As [`check`], for calls that return `int`.
fn check_int(returned: libc::c_int) -> Sys<libc::c_int> {
    if returned < 0 {
        Err(Errno::last())
    } else {
        Ok(returned)
    }
}
