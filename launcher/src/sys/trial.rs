//! Calls by which the child tries its own confinement just before exec: each is
//! without effect whether it is answered as it should be or not.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{check, check_int, Errno, Sys};

/// Opens a directory for reading, and closes it again.
///
/// # Errors
/// As `openat(2)`: EACCES where Landlock forbids it.
pub fn read_directory(directory: BorrowedFd<'_>) -> Sys<()> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: the path is a constant C string; the descriptor made is closed here
    // and nowhere else.
    unsafe {
        let opened = check_int(libc::openat(directory.as_raw_fd(), c".".as_ptr(), flags))?;
        libc::close(opened);
    }
    Ok(())
}

/// Binds a TCP socket to a free port of the kernel's choice, and closes it.
///
/// # Errors
/// As `bind(2)`: EACCES where Landlock forbids it.
pub fn bind_tcp() -> Sys<()> {
    // SAFETY: all-zero is a valid address (0.0.0.0, port 0) once its family is set;
    // pointer and length are of that live structure; the socket is closed here.
    unsafe {
        let mut address: libc::sockaddr_in = std::mem::zeroed();
        address.sin_family = libc::AF_INET as libc::sa_family_t;
        let socket = check_int(libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0))?;
        let length = std::mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
        let bound = check_int(libc::bind(socket, std::ptr::from_ref(&address).cast(), length));
        libc::close(socket);
        bound.map(drop)
    }
}

/// Makes a writable page executable, and unmaps it.
///
/// # Errors
/// As `mprotect(2)`: EACCES where the process may not.
pub fn gain_execution() -> Sys<()> {
    const PAGE: usize = 4096;
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    let executable = libc::PROT_READ | libc::PROT_EXEC;
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice, used
    // by nobody, whose protection is changed and which is unmapped again.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let page = libc::mmap(std::ptr::null_mut(), PAGE, writable, flags, -1, 0);
        if page == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let changed = check_int(libc::mprotect(page, PAGE, executable));
        libc::munmap(page, PAGE);
        changed.map(drop)
    }
}

/// How the filter answers two calls that the kernel itself would refuse with
/// another error: openat2 of nothing (EINVAL) and openat of no path (EFAULT).
pub fn answers() -> (Errno, Errno) {
    let answer = |returned: libc::c_long| check(returned).err().unwrap_or(Errno(0));
    // SAFETY: null pointers and an invalid descriptor: the kernel reads and opens
    // nothing.
    unsafe {
        let openat2 = libc::syscall(libc::SYS_openat2, -1, std::ptr::null::<u8>(), std::ptr::null::<u8>(), 0);
        let openat2 = answer(openat2);
        (openat2, answer(libc::syscall(libc::SYS_openat, -1, std::ptr::null::<u8>(), 0, 0)))
    }
}

/// The signal that this process gets when its parent ends.
///
/// # Errors
/// None that a kernel from 5.15 gives.
pub fn parent_death_signal() -> Sys<i32> {
    let mut signal: libc::c_int = 0;
    // SAFETY: the pointer is to a live integer, which the kernel writes.
    check_int(unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, std::ptr::from_mut(&mut signal), 0, 0, 0) })?;
    Ok(signal)
}

/// The securebits of this process.
///
/// # Errors
/// None that a kernel from 5.15 gives.
pub fn securebits() -> Sys<u64> {
    // SAFETY: takes no pointer.
    check_int(unsafe { libc::prctl(libc::PR_GET_SECUREBITS, 0, 0, 0, 0) }).map(|bits| bits as u64)
}
