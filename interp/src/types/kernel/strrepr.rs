//! `repr` of a byte string.
use super::search::find_byte;

/// Upper bound of the size of [`repr`]'s result.
pub fn repr_bound(text: &[u8]) -> usize {
    text.len().saturating_mul(4).saturating_add(2)
}

/// `repr(text)`: single quotes unless the text holds a single quote and no double one.
pub fn repr(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_repr(&mut out, text);
    out
}

/// Appends `repr(text)` to `out`.
pub fn push_repr(out: &mut Vec<u8>, text: &[u8]) {
    let quote = quote(text);
    out.push(quote);
    push_escaped(out, text, quote);
    out.push(quote);
}

/// The quote around `repr(text)`.
pub fn quote(text: &[u8]) -> u8 {
    if find_byte(text, b'\'').is_some() && find_byte(text, b'"').is_none() {
        b'"'
    } else {
        b'\''
    }
}

/// Appends a piece of what stands between the quotes.
pub fn push_escaped(out: &mut Vec<u8>, piece: &[u8], quote: u8) {
    const CHUNK: usize = 16;
    let plain = |&byte: &u8| matches!(byte, b' '..=b'~') & (byte != b'\\') & (byte != quote);
    let (chunks, rest) = piece.as_chunks::<CHUNK>();
    for chunk in chunks {
        // No early exit inside a chunk: the compiler turns this into vector comparisons.
        if chunk.iter().fold(true, |all, byte| all & plain(byte)) {
            out.extend_from_slice(chunk);
        } else {
            push_each(out, chunk, quote);
        }
    }
    push_each(out, rest, quote);
}

/// Appends what stands between the quotes byte by byte.
fn push_each(out: &mut Vec<u8>, piece: &[u8], quote: u8) {
    for &byte in piece {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ if byte == quote => out.extend_from_slice(&[b'\\', quote]),
            b' '..=b'~' => out.push(byte),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(&[b'\\', b'x', HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]]);
            }
        }
    }
}
