use policies::channel::seen::{Known, SeenCall};
use policies::Call;

use super::{findings, inspect};
use crate::syntax::{Limits, Tree};

fn inspected(text: &str) -> super::Inspection {
    let tree = Tree::new();
    let module =
        crate::check::read(&tree, text.as_bytes(), "t.repy", &Limits::default()).expect("a sound program");
    inspect(&module, &["len", "True", "range"].map(str::to_owned))
}

fn text(word: &str) -> Known {
    Known::Text(word.as_bytes().to_vec())
}

fn seen(call: Call, line: u32, arguments: Vec<Known>) -> SeenCall {
    SeenCall { call, line, arguments, open: false, guess: false }
}

#[test]
fn calls_with_literals_names_and_keywords() {
    let found = inspected(
        "port = 12345\n\
         def on(ip, rp, m, ch):\n  print m\n\
         recvmess(getmyip(), port, on)\n\
         f = open(mode='w', filename='a.txt')\n\
         sendmess('h', 80 , m='x', localport=9)\n\
         sleep(*[1])\n",
    );
    // `m` is no parameter of sendmess: that call raises.
    assert_eq!(
        found.calls,
        [
            seen(Call::LogWrite, 3, vec![Known::Unknown]),
            seen(Call::GetMyIp, 4, vec![]),
            seen(Call::RecvMess, 4, vec![Known::Unknown, text("12345"), Known::Unknown]),
            seen(Call::Open, 5, vec![text("a.txt"), text("w")]),
            SeenCall { open: true, ..seen(Call::Sleep, 7, vec![]) },
        ]
    );
}

#[test]
fn a_name_bound_to_several_things_is_each_of_them() {
    let found = inspected("n = 'a'\nn = 'b'\ndef open(x):\n  return x\nopen('a')\nremovefile(n)\n");
    let removes = |name| seen(Call::RemoveFile, 6, vec![text(name)]);
    assert_eq!(found.calls, [removes("a"), removes("b")]);
    let found = inspected("n = 'a'\nn = str(1)\nremovefile(n)\n");
    assert_eq!(found.calls[1], seen(Call::RemoveFile, 3, vec![Known::Unknown]));
    assert_eq!(found.calls.len(), 2);
}

#[test]
fn methods_are_guesses_unless_the_program_defines_them() {
    let found = inspected("f = open('a')\nf.write('x')\nf.close()\n");
    assert_eq!(found.calls[1], SeenCall { guess: true, ..seen(Call::FileWrite, 2, vec![text("x")]) });
    assert_eq!(found.calls.len(), 2);
    let own = "class C:\n  def write(self, x):\n    pass\nC().write('x')\n";
    assert!(inspected(own).calls.is_empty());
}

#[test]
fn names_that_nothing_defines() {
    let found =
        inspected("opencon('h', 1)\nprint len(True), callfunc, mycontext\ntotal = 1\nprint totl, totl\n");
    let told: Vec<(u32, &str)> = found.names.iter().map(|name| (name.line, name.help.as_str())).collect();
    assert_eq!(told, [(1, "did you mean `openconn`?"), (4, "did you mean `total`?")]);
    assert!(found.names[0].title.contains("'opencon'"));
    assert_eq!(found.names[0].marks.trim(), "^^^^^^^");
}

#[test]
fn what_refuses_a_program_is_told_with_its_place() {
    let tree = Tree::new();
    let refusal =
        crate::check::read(&tree, b"x = 1\nimport os\n", "t", &Limits::default()).expect_err("refused");
    let told = findings(&refusal);
    assert_eq!((told[0].line, told[0].text.as_str()), (2, "import os"));
    assert!(told[0].marks.contains('^') && told[0].title.contains("import"));
}
