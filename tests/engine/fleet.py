# SPDX-License-Identifier: GPL-3.0-or-later
"""Many monitors that say what a real one said once: a storage daemon that was
asked all that blkmon asks. They count what they are asked."""

import collections
import json
import os
import selectors
import socket
import threading

import blk

ASKED = [("qmp_capabilities", {}), ("query-commands", {}), ("query-block", {}),
         ("query-named-block-nodes", {"flat": True}),
         ("query-named-block-nodes", {}), ("query-block-exports", {}),
         ("x-debug-query-block-graph", {}), ("query-jobs", {}),
         ("query-block-jobs", {}), ("query-blockstats", {}),
         ("query-blockstats", {"query-nodes": True}), ("query-version", {})]


def key(name, args):
    return name + " " + json.dumps(args or {}, sort_keys=True)


def record(end):
    """What it says to each."""
    with end.other() as qmp:
        greeting = qmp.greeting
        said = {key(name, args): qmp.request(name, **args)
                for name, args in ASKED[1:]}
    said[key(*ASKED[0])] = {"return": {}}
    return greeting, said


class Fleet:
    """@n of them; .paths, and .asked: a Counter of commands for each."""

    UNKNOWN = {"error": {"class": "CommandNotFound", "desc": "no"}}

    def __init__(self, d, n, recorded):
        self.greeting, self.said = recorded
        self.paths = [os.path.join(d, "vm%02d.sock" % i) for i in range(n)]
        self.asked = [collections.Counter() for _ in range(n)]
        self.more = threading.Condition()
        self.clients = {}
        self.wake, self.stop = socket.socketpair()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.wake, selectors.EVENT_READ, None)
        for i, path in enumerate(self.paths):
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(path)
            sock.listen(4)
            self.selector.register(sock, selectors.EVENT_READ,
                                   (self.accept, i))
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop.close()
        self.thread.join()
        self.selector.close()

    def run(self):
        while True:
            for ready, _ in self.selector.select():
                if ready.data is None:
                    return
                ready.data[0](ready.fileobj, *ready.data[1:])

    def accept(self, sock, i):
        client, _ = sock.accept()
        self.clients[i] = client
        self.send(client, self.greeting)
        self.selector.register(client, selectors.EVENT_READ,
                               (self.read, i, bytearray()))

    @staticmethod
    def send(client, what):
        client.sendall(json.dumps(what).encode() + b"\r\n")

    def read(self, client, i, rest):
        data = client.recv(65536)
        if not data:
            self.selector.unregister(client)
            return client.close()
        rest += data
        text, decoder = rest.decode(), json.JSONDecoder()
        while text:
            try:
                got, end = decoder.raw_decode(text)
            except ValueError:
                break
            text = text[end:].lstrip()
            self.answer(client, i, got)
        rest[:] = text.encode()
        return None

    def answer(self, client, i, got):
        name = got["execute"]
        reply = self.said.get(key(name, got.get("arguments")), self.UNKNOWN)
        self.send(client, {**reply, "id": got["id"]})
        with self.more:
            self.asked[i][name] += 1
            self.more.notify_all()

    def event(self, i, name, **data):
        self.send(self.clients[i], {
            "event": name, "data": data,
            "timestamp": {"seconds": 1, "microseconds": 1}})

    def until(self, i, name, count):
        """Until that one has been asked so often."""
        with self.more:
            assert self.more.wait_for(lambda: self.asked[i][name] >= count,
                                      blk.PATIENCE), self.asked[i]

    def total(self):
        with self.more:
            return [sum(asked.values()) for asked in self.asked]

    def connect(self):
        return [word for i, path in enumerate(self.paths)
                for word in ("--connect", "vm%02d=unix:%s" % (i, path))]
