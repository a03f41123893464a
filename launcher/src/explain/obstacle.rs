//! What stands in the way of a call that the rules allow: a resource that is not
//! granted, a name that is none, a file of the operator's.

use policies::{files, Call, Kind, Policy, Resource};

/// Why a call fails although no rule denies it.
pub struct Obstacle {
    /// The line of the policy, where one says so.
    pub line: Option<u32>,
    /// Why.
    pub because: String,
    /// What the program sees.
    pub sees: String,
    /// The resource that holds it; none for what holds whatever the policy says.
    pub resource: Option<Resource>,
}

/// The first thing that keeps a call with these arguments from succeeding. `own` are
/// names in the vessel that belong to the operator.
pub fn of_call(policy: &Policy, call: Call, words: &[&str], own: &[String]) -> Option<Obstacle> {
    let named = matches!(call, Call::Open | Call::FileInit | Call::RemoveFile);
    let name = words.first().filter(|_| named);
    let mode = words.get(1).filter(|_| matches!(call, Call::Open | Call::FileInit));
    mode.and_then(|mode| bad_mode(mode))
        .or_else(|| name.and_then(|name| no_name(name)))
        .or_else(|| name.filter(|name| own.iter().any(|own| own == *name)).map(|name| reserved(call, name)))
        .or_else(|| none_granted(policy, call))
}

/// Words that are no mode of `open`.
pub fn bad_mode(mode: &str) -> Option<Obstacle> {
    files::mode(mode.as_bytes()).is_none().then(|| Obstacle {
        line: None,
        because: "that is no mode (they are r, r+, w, w+, a, a+)".to_owned(),
        sees: format!("ValueError: {}", text(files::bad_mode(mode.as_bytes()))),
        resource: None,
    })
}

fn no_name(name: &str) -> Option<Obstacle> {
    let bad = files::check_name(name.as_bytes()).err()?;
    Some(Obstacle {
        line: None,
        because:
            "that is no name in the vessel: a name has letters, digits, '.', '_' and '-', and there are no \
                  directories"
                .to_owned(),
        sees: format!("TypeError: {}", text(bad.text())),
        resource: None,
    })
}

fn reserved(call: Call, name: &str) -> Obstacle {
    let class = if call == Call::RemoveFile { "OSError" } else { "IOError" };
    Obstacle {
        line: None,
        because: "that file is the operator's: programs cannot open or remove it".to_owned(),
        sees: format!("{class}: [Errno 13] Permission denied: '{name}'"),
        resource: None,
    }
}

/// A resource that the call takes from, and of which there is none.
fn none_granted(policy: &Policy, call: Call) -> Option<Obstacle> {
    let none = |resource: &Resource| policy.amount(*resource) == 0.0;
    let resource = *call.facts().needs.iter().find(|group| group.iter().all(none))?.first()?;
    Some(without(policy, resource))
}

/// What it means that a policy grants none of a resource.
pub fn without(policy: &Policy, resource: Resource) -> Obstacle {
    let name = resource.name();
    let line = policy.line(resource);
    Obstacle {
        line,
        because: match line {
            Some(_) => format!("resource {name} 0"),
            None => format!("no line 'resource {name} ...', so its limit is 0"),
        },
        sees: match resource.kind() {
            Kind::Renewable => format!("Exception: Resource '{name}' limit set to 0, won't drain!"),
            Kind::Named => format!("Exception: Resource '{name}' not allowed!!!"),
            _ => format!("Exception: Resource '{name}' limit exceeded!!"),
        },
        resource: Some(resource),
    }
}

/// Bytes of a message as text.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
