#!/bin/sh
# Makes target/dist/repy-launch-VERSION-ARCH.tar.gz: both static binaries, the
# restrictions files and the examples side by side, so that the tutorial's commands
# work inside it, and install.sh.
set -eu
bin=${1:?usage: dist.sh DIRECTORY-OF-BINARIES}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
name=repy-launch-$version-$(uname -m)
stage=target/dist/$name
rm -rf "$stage"
mkdir -p "$stage"
for program in repy-launch repy-interp; do
  if ldd "$bin/$program" 2>&1 | grep -q '=>'; then
    echo "dist.sh: $program is not static" >&2
    exit 1
  fi
  cp "$bin/$program" "$stage/$program"
  strip "$stage/$program" 2>/dev/null || echo "dist.sh: note: no strip; $program keeps its line tables" >&2
done
ln -s repy-launch "$stage/repy"
cp policies/restrictions.* examples/*.repy packaging/install.sh README.md CHANGELOG.md SECURITY.md "$stage"
# Same input, same archive: names sorted, one time stamp, no user names.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}" \
  -C target/dist -czf "target/dist/$name.tar.gz" "$name"
echo "target/dist/$name.tar.gz"
