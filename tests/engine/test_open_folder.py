# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders and lists of images on the command line: each chain is opened once,
by its tip. And images whose backing file is missing: they open as far as they
go, and neither are they written nor are zeroes read for what is missing."""

import os
import subprocess

import pytest

import blk
from blk import KIB, MIB
from qmpsock import Server


def drives(*args, **how):
    """Image, read-only: of all drives that these arguments open."""
    out = blk.blkmon_ok(*args, "-c", '{"execute": "query-block"}', **how)
    found = [i["inserted"] for i in blk.json.loads(out.out)["return"]]
    return {i["file"]: i["ro"] for i in found}, out.err


def overlay(d, name, backing, size="1M"):
    path = os.path.join(d, name)
    blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", backing, "-F",
                 "qcow2", path, size)
    return path


def some_files(d):
    """What no one would call an image."""
    with open(os.path.join(d, "README"), "w", encoding="utf-8") as text:
        text.write("words")
    with open(os.path.join(d, "page.html"), "wb") as text:
        text.write(b" " * 1024)
    os.mkfifo(os.path.join(d, "fifo"))


def test_a_folder(d):
    paths = blk.make_chain(d)
    side = overlay(d, "side", "l0.img", "4M")
    raw = blk.create(os.path.join(d, "disk.raw"), MIB, fmt="raw")
    some_files(d)
    for name in (d, d + "/"):
        got, _ = drives(name)
        assert got == {p: False for p in (paths[-1], side, raw)}
    got, _ = drives(".", cwd=d)
    assert set(got) == {"./l2.img", "./side", "./disk.raw"}


def test_a_list_as_the_shell_makes_it(d):
    paths = blk.make_chain(d)
    side = overlay(d, "side", "l0.img", "4M")
    some_files(d)
    names = sorted(os.path.join(d, n) for n in os.listdir(d))
    names.remove(os.path.join(d, "page.html"))
    got, said = drives(*names)
    assert got == {paths[-1]: False, side: False}
    assert "README' is passed over" in said and "fifo' is passed" in said
    # An id, a link to one of them and a second name change nothing.
    os.symlink(paths[1], os.path.join(d, "link"))
    os.link(paths[2], os.path.join(d, "twin"))
    got, _ = drives("x=" + paths[2], os.path.join(d, "link"),
                    os.path.join(d, "twin"), paths[0])
    assert got == {paths[2]: False}
    got, _ = drives("--drive", "file=" + paths[2], paths[0], paths[1])
    assert got == {paths[2]: False}


def test_one_image_is_what_it_is(d):
    some_files(d)
    got, _ = drives(os.path.join(d, "README"))
    assert len(got) == 1
    assert "not a regular file" in blk.blkmon(os.path.join(d, "fifo"), "-c",
                                              "info block").err
    out = blk.blkmon(d, "-c", "info block")
    assert out.rc == 1 and "There is no disk in '%s'" % d in out.err


def test_of_several_a_script_wants_all(d):
    paths = [blk.simple(d, "i%d" % n) for n in range(2)]
    with open(paths[1], "r+b") as file:
        file.seek(4)
        file.write(b"\0\0\0\x09")
    out = blk.blkmon(*paths, "-c", "info block")
    assert out.rc == 1 and "i1" in out.err, out
    got, said = drives(d)
    assert got == {paths[0]: False}
    assert "i1' is passed over" in said


def test_what_others_hold(d):
    """One that is written elsewhere is passed over, one that is read there is
    opened to be read."""
    paths = [blk.simple(d, "i%d" % n) for n in range(3)]
    held = []
    for path, args in ((paths[0], []), (paths[1], ["-r"])):
        held.append(subprocess.Popen(["qemu-io", *args, "-f", "qcow2", path],
                                     stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE))
        held[-1].stdin.write(b"length\n")
        held[-1].stdin.flush()
        assert held[-1].stdout.readline()
    got, said = drives(d)
    assert got == {paths[1]: True, paths[2]: False}
    assert "i0' is passed over" in said and "pid %d" % held[0].pid in said
    assert "i1' is open read-only" in said
    for holder in held:
        holder.communicate()


def test_what_a_commit_left_is_no_disk(d):
    base, mid, top = blk.make_chain(d)
    blk.blkmon_ok(top, "-c", "block_commit disk0 %s %s" % (base, mid), "-c",
                  "wait")
    got, _ = drives(d)
    assert got == {top: False}


def test_a_folder_of_very_many(d):
    for n in range(70):
        blk.create(os.path.join(d, "d%02d" % n), MIB)
    got, said = drives(d)
    assert len(got) == 64 and "6 more disks" in said


# ------------------------------------------------------ a broken chain

@pytest.fixture(name="broken")
def chain_without_its_base(d):
    """gone <- mid <- top; mid holds [64k, 128k), top [192k, 256k)."""
    gone = blk.create(os.path.join(d, "gone"), MIB)
    blk.qemu_io(gone, "write -P 1 0 1M")
    mid = overlay(d, "mid", "gone")
    blk.qemu_io(mid, "write -P 2 64k 64k")
    top = overlay(d, "top", "mid")
    blk.qemu_io(top, "write -P 3 192k 64k")
    os.rename(gone, os.path.join(d, "moved"))
    return mid, top


def state(*paths):
    return [(blk.content(p), os.stat(p).st_mtime_ns) for p in paths]


def test_what_is_there_is_read(d, broken):
    before = state(*broken)
    with blk.Session(broken[1]) as session:
        assert "gone" in "\n".join(session.banner)
        for line in ("read -P 2 64k 64k", "read -P 3 192k 64k"):
            session.ok('qemu-io disk0 "%s"' % line)
        for line in ("read 0 512", "read 0 128k", "read 32k 64k",
                     "read 127k 2k", "read 0 1M", "read 1023k 1k"):
            reply = "\n".join(session.cmd('qemu-io disk0 "%s"' % line))
            assert "read failed: Input/output error" in reply, line
    assert state(*broken) == before


def test_over_nbd(d, broken):
    path = os.path.join(d, "nbd")
    with Server(d, broken[1]) as server, server.client() as q:
        q.ask("nbd-server-start", addr={"type": "unix",
                                        "data": {"path": path}})
        q.ask("nbd-server-add", device="disk0")
        url = "nbd+unix:///disk0?socket=" + path
        out = blk.run("qemu-io", "-r", "-f", "raw", "-c", "read -P 2 64k 64k",
                      "-c", "read 0 64k", "-c", "read 64k 128k", url)
        assert out.text.count("read failed: Input/output error") == 2, out
        assert "Pattern" not in out.text


def test_nothing_is_done_with_it(d, broken):
    before = state(*broken)
    mid, top = broken
    spare = blk.create(os.path.join(d, "spare"), MIB)
    with Server(d, top) as server, server.client() as q:
        nodes = {n["file"]: n["node-name"]
                 for n in q.ask("query-named-block-nodes")}
        for name, args in (
                ("block-stream", {"device": "disk0"}),
                ("block-stream", {"device": "disk0", "base": mid}),
                ("block-stream", {"device": nodes[mid], "job-id": "j"}),
                ("block-commit", {"device": "disk0"}),
                ("block-commit", {"device": "disk0", "base": mid}),
                ("x-blkmon-commit", {"device": "disk0",
                                     "x-blkmon-force": True}),
                ("block_resize", {"device": "disk0", "size": 2 * MIB}),
                ("blockdev-snapshot-sync",
                 {"device": "disk0",
                  "snapshot-file": os.path.join(d, "new")}),
                ("blockdev-snapshot-internal-sync",
                 {"device": "disk0", "name": "s"}),
                ("change-backing-file",
                 {"device": "disk0", "image-node-name": nodes[mid],
                  "backing-file": os.path.join(d, "moved")}),
                ("change-backing-file",
                 {"device": "disk0", "image-node-name": nodes[top],
                  "backing-file": spare})):
            q.refused({"execute": name, "arguments": args})
        # Another disk, writable, cannot be put on it either.
        q.ask("blockdev-add", driver="qcow2", node_name="n",
              file={"driver": "file", "filename": spare})
        for name, args in (
                ("blockdev-snapshot", {"node": nodes[top], "overlay": "n"}),
                ("blockdev-add",
                 {"driver": "qcow2", "node-name": "m", "backing": nodes[top],
                  "file": {"driver": "file", "filename":
                           overlay(d, "over", "top")}})):
            _, words = q.refused({"execute": name, "arguments": args})
            assert "is missing" in words or "use" in words, words
        for image in q.ask("query-block"):
            assert image["inserted"]["ro"]
    assert state(*broken) == before
    assert not os.path.exists(os.path.join(d, "new"))


def test_it_can_be_seen(d, broken):
    with Server(d, broken[1]) as server, server.client() as q:
        chain = []
        image = q.ask("query-block")[0]["inserted"]["image"]
        while image:
            chain.append((image["filename"], image["format"]))
            image = image.get("backing-image")
        gone = os.path.join(os.path.realpath(d), "gone")
        assert chain == [(broken[1], "qcow2"), (broken[0], "qcow2"),
                         (gone, "missing")]
        node = [n for n in q.ask("query-named-block-nodes")
                if n["drv"] == "missing"][0]
        tree = q.ask("x-blkmon-tree-map", node_name=node["node-name"])
        assert len(tree["images"]) == 3
        cells, = [i for i in tree["images"]
                  if i["node-name"] == node["node-name"]]
        assert not any(cells["data"] + cells["compressed"] + cells["zero"])
        images = {i["path"]: i for i in
                  q.ask("x-blkmon-query-folder")["images"]}
        assert images[broken[0]]["backing"]["missing"]
        assert images[broken[0]]["role"] == "layer"
        assert images[os.path.join(d, "moved")]["role"] == "unused"
        q.ask("x-blkmon-delete", files=[os.path.join(d, "moved")],
              dry_run=True)


def test_two_on_one(d, broken):
    side = overlay(d, "side", "mid")
    os.unlink(os.path.join(d, "moved"))
    got, said = drives(d)
    assert got == {broken[1]: True, side: True}
    assert said.count("is missing") == 2


def test_only_images_without_options(d, broken):
    """QEMU's words and those that serve others refuse as QEMU does."""
    before = state(*broken)
    for args in (["--drive", "file=" + broken[1]],
                 ["--blockdev", "driver=file,node-name=f,filename=" +
                  broken[1], "--blockdev", "driver=qcow2,node-name=q,file=f"],
                 ["--nbd", "unix:" + os.path.join(d, "s"), broken[1]]):
        out = blk.blkmon(*args, "-c", "info block")
        assert out.rc == 1 and "looked for at" in out.err, out
    spare = blk.simple(d, "spare")
    with Server(d, broken[1], spare) as server, server.client() as q:
        side = overlay(d, "side", "mid")
        for args in ({"driver": "qcow2", "file": {"driver": "file",
                                                  "filename": side}},):
            q.refused({"execute": "blockdev-add",
                       "arguments": dict(args, **{"node-name": "n"})})
        reply = q.ask("human-monitor-command",
                      command_line="drive_add 0 file=%s,id=x" % side)
        assert "is missing" in reply
        assert {b["device"] for b in q.ask("query-block")} == {"disk0",
                                                               "disk1"}
    assert state(*broken) == before


def test_a_dirty_image_is_not_mended_on_the_way(d):
    """It would be repaired if it were opened to be written."""
    top = os.path.join(d, "top")
    blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-o",
                 "lazy_refcounts=on", "-b", "gone", "-F", "qcow2", top, "1M")
    with open(top, "r+b") as file:
        file.seek(79)
        file.write(b"\x01")
    before = state(top)
    got, _ = drives(top)
    assert got == {top: True}
    assert state(top) == before


def test_mended_it_is_whole(d, broken):
    blk.blkmon_ok("rebase", "-u", "--force", "-b", "moved", "-F", "qcow2",
                  broken[0])
    got, said = drives(broken[1])
    assert got == {broken[1]: False} and "missing" not in said
    want = bytearray(b"\1" * MIB)
    want[64 * KIB:128 * KIB] = b"\2" * (64 * KIB)
    want[192 * KIB:256 * KIB] = b"\3" * (64 * KIB)
    assert blk.cat(broken[1]) == bytes(want)


def test_who_looks_on_gets_what_there_is(d):
    """A list as the shell makes it, on the screen: one of it is held, one is
    damaged, and the others are there."""
    paths = [blk.simple(d, "i%d" % n) for n in range(3)]
    with open(paths[1], "r+b") as file:
        file.seek(4)
        file.write(b"\0\0\0\x09")
    keys, shot = os.path.join(d, "keys"), os.path.join(d, "shot.txt")
    with open(keys, "wb"):
        pass
    with subprocess.Popen(["qemu-io", "-f", "qcow2", paths[0]],
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as holder:
        holder.stdin.write(b"length\n")
        holder.stdin.flush()
        assert holder.stdout.readline()
        blk.blkmon_ok("--ui-script", keys, "--ui-size", "120x28",
                      "--screenshot", shot, *paths)
        holder.communicate()
    with open(shot, encoding="utf-8") as file:
        seen = file.read()
    assert "1 drive, 1 image" in seen and "i2" in seen, seen
    assert "i0' is passed over" in seen and "i1' is passed over" in seen, seen
