# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that somebody cuts while it is open: what is gone is an error, and
never zeroes."""

import os

import pytest

import blk
from blk import KIB, MIB


@pytest.fixture(params=["raw", "qcow2"])
def pair(d, request):
    base, top = os.path.join(d, "base"), os.path.join(d, "top")
    blk.create(base, 4 * MIB, fmt=request.param)
    blk.qemu_io(base, "write -P 7 0 4M", fmt=request.param)
    blk.create(top, None, base, request.param)
    return base, top


@pytest.mark.parametrize("job", ["block_stream disk0", "block_commit disk0"])
def test_jobs(pair, d, job):
    base, top = pair
    over = os.path.join(d, "over")
    if "commit" in job:     # top above a middle layer that is cut
        blk.create(over, None, top)
        base, top = top, over
        blk.qemu_io(base, "write -P 8 0 4M")
    before = blk.img_info(top)["backing-filename"]
    with blk.Session("disk0=" + top) as s:
        s.io("read -P %d 0 4M" % (8 if "commit" in job else 7))
        os.truncate(base, 2 * MIB)
        s.ok(job)
        assert "Input/output error" in "\n".join(
            s.cmd("wait disk0 %s 60" % ("ready" if "commit" in job
                                        else "done")))
        assert s.depth()[1] == base
        assert s.quit() == 1
    assert blk.img_info(top)["backing-filename"] == before


def test_a_commit_over_what_was_cut(pair, d):
    """What it writes behind the new end makes a hole of what was cut."""
    base, top = pair
    over = os.path.join(d, "over")
    blk.qemu_io(top, "write -P 8 3M 64k")
    blk.create(over, None, top)
    with blk.Session("disk0=" + over) as s:
        os.truncate(base, MIB)
        s.cmd("block_commit disk0 %s %s" % (base, top))
        reply = "\n".join(s.cmd("wait disk0 done 60"))
        assert "Input/output error" in reply, reply
        assert s.depth()[2] == 2
        s.quit()
    assert blk.img_info(over)["backing-filename"] == top


@pytest.mark.parametrize("how, fmt", [
    ("guest", "raw"), ("resize", "raw"), ("guest", "qcow2"),
    ("resize", "qcow2"), ("stream", "qcow2"), ("snapshot", "qcow2")])
def test_what_makes_a_cut_file_long_again(d, how, fmt):
    """Behind what was cut is no place to write: it would be a hole then, and
    read as zeroes for good."""
    base, top = os.path.join(d, "base"), os.path.join(d, "top")
    blk.create(base, 4 * MIB)
    blk.qemu_io(base, "write -P 7 0 4M")
    if fmt == "raw":
        blk.create(top, 4 * MIB, fmt="raw")
    else:
        blk.create(top, None, base)
    blk.qemu_io(top, "write -P 9 0 1M", "write -P 9 3M 1M", fmt=fmt)
    link = blk.img_info(top, fmt=fmt).get("backing-filename")
    with blk.Session("--drive", "id=disk0,file=%s,format=%s" % (top, fmt)) \
            as s:
        s.io("read -P 9 3M 1M")
        os.truncate(top, os.path.getsize(top) - 512 * KIB)
        line = {"stream": "block_stream disk0",
                "guest": "qemu-io disk0 \"write -P 1 %s\"" % (
                    "4032k 64k" if fmt == "raw" else "1M 64k"),
                "resize": "block_resize disk0 8M",
                "snapshot": "snapshot_blkdev_internal disk0 s"}[how]
        reply = s.cmd(line)
        if how == "stream":
            reply += s.cmd("wait disk0 done 60")
        assert "Input/output error" in "\n".join(reply), reply
        assert s.cmd('qemu-io disk0 "read -P 0 3648k 64k"') == \
            ["read failed: Input/output error"]
        s.quit()
    assert blk.img_info(top, fmt=fmt).get("backing-filename") == link


@pytest.mark.parametrize("fmt", ["raw", "qcow2"])
@pytest.mark.parametrize("command", ["write -P 1 3M 64k", "write -z 3M 64k"])
def test_no_hole_in_what_was_cut(d, fmt, command):
    """Between the new end and what a guest writes behind it, neither."""
    path = blk.create(os.path.join(d, "a"), 4 * MIB, fmt=fmt)
    blk.qemu_io(path, "write -P 7 0 4M", fmt=fmt)
    with blk.Session("--drive", "id=disk0,file=%s,format=%s" % (path, fmt)) \
            as s:
        s.io("read -P 7 0 4M")
        os.truncate(path, 2 * MIB)
        reply = s.cmd('qemu-io disk0 "%s"' % command)
        reply += s.cmd("qemu-io disk0 flush")
        assert "Input/output error" in "\n".join(reply), reply
        assert s.cmd('qemu-io disk0 "read -P 0 2560k 64k"') == \
            ["read failed: Input/output error"]
        s.io("read -P 7 0 1M")
        s.quit()


def test_guest(pair):
    base, top = pair
    with blk.Session("disk0=" + top) as s:
        s.io("read -P 7 0 4M")
        os.truncate(base, 2 * MIB)
        s.io("read -P 7 0 1M")
        reply = s.cmd('qemu-io disk0 "read -P 0 3M 64k"')
        assert reply == ["read failed: Input/output error"], reply
        # What is written over is there.
        s.io("write -P 9 %d 64k" % (3 * MIB))
        s.io("read -P 9 %d 64k" % (3 * MIB))
        s.quit()


def test_a_file_that_is_all_hole(d):
    base, top = os.path.join(d, "base"), os.path.join(d, "top")
    blk.create(base, 4 * MIB, fmt="raw")
    blk.create(top, None, base, "raw")
    with blk.Session("disk0=" + top) as s:
        s.io("read -P 0 0 4M")
        os.truncate(base, 64 * KIB)
        s.io("read -P 0 0 64k")
        assert s.cmd('qemu-io disk0 "read 128k 64k"') == \
            ["read failed: Input/output error"]
        s.quit()


def outside(d, raw):
    """An image with a data file, and that."""
    path, data = os.path.join(d, "image"), os.path.join(d, "data")
    blk.create(path, MIB, data_file=data, data_file_raw=raw)
    blk.qemu_io(path, "write -P 7 0 1M")
    return path, data


@pytest.mark.parametrize("raw", ["on", "off"])
def test_data_file_cut_while_open(d, raw):
    path, data = outside(d, raw)
    with blk.Session("--drive", "id=disk0,format=qcow2,file=%s,data-file=%s"
                     % (path, data)) as s:
        s.io("read -P 7 0 1M")
        os.truncate(data, 512 * KIB)
        s.io("read -P 7 0 512k")
        reply = s.cmd('qemu-io disk0 "read 512k 64k"')
        assert reply == ["read failed: Input/output error"], reply
        s.io("write -P 9 512k 64k")
        s.io("read -P 9 512k 64k")
        s.quit()


@pytest.mark.parametrize("command", [
    "cat", "info", "compare", "rebase", "commit", "drive", "node"])
def test_data_file_that_was_cut(d, command):
    """What is not read as raw need not have all of it, and is opened; that it
    has not is said."""
    path, data = outside(d, "off")
    top = blk.create(os.path.join(d, "top"), None, path)
    os.truncate(data, MIB - 512)
    argv = {"compare": ["compare", "-f", "qcow2", "-F", "qcow2"],
            "rebase": ["rebase", "-b", ""]}.get(command, [command])
    if command == "drive":
        out = blk.blkmon("--drive", "format=qcow2,file=%s,data-file=%s"
                         % (top, data), "-c", "info block")
    elif command == "node":
        out = blk.blkmon(
            "--blockdev", "driver=qcow2,node-name=n,file.driver=file,"
            "file.filename=%s,data-file.driver=file,data-file.filename=%s"
            % (path, data), "-c", "info block")
    else:
        out = blk.blkmon(*argv, "--data-file", data, top,
                         *[top] * (command == "compare"))
    assert out.rc == 0 and out.err.count("ends after 1048064") == (
        2 if command == "compare" else 1), out


@pytest.mark.parametrize("raw", ["on", "off"])
def test_a_disk_and_its_data_file_grow(d, raw):
    path, data = outside(d, raw)
    drive = "id=disk0,format=qcow2,file=%s,data-file=%s" % (path, data)
    blk.blkmon_ok("--drive", drive, "-c", "block_resize disk0 2M")
    assert os.path.getsize(data) == 2 * MIB
    out = blk.blkmon_ok("cat", "--data-file", data, path)
    assert out.raw == b"\7" * MIB + bytes(MIB) and not out.err, out
    blk.check(path)


def test_data_file_shorter_than_the_disk(d):
    """One that is read as raw holds all of it, or some was lost."""
    path, data = os.path.join(d, "image"), os.path.join(d, "data")
    blk.create(path, MIB, data_file=data, data_file_raw="on")
    blk.blkmon_ok("info", "--data-file", data, path)
    os.truncate(data, MIB - 512)
    out = blk.blkmon("cat", "--data-file", data, path)
    assert out.rc == 1 and "ends after 1048064" in out.err, out
