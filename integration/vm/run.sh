#!/bin/sh
# Boots Debian kernels under QEMU's emulator and runs the enforcement suite
# (integration/src/bin/guest) in each: real cgroup v2 controllers, and the
# Landlock of that kernel. Nothing of the machine is changed; everything that is
# fetched or built stays below target/vm.
#
#   sh integration/vm/run.sh [VERSION...]   versions such as 6.1 and 6.12, `newest`, and `systemd`:
#                                           6.1 with systemd as its first process, and an ordinary
#                                           user who gets groups from the user's own manager
#   sh integration/vm/run.sh ci             one kernel; skipped where none can be had
#
# REPY_BIN_DIR   where the static binaries are (make vmtest sets it)
# VM_TESTS       only the tests whose name begins so
# VM_STRIDE      every how manieth breach attempt is made (default 5; 1 makes all)
# VM_SECONDS     patience for one boot (default 1800; emulation is slow)
# VM_MEMORY      memory of the guest in MiB (default 1536)
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${VM_DIR:-$root/target/vm}
bin=${REPY_BIN_DIR:-$root/target/x86_64-unknown-linux-gnu/release}
patience=${VM_SECONDS:-1800}
passed=0 failed=0 skipped=0
. "$here/fetch.sh"

say() { echo "vmtest: $*" >&2; }

finish() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
  exit
}

# Nothing was tested, and the reason lies outside the project.
skip() {
  say "skipped: $1"
  skipped=$((skipped + 1))
  finish
}

mkdir -p "$work"
ci=
if [ "${1:-}" = ci ]; then
  ci=yes
  shift
  [ $# -gt 0 ] || set -- 6.1
  # A sample is enough there: the breach test makes all attempts on the machine itself.
  export VM_STRIDE="${VM_STRIDE:-9}"
fi
[ $# -gt 0 ] || set -- 6.1 6.12 newest systemd

[ "$(uname -m)" = x86_64 ] || skip "the guest is built for x86_64, this machine is $(uname -m)"
if ! missing=$(tools); then
  if [ -n "$ci" ]; then
    install_tools $missing || skip "$missing: not installed, and cannot be installed here"
  else
    say "missing: $missing; install with: sudo apt-get install --no-install-recommends qemu-system-x86 busybox-static cpio"
    exit 1
  fi
fi
for name in repy-launch repy-interp breach probe guest; do
  [ -x "$bin/$name" ] || { say "$bin/$name is not built: run make vmtest, or make build first"; exit 1; }
done

# boot KERNEL INITRAMFS LOG: one boot; true if the guest came to its end.
boot() {
  : >"$3"
  timeout -k 10 "$patience" qemu-system-x86_64 -accel tcg -cpu max,cx16=off -smp 1 -m "${VM_MEMORY:-1536}" \
    -M q35 -nodefaults -no-user-config -no-reboot -display none -serial stdio \
    -kernel "$1" -initrd "$2" -append "console=ttyS0 quiet loglevel=1 panic=-1 systemd.show_status=0" \
    </dev/null 2>>"$3.qemu" | tee "$3"
  grep -q '^GUEST-EXIT ' "$3"
}

for version in "$@"; do
  say "kernel $version"
  base=$version
  [ "$version" != systemd ] || base=6.1
  kernel=$(fetch_kernel "$base")
  case $? in
    0) ;;
    2) if [ -n "$ci" ]; then skip "kernel $version: nothing to be had from the package mirror"; fi
       say "kernel $version cannot be fetched"; failed=$((failed + 1)); continue ;;
    *) say "kernel $version: the package could not be used"; failed=$((failed + 1)); continue ;;
  esac
  log=$work/guest-$version.log
  initramfs=$work/initramfs-$version.gz
  if [ "$version" = systemd ]; then
    sh "$here/systemd.sh" "$bin" "$initramfs"
  else
    sh "$here/initramfs.sh" "$bin" "$kernel" "$initramfs" "${VM_TESTS:-}"
  fi ||
    { say "kernel $version: no initramfs"; failed=$((failed + 1)); continue; }
  # The emulator has been seen to hang silently at boot, one time in many.
  boot "$kernel/vmlinuz" "$initramfs" "$log" || { say "the guest did not finish; once more" &&
    boot "$kernel/vmlinuz" "$initramfs" "$log"; } ||
    { say "kernel $version: the guest did not finish within $patience s"; failed=$((failed + 1)); continue; }
  counts=$(tr -d '\r' <"$log" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' | tail -n 1)
  [ -n "$counts" ] || { say "kernel $version: the guest gave no result"; failed=$((failed + 1)); continue; }
  set -- $counts
  passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
done
finish
