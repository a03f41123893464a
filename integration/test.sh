#!/usr/bin/env bash
# Runs every test of the workspace, suite by suite, and ends with `N passed, N failed, N skipped`.
# A suite that failed is run a second time, after all others and one test at a time: a test that
# measures can fail on a busy machine. Only what fails again has failed; it is shown last.
#
# SUITE_SECONDS   time limit of one suite (default 900)
# SUITES          where the logs lie (default target/suites); `result` and `reasons` stay there
set -u
cd "$(dirname "$0")/.." || exit 1
export SUITES=${SUITES:-$PWD/target/suites}
runner=$PWD/integration/suite.sh
triple=${CARGO_BUILD_TARGET:?run this through: make test}
rm -rf "$SUITES"
mkdir -p "$SUITES/again"

env "CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$triple")_RUNNER=$runner" \
  cargo test --locked --workspace --no-fail-fast --lib --bins --tests </dev/null 2>&1 | tee "$SUITES/cargo.out"
cargo=${PIPESTATUS[0]}
# The examples in doc comments count as one suite more.
[ "$cargo" -ne 0 ] && [ -z "$(ls "$SUITES"/*.status 2>/dev/null)" ] || "$runner" cargo test --locked --workspace --doc

failures() { # failures DIRECTORY: the suites in it that did not end well
  for start in "$1"/*.start; do
    [ -e "$start" ] || continue
    [ "$(cat "${start%.start}.status" 2>/dev/null)" = 0 ] || basename "$start" .start
  done
}

count() { # count LOG WELL: "passed failed skipped"; a suite that died has no result line
  awk -v well="$2" '
    /^test result: / { result = 1; passed += $4; failed += $6; skipped += $8 }
    /^test .* \.\.\. ok$/ { ok++ }
    /^test .* \.\.\. FAILED$/ { bad++ }
    /^skipped: / { left++ } # a test that found something missing, and passed
    END {
      if (!result) { passed = ok; failed = bad }
      if (!well && !failed) failed = 1
      if (left > passed) left = passed
      print passed - left + 0, failed + 0, skipped + left + 0
    }' "$1"
}

reason() { # reason LOG: from the output of the failed tests on, or else its end
  if grep -qx 'failures:' "$1"; then sed -n '/^failures:$/,$p' "$1" | head -n 150; else tail -n 60 "$1"; fi
}

log_of() { # log_of ID: the log of its last run
  if [ -e "$SUITES/again/$1.log" ]; then echo "$SUITES/again/$1.log"; else echo "$SUITES/$1.log"; fi
}

mapfile -t first < <(failures "$SUITES")
again=() passed=0 failed=0 skipped=0
for id in "${first[@]}"; do
  # Noise does not make a suite hang: that is not tried again.
  if [ "$(cat "$SUITES/$id.status" 2>/dev/null)" = 124 ]; then again+=("$id"); continue; fi
  echo "== $id failed, and is run once more, alone"
  (. "$SUITES/$id.start"; SUITES=$SUITES/again RUST_TEST_THREADS=1 "$runner" "$@") || again+=("$id")
done

for start in "$SUITES"/*.start; do
  [ -e "$start" ] || continue
  id=$(basename "$start" .start) well=1
  case " ${again[*]-} " in *" $id "*) well=0 ;; esac
  read -r p f s < <(count "$(log_of "$id")" $well)
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done

{
  for id in "${first[@]}"; do
    case " ${again[*]-} " in
      *" $id "*) echo "-- FAILED: $id"; reason "$(log_of "$id")"; echo ;;
      *) echo "-- passed only when run once more, alone: $id; the first time:"; reason "$SUITES/$id.log"; echo ;;
    esac
  done
  # Cargo failed, and not because of suites: something could not be compiled, or it was ended.
  if [ "$cargo" -ne 0 ] && ! grep -q '^error: [0-9]* targets* failed' "$SUITES/cargo.out"; then
    failed=$((failed + 1))
    echo "-- FAILED: cargo test ended with status $cargo"
    tail -n 60 "$SUITES/cargo.out"
  fi
} >"$SUITES/reasons"
cat "$SUITES/reasons"
echo "$passed passed, $failed failed, $skipped skipped" | tee "$SUITES/result"
[ "$failed" -eq 0 ]
