//! Calls with keywords and stars, and sums in place: every count must be right afterwards.

use super::{prints, Run};

#[test]
fn calls_with_stars_keep_every_count() {
    let program = r#"def f0(): return 0
def f2(a, b): return [a, b]
def fd(a, b=[2], c=[3]): return a, b, c
def fa(a, *t, **k): return a, t, k
def fk(**k): return k
def fs(*t): return t
class C:
  def m(self, a, b=[5]): return a, b
  def s(self, *t, **k): return t, k
  def __init__(self, *t, **k): self.parts = t, k
o = C([1], x=[2])
n = 0
for t in [(), ([1],), ([1], [2]), [[1], [2], [3]], 'ab', xrange(2)]:
  for k in [{}, {'a': [7]}, {'b': [8]}, {'a': [7], 'b': [8]}, {'z' + 'y': [9]}, {1: 2}]:
    for f in [f0, f2, fd, fa, fk, fs, o.m, o.s, C, C.m, len, [].append]:
      try:
        f(*t, **k)
        n += 1
      except TypeError:
        pass
      try:
        f([0], *t)
        f(b=[4], *t)
        f([0], c=[1], **k)
        n += 1
      except TypeError:
        pass
print n
"#;
    for slice in [1 << 20, 7, 3, 1] {
        let mut run = Run::new(program);
        assert_eq!(run.finish(slice), None);
        assert_eq!(run.text(), "188\n", "slices of {slice}");
        run.check();
    }
}

#[test]
fn lists_and_tuples_are_added_up_without_a_trace() {
    let program = r#"def go():
  x, y = [[1]], [[2], [3]]
  z = x
  x += y
  x += x
  x += [[4]] + y
  t = ([5],) + ([6], [7])
  t += ([8],) * 2
  o = C()
  o.l += y
  o.l += o.l + [[9]]
  return z, t, o.l, (t + t)[3:5], x is z
class C:
  l = []
print go()
"#;
    prints(program, "([[1], [2], [3], [1], [2], [3], [4], [2], [3]], ([5], [6], [7], [8], [8]), [[2], [3], [2], [3], [9]], ([8], [8]), True)\n");
}
