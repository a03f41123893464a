//! What the new process does to itself between `clone3` and exec: one arm per
//! control, in the order of the plan. It reports the first failure through the
//! pipe that exec closes.

use std::os::fd::{AsFd, OwnedFd};

use super::prepare::Inside;
use super::scratch;
use super::trial::{self, Trial, Trials};
use crate::plan::control::Action;
use crate::plan::identity::{Identity, Ids, Mapper};
use crate::plan::scratch::Maker;
use crate::plan::Plan;
use crate::sys::{descriptor, mount, process, Errno, Sys};

/// Exit status of a child that could not start the interpreter.
pub(super) const FAILED: i32 = 70;

/// Length of the report of a failure: index of the control, number of the
/// part, index of the reserved file, error number.
pub(super) const RECORD: usize = 8;

/// A failure in the child.
#[derive(Debug)]
pub(super) struct Failure {
    /// What was being done.
    pub part: Part,
    /// Which reserved file, where the part concerns one.
    pub file: u16,
    /// The kernel's answer.
    pub errno: Errno,
}

/// The parts of the controls, as messages name them.
macro_rules! parts {
    ($($name:ident: $text:literal,)*) => {
        /// A part of a control that can fail.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Part { $(#[doc = $text] $name,)* }

        impl Part {
            const ALL: &'static [(Part, &'static str)] = &[$((Part::$name, $text),)*];

            /// What was being done.
            pub fn text(self) -> &'static str {
                Part::ALL[self as usize].1
            }

            /// The part of this number.
            pub fn from_number(number: u8) -> Option<Part> {
                Part::ALL.get(usize::from(number)).map(|(part, _)| *part)
            }
        }
    };
}

parts! {
    JoinGroup: "joining a control group (v1)",
    DenySetgroups: "forbidding setgroups in the user namespace",
    MapUid: "mapping the user id",
    MapGid: "mapping the group id",
    AwaitLauncher: "waiting for the launcher to map the ids",
    ChangeIds: "changing to the ids of the sandbox",
    HostName: "naming the host inside",
    PrivateMounts: "making all mounts private",
    MakeScratch: "making the filesystem in memory",
    FillScratch: "copying the vessel's files into memory",
    ScratchRules: "making the Landlock ruleset of the scratch vessel",
    HandOverScratch: "handing over the scratch vessel",
    DetachVessel: "detaching the mount of the vessel",
    VesselAttributes: "making the vessel nosuid, nodev, noexec and nosymfollow",
    AttachVessel: "mounting the vessel",
    EnterVessel: "entering the vessel",
    DetachReserved: "detaching the reserved file",
    ReservedKind: "checking that this is a regular file:",
    ReservedAttributes: "making read-only the reserved file",
    AttachReserved: "mounting over itself the reserved file",
    PivotRoot: "making the vessel the root directory",
    DetachOldRoot: "detaching the host's mounts",
    OpenVessel: "opening the vessel directory inside",
    BoundingSet: "dropping the bounding set and locking the securebits",
    ClearCapabilities: "clearing the capabilities",
    ParentDeath: "asking to die with the launcher",
    LauncherGone: "checking that the launcher is alive",
    PlaceInterpreter: "placing the interpreter's descriptor",
    PlaceDescriptors: "placing descriptors 0-6",
    CloseOthers: "closing all other descriptors at exec",
    SetLimit: "setting a limit of the process",
    NoNewPrivileges: "setting no_new_privs",
    Landlock: "enforcing the Landlock ruleset",
    LandlockPartly: "enforcing the Landlock ruleset in full",
    DenyWriteExecute: "forbidding memory that is written and executed",
    Filter: "installing the system call filter",
    FilesTrial: "a trial shows that Landlock does not hold: opening the host's root directory",
    BindTrial: "a trial shows that Landlock does not hold: binding a TCP port",
    ExecutionTrial: "a trial shows that written memory can be made executable: mprotect",
    ParentDeathTrial: "a trial shows no SIGKILL on the launcher's end: prctl",
    SecurebitsTrial: "a trial shows securebits that are not locked: prctl",
    FilterTrial: "a trial shows that the system call filter does not hold: openat2 and openat",
    SendTrials: "handing over what the trials showed",
    Execute: "executing the interpreter",
}

/// Goes through the plan; ends in the interpreter or with a report.
pub(super) fn run(plan: &Plan, inside: &mut Inside) -> ! {
    mark(inside, u32::MAX);
    process::leave_inheritance();
    // Until the control below sets it for good: a change of ids clears it. The
    // child may wait for the launcher before that.
    if process::die_with_parent().is_err() || !process::is_alive(inside.launcher.as_fd()) {
        process::exit_now(FAILED);
    }
    let mut state = State { tree: None, trials: Trials::default() };
    for (index, control) in plan.controls.iter().enumerate() {
        if let Err(failure) = state.apply(&control.action, plan, inside) {
            let Errno(code) = failure.errno;
            let mut record = [0u8; RECORD];
            record[0] = index as u8;
            record[1] = failure.part as u8;
            record[2..4].copy_from_slice(&failure.file.to_le_bytes());
            record[4..8].copy_from_slice(&code.to_le_bytes());
            // If the launcher is gone there is nobody to tell.
            let _ = descriptor::write_all(inside.report.as_fd(), &record);
            break;
        }
        mark(inside, index as u32);
    }
    process::exit_now(FAILED)
}

fn mark(inside: &Inside, step: u32) {
    if let Some(marks) = &inside.marks {
        marks.note(step);
    }
}

/// Turns a failed call into a failure of a part.
pub(super) trait During<T> {
    fn during(self, part: Part) -> Result<T, Failure>;
}

impl<T> During<T> for Sys<T> {
    fn during(self, part: Part) -> Result<T, Failure> {
        self.map_err(|errno| Failure { part, file: 0, errno })
    }
}

/// What one control leaves for a later one.
struct State {
    /// The vessel as a mount that is attached nowhere yet.
    tree: Option<OwnedFd>,
    /// What the child found when it tried its own confinement.
    trials: Trials,
}

impl State {
    fn apply(&mut self, action: &Action, plan: &Plan, inside: &mut Inside) -> Result<(), Failure> {
        match action {
            Action::Group(_) => {
                for tasks in &inside.cgroup.v1_tasks {
                    descriptor::write_all(tasks.as_fd(), b"0").during(Part::JoinGroup)?;
                }
                Ok(())
            }
            // Made with the child; the host's name came with them as a copy.
            Action::Namespaces(made) if made.others => process::name_host(c"repy").during(Part::HostName),
            // Done by the time the child runs.
            Action::Namespaces(_) | Action::Idmap { .. } => Ok(()),
            Action::Identity(identity) => self.take_ids(*identity, inside),
            Action::Scratch(scratch) if scratch.by == Maker::Sandbox => {
                self.tree = Some(scratch::in_sandbox(scratch, plan, inside)?);
                Ok(())
            }
            // Made by the launcher.
            Action::Scratch(_) => Ok(()),
            Action::Root { .. } => self.change_root(inside),
            Action::Capabilities => {
                if drop_capabilities(plan)? {
                    self.trials.note(Trial::Securebits, trial::securebits()?);
                }
                Ok(())
            }
            Action::ParentDeath => {
                process::die_with_parent().during(Part::ParentDeath)?;
                // getppid() is 0 in a process namespace of its own.
                if !process::is_alive(inside.launcher.as_fd()) {
                    return Err(Errno(libc::ESRCH)).during(Part::LauncherGone);
                }
                self.trials.note(Trial::ParentDeath, trial::parent_death()?);
                Ok(())
            }
            Action::Descriptors { .. } => self.place_descriptors(inside),
            Action::Limit(limit) => process::limit(limit.resource, limit.value).during(Part::SetLimit),
            Action::NoNewPrivileges => process::no_new_privileges().during(Part::NoNewPrivileges),
            Action::Landlock(landlock) => {
                let before = trial::opens(inside.host_root.as_fd());
                enforce_landlock(inside)?;
                self.trials.note(Trial::Files, trial::files(inside.host_root.as_fd(), before)?);
                if landlock.handled_net != 0 {
                    self.trials.note(Trial::Bind, trial::bind()?);
                }
                Ok(())
            }
            Action::DenyWriteExecute => {
                process::deny_write_execute().during(Part::DenyWriteExecute)?;
                self.trials.note(Trial::Execution, trial::execution()?);
                Ok(())
            }
            Action::Filter(_) => match &inside.filter {
                Some(filter) => {
                    seccompiler::apply_filter(filter).map_err(|_| Errno::last()).during(Part::Filter)?;
                    self.trials.note(Trial::Filter, trial::filter()?);
                    Ok(())
                }
                None => Err(Errno(libc::EINVAL)).during(Part::Filter),
            },
            Action::Execute => {
                trial::send(inside.report.as_fd(), &self.trials)?;
                Err(process::execute(inside.exec_number, &inside.arguments)).during(Part::Execute)
            }
        }
    }

    fn take_ids(&mut self, identity: Identity, inside: &Inside) -> Result<(), Failure> {
        match identity {
            Identity::Mapped { inner, outer, by: Mapper::Child } => {
                process::write_file(c"/proc/self/setgroups", b"deny").during(Part::DenySetgroups)?;
                let line = |inner: u32, outer: u32| format!("{inner} {outer} 1");
                process::write_file(c"/proc/self/uid_map", line(inner.uid, outer.uid).as_bytes())
                    .during(Part::MapUid)?;
                process::write_file(c"/proc/self/gid_map", line(inner.gid, outer.gid).as_bytes())
                    .during(Part::MapGid)
            }
            Identity::Mapped { inner, by: Mapper::Launcher, .. } => {
                self.tree = await_release(inside).during(Part::AwaitLauncher)?;
                change_ids(inner)
            }
            // Changed after the mounts, which need the privilege.
            Identity::Become(_) | Identity::Keep(_) => Ok(()),
        }
    }

    /// Makes the vessel the root and only mount, its reserved files read-only.
    fn change_root(&mut self, inside: &mut Inside) -> Result<(), Failure> {
        use nix::mount::{mount, umount2, MntFlags, MsFlags};
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
            .map_err(Errno::from)
            .during(Part::PrivateMounts)?;
        let tree = match self.tree.take().or_else(|| inside.tree.take()) {
            // Made by the launcher, attributes and all.
            Some(tree) => tree,
            None => {
                let tree = mount::detach_current().during(Part::DetachVessel)?;
                mount::set_attributes(tree.as_fd(), mount::HELD, None).during(Part::VesselAttributes)?;
                tree
            }
        };
        // Over "/", the one path that resolves without a permission on any directory: the
        // vessel's own path may lead through ones that the sandbox's ids cannot enter, and
        // the vessel itself may be closed to them but for its id-mapped mount.
        mount::attach(tree.as_fd(), None, c"/").during(Part::AttachVessel)?;
        process::enter(tree.as_fd()).during(Part::EnterVessel)?;
        for (index, name) in inside.reserved.iter().enumerate() {
            protect(&tree, name).map_err(|failure| Failure { file: index as u16, ..failure })?;
        }
        // The new root over the old one: then the old one lies on top of it
        // and is taken away.
        nix::unistd::pivot_root(".", ".").map_err(Errno::from).during(Part::PivotRoot)?;
        umount2(".", MntFlags::MNT_DETACH).map_err(Errno::from).during(Part::DetachOldRoot)?;
        nix::unistd::chdir("/").map_err(Errno::from).during(Part::EnterVessel)
    }

    fn place_descriptors(&mut self, inside: &mut Inside) -> Result<(), Failure> {
        // The current directory is the vessel: the new root, or where the
        // launcher stood. Without a mount namespace an id-mapped vessel is
        // reached through its detached mount alone.
        if let Some(tree) = self.tree.take().or_else(|| inside.tree.take()) {
            process::enter(tree.as_fd()).during(Part::EnterVessel)?;
        }
        let vessel = descriptor::open(c".", libc::O_RDONLY | libc::O_DIRECTORY)
            .and_then(descriptor::above_contract)
            .during(Part::OpenVessel)?;
        descriptor::place_for_exec(inside.interpreter.as_fd(), inside.exec_number)
            .during(Part::PlaceInterpreter)?;
        let mut first_unused = 6;
        for (source, number) in &inside.places {
            descriptor::place(source.as_fd(), *number).during(Part::PlaceDescriptors)?;
            first_unused = first_unused.max(*number as u32 + 1);
        }
        descriptor::place(vessel.as_fd(), crate::plan::seccomp::VESSEL_DESCRIPTOR)
            .during(Part::PlaceDescriptors)?;
        descriptor::close_from_on_exec(first_unused).during(Part::CloseOthers)
    }
}

/// Mounts a file of the vessel over itself, read-only.
fn protect(tree: &OwnedFd, name: &std::ffi::CStr) -> Result<(), Failure> {
    let file = mount::detach(tree.as_fd(), name).during(Part::DetachReserved)?;
    let status = nix::sys::stat::fstat(file.as_fd()).map_err(Errno::from).during(Part::ReservedKind)?;
    if status.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(Errno(libc::EINVAL)).during(Part::ReservedKind);
    }
    mount::set_attributes(file.as_fd(), mount::HELD | libc::MOUNT_ATTR_RDONLY, None)
        .during(Part::ReservedAttributes)?;
    mount::attach(file.as_fd(), Some(tree.as_fd()), name).during(Part::AttachReserved)
}

/// Waits for the launcher's byte, and takes the mount that comes with it.
fn await_release(inside: &Inside) -> Sys<Option<OwnedFd>> {
    let Some(release) = &inside.release else { return Err(Errno(libc::EINVAL)) };
    descriptor::receive(release.as_fd())?.map(descriptor::above_contract).transpose()
}

fn change_ids(ids: Ids) -> Result<(), Failure> {
    process::become_user(ids.uid, ids.gid).during(Part::ChangeIds)
}

/// Empties all five sets. Whoever may not touch the bounding set has nothing in
/// the others either, and no_new_privs keeps it so over exec. Tells whether the
/// bounding set was emptied and the securebits locked.
fn drop_capabilities(plan: &Plan) -> Result<bool, Failure> {
    use caps::{CapSet, Capability};
    let locks = caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).unwrap_or(false);
    if locks {
        process::drop_bounding_set().during(Part::BoundingSet)?;
    }
    if let Some(Identity::Become(ids)) = plan.identity() {
        change_ids(ids)?;
    }
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Permitted] {
        // Clearing the permitted set clears the effective one with it.
        caps::clear(None, set).map_err(|_| Errno::last()).during(Part::ClearCapabilities)?;
    }
    Ok(locks)
}

fn enforce_landlock(inside: &mut Inside) -> Result<(), Failure> {
    let ruleset = inside.ruleset.take().ok_or(Errno(libc::EINVAL)).during(Part::Landlock)?;
    let status = ruleset.restrict_self().map_err(|_| Errno::last()).during(Part::Landlock)?;
    if status.ruleset == landlock::RulesetStatus::FullyEnforced && status.no_new_privs {
        Ok(())
    } else {
        Err(Errno(libc::EINVAL)).during(Part::LandlockPartly)
    }
}
