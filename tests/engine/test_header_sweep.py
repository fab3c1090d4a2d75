# SPDX-License-Identifier: GPL-3.0-or-later
"""Each field of the header, of its extensions and of the bitmaps with odd
values: what qemu-io refuses to open blkmon refuses. What only blkmon refuses
it says in words that stand here: tables over each other, behind the end."""

import os
import shutil
import struct
import zlib

import pytest

import blk
import header
from blk import MIB

# name, offset, format
FIELDS = [
    ("version", 4, ">I"), ("backing-offset", 8, ">Q"),
    ("backing-length", 16, ">I"), ("cluster-bits", 20, ">I"),
    ("size", 24, ">Q"), ("crypt", 32, ">I"), ("l1-size", 36, ">I"),
    ("l1-offset", 40, ">Q"), ("refcount-offset", 48, ">Q"),
    ("refcount-clusters", 56, ">I"), ("snapshots", 60, ">I"),
    ("snapshot-offset", 64, ">Q"), ("incompatible", 72, ">Q"),
    ("autoclear", 88, ">Q"), ("refcount-order", 96, ">I"),
    ("header-length", 100, ">I"), ("compression", 104, ">B"),
]
STRICTER = (
    "outside the header cluster", "with a zero byte inside", "overlap",
    "which is not valid", "over its refcount table", "name extensions",
    "does not record its format", "format extensions",
    "snapshots and an external data file", "could not be rebuilt",
)
# what it says lies behind the end
SNAPSHOTS = ("which ends beyond the file", "with an L1 table of",
             "in a table that is too large", "bytes of extra data")
# a name with a NUL inside, which QEMU cuts short
NAMES = ("persistent bitmaps that are damaged",)
BITMAP_FIELDS = [("table", 0, ">Q"), ("table-size", 8, ">I"),
                 ("flags", 12, ">I"), ("type", 16, ">B"),
                 ("granularity", 17, ">B"), ("name-length", 18, ">H"),
                 ("extra", 20, ">I")]
EXTENSION_FIELDS = [("count", 8, ">I"), ("reserved", 12, ">I"),
                    ("directory-size", 16, ">Q"),
                    ("directory-offset", 24, ">Q")]


def image(d, kind):
    path = os.path.join(d, kind)
    base = os.path.join(d, "base")
    if kind == "backed":
        blk.create(base, 4 * MIB)
        blk.create(path, None, base)
    else:
        blk.create(path, 4 * MIB, **{"v2": {"compat": "0.10"}, "ext": {
            "extended_l2": "on"}}.get(kind, {}))
    blk.qemu_io(path, "write -q -P 1 64k 256k")
    if kind == "snapshots":
        blk.qemu_img("snapshot", "-c", "s1", path)
    if kind == "bitmaps":
        blk.qemu_img("bitmap", "--add", path, "b0")
        blk.qemu_img("bitmap", "--add", "-g", "4096", path, "second")
        blk.qemu_io(path, "write -q -P 1 1M 64k")
    return path


def values(fmt, old, size):
    """The neighbours, the limits, and what lies behind the end."""
    most = (1 << 8 * struct.calcsize(fmt)) - 1
    some = {0, 1, 3, 8, old + 1, old - 1, old + 8, old + 65536, 2 * old,
            size + 65536 - size % 65536, most, most >> 1, (most >> 1) + 1,
            1024, 65537}
    return sorted(v for v in some if 0 <= v <= most and v != old)


def opened(path, mode, by_qemu):
    """None, or the words with which it was refused."""
    copy = path + ".try"
    shutil.copyfile(path, copy)
    ro = mode == "ro"
    if by_qemu:
        out = blk.run("qemu-io", "-f", "qcow2", *(["-r"] if ro else []),
                      "-c", "quit", copy)
    else:
        out = blk.blkmon("--drive", "file=%s,format=qcow2,id=d,force=on%s" % (
            copy, ",readonly=on" if ro else ""), "-c", "info block")
    os.unlink(copy)
    return out.text if out.rc else None


def modes(what):
    """A sanitizer is slow, and in both the same is read: one of them."""
    if os.environ.get("SAN"):
        return [("ro", "rw")[zlib.crc32(what.encode()) & 1]]
    return ["ro", "rw"]


def assert_agree(path, what, stricter=STRICTER):
    for mode in modes(what):
        qemu, ours = opened(path, mode, True), opened(path, mode, False)
        if qemu:
            assert ours, "%s, %s: only QEMU refuses: %s" % (what, mode, qemu)
        elif ours:
            assert any(s in ours for s in stricter), (what, mode, ours)


def sweep(path, fields, at=0, stricter=STRICTER):
    whole = blk.content(path)
    for name, offset, fmt in fields:
        old = header.get(path, at + offset, fmt)
        for value in values(fmt, old, len(whole)):
            header.put(path, at + offset, value, fmt)
            assert_agree(path, "%s=%#x (was %#x)" % (name, value, old),
                         NAMES if name == "name-length" and
                         stricter is STRICTER else stricter)
        header.put(path, at + offset, old, fmt)
    assert blk.content(path) == whole


@pytest.mark.parametrize("kind", ["plain", "v2", "backed", "snapshots",
                                  "bitmaps", "ext"])
def test_fields(d, kind):
    path = image(d, kind)
    sweep(path, FIELDS if kind != "v2" else
          [f for f in FIELDS if f[1] < header.INCOMPATIBLE])


def extensions(path):
    """(offset, type) of each, the end mark included."""
    raw = blk.content(path)[:65536]
    at = struct.unpack_from(">I", raw, header.HEADER_LENGTH)[0]
    found = []
    while not found or found[-1][1]:
        kind, length = struct.unpack_from(">II", raw, at)
        found.append((at, kind))
        at += 8 + (length + 7) // 8 * 8
    return found


@pytest.mark.parametrize("kind", ["backed", "bitmaps"])
def test_extensions(d, kind):
    path = image(d, kind)
    for at, kind_of in extensions(path):
        sweep(path, [("length of %#x" % kind_of, 4, ">I")], at)


def test_bitmaps(d):
    """The directory and each entry of it, and the first one of each table."""
    path = image(d, "bitmaps")
    at = dict((k, a) for a, k in extensions(path))[header.BITMAPS]
    sweep(path, EXTENSION_FIELDS, at)
    entry = header.get(path, at + 24)
    for _ in range(header.get(path, at + 8, ">I")):
        sweep(path, BITMAP_FIELDS, entry)
        table = header.get(path, entry)
        sweep(path, [("first of the table", 0, ">Q")], table)
        entry += (24 + header.get(path, entry + 18, ">H") + 7) // 8 * 8


SNAPSHOT_FIELDS = [("l1-offset", 0, ">Q"), ("l1-size", 8, ">I"),
                   ("id-length", 12, ">H"), ("name-length", 14, ">H"),
                   ("extra", 36, ">I"), ("disk-size", 48, ">Q")]


def test_snapshots(d):
    """Each entry of their table; also where it is only going to be read."""
    path = image(d, "snapshots")
    blk.qemu_img("snapshot", "-c", "s2", path)
    entry = header.get(path, 64)
    for _ in range(2):
        sweep(path, SNAPSHOT_FIELDS, entry, STRICTER + SNAPSHOTS)
        entry += (40 + header.get(path, entry + 36, ">I")
                  + header.get(path, entry + 12, ">H")
                  + header.get(path, entry + 14, ">H") + 7) // 8 * 8


def test_bitmaps_of_another_disk(d):
    """As after a resize by a program that knows no bitmaps."""
    path = image(d, "bitmaps")
    for size in (MIB, 8 * MIB, 1 << 32, 1 << 40):
        header.put(path, 24, size)
        header.put(path, 36, max(1, size >> 29), ">I")
        assert_agree(path, "size=%d" % size)


def test_two_bitmaps_of_one_name(d):
    path = image(d, "bitmaps")
    at = dict((k, a) for a, k in extensions(path))[header.BITMAPS]
    second = header.get(path, at + 24) + 32
    header.put(path, second + 18, 2, ">H")
    header.put(path, second + 24, int.from_bytes(b"b0\0\0\0\0\0\0", "big"))
    assert "Bitmap already exists" in opened(path, "ro", True)
    assert_agree(path, "two of one name")


def test_words(d):
    """What is damaged is said, by check too, and nothing is written."""
    path = image(d, "bitmaps")
    at = dict((k, a) for a, k in extensions(path))[header.BITMAPS]
    header.put(path, at + 8, 3, ">I")
    before = blk.content(path)
    words = opened(path, "rw", False)
    assert "'%s.try' has persistent bitmaps that are damaged" % path in words
    assert blk.blkmon("check", path).rc == blk.run("qemu-img", "check",
                                                   path).rc != 0
    assert blk.blkmon("info", path).rc == blk.run("qemu-img", "info",
                                                  path).rc == 1
    blk.unchanged(path, before)


def test_bit_without_extension(d):
    """Opened as by QEMU; the bit goes at the first write."""
    path = image(d, "plain")
    header.set_bits(path, header.AUTOCLEAR, 1)
    blk.guest_io([path], ["write -P 2 0 64k"])
    assert not header.get(path, header.AUTOCLEAR)
    blk.check(path)
