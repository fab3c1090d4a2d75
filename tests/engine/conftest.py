# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of this folder share."""

import os

import pytest

import blk


@pytest.fixture
def pair(d):
    """Two layers with something to move between them."""
    return blk.make_chain(d, 2, size=8 * blk.MIB, data=4 * blk.MIB)


def pytest_collection_modifyitems(items):
    """Without the program every test fails for one reason: say that once."""
    if items and not os.access(blk.BLKMON, os.X_OK):
        pytest.exit("no program at %s (BLKMON says where)" % blk.BLKMON, 2)
