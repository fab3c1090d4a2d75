# SPDX-License-Identifier: GPL-3.0-or-later
"""Transactions with snapshots inside images: all or nothing, in QEMU's
words; what was taken is gone when a later action fails."""

import os

import pytest

import blk
import qmpsock
from blk import MIB


def inside(device, name, **more):
    return {"type": "blockdev-snapshot-internal-sync",
            "data": {"device": device, "name": name, **more}}


def overlay(device, path, **more):
    return {"type": "blockdev-snapshot-sync",
            "data": {"device": device, "snapshot-file": path, **more}}


ABORT = {"type": "abort", "data": {}}


class Disks:
    """d0 and d1 on images with data; ro0 read-only, r0 raw, e0 empty."""

    def __init__(self, d, **opts):
        self.d = d
        self.path = {n: os.path.join(d, n) for n in ("d0", "d1", "ro0")}
        for n, path in self.path.items():
            blk.create(path, 4 * MIB, **opts)
            blk.qemu_io(path, "write -P 7 64k 1M")
        raw = os.path.join(d, "raw")
        with open(raw, "wb") as f:
            f.truncate(MIB)
        self.args = sum((["--drive", "id=%s,file=%s,node-name=n-%s,format="
                          "qcow2%s" % (n, p, n, ",readonly=on" if n == "ro0"
                                       else "")]
                         for n, p in self.path.items()), [])
        self.args += ["--error-classes=7.2", "--drive", "id=e0", "--drive",
                      "id=r0,file=%s,format=raw" % raw]

    def file(self, name):
        return os.path.join(self.d, name)


def names(c):
    """The snapshots in the active layer of each disk that has some."""
    got = {}
    for disk in c.ask("query-block"):
        image = disk.get("inserted", {}).get("image", {})
        if "snapshots" in image:
            got[disk["device"]] = [s["name"] for s in image["snapshots"]]
    return got


def refused(c, *actions):
    return c.refused({"execute": "transaction",
                      "arguments": {"actions": actions}})[1]


def test_taken_together(d):
    """Of one moment, in the order of the list: before an overlay in what is
    below it, behind it in the overlay."""
    disks = Disks(d)
    with qmpsock.Server(d, *disks.args) as s, s.client() as c:
        c.ask("transaction", actions=[inside("d0", "i1"), inside("d1", "i1"),
                                      inside("d0", "i2")])
        assert names(c) == {"d0": ["i1", "i2"], "d1": ["i1"]}
        c.ask("transaction", actions=[
            inside("d0", "below"), overlay("d0", disks.file("s0")),
            overlay("d1", disks.file("s1")), inside("d1", "above")])
        assert names(c) == {"d1": ["above"]}
        for n in ("d0", "d1"):
            c.ask("human-monitor-command",
                  command_line='qemu-io %s "write -P 9 0 2M"' % n)
        s.quit()
    for name, want in (("d0", ["i1", "i2", "below"]), ("d1", ["i1"]),
                       ("s1", ["above"])):
        path = disks.file(name)
        blk.check(path)
        assert [i["name"] for i in blk.img_info(path)["snapshots"]] == want
        for one in want:
            got = blk.guest(path, snapshot=one)
            assert got[:64 * blk.KIB] == bytes(64 * blk.KIB)
            assert got[64 * blk.KIB:][:MIB] == b"\x07" * MIB


WORDS = {
    "twice": ([inside("d0", "a"), inside("d0", "a")],
              "Snapshot with name 'a' already exists on device 'd0'"),
    "no disk": ([inside("d0", "a"), inside("gone", "a")],
                "Cannot find device='gone' nor node-name='gone'"),
    "no name": ([inside("d0", "")], "Name is empty"),
    "raw": ([inside("d0", "a"), inside("r0", "a")],
            "Block format 'raw' used by device 'r0' does not support "
            "internal snapshots"),
    "empty": ([inside("d0", "a"), inside("e0", "a")],
              "Device 'e0' has no medium"),
    "read-only": ([inside("d0", "a"), inside("ro0", "a")],
                  "Device 'ro0' is read only"),
    "abort": ([inside("d0", "a"), ABORT],
              "Transaction aborted using Abort action"),
    "folder": ([inside("d0", "a"), overlay("d1", "/nosuch/x")],
               "Could not create '/nosuch/x': No such file or directory"),
    "unknown": ([inside("d0", "a", foo=1)],
                "Parameter 'actions[0].data.foo' is unexpected"),
}


@pytest.mark.parametrize("what", WORDS)
def test_refused(d, what):
    actions, words = WORDS[what]
    disks = Disks(d)
    before = {p: blk.content(p) for p in disks.path.values()}
    with qmpsock.Server(d, *disks.args) as s, s.client() as c:
        assert refused(c, *actions) == words
        assert names(c) == {}
        s.quit()
    for path in before:
        blk.check(path)
        assert blk.guest(path) == b"".join((
            bytes(64 * blk.KIB), b"\x07" * MIB, bytes(3 * MIB - 65536)))


@pytest.mark.parametrize("compat", ["0.10", "1.1"])
@pytest.mark.parametrize("first", ["inside", "overlay"])
def test_undone(d, compat, first):
    """The last action fails when others are done: in d0's image, in d0's new
    overlay, in a file that was there. What the disks show and may do is as
    before."""
    disks = Disks(d, compat=compat)
    path = disks.path["d1"]
    blk.qemu_img("snapshot", "-c", "taken", path)
    there = disks.file("there")
    blk.create(there, 4 * MIB, compat=compat)
    with qmpsock.Server(d, *disks.args) as s, s.client() as c:
        mode = {"format": "qcow2", "mode": "existing"}
        some = [overlay("d0", there, **mode)]
        some.insert(first == "overlay", inside("d0", "gone"))
        assert refused(c, *some, inside("d1", "taken")) == \
            "Snapshot with name 'taken' already exists on device 'd1'"
        assert names(c) == {"d1": ["taken"]}
        assert {n["file"] for n in c.ask("query-named-block-nodes")
                if n["drv"] == "qcow2"} == set(disks.path.values())
        for n in ("d0", "d1"):
            assert "failed" not in c.ask(
                "human-monitor-command",
                command_line='qemu-io %s "write -P 9 0 2M"' % n)
        c.ask("transaction", actions=[inside("d0", "gone")])
        s.quit()
    for one in (*disks.path.values(), there):
        blk.check(one)
    assert "snapshots" not in blk.img_info(there)
    assert blk.guest(disks.path["d0"])[:2 * MIB] == b"\x09" * 2 * MIB


def test_undone_overlay_that_was_open(d):
    """A read-only node that was to become the active layer is one again."""
    disks = Disks(d)
    blk.qemu_img("snapshot", "-c", "taken", disks.path["d1"])
    path = blk.create(disks.file("over"), 4 * MIB)
    with qmpsock.Server(d, *disks.args) as s, s.client() as c:
        c.ask("blockdev-add", driver="qcow2", node_name="over", backing=None,
              read_only=True, file={"driver": "file", "filename": path})
        assert "already exists" in refused(
            c, {"type": "blockdev-snapshot",
                "data": {"node": "n-d0", "overlay": "over"}},
            inside("d1", "taken"))
        ro = {n["node-name"]: n["ro"]
              for n in c.ask("query-named-block-nodes")}
        assert ro["over"] and not ro["n-d0"] and not ro["n-d1"]
        s.quit()


def test_words_of_delete(d):
    """As QEMU 7.2.22 said them."""
    disks = Disks(d)
    with qmpsock.Server(d, *disks.args) as s, s.client() as c:
        def words(**args):
            return c.request("blockdev-snapshot-delete-internal-sync",
                             **args)["error"]["desc"]

        assert words(device="d0") == "Name or id must be provided"
        assert words(device="d0", name="zz") == (
            "Snapshot with id 'null' and name 'zz' does not exist on "
            "device 'd0'")
        assert words(device="e0", name="zz") == "Device 'e0' has no medium"
        s.quit()
