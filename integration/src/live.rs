//! A run that lasts while a test looks at it.

use crate::run::{as_user, finish, Finished, Launch, User};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A program that says that it runs, and then waits for its end.
pub const IDLE: &str = "print 'started'\nsleep(60)\n";

/// A run in the background, ended with the test.
#[derive(Debug)]
pub struct LiveRun {
    child: Child,
    name: String,
    user: User,
}

impl LiveRun {
    /// Starts `launch` under a name of its own and waits until the program has
    /// printed its first line and the run is listed.
    ///
    /// # Panics
    /// If it does not come so far.
    #[track_caller]
    pub fn start(launch: Launch, user: User, label: &str) -> LiveRun {
        let name = format!("{label}-{}", std::process::id());
        let mut command = launch.option("--name").option(&name).command();
        let mut child = command.stderr(Stdio::inherit()).spawn().expect("the launcher starts");
        let out = child.stdout.take().expect("piped");
        let run = LiveRun { child, name, user };
        let mut line = String::new();
        let mut reader = BufReader::new(out);
        reader.read_line(&mut line).expect("a line");
        assert_eq!(line, "started\n");
        // What it prints later is thrown away.
        std::thread::spawn(
            move || while reader.read_line(&mut String::new()).is_ok_and(|length| length > 0) {},
        );
        let deadline = Instant::now() + Duration::from_secs(10);
        while run.listed().is_none() {
            assert!(Instant::now() < deadline, "{} is not listed", run.name);
            std::thread::sleep(Duration::from_millis(5));
        }
        run
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The launcher's process.
    pub fn launcher(&self) -> u32 {
        self.child.id()
    }

    /// What `ps --json` says of it.
    pub fn listed(&self) -> Option<Value> {
        let text = tool(self.user, &["ps", "--json"]).stdout;
        let list: Value = serde_json::from_str(&text).expect("ps --json gives JSON");
        let own = |run: &&Value| run["name"] == self.name.as_str() && run["launcher"] == self.launcher();
        list.as_array()?.iter().find(own).cloned()
    }

    /// The sandbox's process on the host.
    ///
    /// # Panics
    /// If the run is over.
    #[track_caller]
    pub fn sandbox(&self) -> i32 {
        self.listed().and_then(|run| run["sandbox"].as_i64()).expect("listed") as i32
    }

    /// Waits for its end; the exit code.
    ///
    /// # Panics
    /// If it does not end within ten seconds.
    #[track_caller]
    pub fn wait(&mut self) -> i32 {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(status) = self.child.try_wait().expect("waitable") {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < deadline, "{} has not ended", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for LiveRun {
    fn drop(&mut self) {
        // The sandbox dies with the launcher; both may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `repy-launch` with these words to its end.
///
/// # Panics
/// If it does not end within twenty seconds.
#[track_caller]
pub fn tool(user: User, words: &[&str]) -> Finished {
    let mut command = as_user(user, &crate::bin("repy-launch"));
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command, Duration::from_secs(20))
}
