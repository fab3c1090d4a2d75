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


# What a thousand runs have met, all of it.
ALL = {how + kind for kind in set(Run.KINDS) - {"undo"}
       for how in ("done ", "refused ")} | {
           "v2", "raw", "data file", "inside", "colon", "graph", "cancel",
           "cancel force", "cancel restores"}


def one(seed):
    """(seed, what went wrong or None, what it has met)."""
    run = None
    with blk.workdir("blkmon-plan-%d-" % seed) as where:
        try:
            run = Run(seed, where)
            run.go()
            return seed, None, run.met
        except Exception as wrong:  # the seed must be said
            text = str(wrong) if isinstance(wrong, AssertionError) \
                and str(wrong) else traceback.format_exc()
            return seed, "%s\n  %s" % (text, run and run.trace), set()


def judge(first, count):
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        runs = list(pool.map(one, range(first, first + count)))
    failed = [run for run in runs if run[1]]
    if failed:
        pytest.fail("%d of %d\n%s" % (len(failed), count, "\n".join(
            "seed %d: %s" % f[:2] for f in failed[:5])), pytrace=False)
    return set().union(*(run[2] for run in runs))


def test_the_plan_is_what_is_done(seed):
    judge(seed, CHAINS)


@pytest.mark.long
def test_many_plans(seed):
    missed = ALL - judge(seed + CHAINS, 1000)
    assert not missed
