//! From the options to a request: reads and checks everything that the operator
//! named, and changes nothing.

use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use policies::start::{Mode, StartBlock};
use policies::Policy;

use super::arguments::Options;
use super::failure::{describe, Failure};
use super::input::{self, VesselDirectory};
use super::Clock;
use crate::apply::scratch;
use crate::logfile::CircularLog;
use crate::monitor::disk;
use crate::plan::demand::Demand;
use crate::report::atomic::Place;
use crate::report::{FileReport, Report};
use crate::request::{Request, Reserved};
use crate::terminal::errln;

/// A request that is sound in itself; the host may still refuse it.
#[derive(Debug)]
pub struct Prepared {
    /// For the plan and the launch.
    pub request: Request,
    /// The policy.
    pub policy: Policy,
    /// The vessel.
    pub vessel: VesselDirectory,
    /// Bytes used in it, 4096 more for each entry.
    pub disk_used: u64,
}

/// Reads and checks; what is learnt on the way goes into the report.
///
/// # Errors
/// The first thing that cannot be used.
pub fn prepare(options: &Options, clock: &Clock, report: &mut Report) -> Result<Prepared, Failure> {
    report.name.clone_from(&options.name);
    report.call_rules_checked = !options.norestrictions;
    let colours = !options.quiet && crate::terminal::colours(std::io::stderr());
    let file = input::policy(&options.policy, colours)?;
    report.policy = Some(FileReport::new(&options.policy.to_string_lossy(), &file.content));
    if options.verbose {
        for warning in &file.parsed.warnings {
            errln!("{}", warning.render(colours).trim_end());
        }
    }
    let policy = file.parsed.policy;
    let program_path = Path::new(&options.program);
    let program = input::program(program_path)?;
    report.program = Some(FileReport::new(&options.program.to_string_lossy(), &program));

    let path = options.vessel.clone().unwrap_or_else(|| PathBuf::from("."));
    let vessel = VesselDirectory::open(&path, std::env::var_os("HOME").map(PathBuf::from))?;
    report.vessel = Some(absolute(&path));
    let interpreter = input::interpreter(options.interp.as_deref())?;
    report.interpreter = Some(absolute(&interpreter));
    let reserved = reserved(options, &vessel);
    let counted = match options.scratch {
        true => scratch::survey(vessel.directory.as_fd(), &reserved),
        false => disk::count(vessel.directory.as_fd()),
    };
    let disk_used =
        counted.map_err(|error| Failure::on_path("counting the vessel directory", &path, &error))?;

    let demand = Demand::of(&policy, !options.norestrictions);
    let start = StartBlock {
        policy_text: policy.to_string(),
        policy_name: options.policy.to_string_lossy().into_owned(),
        program_name: options.program.as_bytes().to_vec(),
        program,
        callargs: options.arguments.iter().map(|word| word.as_bytes().to_vec()).collect(),
        simple: options.simple,
        execinfo: options.execinfo,
        restrictions: !options.norestrictions,
        started_ns: clock.monotonic_ns,
        reserved: names(&reserved, options, &vessel),
        disk_used,
        max_accepted: options.max_accepted,
        network: demand.network.value,
        hash_seed: hash_seed(),
        mode: Mode::Run,
        ask: options.ask,
        profile: options.profile.is_some(),
    };
    let start_block =
        start.encode().map_err(|error| Failure::input(format!("the command line is too long: {error}")))?;
    let mut arguments = vec![options.program.clone()];
    arguments.extend(options.arguments.iter().cloned());
    let request = Request {
        demand,
        vessel: path,
        interpreter,
        arguments,
        reserved,
        waived: options.without,
        scratch: options.scratch,
        max_accepted: options.max_accepted,
        start_block,
    };
    if options.scratch && disk_used > request.demand.diskused.value {
        return Err(scratch::too_much(&request, Some(disk_used)).into());
    }
    Ok(Prepared { request, policy, vessel, disk_used })
}

/// A number nobody can guess, for the hashes of this run. The standard library
/// seeds its own hash tables from the kernel's random numbers.
pub(super) fn hash_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A path as it is from everywhere, for people.
pub fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

/// The operator's files that lie in the vessel.
fn reserved(options: &Options, vessel: &VesselDirectory) -> Vec<Reserved> {
    let mut files: Vec<(&'static str, PathBuf)> =
        vec![("policy", options.policy.clone()), ("program", PathBuf::from(&options.program))];
    files.extend(options.report.clone().map(|path| ("report", path)));
    files.extend(options.profile.clone().map(|path| ("profile", path)));
    files.extend(options.stop.clone().map(|path| ("stop file", path)));
    files.extend(options.metrics.clone().map(|path| ("metrics", path)));
    files.extend(options.events.clone().map(|path| ("events", path)));
    if let Some(log) = &options.logfile {
        files.extend(CircularLog::names(log).map(|path| ("log", path)));
    }
    let mut reserved: Vec<Reserved> = Vec::new();
    for (role, path) in files {
        let Some(name) = vessel.name_of(&path) else { continue };
        if reserved.iter().all(|other| other.name != name) {
            // A log in the vessel is made before the launch, both files of it.
            let exists = role == "log" || vessel.has_file(&name);
            reserved.push(Reserved { name, role, exists });
        }
    }
    reserved
}

/// The same as the interpreter is told them. Names of status files change every
/// second: they are given as a prefix with a star, which no file name of the
/// program can hold.
fn names(reserved: &[Reserved], options: &Options, vessel: &VesselDirectory) -> Vec<String> {
    let mut names: Vec<OsString> = reserved.iter().map(|file| file.name.clone()).collect();
    if let Some(mut prefix) = options.status.as_deref().and_then(|prefix| vessel.name_of(prefix)) {
        prefix.push("-*");
        names.push(prefix);
    }
    // The program cannot write a name that is no UTF-8, so it needs no guard.
    names.into_iter().filter_map(|name| name.into_string().ok()).collect()
}

/// The place of a file that the launcher will write, checked.
///
/// # Errors
/// Its directory does not exist, or something that is no regular file is there.
pub fn place(what: &str, path: &Path) -> Result<Place, Failure> {
    let place = Place::open(path).and_then(|place| place.check().map(|()| place));
    place.map_err(|error| Failure::input(format!("{what} '{}': {}", path.display(), describe(&error))))
}
