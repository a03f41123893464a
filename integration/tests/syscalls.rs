//! The interpreter's list of system calls and the launcher's filter say the same.
#![allow(missing_docs)]

use std::collections::BTreeSet;

use integration::project_root;

/// The first word of every line of a file that is neither empty, a comment nor a section.
fn names(path: &str, keep: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let path = project_root().join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()) && keep(line))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_filter_allows_what_the_interpreter_lists_and_little_else() {
    let listed = names("interp/SYSCALLS", |_| true);
    let refusal = |line: &str| line.split('#').next().unwrap_or("").contains("->");
    let named = names("launcher/src/filter/interp.policy", |_| true);
    let allowed = names("launcher/src/filter/interp.policy", |line| !refusal(line));
    let missing: Vec<_> = listed.difference(&named).collect();
    assert!(missing.is_empty(), "the interpreter lists what the filter kills: {missing:?}");
    // The same calls as the C libraries of other architectures spell them, and
    // reading from descriptors that are open for it.
    let spellings = ["epoll_pwait", "read"].map(str::to_owned).into();
    let more: Vec<_> = allowed
        .difference(&listed)
        .cloned()
        .collect::<BTreeSet<_>>()
        .difference(&spellings)
        .cloned()
        .collect();
    assert!(more.is_empty(), "the filter allows what the interpreter does not list: {more:?}");
}
