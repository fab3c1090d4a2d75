# SPDX-License-Identifier: GPL-3.0-or-later
"""A script's rules, and HMP's own words."""

import os
import signal
import subprocess
import time

import pytest

import blk
from blk import KIB, MIB, content


# ---------------------------------------------------------- rules of a script

def test_batch_reads_stdin(pair):
    """No prompt, no escapes, comments, CRs, a last line without newline."""
    script = "# a comment\r\n\n   \ninfo block-jobs\r\n\tinfo block-jobs  \n" \
        "block_stream disk0\n" \
        "wait\ninfo block-jobs"
    out = blk.blkmon_ok(pair[-1], stdin=script)
    assert out.out == "No active jobs\n" * 3, out
    assert len(blk.img_chain(pair[-1])) == 1


def test_echo(pair):
    out = blk.blkmon_ok("--echo", pair[-1], "-c", "info block-jobs",
                        "-c", "wait")
    assert out.out == "(blkmon) info block-jobs\nNo active jobs\n" \
        "(blkmon) wait\n", out


def test_commands_from_a_file(d, pair):
    script = os.path.join(d, "script")
    with open(script, "w", encoding="ascii") as stream:
        stream.write("block_stream disk0\nwait disk0 done 30\n")
    blk.blkmon_ok("-f", script, pair[-1])
    assert len(blk.img_chain(pair[-1])) == 1


@pytest.mark.parametrize("mode,lines,rc", [
    ([], 1, 1), (["--on-error=stop"], 1, 1), (["--on-error=continue"], 2, 1)])
def test_on_error(pair, mode, lines, rc):
    out = blk.blkmon(*mode, pair[-1], stdin="info block-jobs\nfoo\n"
                     "info block-jobs\n")
    assert out.out.count("No active jobs") == lines, out
    assert "unknown command: 'foo'" in out.text
    assert out.rc == rc, out


@pytest.mark.parametrize("option", [
    ["--log", "log"], ["--first", "info block"]])
@pytest.mark.parametrize("front", [
    [], ["-c", "info block"], ["--line"], ["--qmp", "stdio"],
    ["--daemonize"]])
def test_options_of_the_screen(d, option, front):
    """Where there is none they are refused, before anything is opened."""
    out = blk.blkmon(*option, *front, os.path.join(d, "none"), cwd=d)
    if (option[0], front) == ("--first", ["--line"]):
        assert out.rc == 1 and "Could not open" in out.err, out
        return
    assert out.rc == 2 and "and there is none" in out.err, out
    assert option[0] in out.err and "none'" not in out.err, out
    assert os.listdir(d) == []


def test_first_lines_of_a_prompt(d):
    out = blk.blkmon("--line", "--first", "info block", blk.simple(d),
                     stdin="quit\n")
    assert out.rc == 0 and "a.img" in out.out, out


@pytest.mark.parametrize("argv", [
    ["--nosuch"], ["--on-error=maybe"], ["--drive"],
    ["--drive", "file=x,colour=blue"], ["--drive", "file=x,format=vmdk"],
    ["cat"], ["info"], ["commit", "a", "b"],
    ["--ui-script", "keys", "-c", "info block"],
    ["--screenshot", "shot"], ["--screenshot", "shot", "--line"]])
def test_usage_errors(argv):
    out = blk.blkmon(*argv)
    assert out.rc == 2 and out.err, out


def test_help_and_version():
    out = blk.blkmon_ok("--help-all")
    for word in ("--drive", "--echo", "--on-error", "--line", "-c", "-f"):
        assert word in out.out, word
    out = blk.blkmon_ok("--help").out
    # With the line that was typed and the next prompt it is on one screen.
    assert len(out.splitlines()) <= 22, "it does not fit a screen"
    assert all(len(line) < 80 for line in out.splitlines()), out
    for word in ("--drive", "--nbd", "--line", "--help-all", "history"):
        assert word in out, word
    assert blk.blkmon_ok("--version").out.startswith("blkmon ")
    for command in ("commit", "info", "cat"):
        out = blk.blkmon_ok(command, "--help").out
        assert out.startswith("usage: blkmon %s " % command), out


def test_end_of_input_waits_for_jobs(pair):
    out = blk.blkmon_ok(pair[-1], stdin="block_stream disk0 16M\n")
    assert len(blk.img_chain(pair[-1])) == 1, out


def test_end_of_input_with_a_ready_job(pair):
    """Nobody completed it: cancelled without pivot, said, a failure."""
    want = blk.guest(pair[-1])
    out = blk.blkmon(pair[-1], stdin="block_commit disk0\n"
                     "wait disk0 ready 30\n")
    assert out.rc == 1 and "disk0" in out.err and "eady" in out.err.lower(), \
        out
    assert len(blk.img_chain(pair[-1])) == 2
    blk.assert_same(blk.guest(pair[-1]), want, "not pivoted")
    for path in pair:
        blk.check(path)


def test_quit_cancels_at_once(pair):
    def attempt():
        start = time.monotonic()
        out = blk.blkmon(pair[-1], stdin="block_stream disk0 1B\nquit\n"
                         "info block-jobs\n")
        assert out.rc in (0, 1) and "active" not in out.out, out
        return time.monotonic() - start
    assert blk.best(attempt, 5) < 5
    assert len(blk.img_chain(pair[-1])) == 2
    for path in pair:
        blk.check(path)


def test_wait(pair):
    with blk.Session(pair[-1]) as s:
        s.ok("wait")
        s.ok("block_stream disk0 1B")

        def attempt():
            start = time.monotonic()
            text = "\n".join(s.cmd("wait disk0 done 1"))
            took = time.monotonic() - start
            assert took > 0.95, took
            assert text, "a wait that ran out of time says so"
            return took
        assert blk.best(attempt, 3) < 3
        s.ok("block_job_set_speed disk0 0")
        s.ok("wait disk0")
        # A completion that came before the wait is not lost.
        s.ok("wait disk0 done 5")
        s.quit()
    out = blk.blkmon(pair[-1], "-c", "wait nosuch done 1")
    assert out.rc in (0, 1), out


def test_wait_that_runs_out_fails_the_script(pair):
    out = blk.blkmon(pair[-1], "-c", "block_stream disk0 1B",
                     "-c", "wait disk0 done 0.2", "-c", "quit")
    assert out.rc == 1, out


def test_failed_job_fails_the_script(d):
    with blk.small_fs(d, 2 * MIB) as place:
        base = blk.create(os.path.join(d, "base.img"), 8 * MIB)
        blk.qemu_io(base, "write -P 1 0 8M")
        top = blk.create(os.path.join(place, "top.img"), None, base)
        out = blk.blkmon(top, stdin="block_stream -f disk0\n")
        assert out.rc == 1 and "No space left" in out.text, out
        out = blk.blkmon(top, stdin="block_stream -f disk0\nwait disk0 done 30\n"
                         "info block-jobs\n")
        assert out.rc == 1 and "No active jobs" not in out.out, out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT,
                                    signal.SIGHUP])
def test_signals_end_it_cleanly(pair, number):
    with blk.Session(pair[-1]) as s:
        s.ok("block_stream disk0 1B")
        s.io("write -P 0x71 1M 64k")
        s.proc.send_signal(number)
        rc = s.ended()
        assert rc in (0, 1, -number, 128 + number), rc
    assert blk.files_of_chain(pair[-1]) == pair[::-1]
    blk.check(pair[-1])
    assert blk.run("qemu-img", "info", pair[-1]).rc == 0
    assert blk.guest(pair[-1])[MIB:MIB + 64 * KIB] == b"\x71" * 64 * KIB


def test_output_that_nobody_reads(pair):
    """A closed pipe or a full device ends the talk, not the data."""
    script = b"qemu-io disk0 \"write -P 0x72 0 64k\"\n" \
        + b"info block-jobs\n" * 200
    reader, writer = os.pipe()
    os.close(reader)
    with open("/dev/full", "wb") as full:
        for out in (writer, full):
            done = subprocess.run([blk.BLKMON, pair[-1]], input=script,
                                  stdout=out, stderr=subprocess.DEVNULL,
                                  timeout=blk.PATIENCE)
            assert done.returncode >= 0, done
            blk.check(pair[-1])
    os.close(writer)
    assert blk.guest(pair[-1])[:64 * KIB] == b"\x72" * 64 * KIB



# ------------------------------------------------------------ HMP's own words

def test_parse_errors(pair):
    with blk.Session(pair[-1]) as s:
        hint = 'Try "help %s" for more information'
        for line, words in [
                ("foo", "unknown command: 'foo'"),
                ("info foo", "unknown command: 'info foo'"),
                ("block_stream", "block_stream: block device name expected\n"
                 + hint % "block_stream"),
                ("block_stream disk0 1 x y", "block_stream: extraneous "
                 "characters at the end of line\n" + hint % "block_stream"),
                ("block_job_cancel -q disk0", "block_job_cancel: unsupported "
                 "option -q\n" + hint % "block_job_cancel"),
                ('block_stream "disk0', "unterminated string"),
                ("qemu-io disk0", "qemu-io: string expected"),
                ("commit", "commit: block device name expected\n"
                 + hint % "commit")]:
            s.fails(line, words)
        s.quit()


def test_hyphens_and_help(pair):
    with blk.Session(pair[-1]) as s:
        assert s.ok("? commit") == [
            "commit device|all -- commit changes to the disk images "
            "(if -snapshot is used) or backing files"]
        assert s.ok("? commit") == s.ok("help commit")
        text = "\n".join(s.ok("help"))
        for verb in ("block_stream", "block_commit", "snapshot_blkdev", "wait",
                     "block_job_set_speed", "block_job_cancel", "quit",
                     "block_job_pause", "block_job_resume", "qemu-io",
                     "block_job_complete", "stop", "cont", "commit"):
            assert verb in text, verb
            assert s.ok("help " + verb), verb
        s.ok("block-stream disk0 1B")
        s.ok("block-job-set-speed disk0 2B")
        assert s.jobs()["disk0"][3] == 2
        s.ok("block-job-pause disk0")
        s.ok("block-job-resume disk0")
        s.ok("block-job-cancel disk0")
        s.wait()
        s.ok("block-commit disk0")
        s.wait(what="ready")
        s.ok("block-job-complete disk0")
        s.wait()
        s.quit()


def test_info_block(d, pair):
    other = blk.create(os.path.join(d, "other.raw"), MIB, fmt="raw")
    with blk.Session(pair[-1], "--drive",
                     "file=%s,id=raw0,format=raw,readonly=on" % other) as s:
        text = "\n".join(s.ok("info block"))
        one, two = sorted(text.split("\n\n"))
        assert one.splitlines()[1:] == [
            "    Cache mode:       writeback",
            "    Backing file:     %s (chain depth: 1)" % pair[0]]
        assert two.splitlines()[0].endswith("%s (raw, read-only)" % other)
        assert s.ok("info block raw0") == two.splitlines()
        assert s.ok("info block nosuch") == []
        text = "\n".join(s.ok("info block -v disk0"))
        for line in ("Images:", "image: " + pair[1], "image: " + pair[0],
                     "backing file format: qcow2", "cluster_size: 65536",
                     "virtual size: 8 MiB (8388608 bytes)"):
            assert line in text.splitlines(), (line, text)
        reply = "\n".join(s.cmd('qemu-io raw0 "write 0 512"'))
        assert "wrote" not in reply and reply, reply
        s.quit()


def test_stop_and_cont(pair):
    """Jobs go on while the guest stands still."""
    with blk.Session(pair[-1]) as s:
        assert s.ok("stop") == [] and s.ok("stop") == []
        s.ok("block_stream disk0")
        s.wait()
        assert s.ok("cont") == []
        s.io("write -P 0x73 0 64k")
        s.quit()
    assert blk.guest(pair[-1])[:64 * KIB] == b"\x73" * 64 * KIB


def test_guest_io(pair):
    with blk.Session(pair[-1]) as s:
        assert s.io("write -P 0x74 4096 8192").startswith(
            "wrote 8192/8192 bytes at offset 4096")
        assert s.io("read -P 0x74 4k 8k").startswith(
            "read 8192/8192 bytes at offset 4096")
        s.io("flush")
        assert s.io("discard 1M 1M").startswith(
            "discard 1048576/1048576 bytes at offset 1048576")
        reply = "\n".join(s.cmd('qemu-io disk0 "read -P 0x75 4k 512"'))
        assert "Pattern verification failed at offset 4096, 512 bytes" \
            in reply, reply
        for bad in ("write 8M 512", "read -1 512", "nonsense", "write 0"):
            reply = "\n".join(s.cmd('qemu-io disk0 "%s"' % bad))
            assert reply and "wrote" not in reply and "ops" not in reply, bad
        s.quit()


def test_zero_byte_in_a_line(pair):
    """What stands behind it must not be dropped in silence."""
    before = content(pair[-1])
    out = blk.blkmon(pair[-1], stdin="info block\nblock_stream disk0\0 1\n")
    assert out.rc == 1 and "zero byte" in out.err, out
    blk.unchanged(pair[-1], before)


def test_end_of_input_with_a_job_paused_when_ready(pair):
    """It refuses a soft cancel, and the input ends before it says why."""
    for _ in range(10):
        out = blk.blkmon(pair[-1], stdin="block_commit disk0\n"
                         "wait disk0 ready\nblock_job_pause disk0\n")
        assert out.rc == 1 and "nobody went on with it" in out.err, out
    assert blk.files_of_chain(pair[-1])[0] == pair[-1]
