//! Amounts, times and names as people read them.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::registry::record::Record;
use crate::terminal::turns_text;

/// Text of somebody else's making, without anything a terminal would obey.
pub fn clean(text: &str) -> String {
    let obeyed = |letter: char| letter.is_control() || turns_text(letter);
    text.chars().map(|letter| if obeyed(letter) { '?' } else { letter }).take(200).collect()
}

/// The name of a user, or the number of one without.
pub fn user(uid: u32) -> String {
    let found = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
    found.map_or_else(|| uid.to_string(), |user| user.name)
}

/// Seconds since the run began.
pub fn age(record: &Record) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    (now - record.began).max(0.0)
}

/// `75.0M`: three digits and a unit.
pub fn bytes(amount: f64) -> String {
    let mut amount = amount.max(0.0);
    for unit in ["", "k", "M", "G"] {
        if amount < 999.5 {
            return if unit.is_empty() || amount >= 99.95 {
                format!("{amount:.0}{unit}")
            } else {
                format!("{amount:.1}{unit}")
            };
        }
        amount /= 1000.0;
    }
    format!("{amount:.1}T")
}

/// `3.2s`, `4m05s`, `2h03m`, `5d01h`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..=59 => format!("{seconds:.1}s"),
        60..=3_599 => format!("{}m{:02}s", whole / 60, whole % 60),
        3_600..=86_399 => format!("{}h{:02}m", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{}d{:02}h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

/// Rows with their cells below one another, the last cell of any length.
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_times_are_short() {
        let texts = [0.0, 999.0, 1_000.0, 12_345.0, 99_960.0, 1e7, 5.5e9].map(bytes);
        assert_eq!(texts, ["0", "999", "1.0k", "12.3k", "100k", "10.0M", "5.5G"]);
        let texts = [0.04, 59.0, 61.0, 7_265.0, 90_000.0].map(duration);
        assert_eq!(texts, ["0.0s", "59.0s", "1m01s", "2h01m", "1d01h"]);
    }

    #[test]
    fn a_terminal_obeys_nothing_of_it() {
        assert_eq!(clean("a\u{1b}[2Jb\n"), "a?[2Jb?");
        assert_eq!(clean("\u{202e}toor\u{200b}\u{e9}\u{4e2d}"), "?toor?\u{e9}\u{4e2d}");
    }
}
