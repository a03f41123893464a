//! The bytes of a string: up to [`INLINE`] in place, longer ones on their own.

/// Longest string kept in place, in bytes.
pub const INLINE: usize = 15;

/// A short string: its bytes, zeros, its length.
pub type Short = [u8; INLINE + 1];

/// Bytes of a string.
#[derive(Clone, Debug)]
pub enum Bytes {
    /// Bytes in place, zeros behind them, and their number in the last place: two moves of eight bytes compare it all.
    Inline(Short),
    /// Bytes in a buffer of their own, possibly with room to grow.
    Heap(Vec<u8>),
}

impl Bytes {
    /// The empty string.
    pub const EMPTY: Bytes = Bytes::Inline([0; INLINE + 1]);

    /// A copy of `bytes`.
    #[inline]
    pub fn copy(bytes: &[u8]) -> Bytes {
        if bytes.len() <= INLINE {
            Bytes::Inline(short(bytes))
        } else {
            Bytes::Heap(bytes.to_vec())
        }
    }

    /// Whether the string has this byte.
    #[inline(always)]
    pub fn holds(&self, byte: u8) -> bool {
        const ONES: u128 = u128::MAX / 255;
        match self {
            Bytes::Inline(buffer) => {
                // A byte of zero is where the wanted one is; the first of them is marked right, whatever is marked
                // behind it.
                let found = u128::from_le_bytes(*buffer) ^ (ONES * u128::from(byte));
                let marks = found.wrapping_sub(ONES) & !found & (ONES << 7);
                (marks.trailing_zeros() as usize / 8) < length_of(buffer)
            }
            Bytes::Heap(bytes) => memchr::memchr(byte, bytes).is_some(),
        }
    }

    /// Takes a buffer over (copied in place if it is short).
    #[inline]
    pub fn take(bytes: Vec<u8>) -> Bytes {
        if bytes.len() <= INLINE {
            Bytes::copy(&bytes)
        } else {
            Bytes::Heap(bytes)
        }
    }

    /// The bytes.
    #[inline(always)]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Inline(buffer) => &buffer[..length_of(buffer)],
            Bytes::Heap(bytes) => bytes,
        }
    }

    /// The bytes, to be changed in place.
    #[inline(always)]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        match self {
            Bytes::Inline(buffer) => {
                let length = length_of(buffer);
                &mut buffer[..length]
            }
            Bytes::Heap(bytes) => bytes,
        }
    }

    /// Appends the bytes to a buffer: a short string by a move of a fixed size if there is room for one.
    #[inline(always)]
    pub fn append_to(&self, out: &mut Vec<u8>) {
        match self {
            Bytes::Inline(buffer) if out.capacity() - out.len() > INLINE => {
                let end = out.len() + length_of(buffer);
                out.extend_from_slice(buffer);
                out.truncate(end);
            }
            short @ Bytes::Inline(..) => out.extend_from_slice(short.as_slice()),
            Bytes::Heap(bytes) => out.extend_from_slice(bytes),
        }
    }

    /// Whether both hold the same bytes.
    #[inline(always)]
    pub fn same(&self, other: &Bytes) -> bool {
        match (self, other) {
            (Bytes::Inline(x), Bytes::Inline(y)) => halves(x) == halves(y),
            _ => self.as_slice() == other.as_slice(),
        }
    }

    /// Bytes held outside the slot.
    #[inline]
    pub fn outside(&self) -> usize {
        match self {
            Bytes::Inline(..) => 0,
            Bytes::Heap(bytes) => bytes.capacity(),
        }
    }

    /// Appends in place, doubling the buffer when it is full.
    #[inline]
    pub fn push(&mut self, more: &Bytes) {
        if let Some(both) = self.joined_inline(more) {
            *self = Bytes::Inline(both);
            return;
        }
        let more = more.as_slice();
        match self {
            Bytes::Heap(bytes) => {
                let wanted = bytes.len() + more.len();
                if wanted > bytes.capacity() {
                    bytes.reserve_exact(room_for(2 * wanted) - bytes.len());
                }
                bytes.extend_from_slice(more);
            }
            Bytes::Inline(buffer) => {
                let used = length_of(buffer);
                let mut bytes = Vec::with_capacity(room_for(2 * (used + more.len())));
                bytes.extend_from_slice(&buffer[..used]);
                bytes.extend_from_slice(more);
                *self = Bytes::Heap(bytes);
            }
        }
    }

    /// Both, one behind the other, if that is short: by shifts of two registers.
    #[inline(always)]
    pub fn joined_inline(&self, more: &Bytes) -> Option<Short> {
        let (Bytes::Inline(x), Bytes::Inline(y)) = (self, more) else { return None };
        let (at, length) = (length_of(x), x[INLINE] + y[INLINE]);
        if usize::from(length) > INLINE {
            return None;
        }
        // What lies behind a short string is zero, so that the rest of the result is too.
        let text = |short: &Short| u128::from_le_bytes(*short) << 8 >> 8;
        let both = text(x) | text(y) << (at * 8);
        Some((both | u128::from(length) << 120).to_le_bytes())
    }
}

/// The number of bytes of a short string, which never exceeds INLINE; `min` lets the compiler know.
#[inline(always)]
fn length_of(buffer: &Short) -> usize {
    usize::from(buffer[INLINE]).min(INLINE)
}

/// The room of a buffer for so many bytes: what the allocator gives for them anyway.
#[inline(always)]
pub fn room_for(size: usize) -> usize {
    (size.saturating_add(7) & !15) + 8
}

/// A short string of at most [`INLINE`] bytes, put together in two registers: in memory, what is written in small pieces
/// and read in large ones is waited for.
#[inline(always)]
pub fn short(bytes: &[u8]) -> Short {
    let count = bytes.len();
    let (low, high) = if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        // Two numbers that overlap in the middle; the shift is one by 64 for eight bytes, which takes two steps.
        let last = u64::from_le_bytes(*last);
        (u64::from_le_bytes(*first), last >> 8 >> (15usize.wrapping_sub(count) * 8 % 64))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        (u64::from(first) | u64::from(last) << (count.wrapping_sub(4) * 8 % 64), 0)
    } else {
        match *bytes {
            [] => (0, 0),
            [a] => (u64::from(a), 0),
            [a, b] => (u64::from(a) | u64::from(b) << 8, 0),
            [a, b, c, ..] => (u64::from(a) | u64::from(b) << 8 | u64::from(c) << 16, 0),
        }
    };
    (u128::from(low) | u128::from(high | (count as u64) << 56) << 64).to_le_bytes()
}

/// A short string as two numbers.
#[inline(always)]
pub fn halves(buffer: &Short) -> (u64, u64) {
    let half = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&buffer[at..at + 8]);
        u64::from_le_bytes(word)
    };
    (half(0), half(8))
}

const _: () = assert!(std::mem::size_of::<Bytes>() == 24);
