#!/bin/sh
# Checks that launcher and interpreter compile for aarch64. Ends with status 3 if the
# toolchain has no standard library for it.
set -eu
target=aarch64-unknown-linux-gnu
[ -d "$(rustc --print target-libdir --target "$target")" ] || {
  echo "aarch64.sh: Rust's standard library for $target is missing; install it with: rustup target add $target" >&2
  exit 3
}
cargo check --locked --target "$target" -p launcher -p interp
