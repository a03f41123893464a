#!/bin/sh
# Installs repy-launch from this directory. `sh install.sh --usage` explains.
set -eu
usage() {
  cat <<'TXT'
usage: sh install.sh [--prefix DIR] [--uninstall] [--usage]

  --prefix DIR   where to install (default: /usr/local, or ~/.local for an ordinary user)
  --uninstall    remove what an installation with the same prefix put there
  --usage        print this text

Installs bin/repy-launch, bin/repy (the same program; takes its words in the order of the original:
repy RESTRICTIONS PROGRAM), bin/repy-interp, and share/repy/ with the restrictions files and examples.
TXT
}
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
if [ "$(id -u)" -eq 0 ]; then prefix=/usr/local; else prefix=${HOME:?}/.local; fi
action=install
while [ $# -gt 0 ]; do
  case $1 in
    --prefix) [ $# -ge 2 ] || { echo "install.sh: --prefix needs a directory" >&2; exit 2; }; prefix=$2; shift 2 ;;
    --prefix=*) prefix=${1#--prefix=}; shift ;;
    --uninstall) action=uninstall; shift ;;
    --usage | --help | -h) usage; exit 0 ;;
    *) echo "install.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
done
case $prefix in /*) ;; *) echo "install.sh: the prefix must be an absolute path, not '$prefix'" >&2; exit 2 ;; esac

if [ $action = uninstall ]; then
  rm -f "$prefix/bin/repy-launch" "$prefix/bin/repy-interp" "$prefix/bin/repy"
  rm -rf "$prefix/share/repy"
  echo "removed repy-launch from $prefix"
  exit 0
fi
mkdir -p "$prefix/bin" "$prefix/share/repy/examples"
for program in repy-launch repy-interp; do
  # Replaced by rename, so that a running program keeps its file.
  cp "$here/$program" "$prefix/bin/.$program.new"
  chmod 755 "$prefix/bin/.$program.new"
  mv -f "$prefix/bin/.$program.new" "$prefix/bin/$program"
done
ln -sf repy-launch "$prefix/bin/repy"
cp "$here"/restrictions.* "$prefix/share/repy/"
cp "$here"/example.*.repy "$prefix/share/repy/examples/"
cp "$here"/restrictions.* "$prefix/share/repy/examples/"
echo "installed repy-launch, repy-interp and repy in $prefix/bin; restrictions files and examples in $prefix/share/repy"
case ":$PATH:" in *":$prefix/bin:"*) ;; *) echo "note: $prefix/bin is not in your PATH" ;; esac
