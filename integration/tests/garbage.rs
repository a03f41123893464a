//! What a program forgets is used again: a loop that makes the garbage of millions of requests stays flat, cycles
//! and all, and a million nested lists are made, looked at and freed.
#![allow(missing_docs)]

use integration::scratch::Scratch;
use integration::{bin, timed};
use nix::sys::resource::{getrusage, UsageWho};
use std::process::Command;
use std::time::Duration;

/// Requests of the long run: about thirteen seconds of processor time of an optimised build.
const REQUESTS: usize = 10_000_000;

/// What a request leaves: texts, a list, a dict, numbers of any size, an instance, and every time a cycle.
const SERVE: &str = "\
class Request:
  def __init__(self, number):
    self.number = number
    self.parts = ['GET', '/page/' + str(number), 'HTTP/1.0']
    self.self = self

def serve(number):
  request = Request(number)
  fields = {'path': request.parts[1], 'request': request}
  fields['line'] = ' '.join(request.parts)
  fields['size'] = 10 ** 20 + number
  answer = '%s: %d bytes' % (fields['line'], fields['size'] % 1000)
  return len(answer.split(' '))

def run(count):
  total = 0
  for number in xrange(count):
    total += serve(number)
  return total

print run(COUNT)
";

/// The largest resident set any child has had, in KiB.
fn peak() -> i64 {
    getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage works").max_rss()
}

/// Runs a program in so much memory, and gives what it printed.
fn run(name: &str, memory: usize, text: &str) -> String {
    let scratch = Scratch::new(name);
    let path = scratch.write("program.repy", text);
    let mut command = Command::new(bin("repy-interp"));
    command.args(["--unconfined", "--simple", "--memory", &memory.to_string()]).arg(&path);
    let output = timed::run(&mut command, Duration::from_secs(600));
    assert_eq!(output.code(), 0, "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// One after the other: the peak is that of all children so far.
#[test]
fn what_is_forgotten_is_used_again() {
    the_garbage_of_millions_of_requests_stays_flat();
    a_million_nested_lists_are_made_looked_at_and_freed();
}

fn the_garbage_of_millions_of_requests_stays_flat() {
    let serve = |count: usize| run("garbage", 16_000_000, &SERVE.replace("COUNT", &count.to_string()));
    // The first run takes as much as any: the collector has had its turns.
    let count = REQUESTS / 50;
    assert_eq!(serve(count), format!("{}\n", count * 5));
    let short = peak();
    assert_eq!(serve(REQUESTS), format!("{}\n", REQUESTS * 5));
    let long = peak();
    println!("peak of {count} requests {short} KiB, of {REQUESTS} {long} KiB");
    // A leak of one byte a request would show.
    assert!(long <= short + 8 * 1024, "{short} KiB after {count} requests, {long} KiB after {REQUESTS}");
}

fn a_million_nested_lists_are_made_looked_at_and_freed() {
    let text = "\
def nest(depth):
  item = []
  for i in xrange(depth):
    item = [item]
  return item

for turn in range(3):
  item = nest(1000000)
  other = nest(1000000)
  try:
    print len(repr(item))
  except RuntimeError, e:
    print 'repr:', e
  try:
    print item == other
  except RuntimeError, e:
    print 'compare:', e
  item = other = None
print 'freed'
";
    let turn = "repr: maximum recursion depth exceeded while getting the repr of an object\n\
                compare: maximum recursion depth exceeded in cmp\n";
    // Two of them at a time: three turns fit only if each is freed.
    assert_eq!(run("nested", 700_000_000, text), turn.repeat(3) + "freed\n");
}
