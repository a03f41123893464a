#!/bin/sh
# Says in one line what is missing for a build, and the command that installs it.
fail() { echo "repy-launch: $1" >&2; exit 1; }

command -v cargo >/dev/null 2>&1 ||
  fail "there is no Rust toolchain; install one with: sudo apt-get install cargo (needs Rust 1.88 or newer), or use rustup"
command -v cc >/dev/null 2>&1 ||
  fail "there is no C linker; install one with: sudo apt-get install gcc libc6-dev"
printf 'int main(void){return 0;}' | cc -static -x c -o /dev/null - 2>/dev/null ||
  fail "there is no static C library; install it with: sudo apt-get install libc6-dev"

have=$(rustc --version | sed 's/^rustc \([0-9]*\)\.\([0-9]*\).*/\1 \2/')
set -- $have
{ [ "$1" -gt 1 ] || [ "$2" -ge 88 ]; } ||
  fail "Rust $1.$2 is too old; Rust 1.88 or newer is needed (rustup update stable)"
case "$(uname -s) $(uname -m)" in
  "Linux x86_64" | "Linux aarch64") ;;
  *) fail "this system ($(uname -s) on $(uname -m)) is not supported: the sandbox needs Linux on x86_64" ;;
esac
