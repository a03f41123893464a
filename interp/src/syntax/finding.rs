//! What the parser and the check find wrong, before it is put into words.

use std::borrow::Cow;

use super::node::Node;
use super::source::Span;

/// One thing that keeps a program from being run.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub span: Span,
    pub what: What,
}

/// The kinds of findings.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// The text is no Python 2.7.
    Syntax(Fault),
    /// Python 2.7's compiler, not its parser, refuses it.
    Compile(Fault),
    /// A construct outside the dialect.
    Foreign(Node),
    /// A unicode literal; the text is what Python 2.7's `repr` shows.
    Unicode(String),
    /// A name that the rule of names refuses. The first word is what V1 calls
    /// the place: `name` or `attrname`.
    Name(&'static str, String),
}

/// A syntax error in the wording of Python 2.7 and in ours.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// The exception's class.
    pub class: &'static str,
    /// The exception's text in 2.7 (without the line).
    pub message: Cow<'static, str>,
    /// What is wrong, for people.
    pub title: Cow<'static, str>,
    /// What to do; may be empty.
    pub help: Cow<'static, str>,
}

impl Fault {
    /// A SyntaxError that 2.7 just calls `invalid syntax`.
    pub fn invalid(title: impl Into<Cow<'static, str>>, help: impl Into<Cow<'static, str>>) -> Self {
        Fault {
            class: "SyntaxError",
            message: Cow::Borrowed("invalid syntax"),
            title: title.into(),
            help: help.into(),
        }
    }

    /// A SyntaxError that 2.7 explains well enough: its words are the title.
    pub fn syntax(message: impl Into<Cow<'static, str>>, help: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Fault { class: "SyntaxError", title: message.clone(), message, help: help.into() }
    }

    /// An IndentationError.
    pub fn indentation(message: &'static str, help: impl Into<Cow<'static, str>>) -> Self {
        Fault {
            class: "IndentationError",
            message: Cow::Borrowed(message),
            title: Cow::Borrowed(message),
            help: help.into(),
        }
    }
}
