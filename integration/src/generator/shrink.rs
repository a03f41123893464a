//! Makes an expression or a program that shows a difference as small as it gets.

use super::compare::{Pair, Side};
use super::differences;
use super::program::Program;
use super::tree::Tree;

/// Candidates tried in one step of an expression: they share a process.
const CANDIDATES: usize = 300;

/// Programs tried in all: each is two processes.
const TRIES: usize = 400;

fn unexplained(text: &str, python: &str, ours: &str) -> bool {
    python != ours && differences::explanation(text, python, ours).is_none()
}

/// The smallest expression found that differs: text, CPython's output, ours.
pub fn expression(pair: &Pair, tree: &Tree, python: &str, ours: &str) -> (String, String, String) {
    let mut best = (tree.clone(), tree.text(), python.to_string(), ours.to_string());
    loop {
        let mut candidates: Vec<(Tree, String)> =
            best.0.simpler().into_iter().map(|tree| (tree.clone(), tree.text())).collect();
        candidates.retain(|(_, text)| text.len() < best.1.len());
        candidates.sort_by_key(|(_, text)| text.len());
        candidates.truncate(CANDIDATES);
        let texts: Vec<String> = candidates.iter().map(|(_, text)| text.clone()).collect();
        let python = pair.values(Side::Python, &texts);
        let ours = pair.values(Side::Ours, &texts);
        let found = (0..texts.len()).find(|i| unexplained(&texts[*i], &python[*i], &ours[*i]));
        match found {
            Some(i) => best = (candidates[i].0.clone(), texts[i].clone(), python[i].clone(), ours[i].clone()),
            None => return (best.1, best.2, best.3),
        }
    }
}

/// The smallest program found that differs: text, CPython's output, ours.
pub fn program(pair: &Pair, program: &Program) -> (String, String, String) {
    let outputs = |program: &Program| {
        let text = program.text();
        (pair.program(Side::Python, &text), pair.program(Side::Ours, &text))
    };
    let mut best = program.clone();
    let mut tries = 0;
    let mut from = 0;
    'smaller: loop {
        let candidates = best.simpler();
        // Going on where the last success was avoids trying the same failures again.
        for index in (from..candidates.len()).chain(0..from.min(candidates.len())) {
            let candidate = &candidates[index];
            tries += 1;
            if tries > TRIES {
                break 'smaller;
            }
            let (python, ours) = outputs(candidate);
            if unexplained(&candidate.text(), &python, &ours) {
                best = candidate.clone();
                from = index;
                continue 'smaller;
            }
        }
        break;
    }
    let (python, ours) = outputs(&best);
    (best.own_text(), python, ours)
}
