//! `repy-launch ps`, `stop`, `audit` and `top`: commands about live runs.

use clap::Args;

use crate::top::keys::Sort;

/// List the live runs: yours, or as root everybody's
#[derive(Clone, Debug, Args)]
pub struct PsLine {
    /// As JSON, one array
    #[arg(long)]
    pub json: bool,
}

/// Stop a run, as SIGTERM to its launcher does (its exit status is then 143): exit 0, or 2 if there is no such run
#[derive(Clone, Debug, Args)]
pub struct StopLine {
    /// Name of the run, or the process id of its launcher or of its sandbox
    #[arg(value_name = "PID|NAME")]
    pub run: String,
}

/// Compare what the kernel holds of live runs with their plans: exit 0 if all is as planned, 1 if something differs, 3 if something cannot be seen
#[derive(Clone, Debug, Args)]
pub struct AuditLine {
    /// Name of the run, or the process id of its launcher or of its sandbox
    #[arg(value_name = "PID|NAME", required_unless_present = "all", conflicts_with = "all")]
    pub run: Option<String>,
    /// Every live run that you may see
    #[arg(long)]
    pub all: bool,
    /// As JSON, one array
    #[arg(long)]
    pub json: bool,
}

/// Show a live table of the runs of this host (keys: up, down, enter, s, c, m, d, x, u, n, q)
#[derive(Clone, Debug, Args)]
pub struct TopLine {
    /// Print the table once, after looking for a second
    #[arg(long)]
    pub once: bool,
    /// As JSON, one array, once
    #[arg(long)]
    pub json: bool,
    /// Use colours even if the output is no terminal
    #[arg(long)]
    pub color: bool,
    /// The order at the start
    #[arg(long, value_name = "KEY", default_value = "cpu")]
    pub sort: Sort,
}
