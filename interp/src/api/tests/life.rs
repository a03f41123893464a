//! Initialize, events, exit; timers, locks, names; namespaces.

use super::{generous, order, printed, program, raised, run_on, script};
use crate::host::fake::FakeHost;
use crate::run::Order;
use policies::channel::control::Outcome;
use policies::Resource;

#[test]
fn the_text_runs_twice_in_one_namespace() {
    let text = "\
print 'top', callfunc, callargs
if callfunc == 'initialize':
  mycontext['n'] = 1
  def later():
    print 'later', callfunc, mycontext['n']
  settimer(2, later, [])
else:
  print 'exit', mycontext['n'], getruntime()
";
    let mut ran =
        run_on(FakeHost::new(), Order { arguments: vec![b"a".to_vec(), b"b c".to_vec()], ..order(text) });
    assert_eq!(ran.outcome, Outcome::Finished);
    assert_eq!(
        ran.output(),
        "top initialize ['a', 'b c']\nlater initialize 1\ntop exit ['a', 'b c']\nexit 1 2.0\n",
        "{}",
        ran.error()
    );
}

#[test]
fn a_plain_script_has_no_events_and_no_names() {
    let mut ran = script(
        "print mycontext, _context is None\ndef f():\n  print 'never'\nsettimer(5, f, ())\nprint callfunc\n",
    );
    assert_eq!(ran.output(), "{} False\n");
    assert!(ran.error().contains("name 'callfunc' is not defined"), "{}", ran.error());
}

#[test]
fn nothing_of_the_exit_run_is_waited_for() {
    let text = "\
def f():
  print 'never'
if callfunc == 'exit':
  settimer(0.1, f, ())
  print 'bye'
";
    let mut ran = program(text);
    assert_eq!((ran.output().as_str(), ran.outcome.clone()), ("bye\n", Outcome::Finished));
}

#[test]
fn an_exception_in_any_event_ends_the_run() {
    let text = "\
def bad():
  raise ValueError('from the timer')
if callfunc == 'initialize':
  settimer(1, bad, ())
  sleep(5)
print 'not reached', callfunc
";
    let mut ran = program(text);
    assert_eq!(
        ran.outcome,
        Outcome::UncaughtException(
            "Exception (with type 'exceptions.ValueError'): from the timer".to_owned()
        )
    );
    assert_eq!(ran.output(), "");
    let error = ran.error();
    assert!(error.starts_with("---\nUncaught exception! Following is a full traceback"), "{error}");
    assert!(error.contains("  \"test.repy\", line 2, in bad\n"), "{error}");
    assert!(error.ends_with("\n---\n"), "{error}");
}

#[test]
fn the_reason_of_a_run_is_the_first_line_of_a_long_text() {
    for (text, first) in [
        ("'two\\nlines'", "two"),
        ("'denied\\nMatching dump:\\nNo matching rule found\\n'", "denied"),
        ("'\\nrepy-launch: forged'", ""),
        ("'one line'", "one line"),
        ("", ""),
    ] {
        let mut ran = program(&format!("raise ValueError({text})\n"));
        let reason = format!("Exception (with type 'exceptions.ValueError'): {first}");
        assert_eq!(ran.outcome, Outcome::UncaughtException(reason.clone()), "{text}");
        assert!(ran.error().contains(&reason), "{text}");
    }
}

#[test]
fn system_exit_is_silent_in_main_and_loud_elsewhere() {
    let mut ran = program("raise SystemExit\n");
    assert_eq!((ran.outcome.clone(), ran.error()), (Outcome::Finished, String::new()));
    let mut ran =
        program("def f():\n  raise SystemExit\nif callfunc == 'initialize':\n  settimer(0, f, ())\n");
    assert!(matches!(ran.outcome, Outcome::UncaughtException(_)), "{:?}", ran.outcome);
    assert!(ran.error().contains("SystemExit"), "{}", ran.error());
}

#[test]
fn exitall_runs_nothing_more() {
    let text = "\
try:
  exitall()
finally:
  print 'finally'
print callfunc
";
    let mut ran = program(text);
    assert_eq!((ran.output().as_str(), ran.outcome.clone()), ("", Outcome::ExitAll));
}

#[test]
fn a_program_of_ten_events_sets_nine_timers() {
    let text = "\
def f():
  pass
if callfunc == 'initialize':
  n = 0
  try:
    while True:
      settimer(1, f, ())
      n += 1
  except Exception, e:
    print n, e
";
    let policy = generous().set(Resource::Events, 10.0).build();
    let mut ran = run_on(FakeHost::new(), Order { policy: Some(policy), ..order(text) });
    assert_eq!(ran.output(), "9 Resource 'events' limit exceeded!!\n", "{}", ran.error());
    assert_eq!(ran.outcome, Outcome::Finished);
    let policy = generous().set(Resource::Events, 0.0).build();
    let mut ran = run_on(FakeHost::new(), Order { policy: Some(policy), ..order("print 1\n") });
    assert!(matches!(ran.outcome, Outcome::LimitPassed { resource: Resource::Events, .. }));
    assert_eq!(ran.output(), "");
}

#[test]
fn timers_fire_in_order_and_can_be_cancelled() {
    let text = "\
def say(word):
  print word, get_thread_name(), round(getruntime(), 3)
if callfunc == 'initialize':
  a = settimer(3, say, ('third',))
  b = settimer(1, say, ['first'])
  c = settimer(2, say, ('never',))
  d = settimer(2, say, ('second',))
  print canceltimer(c), canceltimer(c), get_thread_name()
  mycontext['b'] = b
else:
  print canceltimer(mycontext['b'])
";
    let mut ran = program(text);
    assert_eq!(
        ran.output(),
        "True False MainThread\nfirst _EVENT:Thread:2 1.0\nsecond _EVENT:Thread:4 2.0\n\
         third _EVENT:Thread:1 3.0\nFalse\n",
        "{}",
        ran.error()
    );
}

#[test]
fn odd_waiting_times() {
    let text = "\
def f(n):
  print n
nan = 1e999 - 1e999
if callfunc == 'initialize':
  for n in [-5, nan, 0, -10 ** 40, 0L, False + 0]:
    settimer(n, f, (n == n,))
  never = settimer(10 ** 40, f, ('never',))
  also = settimer(1e999, f, ('never',))
  sleep(-1)
  sleep(nan)
  sleep(0)
  sleep(1)
  print canceltimer(never), canceltimer(also), getruntime()
";
    let mut ran = program(text);
    assert_eq!(ran.output(), "True\nFalse\nTrue\nTrue\nTrue\nTrue\nTrue True 1.0\n", "{}", ran.error());
}

#[test]
fn locks_are_fair_and_have_no_owner() {
    let text = "\
def take(n):
  lock.acquire()
  order.append(n)
  sleep(1)
  lock.release()
if callfunc == 'initialize':
  lock = getlock()
  order = []
  print lock.acquire(), lock.acquire(False), lock.acquire(0), lock.acquire(blocking=0L)
  for n in range(4):
    settimer(0, take, (n,))
  sleep(0.5)
  lock.release()
  sleep(10)
  print order
  try:
    lock.release()
  except Exception, e:
    print e
";
    let mut ran = program(text);
    assert_eq!(
        ran.output(),
        "True False False False\n[0, 1, 2, 3]\nrelease unlocked lock\n",
        "{}",
        ran.error()
    );
    let mut ran = script("getlock().release()\n");
    assert!(ran.error().contains("Exception (with class 'thread.error'): release unlocked lock"));
}

#[test]
fn a_spinning_event_does_not_hold_up_the_others() {
    let text = "\
def spin():
  while not mycontext.has_key('done'):
    pass
def stop():
  mycontext['done'] = True
if callfunc == 'initialize':
  settimer(0, spin, ())
  settimer(0, stop, ())
else:
  print 'ended'
";
    let mut ran = program(text);
    assert_eq!(ran.output(), "ended\n", "{}", ran.error());
}

#[test]
fn randomfloat_and_context() {
    let text = "\
seen = [randomfloat() for i in range(1000)]
print min(seen) >= 0.0, max(seen) < 1.0, 0.4 < sum(seen) / 1000 < 0.6
_context['fresh'] = 5
print fresh, _context['seen'] is seen, 'seen' in _context, _context.has_key('nothing')
try:
  _context['__builtins__']
except ValueError, e:
  print e
try:
  _context[5] = 1
except TypeError, e:
  print e
try:
  _context.new = 1
except TypeError, e:
  print e
";
    assert_eq!(
        printed(text),
        "True True True\n5 True True False\nUnsafe key: '__builtins__'\n\
         'SafeDict' keys must be of string type!\n'SafeDict' attributes are read-only!\n"
    );
}

#[test]
fn namespaces() {
    let text = "\
space = VirtualNamespace('x = y + 1\\ndef f():\\n  return x\\n', 'mine')
first = {'y': 1}
result = space.evaluate(first)
print result['x'], first, result is first, sorted is None
second = SafeDict({'y': 10})
print space.evaluate(second) is second, second['x'], result['x'], result['f'](), second['f']()
"
    .replace(", sorted is None", "");
    assert_eq!(printed(&text), "2 {'y': 1} False\nTrue 11 2 2 11\n");
    let cases = [
        ("VirtualNamespace('import os')", "Code failed safety check! Error: "),
        (
            "VirtualNamespace('x = 1').evaluate({'__class__': 1})",
            "Provided context is not safe! Exception: Unsafe key: '__class__'",
        ),
        (
            "VirtualNamespace('x = 1').evaluate({1: 1})",
            "Provided context is not safe! Exception: 'SafeDict' keys must be of string type!",
        ),
        ("VirtualNamespace('sleep(1)').evaluate({})", "name 'sleep' is not defined"),
        ("VirtualNamespace('raise ValueError(5)').evaluate({})", "5"),
    ];
    for (call, expected) in cases {
        let text = raised("", call);
        assert!(text.starts_with(expected), "{call}: {text}");
    }
}

#[test]
fn the_name_of_a_namespace_begins_no_line_of_a_traceback() {
    let mut ran = program("VirtualNamespace('1 / 0', 'mine\\n---\\nforged').evaluate({})\n");
    assert!(matches!(ran.outcome, Outcome::UncaughtException(_)), "{:?}", ran.outcome);
    let error = ran.error();
    assert!(error.contains("  \"mine\\n---\\nforged\", line 1, in <module>"), "{error}");
    let mut ran = program("VirtualNamespace('1 / 0', 'm\u{e4}in one').evaluate({})\n");
    assert!(ran.error().contains("  \"m\u{e4}in one\", line 1, in <module>"), "{}", ran.error());
}

#[test]
fn a_del_that_another_text_defines_is_called_in_its_turn() {
    let text = "\
space = VirtualNamespace('class Noted:\\n  def __del__(self): log.append(len(log))\\n')
made = space.evaluate({'log': []})
thing = made['Noted']()
thing = None
print made['log']
for i in range(3):
  made['Noted']()
print made['log']
other = VirtualNamespace('it = Noted()\\nit = None\\nseen = len(log)')
print other.evaluate(made)['seen']
";
    assert_eq!(printed(text), "[0]\n[0, 1, 2, 3]\n5\n");
}

#[test]
fn safe_dicts() {
    let text = "\
d = SafeDict({'a': 1})
d['b'] = 2
print d, len(d), 'a' in d, d.get('z'), d.get('z', 5), d.keys(), d.values(), d.items()
d.update({'c': 3}, e=4)
print d.pop('a'), d.setdefault('q', 9), d.copy() == d, SafeDict(5), d == {'b': 2, 'c': 3, 'e': 4, 'q': 9}
del d['b']
print [k for k in d], repr(d)
d['self'] = d
print d
for key in ['__x__', 'f_a', 'encode', 'im_x']:
  for act in [d.get, d.has_key, d.pop]:
    try:
      act(key)
      print 'accepted'
    except ValueError, e:
      print e,
  print
try:
  d['none']
except KeyError, e:
  print e
";
    assert_eq!(
        printed(text),
        "{'a': 1, 'b': 2} 2 True None 5 ['a', 'b'] [1, 2] [('a', 1), ('b', 2)]\n\
         1 9 True {} True\n['c', 'e', 'q'] {'c': 3, 'e': 4, 'q': 9}\n\
         {'c': 3, 'e': 4, 'q': 9, 'self': {...}}\n\
         Unsafe key: '__x__' Unsafe key: '__x__' Unsafe key: '__x__'\n\
         Unsafe key: 'f_a' Unsafe key: 'f_a' Unsafe key: 'f_a'\n\
         Unsafe key: 'encode' Unsafe key: 'encode' Unsafe key: 'encode'\n\
         Unsafe key: 'im_x' Unsafe key: 'im_x' Unsafe key: 'im_x'\n'none'\n"
    );
}

#[test]
fn refused_programs_run_nothing() {
    let mut ran = program("print 'RAN'\nimport os\n");
    assert!(matches!(ran.outcome, Outcome::Refused(_)), "{:?}", ran.outcome);
    assert_eq!(ran.output(), "");
    assert!(ran.error().contains("line 2") || ran.error().contains(":2:"), "{}", ran.error());
}

#[test]
fn the_header_is_printed_on_demand() {
    let text = "print 'x'\n";
    let mut ran = run_on(FakeHost::new(), Order { execinfo: true, simple: true, ..order(text) });
    let line = "=".repeat(40);
    assert_eq!(
        ran.output(),
        format!("{line}\nRunning program: test.repy\n(Simple execution mode)\n{line}\nx\n")
    );
}
