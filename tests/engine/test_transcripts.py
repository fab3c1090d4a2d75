# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded sessions, line by line: see scenarios/README.md."""

import glob
import os

import pytest

import blk
import replay

SCENARIOS = sorted(glob.glob(os.path.join(blk.HERE, "scenarios", "*.txt")))


@pytest.mark.parametrize("path", SCENARIOS, ids=[
    os.path.basename(p)[:-4] for p in SCENARIOS])
def test_scenario(d, path):
    replay.replay(d, path)


def test_there_are_scenarios():
    assert len(SCENARIOS) >= 4
