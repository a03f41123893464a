//! The broker: makes every socket of a run, and decides on every address.
//!
//! A process of its own, forked from the supervisor on the first network
//! request. It holds one channel to the interpreter and the sockets of granted
//! ports; it opens no file, and takes no descriptor from anybody. The
//! interpreter asks ([`policies::channel::network`]); the broker resolves the
//! host once, decides by the policy on the address it will use, makes the
//! socket, and passes it on. What it cannot do is held by the kernel:
//! [`confine`] says how.
//!
//! Pure parts: [`decide`], [`ports`], [`resolve::wire`], [`resolve::hosts`],
//! [`resolve::config`]. Sockets are made in [`socket`] alone.

mod acts;
pub mod channel;
pub mod confine;
pub mod decide;
pub mod netlink;
pub mod own;
pub mod pace;
mod pending;
pub mod ports;
pub mod resolve;
pub mod service;
pub mod socket;
pub mod table;

use std::io;
use std::os::fd::OwnedFd;

use policies::{Policy, Resource};

use crate::apply::CgroupEntry;
use crate::facts::{Authority, Host};
use crate::plan::identity::Ids;
use crate::plan::layer::{Layer, Layers};
use crate::supervise::broker::RunningBroker;

pub use own::{AddressOptions, Listed};
pub use ports::Unbindable;

/// Why the broker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The interpreter's end of the channel is gone.
    Closed,
    /// The interpreter sent what is no request.
    Protocol,
    /// The kernel refused what must work.
    Broken,
}

impl End {
    /// The exit status that tells the supervisor.
    pub fn status(self) -> i32 {
        match self {
            End::Closed => 0,
            End::Protocol => 65,
            End::Broken => 70,
        }
    }

    /// What an exit status of the broker means, for people.
    pub fn of_status(status: i32) -> &'static str {
        match status {
            0 => "it saw the interpreter's end of the channel close",
            65 => "the interpreter sent what is no request",
            _ => {
                let step = usize::try_from(status - confine::FIRST_STEP).ok();
                step.and_then(|step| confine::STEPS.get(step).copied()).unwrap_or("it failed")
            }
        }
    }
}

/// What a broker is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The policy of the run.
    pub policy: Policy,
    /// Whether call rules count (false for `--norestrictions`).
    pub restrictions: bool,
    /// `--ip`, `--iface`, `--nootherips`.
    pub addresses: AddressOptions,
    /// As root: the ids the broker takes. Not those of the sandbox.
    pub ids: Option<Ids>,
    /// The layers in force; of these Landlock, seccomp and mdwe hold the broker, too.
    pub enforced: Layers,
}

/// Distance of the broker's uid from the sandbox's: more than there can be pids.
const BROKER_IDS: u32 = 1 << 23;

impl Settings {
    /// Settings for a run on this host.
    pub fn new(
        policy: Policy,
        restrictions: bool,
        addresses: AddressOptions,
        host: &Host,
        enforced: Layers,
    ) -> Settings {
        let ids = (host.authority == Authority::HostRoot).then(|| {
            let id = host.run_id + BROKER_IDS;
            Ids { uid: id, gid: id }
        });
        Settings { policy, restrictions, addresses, ids, enforced }
    }

    /// Whether a layer is in force.
    fn enforces(&self, layer: Layer) -> bool {
        self.enforced.contains(layer)
    }

    /// Most descriptors of the broker: sockets under way, receivers it keeps a
    /// copy of, and its own.
    fn open_files(&self) -> u64 {
        const OWN: u64 = 64;
        const UNDER_WAY: u64 = 2048;
        self.policy.whole(Resource::InSockets).saturating_add(OWN + UNDER_WAY)
    }
}

/// Starts a broker on its end of the channel. It confines itself before it reads
/// a request; where that fails it ends, and its status says at what
/// ([`End::of_status`]). The calling process must have one thread only.
///
/// # Errors
/// What failed before there was a process; nothing is left.
pub fn start(settings: &Settings, channel: OwnedFd, group: Option<CgroupEntry>) -> io::Result<RunningBroker> {
    confine::start(settings, channel, group)
}

/// The supervisor's way to start a broker.
impl crate::supervise::broker::Broker for Settings {
    fn start(&mut self, channel: OwnedFd, group: Option<CgroupEntry>) -> io::Result<RunningBroker> {
        start(self, channel, group)
    }

    /// Its own memory, and the buffers of the sockets it makes, which newer
    /// kernels count for the group that made them.
    fn memory(&self) -> u64 {
        const OWN: u64 = 32 << 20;
        const DATAGRAM_SOCKET: u64 = 256 << 10;
        const STREAM_SOCKET: u64 = 64 << 10;
        let sockets = |resource, each: u64| self.policy.whole(resource).saturating_mul(each);
        let buffers = sockets(Resource::InSockets, DATAGRAM_SOCKET)
            .saturating_add(sockets(Resource::OutSockets, STREAM_SOCKET));
        // What one machine has for sockets at most.
        OWN + buffers.min(1 << 30)
    }

    fn processes(&self) -> u32 {
        confine::PROCESSES
    }
}
