# SPDX-License-Identifier: GPL-3.0-or-later
"""Links that only the graph has, and names that only the header has: zeroes
stay zeroes, whoever wrote them and whatever is opened later."""

import json
import os

import pytest

import blk
from blk import KIB, MIB

SHAPES = {
    "v3": {}, "small": {"cluster_size": 4096}, "v2": {"compat": "0.10"},
    "extended": {"extended_l2": "on"},
}


def shapes():
    return pytest.mark.parametrize("shape", SHAPES)


def qmp(s, name, **args):
    line = json.dumps({"execute": name, "arguments": {
        k.replace("_", "-"): v for k, v in args.items()}})
    reply = s.cmd(line)
    assert any('"return"' in x for x in reply), (line, reply)


def add(s, name, path, backing, **more):
    qmp(s, "blockdev-add", driver="qcow2", node_name=name, backing=backing,
        file={"driver": "file", "filename": path}, **more)


def filled(d, name, size, byte, **opts):
    path = blk.create(os.path.join(d, name), size, **opts)
    blk.qemu_io(path, "write -P %d 0 %d" % (byte, size))
    return path


def by_snapshot(s, base, top):
    add(s, "base", base, None)
    add(s, "top", top, None)
    qmp(s, "blockdev-snapshot", node="base", overlay="top")


def by_node(s, base, top):
    add(s, "base", base, None, read_only=True)
    add(s, "top", top, "base")


def by_drive(s, base, top):
    s.ok("drive_add 0 file=%s,format=qcow2,id=top,if=none" % base)
    s.ok("snapshot_blkdev -n top %s qcow2" % top)


def joined(base, top):
    """--image-opts of top over base, whatever the header says."""
    return ("driver=qcow2,file.driver=file,file.filename=%s,"
            "backing.driver=qcow2,backing.file.driver=file,"
            "backing.file.filename=%s" % (top, base))


ZEROES = ["write -z 0 128k", "write -z -u 192k 64k", "write -z 512k 4k",
          "write -z 700k 100k", "write -P 0 900k 1k"]
ZERO_AT = [(0, 128), (192, 64), (512, 4), (700, 100), (900, 1)]


def with_zeroes(size, byte, at):
    want = bytearray([byte]) * size
    for off, length in at:
        want[off * KIB:(off + length) * KIB] = bytes(length * KIB)
    return bytes(want)


@shapes()
@pytest.mark.parametrize("link", [by_snapshot, by_node, by_drive])
def test_zeroes_of_the_guest(d, shape, link):
    """They hide what lies below, though the header says that nothing does."""
    base = filled(d, "base", MIB, 0xaa)
    top = blk.create(os.path.join(d, "top"), MIB, **SHAPES[shape])
    trimmed = SHAPES[shape].get("compat") != "0.10"
    with blk.Session() as s:
        link(s, base, top)
        for command in ZEROES + ["discard 320k 64k"]:
            s.io(command, "top")
        for off, length in ZERO_AT + [(320, 64)] * trimmed:
            s.io("read -P 0 %dk %dk" % (off, length), "top")
        assert s.quit() == 0
    # Version 2 has no way to forget, and a discard is only a hint.
    want = with_zeroes(MIB, 0xaa, ZERO_AT + [(320, 64)] * trimmed)
    assert blk.guest(None, opts=joined(base, top)) == want
    blk.check(top)


@shapes()
@pytest.mark.parametrize("link", [by_node, by_drive])
def test_growing(d, shape, link):
    """What a longer backing file has behind the old end stays hidden."""
    base = filled(d, "base", MIB, 0xaa)
    top = blk.create(os.path.join(d, "top"), 400 * KIB, **SHAPES[shape])
    with blk.Session() as s:
        link(s, base, top)
        s.ok("block_resize top 1M")
        s.io("read -P 0xaa 0 400k", "top")
        s.io("read -P 0 400k 624k", "top")
        assert s.quit() == 0
    assert blk.guest(None, opts=joined(base, top)) == \
        with_zeroes(MIB, 0xaa, [(400, 624)])
    blk.check(top)


@shapes()
@pytest.mark.parametrize("job", ["stream", "commit", "active"])
def test_jobs(d, shape, job):
    """Zeroes of a layer in the middle arrive in an image whose link to what
    is below only the graph has."""
    paths = [os.path.join(d, n) for n in ("low", "to", "mid", "top")]
    filled(d, "low", MIB, 0xaa)
    for path in paths[1:]:
        blk.create(path, MIB, **SHAPES[shape])
    with blk.Session() as s:
        add(s, "low", paths[0], None, read_only=True)
        for name, below, path in (("to", "low", paths[1]),
                                  ("mid", "to", paths[2]),
                                  ("top", "mid", paths[3])):
            add(s, name, path, below)
            if name == ("to" if job == "stream" else "mid"):
                for command in ZEROES:
                    s.io(command, name)
        if job == "stream":
            # "to" has the zeroes: they go up, and low stays below.
            qmp(s, "block-stream", device="top", base_node="low", job_id="j")
        elif job == "commit":
            qmp(s, "block-commit", device="top", base_node="to",
                top_node="mid", job_id="j")
        else:
            qmp(s, "block-commit", device="top", base_node="to", job_id="j")
            s.wait("j", "ready")
            qmp(s, "job-complete", id="j")
        s.wait("j")
        assert s.quit() == 0
    holds = paths[3] if job == "stream" else paths[1]
    assert blk.guest(None, opts=joined(paths[0], holds)) == \
        with_zeroes(MIB, 0xaa, ZERO_AT)
    for path in paths[1:]:
        blk.check(path)


def assert_zero(got, at):
    """What lies around them was never written: zeroes today, what is below
    tomorrow."""
    for off, length in at:
        part = got[off * KIB:(off + length) * KIB]
        assert part == bytes(length * KIB), (off, length)


@shapes()
def test_header_names_what_is_not_open(d, shape):
    """The other way round: today nothing is below, and tomorrow, when the
    image is opened as its header says, zeroes are zeroes still."""
    base = filled(d, "base", 2 * MIB, 0xaa)
    top = blk.create(os.path.join(d, "top"), MIB, base, **SHAPES[shape])
    with blk.Session() as s:
        add(s, "top", top, None)
        for command in ZEROES:
            s.io(command, "top")
        s.ok("block_resize top 2M")
        assert s.quit() == 0
    assert_zero(blk.guest(top), ZERO_AT + [(KIB, KIB)])
    blk.check(top)


@shapes()
@pytest.mark.parametrize("job", ["commit", "active"])
def test_commit_into_a_base_whose_link_is_not_open(d, shape, job):
    low = filled(d, "low", MIB, 0xaa)
    base = blk.create(os.path.join(d, "base"), MIB, low, **SHAPES[shape])
    mid = blk.create(os.path.join(d, "mid"), MIB, base)
    top = blk.create(os.path.join(d, "top"), MIB, mid)
    with blk.Session() as s:
        add(s, "base", base, None)
        add(s, "mid", mid, "base", x_blkmon_force=True)
        for command in ZEROES:
            s.io(command, "mid")
        add(s, "top", top, "mid")
        if job == "commit":
            qmp(s, "block-commit", device="top", base_node="base",
                top_node="mid", job_id="j")
        else:
            qmp(s, "block-commit", device="top", base_node="base", job_id="j")
            s.wait("j", "ready")
            qmp(s, "job-complete", id="j")
        s.wait("j")
        assert s.quit() == 0
    assert_zero(blk.guest(base), ZERO_AT)
    blk.check(base)


@pytest.mark.parametrize("command", [
    "write -z 0 4k", "write -z 60k 8k", "write -z -u 100k 512",
    "write -z 130k 300k", "write -z 1023k 1k"])
@pytest.mark.parametrize("base", ["holes", "zeroes", "data of zeroes",
                                  "short", "data around", "deep"])
@pytest.mark.parametrize("compat", ["1.1", "0.10"])
def test_small_zeroes_need_no_data(d, command, base, compat):
    """Where the rest of a cluster shows zeroes, zeroes in it are an entry of
    a table, as in QEMU, and no cluster of data. Version 2 has no such entry,
    and needs none."""
    low = blk.create(os.path.join(d, "low"), 64 * KIB if base == "short"
                     else MIB)
    top = os.path.join(d, "top")
    offset = int(command.split()[-2].rstrip("k")) * KIB
    if base == "zeroes":
        blk.qemu_io(low, "write -z 0 1M")
    elif base in ("data of zeroes", "deep"):
        blk.qemu_io(low, "write -P 0 0 1M")
    elif base == "data around" and compat != "0.10":
        # Only the bytes written over: the rest is zeroes all the same.
        blk.qemu_io(low, "write -P 7 %d 512" % offset)
    if base == "deep":
        low = blk.create(os.path.join(d, "mid"), None, low)
    blk.create(top, None if base != "short" else MIB, low, compat=compat)
    with blk.Session("top=" + top) as s:
        s.io(command, "top")
        assert s.quit() == 0
    assert blk.guest(top) == bytes(MIB)
    blk.check(top)
    layers = json.loads(blk.qemu_img("map", "--output=json", top).out)
    assert not [x for x in layers if x["depth"] == 0 and x["data"]], layers


def test_zeroes_of_version_2_only_where_there_are_none(d):
    """Of a large write, the clusters alone below which data shows; of a small
    one that the rest of the cluster is hidden by, nothing is lost."""
    low = blk.create(os.path.join(d, "low"), 4 * MIB)
    blk.qemu_io(low, "write -P 7 1000k 100k", "write -P 7 3M 1k")
    top = blk.create(os.path.join(d, "top"), None, low, compat="0.10")
    with blk.Session("top=" + top) as s:
        s.io("write -z -u 512k 3000k", "top")
        s.io("discard 0 4M", "top")
        assert s.quit() == 0
    assert blk.guest(top) == bytes(4 * MIB)
    blk.check(top)
    layers = json.loads(blk.qemu_img("map", "--output=json", top).out)
    assert [(x["start"] // KIB, x["length"] // KIB) for x in layers
            if x["depth"] == 0 and x["data"]] == [(960, 192), (3072, 64)]


@pytest.mark.parametrize("open_as", ["none", "other"])
def test_zeroes_of_version_2_over_what_is_not_open(d, open_as):
    """What shows tomorrow, as the header says, is hidden, though zeroes show
    today."""
    low = filled(d, "low", MIB, 0xaa)
    top = blk.create(os.path.join(d, "top"), MIB, low, compat="0.10")
    blk.create(os.path.join(d, "empty"), MIB)
    with blk.Session() as s:
        if open_as == "other":
            add(s, "empty", os.path.join(d, "empty"), None, read_only=True)
        add(s, "top", top, "empty" if open_as == "other" else None)
        for command in ZEROES:
            s.io(command, "top")
        assert s.quit() == 0
    assert_zero(blk.guest(top), ZERO_AT)
    blk.check(top)


@pytest.mark.parametrize("job", ["commit", "active"])
def test_zeroes_of_version_2_stay_after_a_job(d, job):
    """They showed because the image below was short; what a job puts in its
    place is longer."""
    base, mid, top = (os.path.join(d, n) for n in ("base", "mid", "top"))
    filled(d, "base", MIB, 0xaa)
    blk.create(mid, MIB // 2, base, compat="0.10")
    blk.create(top, MIB, mid, compat="0.10")
    with blk.Session("top=" + top) as s:
        s.io("write -z 700k 8k", "top")
        s.io("write -z 896k 128k", "top")
        qmp(s, "block-commit", device="top", base=base, job_id="j",
            **({"top": mid} if job == "commit" else {}))
        if job == "active":
            s.wait("j", "ready")
            s.io("write -z 600k 8k", "top")
            qmp(s, "job-complete", id="j")
        s.wait("j")
        assert s.quit() == 0
    image = base if job == "active" else top
    assert blk.guest(image) == with_zeroes(MIB, 0xaa, [(512, 512)])
    blk.check(image)


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_zeroes_of_version_2_after_a_stream(d, when):
    """They showed because of an image that a stream takes away."""
    base = filled(d, "base", 16 * MIB, 0xaa)
    mid, top = os.path.join(d, "mid"), os.path.join(d, "top")
    blk.create(mid, None, base)
    blk.qemu_io(mid, "write -z 256k 12M")
    blk.create(top, None, mid, compat="0.10")
    with blk.Session("top=" + top) as s:
        if when == "before":
            s.io("write -z 300k 8k", "top")
        qmp(s, "block-stream", device="top", base=base, job_id="j",
            speed=1 if when == "meanwhile" else 0)
        if when == "meanwhile":
            s.io("write -z 300k 8k", "top")
            s.cmd("block_job_set_speed j 0")    # it may be over
        s.wait("j")
        s.quit()
    assert blk.guest(top) == with_zeroes(16 * MIB, 0xaa,
                                         [(256, 12 * 1024)])
    blk.check(top)


def test_small_zeroes_beside_data(d):
    """The rest of the cluster does not show zeroes: it is copied."""
    low = filled(d, "low", MIB, 3)
    top = blk.create(os.path.join(d, "top"), None, low)
    with blk.Session("top=" + top) as s:
        s.io("write -z 8k 4k", "top")
        s.io("write -z 1020k 4k", "top")
        assert s.quit() == 0
    assert blk.guest(top) == with_zeroes(MIB, 3, [(8, 4), (1020, 4)])
    blk.check(top)


def test_what_is_below_is_told_as_it_is(d):
    """backing_file is the image that is open there, by the name that it was
    opened by, whatever the header says."""
    a = filled(d, "a", MIB, 1)
    filled(d, "b", MIB, 1)
    c = filled(d, "c", MIB, 1)
    images = {"none": blk.create(os.path.join(d, "none"), MIB),
              "other": blk.create(os.path.join(d, "other"), MIB, c),
              "nothing": blk.create(os.path.join(d, "nothing"), MIB, a),
              "header": blk.create(os.path.join(d, "header"), MIB, "./b")}
    with blk.Session("header=" + images["header"]) as s:
        add(s, "low", a, None, read_only=True)
        add(s, "none", images["none"], "low")
        add(s, "other", images["other"], "low")
        add(s, "nothing", images["nothing"], None)
        nodes = json.loads(s.ok('{"execute": "query-named-block-nodes"}')[0])
        drive, = json.loads(s.ok('{"execute": "query-block"}')[0])["return"]
        assert s.quit() == 0
    told = {n["file"]: n.get("backing_file") for n in nodes["return"]}
    assert told == {a: None, images["none"]: a, images["other"]: a,
                    images["nothing"]: None, d + "/./b": None,
                    images["header"]: d + "/./b"}
    assert drive["inserted"]["backing_file"] == d + "/./b"


@pytest.mark.parametrize("said, fmt", [("qcow2", "raw"), ("raw", "qcow2")])
def test_the_format_of_what_is_below(d, said, fmt):
    """change-backing-file from an image that only the header has to the one
    that is open: the format is that one's as well."""
    other = blk.create(os.path.join(d, "other"), MIB, fmt=said)
    low = blk.create(os.path.join(d, "low"), MIB, fmt=fmt)
    blk.qemu_io(low, "write -P 0xaa 0 1M", fmt=fmt)
    top = blk.create(os.path.join(d, "top"), None, other, said)
    with blk.Session() as s:
        qmp(s, "blockdev-add", driver=fmt, node_name="low", read_only=True,
            file={"driver": "file", "filename": low})
        add(s, "top", top, "low", x_blkmon_force=True)
        qmp(s, "change-backing-file", device="top", image_node_name="top",
            backing_file="low")
        assert s.quit() == 0
    assert blk.img_info(top)["backing-filename-format"] == fmt
    assert blk.guest(top) == b"\xaa" * MIB


@pytest.mark.parametrize("name", ["VM:low", "nbd:low", "file:low"])
def test_other_words_for_what_is_below(d, name):
    """They need no force beside an internal snapshot, whatever QEMU needs in
    front of them."""
    low = filled(d, name, MIB, 0xaa)
    top = blk.create(os.path.join(d, "top"), None, low)
    blk.qemu_img("snapshot", "-c", "kept", top)
    with blk.Session() as s:
        add(s, "low", low, None, read_only=True)
        add(s, "top", top, "low")
        qmp(s, "change-backing-file", device="top", image_node_name="top",
            backing_file=name)
        assert s.quit() == 0
    assert blk.img_info(top)["backing-filename"] == "./" + name
    assert blk.guest(top) == b"\xaa" * MIB
