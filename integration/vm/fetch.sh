# Sourced by run.sh and initramfs.sh: what the guest is made of, from the packages of the mirror
# that this machine's own apt uses. Own lists, own cache, own sources file: the
# machine's apt configuration is read, never written.
#
# VM_MIRROR      another Debian mirror (for machines whose apt knows none)
# VM_SUITES      other suites (default: those that carry an old, a middle and a new kernel)
# VM_KEYRING     the keys that sign them

# Names the packages that are missing; true if none is.
tools() {
  lacking=
  command -v qemu-system-x86_64 >/dev/null 2>&1 || lacking="$lacking qemu-system-x86"
  busybox_static >/dev/null || lacking="$lacking busybox-static"
  command -v cpio >/dev/null 2>&1 || lacking="$lacking cpio"
  echo "${lacking# }"
  [ -z "$lacking" ]
}

# The path of a static busybox (a dynamic one cannot start in the guest).
busybox_static() {
  for path in /bin/busybox /usr/bin/busybox; do
    [ -x "$path" ] || continue
    # A static program asks for no program interpreter.
    if ! LC_ALL=C grep -aq '/ld-linux' "$path"; then echo "$path"; return 0; fi
  done
  return 1
}

install_tools() {
  [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$work/install.log" 2>&1 ||
    { apt-get update -qq >"$work/install.log" 2>&1 &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$work/install.log" 2>&1; }
}

# The Debian mirror of this machine.
mirror() {
  if [ -n "${VM_MIRROR:-}" ]; then echo "$VM_MIRROR"; return; fi
  apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(SITE)' 'Created-By: Packages' 2>/dev/null |
    sed -n 's/^Debian|Debian|//p' | sort -u | head -n 1
}

# apt with everything of its own below $work/apt.
own_apt() { # own_apt TOOL WORD...
  tool=$1
  shift
  "$tool" -o Dir::Etc::sourcelist="$work/apt/sources.sources" -o Dir::Etc::sourceparts=- \
    -o Dir::State::lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" \
    -o APT::Architecture=amd64 -o APT::Architectures::=amd64 -o Acquire::Languages=none \
    -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false \
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
    -o APT::Sandbox::User=root -o Acquire::Retries=2 "$@"
}

# Refreshes the lists, at most once per run.
refresh() {
  [ -z "${refreshed:-}" ] || return 0
  site=$(mirror)
  [ -n "$site" ] || { say "this machine's apt knows no Debian mirror; name one with VM_MIRROR=URL"; return 1; }
  mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
  {
    echo "Types: deb"
    echo "URIs: $site"
    echo "Suites: ${VM_SUITES:-bookworm bookworm-backports trixie-backports}"
    echo "Components: main"
    echo "Signed-By: ${VM_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}"
  } >"$work/apt/sources.sources"
  own_apt apt-get update -qq -o APT::Update::Error-Mode=any >"$work/apt/update.log" 2>&1 ||
    { say "the package lists could not be fetched:"; tail -n 3 "$work/apt/update.log" >&2; return 1; }
  refreshed=yes
}

# The newest package of a kernel version: linux-binary-* holds the bare kernel
# where a version has it, linux-image-* kernel and modules.
package_of() {
  own_apt apt-cache search -n '^linux-(image|binary)-[0-9].*-cloud-amd64$' | cut -d ' ' -f 1 |
    sed -n 's/^linux-\(image\|binary\)-\([0-9][^ ]*\)-cloud-amd64$/\2 \1/p' | sort -V |
    awk -v wanted="$1" '
      wanted == "newest" || index($1, wanted ".") == 1 || index($1, wanted "+") == 1 {
        if ($1 != version) { version = $1; kind = $2 }
        if ($2 == "binary") kind = "binary"
      }
      END { if (version != "") print "linux-" kind "-" version "-cloud-amd64" }'
}

# Prints a directory with vmlinuz (and modules where the package has them).
# 2: nothing can be had (no network, or no such package); 1: anything else.
fetch_kernel() {
  place=$work/kernel-$1
  if [ ! -s "$place/vmlinuz" ] || [ "$1" = newest ]; then
    if ! refresh; then
      [ -s "$place/vmlinuz" ] && { echo "$place"; return 0; }
      return 2
    fi
    package=$(package_of "$1")
    [ -n "$package" ] || { say "the mirror has no package of kernel $1"; return 2; }
    if [ "$(cat "$place/package" 2>/dev/null)" != "$package" ]; then
      rm -rf "$place" "$work/unpack"
      mkdir -p "$place" "$work/unpack"
      (cd "$work/unpack" && own_apt apt-get download -qq "$package") >&2 || return 2
      dpkg-deb -x "$work/unpack"/*.deb "$work/unpack/tree" >&2 || return 1
      image=$(find "$work/unpack/tree" -name 'vmlinuz*' -type f | head -n 1)
      [ -n "$image" ] || { say "$package holds no kernel"; return 1; }
      find "$work/unpack/tree" -name 'brd.ko*' -exec cp {} "$place/" \;
      for module in "$place"/*.xz; do [ -e "$module" ] && xz -d "$module" 2>/dev/null; done
      mv "$image" "$place/vmlinuz"
      echo "$package" >"$place/package"
      rm -rf "$work/unpack"
    fi
  fi
  echo "$place"
}
