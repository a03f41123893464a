//! Runs every program of `tests/lang` and compares with what CPython 2.7 printed;
//! and checks that every row of the language has a case.

use integration::lang;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

/// The suite's promise (README.md): no fewer programs than this.
const FEWEST_CASES: usize = 600;

/// How many differences are printed in full.
const SHOWN: usize = 40;

#[test]
fn every_case_behaves_as_recorded() {
    let only = std::env::var("LANG_CASES").unwrap_or_default();
    let cases: Vec<_> = lang::cases().into_iter().filter(|case| case.name.contains(&only)).collect();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(BTreeMap::new());
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(problem) = lang::check(case) {
                        if let Ok(mut failures) = failures.lock() {
                            failures.insert(case.name.clone(), problem);
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_default();
    let mut areas: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for case in &cases {
        let entry = areas.entry(case.area()).or_default();
        entry.0 += 1;
        entry.1 += usize::from(failures.contains_key(&case.name));
    }
    for (area, (all, failed)) in &areas {
        println!("{area:14} {all:4} cases, {failed} differ");
    }
    for (name, problem) in failures.iter().take(SHOWN) {
        println!("\n{name}.repy: {problem}");
    }
    assert!(failures.is_empty(), "{} of {} cases differ: {:?}", failures.len(), cases.len(), failures.keys());
}

#[test]
fn the_suite_has_its_size() {
    let count = lang::cases().len();
    assert!(count >= FEWEST_CASES, "{count} cases");
}

#[test]
fn every_row_has_a_case() {
    let rows = lang::rows();
    let mut covered: BTreeMap<&str, bool> = BTreeMap::new();
    let mut unknown = Vec::new();
    let cases = lang::cases();
    for case in &cases {
        if case.covers.is_empty() && case.refused.is_none() {
            unknown.push(format!("{} says nothing", case.name));
        }
        // The first line is the claim itself; only the program proves it.
        let text = String::from_utf8_lossy(&case.text);
        let body = text.split_once('\n').map_or("", |(_, body)| body);
        for row in &case.covers {
            match rows.get_key_value(row) {
                Some((name, needle)) => *covered.entry(name).or_default() |= body.contains(needle),
                None => unknown.push(format!("{} covers {row:?}", case.name)),
            }
        }
    }
    assert!(unknown.is_empty(), "not in rows.txt: {unknown:?}");
    let missing: Vec<_> = rows.keys().filter(|row| !covered.contains_key(row.as_str())).collect();
    assert!(missing.is_empty(), "rows without a case: {missing:?}");
    let hollow: Vec<_> = covered.iter().filter(|(_, shown)| !**shown).map(|(row, _)| row).collect();
    assert!(hollow.is_empty(), "rows whose cases lack the text rows.txt asks for: {hollow:?}");
}
