//! File objects, as programs see them.

use super::{generous, printed, raised, run_on, script, under};
use crate::host::fake::FakeHost;
use crate::run::Order;
use policies::channel::control::Outcome;
use policies::{Call, Resource};

#[test]
fn writing_reading_and_iterating() {
    let text = "\
f = open('a', 'w')
f.write('one\\ntwo\\n')
f.writelines(['three\\n', 'four'])
print >> f, 'printed', 5
f.close()
f = open('a')
for line in f:
  print repr(line),
print f.read() == '', f.readline() == ''
f.seek(4)
print f.read(3), f.readline() == '\\n', f.readlines()
print listdir()
f.close()
f.close()
removefile('a')
print listdir()
";
    assert_eq!(
        printed(text),
        "'one\\n' 'two\\n' 'three\\n' 'fourprinted 5\\n' True True\n\
         two True ['three\\n', 'fourprinted 5\\n']\n['a']\n[]\n"
    );
}

#[test]
fn the_texts_of_failures() {
    let setup = "w = open('w', 'w')\nw.write('x')\nr = open('seen', 'w')\nr.write('1')\nr.close()\n\
                 r = open('seen')\nclosed = open('c', 'w')\nclosed.close()\nrc = open('seen2', 'w')\nrc.close()\n\
                 rc = open('seen2')\nrc.close()\n";
    let cases = [
        ("open('missing')", "[Errno 2] No such file or directory: 'missing'"),
        ("open('w')", "A file is only allowed to have one open filehandle."),
        ("open('a/b')", "filename has disallowed character '/'"),
        ("open('')", "filename is the empty string!"),
        ("open('..', 'w')", "filename cannot be a directory"),
        ("open('x', 'U')", "Invalid or unsupported mode ('U') passed to open()."),
        ("open('x', '')", "Invalid or unsupported mode ('') passed to open()."),
        ("r.write('x')", "write() isn't allowed on read-only file objects!"),
        ("r.writelines(['x'])", "writelines() isn't allowed on read-only file objects!"),
        ("w.next()", "file.next() is invalid for write-enabled files."),
        ("r.read(3L)", "file.read() expects an integer argument"),
        ("r.seek(-1)", "[Errno 22] Invalid argument"),
        ("r.seek(10 ** 30)", "[Errno 22] Invalid argument"),
        ("r.seek(0, 9)", "[Errno 22] Invalid argument"),
        ("closed.read()", "Invalid file object (probably closed)."),
        ("closed.write('x')", "Invalid file object (probably closed)."),
        ("removefile('w')[0]", "File \"w\" is open with handle \"MainThread:1\""),
        ("removefile('gone')", "[Errno 2] No such file or directory: 'gone'"),
        ("removefile(5)", "filename is not a string!"),
        ("r.tell", "tell"),
        ("rc.flush()", "no exception"),
    ];
    for (call, expected) in cases {
        assert_eq!(raised(setup, call), expected, "{call}");
    }
    for call in ["closed.seek(0)", "closed.next()", "closed.flush()"] {
        let text = raised(setup, call);
        assert!(text.starts_with("'MainThread:"), "{call}: {text}");
    }
}

#[test]
fn forgotten_files_are_closed_even_in_cycles() {
    let policy = || generous().set(Resource::FilesOpened, 1.0).build();
    let text = "\
def touch(name):
  f = open(name, 'w')
  f.write('x')
for i in range(5):
  touch('a')
class Holder:
  pass
def cycle():
  h = Holder()
  h.me = h
  h.file = open('a', 'r')
cycle()
print open('b', 'w') is None
";
    let mut ran = under(policy(), text);
    assert_eq!(ran.output(), "False\n", "{}", ran.error());
    let mut ran = under(policy(), "f = open('a', 'w')\ng = open('b', 'w')\n");
    assert_eq!(
        ran.outcome,
        Outcome::UncaughtException(
            "Exception (with type 'exceptions.Exception'): Resource 'filesopened' limit exceeded!!"
                .to_owned()
        )
    );
    assert!(!ran.host().files.contains_key(&b"b"[..]));
}

#[test]
fn data_is_written_at_a_normal_end() {
    let mut ran = script("f = open('a', 'w')\nf.write('kept')\n");
    assert_eq!(ran.host().files[&b"a"[..]], b"kept");
    let mut ran = script("f = open('a', 'w')\nf.write('kept')\nexitall()\n");
    assert_eq!((ran.outcome.clone(), &ran.host().files[&b"a"[..]][..]), (Outcome::ExitAll, &b"kept"[..]));
}

#[test]
fn passing_the_disk_limit_cannot_be_caught() {
    let text = "\
try:
  f = open('a', 'w')
  f.write('y' * 5904)
  f.flush()
  print 'fits'
  f.write('z')
except:
  print 'caught'
finally_ran = True
print 'on'
";
    let mut ran = under(generous().set(Resource::DiskUsed, 10_000.0).build(), text);
    assert_eq!(
        ran.outcome,
        Outcome::LimitPassed { resource: Resource::DiskUsed, used: 10_001, limit: 10_000 }
    );
    assert_eq!(ran.output(), "fits\n");
    assert_eq!(ran.host().files[&b"a"[..]].len(), 5904);
}

#[test]
fn rules_see_what_the_program_wrote() {
    let policy = policies::Policy::parse(
        b"resource cpu 1\nresource memory 10000000\nresource diskused 10000000\nresource filesopened 5\n\
          resource filewrite 1000\nresource fileread 1000\nresource lograte 10000\n\
          call open arg 0 is out allow\ncall open arg 1 is r allow\ncall open noargs is 1 allow\n\
          call file.__init__ arg 0 is out allow\ncall file.__init__ arg 1 is r allow\n\
          call file.__init__ noargs is 1 allow\ncall file.write allow\ncall file.read allow\n\
          call file.close allow\ncall removefile arg 0 is out allow\ncall log.write allow\n",
        "policy",
    )
    .expect("a good policy")
    .policy;
    let text = "\
f = open(mode='w', filename='out')
f.write('abc')
f.close()
print open('out').read(), open('data', 'r').read(), open('data').read()
try:
  open('data', 'w')
except Exception, e:
  print e
removefile('out')
try:
  removefile('data')
except Exception, e:
  print str(e).split('\\n')[0]
";
    let mut host = FakeHost::new();
    host.files.insert(b"data".to_vec(), b"xyz".to_vec());
    let order = Order { simple: true, policy: Some(policy), ..super::order(text) };
    let mut ran = run_on(host, order);
    assert_eq!(
        ran.output(),
        "abc xyz xyz\n\
         Call 'open' with args ('data', 'w') not allowed\nMatching dump:\n\
         rule: ('arg', 0, 'out'), Value not allowed\nrule: ('arg', 1, 'r'), Value not allowed\n\
         rule: ('noargs', 1), Wrong args count\nNo matching rule found\n\n\
         Call 'removefile' with args ('data',) not allowed\n",
        "{}",
        ran.error()
    );
    let _ = Call::Open;
}
