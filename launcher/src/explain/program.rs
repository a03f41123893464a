//! What a policy makes of each call in a program's text.

use policies::channel::seen::SeenCall;
use policies::{carriers, Action, Outlook, Policy};
use serde::Serialize;

use super::{held, Holder};
use crate::check;
use crate::plan::Plan;

/// One call of the program.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallRow {
    /// Line of the program.
    pub line: u32,
    /// The call, as far as its arguments are known.
    pub call: String,
    /// `allowed`, `denied`, `asked` or `depends` (on arguments that are not written there).
    pub verdict: &'static str,
    /// The line of the policy that decides; none where no line does, or several may.
    pub policy_line: Option<u32>,
    /// That line, or why.
    pub because: String,
    /// What holds the decision on this host, strongest first.
    pub held_by: Vec<String>,
}

/// The calls of a program, and the lines of the policy that none of them needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProgramTable {
    /// The program.
    pub program: String,
    /// Its calls, in the order of its text.
    pub calls: Vec<CallRow>,
    /// `call` lines that allow what the text does not seem to do.
    pub unused: Vec<(u32, String)>,
}

/// Explains the calls of a program.
pub fn program(name: &str, policy: &Policy, plan: &Plan, calls: &[SeenCall]) -> ProgramTable {
    let mut rows: Vec<CallRow> = calls.iter().map(|seen| row(policy, plan, seen)).collect();
    rows.dedup();
    let made = |rule: &&policies::Rule| {
        let same = |seen: &SeenCall| {
            seen.call == rule.call
                || (rule.call == policies::Call::FileInit && seen.call == policies::Call::Open)
        };
        calls.iter().any(same)
    };
    let unused = policy.rules().iter().filter(|rule| rule.action != Action::Deny && !made(rule));
    ProgramTable {
        program: name.to_owned(),
        calls: rows,
        unused: unused.map(|rule| (rule.line, rule.to_string())).collect(),
    }
}

fn row(policy: &Policy, plan: &Plan, seen: &SeenCall) -> CallRow {
    let (call, outlook) = check::outlook(policy, seen);
    let decision = match outlook {
        Outlook::Certain(decision) | Outlook::Never(decision) => Some(decision),
        Outlook::Open => None,
    };
    let rule = decision.and_then(|decision| policy.rules().get(decision.rule? as usize));
    let verdict = match decision.map(|decision| decision.action) {
        None => "depends",
        Some(Action::Allow) => "allowed",
        Some(Action::Deny) => "denied",
        Some(Action::Prompt) => "asked",
    };
    let because = match (rule, decision) {
        (Some(rule), _) => rule.to_string(),
        (None, Some(_)) => format!("no rule of {} matches", call.name()),
        (None, None) => "on arguments that are known only when it runs".to_owned(),
    };
    // What the rules allow may still lack a resource, a port or a name.
    let obstacle = check::obstacle(policy, seen).filter(|_| verdict != "denied");
    let (verdict, because) = match obstacle {
        Some((why, _)) => ("denied", why),
        None => (verdict, because),
    };
    let holds =
        |holder: Holder| holder.absent.is_none().then(|| format!("{} ({})", holder.layer, holder.control));
    CallRow {
        line: seen.line,
        call: check::shown(seen),
        verdict,
        policy_line: rule
            .filter(|rule| because == rule.to_string())
            .map(|rule| rule.line)
            .filter(|line| *line > 0),
        because,
        held_by: held(carriers::of_call(call), plan).held_by.into_iter().filter_map(holds).collect(),
    }
}
