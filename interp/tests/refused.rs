//! Programs that are refused before their first statement, each with a twin
//! that does the same within the dialect and is accepted.

use std::fs;
use std::path::{Path, PathBuf};

use interp::check::read;
use interp::syntax::{Limits, Tree};

fn programs(directory: &str) -> Vec<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(directory);
    let mut files: Vec<PathBuf> = fs::read_dir(&path)
        .expect("the directory is there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

/// The value of a `# key: value` line at the top of a program.
fn header<'a>(text: &'a str, key: &str) -> &'a str {
    let start = format!("# {key}: ");
    text.lines()
        .find_map(|line| line.strip_prefix(&start))
        .unwrap_or_else(|| panic!("a header `{key}` in {text}"))
}

#[test]
fn each_is_refused_with_the_right_words_at_the_right_place() {
    let files = programs("refused");
    assert!(files.len() > 80);
    for file in files {
        let name = file.display().to_string();
        let text = fs::read_to_string(&file).expect(&name);
        let tree = Tree::new();
        let refusal = read(&tree, text.as_bytes(), "prog.repy", &Limits::default()).expect_err(&name);
        let summary = refusal.summary().replace("\\'", "'");
        let expected = header(&text, "summary");
        assert!(summary.contains(expected), "{name}: {summary}");
        let first = &refusal.diagnostics()[0];
        let says = header(&text, "says");
        assert!(first.title.contains(says), "{name}: {refusal}");
        let instead = header(&text, "instead");
        assert!(first.help.contains(instead), "{name}: {refusal}");
        let line = format!("line {}", first.line);
        let tuple = format!("({},", first.line);
        assert!(expected.contains(&line) || expected.contains(&tuple), "{name}: {refusal}");
    }
}

#[test]
fn each_has_a_twin_that_is_accepted() {
    let names = |files: Vec<PathBuf>| -> Vec<_> {
        let names = files.iter().map(|file| file.file_name().map(ToOwned::to_owned));
        names.collect()
    };
    assert_eq!(names(programs("allowed")), names(programs("refused")));
    for file in programs("allowed") {
        let text = fs::read(&file).expect("readable");
        if let Err(refusal) = read(&Tree::new(), &text, "prog.repy", &Limits::default()) {
            panic!("{}: {refusal}", file.display());
        }
    }
}
