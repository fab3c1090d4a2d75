# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job tells when it is over: how much, how fast, what is left."""

import os

import pytest

import blk
from blk import KIB, MIB
from qmpsock import Server


@pytest.fixture
def three(d):
    return blk.make_chain(d, 3, size=16 * MIB, data=4 * MIB)


@pytest.fixture
def c(d, three):
    with Server(d, "--drive",
                "file=%s,format=qcow2,id=disk0" % three[-1]) as s:
        with s.client() as client:
            yield client


def on_disk(path):
    return os.stat(path).st_blocks * 512


def end_of(c, event="BLOCK_JOB_COMPLETED"):
    return c.event(event)["data"]["x-blkmon-end"]


def test_commit_in_the_middle(c, three):
    """What it moved, how fast, and the size of the file that is left."""
    c.ask("block-commit", device="disk0", top=three[1], base=three[0])
    end = end_of(c)
    assert end["from"] == [three[1]] and end["to"] == three[0]
    assert [f["file"] for f in end["unused"]] == [three[1]]
    # What the host had not written yet may count later.
    assert abs(end["unused"][0]["bytes"] - on_disk(three[1])) <= 64 * KIB
    assert 0 < end["moved"] <= 8 * MIB and not end["pivoted"]
    assert 0 < end["work-ns"] <= end["time-ns"]
    assert end["rate"] == pytest.approx(
        end["moved"] * 1e9 / end["work-ns"], rel=0.01)


def test_stream_of_all(c, three):
    """Two files fall out at once; the highest stands first."""
    c.ask("block-stream", device="disk0")
    end = end_of(c)
    assert end["from"] == [three[1], three[0]] and end["to"] == three[2]
    assert [f["file"] for f in end["unused"]] == [three[1], three[0]]


def test_pivot(c, three):
    """Standing ready is no work, so the rate does not count it."""
    c.ask("block-commit", device="disk0", base=three[0])
    c.event("BLOCK_JOB_READY")
    for _ in range(50):
        c.ask("query-block-jobs")
    c.ask("block-job-complete", device="disk0")
    end = end_of(c)
    assert end["pivoted"] and end["work-ns"] < end["time-ns"]
    assert [f["file"] for f in end["unused"]] == [three[2], three[1]]


def test_nothing_is_left_by_what_did_not_end(c, three):
    """Neither a cancel nor a failure leaves a file behind."""
    c.ask("block-commit", device="disk0", top=three[1], base=three[0],
          speed=1)
    c.ask("block-job-cancel", device="disk0")
    assert end_of(c, "BLOCK_JOB_CANCELLED")["unused"] == []
    c.ask("block-commit", device="disk0", base=three[0])
    c.event("BLOCK_JOB_READY")
    c.ask("block-job-cancel", device="disk0")
    end = end_of(c)
    assert not end["pivoted"] and end["unused"] == []


def test_one_that_waits_for_its_dismissal(c, three):
    """The query says the same, and the clock of that job stands."""
    c.ask("block-commit", device="disk0", top=three[1], base=three[0],
          job_id="j", auto_dismiss=False)
    end = end_of(c)
    c.event("JOB_STATUS_CHANGE", id="j", status="concluded")
    first = c.ask("x-blkmon-query-jobs")[0]
    assert first["elapsed-ns"] == end["time-ns"]
    assert first["work-ns"] == end["work-ns"]
    assert first["unused"] == 1
    assert first["unused-bytes"] == end["unused"][0]["bytes"]
    assert c.ask("x-blkmon-query-jobs")[0] == first


def test_paths_are_full(d, three):
    """Though the images were named from the working folder."""
    out = blk.blkmon_ok("--line", "disk0=" + os.path.basename(three[-1]),
                        cwd=d, stdin="block_stream disk0\nwait\n")
    assert "no drive uses 2 files" in out.out, out
    assert "'%s' (" % three[0] in out.out and three[1] in out.out, out


def test_an_operator_reads_it(d, three):
    """In a line of the log; and a commit at once says what it gave back."""
    before = on_disk(three[2])
    out = blk.blkmon_ok("--line", "disk0=" + three[-1],
                        stdin="commit disk0\nblock_commit disk0 %s %s\n"
                        "wait\n" % (three[0], three[1]))
    assert before - on_disk(three[2]) > 2 * MIB
    lines = [line for line in out.out.splitlines() if " is done" in line]
    assert len(lines) == 2, out
    assert "M in 0." in lines[0] and "given back" in lines[0], lines
    assert "no drive uses '%s' (" % three[1] in lines[1], lines
    assert lines[1].endswith(
        " any more; delete removes what no other image needs"), lines
