#!/bin/sh
# Records how often each branch of the interpreter is taken, so that the compiler
# lays it out for that (`make build` uses the record if the compiler suits it).
# Trained on the project's own benchmark programs; what runs once in a run does
# not need it. Built as `make build` builds it, by itself: otherwise the symbols
# of the functions would be others.
set -eu
cd "$(dirname "$0")/.."
host=$(rustc -vV | sed -n 's/^host: //p')
llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
merge=$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata
[ -x "$merge" ] || {
  echo "profile.sh: the compiler's llvm-profdata is missing; install it with: rustup component add llvm-tools" >&2
  exit 1
}
raw=$(pwd)/target/profile/raw
rm -rf "$raw"
mkdir -p "$raw"
CARGO_BUILD_TARGET=$host RUSTFLAGS="-C target-feature=+crt-static -C profile-generate=$raw" \
  cargo build --release --locked -p interp --bins --target-dir target/profile
bin=target/profile/$host/release
export LLVM_PROFILE_FILE="$raw/%p-%m.profraw"
for program in integration/benches/lang/*.repy; do
  echo "$program"
  "$bin/repy-interp" --unconfined --simple "$program" >/dev/null
done
rm -f interp/profile/llvm-*.profdata
"$merge" merge --sparse --output "interp/profile/llvm-$llvm.profdata" "$raw"/*.profraw
ls -l "interp/profile/llvm-$llvm.profdata"
