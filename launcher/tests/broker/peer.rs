//! The interpreter's end of the channel, and a broker behind it.

use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use launcher::broker::{self, AddressOptions, Settings};
use launcher::plan::identity::Ids;
use launcher::plan::layer::Layer;
use launcher::supervise::broker::RunningBroker;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{
    recvmsg, send, socketpair, AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType,
};
use nix::sys::wait::{waitid, Id, WaitPidFlag, WaitStatus};
use policies::channel::network::{
    Failure, Host, Local, Reply, ReplyFrame, Request, RequestFrame, Written, MAXIMUM_FRAME,
};
use policies::Policy;

/// Long enough on the slowest machine.
pub const LONG: Duration = Duration::from_secs(30);

pub const HEAD: &str = "resource cpu .5\nresource memory 20000000\nresource diskused 1000000\n\
    resource insockets 5\nresource outsockets 5\n";

/// Every network call, every port that the tests use.
pub fn wide(ports: &[u16]) -> String {
    let mut text = HEAD.to_owned();
    for port in ports {
        text.push_str(&format!("resource connport {port}\nresource messport {port}\n"));
    }
    for call in ["waitforconn", "recvmess", "sendmess", "openconn", "gethostbyname_ex", "getmyip"] {
        text.push_str(&format!("call {call} allow\n"));
    }
    text
}

/// Whether this is root of the host; of a namespace of its own it is not.
pub fn is_root() -> bool {
    let mapped = crate::apart::MAPPED.load(std::sync::atomic::Ordering::Relaxed);
    nix::unistd::geteuid().is_root() && !mapped
}

pub struct Peer {
    channel: Option<OwnedFd>,
    pub broker: RunningBroker,
    next: u32,
    kept: Vec<(u32, Result<Reply, Failure>, Option<OwnedFd>)>,
}

pub type Answered = (Result<Reply, Failure>, Option<OwnedFd>);

impl Peer {
    /// A broker with this policy.
    pub fn new(policy: &str) -> Peer {
        Peer::with(policy, AddressOptions::default())
    }

    pub fn with(policy: &str, addresses: AddressOptions) -> Peer {
        let policy = Policy::parse(policy.as_bytes(), "test").expect("a good policy").policy;
        // As the launcher runs it: every layer that holds a broker.
        let enforced = [Layer::Landlock, Layer::Seccomp, Layer::Mdwe].into_iter().collect();
        let own = 2_000_000_000 + (1 << 23) + std::process::id();
        let ids = is_root().then_some(Ids { uid: own, gid: own });
        let settings = Settings { policy, restrictions: true, addresses, ids, enforced };
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .expect("a pair");
        let broker = broker::start(&settings, theirs, None).expect("the broker starts");
        let mut peer = Peer { channel: Some(ours), broker, next: 1 << 20, kept: Vec::new() };
        // Confined, it answers.
        assert!(peer.call(Request::Facts).0.is_ok());
        peer
    }

    fn channel(&self) -> &OwnedFd {
        self.channel.as_ref().expect("open")
    }

    /// Sends bytes as one packet; false if they cannot be sent now.
    pub fn try_raw(&self, bytes: &[u8]) -> nix::Result<usize> {
        send(self.channel().as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT)
    }

    /// Sends bytes as one packet.
    pub fn raw(&self, bytes: &[u8]) {
        let start = Instant::now();
        while let Err(errno) = self.try_raw(bytes) {
            assert!(
                errno == nix::errno::Errno::EAGAIN && start.elapsed() < LONG,
                "the channel takes nothing: {errno}"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Asks, and returns the request's number.
    pub fn ask(&mut self, request: Request) -> u32 {
        self.next += 1;
        self.raw(&RequestFrame { id: self.next, request }.encode().expect("a frame"));
        self.next
    }

    /// The next reply within `limit`.
    pub fn reply_within(&mut self, limit: Duration) -> Option<(u32, Answered)> {
        let milliseconds = u16::try_from(limit.as_millis()).unwrap_or(u16::MAX);
        let mut set = [PollFd::new(self.channel().as_fd(), PollFlags::POLLIN)];
        if poll(&mut set, PollTimeout::from(milliseconds)) == Ok(0) {
            return None;
        }
        let mut bytes = vec![0u8; MAXIMUM_FRAME];
        let mut space = nix::cmsg_space!([RawFd; 4]);
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let channel = self.channel().as_raw_fd();
        let message = match recvmsg::<()>(channel, &mut slices, Some(&mut space), flags) {
            Ok(message) => message,
            // It ended with requests unread.
            Err(nix::errno::Errno::ECONNRESET) => return None,
            Err(errno) => panic!("receiving: {errno}"),
        };
        let count = message.bytes;
        let mut passed = Vec::new();
        for control in message.cmsgs().expect("whole control data") {
            if let ControlMessageOwned::ScmRights(numbers) = control {
                // SAFETY: the kernel has just made these descriptors for this
                // process, and nobody else owns them.
                passed.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
            }
        }
        if count == 0 {
            return None;
        }
        let frame = ReplyFrame::decode(&bytes[..count]).expect("a reply");
        let socket = passed.pop();
        assert!(passed.is_empty(), "more than one descriptor");
        assert_eq!(
            socket.is_some(),
            matches!(frame.result, Ok(Reply::Socket { .. })),
            "a descriptor comes with a socket alone: {frame:?}"
        );
        Some((frame.id, (frame.result, socket)))
    }

    /// The reply to a request.
    pub fn answer(&mut self, id: u32) -> Answered {
        if let Some(index) = self.kept.iter().position(|(kept, ..)| *kept == id) {
            let (_, result, socket) = self.kept.remove(index);
            return (result, socket);
        }
        loop {
            let (other, (result, socket)) = self.reply_within(LONG).expect("an answer in time");
            if other == id {
                return (result, socket);
            }
            self.kept.push((other, result, socket));
        }
    }

    /// Asks and waits for the reply.
    pub fn call(&mut self, request: Request) -> Answered {
        let id = self.ask(request);
        self.answer(id)
    }

    /// Asks for a socket: its number, ends and descriptor.
    pub fn socket(&mut self, request: Request) -> Socket {
        match self.call(request) {
            (Ok(Reply::Socket { socket, local, peer, loopback }), Some(descriptor)) => {
                let end = |(address, port)| SocketAddrV4::new(address, port);
                Socket { number: socket, own: end(local), peer: peer.map(end), loopback, descriptor }
            }
            other => panic!("no socket: {other:?}"),
        }
    }

    /// Asks for what must fail.
    pub fn refused(&mut self, request: Request) -> Failure {
        match self.call(request) {
            (Err(failure), None) => failure,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Closes a socket and tells.
    pub fn close(&mut self, socket: Socket) {
        let number = socket.number;
        drop(socket);
        assert_eq!(self.call(Request::Close { socket: number }).0, Ok(Reply::Closed { known: true }));
    }

    /// The broker's end: its exit status, or the signal that killed it.
    pub fn end(&self) -> WaitStatus {
        let mut set = [PollFd::new(self.broker.pidfd.as_fd(), PollFlags::POLLIN)];
        let milliseconds = u16::try_from(LONG.as_millis()).expect("it fits");
        assert_eq!(poll(&mut set, PollTimeout::from(milliseconds)), Ok(1), "the broker does not end");
        waitid(Id::PIDFd(self.broker.pidfd.as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
            .expect("its status")
    }

    /// The channel's number, for what this type does not do.
    pub fn raw_channel(&self) -> RawFd {
        self.channel().as_raw_fd()
    }

    /// Whether the broker's end is there.
    pub fn is_open(&self) -> bool {
        let mut set = [PollFd::new(self.channel().as_fd(), PollFlags::empty())];
        poll(&mut set, PollTimeout::ZERO) == Ok(0)
    }

    /// The broker's end, if it has come.
    pub fn end_if_ended(&self) -> Option<WaitStatus> {
        let mut set = [PollFd::new(self.broker.pidfd.as_fd(), PollFlags::POLLIN)];
        // It may be about to end.
        (!self.is_open() || poll(&mut set, PollTimeout::ZERO) == Ok(1)).then(|| self.end())
    }

    /// Closes the channel and expects the ordinary end.
    pub fn finish(mut self) {
        self.channel = None;
        assert!(matches!(self.end(), WaitStatus::Exited(_, 0)), "{:?}", self.end());
    }

    /// Closes the channel and expects an end by itself, whatever it was about.
    pub fn finish_somehow(mut self) {
        self.channel = None;
        assert!(matches!(self.end(), WaitStatus::Exited(_, 0 | 65)), "{:?}", self.end());
    }

    /// A line of the broker's /proc status.
    pub fn status(&self, key: &str) -> String {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.broker.pid)).expect("its status");
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {key} in {text}")).trim().to_owned()
    }

    /// How many children the broker has.
    pub fn children(&self) -> usize {
        let pid = self.broker.pid;
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        text.split_whitespace().count()
    }

    /// Memory of its own in use, in bytes.
    pub fn memory(&self) -> u64 {
        let text = self.status("RssAnon");
        text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).expect("a number") * 1024
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        launcher::sys::process::kill_and_reap(self.broker.pidfd.as_fd());
    }
}

pub struct Socket {
    pub number: u32,
    pub own: SocketAddrV4,
    pub peer: Option<SocketAddrV4>,
    pub loopback: bool,
    pub descriptor: OwnedFd,
}

pub fn local(text: &str, port: u16) -> Local {
    Local { text: text.as_bytes().to_vec(), port }
}

pub fn listen(text: &str, port: u16) -> Request {
    Request::Listen { local: local(text, port), written: vec![Written::Field, Written::Field] }
}

pub fn receive(text: &str, port: u16) -> Request {
    Request::Receive { local: local(text, port), written: vec![Written::Field, Written::Field] }
}

pub fn written(text: &str) -> Host {
    Host::Written(text.as_bytes().to_vec())
}

pub fn connect(host: &str, port: u16, local: Option<Local>, timeout: Duration) -> Request {
    Request::Connect {
        host: written(host),
        port,
        written: vec![Written::Field; if local.is_some() { 4 } else { 2 }],
        local,
        timeout_ns: timeout.as_nanos() as u64,
    }
}

pub fn message(host: &str, port: u16, payload: &[u8], local: Option<Local>) -> Request {
    Request::Send {
        host: written(host),
        port,
        written: vec![Written::Field; if local.is_some() { 5 } else { 3 }],
        local,
        payload: payload.to_vec(),
    }
}

/// A TCP and UDP port of 127.0.0.1 that is free now.
pub fn free_port() -> u16 {
    loop {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("its end").port();
        if std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
