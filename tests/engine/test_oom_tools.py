# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that is out for a moment in what works on images that nobody has
open, and in what looks at files: it may fail, but not say what is not so, and
not take a sibling that it could not look at for one that is not there.

As in test_oom.py one allocation fails in each run; `make check` takes samples.
"""

import os
import re
import shutil

import pytest

import blk
from blk import MIB
from test_oom import EVER, Memory, judge_check, pytestmark

__all__ = ["pytestmark"]

SIZE = 2 * MIB
NAMES = "l0.img", "l1.img", "l2.img", "sib.img", "other.img"
READ = {        # what they say is so, or they fail
    "check": ["check", "l2.img"],
    "compare": ["compare", "l2.img", "l1.img"],
    "map": ["map", "l2.img"],
    "measure": ["measure", "-O", "qcow2", "l2.img"],
    "info": ["info", "l2.img"],
    "info-json": ["info", "--json", "l2.img"],
    "plan-commit": ["plan", "commit", "l2.img"],
    "plan-refused": ["plan", "commit", "-b", "l0.img", "l2.img"],
    "plan-stream": ["plan", "stream", "l2.img"],
    "plan-snapshot": ["plan", "snapshot", "l2.img", "new.img"],
    "dry-delete": ["delete", "-n", "other.img"],
}
REFUSED = {     # sib.img lies on l0.img, and nobody has it open
    "commit": ["commit", "-b", "l0.img", "l2.img"],
    "open": ["l0.img", "-c", 'qemu-io disk0 "write 0 64k"'],
    "job": ["l2.img", "-c", "block_commit disk0 l0.img", "-c",
            "wait disk0 ready 20", "-c", "block_job_complete disk0", "-c",
            "wait"],
    "delete": ["delete", "l0.img"],
}
WRITE = {
    "commit": ["commit", "l2.img"],
    "rebase": ["rebase", "-b", "l0.img", "-F", "qcow2", "l2.img"],
    "rebase-no": ["rebase", "-b", "", "l2.img"],
    "rebase-unsafe": ["rebase", "-u", "-b", "l1.img", "-F", "qcow2", "l2.img"],
    "check-all": ["check", "-r", "all", "l2.img"],
    "delete": ["delete", "other.img"],
    "folder": [".", "-c", "query-block", "-c", "x-blkmon-query-folder"],
    "history": ["l2.img", "-c", "block_stream disk0", "-c", "wait", "-c",
                "info history-jobs"],
    "rebase-job": ["other.img", "-c", '{"execute": "x-blkmon-rebase", '
                   '"arguments": {"job-id": "j", "file": "l2.img", "base": '
                   '"l0.img", "base-format": "qcow2"}}', "-c",
                   "wait j done 20"],
}


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    d = str(tmp_path_factory.mktemp("chain"))
    blk.create("l0.img", SIZE, cwd=d)
    blk.create("l1.img", backing="l0.img", cwd=d)
    blk.create("l2.img", backing="l1.img", cwd=d)
    blk.create("sib.img", backing="l0.img", cwd=d)
    blk.create("other.img", MIB, cwd=d)
    for n in range(3):
        blk.qemu_io(os.path.join(d, "l%d.img" % n), "write -P %d %dk 640k" % (
            n + 1, 512 * n))
    blk.qemu_io(os.path.join(d, "sib.img"), "write -P 9 0 64k")
    return d


class Tool:
    def __init__(self, d, chain, args):
        self.memory, self.chain, self.args = Memory(d), chain, args
        self.place = os.path.join(d, "run")
        self.env = dict(self.memory.env, XDG_STATE_HOME=os.path.join(d, "s"))
        self.before = self.guests(chain)

    def run(self, first):
        """What it said, and how many allocations there were."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.rmtree(self.env["XDG_STATE_HOME"], ignore_errors=True)
        shutil.copytree(self.chain, self.place)
        self.memory.arm(first)
        out = blk.run(blk.BLKMON, *self.args, cwd=self.place, env=self.env,
                      timeout=60)
        seen = self.memory.disarm()[0]
        assert 0 <= out.rc < 128 and "bug at" not in out.text, out
        return out, seen

    @staticmethod
    def guests(place):
        return [blk.guest(os.path.join(place, name))
                for name in ("l2.img", "sib.img")]

    def unharmed(self, out):
        for got, want in zip(self.guests(self.place), self.before):
            blk.assert_same(got, want, out)
        for name in NAMES:
            path = os.path.join(self.place, name)
            if os.path.exists(path):
                judge_check(path, out)

    def sweep(self, samples, judge):
        want, seen = self.run(EVER)
        stride = max(1, seen // samples) if samples else 1
        for first in range(1 + len(self.args[0]) % stride, seen + 1, stride):
            out = self.run(first)[0]
            try:
                judge(out, want)
            except AssertionError as e:
                raise AssertionError("allocation %d of %d: %s" % (
                    first, seen, e)) from e


def fields(text):
    """Sizes and times are not always the same, and a folder may be told by
    the name it was given."""
    return re.sub(r"[\d.]+[KMG]?|in \S+,", "#", text)


def judge_read(out, want):
    if out.rc == 0:
        assert want.rc == 0 and fields(out.out) == fields(want.out), (
            out, want)


def sweep_read(d, chain, kind, samples):
    Tool(d, chain, READ[kind]).sweep(samples, judge_read)


def sweep_refused(d, chain, kind, samples):
    tool = Tool(d, chain, REFUSED[kind])

    def judge(out, want):
        assert out.rc and want.rc, (out, want)
        tool.unharmed(out)

    tool.sweep(samples, judge)


def sweep_write(d, chain, kind, samples):
    tool = Tool(d, chain, WRITE[kind])

    def judge(out, want):
        assert want.rc == 0, want
        tool.unharmed(out)

    tool.sweep(samples, judge)


@pytest.mark.parametrize("kind", READ)
def test_read(d, chain, kind):
    sweep_read(d, chain, kind, 40)


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(d, chain, kind):
    sweep_refused(d, chain, kind, 40)


@pytest.mark.parametrize("kind", WRITE)
def test_write(d, chain, kind):
    sweep_write(d, chain, kind, 12)


@pytest.mark.long
@pytest.mark.parametrize("kind", READ)
def test_read_all(d, chain, kind):
    sweep_read(d, chain, kind, 0)


@pytest.mark.long
@pytest.mark.parametrize("kind", REFUSED)
def test_refused_all(d, chain, kind):
    sweep_refused(d, chain, kind, 0)


@pytest.mark.long
@pytest.mark.parametrize("kind", WRITE)
def test_write_all(d, chain, kind):
    sweep_write(d, chain, kind, 0)


@pytest.mark.parametrize("kind", REFUSED)
def test_descriptors(d, chain, kind):
    """The same without descriptors for a look."""
    tool = Tool(d, chain, REFUSED[kind])
    for most in (*range(5, 17), 20, 25, 30):
        shutil.rmtree(tool.place, ignore_errors=True)
        shutil.copytree(chain, tool.place)
        out = blk.run("prlimit", "--nofile=%d" % most, blk.BLKMON, *tool.args,
                      cwd=tool.place, timeout=20)
        assert 0 < out.rc < 128 and "bug at" not in out.text, out
        tool.unharmed(out)
