# SPDX-License-Identifier: GPL-3.0-or-later
"""A screen on many machines: those that nobody looks at are left alone, and
none of them holds up the keys."""

import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engine"))

import blk  # noqa: E402
import ends  # noqa: E402
from fleet import Fleet, record  # noqa: E402
from ptyscreen import Screen, quantile  # noqa: E402
from term import Term  # noqa: E402

TMUX = pytest.mark.skipif(not shutil.which("tmux"), reason="no tmux")
KEY_MOST = 16           # milliseconds; of a hundred keys, all but one


@pytest.fixture
def said(d):
    where = os.path.join(d, "one")
    os.mkdir(where)
    with ends.Daemon(where) as end:
        return record(end)


@pytest.fixture
def fleet(d, said):
    with Fleet(d, 20, said) as many:
        yield many


def shown(fleet, tmp_path):
    term = Term(" ".join([blk.BLKMON, *fleet.connect()]), tmp_path,
                columns=100, rows=40)
    term.wait(lambda s: "20 drives" in s and s.count("⋯ vm") == 20)
    return term


@TMUX
def test_what_nobody_sees_is_not_polled(fleet, tmp_path):
    """All are folded but one, which is asked over and over."""
    term = shown(fleet, tmp_path)
    try:
        term.keys("g", "j", "Space")
        term.wait("└ top ◀ vm01/disk0")
        fleet.until(1, "query-block", fleet.asked[1]["query-block"] + 1)
        before = fleet.total()
        fleet.until(1, "query-block", fleet.asked[1]["query-block"] + 2)
        now = fleet.total()
        assert now[1] > before[1]
        assert now[:1] + now[2:] == before[:1] + before[2:]
        term.keys("Space", "j", "Space")
        term.wait("└ top ◀ vm02/disk0")
        fleet.until(2, "query-block", fleet.asked[2]["query-block"] + 1)
    finally:
        term.close()


@TMUX
def test_what_happens_there_is_seen(fleet, tmp_path):
    """One that says something is asked, though it is folded."""
    term = shown(fleet, tmp_path)
    try:
        count = fleet.asked[7]["query-block"]
        fleet.event(7, "BLOCK_JOB_COMPLETED", device="x", type="commit",
                    len=1, offset=1, speed=0)
        fleet.until(7, "query-block", count + 1)
    finally:
        term.close()


@TMUX
def test_jobs_of_what_nobody_sees_are_followed(d, said, tmp_path):
    """They have their bars in the pane of jobs."""
    job = {"device": "theirs", "type": "commit", "len": 100, "offset": 50,
           "speed": 0, "busy": False, "paused": False, "ready": False,
           "status": "running", "io-status": "ok", "auto-finalize": True,
           "auto-dismiss": True}
    said[1]["query-block-jobs {}"] = {"return": [job]}
    with Fleet(d, 3, said) as fleet:
        term = Term(" ".join([blk.BLKMON, *fleet.connect()]), tmp_path,
                    columns=100, rows=40)
        try:
            term.wait("commit vm02/th")
            term.keys("g", "Space", "j", "Space", "j", "Space")
            term.wait(lambda s: s.count("⋯ vm") == 3)
            job["offset"] = 75
            term.wait(lambda s: len(re.findall(r"commit vm.* 75%", s)) == 3)
        finally:
            term.close()


@pytest.mark.alone
def test_keys_beside_a_hundred_machines(d, said):
    with Fleet(d, 100, said) as fleet, \
            Screen([blk.BLKMON, *fleet.connect()], d, 40, 110) as screen:
        screen.until("100 drives")
        screen.watch(3)
        took = blk.best(lambda: quantile(screen.keys(100), .98), KEY_MOST)
        assert took <= KEY_MOST


@pytest.mark.alone
def test_keys_beside_a_machine_that_stands_still(d):
    """And a job at another is done as if there were none."""
    folders = [os.path.join(d, name) for name in ("one", "two")]
    for folder in folders:
        os.mkdir(folder)
    with ends.Drive(folders[0]) as still, ends.Drive(folders[1]) as live, \
            live.other() as qmp, \
            Screen([blk.BLKMON, "-y", "--connect", "still=unix:" + still.path,
                    "--connect", "live=unix:" + live.path], d) as screen:
        screen.until("2 drives")
        os.write(screen.fd, b":block_commit live/disk0 base.qcow2 mid.qcow2 "
                 b"64K\r")
        qmp.event("JOB_STATUS_CHANGE", id="blkmon-disk0", status="running")
        os.write(screen.fd, b"\x1b")
        still.proc.send_signal(signal.SIGSTOP)
        screen.until("slowly")
        took = blk.best(lambda: quantile(screen.keys(100), .98), KEY_MOST)
        assert took <= KEY_MOST
        qmp.ask("block-job-set-speed", device="blkmon-disk0", speed=0)
        qmp.event("BLOCK_JOB_COMPLETED", device="blkmon-disk0")
        qmp.event("JOB_STATUS_CHANGE", id="blkmon-disk0", status="null")
        still.proc.send_signal(signal.SIGCONT)
        with still.other() as other:
            assert other.ask("query-block")
        live.kill()
    blk.check(live.chain[2])
