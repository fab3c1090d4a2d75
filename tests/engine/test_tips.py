# SPDX-License-Identifier: GPL-3.0-or-later
"""Where QEMU's words tell too little, a line behind them tells the rest: to
people on stderr, to programs in a member of its own."""

import contextlib
import json

import pytest

import blk
import qmpsock

LOCK = 'Failed to get "write" lock\nIs another process using the image [%s]?'


def at_the_prompt(top, line):
    out = blk.blkmon("disk0=" + top, "-c", line)
    assert out.rc == 1, out
    return out


@pytest.mark.parametrize("odd", ["", "my "])
def test_base_above_top(d, odd):
    """Base and top the wrong way round: both as they were typed, and the line
    that was meant, which runs."""
    low, mid, top = (blk.create(d + "/low", "4M"), d + "/" + odd + "mid", d + "/top")
    blk.create(mid, None, low)
    blk.create(top, None, mid)
    quoted = '"%s"' % mid if odd else mid
    out = at_the_prompt(top, "block_commit disk0 %s %s" % (quoted, low))
    assert out.out == "Error: Can't find '%s' in the backing chain\n" % mid
    begin = "'%s' lies above '%s'; the other way round: " % (mid, low)
    assert begin in out.err
    line = out.err.split(begin)[1].splitlines()[0]
    with blk.Session("disk0=" + top) as s:
        s.ok(line)
        s.wait("disk0")


def test_qmp(d):
    """QEMU's error, and the tip beside it; at the prompt behind it."""
    _, mid, top = blk.make_chain(d)
    error = {"class": "GenericError",
             "desc": "Can't find '%s' in the backing chain" % top}
    tip = "'%s' lies above '%s'; the other way round: block_commit disk0 " \
        "%s %s" % (top, mid, mid, top)
    args = {"device": "disk0", "base": top, "top": mid}
    out = at_the_prompt(top, json.dumps({"execute": "block-commit",
                                         "arguments": args}))
    assert json.loads(out.out) == {"error": error}
    assert "blkmon: %s\n" % tip in out.err
    path = d + "/qmp"
    with blk.Session("--qmp", "unix:" + path, "disk0=" + top), \
            contextlib.closing(qmpsock.Qmp(path)) as wire:
        wire.send(json.dumps({"execute": "block-commit", "arguments": args})
                  + "\n")
        assert wire.reply() == {"error": {**error, "x-blkmon-tip": tip}}


def test_old_name_commits_no_active_layer(d):
    """__com.redhat_block-commit takes none as top: no line would do."""
    low, _, top = blk.make_chain(d)
    out = at_the_prompt(top, '{"execute": "__com.redhat_block-commit", '
                        '"arguments": {"device": "disk0", "base": "%s", '
                        '"top": "%s"}}' % (top, low))
    assert "'%s' lies above '%s'\n" % (top, low) in out.err


@pytest.mark.parametrize("line", [
    "block_commit disk0 nix", "block_stream disk0 0 nix",
    "block_commit disk0 {0} nix", '{{"execute": "x-blkmon-commit", "arguments": {{"device": "disk0", '
    '"base": "nix"}}}}',
    "plan block_commit disk0 nix",
])
def test_no_such_image(d, line):
    images = blk.make_chain(d)
    out = at_the_prompt(images[2], line.format(images[0]))
    assert "its images are, from the active layer down: %s\n" % ", ".join(
        reversed(images)) in out.err


def test_long_chain_is_cut(d):
    name = d + "/" + "x" * 80
    below = blk.create(name + "00", "4M")
    for i in range(1, 30):
        below = blk.create(name + "%02d" % i, None, below)
    out = at_the_prompt(below, "block_commit disk0 nix")
    tip = out.err.split("from the active layer down: ")[1].splitlines()[0]
    shown = tip.count(d)
    assert shown and tip.endswith(" and %d more below" % (30 - shown))


@pytest.mark.parametrize("line", [
    "snapshot_blkdev disk0 {file}", "snapshot_blkdev -n disk0 {file}",
    "plan snapshot_blkdev disk0 {file}",
])
def test_snapshot_onto_a_layer(d, line):
    low, _, top = blk.make_chain(d)
    out = at_the_prompt(top, line.format(file=low))
    assert "Error: " + LOCK % low in out.out
    assert "'%s' is in the chain of 'disk0'\n" % low in out.err


def test_snapshot_onto_another_disk(d):
    _, _, top = blk.make_chain(d)
    other = blk.create(d + "/other", "4M")
    out = blk.blkmon("disk0=" + top, "web=" + other, "-c",
                     "snapshot_blkdev disk0 " + other)
    assert out.rc == 1
    assert "'%s' is the active layer of 'web'\n" % other in out.err


def test_offline(d):
    images = blk.make_chain(d)
    for words in (["commit"], ["plan", "commit"]):
        out = blk.blkmon(*words, "-b", "nix", images[2])
        assert out.rc == 1
        assert "Can't find 'nix' in the backing chain\nblkmon: its images " \
            "are, from the active layer down: " in out.err, out
