//! The check as a whole: text in, verdict out.

use super::*;

fn verdict(text: &str) -> Result<(), Refusal> {
    read(&Tree::new(), text.as_bytes(), "prog.repy", &Limits::default()).map(drop)
}

fn summary(text: &str) -> String {
    let refusal = verdict(text).expect_err(text);
    let summary = refusal.summary();
    summary
        .strip_prefix("Code failed safety check! Error: (")
        .and_then(|rest| rest.strip_suffix(",)"))
        .unwrap_or_else(|| panic!("unlike V1: {summary}"))
        .to_owned()
}

#[test]
fn summaries_have_v1s_wording_and_true_lines() {
    let node = |line, node| format!("\"<class 'safety_exceptions.CheckNodeException'> ({line}, '{node}')\"");
    assert_eq!(summary("\nf = lambda x: x\n"), node(2, "Lambda"));
    assert_eq!(summary("import os"), node(1, "Import"));
    assert_eq!(
        summary("x = 1\ny = 2\nz = u'abc'"),
        "\"<class 'safety_exceptions.CheckStrException'> (3, 'value', u'abc')\""
    );
    assert_eq!(
        summary("x = a.__class__"),
        "\"<class 'safety_exceptions.CheckStrException'> (1, 'attrname', '__class__')\""
    );
    assert_eq!(summary("f_x = 1"), "\"<class 'safety_exceptions.CheckStrException'> (1, 'name', 'f_x')\"");
    assert_eq!(summary("x = 1\nif\n"), "\"<type 'exceptions.SyntaxError'> invalid syntax (line 2)\"");
    assert_eq!(summary("  x = 1"), "\"<type 'exceptions.IndentationError'> unexpected indent (line 1)\"");
    assert_eq!(summary("\nbreak"), "\"<type 'exceptions.SyntaxError'> 'break' outside loop (line 2)\"");
    assert_eq!(
        summary(r#"x = u'"\u20ac'"#),
        r#"'<class \'safety_exceptions.CheckStrException\'> (1, \'value\', u\'"\\u20ac\')'"#
    );
}

#[test]
fn all_findings_are_told_at_once() {
    let text =
        "import os\nx = (1\n  for y in z)\ndef __len__(self):\n  global x\n  if x = 1:\n    return\nbreak\n";
    let refusal = verdict(text).expect_err("refused");
    let lines: Vec<u32> = refusal.diagnostics().iter().map(|one| one.line).collect();
    assert_eq!(lines, [1, 2, 4, 5, 6, 8]);
    // The parser's finding comes first in V1, whatever stands before it.
    assert!(refusal.summary().contains("SyntaxError"), "{}", refusal.summary());
}

#[test]
fn a_refusal_reads_well() {
    let refusal = verdict("x = 1\nf = lambda x: \\\n  x + 1\n").expect_err("refused");
    assert_eq!(
        refusal.to_string(),
        "error: `lambda` is not part of Repy: functions have names\n \
         --> prog.repy:2:5\n\
         2 | f = lambda x: \\\n  \
         |     ^^^^^^^^^^^\n  \
         = instead: write a function with `def` before the statement and use its name\n\
         Code failed safety check! Error: (\"<class 'safety_exceptions.CheckNodeException'> (2, 'Lambda')\",)\n"
    );
}

#[test]
fn names_of_parameters_are_checked_too() {
    let text = "def f(__x, (f_y, a)=1, *im_a, **co_b): pass";
    let refusal = verdict(text).expect_err("refused");
    let columns: Vec<u32> = refusal.diagnostics().iter().map(|one| one.column).collect();
    assert_eq!(columns, [7, 13, 25, 33]);
    assert!(verdict("def f(x, (y, a)=1, *im, **co): pass").is_ok());
}

#[test]
fn names_are_checked_wherever_they_stand() {
    for text in [
        "__x",
        "__x = 1",
        "a.__x = 1",
        "a, (b, __x) = c",
        "a[__x] = 1",
        "a[1:__x]",
        "del a.__x",
        "for __x in y: pass",
        "[a for __x in b]",
        "class __x: pass",
        "class A(__x): pass",
        "def __x(): pass",
        "try: pass\nexcept A, __x: pass",
        "try: pass\nexcept __x: pass",
        "f(*__x)",
        "f(**__x)",
        "f(a=__x)",
        "print >>__x",
        "print a, __x",
        "assert a, __x",
        "raise A, B, __x",
        "return __x",
        "x += __x",
        "__x += 1",
        "{1: __x}",
        "{__x: 1}",
        "-__x",
        "not __x",
        "a + b * __x",
        "a < b < __x",
        "a and __x",
        "a or b or __x",
        "[__x]",
        "(__x,)",
        "while __x: pass",
        "if a: pass\nelif __x: pass",
        "if a: pass\nelse: __x",
        "try: pass\nfinally: __x",
        "a[1:2:__x]",
        "a[..., __x]",
        "a.encode('hex')",
        "decode = 1",
        "a.func_globals",
        "a.im_self",
        "a.tb_frame",
        "a.f_back",
        "a.co_code",
        "a.__init",
    ] {
        assert!(verdict(text).is_err(), "{text}");
        let twin = text
            .replace("__x", "x_")
            .replace("func_", "func")
            .replace("im_", "im")
            .replace("tb_", "tb")
            .replace("f_", "f")
            .replace("co_", "co")
            .replace("code", "coder")
            .replace("__init", "__init__");
        let twin = match twin.starts_with("return") {
            true => format!("def f(): {twin}"),
            false => twin,
        };
        assert!(verdict(&twin).is_ok(), "{twin}");
    }
}
