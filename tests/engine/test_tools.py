# SPDX-License-Identifier: GPL-3.0-or-later
"""map, compare, measure and rebase beside qemu-img's, on random chains."""

import concurrent.futures
import json
import os
import random
import shutil

import pytest

import blk
import model
from blk import KIB, MIB
from maker import Axes, Maker, random_options

CHAINS = int(os.environ.get("BLKMON_CHAINS", "5"))
SEED = int(os.environ.get("BLKMON_SEED", "1"))


def each_seed(test, count=CHAINS):
    """Runs test(rng, folder) for so many seeds, side by side: most of the
    time goes to QEMU's tools."""
    def one(seed):
        with blk.workdir() as d:
            try:
                test(random.Random(seed), d)
            except Exception as wrong:
                raise AssertionError("seed %d: %s" % (seed, wrong)) from wrong

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(one, SEED * 10000 + n)
                     for n in range(count)]:
            done.result()


def make_world(rng, where):
    """Plain names and no data files: qemu-img is asked by path alone."""
    axes = Axes(rng)
    axes.names = axes.long_names = False
    axes.extern = axes.graph = False
    return Maker(rng, where, axes).world()


def images(world):
    """Each image of a world once."""
    return {layer.path: layer for chain in world.chains.values()
            for layer in chain}.values()


# -------------------------------------------------------------------- map

def told(out, *extra):
    """The entries of a map without those fields, joined where they only
    differed in them."""
    entries = []
    for e in json.loads(out):
        for name in extra:
            e.pop(name, None)
        last = entries[-1] if entries else None
        if last and all(last.get(k) == e.get(k) for k in
                        ("depth", "present", "zero", "data", "compressed")) \
                and ("offset" in last) == ("offset" in e) \
                and last.get("offset", 0) + last["length"] * ("offset" in e) \
                == e.get("offset", 0):
            last["length"] += e["length"]
        else:
            entries.append(e)
    return entries


def assert_same_map(layer, *args):
    ours = blk.blkmon_ok("map", "-f", layer.fmt, "--output=json", *args,
                         layer.path).out
    theirs = blk.qemu_img("map", "-f", layer.fmt, "--output=json", *args,
                          layer.path).out
    # QEMU 7.2 does not tell of compression, and none of them names the file.
    unknown = ["filename"]
    if '"compressed"' not in theirs:
        unknown.append("compressed")
    assert told(ours, *unknown) == told(theirs, *unknown), \
        "%s %s\n%s\n%s" % (layer.path, args, ours, theirs)


def assert_same_table(layer):
    ours = blk.blkmon("map", "-f", layer.fmt, layer.path)
    theirs = blk.run("qemu-img", "map", "-f", layer.fmt, layer.path)
    assert (ours.rc, ours.out) == (theirs.rc, theirs.out), \
        "%r\n%r" % (ours, theirs)


def test_maps_of_random_chains():
    def one(rng, d):
        for layer in images(make_world(rng, d)):
            assert_same_map(layer)
            assert_same_table(layer)
            start = rng.randrange(layer.size)
            assert_same_map(layer, "--start-offset=%d" % start,
                            "--max-length=%d" % rng.randrange(1, layer.size))
    each_seed(one)


# ----------------------------------------------------------------- rebase

def held(path):
    """Bytes of clusters of data that the image itself has: inside of one that
    is there anyhow zeroes may be written as such, where QEMU marks them."""
    cluster, clusters = blk.img_info(path)["cluster-size"], set()
    for e in json.loads(blk.qemu_img("map", "--output=json", path).out):
        if e["depth"] == 0 and e["data"] and not e["zero"]:
            clusters |= set(range(e["start"] // cluster,
                                  (e["start"] + e["length"] - 1) // cluster
                                  + 1))
    return len(clusters) * cluster


def content(path):
    with open(path, "rb") as stream:
        return stream.read()


def twin_of(layer):
    """A copy for QEMU, beside it, so that links lead to the same files."""
    path = layer.path + ".twin"
    shutil.copyfile(layer.path, path)
    return path


def another_base(rng, d, world, layer):
    """An image that may come below `layer`, or None."""
    kind = rng.choice(["below", "below", "other", "other", "none"])
    chain = next(c for c in world.chains.values() if layer in c)
    below = chain[:chain.index(layer)]
    if kind == "below":
        return rng.choice(below)
    if kind == "none":
        return None
    other = os.path.join(d, "other-chain")
    os.makedirs(other)
    return make_world(rng, other).chains["disk0"][-1]


def rebase_args(rng, layer, base):
    if base is None:
        return ["-b", ""]
    name = rng.choice([base.path, os.path.relpath(
        base.path, os.path.dirname(layer.path))])
    return ["-b", name, "-F", base.fmt]


def assert_rebased(layer, base):
    info = blk.img_info(layer.path)
    assert info.get("backing-filename-format") == (base and base.fmt)
    if base:
        assert os.path.samefile(info["full-backing-filename"], base.path)
    assert blk.guest(layer.path) == bytes(layer.data)
    blk.check(layer.path)


def test_rebase_of_random_chains():
    def one(rng, d):
        world = make_world(rng, d)
        layer = rng.choice(world.chains["disk0"][1:])
        base = another_base(rng, d, world, layer)
        args = rebase_args(rng, layer, base)
        others = {p.path: content(p.path) for p in images(world)
                  if p is not layer}
        twin = twin_of(layer)
        if layer.kept and base is not layer.parent:
            out = blk.blkmon("rebase", *args, layer.path)
            assert out.rc == 1 and "'inside'" in out.err, out
            assert content(twin) == content(layer.path)
            args.insert(0, "--force")
        out = blk.blkmon_ok("rebase", *args, layer.path)
        assert not out.text, out
        assert_rebased(layer, base)
        for path, before in others.items():
            assert content(path) == before, path
        blk.qemu_img("rebase", *[a for a in args if a != "--force"], twin)
        assert blk.guest(twin) == bytes(layer.data)
        assert held(layer.path) <= held(twin), args
    each_seed(one)


@pytest.fixture
def pair():
    """top.qcow2 above old.qcow2, and new.qcow2, which differs from old in
    64 KiB of 4 MiB."""
    with blk.workdir() as d:
        paths = [os.path.join(d, n + ".qcow2") for n in ("old", "new", "top")]
        for path in paths[:2]:
            blk.create(path, 4 * MIB)
            blk.qemu_io(path, "write -P 1 1M 2M")
        blk.qemu_io(paths[1], "write -P 2 2M 64k")
        blk.create(paths[2], 4 * MIB, "old.qcow2")
        blk.qemu_io(paths[2], "write -P 3 0 64k")
        yield paths


def test_a_rebase_copies_what_differs_and_no_more(pair):
    old, new, top = pair
    before = blk.guest(top)
    blk.blkmon_ok("rebase", "-b", "new.qcow2", "-F", "qcow2", top)
    assert held(top) == 2 * 64 * KIB
    os.unlink(old)
    assert blk.guest(top) == before


def test_an_unsafe_rebase_changes_the_header_alone(pair):
    old, new, top = pair
    os.unlink(old)
    blk.blkmon_ok("rebase", "-u", "-b", "gone.qcow2", "-F", "raw", top)
    info = json.loads(blk.qemu_img("info", "--output=json", top).out)
    assert info["backing-filename"] == "gone.qcow2"
    assert info["backing-filename-format"] == "raw"
    assert held_alone(top) == 64 * KIB
    blk.blkmon_ok("rebase", "-u", "-b", "", top)
    assert "backing-filename" not in blk.img_info(top)
    blk.check(top)


@pytest.mark.parametrize("how", [[], ["-u"]])
def test_a_rebase_says_what_it_drops(pair, how):
    old, new, top = pair
    blk.qemu_img("bitmap", "--add", top, "nightly")
    out = blk.blkmon_ok("rebase", *how, "-b", "new.qcow2", "-F", "qcow2", top)
    kept = "bitmaps" in blk.img_info(top)["format-specific"]["data"]
    assert kept == ("bitmaps are dropped" not in out.err), out
    blk.check(top)


def test_an_unsafe_rebase_asks_for_who_lies_above(pair):
    old, new, top = pair
    above = os.path.join(os.path.dirname(top), "above.qcow2")
    blk.create(above, 4 * MIB, "top.qcow2")
    before = content(top)
    args = ["rebase", "-u", "-b", "new.qcow2", "-F", "qcow2"]
    out = blk.blkmon(*args, top)
    assert out.rc == 1 and "above.qcow2" in out.err, out
    assert content(top) == before
    # the same file by another name changes nobody
    blk.blkmon_ok("rebase", "-u", "-b", old, "-F", "qcow2", top)
    shown = blk.guest(above)
    blk.blkmon_ok("rebase", "-b", "new.qcow2", "-F", "qcow2", top)
    assert blk.guest(above) == shown
    blk.blkmon_ok("rebase", "--force", "-u", "-b", old, "-F", "qcow2", top)


def test_tools_on_an_image_with_a_data_file(tmp_path):
    top, data = str(tmp_path / "top"), str(tmp_path / "data")
    for name in "old", "new":
        blk.create(str(tmp_path / name), MIB)
    blk.create(top, None, "old", cwd=str(tmp_path), data_file=data)
    blk.qemu_io(top, "write -P 1 64k 64k")
    named = ["--data-file", data, top]
    blk.blkmon_ok("rebase", "-u", "-b", "new", "-F", "qcow2", *named)
    assert blk.img_info(top)["backing-filename"] == "new"
    blk.blkmon_ok("rebase", "-b", "old", "-F", "qcow2", *named)
    ours = json.loads(blk.blkmon_ok("map", "--json", *named).out)
    theirs = json.loads(blk.qemu_img("map", "--output=json", top).out)
    assert [e["offset"] for e in ours if e["data"]] == [64 * KIB] == \
        [e["offset"] for e in theirs if e["data"]]
    assert [e["filename"] for e in ours if e["data"]] == [data]


def held_alone(path):
    """The same, whatever became of its backing file."""
    opts = "driver=qcow2,file.filename=%s,backing=" % path
    out = blk.qemu_img("map", "--output=json", "--image-opts", opts).out
    return sum(e["length"] for e in json.loads(out) if e["data"])


@pytest.mark.parametrize("args, words", [
    (["-b", "new.qcow2"], "backing format must be specified"),
    (["-b", "none.qcow2", "-F", "qcow2"], "none.qcow2"),
    (["-b", "top.qcow2", "-F", "qcow2"], "infinite loop"),
    (["-b", "above.qcow2", "-F", "qcow2"], "infinite loop"),
    (["-b", "x" * 1024, "-F", "qcow2", "-u", "--force"], "no room"),
    (["-b", "new.qcow2", "-F", "vmdk"], "Invalid format name"),
    ([], "Must specify backing file"),
])
def test_what_a_rebase_refuses_it_leaves_alone(pair, args, words):
    top = pair[2]
    above = os.path.join(os.path.dirname(top), "above.qcow2")
    blk.create(above, 4 * MIB, "top.qcow2")
    before = content(top)
    out = blk.blkmon("rebase", *args, top)
    assert out.rc == 1 and words in out.err, out
    assert content(top) == before


def test_no_rebase_of_an_image_in_use(pair):
    top = pair[2]
    before = content(top)
    with blk.Session(top) as session:
        out = blk.blkmon("rebase", "-u", "-b", "new.qcow2", "-F", "qcow2", top)
        assert out.rc == 1 and "lock" in out.err, out
        out = blk.blkmon("rebase", "-b", "new.qcow2", "-F", "qcow2", top)
        assert out.rc == 1 and "lock" in out.err, out
        session.quit()
    assert content(top) == before


def test_a_rebase_that_finds_no_room_changes_nothing(pair):
    old, new, top = pair
    blk.qemu_io(new, "write -P 9 1M 3M")
    before, header = blk.guest(top), content(top)[:4096]
    out = blk.blkmon("rebase", "-b", "new.qcow2", "-F", "qcow2", top,
                     limit_fsize=os.path.getsize(top) + MIB)
    assert out.rc == 1 and "Could not write" in out.err, out
    assert content(top)[:4096] == header
    assert blk.guest(top) == before
    blk.blkmon_ok("rebase", "-b", "new.qcow2", "-F", "qcow2", top)
    os.unlink(old)
    assert blk.guest(top) == before
    blk.check(top)


def test_progress_of_a_rebase(pair):
    top = pair[2]
    out = blk.blkmon_ok("rebase", "--progress=1", "-b", "", top).out
    lines = [tuple(map(int, line.split())) for line in out.splitlines()]
    assert lines[-1] == (4 * MIB, 4 * MIB) and lines == sorted(lines)
    # with nothing left to look at, too
    blk.qemu_io(top, "write -P 1 0 4M")
    assert blk.blkmon_ok("rebase", "--progress=1", "-b", "", top).out == \
        "%d %d\n" % (4 * MIB, 4 * MIB)


# ---------------------------------------------------------------- compare

def said(out):
    return out.rc, out.out


def assert_same_verdict(a, b, *args):
    args = [*args, "-f", a.fmt, "-F", b.fmt, a.path, b.path]
    ours = blk.blkmon("compare", *args)
    theirs = blk.run("qemu-img", "compare", *args)
    assert said(ours) == said(theirs), "%r\n%r" % (ours, theirs)


def statuses(layer):
    """Where what is told of the disk changes, and to what."""
    return {e["start"]: (e["present"], e["data"], e["zero"], "offset" in e)
            for e in json.loads(blk.qemu_img(
                "map", "-f", layer.fmt, "--output=json", layer.path).out)}


def first_difference(a, b):
    """What -s has to say of two disks of one size.  qemu-img is no oracle: to
    it a piece that reaches the end of the disk differs from one that does
    not."""
    one, two = blk.guest(a.path, a.fmt), blk.guest(b.path, b.fmt)
    here, there = statuses(a), statuses(b)
    places, s, t = sorted({*here, *there, len(one)}), None, None
    for off, end in zip(places, places[1:]):
        s, t = here.get(off, s), there.get(off, t)
        if s != t:
            return "Strict mode: Offset %d block status mismatch!" % off
        for at in range(off, end, 512):
            if one[at:at + 512] != two[at:at + 512]:
                return "Content mismatch at offset %d!" % at
    return "Images are identical."


def assert_strict(a, b):
    out = blk.blkmon("compare", "-s", "-f", a.fmt, "-F", b.fmt, a.path, b.path)
    if disk_size(a) != disk_size(b):
        want = "Strict mode: Image size mismatch!"
    else:
        want = first_difference(a, b)
    assert out.out == want + "\n", "%s\n%r" % (want, out)
    assert out.rc == ("identical" not in want), out


def disk_size(layer):
    return blk.img_info(layer.path, fmt=layer.fmt)["virtual-size"]


def changed_copy(rng, d, layer, n):
    """The same disk in an image of its own, perhaps with a change."""
    fmt = rng.choice(["raw", "qcow2"])
    copy = model.Layer(os.path.join(d, "copy%d" % n), fmt, layer.size)
    args = ["-c"] if fmt == "qcow2" and rng.random() < 0.3 else []
    blk.qemu_img("convert", *args, "-f", layer.fmt, "-O", fmt, layer.path,
                 copy.path)
    if rng.random() < 0.5:
        off = rng.randrange(layer.size)
        blk.qemu_io(copy.path, "write -P 0x%x %d 1" % (rng.randrange(256),
                                                       off), fmt=fmt)
    if rng.random() < 0.3:
        blk.qemu_img("resize", "-f", fmt, copy.path, "+%d" % (64 * KIB))
    return copy


def test_compare_of_random_chains():
    def one(rng, d):
        layers = list(images(make_world(rng, d)))
        for n in range(4):
            a = rng.choice(layers)
            b = rng.choice([rng.choice(layers), changed_copy(rng, d, a, n)])
            a, b = rng.sample([a, b], 2)
            assert_same_verdict(a, b)
            assert_same_verdict(a, b, "-q")
            assert_strict(a, b)
    each_seed(one)


def test_compare_reads_no_place_twice(tmp_path):
    """A cluster that cannot be read any more is equal to itself."""
    path, over, flat = (str(tmp_path / n) for n in ("a", "b", "c"))
    blk.create(path, MIB)
    blk.create(flat, MIB)
    for each in path, flat:
        blk.qemu_io(each, "write -c -P 7 64k 64k")
    blk.create(over, None, "a", "qcow2", cwd=str(tmp_path))
    with open(path, "r+b") as stream:
        stream.seek(5 * 64 * KIB)
        stream.write(b"\xff" * 512)
    assert blk.blkmon("compare", path, over).rc == 0
    out = blk.blkmon("compare", path, flat)
    assert out.rc == 4 and "Error while reading offset 65536" in out.err, out


def test_compare_tells_what_failed(tmp_path):
    path, broken = str(tmp_path / "a"), str(tmp_path / "b")
    for each in path, broken:
        blk.create(each, MIB)
        blk.qemu_io(each, "write -P 7 64k 64k")
    with open(broken, "r+b") as stream:
        stream.seek(4 * 64 * KIB + 8)
        stream.write(b"\x80\0\0\0\0\0\x02\0")
    assert blk.blkmon("compare", path, str(tmp_path / "none")).rc == 2
    assert blk.blkmon("compare", path).rc == 2
    assert blk.blkmon("compare", path, broken).rc == 3
    assert blk.run("qemu-img", "compare", path, broken).rc == 3


# ---------------------------------------------------------------- measure

def random_target(rng):
    """Options for measure: a format to be made, and what it is to be like."""
    if rng.random() < 0.15:
        return ["-O", "raw"] if rng.random() < 0.5 else []
    opts = random_options(rng, rng.choice([MIB, 4 * MIB]), True)
    opts.pop("preallocation", None)
    if rng.random() < 0.3:
        opts["preallocation"] = rng.choice(["off", "metadata", "falloc",
                                            "full"])
    if rng.random() < 0.2:
        opts["backing_file"] = "x"
    return ["-O", "qcow2", "-o",
            ",".join("%s=%s" % item for item in opts.items())]


def assert_same_measure(*args):
    ours = blk.blkmon_ok("measure", "--output=json", *args)
    theirs = blk.qemu_img("measure", "--output=json", *args)
    assert json.loads(ours.out) == json.loads(theirs.out), \
        "%r\n%r" % (ours, theirs)
    ours, theirs = (said(out) for out in (
        blk.blkmon("measure", *args), blk.run("qemu-img", "measure", *args)))
    assert ours == theirs, args


def test_measure_of_random_chains():
    def one(rng, d):
        for layer in images(make_world(rng, d)):
            if layer.fmt == "qcow2" and rng.random() < 0.2 \
                    and blk.img_info(layer.path)["format-specific"][
                        "data"]["compat"] == "1.1":
                blk.qemu_img("bitmap", "--add", "-g", rng.choice(
                    ["512", "4k", "64k"]), layer.path, "b" * 9)
            assert_same_measure(*random_target(rng), "-f", layer.fmt,
                                layer.path)
    each_seed(one)


def test_measure_of_sizes():
    rng = random.Random(SEED)
    for _ in range(40):
        size = rng.choice([0, 1, 511, rng.randrange(1 << 20),
                           rng.randrange(1 << 40), 1 << 40])
        target = random_target(rng)
        if size < 1 << 30 or not any(o.startswith("cluster_size=") and
                                     len(o) < 18 for o in target):
            measure_or_refuse(*target, "--size", str(size))


def measure_or_refuse(*args):
    theirs = blk.run("qemu-img", "measure", *args)
    ours = blk.blkmon("measure", *args)
    assert said(ours) == said(theirs), "%r\n%r" % (ours, theirs)


@pytest.mark.parametrize("args, words", [
    ([], "Either --size N or one filename"),
    (["--size", "1M", "x"], "cannot be used together with a filename"),
    (["-f", "raw", "--size", "1M"], "require"),
    (["-O", "qcow2", "-o", "bla=1", "--size", "1M"], "parameter 'bla'"),
    (["-O", "raw", "-o", "compat=1.1", "--size", "1M"], "'compat'"),
    (["-O", "qcow2", "-o", "cluster_size=3", "--size", "1M"],
     "power of two between 512 and 2048k"),
    (["-O", "qcow2", "-o", "refcount_bits=3", "--size", "1M"],
     "Refcount width"),
    (["-O", "qcow2", "-o", "compat=0.10,refcount_bits=1", "--size", "1M"],
     "Different refcount widths"),
    (["-O", "qcow2", "-o", "extended_l2=on,cluster_size=4k", "--size", "1M"],
     "at least 16384 bytes"),
    (["-O", "qcow2", "-o", "cluster_size=512", "--size", "1P"], "too large"),
    (["-O", "foo", "--size", "1"], "Unknown file format 'foo'"),
])
def test_what_measure_refuses(args, words):
    ours, theirs = blk.blkmon("measure", *args), blk.qemu_img(
        "measure", *args, rc=1)
    assert ours.rc == 1 and words in ours.err, ours
    assert words in theirs.err, theirs


def test_rebase_of_a_fragmented_disk(tmp_path):
    """More pieces than are looked at or copied at once."""
    old, new, top = (str(tmp_path / n) for n in ("old", "new", "top"))
    page, pages = 4 * KIB, 4096
    with open(old, "wb") as a, open(new, "wb") as b:
        for n in range(pages):
            data = b"%8d" % n * (page // 8)
            a.write(data)
            b.write(data if n % 3 else data[:-512] + bytes(512))
    blk.create(top, None, "old", "raw", cwd=str(tmp_path), cluster_size=page)
    blk.blkmon_ok("rebase", "-b", "new", "-F", "raw", top)
    assert blk.guest(top) == content(old)
    assert held(top) == (pages + 2) // 3 * page
    blk.check(top)
    out = blk.blkmon_ok("compare", "-F", "raw", top, old)
    assert out.out == "Images are identical.\n"


def test_rebase_over_disks_of_other_lengths(tmp_path):
    """Behind the end of what was below zeroes were read, whatever comes."""
    long, short, top = (str(tmp_path / n) for n in ("long", "short", "top"))
    for path, size in (long, 3 * MIB), (short, MIB + 512):
        blk.create(path, size)
        blk.qemu_io(path, "write -P 5 0 %d" % size)
    blk.create(top, 2 * MIB, "short", cwd=str(tmp_path))
    before = blk.guest(top)
    for base in "long", "short", "", "long":
        fmt = ["-F", "qcow2"] if base else []
        blk.blkmon_ok("rebase", "-b", base, *fmt, top)
        assert blk.guest(top) == before, base
        blk.check(top)


def test_map_of_a_huge_disk_reads_tables_alone(tmp_path):
    path = str(tmp_path / "huge")
    blk.create(path, 16 << 40, cluster_size=2 * MIB)
    blk.qemu_io(path, "write 8T 1M")
    assert len(json.loads(blk.blkmon_ok("map", "--json", path).out)) == 3


# ------------------------------------------------- compare and rebase of two

def outside(d, name, place, byte, backing=None):
    """An image whose data lie in a file of their own; that file."""
    data = os.path.join(d, {"beside": name + ".data", "below":
                            "data/%s.data" % name}[place])
    os.makedirs(os.path.dirname(data), exist_ok=True)
    path = blk.create(os.path.join(d, name), None if backing else 4 * MIB,
                      backing, data_file=data)
    blk.qemu_io(path, "write -P %d %dk 64k" % (byte, byte * 64))
    return path, data


@pytest.fixture(params=["beside", "below"])
def outsiders(request, d):
    """base, top on it, and another one that reads as top does: the image and
    the data file of each."""
    base = outside(d, "base", request.param, 1)
    top = outside(d, "top", request.param, 2, base[0])
    other = outside(d, "other", request.param, 1)
    blk.qemu_io(other[0], "write -P 2 128k 64k")
    return base, top, other


def named(*images):
    return [w for _, data in images for w in ("--data-file", data)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_compare_with_data_files(outsiders, order):
    base, top, other = outsiders
    words = named(*(outsiders[n] for n in order))
    blk.blkmon_ok("compare", *words, "-f", "qcow2", "-F", "qcow2", top[0],
                  other[0])
    out = blk.blkmon("compare", *named(base, top), "-f", "qcow2", "-F",
                     "qcow2", base[0], top[0])
    assert out.rc == 1 and "offset 131072" in out.out, out
    out = blk.blkmon("compare", *named(base), "-f", "qcow2", "-F", "qcow2",
                     base[0], other[0])
    assert out.rc == 2 and "has to be named" in out.err, out
    out = blk.blkmon("compare", *words, "-f", "qcow2", "-F", "qcow2", base[0],
                     top[0])
    assert out.rc == 2 and "No image of the two chains has" in out.err, out


def test_compare_of_moved_data_files(outsiders, d):
    """Their headers lead nowhere: in the order in which they are asked for."""
    moved = []
    for path, data in outsiders:
        os.rename(data, data + ".moved")
        moved.append((path, data + ".moved"))
    base, top, other = moved
    blk.blkmon_ok("compare", *named(top, base, other), "-f", "qcow2", "-F",
                  "qcow2", top[0], other[0])
    # What is in both chains has one data file.
    out = blk.blkmon("compare", *named(top, base), "-f", "qcow2", "-F",
                     "qcow2", top[0], base[0])
    assert out.rc == 1 and "offset 131072" in out.out, out


@pytest.mark.parametrize("to", ["other", "base", "none"])
def test_rebase_with_data_files(outsiders, d, to):
    base, top, other = outsiders
    mid, data = outside(d, "mid", "beside", 3, top[0])
    want = blk.guest(mid)
    images = [base, top, (mid, data)] + [other] * (to == "other")
    blk.blkmon_ok("rebase", *named(*images), "-f", "qcow2", "-b",
                  "" if to == "none" else to, "-F", "qcow2", mid)
    assert blk.guest(mid) == want
    blk.check(mid)
    assert [os.path.basename(f) for f in blk.files_of_chain(mid)] == \
        ["mid"] + [to] * (to != "none")
    out = blk.blkmon("rebase", *named(base, top, other, (mid, data)),
                     "--data-file", os.path.join(d, "x"), "-f", "qcow2", "-b",
                     "base", "-F", "qcow2", mid)
    assert out.rc == 1, out
