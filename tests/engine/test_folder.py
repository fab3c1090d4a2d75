# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in the folders around the chains, and whose it is."""

import os
import subprocess

import pytest

import blk
from blk import KIB, MIB
from qmpsock import Server


@pytest.fixture(name="forest")
def some_of_all(d):
    """base <- mid <- top, and what else may lie beside them."""
    base, mid, top = blk.make_chain(d)
    at = {"base": base, "mid": mid, "top": top}

    def add(name, backing, fmt="qcow2", size="4M"):
        at[name] = os.path.join(d, name)
        blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", backing, "-F",
                     fmt, at[name], size)

    add("sibling", "l1.img")
    add("grandchild", "sibling")
    add("orphan", "gone.img")
    add("other", "raw.disk", "raw", "1M")
    at["raw"] = os.path.join(d, "raw.disk")
    blk.create(at["raw"], MIB, fmt="raw")
    at["lone"] = blk.simple(d, "lone")
    blk.qemu_img("snapshot", "-c", "s1", at["lone"])
    with open(os.path.join(d, "notes"), "w", encoding="utf-8") as notes:
        notes.write("no image\n" * 100)
    os.mkfifo(os.path.join(d, "fifo"))
    return at


def folder(args, where=None):
    got = {}
    with Server(*args) as server, server.client() as q:
        reply = q.ask("x-blkmon-query-folder",
                      **({"folder": where} if where else {}))
    for image in reply["images"]:
        assert image["path"] not in got
        got[image["path"]] = image
    return got, reply


def roles(got):
    return {os.path.basename(path): image["role"]
            for path, image in got.items()}


def test_roles(d, forest):
    got, reply = folder([d, forest["top"]])
    assert roles(got) == {
        "l0.img": "layer", "l1.img": "layer", "l2.img": "active",
        "sibling": "overlay", "grandchild": "overlay", "orphan": "orphan",
        "other": "unused", "raw.disk": "below", "lone": "unused"}
    assert reply["complete"] and not reply["unread"]
    at = got[forest["grandchild"]]
    assert at["overlay-of"] == forest["mid"]
    assert at["overlay-of-node"] == got[forest["mid"]]["node-name"]
    orphan = got[forest["orphan"]]["backing"]
    assert orphan == {"file": "gone.img", "missing": True,
                      "path": os.path.join(d, "gone.img")}
    for name, image in got.items():
        info = blk.img_info(name, fmt="raw" if "raw" in name else None)
        if image["role"] != "orphan":
            assert image["virtual-size"] == info["virtual-size"]
        assert image["disk-size"] == info["actual-size"]
        assert image["format"] == info["format"]
        assert image["modified"] == int(os.stat(name).st_mtime)
    assert got[forest["lone"]]["snapshots"] == 1
    assert got[forest["sibling"]]["overlays"] == 1


def test_a_folder_by_name(d, forest):
    """Also while nothing is open; with another word for it."""
    for name in (d, d + "/", os.path.join(d, "..", os.path.basename(d))):
        got, _ = folder([d], name)
        assert roles(got)["l1.img"] == "below"
        assert roles(got)["l2.img"] == "unused"
        assert roles(got)["orphan"] == "orphan"
    with Server(d) as server, server.client() as q:
        _, words = q.refused({"execute": "x-blkmon-query-folder",
                              "arguments": {"folder": forest["lone"]}})
        assert words.endswith("Not a directory") and forest["lone"] in words


def test_through_images_elsewhere(d, forest):
    """An image here lies on one elsewhere, and that on a layer of ours."""
    elsewhere = os.path.join(d, "elsewhere")
    os.mkdir(elsewhere)
    far = os.path.join(elsewhere, "far")
    blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", "../l0.img", "-F",
                 "qcow2", far, "4M")
    near = os.path.join(d, "near")
    blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", "elsewhere/far",
                 "-F", "qcow2", near, "4M")
    got, _ = folder([d, forest["top"]])
    assert got[near]["overlay-of"] == forest["base"]
    assert got[far]["outside"] and got[far]["role"] == "overlay"
    assert not got[near]["outside"]


def test_held_by_somebody_else(d, forest):
    with subprocess.Popen(["qemu-io", "-f", "qcow2", forest["lone"]],
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as holder:
        holder.stdin.write(b"length\n")
        holder.stdin.flush()
        assert holder.stdout.readline()
        got, _ = folder([d, forest["top"]])
        lone = got[forest["lone"]]
        assert lone["role"] == "held" and lone["held"]
        assert lone["holder"] == {"pid": holder.pid, "name": "qemu-io"}
        assert not got[forest["sibling"]]["held"]
        # The look took nothing from it: it still has the file for itself.
        assert blk.run("qemu-io", "-f", "qcow2", "-c", "length",
                       forest["lone"]).rc
        holder.stdin.close()
        holder.wait()


def test_what_a_job_left(d):
    paths = blk.make_chain(d)
    with Server(d, paths[-1]) as server, server.client() as q:
        q.ask("block-stream", device="disk0", job_id="j")
        q.event("BLOCK_JOB_COMPLETED", device="j")
        got = {os.path.basename(i["path"]): i
               for i in q.ask("x-blkmon-query-folder")["images"]}
        assert got["l1.img"]["role"] == "unused"
        assert got["l0.img"]["role"] == "below"
        assert got["l1.img"]["left"] and got["l0.img"]["left"]
        assert not got["l2.img"]["left"]


def test_merged_is_told_by_the_next_process(d):
    base, mid, top = blk.make_chain(d)
    blk.blkmon_ok(top, "-c", "block_commit disk0 %s %s" % (base, mid), "-c",
                  "wait")
    got, _ = folder([d, top])
    assert got[mid]["merged-into"] == os.path.realpath(base)
    assert got[mid]["role"] == "unused"
    assert "overlay-of" not in got[mid]


def test_data_files(d):
    data = os.path.join(d, "data.raw")
    image = blk.create(os.path.join(d, "a"), MIB, data_file=data)
    got, _ = folder([d, "--drive", "file=%s,data-file=%s" % (image, data)])
    assert got[data]["role"] == "data"
    got, _ = folder([d], d)
    assert got[data]["role"] == "below"
    os.unlink(data)
    got, _ = folder([d], d)
    assert got[image]["role"] == "orphan"
    assert got[image]["data-file"]["missing"]


def test_names_of_one_image(d):
    """A link is no image of its own, and neither is a second name."""
    image = blk.simple(d, "image")
    os.symlink("image", os.path.join(d, "link"))
    os.link(image, os.path.join(d, "zzz"))
    got, _ = folder([d], d)
    assert len(got) == 1
    assert list(got.values())[0]["links"] == 2


def test_as_text(d, forest):
    out = blk.blkmon_ok(forest["top"], "-c", "info folder")
    assert "%s: qcow2, 4 MiB" % forest["sibling"] in out.out
    assert "not open, reads from '%s'" % forest["mid"] in out.out
    assert "backing file 'gone.img' is MISSING; looked for at '%s'" % \
        os.path.join(d, "gone.img") in out.out
    out = blk.blkmon_ok("-c", "info folder " + d)
    assert "not open, 1 image on it" in out.out
    os.mkdir(os.path.join(d, "empty"))
    out = blk.blkmon_ok("-c", "info folder " + os.path.join(d, "empty"))
    assert out.out == "No images\n"


def test_nothing_changes(d, forest):
    before = {p: (os.stat(p).st_mtime_ns, os.stat(p).st_ctime_ns,
                  os.stat(p).st_atime_ns) for p in forest.values()}
    folder([d], d)
    assert before == {p: (os.stat(p).st_mtime_ns, os.stat(p).st_ctime_ns,
                          os.stat(p).st_atime_ns) for p in before}


def test_strange_headers(d):
    """Headers that say nonsense: loops, endless names, tails of nothing."""
    loop = [os.path.join(d, "loop%d" % n) for n in range(2)]
    for n in range(2):
        blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-b",
                     "loop%d" % (1 - n), "-F", "qcow2", loop[n], "1M")
    own = os.path.join(d, "own")
    blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", "own", "-F",
                 "qcow2", own, "1M")
    for n, tail in enumerate((b"", b"\0" * 64, b"\xff" * (4 * KIB))):
        with open(os.path.join(d, "torn%d" % n), "wb") as torn:
            torn.write(b"QFI\xfb\0\0\0\3" + tail)
    got, reply = folder([d], d)
    assert reply["complete"] and len(got) == 6
    assert got[own]["overlays"] == 0
    assert got[loop[0]]["role"] == "below"


def test_changes_are_told(d):
    """To who has asked; once for what comes together, and not for what a
    guest writes."""
    image = blk.simple(d)
    other = os.path.join(d, "other")
    os.mkdir(other)
    with Server(other, image) as server, server.client() as q:
        blk.simple(d, "early")
        assert q.ask("x-blkmon-query-folder")["watched"]
        assert q.ask("x-blkmon-query-folder", folder=other)["watched"]
        assert not [e for e in q.events if "FOLDER" in e["event"]]
        for n in range(5):
            blk.simple(d, "new%d" % n)
        got = q.event("X_BLKMON_FOLDER_CHANGED")["data"]["folder"]
        assert os.path.realpath(got) == os.path.realpath(d)
        blk.simple(other, "there")
        while os.path.realpath(got) != os.path.realpath(other):
            got = q.event("X_BLKMON_FOLDER_CHANGED")["data"]["folder"]
        # Rounds go by for a change that is told; none is told for writes.
        q.events.clear()
        q.ask("human-monitor-command",
              command_line='qemu-io disk0 "write 0 64k"')
        os.rename(os.path.join(other, "there"), os.path.join(other, "moved"))
        got = q.event("X_BLKMON_FOLDER_CHANGED")["data"]["folder"]
        assert os.path.realpath(got) == os.path.realpath(other)
