//! IPv4 addresses as C's `inet_aton` reads them.
//!
//! A program may write `127.1`, `0x7f.1` or `2130706433`, and the system reads
//! all of them as one address; rules must not be stepped around by a spelling.

use std::net::Ipv4Addr;

/// The address that `text` spells, or `None` if it is a name (or nothing at all).
///
/// One to four parts; each decimal, octal (leading `0`) or hexadecimal (leading `0x`); the last
/// part fills the remaining bytes. No white space and nothing after it.
pub fn parse_literal(text: &[u8]) -> Option<Ipv4Addr> {
    let mut parts = [0u32; 4];
    let mut count = 0;
    for word in text.split(|&byte| byte == b'.') {
        if count == parts.len() {
            return None;
        }
        parts[count] = parse_part(word)?;
        count += 1;
    }
    let (last, leading) = parts[..count].split_last()?;
    if leading.iter().any(|&part| part > 255) {
        return None;
    }
    let free_bits = 32 - 8 * leading.len() as u32;
    if u64::from(*last) >= 1u64 << free_bits {
        return None;
    }
    let high = leading.iter().fold(0u32, |value, part| value << 8 | part);
    // With no leading part there is nothing to shift, and a shift by 32 is not defined.
    let high = if leading.is_empty() { 0 } else { high << free_bits };
    Some(Ipv4Addr::from(high | last))
}

fn parse_part(word: &[u8]) -> Option<u32> {
    let (digits, radix) = match word {
        [b'0', b'x' | b'X', digits @ ..] => (digits, 16),
        [b'0', digits @ ..] if !digits.is_empty() => (digits, 8),
        digits => (digits, 10),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0u32;
    for &byte in digits {
        let digit = char::from(byte).to_digit(radix)?;
        value = value.checked_mul(radix)?.checked_add(digit)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_of_one_address_is_that_address() {
        let home = Some(Ipv4Addr::LOCALHOST);
        for text in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f.1",
            "0x7F000001",
            "0177.0.0.1",
            "017700000001",
        ] {
            assert_eq!(parse_literal(text.as_bytes()), home, "{text}");
        }
        let any = Some(Ipv4Addr::UNSPECIFIED);
        for text in ["0", "0.0", "0.0.0", "0.0.0.0", "00.0.0.0", "000.000.000.000", "0x0", "0x0.0.0.0"] {
            assert_eq!(parse_literal(text.as_bytes()), any, "{text}");
        }
        assert_eq!(parse_literal(b"255.255.255.255"), Some(Ipv4Addr::BROADCAST));
        assert_eq!(parse_literal(b"4294967295"), Some(Ipv4Addr::BROADCAST));
    }

    #[test]
    fn everything_else_is_not_an_address() {
        for text in [
            "",
            ".",
            "1.",
            ".1",
            "1..2",
            "1.2.3.4.5",
            "256.1",
            "1.16777216",
            "1.2.65536",
            "1.2.3.256",
            "4294967296",
            "08",
            "0x",
            "0xg",
            " 127.0.0.1",
            "127.0.0.1 ",
            "127.0.0.1\0",
            "localhost",
            "::1",
            "+1",
            "-1",
            "1e3",
            "*",
        ] {
            assert_eq!(parse_literal(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn dotted_quads_read_as_themselves(value in any::<u32>()) {
            let address = Ipv4Addr::from(value);
            prop_assert_eq!(parse_literal(address.to_string().as_bytes()), Some(address));
            prop_assert_eq!(parse_literal(value.to_string().as_bytes()), Some(address));
        }

        #[test]
        fn any_bytes_are_read_without_panic(text in any::<Vec<u8>>()) {
            let _ = parse_literal(&text);
        }
    }
}
