# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of the image formats: read as QEMU reads them, written as
QEMU likes them."""

import os
import shutil
import time

import pytest

import blk
from blk import KIB, MIB
from model import Layer, fitted

# ------------------------------------------------------------- the matrix

MATRIX = {"cluster-%d" % (1 << b): {"cluster_size": 1 << b}
          for b in range(9, 22)}
MATRIX.update({"refcount-%d" % b: {"refcount_bits": b}
               for b in (1, 2, 4, 8, 32, 64)})
MATRIX.update({
    "refcount-1-small": {"refcount_bits": 1, "cluster_size": 512},
    "v2": {"compat": "0.10"},
    "v2-512": {"compat": "0.10", "cluster_size": 512},
    "v2-2M": {"compat": "0.10", "cluster_size": 2 * MIB},
    "zstd": {"compression_type": "zstd"},
    "zstd-4K": {"compression_type": "zstd", "cluster_size": 4 * KIB},
    "zstd-2M": {"compression_type": "zstd", "cluster_size": 2 * MIB},
    "lazy": {"lazy_refcounts": "on"},
    "lazy-ext": {"lazy_refcounts": "on", "extended_l2": "on"},
    "prealloc-ext": {"extended_l2": "on", "preallocation": "metadata"},
    "everything": {"extended_l2": "on", "compression_type": "zstd",
                   "lazy_refcounts": "on", "cluster_size": 32 * KIB,
                   "refcount_bits": 64},
})
MATRIX.update({"ext-%dK" % k: {"extended_l2": "on", "cluster_size": k * KIB}
               for k in (16, 32, 64, 128, 2048)})
# QEMU allows these only without a backing file.
LONE = {"prealloc-" + how: {"preallocation": how}
        for how in ("metadata", "falloc", "full")}


class Disk:
    """An image and what is in it, changed by qemu-io and then by blkmon."""

    def __init__(self, d, opts, backed, **create):
        self.cluster = opts.get("cluster_size", 64 * KIB)
        self.size = max(MIB, 20 * self.cluster) + 512 * 3
        self.v2, self.opts = "compat" in opts, opts
        base = None
        if backed:
            base = Layer(os.path.join(d, "base.raw"), "raw",
                         17 * self.cluster + 512)
            base.write(0, blk.stamps(1, 0, base.size))
            with open(base.path, "wb") as stream:
                stream.write(base.data)
        self.layer = Layer(os.path.join(d, "disk.img"), "qcow2", self.size,
                           base)
        blk.create(self.layer.path, self.size, base and base.path,
                   base and "raw", **opts, **create)
        self.backed, self.d = backed, d

    def stamp(self, tag, off, length):
        data = blk.stamps(tag, off, length)
        self.layer.write(off, data)
        path = os.path.join(self.d, "pattern-%d" % tag)
        with open(path, "wb") as stream:
            stream.write(data)
        return "-s %s %d %d" % (path, off, length)

    def fill(self, compress=True):
        """Each kind of cluster: data, compressed, both zeros, holes."""
        c, layer, squeeze = self.cluster, self.layer, "-c " if compress else ""
        lines = ["write " + self.stamp(2, c, 3 * c),
                 "write " + squeeze + self.stamp(3, 5 * c, c),
                 "write " + squeeze + self.stamp(4, 6 * c, 2 * c)]
        for n, flag in ((9, "-z"), (10, "-z -u")):
            layer.write(n * c, bytes(c))
            lines.append("write %s %d %d" % (flag, n * c, c))
        layer.write(12 * c + 128, bytes(256))
        lines.append("write -z %d %d" % (12 * c + 128, 256))
        lines.append("write " + self.stamp(5, 18 * c + 512, 512))
        if not (self.v2 and self.backed):
            layer.write(2 * c, bytes(c))
            lines.append("discard %d %d" % (2 * c, c))
        return lines

    def guest_lines(self):
        """The same kinds, each overwritten in part by blkmon's guest."""
        c, lines = self.cluster, []

        def write(pattern, off, length):
            self.layer.write(off, bytes([pattern]) * length)
            lines.append("write -P %#x %d %d" % (pattern, off, length))

        def zero(flags, off, length):
            self.layer.write(off, bytes(length))
            lines.append("write %s %d %d" % (flags, off, length))

        write(0x21, c + c // 2, 200)          # inside data
        write(0x22, 5 * c + 17, 100)          # inside a compressed cluster
        write(0x23, 7 * c - 100, 300)         # from one to the next
        write(0x24, 9 * c + 31, 64)           # inside zeros
        write(0x25, 10 * c - 8, 16)           # from zeros to zeros
        write(0x26, 11 * c + 256, 128)        # a hole, copied from below
        write(0x27, 13 * c, 3 * c + 7)        # many clusters at once
        write(0x28, self.size - 512, 512)     # the last sector
        zero("-z", 3 * c + 16, c // 2)
        zero("-z -u", 14 * c, c)
        zero("-z", 16 * c - 3, 11)
        write(0x29, 14 * c + 1, 1)
        return lines


def judge(disk, opts=None):
    layer = disk.layer
    if not opts:
        blk.check(layer.path)
    blk.assert_same(blk.guest(layer.path, opts=opts), layer.data, "qemu-img")


def through(disk, args, opts=None, cat_args=()):
    """Read as made, write through blkmon, read again by both."""
    path = disk.layer.path
    judge(disk, opts)
    blk.assert_same(blk.cat(path, *cat_args), disk.layer.data, "as made")
    blk.guest_io(args, disk.guest_lines())
    judge(disk, opts)
    blk.assert_same(blk.cat(path, *cat_args), disk.layer.data, "as written")


@pytest.mark.parametrize("backed", [False, True], ids=["lone", "backed"])
@pytest.mark.parametrize("name", MATRIX)
def test_matrix(d, name, backed):
    opts = MATRIX[name]
    disk = Disk(d, opts, backed)
    blk.qemu_io(disk.layer.path, *disk.fill("preallocation" not in opts))
    through(disk, [disk.layer.path])


@pytest.mark.parametrize("name", LONE)
def test_preallocated(d, name):
    disk = Disk(d, LONE[name], backed=False)
    blk.qemu_io(disk.layer.path, *disk.fill(compress=False))
    through(disk, [disk.layer.path])


@pytest.mark.parametrize("opts", [
    {}, {"extended_l2": "on"}, {"cluster_size": 512}, {"compat": "0.10"},
    {"refcount_bits": 4, "cluster_size": 4096}, {"lazy_refcounts": "on"}],
    ids=lambda o: "-".join("%s" % v for v in o.values()) or "default")
def test_internal_snapshots(d, opts):
    """Shared clusters are copied on write: what a snapshot holds stays."""
    disk = Disk(d, opts, backed=True)
    path = disk.layer.path
    blk.qemu_io(path, *disk.fill())
    blk.qemu_img("snapshot", "-c", "first", path)
    first = bytes(disk.layer.data)
    through(disk, [path])
    blk.qemu_img("snapshot", "-c", "second", path)
    second = bytes(disk.layer.data)
    blk.guest_io([path], disk.guest_lines() + [
        "write -P 0x77 %d %d" % (disk.cluster, disk.cluster)])
    disk.layer.write(disk.cluster, b"\x77" * disk.cluster)
    judge(disk)
    for name, data in (("first", first), ("second", second)):
        blk.assert_same(blk.guest(path, snapshot=name), data, name)
    # Applying one finds every cluster of it, with right reference counts.
    blk.qemu_img("snapshot", "-a", "first", path)
    blk.check(path)
    blk.assert_same(blk.cat(path), first, "first applied")


@pytest.mark.parametrize("raw", ["off", "on"])
def test_data_file(d, raw):
    data = os.path.join(d, "data,file")
    disk = Disk(d, {}, raw == "off", data_file=data,
                data_file_raw=raw)
    path = disk.layer.path
    blk.qemu_io(path, *disk.fill(compress=False))
    drive = "file=%s,data-file=%s" % (path, data.replace(",", ",,"))
    judge(disk)
    blk.guest_io(["--drive", drive + ",id=disk0"], disk.guest_lines())
    judge(disk)
    if raw == "on":
        with open(data, "rb") as stream:
            # QEMU leaves it with whole clusters.
            blk.assert_same(stream.read(), fitted(
                disk.layer.data, os.path.getsize(data)), "the data file")


def two_data_files(d):
    """base and mid keep their data outside, top does not."""
    data = [os.path.join(d, n) for n in ("df-base", "df-mid")]
    base = blk.create(os.path.join(d, "base.img"), 4 * MIB, data_file=data[0])
    blk.qemu_io(base, "write -P 1 0 64k")
    mid = blk.create(os.path.join(d, "mid.img"), None, base,
                     data_file=data[1])
    blk.qemu_io(mid, "write -P 2 64k 64k")
    top = blk.create(os.path.join(d, "top.img"), None, mid)
    blk.qemu_io(top, "write -P 3 128k 64k")
    return data, top


READS = ["qemu-io disk0 \"read -P %d %dk 64k\"" % (n + 1, n * 64)
         for n in range(3)]


@pytest.mark.parametrize("keys", [
    "data-file=MID,data-file=BASE", "backing.data-file=MID,data-file=BASE",
    "backing.backing.data-file=BASE,data-file=MID",
    "backing.data-file=MID,backing.backing.data-file=BASE,"
    "backing.backing.node-name=low"])
def test_data_files_below(d, keys):
    """A chain that a snapshot makes over an image with a data file can be
    opened again: by depth, or whoever asks for one takes it."""
    data, top = two_data_files(d)
    keys = keys.replace("MID", data[1]).replace("BASE", data[0])
    out = blk.blkmon_ok("--drive", "file=%s,id=disk0,format=qcow2,%s"
                        % (top, keys), *[w for r in READS for w in ("-c", r)])
    assert out.out.count("read 65536/65536") == 3, out
    assert "failed" not in out.text, out


@pytest.mark.parametrize("order", [(1, 0), (0, 1)])
def test_data_files_below_offline(d, order):
    """In any order: an image has the one that its header leads to."""
    data, top = two_data_files(d)
    words = [w for n in order for w in ("--data-file", data[n])]
    info = blk.blkmon_ok("info", *words, top)
    assert info.out.count("data file:") == 2, info
    want = b"".join(bytes([n]) * 65536 for n in (1, 2, 3))
    assert blk.cat(top, *words, "--length", str(len(want))) == want
    blk.blkmon_ok("commit", *words, top)
    blk.qemu_io(os.path.join(d, "mid.img"), "read -P 3 128k 64k",
                "read -P 2 64k 64k", "read -P 1 0 64k")


@pytest.mark.parametrize("job", ["stream", "active", "hmp"])
def test_jobs_over_a_data_file(d, job):
    low, mid = blk.make_chain(d, 2)
    data = os.path.join(d, "top.data")
    top = blk.create(os.path.join(d, "top.img"), None, mid, data_file=data)
    blk.qemu_io(top, "write -P 0x2a 1M 1M", "write -z 512k 64k")
    want = blk.guest(top)
    with blk.Session("--drive", "file=%s,id=disk0,data-file=%s"
                     % (top, data)) as s:
        if job == "stream":
            s.ok("block_stream disk0")
            s.wait()
        elif job == "active":
            s.ok("block_commit disk0 " + low)
            s.wait(what="ready")
            s.ok("block_job_complete disk0")
            s.wait()
        else:
            s.ok("commit disk0")
        s.io("write -P 0x2b 0 4k")
        s.quit()
    want = b"\x2b" * 4096 + want[4096:]
    blk.assert_same(blk.guest(low if job == "active" else top), want, job)
    for path in (low, mid, top):
        blk.check(path)


def test_discard(d):
    """A discarded range reads as before or as zeros, and is used again."""
    path = blk.create(os.path.join(d, "a.img"), 16 * MIB)
    blk.qemu_io(path, "write -P 1 0 8M")
    blk.guest_io([path], ["discard 1M 4M", "discard 6M 100k", "flush"])
    blk.check(path)
    got = blk.guest(path)
    blk.assert_same(blk.cat(path), got, "cat")
    blk.assert_same(got[:MIB] + got[5 * MIB:6 * MIB],
                    b"\1" * (2 * MIB), "what was not discarded")
    assert set(got[MIB:5 * MIB]) <= {0, 1}
    assert set(got[6 * MIB:]) <= {0, 1}
    before = os.path.getsize(path)
    blk.guest_io([path], ["write -P 2 8M 4M"])
    grown = os.path.getsize(path) - before
    assert grown < MIB, "4 MiB are free, and the file grew by %d" % grown


@pytest.mark.parametrize("length", [0, 1, 511, 513, 1000003])
def test_raw_base_of_any_length(d, length):
    base = os.path.join(d, "odd.raw")
    with open(base, "wb") as stream:
        stream.write(blk.stamps(1, 0, length))
    top = blk.create(os.path.join(d, "top.img"), 2 * MIB, base, "raw")
    want = fitted(blk.stamps(1, 0, length), 2 * MIB)
    blk.assert_same(blk.cat(top), want, "over the raw base")
    # The write lands in the sector that the base has only a part of.
    blk.guest_io([top], ["write -P 0x31 %d 700" % length])
    want = want[:length] + b"\x31" * 700 + want[length + 700:]
    blk.check(top)
    blk.assert_same(blk.guest(top), want, "written")


def test_raw_alone(d):
    """A raw image can be the active layer when it has nothing below."""
    path = blk.create(os.path.join(d, "a.raw"), MIB, fmt="raw")
    out = blk.guest_io(["--drive", "file=%s,id=disk0,format=raw" % path],
                    ["write -P 0x41 1000 5000", "write -z 2000 100",
                     "read -P 0x41 1000 1000"])
    assert "wrote 5000/5000" in out.out
    want = bytearray(MIB)
    want[1000:6000] = b"\x41" * 5000
    want[2000:2100] = bytes(100)
    with open(path, "rb") as stream:
        blk.assert_same(stream.read(), want, "raw")


def test_qcow2_header_inside_raw_is_data(d):
    """A guest may write anything: format=raw never looks at it (H1)."""
    inner = blk.create(os.path.join(d, "inner.img"), 64 * KIB,
                       "/etc/hostname", "raw")
    disk = os.path.join(d, "disk.raw")
    shutil.copy(inner, disk)
    os.truncate(disk, MIB)
    with open(disk, "rb") as stream:
        want = stream.read()
    out = blk.blkmon_ok("--drive", "file=%s,id=disk0,format=raw" % disk,
                        "-c", "info block")
    assert "(raw" in out.out and "Backing file" not in out.out
    top = blk.create(os.path.join(d, "top.img"), MIB, disk, "raw")
    blk.assert_same(blk.cat(top), want, "raw by its recorded format")


def test_huge_and_empty(d):
    path = blk.create(os.path.join(d, "huge.img"), "16T")
    top = blk.create(os.path.join(d, "top.img"), None, path)

    def attempt():
        start = time.monotonic()
        assert "17592186044416" in blk.blkmon_ok("info", "--json", top).out
        blk.guest_io([top], ["write -P 0x51 15T 64k"])
        got = blk.cat(top, "--offset", "16492674416640", "--length", "131072")
        assert got == b"\x51" * 65536 + bytes(65536)
        return time.monotonic() - start
    assert blk.best(attempt, 5) < 5
    blk.check(top)


def test_sizes_of_layers_differ(d):
    """A short layer in the middle cuts what is below and adds zeros."""
    names = [os.path.join(d, n) for n in ("a", "b", "c")]
    blk.create(names[0], 4 * MIB)
    blk.create(names[1], MIB + 512, names[0])
    blk.create(names[2], 3 * MIB, names[1])
    blk.qemu_io(names[0], "write -P 1 0 4M")
    blk.qemu_io(names[1], "write -P 2 1M 512")
    want = b"\1" * MIB + b"\2" * 512 + bytes(2 * MIB - 512)
    blk.assert_same(blk.cat(names[2]), want, "through the short one")
    blk.guest_io([names[2]], ["write -P 3 1048900 8"])
    want = want[:1048900] + b"\3" * 8 + want[1048908:]
    blk.assert_same(blk.guest(names[2]), want, "written at the seam")
    blk.check(names[2])


@pytest.mark.parametrize("cache", ["writeback", "none", "unsafe"])
def test_cache_modes(d, cache):
    path = blk.create(os.path.join(d, "a.img"), 4 * MIB)
    out = blk.blkmon_ok(
        "--drive", "file=%s,id=x,format=qcow2,cache=%s" % (path, cache),
        "-c", "info block", "-c", 'qemu-io x "write -P 0x61 1000 70001"')
    mode = {"writeback": "writeback", "none": "writeback, direct",
            "unsafe": "writeback, ignore flushes"}[cache]
    assert "Cache mode:       %s\n" % mode in out.out, out
    blk.check(path)
    assert blk.guest(path)[1000:71001] == b"\x61" * 70001


@pytest.mark.parametrize("name", [
    "two words", "a=b", "a:b", "quo\"te", "apos'", "percent%n", "ünïcode",
    "comma,inside", "-dash"])
def test_file_names(d, name):
    """Any name a file can have is a name for an image and its backing."""
    base = os.path.join(d, name)
    blk.create(base, MIB)
    blk.qemu_io(base, "write -P 0x71 0 1M")
    top = blk.create(os.path.join(d, "top of " + name), None, base)
    assert blk.cat(top) == b"\x71" * MIB
    out = blk.blkmon_ok("--drive", "file=%s,id=disk0" % top.replace(
        ",", ",,"), "-c", "block_stream disk0", "-c", "wait disk0 done 30")
    assert out.rc == 0
    assert blk.img_info(top).get("backing-filename") is None
    assert blk.guest(top) == b"\x71" * MIB


def test_relative_names_are_seen_from_the_image(d):
    os.makedirs(os.path.join(d, "x/y"))
    blk.create(os.path.join(d, "base"), MIB)
    blk.qemu_io(os.path.join(d, "base"), "write -P 0x72 0 1M")
    blk.create(os.path.join(d, "x/mid"), None, "../base")
    blk.create(os.path.join(d, "x/y/top"), None, "../mid")
    for cwd, path in ((d, "x/y/top"), ("/", os.path.join(d, "x/y/top")),
                      (os.path.join(d, "x/y"), "top")):
        assert blk.cat(path, cwd=cwd) == b"\x72" * MIB
