//! The command line.
//!
//! Options come before the program; the first word that is no option is the
//! program, and every word after it is the program's own, even one that looks
//! like an option. Under the name `repy` the restrictions file is the first
//! word, the program the second, as the original wants it.

mod check;
mod doctor;
mod explain;
mod learn;
mod live;
mod manual;
mod repl;
mod run;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::plan::layer::{Layer, Layers};
pub use check::CheckLine;
pub use doctor::DoctorLine;
pub use explain::ExplainLine;
pub use learn::LearnLine;
pub use live::{AuditLine, PsLine, StopLine, TopLine};
pub use manual::{CompletionsLine, ManualLine, Page, Shell};
pub use repl::ReplLine;
use run::RunLine;
pub use run::{Options, MAX_ACCEPTED};

/// What `--help` teaches besides the options.
const EXAMPLES: &str = "\
A first run:
  mkdir vessel                                          a directory for the program alone
  repy-launch --policy restrictions.test --vessel vessel example.1.1.repy

From a program to its restrictions file:
  repy-launch check restrictions.test server.repy       what is wrong, and what the policy will not allow
  repy-launch learn server.repy -- 8080 > my.test       run it once, and write down what it needed
  repy-launch explain my.test                           what holds each line on this host
  repy-launch explain my.test 'open notes.txt w'        would that be allowed, and by which line?
  repy-launch --policy my.test server.repy 8080

To try things out, and to look after a host:
  repy-launch repl                                      type statements, in a sandbox
  repy-launch doctor                                    what this host offers, and the remedy for each gap
  repy-launch --plan --policy my.test server.repy       every kernel control of a run, and run nothing

Exit status:
  0 end or exitall               5 killed: memory                70 internal error
  1 uncaught exception           6 killed: diskused              71 killed: a forbidden system call
  2 bad command line or policy   7 killed: another hard limit    130, 143 stopped by a signal
  3 program refused             44 stopped by the stop file (or its own code)
  4 no sandbox

Words after PROGRAM belong to the program. Manual pages: repy-launch(1), restrictions(5), repy-language(7), repy-api(3).";

/// Runs a Repy program under a restrictions file, confined by the kernel.
#[derive(Debug, Parser)]
#[command(
    name = "repy-launch",
    version,
    override_usage = "repy-launch --policy FILE [OPTIONS] PROGRAM [ARGUMENT]...\n       repy-launch COMMAND ...",
    after_help = "Exit status: 0 end, 1 uncaught exception, 2 bad input, 3 program refused, 4 no sandbox, 5 memory limit,\n\
                  6 disk limit, 7 another hard limit, 44 stop file, 70 internal error, 71 forbidden system call,\n\
                  130/143 stopped by a signal. Words after PROGRAM belong to the program. Examples: --help",
    after_long_help = EXAMPLES,
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

/// The line of a run alone. A start is short, and building the other commands would
/// be a noticeable part of it; what is wrong with a line, the whole one tells.
#[derive(Debug, Parser)]
#[command(name = "repy-launch", version, disable_help_flag = true, disable_version_flag = true)]
struct RunAlone {
    #[command(flatten)]
    run: RunLine,
}

/// Commands other than running a program. Each has its file, with its words and
/// their help; the help of the command is the comment of its type.
#[allow(missing_docs)] // a comment here would stand before that of the type
#[derive(Clone, Debug, Subcommand)]
pub enum Other {
    Check(CheckLine),
    Explain(ExplainLine),
    Learn(LearnLine),
    Repl(ReplLine),
    Doctor(DoctorLine),
    Ps(PsLine),
    Stop(StopLine),
    Audit(AuditLine),
    Top(TopLine),
    Completions(CompletionsLine),
    Manual(ManualLine),
}

impl Other {
    /// Whether `--quiet` was given.
    pub fn is_quiet(&self) -> bool {
        match self {
            Other::Check(line) => line.quiet,
            Other::Explain(line) => line.quiet,
            Other::Learn(line) => line.quiet,
            Other::Repl(line) => line.quiet,
            Other::Doctor(line) => line.quiet,
            Other::Ps(line) => line.quiet,
            Other::Stop(line) => line.quiet,
            Other::Audit(line) => line.quiet,
            Other::Top(_) | Other::Completions(_) | Other::Manual(_) => false,
        }
    }
}

/// The layers of these names; clap has checked that there are no others.
pub fn layers(names: &[String]) -> Layers {
    names.iter().filter_map(|name| Layer::from_name(name)).collect()
}

/// What the operator asked for.
#[derive(Debug)]
pub enum Asked {
    /// Run a program.
    Run(Box<Options>),
    /// Something else.
    Other(Box<Other>),
}

/// Understands a command line (the first word is the name of the binary).
///
/// # Errors
/// What clap says: the message, and whether it is an error at all (`--help`).
pub fn parse(words: Vec<OsString>) -> Result<Asked, clap::Error> {
    let original = words.first().is_some_and(|name| is_original(name));
    if !original && words.get(1).is_some_and(|word| word.as_encoded_bytes().starts_with(b"--")) {
        if let Ok(options) = run_line(
            RunAlone::command(),
            |matches| Ok(RunAlone::from_arg_matches(matches)?.run),
            false,
            &words,
        ) {
            return Ok(Asked::Run(Box::new(options)));
        }
    }
    let command = if original { original_command() } else { Line::command() };
    let other = words.get(1).is_some_and(|word| is_subcommand(&command, word));
    if !original && other {
        let line = Line::from_arg_matches(&command.try_get_matches_from(words)?)?;
        return match line.command {
            Some(other) => Ok(Asked::Other(Box::new(other))),
            None => Err(Line::command().error(clap::error::ErrorKind::MissingSubcommand, "no command")),
        };
    }
    let line = |matches: &ArgMatches| Ok(Line::from_arg_matches(matches)?.run);
    run_line(command, line, original, &words).map(|options| Asked::Run(Box::new(options)))
}

/// Understands the line of a run: options, the program (under the original's name
/// the restrictions before it), the program's own words.
fn run_line(
    command: clap::Command,
    line: impl Fn(&ArgMatches) -> Result<RunLine, clap::Error>,
    original: bool,
    words: &[OsString],
) -> Result<Options, clap::Error> {
    let (name, rest) = words.split_at(words.len().min(1));
    let (options, own) = rest.split_at(program_at(&command, rest));
    let mut head: Vec<OsString> = name.iter().chain(options).cloned().collect();
    let mut own = own.iter().skip(usize::from(own.first().is_some_and(|word| word == "--")));
    if original {
        head.extend(own.next().map(|policy| joined("--policy=", policy)));
    }
    // A program whose name begins with a dash stays a name.
    if let Some(program) = own.next() {
        head.extend(["--".into(), program.clone()]);
    }
    let meant = words.get(1).filter(|_| !original).and_then(|word| misspelt(&command, word));
    let matches = command.try_get_matches_from(head).map_err(|error| meant.unwrap_or(error))?;
    // Both are required: a line without one is refused before this.
    let missing =
        || Line::command().error(clap::error::ErrorKind::MissingRequiredArgument, "no policy or no program");
    Options::of(line(&matches)?, &matches, own.cloned().collect()).ok_or_else(missing)
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

/// What to say if the first word is nearly a command, and the line no run.
fn misspelt(command: &clap::Command, word: &OsStr) -> Option<clap::Error> {
    let word = word.to_str().filter(|word| !word.starts_with('-'))?;
    let names = command.get_subcommands().filter(|other| !other.is_hide_set()).map(clap::Command::get_name);
    let meant = policies::suggest::closest(word, names)?;
    let word = crate::terminal::harmless(word);
    let text = format!(
        "there is no command '{word}'; did you mean '{meant}'? (To run a program of that name, give --policy FILE first.)\n"
    );
    Some(Line::command().error(clap::error::ErrorKind::InvalidSubcommand, text))
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
    // An option whose value is joined to it (--journald=SOCKET) takes no word of its own.
    let takes =
        |argument: &clap::Arg| argument.get_action().takes_values() && !argument.is_require_equals_set();
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

#[cfg(test)]
mod tests;
