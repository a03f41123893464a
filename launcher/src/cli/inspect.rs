//! `repy-launch explain` and `repy-launch doctor`: what a run would be held by,
//! without running anything.

use std::path::{Path, PathBuf};

use super::arguments::{layers, DoctorLine, ExplainLine, MAX_ACCEPTED};
use super::failure::Failure;
use super::inner::{self, EmptyDirectory};
use super::{input, Clock};
use crate::cgroup::{self, Site};
use crate::doctor;
use crate::explain;
use crate::facts::{Host, Support};
use crate::plan::demand::Demand;
use crate::plan::layer::Layers;
use crate::plan::{self, Plan};
use crate::request::Request;
use crate::supervise::signals::Signals;
use crate::terminal::{errln, out, outln};
use crate::verdict::Ending;
use policies::Policy;

/// Explains a policy on this host, or answers one question about it.
pub fn explain(line: &ExplainLine, clock: &Clock) -> u8 {
    finish(try_explain(line, clock))
}

/// Examines the host for runs in a vessel; the exit status is 0 if a run would
/// start with every layer, else 4.
pub fn doctor(line: &DoctorLine, clock: &Clock) -> u8 {
    if line.sweep {
        return sweep(line.quiet);
    }
    finish(examine(line, clock))
}

/// Removes control groups that launchers left which were killed.
fn sweep(quiet: bool) -> u8 {
    match Site::find() {
        Ok(site) => {
            let removed = cgroup::sweep(&site);
            if !quiet {
                removed.iter().for_each(|path| outln!("removed {}", path.display()));
                outln!("{} left-over control groups removed", removed.len());
            }
            Ending::Done.code()
        }
        Err(missing) => finish(Err(Failure::input(format!("no control group to sweep: {}", missing.reason)))),
    }
}

fn finish(result: Result<Ending, Failure>) -> u8 {
    match result {
        Ok(ending) => ending.code(),
        Err(failure) => {
            errln!("repy-launch: {failure}");
            failure.ending.code()
        }
    }
}

/// A request as a run in `vessel` would make it.
fn request(policy: &Policy, vessel: &Path, without: Layers) -> Request {
    Request {
        demand: Demand::of(policy, true),
        vessel: vessel.to_owned(),
        interpreter: input::interpreter(None).unwrap_or_else(|_| PathBuf::from("repy-interp")),
        arguments: Vec::new(),
        reserved: Vec::new(),
        waived: without,
        scratch: false,
        max_accepted: MAX_ACCEPTED,
        start_block: Vec::new(),
    }
}

/// The plan of a run; layers that the host lacks are left out and named.
fn plan_here(mut request: Request) -> Result<(Plan, Vec<String>), Failure> {
    let host = Host::probe(&request, Support::of_group(&Site::find()))?;
    let mut missing = Vec::new();
    loop {
        match plan::plan(&request, &host) {
            Ok(plan) => return Ok((plan, missing)),
            Err(refusal) => match refusal.layer {
                Some(layer) if !request.waived.contains(layer) => {
                    request.waived.insert(layer);
                    missing.push(format!("layer '{layer}' is missing here: {}", refusal.reason));
                }
                _ => return Err(refusal.into()),
            },
        }
    }
}

/// Whether a program is meant, and not a question: there is such a file, or it is only not found.
fn names_program(what: &str) -> bool {
    Path::new(what).is_file() || (what.ends_with(".repy") && !what.contains(char::is_whitespace))
}

fn try_explain(line: &ExplainLine, clock: &Clock) -> Result<Ending, Failure> {
    let policy = input::policy(&line.policy, false)?.parsed.policy;
    let request = Request { scratch: line.scratch, ..request(&policy, &line.vessel, layers(&line.without)) };
    let (plan, missing) = plan_here(request)?;
    match &line.what {
        Some(program) if names_program(program) => {
            let table = read_program(Path::new(program), &policy, &plan, clock)?;
            if line.json {
                outln!("{}", serde_json::to_string_pretty(&table).unwrap_or_default());
            } else {
                out!("{table}");
            }
        }
        Some(question) => {
            let answer = explain::answer(&policy, &plan, &own(line), question)
                .map_err(|e| Failure::input(e.to_string()))?;
            if line.json {
                // Texts, numbers and lists: nothing that JSON cannot hold.
                outln!("{}", serde_json::to_string_pretty(&answer).unwrap_or_default());
            } else if line.quiet {
                outln!("{}", if answer.allowed { "allowed" } else { "denied" });
            } else {
                out!("{answer}");
            }
        }
        None => {
            let rows = explain::rows(&policy, &plan);
            if line.json {
                outln!("{:#}", explain::table_json(&rows, &plan));
            } else {
                out!("{}", explain::table(&rows, &plan, detail(line)));
            }
        }
    }
    for line in missing.iter().filter(|_| !line.quiet) {
        errln!("repy-launch: note: {line}");
    }
    Ok(Ending::Done)
}

/// How much of the table is wanted.
fn detail(line: &ExplainLine) -> explain::Detail {
    match (line.quiet, line.verbose) {
        (true, _) => explain::Detail::Holders,
        (_, true) => explain::Detail::Effects,
        _ => explain::Detail::Values,
    }
}

/// The names in the vessel that no program of such a run could touch: the policy's, if it
/// lies there.
fn own(line: &ExplainLine) -> Vec<String> {
    let place = |path: &Path| std::fs::canonicalize(path).ok();
    let inside = place(&line.policy).filter(|path| path.parent() == place(&line.vessel).as_deref());
    inside.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
}

/// The calls of a program under a policy.
fn read_program(
    path: &Path,
    policy: &Policy,
    plan: &Plan,
    clock: &Clock,
) -> Result<explain::ProgramTable, Failure> {
    let mut signals = Signals::install().map_err(|error| Failure::internal(error.to_string()))?;
    let reading = inner::read(path, input::program(path)?, None, clock, &mut signals)?;
    let name = crate::terminal::harmless(&path.to_string_lossy());
    if !reading.sound {
        let message = format!("program '{name}' is refused; see why with: repy-launch check POLICY {name}");
        return Err(Failure { ending: Ending::Refused, message });
    }
    Ok(explain::program(&name, policy, plan, &reading.collected.calls))
}

fn examine(line: &DoctorLine, clock: &Clock) -> Result<Ending, Failure> {
    let policy = Policy::parse(policies::samples::TEST.as_bytes(), "restrictions.test")
        .map_err(|_| Failure::internal("the built-in policy cannot be read"))?
        .policy;
    // Whoever asks in the home directory wants to know about the host.
    let empty = match &line.vessel {
        None if !inner::may_be_vessel(Path::new(".")) => EmptyDirectory::new().ok(),
        _ => None,
    };
    let named = line.vessel.as_deref().unwrap_or(Path::new("."));
    let vessel = empty.as_ref().map_or(named, |empty| &empty.path);
    let request = request(&policy, vessel, Layers::NONE);
    let found = Site::find();
    let host = Host::probe(&request, Support::of_group(&found))?;
    let mut examination = doctor::examine(&request, &host, found.ok().map(|site| site.describe()));
    if examination.impossible.is_none() {
        // What switches and versions promise, only an attempt shows.
        let mut signals = Signals::install().map_err(|error| Failure::internal(error.to_string()))?;
        examination.trial = inner::trial(vessel, examination.missing(), clock, &mut signals)
            .err()
            .map(|failure| failure.message);
    }
    match (line.json, line.quiet, line.verbose) {
        (true, ..) => outln!("{}", serde_json::to_string_pretty(&examination).unwrap_or_default()),
        (_, true, _) => out!("{}", examination.gaps()),
        (_, _, true) => out!("{examination}{}", examination.needs()),
        _ => out!("{examination}"),
    }
    Ok(if examination.is_complete() { Ending::Done } else { Ending::NoSandbox })
}
