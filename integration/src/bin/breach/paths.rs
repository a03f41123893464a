//! Calls that take a path, aimed at files outside the vessel and at the reserved file in it.

use crate::attempt::{Attempt, Given, Outcome, Twin};
use crate::sys::{address, address_mut, call, path, text};
use libc::*;

const HERE: i64 = AT_FDCWD as i64;

/// `number(path, more…)`.
fn on(number: i64, name: &str, more: &[i64]) -> Outcome {
    let name = path(name);
    let arguments: Vec<i64> = std::iter::once(text(&name)).chain(more.iter().copied()).collect();
    Outcome::of(call(number, &arguments))
}

/// `number(AT_FDCWD, path, more…)`.
fn at(number: i64, name: &str, more: &[i64]) -> Outcome {
    let name = path(name);
    let arguments: Vec<i64> = [HERE, text(&name)].into_iter().chain(more.iter().copied()).collect();
    Outcome::of(call(number, &arguments))
}

/// `number(from, to)`, with AT_FDCWD before each where `number` is of that family.
fn two_at(number: i64, from: &str, to: &str, flags: i64) -> Outcome {
    let (from, to) = (path(from), path(to));
    Outcome::of(call(number, &[HERE, text(&from), HERE, text(&to), flags]))
}

fn made(given: &Given) -> String {
    format!("{}.made", given.text("scratchfile"))
}

fn attribute(number: i64, name: &str) -> Outcome {
    let (name, key) = (path(name), path("user.breach"));
    Outcome::of(call(number, &[text(&name), text(&key), address(b"x"), 1, 0]))
}

fn watch(name: &str) -> Outcome {
    let name = path(name);
    let made = call(SYS_inotify_init1, &[0]);
    Outcome::of(made.and_then(|fd| call(SYS_inotify_add_watch, &[fd, text(&name), IN_ALL_EVENTS as i64])))
}

/// Where the process is: inside that is `/`, and says nothing of the host.
fn current_directory(_: &Given) -> Outcome {
    let mut buffer = [0u8; 4096];
    let length = call(SYS_getcwd, &[address_mut(&mut buffer), 4096]);
    // `/` and its end: two bytes.
    Outcome::when(length, |length| length > 2)
}

/// Goes to a directory by its descriptor and from there upwards.
fn upwards_by_fchdir(given: &Given) -> Outcome {
    let moved = call(SYS_fchdir, &[given.number("vessel_fd")]);
    let name = path("../scratchfile");
    let mut status = [0u64; 32];
    Outcome::of(moved.and_then(|_| call(SYS_newfstatat, &[HERE, text(&name), address_mut(&mut status), 0])))
}

macro_rules! attempts {
    ($list:ident: $($name:literal $run:expr, $twin:expr;)*) => {
        /// Attempts of this class.
        pub const $list: &[Attempt] =
            &[$(Attempt { name: $name, class: "paths", run: $run, twin: $twin }),*];
    };
}

attempts! { ATTEMPTS:
    "statx-outside" |g| { let mut b = [0u64; 32]; at(SYS_statx, g.text("outside"), &[0, 0x7ff, address_mut(&mut b)]) }, Twin::Outside;
    "faccessat2-outside" |g| at(SYS_faccessat2, g.text("outside"), &[0, 0]), Twin::Outside;
    "fchownat-outside" |g| at(SYS_fchownat, g.text("scratchfile"), &[-1, -1, 0]), Twin::Outside;
    "utimensat-outside" |g| at(SYS_utimensat, g.text("scratchfile"), &[0, 0]), Twin::Outside;
    "setxattr-outside" |g| attribute(SYS_setxattr, g.text("scratchfile")), Twin::Outside;
    "lsetxattr-outside" |g| attribute(SYS_lsetxattr, g.text("scratchfile")), Twin::Outside;
    "listxattr-outside" |g| { let mut b = [0u8; 256]; on(SYS_listxattr, g.text("outside"), &[address_mut(&mut b), 256]) }, Twin::Outside;
    "statfs-outside" |g| { let mut b = [0u64; 16]; on(SYS_statfs, g.text("outside"), &[address_mut(&mut b)]) }, Twin::Outside;
    "unlinkat-outside" |g| at(SYS_unlinkat, g.text("scratchfile"), &[0]), Twin::Outside;
    "renameat-inwards" |g| two_at(SYS_renameat2, g.text("scratchfile"), "stolen", 0), Twin::Outside;
    "renameat-outwards" |g| two_at(SYS_renameat2, "own", &made(g), 0), Twin::Outside;
    "exchange-outside" |g| two_at(SYS_renameat2, "own", g.text("scratchfile"), 2), Twin::Outside;
    "link-outwards" |g| two_at(SYS_linkat, "own", &made(g), 0), Twin::Outside;
    "symlink-outside" |g| { let to = path("own"); let name = path(&made(g)); Outcome::of(call(SYS_symlinkat, &[text(&to), HERE, text(&name)])) }, Twin::Outside;
    "mkdirat-outside" |g| at(SYS_mkdirat, &made(g), &[0o755]), Twin::Outside;
    "mknodat-outside" |g| at(SYS_mknodat, &made(g), &[(S_IFREG | 0o644) as i64, 0]), Twin::Outside;
    "open-create-outside" |g| at(SYS_openat, &made(g), &[(O_CREAT | O_WRONLY) as i64, 0o644]), Twin::Outside;
    "open-append-outside" |g| at(SYS_openat, g.text("scratchfile"), &[(O_APPEND | O_WRONLY) as i64]), Twin::Outside;
    "open-truncate-outside" |g| at(SYS_openat, g.text("scratchfile"), &[(O_TRUNC | O_WRONLY) as i64]), Twin::Outside;
    "open-temporary-outside" |g| at(SYS_openat, g.text("scratchdir"), &[(O_TMPFILE | O_WRONLY) as i64, 0o600]), Twin::Outside;
    "inotify-outside" |g| watch(g.text("outside")), Twin::Outside;
    "open-tree-outside" |g| at(SYS_open_tree, g.text("outside"), &[0]), Twin::Outside;
    "current-directory" current_directory, Twin::Outside;
    "upwards-by-fchdir" upwards_by_fchdir, Twin::Outside;
    "chdir-vessel-path" |g| on(SYS_chdir, g.text("scratchdir"), &[]), Twin::Outside;
    "remove-directory" |_| at(SYS_unlinkat, "own-directory", &[AT_REMOVEDIR as i64]), Twin::Outside;

    "policy-truncate" |g| on(SYS_truncate, g.text("policy"), &[0]), Twin::Outside;
    "policy-chmod" |g| at(SYS_fchmodat, g.text("policy"), &[0o666]), Twin::Outside;
    "policy-chown" |g| at(SYS_fchownat, g.text("policy"), &[-1, -1, 0]), Twin::Outside;
    "policy-utimes" |g| at(SYS_utimensat, g.text("policy"), &[0, 0]), Twin::Outside;
    "policy-attribute" |g| attribute(SYS_setxattr, g.text("policy")), Twin::Outside;
    "policy-rename-away" |g| two_at(SYS_renameat2, g.text("policy"), "own-moved", 0), Twin::Outside;
    "policy-link" |g| two_at(SYS_linkat, g.text("policy"), "stolen", 0), Twin::Outside;
    "policy-exchange" |g| two_at(SYS_renameat2, "own", g.text("policy"), 2), Twin::Outside;
    "policy-open-append" |g| at(SYS_openat, g.text("policy"), &[(O_APPEND | O_RDWR) as i64]), Twin::Outside;
    "policy-rename-legacy" |g| two_at(SYS_renameat, "own", g.text("policy"), 0), Twin::Outside;
}

// The same by the calls that only x86-64 still has.
#[cfg(target_arch = "x86_64")]
attempts! { LEGACY:
    "stat-legacy" |g| { let mut b = [0u64; 32]; on(SYS_stat, g.text("outside"), &[address_mut(&mut b)]) }, Twin::Outside;
    "lstat-legacy" |g| { let mut b = [0u64; 32]; on(SYS_lstat, g.text("outside"), &[address_mut(&mut b)]) }, Twin::Outside;
    "access-legacy" |g| on(SYS_access, g.text("outside"), &[0]), Twin::Outside;
    "chmod-legacy" |g| on(SYS_chmod, g.text("scratchfile"), &[0o600]), Twin::Outside;
    "chown-legacy" |g| on(SYS_chown, g.text("scratchfile"), &[-1, -1]), Twin::Outside;
    "lchown-legacy" |g| on(SYS_lchown, g.text("scratchfile"), &[-1, -1]), Twin::Outside;
    "utime-legacy" |g| on(SYS_utime, g.text("scratchfile"), &[0]), Twin::Outside;
    "utimes-legacy" |g| on(SYS_utimes, g.text("scratchfile"), &[0]), Twin::Outside;
    "futimesat-legacy" |g| at(SYS_futimesat, g.text("scratchfile"), &[0]), Twin::Outside;
    "unlink-legacy" |g| on(SYS_unlink, g.text("scratchfile"), &[]), Twin::Outside;
    "rmdir-legacy" |_| on(SYS_rmdir, "own-directory", &[]), Twin::Outside;
    "mkdir-legacy" |g| on(SYS_mkdir, &made(g), &[0o755]), Twin::Outside;
    "mknod-legacy" |g| on(SYS_mknod, &made(g), &[(S_IFIFO | 0o644) as i64, 0]), Twin::Outside;
    "rename-legacy" |g| { let to = path(&made(g)); on(SYS_rename, "own", &[text(&to)]) }, Twin::Outside;
    "link-legacy" |g| { let to = path("stolen"); on(SYS_link, g.text("scratchfile"), &[text(&to)]) }, Twin::Outside;
    "symlink-legacy" |g| { let to = path(&made(g)); on(SYS_symlink, "own", &[text(&to)]) }, Twin::Outside;
    "policy-unlink-legacy" |g| on(SYS_unlink, g.text("policy"), &[]), Twin::Outside;
    "policy-creat-legacy" |g| on(SYS_creat, g.text("policy"), &[0o644]), Twin::Outside;
}
/// Elsewhere there are none.
#[cfg(not(target_arch = "x86_64"))]
pub const LEGACY: &[Attempt] = &[];
