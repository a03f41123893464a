//! A source line for people: made harmless for terminals, with a mark under
//! the place that is meant.

use super::source::{Source, Span};

/// How many bytes of a line before the place are looked at, at most.
const BEFORE: usize = 60;

/// How many bytes from the place on are looked at, at most.
const AFTER: usize = 60;

/// A line of a source text and the marks below it, both without line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet {
    /// The line (or the part of it around the place), counted from 1.
    pub line: u32,
    /// The column in bytes of the line, counted from 1.
    pub column: u32,
    /// The text. Control characters, characters that change the direction of
    /// writing and bytes that are no text are shown as `\x1b`; a tab becomes
    /// four spaces.
    pub text: String,
    /// Spaces and at least one `^`; never wider than the text needs.
    pub marks: String,
}

impl Snippet {
    /// The line in which `span` begins, with marks below the part of `span`
    /// that lies in it.
    pub fn new(source: &Source, span: Span) -> Self {
        let (line, column) = source.line_column(span.start);
        let whole = source.line_span(line);
        let bytes = source.slice(whole);
        let start = (span.start.saturating_sub(whole.start) as usize).min(bytes.len());
        let end = (span.end.saturating_sub(whole.start) as usize).clamp(start, bytes.len());
        let from = start.saturating_sub(BEFORE);
        let until = bytes.len().min(start + AFTER);
        let head = escape(bytes.get(from..start).unwrap_or_default());
        let marked = escape(bytes.get(start..end.min(until)).unwrap_or_default());
        let tail = escape(bytes.get(end.min(until)..until).unwrap_or_default());
        let before = if from > 0 { "..." } else { "" };
        let after = if until < bytes.len() { "..." } else { "" };
        let indent = before.len() + head.chars().count();
        let width = marked.chars().count().max(1);
        Snippet {
            line,
            column,
            text: format!("{before}{head}{marked}{tail}{after}"),
            marks: format!("{}{}", " ".repeat(indent), "^".repeat(width)),
        }
    }
}

/// True for characters that take one column and change nothing else on a
/// terminal: letters and signs of Latin, Greek and Cyrillic writing.
fn plain(letter: char) -> bool {
    matches!(letter,
        ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}' | '\u{370}'..='\u{482}'
        | '\u{48a}'..='\u{52f}' | '\u{20ac}')
}

/// Makes bytes harmless for a terminal.
pub fn escape(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\t' => shown.push_str("    "),
                letter if plain(letter) => shown.push(letter),
                letter => {
                    let mut buffer = [0; 4];
                    for byte in letter.encode_utf8(&mut buffer).bytes() {
                        shown.push_str(&format!("\\x{byte:02x}"));
                    }
                }
            }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snippet(text: &[u8], start: u32, end: u32) -> Snippet {
        Snippet::new(&Source::new("f", text), Span::new(start, end))
    }

    #[test]
    fn the_mark_stands_below_the_place() {
        let shown = snippet(b"a\n\tx = lambda: 1\n", 7, 16);
        assert_eq!((shown.line, shown.column), (2, 6));
        assert_eq!(shown.text, "    x = lambda: 1");
        assert_eq!(shown.marks, "        ^^^^^^^^^");
    }

    #[test]
    fn a_place_over_several_lines_or_behind_the_text_is_cut() {
        assert_eq!(snippet(b"x = (\n1)", 4, 8).marks, "    ^");
        assert_eq!(snippet(b"x =", 3, 3).marks, "   ^");
        assert_eq!(snippet(b"", 0, 5).marks, "^");
        assert_eq!(snippet(b"x\n", 90, 95).text, "");
    }

    #[test]
    fn nothing_reaches_the_terminal_that_could_move_it() {
        let hostile = "\x1b[2J\u{202e}\u{9b}é".as_bytes();
        let shown = snippet(&[hostile, b"\xff\x07"].concat(), 0, 1);
        assert_eq!(shown.text, "\\x1b[2J\\xe2\\x80\\xae\\xc2\\x9bé\\xff\\x07");
        assert_eq!(shown.marks, "^^^^");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let text = vec![b'a'; 1_000_000];
        let shown = snippet(&text, 500_000, 500_003);
        assert!(shown.text.len() < 200);
        assert!(shown.text.starts_with("...aaa") && shown.text.ends_with("aaa..."));
        assert_eq!(shown.marks.trim_start(), "^^^");
    }
}
