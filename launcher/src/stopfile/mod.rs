//! The stop file of `--stop NAME`: when it appears, the run is stopped.
//!
//! Its content is `CODE;MESSAGE`, or anything else (also nothing), which means
//! code 44 without a message. A file that is written and closed is acted on at
//! once; one that appears without being written, at the next look (a second).

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{self, AtFlags, OFlag};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::stat::{self, Mode};

use crate::report::atomic::Place;
use crate::verdict;

/// More of a stop file is not read.
const LONGEST: u64 = 64 << 10;

/// What the operator asks for with a stop file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The exit code of the run.
    pub code: u8,
    /// Printed on standard output or into the log; may be empty.
    pub message: Vec<u8>,
}

impl Order {
    fn plain() -> Order {
        Order { code: verdict::STOPPED, message: Vec::new() }
    }

    /// Understands the content of a stop file. Never fails: what cannot be
    /// understood is a plain order. Code 56 meant something else in the
    /// original, and codes of other endings would make the exit status lie: both
    /// become 44; the message is printed all the same, except with 56.
    pub fn parse(content: &[u8]) -> Order {
        let Some(split) = content.iter().position(|byte| *byte == b';') else { return Order::plain() };
        let (code, message) = (&content[..split], &content[split + 1..]);
        let code = std::str::from_utf8(code).ok().and_then(|text| text.trim().parse::<i64>().ok());
        match code {
            None | Some(56) => Order::plain(),
            Some(code) => {
                let usable = u8::try_from(code).ok().filter(|code| !verdict::is_taken(*code));
                Order { code: usable.unwrap_or(verdict::STOPPED), message: message.to_vec() }
            }
        }
    }
}

/// Looks out for the stop file.
#[derive(Debug)]
pub struct StopFile {
    place: Place,
    /// None where the kernel has no watch left: then the look once a second does.
    watch: Option<Inotify>,
}

impl StopFile {
    /// Begins to look for `path`.
    ///
    /// # Errors
    /// The file is there already (the text is the original's), or its directory
    /// cannot be opened.
    pub fn watch(path: &Path) -> io::Result<StopFile> {
        let place = Place::open(path)?;
        let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok().filter(|watch| {
            // Written and closed, or moved here: then it is whole.
            let events =
                AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ONLYDIR;
            let number = std::os::fd::AsRawFd::as_raw_fd(place.directory());
            watch.add_watch(format!("/proc/self/fd/{number}").as_str(), events).is_ok()
        });
        let stop = StopFile { place, watch };
        // Looked for after the watch began: none can slip in between.
        if stop.is_there()? {
            let text = format!("Stop file already exists! File:{}", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Ok(stop)
    }

    /// Readable when something was written in the directory of the stop file.
    pub fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(|watch| watch.as_fd())
    }

    /// Reads events after [`StopFile::readable`]; says whether it is time to look.
    pub fn noticed(&self) -> bool {
        let Some(watch) = &self.watch else { return true };
        match watch.read_events() {
            // A queue that overflowed gives an event without a name: look then too.
            Ok(events) => {
                events.iter().any(|event| event.name.as_deref().is_none_or(|name| name == self.place.name()))
            }
            Err(_) => false,
        }
    }

    /// The order, if the file is there.
    pub fn look(&self) -> Option<Order> {
        match self.is_there() {
            Ok(true) => Some(self.read().unwrap_or_else(|_| Order::plain())),
            _ => None,
        }
    }

    fn is_there(&self) -> io::Result<bool> {
        match stat::fstatat(self.place.directory(), self.place.name(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    fn read(&self) -> io::Result<Order> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file =
            File::from(fcntl::openat(self.place.directory(), self.place.name(), flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Ok(Order::plain());
        }
        let mut content = Vec::new();
        file.take(LONGEST).read_to_end(&mut content)?;
        Ok(Order::parse(&content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::fs;

    #[test]
    fn content() {
        let order = |code, message: &str| Order { code, message: message.as_bytes().to_vec() };
        assert_eq!(Order::parse(b""), order(44, ""));
        assert_eq!(Order::parse(b"45"), order(44, ""));
        assert_eq!(Order::parse(b"bye;45"), order(44, ""));
        assert_eq!(Order::parse(b"45;bye; now\n"), order(45, "bye; now\n"));
        assert_eq!(Order::parse(b"44;"), order(44, ""));
        assert_eq!(Order::parse(b"56;bye"), order(44, ""));
        // Codes that mean something else, or that no process can end with.
        for code in ["0", "1", "5", "71", "143", "256", "-1", "99999999999999999999"] {
            assert_eq!(Order::parse(format!("{code};x").as_bytes()).code, 44, "{code}");
        }
    }

    #[test]
    fn one_that_exists_already_is_refused() {
        let scratch = Scratch::new("stop");
        let path = scratch.path().join("stop");
        fs::write(&path, "").unwrap();
        let refused = StopFile::watch(&path).unwrap_err();
        assert!(refused.to_string().starts_with("Stop file already exists! File:"), "{refused}");
    }

    #[test]
    fn seen_when_it_is_written_whole() {
        let scratch = Scratch::new("stop");
        let path = scratch.path().join("stop");
        let stop = StopFile::watch(&path).unwrap();
        assert!(stop.look().is_none() && !stop.noticed());
        fs::write(scratch.path().join("other"), "45;no").unwrap();
        assert!(!stop.noticed());
        fs::write(&path, "45;bye").unwrap();
        assert!(stop.noticed());
        assert_eq!(stop.look(), Some(Order { code: 45, message: b"bye".to_vec() }));
    }

    #[test]
    fn whatever_stands_there_stops_and_is_never_followed() {
        for kind in ["link", "fifo", "directory"] {
            let scratch = Scratch::new("stop");
            let path = scratch.path().join("stop");
            let stop = StopFile::watch(&path).unwrap();
            match kind {
                "link" => {
                    fs::write(scratch.path().join("victim"), "45;secret").unwrap();
                    std::os::unix::fs::symlink("victim", &path).unwrap();
                }
                "fifo" => nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o600)).unwrap(),
                _ => fs::create_dir(&path).unwrap(),
            }
            assert_eq!(stop.look(), Some(Order { code: 44, message: Vec::new() }), "{kind}");
        }
    }

    #[test]
    fn a_huge_file_is_read_in_part() {
        let scratch = Scratch::new("stop");
        let path = scratch.path().join("stop");
        let stop = StopFile::watch(&path).unwrap();
        let file = fs::File::create(&path).unwrap();
        file.set_len(1 << 40).unwrap();
        assert_eq!(stop.look(), Some(Order { code: 44, message: Vec::new() }));
    }
}
