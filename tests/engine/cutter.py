# SPDX-License-Identifier: GPL-3.0-or-later
"""The last that happens in some random runs: somebody cuts a file that is open.

What was behind the new end is an error from then on, for guests and jobs: never
zeroes, and never a success.  A job that succeeds all the same has not needed
it.  Afterwards each image that does not read from what was cut is sound, and
the file that was cut has in it what it had, as far as it goes.
"""

import os

import blk
import nbdsock
from talk import Order

PIECE = 32 * blk.KIB
IO_ERROR = "Input/output error"


class Cut:
    """Of a run (differential.Run) with its session."""

    def __init__(self, run):
        self.run, self.rng, self.world = run, run.rng, run.world
        self.dev = self.rng.choice(sorted(self.world.chains))
        self.layer = self.rng.choice(self.world.chains[self.dev])
        self.path = self.layer.extern or self.layer.path
        self.torn = set()       # layers that a failed job has left half-way
        self.stray = []         # where a failed write may have changed bytes

    def go(self):
        run = self.run
        run.settle()
        size = os.path.getsize(self.path)
        self.end = self.rng.choice([
            0, self.rng.randrange(size + 1), self.rng.randrange(size + 1),
            self.rng.randrange(size // 512 + 1) * 512]) if size else 0
        run.trace.append("truncate -s %d %s" % (self.end, self.path))
        os.truncate(self.path, self.end)
        self.read_all()
        for _ in range(self.rng.randrange(3)):
            self.write()
        if len(self.world.chains[self.dev]) > 1:
            self.job()
        self.read_all()

    # -- guests

    def read_all(self):
        for dev in sorted(self.world.chains):
            lost = self.read(dev)
            self.run.axes.meet("cut: %s" % ("read all" if not lost else
                                            "error of a read"))

    def read(self, dev):
        """Each piece is what it was, or an error; how many were."""
        s, top, lost = self.run.s, self.world.active(dev), 0
        if top.either:      # behind the end of what was committed
            return lost
        with s.export(dev) as nbd:
            for off in range(0, top.size, PIECE):
                length = min(PIECE, top.size - off)
                nbd.send(nbdsock.READ, off, length)
                error, got = nbd.reply()[1:]
                lost += bool(error)
                if not error:
                    self.compare(got, top, off)
        return lost

    def compare(self, got, top, off):
        want = bytearray(top.data[off:off + len(got)])
        for at, length in self.stray:
            first, last = max(at, off) - off, min(at + length,
                                                  off + len(got)) - off
            if first < last:
                want[first:last] = got[first:last]
        blk.assert_same(got, want, "%s at %#x after %s was cut" % (
            top, off, self.path))

    def write(self):
        """Of the disk whose image was cut: is there, or was an error."""
        top, rng = self.world.active(self.dev), self.rng
        off = rng.randrange(top.size // 512) * 512
        length = min(rng.choice([512, 4096, 65536, 200 * 512]),
                     top.size - off)
        pattern, zero = rng.randrange(1, 256), rng.random() < 0.3
        command = "write %s %d %d" % ("-z" if zero else "-P %d" % pattern, off,
                                      length)
        name = self.run.s.at[self.dev]
        reply = "\n".join(self.run.s.cmd('qemu-io %s "%s"' % (name, command)))
        self.run.trace += ["qemu-io %s %s" % (name, command), " -> " + reply]
        if "wrote %d/%d" % (length, length) in reply:
            top.write(off, bytes([0 if zero else pattern]) * length)
            return
        assert IO_ERROR in reply, reply
        self.run.axes.meet("cut: error of a write")
        self.stray.append((off, length))

    # -- jobs

    def order(self):
        chain, rng = self.world.chains[self.dev], self.rng
        verbs = ["stream", "active"] + ["inner"] * 2 * (len(chain) > 2) + \
            ["commit_one"] * self.run.has_drive(self.dev)
        verb = rng.choice(verbs)
        if verb == "inner":
            top = rng.randrange(1, len(chain) - 1)
        else:
            top = len(chain) - 1
        base = rng.randrange(top)
        if verb == "commit_one":
            base = top - 1
        if verb == "stream" and rng.random() < 0.5:
            base = None
        return verb, base, top

    def job(self):
        verb, base, top = self.order()
        chain = list(self.world.chains[self.dev])
        low = None if base is None else chain[base]
        order = Order(verb, self.dev, base=low, top=chain[top])
        if verb != "stream" and self.run.reasons(self.dev, low, chain[top]):
            return
        said = self.say(order)
        if not blk.errors(said) and verb != "commit_one":
            said = self.wait(verb)
        done = not blk.errors(said)
        self.run.axes.meet("cut: job %s" % ("done" if done else "failed"))
        assert done or IO_ERROR in " ".join(said), said
        self.ended(verb, base, top, done, chain)

    def say(self, order):
        """What may fail: the reply, which may be of lines that tell of an
        image that was let go of as well."""
        line = self.run.s.line(order, True)
        said = self.run.s.cmd(line)
        self.run.trace += [str(line), "  -> %s" % said]
        return said

    def wait(self, verb):
        s, dev = self.run.s, self.dev
        said = s.cmd("wait %s %s 60" % (
            dev, "ready" if verb == "active" else "done"))
        if verb == "active" and not blk.errors(said):
            said = self.say(Order("complete", dev))
            said += s.cmd("wait %s done 60" % dev)
        self.run.trace.append("  -> %s" % said)
        return said

    def ended(self, verb, base, top, done, chain):
        if not done:
            if verb != "stream":
                self.torn.update(x for x in self.world.live() +
                                 self.world.cold if chain[base] in x.line())
            return
        if verb == "stream":
            self.world.stream(self.dev, base)
        elif verb == "commit_one":
            self.world.commit_one(self.dev)
        else:
            self.world.commit(self.dev, base, top)
        self.run.s.follow()
        depth = self.run.s.depth(self.dev)[2]
        assert depth == len(self.world.chains[self.dev]) - 1, depth

    # -- with nobody using them

    def judge(self):
        for layer in self.world.live() + self.world.cold:
            if self.layer in layer.line() or layer in self.torn or \
                    layer.either or self.stray:
                continue
            if self.layer.path not in self.said(layer):
                blk.check(layer.path, layer.fmt)
            blk.assert_same(self.run.guest_of(layer, False), layer.data,
                            "%s after %s was cut" % (layer, self.path))
            self.run.axes.meet("cut: image without it is sound")
        self.judge_file()

    def said(self, layer):
        """What its headers lead to, whatever was open."""
        links = {x.path: x.said for x in self.world.live() +
                 self.world.cold + self.world.stale}
        found, path = [], layer.path
        while path and path not in found:
            found.append(path)
            path = links.get(path)
        return found

    def judge_file(self):
        """Raw, it shows what is in it."""
        layer = self.layer
        if layer.fmt != "raw" or layer in self.torn or layer.either or \
                self.stray:
            return
        have = blk.content(layer.path)
        blk.assert_same(have, layer.data[:len(have)],
                        "what was cut has as far as it goes")
