# SPDX-License-Identifier: GPL-3.0-or-later
"""Bits and extensions of the header: understood, kept or cleared."""

import json
import os

import pytest

import blk
import header
from blk import KIB, MIB, content


def dirty_image(d):
    path = blk.create(os.path.join(d, "a.img"), 4 * MIB, lazy_refcounts="on")
    out = blk.run("qemu-io", "-f", "qcow2", "-c", "write -P 0x13 0 1M",
                  "-c", "flush", "-c", "sigraise 9", path)
    assert out.rc == -9, out
    assert header.get(path, header.INCOMPATIBLE) & header.DIRTY
    return path


def test_dirty_image_is_repaired_when_opened_for_writing(d):
    path = dirty_image(d)
    blk.guest_io([path], ["read -P 0x13 0 1M", "write -P 0x14 1M 1M"])
    assert not header.get(path, header.INCOMPATIBLE) & header.DIRTY
    blk.check(path)
    want = b"\x13" * MIB + b"\x14" * MIB + bytes(2 * MIB)
    blk.assert_same(blk.guest(path), want, "repaired")


def test_dirty_image_is_only_read_when_opened_for_reading(d):
    path = dirty_image(d)
    before = content(path)
    assert blk.cat(path)[:MIB] == b"\x13" * MIB
    blk.blkmon_ok("info", path)
    blk.blkmon_ok("--drive", "file=%s,id=disk0,readonly=on" % path, "-c",
                  "info block")
    blk.unchanged(path, before)
    # As a backing file it is opened read-only, too.
    top = blk.create(os.path.join(d, "top.img"), None, path)
    blk.guest_io([top], ["write -P 0x15 0 512"])
    blk.unchanged(path, before)
    blk.check(top)


def test_unknown_autoclear_bits(d):
    """Kept while nothing changes, gone at the first change."""
    path = blk.simple(d)
    header.set_bits(path, header.AUTOCLEAR, 1 << 13)
    before = content(path)
    blk.cat(path)
    blk.blkmon_ok("--drive", "file=%s,id=disk0,readonly=on" % path,
                  "-c", 'qemu-io disk0 "read 0 64k"')
    blk.unchanged(path, before)
    blk.guest_io([path], ["write -P 0x16 0 512"])
    assert header.get(path, header.AUTOCLEAR) == 0
    blk.check(path)


def odd_header(path):
    """An unknown extension, an unknown compatible bit, a longer header."""
    head = header.Header(path)
    blob = bytes(range(37))
    head.extensions.insert(0, (0xfeedbeef, blob))
    head.extensions.append((0x0badcafe, b""))
    head.fixed += bytes(120 - len(head.fixed))
    head.fixed[112:120] = b"tailtail"
    head.write()
    header.set_bits(path, header.COMPATIBLE, 1 << 9)
    blk.check(path)
    return blob


def judge_odd_header(path, blob):
    head = header.Header(path)
    assert head.extension(0xfeedbeef) == blob
    assert head.extension(0x0badcafe) == b""
    assert head.fixed[112:120] == b"tailtail"
    assert header.get(path, header.COMPATIBLE) & 1 << 9
    blk.check(path)


@pytest.mark.parametrize("job", ["stream", "stream-base", "commit"])
def test_unknown_extensions_survive(d, job):
    base = blk.simple(d, "base.img")
    mid = blk.create(os.path.join(d, "mid.img"), None, base)
    top = blk.create(os.path.join(d, "top.img"), None, mid)
    blk.qemu_io(mid, "write -P 0x17 64k 64k")
    blob = odd_header(top)
    want = blk.guest(top)
    line = {"stream": "block_stream disk0",
            "stream-base": "block_stream disk0 0 " + base,
            "commit": "block_commit disk0 %s %s" % (base, mid)}[job]
    blk.blkmon_ok(top, "-c", line, "-c", "wait disk0 done 30")
    judge_odd_header(top, blob)
    left = [top] if job == "stream" else [top, base]
    assert blk.files_of_chain(top) == left
    blk.assert_same(blk.guest(top), want, job)


def test_long_names_fit_or_are_refused(d):
    """The new backing name must fit into cluster 0, or nothing is done."""
    folder = os.path.join(d, "n" * 200, "m" * 180)
    os.makedirs(folder)
    base = blk.create(os.path.join(folder, "base.img"), 64 * KIB)
    blk.qemu_io(base, "write -P 0x18 0 64k")
    mid = blk.create(os.path.join(d, "mid.img"), None, base)
    top = blk.create(os.path.join(d, "top.img"), None, mid, cluster_size=512)
    out = blk.blkmon(top, "-c", "block_stream disk0 0 " + base,
                     "-c", "wait disk0 done 30")
    assert out.rc in (0, 1), out
    left = [top, base] if out.rc == 0 else [top, mid, base]
    assert blk.files_of_chain(top) == left, out
    blk.check(top)
    assert blk.guest(top) == b"\x18" * 64 * KIB


def test_persistent_bitmaps_are_never_silently_wrong(d):
    path = blk.simple(d)
    blk.qemu_img("bitmap", "--add", path, "b0")
    assert header.get(path, header.AUTOCLEAR) & 1
    before = content(path)
    blk.cat(path)
    blk.unchanged(path, before)
    out = blk.guest_io([path], ["write -P 0x19 512k 64k"])
    assert not header.get(path, header.AUTOCLEAR) & 1
    assert "bitmap" in out.text, out
    # Their clusters were let go: none is leaked.
    blk.check(path)
    assert blk.guest(path)[512 * KIB:576 * KIB] == b"\x19" * 64 * KIB


def test_compressed_garbage_is_an_error_not_a_crash(d):
    """A broken deflate stream: EIO for that range only (H7)."""
    path = blk.create(os.path.join(d, "a.img"), MIB)
    blk.qemu_io(path, "write -c -P 0x1a 0 64k", "write -P 0x1b 64k 64k")
    entry = header.get(path, header.get(path, header.get(path, 40))
                       & 0x00fffffffffffe00)
    assert entry & 1 << 62
    with open(path, "r+b") as image:
        image.seek(entry & (1 << 54) - 1)
        image.write(b"\xff" * 64)
    assert blk.blkmon("cat", path).rc == 1
    with blk.Session(path) as s:
        reply = "\n".join(s.cmd('qemu-io disk0 "read 0 64k"'))
        assert "Input/output error" in reply, reply
        s.io("read -P 0x1b 64k 64k")
        s.quit()


def test_info_says_what_qemu_img_says(d):
    base = blk.create(os.path.join(d, "base.raw"), 3 * MIB, fmt="raw")
    mid = blk.create(os.path.join(d, "mid.img"), None, base, "raw",
                     compat="0.10", cluster_size=4096)
    top = blk.create(os.path.join(d, "top.img"), 5 * MIB, "mid.img",
                     cwd=d, extended_l2="on", lazy_refcounts="on",
                     compression_type="zstd", refcount_bits=64)
    blk.qemu_img("snapshot", "-c", "inside", top)
    got = json.loads(blk.blkmon_ok("info", "--json", top).out)
    want = blk.img_chain(top)
    keys = ["filename", "format", "virtual-size", "cluster-size",
            "backing-filename", "full-backing-filename",
            "backing-filename-format", "format-specific"]
    assert [[i.get(k) for k in keys] for i in got] == \
        [[i.get(k) for k in keys] for i in want]
    assert [len(i.get("snapshots", [])) for i in got] == [1, 0, 0]
    text = blk.blkmon_ok("info", top).out
    for line in ("virtual size: 5 MiB (5242880 bytes)",
                 "backing file: mid.img (actual path: %s)" % mid,
                 "compression type: zstd", "extended l2: true"):
        assert line in text, text
