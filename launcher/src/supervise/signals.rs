//! Signals to the launcher, as something the poll loop can wait for.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use crate::verdict::Ending;

/// Signals that end the run, and how.
const ENDING: [(i32, &str, Ending); 4] = [
    (libc::SIGINT, "SIGINT", Ending::Interrupted),
    (libc::SIGTERM, "SIGTERM", Ending::Terminated),
    (libc::SIGHUP, "SIGHUP", Ending::Terminated),
    (libc::SIGQUIT, "SIGQUIT", Ending::Interrupted),
];

/// The signals that arrived.
#[derive(Debug)]
pub struct Signals {
    pipe: UnixStream,
    ending: Vec<Arc<AtomicBool>>,
    suspend: Arc<AtomicBool>,
}

impl Signals {
    /// Takes over the signals that end a run, and SIGTSTP (Ctrl-Z).
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn install() -> io::Result<Signals> {
        let (pipe, writer) = UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        let register = |signal: i32| -> io::Result<Arc<AtomicBool>> {
            let flag = Arc::new(AtomicBool::new(false));
            // The flag first: when the pipe wakes the loop, it is set.
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
            Ok(flag)
        };
        let ending = ENDING.iter().map(|(signal, _, _)| register(*signal)).collect::<io::Result<_>>()?;
        Ok(Signals { ending, suspend: register(libc::SIGTSTP)?, pipe })
    }

    /// Readable when a signal arrived.
    pub fn readable(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Empties the pipe.
    pub fn clear(&mut self) {
        let mut buffer = [0; 64];
        while matches!(self.pipe.read(&mut buffer), Ok(length) if length > 0) {}
    }

    /// A signal that ends the run, if one arrived since the last time asked.
    pub fn ending(&self) -> Option<(&'static str, Ending)> {
        let arrived = |flag: &Arc<AtomicBool>| flag.swap(false, Ordering::SeqCst);
        let mut found = None;
        for (flag, (_, name, ending)) in self.ending.iter().zip(ENDING) {
            if arrived(flag) && found.is_none() {
                found = Some((name, ending));
            }
        }
        found
    }

    /// Whether SIGTSTP arrived since the last time asked.
    pub fn suspend(&self) -> bool {
        self.suspend.swap(false, Ordering::SeqCst)
    }
}

/// Whoever installs or raises signals in a test holds this: they are the whole process's.
#[cfg(test)]
pub(super) static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{raise, Signal};

    #[test]
    fn a_signal_wakes_and_is_told_once() {
        let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut signals = Signals::install().unwrap();
        assert_eq!(signals.ending(), None);
        raise(Signal::SIGHUP).unwrap();
        let mut byte = [0; 8];
        signals.pipe.set_nonblocking(false).unwrap();
        assert!(signals.pipe.read(&mut byte).unwrap() > 0);
        signals.pipe.set_nonblocking(true).unwrap();
        assert_eq!(signals.ending(), Some(("SIGHUP", Ending::Terminated)));
        signals.clear();
        assert_eq!(signals.ending(), None);
        assert!(!signals.suspend());
    }
}
