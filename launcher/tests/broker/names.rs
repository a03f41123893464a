//! `gethostbyname_ex`, `getmyip`, and names as destinations.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use policies::channel::network::{Failure, Host, Reply, Request, MAXIMUM_ADDRESSES};

use crate::apart::{apart, reply, Server};
use crate::peer::*;
use crate::Test;

pub const TESTS: &[Test] = &[
    ("names_of_the_hosts_file_are_found", hosts),
    ("texts_that_are_no_names_fail_at_once", no_names),
    ("names_are_held_to_the_rules", rules),
    ("many_names_at_once_are_all_answered", many),
    ("children_do_not_outlive_their_question", children),
    ("the_name_server_is_asked_after_the_hosts_file", server),
    ("a_thousand_addresses_are_capped", thousand),
    ("a_dead_name_server_ends_in_time_and_stalls_nobody", dead),
    ("a_name_is_resolved_once_and_decided_on_once", rebinding),
    ("the_own_address_is_an_address_of_this_host", own_address),
];

fn look_up(name: &str) -> Request {
    Request::Lookup { name: name.as_bytes().to_vec() }
}

fn hosts() {
    let mut peer = Peer::new(&wide(&[]));
    let found = peer.call(look_up("localhost")).0;
    let Ok(Reply::HostEntry { name, addresses, .. }) = found else { panic!("{found:?}") };
    assert!(!name.is_empty() && addresses.contains(&Ipv4Addr::LOCALHOST), "{addresses:?}");
    let literal = peer.call(look_up("127.1")).0;
    let expected =
        Reply::HostEntry { name: b"127.1".to_vec(), aliases: vec![], addresses: vec![Ipv4Addr::LOCALHOST] };
    assert_eq!(literal, Ok(expected));
    peer.finish();
}

fn no_names() {
    let mut peer = Peer::new(&wide(&[]));
    let start = Instant::now();
    for (text, code) in [("", -2), ("a b", -2), ("..", -2), ("999.1.1.1", -2), ("::1", -9), ("a\0b", -2)] {
        let failure = peer.refused(look_up(text));
        assert!(
            matches!(failure, Failure::Resolve { code: found, .. } if found == code),
            "{text}: {failure:?}"
        );
    }
    assert!(start.elapsed() < Duration::from_secs(10));
    peer.finish();
}

fn rules() {
    let mut peer = Peer::new(&format!("{HEAD}call gethostbyname_ex arg 0 is localhost allow\n"));
    assert!(peer.call(look_up("localhost")).0.is_ok());
    for text in ["127.0.0.1", "other.example", "LOCALHOST"] {
        assert!(matches!(peer.refused(look_up(text)), Failure::Refused { .. }), "{text}");
    }
    assert!(matches!(peer.refused(Request::OwnAddress), Failure::Refused { .. }));
    // No call at all that could use an address: nothing is located.
    assert!(matches!(peer.refused(Request::Locate { host: b"localhost".to_vec() }), Failure::Refused { .. }));
    peer.finish();
}

fn many() {
    let mut peer = Peer::new(&wide(&[]));
    let asked: Vec<u32> = (0..40).map(|_| peer.ask(look_up("localhost"))).collect();
    for id in asked {
        assert!(peer.answer(id).0.is_ok());
    }
    assert_eq!(peer.children(), 0);
    peer.finish();
}

fn children() {
    apart("", || {
        let _dead = Server::new();
        let mut peer = Peer::new(&wide(&[]));
        let asked: Vec<u32> = (0..20).map(|_| peer.ask(look_up("slow.example"))).collect();
        assert!(peer.call(Request::Facts).0.is_ok());
        assert!((1..=8).contains(&peer.children()), "{} children", peer.children());
        for id in asked {
            peer.ask(Request::Cancel { request: id });
            assert_eq!(peer.answer(id).0, Err(Failure::Cancelled));
        }
        assert_eq!(peer.children(), 0);
        peer.ask(look_up("slow.example"));
        assert!(peer.call(Request::Facts).0.is_ok());
        let child = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", peer.broker.pid));
        let child = child.expect("its children").trim().to_owned();
        // It has the two files, its pipe and sockets, and no more.
        let open = || std::fs::read_dir(format!("/proc/{child}/fd")).map_or(0, |all| all.count());
        let start = Instant::now();
        // An ordinary user may not look into a process that hides its memory.
        while is_root() && !(1..=4).contains(&open()) {
            assert!(start.elapsed() < LONG, "{} descriptors of {child}", open());
        }
        // The broker's end is the children's, too.
        peer.finish();
        let start = Instant::now();
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        while !gone() {
            assert!(start.elapsed() < Duration::from_secs(10), "a child outlived the broker");
            std::thread::sleep(Duration::from_millis(5));
        }
    });
}

fn server() {
    apart("127.0.0.1 localhost\n192.0.2.80 www.example www\n", || {
        let server = Server::new();
        let mut peer = Peer::new(&wide(&[]));
        let entry = |name: &str, aliases: &[&str], addresses: &[[u8; 4]]| Reply::HostEntry {
            name: name.into(),
            aliases: aliases.iter().map(|alias| alias.as_bytes().to_vec()).collect(),
            addresses: addresses.iter().map(|address| (*address).into()).collect(),
        };
        assert_eq!(peer.call(look_up("WWW")).0, Ok(entry("www.example", &["www"], &[[192, 0, 2, 80]])));
        let id = peer.ask(look_up("two.example"));
        server.answer(2, 512);
        assert_eq!(peer.answer(id).0, Ok(entry("two.example", &[], &[[10, 0, 0, 0], [10, 0, 0, 1]])));
        let id = peer.ask(look_up("none.example"));
        server.answer(0, 512);
        assert!(matches!(peer.answer(id).0, Err(Failure::Resolve { code: -2, .. })));
        // Nobody but the name server is reached: the way out does not exist here.
        assert_eq!(peer.call(Request::OwnAddress).0, Err(Failure::NoInternet));
        peer.finish();
    });
}

fn thousand() {
    apart("", || {
        let server = Server::new();
        let mut peer = Peer::new(&wide(&[]));
        // Only by UDP: what fits into the datagram.
        let id = peer.ask(look_up("many.example"));
        server.answer(1000, 512);
        let Ok(Reply::HostEntry { addresses, .. }) = peer.answer(id).0 else { panic!("no entry") };
        assert_eq!(addresses.len(), 30);
        let id = peer.ask(look_up("many.example"));
        server.answer(1000, 4096);
        let Ok(Reply::HostEntry { addresses, .. }) = peer.answer(id).0 else { panic!("no entry") };
        assert_eq!(addresses.len(), MAXIMUM_ADDRESSES);
        // And by TCP: as many as an entry may have.
        let stream = TcpListener::bind("127.0.0.1:53").expect("bound");
        let id = peer.ask(look_up("many.example"));
        server.answer(1000, 512);
        let (mut stream, _) = stream.accept().expect("asked again");
        let mut head = [0u8; 2];
        stream.read_exact(&mut head).expect("a length");
        let mut asked = vec![0u8; usize::from(u16::from_be_bytes(head))];
        stream.read_exact(&mut asked).expect("a question");
        let whole = reply(&asked, 1000, usize::MAX);
        stream.write_all(&(whole.len() as u16).to_be_bytes()).expect("sent");
        // In pieces, as streams come.
        for piece in whole.chunks(1000) {
            stream.write_all(piece).expect("sent");
        }
        let Ok(Reply::HostEntry { addresses, .. }) = peer.answer(id).0 else { panic!("no entry") };
        assert_eq!(addresses.len(), MAXIMUM_ADDRESSES);
        peer.finish();
    });
}

fn dead() {
    apart("127.0.0.1 localhost\n", || {
        let _dead = Server::new();
        let mut peer = Peer::new(&wide(&[]));
        let start = Instant::now();
        let slow = peer.ask(look_up("slow.example"));
        // A connection's own time counts for its name, too.
        let connection = peer.ask(connect("slow.example", 80, None, Duration::from_millis(400)));
        assert!(peer.call(look_up("localhost")).0.is_ok());
        assert!(start.elapsed() < Duration::from_millis(390), "{:?}", start.elapsed());
        assert_eq!(peer.answer(connection).0, Err(Failure::TimedOut));
        assert!(matches!(peer.answer(slow).0, Err(Failure::Resolve { code: -3, .. })));
        // Two tries of two seconds each, as the configuration says.
        assert!(start.elapsed() >= Duration::from_secs(4) && start.elapsed() < Duration::from_secs(15));
        assert_eq!(peer.children(), 0);
        peer.finish();
    });
}

fn rebinding() {
    apart("", || {
        let server = Server::new();
        let mut peer = Peer::new(&format!("{HEAD}call sendmess arg 0 is 10.0.0.0 allow\n"));
        // The name's address is allowed when it is looked at, and that one is used.
        let id = peer.ask(Request::Locate { host: b"name.example".to_vec() });
        server.answer(1, 512);
        let Ok(Reply::Located { token, address, .. }) = peer.answer(id).0 else { panic!("not located") };
        assert_eq!(address, Ipv4Addr::new(10, 0, 0, 0));
        let send = Request::Send {
            host: Host::Located(token),
            port: 9,
            local: None,
            payload: b"x".to_vec(),
            written: vec![],
        };
        // Nobody is asked again: there is no way to 10.0.0.0 from here.
        let failure = peer.refused(send);
        assert!(matches!(failure, Failure::System { errno: libc::ENETUNREACH, .. }), "{failure:?}");
        // Of two addresses the first is decided on and used.
        let id = peer.ask(message("two.example", 9, b"x", None));
        server.answer(2, 512);
        assert!(matches!(peer.answer(id).0, Err(Failure::System { errno: libc::ENETUNREACH, .. })));
        peer.finish();
    });
}

fn own_address() {
    let mut peer = Peer::new(&wide(&[]));
    match peer.call(Request::OwnAddress).0 {
        Ok(Reply::Address(address)) => {
            assert!(!address.is_unspecified() && !address.is_loopback(), "{address}");
            std::net::UdpSocket::bind((address, 0)).expect("an address of this host");
        }
        // A machine without a way out.
        Err(Failure::NoInternet) => {}
        other => panic!("{other:?}"),
    }
    peer.finish();
}
