//! A line and its words.

use std::ops::Range;

use crate::diagnostic::{escape, is_hidden};

/// A word of a line.
#[derive(Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    /// Of its first byte within the line.
    pub(super) start: usize,
}

impl Word<'_> {
    pub(super) fn span(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    /// The place just behind it, where something is missing.
    pub(super) fn end(&self) -> Range<usize> {
        let end = self.start + self.text.len();
        end..end
    }
}

/// From the first to the last of some words.
pub(super) fn cover(words: &[Word<'_>]) -> Range<usize> {
    match (words.first(), words.last()) {
        (Some(first), Some(last)) => first.start..last.span().end,
        _ => 0..0,
    }
}

/// What Python 2's `str.split()` separates words at, of what can stand within a line.
fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\x0b' | '\x0c')
}

/// The part of a line in front of its comment.
fn code(raw: &[u8]) -> &[u8] {
    raw.split(|&byte| byte == b'#').next().unwrap_or(raw)
}

/// The words of a line in which [`line_fault`] finds nothing.
pub(super) fn split(raw: &[u8]) -> Vec<Word<'_>> {
    let text = std::str::from_utf8(code(raw)).unwrap_or("");
    let mut words = Vec::new();
    let mut start = None;
    for (at, character) in text.char_indices() {
        match (is_blank(character), start) {
            (true, Some(first)) => {
                words.push(Word { text: &text[first..at], start: first });
                start = None;
            }
            (false, None) => start = Some(at),
            _ => {}
        }
    }
    if let Some(first) = start {
        words.push(Word { text: &text[first..], start: first });
    }
    words
}

/// The first byte or character that may not stand in a line: where, what, and what to do.
///
/// A comment may hold anything but what makes an editor show it as another line.
pub(super) fn line_fault(raw: &[u8]) -> Option<(Range<usize>, String, &'static str)> {
    if let Some(at) = raw.iter().position(|&byte| byte == 0) {
        return Some((at..at + 1, "a byte of value 0".into(), "restrictions files are plain text"));
    }
    if let Some(at) = raw.iter().position(|&byte| byte == b'\r') {
        return Some((
            at..at + 1,
            "a carriage return inside a line".into(),
            "end lines with a line feed: some editors show a new line here, which Repy does not see",
        ));
    }
    let code = code(raw);
    let text = match std::str::from_utf8(code) {
        Ok(text) => text,
        Err(error) => {
            let start = error.valid_up_to();
            let end = error.error_len().map_or(code.len(), |length| start + length);
            return Some((start..end, "not UTF-8 text".into(), "save the file as UTF-8, or as plain ASCII"));
        }
    };
    let (at, character) =
        text.char_indices().find(|&(_, character)| is_hidden(character) && !is_blank(character))?;
    Some((
        at..at + character.len_utf8(),
        format!("an invisible character, {}", escape(character)),
        "delete it: words are separated by ordinary blanks and tabs",
    ))
}
