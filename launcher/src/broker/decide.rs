//! What the policy says of a request: pure, on the addresses really used.

use std::net::Ipv4Addr;

use policies::address::parse_literal;
use policies::channel::network::{Failure, Request};
use policies::{Action, Call, Condition, Policy, PortKind, Resource, Rule};

/// The policy of the run as the broker applies it.
#[derive(Debug)]
pub struct Judge {
    policy: Policy,
    restrictions: bool,
}

/// The destination of a request: the text of the program and the address it
/// stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// As the program wrote it.
    pub text: Vec<u8>,
    /// What it was resolved to, once.
    pub address: Ipv4Addr,
}

impl Destination {
    /// The address that packets really go to. The kernel reads 0.0.0.0 as this
    /// host: the own address if there is one, else loopback.
    pub fn used(&self, own: Option<Ipv4Addr>) -> Ipv4Addr {
        if !self.address.is_unspecified() {
            return self.address;
        }
        own.filter(|own| !own.is_unspecified()).unwrap_or(Ipv4Addr::LOCALHOST)
    }
}

impl Judge {
    /// Without `restrictions` (`--norestrictions`) the call rules do not count;
    /// ports and item limits do.
    pub fn new(policy: Policy, restrictions: bool) -> Judge {
        Judge { policy, restrictions }
    }

    /// Whether datagrams may go anywhere, so that the interpreter may hold
    /// sockets that are not connected. The launcher builds the interpreter's
    /// filter by the same test.
    pub fn free_datagrams(&self) -> bool {
        !self.restrictions || self.policy.decided(Call::SendMess).is_some_and(|decision| decision.is_allow())
    }

    /// Whether a sender socket for one destination can be handed out: not where
    /// rules look at the message, which the broker would never see.
    pub fn grants_sender(&self) -> bool {
        const MESSAGE: usize = 2;
        !self.restrictions || !self.policy.looks_at(Call::SendMess, MESSAGE)
    }

    /// How many sockets of a kind may be there at once.
    pub fn limit(&self, resource: Resource) -> usize {
        usize::try_from(self.policy.whole(resource)).unwrap_or(usize::MAX)
    }

    /// Decides by the rules, with the destination and the own address that will
    /// be used.
    ///
    /// # Errors
    /// [`Failure::Refused`].
    pub fn rules(
        &self,
        request: &Request,
        destination: Option<&Destination>,
        own: Option<Ipv4Addr>,
    ) -> Result<(), Failure> {
        let Some(call) = request.call().filter(|_| self.restrictions) else { return Ok(()) };
        let decide = |address: Option<Ipv4Addr>| {
            let shown =
                destination.zip(address).map(|(destination, address)| (&destination.text[..], address));
            if self.policy.decide(call, &request.arguments(shown, own)).is_allow() {
                Ok(())
            } else {
                Err(Failure::Refused { destination: address, local: own })
            }
        };
        let Some(destination) = destination else { return decide(None) };
        // 0.0.0.0 is decided on twice: as written, and as what it means.
        decide(Some(destination.address))?;
        let used = destination.used(own);
        if used == destination.address {
            Ok(())
        } else {
            decide(Some(used))
        }
    }

    /// Decides what can be decided before a name is resolved, so that no
    /// question goes out for a call that cannot be allowed.
    ///
    /// # Errors
    /// [`Failure::Refused`].
    pub fn before_names(&self, request: &Request, host: Option<&[u8]>) -> Result<(), Failure> {
        if !self.restrictions {
            return Ok(());
        }
        let refused = Failure::Refused { destination: None, local: None };
        match (request.call(), host) {
            (None, Some(text)) => {
                let calls = [Call::SendMess, Call::OpenConn];
                if calls.into_iter().any(|call| self.may_pass(call, text)) {
                    Ok(())
                } else {
                    Err(refused)
                }
            }
            (Some(call), Some(text)) if self.may_pass(call, text) => Ok(()),
            (Some(_), Some(_)) => Err(refused),
            // No name, or none that is a destination: the rules decide alone.
            (_, None) => Ok(()),
        }
    }

    /// Whether some address, port and message would let a call to this host
    /// text pass.
    fn may_pass(&self, call: Call, text: &[u8]) -> bool {
        for rule in self.policy.rules_of(call) {
            let meets = match_text(rule, text);
            if meets == Meets::Never {
                continue;
            }
            if rule.action == Action::Allow {
                return true;
            }
            if meets == Meets::Always {
                return false;
            }
        }
        false
    }

    /// Whether an own port may be used; 0 means any.
    ///
    /// # Errors
    /// [`Failure::PortNotGranted`].
    pub fn port(&self, kind: PortKind, port: u16, any: bool) -> Result<(), Failure> {
        if self.policy.grants_port(kind, port) || (any && port == 0) {
            Ok(())
        } else {
            Err(Failure::PortNotGranted { resource: kind.resource(), port })
        }
    }
}

/// Whether a rule matches a call, as far as the host text tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meets {
    Never,
    Perhaps,
    Always,
}

fn match_text(rule: &Rule, text: &[u8]) -> Meets {
    let mut meets = Meets::Always;
    for condition in &rule.conditions {
        match condition {
            Condition::ArgumentIs(0, value) if value.as_bytes() == text => {}
            // Not the text; a literal may still be the address.
            Condition::ArgumentIs(0, value) if parse_literal(value.as_bytes()).is_none() => {
                return Meets::Never
            }
            _ => meets = Meets::Perhaps,
        }
    }
    meets
}

/// The ports that the rules of `call` let be named as argument 1 (the
/// destination port); none if any other may be, too.
pub fn literal_ports(policy: &Policy, restrictions: bool, call: Call) -> Option<Vec<u16>> {
    if !restrictions {
        return None;
    }
    let mut ports = Vec::new();
    let mut rules = policy.rules_of(call);
    for rule in rules.by_ref() {
        if rule.action == Action::Allow {
            let written = rule.conditions.iter().find_map(|condition| match condition {
                Condition::ArgumentIs(1, value) => Some(value),
                _ => None,
            });
            // A text that is no port's own matches no port.
            if let Ok(port) = written?.parse::<u16>() {
                ports.push(port);
            }
        }
        if rule.conditions.is_empty() {
            break;
        }
    }
    ports.sort_unstable();
    ports.dedup();
    Some(ports)
}

/// An own address that no socket may be bound to, whatever the policy: it is
/// not one host's address.
pub fn is_no_host(address: Ipv4Addr) -> bool {
    address.is_unspecified() || address.is_multicast() || address.octets()[0] >= 240
}

#[cfg(test)]
mod tests {
    use super::*;
    use policies::channel::network::{Host, Local, Written};

    fn judge(rules: &str) -> Judge {
        let text = format!(
            "resource cpu .1\nresource memory 10000000\nresource diskused 100000\nresource connport 12345\n\
             resource messport 22222\nresource insockets 2\n{rules}"
        );
        Judge::new(Policy::parse(text.as_bytes(), "test").expect("a good policy").policy, true)
    }

    fn connect(host: &[u8], port: u16) -> Request {
        Request::Connect {
            host: Host::Written(host.to_vec()),
            port,
            local: None,
            timeout_ns: 1,
            written: vec![Written::Field, Written::Field],
        }
    }

    fn to(text: &[u8], address: [u8; 4]) -> Destination {
        Destination { text: text.to_vec(), address: address.into() }
    }

    fn allowed(judge: &Judge, text: &[u8], address: [u8; 4], port: u16) -> bool {
        judge.rules(&connect(text, port), Some(&to(text, address)), None).is_ok()
    }

    #[test]
    fn the_address_decides_whatever_the_spelling() {
        let judge = judge("call openconn arg 0 is 127.0.0.1 arg 1 is 80 deny\ncall openconn allow\n");
        for text in [&b"127.0.0.1"[..], b"127.1", b"2130706433", b"localhost", b"0"] {
            let address = if text == b"0" { [0, 0, 0, 0] } else { [127, 0, 0, 1] };
            assert!(!allowed(&judge, text, address, 80), "{text:?}");
            assert!(allowed(&judge, text, address, 81), "{text:?}");
        }
        assert!(allowed(&judge, b"other", [10, 0, 0, 1], 80));
    }

    #[test]
    fn any_address_is_decided_on_as_written_and_as_used() {
        let only_loopback = judge("call openconn arg 0 is 127.0.0.1 allow\n");
        assert!(allowed(&only_loopback, b"127.1", [127, 0, 0, 1], 80));
        assert!(!allowed(&only_loopback, b"0", [0, 0, 0, 0], 80));
        let not_any = judge("call openconn arg 0 is 0.0.0.0 deny\ncall openconn allow\n");
        assert!(!allowed(&not_any, b"0x0", [0, 0, 0, 0], 80));
        assert!(allowed(&not_any, b"127.1", [127, 0, 0, 1], 80));
        // What 0.0.0.0 means follows the own address.
        let own = Some(Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(to(b"0", [0, 0, 0, 0]).used(own), Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(to(b"0", [0, 0, 0, 0]).used(Some(Ipv4Addr::UNSPECIFIED)), Ipv4Addr::LOCALHOST);
    }

    #[test]
    fn a_name_that_cannot_be_allowed_is_never_asked_for() {
        let judge = judge(
            "call openconn arg 0 is good.example allow\ncall openconn arg 0 is bad.example deny\n\
             call openconn arg 0 is 10.0.0.1 allow\ncall sendmess arg 0 is time.example allow\n",
        );
        let ask = |text: &[u8]| judge.before_names(&connect(text, 80), Some(text)).is_ok();
        assert!(ask(b"good.example"));
        assert!(!ask(b"bad.example"));
        // It might be 10.0.0.1.
        assert!(ask(b"other.example"));
        let locate =
            |text: &[u8]| judge.before_names(&Request::Locate { host: text.to_vec() }, Some(text)).is_ok();
        assert!(locate(b"time.example"));
        let closed = self::judge("call openconn arg 0 is good.example allow\n");
        let secret = Request::Locate { host: b"secret.example".to_vec() };
        assert!(closed.before_names(&secret, Some(b"secret.example")).is_err());
    }

    #[test]
    fn ports_count_without_restrictions_too() {
        let judge = Judge { restrictions: false, ..judge("") };
        assert!(judge.rules(&connect(b"x", 1), Some(&to(b"x", [1, 2, 3, 4])), None).is_ok());
        assert!(judge.port(PortKind::Connection, 12345, false).is_ok());
        assert!(judge.port(PortKind::Message, 22222, true).is_ok());
        assert!(judge.port(PortKind::Connection, 0, true).is_ok());
        for (kind, port, any) in [
            (PortKind::Connection, 22222, false),
            (PortKind::Message, 12345, true),
            (PortKind::Connection, 0, false),
        ] {
            assert!(judge.port(kind, port, any).is_err(), "{port}");
        }
    }

    #[test]
    fn senders_are_refused_where_rules_look_at_the_message() {
        assert!(judge("call sendmess arg 0 is 10.0.0.1 allow\n").grants_sender());
        assert!(!judge("call sendmess arg 2 is hello allow\n").grants_sender());
        assert!(!judge("call sendmess arg -1 is hello allow\n").grants_sender());
        assert!(judge("call sendmess allow\n").free_datagrams());
        assert!(!judge("call sendmess arg 0 is 10.0.0.1 allow\n").free_datagrams());
    }

    #[test]
    fn the_own_address_used_is_the_one_shown_to_the_rules() {
        let judge = judge("call waitforconn arg 0 is 127.0.0.1 allow\n");
        let listen = |text: &[u8]| Request::Listen {
            local: Local { text: text.to_vec(), port: 12345 },
            written: vec![Written::Text(b"127.0.0.1".to_vec()), Written::Field],
        };
        assert!(judge.rules(&listen(b"127.1"), None, Some(Ipv4Addr::LOCALHOST)).is_ok());
        assert!(judge.rules(&listen(b"host"), None, Some(Ipv4Addr::new(10, 0, 0, 1))).is_err());
    }

    #[test]
    fn destination_ports_are_found_in_rules() {
        let ports = |rules: &str| literal_ports(&judge(rules).policy, true, Call::OpenConn);
        assert_eq!(ports(""), Some(vec![]));
        assert_eq!(
            ports("call openconn arg 1 is 443 allow\ncall openconn arg 0 is h arg 1 is 80 allow\n"),
            Some(vec![80, 443])
        );
        assert_eq!(
            ports("call openconn arg 1 is 80 deny\ncall openconn arg 1 is 81 allow\n"),
            Some(vec![81])
        );
        assert_eq!(ports("call openconn arg 1 is 80 allow\ncall openconn deny\n"), Some(vec![80]));
        assert_eq!(ports("call openconn arg 0 is h allow\n"), None);
        assert_eq!(literal_ports(&judge("").policy, false, Call::OpenConn), None);
    }
}
