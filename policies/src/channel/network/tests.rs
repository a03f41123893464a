use std::borrow::Cow;

use super::*;
use crate::wire::VERSION;
use crate::Argument;
use proptest::prelude::*;

fn bytes(maximum: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..maximum)
}

fn addresses() -> impl Strategy<Value = Ipv4Addr> {
    any::<u32>().prop_map(Ipv4Addr::from)
}

fn hosts() -> impl Strategy<Value = Host> {
    prop_oneof![bytes(40).prop_map(Host::Written), any::<u32>().prop_map(Host::Located)]
}

fn locals() -> impl Strategy<Value = Local> {
    (bytes(20), any::<u16>()).prop_map(|(text, port)| Local { text, port })
}

fn written() -> impl Strategy<Value = Vec<Written>> {
    let one = prop_oneof![Just(Written::Absent), Just(Written::Field), bytes(20).prop_map(Written::Text)];
    proptest::collection::vec(one, 0..=MAXIMUM_ARGUMENTS)
}

fn requests() -> impl Strategy<Value = Request> {
    let own = || proptest::option::of(locals());
    prop_oneof![
        Just(Request::Facts),
        Just(Request::OwnAddress),
        (locals(), written()).prop_map(|(local, written)| Request::Listen { local, written }),
        (locals(), written()).prop_map(|(local, written)| Request::Receive { local, written }),
        (hosts(), 1u16.., own(), bytes(60), written()).prop_map(|(host, port, local, payload, written)| {
            Request::Send { host, port, local, payload, written }
        }),
        (proptest::option::of((hosts(), 1u16..)), own(), written())
            .prop_map(|(host, local, written)| Request::Sender { host, local, written }),
        (hosts(), 1u16.., own(), any::<u64>(), written()).prop_map(
            |(host, port, local, timeout_ns, written)| Request::Connect {
                host,
                port,
                local,
                timeout_ns,
                written
            }
        ),
        bytes(40).prop_map(|host| Request::Locate { host }),
        bytes(40).prop_map(|name| Request::Lookup { name }),
        any::<u32>().prop_map(|socket| Request::Close { socket }),
        any::<u32>().prop_map(|request| Request::Cancel { request }),
    ]
}

fn ends() -> impl Strategy<Value = (Ipv4Addr, u16)> {
    (addresses(), any::<u16>())
}

fn replies() -> impl Strategy<Value = Reply> {
    prop_oneof![
        (proptest::collection::vec((addresses(), 0u8..=32), 0..4), any::<bool>())
            .prop_map(|(loopback, free_datagrams)| Reply::Facts { loopback, free_datagrams }),
        (any::<u32>(), ends(), proptest::option::of(ends()), any::<bool>())
            .prop_map(|(socket, local, peer, loopback)| Reply::Socket { socket, local, peer, loopback }),
        (any::<u32>(), any::<bool>()).prop_map(|(bytes, loopback)| Reply::Sent { bytes, loopback }),
        (any::<u32>(), addresses(), any::<bool>()).prop_map(|(token, address, loopback)| Reply::Located {
            token,
            address,
            loopback
        }),
        (bytes(40), proptest::collection::vec(bytes(20), 0..4), proptest::collection::vec(addresses(), 0..4))
            .prop_map(|(name, aliases, addresses)| Reply::HostEntry { name, aliases, addresses }),
        addresses().prop_map(Reply::Address),
        any::<bool>().prop_map(|known| Reply::Closed { known }),
    ]
}

fn failures() -> impl Strategy<Value = Failure> {
    let ports = prop_oneof![Just(Resource::MessPort), Just(Resource::ConnPort)];
    prop_oneof![
        (any::<i32>(), ".{0,30}").prop_map(|(errno, text)| Failure::System { errno, text }),
        (any::<i32>(), ".{0,30}").prop_map(|(code, text)| Failure::Resolve { code, text }),
        (proptest::option::of(addresses()), proptest::option::of(addresses()))
            .prop_map(|(destination, local)| Failure::Refused { destination, local }),
        (ports, any::<u16>()).prop_map(|(resource, port)| Failure::PortNotGranted { resource, port }),
        ".{0,30}".prop_map(|text| Failure::AddressNotAllowed { text }),
        any::<u32>().prop_map(Failure::InUseHere),
        Just(Failure::TooMany(Resource::OutSockets)),
        Just(Failure::TimedOut),
        Just(Failure::CleanupTimedOut),
        Just(Failure::InUseElsewhere),
        Just(Failure::NoInternet),
        Just(Failure::Forgotten),
        Just(Failure::Cancelled),
        Just(Failure::Busy),
    ]
}

proptest! {
    #[test]
    fn decode_undoes_encode(
        id in any::<u32>(),
        request in requests(),
        result in prop_oneof![replies().prop_map(Ok), failures().prop_map(Err)],
    ) {
        let asked = RequestFrame { id, request };
        prop_assert_eq!(RequestFrame::decode(&asked.encode().unwrap()).unwrap(), asked);
        let answered = ReplyFrame { id, result };
        prop_assert_eq!(ReplyFrame::decode(&answered.encode().unwrap()).unwrap(), answered);
    }

    #[test]
    fn what_decodes_has_one_form(mut packet in bytes(90), tag in prop_oneof![0u8..12, 0x80u8..0x90]) {
        if packet.len() > 1 {
            packet[0] = VERSION;
            packet[1] = tag;
        }
        if let Ok(asked) = RequestFrame::decode(&packet) {
            prop_assert_eq!(asked.encode().unwrap(), packet.clone());
        }
        if let Ok(answered) = ReplyFrame::decode(&packet) {
            prop_assert_eq!(answered.encode().unwrap(), packet);
        }
    }

    #[test]
    fn a_cut_or_changed_frame_does_not_panic(
        request in requests(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let mut packet = RequestFrame { id: 7, request }.encode().unwrap();
        let at = at.index(packet.len());
        prop_assert!(RequestFrame::decode(&packet[..at]).is_err());
        packet[at] = value;
        let _ = RequestFrame::decode(&packet);
    }

    #[test]
    fn no_claim_hides_what_the_act_uses(request in requests(), address in addresses(), own in addresses()) {
        let shown = request.arguments(Some((b"the.host", address)), Some(own));
        let parameters = request.call().map_or(&[][..], |call| call.facts().parameters);
        let (port, local) = match &request {
            Request::Send { port, local, .. } | Request::Connect { port, local, .. } => (Some(*port), local.clone()),
            Request::Sender { host, local, .. } => (host.as_ref().map(|(_, port)| *port), local.clone()),
            Request::Listen { local, .. } | Request::Receive { local, .. } => (None, Some(local.clone())),
            _ => return Ok(()),
        };
        for (position, parameter) in parameters.iter().enumerate() {
            let shown = shown.get(position);
            match (*parameter, &local) {
                ("localip", Some(local)) => prop_assert_eq!(
                    shown,
                    Some(&Argument::Host { text: Cow::Borrowed(&local.text[..]), address: own })
                ),
                ("localport", Some(local)) => prop_assert_eq!(
                    shown,
                    Some(&Argument::Text(Cow::Owned(local.port.to_string().into_bytes())))
                ),
                ("destport", _) => {
                    if let Some(port) = port {
                        let text = port.to_string().into_bytes();
                        prop_assert_eq!(shown, Some(&Argument::Text(Cow::Owned(text))));
                    }
                }
                ("desthost", _) => prop_assert_eq!(
                    shown,
                    Some(&Argument::Host { text: Cow::Borrowed(b"the.host"), address })
                ),
                _ => {}
            }
        }
    }
}

#[test]
fn the_largest_datagram_fits_and_one_byte_more_does_not() {
    let send = |length| RequestFrame {
        id: 1,
        request: Request::Send {
            host: Host::Written(vec![b'h'; MAXIMUM_HOST]),
            port: 9,
            local: Some(Local { text: vec![b'1'; MAXIMUM_HOST], port: 1 }),
            payload: vec![0; length],
            written: vec![Written::Text(vec![b'x'; MAXIMUM_WRITTEN]); 5],
        },
    };
    let bytes = send(MAXIMUM_PAYLOAD).encode().unwrap();
    assert!(bytes.len() <= MAXIMUM_FRAME, "{}", bytes.len());
    assert!(send(MAXIMUM_PAYLOAD + 1).encode().is_err());
}

#[test]
fn failures_read_as_in_the_original() {
    let text = |failure: Failure| failure.exception().unwrap().2;
    assert_eq!(
        text(Failure::PortNotGranted { resource: Resource::MessPort, port: 22222 }),
        "Resource 'messport 22222' not allowed!!!"
    );
    assert_eq!(text(Failure::AddressNotAllowed { text: "10.0.0.1".into() }), "IP '10.0.0.1' is not allowed.");
    assert_eq!(text(Failure::TooMany(Resource::OutSockets)), "Resource 'outsockets' limit exceeded!!");
    assert_eq!(
        Failure::System { errno: 111, text: "Connection refused".into() }.exception(),
        Some((ExceptionClass::SocketError, 111, "Connection refused".into()))
    );
    assert_eq!(Failure::Refused { destination: None, local: None }.exception(), None);
}

#[test]
fn unused_own_ends_show_only_as_any() {
    let request = |written| Request::Connect {
        host: Host::Written(b"h".to_vec()),
        port: 80,
        local: None,
        timeout_ns: 1,
        written,
    };
    let text = |text: &'static [u8]| Argument::Text(Cow::Borrowed(text));
    let asked = request(vec![
        Written::Field,
        Written::Field,
        Written::Text(b"10.9.9.9".to_vec()),
        Written::Text(b"0".to_vec()),
        Written::Text(b"2.5".to_vec()),
    ]);
    let shown = asked.arguments(Some((b"h", Ipv4Addr::LOCALHOST)), None);
    assert_eq!(shown[1], text(b"80"));
    assert_eq!(shown[2..], [text(b"None"), text(b"0"), text(b"2.5")]);
}
