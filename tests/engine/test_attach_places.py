# SPDX-License-Identifier: GPL-3.0-or-later
"""Several machines and own images in one script: names with the place in
front, `use`, `connect` and `disconnect`, one exit status."""

import contextlib
import json
import os
import subprocess

import pytest

import blk
import ends
from test_attach_rules import read_until, type_line


@pytest.fixture
def three(d):
    """web, a QEMU; db, a storage daemon; and images of our own."""
    folders = [os.path.join(d, name) for name in ("one", "two", "own")]
    for folder in folders:
        os.mkdir(folder)
    own = ends.chain(folders[2])
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(ends.Drive(folders[0]))
        db = stack.enter_context(ends.Daemon(folders[1]))
        web.args = ["--connect", "web=unix:" + web.path]
        db.args = ["--connect", "db=unix:" + db.path]
        yield web, db, "disk0=" + own[2]


def run(args, *lines):
    argv = list(args)
    for line in lines:
        argv += ["-c", line]
    return blk.blkmon(*argv)


def ok(args, *lines):
    out = run(args, *lines)
    assert out.rc == 0, out
    return out.out


def test_names_have_the_place_in_front(three):
    web, db, own = three
    said = ok([*web.args, *db.args, own], "info block")
    heads = [line.split(" ")[0] for line in said.splitlines()
             if line and line[0] != " "]
    assert heads == ["here/disk0", "web/disk0", "db/disk0"]


def test_one_place_has_plain_names(three):
    web, _, _ = three
    assert ok(web.args, "info block").startswith("disk0 (")


def test_jobs_of_all_in_one_script(three):
    """Each is started, waited for and ended where it is."""
    web, db, own = three
    names = ["here/disk0", "web/disk0", "db/disk0"]
    said = ok([*web.args, *db.args, own],
              *["block_commit " + name for name in names], "wait ready 50",
              "info block-jobs",
              *["block_job_complete " + name for name in names], "wait",
              "info block")
    for name in names:
        assert "Type commit, device %s:" % name in said, said
    assert said.count("base.qcow2 (qcow2)") == 3 and "Backing" not in said


def test_files_are_found_in_the_place_they_are_meant_for(three):
    web, db, own = three
    said = ok([*web.args, *db.args, own],
              "block_commit db/disk0 base.qcow2 mid.qcow2", "wait db/disk0",
              "info block web/disk0", "info block db/disk0")
    web_said, db_said = said.split("db/disk0 (")
    assert "depth: 2" in web_said and "depth: 1" in db_said, said


def test_a_name_without_a_place_is_refused(three):
    web, db, own = three
    for line in ("block_stream disk0", "stop",
                 "{ 'execute': 'query-block' }",
                 "block-stream device=disk0"):
        out = run([*web.args, *db.args, own], line)
        assert out.rc == 1 and "which place is meant" in out.out, out
        assert "here, web, db" in out.out
    with db.other() as qmp:
        assert qmp.ask("query-jobs") == []


def test_use_means_one_of_them(three):
    web, db, own = three
    said = ok([*web.args, *db.args, own], "use web",
              "block_commit disk0 base.qcow2 mid.qcow2", "wait disk0",
              "info status", "{ 'execute': 'query-name' }",
              "info block web/disk0", "info block db/disk0")
    assert "paused (prelaunch)" in said and '{"return": {}}' in said
    assert "depth: 1" in said and "depth: 2" in said
    out = run([*web.args, *db.args], "use nobody")
    assert out.rc == 1 and "there is no place 'nobody'" in out.out


def test_a_plan_is_of_the_place_that_it_names(three):
    web, db, own = three
    args = [*web.args, *db.args, own]
    assert "moves" in ok(args, "plan block_commit here/disk0")
    plan = json.loads(ok(args, "plan --json block_commit web/disk0"))["return"]
    assert plan["device"] == plan["job-id"] == "web/disk0"
    assert all(layer["node-name"].startswith("web/")
               for layer in plan["layers"])
    assert plan["hmp"] == "block_commit web/disk0"
    assert plan["qmp"]["arguments"] == {"device": "web/disk0"}
    plan = json.loads(ok(args, "plan --json block_commit db/disk0"))["return"]
    assert plan["hits"]["exports"] == ["db/disk0"]
    out = run(args, "plan block_commit disk0")
    assert out.rc == 1 and "which place is meant" in out.out, out
    # The line behind one in JSON is an ordinary line again.
    said = ok(args, "plan block-commit device=here/disk0",
              "info block here/disk0")
    assert "here/disk0 (" in said


def test_a_guest_is_meant_by_its_own_name_too(d):
    """Where the place is called otherwise, and no other guest is."""
    folders = [os.path.join(d, name) for name in ("one", "two")]
    for folder in folders:
        os.mkdir(folder)
    with ends.Drive(folders[0], name="vm-web") as web, \
            ends.Blockdev(folders[1], name="vm-db") as db:
        args = ["--connect", "a=unix:" + web.path,
                "--connect", "b=unix:" + db.path]
        said = ok(args, "use vm-db", "block_stream disk0", "wait disk0",
                  "use", "plan block_commit vm-web/disk0",
                  "info block b/disk0")
        assert "active-commit of a/disk0" in said, said
        assert said.count("Backing file") == 0, said
        out = run(args, "use vm-x")
        assert out.rc == 1 and "there is no place 'vm-x'" in out.out, out
    with ends.Drive(folders[0], name="vm") as web, \
            ends.Blockdev(folders[1], name="vm") as db:
        args = ["--connect", "a=unix:" + web.path,
                "--connect", "b=unix:" + db.path]
        out = run(args, "use vm")
        assert out.rc == 1 and "there is no place 'vm'" in out.out, out


def snapshots(*names):
    return json.dumps({"execute": "transaction", "arguments": {"actions": [
        {"type": "blockdev-snapshot-sync", "data": {
            "device": name, "snapshot-file": path}} for name, path in names]}})


def test_a_transaction_goes_to_the_place_that_it_names(three, d):
    web, db, own = three
    args = [*web.args, *db.args, own]
    new = [os.path.join(d, "new-%d" % n) for n in range(3)]
    for n, name in enumerate(("here", "web", "db")):
        line = snapshots((name + "/disk0", new[n]))
        assert "snapshot of %s/disk0" % name in ok(args, "plan " + line) or \
            "transaction: 1 action" in ok(args, "plan " + line)
        assert not os.path.exists(new[n])
        said = ok(args, line, "info block %s/disk0" % name)
        assert '{"return": {}}' in said and new[n] in said, said


def test_a_transaction_of_several_places_is_refused(three, d):
    """Nobody could undo one half of it; so nothing is done anywhere."""
    web, db, own = three
    args = [*web.args, *db.args, own]
    new = [os.path.join(d, "new-%d" % n) for n in range(2)]
    line = snapshots(("web/disk0", new[0]), ("db/disk0", new[1]))
    for way in (line, "plan " + line):
        out = run(args, way)
        assert out.rc == 1 and "a transaction is of one place, and this " \
            "one names web and db" in out.out, out
    out = run(args, snapshots(("web/disk0", new[0]), ("disk0", new[1])))
    assert out.rc == 1 and "which place is meant" in out.out, out
    assert not any(os.path.exists(path) for path in new)
    for name in ("web", "db"):
        said = ok(args, "info block %s/disk0" % name)
        assert "top.qcow2" in said.splitlines()[0], said


def test_a_transaction_of_disks_without_names(d):
    """Two at one moment: the nodes of both have names of their own."""
    new = [os.path.join(d, "new-%d" % n) for n in range(2)]
    with ends.Blockdev(d) as end, end.other() as qmp:
        blk.create(os.path.join(d, "second.qcow2"), "1M")
        qmp.ask("blockdev-add", driver="qcow2", node_name="second", file={
            "driver": "file", "filename": os.path.join(d, "second.qcow2")})
        qmp.ask("device_add", driver="virtio-blk-pci", id="disk1",
                drive="second")
        line = snapshots(("disk0", new[0]), ("disk1", new[1]))
        assert "2 actions at one moment" in end.ok("plan " + line).out
        assert not any(os.path.exists(path) for path in new)
        said = end.ok(line, "info block").out
        assert all(path in said for path in new), said


def test_use_of_another_place_does_not_bend_a_full_name(three):
    web, db, own = three
    said = ok([*web.args, *db.args, own], "use web", "block_stream db/disk0",
              "wait db/disk0", "info block db/disk0")
    assert "Backing" not in said


@pytest.mark.parametrize("name", ["", "x="])
def test_where_nobody_is_is_said(d, name):
    """With the address, whatever it is to be called."""
    where = "unix:%s/none" % d
    out = blk.blkmon("-c", "connect %s%s" % (name, where))
    words = "%s%s: No such file or directory" % (name.replace("=", ": "), where)
    assert out.rc == 1 and "Error: " + words in out.out, out
    out = blk.blkmon("--connect", name + where, "-c", "info block")
    assert out.rc and words in out.err, out


def test_connect_and_disconnect(three):
    """Names change with the number of places, and jobs are known by the new
    ones."""
    web, db, _ = three
    said = ok(web.args, "block_commit disk0 base.qcow2 mid.qcow2 64K",
              "connect db=unix:%s" % db.path, "places",
              "block_job_set_speed web/disk0 0", "wait web/disk0 done 50",
              "disconnect db", "places", "info block")
    assert "db: unix:%s, live" % db.path in said
    assert "\ndisk0 (" in said, said
    assert "Error" not in said
    assert db.alive()


def test_leaving_a_place_leaves_its_job(three):
    web, db, _ = three
    ok([*web.args, *db.args], "block_commit db/disk0 base.qcow2 mid.qcow2 64K",
       "disconnect db")
    with db.other() as qmp:
        assert [j["id"] for j in qmp.ask("query-jobs")] == ["blkmon-disk0"]


def test_one_that_dies_fails_only_its_own_lines(three):
    web, db, own = three
    db.kill()
    out = run([*web.args, *db.args, own], "info block")
    assert out.rc == 1 and "db: " in out.err and out.out == "", out
    out = run(["--on-error", "continue", *web.args, *db.args, own],
              "block_stream db/disk0", "block_stream web/disk0",
              "wait web/disk0", "info block web/disk0")
    assert out.rc == 1 and "it is gone" in out.out, out
    assert "Backing" not in out.out


def test_what_was_known_of_one_that_died_is_not_told_as_news(three):
    web, db, own = three
    proc = subprocess.Popen(
        [blk.BLKMON, *web.args, *db.args, "--on-error", "continue", "--echo"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    type_line(proc, "info block")
    read_until(proc, "db/disk0 (")
    type_line(proc, "block_commit db/disk0 base.qcow2 mid.qcow2 64K")
    type_line(proc, "info block-jobs")
    read_until(proc, "device db/disk0")
    db.kill()
    read_until(proc, "db: gone")
    for line in ("info block", "info block-jobs", "info blockstats",
                 "info block db/disk0"):
        type_line(proc, line)
        type_line(proc, "# next")
        said = read_until(proc, "Error: db")
        assert "db/disk0 (" not in said and "device db/" not in said, said
    type_line(proc, "info block web/disk0")
    read_until(proc, "web/disk0 (")
    proc.kill()
    proc.communicate()


@pytest.mark.parametrize("words", ["nobody", "unix:", "=unix:/x", "tcp:x",
                                   "ssh:host", "db=", "http://x"])
def test_what_is_no_address(words):
    out = blk.blkmon("--connect", words, "-c", "info block")
    assert out.rc == 2 and "--connect: " in out.err, out


def test_two_places_of_one_name(three):
    web, db, _ = three
    out = run([*web.args, "--connect", "web=unix:" + db.path], "places")
    assert out.rc == 1 and "has that name" in out.err, out


def test_a_guests_own_name(d):
    with ends.Drive(d, name="my/guest") as end:
        out = end.ok("places")
        assert out.out.startswith("my-guest: unix:"), out


def scanned():
    return blk.blkmon_ok("places", "--scan").out.splitlines()


@pytest.mark.parametrize("kind", ends.ALL, ids=lambda k: k.kind)
def test_scan_finds_the_monitors_of_this_host(d, kind):
    """Both of an end, with its process; who holds one is named."""
    with kind(d, name="web") as end, end.other():
        said = {line.split("  ")[0]: line for line in scanned()}
        ours = said["unix:" + end.path]
        theirs = said["unix:" + end.beside]
        assert "(pid %d)" % end.proc.pid in ours and "held" not in ours, ours
        assert "held by" in theirs, theirs
        assert "(pid %d)" % os.getpid() in theirs, theirs
        if kind in (ends.Drive, ends.Blockdev):
            assert "guest web" in ours, ours
        end.ok("info block")
    assert not any(end.path in line for line in scanned())


def test_scan_shows_hostile_words_escaped(d):
    """Command lines are anybody's."""
    path = d + "/\x1b]0;x\x07,,y"
    with subprocess.Popen(
            ["sh", "-c", "read x", "-qmp", "unix:%s,server=on" % path,
             "-name", "guest=\u202eevil", "-mon", "chardev=c,mode=control",
             "-chardev", "socket,path=relative,id=c", "-mon", "chardev=c"],
            stdin=subprocess.PIPE, cwd=d) as proc:
        said = [line for line in scanned() if "(pid %d)" % proc.pid in line]
        proc.stdin.close()
    assert len(said) == 2, said
    assert said[0].startswith("unix:%s/\\x1b]0;x\\x07,y  sh" % d), said
    assert said[1].startswith("unix:%s/relative  sh" %
                              os.path.realpath(d)), said
    assert not any(c in line for line in said for c in "\x1b\u202e")


@pytest.mark.parametrize("words", [[], ["--scan", "x"], ["--nothing"]])
def test_places_without_sense(words):
    out = blk.blkmon("places", *words)
    assert out.rc == 2 and out.out == "", out
