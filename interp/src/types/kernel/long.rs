//! Integers of any size: the operations that finish in one short step, and the size estimates that tell which do.
//!
//! Everything here takes references and returns a new number; callers first ask [`mul_cost`] and its sisters and hand
//! what is too long to [`super::bigjob`].
use super::error::{Fault, Outcome};
use dashu_int::ops::{BitTest, DivRem};
use dashu_int::{IBig, Sign, UBig};
use std::cmp::Ordering;

/// Machine words of a magnitude.
pub fn words(value: &IBig) -> usize {
    value.as_sign_words().1.len()
}

/// Bytes a number of `bits` bits takes on the heap.
pub fn bytes_of_bits(bits: usize) -> usize {
    bits / 8 + 16
}

/// Bits of the magnitude.
pub fn bit_length(value: &IBig) -> usize {
    value.bit_len()
}

/// Estimated nanoseconds of a product.
pub fn mul_cost(a: usize, b: usize) -> u64 {
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    // Below about 200 words schoolbook (half a nanosecond per word pair), then Toom-like growth.
    let per_small = if small <= 200 { small as f64 * 0.5 } else { 100.0 * (small as f64 / 200.0).powf(0.46) };
    (large as f64 * per_small) as u64 + 20
}

/// Estimated nanoseconds of a quotient of a number of `a` words by one of `b`.
pub fn div_cost(a: usize, b: usize) -> u64 {
    if b > a {
        return 20;
    }
    mul_cost(a - b + 1, b).saturating_mul(3)
}

/// Estimated nanoseconds of decimal conversion of a number of `words` words, in either direction.
pub fn decimal_cost(words: usize) -> u64 {
    mul_cost(words, words).saturating_mul(5)
}

/// The value if it fits the small integer type.
pub fn to_i64(value: &IBig) -> Option<i64> {
    i64::try_from(value).ok()
}

/// `float(value)`, correctly rounded.
pub fn to_f64(value: &IBig) -> Outcome<f64> {
    let result = value.to_f64().value();
    if result.is_infinite() {
        return Err(Fault::overflow("long int too large to convert to float"));
    }
    Ok(result)
}

/// `long(value)`: truncates towards zero.
pub fn from_f64(value: f64) -> Outcome<IBig> {
    if value.is_nan() {
        return Err(Fault::value("cannot convert float NaN to integer"));
    }
    if value.is_infinite() {
        return Err(Fault::overflow("cannot convert float infinity to integer"));
    }
    let whole = value.trunc();
    if whole.abs() < 9.0e18 {
        return Ok(IBig::from(whole as i64));
    }
    let bits = whole.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as usize - 1075;
    let magnitude = UBig::from((bits & 0x000f_ffff_ffff_ffff) | 1 << 52) << exponent;
    Ok(IBig::from_parts(if whole < 0.0 { Sign::Negative } else { Sign::Positive }, magnitude))
}

/// Exact order of an integer and a float; `None` for NaN.
pub fn compare_float(a: &IBig, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    if b.is_infinite() {
        return Some(if b > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    let whole = from_f64(b).ok()?;
    Some(a.cmp(&whole).then_with(|| 0.0f64.partial_cmp(&b.fract()).unwrap_or(Ordering::Equal)))
}

/// Exact order of a small integer and a float; `None` for NaN.
pub fn compare_small_float(a: i64, b: f64) -> Option<Ordering> {
    if a.unsigned_abs() <= 1 << 53 {
        return (a as f64).partial_cmp(&b);
    }
    if b.is_nan() {
        return None;
    }
    if b >= 9_223_372_036_854_775_808.0 {
        return Some(Ordering::Less);
    }
    if b < -9_223_372_036_854_775_808.0 {
        return Some(Ordering::Greater);
    }
    Some(a.cmp(&(b.trunc() as i64)).then_with(|| 0.0f64.partial_cmp(&b.fract()).unwrap_or(Ordering::Equal)))
}

/// The quotient of two positive numbers if the top words decide it and it fits a word; costs the same however long the
/// numbers are.
fn quotient_by_top(a: &[u64], b: &[u64]) -> Option<u64> {
    if a.len() < b.len() || a.len() > b.len() + 1 || b.len() < 3 {
        return None;
    }
    // The divisor's top 64 bits, and the dividend's bits from the same place on.
    let shift = b[b.len() - 1].leading_zeros();
    let word = |from: &[u64], at: usize| from.get(at).copied().unwrap_or(0);
    let aligned = |from: &[u64], at: usize| {
        if shift == 0 {
            word(from, at)
        } else {
            word(from, at) << shift | word(from, at.wrapping_sub(1)) >> (64 - shift)
        }
    };
    let top = b.len() - 1;
    let divisor = u128::from(aligned(b, top));
    let (low, high, over) = (aligned(a, top), aligned(a, top + 1), aligned(a, top + 2));
    if over != 0 || high >> 62 != 0 {
        return None;
    }
    let dividend = u128::from(high) << 64 | u128::from(low);
    let least = dividend / (divisor + 1);
    let most = (dividend + 1) / divisor;
    (least == most).then(|| u64::try_from(least).ok()).flatten()
}

/// `a - quotient * b`, known not to be negative and to be less than `b`.
fn subtract_product(a: &[u64], quotient: u64, b: &[u64]) -> UBig {
    let mut out = vec![0u64; b.len()];
    let mut carry = 0u64;
    let mut borrow = false;
    for ((place, &x), &y) in out.iter_mut().zip(a).zip(b) {
        let product = u128::from(quotient) * u128::from(y) + u128::from(carry);
        carry = (product >> 64) as u64;
        let (difference, first) = x.overflowing_sub(product as u64);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        borrow = first | second;
        *place = difference;
    }
    UBig::from_words(&out)
}

/// Floor quotient of positive numbers of about the same length, without a pass over them; `None` if it is not that easy.
pub fn quick_quotient(a: &IBig, b: &IBig) -> Option<IBig> {
    let ((Sign::Positive, a), (Sign::Positive, b)) = (a.as_sign_words(), b.as_sign_words()) else {
        return None;
    };
    quotient_by_top(a, b).map(IBig::from)
}

/// Remainder of positive numbers of about the same length in one pass; `None` if it is not that easy.
pub fn quick_remainder(a: &IBig, b: &IBig) -> Option<IBig> {
    let ((Sign::Positive, a), (Sign::Positive, b)) = (a.as_sign_words(), b.as_sign_words()) else {
        return None;
    };
    quotient_by_top(a, b).map(|quotient| IBig::from(subtract_product(a, quotient, b)))
}

/// `a * b` for a number of several words and a small one.
pub fn multiply_small(a: &IBig, b: i64) -> IBig {
    let (sign, words) = a.as_sign_words();
    let factor = b.unsigned_abs();
    let mut out = vec![0u64; words.len() + 1];
    let (last, places) = match out.split_last_mut() {
        Some(parts) => parts,
        None => return IBig::ZERO,
    };
    let mut carry = 0u64;
    // Four at a time: the products are independent, only the additions wait for each other.
    let mut groups = places.chunks_exact_mut(4);
    let mut sources = words.chunks_exact(4);
    for (group, source) in (&mut groups).zip(&mut sources) {
        for (place, &word) in group.iter_mut().zip(source) {
            let product = u128::from(word) * u128::from(factor) + u128::from(carry);
            *place = product as u64;
            carry = (product >> 64) as u64;
        }
    }
    for (place, &word) in groups.into_remainder().iter_mut().zip(sources.remainder()) {
        let product = u128::from(word) * u128::from(factor) + u128::from(carry);
        *place = product as u64;
        carry = (product >> 64) as u64;
    }
    *last = carry;
    let sign = if b < 0 { -sign } else { sign };
    IBig::from_parts(sign, UBig::from_words(&out))
}

/// Floor division and remainder: the remainder has the divisor's sign.
pub fn div_mod(a: &IBig, b: &IBig) -> Outcome<(IBig, IBig)> {
    if b.is_zero() {
        return Err(Fault::zero_division("long division or modulo by zero"));
    }
    Ok(floor_adjust(a.div_rem(b), b))
}

/// Turns a truncated quotient and remainder into the floored ones.
pub fn floor_adjust(truncated: (IBig, IBig), divisor: &IBig) -> (IBig, IBig) {
    let (quotient, remainder) = truncated;
    if !remainder.is_zero() && remainder.sign() != divisor.sign() {
        (quotient - IBig::ONE, remainder + divisor)
    } else {
        (quotient, remainder)
    }
}

/// Small floor division and remainder; `None` when the quotient does not fit.
pub fn small_div_mod(a: i64, b: i64) -> Outcome<Option<(i64, i64)>> {
    if b == 0 {
        return Err(Fault::zero_division("integer division or modulo by zero"));
    }
    let Some(quotient) = a.checked_div(b) else { return Ok(None) };
    let remainder = a % b;
    Ok(Some(if remainder != 0 && (remainder < 0) != (b < 0) {
        (quotient - 1, remainder + b)
    } else {
        (quotient, remainder)
    }))
}

/// A shift count, or the error 2.7 gives for it. Counts beyond the address space saturate.
pub fn shift_count(count: &IBig) -> Outcome<usize> {
    if count.sign() == Sign::Negative {
        return Err(Fault::value("negative shift count"));
    }
    usize::try_from(count).map_err(|_| Fault::overflow("long int too large to convert to int"))
}

/// `value << count`; `limit` is the most bytes the result may take.
pub fn shift_left(value: &IBig, count: usize, limit: usize) -> Outcome<IBig> {
    if value.is_zero() {
        return Ok(IBig::ZERO);
    }
    let bits = bit_length(value).checked_add(count).ok_or_else(Fault::memory)?;
    if bytes_of_bits(bits) > limit {
        return Err(Fault::memory());
    }
    Ok(value << count)
}

/// `value >> count`, rounding towards minus infinity.
pub fn shift_right(value: &IBig, count: usize) -> IBig {
    if count >= bit_length(value).saturating_add(1) {
        return if value.sign() == Sign::Negative { IBig::from(-1) } else { IBig::ZERO };
    }
    value >> count
}

/// Most bits a power can have; the preflight of `**`.
pub fn power_bits(base: &IBig, exponent: usize) -> usize {
    if base.is_zero() || base.is_one() || *base == IBig::NEG_ONE {
        return 1;
    }
    bit_length(base).saturating_mul(exponent)
}

/// Fewest bits a power can have.
pub fn power_bits_least(base: &IBig, exponent: usize) -> usize {
    (bit_length(base).saturating_sub(1)).saturating_mul(exponent)
}

/// Quotient of two integers as the correctly rounded float, for `int.__truediv__`-like needs of `float` parsing.
pub fn ratio(a: &IBig, b: &IBig) -> Outcome<f64> {
    if b.is_zero() {
        return Err(Fault::zero_division("division by zero"));
    }
    Ok(to_f64(a)? / to_f64(b)?)
}

/// Lower-case digits of `magnitude` in `radix` (2 to 36).
pub fn radix_text(magnitude: &UBig, radix: u8) -> Vec<u8> {
    magnitude.in_radix(radix).to_string().into_bytes()
}

/// Text of an integer in `radix`, with `prefix` between sign and digits.
pub fn signed_radix_text(value: &IBig, radix: u8, prefix: &str) -> Vec<u8> {
    let (sign, magnitude) = value.clone().into_parts();
    let mut out = Vec::new();
    if sign == Sign::Negative {
        out.push(b'-');
    }
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(&radix_text(&magnitude, radix));
    out
}

/// `hex(value)` without the `L` of longs.
pub fn hex(value: &IBig) -> Vec<u8> {
    let (sign, words) = value.as_sign_words();
    let mut out = Vec::with_capacity(words.len() * 16 + 4);
    out.extend_from_slice(if sign == Sign::Negative { b"-0x" } else { b"0x" });
    let Some((&top, rest)) = words.split_last() else {
        out.push(b'0');
        return out;
    };
    let digit = |word: u64, at: u32| b"0123456789abcdef"[(word >> (4 * at) & 15) as usize];
    let first = (64 - top.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..first).rev().map(|at| digit(top, at)));
    for &word in rest.iter().rev() {
        out.extend((0..16).rev().map(|at| digit(word, at)));
    }
    out
}

/// Machine words up to which [`push_decimal`] divides by itself.
const FEW_WORDS: usize = 8;

/// Appends the decimal digits of a number, with its sign.
pub fn push_decimal(out: &mut Vec<u8>, value: &IBig) {
    // Nine digits at a time.
    const PIECE: u64 = 1_000_000_000;
    let (sign, words) = value.as_sign_words();
    let mut halves = [0u32; 2 * FEW_WORDS];
    if words.len() > FEW_WORDS {
        return out.extend_from_slice(value.to_string().as_bytes());
    }
    for (pair, word) in halves.chunks_exact_mut(2).zip(words) {
        (pair[0], pair[1]) = (*word as u32, (*word >> 32) as u32);
    }
    let mut size = 2 * words.len();
    // 512 bits are 155 digits.
    let mut digits = [0u8; 18 * 9];
    let mut at = digits.len();
    loop {
        while size > 0 && halves[size - 1] == 0 {
            size -= 1;
        }
        if size == 0 {
            break;
        }
        let mut rest = 0u64;
        for half in halves[..size].iter_mut().rev() {
            let part = rest << 32 | u64::from(*half);
            *half = (part / PIECE) as u32;
            rest = part % PIECE;
        }
        let mut rest = rest as u32;
        for place in digits[at - 9..at].iter_mut().rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        at -= 9;
    }
    if sign == Sign::Negative {
        out.push(b'-');
    }
    let zeros = digits[at..].iter().take_while(|digit| **digit == b'0').count();
    match &digits[at + zeros..] {
        [] => out.push(b'0'),
        text => out.extend_from_slice(text),
    }
}

/// `oct(value)` without the `L` of longs.
pub fn oct(value: &IBig) -> Vec<u8> {
    if value.is_zero() {
        return b"0".to_vec();
    }
    signed_radix_text(value, 8, "0")
}

/// `repr` of a long, `L` included; the caller has checked [`decimal_cost`].
pub fn repr(value: &IBig) -> Vec<u8> {
    let mut out = Vec::new();
    push_decimal(&mut out, value);
    out.push(b'L');
    out
}

/// A number read by `int()` or `long()`: sign and digits separated, ready for conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// The number is negative.
    pub negative: bool,
    /// The base, 2 to 36.
    pub base: u32,
    /// Digits of that base only, at least one.
    pub digits: Vec<u8>,
}

/// Splits the text of `int(text, base)` or `long(text, base)`. `base` is 0 or 2 to 36.
pub fn scan(text: &[u8], base: i64, name: &str) -> Outcome<Literal> {
    let bad = |base: i64| {
        // `int()` shows the text from its first character that is no space; `long()` all of it, as both do if it holds
        // a null byte.
        let start = match name {
            "int" if !text.contains(&0) => text.iter().take_while(|&&b| super::float::is_space(b)).count(),
            _ => 0,
        };
        let shown = super::strrepr::repr(&text[start..text.len().min(start + 200)]);
        Fault::value(format!(
            "invalid literal for {name}() with base {base}: {}",
            String::from_utf8_lossy(&shown)
        ))
    };
    if text.contains(&0) {
        return Err(bad(base));
    }
    if base != 0 && !(2..=36).contains(&base) {
        return Err(Fault::value(format!("{name}() base must be >= 2 and <= 36, or 0")));
    }
    let is_space = super::float::is_space;
    let mut rest = text;
    let skip = |rest: &mut &[u8]| {
        while let [first, tail @ ..] = *rest {
            if !is_space(*first) {
                break;
            }
            *rest = tail;
        }
    };
    skip(&mut rest);
    let mut negative = false;
    if let [sign @ (b'+' | b'-'), tail @ ..] = rest {
        negative = *sign == b'-';
        rest = tail;
    }
    skip(&mut rest);
    let given = base;
    let (base, rest) = strip_prefix(base, rest);
    let count = rest.iter().take_while(|&&b| (b as char).is_digit(base)).count();
    let digits = rest[..count].to_vec();
    let mut rest = &rest[count..];
    if name == "long" {
        if let [b'l' | b'L', tail @ ..] = rest {
            rest = tail;
        }
    }
    skip(&mut rest);
    if digits.is_empty() || !rest.is_empty() {
        // `long()` shows the base it found, `int()` the one it was given.
        return Err(bad(if name == "long" { i64::from(base) } else { given }));
    }
    Ok(Literal { negative, base, digits })
}

fn strip_prefix(base: i64, text: &[u8]) -> (u32, &[u8]) {
    let marked = match text {
        [b'0', b'x' | b'X', ..] => 16,
        [b'0', b'o' | b'O', ..] => 8,
        [b'0', b'b' | b'B', ..] => 2,
        _ => 0,
    };
    if base == 0 {
        return match (marked, text) {
            (0, [b'0', ..]) => (8, text),
            (0, _) => (10, text),
            (marked, _) => (marked, &text[2..]),
        };
    }
    let stripped = i64::from(marked) == base && text.get(2).is_some_and(|&b| (b as char).is_digit(marked));
    (base as u32, if stripped { &text[2..] } else { text })
}

/// The value of a short literal; `None` when it does not fit a small integer.
pub fn small_value(literal: &Literal) -> Option<i64> {
    let mut value: i64 = 0;
    for &digit in &literal.digits {
        let digit = i64::from((digit as char).to_digit(literal.base)?);
        value = value.checked_mul(i64::from(literal.base))?;
        value = if literal.negative { value.checked_sub(digit)? } else { value.checked_add(digit)? };
    }
    Some(value)
}

/// The value of a literal of any size, in one step.
pub fn large_value(literal: &Literal) -> IBig {
    let text = std::str::from_utf8(&literal.digits).unwrap_or("0");
    let magnitude = UBig::from_str_radix(text, literal.base).unwrap_or(UBig::ZERO);
    IBig::from_parts(if literal.negative { Sign::Negative } else { Sign::Positive }, magnitude)
}
