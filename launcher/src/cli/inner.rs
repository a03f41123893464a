//! Runs that the launcher makes for a question of its own: to read a program,
//! to learn from it, to hold a session. They go the way of every run.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use policies::start::{Mode, StartBlock};
use policies::{Policy, PolicyBuilder, Resource};

use super::arguments::MAX_ACCEPTED;
use super::describe::{About, Asked, Outcome};
use super::failure::{describe, Failure};
use super::input::{self, VesselDirectory};
use super::prepare::{absolute, hash_seed};
use super::run::{find_site, limits, start, Steps};
use super::Clock;
use crate::apply::Launched;
use crate::broker::{AddressOptions, Settings};
use crate::facts::Host;
use crate::monitor::disk;
use crate::output::Output;
use crate::plan::demand::Demand;
use crate::plan::layer::{Layer, Layers};
use crate::plan::{self, Plan};
use crate::report::{FileReport, Report};
use crate::request::{Request, Reserved};
use crate::supervise::broker::Broker;
use crate::supervise::outward::{Describe, Outward};
use crate::supervise::partner::{Collector, Partner};
use crate::supervise::signals::Signals;
use crate::supervise::{self, Ended, Run};
use crate::terminal::errln;

/// One such run.
pub struct Inner<'a> {
    /// What the interpreter is to do.
    pub mode: Mode,
    /// What holds.
    pub policy: &'a Policy,
    /// The policy's name, for messages.
    pub policy_name: String,
    /// The program's name.
    pub name: &'a OsStr,
    /// Its text.
    pub program: Vec<u8>,
    /// Its arguments.
    pub arguments: &'a [OsString],
    /// Its directory.
    pub vessel: &'a Path,
    /// Files in it that are the operator's.
    pub files: Vec<(&'static str, PathBuf)>,
    /// Layers given up by name.
    pub waived: Layers,
    /// Whether layers that this host lacks are given up too: for reading only.
    pub spare: bool,
    /// `--interp`.
    pub interp: Option<&'a Path>,
    /// `--wall`.
    pub wall: Option<Duration>,
    /// Addresses the program may use.
    pub addresses: AddressOptions,
    /// Who talks with the interpreter.
    pub partner: Box<dyn Partner>,
    /// What ps, top, audit and stop call the run; none where it is over at once.
    pub about: Option<About>,
}

/// How it went.
pub struct Over {
    /// What the supervisor saw.
    pub ended: Ended,
    /// From the launch to the end.
    pub elapsed: Duration,
}

impl Over {
    /// Tells in a line how it went.
    pub fn summary(&self) {
        let finding = &self.ended.finding;
        errln!(
            "repy-launch: exit {}: {}; {:.3} s, processor {:.3} s, memory {} bytes at most",
            finding.ending.code(),
            crate::terminal::harmless(&finding.reason),
            self.elapsed.as_secs_f64(),
            self.ended.used.cpu.as_secs_f64(),
            self.ended.used.memory_peak,
        );
    }
}

impl Inner<'_> {
    /// Runs to the end.
    ///
    /// # Errors
    /// It did not begin.
    pub fn run(self, clock: &Clock, signals: &mut Signals) -> Result<Over, Failure> {
        let vessel = VesselDirectory::open(self.vessel, std::env::var_os("HOME").map(PathBuf::from))?;
        let disk_used = disk::count(vessel.directory.as_fd())
            .map_err(|error| Failure::on_path("counting the vessel directory", self.vessel, &error))?;
        let request = self.request(&vessel, disk_used, clock)?;
        let (site, support) = find_site(self.waived, self.spare)?;
        let host = Host::probe(&request, support)?;
        let (request, plan) = planned(request, &host, self.spare)?;
        let site = site.filter(|_| plan.enforced.contains(Layer::Cgroup));
        let started = Instant::now();
        let mut steps = Steps::new(started);
        let (mut launched, group) = start(&request, false, &plan, &host, site, &mut steps)?;
        let outcome = Outcome::take(&mut launched, group.as_ref(), &host);
        let asked =
            Asked::new(self.policy, request.demand.send_anywhere.value, &self.report(&request, &plan, clock));
        let plan_of_run = &plan;
        let about = self.about;
        let listed = about.map(|about| -> Describe<'_> {
            Box::new(move || outcome.record(about, clock, &asked, plan_of_run))
        });
        let Launched { pidfd, pid, stdout, stderr, control, broker_end, .. } = launched;
        let output = Output::new(stdout, stderr, self.policy.amount(Resource::LogRate), None, started)
            .map_err(|error| Failure::internal(format!("standard output: {}", describe(&error))))?;
        let broker = request.demand.network.value.then(|| -> Box<dyn Broker> {
            Box::new(Settings::new(self.policy.clone(), true, self.addresses, &host, plan.enforced))
        });
        let run = Run {
            pidfd,
            pid,
            control,
            network: broker_end,
            group,
            output,
            status: None,
            stop: None,
            scratch: false,
            vessel: (vessel.directory, disk_used),
            limits: limits(self.policy),
            cpu_share: self.policy.amount(Resource::Cpu),
            wall: self.wall,
            started,
            broker,
            describe: listed,
            partner: Some(self.partner),
        };
        let ended = supervise::supervise(run, signals, &mut Outward::default())
            .map_err(|error| Failure::internal(format!("the monitor cannot begin: {}", describe(&error))))?;
        Ok(Over { ended, elapsed: started.elapsed() })
    }

    /// What the record of the run says of it.
    fn report(&self, request: &Request, plan: &Plan, clock: &Clock) -> Report {
        let mut report = Report::new(clock.seconds_since_1970);
        report.describe_plan(plan);
        report.policy = Some(FileReport::new(&self.policy_name, self.policy.to_string().as_bytes()));
        report.vessel = Some(absolute(self.vessel));
        report.interpreter = Some(absolute(&request.interpreter));
        report
    }

    fn request(&self, vessel: &VesselDirectory, disk_used: u64, clock: &Clock) -> Result<Request, Failure> {
        let demand = Demand::of(self.policy, true);
        let mut reserved: Vec<Reserved> = Vec::new();
        for (role, path) in &self.files {
            let Some(name) = vessel.name_of(path) else { continue };
            if reserved.iter().all(|other| other.name != name) {
                let exists = vessel.has_file(&name);
                reserved.push(Reserved { name, role, exists });
            }
        }
        let block = StartBlock {
            policy_text: self.policy.to_string(),
            policy_name: self.policy_name.clone(),
            program_name: self.name.as_bytes().to_vec(),
            program: self.program.clone(),
            callargs: self.arguments.iter().map(|word| word.as_bytes().to_vec()).collect(),
            restrictions: true,
            started_ns: clock.monotonic_ns,
            reserved: reserved.iter().filter_map(|file| file.name.clone().into_string().ok()).collect(),
            disk_used,
            max_accepted: MAX_ACCEPTED,
            network: demand.network.value,
            hash_seed: hash_seed(),
            mode: self.mode,
            ..StartBlock::default()
        };
        let start_block = block
            .encode()
            .map_err(|error| Failure::input(format!("the command line is too long: {error}")))?;
        let mut arguments = vec![self.name.to_owned()];
        arguments.extend(self.arguments.iter().cloned());
        Ok(Request {
            demand,
            vessel: self.vessel.to_owned(),
            interpreter: input::interpreter(self.interp)?,
            arguments,
            reserved,
            waived: self.waived,
            scratch: false,
            max_accepted: MAX_ACCEPTED,
            start_block,
        })
    }
}

/// The plan; with `spare` without the layers that this host lacks. The filter
/// is never given up: it alone keeps a reader from everything but reading.
fn planned(mut request: Request, host: &Host, spare: bool) -> Result<(Request, Plan), Failure> {
    loop {
        match plan::plan(&request, host) {
            Ok(plan) => return Ok((request, plan)),
            Err(refusal) => match refusal.layer {
                Some(layer) if spare && layer != Layer::Seccomp && !request.waived.contains(layer) => {
                    request.waived.insert(layer);
                }
                _ => return Err(refusal.into()),
            },
        }
    }
}

/// What was read in a program's text.
pub struct Reading {
    /// What is wrong with it, and names that nothing defines.
    pub collected: Collector,
    /// The program can be run.
    pub sound: bool,
    /// Memory that reading and compiling it took.
    pub memory: u64,
}

/// Has the interpreter read a program, in a sandbox that allows nothing.
///
/// # Errors
/// It could not be read at all, or the interpreter failed.
pub fn read(
    name: &Path,
    program: Vec<u8>,
    interp: Option<&Path>,
    clock: &Clock,
    signals: &mut Signals,
) -> Result<Reading, Failure> {
    let empty = EmptyDirectory::new()?;
    inspect(name, program, &empty.path, None, interp, clock, signals)
}

/// Whether runs may have this directory as their vessel.
pub fn may_be_vessel(path: &Path) -> bool {
    VesselDirectory::open(path, std::env::var_os("HOME").map(PathBuf::from)).is_ok()
}

/// A run of an empty program in `vessel` with every layer but those given up.
///
/// # Errors
/// It did not begin, or did not end well.
pub fn trial(vessel: &Path, waived: Layers, clock: &Clock, signals: &mut Signals) -> Result<(), Failure> {
    inspect(Path::new("trial"), Vec::new(), vessel, Some(waived), None, clock, signals).map(drop)
}

/// Without `waived` whatever the host lacks is given up.
fn inspect(
    name: &Path,
    program: Vec<u8>,
    vessel: &Path,
    waived: Option<Layers>,
    interp: Option<&Path>,
    clock: &Clock,
    signals: &mut Signals,
) -> Result<Reading, Failure> {
    let spare = waived.is_none();
    let memory = if spare { READING_MEMORY } else { TRIAL_MEMORY };
    let policy = PolicyBuilder::new(1.0, memory, 1 << 40).set(Resource::LogRate, 1e6).build();
    let doing = match waived {
        Some(_) => "trying a run".to_owned(),
        None => format!("reading {}", crate::terminal::harmless(&name.to_string_lossy())),
    };
    let collector = Rc::new(RefCell::new(Collector { doing: Some(doing), ..Collector::default() }));
    let inner = Inner {
        mode: Mode::Inspect,
        policy: &policy,
        policy_name: "reading".to_owned(),
        name: name.as_os_str(),
        program,
        arguments: &[],
        vessel,
        files: Vec::new(),
        waived: waived.unwrap_or(Layers::NONE),
        spare,
        interp,
        wall: Some(READING_TIME),
        addresses: AddressOptions::default(),
        partner: Box::new(Rc::clone(&collector)),
        about: None,
    };
    let over = inner.run(clock, signals)?;
    let finding = over.ended.finding;
    let sound = match finding.ending.code() {
        0 => true,
        3 => false,
        _ => {
            let message = format!("reading program '{}': {}", name.display(), finding.reason);
            return Err(Failure { ending: finding.ending, message });
        }
    };
    let collected = std::mem::take(&mut *collector.borrow_mut());
    Ok(Reading { collected, sound, memory: over.ended.used.memory_peak })
}

/// Memory for reading a program of the largest size.
const READING_MEMORY: u64 = 2 << 30;
/// Memory for an empty one.
const TRIAL_MEMORY: u64 = 64 << 20;
/// Time for it.
const READING_TIME: Duration = Duration::from_secs(60);

/// A directory with nothing in it, for as long as this lives.
pub struct EmptyDirectory {
    /// Where it is.
    pub path: PathBuf,
}

impl EmptyDirectory {
    /// A new one, for this user alone.
    ///
    /// # Errors
    /// The directory for such things cannot be written.
    pub fn new() -> Result<EmptyDirectory, Failure> {
        let template = std::env::temp_dir().join("repy-launch-XXXXXX");
        nix::unistd::mkdtemp(&template)
            .map(|path| EmptyDirectory { path })
            .map_err(|errno| Failure::on_path("making a directory", &template, &errno.into()))
    }
}

impl Drop for EmptyDirectory {
    fn drop(&mut self) {
        // What cannot be removed lies in the directory for such things.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
