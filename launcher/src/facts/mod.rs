//! What this host offers, found out by trying, without changing anything.

/// The facts of a host that a plan depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Effective user id of the launcher.
    pub uid: u32,
    /// Effective group id of the launcher.
    pub gid: u32,
}

impl Host {
    /// Probes the running kernel.
    pub fn probe() -> Host {
        Host { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() }
    }
}
