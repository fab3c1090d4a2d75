# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded sessions, line by line: see scenarios/README.md."""

import glob
import json
import os
import re
import shlex
import time

import pytest

import blk

SCENARIOS = sorted(glob.glob(os.path.join(blk.HERE, "scenarios", "*.txt")))

# What the reference does not call stable.
LOOSE = [(re.compile(r"#block\d+"), "#blockNNN"),
         (re.compile(r"^disk size: .*"), "disk size: SIZE"),
         (re.compile(r"(Completed) \d+ of"), r"\1 N of"),
         (re.compile(r"ops; .* sec .*"), "ops; TIME"),
         (re.compile(r"_ns=\d+"), "_ns=N"),
         (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +\S+"), "DATE")]

# Members of replies that depend on the time or the file system, or in QEMU
# on what it does underneath.
LOOSE_MEMBERS = {
    "package", "actual-size", "busy", "offset", "current-progress",
    "io-status", "date-sec", "date-nsec", "vm-clock-sec", "vm-clock-nsec",
    "wr_highest_offset", "idle_time_ns", "rd_total_time_ns",
    "wr_total_time_ns", "flush_total_time_ns", "unmap_total_time_ns",
}
# Lines that may be repeated, and how long for (seconds).
QUERY = re.compile(r'(\{"execute": "query-|info )')
SETTLE = 20
# Where a job stands still for a moment while somebody drains it.
BRIEF = (("paused", "running"), ("standby", "ready"))


def plain(value):
    if isinstance(value, dict):
        return {k: "?" if k in LOOSE_MEMBERS else plain(v)
                for k, v in value.items() if k != "timestamp"}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, str):
        return LOOSE[0][0].sub(LOOSE[0][1], value)
    return value


def parsed(line):
    """JSON of a reply or an event, member order and times left out."""
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
    lines = [line for line in lines if not is_event(line)]
    for pattern, word in LOOSE:
        lines = [line if parsed(line) else pattern.sub(word, line)
                 for line in lines]
    return [parsed(line) or line for line in lines]


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
    got, want = loosely(got), loosely(want)
    if mark == "~>":
        got, want = numberless(got), numberless(want)
    if names(want):
        # What blkmon knows more than the scenario is no difference.
        return names(want) & (names(got) or set()), names(want)
    return got, want


def steps(path):
    """[(mark, text, expected lines of blkmon)] of a scenario file."""
    found = []
    with open(path, encoding="utf-8") as stream:
        for line in stream.read().splitlines():
            mark, _, text = line.partition(" ")
            if mark in ("#", "-=") or re.match(r"-\s", line):
                continue
            if mark in ("$", "&", ">", "+>", "~>", "="):
                found.append((mark.lstrip("+"), text, []))
            else:
                found[-1][2].append(line[1:] if line[:1] == "+" else line)
    return found


class Replay:
    def __init__(self, d):
        self.d, self.session, self.rc = d, None, None

    def close(self):
        if self.session:
            self.session.__exit__(None, None, None)

    def line(self, mark, text):
        """Do one step; what it printed, or None if that is not looked at."""
        text = text.replace("/images", self.d)
        if mark == "$":
            out = blk.run("sh", "-c", text, cwd=self.d)
            return out.text.splitlines()
        if mark == "&":
            self.close()
            self.session = blk.Session(*shlex.split(text), cwd=self.d)
            self.session.__enter__()
            return None
        if mark == "=":
            assert self.rc == int(text), "exit status %s, not %s" % (
                self.rc, text)
            return None
        if text == "quit":
            self.rc = self.session.quit()
            return None
        return self.session.cmd(text)


def reply_of(replay, mark, text, want):
    """What a step printed.  A query is asked until it is answered as it
    should be: a job that is told to pause does so a moment later."""
    deadline = time.monotonic() + SETTLE
    lines = []
    while True:
        got = replay.line(mark, text)
        if got is None:
            return None, lines
        got = [line.replace(replay.d, "/images") for line in got]
        lines += got
        left, right = shown(mark, got, want)
        if left == right or not QUERY.match(text) or \
                time.monotonic() > deadline:
            return (left, right), lines


@pytest.mark.parametrize("path", SCENARIOS, ids=[
    os.path.basename(p)[:-4] for p in SCENARIOS])
def test_scenario(d, path):
    replay = Replay(d)
    seen, due = [], []
    try:
        for mark, text, want in steps(path):
            due += filter(is_event, want)
            pair, lines = reply_of(replay, mark, text, want)
            seen += filter(is_event, lines)
            if pair is not None:
                assert pair[0] == pair[1], "%s %s" % (mark, text)
        assert by_subject(seen) == by_subject(due)
    finally:
        replay.close()


def test_there_are_scenarios():
    assert len(SCENARIOS) >= 4
