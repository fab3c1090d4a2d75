# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's tools in the place of blkmon, for `differential.py --self-test`.

What the model and the harness get wrong shows here, with no blkmon in sight.
"""

import os

import blk


class Unsupported(Exception):
    """QEMU does not grow a version 2 image that has a backing file."""


class FakeSession:
    """The same few commands, done by QEMU's tools one after the other.

    Jobs do their work when they are waited for, so that a cancel before the
    wait leaves everything as it was.
    """

    def __init__(self, world, cwd):
        self.cwd = cwd
        self.chains = {dev: [(x.path, x.fmt) for x in chain]
                       for dev, chain in world.chains.items()}
        self.job, self.is_ready, self.log = None, False, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def io(self, command, dev="disk0"):
        path, fmt = self.chains[dev][-1]
        return blk.qemu_io(path, command, fmt=fmt).out

    def index(self, dev, name):
        real = [os.path.realpath(p) for p, _ in self.chains[dev]]
        return real.index(os.path.realpath(os.path.join(self.cwd, name)))

    def ok(self, line):
        words = line.split()
        verb = words[0].replace("-", "_")
        chain = self.chains.get(words[1])
        if verb == "snapshot_blkdev":
            path, fmt = chain[-1]
            blk.create(words[2], None, path, fmt)
            chain.append((words[2], "qcow2"))
        elif verb in ("block_stream", "block_commit",
                      "__com.redhat_block_commit"):
            self.job = verb, [w for w in words[1:] if w != "-a"]
        elif verb == "commit":
            self.merge(words[1], len(chain) - 2, len(chain) - 1)
        elif verb == "block_job_complete":
            self.merge(words[1], self.job[2], len(chain) - 1)
            del chain[self.job[2] + 1:]
            self.job, self.is_ready = None, False
        elif verb == "block_job_cancel":
            if self.is_ready:
                self.merge(words[1], self.job[2], len(chain) - 1)
            self.job, self.is_ready = None, False
        return []

    def merge(self, dev, base, top):
        chain = self.chains[dev]
        out = blk.qemu_img("commit", "-q", "-d", "-f", chain[top][1],
                           "-b", chain[base][0], chain[top][0], rc=None)
        if "Operation not supported" in out.err:
            raise Unsupported
        assert out.rc == 0, out

    def wait(self, dev, what="done"):
        if self.job is None:
            return
        verb, (_, *args) = self.job[:2]
        chain = self.chains[dev]
        if verb == "block_stream":
            base = self.index(dev, args[1]) if len(args) > 1 else None
            below = ["-b", chain[base][0], "-F", chain[base][1]] \
                if base is not None else ["-b", ""]
            blk.qemu_img("rebase", "-f", "qcow2", *below, chain[-1][0])
            del chain[0 if base is None else base + 1:-1]
            self.job = None
            return
        base = self.index(dev, args[0]) if args else 0
        top = self.index(dev, args[1]) if len(args) > 1 else len(chain) - 1
        if what == "ready":
            self.job, self.is_ready = (verb, [dev] + args, base), True
            return
        self.merge(dev, base, top)
        blk.qemu_img("rebase", "-u", "-f", "qcow2", "-b", chain[base][0],
                     "-F", chain[base][1], chain[top + 1][0])
        del chain[base + 1:top + 1]
        self.job = None

    def cmd(self, line):
        return self.ok(line)

    def depth(self, dev):
        chain = self.chains[dev]
        return (chain[-1][0], chain[-2][0] if len(chain) > 1 else None,
                len(chain) - 1)

    def quit(self):
        return 0


class Fake:
    """QEMU's tools in the place of blkmon: judges the model itself."""

    def session(self, world, rng, cwd):
        del rng
        return FakeSession(world, cwd)

    def cat(self, layer):
        return blk.guest(layer.path, layer.fmt, share=True)

    def chain(self, layer):
        return blk.img_chain(layer.path)
