//! Decimal digits of floats of everyday size, exact, in 128 bits and without the general algorithms.

/// Powers of ten that a mantissa of 53 bits can be multiplied with in 128 bits.
const POWERS: [u128; 23] = {
    let mut powers = [1u128; 23];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// `|value| * 10^places`, rounded half to even, if that is quick; `value` is finite.
pub fn scaled(value: f64, places: usize) -> Option<u64> {
    let power = POWERS.get(places)?;
    let bits = value.to_bits();
    let exponent = (bits >> 52) & 0x7ff;
    let fraction = bits & ((1 << 52) - 1);
    if exponent == 0 {
        return (fraction == 0).then_some(0);
    }
    // The value is mantissa / 2^shift.
    let mantissa = fraction | (1 << 52);
    let shift = 1075u32.checked_sub(exponent as u32)?;
    let product = u128::from(mantissa) * power;
    let rounded = match shift {
        0 => product,
        // The product is below 2^127.
        128.. => 0,
        _ => {
            let whole = product >> shift;
            let rest = product & ((1 << shift) - 1);
            let half = 1 << (shift - 1);
            whole + u128::from(rest > half || (rest == half && whole & 1 == 1))
        }
    };
    u64::try_from(rounded).ok()
}

/// `count` significant digits of `value` (finite, not 0) as a whole number, and the position of the point relative to
/// the first of them; correctly rounded, half to even. `None` if that is not quick.
pub fn significant(value: f64, count: usize) -> Option<(u64, i32)> {
    let most = u64::try_from(*POWERS.get(count)?).ok()?;
    let exponent = ((value.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    // floor(exponent * log10(2)): the decimal exponent, or one less.
    let least = (exponent * 1233) >> 12;
    for decimal in [least, least + 1] {
        let places = usize::try_from(count as i32 - 1 - decimal).ok()?;
        let digits = scaled(value, places)?;
        if digits < most {
            return (digits >= most / 10).then_some((digits, decimal + 1));
        }
    }
    None
}

/// The shortest digits that read back as `value` (finite, not 0), at most 15 of them, without zeros at the end: as
/// [`significant`]. `None` if it needs more, or is not quick.
pub fn shortest(value: f64) -> Option<(u64, i32)> {
    const COUNT: usize = 15;
    let (mut digits, point) = significant(value, COUNT)?;
    // Numbers of up to 15 digits are distinct as floats: if these read back as the value, no others of that length do.
    // Both sides of the division are exact, so that it rounds as reading does.
    let places = usize::try_from(COUNT as i32 - point).ok()?;
    let power = *POWERS.get(places)? as f64;
    if digits as f64 / power != value.abs() {
        return None;
    }
    while digits % 10 == 0 && digits != 0 {
        digits /= 10;
    }
    Some((digits, point))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_general_algorithm() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut quick = 0;
        for round in 0..200_000 {
            let value = match round % 4 {
                0 => f64::from_bits(next()),
                1 => (next() % 1_000_000) as f64 / 8.0,
                2 => (next() % 100_000_000) as f64 / 1000.0,
                _ => (next() as f64 / u64::MAX as f64) * 10f64.powi((next() % 24) as i32 - 8),
            };
            if !value.is_finite() || value == 0.0 {
                continue;
            }
            let places = (next() % 12) as usize;
            if let Some(digits) = scaled(value, places) {
                let text = format!("{:.*}", places, value.abs()).replace('.', "");
                assert_eq!(digits, text.parse::<u64>().unwrap(), "{value:e} {places}");
                quick += 1;
            }
            let count = 1 + (next() % 17) as usize;
            if let Some((digits, point)) = significant(value, count) {
                let text = format!("{:.*e}", count - 1, value.abs());
                let (mantissa, exponent) = text.split_once('e').unwrap();
                assert_eq!(digits.to_string(), mantissa.replace('.', ""), "{value:e} {count}");
                assert_eq!(point, exponent.parse::<i32>().unwrap() + 1, "{value:e} {count}");
            }
            if let Some((digits, point)) = shortest(value) {
                let text = format!("{:e}", value.abs());
                let (mantissa, exponent) = text.split_once('e').unwrap();
                assert_eq!(digits.to_string(), mantissa.replace('.', ""), "{value:e}");
                assert_eq!(point, exponent.parse::<i32>().unwrap() + 1, "{value:e}");
            }
        }
        assert!(quick > 50_000);
    }
}
