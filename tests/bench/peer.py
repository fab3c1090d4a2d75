# SPDX-License-Identifier: GPL-3.0-or-later
"""Which QEMU is measured: the one in $PATH or, with $QEMU_ROOT, that of
another system's root, as scripts/debian_root.sh makes them.

Its programs are started by that root's own dynamic linker and get that root's
libraries, in this system's name space: no other process stands between, paths
mean the same to both sides, and nobody has to be root.
"""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

LINKERS = ("lib64/ld-linux-*.so.*", "lib/ld-linux-*.so.*")
LIBRARIES = ("usr/lib/*-linux-gnu", "lib/*-linux-gnu", "usr/lib64")
PROGRAMS = ("usr/local/bin", "usr/bin", "bin")


ROOT = os.environ.get("QEMU_ROOT")


def argv(words):
    """What to execute for a command line; only QEMU's tools are changed. Ends
    the program where the root cannot be used."""
    name, *rest = words
    if not ROOT or not name.startswith("qemu-"):
        return words
    return [*start(Path(ROOT), name), *rest]


@functools.cache
def start(root, name):
    """The words that stand in the place of @name."""
    root = root.resolve()
    linker = [p for pattern in LINKERS for p in sorted(root.glob(pattern))]
    folders = {p.resolve() for pattern in LIBRARIES
               for p in root.glob(pattern)}
    path = os.pathsep.join(str(root / p) for p in PROGRAMS)
    program = shutil.which(name, path=path)
    if not linker or not program:
        sys.exit(f"QEMU_ROOT: no {name if linker else 'ld-linux'} in {root}")
    words = [str(linker[0]), "--library-path",
             ":".join(sorted(map(str, folders)))]
    foreign = libraries_from_outside(root, [*words, "--list", program])
    if foreign:
        sys.exit(f"QEMU_ROOT: {name} would not get from {root}: "
                 + ", ".join(foreign))
    return [*words, "--argv0", name, program]


def libraries_from_outside(root, lister):
    """Those that are missing there, or that are this system's."""
    done = subprocess.run(lister, capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr.split("\n")[:1]
    found = [line.split() for line in done.stdout.splitlines()]
    return [w[0] for w in found if "=>" in w and not
            Path(w[2]).resolve().is_relative_to(root)]
