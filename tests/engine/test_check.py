# SPDX-License-Identifier: GPL-3.0-or-later
"""blkmon check beside qemu-img check: the same verdict on images that were
damaged at random, repairs that reach as far, and nothing lost by them."""

import json
import os
import random
import shutil

import pytest

import blk
from blk import KIB, MIB
from qcow2_model import OFFSET, Image, mutate
from qmpsock import Server
from test_devices import loop

KINDS = {
    "plain": {},
    "small": {"cluster_size": 512},
    "page": {"cluster_size": 4096},
    "v2": {"compat": "0.10", "cluster_size": 4096},
    "bits1": {"refcount_bits": 1, "cluster_size": 1024},
    "bits2": {"refcount_bits": 2, "cluster_size": 2048},
    "bits8": {"refcount_bits": 8, "cluster_size": 4096},
    "bits32": {"refcount_bits": 32, "cluster_size": 4096},
    "bits64": {"refcount_bits": 64, "cluster_size": 512},
    "lazy": {"lazy_refcounts": "on", "cluster_size": 4096},
    "extended": {"extended_l2": "on", "cluster_size": 16384},
    "external": {"data_file": "data.raw", "cluster_size": 4096},
    "snapshots": {"cluster_size": 4096},
    "snapshots-v2": {"compat": "0.10", "cluster_size": 1024},
    "compressed": {"cluster_size": 4096},
    "zstd": {"cluster_size": 4096, "compression_type": "zstd"},
    "bitmaps": {"cluster_size": 4096},
    "bitmaps-extended": {"extended_l2": "on", "cluster_size": 16384},
    "bitmaps-external": {"data_file": "other.raw", "cluster_size": 4096},
    "snapshots-bits2": {"refcount_bits": 2, "cluster_size": 2048},
    "compressed-extended": {"extended_l2": "on", "cluster_size": 16384},
    "backing": {"cluster_size": 4096},
}
FIELDS = ("check-errors", "corruptions", "leaks", "image-end-offset",
          "total-clusters", "allocated-clusters", "fragmented-clusters",
          "compressed-clusters")
WORSE = (0, 3, 2, 1)
FIXED = ("corruptions-fixed", "leaks-fixed")


def make_image(d, kind):
    path = os.path.join(d, kind + ".qcow2")
    opts = dict(KINDS[kind])
    if "data_file" in opts:
        opts["data_file"] = os.path.join(d, opts["data_file"])
    if kind == "backing":
        below = blk.create(os.path.join(d, "below"), MIB)
        blk.create(path, None, below, **opts)
    else:
        blk.create(path, MIB, **opts)
    blk.qemu_io(path, "write -P 1 0 64k", "write -P 2 300k 40k",
                "write -P 3 900k 20k", "write -P 4 150k 4k",
                "write -z 16k 16k", "write -z 200k 32k",
                "write -P 5 640k 17k", "discard 8k 8k")
    if kind.startswith("snapshots"):
        blk.qemu_img("snapshot", "-c", "first", path)
        blk.qemu_io(path, "write -P 6 8k 30k", "write -P 7 500k 9k")
        blk.qemu_img("snapshot", "-c", "second", path)
        blk.qemu_io(path, "write -P 8 310k 5k")
    if kind.startswith("compressed") or kind == "zstd":
        for at in (704, 720, 976):
            blk.qemu_io(path, "write -c -P %d %dk %d" % (
                at % 99, at, opts["cluster_size"]))
    if kind.startswith("bitmaps"):
        blk.qemu_img("bitmap", "--add", "-g", "4k", path, "one")
        blk.qemu_img("bitmap", "--add", path, "two")
        blk.qemu_io(path, "write -P 9 420k 30k")
    return path


@pytest.fixture(scope="module")
def originals():
    with blk.workdir() as d:
        yield {kind: make_image(d, kind) for kind in KINDS}


def told(out):
    """The numbers of a check, or None where it came to none."""
    try:
        return json.loads(out.out)
    except ValueError:
        return None


def by_qemu(path, *args):
    return blk.run("qemu-img", "check", "-f", "qcow2", "--output=json", *args,
                   path)


def by_blkmon(path, *args):
    return blk.blkmon("check", "-f", "qcow2", "--json", *args, path)


def assert_agree(qemu, ours, what):
    assert ours.rc == qemu.rc, "%s\n%r\n%r" % (what, qemu, ours)
    if qemu.rc == 1 and not told(qemu):
        return
    assert_agree_on(ours, qemu, FIELDS, what)


def lost(before, after):
    """The first cluster that could be read and reads differently now, or
    what else is gone; None if all is there."""
    if len(before) != len(after):
        return "%d disks of %d" % (len(after), len(before))
    for n, (old, new) in enumerate(zip(before, after)):
        for k, content in old.items():
            if content is not None and new.get(k) != content:
                return "cluster %d of disk %d" % (k, n)
    return None


def copy_of(path, name):
    to = os.path.join(os.path.dirname(path), name)
    shutil.copyfile(path, to)
    return to


def assert_agree_on(ours, qemu, fields, what):
    got, want = ([told(out).get(f, 0) for f in fields]
                 for out in (ours, qemu))
    assert got == want, "%s\n%r\n%r" % (what, qemu, ours)


def repaired_by_qemu(path, how):
    """None: it makes the file so long that it comes to no end; so it may not
    take all memory either."""
    out = blk.run("prlimit", "--as=%d" % (2 << 30), "timeout", "20",
                  "qemu-img", "check", "-f", "qcow2", "--output=json", "-r",
                  how, path)
    return None if out.rc == 124 else out


def compare_repairs(got, qemu, what):
    assert WORSE.index(got.rc) <= WORSE.index(qemu.rc), "%s\n%r\n%r" % (
        what, qemu, got)
    # (what lies outside it counts as mended twice, and its own accidents with
    # numbers of snapshots as nothing)
    if got.rc == qemu.rc == 0 and ";" not in what and \
            "outside image" not in qemu.err and \
            "snapshot" not in got.err:
        assert_agree_on(got, qemu, FIXED, what)


def try_repair(path, before, how, what):
    ours = copy_of(path, "ours")
    what = "-r %s: %s" % (how, what)
    got, again = by_blkmon(ours, "-r", how), by_qemu(ours)
    assert got.rc >= 0, "%s\n%r" % (what, got)
    assert again.rc == got.rc or got.rc == 1, "%s\n%r\n%r" % (
        what, got, again)
    gone = lost(before, Image(ours).disks())
    assert not gone, "%s: lost %s" % (what, gone)
    if not got.rc and ";" in what:
        return      # all is mended, and nothing is to be counted
    theirs = copy_of(path, "theirs")
    qemu = repaired_by_qemu(theirs, how)
    if not qemu or qemu.rc < 0:
        return
    if got.rc == 3 and "exceeding the end" in got.err:
        return      # a table that ends outside is not taken for a leak
    try:
        compare_repairs(got, qemu, what)
    except AssertionError:
        # what QEMU pays for it, we do not
        if by_qemu(theirs).rc == qemu.rc and \
                not lost(before, Image(theirs).disks()):
            raise


# What is the matter with other files: it opens the backing file as well.
OTHERS = "Could not open backing file", "Could not get size of"


def try_one(original, d, seed):
    rng = random.Random(seed)
    path = os.path.join(d, "image")
    shutil.copyfile(original, path)
    what = "seed %d, %s: %s" % (seed, os.path.basename(original), mutate(
        path, rng, rng.choice((1, 1, 1, 2, 3, 6))))
    qemu = by_qemu(path)
    if qemu.rc < 0:     # it has its bugs; we have to live
        assert by_blkmon(path).rc >= 0, what
        return "crash"
    if qemu.rc == 1 and any(text in qemu.err for text in OTHERS):
        assert by_blkmon(path).rc >= 0, what
        return "elsewhere"
    assert_agree(qemu, by_blkmon(path), what)
    before = Image(path).disks()
    for how in ("leaks", "all") if qemu.rc else ("all",):
        try_repair(path, before, how, what)
    return "same"


def try_many(originals, d, seeds):
    kinds = sorted(KINDS)
    for seed in seeds:
        try_one(originals[kinds[seed % len(kinds)]], d, seed)


@pytest.mark.parametrize("first", range(0, 136, 17))
def test_damaged_at_random(originals, d, first):
    try_many(originals, d, range(first, first + 17))


@pytest.mark.long
@pytest.mark.parametrize("first", range(1000, 3000, 250))
def test_two_thousand(originals, d, first):
    try_many(originals, d, range(first, first + 250))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_sound(originals, kind):
    qemu, ours = by_qemu(originals[kind]), by_blkmon(originals[kind])
    assert ours.rc == 0, ours
    assert_agree(qemu, ours, kind)


# ------------------------------------------------------------- words, status

def damaged(d, kind="plain"):
    """A leak, a refcount that is missing, and flags that follow from it."""
    path = make_image(d, kind)
    image = Image(path)
    block = image.num(image.rt_offset)
    used = len(image.bytes) >> image.bits
    with open(path, "r+b") as stream:
        stream.seek(block + 2 * (used - 1))
        stream.write(b"\0\0")
        stream.seek(block + 2 * (used + 1))
        stream.write(b"\0\1")
    return path


@pytest.mark.parametrize("entry", (0, 1))
@pytest.mark.parametrize("extra", (1025, 1 << 27, (1 << 30) + 24))
def test_extra_data_of_any_length(originals, d, entry, extra):
    """What is said to be in between is skipped, however far that leads."""
    for kind in ("snapshots", "snapshots-bits2"):
        path = os.path.join(d, kind)
        shutil.copyfile(originals[kind], path)
        at = Image(path).snapshots()[entry][0]
        put(path, at + 36, extra.to_bytes(4, "big"))
        before = Image(path).disks()
        assert by_blkmon(path).rc == by_qemu(path).rc == 1
        theirs, ours = copy_of(path, "theirs"), copy_of(path, "ours")
        want, got = by_qemu(theirs, "-r", "all"), by_blkmon(ours, "-r", "all")
        assert WORSE.index(got.rc) <= WORSE.index(want.rc), (want, got)
        assert by_qemu(ours).rc == got.rc
        assert not lost(before[:1], Image(ours).disks()[:1])


def test_data_file_that_is_gone(d):
    """The image is nothing without, and so is the verdict on it."""
    path = make_image(d, "external")
    assert by_blkmon(path).rc == 0
    os.rename(os.path.join(d, "data.raw"), os.path.join(d, "elsewhere"))
    for args in ([], ["-r", "all"]):
        out = by_blkmon(path, *args)
        assert out.rc == by_qemu(path, *args).rc == 1
        assert "data.raw', the data file of '" in out.err, out
    at, _, length = [e for e in Image(path).extensions()
                     if e[1] == 0x44415441][0]
    put(path, at, bytes(8 + length))
    out = by_blkmon(path)
    assert out.rc == by_qemu(path).rc == 1
    assert "'data-file' is required for this image" in out.err, out


def test_words(d):
    """The same lines, repaired or not, but for who speaks."""
    path = damaged(d)
    ours, theirs = copy_of(path, "ours"), copy_of(path, "theirs")
    for args in ([], ["-r", "leaks"], ["-r", "all"], []):
        want = blk.run("qemu-img", "check", "-f", "qcow2", *args, theirs)
        got = blk.blkmon("check", "-f", "qcow2", *args, ours)
        assert (got.rc, got.out.split("\nImage end")[0]) == \
            (want.rc, want.out.split("\nImage end")[0]), (want, got)
        found = [line for line in want.err.splitlines()
                 if line.startswith(("ERROR c", "Leaked c", "ERROR OFLAG"))]
        assert [line for line in got.err.splitlines()
                if line.startswith(("ERROR", "Leaked"))] == found or args, \
            (want, got)
    blk.check(ours)


def test_mended_is_written_on(d):
    """An image that was mended can be opened, written, and stays sound."""
    for kind in ("plain", "page", "snapshots"):
        path = damaged(d, kind)
        before = blk.guest(path)
        assert blk.blkmon("check", "-r", "all", path).rc == 0
        assert blk.guest(path) == before
        blk.guest_io([path], ["write -P 0x77 0 1M"])
        blk.check(path)
        assert blk.guest(path) == b"\x77" * MIB


def test_leaks_are_given_back(d):
    """To the host, too; a cluster that is in use is not."""
    path = make_image(d, "plain")
    image = Image(path)
    block = image.num(image.rt_offset)
    used = len(image.bytes) >> image.bits
    with open(path, "r+b") as stream:
        stream.seek(0, 2)
        stream.write(b"\xaa" * (64 << image.bits))
        stream.seek(block + 2 * used)
        stream.write(b"\0\1" * 64)
    before, full = Image(path).disks(), os.stat(path).st_blocks
    assert blk.blkmon("check", "-r", "leaks", path).rc == 0
    blk.check(path)
    assert Image(path).disks() == before
    assert os.stat(path).st_blocks <= full - (64 << image.bits) // 512


def test_table_that_ends_outside(d):
    """It does not count as a reference, and is still no leak to be freed."""
    path = make_image(d, "external")
    put(path, 36, (0x200001).to_bytes(4, "big"))    # entries of L1
    assert by_blkmon(path).rc == by_qemu(path).rc == 2
    for how in ("leaks", "all"):
        before, ours = Image(path).disks(), copy_of(path, "ours")
        blk.blkmon("check", "-r", how, ours)
        after = Image(ours)
        assert not lost(before, after.disks())
        l1 = after.l1_offset >> after.bits
        assert after.num(after.num(after.rt_offset) + 2 * l1, ">H") >= 1


@pytest.mark.parametrize("end", (0x40, 0x48, 0x1ff, 0x200, 0x201))
def test_end_in_a_sector(d, end):
    """To QEMU a file ends with its last sector, so a table may begin nearly a
    cluster behind the end and not be outside."""
    path = make_image(d, "snapshots")
    at = (os.stat(path).st_size // 4096 + 2) * 4096
    put(path, 64, at.to_bytes(8, "big"))    # the table of snapshots
    os.truncate(path, at - 4096 + end)
    assert_agree(by_qemu(path), by_blkmon(path), hex(end))


def test_l1_over_what_it_leads_to(d):
    """An L1 that ends outside lies over the L2 tables, whose bits for zeroes
    look like entries with a flag that is wrong."""
    path = os.path.join(d, "image")
    blk.create(path, MIB, extended_l2="on", cluster_size=16384)
    blk.qemu_io(path, "write -P 1 0 64k", "write -z 128k 16k",
                "write -z 160k 8k")
    blk.qemu_img("snapshot", "-c", "first", path)
    blk.qemu_io(path, "write -P 6 8k 30k")
    put(path, 36, (0x380000).to_bytes(4, "big"))    # entries of L1
    before, ours = Image(path).disks(), copy_of(path, "ours")
    assert blk.blkmon("check", "-r", "all", ours).rc == 2
    assert not lost(before, Image(ours).disks())


def test_leaks_of_damage_are_kept(d):
    """Where a table is damaged what nobody names may be data that it named:
    its clusters are free again, but hold what they held."""
    path = make_image(d, "page")
    image = Image(path)
    table = image.num(image.l1_offset) & OFFSET
    place = image.num(table + 8 * 9) & OFFSET
    held = image.read(place, image.cluster)
    put(path, table + 8 * 9, (1 << 50).to_bytes(8, "big"))
    assert blk.blkmon("check", "-r", "leaks", path).rc == 2
    after = Image(path)
    block = after.num(after.rt_offset)
    assert after.num(block + 2 * (place >> after.bits), ">H") == 0
    assert after.read(place, after.cluster) == held


def test_quiet_and_usage(d):
    path = make_image(d, "plain")
    assert blk.blkmon("check", "-q", path).out == ""
    for args in (["check"], ["check", path, path], ["check", "-r", "x", path],
                 ["check", "--output=xml", path], ["check", "-y", path],
                 ["check", "-U", "-r", "all", path]):
        out = blk.blkmon(*args)
        assert out.rc == 1 and out.out == "" and out.err, out
    assert "usage: blkmon check" in blk.blkmon_ok("check", "--help").out


def test_cannot(d):
    raw = os.path.join(d, "raw")
    with open(raw, "wb") as stream:
        stream.write(bytes(MIB))
    want = blk.run("qemu-img", "check", "-f", "raw", raw)
    for args in ([], ["-f", "raw"]):
        got = blk.blkmon("check", *args, raw)
        assert got.rc == want.rc == 63
        assert "This image format does not support checks" in got.err
    other = blk.create(os.path.join(d, "other"), MIB, fmt="vmdk")
    assert blk.blkmon("check", other).rc == 63
    for path in (os.path.join(d, "gone"), d):
        assert blk.blkmon("check", path).rc == 1
    blk.unchanged(raw, bytes(MIB))
    out = blk.blkmon("check", "-f", "qcow2", raw)
    assert out.rc == 1 and "qcow2" in out.err, out


def test_held(d):
    """Nobody looks at what is being written, nobody mends what is used."""
    path = damaged(d)
    before = blk.content(path)
    with blk.held_by_qemu_io(path):
        for args in ([], ["-r", "leaks"], ["-r", "all"]):
            out = blk.blkmon("check", *args, path)
            assert out.rc == 1 and 'lock\n' in out.err, out
            assert "Is another process using the image" in out.err
        assert blk.blkmon("check", "-U", path).rc == 2
    blk.unchanged(path, before)
    with blk.held_by_qemu_io(path, readonly=True):
        assert blk.blkmon("check", path).rc == 2
        assert blk.blkmon("check", "-r", "all", path).rc == 1
    blk.unchanged(path, before)
    assert blk.blkmon("check", "-r", "all", path).rc == 0


def test_read_only_file(d):
    path = damaged(d)
    os.chmod(path, 0o444)
    before = blk.content(path)
    assert blk.blkmon("check", path).rc == 2
    if os.geteuid():
        assert blk.blkmon("check", "-r", "all", path).rc == 1
        blk.unchanged(path, before)


def test_full_disk(d):
    """No place for new refcounts: said, and the image is what it was."""
    path = make_image(d, "page")
    image = Image(path)
    with open(path, "r+b") as stream:       # the refcount block is lost
        stream.seek(image.rt_offset)
        stream.write(bytes(8))
    before = blk.content(path)
    out = blk.blkmon("check", "-r", "all", path, limit_fsize=len(before))
    assert out.rc == 1 and "File too large" in out.err, out
    assert Image(path).disks() == image_of(before, d).disks()
    assert by_qemu(path).rc == 2
    assert blk.blkmon("check", "-r", "all", path).rc == 0
    blk.check(path)


def image_of(content, d):
    path = os.path.join(d, "before")
    with open(path, "wb") as stream:
        stream.write(content)
    return Image(path)


def test_device(d):
    """One does not grow: new refcounts lie inside."""
    path = make_image(d, "page")
    image = Image(path)
    with loop(d, 4 * MIB) as device:
        put(device, 0, blk.content(path))
        put(device, image.rt_offset, bytes(8))
        assert by_blkmon(device).rc == by_qemu(device).rc == 2
        assert blk.blkmon("check", "-r", "all", device).rc == 0
        blk.check(device)
        assert blk.guest(device) == blk.guest(path)


# ------------------------------------------------------------------- hostile

def put(path, at, data):
    with open(path, "r+b") as stream:
        stream.seek(at)
        stream.write(data)


def huge(d):
    """2^31 clusters, nearly: a terabyte that takes no place."""
    path = blk.create(os.path.join(d, "huge"), MIB, cluster_size=512)
    os.truncate(path, (1 << 40) - 1024)
    return path, 0


def many_snapshots(d):
    """60,000 snapshots of 2^22 tables each, all the same."""
    path = blk.create(os.path.join(d, "many"), MIB)
    os.truncate(path, 1 << 36)
    put(path, 60, (60000).to_bytes(4, "big"))
    put(path, 64, (1 << 30).to_bytes(8, "big"))
    put(path, 1 << 30, ((1 << 32).to_bytes(8, "big")
                        + (4 << 20).to_bytes(4, "big") + b"\0\1\0\1"
                        + bytes(20) + (16).to_bytes(4, "big") + bytes(16)
                        + b"1x" + bytes(6)) * 60000)
    put(path, 1 << 32, (1 << 33).to_bytes(8, "big") * 8192)
    put(path, 1 << 33, (0x3F00000000000001).to_bytes(8, "big") * 8192)
    return path, 1


def one_table(d):
    """An L1 of 2^22 entries that all name one table of 2^13."""
    path = blk.create(os.path.join(d, "one"), MIB)
    os.truncate(path, 1 << 34)
    put(path, 36, (4 << 20).to_bytes(4, "big") + (1 << 32).to_bytes(8, "big"))
    put(path, 1 << 32, (1 << 33).to_bytes(8, "big") * (1 << 18))
    put(path, 1 << 33, (0x50000).to_bytes(8, "big") * 8192)
    return path, 1


MEMORY = 512 * MIB      # of addresses, libraries included


@pytest.mark.parametrize("make", (huge, many_snapshots, one_table))
@pytest.mark.parametrize("args", ([], ["-r", "all"]))
def test_hostile(d, make, args):
    path, rc = make(d)
    before = head_of(path)
    out = blk.run("prlimit", "--as=%d" % MEMORY, blk.BLKMON, "check", *args,
                  path, timeout=60) if not blk_has_sanitizer() else \
        blk.blkmon("check", *args, path)
    assert out.rc == rc, out
    assert rc == 0 or "named too often" in out.err
    assert len(out.err) < 2 * MIB
    assert head_of(path) == before


def head_of(path):
    with open(path, "rb") as stream:
        return stream.read(64 * KIB)


def blk_has_sanitizer():
    """Those take addresses without measure."""
    return bool(os.environ.get("SAN"))


# ---------------------------------------------------------------------- live

def node_names(c, d):
    return {os.path.relpath(n["file"], d): n["node-name"]
            for n in c.ask("query-named-block-nodes")}


def test_live(d):
    """What is open is looked at, what waits in memory included; what only
    guests below read can be looked at beside them."""
    base = make_image(d, "page")
    top = blk.create(os.path.join(d, "top"), None, base)
    with Server(d, "--drive", "file=%s,format=qcow2" % top) as s, \
            s.client() as c:
        names = node_names(c, d)
        for n in range(8):
            c.ask("human-monitor-command", command_line='qemu-io disk0 '
                  '"write -P %d %dk 70k"' % (n + 1, 100 * n))
            got = c.ask("x-blkmon-check", node_name=names["top"])
            assert [got[f] for f in ("check-errors", "corruptions", "leaks")] \
                == [0, 0, 0], got
        below = c.ask("x-blkmon-check", node_name=names["page.qcow2"])
        no = c.request("x-blkmon-check", node_name="nobody")["error"]
        assert "node-name='nobody'" in no["desc"]
    for path, told_live in ((top, got), (base, below)):
        want = told(by_qemu(path))
        assert [told_live[f] for f in FIELDS] == \
            [want.get(f, 0) for f in FIELDS], (path, want, told_live)


def test_live_damaged(d):
    """An image that is open read-only tells its faults, and keeps them."""
    base = damaged(d, "page")
    top = blk.create(os.path.join(d, "top"), None, base)
    before = blk.content(base)
    want = told(by_qemu(base))
    with Server(d, "--drive", "file=%s,format=qcow2" % top) as s, \
            s.client() as c:
        got = c.ask("x-blkmon-check",
                    node_name=node_names(c, d)["page.qcow2"])
    assert [got[f] for f in FIELDS] == [want.get(f, 0) for f in FIELDS]
    blk.unchanged(base, before)


def test_live_raw(d):
    raw = blk.create(os.path.join(d, "raw"), MIB, fmt="raw")
    with Server(d, "--drive", "file=%s,format=raw" % raw) as s, \
            s.client() as c:
        no = c.request("x-blkmon-check", node_name=node_names(c, d)["raw"])
    assert no["error"]["desc"] == "This image format does not support checks"


def test_live_beside_a_job(d):
    """Whatever a job has half done, there is nothing wrong at any moment."""
    paths = blk.make_chain(d, 3, size=8 * MIB, data=2 * MIB)
    with Server(d, "--drive", "file=%s,format=qcow2" % paths[-1]) as s, \
            s.client() as c:
        names = node_names(c, d)
        c.ask("block-stream", job_id="j", device="disk0", speed=4 * MIB)
        looked = 0
        while c.ask("query-block-jobs"):
            for name in names.values():
                got = c.request("x-blkmon-check", node_name=name)
                if "error" in got:  # the job has ended, and that layer went
                    assert "Failed to find node" in got["error"]["desc"], got
                    continue
                got = got["return"]
                assert [got[f] for f in FIELDS[:3]] == [0, 0, 0], got
                looked += 1
            names = node_names(c, d)
        assert looked >= 3
    blk.check(paths[-1])
