//! Looks at system calls and filters from outside, for the tests of the filter: single
//! calls with given arguments, the filters of a live process, and every call that the
//! processes of a run make.

use crate::attempt::Outcome;
use crate::sys::{address, address_mut, call, Answer};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

const PTRACE_SEIZE: i64 = 0x4206;
const PTRACE_INTERRUPT: i64 = 0x4207;
const PTRACE_SECCOMP_GET_FILTER: i64 = 0x420c;
const PTRACE_GET_SYSCALL_INFO: i64 = 0x420e;
const PTRACE_SYSCALL: i64 = 24;
const PTRACE_GETEVENTMSG: i64 = 0x4201;
/// System call stops marked, and children followed.
const OPTIONS: i64 = 1 | 2 | 4 | 8;
const WALL: i64 = 0x4000_0000;

fn numbers(text: &str) -> Vec<i64> {
    // Arguments are words of 64 bits, in hexadecimal.
    text.split(',').map(|word| u64::from_str_radix(word, 16).unwrap_or(0) as i64).collect()
}

/// Makes the call that `NUMBER:ARGUMENT,…` describes.
pub fn single(text: &str) -> Option<Outcome> {
    let (number, arguments) = text.split_once(':')?;
    Some(Outcome::of(call(number.parse().ok()?, &numbers(arguments))))
}

/// Installs the filter of a file (`code jt jf k` a line) and makes one call under it.
pub fn under(file: &str, text: &str) -> Option<()> {
    let program: Vec<[u8; 8]> = std::fs::read_to_string(file).ok()?.lines().filter_map(instruction).collect();
    let header: [u64; 2] = [program.len() as u64, program.as_ptr() as u64];
    call(libc::SYS_prctl, &[libc::PR_SET_NO_NEW_PRIVS as i64, 1, 0, 0, 0]).ok()?;
    call(libc::SYS_seccomp, &[1, 0, address(&header)]).ok()?;
    let line = match single(text)? {
        Outcome::Reached(_) => "REACHED\n".to_owned(),
        Outcome::Refused(number) => format!("REFUSED {number}\n"),
    };
    let _ = call(libc::SYS_write, &[1, line.as_ptr() as i64, line.len() as i64]);
    let _ = call(libc::SYS_exit_group, &[0]);
    None
}

fn instruction(line: &str) -> Option<[u8; 8]> {
    let mut words = line.split(' ').map(|word| word.parse::<u32>().ok());
    let (code, jt, jf, k) = (words.next()??, words.next()??, words.next()??, words.next()??);
    let mut bytes = [0u8; 8];
    bytes[..2].copy_from_slice(&(code as u16).to_ne_bytes());
    bytes[2] = jt as u8;
    bytes[3] = jf as u8;
    bytes[4..].copy_from_slice(&k.to_ne_bytes());
    Some(bytes)
}

/// Prints the filters of process `pid`, newest first, an empty line after each.
pub fn filters(pid: i64) -> Answer {
    let mut status = 0i32;
    call(libc::SYS_ptrace, &[PTRACE_SEIZE, pid, 0, 0])?;
    call(libc::SYS_ptrace, &[PTRACE_INTERRUPT, pid, 0, 0])?;
    call(libc::SYS_wait4, &[pid, address_mut(&mut status), WALL, 0])?;
    for index in 0.. {
        let Ok(length) = call(libc::SYS_ptrace, &[PTRACE_SECCOMP_GET_FILTER, pid, index, 0]) else { break };
        let mut program = vec![[0u8; 8]; length as usize];
        let at = program.as_mut_ptr() as i64;
        call(libc::SYS_ptrace, &[PTRACE_SECCOMP_GET_FILTER, pid, index, at])?;
        for bytes in &program {
            let code = u16::from_ne_bytes([bytes[0], bytes[1]]);
            let k = u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            println!("{code} {} {} {k}", bytes[2], bytes[3]);
        }
        println!();
    }
    Ok(0)
}

/// Runs a command and prints each different call that a process made after it had
/// installed a filter: `interp` or `broker`, the number, the arguments.
pub fn trace(words: &[String]) -> Option<()> {
    let line: Vec<String> = words.iter().map(|w| format!("'{}'", w.replace('\'', "'\\''"))).collect();
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("read go; exec {} </dev/null", line.join(" ")));
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().ok()?;
    let root = i64::from(child.id());
    call(libc::SYS_ptrace, &[PTRACE_SEIZE, root, 0, OPTIONS]).ok()?;
    child.stdin.take()?.write_all(b"go\n").ok()?;
    let mut seen = Seen::default();
    let mut status = 0i32;
    while let Ok(pid) = call(libc::SYS_wait4, &[-1, address_mut(&mut status), WALL, 0]) {
        if status & 0x7f == 0 || (status & 0xff) != 0x7f {
            if pid == root {
                break;
            }
            continue;
        }
        let (signal, event) = ((status >> 8) & 0xff, status >> 16);
        let mut deliver = 0;
        match (signal, event) {
            (s, _) if s == libc::SIGTRAP | 0x80 => seen.syscall(pid),
            (libc::SIGTRAP, 1..=3) => seen.born(pid),
            (_, 0) => deliver = i64::from(signal),
            _ => {}
        }
        let _ = call(libc::SYS_ptrace, &[PTRACE_SYSCALL, pid, 0, deliver]);
    }
    for (kind, number, arguments) in &seen.calls {
        let words: Vec<String> = arguments.iter().map(|word| format!("{word:x}")).collect();
        println!("{kind} {number} {}", words.join(","));
    }
    Some(())
}

#[derive(Default)]
struct Seen {
    /// Processes that have a filter, and whose it is.
    kinds: BTreeMap<i64, &'static str>,
    /// Calls of processes without one: of a child that was seen before its parent's fork was.
    early: BTreeMap<i64, Vec<(u64, [u64; 6])>>,
    calls: BTreeSet<(&'static str, u64, [u64; 6])>,
}

impl Seen {
    fn syscall(&mut self, pid: i64) {
        // struct ptrace_syscall_info: kind of stop, …; at 24 the number, at 32 six arguments.
        let mut info = [0u64; 16];
        if call(libc::SYS_ptrace, &[PTRACE_GET_SYSCALL_INFO, pid, 128, address_mut(&mut info)]).is_err() {
            return;
        }
        // Only entries.
        if info[0] & 0xff != 1 {
            return;
        }
        let (number, arguments) = (info[3], [info[4], info[5], info[6], info[7], info[8], info[9]]);
        if let Some(kind) = self.kinds.get_mut(&pid) {
            if number == libc::SYS_execveat as u64 {
                *kind = "interp";
            }
            self.calls.insert((kind, number, arguments));
        } else if number == libc::SYS_seccomp as u64 && arguments[0] == 1 {
            self.kinds.insert(pid, "broker");
        } else {
            self.early.entry(pid).or_default().push((number, arguments));
        }
    }

    fn born(&mut self, parent: i64) {
        let mut child = 0i64;
        let asked = call(libc::SYS_ptrace, &[PTRACE_GETEVENTMSG, parent, 0, address_mut(&mut child)]);
        if let (Ok(_), Some(kind)) = (asked, self.kinds.get(&parent).copied()) {
            self.kinds.insert(child, kind);
            for (number, arguments) in self.early.remove(&child).unwrap_or_default() {
                self.calls.insert((kind, number, arguments));
            }
        }
    }
}
