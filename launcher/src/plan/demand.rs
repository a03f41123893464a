//! What a policy asks of the kernel: the part of it that kernel controls can
//! carry, each with the line it came from.

use policies::{Action, Call, Condition, Policy, Resource, Rule};

/// A quantity and the line of the policy that set it. Line 0 means that the
/// policy has no such line and the default holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sourced<T> {
    /// The quantity.
    pub value: T,
    /// Line in the policy file, counted from 1; 0 for a default.
    pub line: u32,
}

/// How far a policy lets the program open files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileAccess {
    /// No rule lets any file be opened.
    None,
    /// Files may be opened for reading only.
    Read(Names),
    /// Files may be opened for writing and created.
    Write(Names),
}

/// Which files a policy lets the program open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// Any name.
    Any,
    /// Only these, as the rules write them.
    Only(Vec<String>),
}

/// The part of a policy that kernel controls can carry.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// `memory`, in bytes.
    pub memory: Sourced<u64>,
    /// `cpu`, a share of one processor (may exceed 1).
    pub cpu: Sourced<f64>,
    /// `diskused`, in bytes.
    pub diskused: Sourced<u64>,
    /// `filesopened`.
    pub filesopened: Sourced<u32>,
    /// `insockets`.
    pub insockets: Sourced<u32>,
    /// `outsockets`.
    pub outsockets: Sourced<u32>,
    /// The widest access that any `open` or `file.__init__` rule gives.
    pub files: Sourced<FileAccess>,
    /// Whether `listdir` may be allowed.
    pub list: Sourced<bool>,
    /// Whether `removefile` may be allowed.
    pub remove: Sourced<bool>,
    /// Whether `waitforconn` may be allowed (accepted connections).
    pub accept: Sourced<bool>,
    /// Whether any call of the network may be allowed: then the sandbox has a
    /// network channel to the broker.
    pub network: Sourced<bool>,
    /// Whether `sendmess` is allowed to every destination: only then may the
    /// sandbox hold an unconnected socket and name addresses itself.
    pub send_anywhere: Sourced<bool>,
}

impl Demand {
    /// What a policy asks. Without restrictions (`--norestrictions`) its call
    /// rules do not count and every call is possible; its limits hold.
    pub fn of(policy: &Policy, restrictions: bool) -> Demand {
        let line = |resource| policy.line(resource).unwrap_or(0);
        let whole = |resource| Sourced { value: policy.whole(resource), line: line(resource) };
        let items = |resource| Sourced {
            value: u32::try_from(policy.whole(resource)).unwrap_or(u32::MAX),
            line: line(resource),
        };
        let possible = |calls: &[Call]| {
            let allowing = calls.iter().find_map(|call| first_allowing(policy, *call));
            match (restrictions, allowing) {
                (false, _) => Sourced { value: true, line: 0 },
                (true, Some(line)) => Sourced { value: true, line },
                (true, None) => Sourced { value: false, line: 0 },
            }
        };
        Demand {
            memory: whole(Resource::Memory),
            cpu: Sourced { value: policy.amount(Resource::Cpu), line: line(Resource::Cpu) },
            diskused: whole(Resource::DiskUsed),
            filesopened: items(Resource::FilesOpened),
            insockets: items(Resource::InSockets),
            outsockets: items(Resource::OutSockets),
            files: files(policy, restrictions),
            list: possible(&[Call::ListDir]),
            remove: possible(&[Call::RemoveFile]),
            accept: possible(&[Call::WaitForConn]),
            network: possible(&NETWORK_CALLS),
            send_anywhere: send_anywhere(policy, restrictions),
        }
    }
}

/// The calls that go through the network channel.
const NETWORK_CALLS: [Call; 6] =
    [Call::GetHostByNameEx, Call::GetMyIp, Call::OpenConn, Call::RecvMess, Call::SendMess, Call::WaitForConn];

/// The rules of a call that can decide: up to the first without conditions.
fn deciding(policy: &Policy, call: Call) -> impl Iterator<Item = &Rule> {
    let mut open = true;
    policy.rules_of(call).take_while(move |rule| {
        let reached = open;
        open &= !rule.conditions.is_empty();
        reached
    })
}

/// Line of the first rule that may let a call go on. A prompt may.
fn first_allowing(policy: &Policy, call: Call) -> Option<u32> {
    deciding(policy, call).find(|rule| rule.action != Action::Deny).map(|rule| rule.line)
}

/// Opening a file takes a rule for `open` and one for `file.__init__`: the
/// kernel is given what both let through.
fn files(policy: &Policy, restrictions: bool) -> Sourced<FileAccess> {
    if !restrictions {
        return Sourced { value: FileAccess::Write(Names::Any), line: 0 };
    }
    let value = match (widest(policy, Call::Open), widest(policy, Call::FileInit)) {
        (FileAccess::None, _) | (_, FileAccess::None) => FileAccess::None,
        (FileAccess::Write(first), FileAccess::Write(second)) => FileAccess::Write(both(first, second)),
        (
            FileAccess::Read(first) | FileAccess::Write(first),
            FileAccess::Read(second) | FileAccess::Write(second),
        ) => FileAccess::Read(both(first, second)),
    };
    let line = match value {
        FileAccess::None => 0,
        _ => first_allowing(policy, Call::Open).unwrap_or(0),
    };
    Sourced { value, line }
}

fn both(first: Names, second: Names) -> Names {
    match (first, second) {
        (Names::Any, names) | (names, Names::Any) => names,
        (Names::Only(first), Names::Only(second)) => {
            Names::Only(first.into_iter().filter(|name| second.contains(name)).collect())
        }
    }
}

/// The widest access that the rules of one call give. Rules that deny only
/// narrow it, which the interpreter holds.
fn widest(policy: &Policy, call: Call) -> FileAccess {
    let mut access = FileAccess::None;
    for rule in deciding(policy, call).filter(|rule| rule.action != Action::Deny) {
        let mut names = Names::Any;
        let mut writes = true;
        for condition in &rule.conditions {
            match condition {
                Condition::ArgumentIs(0, name) => names = Names::Only(vec![name.clone()]),
                Condition::ArgumentIs(1, mode) => writes &= mode.contains(['w', 'a', '+', 'U']),
                // A name alone: the mode is the default, which reads.
                Condition::CountIs(1) => writes = false,
                _ => {}
            }
        }
        access = match (access, writes) {
            (FileAccess::None, true) => FileAccess::Write(names),
            (FileAccess::None, false) => FileAccess::Read(names),
            (FileAccess::Read(known), false) => FileAccess::Read(either(known, names)),
            (FileAccess::Read(known) | FileAccess::Write(known), _) => {
                FileAccess::Write(either(known, names))
            }
        };
    }
    access
}

fn either(known: Names, more: Names) -> Names {
    match (known, more) {
        (Names::Only(mut known), Names::Only(more)) => {
            known.extend(more);
            known.sort();
            known.dedup();
            Names::Only(known)
        }
        _ => Names::Any,
    }
}

/// Whether `sendmess` is allowed whatever its arguments.
fn send_anywhere(policy: &Policy, restrictions: bool) -> Sourced<bool> {
    let decided = policy.decided(Call::SendMess).filter(|decision| decision.is_allow());
    match (restrictions, decided) {
        (false, _) => Sourced { value: true, line: 0 },
        (true, Some(_)) => Sourced { value: true, line: first_allowing(policy, Call::SendMess).unwrap_or(0) },
        (true, None) => Sourced { value: false, line: 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(rules: &str) -> Demand {
        let text = format!(
            "resource cpu .1\nresource memory 64000000\nresource diskused 1000000\nresource filesopened 5\n{rules}"
        );
        match Policy::parse(text.as_bytes(), "test") {
            Ok(parsed) => Demand::of(&parsed.policy, true),
            Err(diagnostics) => panic!("{diagnostics:?}"),
        }
    }

    fn only(names: &[&str]) -> Names {
        Names::Only(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn limits_keep_their_lines() {
        let demand = demand("");
        assert_eq!(demand.cpu, Sourced { value: 0.1, line: 1 });
        assert_eq!(demand.memory, Sourced { value: 64_000_000, line: 2 });
        assert_eq!(demand.filesopened, Sourced { value: 5, line: 4 });
        assert_eq!(demand.insockets, Sourced { value: 0, line: 0 });
    }

    #[test]
    fn no_rules_ask_for_nothing() {
        let demand = demand("");
        assert_eq!(demand.files.value, FileAccess::None);
        for asked in [demand.list, demand.remove, demand.accept, demand.network, demand.send_anywhere] {
            assert_eq!(asked, Sourced { value: false, line: 0 });
        }
    }

    #[test]
    fn files_need_both_calls_and_get_what_both_let_through() {
        let all = "call open allow\ncall file.__init__ allow\n";
        let table: &[(&str, FileAccess)] = &[
            ("call open allow\n", FileAccess::None),
            ("call file.__init__ allow\n", FileAccess::None),
            (all, FileAccess::Write(Names::Any)),
            ("call open allow\ncall file.__init__ arg 1 is r allow\n", FileAccess::Read(Names::Any)),
            ("call open noargs is 1 allow\ncall file.__init__ allow\n", FileAccess::Read(Names::Any)),
            (
                "call open arg 0 is a.txt allow\ncall open arg 0 is b.txt allow\ncall file.__init__ allow\n",
                FileAccess::Write(only(&["a.txt", "b.txt"])),
            ),
            (
                "call open arg 0 is a.txt allow\ncall open deny\ncall open allow\ncall file.__init__ allow\n",
                FileAccess::Write(only(&["a.txt"])),
            ),
            (
                "call open arg 0 is a arg 1 is r allow\ncall open arg 0 is b allow\ncall file.__init__ allow\n",
                FileAccess::Write(only(&["a", "b"])),
            ),
            ("call open deny\ncall open allow\ncall file.__init__ allow\n", FileAccess::None),
        ];
        for (rules, expected) in table {
            assert_eq!(demand(rules).files.value, *expected, "{rules}");
        }
        assert_eq!(demand(all).files.line, 5);
    }

    #[test]
    fn the_network_is_asked_for_by_any_of_its_calls() {
        assert_eq!(demand("call getmyip allow\n").network, Sourced { value: true, line: 5 });
        assert!(!demand("call getmyip allow\n").accept.value);
        assert!(demand("call waitforconn allow\n").accept.value);
        assert!(demand("call sendmess allow\n").send_anywhere.value);
        assert!(!demand("call sendmess arg 0 is 10.0.0.1 allow\n").send_anywhere.value);
        assert!(!demand("call sendmess deny\n").network.value);
    }

    #[test]
    fn without_restrictions_every_call_is_possible() {
        let parsed = Policy::parse(b"resource cpu .1\nresource memory 1\nresource diskused 1\n", "test")
            .expect("valid");
        let demand = Demand::of(&parsed.policy, false);
        assert_eq!(demand.files.value, FileAccess::Write(Names::Any));
        assert!(
            demand.list.value && demand.remove.value && demand.accept.value && demand.send_anywhere.value
        );
    }
}
