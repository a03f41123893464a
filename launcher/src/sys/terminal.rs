//! The size of a terminal: nix wraps the call only as a macro that is unsafe to use.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{check_int, Sys};

/// Columns and lines.
///
/// # Errors
/// ENOTTY.
pub fn size(terminal: BorrowedFd<'_>) -> Sys<(u16, u16)> {
    // SAFETY: all-zero is a valid value of this structure of integers.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live structure of the kind that the request fills.
    check_int(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, std::ptr::from_mut(&mut size)) })?;
    Ok((size.ws_col, size.ws_row))
}
