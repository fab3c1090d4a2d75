# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: limits, verbs, names, several at once."""

import itertools
import json
import os
import time

import pytest

import blk
from blk import KIB, MIB, best, content, make_chain


# --------------------------------------------------------------- speed limits

@pytest.fixture
def big(d):
    """80 MiB of data to move, under an empty overlay."""
    base = blk.create(os.path.join(d, "base.img"), 80 * MIB)
    blk.qemu_io(base, "write -P 0x21 0 80M")
    return base, blk.create(os.path.join(d, "top.img"), None, base)


def overlays(d, base):
    """Empty overlays of the base, a new one for each try of a stream."""
    for n in itertools.count():
        yield blk.create(os.path.join(d, "try%d.img" % n), None, base)


@pytest.mark.alone
@pytest.mark.parametrize("kind", ["stream", "commit", "active"])
def test_speed_holds_over_two_seconds(big, d, kind):
    """40 MiB at 20 MiB/s take two seconds, give or take five percent."""
    base, _ = big
    rate, want = 20 * MIB, 40 * MIB
    tops = overlays(d, base)

    def attempt():
        top = next(tops)
        with blk.Session(top) as s:
            if kind == "stream":
                s.ok("block_stream disk0 20M")
            else:
                s.io("write -P 0x22 0 80M")
                if kind == "commit":
                    s.ok("snapshot_blkdev disk0 " + top + ".over")
                s.ok("block_commit -f disk0 %s %s 20M" % (base, top))
            # A first sample after the start, a second two seconds on.
            first, t0 = s.jobs().get("disk0"), time.monotonic()
            s.cmd("wait disk0 done 2")
            last, t1 = s.jobs().get("disk0"), time.monotonic()
            s.cmd("block_job_cancel -f disk0")
            s.wait()
            s.quit()
        os.unlink(top)
        if not first or not last:
            return 1            # the machine stood still until it was over
        return abs(last[1] - first[1] - rate * (t1 - t0)) / want
    off = best(attempt, 0.05)
    assert off < 0.05, "%.1f %% off" % (100 * off)


@pytest.mark.alone
def test_limited_job_takes_its_time(d, big):
    """The whole of a limited job, from start to end. It is never done too
    early; it may be late by what the machine needs for one without a limit."""
    tops = overlays(d, big[0])

    def stream(speed):
        top = next(tops)
        with blk.Session(top) as s:
            start = time.monotonic()
            s.ok("block_stream disk0 " + speed)
            s.wait()
            took = time.monotonic() - start
            s.quit()
        os.unlink(top)
        return took

    def attempt():
        took = stream("40M")
        assert took > 1.85, "80 MiB at 40 MiB/s took only %.2f s" % took
        return took if took < 2.3 else took - stream("0")
    took = best(attempt, 2.3)
    assert took < 2.3, "80 MiB at 40 MiB/s took %.2f s" % took


@pytest.mark.alone
def test_from_a_crawl_to_unlimited_at_once(d):
    """It may be late by what the machine needs for a job that never
    crawled."""
    base = blk.create(os.path.join(d, "base.img"), 8 * MIB)
    blk.qemu_io(base, "write -P 0x23 0 8M")
    tops = overlays(d, base)

    def stream(speed, faster):
        top = next(tops)
        with blk.Session(top) as s:
            start = time.monotonic()
            s.ok("block_stream disk0 " + speed)
            if faster:
                crawl = s.jobs()["disk0"]
                assert crawl[3] == 1 and crawl[1] < crawl[2], crawl
                start = time.monotonic()
                s.ok("block_job_set_speed disk0 0")
            s.wait()
            took = time.monotonic() - start
            s.quit()
        assert blk.guest(top) == b"\x23" * 8 * MIB
        return took

    def attempt():
        took = stream("1B", True)
        return took if took < 0.2 else took - stream("0", False)
    took = best(attempt, 0.2)
    assert took < 0.2, "%.3f s from 1 byte/s to the end" % took


def test_a_lower_limit_is_heard_at_once(big):
    """Told by what is moved: of 4 MiB that a deaf job would do in a second."""
    _, top = big
    with blk.Session(top) as s:
        s.ok("block_stream disk0 4M")
        while not s.jobs()["disk0"][1]:
            s.cmd("wait disk0 done 0.1")
        s.ok("block_job_set_speed disk0 1B")
        s.cmd("wait disk0 done 0.1")
        before = s.jobs()["disk0"]
        s.cmd("wait disk0 done 1")
        after = s.jobs()["disk0"]
        assert after[3] == 1 and before[1] > 0
        assert after[1] - before[1] <= 512 * KIB, (before, after)
        s.ok("block_job_cancel disk0")
        s.wait()
        s.quit()


@pytest.mark.parametrize("kind", ["stream", "commit", "active"])
def test_cancel_is_heard_at_one_byte_a_second(d, kind):
    low, mid, top = make_chain(d, size=8 * MIB, data=2 * MIB)
    line = {"stream": "block_stream disk0 1B",
            "commit": "block_commit disk0 %s %s 1B" % (low, mid),
            "active": "block_commit disk0 %s %s 1B" % (low, top)}[kind]
    want = blk.guest(top)
    with blk.Session(top) as s:
        def attempt():
            s.ok(line)
            assert "disk0" in s.jobs()
            start = time.monotonic()
            s.ok("block_job_cancel disk0")
            s.wait()
            took = time.monotonic() - start
            assert s.jobs() == {}
            return took
        took = best(attempt, 0.1)
        assert took < 0.1, "cancel took %.3f s" % took
        assert s.depth()[2] == 2
        assert s.quit() in (0, 1)
    assert blk.files_of_chain(top) == [top, mid, low]
    blk.assert_same(blk.guest(top), want, "after the cancels")
    for path in (low, mid, top):
        blk.check(path)


@pytest.mark.parametrize("size,bytes_", [
    ("1", MIB), ("512k", 512 * KIB), ("1.5", 3 * MIB // 2), ("200M", 200 * MIB),
    ("1048576B", MIB), ("2g", 2048 * MIB), ("7E", 7 << 60), ("0", 0)])
def test_sizes(d, size, bytes_):
    """A plain number is MiB; a suffix letter says otherwise."""
    paths = make_chain(d, 2, size=8 * MIB, data=4 * MIB)
    with blk.Session(paths[-1]) as s:
        s.ok("block_stream disk0 1B")
        s.ok("block_job_pause disk0")
        s.ok("block_job_set_speed disk0 " + size)
        assert s.jobs()["disk0"][3] == bytes_
        s.ok("block_job_cancel -f disk0")
        s.quit()


def test_all_stand_still(d):
    """Those that run, and no other; a job that is called so is meant alone."""
    one = make_chain(d, 2)
    os.mkdir(os.path.join(d, "two"))
    two = make_chain(os.path.join(d, "two"), 2)[-1]

    def states(s):
        out = s.cmd('{"execute": "query-block-jobs"}')
        return {job["device"]: job["paused"]
                for job in json.loads("".join(out))["return"]}
    with blk.Session(one[-1]) as s:
        s.ok("block_stream disk0 1B")
        s.ok("block_job_pause all")
        assert states(s) == {"disk0": True}
        s.ok("block_job_pause all")
        s.ok("block_job_resume all")
        assert states(s) == {"disk0": False}
        s.ok(f"drive_add 0 file={two},id=all,format=qcow2")
        s.ok("block_stream all 1B")
        s.ok("block_job_pause all")
        assert states(s) == {"disk0": False, "all": True}
        s.ok("block_job_cancel -f all")
        s.ok("block_job_cancel -f disk0")
        s.quit()


@pytest.mark.parametrize("size,word", [
    (".5", "invalid size"), ("1.5B", "invalid size"), ("-5M", "invalid size"),
    ("8E", "invalid size"), ("abc", "invalid size"),
    ("5MB", "extraneous characters")])
def test_bad_sizes(d, size, word):
    with blk.Session(make_chain(d, 2)[-1]) as s:
        s.fails("block_stream disk0 " + size, word,
                'Try "help block_stream" for more information')
        s.quit()



# ---------------------------------------------------------------------- verbs

def until_paused(s):
    """A job that is told to pause does so when its work in hand is done."""
    deadline = time.monotonic() + blk.PATIENCE
    while True:
        job, = json.loads(s.ok('{"execute": "query-jobs"}')[-1])["return"]
        if job["status"] == "paused":
            return
        assert time.monotonic() < deadline, job


def test_pause_and_resume(d):
    paths = make_chain(d, 2, size=8 * MIB, data=4 * MIB)
    want = blk.guest(paths[-1])
    with blk.Session(paths[-1]) as s:
        s.fails("block_job_pause disk0", "Block job 'disk0' not found")
        s.ok("block_stream disk0 1B")
        s.fails("block_job_resume disk0",
                "Can't resume a job that was not paused")
        s.ok("block_job_pause disk0")
        s.fails("block_job_pause disk0", "Job is already paused")
        s.fails("block_job_cancel disk0",
                "The block job for device 'disk0' is currently paused")
        until_paused(s)
        s.ok("block_job_set_speed disk0 0")
        before = s.jobs()["disk0"][1]
        s.cmd("wait disk0 done 0.3")
        assert s.jobs()["disk0"][1] == before, "a paused job moved data"
        s.io("write -P 0x31 3M 64k")
        s.ok("block_job_resume disk0")
        s.wait()
        assert s.jobs() == {}
        s.quit()
    want = want[:3 * MIB] + b"\x31" * 64 * KIB + want[3 * MIB + 64 * KIB:]
    blk.assert_same(blk.guest(paths[-1]), want, "streamed")
    blk.check(paths[-1])


def test_verbs_of_the_wrong_moment(d):
    paths = make_chain(d, 2, size=8 * MIB, data=4 * MIB)
    with blk.Session(paths[-1]) as s:
        for verb in ("cancel", "complete", "pause", "resume"):
            s.fails("block_job_%s disk0" % verb,
                    "Error: Block job 'disk0' not found")
        s.fails("block_job_set_speed disk0 1", "Block job 'disk0' not found")
        s.fails("block_stream nosuch", "Error: Cannot find device='nosuch' "
                "nor node-name='nosuch'")
        s.fails("block_commit nosuch", "'nosuch'")
        s.ok("block_stream disk0 1B")
        s.fails("block_job_complete disk0", "Job 'disk0' in state 'running' "
                "cannot accept command verb 'complete'")
        s.ok("block_job_cancel disk0")
        s.wait()
        s.quit()


def test_cancelled_stream_goes_on_where_it_was(d):
    paths = make_chain(d, 2, size=8 * MIB, data=4 * MIB)
    want = blk.guest(paths[-1])
    with blk.Session(paths[-1]) as s:
        s.ok("block_stream disk0 64k")
        s.cmd("wait disk0 done 0.4")
        s.ok("block_job_cancel disk0")
        s.wait()
        assert s.depth()[1] == paths[0]
        s.ok("block_stream disk0")
        s.wait()
        assert s.depth()[2] == 0
        s.quit()
    blk.assert_same(blk.guest(paths[-1]), want, "in the end")
    blk.check(paths[-1])


def test_active_commit_ready_then_complete(d):
    low, mid, top = make_chain(d)
    want = bytearray(blk.guest(top))
    with blk.Session(top) as s:
        s.ok("block_commit disk0 %s" % low)
        s.wait(what="ready")
        kind, offset, length, _ = s.jobs()["disk0"]
        assert kind == "commit" and offset == length == len(want)
        for n in range(20):
            s.io("write -P %d %d 777" % (100 + n, n * 200 * KIB + 5))
            want[n * 200 * KIB + 5:n * 200 * KIB + 782] = bytes([100 + n]) * 777
        s.io("write -z 2M 300k")
        want[2 * MIB:2 * MIB + 300 * KIB] = bytes(300 * KIB)
        assert s.depth()[0] == top
        s.ok("block_job_complete disk0")
        s.wait()
        assert s.depth() == (low, None, 0)
        s.io("write -P 0x32 0 64k")
        want[:64 * KIB] = b"\x32" * 64 * KIB
        s.quit()
    blk.assert_same(blk.guest(low), want, "base after the pivot")
    for path in (low, mid, top):
        blk.check(path)


@pytest.mark.parametrize("force", [False, True])
def test_active_commit_ready_then_cancel(d, force):
    low, mid, top = make_chain(d)
    want = blk.guest(top)
    with blk.Session(top) as s:
        s.ok("block_commit disk0")
        s.wait(what="ready")
        s.ok("block_job_cancel %sdisk0" % ("-f " if force else ""))
        s.wait()
        assert s.depth() == (top, mid, 2)
        s.io("write -P 0x33 0 64k")
        s.quit()
    if not force:
        blk.assert_same(blk.guest(low), want, "base as of the cancel")
    blk.assert_same(blk.guest(top), b"\x33" * 64 * KIB + want[64 * KIB:],
                    "the overlay stayed active")
    for path in (low, mid, top):
        blk.check(path)


def test_pivot_into_the_middle(d):
    low, mid, top = make_chain(d)
    want, below = blk.guest(top), blk.guest(low)
    with blk.Session(top) as s:
        s.ok("block_commit disk0 %s %s" % (mid, top))
        s.wait(what="ready")
        s.ok("block_job_complete disk0")
        s.wait()
        assert s.depth() == (mid, low, 1)
        s.quit()
    blk.assert_same(blk.guest(mid), want, "the new active layer")
    blk.assert_same(blk.guest(low), below, "what is below")
    assert blk.files_of_chain(mid) == [mid, low]


def test_old_spelling_has_its_old_rules(d):
    """__com.redhat_block-commit: top is mandatory, and not the active one."""
    low, mid, top = make_chain(d)
    with blk.Session(top) as s:
        s.fails("__com.redhat_block-commit disk0 %s" % low)
        s.fails("__com.redhat_block-commit disk0 %s %s" % (low, top),
                "Top image as the active layer is currently unsupported")
        s.ok("__com.redhat_block-commit disk0 %s %s" % (low, mid))
        s.wait()
        assert s.depth() == (top, low, 1)
        s.quit()
    blk.check(top)


def test_names_that_are_not_in_the_chain(d):
    low, mid, top = make_chain(d)
    before = [content(p) for p in (low, mid, top)]
    with blk.Session(top) as s:
        s.fails("block_stream disk0 0 /nosuch",
                "Error: Can't find '/nosuch' in the backing chain")
        s.fails("block_stream disk0 0 " + top,
                "Error: Can't find '%s' in the backing chain" % top)
        s.fails("block_commit disk0 %s /nosuch" % low,
                "Top image file /nosuch not found")
        s.fails("block_commit disk0 /nosuch %s" % mid,
                "Can't find '/nosuch' in the backing chain")
        s.fails("block_commit disk0 %s %s" % (mid, mid),
                "Invalid files for merge: top and base are the same")
        s.fails("block_commit disk0 %s %s" % (mid, low))
        s.fails("block_stream -a disk0 0 " + low, "mutually exclusive")
        s.quit()
    assert [content(p) for p in (low, mid, top)] == before



@pytest.mark.parametrize("kilobytes", [16, 64, 2048])
@pytest.mark.parametrize("job", ["stream", "active"])
def test_subclusters_with_holes_between(d, job, kilobytes):
    """Several pieces of one cluster come from below, some are there."""
    sub = kilobytes * 32
    low = blk.create(os.path.join(d, "low.img"), 4 * MIB)
    blk.qemu_io(low, "write -P 5 0 4M")
    mid = blk.create(os.path.join(d, "mid.img"), None, low, extended_l2="on",
                     cluster_size=kilobytes * KIB)
    blk.qemu_io(mid, "write -P 6 %d %d" % (9 * sub, sub))
    top = blk.create(os.path.join(d, "top.img"), None, mid, extended_l2="on",
                     cluster_size=kilobytes * KIB)
    blk.qemu_io(top, "write -z %d %d" % (3 * sub, sub),
                "write -P 7 %d %d" % (20 * sub, sub),
                "write -z %d %d" % (25 * sub, sub))
    want = blk.guest(top)
    with blk.Session(top) as s:
        if job == "stream":
            s.ok("block_stream disk0")
        else:
            s.ok("block_commit disk0 " + mid)
            s.wait(what="ready")
            s.ok("block_job_complete disk0")
        s.wait()
        s.quit()
    after = top if job == "stream" else mid
    blk.assert_same(blk.guest(after), want, job)
    blk.check(after)


@pytest.mark.parametrize("compat", ["0.10", "1.1"])
@pytest.mark.parametrize("job", ["stream", "commit", "pivot"])
def test_short_layers_hide_what_is_below(d, job, compat):
    """Zeros behind a layer's end stay when it goes; version 2 writes them."""
    low = blk.create(os.path.join(d, "low.img"), 3 * MIB, compat=compat)
    blk.qemu_io(low, "write -P 1 0 3M")
    mid = blk.create(os.path.join(d, "mid.img"), 2 * MIB + 512, low)
    top = blk.create(os.path.join(d, "top.img"), 3 * MIB, mid, compat=compat)
    blk.qemu_io(top, "write -P 2 1M 64k")
    want = blk.guest(top)
    line = {"stream": "block_stream disk0 0 " + low,
            "commit": "block_commit disk0 %s %s" % (low, mid),
            "pivot": "block_commit disk0 " + low}[job]
    with blk.Session(top) as s:
        s.ok(line)
        if job == "pivot":
            s.wait(what="ready")
            s.ok("block_job_complete disk0")
        s.wait()
        s.quit()
    left = [low] if job == "pivot" else [top, low]
    assert blk.files_of_chain(left[0]) == left
    blk.assert_same(blk.guest(left[0]), want, job)
    for path in (low, mid, top):
        blk.check(path)


# --------------------------------------------------------------- several jobs

def test_two_drives_two_jobs(d):
    paths = []
    for name in ("a", "b"):
        os.mkdir(os.path.join(d, name))
        paths.append(make_chain(os.path.join(d, name), 2, 8 * MIB, 4 * MIB))
    want = [blk.guest(p[-1]) for p in paths]
    with blk.Session("one=" + paths[0][-1], "two=" + paths[1][-1]) as s:
        s.ok("block_stream one 1B")
        s.ok("block_commit two %s" % paths[1][0])
        jobs = s.jobs()
        assert sorted(jobs) == ["one", "two"]
        assert [jobs["one"][0], jobs["two"][0]] == ["stream", "commit"]
        s.wait("two", "ready")
        s.ok("block_job_set_speed one 0")
        s.wait("one")
        s.ok("block_job_complete two")
        s.wait("two")
        assert s.jobs() == {}
        assert s.depth("one")[2] == 0 and s.depth("two")[2] == 0
        assert s.quit() == 0
    blk.assert_same(blk.guest(paths[0][-1]), want[0], "streamed")
    blk.assert_same(blk.guest(paths[1][0]), want[1], "committed")


BUSY = ["block_stream disk0", "block_commit disk0", "commit disk0",
        "snapshot_blkdev disk0 NEW", "block_commit disk0 LOW MID"]


@pytest.mark.parametrize("line", BUSY)
@pytest.mark.parametrize("job", ["block_stream disk0 1B",
                                 "block_commit disk0 LOW MID 1B"])
def test_busy_chain(d, line, job):
    low, mid, top = make_chain(d)
    new = os.path.join(d, "new.img")
    names = [("LOW", low), ("MID", mid), ("NEW", new)]
    for word, path in names:
        line, job = line.replace(word, path), job.replace(word, path)
    with blk.Session(top) as s:
        s.ok(job)
        kind = "stream" if "stream" in job else "commit"
        if line == "commit disk0":
            s.fails(line, "'commit' error for 'disk0': "
                    "Device or resource busy")
        else:
            s.fails(line, "is busy", "block device is in use by block job: "
                    + kind)
        assert not os.path.exists(new)
        assert list(s.jobs()) == ["disk0"]
        s.ok("block_job_cancel disk0")
        s.wait()
        s.quit()
    assert blk.files_of_chain(top) == [top, mid, low]
    for path in (low, mid, top):
        blk.check(path)


def test_shared_base_is_not_written(d):
    """Refused by the name of the other drive, and nothing is touched."""
    low, mid, top = make_chain(d)
    sib = blk.create(os.path.join(d, "sib.img"), None, low)
    want = [blk.guest(p) for p in (top, sib)]
    before = [content(p) for p in (low, mid)]
    with blk.Session("disk0=" + top, "other=" + sib) as s:
        for line in ("block_commit disk0", "block_commit disk0 %s" % low,
                     "block_commit disk0 %s %s" % (low, mid),
                     "commit other", "block_commit other"):
            who = "disk0" if "other" in line else "other"
            text = "\n".join(s.cmd(line))
            assert who in text and "rror" in text, (line, text)
            assert s.jobs() == {}
        assert [content(p) for p in (low, mid)] == before
        # What does not touch it is free to go on.
        s.ok("block_commit disk0 %s" % mid)
        s.wait(what="ready")
        s.ok("block_job_complete disk0")
        s.wait()
        s.ok("block_stream other")
        s.wait("other")
        # Now nobody else reads it.
        s.ok("block_commit disk0 %s" % low)
        s.wait(what="ready")
        s.ok("block_job_complete disk0")
        s.wait()
        s.quit()
    blk.assert_same(blk.guest(low), want[0], "committed to the base")
    blk.assert_same(blk.guest(sib), want[1], "the other drive")



# ---------------------------------------------------------------------- depth

def test_deep_chain(d):
    """A hundred snapshots, each with a cluster of its own."""
    paths = [blk.create(os.path.join(d, "l0"), 8 * MIB)]
    with blk.Session(paths[0]) as s:
        for n in range(1, 100):
            paths.append(os.path.join(d, "l%d" % n))
            s.ok("snapshot_blkdev disk0 " + paths[-1])
            s.io("write -P %d %d 64k" % (n, n * 64 * KIB))
        s.quit()
    want = b"".join(bytes([n]) * 64 * KIB for n in range(100)) \
        + bytes(8 * MIB - 100 * 64 * KIB)
    blk.assert_same(blk.cat(paths[-1]), want, "through a hundred")
    with blk.Session(paths[-1]) as s:
        assert s.depth()[2] == 99
        s.ok("block_commit disk0 %s %s" % (paths[10], paths[90]))
        s.wait()
        assert s.depth()[2] == 19
        s.ok("block_stream disk0 0 " + paths[5])
        s.wait()
        assert s.depth()[2] == 6
        s.quit()
    blk.assert_same(blk.guest(paths[-1]), want, "in the end")
    blk.check(paths[-1])
