//! A command on a terminal of its own, as an operator sits before it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::pty::{openpty, Winsize};

/// The command and its terminal.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keys: File,
    shown: Arc<Mutex<Vec<u8>>>,
    /// How much of what was shown has been looked at.
    seen: usize,
}

impl Terminal {
    /// Starts a command whose three streams, and controlling terminal, are a new
    /// terminal. Arguments and environment of `command` are kept.
    ///
    /// # Panics
    /// If there is no terminal, or no `setsid`.
    pub fn start(command: &Command) -> Terminal {
        let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).expect("a terminal");
        let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("a descriptor"));
        // setsid makes the terminal the controlling one, which takes a call that only a child may make.
        let mut moved = Command::new("setsid");
        moved.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => moved.env(name, value),
                None => moved.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            moved.current_dir(directory);
        }
        moved.stdin(end(&pair.slave)).stdout(end(&pair.slave)).stderr(end(&pair.slave));
        let child = moved.spawn().expect("setsid of util-linux");
        drop((moved, pair.slave));
        let shown = Arc::new(Mutex::new(Vec::new()));
        let mut screen = File::from(pair.master.try_clone().expect("a descriptor"));
        let into = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            // EIO: the last process on the terminal has gone.
            while let Ok(count @ 1..) = screen.read(&mut piece) {
                into.lock().expect("no panic").extend_from_slice(&piece[..count]);
            }
        });
        Terminal { child, keys: File::from(pair.master), shown, seen: 0 }
    }

    /// Types.
    ///
    /// # Panics
    /// If the terminal has gone.
    pub fn keys(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).expect("the terminal takes keys");
    }

    /// Waits until `text` is shown behind what was looked at before; everything
    /// up to it.
    ///
    /// # Panics
    /// If it is not shown in time.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let shown = self.shown.lock().expect("no panic").clone();
            let fresh = String::from_utf8_lossy(&shown[self.seen..]).into_owned();
            if let Some(place) = fresh.find(text) {
                // Escapes are not letters of several bytes: places are the same.
                self.seen += place + text.len();
                return fresh[..place + text.len()].to_owned();
            }
            assert!(Instant::now() < deadline, "{text:?} was not shown, but:\n{fresh}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything shown so far.
    ///
    /// # Panics
    /// Never.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("no panic")).into_owned()
    }

    /// Waits for the command's end; its exit code.
    ///
    /// # Panics
    /// If it does not end in time.
    #[track_caller]
    pub fn code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().expect("waitable") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it goes on:\n{}", self.shown());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The terminal's end is a hang-up for whatever is left on it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
