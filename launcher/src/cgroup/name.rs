//! Names of groups, and the removal of those that nobody holds any more.
//!
//! A name carries the launcher's process id, the time that process started, and
//! the namespaces in which both count: enough to tell whether the launcher still
//! lives, without a lock file.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What every group of a run begins with.
const PREFIX: &str = "repy-";

/// The name of a launcher's groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    pid: u32,
    /// Clock ticks after boot at which the process started (field 22 of its stat).
    started: u64,
    /// As [`namespaces`] gives them.
    namespace: u64,
}

impl Name {
    /// The name for groups of the calling process.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub fn of_this_process() -> io::Result<Name> {
        let pid = std::process::id();
        let started = start_time(pid)
            .ok_or_else(|| io::Error::other("/proc/PID/stat of the launcher itself cannot be understood"))?;
        Ok(Name { pid, started, namespace: namespaces()? })
    }

    /// The directory name, also followed by `-broker` and the like.
    pub fn text(self) -> String {
        format!("{PREFIX}{}-{}-{}", self.pid, self.started, self.namespace)
    }

    fn parse(text: &str) -> Option<Name> {
        let mut parts = text.strip_prefix(PREFIX)?.split('-');
        let pid = parts.next()?.parse().ok()?;
        let started = parts.next()?.parse().ok()?;
        let namespace = parts.next()?.parse().ok()?;
        Some(Name { pid, started, namespace })
    }
}

/// The namespaces in which process ids and start times count, as one number made of their inodes:
/// /proc shows the times as the reader's clock has them, which a time namespace moves.
///
/// # Errors
/// /proc cannot be read.
pub fn namespaces() -> io::Result<u64> {
    let inode = |kind: &str| fs::metadata(format!("/proc/self/ns/{kind}")).map(|status| status.ino());
    // Absent where the kernel was built without time namespaces.
    Ok(inode("pid")? ^ inode("time").unwrap_or(0) << 32)
}

fn start_time(pid: u32) -> Option<u64> {
    // One read: a start looks at every launcher that lives on this host.
    let mut buffer = [0u8; 1024];
    let length = fs::File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut buffer).ok()?;
    let stat = String::from_utf8_lossy(&buffer[..length]);
    // The command's name may hold blanks and parentheses.
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// Which launchers live, each looked at once however many hierarchies name it.
#[derive(Debug, Default)]
pub struct Living(HashMap<u32, Option<u64>>);

impl Living {
    fn has(&mut self, name: Name) -> bool {
        *self.0.entry(name.pid).or_insert_with(|| start_time(name.pid)) == Some(name.started)
    }
}

/// Removes groups in `parent` whose launcher has died. Only empty groups can be
/// removed at all, so nothing that runs is ever touched; groups named in
/// other namespaces than those of `own` are left alone. Returns what it removed.
pub fn sweep(parent: &Path, own: Name, living: &mut Living) -> Vec<PathBuf> {
    let mut removed = Vec::new();
    let Ok(entries) = fs::read_dir(parent) else { return removed };
    for entry in entries.flatten() {
        let file_name = entry.file_name();
        let Some(name) = file_name.to_str().and_then(Name::parse) else { continue };
        if name.namespace != own.namespace || living.has(name) {
            continue;
        }
        let path = entry.path();
        for inner in ["program", "broker"] {
            // Absent in most: nothing to do then.
            let _ = fs::remove_dir(path.join(inner));
        }
        // Still populated or already gone: left as it is.
        if fs::remove_dir(&path).is_ok() {
            removed.push(path);
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn names_can_be_read_back() {
        let own = Name::of_this_process().unwrap();
        assert_eq!(Name::parse(&own.text()), Some(own));
        assert_eq!(Name::parse(&format!("{}-broker", own.text())), Some(own));
        for other in ["repy-", "repy-1", "repy-x-y-z", "user.slice", "repy-1-2"] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }

    #[test]
    fn only_what_the_dead_left_is_swept() {
        let scratch = Scratch::new("sweep");
        let own = Name::of_this_process().unwrap();
        let dead = Name { started: own.started + 1, ..own };
        let foreign = Name { namespace: own.namespace + 1, ..dead };
        for name in [own, dead, foreign] {
            fs::create_dir(scratch.path().join(name.text())).unwrap();
        }
        fs::create_dir(scratch.path().join(dead.text()).join("program")).unwrap();
        fs::create_dir(scratch.path().join(format!("{}-broker", dead.text()))).unwrap();
        fs::create_dir(scratch.path().join("repy-something")).unwrap();
        assert_eq!(sweep(scratch.path(), own, &mut Living::default()).len(), 2);
        let mut left: Vec<String> = fs::read_dir(scratch.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut expected = vec![own.text(), foreign.text(), "repy-something".to_owned()];
        expected.sort();
        assert_eq!(left, expected);
    }
}
