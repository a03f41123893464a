//! What a program prints reaches a terminal without the bytes by which it could
//! command it: move the cursor, rewrite what the operator reads, change the
//! title, or make the terminal answer. Files and pipes get every byte as it is.

use crate::terminal::turns_text;

/// Makes output harmless for a terminal; remembers a carriage return and the
/// beginning of a letter at the end of a piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct Escaper {
    pending_return: bool,
    /// The bytes of a letter of which more have to come.
    letter: [u8; 4],
    known: usize,
}

impl Escaper {
    /// Appends `data` to `out`, with control characters other than newline and
    /// tab, and bytes that are not of a letter in UTF-8, written as `\xNN`. A
    /// carriage return directly before a newline passes.
    pub fn escape(&mut self, data: &[u8], out: &mut Vec<u8>) {
        for &byte in data {
            if std::mem::take(&mut self.pending_return) {
                if byte == b'\n' {
                    out.push(b'\r');
                } else {
                    hexadecimal(b'\r', out);
                }
            }
            if self.known > 0 && byte & 0xc0 == 0x80 {
                self.go_on(byte, out);
                continue;
            }
            self.give_up(out);
            match byte {
                b'\n' | b'\t' | 0x20..=0x7e => out.push(byte),
                b'\r' => self.pending_return = true,
                0xc2..=0xf4 => {
                    self.letter[0] = byte;
                    self.known = 1;
                }
                _ => hexadecimal(byte, out),
            }
        }
    }

    /// One more byte of a letter.
    fn go_on(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.letter[self.known] = byte;
        self.known += 1;
        let whole = match self.letter[0] {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            _ => 4,
        };
        if self.known < whole {
            return;
        }
        let bytes = &self.letter[..whole];
        let letter = std::str::from_utf8(bytes).ok().and_then(|text| text.chars().next());
        if letter.is_some_and(|letter| !letter.is_control() && !turns_text(letter)) {
            out.extend_from_slice(bytes);
            self.known = 0;
        } else {
            self.give_up(out);
        }
    }

    /// The bytes that are there are no letter.
    fn give_up(&mut self, out: &mut Vec<u8>) {
        self.letter[..self.known].iter().for_each(|byte| hexadecimal(*byte, out));
        self.known = 0;
    }

    /// What is still held back when the output ends.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.pending_return) {
            hexadecimal(b'\r', out);
        }
        self.give_up(out);
    }
}

fn hexadecimal(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escape(pieces: &[&[u8]]) -> String {
        let mut escaper = Escaper::default();
        let mut out = Vec::new();
        for piece in pieces {
            escaper.escape(piece, &mut out);
        }
        escaper.finish(&mut out);
        String::from_utf8(out).expect("letters only")
    }

    const PLAIN: &str = "a\tb\r\nc\nd \u{e9}\u{20ac}\u{1f600}\u{5d0}";

    #[test]
    fn plain_text_passes_however_it_is_cut() {
        assert_eq!(escape(&[PLAIN.as_bytes()]), PLAIN);
        for cut in 0..PLAIN.len() {
            let (first, second) = PLAIN.as_bytes().split_at(cut);
            assert_eq!(escape(&[first, second]), PLAIN, "{cut}");
        }
    }

    #[test]
    fn commands_do_not() {
        assert_eq!(escape(&[b"\x1b[2J\x07\x00\x7f"]), "\\x1b[2J\\x07\\x00\\x7f");
        assert_eq!(escape(&[b"ok\rno"]), "ok\\x0dno");
        assert_eq!(escape(&[b"x\xc2\x9b2J", b"\x9b2J"]), "x\\xc2\\x9b2J\\x9b2J");
        assert_eq!(escape(&[b"\xc2", b"\x9b2J"]), "\\xc2\\x9b2J");
        // A command of an eight-bit terminal behind a byte that begins no letter of UTF-8, or
        // one that is not finished, or is too long for what it says.
        assert_eq!(escape(&[b"\xff\x9b2J"]), "\\xff\\x9b2J");
        assert_eq!(escape(&[b"\xe9\x9b2J"]), "\\xe9\\x9b2J");
        assert_eq!(escape(&[b"\xc0\x9b2J"]), "\\xc0\\x9b2J");
        assert_eq!(escape(&[b"\xe0\x82\x9b2J"]), "\\xe0\\x82\\x9b2J");
        assert_eq!(escape(&[b"\xed\xa0\x80"]), "\\xed\\xa0\\x80");
        // What turns the direction of a line, or hides in it.
        assert_eq!(escape(&["\u{202e}x\u{200b}".as_bytes()]), "\\xe2\\x80\\xaex\\xe2\\x80\\x8b");
    }

    #[test]
    fn a_line_end_split_between_pieces_passes() {
        assert_eq!(escape(&[b"a\r", b"\nb\r", b"c\r"]), "a\r\nb\\x0dc\\x0d");
    }

    #[test]
    fn a_letter_that_never_ends_is_shown_at_the_end() {
        assert_eq!(escape(&[b"a\xe2\x82"]), "a\\xe2\\x82");
        assert_eq!(escape(&[b"\xe2\x82z\xf0\x9f\x98\xe9"]), "\\xe2\\x82z\\xf0\\x9f\\x98\\xe9");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_give_a_control_character(data in proptest::collection::vec(0u8.., 0..64)) {
            let shown = escape(&[&data]);
            let fine = |letter: char| letter == '\n' || letter == '\t' || !letter.is_control();
            proptest::prop_assert!(shown.replace("\r\n", "\n").chars().all(fine), "{shown:?}");
        }
    }
}
