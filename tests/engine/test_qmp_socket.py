# SPDX-License-Identifier: GPL-3.0-or-later
"""QMP on sockets and on stdio, and the options that make them."""

import contextlib
import json
import os
import random
import re
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

import blk
from blk import MIB
from qmpsock import Gone, Qmp, Server


@pytest.fixture
def server(d, pair):
    with Server(d, "--drive", "file=%s,format=qcow2" % pair[-1]) as s:
        yield s


def jobs_of(client):
    return [j["device"] for j in client.ask("query-block-jobs")]


# ------------------------------------------------------------- the protocol

def test_greeting(server):
    with server.client(negotiate=False) as c:
        qmp = c.greeting["QMP"]
        assert qmp["version"]["qemu"] == {"major": 7, "minor": 2,
                                          "micro": 22}
        assert qmp["capabilities"] == []


GENERIC, NOT_FOUND = "GenericError", "CommandNotFound"
NEGOTIATE = (NOT_FOUND, "Expecting capabilities negotiation with "
             "'qmp_capabilities'")
OBJECT = (GENERIC, "QMP input must be a JSON object")


def test_before_negotiation(server):
    """Transcript 11, the beginning."""
    with server.client(negotiate=False) as c:
        assert c.refused('{"execute": "query-version"}') == NEGOTIATE
        assert c.refused('{"execute": "nosuch"}') == NEGOTIATE
        assert c.refused("{}")[1] == "QMP input lacks member 'execute'"
        c.send({"execute": "stop", "id": [1]})
        assert c.receive()["id"] == [1]
        assert c.ask("qmp_capabilities") == {}
        assert c.refused('{"execute": "qmp_capabilities"}') == (
            NOT_FOUND, "Capabilities negotiation is already complete, "
            "command ignored")
        assert c.ask("query-status")["status"] == "running"
        assert not c.events


def test_oob_is_not_offered(server):
    with server.client(negotiate=False) as c:
        assert c.refused({"execute": "qmp_capabilities",
                          "arguments": {"enable": ["oob"]}})[0] == GENERIC
        assert c.ask("qmp_capabilities", enable=[]) == {}
        assert c.refused('{"exec-oob": "query-version"}') == (
            GENERIC, "QMP input member 'exec-oob' is unexpected")


@pytest.mark.parametrize("line,error", [
    ('{"id": 7, "execute": "nosuch-command"}',
     (NOT_FOUND, "The command nosuch-command has not been found")),
    ('{"execute": 5}',
     (GENERIC, "QMP input member 'execute' must be a string")),
    ('{"arguments": {}}', (GENERIC, "QMP input lacks member 'execute'")),
    ('{"execute": "query-version", "foo": 1}',
     (GENERIC, "QMP input member 'foo' is unexpected")),
    ('{"execute": "query-version", "arguments": 5}',
     (GENERIC, "QMP input member 'arguments' must be an object")),
    ('{"execute": "query-version", "arguments": {"x": 1}}',
     (GENERIC, "Parameter 'x' is unexpected")),
    ("[1,2]", OBJECT), ('"str"', OBJECT), ("42 ", OBJECT),
    ('{"execute": "block-stream"}',
     (GENERIC, "Parameter 'device' is missing")),
    ('{"execute": "block-stream", "arguments": {"device": 5}}',
     (GENERIC, "Invalid parameter type for 'device', expected: string")),
    ('{"execute": "block-stream", "arguments": {"device": "disk0", '
     '"speed": 1.5}}',
     (GENERIC, "Invalid parameter type for 'speed', expected: integer")),
    ('{"execute": "block-stream", "arguments": {"device": "disk0", '
     '"speed": 99999999999999999999}}',
     (GENERIC, "Invalid parameter type for 'speed', expected: integer")),
    ('{"execute": "block-stream", "arguments": {"device": "disk0", '
     '"on-error": "bogus"}}',
     (GENERIC, "Parameter 'on-error' does not accept value 'bogus'")),
])
def test_errors(server, line, error):
    """Transcript 11, requests that are not as they should be."""
    with server.client() as c:
        assert c.refused(line) == error
        assert c.ask("query-name") == {}


@pytest.mark.parametrize("garbage", [
    "hello\n", '{"execute": }\n', "}", '{"execute": "query-name", }',
    "\x00\x01\x02\n", '{"execute": "query-name\n', "#!/bin/sh\n",
    '{"a": 1, "a": 2}', '["\\u0000"]', '{"execute": "query-name"]',
    "[" * 100000 + "\n", '{"a":' * 1000 + "\n", "x" * (2 * MIB) + "\n",
    '{"execute": "' + "x" * (2 * MIB) + '"}\n',
    b'{"execute": "\xc3\x28"}', b'{"execute": "\xff', b"\xff"],
    ids=lambda text: repr(text[:12]))
def test_garbage(server, garbage):
    """One clear answer, and the connection is usable again."""
    with server.client() as c:
        kind, text = c.refused(garbage)
        assert kind == GENERIC and text.startswith("JSON parse error, ")
        assert len(text) < 300
        assert c.ask("query-name") == {}


@pytest.mark.parametrize("id_", [1, "a-string", {"x": [1, 2, None]}, None,
                                 True, -0.5, "\u20ac\U0001f600"])
def test_id(server, id_):
    with server.client() as c:
        c.send({"execute": "query-name", "id": id_})
        assert c.reply() == {"return": {}, "id": id_}
        c.send({"execute": "nosuch", "id": id_})
        assert c.reply()["id"] == id_


TALK = ('{"execute":"query-name","id":"\u00e9\u20ac\U0001f600"}'
        '\n{\n    "execute": "query-name",\n    "id": [\n        {\n'
        '            "a": null\n        }\n    ]\n}\r\n'
        "{'execute':'query-name','id':'it\\'s \"quoted\"'}"
        '{"execute":"query-name","id":4}{"execute":"query-name","id":5}'
        ).encode()
IDS = ["\u00e9\u20ac\U0001f600", [{"a": None}], "it's \"quoted\"", 4, 5]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 64, len(TALK)])
def test_packets(server, step):
    """Pretty-printed, several in a packet, single quotes, CR LF; split
    anywhere, also inside a character."""
    with server.client() as c:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for at in range(0, len(TALK), step):
            c.send(TALK[at:at + step])
        assert [c.reply()["id"] for _ in IDS] == IDS


def test_events_go_to_all_who_negotiated(server):
    with server.client() as a, server.client() as b, \
            server.client(negotiate=False) as early:
        assert a.ask("block-stream", device="disk0") == {}
        done = a.event("BLOCK_JOB_COMPLETED", device="disk0")
        assert b.event("BLOCK_JOB_COMPLETED", device="disk0") == done
        # The last that is said of a job.
        a.event("JOB_STATUS_CHANGE", id="disk0", status="null")
        assert early.ask("qmp_capabilities") == {}
        assert not early.events
        a.ask("stop")
        assert [e["event"] for e in a.events] == ["STOP"]
        assert "data" not in a.events[-1]
        early.event("STOP")


def test_seed_conversation(server):
    """Transcript 12: what a stream says from its start to its end."""
    with server.client() as c:
        c.ask("block-stream", device="disk0", speed=1)
        assert jobs_of(c) == ["disk0"]
        c.ask("block-job-set-speed", device="disk0", speed=0)
        done = c.event("BLOCK_JOB_COMPLETED")["data"]
        assert done["len"] == done["offset"] == 8 * MIB
        assert done["type"] == "stream" and done["device"] == "disk0"


def test_half_closed(server):
    with server.client(negotiate=False) as c:
        c.send('{"execute":"qmp_capabilities"}{"execute":"query-name"}')
        c.sock.shutdown(socket.SHUT_WR)
        assert c.receive() == {"return": {}}
        assert c.receive() == {"return": {}}
        with pytest.raises(Gone):
            c.receive()


def test_quit_ends_all_connections(server):
    with server.client() as a, server.client() as b:
        a.send('{"execute":"quit"}{"execute":"stop"}')
        assert a.reply() == {"return": {}}
        assert a.events[-1]["data"] == {"guest": False,
                                        "reason": "host-qmp-quit"}
        b.event("SHUTDOWN")
        for c in (a, b):
            with pytest.raises(Gone):
                c.event("STOP")
    server.ended()
    assert not os.path.exists(server.path)


def test_jobs_end_before_connections(server):
    with server.client() as c:
        c.ask("block-stream", device="disk0", speed=1)
        server.proc.send_signal(signal.SIGTERM)
        shutdown = c.event("SHUTDOWN")
        assert shutdown["data"]["reason"] == "host-signal"
        c.event("BLOCK_JOB_CANCELLED")
    server.ended()
    assert not os.path.exists(server.path)


# ------------------------------------------------------- clients who are slow

def test_unread_output_stops_nobody(server, pair):
    """A client that sends on and never reads is dropped, late, and a job and
    another client do not notice."""
    with server.client() as lazy, server.client() as c:
        for _ in range(200):
            lazy.send('{"execute":"query-commands"}')
        c.ask("block-stream", device="disk0")
        c.event("BLOCK_JOB_COMPLETED")
        with pytest.raises(OSError):
            while True:
                lazy.send('{"execute":"query-qmp-schema"}' * 50)
        assert c.ask("query-name") == {}
        server.wait_said("does not read what it is sent")
    server.quit()
    assert len(blk.img_chain(pair[-1])) == 1


def test_late_reader_loses_nothing(server):
    with server.client() as c:
        for i in range(1000):
            c.send({"execute": "query-commands", "id": i})
        assert [c.reply()["id"] for _ in range(1000)] == list(range(1000))


def peak_of(server):
    """The most memory it had, KiB."""
    with open("/proc/%d/status" % server.proc.pid,
              encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read())[1])


def depth(image):
    n = 1
    while "backing-image" in image:
        image = image["backing-image"]
        n += 1
    return n


def test_a_large_reply_is_delivered(d):
    """Each image is told with all those below it: the square of the chain's
    length, and more than is queued for a client who does not read. It costs
    the memory of one chain, and of the queue."""
    below = ()
    for i in range(200):
        name = "l%03d" % i + "x" * 200
        blk.qemu_img("create", "-q", "-f", "qcow2", "-u", *below, name, "1M",
                     cwd=d)
        below = ("-b", os.path.join(d, name), "-F", "qcow2")
    with Server(d, "--drive", "file=%s,format=qcow2" % below[1]) as s, \
            s.client() as c:
        before = peak_of(s)
        nodes = c.ask("query-named-block-nodes")
        assert sorted(depth(n["image"]) for n in nodes
                      if n["drv"] == "qcow2") == list(range(1, 201))
        assert len(json.dumps(nodes)) > 20 * MIB
        if not os.environ.get("SAN"):
            assert peak_of(s) - before < 80 << 10
        assert c.ask("query-status")["status"] == "running"


def test_fifty_clients(server):
    """All poll while a job runs; each sees it run and end."""
    failures = []
    met = threading.Barrier(51, timeout=blk.PATIENCE)

    def see(c):
        while not jobs_of(c):
            pass
        met.wait()
        while jobs_of(c):
            pass
        c.event("BLOCK_JOB_COMPLETED")
        met.wait()

    def poll():
        try:
            with server.client() as c:
                see(c)
                with contextlib.suppress(Gone, BrokenPipeError):
                    while not c.events or c.events[-1]["event"] != "SHUTDOWN":
                        jobs_of(c)
        except Exception as fault:  # pylint: disable=broad-except
            failures.append(fault)
            met.abort()

    threads = [threading.Thread(target=poll) for _ in range(50)]
    for t in threads:
        t.start()
    with server.client() as c:
        c.ask("block-stream", device="disk0", speed=1)
        with contextlib.suppress(threading.BrokenBarrierError):
            met.wait()
            c.ask("block-job-set-speed", device="disk0", speed=0)
            met.wait()
        c.ask("quit")
    for t in threads:
        t.join(blk.PATIENCE)
    server.ended()
    assert not failures and not met.broken


# ---------------------------------------------------------------------- paths

def test_socket_is_private(server):
    mode = os.stat(server.path).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600


def test_live_socket_is_refused(d, server):
    other = blk.create(os.path.join(d, "other.img"), MIB)
    out = blk.blkmon("--qmp", "unix:" + server.path, other, "-c", "info block")
    assert out.rc == 1 and "Address already in use" in out.err, out
    with server.client() as c:
        assert c.ask("query-name") == {}


def test_stale_socket_is_replaced(d, pair):
    with Server(d, pair[-1]) as s:
        s.proc.kill()
        s.proc.wait()
        assert os.path.exists(s.path)
    with Server(d, pair[-1]) as s:
        s.quit()
        assert not os.path.exists(s.path)


def test_what_is_no_socket_stays(d):
    path = os.path.join(d, "precious")
    with open(path, "w", encoding="ascii") as stream:
        stream.write("data")
    out = blk.blkmon("--qmp", "unix:" + path, "-c", "info block")
    assert out.rc == 1 and path in out.err, out
    assert blk.content(path) == b"data"


def test_another_ones_socket_stays(server):
    os.unlink(server.path)
    with socket.socket(socket.AF_UNIX) as other, Qmp_on_stdio(server) as c:
        other.bind(server.path)
        c.ask("quit")
        server.ended()
        assert os.path.exists(server.path)


# ---------------------------------------------------------------------- stdio

class Qmp_on_stdio(Qmp):
    """The other monitor of a Server, which has greeted already."""

    def __init__(self, server):     # pylint: disable=super-init-not-called
        self.server = server
        self.rest = b""
        self.events = []
        assert self.ask("qmp_capabilities") == {}

    def send(self, what):
        self.server.proc.stdin.write(json.dumps(what).encode())
        self.server.proc.stdin.flush()

    def receive(self):
        return json.loads(self.server.proc.stdout.readline())

    def close(self):
        pass


def test_stdio(pair):
    """Transcript 25, but for the end of input, which ends blkmon."""
    out = blk.blkmon("--qmp", "stdio", pair[-1], stdin='{"execute":'
                     '"qmp_capabilities"}\n{"execute":"query-block-jobs"}\n')
    lines = out.out.split("\r\n")
    assert "QMP" in json.loads(lines[0])
    assert lines[1:3] == ['{"return": {}}', '{"return": []}']
    assert json.loads(lines[3])["event"] == "SHUTDOWN"
    assert out.rc == 0, out


def test_stdio_waits_for_jobs(pair):
    out = blk.blkmon("--qmp", "stdio", pair[-1], stdin='{"execute":'
                     '"qmp_capabilities"}{"execute":"block-stream",'
                     '"arguments":{"device":"disk0"}}')
    assert out.rc == 0 and "BLOCK_JOB_COMPLETED" in out.out, out
    assert len(blk.img_chain(pair[-1])) == 1


def test_stdio_pretty(pair):
    out = blk.run(blk.BLKMON, "--chardev", "stdio,id=c", "--monitor",
                  "chardev=c,mode=control,pretty=on", pair[-1],
                  stdin='{"execute":"qmp_capabilities"} '
                  '{"execute":"query-status"} {"execute":"quit"}')
    assert out.rc == 0, out
    assert '{\r\n    "return": {\r\n        "status": "running",' in out.out
    assert '\r\n    "event": "SHUTDOWN",\r\n' in out.out
    decoder, text, objects = json.JSONDecoder(), out.out.strip(), []
    while text:
        value, end = decoder.raw_decode(text)
        objects.append(value)
        text = text[end:].lstrip()
    assert len(objects) == 5


def test_events_on_stdin_after_qmp_capabilities(pair):
    """A script's own lines: JSON events from qmp_capabilities on."""
    out = blk.blkmon_ok(pair[-1], "-c", "stop", "-c",
                        "{'execute': 'qmp_capabilities'}", "-c",
                        '{"execute":"cont"} {"execute":"stop"}')
    lines = [json.loads(line) for line in out.out.splitlines()]
    assert [line.get("event", "-") for line in lines] == \
        ["-", "RESUME", "-", "STOP", "-"], out


# -------------------------------------------------------------- as a daemon

def daemon(d, *args):
    """Starts it as a unit file would; returns its number."""
    pidfile = os.path.join(d, "pid")
    out = blk.blkmon("--daemonize", "--pidfile", pidfile, *args)
    assert out.rc == 0, out
    with open(pidfile, encoding="ascii") as stream:
        return int(stream.read())


def test_storage_daemon_options(d, pair):
    """The line of transcript 30, without its --blockdev."""
    path = os.path.join(d, "c.sock")
    pid = daemon(d, "--chardev", "socket,id=c,path=%s,server=on,wait=off"
                 % path, "--monitor", "chardev=c", "--object",
                 "iothread,id=t0", pair[-1])
    with Qmp(path) as c:
        assert c.ask("query-block")[0]["device"] == "disk0"
        c.ask("quit")
    blk.wait_gone(pid)
    assert sorted(os.listdir(d)) == ["l0.img", "l1.img"]


@pytest.mark.parametrize("blockdev", [
    "driver=qcow2,node-name=top,file.driver=file,file.filename=%s",
    '{"driver": "qcow2", "node-name": "top", "file": '
    '{"driver": "file", "filename": "%s"}}'], ids=["keys", "json"])
def test_blockdev_option(d, pair, blockdev):
    """Transcript 30: a commit by node name."""
    path = os.path.join(d, "c.sock")
    pid = daemon(d, "--blockdev", blockdev % pair[-1], "--chardev",
                 "socket,id=c,path=%s,server=on,wait=off" % path,
                 "--monitor", "chardev=c")
    with Qmp(path) as c:
        assert c.ask("query-block") == []
        c.ask("block-commit", device="top", job_id="j")
        c.event("BLOCK_JOB_READY", device="j")
        c.ask("job-complete", id="j")
        done = c.event("BLOCK_JOB_COMPLETED", device="j")["data"]
        assert done["offset"] == done["len"] and "error" not in done
        c.ask("quit")
    blk.wait_gone(pid)
    blk.check(pair[0])


def test_daemon_ends_on_sigterm(d, pair):
    path = os.path.join(d, "c.sock")
    pid = daemon(d, "--chardev", "socket,id=c,path=%s,server,nowait" % path,
                 "--monitor", "c", pair[-1])
    with Qmp(path) as c:
        os.kill(pid, signal.SIGTERM)
        c.event("SHUTDOWN")
        blk.wait_gone(pid)
    assert sorted(os.listdir(d)) == ["l0.img", "l1.img"]


def test_hmp_over_a_socket(d, pair):
    path = os.path.join(d, "hmp.sock")
    pid = daemon(d, "--chardev", "socket,id=h,path=%s,server=on" % path,
                 "--monitor", "h,mode=readline", pair[-1])
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(blk.PATIENCE)
        s.connect(path)
        s.sendall(b"info block-jobs\r\nblock_stream nosuch\n"
                  b'{"execute":"query-name"}\nquit\n')
        got = b""
        while True:
            more = s.recv(4096)
            if not more:
                break
            got += more
    blk.wait_gone(pid)
    assert got.decode() == (
        "blkmon - type 'help' for the commands\r\n"
        "(blkmon) No active jobs\r\n"
        "(blkmon) Error: Cannot find device='nosuch' nor node-name='nosuch'"
        "\r\n(blkmon) {\"return\": {}}\r\n(blkmon) ")


def hmp(path, lines):
    """A client of HMP that has sent its lines and was greeted. One who finds
    no room comes again: others are about to go."""
    deadline = time.monotonic() + blk.PATIENCE
    while time.monotonic() < deadline:
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(blk.PATIENCE)
        s.connect(path)
        try:
            s.sendall(lines)
            if s.recv(1):
                return s
        except OSError:
            pass
        s.close()
    raise AssertionError("no room")


def test_lines_of_clients_have_a_limit(d, pair):
    """What is made of a line must find memory, so it is not too long."""
    path = os.path.join(d, "hmp.sock")
    with Server(d, "--chardev", "socket,id=h,path=%s,server=on" % path,
                "--monitor", "h,mode=readline", pair[-1]) as server:
        s = hmp(path, b"x" * (64 * 1024) + b"\ninfo block-jobs\n")
        got = b""
        while b"No active jobs" not in got:
            part = s.recv(65536)
            assert part, got[-200:]
            got += part
        s.close()
        assert got.count(b"line too long") == 1, got[-200:]
        with server.client() as c:
            for count, fits in ((64 * 1024 - 1, True), (64 * 1024, False)):
                got = c.request("human-monitor-command",
                                command_line="x" * count)
                assert ("return" in got) == fits, got


def test_a_wait_ends_with_its_client(d, pair):
    """There is room for 100 clients: those who left while they waited for a
    job without an end take none of it. Who has only said all is answered."""
    path = os.path.join(d, "hmp.sock")
    pid = daemon(d, "--chardev", "socket,id=h,path=%s,server=on" % path,
                 "--monitor", "h,mode=readline", pair[-1])
    hmp(path, b"block_stream disk0 1B\n").close()
    for _ in range(150):
        hmp(path, b"wait\n").close()
    patient = hmp(path, b"wait\ninfo block-jobs\n")
    patient.shutdown(socket.SHUT_WR)
    s = hmp(path, b"block_job_set_speed disk0 0\n")
    got = b""
    while more := patient.recv(4096):
        got += more
    assert b"No active jobs" in got
    s.sendall(b"quit\n")
    blk.wait_gone(pid)
    s.close()
    patient.close()


def test_inherited_descriptor(d, pair):
    """As systemd hands down a socket that listens."""
    path = os.path.join(d, "given.sock")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen()
        with subprocess.Popen(
                [blk.BLKMON, "--chardev", "socket,id=c,fd=%d,server=on"
                 % s.fileno(), "--monitor", "c", pair[-1]],
                pass_fds=[s.fileno()], stdin=subprocess.DEVNULL) as proc:
            with Qmp(path) as c:
                c.ask("quit")
            assert proc.wait(blk.PATIENCE) == 0
    assert os.path.exists(path)


def test_connects_to_one_who_listens(d, pair):
    path = os.path.join(d, "theirs.sock")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen()
        with subprocess.Popen([blk.BLKMON, "--qmp", "unix:%s,server=off"
                               % path, pair[-1]],
                              stdin=subprocess.DEVNULL) as proc:
            s.settimeout(blk.PATIENCE)
            conn, _ = s.accept()
            with conn:
                conn.settimeout(blk.PATIENCE)
                assert b'"QMP"' in conn.recv(4096)
                conn.sendall(b'{"execute":"qmp_capabilities"}'
                             b'{"execute":"quit"}')
                while conn.recv(4096):
                    pass
            assert proc.wait(blk.PATIENCE) == 0


def test_a_script_is_served_meanwhile(d, pair):
    """--qmp beside a script that comes by a pipe."""
    path = os.path.join(d, "s.sock")
    with blk.Session("--qmp", "unix:" + path, pair[-1]) as s:
        with Qmp(path) as c:
            s.ok("stop")
            c.event("STOP")
            c.ask("cont")
            assert s.ok("info status") == ["VM status: running"]
            s.send("quit")
            c.event("SHUTDOWN")
        assert s.ended() == 0


def test_failed_start(d, pair):
    """The parent tells what went wrong, and nothing is left behind."""
    before = sorted(os.listdir(d))
    out = blk.blkmon("--daemonize", "--pidfile", os.path.join(d, "pid"),
                     "--qmp", "unix:%s/no/such" % d, pair[-1])
    assert out.rc == 1 and "Failed to bind socket" in out.err, out
    assert sorted(os.listdir(d)) == before


def test_pidfile_belongs_to_one(d, pair):
    pidfile = os.path.join(d, "pid")
    pid = daemon(d, "--qmp", "unix:%s/q" % d, pair[-1])
    out = blk.blkmon("--pidfile", pidfile, "-c", "info block")
    assert out.rc == 1 and "is running" in out.err, out
    with Qmp(os.path.join(d, "q")) as c:
        c.ask("quit")
    blk.wait_gone(pid)
    assert not os.path.exists(pidfile)


@pytest.mark.parametrize("args,words", [
    (["--qmp", "file:x"], "--qmp: 'file:x' is not unix:PATH"),
    (["--qmp", "unix:x,colour=blue"], "Parameter 'colour' is unexpected"),
    (["--qmp", "unix:x,server=maybe"], "expected: boolean"),
    (["--chardev", "socket,id=c"], "one of 'path', 'fd' and 'host'"),
    (["--chardev", "socket,id=c,path=x,server=on,wait=on"], "wait=on"),
    (["--chardev", "pty,id=c"], "does not accept value 'pty'"),
    (["--monitor", "c"], "no chardev 'c'"),
    (["--chardev", "stdio,id=c", "--monitor", "c,mode=vi"], "'vi'"),
    (["--qmp", "stdio", "-c", "stop"], "excludes --line, -c and -f"),
    (["--daemonize", "--qmp", "stdio"], "--daemonize"),
    (["--object", "secret,id=s,data=x"], "'secret' are not known here"),
    (["--blockdev", "{'driver':"], "--blockdev: JSON parse error"),
])
def test_usage(args, words):
    out = blk.blkmon(*args)
    assert out.rc == 2 and words in out.err, out


def test_tcp_is_for_this_machine():
    out = blk.blkmon("--qmp", "tcp:0.0.0.0:0", "-c", "info block")
    assert out.rc == 1 and "not a loopback address" in out.err, out


# -------------------------------------------------------------------- hostile

SEEDS = [
    '{"execute":"query-block"}', '{"execute":"query-block-jobs","id":1}',
    '{"execute":"block-stream","arguments":{"device":"disk0","speed":1000}}',
    '{"execute":"block-job-cancel","arguments":{"device":"disk0"}}',
    '{"execute":"block-commit","arguments":{"device":"disk0"}}',
    '{"execute":"job-complete","arguments":{"id":"disk0"}}',
    '{"execute":"query-named-block-nodes","arguments":{"flat":true}}',
    '{"execute":"block-job-set-speed","arguments":{"device":"disk0",'
    '"speed":0}}', '{"execute":"stop"}', '{"execute":"cont"}',
    '{"execute":"human-monitor-command","arguments":{"command-line":'
    '"info block"}}', "{'execute':'query-jobs'}"]


def mutated(rng):
    """A request, mostly with something wrong; or any bytes."""
    if rng.randrange(10) == 0:
        return rng.randbytes(rng.randrange(1, 100)) + b"\n"
    text = bytearray(rng.choice(SEEDS).encode())
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        at = rng.randrange(len(text))
        what = rng.randrange(4)
        if what == 0:
            text[at] = rng.randrange(256)
        elif what == 1:
            del text[at:at + rng.randrange(1, 8)]
        elif what == 2:
            text[at:at] = rng.choice((b'"', b"{", b"}", b"[", b"\\", b"\xff",
                                      b"\n", b"1e999", b"null"))
        else:
            text[at:at] = text[:rng.randrange(len(text))]
        if not text:
            return b"\n"
    return bytes(text) + b"\n"


def bombard(server, paths, count, seed):
    rng = random.Random(seed)
    for _ in range(count // 500):
        with server.client() as c:
            for _ in range(50):
                c.send(b"".join(mutated(rng) for _ in range(10)))
                # Whatever is open is closed; what was asked is answered.
                c.send(b"\xff\n" + b'{"execute":"query-name","id":"sync"}\n')
                while c.reply().get("id") != "sync":
                    pass
    with server.client() as c:
        c.ask("cont")
    server.quit()
    for path in paths:
        blk.check(path)


def test_mutated_requests(server, pair):
    """A hundred thousand, to one program."""
    bombard(server, pair, 100000, 1)


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as stat_file:
        fields = stat_file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.long
def test_polling_costs_a_job_little(server):
    """50 clients who ask five times a second take less than 3 % of one core
    from a job. Told by the time that 10,000 questions take of it, which other
    load on the machine does not change."""
    with server.client() as c:
        c.ask("block-stream", device="disk0", speed=1000)
        clients = [server.client() for _ in range(50)]
        begin = cpu_seconds(server.proc.pid)
        for _ in range(200):
            for other in clients:
                other.send('{"execute":"query-block-jobs"}')
            for other in clients:
                assert len(other.reply()["return"]) == 1
        one = (cpu_seconds(server.proc.pid) - begin) / 10000
        for other in clients:
            other.close()
    server.quit()
    print("%.1f us for one question" % (one * 1e6))
    assert one * 50 * 5 < 0.03


@pytest.mark.parametrize("how", ["quit", "signal"])
def test_exports_end_before_the_connections(d, how):
    """Whoever hears of the end hears that each export is gone, after jobs."""
    path = blk.simple(d)
    with Server(d, "--drive", "file=%s,format=qcow2,id=disk0" % path) as s, \
            s.client() as c:
        c.ask("nbd-server-start", addr={"type": "unix",
                                        "data": {"path": d + "/nbd"}})
        for name in ("e1", "e2"):
            c.ask("block-export-add", type="nbd", id=name,
                  node_name=c.ask("query-block")[0]["inserted"]["node-name"],
                  name=name)
        if how == "quit":
            c.ask("quit")
        else:
            s.proc.terminate()
        c.event("SHUTDOWN")
        gone = {c.event("BLOCK_EXPORT_DELETED")["data"]["id"]
                for _ in range(2)}
        assert gone == {"e1", "e2"}
        s.ended()
