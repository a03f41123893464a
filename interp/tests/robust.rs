//! Whatever the bytes, the front end answers: a tree or a refusal that can be
//! shown, soon and without deep native recursion.

use interp::check::{read, Refusal};
use interp::syntax::{Limits, Tree};
use proptest::prelude::*;

fn answer(text: &[u8]) -> Result<(), Refusal> {
    let tree = Tree::new();
    let answer = read(&tree, text, "prog.repy", &Limits::default()).map(drop);
    if let Err(refusal) = &answer {
        assert!(!refusal.diagnostics().is_empty());
        assert!(refusal.summary().starts_with("Code failed safety check! Error: ("));
        let shown = refusal.to_string();
        let harmless = |letter: char| letter == '\n' || !letter.is_control();
        assert!(shown.chars().all(harmless), "{shown:?}");
    }
    answer
}

/// Words and signs that make deep paths through the parser likely.
fn soup() -> impl Strategy<Value = String> {
    let words = [
        "(", ")", "[", "]", "{", "}", ",", ":", ";", ".", "=", "+", "-", "*", "**", "<", "not ", "in ",
        "is ", "and ", "or ", "if ", "else ", "elif ", "for ", "while ", "try:", "except ", "finally:",
        "def ", "class ", "lambda ", "print ", "return ", "yield ", "with ", "as ", "import ", "from ",
        "global ", "exec ", "raise ", "assert ", "del ", "pass", "break", "continue", "x", "y", "f_x", "__z",
        "1", "0x", "1e", "2.5j", "7L", "'s'", "u't'", "\"", "'''", "\\", "\n", "\n ", "\n  ", "\n\t", "\r\n",
        "\r", "#", "`", "@", "$", "é", "\u{feff}", "...", ":=", "->",
    ];
    let piece = proptest::sample::select(words.to_vec());
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = answer(&bytes);
    }

    #[test]
    fn random_words_are_answered(text in soup()) {
        let _ = answer(text.as_bytes());
    }
}

#[test]
fn long_rows_are_programs() {
    let rows = [
        format!("x = 1{}", " + 1".repeat(100_000)),
        format!("x = 1{}", " * 2 - 3".repeat(50_000)),
        format!("x = {}1", "1 and ".repeat(100_000)),
        format!("x = {}1", "1 < ".repeat(100_000)),
        format!("{}1", "x = ".repeat(100_000)),
        format!("if 1:\n  pass\n{}", "elif 1:\n  pass\n".repeat(50_000)),
        format!("x = [{}]", "(1, 'a'), ".repeat(100_000)),
        format!("x = [y {}]", "for y in z if y ".repeat(50_000)),
        format!("x = {}", "'a' ".repeat(100_000)),
        format!("x = '{}'", "a".repeat(1_000_000)),
        format!("x = 1{}", "0".repeat(1_000_000)),
        "x = 1; ".repeat(100_000),
        "\\\n".repeat(100_000),
        "# nothing\n".repeat(100_000),
        "\n".repeat(100_000),
    ];
    for text in rows {
        let start: String = text.chars().take(40).collect();
        assert!(answer(text.as_bytes()).is_ok(), "{start}");
    }
}

#[test]
fn depth_is_refused_not_followed() {
    let deep = [
        format!("x = {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        "(".repeat(100_000),
        "[".repeat(100_000),
        "{1: ".repeat(100_000),
        "f(".repeat(100_000),
        "x[".repeat(100_000),
        format!("x = {}1", "-".repeat(100_000)),
        format!("x = {}1", "not ".repeat(100_000)),
        format!("x = 1{}", " ** 1".repeat(100_000)),
        format!("x = f{}", "()".repeat(100_000)),
        format!("x = a{}", ".b".repeat(100_000)),
        format!("x = a{}", "[0]".repeat(100_000)),
        format!("x = {}1", "lambda: ".repeat(100_000)),
        format!("x = {}1", "1 if 2 else ".repeat(100_000)),
        format!("def f({}a{}): pass", "(".repeat(100_000), ")".repeat(100_000)),
        (0..2000).map(|depth| " ".repeat(depth) + "if 1:\n").collect(),
        (0..2000).map(|depth| " ".repeat(depth) + "def f():\n").collect(),
        (0..30).map(|depth| " ".repeat(depth) + "while 1:\n").collect::<String>() + &" ".repeat(30) + "pass",
    ];
    for text in deep {
        let start: String = text.chars().take(40).collect();
        assert!(answer(text.as_bytes()).is_err(), "{start}");
    }
}

#[test]
fn what_is_deep_but_bounded_is_a_program() {
    let bounded = [
        format!("x = {}1{}", "(".repeat(150), ")".repeat(150)),
        format!("x = {}1{}", "[".repeat(150), "]".repeat(150)),
        format!("x = {}1", "-".repeat(300)),
        format!("x = a{}", ".b".repeat(300)),
        format!("x = f{}", "()".repeat(300)),
        (0..99).map(|depth| " ".repeat(depth) + "if 1:\n").collect::<String>() + &" ".repeat(99) + "pass",
        (0..20).map(|depth| " ".repeat(depth) + "while 1:\n").collect::<String>() + &" ".repeat(20) + "pass",
    ];
    for text in bounded {
        let start: String = text.chars().take(40).collect();
        assert!(answer(text.as_bytes()).is_ok(), "{start}");
    }
}

#[test]
fn many_errors_are_cut_short() {
    for line in ["x = = 1\n", "lambda: 1\n", "x = __y\n", "x = 'a\n", "u'a'\n", "break\n", "  x\n"] {
        let refusal = answer(line.repeat(200_000).as_bytes()).expect_err(line);
        assert!(refusal.diagnostics().len() <= 20);
        assert!(refusal.render().len() < 20_000);
    }
}

#[test]
fn limits_hold() {
    let limits = Limits { source_bytes: 100, tokens: 20, ..Limits::default() };
    assert!(read(&Tree::new(), b"x = 1\n", "f", &limits).is_ok());
    let refused = |text: &str| read(&Tree::new(), text.as_bytes(), "f", &limits).expect_err(text).to_string();
    assert!(refused(&"#".repeat(101)).contains("more than 100 bytes"));
    assert!(refused(&"x=1\n".repeat(20)).contains("too many tokens"));
    assert!(refused(&"(".repeat(90)).contains("too many tokens"));
}

#[test]
fn a_text_that_is_no_source_is_refused_as_a_whole() {
    for (text, says) in [
        (&b"x = 1\0\nimport os"[..], "NUL"),
        (b"# a\0b\nprint 1", "NUL"),
        (b"\xef\xbb\xbfprint 1", "byte order mark"),
        (b"\xff\xfep\0r\0", "NUL"),
        (b"\xfe\xffprint", "no text"),
        (b"x = \xe2\x80\x9ca\xe2\x80\x9d", "straight quotes"),
        (b"x\xc2\xa0= 1", "non-breaking"),
    ] {
        let refusal = answer(text).expect_err(says).to_string();
        assert!(refusal.contains(says), "{refusal}");
    }
    // Their twins: bytes of all kinds within strings and comments, and any
    // coding comment, change nothing.
    for text in [
        &b"x = '\xff\xfe\xc3'"[..],
        b"# \xff\xfe \xe2\x80\xa8 \xc2\x85\nx = 1",
        b"# coding: utf-16\nx = 1",
        b"#!/usr/bin/python\n# -*- coding: rot13 -*-\nx = 1",
    ] {
        assert!(answer(text).is_ok());
    }
}
