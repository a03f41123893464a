//! Hashes of the basic values: equal numbers have equal hashes whatever their type; all are seeded per run.
//!
//! Programs cannot read hashes (`hash` is poisoned) and dictionaries keep insertion order, so the values themselves are
//! ours to choose.
use super::long;
use dashu_int::IBig;

/// Spreads the bits of `value`; neighbours stay apart by a constant in the upper half only after mixing with the seed.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value ^ (value >> 29)
}

/// Hash of an integer.
pub fn integer(seed: u64, value: i64) -> u64 {
    // Small integers keep their neighbourhood: tables of consecutive keys stay in consecutive lines.
    (value as u64).wrapping_add(seed.wrapping_shl(32))
}

/// Hash of a float: that of the equal integer where there is one.
pub fn float(seed: u64, value: f64) -> u64 {
    if value.fract() == 0.0 {
        if value.abs() < 9.0e18 {
            return integer(seed, value as i64);
        }
        if let Ok(whole) = long::from_f64(value) {
            return big(seed, &whole);
        }
    }
    mix(value.to_bits() ^ seed)
}

/// Hash of an integer of any size.
pub fn big(seed: u64, value: &IBig) -> u64 {
    if let Some(small) = long::to_i64(value) {
        return integer(seed, small);
    }
    let (sign, words) = value.as_sign_words();
    let start = seed ^ (sign == dashu_int::Sign::Negative) as u64;
    words.iter().fold(start, |sum, &word| mix(sum ^ word).wrapping_add(word.rotate_left(17)))
}

/// Hash of a complex number: that of the equal real where there is one.
pub fn complex(seed: u64, real: f64, imag: f64) -> u64 {
    if imag == 0.0 {
        return float(seed, real);
    }
    mix(float(seed, real) ^ float(seed, imag).rotate_left(23).wrapping_mul(1_000_003))
}

/// Hash of a byte string.
pub fn text(seed: u64, value: &[u8]) -> u64 {
    let mut state = seed ^ (value.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut chunks = value.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes([
            chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7],
        ]);
        state = fold(state ^ word, 0xa076_1d64_78bd_642f);
    }
    let mut last = 0u64;
    for (at, &byte) in chunks.remainder().iter().enumerate() {
        last |= u64::from(byte) << (at * 8);
    }
    fold(state ^ last, 0xe703_7ed1_a0b4_28db ^ seed)
}

/// 64 by 64 to 128 bit product, both halves folded together.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

/// State of a hash over a sequence.
pub fn sequence_start(seed: u64, length: usize) -> u64 {
    mix(seed ^ length as u64)
}

/// Takes one element's hash into a sequence's.
pub fn sequence_add(state: u64, element: u64) -> u64 {
    mix(state.rotate_left(5) ^ element)
}

/// Takes one element's hash into an unordered collection's.
pub fn unordered_add(state: u64, element: u64) -> u64 {
    state.wrapping_add(mix(element ^ 0x5851_f42d_4c95_7f2d))
}
