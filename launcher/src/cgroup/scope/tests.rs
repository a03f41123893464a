//! A stand-in for the user's bus and systemd: it reads every message by the protocol's
//! own rules, and answers, refuses, keeps silent or goes away.

use super::*;
use crate::testing::Scratch;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What the stand-in does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// As the real one.
    Proper,
    /// The same, a byte at a time, with other news between the answers.
    Piecemeal,
    /// The bus does not take this user.
    Rejects,
    /// Greets without end.
    Chatters,
    /// Says nothing at all, or nothing from the call of this name on.
    Silent(&'static str),
    /// Goes away at this call.
    Closes(&'static str),
    /// Answers this call with an error.
    Refuses(&'static str),
    /// Answers this call with bytes that are no message, or of a size beyond reason.
    Babbles(&'static str),
    Boasts(&'static str),
    /// The job is made, and ends like this, with the process where it was.
    Ends(&'static str),
}

/// What the stand-in heard.
#[derive(Debug, Default)]
struct Heard {
    greeting: String,
    calls: Vec<String>,
    moved: bool,
}

/// The values of `signature`, as text: the same for every way to write them in bytes.
struct Values<'v> {
    bytes: &'v [u8],
    at: usize,
}

impl Values<'_> {
    fn number(&mut self) -> usize {
        self.at = self.at.next_multiple_of(4);
        self.at += 4;
        u32::from_le_bytes(self.bytes[self.at - 4..self.at].try_into().unwrap()) as usize
    }

    fn text(&mut self, length: usize) -> String {
        let text = String::from_utf8(self.bytes[self.at..self.at + length].to_vec()).unwrap();
        assert_eq!(self.bytes[self.at + length], 0);
        self.at += length + 1;
        text
    }

    /// One complete type at the start of `signature`, and the rest of it.
    fn split(signature: &str) -> (&str, &str) {
        let length = match signature.as_bytes()[0] {
            b'a' => 1 + Values::split(&signature[1..]).0.len(),
            b'(' => {
                let mut depth = 0;
                let closing = signature.bytes().position(|letter| {
                    depth += i32::from(letter == b'(') - i32::from(letter == b')');
                    depth == 0
                });
                closing.unwrap() + 1
            }
            _ => 1,
        };
        signature.split_at(length)
    }

    fn all(&mut self, mut signature: &str) -> Vec<String> {
        let mut values = Vec::new();
        while !signature.is_empty() {
            let (first, rest) = Values::split(signature);
            values.push(self.one(first));
            signature = rest;
        }
        values
    }

    fn one(&mut self, signature: &str) -> String {
        match signature.as_bytes()[0] {
            b's' | b'o' => {
                let length = self.number();
                self.text(length)
            }
            b'u' => self.number().to_string(),
            b'b' => (self.number() == 1).to_string(),
            b'v' | b'g' => {
                let length = usize::from(self.bytes[self.at]);
                self.at += 1;
                let inner = self.text(length);
                if signature == "g" {
                    inner
                } else {
                    format!("<{inner} {}>", self.all(&inner).join(" "))
                }
            }
            b'a' => {
                let inner = &signature[1..];
                let length = self.number();
                self.at = self.at.next_multiple_of(if inner.starts_with('(') { 8 } else { 4 });
                let end = self.at + length;
                let mut values = Vec::new();
                while self.at < end {
                    values.push(self.one(inner));
                }
                assert_eq!(self.at, end);
                format!("[{}]", values.join(", "))
            }
            b'(' => {
                self.at = self.at.next_multiple_of(8);
                let inner = signature[1..signature.len() - 1].to_owned();
                format!("({})", self.all(&inner).join(" "))
            }
            _ => panic!("{signature}"),
        }
    }
}

/// A message of the stand-in's: kind, fields (code, signature, value) and body.
fn message(kind: u8, replies_to: u32, name: (u8, &str), signature: &str, body: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut text = |code: u8, kind: &[u8], value: &str| {
        fields.resize(fields.len().next_multiple_of(8), 0);
        fields.extend([code, 1, kind[0], 0]);
        if kind == b"g" {
            fields.push(value.len() as u8);
        } else {
            fields.extend((value.len() as u32).to_le_bytes());
        }
        fields.extend(value.bytes());
        fields.push(0);
    };
    text(7, b"s", "org.freedesktop.systemd1");
    text(name.0, b"s", name.1);
    text(8, b"g", signature);
    if replies_to != 0 {
        fields.resize(fields.len().next_multiple_of(8), 0);
        fields.extend([5, 1, b'u', 0]);
        fields.extend(replies_to.to_le_bytes());
    }
    let mut whole = vec![b'l', kind, 1, 1];
    whole.extend((body.len() as u32).to_le_bytes());
    whole.extend(77u32.to_le_bytes());
    whole.extend((fields.len() as u32).to_le_bytes());
    whole.extend(fields);
    whole.resize(whole.len().next_multiple_of(8), 0);
    whole.extend(body);
    whole
}

fn text(value: &str) -> Vec<u8> {
    let mut bytes = (value.len() as u32).to_le_bytes().to_vec();
    bytes.extend(value.bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

const JOB: &str = "/org/freedesktop/systemd1/job/4711";

fn job_removed(job: &str, result: &str) -> Vec<u8> {
    let body = [4711u32.to_le_bytes().to_vec(), text(job), text("some.scope"), text(result)].concat();
    message(4, 0, (3, "JobRemoved"), "uoss", &body)
}

/// The next call: name, serial, and what it says; None at the end.
fn next_call(stream: &mut UnixStream) -> Option<(String, u32, String)> {
    let mut head = [0u8; 16];
    stream.read_exact(&mut head).ok()?;
    assert_eq!(head[..4], [b'l', 1, 0, 1], "little-endian, a call, no flags, version 1");
    let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
    let fields_length = number(12) as usize;
    let mut fields = head[12..].to_vec();
    fields.resize(4 + (16 + fields_length).next_multiple_of(8) - 16, 0);
    stream.read_exact(&mut fields[4..]).ok()?;
    let mut body = vec![0; number(4) as usize];
    stream.read_exact(&mut body).ok()?;
    // The header's array begins at 12: values are aligned from the start of the message.
    let whole = [&head[..12], &fields[..]].concat();
    let mut values = Values { bytes: &whole, at: 16 };
    let mut known = std::collections::BTreeMap::new();
    while values.at < 16 + fields_length {
        values.at = values.at.next_multiple_of(8);
        let code = values.bytes[values.at];
        values.at += 1;
        known.insert(code, values.one("v"));
    }
    let of = |code: u8| known.get(&code).map_or("", |v| v[3..v.len() - 1].trim()).to_owned();
    let mut values = Values { bytes: &body, at: 0 };
    let arguments = values.all(&of(8));
    assert_eq!(values.at, body.len(), "the body is what the signature says");
    let said = format!("{} {} {}.{} {}", of(6), of(1), of(2), of(3), arguments.join(" "));
    Some((of(3), number(8), said))
}

fn serve(mut stream: UnixStream, manner: Manner, heard: &Mutex<Heard>) {
    let put = |stream: &mut UnixStream, bytes: &[u8]| {
        // The other side may have gone: that is part of the game.
        if manner == Manner::Piecemeal {
            for byte in bytes {
                let _ = stream.write_all(&[*byte]);
            }
        } else {
            let _ = stream.write_all(bytes);
        }
    };
    let silence = |stream: &mut UnixStream| drop(stream.read_to_end(&mut Vec::new()));
    let mut greeting = Vec::new();
    while !greeting.ends_with(b"\r\n") {
        let mut byte = [0u8];
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        greeting.push(byte[0]);
    }
    heard.lock().unwrap().greeting = String::from_utf8(greeting).unwrap();
    match manner {
        Manner::Rejects => return put(&mut stream, b"REJECTED ANONYMOUS\r\n"),
        Manner::Silent("") => return silence(&mut stream),
        Manner::Chatters => while stream.write_all(&[b'x'; 4096]).is_ok() {},
        _ => put(&mut stream, b"OK 0123456789abcdef0123456789abcdef\r\n"),
    }
    let mut begin = [0u8; 7];
    if stream.read_exact(&mut begin).is_err() || begin != *b"BEGIN\r\n" {
        return;
    }
    while let Some((member, serial, said)) = next_call(&mut stream) {
        heard.lock().unwrap().calls.push(said);
        match manner {
            Manner::Silent(at) if at == member => return silence(&mut stream),
            Manner::Closes(at) if at == member => return,
            Manner::Babbles(at) if at == member => return put(&mut stream, &[0x55; 64]),
            Manner::Boasts(at) if at == member => {
                let mut reply = message(2, serial, (3, ""), "o", &text(JOB));
                reply[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
                put(&mut stream, &reply);
                return silence(&mut stream);
            }
            Manner::Refuses(at) if at == member => {
                let reason = text("Interactive \u{1b}[31mauthentication\n required.");
                put(&mut stream, &message(3, serial, (4, "org.example.Denied"), "s", &reason));
                continue;
            }
            Manner::Piecemeal => {
                put(&mut stream, &job_removed("/another/job", "failed"));
                put(&mut stream, &message(2, serial + 1000, (3, ""), "s", &text("for somebody else")));
            }
            _ => {}
        }
        match member.as_str() {
            "Hello" => {
                put(&mut stream, &message(2, serial, (3, ""), "s", &text(":1.42")));
                put(&mut stream, &message(4, 0, (3, "NameAcquired"), "s", &text(":1.42")));
            }
            "StartTransientUnit" => {
                if !matches!(manner, Manner::Ends(_) | Manner::Silent(_)) {
                    heard.lock().unwrap().moved = true;
                }
                put(&mut stream, &message(2, serial, (3, ""), "o", &text(JOB)));
                if let Manner::Ends(result) = manner {
                    put(&mut stream, &job_removed("/another/job", "done"));
                    put(&mut stream, &job_removed(JOB, result));
                }
            }
            _ => put(&mut stream, &message(2, serial, (3, ""), "", &[])),
        }
    }
}

/// Asks a stand-in of this manner; what came of it, what was heard, and how long it took.
fn ask(manner: Manner, patience: Duration) -> (io::Result<()>, Heard, Duration) {
    let scratch = Scratch::new("scope");
    let socket = scratch.path().join("bus");
    let listener = UnixListener::bind(&socket).unwrap();
    let heard = Arc::new(Mutex::new(Heard::default()));
    let theirs = Arc::clone(&heard);
    let server: JoinHandle<()> = std::thread::spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            serve(stream, manner, &theirs);
        }
    });
    let wish = Wish { unit: "repy-7-8-9.scope".into(), pid: 7, uid: 1000 };
    let own_group = || {
        let moved = heard.lock().unwrap().moved;
        let group = if moved { "app.slice/repy-7-8-9.scope" } else { "session-3.scope" };
        Ok(format!("1:name=systemd:/x\n0::/user.slice/{group}\n"))
    };
    let began = Instant::now();
    let came = enter(&socket, &wish, own_group, began + patience);
    let took = began.elapsed();
    server.join().expect("the stand-in understood everything");
    let heard = std::mem::take(&mut *heard.lock().unwrap());
    (came, heard, took)
}

/// Far more than any answer takes.
const LONG: Duration = Duration::from_secs(60);
/// For those who never answer.
const SHORT: Duration = Duration::from_millis(300);

#[test]
fn a_delegated_scope_with_this_process_is_asked_for() {
    for manner in [Manner::Proper, Manner::Piecemeal] {
        let (came, heard, _) = ask(manner, LONG);
        came.unwrap_or_else(|error| panic!("{manner:?}: {error}"));
        // "1000" in hexadecimal digits.
        assert_eq!(heard.greeting, "\0AUTH EXTERNAL 31303030\r\n");
        let bus = "org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus";
        let manager = "org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager";
        assert_eq!(
            heard.calls,
            [
                format!("{bus}.Hello "),
                format!(
                    "{bus}.AddMatch type='signal',sender='org.freedesktop.systemd1',\
                     path='/org/freedesktop/systemd1',interface='org.freedesktop.systemd1.Manager',\
                     member='JobRemoved'"
                ),
                format!("{manager}.Subscribe "),
                format!(
                    "{manager}.StartTransientUnit repy-7-8-9.scope fail \
                     [(Description <s A Repy program, confined by repy-launch>), \
                     (CollectMode <s inactive-or-failed>), (Delegate <b true>), (PIDs <au [7]>)] []"
                ),
            ]
        );
    }
}

#[test]
fn refusals_are_told_in_words_without_control_characters() {
    let (came, _, _) = ask(Manner::Rejects, LONG);
    assert!(came.unwrap_err().to_string().contains("does not accept this user"));
    for at in ["Hello", "AddMatch", "Subscribe", "StartTransientUnit"] {
        let (came, _, _) = ask(Manner::Refuses(at), LONG);
        assert_eq!(came.unwrap_err().to_string(), format!("{at}: Interactive [31mauthentication required."));
    }
    for (result, words) in [("failed", "'failed'"), ("canceled", "'canceled'"), ("done", "is not in it")] {
        let (came, _, _) = ask(Manner::Ends(result), LONG);
        let error = came.unwrap_err().to_string();
        assert!(error.contains(words), "{result}: {error}");
    }
}

#[test]
fn who_says_nothing_is_waited_for_until_the_deadline_and_no_longer() {
    for at in ["", "Hello", "Subscribe", "StartTransientUnit", "nothing more after the job"] {
        let (came, _, took) = ask(Manner::Silent(at), SHORT);
        let error = came.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{at}: {error}");
        assert!(took >= SHORT && took < LONG / 2, "{at}: {took:?}");
    }
}

#[test]
fn who_goes_away_or_talks_nonsense_is_left() {
    for at in ["Hello", "AddMatch", "StartTransientUnit"] {
        let (came, _, took) = ask(Manner::Closes(at), LONG);
        assert_eq!(came.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{at}");
        assert!(took < LONG / 2, "{at}: {took:?}");
        for manner in [Manner::Babbles(at), Manner::Boasts(at)] {
            let (came, _, took) = ask(manner, LONG);
            assert_eq!(came.unwrap_err().kind(), io::ErrorKind::InvalidData, "{manner:?}");
            assert!(took < LONG / 2, "{manner:?}: {took:?}");
        }
    }
    let (came, _, took) = ask(Manner::Chatters, LONG);
    assert!(came.unwrap_err().to_string().contains("without end"));
    assert!(took < LONG / 2, "{took:?}");
    // Nobody there.
    let scratch = Scratch::new("scope");
    let wish = Wish { unit: "u.scope".into(), pid: 1, uid: 1 };
    let deadline = Instant::now() + LONG;
    assert!(enter(&scratch.path().join("bus"), &wish, || Ok(String::new()), deadline).is_err());
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let good = job_removed(JOB, "done");
    assert_eq!(
        wire::Message::decode(&good).unwrap().removed_job(),
        Some((JOB.to_owned(), "done".to_owned()))
    );
    for cut in 0..good.len() {
        let _ = wire::Message::decode(&good[..cut]).map(|message| message.removed_job());
    }
    for at in 0..good.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = good.clone();
            changed[at] = value;
            let _ = wire::length(&changed, 4096);
            if let Ok(message) = wire::Message::decode(&changed) {
                let _ = (message.text(), message.path(), message.removed_job());
            }
        }
    }
}
