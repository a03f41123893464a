//! Findings in words: for people, and in V1's summary line.

use std::fmt;

use super::names;
use super::nodes::{verdict, Verdict};
use crate::syntax::finding::{Fault, Finding, What};
use crate::syntax::{escape, Snippet, Source, Span};

/// How many findings are shown.
const SHOWN: usize = 20;

/// Why a program is refused. `Display` gives all of it: each finding with its
/// source line and a mark, then the summary line.
#[derive(Clone, Debug)]
pub struct Refusal {
    source: Source,
    diagnostics: Vec<Diagnostic>,
    omitted: bool,
    summary: String,
}

/// One finding in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The place.
    pub span: Span,
    /// The line, counted from 1.
    pub line: u32,
    /// The column in bytes, counted from 1.
    pub column: u32,
    /// What is wrong and why.
    pub title: String,
    /// What to do; may be empty.
    pub help: String,
}

impl Refusal {
    pub(super) fn new(source: &Source, mut findings: Vec<Finding>) -> Self {
        // In the order of the text, what encloses others first: the order in
        // which V1 went over its tree.
        findings.sort_by_key(|finding| (finding.span.start, u32::MAX - finding.span.end));
        let summary = summary(source, &findings);
        let diagnostics: Vec<Diagnostic> =
            findings.iter().take(SHOWN).map(|finding| diagnostic(source, finding)).collect();
        Refusal { source: source.clone(), omitted: findings.len() > diagnostics.len(), diagnostics, summary }
    }

    /// The text that is refused.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The findings in the order of the text; at least one. Long lists are cut.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The text of V1's ValueError, with the true line:
    /// `Code failed safety check! Error: (...)`.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// All findings with source lines and marks, without the summary. Ends in
    /// a line end.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let file = escape(self.source.file().as_bytes());
        for diagnostic in &self.diagnostics {
            let snippet = Snippet::new(&self.source, diagnostic.span);
            let number = snippet.line.to_string();
            let margin = " ".repeat(number.len());
            text.push_str(&format!("error: {}\n", diagnostic.title));
            text.push_str(&format!("{margin}--> {file}:{number}:{}\n", snippet.column));
            text.push_str(&format!("{number} | {}\n", snippet.text));
            text.push_str(&format!("{margin} | {}\n", snippet.marks));
            if !diagnostic.help.is_empty() {
                text.push_str(&format!("{margin} = instead: {}\n", diagnostic.help));
            }
        }
        if self.omitted {
            text.push_str("error: there is more like this, not shown\n");
        }
        text
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}{}", self.render(), self.summary)
    }
}

impl std::error::Error for Refusal {}

fn diagnostic(source: &Source, finding: &Finding) -> Diagnostic {
    let (line, column) = source.line_column(finding.span.start);
    let (title, help) = match &finding.what {
        What::Syntax(fault) | What::Compile(fault) => (fault.title.to_string(), fault.help.to_string()),
        What::Foreign(node) => match verdict(*node) {
            Verdict::Refused { called, why, instead } => {
                (format!("{called} is not part of Repy: {why}"), instead.to_owned())
            }
            // Not reached: only refused constructs are noted.
            Verdict::Allowed => (node.name().to_owned(), String::new()),
        },
        What::Unicode(_) => (
            "a unicode string is not part of Repy: strings are bytes".to_owned(),
            "leave the `u` away; the bytes of the file stay as they are".to_owned(),
        ),
        What::Name(_, name) => match names::refused(name.as_bytes()) {
            Some(reason) => names::explain(name, reason),
            // Not reached: only refused names are noted.
            None => (name.clone(), String::new()),
        },
    };
    Diagnostic { span: finding.span, line, column, title, help }
}

/// The order of V1's stages: parser, check of the tree, compiler.
fn stage(what: &What) -> u8 {
    match what {
        What::Syntax(_) => 0,
        What::Foreign(_) | What::Unicode(_) | What::Name(..) => 1,
        What::Compile(_) => 2,
    }
}

/// V1's text for the finding that V1 would have met first.
fn summary(source: &Source, findings: &[Finding]) -> String {
    let Some(first) = findings.iter().min_by_key(|finding| stage(&finding.what)) else {
        return String::new();
    };
    let line = source.line(first.span.start);
    let reason = match &first.what {
        What::Syntax(fault) | What::Compile(fault) => exception(fault, line),
        What::Foreign(node) => {
            format!("<class 'safety_exceptions.CheckNodeException'> ({line}, '{}')", node.name())
        }
        What::Unicode(shown) => {
            format!("<class 'safety_exceptions.CheckStrException'> ({line}, 'value', {shown})")
        }
        What::Name(place, name) => {
            format!("<class 'safety_exceptions.CheckStrException'> ({line}, '{place}', '{name}')")
        }
    };
    format!("Code failed safety check! Error: ({},)", repr(&reason))
}

fn exception(fault: &Fault, line: u32) -> String {
    let Fault { class, message, .. } = fault;
    match *class {
        "SyntaxError" | "IndentationError" => {
            format!("<type 'exceptions.{class}'> {message} (line {line})")
        }
        _ => format!("<type 'exceptions.{class}'> {message}"),
    }
}

/// Python 2.7's `repr` of a string of ASCII characters.
fn repr(text: &str) -> String {
    let quote = match text.contains('\'') && !text.contains('"') {
        true => '"',
        false => '\'',
    };
    let mut shown = String::from(quote);
    for letter in text.chars() {
        if letter == quote || letter == '\\' {
            shown.push('\\');
        }
        shown.push(letter);
    }
    shown.push(quote);
    shown
}
