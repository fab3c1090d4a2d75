# SPDX-License-Identifier: GPL-3.0-or-later
"""Several hundred requests made from a table: every argument missing, of a
wrong type, with a wrong value, alone and two at a time, and names of what is
not there, is somewhere else or is of another kind. With --error-classes 7.2
the class and the words are those of qemu-storage-daemon; what is not stands
in OURS, and in docs/compat.md."""

import itertools
import json
import os

import pytest

import blk
from test_blockdev import Stdio, add, file, node

JOB = "*speed:i,*on-error:e,*filter-node-name:s,*auto-finalize:b," \
    "*auto-dismiss:b"
NOPE = {"device": "nope"}
GONE = {"id": "nope"}

# command, its arguments in QEMU's order, and what is asked for otherwise
TABLE = [
    ("block-stream", "*job-id:s,device:s,*base:s,*base-node:s,"
     "*backing-file:s,*bottom:s," + JOB, NOPE),
    ("block-commit", "*job-id:s,device:s,*base-node:s,*base:s,*top-node:s,"
     "*top:s,*backing-file:s," + JOB, NOPE),
    ("block-job-set-speed", "device:s,speed:i", {**NOPE, "speed": 1}),
    ("block-job-cancel", "device:s,*force:b", NOPE),
    *[("block-job-" + verb, "device:s", NOPE)
      for verb in ("pause", "resume", "complete")],
    *[("block-job-" + verb, "id:s", GONE) for verb in ("finalize", "dismiss")],
    *[("job-" + verb, "id:s", GONE) for verb in (
        "cancel", "pause", "resume", "complete", "finalize", "dismiss")],
    ("blockdev-snapshot-internal-sync", "device:s,name:s",
     {**NOPE, "name": "s"}),
    ("blockdev-snapshot-delete-internal-sync", "device:s,*id:s,*name:s",
     {**NOPE, "name": "s"}),
    ("block_resize", "*device:s,*node-name:s,size:i",
     {"node-name": "nope", "size": 512}),
    ("change-backing-file", "device:s,image-node-name:s,backing-file:s",
     {**NOPE, "image-node-name": "nope", "backing-file": "x"}),
    ("block-set-write-threshold", "node-name:s,write-threshold:u",
     {"node-name": "nope", "write-threshold": 1}),
    ("blockdev-snapshot-sync", "*device:s,*node-name:s,snapshot-file:s,"
     "*snapshot-node-name:s,*format:s,*mode:e",
     {"node-name": "nope", "snapshot-file": "x"}),
    ("blockdev-snapshot", "node:s,overlay:s",
     {"node": "nope", "overlay": "nope"}),
    ("transaction", "actions:a,*properties:o",
     {"actions": [{"type": "abort", "data": {}}]}),
    ("blockdev-del", "node-name:s", {"node-name": "nope"}),
    ("nbd-server-add", "*name:s,*description:s,device:s,*writable:b", NOPE),
    ("nbd-server-remove", "name:s,*mode:e", {"name": "nope"}),
    ("nbd-server-stop", "", {}),
    ("block-export-add", "type:e,id:s,*fixed-iothread:b,*iothread:s,"
     "node-name:s,*writable:b,*writethrough:b",
     {"type": "nbd", "id": "e", "node-name": "nope"}),
    ("block-export-del", "id:s,*mode:e", GONE),
    ("qmp_capabilities", "*enable:a", {}),
    ("object-del", "id:s", GONE),
    ("nosuch", "", {}),
]

WRONG = {
    "s": [5, None, True, [], {}, 1.5], "b": ["on", "", 0, None, []],
    "i": [1.5, "5", None, True, [], {}, "", 1 << 63, -(1 << 63) - 1, 1e30],
    "u": [1.5, "5", None, True, [], {}, ""],
    "e": ["wrong", "", 5, None], "o": [[], "x", 5, None],
    "a": [{}, "x", 5, None],
}


def wrong_requests(spec, usual):
    """Arguments of which one, or two, are wrong."""
    items = [(entry.strip("*").split(":"), entry[0] != "*")
             for entry in spec.split(",") if entry]
    yield None
    for more in {}, {"zzz": 1}:
        yield more
        yield {**usual, **more, "zzz": 1}
    for (name, kind), needed in items:
        if needed:
            yield {k: v for k, v in usual.items() if k != name}
        for value in WRONG[kind]:
            yield {**usual, name: value}
    for ((a, p), _), ((b, q), _) in itertools.permutations(items, 2):
        yield {**usual, a: WRONG[p][0], b: WRONG[q][0], "zzz": 1}
        yield {**usual, a: WRONG[p][-1], b: WRONG[q][-1]}


NODES = ("na", "no", "np", "nb", "fa", "nope", "", "a")
WORDS = ("", "a", "o", "p", "nope")
IDS = ("", "1x", "a b", "\u00e4", "-a", "_a", "a/b", "np", "x" * 40)
GRAPH = add({**file("a"), "node-name": "fa"}, node("na", "fa"),
            node("no", file("o"), backing="na"),
            node("np", file("p"), backing="no"), node("nb", file("b")),
            node("nt", file("t")))


def dashed(args):
    return {k.replace("_", "-"): v for k, v in args.items()}


def job(kind, /, **args):
    return "block-" + kind, dashed({"device": "np", "job_id": "j", **args})


def jobs():
    for kind in "stream", "commit":
        for name in IDS:
            yield job(kind, job_id=name, speed=-1)
            yield job(kind, filter_node_name=name)
            yield job(kind, filter_node_name=name, job_id="1x", speed=-1)
        for name in NODES:
            # (a stream into a file that is in use: what it says is a number)
            if (kind, name) != ("stream", "fa"):
                yield job(kind, device=name, base="nope")
            yield job(kind, base_node=name, speed=-1)
            yield job(kind, base_node=name, base="a")
        for name in WORDS:
            yield job(kind, base=name, speed=-1)
    for name in NODES:
        yield job("stream", bottom=name, speed=-1)
        yield job("stream", bottom=name, base_node=name)
        yield job("commit", top_node=name, speed=-1)
        yield job("commit", top_node=name, top="o")
        for below in NODES:
            yield job("commit", top_node=name, base_node=below, speed=-1)
    for name, below in itertools.product(WORDS, WORDS):
        yield job("commit", top=name, base=below, speed=-1)
    yield job("commit", device="nope", base="a", base_node="na")
    yield job("commit", base="a", base_node="na", top="o", top_node="no")


def ask(command, /, **args):
    return command, dashed(args)


def sync(**args):
    return ask("blockdev-snapshot-sync", **{
        "node_name": "nb", "snapshot_file": "t", "mode": "existing",
        **args})


def others():
    for name in NODES:
        yield ask("blockdev-snapshot-internal-sync", device=name, name="")
        yield ask("blockdev-snapshot-delete-internal-sync", device=name)
        yield ask("blockdev-snapshot-delete-internal-sync", device=name,
                  id="1")
        yield ask("blockdev-del", node_name=name if name != "np" else "no")
        if name not in ("nb", "fa"):
            yield ask("nbd-server-add", device=name)
        if name != "fa":    # which is nothing to read or to write here
            yield ask("block-export-add", type="nbd", id="e", node_name=name)
            yield ask("block_resize", node_name=name, size=-1)
        for other in NODES:
            yield ask("change-backing-file", device=name, image_node_name=other
                      if name != "np" or other not in ("no", "np") else "nt",
                      backing_file="a")
            if name not in ("fa", "nb") or other in ("nope", "", "a") and \
                    name != "fa":
                yield ask("blockdev-snapshot", node=name, overlay=other)
    for name in ("", "1x", "a b", "x" * 32, "nb", "fa"):
        yield sync(snapshot_node_name=name)
        yield sync(snapshot_node_name=name, device="nb")
    yield sync(device="nb")
    yield ask("block_resize", size=512)


def nodes():
    for name in ("", "1x", "x" * 32, "nb", "fa", "a b", "#block1", "\u00e4"):
        yield add(node(name, file("c")))[0]
        yield add({**file("c"), "node-name": name})[0]
        yield add(node("x", file("c", node_name=name)))[0]
    yield add(node("x", file("c", node_name="x")))[0]
    for below in ("na", "no", "nope", "x", node("nb", file("c")),
                  node("y", file("nope")), {"driver": "qcow2"}, 5, [],
                  node("y", file("c"), backing="nope")):
        yield add(node("x", file("c"), backing=below))[0]
    for name in ("nope", "", "nope/x"):
        for driver in "qcow2", "raw":
            yield add(node("x", file(name), driver))[0]
        yield add({**file(name), "node-name": "x"})[0]
    for value in (5, None, [], "nope"):
        yield add(node("x", value))[0]
        yield add(node("x", file("c"), data_file=value))[0]


def two(*actions):
    return "transaction", {"actions": [
        {"type": kind, "data": dashed(data)} for kind, data in actions]}


def transactions():
    one = sync(snapshot_node_name="q", snapshot_file="new",
               mode="absolute-paths")
    some = [one, sync(), sync(node_name="nope"),
            ask("blockdev-snapshot", node="nb", overlay="nt"),
            ask("blockdev-snapshot", node="nb", overlay="nb"),
            ask("blockdev-snapshot", node="nope", overlay="nt"),
            ask("blockdev-snapshot", node="nb"),
            ask("blockdev-snapshot-internal-sync", device="nb", name=""),
            ask("blockdev-snapshot-internal-sync", device="na", name="s")]
    for action in some:
        yield two(action, ("abort", {}))
        yield two(action, ("nope", {}))
        yield two(("abort", {}), action)
        yield two(action, ("abort", {"zz": 1}))
        for mode in ("grouped", "wrong", 5):
            yield "transaction", {**two(action)[1], "properties": {
                "completion-mode": mode}}
    yield two(some[3], some[3])
    yield two(some[3], some[0])
    for entry in (5, {}, None, [], {"type": "abort"}, {"data": {}},
                  {"type": 5, "data": {}}, {"type": "abort", "data": 5}):
        yield "transaction", {"actions": [entry]}


# Where blkmon has words of its own, and why.
OURS = (
    "Is another process using the image",   # the hint about locks is in desc
    "The overlay is already in use",        # it lies below another
    "here it has to be the options of a file",
)

# What a newer QEMU has other words for: its words, and those of 7.2.
NEWER = {"does not support transaction property":
         "does not support Transaction property"}


class Both:
    """Two programs that are asked the same."""

    def __init__(self, d):
        self.d, self.count, self.pair = d, 0, []

    def start(self):
        self.count += 1
        for name, argv in (
                ("q%d", ["qemu-storage-daemon", "--chardev", "stdio,id=m",
                         "--monitor", "chardev=m"]),
                ("b%d", [blk.BLKMON, "--qmp", "stdio", "--error-classes",
                         "7.2"])):
            d = os.path.join(self.d, name % self.count)
            self.pair.append(Whole(d, *argv))
            for request in GRAPH:
                assert self.pair[-1].whole(*request) == {"return": {}}

    def stop(self):
        for one in self.pair:
            one.__exit__()
        self.pair = []

    def ask(self, request):
        if not self.pair:
            self.start()
        qemu, ours = (one.whole(*request) for one in self.pair)
        if "return" in qemu or "return" in ours:
            self.stop()
        if qemu != ours and any(
                word in ours.get("error", {}).get("desc", "")
                for word in OURS):
            return None
        return None if qemu == ours else "%s\n  qemu   %s\n  blkmon %s" % (
            json.dumps(request), qemu, ours)


def as_in_7_2(reply):
    """What a newer QEMU says in other words, by docs/compat.md."""
    error = reply.get("error")
    if error:
        for newer, older in NEWER.items():
            error["desc"] = error["desc"].replace(newer, older)
    return reply


class Whole(Stdio):
    """Its replies as they are."""

    def read(self):
        while True:
            line = self.proc.stdout.readline()
            # QEMU says there what it creates
            if line.startswith(b"{"):
                got = json.loads(line)
                if "event" not in got:
                    return got

    def whole(self, name, args):
        request = {"execute": name}
        if args is not None:
            request["arguments"] = args
        self.proc.stdin.write(json.dumps(request).encode() + b"\n")
        self.proc.stdin.flush()
        got = as_in_7_2(self.read())
        for more in "x-blkmon-tip", "x-blkmon-way-out":
            got.get("error", {}).pop(more, None)
        return got


def differences(d, requests):
    both = Both(d)
    try:
        found = [both.ask(request) for request in requests]
    finally:
        both.stop()
    return [text for text in found if text]


def test_wrong_arguments(d):
    requests = [(name, args) for name, spec, usual in TABLE
                for args in wrong_requests(spec, usual)]
    assert len(requests) > 800
    found = differences(d, requests)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("story", [jobs, others, nodes, transactions])
def test_same_words(d, story):
    found = differences(d, story())
    assert not found, "\n".join(found)
