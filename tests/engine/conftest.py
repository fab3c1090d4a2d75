# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the modules of this folder find each other, and shared fixtures."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import blk  # noqa: E402


@pytest.fixture
def d():
    """A folder of the test's own."""
    with blk.workdir() as path:
        yield path


@pytest.fixture
def pair(d):
    """Two layers with something to move between them."""
    return blk.make_chain(d, 2, size=8 * blk.MIB, data=4 * blk.MIB)


def pytest_collection_modifyitems(items):
    """Without the program every test fails for one reason: say that once."""
    if items and not os.access(blk.BLKMON, os.X_OK):
        pytest.exit("no program at %s (BLKMON says where)" % blk.BLKMON, 2)
