#!/bin/sh
# Runs the tutorial's first program in the sandbox. Where the host lacks a layer
# the launcher refuses (exit 4) and says what to do; this script then adds the
# command that runs the demo without that layer, and runs it only when the
# operator passes the layer's name: DEMO_WITHOUT=cgroup make demo
set -u
bin=${REPY_BIN_DIR:?run this through: make demo}
vessel=$(mktemp -d "${TMPDIR:-/tmp}/repy-demo.XXXXXX") || exit 1
errors=$vessel.err
trap 'rm -rf "$vessel" "$errors"' EXIT

waived=
for layer in ${DEMO_WITHOUT:-}; do waived="$waived --without $layer"; done

echo "+ repy-launch --policy policies/restrictions.test$waived examples/example.1.1.repy"
# Word splitting of $waived is wanted: each layer is two words.
"$bin/repy-launch" --policy policies/restrictions.test --vessel "$vessel" $waived \
  examples/example.1.1.repy 2>"$errors"
code=$?
cat "$errors" >&2
case $code in
  0)
    if [ -n "$waived" ]; then
      echo "(that run was NOT fully confined: the operator gave up ${DEMO_WITHOUT})"
    else
      echo "(confined by every layer: see repy-launch --plan)"
    fi ;;
  4)
    missing=$(sed -n 's/.*--without \([a-z]*\).*/\1/p' "$errors" | sort -u | tr '\n' ' ')
    missing=${missing% }
    [ -n "$missing" ] &&
      echo "To see the demo without this layer, and so not fully confined: DEMO_WITHOUT=\"${DEMO_WITHOUT:+$DEMO_WITHOUT }$missing\" make demo" >&2 ;;
esac
exit $code
