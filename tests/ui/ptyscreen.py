# SPDX-License-Identifier: GPL-3.0-or-later
"""A screen on a pseudo terminal, for what tmux would hide: how long a key
takes, and what the program costs."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from pathlib import Path

import pyte

MARK = b"Q"             # in no sequence that draws
KILL_LINE = b"\x15"
TICKS = os.sysconf("SC_CLK_TCK")


class Screen:
    def __init__(self, args, folder, rows=24, columns=80):
        self.terminal = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.terminal)
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.chdir(folder)
            os.environ.update(TERM="xterm-256color", LC_ALL="C.UTF-8",
                              HOME=str(folder), XDG_STATE_HOME=str(folder),
                              XDG_CONFIG_HOME=str(folder),
                              INPUTRC="/dev/null")
            fcntl.ioctl(0, termios.TIOCSWINSZ,
                        struct.pack("HHHH", rows, columns, 0, 0))
            os.execvp(args[0], [str(a) for a in args])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)

    def read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return b""
        return os.read(self.fd, 1 << 16)

    def watch(self, seconds):
        """Reads what it draws for a while, as a terminal does."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.stream.feed(self.read(left))

    def shown(self):
        return "\n".join(self.terminal.display)

    def until(self, what, seconds=60):
        """Until the screen shows that text."""
        end = time.monotonic() + seconds
        while what not in self.shown():
            assert time.monotonic() < end, (what, self.shown())
            self.stream.feed(self.read(1))

    def kept_waiting(self):
        """Seconds that others had the processor while the screen's thread or
        this one wanted it."""
        return sum(int(Path(path).read_text().split()[1]) for path in (
            "/proc/%d/task/%d/schedstat" % (self.pid, self.pid),
            "/proc/thread-self/schedstat")) / 1e9

    def key(self, key, answer):
        """Seconds from the key to output with the answer in it, but for those
        that other programs took."""
        while out := self.read(0.002):
            self.stream.feed(out)
        waited, began = self.kept_waiting(), time.monotonic()
        os.write(self.fd, key)
        while True:
            out = self.read(5)
            assert out, "no answer to a key"
            if answer in out:
                took = time.monotonic() - began
                took -= self.kept_waiting() - waited
                self.stream.feed(out)
                return took
            self.stream.feed(out)

    def keys(self, n):
        """Seconds of each of @n letters at the prompt, typed as people do."""
        times = []
        os.write(self.fd, b":")
        self.watch(0.3)
        for i in range(n):
            times.append(self.key(MARK, MARK))
            if i % 40 == 39:
                os.write(self.fd, KILL_LINE)
                self.watch(0.05)
            self.watch(0.01 + i % 7 * 0.005)
        os.write(self.fd, KILL_LINE + b"\x1b")
        self.watch(0.3)
        return times

    def cpu(self):
        """Seconds of processor so far."""
        words = Path("/proc/%d/stat" % self.pid).read_text().rsplit(") ", 1)[1]
        return sum(int(n) for n in words.split()[11:13]) / TICKS

    def memory(self):
        """MiB, of what is shared a part."""
        text = Path("/proc/%d/smaps_rollup" % self.pid).read_text()
        return int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) / 1024


def quantile(times, q):
    """Milliseconds."""
    times = sorted(times)
    return times[min(len(times) - 1, int(len(times) * q))] * 1000
