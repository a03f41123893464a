//! Rule matching: the one function that interpreter and broker decide by.

use std::borrow::Cow;
use std::fmt::Write;
use std::net::Ipv4Addr;

mod outlook;

pub use outlook::{Outlook, Sketch};

use crate::address::parse_literal;
use crate::{Action, Call, Condition, Policy, Rule};

/// One argument of a call, in the position of its parameter; keyword arguments stand in theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument<'a> {
    /// A parameter the program left out, with a later one given. No `arg` condition holds on it
    /// and `noargs` does not count it.
    Absent,
    /// The Python 2 `str()` of the argument.
    Text(Cow<'a, [u8]>),
    /// A host argument: its text, and the resolved address that is really used. A condition holds
    /// if its value is the text or, being an address literal itself, spells the address.
    Host {
        /// The Python 2 `str()` of the argument.
        text: Cow<'a, [u8]>,
        /// The address that is really used.
        address: Ipv4Addr,
    },
}

impl<'a> Argument<'a> {
    /// An argument with this text.
    pub fn text(text: &'a [u8]) -> Argument<'a> {
        Argument::Text(Cow::Borrowed(text))
    }

    /// A host argument.
    pub fn host(text: &'a [u8], address: Ipv4Addr) -> Argument<'a> {
        Argument::Host { text: Cow::Borrowed(text), address }
    }
}

/// What the rules say of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Deny where no rule matches.
    pub action: Action,
    /// Index of the deciding rule in [`Policy::rules`]; `None` where no rule matches.
    pub rule: Option<u32>,
}

impl Decision {
    /// Whether the call may go on (a prompt may not, unless the operator says so).
    pub fn is_allow(self) -> bool {
        self.action == Action::Allow
    }
}

/// Why a condition does not hold.
enum Unmet {
    MissingArgument,
    OtherValue,
    OtherCount,
}

fn holds(condition: &Condition, arguments: &[Argument<'_>]) -> Result<(), Unmet> {
    match condition {
        Condition::CountIs(count) => {
            let given = arguments.iter().filter(|argument| **argument != Argument::Absent).count();
            if given == *count as usize {
                Ok(())
            } else {
                Err(Unmet::OtherCount)
            }
        }
        Condition::ArgumentIs(index, value) => {
            let argument = position(*index, arguments.len()).and_then(|at| arguments.get(at));
            let same = match argument {
                None | Some(Argument::Absent) => return Err(Unmet::MissingArgument),
                Some(Argument::Text(text)) => text[..] == *value.as_bytes(),
                Some(Argument::Host { text, address }) => {
                    text[..] == *value.as_bytes() || parse_literal(value.as_bytes()) == Some(*address)
                }
            };
            if same {
                Ok(())
            } else {
                Err(Unmet::OtherValue)
            }
        }
    }
}

/// Where an argument number points among `count` arguments.
pub(crate) fn position(index: i32, count: usize) -> Option<usize> {
    if index >= 0 {
        usize::try_from(index).ok()
    } else {
        count.checked_sub(index.unsigned_abs() as usize)
    }
}

impl Rule {
    /// Whether all conditions hold.
    pub fn matches(&self, arguments: &[Argument<'_>]) -> bool {
        self.conditions.iter().all(|condition| holds(condition, arguments).is_ok())
    }
}

impl Policy {
    /// Decides on a call: the first rule whose conditions all hold; deny if none does.
    pub fn decide(&self, call: Call, arguments: &[Argument<'_>]) -> Decision {
        for &index in &self.by_call[call as usize] {
            let rule = &self.rules[index as usize];
            if rule.matches(arguments) {
                return Decision { action: rule.action, rule: Some(index) };
            }
        }
        Decision { action: Action::Deny, rule: None }
    }

    /// The decision on a call where it is the same whatever the arguments: no text need be made.
    pub fn decided(&self, call: Call) -> Option<Decision> {
        match self.by_call[call as usize].first() {
            None => Some(Decision { action: Action::Deny, rule: None }),
            Some(&index) => {
                let rule = &self.rules[index as usize];
                rule.conditions.is_empty().then_some(Decision { action: rule.action, rule: Some(index) })
            }
        }
    }

    /// Whether some rule that can be reached looks at this argument (from 0) of the call. Numbers
    /// from the end look at any.
    pub fn looks_at(&self, call: Call, argument: usize) -> bool {
        self.reachable(call).flat_map(|rule| &rule.conditions).any(|condition| match condition {
            Condition::ArgumentIs(index, _) => {
                usize::try_from(*index).map_or(true, |index| index == argument)
            }
            Condition::CountIs(_) => false,
        })
    }

    /// Whether the decision may depend on the address a host argument resolves to: some rule that
    /// can be reached compares it with an address literal. If not, a call can be decided on before
    /// its host is resolved.
    pub fn looks_at_address(&self, call: Call) -> bool {
        let hosts = call.facts().hosts;
        self.reachable(call).flat_map(|rule| &rule.conditions).any(|condition| match condition {
            Condition::ArgumentIs(index, value) => {
                usize::try_from(*index).map_or(true, |index| hosts.contains(&index))
                    && parse_literal(value.as_bytes()).is_some()
            }
            Condition::CountIs(_) => false,
        }) && !hosts.is_empty()
    }

    /// Whether some arguments are allowed (or asked about): false means that the call can never succeed.
    pub fn may_allow(&self, call: Call) -> bool {
        self.reachable(call).any(|rule| rule.action != Action::Deny)
    }

    /// The rules of a call up to the first one that always matches.
    fn reachable(&self, call: Call) -> impl Iterator<Item = &Rule> {
        self.reachable_indexes(call).map(|index| &self.rules[index])
    }

    /// Where those stand in [`Policy::rules`].
    pub(crate) fn reachable_indexes(&self, call: Call) -> impl Iterator<Item = usize> + '_ {
        let mut open = true;
        self.by_call[call as usize].iter().map(|&index| index as usize).take_while(move |&index| {
            let reached = open;
            open &= !self.rules[index].conditions.is_empty();
            reached
        })
    }

    /// The text of the exception for a call that is not allowed.
    pub fn refusal(&self, call: Call, arguments: &[Argument<'_>]) -> Refusal<'_> {
        let decision = self.decide(call, arguments);
        let mut dump = String::new();
        let last = decision.rule.unwrap_or(u32::MAX);
        for &index in self.by_call[call as usize].iter().take_while(|&&index| index <= last) {
            dump_rule(&mut dump, &self.rules[index as usize], arguments);
        }
        if decision.rule.is_none() {
            dump.push_str("No matching rule found\n");
        }
        let rule = decision.rule.map(|index| &self.rules[index as usize]);
        Refusal { call, action: decision.action, rule, dump }
    }
}

/// A refused call, ready to be said.
#[derive(Clone, Debug)]
pub struct Refusal<'a> {
    /// The call.
    pub call: Call,
    /// Deny or prompt.
    pub action: Action,
    /// The rule that decided; `None` where no rule matched.
    pub rule: Option<&'a Rule>,
    /// One line for each rule tried, as Repy V1 lists them.
    pub dump: String,
}

impl Refusal<'_> {
    /// The text of the exception, as Repy V1 words it. `arguments` is the Python `repr()` of the
    /// tuple of arguments.
    pub fn message(&self, arguments: &str) -> String {
        let name = self.call.name();
        match self.action {
            Action::Prompt => format!("Call '{name}' not allowed"),
            _ => format!("Call '{name}' with args {arguments} not allowed\nMatching dump:\n{}", self.dump),
        }
    }
}

fn dump_rule(dump: &mut String, rule: &Rule, arguments: &[Argument<'_>]) {
    let unmet = rule
        .conditions
        .iter()
        .find_map(|condition| holds(condition, arguments).err().map(|unmet| (condition, unmet)));
    // Writing into a String cannot fail.
    let _ = match unmet {
        Some((condition, unmet)) => {
            let reason = match unmet {
                Unmet::MissingArgument => "Missing arg",
                Unmet::OtherValue => "Value not allowed",
                Unmet::OtherCount => "Wrong args count",
            };
            match condition {
                Condition::ArgumentIs(index, value) => {
                    writeln!(dump, "rule: ('arg', {index}, {}), {reason}", python_repr(value.as_bytes()))
                }
                Condition::CountIs(count) => writeln!(dump, "rule: ('noargs', {count}), {reason}"),
            }
        }
        None if rule.conditions.is_empty() => writeln!(dump, "Always match the empty rule"),
        None => writeln!(dump, "All rules satisfied"),
    };
}

/// `repr()` of a Python 2 string.
fn python_repr(text: &[u8]) -> String {
    let quote = if text.contains(&b'\'') && !text.contains(&b'"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for &byte in text {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b' '..=b'~' => {
                let character = char::from(byte);
                if character == quote {
                    out.push('\\');
                }
                out.push(character);
            }
            // Writing into a String cannot fail.
            _ => drop(write!(out, "\\x{byte:02x}")),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests;
