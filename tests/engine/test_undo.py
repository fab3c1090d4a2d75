# SPDX-License-Identifier: GPL-3.0-or-later
"""A commit that keeps base can be taken back: base is as it was, byte for
byte, the chain too, and the disk reads the same all the time."""

import contextlib
import os

import pytest

import blk
from blk import KIB, MIB
from qmpsock import Server


@contextlib.contextmanager
def cloning_fs(d):
    """A file system with reflinks. Neither it nor QEMU, which asks for extents
    of 1 MiB there, takes more for a file than what is written to it."""
    image, place = os.path.join(d, "xfs.disk"), os.path.join(d, "xfs")
    with open(image, "wb") as file:
        file.truncate(400 * MIB)
    os.mkdir(place)
    for argv in (["mkfs.xfs", "-q", "-m", "reflink=1", image],
                 ["mount", "-o", "loop,allocsize=4k", image, place]):
        out = blk.run(*argv)
        if out.rc:
            pytest.skip("no XFS: " + out.err.strip())
    blk.ALWAYS["extent_size_hint"] = 0
    try:
        yield place
    finally:
        blk.ALWAYS.clear()
        blk.run("umount", place)


def used_there(place):
    """How much of it is used, for good: what it keeps for files that may grow
    or be written goes back. Nobody may have a file there open to write."""
    for how in ("remount,ro", "remount,rw"):
        out = blk.run("mount", "-o", how, place)
        assert not out.rc, out.err
    now = os.statvfs(place)
    return (now.f_blocks - now.f_bfree) * now.f_frsize


@pytest.fixture(name="fs")
def place_that_clones(d):
    with cloning_fs(d) as place:
        yield place


def commit(q, **args):
    q.ask("block-commit", device="disk0", x_blkmon_keep=True, job_id="c",
          **args)


def headers(paths):
    return [blk.img_info(p).get("backing-filename") for p in paths]


def finish(q):
    got = q.event("BLOCK_JOB_COMPLETED", device="c")["data"]
    assert "error" not in got, got


def write(q, text):
    out = q.ask("human-monitor-command",
                command_line='qemu-io disk0 "%s"' % text)
    assert "failed" not in out, out


def refused_like_its_plan(q, **args):
    """The words, which the plan has said before."""
    request = {"execute": "block-commit",
               "arguments": {"device": "disk0", "x-blkmon-keep": True, **args}}
    plan = q.refused({"execute": "x-blkmon-plan",
                      "arguments": {"request": request}})
    assert q.refused(request) == plan
    return plan[1]


@pytest.mark.parametrize("fmt", ["qcow2", "raw"])
@pytest.mark.parametrize("deep", [1, 2])
def test_a_commit_in_the_middle(fs, fmt, deep):
    paths = blk.make_chain(fs, 4, fmt=fmt)
    base, top, active = paths[0], paths[deep], paths[-1]
    before, names = blk.content(base), headers(paths[1:])
    stat = os.stat(base)
    with Server(fs, "--drive", "id=disk0,file=" + active) as server, \
            server.client() as q:
        commit(q, base=base, top=top)
        finish(q)
        assert blk.content(base) != before
        kept = q.ask("x-blkmon-query-undo")
        assert [k["id"] for k in kept] == ["c"] and kept[0]["possible"]
        assert blk.content(kept[0]["kept"]) == before
        write(q, "write -P 0x77 1M 96k")
        q.ask("x-blkmon-undo", id="c")
        write(q, "read -P 0x77 1M 96k")
        assert blk.content(base) == before
        assert q.ask("x-blkmon-query-undo") == []
        chain, image = [], q.ask("query-block")[0]["inserted"]["image"]
        while image:
            chain.append(image["filename"])
            image = image.get("backing-image")
        assert chain == paths[::-1]
        # It can be done again, and undone again.
        commit(q, base=base, top=top)
        finish(q)
        q.ask("x-blkmon-undo", id="c")
        assert blk.content(base) == before
        write(q, "read 0 4M")
        write(q, "flush")
    assert headers(paths[1:]) == names
    now = os.stat(base)
    assert (now.st_mode, now.st_uid, now.st_mtime_ns) == (
        stat.st_mode, stat.st_uid, stat.st_mtime_ns)
    want = model(4)
    want[MIB:MIB + 96 * KIB] = b"\x77" * (96 * KIB)
    blk.assert_same(blk.guest(active), bytes(want), "the disk")
    for path in paths:
        blk.check(path, fmt if path == base else "qcow2")
    assert not [n for n in os.listdir(fs) if "undo" in n]
    # Nothing is told to have been merged.
    out = blk.blkmon_ok(active, "-c", "info folder")
    assert "merged" not in out.text


def model(count):
    want = bytearray(4 * MIB)
    for n in range(count):
        end = min((n + 2) * MIB, 4 * MIB)
        want[n * MIB:end] = bytes([n + 1]) * (end - n * MIB)
    return want


def test_an_active_commit_that_is_given_up(fs):
    paths = blk.make_chain(fs, 3)
    before = blk.content(paths[0])
    with Server(fs, paths[-1]) as server, server.client() as q:
        commit(q, base=paths[0])
        q.event("BLOCK_JOB_READY", device="c")
        _, words = q.refused({"execute": "x-blkmon-undo",
                              "arguments": {"id": "c"}})
        assert "in use by a job" in words
        write(q, "write -P 0x55 0 64k")
        q.ask("block-job-cancel", device="c")
        finish(q)
        assert blk.content(paths[0]) != before
        q.ask("x-blkmon-undo", id="c")
        assert blk.content(paths[0]) == before
        write(q, "read -P 0x55 0 64k")
        write(q, "read -P 1 64k 960k")
        write(q, "read -P 3 2M 2M")
        write(q, "flush")
    want = model(3)
    want[:64 * KIB] = b"\x55" * (64 * KIB)
    blk.assert_same(blk.guest(paths[-1]), bytes(want), "the disk")
    blk.check(paths[0])


def test_given_up_half_way(fs):
    paths = blk.make_chain(fs, 3)
    before = blk.content(paths[0])
    with Server(fs, paths[-1]) as server, server.client() as q:
        commit(q, base=paths[0], top=paths[1], speed=256 * KIB)
        q.ask("block-job-cancel", device="c", force=True)
        q.event("BLOCK_JOB_CANCELLED", device="c")
        q.ask("x-blkmon-undo", id="c")
        assert blk.content(paths[0]) == before
    blk.assert_same(blk.guest(paths[-1]), bytes(model(3)), "the disk")


def test_not_once_the_guest_writes_there(fs):
    paths = blk.make_chain(fs, 3)
    with Server(fs, paths[-1]) as server, server.client() as q:
        commit(q, base=paths[0])
        q.event("BLOCK_JOB_READY", device="c")
        q.ask("block-job-complete", device="c")
        finish(q)
        state = [blk.content(p) for p in paths]
        _, words = q.refused({"execute": "x-blkmon-undo",
                              "arguments": {"id": "c"}})
        assert "is the active layer of a disk now" in words
        kept = q.ask("x-blkmon-query-undo")[0]
        assert not kept["possible"] and kept["reason"] == words
        assert [blk.content(p) for p in paths] == state
        q.ask("x-blkmon-drop-undo", id="c")
        assert not os.path.exists(kept["kept"])
        assert q.ask("x-blkmon-query-undo") == []


def refused(q, *words, force=False):
    got = q.refused({"execute": "x-blkmon-undo", "arguments": {
        "id": "c", "x-blkmon-force": force}})[1]
    assert all(w in got for w in words), got


def test_what_came_after_it_counts(fs):
    """Another commit into base, an image that is gone or was changed, a new
    overlay of base, another file in the place of base."""
    paths = blk.make_chain(fs, 4)
    with Server(fs, paths[-1]) as server, server.client() as q:
        commit(q, base=paths[0], top=paths[1])
        finish(q)
        kept = q.ask("x-blkmon-query-undo")[0]["kept"]
        moved = os.path.join(fs, "moved")
        os.rename(paths[1], moved)
        refused(q, moved, "an undo would damage")
        refused(q, paths[1], "No such file", force=True)
        os.rename(moved, paths[1])
        side = os.path.join(fs, "side")
        blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b",
                     paths[0], side, "4M")
        refused(q, "an undo would damage")
        os.unlink(side)
        os.rename(kept, moved)
        with open(kept, "wb"):
            pass
        refused(q, "is not what was kept", force=True)
        os.rename(moved, kept)
        q.ask("block-commit", device="disk0", base=paths[0], top=paths[2],
              job_id="d", x_blkmon_force=True)
        q.event("BLOCK_JOB_COMPLETED", device="d")
        refused(q, "was written again since", force=True)
    blk.assert_same(blk.guest(paths[-1]), bytes(model(4)), "the disk")
    assert os.path.exists(kept)


def test_an_image_that_was_changed_is_not_put_back(fs):
    paths = blk.make_chain(fs, 3)
    with Server(fs, paths[-1]) as server, server.client() as q:
        commit(q, base=paths[0], top=paths[1])
        finish(q)
        state = blk.content(paths[0])
        blk.qemu_io(paths[1], "write -P 0xee 0 64k")
        refused(q, paths[1], "would damage")
        refused(q, paths[1], "changed since", force=True)
        assert blk.content(paths[0]) == state
        assert blk.img_info(paths[2])["backing-filename"] == paths[0]


def test_who_cannot_clone_says_so(d):
    paths = blk.make_chain(d, 3)
    before = [blk.content(p) for p in paths]
    with blk.small_fs(d, 64 * MIB) as place:
        paths = blk.make_chain(place, 3)
        before = [blk.content(p) for p in paths]
        with Server(d, paths[-1]) as server, server.client() as q:
            words = refused_like_its_plan(q, base=paths[0], top=paths[1])
            assert "the file system cannot clone" in words
            out = q.ask("human-monitor-command", command_line=
                        "plan block_commit disk0 %s %s" %
                        (paths[0], paths[1]))
            assert "undo     none: base changes, and the file system can't " \
                in out
            assert q.ask("query-jobs") == []
            assert q.ask("x-blkmon-query-undo") == []
            _, words = q.refused({"execute": "x-blkmon-undo",
                                  "arguments": {"id": "c"}})
            assert words == "There is nothing kept of job 'c'"
        assert [blk.content(p) for p in paths] == before
        assert len(os.listdir(place)) == 3


def test_what_is_there_is_not_overwritten(fs):
    paths = blk.make_chain(fs, 3)
    kept = paths[0] + ".blkmon-undo"
    with open(kept, "wb") as file:
        file.write(b"mine")
    os.link(paths[0], os.path.join(fs, "twin"))
    with Server(fs, paths[-1]) as server, server.client() as q:
        for words in ("File exists", "several names"):
            assert words in refused_like_its_plan(q, base=paths[0],
                                                  top=paths[1])
            if words == "File exists":
                assert blk.content(kept) == b"mine"
                os.unlink(kept)
    assert not os.path.exists(kept)


def test_a_plan_keeps_nothing(fs):
    paths = blk.make_chain(fs, 3)
    before = [blk.content(p) for p in paths]
    request = {"execute": "block-commit", "arguments": {
        "device": "disk0", "job-id": "c", "base": paths[0], "top": paths[1],
        "x-blkmon-keep": True}}
    with Server(fs, paths[-1]) as server, server.client() as q:
        files = sorted(os.listdir(fs))
        plan = q.ask("x-blkmon-plan", request=request)
        assert plan["kind"] == "commit"
        assert plan["undo"].startswith("a clone of base is kept")
        del request["arguments"]["x-blkmon-keep"]
        plan = q.ask("x-blkmon-plan", request=request)
        assert "unless a clone of it is kept first" in plan["undo"]
        assert sorted(os.listdir(fs)) == files
        assert q.ask("x-blkmon-query-undo") == []
        assert [blk.content(p) for p in paths] == before
        commit(q, base=paths[0], top=paths[1])
        finish(q)
        # What is kept already is not kept again: so says the plan.
        assert "There is something kept of a job 'c' already" in \
            q.refused({"execute": "x-blkmon-plan", "arguments": {
                "request": {"execute": "block-commit", "arguments": {
                    "device": "disk0", "job-id": "c", "base": paths[0],
                    "x-blkmon-keep": True}}}})[1]


def test_at_the_prompt(fs):
    paths = blk.make_chain(fs, 3)
    before = blk.content(paths[0])
    out = blk.blkmon_ok(paths[-1], "-c", "block_commit -k disk0 %s %s" %
                        (paths[0], paths[1]), "-c", "wait", "-c", "info undo",
                        "-c", "undo disk0", "-c", "info undo")
    assert "disk0: %s is kept as" % paths[0] in out.out
    assert out.out.endswith("Nothing is kept\n")
    assert blk.content(paths[0]) == before
    got = blk.blkmon_ok(fs, "-c", "info block")
    assert got.out.count("disk") == 1


def test_a_clone_gives_nothing_back(fs):
    """Told by the plan of a delete: what others share is not freed."""
    path = blk.simple(fs)
    blk.run("cp", "--reflink=always", path, path + ".copy")
    blk.run("sync", path, path + ".copy")
    with Server(fs) as server, server.client() as q:
        got = q.ask("x-blkmon-delete", files=[path], dry_run=True)["files"][0]
        assert got["shared"] >= 256 * KIB
        assert got["freed"] + got["shared"] == os.stat(path).st_blocks * 512


@pytest.mark.parametrize("far", [False, True])
def test_offline(fs, far):
    paths = blk.make_chain(fs, 3)
    base = paths[0 if far else 1]
    before = [blk.content(p) for p in paths]
    args = ["-b", base] if far else []
    out = blk.blkmon_ok("commit", "--keep", *args, paths[-1])
    assert base + ".blkmon-undo" in out.err
    assert blk.content(base) != before[0 if far else 1]
    assert blk.content(paths[-1]) == before[-1]
    blk.assert_same(blk.guest(base), bytes(model(3)), "base")
    out = blk.blkmon("commit", "--keep", *args, paths[-1])
    assert out.rc == 1 and "File exists" in out.err, out
    assert blk.blkmon_ok("undo", base).out == "Commit taken back.\n"
    assert [blk.content(p) for p in paths] == before
    assert sorted(os.listdir(fs)) == sorted(map(os.path.basename, paths))
    out = blk.blkmon("undo", base)
    assert out.rc == 1 and "nothing kept of '%s'" % base in out.err


def test_offline_what_came_after_counts(fs):
    paths = blk.make_chain(fs, 3)
    blk.blkmon_ok("commit", "--keep", "-b", paths[0], paths[2])
    state = blk.content(paths[0])

    def not_now(words, *args):
        out = blk.blkmon("undo", *args, paths[0])
        assert out.rc == 1 and words in out.err, out
        assert blk.content(paths[0]) == state

    other = blk.create(os.path.join(fs, "other"), None, paths[0])
    not_now("backing file of '%s'" % other)
    os.unlink(other)
    with Server(fs, "--drive", "readonly=on,file=" + paths[2]):
        not_now("Is another process using")
    out = blk.blkmon("delete", paths[0])
    assert out.rc == 1
    kept = paths[0] + ".blkmon-undo"
    blk.qemu_io(paths[0], "write -P 5 0 64k")
    state = blk.content(paths[0])
    not_now("was written again since", "--force")
    blk.blkmon_ok("undo", "--drop", paths[0])
    assert not os.path.exists(kept)


# ------------------------------------------------- by another process

@contextlib.contextmanager
def disk_of(fs, path, *args):
    with Server(fs, "--drive", "id=disk0,file=" + path, *args) as server, \
            server.client() as q:
        yield server, q


def undo_live(fs, paths, force=False):
    with disk_of(fs, paths[-1]) as (_, q):
        q.ask("x-blkmon-undo", id="c", x_blkmon_force=force)
        assert q.ask("x-blkmon-query-undo") == []
        assert q.ask("query-jobs") == []


def undo_offline(_fs, paths, force=False):
    out = blk.blkmon_ok("undo", *["--force"] * force, paths[0])
    assert out.out == "Commit taken back.\n"


def all_is_back(fs, paths, before, names, want):
    assert blk.content(paths[0]) == before
    assert headers(paths[1:]) == names
    blk.assert_same(blk.guest(paths[-1]), bytes(want), "the disk")
    for path in paths:
        blk.check(path)
    assert not [n for n in os.listdir(fs) if "undo" in n]
    assert not [n for n in os.listxattr(paths[0]) if "undo" in n]


@pytest.mark.parametrize("undo", [undo_live, undo_offline])
@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("deep", [1, 2])
def test_after_a_restart(fs, undo, killed, deep):
    paths = blk.make_chain(fs, 4)
    before, names = blk.content(paths[0]), headers(paths[1:])
    with disk_of(fs, paths[-1]) as (server, q):
        commit(q, base=paths[0], top=paths[deep])
        finish(q)
        if not killed:
            q.ask("quit")
            server.ended()
    state = blk.content(paths[0])
    assert state != before
    want = model(4)
    with disk_of(fs, paths[-1]) as (_, q):
        write(q, "write -P 0x66 2M 64k")
        write(q, "flush")
        kept = q.ask("x-blkmon-query-undo")
        assert [(k["id"], k["possible"]) for k in kept] == [("c", True)]
        plan = q.ask("x-blkmon-plan", request={
            "execute": "x-blkmon-undo", "arguments": {"id": "c"}})
        assert [f["filename"] for f in plan["chain"]] == paths[::-1]
    want[2 * MIB:2 * MIB + 64 * KIB] = b"\x66" * (64 * KIB)
    assert blk.content(paths[0]) == state
    undo(fs, paths)
    all_is_back(fs, paths, before, names, want)


@pytest.mark.parametrize("undo", [undo_live, undo_offline])
def test_given_up_and_restarted(fs, undo):
    paths = blk.make_chain(fs, 3)
    before, names = blk.content(paths[0]), headers(paths[1:])
    with disk_of(fs, paths[-1]) as (_, q):
        commit(q, base=paths[0])
        q.event("BLOCK_JOB_READY", device="c")
        write(q, "write -P 0x55 0 64k")
        write(q, "flush")
        q.ask("block-job-cancel", device="c")
        finish(q)
    assert blk.content(paths[0]) != before
    want = model(3)
    want[:64 * KIB] = b"\x55" * (64 * KIB)
    undo(fs, paths)
    all_is_back(fs, paths, before, names, want)


def never(fs, path, base, words):
    """By no means."""
    state = blk.content(base)
    with disk_of(fs, path) as (_, q):
        kept = q.ask("x-blkmon-query-undo")
        assert len(kept) == 1 and not kept[0]["possible"]
        for force in (False, True):
            refused(q, words, force=force)
    for force in ([], ["--force"]):
        out = blk.blkmon("undo", *force, base)
        assert out.rc == 1 and words in out.err, out
    assert blk.content(base) == state


def test_what_a_guest_went_over_to_is_never_put_back(fs):
    paths = blk.make_chain(fs, 3)
    with disk_of(fs, paths[-1]) as (_, q):
        commit(q, base=paths[0])
        q.event("BLOCK_JOB_READY", device="c")
        q.ask("block-job-complete", device="c")
        finish(q)
        write(q, "write -P 0x44 0 64k")
        # Nor when base lies in the middle again.
        snapshot = os.path.join(fs, "snapshot")
        q.ask("blockdev-snapshot-sync", device="disk0",
              snapshot_file=snapshot)
        refused(q, "became the active layer", force=True)
    never(fs, snapshot, paths[0], "may be in use by a guest since")


@pytest.mark.parametrize("undo", [undo_live, undo_offline])
def test_a_program_that_was_killed_at_work(fs, undo):
    paths = blk.make_chain(fs, 3)
    before, names = blk.content(paths[0]), headers(paths[1:])
    with disk_of(fs, paths[-1]) as (server, q):
        commit(q, base=paths[0], top=paths[1], speed=256 * KIB)
        while not q.ask("query-block-jobs")[0]["offset"]:
            pass
        server.proc.kill()
        server.proc.wait()
    words = "was still written to by it when its program ended"
    with disk_of(fs, paths[-1]) as (_, q):
        refused(q, words)
    out = blk.blkmon("undo", paths[0])
    assert out.rc == 1 and words in out.err
    undo(fs, paths, force=True)
    all_is_back(fs, paths, before, names, model(3))


@pytest.mark.parametrize("here", [False, True])
def test_who_wrote_to_base_after_the_restart(fs, here):
    paths = blk.make_chain(fs, 4)
    with disk_of(fs, paths[-1]) as (_, q):
        commit(q, base=paths[0], top=paths[1])
        finish(q)
    if here:
        with disk_of(fs, paths[-1]) as (_, q):
            assert q.ask("x-blkmon-query-undo")[0]["possible"]
            q.ask("block-commit", device="disk0", base=paths[0],
                  top=paths[2], job_id="d", x_blkmon_force=True)
            q.event("BLOCK_JOB_COMPLETED", device="d")
            refused(q, "was written again since", force=True)
    else:
        blk.qemu_io(paths[0], "write -P 1 0 64k")
    never(fs, paths[-1], paths[0], "was written again since")


def test_the_same_id_by_two_processes(fs):
    """Two things are kept of two jobs, both called c: each is its own."""
    paths = blk.make_chain(fs, 5)
    before, names = [blk.content(p) for p in paths], headers(paths[1:])
    for base, top in ((0, 1), (2, 3)):
        with disk_of(fs, paths[-1]) as (_, q):
            commit(q, base=paths[base], top=paths[top])
            finish(q)
    with disk_of(fs, paths[-1]) as (_, q):
        kept = {k["file"]: k["id"] for k in q.ask("x-blkmon-query-undo")}
        assert sorted(kept) == [paths[0], paths[2]]
        assert sorted(kept.values()) == ["c", "c-2"]
        # It is to be thrown away first.
        _, words = q.refused({"execute": "block-commit", "arguments": {
            "device": "disk0", "base": paths[0], "top": paths[2],
            "x-blkmon-keep": True, "x-blkmon-force": True}})
        assert "File exists" in words
    out = blk.blkmon(paths[-1], "-c", "block_commit -f -k disk0 %s %s" %
                     (paths[0], paths[2]))
    assert out.rc == 1 and "drop_undo" in out.text, out
    for base in (2, 0):
        blk.blkmon_ok("undo", paths[base])
    # The header of the third was written by the first undo, and by the job.
    for n in (0, 1, 3):
        assert blk.content(paths[n]) == before[n]
    assert headers(paths[1:]) == names
    for n, path in enumerate(paths):
        blk.assert_same(blk.guest(path), bytes(model(n + 1)), path)


@pytest.mark.parametrize("note", [
    b"", b"2 0", b"2 0\0", b"3 0\0c\0", b"2 0\0c\0x", b"2 0\0c\0" + b"0 x " * 9,
    b"2 0\0c\x000 1 0 0 0\x000 1 0 0 0\0a\0b", b"\xff" * 900,
    b"2 0\0-\x000 1 0 0 0\0"])
def test_a_note_that_is_none(fs, note):
    paths = blk.make_chain(fs, 3)
    blk.run("cp", "--reflink=always", paths[0], paths[0] + ".blkmon-undo")
    os.setxattr(paths[0] + ".blkmon-undo", "user.blkmon.undo", note)
    with disk_of(fs, paths[-1]) as (_, q):
        assert q.ask("x-blkmon-query-undo") == []
    out = blk.blkmon("undo", paths[0])
    assert out.rc == 1 and "does not say which commit kept it" in out.err


def test_a_disk_that_was_closed_and_opened_again(fs):
    paths = blk.make_chain(fs, 3)
    before, names = blk.content(paths[0]), headers(paths[1:])
    with disk_of(fs, paths[-1]) as (_, q):
        commit(q, base=paths[0], top=paths[1])
        finish(q)
        q.ask("human-monitor-command", command_line="drive_del disk0")
        assert "not open" in q.ask("x-blkmon-query-undo")[0]["reason"]
        q.ask("human-monitor-command",
              command_line="drive_add 0 id=disk0,file=" + paths[-1])
        assert [k["possible"] for k in q.ask("x-blkmon-query-undo")] == [True]
        q.ask("x-blkmon-undo", id="c")
    all_is_back(fs, paths, before, names, model(3))


def test_offline_without_reflinks(d):
    with blk.small_fs(d, 64 * MIB) as place:
        paths = blk.make_chain(place, 2)
        before = [blk.content(p) for p in paths]
        out = blk.blkmon("commit", "--keep", paths[-1])
        assert out.rc == 1 and "cannot clone" in out.err
        assert [blk.content(p) for p in paths] == before
