# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk whose format was guessed must not be made to look like another one,
by whom ever and in whatever pieces: the next guess would let a guest read any
file of the host (CVE-2008-2004)."""

import os

import pytest

import blk
from blk import MIB
from qmpsock import Server

MAGIC = b"QFI\xfb"


def raw(d, name="base.img", size=4 * MIB):
    path = os.path.join(d, name)
    with open(path, "wb") as stream:
        stream.truncate(size)
    return path


def head(path):
    with open(path, "rb") as stream:
        return stream.read(4)


def pour(s, order=(0, 1, 2, 3)):
    """What such a disk begins with, byte by byte."""
    for i in order:
        s.io("write -P %d %d 1" % (MAGIC[i], i))


@pytest.fixture
def covered(d):
    """A session with an overlay over a guessed disk, the header in it."""
    base = raw(d)
    with blk.Session("--drive", "file=%s,id=disk0" % base) as s:
        s.base, s.over = base, os.path.join(d, "over")
        s.ok("snapshot_blkdev disk0 " + s.over)
        pour(s)
        yield s


WORDS = "guessed to be raw", "format=raw"


def failed_job(s, line, until="done"):
    """Its error is a sentence, and says what to do."""
    reply = s.cmd(line)
    reply += s.cmd("wait disk0 %s 60" % until)
    text = "\n".join(reply)
    assert all(word in text for word in WORDS), text


def test_active_commit(covered):
    failed_job(covered, "block_commit disk0", "ready")
    assert covered.depth()[0] == covered.over
    assert covered.quit() == 1
    assert head(covered.base) == bytes(4)


def test_the_sentence_is_whole(d):
    """With what to do about it, however long the name."""
    base = raw(d, "b" * 200)
    with Server(d, "--drive", "file=%s,id=disk0" % base) as s, \
            s.client() as q:
        q.ask("blockdev-snapshot-sync", device="disk0",
              snapshot_file=os.path.join(d, "over"))
        for i, byte in enumerate(MAGIC):
            q.ask("human-monitor-command",
                  command_line='qemu-io disk0 "write -P %d %d 1"' % (byte, i))
        q.ask("block-commit", device="disk0", job_id="j", auto_dismiss=False)
        error = q.event("BLOCK_JOB_COMPLETED", device="j")["data"]["error"]
        assert error.startswith("'%s'" % base), error
        assert error.endswith("(format=raw)"), error
        job, = q.ask("query-jobs")
        assert job["error"] == error
        s.quit()


def test_commit_of_a_middle_layer(d, covered):
    covered.ok("snapshot_blkdev disk0 " + os.path.join(d, "top"))
    failed_job(covered, "block_commit disk0 %s %s" % (covered.base,
                                                      covered.over))
    assert covered.depth()[2] == 2
    assert covered.quit() == 1
    assert head(covered.base) == bytes(4)


def test_commit_at_once(covered):
    reply = "\n".join(covered.cmd("commit disk0"))
    assert all(word in reply for word in WORDS), reply
    assert covered.quit() == 1
    assert head(covered.base) == bytes(4)
    assert blk.guest(covered.over)[:4] == MAGIC


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_behind_the_mirror(d, order):
    """What the guest writes while the job is ready goes to both images."""
    base, over = raw(d), os.path.join(d, "over")
    with blk.Session("--drive", "file=%s,id=disk0" % base) as s:
        s.ok("snapshot_blkdev disk0 " + over)
        s.io("write -P 1 1M 64k")
        s.ok("block_commit disk0")
        s.wait("disk0", "ready")
        pour(s, order)
        text = "\n".join(s.cmd("block_job_complete disk0") +
                         s.cmd("wait disk0 done 60"))
        assert all(word in text for word in WORDS), text
        assert s.depth()[0] == over
        assert s.quit() == 1
    assert head(base) != MAGIC
    assert blk.guest(over)[:4] == MAGIC


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_by_hand(d, order):
    base = raw(d)
    with blk.Session("--drive", "file=%s,id=disk0" % base) as s:
        pour(s, order[:3])
        last = order[3]
        s.io("write -z 1k 4k")
        reply = s.cmd('qemu-io disk0 "write -P %d %d 1"' % (MAGIC[last], last))
        assert reply == ["write failed: Operation not permitted"]
        s.io("read -P 0 %d 1" % last)
        s.quit()
    assert head(base) != MAGIC


FOOTER = 4 * MIB - 512      # of a fixed VHD: what it begins with, its type
VHD = [(FOOTER + i, c) for i, c in enumerate(b"conectix")] + [
    (FOOTER + 60 + i, c) for i, c in enumerate((0, 0, 0, 2))]


def footer(path):
    with open(path, "rb") as stream:
        stream.seek(FOOTER)
        return stream.read(64)


@pytest.mark.parametrize("last", (0, 7, 11))
def test_the_end_by_hand(d, last):
    """A disk that looks like a VHD could not be opened any more."""
    base = raw(d)
    order = VHD[:last] + VHD[last + 1:]
    with blk.Session("--drive", "file=%s,id=disk0" % base) as s:
        s.io("write -P 255 %d 512" % FOOTER)
        for at, c in order:
            s.io("write -P %d %d 1" % (c, at))
        at, c = VHD[last]
        assert s.cmd('qemu-io disk0 "write -P %d %d 1"' % (c, at)) == \
            ["write failed: Operation not permitted"]
        s.quit()
    assert blk.blkmon("info", base).rc == 0


def test_the_end_by_commit(d, covered):
    covered.io("write -P 255 %d 512" % FOOTER)
    for at, c in VHD:
        covered.io("write -P %d %d 1" % (c, at))
    failed_job(covered, "block_commit disk0", "ready")
    assert covered.quit() == 1
    assert footer(covered.base)[:8] != b"conectix"
    assert blk.blkmon("info", covered.base).rc == 0


def test_a_named_format_is_no_guess(d):
    """What the operator says is raw is, and may hold anything."""
    base = raw(d)
    with blk.Session("--drive", "file=%s,format=raw,id=disk0" % base) as s:
        pour(s)
        s.io("write -z 0 4k")
        s.ok("snapshot_blkdev disk0 " + os.path.join(d, "over"))
        pour(s)
        s.ok("block_commit disk0")
        s.wait("disk0", "ready")
        s.ok("block_job_complete disk0")
        s.wait()
        assert s.quit() == 0
    assert head(base) == MAGIC
