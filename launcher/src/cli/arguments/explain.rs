//! `repy-launch explain`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, Args};

use crate::plan::layer::Layer;

/// Say what holds each line of a policy here, or answer a question about it
#[derive(Clone, Debug, Args)]
pub struct ExplainLine {
    /// The restrictions file
    #[arg(value_name = "POLICY")]
    pub policy: PathBuf,
    /// A question such as 'bind udp 12345' or 'open NAME w'
    #[arg(value_name = "QUESTION")]
    pub question: Option<String>,
    /// The vessel of the run that is explained
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub vessel: PathBuf,
    /// As if this layer were given up (may be repeated)
    #[arg(long, value_name = "LAYER", action = ArgAction::Append, value_parser = PossibleValuesParser::new(Layer::ALL.map(Layer::name)))]
    pub without: Vec<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}
