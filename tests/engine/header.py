# SPDX-License-Identifier: GPL-3.0-or-later
"""The qcow2 header as bytes, for tests that make or look at odd ones.

Written from the specification (docs/interop/qcow2.txt): all numbers are
big-endian; extensions are (type, length, data padded to 8) up to type 0.
"""

import struct

INCOMPATIBLE, COMPATIBLE, AUTOCLEAR = 72, 80, 88
CRYPT, HEADER_LENGTH = 32, 100
DIRTY, CORRUPT, DATA_FILE = 1 << 0, 1 << 1, 1 << 2
BACKING_FORMAT, FEATURE_NAMES, BITMAPS = 0xE2792ACA, 0x6803F857, 0x23852875


def get(path, at, fmt=">Q"):
    with open(path, "rb") as image:
        image.seek(at)
        return struct.unpack(fmt, image.read(struct.calcsize(fmt)))[0]


def put(path, at, value, fmt=">Q"):
    with open(path, "r+b") as image:
        image.seek(at)
        image.write(struct.pack(fmt, value))


def set_bits(path, at, bits):
    put(path, at, get(path, at) | bits)


class Header:
    """Cluster 0, taken apart and put together again."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as image:
            first = image.read(104)
            self.cluster = 1 << struct.unpack_from(">I", first, 20)[0]
            image.seek(0)
            block = image.read(self.cluster)
        version, name_at, name_len = struct.unpack_from(">IQI", block, 4)
        size = struct.unpack_from(">I", block, 100)[0] if version > 2 else 72
        self.fixed = bytearray(block[:size])
        self.name = block[name_at:name_at + name_len] if name_at else b""
        self.extensions, at = [], size
        end = name_at or len(block)
        while at + 8 <= end:
            kind, length = struct.unpack_from(">II", block, at)
            if kind == 0:
                break
            self.extensions.append((kind, block[at + 8:at + 8 + length]))
            at += 8 + (length + 7) // 8 * 8

    def extension(self, kind):
        found = [data for k, data in self.extensions if k == kind]
        assert len(found) <= 1, "extension %#x twice" % kind
        return found[0] if found else None

    def write(self):
        if len(self.fixed) >= 104:
            struct.pack_into(">I", self.fixed, HEADER_LENGTH, len(self.fixed))
        tail = b"".join(struct.pack(">II", kind, len(data)) + data
                        + bytes(-len(data) % 8)
                        for kind, data in self.extensions) + bytes(8)
        name_at = len(self.fixed) + len(tail) if self.name else 0
        struct.pack_into(">QI", self.fixed, 8, name_at, len(self.name))
        block = bytes(self.fixed) + tail + self.name
        assert len(block) <= self.cluster
        with open(self.path, "r+b") as image:
            image.write(block + bytes(self.cluster - len(block)))
