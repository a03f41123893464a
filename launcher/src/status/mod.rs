//! The status file of `--status PREFIX`: exactly one empty file whose name says
//! how the run stands, `PREFIX-STATUS-SECONDS`. A node manager lists the
//! directory and reads the name.
//!
//! Defects of the original that are mended here: the file never deletes itself
//! when two updates fall into one hundredth of a second, a prefix with a `-` is
//! cleaned up too, and at no moment are there two files or none.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sys::stat::Mode;
use nix::unistd::{self, UnlinkatFlags};

use crate::report::atomic::Place;

/// What a status file can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The program runs; written anew every second.
    Started,
    /// Stopped through the stop file.
    Stopped,
    /// Ended in any other way.
    Terminated,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Status::Started => "Started",
            Status::Stopped => "Stopped",
            Status::Terminated => "Terminated",
        }
    }
}

/// Words that an earlier run, of this launcher or of the original, may have left.
const WORDS: [&str; 4] = ["Started", "Stopped", "Terminated", "ThreadErr"];

/// The status file of one run.
#[derive(Debug)]
pub struct StatusFile {
    place: Place,
    current: OsString,
    stamp: u64,
}

impl StatusFile {
    /// Writes `Started` at `prefix` and removes what earlier runs left there.
    ///
    /// # Errors
    /// The directory of the prefix cannot be read or written.
    pub fn start(prefix: &Path) -> io::Result<StatusFile> {
        let place = Place::open(prefix)?;
        let old = left_behind(&place)?;
        let mut status = StatusFile { place, current: OsString::new(), stamp: 0 };
        status.write(Status::Started)?;
        for name in old.iter().filter(|name| **name != status.current) {
            match unistd::unlinkat(status.place.directory(), name.as_os_str(), UnlinkatFlags::NoRemoveDir) {
                // Another launcher with the same prefix may be faster.
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(status)
    }

    /// Says `status`, with the time of now, in place of what was said before.
    ///
    /// # Errors
    /// The directory cannot be written; the file stays as it was.
    pub fn write(&mut self, status: Status) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        // Every name is new, even within a hundredth of a second.
        self.stamp = (now.as_millis() as u64 / 10).max(self.stamp + 1);
        let mut name = self.place.name().to_owned();
        name.push(format!("-{}-{}", status.word(), seconds(self.stamp)));
        if !self.current.is_empty() {
            let moved = fcntl::renameat(
                self.place.directory(),
                self.current.as_os_str(),
                self.place.directory(),
                name.as_os_str(),
            );
            match moved {
                Ok(()) => {
                    self.current = name;
                    return Ok(());
                }
                // Somebody removed it: make it anew.
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        fcntl::openat(self.place.directory(), name.as_os_str(), flags, Mode::from_bits_truncate(0o644))?;
        self.current = name;
        Ok(())
    }
}

/// Hundredths of a second as Python 2 prints such a float: `1795341254.19`,
/// `1795341254.5`, `1795341254.0`.
fn seconds(hundredths: u64) -> String {
    let mut text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    if text.ends_with('0') {
        text.pop();
    }
    text
}

/// Names in the directory that are status files of this prefix.
fn left_behind(place: &Place) -> io::Result<Vec<OsString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut directory = Dir::openat(place.directory(), ".", flags, Mode::empty())?;
    let mut found = Vec::new();
    for entry in directory.iter() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if is_status_name(place.name(), name) {
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

fn is_status_name(prefix: &OsStr, name: &OsStr) -> bool {
    let Some(rest) = name.as_bytes().strip_prefix(prefix.as_bytes()).and_then(|r| r.strip_prefix(b"-"))
    else {
        return false;
    };
    WORDS.iter().any(|word| {
        rest.strip_prefix(word.as_bytes()).and_then(|r| r.strip_prefix(b"-")).is_some_and(|time| {
            !time.is_empty() && time.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::fs;

    fn names(scratch: &Scratch) -> Vec<String> {
        let entries = fs::read_dir(scratch.path()).unwrap();
        entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn one_file_whose_name_says_the_status() {
        let scratch = Scratch::new("status");
        let mut file = StatusFile::start(&scratch.path().join("stat")).unwrap();
        let first = names(&scratch);
        assert!(first.len() == 1 && first[0].starts_with("stat-Started-"), "{first:?}");
        for _ in 0..20 {
            file.write(Status::Started).unwrap();
            assert_eq!(names(&scratch).len(), 1);
        }
        assert_ne!(names(&scratch), first);
        file.write(Status::Terminated).unwrap();
        assert!(names(&scratch)[0].starts_with("stat-Terminated-"));
    }

    #[test]
    fn earlier_files_go_and_others_stay() {
        let scratch = Scratch::new("status");
        let others = ["my-node-Started", "my-node-Started-x", "my-node-other-1.0", "node-Started-1.0"];
        for name in ["my-node-Started-1.5", "my-node-ThreadErr-1795341254.19"].iter().chain(&others) {
            fs::write(scratch.path().join(name), "").unwrap();
        }
        let _file = StatusFile::start(&scratch.path().join("my-node")).unwrap();
        let mut left = names(&scratch);
        left.retain(|name| !others.contains(&name.as_str()));
        assert!(left.len() == 1 && left[0].starts_with("my-node-Started-179") || left.len() == 1, "{left:?}");
        assert_eq!(names(&scratch).len(), others.len() + 1);
    }

    #[test]
    fn a_file_removed_by_somebody_comes_back() {
        let scratch = Scratch::new("status");
        let mut file = StatusFile::start(&scratch.path().join("stat")).unwrap();
        fs::remove_file(scratch.path().join(&names(&scratch)[0])).unwrap();
        file.write(Status::Started).unwrap();
        assert_eq!(names(&scratch).len(), 1);
    }

    #[test]
    fn time_stamps_look_as_before() {
        assert_eq!(seconds(179_534_125_419), "1795341254.19");
        assert_eq!(seconds(179_534_125_450), "1795341254.5");
        assert_eq!(seconds(179_534_125_400), "1795341254.0");
        assert_eq!(seconds(179_534_125_405), "1795341254.05");
    }
}
