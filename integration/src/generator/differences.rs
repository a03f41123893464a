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
pub const ALL: &[Named] = &[
    Named { name: "order-of-dictionaries-and-sets", explains: order },
    Named { name: "functions-in-results", explains: addresses },
    Named { name: "length-of-a-result", explains: memory },
    Named { name: "last-digit-of-a-power", explains: last_digit },
    Named { name: "words-of-the-recursion-limit", explains: recursion },
    Named { name: "order-without-a-meaning", explains: no_order },
    Named { name: "data-of-types", explains: data_of_types },
    Named { name: "which-nan", explains: which_nan },
];

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
    let made = text.contains('{') || text.contains("set(") || text.contains("dict");
    made && sorted(python) == sorted(ours)
}

/// NaN and types have no order: `cmp` and what sorts by it fall back on addresses in CPython.
fn no_order(text: &str, python: &str, ours: &str) -> bool {
    let plain = |text: &str| {
        let mut bytes: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
        bytes.sort_unstable();
        bytes
    };
    let asks = ["cmp", "sort", "min", "max"].iter().any(|word| text.contains(word));
    // The least or greatest by type: one item of the text or another.
    let by_type = text.contains("key=type") && text.contains(python) && text.contains(ours);
    asks && (by_type || (text.contains("1e999") || text.contains("type")) && plain(python) == plain(ours))
}

/// `float.real`: what numbers have as data, asked of their type.
fn data_of_types(text: &str, python: &str, ours: &str) -> bool {
    text.contains("type")
        && python.starts_with("<attribute '")
        && ours.contains("AttributeError'> type object '")
}

/// The same but for how many NaN a set or dict holds: by identity, which floats do not have here.
fn which_nan(text: &str, python: &str, ours: &str) -> bool {
    let plain = |shown: &str| shown.replace("nan, ", "").replace(", nan", "");
    text.contains("1e999") && python.contains("nan, ") && ours.contains("nan") && plain(python) == plain(ours)
}

/// The same but for what follows `0x` in `<… at 0x…>`.
fn addresses(_: &str, python: &str, ours: &str) -> bool {
    let plain = |text: &str| {
        let mut parts = text.split(" at 0x");
        let mut shown = parts.next().unwrap_or("").to_string();
        for part in parts {
            shown.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
        }
        shown
    };
    python.contains(" at 0x") && plain(python) == plain(ours)
}

/// MemoryError on either side: the two have different amounts.
fn memory(_: &str, python: &str, ours: &str) -> bool {
    python.contains("MemoryError") != ours.contains("MemoryError")
}

/// Floats of a `**` or `pow` that agree in their first 14 digits.
fn last_digit(text: &str, python: &str, ours: &str) -> bool {
    let same_start = python.bytes().zip(ours.bytes()).take_while(|(a, b)| a == b).count();
    let digits = python.as_bytes()[..same_start]
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_digit() || **b == b'.')
        .count();
    let tail = |text: &str| text[same_start..].trim_start_matches(|c: char| c.is_ascii_digit()).to_string();
    (text.contains("**") || text.contains("pow"))
        && digits >= 14
        && python.is_char_boundary(same_start)
        && ours.is_char_boundary(same_start)
        && tail(python) == tail(ours)
}

/// The same but for what CPython adds to `maximum recursion depth exceeded`.
fn recursion(_: &str, python: &str, ours: &str) -> bool {
    const WORDS: &str = "maximum recursion depth exceeded";
    let plain = |text: &str| {
        let mut shown = text.to_string();
        for more in [" while calling a Python object", " in cmp", " while getting the repr of a list"] {
            shown = shown.replace(&format!("{WORDS}{more}"), WORDS);
        }
        shown
    };
    python.contains(WORDS) && plain(python) == plain(ours)
}
