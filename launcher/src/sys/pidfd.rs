//! Signals to the sandbox by its pidfd: never to a process that took over its
//! number.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{check, Sys};

/// Sends `signal` to the process behind a pidfd.
///
/// # Errors
/// ESRCH if it has been reaped already; EPERM.
pub fn send(pidfd: BorrowedFd<'_>, signal: i32) -> Sys<()> {
    // SAFETY: integers and a null pointer, which means "as kill(2) does".
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0u32,
        )
    };
    check(result).map(drop)
}

/// A pidfd of the process that has this number now. Whoever wants one process and
/// no other looks at its start time afterwards, or is its parent.
///
/// # Errors
/// ESRCH; EMFILE.
pub fn open(pid: i32) -> Sys<OwnedFd> {
    // SAFETY: takes integers and creates a descriptor.
    let number = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0u32) })?;
    // SAFETY: the descriptor was just created.
    Ok(unsafe { OwnedFd::from_raw_fd(number as i32) })
}
