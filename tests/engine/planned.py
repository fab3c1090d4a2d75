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


def chain_of(s, dev="disk0"):
    for entry in qmp(s, "query-block")["return"]:
        if entry["device"] == dev:
            found, image = [], entry["inserted"]["image"]
            while image:
                found.append(os.path.realpath(image["filename"]))
                image = image.get("backing-image")
            return found
    raise AssertionError("no device " + dev)


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
        axes = maker.Axes(self.rng)
        axes.graph = False
        self.world = maker.Maker(self.rng, where, axes).world()
        self.extern = {os.path.realpath(layer.path): layer.extern
                       for chain in self.world.chains.values()
                       for layer in chain}
        self.trace = []

    def request(self):
        rng, chain = self.rng, self.world.chains["disk0"]
        names = [layer.path for layer in chain]
        kind = rng.choice(["stream", "inner", "active"])
        force = True if rng.random() < 0.7 else None
        speed = rng.choice([None, None, None, -1])
        if kind == "stream":
            base = rng.choice([None] + names)
            return "block-stream", {"base": base, "x_blkmon_force": force,
                                    "speed": speed}
        top = rng.choice(names) if kind == "inner" else None
        base = rng.choice([None] + names)
        return "block-commit", {"base": base, "top": top, "speed": speed,
                                "x_blkmon_force": force}

    def args(self):
        """All drives; a data file is told for each image that asks for it,
        and those below another drive are open by then."""
        args, seen = [], []
        for dev, chain in sorted(self.world.chains.items()):
            top = chain[-1]
            args += ["--drive", ",".join(
                ["file=" + blk.doubled(top.path), "id=" + dev,
                 "format=" + top.fmt] +
                ["data-file=" + blk.doubled(layer.extern)
                 for layer in reversed(chain)
                 if layer.extern and layer not in seen])]
            seen += chain
        return args

    def go(self):
        name, arguments = self.request()
        arguments.update(device="disk0", job_id=JOB, auto_dismiss=False)
        self.trace += [name, arguments]
        self.space, was = None, self.used and self.used()
        with blk.Session(*self.args(), cwd=self.where) as s:
            self.chain = chain_of(s)
            before = {f: blk.content(f) for f in self.chain}
            plan = ask(s, name, **arguments)
            for path, content in before.items():
                blk.unchanged(path, content)
            assert chain_of(s) == self.chain
            if "error" in plan:
                self.refused(s, name, arguments, plan["error"])
                return
            self.done(s, name, arguments, plan["return"])
            assert s.quit() == 0
        self.judge_space(*self.space, self.used and self.used() - was)

    def refused(self, s, name, arguments, said):
        reply = qmp(s, name, **arguments)
        assert reply.get("error") == said, (said, reply)

    def done(self, s, name, arguments, plan):
        target = files(e for e in plan["layers"] if e["role"] == (
            "top" if plan["kind"] == "stream" else "base"))[0]
        room = self.room(target)
        self.untold = unwritten(target) + (
            unwritten(self.extern[target]) if self.extern[target] else 0)
        reply = qmp(s, name, **arguments)
        assert reply == {"return": {}}, (plan, reply)
        if plan["kind"] == "active-commit":
            s.wait(JOB, "ready")
            done = job(s)
            end = plan_of(s, "block-job-complete", device=JOB)
            assert end["unused"] == plan["unused"], (end, plan)
            assert files(end["chain"]) == files(plan["chain"])
            assert qmp(s, "block-job-complete", device=JOB) == {"return": {}}
        s.wait(JOB)
        if plan["kind"] != "active-commit":
            done = job(s)
        assert not done.get("error"), done
        self.judge(s, plan, done, target, self.room(target) - room)

    def room(self, target):
        extern = self.extern[target]
        return allocated(target) + (allocated(extern) if extern else 0)

    def judge(self, s, plan, done, target, grown):
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
        after = chain_of(s)
        assert files(plan["chain"]) == after, (plan["chain"], after)
        used = set(after)
        if "disk1" in self.world.chains:
            used.update(chain_of(s, "disk1"))
        assert files(plan["unused"]) == [f for f in self.chain
                                         if f not in used], plan
        self.space = plan["space"]["needs"], grown, target, raw, near, \
            done["cloned"]

    def near(self, info, raw):
        """How far the plan may be off: not at all, but for a target that has
        to grow in the middle of a cluster, and for subclusters, of which
        several are filled by what is written to one."""
        if raw:
            return 0
        data = info["format-specific"]["data"]
        grows = len({layer.size for c in self.world.chains.values()
                     for layer in c}) > 1
        cluster = info["cluster-size"]
        return 4 * cluster if data.get("extended-l2") else \
            cluster if grows else 0

    def judge_space(self, needs, grown, target, raw, near, cloned, lost):
        cluster = 4096 if raw else max(
            4096, blk.img_info(target)["cluster-size"])
        if lost is not None:
            # The host has tables as well.
            grown, cluster = lost, cluster + 64 * blk.KIB
        self.trace += [lost]
        assert grown <= needs + cluster, (needs, grown, cluster)
        # What is zeroed in a raw image goes back to the host, and the place
        # that something had which is a clone now.
        assert raw or \
            grown >= needs - cluster - near - self.untold - cloned, \
            (needs, grown, cluster, self.untold)
