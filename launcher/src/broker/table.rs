//! What the broker remembers between requests: sockets it handed out, and
//! destinations it resolved. Both bounded.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;

use super::decide::Destination;

/// Most destinations remembered for later requests.
const TOKENS: usize = 256;

/// A socket that the interpreter has been given.
#[derive(Debug)]
pub enum Held {
    /// It listens.
    Listener(SocketAddrV4),
    /// It receives datagrams; the broker sends by the same socket.
    Receiver(SocketAddrV4, OwnedFd),
    /// It sends datagrams.
    Sender,
    /// It is connected.
    Connection {
        /// Own end.
        own: SocketAddrV4,
        /// Other end.
        peer: SocketAddrV4,
    },
}

/// The sockets handed out, by number.
#[derive(Debug, Default)]
pub struct Sockets {
    held: HashMap<u32, Held>,
    last: u32,
    listening: usize,
    connections: usize,
    senders: usize,
}

impl Sockets {
    fn counter(&mut self, held: &Held) -> &mut usize {
        match held {
            Held::Listener(_) | Held::Receiver(..) => &mut self.listening,
            Held::Connection { .. } => &mut self.connections,
            Held::Sender => &mut self.senders,
        }
    }

    /// Keeps a socket under a new number.
    pub fn add(&mut self, held: Held) -> u32 {
        loop {
            // Numbers come round after four thousand million sockets.
            self.last = self.last.wrapping_add(1);
            if !self.held.contains_key(&self.last) {
                break;
            }
        }
        self.keep(self.last, held);
        self.last
    }

    /// Keeps a socket under the number it had.
    pub fn keep(&mut self, number: u32, held: Held) {
        *self.counter(&held) += 1;
        self.held.insert(number, held);
    }

    /// Takes a socket out.
    pub fn remove(&mut self, number: u32) -> Option<Held> {
        let held = self.held.remove(&number)?;
        *self.counter(&held) -= 1;
        Some(held)
    }

    /// Live handles of `waitforconn` and `recvmess`.
    pub fn listening(&self) -> usize {
        self.listening
    }

    /// Live sockets of `openconn`.
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// Live sockets that send datagrams.
    pub fn senders(&self) -> usize {
        self.senders
    }

    /// The socket that receives on exactly this address and port.
    pub fn receiver(&self, at: SocketAddrV4) -> Option<&OwnedFd> {
        self.held.values().find_map(|held| match held {
            Held::Receiver(own, socket) if *own == at => Some(socket),
            _ => None,
        })
    }

    /// The number of the connection with exactly these ends.
    pub fn connection(&self, ends: (SocketAddrV4, SocketAddrV4)) -> Option<u32> {
        self.held.iter().find_map(|(number, held)| match held {
            Held::Connection { own, peer } if (*own, *peer) == ends => Some(*number),
            _ => None,
        })
    }
}

/// Destinations that have been resolved, by token.
#[derive(Debug, Default)]
pub struct Tokens {
    known: VecDeque<(u32, Destination)>,
    last: u32,
}

impl Tokens {
    /// Remembers a destination; the oldest is forgotten where there are too many.
    pub fn add(&mut self, destination: Destination) -> u32 {
        if self.known.len() >= TOKENS {
            self.known.pop_front();
        }
        self.last = self.last.wrapping_add(1);
        self.known.push_back((self.last, destination));
        self.last
    }

    /// The destination of a token.
    pub fn get(&self, token: u32) -> Option<&Destination> {
        self.known.iter().rev().find_map(|(known, destination)| (*known == token).then_some(destination))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn sockets_are_counted_by_kind() {
        let at = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let mut sockets = Sockets::default();
        let first = sockets.add(Held::Listener(at(1)));
        let second = sockets.add(Held::Connection { own: at(2), peer: at(3) });
        let third = sockets.add(Held::Sender);
        assert_eq!((sockets.listening(), sockets.connections(), sockets.senders()), (1, 1, 1));
        assert_eq!(sockets.connection((at(2), at(3))), Some(second));
        assert_eq!(sockets.connection((at(3), at(2))), None);
        assert!(sockets.receiver(at(1)).is_none());
        assert!(sockets.remove(first).is_some() && sockets.remove(first).is_none());
        assert!(sockets.remove(second).is_some() && sockets.remove(third).is_some());
        assert_eq!((sockets.listening(), sockets.connections(), sockets.senders()), (0, 0, 0));
    }

    #[test]
    fn the_oldest_destination_is_forgotten() {
        let mut tokens = Tokens::default();
        let destination = |i: u32| Destination { text: vec![b'x'], address: Ipv4Addr::from(i) };
        let all: Vec<u32> = (0..2 * TOKENS as u32).map(|i| tokens.add(destination(i))).collect();
        assert_eq!(tokens.get(all[0]), None);
        assert_eq!(tokens.get(all[TOKENS - 1]), None);
        assert_eq!(tokens.get(all[TOKENS]), Some(&destination(TOKENS as u32)));
    }
}
