# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that verify what they wrote, on two disks whose chains change all the
time.

Each disk is written by four connections of fio, which verify what they wrote
after each pass, and by a client that knows each byte it may read: it zeroes
and trims too.  Meanwhile a driver takes snapshots, streams, commits, pivots,
cancels, pauses and limits at random.

    BLKMON_SEED=n python3 -m pytest tests/engine/test_torture.py

does the same again, as far as the machine's own timing is the same.
"""

import os
import random
import select
import shutil
import threading
import time

import pytest

import blk
import nbdsock
from blk import KIB, MIB, SECTOR
from qmpsock import Server

SIZE = 48 * MIB
FIO = 4 * MIB                   # bytes of each of fio's four jobs
JOBS = 4
MODEL = JOBS * FIO, 16 * MIB    # where the client that knows is at home
REST = sum(MODEL), SIZE - sum(MODEL)
DEPTH = 7                       # layers; then the chain has to get shorter

FIO_JOB = """[global]
ioengine=nbd
uri={uri}
size={size}
offset_increment={size}
iodepth=8
rw=randwrite
verify=crc32c
verify_fatal=1
verify_state_save=0
randseed={seed}
verify_only={only}
group_reporting

[small]
numjobs=2
bs=4k
fsync=64

[odd]
offset={odd}
bsrange=512-96k
bs_unaligned=1

[deep]
offset={deep}
bs=64k
iodepth=16
"""


class Guest(threading.Thread):
    """Something that uses a disk until it is told to end. What went wrong
    there stands in .error."""

    def __init__(self, disk, seed):
        super().__init__()
        self.disk, self.rng = disk, random.Random(seed)
        self.error, self.rounds = None, 0
        self.over = threading.Event()

    def run(self):
        try:
            while not self.over.is_set() or not self.rounds:
                self.round()
                self.rounds += 1
        except BaseException as error:  # also pytest's, for the main thread
            self.error = error

    def end(self):
        self.over.set()
        self.join(10 * blk.PATIENCE)
        assert not self.is_alive(), "%s hangs" % type(self).__name__
        self.check()

    def check(self):
        if self.error:
            raise self.error


class Fio(Guest):
    """Passes of four jobs side by side, each pass verified."""

    def round(self, only=0):
        if not only:
            self.pass_seed = self.rng.randrange(1 << 30)
        path = self.disk.path("fio")
        with open(path, "w", encoding="ascii") as job:
            job.write(FIO_JOB.format(
                uri=self.disk.uri, size=FIO, seed=self.pass_seed, only=only,
                odd=2 * FIO, deep=3 * FIO))
        out = blk.run("fio", path, cwd=self.disk.d, timeout=10 * blk.PATIENCE)
        assert out.rc == 0 and "verify:" not in out.text, out


class Knower(Guest):
    """Keeps the bytes of its part of the disk and looks whether they are
    there. A few requests are in flight at once; they do not overlap."""

    def __init__(self, disk, seed):
        super().__init__(disk, seed)
        self.off, size = MODEL
        self.bytes = bytearray(disk.first[self.off:self.off + size])

    def round(self):
        with nbdsock.Nbd(self.disk.socket, self.disk.name) as nbd:
            for _ in range(50):
                self.batch(nbd)
                if self.over.is_set():
                    break

    def pieces(self):
        """Some [at, end) apart from each other."""
        unit = self.rng.choice([1, SECTOR, 4 * KIB, 64 * KIB])
        most = self.rng.choice([16 * KIB, 200 * KIB, 2 * MIB]) // unit
        cuts = sorted(self.rng.sample(range(0, len(self.bytes), unit), 8))
        for at, limit in zip(cuts, cuts[1:] + [len(self.bytes)]):
            yield at, min(at + unit * self.rng.randint(1, max(most, 1)),
                          limit)

    def batch(self, nbd):
        asked, trimmed = {}, []
        for at, end in self.pieces():
            kind = self.rng.choice([nbdsock.READ, nbdsock.WRITE,
                                    nbdsock.ZEROES, nbdsock.TRIM,
                                    nbdsock.FLUSH])
            data, flags = b"", self.rng.choice([0, 0, 0, nbdsock.FUA])
            if kind == nbdsock.WRITE:
                data = self.rng.randbytes(1 + (end - at) // 7) * 7
                data = data[:end - at]
            elif kind == nbdsock.ZEROES:
                flags |= self.rng.choice([0, nbdsock.NO_HOLE,
                                          nbdsock.FAST_ZERO])
            if kind == nbdsock.FLUSH:
                cookie = nbd.send(kind)
            else:
                cookie = nbd.send(kind, self.off + at, end - at, data, flags)
            asked[cookie] = kind, at, end, data, flags
        while asked:
            cookie, error, got = nbd.reply()
            self.ended(trimmed, *asked.pop(cookie), error, got)
        for at, end in trimmed:
            self.settle(nbd, at, end)

    def ended(self, trimmed, kind, at, end, data, flags, error, got):
        what = "kind %d, flags %d, %d+%d" % (kind, flags, self.off + at,
                                             end - at)
        if error == nbdsock.ENOTSUP and flags & nbdsock.FAST_ZERO:
            return
        assert not error, (what, error)
        if kind == nbdsock.READ:
            blk.assert_same(got, self.bytes[at:end], what)
        elif kind == nbdsock.WRITE:
            self.bytes[at:end] = data
        elif kind == nbdsock.ZEROES:
            self.bytes[at:end] = bytes(end - at)
        elif kind == nbdsock.TRIM:
            trimmed.append((at, end))

    def settle(self, nbd, at, end):
        """Bytes that were trimmed are as they were or zero, and then stay."""
        got = nbd.ask(nbdsock.READ, self.off + at, end - at)
        old = self.bytes[at:end]
        for i in range(0, len(got), SECTOR):
            new, was = got[i:i + SECTOR], old[i:i + SECTOR]
            assert new == was or all(n in (0, w) for n, w in zip(new, was)), \
                "after a trim of %d+%d: %d" % (self.off + at, end - at,
                                               self.off + at + i)
        self.bytes[at:end] = got


class Disk:
    """A drive, its export, and who uses it."""

    def __init__(self, d, name, seed):
        self.d, self.name = os.path.join(d, name), name
        os.mkdir(self.d)
        self.socket = os.path.join(d, "nbd.sock")   # of all disks
        self.uri = "nbd+unix:///%s?socket=%s" % (name, self.socket)
        self.count = 0
        self.files = []
        low = self.new_file()
        blk.create(low, SIZE)
        blk.qemu_io(low, *["write -P %d %dM 1M" % (n, n)
                           for n in range(1, SIZE // MIB, 2)])
        self.top = self.new_file()
        blk.create(self.top, None, low)
        self.first = blk.guest(self.top)
        self.guests = [Fio(self, seed), Knower(self, seed)]

    def path(self, name):
        return os.path.join(self.d, name)

    def new_file(self):
        self.files.append(self.path("%d.qcow2" % self.count))
        self.count += 1
        return self.files[-1]

    def compare(self):
        """The chain, now that nobody has it open, against what each of them
        knows."""
        image = blk.guest(self.top)
        with open(self.path("shadow"), "rb") as shadow:
            blk.assert_same(image, shadow.read(), self.name)
        blk.assert_same(image[REST[0]:], self.first[REST[0]:], "the rest")
        blk.assert_same(image[MODEL[0]:sum(MODEL)], self.guests[1].bytes,
                        "the model")
        for path in self.files:
            if os.path.exists(path):
                blk.check(path)


class Driver:
    """Does operations at random; counts those that were not refused."""

    # What a busy disk answers. Anything else is a failure of the test.
    REFUSALS = ("is busy", "in use", "cannot accept command verb",
                "currently paused", "already paused", "was not paused",
                "No active", "not found", "in the backing chain",
                "cannot be completed", "is not active", "not a backing")

    def __init__(self, qmp, disks, rng):
        self.qmp, self.disks, self.rng = qmp, disks, rng
        self.guests = [g for disk in disks for g in disk.guests]
        self.done = {}
        self.log = []

    def one(self):
        disk = self.rng.choice(self.disks)
        jobs = {j["device"]: j for j in self.qmp.ask("query-block-jobs")}
        job = jobs.get(disk.name)
        name = self.choose(job, self.chain(disk))
        if self.rng.random() < 0.03:
            name = "stop"
        request = getattr(self, name)(disk, job)
        if request:
            self.execute(name, *request)
        self.let_guests_work(self.rng.choice([0, 10, 100, 500]))

    def choose(self, job, chain):
        if not job:
            if len(chain) >= DEPTH:
                return self.rng.choice(["stream", "commit", "active"])
            return self.rng.choice(["snapshot", "snapshot", "stream",
                                    "commit", "active"])
        if job["paused"]:
            return self.rng.choice(["resume", "resume", "speed", "force"])
        if job["ready"]:
            return self.rng.choice(["pivot", "pivot", "cancel", "force",
                                    "pause", "snapshot"])
        return self.rng.choice(["speed", "speed", "speed", "pause",
                                "cancel", "snapshot", "stream"])

    def execute(self, name, command, args):
        got = self.qmp.request(command, **args)
        self.qmp.events.clear()
        self.log.append((name, args, got.get("error", {}).get("desc")))
        if "error" not in got:
            self.done[name] = self.done.get(name, 0) + 1
            return
        assert any(r in got["error"]["desc"] for r in self.REFUSALS), \
            self.log[-1]

    def requests(self):
        stats = [b["stats"] for b in self.qmp.ask("query-blockstats")]
        return sum(s["wr_operations"] + s["rd_operations"] for s in stats)

    def let_guests_work(self, count):
        """Until they had so many more requests served."""
        first = self.requests()
        deadline = time.monotonic() + blk.PATIENCE
        while self.requests() < first + count:
            for guest in self.guests:
                guest.check()
            assert time.monotonic() < deadline, "the guests stand still"
            select.select([], [], [], 0.01)

    def finish(self):
        """Every job to its end, with a pivot where there is one."""
        deadline = time.monotonic() + blk.PATIENCE
        while True:
            jobs = self.qmp.ask("query-block-jobs")
            if not jobs:
                return
            assert time.monotonic() < deadline, jobs
            for job in jobs:
                name = {"device": job["device"]}
                if job["paused"]:
                    self.execute("resume", "block-job-resume", name)
                elif job["speed"]:
                    self.execute("speed", "block-job-set-speed",
                                 {"speed": 0, **name})
                elif job["ready"]:
                    self.execute("pivot", "block-job-complete", name)
            select.select([], [], [], 0.01)

    def chain(self, disk):
        """Names of the files, the active one first."""
        nodes = {n["node-name"]: n for n in
                 self.qmp.ask("query-named-block-nodes", flat=True)}
        drive = [b["inserted"] for b in self.qmp.ask("query-block")
                 if b["device"] == disk.name][0]
        files, node = [], nodes[drive["node-name"]]
        while node:
            files.append(node["file"])
            below = node.get("backing_file")
            node = next((n for n in nodes.values() if n["file"] == below),
                        None) if below else None
        return files

    def a_speed(self):
        return self.rng.choice([0, MIB, 8 * MIB, 64 * MIB])

    # Each returns a command and its arguments, or None.

    def snapshot(self, disk, _):
        return "blockdev-snapshot-sync", {
            "device": disk.name, "snapshot-file": disk.new_file(),
            "format": "qcow2"}

    def stream(self, disk, _):
        args = {"device": disk.name, "speed": self.a_speed()}
        below = self.chain(disk)[1:]
        if below and self.rng.random() < 0.6:
            args["base"] = self.rng.choice(below)
        return "block-stream", args

    def commit(self, disk, _):
        chain = self.chain(disk)
        if len(chain) < 3:
            return None
        top = self.rng.randrange(1, len(chain) - 1)
        base = self.rng.randrange(top + 1, len(chain))
        return "block-commit", {"device": disk.name, "top": chain[top],
                                "base": chain[base],
                                "speed": self.a_speed()}

    def active(self, disk, _):
        below = self.chain(disk)[1:]
        if not below:
            return None
        return "block-commit", {"device": disk.name,
                                "base": self.rng.choice(below),
                                "speed": self.a_speed()}

    def speed(self, disk, _):
        return "block-job-set-speed", {"device": disk.name,
                                       "speed": self.a_speed()}

    def pause(self, disk, _):
        return "block-job-pause", {"device": disk.name}

    def resume(self, disk, _):
        return "block-job-resume", {"device": disk.name}

    def cancel(self, disk, _):
        return "block-job-cancel", {"device": disk.name}

    def force(self, disk, _):
        return "block-job-cancel", {"device": disk.name, "force": True}

    def pivot(self, disk, _):
        return "block-job-complete", {"device": disk.name}

    def stop(self, *_):
        self.qmp.ask("stop")
        return "cont", {}


def torture(d, seed, operations):
    rng = random.Random(seed)
    disks = [Disk(d, name, rng.random()) for name in ("left", "right")]
    drives = [a for disk in disks for a in (
        "--drive", "file=%s,id=%s,format=qcow2" % (disk.top, disk.name),
        "--export", "%s,writable=on" % disk.name)]
    with Server(d, "--nbd", "unix:" + disks[0].socket, *drives) as server, \
            server.client() as qmp:
        driver = Driver(qmp, disks, rng)
        try:
            drive_and_verify(driver, disks, operations)
        except BaseException:
            print("last operations:", *driver.log[-20:], sep="\n")
            raise
        for disk in disks:
            disk.top = driver.chain(disk)[0]
        server.quit()
    for disk in disks:
        disk.compare()


def drive_and_verify(driver, disks, operations):
    for guest in driver.guests:
        guest.start()
    try:
        while sum(driver.done.values()) < operations:
            driver.one()
        driver.finish()
    finally:
        for guest in driver.guests:
            guest.over.set()
    for guest in driver.guests:
        guest.end()
    for disk in disks:
        disk.guests[0].round(only=1)
        out = blk.run("nbdcopy", disk.uri, disk.path("shadow"))
        assert out.rc == 0, out


@pytest.mark.parametrize("operations", [
    100, pytest.param(300, marks=pytest.mark.long)])
def test_torture(d, seed, operations):
    for program in ("fio", "nbdcopy"):
        if not shutil.which(program):
            pytest.skip("no " + program)
    if "nbd" not in blk.run("fio", "--enghelp").out.split():
        pytest.skip("fio has no nbd engine")
    torture(d, seed, operations)
