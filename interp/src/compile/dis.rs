//! Bytecode as text, for `--dis`.

use std::fmt::Write;

use super::code::Code;
use super::op::Op;
use crate::heap::{Heap, Value};

/// The code and all codes inside, one instruction a line: source line, place, instruction.
pub fn disassemble(heap: &Heap, code: &Code) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = one(heap, code, &mut out);
    out
}

fn one(heap: &Heap, code: &Code, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "{} ({} parameters, {} locals, {} registers)",
        heap.text(code.name),
        code.parameters,
        code.locals,
        code.registers
    )?;
    let mut line = 0;
    for (at, op) in code.ops.iter().enumerate() {
        let now = code.line(at);
        if now == line {
            write!(out, "      ")?;
        } else {
            write!(out, "{now:5} ")?;
            line = now;
        }
        write!(out, "{at:5}  {op:?}")?;
        match op {
            Op::Constant { k, .. } => note(heap, code.constants.get(*k as usize), out)?,
            Op::JumpEqualConst { k, .. }
            | Op::JumpNotEqualConst { k, .. }
            | Op::JumpInConst { k, .. }
            | Op::JumpNotInConst { k, .. } => {
                note(heap, code.constants.get(usize::from(*k)), out)?;
            }
            Op::Global { g, .. }
            | Op::SetGlobal { g, .. }
            | Op::ClassGet { g, .. }
            | Op::ClassSet { g, .. }
            | Op::NeedGlobal { g }
            | Op::Len { g, .. }
            | Op::Builtin { g, .. }
            | Op::CallGlobal { g, .. } => {
                write!(out, "  ; {}", heap.text(code.globals[usize::from(*g)].name))?;
            }
            Op::Attribute { site, .. } | Op::SetAttribute { site, .. } | Op::Method { site, .. } => {
                write!(out, "  ; {}", heap.text(code.sites[usize::from(*site)].name))?;
            }
            _ => {}
        }
        writeln!(out)?;
    }
    for range in &code.handlers {
        writeln!(
            out,
            "      {}..{} guarded by {}, exception in r{}",
            range.start, range.end, range.handler, range.keep
        )?;
    }
    for inner in &code.functions {
        writeln!(out)?;
        one(heap, &inner.code, out)?;
    }
    Ok(())
}

fn note(heap: &Heap, value: Option<&Value>, out: &mut String) -> std::fmt::Result {
    match value {
        Some(Value::Str(text)) => write!(out, "  ; {:?}", heap.text(*text)),
        Some(Value::Long(long)) => write!(out, "  ; {}L", heap.longs[*long].value),
        Some(value) => write!(out, "  ; {value:?}"),
        None => Ok(()),
    }
}
