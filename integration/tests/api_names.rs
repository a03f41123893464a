//! Names from end to end: the hosts file, a resolver that never answers, one that answers with far
//! more than anybody can use, and names as destinations. A question holds nobody else up.
#![allow(missing_docs)]

use integration::network::{Network, SERVER_ADDRESS};
use integration::run::{finish, Finished, User};
use integration::setting::{wide_policy, Setting};
use std::time::Duration;

fn run(network: &Network, policy: &str, program: &str) -> Finished {
    let setting = Setting::new("names", User::Caller);
    let launch = setting.launch(policy, program).option("--wall").option("30");
    finish(network.inside(&launch.command()), Duration::from_secs(60))
}

#[test]
fn the_hosts_file_is_enough_for_names_as_destinations() {
    let Some(mut network) = Network::new("hosts") else { return };
    network.names(&format!("{SERVER_ADDRESS} server.example server\n"), "");
    network.serve(&["http", &format!("{SERVER_ADDRESS}:80")]);
    network.serve(&["ntp", &format!("{SERVER_ADDRESS}:123")]);
    let program = "def got(ip, port, message, handle):
  mycontext['got'] = [ip, port, len(message)]
  stopcomm(handle)
if callfunc == 'initialize':
  print gethostbyname_ex('server')
  s = openconn('SERVER.example', 80)
  s.send('GET / HTTP/1.1\\r\\n\\r\\n')
  print s.recv(15)
  recvmess('192.0.2.10', 12345, got)
  print sendmess('server', 123, chr(27) + chr(0) * 47, '192.0.2.10', 12345)
else:
  print mycontext['got']
";
    run(&network, &wide_policy(), program).expect_code(0).expect_stdout(&format!(
        "('server.example', ['server'], ['{SERVER_ADDRESS}'])\nHTTP/1.1 200 OK\n48\n['{SERVER_ADDRESS}', 123, 48]\n"
    ));
}

#[test]
fn a_dead_resolver_is_an_exception_in_time_and_holds_nobody_up() {
    let Some(mut network) = Network::new("dead") else { return };
    network.names("", &format!("nameserver {SERVER_ADDRESS}\noptions timeout:1 attempts:1\n"));
    network.serve(&["dns", &format!("{SERVER_ADDRESS}:53"), "0", "198.51.100.1"]);
    let program = "def tick():
  mycontext['ticks'] += 1
  if not mycontext['over']:
    settimer(0.02, tick, ())
def ask():
  try:
    gethostbyname_ex('second.example')
    print 'found'
  except Exception, e:
    mycontext['second'] = str(e)
if callfunc == 'initialize':
  mycontext['ticks'] = 0
  mycontext['over'] = False
  tick()
  settimer(0, ask, ())
  try:
    gethostbyname_ex('first.example')
    print 'found'
  except Exception, e:
    print e
  mycontext['over'] = True
  print mycontext['ticks'] > 5
else:
  print mycontext['second']
";
    let run = run(&network, &wide_policy(), program);
    run.expect_code(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", run.stdout);
    for line in [lines[0], lines[2]] {
        assert!(line.starts_with("[Errno -3]") || line.starts_with("[Errno -2]"), "{}", run.stdout);
    }
    assert_eq!(lines[1], "True");
}

/// More than fits into a datagram comes by TCP; of a thousand addresses the first 64 are kept.
#[test]
fn many_answers_are_cut_to_a_bound() {
    for (count, kept) in [(20, 20), (64, 64), (200, 64), (1000, 64), (4000, 64)] {
        let Some(mut network) = Network::new("many") else { return };
        network.names("", &format!("nameserver {SERVER_ADDRESS}\n"));
        network.serve(&["dns", &format!("{SERVER_ADDRESS}:53"), &count.to_string(), "198.51.100.1"]);
        let program = "if callfunc == 'initialize':
  for i in range(3):
    name, aliases, addresses = gethostbyname_ex('many.example')
    print name, aliases, len(addresses), addresses[0], addresses[-1]
";
        let last = std::net::Ipv4Addr::from(u32::from_be_bytes([198, 51, 100, 0]) + kept);
        let line = format!("many.example [] {kept} 198.51.100.1 {last}\n");
        run(&network, &wide_policy(), program).expect_code(0).expect_stdout(&line.repeat(3));
    }
}

#[test]
fn no_question_goes_out_for_a_name_that_no_rule_allows() {
    let Some(network) = Network::new("rules") else { return };
    // Nobody answers here: a question would take seconds and end in another exception.
    network.names("127.0.0.1 good.example\n", &format!("nameserver {SERVER_ADDRESS}\n"));
    let policy =
        wide_policy().replace("call sendmess allow\n", "call sendmess arg 0 is good.example allow\n");
    let program = "if callfunc == 'initialize':
  print sendmess('good.example', 12345, 'x')
  for name in ['bad.example', '127.0.0.1', 'GOOD.example', 'good.example.']:
    try:
      print sendmess(name, 12345, 'x')
    except Exception, e:
      print str(e)[:20]
";
    let refused = "Call 'sendmess' with\n".repeat(4);
    run(&network, &policy, program).expect_code(0).expect_stdout(&format!("1\n{refused}"));
}

/// The process that resolves a name is killed while it waits for an answer: an exception, and the
/// next question finds another.
#[test]
fn the_death_of_a_resolving_process_is_an_exception() {
    let Some(mut network) = Network::new("resolver") else { return };
    network.names(
        "127.0.0.9 known.example\n",
        &format!("nameserver {SERVER_ADDRESS}\noptions timeout:10 attempts:3\n"),
    );
    network.serve(&["dns", &format!("{SERVER_ADDRESS}:53"), "0", "198.51.100.1"]);
    let program = "if callfunc == 'initialize':
  gethostbyname_ex('known.example')
  print 'up'
  try:
    gethostbyname_ex('unknown.example')
    print 'found'
  except Exception, e:
    print e
  print gethostbyname_ex('known.example')
";
    let setting = Setting::new("names", User::Caller);
    let launch = setting.launch(&wide_policy(), program).option("--wall").option("60");
    let mut child = network.inside(&launch.command()).spawn().expect("it starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("piped")));
    let mut line = || lines.next().expect("a line").expect("readable");
    assert_eq!(line(), "up");
    let below = |pid: u32| integration::processes::descendants(pid);
    let named = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "repy-broker")
    };
    let mut resolving = None;
    let found = integration::processes::wait_until(Duration::from_secs(10), || {
        let broker = below(child.id()).into_iter().find(|pid| named(pid) && !below(*pid).is_empty());
        resolving = broker.and_then(|broker| below(broker).first().copied());
        resolving.is_some()
    });
    assert!(found, "nobody resolves");
    let resolving = nix::unistd::Pid::from_raw(resolving.unwrap_or_default() as i32);
    nix::sys::signal::kill(resolving, nix::sys::signal::Signal::SIGKILL).expect("killed");
    assert_eq!(line(), "[Errno -3] Temporary failure in name resolution");
    assert_eq!(line(), "('known.example', [], ['127.0.0.9'])");
    assert!(child.wait().expect("it ends").success());
}
