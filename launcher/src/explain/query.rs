//! "What if the program tried …": `explain POLICY 'bind udp 12345'`.

use std::borrow::Cow;

use policies::address::parse_literal;
use policies::{suggest, Argument, Call, Kind, Policy, PortKind, Resource};
use serde::Serialize;

use super::obstacle::{self, Obstacle};
use crate::filter;
use crate::filter::parse::Outcome;
use crate::plan::control::Action;
use crate::plan::Plan;

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The question, as it was understood.
    pub question: String,
    /// Whether it may happen.
    pub allowed: bool,
    /// The line of the policy that decides; none where no line does.
    pub line: Option<u32>,
    /// That line in its canonical form, or which default holds.
    pub because: String,
    /// The layers that hold the denial, or pass the attempt, strongest first.
    pub layers: Vec<String>,
    /// What the program sees.
    pub sees: String,
}

/// A question that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the question '{question}': {reason}\n  questions are: {}", QUESTIONS.join(", "))]
pub struct QueryError {
    question: String,
    reason: String,
}

/// The forms of a question.
const QUESTIONS: &[&str] = &[
    "'bind udp PORT'",
    "'bind tcp PORT'",
    "'connect HOST PORT'",
    "'send HOST PORT'",
    "'open NAME [MODE]'",
    "'remove NAME'",
    "'list'",
    "'resolve HOST'",
    "'call NAME [ARGUMENT…]'",
    "'syscall NAME|NUMBER'",
    "'memory BYTES'",
    "'RESOURCE AMOUNT'",
];

/// Answers a question about a policy on the host the plan was made for. `own` are names
/// in the vessel that belong to the operator.
///
/// # Errors
/// A question of an unknown form, or with words that do not fit it.
pub fn answer(policy: &Policy, plan: &Plan, own: &[String], question: &str) -> Result<Answer, QueryError> {
    let words: Vec<&str> = question.split_whitespace().collect();
    let wrong = |reason: String| QueryError { question: question.escape_default().to_string(), reason };
    let call = |call: Call, words: &[&str]| call_with(policy, plan, own, call, words);
    let port = |word: &str| {
        word.parse::<u16>()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| wrong(format!("'{word}' is no port (1 to 65535)")))
    };
    let mut answer = match words[..] {
        ["bind", "udp", word] => bind(policy, plan, PortKind::Message, port(word)?),
        ["bind", "tcp", word] => bind(policy, plan, PortKind::Connection, port(word)?),
        ["connect", host, word] => destination(policy, plan, Call::OpenConn, host, port(word)?),
        ["send", host, word] => destination(policy, plan, Call::SendMess, host, port(word)?),
        ["open", name] => call(Call::Open, &[name]),
        ["open", name, mode] => call(Call::Open, &[name, mode]),
        ["open", _, _, _, ..] => return Err(wrong(asked_as("open"))),
        ["remove", name] => call(Call::RemoveFile, &[name]),
        ["list"] => call(Call::ListDir, &[]),
        ["resolve", host] => call(Call::GetHostByNameEx, &[host]),
        ["syscall", name] => syscall(plan, name).map_err(wrong)?,
        ["call", name, ref arguments @ ..] => {
            let names = Call::all().map(Call::name);
            let wanted = Call::from_name(name).ok_or_else(|| {
                wrong(meant(format!("there is no call '{name}'"), suggest::call(name, names)))
            })?;
            call(wanted, arguments)
        }
        [name, ref arguments @ ..] if Call::from_name(name).is_some() => {
            let wanted = Call::from_name(name).ok_or_else(|| wrong(String::new()))?;
            call(wanted, arguments)
        }
        ["bind", ..] | ["connect" | "send" | "remove" | "list" | "resolve" | "syscall" | "call", ..] => {
            return Err(wrong(asked_as(words[0])))
        }
        [name] if Resource::from_name(name).is_some() => {
            return Err(wrong(format!("it is asked as '{name} AMOUNT'")))
        }
        [name, amount] => {
            let resource = Resource::from_name(name).ok_or_else(|| {
                wrong(meant(format!("'{name}' is no resource and no question"), known(name)))
            })?;
            let amount: f64 = amount
                .parse()
                .ok()
                .filter(|amount: &f64| amount.is_finite() && *amount >= 0.0)
                .ok_or_else(|| wrong(format!("'{amount}' is no amount")))?;
            quantity(policy, plan, resource, amount)
        }
        [first, ..] => return Err(wrong(meant("it has an unknown form".to_owned(), known(first)))),
        [] => return Err(wrong("there is nothing in it".to_owned())),
    };
    answer.question = crate::terminal::harmless(&words.join(" "));
    answer.sees = crate::terminal::harmless(&answer.sees);
    Ok(answer)
}

/// The forms of a question that begins with this word.
fn asked_as(word: &str) -> String {
    let forms = QUESTIONS
        .iter()
        .filter(|form| form.trim_matches('\'').split(' ').next().is_some_and(|first| first == word));
    format!("it is asked as {}", forms.copied().collect::<Vec<_>>().join(" or "))
}

/// Adds what may have been meant.
fn meant(reason: String, advice: Option<String>) -> String {
    match advice {
        Some(advice) => format!("{reason}; {advice}"),
        None => reason,
    }
}

/// The first word of a question, a resource or a call that a word may stand for.
fn known(word: &str) -> Option<String> {
    let words = ["bind", "connect", "send", "open", "remove", "list", "resolve", "syscall", "call"];
    let resources = Resource::all().map(Resource::name);
    let names = words.into_iter().chain(resources).chain(Call::all().map(Call::name));
    suggest::similar(word, names.filter(|name| *name != word))
}

fn rule_text(policy: &Policy, rule: Option<u32>) -> (Option<u32>, String) {
    match rule.and_then(|index| policy.rules().get(index as usize)) {
        Some(rule) => ((rule.line > 0).then_some(rule.line), rule.to_string()),
        None => (None, "no rule of this call matches, and what no rule allows is denied".to_owned()),
    }
}

/// The names of the controls that hold on this host, strongest first.
fn holders(row: super::Row) -> Vec<String> {
    row.held_by
        .into_iter()
        .filter(|holder| holder.absent.is_none())
        .map(|holder| format!("{} ({})", holder.layer, holder.control))
        .collect()
}

fn call_with(policy: &Policy, plan: &Plan, own: &[String], call: Call, words: &[&str]) -> Answer {
    let arguments: Vec<Argument> =
        words.iter().map(|word| Argument::Text(Cow::Borrowed(word.as_bytes()))).collect();
    let answer = decided(policy, plan, call, &arguments, words);
    if !answer.allowed {
        return answer;
    }
    if call == Call::Open {
        if let Some(obstacle) = words.get(1).and_then(|mode| obstacle::bad_mode(mode)) {
            return blocked(answer, plan, Some(obstacle));
        }
        // The interpreter checks both: open makes a file.
        let mut made = decided(policy, plan, Call::FileInit, &arguments, words);
        if !made.allowed {
            made.because = format!("open needs a rule for file.__init__ too; there, {}", made.because);
            return made;
        }
    }
    blocked(answer, plan, obstacle::of_call(policy, call, words, own))
}

/// The answer, as what stands in the way leaves it.
fn blocked(answer: Answer, plan: &Plan, obstacle: Option<Obstacle>) -> Answer {
    let Some(obstacle) = obstacle else { return answer };
    let of_resource = |resource| holders(super::held(policies::carriers::of_resource(resource), plan));
    Answer {
        allowed: false,
        line: obstacle.line,
        because: obstacle.because,
        layers: obstacle.resource.map_or(answer.layers, of_resource),
        sees: obstacle.sees,
        ..answer
    }
}

fn decided(policy: &Policy, plan: &Plan, call: Call, arguments: &[Argument], words: &[&str]) -> Answer {
    let decision = policy.decide(call, arguments);
    let (line, because) = rule_text(policy, decision.rule);
    let shown: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let sees = if decision.is_allow() {
        "the call goes on".to_owned()
    } else {
        format!("Exception: Call '{}' with args ({}) not allowed", call.name(), shown.join(", "))
    };
    Answer {
        question: String::new(),
        allowed: decision.is_allow(),
        line,
        because,
        layers: holders(super::held(policies::carriers::of_call(call), plan)),
        sees,
    }
}

fn destination(policy: &Policy, plan: &Plan, call: Call, host: &str, port: u16) -> Answer {
    let port = port.to_string();
    let first = match parse_literal(host.as_bytes()) {
        Some(address) => Argument::host(host.as_bytes(), address),
        None => Argument::text(host.as_bytes()),
    };
    let mut answer = decided(policy, plan, call, &[first, Argument::text(port.as_bytes())], &[host, &port]);
    if parse_literal(host.as_bytes()).is_none() && policy.looks_at_address(call) {
        answer.because.push_str(" (a rule with an address also decides on what the name resolves to)");
    }
    if !answer.allowed {
        return answer;
    }
    let rate = match (call, parse_literal(host.as_bytes())) {
        (Call::SendMess, Some(address)) if address.is_loopback() => Some(Resource::LoopSend),
        (Call::SendMess, Some(_)) => Some(Resource::NetSend),
        _ => None,
    };
    let rate = rate.filter(|rate| policy.amount(*rate) == 0.0).map(|rate| obstacle::without(policy, rate));
    blocked(answer, plan, rate.or_else(|| obstacle::of_call(policy, call, &[], &[])))
}

fn bind(policy: &Policy, plan: &Plan, kind: PortKind, port: u16) -> Answer {
    let call = match kind {
        PortKind::Message => Call::RecvMess,
        PortKind::Connection => Call::WaitForConn,
    };
    let name = kind.resource().name();
    let text = port.to_string();
    let layers = holders(super::held(policies::carriers::of_resource(kind.resource()), plan));
    let Some(grant) = policy.ports(kind).iter().find(|grant| grant.port == port) else {
        return Answer {
            question: String::new(),
            allowed: false,
            line: None,
            because: format!("no line 'resource {name} {port}'"),
            layers,
            sees: format!("Exception: Resource '{name} {port}' not allowed!!!"),
        };
    };
    // The address is not part of the question: decided as for 127.0.0.1.
    let mut answer = decided(
        policy,
        plan,
        call,
        &[Argument::text(b"127.0.0.1"), Argument::text(text.as_bytes())],
        &["127.0.0.1", &text],
    );
    if answer.allowed {
        answer.because = format!("resource {name} {port} (line {}) and {}", grant.line, answer.because);
    }
    answer.layers = layers;
    if !answer.allowed {
        return answer;
    }
    blocked(answer, plan, obstacle::of_call(policy, call, &[], &[]))
}

fn quantity(policy: &Policy, plan: &Plan, resource: Resource, amount: f64) -> Answer {
    let limit = policy.amount(resource);
    let line = policy.line(resource);
    Answer {
        question: String::new(),
        allowed: amount <= limit,
        line,
        because: match line {
            Some(_) => format!("resource {} {limit}", resource.name()),
            None => format!("no line for {}, so its limit is {limit}", resource.name()),
        },
        layers: holders(super::held(policies::carriers::of_resource(resource), plan)),
        sees: match resource.kind() {
            _ if amount <= limit => "nothing".to_owned(),
            Kind::Renewable if limit == 0.0 => {
                format!("Exception: Resource '{}' limit set to 0, won't drain!", resource.name())
            }
            _ => super::at_limit(resource).to_owned(),
        },
    }
}

fn syscall(plan: &Plan, word: &str) -> Result<Answer, String> {
    let number: Option<i64> = word.parse().ok();
    let name = number.and_then(|number| filter::syscalls::all().find(|(_, known)| *known == number));
    let name = name.map_or(word, |(name, _)| name);
    if filter::syscalls::number(name).is_none() {
        let advice = suggest::similar(name, filter::syscalls::all().map(|(name, _)| name));
        return Err(meant(format!("there is no system call '{name}' on this architecture"), advice));
    }
    let filter_plan = plan.controls.iter().find_map(|control| match &control.action {
        Action::Filter(filter) => Some(filter),
        _ => None,
    });
    let Some(filter_plan) = filter_plan else {
        return Ok(Answer {
            question: String::new(),
            allowed: true,
            line: None,
            because: "the layer seccomp was given up".to_owned(),
            layers: Vec::new(),
            sees: "whatever the other layers leave of it".to_owned(),
        });
    };
    let rules = filter::interpreter_rules(filter_plan).map_err(|error| error.to_string())?;
    let lines: Vec<_> = rules.iter().filter(|rule| rule.name == name).collect();
    let because = match lines[..] {
        [] => "it is not in the filter of this policy".to_owned(),
        _ => {
            let line = |rule: &&filter::parse::Rule| {
                let when = if rule.conditions.is_empty() { "" } else { " when its arguments fit" };
                match rule.outcome {
                    Outcome::Allow => format!("allowed{when}: {}", rule.reason),
                    Outcome::Fail(errno) => {
                        let error = std::io::Error::from_raw_os_error(i32::from(errno));
                        format!("refused{when} with '{error}': {}", rule.reason)
                    }
                }
            };
            lines.iter().map(line).collect::<Vec<_>>().join("; or ")
        }
    };
    Ok(Answer {
        question: String::new(),
        allowed: lines.iter().any(|rule| rule.outcome == Outcome::Allow),
        line: None,
        because,
        layers: vec!["kernel (seccomp)".to_owned()],
        sees: match lines[..] {
            [] => "the process is killed (exit 71); a Repy program has no way to make it".to_owned(),
            _ => "the interpreter itself uses it; a Repy program has no way to make it".to_owned(),
        },
    })
}
