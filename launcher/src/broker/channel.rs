//! The broker's end of the network channel: requests in, replies out. What
//! comes in is a compromised interpreter's; what goes out may not be read.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::socket::{recv, sendmsg, ControlMessage, MsgFlags};
use policies::channel::network::{Failure, Reply, ReplyFrame, RequestFrame, MAXIMUM_FRAME};

use super::pace::Pace;
use super::socket::failure;
use super::End;

/// Most replies that wait to be read; beyond it no request is read.
pub const MOST_REPLIES: usize = 16_384;
/// Most descriptors among them: with more, no request is read either.
const MOST_DESCRIPTORS: usize = 256;
/// Most requests in one second; the next ones wait in the kernel's queue.
const REQUESTS_PER_SECOND: f64 = 50_000.0;

/// What became of a request: a reply, and the descriptor that goes with it.
pub type Answer = Result<(Reply, Option<OwnedFd>), Failure>;

/// A reply on its way.
#[derive(Debug)]
struct Outgoing {
    id: u32,
    bytes: Vec<u8>,
    socket: Option<(u32, OwnedFd)>,
}

/// See the module.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
    replies: VecDeque<Outgoing>,
    descriptors: usize,
    pace: Pace,
    buffer: Vec<u8>,
}

impl Channel {
    /// Takes over the broker's end.
    pub fn new(socket: OwnedFd, now: Instant) -> Channel {
        Channel {
            socket,
            replies: VecDeque::new(),
            descriptors: 0,
            pace: Pace::new(REQUESTS_PER_SECOND, now),
            // One byte more than a frame may have shows one that is too long.
            buffer: vec![0; MAXIMUM_FRAME + 1],
        }
    }

    /// The descriptor to wait on.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether a request may be read now.
    pub fn wants_requests(&mut self, now: Instant) -> bool {
        self.replies.len() < MOST_REPLIES && self.descriptors < MOST_DESCRIPTORS && self.pace.has(now)
    }

    /// When a request may be read again; none where that depends on the reader
    /// of the replies.
    pub fn next(&mut self, now: Instant) -> Option<Instant> {
        (!self.pace.has(now)).then(|| self.pace.next(now))
    }

    /// Whether replies wait.
    pub fn has_replies(&self) -> bool {
        !self.replies.is_empty()
    }

    /// Reads the next request; none if there is none, or none may be read.
    ///
    /// # Errors
    /// The other end is gone, or sent what is no request.
    pub fn read(&mut self, now: Instant) -> Result<Option<RequestFrame>, End> {
        if !self.wants_requests(now) {
            return Ok(None);
        }
        // Without room for control data the kernel drops descriptors that a
        // sender attaches.
        match recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
            // The end, or an empty packet, which no frame is.
            Ok(0) => Err(End::Closed),
            Ok(count) => {
                self.pace.take(now);
                let bytes = self.buffer.get(..count).unwrap_or_default();
                RequestFrame::decode(bytes).map(Some).map_err(|_| End::Protocol)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(Errno::ECONNRESET) => Err(End::Closed),
            Err(_) => Err(End::Broken),
        }
    }

    /// Queues the answer to a request.
    ///
    /// # Errors
    /// The reply cannot be put into a frame: an error of this program.
    pub fn answer(&mut self, id: u32, answer: Answer) -> Result<(), End> {
        let (result, descriptor) = match answer {
            Ok((reply, descriptor)) => (Ok(reply), descriptor),
            Err(failure) => (Err(failure), None),
        };
        let socket = match (&result, descriptor) {
            (Ok(Reply::Socket { socket, .. }), Some(descriptor)) => Some((*socket, descriptor)),
            _ => None,
        };
        let bytes = ReplyFrame { id, result }.encode().map_err(|_| End::Broken)?;
        self.descriptors += usize::from(socket.is_some());
        self.replies.push_back(Outgoing { id, bytes, socket });
        Ok(())
    }

    /// Sends what the other end takes. Returns the numbers of sockets that the
    /// kernel would not pass on: their requests are answered with its error.
    ///
    /// # Errors
    /// The other end is gone.
    pub fn flush(&mut self) -> Result<Vec<u32>, End> {
        let mut undelivered = Vec::new();
        while let Some(front) = self.replies.front_mut() {
            match send(&self.socket, &front.bytes, front.socket.as_ref()) {
                Ok(()) => {
                    if let Some(Outgoing { socket: Some(_), .. }) = self.replies.pop_front() {
                        self.descriptors -= 1;
                    }
                }
                Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => break,
                // Too many descriptors of this user are under way.
                Err(Errno::ETOOMANYREFS) => {
                    let refused = ReplyFrame { id: front.id, result: Err(failure(Errno::ETOOMANYREFS)) };
                    front.bytes = refused.encode().map_err(|_| End::Broken)?;
                    if let Some((number, _)) = front.socket.take() {
                        self.descriptors -= 1;
                        undelivered.push(number);
                    }
                }
                Err(_) => return Err(End::Closed),
            }
        }
        Ok(undelivered)
    }
}

fn send(channel: &OwnedFd, bytes: &[u8], socket: Option<&(u32, OwnedFd)>) -> nix::Result<()> {
    let numbers: Vec<RawFd> = socket.iter().map(|(_, socket)| socket.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let messages = if numbers.is_empty() { &[][..] } else { &rights };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(channel.as_raw_fd(), &[IoSlice::new(bytes)], messages, flags, None).map(drop)
}
