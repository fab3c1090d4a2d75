# SPDX-License-Identifier: GPL-3.0-or-later
"""Data files by name: one that is not the image's own by its header, though
that is there, is told when it is read and refused when it is to be written;
one that no image has is an error, at whatever depth."""

import os

import pytest

import blk
from blk import MIB, content
from qmpsock import Server

SAYS = "its header says "


class Chain:
    """low (data a) <- top, and b beside them, which is another's."""

    def __init__(self, d):
        self.d = d
        self.a, self.b = self.at("a"), self.at("b")
        self.low = blk.create(self.at("low"), MIB, data_file=self.a)
        blk.qemu_io(self.low, "write -P 1 0 1M")
        self.top = blk.create(self.at("top"), None, self.low)
        blk.qemu_io(self.top, "write -P 3 0 64k")
        with open(self.b, "wb") as out:
            out.write(b"\2" * MIB)

    def at(self, name):
        return os.path.join(self.d, name)


WRITE = 'qemu-io n "write -P 9 0 64k"'


@pytest.mark.parametrize("keys", ["data-file={b}", "backing.data-file={b}"])
def test_layer_below_is_told(d, keys):
    c = Chain(d)
    drive = "id=n,format=qcow2,file=%s,%s" % (c.top, keys.format(b=c.b))
    out = blk.blkmon("--drive", drive, "-c", "info block")
    assert SAYS + "'%s'" % c.a in out.err and c.b in out.err, out
    before = content(c.b)
    for line in ("block_commit n", "commit n"):
        out = blk.blkmon("--drive", drive, "-c", line)
        assert out.rc == 1 and "nothing is written to either" in out.text, out
        assert content(c.b) == before
    blk.blkmon_ok("--drive", drive, "-c", "commit -f n")
    assert content(c.b) != before


def test_image_itself_is_refused(d):
    c = Chain(d)
    before = content(c.b)
    drive = "id=n,format=qcow2,file=%s,data-file=%s" % (c.low, c.b)
    force = ",force=on"
    os.unlink(c.top)
    out = blk.blkmon("--drive", drive, "-c", WRITE)
    assert out.rc == 1 and "nothing is written to either" in out.err, out
    assert "amend" in out.err and content(c.b) == before
    out = blk.blkmon_ok("--drive", drive + ",readonly=on", "-c", "info block")
    assert SAYS in out.err
    out = blk.blkmon_ok("--drive", drive + force, "-c", WRITE)
    assert SAYS in out.err and content(c.b) != before


@pytest.mark.parametrize("command", ["cat", "info"])
def test_offline(d, command):
    c = Chain(d)
    out = blk.blkmon_ok(command, "--data-file", c.b, c.top)
    assert SAYS + "'%s'" % c.a in out.err, out


def test_offline_commit(d):
    c = Chain(d)
    before = content(c.b)
    out = blk.blkmon("commit", "--data-file", c.b, c.top)
    assert out.rc == 1 and "nothing is written to either" in out.err, out
    assert content(c.b) == before
    blk.blkmon_ok("commit", "--force", "--data-file", c.b, c.top)
    assert content(c.b)[:64 * 1024] == b"\3" * 64 * 1024


def test_node(d):
    c = Chain(d)
    before = content(c.b)
    os.unlink(c.top)

    def file(path):
        return {"driver": "file", "filename": path}

    args = {"driver": "qcow2", "node-name": "n", "file": file(c.low),
            "data-file": file(c.b)}
    with Server(d) as s, s.client() as q:
        q.ask("blockdev-add", **args)
        s.wait_said(SAYS)
        got = q.ask("human-monitor-command", command_line=WRITE)
        assert "nothing is written to either" in got, got
        assert content(c.b) == before
        q.ask("blockdev-del", node_name="n")
        q.ask("blockdev-add", x_blkmon_force=True, **args)
        got = q.ask("human-monitor-command", command_line=WRITE)
        assert "wrote 65536/65536" in got, got
        s.quit()
    assert content(c.b) != before


@pytest.mark.parametrize("way", ["moved", "link", "nothing"])
def test_nothing_to_be_told(d, way):
    """The file that the header leads to was moved, or is this one by another
    name, or the header names none."""
    c = Chain(d)
    path = c.at("other")
    if way == "moved":
        os.rename(c.a, path)
    elif way == "link":
        os.symlink(c.a, path)
    else:
        os.unlink(c.low)
        blk.create(c.low, MIB, data_file=c.a)
        blk.qemu_io(c.low, "write -P 1 0 1M")
        blk.qemu_img("amend", "-f", "qcow2", "-o", "data_file=gone", c.low)
        path = c.a
    os.unlink(c.top)
    out = blk.blkmon_ok("--drive", "id=n,format=qcow2,file=%s,data-file=%s" % (
        c.low, path), "-c", WRITE)
    assert SAYS not in out.err, out


SHARED = [
    "backing.data-file={b}", "data-file={b}", "backing.node-name=x",
    "backing.backing.data-file={a}", "data-file={a},data-file={b}"]


@pytest.mark.parametrize("keys", SHARED)
@pytest.mark.parametrize("alone", [False, True])
def test_what_fits_no_image_is_an_error(d, keys, alone):
    """Also where the images are open already, below another drive or as one
    that is only read."""
    c = Chain(d)
    if alone:
        if keys.count("=") < 2 and "backing.backing" not in keys:
            pytest.skip("is told, or fits")
        first = []
    else:
        other = blk.create(c.at("other"), None, c.low)
        first = ["--drive", "id=m,format=qcow2,readonly=on,file=%s,"
                 "data-file=%s" % (other, c.a)]
    second = "id=n,format=qcow2,readonly=on,file=%s,%s" % (
        c.top, keys.format(a=c.a, b=c.b))
    out = blk.blkmon(*first, "--drive", second, "-c", "info block")
    assert out.rc == 1, out
    assert "named" in out.err or "open already" in out.err, out
    if first:
        blk.blkmon_ok(*first, "--drive", "id=n,format=qcow2,readonly=on,"
                      "file=%s,data-file=%s" % (c.top, c.a), "-c",
                      "info block")
