//! The system call filter: policy files in, BPF out.

pub mod compile;
pub mod emulate;
pub mod parse;
pub mod syscalls;

use seccompiler::BpfProgram;

/// One instruction of a filter, as the kernel takes it.
pub use seccompiler::sock_filter as Instruction;

use crate::plan::seccomp::{FilterPlan, Section};

/// The filter of the interpreter, as text.
pub const INTERPRETER: &str = include_str!("interp.policy");

/// Compiles the interpreter's filter for one run.
///
/// # Errors
/// A fault in the policy file, which is part of this program: the message says
/// where.
pub fn interpreter(plan: &FilterPlan) -> Result<BpfProgram, Box<dyn std::error::Error>> {
    let rules = interpreter_rules(plan)?;
    Ok(compile::compile(&rules)?)
}

/// The filter of the broker, as text.
pub const BROKER: &str = include_str!("broker.policy");

/// Compiles the broker's filter.
///
/// # Errors
/// As [`interpreter`].
pub fn broker() -> Result<BpfProgram, Box<dyn std::error::Error>> {
    Ok(compile::compile(&broker_rules()?)?)
}

/// The lines of the broker's filter.
///
/// # Errors
/// As [`interpreter`].
pub fn broker_rules() -> Result<Vec<parse::Rule<'static>>, parse::ParseError> {
    // The broker has neither of the descriptors that a run pins.
    let none = u64::from(u32::MAX);
    parse::parse(BROKER, parse::Pins { vessel: none, exec: none }, |_| true)
}

/// The lines of the interpreter's filter that hold for one run.
///
/// # Errors
/// As [`interpreter`].
pub fn interpreter_rules(plan: &FilterPlan) -> Result<Vec<parse::Rule<'static>>, parse::ParseError> {
    let pins = parse::Pins { vessel: plan.vessel_descriptor as u64, exec: plan.exec_descriptor as u64 };
    parse::parse(INTERPRETER, pins, |name| {
        Section::from_name(name).is_some_and(|section| plan.sections.contains(&section))
    })
}

#[cfg(test)]
mod tests;
