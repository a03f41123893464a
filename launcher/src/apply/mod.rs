//! Carries a plan out: builds the sandbox process and starts the interpreter
//! in it. What the launcher prepares is in `prepare`, what the new process
//! does to itself in `child`, what the launcher does for it as root in `ids`.

mod child;
mod error;
mod ids;
mod prepare;
pub mod scratch;
pub mod trial;

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

pub use error::LaunchError;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use seccompiler::BpfProgram;
pub use trial::Trials;

use crate::facts::Vessel;
use crate::plan::control::Action;
use crate::plan::Plan;
use crate::request::Request;
use crate::sys::process::{self, Cloned};
use crate::sys::shared::monotonic;
use crate::sys::{descriptor, Errno, Sys};
use prepare::{Inside, Outside};

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
    /// The filesystem in memory that took the vessel's place, with `--scratch`.
    pub scratch: Option<OwnedFd>,
    /// The uid the sandbox has on the host.
    pub host_uid: u32,
    /// Device and inode of the interpreter's file.
    pub interpreter: (u64, u64),
    /// What the sandbox found when it tried its own confinement.
    pub trials: Trials,
    /// The system call filter as it was installed.
    pub filter: Option<BpfProgram>,
    /// How long each step took, in order; empty unless measured.
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

/// Builds the sandbox that `plan` describes and starts the interpreter in it.
/// Returns once the interpreter has been executed, all its controls in force.
/// `meanwhile` is done while the child builds its sandbox by itself. With `measure`, the duration of each step is returned too.
///
/// The calling process must have one thread only: the child runs ordinary code
/// between `clone3` and `execveat`.
///
/// # Errors
/// The step that failed; nothing is left behind.
pub fn launch(
    plan: &Plan,
    request: &Request,
    vessel: &Vessel,
    cgroup: CgroupEntry,
    meanwhile: impl FnOnce(),
    measure: bool,
) -> Result<Launched, LaunchError> {
    let began = monotonic();
    let (mut inside, mut outside) = prepare::prepare(plan, request, vessel, cgroup, measure)?;
    let prepared = monotonic();
    let (pidfd, pid) = start_child(plan, request, &mut inside)?;
    let cloned = monotonic();

    let filter = inside.filter.take();
    let finished = finish(plan, request, inside, &outside, pid, meanwhile);
    let executed = monotonic();
    let finished = finished.and_then(|finished| Ok((finished, outside.scratch.take()?)));
    let ((marks, trials), scratch) = match finished {
        Ok(finished) => finished,
        Err(error) => {
            process::kill_and_reap(pidfd.as_fd());
            return Err(error);
        }
    };
    let timings =
        if measure { timings(plan, &marks, [began, prepared, cloned, executed]) } else { Vec::new() };
    let Outside { stdout, stderr, control, network, interpreter_identity, .. } = outside;
    Ok(Launched {
        pidfd,
        pid,
        stdout,
        stderr,
        control,
        broker_end: network,
        interpreter: interpreter_identity,
        trials,
        filter,
        scratch,
        host_uid: plan.identity().map_or(0, |identity| identity.on_host().uid),
        timings,
    })
}

/// Clones. `clone3` carries the current directory into the new mount
/// namespace, which it does not do for descriptors: so the launcher stands in
/// the vessel meanwhile.
fn start_child(plan: &Plan, request: &Request, inside: &mut Inside) -> Result<(OwnedFd, i32), LaunchError> {
    let home = descriptor::open(c".", libc::O_PATH)
        .map_err(|errno| LaunchError::new("opening the current directory", errno))?;
    process::enter(inside.vessel.as_fd())
        .map_err(|errno| LaunchError::vessel(request, "entering the vessel directory", errno))?;
    let cloned = process::clone_into(prepare::clone_flags(plan), inside.group());
    if matches!(cloned, Ok(Cloned::Child)) {
        child::run(plan, inside);
    }
    let returned = process::enter(home.as_fd());
    match cloned {
        Ok(Cloned::Parent { pidfd, pid }) => match returned {
            Ok(()) => Ok((pidfd, pid)),
            Err(errno) => {
                process::kill_and_reap(pidfd.as_fd());
                Err(LaunchError::new("returning to the current directory", errno))
            }
        },
        // Not reached: `child::run` never returns.
        Ok(Cloned::Child) => process::exit_now(child::FAILED),
        Err(errno) => Err(error::of_clone(plan, errno)),
    }
}

/// Does the launcher's part for the child and waits until it has executed the
/// interpreter. Returns the child's marks (index of the control, time) and what
/// its trials showed.
fn finish(
    plan: &Plan,
    request: &Request,
    mut inside: Inside,
    outside: &Outside,
    pid: i32,
    meanwhile: impl FnOnce(),
) -> Result<(Vec<(u32, u64)>, Trials), LaunchError> {
    if let Some(release) = &outside.release {
        ids::map_and_release(plan, request, &inside, release, pid)?;
    }
    let marks = inside.marks.take();
    // The child's ends must be closed here, or the pipe never ends.
    drop(inside);
    meanwhile();
    let mut said = [0u8; trial::MESSAGE + child::RECORD];
    let length = read_to_end(outside, &mut said)
        .map_err(|errno| LaunchError::new("waiting for the interpreter to start", errno))?;
    let (trials, failure) = match said[..length].first() {
        Some(&trial::MARKER) => said[..length].split_at(length.min(trial::MESSAGE)),
        _ => (&[][..], &said[..length]),
    };
    match failure {
        // Trials and no failure, and the pipe was closed by exec: the interpreter runs.
        [] if trials.len() == trial::MESSAGE => {
            Ok((marks.map_or_else(Vec::new, |marks| marks.read()), Trials::decode(trials)))
        }
        // It died while it was being built, of its memory limit perhaps: the
        // supervisor sees of what.
        [] => Ok((Vec::new(), Trials::default())),
        failure => match failure.try_into() {
            Ok(record) => Err(error::of_child(plan, request, record)),
            Err(_) => Err(LaunchError::new("reading the child's report", Errno(libc::EPROTO))),
        },
    }
}

/// Waits until the child's end of the pipe is closed, by exec or by its death, and
/// reads what was said. Waiting for the end alone saves a change of processes.
fn read_to_end(outside: &Outside, said: &mut [u8]) -> Sys<usize> {
    let mut set = [PollFd::new(outside.report.as_fd(), PollFlags::empty())];
    while let Err(errno) = poll(&mut set, PollTimeout::NONE) {
        if errno != nix::errno::Errno::EINTR {
            return Err(errno.into());
        }
    }
    let mut filled = 0;
    while filled < said.len() {
        match nix::unistd::read(outside.report.as_fd(), &mut said[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(filled)
}

/// Durations from the launcher's times [began, prepared, cloned, executed] and
/// the child's marks, which come one per control, steps of one name joined.
fn timings(plan: &Plan, marks: &[(u32, u64)], [began, prepared, cloned, executed]: [u64; 4]) -> Vec<Timing> {
    let took = |from: u64, to: u64| Duration::from_nanos(to.saturating_sub(from));
    let mut timings = vec![Timing { step: "prepare", took: took(began, prepared) }];
    let mut last = prepared;
    for &(index, at) in marks {
        let step = match plan.controls.get(index as usize) {
            Some(control) => control.action.name(),
            None => "clone",
        };
        match timings.last_mut() {
            Some(timing) if timing.step == step => timing.took += took(last, at),
            _ => timings.push(Timing { step, took: took(last, at) }),
        }
        last = at;
    }
    if marks.is_empty() {
        last = cloned;
    }
    timings.push(Timing { step: Action::Execute.name(), took: took(last, executed) });
    timings
}
