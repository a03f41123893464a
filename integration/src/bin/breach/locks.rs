//! Undoing what the launcher locked, and namespaces that would open new doors.

use crate::attempt::{Attempt, Given, Outcome, Twin};
use crate::sys::{address, address_mut, call, clone_and_end, Answer};
use libc::*;

const PR_SET_MDWE: i64 = 65;
const PR_GET_MDWE: i64 = 66;

fn control(option: i64, arguments: &[i64]) -> Answer {
    let all: Vec<i64> = std::iter::once(option).chain(arguments.iter().copied()).collect();
    call(SYS_prctl, &all)
}

/// Sets, whatever the answer is, and then asks: reached if the lock is open.
fn undone(set: &[i64], ask: i64, open: i64) -> Outcome {
    let _ = control(set[0], &set[1..]);
    match control(ask, &[]) {
        // A kernel that does not know the lock has nothing to undo.
        Err(EINVAL) => Outcome::Reached("absent: no such lock in this kernel".into()),
        answer => Outcome::when(answer, |value| value == open),
    }
}

fn capabilities(bits: u32) -> Outcome {
    let header = [0x2008_0522u32, 0];
    let data = [bits, bits, 0, 0, 0, 0];
    Outcome::of(call(SYS_capset, &[address(&header), address(&data)]))
}

fn raised(resource: u32) -> Outcome {
    let mut old = [0u64; 2];
    let read = call(SYS_prlimit64, &[0, resource as i64, 0, address_mut(&mut old)]);
    let new = [old[1].saturating_add(1), old[1].saturating_add(1)];
    Outcome::of(read.and_then(|_| call(SYS_prlimit64, &[0, resource as i64, address(&new), 0])))
}

fn read_limit(_: &Given) -> Outcome {
    let mut old = [0u64; 2];
    Outcome::of(call(SYS_prlimit64, &[0, RLIMIT_NOFILE as i64, 0, address_mut(&mut old)]))
}

fn separate(flags: i32) -> Outcome {
    Outcome::of(call(SYS_unshare, &[flags as i64]))
}

fn born(flags: i32) -> Outcome {
    Outcome::of(clone_and_end((flags | SIGCHLD) as i64))
}

fn born3(flags: u64, signal: i32) -> Outcome {
    let mut arguments = [0u64; 11];
    arguments[0] = flags;
    arguments[4] = signal as u64;
    let answer = call(SYS_clone3, &[address(&arguments), 88]);
    if answer == Ok(0) {
        let _ = call(SYS_exit_group, &[0]);
    }
    Outcome::of(answer)
}

macro_rules! attempts {
    ($($name:literal $run:expr, $twin:expr;)*) => {
        /// The attempts of this class.
        pub const ATTEMPTS: &[Attempt] =
            &[$(Attempt { name: $name, class: "locks", run: $run, twin: $twin }),*];
    };
}

attempts! {
    "undo-no-new-privileges" |_| undone(&[PR_SET_NO_NEW_PRIVS as i64, 0, 0, 0, 0], PR_GET_NO_NEW_PRIVS as i64, 0), Twin::Outside;
    "undo-write-xor-execute" |_| undone(&[PR_SET_MDWE, 0, 0, 0, 0], PR_GET_MDWE, 0), Twin::Outside;
    "undo-secure-bits" |_| Outcome::of(control(PR_SET_SECUREBITS as i64, &[0])), Twin::OutsideAsRoot;
    "raise-capabilities" |_| capabilities(0x0000_0401), Twin::OutsideAsRoot;
    "raise-admin-capability" |_| capabilities(1 << 21), Twin::OutsideAsRoot;
    "drop-bounding-set" |_| Outcome::of(control(PR_CAPBSET_DROP as i64, &[38])), Twin::OutsideAsRoot;
    "set-three-uids" |_| Outcome::of(call(SYS_setresuid, &[3, 3, 3])), Twin::OutsideAsRoot;
    "set-three-gids" |_| Outcome::of(call(SYS_setresgid, &[3, 3, 3])), Twin::OutsideAsRoot;
    "become-another-user" |_| Outcome::of(call(SYS_setuid, &[1])), Twin::OutsideAsRoot;
    "file-system-user" |_| { let _ = call(SYS_setfsuid, &[1]); Outcome::when(call(SYS_setfsuid, &[-1]), |n| n == 1) }, Twin::OutsideAsRoot;
    "real-time-scheduler" |_| { let one = 1i32; Outcome::of(call(SYS_sched_setscheduler, &[0, SCHED_FIFO as i64, address(&one)])) }, Twin::OutsideAsRoot;
    "real-time-io" |_| Outcome::of(call(SYS_ioprio_set, &[1, 0, 1 << 13])), Twin::OutsideAsRoot;
    "lock-all-memory" |_| Outcome::of(call(SYS_mlockall, &[MCL_CURRENT as i64])), Twin::OutsideAsRoot;
    "raise-limit-files" |_| raised(RLIMIT_NOFILE), Twin::Inside(read_limit);
    "raise-limit-memory" |_| raised(RLIMIT_AS), Twin::Inside(read_limit);
    "raise-limit-file-size" |_| raised(RLIMIT_FSIZE), Twin::Inside(read_limit);
    "raise-limit-processes" |_| raised(RLIMIT_NPROC), Twin::Inside(read_limit);
    "raise-limit-core" |_| raised(RLIMIT_CORE), Twin::Inside(read_limit);
    "raise-limit-locked" |_| raised(RLIMIT_MEMLOCK), Twin::Inside(read_limit);
    "raise-limit-queues" |_| raised(RLIMIT_MSGQUEUE), Twin::Inside(read_limit);
    "unshare-mounts" |_| separate(CLONE_NEWNS), Twin::OutsideAsRoot;
    "unshare-processes" |_| separate(CLONE_NEWPID), Twin::OutsideAsRoot;
    "unshare-network" |_| separate(CLONE_NEWNET), Twin::OutsideAsRoot;
    "unshare-ipc" |_| separate(CLONE_NEWIPC), Twin::OutsideAsRoot;
    "unshare-host-name" |_| separate(CLONE_NEWUTS), Twin::OutsideAsRoot;
    "unshare-cgroup" |_| separate(CLONE_NEWCGROUP), Twin::OutsideAsRoot;
    "unshare-time" |_| separate(0x80), Twin::OutsideAsRoot;
    "clone-mounts" |_| born(CLONE_NEWNS), Twin::OutsideAsRoot;
    "clone-processes" |_| born(CLONE_NEWPID), Twin::OutsideAsRoot;
    "clone-network" |_| born(CLONE_NEWNET), Twin::OutsideAsRoot;
    "clone-ipc" |_| born(CLONE_NEWIPC), Twin::OutsideAsRoot;
    "clone-host-name" |_| born(CLONE_NEWUTS), Twin::OutsideAsRoot;
    "clone-cgroup" |_| born(CLONE_NEWCGROUP), Twin::OutsideAsRoot;
    "clone-thread" |_| Outcome::of(clone_and_end((CLONE_VM | CLONE_SIGHAND | CLONE_THREAD) as i64)), Twin::Outside;
    "clone-shared-memory" |_| born(CLONE_VM), Twin::Outside;
    "clone-vfork" |_| born(CLONE_VM | CLONE_VFORK), Twin::Outside;
    "clone-shared-files" |_| born(CLONE_FILES | CLONE_FS), Twin::Outside;
    "clone3-mounts" |_| born3(CLONE_NEWNS as u64, SIGCHLD), Twin::OutsideAsRoot;
    "clone3-network" |_| born3(CLONE_NEWNET as u64, SIGCHLD), Twin::OutsideAsRoot;
    "clone3-parent" |_| born3(CLONE_PARENT as u64, 0), Twin::Outside;
    "clone3-clear-handlers" |_| born3(0x1_0000_0000, SIGCHLD), Twin::Outside;
}
