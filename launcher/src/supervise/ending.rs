//! From what was seen to the verdict. Pure: the table of cases is the test.

use nix::sys::signal::Signal;
use policies::channel::control::Outcome;
use policies::Resource;

use crate::stopfile::Order;
use crate::verdict::Ending;

/// Why the supervisor killed the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// More memory than the limit, seen by looking.
    Memory {
        /// Bytes seen.
        used: u64,
    },
    /// More disk space than the limit.
    Disk {
        /// Bytes counted.
        used: u64,
    },
    /// `--wall` is over.
    Wall,
    /// The stop file.
    Stop(Order),
    /// The operator has left a session, and the interpreter did not notice.
    Left,
    /// A signal to the launcher.
    Signal(&'static str, Ending),
    /// The sandbox sent what no interpreter sends.
    Protocol(String),
    /// The control group no longer holds.
    GroupLost(String),
    /// The broker ended or could not be started.
    BrokerLost(String),
    /// The monitor can no longer look.
    MonitorLost(String),
}

/// How the sandbox process itself ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Killed(Signal),
    /// It did not end within the time given to it after SIGKILL (a process that
    /// the kernel holds in an uninterruptible state).
    Unfinished,
}

/// Everything the verdict depends on.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// Why the supervisor killed it, if it did.
    pub cause: Option<&'a Cause>,
    /// How the process ended.
    pub death: Death,
    /// What the interpreter said last.
    pub outcome: Option<&'a Outcome>,
    /// Whether the kernel killed for the group's own memory limit, and the peak.
    pub memory: Option<u64>,
    /// The limits, for messages.
    pub limits: Limits,
}

/// The hard limits and the lines of the policy that set them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: u64,
    /// Line of `resource memory`; 0 if unknown.
    pub memory_line: u32,
    /// Bytes of disk space.
    pub disk: u64,
    /// Line of `resource diskused`; 0 if unknown.
    pub disk_line: u32,
}

/// The verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How the run ended.
    pub ending: Ending,
    /// One sentence for the report.
    pub reason: String,
    /// The line for standard error; None where the interpreter has said it all.
    pub line: Option<String>,
}

impl Finding {
    fn quiet(ending: Ending, reason: impl Into<String>) -> Finding {
        Finding { ending, reason: reason.into(), line: None }
    }

    fn loud(ending: Ending, reason: impl Into<String>) -> Finding {
        let reason = reason.into();
        Finding { ending, line: Some(format!("repy-launch: {reason}\n")), reason }
    }
}

/// Decides how the run ended.
pub fn decide(seen: &Seen<'_>) -> Finding {
    match (seen.death, seen.cause) {
        // It ended by itself before the kill came; what it left behind counts all the same.
        (Death::Exited(_), Some(Cause::Disk { used })) => over_disk(*used, seen.limits),
        (Death::Exited(status), _) => exited(status, seen),
        (Death::Unfinished, cause) => {
            let mut finding = cause.map_or_else(
                || Finding::quiet(Ending::Internal, "the sandbox cannot be waited for"),
                |cause| killed_by_us(cause, seen),
            );
            finding.reason.push_str("; the kernel has not ended its process yet (uninterruptible)");
            finding
        }
        (Death::Killed(_), Some(cause)) => killed_by_us(cause, seen),
        (Death::Killed(signal), None) => killed(signal, seen),
    }
}

fn killed_by_us(cause: &Cause, seen: &Seen<'_>) -> Finding {
    match cause {
        Cause::Memory { used } => over_memory(*used, seen.limits),
        Cause::Disk { used } => over_disk(*used, seen.limits),
        Cause::Wall => Finding::loud(Ending::HardLimit, "killed: the time given with --wall is over"),
        Cause::Stop(order) => {
            Finding::quiet(Ending::Stopped(order.code), format!("stopped through the stop file, code {}", order.code))
        }
        Cause::Left => Finding::quiet(Ending::Done, "the session was closed"),
        Cause::Signal(name, ending) => Finding::quiet(*ending, format!("stopped: the launcher received {name}")),
        Cause::Protocol(what) => Finding::loud(
            Ending::Internal,
            format!("killed: the interpreter sent what it must not ({what}): a defect, or an attack from within"),
        ),
        Cause::GroupLost(what) => Finding::loud(
            Ending::HardLimit,
            format!("killed: its control group no longer holds it ({what}); somebody removed it or took a controller away"),
        ),
        Cause::BrokerLost(what) => Finding::loud(Ending::Internal, format!("killed: the network broker: {what}")),
        Cause::MonitorLost(what) => {
            Finding::loud(Ending::Internal, format!("killed: its disk use can no longer be counted: {what}"))
        }
    }
}

fn exited(status: i32, seen: &Seen<'_>) -> Finding {
    match seen.outcome {
        Some(outcome) if i32::from(outcome.exit_status()) == status => said(outcome, seen.limits),
        // Another binary in the interpreter's place: it can say that it ended,
        // and nothing that looks like a finding of the launcher.
        None if status == 0 => Finding::quiet(Ending::Done, "the interpreter ended without a final word"),
        None if status == 1 => {
            Finding::quiet(Ending::Exception, "the interpreter ended with status 1 without a final word")
        }
        _ => Finding::loud(
            Ending::Internal,
            format!("the interpreter ended with status {status}, and what it said before does not fit"),
        ),
    }
}

fn said(outcome: &Outcome, limits: Limits) -> Finding {
    match outcome {
        Outcome::Finished => Finding::quiet(Ending::Done, "the program ended"),
        Outcome::ExitAll => Finding::quiet(Ending::Done, "the program called exitall"),
        Outcome::UncaughtException(last) => Finding::quiet(Ending::Exception, last.trim_end()),
        Outcome::Refused(reason) => Finding::quiet(Ending::Refused, reason.trim_end()),
        Outcome::LimitPassed { resource: Resource::Memory, used, .. } => over_memory(*used, limits),
        Outcome::LimitPassed { resource: Resource::DiskUsed, used, .. } => over_disk(*used, limits),
        Outcome::LimitPassed { resource, used, limit } => {
            Finding::loud(Ending::HardLimit, format!("killed: {} {used} over limit {limit}", resource.name()))
        }
        Outcome::InternalError(message) => Finding::quiet(Ending::Internal, message.trim_end()),
    }
}

fn killed(signal: Signal, seen: &Seen<'_>) -> Finding {
    match signal {
        Signal::SIGSYS => Finding::quiet(
            Ending::ForbiddenCall,
            "killed by the kernel: the interpreter made a system call that the filter forbids",
        ),
        Signal::SIGKILL => match seen.memory {
            Some(peak) => over_memory(peak, seen.limits),
            None => Finding::loud(
                Ending::KilledFromOutside,
                "the sandbox was killed (SIGKILL) by somebody else, or because the host ran short of memory",
            ),
        },
        // The first process of a process namespace gets no signal from inside:
        // these are its own faults. A stack overflow is one of them.
        Signal::SIGSEGV
        | Signal::SIGBUS
        | Signal::SIGILL
        | Signal::SIGFPE
        | Signal::SIGABRT
        | Signal::SIGTRAP => {
            Finding::loud(Ending::Internal, format!("the interpreter crashed ({})", signal.as_str()))
        }
        other => Finding::loud(
            Ending::KilledFromOutside,
            format!("the sandbox was killed by {} from outside", other.as_str()),
        ),
    }
}

fn over_memory(used: u64, limits: Limits) -> Finding {
    over(Ending::Memory, "Memory", "memory", used, limits.memory, limits.memory_line)
}

fn over_disk(used: u64, limits: Limits) -> Finding {
    over(Ending::Disk, "Disk", "diskused", used, limits.disk, limits.disk_line)
}

/// The original's line, and which limit it was.
fn over(ending: Ending, what: &str, resource: &str, used: u64, limit: u64, line: u32) -> Finding {
    let place = if line > 0 { format!(", line {line} of the policy") } else { String::new() };
    Finding {
        ending,
        reason: format!("killed: {resource} {used} over limit {limit}"),
        line: Some(format!(
            "{what} use '{used}' over limit '{limit}.0'. Impolitely killing child! (resource {resource}{place})\n"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { memory: 1_000, memory_line: 3, disk: 2_000, disk_line: 0 };

    fn finding(death: Death, cause: Option<Cause>, outcome: Option<Outcome>, memory: Option<u64>) -> Finding {
        decide(&Seen { cause: cause.as_ref(), death, outcome: outcome.as_ref(), memory, limits: LIMITS })
    }

    fn code(death: Death, cause: Option<Cause>, outcome: Option<Outcome>, memory: Option<u64>) -> u8 {
        finding(death, cause, outcome, memory).ending.code()
    }

    #[test]
    fn the_interpreters_word_counts_if_it_fits_its_status() {
        let exited = |status, outcome| code(Death::Exited(status), None, outcome, None);
        assert_eq!(exited(0, Some(Outcome::Finished)), 0);
        assert_eq!(exited(0, Some(Outcome::ExitAll)), 0);
        assert_eq!(exited(1, Some(Outcome::UncaughtException("x".into()))), 1);
        assert_eq!(exited(3, Some(Outcome::Refused("x".into()))), 3);
        assert_eq!(exited(70, Some(Outcome::InternalError("x".into()))), 70);
        let disk = Outcome::LimitPassed { resource: Resource::DiskUsed, used: 5, limit: 4 };
        assert_eq!(exited(6, Some(disk)), 6);
        assert_eq!(exited(0, Some(Outcome::InternalError("x".into()))), 70);
        assert_eq!(exited(1, Some(Outcome::Finished)), 70);
    }

    #[test]
    fn another_binary_cannot_forge_a_finding() {
        for (status, expected) in
            [(0, 0), (1, 1), (2, 70), (4, 70), (5, 70), (6, 70), (44, 70), (71, 70), (130, 70)]
        {
            assert_eq!(code(Death::Exited(status), None, None, None), expected, "{status}");
        }
    }

    #[test]
    fn signals() {
        let killed = |signal, memory| code(Death::Killed(signal), None, None, memory);
        assert_eq!(killed(Signal::SIGSYS, None), 71);
        assert_eq!(killed(Signal::SIGKILL, None), 137);
        assert_eq!(killed(Signal::SIGKILL, Some(1_000)), 5);
        assert_eq!(killed(Signal::SIGSEGV, None), 70);
        assert_eq!(killed(Signal::SIGUSR1, None), 137);
    }

    #[test]
    fn our_own_kills() {
        let killed = |cause| code(Death::Killed(Signal::SIGKILL), Some(cause), None, None);
        assert_eq!(killed(Cause::Memory { used: 2 }), 5);
        assert_eq!(killed(Cause::Disk { used: 2 }), 6);
        assert_eq!(killed(Cause::Wall), 7);
        assert_eq!(killed(Cause::Stop(Order { code: 17, message: vec![] })), 17);
        assert_eq!(killed(Cause::Signal("SIGINT", Ending::Interrupted)), 130);
        assert_eq!(killed(Cause::Protocol(String::new())), 70);
        assert_eq!(killed(Cause::GroupLost(String::new())), 7);
        assert_eq!(killed(Cause::BrokerLost(String::new())), 70);
        assert_eq!(killed(Cause::MonitorLost(String::new())), 70);
        // It had ended by itself already.
        assert_eq!(code(Death::Exited(0), Some(Cause::Wall), Some(Outcome::Finished), None), 0);
        assert_eq!(code(Death::Unfinished, Some(Cause::Wall), None, None), 7);
    }

    #[test]
    fn the_lines_are_the_originals_and_name_the_limit() {
        let memory = finding(Death::Killed(Signal::SIGKILL), None, None, Some(1_001));
        assert_eq!(
            memory.line.unwrap(),
            "Memory use '1001' over limit '1000.0'. Impolitely killing child! (resource memory, line 3 of the policy)\n"
        );
        let disk = finding(Death::Killed(Signal::SIGKILL), Some(Cause::Disk { used: 9 }), None, None);
        assert_eq!(
            disk.line.unwrap(),
            "Disk use '9' over limit '2000.0'. Impolitely killing child! (resource diskused)\n"
        );
    }
}
