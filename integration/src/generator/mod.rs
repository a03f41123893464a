//! The differential generator: random expressions and programs of the dialect, run under
//! CPython 2.7 and under `repy-interp`, and made small where the two differ.
//!
//! Rows of `tests/lang/rows.txt` give the weights: an expression's outermost production is
//! drawn from all rows with equal weight, and a test keeps every row covered.

pub mod compare;
pub mod differences;
pub mod expression;
pub mod kinds;
pub mod program;
pub mod random;
pub mod shrink;
pub mod tree;

use compare::{Pair, Side};
use std::collections::BTreeMap;

/// Expressions that share a process.
const BATCH: usize = 400;

/// What a run found.
#[derive(Debug, Default)]
pub struct Summary {
    /// Expressions and programs compared.
    pub compared: usize,
    /// Times each named difference explained one.
    pub named: BTreeMap<&'static str, usize>,
    /// Unexplained differences, made small: the text, CPython's output, ours.
    pub unexplained: Vec<(String, String, String)>,
}

impl Summary {
    fn note(&mut self, text: &str, python: &str, ours: &str) -> bool {
        self.compared += 1;
        if python == ours {
            return false;
        }
        match differences::explanation(text, python, ours) {
            Some(name) => {
                *self.named.entry(name).or_default() += 1;
                false
            }
            None => true,
        }
    }

    /// The share of comparisons that a named difference explained, 0 to 1.
    pub fn share_named(&self) -> f64 {
        self.named.values().sum::<usize>() as f64 / self.compared.max(1) as f64
    }
}

/// What to compare.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many expressions.
    pub expressions: usize,
    /// How many programs.
    pub programs: usize,
    /// Where the random numbers start.
    pub seed: u64,
    /// Stop looking after this many unexplained differences.
    pub most: usize,
}

/// Compares as planned; `None` where CPython 2.7 is not installed. `progress` is told now and then.
pub fn run(plan: Plan, mut progress: impl FnMut(&Summary)) -> Option<Summary> {
    let pair = Pair::new()?;
    let grammar = expression::Grammar::new(&crate::lang::rows());
    let mut summary = Summary::default();
    let mut left = plan.expressions;
    let mut round = 0;
    while left > 0 && summary.unexplained.len() < plan.most {
        // Every batch has a seed of its own, so that one batch can be repeated alone.
        let mut random = random::Random::new(plan.seed.wrapping_add(round));
        round += 1;
        let trees: Vec<_> = (0..left.min(BATCH)).map(|_| grammar.expression(&mut random)).collect();
        left -= trees.len();
        let texts: Vec<_> = trees.iter().map(tree::Tree::text).collect();
        let python = pair.values(Side::Python, &texts);
        let ours = pair.values(Side::Ours, &texts);
        for (index, tree) in trees.iter().enumerate() {
            if summary.note(&texts[index], &python[index], &ours[index])
                && summary.unexplained.len() < plan.most
            {
                summary.unexplained.push(shrink::expression(&pair, tree, &python[index], &ours[index]));
            }
        }
        progress(&summary);
    }
    for index in 0..plan.programs as u64 {
        if summary.unexplained.len() >= plan.most {
            break;
        }
        let mut random = random::Random::new(plan.seed.wrapping_mul(31).wrapping_add(index));
        let program = program::generate(&grammar, &mut random);
        let text = program.text();
        let (python, ours) = (pair.program(Side::Python, &text), pair.program(Side::Ours, &text));
        if summary.note(&text, &python, &ours) {
            summary.unexplained.push(shrink::program(&pair, &program));
        }
        if index % 100 == 99 {
            progress(&summary);
        }
    }
    Some(summary)
}
