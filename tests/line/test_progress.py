# SPDX-License-Identifier: GPL-3.0-or-later
"""How far it is: a row at a terminal, numbers for a program, nothing in a
pipe."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "engine"))

import blk  # noqa: E402
from blk import MIB  # noqa: E402

PROMPT = r"\(blkmon\) "
ROW = (r"\r\x1b\[K%s disk0  [█▉▊▋▌▍▎▏─]{5,} +\d+%%  [0-9.]+[KM]? of \d+(?:\.\d+)?M"
       r"  [0-9.]+[KMG]/s  \d:\d\d")
WIPED = r"\r\x1b\[K"


@pytest.fixture
def chain(tmp_path):
    return blk.make_chain(str(tmp_path), 2, size=8 * MIB, data=2 * MIB)


def spawn(*args, lang="C.UTF-8"):
    env = dict(os.environ, TERM="xterm", LC_ALL=lang, INPUTRC="/dev/null")
    return pexpect.spawn(blk.BLKMON, list(args), env=env, encoding="utf-8",
                         codec_errors="replace", timeout=blk.PATIENCE,
                         dimensions=(24, 100))


def test_a_wait_at_the_prompt(chain):
    """The row goes when the wait is over, and an event stands alone."""
    line = spawn("--line", "--drive",
                 "file=%s,id=disk0,format=qcow2" % chain[-1])
    line.expect(PROMPT)
    line.send("block_stream disk0 1M\r")
    line.expect(PROMPT)
    line.send("wait\r")
    line.expect(ROW % "stream")
    line.expect(WIPED + r"-- job 'disk0' \(stream\) is done")
    line.expect(PROMPT)
    line.send("quit\r")
    line.expect(pexpect.EOF)


@pytest.fixture
def large(tmp_path):
    """To be seen at work without a limit."""
    low, top = blk.make_chain(str(tmp_path), 2, size=512 * MIB, data=MIB)
    blk.qemu_io(top, "write -P 9 16M 400M")
    return low, top


def test_a_commit_at_the_prompt(large):
    line = spawn("--line", "--drive",
                 "file=%s,id=disk0,format=qcow2" % large[-1])
    line.expect(PROMPT)
    line.send("commit disk0\r")
    line.expect(r"\[y/N\] ")
    line.send("y\r")
    line.expect(ROW % "commit")
    line.expect(WIPED + r"-- job 'disk0' \(commit\) is done")
    line.expect(PROMPT)
    line.send("quit\r")
    line.expect(pexpect.EOF)


def test_in_a_locale_without_glyphs(chain):
    line = spawn("-c", "block_stream disk0 1M", "-c", "wait",
                 "disk0=" + chain[-1], lang="C")
    line.expect(r"stream disk0  #*-+ +\d+%  ")
    line.expect(pexpect.EOF)
    line.close()
    assert line.exitstatus == 0


def test_nothing_in_a_pipe(chain):
    out = blk.blkmon_ok("-c", "block_stream disk0 2M", "-c", "wait",
                        "--drive", "file=%s,id=disk0,format=qcow2" % chain[1])
    assert out.out == "" and out.err == "", out


def numbers(*args):
    reader, writer = os.pipe()
    done = subprocess.run([blk.BLKMON, "--progress=%d" % writer, *args],
                          pass_fds=[writer], capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=blk.PATIENCE)
    os.close(writer)
    with os.fdopen(reader) as stream:
        lines = stream.read().splitlines()
    assert done.returncode == 0, done
    assert b"%" not in done.stdout + done.stderr, done
    return [tuple(map(int, line.split())) for line in lines]


def rises(got):
    """To a total that is the same in all lines."""
    assert got and len({total for _, total in got}) == 1, got
    assert all(a[0] < b[0] for a, b in zip(got, got[1:])), got
    assert got[-1][0] == got[-1][1] > 0, got


def test_numbers_for_a_script(chain):
    rises(numbers("-c", "block_stream disk0 2M", "-c", "wait",
                  "disk0=" + chain[-1]))


def test_numbers_of_a_commit(chain):
    rises(numbers("-c", "commit disk0", "disk0=" + chain[-1]))


def test_no_descriptor(chain):
    out = blk.blkmon("--progress=99", "disk0=" + chain[-1], stdin="")
    assert out.rc == 2 and "'99' is no descriptor" in out.err, out


@pytest.mark.parametrize("args", [["-c", "info block"], ["commit"]])
def test_a_descriptor_to_read_from(chain, args):
    with open(os.devnull, "rb") as null:
        out = subprocess.run(
            [blk.BLKMON, *args, "--progress=%d" % null.fileno(), chain[-1]],
            pass_fds=[null.fileno()], capture_output=True,
            stdin=subprocess.DEVNULL, timeout=blk.PATIENCE, text=True)
    assert out.returncode == 2 and "only read from" in out.stderr, out


@pytest.mark.parametrize("how", ["full", "gone"])
@pytest.mark.parametrize("offline", [False, True])
def test_a_pipe_that_nobody_reads(chain, how, offline):
    """It holds nothing up, and does not end the program."""
    reader, writer = os.pipe()
    if how == "gone":
        os.close(reader)
    else:
        os.set_blocking(writer, False)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(writer, b"." * 4096)
        os.set_blocking(writer, True)
    args = ["commit", chain[-1]] if offline else [
        "-c", "commit disk0", "disk0=" + chain[-1]]
    args.insert(1 if offline else 0, "--progress=%d" % writer)
    done = subprocess.run([blk.BLKMON, *args], pass_fds=[writer],
                          capture_output=True, stdin=subprocess.DEVNULL,
                          timeout=blk.PATIENCE)
    assert done.returncode == 0, done


def test_offline(large):
    """commit -p has bytes, rate and time, and leaves nothing behind."""
    line = spawn("commit", "-p", large[-1])
    line.expect(pexpect.EOF)
    line.close()
    assert line.exitstatus == 0
    rows = re.findall(r"commit  \S+ +\d+%  \S+ of \S+M  \S+[MG]/s", line.before)
    assert rows, line.before
    assert line.before.endswith("\r\x1b[KImage committed.\r\n")


def test_a_wait_that_times_out_says_how_far_it_is(chain):
    out = blk.blkmon("-c", "block_stream disk0 1", "-c", "wait disk0 done 0",
                     "--drive", "file=%s,id=disk0,format=qcow2" % chain[1])
    assert out.rc == 1
    assert re.match(r"Error: timed out: job 'disk0' \(stream\) is running, "
                    r"\S+ of \S+\n", out.out), out
