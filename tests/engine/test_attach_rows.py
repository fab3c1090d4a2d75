# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of HMP at other machines: one file a row of the table in
docs/attach.md, and the same file for all kinds of ends.

A file in rows/ has lines as they are typed, behind "$ ", and below each what
comes out. "@drive,daemon " in front of what comes out is of those kinds alone.
At its end stands what a stranger at the other monitor hears of jobs. Numbers
are written N, names of nodes NODE, the folder D.

ROWS=write writes the files anew from what comes out: read them then.
"""

import os
import re
from pathlib import Path

import pytest

import blk
import ends

ROWS = Path(__file__).parent / "rows"
FILES = sorted(ROWS.glob("*.txt"))
KINDS = {kind.kind: kind for kind in ends.ALL}
HEARD = "heard:"


def plain(text, d):
    text = text.replace(os.path.realpath(d), "D").replace(d, "D")
    text = re.sub(r"#block\d+|\b(top|mid|base)-fmt\b|\bblkmon-node-\d+|"
                  r"(?<=\()n(?=\))|(?<=of )n$", "NODE", text, flags=re.M)
    text = re.sub(r"^\d+\.\d+\.\d+(Debian|blkmon) .*", "VERSION", text,
                  flags=re.M)
    # Whether the file system clones is no matter of the machine's.
    text = re.sub(r"^undo +\S.*\n", "", text, flags=re.M)
    text = re.sub(r"\d+-\d+-\d+ +\d+:\d+:\d+.*", "DATE and clock", text)
    text = re.sub(r"\b[\d.]+[KMGT]?(?= free)", "N", text)
    text = re.sub(r"(?<=about )[\d.]+[KMG]|(?<=\+)[\d.]+[KMG](?= in)", "N",
                  text)
    text = re.sub(r"\b[\d.]+[KMG]? of [\d.]+[KMG]?\b", "N of N", text)
    text = re.sub(r" +Attached to: .*\n", "", text)
    text = re.sub(r"\b[0-9a-f]+(\.[0-9]+)* [KMGTi]*(B|bytes?)\b", "N bytes",
                  text)
    text = re.sub(r"(?<=[=: ])\d[\d.:]*(?= |$|,)", "N", text, flags=re.M)
    return re.sub(r" +$", "", re.sub(r"(?<=\S)  +", "  ", text), flags=re.M)


def of_event(event):
    return (event["event"] + " " +
            event.get("data", {}).get("device", "")).rstrip()


def said(kind, d, lines):
    """What comes out of each line, and what the stranger hears."""
    with KINDS[kind](d) as end, end.other() as qmp:
        blk.create(os.path.join(d, "other.qcow2"), "1M")
        argv = [*end.connect(), "--echo", "--on-error", "continue"]
        for line in lines:
            argv += ["-c", line.replace("D/", d + "/")]
        out = blk.blkmon(*argv)
        assert out.rc in (0, 1), out
        assert end.alive(), end.said()
        qmp.ask("query-jobs")
        heard = [of_event(e) for e in qmp.events
                 if re.match("BLOCK_JOB_|STOP|RESUME|SHUTDOWN", e["event"])]
    parts = plain(out.out, d).split("(blkmon) ")[1:]
    assert len(parts) == len(lines), out
    return [part.split("\n", 1)[1].rstrip("\n").split("\n")
            if part.split("\n", 1)[1].strip() else [] for part in parts], heard


def read(path):
    """Pairs of a line and what is expected of it; the last is of events."""
    steps = []
    for line in path.read_text().splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], []))
        elif line == HEARD:
            steps.append((HEARD, []))
        elif not line.startswith("#"):
            steps[-1][1].append(line)
    return steps


def of(kind, expected):
    """Those of the lines that are this kind's."""
    out = []
    for line in expected:
        mark = re.match(r"@(\S+) ?(.*)", line)
        if not mark:
            out.append(line)
        elif kind in mark[1].split(","):
            out.append(mark[2])
    return out


def joined(per_kind):
    """The lines of all kinds as a file has them."""
    first = next(iter(per_kind.values()))
    if all(lines == first for lines in per_kind.values()):
        return first
    groups = {}
    for kind, lines in per_kind.items():
        groups.setdefault(tuple(lines), []).append(kind)
    return ["@%s %s" % (",".join(kinds), line)
            for lines, kinds in groups.items() for line in lines]


def write(path, results, lines):
    head = [line for line in path.read_text().splitlines()
            if line.startswith("#")]
    text = list(head)
    for n, line in enumerate(lines):
        text += ["$ " + line, *joined({k: r[0][n]
                                       for k, r in results.items()})]
    text += [HEARD, *joined({k: r[1] for k, r in results.items()})]
    path.write_text("\n".join(text) + "\n")


@pytest.mark.parametrize("kind", KINDS)
def test_a_guest_writes_meanwhile(kind, d):
    """Before, during and after an active commit; all of it is in base."""
    with KINDS[kind](d) as end:
        want = bytearray(blk.guest(end.chain[2], share=True))

        def guest(pattern, offset):
            end.guest_write(pattern, offset, blk.MIB)
            want[offset:offset + blk.MIB] = bytes([pattern]) * blk.MIB

        guest(0x71, blk.MIB // 2)
        end.ok("block_commit disk0", "wait disk0 ready 60", "quit")
        guest(0x72, 3 * blk.MIB)
        guest(0x73, 15 * blk.MIB)
        end.ok("wait disk0 ready 60", "block_job_complete disk0",
               "wait disk0 60")
        guest(0x74, 8 * blk.MIB)
        with end.other() as qmp:
            qmp.send({"execute": "quit"})
            end.proc.wait(blk.PATIENCE)
    blk.assert_same(blk.guest(end.chain[0]), bytes(want), kind)
    blk.check(end.chain[0])


@pytest.mark.skipif(os.environ.get("ROWS") != "write", reason="only to write")
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_write(path):
    lines = [line for line, _ in read(path) if line != HEARD]
    results = {}
    for kind in KINDS:
        with blk.workdir() as d:
            results[kind] = said(kind, d, lines)
    write(path, results, lines)


@pytest.mark.skipif(os.environ.get("ROWS") == "write", reason="being written")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_row(path, kind, d):
    steps = read(path)
    lines = [line for line, _ in steps if line != HEARD]
    out, heard = said(kind, d, lines)
    for (line, expected), got in zip(steps, [*out, heard]):
        assert got == of(kind, expected), line
