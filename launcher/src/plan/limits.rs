//! The limits of one process (`setrlimit`) and of its control group.

use super::demand::Demand;
use super::Refusal;

/// Descriptors the interpreter has apart from files and sockets of the
/// program: 0-6 of the contract, its event loop, and room to spare.
pub const FIXED_DESCRIPTORS: u64 = 16;

/// The lowest number for the descriptor of the interpreter's file. It must be
/// at or above the limit of open files, so that nothing can be put there after
/// exec closed it.
pub const LOWEST_EXEC_DESCRIPTOR: u64 = 64;

/// Address space granted beyond twice the memory limit: the binary, stacks,
/// and arrays that are moved while they grow. The control group, not this
/// limit, is what counts memory.
const ADDRESS_SPACE_SLACK: u64 = 256 << 20;

/// The stack of the interpreter's one thread.
const STACK: u64 = 8 << 20;

/// One limit of `setrlimit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessLimit {
    /// `RLIMIT_*`.
    pub resource: u32,
    /// Its name in the shell's and the kernel's documentation.
    pub name: &'static str,
    /// Soft and hard limit.
    pub value: u64,
    /// The resource of the policy it backs, if any.
    pub from: &'static str,
    /// Line of the policy.
    pub line: u32,
}

/// How many descriptors the policy lets the interpreter have.
pub(super) fn open_files(demand: &Demand, max_accepted: u32) -> u64 {
    let accepted = if demand.accept.value { max_accepted } else { 0 };
    let sum = [demand.filesopened.value, demand.insockets.value, demand.outsockets.value, accepted];
    sum.into_iter().map(u64::from).sum::<u64>() + FIXED_DESCRIPTORS
}

/// The limits of the interpreter's process, in the order they are set.
pub(super) fn process_limits(demand: &Demand, max_accepted: u32) -> Vec<ProcessLimit> {
    let address_space = demand.memory.value.saturating_mul(2).saturating_add(ADDRESS_SPACE_SLACK);
    let row = |resource, name, value, from, line| ProcessLimit { resource, name, value, from, line };
    vec![
        row(libc::RLIMIT_AS, "AS", address_space, "memory", demand.memory.line),
        row(libc::RLIMIT_FSIZE, "FSIZE", demand.diskused.value, "diskused", demand.diskused.line),
        row(
            libc::RLIMIT_NOFILE,
            "NOFILE",
            open_files(demand, max_accepted),
            "filesopened+insockets+outsockets",
            demand.filesopened.line,
        ),
        row(libc::RLIMIT_NPROC, "NPROC", 1, "", 0),
        row(libc::RLIMIT_STACK, "STACK", STACK, "", 0),
        row(libc::RLIMIT_CORE, "CORE", 0, "", 0),
        row(libc::RLIMIT_MEMLOCK, "MEMLOCK", 0, "", 0),
        row(libc::RLIMIT_MSGQUEUE, "MSGQUEUE", 0, "", 0),
        row(libc::RLIMIT_RTPRIO, "RTPRIO", 0, "", 0),
        row(libc::RLIMIT_NICE, "NICE", 0, "", 0),
    ]
}

/// The limits of the control group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLimits {
    /// `memory.max`, in bytes; no swap.
    pub memory: u64,
    /// The processor share of the program.
    pub cpu: Share,
    /// The same share over a longer period, for the start of the interpreter.
    pub cpu_at_start: Share,
    /// Processes and threads.
    pub processes: u64,
}

/// A processor share as the kernel takes it: so much time in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Processor time per period, in microseconds (at least 1 000).
    pub quota: u64,
    /// The period, in microseconds (1 000 to 1 000 000).
    pub period: u64,
}

impl Share {
    /// `share` of a processor over `period` microseconds.
    fn over(period: f64, share: f64) -> Share {
        // A share such as .29 has no exact binary form: without the nudge
        // 0.29 * 10000 would become 2899.
        let quota = (share * period + 1e-6).floor().max(LEAST_QUOTA);
        Share { quota: quota as u64, period: period as u64 }
    }

    /// The part of one processor.
    pub fn part(self) -> f64 {
        self.quota as f64 / self.period as f64
    }
}

/// The kernel's least quota and longest period, in microseconds.
const LEAST_QUOTA: f64 = 1_000.0;
const LONGEST_PERIOD: f64 = 1_000_000.0;

/// The program's period unless its share is too small for it, in microseconds: a
/// throttled program stalls briefly.
const PERIOD: f64 = 10_000.0;

/// Processor time for the start of the interpreter, in microseconds: on a machine that
/// has just woken up it takes about as long.
const START: f64 = 10_000.0;

/// The least share a quota can express: 1 ms in each second.
const LEAST_SHARE: f64 = 0.001;

/// The limits of the control group. A period is as long as the kernel's least quota
/// needs, or longer.
pub(super) fn group_limits(demand: &Demand, scratch: bool) -> Result<GroupLimits, Refusal> {
    let share = demand.cpu.value;
    // Also false for a share that is not a number.
    if !(LEAST_SHARE..=1e6).contains(&share) {
        return Err(Refusal {
            layer: None,
            reason: format!(
                "line {}: a cpu share of {share} cannot be held: the kernel takes at least {LEAST_SHARE}",
                demand.cpu.line
            ),
            remedy: format!("write 'resource cpu {LEAST_SHARE}' or more"),
        });
    }
    let cpu = Share::over((LEAST_QUOTA / share).ceil().clamp(PERIOD, LONGEST_PERIOD), share);
    let at_start = Share::over((START / share).ceil().clamp(PERIOD, LONGEST_PERIOD), share);
    Ok(GroupLimits {
        // What lies in a scratch vessel is memory of the group as well: the
        // monitor then holds the program's own to its limit.
        memory: demand.memory.value.saturating_add(if scratch { demand.diskused.value } else { 0 }),
        cpu,
        cpu_at_start: at_start,
        processes: 1,
    })
}
