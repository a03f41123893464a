//! The record of one run: who runs what, and every row of its plan in a form that
//! can be compared with what the kernel holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::identity::Identity;

/// Version of the form.
pub const VERSION: u32 = 1;

/// The record of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`].
    pub record_version: u32,
    /// Version of the launcher.
    pub launcher_version: String,
    /// `--name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The supervisor.
    pub launcher: Identity,
    /// The interpreter.
    pub sandbox: Identity,
    /// The user of the launcher.
    pub uid: u32,
    /// Seconds since 1970 at which the launcher started.
    pub began: f64,
    /// The restrictions file, absolute.
    pub policy: String,
    /// Its digest as it was read.
    pub policy_sha256: String,
    /// The program file, absolute.
    pub program: String,
    /// The vessel directory, absolute.
    pub vessel: String,
    /// The interpreter's file, absolute.
    pub interpreter: String,
    /// By name: enforced, waived, or not needed.
    pub layers: BTreeMap<String, String>,
    /// Directories of the control groups; empty where the layer is waived.
    pub groups: Vec<String>,
    /// By name of the restrictions language.
    pub limits: BTreeMap<String, f64>,
    /// The plan, in the order it was applied.
    pub rows: Vec<Row>,
}

/// One row of the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Name of the step.
    pub step: String,
    /// The layer it belongs to, if to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// What it does, as `--plan` says it.
    pub says: String,
    /// The lines of the policy that it carries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// What the kernel must show if it holds.
    pub expect: Vec<Expect>,
}

/// One thing that can be looked at from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "look", rename_all = "snake_case")]
pub enum Expect {
    /// A file of a control group holds this value.
    GroupFile {
        /// Its path.
        path: String,
        /// What was written to it.
        value: String,
    },
    /// The sandbox is in this group.
    Member {
        /// The group's directory.
        group: String,
    },
    /// The sandbox is neither frozen nor stopped.
    Runs,
    /// A line of /proc/PID/status.
    Status {
        /// The key.
        key: String,
        /// The value, blanks made one.
        value: String,
    },
    /// A limit of the process, soft and hard.
    Limit {
        /// Its name as in `RLIMIT_NAME`.
        name: String,
        /// Bytes or items.
        value: u64,
    },
    /// The sandbox has a namespace of this kind of its own.
    OwnNamespace {
        /// Name of the file below /proc/PID/ns.
        kind: String,
    },
    /// One id inside is one id on the host.
    IdMap {
        /// uid or gid.
        kind: String,
        /// Inside.
        inner: u32,
        /// On the host.
        outer: u32,
    },
    /// The vessel is the only mount, with its reserved files over themselves.
    Mounts {
        /// Names of the reserved files.
        reserved: Vec<String>,
        /// Whether the mount shows other ids than the disk.
        idmapped: bool,
    },
    /// The root directory is a filesystem in memory with these bounds.
    MemoryFilesystem {
        /// Bytes of content.
        bytes: u64,
        /// Files, the root directory among them.
        inodes: u64,
    },
    /// The root directory is this one.
    Root {
        /// Device number.
        device: u64,
        /// Inode.
        inode: u64,
    },
    /// Descriptors 0-6 and no channel beyond them.
    Descriptors {
        /// Whether number 6 is the network channel.
        network: bool,
    },
    /// The file that runs.
    Executable {
        /// Device number.
        device: u64,
        /// Inode.
        inode: u64,
    },
    /// The process was given no environment.
    NoEnvironment,
    /// The network namespace has the loopback interface and no other.
    OnlyLoopback,
    /// The sockets that the program holds are bound to granted ports.
    Ports {
        /// UDP.
        udp: Vec<u16>,
        /// TCP.
        tcp: Vec<u16>,
        /// Whether it may hold sockets that only send, with any port.
        send_anywhere: bool,
    },
    /// The installed filter is this one.
    Filter {
        /// Number of instructions.
        instructions: usize,
        /// Digest of its bytes.
        sha256: String,
    },
    /// The sandbox itself tried it before exec: nobody can see it from outside.
    Tried {
        /// What was tried.
        what: String,
        /// Whether it was seen to hold.
        holds: bool,
    },
    /// The sandbox's process is the launcher's child.
    ChildOfLauncher,
}
