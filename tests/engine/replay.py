# SPDX-License-Identifier: GPL-3.0-or-later
"""Replays a scenario file: see scenarios/README.md."""

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import blk
import qmpsock
import shim

# What the reference does not call stable.
LOOSE = [(re.compile(r"#block\d+"), "#blockNNN"),
         (re.compile(r"^disk size: .*"), "disk size: SIZE"),
         (re.compile(r"(Completed) \d+ of"), r"\1 N of"),
         (re.compile(r"ops; .* sec .*"), "ops; TIME"),
         (re.compile(r"_ns=\d+"), "_ns=N"),
         (re.compile(r"signal (\d+) from pid .*"), r"signal \1"),
         (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +\S+"), "DATE")]

# Members of replies that depend on the time or the file system, or in QEMU
# on what it does underneath.
LOOSE_MEMBERS = {
    "package", "actual-size", "busy", "offset", "current-progress",
    "io-status", "date-sec", "date-nsec", "vm-clock-sec", "vm-clock-nsec",
    "wr_highest_offset", "idle_time_ns", "rd_total_time_ns",
    "wr_total_time_ns", "flush_total_time_ns", "unmap_total_time_ns",
}
PROGRESS = {"offset", "current-progress"}
# Lines that may be repeated, and how long for (seconds).
QUERY = re.compile(r'(\{"execute": "query-|info |query-)')
SETTLE = blk.PATIENCE
# What an operator is told about jobs, whenever it happens.
NOTICE = re.compile(
    r"(Job|blkmon: job) '[^']*'(:| failed:) |"
    # What only people are told, behind an error.
    r"blkmon: (did you mean|the (only )?(device|job|node|export)s? (is|are)|"
    r"'[^']*' is (no size|one word too many)|there (is no|nothing uses) |"
    r"its images are|'[^']*' (is in the chain|is the active|lies above) )")
# Where a job stands still for a moment while somebody drains it.
BRIEF = (("paused", "running"), ("standby", "ready"))

# What QEMU's tools say since 7.2, beside what they said then.
LATER = re.compile(r"  transaction size: ")
# What shell commands find besides the system's programs.
FUNCTIONS = """
blkmon() { "$BLKMON" "$@"; }
img_info() { "$PYTHON" "$HERE/img_info.py" "$@"; }
"""

MARKS = ("$", "&", "&-", ">", "+>", "~>", "?>", "=>", "->", "+->", "!", "=",
         "%")


# --------------------------------------------------------- what is compared

def plain(value):
    if isinstance(value, dict):
        return {k: "?" if k in LOOSE_MEMBERS else plain(v)
                for k, v in value.items()
                if k not in ("timestamp", "x-blkmon-end")}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, str):
        return LOOSE[0][0].sub(LOOSE[0][1], value)
    return value


def parsed(line):
    """JSON of a reply or an event, member order, times and what only blkmon
    tells left out."""
    try:
        return plain(json.loads(line)) if line.startswith("{") else None
    except ValueError:
        return None


def is_event(line):
    value = parsed(line)
    return bool(value) and "event" in value


def about(event):
    """Events of one job keep their order, those of two jobs need not."""
    data = event.get("data", {})
    room = "export" if event["event"].startswith("BLOCK_EXPORT") else ""
    return room, data.get("id", data.get("device", data.get("node-name", "")))


def by_subject(lines):
    found = {}
    for line in lines:
        event = parsed(line)
        found.setdefault(about(event), []).append(event)
    for events in found.values():
        for i in range(len(events) - 2, -1, -1):
            pair = [e.get("data", {}).get("status") for e in events[i:i + 2]]
            if tuple(pair) in BRIEF:
                del events[i:i + 2]
    return found


def loosely(lines):
    lines = [line for line in lines
             if not is_event(line) and not NOTICE.match(line)]
    for pattern, word in LOOSE:
        lines = [line if parsed(line) else pattern.sub(word, line)
                 for line in lines]
    return [parsed(line) or line for line in lines]


def strictly(value):
    """All but the place where a piece of work begins."""
    if isinstance(value, dict):
        return {k: "?" if k in PROGRESS else strictly(v)
                for k, v in value.items()}
    if isinstance(value, list):
        return [strictly(v) for v in value]
    return value


def exactly(lines):
    return [strictly(json.loads(line)) if line.startswith("{") else line
            for line in lines if not is_event(line) and not NOTICE.match(line)]


def numberless(value):
    if isinstance(value, dict):
        return {k: numberless(v) for k, v in value.items()}
    if isinstance(value, list):
        return [numberless(v) for v in value]
    return "?" if type(value) is int else value


def names(lines):
    """The set of names of a reply that lists names, else None."""
    value = lines[0].get("return") if lines and isinstance(
        lines[0], dict) else None
    if isinstance(value, list) and value and all(
            isinstance(v, dict) and list(v) == ["name"] for v in value):
        return {v["name"] for v in value}
    return None


def shown(mark, got, want):
    """Both replies in the form in which they are compared."""
    if mark == "=>":
        return exactly(got), exactly(want)
    got, want = loosely(got), loosely(want)
    if mark == "~>":
        got, want = numberless(got), numberless(want)
    if mark == "?>":
        got, want = ("\n".join(t).partition(" --")[0] for t in (got, want))
        return got, want
    if names(want):
        # What blkmon knows more than the scenario is no difference.
        return names(want) & (names(got) or set()), names(want)
    return got, want


# ------------------------------------------------------------ what is done

def steps(path):
    """[(mark, text, expected lines of blkmon)] of a scenario file."""
    found = []
    with open(path, encoding="utf-8") as stream:
        for line in stream.read().splitlines():
            mark, _, text = line.partition(" ")
            if mark in ("#", "-=") or re.match(r"-\s", line):
                continue
            if mark == "|":
                found[-1] = (found[-1][0], found[-1][1] + "\n" + text, [])
            elif mark in MARKS:
                found.append((mark.lstrip("+"), text, []))
            else:
                found[-1][2].append(line[1:] if line[:1] == "+" else line)
    return found


class Replay:
    """The folder, the program, and the conversation on its socket."""

    def __init__(self, d):
        self.d, self.rc, self.fault = d, None, None
        self.session = self.daemon = self.wire = None

    def close(self):
        if self.wire:
            self.wire.close()
        if self.session:
            self.session.__exit__(None, None, None)
        if self.daemon:
            self.daemon.kill()
            self.daemon.wait()
        self.session = self.daemon = self.wire = None

    def start(self, text, headless):
        self.close()
        env = shim.faults(self.fault) if self.fault else None
        if headless:
            self.daemon = subprocess.Popen(
                [blk.BLKMON, *shlex.split(text)], cwd=self.d,
                stdin=subprocess.DEVNULL, env=env)
        else:
            self.session = blk.Session(*shlex.split(text), cwd=self.d,
                                       env=env)
            self.session.__enter__()

    def set_fault(self, text):
        """From now on; what is written appears all at once."""
        self.fault = os.path.join(self.d, "fault")
        with open(self.fault + ".new", "w", encoding="utf-8") as stream:
            stream.write(text + "\n")
        os.rename(self.fault + ".new", self.fault)

    def shell(self, text):
        env = dict(os.environ, BLKMON=blk.BLKMON, HERE=blk.HERE,
                   PYTHON=sys.executable)
        text = text.replace("qemu-img info ", "img_info ")
        out = blk.run("sh", "-c", FUNCTIONS + text, cwd=self.d, env=env)
        return [line for line in out.text.splitlines()
                if not LATER.match(line)]

    def connect(self):
        """A new connection; its greeting."""
        if self.wire:
            self.wire.close()
        self.wire = None
        deadline = time.monotonic() + blk.PATIENCE
        while not self.wire:
            assert time.monotonic() < deadline, "it does not listen"
            assert not self.daemon or self.daemon.poll() is None, \
                "ended early"
            # There before it listens, and before that not at all.
            with contextlib.suppress(FileNotFoundError,
                                     ConnectionRefusedError):
                self.wire = qmpsock.Qmp(os.path.join(self.d, "qmp.sock"),
                                        negotiate=False)
        return [json.dumps(self.wire.greeting)]

    def say(self, text, count):
        """Send a line to the socket, get so many replies."""
        if not text:
            return self.connect()
        self.wire.send(text + "\n")
        objects = [self.wire.reply() for _ in range(count)]
        for reply in objects:
            reply.get("error", {}).pop("x-blkmon-tip", None)
        objects = self.wire.events + objects
        self.wire.events = []
        return [json.dumps(o) for o in objects]

    def rest(self, text):
        """All that comes until blkmon has ended."""
        said = []
        if self.wire:
            try:
                while True:
                    said.append(json.dumps(self.wire.receive()))
            except qmpsock.Gone:
                pass
        if self.daemon:
            self.rc = self.daemon.wait(blk.PATIENCE)
            return said
        begin = len(self.session.log)
        self.rc = self.session.ended()
        lines = self.session.log[begin:]
        return said + [line for line in lines if line != blk.PROMPT + text]

    def line(self, mark, text, count=1):
        """Do one step; what it printed, or None if that is not looked at."""
        text = text.replace("/images", self.d)
        if mark == "$":
            return self.shell(text)
        if mark in ("&", "&-"):
            return self.start(text, mark == "&-")
        if mark == "%":
            return self.set_fault(text)
        if mark == "=":
            assert self.rc == int(text), "exit status %s, not %s" % (
                self.rc, text)
            return None
        if mark == "!":
            proc = self.daemon or self.session.proc
            proc.send_signal(getattr(signal, "SIG" + text))
            return self.rest("")
        if mark == "->":
            if '"quit"' in text:
                self.wire.send(text)
                return self.rest("")
            return self.say(text, count)
        if text in ("quit", '{"execute": "quit"}'):
            self.session.send(text)
            return self.rest(text)
        *begin, last = text.split("\n")
        for line in begin:
            self.session.send(line)
            self.session.until(blk.PROMPT + line)
        return self.session.cmd(last)

    def step(self, mark, text, want):
        """((reply, expected reply), all lines) of a step, in the form in
        which they are compared. A query is asked until it is answered as it
        should be: a job that is told to pause does so a moment later."""
        deadline = time.monotonic() + SETTLE
        count = sum(not is_event(line) for line in want)
        lines = []
        while True:
            got = self.line(mark, text, count)
            if got is None:
                return (None, None), lines
            got = [line.replace(self.d, "/images") for line in got]
            lines += got
            pair = shown(mark, got, want)
            if pair[0] == pair[1] or not QUERY.match(text) or \
                    time.monotonic() > deadline:
                return pair, lines


def replay(d, path):
    """Fails where blkmon does not say what the file says."""
    program = Replay(d)
    seen, due = [], []
    try:
        for mark, text, want in steps(path):
            due += filter(is_event, want)
            (got, wanted), lines = program.step(mark, text, want)
            seen += filter(is_event, lines)
            assert got == wanted, "%s %s" % (mark, text)
        assert by_subject(seen) == by_subject(due)
    finally:
        program.close()
