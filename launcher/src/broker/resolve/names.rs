//! Names as DNS and the hosts file know them.

/// Longest name, in bytes (RFC 1035, without the root's dot).
const LONGEST: usize = 253;
/// Longest label, in bytes.
const LONGEST_LABEL: usize = 63;

/// Whether `name` (without a final dot) can be a host's: letters, digits, `-`
/// and `_` in labels of at most 63 bytes. A last label of digits alone is a
/// misspelt address, which no server should be asked for.
pub fn is_host_name(name: &[u8]) -> bool {
    let good = |label: &[u8]| {
        !label.is_empty()
            && label.len() <= LONGEST_LABEL
            && label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    !name.is_empty()
        && name.len() <= LONGEST
        && name.split(|byte| *byte == b'.').all(good)
        && !last.iter().all(u8::is_ascii_digit)
}

/// Whether two names are the same; case does not count.
pub fn same(first: &[u8], second: &[u8]) -> bool {
    first.eq_ignore_ascii_case(second)
}

/// The name without a final dot, and whether it had one.
pub fn without_root(name: &[u8]) -> (&[u8], bool) {
    match name.strip_suffix(b".") {
        Some(name) => (name, true),
        None => (name, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_told_from_other_texts() {
        for name in [&b"localhost"[..], b"www.example.com", b"a_b-c.d1", b"1.example", b"X"] {
            assert!(is_host_name(name), "{name:?}");
        }
        let long_label = [b'a'; 64];
        let long_name = [&[b'a'; 50][..], b"."].concat().repeat(5);
        for name in [
            &b""[..],
            b".",
            b"a..b",
            b".a",
            b"a.",
            b"a b",
            b"127.0.0.1",
            b"999",
            b"a.256",
            b"a\0",
            b"*",
            b"<broadcast>",
            b"::1",
            b"/etc/passwd",
            "ä".as_bytes(),
            &long_label,
            &long_name,
        ] {
            assert!(!is_host_name(name), "{name:?}");
        }
    }
}
