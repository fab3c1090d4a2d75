# SPDX-License-Identifier: GPL-3.0-or-later
"""blkmon plan: what the offline commit, and a stream or a snapshot, would do
to images that nobody has open. It says what is said at a prompt, and what is
refused is refused in the words of who does it."""

import json
import os
import shutil

import pytest

import blk
from blk import KIB, MIB


@pytest.fixture
def three(d):
    return blk.make_chain(d)


def state_of(d):
    """All of a folder that a look could have changed."""
    return {name: (blk.content(os.path.join(d, name)),
                   os.stat(os.path.join(d, name)).st_mtime_ns,
                   os.stat(os.path.join(d, name)).st_ctime_ns)
            for name in sorted(os.listdir(d))}


def plan(*args, **how):
    return json.loads(blk.blkmon_ok("plan", "--json", *args, **how).out)


def allocated(path):
    return os.stat(path).st_blocks * 512


def test_nothing_is_changed(d, three):
    """And what is said is what is said at a prompt."""
    low, mid, top = three
    was = state_of(d)
    new = os.path.join(d, "new")
    for args, line in (
            (["commit", top], "commit disk0"),
            (["stream", top], "block_stream disk0"),
            (["stream", "-b", low, top], "block_stream disk0 0 " + low),
            (["snapshot", top, new], "snapshot_blkdev disk0 " + new)):
        said = blk.blkmon_ok("plan", *args)
        told = plan(*args)
        assert state_of(d) == was, args
        assert told["hmp"] == line
        with blk.Session("disk0=" + top) as s:
            # What is measured there is no part of it.
            assert blk.but_free(said.out.splitlines()) == \
                blk.but_free(s.ok("plan " + line)), args
            reply = json.loads(s.ok("plan --json " + line)[0])["return"]
        for value in (reply, told):
            value["space"].pop("free")
            for key in ("speed", "mode"):
                value["qmp"]["arguments"].pop(key, None)
            value.pop("hmp")
            for key in ("layers", "chain", "unused"):
                for entry in value[key]:
                    entry.pop("node-name", None)
        assert reply == told, args
    assert state_of(d).keys() == was.keys()


@pytest.mark.parametrize("base", [None, 0])
def test_a_commit_does_what_was_said(d, base):
    """Into its backing file, which empties it, and into a deeper one."""
    three = blk.make_chain(d, 3, size=16 * MIB, data=4 * MIB)
    options = [] if base is None else ["-b", three[base]]
    told = plan("commit", *options, three[2])
    target = three[1 if base is None else base]
    before = allocated(target)
    blk.blkmon_ok("commit", *options, three[2])
    grown = allocated(target) - before
    assert abs(told["space"]["needs"] - grown) <= 64 * KIB, (told, grown)
    assert told["kind"] == "commit-now" and told["unused"] == []
    assert [os.path.realpath(e["filename"]) for e in told["chain"]] == \
        three[::-1] == blk.files_of_chain(three[2])
    assert (allocated(three[2]) < MIB) == (base is None)


def refused(d, args, *done):
    """By the plan as by who does it, and with nothing changed."""
    was = state_of(d)
    said = blk.blkmon("plan", *args)
    assert said.rc == 1 and not said.out, said
    assert state_of(d) == was
    did = blk.blkmon(*done)
    assert did.rc == 1 and said.err == did.err, (said, did)
    assert state_of(d) == was
    return said.err


def test_refused_as_the_commit_is(d, three):
    low, mid, top = three
    for options, words in (
            ([low], "has no backing file to commit to"),
            (["-b", "nix", top], "Can't find 'nix' in the backing chain"),
            ([os.path.join(d, "none")], "No such file or directory")):
        args = ["commit", *options]
        assert words in refused(d, args, *args), args
    other = blk.create(os.path.join(d, "other"), None, mid)
    assert other in refused(d, ["commit", top], "commit", top)
    told = plan("commit", "--force", top)
    assert told["hits"]["siblings"] == [other]


def test_who_holds_it(d, three):
    """A writer, and a reader beside whom nobody could write."""
    low, _, top = three
    for held, readonly in ((top, False), (top, True), (low, True)):
        with blk.held_by_qemu_io(held, readonly=readonly):
            base = ["-b", low] if held == low else []
            was = state_of(d)
            words = blk.blkmon("plan", "commit", *base, top).err
            # The locks of a reader are taken first.
            assert words.replace(' shared "', ' "') == \
                blk.blkmon("commit", *base, top).err
            assert "[%s]? (qemu-io, pid " % held in words, words
            assert state_of(d) == was
            if held == low:
                continue
            for args in (["stream", top],
                         ["snapshot", top, os.path.join(d, "new")]):
                said = blk.blkmon("plan", *args)
                assert said.rc == 1 and said.err == words, (args, said)


def test_beside_other_readers_of_what_is_only_read(d, three):
    """Locks stay as they were: a writer comes in right after."""
    low, mid, top = three
    with blk.held_by_qemu_io(low, readonly=True):
        assert plan("commit", top)["bytes"]["left"] > 0
    blk.qemu_io(top, "write 0 64k")


def test_it_does_not_fit(d):
    with blk.small_fs(d, 6 * MIB) as place:
        low = blk.create(os.path.join(place, "low.img"), 16 * MIB)
        top = blk.create(os.path.join(d, "top.img"), None, low)
        blk.qemu_io(top, "write 1M 10M")
        out = blk.blkmon("plan", "commit", top)
        assert out.rc == 1 and "needs 10.1M, %s has " % place in out.err
        assert blk.blkmon("commit", top).err == out.err
        told = plan("commit", "--force", top)
        assert not told["space"]["fits"]


def test_formats_are_given(d):
    """As to the commit."""
    low = blk.create(os.path.join(d, "low"), 4 * MIB, fmt="raw")
    data = os.path.join(d, "data")
    top = blk.create(os.path.join(d, "top"), None, low, "raw",
                     data_file=data)
    blk.qemu_io(top, "write 0 1M")
    moved = os.path.join(d, "moved")
    shutil.move(data, moved)
    assert blk.blkmon("plan", "commit", top).rc == 1
    told = plan("commit", "--data-file", moved, top)
    assert told["bytes"]["left"] == MIB


@pytest.mark.parametrize("args", [
    [], ["commit"], ["top"], ["merge", "top"], ["commit", "a", "b"],
    ["snapshot", "a"], ["snapshot", "-b", "x", "a", "b"],
    ["snapshot", "a", "b", "c"]])
def test_usage(d, args):
    out = blk.blkmon("plan", *args, cwd=d)
    assert out.rc == 2 and out.err.startswith("blkmon plan: "), out
    assert os.listdir(d) == []
