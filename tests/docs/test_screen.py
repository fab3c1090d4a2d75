# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/screen.md names as shown by a test or a golden screen is there."""

import re
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
TEXT = (REPO / "docs" / "screen.md").read_text()


def test_golden_screens():
    rows = [row for row in TEXT.splitlines() if row.startswith("| ")]
    names = re.findall(r"`([a-z0-9*-]+)\.txt`", TEXT)
    for row in rows:
        if re.match(r"\| (main|with its folder|plan|sibling|history) ", row):
            names += re.findall(r"`([^`]*)`", row)
    assert len(names) > 60
    for name in names:
        assert list((REPO / "tests/ui/golden").glob(name + ".txt")), name


def test_tests():
    code = "".join(path.read_text() for kind in ("*.py", "*.c")
                   for path in (REPO / "tests").rglob(kind))
    named = re.findall(r"`([^`]*)`", TEXT)
    files = {name.split(":")[0] for name in named
             if re.match(r"test_\w+\.(py|c)\b", name)}
    names = [word for name in named for word in re.findall(
        r"^(?:test_\w+\.\w+: )?([a-z]\w+)$", name) if "_" in word]
    assert len(files) > 10 and len(names) > 30
    for name in files:
        assert list((REPO / "tests").rglob(name)), name
    for name in names:
        assert re.search(rf"\b{name}\(", code), name


def test_all_of_them():
    rows = re.findall(r"^\| ([STU]\d+) \|", TEXT, re.M)
    assert rows == [f"S{n}" for n in range(11)] + \
        [f"T{n}" for n in range(1, 11)] + [f"U{n}" for n in range(1, 20)]
