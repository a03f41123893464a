//! Reads a filter policy file. These files are part of the program (compiled
//! in), so that an error in one is an error of the build: a test parses each.

use super::syscalls;

/// What happens to a call that a line describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It runs.
    Allow,
    /// It fails with this error number and does nothing.
    Fail(u16),
}

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal to the value.
    Equal,
    /// Different from the value.
    Different,
    /// Equal to the value after masking.
    Masked(u64),
}

/// One condition on one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Which argument, 0-5.
    pub argument: u8,
    /// Whether all 64 bits count, or the low 32.
    pub wide: bool,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub value: u64,
}

/// One line of a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    /// The section it stands in.
    pub section: &'a str,
    /// Line number, from 1.
    pub line: u32,
    /// Name of the system call.
    pub name: &'a str,
    /// Its number on this architecture; absent where the architecture has no
    /// such call, and then the rule does nothing.
    pub number: Option<i64>,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// What happens then.
    pub outcome: Outcome,
    /// Why the line is there.
    pub reason: &'a str,
}

/// A value that only the run knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pins {
    /// Number of the vessel's descriptor.
    pub vessel: u64,
    /// Number of the descriptor of the interpreter's file.
    pub exec: u64,
}

/// A line that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Line number, from 1.
    pub line: u32,
    /// What is wrong with it.
    pub reason: String,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "filter policy, line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for ParseError {}

/// Reads the lines of the sections that `wanted` accepts.
///
/// # Errors
/// The first line that cannot be understood.
pub fn parse<'a>(
    text: &'a str,
    pins: Pins,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Rule<'a>>, ParseError> {
    let mut rules = Vec::with_capacity(80);
    let mut section = "";
    let mut selected = false;
    for (index, line) in text.lines().enumerate() {
        let number = index as u32 + 1;
        let (body, reason) = line.split_once('#').unwrap_or((line, ""));
        let body = body.trim();
        if body.is_empty() {
            continue;
        }
        if let Some(name) = body.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
            selected = wanted(name);
        } else if selected {
            rules.push(
                rule(body, reason.trim(), section, number, pins)
                    .map_err(|reason| ParseError { line: number, reason })?,
            );
        }
    }
    Ok(rules)
}

fn rule<'a>(
    body: &'a str,
    reason: &'a str,
    section: &'a str,
    line: u32,
    pins: Pins,
) -> Result<Rule<'a>, String> {
    if reason.is_empty() {
        return Err("a line needs a reason after '#'".to_owned());
    }
    let (call, outcome) = match body.split_once("->") {
        None => (body, Outcome::Allow),
        Some((call, error)) => (call.trim_end(), Outcome::Fail(error_number(error.trim())?)),
    };
    let (name, conditions) = match call.split_once(" when ") {
        None => (call, Vec::new()),
        Some((name, conditions)) => {
            (name, conditions.split(" and ").map(|text| condition(text, pins)).collect::<Result<_, _>>()?)
        }
    };
    let number = syscalls::number(name);
    if number.is_none() && !syscalls::exists_elsewhere(name) {
        return Err(format!("'{name}' is no system call"));
    }
    Ok(Rule { section, line, name, number, conditions, outcome, reason })
}

fn error_number(name: &str) -> Result<u16, String> {
    match name {
        "ENOSYS" => Ok(libc::ENOSYS as u16),
        "ENOENT" => Ok(libc::ENOENT as u16),
        _ => Err(format!("'{name}' is no error this file may use")),
    }
}

fn condition(text: &str, pins: Pins) -> Result<Condition, String> {
    let (left, different, right) = if let Some((left, right)) = text.split_once("==") {
        (left, false, right)
    } else if let Some((left, right)) = text.split_once("!=") {
        (left, true, right)
    } else {
        return Err(format!("'{text}' compares nothing"));
    };
    let (argument, mask) = match left.split_once('&') {
        None => (left.trim(), None),
        Some((argument, mask)) => (argument.trim(), Some(value(mask, pins)?)),
    };
    let (argument, wide) = match argument.strip_suffix(":64") {
        Some(argument) => (argument, true),
        None => (argument, false),
    };
    let argument = argument
        .strip_prefix("arg")
        .and_then(|digit| digit.parse::<u8>().ok())
        .filter(|argument| *argument < 6)
        .ok_or_else(|| format!("'{argument}' is no argument"))?;
    let comparison = match (mask, different) {
        (None, false) => Comparison::Equal,
        (None, true) => Comparison::Different,
        (Some(mask), false) => Comparison::Masked(if wide { mask } else { mask & u64::from(u32::MAX) }),
        (Some(_), true) => return Err("a masked argument can only be compared with '=='".to_owned()),
    };
    Ok(Condition { argument, wide, comparison, value: value(right, pins)? })
}

/// A number, a name, names joined by `|`, or one of these in parentheses
/// behind `~`.
fn value(text: &str, pins: Pins) -> Result<u64, String> {
    let text = text.trim();
    if let Some(inverted) = text.strip_prefix('~') {
        return Ok(!value(inverted, pins)?);
    }
    if let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return value(inner, pins);
    }
    text.split('|').try_fold(0, |sum, name| Ok(sum | named_value(name.trim(), pins)?))
}

fn named_value(name: &str, pins: Pins) -> Result<u64, String> {
    match name {
        "CONTROL" => return Ok(CONTROL),
        "NETWORK" => return Ok(NETWORK),
        "VESSEL" => return Ok(pins.vessel),
        "EXEC" => return Ok(pins.exec),
        _ => {}
    }
    if let Ok(number) = name.parse::<u64>() {
        return Ok(number);
    }
    CONSTANTS
        .iter()
        .find(|(constant, _)| *constant == name)
        .map(|(_, value)| *value)
        .ok_or_else(|| format!("'{name}' is no known value"))
}

/// Numbers of the two channels (contract with the interpreter).
const CONTROL: u64 = 3;
const NETWORK: u64 = 6;

/// `ARCH_SET_FS` of `asm/prctl.h`, which libc does not export.
const ARCH_SET_FS: u64 = 0x1002;

/// The constants of the kernel's headers that policy files may name.
const CONSTANTS: &[(&str, u64)] = &[
    ("AF_INET", libc::AF_INET as u64),
    ("ARCH_SET_FS", ARCH_SET_FS),
    ("AT_EMPTY_PATH", libc::AT_EMPTY_PATH as u64),
    ("AT_SYMLINK_NOFOLLOW", libc::AT_SYMLINK_NOFOLLOW as u64),
    ("CLONE_PIDFD", libc::CLONE_PIDFD as u64),
    ("F_DUPFD_CLOEXEC", libc::F_DUPFD_CLOEXEC as u64),
    ("F_GETFD", libc::F_GETFD as u64),
    ("MSG_FASTOPEN", libc::MSG_FASTOPEN as u64),
    ("O_ACCMODE", libc::O_ACCMODE as u64),
    ("O_CLOEXEC", libc::O_CLOEXEC as u64),
    ("O_CREAT", libc::O_CREAT as u64),
    ("O_DIRECTORY", libc::O_DIRECTORY as u64),
    ("O_EXCL", libc::O_EXCL as u64),
    ("O_NOFOLLOW", libc::O_NOFOLLOW as u64),
    ("O_NONBLOCK", libc::O_NONBLOCK as u64),
    ("O_RDONLY", libc::O_RDONLY as u64),
    ("PROT_EXEC", libc::PROT_EXEC as u64),
    ("PR_SET_PDEATHSIG", libc::PR_SET_PDEATHSIG as u64),
    ("P_PIDFD", libc::P_PIDFD as u64),
    ("SIGCHLD", libc::SIGCHLD as u64),
    ("SIGKILL", libc::SIGKILL as u64),
    ("SOCK_CLOEXEC", libc::SOCK_CLOEXEC as u64),
    ("SOCK_DGRAM", libc::SOCK_DGRAM as u64),
    ("SOCK_NONBLOCK", libc::SOCK_NONBLOCK as u64),
    ("SOCK_STREAM", libc::SOCK_STREAM as u64),
    ("SOL_SOCKET", libc::SOL_SOCKET as u64),
    ("SO_ATTACH_FILTER", libc::SO_ATTACH_FILTER as u64),
    ("SO_ERROR", libc::SO_ERROR as u64),
    ("SO_RCVBUF", libc::SO_RCVBUF as u64),
    ("SO_REUSEADDR", libc::SO_REUSEADDR as u64),
    ("SO_SNDBUF", libc::SO_SNDBUF as u64),
    ("S_IRGRP", libc::S_IRGRP as u64),
    ("S_IROTH", libc::S_IROTH as u64),
    ("S_IRUSR", libc::S_IRUSR as u64),
    ("S_IWUSR", libc::S_IWUSR as u64),
];

#[cfg(test)]
mod tests {
    use super::*;

    const PINS: Pins = Pins { vessel: 4, exec: 200 };

    fn all(text: &str) -> Result<Vec<Rule<'_>>, ParseError> {
        parse(text, PINS, |_| true)
    }

    #[test]
    fn a_line_gives_conditions_outcome_and_reason() {
        let rules = all("[base]\nopenat when arg0 == VESSEL and arg2 & ~(O_CREAT|O_EXCL) == 0 # why\nclone3 -> ENOSYS # falls back\n")
            .expect("two good lines");
        assert_eq!(rules.len(), 2);
        assert_eq!(rules[0].number, Some(libc::SYS_openat));
        assert_eq!(rules[0].reason, "why");
        assert_eq!(
            rules[0].conditions,
            [
                Condition { argument: 0, wide: false, comparison: Comparison::Equal, value: 4 },
                Condition {
                    argument: 2,
                    wide: false,
                    comparison: Comparison::Masked(u64::from(!(libc::O_CREAT | libc::O_EXCL) as u32)),
                    value: 0
                },
            ]
        );
        assert_eq!(rules[1].outcome, Outcome::Fail(libc::ENOSYS as u16));
    }

    #[test]
    fn sections_are_selected() {
        let text = "[base]\nread # r\n[list]\ngetdents64 # l\n";
        assert_eq!(parse(text, PINS, |section| section == "list").expect("good")[0].name, "getdents64");
    }

    #[test]
    fn bad_lines_are_named() {
        for (text, part) in [
            ("[base]\nread\n", "reason"),
            ("[base]\nraed # typo\n", "no system call"),
            ("[base]\nread when arg9 == 1 # x\n", "no argument"),
            ("[base]\nread when arg0 1 # x\n", "compares nothing"),
            ("[base]\nread when arg0 == O_NOTHING # x\n", "no known value"),
            ("[base]\nread when arg0 & 1 != 1 # x\n", "only be compared"),
            ("[base]\nread -> EWHAT # x\n", "no error"),
        ] {
            let error = all(text).expect_err(text);
            assert_eq!(error.line, 2, "{text}");
            assert!(error.reason.contains(part), "{text}: {error}");
        }
    }
}
