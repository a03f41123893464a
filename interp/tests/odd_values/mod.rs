//! Odd values for arguments, and every misuse of an argument list: shared by the tests without a
//! network and by those with one.

use super::{ApiCall, Kind, Parameter};

/// What the values below are made of: the beginning of a program that uses them.
pub const NAMES: &str = "\
def noop(*args):
  return None
class Text(str):
  pass
class Number(int):
  pass
class Old:
  def method(self):
    return 1
infinite = 1e400
nan = infinite - infinite
";

/// The odd values, as expressions, with what they are.
pub const VALUES: &[(&str, Of)] = &[
    ("True", Of::Bool),
    ("False", Of::Bool),
    ("None", Of::None),
    ("-1", Of::Integer),
    ("-2 ** 31", Of::Integer),
    ("2 ** 31", Of::Integer),
    ("65536", Of::Integer),
    ("2 ** 63", Of::Integer),
    ("-2 ** 63 - 1", Of::Integer),
    ("2 ** 64 + 80", Of::Integer),
    ("2 ** 4000", Of::Integer),
    ("-2 ** 4000", Of::Integer),
    ("nan", Of::Float),
    ("infinite", Of::Float),
    ("-infinite", Of::Float),
    ("-0.0", Of::Float),
    ("1e308", Of::Float),
    ("80.0", Of::Float),
    ("1j", Of::Other),
    ("''", Of::Text),
    ("'\\0'", Of::Text),
    ("'a\\0b'", Of::Text),
    ("'..'", Of::Text),
    ("'a/b'", Of::Text),
    ("'\\xff\\xfe'", Of::Text),
    ("'x' * 300", Of::Text),
    ("'x' * 100000", Of::Text),
    ("Text('w')", Of::Other),
    ("Number(5)", Of::Other),
    ("Old", Of::Other),
    ("Old()", Of::Other),
    ("Old.method", Of::Other),
    ("len", Of::Other),
    ("str", Of::Other),
    ("[]", Of::List),
    ("['a', 5]", Of::List),
    ("[[]]", Of::List),
    ("()", Of::Tuple),
    ("(nan,)", Of::Tuple),
    ("{}", Of::Dict),
    ("{'a': 1}", Of::Dict),
    ("set([1])", Of::Other),
    ("xrange(3)", Of::Other),
    ("lock", Of::Other),
    ("timer", Of::Timer),
    ("f", Of::Other),
    ("space", Of::Other),
    ("f.read", Of::Function),
    ("noop", Of::Function),
    ("exitall", Of::Function),
];

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Bool,
    None,
    Integer,
    Float,
    Text,
    List,
    Tuple,
    Dict,
    Timer,
    Function,
    Other,
}

/// Whether a value is of the kind a parameter wants; None where that depends on what is in it.
pub fn fits(kind: Kind, of: Of) -> Option<bool> {
    Some(match kind {
        Kind::Integer => of == Of::Integer,
        Kind::IntegerOrNone => matches!(of, Of::Integer | Of::None),
        Kind::Number => matches!(of, Of::Integer | Of::Float),
        Kind::NumberOrNone => matches!(of, Of::Integer | Of::Float | Of::None),
        Kind::Flag => matches!(of, Of::Bool | Of::Integer),
        Kind::Text => of == Of::Text,
        Kind::TextOrNone => matches!(of, Of::Text | Of::None),
        Kind::Function => of == Of::Function,
        Kind::Sequence => matches!(of, Of::List | Of::Tuple),
        Kind::TextList => return if of == Of::List { None } else { Some(false) },
        Kind::Timer => of == Of::Timer,
        Kind::Comm => false,
        Kind::Context => of == Of::Dict,
        Kind::Any => return None,
    })
}

/// A statement that says how a call was answered.
pub fn asking(call: &str) -> String {
    format!(
        "try:\n  r = {call}\n  print 'value'\n\
         except TypeError, e:\n  print 'TypeError', e\n\
         except ValueError, e:\n  print 'ValueError', e\n\
         except KeyError, e:\n  print 'KeyError', e\n\
         except (IOError, OSError), e:\n  print 'IOError', e\n\
         except StopIteration, e:\n  print 'StopIteration', e\n\
         except MemoryError, e:\n  print 'MemoryError', e\n\
         except Exception, e:\n  print 'Exception', e"
    )
}

/// The beginning of the TypeError of a row.
pub fn incorrect(row: &ApiCall) -> String {
    format!("TypeError Function '{}' called with incorrect arguments.", row.target)
}

/// Argument lists that fit no call of a row: too many, too few, keywords that are unknown, given twice
/// or not allowed. `good` gives an argument that fits.
pub fn misuses(row: &ApiCall, good: impl Fn(&Parameter) -> String) -> Vec<String> {
    let all: Vec<String> = row.parameters.iter().map(&good).collect();
    let named: Vec<String> = row.parameters.iter().map(|p| format!("{}={}", p.name, good(p))).collect();
    let required = row.parameters.iter().filter(|p| p.required).count();
    let and = |more: &str| [&all[..], &[more.to_owned()]].concat();
    let mut misuses =
        vec![and("1"), and("*[1] * 100"), and("nonsense=1"), and("**{'': 1}"), and("**{'self': 1}")];
    if required > 0 {
        misuses.push(all[..required - 1].to_vec());
        misuses.push(Vec::new());
    }
    if let Some(first) = named.first() {
        misuses.push(and(first));
        if !row.keywords {
            misuses.push(named.clone());
        }
    }
    misuses.into_iter().map(|arguments| arguments.join(", ")).collect()
}
