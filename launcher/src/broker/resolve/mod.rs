//! Names: literals at once, everything else in a short-lived child, so that
//! neither a slow server nor a hostile answer reaches the broker itself.

pub mod ask;
pub mod config;
pub mod hosts;
pub mod names;
pub mod pool;
pub mod wire;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use policies::channel::network::{
    Failure, Reply, ReplyFrame, MAXIMUM_ADDRESSES, MAXIMUM_ALIASES, MAXIMUM_HOST,
};

/// Longest hosts file or configuration that is read, in bytes.
const LONGEST_FILE: u64 = 1 << 20;

/// What a name stands for, bounded as the frames are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Canonical name.
    pub name: Vec<u8>,
    /// Other names, at most [`MAXIMUM_ALIASES`].
    pub aliases: Vec<Vec<u8>>,
    /// Addresses, at most [`MAXIMUM_ADDRESSES`].
    pub addresses: Vec<Ipv4Addr>,
}

impl Entry {
    fn add_alias(&mut self, alias: &[u8]) {
        let known =
            names::same(alias, &self.name) || self.aliases.iter().any(|known| names::same(known, alias));
        if !known && self.aliases.len() < MAXIMUM_ALIASES && alias.len() <= MAXIMUM_HOST {
            self.aliases.push(alias.to_vec());
        }
    }

    fn add_address(&mut self, address: Ipv4Addr) {
        if !self.addresses.contains(&address) && self.addresses.len() < MAXIMUM_ADDRESSES {
            self.addresses.push(address);
        }
    }
}

/// Why a name has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// There is no such name.
    NoName,
    /// It is there, without an address.
    NoAddress,
    /// No server could be asked in time.
    TryAgain,
    /// It leads from name to name without end.
    Fail,
    /// An IPv6 address.
    Family,
}

impl Problem {
    /// The failure a program sees: number and text of `getaddrinfo`
    /// (`EAI_*` of the C library).
    pub fn failure(self) -> Failure {
        let (code, text) = match self {
            Problem::NoName => (-2, "Name or service not known"),
            Problem::TryAgain => (-3, "Temporary failure in name resolution"),
            Problem::Fail => (-4, "Non-recoverable failure in name resolution"),
            Problem::NoAddress => (-5, "No address associated with hostname"),
            Problem::Family => (-9, "Address family for hostname not supported"),
        };
        Failure::Resolve { code, text: text.to_owned() }
    }
}

/// The address that a text spells without any look-up: IPv4 in all spellings of
/// the C library, IPv4 mapped into IPv6; none for a name. The empty text is any
/// address, as in Python.
///
/// # Errors
/// An IPv6 address, or a text that is neither address nor name.
pub fn literal(text: &[u8]) -> Result<Option<Ipv4Addr>, Problem> {
    if text.is_empty() {
        return Ok(Some(Ipv4Addr::UNSPECIFIED));
    }
    if let Some(address) = policies::address::parse_literal(text) {
        return Ok(Some(address));
    }
    let written = std::str::from_utf8(text).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
    match written.map(|address| address.to_ipv4_mapped()) {
        Some(None) => return Err(Problem::Family),
        Some(mapped) => return Ok(mapped),
        None => {}
    }
    match names::is_host_name(names::without_root(text).0) {
        true => Ok(None),
        false => Err(Problem::NoName),
    }
}

/// The two files, opened before the broker gives up opening files.
#[derive(Debug, Default)]
pub struct Files {
    /// `/etc/hosts`.
    pub hosts: Option<OwnedFd>,
    /// `/etc/resolv.conf`.
    pub resolver: Option<OwnedFd>,
}

impl Files {
    /// Opens both; what is not there is empty.
    pub fn open() -> Files {
        let open = |path: &str| {
            let file = std::fs::File::open(path).ok()?;
            // A FIFO or device would block or never end.
            file.metadata().ok().filter(|kind| kind.is_file())?;
            Some(OwnedFd::from(file))
        };
        Files { hosts: open("/etc/hosts"), resolver: open("/etc/resolv.conf") }
    }
}

/// The text of a file from its beginning, as far as it is read.
fn text_of(file: Option<&OwnedFd>) -> Vec<u8> {
    let Some(file) = file else { return Vec::new() };
    let mut text = Vec::new();
    let mut block = [0u8; 4096];
    while (text.len() as u64) < LONGEST_FILE {
        match nix::sys::uio::pread(file.as_fd(), &mut block, text.len() as i64) {
            Ok(count @ 1..) => text.extend(block.get(..count).unwrap_or_default()),
            Err(nix::errno::Errno::EINTR) => {}
            _ => break,
        }
    }
    text
}

/// Looks a host name up: the hosts file, then (unless `near`) the servers.
///
/// # Errors
/// Why there is no address.
pub fn look_up(files: &Files, name: &[u8], near: bool, deadline: Instant) -> Result<Entry, Problem> {
    let (plain, _) = names::without_root(name);
    if let Some(entry) = hosts::look_up(&text_of(files.hosts.as_ref()), plain) {
        return Ok(entry);
    }
    if let Some(entry) = ask::built_in(plain) {
        return Ok(entry);
    }
    if near {
        return Err(Problem::NoName);
    }
    ask::look_up(&config::read(&text_of(files.resolver.as_ref())), name, deadline)
}

/// The frame in which a child hands its result to the broker.
fn encode(result: Result<Entry, Problem>) -> Vec<u8> {
    let result = match result {
        Ok(Entry { name, aliases, addresses }) => Ok(Reply::HostEntry { name, aliases, addresses }),
        Err(problem) => Err(problem.failure()),
    };
    // An entry is within the limits of frames; if not, it is as good as none.
    ReplyFrame { id: 0, result }.encode().unwrap_or_default()
}

/// Reads that frame. The child has read what strangers sent: its word counts
/// for no more than theirs.
fn decode(bytes: &[u8]) -> Result<Entry, Failure> {
    match ReplyFrame::decode(bytes) {
        Ok(ReplyFrame { result: Ok(Reply::HostEntry { name, aliases, addresses }), .. })
            if !addresses.is_empty() =>
        {
            Ok(Entry { name, aliases, addresses })
        }
        Ok(ReplyFrame { result: Err(failure @ Failure::Resolve { .. }), .. }) => Err(failure),
        _ => Err(Problem::TryAgain.failure()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_before_names() {
        let home = Ok(Some(Ipv4Addr::LOCALHOST));
        for text in
            [&b"127.0.0.1"[..], b"127.1", b"0x7f.1", b"017700000001", b"2130706433", b"::ffff:127.0.0.1"]
        {
            assert_eq!(literal(text), home, "{text:?}");
        }
        for text in [&b""[..], b"0", b"0.0", b"::ffff:0.0.0.0", b"0x0"] {
            assert_eq!(literal(text), Ok(Some(Ipv4Addr::UNSPECIFIED)), "{text:?}");
        }
        for text in [&b"::1"[..], b"::", b"fe80::1", b"::127.0.0.1"] {
            assert_eq!(literal(text), Err(Problem::Family), "{text:?}");
        }
        for text in [
            &b"127.0.0.1 "[..],
            b" 0",
            b"*",
            b"<broadcast>",
            b"1.2.3.4.5",
            b"256.1.1.1",
            b"\xff",
            b"a\0b",
            b"127.0.0.1.",
        ] {
            assert_eq!(literal(text), Err(Problem::NoName), "{text:?}");
        }
        for text in [&b"localhost"[..], b"localhost.", b"www.example.com"] {
            assert_eq!(literal(text), Ok(None), "{text:?}");
        }
    }

    #[test]
    fn what_a_child_says_is_held_to_the_frames() {
        let entry = Entry { name: b"a".to_vec(), aliases: vec![], addresses: vec![Ipv4Addr::LOCALHOST] };
        assert_eq!(decode(&encode(Ok(entry.clone()))), Ok(entry));
        for problem in
            [Problem::NoName, Problem::NoAddress, Problem::TryAgain, Problem::Fail, Problem::Family]
        {
            assert_eq!(decode(&encode(Err(problem))), Err(problem.failure()));
        }
        let facts = ReplyFrame { id: 0, result: Ok(Reply::Address(Ipv4Addr::LOCALHOST)) };
        for bytes in [&[][..], b"junk", &facts.encode().expect("a frame"), &encode(Ok(Entry::default()))] {
            assert_eq!(decode(bytes), Err(Problem::TryAgain.failure()));
        }
    }

    #[test]
    fn the_hosts_file_is_read_first_and_near_names_ask_nobody() {
        let scratch = crate::testing::Scratch::new("hosts");
        let path = scratch.path().join("hosts");
        std::fs::write(&path, "10.1.2.3 here.example here\n").expect("written");
        let files = Files { hosts: std::fs::File::open(&path).ok().map(OwnedFd::from), resolver: None };
        let now = Instant::now();
        let entry = look_up(&files, b"HERE.", true, now).expect("found");
        assert_eq!(entry.addresses, [Ipv4Addr::new(10, 1, 2, 3)]);
        // Changed in place: seen, though it is not opened again.
        std::fs::write(&path, "10.1.2.4 here\n").expect("written");
        assert_eq!(
            look_up(&files, b"here", true, now).map(|entry| entry.addresses),
            Ok(vec![[10, 1, 2, 4].into()])
        );
        assert_eq!(look_up(&files, b"elsewhere", true, now), Err(Problem::NoName));
        assert_eq!(
            look_up(&files, b"localhost", true, now).map(|entry| entry.addresses),
            Ok(vec![Ipv4Addr::LOCALHOST])
        );
    }
}
