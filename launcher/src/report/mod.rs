//! The report of a run: what `--report FILE` writes as JSON, also for runs that
//! never began. docs/report.schema.json describes it; a test holds the two
//! together.

pub mod atomic;
mod resources;
pub mod sha256;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use policies::Policy;
use serde::Serialize;

use crate::apply::Timing;
use crate::filter::syscalls;
use crate::output::Totals;
use crate::plan::layer::Layer;
use crate::plan::Plan;
use crate::supervise::ending::Death;
use crate::supervise::Ended;
use crate::verdict::Ending;

pub use resources::ResourceReport;

/// Version of the form; a number grows when a key changes its meaning.
pub const VERSION: u32 = 1;

/// One report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`VERSION`].
    pub report_version: u32,
    /// Version of the launcher.
    pub launcher_version: &'static str,
    /// `--name`, if given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The exit status.
    pub exit_code: u8,
    /// The name of the ending (the table of exit codes).
    pub ending: &'static str,
    /// What happened, in one sentence.
    pub reason: String,
    /// Seconds since 1970 at which the launcher started.
    pub started_at: f64,
    /// Seconds from the launcher's start to the end of the run.
    pub elapsed_seconds: f64,
    /// The program file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<FileReport>,
    /// The restrictions file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<FileReport>,
    /// The vessel directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vessel: Option<String>,
    /// The interpreter that ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// False with --norestrictions.
    pub call_rules_checked: bool,
    /// Calls refused by rules.
    pub calls_refused: u64,
    /// Connections accepted.
    pub connections_accepted: u64,
    /// The signal that ended the sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<&'static str>,
    /// The system call that the filter killed for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forbidden_call: Option<ForbiddenCall>,
    /// By name of the restrictions language; empty if the run never began.
    pub resources: BTreeMap<&'static str, ResourceReport>,
    /// What was printed.
    pub output: OutputReport,
    /// By name; empty if no plan was made.
    pub layers: BTreeMap<&'static str, &'static str>,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// How long each step took, in order.
    pub timings: Vec<TimingReport>,
}

/// A file as it was read, once, at the start.
#[derive(Clone, Debug, Serialize)]
pub struct FileReport {
    /// The name as given.
    pub name: String,
    /// Its length.
    pub bytes: usize,
    /// The digest that `sha256sum` prints.
    pub sha256: String,
}

impl FileReport {
    /// Describes a file that has been read.
    pub fn new(name: &str, content: &[u8]) -> FileReport {
        FileReport { name: name.to_owned(), bytes: content.len(), sha256: sha256::hex(content) }
    }
}

/// What is known of a system call that the filter killed for.
#[derive(Clone, Debug, Serialize)]
pub struct ForbiddenCall {
    /// Its number, if the kernel log could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Its name, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
    /// The command that finds it otherwise.
    pub find_with: String,
}

/// What the program printed.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct OutputReport {
    /// Bytes on standard output.
    pub stdout_bytes: u64,
    /// Bytes on standard error.
    pub stderr_bytes: u64,
    /// Bytes thrown away: a rate of zero, a reader that went away, a full disk.
    pub dropped_bytes: u64,
}

/// One step of the run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TimingReport {
    /// The step.
    pub step: &'static str,
    /// How long it took.
    pub microseconds: u64,
}

impl Report {
    /// A report of a run that has not begun yet.
    pub fn new(started_at: f64) -> Report {
        Report {
            report_version: VERSION,
            launcher_version: env!("CARGO_PKG_VERSION"),
            name: None,
            exit_code: Ending::Internal.code(),
            ending: Ending::Internal.name(),
            reason: String::new(),
            started_at,
            elapsed_seconds: 0.0,
            program: None,
            policy: None,
            vessel: None,
            interpreter: None,
            call_rules_checked: true,
            calls_refused: 0,
            connections_accepted: 0,
            signal: None,
            forbidden_call: None,
            resources: BTreeMap::new(),
            output: OutputReport::default(),
            layers: BTreeMap::new(),
            notes: Vec::new(),
            timings: Vec::new(),
        }
    }

    /// Says how it ended.
    pub fn conclude(&mut self, ending: Ending, reason: &str, elapsed: Duration) {
        self.exit_code = ending.code();
        self.ending = ending.name();
        self.reason = reason.to_owned();
        self.elapsed_seconds = elapsed.as_secs_f64();
    }

    /// Says which layers hold.
    pub fn describe_plan(&mut self, plan: &Plan) {
        for layer in Layer::ALL {
            let state = if plan.enforced.contains(layer) {
                "enforced"
            } else if plan.waived.contains(layer) {
                "waived"
            } else {
                "not needed"
            };
            self.layers.insert(layer.name(), state);
        }
        self.notes.extend(plan.notes.iter().cloned());
    }

    /// Says what was used, once the run is over.
    pub fn describe_run(&mut self, ended: &Ended, policy: &Policy) {
        self.resources = resources::describe(ended, policy);
        self.calls_refused = ended.told.refusals;
        self.connections_accepted = ended.told.accepted;
        let Totals { stdout, stderr, dropped } = ended.totals;
        self.output = OutputReport { stdout_bytes: stdout, stderr_bytes: stderr, dropped_bytes: dropped };
        self.notes.extend(ended.notes.iter().cloned());
        if let Death::Killed(signal) = ended.death {
            self.signal = Some(signal.as_str());
        }
        if ended.finding.ending == Ending::ForbiddenCall {
            self.forbidden_call = Some(ForbiddenCall::of(ended.pid));
        }
    }

    /// Adds the duration of steps.
    pub fn add_timings<'a>(&mut self, timings: impl IntoIterator<Item = &'a Timing>) {
        self.timings.extend(timings.into_iter().map(|timing| TimingReport {
            step: timing.step,
            microseconds: u64::try_from(timing.took.as_micros()).unwrap_or(u64::MAX),
        }));
    }

    /// The report as JSON text.
    pub fn to_json(&self) -> String {
        // Only maps with keys that are no strings can fail, and there are none.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

impl ForbiddenCall {
    /// Looks for the kernel's record of the death of process `pid`.
    pub fn of(pid: i32) -> ForbiddenCall {
        let number = kernel_log().and_then(|log| number_in(&log, pid));
        ForbiddenCall {
            number,
            name: number.and_then(|number| syscalls::name(i64::from(number))),
            find_with: format!("sudo dmesg | grep 'type=1326.* pid={pid} .* sig=31'"),
        }
    }
}

/// The kernel's log, where this user may read it (root).
fn kernel_log() -> Option<String> {
    use std::io::Read;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file =
        std::fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg").ok()?;
    let mut text = String::new();
    let mut record = [0; 8192];
    // One record for each read; the ring holds fewer than the bound.
    for _ in 0..200_000 {
        match file.read(&mut record) {
            Ok(length) if length > 0 => text.push_str(&String::from_utf8_lossy(&record[..length])),
            // A record was overwritten while we read.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            _ => break,
        }
    }
    Some(text)
}

/// The system call in the last record of a death by SIGSYS of process `pid`.
fn number_in(log: &str, pid: i32) -> Option<u32> {
    let own = format!(" pid={pid} ");
    let line = log
        .lines()
        .rev()
        .find(|line| line.contains("type=1326") && line.contains(&own) && line.contains(" sig=31 "))?;
    line.split(' ').find_map(|word| word.strip_prefix("syscall=")).and_then(|number| number.parse().ok())
}
