# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of blockdev-add and blockdev-reopen: each is carried out or refused,
in the words of qemu-storage-daemon, which answers the same requests."""

import json
import os
import subprocess

import pytest

import blk
from blk import MIB
from qmpsock import Server

SIZE = 4 * MIB


class Stdio:
    """A program with QMP on stdin and stdout, in a folder with images."""

    def __init__(self, d, *argv):
        os.mkdir(d)
        for name in "abct":
            blk.create(os.path.join(d, name), SIZE)
        blk.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2",
                "-b", "a", "o", cwd=d)
        blk.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2",
                "-b", "o", "p", cwd=d)
        self.proc = subprocess.Popen(
            argv, cwd=d, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        self.read()
        self.ask("qmp_capabilities", {})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()

    def read(self):
        while True:
            got = json.loads(self.proc.stdout.readline())
            if "event" not in got:
                return got

    def ask(self, name, args):
        self.proc.stdin.write(json.dumps(
            {"execute": name, "arguments": args}).encode() + b"\n")
        self.proc.stdin.flush()
        got = self.read()
        return got["error"]["desc"] if "error" in got else got["return"]


def file(name, **more):
    return {"driver": "file", "filename": name,
            **{k.replace("_", "-"): v for k, v in more.items()}}


def node(name, below, driver="qcow2", **more):
    return {"driver": driver, "node-name": name, "file": below,
            **{k.replace("_", "-"): v for k, v in more.items()}}


def add(*options):
    return [("blockdev-add", o) for o in options]


def again(*options):
    return "blockdev-reopen", {"options": list(options)}


def delete(name):
    return "blockdev-del", {"node-name": name}


GRAPH = add({**file("a"), "node-name": "fa"}, node("na", "fa"),
            {**file("o"), "node-name": "fo"}, node("no", "fo", backing="na"),
            node("nb", file("b")), node("nc", file("c", node_name="fc")))

REOPEN = GRAPH + [
    again(node("no", "fo", "raw", backing="na")),
    again(node("no", "fo", "raw")),
    again({"driver": "qcow2", "node-name": "no", "backing": "na"}),
    again(node("no", "fo")),
    again({"node-name": "no", "file": "fo", "backing": "na"}),
    again({"driver": "qcow2", "file": "fo", "backing": "na"}),
    again(node("no", "nope", backing="na")),
    again(node("no", file("o"), backing="na")),
    again(node("no", file("b"), backing="na")),
    again(node("no", "fo", backing="nope")),
    again(node("no", "fo", backing="no")),
    again(node("na", "fa", backing="no")),
    again(node("no", "fo", backing=node("x", "fa"))),
    again(node("no", "fo", backing="na", size=3)),
    again(node("no", "fo", backing="na", discard="unmap")),
    again(node("no", "fo", backing="na", read_only=True, force_share=True)),
    again(node("no", "fo", backing="nb")),
    again(node("no", "fo", backing=None)),
    again(node("no", "fo", backing="na")),
    again(node("nope", "fo", backing="na")),
    again({**file("b"), "node-name": "fa"}),
    again({"driver": "file", "node-name": "fa"}),
    again({**file("a"), "node-name": "fa"}),
    again({**file("a", read_only=True), "node-name": "fa"}),
    again(node("nc", "fc")),
    again(node("nc", "fc", read_only=True)),
    again(node("nc", file("c", node_name="fc"))),
    again(node("nb", file("b"))),
    again(node("nb", file("c"))),
    again({"driver": "qcow2", "node-name": "nb", "read-only": True}),
    again(node("nb", {**file("b"), "driver": "host_device"})),
    again(node("no", "fo", backing=None), node("nc", "nope")),
    again(node("no", "fo", backing="na")),
]

ADD = [
    *add(node("x", file("t", read_only=True))),
    *add(node("x", file("t", read_only=True), auto_read_only=True)),
    *add(node("x", file("t", read_only=False), read_only=True)), delete("x"),
    *add(node("x", file("t", auto_read_only=True))), delete("x"),
    *add(node("x", file("t"), force_share=True)),
    *add(node("x", file("t"), force_share=True, read_only=True)), delete("x"),
    *add(node("x", file("t", aio="native"))),
    *add(node("x", file("t", aio="native"), cache={"direct": True})),
    delete("x"),
    *add(node("x", file("t", aio="io_uring"))), delete("x"),
    *add(node("x", file("t"), "raw", backing=None)),
    *add({**file("t"), "node-name": "x", "backing": None}),
    *add({**file("t"), "node-name": "x", "file": "f"}),
    *add({"driver": "qcow2", "node-name": "x", "filename": "t"}),
    *add(node("x", file("t"), locking="on")),
    *add(node("x", file("t"), "raw", lazy_refcounts=True)),
    *add({"driver": "null-co", "node-name": "x", "filename": "t"}),
    *add(node("x", file("t"), size=512)),
    *add({**file("t", read_only=True), "node-name": "f"}),
    *add(node("x", "f")), *add(node("x", "f", read_only=True)),
    again(node("x", "f")), delete("x"), delete("f"),
    *add({**file("t", cache={"direct": True}), "node-name": "f"}),
    *add(node("x", "f")), again(node("x", "f")), delete("f"), delete("x"),
    delete("f"),
    *add({**file("t", read_only=True, force_share=True), "node-name": "f"}),
    *add(node("x", "f", read_only=True)),
    again(node("x", "f", read_only=True)), delete("x"), delete("f"),
    *add(node("x", file("t", node_name="f"))), delete("f"), delete("x"),
    *add({**file("t"), "node-name": "f", "driver": "host_device"}),
    *add(node("x", {**file("t"), "driver": "host_device"})),
]


@pytest.mark.parametrize("story", [REOPEN, ADD], ids=["reopen", "add"])
def test_same_answers(d, story):
    with Stdio(os.path.join(d, "q"), "qemu-storage-daemon", "--chardev",
               "stdio,id=m", "--monitor", "chardev=m") as qemu, \
            Stdio(os.path.join(d, "b"), blk.BLKMON, "--qmp", "stdio") as ours:
        for request in story:
            assert ours.ask(*request) == qemu.ask(*request), request


@pytest.mark.parametrize("option, value", [
    ("detect-zeroes", "on"), ("detect-zeroes", "unmap")])
def test_what_is_not_carried_out_is_refused(d, option, value):
    path = blk.create(os.path.join(d, "a"), SIZE)
    with Server(d) as s, s.client() as q:
        for what in (node("n", file(path), **{option: value}),
                     node("n", file(path, **{option: value}))):
            got = q.refused({"execute": "blockdev-add", "arguments": what})
            assert "does not accept value '%s'" % value in got[1]
        got = q.refused({"execute": "blockdev-add", "arguments":
                         node("n", file(path, locking="off"))})
        assert got[1] == "Parameter 'locking' does not accept value 'off'"
        got = q.refused({"execute": "blockdev-add", "arguments":
                         node("n", file(path),
                              cache={"direct": True, "no-flush": True})})
        assert "not possible together" in got[1]


def test_a_file_that_is_read_only_is_not_written(d):
    """Not by the guest, a stream into it or a commit."""
    low = blk.create(os.path.join(d, "low"), SIZE)
    blk.qemu_io(low, "write -P 5 0 64k")
    mid = blk.create(os.path.join(d, "mid"), None, low)
    top = blk.create(os.path.join(d, "top"), None, mid)
    blk.qemu_io(top, "write -P 6 64k 64k")
    before = blk.content(mid)
    with Server(d) as s, s.client() as q:
        q.ask("blockdev-add", **node("low", file(low)))
        q.ask("blockdev-add", **node("mid", file(mid, read_only=True),
                                     read_only=True, backing="low"))
        for name, args in (("block-stream", {}), ("block-commit", {})):
            if name == "block-commit":
                q.ask("blockdev-add", **node("top", file(top),
                                             backing="mid"))
                args = {"base_node": "mid"}
            got = q.request(name, device="top" if args else "mid",
                            job_id="j", **args)
            assert got["error"]["desc"] == "Block node is read-only", got
    assert blk.content(mid) == before


def test_force_share_looks_beside_a_writer(d):
    low = blk.create(os.path.join(d, "low"), SIZE)
    path = blk.create(os.path.join(d, "a"), None, low)
    blk.qemu_io(low, "write -P 7 0 64k")
    with blk.held_by_daemon(path), Server(d) as s, s.client() as q:
        ours = node("n", file(path), read_only=True)
        got = q.request("blockdev-add", **ours)
        assert "Is another process using the image" in got["error"]["desc"]
        q.ask("blockdev-add", **ours, force_share=True)
        got = q.ask("human-monitor-command",
                    command_line='qemu-io n "read -P 7 0 64k"')
        assert "read 65536/65536" in got, got
        got = q.request("blockdev-reopen", options=[
            node("n", file(path), backing={"driver": "qcow2",
                                           "file": file(low)})])
        assert got["error"]["desc"] == "Cannot change the option 'force-share'"
        got = q.request("block-stream", device="n", job_id="j")
        assert got["error"]["desc"] == \
            "force-share=on can only be used with read-only images"


@pytest.mark.parametrize("first", [False, True])
def test_force_share_is_not_for_what_is_written_here(d, first):
    path = blk.create(os.path.join(d, "a"), SIZE)
    nodes = [node("w", file(path)),
             node("r", file(path), read_only=True, force_share=True)]
    with Server(d) as s, s.client() as q:
        q.ask("blockdev-add", **nodes[first])
        got = q.request("blockdev-add", **nodes[not first])
        assert "is in use by node" in got["error"]["desc"]


def test_auto_read_only(d):
    with blk.small_fs(d, 8 * MIB) as place:
        path = blk.create(os.path.join(place, "a"), SIZE)
        assert blk.run("mount", "-o", "remount,ro", place).rc == 0
        with Server(d) as s, s.client() as q:
            got = q.request("blockdev-add", **node("n", file(path)))
            assert "Read-only file system" in got["error"]["desc"]
            q.ask("blockdev-add", **node("n", file(path),
                                         auto_read_only=True))
            assert [n["ro"] for n in q.ask("query-named-block-nodes")
                    if n["node-name"] == "n"] == [True]


def disk_bytes(path):
    return os.stat(path).st_blocks * 512


@pytest.mark.parametrize("how", ["add", "reopen"])
def test_discard_ignore(d, how):
    """What is there stays there, whatever the guest forgets."""
    path = blk.create(os.path.join(d, "a"), SIZE)
    with Server(d) as s, s.client() as q:
        def io(command):
            out = q.ask("human-monitor-command",
                        command_line='qemu-io n "%s"' % command)
            assert "65536/65536" in out, out

        wanted = node("n", file(path), discard="ignore")
        if how == "add":
            q.ask("blockdev-add", **wanted)
        else:
            q.ask("blockdev-add", **node("n", file(path)))
            q.ask("blockdev-reopen", options=[wanted])
        io("write -P 9 0 64k")
        io("discard 0 64k")
        io("read -P 9 0 64k")
        q.ask("blockdev-reopen", options=[node("n", file(path),
                                               discard="unmap")])
        io("discard 0 64k")
        s.quit()
    assert b"\x09" * 64 not in blk.cat(path)


def test_discard_ignore_of_a_file_node(d):
    """Said of a file before an image takes it, and anew while it has it; and
    it is the file's when that is a node again."""
    path = os.path.join(d, "raw")
    with open(path, "wb") as out:
        out.write(b"\1" * SIZE)
    full = disk_bytes(path)
    with Server(d) as s, s.client() as q:
        def discard(name, off):
            out = q.ask("human-monitor-command",
                        command_line=f'qemu-io {name} "discard {off} 64k"')
            assert "65536/65536" in out, out
            os.sync()

        def part(how):
            return {"driver": "file", "node-name": "f", "filename": path,
                    "discard": how}

        q.ask("blockdev-add", **part("ignore"))
        q.ask("blockdev-add", driver="raw", node_name="n", file="f",
              discard="unmap")
        discard("n", 0)
        assert disk_bytes(path) == full
        q.ask("blockdev-reopen", options=[part("unmap")])
        discard("n", 0)
        assert disk_bytes(path) == full - 65536
        q.ask("blockdev-reopen", options=[part("ignore")])
        q.ask("blockdev-reopen", options=[
            {"driver": "raw", "node-name": "n", "file": "f",
             "discard": "unmap"}])
        discard("n", "64k")
        got = q.request("blockdev-reopen", options=[
            part("unmap"), {"driver": "qcow2", "node-name": "n", "file": "f"}])
        assert "error" in got, got
        discard("n", "64k")
        q.ask("blockdev-del", node_name="n")
        discard("f", "64k")
        assert disk_bytes(path) == full - 65536
        s.quit()


def test_a_file_node_that_no_image_could_take(d):
    """It is what it was, whatever was wrong; a name is given once."""
    raw = blk.create(os.path.join(d, "raw"), SIZE, fmt="raw")
    path = blk.create(os.path.join(d, "a"), SIZE)
    blk.qemu_io(raw, "write -P 7 0 64k", fmt="raw")
    with Server(d) as s, s.client() as q:
        q.ask("blockdev-add", driver="null-co", node_name="other", size=SIZE)
        for name, wrong, said in (
                (raw, {}, "is not a qcow2 image"),
                (path, {"node_name": "f"}, "node-name='f'"),
                (path, {"node_name": "other"}, "node-name='other'"),
                (path, {"node_name": "9x"}, "Invalid node-name"),
                (path, {"backing": "f"}, "node-name='f'"),
                (path, {"data_file": {"driver": "file", "filename": raw}},
                 "no external data file")):
            q.ask("blockdev-add", driver="file", node_name="f", filename=name,
                  read_only=True)
            got = q.request("blockdev-add", driver="qcow2", file="f",
                            **{"node-name": "n", "read-only": True, **{
                                k.replace("_", "-"): v
                                for k, v in wrong.items()}})
            assert said in got["error"]["desc"], got
            assert sorted((n["node-name"], n["drv"], n["ro"]) for n in
                          q.ask("query-named-block-nodes")) == [
                ("f", "file", True), ("other", "null-co", False)]
            q.ask("blockdev-del", node_name="f")
        s.quit()


def test_force_share_of_a_file_node(d):
    """It is the file's when that is a node again, beside the writer."""
    path = os.path.join(d, "raw")
    blk.create(path, SIZE, fmt="raw")
    with blk.held_by_qemu_io(path, fmt="raw"), Server(d) as s, \
            s.client() as q:
        q.ask("blockdev-add", driver="file", node_name="f", filename=path,
              read_only=True, force_share=True)
        q.ask("blockdev-add", driver="raw", node_name="n", file="f",
              read_only=True)
        q.ask("blockdev-del", node_name="n")
        assert [n["node-name"] for n in q.ask("query-named-block-nodes")] \
            == ["f"]
        s.quit()


class Links:
    """top over a, and b beside it."""

    def __init__(self, d):
        self.path = {n: blk.create(os.path.join(d, n), SIZE) for n in "ab"}
        self.path["top"] = blk.create(os.path.join(d, "top"), None,
                                      self.path["a"])
        blk.qemu_io(self.path["a"], "write -P 1 0 1M")
        blk.qemu_io(self.path["b"], "write -P 2 0 1M")
        self.server = Server(d)

    def __enter__(self):
        self.server.__enter__()
        self.q = self.server.client()
        # top's header leads to a, whatever is below it just now.
        for name in "ab":
            self.q.ask("blockdev-add", x_blkmon_force=True,
                       **node(name, file(self.path[name])))
        self.q.ask("blockdev-add", **self.top("a"))
        return self

    def __exit__(self, *how):
        self.q.close()
        self.server.__exit__(*how)

    def top(self, backing, **more):
        return node("top", file(self.path["top"]), backing=backing, **more)

    def reads(self, byte):
        out = self.q.ask("human-monitor-command",
                         command_line='qemu-io top "read -P %d 0 64k"' % byte)
        assert "read 65536/65536" in out and "failed" not in out, out

    def writes(self, name):
        out = self.q.ask("human-monitor-command",
                         command_line='qemu-io %s "write -P 9 2M 64k"' % name)
        return "wrote 65536/65536" in out


def test_another_backing_node(d):
    with Links(d) as at:
        at.reads(1)
        for backing, byte in (("b", 2), (None, 0), ("a", 1)):
            at.q.ask("blockdev-reopen", options=[at.top(backing)])
            at.reads(byte)
            # what is below is not written, what is let go may be
            assert at.writes("a") == (backing != "a")
            assert at.writes("b") == (backing != "b")


def test_all_or_nothing(d):
    with Links(d) as at:
        for wrong in (node("b", file(at.path["b"]), "raw"),
                      node("nope", file(at.path["b"]))):
            got = at.q.request("blockdev-reopen", options=[
                at.top("b", discard="ignore"), wrong])
            assert "error" in got
            at.reads(1)
            assert not at.writes("a") and at.writes("b")
            got = at.q.request("blockdev-reopen", options=[
                at.top(None, read_only=True), wrong])
            assert "error" in got
            at.reads(1)
            assert at.writes("top")


def test_a_link_that_a_job_uses(d):
    with Links(d) as at:
        at.q.ask("block-stream", device="top", job_id="j", speed=65536,
                 auto_dismiss=False)
        for backing in "b", None:
            got = at.q.request("blockdev-reopen", options=[at.top(backing)])
            assert got["error"]["desc"] == \
                "Cannot change frozen 'backing' link from 'top' to 'a'"
        at.q.ask("block-job-cancel", device="j")
        at.q.event("BLOCK_JOB_CANCELLED")
        at.q.ask("job-dismiss", id="j")
        at.q.ask("blockdev-reopen", options=[at.top("b")])


def test_data_file_of_a_reopen(d):
    """The same again is no change; another one is refused, and stays out."""
    data, other = os.path.join(d, "data"), os.path.join(d, "other")
    path = blk.create(os.path.join(d, "a"), SIZE, data_file=data)
    blk.create(other, SIZE, fmt="raw")
    plain = blk.create(os.path.join(d, "b"), SIZE)

    def one(data, **more):
        return node("n", file(path), data_file={**file(data), **more})

    with Server(d) as s, s.client() as q:
        q.ask("blockdev-add", **one(data))
        q.ask("blockdev-add", **node("m", file(plain)))
        q.ask("blockdev-reopen", options=[one(data)])
        for wrong, option in (
                (one(other), "filename"),
                (one(data, driver="host_device"), "driver"),
                (node("m", file(plain), data_file=file(other)),
                 "data-file.driver")):
            got = q.request("blockdev-reopen", options=[wrong])
            assert got["error"]["desc"] == \
                "Cannot change the option '%s'" % option, got
        s.quit()
