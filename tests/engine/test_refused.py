# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that must be refused: at once, unchanged, in words that help."""

import os
import stat
import struct
import time

import pytest

import blk
import header
from blk import KIB, MIB, content


def refused(*args, words=(), limit=5):
    """Exit status 1, soon, with a sentence that has these words in it."""
    def attempt():
        start = time.monotonic()
        out = blk.blkmon(*args, "-c", "info block")
        took = time.monotonic() - start
        assert out.rc == 1, out
        for word in words:
            assert word in out.err, "%r lacks %r" % (out.err, word)
        return took
    assert blk.best(attempt, limit) < limit
    out = blk.blkmon("cat", args[-1]) if len(args) == 1 else None
    assert out is None or (out.rc == 1 and not out.raw), out


def test_unknown_feature_is_named(d):
    path = blk.simple(d)
    head = header.Header(path)
    table = bytearray(head.extension(header.FEATURE_NAMES))
    table += struct.pack(">BB46s", 0, 17, b"frobnicated clusters")
    head.extensions = [(k, bytes(table) if k == header.FEATURE_NAMES else v)
                       for k, v in head.extensions]
    head.write()
    blk.check(path)
    header.set_bits(path, header.INCOMPATIBLE, 1 << 17)
    before = content(path)
    refused(path, words=["a.img", "frobnicated clusters"])
    header.set_bits(path, header.INCOMPATIBLE, 1 << 41)
    refused(path, words=["41"])
    header.put(path, header.INCOMPATIBLE, 1 << 17)
    blk.unchanged(path, before)


def test_encrypted(d):
    luks = os.path.join(d, "luks.img")
    # Where the machine is busy qemu-img cannot measure what a hash costs.
    for _ in range(20):
        made = blk.qemu_img("create", "-q", "-f", "qcow2", "--object",
                            "secret,id=s,data=abc", "-o",
                            "encrypt.format=luks,encrypt.key-secret=s,"
                            "encrypt.iter-time=10", luks, "1M", rc=None)
        if "CPU usage" not in made.err:
            break
    assert made.rc == 0, made
    refused(luks, words=["luks.img", "encrypt"])
    aes = blk.simple(d)
    header.put(aes, header.CRYPT, 1, ">I")
    refused(aes, words=["a.img", "encrypt"])


def test_corrupt_bit(d):
    path = blk.simple(d)
    header.set_bits(path, header.INCOMPATIBLE, header.CORRUPT)
    before = content(path)
    out = blk.blkmon(path, "-c", "info block")
    assert out.rc == 1 and "corrupt" in out.err, out
    blk.unchanged(path, before)
    assert blk.cat(path)[:256 * KIB] == b"\x11" * 256 * KIB
    out = blk.blkmon_ok("--drive", "file=%s,id=disk0,readonly=on" % path,
                        "-c", 'qemu-io disk0 "read -P 0x11 0 256k"')
    assert "failed" not in out.text, out
    blk.unchanged(path, before)


def without_format(d):
    base, top = blk.simple(d, "base.img"), os.path.join(d, "top.img")
    blk.create(top, None, base)
    head = header.Header(top)
    head.extensions = [e for e in head.extensions
                       if e[0] != header.BACKING_FORMAT]
    head.write()
    return base, top


def test_backing_without_format(d):
    _, top = without_format(d)
    refused(top, words=["base.img", "backing-format"])
    drive = "file=%s,id=disk0,backing-format=" % top
    out = blk.blkmon_ok("--drive", drive + "qcow2", "-c",
                        'qemu-io disk0 "read -P 0x11 0 256k"')
    assert "failed" not in out.text and "mismatch" not in out.text, out
    # Named raw, the header of the base is what the guest reads.
    out = blk.blkmon_ok("--drive", drive + "raw", "-c",
                        'qemu-io disk0 "read -v 0 512"')
    assert "51 46 49 fb" in out.out, out


def test_probe_is_a_choice(d):
    _, top = without_format(d)
    out = blk.blkmon_ok("--probe", top, "-c", "info block -v")
    assert out.out.count("file format: qcow2") == 2, out


def test_format_of_the_command_line_is_said(d):
    """A probed format is told to the operator; a named one is not news."""
    path = blk.simple(d)
    probed = blk.blkmon_ok(path, "-c", "info block")
    assert "a.img" in probed.err and "qcow2" in probed.err, probed
    named = blk.blkmon_ok("--drive", "file=%s,id=disk0,format=qcow2" % path,
                          "-c", "info block")
    assert named.err == "", named


@pytest.mark.parametrize("name", [
    'json:{"driver":"raw","file":{"driver":"file","filename":"CANARY"}}',
    "nbd://127.0.0.1:1/x", "nbd:unix:/nowhere", "http://127.0.0.1:1/x",
    "fat:rw:CANARY", "file:CANARY"])
def test_protocol_names(d, name):
    canary = os.path.join(d, "canary")
    with open(canary, "w", encoding="ascii") as stream:
        stream.write("do not read\n" * 100)
    name = name.replace("CANARY", canary)
    path = os.path.join(d, "a.img")
    blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", name, "-F",
                 "raw", path, "1M")
    os.utime(canary, (1, 1))
    if name.startswith("file:"):
        # QEMU's other way to write a plain name: as plain, or refused.
        out = blk.blkmon("cat", path)
        assert out.rc in (0, 1), out
        return
    refused(path, words=[name[:8]])
    assert os.stat(canary).st_atime == 1, "canary was read"


def test_data_file_must_be_named(d):
    data = os.path.join(d, "data.raw")
    path = blk.create(os.path.join(d, "a.img"), MIB, data_file=data)
    blk.qemu_io(path, "write -P 0x12 0 64k")
    refused(path, words=["data.raw", "data-file"])
    top = blk.create(os.path.join(d, "top.img"), None, path)
    refused(top, words=["data-file"])
    drive = "file=%s,id=disk0,format=qcow2," % top
    for more in ("data-file=%s,data-file=x" % data,
                 "backing.data-file=%s,data-file=x" % data,
                 "data-file=%s,backing.backing.data-file=x" % data,
                 "backing.data-file=%s,backing.node-name=n,"
                 "backing.backing.data-file=x" % data):
        refused("--drive", drive + more, words=["is named", "x"])
    raw = blk.create(os.path.join(d, "raw.img"), MIB, fmt="raw")
    refused("--drive", "file=%s,format=raw,data-file=x" % raw, words=["x"])


@pytest.mark.parametrize("how", ["itself", "symlink", "hardlink", "two"])
def test_loops(d, how):
    a, b = os.path.join(d, "a.img"), os.path.join(d, "b.img")
    blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-b",
                 "a.img" if how == "itself" else "b.img", "-F", "qcow2", a,
                 "1M")
    if how == "symlink":
        os.symlink("a.img", b)
    elif how == "hardlink":
        os.link(a, b)
    elif how == "two":
        blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", "a.img",
                     "-F", "qcow2", b, "1M")
    refused(a, words=["loop"])
    out = blk.blkmon("info", a)
    assert out.rc == 1 and out.err, out


@pytest.mark.parametrize("kind", ["fifo", "directory", "device", "missing"])
@pytest.mark.parametrize("place", ["active", "backing"])
def test_what_may_be_a_layer(d, kind, place):
    odd = os.path.join(d, "odd")
    if kind == "fifo":
        os.mkfifo(odd)
    elif kind == "directory":
        os.mkdir(odd)
    elif kind == "device":
        odd = "/dev/zero"
        assert stat.S_ISCHR(os.stat(odd).st_mode)
    if place == "active":
        refused("--drive", "file=%s,id=disk0,format=raw" % odd, words=[odd])
        return
    top = os.path.join(d, "top.img")
    blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", odd, "-F", "raw",
                 top, "1M")
    refused("--drive", "file=" + top, words=[odd])


@pytest.mark.parametrize("place,value,fmt", [
    (0, 0x51464900, ">I"), (4, 1, ">I"), (4, 4, ">I"), (20, 8, ">I"),
    (20, 22, ">I"), (20, 63, ">I"), (36, 0, ">I"), (36, 0x7fffffff, ">I"),
    (40, 513, ">Q"), (48, 1, ">Q"), (56, 0, ">I"), (56, 0xffffffff, ">I"),
    (60, 0x10000000, ">I"), (96, 7, ">I"), (100, 96, ">I"),
    (100, 0xfffffff8, ">I"), (8, 0x7fffffffffff, ">Q"),
    (24, 0xffffffffffffffff, ">Q")])
def test_bad_headers(d, place, value, fmt):
    """Refused at once with a reason; never a crash, never a big malloc."""
    path = blk.simple(d)
    if place == 8:
        header.put(path, 16, 100, ">I")
    header.put(path, place, value, fmt)
    before = content(path)
    refused("--drive", "file=%s,id=disk0,format=qcow2" % path,
            words=["a.img"], limit=3)
    blk.unchanged(path, before)


CONTAINERS = [("vmdk", o) for o in ("monolithicSparse", "monolithicFlat",
                                    "streamOptimized")] + \
    [("vpc", "dynamic"), ("vpc", "fixed")] + \
    [(fmt, None) for fmt in ("vdi", "vhdx", "qed", "parallels", "luks",
                             "qcow")]


def container(d, fmt, kind):
    path = os.path.join(d, "image")
    opts = ["subformat=" + kind] if kind else []
    secret = []
    if fmt == "luks":
        opts = ["key-secret=s,iter-time=10"]
        secret = ["--object", "secret,id=s,data=x"]
    # Where the machine is busy qemu-img cannot measure what a hash costs.
    for _ in range(20):
        out = blk.qemu_img("create", "-q", *secret, "-f", fmt,
                           *(["-o", opts[0]] if opts else []), path, "8M",
                           rc=None)
        if "CPU usage" not in out.err:
            break
    assert out.rc == 0, out
    return path


@pytest.mark.parametrize("fmt, kind", CONTAINERS)
def test_other_containers_are_no_raw_disks(d, fmt, kind):
    """Wherever a format is guessed; who says what it is has it."""
    path = container(d, fmt, kind)
    words = ["looks like an image of format %s," % fmt, "format=raw"]
    refused(path, words=words)
    refused("--drive", "file=" + path, words=words)
    top = os.path.join(d, "top")
    blk.create(top, "8M", path, "raw")
    head = header.Header(top)
    head.extensions = [e for e in head.extensions
                       if e[0] != header.BACKING_FORMAT]
    head.write()
    before = content(path)
    refused("--probe", top, words=words)
    for args in (["info", path], ["cat", path], ["commit", "--probe", top]):
        out = blk.blkmon(*args)
        assert out.rc == 1 and all(w in out.err for w in words), out
    assert content(path) == before
    blk.blkmon_ok("--drive", "file=%s,format=raw,force=on" % path, "-c",
                  "info block")
    blk.blkmon_ok("--drive", "file=%s,backing-format=raw" % top, "-c",
                  "info block")


@pytest.mark.parametrize("fmt, end", [
    ("vpc", b"conectix".ljust(60, b"\0") + b"\0\0\0\2".ljust(452, b"\0")),
    ("vpc", b"conectix".ljust(60, b"\0") + b"\0\0\0\2".ljust(451, b"\0")),
    ("dmg", b"koly".ljust(512, b"\0"))], ids=["vpc", "vpc511", "dmg"])
def test_containers_that_begin_as_the_disk(d, fmt, end):
    """The footer of a fixed VHD has 512 bytes, or 511 as the first ones."""
    path = os.path.join(d, "image")
    with open(path, "wb") as out:
        out.write(b"\1" * MIB + end)
    words = ["looks like an image of format %s," % fmt, "format=raw"]
    refused(path, words=words)
    blk.blkmon_ok("--drive", "file=%s,format=raw" % path, "-c", "info block")


def test_extent_of_a_newer_vmdk(d):
    """QEMU makes none, and reads them by way of their descriptor."""
    path = os.path.join(d, "image")
    with open(path, "wb") as out:
        out.write(struct.pack("<QQ", 0xcafebabe, 0x200000001).ljust(MIB))
    refused(path, words=["looks like an image of format vmdk,", "format=raw"])


def test_who_has_the_image_is_named(d):
    """In lines, also where a node is opened by an option; and the image itself
    is no other process."""
    path = blk.create(os.path.join(d, "a"), MIB)
    with blk.held_by_qemu_io(path) as held:
        want = "lock\nIs another process using the image [%s]? " \
            "(qemu-io, pid %d)\n" % (path, held.proc.pid)
        for args in ([path], ["commit", path], [
                "--blockdev", "driver=qcow2,node-name=n,file.driver=file,"
                "file.filename=" + path]):
            out = blk.blkmon(*args)
            assert out.rc == 1 and out.err.endswith(want), out
    data = os.path.join(d, "raw")
    path = blk.create(os.path.join(d, "b"), MIB, data_file=data)
    out = blk.blkmon("--drive", "file=%s,format=qcow2,data-file=%s"
                     % (path, path))
    assert out.rc == 1 and "its own data file" in out.err, out


def test_a_backing_file_that_is_gone(d):
    """Whose it is, where it was looked for, and what mends it; also where the
    link is two images down, and for blockdev-add."""
    os.mkdir(os.path.join(d, "sub"))
    gone = blk.create(os.path.join(d, "sub", "gone"), MIB)
    mid, top = os.path.join(d, "mid"), os.path.join(d, "top")
    blk.create(mid, None, "sub/gone", cwd=d)
    blk.create(top, None, mid)
    os.rename(gone, os.path.join(d, "moved"))
    words = ["Could not open '%s': No such file or directory" % gone,
             "backing file of '%s'" % mid, "looked for at '%s'" % gone,
             "qemu-img rebase -u -f qcow2 -F qcow2 -b WHERE %s mends" % mid]
    refused("--drive", "file=" + top, words=words)
    refused("--drive", "readonly=on,file=" + mid, words=words)
    add = "driver=qcow2,node-name=n,file.driver=file,file.filename="
    for path in mid, top:
        out = blk.blkmon("--blockdev", add + path)
        assert out.rc == 1 and all(w in out.err for w in words), out
        assert out.err.count("mends") == 1
    # an image itself, and a data file, are in no link
    out = blk.blkmon(gone, "-c", "info block")
    assert out.rc == 1 and "backing file" not in out.err, out
    blk.qemu_img("rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b",
                 os.path.join(d, "moved"), mid)
    blk.blkmon_ok(top, "-c", "info block")


def test_a_word_may_be_meant_as_a_subcommand(d):
    for word in ("help", "chek"):
        out = blk.blkmon(word, "-c", "info block")
        assert out.rc == 1
        assert (f"blkmon: '{word}' is no subcommand either; they are commit, "
                "info, cat, check, map, compare, measure, rebase, plan, "
                "history, undo, delete, places\n") in out.err
    for word in ("./nosuch", "nosuch.qcow2", "a/b"):
        out = blk.blkmon(word, "-c", "info block")
        assert out.rc == 1 and "subcommand" not in out.err


@pytest.mark.parametrize("name", ["info", "cat", "commit", "check"])
def test_a_subcommand_says_who_complains(d, name):
    out = blk.blkmon(name, "--nosuch", "x")
    assert out.err.startswith(f"blkmon {name}: unrecognized option"), out
