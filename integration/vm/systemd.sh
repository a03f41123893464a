#!/bin/sh
# Makes the root of a guest whose first process is systemd, with a bus and an ordinary
# user's own service manager, from Debian's packages:
#   sh systemd.sh BIN_DIR OUTPUT
# No package's scripts are run: what they would write and is needed here is written below.
set -eu
bin=$1 output=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(dirname "$output")
say() { echo "vmtest: $*" >&2; }
. "$here/fetch.sh"
packages=$work/systemd-packages
tree=$output.tree
if [ ! -e "$packages/complete" ]; then
  refresh
  rm -rf "$packages" "$work/apt/cache/archives"
  mkdir -p "$packages" "$work/apt/cache/archives/partial"
  # On a machine with nothing installed all of what they need is fetched, too.
  own_apt apt-get -y -qq -t bookworm --no-install-recommends --download-only -o Dir::State::status=/dev/null \
    -o Debug::NoLocking=1 install systemd dbus dbus-user-session libpam-systemd >"$work/systemd.log" 2>&1 ||
    { tail -n 3 "$work/systemd.log" >&2; exit 2; }
  for file in "$work"/apt/cache/archives/*.deb; do
    case ${file##*/} in
      perl* | libperl* | *-perl_* | libgdbm* | libdb5* | gcc-* | usrmerge* | dpkg_* | tar_* | debconf* | adduser* | passwd_*) ;;
      *) mv "$file" "$packages/" ;;
    esac
  done
  touch "$packages/complete"
fi
rm -rf "$tree"
mkdir -p "$tree/usr"
for file in "$packages"/*.deb; do dpkg-deb -x "$file" "$tree"; done
# One directory for each kind, as on an installed system.
for name in bin sbin lib lib64; do
  mkdir -p "$tree/usr/$name"
  if [ -d "$tree/$name" ]; then cp -a "$tree/$name/." "$tree/usr/$name/" && rm -rf "${tree:?}/$name"; fi
  ln -s "usr/$name" "$tree/$name"
done
rm -rf "$tree"/usr/share/doc "$tree"/usr/share/man "$tree"/usr/share/locale "$tree"/usr/share/info "$tree"/usr/lib/udev/hwdb.d \
  "$tree"/usr/share/bash-completion "$tree"/usr/share/zsh "$tree"/usr/share/lintian "$tree"/usr/lib/x86_64-linux-gnu/gconv
busybox=$(busybox_static)
cp "$busybox" "$tree/bin/busybox"
for applet in $("$busybox" --list); do
  case $applet in busybox | */* | init | poweroff | reboot | halt) continue ;; esac
  [ -e "$tree/usr/bin/$applet" ] || [ -e "$tree/usr/sbin/$applet" ] || ln -s busybox "$tree/usr/bin/$applet"
done
for name in repy-launch repy-interp probe guest; do
  cp "$bin/$name" "$tree/usr/bin/$name"
  if command -v strip >/dev/null 2>&1; then strip "$tree/usr/bin/$name"; fi
done
chmod 755 "$tree" "$tree"/usr/bin/*
mkdir -p "$tree"/etc/pam.d "$tree"/etc/systemd/system/multi-user.target.wants "$tree"/var/tmp "$tree"/tmp "$tree"/home/user \
  "$tree"/proc "$tree"/sys "$tree"/dev "$tree"/run "$tree"/root
chmod 1777 "$tree/tmp" "$tree/var/tmp"
cat >"$tree/etc/passwd" <<'END'
root:x:0:0:root:/root:/bin/sh
messagebus:x:100:100::/nonexistent:/usr/sbin/nologin
user:x:1000:1000::/home/user:/bin/sh
nobody:x:65534:65534::/:/usr/sbin/nologin
END
cat >"$tree/etc/group" <<'END'
root:x:0:
tty:x:5:
messagebus:x:100:
user:x:1000:
systemd-journal:x:101:
nogroup:x:65534:
END
echo guest >"$tree/etc/hostname"
: >"$tree/etc/machine-id"
: >"$tree/etc/fstab"
# What opens the user's manager (PAM's shared files are made by scripts of packages).
for service in systemd-user other; do
  printf 'auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\nsession optional pam_systemd.so\n' \
    >"$tree/etc/pam.d/$service"
done
ln -s /usr/lib/systemd/system/multi-user.target "$tree/etc/systemd/system/default.target"
for unit in systemd-journal-flush systemd-update-utmp systemd-update-utmp-runlevel getty@tty1 systemd-timesyncd systemd-ask-password-console \
  systemd-machine-id-commit systemd-pstore systemd-random-seed systemd-sysusers systemd-firstboot systemd-binfmt systemd-modules-load; do
  ln -s /dev/null "$tree/etc/systemd/system/$unit.service"
done
cat >"$tree/etc/systemd/system/scope-test.service" <<'END'
[Unit]
Requires=user@1000.service dbus.service systemd-logind.service
After=user@1000.service dbus.service systemd-logind.service

[Service]
Type=oneshot
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
Environment=REPY_BIN_DIR=/bin
ExecStart=/bin/sh -c 'guest scope; echo "GUEST-EXIT $?"; sync; echo o >/proc/sysrq-trigger'
END
ln -s ../scope-test.service "$tree/etc/systemd/system/multi-user.target.wants/scope-test.service"
# The launcher's new root cannot replace the initial ramfs: everything moves to a tmpfs first.
cat >"$tree/init" <<'END'
#!/bin/busybox sh
/bin/busybox mkdir -p /new
/bin/busybox mount -t tmpfs -o mode=755,size=90% root /new
for name in bin sbin lib lib64 usr etc var home root tmp; do /bin/busybox cp -a "/$name" /new/; done
/bin/busybox mkdir -p /new/proc /new/sys /new/dev /new/run
exec /bin/busybox switch_root /new /lib/systemd/systemd
END
chmod 755 "$tree/init"
(cd "$tree" && find . | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >"$output"
rm -rf "$tree"
