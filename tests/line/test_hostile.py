# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever names a file, a snapshot, an export or a request, writes nothing to
the operator's terminal but text."""

import json
import os
import socket
import struct
import subprocess
from pathlib import Path

import pexpect
import pytest

REPO = Path(__file__).resolve().parents[2]
BLKMON = os.environ.get("BLKMON", str(REPO / "blkmon"))
PATIENCE = float(os.environ.get("BLKMON_PATIENCE", "60"))

# Title, delete, clear, colour by the one-byte CSI, new line, right to left.
EVIL = "\x1b]0;evil\x07\x7fd\x1b[2J\u009b31mevil\nevil\r\u202egp"
RAW = [b"\x1b]0;evil", b"evil\x07", "\u009b31m".encode(), b"evil\nevil",
       b"evil\r\xe2", "\u202e".encode(), b"\x7fd"]


def run(*command, cwd):
    subprocess.run(command, check=True, cwd=cwd, stdout=subprocess.DEVNULL)


def make_chain(folder):
    """Evil names in folder, file, header, internal snapshot and bitmap."""
    folder = folder / EVIL[:40]
    folder.mkdir()
    base, top = "base" + EVIL, "top" + EVIL
    run("qemu-img", "create", "-f", "qcow2", "--", base, "8M", cwd=folder)
    run("qemu-img", "snapshot", "-c", "snap" + EVIL, "--", base, cwd=folder)
    run("qemu-img", "create", "-f", "qcow2", "-b", str(folder / base), "-F",
        "qcow2", "--", top, cwd=folder)
    run("qemu-img", "bitmap", "--add", top, "bit" + EVIL, cwd=folder)
    return folder / top


class Screen:
    """The program on a terminal of its own; all it ever wrote there."""

    def __init__(self, folder, *args):
        env = dict(os.environ, XDG_STATE_HOME=str(folder / "state"),
                   TERM="xterm", INPUTRC="/dev/null", LC_ALL="C.UTF-8")
        self.wrote = open(folder / "wrote", "w+b")
        self.child = pexpect.spawn(
            BLKMON, [*args, "--qmp", "unix:qmp,server=on,wait=off",
                     *(["--log", "log"] if "--line" not in args else [])],
            cwd=str(folder), env=env, timeout=PATIENCE, dimensions=(50, 160))
        self.child.logfile_read = self.wrote
        self.qmp = None

    def request(self, name, /, **args):
        """By another client, whatever the answer."""
        line = {"execute": name, "arguments": args}
        self.qmp.write(json.dumps(line) + "\n")
        self.qmp.flush()
        while True:
            got = json.loads(self.qmp.readline())
            if "return" in got or "error" in got:
                return got

    def connect(self, path):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect(str(path))
        self.qmp = sock.makefile("rw", encoding="utf-8")
        self.qmp.readline()
        self.request("qmp_capabilities")

    def end(self):
        """All that was written, once it is gone."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        self.wrote.seek(0)
        return self.wrote.read()


def ask_for_export(path, name):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(path))
        raw = name.encode()
        sock.sendall(struct.pack(">I8sIII%dsH" % len(raw), 3, b"IHAVEOPT", 7,
                                 len(raw) + 6, len(raw), raw, 0))
        sock.recv(4096)


def be_evil(screen, folder):
    screen.connect(folder / "qmp")
    ask = screen.request
    ask("nbd-server-start", addr={"type": "unix", "data": {
        "path": str(folder / "nbd")}})
    ask("block-export-add", type="nbd", id="e", name="n" + EVIL,
        description="d" + EVIL, **{"node-name": "d0"})
    ask("nbd-server-add", device="d0", name="m" + EVIL)
    ask_for_export(folder / "nbd", "what" + EVIL)
    ask_for_export(folder / "nbd", "n" + EVIL)
    ask("block-stream", device="d0", **{"job-id": EVIL})
    ask("block-stream", device=EVIL)
    ask(EVIL)
    ask("human-monitor-command", **{"command-line": "info " + EVIL})
    made = str(folder / ("made" + EVIL))
    assert "return" in ask("blockdev-snapshot-sync", device="d0", **{
        "snapshot-file": made, "format": "qcow2"})
    ask("change-backing-file", device="d0", **{
        "image-node-name": "x" + EVIL, "backing-file": "y" + EVIL})
    assert "return" in ask("block-stream", device="d0", **{"job-id": "j"})


def judge(wrote):
    assert b"\\x1b]0;evil" in wrote, "the names were never shown"
    for raw in RAW:
        at = wrote.find(raw)
        assert at < 0, (raw, wrote[max(at - 80, 0):at + 80])


LINES = ["info block -v", "info block-jobs", "info snapshots",
         "info named-block-nodes", "help \u009b31mevil"]


def test_prompt(tmp_path):
    top = make_chain(tmp_path)
    screen = Screen(tmp_path, "--line", "d0=" + str(top))
    screen.child.expect_exact("(blkmon) ")
    be_evil(screen, tmp_path)
    for line in LINES:
        screen.child.send(line + "\r")
        screen.child.expect_exact("(blkmon) ")
    screen.child.send("quit\r")
    judge(screen.end())


def test_screen(tmp_path):
    top = make_chain(tmp_path)
    screen = Screen(tmp_path, "d0=" + str(top))
    screen.child.expect_exact("evil")
    be_evil(screen, tmp_path)
    # q leaves what lies over all: Esc and a key right behind it are Alt.
    for keys in ("\r", "q", "?", "q", ":info block -v\r",
                 "info snapshots\r", "\x0c"):
        screen.child.send(keys)
        screen.child.expect_exact("evil")
    screen.child.send("quit\r")
    judge(screen.end())


@pytest.mark.parametrize("words", [
    ["info", "--json"], ["info", "--json", "--backing-chain"],
    ["map", "--json"], ["map"], ["check", "--json"], ["history", "--json"],
    ["-c", '{"execute": "query-named-block-nodes"}'],
    ["-c", '{"execute": "x-blkmon-query-folder"}'], ["-c", "info folder"],
    ["-c", '{"execute": "query-events"} '],
])
def test_offline_and_json(tmp_path, words):
    top = make_chain(tmp_path)
    env = dict(os.environ, XDG_STATE_HOME=str(tmp_path / "state"))
    subprocess.run(["qemu-io", "-c", "write 0 64k", "--", top.name],
                   check=True, cwd=top.parent, stdout=subprocess.DEVNULL)
    subprocess.run([BLKMON, "d0=" + str(top), "-c", "commit d0"], env=env,
                   check=True, stdout=subprocess.DEVNULL)
    names = [] if words[0] == "history" else ["./" + top.name]
    if words[0] == "-c":
        words, names = ["d0=" + str(top)] + words, []
    out = subprocess.run([BLKMON, *words, *names], cwd=str(top.parent),
                         env=env, check=False, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         timeout=PATIENCE)
    assert b"Usage" not in out.stdout and out.stdout, out
    shown = out.stdout.replace(b"\n", b"")
    assert not [c for c in shown if c < 32 or c == 127], out.stdout
    assert not [raw for raw in RAW if raw in out.stdout], out.stdout


@pytest.mark.parametrize("words", [
    ["-f", EVIL], ["--on-error", EVIL], ["--on-event", EVIL], ["--" + EVIL],
    ["-" + EVIL], ["--progress", EVIL], ["info", "--" + EVIL], [EVIL],
    ["cat", "--offset", EVIL, "x"],
    ["delete", "--" + EVIL], ["history", "-" + EVIL], ["info", EVIL],
    ["--drive", "file=" + EVIL], ["--color", EVIL], ["--nbd", EVIL],
])
def test_words_of_the_command_line(tmp_path, words):
    """As a shell makes them of the names in a folder."""
    out = subprocess.run([BLKMON, *words], cwd=str(tmp_path), check=False,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, timeout=PATIENCE)
    assert out.returncode > 0 and b"evil" in out.stdout, out
    assert not [raw for raw in RAW if raw in out.stdout], out.stdout
    assert b"\x1b" not in out.stdout, out.stdout
