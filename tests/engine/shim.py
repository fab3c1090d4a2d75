# SPDX-License-Identifier: GPL-3.0-or-later
"""Libraries that stand between blkmon and the host, from the C files here."""

import atexit
import functools
import os
import shutil
import tempfile

import blk


@functools.cache
def built(source):
    """Its path; compiled once for all the tests of this process."""
    folder = tempfile.mkdtemp(prefix="blkmon-shim-", dir=blk.tempdir())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = os.path.join(folder, source + ".so")
    out = blk.run("cc", "-O2", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", path,
                  os.path.join(blk.HERE, source))
    assert out.rc == 0, out
    return path


def faults(path):
    """The environment in which the disk fails as the file at path says."""
    return dict(os.environ, LD_PRELOAD=built("faults.c"), BLKMON_FAULTS=path,
                ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "")
                + ":verify_asan_link_order=0")
