# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests have in common: where random ones begin, one number for all
who run them side by side; and none writes into the home of whoever runs them,
or reads what is wanted there.
"""

import atexit
import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "engine"))

import blk  # noqa: E402


def pytest_configure():
    """$BLKMON_SEED, else anywhere; the workers of xdist inherit it."""
    os.environ.setdefault("BLKMON_SEED",
                          str(int.from_bytes(os.urandom(3), "big")))
    state = tempfile.mkdtemp(prefix="blkmon-state-")
    os.environ["XDG_STATE_HOME"] = state
    os.environ["XDG_CONFIG_HOME"] = state
    atexit.register(shutil.rmtree, state, True)


@pytest.fixture
def d():
    """A folder of the test's own."""
    with blk.workdir() as path:
        yield path


@pytest.fixture(scope="session")
def seed():
    return int(os.environ["BLKMON_SEED"])


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line("BLKMON_SEED=" + os.environ["BLKMON_SEED"])
