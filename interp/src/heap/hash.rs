//! Hashes and equality of keys.
//!
//! Hashes are seeded per run and cannot be seen by a program (`hash` is not
//! among Repy's built-ins); dicts and sets are in insertion order.

use super::bytes::{self, Short, INLINE};
use super::{Builtin, Bytes, Heap, Raised, Str, Tuple, Value};

/// How deep tuples may nest in a key: the recursion limit of CPython 2.7.
const DEPTH: u32 = 1000;

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Heap {
    /// The hash of a string's bytes.
    pub fn hash_bytes(&self, bytes: &[u8]) -> u64 {
        let short = match bytes.len() <= INLINE {
            true => self.inline_hash(&bytes::short(bytes)),
            false => self.long_hash(bytes),
        };
        spread(short, self.seed)
    }

    /// The 32 bits of the hash of a short string: both its halves in two multiplications.
    #[inline(always)]
    fn inline_hash(&self, text: &Short) -> u32 {
        let (low, high) = bytes::halves(text);
        let state = fold(low ^ self.seed, high ^ self.seed.rotate_left(32) ^ ODD);
        finished(fold(state, self.seed | 1))
    }

    /// The 32 bits of the hash of a longer one.
    #[inline(never)]
    fn long_hash(&self, bytes: &[u8]) -> u32 {
        let mut state = self.seed ^ (bytes.len() as u64).wrapping_mul(ODD);
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            state = fold(state ^ u64::from_le_bytes(word), ODD ^ self.seed.rotate_left(32));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            state = fold(state ^ u64::from_le_bytes(word), ODD ^ self.seed.rotate_left(32));
        }
        finished(fold(state, self.seed | 1))
    }

    /// The hash of a string, computed once.
    #[inline(always)]
    pub fn hash_str(&self, text: Str) -> u64 {
        let data = &self.strs[text];
        let mut short = data.hash.get();
        if short == 0 {
            short = match &data.body {
                Bytes::Inline(text) => self.inline_hash(text),
                Bytes::Heap(text) => self.long_hash(text),
            };
            data.hash.set(short);
        }
        spread(short, self.seed)
    }

    /// The low half of [`Heap::hash_str`] where that calls nothing; `None` for a longer string whose hash is not known yet.
    #[inline(always)]
    pub(super) fn hash_known(&self, text: Str) -> Option<u32> {
        let data = &self.strs[text];
        let mut short = data.hash.get();
        if short == 0 {
            let Bytes::Inline(text) = &data.body else { return None };
            short = self.inline_hash(text);
            data.hash.set(short);
        }
        Some(short)
    }

    /// The hash of an int: neighbours get neighbouring first places; the step
    /// (upper half) is seeded and shared by a block of 256.
    #[inline(always)]
    pub fn hash_int(&self, value: i64) -> u64 {
        let upper = ((value as u64) >> 8) ^ self.seed;
        (upper.wrapping_mul(ODD) & 0xffff_ffff_0000_0000) | u64::from(value as u32)
    }

    /// The hash of a key: TypeError for what cannot be one.
    #[inline(always)]
    pub fn hash(&mut self, value: Value) -> Result<u64, Raised> {
        match value {
            Value::Int(i) => Ok(self.hash_int(i)),
            Value::Str(text) => Ok(self.hash_str(text)),
            Value::Tuple(tuple) => match self.hash_flat(tuple) {
                Some(hash) => Ok(hash),
                None => self.hash_or_raise(value),
            },
            _ => self.hash_or_raise(value),
        }
    }

    /// The hash of a tuple of ints and of strings whose hashes are known: a function that calls no other. `None` for any
    /// other tuple.
    #[inline(never)]
    pub(super) fn hash_flat(&self, tuple: Tuple) -> Option<u64> {
        let mut state = self.seed;
        for &item in self.tuple(tuple) {
            let word = match item {
                Value::Int(i) => i as u64,
                Value::Str(text) => match self.strs[text].hash.get() {
                    0 => return None,
                    short => u64::from(short),
                },
                _ => return None,
            };
            state = fold(state ^ word, ODD);
        }
        Some(self.hash_of_state(state))
    }

    /// What an item puts into the hash of its tuple: the same for equal ones, and for an int the int, which no hash has
    /// to be made of first.
    fn hash_word(&self, item: Value, depth: u32) -> Result<u64, Unhashable> {
        let whole = match item {
            Value::Str(text) => return Ok(u64::from(self.hash_str(text) as u32)),
            Value::Float(x) => whole_of(x.get()),
            Value::Complex(complex) if self.complexes[complex].imag == 0.0 => {
                whole_of(self.complexes[complex].real)
            }
            Value::Long(long) => i64::try_from(&self.longs[long].value).ok(),
            Value::Instance(instance) => match self.plain_payload(instance) {
                Some(payload) if depth <= DEPTH => return self.hash_word(payload, depth + 1),
                _ => None,
            },
            _ => item.as_int(),
        };
        match whole {
            Some(whole) => Ok(whole as u64),
            None => self.hash_slow(item, depth),
        }
    }

    #[inline(always)]
    fn hash_of_state(&self, state: u64) -> u64 {
        spread((state ^ (state >> 32)) as u32, self.seed)
    }

    /// The hash of a string from its low half.
    #[inline(always)]
    pub(super) fn hash_from_short(&self, short: u32) -> u64 {
        spread(short, self.seed)
    }

    #[inline(never)]
    fn hash_or_raise(&mut self, value: Value) -> Result<u64, Raised> {
        match self.hash_slow(value, 0) {
            Ok(hash) => Ok(hash),
            Err(unhashable) => Err(self.raise_unhashable(unhashable)),
        }
    }

    #[cold]
    fn raise_unhashable(&mut self, unhashable: Unhashable) -> Raised {
        match unhashable {
            // A slice says less than the others.
            Unhashable::Type("slice") => self.raise(Builtin::TypeError, "unhashable type"),
            Unhashable::Type(name) | Unhashable::SetObject(name) => {
                self.raise(Builtin::TypeError, &format!("unhashable type: '{name}'"))
            }
            // V1 says "socket" whatever the object is.
            Unhashable::Api => {
                self.raise(Builtin::AttributeError, "emulated_socket instance has no attribute '__hash__'")
            }
            Unhashable::Depth => self.raise(Builtin::RuntimeError, "maximum recursion depth exceeded"),
        }
    }

    fn hash_slow(&self, value: Value, depth: u32) -> Result<u64, Unhashable> {
        if depth > DEPTH {
            return Err(Unhashable::Depth);
        }
        Ok(match value {
            Value::Int(i) => self.hash_int(i),
            Value::Bool(b) => self.hash_int(i64::from(b.get())),
            Value::Str(text) => self.hash_str(text),
            Value::Float(x) => self.hash_float(x.get()),
            Value::Long(long) => {
                let long = &self.longs[long];
                match i64::try_from(&long.value) {
                    Ok(small) => self.hash_int(small),
                    Err(_) => {
                        let (_, words) = long.value.as_sign_words();
                        if words.len() <= 17 {
                            // A float may be equal to it.
                            let near = long.value.to_f64().value();
                            if dashu_int::IBig::try_from(near).is_ok_and(|same| same == long.value) {
                                return Ok(self.hash_float(near));
                            }
                        }
                        let mut state = self.seed;
                        for &word in words {
                            state = fold(state ^ word, ODD);
                        }
                        spread(state as u32, self.seed)
                    }
                }
            }
            Value::Complex(complex) => {
                let complex = self.complexes[complex];
                if complex.imag == 0.0 {
                    self.hash_float(complex.real)
                } else {
                    spread(
                        fold(complex.real.to_bits() ^ self.seed, complex.imag.to_bits() ^ ODD) as u32,
                        self.seed,
                    )
                }
            }
            Value::Tuple(tuple) => {
                let mut state = self.seed;
                for &item in self.tuple(tuple) {
                    state = fold(state ^ self.hash_word(item, depth + 1)?, ODD);
                }
                self.hash_of_state(state)
            }
            Value::Set(set) if self.sets[set].frozen => {
                let mut state = 0u64;
                for entry in self.sets[set].table.iter() {
                    state = state.wrapping_add(fold(entry.hash ^ self.seed, ODD));
                }
                spread((state ^ (state >> 32)) as u32, self.seed)
            }
            Value::Instance(instance) => match self.plain_payload(instance) {
                Some(payload) => self.hash_slow(payload, depth + 1)?,
                None => self.hash_identity(value),
            },
            Value::Set(_) => return Err(Unhashable::SetObject("set")),
            Value::List(_) | Value::Dict(_) | Value::SafeDict(_) | Value::Slice(_) => {
                let class = self.class_of(value);
                return Err(Unhashable::Type(match super::BUILTINS.get(class.index()) {
                    Some((_, name, ..)) => name,
                    None => "object",
                }));
            }
            Value::Api(_) => return Err(Unhashable::Api),
            Value::Method(method) => {
                let method = self.methods[method];
                fold(self.hash_identity(method.function), self.hash_identity(method.object) | 1)
            }
            Value::BoundNative(method) => {
                let method = self.bound_natives[method];
                fold(method.native.0 ^ ODD, self.hash_identity(method.object) | 1)
            }
            _ => self.hash_identity(value),
        })
    }

    fn hash_identity(&self, value: Value) -> u64 {
        match value.counted() {
            Some((kind, index)) => self.hash_int(i64::from(index) | ((kind as i64) << 40)),
            None => match value {
                Value::Native(native) => self.hash_int((native.0 as i64) | (1 << 50)),
                Value::None => self.hash_int(1 << 51),
                Value::Ellipsis => self.hash_int(1 << 52),
                _ => self.hash_int(1 << 53),
            },
        }
    }

    fn hash_float(&self, x: f64) -> u64 {
        match whole_of(x) {
            Some(whole) => self.hash_int(whole),
            None => spread(fold(x.to_bits() ^ self.seed, ODD) as u32, self.seed),
        }
    }

    /// Equality of two tuples whose items a look compares, `None` if it takes more.
    #[inline(always)]
    pub(super) fn same_plain(&self, a: Tuple, b: Tuple) -> Option<bool> {
        let (a, b) = (self.tuple(a), self.tuple(b));
        if a.len() != b.len() {
            return Some(false);
        }
        for (&a, &b) in a.iter().zip(b) {
            let same = match (a, b) {
                (Value::Int(a), Value::Int(b)) => a == b,
                (Value::Str(a), Value::Str(b)) => a == b || self.same_short(a, b)?,
                _ => return None,
            };
            if !same {
                return Some(false);
            }
        }
        Some(true)
    }

    /// The order of two short tuples, or two short lists, if looks at plain items of one kind decide it.
    pub fn plain_order(&self, a: Value, b: Value) -> Option<std::cmp::Ordering> {
        const SHORT: usize = 64;
        let (a, b) = match (a, b) {
            (Value::Tuple(a), Value::Tuple(b)) => (self.tuple(a), self.tuple(b)),
            (Value::List(a), Value::List(b)) => (self.list(a), self.list(b)),
            _ => return None,
        };
        for (&a, &b) in a.iter().zip(b).take(SHORT) {
            let order = match (a, b) {
                (Value::Int(a), Value::Int(b)) => a.cmp(&b),
                (Value::Str(a), Value::Str(b)) => {
                    let (a, b) = (self.bytes(a), self.bytes(b));
                    if a.len().min(b.len()) > SHORT {
                        return None;
                    }
                    a.cmp(b)
                }
                // NaN is in no order.
                (Value::Float(a), Value::Float(b)) => a.get().partial_cmp(&b.get())?,
                _ => return None,
            };
            if order.is_ne() {
                return Some(order);
            }
        }
        (a.len().min(b.len()) <= SHORT).then(|| a.len().cmp(&b.len()))
    }

    /// Equality as dicts see it. Keys are hashable and hence of bounded depth.
    pub fn keys_equal(&self, a: Value, b: Value) -> bool {
        match (a, b) {
            (Value::Int(x), Value::Int(y)) => x == y,
            (Value::Str(x), Value::Str(y)) => self.same_bytes(x, y),
            (Value::Tuple(x), Value::Tuple(y)) => {
                let (x, y) = (self.tuple(x), self.tuple(y));
                x.len() == y.len()
                    && x.iter().zip(y).all(|(&x, &y)| match (x, y) {
                        (Value::Int(x), Value::Int(y)) => x == y,
                        _ => self.keys_equal(x, y),
                    })
            }
            (Value::Set(x), Value::Set(y)) => {
                let (x, y) = (&self.sets[x].table, &self.sets[y].table);
                x.len() == y.len() && x.iter().all(|entry| y.find(self, entry.hash, entry.key).is_some())
            }
            (Value::Instance(x), _) if !a.same(b) => match self.plain_payload(x) {
                Some(payload) => self.keys_equal(payload, b),
                None => match b {
                    Value::Instance(_) => false,
                    _ => false,
                },
            },
            (_, Value::Instance(y)) if !a.same(b) => match self.plain_payload(y) {
                Some(payload) => self.keys_equal(a, payload),
                None => false,
            },
            (Value::Method(x), Value::Method(y)) => {
                let (x, y) = (self.methods[x], self.methods[y]);
                x.function.same(y.function) && x.object.same(y.object)
            }
            (Value::BoundNative(x), Value::BoundNative(y)) => {
                let (x, y) = (self.bound_natives[x], self.bound_natives[y]);
                x.native == y.native && x.object.same(y.object)
            }
            _ => a.same(b) || self.numbers_equal(a, b).unwrap_or(false),
        }
    }

    /// Equality of two numbers of any kinds; `None` if one is no number.
    pub fn numbers_equal(&self, a: Value, b: Value) -> Option<bool> {
        use std::cmp::Ordering::Equal;
        if let (Some(x), Some(y)) = (a.as_int(), b.as_int()) {
            return Some(x == y);
        }
        match (a, b) {
            (Value::Complex(x), Value::Complex(y)) => {
                let (x, y) = (self.complexes[x], self.complexes[y]);
                Some(x.real == y.real && x.imag == y.imag)
            }
            (Value::Complex(x), real) | (real, Value::Complex(x)) => {
                let super::ComplexData { real: x, imag } = self.complexes[x];
                let same = match real {
                    Value::Float(y) => x == y.get(),
                    // Exactly: a long that a float cannot hold equals none.
                    _ => self.compare_to_float(real, x)? == Some(Equal),
                };
                Some(same && imag == 0.0)
            }
            _ => Some(self.compare_numbers(a, b)? == Some(Equal)),
        }
    }

    /// Exact order of two real numbers of any kinds: outer `None` if one is no
    /// real number, inner `None` if one is NaN.
    pub fn compare_numbers(&self, a: Value, b: Value) -> Option<Option<std::cmp::Ordering>> {
        use std::cmp::Ordering;
        if let (Some(x), Some(y)) = (a.as_int(), b.as_int()) {
            return Some(Some(x.cmp(&y)));
        }
        match (a, b) {
            (Value::Float(x), Value::Float(y)) => Some(x.get().partial_cmp(&y.get())),
            (Value::Float(x), _) => Some(self.compare_to_float(b, x.get())?.map(Ordering::reverse)),
            (_, Value::Float(y)) => self.compare_to_float(a, y.get()),
            (Value::Long(x), Value::Long(y)) => Some(Some(self.longs[x].value.cmp(&self.longs[y].value))),
            (Value::Long(x), _) => {
                let y = b.as_int()?;
                Some(Some(self.longs[x].value.cmp(&dashu_int::IBig::from(y))))
            }
            (_, Value::Long(y)) => {
                let x = a.as_int()?;
                Some(Some(dashu_int::IBig::from(x).cmp(&self.longs[y].value)))
            }
            _ => None,
        }
    }

    /// Exact order of an int, bool or long relative to a float.
    fn compare_to_float(&self, whole: Value, x: f64) -> Option<Option<std::cmp::Ordering>> {
        use std::cmp::Ordering;
        if x.is_nan() {
            return match whole {
                Value::Long(_) => Some(None),
                _ => whole.as_int().map(|_| None),
            };
        }
        if let Some(i) = whole.as_int() {
            // Beyond 2^63 the float decides alone; within, compare floor and fraction.
            return Some(Some(if x >= 9_223_372_036_854_775_808.0 {
                Ordering::Less
            } else if x < -9_223_372_036_854_775_808.0 {
                Ordering::Greater
            } else {
                let floor = x.floor();
                i.cmp(&(floor as i64)).then(if x > floor { Ordering::Less } else { Ordering::Equal })
            }));
        }
        let Value::Long(long) = whole else { return None };
        let value = &self.longs[long].value;
        if x.is_infinite() {
            return Some(Some(if x > 0.0 { Ordering::Less } else { Ordering::Greater }));
        }
        let floor = x.floor();
        let whole = dashu_int::IBig::try_from(floor).ok()?;
        Some(Some(value.cmp(&whole).then(if x > floor { Ordering::Less } else { Ordering::Equal })))
    }
}

/// Why a value has no hash.
enum Unhashable {
    Type(&'static str),
    SetObject(&'static str),
    Api,
    Depth,
}

/// The int a float is hashed as.
#[inline]
fn whole_of(x: f64) -> Option<i64> {
    (x == x.trunc() && x.abs() < 9.2e18).then_some(x as i64)
}

/// 32 bits of 64; 0 means "not computed yet".
#[inline(always)]
fn finished(state: u64) -> u32 {
    ((state ^ (state >> 32)) as u32).max(1)
}

/// Both halves of a hash from 32 good bits: place and step.
#[inline(always)]
fn spread(short: u32, seed: u64) -> u64 {
    let upper = (u64::from(short) ^ (seed >> 32)).wrapping_mul(ODD);
    (upper & 0xffff_ffff_0000_0000) | u64::from(short)
}
