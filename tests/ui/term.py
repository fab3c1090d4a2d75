# SPDX-License-Identifier: GPL-3.0-or-later
"""A program in a pane of tmux: keys in, the screen out.

A client in control mode tells when the pane has changed, so nothing here
waits by the clock.
"""

import ctypes
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
BLKMON = os.environ.get("BLKMON", str(REPO / "blkmon"))
PATIENCE = float(os.environ.get("BLKMON_PATIENCE", "60"))


CONFIG = """
set -g remain-on-exit on
set -g default-shell /bin/sh
set -g escape-time 0
set -g status off
"""


def environment(folder, **more):
    """All that the program is told: nothing of whoever runs the tests, but
    for what a sanitizer is to do."""
    env = {name: value for name, value in os.environ.items()
           if name == "PATH" or name.endswith("SAN_OPTIONS")}
    env.update(LC_ALL="C.UTF-8", TERM="xterm-256color", SHELL="/bin/sh",
               HOME=str(folder),
               XDG_STATE_HOME=str(Path(folder, "state")),
               INPUTRC=more.pop("INPUTRC", "/dev/null"), **more)
    return env


class Term:
    def __init__(self, command, folder, columns=80, rows=24,
                 term="xterm-256color", **env):
        self.here = Path(tempfile.mkdtemp())
        self.env = environment(folder, **env)
        (self.here / "conf").write_text(CONFIG)
        (self.here / "program").write_text(
            f"echo $$ > '{self.here}/pid'\nTERM={term} exec {command}\n")
        # Returns when there is a server with a pane.
        subprocess.run(
            [*self.client(), "-f", str(self.here / "conf"), "new-session",
             "-d", "-x", str(columns), "-y", str(rows),
             f"cd '{folder}'; /bin/sh '{self.here}/program'; "
             f"echo $? > '{self.here}/status'; echo",
             ";", "set", "-g", "window-size", "manual"],
            env=self.env, check=True)
        self.control = subprocess.Popen(
            [*self.client(), "-C", "attach"], env=self.env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def client(self):
        return ["tmux", "-u", "-S", str(self.here / "tmux")]

    def tmux(self, *args, text=None):
        done = subprocess.run([*self.client(), *args], input=text,
                              capture_output=True, encoding="utf-8",
                              env=self.env, check=False)
        return done.stdout

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def keys(self, *names):
        self.tmux("send-keys", *names)

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def raw(self, data):
        self.tmux("send-keys", "-H", *[f"{b:02x}" for b in data])

    def paste(self, text, bracketed=True):
        self.tmux("load-buffer", "-", text=text)
        self.tmux("paste-buffer", *(["-p"] if bracketed else []))

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def cursor(self):
        x, y = self.tmux("display", "-p", "#{cursor_x} #{cursor_y}").split()
        return int(x), int(y)

    def pid(self):
        return int((self.here / "pid").read_text())

    def status(self):
        """Of the program that has ended; "" while it runs. A shell writes it
        down: a tmux with utempter at times misses that its child ends."""
        file = self.here / "status"
        return file.read_text().strip() if file.exists() else ""

    def changed(self, seconds):
        """Waits until the pane has changed; False if it does not."""
        out = self.control.stdout
        if not select.select([out], [], [], seconds)[0]:
            return False
        return b"%output" in os.read(out.fileno(), 1 << 20)

    def wait(self, what, seconds=PATIENCE):
        """Waits until the screen shows a text, or a predicate holds."""
        end = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if what in screen if isinstance(what, str) else what(screen):
                return screen
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"never seen: {what}\n{screen}")
            self.changed(min(left, 1))

    def wait_dead(self):
        self.wait(lambda screen: self.status())
        return self.status()

    def close(self):
        self.tmux("kill-server")
        self.control.kill()
        self.control.communicate()
        shutil.rmtree(self.here)


class Shell(Term):
    """A program in a shell that is known and has a prompt of its own."""

    PROMPT = re.compile(r"^SHELL> *\n*\Z", re.M)

    def __init__(self, folder):
        super().__init__("/bin/sh -i", folder, PS1="SHELL> ")
        self.ready()

    def ready(self):
        return self.wait(self.PROMPT.search)

    def run(self, line):
        self.type(line + "\n")

    def child(self):
        """The one process that the shell has started and that lives."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, rest = stat.read_text().split(" (", 1)
            except OSError:
                continue
            if int(rest.rsplit(") ", 1)[1].split()[1]) == self.pid():
                return int(pid)
        raise AssertionError("the shell has no child")


def any_keys(rng, count):
    """Bytes of any kind, many of them keys or broken characters, but for
    those that leave: C-c, C-d, C-z and what quits or says yes to it. Esc is
    always the beginning of a key, not of S-Tab."""
    left_out = b"\x03\x04\x11\x13\x1a\x1cqQyY~Z"
    often = b"\x1b\n\x18\x12\x16\xc3\xff\t"
    out = bytearray(b"x")
    while len(out) < count:
        byte = rng.choice(often) if rng.random() < .3 else rng.randrange(256)
        if byte not in left_out and not byte == 27 == out[-1]:
            out.append(byte)
    return bytes(out) + b"x"


def freeze(pid):
    """Stops the main thread alone, as if it were hung, until reap() has seen
    the end. False if that is forbidden."""
    libc = ctypes.CDLL(None, use_errno=True)
    seize, interrupt = 0x4206, 0x4207
    return all(libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), None,
                           None) == 0 for request in (seize, interrupt))


def reap(pid):
    wall = 0x40000000
    while os.WIFSTOPPED(os.waitpid(pid, wall)[1]):
        pass


def make_chain(folder, mib=64):
    """base <- sn1 <- sn2, with something in each."""
    def run(*args):
        subprocess.run(args, cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
    run("qemu-img", "create", "-q", "-f", "qcow2", "base", f"{mib}M")
    run("qemu-io", "-c", "write -q -P 0x11 0 16M", "base")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "base", "-F",
        "qcow2", "sn1")
    run("qemu-io", "-c", "write -q -P 0x22 8M 16M", "sn1")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "sn1", "-F",
        "qcow2", "sn2")
    run("qemu-io", "-c", "write -q -P 0x33 20M 8M", "sn2")


DRIVE = "--drive file=sn2,id=disk0,format=qcow2"
