# SPDX-License-Identifier: GPL-3.0-or-later
"""The colours of the screen, as the terminal is: it is asked, and what is
typed meanwhile is not lost."""

import os
from pathlib import Path

import pexpect
import pytest

BLKMON = os.environ.get("BLKMON",
                        str(Path(__file__).resolve().parents[2] / "blkmon"))
PATIENCE = float(os.environ.get("BLKMON_PATIENCE", "60"))

QUESTION = r"\x1b\]11;\?\x1b\\\x1b\[c"
ANSWER = "\x1b[?62;22c"
LIGHT_TITLE = r"\x1b\[[0-9;]*48;5;253m"
DARK_TITLE = r"\x1b\[[0-9;]*48;5;236m"


@pytest.fixture(name="screen")
def start_screen():
    running = []

    def run(*args, **env):
        child = pexpect.spawn(
            BLKMON, list(args), encoding="utf-8", timeout=PATIENCE,
            dimensions=(24, 80), codec_errors="replace",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
                 "TERM": "xterm-256color", "INPUTRC": "/dev/null", **env})
        child.delaybeforesend = None
        running.append(child)
        return child
    yield run
    for child in running:
        child.close(force=True)


def answered(screen, reply, title):
    """The screen, asked and answered; on a busy machine an answer may take
    longer than it is waited for, so that is tried again."""
    for _ in range(10):
        child = screen()
        child.expect(QUESTION)
        child.send(reply)
        if child.expect([LIGHT_TITLE, DARK_TITLE]) == (title == DARK_TITLE):
            return child
    raise AssertionError("never as it was answered")


@pytest.mark.parametrize("reply,title", [
    ("\x1b]11;rgb:ffff/ffff/dddd\x1b\\", LIGHT_TITLE),
    ("\x1b]11;rgb:f/f/f\x07", LIGHT_TITLE),
    ("\x1b]11;rgb:ee/ee/ee\x07", LIGHT_TITLE),
    ("\x1b]11;rgb:2e2e/3434/3636\x1b\\", DARK_TITLE),
    ("\x1b]11;rgb:0000/0000/ffff\x1b\\", DARK_TITLE),
    ("\x1b]11;nonsense\x07", DARK_TITLE),
    ("", DARK_TITLE),
])
def test_terminal_is_asked(screen, reply, title):
    answered(screen, reply + ANSWER, title)


def test_keys_typed_meanwhile_are_kept(screen):
    child = answered(screen, "?\x1b]11;rgb:ffff/ffff/ffff\x07" + ANSWER +
                     "/snap", LIGHT_TITLE)
    child.expect("Help")
    child.expect("/snap")


def test_terminal_that_says_nothing(screen):
    child = screen()
    child.expect(QUESTION)
    child.expect(DARK_TITLE)
    # Too late is no key.
    child.send("\x1b]11;rgb:ffff/ffff/ffff\x07" + ANSWER + ":info version\r")
    child.expect(r"\d+\.\d+\.\d+")


@pytest.mark.parametrize("value,title", [
    ("0;15", LIGHT_TITLE), ("0;default;7", LIGHT_TITLE), ("15;0", DARK_TITLE),
])
def test_variable_tells(screen, value, title):
    child = screen(COLORFGBG=value)
    assert child.expect([title, QUESTION]) == 0


def test_option_is_obeyed(screen):
    child = screen("--theme=light", COLORFGBG="15;0")
    assert child.expect([LIGHT_TITLE, QUESTION]) == 0
