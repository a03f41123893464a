//! Reads what the operator names: each file once, bounded, and only if it is a
//! regular file; what ran is what was read here, whatever happens to the file.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::AtFlags;
use nix::unistd::{faccessat, AccessFlags};
use policies::start::MAXIMUM_PROGRAM;
use policies::{Parsed, Policy, MAXIMUM_FILE};

use super::failure::{describe, Failure};
use crate::report::atomic;

/// Reads a whole regular file of at most `most` bytes; `size` says that in words.
fn read(what: &str, path: &Path, most: usize, size: &str) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure::on_path(what, path, &error);
    // NONBLOCK: opening a FIFO does not wait for a writer.
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
        .open(path)
        .map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        let kind = atomic::kind(found.mode());
        return Err(Failure::input(format!(
            "{what} '{}': it is a {kind}, not a regular file",
            path.display()
        )));
    }
    let too_large = |bytes: u64| {
        Failure::input(format!("{what} '{}': {bytes} bytes long, at most {size} are read", path.display()))
    };
    if found.len() > most as u64 {
        return Err(too_large(found.len()));
    }
    let mut content = Vec::with_capacity(found.len() as usize + 1);
    // It may grow while it is read.
    file.take(most as u64 + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() > most {
        return Err(too_large(content.len() as u64));
    }
    Ok(content)
}

/// A restrictions file, read and understood.
#[derive(Debug)]
pub struct PolicyFile {
    /// Its bytes.
    pub content: Vec<u8>,
    /// What it says.
    pub parsed: Parsed,
}

/// Reads a restrictions file. `colours` for the diagnostics.
///
/// # Errors
/// It cannot be read, or everything that is wrong with it.
pub fn policy(path: &Path, colours: bool) -> Result<PolicyFile, Failure> {
    let content = read("policy", path, MAXIMUM_FILE, "1 MiB")?;
    match Policy::parse(&content, &path.to_string_lossy()) {
        Ok(parsed) => Ok(PolicyFile { content, parsed }),
        Err(faults) => {
            let mut text = format!("policy '{}' cannot be used:", path.display());
            for fault in &faults {
                text.push('\n');
                text.push_str(fault.render(colours).trim_end());
            }
            Err(Failure::input(text))
        }
    }
}

/// Reads the program (the first words are the original's).
///
/// # Errors
/// It cannot be read.
pub fn program(path: &Path) -> Result<Vec<u8>, Failure> {
    read("Failed to read the specified file: program", path, MAXIMUM_PROGRAM, "16 MiB")
}

/// The vessel directory, open.
#[derive(Debug)]
pub struct VesselDirectory {
    /// Held open: later renames of its path do not matter.
    pub directory: OwnedFd,
    /// Device and inode.
    identity: (u64, u64),
}

impl VesselDirectory {
    /// Opens the vessel and refuses directories that no program should own.
    ///
    /// # Errors
    /// It is no directory, is removed, cannot be written, or is `/` or the home directory.
    pub fn open(path: &Path, home: Option<PathBuf>) -> Result<VesselDirectory, Failure> {
        let refuse =
            |reason: &str| Failure::input(format!("vessel directory '{}': {reason}", path.display()));
        let opened = File::options()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_CLOEXEC | libc::O_NONBLOCK)
            .open(path);
        let directory = opened.map_err(|error| match error.raw_os_error() {
            Some(libc::ENOTDIR) => refuse("it is not a directory"),
            _ => refuse(&describe(&error)),
        })?;
        let found = directory.metadata().map_err(|error| refuse(&describe(&error)))?;
        if found.nlink() == 0 {
            return Err(refuse("it has been removed; change to one that exists, or name one with --vessel"));
        }
        let identity = (found.dev(), found.ino());
        let same = |other: &Path| other.metadata().is_ok_and(|other| (other.dev(), other.ino()) == identity);
        const OWN: &str =
            "the program would own every file in it; make a directory of its own and name it with --vessel";
        if same(Path::new("/")) {
            return Err(refuse(&format!("it is the root directory /: {OWN}")));
        }
        if home.is_some_and(|home| same(&home)) {
            return Err(refuse(&format!("it is your home directory: {OWN}")));
        }
        let directory = OwnedFd::from(directory);
        faccessat(&directory, ".", AccessFlags::W_OK | AccessFlags::X_OK, AtFlags::AT_EACCESS)
            .map_err(|errno| refuse(&format!("it cannot be written: {}", errno.desc())))?;
        Ok(VesselDirectory { directory, identity })
    }

    /// The name of `path` in the vessel, if it lies directly in it.
    pub fn name_of(&self, path: &Path) -> Option<std::ffi::OsString> {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let found = parent.metadata().ok()?;
        ((found.dev(), found.ino()) == self.identity).then(|| path.file_name().map(Into::into))?
    }

    /// Whether a regular file of this name is in it.
    pub fn has_file(&self, name: &std::ffi::OsStr) -> bool {
        nix::sys::stat::fstatat(self.directory.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW)
            .is_ok_and(|found| found.st_mode & libc::S_IFMT == libc::S_IFREG)
    }
}

/// The interpreter: the one named, or the one that lies beside the launcher.
///
/// # Errors
/// It is not there or no file that can be executed.
pub fn interpreter(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => {
            let own = std::env::current_exe()
                .map_err(|error| Failure::internal(format!("/proc/self/exe cannot be read: {error}")))?;
            own.with_file_name("repy-interp")
        }
    };
    let hint = match named {
        Some(_) => "",
        None => "; install it beside repy-launch, or name it with --interp",
    };
    let refuse = |reason: String| Failure::input(format!("interpreter '{}': {reason}{hint}", path.display()));
    let found = path.metadata().map_err(|error| refuse(describe(&error)))?;
    if !found.is_file() {
        return Err(refuse(format!("it is a {}, not a regular file", atomic::kind(found.mode()))));
    }
    if found.mode() & 0o111 == 0 {
        return Err(refuse("it is not executable".to_owned()));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::fs;

    #[track_caller]
    fn refused<T: std::fmt::Debug>(result: Result<T, Failure>, words: &[&str]) {
        let failure = result.expect_err("refused");
        assert_eq!(failure.ending.code(), 2);
        for word in words {
            assert!(failure.message.contains(word), "{word:?} in {}", failure.message);
        }
    }

    #[test]
    fn only_regular_files_of_a_reasonable_size_are_read() {
        let scratch = Scratch::new("input");
        let at = |name: &str| scratch.path().join(name);
        refused(program(&at("none")), &["none", "No such file"]);
        refused(program(scratch.path()), &["directory"]);
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        refused(program(&at("fifo")), &["FIFO"]);
        refused(program(Path::new("/dev/zero")), &["character device"]);
        File::create(at("huge")).unwrap().set_len((16 << 20) + 1).unwrap();
        refused(program(&at("huge")), &["16 MiB"]);
        fs::write(at("good"), "print 1\n").unwrap();
        assert_eq!(program(&at("good")).unwrap(), b"print 1\n");
        File::create(at("long")).unwrap().set_len((1 << 20) + 1).unwrap();
        refused(policy(&at("long"), false), &["1 MiB"]);
    }

    #[test]
    fn all_faults_of_a_policy_are_told() {
        let scratch = Scratch::new("input");
        let path = scratch.path().join("wrong.test");
        fs::write(&path, "resource cpu .5\nresource memory x\ncall opne allow\n").unwrap();
        refused(policy(&path, false), &["wrong.test", "memory", "opne", "open", "diskused", "^"]);
        fs::write(&path, "resource cpu .5\nresource memory 1000\nresource diskused 1000\n").unwrap();
        assert!(policy(&path, false).unwrap().parsed.policy.amount(policies::Resource::Cpu) == 0.5);
    }

    #[test]
    fn vessels_that_no_program_should_own() {
        let scratch = Scratch::new("input");
        let file = scratch.path().join("file");
        fs::write(&file, "").unwrap();
        refused(VesselDirectory::open(&file, None), &["not a directory"]);
        refused(VesselDirectory::open(&scratch.path().join("none"), None), &["none", "No such"]);
        refused(VesselDirectory::open(Path::new("/"), None), &["root directory"]);
        refused(VesselDirectory::open(scratch.path(), Some(scratch.path().into())), &["home"]);
        let gone = scratch.path().join("gone");
        fs::create_dir(&gone).unwrap();
        let held = File::open(&gone).unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held));
        VesselDirectory::open(Path::new(&path), None).unwrap();
        fs::remove_dir(&gone).unwrap();
        refused(VesselDirectory::open(Path::new(&path), None), &["removed", "--vessel"]);
        if !nix::unistd::geteuid().is_root() {
            refused(VesselDirectory::open(Path::new("/proc/self"), None), &["cannot be written"]);
        }
        let vessel = VesselDirectory::open(scratch.path(), Some("/nowhere".into())).unwrap();
        assert_eq!(vessel.name_of(&file), Some("file".into()));
        assert_eq!(vessel.name_of(Path::new("/etc/passwd")), None);
        assert!(vessel.has_file("file".as_ref()) && !vessel.has_file("none".as_ref()));
    }

    #[test]
    fn interpreters() {
        let scratch = Scratch::new("input");
        refused(interpreter(Some(&scratch.path().join("none"))), &["No such"]);
        refused(interpreter(Some(scratch.path())), &["directory"]);
        let file = scratch.path().join("file");
        fs::write(&file, "").unwrap();
        refused(interpreter(Some(&file)), &["not executable"]);
    }
}
