//! `openconn`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use policies::channel::network::{Failure, Reply, Request};
use policies::Resource;

use crate::peer::*;
use crate::Test;

pub const TESTS: &[Test] = &[
    ("a_connection_is_made_and_passed_on", made),
    ("a_refused_connection_says_so_at_once", refused),
    ("a_silent_host_times_out_and_stalls_nobody", silent),
    ("rules_and_ports_hold_for_connections", rules),
    ("connections_are_counted", counted),
    ("ends_in_use_are_told_apart", ends_in_use),
    ("an_old_connection_is_waited_for", cleanup),
    ("a_request_can_be_given_up", cancelled),
    ("the_broker_gives_nothing_to_a_socket_it_passed_on", passed_on),
];

fn server() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("its end").port();
    (listener, port)
}

fn made() {
    let (listener, port) = server();
    let mut peer = Peer::new(&wide(&[]));
    for host in ["127.0.0.1", "localhost", "0"] {
        let socket = peer.socket(connect(host, port, None, LONG));
        assert_eq!(socket.peer, Some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)));
        assert!(socket.loopback);
        let mut stream = TcpStream::from(socket.descriptor.try_clone().expect("a copy"));
        let (mut accepted, from) = listener.accept().expect("accepted");
        assert_eq!(from, socket.own.into());
        accepted.write_all(b"hi").expect("sent");
        stream.set_nonblocking(false).expect("set");
        let mut buffer = [0u8; 2];
        stream.read_exact(&mut buffer).expect("received");
        assert_eq!(&buffer, b"hi");
        drop(stream);
        peer.close(socket);
    }
    peer.finish();
}

fn refused() {
    let port = free_port();
    let mut peer = Peer::new(&wide(&[]));
    let start = Instant::now();
    let text = "Connection refused".into();
    let failure = peer.refused(connect("127.0.0.1", port, None, LONG));
    assert_eq!(failure, Failure::System { errno: libc::ECONNREFUSED, text });
    assert!(start.elapsed() < Duration::from_secs(10));
    peer.finish();
}

/// A listener whose queue is full: connections to it hang.
pub fn full() -> (Vec<TcpStream>, TcpListener, u16) {
    use nix::sys::socket::{listen, Backlog};
    let (listener, port) = server();
    listen(&listener, Backlog::new(0).expect("zero")).expect("set again");
    let mut held = Vec::new();
    loop {
        let at = std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match TcpStream::connect_timeout(&at, Duration::from_millis(300)) {
            Ok(stream) => held.push(stream),
            Err(_) => return (held, listener, port),
        }
    }
}

fn silent() {
    let (_held, _listener, port) = full();
    let (good, good_port) = server();
    let mut peer = Peer::new(&wide(&[]));
    let start = Instant::now();
    let slow = peer.ask(connect("127.0.0.1", port, None, Duration::from_millis(700)));
    // Meanwhile everything else goes on.
    let socket = peer.socket(connect("127.0.0.1", good_port, None, LONG));
    assert!(start.elapsed() < Duration::from_millis(600), "{:?}", start.elapsed());
    drop(good);
    peer.close(socket);
    assert_eq!(peer.answer(slow).0, Err(Failure::TimedOut));
    assert!(start.elapsed() >= Duration::from_millis(700));
    peer.finish();
}

fn rules() {
    let (listener, port) = server();
    let own = free_port();
    let text = format!(
        "{HEAD}resource connport {own}\ncall openconn arg 0 is 127.0.0.1 arg 1 is {port} allow\n\
         call openconn arg 0 is 127.0.0.2 deny\n"
    );
    let mut peer = Peer::new(&text);
    let socket = peer.socket(connect("127.1", port, None, LONG));
    peer.close(socket);
    for (host, port) in [("127.0.0.1", port + 1), ("127.0.0.2", port), ("0", port), ("", port)] {
        let failure = peer.refused(connect(host, port, None, LONG));
        assert!(matches!(failure, Failure::Refused { .. }), "{host}: {failure:?}");
    }
    let other = free_port();
    let failure = peer.refused(connect("127.0.0.1", port, Some(local("127.0.0.1", other)), LONG));
    assert_eq!(failure, Failure::PortNotGranted { resource: Resource::ConnPort, port: other });
    let socket = peer.socket(connect("127.0.0.1", port, Some(local("127.0.0.1", own)), LONG));
    assert_eq!(socket.own.port(), own);
    let any = peer.socket(connect("127.0.0.1", port, Some(local("127.0.0.5", 0)), LONG));
    assert_eq!(*any.own.ip(), Ipv4Addr::new(127, 0, 0, 5));
    drop(listener);
    peer.finish();
}

fn counted() {
    let (_listener, port) = server();
    let (_held, _full, silent) = full();
    let mut peer = Peer::new(&wide(&[]));
    let mut sockets: Vec<Socket> =
        (0..4).map(|_| peer.socket(connect("127.0.0.1", port, None, LONG))).collect();
    // One under way counts, too.
    let waiting = peer.ask(connect("127.0.0.1", silent, None, Duration::from_secs(3600)));
    let full = Failure::TooMany(Resource::OutSockets);
    assert_eq!(peer.refused(connect("127.0.0.1", port, None, LONG)), full);
    peer.ask(Request::Cancel { request: waiting });
    assert_eq!(peer.answer(waiting).0, Err(Failure::Cancelled));
    sockets.push(peer.socket(connect("127.0.0.1", port, None, LONG)));
    assert_eq!(peer.refused(connect("127.0.0.1", port, None, LONG)), full);
    peer.close(sockets.pop().expect("one"));
    sockets.push(peer.socket(connect("127.0.0.1", port, None, LONG)));
    peer.finish();
}

fn ends_in_use() {
    let (listener, port) = server();
    let own = free_port();
    let mut peer = Peer::new(&wide(&[own]));
    let request = || connect("127.0.0.1", port, Some(local("127.0.0.1", own)), Duration::from_secs(2));
    let socket = peer.socket(request());
    assert_eq!(peer.refused(request()), Failure::InUseHere(socket.number));
    // To another port the same own end can be used.
    let (_other, second) = server();
    let other = peer.socket(connect("127.0.0.1", second, Some(local("127.0.0.1", own)), LONG));
    peer.close(other);
    // The broker is told that it is closed, but it is not: it keeps its place.
    let kept = socket.descriptor;
    assert!(peer.call(Request::Close { socket: socket.number }).0.is_ok());
    assert_eq!(peer.refused(request()), Failure::InUseHere(socket.number));
    drop(kept);
    drop(listener);
    // Held by somebody else.
    let (_third, third) = server();
    let foreign = foreign_connection(own, third);
    let request = connect("127.0.0.1", third, Some(local("127.0.0.1", own)), Duration::from_secs(2));
    assert_eq!(peer.refused(request), Failure::InUseElsewhere);
    drop(foreign);
    peer.finish();
}

/// A connection of another process than the broker, from port `own` to port `to` of this host.
fn foreign_connection(own: u16, to: u16) -> OwnedFd {
    use nix::sys::socket::{bind, connect, setsockopt, socket, sockopt, SockFlag, SockType, SockaddrIn};
    let kind = (nix::sys::socket::AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC);
    let made = socket(kind.0, kind.1, kind.2, None).expect("a socket");
    setsockopt(&made, sockopt::ReuseAddr, &true).expect("set");
    bind(made.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, own)).expect("bound");
    connect(made.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, to)).expect("connected");
    made
}

fn cleanup() {
    let (listener, port) = server();
    let own = free_port();
    let mut peer = Peer::new(&wide(&[own]));
    let request = |timeout| connect("127.0.0.1", port, Some(local("127.0.0.1", own)), timeout);
    let socket = peer.socket(request(LONG));
    let (accepted, _) = listener.accept().expect("accepted");
    // Closed by this side first: it stays in TIME_WAIT.
    peer.close(socket);
    drop(accepted);
    std::thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    match peer.call(request(Duration::from_millis(500))) {
        (Err(Failure::CleanupTimedOut), None) => assert!(start.elapsed() >= Duration::from_millis(500)),
        // Kernels may let a connection in TIME_WAIT go early on loopback.
        (Ok(Reply::Socket { .. }), Some(_)) => {}
        other => panic!("{other:?}"),
    }
    peer.finish();
}

fn cancelled() {
    let (_held, _listener, port) = full();
    let mut peer = Peer::new(&wide(&[]));
    let id = peer.ask(connect("127.0.0.1", port, None, LONG));
    peer.ask(Request::Cancel { request: id });
    assert_eq!(peer.answer(id).0, Err(Failure::Cancelled));
    // An unknown one is nothing.
    peer.ask(Request::Cancel { request: 4711 });
    assert!(peer.call(Request::Facts).0.is_ok());
    peer.finish();
}

fn passed_on() {
    let (listener, port) = server();
    let mut peer = Peer::new(&wide(&[]));
    let socket = peer.socket(connect("127.0.0.1", port, None, LONG));
    let (accepted, _) = listener.accept().expect("accepted");
    // Closed by the holder alone, it is closed: the broker has no copy.
    drop(socket.descriptor);
    let mut set = [PollFd::new(accepted.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut set, PollTimeout::from(20_000u16)), Ok(1));
    assert_eq!((&accepted).read(&mut [0u8; 1]).expect("the end"), 0);
    let before = cpu(&peer);
    std::thread::sleep(Duration::from_millis(300));
    assert!(cpu(&peer) - before <= 2, "an idle broker spins");
    peer.finish();
}

/// Processor time of the broker in hundredths of a second.
fn cpu(peer: &Peer) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", peer.broker.pid)).expect("its statistics");
    let words: Vec<&str> = text.rsplit(") ").next().expect("fields").split(' ').collect();
    words[11].parse::<u64>().expect("user time") + words[12].parse::<u64>().expect("system time")
}
