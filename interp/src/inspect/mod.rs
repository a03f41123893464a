//! Looks at a program without running it: for `repy-launch check`.
//!
//! Everything here is a guess from the text, never a decision: what a program
//! may do is decided when it does it.

mod calls;
mod visit;

use std::collections::{HashMap, HashSet};

use policies::channel::control::FromInterpreter;
use policies::channel::seen::{Finding, SeenCall, MOST_CALLS, MOST_FINDINGS};

use crate::api::table::TABLE;
use crate::check::Refusal;
use crate::host::{Channel, Host};
use crate::syntax::ast::Module;
use crate::syntax::{Snippet, Span};
use visit::{Binding, Names};

/// Most calls and names that are told of: beyond, a program is too large for a list to help.
const MOST: usize = 1000;

/// What was found in a program that can be run.
#[derive(Debug, Default)]
pub struct Inspection {
    /// Names that nothing in the program defines.
    pub names: Vec<Finding>,
    /// Calls of the API.
    pub calls: Vec<SeenCall>,
}

/// Looks at a program; `builtins` are the names that are there without being defined.
pub fn inspect(module: &Module<'_>, builtins: &[String]) -> Inspection {
    let names = Names::of(module);
    let calls = calls::find(module, &names, MOST);
    Inspection { names: undefined(module, &names, builtins), calls }
}

/// Names that every program has beside the built-in ones.
pub fn given() -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter(|row| row.class.is_none()).map(|row| row.name).chain(GIVEN)
}

/// Names that each run defines beside the calls.
const GIVEN: [&str; 4] = ["mycontext", "_context", "callfunc", "callargs"];

/// Names that are read, and defined nowhere.
fn undefined(module: &Module<'_>, names: &Names, builtins: &[String]) -> Vec<Finding> {
    let defined = |name: &str| {
        builtins.iter().any(|known| known == name)
            || given().any(|known| known == name)
            || ["None", "_"].contains(&name)
    };
    let mut told = HashSet::new();
    let mut found = Vec::new();
    for (symbol, span) in &names.read {
        let name = module.symbols.name(*symbol);
        if found.len() >= MOST || names.bound.contains_key(symbol) || defined(name) || !told.insert(*symbol) {
            continue;
        }
        found.push(unknown(module, names, builtins, *span, name));
    }
    found
}

fn unknown(module: &Module<'_>, names: &Names, builtins: &[String], span: Span, name: &str) -> Finding {
    let mut known: Vec<&str> = names.bound.keys().map(|symbol| module.symbols.name(*symbol)).collect();
    // The same answer each time: they come out of a map.
    known.sort_unstable();
    known.extend(builtins.iter().map(String::as_str));
    given().for_each(|name| known.push(name));
    let help = policies::suggest::call(name, known.into_iter()).unwrap_or_default();
    let title = format!("nothing here defines the name '{name}'");
    finding(Snippet::new(&module.source, span), title, help)
}

fn finding(snippet: Snippet, title: String, help: String) -> Finding {
    Finding {
        line: snippet.line,
        column: snippet.column,
        title,
        help,
        text: snippet.text,
        marks: snippet.marks,
    }
}

/// A finding at a place of a program.
pub fn at(module: &Module<'_>, span: Span, title: String) -> Finding {
    finding(Snippet::new(&module.source, span), title, String::new())
}

/// What keeps a program from being run, for the supervisor.
pub fn findings(refusal: &Refusal) -> Vec<Finding> {
    let one = |diagnostic: &crate::check::Diagnostic| {
        let snippet = Snippet::new(refusal.source(), diagnostic.span);
        finding(snippet, diagnostic.title.clone(), diagnostic.help.clone())
    };
    refusal.diagnostics().iter().map(one).collect()
}

/// Sends findings, and calls after them.
pub fn tell(host: &mut dyn Host, findings: &[Finding], calls: &[SeenCall]) {
    let findings = findings.chunks(MOST_FINDINGS).map(|some| FromInterpreter::Findings(some.to_vec()));
    let calls = calls.chunks(MOST_CALLS).map(|some| FromInterpreter::Calls(some.to_vec()));
    for frame in findings.chain(calls) {
        // A supervisor that is gone cannot be told.
        if host.send_frame(Channel::Control, &frame.encode()).is_err() {
            return;
        }
    }
}

/// How often names are bound, and to what.
type Bound = HashMap<crate::syntax::Symbol, Binding>;

#[cfg(test)]
mod tests;
