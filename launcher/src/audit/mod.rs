//! `repy-launch audit`: compares each row of a live run's recorded plan with what
//! the kernel holds, read from outside, and says how anyone can check it.

mod command;
mod group;
mod look;

use serde::Serialize;

use crate::cli::arguments::AuditLine;
use crate::ps::{self, format::clean};
use crate::registry::record::{Expect, Row};
use crate::registry::{self, Found};
use crate::terminal::{errln, out, outln};
use crate::verdict::Ending;
use look::Sight;

/// What came of one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum State {
    /// The kernel holds what the plan says.
    #[serde(rename = "OK")]
    Ok,
    /// This user may not see it, or it cannot be seen now.
    #[serde(rename = "CANNOT SEE")]
    CannotSee,
    /// The kernel holds something else.
    #[serde(rename = "DIFFERS")]
    Differs,
}

impl State {
    fn text(self) -> &'static str {
        match self {
            State::Ok => "OK",
            State::CannotSee => "CANNOT SEE",
            State::Differs => "DIFFERS",
        }
    }

    /// Exit status of an audit whose worst finding this is.
    fn code(self) -> u8 {
        match self {
            State::Ok => 0,
            State::Differs => 1,
            State::CannotSee => 3,
        }
    }
}

/// One line of an audit.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Step of the plan.
    pub step: String,
    /// Its layer, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// Lines of the policy that it carries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// What the plan says.
    pub expected: String,
    /// What the kernel holds, or why it cannot be seen.
    pub found: String,
    /// What came of it.
    pub state: State,
    /// Whether this was seen now or is the launcher's record of a trial.
    pub by: &'static str,
    /// How anyone can check it without this tool.
    pub command: String,
}

/// The audit of one run.
#[derive(Debug, Serialize)]
pub struct Audit {
    /// The launcher.
    pub launcher: i32,
    /// The sandbox.
    pub sandbox: i32,
    /// `--name`.
    pub name: Option<String>,
    /// The program.
    pub program: String,
    /// The policy.
    pub policy: String,
    /// The worst finding.
    pub state: State,
    /// Layers that the operator gave up.
    pub waived: Vec<String>,
    /// Every look.
    pub lines: Vec<Line>,
}

/// Audits one run, or all; the exit status is 0 if all is as planned, 1 if
/// something differs, 3 if something cannot be seen, 2 if there is no such run.
pub fn run(line: &AuditLine) -> u8 {
    let runs = match line.run.as_deref() {
        Some(word) if !line.all => match ps::pick(word) {
            Ok(found) => vec![found],
            Err(reason) => {
                errln!("repy-launch: {reason}");
                return Ending::BadInput.code();
            }
        },
        _ => registry::find(),
    };
    let mut progress = crate::terminal::Progress::new();
    let look = |(index, found): (usize, &Found)| {
        progress.step(index + 1, runs.len(), found.record.name.as_deref().unwrap_or(&found.record.program));
        audit(found)
    };
    let audits: Vec<Audit> = runs.iter().enumerate().filter_map(look).collect();
    if line.json {
        match serde_json::to_string_pretty(&audits) {
            Ok(text) => outln!("{text}"),
            Err(error) => errln!("repy-launch: {error}"),
        }
    } else if audits.is_empty() {
        outln!("no live run that you may see");
    } else {
        for audit in &audits {
            out!("{}", print(audit, line));
        }
    }
    audits.iter().map(|audit| audit.state).max().unwrap_or(State::Ok).code()
}

/// Compares one run; None if it ended meanwhile.
fn audit(found: &Found) -> Option<Audit> {
    let record = &found.record;
    let sight = Sight::new(found);
    let lines: Vec<Line> = record
        .rows
        .iter()
        .flat_map(|row| row.expect.iter().map(|expect| line(row, expect, &sight, found)))
        .collect();
    if !record.sandbox.is_alive() {
        return None;
    }
    let waived =
        record.layers.iter().filter(|(_, state)| *state == "waived").map(|(name, _)| name.clone()).collect();
    Some(Audit {
        launcher: record.launcher.pid,
        sandbox: record.sandbox.pid,
        name: record.name.clone(),
        program: record.program.clone(),
        policy: record.policy.clone(),
        state: lines.iter().map(|line| line.state).max().unwrap_or(State::CannotSee),
        waived,
        lines,
    })
}

fn line(row: &Row, expect: &Expect, sight: &Sight<'_>, found: &Found) -> Line {
    let (state, seen) = sight.look(expect);
    Line {
        step: row.step.clone(),
        layer: row.layer.clone(),
        sources: row.sources.clone(),
        expected: look::expected(expect),
        found: seen,
        state,
        by: if matches!(expect, Expect::Tried { .. }) { "record of the trial before exec" } else { "kernel" },
        command: command::of(expect, found),
    }
}

fn print(audit: &Audit, how: &AuditLine) -> String {
    let name = audit.name.as_deref().map(|name| format!("{} ", clean(name))).unwrap_or_default();
    let mut text = format!(
        "{name}launcher {}, sandbox {}: {} under {}\n",
        audit.launcher,
        audit.sandbox,
        clean(&audit.program),
        clean(&audit.policy)
    );
    let mut step = "";
    for line in audit.lines.iter().filter(|line| !how.quiet || line.state != State::Ok) {
        if line.step != step {
            let mut about: Vec<String> = line.layer.iter().map(|layer| format!("layer {layer}")).collect();
            about.extend(line.sources.iter().cloned());
            let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join("; ")) };
            text.push_str(&clean(&format!("{}{about}", line.step)));
            text.push('\n');
        }
        step = &line.step;
        let recorded = if line.by == "kernel" { "" } else { " (as recorded before exec)" };
        text.push_str(&format!("  {:10}  {}{recorded}\n", line.state.text(), clean(&line.expected)));
        if line.state != State::Ok || how.verbose {
            text.push_str(&format!("              found: {}\n", clean(&line.found)));
        }
        text.push_str(&format!("              $ {}\n", line.command));
    }
    for layer in &audit.waived {
        text.push_str(&format!("without layer {}: nothing of it is checked\n", clean(layer)));
    }
    let count = |state| audit.lines.iter().filter(|line| line.state == state).count();
    text.push_str(&format!(
        "{} OK, {} DIFFERS, {} CANNOT SEE\n",
        count(State::Ok),
        count(State::Differs),
        count(State::CannotSee)
    ));
    text
}
