//! Substring search in linear time, from either end.
//!
//! Short texts are searched eight places at a time for the needle's first two bytes. Longer ones are left to `memchr`, which
//! uses the vector instructions of the processor it runs on. From the right, the needle's first byte is looked for and the
//! rest compared there; when the comparisons cost more than the text looked at, the two-way algorithm takes over, so that
//! no input is quadratic.
use memchr::memmem::Finder;

/// Longest text that is searched without setting a search up, in bytes.
const SHORT: usize = 128;

const ONES: u64 = 0x0101_0101_0101_0101;

/// Marks the bytes of a word that are zero; the first mark is right, whatever is marked behind it.
#[inline(always)]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

/// Position of the first `byte`.
#[inline]
pub fn find_byte(text: &[u8], byte: u8) -> Option<usize> {
    if text.len() > 32 {
        return memchr::memchr(byte, text);
    }
    find_in_words(text, byte)
}

/// [`find_byte`] eight bytes at a time.
#[inline]
fn find_in_words(text: &[u8], byte: u8) -> Option<usize> {
    let wanted = ONES * u64::from(byte);
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let marks = zeros(u64::from_le_bytes(*word) ^ wanted);
        if marks != 0 {
            return Some(at * 8 + marks.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|&b| b == byte)?;
    Some(words.len() * 8 + at)
}

/// Position of the last `byte`.
#[inline]
pub fn rfind_byte(text: &[u8], byte: u8) -> Option<usize> {
    if text.len() > 16 {
        return memchr::memrchr(byte, text);
    }
    text.iter().rposition(|&b| b == byte)
}

/// Number of occurrences of `byte`.
#[inline]
pub fn count_byte(text: &[u8], byte: u8) -> usize {
    if text.len() > 32 {
        return memchr::memchr_iter(byte, text).count();
    }
    text.iter().map(|&b| u8::from(b == byte)).sum::<u8>() as usize
}

/// Position of the first occurrence of `needle`; an empty needle is at 0.
pub fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    match *needle {
        [] => Some(0),
        [byte] => find_byte(text, byte),
        _ if needle.len() > text.len() => None,
        [first, second, ..] if text.len() <= SHORT => find_in_short(text, needle, [first, second]),
        [first, second, ..] => {
            // Setting a search up costs more than finding what is near.
            let near = &text[..SHORT.max(needle.len()).min(text.len())];
            find_in_short(near, needle, [first, second]).or_else(|| memchr::memmem::find(text, needle))
        }
    }
}

/// [`find`] in a text that is short, or no longer than the needle, by the first two bytes of the needle, which is not longer than the text.
fn find_in_short(text: &[u8], needle: &[u8], pair: [u8; 2]) -> Option<usize> {
    let holds = |at: &usize| text[*at..].starts_with(needle);
    let wanted = pair.map(|byte| ONES * u64::from(byte));
    let mut at = 0;
    // A word at `at` and the one a byte further on: where both differ from the pair nowhere, the pair stands.
    while let Some(bytes) = text.get(at..at + 9) {
        let (Some(word), Some(next)) = (bytes.first_chunk(), bytes.last_chunk()) else { break };
        let differs = (u64::from_le_bytes(*word) ^ wanted[0]) | (u64::from_le_bytes(*next) ^ wanted[1]);
        let mut marks = zeros(differs);
        while marks != 0 {
            let place = at + marks.trailing_zeros() as usize / 8;
            // The first mark is right.
            if needle.len() == 2 || holds(&place) {
                return Some(place);
            }
            marks &= marks - 1;
        }
        at += 8;
    }
    let last = text.len() - needle.len();
    (at..=last).filter(|&at| text[at] == pair[0] && text[at + 1] == pair[1]).find(holds)
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
    if let ([byte], true) = (needle, most >= text.len()) {
        return count_byte(text, *byte);
    }
    Occurrences::new(text, needle).take(most).count()
}

/// Iterator over the positions of non-overlapping occurrences of a non-empty needle.
#[derive(Debug)]
pub struct Occurrences<'a> {
    text: &'a [u8],
    needle: &'a [u8],
    at: usize,
    /// The search in a long text, set up once.
    finder: Option<Finder<'a>>,
}

impl<'a> Occurrences<'a> {
    /// Occurrences of `needle` in `text`.
    pub fn new(text: &'a [u8], needle: &'a [u8]) -> Self {
        let finder = (text.len() > SHORT && needle.len() > 1).then(|| Finder::new(needle));
        Occurrences { text, needle, at: 0, finder }
    }
}

impl Iterator for Occurrences<'_> {
    type Item = usize;
    #[inline]
    fn next(&mut self) -> Option<usize> {
        let rest = self.text.get(self.at..)?;
        let found = match (&self.finder, self.needle) {
            (Some(finder), _) => finder.find(rest)?,
            (None, []) => return None,
            (None, [byte]) => find_byte(rest, *byte)?,
            (None, needle) => find(rest, needle)?,
        };
        let found = self.at + found;
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
