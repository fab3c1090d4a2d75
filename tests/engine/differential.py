# SPDX-License-Identifier: GPL-3.0-or-later
"""Random chains through random operations, against a model and QEMU.

    python3 tests/engine/differential.py --seed 7 --count 300

One seed is one run: a chain of two to six layers is made with qemu-img and
qemu-io, then blkmon sessions take it through snapshots, streams, commits and
cancels with guest I/O in between.  After each step what blkmon reads is
compared with the model; after some of them, and for every image once blkmon
has gone, so is what qemu-img reads, and qemu-img must like every image.

Some runs have more: odd names, data files, links that no header knows, files
that have nodes of their own, internal snapshots, and in the end a file that
somebody cuts.  How often each was met is told at the end.

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
import cutter
import fake
import judge
import maker
import model
import names
from maker import span
from talk import Order, Talk

STEPS = 5

KEPT = ["s", "vor dem Update", "a,b", "\xfc=\"1\"", "%s\\"]


# ------------------------------------------------------- the program judged

def data_files(layer):
    return [arg for x in reversed(layer.line()) if x.extern
            for arg in ("--data-file", x.extern)]


class Blkmon:
    """The program under test."""

    def session(self, world, rng, cwd, axes):
        return Talk(world, rng, cwd, axes)

    def cat(self, layer):
        return blk.cat(layer.path, *data_files(layer))

    def chain(self, layer):
        return json.loads(blk.blkmon_ok("info", "--json", *data_files(layer),
                                        layer.path).out)


# ------------------------------------------------------------- the one run

class Run(judge.Judge):
    """One seed: images, sessions, steps and what must hold after each."""

    def __init__(self, seed, program, where):
        self.rng = random.Random(seed)
        self.program, self.where = program, where
        self.axes = maker.Axes(self.rng)
        self.trace, self.versions, self.made, self.s = [], [], 0, None
        self.fake = isinstance(program, fake.Fake)
        self.maker = maker.Maker(self.rng, where, self.axes)

    def go(self):
        self.world = self.maker.world()
        self.judge_images("as made")
        for _ in range(self.rng.randrange(1, 3)):
            with self.program.session(self.world, self.rng, self.where,
                                      self.axes) as self.s:
                self.trace.append("--- %s" % " ".join(
                    getattr(self.s, "argv", [])))
                for dev in sorted(self.world.chains):
                    self.zero_what_shows(dev)
                    # A link to a name that was given as QEMU does not take
                    # it from a header.
                    if self.axes.colons and self.has_drive(dev):
                        self.snapshot(dev)
                for _ in range(self.rng.randrange(2, STEPS)):
                    self.step()
                cut = self.axes.cut and not self.fake and cutter.Cut(self)
                if cut:
                    cut.go()
                rc = self.s.quit()
                assert rc in (0, 1), "exit status %s" % rc
            if cut:
                cut.judge()
                break
            self.judge_images("at the end of a session")

    def step(self):
        dev = self.rng.choice(sorted(self.world.chains))
        for _ in range(self.rng.randrange(3)):
            self.guest(dev)
        chain = self.world.chains[dev]
        steps = [self.snapshot]
        if len(chain) > 1:
            steps = [self.snapshot, self.stream, self.stream, self.active,
                     self.active]
            steps += [self.commit_one] * self.has_drive(dev)
        if len(chain) > 1 and not self.fake:
            steps += [self.rename] * (1 + self.axes.colons)
            steps += [self.reopen] * 2
        if len(chain) > 2:
            steps += [self.inner] * 3
        if self.axes.inside:
            steps += [self.keep] * 2
        if self.world.active(dev).kept:
            steps.append(self.drop)
        self.rng.choice(steps)(dev)
        self.s.follow()
        self.judge_live()

    def has_drive(self, dev):
        return self.fake or self.s.at[dev] == dev

    def say(self, order, force=False):
        line = self.s.line(order, force)
        self.trace.append(str(line))
        return self.s.ok(line)

    def try_to(self, order, force=False):
        """What may be refused: the reply in one line."""
        line = self.s.line(order, force)
        self.trace.append(str(line))
        reply = " ".join(self.s.cmd(line))
        self.trace.append("  -> " + reply)
        return reply

    # -- guest I/O

    def zero_what_shows(self, dev):
        """Where a program may think that there is nothing to be done."""
        top = self.world.active(dev)
        if top.flat or not top.straight():
            self.guest(dev, zero=True)

    def guest(self, dev, calm=True, zero=False):
        """One guest request; a discard only when no job is in the way."""
        top, rng = self.world.active(dev), self.rng
        kind = rng.choice(["write", "write", "write", "zero", "unmap", "odd",
                           "discard" if calm else "write"])
        off, length = span(rng, top.size)
        if zero or (top.flat or not top.straight()) and rng.random() < 0.6:
            kind = rng.choice(["zero", "unmap"])
            off, length = self.aimed(top, top.cluster if zero else 512)
        if kind == "odd":
            off = min(off + rng.randrange(512), top.size - 1)
            length = max(1, min(length, top.size - off) - rng.randrange(512))
        pattern = rng.randrange(1, 256)
        command = {"zero": "write -z %d %d", "unmap": "write -z -u %d %d",
                   "discard": "discard %d %d"}.get(
                       kind, "write -P %#x %%d %%d" % pattern) % (off, length)
        self.trace.append("qemu-io %s %s" % (dev, command))
        self.s.io(command, dev)
        if kind in ("zero", "unmap", "discard"):
            self.axes.meet(*["zeroes over a link of the graph"]
                           * (not top.straight()),
                           *["zeroes into a raw data file"] * top.flat)
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

    def aimed(self, top, unit):
        """A range of whole units where something is to be seen, if that is
        soon found; the last may be cut short."""
        for _ in range(20):
            off, length = span(self.rng, -(-top.size // unit) * unit, unit)
            length = min(length, top.size - off)
            if any(top.data[off:off + length]):
                break
        return off, length

    def flush(self):
        for dev in self.world.chains:
            self.s.io("flush", dev)

    def guest_of(self, layer, share=True, snapshot=None):
        name, fmt = layer.qemu()
        return blk.guest(name, fmt, share=share, snapshot=snapshot)

    def settle(self):
        self.flush()
        self.world.settle(self.guest_of)

    # -- operations

    def refused(self, order, low, high, layers):
        """Is there a reason not to do it?  Then it must not be done, and the
        reason be said.  True: not done; else whether to use force.

        With force, for images that were let go of may still read from the
        layers.
        """
        reasons = [] if self.fake else self.reasons(order.dev, low, high)
        inside = {name for x in layers for name in x.kept}
        inside |= self.by_header(order, low, high)
        force = order.verb != "stream" or not layers[-1].straight()
        if self.fake:
            return bool(low and self.world.readers(low, high, order.dev)), \
                force
        if reasons or inside:
            self.check_refusal(order, reasons, inside)
            if reasons or self.rng.random() < 0.6:
                return True, force
            force = True
        if not layers[-1].straight():
            self.axes.meet("job on a link of the graph")
        return False, force

    def by_header(self, order, low, high):
        """Internal snapshots whose header does not say what is open."""
        if order.verb == "stream":
            return self.world.inside_by_header(self.world.active(order.dev),
                                               order.base)
        over = [x for x in self.world.live() if x.parent is high]
        return set().union(*[self.world.inside_by_header(x, low)
                             for x in [high, *over * (order.verb == "inner")]])

    def reasons(self, dev, low, high):
        """Words, one of which has to be said in each refusal."""
        if not low:
            return []
        # Another drive reads it, and not through `high`, which hides it.
        found = self.world.readers(low, high, dev)
        found += [self.s.at[d] for d in found]
        if low.old and low.kept and high.size > low.size:
            found.append("version 2")
        return found

    def check_refusal(self, order, reasons, inside):
        reply = self.try_to(order, force=bool(reasons) and not inside)
        assert "rror" in reply, "not refused"
        self.axes.meet("refused: inside" if inside else "refused: other")
        words = reasons + ["internal snapshot"] * bool(inside)
        # An image that is open over something else is in the way as well.
        words += ["not open here"] * (not self.world.active(
            order.dev).straight())
        assert any(w in reply for w in words), \
            "the refusal says none of %s: %s" % (words, reply)

    def snapshot(self, dev):
        self.made += 1
        top = self.world.active(dev)
        name = "s%d.img" % self.made
        if self.rng.random() < (0.7 if self.axes.graph else 0.4) and \
                (self.axes.graph or self.axes.extern) and not self.fake:
            path = self.maker.fresh_path(name)
            layer = self.maker.overlay(path, top.size, top)[0]
            for line in self.s.put_on(dev, layer):
                self.trace.append(line)
                self.s.ok(line)
            self.world.chains[dev].append(layer)
            self.axes.meet("snapshot into an image")
            self.zero_what_shows(dev)
            return
        path = self.maker.fresh_path(name)
        self.say(Order("snapshot", dev, new=path))
        self.world.snapshot(dev, path, "any")

    def stream(self, dev):
        chain = self.world.chains[dev]
        base = self.rng.choice([None] + list(range(len(chain) - 1)))
        order = Order("stream", dev,
                      base=None if base is None else chain[base])
        works = base != len(chain) - 2
        kind = self.give_words(order, chain[-1]) if works else None
        no, force = self.refused(order, None, None, chain[-1:] * works) \
            if works else (False, False)
        if not no and self.during(order, force):
            self.world.stream(dev, base, kind)

    def inner(self, dev):
        chain = self.world.chains[dev]
        top = self.rng.randrange(1, len(chain) - 1)
        base = self.rng.randrange(top)
        order = Order("inner", dev, base=chain[base], top=chain[top])
        if self.fake and any(chain[top].size < x.size for x in chain):
            return
        kind = self.give_words(order, chain[top + 1])
        no, force = self.refused(order, chain[base], chain[top],
                                 chain[base + 1:top + 1])
        if no:
            return
        if self.during(order, force):
            self.world.commit(dev, base, top, kind)
        else:
            self.world.abandoned(dev, base, top)

    def give_words(self, order, over):
        """Now and then the words for the header of `over`; their kind."""
        if not order.base or self.fake or \
                self.rng.random() < (0.4 if self.axes.colons else 0.7):
            return None
        self.axes.meet("words for a link")
        order.words, kind = self.words(over, order.base)
        order.words = self.by_file(order.words)
        return kind

    def words(self, over, base):
        """As an operator has them, who does not think of colons."""
        if self.rng.random() < 0.3:
            return base.path, "absolute"
        return os.path.relpath(base.path, os.path.dirname(over.path)), \
            "relative"

    def by_file(self, text):
        """With a word in front by which QEMU would look for a relative name
        in its working directory, were it written."""
        if text.startswith("/") or text != names.for_qemu(text) or \
                self.rng.random() < 0.7:
            return text
        self.axes.meet("file: in front of words for a link")
        return "file:" + text

    # -- other links

    def reopen(self, dev):
        """Another image below the active one, or none, or the same again."""
        chain = self.world.chains[dev]
        top = chain[-1]
        if sum(top in x for x in self.world.chains.values()) > 1:
            return
        others = range(len(chain) - 2)
        base = self.rng.choice([None, *others, *others, len(chain) - 2])
        self.say(Order("reopen", dev, top=top,
                       base=None if base is None else chain[base]))
        self.axes.meet("reopen: %s" % (
            "no backing" if base is None else "the same"
            if base == len(chain) - 2 else "another backing"))
        self.world.reopen(dev, base)
        self.settle()
        self.zero_what_shows(dev)

    def rename(self, dev):
        """The header calls the image below by another name; with force it may
        call another image."""
        layer = self.rng.choice(self.world.chains[dev][1:])
        said, force = layer.parent, False
        if self.rng.random() < (0.4 if self.axes.graph else 0.15):
            said, force = self.maker.another_file(), True
        order = Order("rename", dev, top=layer)
        order.words, link = self.words(layer, said)
        if force:
            order.words = names.for_qemu(order.words)
        else:
            order.words = self.by_file(order.words)
            if self.world.inside_by_header(layer, said):
                self.check_refusal(order, [], ["one"])
            force = layer.said != said.path
        self.say(order, force)
        layer.said, layer.link = said.path, link
        self.axes.meet("change-backing-file: %s" % (
            "other words" if said is layer.parent else "another image"))

    def commit_one(self, dev):
        top = self.world.active(dev)
        order = Order("commit_one", dev)
        no, force = self.refused(order, top.parent, top, [top])
        if not no:
            self.say(order, force)
            self.world.commit_one(dev)

    def active(self, dev):
        chain = self.world.chains[dev]
        base = self.rng.randrange(len(chain) - 1)
        order = Order("active", dev, base=chain[base],
                      all=base == 0 and self.rng.random() < 0.4)
        if not order.all and self.rng.random() < 0.3:
            order.top = chain[-1]
        no, force = self.refused(order, chain[base], chain[-1],
                                 chain[base + 1:])
        if no:
            return
        if not self.during(order, force, "ready"):
            self.world.abandoned(dev, base, len(chain) - 1, self.versions)
            return
        for _ in range(self.rng.randrange(3)):
            self.guest(dev, calm=False)
        if self.rng.random() < 0.65:
            self.say(Order("complete", dev))
            self.s.wait(dev)
            self.world.commit(dev, base, len(chain) - 1)
        else:
            self.say(Order("cancel", dev))
            self.s.wait(dev)
            self.world.mirrored(dev, base)

    def during(self, order, force, until="done"):
        """Start a job, do things to it; did it come to its good end?"""
        dev = order.dev
        way = self.rng.choice(["plain", "plain", "busy", "busy", "cancel"])
        self.versions = [bytes(self.world.active(dev).data)]
        self.say(order, force)
        if way != "plain":
            self.poke(Order("speed", dev, name="64k"))
            if self.axes.inside and not self.fake:
                self.keep_beside_a_job(dev)
            for _ in range(self.rng.randrange(1, 3)):
                self.guest(dev, calm=False)
                self.versions.append(bytes(self.world.active(dev).data))
        if way == "cancel":
            return not self.cancelled(dev)
        if way == "busy":
            if self.rng.random() < 0.3 and self.poke(Order("pause", dev)):
                self.guest(dev, calm=False)
                self.poke(Order("resume", dev))
            self.poke(Order("speed", dev, name="0"))
        self.s.wait(dev, until)
        return True

    def poke(self, order, force=False):
        """For a job that may be at its end already, or over."""
        reply = self.try_to(order, force)
        assert "rror" not in reply or "not found" in reply or \
            "cannot accept command verb" in reply, reply
        return "rror" not in reply

    def cancelled(self, dev):
        """Cancel; True if that came before the work was done.

        A job too small for its limit may be over: the graph tells.  A READY
        active commit ends unpivoted, which is a case of `abandoned`, too.
        """
        before = len(self.world.chains[dev]) - 1
        self.poke(Order("cancel", dev), self.rng.random() < 0.5)
        self.s.cmd("wait %s done 60" % dev)
        return self.s.depth(dev)[2] == before

    # -- internal snapshots of the active layer

    def keep(self, dev):
        """Refused where there is no room, and then nothing has changed."""
        top = self.world.active(dev)
        name = "%s%d" % (self.rng.choice(KEPT), len(self.trace))
        self.flush()
        self.flush()    # what the first of them freed is given back now
        before = blk.content(top.path)
        reply = self.try_to(Order("keep", dev, name=name))
        if "rror" not in reply:
            assert top.bits and not top.extern, "%s keeps a snapshot" % top
            self.kept(top, name)
            return
        self.axes.meet("refused: to keep")
        assert top.bits < 16 and "refcount_bits" in reply or top.extern or \
            not top.bits, reply
        blk.assert_same(blk.content(top.path), before, "refused, and changed")

    def kept(self, top, name):
        self.axes.meet("snapshot kept")
        top.kept.add(name)
        top.snaps[name] = bytes(top.data)

    def keep_beside_a_job(self, dev):
        if self.rng.random() < 0.5:
            return
        reply = self.try_to(Order("keep", dev, name="beside"))
        if "rror" not in reply:
            self.axes.meet("kept beside a job")
            self.kept(self.world.active(dev), "beside")
        else:
            self.axes.meet("not kept beside a job")

    def drop(self, dev):
        top = self.world.active(dev)
        name = self.rng.choice(sorted(top.kept))
        self.say(Order("drop", dev, name=name))
        self.axes.meet("snapshot dropped")
        top.kept.remove(name)
        top.snaps.pop(name, None)


def one(seed, self_test=False):
    """Run one seed: (seed, None or a report of what went wrong, what it met).
    """
    # Every other run on a file system without a disk behind it, where that
    # has the room: it has other ideas of holes and is quick to flush.
    if "BLKMON_TMP" not in os.environ and seed % 2 and \
            os.access("/dev/shm", os.W_OK) and \
            shutil.disk_usage("/dev/shm").free > blk.GIB:
        os.environ["BLKMON_TMP"] = "/dev/shm"
        try:
            return one(seed, self_test)
        finally:
            del os.environ["BLKMON_TMP"]
    keep = os.environ.get("BLKMON_KEEP")
    with blk.workdir("blkmon-%d-" % seed) as where:
        run = Run(seed, fake.Fake() if self_test else Blkmon(), where)
        try:
            run.go()
            return seed, None, run.axes.met
        except fake.Unsupported:
            return seed, None, run.axes.met
        except Exception as wrong:  # whatever it is, the seed must be said
            if keep:
                shutil.copytree(where, os.path.join(keep, "seed-%d" % seed),
                                dirs_exist_ok=True)
            text = str(wrong) if isinstance(wrong, AssertionError) \
                and str(wrong) else traceback.format_exc()
            return seed, "%s\n  steps: %s" % (
                text, "\n         ".join(run.trace[-16:]).replace(where, ".")
            ), run.axes.met


def many(first, count, self_test=False, workers=None, tell=None, met=None):
    """Run seeds first .. first+count-1; the failures, as (seed, report).

    tell(seed, report) hears of each as soon as it is known; met gets the sum
    of what the runs met.
    """
    failed = []
    pool = concurrent.futures.ProcessPoolExecutor(workers or os.cpu_count())
    with pool:
        for seed, report, found in pool.map(one, range(first, first + count),
                                            [self_test] * count):
            for key, n in found.items() if met is not None else ():
                runs, times = met.get(key, (0, 0))
                met[key] = runs + 1, times + n
            if report:
                failed.append((seed, report))
            if report and tell:
                tell(seed, report)
    return failed


def say(seed, report):
    print("seed %d: %s" % (seed, report.replace("\n", "\n  ")), flush=True)


def say_met(met):
    for key, (runs, times) in sorted(met.items()):
        print("  %-34s %5d times in %4d chains" % (key, times, runs))


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
    start, met = time.monotonic(), {}
    failed = many(args.seed, args.count, args.self_test, args.workers, say,
                  met)
    say_met(met)
    print("%d of %d chains failed, %.1f s" % (
        len(failed), args.count, time.monotonic() - start))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
