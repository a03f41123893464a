//! Tests of the kernels: differential ones against CPython 2.7 where it is installed, and properties that need no oracle.
mod numbers;
mod oracle;
mod strings;

use super::error::{Fault, FaultKind};
use super::sort::{SortMachine, SortStep};
use super::strrepr;

/// Text of an outcome as the oracle prints it: `repr` of the bytes, or the error.
fn shown(result: Result<Vec<u8>, Fault>) -> String {
    match result {
        Ok(bytes) => String::from_utf8_lossy(&strrepr::repr(&bytes)).into_owned(),
        Err(fault) => error_text(&fault),
    }
}

fn error_text(fault: &Fault) -> String {
    let name = match fault.kind {
        FaultKind::Type => "TypeError",
        FaultKind::Value => "ValueError",
        FaultKind::Overflow => "OverflowError",
        FaultKind::ZeroDivision => "ZeroDivisionError",
        FaultKind::Index => "IndexError",
        FaultKind::Key => "KeyError",
        FaultKind::Attribute => "AttributeError",
        FaultKind::Memory => "MemoryError",
        FaultKind::Runtime => "RuntimeError",
    };
    format!("!{name}: {}", fault.message)
}

/// A small deterministic generator; the seed is printed by the callers' assertion messages.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }
}

#[test]
fn sort_is_stable_and_orders_whatever_the_input_shape() {
    let mut dice = Dice(77);
    for size in [0usize, 1, 2, 3, 10, 63, 64, 65, 100, 300, 1000, 5000] {
        for shape in 0..5u64 {
            let values: Vec<u64> = (0..size as u64)
                .map(|at| match shape {
                    0 => dice.below(1 << 40),
                    1 => at,
                    2 => size as u64 - at,
                    3 => dice.below(4),
                    _ => at % 17 + at / 50,
                })
                .collect();
            let mut machine = SortMachine::new(size);
            let mut answer = None;
            let order = loop {
                match machine.advance(answer) {
                    SortStep::Compare(a, b) => answer = Some(values[a as usize] < values[b as usize]),
                    SortStep::Done(order) => break order,
                }
            };
            let mut expected: Vec<u32> = (0..size as u32).collect();
            expected.sort_by_key(|&at| values[at as usize]);
            assert_eq!(order, expected, "size {size} shape {shape}");
        }
    }
}

#[test]
fn sort_asks_what_the_original_asks() {
    let mut dice = Dice(5);
    let mut lines = Vec::new();
    let mut ours = Vec::new();
    for size in [5usize, 40, 90, 200, 700] {
        for spread in [3u64, 50, 100_000] {
            let half = size / 2;
            let values: Vec<u64> =
                (0..size).map(|at| dice.below(spread) + if at > half { at as u64 } else { 0 }).collect();
            let mut machine = SortMachine::new(size);
            let (mut answer, mut sum) = (None, 0u64);
            while let SortStep::Compare(a, b) = machine.advance(answer) {
                let (a, b) = (values[a as usize], values[b as usize]);
                sum = (sum * 31 + a * 7 + b) % 1_000_003;
                answer = Some(a < b);
            }
            lines.push(format!("trace({values:?})"));
            ours.push(sum.to_string());
        }
    }
    let prelude = "def trace(values):\n    s = [0]\n    def c(a, b):\n        s[0] = (s[0]*31 + a*7 + b) % 1000003\n        return cmp(a, b)\n    values.sort(c)\n    return s[0]\n";
    oracle::compare("sort traces", prelude, &lines, &ours);
}
