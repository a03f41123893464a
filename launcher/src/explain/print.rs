//! Rows and answers as text for people, and as JSON for tools.

use std::fmt::{self, Write};

use super::{Answer, Row};
use crate::plan::Plan;

/// Width of the column that names the control.
const NAME: usize = 20;

/// The table: each line of the policy, and below it what holds it.
pub fn table(rows: &[Row], plan: &Plan) -> String {
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
                (Some(reason), _) => format!("NOT HERE ({reason})"),
                (None, Some(value)) => format!("{}: {value}", holder.object),
                (None, None) => format!("{}: {}", holder.object, holder.effect),
            };
            let _ = writeln!(text, "      {:11} {:NAME$} {what}", holder.layer, holder.control);
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
