//! What the kernel itself tells of addresses and connections, by netlink.
//! Two sockets, opened before the broker confines itself: it can read with
//! them, and make no others.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{recv, send, socket, AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType};

/// Index of the loopback interface, the same in every network namespace
/// (`LOOPBACK_IFINDEX` of `net/flow.h`).
const LOOPBACK: u32 = 1;
/// Most addresses that are kept.
const MOST: usize = 4096;
/// Longest message of one dump that is read, in bytes.
const BUFFER: usize = 32 * 1024;

// linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h, linux/sock_diag.h
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const IFA_BROADCAST: u16 = 4;

/// An IPv4 address of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// The address.
    pub address: Ipv4Addr,
    /// Length of its network's prefix, 0 to 32.
    pub prefix: u8,
    /// The broadcast address of that network.
    pub broadcast: Option<Ipv4Addr>,
    /// Name of the interface.
    pub interface: String,
    /// Whether that is the loopback interface.
    pub loopback: bool,
}

/// What a connection with given ends is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Nothing has these ends.
    None,
    /// Established, or closed by the other end alone.
    Live,
    /// On its way out, as in TIME_WAIT.
    Leaving,
}

/// A socket of one netlink family.
fn open(family: SockProtocol) -> nix::Result<OwnedFd> {
    socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, family)
}

/// The socket for [`addresses`].
///
/// # Errors
/// As `socket(2)`.
pub fn open_route() -> nix::Result<OwnedFd> {
    open(SockProtocol::NetlinkRoute)
}

/// The socket for [`connection`].
///
/// # Errors
/// As `socket(2)`.
pub fn open_diag() -> nix::Result<OwnedFd> {
    open(SockProtocol::NetlinkSockDiag)
}

/// A message: header and body, in the byte order of the machine.
fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    const HEADER: u32 = 16;
    let mut out = Vec::with_capacity(HEADER as usize + body.len());
    out.extend((HEADER + body.len() as u32).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(flags.to_ne_bytes());
    // Number of the request and port: one request is under way at a time.
    out.extend([0u8; 8]);
    out.extend(body);
    out
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Splits off what a length field in front (of `header` bytes with the length)
/// covers: (kind field's bytes and body, rest).
fn split(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let whole = bytes.get(..length)?;
    // Everything is aligned to four bytes; the last piece may lack the filling.
    let next = length.checked_next_multiple_of(4)?.min(bytes.len());
    Some((whole, &bytes[next..]))
}

/// The messages in one packet: kind and body.
fn messages(mut packet: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = word(packet, 0)? as usize;
        let (message, rest) = split(packet, length)?;
        packet = rest;
        Some((half(message, 4)?, message.get(16..)?))
    })
}

/// The attributes behind a fixed part: kind and value.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(half(bytes, 0)?);
        let (attribute, rest) = split(bytes, length)?;
        bytes = rest;
        Some((half(attribute, 2)?, attribute.get(4..)?))
    })
}

fn address(value: &[u8]) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?))
}

/// Reads the body of a "new address" message.
fn own(body: &[u8]) -> Option<Own> {
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    let (family, prefix, index) = (*body.first()?, *body.get(1)?, word(body, 4)?);
    if i32::from(family) != libc::AF_INET {
        return None;
    }
    let (mut local, mut peer, mut broadcast, mut interface) = (None, None, None, String::new());
    for (kind, value) in attributes(body.get(8..)?) {
        match kind {
            IFA_LOCAL => local = address(value),
            IFA_ADDRESS => peer = address(value),
            IFA_BROADCAST => broadcast = address(value),
            IFA_LABEL => {
                let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
                interface = String::from_utf8_lossy(text).into_owned();
            }
            _ => {}
        }
    }
    // On a link between two ends the address is the other end's.
    let address = local.or(peer)?;
    Some(Own { address, prefix: prefix.min(32), broadcast, interface, loopback: index == LOOPBACK })
}

/// All IPv4 addresses of this host, in the kernel's order.
///
/// # Errors
/// As `send(2)` and `recv(2)`; the kernel's own refusal.
pub fn addresses(route: &OwnedFd) -> nix::Result<Vec<Own>> {
    let mut body = [0u8; 8];
    body[0] = libc::AF_INET as u8;
    send(route.as_raw_fd(), &message(GET_ADDRESS, REQUEST | DUMP, &body), MsgFlags::empty())?;
    let mut found = Vec::new();
    let mut buffer = vec![0u8; BUFFER];
    loop {
        // The kernel has the next part ready before it answers the last call.
        let count = recv(route.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT)?;
        for (kind, body) in messages(buffer.get(..count).unwrap_or_default()) {
            match kind {
                DONE => return Ok(found),
                ERROR => return Err(refusal(body)),
                NEW_ADDRESS if found.len() < MOST => found.extend(own(body)),
                _ => {}
            }
        }
        if count == 0 {
            return Ok(found);
        }
    }
}

/// The error number of an error message.
fn refusal(body: &[u8]) -> Errno {
    Errno::from_raw(word(body, 0).map_or(0, |number| (number as i32).wrapping_neg()))
}

/// Asks the kernel for the TCP connection with exactly these ends.
///
/// # Errors
/// Kernels without `inet_diag` cannot tell.
pub fn connection(diag: &OwnedFd, own: SocketAddrV4, peer: SocketAddrV4) -> nix::Result<Connection> {
    // enum of net/tcp_states.h: ESTABLISHED, CLOSE_WAIT; LISTEN is a listener
    // that would take the packet, not this connection.
    Ok(match socket_with(diag, own, peer)? {
        None | Some(Seen { state: 10, .. }) => Connection::None,
        Some(Seen { state: 1 | 8, .. }) => Connection::Live,
        Some(_) => Connection::Leaving,
    })
}

/// Whether some process still holds the socket of the TCP connection with exactly
/// these ends; false where the kernel cannot tell.
pub fn is_held(diag: &OwnedFd, own: SocketAddrV4, peer: SocketAddrV4) -> bool {
    let seen = socket_with(diag, own, peer).ok().flatten();
    // A socket that nobody has open any more has no inode.
    seen.is_some_and(|seen| seen.state != 10 && seen.inode != 0)
}

/// What the kernel says of a socket.
struct Seen {
    state: u8,
    inode: u32,
}

fn socket_with(diag: &OwnedFd, own: SocketAddrV4, peer: SocketAddrV4) -> nix::Result<Option<Seen>> {
    // struct inet_diag_req_v2, linux/inet_diag.h
    let mut body = Vec::with_capacity(56);
    body.extend([libc::AF_INET as u8, libc::IPPROTO_TCP as u8, 0, 0]);
    body.extend(u32::MAX.to_ne_bytes()); // all states
    body.extend(own.port().to_be_bytes());
    body.extend(peer.port().to_be_bytes());
    for end in [own, peer] {
        body.extend(end.ip().octets());
        body.extend([0u8; 12]);
    }
    body.extend([0u8; 4]); // any interface
    body.extend([0xff; 8]); // no cookie
    send(diag.as_raw_fd(), &message(SOCK_DIAG_BY_FAMILY, REQUEST, &body), MsgFlags::empty())?;
    let mut buffer = [0u8; 4096];
    let count = recv(diag.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT)?;
    for (kind, body) in messages(buffer.get(..count).unwrap_or_default()) {
        // struct inet_diag_msg: family, state, ..., inode.
        match (kind, body.get(1), word(body, 68)) {
            (ERROR, ..) if refusal(body) == Errno::ENOENT => return Ok(None),
            (ERROR, ..) => return Err(refusal(body)),
            (SOCK_DIAG_BY_FAMILY, Some(&state), Some(inode)) => return Ok(Some(Seen { state, inode })),
            _ => {}
        }
    }
    Err(Errno::EPROTO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn loopback_is_among_the_addresses() {
        let route = open_route().expect("a netlink socket");
        for _ in 0..2 {
            let own = addresses(&route).expect("addresses");
            let loopback = own.iter().find(|own| own.address == Ipv4Addr::LOCALHOST).expect("127.0.0.1");
            assert!(loopback.loopback && loopback.prefix == 8, "{loopback:?}");
            assert_eq!(loopback.interface, "lo");
        }
    }

    fn end(of: std::io::Result<std::net::SocketAddr>) -> SocketAddrV4 {
        match of {
            Ok(std::net::SocketAddr::V4(end)) => end,
            other => panic!("no IPv4 end: {other:?}"),
        }
    }

    #[test]
    fn connections_are_told_by_their_state() {
        let diag = open_diag().expect("a netlink socket");
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let server = end(listener.local_addr());
        let stream = TcpStream::connect(server).expect("connected");
        let own = end(stream.local_addr());
        let Ok(live) = connection(&diag, own, server) else {
            eprintln!("skipped: this kernel has no inet_diag");
            return;
        };
        assert_eq!(live, Connection::Live);
        assert!(is_held(&diag, own, server));
        let other = SocketAddrV4::new(Ipv4Addr::new(127, 9, 9, 9), 1);
        assert_eq!(connection(&diag, other, server), Ok(Connection::None));
        assert!(!is_held(&diag, other, server));
        let (accepted, _) = listener.accept().expect("accepted");
        // Closed by the other end alone: still held.
        drop(accepted);
        assert!(is_held(&diag, own, server));
        let copy = stream.try_clone().expect("a copy");
        drop(stream);
        assert!(is_held(&diag, own, server), "a copy is a socket, too");
        drop(copy);
        assert!(!is_held(&diag, own, server));
        let left = connection(&diag, own, server);
        assert!(matches!(left, Ok(Connection::Leaving | Connection::None)), "{left:?}");
    }

    #[test]
    fn broken_messages_end_the_reading() {
        for packet in
            [&[][..], &[1], &[0; 16], &[255; 64], &[15, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
        {
            assert_eq!(messages(packet).count(), 0, "{packet:?}");
            assert!(attributes(packet).count() <= packet.len());
        }
        assert_eq!(own(&[2, 8, 0, 0, 1, 0, 0, 0]), None);
        let good = message(NEW_ADDRESS, 0, &[1, 2, 3]);
        assert_eq!(messages(&good).collect::<Vec<_>>(), [(NEW_ADDRESS, &[1u8, 2, 3][..])]);
    }
}
