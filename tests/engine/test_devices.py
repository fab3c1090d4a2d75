# SPDX-License-Identifier: GPL-3.0-or-later
"""Block devices as layers: they have a size of their own, and sectors."""

import contextlib
import os

import pytest

import blk
from blk import KIB, MIB


@contextlib.contextmanager
def loop(d, size, sector=512):
    path = os.path.join(d, "device.img")
    with open(path, "wb") as image:
        image.truncate(size)
    out = blk.run("losetup", "-b", str(sector), "-f", "--show", path)
    if out.rc:
        pytest.skip("cannot make a loop device: " + out.err.strip())
    try:
        yield out.out.strip()
    finally:
        blk.run("losetup", "-d", out.out.strip())


def drive(path, cache):
    return "--drive", "file=%s,id=disk0,format=qcow2,cache=%s" % (path, cache)


@pytest.mark.parametrize("how", ["node", "file", "data"])
def test_driver_of_a_device(d, how):
    """What is said of a file holds."""
    with loop(d, 8 * MIB) as device:
        image = blk.create(os.path.join(d, "image"), MIB,
                           data_file=os.path.join(d, "data"))
        os.unlink(os.path.join(d, "data"))
        for driver, good in (("file", False), ("host_device", True)):
            keys = {"node": "driver=%s,filename=%s",
                    "file": "driver=raw,file.driver=%s,file.filename=%s",
                    "data": "driver=qcow2,file.driver=file,file.filename=" +
                    image + ",data-file.driver=%s,data-file.filename=%s"}
            out = blk.blkmon("--blockdev", "node-name=n," + keys[how] % (
                driver, device), "-c", "info block")
            assert (out.rc == 0) == good, out
            assert good or "requires '%s' to be a regular file" % device in \
                out.err, out


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("cache", ["writeback", "none"])
@pytest.mark.parametrize("cluster", [512, 65536])
def test_overlay_on_a_device(d, sector, cache, cluster):
    low = blk.create(os.path.join(d, "low.img"), 8 * MIB)
    with loop(d, 32 * MIB, sector) as top:
        blk.create(top, None, low, cluster_size=cluster)
        with blk.Session(*drive(top, cache)) as s:
            s.io("write -P 3 1M 3M")
            s.io("write -P 4 512 512")
            s.io("discard 2M 64k")
            # What the loop device reads is an overlay in the folder, too.
            s.ok("commit -f disk0")
            s.io("read -P 3 1M 1M")
            s.io("read -P 4 512 512")
            s.io("write -P 6 5000001 10")
            s.io("flush")
            assert s.quit() == 0
        for path in low, top:
            out = blk.run("qemu-img", "check", "-f", "qcow2", path)
            assert out.rc == 0, out
        got = blk.guest(top)
        assert got[512:KIB] == b"\4" * 512
        assert got[MIB:2 * MIB] == b"\3" * MIB
        assert got[2 * MIB:2 * MIB + 64 * KIB] == bytes(64 * KIB)
        assert got[5000000:5000012] == b"\0" + b"\6" * 10 + b"\0"


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("cache", ["writeback", "none"])
def test_raw_base_on_a_device(d, sector, cache):
    with loop(d, 8 * MIB, sector) as low:
        top = blk.create(os.path.join(d, "top.img"), 8 * MIB, low, "raw",
                         cluster_size=512)
        with blk.Session(*drive(top, cache)) as s:
            s.io("write -P 3 1M 3M")
            s.io("write -z 5M 1536")
            s.ok("block_commit disk0")
            s.wait(what="ready")
            s.io("write -P 8 7M 512")
            s.io("write -z 3M 512")
            s.ok("block_job_complete disk0")
            s.wait()
            s.io("write -P 9 513 511")
            assert s.quit() == 0
        with open(low, "rb") as device:
            got = device.read()
        assert got[512:KIB] == b"\0" + b"\x09" * 511
        assert got[MIB:3 * MIB] == b"\3" * 2 * MIB
        assert got[3 * MIB:3 * MIB + 512] == bytes(512)
        assert got[7 * MIB:7 * MIB + 512] == b"\x08" * 512


@pytest.mark.parametrize("fmt", ["raw", "qcow2"])
@pytest.mark.parametrize("line", ["block_commit disk0", "commit disk0"])
def test_device_that_is_too_small(d, fmt, line):
    """It can't grow: refused, or no space; the chain is as it was."""
    with loop(d, 4 * MIB) as low:
        blk.create(low, 4 * MIB, fmt=fmt)
        top = blk.create(os.path.join(d, "top.img"), 8 * MIB, low, fmt)
        blk.qemu_io(top, "write -P 1 0 6M")
        with blk.Session(top) as s:
            reply = "\n".join(s.cmd(line) + s.cmd("wait disk0 done 60"))
            assert low in reply or "No space left" in reply, reply
            assert s.depth()[2] == 1
            s.io("read -P 1 0 6M")
            assert s.quit() == 1
        assert blk.guest(top) == b"\1" * 6 * MIB + bytes(2 * MIB)
        blk.check(top)
