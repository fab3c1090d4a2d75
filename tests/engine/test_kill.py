# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 at a random moment of each kind of job, with a guest that writes.

Afterwards every image must pass qemu-img check (leaks are allowed), the chain
must be as before or after the job, and each sector must hold what was last
flushed there, or what was written since then.

    BLKMON_SEED=n python3 -m pytest tests/engine/test_kill.py
"""

import contextlib
import os
import random
import subprocess

import pytest

import blk
from blk import KIB, MIB, SECTOR

SIZE = 24 * MIB
JOBS = {
    "stream": "block_stream disk0",
    "base": "block_stream disk0 0 {low}",
    "commit": "block_commit disk0 {low} {mid}",
    "active": "block_commit disk0 {low}",
    "hmp": "commit disk0",
    "snapshot": "snapshot_blkdev disk0 {new}",
}


def shape(rng):
    opts = {"cluster_size": rng.choice([512, 4 * KIB, 64 * KIB, 64 * KIB,
                                        2 * MIB])}
    kind = rng.random()
    if kind < 0.3 and opts["cluster_size"] >= 64 * KIB:
        opts["extended_l2"] = "on"
    elif kind < 0.5:
        opts["compat"] = "0.10"
    elif kind < 0.7:
        opts["lazy_refcounts"] = "on"
    return opts


class Victim:
    def __init__(self, d, seed):
        self.rng = rng = random.Random(seed)
        self.kind = rng.choice(sorted(JOBS) + ["offline"])
        self.path = {n: os.path.join(d, n) for n in ("low", "mid", "top",
                                                     "new")}
        self.low_fmt = rng.choice(["qcow2", "qcow2", "raw"])
        low, mid, top = (self.path[n] for n in ("low", "mid", "top"))
        blk.create(low, SIZE, fmt=self.low_fmt,
                   **shape(rng) if self.low_fmt == "qcow2" else {})
        blk.qemu_io(low, "write -P 1 0 12M", fmt=self.low_fmt)
        blk.create(mid, None, low, self.low_fmt, **shape(rng))
        blk.qemu_io(mid, "write -P 2 6M 12M", "write -z 2M 1M")
        blk.create(top, None, mid, **shape(rng))
        blk.qemu_io(top, "write -P 3 16M 4M", *[
            "write -P 4 %d 512" % (i * 300 * KIB) for i in range(20)])
        self.durable = bytearray(blk.guest(top))
        self.since = []         # (offset, data) written since the last flush
        self.changes = {}       # number of a line -> what it writes

    def lines(self):
        """What is typed: the job, and a guest beside it."""
        rng, lines = self.rng, [JOBS[self.kind].format(**self.path)]
        if rng.random() < 0.4:
            lines.append("block_job_set_speed disk0 %dM" % rng.choice([5, 50]))
        for i in range(60):
            off = rng.randrange(0, SIZE - MIB) // SECTOR * SECTOR
            length = rng.choice([SECTOR, 4 * KIB, 100 * KIB])
            zero = rng.random() < 0.2
            self.changes[len(lines)] = off, bytes([0 if zero else 10 + i]) * \
                length
            lines.append('qemu-io disk0 "write %s %d %d"' % (
                "-z -u" if zero else "-P %d" % (10 + i), off, length))
            if rng.random() < 0.3:
                lines.append('qemu-io disk0 "flush"')
            if self.kind == "active" and i in (20, 21):
                lines += ["block_job_set_speed disk0 0",
                          "wait disk0 ready 60", "block_job_complete disk0",
                          "wait disk0 done 60"][2 * (i - 20):][:2]
        return lines + ["block_job_set_speed disk0 0", "wait disk0 done 60"]

    def die(self, argv, text):
        """Some moment after the start; returns what was said until then."""
        with subprocess.Popen(argv, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as proc:
            proc.stdin.write(text.encode())
            proc.stdin.flush()
            with contextlib.suppress(subprocess.TimeoutExpired):
                proc.wait(self.rng.random() ** 2 * 0.6)
            proc.kill()
            return proc.stdout.read().decode()

    def follow(self, lines, said):
        """All lines but the last one that was echoed are done."""
        echoed = sum(line.startswith(blk.PROMPT)
                     for line in said.splitlines())
        for i, line in enumerate(lines[:echoed]):
            if i in self.changes:
                self.since.append(self.changes[i])
            elif "flush" in line and i < echoed - 1:
                for off, data in self.since:
                    self.durable[off:off + len(data)] = data
                self.since = []
        return lines[:echoed]

    def run(self):
        if self.kind == "offline":
            self.die([blk.BLKMON, "commit", self.path["top"]], "")
            return [self.path["top"]]
        lines = self.lines()
        said = self.die([blk.BLKMON, "--echo", "--on-error=continue",
                         self.path["top"]], "\n".join(lines) + "\n")
        done = self.follow(lines, said)
        actives = [self.path["top"]]
        if self.kind == "snapshot" and done:
            actives = self.after_snapshot(len(done) > 1)
        if self.kind == "active" and "block_job_complete disk0" in done:
            actives.append(self.path["low"])
        return actives

    def after_snapshot(self, done):
        """The new overlay counts from its reply on; before that it may be
        none, or half made."""
        new = self.path["new"]
        if done:
            return [new]
        if os.path.exists(new) and blk.run("qemu-img", "check", new).rc:
            os.unlink(new)
        return [self.path["top"]]

    def wrong(self, path):
        """Why it is not the guest's disk; None if it may be."""
        fmt = self.low_fmt if path == self.path["low"] else "qcow2"
        got = blk.guest(path, fmt)
        if len(got) != SIZE:
            return "%d bytes" % len(got)
        for at in range(0, SIZE, SECTOR):
            sector = got[at:at + SECTOR]
            if sector != self.durable[at:at + SECTOR] and not any(
                    off <= at < off + len(data) and sector == data[:SECTOR]
                    for off, data in self.since):
                return "%s at %d: %s..." % (path, at, sector[:8].hex())
        return None

    def judge(self, actives):
        for name, path in self.path.items():
            fmt = self.low_fmt if name == "low" else "qcow2"
            if fmt == "raw" or not os.path.exists(path):
                continue
            out = blk.run("qemu-img", "check", "-f", fmt, path)
            assert out.rc in (0, 3), out
        reasons = [self.wrong(path) for path in actives]
        assert None in reasons, (self.kind, reasons)


def kill_one(seed):
    with blk.workdir() as d:
        victim = Victim(d, seed)
        victim.judge(victim.run())


@pytest.mark.parametrize("count", [
    6, pytest.param(150, marks=pytest.mark.long)])
def test_killed(seed, count):
    for i in range(seed, seed + count):
        try:
            kill_one(i)
        except AssertionError as wrong:
            raise AssertionError("BLKMON_SEED=%d: %s" % (i, wrong)) from wrong
