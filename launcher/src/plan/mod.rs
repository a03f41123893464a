//! From a request and the facts of a host to an ordered list of controls.
//! Pure: nothing here opens, creates or changes anything.

pub mod control;
pub mod demand;
pub mod identity;
pub mod landlock;
pub mod layer;
pub mod limits;
mod print;
pub mod scratch;
pub mod seccomp;

use std::fmt;

use crate::facts::{Authority, Host, Support};
use crate::request::Request;
use control::{Action, Control, MapSource, Namespaces, Source};
use demand::Demand;
use identity::Identity;
use layer::{Layer, Layers};
use limits::GroupLimits;
use scratch::ScratchPlan;

/// Exit status of a run that was refused because the sandbox could not be
/// established.
pub const EXIT_REFUSED: i32 = 4;

/// The oldest kernel supported: the first with every call of the launch.
pub const OLDEST_KERNEL: (u32, u32) = (5, 15);

/// The ordered list of controls for one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The controls, in the order they are applied.
    pub controls: Vec<Control>,
    /// The layers that will be enforced.
    pub enforced: Layers,
    /// The layers that the operator waived and that will not be enforced.
    pub waived: Layers,
    /// The layers that this run does not need (idmap for an ordinary user).
    pub not_needed: Layers,
    /// What an operator should know: controls carried by an equivalent, names
    /// that only the interpreter holds.
    pub notes: Vec<String>,
}

impl Plan {
    /// The limits of the control group; none where the layer is waived.
    pub fn group(&self) -> Option<GroupLimits> {
        self.controls.iter().find_map(|control| match control.action {
            Action::Group(limits) => Some(limits),
            _ => None,
        })
    }

    /// The filesystem in memory that takes the vessel's place, with `--scratch`.
    pub fn scratch(&self) -> Option<ScratchPlan> {
        self.controls.iter().find_map(|control| match control.action {
            Action::Scratch(scratch) => Some(scratch),
            _ => None,
        })
    }

    /// Who the sandbox is.
    pub fn identity(&self) -> Option<Identity> {
        self.controls.iter().find_map(|control| match control.action {
            Action::Identity(identity) => Some(identity),
            _ => None,
        })
    }
}

/// Why no sandbox can be built: exit status 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The layer that is missing, where it is one of them.
    pub layer: Option<Layer>,
    /// What was found, in one clause.
    pub reason: String,
    /// What the operator can do, in one clause.
    pub remedy: String,
}

impl Refusal {
    fn missing(layer: Layer, reason: impl Into<String>) -> Refusal {
        Refusal { layer: Some(layer), reason: reason.into(), remedy: layer.remedy().to_owned() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(layer) = self.layer else {
            return write!(f, "the sandbox cannot be established: {}\n  {}", self.reason, self.remedy);
        };
        writeln!(f, "the sandbox cannot be established: layer '{layer}': {}", self.reason)?;
        writeln!(f, "  it would have held: {}", layer.holds())?;
        writeln!(f, "  to provide it: {}", self.remedy)?;
        write!(f, "  to run without it: --without {layer}")
    }
}

impl std::error::Error for Refusal {}

/// Lowers a request to the controls that this host needs to hold it.
///
/// # Errors
/// A [`Refusal`] when a layer that was not waived can be carried neither by
/// its own control nor by an equivalent one, or when a limit of the policy or
/// of the host cannot be held.
pub fn plan(request: &Request, host: &Host) -> Result<Plan, Refusal> {
    if host.kernel.version < OLDEST_KERNEL {
        let (major, minor) = OLDEST_KERNEL;
        return Err(Refusal {
            layer: None,
            reason: format!("this kernel is {}, the oldest supported is {major}.{minor}", host.kernel),
            remedy: "use a newer kernel".to_owned(),
        });
    }
    if request.scratch && request.waived.contains(Layer::Mountns) {
        return Err(Refusal {
            layer: None,
            reason: "--scratch needs the layer 'mountns', which is waived".to_owned(),
            remedy: "keep the layer, or run without --scratch".to_owned(),
        });
    }
    let not_needed: Layers = Layer::ALL
        .into_iter()
        .filter(|layer| *layer == Layer::Idmap && !needs_idmap(host.authority))
        .collect();
    let enforced: Layers = Layer::ALL
        .into_iter()
        .filter(|layer| !request.waived.contains(*layer) && !not_needed.contains(*layer))
        .collect();
    for layer in enforced.iter() {
        require(layer, host, enforced)?;
    }
    let mut plan =
        Plan { controls: Vec::new(), enforced, waived: request.waived, not_needed, notes: Vec::new() };
    plan.add_controls(request, host)?;
    plan.add_notes(request, host)?;
    Ok(plan)
}

/// Whether a sandbox started with this authority would be root on the host
/// without an id map.
fn needs_idmap(authority: Authority) -> bool {
    matches!(authority, Authority::HostRoot | Authority::PlainRoot)
}

/// Refuses where the host lacks a layer and its equivalents.
fn require(layer: Layer, host: &Host, enforced: Layers) -> Result<(), Refusal> {
    let root = host.authority == Authority::HostRoot;
    let userns = enforced.contains(Layer::Userns);
    match layer {
        Layer::Cgroup => supported(layer, &host.cgroup),
        Layer::Userns => supported(layer, &host.userns),
        Layer::Mountns | Layer::Netns if !root && !userns => Err(Refusal::missing(
            layer,
            "an ordinary user needs a user namespace to make one, and the layer 'userns' is waived",
        )),
        Layer::Mountns | Layer::Netns => Ok(()),
        Layer::Landlock => match &host.landlock {
            Some(found) => landlock::equivalents(found, enforced).map(drop),
            None => Err(Refusal::missing(layer, "it is not enabled in this kernel")),
        },
        Layer::Seccomp => supported(layer, &host.seccomp),
        Layer::Mdwe if !host.mdwe && !enforced.contains(Layer::Seccomp) => Err(Refusal::missing(
            layer,
            format!(
                "kernel {} does not have it, and 'seccomp', which would carry it, is waived",
                host.kernel
            ),
        )),
        Layer::Mdwe => Ok(()),
        Layer::Idmap if !root => Err(Refusal {
            layer: Some(layer),
            reason: "uid 0 without CAP_SYS_ADMIN, CAP_SETUID and CAP_SETGID can neither map ids nor change its own"
                .to_owned(),
            remedy: "start repy-launch with these capabilities (in a container's options: --cap-add SYS_ADMIN), or as \
                     an ordinary user"
                .to_owned(),
        }),
        Layer::Idmap => Ok(()),
    }
}

fn supported(layer: Layer, support: &Support) -> Result<(), Refusal> {
    match support {
        Support::Yes => Ok(()),
        Support::No { reason, remedy } => Err(Refusal {
            layer: Some(layer),
            reason: reason.clone(),
            remedy: remedy.clone().unwrap_or_else(|| layer.remedy().to_owned()),
        }),
    }
}

impl Plan {
    /// The controls, in the order they are applied (reasons: ADR 0003).
    fn add_controls(&mut self, request: &Request, host: &Host) -> Result<(), Refusal> {
        let demand = &request.demand;
        let has = |layer| self.enforced.contains(layer);
        let (userns, idmap) = (has(Layer::Userns), has(Layer::Idmap));
        let root = host.authority == Authority::HostRoot;
        let identity = identity::identity(host, userns, idmap);
        let group =
            if has(Layer::Cgroup) { Some(limits::group_limits(demand, request.scratch)?) } else { None };
        let namespaces = Namespaces {
            user: userns,
            mount: has(Layer::Mountns),
            network: has(Layer::Netns),
            others: userns || root,
        };
        let open_files = limits::open_files(demand, request.max_accepted);
        let exec_from = open_files.max(limits::LOWEST_EXEC_DESCRIPTOR);
        check_open_files(exec_from, host)?;
        let ruleset = if has(Layer::Landlock) {
            host.landlock.as_ref().map(|found| landlock::ruleset(demand, host, found))
        } else {
            None
        };
        let sections = seccomp::sections(demand);
        let (mountns, seccomp, mdwe) = (has(Layer::Mountns), has(Layer::Seccomp), has(Layer::Mdwe));

        if let Some(group) = group {
            let sources = vec![source("memory", demand.memory.line), source("cpu", demand.cpu.line)];
            self.add(Action::Group(group), Some(Layer::Cgroup), sources, "5.7");
        }
        let user_layer = userns.then_some(Layer::Userns);
        self.add(Action::Namespaces(namespaces), user_layer, vec![], "4.6");
        self.add(Action::Identity(identity), user_layer, vec![], "3.8");
        let owner = identity::Ids { uid: host.vessel.uid, gid: host.vessel.gid };
        if request.scratch {
            let scratch = scratch::scratch(demand, identity, owner);
            let sources = vec![source("diskused", demand.diskused.line)];
            self.add(Action::Scratch(scratch), Some(Layer::Mountns), sources, "5.14");
        } else if idmap {
            let by = if userns { MapSource::Sandbox } else { MapSource::Helper };
            let action = Action::Idmap { owner, run: identity.on_host(), by };
            self.add(action, Some(Layer::Idmap), vec![], "5.12");
        }
        if mountns {
            let reserved =
                request.reserved.iter().filter(|file| file.exists).map(|file| file.name.clone()).collect();
            self.add(Action::Root { reserved }, Some(Layer::Mountns), vec![], "5.12");
        }
        self.add(Action::Capabilities, None, vec![], "4.3");
        self.add(Action::ParentDeath, None, vec![], "5.3");
        let network = demand.network.value;
        let sources = if network { vec![source("network calls", demand.network.line)] } else { vec![] };
        self.add(Action::Descriptors { exec_from, network }, None, sources, "5.11");
        for limit in limits::process_limits(demand, request.max_accepted) {
            let sources = if limit.from.is_empty() { vec![] } else { vec![source(limit.from, limit.line)] };
            self.add(Action::Limit(limit), None, sources, "2.6");
        }
        self.add(Action::NoNewPrivileges, None, vec![], "3.5");
        if let Some(ruleset) = ruleset {
            self.add(Action::Landlock(ruleset), Some(Layer::Landlock), file_sources(demand), "5.13");
        }
        if mdwe && host.mdwe {
            self.add(Action::DenyWriteExecute, Some(Layer::Mdwe), vec![], "6.3");
        }
        if seccomp {
            let sources = sections
                .iter()
                .filter(|(section, _)| *section != seccomp::Section::Base)
                .map(|(section, line)| source(section.name(), *line))
                .collect();
            let filter = seccomp::FilterPlan {
                vessel_descriptor: seccomp::VESSEL_DESCRIPTOR,
                exec_descriptor: exec_from as i32,
                sections: sections.into_iter().map(|(section, _)| section).collect(),
            };
            self.add(Action::Filter(filter), Some(Layer::Seccomp), sources, "4.14");
        }
        self.add(Action::Execute, None, vec![], "3.19");
        Ok(())
    }

    fn add(&mut self, action: Action, layer: Option<Layer>, sources: Vec<Source>, kernel: &'static str) {
        self.controls.push(Control { action, layer, sources, kernel });
    }

    fn add_notes(&mut self, request: &Request, host: &Host) -> Result<(), Refusal> {
        if let (true, Some(found)) = (self.enforced.contains(Layer::Landlock), &host.landlock) {
            for row in landlock::equivalents(found, self.enforced)? {
                self.notes.push(format!(
                    "landlock {} needs kernel {}: carried here by {} ({})",
                    row.name,
                    row.kernel,
                    row.carriers.iter().map(|layer| layer.name()).collect::<Vec<_>>().join(" and "),
                    row.how
                ));
            }
        }
        if self.enforced.contains(Layer::Mdwe) && !host.mdwe {
            self.notes.push(
                "mdwe needs kernel 6.3: carried here by seccomp (mmap and mprotect never with PROT_EXEC)"
                    .to_owned(),
            );
        }
        if let Some(scratch) = self.scratch() {
            self.notes.push(format!(
                "the vessel is a copy in memory (--scratch), full exactly at {} bytes and {} files: what the program leaves \
                 there is gone when it ends, and nothing in the directory changes",
                scratch.bytes, scratch.entries
            ));
        }
        if landlock::by_interpreter_alone(&request.demand, host) {
            self.notes.push(format!(
                "line {}: the kernel holds files to the vessel and to reading, writing and creating; which names, the \
                 interpreter alone holds (a rule of the kernel holds an existing file, not a name)",
                request.demand.files.line
            ));
        }
        for file in &request.reserved {
            let name = file.name.to_string_lossy();
            if !file.exists {
                self.notes.push(format!(
                    "'{name}' ({}) does not exist yet: the interpreter alone keeps the program from making it",
                    file.role
                ));
            } else if !self.enforced.contains(Layer::Mountns) {
                self.notes.push(format!(
                    "'{name}' ({}): without the layer mountns the interpreter alone keeps the program from writing it",
                    file.role
                ));
            }
        }
        if let Some(Identity::Become(ids) | Identity::Mapped { outer: ids, .. }) = self.identity() {
            if ids.uid == 0 {
                self.notes.push(
                    "without the layer idmap the sandbox is uid 0 on the host, without capabilities: only the other \
                     layers hold it"
                        .to_owned(),
                );
            }
        }
        if self.enforced.contains(Layer::Cgroup) && request.demand.cpu.value > 1.0 {
            self.notes.push(format!(
                "line {}: a cpu share of {} is granted, but one thread cannot use more than 1",
                request.demand.cpu.line, request.demand.cpu.value
            ));
        }
        Ok(())
    }
}

fn source(name: &'static str, line: u32) -> Source {
    Source { name, line }
}

fn file_sources(demand: &Demand) -> Vec<Source> {
    [("open", demand.files.line), ("listdir", demand.list.line), ("removefile", demand.remove.line)]
        .into_iter()
        .filter(|(_, line)| *line != 0)
        .map(|(name, line)| source(name, line))
        .collect()
}

/// The descriptor of the interpreter's file must fit below the hard limit.
fn check_open_files(exec_from: u64, host: &Host) -> Result<(), Refusal> {
    // Room for numbers that are taken already when the number is chosen.
    const ROOM: u64 = 64;
    if exec_from.saturating_add(ROOM) <= host.open_files && exec_from < i32::MAX as u64 {
        return Ok(());
    }
    Err(Refusal {
        layer: None,
        reason: format!(
            "the policy needs {} open files, the hard limit of this process is {}",
            exec_from.saturating_add(ROOM),
            host.open_files
        ),
        remedy: "raise it (ulimit -Hn), or lower filesopened, insockets, outsockets or --max-accepted"
            .to_owned(),
    })
}

#[cfg(test)]
mod kernels;
#[cfg(test)]
mod tests;
