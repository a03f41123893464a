//! The network calls against a broker in a thread of the test: real sockets on
//! the loopback interface, real frames on a real channel.

use std::io::{IoSlice, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::socket::{
    recv, sendmsg, socketpair, AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr,
};
use policies::address::parse_literal;
use policies::channel::control::Outcome;
use policies::channel::network::{Failure, Host, Local, Reply, ReplyFrame, Request, RequestFrame};
use policies::{Policy, Resource};

use crate::api::state::Api;
use crate::host::{RealHost, Stream};
use crate::run::{run, Finished, Order};

/// A broker that grants everything on the loopback interface.
struct Broker {
    channel: OwnedFd,
    free_datagrams: bool,
    kept: Vec<(u32, OwnedFd)>,
    datagrams: Vec<(Local, UdpSocket)>,
    made: u32,
}

fn address_of(text: &[u8]) -> Result<Ipv4Addr, Failure> {
    match text {
        b"localhost" => Ok(Ipv4Addr::LOCALHOST),
        _ => parse_literal(text)
            .ok_or(Failure::Resolve { code: -2, text: "Name or service not known".to_owned() }),
    }
}

fn system(error: &std::io::Error) -> Failure {
    let number = error.raw_os_error().unwrap_or(libc::EIO);
    Failure::System { errno: number, text: nix::errno::Errno::from_raw(number).desc().to_owned() }
}

fn end(address: std::io::Result<SocketAddr>) -> (Ipv4Addr, u16) {
    match address {
        Ok(SocketAddr::V4(address)) => (*address.ip(), address.port()),
        _ => (Ipv4Addr::UNSPECIFIED, 0),
    }
}

impl Broker {
    fn serve(mut self) {
        let mut buffer = vec![0; 100_000];
        while let Ok(count @ 1..) = recv(self.channel.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            let RequestFrame { id, request } = RequestFrame::decode(&buffer[..count]).expect("a good frame");
            let (result, descriptor) = match self.answer(request) {
                Ok((reply, descriptor)) => (Ok(reply), descriptor),
                Err(failure) => (Err(failure), None),
            };
            let bytes = ReplyFrame { id, result }.encode().expect("a good reply");
            let passed: Vec<i32> = descriptor.iter().map(AsRawFd::as_raw_fd).collect();
            let rights = [ControlMessage::ScmRights(&passed)];
            let rights = if passed.is_empty() { &[][..] } else { &rights[..] };
            let parts = [IoSlice::new(&bytes)];
            if sendmsg::<UnixAddr>(self.channel.as_raw_fd(), &parts, rights, MsgFlags::MSG_NOSIGNAL, None)
                .is_err()
            {
                return;
            }
        }
    }

    fn give(
        &mut self,
        socket: OwnedFd,
        local: (Ipv4Addr, u16),
        peer: Option<(Ipv4Addr, u16)>,
    ) -> (Reply, Option<OwnedFd>) {
        self.made += 1;
        let reply = Reply::Socket { socket: self.made, local, peer, loopback: true };
        self.kept.push((self.made, socket.try_clone().expect("a copy")));
        (reply, Some(socket))
    }

    fn answer(&mut self, request: Request) -> Result<(Reply, Option<OwnedFd>), Failure> {
        let plain = |reply| Ok((reply, None));
        match request {
            Request::Facts => plain(Reply::Facts {
                loopback: vec![(Ipv4Addr::new(127, 0, 0, 0), 8)],
                free_datagrams: self.free_datagrams,
            }),
            Request::Listen { local, .. } => {
                let address = SocketAddrV4::new(address_of(&local.text)?, local.port);
                let listener = TcpListener::bind(address).map_err(|error| system(&error))?;
                listener.set_nonblocking(true).expect("non-blocking");
                let own = end(listener.local_addr());
                Ok(self.give(listener.into(), own, None))
            }
            Request::Receive { local, .. } => {
                let address = SocketAddrV4::new(address_of(&local.text)?, local.port);
                let socket = UdpSocket::bind(address).map_err(|error| system(&error))?;
                socket.set_nonblocking(true).expect("non-blocking");
                self.datagrams.push((local, socket.try_clone().expect("a copy")));
                let own = end(socket.local_addr());
                Ok(self.give(socket.into(), own, None))
            }
            Request::Sender { host: None, .. } => {
                let socket = UdpSocket::bind("0.0.0.0:0").map_err(|error| system(&error))?;
                let own = end(socket.local_addr());
                Ok(self.give(socket.into(), own, None))
            }
            Request::Sender { host: Some((Host::Written(text), port)), .. } => {
                let to = (address_of(&text)?, port);
                let socket = UdpSocket::bind("0.0.0.0:0").map_err(|error| system(&error))?;
                socket.connect(to).map_err(|error| system(&error))?;
                let own = end(socket.local_addr());
                Ok(self.give(socket.into(), own, Some(to)))
            }
            Request::Send { host, port, local, payload, .. } => {
                let address = match host {
                    Host::Written(text) => address_of(&text)?,
                    Host::Located(_) => Ipv4Addr::LOCALHOST,
                };
                let own = local.as_ref().and_then(|local| self.datagrams.iter().find(|(of, _)| of == local));
                let sent = match (own, &local) {
                    (Some((_, socket)), _) => socket.send_to(&payload, (address, port)),
                    (None, Some(local)) => UdpSocket::bind((address_of(&local.text)?, local.port))
                        .and_then(|socket| socket.send_to(&payload, (address, port))),
                    (None, None) => UdpSocket::bind("0.0.0.0:0")
                        .and_then(|socket| socket.send_to(&payload, (address, port))),
                };
                let bytes = sent.map_err(|error| system(&error))? as u32;
                plain(Reply::Sent { bytes, loopback: address.is_loopback() })
            }
            Request::Connect { host, port, timeout_ns, .. } => {
                let Host::Written(text) = host else { return Err(Failure::Forgotten) };
                let to = SocketAddr::from((address_of(&text)?, port));
                let stream = TcpStream::connect_timeout(&to, Duration::from_nanos(timeout_ns))
                    .map_err(|error| system(&error))?;
                let (own, peer) = (end(stream.local_addr()), end(stream.peer_addr()));
                Ok(self.give(stream.into(), own, Some(peer)))
            }
            Request::Locate { host } => {
                plain(Reply::Located { token: 7, address: address_of(&host)?, loopback: true })
            }
            Request::Lookup { name } => plain(Reply::HostEntry {
                addresses: vec![address_of(&name)?],
                name,
                aliases: vec![b"alias".to_vec()],
            }),
            Request::OwnAddress => plain(Reply::Address(Ipv4Addr::new(127, 0, 0, 1))),
            Request::Close { socket } => {
                let before = self.kept.len();
                self.kept.retain(|(number, _)| *number != socket);
                self.datagrams.clear();
                plain(Reply::Closed { known: self.kept.len() < before })
            }
            Request::Sender { .. } | Request::Cancel { .. } => Err(Failure::Cancelled),
        }
    }
}

/// A host with a broker, in a directory of its own.
pub(super) struct Net {
    directory: PathBuf,
    host: RealHost,
    broker: JoinHandle<()>,
}

impl Net {
    pub(super) fn new(name: &str, free_datagrams: bool) -> Net {
        let directory = std::env::temp_dir().join(format!("interp-net-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .expect("a pair of sockets");
        let vessel: OwnedFd = std::fs::File::open(&directory).expect("it was just made").into();
        let host = RealHost::with(vessel, None, Some(ours)).expect("a host");
        let broker =
            Broker { channel: theirs, free_datagrams, kept: Vec::new(), datagrams: Vec::new(), made: 0 };
        Net { directory, host, broker: std::thread::spawn(move || broker.serve()) }
    }

    /// Runs a program that writes what it has to say to the file `said`.
    pub(super) fn run(self, text: &str, policy: Option<Policy>) -> (String, Outcome) {
        let Net { directory, host, broker } = self;
        // Nothing of the test's own output streams is used: what the program
        // says goes to a file of its vessel.
        let text = format!(
            "def say(*words):\n  f = open('said', 'a')\n  print >> f, ' '.join([str(w) for w in words])\n  f.close()\n\
             if callfunc == 'initialize':\n  {}",
            text.trim_end().replace('\n', "\n  ")
        );
        let mut finished = run(Box::new(host), Order { policy, ..super::order(&text) });
        super::check_counts(&mut finished);
        let Finished { vm, outcome, .. } = finished;
        drop(vm);
        broker.join().expect("the broker ends with its channel");
        let said = std::fs::read_to_string(directory.join("said")).unwrap_or_default();
        std::fs::remove_dir_all(&directory).expect("removed");
        let _ = (Stream::Output, Api::of_ref);
        (said, outcome)
    }
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// Connects to a port that is about to be listened on.
fn connect(port: u16) -> TcpStream {
    for _ in 0..500 {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            return stream;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("nothing listens on {port}");
}

#[test]
fn a_server_answers_and_stops() {
    let port = free_port();
    let net = Net::new("server", true);
    let client = std::thread::spawn(move || {
        let mut answers = Vec::new();
        for _ in 0..3 {
            let mut stream = connect(port);
            stream.write_all(b"hello").expect("sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            answers.push(answer);
        }
        answers
    });
    let text = format!(
        "\
mycontext['n'] = 0
def serve(ip, port, sock, this, listener):
  got = sock.recv(100)
  sock.send('you said ' + got)
  sock.close()
  mycontext['n'] += 1
  if mycontext['n'] == 3:
    say(ip, listener == mycontext['listener'], stopcomm(listener), stopcomm(listener), stopcomm(this))
mycontext['listener'] = waitforconn('127.0.0.1', {port}, serve)
"
    );
    let (said, outcome) = net.run(&text, None);
    assert_eq!(client.join().expect("answers"), ["you said hello"; 3]);
    assert_eq!((said.as_str(), outcome), ("127.0.0.1 True True False False\n", Outcome::Finished));
}

#[test]
fn closed_sockets_say_so() {
    let port = free_port();
    let net = Net::new("closed", true);
    let text = format!(
        "\
def ignore(ip, port, sock, this, listener):
  mycontext['held'] = sock
  say('recv', sock.recv(10))
  mycontext['peer'].close()
  try:
    sock.recv(10)
  except Exception, e:
    say('recv', e)
  try:
    sock.willblock()
  except Exception, e:
    say('willblock', e)
  stopcomm(listener)
listener = waitforconn('127.0.0.1', {port}, ignore)
sock = openconn('127.0.0.1', {port})
mycontext['peer'] = sock
say(sock.willblock(), str(sock)[:27])
sock.send('x')
sleep(0.3)
say(sock.close(), sock.close())
for act, args in [(sock.recv, (5,)), (sock.send, ('x',)), (sock.willblock, ())]:
  try:
    act(*args)
  except Exception, e:
    say(e)
def receive(sock):
  try:
    sock.recv(5)
  except Exception, e:
    say('blocked', e)
listener = waitforconn('127.0.0.1', {port}, receive)
other = None
try:
  sock.recv(-1)
except ValueError, e:
  say(e)
stopcomm(listener)
try:
  openconn('127.0.0.1', {port}, timeout=2)
except Exception, e:
  say(e)
"
    );
    let (said, outcome) = net.run(&text, None);
    assert_eq!(outcome, Outcome::Finished, "{said}");
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    let mut expected = [
        "(True, False) <Namespace wrapped socket: ",
        "recv x",
        "recv Socket closed",
        "willblock Socket closed",
        "False False",
        "Socket closed",
        "Socket closed!",
        "Socket closed",
        "negative buffersize in recv",
        "[Errno 111] Connection refused",
    ];
    expected.sort_unstable();
    assert_eq!(lines.len(), expected.len(), "{said}");
    for (line, expected) in lines.iter().zip(expected) {
        assert_eq!(line.trim(), expected.trim(), "{said}");
    }
}

#[test]
fn a_destination_that_is_sent_to_again_gets_a_socket_of_its_own() {
    let inbox = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = inbox.local_addr().expect("its end").port();
    let net = Net::new("again", false);
    let text = format!(
        "for i in range(6):\n  say(sendmess('127.0.0.1', {port}, str(i)), sendmess('127.0.0.1', {}, 'gone'))\n",
        free_port()
    );
    let (said, outcome) = net.run(&text, None);
    assert_eq!((said.as_str(), outcome), ("1 4\n".repeat(6).as_str(), Outcome::Finished));
    inbox.set_nonblocking(true).expect("set");
    let mut buffer = [0; 8];
    let sources: Vec<SocketAddr> =
        std::iter::from_fn(|| inbox.recv_from(&mut buffer).ok().map(|(_, from)| from)).collect();
    assert_eq!(sources.len(), 6);
    // The first goes the long way, the others leave by the same socket.
    assert!(sources[1..].iter().all(|source| *source == sources[1]), "{sources:?}");
}

#[test]
fn messages_go_both_ways() {
    for free in [true, false] {
        let (port, other) = (free_port(), free_port());
        let net = Net::new(if free { "free" } else { "held" }, free);
        let text = format!(
            "\
def got(ip, port, message, handle):
  say(ip, message, handle == mycontext['handle'], port == {port} or message != 'third')
  if message == 'third':
    say(stopcomm(handle), stopcomm(mycontext['old']))
def never(ip, port, message, handle):
  say('never')
mycontext['old'] = recvmess('127.0.0.1', {port}, never)
mycontext['handle'] = recvmess('127.0.0.1', {port}, got)
say(sendmess('127.0.0.1', {port}, 'first'), sendmess('127.0.0.1', {port}, ''))
sleep(0.2)
say(sendmess('localhost', {port}, 'second', '127.0.0.1', {other}))
sleep(0.2)
say(sendmess('127.0.0.1', {port}, 'third', '127.0.0.1', {port}))
try:
  sendmess('127.0.0.1', {port}, 'x' * 65508)
except Exception, e:
  say(e)
try:
  sendmess('no.such.host', {port}, 'x')
except Exception, e:
  say(e)
"
        );
        let (said, outcome) = net.run(&text, None);
        assert_eq!(outcome, Outcome::Finished, "{said}");
        for expected in [
            "5 0",
            "127.0.0.1 first True True",
            "6",
            "127.0.0.1 second True True",
            "5",
            "127.0.0.1 third True True",
            "True False",
            "[Errno 90] Message too long",
            "[Errno -2] Name or service not known",
        ] {
            assert!(said.lines().any(|line| line == expected), "free {free}: no {expected:?} in\n{said}");
        }
        assert!(!said.contains("never"));
    }
}

#[test]
fn bad_ends_and_ungranted_ports() {
    let net = Net::new("ends", true);
    let cases = [
        (
            "sendmess('127.0.0.1', 80, 'x', '127.0.0.1')",
            "Localip and localport must be specified simultaneously.",
        ),
        ("openconn('127.0.0.1', 80, localport=5)", "Localip and localport must be specified simultaneously."),
        ("waitforconn('', 80, say)", "Must specify a local IP address"),
        ("recvmess('0.0.0.0', 80, say)", "Must specify a local IP address"),
        ("sendmess('127.0.0.1', 0, 'x')", "Destination port number must be an integer, between 1 and 65535."),
        ("openconn('127.0.0.1', 65536)", "Destination port number must be an integer, between 1 and 65535."),
        (
            "openconn('127.0.0.1', 10 ** 30)",
            "Destination port number must be an integer, between 1 and 65535.",
        ),
        ("waitforconn('127.0.0.1', 0, say)", "Local port number must be an integer, between 1 and 65535."),
        (
            "sendmess('127.0.0.1', 1, 'x', '127.0.0.1', -1)",
            "Local port number must be an integer, between 1 and 65535.",
        ),
        ("openconn('127.0.0.1', 80, timeout=0)", "Timeout parameter must be a numeric value greater than 0."),
        (
            "openconn('127.0.0.1', 80, timeout=1e999 - 1e999)",
            "Timeout parameter must be a numeric value greater than 0.",
        ),
        ("waitforconn('127.0.0.1', 22222, say)", "Resource 'connport 22222' not allowed!!!"),
        ("recvmess('127.0.0.1', 22222, say)", "Resource 'messport 22222' not allowed!!!"),
        ("sendmess('127.0.0.1', 9, 'x', '127.0.0.1', 22222)", "Resource 'messport 22222' not allowed!!!"),
        ("openconn('127.0.0.1', 9, '127.0.0.1', 22222)", "Resource 'connport 22222' not allowed!!!"),
        ("openconn('h' * 300, 9)", "[Errno -2] Name or service not known"),
        ("gethostbyname_ex('no.such.host')", "[Errno -2] Name or service not known"),
    ];
    let mut text = String::new();
    for (call, _) in cases {
        text.push_str(&format!("try:\n  say('accepted', {call})\nexcept Exception, e:\n  say(e)\n"));
    }
    text.push_str("say(gethostbyname_ex('localhost'), getmyip())\n");
    let policy = super::generous().set(Resource::ConnPort, 12345.0).build();
    let (said, outcome) = net.run(&text, Some(policy));
    assert_eq!(outcome, Outcome::Finished, "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), cases.len() + 1, "{said}");
    for (line, (call, expected)) in lines.iter().zip(cases) {
        assert_eq!(*line, expected, "{call}");
    }
    assert_eq!(lines[cases.len()], "('localhost', ['alias'], ['127.0.0.1']) 127.0.0.1");
}

#[test]
fn limits_of_sockets_hold_and_forgotten_ones_come_back() {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("bound");
    let net = Net::new("limits", true);
    let policy = super::generous().set(Resource::OutSockets, 1.0).set(Resource::InSockets, 0.0).build();
    let text = format!(
        "\
class Holder:
  pass
def cycle():
  h = Holder()
  h.me = h
  h.sock = openconn('127.0.0.1', {port})
for i in range(3):
  openconn('127.0.0.1', {port})
  cycle()
kept = openconn('127.0.0.1', {port})
try:
  openconn('127.0.0.1', {port})
except Exception, e:
  say(e)
try:
  waitforconn('127.0.0.1', 80, say)
except Exception, e:
  say(e)
kept.close()
say(openconn('127.0.0.1', {port}) is None)
"
    );
    let (said, outcome) = net.run(&text, Some(policy));
    drop(listener);
    assert_eq!(outcome, Outcome::Finished, "{said}");
    assert_eq!(
        said,
        "Resource 'outsockets' limit exceeded!!\nResource 'insockets' limit exceeded!!\nFalse\n"
    );
}

#[test]
fn a_flood_of_connections_is_served_within_the_events_limit() {
    let port = free_port();
    let net = Net::new("flood", true);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                (0..25)
                    .filter(|_| {
                        let mut answer = String::new();
                        connect(port).read_to_string(&mut answer).is_ok() && answer == "x"
                    })
                    .count()
            })
        })
        .collect();
    let policy =
        super::generous().set(Resource::Events, 4.0).set(Resource::ConnPort, f64::from(port)).build();
    let text = format!(
        "\
mycontext['n'] = 0
def serve(ip, port, sock, this, listener):
  sleep(0.001)
  sock.send('x')
  sock.close()
  mycontext['n'] += 1
  if mycontext['n'] == 100:
    stopcomm(listener)
waitforconn('127.0.0.1', {port}, serve)
"
    );
    let (said, outcome) = net.run(&text, Some(policy));
    let served: usize = clients.into_iter().map(|client| client.join().expect("a count")).sum();
    assert_eq!((served, outcome), (100, Outcome::Finished), "{said}");
}
