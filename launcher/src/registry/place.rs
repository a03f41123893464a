//! The directories of the records: one for root, one for each user. Nobody but
//! its user can write there, or the directory is not used; whoever reads another
//! user's records trusts nothing in them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{self, OFlag};
use nix::sys::stat::{fstat, Mode, SFlag};
use nix::unistd::{self, UnlinkatFlags};

use super::identity::Identity;
use super::live::Live;
use super::record::Record;

/// Kind of the files with a record.
pub const RECORD: &str = "run";

/// Kind of the files with what a run uses.
pub const LIVE: &str = "use";

/// Kind of files that are being written.
const PART: &str = "part";

/// The longest record that is read: a policy may grant many ports.
const LONGEST: u64 = 4 << 20;

/// Most records of one directory that are read.
const MOST: usize = 10_000;

/// A directory of records, held open.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
    owner: u32,
}

/// A run that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its record.
    pub record: Record,
    /// What it used when it last told.
    pub live: Option<Live>,
    /// The user whose directory holds the record.
    pub owner: u32,
    /// The file with the record.
    pub path: PathBuf,
}

impl Directory {
    /// The directory of this user, made if it is not there.
    ///
    /// # Errors
    /// It cannot be made, or others could write there.
    pub fn open_own() -> io::Result<Directory> {
        let uid = unistd::geteuid().as_raw();
        let path = own_path(uid);
        match Directory::open(&path, uid) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match fs::DirBuilder::new().mode(0o700).create(&path) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                    _ => Directory::open(&path, uid),
                }
            }
            opened => opened,
        }
    }

    /// Opens a directory that belongs to `owner` and that nobody else can write.
    fn open(path: &Path, owner: u32) -> io::Result<Directory> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = fcntl::open(path, flags, Mode::empty())?;
        let status = fstat(&fd)?;
        if status.st_uid != owner || status.st_mode & 0o077 != 0 {
            return Err(io::Error::other(format!(
                "{} does not belong to uid {owner} alone (it must have mode 0700)",
                path.display()
            )));
        }
        Ok(Directory { fd, path: path.to_owned(), owner })
    }

    /// Writes a file, whole.
    pub(super) fn write(&self, name: &OsStr, content: &[u8]) -> io::Result<()> {
        let mut part = name.to_owned();
        part.push(".");
        part.push(PART);
        let written = self
            .create(&part)
            .and_then(|file| {
                let written = crate::sys::descriptor::write_all(file.as_fd(), content);
                written.map_err(|errno| io::Error::from_raw_os_error(errno.0))
            })
            .and_then(|()| Ok(fcntl::renameat(&self.fd, part.as_os_str(), &self.fd, name)?));
        if written.is_err() {
            self.remove(&part);
        }
        written
    }

    /// Makes a file that is not there yet.
    pub(super) fn create(&self, name: &OsStr) -> io::Result<OwnedFd> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(fcntl::openat(&self.fd, name, flags, Mode::from_bits_truncate(0o600))?)
    }

    /// Removes a file. One that is gone already is what was wanted.
    pub(super) fn remove(&self, name: &OsStr) {
        let _ = unistd::unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir);
    }

    /// The processes that have files here, and the files' kinds.
    fn entries(&self) -> Vec<(Identity, String, OsString)> {
        let Ok(entries) = fs::read_dir(format!("/proc/self/fd/{}", raw(&self.fd))) else {
            return Vec::new();
        };
        let known = entries.flatten().take(MOST).filter_map(|entry| {
            let name = entry.file_name();
            let (identity, kind) = Identity::parse(name.to_str()?)?;
            Some((identity, kind.to_owned(), name.clone()))
        });
        known.collect()
    }

    /// Removes what launchers left that have ended.
    pub(super) fn sweep(&self) {
        for (identity, _, name) in self.entries() {
            // One cheap call tells most of the living; their start is looked at by
            // those who read the records.
            if !exists(identity.pid) || !identity.is_alive() {
                self.remove(&name);
            }
        }
    }

    /// A file as it is now; None if it is not one that a launcher wrote.
    fn read(&self, name: &OsStr) -> Option<Vec<u8>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = fcntl::openat(&self.fd, name, flags, Mode::empty()).ok()?;
        let status = fstat(&file).ok()?;
        let regular = status.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits();
        if !regular || status.st_uid != self.owner {
            return None;
        }
        let mut content = Vec::new();
        fs::File::from(file).take(LONGEST).read_to_end(&mut content).ok()?;
        Some(content)
    }

    /// The runs recorded here whose launchers live.
    fn runs(&self) -> Vec<Found> {
        let living = self.entries().into_iter().filter(|(identity, kind, _)| {
            kind == RECORD && identity.is_alive() && owner_of(identity.pid) == Some(self.owner)
        });
        living
            .filter_map(|(identity, _, name)| {
                let record: Record = serde_json::from_slice(&self.read(&name)?).ok()?;
                // A record speaks for the process it is named after, for no other.
                if record.launcher != identity || !may_speak_for(self.owner, &record) {
                    return None;
                }
                let live = self.read(&identity.file_name(LIVE)).and_then(|text| Live::parse(&text));
                Some(Found { record, live, owner: self.owner, path: self.path.join(&name) })
            })
            .collect()
    }
}

/// The sandbox of a record is a child of its launcher: nobody can name a process
/// of somebody else.
fn may_speak_for(owner: u32, record: &Record) -> bool {
    if !record.sandbox.is_alive() {
        // Ended just now.
        return true;
    }
    let Ok(status) = procfs::process::Process::new(record.sandbox.pid).and_then(|p| p.status()) else {
        return false;
    };
    owner == 0 || status.ppid == record.launcher.pid
}

fn raw(fd: &OwnedFd) -> i32 {
    use std::os::fd::AsRawFd;
    fd.as_raw_fd()
}

/// Whether a process has this number.
fn exists(pid: i32) -> bool {
    !matches!(nix::sys::signal::kill(unistd::Pid::from_raw(pid), None), Err(nix::errno::Errno::ESRCH))
}

/// The user of a process.
fn owner_of(pid: i32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}")).ok().map(|status| status.uid())
}

/// Where the records of this user are.
fn own_path(uid: u32) -> PathBuf {
    if uid == 0 && host_root() {
        return PathBuf::from("/run/repy-launch");
    }
    // A directory that came with another user's environment is not this user's.
    let own = |path: &PathBuf| fs::metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == uid);
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(runtime) if own(&runtime) => runtime.join("repy-launch"),
        _ => temporary_path(uid),
    }
}

fn temporary_path(uid: u32) -> PathBuf {
    PathBuf::from(format!("/tmp/repy-launch-{uid}"))
}

/// Root of a user namespace has no /run of its own to write to.
fn host_root() -> bool {
    unistd::access("/run", unistd::AccessFlags::W_OK).is_ok()
}

/// All live runs that this user can see: its own; as root, everybody's.
pub fn find() -> Vec<Found> {
    let uid = unistd::geteuid().as_raw();
    // Started from a login and from a service, runs of one user are in two places.
    let session = PathBuf::from(format!("/run/user/{uid}/repy-launch"));
    let mut directories = vec![(own_path(uid), uid), (session, uid), (temporary_path(uid), uid)];
    if uid == 0 {
        directories.extend(of_others());
    }
    directories.sort();
    directories.dedup();
    let mut found: Vec<Found> = directories
        .into_iter()
        .filter_map(|(path, owner)| Directory::open(&path, owner).ok())
        .flat_map(|directory| directory.runs())
        .collect();
    found.sort_by(|a, b| a.record.began.total_cmp(&b.record.began));
    found.dedup_by(|a, b| a.record.launcher == b.record.launcher);
    found
}

/// The directories in which other users' launchers may have left records.
fn of_others() -> Vec<(PathBuf, u32)> {
    let mut places = Vec::new();
    let list = |path: &str| fs::read_dir(path).into_iter().flatten().flatten();
    for entry in list("/run/user") {
        if let Some(uid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            places.push((entry.path().join("repy-launch"), uid));
        }
    }
    for entry in list("/tmp") {
        let name = entry.file_name();
        let uid = name.to_str().and_then(|name| name.strip_prefix("repy-launch-")?.parse().ok());
        if let Some(uid) = uid {
            places.push((entry.path(), uid));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::os::unix::fs::PermissionsExt;

    fn directory(scratch: &Scratch) -> io::Result<Directory> {
        Directory::open(scratch.path(), unistd::geteuid().as_raw())
    }

    #[test]
    fn only_a_directory_of_the_users_own_is_used() {
        let scratch = Scratch::new("registry");
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(directory(&scratch).is_err());
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(directory(&scratch).is_ok());
        assert!(Directory::open(scratch.path(), unistd::geteuid().as_raw() + 1).is_err());
        // Not through a link, even to a good one.
        let link = scratch.path().join("link");
        fs::create_dir(scratch.path().join("in")).unwrap();
        fs::set_permissions(scratch.path().join("in"), fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(scratch.path().join("in"), &link).unwrap();
        assert!(Directory::open(&link, unistd::geteuid().as_raw()).is_err());
    }

    #[test]
    fn what_the_dead_left_is_swept_and_nothing_else() {
        let scratch = Scratch::new("registry");
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let directory = directory(&scratch).unwrap();
        let own = Identity::of(std::process::id() as i32).unwrap();
        let dead = Identity { started: own.started + 1, ..own };
        for name in [own.file_name(RECORD), dead.file_name(RECORD), dead.file_name(LIVE), "notes".into()] {
            fs::write(scratch.path().join(name), "").unwrap();
        }
        directory.sweep();
        let mut left: Vec<OsString> =
            fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [own.file_name(RECORD), "notes".into()]);
    }

    #[test]
    fn links_and_pipes_are_not_read() {
        let scratch = Scratch::new("registry");
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let directory = directory(&scratch).unwrap();
        fs::write(scratch.path().join("file"), "x").unwrap();
        std::os::unix::fs::symlink("file", scratch.path().join("link")).unwrap();
        unistd::mkfifo(&scratch.path().join("pipe"), Mode::from_bits_truncate(0o600)).unwrap();
        assert_eq!(directory.read(OsStr::new("file")), Some(b"x".to_vec()));
        assert_eq!(directory.read(OsStr::new("link")), None);
        assert_eq!(directory.read(OsStr::new("pipe")), None);
    }
}
