//! Making sockets: the only place of the whole program that binds, listens,
//! connects and sends.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    bind, connect, getsockname, getsockopt, listen, sendto, setsockopt, socket, sockopt, AddressFamily,
    Backlog, MsgFlags, SockFlag, SockType, SockaddrIn,
};
use policies::channel::network::Failure;

use crate::sys::{self, descriptor};

/// Buffers of TCP sockets in both directions, in bytes, as Repy V1 sets them.
/// The kernel doubles the figure.
const STREAM_BUFFER: usize = 10_000;

/// Buffers of UDP sockets in both directions, in bytes, as Repy V1 asks for.
const DATAGRAM_BUFFER: usize = 66_000;

/// Connections that may wait to be accepted. Repy V1 has 5; a client that comes
/// when the queue is full tries again only after a second. The kernel's own
/// bound (`net.core.somaxconn`) holds, too.
const BACKLOG: i32 = 1024;

/// A failed system call as the program sees it.
pub fn failure(errno: Errno) -> Failure {
    let number = errno as i32;
    let text = std::io::Error::from_raw_os_error(number).to_string();
    // The C library's text, without what std adds to it.
    let text = text.split(" (os error").next().unwrap_or_default().to_owned();
    Failure::System { errno: number, text }
}

fn make(kind: SockType) -> nix::Result<OwnedFd> {
    socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)
}

fn address(at: SocketAddrV4) -> SockaddrIn {
    SockaddrIn::from(at)
}

fn stream() -> nix::Result<OwnedFd> {
    let socket = make(SockType::Stream)?;
    setsockopt(&socket, sockopt::SndBuf, &STREAM_BUFFER)?;
    setsockopt(&socket, sockopt::RcvBuf, &STREAM_BUFFER)?;
    // An old connection in TIME_WAIT does not keep the port from being bound.
    // A live listener does; SO_REUSEPORT, which would let another user share
    // the port, is never set.
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    Ok(socket)
}

/// A listening TCP socket.
///
/// # Errors
/// As `socket(2)`, `bind(2)` and `listen(2)`.
pub fn listener(at: SocketAddrV4) -> nix::Result<OwnedFd> {
    let socket = stream()?;
    bind(socket.as_raw_fd(), &address(at))?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    Ok(socket)
}

/// A UDP socket; bound where an own end is given.
///
/// # Errors
/// As `socket(2)` and `bind(2)`.
pub fn datagram(own: Option<SocketAddrV4>) -> nix::Result<OwnedFd> {
    let socket = make(SockType::Datagram)?;
    setsockopt(&socket, sockopt::SndBuf, &DATAGRAM_BUFFER)?;
    setsockopt(&socket, sockopt::RcvBuf, &DATAGRAM_BUFFER)?;
    if let Some(own) = own {
        bind(socket.as_raw_fd(), &address(own))?;
    }
    Ok(socket)
}

/// A UDP socket that exchanges messages with one destination only.
///
/// # Errors
/// As [`datagram`] and `connect(2)`.
pub fn connected_datagram(own: Option<SocketAddrV4>, to: SocketAddrV4) -> nix::Result<OwnedFd> {
    let socket = datagram(own)?;
    connect(socket.as_raw_fd(), &address(to))?;
    Ok(socket)
}

/// A UDP socket to send by: to one destination only, where one is given. It
/// receives nothing, answers of that destination among it: that is what
/// `recvmess` is for, which the policy may not grant.
///
/// # Errors
/// As [`datagram`], `setsockopt(2)` and `connect(2)`.
pub fn sender(own: Option<SocketAddrV4>, to: Option<SocketAddrV4>) -> nix::Result<OwnedFd> {
    let socket = make(SockType::Datagram)?;
    // Before it has a port that anything could arrive at.
    descriptor::deafen(socket.as_fd()).map_err(|sys::Errno(code)| Errno::from_raw(code))?;
    setsockopt(&socket, sockopt::SndBuf, &DATAGRAM_BUFFER)?;
    if let Some(own) = own {
        bind(socket.as_raw_fd(), &address(own))?;
    }
    if let Some(to) = to {
        connect(socket.as_raw_fd(), &address(to))?;
    }
    Ok(socket)
}

/// Sends one datagram; the bytes sent.
///
/// # Errors
/// As `sendto(2)`.
pub fn send(socket: &OwnedFd, bytes: &[u8], to: SocketAddrV4) -> nix::Result<usize> {
    loop {
        match sendto(socket.as_raw_fd(), bytes, &address(to), MsgFlags::MSG_NOSIGNAL) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Starts a TCP connection: writable once it is made or has failed.
///
/// # Errors
/// As `socket(2)`, `bind(2)` and `connect(2)`.
pub fn connecting(own: Option<SocketAddrV4>, to: SocketAddrV4) -> nix::Result<OwnedFd> {
    let socket = stream()?;
    if let Some(own) = own {
        bind(socket.as_raw_fd(), &address(own))?;
    }
    match connect(socket.as_raw_fd(), &address(to)) {
        Ok(()) | Err(Errno::EINPROGRESS | Errno::EINTR | Errno::EAGAIN) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// What became of a connection that is writable.
///
/// # Errors
/// Why it could not be made. ECONNREFUSED too where the kernel joined the
/// socket with itself: nobody listens at a port that was free.
pub fn outcome(socket: &OwnedFd, to: SocketAddrV4) -> nix::Result<SocketAddrV4> {
    match getsockopt(socket, sockopt::SocketError)? {
        0 => {}
        errno => return Err(Errno::from_raw(errno)),
    }
    let own = own_end(socket)?;
    if own == to {
        return Err(Errno::ECONNREFUSED);
    }
    Ok(own)
}

/// The own end of a socket.
///
/// # Errors
/// As `getsockname(2)`.
pub fn own_end(socket: &OwnedFd) -> nix::Result<SocketAddrV4> {
    Ok(getsockname::<SockaddrIn>(socket.as_raw_fd())?.into())
}

/// Whether a port that was listened on can be bound again.
pub fn is_free(stream_port: bool, at: SocketAddrV4) -> bool {
    let probe = || {
        let socket = if stream_port { stream()? } else { make(SockType::Datagram)? };
        bind(socket.as_raw_fd(), &address(at))
    };
    probe() != Err(Errno::EADDRINUSE)
}

/// Whether an address is one of this host's, as far as binding tells.
pub fn can_bind(own: Ipv4Addr) -> bool {
    let probe = || {
        let socket = make(SockType::Datagram)?;
        bind(socket.as_raw_fd(), &address(SocketAddrV4::new(own, 0)))
    };
    probe().is_ok()
}

/// The own address that packets to `to` leave from. Nothing is sent.
pub fn source_towards(to: Ipv4Addr) -> Option<Ipv4Addr> {
    /// Any port would do; this one the broker's own Landlock rules always grant.
    const PORT: u16 = 53;
    let find = || {
        let socket = make(SockType::Datagram)?;
        connect(socket.as_raw_fd(), &address(SocketAddrV4::new(to, PORT)))?;
        own_end(&socket)
    };
    find().ok().map(|own| *own.ip()).filter(|own| !own.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
    }

    #[test]
    fn a_listening_port_is_taken_until_it_is_closed() {
        let first = listener(at(0)).expect("a listener");
        let end = own_end(&first).expect("its end");
        assert_eq!(listener(end).map(drop), Err(Errno::EADDRINUSE));
        assert!(!is_free(true, end));
        drop(first);
        assert!(is_free(true, end));
        let again = listener(end).expect("bound again");
        assert_eq!(getsockopt(&again, sockopt::RcvBuf), Ok(2 * STREAM_BUFFER));
        assert_eq!(getsockopt(&again, sockopt::ReusePort), Ok(false));
    }

    #[test]
    fn a_datagram_port_is_never_shared() {
        let first = datagram(Some(at(0))).expect("a socket");
        let end = own_end(&first).expect("its end");
        assert_eq!(datagram(Some(end)).map(drop), Err(Errno::EADDRINUSE));
        assert_eq!(getsockopt(&first, sockopt::ReuseAddr), Ok(false));
        drop(first);
        assert!(is_free(false, end));
    }

    #[test]
    fn a_sender_sends_and_receives_nothing() {
        let other = datagram(Some(at(0))).expect("a socket");
        let there = own_end(&other).expect("its end");
        for to in [None, Some(there)] {
            let socket = sender(Some(at(0)), to).expect("a sender");
            assert_eq!(send(&socket, b"hello", there), Ok(5));
            let mut buffer = [0; 16];
            let received = |of: &OwnedFd, buffer: &mut [u8]| {
                nix::sys::socket::recv(of.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)
            };
            assert_eq!(received(&other, &mut buffer), Ok(5));
            assert_eq!(send(&other, b"answer", own_end(&socket).expect("its end")), Ok(6));
            assert_eq!(received(&socket, &mut buffer), Err(Errno::EAGAIN));
        }
    }

    #[test]
    fn a_socket_is_not_connected_with_itself() {
        // Bound to the port it connects to, the kernel joins it with itself.
        let probe = stream().and_then(|socket| {
            bind(socket.as_raw_fd(), &address(at(0)))?;
            own_end(&socket)
        });
        let end = probe.expect("a free port");
        let socket = connecting(Some(end), end).expect("the kernel allows it");
        assert_eq!(outcome(&socket, end), Err(Errno::ECONNREFUSED));
    }

    #[test]
    fn failures_have_the_words_of_the_c_library() {
        for (errno, words) in [
            (Errno::EADDRINUSE, "Address already in use"),
            (Errno::EADDRNOTAVAIL, "Cannot assign requested address"),
            (Errno::ECONNREFUSED, "Connection refused"),
            (Errno::EMFILE, "Too many open files"),
            (Errno::EMSGSIZE, "Message too long"),
            (Errno::EACCES, "Permission denied"),
            (Errno::ETIMEDOUT, "Connection timed out"),
            (Errno::EHOSTUNREACH, "No route to host"),
            (Errno::EAGAIN, "Resource temporarily unavailable"),
        ] {
            let Failure::System { errno: number, text } = failure(errno) else { panic!("a system failure") };
            assert_eq!((number, text.as_str()), (errno as i32, words));
        }
    }
}
