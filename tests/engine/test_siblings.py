# SPDX-License-Identifier: GPL-3.0-or-later
"""Overlays that nobody has open: before a layer is written the folders are
looked through for images that read from it.  Who is found is named, and not
a byte of anything has changed; the operator's force goes on."""

import fcntl
import json
import os
import resource
import struct

import pytest

import blk
import header
from blk import MIB, content
from qmpsock import Server

WRITE = 'qemu-io disk0 "write -P 0x99 0 1M"'


class Family:
    """base <- mid <- top, and the sibling of mid: base <- other."""

    def __init__(self, d, folder=None):
        self.d = d
        self.base, self.mid, self.top = blk.make_chain(d)
        self.folder = os.path.join(d, folder) if folder else d
        if folder:
            os.mkdir(self.folder)
        self.other = os.path.join(self.folder, "other.img")

    def add_other(self, name="l0.img", path=None):
        path = path or self.other
        blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", name, "-F",
                     "qcow2", path, "4M")
        return path


def state(d):
    """All files: what is in them and when they were written."""
    found = {}
    for folder, _, names in os.walk(d):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                found[path] = content(path), os.stat(path).st_mtime_ns
    return found


def drive(path, *more):
    return ["--drive", ",".join(["file=" + path, "id=disk0", *more])]


def refused(d, args, layer, overlay):
    """Refused in words that name both; all files are as they were."""
    before = state(d)
    out = blk.blkmon(*args)
    assert out.rc == 1, out
    for word in (os.path.basename(layer) + "'", "'%s'" % overlay, "damage",
                 "force"):
        assert word in out.text, out
    assert state(d) == before
    return out


# ------------------------------------------------------- opened read-write

def test_old_command_line_after_a_snapshot(d):
    path = blk.simple(d)
    new = os.path.join(d, "sn1.img")
    blk.blkmon_ok(path, "-c", "snapshot_blkdev disk0 %s" % new)
    seen = blk.guest(new)
    refused(d, [path, "-c", WRITE], path, new)
    assert blk.guest(new) == seen
    blk.blkmon_ok(new, "-c", WRITE)


def test_force_goes_on(d):
    f = Family(d)
    refused(d, [f.mid, "-c", WRITE], f.mid, f.top)
    out = blk.blkmon_ok(*drive(f.mid, "format=qcow2", "force=on"), "-c",
                        WRITE)
    assert "damage" not in out.text, out
    assert blk.guest(f.mid)[:MIB] == b"\x99" * MIB


def test_reading_asks_nobody(d):
    f = Family(d)
    before = state(d)
    blk.blkmon_ok(*drive(f.mid, "readonly=on"), "-c", "info block")
    blk.blkmon_ok("info", f.mid)
    blk.cat(f.mid)
    assert state(d) == before


def link_of(f, kind):
    """A name for base that is not its own."""
    path = os.path.join(f.d, "name.img")
    (os.symlink if kind == "symlink" else os.link)(f.base, path)
    return path


@pytest.mark.parametrize("folder", [None, "elsewhere"])
@pytest.mark.parametrize("kind", ["relative", "absolute", "file:", "symlink",
                                  "hardlink", "json", "host_device:",
                                  "blkdebug:", "blkverify:"])
def test_names_that_lead_to_it(d, kind, folder):
    """By device and inode, whatever the words. An overlay in a folder that no
    file of the chain is in is not looked for; one that is in the folder of
    another layer is."""
    f = Family(d, folder)
    os.unlink(f.mid)
    os.unlink(f.top)
    name = {"relative": os.path.relpath(f.base, f.folder),
            "absolute": f.base, "file:": "file:" + f.base,
            "host_device:": "host_device:" + f.base,
            "blkdebug:": "blkdebug::" + f.base,
            "blkverify:": "blkverify:%s:gone" % f.base,
            "json": "json:" + json.dumps({"driver": "qcow2", "file": {
                "driver": "file", "filename": f.base}})}.get(kind)
    if name is None:
        name = os.path.relpath(link_of(f, kind), f.folder)
    f.add_other(name)
    if folder:
        # The chain goes through that folder: base is raw's place, so to say.
        deep = blk.create(os.path.join(f.folder, "deep.img"), 4 * MIB)
        blk.qemu_img("rebase", "-q", "-u", "-f", "qcow2", "-b", deep, "-F",
                     "qcow2", f.base)
    refused(d, [f.base, "-c", WRITE], f.base, f.other)
    os.unlink(f.other)
    blk.blkmon_ok(f.base, "-c", WRITE)


def test_name_from_the_working_directory(d, monkeypatch):
    """Behind file: QEMU looks for it there."""
    f = Family(d, "elsewhere")
    os.unlink(f.mid)
    os.unlink(f.top)
    deep = blk.create(os.path.join(f.folder, "deep.img"), 4 * MIB)
    blk.qemu_img("rebase", "-q", "-u", "-f", "qcow2", "-b", deep, "-F",
                 "qcow2", f.base)
    f.add_other("file:l0.img")
    monkeypatch.chdir(d)
    refused(d, [f.base, "-c", WRITE], f.base, f.other)


def test_link_to_an_overlay(d):
    """The image is elsewhere, its name is here: its words are meant from
    there, or from here."""
    f = Family(d, "elsewhere")
    os.unlink(f.mid)
    os.unlink(f.top)
    here = os.path.join(d, "here.img")
    os.symlink(f.other, here)
    for name in ("../l0.img", "l0.img"):
        f.add_other(name)
        refused(d, [f.base, "-c", WRITE], f.base, here)
    f.add_other("nowhere.img")
    blk.blkmon_ok(f.base, "-c", WRITE)


def test_layer_by_a_link(d):
    """Opened by a link in another folder: its own folder counts."""
    f = Family(d, "elsewhere")
    path = os.path.join(f.folder, "link.img")
    os.symlink(f.mid, path)
    refused(d, [path, "-c", WRITE], path, f.top)


def test_layer_by_a_link_to_a_link(d):
    """The folder of each counts."""
    path = blk.simple(d)
    for at, to in ("one", os.path.relpath(path, os.path.join(d, "one"))), \
            ("two", "../one/link"), ("three", os.path.join(d, "two", "link")):
        os.mkdir(os.path.join(d, at))
        os.symlink(to, os.path.join(d, at, "link"))
    opened = os.path.join(d, "three", "link")
    for at in "one", "two", "three", ".":
        other = os.path.normpath(os.path.join(d, at, "other.img"))
        blk.create(other, None, path)
        refused(d, [opened, "-c", WRITE], opened, other)
        os.unlink(other)
    blk.blkmon_ok(opened, "-c", WRITE)


@pytest.mark.parametrize("fmt", ["qcow", "qed"])
def test_older_formats(d, fmt):
    base = blk.create(os.path.join(d, "base.img"), MIB, fmt="raw")
    top = os.path.join(d, "top.img")
    blk.qemu_img("create", "-q", "-f", fmt, "-b", base, "-F", "raw", top)
    refused(d, [*drive(base, "format=raw"), "-c", WRITE], base, top)


def hostile(d):
    """What stands in folders: none of it is an overlay, all of it is passed
    over."""
    os.mkdir(os.path.join(d, "folder.qcow2"))
    os.mkfifo(os.path.join(d, "fifo.qcow2"))
    os.symlink("nowhere", os.path.join(d, "dangling.qcow2"))
    os.symlink("loop.qcow2", os.path.join(d, "loop.qcow2"))
    os.symlink("fifo.qcow2", os.path.join(d, "to_fifo.qcow2"))
    os.symlink("/dev/zero", os.path.join(d, "to_device.qcow2"))
    head = bytearray(b"QFI\xfb" + struct.pack(">I", 3) + bytes(104))
    for n, (at, length) in enumerate([
            (0, 0), (1 << 63, 8), ((1 << 64) - 1, 1023), (112, 0xffffffff),
            (112, 1024), (4, 4), (1 << 40, 100), (112, 0)]):
        head[8:20] = struct.pack(">QI", at, length)
        for size in (3, 71, 112, 5000):
            with open(os.path.join(d, "bad%d-%d" % (n, size)), "wb") as s:
                s.write(bytes(head).ljust(size, b"A")[:size])
    with open(os.path.join(d, "bad-json"), "wb") as stream:
        name = b'json:{"filename": "' + b"\\" * 60
        stream.write(b"QFI\xfb" + struct.pack(">IQI", 3, 72, len(name))
                     + bytes(52) + name)
    closed = os.path.join(d, "closed.qcow2")
    with open(closed, "wb") as stream:
        stream.write(b"x" * 4096)
    os.chmod(closed, 0)


def test_what_else_stands_in_a_folder(d):
    path = blk.simple(d)
    hostile(d)
    blk.blkmon_ok(path, "-c", WRITE)
    new = blk.create(os.path.join(d, "new.img"), None, path)
    refused(d, [path, "-c", WRITE], path, new)


def test_name_far_from_the_header(d):
    """With large clusters the name may stand anywhere in the first one."""
    path = blk.simple(d)
    top = blk.create(os.path.join(d, "top.img"), None, path,
                     cluster_size=2 * MIB)
    at = MIB + 5
    header.put(top, 8, at, ">Q")
    with open(top, "r+b") as stream:
        stream.seek(at)
        stream.write(path.encode())
    blk.guest(top)
    refused(d, [path, "-c", WRITE], path, top)


def test_json_in_other_letters(d):
    """QEMU writes what is not ASCII as numbers; and takes a relative name from
    where it was started."""
    path = blk.simple(d, "b\u00e4\u20ac\U0001f4be\".img")
    top = os.path.join(d, "top.img")
    for name in (path, os.path.basename(path)):
        words = json.dumps({"driver": "qcow2",
                            "file": {"driver": "file", "filename": name}})
        assert "\\u20ac" in words and "\\ud83d" in words
        Family.add_other(None, "json:" + words, top)
        refused(d, drive(path) + ["-c", WRITE], path.split('"')[1], top)
    away = os.path.join(d, "elsewhere")
    os.mkdir(away)
    os.rename(top, os.path.join(away, "top.img"))
    os.symlink("elsewhere/top.img", top)
    out = blk.blkmon(*drive(os.path.basename(path)), cwd=d)
    assert out.rc == 1 and "top.img" in out.err, out


# ----------------------------------------------------- over others that are no
# ----------------------------------------------------- layers, and data files

def test_overlay_of_an_overlay(d):
    """What is between stands in a folder that nobody looks through."""
    f = Family(d, "elsewhere")
    os.unlink(f.mid)
    os.unlink(f.top)
    between = f.add_other("../l0.img")
    for n in range(3):
        between = f.add_other(between, os.path.join(f.folder, "b%d" % n))
    f.add_other(between, os.path.join(d, "here.img"))
    out = refused(d, [f.base, "-c", WRITE], f.base, f.other)
    assert "and of 4 more" in out.text, out
    os.unlink(f.other)
    blk.blkmon_ok(f.base, "-c", WRITE)


def test_overlay_of_what_a_commit_left_behind(d):
    """The commit changes nothing for it; the next one does."""
    f = Family(d)
    f.add_other("l1.img")
    seen = blk.guest(f.other)
    with blk.Session(f.top) as s:
        s.ok("block_commit disk0 %s %s" % (f.base, f.mid))
        s.wait()
        s.io("write -P 9 3M 64k")
        s.fails("block_commit disk0", f.other, "in the backing chain of")
        s.fails("commit disk0", f.other, "in the backing chain of")
        assert blk.guest(f.other) == seen
        os.unlink(f.other)
        s.ok("commit disk0")


def data_image(d, name, data, size=MIB):
    path = os.path.join(d, name)
    blk.qemu_img("create", "-q", "-f", "qcow2", "-o", "data_file=" + data,
                 path, str(size))
    return path


def test_data_file_of_another(d):
    raw = os.path.join(d, "data.raw")
    image = data_image(d, "image.img", raw)
    out = refused(d, drive(raw, "format=raw") + ["-c", WRITE], raw, image)
    assert "is the data file of" in out.text, out
    blk.blkmon_ok(*drive(raw, "format=raw", "force=on"), "-c", WRITE)
    blk.blkmon_ok(*drive(image, "data-file=" + raw), "-c", WRITE)


@pytest.mark.parametrize("way", ["drive", "commit", "offline"])
@pytest.mark.parametrize("reader", ["overlay", "image"])
def test_data_file_that_others_read(d, way, reader):
    """What is written is the data file, in a folder of its own."""
    os.mkdir(os.path.join(d, "data"))
    raw = os.path.join(d, "data", "data.raw")
    image = data_image(d, "image.img", raw)
    top = blk.create(os.path.join(d, "top.img"), None, image)
    blk.qemu_io(top, "write -P 0x99 0 64k")
    other = os.path.join(d, "data", "other.img")
    if reader == "overlay":
        blk.create(other, None, raw, "raw")
    else:
        os.rename(raw, raw + ".kept")
        data_image(d, "data/other.img", raw)
        os.rename(raw + ".kept", raw)
    args = {"drive": drive(image, "force=%s", "data-file=" + raw)
            + ["-c", WRITE],
            "commit": drive(top, "data-file=" + raw)
            + ["-c", "commit %sdisk0"],
            "offline": ["commit", "--data-file=" + raw, "%s", top]}[way]
    off, on = {"drive": ("off", "on"), "commit": ("", "-f "),
               "offline": ("--format=qcow2", "--force")}[way]
    if way == "drive":
        os.unlink(top)
    if way == "offline":
        off = "-fqcow2"
    refused(d, [a.replace("%s", off) for a in args], raw, other)
    blk.blkmon_ok(*[a.replace("%s", on) for a in args])
    assert content(raw)[:65536] == b"\x99" * 65536


def test_data_file_of_several_that_are_named(d):
    """In any order: the one of the image that is written counts, that of a
    layer below it does not."""
    low_raw, top_raw = (os.path.join(d, n) for n in ("low.raw", "top.raw"))
    low = data_image(d, "low.img", low_raw)
    top = blk.create(os.path.join(d, "top.img"), None, low, data_file=top_raw)
    for raw, harmful in ((top_raw, True), (low_raw, False)):
        os.rename(raw, raw + ".kept")
        other = data_image(d, "other.img", raw)
        os.rename(raw + ".kept", raw)
        for files in (low_raw, top_raw), (top_raw, low_raw):
            args = [*drive(top, *["data-file=" + f for f in files]), "-c",
                    WRITE]
            if harmful:
                refused(d, args, raw, other)
            else:
                blk.blkmon_ok(*args)
        os.unlink(other)


def test_folder_that_cannot_be_read(d):
    """It is said, once; what can be read is looked through."""
    path = blk.simple(d)
    folder = os.path.join(d, "closed")
    os.mkdir(folder)
    mid = blk.create(os.path.join(folder, "mid.img"), None, path)
    top = blk.create(os.path.join(folder, "top.img"), None, mid)
    os.chmod(folder, 0o311)
    argv = [blk.BLKMON, top, "-c", "info block"]
    if not os.geteuid():
        argv = ["setpriv", "--bounding-set=-dac_override,-dac_read_search",
                *argv]
    out = blk.run(*argv)
    assert out.rc == 0, out
    assert out.text.count("'%s/' can't be read" % folder) == 1, out
    other = blk.create(os.path.join(d, "other.img"), None, top)
    out = blk.run(*argv)
    assert out.rc == 1 and "'%s'" % other in out.text, out


def test_name_that_is_no_name(d):
    """Who may put a file there does not write on the operator's terminal."""
    path = blk.simple(d)
    blk.create(os.path.join(d, "a\n(blkmon) \x1b[2J.img"), None, path)
    with blk.Session() as s:
        said = s.cmd("drive_add 0 id=disk0,file=" + path)
    assert len(said) == 1, said
    assert "/a\\x0a(blkmon) \\x1b[2J.img'" in said[0], said


def test_one_that_another_process_holds(d):
    path = blk.simple(d)
    top = blk.create(os.path.join(d, "top.img"), None, path)
    with open(top, "r+b") as stream:
        fcntl.lockf(stream, fcntl.LOCK_EX)
        refused(d, [path, "-c", WRITE], path, top)


def test_time_of_access_stays(d):
    path = blk.simple(d)
    other = blk.simple(d, "b.img")
    os.utime(other, (1, 1))
    blk.blkmon_ok(path, "-c", WRITE)
    assert os.stat(other).st_atime == 1


def test_several_are_counted(d):
    path = blk.simple(d)
    for n in range(3):
        blk.create(os.path.join(d, "s%d.img" % n), None, path)
    out = blk.blkmon(path, "-c", WRITE)
    assert out.rc == 1 and "2 more" in out.err, out


# ------------------------------------------------------------------ commits

@pytest.mark.parametrize("kind", ["active", "middle", "hmp", "offline"])
@pytest.mark.parametrize("folder", [None, "elsewhere"])
def test_commit(d, kind, folder):
    """A sibling of base in its folder, or in another that the chain goes
    through."""
    f = Family(d)
    if folder:
        f = moved(f, folder)
    args = {
        "active": [f.top, "-c", "block_commit %sdisk0", "-c",
                   "wait disk0 ready", "-c", "block_job_complete disk0"],
        "middle": [f.top, "-c", "block_commit %sdisk0 " + f.base + " " +
                   f.mid],
        "hmp": [f.mid, "-c", "commit %sdisk0"],
        "offline": ["commit", "%s", f.mid],
    }[kind]
    if kind in ("hmp", "offline"):
        os.unlink(f.top)
    f.add_other(os.path.relpath(f.base, f.folder))
    force = "--force" if kind == "offline" else "-f "
    plain = [a % "" if "%s" in a else a for a in args]
    refused(d, [a for a in plain if a], f.base, f.other)
    seen = blk.guest(f.mid)
    blk.blkmon_ok(*[a % force if "%s" in a else a for a in args])
    assert blk.guest(f.base)[:2 * MIB] == seen[:2 * MIB]


def moved(f, folder):
    """The same with mid in a folder of its own, and the sibling beside it."""
    f.folder = os.path.join(f.d, folder)
    os.mkdir(f.folder)
    old, f.mid = f.mid, os.path.join(f.folder, "l1.img")
    os.rename(old, f.mid)
    for image, name in ((f.mid, "../l0.img"), (f.top, folder + "/l1.img")):
        blk.qemu_img("rebase", "-q", "-u", "-f", "qcow2", "-b", name, "-F",
                     "qcow2", image)
    f.other = os.path.join(f.folder, "other.img")
    return f


def test_sibling_of_a_layer_between(d):
    """An overlay of mid shows what base has where mid has nothing."""
    f = Family(d)
    f.add_other("l1.img")
    before = state(d)
    refused(d, [f.top, "-c", "block_commit disk0"], f.mid, f.other)
    # Into mid: nobody but top reads what changes in base; mid's overlay does.
    refused(d, [f.top, "-c", "block_commit disk0 " + f.mid], f.mid, f.other)
    assert state(d) == before


def test_commit_leaves_the_others_of_its_top_alone(d):
    """What a sibling of mid reads through mid is the same in base."""
    f = Family(d)
    f.add_other("l1.img")
    seen = blk.guest(f.other)
    blk.blkmon_ok(f.top, "-c", "block_commit disk0 %s %s" % (f.base, f.mid))
    assert blk.guest(f.other) == seen


def test_offline_commit_of_a_layer_below_others(d):
    """It is emptied, and they read from base what was in it."""
    f = Family(d)
    f.add_other("l1.img")
    seen = blk.guest(f.other), blk.guest(f.top)
    blk.blkmon_ok("commit", f.mid)
    assert (blk.guest(f.other), blk.guest(f.top)) == seen


def test_stream_changes_nothing_that_others_see(d):
    f = Family(d)
    f.add_other("l0.img")
    side = f.add_other("l1.img", os.path.join(d, "side.img"))
    seen = blk.guest(f.other), blk.guest(side)
    blk.blkmon_ok(f.top, "-c", "block_stream disk0")
    assert (blk.guest(f.other), blk.guest(side)) == seen


def test_resize_changes_nothing_that_others_see(d):
    """A layer that grows is zeroes where it was nothing before: overlays, of
    any size, show what they did."""
    path = blk.simple(d)
    long = blk.create(os.path.join(d, "long.img"), 4 * MIB, path)
    same = blk.create(os.path.join(d, "same.img"), None, path)
    seen = blk.guest(long), blk.guest(same)
    blk.blkmon_ok(*drive(path, "force=on"), "-c", "block_resize disk0 8M")
    assert (blk.guest(long), blk.guest(same)) == seen


def test_what_a_commit_left_behind_is_not_missed(d):
    """Snapshot and commit in turns, as operators do: the files that stay are
    no overlays any more, until somebody writes to them."""
    path = blk.simple(d)
    with blk.Session(path) as s:
        for n in range(3):
            new = os.path.join(d, "sn%d.img" % n)
            s.ok("snapshot_blkdev disk0 " + new)
            s.io("write -P %d 0 64k" % (n + 1))
            s.ok("block_commit disk0")
            s.wait(what="ready")
            s.ok("block_job_complete disk0")
            s.wait()
        s.ok("snapshot_blkdev disk0 " + os.path.join(d, "last.img"))
        blk.qemu_io(os.path.join(d, "sn0.img"), "write -P 9 0 64k")
        s.fails("block_commit disk0", "sn0.img")
        s.ok("block_commit -f disk0")


# ---------------------------------------------------------------- snapshots

def test_snapshot_into_the_backing_file_of_another(d):
    path = blk.simple(d)
    old = blk.simple(d, "old.img")
    top = blk.create(os.path.join(d, "top.img"), None, old)
    line = "snapshot_blkdev -n %%sdisk0 %s" % old
    refused(d, [path, "-c", line % ""], old, top)
    blk.blkmon_ok(path, "-c", line % "-f ")


# ------------------------------------------------------------- other words

def node(name, path, **more):
    return {"driver": "qcow2", "node-name": name,
            "file": {"driver": "file", "filename": path}, **more}


def export(name):
    return {"type": "nbd", "id": "e", "node-name": name, "writable": True}


def test_blockdev_is_asked_when_somebody_wants_to_write(d):
    """The overlay may be the next that is opened; until then the layer is
    read."""
    f = Family(d)
    before = state(d)
    with Server(d) as server, server.client() as q:
        q.ask("nbd-server-start", addr={"type": "unix", "data": {
            "path": os.path.join(d, "nbd")}})
        q.ask("blockdev-add", **node("mid", f.mid))
        got = q.request("block-export-add", **export("mid"))
        assert f.top in got["error"]["desc"], got
        line = {"command-line": 'qemu-io mid "write 0 64k"'}
        assert f.top in q.request("human-monitor-command", **line)["return"]
        q.ask("blockdev-add", **node("top", f.top, backing="mid"))
        q.ask("block-export-add", **export("top"))
        q.ask("block-export-del", id="e")
        q.event("BLOCK_EXPORT_DELETED")
        q.ask("blockdev-del", node_name="top")
        got = q.request("block-export-add", **export("mid"))
        assert f.top in got["error"]["desc"], got
        q.ask("blockdev-del", node_name="mid")
        assert {k: v for k, v in state(d).items() if k in before} == before
        q.ask("blockdev-add", **node("mid", f.mid), x_blkmon_force=True)
        q.ask("block-export-add", **export("mid"))


NODE = {"command-line": 'qemu-io mid "write 0 64k"'}


class Nodes:
    """A blkmon whose images are opened by name, with an NBD server."""

    def __init__(self, d):
        self.d = d
        self.server = Server(d)

    def __enter__(self):
        self.server.__enter__()
        self.q = self.server.client()
        self.q.ask("nbd-server-start", addr={"type": "unix", "data": {
            "path": os.path.join(self.d, "nbd")}})
        return self

    def __exit__(self, *why):
        self.q.close()
        self.server.__exit__(*why)

    def ask(self, name, /, **args):
        return self.q.ask(name, **args)

    def refused(self, overlay, name, /, **args):
        """And nothing has changed."""
        before = state(self.d)
        got = self.q.request(name, **args)
        assert overlay in got["error"]["desc"], got
        assert "x-blkmon-force" in got["error"]["desc"], got
        assert state(self.d) == before


@pytest.mark.parametrize("forced", ["export", "old export", "resize",
                                    "reopen"])
def test_who_writes_may_have_the_force(d, forced):
    """Each command that is refused knows the word."""
    f = Family(d)
    with Nodes(d) as n:
        n.ask("blockdev-add", **node("base", f.base))
        n.ask("blockdev-add", **node("mid", f.mid, backing="base"))
        line = {"export": ("block-export-add", export("mid")),
                "old export": ("nbd-server-add",
                               {"device": "mid", "writable": True}),
                "resize": ("block_resize", {"node-name": "mid",
                                            "size": 8 * MIB}),
                "reopen": ("block-export-add", export("mid"))}[forced]
        n.refused(f.top, line[0], **line[1])
        if forced == "reopen":
            n.ask("blockdev-reopen", options=[dict(
                node("mid", f.mid, backing="base"),
                **{"x-blkmon-force": True})])
            n.ask(line[0], **line[1])
        else:
            n.ask(line[0], **line[1], x_blkmon_force=True)


def test_growing_by_hand(d):
    f = Family(d)
    add = "driver=qcow2,node-name=mid,file.driver=file,file.filename="
    refused(d, ["--blockdev", add + f.mid, "-c", "block_resize mid 8M"],
            f.mid, f.top)
    refused(d, ["--blockdev", add + f.mid, "--nbd-server",
                "addr.type=unix,addr.path=" + os.path.join(d, "nbd"),
                "--export", "nbd,id=e,node-name=mid,writable=on", "-c",
                "info block"], f.mid, f.top)
    blk.blkmon_ok("--blockdev", add + f.mid, "-c", "block_resize -f mid 8M")
    assert blk.img_info(f.mid)["virtual-size"] == 8 * MIB


def test_reopened_to_be_written(d):
    f = Family(d)
    options = node("mid", f.mid, backing="base", **{"read-only": False})
    with Nodes(d) as n:
        n.ask("blockdev-add", **node("base", f.base))
        n.ask("blockdev-add", **dict(options, **{"read-only": True}))
        n.refused(f.top, "blockdev-reopen", options=[options])
        nodes = n.ask("query-named-block-nodes")
        assert [x["ro"] for x in nodes if x["node-name"] == "mid"] == [True]
        n.ask("blockdev-reopen", options=[dict(options, **{
            "x-blkmon-force": True})])
        n.ask("block-export-add", **export("mid"))


@pytest.mark.parametrize("how", ["null", "another"])
def test_open_over_something_else(d, how):
    """The overlay is open here, but not over what its header says: who opens
    it next will read from that."""
    f = Family(d)
    with Nodes(d) as n:
        n.ask("blockdev-add", **node("mid", f.mid))
        n.ask("blockdev-add", **node("top", f.top, backing="mid"))
        n.ask("blockdev-add", **node("else", blk.simple(d)))
        n.ask("blockdev-reopen", options=[node(
            "top", f.top, backing=None if how == "null" else "else")])
        n.refused(f.top, "block-export-add", **export("mid"))
        n.ask("block-export-add", **export("top"))


def test_an_overlay_that_is_closed_again(d):
    """Nobody read from it, somebody did, and now nobody has that open."""
    path = blk.simple(d)
    new = os.path.join(d, "new.img")
    with Nodes(d) as n:
        n.ask("blockdev-add", **node("mid", path))
        n.ask("human-monitor-command", **NODE)
        blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", path, "-F",
                     "qcow2", new, "1M")
        n.ask("blockdev-add", **node("new", new, backing="mid"))
        n.ask("blockdev-del", node_name="new")
        n.refused(new, "block-export-add", **export("mid"))
        os.unlink(new)
        n.ask("block-export-add", **export("mid"))


def test_another_backing_file(d):
    """Those above see something else; the same file by other words is the
    same."""
    f = Family(d)
    side = f.add_other("l1.img", os.path.join(d, "side.img"))
    other = blk.create(os.path.join(d, "b.img"), 4 * MIB)
    line = {"device": "disk0", "image-node-name": "m"}
    with Server(d, "--drive",
                "id=disk0,file=%s,backing.node-name=m" % f.top) as server, \
            server.client() as q:
        before = state(d)
        got = q.request("change-backing-file", backing_file=other, **{
            k.replace("-", "_"): v for k, v in line.items()})
        assert side in got["error"]["desc"], got
        assert state(d) == before
        q.ask("change-backing-file", device="disk0", image_node_name="m",
              backing_file=f.base)
        q.ask("change-backing-file", device="disk0", image_node_name="m",
              backing_file=other, x_blkmon_force=True)


def test_a_transaction_is_all_or_nothing(d):
    a, b = blk.simple(d, "a.img"), blk.simple(d, "b.img")
    old = blk.simple(d, "old.img")
    top = blk.create(os.path.join(d, "top.img"), None, old)
    new = os.path.join(d, "new.img")

    def actions(**more):
        return [{"type": "blockdev-snapshot-sync",
                 "data": {"device": "a", "snapshot-file": new}},
                {"type": "blockdev-snapshot-sync",
                 "data": dict({"device": "b", "snapshot-file": old,
                               "mode": "existing"}, **more)}]

    with Server(d, "a=" + a, "b=" + b) as server, server.client() as q:
        before = state(d)
        got = q.request("transaction", actions=actions())
        assert top in got["error"]["desc"], got
        assert state(d) == before
        q.ask("transaction", actions=actions(**{"x-blkmon-force": True}))


def test_an_old_overlay_that_is_open(d):
    """blockdev-snapshot into what another image reads from."""
    path, old = blk.simple(d), blk.simple(d, "old.img")
    top = blk.create(os.path.join(d, "top.img"), None, old)
    line = {"node": "mid", "overlay": "old"}
    with Nodes(d) as n:
        n.ask("blockdev-add", **node("mid", path))
        n.ask("blockdev-add", **node("old", old, backing=None))
        n.refused(top, "blockdev-snapshot", **line)
        n.ask("blockdev-snapshot", **line, x_blkmon_force=True)
        n.ask("block-export-add", **export("old"))


def test_stream_into_a_layer_asks_nobody(d):
    """Into a middle layer and into the top; an overlay of the middle one, and
    one of base, show what they did."""
    f = Family(d)
    side = f.add_other("l1.img", os.path.join(d, "side.img"))
    f.add_other("l0.img")
    seen = [blk.guest(x) for x in (f.top, side, f.other)]
    with blk.Session("--drive", "id=disk0,file=%s,backing.node-name=m"
                     % f.top) as s:
        s.ok('{"execute": "block-stream", "arguments": {"job-id": "j", '
             '"device": "m"}}')
        s.wait("j")
        s.ok("block_stream disk0")
        s.wait()
    assert [blk.guest(x) for x in (f.top, side, f.other)] == seen


def test_drive_add(d):
    f = Family(d)
    before = state(d)
    with blk.Session() as s:
        line = "drive_add 0 id=disk0,format=qcow2,file=" + f.mid
        said = "\n".join(s.cmd(line))
        assert f.top in said and "force=on" in said, said
        assert s.cmd(line + ",readonly=on") == ["OK"]
        s.ok("drive_del disk0")
        assert state(d) == before
        s.ok(line + ",force=on")
        s.io("write -P 9 0 64k")


# --------------------------------------------------------- how long it takes

def used():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


def fill(d, count, data):
    for n in range(count):
        with open(os.path.join(d, "i%06d" % n), "wb") as stream:
            stream.write(data)


def test_ten_thousand_images(d):
    """In time of the processor, for others work here too."""
    path = blk.simple(d)
    far = blk.simple(d, "far.img")
    fill(d, 10000, content(blk.create(os.path.join(d, "o"), None, far))[:4096])

    def cost(*more):
        before = used()
        blk.blkmon_ok(*drive(path, "format=qcow2", *more), "-c", "info block")
        return used() - before

    plain = min(cost("force=on") for _ in range(3))
    limit = 0.1 if "SAN" not in os.environ else 1
    assert blk.best(lambda: cost() - plain, limit) < 2 * limit


def test_a_look_that_is_cut_short_is_said(d):
    path = blk.simple(d)
    fill(d, 100000, b"")
    out = blk.blkmon_ok(*drive(path, "format=qcow2"), "-c", "info block")
    assert "Not all files" in out.text and path in out.text, out
    out = blk.blkmon_ok(*drive(path, "format=qcow2", "force=on"), "-c",
                        "info block")
    assert out.err == "", out
