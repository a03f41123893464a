//! Carries a plan out: builds the sandbox process and starts the interpreter
//! in it.

use std::fmt;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::plan::layer::Layer;
use crate::plan::{Plan, Refusal};
use crate::request::Request;

/// The groups the new process starts in, opened by the launcher beforehand.
#[derive(Debug, Default)]
pub struct CgroupEntry {
    /// The directory of the v2 group, for `CLONE_INTO_CGROUP`.
    pub v2_directory: Option<OwnedFd>,
    /// The `tasks` files of the v1 groups, opened for writing: the child writes
    /// "0" to each before anything else (joining from outside by `cgroup.procs`
    /// costs milliseconds).
    pub v1_tasks: Vec<OwnedFd>,
}

/// A sandbox whose interpreter has been executed.
#[derive(Debug)]
pub struct Launched {
    /// Readable when the process has ended; the only handle for signals.
    pub pidfd: OwnedFd,
    /// Its process id on the host, for /proc and for people.
    pub pid: i32,
    /// Read end of the program's standard output (non-blocking).
    pub stdout: OwnedFd,
    /// Read end of the program's standard error (non-blocking).
    pub stderr: OwnedFd,
    /// The supervisor's end of the control channel (SEQPACKET, non-blocking).
    pub control: OwnedFd,
    /// The broker's end of the network channel, present if the policy grants
    /// any network (SEQPACKET, blocking).
    pub broker_end: Option<OwnedFd>,
    /// The uid the sandbox has on the host.
    pub host_uid: u32,
    /// How long each step took, in order.
    pub timings: Vec<Timing>,
}

/// The duration of one step of the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The step, as `--timings` prints it.
    pub step: &'static str,
    /// How long it took.
    pub took: Duration,
}

/// A step of the start that failed: exit status 4 (2 where `usage` is set).
#[derive(Debug)]
pub struct LaunchError {
    /// The layer the failed step belongs to, where it is one of them.
    pub layer: Option<Layer>,
    /// What was being done, on what.
    pub doing: String,
    /// The kernel's answer.
    pub errno: i32,
    /// What the operator can do, where that is known.
    pub hint: Option<String>,
    /// Whether the fault lies in what the command line names (exit status 2).
    pub usage: bool,
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, std::io::Error::from_raw_os_error(self.errno))?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LaunchError {}

/// Builds the sandbox that `plan` describes and starts the interpreter in it.
/// Returns once the interpreter has been executed, all its controls in force.
///
/// The calling process must have one thread only: the child runs ordinary code
/// between `clone3` and `execveat`.
///
/// # Errors
/// The step that failed; nothing is left behind.
pub fn launch(_plan: &Plan, _request: &Request, _cgroup: CgroupEntry) -> Result<Launched, LaunchError> {
    Err(LaunchError {
        layer: None,
        doing: "starting the sandbox".to_owned(),
        errno: libc::ENOSYS,
        hint: None,
        usage: false,
    })
}

/// A refusal or a failed step: either ends the run before it began.
#[derive(Debug)]
pub enum StartError {
    /// The plan could not be made.
    Refused(Refusal),
    /// A step of it failed.
    Failed(LaunchError),
}
