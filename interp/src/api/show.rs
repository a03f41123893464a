//! `str()` and `repr()` of arguments, for rules and error texts: bounded, and
//! without ever calling program code (an instance's own `__str__` and
//! `__repr__` are not asked).

use std::io::Write;

use crate::heap::{Heap, Style, Value};
use crate::types::kernel::{float, long, strrepr};
use crate::types::text::Mode;

/// Longest text of an error message's arguments, in bytes.
const LONGEST: usize = 2000;
/// How deep containers are shown.
const DEEPEST: usize = 20;

/// The text of an argument as a rule's `arg N is TEXT` sees it: `str()`.
pub fn text_of(heap: &Heap, value: Value) -> Vec<u8> {
    match value {
        Value::Str(text) => heap.bytes(text).to_vec(),
        Value::Float(number) => float::to_str(number.get()),
        Value::Long(number) => {
            let mut text = long::repr(&heap.longs[number].value);
            text.pop_if(|last| *last == b'L');
            text
        }
        other => {
            let mut out = Vec::new();
            push_repr(heap, other, &mut out, usize::MAX, 0);
            out
        }
    }
}

/// The `repr()` of a value, cut when it becomes long.
pub fn repr_of(heap: &Heap, value: Value) -> Vec<u8> {
    let mut out = Vec::new();
    push_repr(heap, value, &mut out, LONGEST, 0);
    out
}

/// The `repr()` of a tuple of these values, cut when it becomes long.
pub fn repr_of_tuple(heap: &Heap, values: &[Value]) -> Vec<u8> {
    let mut out = vec![b'('];
    push_items(heap, values.iter().copied(), &mut out, LONGEST, 0);
    if values.len() == 1 {
        out.push(b',');
    }
    out.push(b')');
    out
}

/// `repr()` of a string.
pub fn quoted(text: &[u8]) -> Vec<u8> {
    strrepr::repr(text)
}

fn push_items(
    heap: &Heap,
    values: impl Iterator<Item = Value>,
    out: &mut Vec<u8>,
    limit: usize,
    depth: usize,
) {
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        if out.len() > limit {
            out.extend_from_slice(b"...");
            return;
        }
        push_repr(heap, value, out, limit, depth + 1);
    }
}

/// A number that tells objects apart, in the place of an address.
fn identity(value: Value) -> u64 {
    value.counted().map_or(0, |(kind, index)| ((kind as u64) << 32) | (u64::from(index) << 4))
}

/// Appends the `repr()` of a value; nothing of program code is called. Ends
/// early once the text is longer than `limit`.
pub fn push_repr(heap: &Heap, value: Value, out: &mut Vec<u8>, limit: usize, depth: usize) {
    if depth > DEEPEST {
        out.extend_from_slice(b"...");
        return;
    }
    match value {
        Value::Unset => out.extend_from_slice(b"?"),
        Value::None => out.extend_from_slice(b"None"),
        Value::NotImplemented => out.extend_from_slice(b"NotImplemented"),
        Value::Ellipsis => out.extend_from_slice(b"Ellipsis"),
        Value::Bool(truth) if truth.get() => out.extend_from_slice(b"True"),
        Value::Bool(_) => out.extend_from_slice(b"False"),
        Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Float(number) => out.extend_from_slice(&float::repr(number.get())),
        Value::Long(number) => {
            let number = &heap.longs[number].value;
            // A number beyond this would take long to write out.
            if dashu_int::ops::BitTest::bit_len(number) > 50_000 {
                out.extend_from_slice(b"<long>");
            } else {
                out.extend_from_slice(&long::repr(number));
            }
        }
        Value::Str(text) => {
            let bytes = heap.bytes(text);
            match bytes.get(..limit) {
                Some(start) if bytes.len() > limit => {
                    strrepr::push_repr(out, start);
                    out.extend_from_slice(b"...");
                }
                _ => strrepr::push_repr(out, bytes),
            }
        }
        Value::List(list) => {
            out.push(b'[');
            push_items(heap, heap.list(list).iter().copied(), out, limit, depth);
            out.push(b']');
        }
        Value::Tuple(tuple) => {
            let items = heap.tuple(tuple);
            out.push(b'(');
            push_items(heap, items.iter().copied(), out, limit, depth);
            if items.len() == 1 {
                out.push(b',');
            }
            out.push(b')');
        }
        Value::Dict(dict) => {
            out.push(b'{');
            for (index, entry) in heap.dicts[dict].table.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                if out.len() > limit {
                    out.extend_from_slice(b"...");
                    break;
                }
                push_repr(heap, entry.key, out, limit, depth + 1);
                out.extend_from_slice(b": ");
                push_repr(heap, entry.value, out, limit, depth + 1);
            }
            out.push(b'}');
        }
        Value::Set(set) => {
            let data = &heap.sets[set];
            out.extend_from_slice(if data.frozen { b"frozenset([" } else { b"set([" });
            push_items(heap, data.table.iter().map(|entry| entry.key), out, limit, depth);
            out.extend_from_slice(b"])");
        }
        Value::Api(api) => {
            let data = &heap.apis[api];
            let kind = heap.bytes(heap.classes[data.class].name);
            out.extend_from_slice(b"<Namespace wrapped ");
            out.extend_from_slice(kind);
            out.extend_from_slice(b": ");
            strrepr::push_repr(out, heap.bytes(data.label));
            out.push(b'>');
        }
        Value::Function(function) => {
            let name = heap.text(heap.functions[function].code.name);
            push_object(out, &format!("function {name}"), identity(value));
        }
        Value::Class(class) => {
            let data = &heap.classes[class];
            let name = heap.text(data.name);
            let shown = match data.style {
                Style::Builtin => format!("<type '{name}'>"),
                Style::New => format!("<class '.{name}'>"),
                Style::Old => format!("<class .{name}>"),
            };
            out.extend_from_slice(shown.as_bytes());
        }
        Value::Instance(instance) => {
            let data = &heap.classes[heap.instances[instance].class];
            let word = if data.style == Style::Old { "instance" } else { "object" };
            push_object(out, &format!("{} {word}", heap.text(data.name)), identity(value));
        }
        Value::Complex(_) | Value::XRange(_) => {
            crate::types::text::scalar(heap, out, value, Mode::Repr);
        }
        other => {
            let name = heap.text(heap.classes[heap.type_of(other)].name);
            push_object(out, &format!("{name} object"), identity(other));
        }
    }
}

fn push_object(out: &mut Vec<u8>, what: &str, identity: u64) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "<{what} at 0x{identity:x}>");
}
