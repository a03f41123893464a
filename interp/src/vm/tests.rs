//! Programs run on the machine: output, tracebacks, threads, and that after
//! each run every count agrees with a full trace of the heap.

mod calls;
mod moves;
mod namespaces;

use std::cell::RefCell;
use std::rc::Rc;

use super::native::{block, value, Args, NativeDef, NativeReturn};
use super::{Event, Output, Vm};
use crate::heap::{Builtin, Dict, Value};
use crate::syntax::{Limits, Tree};

/// Collects what is printed.
struct Capture(Rc<RefCell<Vec<u8>>>);

impl Output for Capture {
    fn write(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().extend_from_slice(bytes);
    }
}

/// The main function of a program.
fn load(vm: &mut Vm, program: &str, globals: Dict) -> Value {
    let tree = Tree::new();
    let module = crate::check::read(&tree, program.as_bytes(), "test.repy", &Limits::default())
        .unwrap_or_else(|refusal| panic!("{}", refusal.render()));
    vm.load(&module, globals).expect("the program compiles")
}

struct Run {
    vm: Vm,
    globals: Dict,
    printed: Rc<RefCell<Vec<u8>>>,
}

impl Run {
    fn new(program: &str) -> Run {
        let printed = Rc::new(RefCell::new(Vec::new()));
        let mut vm = Vm::new(77, 64 << 20, Box::new(Capture(Rc::clone(&printed))));
        let globals = vm.heap.new_dict();
        let main = load(&mut vm, program, globals);
        vm.spawn(main, Vec::new(), "MainThread");
        Run { vm, globals, printed }
    }

    /// Runs to the end; the traceback if an exception was not caught.
    fn finish(&mut self, slice: i64) -> Option<String> {
        let mut traceback = None;
        loop {
            match self.vm.run(slice) {
                Event::Ended(_, Ok(value)) => self.vm.heap.release(value),
                Event::Ended(_, Err(uncaught)) => {
                    let text = self.vm.exception_text(uncaught.exception);
                    traceback = Some(self.vm.traceback(&uncaught, &text));
                    self.vm.heap.release(uncaught.exception);
                    self.vm.heap.release(uncaught.trace);
                }
                // With short slices a collection is always under way, a few shares further each time.
                Event::Fuel if slice < 100 && self.vm.has_ready() => {
                    self.vm.heap.collect_some(20);
                }
                Event::Fuel => {}
                Event::Idle => return traceback,
            }
        }
    }

    fn check(&self) {
        let mut held = vec![Value::Dict(self.globals)];
        self.vm.held(&mut |value| held.push(value));
        if let Err(difference) = self.vm.heap.check_counts(&held) {
            panic!("{difference}");
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.printed.borrow()).into_owned()
    }
}

/// Runs a program with different slices: the output must not depend on them.
fn prints(program: &str, expected: &str) {
    for slice in [1, 7, 1 << 20] {
        let mut run = Run::new(program);
        let traceback = run.finish(slice);
        assert_eq!(traceback, None, "{program}");
        assert_eq!(run.text(), expected, "{program}");
        run.check();
        run.vm.heap.collect();
        run.check();
        assert_eq!(run.vm.heap.collect(), 0, "{program}");
    }
}

/// Runs a program that ends with an exception; the last line of its block.
fn fails(program: &str, expected: &str) {
    let mut run = Run::new(program);
    let traceback = run.finish(1 << 20).expect("an exception");
    let last =
        traceback.trim_end().trim_end_matches("---").trim_end().lines().last().unwrap_or("").to_owned();
    assert_eq!(last, expected, "{program}");
    run.check();
}

#[test]
fn advice_about_a_name_is_never_the_name_itself() {
    let advice = |program: &str| Run::new(program).finish(1 << 20).expect("a NameError");
    assert!(advice("print callfunc").contains("a run with --simple has no `callfunc`"));
    let text = advice("print sleep");
    assert!(text.contains("put `sleep` into it") && !text.contains("did you mean"), "{text}");
    assert!(advice("total = 1\nprint totl").contains("did you mean `total`?"));
    assert!(!advice("total = 1\ndel total\nprint total").contains("did you mean `total`?"));
}

#[test]
fn arithmetic_and_loops() {
    prints("i = 0\nt = 0\nwhile i < 10:\n  i += 1\n  if i % 2:\n    continue\n  t += i\nprint t, -7 / 2, -7 % 3, 7 // -2, 1 << 70", "30 -4 2 -4 1180591620717411303424\n");
    prints(
        "print 9223372036854775807 + 1, -9223372036854775807 - 2, 3037000500 * 3037000500",
        "9223372036854775808 -9223372036854775809 9223372037000250000\n",
    );
    prints(
        "for i in range(3):\n  print i,\nelse:\n  print 'end'\nfor i in xrange(5, 0, -2): print i,",
        "0 1 2 end\n5 3 1",
    );
    prints("x = [i * i for i in range(4) if i != 2]\nprint x, i", "[0, 1, 9] 3\n");
    prints("def f():\n  i = 5\n  return i + [i for i in range(3)][0]\nprint f()", "5\n");
    prints("print 1 < 2 < 3, 3 > 2 > 2, 1 == 1.0 != 2, (1 < 2) is True", "True False True True\n");
}

#[test]
fn functions() {
    prints("def f(a, b=2, *c, **d):\n  return a, b, c, d\nprint f(1), f(1, 3, 4, 5, x=6), f(b=1, a=0), f(*[1, 2, 3], **{'k': 4})",
        "(1, 2, (), {}) (1, 3, (4, 5), {'x': 6}) (0, 1, (), {}) (1, 2, (3,), {'k': 4})\n");
    prints("def f((a, (b, c)), d):\n  return a + b + c + d\nprint f((1, (2, 3)), 4)", "10\n");
    prints("def outer(n):\n  def add(x):\n    return x + n\n  n = n + 1\n  return add\na = outer(1)\nb = outer(10)\nprint a(1), b(1)", "3 12\n");
    prints("def f():\n  f.count = 1\n  return f.count\nprint f()", "1\n");
    prints(
        "def fib(n):\n  if n < 2:\n    return n\n  return fib(n - 1) + fib(n - 2)\nprint fib(15)",
        "610\n",
    );
    fails(
        "def f(a): pass\nf()",
        "Exception (with type 'exceptions.TypeError'): f() takes exactly 1 argument (0 given)",
    );
    fails("def f():\n  print x\n  x = 1\nf()", "Exception (with type 'exceptions.UnboundLocalError'): local variable 'x' referenced before assignment");
    fails(
        "def f(): return nothing\nf()",
        "Exception (with type 'exceptions.NameError'): global name 'nothing' is not defined",
    );
    fails(
        "def f(): return f()\nf()",
        "Exception (with type 'exceptions.RuntimeError'): maximum recursion depth exceeded",
    );
}

#[test]
fn many_locals_and_long_displays() {
    let mut program = String::from("def f():\n");
    for i in 0..400 {
        program.push_str(&format!("  v{i} = {i}\n"));
    }
    program.push_str("  return v0 + v149 + v150 + v399\nprint f(), len([");
    for i in 0..300 {
        program.push_str(&format!("{i}, "));
    }
    program.push_str("])\nprint max(");
    for i in 0..100 {
        program.push_str(&format!("{i}, "));
    }
    program.push_str("7)");
    prints(&program, "698 300\n99\n");
}

#[test]
fn classes() {
    prints("class A:\n  x = 1\n  def __init__(self, y):\n    self.y = y\n  def m(self, z):\n    return self.x + self.y + z\na = A(2)\nprint a.m(3), A.m(a, 4)\nA.x = 10\nprint a.m(3)\na.x = 100\nprint a.m(3)", "6 7\n15\n105\n");
    prints("class A(object):\n  def f(self): return 'A'\nclass B(A):\n  def f(self): return 'B' + A.f(self)\nclass C(A):\n  def f(self): return 'C' + A.f(self)\nclass D(B, C): pass\nprint D().f()", "BA\n");
    prints("class L(list):\n  def total(self): return sum(self)\nl = L([1, 2])\nl.append(3)\nprint l.total(), len(l), l[0], l == [1, 2, 3]", "6 3 1 True\n");
    prints("class E(Exception):\n  def __init__(self, code):\n    Exception.__init__(self, code)\n    self.code = code\ntry:\n  raise E(5)\nexcept E, e:\n  print e.code, e.args, e", "5 (5,) 5\n");
    prints("class A:\n  def __del__(self): print 'gone'\na = A()\na = None\nprint 'after'", "gone\nafter\n");
    prints("class A:\n  def __str__(self): return 'str'\n  def __repr__(self): return 'repr'\na = A()\nprint a, [a], '%s %r' % (a, a)", "str [repr] str repr\n");
    prints(
        "class A: pass\na = A()\na.x = 1\na.y = 2\ndel a.x\nprint a.y\na.x = 3\nprint a.x, a.y",
        "2\n3 2\n",
    );
    prints("class A:\n  def f(self): return 1\nclass B(A):\n  def f(self): return 2\nt = 0\nfor o in [A(), B(), A(), B()] * 3:\n  t += o.f()\nprint t", "18\n");
    fails(
        "class A: pass\nA().x",
        "Exception (with type 'exceptions.AttributeError'): A instance has no attribute 'x'",
    );
}

#[test]
fn exceptions() {
    prints("try:\n  [][1]\nexcept (KeyError, IndexError), e:\n  print 'caught', e\nelse:\n  print 'no'\nfinally:\n  print 'end'", "caught list index out of range\nend\n");
    prints("def f():\n  for i in range(3):\n    try:\n      if i == 1: return i\n      continue\n    finally:\n      print 'f', i,\nprint f()", "f 0 f 1 1\n");
    prints("def f():\n  while True:\n    try:\n      try:\n        break\n      finally:\n        print 'a'\n    finally:\n      print 'b'\n  return 'c'\nprint f()", "a\nb\nc\n");
    prints("def f():\n  try:\n    return 1\n  finally:\n    return 2\nprint f()", "2\n");
    prints("def f():\n  try:\n    raise ValueError('x')\n  except ValueError:\n    try:\n      {}['k']\n    except KeyError:\n      pass\n    try:\n      raise\n    except Exception, e:\n      return repr(e)\nprint f()", "KeyError('k',)\n");
    prints("class Old: pass\ntry:\n  raise Old, Old()\nexcept Old:\n  print 'old'", "old\n");
    prints("try:\n  assert 1 == 2, 'no'\nexcept AssertionError as e:\n  print e", "no\n");
    prints(
        "d = {}\nfor i in range(300):\n  try:\n    d[i]\n  except KeyError:\n    d[i] = 1\nprint len(d)",
        "300\n",
    );
    fails("raise 'text'", "Exception (with type 'exceptions.TypeError'): exceptions must be old-style classes or derived from BaseException, not str");
}

#[test]
fn a_traceback_shows_every_call_and_the_place() {
    let mut run = Run::new("def inner(x):\n  return 1 / x\ndef outer():\n  return inner(0)\nouter()\n");
    let block = run.finish(1 << 20).expect("an exception");
    let user = block.split("User traceback:\n").nth(1).expect("the second list");
    let expected = "  \"test.repy\", line 5, in <module>\n    outer()\n    ^^^^^^^\n  \"test.repy\", line 4, in outer\n    return inner(0)\n           ^^^^^^^^\n  \"test.repy\", line 2, in inner\n    return 1 / x\n             ^\n\nException (with type 'exceptions.ZeroDivisionError'): integer division or modulo by zero\n---\n";
    assert_eq!(user, expected);
    run.check();
}

#[test]
fn sequences() {
    prints(
        "a = range(5)\na[1:3] = 'xyz'\nprint a, a[::-2], a[-2:]\ndel a[::2]\nprint a",
        "[0, 'x', 'y', 'z', 3, 4] [4, 'z', 'x'] [3, 4]\n['x', 'z', 4]\n",
    );
}

#[test]
fn strings_and_dicts() {
    prints(
        "s = ''\nfor i in range(1000):\n  s += 'ab'\nt = s\ns += 'c'\nprint len(s), len(t)",
        "2001 2000\n",
    );
    prints(
        "d = {'a': 1}\nd['b'] = 2\nd['a'] += 5\ndel d['b']\nprint d, 'a' in d, 'b' not in d, d.get('z')",
        "{'a': 6} True True None\n",
    );
    prints(
        "try:\n  d = {1: 2}\n  for k in d: d[k + 1] = 1\nexcept RuntimeError, e:\n  print e",
        "dictionary changed size during iteration\n",
    );
    prints("print 'a', 'b\\n', 'c\\t',\nprint 'd'\nprint", "a b\nc\td\n\n");
}

#[test]
fn cycles_are_collected_and_deep_structures_freed_without_recursion() {
    let program = "def make():\n  a = []\n  b = {'a': a}\n  a.append(b)\nfor i in range(100):\n  make()\nl = []\nfor i in xrange(1000000):\n  l = [l]\nl = None\nprint 'done'";
    let mut run = Run::new(program);
    assert_eq!(run.finish(1 << 20), None);
    assert_eq!(run.text(), "done\n");
    // Cycles that no collection has met yet are still there, and go now.
    run.vm.heap.collect();
    run.check();
    let before = run.vm.heap.used();
    assert_eq!(run.vm.heap.collect(), 0);
    assert_eq!(run.vm.heap.used(), before);
    fails(
        "l = []\nfor i in xrange(100000):\n  l = [l]\nm = []\nfor i in xrange(100000):\n  m = [m]\nl == m",
        "Exception (with type 'exceptions.RuntimeError'): maximum recursion depth exceeded in cmp",
    );
}

/// A collection is under way all the time: cycles of every kind that is made and forgotten, and what still needs parts of them.
#[test]
fn cycles_of_every_kind_go_while_the_program_runs() {
    let program = "\
class Old:
  pass
class New(object):
  pass
class Last:
  def __init__(self, log): self.log = log
  def __del__(self): self.log.append('gone')
log = []
def closure(kept):
  def inner():
    return inner, kept
  return inner
def make(i):
  a, b, kept = Old(), New(), [i]
  a.other = b
  b.other = a
  b.method = closure
  t = (a, kept)
  kept.append(t)
  d = {'t': t}
  d['d'] = d
  a.table = d
  s = set([a])
  b.members = s
  it = d.itervalues()
  kept.append(it)
  class Local:
    pass
  Local.me = Local
  Local.held = d
  f = closure(d)
  f.me = f
  kept.append(slice(kept, f, Local))
  a.last = Last(log)
  class Finalized:
    def __del__(self): log.append('never')
  c = Finalized()
  c.me = c
  return (a, b, kept, t, d, s, it, Local, f)[i % 9]
held = []
for i in range(60):
  held.append(make(i))
  if len(held) > 7:
    held.pop(0)
total = 0
for thing in held:
  if isinstance(thing, dict):
    total += thing['t'][1][0]
  elif isinstance(thing, list):
    total += thing[0]
  elif isinstance(thing, set):
    total += thing.pop().table['t'][1][0]
print total
";
    for slice in [1, 3, 1 << 20] {
        let mut run = Run::new(program);
        assert_eq!(run.finish(slice), None);
        assert_eq!(run.text(), "173\n");
        run.check();
        run.vm.heap.collect();
        run.check();
        assert_eq!(run.vm.heap.collect(), 0);
    }
}

#[test]
fn garbage_of_a_long_loop_stays_flat() {
    let program = "class Node:\n  def __init__(self): self.me = self\nfor i in xrange(200000):\n  Node()\n";
    let mut run = Run::new(program);
    let mut peak = 0;
    loop {
        match run.vm.run(10_000) {
            Event::Ended(_, Ok(value)) => run.vm.heap.release(value),
            Event::Ended(..) => panic!("an exception"),
            Event::Fuel => peak = peak.max(run.vm.heap.used()),
            Event::Idle => break,
        }
    }
    assert!(peak < 24 << 20, "{peak} bytes");
}

#[test]
fn one_large_allocation_past_the_limit_raises() {
    fails("x = 'a' * (1 << 40)", "Exception (with type 'exceptions.MemoryError'):");
    prints("try:\n  x = [0] * (1 << 40)\nexcept MemoryError:\n  print 'caught'", "caught\n");
}

/// Blocks the thread until the test wakes it.
fn wait(vm: &mut Vm, _args: Args<'_>) -> NativeReturn {
    if vm.thread_name(vm.current).is_empty() {
        return value(Value::None);
    }
    block(None)
}

#[test]
fn threads_wait_and_are_woken_with_a_value_or_an_exception() {
    let mut run = Run::new("print wait() + 1\ntry:\n  wait()\nexcept ValueError, e:\n  print 'caught', e\n");
    let native = run.vm.define(&NativeDef::function("wait", 0, 0, wait));
    run.vm.set_builtin("wait", Value::Native(native));
    assert!(matches!(run.vm.run(1 << 20), Event::Idle));
    let thread = run.vm.current;
    assert!(run.vm.wake(thread, Ok(Value::Int(41))));
    assert!(matches!(run.vm.run(1 << 20), Event::Idle));
    assert_eq!(run.text(), "42\n");
    let message = run.vm.heap.new_str(b"late");
    let exception = run.vm.heap.new_exception(Builtin::ValueError.class(), &[message]);
    assert!(run.vm.wake(thread, Err(exception)));
    assert!(!run.vm.wake(thread, Ok(Value::None)));
    assert_eq!(run.finish(1 << 20), None);
    assert_eq!(run.text(), "42\ncaught late\n");
    run.check();
}

#[test]
fn large_structures_are_freed_in_pieces() {
    let mut run = Run::new(
        "x = [[i, str(i)] for i in xrange(60000)]\nd = dict([(str(i), [i]) for i in xrange(30000)])\n\
         s = set([str(i) for i in xrange(30000)])\nt = tuple([[i] for i in xrange(30000)])\nwait()\n\
         x = d = s = t = i = None\nwait()\n",
    );
    let native = run.vm.define(&NativeDef::function("wait", 0, 0, wait));
    run.vm.set_builtin("wait", Value::Native(native));
    let before = run.vm.heap.used();
    while !matches!(run.vm.run(1 << 20), Event::Idle) {}
    let full = run.vm.heap.used();
    assert!(run.vm.wake(run.vm.current, Ok(Value::None)));
    // The statement has been run, and most of what it dropped is still there and accounted for.
    assert!(matches!(run.vm.run(1 << 20), Event::Fuel));
    assert!(run.vm.heap.has_remains());
    assert!(run.vm.heap.used() > full / 2);
    run.check();
    while !matches!(run.vm.run(1 << 20), Event::Idle) {}
    assert!(!run.vm.heap.has_remains());
    assert!(run.vm.heap.used() < before + full / 50, "{before} {full} {}", run.vm.heap.used());
    run.check();
}

#[test]
fn a_killed_thread_gives_everything_back() {
    let mut run = Run::new("def f(x):\n  y = [x]\n  try:\n    wait()\n  finally:\n    print 'never'\nfor i in [1, 2]:\n  f('some text that is long enough')\n");
    let native = run.vm.define(&NativeDef::function("wait", 0, 0, wait));
    run.vm.set_builtin("wait", Value::Native(native));
    assert!(matches!(run.vm.run(1 << 20), Event::Idle));
    let thread = run.vm.current;
    assert!(run.vm.kill(thread));
    assert!(!run.vm.kill(thread));
    assert_eq!(run.text(), "");
    run.check();
}

#[test]
fn a_busy_thread_does_not_starve_another() {
    let mut run = Run::new("d = []\ndef other():\n  d.append(1)\ndef busy():\n  n = 0\n  while not d:\n    n += 1\n  print 'both'\n");
    assert_eq!(run.finish(1 << 20), None);
    for name in ["busy", "other"] {
        let function = run.vm.heap.dict_get_bytes(run.globals, name.as_bytes()).expect("defined");
        run.vm.heap.retain(function);
        run.vm.spawn(function, Vec::new(), name);
    }
    assert_eq!(run.finish(1 << 20), None);
    assert_eq!(run.text(), "both\n");
    run.check();
}

#[test]
fn keywords_of_a_spread_dict_outlive_it() {
    let program = "def f(**k): return len(k), k.keys()[0]\nt = 0\nfor i in range(200):\n  n, key = f(**{'key' + str(i): 1})\n  t += n\nprint t, key";
    prints(program, "200 key199\n");
}

#[test]
fn keywords_that_a_program_makes_up_are_forgotten() {
    let mut run = Run::new(
        "def f(**k): return k\ndef go(n):\n  for i in xrange(n):\n    f(**{'a long keyword, to be seen ' + str(i): i})\ngo(10)\ngo(3000)",
    );
    let before = run.vm.heap.used();
    assert_eq!(run.finish(1 << 20), None);
    let kept = run.vm.heap.used().saturating_sub(before);
    assert!(kept < 30_000, "{kept} bytes are kept");
    run.check();
}

#[test]
fn caches_follow_changes_of_classes() {
    let program = r#"class C:
  limit = 3
  def __init__(self, x):
    self.x = x
  def m(self): return self.x + self.limit
class D(C):
  pass
def use(n):
  t = 0
  for i in range(n):
    t += D(i).m()
  return t
print use(4),
def m2(self): return 100
C.m = m2
print use(4),
def init2(self, x): self.x = 7
C.__init__ = init2
def m3(self): return self.x * self.limit
D.m = m3
print use(4),
D.limit = 5
print use(4),
def bound(self): return 'bound'
def show(d): return d.limit
d = D(1)
print show(d), show(d),
D.limit = bound
print show(d)(),
d.limit = 9
print show(d),
del d.limit
del D.limit
print show(d)
try: D()
except TypeError, e: print e
"#;
    prints(program, "18 400 84 140 5 5 bound 9 3\ninit2() takes exactly 2 arguments (1 given)\n");
}

#[test]
fn fused_instructions_do_what_their_parts_did() {
    let program = r#"def pair(p):
  a, b = p
  (b, a) = (a, b)
  for c, d, e in [(a, b, 1), [b, a, 2], 'xyz']:
    a, b = b, a
  x, x = p
  return a, b, c, d, e, x
print pair((1, 'two')), pair(['s' * 20, None])
def tests(c, n):
  out = []
  if c in 'abc': out.append(1)
  if c not in ('x', 'y', None, 3): out.append(2)
  if 0 <= n < 5: out.append(3)
  if not 1 < n <= 4 < 9: out.append(4)
  while True:
    n += 1
    if n > 3: break
  while 1 <= n < 6: n += 1
  return out, n
print tests('a', 0), tests('x', 2), tests('', 9)
for bad in ((1,), (1, 2, 3), 5):
  try: pair(bad)
  except (ValueError, TypeError), e: print e
def both(a, b): return a, b
def swap(a, b): return both(b, a), both(a, a)
print swap('x' * 3, [1])
d = {}
for i in range(3):
  for j in ('a', i):
    d[(i, j)] = d.get((0, 'a'), 0) + 1
print (1, 'a') in d, (1L, 1.0) in d, (1, 5) in d, len(d), (1, 2, 'x') == (1, 2, 'x')
"#;
    let expected = "(1, 'two', 'x', 'y', 'z', 'two') ('ssssssssssssssssssss', None, 'x', 'y', 'z', None)\n\
                    ([1, 2, 3, 4], 6) ([3], 6) ([1, 2, 4], 10)\n\
                    need more than 1 value to unpack\n\
                    too many values to unpack\n\
                    'int' object is not iterable\n\
                    (([1], 'xxx'), ('xxx', 'xxx'))\n\
                    True True False 6 True\n";
    prints(program, expected);
}

#[test]
fn loops_closed_by_constants_are_check_points() {
    for test in [
        "while True:\n    if d: break",
        "while 1 or d:\n    if d: break",
        "while 0 < 1 < 2:\n    if d: break",
    ] {
        let program = format!("d = []\ndef other():\n  d.append(1)\ndef busy():\n  {test}\n  print 'both'\n");
        let mut run = Run::new(&program);
        assert_eq!(run.finish(1 << 20), None);
        for name in ["busy", "other"] {
            let function = run.vm.heap.dict_get_bytes(run.globals, name.as_bytes()).expect("defined");
            run.vm.heap.retain(function);
            run.vm.spawn(function, Vec::new(), name);
        }
        assert_eq!(run.finish(1 << 20), None);
        assert_eq!(run.text(), "both\n", "{test}");
        run.check();
    }
}

#[test]
fn an_int_in_a_list_and_an_instance_take_no_more_than_they_may() {
    let many = 20_000;
    let used = |program: &str| {
        let mut run = Run::new(&program.replace("MANY", &many.to_string()));
        assert_eq!(run.finish(1_000_000), None);
        run.vm.heap.used() as f64 / f64::from(many)
    };
    let room = "l = [None] * MANY\n";
    let nothing = used("l = []\n");
    let ints = used(&format!("{room}for i in range(MANY):\n  l[i] = i\n"));
    let class = "class A:\n  def __init__(self, i):\n    self.a = i\n    self.b = i\n    self.c = i\n    self.d = i\n";
    let instances = used(&format!("{class}{room}for i in range(MANY):\n  l[i] = A(i)\n"));
    // The targets are 16 and 128; what the code itself takes is spread over all.
    assert!(ints - nothing <= 17.0, "{} bytes for an int in a list", ints - nothing);
    assert!(instances - ints <= 129.0, "{} bytes for an instance", instances - ints);
}

#[test]
fn arguments_are_laid_out_for_every_kind_of_callee() {
    prints(
        "\
def f(a, b=2, c=3):
  return (a, b, c)
def g(a, *rest):
  return (a, rest)
class A:
  def __init__(self, x, y=5):
    self.x = x
    self.y = y
  def m(self, a, b=7):
    return (self.x, self.y, a, b)
class B(A):
  def m(self, a, b=8):
    return A.m(self, a, b)
b = B(1)
m = b.m
push = [].append
for i in range(2):
  print f(i), f(i, 9), f(i, c=4), f(c=1, a=i), g(i), g(i, 1, 2), m(i), m(i, b=0), b.m(a=i), push(i)
for i in range(6):
  try:
    if i == 0: f()
    if i == 1: f(1, a=1)
    if i == 2: f(1, d=1)
    if i == 3: g()
    if i == 4: A.m(1, 2)
    if i == 5: A.m(a=b)
  except TypeError, e:
    print e
",
        "\
(0, 2, 3) (0, 9, 3) (0, 2, 4) (0, 2, 1) (0, ()) (0, (1, 2)) (1, 5, 0, 8) (1, 5, 0, 0) (1, 5, 0, 8) None
(1, 2, 3) (1, 9, 3) (1, 2, 4) (1, 2, 1) (1, ()) (1, (1, 2)) (1, 5, 1, 8) (1, 5, 1, 0) (1, 5, 1, 8) None
f() takes at least 1 argument (0 given)
f() got multiple values for keyword argument 'a'
f() got an unexpected keyword argument 'd'
g() takes at least 1 argument (0 given)
unbound method m() must be called with A instance as first argument (got int instance instead)
unbound method m() must be called with A instance as first argument (got nothing instead)
",
    );
}
