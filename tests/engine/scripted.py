# SPDX-License-Identifier: GPL-3.0-or-later
"""An end that is no program: a test says what it answers, and sees all that it
is asked."""

import contextlib
import json
import os
import socket
import subprocess

import blk


class Script:
    """An end that is told what to say: .take() is the next request."""

    GREETING = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2,
                                             "micro": 0}, "package": ""},
                        "capabilities": []}}
    COMMANDS = ["query-block", "query-named-block-nodes", "query-jobs",
                "query-block-jobs", "query-status", "stop", "cont"]

    def __init__(self, d, answers=None):
        self.path = os.path.join(d, "script.sock")
        self.listen()
        self.answers = {"query-commands": [{"name": n} for n in
                                           self.COMMANDS],
                        "qmp_capabilities": {}, "query-block": [],
                        "query-named-block-nodes": [], "query-jobs": [],
                        "query-block-jobs": [], **(answers or {})}
        self.seen = []

    def listen(self):
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(self.path)
        self.listening.listen(4)
        self.listening.settimeout(blk.PATIENCE)

    def go_away(self):
        """Nobody is there any more, until .listen()."""
        self.listening.close()
        os.unlink(self.path)
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listening.close()

    def accept(self, greet=True):
        self.sock, _ = self.listening.accept()
        self.sock.settimeout(blk.PATIENCE)
        self.rest = b""
        if greet:
            self.say(self.GREETING)

    def say(self, what):
        self.sock.sendall(json.dumps(what).encode() + b"\r\n")

    def receive(self):
        """That the other side left answers unread does not hide what it had
        asked."""
        try:
            return self.sock.recv(65536)
        except ConnectionResetError:
            return self.sock.recv(65536)

    def take(self):
        """The next request; None when the other side hung up. They come
        without anything between them."""
        decoder = json.JSONDecoder()
        while True:
            try:
                got, end = decoder.raw_decode(self.rest.decode())
                self.rest = self.rest[end:].lstrip()
                self.seen.append(got["execute"])
                return got
            except ValueError:
                more = self.receive()
                if not more:
                    return None
                self.rest += more

    def serve(self, until):
        """Answers until a request of that name comes, which it returns."""
        while (got := self.take()) and got["execute"] != until:
            self.say({"return": self.answers[got["execute"]],
                      "id": got["id"]})
        return got

    def serve_all(self):
        """Until the other side hangs up; what is not known is refused."""
        while got := self.take():
            name = got["execute"]
            said = {"return": self.answers[name]} if name in self.answers \
                else {"error": {"class": "CommandNotFound", "desc": name}}
            with contextlib.suppress(BrokenPipeError):
                self.say({**said, "id": got["id"]})

    def changes(self):
        """What was sent to it, besides questions."""
        return [name for name in self.seen if name != "qmp_capabilities" and
                not name.startswith("query-")]


def fed(end, *args):
    """A console that is fed by hand, on a scripted end."""
    return subprocess.Popen(
        [blk.BLKMON, "--connect", "s=unix:" + end.path, *args],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, bufsize=1)
