//! Reads the system call filter of a live process back from the kernel
//! (`PTRACE_SECCOMP_GET_FILTER`): nix does not wrap it.

use std::time::{Duration, Instant};

use super::{check, Errno, Sys};

const PTRACE_SEIZE: libc::c_long = 0x4206;
const PTRACE_INTERRUPT: libc::c_long = 0x4207;
const PTRACE_SECCOMP_GET_FILTER: libc::c_long = 0x420c;
const PTRACE_DETACH: libc::c_long = 17;

/// Bytes of one instruction.
const INSTRUCTION: usize = 8;

/// The kernel's own bound of instructions.
const MOST: usize = 4096;

/// How long a process may take to hold still; a frozen one never does.
const PATIENCE: Duration = Duration::from_millis(500);

fn ptrace(request: libc::c_long, pid: i32, address: usize, data: *mut u8) -> Sys<i64> {
    // SAFETY: `data` is null or points to a buffer that the caller keeps and that
    // is as large as the kernel said the filter is; the other requests write nothing.
    check(unsafe { libc::syscall(libc::SYS_ptrace, request, pid, address, data) })
}

/// The bytes of each filter of the process, the one installed last first. The
/// process is held for the moment it takes.
///
/// # Errors
/// EPERM or EACCES without CAP_SYS_ADMIN (or when this process has a filter
/// itself), EIO where the kernel cannot, ETIMEDOUT for a frozen process.
pub fn filters(pid: i32) -> Sys<Vec<Vec<u8>>> {
    ptrace(PTRACE_SEIZE, pid, 0, std::ptr::null_mut())?;
    let read = hold(pid).and_then(|()| read_all(pid));
    // Only a process that holds still can be let go; any other is when this one ends.
    let _ = ptrace(PTRACE_DETACH, pid, 0, std::ptr::null_mut());
    read
}

fn hold(pid: i32) -> Sys<()> {
    ptrace(PTRACE_INTERRUPT, pid, 0, std::ptr::null_mut())?;
    let until = Instant::now() + PATIENCE;
    loop {
        let mut status: libc::c_int = 0;
        // SAFETY: the pointer is to a live integer, which the kernel writes.
        let seen =
            check(i64::from(unsafe { libc::waitpid(pid, &mut status, libc::__WALL | libc::WNOHANG) }))?;
        if seen != 0 {
            return if libc::WIFSTOPPED(status) { Ok(()) } else { Err(Errno(libc::ESRCH)) };
        }
        if Instant::now() >= until {
            return Err(Errno(libc::ETIMEDOUT));
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn read_all(pid: i32) -> Sys<Vec<Vec<u8>>> {
    let mut filters = Vec::new();
    loop {
        let length = match ptrace(PTRACE_SECCOMP_GET_FILTER, pid, filters.len(), std::ptr::null_mut()) {
            Ok(length) => usize::try_from(length).unwrap_or(0).min(MOST),
            Err(Errno(libc::ENOENT)) => return Ok(filters),
            // A process without any filter.
            Err(Errno(libc::EINVAL)) if filters.is_empty() => return Ok(filters),
            Err(errno) => return Err(errno),
        };
        // A filter never changes and never goes, so the length stays what it is.
        let mut bytes = vec![0u8; MOST * INSTRUCTION];
        ptrace(PTRACE_SECCOMP_GET_FILTER, pid, filters.len(), bytes.as_mut_ptr())?;
        bytes.truncate(length * INSTRUCTION);
        filters.push(bytes);
    }
}
