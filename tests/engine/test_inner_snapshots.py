# SPDX-License-Identifier: GPL-3.0-or-later
"""Internal snapshots of layers stay what they are: whatever would change them
is refused, and what is refused changes nothing."""

import json
import os

import pytest

import blk
from blk import KIB, MIB


class Chain:
    """base <- mid <- top, each with data of its own and a place for an
    internal snapshot before some of it is written over."""

    def __init__(self, d, *inside, **opts):
        self.path = {n: os.path.join(d, n) for n in ("base", "mid", "top")}
        below = None
        for i, (name, path) in enumerate(self.path.items()):
            blk.create(path, 4 * MIB if below is None else None, below, **opts)
            blk.qemu_io(path, "write -P %d %dM 1M" % (i + 1, i))
            if name in inside:
                blk.qemu_img("snapshot", "-c", "kept", path)
            blk.qemu_io(path, "write -P %d %dM 64k" % (i + 8, i))
            below = path
        self.inside = inside
        self.kept = {n: blk.guest(self.path[n], snapshot="kept")
                     for n in inside}
        self.shown = blk.guest(self.path["top"])
        self.before = {n: blk.content(p) for n, p in self.path.items()}

    def args(self):
        return ["--drive", "file=%s,format=qcow2,id=disk0" % self.path["top"]]

    def assert_untouched(self):
        for name, path in self.path.items():
            assert blk.content(path) == self.before[name], name

    def assert_kept(self):
        for name in self.inside:
            blk.assert_same(blk.guest(self.path[name], snapshot="kept"),
                            self.kept[name], "snapshot of " + name)
            blk.check(self.path[name])


JOBS = {
    # what, its line, whose snapshots it would change, whether it gets ready
    "stream": ("block_stream {f}disk0", ["top"], False),
    "stream to base": ("block_stream {f}disk0 0 {base}", ["top"], False),
    "stream by qmp": ('{{"execute": "block-stream", "arguments": '
                      '{{"device": "disk0"{q}}}}}', ["top"], False),
    "commit": ("block_commit {f}disk0 {base} {mid}", ["mid"], False),
    "redhat": ("__com.redhat_block-commit disk0 {base} {mid}", ["mid"], False),
    "active": ("block_commit {f}disk0", ["top", "mid"], True),
    "active, one": ("block_commit {f}disk0 {mid}", ["top"], True),
    "active by qmp": ('{{"execute": "block-commit", "arguments": '
                      '{{"device": "disk0"{q}}}}}', ["top", "mid"], True),
    "hmp": ("commit {f}disk0", ["top"], None),
}


def line_of(chain, job, force):
    return JOBS[job][0].format(
        f="-f " if force else "", q=', "x-blkmon-force": true' if force else "",
        **chain.path)


@pytest.mark.parametrize("job,layer", [
    (job, layer) for job, how in JOBS.items() for layer in how[1]])
def test_jobs_that_would_change_them(d, job, layer):
    """Refused by name, with all images as they were; done when forced."""
    chain = Chain(d, layer)
    with blk.Session(*chain.args()) as s:
        reply = "\n".join(s.cmd(line_of(chain, job, False)))
        assert "internal snapshot 'kept' of '%s'" % chain.path[layer] in reply
        assert s.ok("info block-jobs") == ["No active jobs"]
        assert s.quit() == 1
    chain.assert_untouched()
    if job == "redhat":
        return
    with blk.Session(*chain.args()) as s:
        s.ok(line_of(chain, job, True))
        if JOBS[job][2] is not None:
            s.wait("disk0", "ready" if JOBS[job][2] else "done")
        if JOBS[job][2]:
            s.ok("block_job_complete disk0")
            s.wait()
        active = s.depth()[0]
        assert s.quit() == 0
    blk.assert_same(blk.guest(active), chain.shown, "the guest's disk")


def test_offline_commit(d):
    chain = Chain(d, "top", "mid")
    top = chain.path["top"]
    out = blk.blkmon("commit", top)
    assert out.rc == 1 and "internal snapshot 'kept' of" in out.err, out
    out = blk.blkmon("commit", "-b", chain.path["base"], top)
    assert out.rc == 1 and "internal snapshot 'kept' of" in out.err, out
    chain.assert_untouched()
    blk.blkmon_ok("commit", "--force", top)
    blk.assert_same(blk.guest(top), chain.shown, "the guest's disk")


@pytest.mark.parametrize("job,inside", [
    ("block_stream disk0", ["mid", "base"]),
    ("block_stream disk0 0 {mid}", ["top", "mid", "base"]),
    ("block_commit disk0 {base} {mid}", ["top", "base"]),
])
def test_jobs_that_leave_them_alone(d, job, inside):
    """What reads through nothing that changes is no obstacle."""
    chain = Chain(d, *inside)
    with blk.Session(*chain.args()) as s:
        s.ok(job.format(**chain.path))
        s.wait()
        assert s.quit() == 0
    chain.assert_kept()
    blk.assert_same(blk.guest(chain.path["top"]), chain.shown, "the disk")


def test_snapshot_of_a_disk_that_was_larger(d):
    """Of an overlay, taken before the disk was cut: it reads zeroes behind
    the end of what is committed, and base has data there."""
    base, mid, top = [os.path.join(d, n) for n in ("base", "mid", "top")]
    blk.create(base, 2 * MIB)
    blk.qemu_io(base, "write -P 1 0 2M")
    blk.create(mid, MIB, base)
    blk.qemu_io(mid, "write -P 2 0 512k")
    blk.create(top, 2 * MIB, mid)
    blk.qemu_img("snapshot", "-c", "large", top)
    blk.qemu_img("resize", "-q", "--shrink", top, "1M")
    with blk.Session("top=" + top) as s:
        s.ok("block_commit top %s %s" % (base, mid))
        s.wait("top")
        assert s.quit() == 0
    blk.qemu_img("snapshot", "-a", "large", top)
    seen = blk.guest(top)
    assert seen[:512 * KIB] == b"\x02" * 512 * KIB
    assert seen[MIB:] == bytes(MIB)


def test_growing_version_2(d):
    """Nobody can go back to a snapshot of another size there."""
    small = os.path.join(d, "small")
    top = os.path.join(d, "large")
    blk.create(small, MIB, compat="0.10")
    blk.qemu_io(small, "write -P 1 0 1M")
    blk.qemu_img("snapshot", "-c", "kept", small)
    blk.create(top, 2 * MIB, small)
    blk.qemu_io(top, "write -P 2 1M 1M")
    before = blk.content(small), blk.content(top)
    with blk.Session("disk0=" + top) as s:
        s.fails("block_commit disk0", "version 2", "internal snapshots")
        s.fails("commit disk0", "version 2", "internal snapshots")
        assert s.quit() == 1
    with blk.Session("--drive", "id=disk0,force=on,file=" + small) as s:
        s.fails("block_resize disk0 2M", "version 2", "internal snapshots")
        assert s.quit() == 1
    assert "version 2" in blk.blkmon("commit", top).err
    assert (blk.content(small), blk.content(top)) == before
    blk.qemu_img("snapshot", "-a", "kept", small)


def test_another_backing_file(d):
    """Other words for the same file are no change; those for another are."""
    chain = Chain(d, "top")
    other = os.path.join(d, "other")
    blk.qemu_img("create", "-q", "-f", "qcow2", other, "4M")

    def change(s, name, **more):
        return "\n".join(s.cmd(json.dumps({
            "execute": "change-backing-file", "arguments": {
                "device": "disk0", "image-node-name": "top",
                "backing-file": name, **more}})))

    with blk.Session("--drive", "file=%s,format=qcow2,id=disk0,node-name=top"
                     % chain.path["top"]) as s:
        reply = change(s, other)
        assert "internal snapshot 'kept' of" in reply, reply
        chain.assert_untouched()
        assert '"return"' in change(s, "mid")
        assert '"return"' in change(s, other, **{"x-blkmon-force": True})
        assert s.quit() == 1
    assert blk.img_info(chain.path["top"])["backing-filename"] == other


@pytest.mark.parametrize("bits,count,cluster", [
    (1, 0, 65536), (2, 2, 65536), (2, 3, 65536), (4, 12, 65536)])
def test_refused_snapshot_changes_nothing(d, bits, count, cluster):
    """Compressed clusters share one of the host: each counts."""
    source = blk.create(os.path.join(d, "source"), 32 * cluster)
    path = os.path.join(d, "image")
    blk.qemu_io(source, "write -P 7 %d 64k" % (30 * cluster),
                *["write -P %d %d %d" % (i + 1, i * cluster, cluster)
                  for i in range(count)])
    blk.qemu_img("convert", "-O", "qcow2", *["-c"] * bool(count), "-o",
                 "refcount_bits=%d,cluster_size=%d" % (bits, cluster),
                 source, path)
    blk.qemu_img("bitmap", "--add", path, "dirty")
    before = blk.content(path)
    with blk.Session("--drive", "file=%s,format=qcow2,id=d" % path) as s:
        s.fails("snapshot_blkdev_internal d s1", "reference counts",
                "refcount_bits=%d" % bits)
        assert s.quit() == 1
    assert blk.content(path) == before


def test_snapshots_up_to_the_last_that_fits(d):
    """Counted as the tables name it, not as older snapshots do."""
    path = blk.create(os.path.join(d, "image"), MIB, refcount_bits=2)
    blk.qemu_io(path, "write -P 1 0 1M")
    with blk.Session("--drive", "file=%s,format=qcow2,id=d" % path) as s:
        s.ok("snapshot_blkdev_internal d s1")
        s.ok("snapshot_blkdev_internal d s2")
        s.fails("snapshot_blkdev_internal d s3", "refcount_bits=2")
        assert s.quit() == 1
    blk.check(path)
