# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that verify what they wrote, on two disks whose chains change all the
time.

Each disk is written by four connections of fio, which verify what they wrote
after each pass, and by a client that knows each byte it may read: it zeroes
and trims too; and by clients that die while they write, each followed at once
by one that writes the same places.  Meanwhile a driver takes snapshots, inside
of images too, streams, commits, pivots, cancels, pauses, limits and stops the
guests at random, on images with odd names, links that no header knows and files
that are nodes; and on a disk of which a file is cut meanwhile, which is read.

    BLKMON_SEED=n python3 -m pytest tests/engine/test_torture.py

does the same again, as far as the machine's own timing is the same.
"""

import contextlib
import errno
import os
import random
import shutil
import socket
import threading

import pytest

import blk
import churn
import nbdsock
from blk import KIB, MIB, SECTOR
from qmpsock import Server

SIZE = 48 * MIB
FIO = 4 * MIB                   # bytes of each of fio's four jobs
JOBS = 4
MODEL = JOBS * FIO, 16 * MIB    # where the client that knows is at home
MORTAL = sum(MODEL), MIB        # where clients die
REST = sum(MORTAL), SIZE - sum(MORTAL)

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
        with nbdsock.Nbd(self.disk.address, self.disk.name) as nbd:
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


class Mortals(Guest):
    """Some clients write some places and die before they were answered, each
    followed by the next. The last one lives, and its bytes stay."""

    def __init__(self, disk, seed):
        super().__init__(disk, seed)
        self.off, size = MORTAL
        self.bytes = bytearray(disk.first[self.off:self.off + size])
        self.stuck, self.deaths = threading.Event(), 0

    def round(self):
        places = self.places()
        for _ in range(self.rng.randrange(4)):
            self.one_dies(places)
        with nbdsock.Nbd(self.disk.address, self.disk.name) as nbd:
            for at, length in places:
                data = self.rng.randbytes(length)
                nbd.send(nbdsock.WRITE, self.off + at, data=data)
                self.bytes[at:at + length] = data
            for _ in places:
                assert not self.reply(nbd)[1]
            self.look(nbd)
            self.look(nbd)

    def places(self):
        """Apart from each other; all of them fit into the socket's buffer,
        for the server reads no more of one who waits for the guest."""
        unit = self.rng.choice([1, SECTOR, 4 * KIB])
        cuts = sorted(self.rng.sample(range(0, MORTAL[1], unit),
                                      self.rng.randrange(2, 9)))
        return [(at, min(limit - at, unit * self.rng.randrange(1, 3)))
                for at, limit in zip(cuts, cuts[1:] + [MORTAL[1]])]

    def one_dies(self, places):
        nbd = nbdsock.Nbd(self.disk.address, self.disk.name)
        for at, length in places[1:]:
            nbd.send(nbdsock.WRITE, self.off + at,
                     data=self.rng.randbytes(length))
        nbd.die(self.off + places[0][0], self.rng.randbytes(places[0][1]))
        self.deaths += 1

    def reply(self, nbd):
        self.stuck.set()
        try:
            return nbd.reply()
        finally:
            self.stuck.clear()

    def look(self, nbd):
        nbd.send(nbdsock.READ, self.off, len(self.bytes))
        error, got = self.reply(nbd)[1:]
        assert not error, error
        blk.assert_same(got, self.bytes, "behind the dead")


class Reader(Guest):
    """Reads a disk of which a file is cut one day: from then on there are
    errors, and never other bytes than those that nobody changes."""

    def __init__(self, disk, seed):
        super().__init__(disk, seed)
        self.errors = 0

    def round(self):
        with nbdsock.Nbd(self.disk.address, self.disk.name) as nbd:
            for _ in range(50):
                self.one(nbd)
        if self.rounds == self.disk.cut_after:
            self.disk.cut()

    def one(self, nbd):
        off = self.rng.randrange(SIZE - MIB)
        length = self.rng.choice([SECTOR, 4 * KIB, 100 * KIB, MIB])
        nbd.send(nbdsock.READ, off, length)
        error, got = nbd.reply()[1:]
        if error:
            assert error == errno.EIO and self.disk.is_cut, (off, error)
            self.errors += 1
            return
        blk.assert_same(got, self.disk.first[off:off + length],
                        "%d bytes at %#x" % (length, off))


def free_port():
    """One that the host gives to nobody who asks for any: it is free until
    the program takes it."""
    while True:
        port = random.SystemRandom().randrange(20000, 30000)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


class Disk(churn.Disk):
    def __init__(self, d, name, address, rng):
        super().__init__(d, name, SIZE, address, rng, name == "right")
        self.first = blk.guest(churn.chained(self.layers), None)
        seed = rng.random()
        self.guests = [Fio(self, seed), Knower(self, seed),
                       Mortals(self, seed)]

    def compare(self):
        image = self.judge()
        blk.assert_same(image[REST[0]:], self.first[REST[0]:], "the rest")
        for guest in self.guests[1:]:
            blk.assert_same(image[guest.off:guest.off + len(guest.bytes)],
                            guest.bytes, type(guest).__name__)


    def verify(self):
        self.guests[0].round(only=1)
        self.keep_shadow()


class CutDisk(churn.Disk):
    """One that nobody writes, and that is not whole to the end."""

    def __init__(self, d, name, address, rng):
        super().__init__(d, name, SIZE, address, rng)
        self.first = blk.guest(churn.chained(self.layers), None)
        self.cut_after, self.end = rng.randrange(2, 8), rng.random()
        self.guests = [Reader(self, rng.random())]

    def cut(self):
        low = self.layers[1]
        with contextlib.suppress(FileNotFoundError):
            size = os.path.getsize(low)
            self.is_cut = True
            os.truncate(low, int(size * self.end))

    def verify(self):
        """Its guest has."""

    def compare(self):
        """What is left of it says nothing."""


def torture(d, seed, operations):
    rng = random.Random(seed)
    # A Unix socket knows no reset.
    unix = rng.random() < 0.5
    address = os.path.join(d, "nbd.sock") if unix else ("127.0.0.1",
                                                        free_port())
    disks = [Disk(d, name, address, rng) for name in ("left", "right")]
    disks.append(CutDisk(d, "cut", address, rng))
    options = [o for disk in disks for o in disk.options()]
    way = "unix:" + address if unix else "%s:%d" % address
    with Server(d, "--nbd", way, *options) as server, \
            server.client() as qmp:
        for disk in disks:
            disk.start(qmp)
        driver = churn.Driver(qmp, disks, rng)
        drive_and_verify(driver, operations)
        qmp.ask("quit")
        assert server.proc.wait(blk.PATIENCE) in (0, 1)
        others = [line for line in server.said().splitlines()
                  if "'cut'" not in line and "/cut/" not in line]
        assert not [x for x in others if "rror" in x], others
    print(driver.done, [g.deaths for disk in disks for g in disk.guests[2:]],
          disks[2].guests[0].errors)
    for disk in disks:
        disk.compare()


def drive_and_verify(driver, operations):
    for guest in driver.guests:
        guest.start()
    try:
        driver.run(operations)
    finally:
        for guest in driver.guests:
            guest.over.set()
    for guest in driver.guests:
        guest.end()
    for disk in driver.disks:
        disk.verify()


@pytest.mark.parametrize("operations", [
    100, pytest.param(300, marks=pytest.mark.long)])
def test_torture(d, seed, operations):
    for program in ("fio", "nbdcopy"):
        if not shutil.which(program):
            pytest.skip("no " + program)
    if "nbd" not in blk.run("fio", "--enghelp").out.split():
        pytest.skip("fio has no nbd engine")
    torture(d, seed, operations)
