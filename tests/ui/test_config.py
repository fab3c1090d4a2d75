# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration, as the whole program reads it: the screen and the prompt
do, scripts do not."""

import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from term import BLKMON, PATIENCE, environment

CONFIG = """\
theme = light
columns = dead
map = whole
confirm = off
flavour = sour
[keys]
commit = K
"""


@pytest.fixture(name="home")
def home_with_config(tmp_path):
    (tmp_path / ".config" / "blkmon").mkdir(parents=True)
    (tmp_path / ".config" / "blkmon" / "config").write_text(CONFIG)
    for args in (["base", "8M"], ["-b", "base", "-F", "qcow2", "top"]):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2"] + args,
                       check=True, cwd=tmp_path)
    return tmp_path


def screen(home, keys, *options, suffix=""):
    (home / "keys").write_text("".join(f"key {key}\n" for key in keys))
    shot = home / f"shot{suffix}"
    done = subprocess.run(
        [BLKMON, "--drive", "file=top,id=disk0,format=qcow2", "--ui-script",
         "keys", "--screenshot", shot, "--ui-size", "160x29", *options],
        cwd=home, env=environment(home), capture_output=True, text=True,
        check=True)
    assert not done.stderr
    return shot.read_text()


def test_screen(home):
    text = screen(home, [])
    assert "config:5: there is no setting 'flavour'" in text
    assert "K Commit" in text
    names = text.splitlines()[2]
    assert "dead" in names and "disk" not in names and "map of 8.00M" in names


def test_key(home):
    assert "Plan: Commit" in screen(home, ["K"])


def test_theme(home):
    """The light one has a title of its own."""
    light = screen(home, [], suffix=".ans")
    (home / ".config" / "blkmon" / "config").unlink()
    assert light.splitlines()[0] != \
        screen(home, [], suffix="2.ans").splitlines()[0]


def test_not_wanted(home):
    text = screen(home, [], "--no-config")
    assert "flavour" not in text and "c Commit" in text


def prompt(home, *options):
    return pexpect.spawn(
        BLKMON, ["--line", "--drive", "file=top,id=disk0,format=qcow2",
                 *options], cwd=str(home), env=environment(home),
        encoding="utf-8", timeout=PATIENCE, dimensions=(24, 200))


def test_prompt_asks_nothing(home):
    child = prompt(home)
    child.expect("config:5: there is no setting 'flavour'")
    child.expect_exact("(blkmon) ")
    child.send("block_commit disk0\r")
    child.expect("is ready")
    child.close(force=True)


def test_prompt_asks(home):
    child = prompt(home, "--no-config")
    child.expect_exact("(blkmon) ")
    child.send("block_commit disk0\r")
    child.expect(r"\[y/N\]")
    child.close(force=True)


def test_script_does_not_look(home):
    done = subprocess.run([BLKMON, "-c", "info version"], cwd=home,
                          env=environment(home), capture_output=True,
                          text=True, check=True)
    assert not done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable(home):
    (home / ".config" / "blkmon").chmod(0)
    try:
        assert "Permission denied" in screen(home, [])
    finally:
        (home / ".config" / "blkmon").chmod(0o700)
