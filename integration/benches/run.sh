#!/bin/sh
# Prints the benchmark tables. Every table gives ratios taken in one run; on a
# shared machine only these mean something.
set -eu
bin=${REPY_BIN_DIR:?run this through: make bench}
echo "## Start to exit of example 1.1"
"$bin/bench_start" "${BENCH_ROUNDS:-100}"
echo
echo "## Language"
"$bin/bench_lang"
echo
"$bin/bench_lang" --sizes
echo
echo "## Calls of the API"
"$bin/bench_api" "${BENCH_CALLS:-100000}"
echo
echo "## Servers and timers"
"$bin/bench_net"
echo
echo "## The cost of watching"
"$bin/bench_monitor" "${BENCH_MONITOR_SECONDS:-10}"
