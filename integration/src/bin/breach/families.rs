//! Every family of sockets, and every protocol of netlink: each a door of its own.

use crate::attempt::{Attempt, Given, Outcome, Twin};
use crate::network::opened;
use libc::*;

/// A socket of the family in whatever kind it comes.
fn any(given: &Given, family: i32) -> Outcome {
    let mut last = Outcome::Refused(EAFNOSUPPORT);
    for kind in [SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW] {
        last = opened(given, family, kind, 0);
        match &last {
            Outcome::Reached(text) if text.starts_with("absent") => {}
            Outcome::Reached(_) => return last,
            Outcome::Refused(_) => {}
        }
    }
    match last {
        // No kind fits, or only root may: what this kernel has not nobody can open.
        Outcome::Refused(EPERM | EACCES) => Outcome::Refused(EPERM),
        Outcome::Refused(0) => Outcome::Refused(0),
        _ => Outcome::Reached("absent: the family is not in this kernel".into()),
    }
}

fn netlink(given: &Given, protocol: i32) -> Outcome {
    opened(given, AF_NETLINK, SOCK_RAW, protocol)
}

macro_rules! attempts {
    ($($name:literal $run:expr, $twin:expr;)*) => {
        /// The attempts of this class.
        pub const ATTEMPTS: &[Attempt] =
            &[$(Attempt { name: $name, class: "families", run: $run, twin: $twin }),*];
    };
}

attempts! {
    "family-ax25" |g| any(g, 3), Twin::OutsideAsRoot;
    "family-ipx" |g| any(g, 4), Twin::OutsideAsRoot;
    "family-appletalk" |g| any(g, 5), Twin::OutsideAsRoot;
    "family-netrom" |g| any(g, 6), Twin::OutsideAsRoot;
    "family-bridge" |g| any(g, 7), Twin::OutsideAsRoot;
    "family-atm-pvc" |g| any(g, 8), Twin::OutsideAsRoot;
    "family-x25" |g| any(g, 9), Twin::OutsideAsRoot;
    "family-rose" |g| any(g, 11), Twin::OutsideAsRoot;
    "family-decnet" |g| any(g, 12), Twin::OutsideAsRoot;
    "family-netbeui" |g| any(g, 13), Twin::OutsideAsRoot;
    "family-packet-datagram" |g| opened(g, AF_PACKET, SOCK_DGRAM, 0x0300), Twin::OutsideAsRoot;
    "family-atm-svc" |g| any(g, 20), Twin::OutsideAsRoot;
    "family-irda" |g| any(g, 23), Twin::OutsideAsRoot;
    "family-pppox" |g| any(g, 24), Twin::OutsideAsRoot;
    "family-llc" |g| any(g, 26), Twin::OutsideAsRoot;
    "family-ib" |g| any(g, 27), Twin::OutsideAsRoot;
    "family-mpls" |g| any(g, 28), Twin::OutsideAsRoot;
    "family-rxrpc" |g| any(g, 33), Twin::OutsideAsRoot;
    "family-isdn" |g| any(g, 34), Twin::OutsideAsRoot;
    "family-phonet" |g| any(g, 35), Twin::OutsideAsRoot;
    "family-ieee802154" |g| any(g, 36), Twin::OutsideAsRoot;
    "family-caif" |g| any(g, 37), Twin::OutsideAsRoot;
    "family-nfc" |g| any(g, 39), Twin::OutsideAsRoot;
    "family-kcm" |g| any(g, 41), Twin::OutsideAsRoot;
    "family-qipcrtr" |g| any(g, 42), Twin::OutsideAsRoot;
    "family-smc" |g| any(g, 43), Twin::OutsideAsRoot;
    "family-mctp" |g| any(g, 45), Twin::OutsideAsRoot;
    "raw6" |g| opened(g, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), Twin::OutsideAsRoot;
    "raw-ip" |g| opened(g, AF_INET, SOCK_RAW, IPPROTO_RAW), Twin::OutsideAsRoot;
    "dccp" |g| opened(g, AF_INET, 6, 33), Twin::OutsideAsRoot;
    "l2tp" |g| opened(g, AF_INET, SOCK_DGRAM, 115), Twin::OutsideAsRoot;
    "netlink-user" |g| netlink(g, 2), Twin::Outside;
    "netlink-socket-list" |g| netlink(g, 4), Twin::Outside;
    "netlink-transform" |g| netlink(g, 6), Twin::Outside;
    "netlink-connector" |g| netlink(g, 11), Twin::Outside;
    "netlink-filter" |g| netlink(g, 12), Twin::Outside;
    "netlink-devices" |g| netlink(g, 15), Twin::Outside;
    "netlink-generic" |g| netlink(g, 16), Twin::Outside;
    "netlink-crypto" |g| netlink(g, 21), Twin::Outside;
}
