//! Asking name servers: UDP first, TCP where the answer was cut short.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{recv, send, MsgFlags};
use policies::channel::network::MAXIMUM_ADDRESSES;

use super::config::Config;
use super::wire::{self, Said, CHAIN};
use super::{Entry, Problem};
use crate::broker::socket;
use crate::sys::random;

/// Longest answer by UDP that is read, in bytes. Servers keep to 512.
const LONGEST: usize = 4096;

/// Looks a host name up with the servers of `config`, until `deadline`.
///
/// # Errors
/// Why there is no address.
pub fn look_up(config: &Config, name: &[u8], deadline: Instant) -> Result<Entry, Problem> {
    let mut problem = Problem::NoName;
    for candidate in config.candidates(name) {
        match follow(config, candidate, deadline) {
            Ok(entry) => return Ok(entry),
            // A domain that knows the name without an address, or that could
            // not be asked, says more than one that does not know it.
            Err(found) if found != Problem::NoName => problem = found,
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            return Err(Problem::TryAgain);
        }
    }
    Err(problem)
}

/// Asks for one name, and for the names it leads to.
fn follow(config: &Config, name: Vec<u8>, deadline: Instant) -> Result<Entry, Problem> {
    let mut passed: Vec<Vec<u8>> = Vec::new();
    let mut wanted = name;
    for _ in 0..CHAIN {
        let Said::Known { mut names, addresses, unfinished, .. } = ask_all(config, &wanted, deadline)? else {
            return Err(Problem::NoName);
        };
        let last = names.pop().unwrap_or_default();
        passed.extend(names);
        if !unfinished {
            let mut entry = Entry { name: last, ..Entry::default() };
            passed.iter().for_each(|alias| entry.add_alias(alias));
            addresses.into_iter().for_each(|address| entry.add_address(address));
            return if entry.addresses.is_empty() { Err(Problem::NoAddress) } else { Ok(entry) };
        }
        wanted = last;
    }
    Err(Problem::Fail)
}

/// Asks the servers in turn until one knows: `NoName` or `Known`.
fn ask_all(config: &Config, name: &[u8], deadline: Instant) -> Result<Said, Problem> {
    for _ in 0..config.attempts {
        for server in &config.servers {
            let now = Instant::now();
            if now >= deadline {
                return Err(Problem::TryAgain);
            }
            let until = deadline.min(now + config.timeout);
            match ask(*server, name, until) {
                Some(Said::Failed) | None => {}
                Some(said) => return Ok(said),
            }
        }
    }
    Err(Problem::TryAgain)
}

/// Asks one server; none if it gave no answer in time.
fn ask(server: SocketAddrV4, name: &[u8], until: Instant) -> Option<Said> {
    let mut id = [0u8; 2];
    random::fill(&mut id).ok()?;
    let id = u16::from_be_bytes(id);
    let question = wire::question(id, name);
    let said = by_datagram(server, &question, id, name, until)?;
    if let Said::Known { truncated: true, ref addresses, .. } = said {
        // Enough already, or a server that does not speak TCP: what came counts.
        if addresses.len() < MAXIMUM_ADDRESSES {
            return by_stream(server, &question, id, name, until).or(Some(said));
        }
    }
    Some(said)
}

fn by_datagram(server: SocketAddrV4, question: &[u8], id: u16, name: &[u8], until: Instant) -> Option<Said> {
    // The kernel picks a random port, and takes answers of this server alone.
    let socket = socket::connected_datagram(None, server).ok()?;
    send(socket.as_raw_fd(), question, MsgFlags::MSG_NOSIGNAL).ok()?;
    let mut buffer = vec![0u8; LONGEST];
    loop {
        match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(count) => {
                if let Some(said) = wire::answer(buffer.get(..count)?, id, name, MAXIMUM_ADDRESSES) {
                    return Some(said);
                }
                // Somebody else's answer, or none: the right one may still come.
                if Instant::now() >= until {
                    return None;
                }
            }
            Err(Errno::EAGAIN) => wait(&socket, PollFlags::POLLIN, until)?,
            Err(Errno::EINTR) => {}
            // Nobody listens there.
            Err(_) => return None,
        }
    }
}

fn by_stream(server: SocketAddrV4, question: &[u8], id: u16, name: &[u8], until: Instant) -> Option<Said> {
    let socket = socket::connecting(None, server).ok()?;
    wait(&socket, PollFlags::POLLOUT, until)?;
    socket::outcome(&socket, server).ok()?;
    let length = u16::try_from(question.len()).ok()?;
    let mut rest = &[&length.to_be_bytes()[..], question].concat()[..];
    while !rest.is_empty() {
        match send(socket.as_raw_fd(), rest, MsgFlags::MSG_NOSIGNAL) {
            Ok(count) => rest = rest.get(count..)?,
            Err(Errno::EAGAIN) => wait(&socket, PollFlags::POLLOUT, until)?,
            Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
    let head = receive(&socket, 2, until)?;
    let length = u16::from_be_bytes([*head.first()?, *head.get(1)?]);
    wire::answer(&receive(&socket, usize::from(length), until)?, id, name, MAXIMUM_ADDRESSES)
}

/// Receives exactly `count` bytes.
fn receive(socket: &OwnedFd, count: usize, until: Instant) -> Option<Vec<u8>> {
    let mut buffer = vec![0u8; count];
    let mut filled = 0;
    while filled < count {
        match recv(socket.as_raw_fd(), buffer.get_mut(filled..)?, MsgFlags::empty()) {
            Ok(0) => return None,
            Ok(more) => filled += more,
            Err(Errno::EAGAIN) => wait(socket, PollFlags::POLLIN, until)?,
            Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
    Some(buffer)
}

/// Waits for a socket; none if it is not ready in time.
fn wait(socket: &OwnedFd, events: PollFlags, until: Instant) -> Option<()> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return None;
        }
        let milliseconds = u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX);
        match poll(&mut [PollFd::new(socket.as_fd(), events)], PollTimeout::from(milliseconds)) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Some(()),
            Err(_) => return None,
        }
    }
}

/// The name that needs no file and no server (RFC 6761).
pub fn built_in(name: &[u8]) -> Option<Entry> {
    super::names::same(name, b"localhost").then(|| Entry {
        name: b"localhost".to_vec(),
        aliases: Vec::new(),
        addresses: vec![Ipv4Addr::LOCALHOST],
    })
}

#[cfg(test)]
mod tests {
    use super::super::wire::tests::{reply, Put};
    use super::*;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, UdpSocket};

    fn config(servers: Vec<SocketAddrV4>) -> Config {
        Config { servers, timeout: Duration::from_millis(300), attempts: 2, ..Config::default() }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn end(of: SocketAddr) -> SocketAddrV4 {
        match of {
            SocketAddr::V4(end) => end,
            SocketAddr::V6(_) => panic!("IPv4 expected"),
        }
    }

    /// A server that answers as `answer` says, as long as the test lasts.
    fn server(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddrV4 {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let at = end(socket.local_addr().expect("its end"));
        std::thread::spawn(move || {
            let mut buffer = [0u8; 2048];
            while let Ok((count, from)) = socket.recv_from(&mut buffer) {
                for packet in answer(&buffer[..count]) {
                    let _ = socket.send_to(&packet, from);
                }
            }
        });
        at
    }

    #[test]
    fn a_good_server_is_believed_and_a_forger_is_not() {
        let at = server(|asked| {
            let mut forged = reply(asked, 0, &[Put::A("web.example", [6, 6, 6, 6])]);
            forged[1] ^= 1;
            vec![
                b"garbage".to_vec(),
                vec![],
                forged,
                reply(
                    asked,
                    0,
                    &[Put::Link("web.example", "real.example"), Put::A("real.example", [1, 2, 3, 4])],
                ),
            ]
        });
        let entry = look_up(&config(vec![at]), b"web.example", soon()).expect("found");
        assert_eq!(entry.name, b"real.example");
        assert_eq!(entry.aliases, [b"web.example".to_vec()]);
        assert_eq!(entry.addresses, [Ipv4Addr::new(1, 2, 3, 4)]);
    }

    #[test]
    fn a_dead_server_ends_by_the_deadline_and_the_next_one_is_asked() {
        let dead = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let dead_at = end(dead.local_addr().expect("its end"));
        let start = Instant::now();
        let never = Config { timeout: Duration::from_secs(30), ..config(vec![dead_at]) };
        let deadline = start + Duration::from_millis(200);
        assert_eq!(look_up(&never, b"x.example", deadline), Err(Problem::TryAgain));
        assert!(start.elapsed() >= Duration::from_millis(200) && start.elapsed() < Duration::from_secs(10));
        let good = server(|asked| vec![reply(asked, 0, &[Put::A("x.example", [1, 1, 1, 1])])]);
        assert!(look_up(&config(vec![dead_at, good]), b"x.example", soon()).is_ok());
        // Nobody listens: known at once.
        drop(dead);
        assert_eq!(look_up(&config(vec![dead_at]), b"x.example", soon()), Err(Problem::TryAgain));
    }

    #[test]
    fn problems_are_told_apart() {
        for (code, problem) in [(3, Problem::NoName), (2, Problem::TryAgain), (0, Problem::NoAddress)] {
            let at = server(move |asked| vec![reply(asked, code, &[])]);
            assert_eq!(look_up(&config(vec![at]), b"x.example", soon()), Err(problem), "{code}");
        }
        let around =
            server(|asked| vec![reply(asked, 0, &[Put::Link("a.x", "b.x"), Put::Link("b.x", "a.x")])]);
        assert_eq!(look_up(&config(vec![around]), b"a.x", soon()), Err(Problem::TryAgain));
        // One link at a time, for ever.
        let onward = server(|asked| {
            let number: usize = asked[13..].iter().take_while(|b| b.is_ascii_digit()).count();
            let owner = format!("{}.x", "1".repeat(number));
            vec![reply(asked, 0, &[Put::Link(&owner, &format!("{}.x", "1".repeat(number + 1)))])]
        });
        assert_eq!(look_up(&config(vec![onward]), b"1.x", soon()), Err(Problem::Fail));
    }

    #[test]
    fn a_cut_answer_is_asked_for_again_by_tcp() {
        let many: Vec<[u8; 4]> = (0..1000u32).map(|i| (0x0a00_0000 + i).to_be_bytes()).collect();
        let records = move |asked: &[u8], flags| {
            let records: Vec<Put<'_>> = many.iter().map(|address| Put::A("many.x", *address)).collect();
            reply(asked, flags, &records)
        };
        let stream = TcpListener::bind("127.0.0.1:0").expect("bound");
        let at = end(stream.local_addr().expect("its end"));
        let datagrams = UdpSocket::bind(at).expect("the same port");
        let cut = records.clone();
        std::thread::spawn(move || {
            let mut buffer = [0u8; 2048];
            while let Ok((count, from)) = datagrams.recv_from(&mut buffer) {
                let mut packet = cut(&buffer[..count], 0x0200);
                packet.truncate(512);
                let _ = datagrams.send_to(&packet, from);
            }
        });
        let whole = config(vec![at]);
        // Without TCP the records of the datagram count.
        std::thread::spawn(move || {
            for stream in stream.incoming().flatten() {
                let mut stream = stream;
                let mut head = [0u8; 2];
                if stream.read_exact(&mut head).is_err() {
                    continue;
                }
                let mut asked = vec![0u8; usize::from(u16::from_be_bytes(head))];
                if stream.read_exact(&mut asked).is_err() {
                    continue;
                }
                let answer = records(&asked, 0);
                let _ = stream.write_all(&(answer.len() as u16).to_be_bytes());
                let _ = stream.write_all(&answer);
            }
        });
        let entry = look_up(&whole, b"many.x", soon()).expect("found");
        assert_eq!(entry.addresses.len(), MAXIMUM_ADDRESSES);
        let alone = server(|asked| {
            let mut packet =
                reply(asked, 0x0200, &[Put::A("few.x", [1, 1, 1, 1]), Put::A("few.x", [1, 1, 1, 2])]);
            packet.truncate(packet.len() - 3);
            vec![packet]
        });
        let entry = look_up(&config(vec![alone]), b"few.x", soon()).expect("found");
        assert_eq!(entry.addresses, [Ipv4Addr::new(1, 1, 1, 1)]);
    }
}
