# SPDX-License-Identifier: GPL-3.0-or-later
"""snapshot_blkdev: the new layer, its name, and what is refused."""

import os

import pytest

import blk
from blk import KIB, MIB, content


def test_snapshot(d):
    base = blk.create(os.path.join(d, "base.img"), 4 * MIB)
    blk.qemu_io(base, "write -P 0x61 0 1M")
    os.chmod(base, 0o640)
    new = os.path.join(d, "sn1")
    with blk.Session(base) as s:
        s.io("write -P 0x62 1M 64k")
        s.ok("snapshot_blkdev disk0 %s qcow2" % new)
        assert s.depth() == (new, base, 1)
        before = content(base)
        s.io("write -P 0x63 0 64k")
        assert s.quit() == 0
    assert content(base) == before
    info = blk.img_info(new)
    assert info["backing-filename-format"] == "qcow2"
    assert info["full-backing-filename"] == base
    assert os.stat(new).st_mode & 0o777 == 0o640
    want = b"\x63" * 64 * KIB + b"\x61" * (MIB - 64 * KIB) \
        + b"\x62" * 64 * KIB + bytes(3 * MIB - 64 * KIB)
    blk.assert_same(blk.guest(new), want, "through the snapshot")
    blk.check(new)


@pytest.mark.parametrize("umask", [0o022, 0o077])
@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
@pytest.mark.parametrize("mode", [0o640, 0o600, 0o444])
def test_overlay_is_its_owners(d, umask, mode):
    """A machine that runs as somebody else can open its new disk."""
    base = blk.create(os.path.join(d, "base.img"), MIB)
    new = os.path.join(d, "sn1")
    os.chown(base, 64055, 64056)
    os.chmod(base, mode)
    out = blk.run("sh", "-c", "umask %o; exec \"$@\"" % umask, "sh",
                  blk.BLKMON, "--drive", "id=disk0,format=qcow2,file=" + base,
                  "-c", "snapshot_blkdev disk0 %s qcow2" % new)
    assert out.rc == 0, out
    st = os.stat(new)
    assert (st.st_uid, st.st_gid) == (64055, 64056)
    assert st.st_mode & 0o777 == mode | 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_overlay_that_can_not_be_given_away(d):
    """Who may not give it away keeps it, and lets no other group in."""
    base = blk.create(os.path.join(d, "base.img"), MIB)
    new = os.path.join(d, "sn1")
    os.chown(base, 64055, 64056)
    os.chmod(base, 0o664)
    os.chmod(d, 0o777)
    out = blk.run("setpriv", "--reuid", "64057", "--regid", "64056",
                  "--clear-groups", blk.BLKMON, "--drive",
                  "id=disk0,format=qcow2,file=" + base, "-c",
                  "snapshot_blkdev disk0 %s qcow2" % new)
    assert out.rc == 0, out
    st = os.stat(new)
    assert (st.st_uid, st.st_gid) == (64057, 64056)
    assert st.st_mode & 0o777 == 0o664
    os.unlink(new)
    os.chmod(base, 0o676)
    out = blk.run("setpriv", "--reuid", "64057", "--regid", "64058",
                  "--clear-groups", "sh", "-c", "umask 027; exec \"$@\"",
                  "sh", blk.BLKMON, "--drive",
                  "id=disk0,format=qcow2,file=" + base, "-c",
                  "snapshot_blkdev disk0 %s qcow2" % new)
    assert out.rc == 0, out
    st = os.stat(new)
    assert (st.st_uid, st.st_gid) == (64057, 64058)
    assert st.st_mode & 0o777 == 0o666


def test_snapshot_refusals(d):
    base = blk.create(os.path.join(d, "base.img"), 4 * MIB)
    full = os.path.join(d, "full")
    with open(full, "w", encoding="ascii") as stream:
        stream.write("somebody's letters\n")
    empty = os.path.join(d, "empty")
    with open(empty, "w", encoding="ascii"):
        pass
    link = os.path.join(d, "link")
    os.symlink(os.path.join(d, "elsewhere"), link)
    with blk.Session(base) as s:
        s.fails("snapshot_blkdev disk0", "Parameter 'snapshot-file' is missing")
        s.fails("snapshot_blkdev nosuch x", "nosuch")
        s.fails("snapshot_blkdev disk0 %s/x nosuchfmt" % d,
                "Unknown file format 'nosuchfmt'")
        s.fails("snapshot_blkdev disk0 %s/x raw" % d,
                "Backing file not supported for file format 'raw'")
        s.fails("snapshot_blkdev disk0 /nosuch/dir/x",
                "Could not create '/nosuch/dir/x': No such file or directory")
        s.fails("snapshot_blkdev disk0 " + full, "full")
        s.fails("snapshot_blkdev disk0 " + base)
        s.fails("snapshot_blkdev disk0 " + link)
        s.fails("snapshot_blkdev -n disk0 %s/none" % d, "No such file")
        assert s.depth() == (base, None, 0)
        s.ok("snapshot_blkdev disk0 " + empty)
        assert s.depth() == (empty, base, 1)
        s.quit()
    with open(full, encoding="ascii") as stream:
        assert stream.read() == "somebody's letters\n"
    assert not os.path.exists(os.path.join(d, "x"))
    assert not os.path.exists(os.path.join(d, "elsewhere"))


def test_snapshot_of_a_prepared_file(d):
    base = blk.create(os.path.join(d, "base.img"), 4 * MIB)
    blk.qemu_io(base, "write -P 0x64 0 1M")
    new = blk.create(os.path.join(d, "new.img"), None, "base.img",
                     cluster_size=4096)
    with blk.Session("--drive", "id=disk0,force=on,file=" + base) as s:
        s.ok("snapshot_blkdev -n disk0 " + new)
        assert s.depth() == (new, base, 1)
        s.io("write -P 0x65 0 64k")
        s.quit()
    assert blk.img_info(new)["cluster-size"] == 4096
    assert blk.guest(new)[:MIB] == b"\x65" * 64 * KIB + \
        b"\x64" * (MIB - 64 * KIB)


@pytest.mark.parametrize("cwd", ["images", "parent", "root"])
def test_relative_stays_relative_and_right(d, cwd):
    """What a header says is seen from its own folder, not from ours."""
    images = os.path.join(d, "images")
    os.makedirs(os.path.join(images, "sub"))
    names = ["base", "sub/mid", "sub/top"]
    links = [None, "../base", "mid"]
    for name, link in zip(names, links):
        blk.create(os.path.join(images, name), None if link else MIB, link)
        blk.qemu_io(os.path.join(images, name), "write -P 0x66 0 64k")
    where = {"images": images, "parent": d, "root": "/"}[cwd]
    here = [os.path.relpath(os.path.join(images, n), where) for n in names]
    new = os.path.relpath(os.path.join(images, "new"), where)
    with blk.Session(here[2], cwd=where) as s:
        s.ok("snapshot_blkdev disk0 " + new)
        s.ok("block_commit disk0 %s %s" % (here[0], here[1]))
        s.wait()
        s.quit()
    full = [os.path.join(images, n) for n in names]
    new = os.path.join(images, "new")
    assert blk.files_of_chain(new) == [new, full[2], full[0]]
    assert blk.img_info(full[2])["backing-filename"] == "../base"
    with blk.Session(os.path.relpath(new, where), cwd=where) as s:
        s.ok("block_stream disk0 0 " + here[0])
        s.wait()
        s.quit()
    assert blk.files_of_chain(new) == [new, full[0]]
    blk.check(new)
