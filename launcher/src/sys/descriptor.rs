//! Descriptors at chosen numbers. The crates give owned descriptors at numbers
//! the kernel picks; the contract with the interpreter names the numbers.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::{check, check_int, Errno, Sys};

/// The lowest number a descriptor held by the launcher may have: above every
/// number that the contract with the interpreter gives a meaning.
pub const FIRST_FREE: RawFd = 16;

/// Moves a descriptor to a number of at least [`FIRST_FREE`], close-on-exec, so
/// that handing descriptors out at 0-6 in the child never overwrites a source.
///
/// # Errors
/// EINVAL or EMFILE where the limit of open files is too low.
pub fn above_contract(descriptor: OwnedFd) -> Sys<OwnedFd> {
    if descriptor.as_raw_fd() >= FIRST_FREE {
        return Ok(descriptor);
    }
    // SAFETY: F_DUPFD_CLOEXEC takes an integer and creates a descriptor that
    // nothing else owns yet.
    let moved = check_int(unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, FIRST_FREE) })?;
    // SAFETY: `moved` was just created and is owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(moved) })
}

/// From now on the kernel drops whatever arrives at a socket.
///
/// # Errors
/// As `setsockopt(2)`.
pub fn deafen(socket: BorrowedFd<'_>) -> Sys<()> {
    // One instruction: keep 0 bytes of each packet, which drops it.
    let mut nothing = libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut nothing };
    // SAFETY: the kernel reads one program header and the one instruction it points to, both live
    // to the end of this call, and copies them.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    check_int(set).map(drop)
}

/// Takes every free number below [`FIRST_FREE`], so that what is opened while
/// these are held lies above the contract's numbers.
///
/// # Errors
/// EMFILE.
pub fn hold_contract(model: BorrowedFd<'_>) -> Sys<Vec<OwnedFd>> {
    let mut held = Vec::with_capacity(FIRST_FREE as usize);
    loop {
        // SAFETY: F_DUPFD_CLOEXEC takes integers and makes a descriptor.
        let number = check_int(unsafe { libc::fcntl(model.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 0) })?;
        // SAFETY: the descriptor was just created.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        if number >= FIRST_FREE {
            return Ok(held);
        }
        held.push(descriptor);
    }
}

/// Fills descriptors 0, 1 and 2 with `/dev/null` where the launcher was
/// started with them closed, so that nothing it opens later becomes one of
/// them.
///
/// # Errors
/// The error of opening `/dev/null`.
pub fn fill_standard() -> Sys<()> {
    for number in 0..3 {
        // SAFETY: F_GETFD only reads the flags of a number, open or not.
        if unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0 {
            continue;
        }
        // SAFETY: the path is a constant C string. The kernel gives the lowest
        // free number, which is `number`, and it stays open for the life of
        // the process.
        check_int(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) })?;
    }
    Ok(())
}

/// Puts a copy of `source` at `number`, open across exec. For the child only:
/// whatever owned `number` before is overwritten.
///
/// # Errors
/// EBADF where `number` lies beyond the limit of open files.
pub fn place(source: BorrowedFd<'_>, number: RawFd) -> Sys<()> {
    // SAFETY: dup3 takes integers; `number` lies below FIRST_FREE, where the
    // launcher owns nothing but standard streams, and the child uses none of
    // those again.
    check_int(unsafe { libc::dup3(source.as_raw_fd(), number, 0) }).map(drop)
}

/// Puts a copy of `source` at the high number `number`, closed by exec. For
/// the child only.
///
/// # Errors
/// EBADF where `number` lies beyond the limit of open files.
pub fn place_for_exec(source: BorrowedFd<'_>, number: RawFd) -> Sys<()> {
    if source.as_raw_fd() == number {
        return Ok(());
    }
    // SAFETY: dup3 takes integers. Overwriting a descriptor that the launcher
    // holds at `number` would be an error of logic, not of memory; the caller
    // picks a number that it checked to be free.
    check_int(unsafe { libc::dup3(source.as_raw_fd(), number, libc::O_CLOEXEC) }).map(drop)
}

/// Whether no descriptor has this number.
pub fn is_free(number: RawFd) -> bool {
    // SAFETY: F_GETFD only reads the flags of a number, open or not.
    (unsafe { libc::fcntl(number, libc::F_GETFD) }) < 0
}

/// Marks every descriptor from `first` on to be closed by exec.
///
/// # Errors
/// EINVAL on kernels before 5.11.
pub fn close_from_on_exec(first: u32) -> Sys<()> {
    // SAFETY: takes integers; changes flags of this process's descriptors only.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) })
        .map(drop)
}

/// Closes every descriptor but those of `kept`. For a child that goes on
/// without exec: what its copy of the memory owns at other numbers must never
/// be dropped, so it ends by [`super::process::exit_now`] alone.
///
/// # Errors
/// None that a kernel from 5.15 gives.
pub fn close_all_but(mut kept: Vec<RawFd>) -> Sys<()> {
    let close = |first: u32, last: u32| {
        if first > last {
            return Ok(());
        }
        // SAFETY: takes integers. The owners of the closed numbers are never
        // used or dropped again: see above.
        check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0u32) }).map(drop)
    };
    kept.sort_unstable();
    let mut first = 0;
    for number in kept {
        let number = u32::try_from(number).map_err(|_| Errno(libc::EBADF))?;
        if number > 0 {
            close(first, number - 1)?;
        }
        first = number + 1;
    }
    close(first, u32::MAX)
}

/// Takes over the descriptor that the caller has just put at `number` with
/// [`place`]. For the child only.
pub fn take_over(number: RawFd) -> OwnedFd {
    // SAFETY: only numbers below FIRST_FREE are placed, which nothing of the
    // launcher owns (its own descriptors are moved above), and the caller takes
    // each once, right after placing it.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Opens a path for handling only (`O_PATH`), or for reading as a directory:
/// see the callers' flags. Never follows a symbolic link in the last component
/// if `O_NOFOLLOW` is among them.
///
/// # Errors
/// As `open(2)`.
pub fn open(path: &std::ffi::CStr, flags: libc::c_int) -> Sys<OwnedFd> {
    // SAFETY: `path` is a valid C string for the length of the call.
    let number = check_int(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) })?;
    // SAFETY: the descriptor was just created.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// As [`open`], relative to a directory.
///
/// # Errors
/// As `openat(2)`.
pub fn open_at(directory: BorrowedFd<'_>, path: &std::ffi::CStr, flags: libc::c_int) -> Sys<OwnedFd> {
    // SAFETY: `path` is a valid C string for the length of the call.
    let number =
        check_int(unsafe { libc::openat(directory.as_raw_fd(), path.as_ptr(), flags | libc::O_CLOEXEC) })?;
    // SAFETY: the descriptor was just created.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Writes all of `bytes`, retrying after interruption. Allocates nothing.
///
/// # Errors
/// As `write(2)`; EIO where the file takes nothing more.
pub fn write_all(descriptor: BorrowedFd<'_>, mut bytes: &[u8]) -> Sys<()> {
    while !bytes.is_empty() {
        // SAFETY: the pointer and length describe `bytes`.
        let written = unsafe { libc::write(descriptor.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
        match check(written as libc::c_long) {
            Ok(0) => return Err(Errno(libc::EIO)),
            Ok(count) => bytes = &bytes[count as usize..],
            Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Raises the soft limit of open files to the hard limit, which needs no
/// privilege. Returns the hard limit.
///
/// # Errors
/// As `setrlimit(2)`.
pub fn raise_open_files() -> Sys<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live structure of the right type.
    check_int(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: the pointer is to a live structure of the right type.
        check_int(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })?;
    }
    Ok(limit.rlim_max)
}

/// Receives a message of one byte and takes the descriptor that came with it,
/// if one did.
///
/// # Errors
/// EPIPE where the other end was closed; as `recvmsg(2)`.
pub fn receive(socket: BorrowedFd<'_>) -> Sys<Option<OwnedFd>> {
    use nix::sys::socket::{recvmsg, ControlMessageOwned, MsgFlags};
    let mut byte = [0u8; 1];
    let mut buffer = nix::cmsg_space!([RawFd; 1]);
    let mut slices = [std::io::IoSliceMut::new(&mut byte)];
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut buffer), MsgFlags::MSG_CMSG_CLOEXEC)?;
    if message.bytes != 1 {
        return Err(Errno(libc::EPIPE));
    }
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            if let [number] = numbers[..] {
                // SAFETY: the kernel just made this descriptor for this
                // process, and nothing else has taken it: the buffer holds one
                // message, which is read once.
                return Ok(Some(unsafe { OwnedFd::from_raw_fd(number) }));
            }
        }
    }
    Ok(None)
}
