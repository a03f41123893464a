//! Which ports the broker may use at all, and whether this host lets it.

use std::fmt;

use policies::{Call, Policy, PortKind};

use super::decide::literal_ports;

/// The port of name servers.
const NAMES: u16 = 53;

/// The kernel's default for the first port that needs no privilege.
const FIRST_FREE: u16 = 1024;

/// The ports that the broker's Landlock rules grant; none where every port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRules {
    /// TCP: own ports; 0 is "the kernel chooses".
    pub bind_tcp: Vec<u16>,
    /// TCP: destinations.
    pub connect_tcp: Option<Vec<u16>>,
    /// UDP: own ports.
    pub bind_udp: Vec<u16>,
    /// UDP: destinations.
    pub send_udp: Option<Vec<u16>>,
}

impl PortRules {
    /// What a policy needs. Names are always asked for at port 53, by UDP and TCP.
    pub fn of(policy: &Policy, restrictions: bool) -> PortRules {
        let granted = |kind| policy.ports(kind).iter().map(|grant| grant.port).collect::<Vec<u16>>();
        let possible = |call| !restrictions || policy.may_allow(call);
        let with_names = |call| {
            literal_ports(policy, restrictions, call).map(|mut ports| {
                ports.push(NAMES);
                ports
            })
        };
        let mut bind_tcp = granted(PortKind::Connection);
        if possible(Call::OpenConn) {
            bind_tcp.push(0);
        }
        let mut bind_udp = granted(PortKind::Message);
        // A socket that sends without an own port is bound by the kernel.
        bind_udp.push(0);
        PortRules {
            bind_tcp,
            connect_tcp: with_names(Call::OpenConn),
            bind_udp,
            send_udp: with_names(Call::SendMess),
        }
    }
}

/// Granted ports that this user cannot bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unbindable {
    /// The ports: kind, number, line of the policy (0 for none).
    pub ports: Vec<(PortKind, u16, u32)>,
    /// The first port that this user can bind.
    pub first: u16,
}

impl Unbindable {
    /// Looks at the granted ports and at what this process may do. None if
    /// every port can be bound, as far as privileges go.
    pub fn find(policy: &Policy) -> Option<Unbindable> {
        if may_bind_low_ports() {
            return None;
        }
        Unbindable::below(policy, first_free_port())
    }

    fn below(policy: &Policy, first: u16) -> Option<Unbindable> {
        let ports: Vec<_> = [PortKind::Connection, PortKind::Message]
            .into_iter()
            .flat_map(|kind| policy.ports(kind).iter().map(move |grant| (kind, grant.port, grant.line)))
            .filter(|(_, port, _)| *port < first)
            .collect();
        (!ports.is_empty()).then_some(Unbindable { ports, first })
    }
}

impl fmt::Display for Unbindable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this user cannot bind ports below ")?;
        write!(f, "{}, and the policy grants ", self.first)?;
        for (index, (kind, port, line)) in self.ports.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} {port}", kind.resource().name())?;
            if *line > 0 {
                write!(f, " (line {line})")?;
            }
        }
        f.write_str(
            ": a program that listens there gets '[Errno 13] Permission denied'. Run as root, or lower \
             net.ipv4.ip_unprivileged_port_start, or grant higher ports",
        )
    }
}

/// Whether a granted port needs CAP_NET_BIND_SERVICE.
pub fn needs_low_ports(policy: &Policy) -> bool {
    Unbindable::below(policy, first_free_port()).is_some()
}

/// The first port that needs no privilege, as the kernel is set.
fn first_free_port() -> u16 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(FIRST_FREE)
}

/// Whether this process holds the capability for low ports.
pub fn may_bind_low_ports() -> bool {
    use caps::{CapSet, Capability};
    caps::has_cap(None, CapSet::Effective, Capability::CAP_NET_BIND_SERVICE).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        let head = "resource cpu .1\nresource memory 10000000\nresource diskused 100000\n";
        Policy::parse(format!("{head}{text}").as_bytes(), "test").expect("a good policy").policy
    }

    #[test]
    fn landlock_gets_exactly_the_granted_ports() {
        let rules = PortRules::of(
            &policy(
                "resource connport 80\nresource connport 12345\nresource messport 7\n\
                 call waitforconn allow\ncall sendmess arg 1 is 123 allow\n",
            ),
            true,
        );
        assert_eq!(
            rules,
            PortRules {
                bind_tcp: vec![80, 12345],
                connect_tcp: Some(vec![53]),
                bind_udp: vec![7, 0],
                send_udp: Some(vec![123, 53]),
            }
        );
        let open = PortRules::of(&policy("call openconn allow\n"), true);
        assert_eq!((open.bind_tcp, open.connect_tcp), (vec![0], None));
        let free = PortRules::of(&policy(""), false);
        assert_eq!((free.bind_tcp, free.connect_tcp, free.send_udp), (vec![0], None, None));
    }

    #[test]
    fn low_ports_are_named_with_their_lines() {
        let policy = policy("resource connport 80\nresource messport 123\nresource connport 8080\n");
        let found = Unbindable::below(&policy, 1024).expect("two ports");
        assert_eq!(found.ports, [(PortKind::Connection, 80, 4), (PortKind::Message, 123, 5)]);
        let text = found.to_string();
        assert!(
            text.contains("below 1024") && text.contains("connport 80 (line 4), messport 123 (line 5)"),
            "{text}"
        );
        assert_eq!(Unbindable::below(&policy, 80), None);
        assert!(first_free_port() <= 1024);
    }
}
