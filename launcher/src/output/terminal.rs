//! What a program prints reaches a terminal without the bytes by which it could
//! command it: move the cursor, rewrite what the operator reads, change the
//! title, or make the terminal answer. Files and pipes get every byte as it is.

/// Makes output harmless for a terminal; remembers a carriage return at the end
/// of a piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct Escaper {
    pending_return: bool,
}

impl Escaper {
    /// Appends `data` to `out`, with control characters other than newline and
    /// tab written as `\xNN`. A carriage return directly before a newline passes.
    pub fn escape(&mut self, data: &[u8], out: &mut Vec<u8>) {
        let mut at = 0;
        while at < data.len() {
            let byte = data[at];
            if std::mem::take(&mut self.pending_return) {
                if byte == b'\n' {
                    out.push(b'\r');
                } else {
                    out.extend_from_slice(b"\\x0d");
                }
            }
            match byte {
                b'\n' | b'\t' | 0x20..=0x7e => out.push(byte),
                b'\r' => self.pending_return = true,
                0x00..=0x1f | 0x7f => hexadecimal(byte, out),
                // 0xC2 0x80..0x9F is UTF-8 for the control characters of ISO 6429.
                0xc2 if data.get(at + 1).is_some_and(|next| (0x80..=0x9f).contains(next)) => {
                    hexadecimal(byte, out);
                    hexadecimal(data[at + 1], out);
                    at += 1;
                }
                // A lone byte of that range would be a control character on an
                // eight-bit terminal; inside UTF-8 it follows another byte >= 0x80.
                0x80..=0x9f if at == 0 || data[at - 1] < 0x80 => hexadecimal(byte, out),
                _ => out.push(byte),
            }
            at += 1;
        }
    }

    /// What is still held back when the output ends.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.pending_return) {
            out.extend_from_slice(b"\\x0d");
        }
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
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn plain_text_passes() {
        assert_eq!(
            escape(&["a\tb\r\nc\nd \u{e9}\u{20ac}\u{1f600}".as_bytes()]),
            "a\tb\r\nc\nd \u{e9}\u{20ac}\u{1f600}"
        );
    }

    #[test]
    fn commands_do_not() {
        assert_eq!(escape(&[b"\x1b[2J\x07\x00\x7f"]), "\\x1b[2J\\x07\\x00\\x7f");
        assert_eq!(escape(&[b"ok\rno"]), "ok\\x0dno");
        assert_eq!(escape(&[b"x\xc2\x9b2J", b"\x9b2J"]), "x\\xc2\\x9b2J\\x9b2J");
    }

    #[test]
    fn a_line_end_split_between_pieces_passes() {
        assert_eq!(escape(&[b"a\r", b"\nb\r", b"c\r"]), "a\r\nb\\x0dc\\x0d");
    }
}
