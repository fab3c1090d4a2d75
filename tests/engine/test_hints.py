# SPDX-License-Identifier: GPL-3.0-or-later
"""Behind an error: what there is instead; and QEMU's words are as before."""

import pytest

import blk
from qmpsock import Server


@pytest.mark.parametrize("line, error, hint", [
    ("blok_commit disk0", "unknown command: 'blok_commit'",
     "did you mean 'block_commit'?"),
    ("help blok_commit", "unknown command: 'blok_commit'",
     "did you mean 'block_commit'?"),
    ("info blok", "unknown command: 'info blok'", "did you mean 'info block'?"),
    ("query-bloc", "unknown command: 'query-bloc'",
     "did you mean 'query-block'?"),
    ("commit wbe", "Device 'wbe' not found", "the only device is: web"),
    ("block_commit wbe", "Error: Device 'wbe' not found",
     "the only device is: web"),
    ("drive_del wbe", "Device 'wbe' not found", "the only device is: web"),
    ("block_job_cancel d", "Error: Block job 'd' not found",
     "there is no job"),
    ("wait d", "Error: Block job 'd' not found", "there is no job"),
    ("savevm", "unknown command: 'savevm'", None),
])
def test_at_the_prompt(pair, line, error, hint):
    out = blk.blkmon("--drive", "file=%s,id=web,format=qcow2" % pair[-1],
                     "-c", line)
    assert out.rc == 1
    found = [text for text in out.out.splitlines() if text]
    assert len(found) == 1 and found[0].startswith(error), out
    assert out.err == ("blkmon: %s\n" % hint if hint else ""), out


def test_those_that_there_are(pair, d):
    other = blk.create(d + "/other", blk.MIB)
    drive = "file=%s,id=%s,format=qcow2"
    out = blk.blkmon("--drive", drive % (pair[-1], "web"),
                     "--drive", drive % (other, "db"), "--on-error=continue",
                     "-c", "block_stream web 1", "-c", "block_job_pause x",
                     "-c", "block_stream d",
                     "-c", "block_job_cancel web")
    assert "blkmon: the only job is: web\n" in out.err, out
    assert "blkmon: the devices are: web, db\n" in out.err, out


def test_a_request_as_json(pair):
    out = blk.blkmon("disk0=" + pair[-1], "-c",
                     "{'execute': 'blok-commit'}")
    assert '"class": "CommandNotFound"' in out.out, out
    assert "did you mean 'block-commit'?" in out.err, out


def test_a_client_hears_only_the_words(pair, d):
    with Server(d, "disk0=" + pair[-1]) as s, s.client() as c:
        assert c.ask("human-monitor-command",
                     command_line="blok_commit disk0") == \
            "unknown command: 'blok_commit'\r\n"
        assert c.refused({"execute": "blok-commit"}) == (
            "CommandNotFound", "The command blok-commit has not been found")
        s.quit()


def test_subcommands():
    out = blk.blkmon("comit", stdin="")
    assert out.rc == 1 and "did you mean 'blkmon commit'?" in out.err, out
    out = blk.blkmon("zzz", stdin="")
    assert "did you mean" not in out.err, out
