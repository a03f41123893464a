//! The main path: prepare → plan → launch → supervise → report.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

use policies::{Resource, RESOURCES};

use super::apart;
use super::arguments::Options;
use super::describe::{About, Asked, Outcome};
use super::failure::{describe, Failure};
use super::input::VesselDirectory;
use super::prepare;
use super::Clock;
use crate::apply::{self, CgroupEntry, Launched, Timing};
use crate::broker::{Settings, Unbindable};
use crate::cgroup::{self, Group, Site};
use crate::events::Events;
use crate::facts::{Host, Support};
use crate::logfile::{CircularLog, Keeping};
use crate::metrics::Metrics;
use crate::output::Output;
use crate::plan::layer::{Layer, Layers};
use crate::plan::{self, Plan, Refusal};
use crate::report::atomic::Place;
use crate::report::Report;
use crate::request::Request;
use crate::status::{Status, StatusFile};
use crate::stopfile::StopFile;
use crate::supervise::broker::Broker;
use crate::supervise::ending::Limits;
use crate::supervise::outward::Outward;
use crate::supervise::signals::Signals;
use crate::supervise::{self, Ended, Run};
use crate::sys::process;
use crate::terminal::harmless;
use crate::terminal::{errln, out, outln};
use crate::verdict::Ending;

/// Runs a program; the exit status.
pub fn run(options: &Options, clock: &Clock) -> u8 {
    let mut report = Report::new(clock.seconds_since_1970);
    let mut place = None;
    let mut outward = Outward::default();
    let result = attempt(options, clock, &mut report, &mut place, &mut outward);
    let ending = match &result {
        Ok(ending) => *ending,
        Err(failure) => {
            errln!("repy-launch: {failure}");
            report.conclude(failure.ending, &failure.message, clock.started.elapsed());
            failure.ending
        }
    };
    outward.ended(&report, ending);
    if options.timings {
        print_timings(&report);
    }
    if options.servicelog && ending == Ending::Internal {
        super::servicelog::send(&report);
    }
    if let Some(place) = place {
        if let Err(error) = place.write(report.to_json().as_bytes()) {
            errln!("repy-launch: report '{}': {}", place.path().display(), describe(&error));
        }
    }
    ending.code()
}

/// Durations of the launcher's own steps.
pub(super) struct Steps {
    last: Instant,
    list: Vec<Timing>,
}

impl Steps {
    /// Begins to count.
    pub(super) fn new(started: Instant) -> Steps {
        Steps { last: started, list: Vec::new() }
    }

    fn done(&mut self, step: &'static str) {
        let now = Instant::now();
        self.list.push(Timing { step, took: now - self.last });
        self.last = now;
    }
}

/// Where events go, from the first mistake on.
fn events(options: &Options) -> Result<Events, Failure> {
    let (file, journal) = (options.events.as_deref(), options.journald.as_deref());
    Events::open(file, journal, options.name.as_deref()).map_err(|error| match file {
        Some(file) => Failure::on_path("events", file, &error),
        None => Failure::internal(format!("the journal's socket: {}", describe(&error))),
    })
}

fn metrics(options: &Options, policy: &policies::Policy) -> Result<Option<Metrics>, Failure> {
    let Some(path) = &options.metrics else { return Ok(None) };
    let place = prepare::place("metrics", path)?;
    let limits = RESOURCES.iter().map(|facts| (facts.name, policy.amount(facts.resource))).collect();
    let program = options.program.to_string_lossy();
    Ok(Some(Metrics::new(place, options.name.as_deref(), &program, limits)))
}

fn attempt(
    options: &Options,
    clock: &Clock,
    report: &mut Report,
    place: &mut Option<Place>,
    outward: &mut Outward,
) -> Result<Ending, Failure> {
    let mut steps = Steps::new(clock.started);
    // From here on Ctrl-C ends the run in order, whenever it comes.
    let mut signals =
        Signals::install().map_err(|error| Failure::internal(format!("signals: {}", describe(&error))))?;
    if let Some(directory) = &options.cwd {
        std::env::set_current_dir(directory)
            .map_err(|error| Failure::on_path("changing to directory", directory, &error))?;
    }
    apart::check(options)?;
    if let Some(path) = &options.report {
        *place = Some(prepare::place("report", path)?);
    }
    outward.set_events(events(options)?);
    let profile = options.profile.as_deref().map(|path| prepare::place("profile", path)).transpose()?;
    steps.done("read the command line");
    let prepared = prepare::prepare(options, clock, report)?;
    steps.done("read policy and program");

    let (site, support) = find_site(options.without, options.plan)?;
    steps.done("look for a control group");
    let host = Host::probe(&prepared.request, support)?;
    let plan = plan::plan(&prepared.request, &host)?;
    report.describe_plan(&plan);
    steps.done("probe and plan");
    if options.plan {
        out!("{plan}");
        if let Some(site) = &site {
            outln!("control group: {}", site.describe());
        }
        report.conclude(Ending::Done, "only the plan was asked for", clock.started.elapsed());
        return Ok(Ending::Done);
    }
    let partner = match options.ask {
        true => super::ask::partner(&prepared.policy, &options.policy.to_string_lossy())?,
        false => None,
    };
    warn(options, &plan, Unbindable::find(&prepared.policy).as_ref());

    // The operator's files come into being only now, when the run will begin.
    let stop = options.stop.as_deref().map(watch_stop).transpose()?;
    let status = options.status.as_deref().map(start_status).transpose()?;
    let log = options.logfile.as_deref().map(|path| open_log(path, &prepared.vessel)).transpose()?;
    if let Some(metrics) = metrics(options, &prepared.policy)? {
        outward.set_metrics(metrics);
    }
    let started = start(&prepared.request, options.timings, &plan, &host, site, &mut steps);
    let (mut launched, group) = match started {
        Ok(started) => started,
        Err(failure) => {
            if let Some(mut status) = status {
                // The failure itself is what the operator must hear of.
                let _ = status.write(Status::Terminated);
            }
            return Err(failure);
        }
    };
    steps.list.extend(launched.timings.iter().cloned());
    steps.last = Instant::now();

    let policy = &prepared.policy;
    let outcome = Outcome::take(&mut launched, group.as_ref(), &host);
    let asked = Asked::new(policy, prepared.request.demand.send_anywhere.value, report);
    let plan_of_run = &plan;
    let Launched { pidfd, pid, stdout, stderr, control, broker_end, scratch, .. } = launched;
    let output = Output::new(stdout, stderr, policy.amount(Resource::LogRate), log, Instant::now())
        .map_err(|error| Failure::internal(format!("standard output: {}", describe(&error))))?;
    let broker = prepared.request.demand.network.value.then(|| -> Box<dyn Broker> {
        let restrictions = !options.norestrictions;
        // What was asked inside is not asked again.
        let policy = if options.ask { policy.with_prompts_passed() } else { policy.clone() };
        Box::new(Settings::new(policy, restrictions, options.addresses.clone(), &host, plan.enforced))
    });
    let run = Run {
        pidfd,
        pid,
        control,
        network: broker_end,
        group,
        output,
        status,
        stop,
        scratch: scratch.is_some(),
        vessel: (scratch.unwrap_or(prepared.vessel.directory), prepared.disk_used),
        limits: limits(policy),
        cpu_share: policy.amount(Resource::Cpu),
        wall: options.wall,
        started: clock.started,
        broker,
        describe: Some(Box::new(move || outcome.record(About::run(options), clock, &asked, plan_of_run))),
        partner,
    };
    let ended = supervise::supervise(run, &mut signals, outward)
        .map_err(|error| Failure::internal(format!("the monitor cannot begin: {}", describe(&error))))?;
    steps.done("run and supervise");
    report.describe_run(&ended, policy);
    if let Some(place) = profile {
        if let Err(error) = place.write(ended.told.profile.to_text().as_bytes()) {
            errln!("repy-launch: profile '{}': {}", place.path().display(), describe(&error));
        }
    }
    report.add_timings(&steps.list);
    report.conclude(ended.finding.ending, &ended.finding.reason, clock.started.elapsed());
    if ended.finding.ending == Ending::ForbiddenCall {
        say_forbidden(report);
    }
    if options.verbose {
        summary(&ended, report);
    }
    Ok(ended.finding.ending)
}

/// Looks for a place for the control group, unless the layer is waived. An
/// ordinary user whose login session is not delegated is moved into a scope of
/// its own, if its systemd can be asked.
pub(super) fn find_site(waived: Layers, only_look: bool) -> Result<(Option<Site>, Support), Failure> {
    if waived.contains(Layer::Cgroup) {
        return Ok((None, Support::no("waived")));
    }
    let found = Site::find();
    let support = Support::of_group(&found);
    match found {
        Ok(site) => Ok((Some(site), support)),
        Err(missing) if missing.scope_possible && !only_look => {
            if let Err(error) = cgroup::enter_scope() {
                let reason =
                    format!("{}; asking systemd for a scope failed: {}", missing.reason, describe(&error));
                return Ok((None, Support::No { reason, remedy: Some(missing.remedy) }));
            }
            let found = Site::find();
            let support = Support::of_group(&found);
            Ok((found.ok(), support))
        }
        Err(_) => Ok((None, support)),
    }
}

/// Makes the control group and the sandbox in it.
pub(super) fn start(
    request: &Request,
    timings: bool,
    plan: &Plan,
    host: &Host,
    site: Option<Site>,
    steps: &mut Steps,
) -> Result<(Launched, Option<Group>), Failure> {
    let mut group = match (plan.group(), &site) {
        (Some(limits), Some(site)) => {
            let made = Group::create(site, &limits, request.demand.network.value);
            Some(made.map_err(|missing| Refusal {
                layer: Some(Layer::Cgroup),
                reason: missing.reason,
                remedy: missing.remedy,
            })?)
        }
        _ => None,
    };
    let entry = match &group {
        Some(group) => group
            .entry()
            .map_err(|error| Failure { ending: Ending::NoSandbox, message: error.to_string() })?,
        None => CgroupEntry::default(),
    };
    steps.done("make the control group");
    let meanwhile = || {
        if let (Some(group), Some(site)) = (&mut group, &site) {
            group.while_it_starts(site);
        }
    };
    let launched = apply::launch(plan, request, &host.vessel, entry, meanwhile, timings)?;
    if let Some(Err(error)) = group.as_ref().map(Group::hold_start) {
        process::kill_and_reap(launched.pidfd.as_fd());
        return Err(Failure { ending: Ending::NoSandbox, message: error.to_string() });
    }
    Ok((launched, group))
}

fn watch_stop(path: &Path) -> Result<StopFile, Failure> {
    StopFile::watch(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::input(error.to_string()),
        _ => Failure::on_path("stop file", path, &error),
    })
}

fn start_status(prefix: &Path) -> Result<StatusFile, Failure> {
    StatusFile::start(prefix).map_err(|error| Failure::on_path("status file", prefix, &error))
}

fn open_log(path: &Path, vessel: &VesselDirectory) -> Result<CircularLog, Failure> {
    let keeping = if vessel.name_of(path).is_some() { Keeping::InPlace } else { Keeping::Renaming };
    CircularLog::open(path, keeping).map_err(|error| Failure::on_path("log file", path, &error))
}

pub(super) fn limits(policy: &policies::Policy) -> Limits {
    Limits {
        memory: policy.whole(Resource::Memory),
        memory_line: policy.line(Resource::Memory).unwrap_or(0),
        disk: policy.whole(Resource::DiskUsed),
        disk_line: policy.line(Resource::DiskUsed).unwrap_or(0),
    }
}

/// What the operator gave up is said each time, and what cannot work.
fn warn(options: &Options, plan: &Plan, unbindable: Option<&Unbindable>) {
    if options.quiet {
        return;
    }
    for layer in plan.waived.iter() {
        errln!("repy-launch: warning: without layer '{layer}', which would hold {}", layer.holds());
    }
    if let Some(ports) = unbindable {
        errln!("repy-launch: warning: {ports}");
    }
    if options.norestrictions {
        errln!("repy-launch: warning: --norestrictions: no call rule is checked; limits and sandbox hold");
    }
}

/// The death by filter, told by the launcher: the interpreter had no time to.
fn say_forbidden(report: &Report) {
    let Some(call) = &report.forbidden_call else { return };
    match (call.number, call.name) {
        (Some(number), name) => {
            errln!("repy-launch: {}: {} (number {number})", report.reason, name.unwrap_or("an unknown call"));
        }
        _ => errln!("repy-launch: {}; this command finds it: {}", report.reason, call.find_with),
    }
}

fn summary(ended: &Ended, report: &Report) {
    errln!(
        "repy-launch: {} (exit {}): {}; {:.3} s, processor {:.3} s, memory {} bytes at most",
        report.ending,
        report.exit_code,
        // The words of an exception are the program's own.
        harmless(&report.reason),
        report.elapsed_seconds,
        ended.used.cpu.as_secs_f64(),
        ended.used.memory_peak,
    );
}

fn print_timings(report: &Report) {
    for timing in &report.timings {
        errln!("{:>9} us  {}", timing.microseconds, timing.step);
    }
    errln!("{:>9.0} us  in all", report.elapsed_seconds * 1e6);
}
