# SPDX-License-Identifier: GPL-3.0-or-later
"""A closed image is given another backing file while the disks beside it are
in use: a job, that leaves what it shows as it was."""

import os

import pytest

import blk
from blk import KIB, MIB
from qmpsock import Server


@pytest.fixture(name="family")
def chain_with_a_sibling(d):
    """base <- mid <- top, and mid <- side, which is not open."""
    paths = blk.make_chain(d)
    side = os.path.join(d, "side")
    blk.create(side, None, "l1.img", cwd=d)
    blk.qemu_io(side, "write -P 9 128k 192k")
    return (*paths, side)


def done(q, name="rebase"):
    return q.event("BLOCK_JOB_COMPLETED", device=name)["data"]


def backing(path):
    return blk.resolved(path, blk.img_info(path)["backing-filename"])


def test_away_from_a_layer_that_is_to_change(d, family):
    base, mid, top, side = family
    seen, disk = blk.guest(side), blk.guest(top)
    with Server(d, top) as server, server.client() as q:
        commit = {"execute": "block-commit",
                  "arguments": {"device": "disk0", "base": mid,
                                "job-id": "c"}}
        assert side in q.refused(commit)[1]
        q.ask("x-blkmon-rebase", file=side)
        assert "error" not in done(q)
        q.send(commit)
        assert q.reply() == {"return": {}}
        q.event("BLOCK_JOB_READY", device="c")
        q.ask("block-job-complete", device="c")
        assert "error" not in done(q, "c")
    blk.assert_same(blk.guest(side), seen, "the sibling")
    blk.assert_same(blk.guest(mid), disk, "the disk")
    assert backing(side) == base
    assert blk.img_info(side)["backing-filename-format"] == "qcow2"
    blk.check(side)


@pytest.mark.parametrize("base, fmt", [("", None), ("l0.img", None),
                                       ("l2.img", "qcow2"), ("zero", "raw")])
def test_onto_others(d, family, base, fmt):
    side = family[-1]
    blk.create(os.path.join(d, "zero"), 4 * MIB, fmt="raw")
    seen = blk.guest(side)
    with Server(d, "--drive", "readonly=on,file=" + family[2]) as server, \
            server.client() as q:
        q.ask("x-blkmon-rebase", file=side, base=base, job_id="r",
              **({"base_format": fmt} if fmt else {}))
        assert "error" not in done(q, "r")
    blk.assert_same(blk.guest(side), seen, "the image")
    assert blk.img_info(side).get("backing-filename", "") == base
    blk.check(side)


def test_what_is_refused_is_refused_at_once(d, family):
    _, mid, top, side = family
    before = blk.content(side)
    blk.simple(d, "alone")
    with Server(d, top) as server, server.client() as q:
        for args, words in (
                ({"file": top}, "in use by drive 'disk0'"),
                ({"file": mid}, "in use by drive 'disk0'"),
                ({"file": os.path.join(d, "gone")}, "No such file"),
                ({"file": os.path.join(d, "alone")}, "has no backing file"),
                ({"file": side, "base": "l2.img", "base-format": "qcow2"},
                 "lock"),
                ({"file": side, "base": "side", "base-format": "qcow2"},
                 "infinite loop"),
                ({"file": side, "base": "alone"}, "format must be specified"),
                ({"file": side, "job-id": "1"}, "Invalid job ID"),
                ({"file": side, "speed": -1}, "non-negative")):
            got = q.refused({"execute": "x-blkmon-rebase", "arguments": args})
            assert words in got[1], got
        assert q.ask("query-jobs") == []
    assert blk.content(side) == before


def test_it_is_a_job(d, family):
    """Slow, paused, seen; given up it leaves the image as it was."""
    _, mid, top, side = family
    seen = blk.guest(side)
    with Server(d, top) as server, server.client() as q:
        q.ask("x-blkmon-rebase", file=side, base="", speed=64 * KIB)
        job = q.ask("query-jobs")[0]
        assert (job["id"], job["type"]) == ("rebase", "rebase")
        q.ask("block-job-pause", device="rebase")
        # Who would write to a layer meanwhile is refused.
        assert "error" in q.request("block-commit", device="disk0", base=mid,
                                    **{"x_blkmon_force": True})
        assert "error" in q.request("x-blkmon-rebase", file=side)
        q.ask("block-job-resume", device="rebase")
        q.ask("block-job-cancel", device="rebase")
        q.event("BLOCK_JOB_CANCELLED", device="rebase")
        assert blk.img_info(side)["backing-filename"] == "l1.img"
        blk.assert_same(blk.guest(side), seen, "given up")
        q.ask("x-blkmon-rebase", file=side, auto_finalize=False)
        q.event("BLOCK_JOB_PENDING", id="rebase")
        assert blk.img_info(side)["backing-filename"] == "l1.img"
        q.ask("block-job-finalize", id="rebase")
        assert "error" not in done(q)
    blk.assert_same(blk.guest(side), seen, "at the end")
    assert backing(side) == family[0]


def test_data_files(d):
    """Neither header leads to its data file: they are named, in the order
    in which the images ask, those of the new base first."""
    def image(name, *below):
        blk.qemu_img("create", "-q", "-f", "qcow2", *below, "-o",
                     "data_file=%s.d" % os.path.join(d, name), name, "4M",
                     cwd=d)
        blk.qemu_io(os.path.join(d, name), "write -P %d 64k 192k"
                    % ord(name[0]))
        os.rename(os.path.join(d, name + ".d"),
                  os.path.join(d, name + ".moved"))
        return os.path.join(d, name)

    def as_it_was():
        for name in names:
            os.rename(os.path.join(d, name + ".moved"),
                      os.path.join(d, name + ".d"))

    names = ["one", "two"]
    one = image("one")
    two = image("two")
    side = os.path.join(d, "side")
    blk.qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", one, "-F", "qcow2",
                 side, "4M")
    blk.simple(d, "alone")
    moved = [os.path.join(d, name + ".moved") for name in ("two", "one")]
    args = dict(file=side, base=two, **{"base-format": "qcow2"})
    with Server(d, os.path.join(d, "alone")) as server, \
            server.client() as q:
        assert "error" in q.request("x-blkmon-rebase", **args)
        assert q.refused({"execute": "x-blkmon-rebase", "arguments": dict(
            args, **{"data-files": ["x", 5]})})[1] == (
            "Invalid parameter type for 'data-files[1]', expected: string")
        args["data-files"] = moved
        plan = q.ask("x-blkmon-plan", request={
            "execute": "x-blkmon-rebase", "arguments": args})
        assert plan["bytes"]["copied"] == 192 * KIB, plan
        assert plan.get("hmp") is None
        q.ask("x-blkmon-rebase", **args)
        assert "error" not in done(q)
    as_it_was()
    assert backing(side) == two
    assert blk.guest(side)[64 * KIB:256 * KIB] == b"o" * (192 * KIB)
    blk.check(side)


def test_at_the_prompt(d, family):
    side = family[-1]
    seen = blk.guest(side)
    blk.blkmon_ok(family[2], "-c", "rebase %s" % side, "-c", "wait")
    blk.assert_same(blk.guest(side), seen, "the image")
    assert backing(side) == family[0]


def test_a_full_disk(d, family):
    side = family[-1]
    with blk.small_fs(d, MIB) as place:
        far = os.path.join(place, "side")
        blk.qemu_img("create", "-q", "-f", "qcow2", "-b", family[1], "-F",
                     "qcow2", far)
        seen = blk.guest(far)
        with Server(d, family[2]) as server, server.client() as q:
            q.ask("x-blkmon-rebase", file=far, base="")
            assert done(q)["error"] == "No space left on device"
        assert blk.img_info(far)["backing-filename"] == family[1]
        blk.assert_same(blk.guest(far), seen, "after the failure")
        assert os.path.exists(side)
