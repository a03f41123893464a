//! Bytes with wide fills that are only noted: `'%09999999d'` and its like are put together a piece at a time.

/// Fills wider than this are noted, in bytes.
const WIDE: usize = 256 << 10;

/// So many times the same byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Where it stands among the bytes that are not fills.
    pub at: usize,
    /// What is repeated.
    pub byte: u8,
    /// How often.
    pub count: usize,
}

/// Bytes, and wide fills between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Padded {
    bytes: Vec<u8>,
    fills: Vec<Fill>,
    /// Bytes of all fills.
    filled: usize,
}

impl Padded {
    /// Empty, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Padded {
        Padded { bytes: Vec::with_capacity(bytes), ..Padded::default() }
    }

    /// Bytes, fills included.
    #[inline]
    pub fn size(&self) -> usize {
        self.bytes.len() + self.filled
    }

    /// Makes room for so many bytes.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Appends bytes.
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends a byte if there is one.
    pub fn extend(&mut self, byte: Option<u8>) {
        self.bytes.extend(byte);
    }

    /// Appends so many times the same byte.
    #[inline]
    pub fn fill(&mut self, byte: u8, count: usize) {
        if count <= WIDE {
            self.bytes.resize(self.bytes.len() + count, byte);
        } else {
            self.fills.push(Fill { at: self.bytes.len(), byte, count });
            self.filled += count;
        }
    }

    /// Appends another.
    pub fn append(&mut self, other: &Padded) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.fills.extend(other.fills.iter().map(|fill| Fill { at: start + fill.at, ..*fill }));
        self.filled += other.filled;
    }

    /// The bytes, and the fills in order.
    pub fn into_parts(self) -> (Vec<u8>, Vec<Fill>) {
        (self.bytes, self.fills)
    }

    /// All of it as bytes.
    pub fn flat(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size());
        let mut at = 0;
        for fill in &self.fills {
            out.extend_from_slice(&self.bytes[at..fill.at]);
            out.resize(out.len() + fill.count, fill.byte);
            at = fill.at;
        }
        out.extend_from_slice(&self.bytes[at..]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_fills_come_out_where_they_were_put() {
        let mut padded = Padded::default();
        padded.fill(b'a', 3);
        padded.fill(b'b', WIDE + 1);
        padded.extend_from_slice(b"cd");
        let mut whole = Padded::with_capacity(8);
        whole.extend(Some(b'-'));
        whole.append(&padded);
        whole.fill(b'e', WIDE + 2);
        let expected =
            [b"-aaa".to_vec(), vec![b'b'; WIDE + 1], b"cd".to_vec(), vec![b'e'; WIDE + 2]].concat();
        assert_eq!(whole.size(), expected.len());
        assert!(whole.flat() == expected);
        assert!(whole.into_parts().0.len() < 16);
    }
}
