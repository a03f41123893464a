//! Differences from CPython that are meant: each has a name that `docs/differences.md`
//! holds as an anchor, and a test that tells whether two outputs differ by nothing else.

/// A named difference.
#[derive(Debug)]
pub struct Named {
    /// The anchor in `docs/differences.md`.
    pub name: &'static str,
    /// Whether the outputs (the program text, CPython's, ours) differ only by it.
    pub explains: fn(&str, &str, &str) -> bool,
}

/// All of them. Their hits together have to stay under 1 %.
pub const ALL: &[Named] = &[Named { name: "order-of-dictionaries-and-sets", explains: order }];

/// The first difference that explains the outputs.
pub fn explanation(text: &str, python: &str, ours: &str) -> Option<&'static str> {
    ALL.iter().find(|named| (named.explains)(text, python, ours)).map(|named| named.name)
}

/// The same characters in another order, of a program that makes dictionaries or sets.
fn order(text: &str, python: &str, ours: &str) -> bool {
    let sorted = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.sort_unstable();
        bytes
    };
    (text.contains('{') || text.contains("set(") || text.contains("dict(")) && sorted(python) == sorted(ours)
}
