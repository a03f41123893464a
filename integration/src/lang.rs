//! The language cases below `integration/tests/lang` (README.md there): finding
//! them, running one, and comparing with what CPython 2.7 printed.

use crate::timed;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The longest a case may run. Cases take milliseconds; a loaded machine gets a thousand times that.
pub const CASE_LIMIT: Duration = Duration::from_secs(60);

/// One program of the suite.
#[derive(Debug, Clone)]
pub struct Case {
    /// `area/name`, without the suffix.
    pub name: String,
    /// The program file.
    pub path: PathBuf,
    /// The program's text.
    pub text: Vec<u8>,
    /// Rows it says it covers.
    pub covers: Vec<String>,
    /// `Some(fragment)` if the interpreter has to refuse it with a message that holds the fragment.
    pub refused: Option<String>,
}

impl Case {
    /// The directory part of the name.
    pub fn area(&self) -> &str {
        self.name.split('/').next().unwrap_or("")
    }
}

/// The directory of the suite.
pub fn directory() -> PathBuf {
    crate::project_root().join("integration/tests/lang")
}

/// All cases, sorted by name.
///
/// # Panics
/// If a file of the suite cannot be read.
pub fn cases() -> Vec<Case> {
    let mut found = Vec::new();
    for area in entries(&directory()).into_iter().filter(|path| path.is_dir()) {
        for path in entries(&area) {
            if path.extension().is_some_and(|suffix| suffix == "repy") {
                found.push(load(&path));
            }
        }
    }
    found
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let listing =
        fs::read_dir(directory).unwrap_or_else(|e| panic!("cannot list {}: {e}", directory.display()));
    let mut paths: Vec<PathBuf> = listing.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
}

fn load(path: &Path) -> Case {
    let text = read(path);
    let first = String::from_utf8_lossy(text.split(|b| *b == b'\n').next().unwrap_or(b"")).into_owned();
    let covers = first.strip_prefix("# covers: ").map_or_else(Vec::new, |list| {
        list.split(',').map(|row| row.trim().to_string()).filter(|row| !row.is_empty()).collect()
    });
    let part =
        |path: Option<&std::ffi::OsStr>| path.map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let name = format!("{}/{}", part(path.parent().and_then(Path::file_name)), part(path.file_stem()));
    let refused = first.strip_prefix("# expect: refused ").map(str::to_string);
    Case { name, path: path.to_path_buf(), text, covers, refused }
}

/// Memory of a case or a generated program: what asks for more gets MemoryError.
const MEMORY: &str = "2000000000";

/// Runs a program file as a plain script, held by nothing.
pub fn interpret(program: &Path, limit: Duration) -> timed::Output {
    let mut command = Command::new(crate::bin("repy-interp"));
    timed::run(command.args(["--unconfined", "--simple", "--memory", MEMORY]).arg(program), limit)
}

/// Runs a case; `Err` says how it differs from what is recorded.
///
/// # Errors
/// The readable difference.
pub fn check(case: &Case) -> Result<(), String> {
    let got = interpret(&case.path, CASE_LIMIT);
    if got.status.is_none() {
        return Err(format!("still running after {CASE_LIMIT:?}"));
    }
    let stderr = String::from_utf8_lossy(&got.stderr).into_owned();
    if let Some(fragment) = &case.refused {
        if got.code() != 3 || !stderr.contains(fragment.as_str()) || !got.stdout.is_empty() {
            return Err(format!(
                "expected to be refused (exit 3, nothing printed, a message with {fragment:?}); got exit {}, \
                 stdout {:?}, stderr:\n{stderr}",
                got.code(),
                String::from_utf8_lossy(&got.stdout)
            ));
        }
        return Ok(());
    }
    let expected = read(&case.path.with_extension("out"));
    let mut problems = String::new();
    if got.stdout != expected {
        problems.push_str(&difference(&expected, &got.stdout));
    }
    match fs::read(case.path.with_extension("err")) {
        Ok(last_line) => {
            let last_line = String::from_utf8_lossy(&last_line).trim_end_matches('\n').to_string();
            let shown = format!("\n{stderr}");
            if got.code() != 1 || !shown.contains(&format!("\n{last_line}\n")) {
                problems.push_str(&format!(
                    "expected exit 1 and the line\n  {last_line}\ngot exit {} and\n{stderr}",
                    got.code()
                ));
            }
        }
        Err(_) if got.code() != 0 || !stderr.is_empty() => {
            problems
                .push_str(&format!("expected exit 0 without errors, got exit {} and\n{stderr}", got.code()));
        }
        Err(_) => {}
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// The lines around the first difference, CPython's with `-` and ours with `+`.
pub fn difference(expected: &[u8], got: &[u8]) -> String {
    let lines = |bytes: &[u8]| -> Vec<String> {
        bytes.split(|b| *b == b'\n').map(|line| line.escape_ascii().to_string()).collect()
    };
    let (expected, got) = (lines(expected), lines(got));
    let same = expected.iter().zip(&got).take_while(|(a, b)| a == b).count();
    let mut text = format!("line {} of the output:\n", same + 1);
    for line in expected.iter().skip(same.saturating_sub(2)).take(same.min(2)) {
        text.push_str(&format!("    {line}\n"));
    }
    let window = 6;
    for line in expected.iter().skip(same).take(window) {
        text.push_str(&format!("  - {line}\n"));
    }
    for line in got.iter().skip(same).take(window) {
        text.push_str(&format!("  + {line}\n"));
    }
    let differing =
        expected.iter().zip(&got).filter(|(a, b)| a != b).count() + expected.len().abs_diff(got.len());
    text.push_str(&format!("({differing} lines differ)\n"));
    text
}

/// The rows of `rows.txt`: name and the text a covering case has to hold.
///
/// # Panics
/// If the file cannot be read or a line has no tab.
pub fn rows() -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(&read(&directory().join("rows.txt"))).into_owned();
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, needle) = line.split_once('\t').unwrap_or_else(|| panic!("rows.txt: no tab in {line:?}"));
        rows.insert(name.to_string(), needle.replace("\\n", "\n"));
    }
    rows
}
