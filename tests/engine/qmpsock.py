# SPDX-License-Identifier: GPL-3.0-or-later
"""A QMP client that follows the protocol document, and a blkmon to talk to."""

import json
import os
import select
import subprocess
import time

import blk
import unixsock

READY = b'"QMP"'


class Gone(AssertionError):
    """The other side closed the connection."""


class Qmp(unixsock.Connection):
    """One connection. Events that come meanwhile are kept in .events."""

    def __init__(self, path, negotiate=True):
        super().__init__(path)
        self.rest = bytearray()
        self.events = []
        self.greeting = self.receive()
        if negotiate:
            assert self.ask("qmp_capabilities") == {}

    def send(self, what):
        if isinstance(what, dict):
            what = json.dumps(what)
        if isinstance(what, str):
            what = what.encode()
        self.sock.sendall(what)

    def receive(self):
        """The next object, an event or not."""
        seen = 0
        while (end := self.rest.find(b"\r\n", seen)) < 0:
            seen = max(0, len(self.rest) - 1)
            try:
                got = self.sock.recv(65536)
            except ConnectionResetError:
                got = b""
            if not got:
                raise Gone(bytes(self.rest[-4096:]))
            self.rest += got
        line = self.rest[:end]
        del self.rest[:end + 2]
        return json.loads(line)

    def reply(self):
        """The next object that is no event."""
        while True:
            got = self.receive()
            if "event" not in got:
                return got
            self.events.append(got)

    def request(self, name, /, **args):
        request = {"execute": name}
        if args:
            request["arguments"] = {k.replace("_", "-"): v
                                    for k, v in args.items()}
        self.send(request)
        return self.reply()

    def ask(self, name, /, **args):
        got = self.request(name, **args)
        assert "return" in got, (name, args, got)
        return got["return"]

    def refused(self, what):
        """Sends it; the error that comes back as (class, desc)."""
        self.send(what)
        got = self.reply()
        assert "error" in got, (what, got)
        return got["error"]["class"], got["error"]["desc"]

    def event(self, name, **data):
        """Waits for such an event; it is the first of the kept ones."""
        while True:
            while self.events:
                got = self.events.pop(0)
                if got["event"] == name and data.items() <= \
                        got.get("data", {}).items():
                    return got
            got = self.receive()
            assert "event" in got, got
            self.events.append(got)


class Server:
    """A blkmon with QMP on a socket, .path, and on stdio, which says when all
    is open."""

    def __init__(self, d, *args, program=None, env=None):
        self.path = os.path.join(d, "qmp.sock")
        self.log = os.path.join(d, "stderr")
        with open(self.log, "wb") as log:
            self.proc = subprocess.Popen(
                [program or blk.BLKMON, "--qmp", "unix:" + self.path,
                 "--qmp", "stdio", *map(os.fspath, args)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                env=env)
        line = self.proc.stdout.readline()
        assert READY in line, (line, self.said())

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()
        if kind:
            print(self.said())

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def client(self, negotiate=True):
        return Qmp(self.path, negotiate)

    def quit(self):
        with self.client() as c:
            c.ask("quit")
        self.ended()

    def ended(self, status=0):
        assert self.proc.wait(blk.PATIENCE) == status, self.said()

    def wait_said(self, text):
        """Until the log holds it; the file is read again when it may have
        grown."""
        deadline = time.monotonic() + blk.PATIENCE
        while text not in self.said():
            assert time.monotonic() < deadline, self.said()
            select.select([], [], [], 0.01)
