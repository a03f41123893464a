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

use std::borrow::Cow;
use std::net::Ipv4Addr;

use super::{frame, open};
use crate::wire::{cut, Reader, WireError, Writer};
use crate::{Argument, Call, Resource};

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

/// The parts of a request that rules look at.
struct Used<'a> {
    written: &'a [Written],
    port: Option<u16>,
    own: Option<&'a Local>,
    payload: Option<&'a [u8]>,
}

impl Request {
    /// The call whose rules decide on this request.
    pub fn call(&self) -> Option<Call> {
        Some(match self {
            Request::Listen { .. } => Call::WaitForConn,
            Request::Receive { .. } => Call::RecvMess,
            Request::Send { .. } | Request::Sender { .. } => Call::SendMess,
            Request::Connect { .. } => Call::OpenConn,
            Request::Lookup { .. } => Call::GetHostByNameEx,
            Request::OwnAddress => Call::GetMyIp,
            Request::Facts | Request::Locate { .. } | Request::Close { .. } | Request::Cancel { .. } => {
                return None
            }
        })
    }

    fn used(&self) -> Option<Used<'_>> {
        let (written, port, own, payload) = match self {
            Request::Listen { local, written } | Request::Receive { local, written } => {
                (written, None, Some(local), None)
            }
            Request::Send { port, local, payload, written, .. } => {
                (written, Some(*port), local.as_ref(), Some(&payload[..]))
            }
            Request::Sender { host, local, written } => {
                (written, host.as_ref().map(|(_, port)| *port), local.as_ref(), None)
            }
            Request::Connect { port, local, written, .. } => (written, Some(*port), local.as_ref(), None),
            _ => return None,
        };
        Some(Used { written, port, own, payload })
    }

    /// The arguments that the rules decide on, from what will really be used: `destination` is the
    /// text and address the broker resolved, `local` the own address it will bind. Each parameter
    /// that a typed field holds is taken from there, whatever the frame claims beside it.
    pub fn arguments<'a>(
        &'a self,
        destination: Option<(&'a [u8], Ipv4Addr)>,
        local: Option<Ipv4Addr>,
    ) -> Vec<Argument<'a>> {
        let Some(used) = self.used() else {
            return match self {
                Request::Lookup { name } => vec![Argument::text(name)],
                _ => Vec::new(),
            };
        };
        let Used { written, port, own, payload } = used;
        let parameters = self.call().map_or(&[][..], |call| call.facts().parameters);
        let number = |port: u16| Argument::Text(Cow::Owned(port.to_string().into_bytes()));
        let host = |text: &'a [u8], address: Option<Ipv4Addr>| match address {
            Some(address) => Argument::Host { text: Cow::Borrowed(text), address },
            None => Argument::Text(Cow::Borrowed(text)),
        };
        // What the act uses is shown even where the frame says that the program did not give it.
        let used = |parameter: &str| match parameter {
            "desthost" => destination.is_some(),
            "destport" => port.is_some(),
            "message" => payload.is_some(),
            "localip" | "localport" => own.is_some(),
            _ => false,
        };
        let count = parameters.iter().rposition(|parameter| used(parameter)).map_or(0, |last| last + 1);
        let mut arguments = Vec::with_capacity(written.len().max(count));
        for position in 0..written.len().max(count) {
            let parameter = parameters.get(position).copied().unwrap_or("");
            let claimed = written.get(position).unwrap_or(&Written::Absent);
            arguments.push(match (parameter, claimed, own) {
                ("desthost", ..) => match destination {
                    Some((text, address)) => host(text, Some(address)),
                    None => Argument::Absent,
                },
                ("destport", ..) => port.map_or(Argument::Absent, number),
                ("message", ..) => {
                    payload.map_or(Argument::Absent, |bytes| Argument::Text(Cow::Borrowed(bytes)))
                }
                ("localip", _, Some(own)) => host(&own.text, local),
                ("localport", _, Some(own)) => number(own.port),
                (_, Written::Absent | Written::Field, _) => Argument::Absent,
                ("localip", Written::Text(text), None) => neutral(text, &[b"", b"0.0.0.0"]),
                ("localport", Written::Text(text), None) => neutral(text, &[b"0"]),
                (_, Written::Text(text), _) => Argument::Text(Cow::Borrowed(text)),
            });
        }
        arguments
    }
}

/// The text of an own end that the act does not use: only the spellings of "any".
fn neutral<'a>(text: &'a [u8], spellings: &[&[u8]]) -> Argument<'a> {
    if spellings.contains(&text) {
        Argument::Text(Cow::Borrowed(text))
    } else {
        Argument::Text(Cow::Borrowed(b"None"))
    }
}

fn encode_host(out: &mut Writer, host: &Host) {
    match host {
        Host::Written(text) => {
            out.u8(0);
            out.bytes(text);
        }
        Host::Located(token) => {
            out.u8(1);
            out.u32(*token);
        }
    }
}

fn decode_host(input: &mut Reader<'_>) -> Result<Host, WireError> {
    match input.u8("host form")? {
        0 => Ok(Host::Written(input.bytes("host", MAXIMUM_HOST)?)),
        1 => Ok(Host::Located(input.u32("token")?)),
        tag => Err(WireError::UnknownTag("host form", tag)),
    }
}

fn encode_local(out: &mut Writer, local: &Local) {
    out.bytes(&local.text);
    out.u16(local.port);
}

fn decode_local(input: &mut Reader<'_>) -> Result<Local, WireError> {
    Ok(Local { text: input.bytes("own address", MAXIMUM_HOST)?, port: input.u16("own port")? })
}

fn encode_written(out: &mut Writer, written: &[Written]) {
    out.list(written, |out, argument| match argument {
        Written::Absent => out.u8(0),
        Written::Field => out.u8(1),
        Written::Text(text) => {
            out.u8(2);
            out.bytes(text);
        }
    });
}

fn decode_written(input: &mut Reader<'_>) -> Result<Vec<Written>, WireError> {
    input.list("arguments", MAXIMUM_ARGUMENTS, |input| {
        Ok(match input.u8("argument form")? {
            0 => Written::Absent,
            1 => Written::Field,
            2 => Written::Text(input.bytes("argument", MAXIMUM_WRITTEN)?),
            tag => return Err(WireError::UnknownTag("argument form", tag)),
        })
    })
}

/// A destination port; 0 is none.
fn decode_port(input: &mut Reader<'_>) -> Result<u16, WireError> {
    match input.u16("port")? {
        0 => Err(WireError::BadValue("port")),
        port => Ok(port),
    }
}

fn encode_end(out: &mut Writer, end: &(Ipv4Addr, u16)) {
    out.address(end.0);
    out.u16(end.1);
}

fn decode_end(input: &mut Reader<'_>) -> Result<(Ipv4Addr, u16), WireError> {
    Ok((input.address("address")?, input.u16("port")?))
}

impl RequestFrame {
    /// The bytes of the frame.
    ///
    /// # Errors
    /// A field is longer than its limit.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut out = frame(match self.request {
            Request::Facts => 0,
            Request::Listen { .. } => 1,
            Request::Receive { .. } => 2,
            Request::Send { .. } => 3,
            Request::Sender { .. } => 4,
            Request::Connect { .. } => 5,
            Request::Locate { .. } => 6,
            Request::Lookup { .. } => 7,
            Request::OwnAddress => 8,
            Request::Close { .. } => 9,
            Request::Cancel { .. } => 10,
        });
        out.u32(self.id);
        match &self.request {
            Request::Facts | Request::OwnAddress => {}
            Request::Listen { local, written } | Request::Receive { local, written } => {
                encode_local(&mut out, local);
                encode_written(&mut out, written);
            }
            Request::Send { host, port, local, payload, written } => {
                encode_host(&mut out, host);
                out.u16(*port);
                out.option(local, encode_local);
                out.bytes(payload);
                encode_written(&mut out, written);
            }
            Request::Sender { host, local, written } => {
                out.option(host, |out, (host, port)| {
                    encode_host(out, host);
                    out.u16(*port);
                });
                out.option(local, encode_local);
                encode_written(&mut out, written);
            }
            Request::Connect { host, port, local, timeout_ns, written } => {
                encode_host(&mut out, host);
                out.u16(*port);
                out.option(local, encode_local);
                out.u64(*timeout_ns);
                encode_written(&mut out, written);
            }
            Request::Locate { host: text } | Request::Lookup { name: text } => out.bytes(text),
            Request::Close { socket: number } | Request::Cancel { request: number } => out.u32(*number),
        }
        let bytes = out.finish();
        // Reading back is the one place that knows every limit, and costs little beside a packet.
        RequestFrame::decode(&bytes)?;
        Ok(bytes)
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// The bytes are not exactly one frame of this version within its limits.
    pub fn decode(bytes: &[u8]) -> Result<RequestFrame, WireError> {
        let (mut input, tag) = open(bytes, MAXIMUM_FRAME)?;
        let id = input.u32("number")?;
        let request = match tag {
            0 => Request::Facts,
            1 => Request::Listen { local: decode_local(&mut input)?, written: decode_written(&mut input)? },
            2 => Request::Receive { local: decode_local(&mut input)?, written: decode_written(&mut input)? },
            3 => Request::Send {
                host: decode_host(&mut input)?,
                port: decode_port(&mut input)?,
                local: input.option("own end", decode_local)?,
                payload: input.bytes("datagram", MAXIMUM_PAYLOAD)?,
                written: decode_written(&mut input)?,
            },
            4 => Request::Sender {
                host: input.option("destination", |input| Ok((decode_host(input)?, decode_port(input)?)))?,
                local: input.option("own end", decode_local)?,
                written: decode_written(&mut input)?,
            },
            5 => Request::Connect {
                host: decode_host(&mut input)?,
                port: decode_port(&mut input)?,
                local: input.option("own end", decode_local)?,
                timeout_ns: input.u64("timeout")?,
                written: decode_written(&mut input)?,
            },
            6 => Request::Locate { host: input.bytes("host", MAXIMUM_HOST)? },
            7 => Request::Lookup { name: input.bytes("name", MAXIMUM_HOST)? },
            8 => Request::OwnAddress,
            9 => Request::Close { socket: input.u32("socket")? },
            10 => Request::Cancel { request: input.u32("request")? },
            tag => return Err(WireError::UnknownTag("request", tag)),
        };
        input.finish()?;
        Ok(RequestFrame { id, request })
    }
}

fn encode_reply(out: &mut Writer, reply: &Reply) {
    match reply {
        Reply::Facts { loopback, free_datagrams } => {
            out.list(loopback, |out, (address, prefix)| {
                out.address(*address);
                out.u8(*prefix);
            });
            out.bool(*free_datagrams);
        }
        Reply::Socket { socket, local, peer, loopback } => {
            out.u32(*socket);
            encode_end(out, local);
            out.option(peer, encode_end);
            out.bool(*loopback);
        }
        Reply::Sent { bytes, loopback } => {
            out.u32(*bytes);
            out.bool(*loopback);
        }
        Reply::Located { token, address, loopback } => {
            out.u32(*token);
            out.address(*address);
            out.bool(*loopback);
        }
        Reply::HostEntry { name, aliases, addresses } => {
            out.bytes(name);
            out.list(aliases, |out, alias| out.bytes(alias));
            out.list(addresses, |out, address| out.address(*address));
        }
        Reply::Address(address) => out.address(*address),
        Reply::Closed { known } => out.bool(*known),
    }
}

fn decode_reply(input: &mut Reader<'_>, tag: u8) -> Result<Reply, WireError> {
    Ok(match tag {
        0 => Reply::Facts {
            loopback: input.list("loopback networks", MAXIMUM_ADDRESSES, |input| {
                let address = input.address("loopback network")?;
                match input.u8("prefix")? {
                    prefix @ 0..=32 => Ok((address, prefix)),
                    _ => Err(WireError::BadValue("prefix")),
                }
            })?,
            free_datagrams: input.bool("free datagrams")?,
        },
        1 => Reply::Socket {
            socket: input.u32("socket")?,
            local: decode_end(input)?,
            peer: input.option("peer", decode_end)?,
            loopback: input.bool("loopback")?,
        },
        2 => Reply::Sent { bytes: input.u32("bytes")?, loopback: input.bool("loopback")? },
        3 => Reply::Located {
            token: input.u32("token")?,
            address: input.address("address")?,
            loopback: input.bool("loopback")?,
        },
        4 => Reply::HostEntry {
            name: input.bytes("name", MAXIMUM_HOST)?,
            aliases: input.list("aliases", MAXIMUM_ALIASES, |input| input.bytes("alias", MAXIMUM_HOST))?,
            addresses: input.list("addresses", MAXIMUM_ADDRESSES, |input| input.address("address"))?,
        },
        5 => Reply::Address(input.address("address")?),
        6 => Reply::Closed { known: input.bool("known")? },
        tag => return Err(WireError::UnknownTag("reply", tag)),
    })
}

fn encode_failure(out: &mut Writer, failure: &Failure) {
    let text = |out: &mut Writer, text: &str| out.bytes(cut(text, MAXIMUM_TEXT).as_bytes());
    match failure {
        Failure::System { errno: number, text: words } | Failure::Resolve { code: number, text: words } => {
            out.i32(*number);
            text(out, words);
        }
        Failure::Refused { destination, local } => {
            out.option(destination, |out, address| out.address(*address));
            out.option(local, |out, address| out.address(*address));
        }
        Failure::PortNotGranted { resource, port } => {
            out.u8(*resource as u8);
            out.u16(*port);
        }
        Failure::AddressNotAllowed { text: words } => text(out, words),
        Failure::InUseHere(socket) => out.u32(*socket),
        Failure::TooMany(resource) => out.u8(*resource as u8),
        Failure::TimedOut
        | Failure::CleanupTimedOut
        | Failure::InUseElsewhere
        | Failure::NoInternet
        | Failure::Forgotten
        | Failure::Cancelled
        | Failure::Busy => {}
    }
}

/// Tags of failures; replies have those below.
const FAILURES: u8 = 0x80;

fn decode_failure(input: &mut Reader<'_>, tag: u8) -> Result<Failure, WireError> {
    let resource = |input: &mut Reader<'_>| {
        let index = input.u8("resource")?;
        Resource::from_index(index).ok_or(WireError::UnknownTag("resource", index))
    };
    Ok(match tag {
        0 => Failure::System { errno: input.i32("error number")?, text: input.text("error", MAXIMUM_TEXT)? },
        1 => Failure::Resolve { code: input.i32("error number")?, text: input.text("error", MAXIMUM_TEXT)? },
        2 => Failure::Refused {
            destination: input.option("destination", |input| input.address("destination"))?,
            local: input.option("own address", |input| input.address("own address"))?,
        },
        3 => Failure::PortNotGranted { resource: resource(input)?, port: input.u16("port")? },
        4 => Failure::AddressNotAllowed { text: input.text("address", MAXIMUM_TEXT)? },
        5 => Failure::TimedOut,
        6 => Failure::CleanupTimedOut,
        7 => Failure::InUseElsewhere,
        8 => Failure::InUseHere(input.u32("socket")?),
        9 => Failure::NoInternet,
        10 => Failure::TooMany(resource(input)?),
        11 => Failure::Forgotten,
        12 => Failure::Cancelled,
        13 => Failure::Busy,
        tag => return Err(WireError::UnknownTag("failure", tag)),
    })
}

impl ReplyFrame {
    /// The bytes of the frame. Error texts are cut.
    ///
    /// # Errors
    /// Another field is longer than its limit.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut out = frame(match &self.result {
            Ok(reply) => match reply {
                Reply::Facts { .. } => 0,
                Reply::Socket { .. } => 1,
                Reply::Sent { .. } => 2,
                Reply::Located { .. } => 3,
                Reply::HostEntry { .. } => 4,
                Reply::Address(_) => 5,
                Reply::Closed { .. } => 6,
            },
            Err(failure) => {
                FAILURES
                    + match failure {
                        Failure::System { .. } => 0,
                        Failure::Resolve { .. } => 1,
                        Failure::Refused { .. } => 2,
                        Failure::PortNotGranted { .. } => 3,
                        Failure::AddressNotAllowed { .. } => 4,
                        Failure::TimedOut => 5,
                        Failure::CleanupTimedOut => 6,
                        Failure::InUseElsewhere => 7,
                        Failure::InUseHere(_) => 8,
                        Failure::NoInternet => 9,
                        Failure::TooMany(_) => 10,
                        Failure::Forgotten => 11,
                        Failure::Cancelled => 12,
                        Failure::Busy => 13,
                    }
            }
        });
        out.u32(self.id);
        match &self.result {
            Ok(reply) => encode_reply(&mut out, reply),
            Err(failure) => encode_failure(&mut out, failure),
        }
        let bytes = out.finish();
        ReplyFrame::decode(&bytes)?;
        Ok(bytes)
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// The bytes are not exactly one frame of this version within its limits.
    pub fn decode(bytes: &[u8]) -> Result<ReplyFrame, WireError> {
        let (mut input, tag) = open(bytes, MAXIMUM_FRAME)?;
        let id = input.u32("number")?;
        let result = match tag.checked_sub(FAILURES) {
            None => Ok(decode_reply(&mut input, tag)?),
            Some(tag) => Err(decode_failure(&mut input, tag)?),
        };
        input.finish()?;
        Ok(ReplyFrame { id, result })
    }
}

#[cfg(test)]
mod tests;
