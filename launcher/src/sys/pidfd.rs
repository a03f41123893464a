//! Signals to the sandbox by its pidfd: never to a process that took over its
//! number.

use std::os::fd::{AsRawFd, BorrowedFd};

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

/// A pidfd of a child that has not been waited for.
///
/// # Errors
/// ESRCH; EMFILE.
#[cfg(test)]
pub fn of_child(pid: i32) -> Sys<std::os::fd::OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: takes integers and creates a descriptor.
    let number = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0u32) })?;
    // SAFETY: the descriptor was just created.
    Ok(unsafe { std::os::fd::OwnedFd::from_raw_fd(number as i32) })
}
