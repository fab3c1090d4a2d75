# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of images that a machine on this host has open: read beside it, without
locks, and only where it is sure that they are its files. The oracle is
`qemu-img map -U`."""

import json
import os
import shutil
import socket
import subprocess

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


def test_what_a_guest_writes_is_seen_when_it_is_there(d):
    with ends.Drive(d) as end, end.other() as qmp:
        qdev = qmp.ask("query-block")[0]["qdev"]
        for line in ("write 9M 3M", "flush"):
            qmp.ask("human-monitor-command",
                    command_line='qemu-io -d %s "%s"' % (qdev, line))
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
