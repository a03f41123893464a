//! Rows and answers as text for people, and as JSON for tools.

use std::fmt::{self, Write};

use super::{Answer, ProgramTable, Row};
use crate::plan::Plan;

/// Width of the column that names the control.
const NAME: usize = 20;

/// How much of the table is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The lines and the names of what holds them.
    Holders,
    /// Values too, and what holds where a layer is missing.
    Values,
    /// What each control does, too.
    Effects,
}

/// The table: each line of the policy, and below it what holds it.
pub fn table(rows: &[Row], plan: &Plan, detail: Detail) -> String {
    let mut text = String::new();
    for row in rows {
        let line = if row.line == 0 { "-".to_owned() } else { row.line.to_string() };
        let _ = writeln!(text, "{line:>4}  {}", row.text);
        if !row.outside {
            let _ =
                writeln!(text, "      {:11} {:NAME$} the interpreter alone holds it", "none", "outside it");
        }
        for holder in &row.held_by {
            let what = match (&holder.absent, &holder.value) {
                (Some(_), _) if detail == Detail::Holders => continue,
                (None, _) if detail == Detail::Holders => String::new(),
                (Some(reason), _) => format!("NOT HERE ({reason})"),
                (None, Some(value)) if detail == Detail::Effects => {
                    format!("{}: {value}; {}", holder.object, holder.effect)
                }
                (None, Some(value)) => format!("{}: {value}", holder.object),
                (None, None) => format!("{}: {}", holder.object, holder.effect),
            };
            let line = format!("      {:11} {:NAME$} {what}", holder.layer, holder.control);
            let _ = writeln!(text, "{}", line.trim_end());
        }
        if detail == Detail::Holders {
            continue;
        }
        for lack in &row.lacking {
            let rest = match lack.remaining[..] {
                [] => "nothing holds it".to_owned(),
                _ => lack.remaining.join(", "),
            };
            let _ = writeln!(text, "      {:11} {:NAME$} {rest}", "without", lack.layer);
        }
        if !row.note.is_empty() {
            let _ = writeln!(text, "      note: {}", row.note);
        }
    }
    let names = |layers: crate::plan::layer::Layers| {
        layers.iter().map(|layer| layer.name()).collect::<Vec<_>>().join(" ")
    };
    let _ = writeln!(text, "\nlayers enforced on this host: {}", names(plan.enforced));
    if !plan.waived.is_empty() {
        let _ = writeln!(text, "layers given up by the operator: {}", names(plan.waived));
    }
    for note in &plan.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

/// The same for tools: `{"lines": […], "enforced": […], "waived": […], "notes": […]}`.
pub fn table_json(rows: &[Row], plan: &Plan) -> serde_json::Value {
    let names =
        |layers: crate::plan::layer::Layers| layers.iter().map(|layer| layer.name()).collect::<Vec<_>>();
    serde_json::json!({
        "lines": rows,
        "enforced": names(plan.enforced),
        "waived": names(plan.waived),
        "notes": plan.notes,
    })
}

impl fmt::Display for ProgramTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.calls.iter().map(|row| row.call.chars().count()).max().unwrap_or(0).min(50);
        for row in &self.calls {
            let by = row.policy_line.map_or_else(String::new, |line| format!("line {line}: "));
            writeln!(f, "{:>4}  {:width$}  {:7}  {by}{}", row.line, row.call, row.verdict, row.because)?;
            writeln!(f, "      {:width$}  {:7}  {}", "", "by", row.held_by.join(", "))?;
        }
        if self.calls.is_empty() {
            writeln!(f, "{}: no call of the API stands in its text", self.program)?;
        }
        if !self.unused.is_empty() {
            let lines: Vec<String> = self.unused.iter().map(|(line, _)| line.to_string()).collect();
            writeln!(
                f,
                "note: lines of the policy for calls that the text does not seem to make: {}",
                lines.join(" ")
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.allowed { "allowed" } else { "denied" };
        writeln!(f, "{}: {verdict}", self.question)?;
        match self.line {
            Some(line) => writeln!(f, "  by line {line}: {}", self.because)?,
            None => writeln!(f, "  because {}", self.because)?,
        }
        if !self.layers.is_empty() {
            writeln!(
                f,
                "  {} {}",
                if self.allowed { "decided by" } else { "held by" },
                self.layers.join(", ")
            )?;
        }
        writeln!(f, "  the program sees: {}", self.sees)
    }
}
