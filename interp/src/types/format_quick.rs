//! `str.format` where nothing can happen on the way: short formats of plain fields (`{}`, `{0}`, `{name}`) with the usual
//! specifications (`{:>8}`, `{0:.2f}`, `{:,}`), and values that no code of the program has a say in. Everything else,
//! errors included, goes the long way of [`super::format`].
use super::kernel::percent::{float_text, plain_digits};
use super::percent_quick::{amount, fixed};
use super::text::{scalar, Mode};
use crate::heap::{Heap, Str, Value};
use crate::vm::Vm;

/// Longest format and longest text for it, in bytes.
const SHORT: usize = 512;
/// Longest text that is put in as it is, with what stands before it, in bytes.
const LONG: usize = 32 << 10;

/// `format.format(…)`, owned, if it is a quick one. Borrows all.
pub fn format(vm: &mut Vm, format: Str, positional: &[Value], keywords: &[(Str, Value)]) -> Option<Value> {
    let mut out = std::mem::take(&mut vm.scratch);
    let mut arguments = Arguments { positional, keywords, next: 0, numbered: None };
    let done = fill(&vm.heap, &mut out, vm.heap.bytes(format), &mut arguments).is_some();
    if done && out.len() > 2 * SHORT && out.capacity() <= out.len() + out.len() / 8 {
        // A long text keeps the buffer it was made in, if it fits.
        return Some(vm.heap.new_str_from(out));
    }
    let text = done.then(|| vm.heap.new_str(&out));
    vm.give_scratch(out);
    text
}

/// The short way of `format.format(…)`.
pub fn format_quickly(vm: &mut Vm, args: &mut [Value]) -> Value {
    match *args {
        [Value::Str(text), ref positional @ ..] => format(vm, text, positional, &[]).unwrap_or(Value::Unset),
        _ => Value::Unset,
    }
}

/// What the fields choose from.
struct Arguments<'a> {
    positional: &'a [Value],
    keywords: &'a [(Str, Value)],
    /// The argument of the next field without a name.
    next: usize,
    /// All fields without a name are numbered, or none is.
    numbered: Option<bool>,
}

impl Arguments<'_> {
    /// The argument of a field's name, borrowed.
    fn find(&mut self, heap: &Heap, name: &[u8]) -> Option<Value> {
        let index = match *name {
            [] => None,
            [digit @ b'0'..=b'9'] => Some(usize::from(digit - b'0')),
            [b'a'..=b'z' | b'A'..=b'Z' | b'_', ..] => {
                if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
                    return None;
                }
                return self.keywords.iter().find(|pair| heap.bytes(pair.0) == name).map(|pair| pair.1);
            }
            _ => return None,
        };
        if *self.numbered.get_or_insert(index.is_some()) != index.is_some() {
            return None;
        }
        let index = index.unwrap_or(self.next);
        self.next += 1;
        self.positional.get(index).copied()
    }
}

fn fill(heap: &Heap, out: &mut Vec<u8>, format: &[u8], arguments: &mut Arguments<'_>) -> Option<()> {
    if format.len() > SHORT {
        return None;
    }
    let mut rest = format;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'{' | b'}')) {
        out.extend_from_slice(&rest[..at]);
        rest = match &rest[at..] {
            [first, second, after @ ..] if first == second => {
                out.push(*first);
                after
            }
            [b'{', field @ ..] => {
                let end = field.iter().position(|byte| matches!(byte, b'{' | b'}' | b':' | b'!'))?;
                let item = arguments.find(heap, &field[..end])?;
                match &field[end..] {
                    [b'}', after @ ..] => {
                        put(heap, out, item)?;
                        after
                    }
                    [b':', after @ ..] => {
                        let mut after = after;
                        let spec = parse(&mut after)?;
                        lay_out(heap, out, &spec, item)?;
                        after
                    }
                    _ => return None,
                }
            }
            _ => return None,
        };
    }
    out.extend_from_slice(rest);
    Some(())
}

/// Appends a value as it is.
fn put(heap: &Heap, out: &mut Vec<u8>, item: Value) -> Option<()> {
    match item {
        Value::Str(text) if heap.bytes(text).len() > SHORT => {
            let text = heap.bytes(text);
            if out.len() + text.len() > LONG {
                return None;
            }
            out.reserve_exact(text.len() + 64);
            out.extend_from_slice(text);
            Some(())
        }
        Value::Str(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::None => {
            scalar(heap, out, item, Mode::Str).then_some(())
        }
        _ => None,
    }
}

/// How a value is laid out.
#[derive(Clone, Copy)]
struct Spec {
    fill: u8,
    align: Option<u8>,
    /// A zero before the width: the sign stands before the fill.
    zero: bool,
    width: usize,
    thousands: bool,
    precision: Option<usize>,
    kind: Option<u8>,
}

/// Reads a specification and the brace behind it.
fn parse(rest: &mut &[u8]) -> Option<Spec> {
    let mut spec = Spec {
        fill: b' ',
        align: None,
        zero: false,
        width: 0,
        thousands: false,
        precision: None,
        kind: None,
    };
    match **rest {
        [b'{' | b'}' | 0, ..] => return None,
        [fill, align @ (b'<' | b'>' | b'^'), ref after @ ..] => {
            (spec.fill, spec.align) = (fill, Some(align));
            *rest = after;
        }
        [align @ (b'<' | b'>' | b'^'), ref after @ ..] => {
            spec.align = Some(align);
            *rest = after;
        }
        _ => {}
    }
    if let [b'0', after @ ..] = *rest {
        if spec.align.is_some() {
            return None;
        }
        spec.zero = true;
        *rest = after;
    }
    spec.width = amount(rest)?;
    if let [b',', after @ ..] = *rest {
        spec.thousands = true;
        *rest = after;
    }
    if let [b'.', after @ ..] = *rest {
        if !matches!(after, [b'0'..=b'9', ..]) {
            return None;
        }
        *rest = after;
        spec.precision = Some(amount(rest)?);
    }
    if let [kind @ (b'a'..=b'z' | b'A'..=b'Z' | b'%'), after @ ..] = *rest {
        spec.kind = Some(*kind);
        *rest = after;
    }
    let [b'}', after @ ..] = *rest else { return None };
    *rest = after;
    Some(spec)
}

/// Appends a value laid out.
fn lay_out(heap: &Heap, out: &mut Vec<u8>, spec: &Spec, item: Value) -> Option<()> {
    let mut buffer = [0u8; 24];
    match (item, spec.kind) {
        (Value::Str(text), None | Some(b's')) if !spec.zero && !spec.thousands => {
            let text = heap.bytes(text);
            if text.len() > SHORT {
                return None;
            }
            pad(out, spec, &text[..text.len().min(spec.precision.unwrap_or(usize::MAX))], b'<');
        }
        (Value::Int(i), None | Some(b'd' | b'x' | b'X' | b'o')) if spec.precision.is_none() => {
            let kind = spec.kind.unwrap_or(b'd');
            if spec.thousands && kind != b'd' {
                return None;
            }
            number(out, spec, plain_digits(kind, i, &mut buffer))?;
        }
        (Value::Int(_) | Value::Float(_), Some(kind @ (b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'%'))) => {
            let x = match item {
                Value::Float(x) => x.get(),
                _ => item.as_int()? as f64,
            };
            // What is no number has no digits to fill with zeros or to group.
            let x = if kind == b'%' { x * 100.0 } else { x };
            if !x.is_finite() {
                return None;
            }
            let quick =
                if matches!(kind, b'f' | b'F') { fixed(x, spec.precision, &mut buffer) } else { None };
            match quick {
                Some(start) => number(out, spec, &buffer[start..])?,
                None => {
                    let code = if kind == b'%' { b'f' } else { kind };
                    let precision = spec.precision.map_or(-1, |given| given as i64);
                    let mut text = float_text(code, false, precision, x);
                    if kind == b'%' {
                        text.push(b'%');
                    }
                    number(out, spec, &text)?;
                }
            }
        }
        _ => return None,
    }
    Some(())
}

/// Appends the text of a number, its sign in front.
fn number(out: &mut Vec<u8>, spec: &Spec, text: &[u8]) -> Option<()> {
    if spec.zero {
        if spec.thousands {
            return None;
        }
        let (sign, digits) = text.split_at(usize::from(matches!(text.first(), Some(b'-'))));
        out.extend_from_slice(sign);
        out.resize(out.len() + spec.width.saturating_sub(text.len()), b'0');
        out.extend_from_slice(digits);
        return Some(());
    }
    if !spec.thousands {
        pad(out, spec, text, b'>');
        return Some(());
    }
    let start = usize::from(matches!(text.first(), Some(b'-')));
    let whole = text[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut grouped = Vec::with_capacity(text.len() + whole / 3);
    for (at, &byte) in text.iter().enumerate() {
        let left = (start + whole).saturating_sub(at);
        if at > start && left > 0 && left % 3 == 0 {
            grouped.push(b',');
        }
        grouped.push(byte);
    }
    pad(out, spec, &grouped, b'>');
    Some(())
}

/// Appends a text with what fills it up to the width.
fn pad(out: &mut Vec<u8>, spec: &Spec, text: &[u8], default: u8) {
    let padding = spec.width.saturating_sub(text.len());
    let left = match spec.align.unwrap_or(default) {
        b'>' => padding,
        b'^' => padding / 2,
        _ => 0,
    };
    out.resize(out.len() + left, spec.fill);
    out.extend_from_slice(text);
    out.resize(out.len() + padding - left, spec.fill);
}
