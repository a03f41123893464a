//! File names and modes a program may use: one flat directory, plain characters.

/// Why a name is refused: the text of the TypeError the program sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadName {
    /// Not a string at all (for callers that check the type here).
    NotText,
    /// The empty string.
    Empty,
    /// A character outside `A-Z a-z 0-9 . _ -`.
    Character(u8),
    /// `.` or `..`.
    Directory,
}

impl BadName {
    /// The exception's text, as bytes (the character may be any byte).
    pub fn text(self) -> Vec<u8> {
        match self {
            BadName::NotText => b"filename is not a string!".to_vec(),
            BadName::Empty => b"filename is the empty string!".to_vec(),
            BadName::Character(byte) => [&b"filename has disallowed character '"[..], &[byte], b"'"].concat(),
            BadName::Directory => b"filename cannot be a directory".to_vec(),
        }
    }
}

/// Checks a name in the original's order: empty, characters, `.` and `..`.
pub fn check_name(name: &[u8]) -> Result<(), BadName> {
    if name.is_empty() {
        return Err(BadName::Empty);
    }
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    if let Some(byte) = name.iter().find(|byte| !allowed(byte)) {
        return Err(BadName::Character(*byte));
    }
    if name == b"." || name == b".." {
        return Err(BadName::Directory);
    }
    Ok(())
}

/// What a mode of `open` asks for: `r`, `r+`, `w` or `a` (`w+` and `a+` are no other
/// than those). The letters `b` and `t` mean nothing; None for no mode.
pub fn mode(given: &[u8]) -> Option<&'static str> {
    let letters: Vec<u8> = given.iter().copied().filter(|byte| !b"bt".contains(byte)).collect();
    match letters.as_slice() {
        b"r" => Some("r"),
        b"r+" => Some("r+"),
        b"w" | b"w+" => Some("w"),
        b"a" | b"a+" => Some("a"),
        _ => None,
    }
}

/// The text of the ValueError for what is no mode.
pub fn bad_mode(given: &[u8]) -> Vec<u8> {
    [&b"Invalid or unsupported mode ('"[..], given, b"') passed to open()."].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in [&b"a"[..], b"...", b"-x", b"A.b_c-9", b".hidden", b"junk_test.out"] {
            assert_eq!(check_name(good), Ok(()));
        }
        assert_eq!(check_name(b""), Err(BadName::Empty));
        assert_eq!(check_name(b"."), Err(BadName::Directory));
        assert_eq!(check_name(b".."), Err(BadName::Directory));
        for (bad, byte) in
            [(&b"a/b"[..], b'/'), (b"../x", b'/'), (b"a\0", 0), (b"\xc3", 0xc3), (b"a b", b' ')]
        {
            assert_eq!(check_name(bad), Err(BadName::Character(byte)));
        }
        assert_eq!(BadName::Character(b'/').text(), b"filename has disallowed character '/'");
    }
}
