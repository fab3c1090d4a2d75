# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of safety for machines that are somebody else's: each test fails
when its rule is taken out. (Rule 6 is about places of libvirt's own library,
which there are none of yet.)"""

import ctypes
import json
import os
import re
import stat
import subprocess
import threading

import pytest

import blk
import ends
from qmpsock import Gone
from scripted import Script, fed

RUNS = {"query-status": {"status": "running", "running": True}}
QUIT = '{ "execute": "quit" }'
LIVE = pytest.mark.parametrize("kind", ends.ALL, ids=lambda k: k.kind)
QEMUS = pytest.mark.parametrize("kind", [ends.Drive, ends.Blockdev],
                                ids=lambda k: k.kind)


def names(qmp):
    return [job["id"] for job in qmp.ask("query-jobs")]


def answers(end):
    """It lives, and says so."""
    with end.other() as qmp:
        return end.alive() and bool(qmp.ask("query-commands"))


def root(end, qmp):
    """What "device" of a job means there."""
    if end.kind == "daemon":
        return "n"
    if end.kind == "blockdev":
        return "top-fmt"
    return "disk0"


# --- 1: quit leaves

@LIVE
@pytest.mark.parametrize("line", ["quit", "q"])
def test_quit_leaves_the_other_machine_alone(d, kind, line):
    with kind(d) as end:
        end.ok("info block", line)
        assert answers(end)


@LIVE
def test_the_end_of_input_leaves_it_alone(d, kind):
    with kind(d) as end:
        out = blk.blkmon(*end.connect(), stdin="info block\n")
        assert out.rc == 0 and "disk0" in out.out, out
        assert answers(end)


def test_quit_as_json_is_our_own_until_a_place_is_in_use(d):
    quit_it = json.dumps({"execute": "quit"})
    with ends.Drive(d) as end:
        out = end.ok(quit_it)
        assert answers(end), out
        end.blkmon("use ours", quit_it)
        end.proc.wait(blk.PATIENCE)


@pytest.mark.parametrize("lines, sent", [
    ([], []), (["quit"], []), (["q"], []), (["use s", "quit"], []),
    (["use s", "q"], []), ([QUIT], []),
    (["use s", QUIT], ["quit"])])
def test_nothing_is_sent_when_we_leave(d, lines, sent):
    """Not a machine that lives on is what tells, but what it was asked."""
    with Script(d, RUNS) as end:
        proc = fed(end)
        proc.stdin.write("\n".join(["info status", *lines]) + "\n")
        proc.stdin.close()
        end.accept()
        end.serve_all()
        assert proc.wait(blk.PATIENCE) == bool(sent), proc.stdout.read()
        assert "query-status" in end.seen and end.changes() == sent


# --- 2: jobs of others

@LIVE
def test_the_end_of_a_script_leaves_a_strangers_ready_commit(d, kind):
    with kind(d) as end, end.other() as qmp:
        qmp.ask("block-commit", device=root(end, qmp), job_id="theirs")
        qmp.event("BLOCK_JOB_READY", device="theirs")
        out = end.ok("info block-jobs")
        assert "theirs" in out.out, out
        jobs = qmp.ask("query-jobs")
        assert [(j["id"], j["status"]) for j in jobs] == \
            [("theirs", "ready")]


@LIVE
def test_wait_without_a_name_is_not_about_them(d, kind):
    with kind(d) as end, end.other() as qmp:
        qmp.ask("block-commit", device=root(end, qmp), job_id="theirs")
        qmp.event("BLOCK_JOB_READY", device="theirs")
        end.ok("wait")
        out = end.blkmon("wait theirs")
        assert out.rc == 1 and "'theirs' is ready" in out.out, out
        assert names(qmp) == ["theirs"]


@LIVE
def test_a_strangers_job_that_fails_fails_no_script(d, kind):
    with kind(d) as end, end.other() as qmp:
        qmp.ask("block-stream", device=root(end, qmp), job_id="theirs",
                speed=65536)
        out = subprocess.Popen([blk.BLKMON, *end.connect(), "--echo"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)
        out.stdin.write("info block-jobs\n")
        out.stdin.flush()
        while "theirs" not in out.stdout.readline():
            pass
        qmp.ask("block-job-cancel", device="theirs", force=True)
        qmp.event("JOB_STATUS_CHANGE", id="theirs", status="null")
        out.communicate("info block-jobs\n", timeout=blk.PATIENCE)
        assert out.returncode == 0


@LIVE
def test_a_strangers_job_that_begins_meanwhile(d, kind):
    """What is known of it is what events say."""
    with kind(d) as end, end.other() as qmp:
        proc = console(end)
        type_line(proc, "info block")
        read_until(proc, "Backing file")
        qmp.ask("block-commit", device=root(end, qmp), job_id="theirs")
        qmp.event("BLOCK_JOB_READY", device="theirs")
        type_line(proc, "info block")
        read_until(proc, "Backing file")
        proc.communicate(timeout=blk.PATIENCE)
        assert proc.returncode == 0
        assert [(j["id"], j["status"]) for j in qmp.ask("query-jobs")] == \
            [("theirs", "ready")]


@LIVE
def test_wait_for_a_strangers_job_that_ended_since_we_came(d, kind):
    """It was there then, so its end is not that of a job nobody knows."""
    with kind(d) as end, end.other() as qmp:
        qmp.ask("block-commit", device=root(end, qmp), job_id="theirs")
        qmp.event("BLOCK_JOB_READY", device="theirs")
        proc = console(end)
        type_line(proc, "info block")
        read_until(proc, "Backing file")
        qmp.ask("block-job-complete", device="theirs")
        qmp.event("JOB_STATUS_CHANGE", id="theirs", status="null")
        out, err = proc.communicate("wait theirs done 20\n",
                                    timeout=blk.PATIENCE)
        assert proc.returncode == 0, (out, err)


@LIVE
def test_what_we_began_is_ours_to_end(d, kind):
    with kind(d) as end, end.other() as qmp:
        out = end.blkmon("block_commit disk0", "wait disk0 ready 20")
        assert out.rc == 1, out
        assert "'disk0' was ready and nobody went on with it" in out.err
        assert names(qmp) == []


@LIVE
def test_an_earlier_consoles_job_is_a_strangers(d, kind):
    with kind(d) as end, end.other() as qmp:
        end.ok("block_commit disk0", "wait disk0 ready 20", "quit")
        assert names(qmp) == ["blkmon-disk0"]
        end.ok("info block-jobs")
        assert names(qmp) == ["blkmon-disk0"]
        end.ok("block_job_complete disk0", "wait disk0 done 20")
        assert names(qmp) == []


# --- 3: the end of the other machine

def console(end, *args):
    """A console that is fed by hand."""
    return subprocess.Popen([blk.BLKMON, *end.connect(), "--echo",
                             "--on-error", "continue", *args],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, bufsize=1)


def type_line(proc, line):
    """Types it; the text up to the next line's echo is its answer."""
    proc.stdin.write(line + "\n")
    proc.stdin.flush()


def read_until(proc, text):
    said = ""
    while text not in said:
        line = proc.stdout.readline()
        assert line, said
        said += line
    return said


@LIVE
def test_a_machine_that_ends_is_gone_and_the_console_is_not(d, kind):
    with kind(d) as end:
        proc = console(end)
        type_line(proc, "info block")
        read_until(proc, "Backing file")
        with end.other() as qmp:
            qmp.send({"execute": "quit"})
            with pytest.raises(Gone):
                while True:
                    qmp.receive()
        end.proc.wait()
        read_until(proc, "gone")
        type_line(proc, "info block")
        read_until(proc, "Error: it is gone")
        type_line(proc, "help quit")
        read_until(proc, "leave")
        proc.communicate(timeout=blk.PATIENCE)
        assert proc.returncode == 1


def test_a_scripts_next_line_fails(d):
    with ends.Drive(d) as end:
        proc = console(end)
        type_line(proc, "info status")
        read_until(proc, "VM status")
        end.kill()
        read_until(proc, "gone")
        out, _ = proc.communicate("info block\n", timeout=blk.PATIENCE)
        assert proc.returncode == 1 and "it is gone" in out


@pytest.mark.parametrize("line", ["stop", "{ 'execute': 'stop' }",
                                  "use s\n{ 'execute': 'stop' }"])
def test_a_line_to_one_that_is_gone_is_never_sent(d, line):
    """It fails while nobody is there, and is not kept for who comes back."""
    with Script(d, RUNS) as end:
        proc = fed(end, "--on-error", "continue")
        type_line(proc, "info status")
        end.accept()
        end.say({"return": RUNS["query-status"],
                 "id": end.serve("query-status")["id"]})
        end.go_away()
        read_until(proc, "s: gone: ")
        type_line(proc, line)
        said = read_until(proc, "rror").splitlines()[-1]
        assert re.search('(: |")it is gone: ', said), said
        end.listen()
        end.accept()
        serving = threading.Thread(target=end.serve_all)
        serving.start()
        read_until(proc, "s: there again")
        proc.communicate("info status\n", timeout=blk.PATIENCE)
        serving.join(blk.PATIENCE)
        assert end.seen.count("query-status") > 1 and not end.changes()
        assert proc.returncode == 1


# --- 4: --look

CHANGES = [
    "snapshot_blkdev disk0 %s/sn.qcow2", "block_stream disk0",
    "block_commit disk0", "commit disk0", "block_resize disk0 20M",
    "snapshot_blkdev_internal disk0 x", "stop", "cont", "drive_del disk0",
    "block_job_cancel nobody", "nbd_server_start unix:%s/n.sock",
    "{ 'execute': 'stop' }", "{ 'execute': 'human-monitor-command', "
    "'arguments': { 'command-line': 'stop' } }",
    "block-stream device=disk0 job-id=x",
]


@LIVE
@pytest.mark.parametrize("how", ["option", "address"])
def test_looking_changes_nothing(d, kind, how):
    with kind(d) as end, end.other() as qmp:
        connect = ["--look", *end.connect()] if how == "option" else \
            ["--connect", "unix:%s,look=on" % end.path]
        lines = [line % d if "%" in line else line for line in CHANGES]
        argv = [*connect, "--echo", "--on-error", "continue"]
        for line in lines:
            argv += ["-c", line]
        out = blk.blkmon(*argv)
        assert out.rc == 1
        for said in out.out.split("(blkmon) ")[1:]:
            assert "only looked at" in said, said
        assert names(qmp) == []
        assert not os.path.exists(d + "/sn.qcow2")
        out = blk.blkmon_ok(*connect, "-c", "info block", "-c",
                            "{ 'execute': 'query-block' }")
        assert "top.qcow2" in out.out


# --- 5: a manager's machine

def test_a_managed_machine_is_only_looked_at(d):
    with ends.Managed(d) as end, end.other() as qmp:
        out = end.ok("info block")
        assert "qemu:///system" in out.text, out
        for line in ("block_stream disk0", "block_commit disk0",
                     "snapshot_blkdev disk0 %s/sn.qcow2" % d, "stop",
                     "{ 'execute': 'stop' }"):
            out = end.blkmon(line)
            assert out.rc == 1 and "qemu:///system" in out.out, out
        assert names(qmp) == [] and not os.path.exists(d + "/sn.qcow2")
        end.ok("block_stream disk0", "wait disk0 done 20",
               args=["--force-attach"])


# --- 7: nothing is started to look

@LIVE
def test_looking_starts_nothing(d, kind):
    look = ["info block", "info block -v", "info block -n", "info nbd",
            "info block-jobs", "info blockstats", "info snapshots"]
    with kind(d) as end, end.other() as qmp:
        before = qmp.ask("query-block-exports")
        nodes = [n["node-name"] for n in
                 qmp.ask("query-named-block-nodes", flat=True)]
        end.blkmon(*look, args=["--on-error", "continue"])
        assert qmp.ask("query-block-exports") == before
        if kind is not ends.Daemon:     # which has one of its own
            _, words = qmp.refused({"execute": "nbd-server-stop"})
            assert words == "NBD server not running"
        assert [n["node-name"] for n in
                qmp.ask("query-named-block-nodes", flat=True)] == nodes


@pytest.mark.parametrize("kind", [ends.Drive, ends.Blockdev, ends.Daemon],
                         ids=lambda k: k.kind)
@pytest.mark.parametrize("line", [
    "info block -n", "block_stream disk0", "snapshot_blkdev disk0 %s/x",
    "{ 'execute': 'query-named-block-nodes' }"])
def test_a_question_ends_no_machine(d, kind, line):
    """QEMU 7.2 crashes when it is asked for its nodes while a stream of that
    kind stands there."""
    with kind(d) as end, end.other() as qmp:
        qmp.ask("block-stream", device=root(end, qmp), job_id="theirs",
                auto_dismiss=False)
        qmp.event("JOB_STATUS_CHANGE", id="theirs", status="concluded")
        out = end.blkmon("info block-jobs", line % d if "%" in line else line)
        assert out.rc == 1 and "can end the machine" in out.out, out
        assert end.alive() and names(qmp) == ["theirs"]
        qmp.ask("job-dismiss", id="theirs")
        end.ok("info block -n")


@pytest.mark.parametrize("kind", [ends.Drive, ends.Blockdev, ends.Daemon],
                         ids=lambda k: k.kind)
@pytest.mark.parametrize("line", ["block_commit -k disk0 base.qcow2"])
def test_what_an_end_cannot_keep_is_not_written_over(d, kind, line):
    with kind(d) as end, end.other() as qmp:
        out = end.blkmon(line)
        assert out.rc == 1 and "to keep what is written over" in out.out, out
        assert names(qmp) == []


# --- 9: a lost answer

@pytest.mark.parametrize("line", ["stop", "{ 'execute': 'stop' }"])
def test_a_lost_answer_is_no_failure(d, line):
    with Script(d) as end:
        proc = subprocess.Popen([blk.BLKMON, "--connect", "unix:" + end.path,
                                 "-c", line], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        end.accept()
        assert end.serve("stop")
        end.sock.close()
        out, err = proc.communicate(timeout=blk.PATIENCE)
        assert proc.returncode == 1
        assert "it may have been done" in out and "fail" not in out, out


def test_no_answer_in_time_is_none_either(d):
    with Script(d) as end:
        proc = subprocess.Popen([blk.BLKMON, "--connect", "unix:" + end.path,
                                 "-c", "stop"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        end.accept()
        assert end.serve("stop")
        out, err = proc.communicate(timeout=blk.PATIENCE)
        assert proc.returncode == 1
        assert "no answer in time" in out and "may have been done" in out


def test_a_question_without_an_answer_changed_nothing(d):
    with Script(d) as end:
        proc = subprocess.Popen([blk.BLKMON, "--connect", "unix:" + end.path,
                                 "-c", "info status"],
                                stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        end.accept()
        assert end.serve("query-status")
        end.sock.close()
        out, err = proc.communicate(timeout=blk.PATIENCE)
        assert proc.returncode == 1 and "connection is lost" in out
        assert "may have been" not in out


def test_a_strangers_error_is_told_by_an_event_alone(d):
    """A job that began and failed between two lines; the script is well."""
    with Script(d) as end:
        proc = subprocess.Popen([blk.BLKMON, "--connect", "unix:" + end.path,
                                 "-c", "info status", "-c", "info status"],
                                stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        end.accept()
        got = end.serve("query-status")
        for name, data in (
                ("JOB_STATUS_CHANGE", {"id": "theirs", "status": "created"}),
                ("BLOCK_JOB_COMPLETED", {
                    "device": "theirs", "type": "stream", "len": 2,
                    "offset": 1, "speed": 0, "error": "No space"})):
            end.say({"event": name, "data": data,
                     "timestamp": {"seconds": 1, "microseconds": 1}})
        end.answers["query-status"] = {"status": "running", "running": True}
        end.say({"return": end.answers["query-status"], "id": got["id"]})
        end.serve("nothing more")
        out, err = proc.communicate(timeout=blk.PATIENCE)
        assert proc.returncode == 0, (out, err)


# --- 10: words of others

def test_names_of_others_are_shown_escaped(d):
    evil = "\x1b]0;owned\x07\u202e\n$(id)"
    image = {"filename": evil, "format": "qcow2", "virtual-size": 1,
             "backing-filename": evil, "backing-filename-depth": 1}
    node = {"node-name": "\x1b[7mtop", "drv": "\u202eqcow2", "file": evil,
            "image": image, "ro": False, "cache": {}}
    block = [{"device": "disk0", "type": "unknown", "inserted": node,
              "qdev": evil, "io-status": evil}]
    with Script(d, {"query-block": block,
                    "query-named-block-nodes": [node]}) as end:
        proc = subprocess.Popen([blk.BLKMON, "--connect", "unix:" + end.path,
                                 "-c", "info block"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        end.accept()
        end.serve("quit")
        out, err = proc.communicate(timeout=blk.PATIENCE)
        assert proc.returncode == 0
        assert "\x1b" not in out and "\u202e" not in out
        assert "\\x1b]0;owned" in out, out
        assert "\n$(id)" not in out and "\\x1b[7mtop" in out, out


def test_nobody_begins_a_line_of_ours(d):
    """Wherever a machine's words are printed: names, events, errors."""
    evil = "x\nError: forged\x1b[1m"
    job = {"id": evil, "type": evil, "status": evil, "device": evil,
           "len": 1, "offset": 1, "speed": 0, "busy": False, "paused": False,
           "ready": False, "io-status": evil, "current-progress": 1,
           "total-progress": 2, "error": evil}
    answers = {"query-jobs": [job], "query-block-jobs": [job],
               "query-status": {"status": evil, "running": False},
               "query-name": {"name": evil},
               "query-version": {"qemu": {"major": 1, "minor": 2, "micro": 3},
                                 "package": evil},
               "query-block-exports": [{"id": evil, "node-name": evil,
                                        "type": evil}]}
    with Script(d, answers) as end:
        end.answers["query-commands"] += [{"name": name} for name in answers]
        proc = subprocess.Popen(
            [blk.BLKMON, "--connect", "unix:" + end.path, "--on-error",
             "continue", "-c", "info status", "-c", "info version", "-c",
             "info nbd", "-c", "info block-jobs", "-c", "places", "-c",
             "stop"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True)
        end.accept()
        got = end.serve("stop")
        for name in ("SHUTDOWN", "BLOCK_JOB_COMPLETED", "BLOCK_JOB_ERROR",
                     "JOB_STATUS_CHANGE"):
            end.say({"event": name, "data": {**job, "reason": evil,
                                             "operation": evil},
                     "timestamp": {"seconds": 1, "microseconds": 1}})
        end.say({"error": {"class": "GenericError", "desc": evil},
                 "id": got["id"]})
        end.serve("nothing more")
        out, _ = proc.communicate(timeout=blk.PATIENCE)
    assert out.count("forged") >= 7 and "\x1b" not in out, out
    assert not [line for line in out.splitlines()
                if line.startswith("Error: forged")], out


SSH = """#!/bin/sh
printf '%%s\\n' "$@" > %(log)s
while test "$1" != --; do shift; done
shift 2
exec sh -c "$*"
"""


def fake_ssh(d):
    """An ssh that stays on this machine, and says what it was given."""
    path = os.path.join(d, "bin")
    os.mkdir(path)
    with open(path + "/ssh", "w", encoding="ascii") as stream:
        stream.write(SSH % {"log": d + "/argv"})
    os.chmod(path + "/ssh", stat.S_IRWXU)
    with open(path + "/nc", "w", encoding="ascii") as stream:
        stream.write("#!/usr/bin/python3\n"
                     "import os, select, socket, sys\n"
                     "s = socket.socket(socket.AF_UNIX)\n"
                     "s.connect(sys.argv[-1])\n"
                     "while True:\n"
                     "    for r in select.select([0, s], [], [])[0]:\n"
                     "        data = os.read(r if r == 0 else s.fileno(), "
                     "65536)\n"
                     "        if not data: sys.exit()\n"
                     "        os.write(s.fileno() if r == 0 else 1, data)\n")
    os.chmod(path + "/nc", stat.S_IRWXU)
    return dict(os.environ, PATH="%s:/usr/bin:/bin" % path)


def test_ssh_gets_the_path_as_one_word(d):
    where = os.path.join(d, "it's $(touch owned) & ; x")
    os.mkdir(where)
    with ends.Blkmon(where) as end:
        out = blk.blkmon_ok("--connect", "ssh:root@host2:" + end.path, "-c",
                            "info block", env=fake_ssh(d), cwd=d)
        assert "disk0" in out.out
    with open(d + "/argv", encoding="utf-8") as stream:
        argv = stream.read().splitlines()
    assert argv[-3:-1] == ["--", "root@host2"], argv
    assert not os.path.exists(d + "/owned")


@pytest.mark.parametrize("host", ["-oProxyCommand=touch owned", "a@-x", "a@",
                                  "", "-x"])
def test_no_host_is_an_option(d, host):
    out = blk.blkmon("--connect", "ssh:%s:/x" % host, "-c", "info block",
                     env=fake_ssh(d), cwd=d)
    assert out.rc == 2 and not os.path.exists(d + "/argv"), out


@pytest.mark.parametrize("where", ["10.0.0.1:4444", "example.com:4444",
                                   "[2001:db8::1]:4444", "0.0.0.0:4444"])
def test_tcp_stays_on_this_machine(where):
    out = blk.blkmon("--connect", "tcp:" + where, "-c", "info block")
    assert out.rc == 2 and "leaves this machine" in out.err, out


# --- 11: paths of others

def test_paths_of_another_machine_are_not_opened_here(d):
    """The kernel tells who opens the file that the far end names."""
    libc = ctypes.CDLL(None, use_errno=True)
    trap = os.path.join(d, "trap")
    with open(trap, "wb") as stream:
        stream.write(b"QFI\xfb")
    watch = libc.inotify_init1(os.O_NONBLOCK)
    assert watch >= 0
    assert libc.inotify_add_watch(watch, trap.encode(), 0x20) >= 0  # IN_OPEN
    image = {"filename": trap, "format": "qcow2", "virtual-size": 1 << 20,
             "actual-size": 1, "backing-filename": trap,
             "full-backing-filename": trap}
    node = {"node-name": "n", "drv": "qcow2", "file": trap, "image": image,
            "ro": False, "cache": {}}
    block = [{"device": "disk0", "type": "unknown", "inserted": node}]
    with Script(d, {"query-block": block,
                    "query-named-block-nodes": [node]}) as end:
        proc = subprocess.Popen([blk.BLKMON, "--connect", "unix:" + end.path,
                                 "-c", "info block -v", "-c", "info block -n",
                                 "-c", "block_commit disk0 trap"],
                                stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        end.accept()
        end.serve("block-commit")
        end.sock.close()
        proc.communicate(timeout=blk.PATIENCE)
    with pytest.raises(BlockingIOError):
        assert not os.read(watch, 4096), "somebody opened it"
    with open(trap, "rb"):
        assert os.read(watch, 4096)     # it would have been noticed
    os.close(watch)
