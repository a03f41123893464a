//! What root does for the child: its id maps, and the vessel's mount that
//! shows the owner's files as the sandbox's own.

use std::ffi::CString;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, MsgFlags};

use super::prepare::{idmapped_tree, Inside};
use super::LaunchError;
use crate::plan::control::{Action, MapSource};
use crate::plan::identity::{Identity, Ids, Mapper};
use crate::plan::layer::Layer;
use crate::plan::Plan;
use crate::request::Request;
use crate::sys::process::{self, Cloned};
use crate::sys::{descriptor, Errno, Sys};

/// Maps the ids of the waiting child and lets it go on, with the id-mapped
/// mount of the vessel where the plan has one.
pub(super) fn map_and_release(
    plan: &Plan,
    request: &Request,
    inside: &Inside,
    release: &OwnedFd,
    pid: i32,
) -> Result<(), LaunchError> {
    let mut tree = None;
    for control in &plan.controls {
        match control.action {
            Action::Identity(Identity::Mapped { inner, outer, by: Mapper::Launcher }) => {
                map(pid, inner, outer).map_err(of_map)?;
            }
            Action::Idmap { by: MapSource::Sandbox, .. } => {
                let namespace = user_namespace(pid).map_err(of_map)?;
                tree = Some(idmapped_tree(request, &inside.vessel, namespace.as_fd())?);
            }
            _ => {}
        }
    }
    send(release.as_fd(), tree.as_ref())
        .map_err(|errno| LaunchError::new("releasing the child after mapping its ids", errno))
}

fn of_map(errno: Errno) -> LaunchError {
    let mut failure = LaunchError::new("mapping the ids of the sandbox", errno);
    failure.layer = Some(Layer::Userns);
    failure
}

/// Maps one user and one group of a process in a new user namespace.
fn map(pid: i32, inner: Ids, outer: Ids) -> Sys<()> {
    for (file, inner, outer) in [("gid_map", inner.gid, outer.gid), ("uid_map", inner.uid, outer.uid)] {
        let path = CString::new(format!("/proc/{pid}/{file}")).map_err(|_| Errno(libc::EINVAL))?;
        process::write_file(&path, format!("{inner} {outer} 1").as_bytes())?;
    }
    Ok(())
}

fn user_namespace(pid: i32) -> Sys<OwnedFd> {
    let path = CString::new(format!("/proc/{pid}/ns/user")).map_err(|_| Errno(libc::EINVAL))?;
    descriptor::open(&path, libc::O_RDONLY)
}

/// Sends one byte, and a descriptor with it if there is one.
pub(super) fn send(release: BorrowedFd<'_>, tree: Option<&OwnedFd>) -> Sys<()> {
    let numbers: Vec<RawFd> = tree.map(|tree| tree.as_raw_fd()).into_iter().collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let messages: &[ControlMessage<'_>] = if numbers.is_empty() { &[] } else { &rights };
    nix::sys::socket::sendmsg::<()>(
        release.as_raw_fd(),
        &[IoSlice::new(&[1])],
        messages,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

/// Makes the id-mapped mount of the vessel when the sandbox has no user
/// namespace of its own: a helper process lends one and ends.
pub(super) fn tree_by_helper(
    request: &Request,
    vessel: &OwnedFd,
    owner: Ids,
    run: Ids,
) -> Result<OwnedFd, LaunchError> {
    let failed = |errno: Errno| LaunchError::new("making a user namespace for the vessel's id map", errno);
    let launcher = process::own_pidfd().map_err(failed)?;
    let cloned = process::clone_into(libc::CLONE_NEWUSER as u64, None).map_err(failed)?;
    let Cloned::Parent { pidfd, pid } = cloned else { process::wait_to_be_killed(launcher.as_fd()) };
    let made = map(pid, owner, run)
        .and_then(|()| user_namespace(pid))
        .map_err(of_map)
        .and_then(|namespace| idmapped_tree(request, vessel, namespace.as_fd()));
    process::kill_and_reap(pidfd.as_fd());
    made
}
