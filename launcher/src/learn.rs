//! `repy-launch learn`: from what a run did to the smallest restrictions file
//! that it needs, with headroom. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use policies::channel::control::Counter;
use policies::channel::seen::{Known, SeenCall};
use policies::{Call, Kind, Policy, PolicyBuilder, PortKind, Resource};

/// Different arguments of one call up to which each gets its own line.
const LINES: usize = 16;

/// What a run did.
#[derive(Clone, Debug)]
pub struct Learnt<'a> {
    /// The program's name.
    pub program: &'a str,
    /// How the run ended, in words.
    pub ending: String,
    /// Seconds from start to end.
    pub elapsed: f64,
    /// Processor seconds.
    pub processor: f64,
    /// Most memory in bytes.
    pub memory: u64,
    /// Most disk space in bytes, entries counted.
    pub disk: u64,
    /// What the interpreter counted.
    pub counters: &'a [Counter],
    /// The calls that were made.
    pub calls: &'a [SeenCall],
}

/// The policy under which a run is watched: everything that rules can allow, wide
/// limits, and only these ports.
pub fn permissive(ports: &BTreeSet<(bool, u16)>, disk_used: u64) -> Policy {
    let mut builder = PolicyBuilder::new(1.0, 1 << 30, disk_used.saturating_add(1 << 30));
    for resource in Resource::all() {
        match resource.kind() {
            Kind::Renewable => builder = builder.set(resource, 1e9),
            Kind::Items => builder = builder.set(resource, 500.0),
            Kind::Share | Kind::Hard | Kind::Named => {}
        }
    }
    for (tcp, port) in ports {
        let resource = if *tcp { Resource::ConnPort } else { Resource::MessPort };
        builder = builder.set(resource, f64::from(*port));
    }
    Call::all().fold(builder, PolicyBuilder::allow).build()
}

/// Own ports that calls name: TCP or not, and the port.
pub fn ports(calls: &[SeenCall]) -> BTreeSet<(bool, u16)> {
    let own = |seen: &SeenCall| {
        let (kind, place) = match seen.call {
            Call::RecvMess => (PortKind::Message, 1),
            Call::WaitForConn => (PortKind::Connection, 1),
            Call::SendMess => (PortKind::Message, 4),
            Call::OpenConn => (PortKind::Connection, 3),
            _ => return None,
        };
        let port = text(seen, place)?.parse::<u16>().ok().filter(|port| *port > 0)?;
        Some((kind == PortKind::Connection, port))
    };
    calls.iter().filter_map(own).collect()
}

/// The restrictions file.
pub fn restrictions(learnt: &Learnt<'_>) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "# What one run of {} needed ({:.2} s, {}),\n# with headroom. Every limit says what was used; what is not granted is denied.\n",
        crate::terminal::harmless(learnt.program),
        learnt.elapsed,
        crate::terminal::harmless(&learnt.ending),
    );
    for resource in Resource::all() {
        limit(&mut out, learnt, resource);
    }
    for (tcp, port) in ports(learnt.calls) {
        let name = if tcp { "connport" } else { "messport" };
        line(&mut out, &format!("resource {name} {port}"), "a port the program used as its own");
    }
    out.push('\n');
    rules(&mut out, learnt.calls);
    out
}

fn line(out: &mut String, text: &str, comment: &str) {
    let _ = writeln!(out, "{text:<40}# {comment}");
}

fn limit(out: &mut String, learnt: &Learnt<'_>, resource: Resource) {
    let counter = learnt.counters.iter().find(|counter| counter.resource == resource);
    let (value, comment) = match resource {
        Resource::Cpu => {
            let share = learnt.processor / learnt.elapsed.max(0.001);
            let wanted = (share * 2.0).clamp(0.1, 1.0);
            (
                format!("{wanted:.2}"),
                format!("{:.3} s of processor time: a share of {share:.2}", learnt.processor),
            )
        }
        Resource::Memory => {
            let wanted = half_more(learnt.memory).next_multiple_of(1 << 20).max(8 << 20);
            (wanted.to_string(), format!("{} bytes at most", learnt.memory))
        }
        Resource::DiskUsed => {
            let wanted = half_more(learnt.disk).next_multiple_of(4096).max(4096);
            (wanted.to_string(), format!("{} bytes at most, 4096 for each file counted in", learnt.disk))
        }
        _ => {
            let Some(counter) = counter.filter(|counter| counter.peak > 0 || counter.total > 0) else {
                return;
            };
            match resource.kind() {
                Kind::Renewable => {
                    let each = counter.total as f64 / learnt.elapsed.max(1.0);
                    let wanted = round_up(2 * counter.peak.max(each.ceil() as u64));
                    (
                        wanted.to_string(),
                        format!("{} in all, {} at once at most", counter.total, counter.peak),
                    )
                }
                Kind::Items => {
                    // One more for what another run may hold at the same moment.
                    let spare =
                        if resource == Resource::Events { counter.peak.max(2) / 2 } else { counter.peak / 2 };
                    (((counter.peak + spare).max(1)).to_string(), format!("{} at once at most", counter.peak))
                }
                Kind::Share | Kind::Hard | Kind::Named => return,
            }
        }
    };
    line(out, &format!("resource {} {value}", resource.name()), &comment);
}

fn half_more(value: u64) -> u64 {
    value.saturating_add(value / 2)
}

/// The next number with two digits and zeros.
fn round_up(value: u64) -> u64 {
    let mut unit = 1u64;
    while value / unit >= 100 {
        unit = unit.saturating_mul(10);
    }
    value.div_ceil(unit).saturating_mul(unit)
}

/// The rules that these calls need: with conditions where a call names few
/// things, each in its own line.
fn rules(out: &mut String, calls: &[SeenCall]) {
    let mut by_call: BTreeMap<Call, Vec<&SeenCall>> = BTreeMap::new();
    for seen in calls {
        by_call.entry(seen.call).or_default().push(seen);
    }
    for (call, seen) in by_call {
        match conditions(call, &seen) {
            Some(lines) if lines.len() <= LINES => {
                for conditions in lines {
                    let _ = writeln!(out, "call {}{conditions} allow", call.name());
                }
            }
            Some(lines) => {
                let text = format!("call {} allow", call.name());
                line(out, &text, &format!("with {} different arguments", lines.len()));
            }
            None => {
                let _ = writeln!(out, "call {} allow", call.name());
            }
        }
    }
}

/// The conditions that a call's uses have in common with nothing else; none
/// where rules cannot say them.
fn conditions(call: Call, seen: &[&SeenCall]) -> Option<BTreeSet<String>> {
    let looked_at: &[usize] = match call {
        Call::Open | Call::FileInit | Call::OpenConn | Call::SendMess => &[0, 1],
        Call::RemoveFile | Call::GetHostByNameEx => &[0],
        _ => return None,
    };
    seen.iter()
        .map(|seen| {
            let mut text = String::new();
            for place in looked_at {
                match seen.arguments.get(*place) {
                    // `open(NAME)` without a mode.
                    None | Some(Known::Absent) => {
                        let _ = write!(text, " noargs is {place}");
                    }
                    Some(_) => {
                        let _ = write!(text, " arg {place} is {}", word(seen, *place)?);
                    }
                }
            }
            Some(text)
        })
        .collect()
}

fn text(seen: &SeenCall, place: usize) -> Option<&str> {
    match seen.arguments.get(place) {
        Some(Known::Text(text)) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}

/// An argument as a word of the restrictions language, if it is one.
fn word(seen: &SeenCall, place: usize) -> Option<&str> {
    text(seen, place)
        .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(call: Call, words: &[&str]) -> SeenCall {
        let arguments = words.iter().map(|word| Known::Text(word.as_bytes().to_vec())).collect();
        SeenCall { call, line: 0, arguments, open: false, guess: false }
    }

    fn learnt<'a>(calls: &'a [SeenCall], counters: &'a [Counter]) -> Learnt<'a> {
        Learnt {
            program: "p.repy",
            ending: "exit 0".to_owned(),
            elapsed: 2.0,
            processor: 0.5,
            memory: 10 << 20,
            disk: 12_345,
            counters,
            calls,
        }
    }

    fn counter(resource: Resource, total: u64, peak: u64) -> Counter {
        Counter { resource, total, peak, denials: 0, waited_ns: 0 }
    }

    #[test]
    fn the_file_grants_what_was_used_with_headroom() {
        let calls = [
            seen(Call::Open, &["a.txt", "w"]),
            seen(Call::Open, &["b.txt"]),
            seen(Call::FileInit, &["a.txt", "w"]),
            seen(Call::RecvMess, &["127.0.0.1", "12345", "f"]),
            seen(Call::Sleep, &["1"]),
            seen(Call::OpenConn, &["example.org", "80"]),
        ];
        let counters = [
            counter(Resource::FileWrite, 4_000, 1_234),
            counter(Resource::FilesOpened, 9, 2),
            counter(Resource::NetSend, 0, 0),
        ];
        let text = restrictions(&learnt(&calls, &counters));
        let policy = Policy::parse(text.as_bytes(), "learnt").expect("a valid file").policy;
        assert_eq!(policy.amount(Resource::Cpu), 0.5);
        assert_eq!(policy.whole(Resource::Memory), 15 << 20);
        assert_eq!(policy.whole(Resource::DiskUsed), 20_480);
        assert_eq!(policy.amount(Resource::FileWrite), 4_000.0);
        assert_eq!(policy.whole(Resource::FilesOpened), 3);
        assert_eq!(policy.amount(Resource::NetSend), 0.0);
        assert!(policy.grants_port(PortKind::Message, 12_345));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn many_arguments_or_such_that_no_rule_can_name_give_one_rule() {
        let names: Vec<String> = (0..40).map(|number| format!("f{number}")).collect();
        let calls: Vec<SeenCall> = names.iter().map(|name| seen(Call::RemoveFile, &[name])).collect();
        let text = restrictions(&learnt(&calls, &[]));
        assert!(text.contains("call removefile allow") && text.contains("40 different"), "{text}");
        let text = restrictions(&learnt(&[seen(Call::Open, &["a b", "w"])], &[]));
        assert!(text.contains("call open allow\n"), "{text}");
        let hostile = [seen(Call::Open, &["x\ncall exitall allow", "w"])];
        assert!(!restrictions(&learnt(&hostile, &[])).contains("exitall"));
    }

    #[test]
    fn the_permissive_policy_allows_every_call_and_only_the_ports() {
        let policy = permissive(&BTreeSet::from([(true, 80), (false, 1025)]), 100);
        assert!(Call::all().all(|call| policy.decided(call).is_some_and(|decision| decision.is_allow())));
        assert!(policy.grants_port(PortKind::Connection, 80) && !policy.grants_port(PortKind::Message, 80));
        assert!(policy.grants_port(PortKind::Message, 1025));
    }

    #[test]
    fn numbers_are_rounded_up_to_two_digits() {
        for (number, rounded) in [(0, 0), (7, 7), (99, 99), (101, 110), (12_301, 13_000)] {
            assert_eq!(round_up(number), rounded);
        }
    }
}
