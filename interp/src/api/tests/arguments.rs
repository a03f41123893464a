//! Bad arguments of every call, generated from the table.

use super::{printed, raised};
use crate::api::table::{ApiCall, Kind, TABLE};
use crate::heap::Builtin;

/// Makes the objects that methods are tried on.
const SETUP: &str = "\
def noop(*args):
  return None
class Old:
  def method(self):
    return 1
class New(object):
  pass
f = open('some', 'w')
lock = getlock()
timer = settimer(1000, noop, ())
space = VirtualNamespace('a = 1')
";

/// An expression for the object of a method; none where making one needs a
/// network.
fn object(class: Option<Builtin>) -> Option<&'static str> {
    match class {
        None => Some(""),
        Some(Builtin::ApiFile) => Some("f."),
        Some(Builtin::ApiLock) => Some("lock."),
        Some(Builtin::ApiVirtualNamespace) => Some("space."),
        Some(_) => None,
    }
}

/// A fitting argument.
fn good(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer | Kind::IntegerOrNone => "5",
        Kind::Number | Kind::NumberOrNone => "0.5",
        Kind::Flag => "True",
        Kind::Text | Kind::TextOrNone | Kind::Any => "'text'",
        Kind::Function => "noop",
        Kind::Sequence => "()",
        Kind::TextList => "['line']",
        Kind::Timer => "timer",
        Kind::Comm => "None",
        Kind::Context => "{}",
    }
}

/// Arguments that do not fit.
fn bad(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Integer => &["'5'", "5.0", "None", "True", "[5]", "noop", "Old()"],
        Kind::IntegerOrNone => &["'5'", "5.0", "False", "()"],
        Kind::Number => &["'5'", "None", "True", "{}", "1j"],
        Kind::NumberOrNone => &["'5'", "True", "[]"],
        Kind::Flag => &["None", "'x'", "1.0"],
        Kind::Text => &["5", "None", "True", "['a']", "lock"],
        Kind::TextOrNone => &["5", "False", "()"],
        Kind::Function => &["5", "None", "'noop'", "Old.method", "Old()"],
        Kind::Sequence => &["5", "None", "'ab'", "{}", "set([1])"],
        Kind::TextList => &["5", "'ab'", "('a',)", "['a', 5]", "[None]"],
        Kind::Timer | Kind::Comm => &["5", "None", "'x'", "lock", "f"],
        Kind::Context => &["5", "None", "'x'", "[('a', 1)]"],
        Kind::Any => &[],
    }
}

fn callable(row: &ApiCall, arguments: &[&str]) -> Option<String> {
    Some(format!("{}{}({})", object(row.class)?, row.name, arguments.join(", ")))
}

/// The beginning of the TypeError of a row.
fn expected(row: &ApiCall) -> String {
    let detail = if row.parameters.is_empty() { "No arguments allowed." } else { "" };
    format!("Function '{}' called with incorrect arguments. {detail} Arguments were args:", row.target)
}

#[test]
fn wrong_kinds() {
    let mut tried = 0;
    let mut text = SETUP.to_owned();
    let mut rows = Vec::new();
    for row in TABLE {
        for (place, parameter) in row.parameters.iter().enumerate() {
            for wrong in bad(parameter.kind) {
                let mut arguments: Vec<&str> =
                    row.parameters.iter().map(|parameter| good(parameter.kind)).collect();
                arguments[place] = wrong;
                let Some(call) = callable(row, &arguments) else { continue };
                text.push_str(&format!(
                    "try:\n  {call}\n  print 'accepted'\nexcept TypeError, e:\n  print str(e)\n"
                ));
                rows.push((call, expected(row)));
                tried += 1;
            }
        }
    }
    let output = printed(&text);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), rows.len());
    for (line, (call, expected)) in lines.iter().zip(&rows) {
        assert!(line.starts_with(expected.as_str()), "{call}: {line}");
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn wrong_numbers_and_keywords() {
    let mut text = SETUP.to_owned();
    let mut rows = Vec::new();
    let mut attempt = |row: &ApiCall, arguments: &[String]| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let Some(call) = callable(row, &arguments) else { return };
        text.push_str(&format!("try:\n  {call}\n  print 'accepted'\nexcept TypeError, e:\n  print str(e)\n"));
        rows.push((call, expected(row)));
    };
    for row in TABLE {
        let all: Vec<String> = row.parameters.iter().map(|one| good(one.kind).to_owned()).collect();
        let required = row.parameters.iter().filter(|one| one.required).count();
        attempt(row, &[all.clone(), vec!["1".to_owned()]].concat());
        if required > 0 {
            attempt(row, &all[..required - 1]);
        }
        attempt(row, &[all.clone(), vec!["nonsense=1".to_owned()]].concat());
        if let Some(first) = row.parameters.first() {
            let keyword = format!("{}={}", first.name, good(first.kind));
            // Given twice.
            attempt(row, &[all.clone(), vec![keyword.clone()]].concat());
            if !row.keywords {
                let rest: Vec<String> = std::iter::once(keyword).collect();
                attempt(row, &rest);
            }
        }
    }
    let output = printed(&text);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), rows.len());
    for (line, (call, expected)) in lines.iter().zip(&rows) {
        assert!(line.starts_with(expected.as_str()), "{call}: {line}");
    }
}

#[test]
fn the_whole_text_of_a_type_error() {
    assert_eq!(
        raised("", "sleep('x')"),
        "Function 'sleep' called with incorrect arguments.  Arguments were args:('x',), kwargs:{}"
    );
    assert_eq!(
        raised("", "getruntime(1, a=2)"),
        "Function 'getruntime' called with incorrect arguments. No arguments allowed. \
         Arguments were args:(1,), kwargs:{'a': 2}"
    );
    let text = raised("lock = getlock()", "lock.release(1)");
    assert!(
        text.starts_with(
            "Function 'release' called with incorrect arguments. No arguments allowed. \
             Arguments were args:(<Namespace wrapped lock: 'MainThread:"
        ),
        "{text}"
    );
    let text = raised("", "sleep([1j, xrange(3), None])");
    assert!(text.contains("args:([1j, xrange(3), None],)"), "{text}");
    // An instance's own __repr__ is not asked.
    let setup = "class Loud:\n  def __repr__(self):\n    print 'LOUD'\n    return 'x'\n";
    let text = raised(setup, "sleep(Loud())");
    assert!(text.contains("args:(<Loud instance at 0x"), "{text}");
    assert!(!text.contains("LOUD"), "{text}");
}

#[test]
fn attributes_of_api_objects_come_and_go() {
    let text = "\
lock = getlock()
lock.mine = [1]
print lock.mine
del lock.mine
try:
  print lock.mine
except AttributeError, problem:
  print problem
try:
  del lock.mine
except AttributeError, problem:
  print problem
try:
  del lock.acquire
except AttributeError, problem:
  print problem
print lock.acquire()
";
    assert_eq!(printed(text), "[1]\nmine\nmine\nacquire\nTrue\n");
}

#[test]
fn keywords_stand_for_their_places() {
    let text = "\
def say(word):
  print word
settimer(waittime=0, args=('by keyword',), function=say)
f = open(mode='w', filename='k')
f.write(data='abc')
f.seek(whence=2, offset=-1)
f.close()
print open('k').read()
";
    let mut ran = super::program(&format!("if callfunc == 'initialize':\n  {}", text.replace('\n', "\n  ")));
    assert_eq!(ran.output(), "abc\nby keyword\n", "{}", ran.error());
}

#[test]
fn what_cannot_be_copied_is_refused() {
    for argument in ["New", "New()", "Old", "int", "len", "SafeDict()", "[New()]", "{'a': (New,)}"] {
        let text = raised(SETUP, &format!("settimer(0, noop, [{argument}])"));
        assert!(
            text.starts_with("Namespace violation: _copy failed on (0, <function noop"),
            "{argument}: {text}"
        );
    }
    for argument in ["Old()", "noop", "lock", "f.close", "exitall", "frozenset([1])", "1j", "10L ** 30"] {
        let text = raised(SETUP, &format!("settimer(1000, noop, [{argument}])"));
        assert_eq!(text, "no exception", "{argument}");
    }
}

#[test]
fn arguments_are_copies() {
    let text = "\
if callfunc == 'initialize':
  def show(a, b, o):
    a.append(99)
    print a, b, b[0] is a, o.x
  class Old:
    pass
  o = Old()
  o.x = 1
  shared = [1]
  t = settimer(0, show, (shared, (shared,), o))
  shared.append(2)
  o.x = 2
  sleep(1)
  print shared
";
    let mut ran = super::program(text);
    assert_eq!(ran.output(), "[1, 99] ([1, 99],) True 2\n[1, 2]\n", "{}", ran.error());
    // A container within itself stays so.
    let text = "\
def show(a):
  print a is a[0], a
loop = []
loop.append(loop)
settimer(0, show, (loop,))
sleep(1)
";
    assert_eq!(printed(text), "True [[...]]\n");
}

#[test]
fn api_objects() {
    let text = "\
lock = getlock()
other = getlock()
print lock == lock, lock == other, lock != other
try:
  {lock: 1}
except AttributeError, e:
  print e
try:
  lock.name
except AttributeError, e:
  print e
lock.mark = 5
print lock.mark
try:
  for x in lock:
    pass
except TypeError, e:
  print e
print repr(lock)[:24], str(lock)[:24]
";
    let output = printed(text);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(
        lines,
        [
            "True False True",
            "emulated_socket instance has no attribute '__hash__'",
            "name",
            "5",
            "You tried to iterate a non-iterator of type <type 'lock'>",
            "<Namespace wrapped lock: <Namespace wrapped lock:",
        ]
    );
}
