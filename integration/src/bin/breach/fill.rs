//! Fills the vessel until the kernel refuses, by one method, and tells how much it took:
//! `fill:METHOD` in an attempt's place. What a scratch vessel holds exactly is shown by it.

use crate::sys::{address, call, path, text};
use libc::*;

const FLAGS: i32 = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
const BLOCK: usize = 4096;

/// Runs one method. Gives the amount (bytes, or files for `files`) and the error that ended it.
pub fn fill(method: &str) -> Option<String> {
    let (amount, ended) = match method {
        "write" => by_pwrite(),
        "sparse" => by_holes(),
        "unlinked" => by_unlinked(),
        "files" => by_files(),
        "bytes" => by_single_bytes(),
        _ => return None,
    };
    Some(format!("FILLED {amount} {ended}\n"))
}

fn create(name: &str) -> Result<i64, i32> {
    let name = path(name);
    call(SYS_openat, &[4, text(&name), FLAGS as i64, 0o600])
}

fn put(file: i64, at: u64, length: usize) -> Result<u64, i32> {
    let block = [7u8; BLOCK];
    call(SYS_pwrite64, &[file, address(&block), length as i64, at as i64]).map(|n| n as u64)
}

/// One file, block after block.
fn by_pwrite() -> (u64, i32) {
    let file = match create("fill-write") {
        Ok(file) => file,
        Err(number) => return (0, number),
    };
    let mut total = 0;
    loop {
        match put(file, total, BLOCK) {
            Ok(written) => total += written,
            Err(number) => return (total, number),
        }
    }
}

/// A file made long at once, then filled in steps that leave holes, then the holes.
fn by_holes() -> (u64, i32) {
    let mut total = 0;
    for name in 0..1_000 {
        let file = match create(&format!("fill-hole-{name}")) {
            Ok(file) => file,
            Err(number) => return (total, number),
        };
        let _ = call(SYS_ftruncate, &[file, 90_000]);
        for at in (0..20u64).step_by(2).chain((1..20).step_by(2)) {
            match put(file, at * BLOCK as u64, BLOCK) {
                Ok(written) => total += written,
                Err(number) => return (total, number),
            }
        }
        let _ = call(SYS_close, &[file]);
    }
    (total, 0)
}

/// Files that have no name any more and are kept open.
fn by_unlinked() -> (u64, i32) {
    let mut total = 0;
    loop {
        let name = path("fill-unlinked");
        let file = match create("fill-unlinked") {
            Ok(file) => file,
            Err(number) => return (total, number),
        };
        if let Err(number) = call(SYS_unlinkat, &[4, text(&name), 0]) {
            return (total, number);
        }
        for at in 0..10 {
            match put(file, at * BLOCK as u64, BLOCK) {
                Ok(written) => total += written,
                Err(number) => return (total, number),
            }
        }
    }
}

/// Empty files.
fn by_files() -> (u64, i32) {
    for made in 0..100_000 {
        match create(&format!("fill-file-{made}")) {
            Ok(file) => drop(call(SYS_close, &[file])),
            Err(number) => return (made, number),
        }
    }
    (100_000, 0)
}

/// Files of one byte each; what each takes is a block.
fn by_single_bytes() -> (u64, i32) {
    for made in 0..100_000 {
        let written = create(&format!("fill-byte-{made}")).and_then(|file| {
            let written = put(file, 0, 1);
            let _ = call(SYS_close, &[file]);
            written
        });
        if let Err(number) = written {
            return (made * BLOCK as u64, number);
        }
    }
    (100_000, 0)
}
