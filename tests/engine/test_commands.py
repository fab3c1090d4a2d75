# SPDX-License-Identifier: GPL-3.0-or-later
"""blkmon commit, info and cat: the commands without a monitor."""

import contextlib
import json
import os
import signal
import subprocess

import pytest

import blk
import header
from blk import KIB, MIB, content, make_chain


@pytest.mark.parametrize("to", ["backing", "base"])
def test_offline_commit(d, to):
    """What qemu-img commit does: into the backing file, or through to BASE."""
    low, mid, top = make_chain(d)
    want = blk.guest(top)
    blk.blkmon_ok("commit", "-f", "qcow2",
                  *(["-b", low] if to == "base" else []), top)
    target = low if to == "base" else mid
    blk.assert_same(blk.guest(target), want, "the target")
    blk.assert_same(blk.guest(top), want, "the overlay")
    for path in (low, mid, top):
        blk.check(path)
    if to == "backing":
        own = [m for m in json.loads(blk.qemu_img(
            "map", "--output=json", top).out) if m["depth"] == 0 and m["data"]]
        assert own == [], "the overlay is emptied"


def test_offline_commit_grows_the_base(d):
    base = blk.create(os.path.join(d, "base.raw"), 8 * MIB, fmt="raw")
    top = blk.create(os.path.join(d, "top.img"), 16 * MIB, base, "raw")
    blk.qemu_io(top, "write -P 0x55 12M 64k")
    blk.blkmon_ok("commit", top)
    assert os.path.getsize(base) == 16 * MIB
    assert content(base)[12 * MIB:12 * MIB + 64 * KIB] == b"\x55" * 64 * KIB


def test_offline_commit_says_what_it_drops(d):
    base = blk.create(os.path.join(d, "base.img"), 4 * MIB)
    blk.qemu_img("bitmap", "--add", base, "nightly")
    top = blk.create(os.path.join(d, "top.img"), 4 * MIB, base)
    blk.qemu_io(top, "write -P 1 0 1M")
    out = blk.blkmon("commit", top)
    assert out.rc == 0
    assert "its persistent bitmaps are dropped" in out.err


def test_offline_commit_errors(d):
    lone = blk.create(os.path.join(d, "lone.img"), MIB)
    assert blk.blkmon("commit", lone).rc == 1
    assert blk.blkmon("commit", os.path.join(d, "none")).rc == 1
    low, top = make_chain(d, 2)
    assert blk.blkmon("commit", "-b", lone, top).rc == 1
    with blk.held_by_qemu_io(top):
        out = blk.blkmon("commit", top)
        assert out.rc == 1 and "lock" in out.err, out


def interrupted_commit(top):
    """A signal while the program waits for somebody to read its progress."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, b"x" * 4096):
            pass
    os.set_blocking(writer, True)
    with open(reader, "rb") as lines, subprocess.Popen(
            [blk.BLKMON, "commit", "--progress=%d" % writer, top],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            pass_fds=[writer]) as program:
        os.close(writer)
        status = "/proc/%d/status" % program.pid
        while program.poll() is None and \
                b"SigBlk:\t0000000000000000" in content(status):
            os.sched_yield()
        program.send_signal(signal.SIGINT)
        lines.read()
        out, err = program.communicate(timeout=blk.PATIENCE)
    return blk.Out(program.args, program.returncode, out, err)


def test_offline_commit_interrupted(d):
    """It gives up soon, and says so; nothing is lost, and it can be done
    again."""
    for _ in range(8):
        low, top = make_chain(d, 2, 128 * MIB, 64 * MIB)
        want = blk.guest(top)
        out = interrupted_commit(top)
        assert out.rc == 130, out
        blk.assert_same(blk.guest(top), want, "the overlay")
        blk.check(low)
        blk.check(top)
        if "Image committed." not in out.out:
            break
    assert "Cancelled" in out.err and not out.out, out
    blk.blkmon_ok("commit", top)
    blk.assert_same(blk.guest(low), want, "the base")


def test_commit_that_cannot_be(d):
    low, top = blk.make_chain(d, 2)
    out = blk.blkmon("commit", low)
    assert out.rc == 1 and low in out.err and "no backing file" in out.err
    out = blk.blkmon("commit", "--progress=99", top)
    assert out.rc == 2 and "descriptor" in out.err, out


def test_commit_progress(d):
    """--progress=FD: lines that rise to the end, on that descriptor only."""
    low, top = make_chain(d, 2, size=32 * MIB, data=16 * MIB)
    reader, writer = os.pipe()
    done = subprocess.run([blk.BLKMON, "commit", "--progress=%d" % writer,
                           top], pass_fds=[writer], capture_output=True,
                          timeout=blk.PATIENCE)
    os.close(writer)
    with os.fdopen(reader) as stream:
        lines = stream.read().split("\n")
    assert done.returncode == 0, done
    numbers = [[float(w) for w in line.replace("/", " ").split()]
               for line in lines if line]
    assert numbers and all(a[0] <= b[0] for a, b in zip(numbers, numbers[1:]))
    last = numbers[-1]
    assert last[0] == 100 or (len(last) > 1 and last[0] == last[1]), last


def progress_of(top):
    """The lines of --progress, as pairs of numbers."""
    reader, writer = os.pipe()
    done = subprocess.run([blk.BLKMON, "commit", "--progress=%d" % writer,
                           top], pass_fds=[writer], capture_output=True,
                          timeout=blk.PATIENCE)
    os.close(writer)
    with os.fdopen(reader) as stream:
        lines = stream.read().splitlines()
    assert done.returncode == 0, done
    return [tuple(int(word) for word in line.split()) for line in lines]


def bare_overlay(d, size):
    low, top = os.path.join(d, "low"), os.path.join(d, "top")
    blk.create(low, size)
    blk.create(top, None, low, "qcow2")
    return top


def test_commit_progress_has_one_total(d):
    """Before the work is counted, which takes its time where there are very
    many runs, none is said: not the size of the disk."""
    raw, low, top = (os.path.join(d, name) for name in ("raw", "low", "top"))
    with open(raw, "wb") as stream:
        stream.write((b"x" * 512 + bytes(512)) * (128 * KIB))
    blk.qemu_img("convert", "-f", "raw", "-S", "512", "-O", "qcow2", "-o",
                 "cluster_size=512", raw, top)
    blk.create(low, 128 * MIB)
    blk.qemu_img("rebase", "-u", "-b", low, "-F", "qcow2", top)
    lines = progress_of(top)
    assert {total for done, total in lines} - {0} == {64 * MIB}, lines
    assert lines[-1] == (64 * MIB, 64 * MIB)


def test_commit_progress_of_nothing(d):
    assert progress_of(bare_overlay(d, MIB))[-1] == (0, 0)


def test_cat_ranges(pair):
    want = blk.guest(pair[-1])
    size = len(want)
    for off, length in ((0, 1), (511, 2), (4 * MIB - 3, 7), (size - 5, 5),
                        (size - 5, 50), (size, 10)):
        got = blk.cat(pair[-1], "--offset", str(off), "--length", str(length))
        assert got == want[off:off + length], (off, length)
    assert blk.cat(pair[-1], "--offset", "1M", "--length", "64k") == \
        want[MIB:MIB + 64 * KIB]
    assert blk.cat(pair[-1], "--offset=%d" % (size - 9)) == want[-9:]
    assert blk.blkmon("cat", "--offset", str(size + 1), pair[-1]).rc in (0, 1)


def test_cat_beside_a_running_user(pair):
    with blk.Session(pair[-1]) as s:
        s.io("write -P 0x76 0 1M")
        s.io("flush")
        assert blk.cat(pair[-1])[:MIB] == b"\x76" * MIB
        info = json.loads(blk.blkmon_ok("info", "--json", pair[-1]).out)
        assert [i["filename"] for i in info] == pair[::-1]
        s.quit()


def test_cat_into_a_closed_pipe(pair):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([blk.BLKMON, "cat", pair[-1]], stdout=writer,
                          stderr=subprocess.PIPE, timeout=blk.PATIENCE)
    os.close(writer)
    assert done.returncode in (1, -signal.SIGPIPE), done
    with open("/dev/full", "wb") as full:
        done = subprocess.run([blk.BLKMON, "cat", pair[-1]], stdout=full,
                              stderr=subprocess.PIPE, timeout=blk.PATIENCE)
    assert done.returncode == 1 and done.stderr, done


def test_names_cannot_make_lines(d):
    """A name is shown in one line, whatever it is made of."""
    low = os.path.join(d, "a\n    Cache mode: good\x1b[2J.img")
    os.rename(blk.create(os.path.join(d, "low.img"), MIB), low)
    top = blk.create(os.path.join(d, "top.img"), MIB)
    head = header.Header(top)
    head.name = os.path.basename(low).encode()
    head.extensions.insert(0, (header.BACKING_FORMAT, b"qcow2"))
    head.write()
    for words in (["info", top], ["info", low], [top, "-c", "info block -v"],
                  ["--drive", "id=disk0,readonly=on,file=" + low, "-c",
                   "info block"]):
        out = blk.blkmon_ok(*words).out
        assert "\n    Cache mode: good" not in out, out
        assert "a\\x0a    Cache mode: good\\x1b[2J.img" in out, out
