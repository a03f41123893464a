//! What this host offers, found out by asking the kernel, without changing
//! anything.

mod kernel;

pub use kernel::Kernel;

use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use crate::plan::demand::{FileAccess, Names};
use crate::request::Request;
use crate::sys::{self, descriptor, process, Errno};

/// Whether the host offers something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does.
    Yes,
    /// It does not.
    No {
        /// What was found, in one clause.
        reason: String,
        /// What the operator can do, where more is known than the layer's own
        /// remedy.
        remedy: Option<String>,
    },
}

impl Support {
    /// It does not, for this reason.
    pub fn no(reason: impl Into<String>) -> Support {
        Support::No { reason: reason.into(), remedy: None }
    }

    /// What the search for a control group came to.
    pub fn of_group<T>(found: &Result<T, crate::cgroup::Missing>) -> Support {
        match found {
            Ok(_) => Support::Yes,
            Err(missing) => {
                Support::No { reason: missing.reason.clone(), remedy: Some(missing.remedy.clone()) }
            }
        }
    }
}

/// On whose authority the launcher runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Root of the host, able to mount and to map ids.
    HostRoot,
    /// Uid 0 of the host without CAP_SYS_ADMIN, CAP_SETUID or CAP_SETGID, as
    /// in a container without its own user namespace.
    PlainRoot,
    /// Uid 0 of a user namespace: an ordinary user to the host.
    NamespaceRoot,
    /// An ordinary user.
    User,
}

/// The Landlock rights this kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landlock {
    /// The ABI number, for messages; decisions go by the bits.
    pub abi: u32,
    /// `LANDLOCK_ACCESS_FS_*`.
    pub fs: u64,
    /// `LANDLOCK_ACCESS_NET_*`.
    pub net: u64,
    /// `LANDLOCK_SCOPE_*`.
    pub scoped: u64,
}

/// The vessel directory as it is before the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vessel {
    /// Owner of the directory.
    pub uid: u32,
    /// Group of the directory.
    pub gid: u32,
    /// Device and inode: the launch checks that it opens the same directory.
    pub identity: (u64, u64),
    /// Those of the names a policy's file rules write that exist as regular
    /// files with one link.
    pub existing: Vec<String>,
}

/// The facts of a host that a plan depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The running kernel.
    pub kernel: Kernel,
    /// Effective user id of the launcher.
    pub uid: u32,
    /// Effective group id of the launcher.
    pub gid: u32,
    /// What the launcher may do.
    pub authority: Authority,
    /// A uid and gid no other run on this host has: what the sandbox is on the
    /// host when the launcher is root.
    pub run_id: u32,
    /// Landlock, where the kernel has it enabled.
    pub landlock: Option<Landlock>,
    /// Seccomp filters.
    pub seccomp: Support,
    /// `PR_SET_MDWE`.
    pub mdwe: bool,
    /// User namespaces, as far as can be told without making one.
    pub userns: Support,
    /// Control groups that can carry the limits.
    pub cgroup: Support,
    /// Hard limit of open files.
    pub open_files: u64,
    /// The vessel directory.
    pub vessel: Vessel,
}

/// A vessel that cannot be used: a fault of the command line (exit status 2).
#[derive(Debug, thiserror::Error)]
#[error("vessel directory '{path}': {reason}")]
pub struct VesselError {
    /// As the operator named it.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

/// First of the uids that runs started by root use. It lies above everything
/// that Debian's login.defs, subordinate ids and systemd hand out.
const FIRST_RUN_ID: u32 = 2_000_000_000;

impl Host {
    /// Probes the running kernel and the vessel. What control groups offer is
    /// found out by their own module.
    ///
    /// # Errors
    /// A vessel that is no directory or cannot be entered.
    pub fn probe(request: &Request, cgroup: Support) -> Result<Host, VesselError> {
        let uid = nix::unistd::geteuid().as_raw();
        Ok(Host {
            kernel: Kernel::running(),
            uid,
            gid: nix::unistd::getegid().as_raw(),
            authority: authority(uid),
            run_id: FIRST_RUN_ID + std::process::id(),
            landlock: landlock(),
            seccomp: if process::knows_seccomp_filters() {
                Support::Yes
            } else {
                Support::no("this kernel has no seccomp filters")
            },
            mdwe: process::knows_deny_write_execute(),
            userns: kernel::user_namespaces(uid),
            cgroup,
            // The call fails only for a resource the kernel does not know.
            open_files: process::hard_limit(libc::RLIMIT_NOFILE).unwrap_or(0),
            vessel: Vessel::probe(request)?,
        })
    }
}

fn authority(uid: u32) -> Authority {
    use caps::{CapSet, Capability};
    let holds = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    if uid != 0 {
        Authority::User
    } else if !kernel::in_first_user_namespace() {
        Authority::NamespaceRoot
    } else if [Capability::CAP_SYS_ADMIN, Capability::CAP_SETUID, Capability::CAP_SETGID]
        .into_iter()
        .all(holds)
    {
        Authority::HostRoot
    } else {
        Authority::PlainRoot
    }
}

/// The rights that came with each ABI: (first ABI, fs, net, scoped).
const LANDLOCK_HISTORY: [(u32, u64, u64, u64); 7] = [
    (1, 0x1fff, 0, 0),
    (2, 0x2000, 0, 0),
    (3, 0x4000, 0, 0),
    (4, 0, 0x3, 0),
    (5, 0x8000, 0, 0),
    (6, 0, 0, 0x3),
    (9, 0x1_0000, 0, 0),
];

/// Asks for all rights that the ABI number promises; only if the kernel does
/// not take them together, bit by bit.
fn landlock() -> Option<Landlock> {
    let abi = sys::landlock::abi().ok().filter(|abi| *abi >= 1)?;
    let mut found = Landlock { abi, fs: 0, net: 0, scoped: 0 };
    for (first, fs, net, scoped) in LANDLOCK_HISTORY {
        if abi >= first {
            found.fs |= fs;
            found.net |= net;
            found.scoped |= scoped;
        }
    }
    if sys::landlock::accepts(found.fs, found.net, found.scoped) {
        return Some(found);
    }
    let bits = |mask: u64, accepts: &dyn Fn(u64) -> bool| {
        (0..64).map(|shift| 1u64 << shift).filter(|bit| mask & bit != 0 && accepts(*bit)).sum()
    };
    found.fs = bits(0x1_ffff, &|bit| sys::landlock::accepts(bit, 0, 0));
    found.net = bits(0x3, &|bit| sys::landlock::accepts(0, bit, 0));
    found.scoped = bits(0x3, &|bit| sys::landlock::accepts(0, 0, bit));
    (found.fs != 0).then_some(found)
}

impl Vessel {
    fn probe(request: &Request) -> Result<Vessel, VesselError> {
        let error = |reason: String| VesselError { path: request.vessel.display().to_string(), reason };
        let path = CString::new(request.vessel.as_os_str().as_bytes())
            .map_err(|_| error("the name holds a zero byte".to_owned()))?;
        let directory =
            descriptor::open(&path, libc::O_PATH | libc::O_DIRECTORY).map_err(|Errno(code)| {
                error(match code {
                    libc::ENOTDIR => "it is not a directory".to_owned(),
                    _ => std::io::Error::from_raw_os_error(code).to_string(),
                })
            })?;
        let status =
            nix::sys::stat::fstat(directory.as_fd()).map_err(|errno| error(errno.desc().to_owned()))?;
        let named: &[String] = match &request.demand.files.value {
            FileAccess::Read(Names::Only(names)) | FileAccess::Write(Names::Only(names)) => names,
            _ => &[],
        };
        let existing = named
            .iter()
            .filter(|name| {
                nix::sys::stat::fstatat(
                    directory.as_fd(),
                    name.as_str(),
                    nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW,
                )
                .is_ok_and(|status| status.st_mode & libc::S_IFMT == libc::S_IFREG && status.st_nlink == 1)
            })
            .cloned()
            .collect();
        Ok(Vessel {
            uid: status.st_uid,
            gid: status.st_gid,
            identity: (status.st_dev, status.st_ino),
            existing,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn landlock_rights_are_those_the_kernel_takes_one_by_one() {
        let Some(found) = landlock() else { return };
        for shift in 0..20 {
            let bit = 1u64 << shift;
            if bit <= 0x1_0000 {
                assert_eq!(found.fs & bit != 0, sys::landlock::accepts(bit, 0, 0), "fs bit {shift}");
            }
            if bit <= 0x2 {
                assert_eq!(found.net & bit != 0, sys::landlock::accepts(0, bit, 0), "net bit {shift}");
                assert_eq!(found.scoped & bit != 0, sys::landlock::accepts(0, 0, bit), "scope bit {shift}");
            }
        }
    }
}
