"""The walls between the rooms: what `make lint` refuses."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
PARTS = ("README.md", "Makefile", "scripts", "engine", "src", "ui")


@pytest.fixture(name="house")
def copy_of_the_sources(tmp_path):
    for part in PARTS:
        if (REPO / part).is_dir():
            shutil.copytree(REPO / part, tmp_path / part)
        else:
            shutil.copy(REPO / part, tmp_path)
    return tmp_path


def lint(house):
    """The lines that lint prints of the includes and rooms."""
    done = subprocess.run([sys.executable, "scripts/lint.py", "--text"],
                          cwd=house, capture_output=True, text=True,
                          check=False)
    assert done.returncode == (1 if done.stdout else 0), done.stderr
    return done.stdout.splitlines()


def include(house, path, *names):
    with open(house / path, "a", encoding="utf-8") as f:
        f.writelines(f'#include "{name}"\n' for name in names)


def test_the_house_is_in_order(house):
    assert not lint(house)


def test_an_include_upward_is_refused(house):
    include(house, "engine/image/range.c", "engine/chain/graph.h")
    said = lint(house)
    assert any(re.fullmatch(r"engine/image/range\.c:\d+: engine/image/ may "
                            r"not include engine/chain/graph\.h", line)
               for line in said), said


def test_a_circle_between_rooms_is_refused(house):
    include(house, "engine/event/event.c", "engine/image/range.h")
    said = lint(house)
    assert any(line.startswith("a circle between rooms: ") and
               "engine/event" in line and "engine/image" in line
               for line in said), said


def test_a_longer_circle_is_refused(house):
    include(house, "engine/util/str.c", "engine/job/job.h")
    said = lint(house)
    circle = [s for s in said if s.startswith("a circle between rooms: ")]
    assert len(circle) == 1
    assert "engine/util" in circle[0] and "engine/job" in circle[0]
    assert "ui/draw" not in circle[0] and "engine/nbd" not in circle[0]


def test_a_foreign_private_header_is_refused(house):
    include(house, "engine/engine.c", "engine/job/copy_impl.h")
    assert [line.split(": ", 1)[1] for line in lint(house)] == [
        "engine/job/copy_impl.h is private to engine/job/"]


def test_two_statics_of_one_name_are_refused(house):
    for path in "engine/map.c", "ui/view/view.c":
        with open(house / path, "a", encoding="utf-8") as f:
            f.write("\nstatic int new_here(int x)\n{\n\treturn x;\n}\n")
    assert [line.split(": ", 1)[1] for line in lint(house)] == [
        "engine/map.c has a new_here() too"]


def test_the_rooms_above_see_the_engine_through_qmp(house):
    include(house, "ui/view/view.c", "engine/engine.h")
    assert [line.split(": ", 1)[1] for line in lint(house)] == [
        "ui/view/ may not include engine/engine.h"]


def test_readme_and_makefile_have_the_same_rooms(house):
    readme = house / "README.md"
    text = readme.read_text(encoding="utf-8")
    row = re.search(r"^\| `engine/job/` .*\n", text, re.M)[0]
    readme.write_text(text.replace(row, ""), encoding="utf-8")
    assert any(line.startswith("README.md: the table of rooms is")
               for line in lint(house))


def test_a_header_that_is_gone_is_missed(house):
    readme = house / "README.md"
    text = readme.read_text(encoding="utf-8")
    readme.write_text(text.replace("`job_kinds.h`", "`no_such.h`"),
                      encoding="utf-8")
    assert "README.md: there is no header engine/job/no_such.h" in lint(house)


def test_every_file_that_the_readme_names_is_there():
    text = (REPO / "README.md").read_text(encoding="utf-8")
    there = {p.name for folder in ("engine", "src", "ui", "tests", "scripts")
             for p in (REPO / folder).rglob("*.[chp]*")}
    there |= {p.name for p in (REPO / "scripts").iterdir()}
    named = set(re.findall(r"`([\w-]+\.(?:[ch]|py|sh))`", text))
    assert len(named) > 40
    assert not named - there
    paths = set(re.findall(r"`([\w.-]+(?:/[\w.-]+)*/?)`", text))
    paths = {p for p in paths if p.split("/")[0] in (
        "engine", "src", "ui", "tests", "scripts", "docs", ".ci")}
    assert paths
    assert not {p for p in paths if not (REPO / p).exists()}
