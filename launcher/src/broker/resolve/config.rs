//! The resolver's configuration, `/etc/resolv.conf`.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use super::names::{is_host_name, without_root};

/// Most name servers, as in the C library.
const SERVERS: usize = 3;
/// Most domains to search, as in the C library.
const DOMAINS: usize = 6;
/// The port of name servers.
const PORT: u16 = 53;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Name servers with an IPv4 address, in order.
    pub servers: Vec<SocketAddrV4>,
    /// Domains to search.
    pub search: Vec<Vec<u8>>,
    /// A name with at least this many dots is tried as it is first.
    pub dots: usize,
    /// How long one server is waited for.
    pub timeout: Duration,
    /// How often all servers are asked.
    pub attempts: u32,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            servers: Vec::new(),
            search: Vec::new(),
            dots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        }
    }
}

/// Reads the file; what cannot be understood is passed over, as the C library
/// does. Without any name server line the server is this host.
pub fn read(text: &[u8]) -> Config {
    let mut config = Config::default();
    let mut named = false;
    for line in String::from_utf8_lossy(text).lines() {
        if line.starts_with(['#', ';']) {
            continue;
        }
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => {
                named = true;
                // A server with an IPv6 address cannot be reached from here.
                let address = words.next().and_then(|word| word.parse::<Ipv4Addr>().ok());
                if config.servers.len() < SERVERS {
                    config.servers.extend(address.map(|address| SocketAddrV4::new(address, PORT)));
                }
            }
            // The last of these lines counts.
            Some("search") => config.search = words.filter_map(domain).take(DOMAINS).collect(),
            Some("domain") => config.search = words.next().and_then(domain).into_iter().collect(),
            Some("options") => words.for_each(|word| config.set(word)),
            _ => {}
        }
    }
    if !named {
        config.servers.push(SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT));
    }
    config
}

fn domain(word: &str) -> Option<Vec<u8>> {
    let (name, _) = without_root(word.as_bytes());
    is_host_name(name).then(|| name.to_vec())
}

impl Config {
    fn set(&mut self, option: &str) {
        let Some((name, value)) = option.split_once(':') else { return };
        let Ok(value) = value.parse::<u32>() else { return };
        // The bounds are the C library's.
        match name {
            "ndots" => self.dots = value.min(15) as usize,
            "timeout" => self.timeout = Duration::from_secs(u64::from(value.clamp(1, 30))),
            "attempts" => self.attempts = value.clamp(1, 5),
            _ => {}
        }
    }

    /// The names to try for `name`, in order.
    pub fn candidates(&self, name: &[u8]) -> Vec<Vec<u8>> {
        let (name, absolute) = without_root(name);
        let mut candidates: Vec<Vec<u8>> = Vec::with_capacity(1 + self.search.len());
        if !absolute {
            candidates.extend(self.search.iter().map(|domain| [name, b".", domain].concat()));
        }
        let dots = name.iter().filter(|byte| **byte == b'.').count();
        let first = absolute || dots >= self.dots;
        candidates.insert(if first { 0 } else { candidates.len() }, name.to_vec());
        candidates.retain(|candidate| is_host_name(candidate));
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_lines_are_read() {
        let config = read(
            b"# first\nnameserver 10.0.0.1\nnameserver ::1\nnameserver 10.0.0.2 # too\nsearch a.example. b bad..one\n\
              options timeout:2 attempts:9 ndots:2 rotate edns0\nnonsense\n",
        );
        assert_eq!(
            config.servers,
            [[10, 0, 0, 1], [10, 0, 0, 2]].map(|address| SocketAddrV4::new(address.into(), 53))
        );
        assert_eq!(config.search, [b"a.example".to_vec(), b"b".to_vec()]);
        assert_eq!((config.dots, config.timeout.as_secs(), config.attempts), (2, 2, 5));
    }

    #[test]
    fn an_empty_file_means_this_host_and_ipv6_alone_means_none() {
        assert_eq!(read(b"").servers, [SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53)]);
        assert!(read(b"nameserver fe80::1\n").servers.is_empty());
        assert_eq!(read(&[0xff; 100]).attempts, 2);
        let many = "nameserver 1.1.1.1\n".repeat(1000);
        assert_eq!(read(many.as_bytes()).servers.len(), 3);
    }

    #[test]
    fn short_names_are_searched_for_first() {
        let config = Config { search: vec![b"x.example".to_vec(), b"y".to_vec()], ..Config::default() };
        let texts = |name: &str| -> Vec<String> {
            let candidates = config.candidates(name.as_bytes());
            candidates.into_iter().map(|name| String::from_utf8(name).expect("text")).collect()
        };
        assert_eq!(texts("www"), ["www.x.example", "www.y", "www"]);
        assert_eq!(texts("www.z"), ["www.z", "www.z.x.example", "www.z.y"]);
        assert_eq!(texts("www."), ["www"]);
        assert!(texts("").is_empty() && texts("a b").is_empty() && texts("1.2.3.4.5.").is_empty());
    }
}
