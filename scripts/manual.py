#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chapter of the manual that comes from the program's command table.

manual.py [--check] PROGRAM: writes the chapter into docs/blkmon.1, or exits
with 1 if what stands there is not what PROGRAM would write.
"""

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "blkmon.1"
BEGIN = '.\\" begin: made by scripts/manual.py\n'
END = '.\\" end\n'


def main():
    check = "--check" in sys.argv
    program = sys.argv[-1]
    chapter = subprocess.run([program, "--dump-commands=man"], check=True,
                             capture_output=True, text=True).stdout
    old = PAGE.read_text(encoding="utf-8")
    head, rest = old.split(BEGIN)
    new = head + BEGIN + chapter + END + rest.split(END)[1]
    if check and new != old:
        sys.exit("docs/blkmon.1 is behind the command table: run "
                 "scripts/manual.py ./blkmon")
    if not check:
        PAGE.write_text(new, encoding="utf-8")


main()
