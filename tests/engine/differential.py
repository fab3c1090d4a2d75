# SPDX-License-Identifier: GPL-3.0-or-later
"""Random chains through random operations, against a model and QEMU.

    python3 tests/engine/differential.py --seed 7 --count 300

One seed is one run: a chain of two to six layers is made with qemu-img and
qemu-io, then blkmon sessions take it through snapshots, streams, commits and
cancels with guest I/O in between.  After each step what `blkmon cat` reads is
compared with the model; after some of them, and for every image once blkmon
has gone, so is what qemu-img reads, and qemu-img must like every image.

--self-test runs the same thing on QEMU's tools in the place of blkmon, to
show that the model is right.
"""

import argparse
import concurrent.futures
import json
import os
import random
import shutil
import sys
import time
import traceback

import blk
import fake
import model

KIB, MIB = blk.KIB, blk.MIB
STEPS = 5

# What `blkmon info --json` and qemu-img must agree on.
TOLD = ("filename", "format", "virtual-size", "cluster-size",
        "backing-filename", "full-backing-filename",
        "backing-filename-format")


# ------------------------------------------------------- making the images

def random_options(rng, size, overlay):
    """qemu-img create options for a qcow2 layer, and whether it is v3."""
    # 512-byte clusters make QEMU itself slow: for small disks only.
    bits = rng.choice([9, 10, 12, 12, 13, 14, 16, 16, 16, 16, 18, 20, 21]
                      if size <= 3 * MIB else [12, 14, 16, 16, 16, 18, 20, 21])
    opts = {"cluster_size": 1 << bits}
    if rng.random() < 0.2:
        opts["compat"] = "0.10"
        return opts
    opts["refcount_bits"] = rng.choice([1, 2, 4, 8, 16, 16, 16, 32, 64])
    if bits >= 14 and rng.random() < 0.3:
        opts["extended_l2"] = "on"
    if rng.random() < 0.2:
        opts["lazy_refcounts"] = "on"
    if rng.random() < 0.3:
        opts["compression_type"] = "zstd"
    if rng.random() < 0.2 and (not overlay or "extended_l2" in opts):
        opts["preallocation"] = rng.choice(
            ["metadata"] if overlay else ["metadata", "falloc", "full"])
    return opts


def span(rng, size, align=blk.SECTOR):
    """A random aligned range: mostly short, sometimes long."""
    units = size // align
    if not units:
        return 0, 0
    length = min(units, rng.choice([1, 1, 2, 3, 8, units // 16 + 1,
                                    units // 4 + 1]))
    return rng.randrange(units - length + 1) * align, length * align


class Maker:
    """Makes the images of one run with QEMU's tools."""

    def __init__(self, rng, where):
        self.rng, self.where, self.tag = rng, where, 0

    def fresh_path(self, name):
        folder = self.rng.choice([".", ".", ".", "sub", "other"])
        folder = os.path.normpath(os.path.join(self.where, folder))
        os.makedirs(folder, exist_ok=True)
        return os.path.join(folder, name)

    def link(self, path, backing):
        """A name for backing in the header of path: text and kind."""
        if self.rng.random() < 0.5:
            return os.path.relpath(backing, os.path.dirname(path)), "relative"
        return backing, "absolute"

    def layer(self, name, size, parent):
        # QEMU 7.2 miscounts some images with compressed clusters, when a
        # discard has freed one. It may then trip over that itself, or write
        # over its own data: such an image cannot judge anybody.
        for _ in range(20):
            try:
                layer = self.attempt(name, size, parent)
            except AssertionError as wrong:
                if "Marking image as corrupt" not in str(wrong):
                    raise
                continue
            if layer.fmt == "raw" or self.is_sound(layer):
                return layer
            os.unlink(layer.path)
        raise AssertionError("QEMU does not make a sound image")

    def is_sound(self, layer):
        return not blk.run("qemu-img", "check", layer.path).rc and \
            blk.guest(layer.path) == bytes(layer.data)

    def attempt(self, name, size, parent):
        path, rng = self.fresh_path(name), self.rng
        if parent is None and rng.random() < 0.25:
            layer = model.Layer(path, "raw", size)
            blk.create(path, size, fmt="raw")
            opts = {"cluster_size": blk.SECTOR}
        else:
            opts = random_options(rng, size, parent is not None)
            text, kind = self.link(path, parent.path) if parent else (None,) * 2
            layer = model.Layer(path, "qcow2", size, parent, kind)
            blk.create(path, size, text, parent and parent.fmt,
                       cwd=os.path.dirname(path), **opts)
        self.fill(layer, opts)
        return layer

    def fill(self, layer, opts):
        # qemu-io compresses into unallocated clusters only.
        used = set()
        commands = [self.content(layer, opts, used)
                    for _ in range(self.rng.randrange(1, 7))]
        if (layer.fmt == "qcow2" and "compat" not in opts
                and opts["refcount_bits"] >= 16 and self.rng.random() < 0.2):
            blk.qemu_io(layer.path, *commands)
            blk.qemu_img("snapshot", "-c", "inside", layer.path)
            layer.snaps["inside"] = bytes(layer.data)
            layer.inside = True
            used = set(range(layer.size // opts["cluster_size"] + 1))
            commands = [self.content(layer, opts, used)]
        blk.qemu_io(layer.path, *commands, fmt=layer.fmt)

    def content(self, layer, opts, used):
        """One qemu-io command, done to the model as well."""
        rng, cluster = self.rng, opts["cluster_size"]
        kind = rng.choice(["write", "write", "write", "zero", "unmap",
                           "compressed", "discard"])
        if kind == "compressed" and (layer.fmt == "raw"
                                     or "preallocation" in opts):
            kind = "write"
        aligned = kind in ("compressed", "discard")
        off, length = span(rng, layer.size, cluster if aligned else 512)
        if not length:
            return "read 0 512"
        touched = range(off // cluster, (off + length - 1) // cluster + 1)
        if kind == "compressed" and not used.isdisjoint(touched):
            kind = "write"
        used.update(touched)
        if kind in ("zero", "unmap"):
            layer.write(off, bytes(length))
            return "write -z %s%d %d" % ("-u " if kind == "unmap" else "",
                                         off, length)
        if kind == "discard":
            # Version 2 cannot say "zero" above a backing file.
            if not ("compat" in opts and layer.parent):
                layer.write(off, bytes(length))
            return "discard %d %d" % (off, length)
        self.tag += 1
        data = blk.stamps(self.tag, off, length)
        layer.write(off, data)
        pattern = os.path.join(self.where, "pattern-%d" % self.tag)
        with open(pattern, "wb") as stream:
            stream.write(data)
        return "write %s-s %s %d %d" % ("-c " if kind == "compressed" else "",
                                        pattern, off, length)

    def world(self):
        rng = self.rng
        world = model.World()
        size = rng.choice([256 * KIB, 512 * KIB, 512 * KIB, MIB, MIB,
                           2 * MIB, 3 * MIB])
        layer, chain = None, []
        for i in range(rng.randrange(2, 7)):
            mine = size
            if rng.random() < 0.3:
                mine = rng.randrange(size // 2, size * 3 // 2) // 512 * 512
            layer = self.layer("l%d.img" % i, mine, layer)
            chain.append(layer)
        world.chains["disk0"] = chain
        if rng.random() < 0.25:
            fork = rng.choice(chain[:-1])
            below = chain[:chain.index(fork) + 1]
            world.chains["disk1"] = below + [self.layer("sib.img", size, fork)]
        return world


# ------------------------------------------------------- the program judged

class Blkmon:
    """The program under test."""

    def session(self, world, rng, cwd):
        args = []
        for dev, chain in sorted(world.chains.items()):
            top = chain[-1]
            if rng.random() < 0.5:
                args += ["--drive", "force=on,file=%s,id=%s,format=%s"
                         % (top.path, dev, top.fmt)]
            else:
                args += ["--drive", "force=on,id=%s,file=%s"
                         % (dev, top.path)]
        return blk.Session(*args, cwd=cwd)

    def cat(self, layer):
        return blk.cat(layer.path)

    def chain(self, layer):
        return json.loads(blk.blkmon_ok("info", "--json", layer.path).out)


# ------------------------------------------------------------- the one run

class Run:
    """One seed: images, sessions, steps and what must hold after each."""

    def __init__(self, seed, program, where):
        self.rng = random.Random(seed)
        self.program, self.where = program, where
        self.maker = Maker(self.rng, where)
        self.world = self.maker.world()
        self.trace, self.versions, self.made, self.s = [], [], 0, None
        self.fake = isinstance(program, fake.Fake)

    def go(self):
        self.judge_images("as made")
        for _ in range(self.rng.randrange(1, 3)):
            with self.program.session(self.world, self.rng,
                                      self.where) as self.s:
                for _ in range(self.rng.randrange(2, STEPS)):
                    self.step()
                rc = self.s.quit()
                assert rc in (0, 1), "exit status %s" % rc
            self.judge_images("at the end of a session")

    def step(self):
        dev = self.rng.choice(sorted(self.world.chains))
        for _ in range(self.rng.randrange(3)):
            self.guest(dev)
        chain = self.world.chains[dev]
        steps = [self.snapshot]
        if len(chain) > 1:
            steps = [self.snapshot, self.stream, self.stream, self.commit_one,
                     self.active, self.active]
        if len(chain) > 2:
            steps += [self.inner] * 3
        self.rng.choice(steps)(dev)
        self.judge_live()

    def say(self, line):
        self.trace.append(line)
        return self.s.ok(line)

    # -- guest I/O

    def guest(self, dev, calm=True):
        """One guest request; a discard only when no job is in the way."""
        top, rng = self.world.active(dev), self.rng
        kind = rng.choice(["write", "write", "write", "zero", "unmap", "odd",
                           "discard" if calm else "write"])
        off, length = span(rng, top.size)
        if kind == "odd":
            off = min(off + rng.randrange(512), top.size - 1)
            length = max(1, min(length, top.size - off) - rng.randrange(512))
        pattern = rng.randrange(1, 256)
        command = {"zero": "write -z %d %d", "unmap": "write -z -u %d %d",
                   "discard": "discard %d %d"}.get(
                       kind, "write -P %#x %%d %%d" % pattern) % (off, length)
        self.trace.append("qemu-io %s %s" % (dev, command))
        self.s.io(command, dev)
        if kind == "discard":
            zeroed = bytearray(top.data)
            zeroed[off:off + length] = bytes(length)
            top.open_to(bytes(top.data), bytes(zeroed))
            self.settle()
            return
        zero = kind in ("zero", "unmap")
        top.write(off, bytes([0 if zero else pattern]) * length)
        if rng.random() < 0.3:
            self.s.io("read -P %#x %d %d" % (0 if zero else pattern, off,
                                             length), dev)

    def flush(self):
        for dev in self.world.chains:
            self.s.io("flush", dev)

    def settle(self):
        self.flush()
        self.world.settle(lambda layer: blk.guest(layer.path, layer.fmt,
                                                  share=True))

    # -- operations

    def name(self, layer):
        """One of the ways to say which layer is meant; cwd is `where`."""
        return self.rng.choice([layer.path,
                                os.path.relpath(layer.path, self.where)])

    def spell(self, word):
        """Hyphens and underscores are the same."""
        return self.rng.choice([word, word.replace("_", "-")])

    def refused(self, dev, line, low, high):
        """A write into a layer that another drive reads must be refused.

        Unless that drive reads it through `high`, which hides the change.
        """
        others = self.world.readers(low, high, dev)
        if not others or self.fake:
            return bool(others)
        self.trace.append(line + "   # refused: %s" % others)
        reply = "\n".join(self.s.cmd(line))
        assert "rror" in reply, "%s not refused: %r" % (line, reply)
        assert any(o in reply for o in others), \
            "refusal of %s names none of %s: %r" % (line, others, reply)
        return True

    def changes_inside(self, dev, line, layers):
        """A job that would change internal snapshots of these layers must be
        refused, and says so.  The line to go on with, or None; with force,
        for images that were let go of may still read from the layers."""
        force = line if self.fake or line.startswith("block_stream") or \
            line.startswith("block-stream") else \
            line.replace(" " + dev, " -f " + dev, 1)
        if self.fake or not any(layer.inside for layer in layers):
            return force
        self.trace.append(line + "   # refused: snapshots inside")
        reply = "\n".join(self.s.cmd(line))
        assert "internal snapshot 'inside'" in reply, \
            "%s not refused: %r" % (line, reply)
        if self.rng.random() < 0.4:
            return None
        return line.replace(" " + dev, " -f " + dev, 1)

    def snapshot(self, dev):
        self.made += 1
        path = self.maker.fresh_path("s%d.img" % self.made)
        # By which name the new header calls the old file is blkmon's choice.
        self.say("snapshot_blkdev %s %s%s" % (
            dev, path, self.rng.choice(["", " qcow2"])))
        self.world.snapshot(dev, path, "any")

    def stream(self, dev):
        chain = self.world.chains[dev]
        base = self.rng.choice([None] + list(range(len(chain) - 1)))
        line = "%s %s" % (self.spell("block_stream"), dev)
        if base is not None:
            line += " 0 " + self.name(chain[base])
        elif self.rng.random() < 0.3:
            line = line.replace(dev, "-a " + dev)
        if base != len(chain) - 2:
            line = self.changes_inside(dev, line, chain[-1:])
        if line and self.during(dev, line):
            self.world.stream(dev, base)

    def inner(self, dev):
        chain = self.world.chains[dev]
        top = self.rng.randrange(1, len(chain) - 1)
        base = self.rng.randrange(top)
        line = "%s %s %s %s" % (
            self.rng.choice(["block_commit", "block-commit",
                             "__com.redhat_block-commit"]),
            dev, self.name(chain[base]), self.name(chain[top]))
        if self.fake and any(chain[top].size < x.size for x in chain):
            return
        if self.refused(dev, line, chain[base], chain[top]):
            return
        line = self.changes_inside(dev, line, chain[base + 1:top + 1])
        if not line:
            return
        if self.during(dev, line):
            self.world.commit(dev, base, top)
        else:
            self.world.abandoned(dev, base, top)

    def commit_one(self, dev):
        line = "commit " + dev
        top = self.world.active(dev)
        if self.refused(dev, line, top.parent, top):
            return
        line = self.changes_inside(dev, line, [top])
        if line:
            self.say(line)
            self.world.commit_one(dev)

    def active(self, dev):
        chain = self.world.chains[dev]
        base = self.rng.randrange(len(chain) - 1)
        line = "%s %s %s" % (self.spell("block_commit"), dev,
                             self.name(chain[base]))
        if base == 0 and self.rng.random() < 0.4:
            line = "%s %s" % (self.spell("block_commit"), dev)
        elif self.rng.random() < 0.3:
            line += " " + chain[-1].path
        if self.refused(dev, line, chain[base], chain[-1]):
            return
        line = self.changes_inside(dev, line, chain[base + 1:])
        if not line:
            return
        if not self.during(dev, line, "ready"):
            self.world.abandoned(dev, base, len(chain) - 1, self.versions)
            return
        for _ in range(self.rng.randrange(3)):
            self.guest(dev, calm=False)
        if self.rng.random() < 0.65:
            self.say("%s %s" % (self.spell("block_job_complete"), dev))
            self.s.wait(dev)
            self.world.commit(dev, base, len(chain) - 1)
        else:
            self.say("%s %s" % (self.spell("block_job_cancel"), dev))
            self.s.wait(dev)
            self.world.mirrored(dev, base)

    def during(self, dev, line, until="done"):
        """Start a job, do things to it; did it come to its good end?"""
        way = self.rng.choice(["plain", "plain", "busy", "busy", "cancel"])
        self.versions = [bytes(self.world.active(dev).data)]
        self.say(line)
        if way != "plain":
            self.poke("%s %s 64k" % (self.spell("block_job_set_speed"), dev))
            for _ in range(self.rng.randrange(1, 3)):
                self.guest(dev, calm=False)
                self.versions.append(bytes(self.world.active(dev).data))
        if way == "cancel":
            return not self.cancelled(dev)
        if way == "busy":
            if self.rng.random() < 0.3 and self.poke("block_job_pause " + dev):
                self.guest(dev, calm=False)
                self.poke("block_job_resume " + dev)
            self.poke("block_job_set_speed %s 0" % dev)
        self.s.wait(dev, until)
        return True

    def poke(self, line):
        """For a job that may be at its end already, or over."""
        self.trace.append(line)
        reply = blk.errors(self.s.cmd(line))
        assert not reply or "not found" in reply[0] or \
            "cannot accept command verb" in reply[0], "%s: %s" % (line, reply)
        return not reply

    def cancelled(self, dev):
        """Cancel; True if that came before the work was done.

        A job too small for its limit may be over: the graph tells.  A READY
        active commit ends unpivoted, which is a case of `abandoned`, too.
        """
        before = len(self.world.chains[dev]) - 1
        self.poke("%s%s %s" % (self.spell("block_job_cancel"),
                               self.rng.choice(["", " -f"]), dev))
        self.s.cmd("wait %s done 60" % dev)
        return self.s.depth(dev)[2] == before

    # -- what must hold

    def judge_live(self):
        """With the program running: cat, and often QEMU's view of it."""
        self.settle()
        for dev, chain in self.world.chains.items():
            top = chain[-1]
            blk.assert_same(self.program.cat(top), top.data,
                            "blkmon cat %s of %s" % (top, dev))
            active, backing, depth = self.s.depth(dev)
            want = [layer.path for layer in chain[-2:][::-1]] + [None]
            assert depth == len(chain) - 1, "depth %d of %s" % (depth, chain)
            for got, path in zip((active, backing), want):
                assert (got and os.path.realpath(os.path.join(
                    self.where, got))) == path, (got, path)
        if self.rng.random() < 0.4:
            self.judge_chains()
            top = self.world.active()
            blk.assert_same(blk.guest(top.path, top.fmt, share=True), top.data,
                            "qemu-img -U of %s" % top)

    def judge_chains(self):
        for dev, chain in self.world.chains.items():
            infos = blk.img_chain(chain[-1].path)
            got = [(os.path.realpath(i["filename"]), i["format"],
                    i["virtual-size"]) for i in infos]
            want = [(x.path, x.fmt, x.size) for x in reversed(chain)]
            assert got == want, "chain of %s: %s, not %s" % (dev, got, want)
            for info, layer in zip(infos, reversed(chain)):
                self.judge_link(info, layer)
            ours = self.program.chain(chain[-1])
            for key in TOLD:
                got, want = [[i.get(key) for i in side]
                             for side in (ours, infos)]
                assert got == want, "info --json of %s: %s is %s, not %s" % (
                    dev, key, got, want)

    def judge_link(self, info, layer):
        name = info.get("backing-filename")
        if layer.parent is None:
            assert name is None, "%s still has backing %s" % (layer, name)
            return
        assert blk.resolved(layer.path, name) == layer.parent.path, \
            "%s: backing %s is not %s" % (layer, name, layer.parent)
        assert info.get("backing-filename-format") == layer.parent.fmt, info
        kind = "absolute" if os.path.isabs(name) else "relative"
        assert self.fake or layer.link in (kind, "any"), \
            "%s: backing name %s should be %s" % (layer, name, layer.link)

    def judge_images(self, when):
        """With nobody using them: every image, by QEMU and by blkmon."""
        world = self.world
        for layer in world.live() + world.cold + world.stale:
            blk.check(layer.path, layer.fmt)
        for layer in world.live() + world.cold:
            what = "%s %s" % (layer, when)
            blk.assert_same(blk.guest(layer.path, layer.fmt), layer.data, what)
            for name, data in layer.snaps.items():
                # QEMU shows it in the size that the image has by now.
                seen = blk.guest(layer.path, snapshot=name)[:len(data)]
                blk.assert_same(seen, data, "snapshot %s of %s" % (name, what))
            if not self.fake:
                blk.assert_same(self.program.cat(layer), layer.data,
                                "blkmon cat of " + what)
        self.judge_chains()


def one(seed, self_test=False):
    """Run one seed: (seed, None) or (seed, a report of what went wrong)."""
    # Every other run on a file system without a disk behind it: it has
    # other ideas of holes and is quick to flush.
    if "BLKMON_TMP" not in os.environ and seed % 2 and \
            os.access("/dev/shm", os.W_OK):
        os.environ["BLKMON_TMP"] = "/dev/shm"
        try:
            return one(seed, self_test)
        finally:
            del os.environ["BLKMON_TMP"]
    keep = os.environ.get("BLKMON_KEEP")
    run = None
    with blk.workdir("blkmon-%d-" % seed) as where:
        try:
            run = Run(seed, fake.Fake() if self_test else Blkmon(), where)
            run.go()
            return seed, None
        except fake.Unsupported:
            return seed, None
        except Exception as wrong:  # whatever it is, the seed must be said
            if keep:
                shutil.copytree(where, os.path.join(keep, "seed-%d" % seed),
                                dirs_exist_ok=True)
            text = str(wrong) if isinstance(wrong, AssertionError) \
                and str(wrong) else traceback.format_exc()
            trace = run.trace[-12:] if run else []
            return seed, "%s\n  steps: %s" % (
                text, "\n         ".join(trace).replace(where, "."))


def many(first, count, self_test=False, workers=None, tell=None):
    """Run seeds first .. first+count-1; the failures, as (seed, report).

    tell(seed, report) hears of each as soon as it is known.
    """
    failed = []
    pool = concurrent.futures.ProcessPoolExecutor(workers or os.cpu_count())
    with pool:
        for seed, report in pool.map(one, range(first, first + count),
                                     [self_test] * count):
            if report:
                failed.append((seed, report))
            if report and tell:
                tell(seed, report)
    return failed


def say(seed, report):
    print("seed %d: %s" % (seed, report.replace("\n", "\n  ")), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int,
                        default=int.from_bytes(os.urandom(3), "big"))
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--self-test", action="store_true",
                        help="QEMU's tools in the place of blkmon")
    parser.add_argument("--keep", metavar="DIR",
                        help="leave the images of failed runs there")
    args = parser.parse_args()
    if args.keep:
        os.environ["BLKMON_KEEP"] = os.environ["BLKMON_TMP"] = args.keep
    print("seeds %d..%d" % (args.seed, args.seed + args.count - 1), flush=True)
    start = time.monotonic()
    failed = many(args.seed, args.count, args.self_test, args.workers, say)
    print("%d of %d chains failed, %.1f s" % (
        len(failed), args.count, time.monotonic() - start))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
