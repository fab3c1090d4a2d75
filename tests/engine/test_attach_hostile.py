# SPDX-License-Identifier: GPL-3.0-or-later
"""An end that is broken, slow or hostile hurts nobody; one that is lost comes
back."""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import threading

import pytest

import blk
import ends
from scripted import Script
from test_attach_rules import console, read_until, type_line

LIMIT = 1 << 31


class There:
    """What is at a socket."""

    def __init__(self, path):
        self.path = path

    def connect(self):
        return ["--connect", "unix:" + self.path]


def run(end, *lines, memory=False):
    """A script on it, as a process."""
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))

    argv = [blk.BLKMON, "--connect", "unix:" + end.path]
    for line in lines:
        argv += ["-c", line]
    return subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=limit if memory and not os.environ.get("SAN")
        else None)


def ended(proc, status=1):
    out, err = proc.communicate(timeout=blk.PATIENCE)
    assert proc.returncode == status, (proc.returncode, out, err)
    return out + err


GREETING = json.dumps(Script.GREETING).encode() + b"\r\n"


@pytest.mark.parametrize("first", [
    b"", b"HTTP/1.1 200 OK\r\n\r\n", b'{"event": "STOP"}\r\n', b"[]", b"\0" * 99,
    b'{"QMP": 1}', b'{"return": {}}', b"{" * 2000, b"\xff\xfe"],
    ids=["eof", "http", "event", "array", "zeroes", "number", "reply", "deep",
         "bytes"])
def test_who_does_not_greet_is_no_monitor(d, first):
    with Script(d) as end:
        proc = run(end, "info block")
        end.accept(greet=False)
        with contextlib.suppress(OSError):
            end.sock.sendall(first)
        end.sock.close()
        end.listening.close()
        ended(proc)


@pytest.mark.parametrize("at", range(0, len(GREETING), 17))
def test_an_end_anywhere_in_the_greeting(d, at):
    with Script(d) as end:
        proc = run(end, "info block")
        end.accept(greet=False)
        end.sock.sendall(GREETING[:at])
        end.sock.close()
        end.listening.close()
        ended(proc)


@pytest.mark.parametrize("command", ["qmp_capabilities", "query-commands",
                                     "query-jobs", "query-named-block-nodes",
                                     "query-block"])
@pytest.mark.parametrize("answer", [
    b"", b'{"ret', b"x", b'{"return": }', b'{"return": [', b"[" * 1100,
    b'{"return": "\xc3\x28\xff"}', b'{"return": "\\ud800"}',
    b'{"return": 1' + b"0" * 5000 + b"}"],
    ids=["eof", "half", "word", "hole", "open", "deep", "bytes", "surrogate",
         "number"])
def test_half_an_answer(d, command, answer):
    with Script(d) as end:
        proc = run(end, "info block", "info block -n")
        end.accept()
        end.serve(command)
        with contextlib.suppress(OSError):
            end.sock.sendall(answer)
            end.sock.close()
        end.listening.close()
        ended(proc)


@pytest.mark.parametrize("value", [
    "null", "7", "[]", "{}", "[[]]", "[null, 1, {}]", '"x"', "[{}]",
    '[{"device": 1, "inserted": [], "node-name": {}}]',
    '[{"name": [], "id": {}, "status": 1, "device": null}]',
    '[{"inserted": {"image": {"backing-image": 3}, "node-name": "a"}}]'])
def test_answers_of_another_kind(d, value):
    """Right JSON, and not what was asked for."""
    with Script(d) as end:
        proc = run(end, "info block", "info block -v", "info block-jobs",
                   "info snapshots", "info blockstats", "block_stream a",
                   "block_job_cancel a")
        end.accept()
        while got := end.take():
            name = got["execute"]
            known = name in ("qmp_capabilities", "query-commands")
            reply = json.dumps(end.answers[name]) if known else value
            end.sock.sendall(b'{"return": %s, "id": %d}\r\n' %
                             (reply.encode(), got["id"]))
        proc.communicate(timeout=blk.PATIENCE)
        assert proc.returncode in (0, 1)


def test_replies_count_by_their_id(d):
    """Others are passed over, and so is one that comes twice."""
    with Script(d) as end:
        proc = run(end, "info status", "quit")
        end.accept()
        got = end.serve("query-status")
        wrong = {"status": "wrong", "running": False}
        for mark in (None, "x", -1, 10 ** 12, got["id"] + 1, got["id"] - 1,
                     [got["id"]], 1.5, str(got["id"])):
            end.say({"return": wrong, "id": mark})
        end.say({"return": wrong})
        end.say({"error": {"class": "GenericError", "desc": "no"}})
        for _ in range(2):
            end.say({"return": {"status": "running", "running": True},
                     "id": got["id"]})
        assert "VM status: running" in ended(proc, 0)


@pytest.mark.parametrize("what", ["string", "values"])
def test_a_reply_without_end_costs_no_memory(d, what):
    """100 MiB of it: the connection ends, and the program does not."""
    piece = b"x" * 65536 if what == "string" else b"1," * 32768
    with Script(d) as end:
        proc = run(end, "info block", memory=True)
        end.accept()
        end.serve("query-block")
        with contextlib.suppress(OSError):
            end.sock.sendall(b'{"return": ' +
                             (b'"' if what == "string" else b"["))
            for _ in range(100 * blk.MIB // len(piece)):
                end.sock.sendall(piece)
        end.sock.close()
        end.listening.close()
        assert "connection is lost" in ended(proc)


def test_more_entries_than_any_machine_has(d):
    """Nobody compares each with each."""
    with Script(d, {"query-block": [{"device": "d%d" % n} for n in
                                    range(200000)]}) as end:
        proc = run(end, "info block", "quit", memory=True)
        end.accept()
        end.serve("nothing")
        assert "more than 8192 entries" in ended(proc)


def test_a_long_chain(d):
    """query-block nests an image in each that lies on it."""
    with ends.Drive(d) as end:
        end.kill()
        for n in range(80):
            path = os.path.join(d, "over%d.qcow2" % n)
            blk.create(path, None, end.chain[-1])
            end.chain.append(path)
        end.chain[2] = end.chain[-1]
        end.start()
        out = end.ok("info block", "block_stream disk0 0 base.qcow2",
                     "wait disk0 done 50", "info block")
        assert "chain depth: 82" in out.out and "chain depth: 1)" in out.out


def test_a_flood_of_events(d):
    """More than anybody keeps: the oldest are kept, the rest is counted."""
    event = json.dumps({"event": "BLOCK_JOB_READY", "timestamp": {},
                        "data": {"device": "x", "type": "commit", "len": 1,
                                 "offset": 1, "speed": 0}}) + "\r\n"
    with Script(d) as end:
        proc = run(end, "info status", "quit", memory=True)
        end.accept()
        got = end.serve("query-status")
        end.sock.sendall(event.encode() * 50000)
        end.say({"return": {"status": "running", "running": True},
                 "id": got["id"]})
        end.serve("nothing more")
        assert "VM status: running" in ended(proc, 0)


def test_a_monitor_that_somebody_holds_is_said(d):
    with ends.Drive(d) as end:
        with end.other():
            out = blk.blkmon("--connect", "unix:" + end.beside, "-c",
                             "info block")
        assert out.rc == 1
        assert "(pid %d) holds its monitor" % os.getpid() in out.err, out


def test_one_that_does_not_answer_is_not_asked_again(d):
    """The first line runs into its limit; those behind it fail at once, and
    nothing of them is sent, not even later."""
    with Script(d) as end:
        proc = console(There(end.path))
        end.accept()
        type_line(proc, "info status")
        got = end.serve("query-status")
        read_until(proc, "no answer in time")
        type_line(proc, "stop")
        read_until(proc, "it does not answer")
        end.say({"return": {"status": "running", "running": True},
                 "id": got["id"]})
        proc.stdin.close()
        while got := end.take():
            assert got["execute"] != "stop"
            end.say({"return": end.answers.get(got["execute"], {}),
                     "id": got["id"]})
        assert proc.wait(blk.PATIENCE) == 1


def test_a_stopped_machine_beside_a_live_one(d):
    """The job at the live one goes on and is waited for."""
    one, two = (os.path.join(d, name) for name in ("one", "two"))
    os.mkdir(one)
    os.mkdir(two)
    with ends.Drive(one) as still, ends.Drive(two) as live:
        proc = subprocess.Popen(
            [blk.BLKMON, "--connect", "still=unix:" + still.path, "--connect",
             "live=unix:" + live.path, "--echo", "--on-error", "continue"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            bufsize=1)
        type_line(proc, "places")
        read_until(proc, "live: unix")
        still.proc.send_signal(signal.SIGSTOP)
        type_line(proc, "block_commit live/disk0")
        type_line(proc, "wait live/disk0 ready 50")
        type_line(proc, "block_job_complete live/disk0")
        type_line(proc, "wait live/disk0 done 50")
        type_line(proc, "places")
        said = read_until(proc, "live: unix")
        assert "still: " in said and "slow" in said, said
        still.proc.send_signal(signal.SIGCONT)
        out, _ = proc.communicate("info block still/disk0\n",
                                  timeout=blk.PATIENCE)
        assert "Error" not in said + out, said + out
        assert "still/disk0" in out and proc.returncode == 0, out


# ------------------------------------------------------------- reconnection

def test_it_comes_back(d):
    with ends.Drive(d) as end:
        proc = console(end)
        type_line(proc, "info block")
        read_until(proc, "Backing file")
        end.kill()
        read_until(proc, "gone")
        end.start()
        read_until(proc, "there again")
        type_line(proc, "info block")
        read_until(proc, "Backing file")
        proc.stdin.close()
        assert proc.wait(blk.PATIENCE) == 0


class Relay:
    """A way to an end that can be cut."""

    def __init__(self, d, end):
        self.end = end
        self.script = Script(d)
        self.path = self.script.path
        self.pairs = []
        self.open = True
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):

        while True:
            try:
                near, _ = self.script.listening.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            if not self.open:
                near.close()
                continue
            far.connect(self.end.path)
            self.pairs.append((near, far))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.move, args=(a, b),
                                 daemon=True).start()

    @staticmethod
    def move(a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                b.sendall(data)
        for s in (a, b):
            with contextlib.suppress(OSError):
                s.shutdown(2)

    def cut(self):
        self.open = False
        for pair in self.pairs:
            for s in pair:
                with contextlib.suppress(OSError):
                    s.shutdown(2)
        self.pairs = []


COMMITS = pytest.mark.parametrize("kind", ends.ALL, ids=lambda k: k.kind)


@COMMITS
def test_a_job_that_ended_meanwhile_is_found(d, kind):
    """Its end is told when the connection is there again, and it is dismissed
    then."""
    with kind(d) as end, end.other() as qmp:
        relay = Relay(d, end)
        proc = console(There(relay.path))
        type_line(proc, "block_commit disk0 base.qcow2 mid.qcow2 512K")
        type_line(proc, "info block-jobs")
        read_until(proc, "Type commit, device disk0")
        relay.cut()
        read_until(proc, "gone")
        qmp.ask("block-job-set-speed", device="blkmon-disk0", speed=0)
        qmp.event("JOB_STATUS_CHANGE", id="blkmon-disk0", status="concluded")
        relay.open = True
        type_line(proc, "wait disk0 done 50")
        type_line(proc, "help quit")
        said = read_until(proc, "leave")
        assert "Error" not in said, said
        qmp.event("JOB_STATUS_CHANGE", id="blkmon-disk0", status="null")
        proc.communicate(timeout=blk.PATIENCE)
        assert proc.returncode == 0


@COMMITS
def test_a_wait_goes_on_while_the_line_is_lost(d, kind):
    with kind(d) as end, end.other() as qmp:
        relay = Relay(d, end)
        proc = console(There(relay.path))
        type_line(proc, "block_commit disk0 base.qcow2 mid.qcow2 512K")
        type_line(proc, "info block-jobs")
        read_until(proc, "Type commit, device disk0")
        type_line(proc, "wait disk0 done 50")
        relay.cut()
        read_until(proc, "gone")
        relay.open = True
        read_until(proc, "there again")
        qmp.ask("block-job-set-speed", device="blkmon-disk0", speed=0)
        out, _ = proc.communicate(timeout=blk.PATIENCE)
        assert proc.returncode == 0, out


def test_a_job_of_one_of_two_places_goes_on_while_the_line_is_lost(d):
    """Nobody says that it is gone: the other place would not know."""
    folders = [os.path.join(d, name) for name in ("one", "two")]
    for folder in folders:
        os.mkdir(folder)
    with ends.Drive(folders[0]) as one, one.other() as qmp, \
            ends.Daemon(folders[1]) as two:
        relay = Relay(d, one)
        proc = subprocess.Popen(
            [blk.BLKMON, "--connect", "web=unix:" + relay.path, "--connect",
             "db=unix:" + two.path, "--echo"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            bufsize=1)
        type_line(proc, "block_commit web/disk0 base.qcow2 mid.qcow2 64K")
        type_line(proc, "block_stream db/disk0 64K")
        type_line(proc, "info block-jobs")
        read_until(proc, "Type commit")
        relay.cut()
        said = read_until(proc, "web: gone")
        type_line(proc, "block_job_set_speed db/disk0 0")
        type_line(proc, "wait db/disk0 done 50")
        type_line(proc, "places")
        said += read_until(proc, "web: unix")
        relay.open = True
        said += read_until(proc, "web: there again")
        qmp.ask("block-job-set-speed", device="blkmon-disk0", speed=0)
        said += proc.communicate("wait web/disk0 done 50\n",
                                 timeout=blk.PATIENCE)[0]
        assert proc.returncode == 0 and "not known" not in said, said


def test_an_end_that_never_comes_back_ends_a_wait(d):
    with ends.Drive(d) as end:
        proc = console(end)
        type_line(proc, "block_commit disk0 base.qcow2 mid.qcow2 64K")
        type_line(proc, "info block-jobs")
        read_until(proc, "Type commit, device disk0")
        end.kill()
        type_line(proc, "wait disk0 done 1")
        read_until(proc, "Error: timed out")
        proc.kill()
        proc.communicate()


def test_a_new_machine_on_the_old_socket_has_not_our_job(d):
    """Nobody says how it ended, and that is what is said."""
    with ends.Drive(d) as end:
        proc = console(end)
        type_line(proc, "block_commit disk0 base.qcow2 mid.qcow2 64K")
        type_line(proc, "info block-jobs")
        read_until(proc, "Type commit, device disk0")
        end.kill()
        read_until(proc, "gone")
        end.start()
        type_line(proc, "wait disk0 done 50")
        read_until(proc, "how it ended is not known")
        proc.communicate(timeout=blk.PATIENCE)
        assert proc.returncode == 1


def test_an_earlier_consoles_error_is_told(d):
    """What it began and was not there to see the end of."""
    with ends.Drive(d) as end, end.other() as qmp:
        end.ok("block_commit disk0 base.qcow2 mid.qcow2 64K", "quit")
        qmp.ask("block-job-cancel", device="blkmon-disk0", force=True)
        qmp.event("JOB_STATUS_CHANGE", id="blkmon-disk0", status="concluded")
        end.ok("info block-jobs")
        assert qmp.ask("query-jobs") == []
