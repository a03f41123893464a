//! The command line.
//!
//! Options come before the program; the first word that is no option is the
//! program, and every word after it is the program's own, even one that looks
//! like an option. Under the name `repy` the restrictions file is the first
//! word, the program the second, as the original wants it.

use std::ffi::{OsStr, OsString};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::broker::{AddressOptions, Listed};
use crate::plan::layer::{Layer, Layers};

/// Runs a Repy program under a restrictions file, confined by the kernel.
#[derive(Debug, Parser)]
#[command(
    name = "repy-launch",
    version,
    override_usage = "repy-launch --policy FILE [OPTIONS] PROGRAM [ARGUMENT]...\n       repy-launch COMMAND ...",
    after_help = "Exit status: 0 end, 1 uncaught exception, 2 bad input, 3 program refused, 4 no sandbox, 5 memory limit,\n\
                  6 disk limit, 7 another hard limit, 44 stop file, 70 internal error, 71 forbidden system call,\n\
                  130/143 stopped by a signal. Words after PROGRAM belong to the program.",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    subcommand_help_heading = "Other commands",
    subcommand_value_name = "COMMAND"
)]
struct Line {
    #[command(subcommand)]
    command: Option<Other>,
    #[command(flatten)]
    run: RunLine,
}

/// Commands other than running a program.
#[derive(Clone, Debug, Subcommand)]
pub enum Other {
    /// Check restrictions files without running anything: exit 0 or 2
    Check {
        /// The restrictions files
        #[arg(required = true, value_name = "POLICY")]
        files: Vec<PathBuf>,
    },
    /// Say what holds each line of a policy here, or answer a question about it
    Explain {
        /// The restrictions file
        #[arg(value_name = "POLICY")]
        policy: PathBuf,
        /// A question such as 'bind udp 12345' or 'open NAME w'
        #[arg(value_name = "QUESTION")]
        question: Option<String>,
        /// The vessel of the run that is explained
        #[arg(long, value_name = "DIR", default_value = ".")]
        vessel: PathBuf,
        /// As if this layer were given up (may be repeated)
        #[arg(long, value_name = "LAYER", action = ArgAction::Append, value_parser = PossibleValuesParser::new(Layer::ALL.map(Layer::name)))]
        without: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what this host offers, and the remedy for each gap: exit 0, or 4 if a layer is missing
    Doctor {
        /// The vessel of later runs
        #[arg(long, value_name = "DIR", default_value = ".")]
        vessel: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Only remove control groups left by launchers that were killed
        #[arg(long)]
        sweep: bool,
    },
    /// Print the manual page
    #[command(hide = true)]
    Manual,
}

/// The layers of these names; clap has checked that there are no others.
pub fn layers(names: &[String]) -> Layers {
    names.iter().filter_map(|name| Layer::from_name(name)).collect()
}

/// Accepted connections open at once, unless `--max-accepted` says otherwise.
pub const MAX_ACCEPTED: u32 = 1024;

#[derive(Clone, Debug, Args)]
struct RunLine {
    /// The restrictions file
    #[arg(long, value_name = "FILE", required = true)]
    policy: Option<PathBuf>,
    /// The program's only directory [default: the current directory]
    #[arg(long, value_name = "DIR")]
    vessel: Option<PathBuf>,
    /// Run this static binary in the interpreter's place [default: repy-interp beside repy-launch]
    #[arg(long, value_name = "PATH")]
    interp: Option<PathBuf>,
    /// Write what happened to FILE as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
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
    /// A name for the run, for its report
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

/// What the operator asked for.
#[derive(Debug)]
pub enum Asked {
    /// Run a program.
    Run(Box<Options>),
    /// Something else.
    Other(Other),
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
    /// `--interp`.
    pub interp: Option<PathBuf>,
    /// `--report`.
    pub report: Option<PathBuf>,
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

/// Understands a command line (the first word is the name of the binary).
///
/// # Errors
/// What clap says: the message, and whether it is an error at all (`--help`).
pub fn parse(words: Vec<OsString>) -> Result<Asked, clap::Error> {
    let original = words.first().is_some_and(|name| is_original(name));
    let command = if original { original_command() } else { Line::command() };
    let mut words = words.into_iter();
    let mut head: Vec<OsString> = words.next().into_iter().collect();
    let rest: Vec<OsString> = words.collect();
    let first = program_at(&command, &rest);
    if !original && first == 0 && rest.first().is_some_and(|word| is_subcommand(&command, word)) {
        head.extend(rest);
        let line = Line::from_arg_matches(&command.try_get_matches_from(head)?)?;
        return match line.command {
            Some(other) => Ok(Asked::Other(other)),
            None => Err(Line::command().error(clap::error::ErrorKind::MissingSubcommand, "no command")),
        };
    }
    let (options, own) = rest.split_at(first);
    head.extend_from_slice(options);
    let mut own = own.iter().skip(usize::from(own.first().is_some_and(|word| word == "--")));
    if original {
        head.extend(own.next().map(|policy| joined("--policy=", policy)));
    }
    // A program whose name begins with a dash stays a name.
    if let Some(program) = own.next() {
        head.extend(["--".into(), program.clone()]);
    }
    let matches = command.try_get_matches_from(head)?;
    let line = Line::from_arg_matches(&matches)?.run;
    let addresses = addresses(&matches, &line);
    let (Some(policy), Some(program)) = (line.policy, line.program) else {
        // Both are required: not reached.
        return Err(Line::command().error(clap::error::ErrorKind::MissingRequiredArgument, "no program"));
    };
    Ok(Asked::Run(Box::new(Options {
        policy,
        program,
        arguments: own.cloned().collect(),
        vessel: line.vessel,
        interp: line.interp,
        report: line.report,
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
        name: line.name,
        timings: line.timings,
        plan: line.plan,
        quiet: line.quiet,
        verbose: line.verbose,
    })))
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

/// The command line of the manual page and the completions.
pub fn command() -> clap::Command {
    Line::command()
}

/// Whether the binary is called by the original's name.
fn is_original(name: &OsStr) -> bool {
    matches!(Path::new(name).file_name().and_then(OsStr::to_str), Some("repy" | "repy.py"))
}

/// The original's order of words; it also takes shortened option names.
fn original_command() -> clap::Command {
    Line::command()
        .name("repy")
        .override_usage("repy [OPTIONS] RESTRICTIONS PROGRAM [ARGUMENT]...")
        .infer_long_args(true)
        .mut_arg("policy", |policy| policy.hide(true))
}

fn is_subcommand(command: &clap::Command, word: &OsStr) -> bool {
    word.to_str().is_some_and(|word| command.find_subcommand(word).is_some())
}

/// Index of the first word that is no option and no option's value; it may be
/// the `--` that ends the options.
fn program_at(command: &clap::Command, words: &[OsString]) -> usize {
    let mut at = 0;
    while at < words.len() {
        let word = words[at].as_encoded_bytes();
        if !word.starts_with(b"-") || word == b"-" || word == b"--" {
            return at;
        }
        let takes_next = word.starts_with(b"--") && !word.contains(&b'=') && takes_value(command, &word[2..]);
        at += if takes_next { 2 } else { 1 };
    }
    // An option at the end may lack its value.
    words.len()
}

fn takes_value(command: &clap::Command, name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let takes = |argument: &clap::Arg| argument.get_action().takes_values();
    let named = |exact: bool| {
        command.get_arguments().filter(move |argument| {
            argument.get_long().is_some_and(|long| if exact { long == name } else { long.starts_with(name) })
        })
    };
    if let Some(argument) = named(true).next() {
        return takes(argument);
    }
    let mut shortened = named(false);
    // Where shortened names are not taken, clap refuses the line later anyway.
    match (shortened.next(), shortened.next()) {
        (Some(only), None) => takes(only),
        _ => false,
    }
}

fn joined(option: &str, value: &OsStr) -> OsString {
    let mut word = OsString::from(option);
    word.push(value);
    word
}

fn seconds(text: &str) -> Result<Duration, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Asked, clap::Error> {
        parse(line.split(' ').map(OsString::from).collect())
    }

    fn run(line: &str) -> Options {
        match asked(line) {
            Ok(Asked::Run(options)) => *options,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn error(line: &str) -> String {
        match asked(line) {
            Err(error) => {
                assert_eq!(error.exit_code(), 2, "{line}");
                error.to_string()
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn clap_finds_its_own_definition_sound() {
        command().debug_assert();
        original_command().debug_assert();
    }

    #[test]
    fn options_then_program_then_its_arguments() {
        let options = run("repy-launch --policy p --vessel=v prog.repy --report x -v -- y");
        assert_eq!((options.policy, options.vessel), (PathBuf::from("p"), Some(PathBuf::from("v"))));
        assert_eq!(options.program, "prog.repy");
        assert_eq!(options.arguments, ["--report", "x", "-v", "--", "y"]);
        assert!(options.report.is_none() && !options.verbose);
        assert_eq!(options.max_accepted, 1024);
        let options = run("repy-launch --policy p -- -odd a");
        assert_eq!((options.program, options.arguments), ("-odd".into(), vec!["a".into()]));
        let options = run("repy-launch --policy p --without cgroup --without netns x");
        assert!(options.without.contains(Layer::Cgroup) && options.without.contains(Layer::Netns));
    }

    #[test]
    fn mistakes_are_named_with_a_suggestion() {
        assert!(error("repy-launch --polcy p x").contains("--policy"));
        assert!(error("repy-launch").contains("--policy"));
        assert!(error("repy-launch --policy p").contains("PROGRAM"));
        assert!(error("repy-launch --without moat --policy p x").contains("cgroup"));
        assert!(error("repy-launch --policy p --wall nan x").contains("seconds"));
        assert!(error("repy-launch --policy p --wall -1 x").contains("--wall"));
        assert!(error("repy-launch --policy p --name a/b x").contains("letters"));
        assert!(error("repy-launch --policy p --max-accepted 0 x").contains("max-accepted"));
        assert!(error("repy-launch --policy").contains("--policy"));
        assert!(error("repy-launch check").contains("POLICY"));
    }

    #[test]
    fn other_commands() {
        assert!(
            matches!(asked("repy-launch check a b"), Ok(Asked::Other(Other::Check { files })) if files.len() == 2)
        );
        assert!(matches!(
            asked("repy-launch explain p --json open"),
            Ok(Asked::Other(Other::Explain { question: Some(_), json: true, .. }))
        ));
        assert!(matches!(asked("repy-launch doctor"), Ok(Asked::Other(Other::Doctor { sweep: false, .. }))));
        // A program of that name has a path.
        assert_eq!(run("repy-launch --policy p check").program, "check");
        assert_eq!(asked("repy-launch --help").unwrap_err().exit_code(), 0);
        assert_eq!(asked("repy-launch --version").unwrap_err().exit_code(), 0);
    }

    #[test]
    fn under_the_originals_name() {
        let options = run("/usr/bin/repy --ip 1.2.3.4 --log=l --nootherips r.test prog --stop a");
        assert_eq!((options.policy, options.program), (PathBuf::from("r.test"), "prog".into()));
        assert_eq!(options.arguments, ["--stop", "a"]);
        assert_eq!(options.logfile, Some(PathBuf::from("l")));
        assert_eq!(options.addresses.listed, [Listed::Address(Ipv4Addr::new(1, 2, 3, 4))]);
        assert!(options.addresses.only_listed);
        let listed = run("repy --iface eth0 --ip 1.2.3.4 --iface lo r p").addresses.listed;
        assert!(
            matches!(&listed[..], [Listed::Interface(first), Listed::Address(_), Listed::Interface(_)] if first == "eth0")
        );
        assert!(error("repy --ip 1.2.3 r p").contains("--ip"));
        // Shortened names of options with a value in a word of its own.
        assert_eq!(run("repy --logf l r p").logfile, Some(PathBuf::from("l")));
        assert!(error("repy --i x r p").contains("--i"));
        // check is no command there.
        assert_eq!(run("repy check prog").policy, PathBuf::from("check"));
        error("repy r.test");
        error("repy");
    }
}
