//! Runs `repy-launch` as root or as an ordinary user, with a deadline.

use crate::scratch::Scratch;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The uid and gid used for "an ordinary user" when the tests run as root (Debian's `nobody`).
pub const ORDINARY: (u32, u32) = (65534, 65534);

/// As whom the launcher is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Whoever runs the tests.
    Caller,
    /// [`ORDINARY`]; only possible when the tests run as root.
    Ordinary,
}

/// The users a test can be run as here: root also plays an ordinary user.
pub fn users() -> Vec<User> {
    if crate::is_root() {
        vec![User::Caller, User::Ordinary]
    } else {
        vec![User::Caller]
    }
}

/// How a finished command ended and what it printed.
#[derive(Debug)]
pub struct Finished {
    /// The wait status.
    pub status: ExitStatus,
    /// Everything printed on standard output.
    pub stdout: String,
    /// Everything printed on standard error.
    pub stderr: String,
    /// From start to exit.
    pub elapsed: Duration,
}

impl Finished {
    /// The exit code, or 128 + the signal number.
    pub fn code(&self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        self.status.code().or_else(|| self.status.signal().map(|s| 128 + s)).unwrap_or(-1)
    }

    /// Checks the exit code, showing all output if it is another.
    ///
    /// # Panics
    /// If the code differs.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Finished {
        assert_eq!(self.code(), code, "exit code; stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Checks that standard error holds `text`.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn expect_stderr(&self, text: &str) -> &Finished {
        assert!(self.stderr.contains(text), "stderr lacks {text:?}:\n{}", self.stderr);
        self
    }

    /// Checks that standard output is exactly `text`.
    ///
    /// # Panics
    /// If it differs.
    #[track_caller]
    pub fn expect_stdout(&self, text: &str) -> &Finished {
        assert_eq!(self.stdout, text, "stdout; stderr:\n{}", self.stderr);
        self
    }
}

/// A run of `repy-launch` being put together.
#[derive(Clone, Debug)]
pub struct Launch {
    user: User,
    policy: PathBuf,
    vessel: Option<PathBuf>,
    options: Vec<OsString>,
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Launch {
    /// A run of `program` under `policy` as `user`. An ordinary user of a host
    /// without cgroup delegation gets `--without cgroup`, as the README tells.
    pub fn new(user: User, policy: impl AsRef<Path>, program: impl AsRef<Path>) -> Launch {
        let mut launch = Launch {
            user,
            policy: policy.as_ref().into(),
            vessel: None,
            options: Vec::new(),
            program: program.as_ref().into(),
            arguments: Vec::new(),
        };
        if user == User::Ordinary || !crate::is_root() {
            launch = launch.option("--without").option("cgroup");
        }
        launch
    }

    /// Sets the vessel directory.
    pub fn vessel(mut self, path: impl AsRef<Path>) -> Launch {
        self.vessel = Some(path.as_ref().into());
        self
    }

    /// Adds one word to the options.
    pub fn option(mut self, word: impl AsRef<OsStr>) -> Launch {
        self.options.push(word.as_ref().into());
        self
    }

    /// Adds one argument of the program.
    pub fn argument(mut self, word: impl AsRef<OsStr>) -> Launch {
        self.arguments.push(word.as_ref().into());
        self
    }

    /// The command line as a `Command`, for tests that need to hold the process.
    pub fn command(&self) -> Command {
        let mut command = as_user(self.user, &crate::bin("repy-launch"));
        command.arg("--policy").arg(&self.policy);
        if let Some(vessel) = &self.vessel {
            command.arg("--vessel").arg(vessel);
        }
        command.args(&self.options).arg(&self.program).args(&self.arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs to the end, at most `seconds`.
    ///
    /// # Panics
    /// If the command cannot be started or does not end in time.
    #[track_caller]
    pub fn run(&self, seconds: u64) -> Finished {
        finish(self.command(), Duration::from_secs(seconds))
    }
}

/// One of the project's binaries, where `user` can execute it: a checkout often lies
/// below a private home, so an ordinary user gets a copy.
pub fn program_of(user: User, name: &str) -> PathBuf {
    match user {
        User::Caller => crate::bin(name),
        User::Ordinary => public_copies().join(name),
    }
}

/// One of the project's binaries as a command of `user`.
pub fn as_user(user: User, program: &Path) -> Command {
    let name = program.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    becoming(user, Command::new(program_of(user, name)))
}

/// A program of the system (found by PATH) as a command of `user`.
pub fn system_command(user: User, program: &str) -> Command {
    becoming(user, Command::new(program))
}

fn becoming(user: User, mut command: Command) -> Command {
    use std::os::unix::process::CommandExt;
    if user == User::Ordinary {
        // `uid`/`gid` of std also clear the supplementary groups when root calls them.
        command.uid(ORDINARY.0).gid(ORDINARY.1).current_dir("/tmp");
    }
    command
}

/// A directory with copies of both binaries that every user can execute.
fn public_copies() -> &'static Path {
    use std::sync::OnceLock;
    static COPIES: OnceLock<Scratch> = OnceLock::new();
    COPIES
        .get_or_init(|| {
            let scratch = Scratch::new("bin");
            for name in ["repy-launch", "repy-interp", "breach", "netbreach", "probe"] {
                let directory = crate::bin_directories();
                if let Some(from) = directory.iter().map(|d| d.join(name)).find(|p| p.is_file()) {
                    std::fs::copy(&from, scratch.join(name))
                        .unwrap_or_else(|e| panic!("cannot copy {}: {e}", from.display()));
                }
            }
            scratch
        })
        .path()
}

/// Runs a command to its end, reading both outputs, at most `limit`.
///
/// # Panics
/// If it cannot be started or does not end in time (it is killed then).
#[track_caller]
pub fn finish(mut command: Command, limit: Duration) -> Finished {
    let start = Instant::now();
    let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let out = drain(child.stdout.take());
    let err = drain(child.stderr.take());
    let status = wait(&mut child, start, limit, &format!("{command:?}"));
    let elapsed = start.elapsed();
    let text = |reader: std::thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
    };
    Finished { status, stdout: text(out), stderr: text(err), elapsed }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

#[track_caller]
fn wait(child: &mut Child, start: Instant, limit: Duration, what: &str) -> ExitStatus {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status,
            Ok(None) if start.elapsed() > limit => {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{what} did not end within {limit:?}");
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            Err(e) => panic!("cannot wait for {what}: {e}"),
        }
    }
}
