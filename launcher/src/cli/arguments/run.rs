//! The options of a run.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, ArgMatches, Args};

use super::layers;
use crate::broker::{AddressOptions, Listed};
use crate::plan::layer::{Layer, Layers};

/// Accepted connections open at once, unless `--max-accepted` says otherwise.
pub const MAX_ACCEPTED: u32 = 1024;

#[derive(Clone, Debug, Args)]
pub(super) struct RunLine {
    /// The restrictions file
    #[arg(long, value_name = "FILE", required = true)]
    policy: Option<PathBuf>,
    /// The program's only directory [default: the current directory]
    #[arg(long, value_name = "DIR")]
    vessel: Option<PathBuf>,
    /// Run in a copy of the directory in memory, which is full exactly at diskused; nothing of it remains
    #[arg(long)]
    scratch: bool,
    /// Run this static binary in the interpreter's place [default: repy-interp beside repy-launch]
    #[arg(long, value_name = "PATH")]
    interp: Option<PathBuf>,
    /// Write what happened to FILE as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Append what happens to FILE, one line of JSON for each event
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Send the same events to the system journal (or to another SOCKET that speaks its protocol)
    #[arg(long, value_name = "SOCKET", num_args = 0..=1, require_equals = true, default_missing_value = crate::events::SOCKET)]
    journald: Option<PathBuf>,
    /// Keep limits, use, denials and outcome in FILE as OpenMetrics text, for a collector of text files
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// Write where the program's time went to FILE, as folded stacks for a flame graph
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Give up a layer of the sandbox by name (may be repeated)
    #[arg(long, value_name = "LAYER", action = ArgAction::Append, value_parser = PossibleValuesParser::new(Layer::ALL.map(Layer::name)))]
    without: Vec<String>,
    /// Stop the program after so many seconds (exit 7)
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = seconds)]
    wall: Option<Duration>,
    /// Keep the program's output in a circular log, NAME.old and NAME.new
    #[arg(long, value_name = "NAME")]
    logfile: Option<PathBuf>,
    /// Stop when this file appears; it may hold CODE;MESSAGE
    #[arg(long, value_name = "NAME")]
    stop: Option<PathBuf>,
    /// Keep a status file, PREFIX-STATUS-TIME
    #[arg(long, value_name = "PREFIX")]
    status: Option<PathBuf>,
    /// Change directory first: other paths are then relative to it
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// An address the program may bind (may be repeated)
    #[arg(long, value_name = "ADDRESS", action = ArgAction::Append)]
    ip: Vec<Ipv4Addr>,
    /// An interface whose addresses the program may bind (may be repeated)
    #[arg(long, value_name = "NAME", action = ArgAction::Append)]
    iface: Vec<String>,
    /// Forbid every address not named with --ip or --iface
    #[arg(long)]
    nootherips: bool,
    /// Accepted connections open at once before listeners pause
    #[arg(long, value_name = "N", default_value_t = MAX_ACCEPTED, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_accepted: u32,
    /// Run the text once as a plain script, without events
    #[arg(long)]
    simple: bool,
    /// Print a header before running
    #[arg(long)]
    execinfo: bool,
    /// Send internal errors to the system log too
    #[arg(long)]
    servicelog: bool,
    /// Do not check call rules; limits and sandbox hold
    #[arg(long)]
    norestrictions: bool,
    /// Ask on the terminal what `prompt` rules ask (otherwise they deny)
    #[arg(long)]
    ask: bool,
    /// A name for the run, for its report and for ps, stop, audit and top
    #[arg(long, value_name = "NAME", value_parser = run_name)]
    name: Option<String>,
    /// Print how long each step took
    #[arg(long)]
    timings: bool,
    /// Print the kernel controls of this run in order, and run nothing
    #[arg(long)]
    plan: bool,
    /// No warnings
    #[arg(short, long)]
    quiet: bool,
    /// Warnings of the policy, and a summary at the end
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
    /// The program file
    #[arg(value_name = "PROGRAM", required = true)]
    program: Option<OsString>,
}

/// The options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The restrictions file.
    pub policy: PathBuf,
    /// The program file, as given.
    pub program: OsString,
    /// The program's arguments.
    pub arguments: Vec<OsString>,
    /// `--vessel`.
    pub vessel: Option<PathBuf>,
    /// `--scratch`.
    pub scratch: bool,
    /// `--interp`.
    pub interp: Option<PathBuf>,
    /// `--report`.
    pub report: Option<PathBuf>,
    /// `--events`.
    pub events: Option<PathBuf>,
    /// `--journald`.
    pub journald: Option<PathBuf>,
    /// `--metrics`.
    pub metrics: Option<PathBuf>,
    /// `--profile`.
    pub profile: Option<PathBuf>,
    /// `--without`.
    pub without: Layers,
    /// `--wall`.
    pub wall: Option<Duration>,
    /// `--logfile`.
    pub logfile: Option<PathBuf>,
    /// `--stop`.
    pub stop: Option<PathBuf>,
    /// `--status`.
    pub status: Option<PathBuf>,
    /// `--cwd`.
    pub cwd: Option<PathBuf>,
    /// Which addresses the program may bind.
    pub addresses: AddressOptions,
    /// `--max-accepted`.
    pub max_accepted: u32,
    /// `--simple`.
    pub simple: bool,
    /// `--execinfo`.
    pub execinfo: bool,
    /// `--servicelog`.
    pub servicelog: bool,
    /// `--norestrictions`.
    pub norestrictions: bool,
    /// `--ask`.
    pub ask: bool,
    /// `--name`.
    pub name: Option<String>,
    /// `--timings`.
    pub timings: bool,
    /// `--plan`.
    pub plan: bool,
    /// `--quiet`.
    pub quiet: bool,
    /// `--verbose`.
    pub verbose: bool,
}

impl Options {
    /// The options of a line of a run; `arguments` are the program's own words.
    /// None if policy or program are missing.
    pub(super) fn of(line: RunLine, matches: &ArgMatches, arguments: Vec<OsString>) -> Option<Options> {
        let addresses = addresses(matches, &line);
        Some(Options {
            policy: line.policy?,
            program: line.program?,
            arguments,
            vessel: line.vessel,
            scratch: line.scratch,
            interp: line.interp,
            report: line.report,
            events: line.events,
            journald: line.journald,
            metrics: line.metrics,
            profile: line.profile,
            without: layers(&line.without),
            wall: line.wall,
            logfile: line.logfile,
            stop: line.stop,
            status: line.status,
            cwd: line.cwd,
            addresses,
            max_accepted: line.max_accepted,
            simple: line.simple,
            execinfo: line.execinfo,
            servicelog: line.servicelog,
            norestrictions: line.norestrictions,
            ask: line.ask,
            name: line.name,
            timings: line.timings,
            plan: line.plan,
            quiet: line.quiet,
            verbose: line.verbose,
        })
    }
}

/// `--ip` and `--iface` in the order of the command line: the first that can be
/// bound is the program's own address.
fn addresses(matches: &ArgMatches, line: &RunLine) -> AddressOptions {
    let places = |name: &str| matches.indices_of(name).into_iter().flatten().collect::<Vec<_>>();
    let ips = line.ip.iter().map(|address| Listed::Address(*address));
    let interfaces = line.iface.iter().map(|name| Listed::Interface(name.clone()));
    let mut listed: Vec<(usize, Listed)> = places("ip").into_iter().zip(ips).collect();
    listed.extend(places("iface").into_iter().zip(interfaces));
    listed.sort_by_key(|(place, _)| *place);
    let listed = listed.into_iter().map(|(_, address)| address).collect();
    AddressOptions { listed, only_listed: line.nootherips }
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let value: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if value > 0.0 && value < 1e9 {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err("a number of seconds above 0 and below 1e9".to_owned())
    }
}

fn run_name(text: &str) -> Result<String, String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(good) {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 64 letters, digits, dots, dashes and underscores".to_owned())
    }
}
