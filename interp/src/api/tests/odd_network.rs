//! Odd values for every argument of the network calls and of a socket's methods, generated from
//! the API's table, on real sockets: a call that raised has sent nothing, taken nothing, closed
//! nothing.

use std::net::TcpListener;

use policies::channel::control::Outcome;
use policies::Resource;

use super::network::{free_port, Net};
use super::odd_values::{asking, fits, incorrect, misuses, NAMES, VALUES};
use crate::api::table::{ApiCall, Kind, Parameter, TABLE};
use crate::heap::Builtin;

/// What every attempt finds: a fresh connection whose other side has sent `data`, and `odd`, the
/// value.
const SETUP: &str = "\
f = open('some', 'w+')
lock = getlock()
timer = settimer(0, noop, ())
space = VirtualNamespace('a = 1')
def keep(ip, port, sock, this, listener):
  sock.send('data')
  mycontext['other'] = sock
  mycontext['handle'] = this
listener = waitforconn('127.0.0.1', OWN, keep)
def pair():
  mycontext['other'] = None
  s = openconn('127.0.0.1', OWN)
  while mycontext['other'] is None:
    sleep(0.001)
  return s
def same(s, other, count):
  got = s.recv(10)
  while len(got) < 4:
    got += s.recv(10)
  s.send('tail')
  seen = ''
  while len(seen) < count + 4:
    seen += other.recv(100000)
  return got == 'data' and seen[count:] == 'tail'
";

fn is_network(row: &ApiCall) -> bool {
    row.class == Some(Builtin::ApiSocket)
        || ["sendmess", "openconn", "waitforconn", "recvmess", "stopcomm", "gethostbyname_ex", "getmyip"]
            .contains(&row.name)
}

/// An argument that fits, for the place it is in.
fn good(row: &ApiCall, parameter: &Parameter, target: u16) -> String {
    let listens = ["waitforconn", "recvmess"].contains(&row.name);
    match parameter.name {
        "desthost" => "'127.0.0.1'".to_owned(),
        "destport" => target.to_string(),
        "localip" if listens => "'127.0.0.1'".to_owned(),
        "localport" if listens => "SECOND".to_owned(),
        "localip" | "localport" => "None".to_owned(),
        "function" => "noop".to_owned(),
        "timeout" => "2".to_owned(),
        "bytes" => "4".to_owned(),
        "commhandle" => "None".to_owned(),
        "name" => "'localhost'".to_owned(),
        "message" => "'m'".to_owned(),
        other => panic!("{}: {other} has no argument that fits", row.name),
    }
}

/// What a value of the right kind may be answered with: beginnings.
fn documented(row: &ApiCall) -> &'static [&'static str] {
    match row.name {
        "send" => &["value"],
        "recv" => &["value", "ValueError negative buffersize in recv"],
        "gethostbyname_ex" => &["value", "IOError [Errno -2]"],
        "sendmess" | "openconn" | "waitforconn" | "recvmess" => &[
            "value",
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
        other => panic!("{other} has parameters and no row here"),
    }
}

/// The statements that try a call and look whether anything has changed: one line of output.
fn attempt(row: &ApiCall, arguments: &str) -> String {
    let call = |object: &str| format!("{object}{}({arguments})", row.name);
    if row.class == Some(Builtin::ApiSocket) {
        return format!(
            "s = pair()\nother = mycontext['other']\n{}\n\
             if said[-1] != 'value':\n  said.append(same(s, other, 0))\n\
             elif '{}' == 'send':\n  said.append(same(s, other, r))\n\
             s.close()\nother.close()\ntell(said)\n",
            saying(&call("s.")),
            row.name
        );
    }
    let undo = match row.name {
        "openconn" => "  r.close()\n",
        "waitforconn" | "recvmess" => "  stopcomm(r)\n",
        _ => "  pass\n",
    };
    format!("r = None\n{}\nif said[-1] == 'value':\n{undo}tell(said)\n", saying(&call("")))
}

/// As [`asking`], with the answer kept: there is no output to print on.
fn saying(call: &str) -> String {
    let kept = asking(call).replace("print 'value'", "said = ['value']");
    let mut text = String::new();
    for line in kept.lines() {
        match line.trim().strip_prefix("print ").and_then(|rest| rest.split_once(", ")) {
            Some((class, error)) => text.push_str(&format!("  said = [{class} + ' ' + str({error})]\n")),
            None => text.push_str(&format!("{line}\n")),
        }
    }
    text.trim_end().to_owned()
}

/// Runs attempts under limits that leave no room for anything that is not given back; the line of
/// each.
fn run(name: &str, attempts: &[String], own: u16, second: u16) -> Vec<String> {
    let policy = super::generous()
        .set(Resource::OutSockets, 1.0)
        .set(Resource::InSockets, 2.0)
        .set(Resource::Events, 4.0)
        .set(Resource::ConnPort, f64::from(own))
        .set(Resource::ConnPort, f64::from(second))
        .set(Resource::MessPort, f64::from(second))
        .build();
    let mut text = format!("{NAMES}{SETUP}");
    text.push_str("def tell(said):\n  say(said[1:] != [False], said[0][:150])\n");
    text.push_str(&attempts.concat());
    // Everything is still to be had.
    text.push_str(
        "kept = pair()\nsay('socket', kept.send('x'))\n\
         handle = recvmess('127.0.0.1', SECOND, noop)\nsay('handles', stopcomm(handle), stopcomm(listener))\n",
    );
    let text = text.replace("OWN", &own.to_string()).replace("SECOND", &second.to_string());
    let (said, outcome) = Net::new(name, true).run(&text, Some(policy));
    assert_eq!(outcome, Outcome::Finished, "{name}: {said}");
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    assert_eq!(lines.split_off(lines.len().saturating_sub(2)), ["socket 1", "handles True True"], "{name}");
    assert_eq!(lines.len(), attempts.len(), "{name}: {said}");
    lines
}

/// What a line says of the answer; its first word is whether all was as before.
#[track_caller]
fn unchanged<'l>(line: &'l str, row: &ApiCall, arguments: &str) -> &'l str {
    let said = line.strip_prefix("True ");
    said.unwrap_or_else(|| panic!("{} with {arguments} changed something: {line}", row.name))
}

#[test]
fn every_odd_value_is_answered_and_a_refused_call_has_changed_nothing() {
    let (own, second) = (free_port(), free_port());
    let target = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let target = target.local_addr().expect("its end").port();
    let mut tried = 0;
    for row in TABLE.iter().filter(|row| is_network(row)) {
        for (place, parameter) in row.parameters.iter().enumerate() {
            let usable = VALUES.iter().filter(|(value, _)| {
                // The end of the run is its own test.
                *value != "exitall" || parameter.kind != Kind::Function
            });
            let calls: Vec<(String, &str, Option<bool>)> = usable
                .map(|(value, of)| {
                    let mut arguments: Vec<String> =
                        row.parameters.iter().map(|parameter| good(row, parameter, target)).collect();
                    arguments[place] = (*value).to_owned();
                    (arguments.join(", "), *value, fits(parameter.kind, *of))
                })
                .collect();
            let attempts: Vec<String> = calls.iter().map(|(arguments, ..)| attempt(row, arguments)).collect();
            let lines = run(&format!("odd-{}-{place}", row.name), &attempts, own, second);
            for (line, (_, value, fits)) in lines.iter().zip(&calls) {
                tried += 1;
                let said = unchanged(line, row, value);
                let refused =
                    said.starts_with(&incorrect(row)) || said.starts_with("Exception Namespace violation");
                let documented = || documented(row).iter().any(|text| said.starts_with(text));
                match fits {
                    Some(false) => assert!(refused, "{} with {value}: {line}", row.name),
                    Some(true) => assert!(documented(), "{} with {value}: {line}", row.name),
                    None => assert!(refused || documented(), "{} with {value}: {line}", row.name),
                }
            }
        }
    }
    assert!(tried > 800, "{tried}");
}

#[test]
fn every_misuse_of_the_arguments_is_a_type_error_and_changes_nothing() {
    let (own, second) = (free_port(), free_port());
    for row in TABLE.iter().filter(|row| is_network(row)) {
        let calls = misuses(row, |parameter| good(row, parameter, second));
        let attempts: Vec<String> = calls.iter().map(|arguments| attempt(row, arguments)).collect();
        let lines = run(&format!("misuse-{}", row.name), &attempts, own, second);
        for (line, arguments) in lines.iter().zip(&calls) {
            let said = unchanged(line, row, arguments);
            assert!(said.starts_with(&incorrect(row)), "{}({arguments}): {line}", row.name);
        }
    }
}
