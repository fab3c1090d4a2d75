# SPDX-License-Identifier: GPL-3.0-or-later
"""x-blkmon-plan, case by case: what it says is what the job then does."""

import fcntl
import json
import os
import re
import time

import pytest

import blk
from planned import allocated, ask, chain_of, files, job, plan_of, qmp


def test_sparse_16_tib(d):
    """Milliseconds, for it depends on what there is to move."""
    base = blk.create(os.path.join(d, "base.img"), "16T")
    top = blk.create(os.path.join(d, "top.img"), None, base)
    blk.qemu_io(top, "write 1G 1M", "write 9T 64k", "write -z 12T 1G")
    with blk.Session(top) as s:
        def attempt():
            start = time.monotonic()
            plan = plan_of(s, "block-commit", device="disk0")
            assert plan["bytes"]["left"] == blk.MIB + 64 * blk.KIB
            return time.monotonic() - start
        assert blk.best(attempt, 0.1) < 0.1


def test_refused_as_the_request_is(d):
    """Same class, same words, and nothing has changed."""
    low, mid, top = blk.make_chain(d)
    there = blk.simple(d, "there.img")
    requests = [
        ("block-stream", {"device": "none"}),
        ("block-stream", {"device": "disk0", "base": "none"}),
        ("block-stream", {"device": "disk0", "base": mid, "bottom": "x"}),
        ("block-stream", {"device": "disk0", "speed": -1}),
        ("block-stream", {"device": "disk0", "job_id": "1a"}),
        ("block-stream", {"device": "disk0", "colour": "red"}),
        ("block-commit", {"device": "none"}),
        ("block-commit", {"device": "disk0", "base": top}),
        ("block-commit", {"device": "disk0", "top": "none"}),
        ("block-commit", {"device": "disk0", "base": mid, "top": low}),
        ("__com.redhat_block-commit", {"device": "disk0", "top": top}),
        ("x-blkmon-commit", {"device": "none"}),
        ("blockdev-snapshot-sync", {"device": "none", "snapshot_file": "x"}),
        ("blockdev-snapshot-sync", {"device": "disk0",
                                    "snapshot_file": there}),
        ("blockdev-snapshot-sync", {"device": "disk0",
                                    "snapshot_file": d + "/no/x.img"}),
        ("blockdev-snapshot-sync", {"device": "disk0", "format": "raw",
                                    "snapshot_file": d + "/x.img"}),
        ("block-job-complete", {"device": "none"}),
        ("job-complete", {"id": "none"}),
        ("block-job-cancel", {"device": "none"}),
        ("block_resize", {"device": "disk0", "size": blk.MIB}),
        ("block_resize", {"device": "none", "size": blk.MIB}),
        ("block_resize", {"node_name": "none", "size": blk.MIB}),
        ("block_resize", {"device": "disk0", "size": -1}),
        ("no-such-command", {}),
    ]
    with blk.Session(top, cwd=d) as s:
        for name, arguments in requests:
            said = ask(s, name, **arguments)
            done = qmp(s, name, **arguments)
            assert "error" in done and said == done, (name, said, done)
        said = ask(s, "stop")
        assert "There is no plan for 'stop'" in said["error"]["desc"]
        assert sorted(os.listdir(d)) == ["l0.img", "l1.img", "l2.img",
                                         "there.img"]


def test_a_base_that_cannot_be_written(d):
    """Locked by somebody else, or marked corrupt."""
    low, mid, _ = blk.make_chain(d)
    with blk.Session("--drive", "file=%s,id=disk0,format=qcow2" %
                     os.path.join(d, "l2.img")) as s:
        holder = os.open(low, os.O_RDWR)
        try:
            blk_lock(holder)
            said = ask(s, "block-commit", device="disk0", top=mid)
            done = qmp(s, "block-commit", device="disk0", top=mid)
        finally:
            os.close(holder)
        assert said == done and "lock" in said["error"]["desc"], said


def blk_lock(fd):
    """Says as QEMU does that this descriptor reads the image, and that
    nobody else may write to it."""
    import struct
    where = struct.pack("hhqqi", fcntl.F_RDLCK, os.SEEK_SET, 201, 1, 0)
    fcntl.fcntl(fd, 37, where)      # F_OFD_SETLK


def test_it_does_not_fit(d):
    """Refused before the first byte, as the plan refuses it; forced it is
    planned, and does not fit."""
    with blk.small_fs(d, 6 * blk.MIB) as place:
        low = blk.create(os.path.join(place, "low.img"), 16 * blk.MIB)
        top = blk.create(os.path.join(d, "top.img"), None, low)
        blk.qemu_io(top, "write 1M 10M")
        with blk.Session(top) as s:
            was = blk.content(low)
            said = ask(s, "block-commit", device="disk0")
            assert said == qmp(s, "block-commit", device="disk0")
            assert "needs 10.1M, %s has " % place in said["error"]["desc"]
            assert qmp(s, "query-jobs") == {"return": []}
            blk.unchanged(low, was)
            plan = plan_of(s, "block-commit", device="disk0",
                           x_blkmon_force=True)
            assert not plan["space"]["fits"]
            assert plan["space"]["needs"] >= 10 * blk.MIB


def but_sizes(reply):
    return re.sub(r"[0-9.]+[KMG]?\b", "N", reply["error"]["desc"])


def test_what_jobs_need_is_reserved(d):
    """Two commits into one file system: the second one's plan knows of the
    first."""
    with blk.small_fs(d, 16 * blk.MIB) as place:
        tops = []
        for n in "ab":
            low = blk.create(os.path.join(place, n), 16 * blk.MIB)
            tops.append(blk.create(os.path.join(d, n), None, low))
            blk.qemu_io(tops[-1], "write 0 10M")
        with blk.Session(*("%s=%s" % (t[-1] + "1", t) for t in tops)) as s:
            assert plan_of(s, "block-commit", device="b1")["space"]["fits"]
            assert qmp(s, "block-commit", device="a1",
                       speed=1) == {"return": {}}
            # The first piece is free, the second for another day.
            while not qmp(s, "query-block-jobs")["return"][0]["offset"]:
                pass
            said = ask(s, "block-commit", device="b1")
            assert "running jobs need" in said["error"]["desc"], said
            # What is there grows less while a1 runs.
            assert but_sizes(said) == but_sizes(
                qmp(s, "block-commit", device="b1"))
            plan = plan_of(s, "block-commit", device="b1",
                           x_blkmon_force=True)
            assert plan["hits"]["jobs"] == ["a1"]
            assert 5 * blk.MIB < plan["space"]["reserved"] < 11 * blk.MIB
            s.ok("block_job_cancel a1")
            plan = plan_of(s, "block-commit", device="b1")
            assert plan["space"]["reserved"] == 0


def test_what_was_not_counted_is_counted_then(d):
    """Where there is ample room a start counts nothing; the next plan counts
    what that job has still to place, and not the size of its disk."""
    with blk.small_fs(d, 200 * blk.MIB) as place:
        low = blk.create(os.path.join(place, "low"), 16 * blk.MIB)
        top = blk.create(os.path.join(d, "top"), None, low)
        blk.qemu_io(top, "write 0 10M")
        other = blk.make_chain(place)[-1]
        with blk.Session("a=" + top, "b=" + other) as s:
            assert qmp(s, "block-commit", device="a",
                       speed=65536) == {"return": {}}
            for _ in range(2):
                plan = plan_of(s, "block-stream", device="b")
                assert plan["hits"]["jobs"] == ["a"]
                assert 5 * blk.MIB < plan["space"]["reserved"] < \
                    11 * blk.MIB, plan["space"]


@pytest.mark.parametrize("how", ["hmp", "offline"])
def test_a_commit_at_once_does_not_fit(d, how):
    """Refused before the first byte."""
    with blk.small_fs(d, 6 * blk.MIB) as place:
        low = blk.create(os.path.join(place, "low.img"), 16 * blk.MIB)
        top = blk.create(os.path.join(d, "top.img"), None, low)
        blk.qemu_io(top, "write 1M 10M")
        was = blk.content(low)
        out = blk.blkmon(top, "-c", "commit disk0") if how == "hmp" else \
            blk.blkmon("commit", top)
        assert out.rc == 1, out
        assert "The commit needs 10.1M, %s has " % place in out.text, out
        blk.unchanged(low, was)
        out = blk.blkmon(top, "-c", "commit -f disk0") if how == "hmp" else \
            blk.blkmon("commit", "--force", top)
        assert out.rc and "No space left on device" in out.text, out


def test_siblings_are_told(d):
    """Overlays that nobody opened: they are refused, and forced they are
    named; no file that one of them reads is unused."""
    low, mid, top = blk.make_chain(d)
    other = blk.create(os.path.join(d, "other.img"), None, mid)
    with blk.Session(top) as s:
        said = ask(s, "block-commit", device="disk0", base=low)
        assert other in said["error"]["desc"]
        assert said == qmp(s, "block-commit", device="disk0", base=low)
        plan = plan_of(s, "block-commit", device="disk0", base=low,
                       x_blkmon_force=True)
        assert plan["hits"]["siblings"] == [other], plan
        assert files(plan["unused"]) == [top]
        plan = plan_of(s, "block-stream", device="disk0")
        assert plan["hits"]["siblings"] == []
        assert plan["unused"] == [] and plan["gives-back"] == 0
        os.unlink(other)
        plan = plan_of(s, "block-stream", device="disk0")
        assert files(plan["unused"]) == [mid, low]


def test_preallocated_room_is_not_needed(d):
    """A base that has all its blocks fits where nothing else does."""
    with blk.small_fs(d, 24 * blk.MIB) as place:
        low = blk.create(os.path.join(place, "low.img"), 16 * blk.MIB,
                         fmt="raw", preallocation="falloc")
        top = blk.create(os.path.join(d, "top.img"), None, low, "raw")
        blk.qemu_io(top, "write 1M 12M")
        with blk.Session(top) as s:
            plan = plan_of(s, "block-commit", device="disk0")
            assert plan["space"]["needs"] == 0, plan["space"]
            s.ok("block_commit disk0")
            s.wait("disk0", "ready")


def test_the_data_file_is_what_grows(d):
    """Its file system counts, not that of the image."""
    with blk.small_fs(d, 6 * blk.MIB) as place:
        data = os.path.join(place, "data")
        low = blk.create(os.path.join(d, "low.img"), 16 * blk.MIB,
                         data_file=data)
        top = blk.create(os.path.join(d, "top.img"), None, low)
        blk.qemu_io(top, "write 1M 10M")
        with blk.Session("--drive", "file=%s,id=disk0,format=qcow2,"
                         "data-file=%s" % (top, data)) as s:
            said = qmp(s, "block-commit", device="disk0")
            assert "needs 10.0M, %s has " % place in said["error"]["desc"]


def test_jobs_that_run(d, pair):
    """Complete and cancel: what becomes of the chain."""
    low, top = pair
    with blk.Session(top) as s:
        assert qmp(s, "block-commit", device="disk0") == {"return": {}}
        s.wait("disk0", "ready")
        plan = plan_of(s, "block-job-complete", device="disk0")
        assert plan["kind"] == "complete" and plan["bytes"]["left"] == 0
        assert files(plan["chain"]) == [low]
        assert files(plan["unused"]) == [top]
        assert plan["gives-back"] == allocated(top)
        plan = plan_of(s, "block-job-cancel", device="disk0")
        assert files(plan["chain"]) == [top, low] and not plan["unused"]
        assert plan["hmp"] == "block_job_cancel disk0"
        assert chain_of(s) == [top, low]


def test_a_snapshot(d, pair):
    new = os.path.join(d, "a new.img")
    with blk.Session(pair[1]) as s:
        plan = plan_of(s, "blockdev-snapshot-sync", device="disk0",
                       snapshot_file=new)
        assert not os.path.exists(new)
        assert files(plan["chain"]) == [new] + pair[::-1]
        assert plan["hmp"] == 'snapshot_blkdev disk0 "%s"' % new
        s.ok(plan["hmp"])
        assert chain_of(s) == files(plan["chain"])
        assert os.stat(new).st_size == plan["space"]["needs"]


def test_a_transaction(d):
    """All of its snapshots, and what they need together; an error is that of
    the whole."""
    tops = []
    for name in "ab":
        low = blk.create(os.path.join(d, name), blk.MIB)
        tops.append(blk.create(os.path.join(d, name + "1"), None, low))

    def action(dev, name, **more):
        return {"type": "blockdev-snapshot-sync", "data": {
            "device": dev, "snapshot-file": os.path.join(d, name), **more}}

    inside = {"type": "blockdev-snapshot-internal-sync",
              "data": {"device": "disk0", "name": "i"}}
    with blk.Session("--drive", "id=disk0,file=" + tops[0],
                     "--drive", "id=disk1,file=" + tops[1]) as s:
        there = sorted(os.listdir(d))
        for actions in (
                [action("disk0", "x"), action("disk1", "x")],
                [action("disk0", "x"), action("disk0", "y")],
                [action("disk0", "x"), action("none", "y")],
                [action("disk0", "a"), action("disk1", "y")],
                [action("disk0", "x", **{"snapshot-node-name": "n"}),
                 action("disk1", "y", **{"snapshot-node-name": "n"})],
                [inside, {"type": "abort", "data": {}}],
                [inside, inside], [{"type": "x", "data": {}}]):
            said = ask(s, "transaction", actions=actions)
            done = qmp(s, "transaction", actions=actions)
            assert "error" in done and said == done, (actions, said, done)
            assert sorted(os.listdir(d)) == there
        plan = plan_of(s, "transaction", actions=[
            inside, action("disk0", "x"), action("disk1", "y")])
        assert sorted(os.listdir(d)) == there
        assert plan["kind"] == "transaction" and plan["hmp"] is None
        parts = plan["actions"]
        assert [files(p["chain"])[0] for p in parts] == [
            tops[0], os.path.join(d, "x"), os.path.join(d, "y")]
        assert plan["space"]["needs"] == sum(
            p["space"]["needs"] for p in parts[1:]) > 0
        assert parts[0]["space"] is None
        said = s.ok("plan " + json.dumps(plan["qmp"]))
        assert said[0] == "transaction: 3 actions at one moment, or none"
        assert "then     y on b1 on b" in said
        assert qmp(s, plan["qmp"]["execute"],
                   **plan["qmp"]["arguments"]) == {"return": {}}
        for dev, part in (("disk0", parts[1]), ("disk1", parts[2])):
            assert chain_of(s, dev) == files(part["chain"])
        assert sum(os.stat(os.path.join(d, n)).st_size for n in "xy") == \
            plan["space"]["needs"]
        said = ask(s, "transaction", actions=[inside])
        assert "error" not in said
        assert s.ok("plan snapshot_blkdev_internal disk0 i")[0] == \
            "snapshot of disk0: x"


@pytest.mark.parametrize("compat", ["0.10", "1.1"])
@pytest.mark.parametrize("write", ["write -z 2M 64k", "read 0 64k"])
def test_a_base_that_grows(d, compat, write):
    """The new part of it hides what lies below; where that is written as
    data, zeroes are written over it. And it is not as it was then, though
    nothing may be left to move."""
    low = blk.create(os.path.join(d, "low"), 4 * blk.MIB)
    blk.qemu_io(low, "write 0 4M")
    mid = blk.create(os.path.join(d, "mid"), blk.MIB, low, compat=compat,
                     cluster_size=4096)
    top = blk.create(os.path.join(d, "top"), 4 * blk.MIB, mid)
    blk.qemu_io(top, write)
    with blk.Session(top) as s:
        plan = plan_of(s, "block-commit", device="disk0", base=mid)
        s.ok("block_commit disk0 " + mid)
        s.wait("disk0", "ready")
        done = job(s, "disk0")
        for way in ("copied", "overwritten", "zeroed"):
            assert plan["bytes"][way] == done[way], (way, plan, done)
        assert not plan["cancel"]["restores"]
        assert not plan_of(s, "block-job-cancel",
                           device="disk0")["cancel"]["restores"]


@pytest.mark.parametrize("compat", ["0.10", "1.1"])
def test_resize_over_a_longer_image(d, compat):
    """What lies below the new part must not show: in version 2 it is written
    over."""
    low = blk.create(os.path.join(d, "low"), 8 * blk.MIB)
    top = blk.create(os.path.join(d, "top"), blk.MIB, low, compat=compat,
                     cluster_size=4096)
    with blk.Session(top) as s:
        plan = plan_of(s, "block_resize", device="disk0", size=6 * blk.MIB)
        room = allocated(top)
        s.ok("block_resize disk0 6M")
        grown = allocated(top) - room
        assert abs(plan["space"]["needs"] - grown) <= 4096 * 2, (plan, grown)
        assert (grown > 5 * blk.MIB) == (compat == "0.10")


@pytest.mark.parametrize("edge, below", [
    ("none", 1), ("none", 3), ("data", 1), ("packed", 1), ("snapshot", 1),
    ("none", 0)])
def test_an_end_in_the_middle_of_a_cluster(d, edge, below):
    """What the image holds behind its end must not show when it grows; where
    it holds nothing, and nothing below reaches there, it takes no place."""
    size = blk.MIB + 512 * 7
    low = below and blk.create(os.path.join(d, "low"), below * blk.MIB)
    if low:
        blk.qemu_io(low, "write -P 9 0 %dM" % below)
    top = blk.create(os.path.join(d, "top"), 2 * blk.MIB, low or None,
                     cluster_size=blk.MIB)
    if edge != "none":
        blk.qemu_io(top, "write %s -P 5 1M 1M" % ("-c" if edge == "packed"
                                                  else ""))
    blk.qemu_img("resize", "-q", "--shrink", top, str(size))
    if edge == "snapshot":
        blk.qemu_img("snapshot", "-c", "then", top)
    with blk.Session(top) as s:
        plan = plan_of(s, "block_resize", device="disk0", size=3 * blk.MIB,
                       x_blkmon_force=True)
        room = allocated(top)
        s.ok("block_resize -f disk0 3M")
        grown = allocated(top) - room
        assert abs(plan["space"]["needs"] - grown) <= 4096, (plan, grown)
        if edge == "none" and below < 2:
            assert grown <= 4096
        s.ok("qemu-io disk0 \"read -P 0 %d %d\"" % (size,
                                                  3 * blk.MIB - size))
        assert s.quit() == 0
    blk.check(top)


@pytest.mark.parametrize("how", ["plain", "packed", "snapshot", "data-file",
                                 "small"])
def test_what_a_commit_at_once_gives_back(d, how):
    """The overlay is emptied: what its files then have less."""
    low = blk.create(os.path.join(d, "low"), 8 * blk.MIB)
    top, data = os.path.join(d, "top"), os.path.join(d, "data")
    more = {"data_file": data} if how == "data-file" else {}
    # One of each 64 clusters says how often they are in use, and stays.
    small = {"cluster_size": 512, "refcount_bits": 64}
    blk.create(top, 8 * blk.MIB, low, **more,
               **(small if how == "small" else {}))
    blk.qemu_io(top, "write %s -P 3 1M 2M" % ("-c" if how == "packed" else ""))
    if how == "snapshot":
        blk.qemu_img("snapshot", "-c", "then", top)
        blk.qemu_io(top, "write -P 4 4M 1M")
    args = ["file=" + top, "id=disk0"]
    args += ["data-file=" + data] if more else []
    with blk.Session("--drive", ",".join(args)) as s:
        plan = plan_of(s, "x-blkmon-commit", device="disk0",
                       x_blkmon_force=True)
        assert "frees    " in "\n".join(s.ok("plan commit -f disk0"))
        room = sum(map(allocated, [top, *more.values()]))
        s.ok("commit -f disk0")
        given = room - sum(map(allocated, [top, *more.values()]))
        assert given >= 64 * blk.KIB
        # A file of many extents has a block that names them (ext4).
        assert abs(plan["gives-back"] - given) <= 4096, (plan, given)
        assert s.quit() == 0
    blk.check(top)


def test_a_snapshot_that_cannot_be_counted(d):
    """Refused as it is then, for reference counts of a bit."""
    top = blk.create(os.path.join(d, "a"), blk.MIB, refcount_bits=1)
    blk.qemu_io(top, "write 0 64k")
    with blk.Session(top) as s:
        line = "snapshot_blkdev_internal disk0 i"
        said = s.fails("plan " + line, "too narrow")
        assert said == s.fails(line, "too narrow")


def test_commit_at_once(d, pair):
    """HMP's commit: the overlay stays, and is emptied."""
    with blk.Session(pair[1]) as s:
        plan = plan_of(s, "x-blkmon-commit", device="disk0")
        assert plan["kind"] == "commit-now" and not plan["unused"]
        assert plan["hmp"] == "commit disk0"
        s.ok(plan["hmp"])
        assert chain_of(s) == files(plan["chain"])


# ------------------------------------------------------------ at the prompt

def test_a_line_in_three_languages(d):
    """They say the same, and do nothing."""
    low, mid, top = blk.make_chain(d)
    request = {"execute": "block-commit", "arguments": {
        "device": "disk0", "base": low, "top": mid}}
    with blk.Session(top) as s:
        hmp = s.ok("plan block_commit disk0 %s %s" % (low, mid))
        assert hmp[0] == "commit of disk0: l2.img on l1.img on l0.img"
        assert hmp[1].split(None, 1) == [
            "moves", "1.00M copied, 1.00M overwritten"]
        assert "then     l2.img on l0.img" in hmp
        assert any(line.startswith("unused   l1.img; 2.25M") for line in hmp)
        assert len(hmp) <= 12 and all(len(line) <= 80 + len(d)
                                      for line in hmp)
        same = blk.but_free(hmp)
        assert same != hmp
        shell = s.ok("plan block-commit device=disk0 base=%s top=%s"
                     % (low, mid))
        assert blk.but_free(shell) == same
        assert blk.but_free(s.ok("plan " + json.dumps(request))) == same
        said = s.ok("plan --json block_commit disk0 %s %s" % (low, mid))
        plan = plan_of(s, "block-commit", **request["arguments"])
        assert json.loads(said[0])["return"]["bytes"] == plan["bytes"]
        assert s.jobs() == {} and chain_of(s) == [top, mid, low]
        s.ok(plan["hmp"])
        s.wait("disk0")
        assert chain_of(s) == [top, low]


def test_what_has_no_plan_is_not_run(d, pair):
    with blk.Session(pair[1]) as s:
        for line in ("quit", "wait disk0", "stop", "drive_del disk0",
                     'qemu-io disk0 "write 0 512"', "info block",
                     'nbd_server_start unix:%s/sock' % d):
            s.fails("plan " + line, "There is no plan for")
        s.fails("plan block_job_cancel disk0", "not found")
        for line in ("", "plan commit disk0"):
            assert s.cmd("plan " + line) == ["plan: a line expected"]
        # Its other lines would be run.
        for line in ('{"execute": "stop",', "transaction("):
            s.fails("plan " + line, "one whole line")
        assert qmp(s, "query-status")["return"]["running"]
        assert chain_of(s) == pair[::-1]


def test_a_refused_plan_fails_a_script(pair):
    out = blk.blkmon(pair[1], "-c", "plan block_commit disk0")
    assert out.rc == 0 and "moves " in out.out, out
    for line in ("plan block_commit none", "plan --json block_commit none"):
        out = blk.blkmon(pair[1], "-c", line)
        assert out.rc == 1 and "Device 'none' not found" in out.text, out
