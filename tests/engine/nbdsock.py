# SPDX-License-Identifier: GPL-3.0-or-later
"""An NBD client after the protocol document: one connection, simple replies,
as many requests in flight as one likes."""

import socket
import struct

import unixsock

READ, WRITE, DISC, FLUSH, TRIM, ZEROES = 0, 1, 2, 3, 4, 6
FUA, NO_HOLE, FAST_ZERO = 1, 2, 16
ENOTSUP = 95

OPT_GO, ACK = 7, 1
REQUEST, REPLY, OPT_REPLY = 0x25609513, 0x67446698, 0x3e889045565a9


class Refused(AssertionError):
    """The server said why there is no such export."""


class Nbd(unixsock.Connection):
    def __init__(self, path, export):
        super().__init__(path)
        self.cookie = 0
        self.sent = {}
        magic, option, _ = struct.unpack(">8s8sH", self.take(18))
        assert (magic, option) == (b"NBDMAGIC", b"IHAVEOPT")
        name = export.encode()
        self.sock.sendall(struct.pack(
            ">I8sIII%dsH" % len(name), 3, b"IHAVEOPT", OPT_GO,
            len(name) + 6, len(name), name, 0))
        kind = None
        while kind != ACK:
            head = struct.unpack(">QIII", self.take(20))
            kind = head[2]
            assert head[:2] == (OPT_REPLY, OPT_GO), head
            said = self.take(head[3])
            if kind >> 31:
                self.close()
                raise Refused(said.decode())

    def die(self, off, data):
        """As a process that is killed: in the middle of a write, and the
        other side is told by a reset, where there is one."""
        self.sock.sendall(struct.pack(
            ">IHHQQI", REQUEST, 0, WRITE, 0, off, len(data)) +
            data[:len(data) // 2])
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.close()

    def take(self, count):
        data = bytearray()
        while len(data) < count:
            got = self.sock.recv(count - len(data))
            assert got, "the server hung up"
            data += got
        return bytes(data)

    def send(self, kind, off=0, length=0, data=b"", flags=0):
        """One more request in flight; its cookie."""
        self.cookie += 1
        self.sent[self.cookie] = kind, length
        self.sock.sendall(struct.pack(
            ">IHHQQI", REQUEST, flags, kind, self.cookie, off,
            len(data) or length) + data)
        return self.cookie

    def reply(self):
        """(cookie, error, data) of whichever is ready first."""
        magic, error, cookie = struct.unpack(">IIQ", self.take(16))
        assert magic == REPLY
        kind, length = self.sent.pop(cookie)
        return cookie, error, \
            self.take(length) if kind == READ and not error else b""

    def ask(self, *request, **more):
        """Nothing else in flight: its data."""
        self.send(*request, **more)
        error, data = self.reply()[1:]
        assert not error, (request, error)
        return data
