//! The host's own addresses: which one `getmyip` tells, which ones may be
//! bound (`--ip`, `--iface`, `--nootherips`), which ones are loopback.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use super::netlink::{self, Own};
use super::socket;
use policies::channel::network::{Failure, MAXIMUM_ADDRESSES};

/// One `--ip` or `--iface`, in the order of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// `--ip ADDRESS`.
    Address(Ipv4Addr),
    /// `--iface NAME`: every address of the interface.
    Interface(String),
}

/// What the operator says of own addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressOptions {
    /// `--ip` and `--iface`.
    pub listed: Vec<Listed>,
    /// `--nootherips`: nothing but these and 127.0.0.1 may be bound.
    pub only_listed: bool,
}

impl AddressOptions {
    /// Whether any of the three options is there.
    fn is_given(&self) -> bool {
        !self.listed.is_empty() || self.only_listed
    }
}

/// Far away addresses: the root name servers A, C, K and L. The way to them is
/// the way to the outside; nothing is sent.
const OUTSIDE: [Ipv4Addr; 4] = [
    Ipv4Addr::new(198, 41, 0, 4),
    Ipv4Addr::new(192, 33, 4, 12),
    Ipv4Addr::new(193, 0, 14, 129),
    Ipv4Addr::new(199, 7, 83, 42),
];

/// The host's own addresses, as the kernel told them last.
#[derive(Debug)]
pub struct OwnAddresses {
    options: AddressOptions,
    route: Option<OwnedFd>,
    /// Those of the options that can be bound, then 127.0.0.1; empty without
    /// options.
    allowed: Vec<Ipv4Addr>,
    known: Vec<Own>,
}

impl OwnAddresses {
    /// Asks the kernel by `route`, a socket of [`netlink::open_route`].
    pub fn new(options: AddressOptions, route: Option<OwnedFd>) -> OwnAddresses {
        let mut own = OwnAddresses { options, route, allowed: Vec::new(), known: Vec::new() };
        own.refresh();
        own
    }

    /// Asks anew: at the start and at each `getmyip`.
    fn refresh(&mut self) {
        // What was known stays where the kernel has no answer.
        if let Some(Ok(known)) = self.route.as_ref().map(netlink::addresses) {
            self.known = known;
        }
        if !self.options.is_given() {
            return;
        }
        let candidates = candidates(&self.options.listed, &self.known);
        self.allowed = candidates.into_iter().filter(|address| socket::can_bind(*address)).collect();
        if !self.allowed.contains(&Ipv4Addr::LOCALHOST) {
            self.allowed.push(Ipv4Addr::LOCALHOST);
        }
    }

    /// `getmyip`.
    ///
    /// # Errors
    /// [`Failure::NoInternet`].
    pub fn ask(&mut self) -> Result<Ipv4Addr, Failure> {
        self.refresh();
        match self.allowed.first() {
            Some(first) => Ok(*first),
            None => OUTSIDE.into_iter().find_map(socket::source_towards).ok_or(Failure::NoInternet),
        }
    }

    /// The address that sockets are bound to whose own end the program leaves
    /// open; none where the kernel may choose.
    pub fn preferred(&self) -> Option<Ipv4Addr> {
        self.allowed.first().copied()
    }

    /// Whether an address may be bound; `text` is how the program wrote it.
    ///
    /// # Errors
    /// [`Failure::AddressNotAllowed`].
    pub fn allows(&self, address: Ipv4Addr, text: &[u8]) -> Result<(), Failure> {
        let broadcast = self.known.iter().any(|own| own.broadcast == Some(address) && own.address != address);
        let foreign = self.options.only_listed && !self.allowed.contains(&address);
        if broadcast || foreign || super::decide::is_no_host(address) {
            return Err(Failure::AddressNotAllowed { text: String::from_utf8_lossy(text).into_owned() });
        }
        Ok(())
    }

    /// The networks of the loopback interface.
    pub fn loopback(&self) -> Vec<(Ipv4Addr, u8)> {
        let mut networks = vec![(Ipv4Addr::new(127, 0, 0, 0), 8)];
        for own in self.known.iter().filter(|own| own.loopback) {
            let network = (network_of(own.address, own.prefix), own.prefix);
            if networks.len() < MAXIMUM_ADDRESSES && !networks.contains(&network) {
                networks.push(network);
            }
        }
        networks
    }

    /// Whether traffic with an address is loopback traffic.
    pub fn is_loopback(&self, address: Ipv4Addr) -> bool {
        let within = |own: &Own| network_of(address, own.prefix) == network_of(own.address, own.prefix);
        address.is_loopback() || self.known.iter().any(|own| own.loopback && within(own))
    }
}

fn network_of(address: Ipv4Addr, prefix: u8) -> Ipv4Addr {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    Ipv4Addr::from(u32::from(address) & mask)
}

/// The addresses that options name, in their order, each once.
fn candidates(listed: &[Listed], known: &[Own]) -> Vec<Ipv4Addr> {
    let mut found: Vec<Ipv4Addr> = Vec::new();
    for listed in listed {
        let named: Vec<Ipv4Addr> = match listed {
            Listed::Address(address) => vec![*address],
            Listed::Interface(name) => {
                known.iter().filter(|own| own.interface == *name).map(|own| own.address).collect()
            }
        };
        for address in named {
            if !found.contains(&address) && !super::decide::is_no_host(address) {
                found.push(address);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(address: [u8; 4], prefix: u8, interface: &str) -> Own {
        let loopback = interface == "lo";
        let broadcast = (!loopback).then(|| {
            let [a, b, c, _] = address;
            Ipv4Addr::new(a, b, c, 255)
        });
        Own { address: address.into(), prefix, broadcast, interface: interface.into(), loopback }
    }

    fn with(options: AddressOptions, known: Vec<Own>) -> OwnAddresses {
        OwnAddresses { options, route: None, allowed: Vec::new(), known }
    }

    #[test]
    fn candidates_come_in_the_order_of_the_command_line() {
        let known =
            [own([10, 0, 0, 1], 24, "eth0"), own([10, 0, 0, 2], 24, "eth0"), own([10, 9, 0, 1], 24, "eth1")];
        let listed = [
            Listed::Interface("eth1".into()),
            Listed::Address(Ipv4Addr::new(10, 0, 0, 2)),
            Listed::Interface("eth0".into()),
            Listed::Interface("missing".into()),
            Listed::Address(Ipv4Addr::UNSPECIFIED),
        ];
        let expected: Vec<Ipv4Addr> =
            [[10, 9, 0, 1], [10, 0, 0, 2], [10, 0, 0, 1]].into_iter().map(Ipv4Addr::from).collect();
        assert_eq!(candidates(&listed, &known), expected);
    }

    #[test]
    fn only_listed_addresses_and_loopback_may_be_bound() {
        let listed = vec![
            Listed::Address(Ipv4Addr::new(203, 0, 113, 7)),
            Listed::Address(Ipv4Addr::new(127, 0, 0, 5)),
        ];
        let mut own = with(AddressOptions { listed, only_listed: true }, Vec::new());
        // 203.0.113.7 is not this host's; 127.0.0.5 is.
        assert_eq!(own.ask(), Ok(Ipv4Addr::new(127, 0, 0, 5)));
        assert_eq!(own.preferred(), Some(Ipv4Addr::new(127, 0, 0, 5)));
        for (address, allowed) in [
            ([127, 0, 0, 5], true),
            ([127, 0, 0, 1], true),
            ([127, 0, 0, 6], false),
            ([203, 0, 113, 7], false),
        ] {
            assert_eq!(own.allows(address.into(), b"it").is_ok(), allowed, "{address:?}");
        }
        own.options.only_listed = false;
        assert!(own.allows(Ipv4Addr::new(127, 0, 0, 6), b"it").is_ok());
        let mut alone = with(AddressOptions { listed: vec![], only_listed: true }, Vec::new());
        assert_eq!(alone.ask(), Ok(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn addresses_of_no_single_host_are_never_bound() {
        let own = with(AddressOptions::default(), vec![own([10, 0, 0, 1], 24, "eth0")]);
        for address in [[0, 0, 0, 0], [224, 0, 0, 1], [255, 255, 255, 255], [240, 0, 0, 1], [10, 0, 0, 255]] {
            assert_eq!(
                own.allows(address.into(), b"spelt"),
                Err(Failure::AddressNotAllowed { text: "spelt".into() }),
                "{address:?}"
            );
        }
        assert!(own.allows(Ipv4Addr::new(10, 0, 0, 1), b"").is_ok());
        assert_eq!(own.preferred(), None);
    }

    #[test]
    fn loopback_is_what_the_interface_holds() {
        let own = with(
            AddressOptions::default(),
            vec![own([127, 0, 0, 1], 8, "lo"), own([10, 99, 0, 1], 32, "lo"), own([10, 0, 0, 1], 24, "eth0")],
        );
        assert_eq!(own.loopback(), [(Ipv4Addr::new(127, 0, 0, 0), 8), (Ipv4Addr::new(10, 99, 0, 1), 32)]);
        for (address, loopback) in [
            ([127, 200, 1, 1], true),
            ([10, 99, 0, 1], true),
            ([10, 99, 0, 2], false),
            ([10, 0, 0, 1], false),
        ] {
            assert_eq!(own.is_loopback(address.into()), loopback, "{address:?}");
        }
    }

    #[test]
    fn the_kernel_is_asked_for_the_real_addresses() {
        let own = OwnAddresses::new(AddressOptions::default(), netlink::open_route().ok());
        assert!(own.is_loopback(Ipv4Addr::LOCALHOST));
        assert!(own.loopback().contains(&(Ipv4Addr::new(127, 0, 0, 0), 8)));
    }
}
