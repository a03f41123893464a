//! A short run of the differential generator, and the promises its tables make.

use integration::generator::{self, differences, expression::Grammar, program, Plan};
use integration::{lang, project_root};

/// The seed of the short run; long runs (`differential` without `--seed`) take fresh ones.
const SEED: u64 = 20_261_124;

#[test]
fn random_expressions_and_programs_behave_as_in_cpython() {
    let number =
        |name: &str, default: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let plan = Plan {
        expressions: number("DIFFERENTIAL_EXPRESSIONS", 2_000) as usize,
        programs: number("DIFFERENTIAL_PROGRAMS", 40) as usize,
        seed: number("DIFFERENTIAL_SEED", SEED),
        most: 10,
    };
    println!("seed {}", plan.seed);
    let Some(summary) = generator::run(plan, |_| {}) else {
        return integration::skipped(&format!(
            "python2.7 is not installed; {} expressions not compared",
            plan.expressions
        ));
    };
    for (text, python, ours) in &summary.unexplained {
        println!("\ndiffers:\n{text}\n- {python}\n+ {ours}");
    }
    println!("{} compared; named differences: {:?}", summary.compared, summary.named);
    assert!(summary.unexplained.is_empty(), "{} differ (seed {})", summary.unexplained.len(), plan.seed);
    assert!(summary.share_named() < 0.01, "named differences explain too much: {:?}", summary.named);
}

#[test]
fn every_named_difference_is_in_the_documentation() {
    let path = project_root().join("docs/differences.md");
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
    let written: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let known: Vec<&str> = differences::ALL.iter().map(|named| named.name).collect();
    for name in &known {
        assert!(written.contains(name), "{name} is not in docs/differences.md");
    }
    for name in written {
        assert!(known.contains(&name), "docs/differences.md names {name}, which has no matcher");
    }
}

#[test]
fn a_matcher_explains_its_own_difference_only() {
    let order = "repr({1: 2, 3: 4})";
    assert_eq!(
        differences::explanation(order, "{1: 2, 3: 4}", "{3: 4, 1: 2}"),
        Some("order-of-dictionaries-and-sets")
    );
    assert_eq!(differences::explanation(order, "{1: 2, 3: 4}", "{1: 2, 3: 5}"), None);
    let least = "min([None, 0, ''], key=type)";
    assert_eq!(differences::explanation(least, "0", "None"), Some("order-without-a-meaning"));
    assert_eq!(differences::explanation(least, "0", "7"), None);
    let real = ("type(0.0).real", "<attribute 'real' of 'float' objects>");
    let ours = "<type 'exceptions.AttributeError'> type object 'float' has no attribute 'real'";
    assert_eq!(differences::explanation(real.0, real.1, ours), Some("data-of-types"));
    assert_eq!(differences::explanation(real.0, "0.0", ours), None);
    let nan = "frozenset(divmod(0, (1e999 - 1e999)))";
    assert_eq!(differences::explanation(nan, "<frozenset>nan, nan", "<frozenset>nan"), Some("which-nan"));
    assert_eq!(differences::explanation(nan, "<frozenset>nan, nan", "<frozenset>1.0"), None);
    assert_eq!(differences::explanation("1 + 1", "12", "21"), None);
    assert_eq!(differences::explanation("1 + 1", "2", "3"), None);
}

#[test]
fn the_generator_covers_every_row() {
    let grammar = Grammar::new(&lang::rows());
    let missing: Vec<String> = lang::rows()
        .into_keys()
        .filter(|row| !grammar.productions.iter().any(|production| production.row == *row))
        .filter(|row| !program::ROWS.iter().any(|start| row.starts_with(start)))
        .filter(|row| !NOT_GENERATED.contains(&row.as_str()))
        .collect();
    assert!(missing.is_empty(), "no production for {missing:?}");
}

/// Names only the sandbox has: CPython cannot be asked about them.
const NOT_GENERATED: &[&str] = &["SafeDict", "VirtualNamespace", "_context", "mycontext"];

#[test]
fn the_same_seed_gives_the_same_programs() {
    let grammar = Grammar::new(&lang::rows());
    let text = |seed| {
        let mut random = generator::random::Random::new(seed);
        let expression = grammar.expression(&mut random).text();
        expression + &program::generate(&grammar, &mut random).own_text()
    };
    assert_eq!(text(5), text(5));
    assert_ne!(text(5), text(6));
}
