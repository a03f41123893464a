//! The conditions of a `call` line.

use std::ops::Range;

use super::words::{cover, Word};
use super::MAXIMUM_QUOTED;
use crate::diagnostic::quoted;
use crate::Condition;

/// What is wrong with a condition.
pub(super) struct Fault {
    /// Repy V1's words.
    pub(super) message: String,
    /// `None`: at the word behind the conditions.
    pub(super) span: Option<Range<usize>>,
    pub(super) label: String,
    pub(super) help: String,
    /// Words are missing at the end.
    pub(super) ran_out: bool,
}

/// Most conditions of one rule: no call has as many arguments, and time stays linear in the file.
const MOST: usize = 64;

const FORMS: &str = "a condition is `arg NUMBER is TEXT` or `noargs is NUMBER`";

/// The two kinds of condition.
#[derive(Clone, Copy)]
enum Form {
    Argument,
    Count,
}

/// The conditions that `words` spell, and where each stands.
pub(super) fn parse(mut words: &[Word<'_>]) -> Result<Vec<(Condition, Range<usize>)>, Fault> {
    let mut conditions = Vec::new();
    while let Some((kind, _)) = words.split_first() {
        if conditions.len() == MOST {
            return Err(Fault {
                message: format!("more than {MOST} conditions in one rule"),
                span: Some(cover(words)),
                label: "these are too many".into(),
                help: "a call has at most 5 arguments".into(),
                ran_out: false,
            });
        }
        let (form, length) = match kind.text {
            "arg" => (Form::Argument, 4),
            "noargs" => (Form::Count, 3),
            other => {
                return Err(Fault {
                    message: format!("invalid rule type '{}'", quoted(other.as_bytes(), MAXIMUM_QUOTED)),
                    span: Some(kind.span()),
                    label: "expected `arg` or `noargs`".into(),
                    help: FORMS.into(),
                    ran_out: false,
                })
            }
        };
        let Some((condition, rest)) = words.split_at_checked(length) else {
            return Err(Fault {
                message: format!("Not enough tokens for '{}'", kind.text),
                span: None,
                label: "the condition ends here".into(),
                help: FORMS.into(),
                ran_out: true,
            });
        };
        conditions.push((one(form, condition)?, cover(condition)));
        words = rest;
    }
    Ok(conditions)
}

fn one(form: Form, words: &[Word<'_>]) -> Result<Condition, Fault> {
    match (form, words) {
        (Form::Argument, [_, number, is, value]) => {
            let index = number_of(*number, i32::MIN)?;
            keyword(*is)?;
            Ok(Condition::ArgumentIs(index, value.text.to_owned()))
        }
        (_, [_, is, number]) => {
            keyword(*is)?;
            let count = number_of(*number, 0)?;
            // Not negative, as asked for.
            Ok(Condition::CountIs(count.unsigned_abs()))
        }
        // The words were counted.
        _ => Err(Fault {
            message: "invalid rule".into(),
            span: Some(cover(words)),
            label: FORMS.into(),
            help: FORMS.into(),
            ran_out: false,
        }),
    }
}

fn keyword(word: Word<'_>) -> Result<(), Fault> {
    if word.text == "is" {
        return Ok(());
    }
    Err(Fault {
        message: format!(
            "arg missing 'is' keyword, instead found '{}'",
            quoted(word.text.as_bytes(), MAXIMUM_QUOTED)
        ),
        span: Some(word.span()),
        label: "expected `is`".into(),
        help: FORMS.into(),
        ran_out: false,
    })
}

fn number_of(word: Word<'_>, least: i32) -> Result<i32, Fault> {
    let label = match word.text.parse::<i32>() {
        Ok(number) if number >= least => return Ok(number),
        Ok(_) => "a number of arguments cannot be negative",
        Err(_) => "expected a whole number",
    };
    Err(Fault {
        message: format!("invalid argument number '{}'", quoted(word.text.as_bytes(), MAXIMUM_QUOTED)),
        span: Some(word.span()),
        label: label.into(),
        help: "arguments are numbered from 0; negative numbers count from the last argument".into(),
        ran_out: false,
    })
}
