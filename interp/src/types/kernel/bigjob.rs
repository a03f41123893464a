//! Long-running integer arithmetic as resumable jobs: products, quotients, powers and decimal conversion of numbers so
//! large that one library call would keep timers and other events waiting.
//!
//! Products are split Karatsuba's way down to blocks, quotients Burnikel and Ziegler's way, decimal conversion by powers
//! of ten; each block is one call of the integer library and takes well under two milliseconds.
use super::error::{Fault, Outcome};
use super::job::Fuel;
use super::long::{self, div_cost, mul_cost};
use dashu_int::fast_div::ConstDivisor;
use dashu_int::ops::{BitTest, DivRem};
use dashu_int::{IBig, Sign, UBig};
use std::future::Future;
use std::pin::Pin;

/// Words of the largest block multiplied in one call.
const BLOCK: usize = 2048;
/// Bits of a word.
const WORD: usize = 64;
/// Decimal digits converted in one call.
const DIGITS: usize = 20_000;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

fn words(value: &UBig) -> usize {
    value.as_words().len()
}

/// `a * b`.
pub fn multiply<'a>(fuel: &'a Fuel, a: UBig, b: UBig) -> Boxed<'a, UBig> {
    Box::pin(async move {
        let (small, large) = if words(&a) < words(&b) { (a, b) } else { (b, a) };
        let (few, many) = (words(&small), words(&large));
        fuel.spend(many as u64).await;
        if many <= BLOCK || mul_cost(few, many) < 400_000 {
            fuel.spend(mul_cost(few, many)).await;
            return small * large;
        }
        if many > 2 * few {
            // Unbalanced: pieces of the larger one, each about as long as the smaller.
            let chunk = few.max(BLOCK) * WORD;
            let mut sum = UBig::ZERO;
            for (at, piece) in large.to_chunks(chunk).into_vec().into_iter().enumerate() {
                let product = multiply(fuel, piece, small.clone()).await;
                fuel.spend(many as u64).await;
                sum += product << (at * chunk);
            }
            return sum;
        }
        let half = many.div_ceil(2) * WORD;
        let (small_low, small_high) = small.split_bits(half);
        let (large_low, large_high) = large.split_bits(half);
        let low = multiply(fuel, small_low.clone(), large_low.clone()).await;
        let high = multiply(fuel, small_high.clone(), large_high.clone()).await;
        let cross = multiply(fuel, small_low + small_high, large_low + large_high).await;
        let middle = cross - &low - &high;
        fuel.spend(many as u64 * 4).await;
        (high << (2 * half)) + (middle << half) + low
    })
}

/// Truncated quotient and remainder; the divisor is not zero.
pub fn divide<'a>(fuel: &'a Fuel, a: UBig, b: UBig) -> Boxed<'a, (UBig, UBig)> {
    Box::pin(async move {
        fuel.spend(words(&a) as u64).await;
        if a < b {
            return (UBig::ZERO, a);
        }
        let cost = div_cost(words(&a), words(&b));
        if cost < 1_500_000 {
            fuel.spend(cost).await;
            return a.div_rem(b);
        }
        // Blocks of the divisor's length, normalised so that its top bit is set.
        // The length halves evenly down to the block size.
        let levels = words(&b).div_ceil(BLOCK / 2).next_power_of_two();
        let block = words(&b).max(BLOCK / 2).next_multiple_of(levels) * WORD;
        let shift = block - b.bit_len();
        let divisor = b << shift;
        let numerator = a << shift;
        let mut quotient_blocks = Vec::new();
        let mut remainder = UBig::ZERO;
        for piece in numerator.to_chunks(block).into_vec().into_iter().rev() {
            let (quotient, rest) =
                divide_two_by_one(fuel, (remainder << block) + piece, &divisor, block).await;
            quotient_blocks.push(quotient);
            remainder = rest;
        }
        quotient_blocks.reverse();
        (UBig::from_chunks(quotient_blocks.iter(), block), remainder >> shift)
    })
}

/// Divides a number below `b * 2^bits` by `b`, which has exactly `bits` bits.
fn divide_two_by_one<'a>(fuel: &'a Fuel, a: UBig, b: &'a UBig, bits: usize) -> Boxed<'a, (UBig, UBig)> {
    Box::pin(async move {
        let size = bits / WORD;
        if size <= BLOCK / 2 || !bits.is_multiple_of(2) || a.bit_len() <= bits {
            fuel.spend(div_cost(words(&a), words(b))).await;
            return a.div_rem(b.clone());
        }
        let half = bits / 2;
        let (b_low, b_high) = b.clone().split_bits(half);
        let (a_low, a_high) = a.split_bits(half);
        let (high, rest) = divide_three_by_two(fuel, a_high, b, &b_low, &b_high, half).await;
        let (low, rest) = divide_three_by_two(fuel, (rest << half) + a_low, b, &b_low, &b_high, half).await;
        fuel.spend(size as u64).await;
        ((high << half) + low, rest)
    })
}

/// Divides a number of up to three halves by the two-half divisor `b`.
async fn divide_three_by_two(
    fuel: &Fuel,
    a: UBig,
    b: &UBig,
    b_low: &UBig,
    b_high: &UBig,
    half: usize,
) -> (UBig, UBig) {
    let (a_low, a_high) = a.split_bits(half);
    let (mut quotient, rest) = if &a_high >> half == *b_high {
        let quotient = UBig::ones(half);
        let rest = a_high + b_high - (b_high << half);
        (quotient, rest)
    } else {
        divide_two_by_one(fuel, a_high, b_high, half).await
    };
    let product = multiply(fuel, quotient.clone(), b_low.clone()).await;
    fuel.spend(words(b) as u64 * 2).await;
    let mut remainder = IBig::from((rest << half) + a_low) - IBig::from(product);
    while remainder.sign() == Sign::Negative {
        quotient -= UBig::ONE;
        remainder += IBig::from(b.clone());
    }
    (quotient, remainder.into_parts().1)
}

/// Floor division and remainder of signed numbers.
pub async fn floor_div_mod(fuel: Fuel, a: IBig, b: IBig) -> Outcome<(IBig, IBig)> {
    if b.is_zero() {
        return Err(Fault::zero_division("long division or modulo by zero"));
    }
    let divisor = b.clone();
    let (a_sign, a) = a.into_parts();
    let (b_sign, b) = b.into_parts();
    let (quotient, remainder) = divide(&fuel, a, b).await;
    let truncated = (IBig::from_parts(a_sign * b_sign, quotient), IBig::from_parts(a_sign, remainder));
    Ok(long::floor_adjust(truncated, &divisor))
}

/// Signed product.
pub async fn signed_product(fuel: Fuel, a: IBig, b: IBig) -> IBig {
    let (a_sign, a) = a.into_parts();
    let (b_sign, b) = b.into_parts();
    IBig::from_parts(a_sign * b_sign, multiply(&fuel, a, b).await)
}

/// `base ** exponent`; `limit` is the most bytes the result may take.
pub async fn power(fuel: Fuel, base: IBig, exponent: usize, limit: usize) -> Outcome<IBig> {
    if long::bytes_of_bits(long::power_bits_least(&base, exponent)) > limit {
        return Err(Fault::memory());
    }
    let (sign, magnitude) = base.into_parts();
    let sign = if exponent % 2 == 1 { sign } else { Sign::Positive };
    if exponent == 0 {
        return Ok(IBig::ONE);
    }
    if magnitude.is_zero() || magnitude.is_one() {
        return Ok(IBig::from_parts(sign, magnitude));
    }
    // A power of two times an odd number: shift the one, multiply the other.
    let zeros = magnitude.trailing_zeros().unwrap_or(0);
    let odd = magnitude >> zeros;
    let mut result = odd.clone();
    for bit in (0..exponent.ilog2()).rev() {
        result = multiply(&fuel, result.clone(), result).await;
        if exponent >> bit & 1 == 1 {
            result = multiply(&fuel, result, odd.clone()).await;
        }
    }
    Ok(IBig::from_parts(sign, result << (zeros * exponent)))
}

/// `pow(base, exponent, modulus)` for `exponent >= 0` and a modulus that is not zero.
pub async fn power_mod(fuel: Fuel, base: IBig, exponent: UBig, modulus: IBig) -> Outcome<IBig> {
    let (modulus_sign, magnitude) = modulus.clone().into_parts();
    if magnitude.is_one() {
        return Ok(IBig::ZERO);
    }
    let size = words(&magnitude);
    let (base_sign, base) = base.into_parts();
    let (_, base) = divide(&fuel, base, magnitude.clone()).await;
    let base = if base_sign == Sign::Negative && !base.is_zero() { &magnitude - base } else { base };
    let product = mul_cost(size, size).saturating_mul(3);
    let result = if product < 1_000_000 {
        modular_power(&fuel, base, exponent, magnitude, product).await
    } else {
        huge_modular_power(&fuel, base, exponent, magnitude).await
    };
    let result = IBig::from(result);
    Ok(if modulus_sign == Sign::Negative && !result.is_zero() { result + modulus } else { result })
}

async fn modular_power(fuel: &Fuel, base: UBig, exponent: UBig, modulus: UBig, product: u64) -> UBig {
    let ring = ConstDivisor::new(modulus);
    let base = ring.reduce(base);
    if product.saturating_mul(exponent.bit_len() as u64 * 3 / 2) < 2_000_000 {
        fuel.spend(product.saturating_mul(exponent.bit_len() as u64)).await;
        return base.pow(&exponent).residue();
    }
    // Four bits of the exponent at a time, with a check point after each.
    let mut table = vec![ring.reduce(UBig::ONE), base.clone()];
    for at in 2..16 {
        let next = &table[at - 1] * &base;
        table.push(next);
        fuel.spend(product).await;
    }
    let digits = exponent.bit_len().div_ceil(4);
    let mut result = table[0].clone();
    for at in (0..digits).rev() {
        for _ in 0..4 {
            result = result.sqr();
        }
        let nibble = (0..4).fold(0, |sum, bit| sum | usize::from(exponent.bit(at * 4 + bit)) << bit);
        if nibble != 0 {
            result *= &table[nibble];
        }
        fuel.spend(product * 5).await;
    }
    result.residue()
}

async fn huge_modular_power(fuel: &Fuel, base: UBig, exponent: UBig, modulus: UBig) -> UBig {
    let mut result = UBig::ONE;
    for bit in (0..exponent.bit_len()).rev() {
        let square = multiply(fuel, result.clone(), result).await;
        result = divide(fuel, square, modulus.clone()).await.1;
        if exponent.bit(bit) {
            let product = multiply(fuel, result, base.clone()).await;
            result = divide(fuel, product, modulus.clone()).await.1;
        }
    }
    result
}

/// Decimal text of an integer, with `-` if it is negative.
pub async fn decimal_text(fuel: Fuel, value: IBig) -> Vec<u8> {
    let (sign, magnitude) = value.into_parts();
    let mut out = Vec::new();
    if sign == Sign::Negative {
        out.push(b'-');
    }
    if words(&magnitude) * 20 <= DIGITS {
        fuel.spend(long::decimal_cost(words(&magnitude))).await;
        out.extend_from_slice(magnitude.to_string().as_bytes());
        return out;
    }
    // 10^(DIGITS * 2^k), as many as needed.
    let mut powers = vec![UBig::from(10u8).pow(DIGITS)];
    while let Some(last) = powers.last() {
        if last.bit_len() * 2 - 1 > magnitude.bit_len() {
            break;
        }
        let next = multiply(&fuel, last.clone(), last.clone()).await;
        powers.push(next);
    }
    push_decimal(&fuel, &mut out, magnitude, &powers, false).await;
    out
}

fn push_decimal<'a>(
    fuel: &'a Fuel,
    out: &'a mut Vec<u8>,
    value: UBig,
    powers: &'a [UBig],
    padded: bool,
) -> Boxed<'a, ()> {
    Box::pin(async move {
        let Some((power, lower)) = powers.split_last() else {
            let text = value.to_string();
            fuel.spend(long::decimal_cost(words(&value))).await;
            if padded {
                out.resize(out.len() + DIGITS.saturating_sub(text.len()), b'0');
            }
            out.extend_from_slice(text.as_bytes());
            return;
        };
        if !padded && value < *power {
            return push_decimal(fuel, out, value, lower, false).await;
        }
        let (high, low) = divide(fuel, value, power.clone()).await;
        push_decimal(fuel, out, high, lower, padded).await;
        push_decimal(fuel, out, low, lower, true).await;
    })
}

/// The value of digits of any base.
pub async fn parse(fuel: Fuel, literal: long::Literal) -> IBig {
    let sign = if literal.negative { Sign::Negative } else { Sign::Positive };
    let mut pieces: Vec<UBig> = Vec::new();
    let base = literal.base;
    for chunk in literal.digits.rchunks(DIGITS) {
        let piece = long::large_value(&long::Literal { negative: false, base, digits: chunk.to_vec() });
        pieces.push(piece.into_parts().1);
        fuel.spend(1_000_000).await;
    }
    let mut power = UBig::from(base).pow(DIGITS);
    while pieces.len() > 1 {
        let mut joined = Vec::with_capacity(pieces.len().div_ceil(2));
        let mut rest = pieces.into_iter();
        while let Some(low) = rest.next() {
            joined.push(match rest.next() {
                Some(high) => multiply(&fuel, high, power.clone()).await + low,
                None => low,
            });
        }
        pieces = joined;
        if pieces.len() > 1 {
            power = multiply(&fuel, power.clone(), power).await;
        }
    }
    IBig::from_parts(sign, pieces.pop().unwrap_or(UBig::ZERO))
}

/// Text of an integer in base `2^bits`, with `-` if it is negative and without a prefix; `upper` is for its letters.
pub async fn radix_text(fuel: Fuel, value: IBig, bits: usize, upper: bool) -> Vec<u8> {
    const LETTERS: [&[u8; 16]; 2] = [b"0123456789abcdef", b"0123456789ABCDEF"];
    let letters = LETTERS[usize::from(upper)];
    const STEP: usize = 4096;
    let (sign, magnitude) = value.into_parts();
    let count = magnitude.bit_len().div_ceil(bits).max(1);
    let mut out = Vec::with_capacity(count + 1);
    if sign == Sign::Negative {
        out.push(b'-');
    }
    let words = magnitude.as_words();
    let word = |at: usize| words.get(at).copied().unwrap_or(0);
    let mask = (1 << bits) - 1;
    for at in (0..count).rev() {
        let (place, shift) = (at * bits / WORD, at * bits % WORD);
        let mut digit = word(place) >> shift;
        if shift + bits > WORD {
            digit |= word(place + 1) << (WORD - shift);
        }
        out.push(letters[(digit & mask) as usize]);
        if at % STEP == 0 {
            fuel.spend(STEP as u64 * 3).await;
        }
    }
    out
}
