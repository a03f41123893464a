//! The Repy restrictions language and the vocabulary both binaries share.
//!
//! What may be used, how a denial is said, and the messages the launcher, the
//! broker and the interpreter exchange. Pure: nothing here opens a file, reads a
//! clock or asks the kernel, so that one decision function serves every process.
//!
//! * [`Policy::parse`] reads a restrictions file; [`Policy`] prints as canonical text.
//! * [`Policy::decide`] is the only implementation of rule matching.
//! * [`Resource`] and [`Call`] are the two tables everything else derives from.
//! * [`start`] and [`channel`] are the wire forms between the processes.
#![forbid(unsafe_code)]

pub mod address;
mod amount;
mod call;
pub mod carriers;
pub mod channel;
mod decide;
mod diagnostic;
pub mod files;
pub mod manual;
mod parse;
mod policy;
mod print;
mod resource;
pub mod samples;
pub mod start;
pub mod suggest;
mod wire;

pub use amount::{Amount, AmountError};
pub use call::{Call, CallFacts, CALLS};
pub use decide::{Argument, Decision, Outlook, Refusal, Sketch};
pub use diagnostic::{Diagnostic, Severity};
pub use parse::{Parsed, MAXIMUM_FILE};
pub use policy::{Action, Condition, Grant, Limit, Policy, PolicyBuilder, PortKind, Rule};
pub use resource::{Kind, Resource, ResourceFacts, RESOURCES};
pub use wire::WireError;
