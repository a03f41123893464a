//! A start that failed, told to the operator.

use std::fmt;

use super::child::{Part, RECORD};
use crate::plan::control::Action;
use crate::plan::layer::Layer;
use crate::plan::Plan;
use crate::request::Request;
use crate::sys::Errno;

/// A step of the start that failed: exit status 4 (2 where `usage` is set).
#[derive(Debug)]
pub struct LaunchError {
    /// The layer the failed step belongs to, where it is one of them.
    pub layer: Option<Layer>,
    /// What was being done, on what.
    pub doing: String,
    /// The kernel's answer (`errno(3)`); 0 where the text says it all.
    pub errno: i32,
    /// What the operator can do or what it means, where that is known.
    pub hint: Option<String>,
    /// Whether the fault lies in what the command line names (exit status 2).
    pub usage: bool,
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.usage {
            f.write_str("the sandbox cannot be established: ")?;
        }
        if let Some(layer) = self.layer {
            write!(f, "layer '{layer}': ")?;
        }
        f.write_str(&self.doing)?;
        if self.errno != 0 {
            write!(f, ": {}", nix::errno::Errno::from_raw(self.errno).desc())?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  {hint}")?;
        }
        if let Some(layer) = self.layer {
            write!(f, "\n  it would have held: {}", layer.holds())?;
            write!(f, "\n  to provide it: {}", layer.remedy())?;
            write!(f, "\n  to run without it: --without {layer}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LaunchError {}

impl LaunchError {
    pub(super) fn new(doing: impl Into<String>, Errno(errno): Errno) -> LaunchError {
        LaunchError { layer: None, doing: doing.into(), errno, hint: None, usage: false }
    }

    /// A fault of the vessel the command line names.
    pub(super) fn vessel(request: &Request, doing: &str, errno: Errno) -> LaunchError {
        let mut error = LaunchError::new(format!("vessel '{}': {doing}", request.vessel.display()), errno);
        error.usage = true;
        error
    }

    /// A fault of the interpreter's file.
    pub(super) fn interpreter(request: &Request, doing: &str, errno: Errno) -> LaunchError {
        let mut error =
            LaunchError::new(format!("interpreter '{}': {doing}", request.interpreter.display()), errno);
        error.usage = true;
        error
    }
}

/// `clone3` failed.
pub(super) fn of_clone(plan: &Plan, errno: Errno) -> LaunchError {
    let namespaces = plan.controls.iter().any(
        |control| matches!(control.action, Action::Namespaces(n) if n.user || n.mount || n.network || n.others),
    );
    let mut error = LaunchError::new("making the sandbox's process", errno);
    match errno.0 {
        libc::EPERM | libc::ENOSPC | libc::EUSERS if namespaces => {
            let user = plan.enforced.contains(Layer::Userns);
            error.layer = Some(if user { Layer::Userns } else { Layer::Mountns });
            error.hint = Some(match errno.0 {
                libc::EPERM => "this host forbids new namespaces".to_owned(),
                _ => "the limit of namespaces is reached".to_owned(),
            });
        }
        // No kernel that is supported lacks clone3: a filter says so.
        libc::ENOSYS => {
            error.hint = Some(
                "a container's system call filter forbids the call clone3; give the container, as root \
                 --cap-add SYS_ADMIN, as an ordinary user --security-opt seccomp=unconfined"
                    .to_owned(),
            );
        }
        libc::EBUSY | libc::EACCES | libc::EOPNOTSUPP | libc::ENODEV => {
            error.layer = Some(Layer::Cgroup);
            error.hint = Some("the new process cannot be placed in its control group".to_owned());
        }
        libc::EAGAIN => error.hint = Some("the limit of processes is reached".to_owned()),
        _ => {}
    }
    error
}

/// The child reported a failure.
pub(super) fn of_child(plan: &Plan, request: &Request, record: [u8; RECORD]) -> LaunchError {
    let control = plan.controls.get(usize::from(record[0]));
    let part = Part::from_number(record[1]);
    let file = u16::from_le_bytes([record[2], record[3]]);
    let errno = Errno(i32::from_le_bytes([record[4], record[5], record[6], record[7]]));
    let (Some(control), Some(part)) = (control, part) else {
        return LaunchError::new("reading the child's report", Errno(libc::EPROTO));
    };
    let mut error = match part {
        Part::Execute => LaunchError::interpreter(request, "executing", errno),
        Part::OpenVessel | Part::EnterVessel => LaunchError::vessel(request, part.text(), errno),
        Part::DetachReserved | Part::ReservedKind | Part::ReservedAttributes | Part::AttachReserved => {
            let name = match &control.action {
                Action::Root { reserved } => reserved.get(usize::from(file)),
                _ => None,
            };
            let name = name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let mut error = LaunchError::new(format!("{} '{name}' in the vessel", part.text()), errno);
            error.usage = part == Part::ReservedKind;
            error
        }
        _ => {
            let mut error = LaunchError::new(part.text(), errno);
            error.layer = control.layer;
            error
        }
    };
    error.hint = hint(part, errno);
    error
}

/// What a failure means, where experience tells.
fn hint(part: Part, Errno(errno): Errno) -> Option<String> {
    let text = match (part, errno) {
        (Part::Execute, libc::ENOENT) => {
            "it is not a static binary: inside the sandbox there is no dynamic linker and no script interpreter"
        }
        (Part::Execute, libc::EACCES) => {
            "it must be readable and executable for everybody: as root the sandbox runs under a uid of its own"
        }
        (Part::Execute, libc::ENOEXEC) => "it is not an executable of this machine",
        (Part::ReservedKind, _) => {
            "a file that belongs to the operator must be a regular file, not a link, directory, pipe or device"
        }
        (Part::DetachVessel, libc::EINVAL) => {
            "other filesystems are mounted below the vessel; choose a directory without mounts in it"
        }
        (
            Part::MapUid | Part::MapGid | Part::DenySetgroups | Part::HostName | Part::PrivateMounts | Part::DetachVessel,
            libc::EPERM | libc::EACCES,
        ) => {
            "user namespaces can be made here but give no privilege: AppArmor restricts them \
             (kernel.apparmor_restrict_unprivileged_userns), or a container's own system call filter does"
        }
        (Part::FillScratch, libc::ENOSPC) => {
            "the vessel's files take more than the policy's diskused, which is where the scratch vessel is full"
        }
        (Part::PivotRoot, libc::EINVAL) => {
            "the root directory of this system is the initial ramfs, which the kernel lets nobody replace; start \
             repy-launch from a root filesystem (switch_root)"
        }
        (Part::PivotRoot, libc::EPERM) => {
            "a container's system call filter forbids pivot_root (Docker's does even with SYS_ADMIN): give the \
             container --security-opt seccomp=unconfined"
        }
        (Part::OpenVessel, libc::EACCES) => "the sandbox must be allowed to read the vessel directory",
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::demand::Demand;
    use crate::testing::{plain_request, user_host};

    /// What filters of containers refuse is named with the container's option.
    #[test]
    fn a_containers_filter_is_told_with_the_option_against_it() {
        let policy = policies::PolicyBuilder::new(0.1, 10_000_000, 10_000_000).build();
        let plan =
            crate::plan::plan(&plain_request(Demand::of(&policy, true)), &user_host()).expect("a plan");
        let said = of_clone(&plan, Errno(libc::ENOSYS)).to_string();
        assert!(said.contains("clone3") && said.contains("--security-opt seccomp=unconfined"), "{said}");
        let said = of_clone(&plan, Errno(libc::EPERM)).to_string();
        assert!(said.contains("forbids new namespaces") && said.contains("--without userns"), "{said}");
        let said = hint(Part::PivotRoot, Errno(libc::EPERM)).unwrap_or_default();
        assert!(said.contains("pivot_root") && said.contains("--security-opt seccomp=unconfined"), "{said}");
        assert_eq!(hint(Part::Execute, Errno(libc::EIO)), None);
    }
}
