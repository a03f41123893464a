//! Who the sandbox is: its ids inside and on the host.

use crate::facts::{Authority, Host};

/// A user and a group id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Who writes the id maps of the new user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapper {
    /// The child itself: it may map its own id without privilege.
    Child,
    /// The launcher, as root: the child waits for it.
    Launcher,
}

/// How the sandbox gets its ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A user namespace with one user, `inner`, which is `outer` on the host.
    Mapped {
        /// Ids inside.
        inner: Ids,
        /// Ids on the host.
        outer: Ids,
        /// Who writes the maps.
        by: Mapper,
    },
    /// No user namespace: root changes to these ids.
    Become(Ids),
    /// No user namespace and no privilege: the ids of the launcher.
    Keep(Ids),
}

impl Identity {
    /// The ids the sandbox has on the host.
    pub fn on_host(self) -> Ids {
        match self {
            Identity::Mapped { outer, .. } => outer,
            Identity::Become(ids) | Identity::Keep(ids) => ids,
        }
    }
}

/// Decides who the sandbox is.
///
/// Root: an id of the run's own, with the vessel's owner mapped to it, so that
/// what belongs to the owner on disk belongs to the sandbox inside and to
/// nobody the host knows; if the id map of the vessel is waived, the vessel's
/// owner. Others: themselves.
pub(super) fn identity(host: &Host, userns: bool, idmap: bool) -> Identity {
    let own = Ids { uid: host.uid, gid: host.gid };
    match (host.authority, userns) {
        (Authority::HostRoot, _) => {
            let owner = Ids { uid: host.vessel.uid, gid: host.vessel.gid };
            let run = if idmap { Ids { uid: host.run_id, gid: host.run_id } } else { owner };
            if userns {
                Identity::Mapped { inner: owner, outer: run, by: Mapper::Launcher }
            } else {
                Identity::Become(run)
            }
        }
        (_, true) => Identity::Mapped { inner: own, outer: own, by: Mapper::Child },
        (_, false) => Identity::Keep(own),
    }
}
