"""The manual says what the program does."""

import os
import re
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
BLKMON = os.environ.get("BLKMON", str(REPO / "blkmon"))
PAGE = (REPO / "docs" / "blkmon.1").read_text(encoding="utf-8")


def text_of(page):
    return page.replace("\\-", "-")


def test_the_command_chapter_is_the_table():
    subprocess.run([sys.executable, REPO / "scripts" / "manual.py", "--check",
                    BLKMON], check=True)


def test_every_option_is_explained():
    usage = subprocess.run([BLKMON, "--help-all"], check=True, text=True,
                           capture_output=True).stdout
    options = set(re.findall(r"--[a-z][a-z-]+", usage))
    assert options
    for option in options:
        assert option in text_of(PAGE), option
