//! The scratch vessel: a filesystem in memory, filled with the vessel's files.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::dir::Dir;
use nix::fcntl::{openat, OFlag};
use nix::sys::stat::{fchmod, fstat, fstatat, FileStat, Mode};
use nix::unistd::{fchown, read, Gid, Uid};

use super::child::{During, Failure, Part};
use super::ids;
use super::prepare::{build_ruleset, Inside};
use super::LaunchError;
use crate::plan::control::Action;
use crate::plan::identity::Ids;
use crate::plan::layer::Layer;
use crate::plan::scratch::{Maker, ScratchPlan, ENTRY};
use crate::plan::Plan;
use crate::request::{Request, Reserved};
use crate::sys::{descriptor, mount, Errno, Sys};
use crate::terminal::SlowWork;

/// How the launcher comes by the scratch vessel, to watch its use.
#[derive(Debug)]
pub(super) enum Scratch {
    /// There is none.
    None,
    /// It made it itself.
    Made(OwnedFd),
    /// The sandbox's process makes it and sends it here.
    Awaited(OwnedFd),
}

impl Scratch {
    /// The filesystem, after the sandbox's process was started.
    pub fn take(&mut self) -> Result<Option<OwnedFd>, LaunchError> {
        match std::mem::replace(self, Scratch::None) {
            Scratch::None => Ok(None),
            Scratch::Made(tree) => Ok(Some(tree)),
            Scratch::Awaited(socket) => match descriptor::receive(socket.as_fd()) {
                Ok(Some(tree)) => Ok(Some(tree)),
                // It died before; the supervisor sees of what.
                Err(Errno(libc::EPIPE)) => Ok(None),
                Ok(None) => Err(LaunchError::new("receiving the scratch vessel", Errno(libc::EPROTO))),
                Err(errno) => Err(LaunchError::new("receiving the scratch vessel", errno)),
            },
        }
    }
}

/// The disk use that a copy of `vessel` begins with, counted as the account
/// counts it.
///
/// # Errors
/// The directory cannot be read.
pub fn survey(vessel: BorrowedFd<'_>, reserved: &[Reserved]) -> io::Result<u64> {
    let mut total = 0u64;
    let is_reserved = is_reserved(reserved);
    let mut work = SlowWork::new("counting the files of the vessel");
    let counted = for_each_file(vessel, &is_reserved, |_, status| {
        work.goes_on();
        total = total.saturating_add(ENTRY).saturating_add(u64::try_from(status.st_size).unwrap_or(0));
        Ok(())
    });
    counted.map(|()| total).map_err(|Errno(code)| io::Error::from_raw_os_error(code))
}

fn is_reserved(reserved: &[Reserved]) -> impl Fn(&CStr) -> bool + '_ {
    |name| reserved.iter().any(|file| file.name.as_encoded_bytes() == name.to_bytes())
}

/// Goes through what is copied: regular files with one name, for a program can
/// open nothing else in its vessel, and the operator's own.
fn for_each_file(
    vessel: BorrowedFd<'_>,
    is_reserved: &dyn Fn(&CStr) -> bool,
    mut act: impl FnMut(&CStr, &FileStat) -> Sys<()>,
) -> Sys<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    for entry in Dir::openat(vessel, ".", flags, Mode::empty())?.into_iter() {
        let name = entry?.file_name().to_owned();
        match fstatat(vessel, name.as_c_str(), nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(status) if is_copied(&status, is_reserved(&name)) => act(&name, &status)?,
            // Removed in between, or nothing that is copied.
            Ok(_) | Err(nix::errno::Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn is_copied(status: &FileStat, reserved: bool) -> bool {
    status.st_mode & libc::S_IFMT == libc::S_IFREG && (reserved || status.st_nlink == 1)
}

/// Makes and fills the scratch vessel as root.
pub(super) fn by_launcher(
    plan: &ScratchPlan,
    request: &Request,
    vessel: &OwnedFd,
) -> Result<OwnedFd, LaunchError> {
    let tree = make(plan).map_err(|errno| {
        let mut failure = LaunchError::new(Part::MakeScratch.text(), errno);
        failure.layer = Some(Layer::Mountns);
        failure
    })?;
    fill(vessel.as_fd(), tree.as_fd(), plan, &is_reserved(&request.reserved)).map_err(
        |errno| match errno {
            Errno(libc::ENOSPC) => too_much(request, None),
            errno => LaunchError::vessel(request, Part::FillScratch.text(), errno),
        },
    )?;
    Ok(tree)
}

/// What is said of a vessel that does not fit.
pub fn too_much(request: &Request, used: Option<u64>) -> LaunchError {
    let diskused = request.demand.diskused;
    let used = used.map(|used| format!(" {used} bytes, 4096 for each file among them,")).unwrap_or_default();
    let doing = format!(
        "its files take{used} more than 'resource diskused {}' (line {}), which is where the scratch vessel is full",
        diskused.value, diskused.line
    );
    LaunchError::vessel(request, &doing, Errno(0))
}

/// Makes, fills and hands over the scratch vessel in the sandbox's own user
/// namespace, with the Landlock ruleset that belongs to it.
pub(super) fn in_sandbox(plan: &ScratchPlan, all: &Plan, inside: &mut Inside) -> Result<OwnedFd, Failure> {
    let tree = make(plan).and_then(descriptor::above_contract).during(Part::MakeScratch)?;
    // The current directory is the vessel: see `start_child`.
    let vessel = descriptor::open(c".", libc::O_PATH | libc::O_DIRECTORY)
        .and_then(descriptor::above_contract)
        .during(Part::FillScratch)?;
    let is_reserved = |name: &CStr| inside.reserved.iter().any(|reserved| reserved.as_c_str() == name);
    fill(vessel.as_fd(), tree.as_fd(), plan, &is_reserved).during(Part::FillScratch)?;
    let landlock = all.controls.iter().find_map(|control| match &control.action {
        Action::Landlock(landlock) => Some(landlock),
        _ => None,
    });
    if let Some(landlock) = landlock {
        let ruleset = build_ruleset(landlock, &inside.interpreter, &tree);
        inside.ruleset = Some(ruleset.map_err(|error| Errno(error.errno)).during(Part::ScratchRules)?);
    }
    let launcher = inside.hand_over.take().ok_or(Errno(libc::EINVAL)).during(Part::HandOverScratch)?;
    ids::send(launcher.as_fd(), Some(&tree)).during(Part::HandOverScratch)?;
    Ok(tree)
}

fn make(plan: &ScratchPlan) -> Sys<OwnedFd> {
    let number = |number: u64| CString::new(number.to_string()).map_err(|_| Errno(libc::EINVAL));
    mount::memory_filesystem(&[
        (c"size", number(plan.size())?),
        (c"nr_inodes", number(plan.inodes())?),
        (c"uid", number(plan.owner.uid.into())?),
        (c"gid", number(plan.owner.gid.into())?),
        (c"mode", c"0700".to_owned()),
    ])
}

/// Copies the files. As an ordinary user those that it can read, which become
/// its own; as root all, each with its owner, but that the vessel's owner
/// becomes the sandbox.
fn fill(
    vessel: BorrowedFd<'_>,
    tree: BorrowedFd<'_>,
    plan: &ScratchPlan,
    is_reserved: &dyn Fn(&CStr) -> bool,
) -> Sys<()> {
    let mut buffer = vec![0u8; 64 << 10];
    let mut work = SlowWork::new("copying the files of the vessel");
    for_each_file(vessel, is_reserved, |name, _| {
        // A child of the launcher has no terminal to tell it on.
        work.goes_on();
        // It may have become something else since it was looked at: never waits, never
        // follows.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let from = match openat(vessel, name, flags, Mode::empty()) {
            Ok(from) => from,
            Err(nix::errno::Errno::EACCES | nix::errno::Errno::ENOENT | nix::errno::Errno::ELOOP) => {
                return Ok(());
            }
            Err(errno) => return Err(errno.into()),
        };
        let status = fstat(&from)?;
        if !is_copied(&status, is_reserved(name)) {
            return Ok(());
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let to = openat(tree, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        loop {
            match read(&from, &mut buffer) {
                Ok(0) => break,
                // A file that grows meanwhile ends where the memory does.
                Ok(length) => descriptor::write_all(to.as_fd(), &buffer[..length])?,
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        if let Maker::Launcher { disk } = plan.by {
            let Ids { uid, gid } = owner(&status, disk, plan.owner);
            fchown(&to, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        fchmod(&to, Mode::from_bits_truncate(status.st_mode & 0o777))?;
        Ok(())
    })
}

/// To whom a copy belongs.
fn owner(status: &FileStat, disk: Ids, sandbox: Ids) -> Ids {
    let one = |found: u32, disk: u32, sandbox: u32| if found == disk { sandbox } else { found };
    Ids { uid: one(status.st_uid, disk.uid, sandbox.uid), gid: one(status.st_gid, disk.gid, sandbox.gid) }
}
