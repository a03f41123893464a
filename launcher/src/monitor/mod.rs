//! Limits held by looking from outside: disk use always; memory and processor
//! share only where the operator waived the control group.

pub mod cpu;
pub mod disk;
pub mod memory;

/// The number at this place of a line of /proc: read a hundred times in a second.
fn number(line: &[u8], place: usize) -> Option<u64> {
    let word = line.split(|byte| byte.is_ascii_whitespace()).nth(place).filter(|word| !word.is_empty())?;
    word.iter().try_fold(0u64, |value, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_of_a_line() {
        let line = b"1073 798 18446744073709551615 x 99999999999999999999\n";
        let found: Vec<_> = (0..6).map(|place| number(line, place)).collect();
        assert_eq!(found, [Some(1073), Some(798), Some(u64::MAX), None, None, None]);
        assert_eq!(number(b"", 0), None);
    }
}
