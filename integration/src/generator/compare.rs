//! Runs the same program text under CPython 2.7 and under `repy-interp`.

use crate::scratch::Scratch;
use crate::{lang, python, timed};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What a generated program begins with.
pub const PRELUDE: &str = include_str!("prelude.repy");

/// The longest one process may take.
const LIMIT: Duration = Duration::from_secs(60);

/// One of the two implementations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// CPython 2.7, set up by `record.py` as the sandbox would be.
    Python,
    /// `repy-interp`.
    Ours,
}

/// Both implementations, ready to run.
#[derive(Debug)]
pub struct Pair {
    python: PathBuf,
    oracle: PathBuf,
    scratch: Scratch,
}

impl Pair {
    /// `None` where CPython 2.7 is not installed.
    pub fn new() -> Option<Pair> {
        let python = python::python27()?;
        Some(Pair {
            python,
            oracle: lang::directory().join("record.py"),
            scratch: Scratch::new("differential"),
        })
    }

    fn run(&self, side: Side, program: &Path) -> timed::Output {
        match side {
            Side::Ours => lang::interpret(program, LIMIT),
            Side::Python => {
                let mut command = Command::new(&self.python);
                timed::run(command.arg("-B").arg(&self.oracle).arg("--run").arg(program), LIMIT)
            }
        }
    }

    /// Runs a whole program; its output, then how it ended if that was not normally.
    pub fn program(&self, side: Side, text: &str) -> String {
        let path = self.scratch.write("program.repy", text);
        let output = self.run(side, &path);
        let mut shown = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.code() != 0 {
            shown.push_str(&ending(&output));
        }
        shown
    }

    /// Values of many expressions, computed in as few processes as possible.
    pub fn values(&self, side: Side, expressions: &[String]) -> Vec<String> {
        if expressions.is_empty() {
            return Vec::new();
        }
        let path = self.scratch.write("batch.repy", batch(expressions));
        let output = self.run(side, &path);
        let mut answers = answers(&String::from_utf8_lossy(&output.stdout), expressions.len());
        if answers.len() == expressions.len() && output.code() == 0 {
            return answers;
        }
        if expressions.len() == 1 {
            return vec![ending(&output)];
        }
        // A process that says nothing refused some expression: look for it in halves.
        let done = answers.len().min(expressions.len() - 1);
        let middle = if done == 0 { expressions.len() / 2 } else { done };
        answers.truncate(done);
        if done == 0 {
            answers = self.values(side, &expressions[..middle]);
        } else {
            answers.extend(self.values(side, &expressions[done..done + 1]));
        }
        let from = answers.len();
        answers.extend(self.values(side, &expressions[from..]));
        answers
    }
}

/// The program that prints one line for each expression.
fn batch(expressions: &[String]) -> String {
    let mut text = PRELUDE.to_string();
    for (index, expression) in expressions.iter().enumerate() {
        text.push_str(&format!(
            "try:\n  result = {expression}\n  print '@{index} ' + limited(show(result))\n\
             except Exception, problem:\n  print '@{index} ' + failure(problem)\n"
        ));
    }
    text
}

/// The lines of a batch by their number, as far as they go without a gap.
fn answers(output: &str, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = output;
    for index in 0..count {
        let Some(text) = rest.strip_prefix(&format!("@{index} ")) else { break };
        let next = format!("\n@{} ", index + 1);
        match text.find(&next) {
            Some(end) => {
                found.push(text[..end].to_string());
                rest = &text[end + 1..];
            }
            None if text.ends_with('\n') => {
                found.push(text.trim_end_matches('\n').to_string());
                break;
            }
            None => break,
        }
    }
    found
}

/// How a process ended, in words that are the same for both where the meaning is.
fn ending(output: &timed::Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    match output.code() {
        -1 => "<still running at the limit>".into(),
        3 => "<refused>".into(),
        1 => {
            let last = stderr
                .lines()
                .rfind(|line| line.starts_with("Exception (") || line.starts_with("Unsafe call"));
            format!("<uncaught: {}>", last.unwrap_or("?"))
        }
        code => format!("<ended with {code}: {}>", stderr.lines().last().unwrap_or("")),
    }
}
