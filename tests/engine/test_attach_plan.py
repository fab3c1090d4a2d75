# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans on machines that make none themselves: what they say is what is done,
and what they refuse is refused. The machine is the oracle."""

import json
import os

import pytest

import blk
import ends
from blk import MIB
from planned import files
from test_attach_map import Tcp

KINDS = [ends.Drive, ends.Blockdev, ends.Daemon]
EACH = pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.kind)
ROOT = {"drive": "disk0", "blockdev": "top-fmt", "daemon": "n"}


def plan(end, line):
    """The plan of a line, or the words of its refusal."""
    reply = json.loads(end.blkmon("plan --json " + line).out)
    return reply.get("return") or reply["error"]["desc"]


def chain_now(end):
    block = json.loads(end.ok("{'execute': 'query-block'}").out) \
        if end.kind != "daemon" else None
    if block:
        image = block["return"][0]["inserted"]["image"]
    else:
        nodes = json.loads(end.ok(
            "{'execute': 'query-named-block-nodes'}").out)["return"]
        image = [n for n in nodes if n["node-name"] == top_of(end)][0]["image"]
    found = []
    while image:
        found.append(os.path.realpath(image["filename"]))
        image = image.get("backing-image")
    return found


def top_of(end):
    """The node that is exported: it stays, or another took its place."""
    return json.loads(end.ok("{'execute': 'query-block-exports'}").out)[
        "return"][0]["node-name"]


def bytes_on_disk(paths):
    return sum(os.stat(p).st_blocks * 512 for p in paths)


# ------------------------------------------------- what it says is what is done

DONE = [
    ("block_stream disk0", ["wait"], [1, 0], 2, 2),
    ("block_stream disk0 0 base.qcow2", ["wait"], [1], 2, 1),
    ("block_commit disk0 base.qcow2 mid.qcow2", ["wait"], [1], 0, 2),
    ("block_commit disk0 mid.qcow2", ["wait ready", "block_job_complete disk0",
                                      "wait"], [2], 1, 2),
    ("block_commit disk0", ["wait ready", "block_job_complete disk0", "wait"],
     [2, 1], 0, 3),
]


@EACH
@pytest.mark.parametrize("line,rest,unused,into,moves", DONE,
                         ids=[d[0] for d in DONE])
def test_a_job_does_what_was_planned(d, kind, line, rest, unused, into,
                                      moves):
    with kind(d) as end:
        before = [blk.content(p) for p in end.chain]
        said = plan(end, line)
        # Nothing was done, and the machine heard of no job.
        assert [blk.content(p) for p in end.chain] == before
        sizes = bytes_on_disk([end.chain[n] for n in unused])
        assert files(said["unused"]) == [end.chain[n] for n in unused]
        assert said["gives-back"] == sizes
        assert said["bytes"]["left"] == moves * MIB
        assert said["bytes"]["estimate"] == "maps"
        room = bytes_on_disk([end.chain[into]])
        end.ok(line, *rest)
        assert chain_now(end) == files(said["chain"])
        grown = bytes_on_disk([end.chain[into]]) - room
        assert 0 < grown <= said["space"]["needs"]
        assert said["space"]["free"] is None and "free space" in \
            said["unknown"]


@EACH
def test_a_snapshot_and_a_longer_disk(d, kind):
    new = os.path.join(d, "new.qcow2")
    with kind(d) as end:
        said = plan(end, "snapshot_blkdev disk0 " + new)
        assert not os.path.exists(new)
        assert any("written over" in what for what in said["unknown"])
        end.ok("snapshot_blkdev disk0 " + new)
        assert chain_now(end) == files(said["chain"])
        said = plan(end, "block_resize disk0 32M")
        if kind is ends.Daemon:
            assert said == "export 'disk0' does not let its disk be resized"
            assert end.blkmon("block_resize disk0 32M").rc == 1
            return
        assert files(said["layers"]) == [new] and said["kind"] == "resize"
        end.ok("block_resize disk0 32M")


@EACH
def test_complete_and_cancel(d, kind):
    with kind(d) as end, end.other() as qmp:
        qmp.ask("block-commit", device=ROOT[kind.kind], job_id="theirs")
        qmp.event("BLOCK_JOB_READY", device="theirs")
        cancel = plan(end, "block_job_cancel theirs")
        assert cancel["kind"] == "cancel" and \
            files(cancel["chain"]) == end.chain[::-1]
        assert "both images end equal" in cancel["cancel"]["says"]
        said = plan(end, "block_job_complete theirs")
        assert files(said["unused"]) == [end.chain[2], end.chain[1]]
        assert [j["status"] for j in qmp.ask("query-jobs")] == ["ready"]
        end.ok("block_job_complete theirs")
        qmp.event("BLOCK_JOB_COMPLETED", device="theirs")
        assert chain_now(end) == files(said["chain"]) == [end.chain[0]]


def test_drives_that_share_the_base_are_hit(d):
    """And what they hold is not unused then."""
    other = os.path.join(d, "other.qcow2")
    with ends.Drive(d) as end, end.other() as qmp:
        blk.create(other, None, end.chain[1])
        qmp.ask("human-monitor-command", command_line="drive_add 0 "
                "if=none,id=disk1,file=%s,format=qcow2" % other)
        said = plan(end, "block_commit disk0 base.qcow2 mid.qcow2")
        assert said["hits"]["drives"] == ["disk1"] and said["unused"] == []
        assert plan(end, "block_stream disk0")["hits"]["drives"] == []


def test_without_maps_sizes_of_files_do(d):
    """Behind a port there may be any host, and nothing of it is read here."""
    with Tcp(d) as end:
        said = plan(end, "block_commit disk0")
        assert said["bytes"]["estimate"] == "files"
        assert said["bytes"]["left"] == bytes_on_disk(end.chain[1:])
        out = end.ok("plan block_stream disk0").out
        assert ", by the sizes of the files\n" in out, out


def test_data_that_is_compressed_counts_as_what_it_is(d):
    end = ends.Drive(d)
    packed = os.path.join(d, "packed.qcow2")
    blk.qemu_io(end.chain[2], "write -c -P 5 8M 64k")
    blk.qemu_img("convert", "-c", "-O", "qcow2", end.chain[0], packed)
    os.rename(packed, end.chain[0])
    with end:
        said = plan(end, "block_stream disk0")
        assert said["bytes"]["left"] == 2 * MIB
        said = plan(end, "block_commit disk0")
        assert said["bytes"]["left"] == 3 * MIB + 65536


# ----------------------------------------------- what it refuses is refused

REFUSED = [
    "block_stream nope", "block_stream disk0 0 nope", "block_commit nope",
    "block_commit disk0 nope", "block_commit disk0 base.qcow2 nope",
    "block_commit disk0 mid.qcow2 base.qcow2",
    "block_commit disk0 base.qcow2 base.qcow2",
    "block_commit disk0 top.qcow2", "block_commit disk0 top.qcow2 mid.qcow2",
    "block_stream disk0 0 top.qcow2",
    "snapshot_blkdev nope D/x.qcow2", "block_resize nope 32M",
    "block_resize disk0 1M", "block_job_complete nope",
    "block_job_cancel nope", "snapshot_blkdev_internal nope s",
    "block_commit -k disk0", "commit nope",
]


@EACH
def test_refusals_are_those_of_the_request(d, kind):
    """Word by word."""
    with kind(d) as end:
        for line in REFUSED:
            line = line.replace("D/", d + "/")
            out = end.blkmon(line)
            assert out.rc == 1, (line, out)
            assert end.blkmon("plan " + line).out == out.out, line


BUSY = ["block_stream disk0", "block_commit disk0",
        "block_commit disk0 base.qcow2 mid.qcow2",
        "snapshot_blkdev disk0 D/x.qcow2", "block_resize disk0 32M",
        "snapshot_blkdev_internal disk0 s"]
JOBS = {"stream": {"speed": 65536}, "active": {"speed": 65536},
        "inner": {"speed": 65536}}


@EACH
@pytest.mark.parametrize("job", JOBS)
def test_a_job_of_others_is_in_the_way(d, kind, job):
    """Of each request the plan is refused just where the request is; and
    afterwards there is a plan again."""
    with kind(d, data=4 * MIB) as end, end.other() as qmp:
        args = {"device": ROOT[kind.kind], "job_id": "theirs", **JOBS[job]}
        if job == "inner":
            args.update(base=end.chain[0], top=end.chain[1])
        qmp.ask("block-stream" if job == "stream" else "block-commit", **args)
        for line in BUSY:
            line = line.replace("D/", d + "/")
            said = plan(end, line)
            assert end.blkmon(line).rc == 1, line
            if "exp" not in said:
                assert "busy" in said and \
                    "'theirs', which others began" in said, (line, said)
        qmp.ask("block-job-pause", device="theirs")
        if job != "active":
            said = plan(end, "block_job_complete theirs")
            assert said == "Job 'theirs' in state 'paused' cannot accept " \
                "command verb 'complete'"
            assert end.blkmon("block_job_complete theirs").out == \
                "Error: %s\n" % said
        said = plan(end, "block_job_cancel theirs")
        assert end.blkmon("block_job_cancel theirs").out == \
            "Error: %s\n" % said
        assert "kind" in plan(end, "block_job_cancel -f theirs")
        qmp.ask("block-job-cancel", device="theirs", force=True)
        qmp.event("BLOCK_JOB_CANCELLED", device="theirs")
        assert "kind" in plan(end, "block_stream disk0")


def test_what_a_manager_holds_has_no_plan(d):
    with ends.Managed(d) as end:
        said = plan(end, "block_commit disk0")
        assert "libvirt's" in said
        assert end.blkmon("block_commit disk0").out == "Error: %s\n" % said


@EACH
def test_who_only_looks_may_plan(d, kind):
    with kind(d) as end:
        out = end.ok("plan block_commit disk0", args=["--look"])
        assert "unused   top.qcow2, mid.qcow2" in out.out, out


@EACH
def test_json_of_the_machine_has_a_plan(d, kind):
    """Also what this program knows nothing of."""
    with kind(d) as end:
        out = end.ok("plan {'execute': 'block-commit', 'arguments': {'device':"
                     " '%s', 'x-new': 1}}" % ROOT[kind.kind])
        assert out.out.startswith("active-commit of disk0"), out
        reply = json.loads(end.ok("{'execute': 'x-blkmon-plan', 'arguments': "
                                  "{'request': {'execute': 'block-stream', "
                                  "'arguments': {'device': 'disk0'}}}}").out)
        assert reply["return"]["kind"] == "stream"
