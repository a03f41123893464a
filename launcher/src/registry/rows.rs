//! From the plan of a run and what came of it to the rows of its record.

use crate::apply::trial::{Outcome, Trial, Trials};
use crate::plan::control::{Action, Control};
use crate::plan::identity::{Identity, Ids};
use crate::plan::layer::Layer;
use crate::plan::Plan;
use crate::report::sha256;

use super::record::{Expect, Row};

/// What of a run its rows depend on.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Limit files of the control groups and what was written to them.
    pub group_files: Vec<(String, String)>,
    /// The groups in which the sandbox itself is.
    pub groups: Vec<String>,
    /// What the sandbox found when it tried its confinement.
    pub trials: Trials,
    /// The filter as installed: number of instructions and its bytes.
    pub filter: Option<(usize, Vec<u8>)>,
    /// Device and inode of the vessel.
    pub vessel: (u64, u64),
    /// Device and inode of the interpreter's file.
    pub interpreter: (u64, u64),
    /// Granted UDP and TCP ports.
    pub ports: (Vec<u16>, Vec<u16>),
    /// Whether datagrams may go everywhere.
    pub send_anywhere: bool,
    /// Hard limits of the launcher: what is lower stays.
    pub hard_limits: Vec<(u32, u64)>,
}

/// The rows, in the order of the plan.
pub fn rows(plan: &Plan, facts: &Facts) -> Vec<Row> {
    let mut rows: Vec<Row> = plan
        .controls
        .iter()
        .map(|control| Row {
            step: control.action.name().to_owned(),
            layer: control.layer.map(|layer| layer.name().to_owned()),
            says: control.action.to_string(),
            sources: sources(control),
            expect: expect(&control.action, plan, facts),
        })
        .collect();
    // Trials of one step belong to its first row.
    for trial in Trial::ALL {
        let outcome = facts.trials.of(trial);
        if let (Some(row), true) =
            (rows.iter_mut().find(|row| row.step == trial.step()), outcome != Outcome::NotTried)
        {
            let what = trial.text().to_owned();
            row.expect.push(Expect::Tried { what, holds: outcome == Outcome::Holds });
        }
    }
    // What nobody can see from outside and no trial has shown is not passed over.
    for row in &mut rows {
        if row.expect.is_empty() && matches!(row.step.as_str(), "landlock" | "memory write or execute") {
            row.expect.push(Expect::Tried { what: "no trial was made".to_owned(), holds: false });
        }
    }
    rows
}

fn sources(control: &Control) -> Vec<String> {
    let line = |source: &crate::plan::control::Source| match source.line {
        0 => format!("{}: default", source.name),
        line => format!("{}: line {line}", source.name),
    };
    control.sources.iter().map(line).collect()
}

fn expect(action: &Action, plan: &Plan, facts: &Facts) -> Vec<Expect> {
    match action {
        Action::Group(_) => {
            let files = facts
                .group_files
                .iter()
                .map(|(path, value)| Expect::GroupFile { path: path.clone(), value: value.clone() });
            let members = facts.groups.iter().map(|group| Expect::Member { group: group.clone() });
            files.chain(members).chain([Expect::Runs]).collect()
        }
        Action::Namespaces(namespaces) => {
            let mut kinds = Vec::new();
            for (made, names) in [
                (namespaces.user, &["user"][..]),
                (namespaces.mount, &["mnt"]),
                (namespaces.network, &["net"]),
                (namespaces.others, &["pid", "ipc", "uts", "cgroup"]),
            ] {
                kinds.extend(names.iter().filter(|_| made).map(|kind| own(kind)));
            }
            if namespaces.network {
                kinds.push(Expect::OnlyLoopback);
            }
            kinds
        }
        Action::Identity(identity) => identity_rows(*identity),
        Action::Idmap { .. } => Vec::new(),
        Action::Scratch(scratch) => {
            vec![Expect::MemoryFilesystem { bytes: scratch.size(), inodes: scratch.inodes() }]
        }
        Action::Root { reserved } => vec![
            Expect::Root { device: facts.vessel.0, inode: facts.vessel.1 },
            Expect::Mounts {
                reserved: reserved.iter().map(|name| name.to_string_lossy().into_owned()).collect(),
                idmapped: plan.enforced.contains(Layer::Idmap) && plan.scratch().is_none(),
            },
        ],
        Action::Capabilities => {
            let sets = ["CapInh", "CapPrm", "CapEff", "CapAmb"];
            let bounding = (facts.trials.of(Trial::Securebits) != Outcome::NotTried).then_some("CapBnd");
            sets.into_iter().chain(bounding).map(|key| status(key, "0000000000000000")).collect()
        }
        Action::ParentDeath => vec![Expect::ChildOfLauncher],
        Action::Descriptors { network, .. } => {
            let mut looks = vec![Expect::Descriptors { network: *network }];
            if *network {
                let (udp, tcp) = facts.ports.clone();
                looks.push(Expect::Ports { udp, tcp, send_anywhere: facts.send_anywhere });
            }
            looks
        }
        Action::Limit(limit) => {
            let hard = facts.hard_limits.iter().find(|(resource, _)| *resource == limit.resource);
            let value = hard.map_or(limit.value, |(_, hard)| limit.value.min(*hard));
            vec![Expect::Limit { name: limit.name.to_owned(), value }]
        }
        Action::NoNewPrivileges => vec![status("NoNewPrivs", "1")],
        Action::Landlock(_) | Action::DenyWriteExecute => Vec::new(),
        Action::Filter(_) => {
            let installed = facts.filter.as_ref().map(|(instructions, bytes)| Expect::Filter {
                instructions: *instructions,
                sha256: sha256::hex(bytes),
            });
            [status("Seccomp", "2")].into_iter().chain(installed).collect()
        }
        Action::Execute => {
            let (device, inode) = facts.interpreter;
            vec![
                Expect::Executable { device, inode },
                Expect::NoEnvironment,
                status("Threads", "1"),
                status("TracerPid", "0"),
            ]
        }
    }
}

fn identity_rows(identity: Identity) -> Vec<Expect> {
    let Ids { uid, gid } = identity.on_host();
    let all = |id: u32| format!("{id} {id} {id} {id}");
    let mut looks = vec![status("Uid", &all(uid)), status("Gid", &all(gid))];
    if let Identity::Mapped { inner, outer, .. } = identity {
        looks.push(Expect::IdMap { kind: "uid".to_owned(), inner: inner.uid, outer: outer.uid });
        looks.push(Expect::IdMap { kind: "gid".to_owned(), inner: inner.gid, outer: outer.gid });
    }
    looks
}

fn own(kind: &str) -> Expect {
    Expect::OwnNamespace { kind: kind.to_owned() }
}

fn status(key: &str, value: &str) -> Expect {
    Expect::Status { key: key.to_owned(), value: value.to_owned() }
}
