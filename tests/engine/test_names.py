# SPDX-License-Identifier: GPL-3.0-or-later
"""What images are called: which one a name means, and what headers say."""

import os

import pytest

import blk
from blk import MIB
from qmpsock import Server


def node(name, path, backing=None):
    return {"driver": "qcow2", "node-name": name, "backing": backing,
            "file": {"driver": "file", "filename": path}}


def test_words_of_a_header_are_no_other_file(d):
    """top's header says a, and b was opened below it: nothing that is said of
    a may be done to b."""
    low, a, b = (os.path.join(d, n + ".qcow2") for n in ("low", "a", "b"))
    top, active = os.path.join(d, "top.qcow2"), os.path.join(d, "act.qcow2")
    blk.create(low, 4 * MIB)
    blk.create(a, None, low)
    blk.create(b, None, low)
    blk.create(top, None, a)
    blk.create(active, None, top)
    blk.qemu_io(top, "write -P 7 0 64k")
    held = blk.content(b)
    with Server(d) as s, s.client() as q:
        q.ask("blockdev-add", **node("bottom", low))
        q.ask("blockdev-add", **node("b", b, "bottom"))
        q.ask("blockdev-add", **node("top", top, "b"))
        q.ask("blockdev-add", **node("active", active, "top"))
        for words in a, "a.qcow2":
            for name, how in (
                    ("block-commit", {"base": words}),
                    ("block-commit", {"top": top, "base": words}),
                    ("block-commit", {"top": words, "base": low}),
                    ("block-stream", {"base": words})):
                got = q.request(name, device="active", job_id="j", **how)
                assert got["error"]["desc"] in (
                    "Can't find '%s' in the backing chain" % words,
                    "Top image file %s not found" % words), (how, got)
        # what is open there is found by its own name
        q.ask("block-commit", device="active", job_id="j", top=top, base=b)
        q.event("BLOCK_JOB_COMPLETED", device="j")
    assert blk.content(b) != held
    blk.qemu_io(b, "read -P 7 0 64k")


# What QEMU takes for a protocol, and names that look a little like that.
ODD = ["VM:root", "disk 2024-01-01T10:30", "win_srv:c", "a,b:c", "\xe9:x",
       "50%:x", ":x", "vm:lower", "dir:y/x", "plain"]


def quoted(name):
    return name.replace(",", ",,")


def place(d, *names):
    where = []
    for name in names:
        path = os.path.join(d, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        where.append(path)
    return where


def link(path):
    return blk.img_info(path)["backing-filename"]


def reads(path, *want):
    """As QEMU follows the links, which are relative ones."""
    blk.qemu_io(path, *["read -P %d %dk 64k" % w for w in want])
    for image in blk.img_chain(path)[:-1]:
        assert not image["backing-filename"].startswith("/"), image


@pytest.mark.parametrize("name", ODD)
def test_qemu_can_follow_every_link(d, name, monkeypatch):
    """Made by a snapshot, a stream, a commit and change-backing-file; named
    from the folder itself, so nothing stands in front of the colon."""
    monkeypatch.chdir(d)
    base, = place(d, name)
    blk.create(base, 4 * MIB)
    blk.qemu_io(base, "write -P 7 0 64k")
    with blk.Session("--drive", "id=disk0,format=qcow2,file=" +
                     quoted(name)) as s:
        s.ok("snapshot_blkdev disk0 mid qcow2")
        s.io("write -P 8 64k 64k")
        s.ok("snapshot_blkdev disk0 low qcow2")
        s.ok("snapshot_blkdev disk0 top qcow2")
        # top and mid are above what is streamed and committed
        s.ok('block_stream disk0 0 "%s"' % name)
        s.wait()
        assert s.quit() == 0
    reads("top", (7, 0), (8, 64))
    reads("mid", (7, 0), (8, 64))
    with blk.Session("--drive", "id=disk0,format=qcow2,file=top") as s:
        s.ok("snapshot_blkdev disk0 a qcow2")
        s.io("write -P 9 128k 64k")
        s.ok("snapshot_blkdev disk0 b qcow2")
        s.ok('block_commit -f disk0 "%s" a' % name)
        s.wait()
        assert s.quit() == 0
    reads("b", (7, 0), (8, 64), (9, 128))
    assert link("b") == ("./" if ":" in name else "") + name


@pytest.mark.parametrize("name", ODD)
def test_words_of_an_operator(d, name, monkeypatch):
    """backing-file= and change-backing-file: what QEMU would not find gets
    what it needs in front; what leads nowhere is left as it is."""
    monkeypatch.chdir(d)
    base, = place(d, name)
    blk.create(base, 4 * MIB)
    blk.create("mid", None, base)
    blk.create("top", None, os.path.join(d, "mid"))
    want = ("./" if ":" in name else "") + name
    with Server(d) as s, s.client() as q:
        q.ask("blockdev-add", **node("base", name))
        q.ask("blockdev-add", **node("mid", "mid", "base"))
        q.ask("blockdev-add", **node("top", "top", "mid"))
        q.ask("change-backing-file", device="top", image_node_name="mid",
              backing_file=name)
        q.ask("block-stream", device="top", job_id="j", base_node="base",
              backing_file=name)
        q.event("BLOCK_JOB_COMPLETED", device="j")
        s.quit()
    assert link("mid") == want
    assert link("top") == want


@pytest.mark.parametrize("name", ["A:b", "a b:c", ":x"])
def test_words_of_an_unsafe_rebase(d, name, monkeypatch):
    """Nobody looks at what they lead to; what is a file here is one to
    QEMU."""
    monkeypatch.chdir(d)
    blk.create("./" + name, MIB)
    blk.create("top", MIB, "./" + name)
    blk.blkmon_ok("rebase", "-u", "-b", name, "-F", "qcow2", "top")
    assert link("top") == "./" + name
    blk.qemu_io("top", "read -P 0 0 64k")


def told_by_file(d, name, path):
    """An image whose header says file:NAME."""
    blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", "file:" + name,
                 "-F", "qcow2", path, "4M", cwd=d)


@pytest.mark.parametrize("how", ["commit", "stream", "words", "rebase",
                                 "unsafe"])
def test_no_link_from_the_working_directory(d, how, monkeypatch):
    """What a header says behind file: QEMU looks for in the working directory.
    It is found from the overlay's folder here, and written so that QEMU finds
    it there, too."""
    base, low, mid, top = (os.path.join(d, n) for n in "blmt")
    blk.create(base, 4 * MIB)
    blk.qemu_io(base, "write -P 7 0 64k")
    told_by_file(d, "b", low)
    told_by_file(d, "l", mid)
    told_by_file(d, "m", top)
    monkeypatch.chdir("/")
    if how in ("rebase", "unsafe"):
        blk.blkmon_ok("rebase", *(["-u"] if how == "unsafe" else []), "-b",
                      "file:b", "-F", "qcow2", top)
    else:
        given = {"backing-file": "file:b"} if how == "words" else {}
        with Server(d, "--drive", "id=disk0,format=qcow2,file=" + top) as s, \
                s.client() as q:
            if how == "commit":
                q.ask("block-commit", device="disk0", job_id="j", top=mid,
                      base=base)
            else:
                q.ask("block-stream", device="disk0", job_id="j", base=base,
                      **given)
            q.event("BLOCK_JOB_COMPLETED", device="j")
            s.quit()
    assert link(top) == "b"
    blk.qemu_io(top, "read -P 7 0 64k")


def test_two_files_that_a_link_may_mean(d, monkeypatch):
    """QEMU would take the one in the working directory."""
    here = os.path.join(d, "here")
    os.mkdir(here)
    base, top = os.path.join(d, "b"), os.path.join(d, "t")
    blk.create(base, 4 * MIB)
    told_by_file(d, "b", top)
    blk.create(os.path.join(here, "b"), 4 * MIB)
    monkeypatch.chdir(here)
    before = blk.content(base), blk.content(top), blk.content("b")
    for args in ([top, "-c", "commit disk0"], ["commit", top],
                 ["--blockdev", "driver=qcow2,node-name=n,file.driver=file,"
                  "file.filename=" + top],
                 ["rebase", "-b", "file:b", "-F", "qcow2", top]):
        out = blk.blkmon(*args)
        assert out.rc == 1 and "in the working directory" in out.err, out
    assert (blk.content(base), blk.content(top), blk.content("b")) == before
    os.unlink("b")
    os.symlink(base, "b")
    blk.blkmon_ok(top, "-c", "commit disk0")


def test_a_file_name_of_blockdev_is_one(d, monkeypatch):
    """Nothing in it is a protocol: QEMU opens what bears that name."""
    monkeypatch.chdir(d)
    for name, pattern in ("disk", 1), ("./file:disk", 2):
        blk.create(name, MIB)
        blk.qemu_io(name, "write -P %d 0 64k" % pattern)
    with Server(d) as s, s.client() as q:
        q.ask("blockdev-add", **node("disk", "file:disk"))
        said = q.ask("human-monitor-command",
                     command_line='qemu-io disk "read -P 2 0 64k"')
        assert "failed" not in said
        q.ask("blockdev-reopen", options=[node("disk", "file:disk")])
        s.quit()
