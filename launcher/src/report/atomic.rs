//! Writes a file whole or not at all, never through a symbolic link or into a
//! FIFO that somebody planted.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{self, AtFlags, OFlag};
use nix::sys::stat::{self, Mode, SFlag};
use nix::unistd;

/// A place for a file: its directory, held open, and the name in it. Later
/// renames of the directory's path do not move the place.
#[derive(Debug)]
pub struct Place {
    directory: OwnedFd,
    name: OsString,
    path: PathBuf,
}

impl Place {
    /// Opens the directory of `path`, which must exist; the file need not. A
    /// relative path is taken from the current directory.
    ///
    /// # Errors
    /// The directory cannot be opened, or `path` names no file in it.
    pub fn open(path: &Path) -> io::Result<Place> {
        let Some(name) = path.file_name() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
        };
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let directory =
            fcntl::open(parent, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(Place { directory, name: name.to_owned(), path: path.to_owned() })
    }

    /// The directory.
    pub fn directory(&self) -> &OwnedFd {
        &self.directory
    }

    /// The name in the directory.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// The path as the operator gave it, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the place may be written: nothing there yet, or a regular file.
    ///
    /// # Errors
    /// Something else is there: its kind is named.
    pub fn check(&self) -> io::Result<()> {
        match stat::fstatat(&self.directory, self.name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
            Ok(found) => match kind(found.st_mode) {
                "regular file" => Ok(()),
                kind => Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("it is a {kind}, not a regular file"),
                )),
            },
        }
    }

    /// Puts a file with `content` (mode 0644 less the umask) in place of what
    /// is there.
    ///
    /// # Errors
    /// As [`Place::check`], or the file cannot be written: then what was there
    /// stays as it was.
    pub fn write(&self, content: &[u8]) -> io::Result<()> {
        self.check()?;
        let mut temporary = OsString::from(".");
        temporary.push(&self.name);
        temporary.push(format!(".{}", std::process::id()));
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let mode = Mode::from_bits_truncate(0o644);
        // Without a name until it is whole, where the filesystem can: then not
        // even a launcher killed here leaves anything.
        let nameless = fcntl::openat(&self.directory, ".", flags | OFlag::O_TMPFILE, mode);
        let written = match nameless {
            Ok(fd) => fill(fd, content).and_then(|fd| {
                let number = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
                self.link(&number, &temporary)
            }),
            Err(_) => fcntl::openat(
                &self.directory,
                temporary.as_os_str(),
                flags | OFlag::O_CREAT | OFlag::O_EXCL,
                mode,
            )
            .map_err(io::Error::from)
            .and_then(|fd| fill(fd, content).map(drop)),
        };
        let moved = written.and_then(|()| {
            fcntl::renameat(&self.directory, temporary.as_os_str(), &self.directory, self.name.as_os_str())
                .map_err(io::Error::from)
        });
        if moved.is_err() {
            // It may never have come to exist: nothing more can be done here.
            let _ =
                unistd::unlinkat(&self.directory, temporary.as_os_str(), unistd::UnlinkatFlags::NoRemoveDir);
        }
        moved
    }

    /// Gives the nameless file at `number` (a path below /proc) a name.
    fn link(&self, number: &str, temporary: &OsStr) -> io::Result<()> {
        let here = self.directory.as_fd();
        let link = || unistd::linkat(fcntl::AT_FDCWD, number, here, temporary, AtFlags::AT_SYMLINK_FOLLOW);
        match link() {
            Err(Errno::EEXIST) => {
                // Left by a launcher of this process id that was killed in the middle.
                unistd::unlinkat(here, temporary, unistd::UnlinkatFlags::NoRemoveDir)?;
                link().map_err(io::Error::from)
            }
            other => other.map_err(io::Error::from),
        }
    }
}

fn fill(fd: OwnedFd, content: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(fd);
    file.write_all(content)?;
    Ok(file.into())
}

/// What a file of this mode is, in words.
pub fn kind(mode: libc::mode_t) -> &'static str {
    match SFlag::from_bits_truncate(mode & libc::S_IFMT) {
        SFlag::S_IFREG => "regular file",
        SFlag::S_IFDIR => "directory",
        SFlag::S_IFLNK => "symbolic link",
        SFlag::S_IFIFO => "FIFO (a named pipe)",
        SFlag::S_IFSOCK => "socket",
        SFlag::S_IFCHR => "character device",
        SFlag::S_IFBLK => "block device",
        _ => "file of an unknown kind",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::fs;

    #[test]
    fn replaces_a_regular_file_and_leaves_nothing_else() {
        let scratch = Scratch::new("atomic");
        let path = scratch.path().join("report");
        let place = Place::open(&path).unwrap();
        place.write(b"one").unwrap();
        place.write(b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn never_through_a_symbolic_link_or_into_a_fifo() {
        let scratch = Scratch::new("atomic");
        let victim = scratch.path().join("victim");
        fs::write(&victim, b"precious").unwrap();
        let link = scratch.path().join("link");
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        let refused = Place::open(&link).unwrap().write(b"new").unwrap_err();
        assert!(refused.to_string().contains("symbolic link"), "{refused}");
        assert_eq!(fs::read(&victim).unwrap(), b"precious");

        let fifo = scratch.path().join("fifo");
        unistd::mkfifo(&fifo, Mode::from_bits_truncate(0o600)).unwrap();
        let refused = Place::open(&fifo).unwrap().write(b"new").unwrap_err();
        assert!(refused.to_string().contains("FIFO"), "{refused}");
        let refused = Place::open(scratch.path()).unwrap().write(b"new").unwrap_err();
        assert!(refused.to_string().contains("directory"), "{refused}");
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let scratch = Scratch::new("atomic");
        assert!(Place::open(&scratch.path().join("no/such")).is_err());
        assert!(Place::open(Path::new("/")).is_err());
    }
}
