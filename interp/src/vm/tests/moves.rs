//! Values that are moved where they would be shared, because what held them dies: slices put into lists, pairs taken
//! apart, sums of lists; and the buffers of traces that are used again.

use super::prints;

#[test]
fn what_dies_gives_its_items_away_and_what_lives_keeps_them() {
    let program = r#"def slices():
  a = [[1], [2], [3]]
  b = a
  a[:2] = [[7], [8]]
  c = a[::-1]
  a[0:3] = c
  a[1:] = a[1:]
  c[:1], c[1:2] = [0], c[2:]
  a[:] = a
  a[:1] = (5,)
  return a, b is a, c, a[2:0:-1], [1] + [2] + a[:1] + c
def pairs():
  t = ([1], [2])
  out = []
  for x, y in [t, t, ([3], [4])]:
    out.append((y, x))
  x, y = (t, t)
  y, x = (x[0], y[1])
  (x, y, z) = (y, x, t)
  return out, x, y, z, t
def traces(n):
  seen = []
  for i in range(n):
    try:
      raised(i)
    except ValueError, e:
      try:
        raised(e.args[0] + 1)
      except ValueError, f:
        seen.append((e.args[0], f.args[0]))
  return seen
def raised(i):
  if i % 3:
    raised(i - 1)
  raise ValueError(i)
for i in range(2):
  print slices(), pairs(), traces(4)
"#;
    let each = "([5, [8], [7]], True, [0, [7], [7]], [[7], [8]], [1, 2, 5, 0, [7], [7]]) ([([2], [1]), ([2], [1]), ([4], [3])], [1], [2], ([1], [2]), ([1], [2])) [(0, 0), (0, 0), (0, 0), (3, 3)]\n";
    prints(program, &each.repeat(2));
}
