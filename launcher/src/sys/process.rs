//! Making the child, and what the child does to itself before exec.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::{check, check_int, Errno, Sys};

/// One side of a `clone3`.
pub enum Cloned {
    /// The launcher: the child's descriptor and process id.
    Parent {
        /// Becomes readable when the child has ended.
        pidfd: OwnedFd,
        /// Process id in the launcher's namespace.
        pid: i32,
    },
    /// The new process.
    Child,
}

/// Makes a child in new namespaces (`flags`, CLONE_NEW*) and, if given, in a v2
/// control group, with default signal handlers. The child gets a copy of the
/// memory.
///
/// # Errors
/// EPERM or ENOSPC where namespaces are forbidden or used up; EACCES, EBUSY or
/// EOPNOTSUPP for the group.
pub fn clone_into(flags: u64, group: Option<BorrowedFd<'_>>) -> Sys<Cloned> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: all-zero is a valid value of this structure of integers.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = flags | libc::CLONE_PIDFD as u64 | CLONE_CLEAR_SIGHAND;
    arguments.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    if let Some(group) = group {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = group.as_raw_fd() as u64;
    }
    // SAFETY: no CLONE_VM and no new stack: the child runs on a copy of this
    // very stack, as after fork(2). The launcher has one thread, so no lock of
    // the C library or of std is held by a thread that the copy lacks; the
    // child may run ordinary code. `arguments` and `pidfd` outlive the call.
    let pid = check(unsafe {
        libc::syscall(
            libc::SYS_clone3,
            std::ptr::from_mut(&mut arguments),
            std::mem::size_of::<libc::clone_args>(),
        )
    })?;
    if pid == 0 {
        return Ok(Cloned::Child);
    }
    // SAFETY: the kernel has stored a fresh descriptor, close-on-exec.
    Ok(Cloned::Parent { pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) }, pid: pid as i32 })
}

/// `CLONE_CLEAR_SIGHAND` (kernel 5.5): a handler of the launcher never runs in
/// the child, where it would write to the launcher's own pipes.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

/// `CLONE_INTO_CGROUP` (kernel 5.7).
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks with `clone`, whose flags a system call filter can look at, and gives
/// the parent a descriptor of the child. The child gets a copy of the memory.
///
/// # Errors
/// EAGAIN or ENOMEM where a limit is reached.
pub fn fork() -> Sys<Cloned> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: no CLONE_VM and no new stack: the child runs on a copy of this
    // very stack, as after fork(2), with one thread as here. The third argument
    // is where CLONE_PIDFD stores the descriptor, and `pidfd` outlives the call.
    let pid = check(unsafe {
        libc::syscall(
            libc::SYS_clone,
            (libc::CLONE_PIDFD | libc::SIGCHLD) as libc::c_ulong,
            0usize,
            std::ptr::from_mut(&mut pidfd),
            0usize,
            0usize,
        )
    })?;
    if pid == 0 {
        return Ok(Cloned::Child);
    }
    // SAFETY: the kernel has stored a fresh descriptor, close-on-exec.
    Ok(Cloned::Parent { pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) }, pid: pid as i32 })
}

/// A descriptor of this process, which its children can poll to see it end.
///
/// # Errors
/// EMFILE.
pub fn own_pidfd() -> Sys<OwnedFd> {
    // SAFETY: takes integers and creates a descriptor.
    let number = check(unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0u32) })?;
    // SAFETY: the descriptor was just created.
    Ok(unsafe { OwnedFd::from_raw_fd(number as i32) })
}

/// Whether the process behind a pidfd has not ended.
pub fn is_alive(pidfd: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the pointer is to one live structure, and the count is one.
    (unsafe { libc::poll(&mut poll, 1, 0) }) == 0
}

/// Kills the process behind a pidfd and takes its status, so that no zombie
/// stays.
pub fn kill_and_reap(pidfd: BorrowedFd<'_>) {
    // SAFETY: integers and null pointers, which both calls allow; what they
    // return does not matter, since the process may have ended by itself.
    unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            libc::SIGKILL,
            std::ptr::null::<libc::siginfo_t>(),
            0u32,
        );
        let mut status: libc::siginfo_t = std::mem::zeroed();
        while libc::waitid(libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t, &mut status, libc::WEXITED) < 0
            && Errno::last() == Errno(libc::EINTR)
        {}
    }
}

/// One `prctl` without pointers.
fn prctl(option: libc::c_int, second: u64, third: u64) -> Sys<libc::c_int> {
    // SAFETY: none of the options used here takes a pointer.
    check_int(unsafe { libc::prctl(option, second, third, 0u64, 0u64) })
}

/// Asks to be killed when the launcher ends. To be called after the last
/// change of ids, which clears it.
///
/// # Errors
/// None that a kernel from 5.15 gives.
pub fn die_with_parent() -> Sys<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0).map(drop)
}

/// No process of the same user may look into this one's memory.
///
/// # Errors
/// None that a kernel from 5.15 gives.
pub fn hide_memory() -> Sys<()> {
    prctl(libc::PR_SET_DUMPABLE, 0, 0).map(drop)
}

/// No new privileges by exec, for ever.
///
/// # Errors
/// None that a kernel from 5.15 gives.
pub fn no_new_privileges() -> Sys<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(drop)
}

/// Memory that was writable never becomes executable, for ever and across exec.
///
/// # Errors
/// EINVAL on kernels before 6.3.
pub fn deny_write_execute() -> Sys<()> {
    prctl(libc::PR_SET_MDWE, u64::from(libc::PR_MDWE_REFUSE_EXEC_GAIN), 0).map(drop)
}

/// Whether the kernel knows [`deny_write_execute`].
pub fn knows_deny_write_execute() -> bool {
    prctl(libc::PR_GET_MDWE, 0, 0).is_ok()
}

/// Whether the kernel has seccomp filters with the action of killing the
/// whole process.
pub fn knows_seccomp_filters() -> bool {
    const SECCOMP_GET_ACTION_AVAIL: libc::c_ulong = 2;
    let action: u32 = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: the pointer is to a live integer, which the kernel reads.
    check(unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0u64, &action) }).is_ok()
}

/// Securebits, set and locked: uid 0 means nothing, ids do not touch
/// capabilities, none is kept over a change of ids, none becomes ambient.
pub const SECUREBITS_LOCKED: u64 = 0xef;

/// Empties the bounding set and locks the securebits. Walks the numbers until
/// the kernel knows no more, since the caps crate stops at those it knows.
///
/// # Errors
/// EPERM without CAP_SETPCAP.
pub fn drop_bounding_set() -> Sys<()> {
    for capability in 0..u64::from(u8::MAX) {
        match prctl(libc::PR_CAPBSET_DROP, capability, 0) {
            Ok(_) => {}
            Err(Errno(libc::EINVAL)) => break,
            Err(errno) => return Err(errno),
        }
    }
    prctl(libc::PR_SET_SECUREBITS, SECUREBITS_LOCKED, 0).map(drop)
}

/// Sets the ids of this process by the raw calls: the C library's would look
/// for other threads to change with it.
///
/// # Errors
/// EPERM without the capability, EINVAL for an id that is not mapped.
pub fn become_user(uid: u32, gid: u32) -> Sys<()> {
    // SAFETY: integers, and an empty list of groups.
    unsafe {
        check(libc::syscall(libc::SYS_setgroups, 0usize, std::ptr::null::<libc::gid_t>()))?;
        check(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
        check(libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
    }
    Ok(())
}

/// Gives the host another name, in a host name namespace of the caller's own.
///
/// # Errors
/// As `sethostname(2)`.
pub fn name_host(name: &CStr) -> Sys<()> {
    // SAFETY: the pointer and the length describe the text.
    unsafe { check(libc::sethostname(name.as_ptr(), name.to_bytes().len()).into()) }.map(drop)
}

/// Sets the soft and the hard limit of one resource at once; a hard limit that
/// is already lower stays.
///
/// # Errors
/// As `prlimit(2)`.
pub fn limit(resource: u32, wanted: u64) -> Sys<()> {
    let mut old = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointers are to live structures or null, which means
    // "leave" and "do not tell".
    unsafe {
        check(libc::syscall(libc::SYS_prlimit64, 0, resource, std::ptr::null::<libc::rlimit64>(), &mut old))?;
        let bound = wanted.min(old.rlim_max);
        let new = libc::rlimit64 { rlim_cur: bound, rlim_max: bound };
        check(libc::syscall(libc::SYS_prlimit64, 0, resource, &new, std::ptr::null_mut::<libc::rlimit64>()))?;
    }
    Ok(())
}

/// The hard limit of one resource.
///
/// # Errors
/// As `prlimit(2)`.
pub fn hard_limit(resource: u32) -> Sys<u64> {
    let mut old = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the new limit is null ("leave"); the old one is live.
    check(unsafe {
        libc::syscall(libc::SYS_prlimit64, 0, resource, std::ptr::null::<libc::rlimit64>(), &mut old)
    })?;
    Ok(old.rlim_max)
}

/// What the launcher's own start may have handed down and no program may keep:
/// a terminal, blocked signals, a real-time class (which no processor share
/// holds), a raised priority.
pub fn leave_inheritance() {
    // SAFETY: setsid takes nothing and fails only for a group leader, which a
    // new process is not. An all-zero signal set is the empty one. Lowering
    // one's own class and priority needs no privilege, and 0 is the ordinary
    // one; both calls take integers and a live structure.
    unsafe {
        libc::setsid();
        let ordinary = libc::sched_param { sched_priority: 0 };
        if matches!(
            libc::sched_getscheduler(0) & !libc::SCHED_RESET_ON_FORK,
            libc::SCHED_FIFO | libc::SCHED_RR | libc::SCHED_DEADLINE
        ) {
            libc::sched_setscheduler(0, libc::SCHED_OTHER, &ordinary);
        }
        if libc::getpriority(libc::PRIO_PROCESS, 0) < 0 {
            libc::setpriority(libc::PRIO_PROCESS, 0, 0);
        }
        let empty: libc::sigset_t = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_SETMASK, &empty, std::ptr::null_mut());
    }
}

/// Makes a directory that a descriptor stands for the current one.
///
/// # Errors
/// As `fchdir(2)`.
pub fn enter(directory: BorrowedFd<'_>) -> Sys<()> {
    // SAFETY: takes an integer.
    check_int(unsafe { libc::fchdir(directory.as_raw_fd()) }).map(drop)
}

/// The arguments of one exec, as the kernel wants them.
pub struct Arguments {
    // The strings the pointers point to; never changed after `new`.
    _strings: Vec<std::ffi::CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Arguments {
    /// Arranges the strings for exec.
    pub fn new(strings: Vec<std::ffi::CString>) -> Arguments {
        let pointers =
            strings.iter().map(|string| string.as_ptr()).chain(std::iter::once(std::ptr::null())).collect();
        Arguments { _strings: strings, pointers }
    }
}

/// Executes the file behind a descriptor with an empty environment. Returns
/// only if that failed.
pub fn execute(file: RawFd, arguments: &Arguments) -> Errno {
    let environment = [std::ptr::null::<libc::c_char>()];
    // SAFETY: the path is an empty constant C string; both lists end with a
    // null pointer and their strings live as long as `arguments`.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file,
            c"".as_ptr(),
            arguments.pointers.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    Errno::last()
}

/// Ends this process at once: no destructor, no buffer of the launcher's runs
/// in the child.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: takes an integer and does not return.
    unsafe { libc::_exit(status) }
}

/// Opens a file for writing, writes `text` with one call, and closes it: the
/// form that the files of /proc and of control groups want.
///
/// # Errors
/// As `open(2)` and `write(2)`.
pub fn write_file(path: &CStr, text: &[u8]) -> Sys<()> {
    use std::os::fd::AsFd;
    let file = super::descriptor::open(path, libc::O_WRONLY)?;
    super::descriptor::write_all(file.as_fd(), text)
}

/// Does nothing until killed, by the launcher or by its end. For a helper
/// process that only lends its namespaces.
pub fn wait_to_be_killed(launcher: BorrowedFd<'_>) -> ! {
    if die_with_parent().is_err() || !is_alive(launcher) {
        exit_now(1);
    }
    loop {
        // SAFETY: takes nothing.
        unsafe { libc::pause() };
    }
}
