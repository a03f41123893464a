//! Compares `repy-interp` with CPython 2.7 on random expressions and programs.
//!
//! `differential [--expressions N] [--programs N] [--seed S] [--most N] [--show]`; without a seed the clock gives one.
//! Prints the seed, each difference made small, and the hits of the differences that
//! `docs/differences.md` names. Exit 1 if something differs without a name, or if the names explain 1 % or more.

use integration::generator::{self, Plan};
use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
    let mut plan = Plan { expressions: 200_000, programs: 5_000, seed: now % 1_000_000_007, most: 20 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--show" {
            return show(plan);
        }
        let value = words.next().and_then(|text| text.parse::<u64>().ok());
        match (word.as_str(), value) {
            ("--expressions", Some(n)) => plan.expressions = n as usize,
            ("--programs", Some(n)) => plan.programs = n as usize,
            ("--seed", Some(n)) => plan.seed = n,
            ("--most", Some(n)) => plan.most = n as usize,
            _ => {
                eprintln!("differential: cannot use {word:?}; options: --expressions N --programs N --seed S --most N");
                std::process::exit(2);
            }
        }
    }
    println!("seed {}", plan.seed);
    let mut printed = 0;
    let mut next = 20_000;
    let done = generator::run(plan, |summary| {
        for (text, python, ours) in &summary.unexplained[printed..] {
            println!("\ndiffers:\n{text}\n- {python}\n+ {ours}");
        }
        printed = summary.unexplained.len();
        if summary.compared >= next {
            println!("{} compared, {} differ", summary.compared, printed);
            next += 20_000;
        }
    });
    let Some(summary) = done else {
        println!("skipped: python2.7 is not installed");
        return;
    };
    for (text, python, ours) in &summary.unexplained[printed..] {
        println!("\ndiffers:\n{text}\n- {python}\n+ {ours}");
    }
    println!("\n{} compared with seed {}: {} differ", summary.compared, plan.seed, summary.unexplained.len());
    for (name, hits) in &summary.named {
        println!("named difference {name}: {hits} hits");
    }
    if !summary.unexplained.is_empty() || summary.share_named() >= 0.01 {
        std::process::exit(1);
    }
}

/// Prints what the seed generates instead of running it.
fn show(plan: Plan) {
    let grammar = generator::expression::Grammar::new(&integration::lang::rows());
    let mut random = generator::random::Random::new(plan.seed);
    for _ in 0..40 {
        println!("{}", grammar.expression(&mut random).text());
    }
    println!("\n{}", generator::program::generate(&grammar, &mut random).own_text());
}
