//! A process that is meant, and none that got its number later.

use std::ffi::OsString;
use std::fs;
use std::io::Read;

use serde::{Deserialize, Serialize};

/// A process: its number and when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Process id on the host.
    pub pid: i32,
    /// Clock ticks after boot at which it started (field 22 of /proc/PID/stat).
    pub started: u64,
}

impl Identity {
    /// The process that has this number now.
    pub fn of(pid: i32) -> Option<Identity> {
        Some(Identity { pid, started: start_time(pid)? })
    }

    /// A child of this process that nobody has waited for yet: its number is still its own,
    /// even if it has ended.
    pub fn of_child(pid: i32) -> Option<Identity> {
        Some(Identity { pid, started: start_time_of(pid, true)? })
    }

    /// Whether it still lives (a zombie does not).
    pub fn is_alive(self) -> bool {
        start_time(self.pid) == Some(self.started)
    }

    /// Name of its file of one kind.
    pub fn file_name(self, kind: &str) -> OsString {
        format!("{}-{}-{}.{kind}", self.pid, self.started, namespace()).into()
    }

    /// The process and the kind of a file name; None for one that counts in
    /// other namespaces (a container that shares the directory, another clock).
    pub fn parse(name: &str) -> Option<(Identity, &str)> {
        let (stem, kind) = name.split_once('.')?;
        let mut parts = stem.split('-');
        let pid = parts.next()?.parse().ok().filter(|pid: &i32| *pid > 0)?;
        let started = parts.next()?.parse().ok()?;
        let here = parts.next()?.parse() == Ok(namespace()) && parts.next().is_none();
        here.then_some((Identity { pid, started }, kind))
    }
}

/// Where numbers and times count; 0 without /proc.
fn namespace() -> u64 {
    crate::cgroup::namespaces().unwrap_or(0)
}

/// When the process of this number started; None if there is none, or only its
/// remains.
fn start_time(pid: i32) -> Option<u64> {
    start_time_of(pid, false)
}

/// The same, of its remains too if so asked.
fn start_time_of(pid: i32, remains: bool) -> Option<u64> {
    let mut buffer = [0u8; 1024];
    let mut file = fs::File::open(format!("/proc/{pid}/stat")).ok()?;
    let length = file.read(&mut buffer).ok()?;
    let text = String::from_utf8_lossy(&buffer[..length]);
    // The command's name may hold blanks and parentheses.
    let (_, rest) = text.rsplit_once(") ")?;
    if !remains && rest.starts_with(['Z', 'X']) {
        return None;
    }
    rest.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_has_ended_is_still_told_of() {
        let mut child = std::process::Command::new("true").spawn().expect("started");
        let pid = child.id() as i32;
        while Identity::of(pid).is_some() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let identity = Identity::of_child(pid).expect("nobody has waited for it");
        assert!(!identity.is_alive());
        child.wait().expect("waited for");
    }

    #[test]
    fn names_can_be_read_back() {
        let own = Identity::of(std::process::id() as i32).unwrap();
        assert!(own.is_alive());
        assert!(!Identity { started: own.started + 1, ..own }.is_alive());
        let name = own.file_name("run").into_string().unwrap();
        assert_eq!(Identity::parse(&name), Some((own, "run")));
        for other in ["", "1.run", "-1-2-3.run", "0-2-3.run", "x-y-z.run", "1-2", "1-2-1.run", "1-2.run"] {
            assert_eq!(Identity::parse(other), None, "{other}");
        }
    }
}
