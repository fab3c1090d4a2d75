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
