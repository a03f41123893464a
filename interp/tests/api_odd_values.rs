//! Odd values for every argument of every call, generated from the API's table: each is
//! answered by a value or by one of the documented exceptions, and a call that raised has
//! changed nothing: no file, no handle, no item taken, nothing sent.

mod odd_values;

use interp::api::state::Api;
use interp::api::table::{ApiCall, Kind, Parameter, TABLE};
use interp::heap::Builtin;
use interp::host::fake::FakeHost;
use interp::run::{run, Order};
use odd_values::{asking, fits, incorrect, misuses, NAMES, VALUES};
use policies::channel::control::{FromInterpreter, Outcome};
use std::collections::BTreeMap;

/// What every attempt finds: objects of each kind, and values that are nearly of one.
const SETUP: &str = "\
f = open('some', 'w+')
f.write('text')
f.flush()
f.seek(0)
lock = getlock()
timer = settimer(1000, noop, ())
space = VirtualNamespace('a = 1')
";

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
        // Sockets: tried on real ones, by the tests of the network calls.
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
    let text = format!("{NAMES}{SETUP}{statement}\n");
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
        for arguments in misuses(row, |parameter| good(parameter.kind).to_owned()) {
            let call = format!("{object}{}({arguments})", row.name);
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
