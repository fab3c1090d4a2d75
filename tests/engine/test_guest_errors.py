# SPDX-License-Identifier: GPL-3.0-or-later
"""rerror= and werror=: what clients see of a disk that fails."""

import os
import resource
import select
import subprocess

import pytest

import blk
import nbdsock
from blk import KIB, MIB
from qmpsock import Server

SIZE = 32 * MIB
ENOSPC = 28


class World:
    """A blkmon that serves one image on a file system that can be full."""

    def __init__(self, d, image, policy):
        self.image = image
        self.sock = os.path.join(d, "nbd.sock")
        self.uri = "nbd+unix:///disk0?socket=" + self.sock
        self.server = Server(
            d, "--drive", "file=%s,id=disk0,format=qcow2%s" % (image, policy),
            "--nbd", "unix:" + self.sock, "--export", "disk0,writable=on")

    def __enter__(self):
        self.server.__enter__()
        self.qmp = self.server.client()
        return self

    def __exit__(self, *how):
        self.qmp.close()
        self.server.__exit__(*how)

    def nbd(self):
        return nbdsock.Nbd(self.sock, "disk0")

    def limit(self, size):
        """Files can't grow beyond: EFBIG."""
        resource.prlimit(self.server.proc.pid, resource.RLIMIT_FSIZE,
                         (size, resource.RLIM_INFINITY))

    def status(self):
        return self.qmp.ask("query-status")["status"]

    def io_status(self):
        return self.qmp.ask("query-block")[0]["io-status"]

    def hmp(self, line):
        return self.qmp.ask("human-monitor-command", command_line=line)

    def stopped_by(self, **data):
        got = self.qmp.event("BLOCK_IO_ERROR", action="stop", **data)
        self.qmp.event("STOP")
        return got["data"]


@pytest.fixture
def world(d):
    def make(policy):
        image = blk.create(os.path.join(d, "image"), SIZE)
        return World(d, image, policy)
    return make


def answered(nbd):
    return bool(select.select([nbd.sock], [], [], 0.2)[0])


def finish(w, *writes):
    """The rest goes well, and what was written is there."""
    w.server.quit()
    blk.check(w.image)
    blk.qemu_io(w.image, *["read -P %d %d %d" % (byte, off, length)
                           for byte, off, length in writes])


# ------------------------------------------------------------------ policies

@pytest.mark.parametrize("policy", [",werror=report", "", ",werror=enospc"])
def test_report(world, policy):
    """EFBIG is not ENOSPC: only told, and the guest goes on."""
    with world(policy) as w, w.nbd() as nbd:
        w.limit(MIB)
        nbd.send(nbdsock.WRITE, 0, data=b"a" * MIB)
        assert nbd.reply()[1] == ENOSPC     # NBD has no word for EFBIG
        got = w.qmp.event("BLOCK_IO_ERROR")["data"]
        assert got == {
            "device": "disk0", "node-name": got["node-name"],
            "operation": "write", "action": "report", "nospace": False,
            "reason": "File too large"}
        assert (w.status(), w.io_status()) == ("running", "ok")
        w.limit(resource.RLIM_INFINITY)
        nbd.ask(nbdsock.WRITE, 0, data=b"b" * MIB)
        finish(w, (ord("b"), 0, MIB))


def test_ignore(world):
    with world(",werror=ignore") as w, w.nbd() as nbd:
        w.limit(MIB)
        nbd.ask(nbdsock.WRITE, 0, data=b"a" * MIB)
        assert w.qmp.event("BLOCK_IO_ERROR")["data"]["action"] == "ignore"
        assert w.status() == "running"
        w.limit(resource.RLIM_INFINITY)
        w.server.quit()


def test_stop(world):
    """Both clients wait, one of them for what failed; none is forgotten."""
    with world(",werror=stop,rerror=stop") as w, w.nbd() as nbd, \
            w.nbd() as other:
        w.limit(MIB)
        mine = nbd.send(nbdsock.WRITE, 0, data=b"a" * MIB,
                        flags=nbdsock.FUA)
        w.stopped_by(device="disk0", operation="write", nospace=False)
        assert (w.status(), w.io_status()) == ("io-error", "failed")
        assert w.hmp("info status") == "VM status: paused (io-error)\r\n"
        assert "    I/O status:       failed\r\n" in w.hmp("info block")
        its = other.send(nbdsock.READ, 0, 4 * KIB)
        assert not answered(nbd) and not answered(other)
        w.qmp.ask("cont")
        w.stopped_by(operation="write")         # not mended
        assert not answered(nbd)
        w.limit(resource.RLIM_INFINITY)
        w.qmp.ask("cont")
        assert nbd.reply() == (mine, 0, b"")
        cookie, error, data = other.reply()
        assert (cookie, error) == (its, 0)
        assert data in (bytes(4 * KIB), b"a" * 4 * KIB)
        assert (w.status(), w.io_status()) == ("running", "ok")
        assert w.hmp("info status") == "VM status: running\r\n"
        assert "I/O status" not in w.hmp("info block")
        finish(w, (ord("a"), 0, MIB))


def test_who_hangs_up_is_forgotten(world):
    """The request that stopped the guest, and those that wait with it, are
    not tried again when their client is dead: his successor's stay."""
    with world(",werror=stop,rerror=stop") as w, w.nbd() as dead:
        dead.ask(nbdsock.WRITE, 0, data=b"z" * MIB)
        w.limit(MIB)
        dead.send(nbdsock.WRITE, MIB, data=b"a" * MIB)
        w.stopped_by(device="disk0", operation="write")
        dead.send(nbdsock.WRITE, 0, data=b"a" * 4 * KIB)
        dead.close()
        with w.nbd() as heir:
            mine = heir.send(nbdsock.WRITE, 0, data=b"b" * 4 * KIB)
            w.limit(resource.RLIM_INFINITY)
            w.qmp.ask("cont")
            assert heir.reply() == (mine, 0, b"")
            assert heir.ask(nbdsock.READ, MIB, MIB) == bytes(MIB)
        finish(w, (ord("b"), 0, 4 * KIB), (ord("z"), 4 * KIB, MIB - 4 * KIB),
               (0, MIB, MIB))


def test_the_operator_is_not_held(world):
    """Lines typed by hand get the error, or nobody could type `cont`."""
    with world(",werror=stop") as w:
        w.limit(MIB)
        assert "File too large" in w.hmp('qemu-io disk0 "write 0 1M"')
        assert w.status() == "running"
        w.limit(resource.RLIM_INFINITY)
        w.server.quit()


def test_quit_with_a_request_held(world):
    with world(",werror=stop") as w, w.nbd() as nbd:
        w.limit(MIB)
        nbd.send(nbdsock.WRITE, 0, data=b"a" * MIB)
        w.stopped_by()
        w.limit(resource.RLIM_INFINITY)
        w.server.quit()
        blk.check(w.image)


def test_words(d):
    image = blk.create(os.path.join(d, "image"), MIB)
    out = blk.blkmon("--drive", "file=%s,rerror=enospc" % image)
    assert out.rc == 2 and "rerror=enospc is not possible" in out.err, out
    with blk.Session(image) as s:
        other = blk.create(os.path.join(d, "other"), MIB)
        s.cmd("drive_add 0 file=%s,id=d1,werror=whatever" % other)
        assert "d1" not in "\n".join(s.cmd("info block"))
        s.cmd("drive_add 0 file=%s,id=d1,werror=enospc,rerror=stop" % other)
        assert "d1" in "\n".join(s.cmd("info block"))
        s.quit()


# -------------------------------------------------------------------- no space

def grow(place, size):
    out = blk.run("mount", "-o", "remount,size=%d" % size, place)
    assert out.rc == 0, out


def test_no_space_and_more(d):
    """fio writes four times what there is room for, and notices nothing but
    that it takes its time: whenever the guest stops it gets more room."""
    room = 8 * MIB
    with blk.small_fs(d, room) as place:
        low = blk.create(os.path.join(d, "low"), SIZE)
        image = blk.create(os.path.join(place, "image"), None, low)
        with World(d, image, ",werror=enospc") as w, subprocess.Popen(
                ["fio", "--name=v", "--ioengine=nbd", "--uri=" + w.uri,
                 "--rw=randwrite", "--bs=4k", "--size=28m", "--iodepth=16",
                 "--verify=crc32c", "--do_verify=1", "--fsync=100",
                 "--verify_fatal=1", "--verify_state_save=0"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                cwd=d) as fio:
            try:
                while room < 32 * MIB:
                    got = w.stopped_by(device="disk0")
                    assert got["nospace"] and got["reason"] == \
                        "No space left on device"
                    assert w.io_status() == "nospace"
                    room += 8 * MIB
                    grow(place, room)
                    w.qmp.ask("cont")
            except BaseException:
                fio.kill()
                raise
            out = fio.communicate(timeout=10 * blk.PATIENCE)[0].decode()
            if "not loadable" in out:
                pytest.skip("fio has no nbd engine")
            assert fio.returncode == 0, out
            assert w.status() == "running"
            w.server.quit()
        blk.check(image)
