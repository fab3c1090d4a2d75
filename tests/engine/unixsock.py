# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to a server of blkmon's on this host."""

import socket

import blk


class Connection:
    """path: of a Unix socket, or a pair of host and port."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_INET if isinstance(path, tuple)
                                  else socket.AF_UNIX)
        self.sock.settimeout(blk.PATIENCE)
        self.sock.connect(path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()
