# SPDX-License-Identifier: GPL-3.0-or-later
"""What a forced commit has spoilt is told as long as it is as it was then."""

import json
import os

import pytest

import blk


def folder(s):
    got = json.loads("".join(s.ok('{"execute": "x-blkmon-query-folder"}')))
    return {os.path.basename(i["path"]): i["spoilt"]
            for i in got["return"]["images"]}


def family(d):
    """l0 <- l1 <- l2 <- l3; on l1 side and on that its own; on l2 high."""
    for name, below in (("l0", None), ("l1", "l0"), ("l2", "l1"),
                        ("l3", "l2"), ("side", "l1"), ("on-side", "side"),
                        ("high", "l2"), ("low", "l0")):
        blk.create(name, None if below else "4M", below, cwd=d)
        blk.run("qemu-io", "-c", "write -P 7 %s 64k" % len(name), name, cwd=d)


@pytest.mark.parametrize("line", [
    "block_commit -f disk0 l1 l2",
    '{"execute": "block-commit", "arguments": {"device": "disk0", '
    '"base": "l1", "top": "l2", "x-blkmon-force": true}}',
    "commit -f disk0",
])
def test_told(d, line):
    family(d)
    with blk.Session("disk0=l3", cwd=d) as s:
        assert not any(folder(s).values())
        s.ok(line)
        if "block" in line:
            s.wait("disk0")
            # Those on base and on what lies on base; not those on top, which
            # read the same, and not those below.
            spoilt = {"side", "on-side"}
        else:
            # All of l3 went into l2.
            spoilt = {"high"}
        assert {n for n, bad in folder(s).items() if bad} == spoilt
        text = "\n".join(s.ok("info folder"))
        assert text.count("SPOILT") == len(spoilt)
        # Written anew it is another: nothing is known of that.
        name = sorted(spoilt)[0]
        os.unlink(os.path.join(d, name))
        blk.create(name, "1M", cwd=d)
        assert not folder(s)[name]


def test_what_is_refused_spoils_nothing(d):
    family(d)
    with blk.Session("disk0=l3", cwd=d) as s:
        s.fails("block_commit disk0 l1 l2", "would damage")
        s.ok("plan block_commit -f disk0 l1 l2")
        s.fails("block_commit -f disk0 l1 nix", "not found")
        assert not any(folder(s).values())


def test_what_is_open_is_not_spoilt_unseen(d):
    """Who is open stands in the way, with force, too."""
    family(d)
    with blk.Session("disk0=l3", "b=on-side", cwd=d) as s:
        s.fails("block_commit -f disk0 l1 l2", "is also the backing file")
        assert not any(folder(s).values())


def at_work(s, line, d):
    """base <- mid <- top <- active; overlays of three come while it works."""
    s.ok(line)
    for below in ("base", "mid", "top"):
        blk.qemu_img("create", "-q", "-f", "qcow2", "-b", below, "-F", "qcow2",
                     "-u", "on-" + below, "4M", cwd=d)
    blk.qemu_img("create", "-q", "-f", "qcow2", "-b", "on-base", "-F", "qcow2",
                 "-u", "high", "4M", cwd=d)


def late(s):
    """What was told of such overlays up to now."""
    s.wait("disk0")
    return "\n".join(x for x in s.log
                     if "which is not open here, came" in x)


def spoilt_now(s):
    return {name for name, bad in folder(s).items() if bad}


def at_work_chain(d, names):
    for name, below in zip(names, (None,) + names):
        blk.create(name, None if below else "4M", below, cwd=d)
        blk.run("qemu-io", "-c", "write -P %d 0 1M" % len(name), name, cwd=d)


@pytest.mark.parametrize("end", ["done", "cancelled"])
def test_made_while_a_commit_works(d, end):
    """It can't be refused any more; it is told at the end, and marked."""
    at_work_chain(d, ("base", "mid", "top", "active"))
    with blk.Session("disk0=active", cwd=d) as s:
        at_work(s, "block_commit disk0 base top 64k", d)
        if end == "done":
            s.ok("block_job_set_speed disk0 0")
        else:
            s.ok("block_job_cancel -f disk0")
        told = late(s)
        assert told.count("came to read from") == 2, told
        assert "(and 1 more)" in told, told
        for name in ("mid", "base"):
            assert "on-%s'" % name in told and "'%s'" % name in told, told
        assert "'on-top'" not in told and "disk0" in told, told
        assert spoilt_now(s) == {"on-base", "on-mid", "high"}


def test_made_before_a_pivot(d):
    """From then on the guest writes where an overlay of the old active layer
    reads."""
    at_work_chain(d, ("base", "active"))
    with blk.Session("disk0=active", cwd=d) as s:
        s.ok("block_commit disk0 base")
        s.wait("disk0", "ready")
        blk.create("on-active", None, "active", cwd=d)
        s.ok("block_job_complete disk0")
        assert "'on-active'" in late(s)
        assert spoilt_now(s) == {"on-active"}


def test_known_ones_are_not_told_again(d):
    """Who was there and was forced is spoilt; it did not come meanwhile."""
    family(d)
    with blk.Session("disk0=l3", cwd=d) as s:
        s.ok("block_commit -f disk0 l1 l2")
        assert not late(s)
