# SPDX-License-Identifier: GPL-3.0-or-later
"""hold=off: the monitor is left to others, who are greeted on the very socket
that the console is attached to; and nothing is missed for that."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import blk
import ends
from qmpsock import Qmp
from test_attach_rules import read_until, type_line

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ui"))

from term import Term  # noqa: E402

KINDS = pytest.mark.parametrize("kind", ends.ALL, ids=lambda k: k.kind)
QEMUS = pytest.mark.parametrize("kind", ends.ALL[:3], ids=lambda k: k.kind)


def console(end):
    return subprocess.Popen(
        [blk.BLKMON, "--connect", "web=unix:%s,hold=off" % end.path,
         "--on-error", "continue", "--echo"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        bufsize=1)


def leave(proc):
    type_line(proc, "quit")
    proc.communicate(timeout=blk.PATIENCE)
    return proc.returncode


@QEMUS
def test_others_are_served_between(d, kind):
    """A manager asks on the same socket, over and over, while the console
    works."""
    with kind(d) as end:
        proc = console(end)
        type_line(proc, "info block")
        read_until(proc, "Backing file")
        for _ in range(3):
            manager = Qmp(end.path)
            assert manager.ask("query-block-jobs") == []
            manager.close()
            type_line(proc, "info block")
            read_until(proc, "Backing file")
        type_line(proc, "places")
        assert "live" in read_until(proc, "web: ")
        assert leave(proc) == 0
        assert end.alive()


@KINDS
def test_a_commit_is_waited_for(d, kind):
    """Ready and done happen while nobody listens."""
    with kind(d) as end:
        out = blk.blkmon("--connect", "unix:%s,hold=off" % end.path, "-c",
                         "block_commit disk0 base.qcow2 mid.qcow2 4M", "-c",
                         "wait disk0 60", "-c", "block_commit disk0", "-c",
                         "wait disk0 ready 60", "-c",
                         "block_job_complete disk0", "-c", "wait disk0 60")
        assert out.rc == 0, out
        chain = blk.blkmon("--connect", "unix:" + end.path, "-c",
                           "info block").out
        assert "base.qcow2 (qcow2)" in chain and "Backing" not in chain, chain


@KINDS
def test_jobs_of_others_are_followed(d, kind):
    """What a stranger begins and ends is seen without an event."""
    with kind(d) as end, end.other() as qmp:
        proc = console(end)
        type_line(proc, "info block-jobs")
        read_until(proc, "No active jobs")
        device = {"drive": "disk0", "blockdev": "top-fmt", "daemon": "n",
                  "blkmon": "disk0"}[kind.kind]
        qmp.ask("block-commit", device=device, job_id="theirs")
        qmp.event("BLOCK_JOB_READY", device="theirs")
        type_line(proc, "info block-jobs")
        read_until(proc, "theirs")
        type_line(proc, "wait theirs 60")
        qmp.ask("block-job-cancel", device="theirs")
        type_line(proc, "help no-1")
        read_until(proc, "no-1")
        assert leave(proc) in (0, 1)
        assert end.alive()


def test_gone_and_there_again(d):
    with ends.Drive(d) as end:
        proc = console(end)
        type_line(proc, "info block")
        read_until(proc, "Backing file")
        end.kill()
        type_line(proc, "wait 5")
        type_line(proc, "info block")
        read_until(proc, "gone")
        end.start()
        read_until(proc, "there again")
        type_line(proc, "info block")
        read_until(proc, "Backing file")
        assert leave(proc) in (0, 1)


@pytest.mark.skipif(not shutil.which("tmux"), reason="no tmux")
def test_the_screen_looks_now_and_then(d, tmp_path):
    """It shows what others did, and lets them in all the time."""
    with ends.Drive(d) as end:
        term = Term("%s -y --connect web=unix:%s,hold=off" %
                    (blk.BLKMON, end.path), tmp_path, columns=100)
        try:
            term.wait("└ top ◀ disk0")
            with Qmp(end.path) as manager:
                manager.ask("blockdev-snapshot-sync", device="disk0",
                            snapshot_file=os.path.join(d, "sn1.qcow2"))
            term.wait("└ sn1 ◀ disk0")
            assert "answers slowly" not in term.screen()
            term.type(":block_commit disk0 mid.qcow2\n")
            term.wait("(commit) is ready:")
            term.type("block_job_complete disk0\n")
            term.wait(lambda s: re.search(r"commit disk0 .* done", s))
            term.keys("Escape")
            term.wait("F1 Help  s")
            term.keys("q")
            term.wait_dead()
        finally:
            term.close()
        assert end.alive()
