//! What is wrong with a restrictions file, said so that its author can mend it.
//!
//! The file may come from anywhere: nothing of it reaches a terminal unescaped.

use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Element, Level, Origin, Renderer, Snippet};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is accepted, but does hardly what its author wants.
    Warning,
}

/// One thing wrong with a restrictions file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Short stable name of this kind of mistake, for tools.
    pub code: &'static str,
    /// What is wrong; Repy V1's own words where it has them.
    pub message: String,
    /// The file's name, escaped.
    pub file: String,
    /// Line, from 1; 0 if it concerns the whole file.
    pub line: u32,
    /// Column of the underlined part, in characters from 1; 0 if it concerns the whole file.
    pub column: u32,
    /// The line (or the part of it around the mistake), escaped.
    pub source: String,
    /// The underlined part of `source`, in bytes.
    pub underlined: Range<usize>,
    /// What stands at the underline.
    pub label: String,
    /// Further facts.
    pub notes: Vec<String>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A diagnostic on a whole file.
    pub(crate) fn on_file(severity: Severity, code: &'static str, file: &str, message: String) -> Diagnostic {
        Diagnostic {
            severity,
            code,
            message,
            file: file.to_owned(),
            line: 0,
            column: 0,
            source: String::new(),
            underlined: 0..0,
            label: String::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// Points at the bytes `span` of the raw `line` with number `number`.
    pub(crate) fn at(mut self, number: u32, line: &[u8], span: Range<usize>, label: String) -> Diagnostic {
        self.line = number;
        self.column = u32::try_from(count_characters(&line[..span.start]) + 1).unwrap_or(u32::MAX);
        (self.source, self.underlined) = window(line, span);
        self.label = label;
        self
    }

    pub(crate) fn note(mut self, note: String) -> Diagnostic {
        self.notes.push(note);
        self
    }

    pub(crate) fn help(mut self, help: Option<String>) -> Diagnostic {
        self.help = help;
        self
    }

    /// The whole diagnostic as several lines of text, with colours for a terminal or without.
    pub fn render(&self, colours: bool) -> String {
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut elements: Vec<Element<'_>> = Vec::new();
        let origin = Origin::path(self.file.as_str());
        if self.line == 0 {
            elements.push(origin.into());
        } else {
            let line = self.line as usize;
            let annotation = AnnotationKind::Primary.span(self.underlined.clone()).label(self.label.as_str());
            let snippet = Snippet::source(self.source.as_str()).line_start(line).annotation(annotation);
            // The renderer counts columns in the text shown; where that is not the file's, name the file's.
            let shown = self.source[..self.underlined.start].chars().count() + 1;
            if shown == self.column as usize {
                elements.push(snippet.path(self.file.as_str()).into());
            } else {
                elements.push(origin.line(line).char_column(self.column as usize).into());
                elements.push(snippet.into());
            }
        }
        elements.extend(self.notes.iter().map(|note| Level::NOTE.message(note.as_str()).into()));
        elements.extend(self.help.iter().map(|help| Level::HELP.message(help.as_str()).into()));
        let report = level.primary_title(self.message.as_str()).id(self.code).elements(elements);
        renderer.decor_style(DecorStyle::Ascii).term_width(TERMINAL_WIDTH).render(&[report])
    }
}

/// Wide enough that the renderer cuts nothing of a [`window`].
const TERMINAL_WIDTH: usize = 400;

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.render(false))
    }
}

/// Bytes of the line shown before and after the start of the underlined part.
const SHOWN_BEFORE: usize = 70;
const SHOWN_AFTER: usize = 90;

/// The part of a raw line around `span`, escaped, and where `span` is in it.
fn window(line: &[u8], span: Range<usize>) -> (String, Range<usize>) {
    let first = boundary(line, span.start.saturating_sub(SHOWN_BEFORE));
    let last = boundary(line, span.start.saturating_add(SHOWN_AFTER).min(line.len()));
    let end = span.end.clamp(span.start, last.max(span.start));
    let mut shown = String::new();
    if first > 0 {
        shown.push('…');
    }
    push_escaped(&mut shown, &line[first..span.start]);
    let start = shown.len();
    push_escaped(&mut shown, &line[span.start..end]);
    let stop = shown.len();
    push_escaped(&mut shown, &line[end..last.max(end)]);
    if last < line.len() {
        shown.push('…');
    }
    (shown, start..stop)
}

/// `at`, moved back to where a character begins.
fn boundary(line: &[u8], at: usize) -> usize {
    let is_inside = |at: usize| line.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (at.saturating_sub(3)..=at).rev().find(|&at| !is_inside(at)).unwrap_or(at)
}

fn count_characters(bytes: &[u8]) -> usize {
    bytes.utf8_chunks().map(|chunk| chunk.valid().chars().count() + chunk.invalid().len()).sum()
}

/// Text from a file as it may be shown, at most `maximum` characters of it.
pub(crate) fn quoted(bytes: &[u8], maximum: usize) -> String {
    let mut shown = String::new();
    // No character is longer than four bytes, so more need not be looked at.
    let part = &bytes[..bytes.len().min(maximum.saturating_mul(4))];
    push_escaped(&mut shown, part);
    match shown.char_indices().nth(maximum) {
        Some((end, _)) => {
            shown.truncate(end);
            shown.push('…');
        }
        None if part.len() < bytes.len() => shown.push('…'),
        None => {}
    }
    shown
}

fn push_escaped(shown: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\t' => shown.push(' '),
                _ if is_hidden(character) => shown.push_str(&escape(character)),
                _ => shown.push(character),
            }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
}

/// How a character that must not be shown is written.
pub(crate) fn escape(character: char) -> String {
    match u32::from(character) {
        code @ 0..=0x7f => format!("\\x{code:02x}"),
        code => format!("\\u{{{code:x}}}"),
    }
}

/// Characters that control a terminal, or that a reader cannot see or takes for a blank: such a
/// character in a rule would make it other than it looks.
pub(crate) fn is_hidden(character: char) -> bool {
    const RANGES: [(char, char); 10] = [
        ('\u{ad}', '\u{ad}'),       // soft hyphen
        ('\u{34f}', '\u{34f}'),     // combining grapheme joiner
        ('\u{61c}', '\u{61c}'),     // Arabic letter mark
        ('\u{115f}', '\u{1160}'),   // Hangul fillers
        ('\u{180b}', '\u{180f}'),   // Mongolian selectors
        ('\u{200b}', '\u{200f}'),   // zero width, direction marks
        ('\u{202a}', '\u{202e}'),   // direction overrides
        ('\u{2060}', '\u{206f}'),   // word joiner, isolates
        ('\u{feff}', '\u{feff}'),   // byte order mark
        ('\u{e0000}', '\u{e0fff}'), // tags, variation selectors
    ];
    character.is_control()
        || (!character.is_ascii() && character.is_whitespace())
        || RANGES.iter().any(|(first, last)| (*first..=*last).contains(&character))
        || ('\u{fe00}'..='\u{fe0f}').contains(&character)
}
