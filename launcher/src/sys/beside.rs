//! A network namespace made beside the launcher's own work.
//!
//! Making one keeps the kernel busy for 300 to 500 microseconds, longer than any
//! other step of a start, and needs nothing that the launcher still has to read. So a
//! second task of this process makes it meanwhile. It is no thread of the C library:
//! it owns no lock and no memory but its own, so that the launcher may clone the
//! sandbox whatever the task is doing, and one that no processor has begun when its
//! result is wanted is given up, instead of being waited for on a busy host.

use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::{check_int, Errno, Sys};

/// No processor has begun the task.
const WAITING: u32 = 0;
/// It is at work.
const BEGUN: u32 = 1;
/// Its descriptors are there, or -1.
const DONE: u32 = 2;
/// The launcher does not want it any more.
const GIVEN_UP: u32 = 3;

/// What the launcher and the task share.
struct Desk {
    state: AtomicU32,
    own: AtomicI32,
    new: AtomicI32,
}

/// The task's memory, never given back: the desk in its first page, then room for what
/// the C library keeps for each thread (`errno` alone is used), then the stack.
const MEMORY: usize = 48 << 10;
const THREAD_POINTER: usize = 16 << 10;

/// A namespace in the making.
pub struct Beside {
    desk: &'static Desk,
}

/// The descriptors of two network namespaces.
pub struct Networks {
    /// The one the launcher is in.
    pub own: OwnedFd,
    /// The one that was made.
    pub new: OwnedFd,
}

/// Begins to make an empty network namespace.
///
/// # Errors
/// No memory, or no more tasks are allowed.
pub fn begin() -> Sys<Beside> {
    let memory = memory()?;
    // SAFETY: the memory is fresh, zeroed, page-aligned, larger than what is written to
    // here, used by nobody else and never given back. The word at the thread pointer is
    // its own address, as the C library has it on x86.
    let (desk, thread_pointer, stack) = unsafe {
        let thread_pointer = memory.add(THREAD_POINTER);
        ptr::write(thread_pointer.cast::<usize>(), thread_pointer as usize);
        ptr::write(
            memory.cast::<Desk>(),
            Desk { state: AtomicU32::new(WAITING), own: AtomicI32::new(-1), new: AtomicI32::new(-1) },
        );
        (&*memory.cast::<Desk>().cast_const(), thread_pointer, memory.add(MEMORY))
    };
    let flags = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM
        | libc::CLONE_SETTLS;
    // SAFETY: the new task runs `work` on a stack and with thread-local memory of its own
    // (see MEMORY) and ends there. It inherits the blocked signals, so that no handler ever
    // runs in it. The sets are live, and the old one is set again.
    let begun = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut old: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &all, &mut old);
        let nobody = ptr::null_mut::<libc::pid_t>();
        let begun = libc::clone(
            work,
            stack.cast(),
            flags,
            memory.cast(),
            nobody,
            thread_pointer.cast::<libc::c_void>(),
        );
        let failed = check_int(begun);
        libc::sigprocmask(libc::SIG_SETMASK, &old, ptr::null_mut());
        failed
    };
    begun.map(|_| Beside { desk })
}

fn memory() -> Sys<*mut u8> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address of the kernel's choice.
    let memory = unsafe { libc::mmap(ptr::null_mut(), MEMORY, access, kind, -1, 0) };
    if memory == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    Ok(memory.cast())
}

/// A descriptor of the network namespace of this very task, or -1.
fn own_network() -> libc::c_int {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: integers and a constant C string. By the raw call: `open` looks into what the
    // C library keeps of its threads.
    let number = unsafe {
        libc::syscall(libc::SYS_openat, libc::AT_FDCWD, c"/proc/thread-self/ns/net".as_ptr(), flags)
    };
    number as libc::c_int
}

/// The task: a few raw system calls, no allocation, nothing that can panic.
extern "C" fn work(desk: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `begin` has put the desk there, and its memory is never given back.
    let desk = unsafe { &*desk.cast::<Desk>().cast_const() };
    if desk.state.compare_exchange(WAITING, BEGUN, Ordering::AcqRel, Ordering::Acquire).is_err() {
        return 0;
    }
    desk.own.store(own_network(), Ordering::Release);
    // SAFETY: takes an integer; `errno` is the task's own. The namespace is the task's
    // alone: the launcher's other task stays where it is.
    if (unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_NEWNET) }) == 0 {
        desk.new.store(own_network(), Ordering::Release);
    }
    desk.state.store(DONE, Ordering::Release);
    // SAFETY: the word is part of the desk. Whoever waits for it looks at it again.
    unsafe {
        libc::syscall(libc::SYS_futex, desk.state.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1)
    };
    0
}

impl Beside {
    /// Waits for the namespace if it is at work; None where it could not be made, or was
    /// not begun: then it never will be.
    pub fn take(self) -> Option<Networks> {
        let state = &self.desk.state;
        if state.compare_exchange(WAITING, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return None;
        }
        while state.load(Ordering::Acquire) == BEGUN {
            // SAFETY: the word is part of the desk; without a time limit, which is null.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    state.as_ptr(),
                    libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                    BEGUN,
                    ptr::null::<libc::timespec>(),
                )
            };
        }
        let own = owned(self.desk.own.load(Ordering::Acquire));
        let new = owned(self.desk.new.load(Ordering::Acquire));
        Some(Networks { own: own?, new: new? })
    }
}

fn owned(number: libc::c_int) -> Option<OwnedFd> {
    // SAFETY: the task has opened it for the launcher and uses it no more; `take` consumes
    // the only handle, so nobody owns it twice.
    (number >= 0).then(|| unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn identity(descriptor: impl AsFd) -> (u64, u64) {
        let status = nix::sys::stat::fstat(descriptor).unwrap();
        (status.st_dev, status.st_ino)
    }

    #[test]
    fn the_namespace_is_new_and_the_launcher_stays_in_its_own() {
        for _ in 0..50 {
            let beside = begin().unwrap();
            // Long enough for the task to begin, most times.
            std::thread::sleep(std::time::Duration::from_millis(2));
            let Some(networks) = beside.take() else { continue };
            let here = identity(std::fs::File::open("/proc/thread-self/ns/net").unwrap());
            assert_eq!(identity(&networks.own), here);
            assert_ne!(identity(&networks.new), here);
        }
        // Taken at once, it is made or given up, never half of it.
        for _ in 0..50 {
            drop(begin().unwrap().take());
        }
    }
}
