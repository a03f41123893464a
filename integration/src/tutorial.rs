//! The programs of the original Repy tutorial, taken out of its text: whoever has that text
//! names its file in `REPY_TUTORIAL`, and the tests of the tutorial's programs run those instead of
//! the rewritten ones in `examples/`.

use std::path::PathBuf;

/// Which program of a section an example is: file name, section, place in it.
const PROGRAMS: &[(&str, &str, usize)] = &[
    ("example.1.1.repy", "1.1", 0),
    ("example.1.2.repy", "1.2", 0),
    ("example.1.3.wrong.repy", "1.3", 0),
    ("example.1.3.repy", "1.3", 1),
    ("example.1.4.repy", "1.4", 0),
    ("example.1.5.repy", "1.5", 0),
    ("example.1.6.broken.repy", "1.6", 0),
    ("example.1.6.repy", "1.6", 1),
    ("example.2.1.repy", "2.1", 0),
    ("example.2.2.repy", "2.2", 0),
    ("example.3.1.repy", "3.1", 0),
    ("example.3.2.repy", "3.2", 0),
    ("example.3.2.close.repy", "3.2", 1),
    ("example.4.1.repy", "4.1", 0),
    ("example.4.2.repy", "4.2", 0),
];

/// The file that `REPY_TUTORIAL` names.
pub fn file() -> Option<PathBuf> {
    std::env::var_os("REPY_TUTORIAL").filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// The names of the examples.
pub fn names() -> impl Iterator<Item = &'static str> {
    PROGRAMS.iter().map(|(name, ..)| *name)
}

/// The text of an example: from the tutorial if there is one, else as it lies in `examples/`.
///
/// # Panics
/// If there is none.
pub fn example(name: &str) -> String {
    let here = crate::project_root().join("examples").join(name);
    let path = file().unwrap_or_else(|| here.clone());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    if path == here {
        return text;
    }
    let (_, section, place) = PROGRAMS.iter().find(|(known, ..)| *known == name).expect("a known example");
    let found = programs(&text).into_iter().filter(|(of, _)| of == section).nth(*place);
    found.unwrap_or_else(|| panic!("{}: no program {name}", path.display())).1
}

/// Every program in a tutorial's text with the number of its section. A program begins with a
/// definition, a comment or the question for `callfunc` at the left margin, and ends before the
/// next line of prose; what never asks for `callfunc` is a fragment.
pub fn programs(text: &str) -> Vec<(String, String)> {
    let (mut found, mut section, mut program) = (Vec::new(), String::new(), String::new());
    for line in text.lines().chain(["The end"]) {
        let starts = ["def ", "if callfunc", "#"].iter().any(|word| line.starts_with(word));
        let goes_on = line.trim().is_empty() || line.starts_with([' ', '\t']) || starts;
        if starts || (goes_on && !program.is_empty()) {
            program.push_str(line);
            program.push('\n');
            continue;
        }
        if program.contains("callfunc") {
            found.push((section.clone(), format!("{}\n", program.trim_end())));
        }
        program.clear();
        let heading = line.split_once("(example ").and_then(|(_, rest)| rest.split_once(')'));
        if let Some((number, _)) = heading {
            section = number.to_owned();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_from_prose() {
        let text = "Heading (example 1.1)\n\nSay hello:\n\nif callfunc == 'initialize':\n    print 1\n\n\nIt says so.\n\
                    for line in f:\n  # code\n  ...\n\n# A comment\n\ndef f():\n  pass\n\nif callfunc == 'exit':\n  f()\nNext (example 2.1)\n\
                    # no program\nEnd\nif callfunc == 'initialize':\n  print 2";
        let expected = [
            ("1.1", "if callfunc == 'initialize':\n    print 1\n"),
            ("1.1", "# A comment\n\ndef f():\n  pass\n\nif callfunc == 'exit':\n  f()\n"),
            ("2.1", "if callfunc == 'initialize':\n  print 2\n"),
        ];
        assert_eq!(programs(text), expected.map(|(section, text)| (section.to_owned(), text.to_owned())));
    }

    #[test]
    fn every_example_is_known() {
        for name in names() {
            assert!(!example(name).is_empty(), "{name}");
        }
    }
}
