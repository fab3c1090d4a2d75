# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that nothing uses can be deleted, and nothing else can: what is
refused is named with who needs it, and every file is as it was."""

import os
import random
import subprocess
import threading

import pytest

import blk
from blk import MIB
from qmpsock import Server


def files(d):
    return {os.path.join(at, name) for at, _, names in os.walk(d)
            for name in names}


def overlay(d, name, backing, fmt="qcow2", size="4M"):
    path = os.path.join(d, name)
    blk.qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", backing, "-F",
                 fmt, path, size)
    return path


def refused(d, *words, args=None):
    """Refused in these words, and every file stays."""
    before = files(d)
    out = blk.blkmon(*(args or ["delete"]))
    assert out.rc == 1, out
    for word in words:
        assert word in out.err + out.out, out
    assert files(d) == before
    return out


def cant(d, paths, *words):
    """Offline, as a dry run and at the prompt."""
    paths = [paths] if isinstance(paths, str) else paths
    refused(d, *words, args=["delete", *paths])
    refused(d, *words, args=["delete", "-n", *paths])
    line = " ".join('"%s"' % p for p in paths)
    refused(d, *words, args=["-c", "delete " + line])


def test_an_unused_image_goes(d):
    path = blk.simple(d)
    size = os.stat(path).st_blocks * 512
    plan = blk.blkmon_ok("delete", "-n", path)
    assert "would delete '%s' (qcow2), %d KiB given back" % (
        path, size // 1024) in plan.out
    assert os.path.exists(path)
    out = blk.blkmon_ok("delete", path)
    assert out.out == plan.out.replace("would delete", "deleted")
    assert not files(d)


def test_what_another_names(d):
    base, mid, top = blk.make_chain(d)
    cant(d, base, "'%s'" % base, "backing file of '%s'" % mid)
    cant(d, [base, top], "backing file of '%s'" % mid)
    blk.blkmon_ok("delete", base, top, mid)
    assert not files(d)


def test_a_chain_goes_from_the_top(d):
    base, mid, top = blk.make_chain(d)
    out = blk.blkmon_ok("delete", base, mid, top).out.splitlines()
    assert [line.split("'")[1] for line in out[:3]] == [top, mid, base]


@pytest.mark.parametrize("name", [
    "l0.img", "./l0.img", "{d}/l0.img", "file:l0.img", "../{b}/l0.img",
    'json:{{"driver":"qcow2","file":{{"driver":"file",'
    '"filename":"{d}/l0.img"}}}}'])
def test_by_whatever_words(d, name):
    base = blk.make_chain(d, 1)[0]
    user = overlay(d, "user", name.format(d=d, b=os.path.basename(d)))
    cant(d, base, "backing file of '%s'" % user)


def test_over_a_link_and_another_name(d):
    base = blk.make_chain(d, 1)[0]
    os.symlink("l0.img", os.path.join(d, "link"))
    user = overlay(d, "user", "link")
    cant(d, base, "backing file of '%s'" % user)
    os.unlink(user)
    os.link(base, os.path.join(d, "twin"))
    user = overlay(d, "user", "twin")
    cant(d, base, "backing file of '%s'" % user)


def test_through_an_image_elsewhere(d):
    base = blk.make_chain(d, 1)[0]
    os.mkdir(os.path.join(d, "sub"))
    far = overlay(d, "sub/far", "../l0.img")
    overlay(d, "near", "sub/far")
    cant(d, base, "backing file of '%s'" % far)


def test_beside_an_open_image(d):
    """The overlay stands in a folder that is known from elsewhere."""
    base = blk.make_chain(d, 1)[0]
    os.mkdir(os.path.join(d, "vm"))
    user = overlay(d, "vm/user", base)
    disk = blk.simple(os.path.join(d, "vm"), "disk")
    refused(d, "backing file of '%s'" % user,
            args=[disk, "-c", "delete " + base])


def test_what_is_open_here(d):
    base, mid, top = blk.make_chain(d)
    for path in (base, mid, top):
        refused(d, "'%s'" % path, "in use by drive 'disk0'",
                args=[top, "-c", "delete " + path])
    # The header says otherwise, but that is what it is open with.
    blk.qemu_img("rebase", "-u", "-f", "qcow2", "-b", "", mid)
    with Server(d, "--blockdev",
                "driver=file,node-name=f,filename=%s,read-only=on" % base,
                "--blockdev", "driver=qcow2,node-name=b,file=f,read-only=on",
                "--blockdev", "driver=qcow2,node-name=m,backing=b,"
                "file.driver=file,file.filename=%s" % mid) as server, \
            server.client() as q:
        _, words = q.refused({"execute": "x-blkmon-delete",
                              "arguments": {"files": [base]}})
        assert "in use by" in words
    assert os.path.exists(base)


@pytest.mark.parametrize("args", [["-f", "qcow2"], ["-r", "-f", "qcow2"],
                                  ["-U", "-r", "-f", "qcow2"]])
def test_what_another_process_holds(d, args):
    path = blk.simple(d)
    with subprocess.Popen(["qemu-io", *args, path], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as holder:
        holder.stdin.write(b"length\n")
        holder.stdin.flush()
        assert holder.stdout.readline()
        cant(d, path, "Is another process using the image [%s]?" % path,
             "qemu-io, pid %d" % holder.pid)
        holder.stdin.close()
        holder.wait()
    blk.blkmon_ok("delete", path)


def test_what_is_no_image(d):
    for name, content in (("text", b"hello\n" * 500), ("empty", b""),
                          ("disk.raw", b"\0" * MIB)):
        path = os.path.join(d, name)
        with open(path, "wb") as file:
            file.write(content)
        cant(d, path, "'%s'" % path, "does not begin as an image does")
    cant(d, d, "a directory")
    cant(d, d + "/", "a directory")
    cant(d, os.path.join(d, "nosuch"), "No such file")
    fifo = os.path.join(d, "fifo")
    os.mkfifo(fifo)
    cant(d, fifo, "not a regular file")


def test_links_lead_elsewhere(d):
    path = blk.simple(d)
    link = os.path.join(d, "link")
    os.symlink(path, link)
    cant(d, link, "symbolic link")
    os.mkdir(os.path.join(d, "sub"))
    os.symlink(os.path.join(d, "sub"), os.path.join(d, "way"))
    blk.simple(os.path.join(d, "sub"), "b.img")
    blk.blkmon_ok("delete", os.path.join(d, "way", "b.img"))
    assert files(d) == {path, link}


def test_raw_that_fell_out_here(d):
    raw = os.path.join(d, "base.raw")
    blk.create(raw, MIB, fmt="raw")
    top = overlay(d, "top", raw, "raw", "1M")
    cant(d, raw, "backing file of '%s'" % top)
    blk.blkmon_ok(top, "-c", "block_stream disk0", "-c", "wait", "-c",
                  "delete " + raw)
    assert files(d) == {top}
    # One that another has written since is not that file any more.
    blk.create(raw, MIB, fmt="raw")
    top = overlay(d, "top2", raw, "raw", "1M")
    with blk.Session(top) as session:
        session.ok("block_stream disk0")
        session.ok("wait")
        blk.qemu_io(raw, "write -P 1 0 512", fmt="raw")
        reply = session.cmd("delete " + raw)
        assert "does not begin as an image does" in "\n".join(reply)
    assert os.path.exists(raw)


def test_data_files(d):
    data = os.path.join(d, "data.raw")
    image = blk.create(os.path.join(d, "a"), MIB, data_file=data)
    cant(d, data, "data file of '%s'" % image)
    out = blk.blkmon_ok("delete", "-n", image)
    assert "its data file '%s' stays" % data in out.out
    out = blk.blkmon_ok("delete", "-n", "-d", image)
    assert "would delete '%s' (raw)" % data in out.out
    # Somebody else has it for a backing file: it stays, whatever was asked.
    other = overlay(d, "other", "data.raw", "raw", "1M")
    out = blk.blkmon_ok("delete", "-n", "-d", image)
    assert "its data file '%s' stays" % data in out.out
    os.unlink(other)
    with subprocess.Popen(["qemu-io", "-f", "raw", data],
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as holder:
        holder.stdin.write(b"length\n")
        holder.stdin.flush()
        assert holder.stdout.readline()
        refused(d, "using the image [%s]?" % data,
                args=["delete", "-d", image])
        holder.stdin.close()
        holder.wait()
    blk.blkmon_ok("delete", "-d", image)
    assert not files(d)
    image = blk.create(os.path.join(d, "a"), MIB, data_file=data)
    blk.blkmon_ok("delete", image)
    assert files(d) == {data}


def test_what_is_given_back(d):
    path = blk.simple(d)
    blk.qemu_img("snapshot", "-c", "one", path)
    os.link(path, os.path.join(d, "twin"))
    out = blk.blkmon_ok("delete", path)
    assert "0 B given back (it has 1 other name)" in out.out
    assert "1 snapshot inside" in out.out
    refused(d, "the same file", args=["delete", os.path.join(d, "twin"),
                                      os.path.join(d, ".", "twin")])


def test_all_or_none(d):
    paths = [blk.simple(d, "i%d" % n) for n in range(4)]
    overlay(d, "user", "i3")
    cant(d, paths, "backing file of")


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed")
def test_what_cannot_be_read_may_need_it(d):
    os.chmod(d, 0o777)
    path = blk.simple(d)
    secret = overlay(d, "secret", "a.img")
    os.chmod(secret, 0)
    os.chmod(path, 0o666)
    before = files(d)
    out = blk.run("setpriv", "--reuid=65534", "--clear-groups", blk.BLKMON,
                  "delete", path)
    if "setpriv" in out.err or out.rc == 126:
        pytest.skip("no other user can be had: " + out.err)
    assert out.rc == 1 and secret in out.err, out
    assert files(d) == before


def test_over_qmp(d):
    paths = [blk.simple(d, "i%d" % n) for n in range(2)]
    with Server(d) as server, server.client() as q:
        plan = q.ask("x-blkmon-delete", files=paths, dry_run=True)
        assert [f["file"] for f in plan["files"]] == paths
        assert plan["freed"] == sum(os.stat(p).st_blocks * 512 for p in paths)
        assert not any(f["deleted"] for f in plan["files"])
        done = q.ask("x-blkmon-delete", files=paths)
        assert done["freed"] == plan["freed"]
        assert all(f["deleted"] for f in done["files"])
        assert not any(map(os.path.exists, paths))
        for wrong in ([], [7]):
            q.refused({"execute": "x-blkmon-delete",
                       "arguments": {"files": wrong}})


def test_race_with_those_who_make_overlays(d):
    """One makes overlays on the image, another deletes it: never is an
    overlay made whose backing file is gone afterwards."""
    made = won = 0
    for n in range(14):
        path = blk.simple(d, "base%d" % n)
        user = os.path.join(d, "user%d" % n)
        done = {}

        def make(path=path, user=user, done=done):
            done["make"] = blk.run(
                "qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2",
                "-b", path, user)

        thread = threading.Thread(target=make)
        late = n % 3 == 2
        if not late:
            thread.start()
        gone = blk.blkmon("delete", path)
        if late:
            thread.start()
        thread.join()
        assert (gone.rc == 0) == (not os.path.exists(path)), gone
        if done["make"].rc == 0:
            made += 1
            assert os.path.exists(path), (gone, done)
            blk.qemu_img("check", "-q", user)
        won += gone.rc == 0
    assert made and won, (made, won)


def test_race_with_those_who_open_it(d):
    """Whoever has the image open at the end still has its file."""
    chance = random.Random(7)
    for n in range(14):
        path = blk.simple(d, "base%d" % n)
        with subprocess.Popen(["qemu-io", "-f", "qcow2", path],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as user:
            user.stdin.write(b"length\n")
            user.stdin.flush()
            if chance.random() < .5:
                user.stdout.readline()
            gone = blk.blkmon("delete", path)
            has = b"MiB" in user.communicate()[0]
        if gone.rc == 0:
            assert not has and not os.path.exists(path)
        else:
            assert os.path.exists(path)


def test_another_file_takes_the_name(d):
    """While it is deleted the name comes to mean other files; none of these
    is ever lost."""
    path = os.path.join(d, "image")
    blk.simple(d, "image")
    stop = threading.Event()
    kept = []

    def replace():
        n = 0
        while not stop.is_set():
            new = os.path.join(d, "new%d" % n)
            with open(new, "wb") as file:
                file.write(b"precious %d" % n)
            kept.append(os.stat(new).st_ino)
            os.link(new, os.path.join(d, "keep%d" % n))
            os.rename(new, path)
            blk.simple(d, "other")
            os.rename(os.path.join(d, "other"), path)
            n += 1

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for _ in range(12):
            out = blk.blkmon("delete", path)
            assert out.rc in (0, 1)
    finally:
        stop.set()
        thread.join()
    assert kept
    for name in files(d):
        assert ".blkmon-delete" not in name, name
