# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals that clients match, word by word those of qemu-storage-daemon."""

import os

import pytest

import blk
import nbdsock
from qmpsock import Server
from test_blockdev import Stdio, add, file, node

GRAPH = add(node("na", file("a")), node("no", file("o"), backing="na"),
            node("nb", file("b")), node("nt", file("t")))


def commit(**how):
    return "block-commit", {"job-id": "j", "device": "no", **{
        k.replace("_", "-"): v for k, v in how.items()}}


def stream(**how):
    return "block-stream", commit(**how)[1]


def over(below, overlay):
    return "blockdev-snapshot", {"node": below, "overlay": overlay}


JOBS = GRAPH + [
    commit(base_node="nt"), commit(top_node="nt"), commit(base_node="nope"),
    commit(top_node="nope"), commit(top_node="na", base_node="no"),
    commit(top_node="na", base_node="na"), commit(base_node="no"),
    commit(top_node="na"), commit(top="a", base="a"), commit(base="o"),
    commit(top="a", base="o"), commit(top="nope"), commit(base="nope"),
    *[how(filter_node_name=name)
      for how in (commit, stream) for name in ("1234", "", "nt", "x" * 40)],
    stream(base_node="nt"), stream(base_node="no"), stream(base="o"),
    stream(bottom="nt"), stream(bottom="nope"),
]

SNAPSHOTS = GRAPH + [
    over("nb", "nb"), over("no", "na"), over("nt", "no"), over("na", "nb"),
    over("nt", "nope"), over("nope", "nt"),
]


@pytest.mark.parametrize("story", [JOBS, SNAPSHOTS], ids=["jobs", "snapshots"])
def test_same_words(d, story):
    with Stdio(os.path.join(d, "q"), "qemu-storage-daemon", "--chardev",
               "stdio,id=m", "--monitor", "chardev=m") as qemu, \
            Stdio(os.path.join(d, "b"), blk.BLKMON, "--qmp", "stdio",
                  "--error-classes", "7.2") as ours:
        for request in story:
            assert ours.ask(*request) == qemu.ask(*request), request


@pytest.mark.parametrize("name, shown", [
    ("nope", "nope"), ("y" * 300, "y" * 80 + "..."), ("a\x1bb", "a\\x1bb")])
def test_export_not_present(d, name, shown):
    path = blk.create(os.path.join(d, "a"), blk.MIB)
    sock = os.path.join(d, "nbd")
    with Server(d, "--nbd", "unix:" + sock, "--export", "disk0", path):
        with pytest.raises(nbdsock.Refused) as refused:
            nbdsock.Nbd(sock, name)
        assert refused.value.args == ("export '%s' not present" % shown,)


@pytest.mark.parametrize("line", ["write 0 512", "write -z 0 512",
                                  "discard 0 64k", "writev 0 512"])
def test_a_write_to_what_is_read_only(d, line):
    path = blk.create(os.path.join(d, "a"), blk.MIB)
    with blk.Session("--drive", "readonly=on,id=disk0,file=" + path) as s:
        assert s.cmd('qemu-io disk0 "%s"' % line) == \
            ["Block node is read-only"]
        s.io("read 0 512")
        s.io("flush")


@pytest.mark.parametrize("name", ["x" * 255, "x" * 4096, "a b/\u00e4"])
def test_export_by_its_name(d, name):
    """nbd-server-add: what is asked for and what is told are one."""
    path = blk.create(os.path.join(d, "a"), blk.MIB)
    sock = os.path.join(d, "nbd")
    with Server(d, path) as s, s.client() as q:
        q.ask("nbd-server-start",
              addr={"type": "unix", "data": {"path": sock}})
        got = q.request("nbd-server-add", device="disk0", name=name + "x" * 4096)
        assert got["error"]["desc"].endswith("too long")
        q.ask("nbd-server-add", device="disk0", name=name)
        assert [e["id"] for e in q.ask("query-block-exports")] == [name]
        nbdsock.Nbd(sock, name).close()
        q.ask("block-export-del", id=name, mode="hard")
        assert q.event("BLOCK_EXPORT_DELETED")["data"]["id"] == name


@pytest.mark.parametrize("value, rc", [("on", 0), ("off", 0), ("maybe", 2)])
def test_booleans_of_options_are_those_of_commands(d, value, rc):
    path = blk.create(os.path.join(d, "a"), blk.MIB)
    out = blk.blkmon(
        "--blockdev", "driver=qcow2,node-name=n,file.driver=file,"
        "file.filename=" + path, "--object", "iothread,id=t",
        "--nbd-server", "addr.type=unix,addr.path=" + os.path.join(d, "nbd"),
        "--export", "type=nbd,id=e,node-name=n,iothread=t,fixed-iothread="
        + value, "--chardev", "stdio,id=c", "--monitor", "chardev=c",
        stdin='{"execute": "qmp_capabilities"}\n{"execute": "quit"}\n')
    assert out.rc == rc, out
    assert ("expects 'on' or 'off'" in out.err) == bool(rc), out


@pytest.mark.parametrize("verb", ["finalize", "dismiss"])
def test_a_missing_job_has_two_names(d, verb):
    """block-job-* and job-* say it in words, and classes, of their own."""
    with Server(d) as s, s.client() as q:
        for name, error in (
                ("block-job-" + verb, {"class": "DeviceNotActive",
                                       "desc": "Block job 'j' not found"}),
                ("job-" + verb, {"class": "GenericError",
                                 "desc": "Job not found"})):
            assert q.request(name, id="j")["error"] == error
        s.quit()


def test_the_id_of_an_export_is_looked_at_first(d):
    with Server(d) as s, s.client() as q:
        got = q.request("block-export-add", type="nbd", id="1x",
                        node_name="n")
        assert got["error"]["desc"] == "Invalid block export id"
        s.quit()


def test_a_dump_shows_letters_and_digits(d):
    """As QEMU's: a tilde or an asterisk is a dot."""
    path = blk.create(os.path.join(d, "a"), blk.MIB)
    with blk.Session(path) as s:
        for at, pattern in enumerate(["0x61", "0x5a", "0x39", "0x7e", "0x2a"]):
            s.io("write -P %s %d 2" % (pattern, 2 * at))
        out = "\n".join(s.cmd('qemu-io disk0 "read -v 0 12"'))
    assert "61 61 5a 5a 39 39 7e 7e 2a 2a 00 00  aaZZ99......" in out, out


@pytest.mark.parametrize("line, words", [
    ("snapshot_blkdev disk0 a",
     "Error: Trying to create an image with the same filename as the backing "
     "file"),
    ("\u00a0info block", "unknown command: '\\u{a0}info'"),
    ("info\u202fblock", "unknown command: 'info\\u{202f}block'"),
])
def test_words_of_the_prompt(d, line, words):
    blk.create(os.path.join(d, "a"), blk.MIB)
    with blk.Session("--on-error=continue", "disk0=a", cwd=d) as s:
        # A hint may stand behind it.
        assert s.cmd(line)[0] == words
