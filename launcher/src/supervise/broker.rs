//! What the supervisor knows of the broker: how to start it, and that it ended.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Instant;

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{recv, MsgFlags};
use nix::sys::wait::{waitid, Id, WaitPidFlag, WaitStatus};

use super::ending::Cause;
use super::{Supervisor, GRACE};
use crate::apply::CgroupEntry;
use crate::broker::End;
use crate::sys::pidfd;

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

impl Supervisor<'_> {
    /// The sandbox uses its network channel for the first time.
    pub(super) fn start_broker(&mut self) {
        let Some(channel) = self.network.take() else { return };
        // A closed channel is readable, too: only a request that waits there
        // starts a broker, not the end of a run that never asked for anything.
        let look = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        let asked = matches!(recv(channel.as_raw_fd(), &mut [0], look), Ok(1..));
        let Some(broker) = self.broker.as_mut().filter(|_| asked) else { return };
        let group = match self.watch.group() {
            Some(group) => group.broker_entry(broker.memory(), broker.processes()).map(Some),
            None => Ok(None),
        };
        match group.and_then(|group| broker.start(channel, group)) {
            Ok(running) => {
                self.watch.count_broker(running.pid, Instant::now());
                self.running_broker = Some(running);
            }
            Err(error) => self.kill(Cause::BrokerLost(format!("it could not be started: {error}"))),
        }
    }

    /// The broker has ended while the sandbox goes on.
    pub(super) fn why_broker_ended(&self) -> String {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let status =
            self.running_broker.as_ref().map(|running| waitid(Id::PIDFd(running.pidfd.as_fd()), flags));
        match status {
            Some(Ok(WaitStatus::Exited(_, status))) => {
                format!("it ended before the program did: {}", End::of_status(status))
            }
            Some(Ok(WaitStatus::Signaled(_, signal, _))) => format!("it was killed by {}", signal.as_str()),
            _ => "it ended before the program did".to_owned(),
        }
    }

    /// The broker ends when the sandbox's end of the channel is gone; one that
    /// does not is killed.
    pub(super) fn end_broker(&mut self) {
        let Some(running) = self.running_broker.take() else { return };
        let mut set = [PollFd::new(running.pidfd.as_fd(), PollFlags::POLLIN)];
        let grace = PollTimeout::try_from(GRACE).unwrap_or(PollTimeout::ZERO);
        if !matches!(poll(&mut set, grace), Ok(ready) if ready > 0) {
            let _ = pidfd::send(running.pidfd.as_fd(), libc::SIGKILL);
            self.notes.push("the broker did not end by itself and was killed".to_owned());
        }
        let _ = waitid(Id::PIDFd(running.pidfd.as_fd()), WaitPidFlag::WEXITED);
    }
}
