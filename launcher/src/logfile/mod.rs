//! The circular log of `--logfile NAME`: a pair of files, `NAME.old` and
//! `NAME.new`, that together hold the newest 16 to 32 KiB of what was printed.
//!
//! As the original writes it: a fresh log is `NAME.old` alone; when that is
//! full, `NAME.new` follows it; when `NAME.new` is full too, it takes the place
//! of `NAME.old`. One difference: a write that ends exactly at the end of a file
//! leaves that file full, where the original lost the old part.
//!
//! A log in the vessel itself is kept [`InPlace`](Keeping::InPlace): inside the
//! sandbox each of the two files is mounted read-only over itself, and the kernel
//! takes such a mount away when another file is renamed over the name.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{self, AtFlags, OFlag};
use nix::sys::stat::{self, Mode};
use nix::unistd::{self, UnlinkatFlags};

use crate::report::atomic::{self, Place};

/// Size of each of the two files when full, in bytes.
pub const SIZE: u64 = 16_384;

/// Which of the two files takes the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Old,
    New,
}

/// How the newer file takes the place of the older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// By renaming: a reader sees one or the other.
    Renaming,
    /// By copying, so that both stay the files they are; both exist from the start.
    InPlace,
}

/// An open circular log.
#[derive(Debug)]
pub struct CircularLog {
    place: Place,
    half: Half,
    file: File,
    length: u64,
    /// The older file, for copying; only where the log is kept in place.
    old: Option<File>,
    /// Bytes that could not be written (a full disk), for the report.
    lost: u64,
}

impl CircularLog {
    /// Opens the log at `path`, continuing what an earlier run left there.
    ///
    /// # Errors
    /// The directory cannot be opened, or one of the two names is taken by
    /// something that is not a regular file (it is never followed or opened).
    pub fn open(path: &Path, keeping: Keeping) -> io::Result<CircularLog> {
        let place = Place::open(path)?;
        let old = exists(&place, Half::Old)?;
        let new = exists(&place, Half::New)?;
        if keeping == Keeping::InPlace {
            return CircularLog::open_in_place(place);
        }
        let half = match (old, new) {
            (true, true) => Half::New,
            // A crash between the two steps of a rotation.
            (false, true) => {
                let names = (name(&place, Half::New), name(&place, Half::Old));
                fcntl::renameat(
                    place.directory(),
                    names.0.as_os_str(),
                    place.directory(),
                    names.1.as_os_str(),
                )?;
                Half::New
            }
            (_, false) => Half::Old,
        };
        let file = open(&place, half)?;
        let length = file.metadata()?.len();
        Ok(CircularLog { place, half, file, length, old: None, lost: 0 })
    }

    fn open_in_place(place: Place) -> io::Result<CircularLog> {
        let (old, new) = (open(&place, Half::Old)?, open(&place, Half::New)?);
        let (old_length, new_length) = (old.metadata()?.len(), new.metadata()?.len());
        let second = old.try_clone()?;
        let (half, file, length) = if new_length == 0 && old_length < SIZE {
            (Half::Old, old, old_length)
        } else {
            (Half::New, new, new_length)
        };
        Ok(CircularLog { place, half, file, length, old: Some(second), lost: 0 })
    }

    /// The names that the log may use, in its directory.
    pub fn names(path: &Path) -> [PathBuf; 2] {
        [Half::Old, Half::New].map(|half| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending(half));
            PathBuf::from(name)
        })
    }

    /// Bytes that could not be written so far.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Appends `data`. What a full disk refuses is counted as lost; the run goes on.
    pub fn write(&mut self, data: &[u8]) {
        let mut rest = skip_overwritten(self.length, data);
        while !rest.is_empty() {
            if self.length >= SIZE {
                if self.rotate().is_err() {
                    self.lost += rest.len() as u64;
                    return;
                }
                continue;
            }
            let room = (SIZE - self.length).min(rest.len() as u64) as usize;
            match self.file.write(&rest[..room]) {
                Ok(0) | Err(_) => {
                    self.lost += rest.len() as u64;
                    return;
                }
                Ok(written) => {
                    self.length += written as u64;
                    rest = &rest[written..];
                }
            }
        }
    }

    /// The present file is full: go on in a fresh `NAME.new`.
    fn rotate(&mut self) -> io::Result<()> {
        if self.old.is_some() {
            return self.rotate_in_place();
        }
        let (old, new) = (name(&self.place, Half::Old), name(&self.place, Half::New));
        if self.half == Half::New {
            fcntl::renameat(
                self.place.directory(),
                new.as_os_str(),
                self.place.directory(),
                old.as_os_str(),
            )?;
            // From here on the full file is the old one, whatever happens next.
            self.half = Half::Old;
        }
        match unistd::unlinkat(self.place.directory(), new.as_os_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        self.file = open(&self.place, Half::New)?;
        self.half = Half::New;
        self.length = 0;
        Ok(())
    }
}

impl CircularLog {
    fn rotate_in_place(&mut self) -> io::Result<()> {
        if self.half == Half::New {
            let mut content = vec![0; SIZE as usize];
            let length = self.file.read_at(&mut content, 0)?;
            if let Some(old) = &mut self.old {
                // Appending to an empty file writes at its beginning.
                old.set_len(0)?;
                old.write_all(&content[..length])?;
            }
            self.file.set_len(0)?;
        } else {
            self.file = open(&self.place, Half::New)?;
            self.file.set_len(0)?;
            self.half = Half::New;
        }
        self.length = 0;
        Ok(())
    }
}

/// What a very long write would push out of the log before it ends: the part of
/// `data` whose bytes no reader could find afterwards is left out. The end of
/// the log falls on the same byte as without the skip.
fn skip_overwritten(length: u64, data: &[u8]) -> &[u8] {
    let size = SIZE as usize;
    // A file found longer than SIZE is full: the first byte goes to the next one.
    let length = length.min(SIZE) as usize;
    let kept = 2 * size;
    if data.len() <= kept {
        return data;
    }
    // Whole files only, so that the boundaries stay where they were.
    let to_boundary = size - length;
    let whole = (data.len() - to_boundary - 1) / size;
    // The present file is completed with the bytes that would have completed
    // the last file but two; it is then rotated out by the rest.
    let skipped = whole.saturating_sub(1) * size;
    &data[skipped..]
}

fn ending(half: Half) -> &'static str {
    match half {
        Half::Old => ".old",
        Half::New => ".new",
    }
}

fn name(place: &Place, half: Half) -> OsString {
    let mut name = place.name().to_owned();
    name.push(ending(half));
    name
}

fn exists(place: &Place, half: Half) -> io::Result<bool> {
    let name = name(place, half);
    match stat::fstatat(place.directory(), name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
        Ok(found) if found.st_mode & libc::S_IFMT == libc::S_IFREG => Ok(true),
        Ok(found) => Err(not_regular(&name, found.st_mode)),
    }
}

fn not_regular(name: &OsString, mode: libc::mode_t) -> io::Error {
    let text = format!("'{}' is a {}, not a regular file", name.to_string_lossy(), atomic::kind(mode));
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn open(place: &Place, half: Half) -> io::Result<File> {
    let name = name(place, half);
    // NONBLOCK: a FIFO planted between the look and the open cannot hold us up.
    let flags = OFlag::O_RDWR
        | OFlag::O_APPEND
        | OFlag::O_CREAT
        | OFlag::O_NOFOLLOW
        | OFlag::O_NONBLOCK
        | OFlag::O_CLOEXEC;
    let fd = fcntl::openat(place.directory(), name.as_os_str(), flags, Mode::from_bits_truncate(0o644))?;
    let found = stat::fstat(&fd)?;
    if found.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(not_regular(&name, found.st_mode));
    }
    Ok(File::from(fd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::fs;

    /// The two files; a missing one is None.
    fn read(base: &Path) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let [old, new] = CircularLog::names(base);
        (fs::read(old).ok(), fs::read(new).ok())
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|i| (i % 251) as u8).collect()
    }

    /// What one write per byte leaves.
    fn expected(total: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let size = SIZE as usize;
        if total.len() <= size {
            return (Some(total.to_vec()), None);
        }
        let last = (total.len() - 1) % size + 1;
        let start = total.len() - last;
        (Some(total[start - size..start].to_vec()), Some(total[start..].to_vec()))
    }

    #[test]
    fn a_fresh_log_is_the_old_file_alone() {
        let scratch = Scratch::new("log");
        let base = scratch.path().join("log");
        let mut log = CircularLog::open(&base, Keeping::Renaming).unwrap();
        log.write(b"hello\n");
        assert_eq!(read(&base), (Some(b"hello\n".to_vec()), None));
    }

    #[test]
    fn a_hundred_lines_of_400_bytes() {
        let scratch = Scratch::new("log");
        let base = scratch.path().join("log");
        let mut log = CircularLog::open(&base, Keeping::Renaming).unwrap();
        let all = pattern(40_000);
        for line in all.chunks(400) {
            log.write(line);
        }
        let (old, new) = read(&base);
        assert_eq!((old.as_ref().unwrap().len(), new.as_ref().unwrap().len()), (16_384, 7_232));
        assert_eq!((old, new), expected(&all));
    }

    #[test]
    fn one_long_write_leaves_what_many_short_ones_leave() {
        for before in [0, 1, 400, 16_383, 16_384, 16_385, 20_000, 32_768, 33_000] {
            for length in [1, 16_384, 32_767, 32_768, 32_769, 49_152, 65_536, 100_001, 131_072] {
                let scratch = Scratch::new("log");
                let base = scratch.path().join("log");
                let mut log = CircularLog::open(&base, Keeping::Renaming).unwrap();
                let all = pattern(before + length);
                log.write(&all[..before]);
                log.write(&all[before..]);
                assert_eq!(read(&base), expected(&all), "{length} bytes after {before}");
                assert_eq!(log.lost(), 0);
            }
        }
    }

    #[test]
    fn kept_in_place_both_files_stay_the_files_they_are() {
        use std::os::unix::fs::MetadataExt;
        for total in [0, 1, 16_384, 16_385, 32_768, 32_769, 50_000, 100_001] {
            let scratch = Scratch::new("log");
            let base = scratch.path().join("log");
            let all = pattern(total);
            let [old, new] = CircularLog::names(&base);
            let mut log = CircularLog::open(&base, Keeping::InPlace).unwrap();
            let inodes = || [&old, &new].map(|path| fs::metadata(path).unwrap().ino());
            let before = inodes();
            for (index, piece) in all.chunks(700).enumerate() {
                if index % 20 == 19 {
                    log = CircularLog::open(&base, Keeping::InPlace).unwrap();
                }
                log.write(piece);
            }
            assert_eq!(inodes(), before);
            let (found_old, found_new) = read(&base);
            let (want_old, want_new) = expected(&all);
            assert_eq!((found_old, found_new), (want_old, Some(want_new.unwrap_or_default())), "{total}");
        }
    }

    #[test]
    fn the_originals_figures_for_a_long_write() {
        let scratch = Scratch::new("log");
        let base = scratch.path().join("log");
        CircularLog::open(&base, Keeping::Renaming).unwrap().write(&pattern(100_001));
        let (old, new) = read(&base);
        assert_eq!((old.unwrap().len(), new.unwrap().len()), (16_384, 1_697));
    }

    #[test]
    fn continues_what_an_earlier_run_left() {
        for (old, new) in
            [(Some(100), None), (Some(16_384), Some(50)), (None, Some(60)), (Some(16_384), None)]
        {
            let scratch = Scratch::new("log");
            let base = scratch.path().join("log");
            let [old_path, new_path] = CircularLog::names(&base);
            if let Some(length) = old {
                fs::write(&old_path, pattern(length)).unwrap();
            }
            if let Some(length) = new {
                fs::write(&new_path, vec![b'n'; length]).unwrap();
            }
            CircularLog::open(&base, Keeping::Renaming).unwrap().write(b"next");
            let (found_old, found_new) = read(&base);
            match (old, new) {
                (Some(100), None) => assert!(found_old.unwrap().ends_with(b"next") && found_new.is_none()),
                (Some(_), Some(_)) => assert!(found_new.unwrap().ends_with(b"nnext")),
                (None, Some(_)) => {
                    assert_eq!(found_old.unwrap(), vec![b'n'; 60]);
                    assert_eq!(found_new.unwrap(), b"next");
                }
                _ => assert_eq!(found_new.unwrap(), b"next"),
            }
        }
    }

    #[test]
    fn never_through_a_link_or_into_a_fifo() {
        for name in ["log.old", "log.new"] {
            let scratch = Scratch::new("log");
            let victim = scratch.path().join("victim");
            fs::write(&victim, b"precious").unwrap();
            std::os::unix::fs::symlink(&victim, scratch.path().join(name)).unwrap();
            let refused = CircularLog::open(&scratch.path().join("log"), Keeping::Renaming).unwrap_err();
            assert!(refused.to_string().contains("symbolic link"), "{refused}");
            assert_eq!(fs::read(&victim).unwrap(), b"precious");
        }
        let scratch = Scratch::new("log");
        unistd::mkfifo(&scratch.path().join("log.old"), Mode::from_bits_truncate(0o600)).unwrap();
        let refused = CircularLog::open(&scratch.path().join("log"), Keeping::Renaming).unwrap_err();
        assert!(refused.to_string().contains("FIFO"), "{refused}");
    }
}
