//! Where a program's time went (`--profile`): folded stacks, as flame graphs
//! take them. What the interpreter tells is untrusted: lines are checked, and
//! their sum is bounded.

use std::collections::BTreeMap;

/// Most bytes of all stacks together; what comes past it is counted as one.
const MAXIMUM: usize = 4 << 20;
/// What keeping a stack takes beyond its text.
const EACH: usize = 64;
/// The stack of what came past [`MAXIMUM`].
const OTHERS: &str = "(others)";

/// Microseconds by stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    stacks: BTreeMap<String, u64>,
    bytes: usize,
}

impl Profile {
    /// Adds lines of `stack microseconds`; one that is none is left out.
    pub fn add(&mut self, lines: &str) {
        for line in lines.lines() {
            let Some((stack, count)) = line.rsplit_once(' ') else { continue };
            let Ok(count) = count.parse::<u64>() else { continue };
            if stack.is_empty() || !stack.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
                continue;
            }
            let known = self.stacks.contains_key(stack);
            let fits = known || self.bytes + stack.len() + EACH <= MAXIMUM;
            let stack = if fits { stack } else { OTHERS };
            if fits && !known {
                self.bytes += stack.len() + EACH;
            }
            let sum = self.stacks.entry(stack.to_owned()).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    /// The file: a line for each stack, in order.
    pub fn to_text(&self) -> String {
        self.stacks.iter().map(|(stack, count)| format!("{stack} {count}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_a_stack_are_added() {
        let mut profile = Profile::default();
        profile.add("main;f:1 5\nmain 2\n");
        profile.add("main;f:1 7\n");
        assert_eq!(profile.to_text(), "main 2\nmain;f:1 12\n");
    }

    #[test]
    fn nonsense_is_left_out_and_a_flood_is_bounded() {
        let mut profile = Profile::default();
        profile.add("no count\n 5\nx\u{1b}[31m 5\ny -3\nz 99999999999999999999999\n");
        assert_eq!(profile.to_text(), "");
        profile.add(&format!("m {}\nm 5\n", u64::MAX));
        assert_eq!(profile.to_text(), format!("m {}\n", u64::MAX));
        for number in 0..1000 {
            profile.add(&format!("{}{number} 1\n", "x".repeat(8000)));
        }
        assert!(profile.to_text().len() < MAXIMUM + 20_000);
        assert!(profile.to_text().contains("(others) "));
        // Short ones take more room than their texts.
        let mut profile = Profile::default();
        for number in 0..100_000 {
            profile.add(&format!("{number:x} 1\n"));
        }
        assert!(profile.stacks.len() <= MAXIMUM / EACH + 1, "{}", profile.stacks.len());
    }
}
