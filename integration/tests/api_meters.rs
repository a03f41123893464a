//! The eight rates, counted by the program itself on its own monotonic clock: at no moment more
//! than the limit for each second since the first use, one second's burst and one call; and from
//! the second after the burst within one percent of the limit over ten seconds.
//!
//! The upper bound is strict and depends on nothing but the clock, whatever else the machine does;
//! a time in which a program stood still gives it no credit. What one percent says depends on
//! where the program is when it looks at the clock: of several ends the best counts.
#![allow(missing_docs)]

use integration::network::{Network, OWN_ADDRESS};
use integration::run::{finish, Finished, User};
use integration::setting::{wide_policy_with, Setting};
use std::net::UdpSocket;
use std::time::Duration;

/// Units a second of the rate under test.
const LIMIT: f64 = 5000.0;
/// Units of one call.
const CALL: f64 = 50.0;
/// Seconds that the program goes on: the burst's, ten, and some in which to find a good end.
const SECONDS: f64 = 13.0;
/// How far from the limit it may be over ten seconds.
const EXACT: f64 = 0.01;

/// Counts units until the time is over, notes by how much the bound was missed at worst, and
/// leaves that, the units and the time in a file, with what it had counted at every tenth of a
/// second. `count` is given the units of each call.
const HEAD: &str = "
LIMIT = @LIMIT@
def count(units):
  now = getruntime()
  if mycontext['begun'] is None:
    mycontext['begun'] = now
    mycontext['units'] = 0
    mycontext['worst'] = -1e9
    mycontext['seen'] = []
    mycontext['next'] = 0.0
  passed = now - mycontext['begun']
  mycontext['units'] += units
  over = mycontext['units'] - (LIMIT * (passed + 1) + units)
  if over > mycontext['worst']:
    mycontext['worst'] = over
  if passed >= mycontext['next']:
    mycontext['next'] = passed + 0.1
    mycontext['seen'].append('%r %r' % (passed, mycontext['units']))
  return passed < @SECONDS@
def begin():
  mycontext['begun'] = None
  count(0)
def tell():
  f = open('told', 'w')
  f.write('%r %r %r' % (mycontext['worst'], mycontext['units'], getruntime() - mycontext['begun']))
  f.close()
  f = open('seen', 'w')
  f.write('\\n'.join(mycontext['seen']))
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

/// Runs a case and checks both bounds; the lower one, which a busy machine can miss, up to three times.
#[track_caller]
fn check(what: &str, limit: f64, run: impl Fn(&Setting) -> Finished) {
    for tries in (0..3).rev() {
        let setting = Setting::new("meters", User::Caller);
        run(&setting).expect_code(0);
        let read =
            |name: &str| std::fs::read_to_string(setting.vessel().join(name)).expect("the program told");
        let numbers =
            |text: &str| text.split(' ').map(|word| word.parse().expect("a number")).collect::<Vec<f64>>();
        let told = read("told");
        let [worst, units, passed] = numbers(&told)[..] else { panic!("{told}") };
        assert!(worst <= 1e-6 * limit, "{what}: {worst} units more than allowed; {units} in {passed} s");
        let seen: Vec<Vec<f64>> = read("seen").lines().map(numbers).collect();
        let ratio = ten_seconds(&seen, limit) / limit;
        println!("{what}: {ratio:.4} of the limit over ten seconds after the burst");
        if (ratio - 1.0).abs() <= EXACT {
            return;
        }
        assert!(tries > 0, "{what}: {ratio} of the limit over ten seconds after the burst");
    }
}

/// The rate over ten seconds from the second after the burst on: from where the program was the
/// least behind to the best end. Where it has to wait for the processor before it looks at the clock,
/// it has not yet used what it may.
fn ten_seconds(seen: &[Vec<f64>], limit: f64) -> f64 {
    let ahead = |row: &&Vec<f64>| row[1] - row[0] * limit;
    let starts = seen.iter().filter(|row| (1.0..=2.5).contains(&row[0]));
    let start = starts.max_by(|a, b| ahead(a).total_cmp(&ahead(b))).expect("it lasted");
    let ends = seen.iter().filter(|row| row[0] >= start[0] + 10.0);
    ends.map(|end| (end[1] - start[1]) / (end[0] - start[0])).fold(f64::MIN, f64::max)
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

/// Stopped for a while, a program has the burst and what it may do each second, and nothing for the
/// time in which it stood still.
#[test]
fn a_stopped_program_gets_no_credit() {
    use nix::sys::signal::{kill, Signal};
    const TEXT: &str = "if callfunc == 'initialize':
  f = open('data', 'w')
  while True:
    before = getruntime()
    f.write('x' * 50)
    print before, getruntime()
";
    const SLEEP: f64 = 4.0;
    let setting = Setting::new("stopped", User::Caller);
    let policy = wide_policy_with("filewrite", &LIMIT.to_string());
    let mut child =
        setting.launch(&policy, TEXT).option("--wall").option("60").command().spawn().expect("it starts");
    let mut lines = std::io::BufReader::new(child.stdout.take().expect("piped"));
    let mut calls: Vec<(f64, f64)> = Vec::new();
    let mut read_until = |calls: &mut Vec<(f64, f64)>, seconds: f64| loop {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut lines, &mut line).expect("a line");
        let (before, after) = line.trim_end().split_once(' ').expect("two times");
        let call: (f64, f64) = (before.parse().expect("a time"), after.parse().expect("a time"));
        calls.push(call);
        if call.1 - calls[0].0 >= seconds {
            return;
        }
    };
    read_until(&mut calls, 2.0);
    let inside = |wanted: &str| {
        integration::processes::descendants(child.id())
            .into_iter()
            .find(|pid| {
                std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == wanted)
            })
            .and_then(|pid| i32::try_from(pid).ok())
            .expect("it runs")
    };
    let interpreter = nix::unistd::Pid::from_raw(inside("repy-interp"));
    kill(interpreter, Signal::SIGSTOP).expect("stopped");
    std::thread::sleep(Duration::from_secs_f64(SLEEP));
    kill(interpreter, Signal::SIGCONT).expect("continued");
    read_until(&mut calls, 2.0 + SLEEP + 3.0);
    let _ = child.kill();
    let _ = child.wait();
    let gap = calls.windows(2).map(|pair| pair[1].1 - pair[0].1).fold(0.0, f64::max);
    assert!(gap >= SLEEP * 0.9, "it was not stopped: {gap} s");
    // Between any call that was made and any later one: a burst, what the time between them is
    // worth, and the call itself.
    for (i, (start, _)) in calls.iter().enumerate() {
        for (j, (_, end)) in calls.iter().enumerate().skip(i) {
            let units = (j - i + 1) as f64 * CALL;
            let most = LIMIT * (end - start + 1.0) + CALL;
            assert!(units <= most, "{units} units in {} s", end - start);
        }
    }
}

#[test]
fn what_a_program_writes_reads_prints_and_draws() {
    let bytes = CALL as usize;
    let cases = [
        ("filewrite", LIMIT, format!("f = open('data', 'w')\nbegin()\nwhile count({bytes}):\n  f.write('x' * {bytes})\nf.close()\ntell()")),
        ("fileread", LIMIT, format!("f = open('data', 'w')\nf.write('x' * 100000)\nf.close()\nf = open('data')\nbegin()\nwhile count({bytes}):\n  f.read({bytes})\ntell()")),
        ("lograte", LIMIT, format!("begin()\nwhile count({bytes}):\n  print 'x' * {}\ntell()", bytes - 1)),
        ("random", 1000.0, "begin()\nwhile count(1):\n  randomfloat()\ntell()".to_owned()),
    ];
    std::thread::scope(|scope| {
        for (resource, limit, use_it) in &cases {
            scope.spawn(move || {
                check(resource, *limit, |setting| {
                    run_in(None, setting, resource, *limit, &program(use_it, *limit), 12347)
                });
            });
        }
    });
}

/// The supervisor owns the pipe of the output and meters it too: an interpreter that counts nothing
/// prints no faster.
#[test]
fn a_broken_interpreter_prints_no_faster_than_the_rate() {
    use std::io::Read;
    const RATE: u64 = 100_000;
    /// What may be on its way between two looks at the clock.
    const BLOCK: u64 = 65_536;
    for user in integration::run::users() {
        let setting = Setting::new("shout", user);
        let launch = setting.launch(&wide_policy_with("lograte", &RATE.to_string()), "");
        let launch = launch.option("--interp").option(integration::run::program_of(user, "netbreach"));
        let start = std::time::Instant::now();
        let mut child = launch.argument("shout").command().spawn().expect("it starts");
        let mut out = child.stdout.take().expect("piped");
        let (mut bytes, mut block) = (0u64, vec![0u8; 16_384]);
        while start.elapsed() < Duration::from_secs(4) {
            bytes += out.read(&mut block).expect("output") as u64;
            let most = (start.elapsed().as_secs_f64() + 1.0) * RATE as f64;
            assert!(bytes <= most as u64 + BLOCK, "{bytes} bytes in {:?}, as {user:?}", start.elapsed());
        }
        let _ = child.kill();
        let _ = child.wait();
        assert!(bytes >= 2 * RATE, "only {bytes} bytes in {:?}", start.elapsed());
        println!("{bytes} bytes in {:.2?} as {user:?}", start.elapsed());
    }
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
                    check(&format!("{resource} by {way}"), LIMIT, |setting| {
                        run_in(network, setting, resource, LIMIT, &program(&use_it, LIMIT), port)
                    });
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
                    check(&format!("{resource} by {way}"), LIMIT, |setting| {
                        run_in(network, setting, resource, LIMIT, &program(&use_it, LIMIT), port)
                    });
                });
            }
        }
    });
}
