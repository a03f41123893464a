//! `waitforconn`, `recvmess`, `stopcomm`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use launcher::broker::{AddressOptions, Listed};
use policies::channel::network::{Failure, Reply, Request};
use policies::Resource;

use crate::peer::*;
use crate::Test;

pub const TESTS: &[Test] = &[
    ("a_listener_takes_connections_and_its_port_is_free_after_close", connections),
    ("a_receiver_takes_datagrams_and_its_port_is_free_after_close", datagrams),
    ("only_granted_ports_are_bound", granted_ports),
    ("no_spelling_of_any_address_is_bound", any_address),
    ("rules_decide_on_the_address_that_is_bound", rules),
    ("a_port_in_use_says_so", in_use),
    ("sockets_are_counted", counted),
    ("own_addresses_are_held_to_the_options", options),
    ("low_ports_work_for_root_alone", low_ports),
    ("a_lying_close_of_a_listener_is_answered_all_the_same", lying_close),
];

fn connections() {
    let port = free_port();
    let mut peer = Peer::new(&wide(&[port]));
    for round in 0..3 {
        let socket = peer.socket(listen("127.0.0.1", port));
        assert_eq!(socket.own, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        assert!(socket.loopback && socket.peer.is_none());
        let listener = TcpListener::from(socket.descriptor.try_clone().expect("a copy"));
        let mut client = TcpStream::connect(socket.own).expect("connected");
        listener.set_nonblocking(false).expect("set");
        let (mut accepted, _) = listener.accept().expect("accepted");
        accepted.write_all(b"hello").expect("sent");
        let mut buffer = [0u8; 5];
        client.read_exact(&mut buffer).expect("received");
        assert_eq!(&buffer, b"hello");
        drop(listener);
        // Connections stay; the port is free at once, for the next round too.
        peer.close(socket);
        let next = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        assert!(next.is_err(), "round {round}: somebody still listens");
        accepted.write_all(b"again").expect("sent");
    }
    peer.finish();
}

fn datagrams() {
    let port = free_port();
    let mut peer = Peer::new(&wide(&[port]));
    for _ in 0..2 {
        let socket = peer.socket(receive("127.1", port));
        let receiver = UdpSocket::from(socket.descriptor.try_clone().expect("a copy"));
        receiver.set_nonblocking(false).expect("set");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("bound");
        sender.send_to(b"ping", socket.own).expect("sent");
        let mut buffer = [0u8; 10];
        let (count, from) = receiver.recv_from(&mut buffer).expect("received");
        assert_eq!((&buffer[..count], from), (&b"ping"[..], sender.local_addr().expect("its end")));
        drop(receiver);
        peer.close(socket);
        drop(UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).expect("free"));
    }
    peer.finish();
}

fn granted_ports() {
    let (granted, other) = (free_port(), free_port());
    let text = format!("{HEAD}resource connport {granted}\ncall waitforconn allow\ncall recvmess allow\n");
    let mut peer = Peer::new(&text);
    for port in [0, other] {
        let expected = Failure::PortNotGranted { resource: Resource::ConnPort, port };
        assert_eq!(peer.refused(listen("127.0.0.1", port)), expected);
    }
    // TCP and UDP are apart.
    let expected = Failure::PortNotGranted { resource: Resource::MessPort, port: granted };
    assert_eq!(peer.refused(receive("127.0.0.1", granted)), expected);
    let socket = peer.socket(listen("127.0.0.1", granted));
    peer.close(socket);
    peer.finish();
}

fn any_address() {
    let port = free_port();
    let mut peer = Peer::new(&wide(&[port]));
    for text in [
        "0.0.0.0",
        "0",
        "0.0",
        "0.0.0",
        "00.0.0.0",
        "000.000.000.000",
        "0x0",
        "0x0.0.0.0",
        "",
        "::ffff:0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
    ] {
        for request in [listen(text, port), receive(text, port)] {
            let failure = peer.refused(request);
            assert_eq!(failure, Failure::AddressNotAllowed { text: text.into() }, "{text}");
        }
    }
    for text in ["0.0.0.0 ", " 0.0.0.0", "0.0.0.0\0", "*", "<any>", "<broadcast>", "::", "::1", "1.2.3"] {
        for request in [listen(text, port), receive(text, port)] {
            let failure = peer.refused(request);
            let known = matches!(
                failure,
                Failure::Resolve { .. } | Failure::System { errno: libc::EADDRNOTAVAIL, .. }
            );
            assert!(known, "{text}: {failure:?}");
        }
    }
    // A name of the hosts file is an address of this host.
    let socket = peer.socket(listen("LOCALHOST", port));
    assert_eq!(*socket.own.ip(), Ipv4Addr::LOCALHOST);
    peer.close(socket);
    // Another name is not asked for.
    let start = Instant::now();
    assert!(matches!(peer.refused(listen("no.such.name.example", port)), Failure::Resolve { code: -2, .. }));
    assert!(start.elapsed() < Duration::from_secs(10));
    peer.finish();
}

fn rules() {
    let port = free_port();
    let text = format!(
        "{HEAD}resource connport {port}\nresource messport {port}\ncall waitforconn arg 0 is 127.0.0.1 allow\n\
         call recvmess arg 0 is 127.0.0.1 deny\ncall recvmess allow\n"
    );
    let mut peer = Peer::new(&text);
    let home = Some(Ipv4Addr::LOCALHOST);
    for spelling in ["127.0.0.1", "127.1", "2130706433", "localhost", "::ffff:127.0.0.1"] {
        let socket = peer.socket(listen(spelling, port));
        peer.close(socket);
        let failure = peer.refused(receive(spelling, port));
        assert_eq!(failure, Failure::Refused { destination: None, local: home }, "{spelling}");
    }
    let other = Ipv4Addr::new(127, 0, 0, 2);
    let failure = peer.refused(listen("127.0.0.2", port));
    assert_eq!(failure, Failure::Refused { destination: None, local: Some(other) });
    let socket = peer.socket(receive("127.0.0.2", port));
    peer.close(socket);
    peer.finish();
}

fn in_use() {
    let port = free_port();
    let mut peer = Peer::new(&wide(&[port]));
    let taken = Failure::System { errno: libc::EADDRINUSE, text: "Address already in use".into() };
    let foreign = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("bound");
    assert_eq!(peer.refused(listen("127.0.0.1", port)), taken);
    drop(foreign);
    let foreign = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).expect("bound");
    assert_eq!(peer.refused(receive("127.0.0.1", port)), taken);
    drop(foreign);
    // What the broker made is not shared either.
    let socket = peer.socket(listen("127.0.0.1", port));
    assert_eq!(peer.refused(listen("127.0.0.1", port)), taken);
    assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err());
    peer.close(socket);
    let foreign = peer.refused(listen("192.0.2.200", port));
    let text = "Cannot assign requested address".into();
    assert_eq!(foreign, Failure::System { errno: libc::EADDRNOTAVAIL, text });
    peer.finish();
}

fn counted() {
    let ports: Vec<u16> = (0..6).map(|_| free_port()).collect();
    let mut peer = Peer::new(&wide(&ports));
    let mut sockets: Vec<Socket> = Vec::new();
    for port in &ports[..3] {
        sockets.push(peer.socket(listen("127.0.0.1", *port)));
    }
    for port in &ports[3..5] {
        sockets.push(peer.socket(receive("127.0.0.1", *port)));
    }
    let full = Failure::TooMany(Resource::InSockets);
    assert_eq!(peer.refused(listen("127.0.0.1", ports[5])), full);
    assert_eq!(peer.refused(receive("127.0.0.1", ports[5])), full);
    peer.close(sockets.pop().expect("one"));
    sockets.push(peer.socket(receive("127.0.0.1", ports[5])));
    let unknown = peer.call(Request::Close { socket: 4711 }).0;
    assert_eq!(unknown, Ok(Reply::Closed { known: false }));
    peer.finish();
}

fn options() {
    let port = free_port();
    let listed = vec![Listed::Address(Ipv4Addr::new(192, 0, 2, 200)), Listed::Interface("lo".into())];
    let only = AddressOptions { listed: listed.clone(), only_listed: true };
    let mut peer = Peer::with(&wide(&[port]), only);
    // 192.0.2.200 is not this host's.
    assert_eq!(peer.call(Request::OwnAddress).0, Ok(Reply::Address(Ipv4Addr::LOCALHOST)));
    assert_eq!(
        peer.refused(listen("127.0.0.2", port)),
        Failure::AddressNotAllowed { text: "127.0.0.2".into() }
    );
    let socket = peer.socket(listen("127.0.0.1", port));
    peer.close(socket);
    // What leaves the own end open is bound to the first of them.
    let target = TcpListener::bind("127.0.0.9:0").expect("bound");
    let at = target.local_addr().expect("its end");
    let socket = peer.socket(connect("127.0.0.9", at.port(), None, LONG));
    assert_eq!(*socket.own.ip(), Ipv4Addr::LOCALHOST);
    peer.finish();
    let mut peer = Peer::with(&wide(&[port]), AddressOptions { listed, only_listed: false });
    let socket = peer.socket(listen("127.0.0.2", port));
    peer.close(socket);
    peer.finish();
}

fn low_ports() {
    let Some(port) = (900..1024).find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()) else {
        // An ordinary user: what cannot be bound says so.
        let mut peer = Peer::new(&wide(&[901]));
        let text = "Permission denied".into();
        assert_eq!(peer.refused(listen("127.0.0.1", 901)), Failure::System { errno: libc::EACCES, text });
        return peer.finish();
    };
    let mut peer = Peer::new(&wide(&[port]));
    if is_root() {
        // CAP_NET_BIND_SERVICE is number 10.
        for set in ["CapEff", "CapPrm"] {
            assert_eq!(peer.status(set), "0000000000000400", "{set}");
        }
    }
    let socket = peer.socket(listen("127.0.0.1", port));
    peer.close(socket);
    peer.finish();
}

fn lying_close() {
    let port = free_port();
    let mut peer = Peer::new(&wide(&[port]));
    let socket = peer.socket(listen("127.0.0.1", port));
    // The descriptor stays open: the answer comes when it has been waited for.
    let id = peer.ask(Request::Close { socket: socket.number });
    assert!(peer.call(Request::Facts).0.is_ok());
    assert_eq!(peer.answer(id).0, Ok(Reply::Closed { known: true }));
    peer.finish();
}
