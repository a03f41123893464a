//! What the supervisor knows of the broker: how to start it, and that it ended.

use std::io;
use std::os::fd::OwnedFd;

use crate::apply::CgroupEntry;

/// Starts the broker of a run whose policy grants network.
pub trait Broker {
    /// Called once, when the sandbox first uses its network channel. `channel`
    /// is the broker's end; `group` is what the broker has to join first (None
    /// where the layer is waived).
    ///
    /// # Errors
    /// The broker cannot be started: the run ends with 70.
    fn start(&mut self, channel: OwnedFd, group: Option<CgroupEntry>) -> io::Result<RunningBroker>;

    /// Most memory of the broker, in bytes, for its control group.
    fn memory(&self) -> u64 {
        32 << 20
    }

    /// Most processes of the broker: itself and one that resolves a name.
    fn processes(&self) -> u32 {
        2
    }
}

/// A broker at work.
#[derive(Debug)]
pub struct RunningBroker {
    /// Readable when it has ended.
    pub pidfd: OwnedFd,
    /// Its process id on the host, for the report.
    pub pid: i32,
}
