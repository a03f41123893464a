#!/bin/sh
# Makes OUTPUT/repy-launch-VERSION-ARCH.tar.gz (default below target/dist): both static
# binaries, the restrictions files and the examples side by side, so that the tutorial's
# commands work inside it, manual pages, and install.sh. Prints its path.
set -eu
bin=${1:?usage: dist.sh DIRECTORY-OF-BINARIES [OUTPUT-DIRECTORY]}
out=${2:-target/dist}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
name=repy-launch-$version-$(uname -m)
stage=$out/$name
umask 022
rm -rf "$stage"
mkdir -p "$stage/man" "$stage/completions" "$stage/docs"
for program in repy-launch repy-interp; do
  if ldd "$bin/$program" 2>&1 | grep -q '=>'; then
    echo "dist.sh: $program is not static" >&2
    exit 1
  fi
  cp "$bin/$program" "$stage/$program"
  chmod 755 "$stage/$program"
  strip "$stage/$program" 2>/dev/null || echo "dist.sh: note: no strip; $program keeps its line tables" >&2
done
ln -s repy-launch "$stage/repy"
cp policies/restrictions.* examples/*.repy packaging/install.sh README.md CHANGELOG.md SECURITY.md "$stage"
cp docs/*.md docs/*.json "$stage/docs"
for page in docs/*.[1-9]; do [ ! -e "$page" ] || cp "$page" "$stage/man"; done
for file in docs/completions/*; do [ ! -e "$file" ] || cp "$file" "$stage/completions"; done
chmod -R u=rwX,go=rX "$stage"
# Same input, same archive: names sorted, one time stamp, no user names.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}" \
  -C "$out" -cf - "$name" | gzip -n >"$out/$name.tar.gz"
echo "$out/$name.tar.gz"
