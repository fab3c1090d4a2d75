# SPDX-License-Identifier: GPL-3.0-or-later
"""A model of backing chains that shares no code with what it judges.

Each layer keeps the bytes a guest would read if it were the active one, and
each operation says how those bytes and the links change.  Where an operation
leaves something open (a discard may zero or not, a cancelled commit may have
copied any part), the model takes what the oracle reads back, but only if
every sector of it has one of the allowed values.
"""

import json
import os

import blk


def fitted(data, size):
    """data cut, or filled up with zeros, to size."""
    return bytes(data[:size]) + bytes(max(0, size - len(data)))


def same_kind(a, b):
    return a if a == b else "any"


class Layer:
    """One image file.

    data    what a guest reads, or None while that is open
    either  while it is open, the contents it may be a mixture of
    torn    while it is open: may two of them meet inside a sector
    parent  the layer below
    said    the file that its header names for that one, or None
    link    how the header names it: "relative", "absolute", "any" or None
    kept    its internal snapshots: names, whatever they show by now
    snaps   what these show, as long as that is defined
    extern  its data file, or None; flat: that shows the disk by itself
    bits    of a reference count, 0 where there is none; old: version 2
    cluster what a program may treat as one
    """

    def __init__(self, path, fmt, size, parent=None, link=None):
        self.path, self.fmt, self.parent, self.link = path, fmt, parent, link
        self.said = parent.path if parent else None
        self.data = bytearray(fitted(parent.data if parent else b"", size))
        self.either, self.torn, self.snaps, self.kept = [], False, {}, set()
        self.extern, self.flat = None, False
        self.bits, self.old = 16 if fmt == "qcow2" else 0, False
        self.cluster = 64 * blk.KIB

    def __repr__(self):
        return os.path.basename(self.path)

    @property
    def size(self):
        return len(self.data)

    def above(self, other):
        """Is `other` below this layer, at any distance?"""
        layer = self.parent
        while layer is not None and layer is not other:
            layer = layer.parent
        return layer is not None

    def line(self):
        """It and all below, deepest first."""
        return (self.parent.line() if self.parent else []) + [self]

    def said_to(self, stop):
        """Do the headers down to `stop` say what is below what?"""
        layer = self
        while layer is not stop:
            if layer.said != (layer.parent.path if layer.parent else None):
                return False
            layer = layer.parent
        return True

    def straight(self):
        return self.said_to(None)

    def blockdev(self):
        """What QEMU has to open, whatever the headers say."""
        def file(path):
            return {"driver": "file", "filename": path}

        node = {"driver": self.fmt, "file": file(self.path)}
        if self.extern:
            node["data-file"] = file(self.extern)
        if self.fmt == "qcow2":
            node["backing"] = self.parent and self.parent.blockdev()
        return node

    def qemu(self):
        """A name and a format for QEMU's tools."""
        if self.straight():
            return self.path, self.fmt
        return "json:" + json.dumps(self.blockdev(), ensure_ascii=False), None

    def lead_to(self, parent, link):
        """The header as well."""
        self.parent, self.link = parent, parent and (link or "any")
        self.said = parent.path if parent else None

    def write(self, off, data):
        assert off + len(data) <= self.size
        self.data[off:off + len(data)] = data

    def open_to(self, *contents, torn=False):
        self.either, self.torn, self.data = list(contents), torn, None

    def settle(self, seen):
        """Take `seen`, if it is a mixture of what is allowed."""
        sizes = [len(e) for e in self.either]
        assert min(sizes) <= len(seen) <= max(sizes), \
            "%s: %d bytes, not %s" % (self, len(seen), sizes)
        allowed = [fitted(e, len(seen)) for e in self.either]
        for at in range(0, len(seen), blk.SECTOR):
            end = at + blk.SECTOR
            assert any(seen[at:end] == a[at:end] for a in allowed) or \
                self.torn and all(byte in {a[i] for a in allowed}
                                  for i, byte in enumerate(seen[at:end], at)), \
                "%s at %#x: %s is none of %s" % (
                    self, at, seen[at:at + 16].hex(),
                    [a[at:at + 16].hex() for a in allowed])
        self.data, self.either, self.torn = bytearray(seen), [], False


class World:
    """All images of one run.

    chains  device -> layers, deepest first
    cold    layers out of every chain whose content is still defined
    stale   layers whose content is not; they still must check clean
    """

    def __init__(self):
        self.chains, self.cold, self.stale = {}, [], []

    def active(self, dev="disk0"):
        return self.chains[dev][-1]

    def live(self):
        seen = []
        for chain in self.chains.values():
            seen += [layer for layer in chain if layer not in seen]
        return seen

    def readers(self, low, high, but):
        """Devices other than `but` that read `low`, and not through `high`."""
        return [dev for dev, chain in self.chains.items()
                if dev != but and low in chain and high not in chain]

    def inside_by_header(self, layer, stop):
        """Internal snapshots that are read through `layer` as headers say,
        where these do not say what is open down to `stop`."""
        if layer.said_to(stop):
            return set()
        return {name for x in self.live()
                if x is layer or x.above(layer) and x.said_to(layer)
                for name in x.kept}

    def changes(self, layer):
        """What lies out of the chains above `layer` loses its meaning."""
        for other in list(self.cold):
            if other is layer or other.above(layer):
                self.cold.remove(other)
                self.stale.append(other)

    def let_go(self, layers, to):
        live = self.live()
        to += [layer for layer in layers if layer not in live]

    def snapshot(self, dev, path, link):
        top = self.active(dev)
        self.chains[dev].append(Layer(path, "qcow2", top.size, top, link))

    def reopen(self, dev, base):
        """Another image below the active one: that of this index, or none.
        What it shows depends on where it has data of its own."""
        chain = self.chains[dev]
        first = 0 if base is None else base + 1
        top, gone = chain[-1], chain[first:-1]
        if gone:
            top.parent = None if base is None else chain[base]
            top.snaps.clear()
            top.open_to(bytes(top.data), fitted(
                top.parent.data if top.parent else b"", top.size))
        self.chains[dev] = chain[:first] + [top]
        self.let_go(gone, self.cold)

    def stream(self, dev, base, link=None):
        """base: index into the chain, or None for the whole of it; link: how
        the new header names it, where that was asked for."""
        chain = self.chains[dev]
        first = 0 if base is None else base + 1
        top, gone = chain[-1], chain[first:-1]
        if base is None:
            top.lead_to(None, None)
        elif gone:
            top.lead_to(chain[base], link or same_kind(top.link,
                                                       gone[0].link))
        if gone:
            top.snaps.clear()
        self.chains[dev] = chain[:first] + [top]
        self.let_go(gone, self.cold)

    def take(self, low, high):
        """low gets what high shows; behind high's end it may be zeroed."""
        self.changes(low)
        new = bytearray(fitted(low.data, max(low.size, high.size)))
        new[:high.size] = high.data
        if high.size < low.size:
            low.open_to(bytes(new), fitted(high.data, len(new)))
        else:
            low.data = new

    def commit(self, dev, base, top, link=None):
        """Everything above chain[base] up to chain[top] into base.

        Whatever stands on top stands on base then, in other chains as well.
        link: how the header that stands on top in this one names it.
        """
        chain = self.chains[dev]
        low, high, gone = chain[base], chain[top], chain[base + 1:top + 1]
        self.take(low, high)
        for over in self.live():
            if over.parent is high:
                over.lead_to(low, link if link and over in chain else
                             same_kind(over.link, gone[0].link))
        if high is chain[-1]:
            self.chains[dev] = low.line()
        for name in self.chains:
            self.chains[name] = self.active(name).line()
        self.let_go(gone, self.stale)

    def mirrored(self, dev, base):
        """An active commit that was cancelled when READY."""
        chain = self.chains[dev]
        self.between(chain, base, len(chain) - 1)
        self.take(chain[base], chain[-1])

    def commit_one(self, dev):
        """HMP commit: one level, the overlay stays, emptied."""
        top = self.active(dev)
        low = top.parent
        self.changes(low)
        top.snaps.clear()
        low.data = bytearray(fitted(low.data, max(low.size, top.size)))
        low.data[:top.size] = top.data

    def between(self, chain, base, top, versions=()):
        """Layers above base see some of what the commit has written.

        What the guest wrote goes to both images, to the byte, and the rest of
        its sector may not have been copied yet: base may be torn there, and
        so is whoever sees it through a hole.
        """
        low, high = chain[base], chain[top]
        chain[top].snaps.clear()
        for layer in chain[base + 1:top]:
            layer.snaps.clear()
            layer.open_to(bytes(layer.data), fitted(low.data, layer.size),
                          bytes(layer.size),
                          *[fitted(v, layer.size)
                            for v in (high.data, *versions)],
                          torn=bool(versions))

    def abandoned(self, dev, base, top, versions=()):
        """A commit of (base, top] that ended early, at any point.

        versions: what else top held while the job ran
        """
        chain = self.chains[dev]
        low, high = chain[base], chain[top]
        self.changes(low)
        self.between(chain, base, top, versions)
        size = max(low.size, high.size)
        low.open_to(bytes(low.data), bytes(low.size),
                    *[fitted(v, size) for v in (high.data, *versions)],
                    torn=bool(versions))

    def settle(self, read):
        """Resolve what is open; read(layer) asks the oracle."""
        for layer in self.live():
            if layer.either:
                layer.settle(read(layer))
