//! A plan as text: what `explain` and `--plan` show.

use std::fmt;

use super::control::{Action, Control, MapSource, Namespaces};
use super::identity::{Identity, Ids, Mapper};
use super::landlock::LandlockPlan;
use super::Plan;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut previous = None;
        let mut number = 0;
        for control in &self.controls {
            let name = control.action.name();
            if previous == Some(name) {
                // The process limits are one step with several lines.
                write!(f, "{:29}", "")?;
            } else {
                number += 1;
                write!(f, "{number:2}  {name:24} ")?;
            }
            previous = Some(name);
            writeln!(f, "{}", control.action)?;
            let mut about = Vec::new();
            if let Some(layer) = control.layer {
                about.push(format!("layer {layer}"));
            }
            about.extend(sources(control));
            if !about.is_empty() {
                writeln!(f, "{:29}({})", "", about.join("; "))?;
            }
        }
        list(f, "enforced", self.enforced.iter())?;
        list(f, "waived", self.waived.iter())?;
        list(f, "not needed", self.not_needed.iter())?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

fn sources(control: &Control) -> Vec<String> {
    control
        .sources
        .iter()
        .map(|source| match source.line {
            0 => format!("{}: no line, default", source.name),
            line => format!("{}: line {line}", source.name),
        })
        .collect()
}

fn list(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    layers: impl Iterator<Item = super::layer::Layer>,
) -> fmt::Result {
    let names: Vec<_> = layers.map(|layer| layer.name()).collect();
    if names.is_empty() {
        return Ok(());
    }
    writeln!(f, "{title}: {}", names.join(" "))
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Group(limits) => write!(
                f,
                "memory {} bytes, no swap; cpu {} of {} us; {} process",
                limits.memory, limits.cpu.quota, limits.cpu.period, limits.processes
            ),
            Action::Namespaces(namespaces) => write!(f, "{namespaces}"),
            Action::Identity(identity) => write!(f, "{identity}"),
            Action::Idmap { owner, run, by } => write!(
                f,
                "the vessel's owner {owner} on disk is the sandbox's {run}{}",
                match by {
                    MapSource::Sandbox => "",
                    MapSource::Helper => ", by a map of its own",
                }
            ),
            Action::Scratch(scratch) => write!(
                f,
                "in memory, full at {} bytes and {} files; a copy of the vessel's files, and nothing of it remains",
                scratch.bytes, scratch.entries
            ),
            Action::Root { reserved } => {
                f.write_str("the vessel alone; nosuid nodev noexec nosymfollow")?;
                if !reserved.is_empty() {
                    let names: Vec<_> = reserved.iter().map(|name| name.to_string_lossy()).collect();
                    write!(f, "; read-only: {}", names.join(" "))?;
                }
                Ok(())
            }
            Action::Capabilities => f.write_str("none, in no set, locked"),
            Action::ParentDeath => f.write_str("SIGKILL when the launcher ends"),
            Action::Descriptors { network, .. } => write!(
                f,
                "0 null, 1 output, 2 errors, 3 control, 4 vessel, 5 start block{}",
                if *network { ", 6 network" } else { "" }
            ),
            Action::Limit(limit) => write!(f, "{} {}", limit.name, limit.value),
            Action::NoNewPrivileges => f.write_str("exec gives none"),
            Action::Landlock(ruleset) => write!(f, "{ruleset}"),
            Action::DenyWriteExecute => f.write_str("memory that was writable never becomes executable"),
            Action::Filter(filter) => {
                let names: Vec<_> = filter.sections.iter().map(|section| section.name()).collect();
                write!(f, "{}; anything else kills", names.join(" "))
            }
            Action::Execute => f.write_str("the interpreter, with no environment"),
        }
    }
}

impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = Vec::new();
        if self.user {
            names.push("user");
        }
        if self.mount {
            names.push("mount");
        }
        if self.network {
            names.push("net");
        }
        if self.others {
            names.extend(["pid", "ipc", "uts", "cgroup"]);
        }
        f.write_str(if names.is_empty() { "none".to_owned() } else { names.join(" ") }.as_str())
    }
}

impl fmt::Display for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::Mapped { inner, outer, by } => {
                let who = match by {
                    Mapper::Child => "itself",
                    Mapper::Launcher => "the launcher",
                };
                write!(f, "{inner} inside, {outer} on the host (mapped by {who})")
            }
            Identity::Become(ids) => write!(f, "{ids}"),
            Identity::Keep(ids) => write!(f, "{ids}, unchanged"),
        }
    }
}

/// Names of `LANDLOCK_ACCESS_FS_*`, lowest bit first, as the kernel's
/// documentation has them.
const FS_RIGHTS: [&str; 17] = [
    "execute",
    "write_file",
    "read_file",
    "read_dir",
    "remove_dir",
    "remove_file",
    "make_char",
    "make_dir",
    "make_reg",
    "make_sock",
    "make_fifo",
    "make_block",
    "make_sym",
    "refer",
    "truncate",
    "ioctl_dev",
    "resolve_unix",
];

fn rights(mask: u64) -> String {
    let names: Vec<_> = FS_RIGHTS
        .iter()
        .enumerate()
        .filter(|(bit, _)| mask & (1 << bit) != 0)
        .map(|(_, name)| *name)
        .collect();
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join("+")
    }
}

impl fmt::Display for LandlockPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vessel: {}", rights(self.vessel))?;
        for (name, granted) in &self.files {
            write!(f, "; {name}: {}", rights(*granted))?;
        }
        write!(f, "; interpreter: {}", rights(self.interpreter))?;
        if self.handled_net != 0 {
            f.write_str("; no TCP")?;
        }
        if self.scoped != 0 {
            f.write_str("; no signal or abstract socket beyond")?;
        }
        Ok(())
    }
}
