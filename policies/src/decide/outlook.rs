//! What can be said of a call before it is made, when not every argument is known.

use super::{position, Decision};
use crate::address::parse_literal;
use crate::channel::seen::Known;
use crate::{Action, Call, Condition, Policy, Rule};

/// What the rules will say of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// Whatever the unknown arguments are, the same.
    Certain(Decision),
    /// It depends on arguments nobody knows yet.
    Open,
    /// It depends on them, but in no case is the call allowed; the last rule that may decide.
    Never(Decision),
}

/// A call as far as it is known.
#[derive(Clone, Copy, Debug)]
pub struct Sketch<'a> {
    /// Which call.
    pub call: Call,
    /// Its arguments in their positions.
    pub arguments: &'a [Known],
    /// There may be more of them.
    pub open: bool,
}

impl Policy {
    /// What the rules will say of a call.
    pub fn outlook(&self, sketch: Sketch<'_>) -> Outlook {
        let mut possible: Vec<Decision> = Vec::new();
        for &index in &self.by_call[sketch.call as usize] {
            let rule = &self.rules[index as usize];
            let Some(certain) = may_match(rule, sketch) else { continue };
            possible.push(Decision { action: rule.action, rule: Some(index) });
            if certain {
                return summary(&possible);
            }
        }
        possible.push(Decision { action: Action::Deny, rule: None });
        summary(&possible)
    }
}

fn summary(possible: &[Decision]) -> Outlook {
    match possible {
        [only] => Outlook::Certain(*only),
        [.., last] if possible.iter().all(|decision| decision.action == Action::Deny) => {
            Outlook::Never(*last)
        }
        _ => Outlook::Open,
    }
}

/// None if a rule cannot match; else whether it surely does.
fn may_match(rule: &Rule, sketch: Sketch<'_>) -> Option<bool> {
    let mut certain = true;
    for condition in &rule.conditions {
        certain &= may_hold(condition, sketch)?;
    }
    Some(certain)
}

fn may_hold(condition: &Condition, sketch: Sketch<'_>) -> Option<bool> {
    let given = sketch.arguments;
    match condition {
        Condition::CountIs(count) => {
            let here = given.iter().filter(|argument| **argument != Known::Absent).count();
            let wanted = *count as usize;
            match sketch.open {
                true => (wanted >= here).then_some(false),
                false => (wanted == here).then_some(true),
            }
        }
        Condition::ArgumentIs(index, _) if *index < 0 && sketch.open => Some(false),
        Condition::ArgumentIs(index, value) => {
            let place = position(*index, given.len())?;
            match given.get(place) {
                None | Some(Known::Absent) => sketch.open.then_some(false),
                Some(Known::Unknown) => Some(false),
                Some(Known::Text(text)) if text[..] == *value.as_bytes() => Some(true),
                Some(Known::Text(text)) if sketch.call.facts().hosts.contains(&place) => {
                    // A name may resolve to the address.
                    let wanted = parse_literal(value.as_bytes())?;
                    match parse_literal(text) {
                        Some(address) => (address == wanted).then_some(true),
                        None => Some(false),
                    }
                }
                Some(Known::Text(_)) => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlook(rules: &str, call: Call, arguments: &[Known], open: bool) -> Outlook {
        let text = format!("resource cpu .5\nresource memory 1\nresource diskused 1\n{rules}");
        let policy = Policy::parse(text.as_bytes(), "p").expect("a valid policy").policy;
        policy.outlook(Sketch { call, arguments, open })
    }

    fn text(word: &str) -> Known {
        Known::Text(word.as_bytes().to_vec())
    }

    fn certain(action: Action, rule: Option<u32>) -> Outlook {
        Outlook::Certain(Decision { action, rule })
    }

    #[test]
    fn what_is_known_decides() {
        let rules = "call open arg 0 is a.txt arg 1 is r allow\ncall open arg 0 is b.txt allow\n";
        let ask = |arguments: &[Known]| outlook(rules, Call::Open, arguments, false);
        assert_eq!(ask(&[text("a.txt"), text("r")]), certain(Action::Allow, Some(0)));
        assert_eq!(ask(&[text("a.txt"), text("w")]), certain(Action::Deny, None));
        assert_eq!(ask(&[text("a.txt")]), certain(Action::Deny, None));
        assert_eq!(ask(&[text("a.txt"), Known::Unknown]), Outlook::Open);
        assert_eq!(ask(&[Known::Unknown, text("w")]), Outlook::Open);
        assert_eq!(outlook(rules, Call::Open, &[text("a.txt")], true), Outlook::Open);
        assert_eq!(ask(&[text("b.txt"), Known::Unknown]), certain(Action::Allow, Some(1)));
    }

    #[test]
    fn denied_whatever_comes() {
        let rules = "call sleep arg 0 is 1 deny\ncall sleep noargs is 2 allow\n";
        assert!(matches!(outlook(rules, Call::Sleep, &[Known::Unknown], false), Outlook::Never(_)));
        assert_eq!(outlook("", Call::Sleep, &[Known::Unknown], false), certain(Action::Deny, None));
        assert_eq!(outlook(rules, Call::Sleep, &[], true), Outlook::Open);
    }

    #[test]
    fn a_host_name_may_become_any_address() {
        let rules = "call openconn arg 0 is 127.0.0.1 allow\n";
        let ask = |host| outlook(rules, Call::OpenConn, &[text(host), text("80")], false);
        assert_eq!(ask("localhost"), Outlook::Open);
        assert_eq!(ask("127.1"), certain(Action::Allow, Some(0)));
        assert_eq!(ask("10.0.0.1"), certain(Action::Deny, None));
    }
}
