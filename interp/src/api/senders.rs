//! Sockets that only send datagrams: one that reaches any destination, where
//! the policy allows all of them, or a few that are connected to one checked
//! destination each.
//!
//! The broker decided on a destination when it handed out its socket; the rules
//! of a run never change, so the decision holds for every later message of the
//! same shape. That saves the way to the broker and back for each message.

use std::collections::VecDeque;

use crate::host::SocketId;

/// Most destinations with a socket of their own. The descriptors that
/// `RLIMIT_NOFILE` grants beyond those of the policy pay for them.
pub const MOST: usize = 4;

/// A socket of the broker's that sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The descriptor.
    pub socket: SocketId,
    /// The broker's number.
    pub number: u32,
    /// The own port that the kernel chose.
    pub own_port: u16,
    /// Whether what it sends is loopback traffic; of one that reaches any
    /// destination that depends on the destination.
    pub loopback: bool,
}

/// A destination: the program's text (rules compare it) and the port.
type Destination = (Box<[u8]>, u16);

/// See the module.
#[derive(Debug, Default)]
pub struct Senders {
    /// Reaches every destination.
    pub anywhere: Option<Sender>,
    /// One destination each, the oldest first.
    towards: VecDeque<(Destination, Sender)>,
    /// Where the last messages went that the broker sent, the oldest first.
    recent: VecDeque<Destination>,
}

impl Senders {
    /// The socket for a destination.
    pub fn towards(&self, host: &[u8], port: u16) -> Option<Sender> {
        let same = |(destination, _): &&(Destination, Sender)| is(destination, host, port);
        self.towards.iter().find(same).map(|(_, sender)| *sender)
    }

    /// Whether a destination is worth a socket: it is when one of the last
    /// messages went there. A program that sends each message elsewhere would
    /// only make sockets and close them.
    pub fn is_wanted(&mut self, host: &[u8], port: u16) -> bool {
        if self.recent.iter().any(|destination| is(destination, host, port)) {
            return true;
        }
        if self.recent.len() >= MOST {
            self.recent.pop_front();
        }
        self.recent.push_back((host.into(), port));
        false
    }

    /// Keeps the socket for a destination; the one that has to make room for
    /// it, if any, is to be closed.
    pub fn add(&mut self, host: &[u8], port: u16, sender: Sender) -> Option<Sender> {
        let full = self.towards.len() >= MOST;
        let old = if full { self.towards.pop_front() } else { None };
        self.towards.push_back(((host.into(), port), sender));
        old.map(|(_, sender)| sender)
    }

    /// Takes out those whose own port the program wants for itself.
    pub fn leave(&mut self, port: u16) -> Vec<Sender> {
        let mut left: Vec<Sender> =
            self.anywhere.take_if(|sender| sender.own_port == port).into_iter().collect();
        self.towards.retain(|(_, sender)| {
            let stays = sender.own_port != port;
            if !stays {
                left.push(*sender);
            }
            stays
        });
        left
    }
}

fn is(destination: &Destination, host: &[u8], port: u16) -> bool {
    destination.1 == port && *destination.0 == *host
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(number: u32) -> Sender {
        Sender { socket: SocketId(number), number, own_port: 1000 + number as u16, loopback: true }
    }

    #[test]
    fn a_destination_is_its_text_and_its_port() {
        let mut senders = Senders::default();
        assert_eq!(senders.add(b"127.0.0.1", 1, sender(1)), None);
        assert_eq!(senders.towards(b"127.0.0.1", 1), Some(sender(1)));
        assert_eq!(senders.towards(b"127.0.0.1", 2), None);
        // The same address in other words may be decided on otherwise.
        assert_eq!(senders.towards(b"127.1", 1), None);
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut senders = Senders::default();
        for number in 0..MOST as u32 {
            assert_eq!(senders.add(b"10.0.0.1", number as u16, sender(number)), None);
        }
        assert_eq!(senders.add(b"10.0.0.1", 99, sender(99)), Some(sender(0)));
        assert_eq!(senders.towards(b"10.0.0.1", 0), None);
        assert_eq!(senders.towards(b"10.0.0.1", 99), Some(sender(99)));
    }

    #[test]
    fn only_what_is_sent_to_again_is_wanted() {
        let mut senders = Senders::default();
        assert!(!senders.is_wanted(b"10.0.0.1", 1));
        assert!(senders.is_wanted(b"10.0.0.1", 1));
        for round in 0..3 {
            for port in 10..=10 + MOST as u16 {
                assert!(!senders.is_wanted(b"10.0.0.1", port), "{round} {port}");
            }
        }
    }

    #[test]
    fn own_ports_are_left_to_the_program() {
        let mut senders = Senders { anywhere: Some(sender(1)), ..Senders::default() };
        senders.add(b"10.0.0.1", 1, sender(2));
        assert_eq!(senders.leave(1003), []);
        assert_eq!(senders.leave(1001), [sender(1)]);
        assert_eq!(senders.leave(1002), [sender(2)]);
        assert!(senders.anywhere.is_none() && senders.towards(b"10.0.0.1", 1).is_none());
    }
}
