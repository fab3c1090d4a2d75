# SPDX-License-Identifier: GPL-3.0-or-later
"""Behind an error: what there is instead; and QEMU's words are as before."""

from pathlib import Path

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
    ("qemu-io wbe \"read 0 512\"", "Error: Cannot find device=",
     "the only device is: web"),
    ("qemu-io wbe length", "Error: Cannot find device=",
     "the only device is: web"),
    ("nbd_server_remove x", "Error: Export 'x' is not found",
     "there is no export"),
    ("job-pause id=x", '{"error": {"class": "GenericError", "desc": '
     '"Job not found"}}', "there is no job"),
    ("blockdev-del node-name=x", '{"error": {"class": "GenericError", '
     '"desc": "Failed to find node with node-name=',
     "the nodes are: #block002, #block001"),
    ("plan info block", "Error: There is no plan for 'info block': ", None),
    ("plan wait web", "Error: There is no plan for 'wait': ", None),
])
def test_at_the_prompt(pair, line, error, hint):
    out = blk.blkmon("--drive", "file=%s,id=web,format=qcow2" % pair[-1],
                     "-c", line)
    assert out.rc == 1
    found = [text for text in out.out.splitlines() if text]
    assert len(found) == 1 and found[0].startswith(error), out
    assert out.err == ("blkmon: %s\n" % hint if hint else ""), out


@pytest.mark.parametrize("line, error, hint", [
    ("block_stream web zz", "invalid size",
     "'zz' is no size; one is like 512, 64k or 1.5G"),
    ("plan block_stream web -1 x", "invalid size",
     "'-1' is no size; one is like 512, 64k or 1.5G"),
    ("block_job_set_speed web", "invalid size",
     "'' is no size; one is like 512, 64k or 1.5G"),
    ("block_resize web 9x", "block_resize: extraneous characters at the end "
     "of line", "'9x' is no size; one is like 512, 64k or 1.5G"),
    ("info block web more or", "block: extraneous characters at the end of "
     "line", "'more' is one word too many"),
])
def test_the_word_that_is_wrong(pair, line, error, hint):
    out = blk.blkmon("--drive", "file=%s,id=web,format=qcow2" % pair[-1],
                     "-c", line)
    assert out.rc == 1
    assert out.out.splitlines()[0] == error
    assert out.err == "blkmon: %s\n" % hint, out


@pytest.mark.parametrize("way", ["delete", "plan delete", "offline"])
def test_what_may_be_deleted(pair, d, way):
    """Beside a name that is wrong: those of its folder that may go."""
    def lines(name):
        out = blk.blkmon("delete", name) if way == "offline" else \
            blk.blkmon("--drive", "file=%s,format=qcow2" % pair[-1],
                       "-c", f"{way} {name}")
        assert out.rc == 1
        assert "Could not delete '%s': No such file or directory" % name in \
            out.out + out.err, out
        return out.err
    for name in "spare", "other":
        blk.create(f"{d}/sub-{name}", blk.MIB)
    assert "blkmon: there nothing uses: " in lines(d + "/nosuch")
    assert "sub-other, sub-spare\n" in lines(d + "/nosuch")
    assert "nothing uses" not in lines(d + "/no/such")
    (Path(d) / "empty").mkdir()
    assert "blkmon: there is no image there that nothing uses\n" in \
        lines(d + "/empty/nosuch")


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
