//! Ways to other processes, to new ones, and to executable memory.

use crate::attempt::{Attempt, Given, Outcome, Twin};
use crate::sys::{address, address_mut, call, jump, path, run_code, text, Answer};
use libc::*;

/// mov eax, 42; ret
#[cfg(target_arch = "x86_64")]
const CODE: &[u8] = &[0xb8, 42, 0, 0, 0, 0xc3];
/// mov x0, #42; ret
#[cfg(target_arch = "aarch64")]
const CODE: &[u8] = &[0x40, 0x05, 0x80, 0xd2, 0xc0, 0x03, 0x5f, 0xd6];

fn map(protection: i32, flags: i32, file: i64) -> Answer {
    call(SYS_mmap, &[0, 4096, protection as i64, flags as i64, file, 0])
}

/// Ends a child at once; the parent reports it as reached.
fn child_or_parent(answer: Answer) -> Outcome {
    if answer == Ok(0) {
        let _ = call(SYS_exit_group, &[0]);
    }
    Outcome::of(answer)
}

fn fork(_: &Given) -> Outcome {
    child_or_parent(call(SYS_clone, &[SIGCHLD as i64]))
}
fn legacy_fork(_: &Given) -> Outcome {
    #[cfg(target_arch = "x86_64")]
    return child_or_parent(call(SYS_fork, &[]));
    #[cfg(not(target_arch = "x86_64"))]
    child_or_parent(call(SYS_clone, &[SIGCHLD as i64]))
}
fn clone_parent(_: &Given) -> Outcome {
    child_or_parent(call(SYS_clone, &[(CLONE_PARENT | SIGCHLD) as i64]))
}
fn clone_newuser(_: &Given) -> Outcome {
    child_or_parent(call(SYS_clone, &[(CLONE_NEWUSER | SIGCHLD) as i64]))
}
fn clone_untraced(_: &Given) -> Outcome {
    child_or_parent(call(SYS_clone, &[(CLONE_UNTRACED | SIGCHLD) as i64]))
}
fn clone3(_: &Given) -> Outcome {
    let mut arguments = [0u64; 11];
    arguments[4] = SIGCHLD as u64;
    child_or_parent(call(SYS_clone3, &[address(&arguments), 88]))
}
fn clone3_newuser(_: &Given) -> Outcome {
    let mut arguments = [0u64; 11];
    arguments[0] = CLONE_NEWUSER as u64;
    arguments[4] = SIGCHLD as u64;
    child_or_parent(call(SYS_clone3, &[address(&arguments), 88]))
}
fn unshare_user(_: &Given) -> Outcome {
    Outcome::of(call(SYS_unshare, &[CLONE_NEWUSER as i64]))
}
fn unshare_net(_: &Given) -> Outcome {
    Outcome::of(call(SYS_unshare, &[(CLONE_NEWUSER | CLONE_NEWNET) as i64]))
}
fn setns_pidfd(_: &Given) -> Outcome {
    let opened = call(SYS_pidfd_open, &[call(SYS_getpid, &[]).unwrap_or(1), 0]);
    Outcome::of(opened.and_then(|fd| call(SYS_setns, &[fd, CLONE_NEWNET as i64])))
}
fn exec_own(given: &Given) -> Outcome {
    exec(given.text("program"))
}
fn exec(program: &str) -> Outcome {
    let name = path(program);
    let arguments = [text(&name), 0];
    Outcome::of(call(SYS_execve, &[text(&name), address(&arguments), 0]))
}
fn exec_shell(_: &Given) -> Outcome {
    exec("/bin/true")
}
fn execveat_pinned_again(given: &Given) -> Outcome {
    // The number that was pinned for the one exec: nothing may be there any more.
    let (empty, arguments) = (path(""), [0i64; 2]);
    let descriptor = given.number("exec_fd");
    Outcome::of(call(SYS_execveat, &[descriptor, text(&empty), address(&arguments), 0, AT_EMPTY_PATH as i64]))
}
fn refill_pinned(given: &Given) -> Outcome {
    let pinned = given.number("exec_fd");
    Outcome::of(call(SYS_dup3, &[given.number("vessel_fd"), pinned, O_CLOEXEC as i64]))
}
fn refill_pinned_fcntl(given: &Given) -> Outcome {
    let arguments = [given.number("vessel_fd"), F_DUPFD as i64, given.number("exec_fd")];
    Outcome::of(call(SYS_fcntl, &arguments))
}
fn execveat_vessel(given: &Given) -> Outcome {
    let (name, arguments) = (path("program-copy"), [0i64; 2]);
    Outcome::of(call(SYS_execveat, &[given.number("vessel_fd"), text(&name), address(&arguments), 0, 0]))
}
fn memfd(_: &Given) -> Outcome {
    let name = path("breach");
    Outcome::of(call(SYS_memfd_create, &[text(&name), 0]))
}
fn memfd_exec(given: &Given) -> Outcome {
    let name = path("breach");
    let made = call(SYS_memfd_create, &[text(&name), 0]);
    let program = std::fs::read(given.text("program")).unwrap_or_default();
    let (empty, arguments) = (path(""), [0i64; 2]);
    Outcome::of(made.and_then(|fd| {
        call(SYS_write, &[fd, program.as_ptr() as i64, program.len() as i64])?;
        call(SYS_execveat, &[fd, text(&empty), address(&arguments), 0, AT_EMPTY_PATH as i64])
    }))
}
fn map_executable(_: &Given) -> Outcome {
    let mapped = map(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    Outcome::when(mapped.map(|at| run_code(at, CODE)), |n| n == 42)
}
fn map_then_protect(_: &Given) -> Outcome {
    let mapped = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    let protected = mapped.and_then(|at| {
        crate::sys::touch(at);
        let all = (PROT_READ | PROT_WRITE | PROT_EXEC) as i64;
        call(SYS_mprotect, &[at, 4096, all]).map(|_| run_code(at, CODE))
    });
    Outcome::when(protected, |n| n == 42)
}
fn pkey_mprotect(_: &Given) -> Outcome {
    let mapped = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    let all = (PROT_READ | PROT_WRITE | PROT_EXEC) as i64;
    Outcome::when(
        mapped.and_then(|at| call(SYS_pkey_mprotect, &[at, 4096, all, -1]).map(|_| run_code(at, CODE))),
        |n| n == 42,
    )
}
fn map_file_executable(given: &Given) -> Outcome {
    let name = path("code");
    let flags = (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) as i64;
    let opened = call(SYS_openat, &[given.number("vessel_fd"), text(&name), flags]);
    let mapped = opened.and_then(|f| map(PROT_READ | PROT_EXEC, MAP_PRIVATE, f));
    Outcome::when(mapped.map(jump), |n| n == 42)
}
fn dual_mapping(_: &Given) -> Outcome {
    let name = path("breach");
    let both = call(SYS_memfd_create, &[text(&name), 0]).and_then(|f| {
        call(SYS_ftruncate, &[f, 4096])?;
        let writable = map(PROT_READ | PROT_WRITE, MAP_SHARED, f)?;
        for (i, byte) in CODE.iter().enumerate() {
            let _ = call(SYS_pwrite64, &[f, std::ptr::from_ref(byte) as i64, 1, i as i64]);
        }
        let _ = writable;
        map(PROT_READ | PROT_EXEC, MAP_SHARED, f)
    });
    Outcome::when(both.map(jump), |n| n == 42)
}
fn map_execute_only(_: &Given) -> Outcome {
    // Written first, then only executable.
    let mapped = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    let protected = mapped.and_then(|at| {
        crate::sys::put(at, CODE);
        call(SYS_mprotect, &[at, 4096, PROT_EXEC as i64]).map(|_| jump(at))
    });
    Outcome::when(protected, |n| n == 42)
}
fn map_executable_dirty(_: &Given) -> Outcome {
    let all = (PROT_READ | PROT_WRITE | PROT_EXEC) as i64 | 0x7ead_0000_0000_0000;
    let mapped = call(SYS_mmap, &[0, 4096, all, (MAP_PRIVATE | MAP_ANONYMOUS) as i64, -1, 0]);
    Outcome::when(mapped.map(|at| run_code(at, CODE)), |n| n == 42)
}
fn map_shared_executable(_: &Given) -> Outcome {
    let mapped = map(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1);
    Outcome::when(mapped.map(|at| run_code(at, CODE)), |n| n == 42)
}
fn rewrite_own_code(_: &Given) -> Outcome {
    // The page of this very program's code: writable, then executable again.
    let at = (map_plain as fn(&Given) -> Outcome as usize as i64) & !4095;
    let plain = (PROT_READ | PROT_EXEC) as i64;
    let all = plain | PROT_WRITE as i64;
    Outcome::of(call(SYS_mprotect, &[at, 4096, all]).and_then(|_| call(SYS_mprotect, &[at, 4096, plain])))
}
fn segment_executable(_: &Given) -> Outcome {
    const SHM_EXEC: i64 = 0o100_000;
    let made = call(SYS_shmget, &[0, 4096, (IPC_CREAT | 0o700) as i64]);
    let mapped = made.and_then(|id| {
        let at = call(SYS_shmat, &[id, 0, SHM_EXEC]);
        let _ = call(SYS_shmctl, &[id, i64::from(IPC_RMID), 0]);
        at
    });
    Outcome::when(mapped.map(|at| run_code(at, CODE)), |n| n == 42)
}
fn exec_again_dirty(given: &Given) -> Outcome {
    let (empty, arguments) = (path(""), [0i64; 2]);
    let descriptor = given.number("exec_fd") | 0x7ead_0000_0000_0000;
    let flags = AT_EMPTY_PATH as i64 | 0x7ead_0000_0000_0000;
    Outcome::of(call(SYS_execveat, &[descriptor, text(&empty), address(&arguments), 0, flags]))
}
fn exec_again_by_name(given: &Given) -> Outcome {
    // The pinned number with a path: an absolute one needs no descriptor.
    let (name, arguments) = (path(given.text("program")), [0i64; 2]);
    let descriptor = given.number("exec_fd");
    Outcome::of(call(SYS_execveat, &[descriptor, text(&name), address(&arguments), 0, AT_EMPTY_PATH as i64]))
}
fn exec_script(given: &Given) -> Outcome {
    let (name, arguments) = (path("script"), [0i64; 2]);
    Outcome::of(call(SYS_execveat, &[given.number("vessel_fd"), text(&name), address(&arguments), 0, 0]))
}
fn exec_by_proc(_: &Given) -> Outcome {
    exec("/proc/self/exe")
}
fn refill_pinned_dup2(given: &Given) -> Outcome {
    #[cfg(target_arch = "x86_64")]
    return Outcome::of(call(SYS_dup2, &[given.number("vessel_fd"), given.number("exec_fd")]));
    #[cfg(not(target_arch = "x86_64"))]
    Outcome::of(call(SYS_dup3, &[given.number("vessel_fd"), given.number("exec_fd"), 0]))
}
fn refill_pinned_cloexec(given: &Given) -> Outcome {
    let command = F_DUPFD_CLOEXEC as i64 | 0x7ead_0000_0000_0000;
    Outcome::of(call(SYS_fcntl, &[given.number("vessel_fd"), command, given.number("exec_fd")]))
}
fn read_implies_exec(_: &Given) -> Outcome {
    const READ_IMPLIES_EXEC: i64 = 0x0040_0000;
    // Then memory that can be read can be executed too: code in a plain mapping says so.
    let mapped = call(SYS_personality, &[READ_IMPLIES_EXEC])
        .and_then(|_| map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1));
    Outcome::when(mapped.map(|at| run_code(at, CODE)), |n| n == 42)
}
fn ptrace_me(_: &Given) -> Outcome {
    Outcome::of(call(SYS_ptrace, &[PTRACE_TRACEME as i64]))
}
fn ptrace_supervisor(given: &Given) -> Outcome {
    let attached = call(SYS_ptrace, &[PTRACE_SEIZE as i64, given.number("victim")]);
    Outcome::of(attached)
}
/// Nothing of the victim is at address 16: EFAULT shows that its memory was looked at.
fn foreign_memory(given: &Given, number: i64) -> Outcome {
    let mut buffer = [0u8; 8];
    let (own, other) = ([address_mut(&mut buffer) as u64, 8], [16u64, 8]);
    match call(number, &[given.number("victim"), address(&own), 1, address(&other), 1, 0]) {
        Err(EFAULT) => Outcome::judged(EFAULT),
        other => Outcome::of(other),
    }
}
fn process_vm_read(given: &Given) -> Outcome {
    foreign_memory(given, SYS_process_vm_readv)
}
fn process_vm_write(given: &Given) -> Outcome {
    foreign_memory(given, SYS_process_vm_writev)
}
fn pidfd_open(given: &Given) -> Outcome {
    Outcome::of(call(SYS_pidfd_open, &[given.number("victim"), 0]))
}
fn pidfd_getfd(given: &Given) -> Outcome {
    let opened = call(SYS_pidfd_open, &[given.number("victim"), 0]);
    Outcome::of(opened.and_then(|p| call(SYS_pidfd_getfd, &[p, 0, 0])))
}
fn pidfd_signal(given: &Given) -> Outcome {
    let opened = call(SYS_pidfd_open, &[given.number("victim"), 0]);
    Outcome::of(opened.and_then(|p| call(SYS_pidfd_send_signal, &[p, SIGUSR1 as i64, 0, 0])))
}
fn kill_victim(given: &Given) -> Outcome {
    Outcome::of(call(SYS_kill, &[given.number("victim"), SIGUSR1 as i64]))
}
fn tgkill_victim(given: &Given) -> Outcome {
    let victim = given.number("victim");
    Outcome::of(call(SYS_tgkill, &[victim, victim, SIGUSR1 as i64]))
}
fn queue_signal(given: &Given) -> Outcome {
    let mut information = [0i32; 32];
    information[0] = SIGUSR1;
    information[2] = -1; // SI_QUEUE
    let arguments = [given.number("victim"), SIGUSR1 as i64, address_mut(&mut information)];
    Outcome::of(call(SYS_rt_sigqueueinfo, &arguments))
}
fn priority_of_victim(given: &Given) -> Outcome {
    Outcome::of(call(SYS_getpriority, &[PRIO_PROCESS as i64, given.number("victim")]))
}
fn raise_priority(_: &Given) -> Outcome {
    Outcome::of(call(SYS_setpriority, &[PRIO_PROCESS as i64, 0, -20]))
}
fn affinity(_: &Given) -> Outcome {
    let mask = [1u64; 16];
    Outcome::of(call(SYS_sched_setaffinity, &[0, 128, address(&mask)]))
}
fn new_session(_: &Given) -> Outcome {
    match call(SYS_setsid, &[]) {
        // A group leader cannot start a session; the call itself was let through.
        Err(EPERM) => Outcome::judged(EPERM),
        other => Outcome::of(other),
    }
}
fn process_group(_: &Given) -> Outcome {
    Outcome::of(call(SYS_setpgid, &[0, 0]))
}
fn set_uid(_: &Given) -> Outcome {
    Outcome::of(call(SYS_setreuid, &[2, 2]))
}
fn set_gid(_: &Given) -> Outcome {
    Outcome::of(call(SYS_setregid, &[2, 2]))
}
fn set_groups(_: &Given) -> Outcome {
    Outcome::of(call(SYS_setgroups, &[0, 0]))
}
fn set_capabilities(_: &Given) -> Outcome {
    let header = [0x2008_0522u32, 0];
    // CAP_NET_RAW, effective and permitted.
    let data = [1 << 13, 1 << 13, 0, 0, 0, 0u32];
    Outcome::of(call(SYS_capset, &[address(&header), address(&data)]))
}
fn set_limit(_: &Given) -> Outcome {
    let limit = [1u64 << 30, 1 << 30];
    Outcome::of(call(SYS_setrlimit, &[RLIMIT_NOFILE as i64, address(&limit)]))
}
fn control(option: i32, argument: i64) -> Outcome {
    Outcome::of(call(SYS_prctl, &[option as i64, argument]))
}
fn dumpable(_: &Given) -> Outcome {
    control(PR_SET_DUMPABLE, 1)
}
fn death_signal(_: &Given) -> Outcome {
    control(PR_SET_PDEATHSIG, 0)
}

fn map_plain(_: &Given) -> Outcome {
    Outcome::of(map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1))
}

macro_rules! attempts {
    ($($name:literal $function:ident $twin:expr;)*) => {
        /// The attempts of this class.
        pub const ATTEMPTS: &[Attempt] =
            &[$(Attempt { name: $name, class: "processes", run: $function, twin: $twin }),*];
    };
}

attempts! {
    "fork" fork Twin::Outside;
    "legacy-fork" legacy_fork Twin::Outside;
    "clone-parent" clone_parent Twin::Outside;
    "clone-newuser" clone_newuser Twin::Outside;
    "clone-untraced" clone_untraced Twin::Outside;
    "clone3" clone3 Twin::Outside;
    "clone3-newuser" clone3_newuser Twin::Outside;
    "unshare-user" unshare_user Twin::Outside;
    "unshare-net" unshare_net Twin::Outside;
    "setns-pidfd" setns_pidfd Twin::OutsideAsRoot;
    "exec-own" exec_own Twin::Outside;
    "exec-true" exec_shell Twin::Outside;
    "exec-again" execveat_pinned_again Twin::Outside;
    "refill-pinned-dup3" refill_pinned Twin::Outside;
    "refill-pinned-fcntl" refill_pinned_fcntl Twin::Outside;
    "exec-from-vessel" execveat_vessel Twin::Outside;
    "memfd" memfd Twin::Outside;
    "memfd-exec" memfd_exec Twin::Outside;
    "map-execute-only" map_execute_only Twin::Inside(map_plain);
    "map-executable-dirty" map_executable_dirty Twin::Inside(map_plain);
    "map-shared-executable" map_shared_executable Twin::Inside(map_plain);
    "rewrite-own-code" rewrite_own_code Twin::Outside;
    "segment-executable" segment_executable Twin::Outside;
    "exec-again-dirty" exec_again_dirty Twin::Outside;
    "exec-again-by-name" exec_again_by_name Twin::Outside;
    "exec-script" exec_script Twin::Outside;
    "exec-by-proc" exec_by_proc Twin::Outside;
    "refill-pinned-dup2" refill_pinned_dup2 Twin::Outside;
    "refill-pinned-fcntl-dirty" refill_pinned_cloexec Twin::Outside;
    "map-executable" map_executable Twin::Inside(map_plain);
    "map-then-protect" map_then_protect Twin::Inside(map_plain);
    "pkey-mprotect" pkey_mprotect Twin::Outside;
    "map-file-executable" map_file_executable Twin::Outside;
    "dual-mapping" dual_mapping Twin::Outside;
    "read-implies-exec" read_implies_exec Twin::Outside;
    "ptrace-me" ptrace_me Twin::Outside;
    "ptrace-victim" ptrace_supervisor Twin::OutsideAsRoot;
    "process-vm-read" process_vm_read Twin::OutsideAsRoot;
    "process-vm-write" process_vm_write Twin::OutsideAsRoot;
    "pidfd-open" pidfd_open Twin::Outside;
    "pidfd-getfd" pidfd_getfd Twin::OutsideAsRoot;
    "pidfd-signal" pidfd_signal Twin::Outside;
    "kill-victim" kill_victim Twin::Outside;
    "tgkill-victim" tgkill_victim Twin::Outside;
    "queue-signal" queue_signal Twin::Outside;
    "priority-of-victim" priority_of_victim Twin::Outside;
    "set-priority" raise_priority Twin::OutsideAsRoot;
    "set-affinity" affinity Twin::Outside;
    "new-session" new_session Twin::Outside;
    "process-group" process_group Twin::Outside;
    "set-uid" set_uid Twin::OutsideAsRoot;
    "set-gid" set_gid Twin::OutsideAsRoot;
    "set-groups" set_groups Twin::OutsideAsRoot;
    "set-capabilities" set_capabilities Twin::OutsideAsRoot;
    "set-limit" set_limit Twin::Inside(map_plain);
    "prctl-dumpable" dumpable Twin::Outside;
    "prctl-death-signal" death_signal Twin::Outside;
}
