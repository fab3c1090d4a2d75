# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains that change all the time: a driver that asks a running blkmon for
snapshots, streams, commits, pivots and the rest at random."""

import json
import os
import select
import time

import blk
import names
from blk import MIB

DEPTH = 7                       # layers; then the chain has to get shorter


def chained(files):
    """The images as they are on top of each other, whatever their headers
    say; the active one first."""
    node = None
    for path in reversed(files):
        node = {"driver": "qcow2", "backing": node,
                "file": {"driver": "file", "filename": path}}
    return "json:" + json.dumps(node, ensure_ascii=False)


class Disk:
    """The images of a drive; its guests may use it. A guest has check(), which
    fails if something went wrong there, and may have stuck, an event: it waits
    for a reply.

    layers  the files of the chain, the active one first
    kept    its internal snapshots: what they show, or None if that is open
    address where NBD is served: a path, or host and port
    is_cut  may somebody have cut off the end of one of its files?
    """

    is_cut = False

    def __init__(self, d, name, size, address, rng=None, grafted=False):
        self.d, self.name, self.size = os.path.join(d, name), name, size
        os.mkdir(self.d)
        self.rng, self.grafted = rng, grafted
        self.address = address
        self.uri = "nbd+unix:///%s?socket=%s" % (name, address) \
            if isinstance(address, str) else "nbd://%s:%d/%s" % (*address,
                                                                 name)
        self.files, self.guests, self.kept = [], [], {}
        low = self.new_file()
        blk.create(low, size)
        blk.qemu_io(low, *["write -P %d %dM 1M" % (n, n)
                           for n in range(1, size // MIB, 2)])
        top = self.new_file()
        blk.create(top, size, None if grafted else low)
        self.layers = [top, low]

    def path(self, name):
        return os.path.join(self.d, name)

    def new_file(self):
        name = "%d.qcow2" % len(self.files)
        if self.rng and self.rng.random() < 0.5:
            kind = names.long if self.rng.random() < 0.15 else names.odd
            name = kind(self.rng, name)
        self.files.append(self.path(name))
        return self.files[-1]

    def options(self):
        """For the command line. Of a chain that is only in the graph the
        lowest image; start() adds the other."""
        return ["--drive", "file=%s,id=%s,format=qcow2" % (
            blk.doubled(self.layers[-1 if self.grafted else 0]), self.name),
            "--export", "%s,writable=on" % self.name]

    def start(self, qmp):
        if self.grafted:
            add_node(qmp, "first-" + self.name, self.layers[0])
            qmp.ask("blockdev-snapshot", node=self.name,
                    overlay="first-" + self.name)

    def keep_shadow(self):
        """What the guest sees, by nbdcopy."""
        out = blk.run("nbdcopy", self.uri, self.path("shadow"))
        assert out.rc == 0, out

    def judge(self):
        """The chain, now that nobody has it open: what the guest saw. Every
        image there ever was is sound, and internal snapshots show what they
        did. Returns the bytes."""
        image = blk.guest(chained(self.layers), None)
        with open(self.path("shadow"), "rb") as shadow:
            blk.assert_same(image, shadow.read(), self.name)
        for path in self.files:
            if os.path.exists(path):
                blk.check(path)
        self.judge_snapshots()
        return image

    def judge_link(self, info, below):
        """A header that says something leads to what is below."""
        name = info.get("backing-filename")
        assert name is None or names.for_qemu(name) == name and \
            blk.resolved(info["filename"], name) == below, (info, below)

    def judge_snapshots(self):
        found = set()
        for i, path in enumerate(self.layers):
            info = blk.img_info(path)
            self.judge_link(info, (self.layers + [None])[i + 1])
            for snapshot in info.get("snapshots", []):
                name = snapshot["name"]
                found.add(name)
                assert name in self.kept, "%s was deleted" % name
                if self.kept[name]:
                    blk.assert_same(
                        blk.guest(chained(self.layers[i:]), None,
                                  snapshot=name), self.kept[name], name)
        return found


def add_node(qmp, node, path, part=False):
    """Alone, for something to be put below it; part: its file is a node
    before."""
    file = {"driver": "file", "filename": path}
    if part:
        qmp.ask("blockdev-add", node_name="file-" + node, **file)
        file = "file-" + node
    qmp.ask("blockdev-add", driver="qcow2", node_name=node, backing=None,
            file=file, x_blkmon_force=True)


class Driver:
    """Does operations at random; counts those that were not refused."""

    # What a busy disk answers. Anything else is a failure of the test.
    REFUSALS = ("is busy", "in use", "cannot accept command verb",
                "currently paused", "already paused", "was not paused",
                "No active", "not found", "in the backing chain",
                "cannot be completed", "is not active", "not a backing",
                "do it all the same", "does not exist on device")

    def __init__(self, qmp, disks, rng):
        self.qmp, self.disks, self.rng = qmp, disks, rng
        self.grafts = {"first-" + d.name: d.layers[0]
                       for d in disks if d.grafted}
        self.parts = set()
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
            disk.layers = self.chain(disk)

    def one(self):
        self.remove_grafts()
        disk = self.rng.choice(self.disks)
        jobs = {j["device"]: j for j in self.qmp.ask("query-block-jobs")}
        job = jobs.get(disk.name)
        name = self.choose(job, self.chain(disk))
        if self.rng.random() < 0.08:
            name = "stop"
        request = getattr(self, name)(disk, job)
        if request:
            self.execute(name, *request)
            self.note(disk, name, *request)
        self.let_guests_work(self.rng.choice([0, 10, 100, 500]))

    def choose(self, job, chain):
        if not job:
            if len(chain) >= DEPTH:
                return self.rng.choice(["stream", "commit", "active"])
            return self.rng.choice(["snapshot", "snapshot", "graft", "stream",
                                    "commit", "active", "keep", "drop",
                                    "rename"])
        if job["paused"]:
            return self.rng.choice(["resume", "resume", "speed", "force"])
        if job["ready"]:
            return self.rng.choice(["pivot", "pivot", "cancel", "force",
                                    "pause", "snapshot"])
        return self.rng.choice(["speed", "speed", "speed", "pause",
                                "cancel", "snapshot", "stream", "keep",
                                "rename"])

    def execute(self, name, command, args):
        got = self.qmp.request(command, **args)
        self.qmp.events.clear()
        self.log.append((name, args, got.get("error", {}).get("desc")))
        if "error" not in got:
            self.done[name] = self.done.get(name, 0) + 1
            return True
        desc = got["error"]["desc"]
        assert any(r in desc for r in self.REFUSALS) or \
            "Input/output error" in desc and self.is_cut(args) or \
            self.grafts and "is also the backing file of" in desc, \
            self.log[-1]
        return False

    def is_cut(self, args):
        return any(disk.name in args.values() for disk in self.disks
                   if disk.is_cut)

    def note(self, disk, name, _, args):
        """What a success means for the internal snapshots."""
        if self.log[-1][2]:
            return
        if name == "keep":
            disk.kept[args["name"]] = None
        elif name == "drop":
            del disk.kept[args["name"]]
        elif args.get("x-blkmon-force"):
            disk.kept = dict.fromkeys(disk.kept)

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
        return [node["file"] for node in self.chain_nodes(disk)]

    def chain_nodes(self, disk):
        nodes = {n["node-name"]: n for n in
                 self.qmp.ask("query-named-block-nodes", flat=True)
                 if n["drv"] != "file"}
        drive = [b["inserted"] for b in self.qmp.ask("query-block")
                 if b["device"] == disk.name][0]
        found, node = [], nodes[drive["node-name"]]
        while node:
            found.append(node)
            below = node.get("backing_file")
            node = next((n for n in nodes.values() if n["file"] == below),
                        None) if below else None
        return found

    def a_speed(self):
        return self.rng.choice([0, MIB, 8 * MIB, 64 * MIB])

    def remove_grafts(self):
        """Nodes that were added and that a job took out of their chain."""
        live = [path for disk in self.disks for path in self.chain(disk)]
        for node, path in list(self.grafts.items()):
            if path in live:
                continue
            if "error" not in self.qmp.request("blockdev-del",
                                               node_name=node):
                self.log.append(("remove", node))
                del self.grafts[node]
                if node in self.parts:
                    self.parts.remove(node)
                    self.qmp.ask("blockdev-del", node_name="file-" + node)

    # Each returns a command and its arguments, or None.

    def snapshot(self, disk, _):
        return "blockdev-snapshot-sync", {
            "device": disk.name, "snapshot-file": disk.new_file(),
            "format": "qcow2"}

    def graft(self, disk, _):
        """A snapshot into an image that is there; no header knows of it."""
        node, path = "graft-%d" % len(self.log), disk.new_file()
        blk.create(path, disk.size)
        if self.rng.random() < 0.5:
            self.parts.add(node)
        add_node(self.qmp, node, path, node in self.parts)
        self.grafts[node] = path
        return "blockdev-snapshot", {"node": disk.name, "overlay": node}

    def stream(self, disk, _):
        args = {"device": disk.name, "speed": self.a_speed(),
                "x-blkmon-force": self.rng.random() < 0.5}
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
                                "x-blkmon-force": self.rng.random() < 0.6,
                                "speed": self.a_speed()}

    def active(self, disk, _):
        below = self.chain(disk)[1:]
        if not below:
            return None
        return "block-commit", {"device": disk.name,
                                "base": self.rng.choice(below),
                                "x-blkmon-force": self.rng.random() < 0.6,
                                "speed": self.a_speed()}

    def keep(self, disk, _):
        return "blockdev-snapshot-internal-sync", {
            "device": disk.name, "name": "kept, %d" % len(self.log)}

    def drop(self, disk, _):
        if not disk.kept:
            return None
        return "blockdev-snapshot-delete-internal-sync", {
            "device": disk.name, "name": self.rng.choice(sorted(disk.kept))}

    def rename(self, disk, _):
        """Other words in a header for what is below."""
        nodes = self.chain_nodes(disk)
        if len(nodes) < 2:
            return None
        i = self.rng.randrange(len(nodes) - 1)
        words = nodes[i + 1]["file"]
        if self.rng.random() < 0.5:
            words = os.path.relpath(words, disk.d)
        return "change-backing-file", {"device": disk.name,
                                       "image-node-name":
                                       nodes[i]["node-name"],
                                       "backing-file": words}

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

    def stop(self, disk, job):
        """Until all who can tell stand still; some have died by then. What an
        internal snapshot holds is known while nobody writes."""
        self.qmp.ask("stop")
        deadline = time.monotonic() + blk.PATIENCE
        for guest in self.guests:
            while hasattr(guest, "stuck") and not guest.stuck.is_set():
                guest.check()
                assert time.monotonic() < deadline, "not stopped"
                select.select([], [], [], 0.01)
        if not job:
            request = self.keep(disk, None)
            if self.execute("keep", *request):
                disk.kept[request[1]["name"]] = blk.guest(
                    chained(self.chain(disk)), None, share=True)
        return "cont", {}
