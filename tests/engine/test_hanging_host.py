# SPDX-License-Identifier: GPL-3.0-or-later
"""One disk's host does not answer: the guests of other disks work on, and so
do those who only look, or stop and start them."""

import os
import struct
import time

import pytest

import blk
import nbdsock
import qmpsock
import shim
from blk import KIB, MIB

FOREVER = 1 << 40


class Host:
    """Requests of one kind on one file last until it goes on; see faults.c."""

    def __init__(self, d):
        self.fault = os.path.join(d, "fault")
        self.env = shim.faults(self.fault)

    def hang(self, kind, path):
        with open(self.fault + ".new", "w", encoding="utf-8") as stream:
            stream.write("%s %s 0 %d 0 always\n" % (kind, path, FOREVER))
        os.rename(self.fault + ".new", self.fault)

    def hangs(self):
        return os.path.exists(self.fault + ".waits")

    def go_on(self):
        os.unlink(self.fault)


def guest_works(guest, offset):
    data = bytes([offset // KIB % 255 + 1]) * 4 * KIB
    guest.ask(nbdsock.WRITE, offset, data=data)
    assert guest.ask(nbdsock.READ, offset, len(data)) == data
    guest.ask(nbdsock.FLUSH)


def others_look(server):
    with server.client() as other:
        assert other.ask("query-block")
        other.ask("query-named-block-nodes")
        other.ask("stop")
        other.ask("cont")
        assert other.ask("query-status")["running"]


def image(d, name, *create):
    path = os.path.join(d, name)
    assert blk.run("qemu-img", "create", "-q", "-f", "qcow2", *create, path,
                   "16M").rc == 0
    return path


def mark_dirty(path):
    with open(path, "r+b") as stream:
        stream.seek(72)
        flags = struct.unpack(">Q", stream.read(8))[0]
        stream.seek(72)
        stream.write(struct.pack(">Q", flags | 1))


ADD = {"driver": "qcow2", "node-name": "slow"}


def opened(d, _client):
    return "r", image(d, "slow.qcow2"), "blockdev-add", \
        dict(ADD, file={"driver": "file", "filename": d + "/slow.qcow2"})


def repaired(d, _client):
    path = image(d, "slow.qcow2", "-o", "lazy_refcounts=on")
    blk.qemu_io(path, "write 0 1M")
    mark_dirty(path)
    return ("w",) + opened_again(path)


def opened_again(path):
    return path, "blockdev-add", dict(ADD, file={"driver": "file",
                                                 "filename": path})


def attach(d, client):
    path, command, args = opened_again(image(d, "slow.qcow2"))
    client.send({"execute": command, "arguments": args})
    assert client.reply() == {"return": {}}
    client.ask("human-monitor-command",
               command_line='qemu-io slow "write 0 1M"')
    return path


def closed(d, client):
    return "w", attach(d, client), "blockdev-del", {"node-name": "slow"}


def snapshot_inside(d, client):
    return "w", attach(d, client), "blockdev-snapshot-internal-sync", \
        {"device": "slow", "name": "i1"}


def snapshot_outside(d, client):
    return "w", attach(d, client), "blockdev-snapshot-sync", \
        {"node-name": "slow", "snapshot-file": d + "/over.qcow2",
         "snapshot-node-name": "over"}


def reopened(d, client):
    path = attach(d, client)
    return "w", path, "blockdev-reopen", {"options": [dict(ADD, **{
        "read-only": True, "file": {"driver": "file", "filename": path}})]}


def a_drive(d, client):
    base = image(d, "base.qcow2")
    path = image(d, "slow.qcow2", "-b", base, "-F", "qcow2")
    blk.qemu_io(path, "write 0 1M")
    client.ask("human-monitor-command", command_line="drive_add 0 file=%s,"
               "format=qcow2,id=slow" % path)
    return path


def resized(d, client):
    return "w", a_drive(d, client), "block_resize", {
        "device": "slow", "size": 64 * MIB}


def committed(d, client):
    """At once: it hangs where the overlay is emptied."""
    return "w", a_drive(d, client), "human-monitor-command", {
        "command-line": "commit slow"}


@pytest.mark.parametrize("what", [opened, repaired, closed, snapshot_inside,
                                  snapshot_outside, reopened, resized,
                                  committed])
def test_others_work(d, what):
    host = Host(d)
    path = image(d, "disk0.qcow2")
    sock = os.path.join(d, "nbd.sock")
    with qmpsock.Server(d, "--drive", "file=%s,format=qcow2,id=disk0" % path,
                        "--nbd", "unix:" + sock, "--export",
                        "disk0,writable=on", env=host.env) as server, \
            server.client() as client, nbdsock.Nbd(sock, "disk0") as guest:
        kind, slow, command, args = what(d, client)
        host.hang(kind, slow)
        client.send({"execute": command, "arguments": args})
        deadline = time.monotonic() + blk.PATIENCE
        while not host.hangs():
            assert time.monotonic() < deadline, "it never hung"
            guest.ask(nbdsock.READ, 0, 512)
        for i in range(16):
            guest_works(guest, i * 64 * KIB)
        if what is not reopened:
            others_look(server)
        # a new guest of the other disk comes in
        with nbdsock.Nbd(sock, "disk0") as late:
            late.ask(nbdsock.READ, 0, MIB)
        host.go_on()
        assert client.reply()["return"] in ({}, "")
        server.quit()
    for name in (path, slow):
        assert blk.run("qemu-img", "check", "-q", name).rc == 0
