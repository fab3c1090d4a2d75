# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's tools in the place of blkmon, for `differential.py --self-test`.

What the model and the harness get wrong shows here, with no blkmon in sight.
"""

import blk


class Unsupported(Exception):
    """QEMU does not grow a version 2 image that has a backing file."""


class FakeSession:
    """The same few orders, done by QEMU's tools one after the other.

    Jobs do their work when they are waited for, so that a cancel before the
    wait leaves everything as it was.  Of the model it takes what the chains
    are, for that is not in the headers.
    """

    def __init__(self, world, cwd):
        self.world, self.cwd = world, cwd
        self.job, self.is_ready, self.log = None, False, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def io(self, command, dev="disk0"):
        name, fmt = self.world.active(dev).qemu()
        return blk.qemu_io(name, command, fmt=fmt).out

    def line(self, order, force=False):
        del force
        return order

    def ok(self, order):
        return getattr(self, order.verb)(order) or []

    def cmd(self, order):
        """A line of text has nothing to wait for."""
        return [] if isinstance(order, str) else self.ok(order)

    def put_on(self, dev, layer):
        del dev, layer
        return []

    def follow(self):
        """Nothing is open."""

    def snapshot(self, o):
        low = self.world.active(o.dev)
        blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", low.path,
                     "-F", low.fmt, o.new, str(low.size))

    def stream(self, o):
        self.job = o

    inner = active = stream

    def commit_one(self, o):
        top = self.world.active(o.dev)
        self.merge(top, top.parent)

    def keep(self, o):
        top = self.world.active(o.dev)
        out = blk.qemu_img("snapshot", "-c", o.name, top.path, rc=None)
        return [] if not out.rc else ["Error: refcount_bits " + out.err]

    def drop(self, o):
        blk.qemu_img("snapshot", "-d", o.name, self.world.active(o.dev).path)

    def complete(self, o):
        self.merge(self.world.active(o.dev), self.job.base)
        self.job, self.is_ready = None, False

    def cancel(self, o):
        if self.is_ready:
            self.merge(self.world.active(o.dev), self.job.base)
        self.job, self.is_ready = None, False

    speed = pause = resume = lambda self, _: None

    def merge(self, top, base):
        self.straighten(top)
        out = blk.qemu_img("commit", "-q", "-d", "-f", top.fmt, "-b",
                           base.path, top.path, rc=None)
        if "Operation not supported" in out.err:
            raise Unsupported
        assert out.rc == 0, out

    def straighten(self, top):
        """The tool goes by the headers."""
        for layer in top.line():
            if layer.parent and layer.said != layer.parent.path:
                self.rebase(layer, layer.parent, "-u")
                layer.lead_to(layer.parent, "any")

    @staticmethod
    def rebase(layer, base, *how):
        below = ["-b", base.path, "-F", base.fmt] if base else ["-b", ""]
        blk.qemu_img("rebase", *how, "-f", "qcow2", *below, layer.path)

    def wait(self, dev, what="done"):
        o = self.job
        if o is None:
            return
        chain = self.world.chains[dev]
        if what == "ready":
            self.is_ready = True
            return
        if o.verb == "stream":
            self.straighten(chain[-1])
            self.rebase(chain[-1], o.base)
        else:
            self.merge(o.top, o.base)
            self.rebase(chain[chain.index(o.top) + 1], o.base, "-u")
        self.job = None

    def depth(self, dev):
        """Nobody can ask: as it must be."""
        chain = self.world.chains[dev]
        return (chain[-1].path, chain[-2].path if len(chain) > 1 else None,
                len(chain) - 1)

    def quit(self):
        return 0


class Fake:
    """QEMU's tools in the place of blkmon: judges the model itself."""

    def session(self, world, rng, cwd, axes):
        del rng, axes
        return FakeSession(world, cwd)

    def cat(self, layer):
        name, fmt = layer.qemu()
        return blk.guest(name, fmt, share=True)

    def chain(self, layer):
        return blk.img_chain(layer.path)
