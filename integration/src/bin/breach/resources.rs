//! More of a resource than the policy grants. The test's policy grants
//! 50 000 000 bytes of memory and 20 000 000 bytes of disk.

use crate::attempt::{Attempt, Given, Outcome, Twin};
use crate::sys::{address, call, path, text, touch};
use libc::*;

const FLAGS: i32 = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

/// Maps `bytes` and writes to each page.
fn fill(bytes: i64, flags: i32) -> Outcome {
    let protection = (PROT_READ | PROT_WRITE) as i64;
    match call(SYS_mmap, &[0, bytes, protection, flags as i64, -1, 0]) {
        Err(number) => Outcome::Refused(number),
        Ok(at) => {
            for page in (0..bytes).step_by(4096) {
                touch(at + page);
            }
            if bytes > 50_000_000 {
                pause_for_monitor();
            }
            Outcome::Reached(format!("{bytes} bytes touched"))
        }
    }
}

fn private_memory(_: &Given) -> Outcome {
    fill(200_000_000, MAP_PRIVATE | MAP_ANONYMOUS)
}
fn shared_memory(_: &Given) -> Outcome {
    fill(200_000_000, MAP_SHARED | MAP_ANONYMOUS)
}
fn small_private(_: &Given) -> Outcome {
    fill(5_000_000, MAP_PRIVATE | MAP_ANONYMOUS)
}
fn small_shared(_: &Given) -> Outcome {
    fill(5_000_000, MAP_SHARED | MAP_ANONYMOUS)
}
fn grow_heap(_: &Given) -> Outcome {
    let start = call(SYS_brk, &[0]).unwrap_or(0);
    let wanted = start + 200_000_000;
    if call(SYS_brk, &[wanted]) != Ok(wanted) {
        return Outcome::Refused(ENOMEM);
    }
    for page in (start..wanted).step_by(4096) {
        touch(page);
    }
    Outcome::Reached("the heap grew".into())
}
fn reserve(_: &Given) -> Outcome {
    // Address space alone, far beyond what a generous backstop leaves.
    let flags = (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE) as i64;
    Outcome::of(call(SYS_mmap, &[0, 1 << 40, PROT_NONE as i64, flags, -1, 0]))
}
fn small_reserve(_: &Given) -> Outcome {
    let flags = (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE) as i64;
    Outcome::of(call(SYS_mmap, &[0, 1 << 20, PROT_NONE as i64, flags, -1, 0]))
}
fn event_descriptors(_: &Given) -> Outcome {
    let mut made = 0;
    loop {
        match call(SYS_epoll_create1, &[O_CLOEXEC as i64]) {
            Ok(_) => made += 1,
            Err(number) => return Outcome::Refused(number),
        }
        if made > 100_000 {
            return Outcome::Reached("no end of descriptors".into());
        }
    }
}
fn one_event_descriptor(_: &Given) -> Outcome {
    Outcome::of(call(SYS_epoll_create1, &[O_CLOEXEC as i64]))
}

fn create(given: &Given, name: &str) -> Result<i64, i32> {
    let name = path(name);
    let flags = (FLAGS | O_WRONLY | O_CREAT) as i64;
    call(SYS_openat, &[given.number("vessel_fd"), text(&name), flags, 0o644])
}

fn write_much(file: i64, bytes: usize) -> Outcome {
    let block = vec![b'x'; 65536];
    let mut written = 0;
    while written < bytes {
        match call(SYS_write, &[file, block.as_ptr() as i64, block.len() as i64]) {
            Ok(count) => written += count as usize,
            Err(number) => return Outcome::Refused(number),
        }
    }
    Outcome::Reached(format!("{written} bytes written"))
}

fn one_large_file(given: &Given) -> Outcome {
    match create(given, "large") {
        Ok(file) => write_much(file, 200_000_000),
        Err(number) => Outcome::Refused(number),
    }
}
fn one_small_file(given: &Given) -> Outcome {
    match create(given, "twin-small") {
        Ok(file) => write_much(file, 100_000),
        Err(number) => Outcome::Refused(number),
    }
}
fn many_files(given: &Given) -> Outcome {
    // Each entry counts 4096 bytes: 6 000 of them are more than the grant.
    for i in 0..6_000 {
        match create(given, &format!("many-{i}")) {
            Ok(file) => {
                let _ = call(SYS_close, &[file]);
            }
            Err(number) => return Outcome::Refused(number),
        }
    }
    pause_for_monitor();
    Outcome::Reached("6000 files".into())
}
fn sparse_file(given: &Given) -> Outcome {
    let Ok(file) = create(given, "sparse") else { return Outcome::Refused(EACCES) };
    Outcome::of(call(SYS_ftruncate, &[file, 1 << 32]))
}
fn sparse_by_seek(given: &Given) -> Outcome {
    let Ok(file) = create(given, "sparse-seek") else { return Outcome::Refused(EACCES) };
    let sought = call(SYS_lseek, &[file, 1 << 32, SEEK_SET as i64]);
    Outcome::of(sought.and_then(|_| call(SYS_write, &[file, address(b"x"), 1])))
}
fn preallocate(given: &Given) -> Outcome {
    let Ok(file) = create(given, "preallocated") else { return Outcome::Refused(EACCES) };
    let kept = call(SYS_fallocate, &[file, 1, 0, 200_000_000]);
    if kept.is_ok() && given.number("supervisor") != given.number("victim") {
        pause_for_monitor();
    }
    Outcome::of(kept)
}
fn unlinked_files(given: &Given) -> Outcome {
    // Ten files of 15 MB, each unlinked while open: a walk of the directory sees none.
    for i in 0..10 {
        let name = format!("unlinked-{i}");
        let Ok(file) = create(given, &name) else { return Outcome::Refused(EACCES) };
        let name = path(&name);
        if let Err(number) = call(SYS_unlinkat, &[given.number("vessel_fd"), text(&name), 0]) {
            return Outcome::Refused(number);
        }
        if let Outcome::Refused(number) = write_much(file, 15_000_000) {
            return Outcome::Refused(number);
        }
    }
    pause_for_monitor();
    Outcome::Reached("150000000 bytes in unlinked files".into())
}
/// Time for the monitor to look; an attempt that gets past it has won.
fn pause_for_monitor() {
    // The monitor spends one part in 500 of a processor on counting: on a busy machine that takes time.
    for _ in 0..200 {
        let _ = call(SYS_poll, &[0, 0, 100]);
    }
}

macro_rules! attempts {
    ($($name:literal $function:ident $twin:expr;)*) => {
        /// The attempts of this class.
        pub const ATTEMPTS: &[Attempt] =
            &[$(Attempt { name: $name, class: "resources", run: $function, twin: $twin }),*];
    };
}

attempts! {
    "private-memory" private_memory Twin::Inside(small_private);
    "shared-memory-map" shared_memory Twin::Inside(small_shared);
    "heap" grow_heap Twin::Inside(small_private);
    "address-space" reserve Twin::Inside(small_reserve);
    "descriptors" event_descriptors Twin::Inside(one_event_descriptor);
    "one-large-file" one_large_file Twin::Inside(one_small_file);
    "many-files" many_files Twin::Inside(one_small_file);
    "sparse-file" sparse_file Twin::Inside(one_small_file);
    "sparse-by-seek" sparse_by_seek Twin::Inside(one_small_file);
    "preallocate" preallocate Twin::Outside;
    "unlinked-files" unlinked_files Twin::Inside(one_small_file);
}
