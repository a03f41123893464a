//! The front end against CPython 2.7: recorded verdicts on many small sources.

use interp::check::read;
use interp::syntax::{Limits, Tree};

/// Undoes the escapes of the case files.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'r') => bytes.push(b'\r'),
            Some(b'\\') => bytes.push(b'\\'),
            Some(b'x') => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.expect("two digits"));
                let digits = std::str::from_utf8(&digits).expect("ASCII");
                bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
            }
            other => panic!("unknown escape {other:?} in {text}"),
        }
    }
    bytes
}

/// Our verdict in the form of the case file; none if the source is refused for
/// what it means, not for its syntax.
fn verdict(source: &[u8]) -> Option<String> {
    let refusal = match read(&Tree::new(), source, "x", &Limits::default()) {
        Ok(_) => return Some("ok".to_owned()),
        Err(refusal) => refusal,
    };
    let summary = refusal.summary();
    if summary.contains("<class 'safety_exceptions.") {
        return None;
    }
    let (_, rest) = summary.split_once("<type 'exceptions.").expect(summary);
    let rest = rest.trim_end_matches(",)");
    let rest = &rest[..rest.len() - 1];
    let (class, message) = rest.split_once("'> ").or_else(|| rest.split_once("\\'> ")).expect(rest);
    let message = message.replace("\\'", "'").replace("\\\\", "\\");
    Some(match message.rsplit_once(" (line ") {
        Some((text, line)) => format!("{class} {} {text}", line.trim_end_matches(')')),
        None => format!("{class} 0 {message}"),
    })
}

#[test]
fn recorded_verdicts_of_cpython_hold() {
    let cases = include_str!("front_end/verdicts.txt");
    let mut differences = Vec::new();
    let mut counted = 0;
    for line in cases.lines().filter(|line| !line.starts_with("##")) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (escaped, expected) = match *columns {
            [escaped, recorded] => (escaped, recorded),
            // Where we knowingly differ.
            [escaped, _, ours] => (escaped, ours),
            _ => panic!("{line} has two or three columns"),
        };
        counted += 1;
        let ours = verdict(&unescape(escaped));
        let same = match &ours {
            Some(ours) => ours == expected,
            None => true,
        };
        if !same {
            differences.push(format!("{escaped}\n  2.7:  {expected}\n  ours: {}", ours.unwrap_or_default()));
        }
    }
    assert!(counted > 500);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
