//! Rates on the fake clock: it moves only while the program waits.

use super::{generous, run_on, under};
use crate::api::state::Api;
use crate::host::fake::FakeHost;
use crate::run::Order;
use policies::Resource;

/// Seconds the clock has moved.
fn seconds(ran: &mut super::Ran) -> f64 {
    Api::of(&mut ran.vm).0.host.now() as f64 / 1e9
}

/// Runs a script with one rate of 100 per second and tells how long it took.
fn takes(resource: Resource, text: &str) -> f64 {
    let policy = generous().set(resource, 100.0).build();
    let mut host = FakeHost::new();
    host.files.insert(b"data".to_vec(), vec![b'\n'; 1100]);
    let order = Order { simple: true, policy: Some(policy), ..super::order(text) };
    let mut ran = run_on(host, order);
    assert_eq!(ran.error(), "");
    seconds(&mut ran)
}

#[test]
fn each_call_is_charged_what_it_moves() {
    // 1100 units at 100 per second: one second is free, ten are paid for.
    let cases = [
        (Resource::FileWrite, "f = open('a', 'w')\nfor i in range(110):\n  f.write('0123456789')\n"),
        (Resource::FileWrite, "f = open('a', 'w')\nf.write('x' * 1100)\n"),
        (Resource::FileWrite, "f = open('a', 'w')\nf.writelines(['0123456789'] * 110)\n"),
        (Resource::FileRead, "f = open('data')\nwhile f.read(10):\n  pass\n"),
        (Resource::FileRead, "f = open('data')\nf.read()\n"),
        (Resource::FileRead, "f = open('data')\nf.readlines()\n"),
        (Resource::FileRead, "f = open('data')\nwhile f.readline():\n  pass\n"),
        (
            Resource::FileRead,
            "f = open('data')\ntry:\n  while True:\n    f.next()\nexcept StopIteration:\n  pass\n",
        ),
        (Resource::LogRate, "for i in range(110):\n  print '012345678'\n"),
        (Resource::Random, "for i in range(1100):\n  randomfloat()\n"),
    ];
    for (resource, text) in cases {
        let took = takes(resource, text);
        assert!((9.9..=10.01).contains(&took), "{}: {took} in\n{text}", resource.name());
    }
    // A for loop pays for a line before the next one.
    let took = takes(Resource::FileRead, "for line in open('data'):\n  pass\n");
    assert!((9.9..=10.01).contains(&took), "{took}");
}

#[test]
fn a_limit_of_nothing_refuses_and_does_nothing() {
    let cases = [
        (Resource::FileWrite, "f = open('a', 'w')\nf.write('x')\n", "filewrite"),
        (Resource::FileRead, "open('a', 'w').close()\nopen('a').read()\n", "fileread"),
        (Resource::Random, "randomfloat()\n", "random"),
        (Resource::LogRate, "print 'x'\n", "lograte"),
    ];
    for (resource, text, name) in cases {
        let mut ran = under(generous().set(resource, 0.0).build(), text);
        let expected = format!("Resource '{name}' limit set to 0, won't drain!");
        assert!(ran.error().contains(&expected), "{}", ran.error());
        assert_eq!(ran.output(), "");
        assert!(ran.host().files.values().all(Vec::is_empty));
    }
}

#[test]
fn waiting_threads_are_served_in_order_and_none_of_them_holds_the_others_up() {
    let text = "\
if callfunc == 'initialize':
  mycontext['order'] = []
  def write(name):
    f = open(name, 'w')
    for i in range(5):
      f.write('x' * 20)
      mycontext['order'].append(name)
  def tick():
    mycontext['order'].append('tick')
  for name in ['a', 'b', 'c']:
    settimer(0, write, (name,))
  settimer(0.5, tick, ())
else:
  print ''.join(mycontext['order'])
  print getruntime()
";
    let policy = generous().set(Resource::FileWrite, 100.0).build();
    let mut ran = run_on(FakeHost::new(), Order { policy: Some(policy), ..super::order(text) });
    let output = ran.output();
    let (order, rest) = output.split_once('\n').expect("two lines");
    // The burst goes to whoever is first, then the three take turns.
    let before_tick = order.find("tick").expect("it ran");
    assert!(before_tick < order.len() - 4, "{order}");
    for name in ['a', 'b', 'c'] {
        assert_eq!(order.matches(name).count() - usize::from(name == 'c'), 5, "{order}");
    }
    let seconds: f64 = rest.trim().parse().expect("a number");
    assert!((1.9..2.1).contains(&seconds), "{seconds}");
}

/// A control frame for the interpreter.
fn recounted(bytes: u64) -> (crate::host::Channel, Vec<u8>, Option<crate::host::SocketId>) {
    let frame = policies::channel::control::ToInterpreter::DiskUsed(bytes).encode();
    (crate::host::Channel::Control, frame, None)
}

#[test]
fn a_recount_counts_only_when_the_run_has_left_its_files_alone() {
    let text = "\
f = open('a', 'w')
f.write('x' * 1000)
f.flush()
sleep(0.5)
sleep(3)
print 'on'
g = open('b', 'w')
";
    let policy = || generous().set(Resource::DiskUsed, 20_000.0).build();
    // A stale count, taken before the file was written, changes nothing.
    let mut host = FakeHost::new();
    host.frames.push_back(recounted(19_999));
    let mut ran = run_on(host, Order { simple: true, policy: Some(policy()), ..super::order(text) });
    assert_eq!(ran.outcome, policies::channel::control::Outcome::Finished);
    assert_eq!(Api::of(&mut ran.vm).0.meters.disk().used(), 2 * 4096 + 1000);
}

#[test]
fn use_is_reported_at_the_end() {
    use policies::channel::control::FromInterpreter;
    let text =
        "f = open('a', 'w')\nf.write('12345')\nprint 'ab'\ntry:\n  open('a')\nexcept ValueError:\n  pass\n";
    let mut ran = run_on(FakeHost::new(), Order { simple: true, ..super::order(text) });
    let frames = std::mem::take(&mut ran.host().frames_sent);
    let (_, last) = frames.last().expect("a report");
    let Ok(FromInterpreter::Usage { counters, refusals: 0, accepted: 0 }) = FromInterpreter::decode(last)
    else {
        panic!("not a report of use");
    };
    let of = |resource| counters.iter().find(|counter| counter.resource == resource).expect("it is there");
    assert_eq!((of(Resource::FileWrite).total, of(Resource::FileWrite).peak), (5, 5));
    assert_eq!(of(Resource::LogRate).total, 3);
    assert_eq!((of(Resource::FilesOpened).total, of(Resource::FilesOpened).peak), (1, 1));
    assert_eq!(of(Resource::DiskUsed).peak, 4096 + 5);
}
