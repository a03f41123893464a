//! Why a run did not begin, told to the operator.

use std::fmt;

use crate::apply::LaunchError;
use crate::facts::VesselError;
use crate::plan::Refusal;
use crate::verdict::Ending;

/// A run that did not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How it ended: bad input, no sandbox, or an internal error.
    pub ending: Ending,
    /// What was wrong, and what to do about it.
    pub message: String,
}

impl Failure {
    /// Something the operator gave cannot be used.
    pub fn input(message: impl Into<String>) -> Failure {
        Failure { ending: Ending::BadInput, message: message.into() }
    }

    /// The same, for a system error on a path.
    pub fn on_path(what: &str, path: &std::path::Path, error: &std::io::Error) -> Failure {
        Failure::input(format!("{what} '{}': {}", path.display(), describe(error)))
    }

    /// The launcher's own fault, or the host's.
    pub fn internal(message: impl Into<String>) -> Failure {
        Failure { ending: Ending::Internal, message: message.into() }
    }
}

/// A system error without the number that Rust appends.
pub fn describe(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure { ending: Ending::NoSandbox, message: refusal.to_string() }
    }
}

impl From<VesselError> for Failure {
    fn from(error: VesselError) -> Failure {
        Failure::input(error.to_string())
    }
}

impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Failure {
        let ending = if error.usage { Ending::BadInput } else { Ending::NoSandbox };
        Failure { ending, message: error.to_string() }
    }
}
