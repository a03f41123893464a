#!/bin/sh
# Makes target/deb/repy-launch_VERSION_ARCH.deb from an unpacked tarball (packaging/dist.sh):
# its install.sh puts everything below /usr; what only a system-wide installation has
# (units, AppArmor profile, policies in /etc/repy) is added here.
# DEB_COMPRESSION   xz (default), or gzip, which is quick and what any dpkg unpacks
set -eu
command -v dpkg-deb >/dev/null 2>&1 || {
  echo "deb.sh: dpkg-deb is missing; install it with: sudo apt-get install dpkg" >&2
  exit 1
}
bin=${1:?usage: deb.sh DIRECTORY-OF-BINARIES [OUTPUT-DIRECTORY]}
out=${2:-target/deb}
tarball=$(sh packaging/dist.sh "$bin" "$out")
tree=${tarball%.tar.gz}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) echo "deb.sh: no package for $(uname -m)" >&2; exit 1 ;; esac
root=$out/root
rm -rf "$root"
umask 022
sh "$tree/install.sh" --prefix "$(cd "$out" && pwd)/root/usr" >/dev/null
mkdir -p "$root/DEBIAN" "$root/etc/repy" "$root/usr/lib/systemd/system" "$root/usr/share/repy/apparmor" \
  "$root/usr/share/doc/repy-launch/examples"
cp policies/restrictions.* "$root/etc/repy/"
cp packaging/systemd/repy@.service packaging/systemd/repy.slice "$root/usr/lib/systemd/system/"
cp packaging/systemd/user-delegate.conf "$root/usr/share/doc/repy-launch/examples/"
cp packaging/apparmor/repy-launch "$root/usr/share/repy/apparmor/"
cp packaging/debian/copyright "$root/usr/share/doc/repy-launch/"
cp packaging/debian/postinst packaging/debian/prerm packaging/debian/postrm "$root/DEBIAN/"
chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm" "$root/DEBIAN/postrm"
(cd "$root" && find etc -type f | sort | sed 's|^|/|') >"$root/DEBIAN/conffiles"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
cat >"$root/DEBIAN/control" <<TXT
Package: repy-launch
Version: $version
Architecture: $arch
Maintainer: The repy-launch authors <repy-launch@localhost>
Installed-Size: $(du -sk "$root/usr" "$root/etc" | awk '{ sum += $1 } END { print sum }')
Section: utils
Priority: optional
Suggests: apparmor
Description: sandbox for programs in the Repy language
 Runs programs you do not trust under a restrictions file, which says what they may
 call and how much they may use. The kernel holds what it can hold (namespaces, control
 groups, Landlock, seccomp), a broker hands out the network, and an interpreter of its
 own meters the rest. Both binaries are static.
TXT
package=$out/repy-launch_${version}_$arch.deb
dpkg-deb --root-owner-group -Z"${DEB_COMPRESSION:-xz}" --build "$root" "$package" >/dev/null
rm -rf "$root"
echo "$package"
