# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong below a job, and who else holds an image."""

import json
import os

import pytest

import blk
import header
from blk import MIB, content, make_chain


# --------------------------------------------------------------------- faults

def reason(reply, s):
    """The words in which a failed job ended, wherever they were said."""
    return "\n".join(reply + s.log[-12:])


def assert_nothing_left(path, before=0):
    """No leaks, and nothing behind the last cluster that is in use."""
    state = blk.run("qemu-img", "check", "--output=json", path)
    assert state.rc == 0, state
    end = json.loads(state.out)["image-end-offset"]
    assert os.stat(path).st_size <= max(end, before)


@pytest.mark.parametrize("cluster", ["4k", "64k"])
@pytest.mark.parametrize("kind", ["stream", "commit", "active", "hmp"])
def test_no_space(d, kind, cluster):
    """The job is refused; forced it ends with an error, and the chain is as it
    was and still works; what was of no use was given back."""
    with blk.small_fs(d, 6 * MIB) as place:
        where = {"stream": (d, place)}.get(kind, (place, d))
        low = blk.create(os.path.join(where[0], "low.img"), 16 * MIB,
                         cluster_size=cluster)
        blk.qemu_io(low, "write -P 0x41 0 2M")
        mid = blk.create(os.path.join(d, "mid.img"), None, low)
        blk.qemu_io(mid, "write -P 0x42 1M 10M")
        top = blk.create(os.path.join(where[1], "top.img"), None, mid,
                         cluster_size=cluster)
        if kind == "hmp":
            top, mid = mid, None
        want = blk.guest(top)
        with blk.Session("--drive", "force=on,file=" + top) as s:
            line = {"stream": "block_stream disk0",
                    "commit": "block_commit disk0 %s %s" % (low, mid),
                    "active": "block_commit disk0 %s" % low,
                    "hmp": "commit disk0"}[kind]
            s.fails(line, "needs", place + " has ", "-f")
            line = line.replace(" disk0", " -f disk0")
            reply = s.cmd(line)
            reply += s.cmd("wait disk0 done 60")
            assert "No space left on device" in reason(reply, s), reply
            assert s.jobs() == {}
            assert s.depth()[2] == (1 if kind == "hmp" else 2)
            s.io("read -P 0x42 1M 10M")
            assert s.quit() == 1
        for path in filter(None, (low, mid, top)):
            assert_nothing_left(path)
        blk.assert_same(blk.guest(top), want, "after the failure")
        assert len(blk.img_chain(top)) == (2 if kind == "hmp" else 3)


@pytest.mark.parametrize("kind", ["rebase", "offline", "resize", "guest"])
def test_no_space_for_others(d, kind):
    """Who fails for want of room leaves no file longer than it has to be: a
    rebase, a resize at once, a guest when its image is closed."""
    low = blk.create(os.path.join(d, "low.img"), 16 * MIB)
    blk.qemu_io(low, "write -P 0x41 0 8M")
    with blk.small_fs(d, 2 * MIB) as place:
        top = blk.create(os.path.join(place, "top.img"), None, low,
                         cluster_size="4k" if kind == "resize" else "64k")
        want, before = blk.guest(top), os.stat(top).st_size
        if kind == "offline":
            out = blk.blkmon("rebase", "-b", "", top)
            assert out.rc == 1 and "No space left" in out.err, out
        else:
            args = [blk.simple(d)] if kind == "rebase" else [top]
            with blk.Session(*args) as s:
                if kind == "resize":
                    free = os.statvfs(place).f_bavail * 4096
                    with open(os.path.join(place, "fill"), "wb") as fill:
                        fill.write(bytes(free - 4096))
                line = {"rebase": 'rebase %s ""' % top,
                        "resize": "block_resize disk0 64G",
                        "guest": 'qemu-io disk0 "write -P 7 0 16M"'}[kind]
                reply = s.cmd(line)
                if kind == "rebase":
                    reply += s.cmd("wait rebase done 60")
                assert "No space left on device" in reason(reply, s), reply
                if kind == "resize":
                    assert os.stat(top).st_size < before + 4096
                assert s.quit() == 1
        assert_nothing_left(top)
        if kind != "guest":
            blk.assert_same(blk.guest(top), want, "after the failure")


def test_file_size_limit_is_an_error_not_a_death(d):
    """RLIMIT_FSIZE: EFBIG for the job and for the guest, no SIGXFSZ."""
    low, top = make_chain(d, 2, size=16 * MIB, data=6 * MIB)
    want = blk.guest(top)
    with blk.Session(top, limit_fsize=13 * MIB) as s:
        reply = s.cmd("block_stream disk0") + s.cmd("wait disk0 done 60")
        assert "File too large" in reason(reply, s), reply
        reply = "\n".join(s.cmd('qemu-io disk0 "write -P 1 0 6M"'))
        assert "File too large" in reply, reply
        s.io("read -P 2 6M 10M")
        assert s.quit() == 1
    assert blk.files_of_chain(top) == [top, low]
    blk.check(top)
    blk.assert_same(blk.guest(top)[6 * MIB:], want[6 * MIB:], "the rest")


@pytest.mark.parametrize("there", [False, True])
def test_no_space_for_a_snapshot(d, there):
    """No file is left behind, and an empty one that was there is empty."""
    top, = make_chain(d, 1)
    with blk.small_fs(d, MIB) as place, blk.Session(top) as s:
        new = os.path.join(place, "new.img")
        if there:
            open(new, "w", encoding="ascii").close()
        with open(os.path.join(place, "fill"), "wb") as fill:
            fill.write(bytes(MIB - 16 * 1024))
        reply = s.cmd("snapshot_blkdev disk0 " + new)
        assert "No space left on device" in "\n".join(reply), reply
        assert os.path.exists(new) == there
        assert not there or os.stat(new).st_size == 0
        s.io("write -P 0x61 0 64k")
        s.io("read -P 0x61 0 64k")
        assert s.depth()[2] == 0
        assert s.quit() == 1
    blk.check(top)


def test_unreadable_layer(d):
    """A compressed cluster that does not inflate ends the stream there."""
    low = blk.create(os.path.join(d, "low.img"), 4 * MIB)
    blk.qemu_io(low, "write -P 1 0 1M", "write -c -P 2 2M 64k")
    entry = blk.run("qemu-img", "map", "--output=json", low)
    offset = [m for m in json.loads(entry.out) if m["start"] == 2 * MIB]
    assert offset, entry
    data = bytearray(content(low))
    # The only deflate stream of the file begins after the last data cluster.

    l2 = header.get(low, header.get(low, 40)) & 0x00fffffffffffe00
    at = header.get(low, l2 + 8 * 32)
    assert at & 1 << 62
    at &= (1 << 54) - 1
    data[at:at + 64] = b"\xff" * 64
    with open(low, "wb") as stream:
        stream.write(data)
    top = blk.create(os.path.join(d, "top.img"), None, low)
    with blk.Session(top) as s:
        reply = s.cmd("block_stream disk0") + s.cmd("wait disk0 done 60")
        text = reason(reply, s)
        assert "Input/output error" in text and "low.img" in text, text
        assert str(2 * MIB) in text or hex(2 * MIB) in text, \
            "no offset in %r" % text
        assert s.depth()[2] == 1
        assert s.quit() == 1
    blk.check(top)


def test_missing_layer(d):
    low, mid, top = make_chain(d)
    os.unlink(low)
    out = blk.blkmon("--drive", "file=%s,format=qcow2" % top, "-c",
                     "info block")
    assert out.rc == 1 and low in out.err, out
    # Named alone it opens as far as it goes, and nothing is written.
    before = content(top)
    out = blk.blkmon(top, "--on-error=continue", "-c", "block_stream disk0",
                     "-c", 'qemu-io disk0 "write 0 64k"', "-c", "commit disk0")
    assert out.rc == 1 and low in out.text, out
    assert content(top) == before


# ---------------------------------------------------------------------- locks

@pytest.mark.parametrize("who", [blk.held_by_qemu_io, blk.held_by_daemon])
def test_image_that_qemu_uses(d, who):
    low, top = make_chain(d, 2)
    before = [content(p) for p in (low, top)]
    with who(top):
        out = blk.blkmon(top, "-c", "block_stream disk0")
        assert out.rc == 1 and "lock" in out.err and top in out.err, out
        # Looking is allowed.
        blk.assert_same(blk.cat(top), blk.guest(top, share=True), "beside")
        blk.blkmon_ok("info", top)
        # The backing file may be shared for reading, not for writing.
        sib = blk.create(os.path.join(d, "sib.img"), None, low)
        with blk.Session(sib) as s:
            reply = s.cmd("block_commit -f disk0")
            assert "lock" in "\n".join(reply), reply
            reply = s.cmd("commit -f disk0")
            assert "lock" in "\n".join(reply), reply
            s.quit()
    assert [content(p) for p in (low, top)] == before


@pytest.mark.parametrize("fmt", ["qcow2", "raw"])
def test_qemu_refuses_what_we_use(d, fmt):
    low, top = make_chain(d, 2, fmt=fmt)
    with blk.Session(top) as s:
        s.io("write -P 0x51 0 64k")
        for argv in (["qemu-io", "-f", "qcow2", "-c", "read 0 512", top],
                     ["qemu-img", "info", top],
                     ["qemu-io", "-f", fmt, "-c", "write 0 512", low]):
            out = blk.run(*argv)
            assert out.rc and "lock" in out.err, out
        # Reading our base is nobody's harm.
        assert blk.run("qemu-io", "-r", "-f", fmt, "-c", "read 0 512",
                       low).rc == 0
        assert blk.run("qemu-img", "info", "-U", top).rc == 0
        s.quit()
    assert blk.run("qemu-img", "info", top).rc == 0


def test_two_of_us(d):
    low, top = make_chain(d, 2)
    sib = blk.create(os.path.join(d, "sib.img"), None, low)
    with blk.Session(top) as s:
        out = blk.blkmon(top, "-c", "info block")
        assert out.rc == 1 and "lock" in out.err, out
        # Another process on the same base: read yes, commit no.
        with blk.Session(sib) as other:
            reply = "\n".join(other.cmd("block_commit -f disk0"))
            assert "lock" in reply, reply
            other.ok("block_stream disk0")
            other.wait()
            other.quit()
        s.quit()
    assert len(blk.img_chain(sib)) == 1


def test_locks_follow_the_chain(d):
    """After a pivot the base is ours to write and the overlay is free."""
    low, top = make_chain(d, 2)
    with blk.Session(top) as s:
        new = os.path.join(d, "new.img")
        s.ok("snapshot_blkdev disk0 " + new)
        assert blk.run("qemu-img", "info", new).rc != 0
        assert blk.run("qemu-io", "-r", "-f", "qcow2", "-c", "read 0 1",
                       top).rc == 0
        s.ok("block_commit disk0 " + low)
        s.wait(what="ready")
        # A commit target is locked for writing by then.
        assert blk.run("qemu-img", "info", low).rc != 0
        s.ok("block_job_complete disk0")
        s.wait()
        assert blk.run("qemu-img", "info", low).rc != 0
        for path in (new, top):
            out = blk.run("qemu-img", "info", path)
            assert out.rc == 0, out
        s.quit()
