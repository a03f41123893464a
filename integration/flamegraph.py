#!/usr/bin/env python3
"""Draws folded stacks (`repy-launch --profile FILE`) as a flame graph.

    python3 integration/flamegraph.py PROFILE > graph.svg

A box is a call; its width is the share of the time, what stands on it was
called by it. The text of a box that is too narrow is in its tooltip.
"""
import sys
from html import escape

WIDTH, ROW, FONT, LETTER = 1000, 18, 11, 6.6
COLOURS = ["#e8833a", "#e8a13a", "#e8bd3a", "#d96a3a", "#e07a5f", "#f0a868"]


def read(lines):
    """The tree of calls: {name: [own and inner time, children]}."""
    root = [0, {}]
    for line in lines:
        stack, _, count = line.rstrip("\n").rpartition(" ")
        if not stack:
            continue
        node = root
        node[0] += int(count)
        for name in stack.split(";"):
            node = node[1].setdefault(name, [0, {}])
            node[0] += int(count)
    return root


def depth(node):
    return 1 + max([depth(child) for child in node[1].values()], default=0)


def draw(node, name, left, level, total, height, out):
    width = WIDTH * node[0] / total
    if width < 0.3:
        return
    top = height - (level + 1) * ROW
    share = "%s: %.1f %%" % (name, 100.0 * node[0] / total)
    colour = COLOURS[sum(map(ord, name)) % len(COLOURS)]
    room = int(width / LETTER) - 1
    label = name if len(name) <= room else (name[: room - 1] + "…" if room > 3 else "")
    out.append(
        '<g><title>%s</title><rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" stroke="#fff"/>'
        '<text x="%.1f" y="%d">%s</text></g>'
        % (escape(share), left, top, width, ROW - 1, colour, left + 3, top + 13, escape(label))
    )
    for child_name in sorted(node[1]):
        child = node[1][child_name]
        draw(child, child_name, left, level + 1, total, height, out)
        left += WIDTH * child[0] / total


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1]) as lines:
        root = read(lines)
    if not root[0]:
        sys.exit("flamegraph.py: %s holds no samples" % sys.argv[1])
    height = depth(root) * ROW
    out = []
    draw(root, "all", 0.0, 0, root[0], height, out)
    print(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="monospace" font-size="%d">'
        % (WIDTH, height, FONT)
    )
    print("\n".join(out))
    print("</svg>")


if __name__ == "__main__":
    main()
