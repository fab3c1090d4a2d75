# SPDX-License-Identifier: GPL-3.0-or-later
"""Images whose tables contradict each other: nothing gets worse by writing."""

import os

import pytest

import blk
import header
from blk import KIB, MIB, content

CLUSTER = 64 * KIB
COPIED = 1 << 63


def tables(path):
    """Where the first of each kind of table lies."""
    l1, refcounts = header.get(path, 40), header.get(path, 48)
    return {"l1": l1, "refcounts": refcounts,
            "block": header.get(path, refcounts),
            "l2": header.get(path, l1) & 0x00fffffffffffe00}


def words_changed(before, after):
    return sum(before[i:i + 8] != after[i:i + 8]
               for i in range(0, len(before), 8))


@pytest.mark.parametrize("what", ["l1", "refcounts", "block", "l2"])
@pytest.mark.parametrize("how", [
    "write -P 9 0 64k", "write -P 9 4k 4k", "write -z 0 64k",
    "discard 0 64k"])
@pytest.mark.parametrize("flag", [COPIED, 0])
def test_entry_that_names_a_table(d, what, how, flag):
    path = blk.simple(d)
    at = tables(path)[what]
    header.put(path, tables(path)["l2"], at | flag)
    before = content(path)[at:at + CLUSTER]
    with blk.Session(path) as s:
        reply = "\n".join(s.cmd('qemu-io disk0 "%s"' % how))
        assert "Input/output error" in reply, reply
        s.cmd('qemu-io disk0 "write -P 7 512k 256k"')
        s.io("read -P 0x11 64k 192k")
        s.quit()
    after = content(path)[at:at + CLUSTER]
    assert words_changed(before, after) <= 5, "the table was written over"
    assert header.get(path, header.INCOMPATIBLE) & header.CORRUPT


@pytest.mark.parametrize("a, b", [("l1", "l2"), ("refcounts", "l2"),
                                  ("block", "l2"), ("l1", "block")])
def test_two_tables_in_one_cluster(d, a, b):
    path = blk.simple(d)
    at = tables(path)
    place = at["l1"] if b == "l2" else at["refcounts"]
    header.put(path, place, at[a] | (COPIED if b == "l2" else 0))
    before = content(path)
    out = blk.blkmon(path, "-c", 'qemu-io disk0 "write -P 9 0 4k"')
    assert out.rc == 1 and "overlap" in out.err and path in out.err, out
    blk.unchanged(path, before)
    blk.blkmon_ok("--drive", "file=%s,id=disk0,readonly=on" % path,
                  "-c", "info block")


def test_flags_that_were_read_before_a_repair(d):
    """A layer that was not closed cleanly is repaired when a job opens it for
    writing; what was read from its tables before that is of no use then."""
    low = blk.simple(d)
    blk.qemu_img("snapshot", "-c", "inside", low)
    l2 = tables(low)["l2"]
    header.put(low, l2, header.get(low, l2) | COPIED)   # two use the cluster
    header.set_bits(low, header.INCOMPATIBLE, header.DIRTY)
    top = blk.create(os.path.join(d, "top.img"), None, low)
    blk.qemu_io(top, "write -P 0x22 0 64k")
    with blk.Session(top) as s:
        s.io("read -P 0x11 64k 64k")
        s.ok("block_commit disk0")
        s.wait(what="ready")
        s.ok("block_job_complete disk0")
        s.wait()
        assert s.quit() == 0
    blk.check(low)
    assert blk.guest(low)[:CLUSTER] == b"\x22" * CLUSTER
    assert blk.guest(low, snapshot="inside")[:CLUSTER] == b"\x11" * CLUSTER


def test_refused_once_refused_twice(d):
    """A job that could not open its target leaves nothing half read."""
    low = blk.create(os.path.join(d, "low.img"), MIB)
    blk.qemu_io(low, "write -P 1 0 256k")
    top = blk.create(os.path.join(d, "top.img"), None, low)
    blk.qemu_io(top, "write -P 2 0 64k")
    at = tables(low)
    header.put(low, at["refcounts"], at["l1"])
    before = content(low)
    with blk.Session(top) as s:
        for _ in range(2):
            s.fails("block_commit disk0", "overlap", low)
        assert s.quit() == 1
    blk.unchanged(low, before)
    assert MIB == len(blk.cat(top))


def test_file_much_longer_than_its_clusters(d):
    """Emptying it does not take as long as the file is."""
    low = blk.create(os.path.join(d, "low.img"), MIB)
    top = blk.create(os.path.join(d, "top.img"), None, low)
    blk.qemu_io(top, "write -P 2 0 256k")
    try:
        os.truncate(top, 1 << 60)
    except OSError:
        pytest.skip("no file of that size here")
    out = blk.blkmon_ok("commit", "-f", "qcow2", top)
    assert "Image committed" in out.out
    assert os.path.getsize(top) < MIB
    blk.check(top)
    assert blk.guest(top) == b"\2" * 256 * KIB + bytes(768 * KIB)


def test_bitmap_table_that_names_the_guests_data(d):
    """Bitmaps are dropped at the first write; what is not theirs stays."""
    path = blk.create(os.path.join(d, "image"), 4 * blk.MIB)
    blk.qemu_io(path, "write -P 0x5a 0 1M")
    blk.qemu_img("bitmap", "--add", path, "b")
    blk.qemu_img("bitmap", "--enable", path, "b")
    blk.qemu_io(path, "write -P 0x5b 1M 64k")
    raw = bytearray(blk.content(path))
    data = blk.json.loads(blk.qemu_img("map", "--output=json", path).out)
    victim = data[0]["offset"] + 4 * CLUSTER
    at = raw.index(b"\x23\x85\x28\x75")         # the bitmaps extension
    directory = int.from_bytes(raw[at + 24:at + 32], "big")
    table = int.from_bytes(raw[directory:directory + 8], "big")
    raw[table:table + 8] = victim.to_bytes(8, "big")
    with open(path, "wb") as stream:
        stream.write(raw)
    with blk.Session("--drive", "file=%s,format=qcow2,id=d" % path) as s:
        s.io("write -P 1 2M 64k", "d")
        s.io("flush", "d")
        s.io("flush", "d")
        s.io("write -P 2 2112k 1M", "d")
        s.io("read -P 0x5a 0 1M", "d")
        assert s.quit() == 0
    assert blk.guest(path)[:blk.MIB] == b"\x5a" * blk.MIB
