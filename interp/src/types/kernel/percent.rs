//! The `%` operator of strings: parsing of conversion specifiers and laying out of converted values.
//!
//! The caller walks the format, fetches arguments (which may run program code for `%s` and `%r`) and hands converted
//! values to [`render`].
use super::error::{Fault, Outcome};
use super::float::{double_to_text, Layout};
use super::long;
use super::padded::Padded;
use dashu_int::{IBig, Sign};

/// A width or precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Not given.
    Absent,
    /// Written in the format.
    Given(i64),
    /// `*`: the next argument.
    Star,
}

/// One conversion specifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Mapping key: start and end in the format.
    pub key: Option<(usize, usize)>,
    /// `-`
    pub left: bool,
    /// `+`
    pub plus: bool,
    /// space
    pub blank: bool,
    /// `#`
    pub alternate: bool,
    /// `0`
    pub zero: bool,
    /// Minimum width.
    pub width: Amount,
    /// Precision.
    pub precision: Amount,
    /// The conversion character; 0 when the format ended too early.
    pub conversion: u8,
    /// Index of the conversion character, for error messages.
    pub at: usize,
}

/// Reads the specifier whose `%` stands in front of `start`; returns it and the position behind it.
pub fn parse_directive(format: &[u8], start: usize) -> Outcome<(Directive, usize)> {
    let mut directive = Directive {
        key: None,
        left: false,
        plus: false,
        blank: false,
        alternate: false,
        zero: false,
        width: Amount::Absent,
        precision: Amount::Absent,
        conversion: 0,
        at: start,
    };
    let mut at = start;
    if format.get(at) == Some(&b'(') {
        at += 1;
        let begin = at;
        let mut depth = 1;
        while depth > 0 {
            match format.get(at) {
                Some(b')') => depth -= 1,
                Some(b'(') => depth += 1,
                Some(_) => {}
                None => return Err(Fault::value("incomplete format key")),
            }
            at += 1;
        }
        directive.key = Some((begin, at - 1));
    }
    loop {
        match format.get(at) {
            Some(b'-') => directive.left = true,
            Some(b'+') => directive.plus = true,
            Some(b' ') => directive.blank = true,
            Some(b'#') => directive.alternate = true,
            Some(b'0') => directive.zero = true,
            _ => break,
        }
        at += 1;
    }
    directive.width = amount(format, &mut at, "width too big")?;
    if format.get(at) == Some(&b'.') {
        at += 1;
        directive.precision = match amount(format, &mut at, "prec too big")? {
            Amount::Absent => Amount::Given(0),
            given => given,
        };
    }
    if matches!(format.get(at), Some(b'h' | b'l' | b'L')) {
        at += 1;
    }
    directive.at = at;
    directive.conversion = format.get(at).copied().unwrap_or(0);
    if at >= format.len() {
        return Ok((directive, at));
    }
    Ok((directive, at + 1))
}

fn amount(format: &[u8], at: &mut usize, too_big: &str) -> Outcome<Amount> {
    match format.get(*at) {
        Some(b'*') => {
            *at += 1;
            Ok(Amount::Star)
        }
        Some(b'0'..=b'9') => {
            let mut value = 0i64;
            while let Some(digit @ b'0'..=b'9') = format.get(*at) {
                value = value * 10 + i64::from(digit - b'0');
                if value > i64::from(i32::MAX) {
                    return Err(Fault::value(too_big));
                }
                *at += 1;
            }
            Ok(Amount::Given(value))
        }
        _ => Ok(Amount::Absent),
    }
}

/// The failure for a conversion character that does not exist (or a format that ended).
pub fn unsupported(format: &[u8], directive: &Directive) -> Fault {
    if directive.at >= format.len() {
        return Fault::value("incomplete format");
    }
    let byte = directive.conversion;
    // A character is signed in C; one that is no ASCII cannot be shown in a message.
    let shown = if byte.is_ascii() { byte as char } else { '?' };
    let code = i32::from(byte as i8);
    Fault::value(format!("unsupported format character '{shown}' (0x{code:x}) at index {}", directive.at))
}

/// A converted value, before padding.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// `%s`, `%r`, `%c`, `%%`; the precision has been applied.
    Text(&'a [u8]),
    /// A number with an optional sign in front (and `0x` behind it for `%#x`).
    Number(&'a [u8]),
    /// An integer.
    Digits(&'a Digits),
}

/// Digits of an integer for `d i u o x X`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digits {
    /// Sign, prefix and digits.
    pub text: Vec<u8>,
    /// Zeros that the precision puts in front of the digits.
    pub zeros: usize,
}

/// Digits of an integer for `d i u o x X`, sign included, `precision` applied.
pub fn integer_text(
    conversion: u8,
    alternate: bool,
    precision: i64,
    value: &IBig,
    digits: Option<&[u8]>,
) -> Digits {
    let negative = value.sign() == Sign::Negative;
    let magnitude = || value.clone().into_parts().1;
    let mut digits = match (digits, conversion) {
        (Some(text), _) => text.strip_prefix(b"-").unwrap_or(text).to_vec(),
        (None, b'o') => long::radix_text(&magnitude(), 8),
        (None, b'x' | b'X') => long::radix_text(&magnitude(), 16),
        (None, _) => magnitude().to_string().into_bytes(),
    };
    if conversion == b'X' {
        digits.make_ascii_uppercase();
    }
    let mut prefix: &[u8] = b"";
    if alternate {
        match conversion {
            b'o' if digits[0] != b'0' => digits.insert(0, b'0'),
            b'x' => prefix = b"0x",
            b'X' => prefix = b"0X",
            _ => {}
        }
    }
    assemble(negative, prefix, &digits, precision)
}

/// The decimal digits of 0 to 99.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut at = 0;
    while at < 100 {
        pairs[at] = [b'0' + (at / 10) as u8, b'0' + (at % 10) as u8];
        at += 1;
    }
    pairs
};

/// Writes decimal digits to the end of `buffer`, which has room for 20; gives where they begin.
#[inline]
pub fn decimal_digits(mut rest: u64, buffer: &mut [u8]) -> usize {
    let mut at = buffer.len();
    while rest >= 100 {
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
        rest /= 100;
    }
    if rest >= 10 {
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&PAIRS[rest as usize]);
    } else {
        at -= 1;
        buffer[at] = b'0' + rest as u8;
    }
    at
}

/// Writes the digits of a small integer, its sign in front, to the end of `buffer`; gives the part written. For
/// conversions without `#` and precision.
pub fn plain_digits(conversion: u8, value: i64, buffer: &mut [u8; 24]) -> &[u8] {
    const DIGITS: [&[u8; 16]; 2] = [b"0123456789abcdef", b"0123456789ABCDEF"];
    let digits = DIGITS[usize::from(conversion == b'X')];
    let mut rest = value.unsigned_abs();
    let mut at = buffer.len();
    let base_bits = match conversion {
        b'x' | b'X' => 4,
        b'o' => 3,
        _ => 0,
    };
    loop {
        if base_bits == 0 {
            at = decimal_digits(rest, &mut buffer[..at]);
            break;
        }
        at -= 1;
        buffer[at] = digits[(rest & ((1 << base_bits) - 1)) as usize];
        rest >>= base_bits;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    &buffer[at..]
}

/// [`integer_text`] for a small integer.
pub fn small_integer_text(conversion: u8, alternate: bool, precision: i64, value: i64) -> Digits {
    let magnitude = value.unsigned_abs();
    let digits = match conversion {
        // As C's printf: no digits at all for zero with precision zero.
        _ if precision == 0 && value == 0 => {
            (if alternate && conversion == b'o' { "0" } else { "" }).to_owned()
        }
        b'o' if alternate && magnitude != 0 => format!("0{magnitude:o}"),
        b'o' => format!("{magnitude:o}"),
        b'x' => format!("{magnitude:x}"),
        b'X' => format!("{magnitude:X}"),
        _ => magnitude.to_string(),
    };
    let prefix: &[u8] = match conversion {
        b'x' if alternate => b"0x",
        b'X' if alternate => b"0X",
        _ => b"",
    };
    assemble(value < 0, prefix, digits.as_bytes(), precision)
}

fn assemble(negative: bool, prefix: &[u8], digits: &[u8], precision: i64) -> Digits {
    let zeros = usize::try_from(precision).unwrap_or(0).saturating_sub(digits.len());
    let mut text = Vec::with_capacity(digits.len() + 3);
    if negative {
        text.push(b'-');
    }
    text.extend_from_slice(prefix);
    text.extend_from_slice(digits);
    Digits { text, zeros }
}

/// Text of a float for `e E f F g G`.
pub fn float_text(conversion: u8, alternate: bool, precision: i64, value: f64) -> Vec<u8> {
    let precision = usize::try_from(precision).unwrap_or(6);
    double_to_text(value, Layout { code: conversion, precision, alternate, add_dot_zero: false })
}

/// Appends the padded value. `width` is -1 when absent; the whole result may take at most `limit` bytes.
pub fn render(
    out: &mut Padded,
    directive: &Directive,
    width: i64,
    left: bool,
    body: Body<'_>,
    limit: usize,
) -> Outcome<()> {
    let (mut text, zeros, number) = match body {
        Body::Text(text) => (text, 0, false),
        Body::Number(text) => (text, 0, true),
        Body::Digits(digits) => (&digits.text[..], digits.zeros, true),
    };
    let fill = if number && directive.zero { b'0' } else { b' ' };
    let mut sign = None;
    if number {
        if let [first @ (b'-' | b'+'), rest @ ..] = text {
            sign = Some(*first);
            text = rest;
        } else if directive.plus {
            sign = Some(b'+');
        } else if directive.blank {
            sign = Some(b' ');
        }
    }
    let mut prefix: &[u8] = b"";
    if directive.alternate && number && matches!(directive.conversion, b'x' | b'X') {
        (prefix, text) = text.split_at(text.len().min(2));
    }
    let used = text.len() + zeros + prefix.len() + usize::from(sign.is_some());
    let padding = usize::try_from(width).unwrap_or(0).saturating_sub(used);
    if out.size().saturating_add(used).saturating_add(padding) > limit {
        return Err(Fault::memory());
    }
    if fill == b' ' && !left {
        out.fill(b' ', padding);
    }
    out.extend(sign);
    out.extend_from_slice(prefix);
    if fill != b' ' && !left {
        out.fill(fill, padding);
    }
    out.fill(b'0', zeros);
    out.extend_from_slice(text);
    if left {
        out.fill(b' ', padding);
    }
    Ok(())
}
