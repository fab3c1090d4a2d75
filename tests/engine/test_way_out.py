# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused because of an overlay that nobody has open names the line
that leads out, and that line does."""

import os
import shlex

import pytest

import blk
from planned import ask, qmp


def family(d, name="side"):
    """l0 <- l1 <- l2, and beside l1 and l2 what would be spoilt."""
    low, mid, top = blk.make_chain(d)
    side = blk.create(os.path.join(d, name), None, mid)
    blk.qemu_io(side, "write -P 9 128k 192k")
    return low, mid, top, side


@pytest.mark.parametrize("name", ["side", "a \"side\" of it's"])
@pytest.mark.parametrize("deep", [False, True])
def test_at_the_prompt(d, name, deep):
    """Off the layer that is written, also where the sibling lies higher."""
    low, mid, top, side = family(d, name)
    seen = blk.guest(side)
    args = {"device": "disk0", "base": low if deep else mid}
    with blk.Session("disk0=" + top) as s:
        error = qmp(s, "block-commit", **args)["error"]
        assert ask(s, "block-commit", **args)["error"] == error
        way = error["x-blkmon-way-out"]
        assert way["qmp"]["execute"] == "x-blkmon-rebase"
        assert way["qmp"]["arguments"]["base"] == ("" if deep else low)
        s.ok(way["hmp"])
        s.wait("rebase")
        s.ok("block_commit disk0 " + args["base"])
        s.wait("disk0", "ready")
        s.ok("block_job_complete disk0")
        s.wait("disk0")
    blk.assert_same(blk.guest(side), seen, "the sibling")


@pytest.mark.parametrize("low", ["low", "store/low"])
def test_links_stay_relative(d, low):
    """A family that is moved as a whole is found by itself afterwards, too."""
    os.mkdir(os.path.join(d, "store"))
    blk.create(os.path.join(d, low), blk.MIB)
    for name, link in (("mid", low), ("top", "mid"), ("side", "mid")):
        blk.create(os.path.join(d, name), None, link)
    with blk.Session("disk0=" + os.path.join(d, "top")) as s:
        way = qmp(s, "block-commit", device="disk0", base=os.path.join(
            d, "mid"))["error"]["x-blkmon-way-out"]
        s.ok(way["hmp"])
        s.wait("rebase")
    assert blk.img_info(os.path.join(d, "side"))["backing-filename"] == low


def test_as_a_hint(d):
    """For people: behind QEMU's words and ours."""
    _, mid, top, side = family(d)
    out = blk.blkmon("disk0=" + top, "-c", "block_commit disk0 " + mid)
    assert out.rc == 1 and "the way out" in out.err, out
    assert "rebase %s " % side in out.err
    assert "the way out" not in out.out


@pytest.mark.parametrize("verb", [[], ["plan"]])
def test_offline(d, verb):
    """A command that a shell takes as it stands."""
    _, _, top, side = family(d, "it's a side")
    seen, disk = blk.guest(side), blk.guest(top)
    out = blk.blkmon(*verb, "commit", top)
    assert out.rc == 1
    words = shlex.split(out.err.split("tried again: ", 1)[1])
    assert words[0] == "blkmon" and words[-1] == side
    blk.blkmon_ok(*words[1:])
    blk.blkmon_ok(*verb, "commit", top)
    blk.assert_same(blk.guest(side), seen, "the sibling")
    blk.assert_same(blk.guest(top), disk, "the disk")


def test_no_way_is_told_where_there_is_none(d):
    low, mid, top, side = family(d)
    os.unlink(side)
    with blk.Session("disk0=" + top) as s:
        for base in ("none", top):
            error = qmp(s, "block-commit", device="disk0", base=base)
            assert list(error["error"]) == ["class", "desc"], error
    out = blk.blkmon_ok("--line", "disk0=" + top,
                        stdin="block_stream disk0 0 %s\nwait\n" % low)
    told = [line for line in (out.out + out.err).splitlines()
            if "any more" in line]
    assert "'%s'" % mid in told[0] and "; delete " in told[0], out
