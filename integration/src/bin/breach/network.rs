//! Ways to a network.

use crate::attempt::{Attempt, Given, Outcome, Twin};
use crate::sys::{address, address_mut, call, path, text, Answer};
use libc::*;

/// An IPv4 address as the kernel wants it: 127.0.0.1 and `port`.
fn loopback(port: i64) -> [u8; 16] {
    let mut address = [0u8; 16];
    address[0] = AF_INET as u8;
    address[2..4].copy_from_slice(&(port as u16).to_be_bytes());
    address[4..8].copy_from_slice(&[127, 0, 0, 1]);
    address
}

/// `SO_NETNS_COOKIE`: which network namespace a socket belongs to.
const NETWORK_COOKIE: i64 = 71;

/// The cookie of a socket's network namespace; nothing where the kernel (before 5.14) or
/// the kind of socket has none.
pub fn network_of(socket: i64) -> Option<u64> {
    let (mut cookie, mut length) = (0u64, 8u32);
    let arguments =
        [socket, SOL_SOCKET as i64, NETWORK_COOKIE, address_mut(&mut cookie), address_mut(&mut length)];
    call(SYS_getsockopt, &arguments).ok().map(|_| cookie)
}

/// Whether a socket belongs to the network that the test prepared, and not to an empty one.
fn of_the_host(given: &Given, socket: i64) -> bool {
    let host = given.text("network").parse().unwrap_or(0);
    network_of(socket).is_none_or(|own| host == 0 || own == host)
}

/// A socket that was made, bound or listens is an effect if it is one of the host's network.
fn outside_socket(given: &Given, answer: Answer) -> Outcome {
    match answer {
        Ok(socket) if of_the_host(given, socket) => Outcome::Reached(format!("returned {socket}")),
        Ok(_) => Outcome::Refused(0),
        Err(number) => Outcome::Refused(number),
    }
}

/// Prints the cookie of this program's own network, for the test.
pub fn own_network() -> u64 {
    socket(AF_INET, SOCK_DGRAM, 0).ok().and_then(network_of).unwrap_or(0)
}

fn socket(family: i32, kind: i32, protocol: i32) -> Answer {
    call(SYS_socket, &[family as i64, kind as i64, protocol as i64])
}

pub fn opened(given: &Given, family: i32, kind: i32, protocol: i32) -> Outcome {
    match socket(family, kind, protocol) {
        // The family is not built into this kernel; the call reached the kernel's own judgement.
        Err(EAFNOSUPPORT | EPROTONOSUPPORT | ESOCKTNOSUPPORT | EINVAL) => {
            Outcome::Reached("absent: the family is not in this kernel".into())
        }
        other => outside_socket(given, other),
    }
}

fn tcp(given: &Given) -> Outcome {
    opened(given, AF_INET, SOCK_STREAM, 0)
}
fn tcp6(given: &Given) -> Outcome {
    opened(given, AF_INET6, SOCK_STREAM, 0)
}
fn udp(given: &Given) -> Outcome {
    opened(given, AF_INET, SOCK_DGRAM, 0)
}
fn udp6(given: &Given) -> Outcome {
    opened(given, AF_INET6, SOCK_DGRAM, 0)
}
fn udplite(given: &Given) -> Outcome {
    opened(given, AF_INET, SOCK_DGRAM, 136)
}
fn mptcp(given: &Given) -> Outcome {
    opened(given, AF_INET, SOCK_STREAM, 262)
}
fn sctp(given: &Given) -> Outcome {
    opened(given, AF_INET, SOCK_STREAM, 132)
}
fn ping(given: &Given) -> Outcome {
    match opened(given, AF_INET, SOCK_DGRAM, IPPROTO_ICMP) {
        // The host's ping_group_range says who may; that is the kernel's own judgement.
        Outcome::Refused(EACCES) => Outcome::judged(EACCES),
        other => other,
    }
}
fn raw(given: &Given) -> Outcome {
    opened(given, AF_INET, SOCK_RAW, IPPROTO_ICMP)
}
fn packet(given: &Given) -> Outcome {
    opened(given, AF_PACKET, SOCK_RAW, 0x0300)
}
fn unix_stream(given: &Given) -> Outcome {
    opened(given, AF_UNIX, SOCK_STREAM, 0)
}
fn unix_datagram(given: &Given) -> Outcome {
    opened(given, AF_UNIX, SOCK_DGRAM, 0)
}
fn netlink_route(given: &Given) -> Outcome {
    opened(given, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)
}
fn netlink_audit(given: &Given) -> Outcome {
    opened(given, AF_NETLINK, SOCK_RAW, 9)
}
fn vsock(given: &Given) -> Outcome {
    opened(given, AF_VSOCK, SOCK_STREAM, 0)
}
fn bluetooth(given: &Given) -> Outcome {
    opened(given, AF_BLUETOOTH, SOCK_RAW, 1)
}
fn alg(given: &Given) -> Outcome {
    opened(given, 38, SOCK_SEQPACKET, 0)
}
fn xdp(given: &Given) -> Outcome {
    opened(given, 44, SOCK_RAW, 0)
}
fn can(given: &Given) -> Outcome {
    opened(given, AF_CAN, SOCK_RAW, 1)
}
fn tipc(given: &Given) -> Outcome {
    opened(given, AF_TIPC, SOCK_STREAM, 0)
}
fn rds(given: &Given) -> Outcome {
    opened(given, 21, SOCK_SEQPACKET, 0)
}
fn key(given: &Given) -> Outcome {
    opened(given, 15, SOCK_RAW, 2)
}

fn connect_tcp(given: &Given) -> Outcome {
    let to = loopback(given.number("tcp_port"));
    Outcome::of(socket(AF_INET, SOCK_STREAM, 0).and_then(|s| call(SYS_connect, &[s, address(&to), 16])))
}
fn bound(given: &Given, kind: i32, protocol: i32, port: i64) -> Outcome {
    let at = loopback(port);
    let made = socket(AF_INET, kind, protocol);
    outside_socket(given, made.and_then(|s| call(SYS_bind, &[s, address(&at), 16]).map(|_| s)))
}
fn listening(given: &Given, family: i32, protocol: i32) -> Outcome {
    let made = socket(family, SOCK_STREAM, protocol);
    outside_socket(given, made.and_then(|s| call(SYS_listen, &[s, 1]).map(|_| s)))
}
fn bind_tcp(given: &Given) -> Outcome {
    bound(given, SOCK_STREAM, 0, 0)
}
fn listen_unbound(given: &Given) -> Outcome {
    listening(given, AF_INET, 0)
}
fn bind_udp(given: &Given) -> Outcome {
    bound(given, SOCK_DGRAM, 0, 0)
}
fn bind_mptcp(given: &Given) -> Outcome {
    bound(given, SOCK_STREAM, 262, 0)
}
fn bind_low(given: &Given) -> Outcome {
    bound(given, SOCK_DGRAM, 0, 1)
}
fn listen_mptcp(given: &Given) -> Outcome {
    listening(given, AF_INET, 262)
}
fn listen6_unbound(given: &Given) -> Outcome {
    listening(given, AF_INET6, 0)
}
fn connect_mptcp(given: &Given) -> Outcome {
    let to = loopback(given.number("tcp_port"));
    Outcome::of(socket(AF_INET, SOCK_STREAM, 262).and_then(|s| call(SYS_connect, &[s, address(&to), 16])))
}
/// `::ffff:127.0.0.1` and a port: the IPv4 listener by way of IPv6.
fn mapped(port: i64) -> [u8; 28] {
    let mut address = [0u8; 28];
    address[0] = AF_INET6 as u8;
    address[2..4].copy_from_slice(&(port as u16).to_be_bytes());
    address[18..24].copy_from_slice(&[0xff, 0xff, 127, 0, 0, 1]);
    address
}
fn connect_mapped(given: &Given) -> Outcome {
    let to = mapped(given.number("tcp_port"));
    Outcome::of(socket(AF_INET6, SOCK_STREAM, 0).and_then(|s| call(SYS_connect, &[s, address(&to), 28])))
}
fn send_mapped(given: &Given) -> Outcome {
    let to = mapped(given.number("udp_port"));
    let sent = socket(AF_INET6, SOCK_DGRAM, 0)
        .and_then(|s| call(SYS_sendto, &[s, address(b"breach"), 6, 0, address(&to), 28]));
    Outcome::of(sent)
}
fn connected_udp(given: &Given) -> Outcome {
    let to = loopback(given.number("udp_port"));
    let sent = socket(AF_INET, SOCK_DGRAM, 0).and_then(|s| {
        call(SYS_connect, &[s, address(&to), 16])?;
        call(SYS_write, &[s, address(b"breach"), 6])
    });
    Outcome::of(sent)
}
/// TCP_FASTOPEN_CONNECT: the first write connects.
fn fast_open_option(given: &Given) -> Outcome {
    let to = loopback(given.number("tcp_port"));
    let on = 1i32;
    let sent = socket(AF_INET, SOCK_STREAM, 0).and_then(|s| {
        call(SYS_setsockopt, &[s, IPPROTO_TCP as i64, 30, address(&on), 4])?;
        call(SYS_connect, &[s, address(&to), 16])?;
        call(SYS_write, &[s, address(b"breach"), 6])
    });
    Outcome::of(sent)
}
fn fast_open_sendmmsg(given: &Given) -> Outcome {
    let to = loopback(given.number("tcp_port"));
    let buffer = [address(b"breach") as u64, 6];
    let header = message(&to, &buffer);
    let vector: [u64; 8] = [header[0], header[1], header[2], header[3], header[4], header[5], header[6], 0];
    let sent = socket(AF_INET, SOCK_STREAM, 0)
        .and_then(|s| call(SYS_sendmmsg, &[s, address(&vector), 1, MSG_FASTOPEN as i64]));
    Outcome::of(sent)
}
fn fast_open_mptcp(given: &Given) -> Outcome {
    let to = loopback(given.number("tcp_port"));
    let sent = socket(AF_INET, SOCK_STREAM, 262)
        .and_then(|s| call(SYS_sendto, &[s, address(b"breach"), 6, MSG_FASTOPEN as i64, address(&to), 16]));
    Outcome::of(sent)
}
/// The channel's own descriptor as a carrier of a datagram to an address (fast open on it
/// and the address that only `sendmess` everywhere may have, dirty upper bits too).
fn channel_fast_open(given: &Given) -> Outcome {
    let to = loopback(given.number("tcp_port"));
    let flags = MSG_FASTOPEN as i64 | 0x7ead_0000_0000_0000;
    match call(SYS_sendto, &[3, address(b"breach"), 6, flags, address(&to), 16]) {
        Ok(_) => Outcome::Refused(0),
        other => judged_by_argument(other),
    }
}
fn interface_by_ioctl(_: &Given) -> Outcome {
    // SIOCGIFCONF: the addresses of this network.
    let mut list = [0u8; 1024];
    let mut request: [u64; 2] = [1024, address_mut(&mut list) as u64];
    let asked =
        socket(AF_INET, SOCK_DGRAM, 0).and_then(|s| call(SYS_ioctl, &[s, 0x8912, address_mut(&mut request)]));
    Outcome::when(asked, |_| (request[0] as u32) > 0)
}
fn pair_passes_descriptor(given: &Given) -> Outcome {
    // SCM_RIGHTS with itself: a number for the pinned descriptor that no call names.
    let mut pair = [0i32; 2];
    let made = call(SYS_socketpair, &[AF_UNIX as i64, SOCK_STREAM as i64, 0, address_mut(&mut pair)]);
    let mut last = 0;
    let filled = made.and_then(|_| loop {
        let mut in_buffer = 0u8;
        let out = [address(b"x") as u64, 1];
        let back = [address_mut(&mut in_buffer) as u64, 1];
        let control: [u64; 3] = [20, (1u64 << 32) | SOL_SOCKET as u64, 4];
        let mut received = [0u64; 3];
        let header: [u64; 7] = [0, 0, address(&out) as u64, 1, address(&control) as u64, 24, 0];
        let mut answer: [u64; 7] = [0, 0, address(&back) as u64, 1, address_mut(&mut received) as u64, 24, 0];
        call(SYS_sendmsg, &[i64::from(pair[0]), address(&header), 0])?;
        call(SYS_recvmsg, &[i64::from(pair[1]), address_mut(&mut answer), 0])?;
        let got = received[2] as i64 & 0xffff_ffff;
        if received[0] < 20 || got <= last {
            break Err(EMFILE);
        }
        last = got;
        if got >= given.number("exec_fd") {
            break Ok(got);
        }
    });
    Outcome::of(filled)
}
fn send_udp(given: &Given) -> Outcome {
    let to = loopback(given.number("udp_port"));
    let sent = socket(AF_INET, SOCK_DGRAM, 0)
        .and_then(|s| call(SYS_sendto, &[s, address(b"breach"), 6, 0, address(&to), 16]));
    Outcome::of(sent)
}
/// struct msghdr with one buffer and an address.
fn message(to: &[u8; 16], buffer: &[u64; 2]) -> [u64; 7] {
    [address(to) as u64, 16, address(buffer) as u64, 1, 0, 0, 0]
}
fn send_message_udp(given: &Given) -> Outcome {
    let to = loopback(given.number("udp_port"));
    let buffer = [address(b"breach") as u64, 6];
    let header = message(&to, &buffer);
    Outcome::of(socket(AF_INET, SOCK_DGRAM, 0).and_then(|s| call(SYS_sendmsg, &[s, address(&header), 0])))
}
fn send_messages_udp(given: &Given) -> Outcome {
    let to = loopback(given.number("udp_port"));
    let buffer = [address(b"breach") as u64, 6];
    let header = message(&to, &buffer);
    let vector: [u64; 8] = [header[0], header[1], header[2], header[3], header[4], header[5], header[6], 0];
    Outcome::of(socket(AF_INET, SOCK_DGRAM, 0).and_then(|s| call(SYS_sendmmsg, &[s, address(&vector), 1, 0])))
}
fn fast_open_sendto(given: &Given) -> Outcome {
    let to = loopback(given.number("tcp_port"));
    let sent = socket(AF_INET, SOCK_STREAM, 0)
        .and_then(|s| call(SYS_sendto, &[s, address(b"breach"), 6, MSG_FASTOPEN as i64, address(&to), 16]));
    Outcome::of(sent)
}
fn fast_open_sendmsg(given: &Given) -> Outcome {
    let to = loopback(given.number("tcp_port"));
    let buffer = [address(b"breach") as u64, 6];
    let header = message(&to, &buffer);
    let sent = socket(AF_INET, SOCK_STREAM, 0)
        .and_then(|s| call(SYS_sendmsg, &[s, address(&header), MSG_FASTOPEN as i64]));
    Outcome::of(sent)
}
/// Channel descriptors are sockets the sandbox holds: none may be turned into a way out.
fn channel_connect(given: &Given) -> Outcome {
    let to = loopback(given.number("tcp_port"));
    judged_by_argument(call(SYS_connect, &[3, address(&to), 16]))
}
fn channel_send_to(given: &Given) -> Outcome {
    let to = loopback(given.number("udp_port"));
    match call(SYS_sendto, &[3, address(b"breach"), 6, 0, address(&to), 16]) {
        // The bytes went where everything on this descriptor goes, to the supervisor; whether a
        // datagram arrived at the address is looked at outside.
        Ok(_) => Outcome::Refused(0),
        other => judged_by_argument(other),
    }
}
fn channel_pass_descriptor(_: &Given) -> Outcome {
    // SCM_RIGHTS with descriptor 0, to the supervisor.
    let buffer = [address(b"breach") as u64, 6];
    let control: [u64; 3] = [20, (1u64 << 32) | SOL_SOCKET as u64, 0];
    let header: [u64; 7] = [0, 0, address(&buffer) as u64, 1, address(&control) as u64, 24, 0];
    judged_by_argument(call(SYS_sendmsg, &[3, address(&header), 0]))
}
fn channel_option(_: &Given) -> Outcome {
    let size = 4096i32;
    judged_by_argument(call(SYS_setsockopt, &[3, SOL_SOCKET as i64, SO_SNDBUF as i64, address(&size), 4]))
}
/// The process number of the supervisor: inside, the kernel says 0.
fn channel_peer(_: &Given) -> Outcome {
    let mut credentials = [0u32; 3];
    let mut length = 12u32;
    let arguments =
        [3, SOL_SOCKET as i64, SO_PEERCRED as i64, address_mut(&mut credentials), address_mut(&mut length)];
    match judged_by_argument(call(SYS_getsockopt, &arguments)) {
        Outcome::Reached(_) if credentials == [0, 65534, 65534] => Outcome::Refused(0),
        other => other,
    }
}
/// Outside there is no channel at 3: any answer but a kill shows that the call works there.
fn judged_by_argument(answer: Answer) -> Outcome {
    match answer {
        Err(number @ (EBADF | ENOTSOCK)) => Outcome::judged(number),
        other => Outcome::of(other),
    }
}
fn unix_connect(given: &Given) -> Outcome {
    let mut to = [0u8; 110];
    to[0] = AF_UNIX as u8;
    let name = given.text("unix").as_bytes();
    if name.len() > 100 {
        return Outcome::Refused(ENAMETOOLONG);
    }
    to[2..2 + name.len()].copy_from_slice(name);
    let length = (2 + name.len() + 1) as i64;
    Outcome::of(socket(AF_UNIX, SOCK_STREAM, 0).and_then(|s| call(SYS_connect, &[s, address(&to), length])))
}
fn abstract_connect(given: &Given) -> Outcome {
    let mut to = [0u8; 110];
    to[0] = AF_UNIX as u8;
    let name = given.text("abstract").as_bytes();
    to[3..3 + name.len()].copy_from_slice(name);
    let length = (3 + name.len()) as i64;
    Outcome::of(socket(AF_UNIX, SOCK_STREAM, 0).and_then(|s| call(SYS_connect, &[s, address(&to), length])))
}
fn host_name(_: &Given) -> Outcome {
    let name = path("breach");
    match call(SYS_sethostname, &[text(&name), 0x7fff_ffff]) {
        Err(EINVAL) => Outcome::judged(EINVAL),
        other => Outcome::of(other),
    }
}
/// The host's name, the second of the six texts.
fn uname(given: &Given) -> Outcome {
    let mut buffer = [0u8; 512];
    let asked = call(SYS_uname, &[address_mut(&mut buffer)]);
    let name: Vec<u8> = buffer[65..130].iter().copied().take_while(|byte| *byte != 0).collect();
    Outcome::when(asked, |_| name == given.text("hostname").as_bytes())
}

macro_rules! attempts {
    ($($name:literal $function:ident $twin:expr;)*) => {
        /// The attempts of this class.
        pub const ATTEMPTS: &[Attempt] =
            &[$(Attempt { name: $name, class: "network", run: $function, twin: $twin }),*];
    };
}

attempts! {
    "socket-tcp" tcp Twin::Outside;
    "socket-tcp6" tcp6 Twin::Outside;
    "socket-udp" udp Twin::Outside;
    "socket-udp6" udp6 Twin::Outside;
    "socket-udplite" udplite Twin::Outside;
    "socket-mptcp" mptcp Twin::Outside;
    "socket-sctp" sctp Twin::Outside;
    "socket-ping" ping Twin::Outside;
    "socket-raw" raw Twin::OutsideAsRoot;
    "socket-packet" packet Twin::OutsideAsRoot;
    "socket-unix" unix_stream Twin::Outside;
    "socket-unix-datagram" unix_datagram Twin::Outside;
    "socket-netlink" netlink_route Twin::Outside;
    "socket-netlink-audit" netlink_audit Twin::Outside;
    "socket-vsock" vsock Twin::Outside;
    "socket-bluetooth" bluetooth Twin::Outside;
    "socket-alg" alg Twin::Outside;
    "socket-xdp" xdp Twin::OutsideAsRoot;
    "socket-can" can Twin::Outside;
    "socket-tipc" tipc Twin::Outside;
    "socket-rds" rds Twin::Outside;
    "socket-key" key Twin::OutsideAsRoot;
    "connect-tcp" connect_tcp Twin::Outside;
    "bind-tcp" bind_tcp Twin::Outside;
    "listen-unbound" listen_unbound Twin::Outside;
    "bind-udp" bind_udp Twin::Outside;
    "send-udp" send_udp Twin::Outside;
    "sendmsg-udp" send_message_udp Twin::Outside;
    "sendmmsg-udp" send_messages_udp Twin::Outside;
    "fast-open-sendto" fast_open_sendto Twin::Outside;
    "fast-open-sendmsg" fast_open_sendmsg Twin::Outside;
    "bind-mptcp" bind_mptcp Twin::Outside;
    "bind-low-udp" bind_low Twin::OutsideAsRoot;
    "listen-mptcp" listen_mptcp Twin::Outside;
    "listen6-unbound" listen6_unbound Twin::Outside;
    "connect-mptcp" connect_mptcp Twin::Outside;
    "connect-mapped" connect_mapped Twin::Outside;
    "send-mapped" send_mapped Twin::Outside;
    "connected-udp" connected_udp Twin::Outside;
    "fast-open-option" fast_open_option Twin::Outside;
    "fast-open-sendmmsg" fast_open_sendmmsg Twin::Outside;
    "fast-open-mptcp" fast_open_mptcp Twin::Outside;
    "channel-fast-open" channel_fast_open Twin::Outside;
    "interfaces-by-ioctl" interface_by_ioctl Twin::Outside;
    "refill-pinned-message" pair_passes_descriptor Twin::Outside;
    "channel-connect" channel_connect Twin::Outside;
    "channel-send-to" channel_send_to Twin::Outside;
    "channel-pass-descriptor" channel_pass_descriptor Twin::Outside;
    "channel-option" channel_option Twin::Outside;
    "channel-peer" channel_peer Twin::Outside;
    "unix-path" unix_connect Twin::Outside;
    "unix-abstract" abstract_connect Twin::Outside;
    "set-host-name" host_name Twin::OutsideAsRoot;
    "uname" uname Twin::Outside;
}
