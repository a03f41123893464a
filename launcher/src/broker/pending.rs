//! A request under way: what it asks for, and what it waits for.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::Instant;

use nix::errno::Errno;
use policies::channel::network::{Failure, Host, Local, Reply, Request};

use super::channel::Answer;
use super::decide::Destination;

/// A request under way.
#[derive(Debug)]
pub(super) struct Pending {
    pub request: Request,
    pub step: Step,
    /// When it is looked at again.
    pub due: Instant,
    /// When it is given up.
    pub deadline: Instant,
    pub destination: Option<Destination>,
    /// Address of the own end, where the program gave one; 0.0.0.0 for any.
    pub own: Option<Ipv4Addr>,
    /// The last error that may go away by itself.
    pub last: Option<Errno>,
}

/// What a request waits for.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing yet.
    Begin,
    /// The name of the destination, or of a look-up.
    Name,
    /// The name of the own end.
    OwnName,
    /// A connection.
    Connecting(OwnedFd, SocketAddrV4),
    /// The next try of a connection.
    Again,
    /// An old connection with the same ends to go away.
    Cleanup,
    /// Room in a socket's buffer.
    Room,
    /// A port to be free: TCP or not, and which.
    Port(bool, SocketAddrV4),
}

/// How far a request has come.
pub(super) enum Next {
    /// It is answered.
    Done(Answer),
    /// It waits as its step says.
    Wait,
}

impl From<Failure> for Next {
    fn from(failure: Failure) -> Next {
        Next::Done(Err(failure))
    }
}

impl From<Answer> for Next {
    fn from(answer: Answer) -> Next {
        Next::Done(answer)
    }
}

pub(super) fn closed() -> Next {
    Next::Done(Ok((Reply::Closed { known: true }, None)))
}

/// Bytes of a request that count while it is under way.
pub(super) fn cost(request: &Request) -> usize {
    match request {
        Request::Send { payload, .. } => payload.len(),
        _ => 0,
    }
}

/// Whether a step holds a place among the outgoing connections.
pub(super) fn is_opening(step: &Step) -> bool {
    matches!(step, Step::Connecting(..) | Step::Again | Step::Cleanup)
}

/// The text of a destination that is not resolved yet.
pub(super) fn host_text(request: &Request) -> Option<&[u8]> {
    match request {
        Request::Send { host: Host::Written(text), .. }
        | Request::Connect { host: Host::Written(text), .. }
        | Request::Sender { host: Some((Host::Written(text), _)), .. }
        | Request::Locate { host: text } => Some(text),
        _ => None,
    }
}

/// The token of a destination that was resolved before.
pub(super) fn token(request: &Request) -> Option<u32> {
    match request {
        Request::Send { host: Host::Located(token), .. }
        | Request::Connect { host: Host::Located(token), .. }
        | Request::Sender { host: Some((Host::Located(token), _)), .. } => Some(*token),
        _ => None,
    }
}

/// The own end that the program gave.
pub(super) fn own_end(request: &Request) -> Option<&Local> {
    match request {
        Request::Listen { local, .. } | Request::Receive { local, .. } => Some(local),
        Request::Send { local, .. } | Request::Sender { local, .. } | Request::Connect { local, .. } => {
            local.as_ref()
        }
        _ => None,
    }
}
