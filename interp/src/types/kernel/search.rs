//! Substring search in linear time, from either end.
//!
//! The common case looks for the needle's first byte a vector at a time and compares there. When the comparisons cost
//! more than the text looked at, the two-way algorithm takes over, so that no input is quadratic and none needs memory.

/// Position of the first `byte`.
pub fn find_byte(text: &[u8], byte: u8) -> Option<usize> {
    const LANES: usize = 32;
    let mut at = 0;
    let mut chunks = text.chunks_exact(LANES);
    for chunk in &mut chunks {
        // No early exit inside a chunk: the compiler turns this into vector comparisons.
        if chunk.iter().fold(false, |found, &b| found | (b == byte)) {
            return find_in_words(chunk, byte).map(|inner| at + inner);
        }
        at += LANES;
    }
    find_in_words(chunks.remainder(), byte).map(|inner| at + inner)
}

/// [`find_byte`] eight bytes at a time.
#[inline]
fn find_in_words(text: &[u8], byte: u8) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let wanted = ONES * u64::from(byte);
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        // A byte of zero is where the wanted one is; the first of them is marked right, whatever is marked behind it.
        let word = u64::from_le_bytes(*word) ^ wanted;
        let marks = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if marks != 0 {
            return Some(at * 8 + marks.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|&b| b == byte)?;
    Some(words.len() * 8 + at)
}

/// Position of the last `byte`.
pub fn rfind_byte(text: &[u8], byte: u8) -> Option<usize> {
    text.iter().rposition(|&b| b == byte)
}

/// Number of occurrences of `byte`.
pub fn count_byte(text: &[u8], byte: u8) -> usize {
    // Sums of at most 255 fit a byte, which keeps the inner loop in vectors.
    text.chunks(255).map(|chunk| chunk.iter().map(|&b| u8::from(b == byte)).sum::<u8>() as usize).sum()
}

/// Position of the first occurrence of `needle`; an empty needle is at 0.
pub fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let [first, rest @ ..] = needle else { return Some(0) };
    if rest.is_empty() {
        return find_byte(text, *first);
    }
    if needle.len() > text.len() {
        return None;
    }
    let last = text.len() - needle.len();
    let mut at = 0;
    let mut work = 0;
    loop {
        at += find_byte(&text[at..=last], *first)?;
        let common = text[at + 1..].iter().zip(rest).take_while(|(a, b)| a == b).count();
        if common == rest.len() {
            return Some(at);
        }
        at += 1;
        if at > last {
            return None;
        }
        work += common + 4;
        if work > 8 * at + 64 {
            return TwoWay::new(needle.len(), |index| needle[index])
                .find(text.len() - at, |index| text[at + index])
                .map(|found| at + found);
        }
    }
}

/// Position of the last occurrence of `needle`; an empty needle is at the end.
pub fn rfind(text: &[u8], needle: &[u8]) -> Option<usize> {
    let [first, rest @ ..] = needle else { return Some(text.len()) };
    if rest.is_empty() {
        return rfind_byte(text, *first);
    }
    if needle.len() > text.len() {
        return None;
    }
    let mut end = text.len() - needle.len() + 1;
    let mut work = 0;
    while let Some(at) = rfind_byte(&text[..end], *first) {
        let common = text[at + 1..].iter().zip(rest).take_while(|(a, b)| a == b).count();
        if common == rest.len() {
            return Some(at);
        }
        work += common + 4;
        end = at;
        if work > 8 * (text.len() - end) + 64 {
            let size = end + needle.len() - 1;
            return TwoWay::new(needle.len(), |index| needle[needle.len() - 1 - index])
                .find(size, |index| text[size - 1 - index])
                .map(|found| size - found - needle.len());
        }
    }
    None
}

/// Non-overlapping occurrences of a non-empty `needle`, up to `most`.
pub fn count(text: &[u8], needle: &[u8], most: usize) -> usize {
    if let [byte] = needle {
        return count_byte(text, *byte).min(most);
    }
    Occurrences::new(text, needle).take(most).count()
}

/// Iterator over the positions of non-overlapping occurrences of a non-empty needle.
#[derive(Debug)]
pub struct Occurrences<'a> {
    text: &'a [u8],
    needle: &'a [u8],
    at: usize,
}

impl<'a> Occurrences<'a> {
    /// Occurrences of `needle` in `text`.
    pub fn new(text: &'a [u8], needle: &'a [u8]) -> Self {
        Occurrences { text, needle, at: 0 }
    }
}

impl Iterator for Occurrences<'_> {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        if self.needle.is_empty() {
            return None;
        }
        let found = self.at + find(self.text.get(self.at..)?, self.needle)?;
        self.at = found + self.needle.len();
        Some(found)
    }
}

/// Crochemore and Perrin's two-way search: linear, without a table. The needle is given as a function, so that it serves
/// both directions.
struct TwoWay<N: Fn(usize) -> u8> {
    needle: N,
    length: usize,
    /// Length of the left half.
    cut: usize,
    /// The period, or the shift after a match of the right half when the needle is not periodic.
    shift: usize,
    periodic: bool,
}

/// Start of the greatest suffix in one of the two alphabet orders, and its period.
fn greatest_suffix(length: usize, needle: &impl Fn(usize) -> u8, reversed: bool) -> (usize, usize) {
    let (mut start, mut candidate, mut offset, mut period) = (0usize, 1usize, 0usize, 1usize);
    while candidate + offset < length {
        let (a, b) = (needle(candidate + offset), needle(start + offset));
        let smaller = if reversed { a > b } else { a < b };
        if smaller {
            candidate += offset + 1;
            offset = 0;
            period = candidate - start;
        } else if a == b {
            if offset + 1 == period {
                candidate += period;
                offset = 0;
            } else {
                offset += 1;
            }
        } else {
            start = candidate;
            candidate += 1;
            offset = 0;
            period = 1;
        }
    }
    (start, period)
}

impl<N: Fn(usize) -> u8> TwoWay<N> {
    fn new(length: usize, needle: N) -> Self {
        let (first, first_period) = greatest_suffix(length, &needle, false);
        let (second, second_period) = greatest_suffix(length, &needle, true);
        let (cut, period) = if first > second { (first, first_period) } else { (second, second_period) };
        let periodic = cut + period <= length && (0..cut).all(|at| needle(at) == needle(at + period));
        let shift = if periodic { period } else { cut.max(length - cut) + 1 };
        TwoWay { needle, length, cut, shift, periodic }
    }

    fn find(&self, size: usize, text: impl Fn(usize) -> u8) -> Option<usize> {
        let (mut at, mut known) = (0usize, 0usize);
        while at + self.length <= size {
            let mut right = self.cut.max(known);
            while right < self.length && (self.needle)(right) == text(at + right) {
                right += 1;
            }
            if right < self.length {
                at += right - self.cut + 1;
                known = 0;
                continue;
            }
            let mut left = self.cut;
            while left > known && (self.needle)(left - 1) == text(at + left - 1) {
                left -= 1;
            }
            if left <= known {
                return Some(at);
            }
            at += self.shift;
            // A periodic needle matches again up to its last period.
            known = if self.periodic { self.length - self.shift } else { 0 };
        }
        None
    }
}
