//! Lowers a restrictions file into kernel controls and supervises the run.
//!
//! The path of a run: [`facts::Host::probe`] says what this kernel offers,
//! [`request::Request`] what the operator asked, [`plan::plan`] (pure) turns the
//! two into an ordered list of controls or a refusal, and [`apply::launch`]
//! carries the list out on a new process.
#![deny(unsafe_code)]
// They panic where the reader of a pipe has gone: crate::terminal has others.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!(
    "repy-launch is made of Linux kernel controls: it can be built for Linux on x86_64 and aarch64 only"
);

pub mod apply;
pub mod ask;
pub mod audit;
pub mod broker;
pub mod cgroup;
pub mod check;
pub mod cli;
pub mod doctor;
pub mod events;
pub mod explain;
pub mod facts;
pub mod filter;
pub mod learn;
pub mod logfile;
pub mod metrics;
pub mod monitor;
pub mod output;
pub mod plan;
pub mod ps;
pub mod registry;
pub mod repl;
pub mod report;
pub mod request;
pub mod status;
pub mod stopfile;
pub mod supervise;
pub mod sys;
pub mod terminal;
#[cfg(test)]
mod testing;
pub mod top;
pub mod verdict;
