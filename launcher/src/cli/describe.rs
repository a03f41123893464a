//! The record of a run that has just been started.

use std::path::{Path, PathBuf};

use policies::{PortKind, RESOURCES};

use super::arguments::Options;
use super::prepare::absolute;
use super::Clock;
use crate::apply::Launched;
use crate::cgroup::Group;
use crate::facts::Host;
use crate::plan::control::Action;
use crate::plan::Plan;
use crate::registry::identity::Identity;
use crate::registry::record::{Record, VERSION};
use crate::registry::rows::{rows, Facts};
use crate::report::Report;
use crate::sys::process;

/// What came of the launch, as far as the record tells of it. Taken at once, since
/// the supervisor takes over the rest.
pub struct Outcome {
    pid: i32,
    facts: Facts,
    filter: Option<seccompiler::BpfProgram>,
    group_files: Vec<(PathBuf, String)>,
    groups: Vec<PathBuf>,
}

impl Outcome {
    /// Takes what the record needs.
    pub fn take(launched: &mut Launched, group: Option<&Group>, host: &Host) -> Outcome {
        Outcome {
            pid: launched.pid,
            facts: Facts {
                trials: launched.trials,
                vessel: launched.scratch.as_ref().and_then(identity).unwrap_or(host.vessel.identity),
                interpreter: launched.interpreter,
                ..Facts::default()
            },
            filter: launched.filter.take(),
            group_files: group.map(|group| group.written().to_vec()).unwrap_or_default(),
            groups: group.map(Group::homes).unwrap_or_default(),
        }
    }

    /// The record; None without /proc.
    pub fn record(
        mut self,
        about: About,
        clock: &Clock,
        prepared: &Asked<'_>,
        plan: &Plan,
    ) -> Option<Record> {
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        let ports = |kind| prepared.policy.ports(kind).iter().map(|grant| grant.port).collect();
        self.facts.group_files =
            self.group_files.iter().map(|(path, value)| (text(path), value.clone())).collect();
        self.facts.groups = self.groups.iter().map(text).collect();
        self.facts.filter = self.filter.as_deref().map(|filter| (filter.len(), bytes(filter)));
        self.facts.ports = (ports(PortKind::Message), ports(PortKind::Connection));
        self.facts.send_anywhere = prepared.send_anywhere;
        self.facts.hard_limits = plan
            .controls
            .iter()
            .filter_map(|control| match control.action {
                Action::Limit(limit) => Some((limit.resource, process::hard_limit(limit.resource).ok()?)),
                _ => None,
            })
            .collect();
        Some(Record {
            record_version: VERSION,
            launcher_version: env!("CARGO_PKG_VERSION").to_owned(),
            name: about.name,
            launcher: Identity::of(i32::try_from(std::process::id()).ok()?)?,
            // It may have ended already, and its start is told all the same.
            sandbox: Identity::of_child(self.pid)?,
            uid: nix::unistd::geteuid().as_raw(),
            began: clock.seconds_since_1970,
            policy: about.policy,
            policy_sha256: prepared.policy_sha256.to_owned(),
            program: about.program,
            vessel: prepared.vessel.to_owned(),
            interpreter: prepared.interpreter.to_owned(),
            layers: prepared
                .layers
                .iter()
                .map(|(name, state)| (name.to_string(), state.to_string()))
                .collect(),
            groups: self.facts.groups.clone(),
            limits: RESOURCES
                .iter()
                .map(|facts| (facts.name.to_owned(), prepared.policy.amount(facts.resource)))
                .collect(),
            rows: rows(plan, &self.facts),
        })
    }
}

/// Device and inode of an open directory.
fn identity(directory: &std::os::fd::OwnedFd) -> Option<(u64, u64)> {
    nix::sys::stat::fstat(directory).ok().map(|status| (status.st_dev, status.st_ino))
}

/// What people call the run, its policy and its program.
pub struct About {
    /// `--name`.
    pub name: Option<String>,
    /// The restrictions file, or what stands in its place.
    pub policy: String,
    /// The program file, or what stands in its place.
    pub program: String,
}

impl About {
    /// Of a run with these options.
    pub fn run(options: &Options) -> About {
        About {
            name: options.name.clone(),
            policy: absolute(&options.policy),
            program: absolute(Path::new(&options.program)),
        }
    }
}

/// What was asked for, as the report has it.
pub struct Asked<'a> {
    policy: &'a policies::Policy,
    send_anywhere: bool,
    policy_sha256: String,
    vessel: String,
    interpreter: String,
    layers: Vec<(&'static str, &'static str)>,
}

impl<'a> Asked<'a> {
    /// From a policy and the report that has been begun for it.
    pub fn new(policy: &'a policies::Policy, send_anywhere: bool, report: &Report) -> Asked<'a> {
        Asked {
            policy,
            send_anywhere,
            policy_sha256: report.policy.as_ref().map(|file| file.sha256.clone()).unwrap_or_default(),
            vessel: report.vessel.clone().unwrap_or_default(),
            interpreter: report.interpreter.clone().unwrap_or_default(),
            layers: report.layers.iter().map(|(name, state)| (*name, *state)).collect(),
        }
    }
}

/// A filter as the kernel has it: `struct sock_filter`, one after the other.
pub fn bytes(filter: &[seccompiler::sock_filter]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(filter.len() * 8);
    for instruction in filter {
        bytes.extend_from_slice(&instruction.code.to_ne_bytes());
        bytes.extend_from_slice(&[instruction.jt, instruction.jf]);
        bytes.extend_from_slice(&instruction.k.to_ne_bytes());
    }
    bytes
}
