#!/usr/bin/env bash
# Shows the demo to an ordinary user of a host without cgroup delegation: refused
# with the remedy first, run after the layer was given up by name. Needs root (to
# become that user) and a finished build.
set -u
cd "$(dirname "$0")/.." || exit 1
host=$(rustc -vV | sed -n 's/^host: //p')
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"
cp "target/$host/release/repy-launch" "target/$host/release/repy-interp" integration/demo.sh "$stage"
cp -r policies examples "$stage"
chmod -R a+rX "$stage"

demo() { (cd "$stage" && env "$@" REPY_BIN_DIR="$stage" setpriv --reuid 65534 --regid 65534 --clear-groups sh demo.sh) 2>&1; }

out=$(demo)
code=$?
echo "$out"
if [ $code -eq 0 ]; then
  grep -qx "Hello World" <<<"$out"
  exit
fi
[ $code -eq 4 ] || { echo "expected exit 4 (a layer is missing), got $code"; exit 1; }
grep -q 'DEMO_WITHOUT="cgroup" make demo' <<<"$out" || { echo "the remedy is missing"; exit 1; }
out=$(demo DEMO_WITHOUT=cgroup)
code=$?
echo "$out"
[ $code -eq 0 ] && grep -qx "Hello World" <<<"$out" && grep -q "NOT fully confined" <<<"$out"
