//! The terminal, with its own line editing switched off while it is held.

use std::io;
use std::os::fd::AsFd;
use std::sync::Mutex;

use nix::sys::termios::{tcgetattr, tcsetattr, LocalFlags, SetArg, Termios};

/// How the terminal was; for every way out, a panic's too.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Columns where the terminal does not say.
const COLUMNS: usize = 80;

/// The terminal of standard input, as long as this lives.
#[derive(Debug)]
pub struct Screen(());

impl Screen {
    /// Takes it: keys come one by one, unseen, and none sends a signal. Lines
    /// that are written still end as usual.
    ///
    /// # Errors
    /// It cannot be set.
    pub fn take() -> io::Result<Screen> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN);
        if let Ok(mut place) = BEFORE.lock() {
            *place = Some(before);
        }
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &raw)?;
        Ok(Screen(()))
    }

    /// How wide it is.
    pub fn columns(&self) -> usize {
        crate::sys::terminal::size(io::stdout().as_fd())
            .map_or(COLUMNS, |(columns, _)| usize::from(columns))
            .max(16)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Makes the terminal what it was before a session took it.
pub fn restore() {
    let before = BEFORE.lock().ok().and_then(|mut place| place.take());
    if let Some(before) = before {
        // A terminal that has gone away needs nothing.
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &before);
    }
}
