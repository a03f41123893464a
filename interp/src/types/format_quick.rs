//! `str.format` where nothing can happen on the way: short formats of plain fields (`{}`, `{0}`), and values that no code
//! of the program has a say in. Everything else, errors included, goes the long way of [`super::format`].
use super::text::{scalar, Mode};
use crate::heap::{Heap, Str, Value};
use crate::vm::Vm;

/// Longest format and longest text for it, in bytes.
const SHORT: usize = 512;

/// `format.format(…)`, owned, if it is a quick one. Borrows all.
pub fn format(vm: &mut Vm, format: Str, arguments: &[Value]) -> Option<Value> {
    let mut out = std::mem::take(&mut vm.scratch);
    let done = fill(&vm.heap, &mut out, vm.heap.bytes(format), arguments).is_some();
    let text = done.then(|| vm.heap.new_str(&out));
    vm.give_scratch(out);
    text
}

fn fill(heap: &Heap, out: &mut Vec<u8>, format: &[u8], arguments: &[Value]) -> Option<()> {
    if format.len() > SHORT {
        return None;
    }
    let mut next = 0;
    let mut numbered = None;
    let mut rest = format;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'{' | b'}')) {
        out.extend_from_slice(&rest[..at]);
        let (index, after) = match &rest[at..] {
            [b'{', b'}', after @ ..] => (None, after),
            [b'{', digit @ b'0'..=b'9', b'}', after @ ..] => (Some(usize::from(digit - b'0')), after),
            [b'{', b'{', after @ ..] => {
                out.push(b'{');
                rest = after;
                continue;
            }
            [b'}', b'}', after @ ..] => {
                out.push(b'}');
                rest = after;
                continue;
            }
            _ => return None,
        };
        // All fields are numbered, or none is.
        if *numbered.get_or_insert(index.is_some()) != index.is_some() {
            return None;
        }
        let item = *arguments.get(index.unwrap_or(next))?;
        next += 1;
        match item {
            Value::Str(text) if heap.bytes(text).len() > SHORT => return None,
            Value::Str(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::None => {
                if !scalar(heap, out, item, Mode::Str) {
                    return None;
                }
            }
            _ => return None,
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    Some(())
}
