#!/usr/bin/env bash
# Cargo's runner for one suite (a test binary), used by integration/test.sh: the output goes
# into a file, a time limit holds, and how it started and ended is noted in $SUITES.
# A file and not a pipe: a test that failed may leave a process that holds its output.
set -um
id=${CARGO_PKG_NAME:-suite}.$(basename "$1")
limit=${SUITE_SECONDS:-900}
{ export -p; printf 'cd %q || exit 1\nset --' "$PWD"; printf ' %q' "$@"; echo; } >"$SUITES/$id.start"
# A process group of its own (set -m), so that nothing outlives an interrupted run.
timeout -k 10 "$limit" "$@" >"$SUITES/$id.log" 2>&1 </dev/null &
job=$!
trap 'kill -TERM -- "-$job" 2>/dev/null; exit 130' INT TERM HUP
wait "$job"
status=$?
case $status in 124 | 137) echo "(the suite was ended by the time limit of $limit s, or killed)" >>"$SUITES/$id.log" ;; esac
echo "$status" >"$SUITES/$id.status"
cat "$SUITES/$id.log"
exit $status
