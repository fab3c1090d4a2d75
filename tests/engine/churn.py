# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains that change all the time: a driver that asks a running blkmon for
snapshots, streams, commits, pivots and the rest at random."""

import os
import select
import time

import blk
from blk import MIB

DEPTH = 7                       # layers; then the chain has to get shorter


class Disk:
    """The images of a drive; its guests may use it. A guest has check(), which
    fails if something went wrong there."""

    def __init__(self, d, name, size, socket):
        self.d, self.name = os.path.join(d, name), name
        os.mkdir(self.d)
        self.socket = socket
        self.uri = "nbd+unix:///%s?socket=%s" % (name, socket)
        self.files, self.guests = [], []
        low = self.new_file()
        blk.create(low, size)
        blk.qemu_io(low, *["write -P %d %dM 1M" % (n, n)
                           for n in range(1, size // MIB, 2)])
        self.top = self.new_file()
        blk.create(self.top, None, low)

    def path(self, name):
        return os.path.join(self.d, name)

    def new_file(self):
        self.files.append(self.path("%d.qcow2" % len(self.files)))
        return self.files[-1]

    def options(self):
        """For the command line."""
        return ["--drive", "file=%s,id=%s,format=qcow2" % (self.top,
                                                           self.name),
                "--export", "%s,writable=on" % self.name]

    def keep_shadow(self):
        """What the guest sees, by nbdcopy."""
        out = blk.run("nbdcopy", self.uri, self.path("shadow"))
        assert out.rc == 0, out

    def judge(self):
        """The chain, now that nobody has it open: what the guest saw. Every
        image there ever was is sound. Returns the bytes."""
        image = blk.guest(self.top)
        with open(self.path("shadow"), "rb") as shadow:
            blk.assert_same(image, shadow.read(), self.name)
        for path in self.files:
            if os.path.exists(path):
                blk.check(path)
        return image


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

    def run(self, operations):
        """So many, and then every job to its end."""
        try:
            while sum(self.done.values()) < operations:
                self.one()
            self.finish()
        except BaseException:
            print("last operations:", *self.log[-20:], sep="\n")
            raise
        for disk in self.disks:
            disk.top = self.chain(disk)[0]

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
        deadline = time.monotonic() + 10 * blk.PATIENCE
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
                                "x-blkmon-force": True,
                                "speed": self.a_speed()}

    def active(self, disk, _):
        below = self.chain(disk)[1:]
        if not below:
            return None
        return "block-commit", {"device": disk.name,
                                "base": self.rng.choice(below),
                                "x-blkmon-force": True,
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
