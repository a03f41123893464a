//! The few words of the bus protocol that asking for a scope takes: greeting, three
//! calls, one signal. Whatever the other side sends, what is read is bounded, and
//! nothing is waited for beyond the deadline.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::wire::{self, Body, Call, Kind, Message};

/// Most bytes of messages that are held, of lines of the greeting too.
const LONGEST: usize = 64 << 10;

/// Where the manager is, and by which names.
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const SYSTEMD: (&str, &str) = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1");
/// The same for the bus itself.
const BUS: (&str, &str) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");

/// Signals that tell of ended jobs.
const JOBS: &str = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
                    interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

/// A connection to the user's bus.
pub struct Bus {
    stream: UnixStream,
    deadline: Instant,
    /// What was received and not yet read.
    pending: Vec<u8>,
    serial: u32,
    /// Ended jobs that were told of while something else was awaited.
    ended: Vec<(String, String)>,
}

impl Bus {
    /// Connects, says who we are and is given a name.
    pub fn connect(socket: &Path, uid: u32, deadline: Instant) -> io::Result<Bus> {
        let stream = UnixStream::connect(socket)?;
        let mut bus = Bus { stream, deadline, pending: Vec::new(), serial: 0, ended: Vec::new() };
        // The user's number in decimal, its digits in hexadecimal.
        let digits: String = uid.to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
        bus.send(format!("\0AUTH EXTERNAL {digits}\r\n").as_bytes())?;
        let answer = bus.line()?;
        if !answer.starts_with("OK ") {
            return Err(io::Error::other(format!("the bus does not accept this user: {}", shown(&answer))));
        }
        bus.send(b"BEGIN\r\n")?;
        bus.call(Call { to: BUS, interface: BUS.0, member: "Hello", body: Body::new() })?;
        Ok(bus)
    }

    /// Asks to be told of jobs that end.
    pub fn subscribe(&mut self) -> io::Result<()> {
        let body = Body::new().text(JOBS);
        self.call(Call { to: BUS, interface: BUS.0, member: "AddMatch", body })?;
        self.call(Call { to: SYSTEMD, interface: MANAGER, member: "Subscribe", body: Body::new() })?;
        Ok(())
    }

    /// Asks for a delegated scope with one process in it; the job that makes it.
    pub fn start_scope(&mut self, unit: &str, pid: u32) -> io::Result<String> {
        let body = Body::new().text(unit).text("fail").properties(&[
            ("Description", wire::Value::Text("A Repy program, confined by repy-launch")),
            ("CollectMode", wire::Value::Text("inactive-or-failed")),
            ("Delegate", wire::Value::Truth(true)),
            ("PIDs", wire::Value::Numbers(&[pid])),
        ]);
        // The last argument, other units to be made with it: none.
        let body = body.no_units();
        let reply =
            self.call(Call { to: SYSTEMD, interface: MANAGER, member: "StartTransientUnit", body })?;
        reply.path().ok_or_else(|| io::Error::other("systemd's answer names no job"))
    }

    /// How the job ended, if it is told within `wait`.
    ///
    /// # Errors
    /// The deadline is over, or the connection.
    pub fn job_result(&mut self, job: &str, wait: Duration) -> io::Result<Option<String>> {
        let until = self.deadline.min(Instant::now() + wait);
        loop {
            if let Some(position) = self.ended.iter().position(|(ended, _)| ended == job) {
                return Ok(Some(self.ended.swap_remove(position).1));
            }
            match self.message(until)? {
                Some(message) => self.note(&message),
                None if Instant::now() >= self.deadline => return Err(late()),
                None => return Ok(None),
            }
        }
    }

    fn note(&mut self, message: &Message) {
        // Bounded: a manager that tells of thousands of jobs tells nothing of ours.
        if message.kind == Kind::Signal && message.member == "JobRemoved" && self.ended.len() < 1000 {
            self.ended.extend(message.removed_job());
        }
    }

    fn call(&mut self, call: Call<'_>) -> io::Result<Message> {
        self.serial += 1;
        let serial = self.serial;
        let member = call.member;
        self.send(&call.encode(serial))?;
        loop {
            let message = self.message(self.deadline)?.ok_or_else(late)?;
            match message.kind {
                Kind::Reply if message.replies_to == serial => return Ok(message),
                Kind::Error if message.replies_to == serial => {
                    let said = message.text().unwrap_or_else(|| message.error.clone());
                    return Err(io::Error::other(format!("{member}: {}", shown(&said))));
                }
                _ => self.note(&message),
            }
        }
    }

    /// The next message; None if none is whole by `until`.
    fn message(&mut self, until: Instant) -> io::Result<Option<Message>> {
        loop {
            if let Some(length) = wire::length(&self.pending, LONGEST)? {
                if self.pending.len() >= length {
                    let rest = self.pending.split_off(length);
                    let message = std::mem::replace(&mut self.pending, rest);
                    return Message::decode(&message).map(Some);
                }
            }
            if !self.receive(until)? {
                return Ok(None);
            }
        }
    }

    /// A line of the greeting.
    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.pending.windows(2).position(|two| two == b"\r\n") {
                let rest = self.pending.split_off(end + 2);
                let line = std::mem::replace(&mut self.pending, rest);
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.pending.len() > LONGEST {
                return Err(io::Error::other("the bus greets without end"));
            }
            if !self.receive(self.deadline)? {
                return Err(late());
            }
        }
    }

    /// Takes what has come; false if nothing comes by `until`.
    fn receive(&mut self, until: Instant) -> io::Result<bool> {
        let left = until.saturating_duration_since(Instant::now());
        // A timeout of nothing would be none at all.
        self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let mut buffer = [0u8; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the bus closed the connection")),
            Ok(length) => {
                self.pending.extend_from_slice(&buffer[..length]);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(Instant::now() < until)
            }
            Err(error) => Err(error),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.stream.set_write_timeout(Some(left.max(Duration::from_millis(1))))?;
        self.stream.write_all(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => late(),
            _ => error,
        })
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the user's systemd gave no answer in time")
}

/// What another process said, fit for a terminal.
fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(300).collect()
}
