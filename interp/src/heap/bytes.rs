//! The bytes of a string: up to [`INLINE`] in place, longer ones on their own.

/// Longest string kept in place, in bytes.
pub const INLINE: usize = 15;

/// Bytes of a string.
#[derive(Clone, Debug)]
pub enum Bytes {
    /// Length and bytes in place.
    Inline(u8, [u8; INLINE]),
    /// Bytes in a buffer of their own, possibly with room to grow.
    Heap(Vec<u8>),
}

impl Bytes {
    /// The empty string.
    pub const EMPTY: Bytes = Bytes::Inline(0, [0; INLINE]);

    /// A copy of `bytes`.
    #[inline]
    pub fn copy(bytes: &[u8]) -> Bytes {
        if bytes.len() <= INLINE {
            let mut buffer = [0; INLINE];
            copy_short(&mut buffer, bytes);
            Bytes::Inline(bytes.len() as u8, buffer)
        } else {
            Bytes::Heap(bytes.to_vec())
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
            // The length never exceeds INLINE; `min` lets the compiler know.
            Bytes::Inline(length, buffer) => &buffer[..usize::from(*length).min(INLINE)],
            Bytes::Heap(bytes) => bytes,
        }
    }

    /// The bytes, to be changed in place.
    #[inline(always)]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        match self {
            Bytes::Inline(length, buffer) => &mut buffer[..usize::from(*length).min(INLINE)],
            Bytes::Heap(bytes) => bytes,
        }
    }

    /// Whether both hold the same bytes.
    #[inline(always)]
    pub fn same(&self, other: &Bytes) -> bool {
        match (self, other) {
            // What lies behind a short string is always zero: two moves of eight bytes compare it.
            (Bytes::Inline(a, x), Bytes::Inline(b, y)) => a == b && x == y,
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
            *self = both;
            return;
        }
        let more = more.as_slice();
        match self {
            Bytes::Heap(bytes) => bytes.extend_from_slice(more),
            Bytes::Inline(length, buffer) => {
                let used = usize::from(*length).min(INLINE);
                let mut bytes = Vec::with_capacity((used + more.len()) * 2);
                bytes.extend_from_slice(&buffer[..used]);
                bytes.extend_from_slice(more);
                *self = Bytes::Heap(bytes);
            }
        }
    }

    /// Both, one behind the other, if that is short: by moves of fixed sizes.
    #[inline(always)]
    pub fn joined_inline(&self, more: &Bytes) -> Option<Bytes> {
        let (Bytes::Inline(first, x), Bytes::Inline(second, y)) = (self, more) else { return None };
        let (at, length) = (usize::from(*first).min(INLINE), *first + *second);
        if usize::from(length) > INLINE {
            return None;
        }
        // What lies behind a short string is zero, so that the rest of the result is too.
        let mut wide = [0; 2 * INLINE + 1];
        wide[..INLINE].copy_from_slice(x);
        wide[at..at + INLINE].copy_from_slice(y);
        let mut both = [0; INLINE];
        both.copy_from_slice(&wide[..INLINE]);
        Some(Bytes::Inline(length, both))
    }
}

/// Copies up to [`INLINE`] bytes by moves of fixed sizes, which overlap in the middle.
#[inline(always)]
fn copy_short(buffer: &mut [u8; INLINE], bytes: &[u8]) {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        buffer[..8].copy_from_slice(first);
        let start = (bytes.len() - 8).min(INLINE - 8);
        buffer[start..start + 8].copy_from_slice(last);
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        buffer[..4].copy_from_slice(first);
        let start = (bytes.len() - 4).min(4);
        buffer[start..start + 4].copy_from_slice(last);
    } else {
        for (place, byte) in buffer.iter_mut().zip(bytes) {
            *place = *byte;
        }
    }
}

const _: () = assert!(std::mem::size_of::<Bytes>() == 24);
