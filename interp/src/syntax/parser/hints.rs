//! Words for what stands where it cannot stand.

use super::super::finding::Fault;
use super::super::source::Span;
use super::super::token::Kind;
use super::{Parser, Stop};

/// Words that begin a Python 3 statement and are plain names in 2.7.
const PYTHON_3_WORDS: &[(&str, &str)] = &[
    ("async", "use timers: settimer(0, function, arguments)"),
    ("await", "use timers: settimer(0, function, arguments)"),
    ("nonlocal", "keep the value in `mycontext` or in a list: count[0] += 1"),
    ("match", "use if and elif"),
    ("case", "use if and elif"),
];

impl Parser<'_, '_> {
    /// Notes that the current token cannot stand here; `expected` is what was
    /// needed if only one thing was possible.
    pub(super) fn unexpected(&mut self, expected: Option<Kind>) -> Stop {
        if self.at(Kind::Bad) {
            if let Some(fault) = self.lexer.fault.take() {
                return self.fail(self.token.span, fault);
            }
        }
        let (span, fault) = self
            .unclosed()
            .or_else(|| self.glued())
            .or_else(|| self.python_3())
            .or_else(|| self.common_slip(expected))
            .unwrap_or_else(|| self.plain(expected));
        self.fail(span, fault)
    }

    /// The text ends within brackets.
    fn unclosed(&self) -> Option<(Span, Fault)> {
        if !self.at(Kind::End) {
            return None;
        }
        let open = *self.lexer.brackets.last()?;
        let span = Span::new(open, open + 1);
        let bracket = self.slice(span).escape_ascii();
        let fault = Fault {
            class: "SyntaxError",
            message: "unexpected EOF while parsing".into(),
            title: format!("`{bracket}` is never closed").into(),
            help: "close it where the expression ends".into(),
        };
        Some((span, fault))
    }

    /// The token touches the one before, which gives it another meaning.
    fn glued(&self) -> Option<(Span, Fault)> {
        let (before, current) = (self.previous, self.token);
        if before.span.end != current.span.start {
            return None;
        }
        let span = before.span.to(current.span);
        let fault = match (before.kind, current.kind) {
            (Kind::Number, Kind::Name) if self.slice(current.span).starts_with(b"_") => {
                Fault::invalid("`_` within a number belongs to Python 3", "write the digits without it")
            }
            (Kind::Number, kind) if kind == Kind::Name || kind.is_keyword() => Fault::invalid(
                "a number is followed directly by a name",
                "names begin with a letter or `_`; put a space or an operator between the two",
            ),
            (Kind::Name, Kind::Str) => Fault::invalid(
                "a string has a prefix that Repy does not know",
                "prefixes are r, b and br; format with `%`: \"%s of %d\" % (name, count)",
            ),
            _ => return None,
        };
        Some((span, fault))
    }

    /// The token makes sense in Python 3 only.
    fn python_3(&self) -> Option<(Span, Fault)> {
        let span = self.token.span;
        let fault = match self.token.kind {
            Kind::Walrus => {
                Fault::invalid("`:=` belongs to Python 3", "assign in a statement of its own, before")
            }
            Kind::Arrow => Fault::invalid("`->` belongs to Python 3", "leave the type of the result away"),
            Kind::At => Fault::invalid("the operator `@` belongs to Python 3", "call a function instead"),
            Kind::Colon if self.statement_is_annotation() => {
                Fault::invalid("type annotations belong to Python 3", "leave the colon and the type away")
            }
            Kind::Assign if self.statement == Kind::Print && self.previous.kind == Kind::Name => {
                Fault::invalid(
                    "`print` is a statement in Repy, not a function",
                    "write `print >>destination, value`, and a comma at the end to stay on the line",
                )
            }
            Kind::Star => Fault::invalid(
                "`*` before a value is possible only in a call",
                "unpack into variables and slices of your own",
            ),
            Kind::Dot => {
                Fault::invalid("`...` stands only between square brackets", "write `pass` for an empty block")
            }
            _ => return self.python_3_word(),
        };
        Some((span, fault))
    }

    fn statement_is_annotation(&self) -> bool {
        // A compound statement's own colon is expected, so it never gets here;
        // in parameters `self.statement` is what stood before.
        self.previous.kind == Kind::Name
    }

    fn python_3_word(&self) -> Option<(Span, Fault)> {
        if self.previous.kind != Kind::Name {
            return None;
        }
        let begins = self.token.kind == Kind::Name
            || self.token.kind.is_keyword()
            || matches!(self.token.kind, Kind::Number | Kind::Str);
        let word = self.lexer.symbols.name(self.previous.symbol);
        let (word, help) = PYTHON_3_WORDS.iter().find(|(name, _)| begins && *name == word)?;
        let title = format!("`{word}` belongs to Python 3");
        Some((self.previous.span, Fault::invalid(title, *help)))
    }

    /// Slips that have a likely cause.
    fn common_slip(&self, expected: Option<Kind>) -> Option<(Span, Fault)> {
        let kind = self.token.kind;
        let span = self.token.span;
        if expected == Some(Kind::Name) && kind.is_keyword() {
            let title = format!("{} is a reserved word and cannot be used as a name", kind.text());
            return Some((span, Fault::invalid(title, "use another name")));
        }
        if expected == Some(Kind::Colon) {
            if kind == Kind::Assign {
                let fault =
                    Fault::invalid("`=` assigns and cannot stand in a condition", "write `==` to compare");
                return Some((span, fault));
            }
            if kind == Kind::Newline {
                let fault =
                    Fault::invalid("the line has no `:` at its end", "write a colon before the block");
                return Some((span, fault));
            }
        }
        let previous = self.previous.kind;
        let fault = match kind {
            Kind::CloseParen | Kind::CloseBracket | Kind::CloseBrace
                if self.lexer.brackets.is_empty() && expected == Some(Kind::Newline) =>
            {
                Fault::invalid(format!("{} closes nothing", kind.text()), "remove it, or open the bracket")
            }
            Kind::Elif | Kind::Else | Kind::Except | Kind::Finally if expected.is_none() => Fault::invalid(
                format!("{} belongs to no statement", kind.text()),
                "it stands directly behind the block it continues, with the same indentation",
            ),
            Kind::Assign if previous.is_keyword() => Fault::invalid(
                format!("{} is a reserved word and cannot be used as a name", previous.text()),
                "use another name",
            ),
            Kind::Plus | Kind::Minus | Kind::Newline if previous == kind && kind != Kind::Newline => {
                Fault::invalid(
                    format!("{} needs a value behind it", kind.text()),
                    "write `+= 1` or `-= 1` to count",
                )
            }
            Kind::End if expected == Some(Kind::Except) => Fault {
                class: "SyntaxError",
                message: "unexpected EOF while parsing".into(),
                title: "`try` has neither `except` nor `finally`".into(),
                help: "add one of them behind its block".into(),
            },
            _ if expected == Some(Kind::Except) => {
                Fault::invalid("`try` has neither `except` nor `finally`", "add one of them behind its block")
            }
            _ => return None,
        };
        Some((span, fault))
    }

    fn plain(&self, expected: Option<Kind>) -> (Span, Fault) {
        let found = self.token.kind.text();
        let title = match expected {
            Some(Kind::Newline) => format!("{found} stands where the statement should end"),
            Some(expected) => format!("{} is needed here, not {found}", expected.text()),
            None => match self.token.kind {
                Kind::Newline | Kind::End | Kind::Dedent | Kind::Indent => {
                    format!("an expression is needed before {found}")
                }
                _ => format!("{found} cannot stand here"),
            },
        };
        (self.token.span, Fault::invalid(title, ""))
    }
}
