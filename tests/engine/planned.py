# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks for plans; and a run of one: a random chain, a request, what the plan of
it says, and what is then done."""

import fcntl
import json
import os
import random

import blk
import maker

JOB = "the-job"


# ---------------------------------------------------------------- asking

def qmp(s, name, **arguments):
    """The reply to one request: {"return"} or {"error"}."""
    arguments = {k.replace("_", "-"): v for k, v in arguments.items()
                 if v is not None}
    request = {"execute": name, "arguments": arguments}
    for line in s.cmd(json.dumps(request), timeout=blk.PATIENCE):
        try:
            reply = json.loads(line)
        except ValueError:
            continue
        if "return" in reply or "error" in reply:
            return reply
    raise AssertionError("no reply to %s" % request)


def ask(s, name, **arguments):
    return qmp(s, "x-blkmon-plan", request={
        "execute": name, "arguments": {k.replace("_", "-"): v
                                       for k, v in arguments.items()
                                       if v is not None}})


def plan_of(s, name, **arguments):
    reply = ask(s, name, **arguments)
    assert "return" in reply, reply
    return reply["return"]


def job(s, name=JOB):
    for entry in qmp(s, "x-blkmon-query-jobs")["return"]:
        if entry["device"] == name:
            return entry
    raise AssertionError("no job " + name)


def files(entries):
    return [os.path.realpath(e["filename"]) for e in entries]


def line_of(image):
    found = []
    while image:
        found.append(os.path.realpath(image["filename"]))
        image = image.get("backing-image")
    return found


def chain_of(s, dev="disk0"):
    """Of a drive, or of a node."""
    for entry in qmp(s, "query-block")["return"]:
        if entry["device"] == dev:
            return line_of(entry["inserted"]["image"])
    for entry in qmp(s, "query-named-block-nodes")["return"]:
        if entry["node-name"] == dev:
            return line_of(entry["image"])
    raise AssertionError("no device %s" % dev)


def allocated(path):
    return os.stat(path).st_blocks * 512


def unwritten(path):
    """How much of a file has a place and no data, on a host (tmpfs) that
    does not tell where."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, 0xc020660b, bytes(32))      # FS_IOC_FIEMAP
        return 0
    except OSError:
        data, at, size = 0, 0, os.fstat(fd).st_size
        while at < size:
            try:
                at = os.lseek(fd, at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(fd, at, os.SEEK_HOLE)
            data, at = data + end - at, end
        return max(0, allocated(path) - data)
    finally:
        os.close(fd)


# ------------------------------------------------- the plan and what was done

WAYS = ("copied", "overwritten", "cloned", "zeroed")


class Run:
    """One seed: a chain, one request, its plan, and the request itself."""

    def __init__(self, seed, where, used=None):
        """used(): how much of the file system is, where the blocks of a file
        do not say it: some are shared, and some kept for what may come."""
        self.rng, self.where, self.used = random.Random(seed), where, used
        self.trace, self.met = [], set()
        axes = maker.Axes(self.rng)
        # QEMU opens what is in no header by a name that has all in it.
        axes.graph &= not axes.long_names
        made = maker.Maker(self.rng, where, axes)
        self.world = made.world()
        self.met.update(axes.met)
        self.chain_made = self.world.chains["disk0"]
        self.straight = all(chain[-1].straight()
                            for chain in self.world.chains.values())
        self.extern = {os.path.realpath(layer.path): layer.extern
                       for chain in self.world.chains.values()
                       for layer in chain}
        for layer in self.chain_made:
            self.met.update(key for key, there in (
                ("v2", layer.old), ("raw", layer.fmt == "raw"),
                ("data file", layer.extern), ("inside", layer.snaps),
                ("colon", ":" in os.path.basename(layer.path))) if there)
        if not self.straight:
            self.met.add("graph")
        self.side = None
        if self.straight and self.rng.random() < 0.25:
            self.side = self.overlay("beside", self.rng.choice(
                self.chain_made))

    def overlay(self, name, layer):
        """An image that nobody opens, where it is looked for: beside the
        layer that it lies on. (Its path, that layer)"""
        path = os.path.join(os.path.dirname(layer.path), name)
        blk.create(path, None, layer.path, layer.fmt)
        return path, layer

    # ---------------------------------------------------------- requests

    KINDS = ["stream", "stream", "inner", "inner", "active", "active",
             "active", "now", "snapshot", "transaction", "resize", "delete",
             "rebase", "undo"]

    def request(self):
        self.kind = self.rng.choice(self.KINDS)
        if self.kind == "undo" and not self.used:
            self.kind = "active"        # nothing is kept on this host
        return getattr(self, "ask_" + self.kind)()

    def force(self):
        return True if self.rng.random() < 0.7 else None

    def some(self, *more):
        return self.rng.choice([layer.path for layer in self.chain_made] +
                               list(more))

    def of_job(self, **more):
        return dict(device=self.at["disk0"], job_id=JOB, auto_dismiss=False,
                    x_blkmon_force=self.force(),
                    speed=self.rng.choice([None, None, None, -1]), **more)

    def ask_stream(self):
        return "block-stream", self.of_job(base=self.some(None))

    def ask_inner(self):
        return "block-commit", self.of_job(base=self.some(None),
                                           top=self.some())

    def ask_active(self):
        return "block-commit", self.of_job(base=self.some(None))

    def ask_undo(self):
        return "x-blkmon-undo", {"id": JOB, "x_blkmon_force": self.force()}

    def ask_now(self):
        return "x-blkmon-commit", {
            "device": self.at["disk0"], "x_blkmon_force": self.force(),
            "base": self.some(None, None, None)}

    def snapshot(self, dev, count):
        at = self.at[dev]
        node = {"device": at} if at == dev else {
            "node-name": at, "snapshot-node-name": "new%d" % count}
        return {**node, "snapshot-file": self.rng.choice(
            [os.path.join(self.where, "new %d" % count)] * 5 +
            [os.path.join(self.where, "new 0"), self.some()])}

    def ask_snapshot(self):
        return "blockdev-snapshot-sync", self.snapshot("disk0", 0)

    def action(self, count):
        dev = self.rng.choice(sorted(self.at))
        kind = self.rng.choice(["sync"] * 4 + ["inside"] * 2 + ["abort"])
        if kind == "abort":
            return {"type": "abort", "data": {}}
        if kind == "inside":
            return {"type": "blockdev-snapshot-internal-sync", "data": {
                "device": self.at[dev],
                "name": self.rng.choice(["inside", "other"])}}
        return {"type": "blockdev-snapshot-sync",
                "data": self.snapshot(dev, count)}

    def ask_transaction(self):
        return "transaction", {"actions": [
            self.action(i) for i in range(self.rng.randrange(1, 4))]}

    def ask_resize(self):
        size = self.chain_made[-1].size
        at = self.at["disk0"]
        return "block_resize", {
            "device" if at == "disk0" else "node_name": at,
            "x_blkmon_force": self.force(), "size": self.rng.choice(
                [size + 512 * self.rng.randrange(1, 9000), size * 3, size,
                 size - 512])}

    def ask_delete(self):
        left = self.overlay("left", self.rng.choice(self.chain_made))[0] \
            if self.straight else None
        wanted = [w for w in (left, self.side and self.side[0],
                              self.some()) if w]
        return "x-blkmon-delete", {"files": self.rng.sample(
            wanted, self.rng.randrange(1, len(wanted) + 1))}

    def ask_rebase(self):
        if not self.straight:
            return "x-blkmon-rebase", {"file": self.some()}
        path, _ = self.overlay("side", self.rng.choice(self.chain_made))
        base = self.rng.choice([None] + self.chain_made)
        return "x-blkmon-rebase", {
            "file": path, "base": base and base.path,
            "base_format": base and base.fmt, "job_id": JOB,
            "auto_dismiss": None}

    # ----------------------------------------------------------- opening

    def args(self):
        """All drives; a data file is told for each image that asks for it,
        and those below another drive are open by then. Chains that are in no
        headers are nodes."""
        args, seen, self.at, self.nodes = [], [], {}, []
        for dev, chain in sorted(self.world.chains.items()):
            top = chain[-1]
            self.at[dev] = dev
            if not self.straight:
                self.add_nodes(dev, chain, seen)
            else:
                args += ["--drive", ",".join(
                    ["force=on", "file=" + blk.doubled(top.path),
                     "id=" + dev, "format=" + top.fmt] +
                    ["data-file=" + blk.doubled(layer.extern)
                     for layer in reversed(chain)
                     if layer.extern and layer not in seen])]
            seen += [layer for layer in chain if layer not in seen]
        return args

    def add_nodes(self, dev, chain, seen):
        below = None
        for depth, layer in enumerate(chain):
            if layer not in seen:
                layer.node = "%s-%d" % (dev, depth)
                node = {"driver": layer.fmt, "node_name": layer.node,
                        "x_blkmon_force": True,
                        "file": {"driver": "file", "filename": layer.path}}
                if layer.extern:
                    node["data_file"] = {"driver": "file",
                                         "filename": layer.extern}
                if layer.fmt == "qcow2":
                    node["backing"] = below
                self.nodes.append(node)
            below = layer.node
        self.at[dev] = below

    # ----------------------------------------------------------- the run

    def go(self):
        args = self.args()
        name, arguments = self.request()
        self.trace += [name, arguments]
        self.space, was = None, self.used and self.used()
        state = os.path.join(self.where, "state")
        with blk.Session(*args, cwd=self.where,
                         env={**os.environ, "XDG_STATE_HOME": state}) as s:
            for node in self.nodes:
                self.add(s, node)
            if self.kind == "undo" and not self.keep(s):
                return
            self.chain = chain_of(s, self.at["disk0"])
            before = {f: blk.content(f) for f in self.chain}
            plan = ask(s, name, **arguments)
            for path, content in before.items():
                blk.unchanged(path, content)
            assert chain_of(s, self.at["disk0"]) == self.chain
            if "error" in plan:
                self.met.add("refused " + self.kind)
                self.refused(s, name, arguments, plan["error"])
                return
            self.met.add("done " + self.kind)
            self.before = before
            self.done(s, name, arguments, plan["return"])
            assert s.proc.returncode == 0 or s.quit() == 0
        if self.space:
            self.judge_space(*self.space, self.used and self.used() - was)

    @staticmethod
    def add(s, node):
        request = {"execute": "blockdev-add", "arguments": {
            k.replace("_", "-"): v for k, v in node.items()}}
        s.ok(json.dumps(request))

    def refused(self, s, name, arguments, said):
        reply = qmp(s, name, **arguments)
        assert reply.get("error") == said, (said, reply)

    def done(self, s, name, arguments, plan):
        {"stream": self.did_job, "inner": self.did_job,
         "active": self.did_job, "now": self.did_now,
         "rebase": self.did_rebase, "delete": self.did_delete,
         "undo": self.did_chain, "snapshot": self.did_snapshots,
         "transaction": self.did_snapshots,
         "resize": self.did_resize}[self.kind](s, name, arguments, plan)

    def run(self, s, name, arguments):
        reply = qmp(s, name, **arguments)
        assert "return" in reply, reply
        return reply["return"]

    def now(self, s, plan):
        """The chain that the plan is of."""
        top = plan["chain"][0]
        return chain_of(s, plan.get("device", top.get("node-name")))

    def did_chain(self, s, name, arguments, plan):
        self.run(s, name, arguments)
        assert self.now(s, plan) == files(plan["chain"]), plan["chain"]

    def keep(self, s):
        """A commit that can be taken back; False: there is none here."""
        args = {"device": self.at["disk0"], "job_id": JOB,
                "x_blkmon_keep": True, "x_blkmon_force": True,
                "base": self.chain_made[0].path}
        if len(self.chain_made) > 2:
            args["top"] = self.chain_made[-2].path
        if "error" in qmp(s, "block-commit", **args):
            return False
        s.wait(JOB, "ready" if "top" not in args else "done")
        if "top" not in args:
            self.run(s, "block-job-cancel", {"device": JOB})
            s.wait(JOB)
        return True

    def did_snapshots(self, s, name, arguments, plan):
        new = {entry["filename"] for part in plan.get("actions", [plan])
               for entry in part["layers"] if entry.get("role") == "overlay"}
        was = set(os.listdir(self.where))
        self.run(s, name, arguments)
        made = {os.path.join(self.where, n)
                for n in set(os.listdir(self.where)) - was}
        assert made == new
        if "internal" not in json.dumps(arguments):
            assert sum(os.stat(n).st_size for n in new) == \
                plan["space"]["needs"]
        for part in plan.get("actions", [plan])[-1:]:
            after = part["chain"]
            assert chain_of(s, part.get("device") or
                            self.node_on(s, after[0])) == files(after)

    def node_on(self, s, entry):
        for node in qmp(s, "query-named-block-nodes")["return"]:
            if os.path.realpath(node["file"]) == os.path.realpath(
                    entry["filename"]) and node["drv"] != "file":
                return node["node-name"]
        raise AssertionError("no node of %s" % entry)

    def did_resize(self, s, name, arguments, plan):
        top = self.chain[0]
        info, room = blk.img_info(top), self.room(top)
        self.untold = unwritten(top) + (
            unwritten(self.extern[top]) if self.extern[top] else 0)
        self.did_chain(s, name, arguments, plan)
        self.space = plan["space"]["needs"], self.room(top) - room, top, \
            info["format"] == "raw", 0, 0

    def did_delete(self, s, name, arguments, plan):
        done = self.run(s, name, arguments)
        assert [f["file"] for f in done["files"]] == [
            f["filename"] for f in plan["layers"]]
        assert done["freed"] == plan["gives-back"]
        assert not any(os.path.exists(f) for f in files(plan["layers"]))

    def told(self):
        """The last job, as the history has it, when the program has ended."""
        with open(os.path.join(self.where, "state", "blkmon", "jobs.jsonl"),
                  encoding="utf-8") as history:
            return json.loads(history.readlines()[-1])

    def did_rebase(self, s, name, arguments, plan):
        path = arguments["file"]
        room = allocated(path)
        self.run(s, name, arguments)
        s.wait(JOB)
        assert s.quit() == 0
        told, grown = self.told(), allocated(path) - room
        assert told["result"] == "done", told
        assert told["moved"] <= plan["bytes"]["left"], (told, plan["bytes"])
        assert grown <= plan["space"]["needs"] + 64 * blk.KIB
        info = blk.img_info(path)
        assert os.path.realpath(info.get("full-backing-filename", path)) == \
            files(plan["chain"][:2])[-1]

    def did_now(self, s, name, arguments, plan):
        self.begin(plan)
        self.did_chain(s, name, arguments, plan)
        assert plan["unused"] == []
        assert s.quit() == 0
        told = self.told()
        assert told["result"] == "done" and \
            told["moved"] == plan["bytes"]["left"], (told, plan["bytes"])
        # An L2 table that the overlay had in memory alone was none yet.
        assert abs(plan["gives-back"] - told.get("freed", 0)) <= 4096, (
            plan["gives-back"], told)

    def begin(self, plan):
        target = files(e for e in plan["layers"] if e["role"] == (
            "top" if plan["kind"] == "stream" else "base"))[0]
        self.untold = unwritten(target) + (
            unwritten(self.extern[target]) if self.extern[target] else 0)
        return target, self.room(target)

    def did_job(self, s, name, arguments, plan):
        target, room = self.begin(plan)
        self.run(s, name, arguments)
        stays = False
        if plan["kind"] == "active-commit":
            s.wait(JOB, "ready")
            done, stays = job(s), self.rng.random() < 0.4
            self.end(s, plan, stays)
        s.wait(JOB)
        if plan["kind"] != "active-commit":
            done = job(s)
        assert not done.get("error"), done
        self.judge(s, plan, done, target, self.room(target) - room, stays)

    def end(self, s, plan, stays):
        """Of one that is ready: it goes over, or stays."""
        if stays:
            force = self.rng.random() < 0.5
            args = {"device": JOB, "force": force}
            self.met.add("cancel force" if force else "cancel")
            end = plan_of(s, "block-job-cancel", **args)
            assert end["unused"] == []
            assert files(end["chain"]) == self.chain
            self.run(s, "block-job-cancel", args)
            return
        end = plan_of(s, "block-job-complete", device=JOB)
        assert end["unused"] == plan["unused"], (end, plan)
        assert files(end["chain"]) == files(plan["chain"])
        self.run(s, "block-job-complete", {"device": JOB})

    def room(self, target):
        extern = self.extern[target]
        return allocated(target) + (allocated(extern) if extern else 0)

    def judge(self, s, plan, done, target, grown, stays):
        said = plan["bytes"]
        self.trace += [plan["kind"], said, plan["space"], grown]
        info = blk.img_info(target)
        raw = info["format"] == "raw"
        near = self.near(info, raw)
        for way in WAYS:
            # A host has one answer for all of a block, a raw image for 512
            # bytes.
            more = 64 * blk.KIB if raw and way in WAYS[:2] else 0
            assert abs(said[way] - done[way]) <= near + more, \
                (way, said, done)
        assert abs(sum(said[w] for w in WAYS[:3]) -
                   sum(done[w] for w in WAYS[:3])) <= near, (said, done)
        assert said["left"] == done["total"], (said, done)
        if stays:
            assert chain_of(s, self.at["disk0"]) == self.chain
            if plan["cancel"]["restores"]:
                self.met.add("cancel restores")
                for path, content in self.before.items():
                    blk.unchanged(path, content)
        else:
            self.judge_chain(s, plan)
        self.space = plan["space"]["needs"], grown, target, raw, near, \
            done["cloned"] + (done["zeroed"] if self.extern[target] else 0)

    def judge_chain(self, s, plan):
        after = self.now(s, plan)
        assert files(plan["chain"]) == after, (plan["chain"], after)
        used = set(after)
        if "disk1" in self.world.chains:
            used.update(chain_of(s, self.at["disk1"]))
        # What lies below an image of the chain is as the chain is now.
        layer = self.side and self.side[1]
        while layer and os.path.realpath(layer.path) not in used:
            used.add(os.path.realpath(layer.path))
            layer = layer.parent
        left = [f for f in self.chain if f not in used]
        assert files(plan["unused"]) == left, (left, plan)

    def near(self, info, raw):
        """How far the plan may be off: not at all, but for subclusters, of
        which several are filled by what is written to one."""
        if raw:
            return 0
        data = info["format-specific"]["data"]
        return 4 * info["cluster-size"] if data.get("extended-l2") else 0

    def judge_space(self, needs, grown, target, raw, near, back, lost):
        cluster = 4096 if raw else max(
            4096, blk.img_info(target)["cluster-size"])
        if lost is not None:
            # The host has tables as well.
            grown, cluster = lost, cluster + 64 * blk.KIB
        self.trace += [lost]
        # A file of many extents has a block that names them (ext4).
        assert grown <= needs + cluster + 4096, (needs, grown, cluster)
        # What is zeroed in a raw image or a data file goes back to the host,
        # and the place that something had which is a clone now.
        assert raw or \
            grown >= needs - cluster - near - self.untold - back, \
            (needs, grown, cluster, self.untold)
