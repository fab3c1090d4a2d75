# SPDX-License-Identifier: GPL-3.0-or-later
"""Where random tests begin: one number for all who run them side by side."""

import os

import pytest


def pytest_configure():
    """$BLKMON_SEED, else anywhere; the workers of xdist inherit it."""
    os.environ.setdefault("BLKMON_SEED",
                          str(int.from_bytes(os.urandom(3), "big")))


@pytest.fixture(scope="session")
def seed():
    return int(os.environ["BLKMON_SEED"])


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line("BLKMON_SEED=" + os.environ["BLKMON_SEED"])
