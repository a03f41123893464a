//! A small static program for the interpreter's place: it makes the calls that
//! its arguments name and prints what came of them, one line each. It is an
//! ordinary Rust binary, so that it also shows what std and the C library need.
//!
//! `probe PROGRAM WORD...`, each WORD one of
//!   hello            print a line
//!   fds              list the open descriptors
//!   block            print the start block of descriptor 5
//!   ids              print uid and gid of the vessel as seen inside
//!   sleep            wait for ever
//!   pause            wait for half a second
//!   NAME:A,B,...     system call NAME, arguments being numbers (0x too) or text
//!                    after `=`, which is passed by its address

use std::ffi::CString;
use std::io::Write;

fn main() {
    for word in std::env::args().skip(2) {
        let line = match word.as_str() {
            "hello" => "hello".to_owned(),
            "fds" => descriptors(),
            "block" => block(),
            "ids" => ids(),
            "sleep" => loop {
                wait(1_000_000);
            },
            "pause" => {
                wait(500);
                continue;
            }
            call => system_call(call),
        };
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

/// Waits by the one call that a confined program has for it.
fn wait(milliseconds: i32) {
    // SAFETY: no descriptors are named, and the count is zero.
    unsafe { libc::poll(std::ptr::null_mut(), 0, milliseconds) };
}

fn descriptors() -> String {
    // Beyond the limit nothing can be open but what exec left, so look far.
    let open: Vec<String> = (0..4096)
        .filter(|number| {
            // SAFETY: all-zero is a valid value of this structure of integers,
            // and the pointer is to a live one.
            (unsafe {
                let mut status: libc::stat = std::mem::zeroed();
                libc::fstat(*number, &mut status)
            }) == 0
        })
        .map(|number| number.to_string())
        .collect();
    format!("fds {}", open.join(" "))
}

fn block() -> String {
    let mut bytes = [0u8; 64];
    // SAFETY: the pointer and length describe `bytes`.
    let count = unsafe { libc::pread(5, bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    format!("block {}", String::from_utf8_lossy(&bytes[..count.max(0) as usize]))
}

fn ids() -> String {
    // SAFETY: all-zero is a valid value of this structure of integers, and the
    // pointer is to a live one.
    let status = unsafe {
        let mut status: libc::stat = std::mem::zeroed();
        libc::fstat(4, &mut status);
        status
    };
    format!("vessel {}:{}", status.st_uid, status.st_gid)
}

/// Makes one call and tells its result or error.
fn system_call(text: &str) -> String {
    let (name, arguments) = text.split_once(':').unwrap_or((text, ""));
    let Some((_, number)) = CALLS.iter().find(|(known, _)| *known == name) else {
        return format!("{name}: unknown to the probe");
    };
    let mut strings = Vec::new();
    let mut values = [0usize; 6];
    for (value, argument) in values.iter_mut().zip(arguments.split(',').filter(|text| !text.is_empty())) {
        *value = if let Some(text) = argument.strip_prefix('=') {
            let string = CString::new(text).unwrap_or_default();
            let address = string.as_ptr() as usize;
            strings.push(string);
            address
        } else if let Some(digits) = argument.strip_prefix("0x") {
            usize::from_str_radix(digits, 16).unwrap_or(0)
        } else {
            argument.parse::<isize>().unwrap_or(0) as usize
        };
    }
    // SAFETY: whatever the call does, it does to this process, which is made
    // for that; strings passed by address outlive the call.
    let result =
        unsafe { libc::syscall(*number, values[0], values[1], values[2], values[3], values[4], values[5]) };
    if result >= 0 {
        format!("{name} {result}")
    } else {
        let error = std::io::Error::last_os_error();
        format!("{name} failed {}", error.raw_os_error().unwrap_or(0))
    }
}

/// The calls the tests of the launch ask for.
const CALLS: &[(&str, libc::c_long)] = &[
    ("accept4", libc::SYS_accept4),
    ("bind", libc::SYS_bind),
    ("chmod", libc::SYS_fchmodat),
    ("clone3", libc::SYS_clone3),
    ("close", libc::SYS_close),
    ("execveat", libc::SYS_execveat),
    ("getdents64", libc::SYS_getdents64),
    ("getpid", libc::SYS_getpid),
    ("kill", libc::SYS_kill),
    ("pread64", libc::SYS_pread64),
    ("memfd_create", libc::SYS_memfd_create),
    ("mmap", libc::SYS_mmap),
    ("mount", libc::SYS_mount),
    ("openat", libc::SYS_openat),
    ("openat2", libc::SYS_openat2),
    ("prctl", libc::SYS_prctl),
    ("ptrace", libc::SYS_ptrace),
    ("recvmsg", libc::SYS_recvmsg),
    ("sendto", libc::SYS_sendto),
    ("socket", libc::SYS_socket),
    ("unlinkat", libc::SYS_unlinkat),
    ("unshare", libc::SYS_unshare),
    ("write", libc::SYS_write),
];
