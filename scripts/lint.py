#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the project asks of its sources beyond a build that passes.

lint.py CFLAGS...: prints one line for each fault, nothing when there is none,
and exits with 1 if it printed something.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TERMINAL = ("curses.h", "ncurses", "readline/", "term.h")

# folder, what it may include of the project, system headers it may not.
# A file obeys the first row that fits.
FLOORS = (
    ("engine/util/", ("engine/util/",), TERMINAL + ("jansson.h",)),
    ("engine/", ("engine/",), TERMINAL + ("jansson.h",)),
    ("src/qmp/", ("src/qmp/", "engine/"), TERMINAL),
    ("src/console/", ("src/console/", "src/qmp/", "engine/util/"), TERMINAL),
    ("ui/", ("ui/", "src/console/", "src/qmp/", "engine/util/"), ()),
    ("src/", ("src/", "ui/", "engine/"), TERMINAL),
    ("tests/unit/util/", ("tests/", "engine/util/"), ()),
    ("tests/unit/qmp/", ("tests/", "src/qmp/", "engine/"), ()),
    ("tests/unit/console/", ("tests/", "src/console/", "src/qmp/", "engine/"),
     ()),
    ("tests/unit/ui/", ("tests/", "ui/", "src/", "engine/"), ()),
    ("tests/unit/", ("tests/", "engine/"), ()),
)

# which files, what must not stand in a line of them, what to say then
LINES = (
    (r"", r"[ \t]+$", "blanks at the end of the line"),
    (r"", r"\b(TODO|FIXME|XXX|HACK)\b", "unfinished work"),
    (r"\.[ch]$", r"^\s*typedef\s+(struct|union|enum)\b", "typedef of a struct"),
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
            # jansson's headers are not read
            "-Djson_array_foreach(a,i,v)="
            "for(i=0;(v=json_array_get(a,i));i++)",
            "-Djson_object_foreach(o,k,v)=for(;(k=f(o,&v));)",
            "--template={file}:{line}: {id}: {message}",
            "--suppress=missingIncludeSystem")

TEXT = (".c", ".h", ".py", ".sh", ".md", ".1")
ROOMS = ("engine", "src", "ui", "tests", "scripts", ".ci", "docs")
faults = 0


def say(*lines):
    global faults
    for line in lines:
        faults += 1
        print(line)


def texts():
    """Every file of the project that people write by hand."""
    found = [p for p in Path().iterdir() if p.suffix == ".md"]
    for room in ROOMS:
        for p in sorted(Path(room).rglob("*")):
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


def check_includes(path, lines):
    floor = next((f for f in FLOORS if path.startswith(f[0])), None)
    if not floor:
        return
    folder, allowed, banned = floor
    for n, line in enumerate(lines, 1):
        m = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', line)
        if not m:
            continue
        name = m[2]
        if m[1] == '"' and not name.startswith(allowed):
            say(f"{path}:{n}: {folder} may not include {name}")
        if m[1] == "<" and name.startswith(banned):
            say(f"{path}:{n}: {folder} may not include <{name}>")


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


def main():
    os.chdir(Path(__file__).parent.parent)
    files = {p: Path(p).read_text("utf-8").splitlines() for p in texts()}
    sources = {p: s for p, s in files.items() if p.endswith((".c", ".h"))}
    for path, lines in files.items():
        check_lines(path, lines)
    for path, lines in sources.items():
        check_width(path, lines)
        check_includes(path, lines)
    check_sizes(sources)
    scripts = [p for p, s in files.items()
               if s and re.match("#!.*sh$", s[0])]
    check_tools(sources, scripts, sys.argv[1:])
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
