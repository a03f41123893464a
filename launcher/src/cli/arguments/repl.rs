//! `repy-launch repl`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, Args};

use crate::plan::layer::Layer;

/// Type Repy statements and see what they do, in a sandbox
///
/// Statements are evaluated inside; the line is edited and remembered outside. Ctrl-C ends the running statement, Ctrl-D the session.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  repy-launch repl\n  repy-launch repl --policy my.restrictions --vessel data\n  \
                        echo 'randomfloat()' | repy-launch repl"
)]
pub struct ReplLine {
    /// The restrictions file [default: the sample restrictions.test]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// The session's only directory [default: an empty one, removed afterwards]
    #[arg(long, value_name = "DIR")]
    pub vessel: Option<PathBuf>,
    /// Give up a layer of the sandbox by name (may be repeated)
    #[arg(long, value_name = "LAYER", action = ArgAction::Append, value_parser = PossibleValuesParser::new(Layer::ALL.map(Layer::name)))]
    pub without: Vec<String>,
    /// No greeting
    #[arg(short, long)]
    pub quiet: bool,
    /// Warnings of the policy, and a summary at the end
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
}
