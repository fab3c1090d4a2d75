# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of images that a machine on this host has open: read beside it, without
locks, and only where it is sure that they are its files. The oracle is
`qemu-img map -U`."""

import ctypes
import json
import os
import shutil
import socket
import struct
import subprocess
import time

import pytest

import blk
import ends
from blk import KIB, MIB

KINDS = [ends.Drive, ends.Blockdev, ends.Daemon]
EACH = pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.kind)
CELLS = 16
CELL = 16 * MIB // CELLS


def ask(end, request):
    return json.loads(end.blkmon(json.dumps(request)).out)


def nodes_of(end):
    """File to the name of the node with its image."""
    reply = ask(end, {"execute": "query-named-block-nodes"})
    return {os.path.realpath(os.path.join(end.d, n["file"])): n["node-name"]
            for n in reply["return"] if n["drv"] in ("qcow2", "raw")}


def map_of(end, node, **more):
    """By node: bytes of data in each cell, and what nobody sees; or the words
    of an error."""
    reply = ask(end, {"execute": "x-blkmon-tree-map", "arguments": {
        "node-name": node, "cells": CELLS, "whole": True, **more}})
    if "error" in reply:
        return reply["error"]["desc"]
    assert reply["return"]["size"] == 16 * MIB
    return {i["node-name"]: i for i in reply["return"]["images"]}


def data_of(path):
    """The same of the image alone, as qemu-img sees it beside its user."""
    out = blk.qemu_img("map", "-U", "--output=json", path)
    cells = [0] * CELLS
    for part in json.loads(out.out):
        if part["depth"] or not part["data"]:
            continue
        for at in range(part["start"], part["start"] + part["length"],
                        64 * KIB):
            cells[at // CELL] += 64 * KIB
    return cells


def judge(end, paths):
    nodes = nodes_of(end)
    seen = map_of(end, nodes[paths[0]])
    assert isinstance(seen, dict), seen
    for path in paths:
        assert seen[nodes[path]]["data"] == data_of(path), path
    return seen, nodes


@EACH
def test_maps_are_those_of_the_files(d, kind):
    with kind(d) as end:
        seen, nodes = judge(end, end.chain)
        # 1 MiB of base and of mid is covered by what lies on them.
        assert [seen[nodes[p]]["dead-bytes"] for p in end.chain] == \
            [MIB, MIB, 0]
        # One that is not asked for has its sum alone.
        one = map_of(end, nodes[end.chain[1]], nodes=[nodes[end.chain[1]]])
        assert "data" in one[nodes[end.chain[1]]]
        assert "data" not in one[nodes[end.chain[0]]]


def write_and_flush(end):
    with end.other() as qmp:
        qdev = qmp.ask("query-block")[0]["qdev"]
        for line in ("write 9M 3M", "flush"):
            qmp.ask("human-monitor-command",
                    command_line='qemu-io -d %s "%s"' % (qdev, line))


def test_what_a_guest_writes_is_seen_when_it_is_there(d):
    with ends.Drive(d) as end:
        write_and_flush(end)
        seen, nodes = judge(end, end.chain)
        assert seen[nodes[end.chain[2]]]["data"][9:12] == [CELL] * 3


@EACH
def test_nothing_is_locked(d, kind):
    """The machine gets its locks anew for each job while maps are read."""
    with kind(d) as end, end.other() as qmp:
        nodes = nodes_of(end)
        for _ in range(5):
            assert isinstance(map_of(end, nodes[end.chain[0]]), dict)
            qmp.ask("block-commit", job_id="x", device={
                "drive": "disk0", "blockdev": "top-fmt",
                "daemon": "n"}[kind.kind])
            qmp.event("BLOCK_JOB_READY", device="x")
            assert isinstance(map_of(end, nodes[end.chain[0]]), dict)
            qmp.ask("block-job-cancel", device="x")
            qmp.event("BLOCK_JOB_COMPLETED", device="x")


class Relative(ends.Drive):
    def argv(self):
        return [a.replace(self.d + "/top", "top") for a in super().argv()]


def test_names_are_of_its_own_folder(d):
    with Relative(d) as end:
        judge(end, end.chain)


# ------------------------------------------------- what was read is known

LONG_AGO = 10**18


class Watch:
    """Counts how often files are opened, as the kernel tells it."""

    def __init__(self, paths):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK)
        assert self.fd >= 0
        self.path = {libc.inotify_add_watch(self.fd, p.encode(), 0x20): p
                     for p in paths}    # IN_OPEN
        assert min(self.path) >= 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def opened(self):
        """Those that were, since the last call."""
        seen, entry = set(), struct.Struct("iIII")
        while True:
            try:
                data = os.read(self.fd, 65536)
            except BlockingIOError:
                return sorted(seen)
            while data:
                watch, mask, _, more = entry.unpack_from(data)
                assert not mask & 0x4000, "some were lost"   # IN_Q_OVERFLOW
                seen.add(self.path[watch])
                data = data[entry.size + more:]


class Console:
    """Of one place, asked for maps by hand."""

    def __init__(self, end):
        self.node = nodes_of(end)[end.chain[2]]
        self.proc = subprocess.Popen(
            [blk.BLKMON, *end.connect()], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.communicate(timeout=blk.PATIENCE)

    def map(self, cells=CELLS, whole=True):
        self.proc.stdin.write(json.dumps(
            {"execute": "x-blkmon-tree-map", "arguments": {
                "node-name": self.node, "cells": cells, "whole": whole}}) +
            "\n")
        self.proc.stdin.flush()
        return json.loads(self.proc.stdout.readline())["return"]


def make_old(paths):
    """What is written from now on is seen in their times."""
    for path in paths:
        os.utime(path, ns=(LONG_AGO, LONG_AGO))


def test_files_that_did_not_change_are_not_read_again(d):
    with ends.Drive(d) as end, Console(end) as console, \
            Watch(end.chain) as watch:
        make_old(end.chain)
        first = console.map()
        assert watch.opened() == sorted(end.chain)
        for _ in range(3):
            assert console.map() == first
        assert not watch.opened()
        # Another question is another map, and the first is still known.
        assert console.map(whole=False, cells=3) != first
        assert watch.opened() == sorted(end.chain)
        assert console.map() == first
        assert not watch.opened()


def change_size(end):
    os.truncate(end.chain[0], os.path.getsize(end.chain[0]) + 65536)


def change_inode(end):
    """Another file has the name, of the same size and age."""
    shutil.copy2(end.chain[0], end.chain[0] + ".new")
    os.rename(end.chain[0] + ".new", end.chain[0])


def change_ctime(end):
    """Somebody hides that he wrote."""
    at = os.stat(end.chain[0]).st_mtime_ns
    with open(end.chain[0], "r+b") as stream:
        stream.write(b"Q")
    os.utime(end.chain[0], ns=(at, at))


@pytest.mark.parametrize("change", [write_and_flush, change_size, change_inode,
                                    change_ctime])
def test_what_has_changed_is_read_again(d, change):
    with ends.Drive(d) as end, Console(end) as console, \
            Watch(end.chain) as watch:
        make_old(end.chain)
        first = console.map()
        watch.opened()
        change(end)
        watch.opened()
        second = console.map()
        assert watch.opened(), "nobody looked again"
        assert (second != first) == (change in (write_and_flush, change_inode))
        if change is write_and_flush:
            assert console.map()["images"][2]["data"][9:12] == \
                [CELL] * 3


def test_a_file_of_this_moment_is_not_relied_on(d):
    """Its times may be those of the next write, too."""
    with ends.Drive(d) as end, Console(end) as console, \
            Watch(end.chain) as watch:
        while True:
            began = time.monotonic()
            os.utime(end.chain[1])
            seen = [console.map(), watch.opened(), console.map(),
                    watch.opened()]
            if time.monotonic() - began < 1.5:
                break
        assert seen[0] == seen[2] and seen[1] == seen[3] == sorted(end.chain)


def test_what_is_known_has_an_end(d):
    """Old maps make room for new ones; memory does not grow with them."""
    with ends.Drive(d) as end, Console(end) as console, \
            Watch(end.chain) as watch:
        make_old(end.chain)
        console.map(cells=1024)
        for cells in range(800, 1024):
            console.map(cells=cells)
        watch.opened()
        console.map(cells=1023)
        assert not watch.opened()
        console.map(cells=1024)
        assert watch.opened()


# ------------------------------------------------------ whose files they are

def test_another_file_of_that_name_is_not_opened(d):
    with ends.Drive(d) as end:
        nodes = nodes_of(end)
        os.rename(end.chain[1], end.chain[1] + ".was")
        blk.create(end.chain[1], "16M")
        blk.qemu_io(end.chain[1], "write 0 16M")
        seen = map_of(end, nodes[end.chain[0]])
        assert nodes[end.chain[1]] not in seen and \
            nodes[end.chain[0]] in seen, seen
        assert "Cannot find" in map_of(end, nodes[end.chain[1]])
        assert nodes[end.chain[2]] in map_of(end, nodes[end.chain[2]])
        # Nor what would hold up whoever opens it.
        os.unlink(end.chain[1])
        os.mkfifo(end.chain[1])
        assert nodes[end.chain[1]] not in map_of(end, nodes[end.chain[0]])


class Tcp(ends.Drive):
    def __init__(self, d):
        super().__init__(d)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]

    def argv(self):
        return [*super().argv(), "-qmp",
                "tcp:127.0.0.1:%d,server=on,wait=off" % self.port]

    def connect(self):
        return ["--connect", "tcp:127.0.0.1:%d" % self.port]


def test_behind_a_port_may_be_any_host(d):
    with Tcp(d) as end:
        nodes = nodes_of(end)
        assert "not known to be this host's" in \
            map_of(end, nodes[end.chain[0]])


class Elsewhere(ends.Drive):
    """It sees mounts of its own: the same names may be other files."""

    def argv(self):
        return ["unshare", "-m", *super().argv()]


@pytest.mark.skipif(not shutil.which("unshare") or subprocess.run(
    ["unshare", "-m", "true"], check=False,
    stderr=subprocess.DEVNULL).returncode, reason="no mounts of one's own")
def test_other_mounts_are_other_files(d):
    with Elsewhere(d) as end:
        nodes = nodes_of(end)
        assert "not known to be this host's" in \
            map_of(end, nodes[end.chain[0]])


# ---------------------------------------------------- a base that others serve

class OverNbd(ends.Qemu):
    """base is served over NBD by somebody else; mid and top are files."""

    kind = "nbd"

    def argv(self):
        argv = [*self.common(), "-blockdev",
                "driver=nbd,node-name=base-nbd,server.type=unix,server.path=" +
                os.path.join(self.d, "nbd.sock") + ",export=base,read-only=on",
                "-blockdev", "driver=raw,node-name=base-fmt,file=base-nbd,"
                "read-only=on"]
        for n, name in ((1, "mid"), (2, "top")):
            argv += ["-blockdev", "driver=file,node-name=%s-file,filename=%s,"
                     "auto-read-only=on" % (name, self.chain[n]),
                     "-blockdev", "driver=qcow2,node-name=%s-fmt,file=%s-file,"
                     "backing=%s-fmt%s" % (name, name, ends.LAYERS[n - 1],
                                           "" if n == 2 else ",read-only=on")]
        return [*argv, "-device", "virtio-blk-pci,id=disk0,drive=top-fmt"]


def test_a_base_over_nbd_is_shown_as_it_is(d):
    end = OverNbd(d)
    server = subprocess.Popen(
        [ends.QSD, "--blockdev", "driver=file,node-name=f,filename=" +
         end.chain[0], "--blockdev", "driver=qcow2,node-name=n,file=f",
         "--nbd-server", "addr.type=unix,addr.path=" +
         os.path.join(d, "nbd.sock"),
         "--export", "nbd,id=base,name=base,node-name=n,writable=off",
         "--chardev", "socket,id=c,server=on,wait=off,path=" +
         os.path.join(d, "qsd.sock"), "--monitor", "chardev=c"])
    try:
        ends.wait_listens(os.path.join(d, "qsd.sock"), server, lambda: "qsd")
        with end:
            said = end.ok("info block -v").out
            assert "nbd+unix:///base?socket=" in said, said
            # Its header names another image below mid than it lies on.
            assert "disk0 (top-fmt): %s (qcow2)" % end.chain[2] in said, said
            assert "json:" not in said
            seen = map_of(end, "top-fmt")
            assert set(seen) == {"mid-fmt", "top-fmt"}, seen
            assert seen["top-fmt"]["data"] == data_of_alone(end.chain[2])
            assert "Cannot find" in map_of(end, "base-fmt")
            plan = end.ok("plan block_commit disk0 mid.qcow2").out
            assert "then     mid.qcow2 on nbd+unix:///base?socket=" in plan
    finally:
        server.kill()
        server.wait()


def data_of_alone(path):
    """Without what lies below, which may be elsewhere."""
    opts = json.dumps({"driver": "qcow2", "backing": None, "file": {
        "driver": "file", "filename": path}})
    out = blk.qemu_img("map", "-U", "--output=json", "json:" + opts)
    cells = [0] * CELLS
    for part in json.loads(out.out):
        for at in range(part["start"], part["start"] + part["length"] *
                        part["data"], 64 * KIB):
            cells[at // CELL] += 64 * KIB
    return cells
