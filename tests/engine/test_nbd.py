# SPDX-License-Identifier: GPL-3.0-or-later
"""Other people's NBD clients on a running blkmon, and its NBD commands."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

import pytest

import blk
import nbdsock
from blk import MIB

SIZE = 16 * MIB


def need(program):
    if not shutil.which(program):
        pytest.skip("no %s" % program)


def tool(*argv, rc=0):
    need(argv[0])
    out = blk.run(*argv)
    assert out.rc == rc, out
    return out


class Served:
    """Two layers served on a Unix socket, writable."""

    def __init__(self, d):
        self.base = blk.create(os.path.join(d, "base"), SIZE)
        blk.qemu_io(self.base, "write -P 0x21 0 1M")
        self.top = blk.create(os.path.join(d, "top"), None, self.base)
        blk.qemu_io(self.top, "write -P 0x22 1M 1M", "write -z 4M 1M")
        self.socket = os.path.join(d, "sock")
        self.uri = "nbd+unix:///disk0?socket=" + self.socket
        self.session = blk.Session(self.top)
        self.session.ok("nbd_server_start -a -w unix:" + self.socket)


@pytest.fixture
def served(d):
    s = Served(d)
    with s.session:
        yield s


def test_nbdinfo(served):
    out = tool("nbdinfo", "--json", served.uri)
    export = json.loads(out.out)["exports"][0]
    assert export["export-size"] == SIZE
    assert export["can_multi_conn"] and export["can_fast_zero"]
    assert not export["is_read_only"]
    assert "qemu:allocation-depth" in export["contexts"]


def test_map_tells_what_is_allocated(served):
    out = blk.qemu_img("map", "--output=json", "-f", "raw", served.uri)
    runs = [(r["start"] // MIB, r["length"] // MIB, r["data"], r["zero"])
            for r in json.loads(out.out)]
    assert runs == [(0, 2, True, False), (2, 14, False, True)]


def merged(runs):
    """Neighbours of one kind as one run."""
    out = []
    for start, length, *kind in runs:
        if out and out[-1][2:] == kind and sum(out[-1][:2]) == start:
            out[-1][1] += length
        else:
            out.append([start, length, *kind])
    return out


def nbd_map(uri, context="base:allocation"):
    out = tool("nbdinfo", "--json", "--map=" + context, uri)
    return merged((r["offset"], r["length"], r["type"])
                  for r in json.loads(out.out))


def qemu_map(image, fmt="raw"):
    """What reads as zeroes and what holds data, whoever asks."""
    out = blk.qemu_img("map", "--output=json", "-U", "-f", fmt, image)
    return merged((r["start"], r["length"], r["data"], r["zero"])
                  for r in json.loads(out.out))


def mixed_chain(d, base):
    """Holes, zeroes over data, compressed clusters, a base that is
    shorter."""
    low, mid, top = (os.path.join(d, n) for n in ("low", "mid", "top"))
    if base == "raw":
        blk.run("truncate", "-s", "5M", low)
        blk.run("qemu-io", "-f", "raw", "-c", "write -P 1 1M 1M", low)
    else:
        blk.create(low, 5 * MIB)
        blk.qemu_io(low, "write -P 1 1M 1M", "write -z 3M 1M",
                    "write -c -P 4 4M 64k")
    blk.qemu_img("create", "-q", "-f", "qcow2", "-b", low, "-F", base, mid,
                 "12M")
    blk.qemu_io(mid, "write -P 2 1536k 1M", "write -z 64k 64k",
                "write -P 3 6M 192k", "discard 1M 64k")
    blk.create(top, None, mid)
    blk.qemu_io(top, "write -P 5 2M 4k", "write -z 6M 64k",
                "write -z -u 6208k 64k", "write -P 6 11M 1M")
    return top


def by_qemu_nbd(d, image):
    """Maps of @image as QEMU's own server tells them."""
    need("qemu-nbd")
    path, pidfile = os.path.join(d, "qemu"), os.path.join(d, "pid")
    out = blk.run("qemu-nbd", "--fork", "-t", "-r", "-A", "-f", "qcow2",
                  "--pid-file=" + pidfile, "-k", path, image)
    assert out.rc == 0, out
    with open(pidfile, encoding="ascii") as stream:
        pid = int(stream.read())
    try:
        return all_maps("nbd+unix:///?socket=" + path)
    finally:
        os.kill(pid, signal.SIGTERM)
        blk.wait_gone(pid)


def all_maps(uri):
    return (nbd_map(uri), nbd_map(uri, "qemu:allocation-depth"),
            qemu_map(uri))


@pytest.mark.parametrize("base", ["raw", "qcow2"])
def test_maps_are_those_of_qemu(d, base):
    need("nbdinfo")
    top = mixed_chain(d, base)
    path = os.path.join(d, "sock")
    theirs, chain = by_qemu_nbd(d, top), qemu_map(top, "qcow2")
    with blk.Session(top) as s:
        s.ok("nbd_server_start -a -w unix:" + path)
        ours = all_maps("nbd+unix:///disk0?socket=" + path)
    assert ours[0] == theirs[0]
    assert ours[1] == theirs[1]
    assert ours[2] == theirs[2] == chain


def test_the_list_shows_all_exports(served):
    served.session.ok("nbd_server_add disk0 again")
    out = tool("nbdinfo", "--list", "--json",
               "nbd+unix://?socket=" + served.socket)
    exports = json.loads(out.out)["exports"]
    assert {e["export-name"]: e["is_read_only"] for e in exports} == {
        "disk0": False, "again": True}
    assert all(e["export-size"] == SIZE for e in exports)
    out = tool("qemu-nbd", "--list", "-k", served.socket)
    assert "exports available: 2" in out.out
    assert "min block: 1" in out.out and "base:allocation" in out.out


def copy_under_a_stream(session, *files):
    """The stream crawls until the copy is under way. Either may be the first
    to end."""
    need("nbdcopy")
    session.ok("block_stream disk0 1B")
    with subprocess.Popen(["nbdcopy", *files]) as copy:
        session.ok("block_job_set_speed disk0 16M")
        assert copy.wait(blk.PATIENCE) == 0
    session.wait()


def test_nbdcopy_both_ways_under_a_stream(served, d):
    """A copy out and in, while the layers below become one."""
    out, back = os.path.join(d, "out"), os.path.join(d, "back")
    middle, top = os.path.join(d, "middle"), os.path.join(d, "new")
    served.session.io("write -P 0x23 8M 8M")
    served.session.ok("snapshot_blkdev disk0 " + middle)
    copy_under_a_stream(served.session, served.uri, out)
    served.session.ok("snapshot_blkdev disk0 " + top)
    with open(out, "rb") as stream:
        first = stream.read()
    assert first[0] == 0x21 and first[MIB] == 0x22 and len(first) == SIZE
    changed = blk.stamps(7, 0, SIZE)
    with open(out, "wb") as stream:
        stream.write(changed)
    copy_under_a_stream(served.session, out, served.uri)
    tool("nbdcopy", served.uri, back)
    with open(back, "rb") as stream:
        blk.assert_same(stream.read(), changed, "the copy")
    served.session.quit()
    blk.assert_same(blk.guest(top), changed, "the image")
    blk.check(top)


def test_qemu_io_and_convert(served, d):
    blk.qemu_io(served.uri, "read -P 0x21 0 1M", "write -P 9 5M 64k",
                "write -z -u 6M 64k", "discard 1M 64k", "flush",
                "read -P 9 5M 64k", fmt="raw")
    served.session.io("read -P 9 5M 64k")
    copy = os.path.join(d, "copy")
    blk.qemu_img("convert", "-f", "raw", "-O", "raw", served.uri, copy)
    blk.qemu_img("compare", "-f", "raw", "-F", "raw", served.uri, copy)
    info = blk.qemu_img("info", "--output=json", "-f", "raw", served.uri)
    assert json.loads(info.out)["virtual-size"] == SIZE


def test_fio_verifies_what_it_wrote(served):
    need("fio")
    out = blk.run("fio", "--name=v", "--ioengine=nbd", "--uri=" + served.uri,
                  "--rw=randwrite", "--bs=4k", "--size=8m", "--iodepth=16",
                  "--verify=crc32c", "--do_verify=1",
                  "--verify_state_save=0")
    if "not loadable" in out.text:
        pytest.skip("fio has no nbd engine")
    assert out.rc == 0 and "verify:" not in out.err, out


def test_stop_holds_requests_and_cont_lets_them_go(served):
    """None is lost, none is answered while the guest stands still."""
    need("qemu-io")
    served.session.ok("stop")
    with subprocess.Popen(["qemu-io", "-f", "raw", "-c", "write -P 5 3M 64k",
                           served.uri], stdout=subprocess.DEVNULL) as client:
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(0.3)
        served.session.ok("cont")
        assert client.wait(blk.PATIENCE) == 0
    served.session.io("read -P 5 3M 64k")


def crowd(path, count):
    """Clients who connect and say nothing."""
    silent = []
    for _ in range(count):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(blk.PATIENCE)
        try:
            sock.connect(path)
        except BlockingIOError:
            pass            # not even the host has room for more
        silent.append(sock)
    return silent


def once_there_is_room(path):
    deadline = time.monotonic() + blk.PATIENCE
    while True:
        try:
            return nbdsock.Nbd(path, "disk0")
        except BlockingIOError:
            assert time.monotonic() < deadline


def await_line(session, text):
    deadline = time.monotonic() + blk.PATIENCE
    while not any(text in line for line in session.log):
        assert time.monotonic() < deadline, session.story(text)
        session.sync()


def memory(pid):
    """KiB that @pid has used at most."""
    with open("/proc/%d/status" % pid, encoding="ascii") as stream:
        return int(re.search(r"VmHWM:\s+(\d+)", stream.read())[1])


def test_a_thousand_at_once(served):
    """A hundred are let in, the others wait outside; who was there is
    served, nobody costs much, and it is said once."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip("%d open files are not enough" % hard)
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1200, hard))
    silent = []
    try:
        with nbdsock.Nbd(served.socket, "disk0") as steady:
            before = memory(served.session.proc.pid)
            silent = crowd(served.socket, 1000)
            for i in range(100):
                steady.ask(nbdsock.WRITE, i * 4096, data=bytes([i]) * 4096)
                assert steady.ask(nbdsock.READ, i * 4096, 4096) == \
                    bytes([i]) * 4096
            await_line(served.session, "all 100 connections are in use")
            grown = memory(served.session.proc.pid) - before
            assert grown < 128 << 10 or "san" in blk.BLKMON, grown
        for sock in silent:
            sock.close()
        with once_there_is_room(served.socket) as late:
            assert late.ask(nbdsock.READ, 4096, 1) == b"\x01"
    finally:
        for sock in silent:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, soft)


def test_words_of_the_commands(d):
    image = blk.create(os.path.join(d, "a"), MIB)
    at = "unix:" + os.path.join(d, "sock")
    with blk.Session(image) as s:
        s.fails("nbd_server_start -w " + at, "-w only valid together with -a")
        s.fails("nbd_server_start here", "error parsing address 'here'")
        s.fails("nbd_server_add disk0", "NBD server not running")
        s.ok("nbd_server_start " + at)
        s.fails("nbd_server_start " + at, "NBD server already running")
        s.ok("nbd_server_add -w disk0 two")
        s.fails("nbd_server_add disk0 two",
                "Block export id 'two' is already in use")
        s.fails("nbd_server_remove x", "Export 'x' is not found")
        s.ok("nbd_server_remove two")
        s.ok("nbd_server_stop")
        s.fails("nbd_server_stop", "NBD server not running")


def ask(session, command, **args):
    """One QMP command: its reply, without the events around it."""
    line = json.dumps({"execute": command, "arguments": {
        k.replace("_", "-"): v for k, v in args.items()}})
    replies = [json.loads(i) for i in session.cmd(line)
               if i.startswith('{"')]
    reply, = [r for r in replies if "event" not in r]
    return reply


def test_exports_in_qmp(d):
    image = blk.create(os.path.join(d, "a"), MIB)
    path = os.path.join(d, "sock")

    def qmp(command, **args):
        return ask(s, command, **args)

    with blk.Session("--drive", "file=%s,node-name=top" % image) as s:
        unix = {"type": "unix", "data": {"path": path}}
        assert "TLS" in qmp("nbd-server-start", addr=unix,
                            tls_creds="x")["error"]["desc"]
        assert qmp("nbd-server-start", addr=unix) == {"return": {}}
        assert qmp("block-export-add", type="nbd", id="e0", node_name="top",
                   name="n", writable=True) == {"return": {}}
        assert qmp("query-block-exports") == {"return": [{
            "node-name": "top", "shutting-down": False, "type": "nbd",
            "id": "e0"}]}
        assert qmp("block-export-add", type="bogus", id="e1",
                   node_name="top")["error"]["desc"] == (
                       "Parameter 'type' does not accept value 'bogus'")
        assert qmp("block-export-del", id="e0",
                   mode="hard") == {"return": {}}
        assert qmp("query-block-exports") == {"return": []}


def test_who_uses_the_exports(served):
    """Per client what it asked for, while it is there."""
    with nbdsock.Nbd(served.socket, "disk0") as one, \
            nbdsock.Nbd(served.socket, "disk0") as two:
        one.ask(nbdsock.READ, 0, 4096)
        one.ask(nbdsock.WRITE, 0, data=bytes(512))
        two.ask(nbdsock.FLUSH)
        export, = ask(served.session, "x-blkmon-query-exports")["return"]
        first, second = export["clients"]
        assert (first["rd_operations"], first["rd_bytes"],
                first["wr_operations"], first["wr_bytes"],
                first["requests"]) == (1, 4096, 1, 512, 2)
        assert re.fullmatch(r".+\[\d+\]", first["address"])
        assert (second["rd_bytes"], second["requests"]) == (0, 1)
        assert second["number"] > first["number"]
        assert (export["id"], export["device"], export["name"]) == (
            "disk0", "disk0", "disk0")
        assert export["writable"] and not export["shutting-down"]
        assert export["address"] == "unix:" + served.socket
        assert (export["rd_bytes"], export["requests"]) == (4096, 3)
        lines = served.session.ok("info nbd")
        assert lines[0].startswith("disk0: export 'disk0' of #block")
        assert "wr_bytes=512" in lines[2] and "client" in lines[3]
    served.session.ok("nbd_server_stop")
    assert served.session.ok("info nbd") == ["No exports"]


def test_max_connections(d):
    """The next client waits until one has gone."""
    image = blk.create(os.path.join(d, "a"), MIB)
    path = os.path.join(d, "sock")
    with blk.Session(image) as s:
        unix = {"type": "unix", "data": {"path": path}}
        assert ask(s, "nbd-server-start", addr=unix,
                   max_connections=1) == {"return": {}}
        s.ok("nbd_server_add -w disk0")
        with nbdsock.Nbd(path, "disk0") as first, \
                socket.socket(socket.AF_UNIX) as second:
            second.connect(path)
            await_line(s, "all 1 connections are in use")
            first.ask(nbdsock.READ, 0, 512)
            second.settimeout(blk.PATIENCE)
            first.close()
            assert second.recv(8) == b"NBDMAGIC"


@pytest.mark.parametrize("options", [
    ["--nbd", "unix:%s/sock", "--export", "x,writable=on,name=n"],
    ["--nbd-server", "addr.type=unix,addr.path=%s/sock",
     "--export", "nbd,id=e,node-name=top,name=n,writable=on"],
])
def test_served_from_the_command_line(d, options):
    need("nbdinfo")
    image = blk.create(os.path.join(d, "a"), MIB)
    pidfile = os.path.join(d, "pid")
    blk.blkmon_ok("--drive", "file=%s,id=x,node-name=top,format=qcow2"
                  % image, *[o.replace("%s", d) for o in options],
                  "--pidfile", pidfile, "--daemonize")
    with open(pidfile, encoding="ascii") as stream:
        pid = int(stream.read())
    try:
        out = tool("nbdinfo", "nbd+unix:///n?socket=%s/sock" % d)
        assert "is_read_only: false" in out.out
    finally:
        os.kill(pid, signal.SIGTERM)
        blk.wait_gone(pid)
