//! Landlock rights: what the policy's file rules come down to.

use landlock::AccessFs;

use super::demand::{Demand, FileAccess, Names};
use super::layer::{Layer, Layers};
use super::Refusal;
use crate::facts::{Host, Landlock};

/// The ruleset of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LandlockPlan {
    /// File rights that are denied unless a rule grants them: all that this
    /// kernel knows.
    pub handled_fs: u64,
    /// Network rights, likewise; no rule grants any.
    pub handled_net: u64,
    /// Scopes, likewise.
    pub scoped: u64,
    /// Rights on the interpreter's file.
    pub interpreter: u64,
    /// Rights below the vessel.
    pub vessel: u64,
    /// Rights on single files of the vessel.
    pub files: Vec<(String, u64)>,
    /// Whether denials after exec are logged (ABI 7).
    pub log: bool,
}

const READ: u64 = AccessFs::ReadFile as u64;
const WRITE: u64 = AccessFs::WriteFile as u64 | AccessFs::Truncate as u64;
const CREATE: u64 = AccessFs::MakeReg as u64;
const LIST: u64 = AccessFs::ReadDir as u64;
const REMOVE: u64 = AccessFs::RemoveFile as u64;
const EXECUTE: u64 = AccessFs::Execute as u64;

/// A right that came after the first Landlock, and what carries it where the
/// kernel lacks it.
pub(super) struct Row {
    /// Its name, for people.
    pub name: &'static str,
    /// First kernel that has it.
    pub kernel: &'static str,
    /// Its bits.
    pub fs: u64,
    /// Its bits.
    pub net: u64,
    /// Its bits.
    pub scoped: u64,
    /// The layers that together hold the same.
    pub carriers: &'static [Layer],
    /// How they do.
    pub how: &'static str,
}

/// Rights that came after kernel 5.13, oldest first.
pub(super) const LATER_RIGHTS: &[Row] = &[
    Row {
        name: "TRUNCATE",
        kernel: "6.2",
        fs: AccessFs::Truncate as u64,
        net: 0,
        scoped: 0,
        carriers: &[Layer::Seccomp],
        how: "truncate is not in the filter, and ftruncate needs a descriptor opened for writing",
    },
    Row {
        name: "TCP bind and connect",
        kernel: "6.7",
        fs: 0,
        net: 0x3,
        scoped: 0,
        carriers: &[Layer::Netns, Layer::Seccomp],
        how: "the network namespace is empty, and bind and connect are not in the filter",
    },
    Row {
        name: "IOCTL_DEV",
        kernel: "6.10",
        fs: AccessFs::IoctlDev as u64,
        net: 0,
        scoped: 0,
        carriers: &[Layer::Seccomp],
        how: "ioctl is not in the filter",
    },
    Row {
        name: "scopes (abstract unix sockets, signals)",
        kernel: "6.12",
        fs: 0,
        net: 0,
        scoped: 0x3,
        carriers: &[Layer::Userns, Layer::Seccomp],
        how: "no other process exists in the process namespace, and kill and connect are not in the filter",
    },
];

/// Which later rights the kernel lacks, each with what carries it; or a
/// refusal where a carrier is waived too.
pub(super) fn equivalents(landlock: &Landlock, enforced: Layers) -> Result<Vec<&'static Row>, Refusal> {
    let mut missing = Vec::new();
    for row in LATER_RIGHTS {
        let present = landlock.fs & row.fs == row.fs
            && landlock.net & row.net == row.net
            && landlock.scoped & row.scoped == row.scoped;
        if present {
            continue;
        }
        if let Some(gone) = row.carriers.iter().find(|layer| !enforced.contains(**layer)) {
            return Err(Refusal {
                layer: Some(Layer::Landlock),
                reason: format!(
                    "this kernel's Landlock (ABI {}) lacks {}, and '{gone}', which would carry it, is waived",
                    landlock.abi, row.name
                ),
                remedy: format!("use a kernel from {} on, or keep the layer '{gone}'", row.kernel),
            });
        }
        missing.push(row);
    }
    Ok(missing)
}

/// The ruleset for a policy on this host.
pub(super) fn ruleset(demand: &Demand, host: &Host, landlock: &Landlock) -> LandlockPlan {
    let (mut vessel, files) = file_rights(demand, host);
    if demand.list.value {
        vessel |= LIST;
    }
    if demand.remove.value {
        vessel |= REMOVE;
    }
    let known = |rights: u64| rights & landlock.fs;
    LandlockPlan {
        handled_fs: landlock.fs,
        handled_net: landlock.net,
        scoped: landlock.scoped,
        interpreter: EXECUTE | READ,
        vessel: known(vessel),
        files: files.into_iter().map(|(name, rights)| (name, known(rights))).collect(),
        log: landlock.abi >= 7,
    }
}

/// Rights below the vessel and on single files, for the policy's file rules.
fn file_rights(demand: &Demand, host: &Host) -> (u64, Vec<(String, u64)>) {
    let named = |names: &[String], rights: u64| {
        names
            .iter()
            .filter(|name| host.vessel.existing.contains(name))
            .map(|name| (name.clone(), rights))
            .collect()
    };
    match &demand.files.value {
        FileAccess::None => (0, Vec::new()),
        FileAccess::Read(Names::Any) => (READ, Vec::new()),
        FileAccess::Read(Names::Only(names)) => (0, named(names, READ)),
        FileAccess::Write(Names::Only(names)) if holds_by_name(demand, host, names) => {
            (0, named(names, READ | WRITE))
        }
        FileAccess::Write(_) => (READ | WRITE | CREATE, Vec::new()),
    }
}

/// Whether rules on single files can hold named files: all are there, and none
/// can be removed and made again (a rule holds a file, not its name).
fn holds_by_name(demand: &Demand, host: &Host, names: &[String]) -> bool {
    !demand.remove.value && names.iter().all(|name| host.vessel.existing.contains(name))
}

/// Why the kernel holds a directory although the policy names files.
pub(super) fn by_interpreter_alone(demand: &Demand, host: &Host) -> bool {
    matches!(&demand.files.value, FileAccess::Write(Names::Only(names)) if !holds_by_name(demand, host, names))
}
