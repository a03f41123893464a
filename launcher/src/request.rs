//! What the operator asked for: the command line and the policy, checked for
//! form, before anything is known of the host.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::plan::demand::Demand;
use crate::plan::layer::Layers;

/// A file in the vessel that belongs to the operator, not to the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Its name in the vessel directory: a single component.
    pub name: OsString,
    /// What it is to the operator, for messages: "policy", "program", "log".
    pub role: &'static str,
    /// Whether a regular file of this name was there when the request was made.
    /// A name without a file cannot be mounted over: the interpreter alone
    /// refuses it, and the plan says so.
    pub exists: bool,
}

/// One request to run a program.
#[derive(Clone, Debug)]
pub struct Request {
    /// What the policy asks of the kernel.
    pub demand: Demand,
    /// The vessel directory, as the operator named it.
    pub vessel: PathBuf,
    /// The static binary to run.
    pub interpreter: PathBuf,
    /// Its arguments after its own name: the program as given, then the
    /// program's arguments.
    pub arguments: Vec<OsString>,
    /// Names in the vessel that the sandbox may not write.
    pub reserved: Vec<Reserved>,
    /// Layers the operator gave up by name.
    pub waived: Layers,
    /// Whether a filesystem in memory takes the vessel's place (`--scratch`).
    pub scratch: bool,
    /// How many accepted connections may be open at once (`--max-accepted`).
    /// Counts only where the policy allows `waitforconn`.
    pub max_accepted: u32,
    /// The encoded `policies::start::StartBlock`, handed to the interpreter in
    /// a sealed memory file.
    pub start_block: Vec<u8>,
}

impl Reserved {
    /// Whether `name` can be a name in the vessel: one component, not empty,
    /// neither `.` nor `..`.
    pub fn is_single_component(name: &OsStr) -> bool {
        let bytes = name.as_encoded_bytes();
        !bytes.is_empty() && !bytes.contains(&b'/') && !bytes.contains(&0) && bytes != b"." && bytes != b".."
    }
}
