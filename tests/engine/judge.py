# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold of the images of a random run, by the program's word, by
QEMU's and by the model's."""

import os

import blk
import maker
import names

# What `blkmon info --json` and qemu-img must agree on.
TOLD = ("filename", "format", "virtual-size", "cluster-size",
        "backing-filename", "full-backing-filename",
        "backing-filename-format")


class Judge:
    """Of a run that has its world, maker, program, session (s), and settle()
    and guest_of()."""

    def judge_live(self):
        """With the program running: what it reads, and often QEMU's view."""
        self.settle()
        for dev, chain in self.world.chains.items():
            top = chain[-1]
            if top.straight() or self.fake:
                seen = self.program.cat(top)
            else:
                seen = self.s.read(dev)
            blk.assert_same(seen, top.data, "what blkmon reads from %s of %s"
                            % (top, dev))
            active, backing, depth = self.s.depth(dev)
            want = [layer.path for layer in chain[-2:][::-1]] + [None]
            assert depth == len(chain) - 1, "depth %d of %s" % (depth, chain)
            for got, path in zip((active, backing), want):
                assert (got and os.path.realpath(os.path.join(
                    self.where, got))) == path, (got, path)
        if self.rng.random() < 0.4:
            self.judge_chains()
            top = self.world.active()
            blk.assert_same(self.guest_of(top), top.data,
                            "qemu-img -U of %s" % top)

    def judge_chains(self):
        for dev, chain in self.world.chains.items():
            if not chain[-1].straight():
                for layer in chain:
                    self.judge_link(blk.img_info(layer.path, fmt=layer.fmt),
                                    layer)
                continue
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
        found = {s["name"] for s in info.get("snapshots", [])}
        assert found == layer.kept, "%s has the snapshots %s, not %s" % (
            layer, found, layer.kept)
        assert info["virtual-size"] == layer.size, (layer, info)
        name = info.get("backing-filename")
        if layer.said is None:
            assert name is None, "%s has backing %s" % (layer, name)
            return
        assert name and blk.resolved(layer.path, name) == layer.said, \
            "%s: backing %s is not %s" % (layer, name, layer.said)
        if layer.parent and layer.said == layer.parent.path:
            assert info.get("backing-filename-format") == layer.parent.fmt, \
                info
        assert names.for_qemu(name) == name, \
            "%s: QEMU takes %s for a protocol" % (layer, name)
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
            blk.assert_same(self.guest_of(layer, False), layer.data, what)
            for name, data in layer.snaps.items():
                # QEMU shows it in the size that the image has by now.
                seen = self.guest_of(layer, False, name)[:len(data)]
                blk.assert_same(seen, data, "snapshot %s of %s" % (name, what))
            assert not layer.flat or maker.is_flat(layer), \
                "the raw data file of %s is not what it shows" % what
            if not self.fake and layer.straight():
                blk.assert_same(self.program.cat(layer), layer.data,
                                "blkmon cat of " + what)
        self.judge_chains()
        decoy = self.maker.decoy
        assert not decoy or blk.guest(decoy.path) == decoy.data, \
            "an image that is in no chain was changed"
