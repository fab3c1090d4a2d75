# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines on another host, over ssh: which is this host, by an sshd of the
test's own. `make check-remote` runs it."""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import sshd  # noqa: E402
import blk  # noqa: E402
import ends  # noqa: E402
from sshd import Sshd  # noqa: E402
from test_attach_rules import read_until, type_line  # noqa: E402

pytestmark = [pytest.mark.remote,
              pytest.mark.skipif(bool(sshd.missing()),
                                 reason=str(sshd.missing()))]
KINDS = pytest.mark.parametrize("kind", ends.ALL, ids=lambda k: k.kind)
# What a login has there to get at a socket with.
WAYS = {"socat": ["sh", "socat"], "nc": ["sh", "nc.openbsd"]}
WAY = pytest.mark.parametrize("way", WAYS)
EVIL = "it's \"a\" $(touch owned) `touch owned` & ; ,x:y!z (a)[b]{c}\\d *"


@pytest.fixture
def host(d):
    with Sshd(d) as there:
        yield there


def tools(way):
    for tool in WAYS[way]:
        if not sshd.shutil.which(tool):
            pytest.skip("no " + tool)
    return WAYS[way]


def at(end, host="there"):
    return ["--connect", "web=ssh:%s:%s" % (host, end.path)]


def run(there, connect, *lines, **how):
    argv = list(connect)
    for line in lines:
        argv += ["-c", line]
    return blk.blkmon(*argv, env=there.env, **how)


def console(there, connect, *args):
    return subprocess.Popen(
        [blk.BLKMON, *connect, "--echo", "--on-error", "continue", *args],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, bufsize=1, env=there.env)


def leave(proc):
    type_line(proc, "quit")
    out, _ = proc.communicate(timeout=blk.PATIENCE)
    return proc.returncode, out


# ------------------------------------------------------------------ at work

@KINDS
def test_a_job(d, kind, host):
    with kind(d) as end:
        out = run(host, at(end), "block_commit disk0 base.qcow2 mid.qcow2",
                  "wait disk0 60", "block_commit disk0",
                  "wait disk0 ready 60", "block_job_complete disk0",
                  "wait disk0 60", "info block")
        assert out.rc == 0, out
        assert "base.qcow2 (qcow2)" in out.out and "Backing" not in out.out
        assert end.alive()
        end.kill()
        blk.check(end.chain[0])


@WAY
def test_a_path_is_one_word(d, way):
    """Of the local shell, of ssh, of the login shell and of socat."""
    where = os.path.join(d, EVIL)
    os.symlink(".", where)
    with Sshd(d, tools=tools(way)) as there, ends.Blkmon(d) as end:
        end.path = where + "/ours.sock"
        out = run(there, at(end), "info block", cwd=d)
        assert out.rc == 0 and "disk0" in out.out, out
        assert not [p for p in Path(d).rglob("owned")]


def test_several_at_once(d, host):
    """Each has a connection of its own, and one exit status counts."""
    folders = [os.path.join(d, name) for name in ("one", "two")]
    for folder in folders:
        os.mkdir(folder)
    with ends.Drive(folders[0]) as one, ends.Daemon(folders[1]) as two:
        out = run(host, ["--connect", "web=ssh:there:" + one.path,
                         "--connect", "db=ssh:there:" + two.path],
                  "block_commit web/disk0 base.qcow2 mid.qcow2",
                  "block_commit db/disk0 base.qcow2 mid.qcow2", "wait 60",
                  "info block web/disk0", "info block db/disk0")
        assert out.rc == 0 and out.out.count("depth: 1") == 2, out


@KINDS
def test_ssh_is_killed_in_the_middle_of_a_job(d, kind, host):
    """The job goes on, is found again, and waited for."""
    with kind(d) as end, end.other() as qmp:
        proc = console(host, at(end))
        type_line(proc, "block_commit disk0 base.qcow2 mid.qcow2 256K")
        type_line(proc, "info block-jobs")
        read_until(proc, "Type commit, device disk0")
        type_line(proc, "wait disk0 done 60")
        for _ in range(3):
            ends.kill_children(proc.pid)
            read_until(proc, "gone: ")
            read_until(proc, "there again")
        qmp.ask("block-job-set-speed", device="blkmon-disk0", speed=0)
        type_line(proc, "info block")
        assert "base.qcow2 (chain depth: 1)" in \
            read_until(proc, "Backing file")
        assert leave(proc)[0] == 0
        assert end.alive()


def test_it_is_tried_again_when_sshd_is_back(d):
    there = Sshd(d)
    with ends.Drive(d) as end:
        with there:
            proc = console(there, at(end))
            type_line(proc, "info block")
            read_until(proc, "Backing file")
        ends.kill_children(proc.pid)
        read_until(proc, "gone: ")
        with there:
            read_until(proc, "there again")
            type_line(proc, "info block")
            read_until(proc, "Backing file")
            assert leave(proc)[0] == 0


# ------------------------------------------------------- hosts that are not

def test_a_host_that_does_not_answer(d, host):
    """It takes the connection and says nothing: ssh gives up in time, and
    nothing is said of monitors."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(4)
        with open(host.d + "/client", "a", encoding="ascii") as config:
            config.write("Host silent\n HostName 127.0.0.1\n Port %d\n" %
                         silent.getsockname()[1])
        out = run(host, ["--connect", "ssh:silent:/x"], "info block")
    assert out.rc == 1 and "timed out" in out.err, out
    assert "monitor" not in out.err, out


def test_nobody_listens(d, host):
    with open(host.d + "/client", "a", encoding="ascii") as config:
        config.write("Host closed\n HostName 127.0.0.1\n Port %d\n" %
                     sshd.free_port())
    out = run(host, ["--connect", "ssh:closed:/x"], "info block")
    assert out.rc == 1 and "Connection refused" in out.err, out


def test_no_such_socket(d, host):
    out = run(host, ["--connect", "ssh:there:%s/none" % d], "info block")
    assert out.rc == 1 and "No such file" in out.err, out


def on_a_terminal(there, *args):
    """What a program says that could ask, and its status; nobody answers."""
    pid, fd = pty.fork()
    if not pid:
        os.execve(blk.BLKMON, [blk.BLKMON, *args], there.env)
    said = b""
    while True:
        assert select.select([fd], [], [], blk.PATIENCE)[0], said
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        said += data
    os.close(fd)
    return said.decode("utf-8", "replace"), \
        os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def with_askpass(there):
    """A program that ssh would ask for a password."""
    path = sshd.write(there.d + "/askpass", "#!/bin/sh\ntouch %s/asked\n"
                      "echo wrong\n" % there.d, 0o700)
    there.env.update(SSH_ASKPASS=path, SSH_ASKPASS_REQUIRE="force",
                     DISPLAY=":9")


def never_asked(there, connect, words):
    with_askpass(there)
    said, rc = on_a_terminal(there, *connect, "-c", "info block")
    assert rc == 1 and words in said, said
    assert not re.search("password:|passphrase|yes/no", said, re.I), said
    assert not os.path.exists(there.d + "/asked")


def test_another_host_key(d, host):
    host.know(sshd.keygen(host.d + "/other"))
    with ends.Blkmon(d) as end:
        never_asked(host, at(end), "Host key verification failed")


def test_an_unknown_host_key(d, host):
    sshd.write(host.known, "")
    with ends.Blkmon(d) as end:
        never_asked(host, at(end), "Host key verification failed")


def test_a_key_that_does_not_fit(d, host):
    os.unlink(host.key)
    os.rename(sshd.keygen(host.d + "/wrong"), host.key)
    with ends.Blkmon(d) as end:
        never_asked(host, at(end), "Permission denied")


# ------------------------------------------------------------ hostile words

@pytest.mark.parametrize("word", [
    "-oProxyCommand=touch owned", "x@-oProxyCommand=touch owned", "-Fx",
    "-oProxyCommand=touch owned@there", "-lroot@there"])
def test_no_word_is_an_option(d, host, word):
    out = run(host, ["--connect", "ssh:%s:/x" % word], "info block", cwd=d)
    assert out.rc == 2, out
    assert not os.path.exists(host.d + "/argv")
    assert not [p for p in Path(d).rglob("owned")]


@pytest.mark.parametrize("word", [
    "there -oProxyCommand=touch owned", "$(touch owned)", "`touch owned`",
    "x;touch owned", "x\ntouch owned", "%h$(touch owned)", "a b@there",
    "x' -oProxyCommand='touch owned"])
def test_a_host_is_one_word(d, host, word):
    """Also where a configuration gives it to a shell."""
    with open(host.d + "/client", "a", encoding="ascii") as config:
        config.write(" ProxyCommand nc %h %p\n")
    out = run(host, ["--connect", "ssh:%s:/x" % word], "info block", cwd=d)
    assert out.rc == 1, out
    assert word + "\n" in host.argvs()
    assert not [p for p in Path(d).rglob("owned")]


RUN = 'exec sh -c "$SSH_ORIGINAL_COMMAND"'


def forced(d, *commands):
    """An sshd that does something else before it does what it is told to."""
    path = sshd.write(d + "/forced", "\n".join(["#!/bin/sh", *commands]),
                      0o700)
    return Sshd(d, "ForceCommand %s\n" % path)


def shown_fit(text):
    """What a terminal would act upon, but for the end of a line."""
    return not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


EVIL_WORDS = r"printf '\033]0;owned\007\342\200\256\377 at last\n' >&2"


def test_its_words_are_fit_for_a_terminal(d):
    with forced(d, EVIL_WORDS, "exit 1") as there:
        out = run(there, ["--connect", "ssh:there:/x"], "info block")
        assert out.rc == 1 and "\\x1b]0;owned" in out.err, out
        assert "at last" in out.err and shown_fit(out.err), out


def test_its_words_at_run_time(d):
    """In a notice, and in the list of places."""
    with forced(d, "test -e %s/evil || %s" % (d, RUN), EVIL_WORDS) as there:
        with ends.Blkmon(d) as end:
            proc = console(there, at(end))
            type_line(proc, "info block")
            read_until(proc, "Backing file")
            open(d + "/evil", "w", encoding="ascii").close()
            ends.kill_children(proc.pid)
            said = read_until(proc, "gone: ")
            for _ in range(50):
                type_line(proc, "places")
                said += read_until(proc, "web: ssh:")
                if "at last" in said:
                    break
                select.select([], [], [], 0.1)
            assert "\\x1b]0;owned" in said and shown_fit(said), said
            assert leave(proc)[0] in (0, 1)


@pytest.mark.parametrize("when", ["before", "all the time"])
def test_one_that_talks_without_end(d, when):
    """More than a pipe holds: ssh is heard, or it would stand still. What it
    said long ago is not the reason for what happens later."""
    talk = "head -c 1000000 /dev/zero | tr '\\0' x >&2"
    if when == "before":
        talk += "; echo >&2"
    else:
        talk = "(%s) & (%s) &" % (talk, talk)
    with forced(d, talk, RUN) as there, ends.Drive(d) as end:
        proc = console(there, at(end))
        type_line(proc, "info block")
        read_until(proc, "Backing file")
        end.kill()
        said = read_until(proc, "gone: ")
        if when == "before":
            assert "xxxx" not in said, said
        proc.kill()
        proc.communicate()


def test_a_banner_is_no_reason(d):
    banner = sshd.write(d + "/banner", "Welcome to a machine\n" * 9)
    with Sshd(d, "Banner %s\n" % banner) as there, ends.Drive(d) as end:
        proc = console(there, at(end))
        type_line(proc, "info block")
        read_until(proc, "Backing file")
        end.kill()
        said = read_until(proc, "gone: ")
        assert "Welcome" not in said, said
        proc.kill()
        proc.communicate()


def test_a_slow_way_is_not_a_monitor_that_is_held(d):
    """Longer than it takes to say that of one that is reached."""
    with forced(d, "sleep 3", RUN) as there, ends.Blkmon(d) as end:
        out = run(there, at(end), "info block")
        assert out.rc == 0 and "disk0" in out.out, out


def test_a_monitor_that_is_held(d, host):
    with ends.Drive(d) as end, end.other():
        out = run(host, ["--connect", "ssh:there:" + end.beside],
                  "info block")
        assert out.rc == 1 and "not greeted" in out.err, out


def test_a_host_that_goes_away_without_a_word(d, host):
    """As one that has lost its power: its kernel keeps the connection, and
    nobody speaks. It is gone after a while, and tried again."""
    with ends.Drive(d) as end:
        proc = console(host, at(end))
        type_line(proc, "info block")
        read_until(proc, "Backing file")
        sessions = ends.children(host.proc.pid)
        for pid in sessions:
            os.kill(pid, signal.SIGSTOP)
        read_until(proc, "gone: ")
        for pid in sessions:    # whose socat holds the monitor
            os.kill(pid, signal.SIGKILL)
        read_until(proc, "there again")
        type_line(proc, "info block")
        read_until(proc, "Backing file")
        proc.kill()
        proc.communicate()
