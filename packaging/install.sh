#!/bin/sh
# Installs repy-launch from this directory. `sh install.sh --usage` explains.
set -eu
usage() {
  cat <<'TXT'
usage: sh install.sh [--prefix DIR] [--uninstall] [--usage]

  --prefix DIR   where to install (default: /usr/local, or ~/.local for an ordinary user)
  --uninstall    remove what an installation with the same prefix put there
  --usage        print this text

Installs bin/repy-launch, bin/repy-interp and bin/repy (the same program as repy-launch; it takes its
words in the order of the original: repy RESTRICTIONS PROGRAM), the manual pages, completions for
bash, zsh and fish, and share/repy/ with the restrictions files, the examples and the documentation.
TXT
}
bad() { echo "install.sh: $1" >&2; exit 2; }

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
prefix=
action=install
while [ $# -gt 0 ]; do
  case $1 in
    --prefix) [ $# -ge 2 ] || bad "--prefix needs a directory"; prefix=$2; shift 2 ;;
    --prefix=*) prefix=${1#--prefix=}; shift ;;
    --uninstall) action=uninstall; shift ;;
    --usage | --help | -h) usage; exit 0 ;;
    *) usage >&2; bad "unknown option $1" ;;
  esac
done
if [ -z "$prefix" ]; then
  if [ "$(id -u)" -eq 0 ]; then prefix=/usr/local; else prefix=${HOME:?is not set; name a directory with --prefix}/.local; fi
fi
case $prefix in /*) ;; *) bad "the prefix must be an absolute path, not '$prefix'" ;; esac
prefix=${prefix%/}

# put MODE FILE PATH: by rename, so that a program that runs keeps its file.
put() {
  mkdir -p "$(dirname "$3")"
  cp "$2" "$3.new"
  chmod "$1" "$3.new"
  mv -f "$3.new" "$3"
}

# Every file with the place it has below the prefix: "MODE FILE PATH" on each line.
places() {
  echo "755 repy-launch bin/repy-launch"
  echo "755 repy-interp bin/repy-interp"
  cd "$here"
  for file in restrictions.*; do echo "644 $file share/repy/$file"; done
  for file in example.*.repy restrictions.*; do echo "644 $file share/repy/examples/$file"; done
  for file in docs/*; do [ ! -f "$file" ] || echo "644 $file share/repy/$file"; done
  for file in man/*.[1-9]; do [ ! -f "$file" ] || echo "644 $file share/man/man${file##*.}/${file#man/}"; done
  for file in completions/*; do
    case $file in
      *.bash) echo "644 $file share/bash-completion/completions/repy-launch" ;;
      */_repy-launch) echo "644 $file share/zsh/site-functions/_repy-launch" ;;
      *.fish) echo "644 $file share/fish/vendor_completions.d/repy-launch.fish" ;;
    esac
  done
}

if [ $action = uninstall ]; then
  places | while read -r _ _ path; do rm -f "$prefix/$path"; done
  rm -f "$prefix/bin/repy"
  # Directories only as far as they are empty, so nothing of anybody else goes.
  for directory in share/repy/examples share/repy/docs share/repy; do
    if [ -d "$prefix/$directory" ]; then
      rmdir "$prefix/$directory" 2>/dev/null || echo "note: $prefix/$directory is not empty and stays"
    fi
  done
  echo "removed repy-launch from $prefix"
  exit 0
fi
mkdir -p "$prefix/bin" 2>/dev/null && [ -w "$prefix/bin" ] || bad "$prefix/bin cannot be written: become root, or name another directory with --prefix"
places | while read -r mode file path; do put "$mode" "$here/$file" "$prefix/$path"; done
ln -sf repy-launch "$prefix/bin/repy"
echo "installed repy-launch, repy-interp and repy in $prefix/bin; restrictions files, examples and documentation in $prefix/share/repy"
case ":${PATH:-}:" in *":$prefix/bin:"*) ;; *) echo "note: $prefix/bin is not in your PATH" ;; esac
