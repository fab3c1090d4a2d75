# SPDX-License-Identifier: GPL-3.0-or-later
"""Random chains through random operations: see differential.py.

The first seed is printed at the end of a run; to see a failure again:

    BLKMON_SEED=n python3 -m pytest tests/engine/test_differential.py -k first
    python3 tests/engine/differential.py --seed n --count 1
"""

import os

import pytest

import differential

CHAINS = int(os.environ.get("BLKMON_CHAINS", "200"))
GROUP = 25

# On all processors by itself.
pytestmark = pytest.mark.alone


def judge(first, count):
    failed = differential.many(first, count)
    if failed:
        pytest.fail("%d of %d chains\n%s" % (
            len(failed), count, "\n".join(
                "python3 tests/engine/differential.py --seed %d: %s" % f
                for f in failed[:5])), pytrace=False)


def test_first(seed):
    """The chain of exactly that seed, to replay a failure with -k first."""
    judge(seed, 1)


@pytest.mark.parametrize("group", range(-(-CHAINS // GROUP)))
def test_chains(seed, group):
    judge(seed + group * GROUP, min(GROUP, CHAINS - group * GROUP))


@pytest.mark.long
def test_many_more_chains(seed):
    judge(seed + CHAINS, 1500)


@pytest.mark.skipif(bool(os.environ.get("SAN")),
                    reason="the program is not in it")
def test_the_model_is_right():
    """The same runs, with QEMU's own tools in the place of blkmon."""
    failed = differential.many(1, 12, self_test=True)
    assert not failed, failed
