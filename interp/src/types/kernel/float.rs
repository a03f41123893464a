//! Floating-point numbers: text in both directions, rounding, division and power as CPython 2.7.
use super::decimal;
use super::error::{Fault, Outcome};
use super::percent::decimal_digits;

/// Decimal digits of a finite, non-negative value: `0.d1d2d3... * 10^point`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digits {
    /// ASCII digits, without leading zeros (a single `0` for zero).
    pub digits: Vec<u8>,
    /// Position of the decimal point relative to the first digit.
    pub point: i32,
}

/// More fractional decimal digits than any finite double has (the smallest subnormal has 1074).
const EXACT_FRACTION: usize = 1100;

/// Digits of a whole number.
fn whole(mut number: u64) -> Vec<u8> {
    let mut buffer = [0u8; 20];
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    let mut digits = Vec::with_capacity(32);
    digits.extend_from_slice(&buffer[at..]);
    digits
}

fn from_scientific(text: &str) -> Digits {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    Digits { digits, point: exponent + 1 }
}

/// The shortest digits that read back as `value` (finite, sign ignored). Where two
/// of that length are equally near, the one with the even last digit, as in CPython.
pub fn shortest(value: f64) -> Digits {
    let digits = some_shortest(value);
    if !is_between_two(value, &digits) {
        return digits;
    }
    let even = significant(value, digits.digits.len());
    if reads_as(&even, value.abs()) {
        even
    } else {
        digits
    }
}

/// Whether `value` may lie in the middle of its `digits` and their neighbour: then
/// it has one more decimal place than they, a five, and so is an odd multiple of
/// that power of a half.
fn is_between_two(value: f64, digits: &Digits) -> bool {
    let places = digits.digits.len() as i32 - digits.point;
    let halves = value.abs() * 2f64.powi(places.clamp(0, 1000) + 1);
    places > 0 && halves < 9_007_199_254_740_992.0 && halves % 2.0 == 1.0
}

fn reads_as(digits: &Digits, value: f64) -> bool {
    let text = String::from_utf8_lossy(&digits.digits);
    format!("{text}e{}", digits.point - digits.digits.len() as i32).parse() == Ok(value)
}

fn some_shortest(value: f64) -> Digits {
    if let (Some((digits, point)), true) = (decimal::shortest(value), value != 0.0) {
        return Digits { digits: whole(digits), point };
    }
    from_scientific(&format!("{:e}", value.abs()))
}

/// `count` significant digits (at least 1), correctly rounded, half to even on exact ties.
pub fn significant(value: f64, count: usize) -> Digits {
    let count = count.max(1);
    if let (Some((digits, point)), true) = (decimal::significant(value, count), value != 0.0) {
        return Digits { digits: whole(digits), point };
    }
    let exact = count.min(EXACT_FRACTION);
    let mut digits = from_scientific(&format!("{:.*e}", exact - 1, value.abs()));
    digits.digits.resize(count, b'0');
    digits
}

/// `value` with `precision` digits after the point, correctly rounded (finite, sign ignored).
pub fn fixed(value: f64, precision: usize) -> Vec<u8> {
    if let Some(digits) = decimal::scaled(value, precision) {
        let mut text = whole(digits);
        if text.len() <= precision {
            text.splice(0..0, std::iter::repeat_n(b'0', precision + 1 - text.len()));
        }
        if precision > 0 {
            text.insert(text.len() - precision, b'.');
        }
        return text;
    }
    let exact = precision.min(EXACT_FRACTION);
    let mut text = format!("{:.*}", exact, value.abs()).into_bytes();
    text.resize(text.len() + (precision - exact), b'0');
    text
}

/// How [`double_to_text`] lays a number out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// One of `e E f F g G r`; `r` is the shortest round trip.
    pub code: u8,
    /// Digits after the point (`e f`), significant digits (`g`); unused for `r`.
    pub precision: usize,
    /// `#`: keep the point and trailing zeros.
    pub alternate: bool,
    /// Put `.0` behind a number that would look like an integer.
    pub add_dot_zero: bool,
}

fn push_exponent(out: &mut Vec<u8>, exponent: i32, upper: bool) {
    out.push(if upper { b'E' } else { b'e' });
    out.extend_from_slice(
        format!("{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()).as_bytes(),
    );
}

/// Text of `value` with its `-` sign if it has one (never a `+`).
pub fn double_to_text(value: f64, layout: Layout) -> Vec<u8> {
    let upper = layout.code.is_ascii_uppercase();
    let code = layout.code.to_ascii_lowercase();
    if value.is_nan() {
        return if upper { b"NAN".to_vec() } else { b"nan".to_vec() };
    }
    let mut out = Vec::with_capacity(24);
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value.is_infinite() {
        out.extend_from_slice(if upper { b"INF" } else { b"inf" });
        return out;
    }
    match code {
        b'f' => {
            out.extend_from_slice(&fixed(value, layout.precision));
            if layout.precision == 0 && layout.alternate {
                out.push(b'.');
            }
        }
        b'e' => {
            let digits = significant(value, layout.precision + 1);
            let exponent = if value == 0.0 { 0 } else { digits.point - 1 };
            out.push(digits.digits[0]);
            if digits.digits.len() > 1 || layout.alternate {
                out.push(b'.');
            }
            out.extend_from_slice(&digits.digits[1..]);
            push_exponent(&mut out, exponent, upper);
        }
        _ => push_general(&mut out, value, code == b'r', upper, layout),
    }
    out
}

fn push_general(out: &mut Vec<u8>, value: f64, round_trip: bool, upper: bool, layout: Layout) {
    let precision = layout.precision.max(1);
    let mut digits = if round_trip { shortest(value) } else { significant(value, precision) };
    if value == 0.0 {
        digits.point = 1;
    }
    let keep_zeros = layout.alternate && !round_trip;
    if !keep_zeros {
        while digits.digits.len() > 1 && digits.digits.last() == Some(&b'0') {
            digits.digits.pop();
        }
    }
    let limit = if round_trip { 16 } else { precision as i64 - i64::from(layout.add_dot_zero) };
    let point = digits.point;
    if point <= -4 || i64::from(point) > limit {
        out.push(digits.digits[0]);
        if digits.digits.len() > 1 || layout.alternate {
            out.push(b'.');
        }
        out.extend_from_slice(&digits.digits[1..]);
        push_exponent(out, point - 1, upper);
        return;
    }
    let count = digits.digits.len() as i32;
    if point <= 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-point) as usize, b'0');
        out.extend_from_slice(&digits.digits);
    } else if count > point {
        out.extend_from_slice(&digits.digits[..point as usize]);
        out.push(b'.');
        out.extend_from_slice(&digits.digits[point as usize..]);
    } else {
        out.extend_from_slice(&digits.digits);
        out.resize(out.len() + (point - count) as usize, b'0');
        if layout.add_dot_zero {
            out.extend_from_slice(b".0");
        } else if layout.alternate {
            out.push(b'.');
        }
    }
}

/// `repr(value)`.
pub fn repr(value: f64) -> Vec<u8> {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        // The common case of a whole number: no digit generation needed.
        return if value == 0.0 && value.is_sign_negative() {
            b"-0.0".to_vec()
        } else {
            format!("{}.0", value as i64).into_bytes()
        };
    }
    if let Some(text) = few_decimals(value) {
        return text;
    }
    double_to_text(value, Layout { code: b'r', precision: 0, alternate: false, add_dot_zero: true })
}

/// The text of a number with at most six decimals and twelve digits, which is its `repr` and its `str`: no other text of
/// as few digits stands for the same number.
fn few_decimals(value: f64) -> Option<Vec<u8>> {
    const SCALE: u64 = 1_000_000;
    let magnitude = value.abs();
    if !(1e-4..1e6).contains(&magnitude) {
        return None;
    }
    let scaled = (magnitude * SCALE as f64).round();
    // Exactly the number that is nearest to the text.
    if scaled / SCALE as f64 != magnitude {
        return None;
    }
    let scaled = scaled as u64;
    let (whole, mut rest, mut width) = (scaled / SCALE, scaled % SCALE, 6);
    while rest != 0 && rest % 10 == 0 {
        rest /= 10;
        width -= 1;
    }
    let mut buffer = [b'0'; 24];
    let at = decimal_digits(rest, &mut buffer);
    let point = if rest == 0 { at - 1 } else { buffer.len() - width - 1 };
    buffer[point] = b'.';
    let mut start = decimal_digits(whole, &mut buffer[..point]);
    if value.is_sign_negative() {
        start -= 1;
        buffer[start] = b'-';
    }
    Some(buffer[start..].to_vec())
}

/// `str(value)`: 12 significant digits.
pub fn to_str(value: f64) -> Vec<u8> {
    if value.fract() == 0.0 && value.abs() < 1e11 {
        return repr(value);
    }
    if let Some(text) = few_decimals(value) {
        return text;
    }
    double_to_text(value, Layout { code: b'g', precision: 12, alternate: false, add_dot_zero: true })
}

/// `float(text)`.
pub fn parse(text: &[u8]) -> Outcome<f64> {
    let trimmed = text.trim_ascii_vertical();
    let bad = || {
        // The words depend on whether a number stands at the start.
        let start = text.iter().position(|&b| !is_space(b)).unwrap_or(text.len());
        // What follows a null byte is not seen.
        let end = text.iter().position(|&b| b == 0).unwrap_or(text.len()).min(start + 200).max(start);
        let shown = String::from_utf8_lossy(&text[start..end]).into_owned();
        let words = match super::complex::leading_number(trimmed).0 {
            Some(_) => "invalid literal for float()",
            _ => "could not convert string to float",
        };
        Fault::value(format!("{words}: {shown}"))
    };
    if trimmed.is_empty() {
        return Err(bad());
    }
    if trimmed.contains(&0) {
        return Err(bad());
    }
    let body = trimmed.strip_prefix(b"+").or_else(|| trimmed.strip_prefix(b"-")).unwrap_or(trimmed);
    let starts_well =
        body.first().is_some_and(|&b| b.is_ascii_digit() || b == b'.' || b.is_ascii_alphabetic());
    if !starts_well {
        return Err(bad());
    }
    let parsed = std::str::from_utf8(trimmed).ok().and_then(|text| text.parse::<f64>().ok());
    parsed.ok_or_else(bad)
}

/// White space as 2.7's C `isspace` sees it: space, `\t \n \v \f \r`.
pub trait VerticalTrim {
    /// The slice without white space at either end.
    fn trim_ascii_vertical(&self) -> &[u8];
}

impl VerticalTrim for [u8] {
    fn trim_ascii_vertical(&self) -> &[u8] {
        let start = self.iter().position(|&b| !is_space(b)).unwrap_or(self.len());
        let end = self.iter().rposition(|&b| !is_space(b)).map_or(start, |at| at + 1);
        &self[start..end]
    }
}

/// C `isspace`.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | 9..=13)
}

/// Floor division and remainder: `divmod(a, b)`.
pub fn div_mod(a: f64, b: f64) -> Outcome<(f64, f64)> {
    if b == 0.0 {
        return Err(Fault::zero_division("float divmod()"));
    }
    let mut remainder = a % b;
    let mut quotient = (a - remainder) / b;
    if remainder != 0.0 {
        if (b < 0.0) != (remainder < 0.0) {
            remainder += b;
            quotient -= 1.0;
        }
    } else {
        remainder = 0.0f64.copysign(b);
    }
    let floored = if quotient != 0.0 {
        let floor = quotient.floor();
        if quotient - floor > 0.5 {
            floor + 1.0
        } else {
            floor
        }
    } else {
        // A zero with the sign of the true quotient.
        0.0f64.copysign(a / b)
    };
    Ok((floored, remainder))
}

/// `a % b`.
pub fn modulo(a: f64, b: f64) -> Outcome<f64> {
    if b == 0.0 {
        return Err(Fault::zero_division("float modulo"));
    }
    let remainder = a % b;
    Ok(if remainder != 0.0 {
        if (b < 0.0) != (remainder < 0.0) {
            remainder + b
        } else {
            remainder
        }
    } else {
        0.0f64.copysign(b)
    })
}

/// `a / b`.
pub fn divide(a: f64, b: f64) -> Outcome<f64> {
    if b == 0.0 {
        return Err(Fault::zero_division("float division by zero"));
    }
    Ok(a / b)
}

/// `a ** b`.
pub fn power(a: f64, b: f64) -> Outcome<f64> {
    if b == 0.0 || a == 1.0 {
        return Ok(1.0);
    }
    if a.is_nan() {
        return Ok(a);
    }
    if b.is_nan() {
        return Ok(b);
    }
    let odd = b.abs() % 2.0 == 1.0;
    if b.is_infinite() {
        let magnitude = a.abs();
        return Ok(if magnitude == 1.0 {
            1.0
        } else if (b > 0.0) == (magnitude > 1.0) {
            b.abs()
        } else {
            0.0
        });
    }
    if a.is_infinite() {
        return Ok(if b > 0.0 {
            if odd {
                a
            } else {
                a.abs()
            }
        } else if odd {
            0.0f64.copysign(a)
        } else {
            0.0
        });
    }
    if a == 0.0 {
        if b < 0.0 {
            return Err(Fault::zero_division("0.0 cannot be raised to a negative power"));
        }
        return Ok(if odd { a } else { 0.0 });
    }
    let mut negate = false;
    let mut base = a;
    if a < 0.0 {
        if b != b.floor() {
            return Err(Fault::value("negative number cannot be raised to a fractional power"));
        }
        base = -a;
        negate = odd;
    }
    if base == 1.0 {
        return Ok(if negate { -1.0 } else { 1.0 });
    }
    let result = base.powf(b);
    if result.is_infinite() {
        return Err(Fault::overflow("(34, 'Numerical result out of range')"));
    }
    Ok(if negate { -result } else { result })
}

/// `round(value, digits)`: to the nearest, ties away from zero.
pub fn round(value: f64, digits: i64) -> Outcome<f64> {
    if !value.is_finite() || value == 0.0 {
        return Ok(value);
    }
    if digits == 0 {
        return Ok(value.round());
    }
    if digits > 323 {
        return Ok(value);
    }
    if digits < -308 {
        return Ok(0.0 * value);
    }
    let rounded = if digits > 0 {
        round_fraction(value, digits as usize)
    } else {
        round_whole(value, -digits as usize)
    };
    if rounded.is_infinite() {
        return Err(Fault::overflow("rounded value too large to represent"));
    }
    Ok(rounded.copysign(value))
}

/// Number of fractional bits of a finite non-zero value (negative: trailing zero bits of a whole number).
fn fraction_bits(value: f64) -> i32 {
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32;
    let mantissa = bits & 0x000f_ffff_ffff_ffff;
    let (mantissa, exponent) =
        if exponent == 0 { (mantissa, -1074) } else { (mantissa | 1 << 52, exponent - 1075) };
    -(exponent + mantissa.trailing_zeros() as i32)
}

fn round_fraction(value: f64, digits: usize) -> f64 {
    // Exactly half way means exactly digits+1 fractional bits, whose last decimal digit is a 5.
    let halfway = fraction_bits(value) == digits as i32 + 1;
    let mut text = fixed(value, digits + usize::from(halfway));
    if halfway {
        text.pop();
        increment_decimal(&mut text);
    }
    std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).unwrap_or(value)
}

fn round_whole(value: f64, zeros: usize) -> f64 {
    let mut text = fixed(value.trunc(), 0);
    if text.len() < zeros {
        return 0.0;
    }
    let keep = text.len() - zeros;
    let up = text[keep] >= b'5';
    text.truncate(keep);
    if up {
        increment_decimal(&mut text);
    }
    if text.is_empty() {
        return 0.0;
    }
    text.resize(text.len() + zeros, b'0');
    std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).unwrap_or(value)
}

/// Adds one unit in the last place of a decimal number.
fn increment_decimal(text: &mut Vec<u8>) {
    for at in (0..text.len()).rev() {
        match text[at] {
            b'.' => {}
            b'9' => text[at] = b'0',
            _ => {
                text[at] += 1;
                return;
            }
        }
    }
    text.insert(0, b'1');
}

/// `value.hex()`
pub fn hex(value: f64) -> Vec<u8> {
    if !value.is_finite() {
        return repr(value);
    }
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32;
    let mantissa = bits & 0x000f_ffff_ffff_ffff;
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if exponent == 0 && mantissa == 0 {
        return format!("{sign}0x0.0p+0").into_bytes();
    }
    let (lead, exponent) = if exponent == 0 { (0, -1022) } else { (1, exponent - 1023) };
    format!("{sign}0x{lead}.{mantissa:013x}p{exponent:+}").into_bytes()
}

/// `float.fromhex(text)`
pub fn from_hex(text: &[u8]) -> Outcome<f64> {
    let bad = || Fault::value("invalid hexadecimal floating-point string");
    let trimmed = text.trim_ascii_vertical();
    let (negative, body) = match trimmed {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let lower = body.to_ascii_lowercase();
    let signed = |value: f64| if negative { -value } else { value };
    match &lower[..] {
        b"inf" | b"infinity" => return Ok(signed(f64::INFINITY)),
        b"nan" => return Ok(f64::NAN),
        _ => {}
    }
    let digits = lower.strip_prefix(b"0x").unwrap_or(&lower);
    let (mantissa, exponent) = match digits.iter().position(|&b| b == b'p') {
        Some(at) => {
            let text = std::str::from_utf8(&digits[at + 1..]).map_err(|_| bad())?;
            (&digits[..at], text.parse::<i64>().map_err(|_| bad())?)
        }
        None => (digits, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|&b| b == b'.') {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    let all: Vec<u8> = whole.iter().chain(fraction).copied().collect();
    if all.is_empty() || !all.iter().all(u8::is_ascii_hexdigit) {
        return Err(bad());
    }
    let text = std::str::from_utf8(&all).map_err(|_| bad())?;
    let value = dashu_int::UBig::from_str_radix(text, 16).map_err(|_| bad())?;
    let exponent = exponent.saturating_sub(4 * fraction.len() as i64);
    let result = scale(&value, exponent);
    if result.is_infinite() {
        return Err(Fault::overflow("hexadecimal value too large to represent as a float"));
    }
    Ok(signed(result))
}

/// `value * 2^exponent`, correctly rounded.
fn scale(value: &dashu_int::UBig, exponent: i64) -> f64 {
    use dashu_int::ops::BitTest;
    let bits = value.bit_len() as i64;
    if bits == 0 || bits + exponent < -1100 {
        return 0.0;
    }
    if bits + exponent > 1025 {
        return f64::INFINITY;
    }
    // Brings the number to its place above the least subnormal, so that one rounding to an integer is the only one.
    let kept = (bits + exponent + 1074).clamp(0, 53);
    let drop = bits - kept;
    if drop <= 0 {
        return value.to_f64().value()
            * 2f64.powi(exponent as i32 / 2)
            * 2f64.powi((exponent - exponent / 2) as i32);
    }
    let drop = drop as usize;
    let mut whole = value >> drop;
    let rest = value - (&whole << drop);
    let half = dashu_int::UBig::ONE << (drop - 1);
    let odd = whole.bit(0);
    if rest > half || (rest == half && odd) {
        whole += dashu_int::UBig::ONE;
    }
    let exponent = exponent + drop as i64;
    let first = (exponent / 2) as i32;
    whole.to_f64().value() * 2f64.powi(first) * 2f64.powi((exponent - i64::from(first)) as i32)
}
