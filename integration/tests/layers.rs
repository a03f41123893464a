//! What each layer is worth: the breach attempts again, with each layer waived in turn. An
//! attempt that then reaches its effect was stopped by that layer alone; those few stand in
//! `single_layers.txt` with the reason. With REPY_LAYERS=write the table of
//! `docs/layers.md` is made anew, from runs with one layer alone.
#![allow(missing_docs)]

use integration::attempts::{bare, for_each, inside, policy, rows, Row, REPLACED};
use integration::outside::Outside;
use integration::run::{Finished, User};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const LAYERS: [&str; 8] = ["seccomp", "mountns", "landlock", "userns", "netns", "cgroup", "mdwe", "idmap"];
/// What no operator can waive: rlimits, dropped capabilities, closed descriptors, the
/// supervisor's own count, and what the kernel refuses everybody.
const ALWAYS: &str = "always";
const SINGLE: &str = include_str!("single_layers.txt");

/// How an attempt came out under one choice of layers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    text: String,
    /// What was found changed outside.
    seen: Vec<String>,
}

/// What is known of one attempt.
#[derive(Default)]
struct Study {
    /// This kernel has nothing to attempt here.
    absent: bool,
    /// The filter refuses it before anything else looks.
    filtered: bool,
    /// Layers without which it reaches its effect.
    only: BTreeSet<String>,
    /// Layers that stop it with all others waived (only where the table is made).
    alone: BTreeSet<String>,
}

fn ask(outside: &mut Outside, row: &Row, without: &[&str]) -> Answer {
    let policy = policy();
    let vessel = outside.vessel(&format!("vessel-{}", row.name), &policy);
    let run = inside(outside, User::Caller, &vessel, &row.name, without);
    let seen = outside.differences(&vessel, &policy);
    outside.restore(&vessel);
    let _ = std::fs::remove_dir_all(&vessel);
    let mut text = words(&run, row);
    // With a control group the kernel kills for memory; without one the supervisor does.
    if run.code() == 5 && !without.contains(&"cgroup") {
        text.push_str(" (the group)");
    }
    Answer { text, seen }
}

fn ask_bare(outside: &mut Outside, row: &Row) -> Answer {
    let vessel = outside.vessel(&format!("vessel-{}", row.name), &policy());
    let run = bare(outside, User::Caller, &vessel, &row.name);
    outside.restore(&vessel);
    let _ = std::fs::remove_dir_all(&vessel);
    Answer { text: words(&run, row), seen: Vec::new() }
}

/// `REACHED …`, `REFUSED n`, or how the sandbox ended without a word.
fn words(run: &Finished, row: &Row) -> String {
    let said = run.stdout.lines().find(|line| line.starts_with("RE"));
    match said {
        Some(line) => line.to_owned(),
        None if run.code() == 0 && REPLACED.contains(&row.name.as_str()) => "REACHED another program".into(),
        // What the launcher says of it, without its figures: who stopped it may differ.
        None => {
            let last = run.stderr.lines().last().unwrap_or_default();
            let words: String = last.chars().filter(|c| !c.is_ascii_digit()).collect();
            format!("ended {} {words}", run.code()).trim_end().to_owned()
        }
    }
}

/// Whether the answer is the effect. A call that only asks for the kernel's judgement has
/// reached it if the kernel says what it says outside, and not that it is not permitted.
fn effect(outside: &mut Outside, row: &Row, answer: &Answer) -> bool {
    if !answer.seen.is_empty() {
        return true;
    }
    if answer.text.starts_with("REACHED judged") {
        let refused = [" 1", " 13"].iter().any(|number| answer.text.ends_with(number));
        return !refused && ask_bare(outside, row) == *answer;
    }
    answer.text.starts_with("REACHED") && !answer.text.starts_with("REACHED absent")
}

fn study(outside: &mut Outside, row: &Row, whole: bool) -> Study {
    let mut study = Study::default();
    let full = ask(outside, row, &[]);
    assert!(!effect(outside, row, &full), "{}: {full:?}", row.name);
    let unfiltered = ask(outside, row, &["seccomp"]);
    study.absent = unfiltered.text.starts_with("REACHED absent")
        || unfiltered.text == format!("REACHED judged: error {}", libc::ENOSYS)
        || unfiltered.text == format!("REACHED answered with error {}", libc::ENOSYS)
        || unfiltered.text == format!("REFUSED {}", libc::ENOSYS);
    study.filtered = full.text.starts_with("ended 71") || full.text != unfiltered.text;
    if study.absent {
        return study;
    }
    if effect(outside, row, &unfiltered) {
        study.only.insert("seccomp".into());
    }
    // What the filter kills it kills whatever else is waived: those runs are made only for
    // the table.
    if !study.filtered || whole {
        for layer in &LAYERS[1..] {
            let answer = ask(outside, row, &[layer]);
            if effect(outside, row, &answer) {
                study.only.insert((*layer).into());
            }
        }
    }
    let nothing = ask(outside, row, &LAYERS);
    let always = !effect(outside, row, &nothing);
    // A file that this host does not have.
    let missing = format!("REFUSED {}", libc::ENOENT);
    if row.class == "places" && full.text == missing && nothing.text == missing {
        study.absent = true;
        return study;
    }
    // The same words with nothing but this: nobody else had a part in it.
    if always && !study.filtered && nothing.text == full.text {
        study.only.insert(ALWAYS.into());
    }
    if whole {
        if always {
            study.alone.insert(ALWAYS.into());
        }
        if study.filtered {
            study.alone.insert("seccomp".into());
        }
        for layer in &LAYERS[1..] {
            let others: Vec<&str> = LAYERS.iter().copied().filter(|other| other != layer).collect();
            let answer = ask(outside, row, &others);
            if !always && !effect(outside, row, &answer) {
                study.alone.insert((*layer).into());
            }
        }
    }
    study
}

/// attempt → (layer, reason)
fn single() -> BTreeMap<&'static str, (&'static str, &'static str)> {
    let line = |line: &'static str| {
        let (entry, reason) = line.split_once('#')?;
        let (name, layer) = entry.trim().split_once(' ')?;
        Some((name, (layer.trim(), reason.trim())))
    };
    SINGLE.lines().filter_map(line).collect()
}

#[test]
fn two_layers_stop_nearly_every_attempt() {
    if !integration::is_root() {
        integration::skipped("only root has every layer, and can waive each");
        return;
    }
    let whole = std::env::var("REPY_LAYERS").is_ok_and(|wish| wish == "write");
    let rows = rows();
    let studies = for_each(User::Caller, &rows, |outside, row| study(outside, row, whole));
    let single = single();
    let (mut wrong, mut counted, mut alone) = (Vec::new(), 0, 0);
    for (row, study) in rows.iter().zip(&studies).filter(|(_, study)| !study.absent) {
        counted += 1;
        alone += usize::from(!study.only.is_empty());
        let known = single.get(row.name.as_str());
        for layer in &study.only {
            if known.is_none_or(|(listed, _)| listed.trim_end_matches('?') != layer) {
                wrong.push(format!("{}: only {layer} stops it, and the list does not say so", row.name));
            }
        }
    }
    if whole {
        std::fs::write(document(), table(&rows, &studies)).expect("docs/layers.md");
    }
    println!("{counted} attempts of {}, {alone} stopped by one layer", rows.len());
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(alone * 10 <= counted, "{alone} of {counted} attempts are stopped by one layer alone");
    // More than a few entries without an attempt that needs them: the list is of another day.
    let idle = single.keys().filter(|name| {
        if single[*name].0.ends_with('?') {
            return false;
        }
        let at = rows.iter().position(|row| row.name == **name);
        at.is_some_and(|at| !studies[at].absent && studies[at].only.is_empty())
    });
    let idle: Vec<_> = idle.collect();
    assert!(idle.is_empty(), "listed in single_layers.txt, but two layers stop them: {idle:?}");
}

#[test]
fn the_list_and_the_table_name_the_attempts_there_are() {
    let text = std::fs::read_to_string(document()).expect("docs/layers.md");
    let single = single();
    let names: BTreeSet<String> = rows().into_iter().map(|row| row.name).collect();
    for (name, (layer, reason)) in &single {
        assert!(names.contains(*name), "single_layers.txt names {name}, which is no attempt");
        let layer = layer.trim_end_matches('?');
        assert!(LAYERS.contains(&layer) || layer == ALWAYS, "{name}: no layer {layer}");
        assert!(reason.len() > 10, "{name}: no reason");
    }
    let rows: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |")).collect();
    let documented: BTreeSet<String> = rows.keys().map(|name| (*name).to_owned()).collect();
    let differing: Vec<_> = names.symmetric_difference(&documented).collect();
    assert!(
        differing.is_empty(),
        "docs/layers.md is of other attempts (REPY_LAYERS=write makes it anew): {differing:?}"
    );
    for (name, marks) in &rows {
        let only = marks.trim_end_matches('|').rsplit('|').next().unwrap_or_default().trim();
        let listed = single.get(name).map(|(layer, _)| layer.trim_end_matches('?'));
        let known = only.is_empty() || only == "not in this kernel" || listed == Some(only);
        assert!(known, "{name}: stopped by {only} alone in the table, and not in the list");
    }
}

fn document() -> std::path::PathBuf {
    integration::project_root().join("docs/layers.md")
}

/// The page of the documentation.
fn table(rows: &[Row], studies: &[Study]) -> String {
    let mut text = String::from(HEAD);
    let counted = studies.iter().filter(|study| !study.absent).count();
    let alone = studies.iter().filter(|study| !study.absent && !study.only.is_empty()).count();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version: Vec<&str> = release.trim().split(['.', '-']).take(2).collect();
    let _ = writeln!(
        text,
        "Made on kernel {}: {} attempts, {} of them at things this kernel has; {} are stopped by two layers or \
         more, {} by one.\n",
        version.join("."),
        rows.len(),
        counted,
        counted - alone,
        alone
    );
    let columns: Vec<&str> = LAYERS.iter().copied().chain([ALWAYS]).collect();
    let _ = writeln!(text, "| attempt | class | {} | only |", columns.join(" | "));
    let _ = writeln!(text, "|---|---|{}---|", "---|".repeat(columns.len()));
    for (row, study) in rows.iter().zip(studies) {
        if study.absent {
            let _ = writeln!(
                text,
                "| `{}` | {} | {}not in this kernel |",
                row.name,
                row.class,
                "| ".repeat(columns.len())
            );
            continue;
        }
        let marks: Vec<&str> =
            columns.iter().map(|column| if study.alone.contains(*column) { "x" } else { "" }).collect();
        let only: Vec<&str> = study.only.iter().map(String::as_str).collect();
        let _ =
            writeln!(text, "| `{}` | {} | {} | {} |", row.name, row.class, marks.join(" | "), only.join(" "));
    }
    text.push_str("\n## Stopped by one layer, and why\n\n| attempt | layer | why nothing stands behind it |\n|---|---|---|\n");
    for (name, (layer, reason)) in single() {
        let _ = writeln!(text, "| {name} | {layer} | {reason} |");
    }
    text
}

const HEAD: &str = "# Attempts and layers\n\n\
Generated by `REPY_LAYERS=write cargo test -p integration --test layers` (as root); do not edit by hand.\n\n\
A native program stands in the interpreter's place and makes one attempt per run. `x` marks a layer that stops the\n\
attempt with every other layer waived. `always` is what no operator can waive: process limits, dropped capabilities,\n\
closed descriptors, the supervisor's own counts. Where that stops an attempt, what else would cannot be told apart but\n\
for the filter. `only` names a layer without which, all others standing, the attempt reaches its effect. The run of\n\
`make test` waives each layer in turn and compares that column with `integration/tests/single_layers.txt`.\n\n";
