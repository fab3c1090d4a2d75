# SPDX-License-Identifier: GPL-3.0-or-later
"""HMP's commit: a job that others see, for whose end whoever asked waits.

With a speed of a byte a second it stands still after its first piece, so that
it is in the middle for sure.
"""

import os
import signal
import subprocess

import pytest

import blk
from blk import KIB, MIB
from qmpsock import Server

SLOW = {"execute": "x-blkmon-commit",
        "arguments": {"device": "disk0", "speed": 1}}
GAVE_UP = ("'commit' error for '%s': Cancelled; the active layer is as it "
           "was")


class Committing:
    """A client whose commit is in the middle, and another one who looks. No
    event tells of it, as none does in QEMU."""

    def __init__(self, server, request=None):
        self.other, self.asks = server.client(), server.client()
        self.asks.send(request or SLOW)
        while not self.other.ask("query-jobs"):
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.other.close()
        self.asks.close()


@pytest.fixture
def server(d, pair):
    with Server(d, "--drive",
                "file=%s,format=qcow2,id=disk0" % pair[-1]) as s:
        yield s


def as_before(pair, before):
    """Both images are sound, base has some of it, the overlay all."""
    for path in pair:
        blk.check(path)
    blk.assert_same(blk.guest(pair[1]), before, "the overlay")
    with open(os.devnull, "wb") as out:
        mapped = subprocess.run(
            ["qemu-io", "-r", "-U", "-c", "map", pair[1]], check=True,
            stdout=subprocess.PIPE, stderr=out).stdout
    assert b"4 MiB (0x400000) bytes     allocated" in mapped, mapped


@pytest.mark.parametrize("way", ["block-job-cancel", "job-cancel", "HMP"])
def test_cancelled_by_another(server, pair, way):
    before = blk.guest(pair[1], share=True)
    with Committing(server) as c:
        job, = c.other.ask("query-block-jobs")
        assert (job["device"], job["type"], job["len"], job["speed"]) == (
            "disk0", "commit", 8 * MIB, 1)
        assert "Type commit, device disk0" in c.other.ask(
            "human-monitor-command", command_line="info block-jobs")
        if way == "HMP":
            assert c.other.ask("human-monitor-command", command_line=
                               "block_job_cancel disk0") == ""
        else:
            c.other.ask(way, **{"id" if way[0] == "j" else "device":
                                "disk0"})
        assert c.other.ask("query-jobs") == []
        assert c.asks.reply()["error"]["desc"] == GAVE_UP % "disk0"
        # And again, to its end.
        assert c.other.ask("human-monitor-command",
                           command_line="commit disk0") == ""
        assert c.other.events == c.asks.events == []
    server.quit()
    blk.check(pair[0])
    blk.assert_same(blk.guest(pair[1]), before, "the overlay")
    blk.assert_same(blk.guest(pair[0]), before, "the base")


def test_refused_meanwhile(server):
    with Committing(server) as c:
        for name, args in (("block-stream", {}), ("block-commit", {}),
                           ("block_resize", {"size": 9 * MIB}),
                           ("blockdev-snapshot-internal-sync",
                            {"name": "s"})):
            error = c.other.request(name, device="disk0", **args)["error"]
            assert "busy" in error["desc"], error
        c.other.ask("block-job-set-speed", device="disk0", speed=0)
        assert c.asks.reply() == {"return": {}}
        assert c.other.ask("query-jobs") == []


@pytest.mark.parametrize("way", ["quit", "SIGTERM", "SIGINT"])
@pytest.mark.parametrize("device", ["disk0", "all"])
def test_the_end_of_the_program(server, pair, way, device):
    before = blk.guest(pair[1], share=True)
    slow = dict(SLOW, arguments={"device": device, "speed": 1})
    with Committing(server, slow) as c:
        if way == "quit":
            c.other.ask("quit")
        else:
            server.proc.send_signal(getattr(signal, way))
        assert c.asks.reply()["error"]["desc"] == GAVE_UP % device
        server.ended()
    as_before(pair, before)


def test_without_a_limit(d):
    """The words of HMP, and enough data to be caught in the middle."""
    base = blk.create(os.path.join(d, "base.img"), 1024 * MIB)
    top = blk.create(os.path.join(d, "top.img"), None, base)
    blk.qemu_io(top, "write -P 0x22 0 600M")
    line = {"execute": "human-monitor-command",
            "arguments": {"command-line": "commit all"}}
    with Server(d, "--drive", "file=%s,format=qcow2,id=disk0" % top) as s:
        with Committing(s, line) as c:
            c.other.ask("block-job-set-speed", device="disk0", speed=1)
            c.other.ask("block-job-pause", device="disk0")
            c.other.ask("block-job-cancel", device="disk0", force=True)
            assert c.asks.reply() == {"return": GAVE_UP % "all" + "\r\n"}
        s.quit()
    blk.check(base)
    blk.check(top)
    blk.qemu_io(top, "read -P 0x22 0 600M")


def test_guest_beside_it(server, pair):
    """What is written meanwhile is in the overlay, whatever was copied."""
    with Committing(server) as c:
        for off in (64 * KIB, 4 * MIB, 6 * MIB):
            c.other.ask("human-monitor-command", command_line=
                        "qemu-io disk0 \"write -P 0x77 %d 64k\"" % off)
        c.other.ask("quit")
        server.ended()
    for path in pair:
        blk.check(path)
    for off in (64 * KIB, 4 * MIB, 6 * MIB):
        blk.qemu_io(pair[1], "read -P 0x77 %d 64k" % off)
    blk.qemu_io(pair[1], "read -P 2 4259840 64k")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_script_is_told_to_end(pair, number):
    before = blk.guest(pair[1])
    proc = subprocess.Popen(
        [blk.BLKMON, "--echo", "--drive",
         "file=%s,format=qcow2,id=disk0" % pair[1],
         "-c", "qemu-io disk0 \"write -P 2 4M 512\"",
         "-c", "x-blkmon-commit device=disk0 speed=1",
         "-c", "info status"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for line in proc.stdout:
        if b"x-blkmon-commit" in line:
            break
    proc.send_signal(number)
    rest = proc.communicate(timeout=blk.PATIENCE)[0]
    assert b"Cancelled" in rest or b"the program ends" in rest, rest
    assert b"VM status" not in rest
    assert proc.returncode == 128 + number
    as_before(pair, before)


def test_nobody_waits(d, pair):
    """It has started when the reply comes; it is a job like all others."""
    before = blk.guest(pair[1])
    with Server(d, "--drive", "file=%s,format=qcow2,id=disk0" % pair[-1]) \
            as server, server.client() as c:
        c.ask("x-blkmon-commit", device="disk0", speed=1, wait=False)
        assert [job["device"] for job in c.ask("query-block-jobs")] == \
            ["disk0"]
        assert "busy" in c.refused(
            {"execute": "x-blkmon-commit",
             "arguments": {"device": "disk0", "wait": False}})[1]
        c.ask("block-job-pause", device="disk0")
        c.ask("block-job-cancel", device="disk0", force=True)
        while c.ask("query-jobs"):
            pass
        server.quit()
    as_before(pair, before)
