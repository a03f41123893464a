//! Messages of the bus protocol, as far as they are needed: little-endian, values
//! aligned to their size, header and body apart.

use std::io;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A method call.
    Call,
    /// The answer to one.
    Reply,
    /// A refusal.
    Error,
    /// News.
    Signal,
}

/// A method call.
pub struct Call<'c> {
    /// Destination and object.
    pub to: (&'c str, &'c str),
    pub interface: &'c str,
    pub member: &'c str,
    pub body: Body,
}

/// Arguments, in the making.
#[derive(Default)]
pub struct Body {
    signature: String,
    bytes: Vec<u8>,
}

/// The value of a property.
pub enum Value<'v> {
    Text(&'v str),
    Truth(bool),
    Numbers(&'v [u32]),
}

fn align(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

fn put_number(bytes: &mut Vec<u8>, number: u32) {
    align(bytes, 4);
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_number(bytes, text.len() as u32);
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
}

fn put_signature(bytes: &mut Vec<u8>, signature: &str) {
    bytes.push(signature.len() as u8);
    bytes.extend_from_slice(signature.as_bytes());
    bytes.push(0);
}

/// An array: its length in bytes, then its elements, the first aligned to `to`.
fn put_array(bytes: &mut Vec<u8>, to: usize, fill: impl FnOnce(&mut Vec<u8>)) {
    put_number(bytes, 0);
    let length = bytes.len() - 4;
    align(bytes, to);
    let start = bytes.len();
    fill(bytes);
    let filled = (bytes.len() - start) as u32;
    bytes[length..length + 4].copy_from_slice(&filled.to_le_bytes());
}

fn put_value(bytes: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Text(text) => {
            put_signature(bytes, "s");
            put_text(bytes, text);
        }
        Value::Truth(truth) => {
            put_signature(bytes, "b");
            put_number(bytes, u32::from(*truth));
        }
        Value::Numbers(numbers) => {
            put_signature(bytes, "au");
            put_array(bytes, 4, |bytes| numbers.iter().for_each(|number| put_number(bytes, *number)));
        }
    }
}

impl Body {
    pub fn new() -> Body {
        Body::default()
    }

    pub fn text(mut self, text: &str) -> Body {
        self.signature.push('s');
        put_text(&mut self.bytes, text);
        self
    }

    /// An array of names with values of any kind.
    pub fn properties(mut self, properties: &[(&str, Value<'_>)]) -> Body {
        self.signature.push_str("a(sv)");
        put_array(&mut self.bytes, 8, |bytes| {
            for (name, value) in properties {
                align(bytes, 8);
                put_text(bytes, name);
                put_value(bytes, value);
            }
        });
        self
    }

    /// An empty array of units with properties.
    pub fn no_units(mut self) -> Body {
        self.signature.push_str("a(sa(sv))");
        put_array(&mut self.bytes, 8, |_| {});
        self
    }
}

impl Call<'_> {
    pub fn encode(&self, serial: u32) -> Vec<u8> {
        // Little-endian, a call, without flags, of the first version of the protocol.
        let mut bytes = vec![b'l', 1, 0, 1];
        put_number(&mut bytes, self.body.bytes.len() as u32);
        put_number(&mut bytes, serial);
        put_array(&mut bytes, 8, |bytes| {
            let mut field = |code: u8, kind: &str, text: &str| {
                align(bytes, 8);
                bytes.push(code);
                put_signature(bytes, kind);
                if kind == "g" {
                    put_signature(bytes, text);
                } else {
                    put_text(bytes, text);
                }
            };
            field(1, "o", self.to.1);
            field(2, "s", self.interface);
            field(3, "s", self.member);
            field(6, "s", self.to.0);
            if !self.body.signature.is_empty() {
                field(8, "g", &self.body.signature);
            }
        });
        align(&mut bytes, 8);
        bytes.extend_from_slice(&self.body.bytes);
        bytes
    }
}

fn strange() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the bus sent something that is no message of its protocol")
}

/// A place in a message.
struct Reader<'r> {
    bytes: &'r [u8],
    at: usize,
}

impl<'r> Reader<'r> {
    fn take(&mut self, length: usize) -> io::Result<&'r [u8]> {
        let end = self.at.checked_add(length).ok_or_else(strange)?;
        let taken = self.bytes.get(self.at..end).ok_or_else(strange)?;
        self.at = end;
        Ok(taken)
    }

    fn align(&mut self, to: usize) -> io::Result<()> {
        self.take(self.at.next_multiple_of(to) - self.at).map(|_| ())
    }

    fn byte(&mut self) -> io::Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> io::Result<u32> {
        self.align(4)?;
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn ended(&mut self, length: usize) -> io::Result<String> {
        let text = String::from_utf8(self.take(length)?.to_vec()).map_err(|_| strange())?;
        if self.byte()? != 0 {
            return Err(strange());
        }
        Ok(text)
    }

    fn text(&mut self) -> io::Result<String> {
        let length = self.number()? as usize;
        self.ended(length)
    }

    fn signature(&mut self) -> io::Result<String> {
        let length = usize::from(self.byte()?);
        self.ended(length)
    }
}

/// A message that was received.
#[derive(Debug)]
pub struct Message {
    pub kind: Kind,
    /// The call it answers.
    pub replies_to: u32,
    /// The name of an error.
    pub error: String,
    /// The name of a signal or method.
    pub member: String,
    signature: String,
    body: Vec<u8>,
}

/// How long the message at the start of `bytes` is; None if that is not known yet.
pub fn length(bytes: &[u8], longest: usize) -> io::Result<Option<usize>> {
    let mut reader = Reader { bytes, at: 4 };
    if bytes.len() < 16 {
        return Ok(None);
    }
    if bytes[0] != b'l' || bytes[3] != 1 {
        return Err(strange());
    }
    let body = reader.number()? as usize;
    reader.at = 12;
    let fields = reader.number()? as usize;
    if body > longest || fields > longest {
        return Err(strange());
    }
    Ok(Some((16 + fields).next_multiple_of(8) + body))
}

impl Message {
    pub fn decode(bytes: &[u8]) -> io::Result<Message> {
        let kind = match bytes.get(1) {
            Some(1) => Kind::Call,
            Some(2) => Kind::Reply,
            Some(3) => Kind::Error,
            Some(4) => Kind::Signal,
            _ => return Err(strange()),
        };
        let mut reader = Reader { bytes, at: 12 };
        let end = reader.number()? as usize + 16;
        let mut message = Message {
            kind,
            replies_to: 0,
            error: String::new(),
            member: String::new(),
            signature: String::new(),
            body: Vec::new(),
        };
        while reader.at < end {
            reader.align(8)?;
            let code = reader.byte()?;
            match (code, reader.signature()?.as_str()) {
                (3, "s") => message.member = reader.text()?,
                (4, "s") => message.error = reader.text()?,
                (5, "u") => message.replies_to = reader.number()?,
                (8, "g") => message.signature = reader.signature()?,
                (_, "s" | "o") => drop(reader.text()?),
                (_, "u") => drop(reader.number()?),
                (_, "g") => drop(reader.signature()?),
                _ => return Err(strange()),
            }
        }
        reader.align(8)?;
        message.body = bytes.get(reader.at..).ok_or_else(strange)?.to_vec();
        Ok(message)
    }

    /// The text that the body begins with.
    pub fn text(&self) -> Option<String> {
        let begins = self.signature.starts_with('s');
        begins.then(|| Reader { bytes: &self.body, at: 0 }.text().ok()).flatten()
    }

    /// The path that the body is.
    pub fn path(&self) -> Option<String> {
        let is = self.signature == "o";
        is.then(|| Reader { bytes: &self.body, at: 0 }.text().ok()).flatten()
    }

    /// Of the news that a job has ended: the job, and how.
    pub fn removed_job(&self) -> Option<(String, String)> {
        if self.signature != "uoss" {
            return None;
        }
        let mut reader = Reader { bytes: &self.body, at: 0 };
        let _number = reader.number().ok()?;
        let job = reader.text().ok()?;
        let _unit = reader.text().ok()?;
        Some((job, reader.text().ok()?))
    }
}
