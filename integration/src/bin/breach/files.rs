//! Ways out of the vessel by files.

use crate::attempt::{Attempt, Given, Outcome, Twin};
use crate::sys::{address, address_mut, call, path, text, Answer};
use libc::*;

const VESSEL: i64 = 4;
const FLAGS: i32 = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

fn open_at(directory: i64, name: &str, flags: i32) -> Answer {
    let name = path(name);
    call(SYS_openat, &[directory, text(&name), flags as i64, 0o644])
}

fn read_some(file: i64) -> Answer {
    let mut buffer = [0u8; 64];
    call(SYS_read, &[file, address_mut(&mut buffer), 64])
}

/// Opened for reading, and at least one byte read.
fn read_file(directory: i64, name: &str, flags: i32) -> Outcome {
    Outcome::when(open_at(directory, name, flags).and_then(read_some), |n| n > 0)
}

fn write_file(directory: i64, name: &str, flags: i32) -> Outcome {
    let opened = open_at(directory, name, flags);
    Outcome::when(opened.and_then(|f| call(SYS_write, &[f, address(b"breach"), 6])), |n| n == 6)
}

fn read_outside(given: &Given) -> Outcome {
    read_file(VESSEL, given.text("outside"), FLAGS)
}
fn write_outside(given: &Given) -> Outcome {
    write_file(VESSEL, given.text("scratchfile"), FLAGS | O_WRONLY)
}
fn read_passwd(_: &Given) -> Outcome {
    read_file(VESSEL, "/etc/passwd", FLAGS)
}
fn dotdot(_: &Given) -> Outcome {
    read_file(VESSEL, "../secret", FLAGS)
}
fn many_dotdots(_: &Given) -> Outcome {
    read_file(VESSEL, "../../../../../../../../etc/passwd", FLAGS)
}
fn proc_self(_: &Given) -> Outcome {
    read_file(VESSEL, "/proc/self/status", FLAGS)
}
fn proc_mem(_: &Given) -> Outcome {
    Outcome::of(open_at(VESSEL, "/proc/self/mem", FLAGS | O_RDWR))
}
fn proc_root(_: &Given) -> Outcome {
    read_file(VESSEL, "/proc/1/root/etc/passwd", O_NONBLOCK | O_CLOEXEC)
}
fn proc_fd(_: &Given) -> Outcome {
    read_file(VESSEL, "/proc/self/fd/4/../../etc/passwd", O_NONBLOCK | O_CLOEXEC)
}
fn sys_tree(_: &Given) -> Outcome {
    read_file(VESSEL, "/sys/kernel/mm/transparent_hugepage/enabled", FLAGS)
}
fn dev_null(_: &Given) -> Outcome {
    Outcome::of(open_at(VESSEL, "/dev/null", FLAGS))
}
fn dev_urandom(_: &Given) -> Outcome {
    read_file(VESSEL, "/dev/urandom", FLAGS)
}
fn root_directory(_: &Given) -> Outcome {
    // The sandbox's root is the vessel itself; reached is only a root that has more in it.
    let opened = open_at(VESSEL, "/", O_RDONLY | O_DIRECTORY | FLAGS);
    let mut buffer = [0u8; 8192];
    match opened.and_then(|d| call(SYS_getdents64, &[d, address_mut(&mut buffer), 8192])) {
        Ok(_) if buffer.windows(4).any(|name| name == b"etc\0") => Outcome::Reached("the host's root".into()),
        Ok(_) => Outcome::Refused(0),
        Err(number) => Outcome::Refused(number),
    }
}
fn through_symlink(_: &Given) -> Outcome {
    read_file(VESSEL, "link-outside", O_NONBLOCK | O_CLOEXEC)
}
fn relative_to_cwd(given: &Given) -> Outcome {
    read_file(AT_FDCWD as i64, given.text("outside"), FLAGS)
}
fn plain_open(given: &Given) -> Outcome {
    let name = path(given.text("outside"));
    Outcome::when(call(SYS_open, &[text(&name), FLAGS as i64]).and_then(read_some), |n| n > 0)
}
fn creat(given: &Given) -> Outcome {
    let name = path(&format!("{}.made", given.text("scratchfile")));
    Outcome::of(call(SYS_creat, &[text(&name), 0o644]))
}
fn openat2_outside(given: &Given) -> Outcome {
    let how: [u64; 3] = [FLAGS as u64, 0, 0];
    let name = path(given.text("outside"));
    let opened = call(SYS_openat2, &[AT_FDCWD as i64, text(&name), address(&how), 24]);
    Outcome::when(opened.and_then(read_some), |n| n > 0)
}
fn openat2_in_root(given: &Given) -> Outcome {
    const RESOLVE_IN_ROOT: u64 = 0x10;
    let how: [u64; 3] = [FLAGS as u64, 0, RESOLVE_IN_ROOT];
    let name = path(given.text("outside"));
    // The tree that is the root of the walk is the host's, by its name.
    let root = path("/");
    let opened = call(SYS_openat, &[AT_FDCWD as i64, text(&root), (O_PATH | O_CLOEXEC) as i64])
        .and_then(|root| call(SYS_openat2, &[root, text(&name), address(&how), 24]));
    Outcome::when(opened.and_then(read_some), |n| n > 0)
}
fn o_path(given: &Given) -> Outcome {
    let name = path(given.text("outside"));
    Outcome::of(call(SYS_openat, &[AT_FDCWD as i64, text(&name), (O_PATH | O_CLOEXEC) as i64]))
}
fn o_tmpfile(_: &Given) -> Outcome {
    Outcome::of(open_at(AT_FDCWD as i64, ".", O_TMPFILE | O_RDWR | O_CLOEXEC))
}
/// A new file of the operator's that is setuid or executable.
fn create_with(given: &Given, mode: i64) -> Outcome {
    let name = path("made-privileged");
    let flags = i64::from(FLAGS | O_RDWR | O_CREAT | O_EXCL);
    Outcome::of(call(SYS_openat, &[given.number("vessel_fd"), text(&name), flags, mode]))
}
fn create_setuid(given: &Given) -> Outcome {
    create_with(given, 0o4644)
}
fn create_executable(given: &Given) -> Outcome {
    create_with(given, 0o755)
}
fn write_policy(given: &Given) -> Outcome {
    write_file(given.number("vessel_fd"), given.text("policy"), FLAGS | O_WRONLY | O_TRUNC)
}
fn unlink_policy(given: &Given) -> Outcome {
    let name = path(given.text("policy"));
    Outcome::of(call(SYS_unlinkat, &[given.number("vessel_fd"), text(&name), 0]))
}
fn rename_over_policy(given: &Given) -> Outcome {
    let (from, to) = (path("own"), path(given.text("policy")));
    let at = given.number("vessel_fd");
    Outcome::of(call(SYS_renameat2, &[at, text(&from), at, text(&to), 0]))
}
fn rename(_: &Given) -> Outcome {
    let (from, to) = (path("own"), path("own-moved"));
    Outcome::of(call(SYS_rename, &[text(&from), text(&to)]))
}
fn hard_link(given: &Given) -> Outcome {
    // A file of the same user: others' files cannot be linked where the host protects them.
    let (from, to) = (path(given.text("scratchfile")), path("stolen"));
    Outcome::of(call(SYS_linkat, &[AT_FDCWD as i64, text(&from), AT_FDCWD as i64, text(&to), 0]))
}
fn symlink(given: &Given) -> Outcome {
    let (to, name) = (path(given.text("outside")), path("made-link"));
    Outcome::of(call(SYS_symlinkat, &[text(&to), AT_FDCWD as i64, text(&name)]))
}
fn make_directory(_: &Given) -> Outcome {
    let name = path("made-directory");
    Outcome::of(call(SYS_mkdirat, &[AT_FDCWD as i64, text(&name), 0o755]))
}
fn make_fifo(_: &Given) -> Outcome {
    let name = path("made-fifo");
    Outcome::of(call(SYS_mknodat, &[AT_FDCWD as i64, text(&name), (S_IFIFO | 0o644) as i64, 0]))
}
fn make_device(_: &Given) -> Outcome {
    let name = path("made-device");
    let null = makedev(1, 3) as i64;
    Outcome::of(call(SYS_mknodat, &[AT_FDCWD as i64, text(&name), (S_IFCHR | 0o666) as i64, null]))
}
fn chmod_outside(given: &Given) -> Outcome {
    let name = path(given.text("scratchfile"));
    Outcome::of(call(SYS_fchmodat, &[AT_FDCWD as i64, text(&name), 0o4755]))
}
fn chmod_vessel(_: &Given) -> Outcome {
    let name = path(".");
    Outcome::of(call(SYS_chmod, &[text(&name), 0o777]))
}
fn fchmod_vessel(given: &Given) -> Outcome {
    Outcome::of(call(SYS_fchmod, &[given.number("vessel_fd"), 0o777]))
}
fn chown_own(_: &Given) -> Outcome {
    let name = path("own");
    Outcome::of(call(SYS_fchownat, &[AT_FDCWD as i64, text(&name), 1, 1, 0]))
}
fn utimes(_: &Given) -> Outcome {
    let name = path("own");
    Outcome::of(call(SYS_utimensat, &[AT_FDCWD as i64, text(&name), 0, 0]))
}
fn set_attribute(_: &Given) -> Outcome {
    let (name, key) = (path("own"), path("user.breach"));
    Outcome::of(call(SYS_setxattr, &[text(&name), text(&key), address(b"x"), 1, 0]))
}
fn stat_outside(given: &Given) -> Outcome {
    let name = path(given.text("outside"));
    let mut buffer = [0u64; 32];
    Outcome::of(call(SYS_newfstatat, &[AT_FDCWD as i64, text(&name), address_mut(&mut buffer), 0]))
}
fn access_outside(given: &Given) -> Outcome {
    let name = path(given.text("outside"));
    Outcome::of(call(SYS_faccessat, &[AT_FDCWD as i64, text(&name), 0]))
}
fn chdir_outside(_: &Given) -> Outcome {
    let name = path("/etc");
    Outcome::of(call(SYS_chdir, &[text(&name)]))
}
fn chroot(_: &Given) -> Outcome {
    let name = path(".");
    Outcome::of(call(SYS_chroot, &[text(&name)]))
}
fn truncate_outside(given: &Given) -> Outcome {
    let name = path(given.text("scratchfile"));
    Outcome::of(call(SYS_truncate, &[text(&name), 0]))
}
fn name_to_handle(_: &Given) -> Outcome {
    let name = path(".");
    let mut handle = [0u32; 40];
    handle[0] = 128;
    let mut mount = 0i32;
    let arguments = [AT_FDCWD as i64, text(&name), address_mut(&mut handle), address_mut(&mut mount), 0];
    let named = call(SYS_name_to_handle_at, &arguments);
    let flags = (O_RDONLY | O_CLOEXEC) as i64;
    Outcome::of(named.and_then(|_| call(SYS_open_by_handle_at, &[AT_FDCWD as i64, address(&handle), flags])))
}
fn flock(given: &Given) -> Outcome {
    Outcome::of(call(SYS_flock, &[given.number("vessel_fd"), LOCK_SH as i64]))
}
fn inherited_descriptors(given: &Given) -> Outcome {
    // The test leaves a file open at a high number in the launcher.
    let descriptor = given.number("leaked_fd");
    let mut buffer = [0u64; 32];
    Outcome::of(call(SYS_fstat, &[descriptor, address_mut(&mut buffer)]))
}

fn own_file(given: &Given) -> Outcome {
    read_file(given.number("vessel_fd"), "own", FLAGS)
}
fn write_own(given: &Given) -> Outcome {
    write_file(given.number("vessel_fd"), "twin-made", FLAGS | O_WRONLY | O_CREAT)
}
fn stat_vessel(given: &Given) -> Outcome {
    let mut buffer = [0u64; 32];
    Outcome::of(call(SYS_fstat, &[given.number("vessel_fd"), address_mut(&mut buffer)]))
}
fn unlink_own(given: &Given) -> Outcome {
    let name = path("twin-removable");
    Outcome::of(call(SYS_unlinkat, &[given.number("vessel_fd"), text(&name), 0]))
}
fn list_vessel(given: &Given) -> Outcome {
    let mut buffer = [0u8; 2048];
    Outcome::when(call(SYS_getdents64, &[given.number("vessel_fd"), address_mut(&mut buffer), 2048]), |n| {
        n > 0
    })
}

/// The attempts of this class.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt { name: "read-outside", class: "files", run: read_outside, twin: Twin::Inside(own_file) },
    Attempt { name: "write-outside", class: "files", run: write_outside, twin: Twin::Inside(write_own) },
    Attempt { name: "read-passwd", class: "files", run: read_passwd, twin: Twin::Inside(own_file) },
    Attempt { name: "dotdot", class: "files", run: dotdot, twin: Twin::Inside(own_file) },
    Attempt { name: "many-dotdots", class: "files", run: many_dotdots, twin: Twin::Inside(own_file) },
    Attempt { name: "proc-self-status", class: "files", run: proc_self, twin: Twin::Inside(own_file) },
    Attempt { name: "proc-self-mem", class: "files", run: proc_mem, twin: Twin::Inside(own_file) },
    Attempt { name: "proc-1-root", class: "files", run: proc_root, twin: Twin::Inside(own_file) },
    Attempt { name: "proc-fd-walk", class: "files", run: proc_fd, twin: Twin::Inside(own_file) },
    Attempt { name: "sys-tree", class: "files", run: sys_tree, twin: Twin::Inside(own_file) },
    Attempt { name: "dev-null", class: "files", run: dev_null, twin: Twin::Inside(own_file) },
    Attempt { name: "dev-urandom", class: "files", run: dev_urandom, twin: Twin::Inside(own_file) },
    Attempt { name: "root-directory", class: "files", run: root_directory, twin: Twin::Inside(list_vessel) },
    Attempt { name: "through-symlink", class: "files", run: through_symlink, twin: Twin::Inside(own_file) },
    Attempt { name: "cwd-relative-open", class: "files", run: relative_to_cwd, twin: Twin::Outside },
    Attempt { name: "plain-open", class: "files", run: plain_open, twin: Twin::Outside },
    Attempt { name: "creat", class: "files", run: creat, twin: Twin::Outside },
    Attempt { name: "openat2-outside", class: "files", run: openat2_outside, twin: Twin::Outside },
    Attempt { name: "openat2-in-root", class: "files", run: openat2_in_root, twin: Twin::Outside },
    Attempt { name: "o-path", class: "files", run: o_path, twin: Twin::Outside },
    Attempt { name: "o-tmpfile", class: "files", run: o_tmpfile, twin: Twin::Outside },
    Attempt { name: "create-setuid", class: "files", run: create_setuid, twin: Twin::Inside(write_own) },
    Attempt {
        name: "create-executable",
        class: "files",
        run: create_executable,
        twin: Twin::Inside(write_own),
    },
    Attempt { name: "write-policy", class: "files", run: write_policy, twin: Twin::Inside(write_own) },
    Attempt { name: "unlink-policy", class: "files", run: unlink_policy, twin: Twin::Inside(unlink_own) },
    Attempt { name: "rename-over-policy", class: "files", run: rename_over_policy, twin: Twin::Outside },
    Attempt { name: "rename", class: "files", run: rename, twin: Twin::Outside },
    Attempt { name: "hard-link", class: "files", run: hard_link, twin: Twin::Outside },
    Attempt { name: "symlink", class: "files", run: symlink, twin: Twin::Outside },
    Attempt { name: "make-directory", class: "files", run: make_directory, twin: Twin::Outside },
    Attempt { name: "make-fifo", class: "files", run: make_fifo, twin: Twin::Outside },
    Attempt { name: "make-device", class: "files", run: make_device, twin: Twin::OutsideAsRoot },
    Attempt { name: "chmod-outside", class: "files", run: chmod_outside, twin: Twin::Outside },
    Attempt { name: "chmod-vessel", class: "files", run: chmod_vessel, twin: Twin::Outside },
    Attempt { name: "fchmod-vessel", class: "files", run: fchmod_vessel, twin: Twin::Outside },
    Attempt { name: "chown-own", class: "files", run: chown_own, twin: Twin::OutsideAsRoot },
    Attempt { name: "utimes", class: "files", run: utimes, twin: Twin::Outside },
    Attempt { name: "set-attribute", class: "files", run: set_attribute, twin: Twin::Outside },
    Attempt { name: "stat-outside", class: "files", run: stat_outside, twin: Twin::Inside(stat_vessel) },
    Attempt { name: "access-outside", class: "files", run: access_outside, twin: Twin::Outside },
    Attempt { name: "chdir-outside", class: "files", run: chdir_outside, twin: Twin::Outside },
    Attempt { name: "chroot", class: "files", run: chroot, twin: Twin::OutsideAsRoot },
    Attempt { name: "truncate-outside", class: "files", run: truncate_outside, twin: Twin::Outside },
    Attempt { name: "open-by-handle", class: "files", run: name_to_handle, twin: Twin::OutsideAsRoot },
    Attempt { name: "flock", class: "files", run: flock, twin: Twin::Outside },
    Attempt { name: "inherited-descriptor", class: "files", run: inherited_descriptors, twin: Twin::Outside },
];
