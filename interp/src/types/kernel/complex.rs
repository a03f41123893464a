//! Complex numbers.
use super::error::{Fault, Outcome};
use super::float::{double_to_text, Layout};

/// Real and imaginary part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Complex {
    /// Real part.
    pub real: f64,
    /// Imaginary part.
    pub imag: f64,
}

impl Complex {
    /// A complex number.
    pub fn new(real: f64, imag: f64) -> Complex {
        Complex { real, imag }
    }
}

/// `a + b`
pub fn add(a: Complex, b: Complex) -> Complex {
    Complex::new(a.real + b.real, a.imag + b.imag)
}

/// `a - b`
pub fn subtract(a: Complex, b: Complex) -> Complex {
    Complex::new(a.real - b.real, a.imag - b.imag)
}

/// `a * b`
pub fn multiply(a: Complex, b: Complex) -> Complex {
    Complex::new(a.real * b.real - a.imag * b.imag, a.real * b.imag + a.imag * b.real)
}

/// `a / b`, scaled by the larger part of the divisor.
pub fn divide(a: Complex, b: Complex) -> Outcome<Complex> {
    let (real, imag) = (b.real.abs(), b.imag.abs());
    if real >= imag {
        if real == 0.0 {
            return Err(Fault::zero_division("complex division by zero"));
        }
        let ratio = b.imag / b.real;
        let scale = b.real + b.imag * ratio;
        return Ok(Complex::new((a.real + a.imag * ratio) / scale, (a.imag - a.real * ratio) / scale));
    }
    if imag >= real {
        let ratio = b.real / b.imag;
        let scale = b.real * ratio + b.imag;
        return Ok(Complex::new((a.real * ratio + a.imag) / scale, (a.imag * ratio - a.real) / scale));
    }
    Ok(Complex::new(f64::NAN, f64::NAN))
}

/// `a // b` and `a % b`.
pub fn div_mod(a: Complex, b: Complex) -> Outcome<(Complex, Complex)> {
    if b.real == 0.0 && b.imag == 0.0 {
        return Err(Fault::zero_division("complex divmod()"));
    }
    let quotient = Complex::new(divide(a, b)?.real.floor(), 0.0);
    Ok((quotient, subtract(a, multiply(b, quotient))))
}

/// `a % b`.
pub fn modulo(a: Complex, b: Complex) -> Outcome<Complex> {
    if b.real == 0.0 && b.imag == 0.0 {
        return Err(Fault::zero_division("complex remainder"));
    }
    Ok(div_mod(a, b)?.1)
}

/// `a ** b`
pub fn power(a: Complex, b: Complex) -> Outcome<Complex> {
    let whole = b.real as i64;
    let result =
        if b.imag == 0.0 && b.real == whole as f64 { integer_power(a, whole)? } else { general_power(a, b)? };
    if result.real.is_infinite() || result.imag.is_infinite() {
        return Err(Fault::overflow("complex exponentiation"));
    }
    Ok(result)
}

fn general_power(a: Complex, b: Complex) -> Outcome<Complex> {
    if b.real == 0.0 && b.imag == 0.0 {
        return Ok(Complex::new(1.0, 0.0));
    }
    if a.real == 0.0 && a.imag == 0.0 {
        if b.imag != 0.0 || b.real < 0.0 {
            return Err(Fault::zero_division("0.0 to a negative or complex power"));
        }
        return Ok(Complex::new(0.0, 0.0));
    }
    let magnitude = a.real.hypot(a.imag);
    let mut length = magnitude.powf(b.real);
    let angle = a.imag.atan2(a.real);
    let mut phase = angle * b.real;
    if b.imag != 0.0 {
        length /= (angle * b.imag).exp();
        phase += b.imag * magnitude.ln();
    }
    if phase.is_infinite() {
        // C's sine reports a domain error, which 2.7 takes for this one.
        return Err(Fault::zero_division("0.0 to a negative or complex power"));
    }
    Ok(Complex::new(length * phase.cos(), length * phase.sin()))
}

fn integer_power(a: Complex, exponent: i64) -> Outcome<Complex> {
    if !(-100..=100).contains(&exponent) {
        return general_power(a, Complex::new(exponent as f64, 0.0));
    }
    if exponent > 0 {
        return Ok(positive_power(a, exponent));
    }
    divide(Complex::new(1.0, 0.0), positive_power(a, -exponent)).map_err(|fault| {
        if a.real == 0.0 && a.imag == 0.0 {
            Fault::zero_division("0.0 to a negative or complex power")
        } else {
            fault
        }
    })
}

fn positive_power(a: Complex, exponent: i64) -> Complex {
    let mut result = Complex::new(1.0, 0.0);
    let mut square = a;
    let mut mask = 1i64;
    while mask > 0 && exponent >= mask {
        if exponent & mask != 0 {
            result = multiply(result, square);
        }
        mask <<= 1;
        square = multiply(square, square);
    }
    result
}

/// `abs(a)`
pub fn absolute(a: Complex) -> Outcome<f64> {
    let result = a.real.hypot(a.imag);
    if result.is_infinite() && a.real.is_finite() && a.imag.is_finite() {
        return Err(Fault::overflow("absolute value too large"));
    }
    Ok(result)
}

/// `repr` (round trip) or `str` (12 digits) of a complex number.
pub fn text(a: Complex, round_trip: bool) -> Vec<u8> {
    let code = if round_trip { b'r' } else { b'g' };
    let layout = Layout { code, precision: 12, alternate: false, add_dot_zero: false };
    let piece = |value: f64| double_to_text(value, layout);
    let mut out = Vec::new();
    if a.real == 0.0 && !a.real.is_sign_negative() {
        out.extend(piece(a.imag));
        out.push(b'j');
        return out;
    }
    out.push(b'(');
    out.extend(piece(a.real));
    let imag = piece(a.imag);
    if imag[0] != b'-' {
        out.push(b'+');
    }
    out.extend(imag);
    out.extend_from_slice(b"j)");
    out
}

/// `complex(text)`.
pub fn parse(text: &[u8]) -> Outcome<Complex> {
    use super::float::VerticalTrim;
    let bad = || Fault::value("complex() arg is a malformed string");
    let mut body = text.trim_ascii_vertical();
    if let Some(inner) = body.strip_prefix(b"(") {
        body = inner.strip_suffix(b")").ok_or_else(bad)?.trim_ascii_vertical();
    }
    let is_unit = |b: Option<&u8>| matches!(b, Some(b'j' | b'J'));
    let (first, rest) = leading_number(body);
    let Some(first) = first else {
        // No number in front: `j`, `+j`, `-j`.
        return match body {
            [b'+', unit] | [unit] if is_unit(Some(unit)) => Ok(Complex::new(0.0, 1.0)),
            [b'-', unit] if is_unit(Some(unit)) => Ok(Complex::new(0.0, -1.0)),
            _ => Err(bad()),
        };
    };
    match rest {
        [] => Ok(Complex::new(first, 0.0)),
        [unit] if is_unit(Some(unit)) => Ok(Complex::new(0.0, first)),
        [sign @ (b'+' | b'-'), tail @ ..] => {
            let (second, rest) = leading_number(rest);
            let unit_only = if *sign == b'-' { -1.0 } else { 1.0 };
            let (imag, rest) = match second {
                Some(value) => (value, rest),
                None => (unit_only, tail),
            };
            if rest.len() == 1 && is_unit(rest.first()) {
                Ok(Complex::new(first, imag))
            } else {
                Err(bad())
            }
        }
        _ => Err(bad()),
    }
}

/// The longest float at the start of a text, and what follows it.
pub(super) fn leading_number(text: &[u8]) -> (Option<f64>, &[u8]) {
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let lower = text[sign..].iter().take(8).map(u8::to_ascii_lowercase).collect::<Vec<_>>();
    let mut end = sign;
    for word in [&b"infinity"[..], b"inf", b"nan"] {
        if lower.starts_with(word) {
            end = sign + word.len();
            return (std::str::from_utf8(&text[..end]).ok().and_then(|text| text.parse().ok()), &text[end..]);
        }
    }
    let digits = |from: usize| text[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(end);
    end += whole;
    let mut fraction = 0;
    if text.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        if whole + fraction > 0 {
            end += 1 + fraction;
        }
    }
    if whole + fraction == 0 {
        return (None, text);
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits((end + 1 + signed).min(text.len()));
        if exponent > 0 {
            end += 1 + signed + exponent;
        }
    }
    (std::str::from_utf8(&text[..end]).ok().and_then(|text| text.parse().ok()), &text[end..])
}
