# SPDX-License-Identifier: GPL-3.0-or-later
"""What jobs have done is kept for later, and what cannot be kept is no reason
to fail."""

import json
import os
import stat

import pytest

import blk
from blk import MIB

JOBS = "block_stream disk0 0 %s\nwait\ncommit disk0\n"


@pytest.fixture
def state(d):
    return os.path.join(d, "state")


@pytest.fixture
def env(state):
    return dict(os.environ, XDG_STATE_HOME=state)


@pytest.fixture
def three(d):
    return blk.make_chain(d, 3, size=16 * MIB, data=4 * MIB)


def work(three, env, *args, **how):
    return blk.blkmon_ok(*args, "disk0=" + three[-1],
                         stdin=JOBS % three[0], env=env, **how)


def lines_of(state):
    with open(os.path.join(state, "blkmon", "jobs.jsonl"),
              encoding="utf-8") as kept:
        return [json.loads(line) for line in kept]


def test_a_line_for_each_job(three, state, env):
    """Also of one that ends last, and of one that QEMU tells nothing of."""
    work(three, env)
    stream, commit = lines_of(state)
    assert (stream["kind"], stream["result"]) == ("stream", "done")
    assert stream["from"] == [three[1]] and stream["to"] == three[2]
    assert stream["job"] == "disk0" and stream["moved"] > 0
    assert stream["unused"][0]["file"] == three[1]
    assert stream["rate"] > 0 and stream["time-ns"] >= stream["work-ns"]
    assert (commit["kind"], commit["to"]) == ("commit", three[0])
    assert commit["freed"] > 0
    assert stream["when"] < commit["when"] and stream["when"][-1] == "Z"
    kept = os.stat(os.path.join(state, "blkmon", "jobs.jsonl"))
    assert stat.S_IMODE(kept.st_mode) == 0o600


def test_how_it_ended(three, state, env):
    """A job that is cancelled because the program ends is told as well."""
    out = blk.blkmon("disk0=" + three[-1], env=env, stdin=(
        "block_stream disk0 1K\nwait disk0 done 0\n"))
    assert out.rc == 1
    assert [line["result"] for line in lines_of(state)] == ["cancelled"]
    blk.blkmon_ok("disk0=" + three[-1], env=env, stdin=(
        "block_commit disk0 %s\nwait disk0 ready\nblock_job_complete disk0\n"
        "wait\n" % three[0]))
    assert lines_of(state)[-1]["result"] == "pivoted"


def test_who_does_not_want_it(three, state, env):
    work(three, env, "--no-history")
    assert not os.path.exists(state)


def test_the_offline_commit(three, state, env):
    """As of a job; what has not begun is none."""
    low, mid, top = three
    assert blk.blkmon("commit", low, env=env).rc == 1
    assert not os.path.exists(state)
    blk.blkmon_ok("commit", top, env=env)
    line, = lines_of(state)
    assert (line["job"], line["kind"], line["result"]) == (
        "commit", "commit", "done")
    assert (line["from"], line["to"]) == ([top], mid)
    assert line["moved"] >= 4 * MIB and line["freed"] >= 4 * MIB


def test_the_offline_rebase(d, state, env):
    """And the same as a job: what was copied, not how far it looked."""
    low = blk.create(os.path.join(d, "low"), 16 * MIB)
    other = blk.create(os.path.join(d, "other"), 16 * MIB)
    blk.qemu_io(low, "write 0 3M")
    for number, way in enumerate(("offline", "job", "unsafe")):
        top = blk.create(os.path.join(d, way), None, low)
        if way == "job":
            blk.blkmon_ok("-c", "rebase %s %s qcow2" % (top, other),
                          "-c", "wait", env=env)
        else:
            blk.blkmon_ok("rebase", "-b", other, "-F", "qcow2",
                          *(["-u"] if way == "unsafe" else []), top, env=env)
        line = lines_of(state)[-1]
        assert len(lines_of(state)) == number + 1
        assert (line["job"], line["kind"], line["result"], line["to"]) == (
            "rebase", "rebase", "done", top)
        assert line["moved"] == (0 if way == "unsafe" else 3 * MIB), way
        assert line["from"] == ([] if way == "unsafe" else [low])


def test_an_offline_rebase_that_fails(d, state, env):
    """With why; and what was refused before it began leaves no line."""
    with blk.small_fs(d, 2 * MIB) as place:
        low = blk.create(os.path.join(d, "low"), 16 * MIB)
        blk.qemu_io(low, "write 0 8M")
        top = blk.create(os.path.join(place, "top"), None, low)
        out = blk.blkmon("rebase", "-b", "", top, env=env)
        assert out.rc == 1
        line, = lines_of(state)
        assert line["result"] == "failed" and line["to"] == top
        assert line["error"] in out.err and "No space" in line["error"]
    assert blk.blkmon("rebase", "-b", "", low + "x", env=env).rc == 1
    assert len(lines_of(state)) == 1


def test_who_does_not_want_it_offline(three, state, env):
    low, _, top = three
    blk.blkmon_ok("commit", "--no-history", top, env=env)
    blk.blkmon_ok("rebase", "--no-history", "-b", low, "-F", "qcow2", top,
                  env=env)
    assert not os.path.exists(state)


def test_what_cannot_be_kept_offline(d, three, env):
    """It is said, and the image is committed."""
    os.makedirs(os.path.join(d, "state", "blkmon"))
    os.symlink(os.path.join(d, "x"),
               os.path.join(d, "state", "blkmon", "jobs.jsonl"))
    for args in (["commit", three[2]],
                 ["rebase", "-b", three[0], "-F", "qcow2", three[2]]):
        out = blk.blkmon_ok(*args, env=env)
        assert out.err.count("history of jobs is not kept") == 1, out


def test_shown(three, env):
    """Without a running program and in one, the newest first."""
    work(three, env)
    out = blk.blkmon_ok("history", env=env).out.splitlines()
    assert [line.split()[3:6] for line in out[1:]] == [
        ["commit", "l2.img", "->"], ["stream", "l1.img", "->"]], out
    assert blk.blkmon_ok("history", "-n", "1", env=env).out.splitlines() == [
        out[0], out[1]]
    told = json.loads(blk.blkmon_ok("history", "--json", env=env).out)
    assert [job["kind"] for job in told] == ["commit", "stream"]
    asked = blk.blkmon_ok("-c", "info history-jobs", env=env)
    assert asked.out.splitlines() == out
    asked = blk.blkmon_ok("-c", "info history-jobs 1", env=env)
    assert asked.out.splitlines() == out[:2]


def test_nothing_to_show(env):
    out = blk.blkmon_ok("history", env=env)
    assert out.out == "No job has ended yet\n"
    assert json.loads(blk.blkmon_ok("history", "--json", env=env).out) == []


@pytest.mark.parametrize("words", [
    ("-n", "x"), ("-n", "-1"), ("more",), ("--no-such",)])
def test_wrong_words(env, words):
    out = blk.blkmon("history", *words, env=env)
    assert out.rc == 2 and "blkmon history" in out.err, out


def test_what_cannot_be_kept_is_said_once(d, three, env):
    """A link in its place is not followed; the jobs are well."""
    os.makedirs(os.path.join(d, "state", "blkmon"))
    target = os.path.join(d, "target")
    os.symlink(target, os.path.join(d, "state", "blkmon", "jobs.jsonl"))
    out = blk.blkmon_ok("disk0=" + three[-1], env=env, stdin=(
        JOBS % three[0] + "wait\n{'execute': 'query-jobs'}\n"))
    assert (out.out + out.err).count("history of jobs is not kept") == 1, out
    assert not os.path.lexists(target)


def test_no_home(three, env):
    """A daemon may have none."""
    del env["XDG_STATE_HOME"]
    env["HOME"] = ""
    out = work(three, env)
    assert "history" not in out.out + out.err, out
