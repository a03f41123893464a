//! Rules that do nothing: accepted, as in Repy V1, but hardly what was meant.

use std::collections::BTreeMap;

use super::values::example;
use super::{RuleSpans, Told};
use crate::address::parse_literal;
use crate::decide::position;
use crate::diagnostic::{quoted, Diagnostic, Severity};
use crate::{Action, Call, Condition, Policy, Resource, Rule};

/// Most conditions of a rule whose every subset is compared with earlier rules; of longer ones
/// only the whole and the single conditions are. Keeps the time linear.
const SUBSETS: usize = 5;

pub(super) fn check(policy: &Policy, spans: &[RuleSpans], text: &[u8], file: &str, warnings: &mut Told) {
    // Sets of conditions of the rules so far, by call: the first line that has each.
    let mut earlier: BTreeMap<(Call, Vec<Condition>), &Rule> = BTreeMap::new();
    for (rule, spans) in policy.rules().iter().zip(spans) {
        let line = &text[spans.line.clone()];
        let conditions = normalised(rule);
        if let Some((at, why)) = contradiction(rule) {
            warnings.add(|| {
                let message = format!("Rule for '{}' can never match in '{file}'", rule.call.name());
                Diagnostic::on_file(Severity::Warning, "impossible-rule", file, message).at(
                    rule.line,
                    line,
                    spans.conditions.get(at).cloned().unwrap_or(spans.whole.clone()),
                    why,
                )
            });
            continue;
        }
        match shadowing(&earlier, rule.call, &conditions) {
            Some(first) => {
                warnings.add(|| {
                    let message = format!("Rule for '{}' is never reached in '{file}'", rule.call.name());
                    let same = first.action == rule.action;
                    let effect = if same { "decides the same" } else { "decides otherwise" };
                    Diagnostic::on_file(Severity::Warning, "dead-rule", file, message)
                        .at(
                            rule.line,
                            line,
                            spans.whole.clone(),
                            format!("whatever matches this matches line {} first", first.line),
                        )
                        .note(format!(
                            "line {} {effect}: `{}`",
                            first.line,
                            quoted(first.to_string().as_bytes(), super::MAXIMUM_QUOTED)
                        ))
                        .help((!same).then(|| {
                            "the first rule that matches decides: put the special rule first".into()
                        }))
                })
            }
            None => {
                earlier.insert((rule.call, conditions), rule);
            }
        }
    }
    if policy.whole(Resource::Events) == 0 {
        warnings.add(|| {
            let message = format!("No program can start under '{file}': it grants no events");
            Diagnostic::on_file(Severity::Warning, "no-events", file, message).help(Some(
                "add a line such as `resource events 10`: the program's own run takes one event".into(),
            ))
        });
    }
    for call in Call::all() {
        starved(policy, call, spans, text, file, warnings);
    }
}

/// A call that is allowed but for which a resource it needs is zero.
fn starved(policy: &Policy, call: Call, spans: &[RuleSpans], text: &[u8], file: &str, warnings: &mut Told) {
    let Some(index) =
        policy.reachable_indexes(call).find(|&index| policy.rules[index].action != Action::Deny)
    else {
        return;
    };
    let (rule, spans) = (&policy.rules[index], &spans[index]);
    for group in call.facts().needs {
        if group.iter().any(|&resource| policy.amount(resource) > 0.0) {
            continue;
        }
        let names: Vec<&str> = group.iter().map(|resource| resource.name()).collect();
        warnings.add(|| {
            let message = format!("Call '{}' is allowed in '{file}' but can never succeed", call.name());
            Diagnostic::on_file(Severity::Warning, "starved-call", file, message)
                .at(
                    rule.line,
                    &text[spans.line.clone()],
                    spans.whole.clone(),
                    format!("it needs {}, which is 0 here", names.join(" or ")),
                )
                .help(Some(format!(
                    "add a line such as `resource {} {}`, or take the rule out",
                    names[0],
                    example(group[0])
                )))
        });
    }
}

/// The conditions as a set: sorted, each once, argument numbers from the end made plain where the
/// count is given.
fn normalised(rule: &Rule) -> Vec<Condition> {
    let count = count(rule);
    let mut conditions: Vec<Condition> = rule
        .conditions
        .iter()
        .map(|condition| match (condition, count) {
            (Condition::ArgumentIs(index, value), Some(count)) if *index < 0 => {
                let plain = position(*index, count as usize).and_then(|at| i32::try_from(at).ok());
                Condition::ArgumentIs(plain.unwrap_or(*index), value.clone())
            }
            _ => condition.clone(),
        })
        .collect();
    conditions.sort();
    conditions.dedup();
    conditions
}

fn count(rule: &Rule) -> Option<u32> {
    rule.conditions.iter().find_map(|condition| match condition {
        Condition::CountIs(count) => Some(*count),
        Condition::ArgumentIs(..) => None,
    })
}

/// An earlier rule that matches whatever has these conditions: one whose conditions are some of them.
fn shadowing<'a>(
    earlier: &BTreeMap<(Call, Vec<Condition>), &'a Rule>,
    call: Call,
    conditions: &[Condition],
) -> Option<&'a Rule> {
    let find = |subset: Vec<Condition>| earlier.get(&(call, subset)).copied();
    if conditions.len() > SUBSETS {
        return std::iter::once(Vec::new())
            .chain(conditions.iter().map(|condition| vec![condition.clone()]))
            .chain(std::iter::once(conditions.to_vec()))
            .filter_map(find)
            .min_by_key(|rule| rule.line);
    }
    (0u32..1 << conditions.len())
        .filter_map(|chosen| {
            let subset = conditions.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
            find(subset.map(|(_, condition)| condition.clone()).collect())
        })
        .min_by_key(|rule| rule.line)
}

/// The condition of a rule that cannot hold (beside the others), and why.
fn contradiction(rule: &Rule) -> Option<(usize, String)> {
    let facts = rule.call.facts();
    let most = facts.parameters.len();
    let fixed = count(rule);
    for (at, condition) in rule.conditions.iter().enumerate() {
        let why = match condition {
            Condition::CountIs(count) if *count as usize > most => {
                Some(format!("`{}` takes at most {}", facts.name, plural(most)))
            }
            Condition::CountIs(count) if (*count as usize) < facts.required => {
                Some(format!("`{}` takes at least {}", facts.name, plural(facts.required)))
            }
            Condition::CountIs(count) if fixed != Some(*count) => {
                Some("another condition of this rule asks for another number of arguments".to_owned())
            }
            Condition::CountIs(_) => None,
            Condition::ArgumentIs(index, _) if !exists(*index, most) => {
                Some(format!("`{}` takes at most {}, numbered from 0", facts.name, plural(most)))
            }
            Condition::ArgumentIs(index, value) => {
                rule.conditions[..at].iter().find_map(|before| match before {
                    Condition::ArgumentIs(same, other)
                        if same == index
                            && other != value
                            && !may_be_both(rule.call, *index, value, other) =>
                    {
                        Some("another condition of this rule asks for another value".to_owned())
                    }
                    _ => None,
                })
            }
        };
        if let Some(why) = why {
            return Some((at, why));
        }
    }
    None
}

fn exists(index: i32, most: usize) -> bool {
    if index >= 0 {
        (index as usize) < most
    } else {
        position(index, most).is_some()
    }
}

/// A host argument can be one text and, resolved, another.
fn may_be_both(call: Call, index: i32, left: &str, right: &str) -> bool {
    let may_be_host = index < 0 || call.facts().hosts.contains(&(index as usize));
    may_be_host && [left, right].iter().any(|value| parse_literal(value.as_bytes()).is_some())
}

fn plural(count: usize) -> String {
    match count {
        0 => "no arguments".to_owned(),
        1 => "1 argument".to_owned(),
        count => format!("{count} arguments"),
    }
}
