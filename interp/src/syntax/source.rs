//! Source text and places in it.

use std::sync::Arc;

/// A range of bytes of one source text, `start` included, `end` excluded.
///
/// Offsets count from 0 in the bytes as they were given (before line ends are
/// unified). Sources are limited to far less than 4 GiB, so `u32` suffices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// The range from `start` to `end`.
    pub fn new(start: u32, end: u32) -> Self {
        Span { start, end }
    }

    /// The range from the start of `self` to the end of `last`.
    pub fn to(self, last: Span) -> Self {
        Span { start: self.start, end: last.end }
    }
}

/// A source text with its name and the table of its lines.
///
/// Cloning is cheap: the text is shared.
#[derive(Clone, Debug)]
pub struct Source {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: String,
    text: Box<[u8]>,
    /// Offset of the first byte of each line; the first entry is 0.
    line_starts: Box<[u32]>,
}

impl Source {
    /// Takes the text and finds its lines. LF, CR LF and a lone CR each end a
    /// line, as they do for CPython 2.7; nothing else does.
    ///
    /// `text` must be shorter than `u32::MAX` bytes; what lies behind that is
    /// not reachable by any span.
    pub fn new(file: &str, text: &[u8]) -> Self {
        let mut line_starts = vec![0];
        for (at, byte) in text.iter().enumerate() {
            let ends = match byte {
                b'\n' => true,
                b'\r' => text.get(at + 1) != Some(&b'\n'),
                _ => false,
            };
            if ends {
                let Ok(start) = u32::try_from(at + 1) else {
                    break;
                };
                line_starts.push(start);
            }
        }
        Source {
            inner: Arc::new(Inner {
                file: file.to_owned(),
                text: text.into(),
                line_starts: line_starts.into(),
            }),
        }
    }

    /// The name of the file as the user gave it.
    pub fn file(&self) -> &str {
        &self.inner.file
    }

    /// All bytes, as given.
    pub fn text(&self) -> &[u8] {
        &self.inner.text
    }

    /// The line, counted from 1, that holds the byte at `offset`. An offset
    /// behind the text belongs to the last line.
    pub fn line(&self, offset: u32) -> u32 {
        let lines = &self.inner.line_starts;
        // The first entry is 0, so at least one start is <= offset.
        lines.partition_point(|start| *start <= offset) as u32
    }

    /// The line and the column in bytes, both counted from 1.
    pub fn line_column(&self, offset: u32) -> (u32, u32) {
        let line = self.line(offset);
        let start = self.inner.line_starts[line as usize - 1];
        (line, offset - start + 1)
    }

    /// The range of the bytes of a line (counted from 1) without its line end;
    /// empty at the end of the text if there is no such line.
    pub fn line_span(&self, line: u32) -> Span {
        let text = self.text();
        let index = (line as usize).wrapping_sub(1);
        let Some(start) = self.inner.line_starts.get(index).copied() else {
            let end = text.len() as u32;
            return Span::new(end, end);
        };
        let mut end = match self.inner.line_starts.get(index + 1) {
            Some(next) => *next,
            None => text.len() as u32,
        };
        while end > start && matches!(text[end as usize - 1], b'\n' | b'\r') {
            end -= 1;
        }
        Span::new(start, end)
    }

    /// The bytes of a line (counted from 1) without its line end.
    pub fn line_text(&self, line: u32) -> &[u8] {
        self.slice(self.line_span(line))
    }

    /// The bytes of a range; empty if it does not lie within the text.
    pub fn slice(&self, span: Span) -> &[u8] {
        self.text().get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// How many lines the text has; at least 1.
    pub fn lines(&self) -> u32 {
        self.inner.line_starts.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_line_ends_count_and_nothing_else() {
        let source = Source::new("f", b"a\nb\r\nc\rd\x0ce\xe2\x80\xa8f\n");
        assert_eq!(source.lines(), 5);
        assert_eq!(source.line_text(1), b"a");
        assert_eq!(source.line_text(2), b"b");
        assert_eq!(source.line_text(3), b"c");
        assert_eq!(source.line_text(4), b"d\x0ce\xe2\x80\xa8f");
        assert_eq!(source.line_text(5), b"");
        assert_eq!(source.line_text(6), b"");
        assert_eq!(source.line_column(0), (1, 1));
        assert_eq!(source.line_column(2), (2, 1));
        assert_eq!(source.line_column(3), (2, 2));
        assert_eq!(source.line_column(5), (3, 1));
        assert_eq!(source.line(1000), 5);
    }
}
