//! The acts of the broker, each decided on before it is done.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};
use policies::channel::network::{Failure, Reply, Request};
use policies::{PortKind, Resource};

use super::channel::Answer;
use super::decide::Destination;
use super::netlink::{self, Connection};
use super::pending::{host_text, own_end, token, Next, Pending, Step};
use super::resolve::pool::{Wanted, PATIENCE};
use super::resolve::{self, Problem};
use super::service::{Service, AGAIN, CONNECTION, SHORTLY, SOON};
use super::socket;
use super::table::Held;

/// Most sockets that only send: the interpreter needs one.
const MOST_SENDERS: usize = 16;

impl Service {
    /// Takes a request as far as it goes: names first, then the act.
    pub(super) fn advance(&mut self, id: u32, pending: &mut Pending, now: Instant) -> Next {
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
    pub(super) fn hand_out(
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
        let socket = socket::sender(own, to).map_err(socket::failure)?;
        let local = socket::own_end(&socket).map_err(socket::failure)?;
        Ok(self.hand_out(socket, Held::Sender, local, to))
    }

    fn may_send_from(&self, pending: &Pending) -> Result<(), Failure> {
        self.own_port_granted(pending, PortKind::Message)?;
        self.own_address_allowed(pending)
    }

    /// Sends the datagram of a request that has been decided on.
    pub(super) fn send(&mut self, pending: &mut Pending, now: Instant) -> Next {
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
    pub(super) fn try_connection(&mut self, id: u32, pending: &mut Pending, now: Instant) -> Next {
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
}
