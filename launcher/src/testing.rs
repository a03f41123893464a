//! Helpers of the unit tests.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::facts::{Authority, Host, Kernel, Landlock, Support, Vessel};
use crate::plan::demand::Demand;
use crate::plan::layer::Layers;
use crate::request::Request;

/// A host with everything and a new kernel, on which root starts the launcher.
pub fn root_host() -> Host {
    Host {
        kernel: Kernel::from_release("6.18.44".to_owned()),
        uid: 0,
        gid: 0,
        authority: Authority::HostRoot,
        run_id: 2_000_004_242,
        landlock: Some(Landlock { abi: 7, fs: 0xffff, net: 3, scoped: 3 }),
        seccomp: Support::Yes,
        mdwe: true,
        userns: Support::Yes,
        cgroup: Support::Yes,
        open_files: 1 << 20,
        vessel: Vessel { uid: 0, gid: 0, identity: (1, 2), existing: vec![] },
    }
}

/// The same host, on which an ordinary user starts it.
pub fn user_host() -> Host {
    let vessel = Vessel { uid: 1000, gid: 1000, ..root_host().vessel };
    Host { uid: 1000, gid: 1000, authority: Authority::User, vessel, ..root_host() }
}

/// A request that nothing is special about.
pub fn plain_request(demand: Demand) -> Request {
    Request {
        demand,
        vessel: PathBuf::from("."),
        interpreter: PathBuf::from("/usr/libexec/repy-interp"),
        arguments: vec![],
        reserved: vec![],
        waived: Layers::NONE,
        scratch: false,
        max_accepted: 1024,
        start_block: vec![],
    }
}

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A directory of the test's own, removed when the test ends.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the directory below the system's temporary directory.
    pub fn new(label: &str) -> Scratch {
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("repy-unit-{}-{n}-{label}", std::process::id()));
        std::fs::create_dir(&path).unwrap_or_else(|e| panic!("cannot create {}: {e}", path.display()));
        Scratch(path)
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
