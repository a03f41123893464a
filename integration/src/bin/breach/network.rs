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

fn socket(family: i32, kind: i32, protocol: i32) -> Answer {
    call(SYS_socket, &[family as i64, kind as i64, protocol as i64])
}

fn opened(family: i32, kind: i32, protocol: i32) -> Outcome {
    match socket(family, kind, protocol) {
        // The family is not built into this kernel; the call reached the kernel's own judgement.
        Err(EAFNOSUPPORT | EPROTONOSUPPORT | ESOCKTNOSUPPORT | EINVAL) => {
            Outcome::Reached("the family is not in this kernel".into())
        }
        other => Outcome::of(other),
    }
}

fn tcp(_: &Given) -> Outcome {
    opened(AF_INET, SOCK_STREAM, 0)
}
fn tcp6(_: &Given) -> Outcome {
    opened(AF_INET6, SOCK_STREAM, 0)
}
fn udp(_: &Given) -> Outcome {
    opened(AF_INET, SOCK_DGRAM, 0)
}
fn udp6(_: &Given) -> Outcome {
    opened(AF_INET6, SOCK_DGRAM, 0)
}
fn udplite(_: &Given) -> Outcome {
    opened(AF_INET, SOCK_DGRAM, 136)
}
fn mptcp(_: &Given) -> Outcome {
    opened(AF_INET, SOCK_STREAM, 262)
}
fn sctp(_: &Given) -> Outcome {
    opened(AF_INET, SOCK_STREAM, 132)
}
fn ping(_: &Given) -> Outcome {
    match opened(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) {
        // The host's ping_group_range says who may; that is the kernel's own judgement.
        Outcome::Refused(EACCES) => Outcome::Reached("judged by group".into()),
        other => other,
    }
}
fn raw(_: &Given) -> Outcome {
    opened(AF_INET, SOCK_RAW, IPPROTO_ICMP)
}
fn packet(_: &Given) -> Outcome {
    opened(AF_PACKET, SOCK_RAW, 0x0300)
}
fn unix_stream(_: &Given) -> Outcome {
    opened(AF_UNIX, SOCK_STREAM, 0)
}
fn unix_datagram(_: &Given) -> Outcome {
    opened(AF_UNIX, SOCK_DGRAM, 0)
}
fn unix_pair(_: &Given) -> Outcome {
    let mut pair = [0i32; 2];
    Outcome::of(call(SYS_socketpair, &[AF_UNIX as i64, SOCK_STREAM as i64, 0, address_mut(&mut pair)]))
}
fn netlink_route(_: &Given) -> Outcome {
    opened(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)
}
fn netlink_audit(_: &Given) -> Outcome {
    opened(AF_NETLINK, SOCK_RAW, 9)
}
fn vsock(_: &Given) -> Outcome {
    opened(AF_VSOCK, SOCK_STREAM, 0)
}
fn bluetooth(_: &Given) -> Outcome {
    opened(AF_BLUETOOTH, SOCK_RAW, 1)
}
fn alg(_: &Given) -> Outcome {
    opened(38, SOCK_SEQPACKET, 0)
}
fn xdp(_: &Given) -> Outcome {
    opened(44, SOCK_RAW, 0)
}
fn can(_: &Given) -> Outcome {
    opened(AF_CAN, SOCK_RAW, 1)
}
fn tipc(_: &Given) -> Outcome {
    opened(AF_TIPC, SOCK_STREAM, 0)
}
fn rds(_: &Given) -> Outcome {
    opened(21, SOCK_SEQPACKET, 0)
}
fn key(_: &Given) -> Outcome {
    opened(15, SOCK_RAW, 2)
}

fn connect_tcp(given: &Given) -> Outcome {
    let to = loopback(given.number("tcp_port"));
    Outcome::of(socket(AF_INET, SOCK_STREAM, 0).and_then(|s| call(SYS_connect, &[s, address(&to), 16])))
}
fn bind_tcp(_: &Given) -> Outcome {
    let at = loopback(0);
    Outcome::of(socket(AF_INET, SOCK_STREAM, 0).and_then(|s| call(SYS_bind, &[s, address(&at), 16])))
}
fn listen_unbound(_: &Given) -> Outcome {
    Outcome::of(socket(AF_INET, SOCK_STREAM, 0).and_then(|s| call(SYS_listen, &[s, 1])))
}
fn bind_udp(_: &Given) -> Outcome {
    let at = loopback(0);
    Outcome::of(socket(AF_INET, SOCK_DGRAM, 0).and_then(|s| call(SYS_bind, &[s, address(&at), 16])))
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
fn channel_shutdown(_: &Given) -> Outcome {
    judged_by_argument(call(SYS_shutdown, &[3, 2]))
}
fn channel_peer(_: &Given) -> Outcome {
    let mut credentials = [0u32; 3];
    let mut length = 12u32;
    let arguments =
        [3, SOL_SOCKET as i64, SO_PEERCRED as i64, address_mut(&mut credentials), address_mut(&mut length)];
    judged_by_argument(call(SYS_getsockopt, &arguments))
}
/// Outside there is no channel at 3: any answer but a kill shows that the call works there.
fn judged_by_argument(answer: Answer) -> Outcome {
    match answer {
        Err(EBADF | ENOTSOCK) => Outcome::Reached("judged by its argument".into()),
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
        Err(EINVAL) => Outcome::Reached("judged by its argument".into()),
        other => Outcome::of(other),
    }
}
fn uname(_: &Given) -> Outcome {
    let mut buffer = [0u8; 512];
    Outcome::of(call(SYS_uname, &[address_mut(&mut buffer)]))
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
    "socketpair" unix_pair Twin::Outside;
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
    "channel-connect" channel_connect Twin::Outside;
    "channel-send-to" channel_send_to Twin::Outside;
    "channel-pass-descriptor" channel_pass_descriptor Twin::Outside;
    "channel-option" channel_option Twin::Outside;
    "channel-shutdown" channel_shutdown Twin::Outside;
    "channel-peer" channel_peer Twin::Outside;
    "unix-path" unix_connect Twin::Outside;
    "unix-abstract" abstract_connect Twin::Outside;
    "set-host-name" host_name Twin::OutsideAsRoot;
    "uname" uname Twin::Outside;
}
