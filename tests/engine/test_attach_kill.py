# SPDX-License-Identifier: GPL-3.0-or-later
"""The other side is killed at any moment, again and again: the console lives,
says so, and works when there is somebody again. $BLKMON_KILLS says how often
(200)."""

import os
import random
import select
import subprocess

import pytest

import blk
import ends
from test_attach_rules import fake_ssh, read_until, type_line

KILLS = int(os.environ.get("BLKMON_KILLS", "200"))
LINES = ["info block", "info block -n", "info block-jobs", "block_stream disk0",
         "block_commit disk0 base.qcow2 mid.qcow2 256K", "block_commit disk0",
         "block_job_pause disk0", "block_job_resume disk0",
         "block_job_cancel disk0", "block_job_complete disk0", "wait 0.2",
         "snapshot_blkdev disk0 %s/sn%d.qcow2", "{ 'execute': 'query-jobs' }",
         "info blockstats", "places"]


class Console:
    def __init__(self, args, env=None):
        self.number = 0
        self.proc = subprocess.Popen(
            [blk.BLKMON, *args, "--on-error", "continue", "--echo"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, bufsize=1, env=env)

    def settle(self):
        """All that was typed is done."""
        self.number += 1
        type_line(self.proc, "help no-%d" % self.number)
        return read_until(self.proc, "no-%d" % self.number)

    def until_answered(self):
        """Until the place is there again, and answers."""
        while True:
            type_line(self.proc, "info block")
            said = self.settle()
            if "disk0 (" in said:
                return
            select.select([], [], [], 0.05)

    def end(self):
        type_line(self.proc, "quit")
        out, _ = self.proc.communicate(timeout=blk.PATIENCE)
        assert self.proc.returncode in (0, 1), (self.proc.returncode, out)


def type_some(console, rng, d):
    for n in range(rng.randint(1, 8)):
        line = rng.choice(LINES)
        if "%s" in line:
            line = line % (d, rng.randrange(1 << 30))
        type_line(console.proc, line)


def images(d):
    return [os.path.join(d, name) for name in os.listdir(d)
            if name.endswith(".qcow2")]


def check_images(d):
    """A process that was killed leaves clusters that nobody needs, and no
    more. A new layer that has no backing file yet never became one."""
    for path in images(d):
        if os.path.basename(path).startswith("sn"):
            out = blk.run("qemu-img", "info", "-f", "qcow2", path)
            if out.rc or "backing file:" not in out.out:
                continue
        out = blk.run("qemu-img", "check", "-f", "qcow2", path)
        assert out.rc in (0, 3), out


@pytest.mark.long
@pytest.mark.parametrize("kind", ends.ALL, ids=lambda k: k.kind)
def test_ends_are_killed(d, kind, seed):
    rng = random.Random("%d/%s" % (seed, kind.kind))
    with kind(d) as end:
        console = Console(end.connect())
        console.until_answered()
        for _ in range(KILLS // 4):
            type_some(console, rng, d)
            select.select([], [], [], rng.random() * 0.05)
            end.kill()
            type_some(console, rng, d)
            console.settle()
            check_images(d)
            for path in images(d):
                os.unlink(path)
            end.chain = ends.chain(d)
            end.start()
            console.until_answered()
        console.end()


@pytest.mark.long
def test_ssh_is_killed(d, seed):
    rng = random.Random(seed)
    with ends.Drive(d) as end:
        console = Console(["--connect", "ssh:there:" + end.path],
                          env=fake_ssh(d))
        console.until_answered()
        for _ in range(KILLS // 4):
            type_some(console, rng, d)
            select.select([], [], [], rng.random() * 0.05)
            ends.kill_children(console.proc.pid)
            console.settle()
            console.until_answered()
        assert end.alive()
        console.end()
        assert end.alive()
        end.kill()
        check_images(d)
