# SPDX-License-Identifier: GPL-3.0-or-later
"""A program in a pane of tmux: keys in, the screen out.

A client in control mode tells when the pane has changed, so nothing here
waits by the clock.
"""

import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
BLKMON = os.environ.get("BLKMON", str(REPO / "blkmon"))
PATIENCE = float(os.environ.get("BLKMON_PATIENCE", "60"))


class Term:
    def __init__(self, command, folder, columns=80, rows=24,
                 term="xterm-256color", **env):
        here = tempfile.mkdtemp()
        self.socket = here + "/tmux"
        Path(here, "conf").write_text("set -g remain-on-exit on\n")
        full = dict(os.environ, LC_ALL="C.UTF-8", TERM="xterm-256color",
                    HOME=str(folder), XDG_STATE_HOME=str(folder / "state"),
                    INPUTRC="/dev/null")
        for name in ("NO_COLOR", "TMUX"):
            full.pop(name, None)
        full.update(env)
        self.control = subprocess.Popen(
            ["tmux", "-S", self.socket, "-f", here + "/conf", "-C",
             "new-session", "-x", str(columns), "-y", str(rows),
             f"cd '{folder}' && TERM={term} exec {command}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=full,
            cwd=folder)
        self.wait(lambda screen: True)
        self.tmux("set", "-g", "window-size", "manual")
        self.resize(columns, rows)

    def tmux(self, *args, text=None):
        done = subprocess.run(["tmux", "-S", self.socket, *args],
                              input=text, capture_output=True, text=True,
                              check=False)
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
        return int(self.tmux("display", "-p", "#{pane_pid}"))

    def status(self):
        """Of the program that has ended; "" while it runs."""
        return self.tmux("display", "-p", "#{pane_dead_status}").strip()

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
        shutil.rmtree(os.path.dirname(self.socket))


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
