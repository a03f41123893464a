//! `repy-launch learn`.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, Args};

use crate::plan::layer::Layer;

/// Run a program with wide limits and print the smallest restrictions file that this run needed
///
/// The run is confined like any other, but every call is allowed. Ctrl-C ends it, and what was learnt so far is printed.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  repy-launch learn server.repy -- 8080 > server.restrictions\n  \
                        repy-launch learn --vessel data -o job.restrictions job.repy\n  \
                        repy-launch learn --wall 60 --connport 8080 server.repy")]
pub struct LearnLine {
    /// The program
    #[arg(value_name = "PROGRAM")]
    pub program: OsString,
    /// Its arguments
    #[arg(last = true, value_name = "ARGUMENT")]
    pub arguments: Vec<OsString>,
    /// Write the restrictions to FILE; the program's output is not touched then
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The program's only directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub vessel: PathBuf,
    /// Grant this UDP port besides those in program and arguments (may be repeated)
    #[arg(long, value_name = "PORT", action = ArgAction::Append, value_parser = clap::value_parser!(u16).range(1..))]
    pub messport: Vec<u16>,
    /// Grant this TCP port besides those in program and arguments (may be repeated)
    #[arg(long, value_name = "PORT", action = ArgAction::Append, value_parser = clap::value_parser!(u16).range(1..))]
    pub connport: Vec<u16>,
    /// An address the program may bind (may be repeated)
    #[arg(long, value_name = "ADDRESS", action = ArgAction::Append)]
    pub ip: Vec<Ipv4Addr>,
    /// Stop the program after so many seconds
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = super::run::seconds)]
    pub wall: Option<Duration>,
    /// Give up a layer of the sandbox by name (may be repeated)
    #[arg(long, value_name = "LAYER", action = ArgAction::Append, value_parser = PossibleValuesParser::new(Layer::ALL.map(Layer::name)))]
    pub without: Vec<String>,
    /// No notes
    #[arg(short, long)]
    pub quiet: bool,
    /// A summary of the run
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
}
