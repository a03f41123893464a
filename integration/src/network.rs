//! A network of a test's own: a namespace with loopback, one interface with a few
//! addresses, a default route that leads nowhere, and own `/etc/hosts` and `/etc/resolv.conf`.

use crate::run::{finish, Finished};
use crate::scratch::Scratch;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The address programs get from `getmyip()` in such a network (RFC 5737's documentation range).
pub const OWN_ADDRESS: &str = "192.0.2.10";
/// A second address of the same machine, where tests put servers.
pub const SERVER_ADDRESS: &str = "192.0.2.80";

/// The namespace; it and everything started in it ends with this value.
#[derive(Debug)]
pub struct Network {
    holder: Child,
    started: Vec<Child>,
    scratch: Scratch,
}

impl Network {
    /// Makes the network. Needs root; `None` (and a word on stderr) without it.
    ///
    /// # Panics
    /// If a step fails.
    pub fn new(label: &str) -> Option<Network> {
        if !crate::is_root() {
            crate::skipped("a network namespace of its own needs root");
            return None;
        }
        let scratch = Scratch::new(label);
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sleep", "3600"]).stdin(Stdio::null());
        let holder = command.spawn().unwrap_or_else(|e| panic!("cannot start unshare: {e}"));
        let network = Network { holder, started: Vec::new(), scratch };
        network.wait_until_apart();
        network.shell(&format!(
            "ip link set lo up && ip link add repy0 type veth peer name repy1 && ip addr add {OWN_ADDRESS}/24 dev repy0 && \
             ip addr add {SERVER_ADDRESS}/24 dev repy0 && ip link set repy0 up && ip link set repy1 up && ip route add default via 192.0.2.1"
        ));
        Some(network)
    }

    fn wait_until_apart(&self) {
        let theirs = format!("/proc/{}/ns/mnt", self.holder.id());
        let deadline = Instant::now() + Duration::from_secs(10);
        let own = std::fs::read_link("/proc/self/ns/mnt").expect("own namespace");
        while std::fs::read_link(&theirs).map_or(true, |link| link == own) {
            assert!(Instant::now() < deadline, "unshare did not make its namespaces");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// A command that runs in the network; arguments are added by the caller.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--net", "--mount", "--wdns=/tmp", "--"]);
        command.arg(program).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A prepared command (program and arguments) moved into the network.
    pub fn inside(&self, command: &Command) -> Command {
        let mut moved = self.command(command.get_program());
        moved.args(command.get_args());
        moved
    }

    /// Runs a shell line in the network; it must succeed.
    ///
    /// # Panics
    /// If it fails.
    pub fn shell(&self, line: &str) -> Finished {
        let mut command = self.command("/bin/sh");
        command.args(["-c", line]);
        let run = finish(command, Duration::from_secs(20));
        run.expect_code(0);
        run
    }

    /// Gives the network its own `/etc/hosts` and `/etc/resolv.conf`.
    ///
    /// # Panics
    /// If they cannot be put in place.
    pub fn names(&self, hosts: &str, resolver: &str) {
        let hosts = self.scratch.write("hosts", format!("127.0.0.1 localhost\n{hosts}"));
        let resolver = self.scratch.write("resolv.conf", resolver);
        self.shell(&format!(
            "mount --bind {} /etc/hosts && mount --bind {} /etc/resolv.conf",
            hosts.display(),
            resolver.display()
        ));
    }

    /// Starts one of the test's own servers (`peer`) and waits until it is ready.
    ///
    /// # Panics
    /// If it does not say that it is ready.
    pub fn serve(&mut self, words: &[&str]) {
        let mut command = self.command(crate::bin("peer"));
        command.args(words);
        self.start_until(command, "ready");
    }

    /// Starts a command and waits until it prints a line that holds `word`; it is ended with the network.
    ///
    /// # Panics
    /// If it ends before.
    pub fn start_until(&mut self, mut command: Command, word: &str) {
        use std::io::BufRead;
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let out = child.stdout.take().expect("piped");
        let mut lines = std::io::BufReader::new(out);
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            let count = lines.read_line(&mut line).unwrap_or(0);
            assert!(count > 0, "{command:?} ended before it said {word:?}");
        }
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        self.started.push(child);
    }

    /// Fetches a page with curl; its body, or nothing if there is no answer.
    pub fn curl(&self, url: &str) -> Option<String> {
        let mut command = self.command("curl");
        command.args(["--silent", "--show-error", "--max-time", "15", url]);
        let run = finish(command, Duration::from_secs(30));
        (run.code() == 0).then_some(run.stdout)
    }

    /// Fetches a page as soon as somebody listens, within ten seconds.
    ///
    /// # Panics
    /// If nobody answers in time.
    pub fn curl_when_up(&self, url: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(body) = self.curl(url) {
                return body;
            }
            assert!(Instant::now() < deadline, "nobody answered at {url}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A place for files of this network's tests.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for child in self.started.iter_mut().chain([&mut self.holder]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
