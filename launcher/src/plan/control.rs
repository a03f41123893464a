//! One control of a plan: what is done, for which line, in which layer.

use std::ffi::OsString;

use super::identity::{Identity, Ids};
use super::landlock::LandlockPlan;
use super::layer::Layer;
use super::limits::{GroupLimits, ProcessLimit};
use super::scratch::ScratchPlan;
use super::seccomp::FilterPlan;

/// One control, in the order of the plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// What is done.
    pub action: Action,
    /// The layer it belongs to; none for what is always done.
    pub layer: Option<Layer>,
    /// The lines of the policy it carries; empty for what holds whatever the
    /// policy says.
    pub sources: Vec<Source>,
    /// The first kernel that has it.
    pub kernel: &'static str,
}

/// A line of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The resource or call of the line.
    pub name: &'static str,
    /// Line number from 1; 0 where the policy has no such line and the
    /// default holds.
    pub line: u32,
}

/// The namespaces of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespaces {
    /// A user namespace.
    pub user: bool,
    /// A mount namespace.
    pub mount: bool,
    /// A network namespace.
    pub network: bool,
    /// Process, IPC, host name and cgroup namespaces.
    pub others: bool,
}

/// How the user namespace is made whose map the vessel's mount takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapSource {
    /// The sandbox's own.
    Sandbox,
    /// One of a helper that ends at once (the sandbox has none).
    Helper,
}

/// What one control does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The limits of the control group, which the child is in from its first
    /// instruction.
    Group(GroupLimits),
    /// New namespaces.
    Namespaces(Namespaces),
    /// The ids of the sandbox.
    Identity(Identity),
    /// The vessel's mount shows `owner` as `run` and back.
    Idmap {
        /// Owner on disk.
        owner: Ids,
        /// The sandbox's ids on the host.
        run: Ids,
        /// Whose user namespace holds the map.
        by: MapSource,
    },
    /// A filesystem in memory takes the vessel's place.
    Scratch(ScratchPlan),
    /// The vessel becomes the only mount, and these files of it read-only.
    Root {
        /// Names in the vessel.
        reserved: Vec<OsString>,
    },
    /// No capability, in no set, for ever.
    Capabilities,
    /// The sandbox dies with the launcher.
    ParentDeath,
    /// Descriptors 0-6 and no other; the interpreter's file at a number that
    /// cannot be filled again.
    Descriptors {
        /// The lowest number for the interpreter's file.
        exec_from: u64,
        /// Whether there is a network channel.
        network: bool,
    },
    /// A limit of the process.
    Limit(ProcessLimit),
    /// Exec gives no privileges.
    NoNewPrivileges,
    /// Landlock.
    Landlock(LandlockPlan),
    /// Memory that was writable never becomes executable.
    DenyWriteExecute,
    /// The system call filter.
    Filter(FilterPlan),
    /// The interpreter is executed with no environment.
    Execute,
}

impl Action {
    /// The name of the step in messages, reports and `--timings`.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Group(_) => "control group",
            Action::Namespaces(_) => "namespaces",
            Action::Identity(_) => "ids",
            Action::Idmap { .. } => "vessel id map",
            Action::Scratch(_) => "scratch vessel",
            Action::Root { .. } => "root directory",
            Action::Capabilities => "capabilities",
            Action::ParentDeath => "death with the launcher",
            Action::Descriptors { .. } => "descriptors",
            Action::Limit(_) => "process limits",
            Action::NoNewPrivileges => "no new privileges",
            Action::Landlock(_) => "landlock",
            Action::DenyWriteExecute => "memory write or execute",
            Action::Filter(_) => "system call filter",
            Action::Execute => "exec",
        }
    }
}
