# SPDX-License-Identifier: GPL-3.0-or-later
"""x-blkmon-plan says what the job then does.

Random chains and requests: what the plan says, to the byte where a job counts
bytes, is compared with what the job did, the size of the files, and the chain
afterwards; what it refuses with what the request itself is refused for.
"""

import concurrent.futures
import fcntl
import json
import os
import random
import re
import time
import traceback

import pytest

import blk
import maker

CHAINS = int(os.environ.get("BLKMON_PLANS", "40"))
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


def one(seed):
    """(seed, None), or (seed, what went wrong)."""
    run = None
    with blk.workdir("blkmon-plan-%d-" % seed) as where:
        try:
            run = Run(seed, where)
            run.go()
            return seed, None
        except Exception as wrong:  # the seed must be said
            text = str(wrong) if isinstance(wrong, AssertionError) \
                and str(wrong) else traceback.format_exc()
            return seed, "%s\n  %s" % (text, run and run.trace)


def judge(first, count):
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        failed = [f for f in pool.map(one, range(first, first + count))
                  if f[1]]
    if failed:
        pytest.fail("%d of %d\n%s" % (len(failed), count, "\n".join(
            "seed %d: %s" % f for f in failed[:5])), pytrace=False)


def test_the_plan_is_what_is_done(seed):
    judge(seed, CHAINS)


@pytest.mark.long
def test_many_plans(seed):
    judge(seed + CHAINS, 1000)


# ----------------------------------------------------------- one by one

def test_sparse_16_tib(d):
    """Milliseconds, for it depends on what there is to move."""
    base = blk.create(os.path.join(d, "base.img"), "16T")
    top = blk.create(os.path.join(d, "top.img"), None, base)
    blk.qemu_io(top, "write 1G 1M", "write 9T 64k", "write -z 12T 1G")
    with blk.Session(top) as s:
        def attempt():
            start = time.monotonic()
            plan = plan_of(s, "block-commit", device="disk0")
            assert plan["bytes"]["left"] == blk.MIB + 64 * blk.KIB
            return time.monotonic() - start
        assert blk.best(attempt, 0.1) < 0.1


def test_refused_as_the_request_is(d):
    """Same class, same words, and nothing has changed."""
    low, mid, top = blk.make_chain(d)
    there = blk.simple(d, "there.img")
    requests = [
        ("block-stream", {"device": "none"}),
        ("block-stream", {"device": "disk0", "base": "none"}),
        ("block-stream", {"device": "disk0", "base": mid, "bottom": "x"}),
        ("block-stream", {"device": "disk0", "speed": -1}),
        ("block-stream", {"device": "disk0", "job_id": "1a"}),
        ("block-stream", {"device": "disk0", "colour": "red"}),
        ("block-commit", {"device": "none"}),
        ("block-commit", {"device": "disk0", "base": top}),
        ("block-commit", {"device": "disk0", "top": "none"}),
        ("block-commit", {"device": "disk0", "base": mid, "top": low}),
        ("__com.redhat_block-commit", {"device": "disk0", "top": top}),
        ("x-blkmon-commit", {"device": "none"}),
        ("blockdev-snapshot-sync", {"device": "none", "snapshot_file": "x"}),
        ("blockdev-snapshot-sync", {"device": "disk0",
                                    "snapshot_file": there}),
        ("blockdev-snapshot-sync", {"device": "disk0",
                                    "snapshot_file": d + "/no/x.img"}),
        ("blockdev-snapshot-sync", {"device": "disk0", "format": "raw",
                                    "snapshot_file": d + "/x.img"}),
        ("block-job-complete", {"device": "none"}),
        ("job-complete", {"id": "none"}),
        ("block-job-cancel", {"device": "none"}),
        ("block_resize", {"device": "disk0", "size": blk.MIB}),
        ("block_resize", {"device": "none", "size": blk.MIB}),
        ("block_resize", {"node_name": "none", "size": blk.MIB}),
        ("block_resize", {"device": "disk0", "size": -1}),
        ("no-such-command", {}),
    ]
    with blk.Session(top, cwd=d) as s:
        for name, arguments in requests:
            said = ask(s, name, **arguments)
            done = qmp(s, name, **arguments)
            assert "error" in done and said == done, (name, said, done)
        said = ask(s, "stop")
        assert "There is no plan for 'stop'" in said["error"]["desc"]
        assert sorted(os.listdir(d)) == ["l0.img", "l1.img", "l2.img",
                                         "there.img"]


def test_a_base_that_cannot_be_written(d):
    """Locked by somebody else, or marked corrupt."""
    low, mid, _ = blk.make_chain(d)
    with blk.Session("--drive", "file=%s,id=disk0,format=qcow2" %
                     os.path.join(d, "l2.img")) as s:
        holder = os.open(low, os.O_RDWR)
        try:
            blk_lock(holder)
            said = ask(s, "block-commit", device="disk0", top=mid)
            done = qmp(s, "block-commit", device="disk0", top=mid)
        finally:
            os.close(holder)
        assert said == done and "lock" in said["error"]["desc"], said


def blk_lock(fd):
    """Says as QEMU does that this descriptor reads the image, and that
    nobody else may write to it."""
    import struct
    where = struct.pack("hhqqi", fcntl.F_RDLCK, os.SEEK_SET, 201, 1, 0)
    fcntl.fcntl(fd, 37, where)      # F_OFD_SETLK


def test_it_does_not_fit(d):
    """Refused before the first byte, as the plan refuses it; forced it is
    planned, and does not fit."""
    with blk.small_fs(d, 6 * blk.MIB) as place:
        low = blk.create(os.path.join(place, "low.img"), 16 * blk.MIB)
        top = blk.create(os.path.join(d, "top.img"), None, low)
        blk.qemu_io(top, "write 1M 10M")
        with blk.Session(top) as s:
            was = blk.content(low)
            said = ask(s, "block-commit", device="disk0")
            assert said == qmp(s, "block-commit", device="disk0")
            assert "needs 10.1M, %s has " % place in said["error"]["desc"]
            assert qmp(s, "query-jobs") == {"return": []}
            blk.unchanged(low, was)
            plan = plan_of(s, "block-commit", device="disk0",
                           x_blkmon_force=True)
            assert not plan["space"]["fits"]
            assert plan["space"]["needs"] >= 10 * blk.MIB


def test_what_jobs_need_is_reserved(d):
    """Two commits into one file system: the second one's plan knows of the
    first."""
    with blk.small_fs(d, 16 * blk.MIB) as place:
        tops = []
        for n in "ab":
            low = blk.create(os.path.join(place, n), 16 * blk.MIB)
            tops.append(blk.create(os.path.join(d, n), None, low))
            blk.qemu_io(tops[-1], "write 0 10M")
        with blk.Session(*("%s=%s" % (t[-1] + "1", t) for t in tops)) as s:
            assert plan_of(s, "block-commit", device="b1")["space"]["fits"]
            assert qmp(s, "block-commit", device="a1",
                       speed=65536) == {"return": {}}
            said = ask(s, "block-commit", device="b1")
            assert "running jobs need" in said["error"]["desc"], said
            assert said == qmp(s, "block-commit", device="b1")
            plan = plan_of(s, "block-commit", device="b1",
                           x_blkmon_force=True)
            assert plan["hits"]["jobs"] == ["a1"]
            assert 5 * blk.MIB < plan["space"]["reserved"] < 11 * blk.MIB
            s.ok("block_job_cancel a1")
            plan = plan_of(s, "block-commit", device="b1")
            assert plan["space"]["reserved"] == 0


def test_what_was_not_counted_is_counted_then(d):
    """Where there is ample room a start counts nothing; the next plan counts
    what that job has still to place, and not the size of its disk."""
    with blk.small_fs(d, 200 * blk.MIB) as place:
        low = blk.create(os.path.join(place, "low"), 16 * blk.MIB)
        top = blk.create(os.path.join(d, "top"), None, low)
        blk.qemu_io(top, "write 0 10M")
        other = blk.make_chain(place)[-1]
        with blk.Session("a=" + top, "b=" + other) as s:
            assert qmp(s, "block-commit", device="a",
                       speed=65536) == {"return": {}}
            for _ in range(2):
                plan = plan_of(s, "block-stream", device="b")
                assert plan["hits"]["jobs"] == ["a"]
                assert 5 * blk.MIB < plan["space"]["reserved"] < \
                    11 * blk.MIB, plan["space"]


@pytest.mark.parametrize("how", ["hmp", "offline"])
def test_a_commit_at_once_does_not_fit(d, how):
    """Refused before the first byte."""
    with blk.small_fs(d, 6 * blk.MIB) as place:
        low = blk.create(os.path.join(place, "low.img"), 16 * blk.MIB)
        top = blk.create(os.path.join(d, "top.img"), None, low)
        blk.qemu_io(top, "write 1M 10M")
        was = blk.content(low)
        out = blk.blkmon(top, "-c", "commit disk0") if how == "hmp" else \
            blk.blkmon("commit", top)
        assert out.rc == 1, out
        assert "The commit needs 10.1M, %s has " % place in out.text, out
        blk.unchanged(low, was)
        out = blk.blkmon(top, "-c", "commit -f disk0") if how == "hmp" else \
            blk.blkmon("commit", "--force", top)
        assert out.rc and "No space left on device" in out.text, out


def test_siblings_are_told(d):
    """Overlays that nobody opened: they are refused, and forced they are
    named; no file that one of them reads is unused."""
    low, mid, top = blk.make_chain(d)
    other = blk.create(os.path.join(d, "other.img"), None, mid)
    with blk.Session(top) as s:
        said = ask(s, "block-commit", device="disk0", base=low)
        assert other in said["error"]["desc"]
        assert said == qmp(s, "block-commit", device="disk0", base=low)
        plan = plan_of(s, "block-commit", device="disk0", base=low,
                       x_blkmon_force=True)
        assert plan["hits"]["siblings"] == [other], plan
        assert files(plan["unused"]) == [top]
        plan = plan_of(s, "block-stream", device="disk0")
        assert plan["hits"]["siblings"] == []
        assert plan["unused"] == [] and plan["gives-back"] == 0
        os.unlink(other)
        plan = plan_of(s, "block-stream", device="disk0")
        assert files(plan["unused"]) == [mid, low]


def test_preallocated_room_is_not_needed(d):
    """A base that has all its blocks fits where nothing else does."""
    with blk.small_fs(d, 24 * blk.MIB) as place:
        low = blk.create(os.path.join(place, "low.img"), 16 * blk.MIB,
                         fmt="raw", preallocation="falloc")
        top = blk.create(os.path.join(d, "top.img"), None, low, "raw")
        blk.qemu_io(top, "write 1M 12M")
        with blk.Session(top) as s:
            plan = plan_of(s, "block-commit", device="disk0")
            assert plan["space"]["needs"] == 0, plan["space"]
            s.ok("block_commit disk0")
            s.wait("disk0", "ready")


def test_the_data_file_is_what_grows(d):
    """Its file system counts, not that of the image."""
    with blk.small_fs(d, 6 * blk.MIB) as place:
        data = os.path.join(place, "data")
        low = blk.create(os.path.join(d, "low.img"), 16 * blk.MIB,
                         data_file=data)
        top = blk.create(os.path.join(d, "top.img"), None, low)
        blk.qemu_io(top, "write 1M 10M")
        with blk.Session("--drive", "file=%s,id=disk0,format=qcow2,"
                         "data-file=%s" % (top, data)) as s:
            said = qmp(s, "block-commit", device="disk0")
            assert "needs 10.0M, %s has " % place in said["error"]["desc"]


def test_jobs_that_run(d, pair):
    """Complete and cancel: what becomes of the chain."""
    low, top = pair
    with blk.Session(top) as s:
        assert qmp(s, "block-commit", device="disk0") == {"return": {}}
        s.wait("disk0", "ready")
        plan = plan_of(s, "block-job-complete", device="disk0")
        assert plan["kind"] == "complete" and plan["bytes"]["left"] == 0
        assert files(plan["chain"]) == [low]
        assert files(plan["unused"]) == [top]
        assert plan["gives-back"] == allocated(top)
        plan = plan_of(s, "block-job-cancel", device="disk0")
        assert files(plan["chain"]) == [top, low] and not plan["unused"]
        assert plan["hmp"] == "block_job_cancel disk0"
        assert chain_of(s) == [top, low]


def test_a_snapshot(d, pair):
    new = os.path.join(d, "a new.img")
    with blk.Session(pair[1]) as s:
        plan = plan_of(s, "blockdev-snapshot-sync", device="disk0",
                       snapshot_file=new)
        assert not os.path.exists(new)
        assert files(plan["chain"]) == [new] + pair[::-1]
        assert plan["hmp"] == 'snapshot_blkdev disk0 "%s"' % new
        s.ok(plan["hmp"])
        assert chain_of(s) == files(plan["chain"])
        assert os.stat(new).st_size == plan["space"]["needs"]


def test_commit_at_once(d, pair):
    """HMP's commit: the overlay stays, and is emptied."""
    with blk.Session(pair[1]) as s:
        plan = plan_of(s, "x-blkmon-commit", device="disk0")
        assert plan["kind"] == "commit-now" and not plan["unused"]
        assert plan["hmp"] == "commit disk0"
        s.ok(plan["hmp"])
        assert chain_of(s) == files(plan["chain"])


# ------------------------------------------------------------ at the prompt

def but_free(lines):
    """What is free there changes under us: others write there, too."""
    return [re.sub(r"[0-9.]+[KMGT]? free", "free", line) for line in lines]


def test_a_line_in_three_languages(d):
    """They say the same, and do nothing."""
    low, mid, top = blk.make_chain(d)
    request = {"execute": "block-commit", "arguments": {
        "device": "disk0", "base": low, "top": mid}}
    with blk.Session(top) as s:
        hmp = s.ok("plan block_commit disk0 %s %s" % (low, mid))
        assert hmp[0] == "commit of disk0: l2.img on l1.img on l0.img"
        assert hmp[1].split(None, 1) == [
            "moves", "1.00M copied, 1.00M overwritten"]
        assert "then     l2.img on l0.img" in hmp
        assert any(line.startswith("unused   l1.img; 2.25M") for line in hmp)
        assert len(hmp) <= 12 and all(len(line) <= 80 + len(d)
                                      for line in hmp)
        same = but_free(hmp)
        assert same != hmp
        assert but_free(s.ok("plan block-commit device=disk0 base=%s top=%s"
                             % (low, mid))) == same
        assert but_free(s.ok("plan " + json.dumps(request))) == same
        said = s.ok("plan --json block_commit disk0 %s %s" % (low, mid))
        plan = plan_of(s, "block-commit", **request["arguments"])
        assert json.loads(said[0])["return"]["bytes"] == plan["bytes"]
        assert s.jobs() == {} and chain_of(s) == [top, mid, low]
        s.ok(plan["hmp"])
        s.wait("disk0")
        assert chain_of(s) == [top, low]


def test_what_has_no_plan_is_not_run(d, pair):
    with blk.Session(pair[1]) as s:
        for line in ("quit", "wait disk0", "stop", "drive_del disk0",
                     'qemu-io disk0 "write 0 512"', "info block",
                     'nbd_server_start unix:%s/sock' % d):
            s.fails("plan " + line, "There is no plan for")
        s.fails("plan block_job_cancel disk0", "not found")
        for line in ("", "plan commit disk0"):
            assert s.cmd("plan " + line) == ["plan: a line expected"]
        # Its other lines would be run.
        for line in ('{"execute": "stop",', "transaction("):
            s.fails("plan " + line, "one whole line")
        assert qmp(s, "query-status")["return"]["running"]
        assert chain_of(s) == pair[::-1]


def test_a_refused_plan_fails_a_script(pair):
    out = blk.blkmon(pair[1], "-c", "plan block_commit disk0")
    assert out.rc == 0 and "moves " in out.out, out
    for line in ("plan block_commit none", "plan --json block_commit none"):
        out = blk.blkmon(pair[1], "-c", line)
        assert out.rc == 1 and "Device 'none' not found" in out.text, out
