//! The broker's loop: one thread, one epoll, nothing in it waits for a peer.

use std::collections::{BTreeSet, HashMap};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use policies::channel::network::{Failure, Reply, Request, RequestFrame};

use super::channel::Channel;
use super::decide::{Destination, Judge};
use super::own::OwnAddresses;
use super::pending::{closed, cost, host_text, is_opening, Next, Pending, Step};
use super::resolve::pool::{Found, Pool, PATIENCE};
use super::resolve::{self, Entry, Problem};
use super::table::{Held, Sockets, Tokens};
use super::{netlink, socket, End};

/// Most requests under way at once.
const MOST_PENDING: usize = 1024;
/// Most bytes of datagrams among them.
const MOST_BYTES: usize = 4 << 20;
/// Requests read in one turn, so that connections and names get theirs.
const TURN: usize = 64;
/// How long it is tried again where the original does, too: each 0.2 s.
pub(super) const AGAIN: Duration = Duration::from_millis(200);
/// How soon a full buffer or a port on its way out is looked at again.
pub(super) const SOON: Duration = Duration::from_millis(5);
/// How long that goes on.
pub(super) const SHORTLY: Duration = Duration::from_secs(2);
/// The longest time a connection is tried for: what a clock can add up.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// What an event of the epoll is about: kind above, request below.
const CHANNEL: u64 = 0;
pub(super) const CONNECTION: u64 = 1 << 32;
const NAME: u64 = 2 << 32;

/// What the broker works with.
#[derive(Debug)]
pub struct Parts {
    /// Its end of the channel.
    pub channel: OwnedFd,
    /// The policy.
    pub judge: Judge,
    /// The host's own addresses.
    pub own: OwnAddresses,
    /// A socket of [`super::netlink::open_diag`].
    pub diag: Option<OwnedFd>,
    /// The files names are looked up with.
    pub files: resolve::Files,
}

/// See the module.
#[derive(Debug)]
pub struct Service {
    channel: Channel,
    pub(super) epoll: Epoll,
    interest: EpollFlags,
    pub(super) judge: Judge,
    pub(super) own: OwnAddresses,
    pub(super) diag: Option<OwnedFd>,
    pub(super) pool: Pool,
    pending: HashMap<u32, Pending>,
    times: BTreeSet<(Instant, u32)>,
    bytes: usize,
    pub(super) opening: usize,
    pub(super) sockets: Sockets,
    pub(super) tokens: Tokens,
    /// Sends where the program gives no own end.
    pub(super) sender: Option<OwnedFd>,
}

impl Service {
    /// Ready to serve.
    ///
    /// # Errors
    /// As `epoll_create1(2)`.
    pub fn new(parts: Parts) -> nix::Result<Service> {
        let now = Instant::now();
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let channel = Channel::new(parts.channel, now);
        let interest = EpollFlags::EPOLLIN;
        epoll.add(channel.socket(), EpollEvent::new(interest, CHANNEL))?;
        Ok(Service {
            channel,
            epoll,
            interest,
            judge: parts.judge,
            own: parts.own,
            diag: parts.diag,
            pool: Pool::new(parts.files, now),
            pending: HashMap::new(),
            times: BTreeSet::new(),
            bytes: 0,
            opening: 0,
            sockets: Sockets::default(),
            tokens: Tokens::default(),
            sender: None,
        })
    }

    /// Serves until the other end is gone.
    pub fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.turn() {
                return end;
            }
        }
    }

    fn turn(&mut self) -> Result<(), End> {
        let now = Instant::now();
        self.on_time(now)?;
        let epoll = &self.epoll;
        let failed = self.pool.start(now, |request, answer| {
            // An answer that is not watched is found by its deadline.
            let _ = epoll.add(answer, EpollEvent::new(EpollFlags::EPOLLIN, NAME | u64::from(request)));
        });
        for found in failed {
            self.found(found)?;
        }
        for number in self.channel.flush()? {
            self.sockets.remove(number);
        }
        self.watch_channel(now)?;
        let mut events = [EpollEvent::empty(); 64];
        let timeout = self.timeout(now);
        let count = match self.epoll.wait(&mut events, timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(_) => return Err(End::Broken),
        };
        for event in events.iter().take(count) {
            let request = event.data() as u32;
            match event.data() & !u64::from(u32::MAX) {
                CONNECTION => self.on_writable(request)?,
                NAME => {
                    if let Some(found) = self.pool.read(request) {
                        self.found(found)?;
                    }
                }
                _ => self.on_channel(event.events())?,
            }
        }
        Ok(())
    }

    /// Waits on the channel for what can be dealt with.
    fn watch_channel(&mut self, now: Instant) -> Result<(), End> {
        let mut interest = EpollFlags::empty();
        interest.set(EpollFlags::EPOLLIN, self.channel.wants_requests(now));
        interest.set(EpollFlags::EPOLLOUT, self.channel.has_replies());
        if interest != self.interest {
            let mut event = EpollEvent::new(interest, CHANNEL);
            self.epoll.modify(self.channel.socket(), &mut event).map_err(|_| End::Broken)?;
            self.interest = interest;
        }
        Ok(())
    }

    fn timeout(&mut self, now: Instant) -> EpollTimeout {
        let request = self.channel.next(now).filter(|_| !self.interest.contains(EpollFlags::EPOLLIN));
        let times = [self.times.first().map(|(due, _)| *due), self.pool.next(now), request];
        let Some(wake) = times.into_iter().flatten().min() else { return EpollTimeout::NONE };
        // Rounded up, so that the loop never spins.
        let milliseconds = wake.saturating_duration_since(now).as_nanos().div_ceil(1_000_000);
        EpollTimeout::from(u16::try_from(milliseconds).unwrap_or(u16::MAX))
    }

    fn on_channel(&mut self, events: EpollFlags) -> Result<(), End> {
        if events.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) {
            return Err(End::Closed);
        }
        if events.contains(EpollFlags::EPOLLIN) {
            let now = Instant::now();
            for _ in 0..TURN {
                match self.channel.read(now)? {
                    Some(frame) => self.begin(frame, now)?,
                    None => break,
                }
            }
        }
        Ok(())
    }

    fn on_time(&mut self, now: Instant) -> Result<(), End> {
        for found in self.pool.on_time(now) {
            self.found(found)?;
        }
        while let Some((due, id)) = self.times.first().copied().filter(|(due, _)| *due <= now) {
            self.times.remove(&(due, id));
            let Some(mut pending) = self.take(id) else { continue };
            let next = if now >= pending.deadline {
                self.give_up(id, &mut pending)
            } else {
                match pending.step {
                    Step::Again | Step::Cleanup => self.try_connection(id, &mut pending, now),
                    Step::Room => self.send(&mut pending, now),
                    Step::Port(stream, at) if socket::is_free(stream, at) => closed(),
                    Step::Port(..) => {
                        pending.due = now + SOON;
                        Next::Wait
                    }
                    _ => Next::Wait,
                }
            };
            self.settle(id, pending, next)?;
        }
        Ok(())
    }

    /// A request's time is over.
    fn give_up(&mut self, id: u32, pending: &mut Pending) -> Next {
        let connects = matches!(pending.request, Request::Connect { .. });
        match &pending.step {
            Step::Name | Step::OwnName => {
                self.pool.forget(id);
                if connects { Failure::TimedOut } else { Problem::TryAgain.failure() }.into()
            }
            Step::Cleanup => Failure::CleanupTimedOut.into(),
            Step::Room => socket::failure(Errno::EAGAIN).into(),
            Step::Port(..) => closed(),
            Step::Begin | Step::Connecting(..) | Step::Again => match pending.last {
                Some(errno) => socket::failure(errno).into(),
                None => Failure::TimedOut.into(),
            },
        }
    }

    /// Takes a request out of those under way.
    fn take(&mut self, id: u32) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        self.times.remove(&(pending.due, id));
        self.bytes -= cost(&pending.request);
        self.opening -= usize::from(is_opening(&pending.step));
        Some(pending)
    }

    /// Answers a request, or puts it among those under way.
    fn settle(&mut self, id: u32, mut pending: Pending, next: Next) -> Result<(), End> {
        match next {
            Next::Done(answer) => {
                if let Step::Connecting(socket, _) = &pending.step {
                    // It may have been passed on: then it is watched through the copy.
                    let _ = self.epoll.delete(socket);
                }
                self.channel.answer(id, answer)
            }
            Next::Wait => {
                pending.due = pending.due.min(pending.deadline);
                self.times.insert((pending.due, id));
                self.bytes += cost(&pending.request);
                self.opening += usize::from(is_opening(&pending.step));
                self.pending.insert(id, pending);
                Ok(())
            }
        }
    }

    /// A request has come.
    fn begin(&mut self, frame: RequestFrame, now: Instant) -> Result<(), End> {
        let RequestFrame { id, request } = frame;
        if self.pending.contains_key(&id) {
            return Err(End::Protocol);
        }
        let full = self.pending.len() >= MOST_PENDING || self.bytes + cost(&request) > MOST_BYTES;
        let answer = match request {
            Request::Facts => {
                let loopback = self.own.loopback();
                Ok((Reply::Facts { loopback, free_datagrams: self.judge.free_datagrams() }, None))
            }
            Request::OwnAddress => self
                .judge
                .rules(&request, None, None)
                .and_then(|()| self.own.ask())
                .map(|address| (Reply::Address(address), None)),
            Request::Cancel { request } => return self.cancel(request),
            Request::Close { socket } => return self.close(id, socket, full, now),
            _ if full => Err(Failure::Busy),
            request => {
                let patience = match &request {
                    Request::Connect { timeout_ns, .. } => Duration::from_nanos(*timeout_ns).min(LONGEST),
                    _ => PATIENCE,
                };
                let deadline = now + patience;
                let mut pending = Pending {
                    request,
                    step: Step::Begin,
                    due: deadline,
                    deadline,
                    destination: None,
                    own: None,
                    last: None,
                };
                let next = self.advance(id, &mut pending, now);
                return self.settle(id, pending, next);
            }
        };
        self.channel.answer(id, answer)
    }

    fn cancel(&mut self, request: u32) -> Result<(), End> {
        let Some(pending) = self.take(request) else { return Ok(()) };
        self.pool.forget(request);
        self.settle(request, pending, Failure::Cancelled.into())
    }

    fn close(&mut self, id: u32, number: u32, full: bool, now: Instant) -> Result<(), End> {
        // The broker's own copy of a receiver is closed with its entry.
        let port = match self.sockets.remove(number) {
            None => return self.channel.answer(id, Ok((Reply::Closed { known: false }, None))),
            Some(Held::Listener(at)) => Some((true, at)),
            Some(Held::Receiver(at, _)) => Some((false, at)),
            Some(Held::Sender) => None,
            Some(Held::Connection { own, peer }) => {
                // An interpreter of ours closes first and tells then. One that keeps what it
                // says it has closed does not get another in its place.
                if self.diag.as_ref().is_some_and(|diag| netlink::is_held(diag, own, peer)) {
                    self.sockets.keep(number, Held::Connection { own, peer });
                    return self.channel.answer(id, Ok((Reply::Closed { known: false }, None)));
                }
                None
            }
        };
        match port.filter(|(stream, at)| !full && !socket::is_free(*stream, *at)) {
            None => self.channel.answer(id, Ok((Reply::Closed { known: true }, None))),
            Some((stream, at)) => {
                let pending = Pending {
                    request: Request::Close { socket: number },
                    step: Step::Port(stream, at),
                    due: now + SOON,
                    deadline: now + SHORTLY,
                    destination: None,
                    own: None,
                    last: None,
                };
                self.settle(id, pending, Next::Wait)
            }
        }
    }

    /// A name has been found, or not.
    fn found(&mut self, (id, found): Found) -> Result<(), End> {
        let Some(mut pending) = self.take(id) else { return Ok(()) };
        let next = match found {
            Err(failure) => failure.into(),
            Ok(entry) => self.name_found(id, &mut pending, entry),
        };
        self.settle(id, pending, next)
    }

    fn name_found(&mut self, id: u32, pending: &mut Pending, entry: Entry) -> Next {
        // An entry always has an address; the first is the one that is used.
        let Some(address) = entry.addresses.first().copied() else {
            return Problem::NoAddress.failure().into();
        };
        match pending.step {
            Step::OwnName => pending.own = Some(address),
            _ => match &pending.request {
                Request::Lookup { .. } => {
                    let Entry { name, aliases, addresses } = entry;
                    return Next::Done(Ok((Reply::HostEntry { name, aliases, addresses }, None)));
                }
                request => {
                    let text = host_text(request).unwrap_or_default().to_vec();
                    pending.destination = Some(Destination { text, address });
                }
            },
        }
        pending.step = Step::Begin;
        self.advance(id, pending, Instant::now())
    }

    /// A connection is made, or has failed.
    fn on_writable(&mut self, id: u32) -> Result<(), End> {
        let Some(pending) = self.pending.get(&id) else { return Ok(()) };
        let Step::Connecting(socket, to) = &pending.step else { return Ok(()) };
        let to = *to;
        let outcome = socket::outcome(socket, to);
        if outcome == Err(Errno::EINPROGRESS) {
            return Ok(());
        }
        let Some(mut pending) = self.take(id) else { return Ok(()) };
        let Step::Connecting(socket, _) = std::mem::replace(&mut pending.step, Step::Again) else {
            return Ok(());
        };
        // Before it is passed on: the kernel watches it through every copy.
        let _ = self.epoll.delete(&socket);
        let next = match outcome {
            Ok(own) => {
                let held = Held::Connection { own, peer: to };
                Next::Done(Ok(self.hand_out(socket, held, own, Some(to))))
            }
            Err(errno @ (Errno::ETIMEDOUT | Errno::EAGAIN | Errno::EINTR)) => {
                pending.last = Some(errno);
                pending.due = Instant::now() + AGAIN;
                Next::Wait
            }
            Err(errno) => socket::failure(errno).into(),
        };
        self.settle(id, pending, next)
    }
}
