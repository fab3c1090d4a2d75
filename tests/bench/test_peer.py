# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools of another root are started with that root's libraries."""

import re
import shutil
import subprocess
from pathlib import Path

import peer
import pytest

TOOL = "qemu-img"


def files_of(program):
    """Its dynamic linker and libraries, as this system finds them."""
    out = subprocess.run(["ldd", program], capture_output=True, text=True,
                         check=True).stdout
    return [Path(p) for p in re.findall(r"(?:=> |^\s*)(/\S+) \(", out, re.M)]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A root with this system's qemu-img and all that it needs."""
    program = shutil.which(TOOL)
    for path in files_of(program):
        where = "lib64" if path.name.startswith("ld-linux-") else \
            "usr/lib/any-linux-gnu"
        (tmp_path / where).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / where)
    (tmp_path / "usr/bin").mkdir()
    shutil.copy(program, tmp_path / "usr/bin")
    monkeypatch.setattr(peer, "ROOT", str(tmp_path))
    peer.start.cache_clear()
    return tmp_path


def test_all_is_taken_from_the_root(root):
    words = peer.argv([TOOL, "--version"])
    assert subprocess.check_output(words) == subprocess.check_output(
        [TOOL, "--version"])
    listed = subprocess.check_output([*words[:3], "--list", words[-2]],
                                     text=True)
    used = re.findall(r"=> (/\S+)", listed)
    assert used and all(p.startswith(f"{root}/") for p in used), listed


def test_only_tools_of_qemu_are_changed(root):
    assert peer.argv(["cp", "a", "b"]) == ["cp", "a", "b"]
    assert peer.argv([f"{root}/qemu-img"]) == [f"{root}/qemu-img"]


def test_a_library_of_this_system_is_refused(root):
    missing = next(root.glob("usr/lib/*/libc.so.*"))
    missing.unlink()
    with pytest.raises(SystemExit, match=re.escape(missing.name)):
        peer.argv([TOOL, "--version"])


def test_a_root_without_the_tool_is_refused(root):
    (root / "usr/bin" / TOOL).unlink()
    with pytest.raises(SystemExit, match="no qemu-img in"):
        peer.argv([TOOL, "--version"])
