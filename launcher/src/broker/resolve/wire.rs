//! DNS messages (RFC 1035): a question for A records, and what an answer says.
//! An answer is written by whoever can reach us: reading it is total, bounded,
//! and believes nothing but the records it asked for.

use std::net::Ipv4Addr;

use super::names::{is_host_name, same};

/// Most records that are looked at in one answer.
const RECORDS: usize = 2048;
/// Most pointers followed in one name.
const JUMPS: usize = 32;
/// Most links of a chain of other names.
pub const CHAIN: usize = 8;

const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const CLASS_INTERNET: u16 = 1;
const HEADER: usize = 12;

/// A question for the addresses of `name`, with recursion desired.
pub fn question(id: u16, name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + name.len() + 6);
    out.extend(id.to_be_bytes());
    out.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split(|byte| *byte == b'.') {
        // `name` is a host name: labels have at most 63 bytes.
        out.push(label.len() as u8);
        out.extend(label);
    }
    out.push(0);
    out.extend(TYPE_A.to_be_bytes());
    out.extend(CLASS_INTERNET.to_be_bytes());
    out
}

/// What a server says of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// There is no such name.
    NoName,
    /// It cannot tell (a server failure, or it refuses).
    Failed,
    /// What it knows.
    Known {
        /// The names passed on the way to the last, which has the addresses;
        /// the first is the one asked for.
        names: Vec<Vec<u8>>,
        /// Addresses of the last name; none if it has none, or is to be asked for.
        addresses: Vec<Ipv4Addr>,
        /// Whether the chain of names ends here without addresses of its own.
        unfinished: bool,
        /// Whether the answer was cut short.
        truncated: bool,
    },
}

/// Reads an answer to the question (`id`, `name`); none if it is not one.
/// Addresses beyond `most` are left out.
pub fn answer(bytes: &[u8], id: u16, name: &[u8], most: usize) -> Option<Said> {
    let flags = half(bytes, 2)?;
    let is_answer = flags & 0xf800 == 0x8000;
    if half(bytes, 0)? != id || !is_answer || half(bytes, 4)? != 1 {
        return None;
    }
    let (asked, mut at) = read_name(bytes, HEADER)?;
    if !same(&asked, name) || half(bytes, at)? != TYPE_A || half(bytes, at + 2)? != CLASS_INTERNET {
        return None;
    }
    at += 4;
    match flags & 0xf {
        0 => {}
        3 => return Some(Said::NoName),
        _ => return Some(Said::Failed),
    }
    let truncated = flags & 0x0200 != 0;
    let mut links: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut found: Vec<(Vec<u8>, Ipv4Addr)> = Vec::new();
    for _ in 0..usize::from(half(bytes, 6)?).min(RECORDS) {
        match record(bytes, at) {
            Some((next, read)) => {
                at = next;
                match read {
                    Some(Record::Address(owner, address)) => found.push((owner, address)),
                    Some(Record::Link(owner, target)) if links.len() < 4 * CHAIN => {
                        links.push((owner, target))
                    }
                    _ => {}
                }
            }
            // Cut in the middle of a record: what came whole counts.
            None if truncated => break,
            None => return Some(Said::Failed),
        }
    }
    let mut names = vec![name.to_vec()];
    loop {
        let last = names.last()?;
        if found.iter().any(|(owner, _)| same(owner, last)) {
            break;
        }
        let Some((_, target)) = links.iter().find(|(owner, _)| same(owner, last)) else { break };
        if names.len() > CHAIN || names.iter().any(|seen| same(seen, target)) || !is_host_name(target) {
            return Some(Said::Failed);
        }
        names.push(target.clone());
    }
    let last = names.last()?;
    let mut addresses: Vec<Ipv4Addr> = Vec::new();
    for (_, address) in found.iter().filter(|(owner, _)| same(owner, last)) {
        if addresses.len() < most && !addresses.contains(address) {
            addresses.push(*address);
        }
    }
    let unfinished = addresses.is_empty() && names.len() > 1;
    Some(Said::Known { names, addresses, unfinished, truncated })
}

enum Record {
    Address(Vec<u8>, Ipv4Addr),
    Link(Vec<u8>, Vec<u8>),
}

/// Reads one record: where the next begins, and what it says if it is of a kind
/// that is looked at.
fn record(bytes: &[u8], at: usize) -> Option<(usize, Option<Record>)> {
    let (owner, at) = read_name(bytes, at)?;
    let (kind, class) = (half(bytes, at)?, half(bytes, at + 2)?);
    let length = usize::from(half(bytes, at + 8)?);
    let start = at + 10;
    let data = bytes.get(start..start + length)?;
    let read = match (class, kind) {
        (CLASS_INTERNET, TYPE_A) => {
            <[u8; 4]>::try_from(data).ok().map(|octets| Record::Address(owner, octets.into()))
        }
        (CLASS_INTERNET, TYPE_CNAME) => {
            read_name(bytes, start).map(|(target, _)| Record::Link(owner, target))
        }
        _ => None,
    };
    Some((start + length, read))
}

/// Reads a name, following pointers only towards the front: text with dots, and
/// where the bytes behind it begin.
fn read_name(bytes: &[u8], start: usize) -> Option<(Vec<u8>, usize)> {
    let mut name: Vec<u8> = Vec::new();
    let (mut at, mut end, mut jumps) = (start, None, 0);
    loop {
        let length = *bytes.get(at)?;
        match length {
            0 => return Some((name, end.unwrap_or(at + 1))),
            1..=63 => {
                let label = bytes.get(at + 1..at + 1 + usize::from(length))?;
                if !name.is_empty() {
                    name.push(b'.');
                }
                name.extend(label);
                if name.len() > 255 {
                    return None;
                }
                at += 1 + usize::from(length);
            }
            0xc0.. => {
                let target = usize::from(half(bytes, at)? & 0x3fff);
                end.get_or_insert(at + 2);
                jumps += 1;
                if target >= at || jumps > JUMPS {
                    return None;
                }
                at = target;
            }
            _ => return None,
        }
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The name in wire form.
    fn labels(name: &str) -> Vec<u8> {
        let asked = question(0, name.as_bytes());
        asked[HEADER..asked.len() - 4].to_vec()
    }

    /// One record of an answer.
    pub enum Put<'a> {
        /// owner, address
        A(&'a str, [u8; 4]),
        /// owner, target
        Link(&'a str, &'a str),
    }

    /// An answer with these flags (lower byte: response code; 0x0200: truncated).
    pub fn reply(asked: &[u8], flags: u16, records: &[Put<'_>]) -> Vec<u8> {
        let mut out = asked.to_vec();
        out[2..4].copy_from_slice(&(0x8180 | flags).to_be_bytes());
        out[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        for record in records {
            let (owner, kind, data) = match record {
                Put::A(owner, address) => (owner, TYPE_A, address.to_vec()),
                Put::Link(owner, target) => (owner, TYPE_CNAME, labels(target)),
            };
            // The name asked for is pointed at, as servers do.
            if asked[HEADER..].starts_with(&labels(owner)) {
                out.extend([0xc0, HEADER as u8]);
            } else {
                out.extend(labels(owner));
            }
            out.extend(kind.to_be_bytes());
            out.extend(CLASS_INTERNET.to_be_bytes());
            out.extend(60u32.to_be_bytes());
            out.extend((data.len() as u16).to_be_bytes());
            out.extend(data);
        }
        out
    }

    fn known(names: &[&str], addresses: &[[u8; 4]]) -> Option<Said> {
        Some(Said::Known {
            names: names.iter().map(|name| name.as_bytes().to_vec()).collect(),
            addresses: addresses.iter().map(|address| Ipv4Addr::from(*address)).collect(),
            unfinished: addresses.is_empty() && names.len() > 1,
            truncated: false,
        })
    }

    #[test]
    fn answers_follow_the_chain_from_the_name_asked_for() {
        let asked = question(7, b"www.example");
        let read = |records: &[Put<'_>]| answer(&reply(&asked, 0, records), 7, b"WWW.example", 64);
        assert_eq!(
            read(&[
                Put::A("www.example", [1, 2, 3, 4]),
                Put::A("other", [9, 9, 9, 9]),
                Put::A("www.example", [1, 2, 3, 4])
            ]),
            known(&["WWW.example"], &[[1, 2, 3, 4]])
        );
        // In any order; of another owner nothing counts.
        assert_eq!(
            read(&[
                Put::A("c.example", [5, 6, 7, 8]),
                Put::Link("b.example", "c.example"),
                Put::Link("www.example", "b.example"),
                Put::A("evil", [6, 6, 6, 6]),
            ]),
            known(&["WWW.example", "b.example", "c.example"], &[[5, 6, 7, 8]])
        );
        assert_eq!(read(&[]), known(&["WWW.example"], &[]));
        assert_eq!(read(&[Put::Link("www.example", "b.example")]), known(&["WWW.example", "b.example"], &[]));
    }

    #[test]
    fn loops_and_odd_targets_fail() {
        let asked = question(7, b"a");
        let read = |records: &[Put<'_>]| answer(&reply(&asked, 0, records), 7, b"a", 64);
        assert_eq!(read(&[Put::Link("a", "b"), Put::Link("b", "a")]), Some(Said::Failed));
        assert_eq!(read(&[Put::Link("a", "a")]), Some(Said::Failed));
        assert_eq!(read(&[Put::Link("a", "x y")]), Some(Said::Failed));
        let names: Vec<String> = (0..20).map(|i| format!("n{i}")).collect();
        let mut chain = vec![Put::Link("a", "n0")];
        chain.extend(names.windows(2).map(|pair| Put::Link(&pair[0], &pair[1])));
        assert_eq!(read(&chain), Some(Said::Failed));
    }

    #[test]
    fn only_the_answer_to_this_question_counts() {
        let asked = question(7, b"name");
        let good = reply(&asked, 0, &[Put::A("name", [1, 2, 3, 4])]);
        assert!(answer(&good, 7, b"name", 64).is_some());
        assert_eq!(answer(&good, 8, b"name", 64), None);
        assert_eq!(answer(&good, 7, b"mane", 64), None);
        assert_eq!(answer(&asked, 7, b"name", 64), None);
        assert_eq!(answer(&reply(&asked, 3, &[]), 7, b"name", 64), Some(Said::NoName));
        assert_eq!(answer(&reply(&asked, 2, &[]), 7, b"name", 64), Some(Said::Failed));
    }

    #[test]
    fn a_thousand_answers_are_capped_and_a_cut_one_counts_whole_records() {
        let asked = question(7, b"many");
        let records: Vec<Put<'_>> =
            (0..1000u32).map(|i| Put::A("many", (0x0a00_0000 + i).to_be_bytes())).collect();
        let whole = reply(&asked, 0, &records);
        let Some(Said::Known { addresses, .. }) = answer(&whole, 7, b"many", 64) else { panic!("known") };
        assert_eq!(addresses.len(), 64);
        let mut cut = reply(&asked, 0x0200, &records);
        cut.truncate(512);
        let Some(Said::Known { addresses, truncated, .. }) = answer(&cut, 7, b"many", 64) else {
            panic!("known")
        };
        assert!(truncated && addresses.len() == 30, "{}", addresses.len());
        // Not said to be cut: then it is broken.
        let mut broken = whole;
        broken.truncate(512);
        assert_eq!(answer(&broken, 7, b"many", 64), Some(Said::Failed));
    }

    #[test]
    fn names_with_pointers_forward_or_in_circles_are_not_read() {
        let mut bytes = question(7, b"a");
        let at = bytes.len();
        bytes.extend([0xc0, at as u8, 0, 0]);
        assert_eq!(read_name(&bytes, at), None);
        bytes[at + 1] = at as u8 + 2;
        assert_eq!(read_name(&bytes, at), None);
        assert_eq!(read_name(&[0x40, 0], 0), None);
        assert_eq!(read_name(&[3, b'a'], 0), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, flags in 0u16..0x400) {
            let mut packet = question(7, b"name");
            packet[2..4].copy_from_slice(&(0x8000 | flags).to_be_bytes());
            packet[6..8].copy_from_slice(&u16::MAX.to_be_bytes());
            packet.extend(&bytes);
            let _ = answer(&packet, 7, b"name", 64);
            let _ = answer(&bytes, 7, b"name", 64);
        }
    }
}
