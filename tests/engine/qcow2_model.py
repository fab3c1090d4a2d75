# SPDX-License-Identifier: GPL-3.0-or-later
"""qcow2 images as a set of numbers: where each lies, what it may be changed
to, and what a guest reads through them.

Written from the specification (docs/interop/qcow2.txt). Nothing that an image
says is believed: what cannot be read is None.
"""

import mmap
import os
import struct
import zlib

BITMAPS = 0x23852875
OFFSET = 0x00FFFFFFFFFFFE00
COPIED, COMPRESSED, ZERO = 1 << 63, 1 << 62, 1
LONG = 64 << 20
LONGEST = 16 << 40  # of ext4; a tmpfs has files that no address space holds
HEADER = {  # what a mutation may change, and how it is written
    "size": (24, ">Q"), "l1_size": (36, ">I"), "l1_offset": (40, ">Q"),
    "rt_offset": (48, ">Q"), "rt_clusters": (56, ">I"),
    "nb_snapshots": (60, ">I"), "snapshots_offset": (64, ">Q"),
    "incompatible": (72, ">Q"), "compatible": (80, ">Q"),
    "autoclear": (88, ">Q"),
}


class Image:
    def __init__(self, path):
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size <= LONG:
                self.bytes = stream.read()
            else:   # and empty: nobody changes it while it is looked at
                self.bytes = mmap.mmap(stream.fileno(), min(size, LONGEST),
                                       access=mmap.ACCESS_READ)
        self.version = self.num(4, ">I")
        self.bits = self.num(20, ">I")
        self.cluster = 1 << self.bits
        for name, (at, fmt) in HEADER.items():
            setattr(self, name, self.num(at, fmt) if at < 72
                    or self.version > 2 else 0)
        self.order = self.num(96, ">I") if self.version > 2 else 4
        self.external = bool(self.incompatible & 4)
        self.extended = bool(self.incompatible & 16)
        self.entry = 16 if self.extended else 8
        self.zstd = self.version > 2 and self.num(100, ">I") > 104 and \
            self.bytes[104] == 1

    def read(self, at, length):
        """Behind the end there are zeroes."""
        got = self.bytes[at:at + length] if at < len(self.bytes) else b""
        return got + bytes(length - len(got))

    def num(self, at, fmt=">Q"):
        return struct.unpack(fmt, self.read(at, struct.calcsize(fmt)))[0]

    # ---------------------------------------------------------- snapshots

    def snapshots(self):
        """(place of the entry, L1 offset, L1 entries) of each."""
        at, found = self.snapshots_offset, []
        if not at:
            return found
        for _ in range(min(self.nb_snapshots, 100)):
            at = (at + 7) & ~7
            l1, n, ids, names = struct.unpack(">QIHH", self.read(at, 16))
            extra = self.num(at + 36, ">I")
            found.append((at, l1, n))
            at += 40 + extra + ids + names
        return found

    def tables(self):
        """(L1 offset, entries) of the disk and of its snapshots."""
        return [(self.l1_offset, self.l1_size)] + [
            (l1, n) for _, l1, n in self.snapshots()]

    # ------------------------------------------------------------ content

    def inflate(self, e):
        x = 62 - (self.bits - 8)
        at = e & ((1 << x) - 1)
        length = ((e & (COMPRESSED - 1)) >> x) * 512 + 512 - (at & 511)
        if at >= len(self.bytes) or self.zstd:
            return None     # (zstd: its bytes are compared, see digest)
        try:
            out = zlib.decompressobj(-12).decompress(
                self.read(at, length), self.cluster)
        except zlib.error:
            return None
        return out if len(out) == self.cluster else None

    def cluster_of(self, at):
        """What an L2 entry at that offset stands for: bytes, "hole", or None
        where it cannot be read."""
        e = self.num(at)
        if e & COMPRESSED:
            return self.inflate(e)
        bitmap = self.num(at + 8) if self.extended else 0
        if e & ZERO and not self.extended and not e & OFFSET:
            return "zero"
        if (e & OFFSET) & (self.cluster - 1):
            return None
        if e & ZERO and not self.extended:
            return "zero"
        if not e & OFFSET and not (self.external and e & COPIED):
            return ("hole", bitmap)
        if self.external:
            return ("place", e & OFFSET, bitmap)
        return (self.read(e & OFFSET, self.cluster), bitmap)

    def disk(self, l1, n):
        """All clusters of a disk that say anything."""
        seen = {}
        per = self.cluster // self.entry
        for i in range(min(n, 4096)):
            table = self.num(l1 + 8 * i) & OFFSET
            if not table or table >= len(self.bytes):
                continue
            for k in range(per):
                seen[i * per + k] = None if table & (self.cluster - 1) else \
                    self.cluster_of(table + k * self.entry)
        return seen

    def disks(self):
        return [self.disk(l1, n) for l1, n in self.tables()
                if not l1 & (self.cluster - 1) and n <= 1 << 22]

    # ---------------------------------------------------------- mutations

    def places(self):
        """What there is to change: kind -> [(offset, format)]."""
        spots = {"header": [(at, fmt) for at, fmt in HEADER.values()
                            if at < 72 or self.version > 2]}
        spots["l1"], spots["l2"] = [], []
        for l1, n in self.tables():
            for i in range(n):
                spots["l1"].append((l1 + 8 * i, ">Q"))
                table = self.num(l1 + 8 * i) & OFFSET
                if table:
                    spots["l2"] += [(table + k, ">Q") for k in
                                    range(0, self.cluster, 8)
                                    if self.num(table + k)]
        spots["rt"] = [(self.rt_offset + 8 * i, ">Q") for i in
                       range((self.rt_clusters << self.bits) // 8)
                       if i < 4 or self.num(self.rt_offset + 8 * i)]
        used = min(len(self.bytes), self.cluster << 12) >> self.bits
        width = max(1, (1 << self.order) // 8)
        spots["refcount"] = [
            (at, {1: ">B", 2: ">H", 4: ">I", 8: ">Q"}[width])
            for block in range(1) for at in range(
                self.num(self.rt_offset) & ~511,
                (self.num(self.rt_offset) & ~511) + min(
                    self.cluster, (used << self.order) // 8 + 4), width)]
        spots["snapshot"] = [(at + k, fmt) for at, _, _ in self.snapshots()
                             for k, fmt in ((0, ">Q"), (8, ">I"), (12, ">H"),
                                            (14, ">H"), (36, ">I"))]
        spots["snapshot"] += [(at + k, ">Q") for at, _, _ in self.snapshots()
                              for k in (16, 24, 40, 48, 56)]
        spots["name"] = [(8, ">Q"), (16, ">I")]
        spots["extension"], spots["bitmap"] = [], []
        for at, kind, length in self.extensions():
            spots["extension"] += [(at, ">I"), (at + 4, ">I")]
            spots["extension"] += [(at + 8 + k, ">I")
                                   for k in range(0, min(length, 64), 4)]
            if kind == BITMAPS and length >= 24:
                spots["bitmap"] += self.bitmap_spots(at + 8)
        return {kind: found for kind, found in spots.items() if found}

    def extensions(self):
        """(place, type, length) of each, whatever they say."""
        at, found = self.num(100, ">I") if self.version > 2 else 72, []
        while len(found) < 20:
            kind, length = self.num(at, ">I"), self.num(at + 4, ">I")
            if not kind or length > self.cluster:
                break
            found.append((at, kind, length))
            at += 8 + ((length + 7) & ~7)
        return found

    def bitmap_spots(self, at):
        """The directory of the bitmaps, and their tables."""
        spots = [(at, ">I"), (at + 4, ">I"), (at + 8, ">Q"), (at + 16, ">Q")]
        entry = self.num(at + 16)
        for _ in range(min(self.num(at, ">I"), 5)):
            table, length = self.num(entry), self.num(entry + 8, ">I")
            name, extra = self.num(entry + 18, ">H"), self.num(entry + 20,
                                                               ">I")
            spots += [(entry + k, fmt) for k, fmt in (
                (0, ">Q"), (8, ">I"), (12, ">I"), (16, ">B"), (17, ">B"),
                (18, ">H"), (20, ">I"), (24, ">B"))]
            spots += [(table + 8 * k, ">Q") for k in range(min(length, 64))]
            entry += (24 + name + extra + 7) & ~7
        return spots

    def values(self, rng, old, fmt):
        """A number that is likely to hurt."""
        width = 8 * struct.calcsize(fmt)
        clusters = (len(self.bytes) >> self.bits) + 1
        some = rng.randrange(clusters) << self.bits
        value = rng.choice((
            0, 1, 2, old + 1, old - 1, old ^ 1 << rng.randrange(width),
            old ^ 1 << rng.randrange(width), old ^ COPIED, old ^ ZERO,
            old ^ COMPRESSED, old + 512, old + self.cluster,
            old - self.cluster, some, some | COPIED, some | COPIED,
            some + 512 | COPIED, some | 1, some + 512 | 1,
            old + 512 | 1, len(self.bytes), len(self.bytes) << 3 | COPIED,
            clusters << self.bits | COPIED, (1 << 50) | COPIED,
            rng.getrandbits(width), (1 << width) - 1))
        return value & ((1 << width) - 1)


def mutate(path, rng, times):
    """Changes some numbers of the image; returns in words what and how."""
    image = Image(path)
    spots, said = image.places(), []
    with open(path, "r+b") as stream:
        for _ in range(times):
            if rng.random() < 0.03:
                keep = rng.randrange(image.cluster, len(image.bytes))
                stream.truncate(keep)
                said.append("cut at %d" % keep)
                continue
            kind = rng.choice(sorted(spots))
            at, fmt = rng.choice(spots[kind])
            old = image.num(at, fmt)
            new = image.values(rng, old, fmt)
            stream.seek(at)
            stream.write(struct.pack(fmt, new))
            said.append("%s at %#x: %#x -> %#x" % (kind, at, old, new))
    return "; ".join(said)
