#!/bin/sh
# Makes the guest's root: sh initramfs.sh BIN_DIR KERNEL_DIR OUTPUT [TESTS]
set -eu
bin=$1 kernel=$2 output=$3 tests=${4:-}
here=$(cd "$(dirname "$0")" && pwd)
work=$(dirname "$output")
say() { echo "vmtest: $*" >&2; }
. "$here/fetch.sh"
tree=$output.tree
rm -rf "$tree"
mkdir -p "$tree/bin" "$tree/etc"
chmod 755 "$tree" "$tree/bin" "$tree/etc"
busybox=$(busybox_static)
cp "$busybox" "$tree/bin/busybox"
for applet in $("$busybox" --list); do
  case $applet in busybox | */*) ;; *) ln -s busybox "$tree/bin/$applet" ;; esac
done
for name in repy-launch repy-interp breach probe guest; do
  cp "$bin/$name" "$tree/bin/$name"
  # Symbols are of no use there, and unpacking is emulated.
  if command -v strip >/dev/null 2>&1; then strip "$tree/bin/$name"; fi
done
chmod 755 "$tree/bin"/*
cp "$here/init" "$tree/init"
chmod 755 "$tree/init"
if [ -e "$kernel/brd.ko" ]; then cp "$kernel/brd.ko" "$tree/brd.ko"; fi
printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$tree/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$tree/etc/group"
printf '%s' "$tests" >"$tree/etc/tests"
printf '%s' "${VM_STRIDE:-}" >"$tree/etc/stride"
(cd "$tree" && find . | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >"$output"
rm -rf "$tree"
