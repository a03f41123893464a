#!/bin/sh
# Runs each fuzz target for a number of seconds (first word; default 60), on one
# job, with the seeds of the checkout. Needs cargo-fuzz; the toolchain's own
# compiler is used (RUSTC_BOOTSTRAP lets a stable one take the sanitizer's flags).
set -eu
seconds=${1:-60}
cd "$(dirname "$0")/fuzz"
command -v cargo-fuzz >/dev/null 2>&1 || {
  echo "fuzz.sh: cargo-fuzz is missing; install it with: cargo install cargo-fuzz" >&2
  exit 1
}
command -v c++ >/dev/null 2>&1 || {
  echo "fuzz.sh: a C++ compiler is missing; install it with: sudo apt-get install g++" >&2
  exit 1
}
export RUSTC_BOOTSTRAP=1
# Programs that build strings byte by byte free every size once: kept back by the
# sanitizer to find later uses, they would be the memory of the whole machine.
export ASAN_OPTIONS=quarantine_size_mb=16:allocator_release_to_os_interval_ms=100
# The project links statically; the sanitizer needs a dynamic program.
unset CARGO_BUILD_TARGET
host=$(rustc -vV | sed -n 's/^host: //p')
seed() { # seed TARGET FILE…
  target=$1
  shift
  mkdir -p "corpus/$target"
  for file in "$@"; do cp -f "$file" "corpus/$target/seed-$(basename "$file")"; done
}
seed policy ../../policies/restrictions.* ../tests/hostile/policies/*
seed source ../../examples/*.repy ../tests/hostile/*.repy
seed run ../../examples/*.repy ../tests/hostile/*.repy ../tests/lang/*/*.repy
mkdir -p corpus/frames
for target in policy source frames run ${FUZZ_MORE:-}; do
  echo "== $target for $seconds s"
  log=$(mktemp)
  status=0
  RUSTFLAGS="-C target-feature=-crt-static" cargo fuzz run --target "$host" "$target" -- \
    -max_total_time="$seconds" -timeout=60 -report_slow_units=60 -rss_limit_mb=2048 -print_final_stats=1 >"$log" 2>&1 || status=$?
  # A build that failed prints no statistics: then all of it is shown.
  grep -E "^stat::|ERROR|panicked|artifact|SUMMARY" "$log" || cat "$log"
  rm -f "$log"
  [ "$status" -eq 0 ] || { echo "fuzz.sh: $target ended with status $status" >&2; exit 1; }
  if ls "artifacts/$target"/* >/dev/null 2>&1; then
    echo "fuzz.sh: $target found something: integration/fuzz/artifacts/$target" >&2
    exit 1
  fi
done
