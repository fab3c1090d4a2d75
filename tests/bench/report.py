# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured, as lines, as a table for docs/performance.md, as JSON."""

import datetime
import os
import platform
import subprocess
import tempfile
from pathlib import Path
from statistics import median

import peer

BEGIN = "<!-- made by `make bench` from here -->"
END = "<!-- to here -->"


def new_folder():
    """For the images: in $BLKMON_BENCH_DIR, else in $TMPDIR."""
    where = os.environ.get("BLKMON_BENCH_DIR") or None
    return Path(tempfile.mkdtemp(prefix="blkmon-bench.", dir=where)).resolve()


class Result:
    """One row. Times are (first clock, second clock) of each repetition."""

    def __init__(self, row, against, moved, target):
        self.row = row              # "contiguous/stream"
        self.against = against      # "block-stream", "qemu-img rebase"
        self.moved = moved
        self.target = target
        self.times = {"blkmon": [], "qemu": []}
        self.failed = {}            # side -> why

    def repetitions(self):
        return max(map(len, self.times.values()))

    def seconds(self, side, clock):
        times = self.times[side]
        return median(t[clock] for t in times) if times else None

    def ratio(self, clock):
        ours, theirs = (self.seconds(s, clock) for s in ("blkmon", "qemu"))
        return theirs / ours if ours and theirs else None

    def met(self):
        """Against a QEMU that cannot do it at all, a time is enough."""
        if "blkmon" in self.failed or not self.times["blkmon"]:
            return False
        ratio = self.ratio(0)
        return "qemu" in self.failed or bool(ratio and ratio >= self.target)

    def cells(self):
        cells = [self.row, self.against, f"{self.moved / (1 << 20):.0f}"]
        for clock in (0, 1):
            cells += [self.cell("blkmon", clock), self.cell("qemu", clock),
                      number(self.ratio(clock))]
        return cells + [number(self.target),
                        "yes" if self.met() else "**no**"]

    def cell(self, side, clock):
        if side in self.failed:
            return "failed"
        return number(self.seconds(side, clock))

    def json(self):
        return {"row": self.row, "against": self.against,
                "moved": self.moved, "target": self.target,
                "times": self.times, "failed": self.failed,
                "ratio": [self.ratio(0), self.ratio(1)],
                "met": self.met()}


def number(n):
    """At least three digits."""
    if n is None:
        return "-"
    digits = 0 if n >= 100 else 1 if n >= 10 else 2 if n >= 1 else 3
    return f"{n:.{digits}f}"


HEADS = ("row", "against", "MiB", "blkmon", "QEMU", "ratio", "blkmon'",
         "QEMU'", "ratio'", "target", "met")
WIDTHS = (26, 20, 5, 8, 8, 7, 8, 8, 7, 6, 6)


def line(cells):
    return " ".join(c.ljust(w) if i < 2 else c.rjust(w)
                    for i, (c, w) in enumerate(zip(cells, WIDTHS)))


def first_line(*argv):
    try:
        done = subprocess.run(peer.argv(argv), capture_output=True, text=True,
                              check=False)
    except OSError:
        return "unknown"
    return (done.stdout.splitlines() or ["unknown"])[0]


def machine(program, folder):
    """What has to be known of the machine, and nothing that names it."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    kind = first_line("stat", "-f", "-c", "%T", str(folder))
    kind = "ext4" if kind == "ext2/ext3" else kind
    kernel = ".".join(platform.release().split(".")[:2])
    return (f"{len(os.sched_getaffinity(0))} cores, "
            f"{round(memory / (1 << 30))} GiB of memory, Linux {kernel}, "
            f"{kind}; {first_line(program, '--version')}; "
            f"QEMU {first_line('qemu-img', '--version').split()[2]}")


def markdown(results, skipped, where, repetitions, remark=""):
    """@remark: what else a reader has to know of this run."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    times = f"medians of {repetitions}" if repetitions > 1 else "one run each"
    out = [BEGIN, "",
           f"{today}, {where}; {times}, in seconds.", "",
           *([remark, ""] if remark else []),
           "| " + " | ".join(HEADS) + " |",
           "|---|---|" + "--:|" * (len(HEADS) - 3) + "---|"]
    out += ["| " + " | ".join(r.cells()) + " |" for r in results]
    few = [r for r in results if 0 < r.repetitions() < repetitions]
    notes = [f"* `{r.row}` against {r.against}: {r.repetitions()} "
             "repetition(s), it takes long." for r in few]
    notes += [f"* `{name}`: not measured, {why}." for name, why in skipped]
    notes += [f"* `{r.row}` against {r.against}: {side} failed: {why}."
              for r in results for side, why in r.failed.items()]
    if notes:
        out += ["", *notes]
    return "\n".join([*out, "", END])


def write_between(path, text, begin=BEGIN):
    """Puts @text in the place of the section between the markers."""
    with open(path, encoding="utf-8") as f:
        whole = f.read()
    before, rest = whole.split(begin, 1)
    after = rest.split(END, 1)[1]
    with open(path, "w", encoding="utf-8") as f:
        f.write(before + text + after)
