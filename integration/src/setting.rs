//! The usual setting of a test: a vessel of the user's own, a policy and a program outside it.

use crate::run::{Launch, User, ORDINARY};
use crate::scratch::Scratch;
use std::path::{Path, PathBuf};

/// A vessel directory, and a place beside it for the policy and the program.
#[derive(Debug)]
pub struct Setting {
    scratch: Scratch,
    vessel: PathBuf,
    user: User,
}

impl Setting {
    /// Makes a vessel that `user` owns.
    pub fn new(label: &str, user: User) -> Setting {
        let scratch = Scratch::new(label);
        let owner = (user == User::Ordinary).then_some(ORDINARY);
        let vessel = scratch.directory("vessel", owner);
        Setting { scratch, vessel, user }
    }

    /// The vessel directory.
    pub fn vessel(&self) -> &Path {
        &self.vessel
    }

    /// The path of an entry beside the vessel.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// The user of this setting.
    pub fn user(&self) -> User {
        self.user
    }

    /// Copies one of the project's files (`examples/…`, `policies/…`) beside the vessel.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn copy(&self, project_path: &str) -> PathBuf {
        let from = crate::project_root().join(project_path);
        let content = std::fs::read(&from).unwrap_or_else(|e| panic!("cannot read {}: {e}", from.display()));
        let name = from.file_name().and_then(|n| n.to_str()).unwrap_or("file");
        self.scratch.write(name, content)
    }

    /// Writes a file beside the vessel.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        self.scratch.write(name, content)
    }

    /// A run of the program text under the policy text.
    pub fn launch(&self, policy: &str, program: &str) -> Launch {
        let policy = self.write("policy.test", policy);
        let program = self.write("program.repy", program);
        self.launch_files(policy, program)
    }

    /// A run of a program file under a policy file.
    pub fn launch_files(&self, policy: impl AsRef<Path>, program: impl AsRef<Path>) -> Launch {
        Launch::new(self.user, policy, program).vessel(&self.vessel)
    }

    /// A run of one of `examples/` under the sample policy that suits all of them.
    pub fn launch_example(&self, name: &str) -> Launch {
        let policy = self.copy("policies/restrictions.test");
        let program = self.write(name, crate::tutorial::example(name));
        self.launch_files(policy, program)
    }
}

/// A policy that allows every call, with wide limits; tests append or replace lines.
pub fn wide_policy() -> String {
    let mut text = String::from(
        "resource cpu 1\nresource memory 50000000\nresource diskused 50000000\nresource events 50\n\
         resource filesopened 20\nresource insockets 20\nresource outsockets 20\nresource random 10000\n\
         resource messport 12345\nresource connport 12345\n",
    );
    for rate in ["filewrite", "fileread", "netsend", "netrecv", "loopsend", "looprecv", "lograte"] {
        text.push_str(&format!("resource {rate} 100000000\n"));
    }
    for call in CALLS {
        text.push_str(&format!("call {call} allow\n"));
    }
    text
}

/// [`wide_policy`] with the line of `resource` replaced.
pub fn wide_policy_with(resource: &str, value: &str) -> String {
    let start = format!("resource {resource} ");
    wide_policy()
        .lines()
        .map(|line| if line.starts_with(&start) { format!("{start}{value}\n") } else { format!("{line}\n") })
        .collect()
}

const CALLS: &[&str] = &[
    "canceltimer",
    "exitall",
    "file.close",
    "file.flush",
    "file.__init__",
    "file.next",
    "file.read",
    "file.readline",
    "file.readlines",
    "file.seek",
    "file.write",
    "file.writelines",
    "listdir",
    "removefile",
    "gethostbyname_ex",
    "getmyip",
    "open",
    "openconn",
    "recvmess",
    "sendmess",
    "settimer",
    "sleep",
    "socket.close",
    "socket.recv",
    "socket.send",
    "stopcomm",
    "waitforconn",
    "log.write",
    "log.writelines",
    "randomfloat",
    "getruntime",
    "getlock",
    "get_thread_name",
    "VirtualNamespace",
];
