//! The frames on the two channels of a running sandbox.
//!
//! Both are AF_UNIX SOCK_SEQPACKET sockets, so one packet is one frame. Whatever
//! arrives is untrusted: [`control::FromInterpreter::decode`] and
//! [`network::RequestFrame::decode`] must hold against a broken interpreter.
//! Decoding is total and bounded, and each frame has exactly one binary form.

pub mod control;
pub mod network;
pub mod seen;

use crate::wire::{Reader, WireError, Writer, VERSION};

/// Starts a frame: version and kind.
fn frame(tag: u8) -> Writer {
    let mut out = Writer::default();
    out.u8(VERSION);
    out.u8(tag);
    out
}

/// Opens a frame and gives its kind.
fn open<'a>(bytes: &'a [u8], maximum: usize) -> Result<(Reader<'a>, u8), WireError> {
    let mut input = Reader::new(bytes, maximum)?;
    let version = input.u8("version")?;
    if version != VERSION {
        return Err(WireError::Version(u32::from(version)));
    }
    let tag = input.u8("kind")?;
    Ok((input, tag))
}
