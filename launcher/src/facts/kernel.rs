//! The kernel's version and the switches that forbid user namespaces.

use std::fmt;
use std::fs;

use super::Support;

/// The version of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// First and second number.
    pub version: (u32, u32),
    /// The whole release string.
    pub release: String,
}

impl Kernel {
    /// The running kernel.
    pub fn running() -> Kernel {
        let release = nix::sys::utsname::uname()
            .map(|name| name.release().to_string_lossy().into_owned())
            .unwrap_or_default();
        Kernel::from_release(release)
    }

    /// Reads the numbers off a release string; what cannot be read counts as 0.
    pub fn from_release(release: String) -> Kernel {
        let mut numbers =
            release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Kernel { version, release }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.release)
    }
}

/// A switch under /proc/sys, read as a number.
fn switch(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Whether this process is in the first user namespace: all ids are mapped to
/// themselves.
pub(super) fn in_first_user_namespace() -> bool {
    fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().collect::<Vec<_>>() == ["0", "0", "4294967295"])
}

/// Whether the switches allow user namespaces. That they do is no proof:
/// AppArmor can still forbid what a namespace is for, which only the attempt
/// shows; the launch then names the layer.
pub(super) fn user_namespaces(uid: u32) -> Support {
    if !fs::exists("/proc/self/ns/user").unwrap_or(false) {
        return Support::no("this kernel has no user namespaces, or /proc is not mounted");
    }
    if switch("/proc/sys/user/max_user_namespaces") == Some(0) {
        return Support::no("user.max_user_namespaces is 0");
    }
    if uid != 0 && switch("/proc/sys/kernel/unprivileged_userns_clone") == Some(0) {
        return Support::no("kernel.unprivileged_userns_clone is 0");
    }
    Support::Yes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read() {
        for (release, version) in [
            ("6.18.44-fc-v669", (6, 18)),
            ("5.15.0-91-generic", (5, 15)),
            ("7.3", (7, 3)),
            ("6.1.0+deb12", (6, 1)),
            ("", (0, 0)),
        ] {
            assert_eq!(Kernel::from_release(release.to_owned()).version, version);
        }
    }
}
