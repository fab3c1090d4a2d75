# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job that died left behind is told when the chain is opened again,
with the line that ends it; and who was merged and left is told as well."""

import os
import re

import pytest

import blk
from blk import MIB
from qmpsock import Server


@pytest.fixture(name="chain")
def make_chain(d):
    probe = os.path.join(d, "probe")
    with open(probe, "wb"):
        pass
    try:
        os.setxattr(probe, "user.blkmon", b"x")
    except OSError:
        pytest.skip("no extended attributes here")
    base = blk.create(os.path.join(d, "base"), 64 * MIB)
    mid = blk.create(os.path.join(d, "the middle"), None, base)
    blk.qemu_io(mid, "write -P 2 0 32M")
    top = blk.create(os.path.join(d, "top"), None, mid)
    blk.qemu_io(top, "write -P 3 8M 32M")
    return base, mid, top


def moved(q):
    return [j for j in q.ask("query-block-jobs") if j["offset"]]


def die_within(d, disk, command, /, **args):
    """Of a job that has moved something and is far from its end."""
    with Server(d, "--drive", "id=disk0,format=qcow2,file=" + disk) as s, \
            s.client() as q, s.client() as other:
        q.send({"execute": command, "arguments": {
            "device": "disk0", "speed": MIB, **args}})
        while not moved(other):
            pass
        s.proc.kill()
        s.proc.wait()


def told(path, *lines):
    """What is said at the start, by topic."""
    out = blk.blkmon_ok("--drive", "id=disk0,format=qcow2,readonly=%s,file=%s"
                        % ("off" if lines else "on", path),
                        *[w for line in lines for w in ("-c", line)])
    found = [line for line in out.err.splitlines()
             if "did not end" in line or "was merged" in line]
    return found


def line_of(said):
    assert len(said) == 1 and "Nothing is lost" in said[0], said
    return re.search("to end it: (.*)", said[0]).group(1)


def test_commit_in_the_middle(d, chain):
    base, mid, top = chain
    before = blk.guest(top)
    die_within(d, top, "block-commit", top=mid, base=base)
    blk.assert_same(blk.guest(top), before, "after the end of the process")
    line = line_of(told(top))
    alone = told(base)
    assert len(alone) == 1 and "behind '%s'" % mid in alone[0], alone
    assert told(mid) == told(mid) != []
    told(top, line, "wait")
    assert told(top) == told(base) == []
    blk.assert_same(blk.guest(top), before, "after the commit")
    merged = told(mid)
    assert len(merged) == 1 and base in merged[0], merged
    for path in chain:
        blk.check(path)


@pytest.mark.parametrize("pivot", [True, False])
def test_active_commit(d, chain, pivot):
    base, mid, top = chain
    die_within(d, top, "block-commit", base=base)
    line = line_of(told(top))
    assert told(top, line, "wait disk0 ready",
                "block_job_complete disk0" if pivot else
                "block_job_cancel disk0", "wait") != []
    assert len(told(top)) == (2 if pivot else 0)
    assert len(told(mid)) == pivot
    # Whoever writes to it makes it a disk of its own.
    if pivot:
        blk.qemu_io(top, "write -P 9 0 64k")
        assert told(top) == told(mid)


def test_commit_at_once(d, chain):
    base, mid, top = chain
    die_within(d, top, "x-blkmon-commit")
    assert mid in line_of(told(top))
    told(top, "commit disk0")
    assert told(top) == told(mid) == told(base) == []


def test_a_cancelled_commit_is_half_done(chain):
    base, _, top = chain
    told(top, "block_commit disk0 " + base, "block_job_cancel -f disk0",
         "wait")
    line_of(told(top))


@pytest.mark.parametrize("how", ["anew", "over", "commit", "rebase", "gone"])
def test_others_end_it(d, chain, how):
    """Nothing is told of a commit that there is nothing left to do of."""
    base, mid, top = chain
    die_within(d, top, "block-commit", top=mid, base=base)
    assert told(top) and told(base)
    os.unlink(top)
    if how in ("anew", "gone"):
        os.unlink(mid)
    if how in ("anew", "over"):
        blk.create(mid, None, base)
    elif how == "commit":
        blk.qemu_img("commit", "-q", mid)
    elif how == "rebase":
        low = blk.create(os.path.join(d, "low"), 64 * MIB)
        blk.qemu_img("rebase", "-u", "-b", low, "-F", "qcow2", mid)
    assert told(base) == []
    if how != "gone":
        blk.create(top, None, mid)
        assert told(mid) == told(top) == []
        blk.qemu_io(mid, "write -P 7 0 1M")
    # Nor is what is written there afterwards.
    assert told(base) == []


def test_nodes_by_name(d, chain):
    base, mid, top = chain
    die_within(d, top, "block-commit", top=mid, base=base)
    with Server(d) as s, s.client() as q:
        for name, path, below in (("b", base, None), ("m", mid, "b"),
                                  ("t", top, "m")):
            q.ask("blockdev-add", driver="qcow2", node_name=name,
                  backing=below, read_only=name != "t",
                  file={"driver": "file", "filename": path})
        s.quit()
        assert s.said().count("did not end") == 1, s.said()


def test_a_copy_is_another_file(d, chain):
    base, mid, top = chain
    die_within(d, top, "block-commit", top=mid, base=base)
    copy = os.path.join(d, "copy")
    assert blk.run("cp", "--preserve=all", base, copy).rc == 0
    assert told(base) and not told(copy)
