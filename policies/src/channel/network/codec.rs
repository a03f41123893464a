//! Binary forms of requests and replies.

use std::net::Ipv4Addr;

use super::*;
use crate::channel::{frame, open};
use crate::wire::{cut, Reader, WireError, Writer};

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
