//! `repy-launch check`: what a policy will make of a program, as far as its text
//! tells. Pure: the text was read by the interpreter, in a sandbox.

use std::fmt;

use policies::channel::seen::{Finding, Known, SeenCall};
use policies::{Action, Call, Kind, Outlook, Policy, PortKind, Resource, Sketch};
use serde::Serialize;

/// Something to be said about a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// Line of the program; 0 for all of it.
    pub line: u32,
    /// Column in bytes, from 1; 0 where there is none.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub help: String,
    /// The source line and the marks below it, where a place is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<(String, String)>,
    /// The call that it is about; empty where it is about none.
    #[serde(skip)]
    call: &'static str,
}

impl Remark {
    fn new(line: u32, message: String, help: String) -> Remark {
        Remark { line, column: 0, message, help, source: None, call: "" }
    }

    /// Shows the line of the program that it is about, with marks under the call where it
    /// stands there once. Only to be read by people: nothing is concluded from the text.
    pub fn quote(&mut self, lines: &[&[u8]]) {
        let Some(index) = self.line.checked_sub(1).filter(|_| self.source.is_none()) else { return };
        let Some(line) = lines.get(index as usize) else { return };
        let text = crate::terminal::harmless(String::from_utf8_lossy(line).trim_end());
        let word = self.call.rsplit('.').next().unwrap_or_default();
        let mut places = text.match_indices(word).filter(|_| !word.is_empty());
        let marks = match (places.next(), places.next()) {
            (Some((place, _)), None) => {
                self.column = place as u32 + 1;
                " ".repeat(text[..place].chars().count()) + &"^".repeat(word.len())
            }
            _ => {
                let statement = text.trim_start();
                " ".repeat(text.len() - statement.len()) + &"^".repeat(statement.chars().count())
            }
        };
        self.source = Some((text, marks));
    }
}

impl From<&Finding> for Remark {
    fn from(finding: &Finding) -> Remark {
        use crate::terminal::harmless;
        // The interpreter has made it harmless; a broken one may not have.
        Remark {
            line: finding.line,
            column: finding.column,
            message: harmless(&finding.title),
            help: harmless(&finding.help),
            source: Some((harmless(&finding.text), harmless(&finding.marks))),
            call: "",
        }
    }
}

/// What the policy will make of the calls in a program's text.
pub fn judge(policy: &Policy, calls: &[SeenCall]) -> Vec<Remark> {
    let mut remarks: Vec<Remark> = Vec::new();
    for seen in calls {
        let fails = |(why, help): (String, String)| {
            Remark::new(seen.line, format!("`{}` can never succeed: {why}", shown(seen)), help)
        };
        let found = rules(policy, seen).or_else(|| obstacle(policy, seen).map(fails));
        // A guessed call and printing are written otherwise than they are named.
        let call = if seen.call == Call::LogWrite { "" } else { seen.call.name() };
        remarks.extend(found.map(|remark| Remark { call, ..remark }));
    }
    remarks.extend(resources(policy, calls));
    remarks.dedup();
    remarks
}

/// How a call reads in a message.
pub fn shown(seen: &SeenCall) -> String {
    let mut words: Vec<String> = seen
        .arguments
        .iter()
        .map(|argument| match argument {
            Known::Absent => "(left out)".to_owned(),
            Known::Unknown => "...".to_owned(),
            Known::Text(text) => match std::str::from_utf8(text) {
                Ok(text) if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() => {
                    text.to_owned()
                }
                _ => format!("'{}'", crate::terminal::harmless(&String::from_utf8_lossy(text))),
            },
        })
        .collect();
    if seen.open {
        words.push("*...".to_owned());
    }
    match (seen.call, seen.guess) {
        (Call::LogWrite, false) => "print".to_owned(),
        (call, _) => format!("{}({})", call.name(), words.join(", ")),
    }
}

/// The calls that are decided on for one in the text.
fn decided(call: Call) -> &'static [Call] {
    match call {
        Call::Open => &[Call::Open, Call::FileInit],
        Call::LogWrite => &[Call::LogWrite],
        _ => &[],
    }
}

/// What the rules will say of a call: the first that denies it, or whether it
/// depends on what nobody knows yet.
pub fn outlook(policy: &Policy, seen: &SeenCall) -> (Call, Outlook) {
    let own = [seen.call];
    let calls = match decided(seen.call) {
        [] => &own[..],
        some => some,
    };
    let all = calls.iter().map(|call| {
        (*call, policy.outlook(Sketch { call: *call, arguments: &seen.arguments, open: seen.open }))
    });
    let mut found = (seen.call, Outlook::Open);
    for (index, (call, outlook)) in all.enumerate() {
        let denies = match outlook {
            Outlook::Never(_) => true,
            Outlook::Certain(decision) => decision.action == Action::Deny,
            Outlook::Open => false,
        };
        if denies {
            return (call, outlook);
        }
        if index == 0 || outlook == Outlook::Open {
            found = (call, outlook);
        }
    }
    found
}

/// The policy never allows it.
fn rules(policy: &Policy, seen: &SeenCall) -> Option<Remark> {
    let (call, outlook) = outlook(policy, seen);
    let decision = match outlook {
        Outlook::Certain(decision) if decision.action == Action::Prompt => {
            let message = format!("`{}` is asked about, and denied unless --ask is given", shown(seen));
            return Some(Remark::new(seen.line, message, String::new()));
        }
        Outlook::Certain(decision) if decision.action == Action::Deny => decision,
        Outlook::Never(decision) => decision,
        _ => return None,
    };
    let by = match decision.rule.and_then(|index| policy.rules().get(index as usize)) {
        Some(rule) if rule.line > 0 => format!("line {} of the policy denies it: {rule}", rule.line),
        Some(rule) => format!("a rule denies it: {rule}"),
        None => format!("no rule for `{}` matches", call.name()),
    };
    let mut message = format!("`{}` can never be allowed: {by}", shown(seen));
    if seen.guess {
        message = format!("if this is a file's or socket's, {message}");
    }
    let help = match decision.rule {
        None => format!("grant it with: {}", grant(call, seen)),
        Some(_) => String::new(),
    };
    Some(Remark::new(seen.line, message, help))
}

/// The line that would grant a call.
fn grant(call: Call, seen: &SeenCall) -> String {
    let plain = |text: &[u8]| {
        !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() && !b"#".contains(byte))
    };
    let first = match (call, seen.arguments.first()) {
        (
            Call::Open | Call::FileInit | Call::RemoveFile | Call::OpenConn | Call::SendMess,
            Some(Known::Text(text)),
        ) if plain(text) => {
            format!(" arg 0 is {}", String::from_utf8_lossy(text))
        }
        _ => String::new(),
    };
    format!("call {}{first} allow", call.name())
}

/// Why a call fails even where the rules allow it, and what to do.
pub fn obstacle(policy: &Policy, seen: &SeenCall) -> Option<(String, String)> {
    needs(policy, seen).or_else(|| port(policy, seen)).or_else(|| name(seen))
}

/// A resource without which it can never succeed is zero.
fn needs(policy: &Policy, seen: &SeenCall) -> Option<(String, String)> {
    let lacking = seen
        .call
        .facts()
        .needs
        .iter()
        .find(|group| group.iter().all(|resource| policy.amount(*resource) == 0.0))?;
    let names: Vec<&str> = lacking.iter().map(|resource| resource.name()).collect();
    let why = format!("the policy grants no {}", names.join(" or "));
    let help = match lacking.first() {
        Some(resource) if resource.kind() == Kind::Named => match local_port(seen) {
            Some((_, port)) => format!("grant it with: resource {} {port}", resource.name()),
            None => format!("grant a port with: resource {} PORT", resource.name()),
        },
        Some(resource) => format!("grant some with: resource {} NUMBER", resource.name()),
        None => String::new(),
    };
    Some((why, help))
}

/// The own port that a call names literally.
fn local_port(seen: &SeenCall) -> Option<(PortKind, u32)> {
    let (kind, place) = match seen.call {
        Call::RecvMess => (PortKind::Message, 1),
        Call::WaitForConn => (PortKind::Connection, 1),
        Call::SendMess => (PortKind::Message, 4),
        Call::OpenConn => (PortKind::Connection, 3),
        _ => return None,
    };
    match seen.arguments.get(place) {
        Some(Known::Text(text)) => Some((kind, std::str::from_utf8(text).ok()?.parse().ok()?)),
        _ => None,
    }
}

/// A port that is written there and not granted.
fn port(policy: &Policy, seen: &SeenCall) -> Option<(String, String)> {
    let (kind, port) = local_port(seen)?;
    let granted = u16::try_from(port).is_ok_and(|port| policy.grants_port(kind, port));
    if granted {
        return None;
    }
    let name = kind.resource().name();
    Some((format!("port {port} is not granted"), format!("grant it with: resource {name} {port}")))
}

/// A file name that no program can use.
fn name(seen: &SeenCall) -> Option<(String, String)> {
    let (Call::Open | Call::RemoveFile, Some(Known::Text(name))) = (seen.call, seen.arguments.first()) else {
        return None;
    };
    if policies::files::check_name(name).is_ok() {
        return None;
    }
    let help = "a name has letters, digits, '.', '_' and '-'; there are no directories";
    Some(("that is no name in the vessel".to_owned(), help.to_owned()))
}

/// Limits that this program will probably pass.
fn resources(policy: &Policy, calls: &[SeenCall]) -> Vec<Remark> {
    let count = |wanted: &[Call]| calls.iter().filter(|seen| wanted.contains(&seen.call)).count() as u64;
    let listeners = count(&[Call::RecvMess, Call::WaitForConn]);
    let timers = u64::from(count(&[Call::SetTimer]) > 0);
    let mut remarks = Vec::new();
    let mut small = |resource: Resource, wanted: u64, why: String| {
        let granted = policy.whole(resource);
        if wanted > granted {
            let message = format!("`resource {} {granted}` is probably too little: {why}", resource.name());
            let help = format!("grant at least: resource {} {wanted}", resource.name());
            remarks.push(Remark::new(0, message, help));
        }
    };
    let events = 1 + listeners + timers;
    let why = format!("the program itself, {listeners} listeners and {timers} timers each take one");
    small(Resource::Events, events, why);
    if policy.whole(Resource::InSockets) > 0 {
        small(Resource::InSockets, listeners, format!("{listeners} listeners each take one"));
    }
    remarks
}

/// The memory that reading a program took, against what the policy grants.
pub fn memory(policy: &Policy, taken: u64) -> Option<Remark> {
    let granted = policy.whole(Resource::Memory);
    (taken > granted).then(|| {
        let message = format!(
            "`resource memory {granted}` is probably too little: reading the program took {taken} bytes"
        );
        Remark::new(
            0,
            message,
            format!("grant at least: resource memory {}", taken.next_multiple_of(1 << 20)),
        )
    })
}

/// A remark for people, with the name of the program.
pub struct Shown<'a> {
    /// The program.
    pub program: &'a str,
    /// `error` or `warning`.
    pub word: &'a str,
    /// The remark.
    pub remark: &'a Remark,
    /// Whether to colour it.
    pub colours: bool,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = match (self.colours, self.word) {
            (false, _) => ("", ""),
            (true, "error") => ("\x1b[1;31m", "\x1b[0m"),
            (true, _) => ("\x1b[1;33m", "\x1b[0m"),
        };
        let Remark { line, column, message, help, source, .. } = self.remark;
        writeln!(out, "{start}{}{end}: {message}", self.word)?;
        let number = line.to_string();
        let margin = " ".repeat(if *line > 0 { number.len() } else { 1 });
        match (line, column) {
            (0, _) => writeln!(out, "{margin}--> {}", self.program)?,
            (_, 0) => writeln!(out, "{margin}--> {}:{number}", self.program)?,
            _ => writeln!(out, "{margin}--> {}:{number}:{column}", self.program)?,
        }
        if let Some((text, marks)) = source {
            writeln!(out, "{number} | {text}\n{margin} | {start}{marks}{end}")?;
        }
        if !help.is_empty() {
            writeln!(out, "{margin} = help: {help}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rest: &str) -> Policy {
        let text = format!("resource cpu .5\nresource memory 1000000\nresource diskused 100000\n{rest}");
        Policy::parse(text.as_bytes(), "p").expect("a valid policy").policy
    }

    fn call(call: Call, arguments: &[&str]) -> SeenCall {
        let arguments = arguments
            .iter()
            .map(|word| if *word == "?" { Known::Unknown } else { Known::Text(word.as_bytes().to_vec()) })
            .collect();
        SeenCall { call, line: 7, arguments, open: false, guess: false }
    }

    fn said(rest: &str, calls: &[SeenCall]) -> String {
        let remarks = judge(&policy(rest), calls);
        remarks.iter().map(|remark| format!("{} [{}]\n", remark.message, remark.help)).collect()
    }

    #[test]
    fn what_is_granted_is_not_spoken_of() {
        let rest = "resource events 3\nresource filesopened 1\nresource insockets 1\nresource messport 12345\n\
                    call open arg 0 is a.txt allow\ncall file.__init__ allow\ncall recvmess allow\ncall log.write allow\n\
                    resource lograte 100\n";
        let calls = [
            call(Call::Open, &["a.txt", "w"]),
            call(Call::Open, &["?"]),
            call(Call::RecvMess, &["?", "12345", "?"]),
            call(Call::LogWrite, &["?"]),
        ];
        assert_eq!(said(rest, &calls), "");
    }

    #[test]
    fn what_can_never_be_is_named_with_the_line_that_would_grant_it() {
        let rest = "resource events 3\nresource filesopened 1\nresource insockets 1\nresource messport 12345\n\
                    call recvmess allow\ncall open arg 0 is a.txt allow\ncall open deny\ncall file.__init__ allow\n";
        let ports = said(rest, &[call(Call::RecvMess, &["?", "12346", "?"])]);
        assert!(
            ports.contains("port 12346 is not granted [grant it with: resource messport 12346]"),
            "{ports}"
        );
        let files = said(rest, &[call(Call::Open, &["b.txt"])]);
        assert!(files.contains("line 10 of the policy denies it: call open deny"), "{files}");
        let none = said(rest, &[call(Call::RemoveFile, &["b.txt"])]);
        assert!(none.contains("[grant it with: call removefile arg 0 is b.txt allow]"), "{none}");
        let zero = said(
            "resource events 2\ncall waitforconn allow\n",
            &[call(Call::WaitForConn, &["?", "80", "?"])],
        );
        assert!(zero.contains("grants no insockets"), "{zero}");
        let listed = "resource events 1\ncall open allow\ncall file.__init__ allow\nresource filesopened 1\n";
        assert!(said(listed, &[call(Call::Open, &["../x"])]).contains("no name in the vessel"));
    }

    #[test]
    fn limits_that_are_probably_too_small() {
        let rest = "resource events 2\nresource insockets 1\nresource messport 1025\ncall recvmess allow\n";
        let listens = [call(Call::RecvMess, &["?", "1025", "?"]), call(Call::RecvMess, &["?", "?", "?"])];
        let told = said(rest, &listens);
        assert!(told.contains("resource events 3") && told.contains("resource insockets 2"), "{told}");
        assert!(memory(&policy(""), 2_000_000).is_some_and(|remark| remark.help.contains("2097152")));
        assert_eq!(memory(&policy(""), 1_000_000), None);
    }

    #[test]
    fn a_remark_shows_its_line_and_marks_the_call() {
        let program = b"1\n2\n3\n4\n5\n6\n  x = open('\xc3\xa4\x1b')  \n";
        let quoted = |call, program: &[u8]| {
            let mut remark = Remark { call, ..Remark::new(7, String::new(), String::new()) };
            remark.quote(&program.split(|byte| *byte == b'\n').collect::<Vec<_>>());
            (remark.column, remark.source.unwrap_or_default())
        };
        let text = "  x = open('\u{e4}\\u{1b}')".to_owned();
        assert_eq!(quoted("open", program), (7, (text.clone(), "      ^^^^".to_owned())));
        // Not there, or more than once: the statement.
        assert_eq!(quoted("listdir", program).1 .1, format!("  {}", "^".repeat(19)));
        assert_eq!(quoted("open", b"1\n"), (0, Default::default()));
    }

    #[test]
    fn a_prompt_is_spoken_of() {
        assert!(
            said("resource events 1\ncall sleep prompt\n", &[call(Call::Sleep, &["1"])]).contains("--ask")
        );
    }
}
