//! From the rules of a policy file to a BPF program.
//!
//! seccompiler turns rules into BPF, with two limits: a filter has one action
//! for what matches and one for what does not, and it compares the number of
//! the call with every entry in turn. The kernel runs a new filter once for
//! each possible number, so a long chain costs a fifth of a millisecond at
//! every start (measured: ADR 0003). Therefore:
//!
//! ```text
//! prelude      wrong architecture: kill
//!              one test for each rule that fails a call with an error
//! search       a binary search over the numbers, as jumps
//!   leaf ...   the calls of a range that are allowed whatever their arguments;
//!              then a seccompiler program for the others, which ends in a
//!              return on every path; what does not match: kill
//! ```
//!
//! Everything that looks at arguments to allow a call is seccompiler's.

use std::collections::BTreeMap;

use seccompiler::{
    sock_filter, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::parse::{Comparison, Condition, Outcome, Rule};

/// How many calls one leaf holds: measured, the filter is installed fastest so
/// (fewer make it longer, more make the kernel's trial runs longer).
const LEAF: usize = 8;

/// The largest program the kernel takes (`BPF_MAXINSNS`).
const MAX_LENGTH: usize = 4096;

/// A program that cannot be built from a policy file.
#[derive(Debug)]
pub struct CompileError(String);

impl std::fmt::Display for CompileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "filter policy: {}", self.0)
    }
}

impl std::error::Error for CompileError {}

impl From<seccompiler::BackendError> for CompileError {
    fn from(error: seccompiler::BackendError) -> CompileError {
        CompileError(error.to_string())
    }
}

/// The architecture this program is compiled for.
fn architecture() -> Result<TargetArch, CompileError> {
    Ok(TargetArch::try_from(std::env::consts::ARCH)?)
}

// Instruction codes of classic BPF (linux/bpf_common.h).
const LOAD_WORD: u16 = 0x20; // LD | W | ABS
const JUMP_IF_EQUAL: u16 = 0x15; // JMP | JEQ | K
const JUMP_IF_AT_LEAST: u16 = 0x35; // JMP | JGE | K
const JUMP: u16 = 0x05; // JMP | JA
const RETURN: u16 = 0x06; // RET | K

// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// The low half of argument `index` (both architectures are little-endian).
const fn argument_low(index: u8) -> u32 {
    16 + 8 * index as u32
}

/// `AUDIT_ARCH_*` of this architecture (linux/audit.h).
const AUDIT_ARCH: u32 = if cfg!(target_arch = "aarch64") { 0xc000_00b7 } else { 0xc000_003e };

fn instruction(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// Compiles rules into one program: what no rule allows kills the process.
///
/// # Errors
/// A rule that BPF or seccompiler cannot express; a program too long.
pub fn compile(rules: &[Rule<'_>]) -> Result<BpfProgram, CompileError> {
    let mut allowed: BTreeMap<i64, Vec<&Rule<'_>>> = BTreeMap::new();
    let mut program = prelude(rules)?;
    for rule in rules {
        if let (Some(number), Outcome::Allow) = (rule.number, rule.outcome) {
            let alternatives = allowed.entry(number).or_default();
            // Two sections may ask for the same.
            if !alternatives.iter().any(|known| known.conditions == rule.conditions) {
                alternatives.push(rule);
            }
        }
    }
    let entries: Vec<(i64, Vec<&Rule<'_>>)> = allowed.into_iter().collect();
    let leaves = entries
        .chunks(LEAF)
        .map(|chunk| Ok((chunk[0].0, leaf(chunk)?)))
        .collect::<Result<Vec<_>, CompileError>>()?;
    program.extend(search(&leaves)?);
    if program.len() > MAX_LENGTH {
        return Err(CompileError(format!("{} instructions, the kernel takes {MAX_LENGTH}", program.len())));
    }
    Ok(program)
}

/// The architecture check, and the rules that fail a call.
fn prelude(rules: &[Rule<'_>]) -> Result<BpfProgram, CompileError> {
    let kill = u32::from(SeccompAction::KillProcess);
    let mut program = vec![
        instruction(LOAD_WORD, ARCHITECTURE, 0, 0),
        instruction(JUMP_IF_EQUAL, AUDIT_ARCH, 1, 0),
        instruction(RETURN, kill, 0, 0),
        instruction(LOAD_WORD, NUMBER, 0, 0),
    ];
    for rule in rules {
        let (Some(number), Outcome::Fail(error)) = (rule.number, rule.outcome) else { continue };
        let number = call_number(number)?;
        let fail = instruction(RETURN, u32::from(SeccompAction::Errno(u32::from(error))), 0, 0);
        match rule.conditions.as_slice() {
            [] => program.extend([instruction(JUMP_IF_EQUAL, number, 0, 1), fail]),
            [Condition { argument, wide: false, comparison: Comparison::Different, value }] => {
                let value = u32::try_from(*value)
                    .map_err(|_| CompileError(format!("line {}: the value needs 64 bits", rule.line)))?;
                program.extend([
                    instruction(JUMP_IF_EQUAL, number, 0, 4),
                    instruction(LOAD_WORD, argument_low(*argument), 0, 0),
                    instruction(JUMP_IF_EQUAL, value, 1, 0),
                    fail,
                    instruction(LOAD_WORD, NUMBER, 0, 0),
                ]);
            }
            _ => {
                return Err(CompileError(format!(
                    "line {}: a line that fails a call may have one condition, 'argN != VALUE'",
                    rule.line
                )))
            }
        }
    }
    Ok(program)
}

fn call_number(number: i64) -> Result<u32, CompileError> {
    u32::try_from(number).map_err(|_| CompileError(format!("{number} is no number of a call")))
}

/// The program for a few calls: those allowed whatever their arguments first,
/// the others by seccompiler.
fn leaf(entries: &[(i64, Vec<&Rule<'_>>)]) -> Result<BpfProgram, CompileError> {
    let allow = instruction(RETURN, u32::from(SeccompAction::Allow), 0, 0);
    let mut program = Vec::new();
    let mut checked = BTreeMap::new();
    for (number, alternatives) in entries {
        if alternatives.iter().any(|rule| rule.conditions.is_empty()) {
            program.extend([instruction(JUMP_IF_EQUAL, call_number(*number)?, 0, 1), allow.clone()]);
            continue;
        }
        let chain = alternatives
            .iter()
            .map(|rule| {
                let conditions = rule.conditions.iter().map(condition).collect::<Result<_, _>>()?;
                Ok(SeccompRule::new(conditions)?)
            })
            .collect::<Result<_, CompileError>>()?;
        checked.insert(*number, chain);
    }
    if checked.is_empty() {
        program.push(instruction(RETURN, u32::from(SeccompAction::KillProcess), 0, 0));
    } else {
        let filter =
            SeccompFilter::new(checked, SeccompAction::KillProcess, SeccompAction::Allow, architecture()?)?;
        program.extend(BpfProgram::try_from(filter)?);
    }
    Ok(program)
}

fn condition(condition: &Condition) -> Result<SeccompCondition, CompileError> {
    let length = if condition.wide { SeccompCmpArgLen::Qword } else { SeccompCmpArgLen::Dword };
    let operator = match condition.comparison {
        Comparison::Equal => SeccompCmpOp::Eq,
        Comparison::Different => SeccompCmpOp::Ne,
        Comparison::Masked(mask) => SeccompCmpOp::MaskedEq(mask),
    };
    Ok(SeccompCondition::new(condition.argument, length, operator, condition.value)?)
}

/// Jumps to the leaf that holds a number, with the number in the accumulator.
/// Each leaf comes with the first number it holds.
fn search(leaves: &[(i64, BpfProgram)]) -> Result<BpfProgram, CompileError> {
    match leaves {
        [] => Ok(vec![instruction(RETURN, u32::from(SeccompAction::KillProcess), 0, 0)]),
        [(_, program)] => Ok(program.clone()),
        _ => {
            let (lower, upper) = leaves.split_at(leaves.len() / 2);
            let left = search(lower)?;
            let first_of_upper = call_number(upper[0].0)?;
            // A conditional jump reaches 255 instructions, an unconditional one
            // any distance: so "at least" falls into a jump over the left half.
            let mut program = vec![
                instruction(JUMP_IF_AT_LEAST, first_of_upper, 0, 1),
                instruction(JUMP, left.len() as u32, 0, 0),
            ];
            program.extend(left);
            program.extend(search(upper)?);
            Ok(program)
        }
    }
}
