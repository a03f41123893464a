//! Every file that the operator names has one use: what is written must not lie over what is read.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::arguments::Options;
use super::failure::Failure;
use crate::logfile::CircularLog;

/// A file the operator named, and what it is for.
struct Named {
    role: &'static str,
    path: PathBuf,
    /// Directory (device, inode) and name in it, if the directory is there.
    place: Option<(u64, u64, OsString)>,
    /// Device and inode of the file itself, if there is one.
    file: Option<(u64, u64)>,
}

impl Named {
    fn new(role: &'static str, path: &Path) -> Named {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let found = path.metadata().ok();
        // A device, a pipe or a terminal holds nothing that could be lost.
        let may_lose = found.as_ref().is_none_or(std::fs::Metadata::is_file);
        let place = parent.metadata().ok().zip(path.file_name()).filter(|_| may_lose);
        Named {
            role,
            path: path.to_owned(),
            place: place.map(|(directory, name)| (directory.dev(), directory.ino(), name.to_owned())),
            file: found.filter(|_| may_lose).map(|found| (found.dev(), found.ino())),
        }
    }

    fn is(&self, other: &Named) -> bool {
        (self.place.is_some() && self.place == other.place)
            || (self.file.is_some() && self.file == other.file)
    }
}

/// Looks whether a file that a run will write is one that it reads, or serves twice.
///
/// # Errors
/// One is; nothing has been touched.
pub(super) fn check(options: &Options) -> Result<(), Failure> {
    let mut read: Vec<(&'static str, &Path)> =
        vec![("policy", &options.policy), ("program", Path::new(&options.program))];
    read.extend(options.interp.as_deref().map(|path| ("interpreter", path)));
    let places = [
        ("report", &options.report),
        ("profile", &options.profile),
        ("metrics", &options.metrics),
        ("events", &options.events),
        ("stop file", &options.stop),
    ];
    let logs = options.logfile.as_deref().map(CircularLog::names);
    let mut written: Vec<(&'static str, &Path)> =
        places.into_iter().filter_map(|(role, path)| Some((role, path.as_deref()?))).collect();
    written.extend(logs.iter().flatten().map(|path| ("log", path.as_path())));
    keep_apart(&read, &written)
}

/// The same for any files, each with what it is for.
///
/// # Errors
/// Two are the same file, and one of them would be written.
pub(super) fn keep_apart(
    read: &[(&'static str, &Path)],
    written: &[(&'static str, &Path)],
) -> Result<(), Failure> {
    // Most starts write no file: they need not look at those they read.
    if written.is_empty() {
        return Ok(());
    }
    let mut seen: Vec<Named> = read.iter().map(|(role, path)| Named::new(role, path)).collect();
    for (role, path) in written {
        let one = Named::new(role, path);
        if let Some(at) = seen.iter().position(|other| one.is(other)) {
            let other = &seen[at];
            let harm =
                if at < read.len() { "which would be overwritten" } else { "and holds only one of them" };
            return Err(Failure::input(format!(
                "{role} '{}': this is the same file as the {} '{}', {harm}; name another file",
                one.path.display(),
                other.role,
                other.path.display(),
            )));
        }
        seen.push(one);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Named;
    use crate::testing::Scratch;
    use std::fs;

    #[test]
    fn a_file_is_known_by_place_and_by_inode() {
        let scratch = Scratch::new("apart");
        let at = |name: &str| scratch.path().join(name);
        let same = |one: &str, other: &str| Named::new("", &at(one)).is(&Named::new("", &at(other)));
        fs::write(at("here"), "").unwrap();
        fs::hard_link(at("here"), at("hard")).unwrap();
        std::os::unix::fs::symlink("here", at("soft")).unwrap();
        assert!(same("here", "./here") && same("here", "hard") && same("soft", "here"));
        assert!(same("absent", "./absent"));
        let null = || Named::new("", std::path::Path::new("/dev/null"));
        assert!(!null().is(&null()));
        assert!(!same("here", "absent") && !same("absent", "other") && !same("no/x", "no/y"));
    }
}
