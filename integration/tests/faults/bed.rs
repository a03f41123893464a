//! One run with everything a fault leaves to look at.

use integration::processes::{descendants, is_alive, wait_until};
use integration::run::{finish, Finished, Launch, User};
use integration::setting::{wide_policy, Setting};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// What is left must be gone within two seconds; a machine with more to do than it can gets
/// ten, and the test says so.
pub const SOON: Duration = Duration::from_secs(2);
pub const LATE: Duration = Duration::from_secs(10);

pub struct Bed {
    pub setting: Setting,
    pub launcher: Option<u32>,
    pub below: Vec<u32>,
}

impl Bed {
    pub fn new(user: User) -> Bed {
        Bed { setting: Setting::new("fault", user), launcher: None, below: Vec::new() }
    }

    pub fn report(&self) -> PathBuf {
        self.setting.vessel().join("report.json")
    }

    pub fn launch(&self, program: &str) -> Launch {
        self.setting.launch(&wide_policy(), program).option("--report").option(self.report())
    }

    /// Starts a program; waits for its first line if it `speaks`.
    pub fn start(&mut self, launch: &Launch, speaks: bool) -> Child {
        let mut child = launch.command().spawn().expect("the launcher starts");
        self.launcher = Some(child.id());
        if speaks {
            let mut line = String::new();
            let mut out = BufReader::new(child.stdout.take().expect("piped"));
            out.read_line(&mut line).expect("a line");
            assert_eq!(line, "started\n");
            std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
            self.below = descendants(child.id());
            assert!(!self.below.is_empty(), "nothing runs");
        }
        child
    }

    /// A run of a shell line with `LAUNCH` standing for the launcher's words.
    pub fn shell(&self, line: &str, launch: &Launch) -> Finished {
        let inner = launch.command();
        let words = std::iter::once(inner.get_program()).chain(inner.get_args());
        let quoted: Vec<String> =
            words.map(|word| format!("'{}'", word.to_string_lossy().replace('\'', "'\\''"))).collect();
        let mut command = integration::run::system_command(self.setting.user(), "/bin/bash");
        command.arg("-c").arg(line.replace("LAUNCH", &quoted.join(" ")));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command, Duration::from_secs(60))
    }

    /// Nothing of the run is left.
    pub fn clean(&self, case: &str) {
        let begun = Instant::now();
        let gone = wait_until(LATE, || !self.below.iter().any(|pid| is_alive(*pid)));
        assert!(gone, "{case}: left: {:?}", self.below);
        if begun.elapsed() > SOON {
            println!("{case}: gone only after {:?}: a busy machine", begun.elapsed());
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
        assert!(!mounts.contains(&*self.setting.vessel().to_string_lossy()), "{case}: a mount is left");
        self.whole_report(case);
    }

    pub fn whole_report(&self, case: &str) {
        if let Ok(text) = std::fs::read_to_string(self.report()) {
            let value: serde_json::Value = serde_json::from_str(&text)
                .unwrap_or_else(|e| panic!("{case}: half a report: {e}: {text:?}"));
            assert!(value["exit_code"].is_i64(), "{case}: {value}");
        }
    }

    /// No control group of the run is left once another has started.
    pub fn swept(&self, case: &str) {
        let Some(launcher) = self.launcher.filter(|_| integration::is_root()) else { return };
        let again = self.setting.launch(&wide_policy(), "pass\n").run(60);
        again.expect_code(0);
        let left = groups(Path::new("/sys/fs/cgroup"), &format!("-{launcher}-"), 0);
        assert!(left.is_empty(), "{case}: {left:?}");
    }
}

/// Directories of control groups whose name holds `part` and begins as the launcher's do.
pub fn groups(directory: &Path, part: &str, depth: u32) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("repy") && format!("-{name}-").contains(part) {
            found.push(entry.path());
        }
        if depth < 8 {
            found.extend(groups(&entry.path(), part, depth + 1));
        }
    }
    found
}
