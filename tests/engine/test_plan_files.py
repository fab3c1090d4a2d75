# SPDX-License-Identifier: GPL-3.0-or-later
"""x-blkmon-plan of what is done to files around the chains: delete, rebase,
undo. It says what is then done, and what is refused in the same words."""

import json
import os
import random
import shutil
import time

import pytest

import blk
from blk import KIB, MIB
from planned import Run, ask, chain_of, files, job, plan_of, qmp
from test_undo import cloning_fs, used_there


def test_delete(d):
    """What would go, in the order in which it goes, and what that gives."""
    low, mid, top = blk.make_chain(d)
    left = blk.create(os.path.join(d, "left"), None, mid)
    above = blk.create(os.path.join(d, "above"), None, left)
    blk.qemu_io(left, "write 0 1M")
    with blk.Session(top) as s:
        plan = plan_of(s, "x-blkmon-delete", files=[left, above])
        assert plan["kind"] == "delete" and plan["unused"] == []
        assert files(plan["layers"]) == [above, left]
        assert os.path.exists(left) and os.path.exists(above)
        assert s.ok("plan " + plan["hmp"])[0] == "delete: above, left"
        assert any(line.startswith("frees ")
                   for line in s.ok("plan " + plan["hmp"]))
        for name in (low, mid, top, left, os.path.join(d, "none")):
            said = ask(s, "x-blkmon-delete", files=[name])
            assert "error" in said
            assert said == qmp(s, "x-blkmon-delete", files=[name])
        done = qmp(s, plan["qmp"]["execute"],
                   **plan["qmp"]["arguments"])["return"]
        assert done["freed"] == plan["gives-back"] > MIB
        assert [f["file"] for f in done["files"]] == [above, left]


def last_job():
    """As the history has it, of a program that has ended."""
    return json.loads(blk.blkmon_ok("history", "-n1", "--json").out)[0]


@pytest.mark.parametrize("same", [False, True])
def test_rebase(d, same):
    """At most what the maps say is copied; less where the data is the same."""
    low, mid, top = blk.make_chain(d)
    side = blk.create(os.path.join(d, "side"), None, mid)
    other = blk.create(os.path.join(d, "other"), 4 * MIB)
    if same:
        blk.qemu_io(other, "write -P 1 0 64k")
        blk.qemu_io(mid, "write -P 1 0 64k")
    blk.qemu_io(side, "write 192k 256k")
    with blk.Session(top) as s:
        before = {path: blk.content(path) for path in (low, mid, side, other)}
        args = {"file": side, "base": other, "base-format": "qcow2"}
        plan = plan_of(s, "x-blkmon-rebase", **args)
        for path, was in before.items():
            blk.unchanged(path, was)
        assert files(plan["layers"]) == [side, mid, low]
        assert files(plan["chain"]) == [side, other]
        assert plan["bytes"]["copied"] == plan["bytes"]["left"] > 0
        room = os.stat(side).st_blocks * 512
        s.ok(plan["hmp"])
        s.wait("rebase")
        grown = os.stat(side).st_blocks * 512 - room
        assert grown <= plan["space"]["needs"] + 64 * KIB
        assert same or grown >= plan["space"]["needs"] - 64 * KIB
        assert s.quit() == 0
    assert last_job()["moved"] == plan["bytes"]["left"] - (
        64 * KIB if same else 0)


def test_rebase_over_what_is_below(d):
    """The way out for a sibling: off the layer that is to change."""
    low, mid, top = blk.make_chain(d)
    side = blk.create(os.path.join(d, "side"), None, mid)
    with blk.Session(top) as s:
        plan = plan_of(s, "x-blkmon-rebase", file=side)
        assert files(plan["chain"]) == [side, low]
        assert plan["hmp"] == "rebase " + side
        assert s.ok("plan rebase " + side)[0] == \
            "rebase: side on l1.img on l0.img"
        assert s.jobs() == {}
        for args in ({"file": top}, {"file": side, "speed": -1},
                     {"file": os.path.join(d, "none")},
                     {"file": side, "base": "x", "base-format": "qcow2"},
                     {"file": side, "base": side, "base-format": "qcow2"},
                     {"file": side, "base": low, "base-format": "red"},
                     {"file": side, "job-id": "1a"}):
            said = ask(s, "x-blkmon-rebase", **args)
            assert "error" in said, args
            assert said == qmp(s, "x-blkmon-rebase", **args)
        with blk.held_by_qemu_io(side):
            said = ask(s, "x-blkmon-rebase", file=side)
            assert "qemu-io" in said["error"]["desc"], said


def test_random_rebases(d, seed):
    """As many bytes as are then copied, where all data differs and fills
    clusters."""
    rng = random.Random(seed)
    for n in range(12):
        where = os.path.join(d, str(n))
        os.mkdir(where)
        size, paths = rng.choice([3 * MIB, 4 * MIB + 512]), {}
        for pattern, (name, below) in enumerate((
                ("low", None), ("mid", "low"), ("side", "mid"),
                ("to", None), ("new", "to")), 1):
            path = paths[name] = blk.create(
                os.path.join(where, name), None if below else size,
                paths.get(below),
                cluster_size=rng.choice(["4k", "64k", "128k"]))
            for _ in range(rng.randrange(4)):
                blk.qemu_io(path, "write -P %d %dk %dk" % (
                    pattern, 128 * rng.randrange(12),
                    128 * rng.randrange(1, 12)))
        with blk.Session() as s:
            args = {"file": paths["side"], "base": paths["new"],
                    "base_format": "qcow2"}
            plan = plan_of(s, "x-blkmon-rebase", **args)
            assert qmp(s, "x-blkmon-rebase", **args) == {"return": {}}
            s.wait("rebase")
            assert s.quit() == 0
        told = last_job()
        assert told["to"] == paths["side"]
        assert told["moved"] == plan["bytes"]["left"], (n, plan["bytes"])


def freed(place, before, least):
    """How much the file system got back; it takes its time to."""
    end = time.monotonic() + blk.PATIENCE
    while True:
        os.sync()
        now = os.statvfs(place)
        got = (now.f_bfree - before.f_bfree) * now.f_frsize
        if got >= least - 128 * KIB:
            return got
        assert time.monotonic() < end, (got, least)


@pytest.mark.parametrize("deep", [1, 2])
def test_undo(d, deep):
    """The chain and the space as they are then; refused as undo is."""
    with cloning_fs(d) as place:
        paths = blk.make_chain(place, deep + 2, size=16 * MIB, data=4 * MIB)
        low, top = paths[0], paths[-1]
        with blk.Session(top) as s:
            said = ask(s, "x-blkmon-undo", id="c")
            assert said == qmp(s, "x-blkmon-undo", id="c")
            assert "There is nothing kept" in said["error"]["desc"]
            assert qmp(s, "block-commit", device="disk0", top=paths[-2],
                       base=low, job_id="c",
                       x_blkmon_keep=True) == {"return": {}}
            s.wait("c")
            assert chain_of(s) == [top, low]
            plan = plan_of(s, "x-blkmon-undo", id="c")
            assert chain_of(s) == [top, low]
            assert files(plan["chain"]) == paths[::-1]
            assert plan["hmp"] == "undo c"
            assert plan["gives-back"] > 0
            os.sync()
            free = os.statvfs(place)
            other = blk.create(os.path.join(place, "other"), None, low)
            said = ask(s, "x-blkmon-undo", id="c")
            assert other in said["error"]["desc"]
            assert said == qmp(s, "x-blkmon-undo", id="c")
            os.unlink(other)
            s.ok("undo c")
            assert chain_of(s) == files(plan["chain"])
            got = freed(place, free, plan["gives-back"])
            assert got <= plan["gives-back"] + 128 * KIB, (got, plan)
            said = ask(s, "x-blkmon-undo", id="c")
            assert said == qmp(s, "x-blkmon-undo", id="c")


def test_lines_in_json(d):
    """At the prompt as in QMP."""
    low, mid, top = blk.make_chain(d)
    side = blk.create(os.path.join(d, "a side"), None, mid)
    with blk.Session(top) as s:
        reply = json.loads(s.ok('plan --json delete -d "%s"' % side)[0])
        assert reply["return"]["hmp"] == 'delete -d "%s"' % side
        lines = ['rebase -f "%s" %s qcow2 1M' % (side, low)]
        plans = []
        for _ in range(2):
            reply = json.loads(s.ok("plan --json " + lines[-1])[0])
            plans.append(reply["return"])
            lines.append(plans[-1]["hmp"])
            plans[-1]["space"].pop("free")      # others write there, too
        assert plans[0] == plans[1]
        assert os.path.exists(side) and s.jobs() == {}


def test_jobs_on_a_host_that_clones(d, seed):
    """Random chains and requests, as in test_plan.py: the bytes that are
    cloned there are those that were said to be, and what the file system
    lost is what was needed. It goes on until some were."""
    cloned = 0
    with cloning_fs(d) as place:
        for n in range(seed, seed + 400):
            if cloned and n >= seed + 40:
                break
            where = os.path.join(place, str(n))
            os.mkdir(where)
            run = Run(n, where, lambda: used_there(place))
            try:
                run.go()
            except AssertionError as wrong:
                raise AssertionError("seed %d: %s\n%s" % (
                    n, wrong, run.trace)) from wrong
            cloned += sum(said["cloned"] for said in run.trace
                          if isinstance(said, dict) and "cloned" in said)
            shutil.rmtree(where)
    assert cloned


def test_what_growth_writes_is_cloned_over(d):
    """Of an image of version 2 zeroes are data: the cluster at its old end
    has its place before the job comes there, and gives it back."""
    with cloning_fs(d) as place:
        low = blk.create(os.path.join(place, "low"), MIB)
        base = blk.create(os.path.join(place, "base"), 300 * KIB, low,
                          compat="0.10", cluster_size="256k")
        top = blk.create(os.path.join(place, "top"), MIB, base,
                         cluster_size="256k")
        blk.qemu_io(top, "write 256k 256k")
        with blk.Session(top) as s:
            plan = plan_of(s, "block-commit", device="disk0", base=base)
            s.ok(plan["hmp"])
            s.wait("disk0", "ready")
            done = job(s, "disk0")
            assert plan["bytes"]["cloned"] == done["cloned"] == 256 * KIB
            assert plan["bytes"]["overwritten"] == done["overwritten"] == 0


def test_small_clusters_are_not_cloned(d):
    """Smaller than the host's blocks: it would be chance which of them."""
    with cloning_fs(d) as place:
        low = blk.create(os.path.join(place, "low"), 16 * MIB,
                         cluster_size=512)
        top = blk.create(os.path.join(place, "top"), None, low)
        blk.qemu_io(top, "write 1M 4M")
        with blk.Session(top) as s:
            plan = plan_of(s, "block-commit", device="disk0")
            s.ok("block_commit disk0")
            s.wait("disk0", "ready")
            done = job(s, "disk0")
            for way in ("cloned", "copied"):
                assert plan["bytes"][way] == done[way], done
            assert done["copied"] == 4 * MIB
