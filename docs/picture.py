#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""picture.py SCREEN.ans SVG README: from a screenshot of blkmon with its
colours the picture SVG, and the text between the marks in README.

`make picture` does it with the demo.
"""

import re
import sys
import unicodedata
from html import escape
from pathlib import Path

W, H, MARGIN = 8.4, 17, 10
FRONT, BACK = "#d0d0d0", "#16181d"
STYLE = ("font-family:'DejaVu Sans Mono',Menlo,Consolas,monospace;"
         "font-size:14px;white-space:pre")
SGR = "\033\\[([0-9;]*)m"
BASIC = ("000000 cd0000 00cd00 cdcd00 0000ee cd00cd 00cdcd e5e5e5 "
         "7f7f7f ff0000 00ff00 ffff00 5c5cff ff00ff 00ffff ffffff").split()
MARKS = ("<!-- screen: made by `make picture` -->", "<!-- /screen -->")


def palette(n):
    """A colour of the 256 that terminals have."""
    if n < 16:
        return "#" + BASIC[n]
    if n >= 232:
        return "#" + f"{8 + (n - 232) * 10:02x}" * 3
    steps = (0, 95, 135, 175, 215, 255)
    n -= 16
    return "#%02x%02x%02x" % (steps[n // 36], steps[n // 6 % 6], steps[n % 6])


class Look:
    """What the numbers of an SGR sequence make of text."""

    def __init__(self, codes):
        self.front, self.back, self.bold, self.dim = FRONT, None, False, False
        self.line = reverse = False
        codes = iter(int(code or 0) for code in codes.split(";"))
        for code in codes:
            if code in (38, 48):
                next(codes)
                color = palette(next(codes))
                if code == 38:
                    self.front = color
                else:
                    self.back = color
            self.bold |= code == 1
            self.dim |= code == 2
            self.line |= code == 4
            reverse |= code == 7
        if reverse:
            self.front, self.back = self.back or BACK, self.front

    def css(self):
        return ((";font-weight:bold" if self.bold else "") +
                (";opacity:.6" if self.dim else "") +
                (";text-decoration:underline" if self.line else ""))


def columns(text):
    return sum(0 if unicodedata.combining(c) else
               2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in text)


def pieces(line):
    """(column, text, look) of each piece of a line that looks the same."""
    x = 0
    look = Look("0")
    for i, part in enumerate(re.split(SGR, line)):
        if i % 2:
            look = Look(part)
        elif part:
            yield x, part, look
            x += columns(part)


def piece(x, y, text, look):
    left, width = MARGIN + x * W, columns(text) * W
    out = ""
    if look.back:
        out += (f'<rect x="{left:.1f}" y="{MARGIN + y * H}" '
                f'width="{width:.1f}" height="{H}" fill="{look.back}"/>\n')
    if text.strip():
        # Fonts differ in width; the columns must not.
        out += (f'<text x="{left:.1f}" y="{MARGIN + y * H + 13}" '
                f'xml:space="preserve" textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs" '
                f'fill="{look.front}" style="{STYLE}{look.css()}">'
                f'{escape(text)}</text>\n')
    return out


def svg(lines):
    w = max(sum(columns(text) for _, text, _ in pieces(line))
            for line in lines) * W + 2 * MARGIN
    h = len(lines) * H + 2 * MARGIN
    body = "".join(piece(x, y, text, look)
                   for y, line in enumerate(lines)
                   for x, text, look in pieces(line))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{w:.0f}" '
            f'height="{h}" viewBox="0 0 {w:.0f} {h}">\n'
            f'<rect width="100%" height="100%" rx="6" fill="{BACK}"/>\n'
            f'{body}</svg>\n')


def put_into(readme, text):
    old = readme.read_text(encoding="utf-8")
    before, rest = old.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    shown = "".join(f"    {line}".rstrip() + "\n"
                    for line in text.splitlines())
    readme.write_text(f"{before}{MARKS[0]}\n\n{shown}\n{MARKS[1]}{after}",
                      encoding="utf-8")


def main():
    screen, picture, readme = sys.argv[1:]
    ansi = Path(screen).read_text(encoding="utf-8")
    Path(picture).write_text(svg(ansi.splitlines()), encoding="utf-8")
    put_into(Path(readme), re.sub(SGR, "", ansi))


main()
