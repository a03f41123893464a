//! What the broker takes of its host, whatever the interpreter sends: memory, descriptors,
//! processes and requests a second are bounded. And what a program sees where it, or the broker,
//! has no descriptor left: the system's exception, and everything works again afterwards.
#![allow(missing_docs)]

use integration::processes::{descendants, field};
use integration::run::{program_of, users, User};
use integration::setting::{wide_policy, Setting};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// What a test may see of a broker that is flooded. Its own limits are tighter than the memory
/// and the descriptors (its group, RLIMIT_AS, RLIMIT_NOFILE): these are far below.
const MOST_RESIDENT: u64 = 48 << 20;
const MOST_DESCRIPTORS: usize = 400;
const MOST_CHILDREN: usize = 16;

/// A running launcher, ended with the value.
struct Run {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Run {
    fn start(mut command: Command) -> Run {
        let mut child = command.stderr(Stdio::inherit()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Run { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// The process of a name below the launcher.
    fn process(&self, name: &str) -> u32 {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let found = descendants(self.child.id()).into_iter().find(|pid| {
                let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                comm.trim() == name && field(*pid, 1) == Some(self.child.id().to_string())
            });
            if let Some(pid) = found {
                return pid;
            }
            assert!(Instant::now() < deadline, "no {name}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A figure of `/proc/PID/status`.
fn status(pid: u32, key: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap_or_default();
    line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("its end").port()
}

fn policy(ports: &[u16]) -> String {
    let lines = ports.iter().map(|port| format!("resource messport {port}\nresource connport {port}\n"));
    wide_policy() + &lines.collect::<String>()
}

#[test]
fn a_flood_of_requests_fills_neither_memory_nor_descriptors() {
    let target = TcpListener::bind("127.0.0.1:0").expect("bound");
    let target_port = target.local_addr().expect("its end").port();
    for user in users() {
        for what in [
            "facts",
            "names",
            "listeners",
            "receivers",
            "senders",
            "connections",
            "messages",
            "places",
            "closes",
            "cancels",
        ] {
            let setting = Setting::new("flood", user);
            let own = free_port();
            let launch =
                setting.launch(&policy(&[own]), "").option("--interp").option(program_of(user, "netbreach"));
            let launch = launch.argument("flood").argument(own.to_string());
            let mut run = Run::start(launch.argument(target_port.to_string()).argument(what).command());
            assert_eq!(run.line(), "asked 1", "{what}");
            let broker = run.process("repy-broker");
            let start = Instant::now();
            let mut descriptors = 0;
            while start.elapsed() < Duration::from_secs(1) {
                let open = std::fs::read_dir(format!("/proc/{broker}/fd")).map_or(0, Iterator::count);
                descriptors = descriptors.max(open);
                let children = descendants(broker).len();
                assert!(children <= MOST_CHILDREN, "{what}: {children} children");
                std::thread::sleep(Duration::from_millis(20));
                // It may end the run for it, which bounds it as well.
                if run.child.try_wait().expect("waitable").is_some() {
                    break;
                }
            }
            let resident = status(broker, "VmHWM") << 10;
            println!("{what} as {user:?}: {} KiB, {descriptors} descriptors", resident >> 10);
            assert!(resident <= MOST_RESIDENT, "{what}: {resident} bytes");
            assert!(descriptors <= MOST_DESCRIPTORS, "{what}: {descriptors} descriptors");
        }
    }
}

#[test]
fn requests_are_read_at_a_bounded_rate() {
    const PER_SECOND: f64 = 50_000.0;
    let setting = Setting::new("hurry", User::Caller);
    let launch =
        setting.launch(&policy(&[]), "").option("--interp").option(program_of(User::Caller, "netbreach"));
    let run = launch.argument("hurry").run(60);
    run.expect_code(0);
    let figures: Vec<f64> = run.stdout.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [answers, seconds] = figures[..] else { panic!("{run:?}") };
    println!("{answers} requests in {seconds:.2} s");
    assert!(answers <= PER_SECOND * (seconds + 1.0) + 64.0, "{answers} in {seconds} s");
    assert!(answers > 1000.0, "{answers} in {seconds} s");
}

/// Does everything that needs a descriptor, each time a datagram tells it to.
const EVERYTHING: &str = "
def noop(*args):
  pass
def attempt(name, call, *args):
  try:
    result = call(*args)
    print name + ': ok'
    return result
  except Exception, e:
    print name + ':', e
def told(ip, port, message, handle):
  attempt('open', open, 'some', 'w')
  attempt('listdir', listdir)
  attempt('openconn', openconn, '127.0.0.1', TARGET)
  attempt('sendmess', sendmess, '127.0.0.1', TARGET, 'x')
  attempt('own', sendmess, '127.0.0.1', TARGET, 'x', '127.0.0.1', SECOND)
  for name, listen in [('waitforconn', waitforconn), ('recvmess', recvmess)]:
    handle = attempt(name, listen, '127.0.0.1', SECOND, noop)
    if handle:
      stopcomm(handle)
  attempt('name', gethostbyname_ex, 'localhost')
  print 'end'
def visit(ip, port, sock, this, listener):
  sock.send('hello')
if callfunc == 'initialize':
  recvmess('127.0.0.1', FIRST, told)
  waitforconn('127.0.0.1', FIRST, visit)
  print 'up'
";

/// Sets the limit of open files of a process of the run: as its own user, which needs no
/// capability.
fn limit_descriptors(pid: u32, most: u64) {
    let id = status(pid, "Uid").to_string();
    let mut command = match integration::is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "prlimit"]);
            command
        }
        false => Command::new("prlimit"),
    };
    command.args(["--pid", &pid.to_string(), &format!("--nofile={most}:")]);
    assert!(command.status().expect("prlimit starts").success());
}

#[test]
fn without_a_free_descriptor_calls_raise_and_work_again_later() {
    const FULL: &str = "[Errno 24] Too many open files";
    let target = TcpListener::bind("127.0.0.1:0").expect("bound");
    let target_port = target.local_addr().expect("its end").port();
    for user in users() {
        let setting = Setting::new("emfile", user);
        let (first, second) = (free_port(), free_port());
        let program = EVERYTHING
            .replace("TARGET", &target_port.to_string())
            .replace("FIRST", &first.to_string())
            .replace("SECOND", &second.to_string());
        let mut run = Run::start(setting.launch(&policy(&[first, second]), &program).command());
        assert_eq!(run.line(), "up");
        let (interpreter, broker) = (run.process("repy-interp"), run.process("repy-broker"));
        let told = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let mut round = |what: &str, refused: &[(&str, &str)]| {
            told.send_to(b"go", (Ipv4Addr::LOCALHOST, first)).expect("sent");
            let mut seen = 0;
            loop {
                let line = run.line();
                if line == "end" {
                    break;
                }
                let (name, answer) = line.split_once(": ").unwrap_or((&line, "(nothing)"));
                let expected = refused.iter().find(|(call, _)| *call == name).map_or("ok", |(_, text)| text);
                assert_eq!(answer, expected, "{what}, as {user:?}: {name}");
                seen += 1;
            }
            assert_eq!(seen, 8, "{what}, as {user:?}");
        };
        let file = format!("{FULL}: 'some'");
        // Twice: what was refused has taken nothing that it would miss the second time.
        for _ in 0..2 {
            round("before", &[]);
            limit_descriptors(interpreter, 1);
            let sockets = [("openconn", FULL), ("waitforconn", FULL), ("recvmess", FULL)];
            round(
                "the program has none",
                &[&[("open", file.as_str()), ("listdir", FULL)], &sockets[..]].concat(),
            );
            limit_descriptors(interpreter, 1000);
            round("between", &[]);
            limit_descriptors(broker, 1);
            let names = [("own", FULL), ("name", "[Errno -3] Temporary failure in name resolution")];
            round("the broker has none", &[&names[..], &sockets].concat());
            limit_descriptors(broker, 2000);
        }
        round("after", &[]);

        // A visitor who comes while there is none is served as soon as there is one.
        limit_descriptors(interpreter, 1);
        let mut visitor = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, first)).expect("connected");
        visitor.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
        let mut greeting = [0u8; 5];
        let served = |visitor: &mut std::net::TcpStream, greeting: &mut [u8; 5]| {
            std::io::Read::read_exact(visitor, greeting).is_ok()
        };
        assert!(!served(&mut visitor, &mut greeting), "there was a descriptor for it");
        limit_descriptors(interpreter, 1000);
        visitor.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        assert!(served(&mut visitor, &mut greeting) && &greeting == b"hello");
        assert!(run.child.try_wait().expect("waitable").is_none(), "it runs on");
    }
}
