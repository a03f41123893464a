//! Restrictions text to [`Policy`]: total, bounded, every mistake of the file at once.

mod conditions;
mod lint;
mod values;
mod words;

use std::collections::BTreeMap;
use std::ops::Range;

use crate::diagnostic::{quoted, Diagnostic, Severity};
use crate::policy::PolicyBuilder;
use crate::{Action, Call, Kind, Policy, Resource, Rule, CALLS, RESOURCES};
use words::{line_fault, split, Word};

/// Longest restrictions file, in bytes.
pub const MAXIMUM_FILE: usize = 1024 * 1024;
/// Most errors (and most warnings) told of one file.
pub(crate) const MAXIMUM_TOLD: usize = 100;
/// Most characters of a line or word repeated in a message.
pub(crate) const MAXIMUM_QUOTED: usize = 100;

/// A policy and what is odd about its file.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The policy.
    pub policy: Policy,
    /// Rules that do nothing and the like.
    pub warnings: Vec<Diagnostic>,
}

impl Policy {
    /// Reads a restrictions file; `file` is its name in messages.
    ///
    /// # Errors
    /// Everything that is wrong with the file, in the order of its lines (the first 100, and how
    /// many more there are).
    pub fn parse(text: &[u8], file: &str) -> Result<Parsed, Vec<Diagnostic>> {
        let file = quoted(file.as_bytes(), 4 * MAXIMUM_QUOTED);
        if let Some(fault) = whole_file_fault(text, &file) {
            return Err(vec![fault]);
        }
        let mut parser = Parser {
            file: &file,
            builder: PolicyBuilder::new(0.0, 0, 0),
            spans: Vec::new(),
            seen: [0; RESOURCES.len()],
            ports: BTreeMap::new(),
            errors: Told::default(),
            warnings: Told::default(),
        };
        // Windows editors put a byte order mark in front; it says nothing.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut offset = 0;
        for (number, line) in (1u32..).zip(text.split(|&byte| byte == b'\n')) {
            parser.line(Line { number, offset, raw: line.strip_suffix(b"\r").unwrap_or(line) });
            offset += line.len() + 1;
        }
        parser.finish(text)
    }
}

/// What keeps a file from being looked at line by line.
fn whole_file_fault(text: &[u8], file: &str) -> Option<Diagnostic> {
    let error = |code, message, help: &str| {
        let help = Some(help.to_owned());
        Some(Diagnostic::on_file(Severity::Error, code, file, message).help(help))
    };
    if text.len() > MAXIMUM_FILE {
        let message = format!(
            "File '{file}' is {} bytes long, a restrictions file has at most {MAXIMUM_FILE}",
            text.len()
        );
        return error("too-large", message, "check that this is a restrictions file");
    }
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        return error(
            "encoding",
            format!("File '{file}' is UTF-16 text, restrictions files are UTF-8"),
            "save it as UTF-8, or as plain ASCII",
        );
    }
    None
}

/// One line of the file.
#[derive(Clone, Copy)]
struct Line<'a> {
    /// From 1.
    number: u32,
    /// Of its first byte in the text.
    offset: usize,
    /// Without its line end.
    raw: &'a [u8],
}

/// Where the parts of a rule stand, for warnings found once all rules are known.
struct RuleSpans {
    /// The line in the text.
    line: Range<usize>,
    /// From `call` to the action, within the line.
    whole: Range<usize>,
    /// Each condition, within the line.
    conditions: Vec<Range<usize>>,
}

/// Diagnostics, as many as are told, and how many more there were.
#[derive(Default)]
struct Told {
    told: Vec<Diagnostic>,
    more: usize,
}

impl Told {
    /// Makes the diagnostic only if it will be told.
    fn add(&mut self, make: impl FnOnce() -> Diagnostic) {
        if self.told.len() < MAXIMUM_TOLD {
            self.told.push(make());
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self, severity: Severity, file: &str) -> Vec<Diagnostic> {
        if self.more > 0 {
            let kind = if severity == Severity::Error { "errors" } else { "warnings" };
            let message = format!("{} more {kind} in '{file}' are not shown", self.more);
            self.told.push(Diagnostic::on_file(severity, "more", file, message));
        }
        self.told
    }
}

struct Parser<'a> {
    file: &'a str,
    builder: PolicyBuilder,
    spans: Vec<RuleSpans>,
    /// Line that first named each resource, well or badly; 0 for none.
    seen: [u32; RESOURCES.len()],
    /// Line that granted each port. Ordered maps, here and in the lint: hashed ones would draw a random seed,
    /// which is one system call more in the confined interpreter.
    ports: BTreeMap<(Resource, u16), u32>,
    errors: Told,
    warnings: Told,
}

impl Parser<'_> {
    fn line(&mut self, line: Line<'_>) {
        let words = match line_fault(line.raw) {
            None => split(line.raw),
            Some((span, label, help)) => {
                self.error(
                    line,
                    "characters",
                    "holds characters that may not stand there",
                    span,
                    label,
                    || Some(help.to_owned()),
                );
                return;
            }
        };
        match words.split_first() {
            None => {}
            Some((first, rest)) if first.text == "resource" => self.resource(line, *first, rest),
            Some((first, rest)) if first.text == "call" => self.call(line, *first, rest),
            Some((first, rest)) => {
                let file = self.file;
                let first = *first;
                let meant = crate::suggest::closest(first.text, ["resource", "call"].into_iter());
                if let (Some("resource"), [name, ..]) = (meant, rest) {
                    // The resource that was meant is not missing too.
                    if let Some(resource) = Resource::from_name(name.text) {
                        self.note_seen(resource, line.number);
                    }
                }
                self.errors.add(|| {
                    let message = format!(
                        "Line '{}' not understood in file '{file}'",
                        quoted(line.raw, MAXIMUM_QUOTED)
                    );
                    Diagnostic::on_file(Severity::Error, "unknown-line", file, message)
                        .at(
                            line.number,
                            line.raw,
                            first.span(),
                            "a line begins with `resource` or `call`".into(),
                        )
                        .help(meant.map(|meant| format!("did you mean `{meant}`?")))
                });
            }
        }
    }

    /// Reports `Line '…' <what> in '<file>'`, the form of most of Repy V1's messages.
    fn error(
        &mut self,
        line: Line<'_>,
        code: &'static str,
        what: &str,
        span: Range<usize>,
        label: impl Into<String>,
        help: impl FnOnce() -> Option<String>,
    ) {
        let file = self.file;
        self.errors.add(|| {
            let message = format!("Line '{}' {what} in '{file}'", quoted(line.raw, MAXIMUM_QUOTED));
            Diagnostic::on_file(Severity::Error, code, file, message)
                .at(line.number, line.raw, span, label.into())
                .help(help())
        });
    }

    fn resource(&mut self, line: Line<'_>, keyword: Word<'_>, rest: &[Word<'_>]) {
        let resource = rest.first().and_then(|name| Resource::from_name(name.text));
        let (name, value) = match rest {
            [name, value] => (*name, *value),
            _ => {
                let (span, label) = match rest {
                    [] => (keyword.end(), "expected the name of a resource and its value".to_owned()),
                    [name] => (name.end(), "expected a value".to_owned()),
                    [_, _, more @ ..] => (words::cover(more), "nothing may follow the value".to_owned()),
                };
                self.error(line, "item-count", "has wrong number of items", span, label, || {
                    Some("a resource line is `resource NAME VALUE`".into())
                });
                if let Some(resource) = resource {
                    self.note_seen(resource, line.number);
                }
                return;
            }
        };
        let Some(resource) = resource else {
            let what = format!("has an unknown resource '{}'", quoted(name.text.as_bytes(), MAXIMUM_QUOTED));
            let names = || RESOURCES.iter().map(|facts| facts.name);
            // The resource that was meant is not missing too.
            let meant = crate::suggest::closest(name.text, names()).and_then(Resource::from_name);
            if let Some(meant) = meant {
                self.note_seen(meant, line.number);
            }
            self.error(line, "unknown-resource", &what, name.span(), "no resource has this name", || {
                crate::suggest::similar(name.text, names())
                    .or_else(|| Some(format!("the resources are {}", names().collect::<Vec<_>>().join(", "))))
            });
            return;
        };
        let first = self.seen[resource as usize];
        self.note_seen(resource, line.number);
        if first != 0 && resource.kind() != Kind::Named {
            let file = self.file;
            self.errors.add(|| {
                let message = format!(
                    "Line '{}' has a duplicate resource rule for '{}' in '{file}'",
                    quoted(line.raw, MAXIMUM_QUOTED),
                    resource.name()
                );
                Diagnostic::on_file(Severity::Error, "duplicate-resource", file, message)
                    .at(line.number, line.raw, name.span(), format!("already given in line {first}"))
                    .help(Some("keep one of the two lines".into()))
            });
        }
        match values::check(resource, value.text) {
            Ok(amount) => {
                if resource.kind() == Kind::Named {
                    // Checked to be a port, so it fits.
                    self.note_port(line, resource, amount.floor() as u16, value);
                }
                self.builder.put(resource, amount, line.number);
            }
            Err(label) => {
                let what = format!(
                    "has an invalid resource value '{}'",
                    quoted(value.text.as_bytes(), MAXIMUM_QUOTED)
                );
                self.error(line, "invalid-value", &what, value.span(), label, || {
                    Some(values::advice(resource, value.text))
                });
            }
        }
    }

    fn note_seen(&mut self, resource: Resource, number: u32) {
        let seen = &mut self.seen[resource as usize];
        if *seen == 0 {
            *seen = number;
        }
    }

    fn note_port(&mut self, line: Line<'_>, resource: Resource, port: u16, value: Word<'_>) {
        let first = *self.ports.entry((resource, port)).or_insert(line.number);
        if first != line.number {
            let file = self.file;
            self.warnings.add(|| {
                let message = format!("Port {port} is granted twice as {} in '{file}'", resource.name());
                Diagnostic::on_file(Severity::Warning, "repeated-port", file, message).at(
                    line.number,
                    line.raw,
                    value.span(),
                    format!("already granted in line {first}"),
                )
            });
        }
    }

    fn call(&mut self, line: Line<'_>, keyword: Word<'_>, rest: &[Word<'_>]) {
        let Some((name, rest)) = rest.split_first() else {
            self.error(
                line,
                "item-count",
                "has wrong number of items",
                keyword.end(),
                "expected the name of a call and an action",
                || Some("a call line is `call NAME ACTION` or `call NAME CONDITIONS ACTION`".into()),
            );
            return;
        };
        let call = Call::from_name(name.text);
        if call.is_none() {
            let what = format!("has an unknown call '{}'", quoted(name.text.as_bytes(), MAXIMUM_QUOTED));
            self.error(line, "unknown-call", &what, name.span(), "no call has this name", || {
                crate::suggest::call(name.text, CALLS.iter().map(|facts| facts.name))
            });
        }
        // As in Repy V1, the last word is the action, even if it is the name.
        let (action, between) = match rest.split_last() {
            Some((action, between)) => (action, between),
            None => (name, rest),
        };
        let meaning = Action::WORDS.iter().find(|(word, _)| *word == action.text).map(|(_, action)| *action);
        if meaning.is_none() {
            let what = format!("has an unknown action '{}'", quoted(action.text.as_bytes(), MAXIMUM_QUOTED));
            let (span, label) = if rest.is_empty() {
                (name.end(), "expected an action: `allow`, `deny` or `prompt`")
            } else {
                (action.span(), "a call line ends in `allow`, `deny` or `prompt`")
            };
            self.error(line, "unknown-action", &what, span, label, || {
                crate::suggest::similar(action.text, Action::WORDS.iter().map(|(word, _)| *word))
            });
        }
        let conditions = match conditions::parse(between) {
            Ok(conditions) => conditions,
            Err(fault) => {
                // Without an action the line's last condition lacks its last word: one mistake, not two.
                if meaning.is_some() || !fault.ran_out {
                    let file = self.file;
                    let span = fault.span.unwrap_or_else(|| action.span());
                    self.errors.add(|| {
                        Diagnostic::on_file(Severity::Error, "condition", file, fault.message)
                            .at(line.number, line.raw, span, fault.label)
                            .help(Some(fault.help))
                    });
                }
                return;
            }
        };
        if let (Some(call), Some(action_meant)) = (call, meaning) {
            let (conditions, spans) = conditions.into_iter().unzip();
            self.builder.push(Rule { call, conditions, action: action_meant, line: line.number });
            self.spans.push(RuleSpans {
                line: line.offset..line.offset + line.raw.len(),
                whole: keyword.start..action.span().end,
                conditions: spans,
            });
        }
    }

    fn finish(mut self, text: &[u8]) -> Result<Parsed, Vec<Diagnostic>> {
        let file = self.file;
        for facts in RESOURCES.iter().filter(|facts| facts.required) {
            if self.seen[facts.resource as usize] == 0 {
                self.errors.add(|| {
                    let message = format!("Missing required resource '{}' in file '{file}'", facts.name);
                    Diagnostic::on_file(Severity::Error, "missing-resource", file, message).help(Some(
                        format!(
                            "add a line such as `resource {} {}` ({})",
                            facts.name,
                            values::example(facts.resource),
                            facts.unit
                        ),
                    ))
                });
            }
        }
        if !self.errors.told.is_empty() {
            return Err(self.errors.finish(Severity::Error, file));
        }
        let policy = self.builder.build();
        lint::check(&policy, &self.spans, text, file, &mut self.warnings);
        let mut warnings = self.warnings;
        warnings.told.sort_by_key(|warning| (warning.line == 0, warning.line));
        Ok(Parsed { policy, warnings: warnings.finish(Severity::Warning, file) })
    }
}

#[cfg(test)]
mod tests;
