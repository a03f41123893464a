//! `--ask`: opens the controlling terminal.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;

use policies::{Action, Policy};

use super::failure::{describe, Failure};
use crate::ask::Operator;
use crate::supervise::partner::Partner;

/// The operator, if the policy has anything to ask.
///
/// # Errors
/// There is no terminal to ask on.
pub fn partner(policy: &Policy, policy_name: &str) -> Result<Option<Box<dyn Partner>>, Failure> {
    if policy.rules().iter().all(|rule| rule.action != Action::Prompt) {
        return Ok(None);
    }
    // Not inherited and never waited on: the loop of the run goes on meanwhile.
    let terminal = File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
        .open("/dev/tty")
        .map_err(|error| {
            Failure::input(format!(
                "--ask: there is no controlling terminal to ask on ({}); without --ask, what the policy prompts for is denied",
                describe(&error)
            ))
        })?;
    Ok(Some(Box::new(Operator::new(terminal, policy.clone(), policy_name))))
}
