//! The filter, compiled and run on imagined calls.

use super::compile::compile;
use super::emulate::{run, CallData};
use super::parse::{self, Outcome, Pins};
use super::*;

const X86_64: u32 = 0xc000_003e;
const AARCH64: u32 = 0xc000_00b7;
const I386: u32 = 0x4000_0003;
const OWN: u32 = if cfg!(target_arch = "aarch64") { AARCH64 } else { X86_64 };

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

fn fails(error: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | error as u32
}

fn plan(sections: &[Section]) -> FilterPlan {
    FilterPlan { vessel_descriptor: 4, exec_descriptor: 200, sections: sections.to_vec() }
}

fn ask(sections: &[Section], number: i64, arguments: [u64; 6]) -> u32 {
    let program = interpreter(&plan(sections)).expect("the policy file compiles");
    run(&program, &CallData { architecture: OWN, number: number as u32, arguments }).expect("a plain filter")
}

#[test]
fn every_number_gets_what_the_file_says() {
    for sections in [&[Section::Base][..], &Section::ALL] {
        let plan = plan(sections);
        let rules = interpreter_rules(&plan).expect("parses");
        let program = interpreter(&plan).expect("compiles");
        for number in 0..1024u32 {
            let of_number: Vec<_> =
                rules.iter().filter(|rule| rule.number == Some(i64::from(number))).collect();
            let call = CallData { architecture: OWN, number, arguments: [0; 6] };
            let action = run(&program, &call).expect("a plain filter");
            let unconditional =
                of_number.iter().find(|rule| rule.conditions.is_empty()).map(|rule| rule.outcome);
            match unconditional {
                Some(Outcome::Allow) => assert_eq!(action, ALLOW, "{number}"),
                Some(Outcome::Fail(error)) => assert_eq!(action, fails(i32::from(error)), "{number}"),
                None if of_number.is_empty() => assert_eq!(action, KILL, "{number}"),
                None => {}
            }
        }
    }
}

#[test]
fn other_architectures_and_x32_are_killed() {
    let program = interpreter(&plan(&Section::ALL)).expect("compiles");
    for architecture in [X86_64, AARCH64, I386, 0] {
        let call = CallData { architecture, number: libc::SYS_read as u32, arguments: [0; 6] };
        let expected = if architecture == OWN { ALLOW } else { KILL };
        assert_eq!(run(&program, &call), Some(expected), "{architecture:#x}");
    }
    for number in 0..1024 {
        let call = CallData { architecture: OWN, number: 0x4000_0000 | number, arguments: [0; 6] };
        assert_eq!(run(&program, &call), Some(KILL));
    }
}

#[test]
fn arguments_are_checked() {
    let held = (libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC) as u64;
    let create = held | (libc::O_WRONLY | libc::O_CREAT) as u64;
    let dirty = 0xffff_ffff_0000_0000u64;
    let files = [Section::Base, Section::Files];
    let write = [Section::Base, Section::Files, Section::Write];
    let network = [Section::Base, Section::Network];
    let anywhere = [Section::Base, Section::Network, Section::SendAnywhere];
    let fast_open = libc::MSG_FASTOPEN as u64;
    let table: &[(&[Section], i64, [u64; 6], u32)] = &[
        (&[Section::Base], libc::SYS_openat, [4, 0, held, 0, 0, 0], KILL),
        (&[Section::Base], libc::SYS_openat, [libc::AT_FDCWD as u64, 0, 0, 0, 0, 0], fails(libc::ENOENT)),
        (&files, libc::SYS_openat, [4, 0, held, 0, 0, 0], ALLOW),
        (&files, libc::SYS_openat, [4 | dirty, 0, held | dirty, 0, 0, 0], ALLOW),
        (&files, libc::SYS_openat, [4, 0, 0, 0, 0, 0], KILL),
        (&files, libc::SYS_openat, [4, 0, create, 0, 0, 0], KILL),
        (&files, libc::SYS_openat, [5, 0, held, 0, 0, 0], fails(libc::ENOENT)),
        (&write, libc::SYS_openat, [4, 0, create, 0, 0, 0], ALLOW),
        (&write, libc::SYS_openat, [4, 0, create | libc::O_TRUNC as u64, 0, 0, 0], KILL),
        (&write, libc::SYS_openat, [4, 0, create | libc::O_PATH as u64, 0, 0, 0], KILL),
        (&write, libc::SYS_openat, [4, 0, create | libc::O_TMPFILE as u64, 0, 0, 0], KILL),
        (&[Section::Base], libc::SYS_mmap, [0, 4096, 3, 0x22, 0, 0], ALLOW),
        (&[Section::Base], libc::SYS_mmap, [0, 4096, 5, 0x22, 0, 0], KILL),
        (&[Section::Base], libc::SYS_mprotect, [0, 4096, 4, 0, 0, 0], KILL),
        (&[Section::Base], libc::SYS_execveat, [200, 0, 0, 0, libc::AT_EMPTY_PATH as u64, 0], ALLOW),
        (&[Section::Base], libc::SYS_execveat, [199, 0, 0, 0, libc::AT_EMPTY_PATH as u64, 0], KILL),
        (&[Section::Base], libc::SYS_execveat, [200, 0, 0, 0, 0, 0], KILL),
        (&[Section::Base], libc::SYS_sendto, [7, 0, 1, 0, 0, 0], KILL),
        (&network, libc::SYS_sendto, [7, 0, 1, 0, 0, 0], ALLOW),
        (&network, libc::SYS_sendto, [7, 0, 1, 0, 0x7fff_0000_0000, 16], KILL),
        (&network, libc::SYS_sendto, [7, 0, 1, fast_open, 0, 0], KILL),
        (&anywhere, libc::SYS_sendto, [7, 0, 1, 0, 0x7fff_0000_0000, 16], ALLOW),
        (&anywhere, libc::SYS_sendto, [7, 0, 1, fast_open, 0x7fff_0000_0000, 16], KILL),
        (&[Section::Base], libc::SYS_sendto, [3, 0, 1, 0x4040, 0, 0], ALLOW),
        (&[Section::Base], libc::SYS_sendto, [3, 0, 1, 0, 0x7fff_0000_0000, 16], KILL),
        (&[Section::Base], libc::SYS_recvmsg, [3, 0, 0, 0, 0, 0], ALLOW),
        (&[Section::Base], libc::SYS_recvmsg, [6, 0, 0, 0, 0, 0], KILL),
        (&network, libc::SYS_recvmsg, [6, 0, 0, 0, 0, 0], ALLOW),
        (&network, libc::SYS_recvmsg, [7, 0, 0, 0, 0, 0], KILL),
        (&[Section::Base], libc::SYS_prlimit64, [0, 3, 0, 1, 0, 0], ALLOW),
        (&[Section::Base], libc::SYS_prlimit64, [0, 3, 1 << 32, 1, 0, 0], KILL),
        (&[Section::Base], libc::SYS_prlimit64, [1, 3, 0, 1, 0, 0], KILL),
        (&[Section::Base], libc::SYS_clone3, [0; 6], fails(libc::ENOSYS)),
        (&[Section::Base], libc::SYS_openat2, [0; 6], fails(libc::ENOSYS)),
    ];
    for (sections, number, arguments, expected) in table {
        assert_eq!(
            ask(sections, *number, *arguments),
            *expected,
            "{} {arguments:x?} with {sections:?}",
            syscalls::name(*number).unwrap_or("?")
        );
    }
}

#[test]
fn what_no_policy_may_ever_allow_is_in_no_section() {
    let rules = parse::parse(INTERPRETER, Pins { vessel: 4, exec: 200 }, |_| true).expect("parses");
    let never = [
        "socket",
        "socketpair",
        "bind",
        "connect",
        "listen",
        "accept",
        "shutdown",
        "setsockopt",
        "sendmsg",
        "sendmmsg",
        "recvmmsg",
        "clone",
        "fork",
        "vfork",
        "execve",
        "ptrace",
        "kill",
        "tgkill",
        "tkill",
        "memfd_create",
        "prctl",
        "ioctl",
        "seccomp",
        "bpf",
        "io_uring_setup",
        "unshare",
        "setns",
        "mount",
        "dup2",
        "dup3",
        "link",
        "linkat",
        "symlink",
        "symlinkat",
        "rename",
        "renameat",
        "renameat2",
        "mknodat",
        "chmod",
        "fchmod",
        "fchmodat",
        "truncate",
        "setxattr",
        "utimensat",
        "pkey_mprotect",
        "open",
    ];
    for rule in &rules {
        assert!(!never.contains(&rule.name), "{} is allowed in line {}", rule.name, rule.line);
    }
    assert!(rules.len() < 80, "{} entries", rules.len());
    assert!(compile(&rules).expect("compiles").len() < 600);
}

#[test]
fn every_section_has_lines_and_every_line_a_known_section() {
    let rules = parse::parse(INTERPRETER, Pins { vessel: 4, exec: 200 }, |_| true).expect("parses");
    for rule in &rules {
        assert!(Section::from_name(rule.section).is_some(), "[{}] in line {}", rule.section, rule.line);
    }
    for section in Section::ALL {
        assert!(rules.iter().any(|rule| rule.section == section.name()), "[{}] is empty", section.name());
    }
}

#[test]
fn the_brokers_filter_checks_what_it_can_see() {
    let rules = broker_rules().expect("parses");
    let program = broker().expect("compiles");
    let ask = |number: i64, arguments: [u64; 6]| {
        run(&program, &CallData { architecture: OWN, number: number as u32, arguments })
            .expect("a plain filter")
    };
    let (inet, inet6, unix, netlink) = (2, 10, 1, 16);
    let kept = (libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u64;
    let (stream, datagram, raw) = (1 | kept, 2 | kept, 3 | kept);
    let fast_open = libc::MSG_FASTOPEN as u64;
    let child = (libc::CLONE_PIDFD | libc::SIGCHLD) as u64;
    let (level, reuse_port) = (libc::SOL_SOCKET as u64, libc::SO_REUSEPORT as u64);
    let kill = libc::SIGKILL as u64;
    for (number, arguments, expected) in [
        (libc::SYS_socket, [inet, stream, 0, 0, 0, 0], ALLOW),
        (libc::SYS_socket, [inet, datagram, 0, 0, 0, 0], ALLOW),
        (libc::SYS_socket, [inet, 1, 0, 0, 0, 0], KILL),
        (libc::SYS_socket, [inet, raw, 0, 0, 0, 0], KILL),
        (libc::SYS_socket, [inet, stream, libc::IPPROTO_MPTCP as u64, 0, 0, 0], KILL),
        (libc::SYS_socket, [inet6, stream, 0, 0, 0, 0], KILL),
        (libc::SYS_socket, [unix, stream, 0, 0, 0, 0], KILL),
        (libc::SYS_socket, [netlink, raw, 0, 0, 0, 0], KILL),
        (libc::SYS_sendmsg, [3, 0, 0, 0, 0, 0], ALLOW),
        (libc::SYS_sendmsg, [9, 0, 0, 0, 0, 0], KILL),
        (libc::SYS_sendto, [9, 0, 1, 0, 1 << 40, 16], ALLOW),
        (libc::SYS_sendto, [9, 0, 1, fast_open, 1 << 40, 16], KILL),
        (libc::SYS_setsockopt, [9, level, libc::SO_REUSEADDR as u64, 0, 4, 0], ALLOW),
        (libc::SYS_setsockopt, [9, level, reuse_port, 0, 4, 0], KILL),
        (libc::SYS_clone, [child, 0, 1 << 40, 0, 0, 0], ALLOW),
        (libc::SYS_clone, [child | libc::CLONE_VM as u64, 0, 0, 0, 0, 0], KILL),
        (libc::SYS_clone, [child | libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0], KILL),
        (libc::SYS_clone3, [0; 6], fails(libc::ENOSYS)),
        (libc::SYS_pidfd_send_signal, [9, kill, 0, 0, 0, 0], ALLOW),
        (libc::SYS_pidfd_send_signal, [9, 15, 0, 0, 0, 0], KILL),
        (libc::SYS_mmap, [0, 4096, 3, 0x22, 0, 0], ALLOW),
        (libc::SYS_mmap, [0, 4096, 5, 0x22, 0, 0], KILL),
    ] {
        let name = syscalls::name(number).unwrap_or("?");
        assert_eq!(ask(number, arguments), expected, "{name} {arguments:x?}");
    }
    for never in ["open", "openat", "execve", "execveat", "kill", "ptrace", "accept4", "ioctl", "prlimit64"] {
        assert!(rules.iter().all(|rule| rule.name != never), "{never} is allowed");
    }
}
