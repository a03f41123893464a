//! The format specification mini-language: what stands behind the `:` of a `str.format` field.
use super::error::{Fault, Outcome};
use super::float::{double_to_text, Layout};
use super::long;
use super::padded::Padded;
use dashu_int::{IBig, Sign};

/// A parsed specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Padding byte, if one is given (`0` for numbers after a leading zero); else it is a space.
    pub fill: Option<u8>,
    /// `<`, `>`, `=` or `^`; `None` for the type's own default.
    pub align: Option<u8>,
    /// `+`, `-` or space.
    pub sign: Option<u8>,
    /// `#`
    pub alternate: bool,
    /// Minimum width.
    pub width: Option<usize>,
    /// `,`
    pub thousands: bool,
    /// Precision.
    pub precision: Option<usize>,
    /// Presentation type; `None` for the type's own.
    pub kind: Option<u8>,
}

fn digits(text: &[u8], at: &mut usize) -> Outcome<Option<usize>> {
    let start = *at;
    let mut value = 0u64;
    while let Some(digit @ b'0'..=b'9') = text.get(*at) {
        value = value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        if value > i64::MAX as u64 {
            return Err(Fault::value("Too many decimal digits in format string"));
        }
        *at += 1;
    }
    Ok((*at > start).then_some(value as usize))
}

/// Reads a specification.
pub fn parse(text: &[u8]) -> Outcome<Spec> {
    let is_align = |b: Option<&u8>| b.copied().filter(|b| matches!(b, b'<' | b'>' | b'=' | b'^'));
    let mut spec = Spec {
        fill: None,
        align: None,
        sign: None,
        alternate: false,
        width: None,
        thousands: false,
        precision: None,
        kind: None,
    };
    let mut at = 0;
    if let Some(align) = is_align(text.get(1)) {
        spec.fill = Some(text[0]);
        spec.align = Some(align);
        at = 2;
    } else if let Some(align) = is_align(text.first()) {
        spec.align = Some(align);
        at = 1;
    }
    if let Some(&sign @ (b'+' | b'-' | b' ')) = text.get(at) {
        spec.sign = Some(sign);
        at += 1;
    }
    if text.get(at) == Some(&b'#') {
        spec.alternate = true;
        at += 1;
    }
    if spec.fill.is_none() && text.get(at) == Some(&b'0') {
        spec.fill = Some(b'0');
        spec.align = spec.align.or(Some(b'='));
        at += 1;
    }
    spec.width = digits(text, &mut at)?;
    if text.get(at) == Some(&b',') {
        spec.thousands = true;
        at += 1;
    }
    if text.get(at) == Some(&b'.') {
        at += 1;
        spec.precision = digits(text, &mut at)?;
        if spec.precision.is_none() {
            return Err(Fault::value("Format specifier missing precision"));
        }
    }
    match text.get(at..).unwrap_or_default() {
        [] => {}
        [kind] => spec.kind = Some(*kind),
        _ => return Err(Fault::value("Invalid conversion specification")),
    }
    if spec.thousands {
        match spec.kind {
            None | Some(b'd' | b'e' | b'f' | b'g' | b'E' | b'G' | b'%' | b'F') => {}
            Some(kind) => return Err(Fault::value(format!("Cannot specify ',' with '{}'.", kind as char))),
        }
    }
    Ok(spec)
}

fn unknown(kind: u8, type_name: &str) -> Fault {
    if (33..128).contains(&kind) {
        Fault::value(format!("Unknown format code '{}' for object of type '{type_name}'", kind as char))
    } else {
        Fault::value(format!("Unknown format code '\\x{kind:x}' for object of type '{type_name}'"))
    }
}

/// `format(text, spec)` for a string.
pub fn format_text(text: &[u8], spec: &Spec, limit: usize) -> Outcome<Padded> {
    if spec.thousands && spec.kind.is_none() {
        return Err(Fault::value("Cannot specify ',' with 's'."));
    }
    if let Some(kind) = spec.kind.filter(|&kind| kind != b's') {
        return Err(unknown(kind, "str"));
    }
    if spec.sign.is_some() {
        return Err(Fault::value("Sign not allowed in string format specifier"));
    }
    if spec.alternate {
        return Err(Fault::value("Alternate form (#) not allowed in string format specifier"));
    }
    if spec.align == Some(b'=') {
        return Err(Fault::value("'=' alignment not allowed in string format specifier"));
    }
    let text = &text[..text.len().min(spec.precision.unwrap_or(usize::MAX))];
    let parts = Parts { sign: None, prefix: b"", digits: text, tail: b"" };
    lay_out(&parts, spec, b'<', limit)
}

/// A number in pieces.
struct Parts<'a> {
    sign: Option<u8>,
    prefix: &'a [u8],
    /// What thousands separators go into.
    digits: &'a [u8],
    /// Point, fraction, exponent, per cent sign.
    tail: &'a [u8],
}

/// The sign in front of a number.
pub fn sign_of(negative: bool, spec: &Spec) -> Option<u8> {
    match spec.sign {
        _ if negative => Some(b'-'),
        Some(sign @ (b'+' | b' ')) => Some(sign),
        _ => None,
    }
}

/// Puts separators between groups of three, zero-padded to at least `least` characters.
fn group(digits: &[u8], least: usize) -> Vec<u8> {
    let mut reversed = Vec::with_capacity(digits.len() * 4 / 3 + 1);
    let mut source = digits.iter().rev();
    let mut count = 0;
    loop {
        let next = source.next();
        if next.is_none() && reversed.len() >= least {
            break;
        }
        if count > 0 && count % 3 == 0 {
            reversed.push(b',');
            // A separator never leads: one more digit follows even if the width was reached.
        }
        reversed.push(next.copied().unwrap_or(b'0'));
        count += 1;
    }
    reversed.reverse();
    reversed
}

fn lay_out(parts: &Parts<'_>, spec: &Spec, default_align: u8, limit: usize) -> Outcome<Padded> {
    let align = spec.align.unwrap_or(default_align);
    let width = spec.width.unwrap_or(0);
    let outside = usize::from(parts.sign.is_some()) + parts.prefix.len() + parts.tail.len();
    if width.max(outside.saturating_add(parts.digits.len())) > limit {
        return Err(Fault::memory());
    }
    let grouped;
    let digits = if spec.thousands {
        let least = if spec.fill == Some(b'0') && align == b'=' { width.saturating_sub(outside) } else { 0 };
        grouped = group(parts.digits, least);
        &grouped[..]
    } else {
        parts.digits
    };
    let padding = width.saturating_sub(outside + digits.len());
    let fill = spec.fill.unwrap_or(b' ');
    let (left, middle) = match align {
        b'>' => (padding, 0),
        b'^' => (padding / 2, 0),
        b'=' => (0, padding),
        _ => (0, 0),
    };
    let mut out = Padded::with_capacity(outside + digits.len());
    out.fill(fill, left);
    out.extend(parts.sign);
    out.extend_from_slice(parts.prefix);
    out.fill(fill, middle);
    out.extend_from_slice(digits);
    out.extend_from_slice(parts.tail);
    out.fill(fill, padding - left - middle);
    Ok(out)
}

/// `format(value, spec)` for an integer of the type named. `decimal` is the magnitude's decimal text if the caller has it already.
pub fn format_integer(
    value: &IBig,
    spec: &Spec,
    type_name: &str,
    digits: Option<&[u8]>,
    limit: usize,
) -> Outcome<Padded> {
    let kind = spec.kind.unwrap_or(b'd');
    if matches!(kind, b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'%') {
        return format_float(long::to_f64(value)?, spec, type_name, limit);
    }
    if !matches!(kind, b'b' | b'c' | b'd' | b'o' | b'x' | b'X' | b'n') {
        return Err(unknown(kind, type_name));
    }
    if spec.precision.is_some() {
        return Err(Fault::value("Precision not allowed in integer format specifier"));
    }
    if kind == b'c' {
        if spec.sign.is_some() {
            return Err(Fault::value("Sign not allowed with integer format specifier 'c'"));
        }
        let byte = u8::try_from(value).map_err(|_| Fault::overflow("%c arg not in range(0x100)"))?;
        let parts = Parts { sign: None, prefix: b"", digits: &[byte], tail: b"" };
        return lay_out(&parts, spec, b'<', limit);
    }
    let (sign, magnitude) = value.clone().into_parts();
    let radix = |radix| digits.map_or_else(|| long::radix_text(&magnitude, radix), <[u8]>::to_vec);
    let digits: Vec<u8> = match kind {
        b'b' => radix(2),
        b'o' => radix(8),
        b'x' => radix(16),
        b'X' => radix(16).to_ascii_uppercase(),
        _ => digits.map_or_else(|| magnitude.to_string().into_bytes(), <[u8]>::to_vec),
    };
    let parts = Parts {
        sign: sign_of(sign == Sign::Negative, spec),
        prefix: if spec.alternate { prefix_of(kind) } else { b"" },
        digits: &digits,
        tail: b"",
    };
    lay_out(&parts, spec, b'>', limit)
}

/// What `#` puts in front of the digits.
pub fn prefix_of(kind: u8) -> &'static [u8] {
    match kind {
        b'b' => b"0b",
        b'o' => b"0o",
        b'x' => b"0x",
        b'X' => b"0X",
        _ => b"",
    }
}

/// `format(value, spec)` for a float (or an integer asked for in a float's style).
pub fn format_float(value: f64, spec: &Spec, type_name: &str, limit: usize) -> Outcome<Padded> {
    let (code, default, add_dot_zero) = match spec.kind {
        None => (b'g', 12, true),
        Some(b'n') => (b'g', 6, false),
        Some(b'%') => (b'f', 6, false),
        Some(kind @ (b'e' | b'E' | b'f' | b'F' | b'g' | b'G')) => (kind, 6, false),
        Some(kind) => return Err(unknown(kind, type_name)),
    };
    if spec.alternate {
        return Err(Fault::value("Alternate form (#) not allowed in float format specifier"));
    }
    let value = if spec.kind == Some(b'%') { value * 100.0 } else { value };
    let precision = spec.precision.unwrap_or(default);
    if precision > limit {
        return Err(Fault::memory());
    }
    let mut text = double_to_text(value, Layout { code, precision, alternate: false, add_dot_zero });
    if spec.kind == Some(b'%') {
        text.push(b'%');
    }
    let negative = text[0] == b'-';
    let body = &text[usize::from(negative)..];
    let whole = body.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, tail) = body.split_at(whole);
    let parts = Parts { sign: sign_of(negative, spec), prefix: b"", digits, tail };
    lay_out(&parts, spec, b'>', limit)
}

/// `format(value, spec)` for a complex number.
pub fn format_complex(real: f64, imag: f64, spec: &Spec, limit: usize) -> Outcome<Padded> {
    let plain = spec.kind.is_none();
    let (code, default) = match spec.kind {
        None => (b'g', 12),
        Some(b'n') => (b'g', 6),
        Some(kind @ (b'e' | b'E' | b'f' | b'F' | b'g' | b'G')) => (kind, 6),
        Some(kind) => return Err(unknown(kind, "complex")),
    };
    if spec.alternate {
        return Err(Fault::value("Alternate form (#) not allowed in complex format specifier"));
    }
    if spec.fill == Some(b'0') {
        return Err(Fault::value("Zero padding is not allowed in complex format specifier"));
    }
    if spec.align == Some(b'=') {
        return Err(Fault::value("'=' alignment flag is not allowed in complex format specifier"));
    }
    let precision = spec.precision.unwrap_or(default);
    if precision > limit {
        return Err(Fault::memory());
    }
    let piece = |value: f64, sign: Option<u8>| {
        let text = double_to_text(value, Layout { code, precision, alternate: false, add_dot_zero: false });
        let inner =
            Spec { sign, width: None, align: None, fill: None, kind: None, precision: None, ..spec.clone() };
        let negative = text[0] == b'-';
        let body = &text[usize::from(negative)..];
        let whole = body.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, tail) = body.split_at(whole);
        lay_out(&Parts { sign: sign_of(negative, &inner), prefix: b"", digits, tail }, &inner, b'>', limit)
    };
    let skip_real = plain && real == 0.0 && !real.is_sign_negative();
    let mut text = Vec::new();
    if plain && !skip_real {
        text.push(b'(');
    }
    if !skip_real {
        text.extend(piece(real, spec.sign)?.flat());
        text.extend(piece(imag, Some(b'+'))?.flat());
    } else {
        text.extend(piece(imag, spec.sign)?.flat());
    }
    text.push(b'j');
    if plain && !skip_real {
        text.push(b')');
    }
    let outer = Spec { thousands: false, ..spec.clone() };
    lay_out(&Parts { sign: None, prefix: b"", digits: &text, tail: b"" }, &outer, b'>', limit)
}
