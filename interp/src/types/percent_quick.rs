//! The `%` operator where nothing can happen on the way: short formats of plain conversions, and values that no code of
//! the program has a say in. Everything else, errors included, goes the long way of [`super::percent`].
use super::kernel::percent::{decimal_digits, float_text, plain_digits};
use super::kernel::{float, strrepr};
use crate::heap::{Heap, Str, Value};
use crate::vm::Vm;

/// Longest format and longest text for it, in bytes.
const SHORT: usize = 512;
/// Widths and precisions up to this are quick.
const NARROW: usize = 100;

/// `format % arguments`, owned, if it is a quick one. Borrows both.
pub fn format(vm: &mut Vm, format: Str, arguments: Value) -> Option<Value> {
    let mut out = std::mem::take(&mut vm.scratch);
    let done = fill(&vm.heap, &mut out, format, arguments).is_some();
    if done && out.len() > 2 * SHORT && out.capacity() <= out.len() + out.len() / 8 {
        // A long text keeps the buffer it was made in, if it fits.
        return Some(vm.heap.new_str_from(out));
    }
    let text = done.then(|| vm.heap.new_str(&out));
    vm.give_scratch(out);
    text
}

/// One conversion.
#[derive(Clone, Copy)]
struct Conversion {
    left: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

impl Conversion {
    /// The same without a precision, which means nothing for one byte.
    fn uncut(self) -> Conversion {
        Conversion { precision: None, ..self }
    }

    /// Whether the text stays as it is.
    #[inline(always)]
    fn is_plain(&self) -> bool {
        self.width == 0 && self.precision.is_none()
    }
}

fn fill(heap: &Heap, out: &mut Vec<u8>, format: Str, arguments: Value) -> Option<()> {
    let mut rest = heap.bytes(format);
    if rest.len() > SHORT {
        return None;
    }
    let mut items = match &arguments {
        Value::Tuple(tuple) => heap.tuple(*tuple).iter(),
        Value::Str(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::None => {
            std::slice::from_ref(&arguments).iter()
        }
        _ => return None,
    };
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if let [b'%', after @ ..] = rest {
            out.push(b'%');
            rest = after;
            continue;
        }
        let conversion = parse(&mut rest)?;
        let (code, after) = rest.split_first()?;
        rest = after;
        convert(heap, out, &conversion, *code, *items.next()?)?;
    }
    out.extend_from_slice(rest);
    items.next().is_none().then_some(())
}

/// Reads flags, width and precision.
#[inline]
fn parse(rest: &mut &[u8]) -> Option<Conversion> {
    let mut conversion = Conversion { left: false, zero: false, width: 0, precision: None };
    loop {
        match rest.first()? {
            b'-' => conversion.left = true,
            b'0' => conversion.zero = true,
            _ => break,
        }
        *rest = &rest[1..];
    }
    conversion.width = amount(rest)?;
    if let [b'.', after @ ..] = *rest {
        *rest = after;
        conversion.precision = Some(amount(rest)?);
    }
    Some(conversion)
}

/// Reads a number that is not large; 0 where there is none.
#[inline]
pub(super) fn amount(rest: &mut &[u8]) -> Option<usize> {
    let mut amount = 0;
    while let [digit @ b'0'..=b'9', after @ ..] = *rest {
        amount = amount * 10 + usize::from(digit - b'0');
        if amount > NARROW {
            return None;
        }
        *rest = after;
    }
    Some(amount)
}

fn convert(heap: &Heap, out: &mut Vec<u8>, conversion: &Conversion, code: u8, item: Value) -> Option<()> {
    let mut buffer = [0u8; 24];
    match (code, item) {
        (b'd' | b'i' | b'u' | b'x' | b'X' | b'o', Value::Int(_) | Value::Bool(_)) => {
            if conversion.precision.is_some() {
                return None;
            }
            pad(out, conversion, plain_digits(code, item.as_int()?, &mut buffer), true);
        }
        (b's' | b'r', Value::Int(i)) if conversion.is_plain() => {
            out.extend_from_slice(plain_digits(b'd', i, &mut buffer));
        }
        (b's' | b'r', Value::Int(i)) => text(out, conversion, plain_digits(b'd', i, &mut buffer)),
        (b's', Value::Str(part)) if conversion.is_plain() => {
            let size = heap.bytes(part).len();
            if size > SHORT {
                out.reserve_exact(size + 64);
            }
            heap.push_bytes(out, part);
        }
        (b's', Value::Str(part)) => {
            let part = heap.bytes(part);
            if part.len() > SHORT {
                return None;
            }
            text(out, conversion, part);
        }
        (b'r', Value::Str(part)) => {
            let part = heap.bytes(part);
            if part.len() > SHORT {
                return None;
            }
            if conversion.width == 0 && conversion.precision.is_none() {
                strrepr::push_repr(out, part);
            } else {
                text(out, conversion, &strrepr::repr(part));
            }
        }
        (b'c', Value::Int(code)) => text(out, &conversion.uncut(), &[u8::try_from(code).ok()?]),
        (b'c', Value::Str(byte)) => match heap.bytes(byte) {
            byte @ [_] => text(out, &conversion.uncut(), byte),
            _ => return None,
        },
        (b's', Value::Float(x)) => text(out, conversion, &float::to_str(x.get())),
        (b'r', Value::Float(x)) => text(out, conversion, &float::repr(x.get())),
        (b's' | b'r', Value::None) => text(out, conversion, b"None"),
        (b's' | b'r', Value::Bool(truth)) => {
            text(out, conversion, if truth.get() { b"True" } else { b"False" });
        }
        (b'f' | b'F', Value::Float(x)) => match fixed(x.get(), conversion.precision, &mut buffer) {
            Some(start) => pad(out, conversion, &buffer[start..], true),
            None => {
                let precision = conversion.precision.map_or(-1, |given| given as i64);
                pad(out, conversion, &float_text(code, false, precision, x.get()), true);
            }
        },
        (b'e' | b'E' | b'f' | b'F' | b'g' | b'G', Value::Float(_) | Value::Int(_)) => {
            let number = match item {
                Value::Float(x) => x.get(),
                _ => item.as_int()? as f64,
            };
            let precision = conversion.precision.map_or(-1, |given| given as i64);
            pad(out, conversion, &float_text(code, false, precision, number), true);
        }
        _ => return None,
    }
    Some(())
}

/// Writes a number with a fixed number of decimals to the end of `buffer`, where the rounding is beyond doubt; gives the
/// place where it begins.
pub(super) fn fixed(x: f64, precision: Option<usize>, buffer: &mut [u8; 24]) -> Option<usize> {
    const SCALES: [u64; 7] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000];
    let width = precision.unwrap_or(6);
    let scale = *SCALES.get(width)?;
    let scaled = x.abs() * scale as f64;
    // The product is off by less than 0.0001 then (not so for what is no number).
    if scaled.is_nan() || scaled >= 1e12 {
        return None;
    }
    let (down, part) = (scaled.floor(), scaled.fract());
    if (part - 0.5).abs() < 0.001 {
        return None;
    }
    let rounded = down as u64 + u64::from(part > 0.5);
    let point = buffer.len() - width;
    buffer.fill(b'0');
    let mut start = point;
    if width > 0 {
        decimal_digits(rounded % scale, buffer);
        start -= 1;
        buffer[start] = b'.';
    }
    start = decimal_digits(rounded / scale, &mut buffer[..start]);
    if x.is_sign_negative() {
        start -= 1;
        buffer[start] = b'-';
    }
    Some(start)
}

/// A text, cut to the precision.
#[inline]
fn text(out: &mut Vec<u8>, conversion: &Conversion, text: &[u8]) {
    let keep = conversion.precision.unwrap_or(usize::MAX).min(text.len());
    pad(out, conversion, &text[..keep], false);
}

/// Appends a text or number with what fills it up to the width.
#[inline]
fn pad(out: &mut Vec<u8>, conversion: &Conversion, text: &[u8], number: bool) {
    let padding = conversion.width.saturating_sub(text.len());
    if padding == 0 {
        out.extend_from_slice(text);
    } else if conversion.left {
        out.extend_from_slice(text);
        out.resize(out.len() + padding, b' ');
    } else if number && conversion.zero {
        // The sign stands before the zeros.
        let (sign, digits) = text.split_at(usize::from(matches!(text.first(), Some(b'-'))));
        out.extend_from_slice(sign);
        out.resize(out.len() + padding, b'0');
        out.extend_from_slice(digits);
    } else {
        out.resize(out.len() + padding, b' ');
        out.extend_from_slice(text);
    }
}
