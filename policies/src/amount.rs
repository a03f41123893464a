//! Numbers of the restrictions language: what Python's `float()` takes, less what is not an amount.

use std::fmt;

/// A finite number that is not negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Amount(f64);

/// Why a word is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountError {
    /// Not a number at all.
    NotANumber,
    /// Spelt as Python spells a number that is not finite.
    NotFinite,
    /// A number too large to represent.
    TooLarge,
    /// Less than zero.
    Negative,
}

impl Amount {
    /// Reads a word: sign, digits with at most one point, exponent. No underscores, no other
    /// digits than 0 to 9, no white space.
    ///
    /// # Errors
    /// See [`AmountError`].
    pub fn parse(word: &str) -> Result<Amount, AmountError> {
        let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
        if ["inf", "infinity", "nan"].iter().any(|name| unsigned.eq_ignore_ascii_case(name)) {
            return Err(AmountError::NotFinite);
        }
        if !word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
            return Err(AmountError::NotANumber);
        }
        // With these characters alone, Rust reads exactly what Python 2.7 reads.
        let value: f64 = word.parse().map_err(|_| AmountError::NotANumber)?;
        if value < 0.0 {
            return Err(AmountError::Negative);
        }
        Amount::new(value).ok_or(AmountError::TooLarge)
    }

    /// An amount from a number; `None` if it is negative or not finite.
    pub fn new(value: f64) -> Option<Amount> {
        // Adding zero makes -0 an ordinary 0.
        (value.is_finite() && value >= 0.0).then_some(Amount(value + 0.0))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Whether it has no fraction.
    pub fn is_whole(self) -> bool {
        self.0.fract() == 0.0
    }

    /// The number without its fraction; numbers past 64 bits are the largest one.
    pub fn floor(self) -> u64 {
        self.0 as u64
    }
}

/// The shortest text that reads back as the same number.
impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value != 0.0 && !(1e-4..1e16).contains(&value) {
            write!(out, "{value:e}")
        } else {
            write!(out, "{value}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_python_reads_are_read() {
        for (word, value) in [
            ("10", 10.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e6", 1e6),
            ("1E+6", 1e6),
            ("1.5e-3", 0.0015),
            ("+10", 10.0),
            ("007", 7.0),
            ("-0", 0.0),
            ("-0.0e9", 0.0),
            ("1e-300", 1e-300),
            ("1e-400", 0.0),
            (".10", 0.1),
        ] {
            let amount = Amount::parse(word).unwrap();
            assert_eq!(amount.get().to_bits(), f64::to_bits(value), "{word}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        use AmountError::*;
        for (word, error) in [
            ("", NotANumber),
            (".", NotANumber),
            ("e5", NotANumber),
            ("1e", NotANumber),
            ("1e+", NotANumber),
            ("--1", NotANumber),
            ("+-1", NotANumber),
            ("1.2.3", NotANumber),
            ("1_000", NotANumber),
            ("10k", NotANumber),
            ("0x10", NotANumber),
            ("10L", NotANumber),
            ("1,5", NotANumber),
            ("١٠", NotANumber),
            ("nan", NotFinite),
            ("-NaN", NotFinite),
            ("inf", NotFinite),
            ("+Infinity", NotFinite),
            ("infinit", NotANumber),
            ("1e400", TooLarge),
            ("-1e400", Negative),
            ("-1", Negative),
            ("-.001", Negative),
        ] {
            assert_eq!(Amount::parse(word), Err(error), "{word}");
        }
    }

    proptest! {
        #[test]
        fn printed_amounts_read_back(value in prop_oneof![0.0..1e18, 0.0..f64::MAX, 0.0..1e-3, (0u64..u64::MAX).prop_map(|value| value as f64)]) {
            let amount = Amount::new(value).unwrap();
            prop_assert_eq!(Amount::parse(&amount.to_string()), Ok(amount));
        }

        #[test]
        fn any_word_is_read_without_panic(word in ".*") {
            let _ = Amount::parse(&word);
        }
    }
}
