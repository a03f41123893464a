//! `repy-launch explain` and `repy-launch doctor`: what a run would be held by,
//! without running anything.

use std::path::{Path, PathBuf};

use super::arguments::{layers, DoctorLine, ExplainLine, MAX_ACCEPTED};
use super::failure::Failure;
use super::{inner, input, Clock};
use crate::cgroup::{self, Site};
use crate::doctor;
use crate::explain;
use crate::facts::{Host, Support};
use crate::plan::demand::Demand;
use crate::plan::layer::Layers;
use crate::plan::{self, Plan};
use crate::request::Request;
use crate::supervise::signals::Signals;
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
        return sweep();
    }
    finish(examine(&line.vessel, line.json, clock))
}

/// Removes control groups that launchers left which were killed.
fn sweep() -> u8 {
    match Site::find() {
        Ok(site) => {
            crate::terminal::progress("looking for control groups that were left over");
            let removed = cgroup::sweep(&site);
            for path in &removed {
                println!("removed {}", path.display());
            }
            println!("{} left-over control groups removed", removed.len());
            Ending::Done.code()
        }
        Err(missing) => finish(Err(Failure::input(format!("no control group to sweep: {}", missing.reason)))),
    }
}

fn finish(result: Result<Ending, Failure>) -> u8 {
    match result {
        Ok(ending) => ending.code(),
        Err(failure) => {
            eprintln!("repy-launch: {failure}");
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

fn try_explain(line: &ExplainLine, clock: &Clock) -> Result<Ending, Failure> {
    let policy = input::policy(&line.policy, false)?.parsed.policy;
    let request = Request { scratch: line.scratch, ..request(&policy, &line.vessel, layers(&line.without)) };
    let (plan, missing) = plan_here(request)?;
    match &line.what {
        Some(program) if Path::new(program).is_file() => {
            let table = read_program(Path::new(program), &policy, &plan, clock)?;
            if line.json {
                println!("{}", serde_json::to_string_pretty(&table).unwrap_or_default());
            } else {
                print!("{table}");
            }
        }
        Some(question) => {
            let answer =
                explain::answer(&policy, &plan, question).map_err(|e| Failure::input(e.to_string()))?;
            if line.json {
                // Texts, numbers and lists: nothing that JSON cannot hold.
                println!("{}", serde_json::to_string_pretty(&answer).unwrap_or_default());
            } else {
                print!("{answer}");
            }
        }
        None => {
            let rows = explain::rows(&policy, &plan);
            if line.json {
                println!("{:#}", explain::table_json(&rows, &plan));
            } else {
                print!("{}", explain::table(&rows, &plan));
            }
        }
    }
    for line in missing {
        eprintln!("repy-launch: note: {line}");
    }
    Ok(Ending::Done)
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

fn examine(vessel: &Path, json: bool, clock: &Clock) -> Result<Ending, Failure> {
    let policy = Policy::parse(policies::samples::TEST.as_bytes(), "restrictions.test")
        .map_err(|_| Failure::internal("the built-in policy cannot be read"))?
        .policy;
    let request = request(&policy, vessel, Layers::NONE);
    let found = Site::find();
    let host = Host::probe(&request, Support::of_group(&found))?;
    let mut examination = doctor::examine(&request, &host, found.ok().map(|site| site.describe()));
    if examination.is_complete() {
        if !json {
            crate::terminal::progress("trying a run");
        }
        // What switches and versions promise, only an attempt shows.
        let mut signals = Signals::install().map_err(|error| Failure::internal(error.to_string()))?;
        examination.trial = inner::trial(vessel, clock, &mut signals).err().map(|failure| failure.message);
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&examination).unwrap_or_default());
    } else {
        print!("{examination}");
    }
    Ok(if examination.is_complete() { Ending::Done } else { Ending::NoSandbox })
}
