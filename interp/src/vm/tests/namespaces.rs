//! Codes and the namespaces they run in; functions that are gone while they run.

use std::rc::Rc;

use super::{load, prints, Run};
use crate::heap::Value;

#[test]
fn functions_may_go_while_they_run() {
    let mut run = Run::new(
        "def outer(n):
  return inner(n), other
def inner(n):
  i = 0
  while i < n:
    i += 1
  return i, other
other = 'here'
print outer(1000)
",
    );
    for round in 0..50 {
        run.vm.run(7);
        run.check();
        if round != 5 {
            continue;
        }
        for name in [&b"outer"[..], b"inner"] {
            let name = Value::Str(run.vm.heap.intern(name));
            let gone = run.vm.heap.dict_remove(run.globals, name).expect("no error").expect("defined");
            run.vm.heap.release(gone);
        }
        run.vm.heap.collect();
        run.vm.drop_unused_code();
    }
    assert_eq!(run.finish(1 << 20), None);
    assert_eq!(run.text(), "((1000, 'here'), 'here')\n");
    run.check();
}

/// Text that makes a function, calls it, and says what it has seen.
const SPACE: &str = "def show(n):
  if n: return show(n - 1)
  return seen, len('four')
print show(2)
";

impl Run {
    /// Runs the code of a loaded function in a new namespace with `seen` in it, which is given back.
    fn evaluate(&mut self, main: Value, seen: i64) -> Value {
        let globals = self.vm.heap.new_dict();
        let name = self.vm.heap.new_str(b"seen");
        self.vm.heap.dict_set(globals, name, Value::Int(seen)).expect("it has room");
        self.vm.heap.release(name);
        let function = self.vm.with_globals(main, globals).expect("a function");
        self.vm.spawn(function, Vec::new(), "evaluation");
        Value::Dict(globals)
    }
}

#[test]
fn a_code_runs_in_many_namespaces() {
    let mut run = Run::new("seen = 0\n");
    assert_eq!(run.finish(1 << 20), None);
    let empty = run.vm.heap.new_dict();
    let main = load(&mut run.vm, SPACE, empty);
    run.vm.heap.release(Value::Dict(empty));
    run.vm.drop_unused_code();
    let codes = run.vm.modules.len();
    // One after the other, each given back first: the code itself is used again.
    for seen in [1, 2, 3] {
        let globals = run.evaluate(main, seen);
        assert_eq!(run.finish(1 << 20), None);
        run.vm.heap.release(globals);
        run.vm.heap.collect();
        assert_eq!(run.vm.modules.len(), codes);
    }
    // All at the same time: each has a code of its own, and all come back.
    let before = run.vm.heap.used();
    let all = [4, 5, 6].map(|seen| run.evaluate(main, seen));
    assert_eq!(run.finish(3), None);
    assert!(run.vm.modules.len() > codes && run.vm.heap.used() > before);
    assert_eq!(run.text(), "(1, 4)\n(2, 4)\n(3, 4)\n(4, 4)\n(5, 4)\n(6, 4)\n");
    let show = run.vm.heap.dict_get_bytes(
        match all[0] {
            Value::Dict(dict) => dict,
            _ => run.globals,
        },
        b"show",
    );
    let show = run.vm.heap.share(show.expect("defined"));
    all.into_iter().for_each(|globals| run.vm.heap.release(globals));
    run.vm.heap.collect();
    run.vm.drop_unused_code();
    run.vm.spawn(show, vec![Value::Int(1)], "later");
    assert_eq!(run.finish(1 << 20), None);
    run.vm.heap.collect();
    run.vm.drop_unused_code();
    assert_eq!(run.vm.modules.len(), codes);
    assert_eq!(Rc::strong_count(&run.vm.modules[codes - 1]), 2);
    run.vm.heap.release(main);
    run.vm.drop_unused_code();
    assert_eq!(run.vm.modules.len(), codes - 1);
    run.check();
}

#[test]
fn a_remembered_callee_follows_its_name() {
    let program = "def f(): return 'first'
def use(): return f()
def second(): return 'second'
print use(), use(),
f = second
print use(), use(),
del f
try: use()
except NameError, e: print e,
def f(x): return x
try: use()
except TypeError, e: print e
f = 'abc'.upper
print use(), use(),
class f:
  def __str__(self): return 'made'
print use(), use()
";
    let mut run = Run::new(program);
    assert_eq!(run.finish(1 << 20), None);
    let expected =
        "first first second second global name 'f' is not defined f() takes exactly 1 argument (0 given)
ABC ABC made made
";
    assert_eq!(run.text(), expected);
    run.check();
}

#[test]
fn a_remembered_callee_follows_a_namespace_changed_from_outside() {
    let mut run = Run::new("def f(): return 1\ndef g(): return 2\ndef use(): print f()\nuse()\nuse()\n");
    assert_eq!(run.finish(1 << 20), None);
    let of = |run: &Run, name: &[u8]| run.vm.heap.dict_get_bytes(run.globals, name).expect("defined");
    let (used, other) = (of(&run, b"use"), of(&run, b"g"));
    let name = Value::Str(run.vm.heap.intern(b"f"));
    let call = |run: &mut Run| {
        let used = run.vm.heap.share(used);
        run.vm.spawn(used, Vec::new(), "later");
        run.finish(1 << 20)
    };
    let other = run.vm.heap.share(other);
    run.vm.heap.retain(other);
    run.vm.heap.dict_set(run.globals, name, other).expect("it has room");
    assert_eq!(call(&mut run), None);
    let used = run.vm.heap.share(used);
    run.vm.heap.dict_clear(run.globals);
    assert!(call(&mut run).is_some_and(|error| error.contains("global name 'f' is not defined")));
    run.vm.heap.dict_set(run.globals, name, other).expect("it has room");
    assert_eq!(call(&mut run), None);
    assert_eq!(run.text(), "1\n1\n2\n2\n");
    run.vm.heap.release(used);
    run.check();
}

#[test]
fn callees_looked_up_late_raise_first() {
    let program = "items = [1]
class Box:
  def __init__(self): self.items = items
box = Box()
def early(i):
  try: late(items[i], box.items)
  except NameError, e: print e
  except IndexError, e: print e
early(0)
early(5)
def late(*all): print all
early(0)
early(5)
def lengths(a, *rest):
  n = len(a)
  a = len(rest) + len(box.items) + len(a[0])
  return n, a, len({1: 2}), len('x' * 3), len((a, n))
print lengths(['abc'], 1, 2)
print lengths(('', 3))
def odd(what):
  try: print len(what)
  except (TypeError, AttributeError), e: print e
for what in 5, None, box, set('ab'), xrange(7): odd(what)
def unset():
  if 0: gone = []
  try: len(gone)
  except UnboundLocalError, e: print e
unset()
print map(len, ['ab', [0]]), len
try: len(items, items)
except TypeError, e: print e
";
    let expected = "global name 'late' is not defined
global name 'late' is not defined
(1, [1])
list index out of range
(1, 6, 1, 3, 2)
(2, 1, 1, 3, 2)
object of type 'int' has no len()
object of type 'NoneType' has no len()
Box instance has no attribute '__len__'
2
7
local variable 'gone' referenced before assignment
[2, 1] <built-in function len>
len() takes exactly one argument (2 given)
";
    prints(program, expected);
    prints("def measure(a): return len(a)\ndef len(a): return 'own'\nprint measure(3)\n", "own\n");
    prints(
        "def measure(a): return len(a)\nprint measure('ab'),\nlen = abs\nprint measure(-7),\ndel len\nprint measure('')\n",
        "2 7 0\n",
    );
}
