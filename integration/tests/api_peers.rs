//! Peers that reset, half-close, flood, say nothing or one byte at a time; ports in use; too many
//! visitors; a full disk. Whatever one peer does, the others get their answers.
#![allow(missing_docs)]

use integration::run::{finish, User};
use integration::setting::{wide_policy, Setting};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, ChildStdout, Command};
use std::time::Duration;

/// Long enough for any machine; a test that works never waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers each line with the same line, and tells how each connection ended.
const ECHO: &str = "
def serve(ip, port, sock, this, listener):
  mycontext['served'] += 1
  text = ''
  try:
    while True:
      text += sock.recv(1000)
      while '\\n' in text:
        line, text = text.split('\\n', 1)
        if line == 'end':
          exitall()
        whole = line + '\\n'
        while whole:
          whole = whole[sock.send(whole):]
  except Exception, e:
    print 'over:', str(e)
    sock.close()
if callfunc == 'initialize':
  mycontext['served'] = 0
  waitforconn('127.0.0.1', @PORT@, serve)
  print 'open'
";

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

fn policy(port: u16) -> String {
    wide_policy() + &format!("resource connport {port}\nresource messport {port}\n")
}

struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
    _setting: Setting,
}

impl Server {
    fn start(text: &str, options: &[&str]) -> Server {
        let setting = Setting::new("peers", User::Caller);
        let port = free_port();
        let mut launch = setting.launch(&policy(port), &text.replace("@PORT@", &port.to_string()));
        for word in options {
            launch = launch.option(word);
        }
        let mut child = launch.command().spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut server = Server { child, lines, port, _setting: setting };
        assert_eq!(server.line(), "open");
        server
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.set_write_timeout(Some(PATIENCE)).expect("set");
        stream
    }

    /// A new visitor is served.
    #[track_caller]
    fn answers(&self) {
        let mut stream = self.connect();
        stream.write_all(b"are you there\n").expect("sent");
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer).expect("an answer");
        assert_eq!(answer, "are you there\n");
    }

    #[track_caller]
    fn end(mut self) {
        self.connect().write_all(b"end\n").expect("sent");
        assert!(self.child.wait().expect("it ends").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Closes so that the other side is told "connection reset".
fn reset(stream: TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &linger).expect("set");
    drop(stream);
}

#[test]
fn a_reset_and_an_end_are_the_same_exception() {
    let mut server = Server::start(ECHO, &[]);
    for way in ["reset", "close", "half-close", "reset with data unread"] {
        let mut stream = server.connect();
        match way {
            "reset" => reset(stream),
            "close" => drop(stream),
            "half-close" => {
                stream.write_all(b"the last\nword").expect("sent");
                stream.shutdown(Shutdown::Write).expect("half closed");
                // What was asked before is still answered, and then the server closes.
                let mut all = String::new();
                stream.read_to_string(&mut all).expect("the answer");
                assert_eq!(all, "the last\n");
            }
            _ => {
                stream.write_all(b"hello\n").expect("sent");
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("the answer begins");
                reset(stream);
            }
        }
        assert_eq!(server.line(), "over: Socket closed", "{way}");
        server.answers();
        assert_eq!(server.line(), "over: Socket closed");
    }
    server.end();
}

#[test]
fn silent_and_slow_peers_hold_nobody_up() {
    let server = Server::start(ECHO, &[]);
    let silent: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    let mut slow = server.connect();
    for byte in b"one byte at a time\n" {
        slow.write_all(&[*byte]).expect("sent");
        server.answers();
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut answer = String::new();
    BufReader::new(&slow).read_line(&mut answer).expect("the answer to the slow one");
    assert_eq!(answer, "one byte at a time\n");
    drop(silent);
    server.end();
}

#[test]
fn a_peer_that_floods_and_never_reads_holds_nobody_up() {
    let server = Server::start(ECHO, &[]);
    let mut flood = server.connect();
    flood.set_write_timeout(Some(Duration::from_millis(300))).expect("set");
    // Until the buffers on both sides are full: the server waits to send.
    let mut sent = 0usize;
    while let Ok(count) = flood.write(b"abcdefghij\n") {
        sent += count;
        assert!(sent < 100 << 20, "the server keeps what it cannot send");
    }
    for _ in 0..20 {
        server.answers();
    }
    drop(flood);
    server.answers();
    server.end();
}

#[test]
fn a_flood_of_datagrams_leaves_the_rest_of_the_program_its_turn() {
    const TEXT: &str = "
def take(ip, port, message, handle):
  mycontext['n'] += 1
if callfunc == 'initialize':
  mycontext['n'] = 0
  recvmess('127.0.0.1', @PORT@, take)
  print 'open'
  for i in range(20):
    sleep(0.05)
  print 'ticked', mycontext['n'] > 0
  exitall()
";
    let mut server = Server::start(TEXT, &[]);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let to = (Ipv4Addr::LOCALHOST, server.port);
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                // Nobody listens any more at the very end.
                let _ = socket.send_to(&[b'x'; 100], to);
            }
        });
        assert_eq!(server.line(), "ticked True");
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(server.child.wait().expect("it ends").success());
}

#[test]
fn more_visitors_than_allowed_wait_for_their_turn() {
    let mut server = Server::start(ECHO, &["--max-accepted", "3"]);
    let visitors: Vec<TcpStream> = (0..10)
        .map(|i| {
            let mut stream = server.connect();
            stream.write_all(format!("visitor {i}\n").as_bytes()).expect("sent");
            stream
        })
        .collect();
    // Served in the order they came, each as soon as one before has gone.
    for (i, stream) in visitors.into_iter().enumerate() {
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer).expect("an answer");
        assert_eq!(answer, format!("visitor {i}\n"));
        drop(stream);
        assert_eq!(server.line(), "over: Socket closed");
    }
    server.answers();
    assert_eq!(server.line(), "over: Socket closed");
    server.end();
}

/// Greets each visitor, and forgets the connection in a cycle: nothing but a collection closes it.
const FORGETFUL: &str = "
class Visit:
  pass
def serve(ip, port, sock, this, listener):
  sock.send('hello')
  visit = Visit()
  visit.sock, visit.itself = sock, visit
if callfunc == 'initialize':
  waitforconn('127.0.0.1', @PORT@, serve)
  print 'open'
";

#[test]
fn forgotten_connections_make_room_for_visitors() {
    // A program that waits, and one that never does.
    for busy in ["", "  while True:\n    pass\n"] {
        let server = Server::start(&format!("{FORGETFUL}{busy}"), &["--max-accepted", "3"]);
        // The earlier ones stay on their side: nothing tells the program that they are over.
        let mut visitors = Vec::new();
        for _ in 0..12 {
            let mut visitor = server.connect();
            let mut greeting = [0; 5];
            visitor.read_exact(&mut greeting).expect("greeted");
            assert_eq!(&greeting, b"hello");
            visitors.push(visitor);
        }
    }
}

#[test]
fn a_port_in_use_is_said_and_can_be_used_when_it_is_free() {
    const TEXT: &str = "
def cb(*args):
  pass
if callfunc == 'initialize':
  for listen in [waitforconn, recvmess]:
    for i in range(3):
      try:
        listen('127.0.0.1', @PORT@, cb)
        print 'listens'
      except Exception, e:
        print e
  print 'open'
  while 'freed' not in listdir():
    sleep(0.02)
  a = waitforconn('127.0.0.1', @PORT@, cb)
  b = recvmess('127.0.0.1', @PORT@, cb)
  print stopcomm(a), stopcomm(b)
";
    let port = free_port();
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port");
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).expect("the port");
    let setting = Setting::new("inuse", User::Caller);
    let launch = setting.launch(&policy(port), &TEXT.replace("@PORT@", &port.to_string()));
    let mut child = launch.command().spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = || {
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    };
    for _ in 0..6 {
        assert_eq!(line(), "[Errno 98] Address already in use");
    }
    assert_eq!(line(), "open");
    drop((tcp, udp));
    std::fs::write(setting.vessel().join("freed"), "").expect("written");
    assert_eq!(line(), "True True");
    assert!(child.wait().expect("it ends").success());
}

/// A program that writes until the disk, not the limit, is full.
const FILL: &str = "
if callfunc == 'initialize':
  f = open('data', 'w')
  n = 0
  try:
    while True:
      f.write('x' * 1000)
      f.flush()
      n += 1000
  except IOError, e:
    print e
  try:
    f.close()
  except IOError, e:
    pass
  removefile('data')
  f = open('after', 'w')
  f.write('still works')
  f.close()
  print n > 0, open('after').read()
";

#[test]
fn a_full_disk_is_an_exception_and_the_program_goes_on() {
    if !integration::is_root() {
        return;
    }
    let setting = Setting::new("full", User::Caller);
    let launch = setting.launch(&wide_policy(), FILL).command();
    let vessel = setting.vessel().display().to_string();
    // A mount of this one shell's own: it goes away with it.
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "/bin/sh",
        "-c",
        "mount -t tmpfs -o size=256k,mode=755 none \"$0\" && exec \"$@\"",
    ]);
    command.arg(vessel).arg(launch.get_program()).args(launch.get_args());
    command.stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let run = finish(command, Duration::from_secs(60));
    if run.code() == 4 {
        // Kernels before 6.3 cannot map the owners of such a mount.
        eprintln!("skipped: {}", run.stderr);
        return;
    }
    run.expect_code(0).expect_stdout("[Errno 28] No space left on device\nTrue still works\n");
}

/// Odd arguments for every method of a socket and for its handles; afterwards it still works.
const ODD: &str = "
def cb(*args):
  pass
class Text(str):
  pass
def keep(ip, port, sock, this, listener):
  mycontext['other'] = sock
  mycontext['handle'] = this
if callfunc == 'initialize':
  listener = waitforconn('127.0.0.1', @PORT@, keep)
  s = openconn('127.0.0.1', @PORT@)
  while 'other' not in mycontext:
    sleep(0.01)
  wrong = []
  odd = [True, None, 1.5, 'x', [], (), {}, cb, s, listener, Text('x'), 1j]
  for value in odd:
    for name, call in [('recv', s.recv), ('stopcomm', stopcomm)]:
      if value is listener and name == 'stopcomm':
        continue
      try:
        call(value)
        wrong.append((name, str(value)))
      except TypeError:
        pass
      except Exception, e:
        if 'Namespace violation' not in str(e):
          wrong.append((name, str(value), str(e)))
  for value in [5, -1, 2 ** 70, True, None, 1.5, ['x'], ('x',), {}, cb, s, Text('x')]:
    try:
      s.send(value)
      wrong.append(('send', str(value)))
    except TypeError:
      pass
    except Exception, e:
      if 'Namespace violation' not in str(e):
        wrong.append(('send', str(value), str(e)))
  for name, call in [('close', s.close), ('willblock', s.willblock), ('recv', s.recv), ('send', s.send), ('stopcomm', stopcomm)]:
    for args, named in [(('x', 'x'), {}), ((1, 2, 3), {}), ((), {'nonsense': 1})]:
      try:
        call(*args, **named)
        wrong.append((name, args, named))
      except TypeError:
        pass
  for value in [-1, -2 ** 70]:
    try:
      s.recv(value)
      wrong.append(('recv', value))
    except ValueError, e:
      if str(e) != 'negative buffersize in recv':
        wrong.append(('recv', value, str(e)))
  print wrong
  print s.send(''), s.send(message='kept'), mycontext['other'].recv(2 ** 70), s.willblock()
  print stopcomm(mycontext['handle']), stopcomm(mycontext['handle']), s.close(), s.close(), stopcomm(listener)
";

#[test]
fn odd_arguments_of_a_socket_are_type_errors_and_it_still_works() {
    let setting = Setting::new("odd", User::Caller);
    let port = free_port();
    let launch = setting.launch(&policy(port), &ODD.replace("@PORT@", &port.to_string()));
    let run = launch.run(60);
    run.expect_code(0).expect_stdout("[]\n0 4 kept (True, False)\nTrue False True False True\n");
}
