#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the project asks of its sources beyond a build that passes.

lint.py CFLAGS...: prints one line for each fault, nothing when there is none,
and exits with 1 if it printed something. lint.py --rooms: the rooms, with
what is in them. lint.py --text: only what needs no compiler.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

UI = ("ui", "src/console", "src/qmp", "engine/util")
TERMINAL = ("curses.h", "ncurses", "readline/", "term.h")

# Rooms are the table in README.md, from the ground up: a room may include its
# own headers and the public ones of the rooms before it. These may less: the
# rooms speak QMP to each other.
NARROW = (
    ("src/qmp", None, TERMINAL),
    ("src/attach", ("src/attach", "src/qmp", "engine/util"), TERMINAL),
    ("src/console", ("src/console", "src/qmp", "engine/util"), TERMINAL),
    ("ui/tty", ("ui/draw", "engine/util"), ("readline/",)),
    ("ui/prompt", UI, ("curses.h", "ncurses", "term.h")),
    ("ui", UI, TERMINAL),
    ("src", None, TERMINAL),
    ("engine", None, TERMINAL + ("jansson.h",)),
)

# which files, what must not stand in a line of them, what to say then
LINES = (
    (r"", r"[ \t]+$", "blanks at the end of the line"),
    (r"", r"\b(TODO|FIXME|XXX|HACK)\b", "unfinished work"),
    (r"\.[ch]$", r"^\s*typedef\s+(struct|union|enum)\b", "typedef of a struct"),
    # What is at the other end of a channel is the business of src/attach.
    (r"^(src/console|ui)/", r"(?<![/\w])(libvirt|storage.daemon|commit_top|"
     r"mirror_top|copy-on-read|x-debug-)|#block|\bvirDomain",
     "a kind of end, above the channel"),
    (r"^tests/", r"\b(u|nano|time\.)?sleep\s*\(|^\s*sleep\s",
     "a test that sleeps; wait for the event"),
)

COLUMNS = 80
FILE_LINES = 600
FUNCTION_MEDIAN = 15
FUNCTION_MOST = 50  # lines that nine functions of ten do not exceed

CPPCHECK = ("cppcheck", "-q", "-j2", "--enable=warning,portability",
            "--std=c11", "--inline-suppr", "--error-exitcode=1", "-I.",
            "-D_GNU_SOURCE",
            # jansson's headers are not read. A semicolon ends a definition,
            # and with half of one older versions look at nothing.
            "-Djson_array_foreach(a,i,v)=while(json_each(a,&i,&v))",
            "-Djson_object_foreach(o,k,v)=while(json_each(o,&k,&v))",
            "--template={file}:{line}: {id}: {message}",
            "--suppress=missingIncludeSystem",
            # new in 2.17: remarks on its own depth, and tests that malloc
            # cannot fail for
            "--suppress=normalCheckLevelMaxBranches",
            "--suppress=nullPointerOutOfMemory:tests/*",
            "--suppress=nullPointerArithmeticOutOfMemory:tests/*")

TEXT = (".c", ".h", ".py", ".sh", ".md", ".1")
FOLDERS = ("engine", "src", "ui", "tests", "scripts", ".ci", "docs")
faults = 0


def say(*lines):
    global faults
    for line in lines:
        faults += 1
        print(line)


def texts():
    """Every file of the project that people write by hand."""
    found = [p for p in Path().iterdir() if p.suffix == ".md"]
    for folder in FOLDERS:
        for p in sorted(Path(folder).rglob("*")):
            if p.is_file() and (p.suffix in TEXT or not p.suffix
                                and os.access(p, os.X_OK)):
                found.append(p)
    return [str(p) for p in found + [Path("Makefile")]]


def check_lines(path, lines):
    # The table above names what it looks for.
    if path == "scripts/lint.py":
        return
    for files, pattern, what in LINES:
        if not re.search(files, path):
            continue
        for n, line in enumerate(lines, 1):
            if re.search(pattern, line):
                say(f"{path}:{n}: {what}")


def check_width(path, lines):
    for n, line in enumerate(lines, 1):
        if len(line.expandtabs(8)) > COLUMNS:
            say(f"{path}:{n}: more than {COLUMNS} columns")


class Room:
    """One row of the README's table."""

    def __init__(self, number, folder, headers):
        self.number = number
        self.folder = folder
        self.public = None if headers == "all" else {
            f"{folder}/{name}" for name in re.findall(r"`([^`]+)`", headers)}
        self.narrow = next((n for n in NARROW if folder == n[0] or
                            folder.startswith(n[0] + "/")), (None, None, ()))

    def may_see(self, other):
        """May a file of this room include public headers of that one?"""
        allowed = self.narrow[1]
        return other.number < self.number and (
            allowed is None or any(other.folder == a or
                                   other.folder.startswith(a + "/")
                                   for a in allowed))


def rooms_of(readme, makefile):
    """The rooms by folder; they must be those that are built, in that order,
    and have the headers that the table says."""
    rows = re.findall(r"^\| `([^`|]+)/` \| ([^|]+) \| [^|]+ \|$", readme, re.M)
    rooms = {f: Room(n, f, h.strip()) for n, (f, h) in enumerate(rows)}
    made = re.search(r"^ROOMS := ((?:.*\\\n)*.*)$", makefile, re.M)
    made = made[1].replace("\\\n", " ").split() if made else []
    if made != [f for f, _ in rows]:
        say(f"README.md: the table of rooms is {[f for f, _ in rows]}, "
            f"Makefile builds {made}")
    for room in rooms.values():
        for name in sorted(room.public or ()):
            if not Path(name).is_file():
                say(f"README.md: there is no header {name}")
    return rooms


def room_of(path, rooms):
    return rooms.get(str(Path(path).parent))


def check_include(path, name, rooms, where):
    """One #include "name" of a file in a room."""
    own, other = room_of(path, rooms), room_of(name, rooms)
    if not other:
        say(f"{where}: {name} is in no room")
    elif own is other:
        return
    elif not own.may_see(other):
        say(f"{where}: {own.folder}/ may not include {name}")
    elif other.public is not None and name not in other.public:
        say(f"{where}: {name} is private to {other.folder}/")


def includes(lines):
    for n, line in enumerate(lines, 1):
        m = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', line)
        if m:
            yield n, m[1] == "<", m[2]


def check_test(path, lines, rooms):
    """A unit test knows all of its room and of the rooms before it."""
    folder = str(Path(path).parent.relative_to("tests/unit"))
    room = next((r for r in rooms.values() if r.folder.split("/", 1)[-1] ==
                 folder or r.folder == folder), None)
    for n, system, name in includes(lines):
        other = None if system else room_of(name, rooms)
        if room and other and other.number > room.number:
            say(f"{path}:{n}: a test of {room.folder}/ may not include {name}")


def check_includes(path, lines, rooms):
    room = room_of(path, rooms)
    if not room:
        if path.startswith("tests/unit/"):
            check_test(path, lines, rooms)
        elif not path.startswith("tests/"):
            say(f"{path}: is in no room")
        return
    for n, system, name in includes(lines):
        if not system:
            check_include(path, name, rooms, f"{path}:{n}")
        elif name.startswith(room.narrow[2]):
            say(f"{path}:{n}: {room.folder}/ may not include <{name}>")


def check_statics(sources, rooms):
    """A name of a static function is one function's, in all of the program:
    grep, a debugger and a profile find one."""
    where = {}
    for path, lines in sources.items():
        if not path.endswith(".c") or not room_of(path, rooms):
            continue
        for n, line in enumerate(lines, 1):
            m = re.match(r"static (?:inline )?[A-Za-z_][\w *]*?[ *](\w+)\(", line)
            if m and where.setdefault(m[1], path) != path:
                say(f"{path}:{n}: {where[m[1]]} has a {m[1]}() too")


def check_circles(sources, rooms):
    """Rooms that know each other, however many are in between."""
    knows = {folder: set() for folder in rooms}
    for path, lines in sources.items():
        room = room_of(path, rooms)
        for _, system, name in includes(lines) if room else ():
            other = room_of(name, rooms)
            if not system and other and other is not room:
                knows[room.folder].add(other.folder)
    # What knows none of the rest is in no circle, nor what none of it knows.
    while True:
        known = set().union(*knows.values())
        out = [r for r, to in knows.items()
               if not to & knows.keys() or r not in known]
        if not out:
            break
        for room in out:
            del knows[room]
    if knows:
        say("a circle between rooms: " + ", ".join(knows))


def function_lengths(lines):
    """Kernel style: a brace alone in column 1 opens a function's body."""
    start = 0
    for n, line in enumerate(lines, 1):
        if line == "{":
            start = n
        elif line == "}" and start:
            yield n - start - 1
            start = 0


def check_sizes(sources):
    lengths = []
    for path, lines in sources.items():
        if path.startswith("tests/"):
            continue
        if len(lines) > FILE_LINES:
            say(f"{path}: {len(lines)} lines, more than {FILE_LINES}")
        lengths += function_lengths(lines)
    if not lengths:
        return
    median = statistics.median(lengths)
    if median > FUNCTION_MEDIAN:
        say(f"half of the functions have more than {median} lines")
    if sum(n > FUNCTION_MOST for n in lengths) * 10 > len(lengths):
        say(f"a tenth of the functions has more than {FUNCTION_MOST} lines")


def run(argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return [] if done.returncode == 0 else (
        done.stdout.splitlines() or [f"{argv[0]} failed"])


def check_tools(sources, scripts, cflags):
    """Both compilers on each file, headers alone too; then the checkers."""
    jobs = []
    code = [p for p in sources if p.endswith(".c")]
    for cc in ("gcc", "clang"):
        compiler = [cc, *cflags, "-Werror", "-fsyntax-only", "-x", "c"]
        for path in code:
            jobs.append([*compiler, path])
        for path in sources.keys() - code:
            jobs.append([*compiler, "-Wno-unused-function", path])
    if shutil.which("cppcheck") and code:
        jobs.insert(0, [*CPPCHECK, *code])
    if shutil.which("shellcheck"):
        jobs.append(["shellcheck", "-f", "gcc", *scripts])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for output in pool.map(run, jobs):
            say(*output)


def show_rooms(sources, rooms):
    """For people: each room with its lines and its public headers."""
    for folder, room in rooms.items():
        mine = {p: s for p, s in sources.items() if room_of(p, rooms) is room}
        public = room.public if room.public is not None else {
            p for p in mine if p.endswith(".h")}
        print(f"{folder + '/':22}{len(mine):3} files"
              f"{sum(map(len, mine.values())):7} lines   "
              + " ".join(sorted(Path(p).name for p in public)))


def main():
    os.chdir(Path(__file__).parent.parent)
    files = {p: Path(p).read_text("utf-8").splitlines() for p in texts()}
    sources = {p: s for p, s in files.items() if p.endswith((".c", ".h"))}
    if sys.argv[1:] == ["--rooms"]:
        return show_rooms(sources, rooms_of("\n".join(files["README.md"]),
                                            "\n".join(files["Makefile"])))
    for path, lines in files.items():
        check_lines(path, lines)
    rooms = rooms_of("\n".join(files["README.md"]),
                     "\n".join(files["Makefile"]))
    for path, lines in sources.items():
        check_width(path, lines)
        check_includes(path, lines, rooms)
    check_statics(sources, rooms)
    check_circles(sources, rooms)
    check_sizes(sources)
    scripts = [p for p, s in files.items()
               if s and re.match("#!.*sh$", s[0])]
    if sys.argv[1:] != ["--text"]:
        check_tools(sources, scripts, sys.argv[1:])
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
