//! The broker's loop: one thread, one epoll, nothing in it waits for a peer.

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use policies::channel::network::{Failure, Host, Local, Reply, Request, RequestFrame};
use policies::{PortKind, Resource};

use super::channel::{Answer, Channel};
use super::decide::{Destination, Judge};
use super::netlink::{self, Connection};
use super::own::OwnAddresses;
use super::resolve::pool::{Found, Pool, Wanted, PATIENCE};
use super::resolve::{self, Entry, Problem};
use super::table::{Held, Sockets, Tokens};
use super::{socket, End};

/// Most requests under way at once.
const MOST_PENDING: usize = 1024;
/// Most bytes of datagrams among them.
const MOST_BYTES: usize = 4 << 20;
/// Most sockets that only send: the interpreter needs one.
const MOST_SENDERS: usize = 16;
/// Requests read in one turn, so that connections and names get theirs.
const TURN: usize = 64;
/// How long it is tried again where the original does, too: each 0.2 s.
const AGAIN: Duration = Duration::from_millis(200);
/// How soon a full buffer or a port on its way out is looked at again.
const SOON: Duration = Duration::from_millis(5);
/// How long that goes on.
const SHORTLY: Duration = Duration::from_secs(2);
/// The longest time a connection is tried for: what a clock can add up.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// What an event of the epoll is about: kind above, request below.
const CHANNEL: u64 = 0;
const CONNECTION: u64 = 1 << 32;
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
    /// A socket of [`netlink::open_diag`].
    pub diag: Option<OwnedFd>,
    /// The files names are looked up with.
    pub files: resolve::Files,
}

/// A request under way.
#[derive(Debug)]
struct Pending {
    request: Request,
    step: Step,
    /// When it is looked at again.
    due: Instant,
    /// When it is given up.
    deadline: Instant,
    destination: Option<Destination>,
    /// Address of the own end, where the program gave one; 0.0.0.0 for any.
    own: Option<Ipv4Addr>,
    /// The last error that may go away by itself.
    last: Option<Errno>,
}

/// What a request waits for.
#[derive(Debug)]
enum Step {
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
enum Next {
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

/// See the module.
#[derive(Debug)]
pub struct Service {
    channel: Channel,
    epoll: Epoll,
    interest: EpollFlags,
    judge: Judge,
    own: OwnAddresses,
    diag: Option<OwnedFd>,
    pool: Pool,
    pending: HashMap<u32, Pending>,
    times: BTreeSet<(Instant, u32)>,
    bytes: usize,
    opening: usize,
    sockets: Sockets,
    tokens: Tokens,
    /// Sends where the program gives no own end.
    sender: Option<OwnedFd>,
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
            Some(Held::Sender | Held::Connection { .. }) => None,
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

    /// Takes a request as far as it goes: names first, then the act.
    fn advance(&mut self, id: u32, pending: &mut Pending, now: Instant) -> Next {
        match self.resolve(id, pending) {
            Ok(true) => {}
            Ok(false) => return Next::Wait,
            Err(failure) => return failure.into(),
        }
        let judged = self.judge.rules(&pending.request, pending.destination.as_ref(), self.shown(pending));
        match &pending.request {
            Request::Locate { .. } => self.located(pending),
            Request::Lookup { name } => match judged {
                Ok(()) => self.look_up(id, name.clone(), pending),
                Err(failure) => failure.into(),
            },
            Request::Listen { .. } => self.listen(pending, PortKind::Connection, judged).into(),
            Request::Receive { .. } => self.listen(pending, PortKind::Message, judged).into(),
            Request::Send { .. } => match judged.and_then(|()| self.may_send_from(pending)) {
                Ok(()) => self.send(pending, now),
                Err(failure) => failure.into(),
            },
            Request::Sender { .. } => self.give_sender(pending, judged).into(),
            Request::Connect { .. } => match self.may_connect(pending, judged) {
                Ok(()) => self.try_connection(id, pending, now),
                Err(failure) => failure.into(),
            },
            // Answered before anything waits.
            Request::Facts | Request::OwnAddress | Request::Close { .. } | Request::Cancel { .. } => {
                Failure::Cancelled.into()
            }
        }
    }

    /// Resolves destination and own end: true once both are known.
    fn resolve(&mut self, id: u32, pending: &mut Pending) -> Result<bool, Failure> {
        if pending.destination.is_none() {
            if let Some(token) = token(&pending.request) {
                let known = self.tokens.get(token).cloned();
                pending.destination = Some(known.ok_or(Failure::Forgotten)?);
            } else if let Some(text) = host_text(&pending.request).map(<[u8]>::to_vec) {
                let literal = resolve::literal(&text);
                if !matches!(literal, Ok(Some(_))) {
                    self.judge.before_names(&pending.request, Some(&text))?;
                }
                match literal.map_err(Problem::failure)? {
                    Some(address) => pending.destination = Some(Destination { text, address }),
                    None => {
                        self.want(id, text, false, pending);
                        pending.step = Step::Name;
                        return Ok(false);
                    }
                }
            }
        }
        if pending.own.is_none() {
            if let Some(text) = own_end(&pending.request).map(|local| local.text.clone()) {
                match resolve::literal(&text).map_err(Problem::failure)? {
                    Some(address) => pending.own = Some(address),
                    None => {
                        // Own addresses are found on this host or not at all.
                        self.want(id, text, true, pending);
                        pending.step = Step::OwnName;
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    fn want(&mut self, request: u32, name: Vec<u8>, near: bool, pending: &Pending) {
        let deadline = pending.deadline.min(Instant::now() + PATIENCE);
        self.pool.want(Wanted { request, name, near, deadline });
    }

    /// The own address as the rules see it: the one that will be used.
    fn shown(&self, pending: &Pending) -> Option<Ipv4Addr> {
        let own = pending.own?;
        Some(if own.is_unspecified() { self.own.preferred().unwrap_or(own) } else { own })
    }

    /// What a socket that sends or connects is bound to; none leaves it to the
    /// kernel.
    fn bound(&self, pending: &Pending) -> Option<SocketAddrV4> {
        let port = own_end(&pending.request).map_or(0, |local| local.port);
        let address = pending.own.filter(|own| !own.is_unspecified()).or_else(|| self.own.preferred());
        match (address, port) {
            (None, 0) => None,
            (address, port) => Some(SocketAddrV4::new(address.unwrap_or(Ipv4Addr::UNSPECIFIED), port)),
        }
    }

    /// Checks the own address of `openconn` and `sendmess`; any is fine.
    fn own_address_allowed(&self, pending: &Pending) -> Result<(), Failure> {
        match (pending.own, own_end(&pending.request)) {
            (Some(own), Some(local)) if !own.is_unspecified() => self.own.allows(own, &local.text),
            _ => Ok(()),
        }
    }

    fn own_port_granted(&self, pending: &Pending, kind: PortKind) -> Result<(), Failure> {
        match own_end(&pending.request) {
            Some(local) => self.judge.port(kind, local.port, true),
            None => Ok(()),
        }
    }

    fn located(&mut self, pending: &mut Pending) -> Next {
        let Some(destination) = pending.destination.take() else { return Failure::Forgotten.into() };
        let (address, used) = (destination.address, destination.used(None));
        let reply = Reply::Located {
            token: self.tokens.add(destination),
            address,
            loopback: self.own.is_loopback(used),
        };
        Next::Done(Ok((reply, None)))
    }

    fn look_up(&mut self, id: u32, name: Vec<u8>, pending: &mut Pending) -> Next {
        match resolve::literal(&name) {
            Err(problem) => problem.failure().into(),
            Ok(Some(_)) if name.is_empty() => Problem::NoName.failure().into(),
            Ok(Some(address)) => {
                let reply = Reply::HostEntry { name, aliases: Vec::new(), addresses: vec![address] };
                Next::Done(Ok((reply, None)))
            }
            Ok(None) => {
                self.want(id, name, false, pending);
                pending.step = Step::Name;
                Next::Wait
            }
        }
    }

    fn listen(&mut self, pending: &Pending, kind: PortKind, judged: Result<(), Failure>) -> Answer {
        judged?;
        let (Some(own), Some(local)) = (pending.own, own_end(&pending.request)) else {
            return Err(Failure::Cancelled);
        };
        self.judge.port(kind, local.port, false)?;
        self.own.allows(own, &local.text)?;
        if self.sockets.listening() >= self.judge.limit(Resource::InSockets) {
            return Err(Failure::TooMany(Resource::InSockets));
        }
        let at = SocketAddrV4::new(own, local.port);
        let (socket, held) = match kind {
            PortKind::Connection => (socket::listener(at).map_err(socket::failure)?, Held::Listener(at)),
            PortKind::Message => {
                let socket = socket::datagram(Some(at)).map_err(socket::failure)?;
                let copy = socket.as_fd().try_clone_to_owned();
                let copy = copy.map_err(|error| {
                    socket::failure(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EMFILE)))
                })?;
                (copy, Held::Receiver(at, socket))
            }
        };
        Ok(self.hand_out(socket, held, at, None))
    }

    /// The reply with a socket.
    fn hand_out(
        &mut self,
        socket: OwnedFd,
        held: Held,
        local: SocketAddrV4,
        peer: Option<SocketAddrV4>,
    ) -> (Reply, Option<OwnedFd>) {
        let end = |at: SocketAddrV4| (*at.ip(), at.port());
        let loopback = self.own.is_loopback(*peer.unwrap_or(local).ip());
        let reply = Reply::Socket {
            socket: self.sockets.add(held),
            local: end(local),
            peer: peer.map(end),
            loopback,
        };
        (reply, Some(socket))
    }

    fn give_sender(&mut self, pending: &Pending, judged: Result<(), Failure>) -> Answer {
        let Request::Sender { host, .. } = &pending.request else { return Err(Failure::Cancelled) };
        let refused = Failure::Refused { destination: None, local: pending.own };
        match host {
            // Decided without arguments: the rules are the same for all.
            None if !self.judge.free_datagrams() => return Err(refused),
            None => {}
            Some(_) if !self.judge.grants_sender() => return Err(refused),
            Some(_) => judged?,
        }
        self.may_send_from(pending)?;
        if self.sockets.senders() >= MOST_SENDERS {
            return Err(Failure::Busy);
        }
        let own = self.bound(pending);
        let to = pending.destination.as_ref().zip(host.as_ref()).map(|(destination, (_, port))| {
            SocketAddrV4::new(destination.used(own.map(|own| *own.ip())), *port)
        });
        let socket = match to {
            None => socket::datagram(own),
            Some(to) => socket::connected_datagram(own, to),
        };
        let socket = socket.map_err(socket::failure)?;
        let local = socket::own_end(&socket).map_err(socket::failure)?;
        Ok(self.hand_out(socket, Held::Sender, local, to))
    }

    fn may_send_from(&self, pending: &Pending) -> Result<(), Failure> {
        self.own_port_granted(pending, PortKind::Message)?;
        self.own_address_allowed(pending)
    }

    /// Sends the datagram of a request that has been decided on.
    fn send(&mut self, pending: &mut Pending, now: Instant) -> Next {
        let Request::Send { port, payload, .. } = &pending.request else { return Failure::Cancelled.into() };
        let Some(destination) = &pending.destination else { return Failure::Forgotten.into() };
        let own = self.bound(pending);
        let used = destination.used(own.map(|own| *own.ip()));
        let to = SocketAddrV4::new(used, *port);
        let sent = match own {
            None => self.send_from_any_port(payload, to),
            Some(own) => match self.sockets.receiver(own) {
                Some(receiver) => socket::send(receiver, payload, to),
                None => socket::datagram(Some(own)).and_then(|socket| socket::send(&socket, payload, to)),
            },
        };
        match sent {
            Ok(count) => {
                let reply = Reply::Sent { bytes: count as u32, loopback: self.own.is_loopback(used) };
                Next::Done(Ok((reply, None)))
            }
            Err(Errno::EAGAIN | Errno::ENOBUFS) => {
                if !matches!(pending.step, Step::Room) {
                    pending.deadline = now + SHORTLY;
                }
                pending.step = Step::Room;
                pending.due = now + SOON;
                Next::Wait
            }
            Err(errno) => socket::failure(errno).into(),
        }
    }

    fn send_from_any_port(&mut self, payload: &[u8], to: SocketAddrV4) -> nix::Result<usize> {
        let socket = match &self.sender {
            Some(socket) => socket,
            None => self.sender.insert(socket::datagram(None)?),
        };
        socket::send(socket, payload, to)
    }

    /// Checks a connection before it is tried; the address comes first, as in
    /// the original.
    fn may_connect(&self, pending: &Pending, judged: Result<(), Failure>) -> Result<(), Failure> {
        self.own_address_allowed(pending)?;
        judged?;
        self.own_port_granted(pending, PortKind::Connection)?;
        if self.sockets.connections() + self.opening >= self.judge.limit(Resource::OutSockets) {
            return Err(Failure::TooMany(Resource::OutSockets));
        }
        Ok(())
    }

    /// Begins with a connection that has been decided on, or tries it again.
    fn try_connection(&mut self, id: u32, pending: &mut Pending, now: Instant) -> Next {
        let Request::Connect { port, .. } = &pending.request else { return Failure::Cancelled.into() };
        let Some(destination) = &pending.destination else { return Failure::Forgotten.into() };
        let own = self.bound(pending);
        let to = SocketAddrV4::new(destination.used(own.map(|own| *own.ip())), *port);
        match socket::connecting(own, to) {
            Ok(socket) => {
                let event = EpollEvent::new(EpollFlags::EPOLLOUT, CONNECTION | u64::from(id));
                if let Err(errno) = self.epoll.add(&socket, event) {
                    return socket::failure(errno).into();
                }
                pending.step = Step::Connecting(socket, to);
                pending.due = pending.deadline;
                Next::Wait
            }
            Err(errno @ (Errno::EADDRNOTAVAIL | Errno::EADDRINUSE)) => {
                match own.filter(|own| own.port() != 0) {
                    Some(own) => self.ends_in_use(pending, own, to, errno, now),
                    None => socket::failure(errno).into(),
                }
            }
            Err(errno) => socket::failure(errno).into(),
        }
    }

    /// The kernel refused an own end: whose connection has the same ends?
    fn ends_in_use(
        &self,
        pending: &mut Pending,
        own: SocketAddrV4,
        to: SocketAddrV4,
        errno: Errno,
        now: Instant,
    ) -> Next {
        if let Some(number) = self.sockets.connection((own, to)) {
            return Failure::InUseHere(number).into();
        }
        let state = self.diag.as_ref().map(|diag| netlink::connection(diag, own, to));
        match state {
            Some(Ok(Connection::Live)) => Failure::InUseElsewhere.into(),
            Some(Ok(Connection::None)) => socket::failure(errno).into(),
            // Where the kernel cannot tell, it may be an old connection.
            Some(Err(_)) | None if errno == Errno::EADDRINUSE => socket::failure(errno).into(),
            Some(Ok(Connection::Leaving) | Err(_)) | None => {
                pending.step = Step::Cleanup;
                pending.due = now + AGAIN;
                Next::Wait
            }
        }
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

impl From<Answer> for Next {
    fn from(answer: Answer) -> Next {
        Next::Done(answer)
    }
}

fn closed() -> Next {
    Next::Done(Ok((Reply::Closed { known: true }, None)))
}

/// Bytes of a request that count while it is under way.
fn cost(request: &Request) -> usize {
    match request {
        Request::Send { payload, .. } => payload.len(),
        _ => 0,
    }
}

/// Whether a step holds a place among the outgoing connections.
fn is_opening(step: &Step) -> bool {
    matches!(step, Step::Connecting(..) | Step::Again | Step::Cleanup)
}

/// The text of a destination that is not resolved yet.
fn host_text(request: &Request) -> Option<&[u8]> {
    match request {
        Request::Send { host: Host::Written(text), .. }
        | Request::Connect { host: Host::Written(text), .. }
        | Request::Sender { host: Some((Host::Written(text), _)), .. }
        | Request::Locate { host: text } => Some(text),
        _ => None,
    }
}

/// The token of a destination that was resolved before.
fn token(request: &Request) -> Option<u32> {
    match request {
        Request::Send { host: Host::Located(token), .. }
        | Request::Connect { host: Host::Located(token), .. }
        | Request::Sender { host: Some((Host::Located(token), _)), .. } => Some(*token),
        _ => None,
    }
}

/// The own end that the program gave.
fn own_end(request: &Request) -> Option<&Local> {
    match request {
        Request::Listen { local, .. } | Request::Receive { local, .. } => Some(local),
        Request::Send { local, .. } | Request::Sender { local, .. } | Request::Connect { local, .. } => {
            local.as_ref()
        }
        _ => None,
    }
}
