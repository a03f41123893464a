//! The hosts file.

use std::net::Ipv4Addr;

use super::names::same;
use super::Entry;

/// Looks a name up, as `gethostbyname` does where `/etc/host.conf` says
/// `multi on` (Debian's default): all lines that hold the name count together.
/// The first line's first name is the canonical one.
pub fn look_up(text: &[u8], name: &[u8]) -> Option<Entry> {
    let mut found: Option<Entry> = None;
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
        let Some(address) = words.next().and_then(strict_address) else { continue };
        let names: Vec<&[u8]> = words.collect();
        if !names.iter().any(|known| same(known, name)) {
            continue;
        }
        let entry = found.get_or_insert_with(|| Entry { name: names[0].to_vec(), ..Entry::default() });
        for known in names {
            entry.add_alias(known);
        }
        entry.add_address(address);
    }
    found
}

/// An address as the hosts file writes it: four decimal numbers.
fn strict_address(word: &[u8]) -> Option<Ipv4Addr> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"# comment\n127.0.0.1\tlocalhost loop # home\n::1 localhost ip6-localhost\n\
        10.0.0.1 web.example WEB www\n10.0.0.2 web2 web\nbroken line\n300.1.1.1 never\n010.0.0.1 octal\n10.0.0.9";

    fn entry(name: &str, aliases: &[&str], addresses: &[[u8; 4]]) -> Option<Entry> {
        Some(Entry {
            name: name.into(),
            aliases: aliases.iter().map(|alias| alias.as_bytes().to_vec()).collect(),
            addresses: addresses.iter().map(|address| Ipv4Addr::from(*address)).collect(),
        })
    }

    #[test]
    fn lines_are_found_by_any_of_their_names() {
        assert_eq!(look_up(TEXT, b"LOCALHOST"), entry("localhost", &["loop"], &[[127, 0, 0, 1]]));
        assert_eq!(look_up(TEXT, b"loop"), entry("localhost", &["loop"], &[[127, 0, 0, 1]]));
        assert_eq!(
            look_up(TEXT, b"web"),
            entry("web.example", &["WEB", "www", "web2"], &[[10, 0, 0, 1], [10, 0, 0, 2]])
        );
        for name in [&b"never"[..], b"octal", b"line", b"home", b"ip6-localhost", b""] {
            assert_eq!(look_up(TEXT, name), None, "{name:?}");
        }
    }

    #[test]
    fn a_hostile_file_gives_a_bounded_entry() {
        let line: String = (0..5000).map(|i| format!(" alias{i}")).collect();
        let text: String = (0..1000).map(|i| format!("10.0.{}.{} name{line}\n", i / 250, i % 250)).collect();
        let entry = look_up(text.as_bytes(), b"name").expect("found");
        assert_eq!(entry.addresses.len(), policies::channel::network::MAXIMUM_ADDRESSES);
        assert_eq!(entry.aliases.len(), policies::channel::network::MAXIMUM_ALIASES);
    }
}
