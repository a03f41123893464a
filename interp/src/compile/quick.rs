//! Small sets and tables of the compiler, which are asked all the time.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use super::op::Reg;

/// A set of registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegSet([u64; 4]);

impl RegSet {
    fn place(register: Reg) -> (usize, u64) {
        (usize::from(register) / 64, 1 << (register % 64))
    }

    /// Whether it holds a register.
    pub fn contains(&self, register: Reg) -> bool {
        let (word, bit) = RegSet::place(register);
        self.0[word] & bit != 0
    }

    /// Puts a register in.
    pub fn insert(&mut self, register: Reg) {
        let (word, bit) = RegSet::place(register);
        self.0[word] |= bit;
    }

    /// What both hold.
    pub fn both(self, other: RegSet) -> RegSet {
        RegSet(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    /// What either holds.
    pub fn either(self, other: RegSet) -> RegSet {
        RegSet(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }
}

/// A hasher for numbers that are given out one after the other (symbols, handles): nobody can choose them to collide.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers(u64);

impl Hasher for Numbers {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        // The high bits are used too.
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A table by such numbers.
pub type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<Numbers>>;

/// A set of such numbers.
pub type NumberSet<K> = HashSet<K, BuildHasherDefault<Numbers>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_registers() {
        let (mut a, mut b) = (RegSet::default(), RegSet::default());
        for register in [0, 63, 64, 200, 255] {
            a.insert(register);
        }
        for register in [63, 65, 255] {
            b.insert(register);
        }
        let of = |set: RegSet| (0..=255).filter(|register| set.contains(*register)).collect::<Vec<Reg>>();
        assert_eq!(of(a), [0, 63, 64, 200, 255]);
        assert_eq!(of(a.both(b)), [63, 255]);
        assert_eq!(of(a.either(b)), [0, 63, 64, 65, 200, 255]);
    }
}
