//! `sendmess`.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use policies::channel::network::{Failure, Host, Reply, Request, Written, MAXIMUM_PAYLOAD};
use policies::Resource;

use crate::peer::*;
use crate::Test;

pub const TESTS: &[Test] = &[
    ("the_broker_sends_to_allowed_destinations_only", restricted),
    ("the_largest_message_goes_and_the_kernel_says_what_does_not", sizes),
    ("the_receiving_socket_sends_from_its_own_port", from_receiver),
    ("a_located_host_is_resolved_once", located),
    ("senders_are_given_as_the_rules_allow", senders),
    ("any_address_as_a_destination_is_this_host", any_destination),
];

fn inbox() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    socket.set_read_timeout(Some(LONG)).expect("set");
    let port = socket.local_addr().expect("its end").port();
    (socket, port)
}

fn expect(inbox: &UdpSocket, text: &[u8]) -> std::net::SocketAddr {
    let mut buffer = vec![0u8; 70_000];
    let (count, from) = inbox.recv_from(&mut buffer).expect("a datagram");
    assert_eq!(&buffer[..count], text);
    from
}

fn restricted() {
    let (inbox, port) = inbox();
    let text = format!(
        "{HEAD}call sendmess arg 0 is 127.0.0.1 arg 1 is 9 deny\ncall sendmess arg 0 is 127.0.0.1 allow\n"
    );
    let mut peer = Peer::new(&text);
    let facts = peer.call(Request::Facts).0;
    let Ok(Reply::Facts { free_datagrams: false, loopback }) = facts else { panic!("{facts:?}") };
    assert!(loopback.contains(&(Ipv4Addr::new(127, 0, 0, 0), 8)), "{loopback:?}");
    for spelling in ["127.0.0.1", "127.1", "localhost", "LOCALHOST.", "::ffff:127.0.0.1", "0177.0.0.1"] {
        let sent = peer.call(message(spelling, port, spelling.as_bytes(), None)).0;
        assert_eq!(sent, Ok(Reply::Sent { bytes: spelling.len() as u32, loopback: true }), "{spelling}");
        expect(&inbox, spelling.as_bytes());
        let home = Some(Ipv4Addr::LOCALHOST);
        let refused = peer.refused(message(spelling, 9, b"x", None));
        assert_eq!(refused, Failure::Refused { destination: home, local: None }, "{spelling}");
    }
    for other in ["127.0.0.2", "192.0.2.1", "0", ""] {
        assert!(matches!(peer.refused(message(other, port, b"x", None)), Failure::Refused { .. }), "{other}");
    }
    // The text alone does not help: it is the address that counts, and the
    // texts that the frame claims beside it count for nothing.
    let forged = Request::Send {
        host: written("127.0.0.2"),
        port,
        local: None,
        payload: b"x".to_vec(),
        written: vec![Written::Text(b"127.0.0.1".to_vec()), Written::Field, Written::Field],
    };
    assert!(matches!(peer.refused(forged), Failure::Refused { .. }));
    for text in ["::1", "127.0.0.1 ", " 127.0.0.1", "127.0.0.1\0"] {
        let failure = peer.refused(message(text, port, b"x", None));
        assert!(matches!(failure, Failure::Refused { .. } | Failure::Resolve { .. }), "{text}: {failure:?}");
    }
    peer.finish();
}

fn sizes() {
    let (inbox, port) = inbox();
    let mut peer = Peer::new(&format!("{HEAD}call sendmess arg 0 is 127.0.0.1 allow\n"));
    for size in [0, 1, 1500, MAXIMUM_PAYLOAD] {
        let payload = vec![7u8; size];
        let sent = peer.call(message("127.0.0.1", port, &payload, None)).0;
        assert_eq!(sent, Ok(Reply::Sent { bytes: size as u32, loopback: true }));
        expect(&inbox, &payload);
    }
    let mut peer = Peer::new(&wide(&[]));
    // Broadcasting needs a word to the kernel that the broker does not say.
    let text = "Permission denied".into();
    let refused = peer.refused(message("255.255.255.255", port, b"x", None));
    assert!(
        refused == Failure::System { errno: libc::EACCES, text }
            || matches!(refused, Failure::System { errno: libc::ENETUNREACH, .. }),
        "{refused:?}"
    );
    peer.finish();
}

fn from_receiver() {
    let (inbox, port) = inbox();
    let (own, other) = (free_port(), free_port());
    let mut peer = Peer::new(&wide(&[own]));
    let home = SocketAddrV4::new(Ipv4Addr::LOCALHOST, own);
    // Without a receiver a socket is bound for the one message, and let go.
    for _ in 0..3 {
        assert!(peer.call(message("127.0.0.1", port, b"a", Some(local("127.0.0.1", own)))).0.is_ok());
        assert_eq!(expect(&inbox, b"a"), home.into());
    }
    let receiver = peer.socket(receive("127.0.0.1", own));
    for _ in 0..3 {
        assert!(peer.call(message("127.0.0.1", port, b"b", Some(local("127.1", own)))).0.is_ok());
        assert_eq!(expect(&inbox, b"b"), home.into());
    }
    // Any own address with that port is another end, and it is in use.
    let refused = peer.refused(message("127.0.0.1", port, b"c", Some(local("0.0.0.0", own))));
    assert!(matches!(refused, Failure::System { errno: libc::EADDRINUSE, .. }), "{refused:?}");
    let refused = peer.refused(message("127.0.0.1", port, b"c", Some(local("127.0.0.1", other))));
    assert_eq!(refused, Failure::PortNotGranted { resource: Resource::MessPort, port: other });
    // Port 0 is any port.
    assert!(peer.call(message("127.0.0.1", port, b"d", Some(local("127.0.0.3", 0)))).0.is_ok());
    assert_eq!(expect(&inbox, b"d").ip(), Ipv4Addr::new(127, 0, 0, 3));
    peer.close(receiver);
    peer.finish();
}

fn located() {
    let (inbox, port) = inbox();
    let mut peer = Peer::new(&format!("{HEAD}call sendmess arg 0 is localhost allow\n"));
    let located = peer.call(Request::Locate { host: b"localhost".to_vec() }).0;
    let Ok(Reply::Located { token, address: Ipv4Addr::LOCALHOST, loopback: true }) = located else {
        panic!("{located:?}")
    };
    let send = |token| Request::Send {
        host: Host::Located(token),
        port,
        local: None,
        payload: b"t".to_vec(),
        written: vec![Written::Field; 3],
    };
    assert!(peer.call(send(token)).0.is_ok());
    expect(&inbox, b"t");
    assert_eq!(peer.refused(send(token + 1)), Failure::Forgotten);
    // The text that was located is what the rules see.
    let literal = peer.call(Request::Locate { host: b"127.0.0.1".to_vec() }).0;
    let Ok(Reply::Located { token, .. }) = literal else { panic!("{literal:?}") };
    assert!(matches!(peer.refused(send(token)), Failure::Refused { .. }));
    // A name that no rule can allow is not even looked up.
    let refused = peer.refused(Request::Locate { host: b"secret.example".to_vec() });
    assert_eq!(refused, Failure::Refused { destination: None, local: None });
    // Old ones are forgotten, so that they stay few.
    for _ in 0..300 {
        assert!(peer.call(Request::Locate { host: b"127.0.0.1".to_vec() }).0.is_ok());
    }
    assert_eq!(peer.refused(send(token)), Failure::Forgotten);
    peer.finish();
}

fn senders() {
    let (inbox, port) = inbox();
    let sender = |host: Option<&str>| Request::Sender {
        host: host.map(|host| (written(host), port)),
        local: None,
        written: vec![Written::Field, Written::Field, Written::Text(b"text".to_vec())],
    };
    // Every destination is allowed: a free socket.
    let mut peer = Peer::new(&wide(&[]));
    assert!(matches!(peer.call(Request::Facts).0, Ok(Reply::Facts { free_datagrams: true, .. })));
    let free = peer.socket(sender(None));
    UdpSocket::from(free.descriptor).send_to(b"free", ("127.0.0.1", port)).expect("sent");
    expect(&inbox, b"free");
    for _ in 0..15 {
        peer.socket(sender(None));
    }
    assert_eq!(peer.refused(sender(None)), Failure::Busy);
    peer.finish();
    // One destination: a connected socket, and no free one.
    let mut peer = Peer::new(&format!("{HEAD}call sendmess arg 0 is 127.0.0.1 allow\n"));
    let socket = peer.socket(sender(Some("localhost")));
    assert_eq!(socket.peer, Some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)));
    assert!(socket.loopback);
    UdpSocket::from(socket.descriptor).send(b"bound").expect("sent");
    expect(&inbox, b"bound");
    for refused in [sender(None), sender(Some("127.0.0.2"))] {
        assert!(matches!(peer.refused(refused), Failure::Refused { .. }));
    }
    peer.finish();
    // A message is counted, though the broker never sees it.
    let mut peer = Peer::new(&format!("{HEAD}call sendmess noargs is 3 deny\ncall sendmess allow\n"));
    assert!(matches!(peer.refused(sender(Some("127.0.0.1"))), Failure::Refused { .. }));
    peer.finish();
    let mut peer = Peer::new(&format!("{HEAD}call sendmess noargs is 3 allow\n"));
    assert!(peer.socket(sender(Some("127.0.0.1"))).loopback);
    peer.finish();
    // Rules that look at the message: only the broker sends.
    let mut peer = Peer::new(&format!("{HEAD}call sendmess arg 2 is text allow\n"));
    assert!(matches!(peer.refused(sender(Some("127.0.0.1"))), Failure::Refused { .. }));
    assert!(peer.call(message("127.0.0.1", port, b"text", None)).0.is_ok());
    expect(&inbox, b"text");
    assert!(matches!(peer.refused(message("127.0.0.1", port, b"other", None)), Failure::Refused { .. }));
    peer.finish();
}

fn any_destination() {
    let (inbox, port) = inbox();
    let mut peer = Peer::new(&wide(&[]));
    for text in ["0", "0.0.0.0", ""] {
        let sent = peer.call(message(text, port, b"home", None)).0;
        assert_eq!(sent, Ok(Reply::Sent { bytes: 4, loopback: true }), "{text:?}");
        expect(&inbox, b"home");
    }
    peer.finish();
}
