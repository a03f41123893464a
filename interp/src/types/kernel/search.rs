//! Substring search in linear time, from either end.
//!
//! The common case looks for the needle's first byte a vector at a time and compares there. When the comparisons cost
//! more than the text looked at, the search goes on with Knuth, Morris and Pratt's table, so that no input is quadratic.

/// Position of the first `byte`.
pub fn find_byte(text: &[u8], byte: u8) -> Option<usize> {
    const LANES: usize = 32;
    let mut at = 0;
    let mut chunks = text.chunks_exact(LANES);
    for chunk in &mut chunks {
        // No early exit inside a chunk: the compiler turns this into vector comparisons.
        if chunk.iter().fold(false, |found, &b| found | (b == byte)) {
            return chunk.iter().position(|&b| b == byte).map(|inner| at + inner);
        }
        at += LANES;
    }
    chunks.remainder().iter().position(|&b| b == byte).map(|inner| at + inner)
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
        if work > 8 * at + 256 {
            return Table::new(needle.len(), |index| needle[index])
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
        if work > 8 * (text.len() - end) + 256 {
            let size = end + needle.len() - 1;
            return Table::new(needle.len(), |index| needle[needle.len() - 1 - index])
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

/// The failure table of Knuth, Morris and Pratt over a needle given as a function, so that it serves both directions.
struct Table<N: Fn(usize) -> u8> {
    needle: N,
    failure: Vec<u32>,
}

impl<N: Fn(usize) -> u8> Table<N> {
    fn new(length: usize, needle: N) -> Self {
        let mut failure = vec![0u32; length];
        let mut matched = 0usize;
        for at in 1..length {
            while matched > 0 && needle(at) != needle(matched) {
                matched = failure[matched - 1] as usize;
            }
            if needle(at) == needle(matched) {
                matched += 1;
            }
            failure[at] = matched as u32;
        }
        Table { needle, failure }
    }

    fn find(&self, size: usize, text: impl Fn(usize) -> u8) -> Option<usize> {
        let mut matched = 0usize;
        for at in 0..size {
            let byte = text(at);
            while matched > 0 && byte != (self.needle)(matched) {
                matched = self.failure[matched - 1] as usize;
            }
            if byte == (self.needle)(matched) {
                matched += 1;
                if matched == self.failure.len() {
                    return Some(at + 1 - matched);
                }
            }
        }
        None
    }
}
