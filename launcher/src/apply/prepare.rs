//! What the launcher opens and computes before the child exists, so that the
//! child only has to make calls.

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use landlock::{
    AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, Scope,
};
use nix::fcntl::{FcntlArg, OFlag, SealFlag};
use nix::sys::memfd::MFdFlags;
use nix::sys::socket::{AddressFamily, SockFlag, SockType};

use super::scratch::{self, Scratch};
use super::{ids, CgroupEntry, LaunchError};
use crate::facts::Vessel;
use crate::filter;
use crate::plan::control::{Action, MapSource};
use crate::plan::identity::{Identity, Mapper};
use crate::plan::landlock::LandlockPlan;
use crate::plan::layer::Layer;
use crate::plan::scratch::{Maker, ScratchPlan};
use crate::plan::seccomp::FilterPlan;
use crate::plan::Plan;
use crate::request::Request;
use crate::sys::process::{self, Arguments};
use crate::sys::shared::Marks;
use crate::sys::{descriptor, mount, Errno};

/// What the child works with. The launcher drops its copy after the clone.
pub(super) struct Inside {
    /// The interpreter's file.
    pub interpreter: OwnedFd,
    /// Where it goes before exec.
    pub exec_number: i32,
    /// Its arguments.
    pub arguments: Arguments,
    /// The vessel directory, in the launcher's mount namespace.
    pub vessel: OwnedFd,
    /// The vessel as a detached id-mapped mount, where the launcher could make
    /// it before the child existed.
    pub tree: Option<OwnedFd>,
    /// Where the child hands over the scratch vessel that it makes.
    pub hand_over: Option<OwnedFd>,
    /// The launcher itself.
    pub launcher: OwnedFd,
    /// The host's root directory, which Landlock closes: tried by the child, gone
    /// at exec.
    pub host_root: OwnedFd,
    /// Descriptors 0, 1, 2, 3, 5 and perhaps 6 of the interpreter.
    pub places: Vec<(OwnedFd, i32)>,
    /// Where the child writes what failed; closed by exec.
    pub report: OwnedFd,
    /// Where the child waits until the launcher has mapped its ids.
    pub release: Option<OwnedFd>,
    /// The Landlock ruleset.
    pub ruleset: Option<RulesetCreated>,
    /// The system call filter.
    pub filter: Option<seccompiler::BpfProgram>,
    /// Names in the vessel that are mounted read-only.
    pub reserved: Vec<CString>,
    /// The control groups.
    pub cgroup: CgroupEntry,
    /// Where the child notes the time of its steps.
    pub marks: Option<Marks>,
}

/// What the launcher keeps.
pub(super) struct Outside {
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    pub control: OwnedFd,
    pub network: Option<OwnedFd>,
    pub report: OwnedFd,
    pub release: Option<OwnedFd>,
    /// Device and inode of the interpreter's file.
    pub interpreter_identity: (u64, u64),
    /// The scratch vessel.
    pub scratch: Scratch,
}

impl Inside {
    /// The v2 group to clone into.
    pub fn group(&self) -> Option<BorrowedFd<'_>> {
        self.cgroup.v2_directory.as_ref().map(|directory| directory.as_fd())
    }
}

/// The namespaces of the plan as flags of `clone3`.
pub(super) fn clone_flags(plan: &Plan) -> u64 {
    let mut flags = 0;
    for control in &plan.controls {
        if let Action::Namespaces(namespaces) = control.action {
            let mut add = |wanted: bool, flag: libc::c_int| {
                if wanted {
                    flags |= flag as u64;
                }
            };
            add(namespaces.user, libc::CLONE_NEWUSER);
            add(namespaces.mount, libc::CLONE_NEWNS);
            add(namespaces.network, libc::CLONE_NEWNET);
            let others = libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
            add(namespaces.others, others);
        }
    }
    flags
}

/// Opens and computes all of it.
pub(super) fn prepare(
    plan: &Plan,
    request: &Request,
    vessel_facts: &Vessel,
    cgroup: CgroupEntry,
    measure: bool,
) -> Result<(Inside, Outside), LaunchError> {
    let failed = |doing: &'static str| move |errno: Errno| LaunchError::new(doing, errno);
    descriptor::fill_standard().map_err(failed("opening /dev/null for a closed standard stream"))?;

    // The child's number for the interpreter's file may lie above the soft
    // limit, and the launcher itself holds a few dozen.
    descriptor::raise_open_files().map_err(failed("raising the soft limit of open files"))?;
    let null = descriptor::open(c"/dev/null", libc::O_RDONLY)
        .and_then(descriptor::above_contract)
        .map_err(failed("opening /dev/null"))?;
    // All that is opened from here on, by crates too, lies above the numbers
    // that the child fills, so that filling them overwrites no source.
    let held = descriptor::hold_contract(null.as_fd()).map_err(failed("reserving descriptors"))?;
    let host_root = descriptor::open(c"/", libc::O_PATH | libc::O_DIRECTORY)
        .map_err(failed("opening the root directory"))?;
    let (interpreter, interpreter_identity) = open_interpreter(request)?;
    let vessel = open_vessel(request, vessel_facts)?;
    let (stdout, stdout_inside) = pipe().map_err(failed("making the pipe for standard output"))?;
    let (stderr, stderr_inside) = pipe().map_err(failed("making the pipe for standard error"))?;
    let (control, control_inside) = channel().map_err(failed("making the control channel"))?;
    let (report, report_inside) = pipe().map_err(failed("making the pipe for reports of the start"))?;
    let start_block =
        sealed_memory(&request.start_block).map_err(failed("writing the start block to a memory file"))?;
    for (descriptor, what) in
        [(&stdout, "standard output"), (&stderr, "standard error"), (&control, "control")]
    {
        nix::fcntl::fcntl(descriptor, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
            .map_err(|errno| LaunchError::new(format!("making {what} non-blocking"), errno.into()))?;
    }
    let mut places =
        vec![(null, 0), (stdout_inside, 1), (stderr_inside, 2), (control_inside, 3), (start_block, 5)];

    let mut network = None;
    let mut release = (None, None);
    let mut tree = None;
    let mut ruleset = None;
    let mut reserved = Vec::new();
    let (mut scratch, mut hand_over) = (Scratch::None, None);
    let mut exec_from = 0;
    for control in &plan.controls {
        match &control.action {
            Action::Identity(Identity::Mapped { by: Mapper::Launcher, .. }) => {
                let (ours, theirs) = channel().map_err(failed("making the channel for id maps"))?;
                release = (Some(ours), Some(theirs));
            }
            Action::Idmap { owner, run, by: MapSource::Helper } => {
                tree = Some(ids::tree_by_helper(request, &vessel, *owner, *run)?);
            }
            Action::Scratch(ScratchPlan { by: Maker::Sandbox, .. }) => {
                let (ours, theirs) =
                    channel().map_err(failed("making the channel for the scratch vessel"))?;
                (scratch, hand_over) = (Scratch::Awaited(ours), Some(theirs));
            }
            Action::Scratch(plan) => {
                let made = scratch::by_launcher(plan, request, &vessel)?;
                let kept = made
                    .try_clone()
                    .map_err(|error| LaunchError::new("keeping the scratch vessel", Errno::from(error)))?;
                (scratch, tree) = (Scratch::Made(kept), Some(made));
            }
            Action::Root { reserved: names } => {
                reserved = names.iter().map(c_string).collect::<Result<_, _>>()?;
            }
            Action::Descriptors { exec_from: from, network: wanted } => {
                exec_from = *from;
                if *wanted {
                    let (ours, theirs) = channel().map_err(failed("making the network channel"))?;
                    network = Some(ours);
                    places.push((theirs, 6));
                }
            }
            Action::Landlock(landlock) => {
                ruleset = match &scratch {
                    Scratch::None => Some(build_ruleset(landlock, &interpreter, &vessel)?),
                    Scratch::Made(made) => Some(build_ruleset(landlock, &interpreter, made)?),
                    // The child makes it, as it makes the filesystem.
                    Scratch::Awaited(_) => None,
                };
            }
            _ => {}
        }
    }
    let launcher = process::own_pidfd().map_err(failed("opening the launcher's own pidfd"))?;
    let exec_number = free_number(exec_from)?;
    let filter = plan.controls.iter().find_map(|control| match &control.action {
        Action::Filter(filter) => Some(filter),
        _ => None,
    });
    let filter = filter.map(|filter| compile_filter(filter, exec_number)).transpose()?;
    let marks = if measure {
        Some(Marks::new().map_err(failed("mapping a page for the times of the steps"))?)
    } else {
        None
    };
    let inside = Inside {
        interpreter,
        exec_number,
        arguments: arguments(request)?,
        vessel,
        tree,
        hand_over,
        launcher,
        host_root,
        places,
        report: report_inside,
        release: release.1,
        ruleset,
        filter,
        reserved,
        cgroup: move_up(cgroup).map_err(failed("opening the control groups"))?,
        marks,
    };
    drop(held);
    let outside = Outside {
        stdout,
        stderr,
        control,
        network,
        report,
        release: release.0,
        interpreter_identity,
        scratch,
    };
    Ok((inside, outside))
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC)?)
}

fn channel() -> Result<(OwnedFd, OwnedFd), Errno> {
    let kind = SockType::SeqPacket;
    Ok(nix::sys::socket::socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)?)
}

fn move_up(cgroup: CgroupEntry) -> Result<CgroupEntry, Errno> {
    Ok(CgroupEntry {
        v2_directory: cgroup.v2_directory.map(descriptor::above_contract).transpose()?,
        v1_tasks: cgroup.v1_tasks.into_iter().map(descriptor::above_contract).collect::<Result<_, _>>()?,
    })
}

/// A memory file with these bytes that nobody can change any more.
fn sealed_memory(bytes: &[u8]) -> Result<OwnedFd, Errno> {
    let file =
        nix::sys::memfd::memfd_create(c"start-block", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    descriptor::write_all(file.as_fd(), bytes)?;
    nix::unistd::lseek(file.as_fd(), 0, nix::unistd::Whence::SeekSet)?;
    let seals =
        SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    nix::fcntl::fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}

fn open_interpreter(request: &Request) -> Result<(OwnedFd, (u64, u64)), LaunchError> {
    let path = &request.interpreter;
    let failed = |errno: Errno| LaunchError::interpreter(request, "opening", errno);
    let c_path = CString::new(path.as_os_str().as_bytes()).map_err(|_| failed(Errno(libc::EINVAL)))?;
    let file = descriptor::open(&c_path, libc::O_PATH).map_err(failed)?;
    let status = nix::sys::stat::fstat(file.as_fd()).map_err(|errno| failed(errno.into()))?;
    if status.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(LaunchError::interpreter(request, "it is not a regular file", Errno(0)));
    }
    if status.st_mode & 0o111 == 0 {
        return Err(LaunchError::interpreter(request, "it is not executable", Errno(0)));
    }
    Ok((file, (status.st_dev, status.st_ino)))
}

/// Opens the vessel and checks that it is the directory that was planned for.
fn open_vessel(request: &Request, facts: &Vessel) -> Result<OwnedFd, LaunchError> {
    let failed = |errno: Errno| LaunchError::vessel(request, "opening the vessel directory", errno);
    let path =
        CString::new(request.vessel.as_os_str().as_bytes()).map_err(|_| failed(Errno(libc::EINVAL)))?;
    let directory = descriptor::open(&path, libc::O_PATH | libc::O_DIRECTORY).map_err(failed)?;
    let status = nix::sys::stat::fstat(directory.as_fd()).map_err(|errno| failed(errno.into()))?;
    if (status.st_dev, status.st_ino) != facts.identity {
        return Err(LaunchError::vessel(
            request,
            "the vessel directory was replaced while the run was being prepared",
            Errno(0),
        ));
    }
    Ok(directory)
}

fn c_string(text: &OsString) -> Result<CString, LaunchError> {
    CString::new(text.clone().into_vec()).map_err(|_| {
        let mut error =
            LaunchError::new(format!("'{}' holds a zero byte", text.to_string_lossy()), Errno(libc::EINVAL));
        error.usage = true;
        error
    })
}

fn arguments(request: &Request) -> Result<Arguments, LaunchError> {
    let mut strings = vec![c"repy-interp".to_owned()];
    for argument in &request.arguments {
        strings.push(c_string(argument)?);
    }
    Ok(Arguments::new(strings))
}

/// The first number from `from` on that no descriptor has: the filter pins it.
fn free_number(from: u64) -> Result<i32, LaunchError> {
    let from = i32::try_from(from).unwrap_or(i32::MAX);
    (from..i32::MAX).take(64).find(|number| descriptor::is_free(*number)).ok_or_else(|| {
        LaunchError::new("finding a free number for the interpreter's descriptor", Errno(libc::EMFILE))
    })
}

fn compile_filter(plan: &FilterPlan, exec_number: i32) -> Result<seccompiler::BpfProgram, LaunchError> {
    let plan = FilterPlan { exec_descriptor: exec_number, ..plan.clone() };
    filter::interpreter(&plan).map_err(|error| {
        let mut failure = LaunchError::new(error.to_string(), Errno(0));
        failure.layer = Some(Layer::Seccomp);
        failure
    })
}

/// Bits as the landlock crate's type.
fn fs_flags(bits: u64) -> Result<BitFlags<AccessFs>, String> {
    BitFlags::from_bits(bits).map_err(|_| format!("file right {bits:#x} is unknown"))
}

/// Makes the ruleset. Rights were probed bit by bit, so that all that is asked
/// for exists, and anything less than all of it is an error.
pub(super) fn build_ruleset(
    plan: &LandlockPlan,
    interpreter: &OwnedFd,
    vessel: &OwnedFd,
) -> Result<RulesetCreated, LaunchError> {
    let build = || -> Result<RulesetCreated, Box<dyn std::error::Error>> {
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(fs_flags(plan.handled_fs)?)?;
        if plan.handled_net != 0 {
            ruleset = ruleset.handle_access(BitFlags::<AccessNet>::from_bits_truncate(plan.handled_net))?;
        }
        if plan.scoped != 0 {
            ruleset = ruleset.scope(BitFlags::<Scope>::from_bits_truncate(plan.scoped))?;
        }
        let mut ruleset =
            ruleset.create()?.add_rule(PathBeneath::new(interpreter.as_fd(), fs_flags(plan.interpreter)?))?;
        if plan.vessel != 0 {
            let rights = fs_flags(plan.vessel)?;
            ruleset = ruleset.add_rule(PathBeneath::new(vessel.as_fd(), rights))?;
        }
        for (name, rights) in &plan.files {
            let name = CString::new(name.as_str())?;
            match descriptor::open_at(vessel.as_fd(), &name, libc::O_PATH | libc::O_NOFOLLOW) {
                Ok(file) => {
                    let rights = fs_flags(*rights)?;
                    ruleset = ruleset.add_rule(PathBeneath::new(file.as_fd(), rights))?;
                }
                // Gone since it was planned for: then nothing is granted.
                Err(Errno(libc::ENOENT)) => {}
                Err(Errno(code)) => return Err(std::io::Error::from_raw_os_error(code).into()),
            }
        }
        if plan.log {
            ruleset = ruleset.log_new_exec(true)?;
        }
        Ok(ruleset)
    };
    let ruleset = build().map_err(|error| {
        let mut failure = LaunchError::new(format!("making the Landlock ruleset: {error}"), Errno(0));
        failure.layer = Some(Layer::Landlock);
        failure
    })?;
    Ok(ruleset)
}

/// Detaches the vessel as a mount that shows the ids through `namespace`.
pub(super) fn idmapped_tree(
    request: &Request,
    vessel: &OwnedFd,
    namespace: BorrowedFd<'_>,
) -> Result<OwnedFd, LaunchError> {
    let tree = mount::detach(vessel.as_fd(), c"")
        .map_err(|errno| LaunchError::vessel(request, "detaching the mount of the vessel", errno))?;
    mount::set_attributes(tree.as_fd(), mount::HELD, Some(namespace)).map_err(|errno| {
        let mut failure =
            LaunchError::new(format!("mapping the ids of the vessel '{}'", request.vessel.display()), errno);
        failure.layer = Some(Layer::Idmap);
        if errno == Errno(libc::EINVAL) {
            failure.hint = Some(
                "its filesystem does not support id-mapped mounts (overlayfs, as in containers, does not; tmpfs \
                 from kernel 6.3 on)"
                    .to_owned(),
            );
        }
        failure
    })?;
    Ok(tree)
}
