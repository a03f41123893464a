//! Other processes: what a call that takes a process number could do to one outside.
//! `victim` is a process of the same user, `supervisor` the launcher of this sandbox
//! (outside, where there is none, the victim again).

use crate::attempt::{Attempt, Given, Outcome, Twin};
use crate::sys::{address, address_mut, call};
use libc::*;

/// The information of a queued signal: its number, no error, sent by sigqueue.
fn queued(signal: i32) -> [i32; 32] {
    let mut information = [0i32; 32];
    information[0] = signal;
    information[2] = -1; // SI_QUEUE
    information
}

fn queue(target: i64) -> Outcome {
    Outcome::of(call(SYS_rt_sigqueueinfo, &[target, SIGTERM as i64, address(&queued(SIGTERM))]))
}
fn queue_thread(target: i64) -> Outcome {
    let information = queued(SIGTERM);
    Outcome::of(call(SYS_rt_tgsigqueueinfo, &[target, target, SIGTERM as i64, address(&information)]))
}
fn by_pidfd(given: &Given, run: impl FnOnce(i64) -> Result<i64, i32>) -> Outcome {
    Outcome::of(call(SYS_pidfd_open, &[given.number("victim"), 0]).and_then(run))
}
/// A signal when this pipe can be read, sent to the victim.
fn signal_by_owner(given: &Given) -> Outcome {
    let owner = call(SYS_fcntl, &[1, F_SETOWN as i64, given.number("victim")]);
    let asked = owner.and_then(|_| call(SYS_fcntl, &[1, F_GETOWN as i64]));
    Outcome::when(asked, |pid| pid == given.number("victim"))
}

macro_rules! attempts {
    ($($name:literal $run:expr, $twin:expr;)*) => {
        /// The attempts of this class.
        pub const ATTEMPTS: &[Attempt] =
            &[$(Attempt { name: $name, class: "signals", run: $run, twin: $twin }),*];
    };
}

attempts! {
    "supervisor-kill" |g| Outcome::of(call(SYS_kill, &[g.number("supervisor"), SIGTERM as i64])), Twin::Outside;
    "supervisor-tgkill" |g| { let s = g.number("supervisor"); Outcome::of(call(SYS_tgkill, &[s, s, SIGTERM as i64])) }, Twin::Outside;
    "supervisor-tkill" |g| Outcome::of(call(SYS_tkill, &[g.number("supervisor"), SIGTERM as i64])), Twin::Outside;
    "supervisor-queue" |g| queue(g.number("supervisor")), Twin::Outside;
    "supervisor-continue" |g| Outcome::of(call(SYS_kill, &[g.number("supervisor"), SIGCONT as i64])), Twin::Outside;
    "supervisor-ptrace" |g| Outcome::of(call(SYS_ptrace, &[PTRACE_SEIZE as i64, g.number("supervisor")])), Twin::OutsideAsRoot;
    "supervisor-limits" |g| { let mut old = [0u64; 2]; Outcome::of(call(SYS_prlimit64, &[g.number("supervisor"), RLIMIT_NOFILE as i64, 0, address_mut(&mut old)])) }, Twin::Outside;
    "tkill-victim" |g| Outcome::of(call(SYS_tkill, &[g.number("victim"), SIGTERM as i64])), Twin::Outside;
    "queue-thread-victim" |g| queue_thread(g.number("victim")), Twin::Outside;
    "signal-everyone" |_| Outcome::of(call(SYS_kill, &[-1, 0])), Twin::Outside;
    "signal-own-owner" signal_by_owner, Twin::Outside;
    "limits-of-victim" |g| { let mut old = [0u64; 2]; Outcome::of(call(SYS_prlimit64, &[g.number("victim"), RLIMIT_NOFILE as i64, 0, address_mut(&mut old)])) }, Twin::Outside;
    "lower-limit-of-victim" |g| { let new = [0u64, 0]; Outcome::of(call(SYS_prlimit64, &[g.number("victim"), RLIMIT_CORE as i64, address(&new), 0])) }, Twin::Outside;
    "io-priority-of-victim" |g| Outcome::of(call(SYS_ioprio_get, &[1, g.number("victim")])), Twin::Outside;
    "set-io-priority-of-victim" |g| Outcome::of(call(SYS_ioprio_set, &[1, g.number("victim"), 3 << 13])), Twin::Outside;
    "set-priority-of-victim" |g| Outcome::of(call(SYS_setpriority, &[PRIO_PROCESS as i64, g.number("victim"), 19])), Twin::Outside;
    "affinity-of-victim" |g| { let mut mask = [0u64; 16]; Outcome::of(call(SYS_sched_getaffinity, &[g.number("victim"), 128, address_mut(&mut mask)])) }, Twin::Outside;
    "scheduler-of-victim" |g| Outcome::of(call(SYS_sched_getscheduler, &[g.number("victim")])), Twin::Outside;
    "scheduler-attributes-of-victim" |g| { let mut a = [0u64; 8]; Outcome::of(call(SYS_sched_getattr, &[g.number("victim"), address_mut(&mut a), 56, 0])) }, Twin::Outside;
    "group-of-victim" |g| Outcome::of(call(SYS_getpgid, &[g.number("victim")])), Twin::Outside;
    "session-of-victim" |g| Outcome::of(call(SYS_getsid, &[g.number("victim")])), Twin::Outside;
    "robust-list-of-victim" |g| { let mut b = [0u64; 2]; Outcome::of(call(SYS_get_robust_list, &[g.number("victim"), address_mut(&mut b[0]), address_mut(&mut b[1])])) }, Twin::OutsideAsRoot;
    "compare-victim" |g| Outcome::when(call(SYS_kcmp, &[g.number("victim"), g.number("victim"), 1]), |n| n == 0), Twin::OutsideAsRoot;
    "move-pages-of-victim" |g| Outcome::of(call(SYS_move_pages, &[g.number("victim"), 0, 0, 0, 0, 0])), Twin::OutsideAsRoot;
    "advise-victim" |g| by_pidfd(g, |fd| { let v = [0u64, 0]; call(SYS_process_madvise, &[fd, address(&v), 1, 20, 0]) }), Twin::OutsideAsRoot;
    "release-victim" |g| by_pidfd(g, |fd| match call(SYS_process_mrelease, &[fd, 0]) { Err(EINVAL) => Ok(0), other => other }), Twin::Outside;
    "capabilities-of-victim" |g| { let header = [0x2008_0522u32, g.number("victim") as u32]; let mut data = [0u32; 6]; Outcome::of(call(SYS_capget, &[address(&header), address_mut(&mut data)])) }, Twin::Outside;
    "setns-victim" |g| by_pidfd(g, |fd| call(SYS_setns, &[fd, (CLONE_NEWNET | CLONE_NEWIPC) as i64])), Twin::OutsideAsRoot;
}
