//! Places of the file system that the filter's rule for `openat` would let be named:
//! descriptor and flags are those of an ordinary read, and the path is what escapes.

use crate::attempt::{Attempt, Given, Outcome, Twin};
use crate::sys::{address, address_mut, call, path, text};
use libc::*;

const FLAGS: i32 = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

fn open(given: &Given, name: &str, flags: i32) -> Result<i64, i32> {
    let name = path(name);
    call(SYS_openat, &[given.number("vessel_fd"), text(&name), flags as i64, 0o644])
}

fn read(given: &Given, name: &str) -> Outcome {
    let mut buffer = [0u8; 64];
    let opened = open(given, name, FLAGS);
    Outcome::when(opened.and_then(|f| call(SYS_read, &[f, address_mut(&mut buffer), 64])), |n| n > 0)
}

fn write(given: &Given, name: &str, more: i32) -> Outcome {
    let opened = open(given, name, FLAGS | O_WRONLY | more);
    Outcome::when(opened.and_then(|f| call(SYS_write, &[f, address(b"breach"), 6])), |n| n == 6)
}

/// Opened as a directory, and more than `.` and `..` in it.
fn list(given: &Given, name: &str) -> Outcome {
    let mut buffer = [0u8; 8192];
    let opened = open(given, name, FLAGS | O_DIRECTORY);
    Outcome::when(opened.and_then(|d| call(SYS_getdents64, &[d, address_mut(&mut buffer), 8192])), |n| n > 48)
}

/// The directory above the vessel, if the file beside it can be seen from there.
fn above(given: &Given) -> Outcome {
    let mut buffer = [0u8; 8192];
    let opened = open(given, "..", FLAGS | O_DIRECTORY);
    let listed = opened.and_then(|d| call(SYS_getdents64, &[d, address_mut(&mut buffer), 8192]));
    Outcome::when(listed, |_| buffer.windows(12).any(|name| name == b"scratchfile\0"))
}

/// A file made above the vessel; inside, where nothing is above, it appears in the vessel.
fn create_above(given: &Given) -> Outcome {
    let made = write(given, "../scratchfile.made", O_CREAT);
    match open(given, "scratchfile.made", FLAGS) {
        Ok(_) => Outcome::Refused(0),
        Err(_) => made,
    }
}

fn shared_memory_file(given: &Given) -> Outcome {
    let made = write(given, "/dev/shm/repy-breach", O_CREAT);
    if let Outcome::Reached(_) = made {
        let name = path("/dev/shm/repy-breach");
        let _ = call(SYS_unlinkat, &[given.number("vessel_fd"), text(&name), 0]);
    }
    made
}

fn own_file(given: &Given) -> Outcome {
    read(given, "own")
}
fn write_own(given: &Given) -> Outcome {
    write(given, "twin-made", O_CREAT)
}
fn list_own(given: &Given) -> Outcome {
    list(given, ".")
}

macro_rules! attempts {
    ($($name:literal $run:expr, $twin:expr;)*) => {
        /// The attempts of this class.
        pub const ATTEMPTS: &[Attempt] =
            &[$(Attempt { name: $name, class: "places", run: $run, twin: Twin::Inside($twin) }),*];
    };
}

attempts! {
    "proc-self-maps" |g| read(g, "/proc/self/maps"), own_file;
    "proc-self-vector" |g| read(g, "/proc/self/auxv"), own_file;
    "proc-self-words" |g| read(g, "/proc/self/cmdline"), own_file;
    "proc-self-mountinfo" |g| read(g, "/proc/self/mountinfo"), own_file;
    "proc-self-descriptors" |g| list(g, "/proc/self/fd"), list_own;
    "proc-self-cwd" |g| read(g, "/proc/self/cwd/../secret"), own_file;
    "proc-thread-root" |g| read(g, "/proc/thread-self/root/etc/passwd"), own_file;
    "proc-processes" |g| list(g, "/proc"), list_own;
    "proc-kallsyms" |g| read(g, "/proc/kallsyms"), own_file;
    "proc-network" |g| read(g, "/proc/net/dev"), own_file;
    "proc-host-name" |g| read(g, "/proc/sys/kernel/hostname"), own_file;
    "proc-core-pattern" |g| Outcome::of(open(g, "/proc/sys/kernel/core_pattern", FLAGS | O_WRONLY)), write_own;
    "proc-oom-score" |g| Outcome::of(open(g, "/proc/self/oom_score_adj", FLAGS | O_WRONLY)), write_own;
    "proc-uid-map" |g| Outcome::of(open(g, "/proc/self/uid_map", FLAGS | O_WRONLY)), write_own;
    "dev-shm" shared_memory_file, write_own;
    "dev-terminals" |g| Outcome::of(open(g, "/dev/ptmx", FLAGS | O_RDWR)), write_own;
    "dev-kernel-log" |g| Outcome::of(open(g, "/dev/kmsg", FLAGS)), own_file;
    "dev-fuse" |g| Outcome::of(open(g, "/dev/fuse", FLAGS | O_RDWR)), write_own;
    "dev-network" |g| Outcome::of(open(g, "/dev/net/tun", FLAGS | O_RDWR)), write_own;
    "dev-list" |g| list(g, "/dev"), list_own;
    "cgroup-tree" |g| list(g, "/sys/fs/cgroup"), list_own;
    "debug-tree" |g| list(g, "/sys/kernel/debug"), list_own;
    "run-directory" |g| list(g, "/run"), list_own;
    "temporary-directory" |g| list(g, "/tmp"), list_own;
    "home-directory" |g| list(g, "/root"), list_own;
    "host-binary" |g| read(g, "/usr/bin/env"), own_file;
    "host-shadow" |g| read(g, "/etc/shadow"), own_file;
    "host-name-service" |g| read(g, "/etc/resolv.conf"), own_file;
    "above-the-vessel" above, list_own;
    "above-by-name" |g| read(g, "../scratchfile"), own_file;
    "above-for-writing" |g| write(g, "../scratchfile", 0), write_own;
    "above-creating" create_above, write_own;
    "through-directory-link" |g| read(g, "link-directory/scratchfile"), own_file;
    "planted-device" |g| read(g, "planted-device"), own_file;
    "policy-for-reading-and-writing" |g| Outcome::of(open(g, g.text("policy"), FLAGS | O_RDWR)), write_own;
    "policy-with-create" |g| write(g, g.text("policy"), O_CREAT), write_own;
}
