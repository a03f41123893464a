//! Odd values for every argument of every call, generated from the API's table: each is
//! answered by a value or by one of the documented exceptions, and a call that raised has
//! changed nothing: no file, no handle, no item taken, nothing sent.

use interp::api::state::Api;
use interp::api::table::{ApiCall, Kind, TABLE};
use interp::heap::Builtin;
use interp::host::fake::FakeHost;
use interp::run::{run, Order};
use policies::channel::control::{FromInterpreter, Outcome};
use std::collections::BTreeMap;

/// What every attempt finds: objects of each kind, and values that are nearly of one.
const SETUP: &str = "\
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
f = open('some', 'w+')
f.write('text')
f.flush()
f.seek(0)
lock = getlock()
timer = settimer(1000, noop, ())
space = VirtualNamespace('a = 1')
";

/// The odd values, as expressions, with what they are.
const VALUES: &[(&str, Of)] = &[
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
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
fn fits(kind: Kind, of: Of) -> Option<bool> {
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

/// A fitting argument.
fn good(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer | Kind::IntegerOrNone => "5",
        Kind::Number | Kind::NumberOrNone => "0.5",
        Kind::Flag => "True",
        Kind::Text | Kind::TextOrNone | Kind::Any => "'other'",
        Kind::Function => "noop",
        Kind::Sequence => "()",
        Kind::TextList => "['line']",
        Kind::Timer => "timer",
        // There is none without a network.
        Kind::Comm => "None",
        Kind::Context => "{}",
    }
}

fn object(class: Option<Builtin>) -> Option<&'static str> {
    match class {
        None => Some(""),
        Some(Builtin::ApiFile) => Some("f."),
        Some(Builtin::ApiLock) => Some("lock."),
        Some(Builtin::ApiVirtualNamespace) => Some("space."),
        // Sockets: tried on real ones, by the tests that run both binaries.
        Some(_) => None,
    }
}

/// What is left of a run, as far as a call could have changed it.
#[derive(Debug, PartialEq, Eq)]
struct State {
    files: BTreeMap<Vec<u8>, Vec<u8>>,
    open: usize,
    sockets: usize,
    requests: usize,
    /// Units and items used, by the resource's number.
    used: Vec<(u8, u64, u64)>,
}

/// Runs the setup and one statement; what it printed, and what is left.
fn attempt(statement: &str) -> (String, State) {
    let text = format!("{SETUP}{statement}\n");
    let order = Order {
        name: b"test.repy".to_vec(),
        program: text.into_bytes(),
        simple: true,
        restrictions: true,
        max_accepted: 10,
        ..Order::default()
    };
    let mut finished = run(Box::new(FakeHost::new()), order);
    let mut owned = finished.kept.clone();
    finished.vm.held(&mut |value| owned.push(value));
    if let Some(api) = Api::of_ref(&finished.vm) {
        api.held(&mut |value| owned.push(value));
    }
    finished.vm.heap.check_counts(&owned).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    let ended = matches!(finished.outcome, Outcome::Finished | Outcome::ExitAll);
    let (api, _) = Api::of(&mut finished.vm);
    let host = api.host.as_any().downcast_mut::<FakeHost>().expect("the fake host");
    assert!(ended, "{statement}: {}", String::from_utf8_lossy(&host.error));
    let usage = host.frames_sent.iter().rev().find_map(|(_, frame)| match FromInterpreter::decode(frame) {
        Ok(FromInterpreter::Usage { counters, .. }) => Some(counters),
        _ => None,
    });
    let lograte = policies::Resource::LogRate;
    let used = usage.unwrap_or_default().into_iter().filter(|counter| counter.resource != lograte);
    let network = |frame: &&(interp::host::Channel, Vec<u8>)| frame.0 == interp::host::Channel::Network;
    let state = State {
        files: host.files.clone(),
        open: host.open_files(),
        sockets: host.sockets.len(),
        requests: host.frames_sent.iter().filter(network).count(),
        used: used.map(|counter| (counter.resource as u8, counter.total, counter.peak)).collect(),
    };
    (String::from_utf8_lossy(&host.output).into_owned(), state)
}

/// A statement that says how a call was answered.
fn asking(call: &str) -> String {
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
fn incorrect(row: &ApiCall) -> String {
    format!("TypeError Function '{}' called with incorrect arguments.", row.target)
}

/// What a fitting value may be answered with, for each row: beginnings.
fn documented(row: &ApiCall) -> &'static [&'static str] {
    match row.name {
        "sleep" | "settimer" | "getlock" | "acquire" | "canceltimer" => &["value"],
        "open" | "file" => &["value", "TypeError filename ", "ValueError ", "IOError [Errno 2]"],
        "removefile" => &["value", "TypeError filename ", "IOError [Errno 2]", "Exception File "],
        "read" | "readline" | "readlines" => &["value", "TypeError file."],
        "write" | "writelines" => &["value"],
        "seek" => &["value", "IOError [Errno 22] Invalid argument"],
        "gethostbyname_ex" => &["IOError [Errno -2]", "Exception The network is not there"],
        "sendmess" | "openconn" | "recvmess" | "waitforconn" => &[
            "Exception The network is not there",
            "Exception Localip and localport must be specified simultaneously.",
            "Exception Must specify a local IP address",
            "Exception Destination port number must be an integer, between 1 and 65535.",
            "Exception Local port number must be an integer, between 1 and 65535.",
            "Exception Timeout parameter must be a numeric value greater than 0.",
            "Exception IP '",
            "Exception Resource '",
            "IOError [Errno 90] Message too long",
            "IOError [Errno -2]",
        ],
        "VirtualNamespace" => &["value", "ValueError Code failed safety check! Error: ("],
        "evaluate" => &["value", "ValueError Provided context is not safe!"],
        other => panic!("{other} has parameters and no row here"),
    }
}

#[test]
fn every_odd_value_is_answered_and_a_refused_call_has_changed_nothing() {
    let (_, untouched) = attempt("pass");
    let nearly = |state: State| State { used: untouched.used.clone(), ..state };
    let mut tried = 0;
    for row in TABLE {
        let Some(object) = object(row.class) else { continue };
        for (place, parameter) in row.parameters.iter().enumerate() {
            for (value, of) in VALUES {
                // The end of the run is its own test.
                if *value == "exitall" && parameter.kind == Kind::Function && row.name != "settimer" {
                    continue;
                }
                let mut arguments: Vec<&str> = row.parameters.iter().map(|p| good(p.kind)).collect();
                arguments[place] = value;
                if row.name == "VirtualNamespace" && place == 1 {
                    arguments[0] = "'a = 1'";
                }
                let call = format!("{object}{}({})", row.name, arguments.join(", "));
                let (said, state) = attempt(&asking(&call));
                tried += 1;
                let line = said.trim_end();
                let refused =
                    || line.starts_with(&incorrect(row)) || line.starts_with("Exception Namespace violation");
                match fits(parameter.kind, *of) {
                    Some(false) => assert!(refused(), "{call}: {line}"),
                    Some(true) => {
                        assert!(documented(row).iter().any(|text| line.starts_with(text)), "{call}: {line}")
                    }
                    None => assert!(
                        refused() || documented(row).iter().any(|text| line.starts_with(text)),
                        "{call}: {line}"
                    ),
                }
                // A call that came as far as the missing network took its items and gave them back.
                let state = if line.contains("network is not there") { nearly(state) } else { state };
                if line != "value" {
                    assert_eq!(state, untouched, "{call} raised ({line}) and left something behind");
                }
            }
        }
    }
    assert!(tried > 1500, "{tried}");
}

#[test]
fn a_wrong_count_and_every_misuse_of_keywords_is_the_same_type_error() {
    let (_, untouched) = attempt("pass");
    for row in TABLE {
        let Some(object) = object(row.class) else { continue };
        let all: Vec<String> = row.parameters.iter().map(|p| good(p.kind).to_owned()).collect();
        let named: Vec<String> =
            row.parameters.iter().map(|p| format!("{}={}", p.name, good(p.kind))).collect();
        let required = row.parameters.iter().filter(|p| p.required).count();
        let mut misuses = vec![
            [&all[..], &["1".to_owned()]].concat(),
            [&all[..], &["*[1] * 100".to_owned()]].concat(),
            [&all[..], &["nonsense=1".to_owned()]].concat(),
            [&all[..], &["**{'': 1}".to_owned()]].concat(),
            [&all[..], &["**{'self': 1}".to_owned()]].concat(),
        ];
        if required > 0 {
            misuses.push(all[..required - 1].to_vec());
            misuses.push(Vec::new());
        }
        if let Some(first) = named.first() {
            misuses.push([&all[..], std::slice::from_ref(first)].concat());
            if !row.keywords {
                misuses.push(named.clone());
            }
        }
        for arguments in misuses {
            let call = format!("{object}{}({})", row.name, arguments.join(", "));
            let (said, state) = attempt(&asking(&call));
            assert!(said.starts_with(&incorrect(row)), "{call}: {said}");
            assert_eq!(state, untouched, "{call} left something behind");
        }
    }
}

#[test]
fn ports_and_timeouts_are_refused_in_the_originals_words() {
    let (_, untouched) = attempt("pass");
    let destination = "Exception Destination port number must be an integer, between 1 and 65535.\n";
    let local = "Exception Local port number must be an integer, between 1 and 65535.\n";
    let timeout = "Exception Timeout parameter must be a numeric value greater than 0.\n";
    let mut cases = Vec::new();
    for port in ["0", "-1", "65536", "2 ** 64 + 80", "-2 ** 4000"] {
        cases.push((format!("openconn('127.0.0.1', {port})"), destination));
        cases.push((format!("sendmess('127.0.0.1', {port}, 'x')"), destination));
        cases.push((format!("waitforconn('127.0.0.1', {port}, noop)"), local));
        cases.push((format!("recvmess('127.0.0.1', {port}, noop)"), local));
        if port != "0" {
            cases.push((format!("openconn('127.0.0.1', 80, '127.0.0.1', {port})"), local));
            cases.push((format!("sendmess('127.0.0.1', 80, 'x', '127.0.0.1', {port})"), local));
        }
    }
    for value in ["0", "-1", "0.0", "-0.0", "nan", "-infinite", "-2 ** 4000"] {
        cases.push((format!("openconn('127.0.0.1', 80, timeout={value})"), timeout));
    }
    for (call, expected) in cases {
        let (said, state) = attempt(&asking(&call));
        assert_eq!(said, expected, "{call}");
        assert_eq!(state, untouched, "{call}");
    }
}
