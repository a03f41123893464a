//! Reading and writing the binary forms: little-endian, length-prefixed, total.
//!
//! Every byte that arrives may come from a broken or hostile process, so reading
//! checks each length against what is there before anything is copied.

use std::fmt;
use std::net::Ipv4Addr;

/// Why bytes are not a message of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    /// Longer than this kind of message may be: found, allowed (bytes).
    TooLong(usize, usize),
    /// The message ends inside this field.
    Truncated(&'static str),
    /// The first bytes are not those of this kind of message.
    BadMagic,
    /// Written by another version of these programs.
    Version(u32),
    /// An unknown kind of message or variant of a field.
    UnknownTag(&'static str, u8),
    /// A field holds a value it may not have.
    BadValue(&'static str),
    /// Bytes are left over after the last field.
    Trailing(usize),
}

impl fmt::Display for WireError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::TooLong(found, allowed) => {
                write!(out, "message of {found} bytes, at most {allowed} are allowed")
            }
            WireError::Truncated(field) => write!(out, "message ends inside its field '{field}'"),
            WireError::BadMagic => write!(out, "not a message of repy-launch"),
            WireError::Version(found) => write!(
                out,
                "message of version {found}, this program speaks version {VERSION}; repy-launch and repy-interp must be of the same release"
            ),
            WireError::UnknownTag(field, tag) => write!(out, "unknown {field} {tag}"),
            WireError::BadValue(field) => write!(out, "field '{field}' holds a value it may not have"),
            WireError::Trailing(count) => write!(out, "{count} bytes left over after the last field"),
        }
    }
}

impl std::error::Error for WireError {}

/// Version of every binary form here; raised when any of them changes.
pub(crate) const VERSION: u8 = 1;

/// Builds a message.
#[derive(Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn address(&mut self, value: Ipv4Addr) {
        self.bytes.extend_from_slice(&value.octets());
    }

    pub(crate) fn raw(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }

    /// A length of 32 bits, then the bytes. Longer values cannot be represented and are cut;
    /// the whole-message limits are far below.
    pub(crate) fn bytes(&mut self, value: &[u8]) {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.u32(length);
        self.raw(&value[..length as usize]);
    }

    /// A count, then the entries.
    pub(crate) fn list<T>(&mut self, values: &[T], mut entry: impl FnMut(&mut Writer, &T)) {
        let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
        self.u32(count);
        for value in &values[..count as usize] {
            entry(self, value);
        }
    }

    pub(crate) fn option<T>(&mut self, value: &Option<T>, entry: impl FnOnce(&mut Writer, &T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            entry(self, value);
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Takes a message apart.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts on `bytes`, refusing more than `maximum` of them.
    pub(crate) fn new(bytes: &'a [u8], maximum: usize) -> Result<Self, WireError> {
        if bytes.len() > maximum {
            return Err(WireError::TooLong(bytes.len(), maximum));
        }
        Ok(Reader { rest: bytes })
    }

    pub(crate) fn raw(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated(field))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], WireError> {
        let mut array = [0; N];
        array.copy_from_slice(self.raw(N, field)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, WireError> {
        Ok(self.array::<1>(field)?[0])
    }

    /// Only 0 and 1 are booleans, so that each message has one form.
    pub(crate) fn bool(&mut self, field: &'static str) -> Result<bool, WireError> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::BadValue(field)),
        }
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.array(field)?))
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array(field)?))
    }

    pub(crate) fn i32(&mut self, field: &'static str) -> Result<i32, WireError> {
        Ok(i32::from_le_bytes(self.array(field)?))
    }

    pub(crate) fn address(&mut self, field: &'static str) -> Result<Ipv4Addr, WireError> {
        Ok(Ipv4Addr::from(self.array::<4>(field)?))
    }

    pub(crate) fn bytes(&mut self, field: &'static str, maximum: usize) -> Result<Vec<u8>, WireError> {
        let length = self.u32(field)? as usize;
        if length > maximum {
            return Err(WireError::TooLong(length, maximum));
        }
        Ok(self.raw(length, field)?.to_vec())
    }

    pub(crate) fn text(&mut self, field: &'static str, maximum: usize) -> Result<String, WireError> {
        String::from_utf8(self.bytes(field, maximum)?).map_err(|_| WireError::BadValue(field))
    }

    /// A list; nothing is reserved for entries that are not there.
    pub(crate) fn list<T>(
        &mut self,
        field: &'static str,
        maximum: usize,
        mut entry: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let count = self.u32(field)? as usize;
        if count > maximum {
            return Err(WireError::TooLong(count, maximum));
        }
        let mut values = Vec::with_capacity(count.min(self.rest.len()));
        for _ in 0..count {
            values.push(entry(self)?);
        }
        Ok(values)
    }

    pub(crate) fn option<T>(
        &mut self,
        field: &'static str,
        entry: impl FnOnce(&mut Self) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        if self.bool(field)? {
            Ok(Some(entry(self)?))
        } else {
            Ok(None)
        }
    }

    pub(crate) fn finish(self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(WireError::Trailing(count)),
        }
    }
}

/// Cuts `text` to at most `maximum` bytes at a character boundary.
pub(crate) fn cut(text: &str, maximum: usize) -> &str {
    let mut end = text.len().min(maximum);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
