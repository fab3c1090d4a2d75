# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the images of a random run with QEMU's tools, and the model of them."""

import os

import blk
import model
import names

KIB, MIB = blk.KIB, blk.MIB


class Axes:
    """What a run has of the things that most runs do not need, and how often
    each of them was met."""

    def __init__(self, rng):
        self.names = rng.random() < 0.4
        self.long_names = self.names and rng.random() < 0.35
        self.colons = self.names and rng.random() < 0.6
        self.extern = rng.random() < 0.3
        self.graph = rng.random() < 0.35
        self.inside = rng.random() < 0.35
        self.parts = rng.random() < 0.5
        self.cut = rng.random() < 0.25
        self.met = {}

    def meet(self, *what):
        for key in what:
            self.met[key] = self.met.get(key, 0) + 1


# A header in a cluster of 512 bytes has so many for the path of the backing
# file and that of the data file, each.
SHORT = 180
# The longest of both folder and file, with the slashes.
LONGEST_ODD = 95
# A link and its format come into a header by one write of its first sector,
# which has the name of the data file as well.
LONGEST_DATA = 360


def random_options(rng, size, overlay, roomy=False, old=0.2):
    """qemu-img create options for a qcow2 layer. roomy: its header takes long
    names; old: how often it is of version 2."""
    # 512-byte clusters make QEMU itself slow: for small disks only.
    bits = rng.choice([12, 14, 16, 16, 16, 18, 20, 21]
                      if roomy or size > 3 * MIB else
                      [9, 10, 12, 12, 13, 14, 16, 16, 16, 16, 18, 20, 21])
    opts = {"cluster_size": 1 << bits}
    if rng.random() < old:
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

    def __init__(self, rng, where, axes):
        self.rng, self.where, self.axes, self.tag = rng, where, axes, 0
        self.roomy = axes.long_names or \
            len(os.fsencode(where)) + LONGEST_ODD > SHORT
        self.folders = [".", ".", ".", self.name("sub"), self.name("other")]
        self.decoy = None

    def name(self, plain):
        if not self.axes.names or \
                self.rng.random() < (0.1 if self.axes.colons else 0.3):
            return plain
        self.axes.meet("odd name")
        if self.axes.long_names and self.rng.random() < 0.3:
            return names.long(self.rng, plain)
        return names.odd(self.rng, plain,
                         names.COLONS if self.axes.colons else None)

    def fresh_path(self, name):
        folder = self.rng.choice(self.folders)
        folder = os.path.normpath(os.path.join(self.where, folder))
        os.makedirs(folder, exist_ok=True)
        return os.path.join(folder, self.name(name))

    def link(self, path, backing):
        """A name for backing in the header of path: text and kind."""
        if self.rng.random() < 0.5:
            name = os.path.relpath(backing, os.path.dirname(path))
            if name != names.for_qemu(name):
                self.axes.meet("colon in a relative link")
            return names.for_qemu(name), "relative"
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
            blk.guest(*layer.qemu()) == bytes(layer.data) and \
            (not layer.flat or is_flat(layer))

    def attempt(self, name, size, parent):
        path, rng = self.fresh_path(name), self.rng
        if parent is None and rng.random() < 0.25:
            layer = model.Layer(path, "raw", size)
            blk.create(path, size, fmt="raw")
            opts = {"cluster_size": blk.SECTOR}
        else:
            layer, opts = self.overlay(path, size, parent)
        self.fill(layer, opts)
        return layer

    def overlay(self, path, size, parent):
        """An empty qcow2 image; parent may be None."""
        opts = random_options(self.rng, size, parent is not None, self.roomy,
                              0.35 if self.axes.graph and parent else 0.2)
        layer = model.Layer(path, "qcow2", size, parent)
        layer.old = "compat" in opts
        layer.bits = opts.get("refcount_bits", 16)
        layer.cluster = opts["cluster_size"]
        text, fmt = self.header(layer)
        if self.axes.extern and not layer.old and \
                self.rng.random() < (0.4 if parent else 0.8):
            self.give_data_file(layer, opts)
        if not layer.straight():
            opts.pop("preallocation", None)
        blk.create(path, size, text, fmt, cwd=os.path.dirname(path), **opts)
        return layer, opts

    def header(self, layer):
        """What the header says of the layer below: text and format."""
        parent = layer.parent
        if not parent:
            return None, None
        if self.axes.graph and self.rng.random() < 0.5:
            other = None if self.rng.random() < 0.7 else self.rng.choice(
                [*parent.line()[:-1], self.another_file()])
            self.axes.meet("graph: %s" % ("another header" if other
                                          else "no header"))
            layer.said = other and other.path
            text, layer.link = self.link(layer.path, other.path) \
                if other else (None, None)
            return text, other and other.fmt
        text, layer.link = self.link(layer.path, parent.path)
        return text, parent.fmt

    def another_file(self):
        """In no chain; nobody may read it, and nobody may change it."""
        if not self.decoy:
            self.decoy = model.Layer(self.fresh_path("decoy.img"), "qcow2",
                                     2 * MIB)
            blk.create(self.decoy.path, 2 * MIB)
            blk.qemu_io(self.decoy.path, "write -P 0xdd 0 2M")
            self.decoy.write(0, b"\xdd" * 2 * MIB)
        return self.decoy

    def give_data_file(self, layer, opts):
        self.tag += 1
        layer.extern = self.fresh_path("data-%d" % self.tag)
        if len(os.fsencode(layer.extern)) > LONGEST_DATA:
            layer.extern = os.path.join(self.where, "data-%d" % self.tag)
        layer.flat = layer.parent is None and self.rng.random() < 0.85
        self.axes.meet("data file" + (", raw" if layer.flat else ""))
        if layer.parent:
            self.axes.meet("data file above others")
        opts["data_file"] = layer.extern
        opts["data_file_raw"] = "on" if layer.flat else "off"
        opts.pop("preallocation", None)

    def fill(self, layer, opts):
        # An image without a table has to hide what is below it, too.
        if layer.parent and layer.said is None and self.rng.random() < 0.5:
            return
        # qemu-io compresses into unallocated clusters only.
        used = set()
        commands = [self.content(layer, opts, used)
                    for _ in range(self.rng.randrange(1, 7))]
        name, fmt = layer.qemu()
        if (layer.bits >= 16 and not layer.extern and self.rng.random() <
                (0.4 if self.axes.inside else 0.1)):
            blk.qemu_io(name, *commands, fmt=fmt)
            blk.qemu_img("snapshot", "-c", "inside", layer.path)
            self.axes.meet("snapshot as made")
            layer.snaps["inside"] = bytes(layer.data)
            layer.kept.add("inside")
            used = set(range(layer.size // opts["cluster_size"] + 1))
            commands = [self.content(layer, opts, used)]
        blk.qemu_io(name, *commands, fmt=fmt)

    def content(self, layer, opts, used):
        """One qemu-io command, done to the model as well."""
        rng, cluster = self.rng, opts["cluster_size"]
        kind = rng.choice(["write", "write", "write", "zero", "unmap",
                           "compressed", "discard"])
        if kind == "compressed" and (layer.fmt == "raw" or layer.extern
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
            if not (layer.old and layer.parent):
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
        # Guests write into a raw data file while nothing is above it.
        alone = self.axes.extern and rng.random() < 0.5
        for i in range(1 if alone else rng.randrange(2, 7)):
            mine = size
            if rng.random() < 0.3:
                mine = rng.randrange(size // 2, size * 3 // 2) // 512 * 512
            layer = self.layer("l%d.img" % i, mine, layer)
            chain.append(layer)
        world.chains["disk0"] = chain
        if len(chain) > 1 and rng.random() < 0.25:
            fork = rng.choice(chain[:-1])
            below = chain[:chain.index(fork) + 1]
            world.chains["disk1"] = below + [self.layer("sib.img", size, fork)]
        return world


def is_flat(layer):
    """A raw data file shows what a guest reads, without the image."""
    data = blk.content(layer.extern)
    return model.fitted(data, layer.size) == bytes(layer.data)
