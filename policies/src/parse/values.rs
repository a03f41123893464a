//! The value of a `resource` line.

use crate::policy::{LARGEST_SHARE, SMALLEST_SHARE};
use crate::{Amount, AmountError, Kind, Resource};

/// The amount a word gives a resource, or what is wrong with it.
pub(super) fn check(resource: Resource, word: &str) -> Result<Amount, String> {
    let amount = Amount::parse(word).map_err(|error| {
        match error {
            AmountError::NotANumber => "not a number",
            AmountError::NotFinite => "not a finite number: it would be no limit at all",
            AmountError::TooLarge => "too large to represent: it would be no limit at all",
            AmountError::Negative => "negative",
        }
        .to_owned()
    })?;
    let value = amount.get();
    match resource.kind() {
        Kind::Share if value < SMALLEST_SHARE => {
            Err(format!("less than {SMALLEST_SHARE}, the smallest share that can be enforced"))
        }
        Kind::Share if value > LARGEST_SHARE => {
            Err(format!("more than {LARGEST_SHARE}, the most processors that a machine can have"))
        }
        Kind::Items if !amount.is_whole() => Err("not a whole number of items".to_owned()),
        Kind::Named if !amount.is_whole() || !(1.0..=65535.0).contains(&value) => {
            Err("not a port: ports are whole numbers from 1 to 65535".to_owned())
        }
        _ => Ok(amount),
    }
}

/// A usual value, for advice.
pub(super) fn example(resource: Resource) -> &'static str {
    match resource.kind() {
        Kind::Share => ".10",
        Kind::Hard => "10000000",
        Kind::Renewable => "10000",
        Kind::Items => "5",
        Kind::Named => "12345",
    }
}

/// Multipliers that people write behind numbers.
const SUFFIXES: [(&str, f64); 14] = [
    ("kib", 1024.0),
    ("mib", 1_048_576.0),
    ("gib", 1_073_741_824.0),
    ("kb", 1e3),
    ("mb", 1e6),
    ("gb", 1e9),
    ("ki", 1024.0),
    ("mi", 1_048_576.0),
    ("gi", 1_073_741_824.0),
    ("k", 1e3),
    ("m", 1e6),
    ("g", 1e9),
    ("b", 1.0),
    ("%", 0.01),
];

/// What to write instead.
pub(super) fn advice(resource: Resource, word: &str) -> String {
    let meant = spelt_out(word).filter(|meant| check(resource, meant).is_ok());
    let described = format!("`{}` is given {}", resource.name(), unit(resource));
    match meant {
        Some(meant) => format!("write `{meant}`: {described}, without suffix or separator"),
        None => format!("{described}, for example `resource {} {}`", resource.name(), example(resource)),
    }
}

fn unit(resource: Resource) -> String {
    match resource.kind() {
        Kind::Share => "as a share of one processor".to_owned(),
        Kind::Items => "in whole items".to_owned(),
        Kind::Named => "as single ports, one a line".to_owned(),
        Kind::Hard | Kind::Renewable => format!("in {}", resource.facts().unit),
    }
}

/// The plain number that a word with separators or a suffix stands for.
fn spelt_out(word: &str) -> Option<String> {
    if word.len() > 40 || !word.is_ascii() {
        return None;
    }
    let word = word.to_ascii_lowercase().replace(['_', ','], "");
    let (digits, factor) = SUFFIXES
        .iter()
        .find_map(|(suffix, factor)| word.strip_suffix(suffix).map(|digits| (digits, *factor)))
        .unwrap_or((&word, 1.0));
    let amount = Amount::new(Amount::parse(digits).ok()?.get() * factor)?;
    Some(amount.to_string())
}
