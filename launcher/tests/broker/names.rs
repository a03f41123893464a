//! `gethostbyname_ex`, `getmyip`, and names as destinations. The servers'
//! behaviour is tested beside the resolver; here it is this host's own files.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use policies::channel::network::{Failure, Reply, Request};

use crate::peer::*;
use crate::Test;

pub const TESTS: &[Test] = &[
    ("names_of_the_hosts_file_are_found", hosts),
    ("texts_that_are_no_names_fail_at_once", no_names),
    ("names_are_held_to_the_rules", rules),
    ("many_names_at_once_are_all_answered", many),
    ("children_do_not_outlive_their_question", children),
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
    assert_eq!(children_of(&peer), 0);
    peer.finish();
}

fn children_of(peer: &Peer) -> usize {
    let pid = peer.broker.pid;
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().count()
}

fn children() {
    let mut peer = Peer::new(&wide(&[]));
    // Given up at once, whatever the child has come to.
    for _ in 0..20 {
        let id = peer.ask(look_up("no.such.name.invalid"));
        peer.ask(Request::Cancel { request: id });
        let _ = peer.answer(id);
    }
    // A reply to a later request shows that they have been dealt with.
    assert!(peer.call(Request::Facts).0.is_ok());
    assert_eq!(children_of(&peer), 0);
    peer.finish();
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
