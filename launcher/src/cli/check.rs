//! `repy-launch check`: a restrictions file alone, or programs against it.

use std::io;
use std::path::Path;

use policies::Policy;
use serde_json::{json, Value};

use super::arguments::CheckLine;
use super::failure::Failure;
use super::{inner, input, Clock};
use crate::broker::Unbindable;
use crate::check::{self, Remark, Shown};
use crate::supervise::signals::Signals;
use crate::terminal::{colours, Progress};
use crate::terminal::{err, errln, out, outln};
use crate::verdict::Ending;

/// Checks; warnings go to standard output, errors to standard error. The exit
/// status is 0, 2 for the policy or a file that cannot be read, 3 for a program.
pub fn check(line: &CheckLine, clock: &Clock) -> u8 {
    let said = attempt(line, clock).unwrap_or_else(|failure| {
        match line.json {
            true => outln!("{:#}", json!({"exit_code": failure.ending.code(), "error": failure.message})),
            false => errln!("repy-launch: {failure}"),
        }
        failure.ending
    });
    said.code()
}

fn attempt(line: &CheckLine, clock: &Clock) -> Result<Ending, Failure> {
    let file = input::policy(&line.policy, !line.json && colours(io::stderr()))?;
    let policy = file.parsed.policy;
    let out = colours(io::stdout());
    let ports = Unbindable::find(&policy).map(|ports| ports.to_string());
    let warnings = file.parsed.warnings;
    if !line.json {
        let mut count = 0;
        for warning in warnings.iter().filter(|_| !line.quiet) {
            outln!("{}", warning.render(out).trim_end());
            count += 1;
        }
        if let (Some(ports), false) = (&ports, line.quiet) {
            outln!("warning: {ports}");
            count += 1;
        }
        verdict(line, &line.policy, count);
        if line.verbose {
            let named = policies::Resource::all().filter(|resource| policy.line(*resource).is_some()).count();
            outln!("  {named} resources and {} rules", policy.rules().len());
        }
    }
    let mut ending = Ending::Done;
    let mut programs = Vec::new();
    if !line.programs.is_empty() {
        let mut signals = Signals::install().map_err(|error| Failure::internal(error.to_string()))?;
        let mut progress = Progress::new();
        for (index, path) in line.programs.iter().enumerate() {
            progress.step(index + 1, line.programs.len(), &path.to_string_lossy());
            let read = program(&policy, path, clock, &mut signals)?;
            if !read.errors.is_empty() {
                ending = Ending::Refused;
            }
            if line.json {
                programs.push(read.json(path));
            } else {
                say(line, path, &read, out);
            }
        }
    }
    if line.json {
        let mut told: Vec<Value> =
            warnings.iter().map(|warning| Value::from(warning.render(false).trim_end())).collect();
        told.extend(ports.map(Value::from));
        let policy = json!({"name": line.policy.to_string_lossy(), "warnings": told});
        outln!("{:#}", json!({"exit_code": ending.code(), "policy": policy, "programs": programs}));
    }
    Ok(ending)
}

/// What was found in one program.
struct Read {
    /// Calls of the API in its text.
    calls: usize,
    /// Memory that reading it took.
    memory: u64,
    errors: Vec<Remark>,
    warnings: Vec<Remark>,
}

impl Read {
    fn json(&self, path: &Path) -> Value {
        json!({"name": path.to_string_lossy(), "errors": self.errors, "warnings": self.warnings})
    }
}

fn program(policy: &Policy, path: &Path, clock: &Clock, signals: &mut Signals) -> Result<Read, Failure> {
    let text = input::program(path)?;
    let reading = inner::read(path, text.clone(), None, clock, signals)?;
    let remarks: Vec<Remark> = reading.collected.findings.iter().map(Remark::from).collect();
    if !reading.sound {
        return Ok(Read { errors: remarks, warnings: Vec::new(), calls: 0, memory: reading.memory });
    }
    let mut warnings = remarks;
    warnings.extend(check::judge(policy, &reading.collected.calls));
    warnings.extend(check::memory(policy, reading.memory));
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    warnings.iter_mut().for_each(|warning| warning.quote(&lines));
    warnings.sort_by_key(|warning| if warning.line == 0 { u32::MAX } else { warning.line });
    let calls = reading.collected.calls.len();
    Ok(Read { errors: Vec::new(), warnings, calls, memory: reading.memory })
}

fn say(line: &CheckLine, path: &Path, read: &Read, out: bool) {
    let name = crate::terminal::harmless(&path.to_string_lossy());
    let shown = |word, remark, colours| Shown { program: &name, word, remark, colours };
    for remark in &read.errors {
        err!("{}", shown("error", remark, colours(io::stderr())));
    }
    let warnings = if line.quiet { &[] } else { &read.warnings[..] };
    for remark in warnings {
        out!("{}", shown("warning", remark, out));
    }
    match read.errors.len() {
        0 => {
            verdict(line, path, warnings.len());
            if line.verbose {
                outln!("  {} calls of the API; reading it took {} bytes of memory", read.calls, read.memory);
            }
        }
        1 => errln!("{name}: refused, 1 error"),
        n => errln!("{name}: refused, {n} errors"),
    }
}

fn verdict(line: &CheckLine, path: &Path, warnings: usize) {
    if line.quiet {
        return;
    }
    match warnings {
        0 => outln!("{}: good", path.display()),
        1 => outln!("{}: good, 1 warning", path.display()),
        n => outln!("{}: good, {n} warnings", path.display()),
    }
}
