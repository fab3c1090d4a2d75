# SPDX-License-Identifier: GPL-3.0-or-later
"""map, compare, measure and rebase beside qemu-img's, on random chains."""

import concurrent.futures
import json
import os
import random

import pytest

import blk
import model
from blk import KIB, MIB
from differential import Maker, random_options

CHAINS = int(os.environ.get("BLKMON_CHAINS", "30"))
SEED = int(os.environ.get("BLKMON_SEED", "1"))


def each_seed(test, count=CHAINS):
    """Runs test(rng, folder) for so many seeds, side by side: most of the
    time goes to QEMU's tools."""
    def one(seed):
        with blk.workdir() as d:
            try:
                test(random.Random(seed), d)
            except Exception as wrong:
                raise AssertionError("seed %d: %s" % (seed, wrong)) from wrong

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(one, SEED * 10000 + n)
                     for n in range(count)]:
            done.result()


def images(world):
    """Each image of a world once."""
    return {layer.path: layer for chain in world.chains.values()
            for layer in chain}.values()


# -------------------------------------------------------------------- map

def told(out, *extra):
    """The entries of a map without those fields, joined where they only
    differed in them."""
    entries = []
    for e in json.loads(out):
        for name in extra:
            e.pop(name, None)
        last = entries[-1] if entries else None
        if last and all(last.get(k) == e.get(k) for k in
                        ("depth", "present", "zero", "data", "compressed")) \
                and ("offset" in last) == ("offset" in e) \
                and last.get("offset", 0) + last["length"] * ("offset" in e) \
                == e.get("offset", 0):
            last["length"] += e["length"]
        else:
            entries.append(e)
    return entries


def assert_same_map(layer, *args):
    ours = blk.blkmon_ok("map", "-f", layer.fmt, "--output=json", *args,
                         layer.path).out
    theirs = blk.qemu_img("map", "-f", layer.fmt, "--output=json", *args,
                          layer.path).out
    # QEMU 7.2 does not tell of compression, and none of them names the file.
    unknown = ["filename"]
    if '"compressed"' not in theirs:
        unknown.append("compressed")
    assert told(ours, *unknown) == told(theirs, *unknown), \
        "%s %s\n%s\n%s" % (layer.path, args, ours, theirs)


def assert_same_table(layer):
    ours = blk.blkmon("map", "-f", layer.fmt, layer.path)
    theirs = blk.run("qemu-img", "map", "-f", layer.fmt, layer.path)
    assert (ours.rc, ours.out) == (theirs.rc, theirs.out), \
        "%r\n%r" % (ours, theirs)


def test_maps_of_random_chains():
    def one(rng, d):
        for layer in images(Maker(rng, d).world()):
            assert_same_map(layer)
            assert_same_table(layer)
            start = rng.randrange(layer.size)
            assert_same_map(layer, "--start-offset=%d" % start,
                            "--max-length=%d" % rng.randrange(1, layer.size))
    each_seed(one)
