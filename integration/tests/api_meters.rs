//! The eight rates, counted by the program itself on its own monotonic clock: at no moment more
//! than the limit for each second since the first use, one second's burst and one call; and in the
//! long run not less than a part of the limit that any machine can keep up with.
//!
//! The upper bound is strict and depends on nothing but the clock. The lower one is generous, so
//! that it says "it drains" and not "the machine was free".
#![allow(missing_docs)]

use integration::network::{Network, OWN_ADDRESS};
use integration::run::{finish, Finished, User};
use integration::setting::{wide_policy_with, Setting};
use std::net::UdpSocket;
use std::time::Duration;

/// Units a second of the rate under test.
const LIMIT: f64 = 1000.0;
/// Units of one call.
const CALL: f64 = 50.0;
/// Seconds that the program goes on.
const SECONDS: f64 = 4.0;

/// Counts units until the time is over, notes by how much the bound was missed at worst, and
/// leaves that, the units and the time in a file. `count` is given the units of each call.
const HEAD: &str = "
LIMIT = @LIMIT@
def count(units):
  now = getruntime()
  if mycontext['begun'] is None:
    mycontext['begun'] = now
    mycontext['units'] = 0
    mycontext['worst'] = -1e9
  passed = now - mycontext['begun']
  mycontext['units'] += units
  over = mycontext['units'] - (LIMIT * (passed + 1) + units)
  if over > mycontext['worst']:
    mycontext['worst'] = over
  return passed < @SECONDS@
def begin():
  mycontext['begun'] = None
  count(0)
def tell():
  f = open('told', 'w')
  f.write('%r %r %r' % (mycontext['worst'], mycontext['units'], getruntime() - mycontext['begun']))
  f.close()
  exitall()
";

/// What a program does to use a rate: statements within `if callfunc == 'initialize':`.
fn program(use_it: &str, limit: f64) -> String {
    let indented = use_it.trim().replace('\n', "\n  ");
    format!("{HEAD}if callfunc == 'initialize':\n  {indented}\n")
        .replace("@LIMIT@", &format!("{limit:?}"))
        .replace("@SECONDS@", &format!("{SECONDS:?}"))
}

#[track_caller]
fn check(what: &str, setting: &Setting, run: &Finished, limit: f64) {
    run.expect_code(0);
    let told = std::fs::read_to_string(setting.vessel().join("told")).expect("the program told its figures");
    let figures: Vec<f64> = told.split(' ').map(|word| word.parse().expect("a number")).collect();
    let [worst, units, passed] = figures[..] else { panic!("{told}") };
    assert!(worst <= 1e-6 * limit, "{what}: {worst} units more than allowed; {units} in {passed} s");
    assert!(units >= 0.4 * limit * passed.min(SECONDS), "{what}: only {units} units in {passed} s");
    println!(
        "{what}: {units} units in {passed:.2} s: {:.3} of the limit after the burst",
        (units - limit) / passed / limit
    );
}

fn run_in(
    network: Option<&Network>,
    setting: &Setting,
    resource: &str,
    limit: f64,
    program: &str,
    port: u16,
) -> Finished {
    let policy = wide_policy_with(resource, &limit.to_string())
        + &format!("resource messport {port}\nresource connport {port}\n");
    let command = setting.launch(&policy, program).command();
    let command =
        network.map_or(command, |network| network.inside(&setting.launch(&policy, program).command()));
    finish(command, Duration::from_secs(60))
}

#[test]
fn what_a_program_writes_reads_prints_and_draws() {
    let bytes = CALL as usize;
    let cases = [
        ("filewrite", LIMIT, format!("f = open('data', 'w')\nbegin()\nwhile count({bytes}):\n  f.write('x' * {bytes})\nf.close()\ntell()")),
        ("fileread", LIMIT, format!("f = open('data', 'w')\nf.write('x' * 100000)\nf.close()\nf = open('data')\nbegin()\nwhile count({bytes}):\n  f.read({bytes})\ntell()")),
        ("lograte", LIMIT, format!("begin()\nwhile count({bytes}):\n  print 'x' * {}\ntell()", bytes - 1)),
        ("random", 100.0, "begin()\nwhile count(1):\n  randomfloat()\ntell()".to_owned()),
    ];
    std::thread::scope(|scope| {
        for (resource, limit, use_it) in &cases {
            scope.spawn(move || {
                let setting = Setting::new("meters", User::Caller);
                let run = run_in(None, &setting, resource, *limit, &program(use_it, *limit), 12347);
                check(resource, &setting, &run, *limit);
            });
        }
    });
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// Sends messages and bytes of a connection: counted when the call has returned.
#[test]
fn what_a_program_sends_to_this_host_and_to_others() {
    let network = Network::new("meters-send");
    let bytes = CALL as usize;
    std::thread::scope(|scope| {
        for (resource, address) in [("loopsend", "127.0.0.1"), ("netsend", OWN_ADDRESS)] {
            if address == OWN_ADDRESS && network.is_none() {
                continue;
            }
            for way in ["message", "connection"] {
                let network = network.as_ref();
                scope.spawn(move || {
                    let setting = Setting::new("meters", User::Caller);
                    let port = free_port();
                    let use_it = if way == "message" {
                        format!("begin()\nwhile count({bytes}):\n  sendmess('{address}', {port}, 'x' * {bytes})\ntell()")
                    } else {
                        // Its own other side takes everything as it comes.
                        format!(
                            "def take(ip, port, sock, this, listener):\n  while True:\n    sock.recv(10000)\n\
                             waitforconn('{address}', {port}, take)\ns = openconn('{address}', {port})\n\
                             begin()\nwhile count({bytes}):\n  s.send('x' * {bytes})\ntell()"
                        )
                    };
                    let run = run_in(network, &setting, resource, LIMIT, &program(&use_it, LIMIT), port);
                    check(&format!("{resource} by {way}"), &setting, &run, LIMIT);
                });
            }
        }
    });
}

/// Receives what the program itself sends, far more than it may receive.
#[test]
fn what_a_program_receives_from_this_host_and_from_others() {
    let network = Network::new("meters-receive");
    let bytes = CALL as usize;
    std::thread::scope(|scope| {
        for (resource, address) in [("looprecv", "127.0.0.1"), ("netrecv", OWN_ADDRESS)] {
            if address == OWN_ADDRESS && network.is_none() {
                continue;
            }
            for way in ["message", "connection"] {
                let network = network.as_ref();
                scope.spawn(move || {
                    let setting = Setting::new("meters", User::Caller);
                    let port = free_port();
                    let use_it = if way == "message" {
                        format!(
                            "def take(ip, port, message, listener):\n  if not count(len(message)):\n    tell()\n\
                             def flood():\n  for i in range(40):\n    sendmess('{address}', {port}, 'x' * {bytes})\n  settimer(0.05, flood, ())\n\
                             begin()\nrecvmess('{address}', {port}, take)\nflood()"
                        )
                    } else {
                        format!(
                            "def flood(ip, port, sock, this, listener):\n  while True:\n    sock.send('x' * 1000)\n\
                             waitforconn('{address}', {port}, flood)\ns = openconn('{address}', {port})\n\
                             begin()\nwhile count(len(s.recv({bytes}))):\n  pass\ntell()"
                        )
                    };
                    let run = run_in(network, &setting, resource, LIMIT, &program(&use_it, LIMIT), port);
                    check(&format!("{resource} by {way}"), &setting, &run, LIMIT);
                });
            }
        }
    });
}
