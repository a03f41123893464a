//! Assume breach: a native program stands in the interpreter's place and makes one
//! attempt per process. None may reach its effect; each has a twin that must.
#![allow(missing_docs)]

use integration::attempts::{bare, for_each, inside, policy, reached, rows, Row, REPLACED};
use integration::outside::Outside;
use integration::run::{users, Finished, User};
use std::collections::BTreeMap;

#[test]
fn no_attempt_reaches_its_effect_and_every_twin_does() {
    let rows = rows();
    assert!(rows.len() >= 400, "only {} attempts listed", rows.len());
    for user in users() {
        let found = for_each(user, &rows, |outside, row| attempt(outside, user, row));
        let wrong: Vec<String> = found.into_iter().flatten().collect();
        assert!(wrong.is_empty(), "as {user:?}, {} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
        let mut denied = BTreeMap::new();
        rows.iter().for_each(|row| *denied.entry(row.class.as_str()).or_insert(0) += 1);
        println!("as {user:?}: denied {denied:?}");
    }
}

/// Makes one attempt and its twin, and says what was not as it must be.
fn attempt(outside: &mut Outside, user: User, row: &Row) -> Vec<String> {
    let policy = policy();
    let vessel = outside.vessel(&format!("vessel-{}", row.name), &policy);
    let mut wrong = Vec::new();
    let run = inside(outside, user, &vessel, &row.name, &[]);
    if reached(&run) || run.stdout.contains("UNKNOWN") {
        wrong.push(format!("{}: inside: {}", row.name, run.stdout.trim_end()));
    } else if ![0, 5, 6, 7, 70, 71].contains(&run.code()) {
        wrong.push(format!("{}: exit {}: {}", row.name, run.code(), run.stderr.trim_end()));
    }
    wrong.extend(
        outside.differences(&vessel, &policy).into_iter().map(|what| format!("{}: {what}", row.name)),
    );
    let twin = match row.twin.as_str() {
        "inside" => Some(inside(outside, user, &vessel, &format!("twin:{}", row.name), &[])),
        "outside-as-root" if !(user == User::Caller && integration::is_root()) => None,
        _ => Some(bare(outside, user, &vessel, &row.name)),
    };
    if let Some(twin) = twin.filter(|twin| !succeeded(twin, row)) {
        let Row { name, twin: place, .. } = row;
        wrong.push(format!("{name}: its twin ({place}) failed: {:?} {}", twin.stdout, twin.stderr));
    }
    outside.restore(&vessel);
    let _ = std::fs::remove_dir_all(&vessel);
    wrong
}

/// An attempt that replaces its own process reaches its effect without printing.
fn succeeded(twin: &Finished, row: &Row) -> bool {
    if REPLACED.contains(&row.name.as_str()) {
        return twin.code() == 0 && !twin.stdout.contains("REFUSED");
    }
    // A kernel built without the call (modules, kexec) cannot show it outside either.
    reached(twin) || twin.stdout == format!("REFUSED {}\n", libc::ENOSYS)
}

/// The kernel lets these two past every filter (its own trampolines for probes on user
/// code, x86-64 since 6.11 and 6.18). Without a probe they do nothing: the first kills with
/// SIGILL, the second answers ENXIO.
const EXEMPT: &[(i64, &str)] = &[(335, ""), (336, "REFUSED 6\n"), (336, "REFUSED 38\n")];

#[test]
fn every_number_outside_the_filter_file_kills() {
    let listed = listed_calls();
    let policy = policy();
    let last = launcher::filter::syscalls::all().map(|(_, n)| n).max().unwrap_or(0) + 10;
    let numbers: Vec<Row> = (0..=last)
        .map(|number| Row { name: number.to_string(), class: String::new(), twin: String::new() })
        .collect();
    for user in users() {
        let found = for_each(user, &numbers, |outside, row| {
            let number: i64 = row.name.parse().unwrap_or(0);
            let name = launcher::filter::syscalls::name(number).unwrap_or("(no name)");
            let vessel = outside.vessel("vessel", &policy);
            let run = inside(outside, user, &vessel, &format!("syscall:{number}"), &[]);
            let mut wrong = outside.differences(&vessel, &policy);
            let _ = std::fs::remove_dir_all(&vessel);
            match listed.get(name).map(String::as_str) {
                None if run.code() != 71 && EXEMPT.contains(&(number, run.stdout.as_str())) => {}
                None if run.code() != 71 || !run.stdout.is_empty() => {
                    wrong.push(format!("{number} {name}: exit {} {:?}", run.code(), run.stdout));
                }
                Some(error) if !error.is_empty() && !run.stdout.contains("REFUSED") => {
                    wrong.push(format!("{number} {name}: expected {error}, got {:?}", run.stdout));
                }
                _ => {}
            }
            (listed.contains_key(name), wrong)
        });
        let killed = found.iter().filter(|(listed, _)| !listed).count();
        let wrong: Vec<String> = found.into_iter().flat_map(|(_, wrong)| wrong).collect();
        assert!(wrong.is_empty(), "as {user:?}:\n{}", wrong.join("\n"));
        assert!(killed >= 250, "only {killed} numbers were probed");
    }
}

/// The names of the filter file; the value is its error where every line of a name gives one.
fn listed_calls() -> BTreeMap<String, String> {
    let mut calls: BTreeMap<String, String> = BTreeMap::new();
    for line in launcher::filter::INTERPRETER.lines() {
        let rule = line.split('#').next().unwrap_or("").trim();
        let Some(name) = rule.split_whitespace().next().filter(|n| !n.starts_with('[')) else { continue };
        let error = match rule.split_once("->") {
            Some((condition, error)) if !condition.contains(" when ") => error.trim().to_string(),
            _ => String::new(),
        };
        calls.insert(name.to_string(), error);
    }
    assert!(calls.len() >= 30 && calls.len() < 80, "{} names in the filter file", calls.len());
    calls
}
