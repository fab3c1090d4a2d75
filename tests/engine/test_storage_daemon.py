# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever drives qemu-storage-daemon drives blkmon by changing the name of
the program: the same command line and the same requests to both, and what
they answer is compared."""

import contextlib
import json
import os
import signal

import pytest

import blk
import replay
from blk import MIB
from qmpsock import Gone, Qmp

QSD = "qemu-storage-daemon"

# What there is to tell apart: an active commit counts its work in other
# units, and QEMU has nodes of its own between those of the user.
UNITS = {"len", "total-progress"}


def chain(d):
    """base <- mid <- top, and the same bytes each time."""
    where = [os.path.join(d, name) for name in ("base", "mid", "top")]
    for n, path in enumerate(where):
        blk.create(path, 8 * MIB if n == 0 else None,
                   where[n - 1] if n else None)
        blk.qemu_io(path, "write -P %d %d 2M" % (n + 1, n * MIB))
    return where


class Daemon:
    """A program in the background, with QMP and NBD on sockets."""

    def __init__(self, program, d, *args):
        self.d, self.program = d, program
        self.path = os.path.join(d, "qmp.sock")
        self.nbd = os.path.join(d, "nbd.sock")
        self.pidfile = os.path.join(d, "pid")
        out = blk.run(program, "--chardev",
                      "socket,id=c,path=%s,server=on,wait=off" % self.path,
                      "--monitor", "chardev=c", "--pidfile", self.pidfile,
                      "--daemonize", *args, cwd=d)
        assert out.rc == 0, out
        with open(self.pidfile, encoding="ascii") as stream:
            self.pid = int(stream.read())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        blk.wait_gone(self.pid)

    def uri(self, name):
        return "nbd+unix:///%s?socket=%s" % (name, self.nbd)


class Talk:
    """A conversation; .said is what is compared."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.qmp = Qmp(daemon.path)
        self.said = []

    def plain(self, value):
        text = replay.plain(value)
        return {k: v for k, v in text.items() if k not in UNITS} \
            if isinstance(text, dict) else text

    def ask(self, name, /, **args):
        got = self.qmp.request(name, **args)
        if "error" in got:
            got["error"]["class"] = "-"     # those of 1.1: see compat.md
            got["error"].pop("x-blkmon-tip", None)
        self.said.append((name, self.plain(got)))
        return got

    def node(self, name):
        """What both tell of a node."""
        nodes = self.qmp.ask("query-named-block-nodes", flat=True)
        found = [n for n in nodes if n["node-name"] == name]
        self.said.append([
            {k: n.get(k) for k in ("node-name", "drv", "ro", "file",
                                   "backing_file", "cache")}
            for n in found])

    def until(self, name, **data):
        got = self.qmp.event(name, **data)
        self.said.append({k: v for k, v in self.plain(got["data"]).items()
                          if k not in UNITS})

    def quit(self):
        self.ask("quit")
        with pytest.raises(Gone):
            while True:
                self.qmp.receive()
        self.qmp.close()
        blk.wait_gone(self.daemon.pid)
        # QEMU leaves the socket behind.
        self.said.append(sorted({*os.listdir(self.daemon.d)} - {"nbd.sock"}))


def both(tmp, story, *args):
    """Tells the story to both programs; what they said, and the folders."""
    said, folders = [], []
    for program in (QSD, blk.BLKMON):
        d = os.path.join(tmp, os.path.basename(program))
        os.mkdir(d)
        chain(d)
        with Daemon(program, d, *(a.replace("DIR", d) for a in args)) as it:
            talk = Talk(it)
            story(talk, d)
        said.append([json.dumps(s, sort_keys=True).replace(d, "DIR")
                     for s in talk.said])
        folders.append(d)
    return said, folders


def same(said):
    assert said[0] == said[1]


TOP = "driver=qcow2,node-name=top,file.driver=file,file.filename=DIR/top"
SERVER = ["--nbd-server", "addr.type=unix,addr.path=DIR/nbd.sock"]


# -------------------------------------------------------------- the stories

def queries(t, d):
    # The daemon may be of any version from 7.2 on.
    version = t.qmp.ask("query-version")
    t.said.append((sorted(version), sorted(version["qemu"])))
    for name in ("query-block", "query-block-jobs", "query-jobs",
                 "query-block-exports"):
        got = t.ask(name)
        assert "return" in got
    t.node("top")
    for args in ({}, {"device": "nosuch"},
                 {"device": "top", "speed": -1, "job_id": "j"},
                 {"device": "top", "base": "nosuch", "job_id": "j"},
                 {"device": "top", "bogus": 1}, {"device": 5}):
        t.ask("block-stream", **args)
    t.ask("nosuch")
    t.ask("job-cancel", id="nosuch")
    t.ask("block-job-cancel", device="nosuch")
    t.ask("blockdev-del", node_name="nosuch")
    t.ask("block_resize", node_name="top", size=511)
    t.quit()


def stream(t, d):
    t.ask("block-stream", device="top", job_id="s", base=d + "/base",
          speed=1)
    t.ask("block-job-pause", device="s")
    t.ask("block-job-pause", device="s")
    t.ask("block-job-cancel", device="s")
    t.ask("block-job-resume", device="s")
    t.ask("block-job-set-speed", device="s", speed=0)
    t.until("BLOCK_JOB_COMPLETED", device="s")
    t.until("JOB_STATUS_CHANGE", id="s", status="null")
    t.node("top")
    t.quit()


def commit(t, d):
    """The active layer, by node name; then nobody is below."""
    t.ask("block-commit", device="top", job_id="j")
    t.until("BLOCK_JOB_READY", device="j")
    t.ask("job-complete", id="j")
    t.until("BLOCK_JOB_COMPLETED", device="j")
    t.until("JOB_STATUS_CHANGE", id="j", status="null")
    t.ask("query-block-jobs")
    t.quit()


def snapshot(t, d):
    """As libvirt does: the overlay is made and opened by its own commands."""
    blk.create(d + "/new", None, d + "/top")
    t.ask("blockdev-add", driver="file", node_name="f", filename=d + "/new")
    t.ask("blockdev-add", driver="qcow2", node_name="new", file="f",
          backing=None)
    t.ask("blockdev-snapshot", node="top", overlay="nosuch")
    t.ask("blockdev-snapshot", node="top", overlay="new")
    blk.create(d + "/newer", None, d + "/new")
    t.ask("blockdev-add", driver="qcow2", node_name="newer", backing=None,
          file={"driver": "file", "filename": d + "/newer"})
    t.ask("blockdev-snapshot", node="new", overlay="newer")
    t.ask("blockdev-snapshot", node="new", overlay="newer")
    t.ask("transaction", actions=[
        {"type": "blockdev-snapshot-sync", "data": {
            "node-name": "newer", "snapshot-file": d + "/x",
            "snapshot-node-name": "x"}},
        {"type": "abort", "data": {}}])
    with contextlib.suppress(FileNotFoundError):
        os.unlink(d + "/x")     # QEMU leaves it behind
    t.node("newer")
    t.ask("block-commit", device="newer", top_node="new", base_node="top",
          job_id="c")
    t.until("BLOCK_JOB_COMPLETED", device="c")
    t.until("JOB_STATUS_CHANGE", id="c", status="null")
    t.node("newer")
    t.ask("blockdev-del", node_name="top")
    t.quit()


def export(t, d):
    """--nbd-server and --export, then the same by QMP."""
    info = blk.run("nbdinfo", "--size", t.daemon.uri("disk"))
    t.said.append((info.rc, info.out))
    io = blk.run("qemu-io", "-f", "raw", t.daemon.uri("disk"), "-c",
                 "write -P 7 6M 1M", "-c", "read -P 7 6M 1M", "-c",
                 "read -P 3 2M 2M", "-c", "flush")
    assert io.rc == 0 and "failed" not in io.text, io
    t.ask("block-export-add", type="nbd", id="e2", node_name="top",
          name="again")
    t.ask("block-export-add", type="nbd", id="e2", node_name="top")
    refused = blk.run("qemu-io", "-f", "raw", t.daemon.uri("again"), "-c",
                      "write 0 512")
    t.said.append(refused.rc != 0)
    t.ask("block-export-del", id="e2")
    t.until("BLOCK_EXPORT_DELETED", id="e2")
    t.ask("block-export-del", id="nosuch")
    t.ask("nbd-server-start", addr={"type": "unix", "data": {
        "path": d + "/other.sock"}})
    exports = t.qmp.ask("query-block-exports")
    t.said.append(sorted((e["id"], e["type"], e["node-name"])
                         for e in exports))
    t.quit()


EXPORT = ["--export", "type=nbd,id=e,node-name=top,name=disk,writable=on"]
JSON = ('{"driver": "qcow2", "node-name": "top", "file": '
        '{"driver": "file", "filename": "DIR/top"}}')


@pytest.mark.parametrize("story,args", [
    (queries, ["--blockdev", TOP]), (stream, ["--blockdev", JSON]),
    (commit, ["--blockdev", TOP]),
    (snapshot, ["--blockdev", TOP, "--object", "iothread,id=t0"]),
    (export, ["--blockdev", TOP, *SERVER, *EXPORT]),
    (export, ["--blockdev", TOP, *SERVER, "--export",
              EXPORT[1].replace("type=", "")])],
    ids=["queries", "stream", "commit", "snapshot", "export", "export-nbd"])
def test_same_answers(d, story, args):
    said, folders = both(d, story, *args)
    same(said)
    images = [os.path.join(folders[0], name)
              for name in ("base", "mid", "top")]
    for path in images:
        mine = os.path.join(folders[1], os.path.basename(path))
        blk.check(mine)
        blk.assert_same(blk.guest(mine), blk.guest(path), mine)


@pytest.mark.parametrize("program", [QSD, blk.BLKMON],
                         ids=["qemu-storage-daemon", "blkmon"])
def test_ends_on_sigterm(d, program):
    chain(d)
    with Daemon(program, d, "--blockdev", TOP.replace("DIR", d)) as it:
        os.kill(it.pid, signal.SIGTERM)
        blk.wait_gone(it.pid)
    assert sorted(os.listdir(d)) == ["base", "mid", "top"]


BOOLEANS = ("writable", "fixed-iothread", "writethrough", "allocation-depth")
YES_AND_NO = ("on", "off", "yes", "no", "true", "false", "y", "n")


def said_of(d, program, *options):
    """What is said of these options; "" if they are taken."""
    out = blk.run(program, *options, cwd=d,
                  # ends both, once all was taken
                  *("--pidfile", d + "/no/such/folder"))
    assert out.rc
    return "" if "no/such/folder" in out.text else out.text


def export_words(d, program, option):
    """The same of an export with that option."""
    path = blk.simple(d, "x.img")
    return said_of(d, program, "--blockdev", "driver=qcow2,node-name=n,"
                   "file.driver=file,file.filename=%s" % path, "--nbd-server",
                   "addr.type=unix,addr.path=%s/nbd" % d, "--object",
                   "iothread,id=t", "--export",
                   "type=nbd,id=e,node-name=n,%s" % option)


@pytest.mark.parametrize("name", BOOLEANS)
def test_booleans_of_an_export(d, name):
    """All that the storage daemon takes, and its words for the others."""
    for value in (*YES_AND_NO, "", "maybe", "1"):
        option = "%s=%s" % (name, value)
        qemu = export_words(d, "qemu-storage-daemon", option)
        ours = export_words(d, blk.BLKMON, option)
        want = "Parameter '%s' expects 'on' or 'off'" % name
        assert (want in qemu) == (value not in YES_AND_NO), (option, qemu)
        if want in qemu:
            assert want in ours, (option, ours)
        elif name != "writethrough" or value in ("off", "no", "false", "n"):
            assert not ours, (option, ours)
        else:
            assert "'writethrough' is not supported" in ours


@pytest.mark.parametrize("name", ["t", "u", "on"])
def test_thread_of_an_export(d, name):
    """Which it is nobody notices; that there is none is an error."""
    qemu = export_words(d, QSD, "iothread=" + name)
    ours = export_words(d, blk.BLKMON, "iothread=" + name)
    want = 'iothread "%s" not found' % name
    assert [bool(t) for t in (qemu, ours)] == [name != "t"] * 2, (qemu, ours)
    assert name == "t" or (want in qemu and want in ours), (qemu, ours)


@pytest.mark.parametrize("option, words", [
    (["iothread,id=a"], None), (["iothread,id=a,poll-max-ns=5"], None),
    (["iothread,id=a,aio-max-batch=5"], None),
    (["iothread,id=a", "iothread,id=b"], None),
    (["iothread,id=a", "iothread,id=a"], "attempt to add duplicate property "
     "'a' to object (type 'container')"),
    (["iothread"], "Parameter 'id' is missing"),
    (["iothread,id="], "Parameter 'id' expects an identifier"),
    (["iothread,id=1a"], "Parameter 'id' expects an identifier"),
    (["iothread,id=a,poll-max-ns=-1"], ""),
    (["iothread,id=a,poll-max-ns=many"], "poll-max-ns"),
    (["iothread,id=a,colour=1"], "Parameter 'colour' is unexpected"),
    (["wheel,id=a"], "'wheel'")])
def test_objects(d, option, words):
    argv = [word for one in option for word in ("--object", one)]
    for program in (QSD, blk.BLKMON):
        said = said_of(d, program, *argv)
        assert bool(said) == (words is not None), said
        assert not words or words in said, said


def test_objects_come_and_go(d):
    def story(t, d):
        t.ask("block-export-add", type="nbd", id="e", node_name="top",
              iothread="t1")
        t.ask("object-add", qom_type="iothread", id="t1")
        t.ask("object-add", qom_type="iothread", id="t1")
        t.ask("object-add", qom_type="iothread", id="t2", poll_max_ns=-1)
        t.ask("block-export-add", type="nbd", id="e", node_name="top",
              iothread="t1")
        t.ask("object-del", id="t2")
        t.ask("object-add", qom_type="iothread", id="t2")
        t.ask("object-del", id="t2")
        t.ask("block-export-add", type="nbd", id="e2", node_name="top",
              iothread="t2")
        t.quit()

    same(both(d, story, "--blockdev", TOP, *SERVER)[0])


# What the storage daemon carries out and blkmon does not, it refuses.
REFUSED = {("detect-zeroes", "on"), ("file.detect-zeroes", "on"),
           ("file.detect-zeroes", "unmap"),
           ("locking", "off"), ("file.locking", "off"),
           ("overlap-check", "none"), ("pass-discard-request", "on"),
           ("pass-discard-request", "off"), ("file.read-only", "on"),
           ("file.drop-cache", "on"), ("file.drop-cache", "off"),
           ("drop-cache", "on"), ("drop-cache", "off")}
NODES = {
    "qcow2": "driver=qcow2,node-name=n,file.driver=file,file.filename=top",
    "raw": "driver=raw,node-name=n,file.driver=file,file.filename=raw",
    "file": "driver=file,node-name=n,filename=raw",
    "null-co": "driver=null-co,node-name=n,size=1048576,read-zeroes=on"}
WORDS = ("on", "off", "foo", "", "none", "unmap", "threads")


@pytest.mark.parametrize("name", [
    "read-only", "auto-read-only", "force-share", "discard", "detect-zeroes",
    "cache.direct", "cache.no-flush", "cache.foo", "cache", "locking", "aio",
    "lazy-refcounts", "pass-discard-request", "overlap-check", "drop-cache",
    "foo", "backing", "file.cache.direct", "file.cache.no-flush",
    "file.discard", "file.read-only", "file.aio", "file.locking", "file.foo",
    "file.detect-zeroes", "file.auto-read-only", "file.force-share",
    "backing.cache.direct", "backing.discard", "backing.foo",
    "backing.file.cache.no-flush", "backing.force-share",
    "cache.direct=on,file.cache.direct",
    "cache.no-flush=on,file.cache.no-flush"])
def test_options_of_a_node(d, name):
    """What the storage daemon refuses is refused; what it takes is taken, or
    refused: never taken and left."""
    chain(d)
    blk.run("truncate", "-s", "1M", os.path.join(d, "raw"))
    for driver, node in NODES.items():
        if "backing." in name and driver != "qcow2" or \
                "file." in name and driver not in ("qcow2", "raw"):
            continue
        if "backing." in name:
            node += ",backing.driver=qcow2,backing.file.driver=file," \
                "backing.file.filename=mid"
        for value in WORDS:
            option = "%s,%s=%s" % (node, name, value)
            qemu = said_of(d, QSD, "--blockdev", option)
            ours = said_of(d, blk.BLKMON, "--blockdev", option)
            assert bool(qemu) == bool(ours) or (
                not qemu and (name, value) in REFUSED), (option, qemu, ours)
