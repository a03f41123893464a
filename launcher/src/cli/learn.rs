//! `repy-launch learn`: reads the program, runs it under a permissive policy,
//! and writes down what it needed.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use policies::start::Mode;
use policies::Policy;

use super::apart;
use super::arguments::{layers, LearnLine};
use super::describe::About;
use super::failure::Failure;
use super::inner::{self, Inner, Over};
use super::input::{self, VesselDirectory};
use super::{prepare, Clock};
use crate::broker::{AddressOptions, Listed};
use crate::learn::{self, Learnt};
use crate::monitor::disk;
use crate::supervise::partner::Collector;
use crate::supervise::signals::Signals;
use crate::terminal::errln;
use crate::terminal::progress;
use crate::verdict::Ending;

/// Learns; the exit status is that of the program's run.
pub fn learn(line: &LearnLine, clock: &Clock) -> u8 {
    match attempt(line, clock) {
        Ok(ending) => ending.code(),
        Err(failure) => {
            errln!("repy-launch: {failure}");
            failure.ending.code()
        }
    }
}

fn attempt(line: &LearnLine, clock: &Clock) -> Result<Ending, Failure> {
    let path = Path::new(&line.program);
    let name = path.to_string_lossy();
    let program = input::program(path)?;
    if let Some(output) = &line.output {
        apart::keep_apart(&[("program", path)], &[("output", output)])?;
    }
    let place = line.output.as_deref().map(|path| prepare::place("output", path)).transpose()?;
    let mut signals = Signals::install().map_err(|error| Failure::internal(error.to_string()))?;
    let reading = inner::read(path, program.clone(), None, clock, &mut signals)?;
    if !reading.sound {
        return Err(refused(&name, &reading.collected));
    }
    let granted = granted(line, &reading.collected);
    let policy = learn::permissive(&granted, disk_used(&line.vessel)?);
    // The program's output must not get into the file that is printed.
    let out = if place.is_none() { Some(output_aside()?) } else { None };
    progress(&format!("learning from a run of {}; Ctrl-C ends it", crate::terminal::harmless(&name)));
    let collector = Rc::new(RefCell::new(Collector::default()));
    let inner = Inner {
        mode: Mode::Record,
        policy: &policy,
        policy_name: "learning".to_owned(),
        name: &line.program,
        program,
        arguments: &line.arguments,
        vessel: &line.vessel,
        files: vec![("program", PathBuf::from(&line.program))],
        waived: layers(&line.without),
        spare: false,
        interp: None,
        wall: line.wall,
        addresses: AddressOptions {
            listed: line.ip.iter().map(|address| Listed::Address(*address)).collect(),
            only_listed: false,
        },
        partner: Box::new(Rc::clone(&collector)),
        about: Some(About { name: None, policy: "(learning)".to_owned(), program: prepare::absolute(path) }),
    };
    let over = inner.run(clock, &mut signals)?;
    let collected = std::mem::take(&mut *collector.borrow_mut());
    let text = text(&name, &over, &collected);
    if !line.quiet {
        notes(&over, &collected, &granted);
    }
    if line.verbose {
        over.summary();
    }
    // Whatever the program did, what is written must be a restrictions file.
    if Policy::parse(text.as_bytes(), "learnt").is_err() {
        return Err(Failure::internal("what was learnt is no restrictions file"));
    }
    let written = match (&place, out) {
        (Some(place), _) => place.write(text.as_bytes()),
        (None, Some(out)) => File::from(out).write_all(text.as_bytes()),
        (None, None) => Ok(()),
    };
    written.map_err(|error| Failure::input(format!("writing the restrictions: {error}")))?;
    Ok(over.ended.finding.ending)
}

/// The reasons why a program cannot be run at all.
fn refused(name: &str, collected: &Collector) -> Failure {
    let name = crate::terminal::harmless(name);
    let mut message = format!("program '{name}' is refused:");
    for finding in &collected.findings {
        let remark = crate::check::Remark::from(finding);
        let shown = crate::check::Shown { program: &name, word: "error", remark: &remark, colours: false };
        message.push_str(&format!("\n{shown}"));
    }
    Failure { ending: Ending::Refused, message: message.trim_end().to_owned() }
}

/// The ports that may be the program's own: those it names, those it is told,
/// and those the operator adds.
fn granted(line: &LearnLine, collected: &Collector) -> BTreeSet<(bool, u16)> {
    let mut granted = learn::ports(&collected.calls);
    let told = line.arguments.iter().filter_map(|word| word.to_str()?.parse::<u16>().ok());
    for port in told.filter(|port| *port > 0) {
        granted.extend([(false, port), (true, port)]);
    }
    granted.extend(line.messport.iter().map(|port| (false, *port)));
    granted.extend(line.connport.iter().map(|port| (true, *port)));
    granted
}

fn disk_used(path: &Path) -> Result<u64, Failure> {
    use std::os::fd::AsFd;
    let vessel = VesselDirectory::open(path, std::env::var_os("HOME").map(PathBuf::from))?;
    disk::count(vessel.directory.as_fd())
        .map_err(|error| Failure::on_path("counting the vessel directory", path, &error))
}

/// From here on what the program prints goes to standard error.
fn output_aside() -> Result<OwnedFd, Failure> {
    let failed = |errno: nix::errno::Errno| Failure::internal(format!("standard output: {}", errno.desc()));
    let out = nix::unistd::dup(std::io::stdout()).map_err(failed)?;
    nix::unistd::dup2_stdout(std::io::stderr()).map_err(failed)?;
    Ok(out)
}

fn text(name: &str, over: &Over, collected: &Collector) -> String {
    let used = &over.ended.used;
    let finding = &over.ended.finding;
    let (before, after, peak) = used.disk;
    let counted =
        over.ended.told.counters.iter().find(|counter| counter.resource == policies::Resource::DiskUsed);
    learn::restrictions(&Learnt {
        program: name,
        ending: format!("exit {}: {}", finding.ending.code(), finding.reason),
        elapsed: over.elapsed.as_secs_f64(),
        processor: used.cpu.as_secs_f64(),
        memory: used.memory_peak,
        disk: before.max(after).max(peak).max(counted.map_or(0, |counter| counter.peak)),
        counters: &over.ended.told.counters,
        calls: &collected.calls,
    })
}

/// What the operator must know to trust the file.
fn notes(over: &Over, collected: &Collector, granted: &BTreeSet<(bool, u16)>) {
    let ending = over.ended.finding.ending;
    if ending != Ending::Done {
        errln!(
            "repy-launch: note: the run ended with exit {} ({}): the restrictions hold what it needed up to there",
            ending.code(),
            over.ended.finding.reason
        );
    }
    for (tcp, port) in learn::ports(&collected.calls).difference(granted) {
        let (option, name) = if *tcp { ("--connport", "TCP") } else { ("--messport", "UDP") };
        errln!(
            "repy-launch: note: the run asked for {name} port {port} and was refused, since neither program nor \
             arguments name it: learn again with {option} {port}"
        );
    }
}
