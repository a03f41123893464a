//! The broker in a whole run: a taken-over interpreter that asks it for more than the policy
//! allows, a broker that dies, and what is left afterwards.
#![allow(missing_docs)]

use integration::run::{program_of, users, Finished, Launch, User};
use integration::setting::{wide_policy, Setting};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Granted in the policy of these tests.
fn own_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("its end").port()
}

struct Case {
    setting: Setting,
    policy: String,
    own: u16,
    allowed: UdpSocket,
    elsewhere: UdpSocket,
}

impl Case {
    /// A policy whose rules for sendmess are these, and two targets on one port.
    fn new(user: User, rules: &str) -> Case {
        let own = own_port();
        let ports = format!("resource messport {own}\nresource connport {own}\n");
        let policy = wide_policy().replace("call sendmess allow\n", rules) + &ports;
        let (allowed, elsewhere) = loop {
            let allowed = UdpSocket::bind("127.0.0.1:0").expect("bound");
            let port = allowed.local_addr().expect("its end").port();
            if let Ok(elsewhere) = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), port)) {
                break (allowed, elsewhere);
            }
        };
        for target in [&allowed, &elsewhere] {
            target.set_nonblocking(true).expect("set");
        }
        Case { setting: Setting::new("netbreach", user), policy, own, allowed, elsewhere }
    }

    fn launch(&self, attempt: &str) -> Launch {
        let user = self.setting.user();
        let target = self.allowed.local_addr().expect("its end").port();
        self.setting
            .launch(&self.policy, "")
            .option("--interp")
            .option(program_of(user, "netbreach"))
            .option("--wall")
            .option("20")
            .argument(attempt)
            .argument(self.own.to_string())
            .argument(target.to_string())
    }

    fn run(&self, attempt: &str) -> Finished {
        self.launch(attempt).run(40)
    }
}

fn received(target: &UdpSocket) -> bool {
    target.recv(&mut [0u8; 64]).is_ok()
}

#[test]
fn a_receiving_socket_sends_nowhere_else() {
    for user in users() {
        let held = Case::new(user, "call sendmess arg 0 is 127.0.0.1 allow\n");
        let run = held.run("own-socket");
        run.expect_stdout("receive: socket\n").expect_code(71);
        assert!(!received(&held.elsewhere), "it arrived");
        // Its twin, allowed to send anywhere: the same socket sends.
        let free = Case::new(user, "call sendmess allow\n");
        free.run("own-socket").expect_stdout("receive: socket\nelsewhere: sent\n").expect_code(0);
        assert!(received(&free.elsewhere), "it did not arrive");
    }
}

#[test]
fn a_socket_for_one_destination_sends_nowhere_else() {
    for user in users() {
        let held = Case::new(user, "call sendmess arg 0 is 127.0.0.1 allow\n");
        held.run("connected-socket").expect_stdout("sender: socket\n").expect_code(71);
        assert!(!received(&held.elsewhere), "it arrived");
        let free = Case::new(user, "call sendmess allow\n");
        free.run("connected-socket").expect_stdout("sender: socket\nelsewhere: sent\n").expect_code(0);
        assert!(received(&free.elsewhere), "it did not arrive");
    }
}

/// A socket to send by is none to receive by, whatever the interpreter does with it.
#[test]
fn a_sending_socket_receives_nothing() {
    for user in users() {
        let case = Case::new(user, "call sendmess allow\n");
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut buffer = [0u8; 64];
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    match case.allowed.recv_from(&mut buffer) {
                        Ok((_, from)) => drop(case.allowed.send_to(b"an answer", from)),
                        Err(_) => std::thread::sleep(Duration::from_millis(2)),
                    }
                }
            });
            let run = case.run("answers");
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            run.expect_code(0).expect_stdout(
                "sender: socket, sent\nsender: nothing\nreceiver: socket, sent\nreceiver: answered\n",
            );
        });
    }
}

/// Sends to the allowed address again and again, with others in between.
const POSTMAN: &str = "if callfunc == 'initialize':
  for i in range(20):
    print sendmess('127.0.0.1', ALLOWED, 'number ' + str(i)),
    print sendmess('127.0.0.1', NOBODY, 'x'),
    try:
      sendmess('127.0.0.2', ALLOWED, 'elsewhere')
    except Exception, e:
      print str(e)[:20],
  handle = recvmess('127.0.0.1', OWN, exitall)
  print sendmess('127.0.0.1', ALLOWED, 'from here', '127.0.0.1', OWN), stopcomm(handle)
  for port in range(1, 9):
    print sendmess('127.0.0.1', NOBODY - port, 'x') + sendmess('127.0.0.1', NOBODY - port, 'yy'),
  print sendmess('127.0.0.1', ALLOWED, 'last')
";

#[test]
fn messages_to_one_destination_all_arrive_and_others_are_refused_each_time() {
    for user in users() {
        let case = Case::new(user, "call sendmess arg 0 is 127.0.0.1 allow\n");
        let port = case.allowed.local_addr().expect("its end").port();
        let program = POSTMAN
            .replace("ALLOWED", &port.to_string())
            .replace("NOBODY", &own_port().to_string())
            .replace("OWN", &case.own.to_string());
        let run = case.setting.launch(&case.policy, &program).run(30);
        let lines: Vec<String> =
            (0..20).map(|i: usize| format!("{} 1 Call 'sendmess' with", 7 + i.to_string().len())).collect();
        let expected = format!("{} 9 True\n{} 4\n", lines.join(" "), ["3"; 8].join(" "));
        run.expect_code(0).expect_stdout(&expected);
        let mut buffer = [0u8; 64];
        let mut arrived = Vec::new();
        while let Ok(count) = case.allowed.recv(&mut buffer) {
            arrived.push(String::from_utf8_lossy(&buffer[..count]).into_owned());
        }
        let mut expected: Vec<String> = (0..20).map(|i| format!("number {i}")).collect();
        expected.extend(["from here".to_owned(), "last".to_owned()]);
        assert_eq!(arrived, expected);
        assert!(!received(&case.elsewhere), "it arrived");
    }
}

#[test]
fn the_broker_decides_on_what_is_used_not_on_what_is_claimed() {
    for user in users() {
        let held = Case::new(user, "call sendmess arg 0 is 127.0.0.1 allow\n");
        let run = held.run("ask");
        run.expect_code(0).expect_stdout(
            "elsewhere: Refused\nclaimed: Refused\nfree socket: Refused\nother port: PortNotGranted\nallowed: sent\n",
        );
        assert!(received(&held.allowed) && !received(&held.elsewhere));
    }
}

/// `outsockets` counts what is open, not what the interpreter says is open.
#[test]
fn a_connection_that_is_only_said_to_be_closed_keeps_its_place() {
    for user in users() {
        let mut case = Case::new(user, "call sendmess allow\n");
        let line = case.policy.lines().find(|line| line.starts_with("resource outsockets ")).expect("there");
        case.policy = case.policy.replace(line, "resource outsockets 2");
        let server = std::net::TcpListener::bind(case.allowed.local_addr().expect("its end")).expect("bound");
        let said = |first: usize| {
            let words = (0..6).map(|index| if index < first { "socket" } else { "TooMany" });
            words.map(|word| format!("connect: {word}\n")).collect::<String>()
        };
        case.run("hoard").expect_code(0).expect_stdout(&said(2));
        case.run("hoard-not").expect_code(0).expect_stdout(&said(6));
        drop(server);
    }
}

#[test]
fn questions_whose_answers_nobody_takes_do_not_fill_the_supervisor() {
    for user in users() {
        let case = Case::new(user, "call sendmess allow\n");
        let run = case.run("questions");
        run.expect_code(70).expect_stderr("questions whose answers it does not take");
    }
}

#[test]
fn what_is_no_request_ends_the_run() {
    for user in users() {
        let case = Case::new(user, "call sendmess allow\n");
        let run = case.run("garbage");
        run.expect_stdout("facts: granted\n").expect_code(70);
        run.expect_stderr("the interpreter sent what is no request");
    }
}

/// The process of a name whose parent is `parent`.
fn child_of(parent: u32, wanted: &str) -> Option<i32> {
    let entries = std::fs::read_dir("/proc").ok()?;
    entries.flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
        let its_parent: u32 = rest.split(' ').nth(1)?.parse().ok()?;
        (name == wanted && its_parent == parent).then_some(pid)
    })
}

fn broker_of(parent: u32) -> Option<i32> {
    child_of(parent, "repy-broker")
}

/// Makes the broker work as hard as the interpreter: rules hold the destination and the own port is
/// given, so that each message goes by the broker.
const WORK: &str = "if callfunc == 'initialize':
  recvmess('127.0.0.1', PORT, exitall)
  sendmess('127.0.0.1', 9, 'x', '127.0.0.1', PORT)
  print 'up'
  while True:
    sendmess('127.0.0.1', 9, 'x' * 1000, '127.0.0.1', PORT)
";

#[test]
fn the_brokers_time_counts_in_the_programs_share() {
    const SHARE: f64 = 0.2;
    for options in [&["--without", "cgroup"][..], &[]] {
        if options.is_empty() && !integration::is_root() {
            continue;
        }
        let case = Case::new(User::Caller, "call sendmess arg 0 is 127.0.0.1 allow\n");
        let policy = case.policy.replace("resource cpu 1\n", &format!("resource cpu {SHARE}\n"));
        let mut launch = case.setting.launch(&policy, &WORK.replace("PORT", &case.own.to_string()));
        for word in options {
            launch = launch.option(word);
        }
        let start = Instant::now();
        let mut child = launch.command().spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        assert_eq!(line, "up\n");
        let times = |name: &str| {
            let pid = child_of(child.id(), name).unwrap_or_else(|| panic!("no {name}"));
            let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("its statistics");
            text.split(' ').next().and_then(|word| word.parse::<f64>().ok()).expect("a number") / 1e9
        };
        std::thread::sleep(Duration::from_secs(3));
        let (interpreter, broker) = (times("repy-interp"), times("repy-broker"));
        let elapsed = start.elapsed().as_secs_f64();
        kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).expect("signalled");
        child.wait().expect("it ends");
        assert!(broker > 0.2 * interpreter, "the broker had little to do: {broker} s, {interpreter} s");
        // Not counted, the broker would take as much again as the interpreter may.
        let most = 1.25 * SHARE * elapsed + 0.05;
        assert!(interpreter + broker <= most, "{interpreter} s and {broker} s in {elapsed} s");
    }
}

#[test]
fn the_death_of_the_broker_ends_the_run_and_the_run_the_broker() {
    for user in users() {
        let case = Case::new(user, "call sendmess allow\n");
        for killed in ["broker", "run"] {
            let mut child = case.launch("idle").command().spawn().expect("it starts");
            let mut line = String::new();
            BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
            assert_eq!(line.trim(), "facts: granted");
            let broker = broker_of(child.id()).expect("a broker");
            let victim = if killed == "broker" { broker } else { child.id() as i32 };
            kill(Pid::from_raw(victim), Signal::SIGKILL).expect("killed");
            let start = Instant::now();
            let status = child.wait().expect("it ends");
            if killed == "broker" {
                assert_eq!(status.code(), Some(70));
                let mut text = String::new();
                child.stderr.take().expect("piped").read_to_string(&mut text).expect("text");
                assert!(text.contains("broker"), "{text}");
            }
            let gone = || {
                let stat = std::fs::read_to_string(format!("/proc/{broker}/stat")).unwrap_or_default();
                stat.is_empty() || stat.contains(") Z ")
            };
            while !gone() {
                assert!(start.elapsed() < Duration::from_secs(2), "the broker outlived the run");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

#[test]
fn a_run_without_network_has_no_broker() {
    let setting = Setting::new("nobroker", User::Caller);
    let launch = setting.launch(&wide_policy(), "if callfunc == 'initialize':\n  sleep(1)\n");
    let mut command = launch.command();
    command.stdin(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(700) {
        assert_eq!(broker_of(child.id()), None, "nobody asked for anything");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(child.wait().expect("it ends").success());
}

/// Tries each address and prints which can be listened on.
const ADDRESSES: &str = "if callfunc == 'initialize':
  print getmyip()
  for ip in ['127.0.0.1', '127.0.0.2', '127.0.0.3']:
    try:
      stopcomm(recvmess(ip, PORT, exitall))
      print ip, 'yes'
    except Exception, e:
      print e
";

#[test]
fn own_addresses_are_held_to_the_options() {
    for user in users() {
        let case = Case::new(user, "call sendmess allow\n");
        let program = ADDRESSES.replace("PORT", &case.own.to_string());
        let yes = |last: u8| format!("127.0.0.{last} yes\n");
        let no = |last: u8| format!("IP '127.0.0.{last}' is not allowed.\n");
        let home = "127.0.0.1\n".to_owned();
        for (options, expected) in [
            (&["--nootherips"][..], [home.clone(), yes(1), no(2), no(3)]),
            (&["--ip", "127.0.0.2", "--nootherips"], ["127.0.0.2\n".into(), yes(1), yes(2), no(3)]),
            (&["--iface", "lo", "--nootherips"], [home.clone(), yes(1), no(2), no(3)]),
            (&["--ip", "127.0.0.3"], ["127.0.0.3\n".into(), yes(1), yes(2), yes(3)]),
            (&["--norestrictions", "--nootherips"], [home, yes(1), no(2), no(3)]),
        ] {
            let mut launch = case.setting.launch(&case.policy, &program);
            for word in options {
                launch = launch.option(word);
            }
            launch.run(30).expect_code(0).expect_stdout(&expected.concat());
        }
        let run = case.setting.launch(&case.policy, &program).option("--ip").option("10.1").run(30);
        run.expect_code(2);
    }
}

#[test]
fn an_ordinary_user_is_told_of_low_ports() {
    for user in users().into_iter().filter(|user| *user == User::Ordinary || !integration::is_root()) {
        let setting = Setting::new("low", user);
        let policy = wide_policy() + "resource connport 901\n";
        let program = "if callfunc == 'initialize':
  try:
    waitforconn('127.0.0.1', 901, exitall)
  except Exception, e:
    print e
";
        let run = setting.launch(&policy, program).run(30);
        run.expect_code(0).expect_stdout("[Errno 13] Permission denied\n");
        run.expect_stderr("cannot bind ports below");
        // `check` says it with the line, before any run.
        let lines = policy.lines().count();
        let checked =
            integration::live::tool(user, &["check", &setting.beside("policy.test").to_string_lossy()]);
        checked.expect_code(0);
        let said = checked.stdout + &checked.stderr;
        assert!(said.contains(&format!("connport 901 (line {lines})")), "{said}");
    }
}

/// Counts its visitors and keeps every connection.
const HALL: &str = "def visit(ip, port, socket, handle, listener):
  mycontext['all'].append(socket)
  if len(mycontext['all']) == 5000:
    print 'all are here'
    exitall()
if callfunc == 'initialize':
  mycontext['all'] = []
  waitforconn('127.0.0.1', PORT, visit)
  print 'open'
";

#[test]
fn five_thousand_connections_live_at_once() {
    use nix::sys::resource::{getrlimit, setrlimit, Resource};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    if hard < 12_000 {
        return integration::skipped(&format!("the hard limit of open files is {hard}"));
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("raised");
    let case = Case::new(User::Caller, "call sendmess allow\n");
    let policy = case.policy.replace("memory 50000000", "memory 200000000");
    let program = HALL.replace("PORT", &case.own.to_string());
    let launch = case.setting.launch(&policy, &program).option("--max-accepted").option("6000");
    let mut child = launch.command().spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    assert_eq!(line, "open\n");
    let visitors: Vec<TcpStream> = (0..5000)
        .map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, case.own)).expect("a connection"))
        .collect();
    line.clear();
    lines.read_line(&mut line).expect("a line");
    assert_eq!(line, "all are here\n");
    assert!(child.wait().expect("it ends").success());
    drop(visitors);
}
