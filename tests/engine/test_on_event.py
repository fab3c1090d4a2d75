# SPDX-License-Identifier: GPL-3.0-or-later
"""--on-event: the operator's programs hear of jobs."""

import contextlib
import json
import os
import signal
import time

import pytest

import blk
from blk import MIB
from qmpsock import Server


class Hook:
    """A program that puts down what it was told, a file for each call."""

    def __init__(self, d, more="", name="hook"):
        self.folder = os.path.join(d, name + "-calls")
        self.path = os.path.join(d, name)
        os.mkdir(self.folder)
        with open(self.path, "w", encoding="utf-8") as program:
            program.write("#!/bin/sh\nat=$(mktemp '%s/.XXXXXX')\n"
                          "env >$at\necho >>$at\ncat >>$at\n"
                          "mv $at '%s'/${at##*/.}\n%s\n" % (
                              self.folder, self.folder, more))
        os.chmod(self.path, 0o755)

    def calls(self):
        """(environment, event) of each, by the event and its time."""
        found = []
        for name in os.listdir(self.folder):
            if name.startswith("."):
                continue
            with open(os.path.join(self.folder, name),
                      encoding="utf-8") as call:
                env, _, event = call.read().rpartition("\n\n")
            found.append((dict(line.split("=", 1)
                               for line in env.splitlines()
                               if line.startswith("BLKMON_")),
                          json.loads(event)))
        found.sort(key=lambda c: sorted(c[1]["timestamp"].items()))
        return found


@pytest.fixture
def three(d):
    return blk.make_chain(d, 3, size=16 * MIB, data=4 * MIB)


def pivot(three):
    return ("block_commit disk0 %s\nwait disk0 ready\n"
            "block_job_complete disk0\nwait\n" % three[0])


def test_what_it_is_told(d, three):
    """READY and COMPLETED, in variables and as JSON."""
    hook = Hook(d)
    env = dict(os.environ, BLKMON_OLD="x")
    blk.blkmon_ok("--on-event", hook.path, "disk0=" + three[-1], env=env,
                  stdin=pivot(three))
    (ready, said), (done, told) = hook.calls()
    assert ready["BLKMON_EVENT"] == "READY" and "BLKMON_OLD" not in ready
    assert said["event"] == "BLOCK_JOB_READY"
    assert done["BLKMON_EVENT"] == "COMPLETED"
    assert done["BLKMON_JOB"] == "disk0" and done["BLKMON_KIND"] == "commit"
    assert done["BLKMON_RESULT"] == "pivoted"
    assert done["BLKMON_TO"] == three[0] and done["BLKMON_UNUSED"] == "2"
    end = told["data"]["x-blkmon-end"]
    assert done["BLKMON_MOVED"] == str(end["moved"])
    assert float(done["BLKMON_SECONDS"]) > 0


def test_cancelled_at_the_end(d, three):
    """Even of a job that the end of the program cancels."""
    hook = Hook(d)
    out = blk.blkmon("--on-event", hook.path, "disk0=" + three[-1],
                     stdin="block_stream disk0 1K\nwait disk0 done 0\n")
    assert out.rc == 1
    (env, _), = hook.calls()
    assert (env["BLKMON_EVENT"], env["BLKMON_RESULT"]) == (
        "CANCELLED", "cancelled")


def test_errors(d, three):
    """An ERROR, and a COMPLETED that says what failed."""
    hook = Hook(d)
    size = os.stat(three[0]).st_size
    out = blk.blkmon("--on-event", hook.path, "disk0=" + three[-1],
                     limit_fsize=size + MIB,
                     stdin="block_commit disk0 %s %s\nwait\n" % (
                         three[0], three[1]))
    assert out.rc == 1, out
    calls = [env for env, _ in hook.calls()]
    errors = [env for env in calls if env["BLKMON_EVENT"] == "ERROR"]
    assert errors[0]["BLKMON_OPERATION"] == "write"
    assert errors[0]["BLKMON_RESULT"] == "report"
    ended = [env for env in calls if env["BLKMON_EVENT"] == "COMPLETED"]
    assert [env["BLKMON_RESULT"] for env in ended] == ["failed"]
    assert ended[0]["BLKMON_ERROR"]


def test_how_it_is_run(d, three):
    """No shell, no descriptors, signals as at login, a group of its own."""
    hook = Hook(d, "ls -l /proc/self/fd >'%s/fds'\n"
                "grep -E '^(SigBlk|SigIgn)' /proc/self/status >'%s/sig'\n"
                "group=$(sed 's/.*) [A-Z] [0-9]* //' /proc/$$/stat)\n"
                "echo ${group%%%% *} $$ $# >'%s/group'" % (d, d, d),
                name="a b;c $(x)")
    blk.blkmon_ok("--on-event", hook.path, "disk0=" + three[-1],
                  stdin="block_stream disk0\nwait\n")
    with open(os.path.join(d, "fds"), encoding="utf-8") as fds:
        open_ones = [line.split(" -> ")[0].split()[-1]
                     for line in fds.read().splitlines()[1:]]
    # 3 is the folder that ls reads.
    assert set(open_ones) <= {"0", "1", "2", "3"}, open_ones
    with open(os.path.join(d, "sig"), encoding="utf-8") as sig:
        assert all(int(line.split()[1], 16) & ~(3 << 31) == 0
                   for line in sig)     # those two are the C library's own
    with open(os.path.join(d, "group"), encoding="utf-8") as group:
        pgid, pid, words = group.read().split()
    assert pgid == pid and words == "0"


def test_its_output_goes_to_the_log(d, three):
    """With its name; a failure is told, too much of it is not."""
    hook = Hook(d, "echo good news\nprintf 'no newline'\nexit 3")
    with Server(d, "--on-event", hook.path, "disk0=" + three[-1]) as s:
        with s.client() as c:
            c.ask("block-stream", device="disk0")
            c.event("BLOCK_JOB_COMPLETED")
        s.wait_said("failed with status 3")
        said = s.said()
        assert "blkmon: hook: good news\n" in said
        assert "blkmon: hook: no newline\n" in said
        assert "hook (COMPLETED of 'disk0') failed with status 3" in said
        s.quit()
    loud = Hook(d, "yes line | head -n 1000", name="loud")
    with Server(d, "--on-event", loud.path, "disk0=" + three[1]) as s:
        with s.client() as c:
            c.ask("block-commit", device="disk0", speed=1)
            c.ask("block-job-cancel", device="disk0")
            c.event("BLOCK_JOB_CANCELLED")
        s.wait_said("left out")
        s.quit()
        assert s.said().count("loud: line") == 50


def test_one_that_hangs_is_killed_at_the_end(d, three):
    """After a grace, with all that it started; nothing is left."""
    pids = os.path.join(d, "pids")
    hook = Hook(d, "trap '' TERM\nsleep 600 & echo $! $$ >'%s.new'\n"
                "mv '%s.new' '%s'\nwait\nsleep 600" % (pids, pids, pids))
    began = time.monotonic()
    out = blk.blkmon_ok("--on-event", hook.path, "disk0=" + three[-1],
                        stdin="block_stream disk0\nwait\n")
    took = time.monotonic() - began
    assert 5 <= took < 30, took
    assert "was killed by signal %d" % signal.SIGKILL in out.err, out
    with open(pids, encoding="utf-8") as file:
        for pid in map(int, file.read().split()):
            state = "gone"
            if os.path.exists("/proc/%d/stat" % pid):
                with open("/proc/%d/stat" % pid, encoding="ascii") as stat:
                    state = stat.read().rpartition(")")[2].split()[0]
            assert state in ("gone", "Z", "X"), state


def test_no_zombies(d, three):
    """While the program runs on."""
    hook = Hook(d, "echo over")
    with Server(d, "--on-event", hook.path, "disk0=" + three[-1]) as s:
        with s.client() as c:
            for n in range(6):
                c.ask("block-commit", device="disk0", speed=1)
                c.ask("block-job-cancel", device="disk0")
                c.event("BLOCK_JOB_CANCELLED")
        deadline = time.monotonic() + blk.PATIENCE
        task = "/proc/%d/task" % s.proc.pid
        while True:
            children = ""
            for thread in os.listdir(task):
                # It may end between the look and the reading.
                with contextlib.suppress(FileNotFoundError,
                                         ProcessLookupError), \
                        open("%s/%s/children" % (task, thread),
                             encoding="ascii") as file:
                    children += file.read()
            if len(hook.calls()) == 6 and not children.strip():
                break
            assert time.monotonic() < deadline, (children, s.said())
        s.quit()


@pytest.mark.parametrize("name, why", [
    ("missing", "No such file"), ("plain", "Permission denied"),
    ("folder", "no program")])
def test_refused_at_the_start(d, pair, name, why):
    path = os.path.join(d, name)
    if name == "plain":
        with open(path, "w", encoding="utf-8"):
            pass
    elif name == "folder":
        os.mkdir(path)
    out = blk.blkmon("--on-event", path, "disk0=" + pair[-1], stdin="")
    assert out.rc == 2 and why in out.err, out


def test_one_without_an_interpreter(d, pair):
    """It is no program, which shows only when it is run: told, and no shell
    takes it up."""
    path = os.path.join(d, "lines")
    with open(path, "w", encoding="utf-8") as lines:
        lines.write("touch '%s/made'\n" % d)
    os.chmod(path, 0o755)
    out = blk.blkmon_ok("--on-event", path, "disk0=" + pair[-1],
                        stdin="block_stream disk0\nwait\n")
    assert "could not run" in out.out + out.err, out
    assert not os.path.exists(os.path.join(d, "made"))
