# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that is out for a moment, at any allocation: a request, a job or a
client may fail of it, the program may not, and no image is harmed.

Each run lets one allocation fail; or, in `large`, all from there on that are
not small, but for those at start-up. `make check` takes samples, different ones for each kind of work;
the long tests take them all. See oom.c.
"""

import contextlib
import mmap
import os
import shutil
import signal
import struct

import pytest

import blk
import nbdsock
import qmpsock
import shim
from blk import KIB, MIB

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("SAN")), reason="sanitizers allocate in their own way")

SIZE = 2 * MIB
# What strings may need and still not fail (str.h), and no more.
LARGE = 64 * KIB + 1
EVER = 1 << 60
# Where the guest of a script writes; nothing else has data there.
PLACE, PIECE = 1792 * KIB, 128 * KIB


class Memory:
    """The other side of oom.c."""

    def __init__(self, d):
        path = os.path.join(d, "oom")
        with open(path, "wb") as stream:
            stream.truncate(48)
        with open(path, "r+b") as stream:
            self.map = mmap.mmap(stream.fileno(), 48)
        self.env = dict(os.environ, LD_PRELOAD=shim.built("oom.c"),
                        BLKMON_OOM=path)

    def arm(self, first, many=1, least=0):
        struct.pack_into("=qqqqqq", self.map, 0, 0, first, many, least, 0, 0)
        struct.pack_into("=q", self.map, 0, 1)

    def disarm(self):
        """(allocations, failures) since it was armed."""
        struct.pack_into("=q", self.map, 0, 0)
        return struct.unpack_from("=qq", self.map, 32)


# -------------------------------------------------------------------- scripts

@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Three layers that name each other without a folder, to be copied."""
    d = str(tmp_path_factory.mktemp("chain"))
    blk.create("l0.img", SIZE, cwd=d)
    blk.create("l1.img", backing="l0.img", cwd=d)
    blk.create("l2.img", backing="l1.img", cwd=d)
    blk.create("other.img", MIB, cwd=d)
    for n in range(3):
        blk.qemu_io(os.path.join(d, "l%d.img" % n), "write -P %d %dk 640k" % (
            n + 1, 512 * n))
    os.mkdir(os.path.join(d, "away"))
    side = blk.create("away/side.img", backing="../l1.img", cwd=d)
    blk.qemu_io(os.path.join(d, side), "write -P 8 1M 64k")
    return d


WRITE = 'qemu-io disk0 "write -P 9 %d %d"' % (PLACE, PIECE)
SCRIPTS = {
    "stream": [WRITE, "block_stream disk0", "wait disk0 done 60"],
    "commit": ["block_commit disk0 l0.img l1.img", "wait disk0 done 60", WRITE],
    "active": [WRITE, "block_commit disk0 l0.img", "wait disk0 ready 60",
               "block_job_complete disk0", "wait disk0 done 60"],
    "snapshot": ["snapshot_blkdev disk0 new.img qcow2", WRITE],
    "hmp": [WRITE, "commit disk0"],
    "internal": [WRITE, "snapshot_blkdev_internal disk0 one",
                 "snapshot_delete_blkdev_internal disk0 one"],
    "rebase": ['{"execute": "x-blkmon-rebase", "arguments": {"file": '
               '"away/side.img", "base": "../other.img", "base-format": '
               '"qcow2"}}', WRITE,
               "wait rebase done 60"],
    "query": ["info block -v", "info block-jobs", "info blockstats",
              '{"execute": "query-named-block-nodes"}',
              "query-block",
              '{"execute": "blockdev-add", "arguments": {"driver": "qcow2", '
              '"node-name": "n", "file": {"driver": "file", '
              '"filename": "other.img"}}}',
              '{"execute": "blockdev-del", "arguments": {"node-name": "n"}}'],
}


def judge_check(path, out):
    """Nothing but leaks. An internal snapshot that came or went half of its
    way looks as after a power cut: counted, but not there, so nobody shares;
    or marked as shared still, and it is not."""
    state = blk.run("qemu-img", "check", path)
    if state.rc != 2 or "Cannot allocate memory" not in out.text:
        assert state.rc in (0, 3), (out, state)
        return
    for line in state.text.splitlines():
        assert not line.startswith("ERROR") or \
            line.startswith("ERROR OFLAG_COPIED"), (out, state)
    assert not blk.qemu_img("snapshot", "-l", path).out.strip(), (out, state)


def judge(d, out, want):
    """Images are sound, and hold what they held and what was written."""
    assert 0 <= out.rc < 128, out
    assert "bug at" not in out.text, out
    top = os.path.join(d, "l2.img")
    if os.path.exists(os.path.join(d, "new.img")) and \
            out.rc == 0 and "new.img" in out.text:
        top = os.path.join(d, "new.img")
    for name in os.listdir(d):
        if name.endswith(".img"):
            judge_check(os.path.join(d, name), out)
    side = os.path.join(d, "away", "side.img")
    judge_check(side, out)
    assert blk.guest(side)[:MIB + 64 * KIB] == \
        (want[:512 * KIB] + b"\x02" * 512 * KIB + b"\x08" * 64 * KIB), out
    got = blk.guest(top)
    blk.assert_same(got[:PLACE], want[:PLACE], out)
    blk.assert_same(got[PLACE + PIECE:], want[PLACE + PIECE:], out)
    # What can't be flushed for want of memory is told, and may be lost.
    if "wrote %d/%d" % (PIECE, PIECE) in out.text and \
            "Could not flush" not in out.text and \
            (top.endswith("new.img") or "new.img" not in out.text):
        assert got[PLACE:PLACE + PIECE] == b"\x09" * PIECE, out


def run_script(place, kind, memory, *failures):
    """From the start, or if it is what is large from the first line on."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(memory.chain, place)
    if failures[2] < LARGE:
        memory.arm(*failures)
        return blk.run(blk.BLKMON, "--on-error=continue", "l2.img",
                       stdin="".join(line + "\n" for line in SCRIPTS[kind]),
                       cwd=place, env=memory.env)
    with open(os.path.join(place, "stderr"), "w+b") as said, \
            blk.Session("l2.img", cwd=place, env=memory.env,
                        stderr=said) as s:
        memory.arm(*failures)
        for line in SCRIPTS[kind]:
            s.cmd(line)
        rc = s.quit()
        said.seek(0)
        return blk.Out(s.argv, rc, "\n".join(s.log).encode(), said.read())


def sweep(d, chain, kind, large, samples):
    """Runs the script again and again; how often memory was out."""
    memory = Memory(d)
    memory.chain = chain
    want = blk.guest(os.path.join(chain, "l2.img"))
    place = os.path.join(d, "run")
    many, least = (EVER, LARGE) if large else (1, 0)
    out = run_script(place, kind, memory, EVER, 1, least)
    assert out.rc == 0, out
    seen = memory.disarm()[0]
    stride = max(1, seen // samples) if samples else 1
    injected = 0
    # Not always the same ones: every script begins elsewhere.
    for first in range(1 + list(SCRIPTS).index(kind) % stride, seen + 1,
                       stride):
        out = run_script(place, kind, memory, first, many, least)
        injected += memory.disarm()[1] > 0
        try:
            judge(place, out, want)
        except AssertionError as e:
            raise AssertionError("allocation %d of %d (of at least %d): %s" % (
                first, seen, least, e)) from e
    print("%s: %d allocations, %d runs with failures" % (kind, seen, injected))
    assert injected
    return injected


@pytest.mark.parametrize("large", [False, True], ids=["once", "large"])
@pytest.mark.parametrize("kind", SCRIPTS)
def test_script(d, chain, kind, large):
    sweep(d, chain, kind, large, 12)


@pytest.mark.long
@pytest.mark.parametrize("large", [False, True], ids=["once", "large"])
@pytest.mark.parametrize("kind", SCRIPTS)
def test_script_all(d, chain, kind, large):
    sweep(d, chain, kind, large, 0)


# --------------------------------------------------------------------- guests

# What a client may meet: an error, or the end of its connection.
MISHAPS = (AssertionError, ConnectionError, BrokenPipeError, KeyError)


class Guests:
    """A server whose clients are let down and come again."""

    def __init__(self, d):
        self.d = d
        self.memory = Memory(d)
        self.top = blk.make_chain(d, 2, size=SIZE, data=MIB)[1]
        self.nbd = os.path.join(d, "nbd.sock")
        self.model = bytearray(blk.guest(self.top))
        self.unsure = set()
        self.round = 0
        self.failures = 0

    def start(self):
        return qmpsock.Server(
            self.d, self.top, "--nbd", "unix:" + self.nbd,
            "--export", "disk0,writable=on", env=self.memory.env)

    def write(self, client):
        at = self.round * 7 % 32 * 64 * KIB
        data = bytes([self.round % 251 + 1]) * (64 * KIB)
        self.unsure.add(at)
        client.ask(nbdsock.WRITE, at, len(data), data)
        self.unsure.discard(at)
        self.model[at:at + len(data)] = data

    def guest(self):
        with contextlib.suppress(*MISHAPS), \
                nbdsock.Nbd(self.nbd, "disk0") as c:
            with contextlib.suppress(AssertionError):
                self.write(c)
            c.send(nbdsock.READ, 0, SIZE)
            error, data = c.reply()[1:]
            if not error:
                self.compare(data)
            c.send(nbdsock.FLUSH)
            c.reply()

    def monitor(self):
        asked = ["query-block", "query-named-block-nodes", "query-jobs",
                 "query-block-exports", "x-blkmon-query-exports",
                 "query-blockstats", "x-blkmon-query-links",
                 "x-blkmon-query-space", "x-blkmon-query-latency"]
        with contextlib.suppress(qmpsock.Gone, ConnectionError,
                                 AssertionError), \
                qmpsock.Qmp(os.path.join(self.d, "qmp.sock")) as c:
            for name in asked:
                got = c.request(name)
                assert "error" in got or got["return"] is not None
            c.request("x-blkmon-tree-map", node_name="#block001")
            c.request("human-monitor-command", command_line="info block -v")
            c.request("block-stream", device="disk0", speed=1)
            c.request("block-job-cancel", device="disk0", force=True)

    def compare(self, data):
        self.mistakes = [
            at for at in range(0, SIZE, 64 * KIB) if at not in self.unsure and
            data[at:at + 64 * KIB] != self.model[at:at + 64 * KIB]]

    def let_down(self, work, first, many, least):
        """False if there was nothing to fail any more."""
        self.round += 1
        self.mistakes = []
        self.memory.arm(first, many, least)
        work()
        failed = self.memory.disarm()[1]
        assert not self.mistakes, (first, self.mistakes)
        self.failures += failed
        return failed > 0

    def sweep(self, server, many, least, stride):
        for work in (self.guest, self.monitor):
            first, misses = 1, 0
            while misses < 3:
                misses = 0 if self.let_down(work, first, many, least) \
                    else misses + 1
                first += stride
                assert server.proc.poll() is None, server.said()
            # and now without
            with server.client() as c:
                c.ask("query-block")
            with nbdsock.Nbd(self.nbd, "disk0") as c:
                c.ask(nbdsock.READ, 0, SIZE)


def serve(d, many, least, stride):
    guests = Guests(d)
    with guests.start() as server:
        guests.sweep(server, many, least, stride)
        server.proc.send_signal(signal.SIGTERM)
        assert server.proc.wait(blk.PATIENCE) >= 0, server.said()
        assert "bug at" not in server.said(), server.said()
    print("%d rounds, %d failures" % (guests.round, guests.failures))
    state = blk.run("qemu-img", "check", guests.top)
    assert state.rc in (0, 3), state
    guests.compare(blk.guest(guests.top))
    assert not guests.mistakes
    assert guests.failures


@pytest.mark.parametrize("large", [False, True], ids=["once", "large"])
def test_server(d, large):
    serve(d, *((EVER, LARGE, 1) if large else (1, 0, 11)))


@pytest.mark.long
def test_server_all(d):
    serve(d, 1, 0, 1)
