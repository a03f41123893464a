//! `repy-launch repl`: a session in a sandbox.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use policies::start::Mode;
use policies::Policy;

use super::arguments::{layers, ReplLine};
use super::describe::About;
use super::failure::{describe, Failure};
use super::inner::{EmptyDirectory, Inner};
use super::prepare::absolute;
use super::{input, Clock};
use crate::broker::AddressOptions;
use crate::repl::{restore, Console};
use crate::supervise::signals::Signals;
use crate::terminal::{colours, is_terminal};
use crate::terminal::{errln, outln};

/// Holds a session; the exit status.
pub fn repl(line: &ReplLine, clock: &Clock) -> u8 {
    let result = attempt(line, clock);
    restore();
    match result {
        Ok(code) => code,
        Err(failure) => {
            errln!("repy-launch: {failure}");
            failure.ending.code()
        }
    }
}

fn attempt(line: &ReplLine, clock: &Clock) -> Result<u8, Failure> {
    let (policy, policy_name) = policy(line.policy.as_deref(), line.verbose)?;
    let empty = match line.vessel {
        Some(_) => None,
        None => Some(EmptyDirectory::new()?),
    };
    let here = PathBuf::from(".");
    let vessel = line.vessel.as_ref().or(empty.as_ref().map(|empty| &empty.path)).unwrap_or(&here);
    let mut signals = Signals::install().map_err(|error| Failure::internal(error.to_string()))?;
    if !line.quiet && is_terminal(std::io::stdin()) {
        outln!(
            "repy-launch {}: a session in a sandbox, under {policy_name}. The API is there; Ctrl-C ends a statement, \
             Ctrl-D the session.",
            env!("CARGO_PKG_VERSION")
        );
    }
    let console =
        Console::new().map_err(|error| Failure::internal(format!("the terminal: {}", describe(&error))))?;
    let inner = Inner {
        mode: Mode::Session,
        policy: &policy,
        policy_name,
        name: OsStr::new("<stdin>"),
        program: Vec::new(),
        arguments: &[],
        vessel,
        files: line.policy.iter().map(|path| ("policy", path.clone())).collect(),
        waived: layers(&line.without),
        spare: false,
        interp: None,
        wall: None,
        addresses: AddressOptions::default(),
        partner: Box::new(console),
        about: Some(About {
            name: None,
            policy: line.policy.as_deref().map_or_else(|| "restrictions.test".to_owned(), absolute),
            program: "(session)".to_owned(),
        }),
    };
    let over = inner.run(clock, &mut signals)?;
    if line.verbose {
        over.summary();
    }
    Ok(over.ended.finding.ending.code())
}

fn policy(path: Option<&Path>, verbose: bool) -> Result<(Policy, String), Failure> {
    match path {
        Some(path) => {
            let colours = colours(std::io::stderr());
            let file = input::policy(path, colours)?;
            for warning in file.parsed.warnings.iter().filter(|_| verbose) {
                errln!("{}", warning.render(colours).trim_end());
            }
            Ok((file.parsed.policy, path.to_string_lossy().into_owned()))
        }
        None => Policy::parse(policies::samples::TEST.as_bytes(), "restrictions.test")
            .map(|parsed| (parsed.policy, "the sample restrictions.test".to_owned()))
            .map_err(|_| Failure::internal("the built-in policy cannot be read")),
    }
}
