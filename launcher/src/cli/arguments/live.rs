//! `repy-launch ps`, `stop`, `audit` and `top`: commands about live runs.

use clap::Args;

use crate::top::keys::Sort;

/// List the live runs: yours, or as root everybody's
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  repy-launch ps\n  repy-launch ps --json | jq '.[].use'\n  \
                        for run in $(repy-launch ps --quiet); do repy-launch audit --quiet $run; done")]
pub struct PsLine {
    /// As JSON, one array
    #[arg(long)]
    pub json: bool,
    /// Only the process ids of the launchers
    #[arg(short, long)]
    pub quiet: bool,
    /// Policies and vessels too
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
}

/// Stop a run, as SIGTERM to its launcher does (its exit status is then 143): exit 0, or 2 if there is no such run
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  repy-launch stop web\n  repy-launch stop 4711")]
pub struct StopLine {
    /// Name of the run, or the process id of its launcher or of its sandbox
    #[arg(value_name = "PID|NAME")]
    pub run: String,
    /// Say nothing of a run that was stopped
    #[arg(short, long)]
    pub quiet: bool,
    /// Say what was stopped in full
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
}

/// Compare what the kernel holds of live runs with their plans: exit 0 if all is as planned, 1 if something differs, 3 if something cannot be seen
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  repy-launch audit web\n  repy-launch audit --all --quiet\n  \
                        repy-launch audit --json web | jq -r '.[].lines[] | select(.state != \"OK\").command'")]
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
    /// Only what differs or cannot be seen, and the sum
    #[arg(short, long)]
    pub quiet: bool,
    /// What was found in every row, too
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
}

/// Show a live table of the runs of this host (keys: up, down, enter, s, c, m, d, x, u, n, q)
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Keys: up and down (or k, j) select, enter shows one run in full, s stops it; c, m, d, x, u, n sort by\n\
                        processor, memory, disk, refusals, uptime and name; q ends.\n\n\
                        Examples:\n  repy-launch top\n  repy-launch top --sort memory\n  repy-launch top --once | head\n  \
                        repy-launch top --json | jq '.[] | {name, cpu: .now.cpu}'"
)]
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
