//! `repy-launch explain`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, Args};

use crate::plan::layer::Layer;

/// Say what holds each line of a policy here, what it makes of a program, or answer a question
///
/// Every line is shown with the kernel object and value, the broker or the interpreter that holds it on this host, and with what would hold it on a host that lacks a layer.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Questions: 'bind udp PORT', 'bind tcp PORT', 'connect HOST PORT', 'send HOST PORT', 'resolve HOST', 'open NAME [MODE]',\n\
                        'remove NAME', 'list', 'CALL [ARGUMENT...]', 'syscall NAME', 'RESOURCE AMOUNT'.\n\n\
                        Examples:\n  repy-launch explain my.restrictions\n  repy-launch explain my.restrictions server.repy\n  \
                        repy-launch explain my.restrictions 'open notes.txt w'\n  repy-launch explain my.restrictions 'syscall ptrace'\n  \
                        repy-launch explain --json my.restrictions 'memory 20000000'"
)]
pub struct ExplainLine {
    /// The restrictions file
    #[arg(value_name = "POLICY")]
    pub policy: PathBuf,
    /// A program, whose calls are explained, or a question such as 'bind udp 12345'
    #[arg(value_name = "PROGRAM|QUESTION")]
    pub what: Option<String>,
    /// The vessel of the run that is explained
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub vessel: PathBuf,
    /// As a run with --scratch
    #[arg(long)]
    pub scratch: bool,
    /// As if this layer were given up (may be repeated)
    #[arg(long, value_name = "LAYER", action = ArgAction::Append, value_parser = PossibleValuesParser::new(Layer::ALL.map(Layer::name)))]
    pub without: Vec<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// The verdict on a question alone; of a table, one line for each holder
    #[arg(short, long)]
    pub quiet: bool,
    /// What each control does, besides its value
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
}
