//! More than the policy grants, by every door the kernel has for it. The test's policy
//! grants 50 000 000 bytes of memory and 20 000 000 bytes of disk, and one process.

use crate::attempt::{Attempt, Given, Outcome, Twin};
use crate::sys::{address, address_mut, call, clone_and_end, path, text, touch};
use libc::*;

const MEMORY: i64 = 160_000_000;
const FLAGS: i32 = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

fn map(bytes: i64, flags: i32, file: i64) -> Result<i64, i32> {
    call(SYS_mmap, &[0, bytes, (PROT_READ | PROT_WRITE) as i64, flags as i64, file, 0])
}

fn touch_all(at: i64, bytes: i64) {
    for page in (0..bytes).step_by(4096) {
        touch(at + page);
    }
}

/// Time for what watches from outside to look; who gets past it has won.
fn held(text: &str) -> Outcome {
    for _ in 0..200 {
        let _ = call(SYS_poll, &[0, 0, 100]);
    }
    Outcome::Reached(text.into())
}

fn after(answer: Result<i64, i32>, text: &str) -> Outcome {
    match answer {
        Ok(_) => held(text),
        Err(number) => Outcome::Refused(number),
    }
}

fn grown_mapping(_: &Given) -> Outcome {
    let grown = map(4096, MAP_PRIVATE | MAP_ANONYMOUS, -1)
        .and_then(|at| call(SYS_mremap, &[at, 4096, MEMORY, MREMAP_MAYMOVE as i64]));
    after(grown.inspect(|at| touch_all(*at, MEMORY)), "a mapping grew")
}
fn populated_mapping(_: &Given) -> Outcome {
    after(map(MEMORY, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1), "mapped and filled")
}
fn populated_by_advice(_: &Given) -> Outcome {
    const MADV_POPULATE_WRITE: i64 = 23;
    let filled = map(MEMORY, MAP_PRIVATE | MAP_ANONYMOUS, -1)
        .and_then(|at| call(SYS_madvise, &[at, MEMORY, MADV_POPULATE_WRITE]));
    after(filled, "filled by advice")
}
fn shared_segment(_: &Given) -> Outcome {
    let made = call(SYS_shmget, &[0, MEMORY, (IPC_CREAT | 0o600) as i64]);
    let filled = made.and_then(|id| {
        let at = call(SYS_shmat, &[id, 0, 0]);
        let _ = call(SYS_shmctl, &[id, i64::from(IPC_RMID), 0]);
        at.inspect(|at| touch_all(*at, MEMORY))
    });
    after(filled, "a shared segment filled")
}
fn memory_file(_: &Given) -> Outcome {
    let name = path("breach");
    let filled = call(SYS_memfd_create, &[text(&name), 0]).and_then(|file| {
        call(SYS_ftruncate, &[file, MEMORY])?;
        map(MEMORY, MAP_SHARED, file).inspect(|at| touch_all(*at, MEMORY))
    });
    after(filled, "a memory file filled")
}
fn pipe_buffers(_: &Given) -> Outcome {
    let block = vec![1u8; 1 << 20];
    let mut total = 0;
    while total < 64 << 20 {
        let mut pair = [0i32; 2];
        let filled = call(SYS_pipe2, &[address_mut(&mut pair), O_NONBLOCK as i64]).and_then(|_| {
            call(SYS_fcntl, &[i64::from(pair[1]), F_SETPIPE_SZ as i64, 1 << 20])?;
            call(SYS_write, &[i64::from(pair[1]), block.as_ptr() as i64, 1 << 20])
        });
        match filled {
            Ok(count) => total += count,
            Err(number) => return Outcome::Refused(number),
        }
    }
    held("pipes filled")
}
fn many_children(_: &Given) -> Outcome {
    for _ in 0..64 {
        match call(SYS_clone, &[SIGCHLD as i64]) {
            Ok(0) => {
                let _ = call(SYS_poll, &[0, 0, 500]);
                let _ = call(SYS_exit_group, &[0]);
            }
            Ok(_) => {}
            Err(number) => return Outcome::Refused(number),
        }
    }
    Outcome::Reached("64 children".into())
}
fn children_in_turn(_: &Given) -> Outcome {
    for _ in 0..50 {
        if let Err(number) = clone_and_end(SIGCHLD as i64) {
            return Outcome::Refused(number);
        }
        let _ = call(SYS_wait4, &[-1, 0, 0, 0]);
    }
    Outcome::Reached("50 children in turn".into())
}
fn message_queues(_: &Given) -> Outcome {
    let name = path("repy-breach");
    let flags = (O_CREAT | O_RDWR) as i64;
    let made = call(SYS_mq_open, &[text(&name), flags, 0o600, 0]);
    let _ = call(SYS_mq_unlink, &[text(&name)]);
    Outcome::of(made)
}
fn open_files(given: &Given) -> Outcome {
    let name = path("own");
    for _ in 0..3000 {
        let opened = call(SYS_openat, &[given.number("vessel_fd"), text(&name), FLAGS as i64]);
        if let Err(number) = opened {
            return Outcome::Refused(number);
        }
    }
    Outcome::Reached("3000 open files".into())
}
fn one_open_file(given: &Given) -> Outcome {
    let name = path("own");
    Outcome::of(call(SYS_openat, &[given.number("vessel_fd"), text(&name), FLAGS as i64]))
}

fn create(given: &Given, name: &str) -> Result<i64, i32> {
    let name = path(name);
    let flags = (FLAGS | O_WRONLY | O_CREAT) as i64;
    call(SYS_openat, &[given.number("vessel_fd"), text(&name), flags, 0o644])
}
fn write_far(given: &Given) -> Outcome {
    let written = create(given, "far").and_then(|f| call(SYS_pwrite64, &[f, address(b"x"), 1, 1 << 33]));
    Outcome::of(written)
}
fn preallocated(given: &Given) -> Outcome {
    let done = create(given, "allocated").and_then(|f| call(SYS_fallocate, &[f, 0, 0, 200_000_000]));
    Outcome::of(done)
}
fn write_vector(given: &Given) -> Outcome {
    let block = vec![1u8; 1 << 20];
    let parts: Vec<[u64; 2]> = (0..100).map(|_| [block.as_ptr() as u64, 1 << 20]).collect();
    let done = create(given, "vector")
        .and_then(|f| call(SYS_writev, &[f, parts.as_ptr() as i64, parts.len() as i64]));
    Outcome::when(done, |n| n == 100 << 20)
}
fn medium_files(given: &Given) -> Outcome {
    // No file passes the limit of one file; their sum is three times the grant.
    let block = vec![1u8; 1 << 20];
    for file in 0..60 {
        let written = create(given, &format!("medium-{file}"))
            .and_then(|f| call(SYS_write, &[f, block.as_ptr() as i64, 1 << 20]));
        if let Err(number) = written {
            return Outcome::Refused(number);
        }
    }
    held("60 files of a mebibyte")
}
fn small_file(given: &Given) -> Outcome {
    Outcome::of(create(given, "twin-small").and_then(|f| call(SYS_write, &[f, address(b"x"), 1])))
}
fn directories(_: &Given) -> Outcome {
    for i in 0..200 {
        let name = path(&format!("made-directory-{i}"));
        if let Err(number) = call(SYS_mkdirat, &[AT_FDCWD as i64, text(&name), 0o755]) {
            return Outcome::Refused(number);
        }
    }
    Outcome::Reached("200 directories".into())
}
fn small_mapping(_: &Given) -> Outcome {
    Outcome::of(map(4096, MAP_PRIVATE | MAP_ANONYMOUS, -1).inspect(|at| touch(*at)))
}

macro_rules! attempts {
    ($($name:literal $function:ident $twin:expr;)*) => {
        /// The attempts of this class.
        pub const ATTEMPTS: &[Attempt] =
            &[$(Attempt { name: $name, class: "bombs", run: $function, twin: $twin }),*];
    };
}

attempts! {
    "memory-by-growing" grown_mapping Twin::Inside(small_mapping);
    "memory-by-populating" populated_mapping Twin::Inside(small_mapping);
    "memory-by-advice" populated_by_advice Twin::Inside(small_mapping);
    "memory-by-segment" shared_segment Twin::Outside;
    "memory-by-file" memory_file Twin::Outside;
    "memory-by-pipes" pipe_buffers Twin::OutsideAsRoot;
    "children-at-once" many_children Twin::Outside;
    "children-in-turn" children_in_turn Twin::Outside;
    "message-queues" message_queues Twin::Outside;
    "open-files" open_files Twin::Inside(one_open_file);
    "disk-far-write" write_far Twin::Inside(small_file);
    "disk-allocate" preallocated Twin::Outside;
    "disk-vector-write" write_vector Twin::Outside;
    "disk-medium-files" medium_files Twin::Inside(small_file);
    "disk-directories" directories Twin::Outside;
}
