# SPDX-License-Identifier: GPL-3.0-or-later
"""The screen on a real terminal."""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from term import (BLKMON, DRIVE, REPO, Shell, Term,  # noqa: E402
                  any_keys, freeze, make_chain, reap)

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="no tmux")

PROMPT = re.compile(r"^\(blkmon\) (.*)$", re.M)


@pytest.fixture
def start(tmp_path):
    """Starts blkmon with more arguments; at the end nothing is left."""
    running = []
    make_chain(tmp_path)

    def run(args="", shell=False, **kind):
        term = Shell(tmp_path) if shell else Term(
            f"{BLKMON} {DRIVE} {args}", tmp_path, **kind)
        running.append(term)
        return term
    yield run
    for term in running:
        term.close()


def prompt(screen):
    """What is typed: the last line that looks like the prompt."""
    return (PROMPT.findall(screen) or [""])[-1]


def begin(term):
    term.wait("└ sn2")
    term.wait("following")
    return term


def leave(term):
    """Esc, and no key before it has left the prompt or what lies over all:
    with one right behind it is Alt and that key."""
    term.keys("Escape")
    term.wait(lambda s: re.search(r"^ \? F1 Help", s, re.M))


def command(term, line):
    term.type(":" + line)
    term.wait(lambda s: prompt(s) == line)
    term.keys("Enter")


def plan(term, key, title):
    """What a key would do is shown."""
    term.keys(key)
    term.wait(lambda s: f"Plan: {title}" in s and "Enter Run" in s)


def slow_job(term):
    """A stream of 16 MiB that takes hours."""
    command(term, "block_stream disk0 1k base")
    term.wait("≤1.0K")
    leave(term)


def test_lines_go_on_beside_a_commit(start):
    """Nobody waits for HMP's commit on the screen: it is stopped, and ended,
    from there."""
    t = begin(start())
    command(t, "x-blkmon-commit device=disk0 speed=1 wait=false")
    t.wait("Commit sn2 (active) down into sn1, at once? [y/N]")
    t.keys("y")
    t.wait(lambda s: re.search(r"commit disk0 .*sn2 → sn1 .*≤1 ", s))
    leave(t)
    command(t, "block_job_pause disk0")
    t.wait("PAUSED: p goes on")
    leave(t)
    plan(t, "x", "Cancel job disk0: sn2")
    t.keys("Enter")
    t.wait("cancelled at")
    command(t, "commit disk0")
    t.wait("Commit sn2 (active) down into sn1, at once? [y/N]")
    t.keys("y")
    t.wait("job 'disk0' (commit) is done")
    t.wait(lambda s: re.search(r"commit disk0 .*done \S+ in ", s))
    leave(t)
    t.keys("q")
    assert t.wait_dead() == "0"


def test_a_commit_at_once_is_a_job(start):
    """It is drawn while whoever typed it waits, and Ctrl-C ends it."""
    t = begin(start())
    command(t, "x-blkmon-commit device=disk0 speed=1")
    t.wait("Commit sn2 (active) down into sn1, at once? [y/N]")
    t.keys("y")
    t.wait(lambda s: re.search(r"commit disk0 .*sn2 → sn1", s))
    t.wait("≤1 ")
    t.keys("C-c")
    t.wait("Cancelled; the active layer is as it was")
    t.wait("cancelled at")
    leave(t)
    t.keys("q")
    assert t.wait_dead() == "0"


def test_whole_session_by_keys(start, tmp_path):
    t = begin(start())
    # A snapshot.
    plan(t, "s", "Snapshot of disk0: sn3 on sn2")
    t.keys("k", "j", "t")
    t.wait("no such key here")
    assert "line     snapshot_blkdev disk0 sn3\n" in t.screen()
    assert prompt(t.screen()) == ""
    t.keys("Enter")
    t.wait("└ sn3 ◀ disk0")
    # The guest writes.
    t.type(":")
    t.type('qemu-io disk0 "write -P 0x44 40M 4M"')
    t.keys("Enter")
    t.wait("wrote 4194304/4194304 bytes")
    t.wait(lambda s: re.search(r"└ sn3 .* 4\.\d\dM +0 ", s))
    leave(t)
    # A stream of what sn2 has, with a limit, changed while it runs.
    t.keys("k", "k")
    plan(t, "t", "Stream sn2 up into sn3")
    t.keys("e")
    t.wait(lambda s: prompt(s) == "block_stream disk0 0 sn1")
    t.keys("C-a", "M-f", "M-f", "M-f", "M-f", "BSpace")
    t.type("128k")
    t.wait(lambda s: prompt(s) == "block_stream disk0 128k sn1")
    t.keys("Enter")
    t.wait("≤128K")
    leave(t)
    t.keys("+")
    t.wait(lambda s: "block_job_set_speed disk0 256K" in prompt(s))
    t.keys("-")
    t.wait(lambda s: "block_job_set_speed disk0 128K" in prompt(s))
    t.keys("-", "Enter")
    t.wait("≤64K")
    # Cancelled: asked, no is the default.
    command(t, "block_job_cancel disk0")
    t.wait("Cancel job disk0: sn3? [y/N]")
    t.keys("Enter")
    t.wait("not done: block_job_cancel disk0")
    leave(t)
    plan(t, "x", "Cancel job disk0: sn3")
    leave(t)
    plan(t, "x", "Cancel job disk0: sn3")
    t.keys("Enter")
    t.wait("stream) was cancelled")
    t.wait("cancelled at")
    # Committed into the root.
    t.keys("g")
    plan(t, "c", "Commit sn3 (active) down into base")
    screen = t.screen()
    assert re.search(r" base +Br .*\+", screen)
    assert re.search(r"unused   sn3, sn2, sn1; \S+ free when deleted", screen)
    t.keys("Enter")
    t.wait("READY: C goes over, x stays")
    plan(t, "C", "Complete job disk0")
    t.keys("Enter")
    screen = t.wait("┬ base ◀ disk0")
    assert "1 drive, 1 image" in screen
    assert "sn3 → base" in screen
    t.wait(lambda s: re.search(r"done \S+ in ", s))
    t.keys("q")
    assert t.wait_dead() == "0"
    subprocess.run(["qemu-img", "check", "-q", "base"], cwd=tmp_path,
                   check=True)
    done = subprocess.run(
        ["qemu-io", "-r", "-c", "read -P 0x11 0 8M", "-c",
         "read -P 0x22 8M 12M", "-c", "read -P 0x33 20M 8M", "-c",
         "read -P 0x44 40M 4M", "base"], cwd=tmp_path, check=True,
        capture_output=True, text=True)
    assert "failed" not in done.stdout


def test_all_languages_ask_the_same(start):
    """The prompt of the screen: what is wrong is said, the rest is asked."""
    t = begin(start())
    for line in ("block_commit disk0 base", "block_commit disk0 base sn2",
                 "block-commit device=disk0 job-id=j speed=3000000",
                 '{"execute": "block-commit", '
                 '"arguments": {"device": "disk0"}}'):
        command(t, line)
        t.wait("Commit sn2 (active) down into base? [y/N]")
        t.wait("disk0 goes over to it when you complete the job")
        t.keys("x")
        t.wait("y does it; n, Esc or Enter leave it.")
        t.keys("n")
        t.wait(lambda s: prompt(s) == "" and "y/N" not in s)
        leave(t)
    command(t, "block_commit disk0 base sn1")
    t.wait("Commit sn1 down into base? [y/N]")
    t.keys("Enter")
    t.wait("not done: block_commit disk0 base sn1")
    leave(t)
    command(t, "block_commit wbe")
    t.wait("Error: Device 'wbe' not found")
    assert "y/N" not in t.screen()
    leave(t)
    assert "none; s, t, c on an image start one" in t.screen()


def test_a_plan_that_changes_is_shown_again(start, tmp_path):
    """Somebody else takes a snapshot while it stands there."""
    t = begin(start(f"--qmp unix:{tmp_path}/qmp"))
    t.keys("g")
    plan(t, "c", "Commit sn2 (active) down into base")
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(str(tmp_path / "qmp"))
        other.sendall(b'{"execute": "qmp_capabilities"} '
                      b'{"execute": "blockdev-snapshot-sync", "arguments": '
                      b'{"device": "disk0", "snapshot-file": "new"}}')
        replies = b""
        while replies.count(b'"return"') < 2:
            replies += other.recv(4096)
    t.keys("Enter")
    t.wait("this has changed: look again")
    t.wait("Plan: Commit new (active) down into base")
    assert "none; s, t, c on an image start one" in t.screen()
    t.keys("Enter")
    t.wait("READY: C goes over, x stays")


def test_with_yes_nothing_is_asked(start):
    t = begin(start("-y"))
    command(t, "block_commit disk0 base")
    t.wait("READY: C goes over, x stays")


def test_menu_and_all(start, tmp_path):
    """What can be done is done from the list; all drives get a snapshot at
    one moment, and QEMU finds both."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "other", "8M"],
                   cwd=tmp_path, check=True)
    t = begin(start("--drive file=other,id=two,format=qcow2"))
    t.keys(".")
    t.wait("✗ no job runs here")
    t.keys("x")
    t.wait("Cancel: no job runs here")
    plan(t, "s", "Snapshot of disk0: sn3 on sn2")
    t.keys("Enter")
    t.wait("* new layer sn3 on sn2")
    t.keys("a", "s")
    t.wait("a snapshot of all 2 drives at one moment, or of none")
    t.keys("Enter")
    t.wait("└ sn4 ◀ disk0")
    t.wait("└ other-1 ◀ two")
    slow_job(t)
    t.keys("a")
    t.wait("lets 1 job stand still")
    t.keys("p", "Enter")
    t.wait("PAUSED: p goes on")
    t.keys("a", "g", "Enter")
    t.wait(lambda s: "PAUSED" not in s)
    t.keys("q", "y")
    assert t.wait_dead() == "0"
    for name, below in ("sn4", "sn3"), ("other-1", "other"):
        done = subprocess.run(["qemu-img", "info", name], cwd=tmp_path,
                              check=True, capture_output=True, text=True)
        assert f"backing file: {below}\n" in done.stdout


def test_the_tree_folds_narrows_and_sorts(start, tmp_path):
    last = "sn2"
    for name in ("a1", "a2", "a3", "a4", "a5", "a6"):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", last,
                        "-F", "qcow2", name], cwd=tmp_path, check=True)
        last = name
    subprocess.run(["qemu-io", "-c", "write -q 0 16M", "a2"], cwd=tmp_path,
                   check=True)
    t = Term(f"{BLKMON} --drive file=a6,id=d,format=qcow2", tmp_path, 60, 16)
    try:
        t.wait("⋯ 7 layers")
        t.keys("k", "Space")
        t.wait(lambda s: "├ a1" in s and "⋯" not in s)
        t.keys("Space")
        t.wait("⋯ 7 layers")
        t.keys("/")
        t.type("a3")
        t.wait(lambda s: "├ a3" in s and "◀ d" not in s)
        t.keys("Enter", "Escape")
        t.wait("◀ d")
        # a2 hides all of base, and half of sn1; sn2 another quarter of that.
        t.keys("o", "o")
        t.wait(lambda s: re.search(r"image.*\n.* base +r +\S+ 16\.0M .*\n"
                                   r".* sn1 +r +\S+ 12\.0M ", s))
    finally:
        t.close()


def test_typing_during_a_job(start):
    t = begin(start())
    slow_job(t)
    t.type(":")
    text = "info block-jobs # " + "abcdefghij" * 4
    for i, c in enumerate(text):
        t.type(c)
        if i % 10 == 9:
            t.changed(0.3)
    screen = t.wait(lambda s: prompt(s) == text)
    assert "stream disk0" in screen
    assert t.cursor() == (9 + len(text), 22)


def test_resize_storm(start):
    t = begin(start())
    slow_job(t)
    for i in range(200):
        t.resize(20 + i * 37 % 180, 3 + i * 11 % 60)
    t.resize(1, 1)
    t.resize(100, 30)
    screen = t.wait(lambda s: "└ sn2" in s and "stream disk0" in s and
                    "━ Chains " + "━" * 10 in s)
    assert len(screen.split("\n")[0].rstrip()) <= 100
    t.resize(40, 10)
    t.wait("40x10 is too small: 60x16")
    t.resize(60, 16)
    t.wait("└ sn2")


def test_suspend_and_resume(start):
    t = start(shell=True)
    t.run(f"{BLKMON} {DRIVE}")
    begin(t)
    t.keys("C-z")
    assert "Chains" not in t.ready()
    t.run("stty -a | tr ' ' '\\n' | grep -x -- 'icanon;\\?'")
    t.wait("\nicanon")
    t.ready()
    t.run("fg")
    begin(t)
    t.keys("?")
    t.wait("━ Help")
    leave(t)
    t.keys("q")
    assert "Chains" not in t.ready()


@pytest.fixture
def places(tmp_path):
    """Names that belong to the user, by what is there."""
    (tmp_path / "raw").write_bytes(b"disk" * 1024)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("raw")
    return lambda: [(tmp_path / "raw").read_bytes(),
                    (tmp_path / "link").is_symlink(),
                    (tmp_path / "fifo").is_fifo()]


@pytest.mark.parametrize("name", ["sn1", "raw", "fifo", "link"])
@pytest.mark.parametrize("option", ["log", "screenshot", "pidfile"])
def test_files_of_ours_replace_nothing(tmp_path, start, places, option, name):
    before = places()
    (tmp_path / "keys").write_text("")
    sn1 = subprocess.run(["sha256sum", tmp_path / "sn1"], check=True,
                         capture_output=True).stdout
    done = subprocess.run(
        [BLKMON, *DRIVE.split(), "--ui-script", "keys", f"--{option}={name}"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
        check=False)
    assert done.returncode == 1
    assert name in done.stderr
    assert places() == before
    assert sn1 == subprocess.run(["sha256sum", tmp_path / "sn1"], check=True,
                                 capture_output=True).stdout


def test_a_history_that_leads_elsewhere(start, tmp_path, places):
    folder = tmp_path / "state" / "blkmon"
    folder.mkdir(parents=True)
    (folder / "history").symlink_to(tmp_path / "raw")
    before = places()
    t = begin(start())
    command(t, "info status")
    t.wait("VM status: ")
    leave(t)
    t.keys("q")
    assert t.wait_dead() == "0"
    assert places() == before
    assert (folder / "history").read_text() == "info status\n"
    assert (folder / "history").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGHUP,
                                 signal.SIGSEGV, signal.SIGABRT,
                                 signal.SIGQUIT])
def test_the_terminal_is_restored(start, sig):
    t = start(shell=True)
    t.run("ulimit -c 0; stty -g > before")
    t.ready()
    t.run(f"{BLKMON} {DRIVE}")
    begin(t)
    slow_job(t)
    os.kill(t.child(), sig)
    assert "Chains" not in t.ready()
    t.run("echo status $?; stty -g > after; cmp before after && echo same")
    screen = t.wait("\nsame")
    # A sanitizer reports a crash and has its own status. What was typed before
    # the shell was back is answered behind its prompt.
    assert re.search(r"^(SHELL> )?status (%d|99)$" % (128 + sig), screen,
                     re.M)
    assert "status 99" not in screen or sig == signal.SIGSEGV
    flags = t.tmux("display", "-p", "#{alternate_on} #{mouse_any_flag} "
                   "#{cursor_flag}").split()
    assert flags == ["0", "0", "1"]


def test_a_program_that_hangs_leaves_the_terminal_in_order(start):
    t = start(shell=True)
    t.run("stty -g > before")
    t.ready()
    t.run(f"{BLKMON} {DRIVE}")
    begin(t)
    child = t.child()
    if not freeze(child):
        pytest.skip("no ptrace here")
    os.kill(child, signal.SIGTERM)
    reap(child)
    assert "Chains" not in t.ready()
    t.run("echo status $?; stty -g > after; cmp before after && echo same")
    screen = t.wait("\nsame")
    assert re.search(r"^(SHELL> )?status 143$", screen, re.M)
    flags = t.tmux("display", "-p", "#{alternate_on} #{mouse_any_flag} "
                   "#{cursor_flag}").split()
    assert flags == ["0", "0", "1"]


@pytest.mark.parametrize("inputrc", ["", "set editing-mode vi\n"])
def test_any_bytes_at_the_prompt(start, tmp_path, inputrc):
    """The prompt still answers behind 40,000 of them."""
    rng = random.Random(10)
    (tmp_path / "inputrc").write_text(inputrc)
    t = begin(start(INPUTRC=str(tmp_path / "inputrc")))
    for _ in range(160):
        t.raw(b":" + any_keys(rng, 250))
    t.raw(b"\x07\x07\x01\x0b")
    t.type("info status")
    t.wait(lambda s: prompt(s) == "info status")
    t.keys("Enter")
    t.wait("VM status: ")


def test_paste_of_10_kb(start):
    t = begin(start())
    slow_job(t)
    t.paste("# " + "0123456789" * 1024 + "END")
    t.wait(lambda s: "0123456789END" in s)
    t.keys("Enter")
    t.wait("Log")
    # Lines that are pasted wait for Enter, and then run one by one.
    t.paste("info status\ninfo version\n# 磁碟\n")
    t.wait("info status↵info version↵# 磁碟")
    t.keys("Enter")
    t.wait("VM status: running")
    t.wait("(blkmon) # 磁碟")
    # Without the marks of a paste it is as if typed.
    t.paste("info status\n" * 3, bracketed=False)
    t.wait(lambda s: s.count("VM status: running") >= 4)


def test_mouse(start):
    t = begin(start())
    t.raw(b"\x1b[<0;5;4M\x1b[<0;5;4m")	# the row of base
    t.wait("base: read-only")
    t.raw(b"\x1b[<0;5;8M")
    t.wait("━ Log")
    t.raw(b"\x1b[<0;5;23M")
    t.wait(lambda s: "Tab Complete" in s)
    leave(t)
    t.raw(b"\x1b[<0;5;24M")	# "? F1 Help" in the last line
    t.wait("━ Help")


def test_no_mouse(start):
    t = begin(start("--no-mouse"))
    assert t.tmux("display", "-p", "#{mouse_any_flag}").strip() == "0"


def test_completion(start, tmp_path):
    t = begin(start())
    t.type(":block_job_s")
    t.keys("Tab")
    t.wait(lambda s: prompt(s) == "block_job_set_speed")
    t.keys("C-u")
    t.type("block_stream d")
    t.keys("Tab")
    t.type("0 s")
    t.keys("Tab", "Tab")
    t.wait(lambda s: re.search(r"sn1 +sn2", s))
    t.keys("C-u")
    t.type("snapshot_blkdev disk0 ba")
    t.keys("Tab")
    t.wait(lambda s: prompt(s) == "snapshot_blkdev disk0 base")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/inner").touch()
    t.keys("C-u")
    t.type("snapshot_blkdev disk0 fol")
    t.keys("Tab")
    t.wait(lambda s: prompt(s) == "snapshot_blkdev disk0 folder/")
    t.keys("Tab")
    t.wait(lambda s: prompt(s) == "snapshot_blkdev disk0 folder/inner")
    t.keys("C-u")
    t.type("drive_add 0 id=d1,file=fol")
    t.keys("Tab")
    t.wait(lambda s: prompt(s) == "drive_add 0 id=d1,file=folder/")
    t.keys("Tab")
    t.wait(lambda s: prompt(s) == "drive_add 0 id=d1,file=folder/inner")


def test_copies(start, tmp_path):
    t = begin(start())
    t.tmux("set", "-g", "set-clipboard", "on")
    t.keys("y")
    t.wait("to the terminal's clipboard: /")
    t.keys("k", "k", "Enter", "y")
    t.wait("its path went to the terminal's clipboard")
    t.wait(lambda s: t.tmux("show-buffer") ==
           str(tmp_path.resolve() / "base"))


def test_terminal_without_a_clipboard(start):
    t = start(term="vt220")
    t.wait("< disk0")
    t.keys("y")
    t.wait("this terminal has no clipboard")


def test_incremental_search_with_utf8(start):
    t = begin(start())
    for line in ("# erste Prüfung", "# 磁碟 zwei", "# drei"):
        command(t, line)
        t.wait(lambda s, line=line: s.count(line) >= 1)
        leave(t)
    t.type(":")
    t.keys("C-r")
    t.type("üf")
    t.wait("(reverse-i-search)`üf': # erste Prüfung")
    t.keys("C-g")
    t.keys("C-r")
    t.type("碟")
    t.wait("(reverse-i-search)`碟': # 磁碟 zwei")
    t.keys("Enter")
    t.wait(lambda s: s.count("(blkmon) # 磁碟 zwei") == 2)


def test_history_stays(start, tmp_path):
    t = begin(start())
    command(t, "info version")
    t.wait("7.2.")
    leave(t)
    t.keys("q")
    t.wait_dead()
    assert "info version" in (tmp_path / "state/blkmon/history").read_text()
    t = begin(start())
    t.keys(":", "Up")
    t.wait(lambda s: prompt(s) == "info version")


def test_a_command_that_takes_long_freezes_nothing(start):
    t = begin(start())
    slow_job(t)
    command(t, "wait disk0")
    t.wait("busy (C-c ends a wait or commit)")
    leave(t)
    t.keys("?")
    t.wait("━ Help")
    leave(t)
    t.keys("C-c")
    t.wait("Error: interrupted")
    assert "stream disk0" in t.screen()


def test_clients_are_shown(start, tmp_path):
    t = begin(start(f"--nbd unix:{tmp_path}/nbd --export disk0"))
    t.wait(lambda s: re.search(r"^  disk0 .*0 +0 +0$", s, re.M))
    with subprocess.Popen(
            ["qemu-io", "-r", "-f", "raw",
             f"nbd+unix:///disk0?socket={tmp_path}/nbd"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as client:
        def busy(screen):
            client.stdin.write(b"read -q 0 1M\n")
            client.stdin.flush()
            return re.search(r"^  disk0  client \d+ .* [1-9]\S+/s",
                             screen, re.M)
        t.wait(busy)
        client.stdin.close()
    t.wait(lambda s: " client " not in s)


def test_the_map_follows_a_guest(start, tmp_path):
    """What a client writes is seen, though nobody has told the screen."""
    t = begin(start(f"--nbd unix:{tmp_path}/nbd --export disk0,writable=on"))
    row = re.compile(r"^.* sn2 ◀ disk0 .*▕(.*)▏$", re.M)
    t.wait("─ Guests")
    before = row.findall(t.wait(row.search))
    subprocess.run(
        ["qemu-io", "-f", "raw", f"nbd+unix:///disk0?socket={tmp_path}/nbd",
         "-c", "write -q -P 9 40M 16M"], check=True, timeout=60)
    t.wait(lambda s: row.findall(s) not in ([], before))


def test_quit_asks(start):
    t = begin(start())
    slow_job(t)
    t.keys("q")
    t.wait("1 job would be cancelled")
    t.keys("n")
    t.wait("not done: quit")
    t.keys("q", "y")
    assert t.wait_dead() == "0"


def test_details_zoom_search_and_log(start, tmp_path):
    t = begin(start(f"--log {tmp_path}/log.json"))
    t.keys("Enter")
    t.wait("backing file: sn1")
    leave(t)
    t.keys("z")
    t.wait(lambda s: "─ Log" not in s and "━ Chains" in s)
    t.keys("z", "/")
    t.type("sn1")
    t.wait("sn1: read-only")
    t.wait(lambda s: "└ sn2" not in s)
    t.keys("Enter", "Escape")
    t.wait("└ sn2")
    command(t, "screenshot shot.txt")
    t.wait("the screen is in")
    assert "└ sn2" in (tmp_path / "shot.txt").read_text(encoding="utf-8")
    assert '"kind":"command"' in (tmp_path / "log.json").read_text()


@pytest.mark.parametrize("term,ascii", [
    ("xterm", False), ("screen", False), ("tmux", False),
    ("screen-256color", False), ("linux", True), ("vt100", True)])
def test_terminals(start, term, ascii):
    t = start(term=term)
    t.wait("` sn2 < disk0" if ascii else "└ sn2 ◀ disk0")
    t.keys("s")
    t.wait("snapshot_blkdev disk0 sn3")


def test_begins_on_any_size(start):
    t = start(columns=1, rows=1)
    t.resize(60, 16)
    t.wait("└ sn2")
    t.resize(120, 40)
    t.wait(lambda s: "━ Chains " + "━" * 40 in s)


@pytest.fixture
def demo(tmp_path):
    """What `make demo` runs, and the folder in which it makes its own."""
    (tmp_path / "tmp").mkdir()
    t = Term(f"env BLKMON={BLKMON} TMPDIR={tmp_path}/tmp "
             f"{REPO}/scripts/demo.sh", tmp_path)
    t.wait("1/8")
    t.wait("≤1.0M")
    yield t
    t.close()


def test_tour_of_the_demo(demo, tmp_path):
    for step, key in enumerate("+pp0Cs", 2):
        demo.keys(key)
        if key in "Cs":
            demo.wait("Enter Run")
        demo.keys("Enter")
        # At 2 MiB/s the job may be READY when it goes on again: that is 5/8.
        demo.wait(lambda s, step=step: f"{step}/8" in s or
                  step == 4 and "5/8" in s)
    demo.keys("Enter")
    demo.wait("backing file: base")
    leave(demo)
    demo.wait("8/8")
    demo.keys("Escape")
    demo.wait(lambda s: "8/8" not in s)
    demo.keys("q")
    assert demo.wait_dead() == "0"
    assert not list((tmp_path / "tmp").iterdir())


def test_the_tour_can_be_left(demo, tmp_path):
    demo.keys("Escape")
    demo.wait(lambda s: "1/8" not in s)
    demo.keys("q")
    demo.wait("1 job would be cancelled")
    demo.keys("y")
    assert demo.wait_dead() == "0"
    assert not list((tmp_path / "tmp").iterdir())


def test_dumb_terminal_gets_the_line(start):
    t = start(term="dumb")
    t.wait("type 'help' for the commands")
    t.type("info status\n")
    t.wait("VM status: running")


def test_colours_are_obeyed(start):
    for args, env, coloured in (("", {}, True), ("--color never", {}, False),
                                ("", {"NO_COLOR": "1"}, False),
                                ("--theme mono", {}, False),
                                ("--theme light", {}, True)):
        t = begin(start(args, **env))
        codes = t.tmux("capture-pane", "-p", "-e")
        assert bool(re.search(r"\x1b\[[0-9;]*38;5", codes)) == coloured
        t.keys("q")
        t.wait_dead()


def switches(pid):
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        text = (task / "status").read_text()
        total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text,
                               re.M)[1])
    return total


def images(folder):
    """The chain of the active layer, as qemu-img sees it."""
    done = subprocess.run(
        ["qemu-img", "info", "--backing-chain", "--output=json", "sn2"],
        cwd=folder, check=True, capture_output=True)
    return [i["filename"] for i in json.loads(done.stdout)]


def overlay(folder, name, backing):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2",
                    "-u", "-b", backing, name, "64M"], cwd=folder, check=True)


def row(name, words):
    return lambda s: re.search(rf"[─○] {name}\b.*{words}", s)


def test_files_that_are_not_open(start, tmp_path):
    """At their place in the tree; they come and go without a key."""
    overlay(tmp_path, "clone", "sn1")
    overlay(tmp_path, "orphan", "gone")
    t = start()
    t.wait("sn2 ◀ disk0")
    t.wait(row("clone", "○ .* not open"))
    t.wait(row("orphan", "○ .* missing: .*gone"))
    overlay(tmp_path, "later", "sn1")
    t.wait(row("later", "○ .* not open"))
    (tmp_path / "later").unlink()
    t.wait(lambda s: "later" not in s)
    t.keys("/")
    t.type("clone")
    t.wait("clone: not open")
    t.keys("Enter", "Escape")
    t.wait(lambda s: "/clone" not in s)
    t.type("D")
    t.wait("clone is not open")
    assert (tmp_path / "clone").exists()


def test_deletes_what_a_job_left(start, tmp_path):
    t = begin(start())
    command(t, "block_commit disk0 base sn1")
    t.wait("[y/N]")
    t.keys("y")
    t.wait(row("sn1", "left by a "))
    leave(t)
    t.keys("G")
    t.wait("sn1: left by a job, nothing uses it")
    t.type("D")
    t.wait("Plan: Delete sn1")
    t.wait("frees")
    t.keys("Escape")
    t.wait(lambda s: "Plan:" not in s)
    assert (tmp_path / "sn1").exists()
    command(t, "delete sn1")
    t.wait("Delete sn1? [y/N]")
    t.keys("n")
    t.wait("not done: delete")
    assert (tmp_path / "sn1").exists()
    leave(t)
    t.type("D")
    t.wait("frees")
    t.keys("Enter")
    t.wait("given back")
    t.wait(lambda s: not row("sn1", "")(s))
    assert not (tmp_path / "sn1").exists()
    t.type("q")
    t.wait(lambda s: t.status() == "0")
    assert images(tmp_path) == ["sn2", "base"]


def raw(folder, name):
    """What a guest reads of it, as QEMU sees it."""
    subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", name,
                    "seen.raw"], cwd=folder, check=True)
    data = (folder / "seen.raw").read_bytes()
    (folder / "seen.raw").unlink()
    return data


def folder(path):
    """Its images, each whole for qemu-img, and on what it lies."""
    found = {}
    for file in path.iterdir():
        if not file.is_file() or file.read_bytes()[:4] != b"QFI\xfb":
            continue
        done = subprocess.run(["qemu-img", "info", "-U", "--output=json",
                               file.name], cwd=path, check=True,
                              capture_output=True)
        below = json.loads(done.stdout).get("full-backing-filename")
        found[file.name] = below and Path(below).name
        assert not below or Path(path, below).parent == path
        subprocess.run(["qemu-img", "check", "-U", "-q", file.name],
                       cwd=path, check=True)
    return found


def test_a_day_with_a_sibling(start, tmp_path):
    """By keys: a snapshot, a commit that would spoil an overlay, its rebase,
    the commit, the history, and what is left over; QEMU looks on."""
    overlay(tmp_path, "clone", "sn1")
    clone, disk = raw(tmp_path, "clone"), raw(tmp_path, "sn2")
    begun = {"base": None, "sn1": "base", "sn2": "sn1", "clone": "sn1"}
    assert folder(tmp_path) == begun
    t = start(rows=40)
    t.wait(row("clone", "○ .* not open"))
    plan(t, "s", "Snapshot of disk0: sn3 on sn2")
    t.keys("Enter")
    t.wait("└ sn3 ◀ disk0")
    assert raw(tmp_path, "sn3") == disk
    assert folder(tmp_path) == {**begun, "sn3": "sn2"}
    # sn2 into sn1 would spoil the clone: it is told, and nothing runs.
    t.keys("k")
    t.wait("sn2: read-only")
    t.keys("c")
    t.wait(row("clone", "IS SPOILT by this"))
    t.wait("b plans this first: rebase clone onto base")
    t.keys("Enter")
    t.wait("refused; f forces it")
    assert raw(tmp_path, "clone") == clone
    assert folder(tmp_path) == {**begun, "sn3": "sn2"}
    # Its way out, and Enter for each.
    plan(t, "b", "Rebase clone onto base")
    t.keys("Enter")
    t.wait("Plan: Commit sn2 down into sn1")
    t.wait(lambda s: "Enter Run" in s and "refused" not in s)
    assert raw(tmp_path, "clone") == clone
    assert folder(tmp_path) == {**begun, "sn3": "sn2", "clone": "base"}
    t.keys("Enter")
    t.wait(row("sn2", "left by a job"))
    assert raw(tmp_path, "sn3") == disk
    assert raw(tmp_path, "clone") == clone
    assert folder(tmp_path) == {**begun, "sn3": "sn1", "clone": "base"}
    t.keys("H")
    screen = t.wait("History: ")
    assert re.search(r"commit sn2 → sn1 .*done", screen)
    assert re.search(r"rebase .*done", screen)
    leave(t)
    t.keys("G")
    t.wait("sn2: left by a job, nothing uses it")
    t.keys("D")
    t.wait("Plan: Delete sn2")
    t.wait("Enter Run")
    t.keys("Enter")
    t.wait("given back")
    t.keys("q")
    assert t.wait_dead() == "0"
    assert folder(tmp_path) == {"base": None, "sn1": "base", "sn3": "sn1",
                                "clone": "base"}
    assert raw(tmp_path, "sn3") == disk
    assert raw(tmp_path, "clone") == clone


def test_what_was_forced_is_told_after_it(start, tmp_path):
    overlay(tmp_path, "clone", "base")
    t = start(rows=40)
    t.wait(row("clone", "○ .* not open"))
    t.keys("k")
    t.wait("sn1: read-only")
    t.keys("c")
    t.wait("f does it nevertheless")
    t.keys("f")
    t.wait("FORCED: Commit sn1 down into base")
    t.wait(row("clone", "IS SPOILT by this"))
    t.wait("Enter Run")
    t.keys("Enter")
    t.wait(row("sn1", "left by a job"))
    t.wait(row("clone", "SPOILT: a forced commit"))
    t.keys("q")
    assert t.wait_dead() == "0"


def test_a_second_job_on_a_chain(start, tmp_path):
    """By keys there is no place for a name: it gets one."""
    t = begin(start())
    for name in "sn3", "sn4", "sn5":
        plan(t, "s", f"Snapshot of disk0: {name}")
        t.keys("Enter")
        t.wait(f"└ {name} ◀ disk0")
    command(t, "block_commit disk0 base sn1 1k")
    t.wait("[y/N]")
    t.keys("y")
    t.wait(lambda s: re.search(r"commit disk0 +sn1 → base .*≤1.0K", s))
    leave(t)
    t.keys("k")
    t.wait("sn4: read-only")
    plan(t, "c", "Commit sn4 down into sn3")
    t.keys("Enter")
    t.wait(lambda s: re.search(r"commit disk0-2( sn4 → sn3)? +done", s))
    t.wait(lambda s: "└ sn5" in s and "├ sn4" not in s)
    t.keys("q")
    t.wait("[y/N]")
    t.keys("y")
    assert t.wait_dead() == "0"


def test_a_fold_deletes_only_what_jobs_left(start, tmp_path):
    """A disk that nothing uses may be of a guest that is off."""
    for name in "spare", "other":
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", name,
                        "1M"], cwd=tmp_path, check=True)
    t = begin(start())
    t.wait("2 files nothing uses")
    t.keys("G")
    t.type("D")
    t.wait("no job has left these")
    t.keys("Space", "G")
    t.wait("spare: nothing uses it")
    t.type("D")
    t.wait("frees")
    t.keys("Enter")
    t.wait(lambda s: not row("spare", "")(s))
    assert not (tmp_path / "spare").exists()
    assert (tmp_path / "other").exists()


@pytest.mark.alone
@pytest.mark.skipif(os.environ.get("SAN") == "thread",
                    reason="the sanitizer has a thread that wakes up")
def test_idle_is_idle(start):
    """Told by the calmest of some times: a busy machine may put off what it
    still has to do when it begins, but not for ever."""
    t = begin(start())
    calmest = 3
    for _ in range(8):
        while t.changed(0.5):
            pass
        before = switches(t.pid())
        if not t.changed(2):
            calmest = min(calmest, switches(t.pid()) - before)
        if calmest <= 2:
            break
    assert calmest <= 2


def test_thousand_layers(tmp_path):
    subprocess.run(
        "qemu-img create -q -f qcow2 l0 64M; for i in $(seq 1 999); do "
        "p=$((i-1)); echo $p; done > /dev/null", shell=True, check=True,
        cwd=tmp_path)
    # Each overlay is the first one with another name in its header.
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", "l000",
                    "-F", "qcow2", "-u", "model", "64M"], check=True,
                   cwd=tmp_path)
    model = (tmp_path / "model").read_bytes()
    assert model.count(b"l000") == 1
    (tmp_path / "l0").rename(tmp_path / "l000")
    for i in range(1, 1000):
        (tmp_path / f"l{i:03}").write_bytes(
            model.replace(b"l000", b"l%03d" % (i - 1)))
    (tmp_path / "model").unlink()
    t = Term(f"{BLKMON} --drive file=l999,id=disk0,format=qcow2", tmp_path)
    try:
        t.wait("└ l999")
        t.keys("g")
        t.wait("┬ l000")
        t.keys("/")
        t.type("l500")
        t.wait("501/1000")
        t.wait("⋯ 499 layers")
        t.keys("Enter", "Escape")
        t.wait(lambda s: "/l500" not in s)
        t.keys("G")
        t.wait("1000/1000")
    finally:
        t.close()
