//! What the tests stand on: groups, vessels and runs of the launcher in them.

use integration::scratch::Scratch;
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::os::unix::fs::chown;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the control groups are mounted.
pub const CGROUPS: &str = "/sys/fs/cgroup";
/// The ordinary user.
pub const USER: u32 = 65534;
/// Root, and the ordinary user.
pub const USERS: [u32; 2] = [0, USER];
/// The tutorial's first program.
pub const HELLO: &str = include_str!("../../../../examples/example.1.1.repy");
/// A policy for it, with network: the run gets room for a broker.
pub const TUTORIAL: &str = include_str!("../../../../policies/restrictions.test");

/// A program that talks to itself over loopback and then does something.
pub fn talk(then: &str) -> String {
    format!(
        "def heard(ip, port, connection, handle, listener):\n  print 'heard', connection.recv(5)\n\n\
         if callfunc == 'initialize':\n  waitforconn('127.0.0.1', 12345, heard)\n  \
         connection = openconn('127.0.0.1', 12345)\n  connection.send('hello')\n  {then}\n  exitall()\n"
    )
}

/// The release of the running kernel.
pub fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// Whether the running kernel is at least this.
pub fn kernel_from(major: u32, minor: u32) -> bool {
    version() >= (major, minor)
}

/// The first two numbers of the kernel's release.
pub fn version() -> (u32, u32) {
    let release = release();
    let mut numbers = release.split(['.', '-', '+']).map(|word| word.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// A place on a filesystem whose ids can be mapped: tmpfs learnt it in Linux 6.3.
pub fn disk() -> &'static str {
    if kernel_from(6, 3) {
        "/tmp"
    } else {
        "/disk"
    }
}

/// A policy without network and with every other call, its numbers replaced by
/// `changes` (resource, value).
pub fn policy(changes: &[(&str, &str)]) -> String {
    const NETWORK: [&str; 9] = [
        "gethostbyname_ex",
        "getmyip",
        "openconn",
        "recvmess",
        "sendmess",
        "waitforconn",
        "stopcomm",
        "socket.",
        "port",
    ];
    integration::setting::wide_policy()
        .lines()
        .filter(|line| !NETWORK.iter().any(|word| line.contains(word)))
        .map(|line| {
            let change = changes.iter().find(|(name, _)| line.starts_with(&format!("resource {name} ")));
            match change {
                Some((name, value)) => format!("resource {name} {value}\n"),
                None => format!("{line}\n"),
            }
        })
        .collect()
}

/// How a command ended.
pub struct Finished {
    /// Its exit status, or 128 + the signal; -1 if it had to be killed.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
    /// The report, if one was asked for and written.
    pub report: Value,
}

impl Finished {
    /// Everything, for the message of a failed test.
    pub fn all(&self) -> String {
        format!(
            "exit {}; stdout {:?}; stderr {:?}; report {}",
            self.code, self.stdout, self.stderr, self.report
        )
    }

    /// Checks the exit status.
    pub fn expect(self, code: i32) -> Result<Finished, String> {
        if self.code == code {
            Ok(self)
        } else {
            Err(format!("expected exit {code}: {}", self.all()))
        }
    }
}

/// Runs to the end; kills what takes longer.
pub fn finish(mut command: Command, limit: Duration) -> Finished {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    match command.spawn() {
        Ok(child) => wait(child, limit),
        Err(error) => Finished {
            code: -1,
            stdout: String::new(),
            stderr: format!("{command:?}: {error}"),
            report: Value::Null,
        },
    }
}

/// Waits for a started command.
pub fn wait(mut child: Child, limit: Duration) -> Finished {
    let began = Instant::now();
    let drain = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                // What came before an error is still worth showing.
                let _ = pipe.read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let out = drain(child.stdout.take().map(|pipe| Box::new(pipe) as _));
    let err = drain(child.stderr.take().map(|pipe| Box::new(pipe) as _));
    let code = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.code().unwrap_or(128 + status.signal().unwrap_or(0)),
            Ok(None) if began.elapsed() < limit => std::thread::sleep(Duration::from_millis(10)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                break -1;
            }
        }
    };
    let text = |reader: std::thread::JoinHandle<String>| reader.join().unwrap_or_default();
    Finished { code, stdout: text(out), stderr: text(err), report: Value::Null }
}

/// A group below the root of the hierarchy, given to a user as an administrator
/// delegates one, and removed with everything in it.
pub struct Delegated {
    path: PathBuf,
    user: u32,
}

impl Delegated {
    /// Makes it; the controllers are handed down to it.
    pub fn new(label: &str, user: u32) -> Result<Delegated, String> {
        write(&Path::new(CGROUPS).join("cgroup.subtree_control"), "+cpu +memory +pids")?;
        let path = Path::new(CGROUPS).join(format!("guest-{label}-{}-{user}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let delegated = Delegated { path, user };
        delegated.give(delegated.path())?;
        Ok(delegated)
    }

    /// What the kernel's documentation says to delegate: the directory and two files.
    fn give(&self, path: &Path) -> Result<(), String> {
        for name in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
            let file = path.join(name);
            chown(&file, Some(self.user), Some(self.user)).map_err(|e| format!("{}: {e}", file.display()))?;
        }
        Ok(())
    }

    /// A group below it, of the same user.
    pub fn below(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.path.join(name);
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        self.give(&path)?;
        Ok(path)
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number behind a key of one of its files; these count what happened below too.
    pub fn count(&self, file: &str, key: &str) -> u64 {
        number(&self.path.join(file), key)
    }

    /// The groups of runs in it, without the launchers' own.
    pub fn runs(&self) -> Vec<PathBuf> {
        runs_in(&self.path)
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
        remove_group(&self.path);
    }
}

/// A delegated group with a session in it, as after a login: launchers start beside
/// another process, so their own group cannot be divided and the one above is used.
pub struct Session {
    /// The delegated group, in which the leaves are made.
    pub group: Delegated,
    /// Where launchers start.
    pub own: PathBuf,
    other: Child,
}

impl Session {
    /// Makes both groups, and the other process.
    pub fn new(label: &str, user: u32) -> Result<Session, String> {
        let group = Delegated::new(label, user)?;
        write(&group.path().join("cgroup.subtree_control"), "+cpu +memory +pids")?;
        let own = group.below("session")?;
        let mut other = Command::new("/proc/self/exe");
        other.arg("enter").arg(&own).arg(user.to_string()).args(["sleep", "3600"]);
        let other = other.stdin(Stdio::null()).stdout(Stdio::null()).spawn().map_err(|e| e.to_string())?;
        let session = Session { group, own, other };
        if until(20, || !processes(&session.own).is_empty()) {
            Ok(session)
        } else {
            Err("the other process is not in its group".to_owned())
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.other.kill();
        let _ = self.other.wait();
    }
}

fn remove_group(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_group(&entry.path());
        }
    }
    for _ in 0..200 {
        match fs::remove_dir(path) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                std::thread::sleep(Duration::from_millis(10));
            }
            _ => return,
        }
    }
}

/// The groups of runs in a group.
pub fn runs_in(path: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            path.is_dir() && name.starts_with("repy-") && !name.ends_with("-supervisor")
        })
        .collect();
    found.sort();
    found
}

/// The number behind a key in a file of "key value" lines; 0 if there is none.
pub fn number(file: &Path, key: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().filter_map(|line| line.split_once(' ')).find(|(name, _)| *name == key);
    value.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

/// The text of a small file; empty if it cannot be read.
pub fn read(file: impl AsRef<Path>) -> String {
    fs::read_to_string(file).unwrap_or_default().trim_end().to_owned()
}

/// Writes a small file.
pub fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// A run of the launcher being put together: a vessel, a policy and a program.
pub struct Run {
    scratch: Scratch,
    vessel: PathBuf,
    user: u32,
    group: Option<PathBuf>,
    options: Vec<String>,
    arguments: Vec<String>,
}

impl Run {
    /// A run as `user`, from inside `group`.
    pub fn new(user: u32, group: Option<&Path>, policy: &str, program: &str) -> Run {
        let scratch = Scratch::new("guest");
        let vessel = scratch.directory("vessel", Some((user, user)));
        let reports = scratch.directory("reports", Some((user, user)));
        scratch.write("policy.test", policy);
        scratch.write("program.repy", program);
        let options = vec!["--report".to_owned(), reports.join("report.json").display().to_string()];
        Run { scratch, vessel, user, group: group.map(Path::to_owned), options, arguments: Vec::new() }
    }

    /// A run of another binary in the interpreter's place.
    pub fn instead(user: u32, group: Option<&Path>, policy: &str, interp: &str) -> Run {
        Run::new(user, group, policy, "").option("--interp").option(&format!("/bin/{interp}"))
    }

    /// One more word of the options.
    pub fn option(mut self, word: &str) -> Run {
        self.options.push(word.to_owned());
        self
    }

    /// One more argument of the program.
    pub fn argument(mut self, word: &str) -> Run {
        self.arguments.push(word.to_owned());
        self
    }

    /// Gives up layers.
    pub fn without(self, layers: &[&str]) -> Run {
        layers.iter().fold(self, |run, layer| run.option("--without").option(layer))
    }

    /// The vessel.
    pub fn vessel(&self) -> &Path {
        &self.vessel
    }

    /// The command that runs it.
    pub fn command(&self) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.arg("enter").arg(self.group.as_deref().unwrap_or(Path::new("-")));
        command.arg(self.user.to_string()).arg("/bin/repy-launch");
        command.arg("--policy").arg(self.scratch.join("policy.test")).arg("--vessel").arg(&self.vessel);
        command.args(&self.options).arg(self.scratch.join("program.repy")).args(&self.arguments);
        command.current_dir("/").env_remove("TMPDIR");
        command
    }

    /// Starts it and goes on.
    pub fn start(&self) -> Result<Child, String> {
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map_err(|error| format!("{command:?}: {error}"))
    }

    /// Runs to the end.
    pub fn run(&self) -> Finished {
        let mut finished = finish(self.command(), Duration::from_secs(120));
        finished.report = self.report();
        finished
    }

    /// The report as it is now.
    pub fn report(&self) -> Value {
        let text = read(self.scratch.join("reports/report.json"));
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

/// Waits at most `seconds` until something holds.
pub fn until(seconds: u64, mut holds: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > Duration::from_secs(seconds) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// The processes in a group and below it.
pub fn processes(group: &Path) -> Vec<u32> {
    let mut found: Vec<u32> =
        read(group.join("cgroup.procs")).lines().filter_map(|line| line.parse().ok()).collect();
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(processes(&entry.path()));
        }
    }
    found
}

/// Removes what a test that died left in the temporary directories.
pub fn clean() {
    for place in ["/tmp", "/disk"] {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("repy-test-") {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
    for entry in fs::read_dir(CGROUPS).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("guest-") {
            let _ = fs::write(entry.path().join("cgroup.kill"), "1");
            remove_group(&entry.path());
        }
    }
}
