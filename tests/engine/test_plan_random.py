# SPDX-License-Identifier: GPL-3.0-or-later
"""x-blkmon-plan says what the job then does.

Random chains and requests: what the plan says, to the byte where a job counts
bytes, is compared with what the job did, the size of the files, and the chain
afterwards; what it refuses with what the request itself is refused for.
"""

import concurrent.futures
import os
import traceback

import pytest

import blk
from planned import Run

CHAINS = int(os.environ.get("BLKMON_PLANS", "40"))


def one(seed):
    """(seed, None), or (seed, what went wrong)."""
    run = None
    with blk.workdir("blkmon-plan-%d-" % seed) as where:
        try:
            run = Run(seed, where)
            run.go()
            return seed, None
        except Exception as wrong:  # the seed must be said
            text = str(wrong) if isinstance(wrong, AssertionError) \
                and str(wrong) else traceback.format_exc()
            return seed, "%s\n  %s" % (text, run and run.trace)


def judge(first, count):
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        failed = [f for f in pool.map(one, range(first, first + count))
                  if f[1]]
    if failed:
        pytest.fail("%d of %d\n%s" % (len(failed), count, "\n".join(
            "seed %d: %s" % f for f in failed[:5])), pytrace=False)


def test_the_plan_is_what_is_done(seed):
    judge(seed, CHAINS)


@pytest.mark.long
def test_many_plans(seed):
    judge(seed + CHAINS, 1000)
