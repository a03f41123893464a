//! Runs a command to its end or to a deadline, keeping its output as bytes.

use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a command left behind.
#[derive(Debug)]
pub struct Output {
    /// The wait status; `None` if it was killed at the deadline.
    pub status: Option<ExitStatus>,
    /// All of standard output.
    pub stdout: Vec<u8>,
    /// All of standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// The exit code; 128 + the number of a signal; -1 at the deadline.
    pub fn code(&self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        match self.status {
            Some(status) => status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(-1),
            None => -1,
        }
    }
}

/// Runs `command` with empty standard input for at most `limit`.
///
/// # Panics
/// If the command cannot be started.
pub fn run(command: &mut Command, limit: Duration) -> Output {
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let stdout = reader(child.stdout.take());
    let stderr = reader(child.stderr.take());
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_micros(200);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if Instant::now() < deadline => {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(10));
            }
            _ => {
                // Its readers end when its ends of the pipes close.
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
        }
    };
    Output { status, stdout: stdout.join().unwrap_or_default(), stderr: stderr.join().unwrap_or_default() }
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A read error ends the output; what was read is still compared.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}
