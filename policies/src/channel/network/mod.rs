//! Network channel (descriptor 6): between interpreter and broker.
//!
//! The interpreter cannot make a socket. It asks; the broker resolves the host,
//! decides by the policy on the address it will really use, makes the socket and
//! passes the ready descriptor (SCM_RIGHTS) with the reply. Requests are answered
//! in any order, each exactly once, but for [`Request::Cancel`].
//!
//! A request carries what the act needs in typed fields. The arguments the rules
//! look at are rebuilt from those fields by [`Request::arguments`], so that a
//! broken interpreter cannot show the rules one thing and ask for another.

mod arguments;
mod codec;

use std::net::Ipv4Addr;

use crate::Resource;

/// Longest network frame, in bytes: a whole datagram and room for the other fields.
pub const MAXIMUM_FRAME: usize = 72 * 1024;
/// Longest datagram, in bytes (65535 less the IP and UDP headers).
pub const MAXIMUM_PAYLOAD: usize = 65_507;
/// Longest host text, in bytes. A longer text names no host: the interpreter fails it itself.
pub const MAXIMUM_HOST: usize = 255;
/// Longest text of another argument, in bytes.
pub const MAXIMUM_WRITTEN: usize = 1024;
/// Most arguments of one call.
pub const MAXIMUM_ARGUMENTS: usize = 8;
/// Most aliases in a host entry.
pub const MAXIMUM_ALIASES: usize = 32;
/// Most addresses in a host entry, and most loopback networks.
pub const MAXIMUM_ADDRESSES: usize = 64;
/// Longest error text, in bytes; the encoder cuts longer ones.
pub const MAXIMUM_TEXT: usize = 1024;

/// The other end: as the program wrote it, or as an earlier [`Request::Locate`] found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// The text of the program; the broker resolves it.
    Written(Vec<u8>),
    /// A token of [`Reply::Located`]: the broker uses the text and address it remembered, so that
    /// a host is resolved once and decided on once.
    Located(u32),
}

/// Own end of a socket, where the program gave one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// The text of the program. For `openconn` and `sendmess`, empty and `0.0.0.0` mean any address.
    pub text: Vec<u8>,
    /// The port; 0 means any (`openconn` and `sendmess` only).
    pub port: u16,
}

/// One argument of the call, in the position of its parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// The program did not give it.
    Absent,
    /// The program gave it, and a typed field of the request holds it.
    Field,
    /// The program gave it; its Python text.
    Text(Vec<u8>),
}

/// What the interpreter asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// What an API user may know of the host; answered by [`Reply::Facts`].
    Facts,
    /// `waitforconn`: a listening TCP socket. Answered by [`Reply::Socket`] with a descriptor.
    Listen {
        /// Where to listen.
        local: Local,
        /// The call's arguments.
        written: Vec<Written>,
    },
    /// `recvmess`: a bound UDP socket to receive on. [`Reply::Socket`] with a descriptor.
    Receive {
        /// Where to receive.
        local: Local,
        /// The call's arguments.
        written: Vec<Written>,
    },
    /// `sendmess`, sent by the broker. [`Reply::Sent`].
    Send {
        /// Where to.
        host: Host,
        /// Port of the destination, 1 to 65535.
        port: u16,
        /// Where from. A socket of [`Request::Receive`] on exactly this address and port sends.
        local: Option<Local>,
        /// The datagram, at most [`MAXIMUM_PAYLOAD`] bytes.
        payload: Vec<u8>,
        /// The call's arguments.
        written: Vec<Written>,
    },
    /// A UDP socket to send with: connected to the checked destination, or unconnected (`host`
    /// absent), which is granted only if the policy allows `sendmess` whatever its arguments.
    /// [`Reply::Socket`] with a descriptor.
    Sender {
        /// Destination and its port (1 to 65535).
        host: Option<(Host, u16)>,
        /// Where from.
        local: Option<Local>,
        /// The arguments of the `sendmess` that wants it.
        written: Vec<Written>,
    },
    /// `openconn`: a connected TCP socket. [`Reply::Socket`] with a descriptor.
    Connect {
        /// Where to.
        host: Host,
        /// Port of the destination, 1 to 65535.
        port: u16,
        /// Where from.
        local: Option<Local>,
        /// How long to try, in nanoseconds.
        timeout_ns: u64,
        /// The call's arguments.
        written: Vec<Written>,
    },
    /// Resolves a destination without using it. [`Reply::Located`].
    Locate {
        /// The text of the program.
        host: Vec<u8>,
    },
    /// `gethostbyname_ex`. [`Reply::HostEntry`].
    Lookup {
        /// The text of the program.
        name: Vec<u8>,
    },
    /// `getmyip`. [`Reply::Address`].
    OwnAddress,
    /// The interpreter closed its descriptor of this socket. [`Reply::Closed`], for a listener
    /// only once its port can be bound again.
    Close {
        /// Number from [`Reply::Socket`].
        socket: u32,
    },
    /// Gives up an earlier request; that one is answered, by [`Failure::Cancelled`] unless it was
    /// done already. The cancellation itself has no reply.
    Cancel {
        /// The number of the request given up.
        request: u32,
    },
}

/// What the broker found or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Facts of the host.
    Facts {
        /// Networks of the loopback interface: address and prefix length (0 to 32).
        loopback: Vec<(Ipv4Addr, u8)>,
        /// Whether unconnected [`Request::Sender`] sockets are granted.
        free_datagrams: bool,
    },
    /// A socket; its descriptor comes with this frame.
    Socket {
        /// Number for [`Request::Close`].
        socket: u32,
        /// Own address.
        local: (Ipv4Addr, u16),
        /// Address of the other end, if it is connected.
        peer: Option<(Ipv4Addr, u16)>,
        /// Whether traffic on it is loopback traffic (always false without a peer unless the own
        /// address is a loopback address).
        loopback: bool,
    },
    /// A datagram went out.
    Sent {
        /// Bytes of payload.
        bytes: u32,
        /// Whether it went over the loopback interface.
        loopback: bool,
    },
    /// A destination was resolved.
    Located {
        /// Stands for text and address together in later requests; the broker forgets old ones.
        token: u32,
        /// The address.
        address: Ipv4Addr,
        /// Whether traffic to it is loopback traffic.
        loopback: bool,
    },
    /// A host entry.
    HostEntry {
        /// Canonical name.
        name: Vec<u8>,
        /// Other names.
        aliases: Vec<Vec<u8>>,
        /// Addresses.
        addresses: Vec<Ipv4Addr>,
    },
    /// An address of this host.
    Address(Ipv4Addr),
    /// The socket is gone.
    Closed {
        /// False if the broker did not know it.
        known: bool,
    },
}

/// The Python class a failure is raised as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExceptionClass {
    /// Plain `Exception`.
    Exception,
    /// `socket.error`, arguments `(errno, text)`.
    SocketError,
    /// `socket.gaierror`, arguments `(code, text)`.
    GaiError,
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A system call failed.
    System {
        /// Linux error number.
        errno: i32,
        /// Its text.
        text: String,
    },
    /// A name could not be resolved.
    Resolve {
        /// EAI_ number, negative.
        code: i32,
        /// Its text.
        text: String,
    },
    /// No rule allows the call. The interpreter makes the message with
    /// [`crate::Policy::refusal`], from the addresses the broker decided on.
    Refused {
        /// Address of the destination, if there is one.
        destination: Option<Ipv4Addr>,
        /// Address of the own end, if the program gave one.
        local: Option<Ipv4Addr>,
    },
    /// The own port is not granted.
    PortNotGranted {
        /// `messport` or `connport`.
        resource: Resource,
        /// The port.
        port: u16,
    },
    /// The own address is not among the permitted ones.
    AddressNotAllowed {
        /// The text of the program.
        text: String,
    },
    /// Not connected in time.
    TimedOut,
    /// The four addresses are still in use by an old connection.
    CleanupTimedOut,
    /// The four addresses are in use by another process.
    InUseElsewhere,
    /// The four addresses are in use by this program's own socket of this number.
    InUseHere(u32),
    /// No address of this host leads to the outside.
    NoInternet,
    /// The broker's own count of sockets is at the limit.
    TooMany(Resource),
    /// The broker does not know this token any more: resolve again.
    Forgotten,
    /// Given up by [`Request::Cancel`].
    Cancelled,
    /// Too many requests at once.
    Busy,
}

impl Failure {
    /// How a program sees this failure: class, error number (0 for plain exceptions) and text.
    /// `None` for those the interpreter handles itself: `Refused`, `InUseHere`, `Forgotten`,
    /// `Cancelled`.
    pub fn exception(&self) -> Option<(ExceptionClass, i32, String)> {
        let plain = |text: String| Some((ExceptionClass::Exception, 0, text));
        match self {
            Failure::System { errno, text } => Some((ExceptionClass::SocketError, *errno, text.clone())),
            Failure::Resolve { code, text } => Some((ExceptionClass::GaiError, *code, text.clone())),
            Failure::PortNotGranted { resource, port } => {
                plain(format!("Resource '{} {port}' not allowed!!!", resource.name()))
            }
            Failure::AddressNotAllowed { text } => plain(format!("IP '{text}' is not allowed.")),
            Failure::TimedOut => plain("Connection timed out!".into()),
            Failure::CleanupTimedOut => plain("Timed out checking for socket cleanup!".into()),
            Failure::InUseElsewhere => plain("Network socket is in use by an external process!".into()),
            Failure::NoInternet => plain("Cannot detect a connection to the Internet.".into()),
            Failure::TooMany(resource) => plain(format!("Resource '{}' limit exceeded!!", resource.name())),
            Failure::Busy => plain("Too many network requests at once.".into()),
            Failure::Refused { .. } | Failure::InUseHere(_) | Failure::Forgotten | Failure::Cancelled => None,
        }
    }
}

/// A request and its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFrame {
    /// Chosen by the interpreter, repeated in the reply.
    pub id: u32,
    /// What is asked.
    pub request: Request,
}

/// A reply and the number of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyFrame {
    /// The request's number.
    pub id: u32,
    /// What came of it.
    pub result: Result<Reply, Failure>,
}

#[cfg(test)]
mod tests;
