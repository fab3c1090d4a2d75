"""The prompt on a real (pseudo) terminal."""

import os
import random
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

import pexpect
import pytest

REPO = Path(__file__).resolve().parents[2]
BLKMON = os.environ.get("BLKMON", str(REPO / "blkmon"))
PATIENCE = float(os.environ.get("BLKMON_PATIENCE", "60"))
PROMPT = r"\(blkmon\) "
COMMIT = r"Commit top.img \(active\) down into base.img"


class Line:
    """blkmon at a prompt, on a chain of two images in a folder of its own."""

    def __init__(self, folder, *options, base="base.img", top="top.img"):
        self.state = folder / "state"
        for args in ([base, "8M"], ["-b", base, "-F", "qcow2", top]):
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2"] + args,
                           check=True, cwd=folder)
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -q 0 4M",
                        base], check=True, cwd=folder)
        # Of the last row of a line that fills its buffer readline compares
        # a row's bytes, whose first ones differ.
        asan = os.environ.get("ASAN_OPTIONS", "") + ":strict_memcmp=0"
        env = dict(os.environ, XDG_STATE_HOME=str(self.state), TERM="xterm",
                   ASAN_OPTIONS=asan,
                   INPUTRC="/dev/null")
        self.child = pexpect.spawn(
            BLKMON, ["--line", "--drive", f"file={top},id=disk0,format=qcow2",
                     "--chardev", "socket,id=c,path=monitor,server=on",
                     "--monitor", "c,mode=readline", *options],
            cwd=str(folder), env=env, encoding="utf-8", timeout=PATIENCE,
            codec_errors="replace",
            dimensions=(24, 100))
        self.socket = str(folder / "monitor")
        self.expect(PROMPT)

    def elsewhere(self, text):
        """A line that is typed at another monitor; what it says there."""
        said = b""
        with socket.socket(socket.AF_UNIX) as other:
            other.settimeout(PATIENCE)
            other.connect(self.socket)
            other.sendall(text.encode() + b"\n")
            other.shutdown(socket.SHUT_WR)
            while more := other.recv(4096):
                said += more
        return said

    def expect(self, *patterns):
        for pattern in patterns:
            self.child.expect(pattern)

    def send(self, text, *patterns):
        """Types a line and waits for what it leads to, then the prompt."""
        self.child.send(text + "\r")
        self.expect(*patterns, PROMPT)

    def pour(self, data):
        """Types a lot; what is shown meanwhile is read and forgotten."""
        fd = self.child.child_fd
        while data:
            reads, writes, _ = select.select([fd], [fd], [], PATIENCE)
            assert reads or writes
            if reads:
                os.read(fd, 1 << 16)
            elif writes:
                data = data[os.write(fd, data[:256]):]

    def ask(self, text, question, answer, *patterns):
        """The same with a line that is asked about."""
        self.child.send(text + "\r")
        self.expect(question + r" \[y/N\] ")
        self.send(answer, *patterns)

    def leave(self):
        self.child.send("quit\r")
        return self.end()

    def end(self):
        self.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus


@pytest.fixture
def line(tmp_path):
    session = Line(tmp_path)
    yield session
    session.child.close(force=True)


def test_json_over_two_lines(line):
    line.child.send('{"execute":\r')
    line.expect("> ")
    line.send('"query-status"}', '"running"')
    assert line.leave() == 0


def test_completion(line):
    line.child.send("info bl\t")
    line.expect("block-jobs +blockstats", PROMPT)
    line.child.send("\x15block_job_set\t")
    line.expect("block_job_set_speed ")
    line.child.send("\x15block_stream d\t0 b\t")
    line.expect("block_stream disk0 0 base.img")
    line.child.send("\x15drive_add 0 id=x,file=bas\t,")
    line.expect("drive_add 0 id=x,file=base.img,")
    line.child.send("\x15")
    assert line.leave() == 0


def test_control_c_drops_the_line_and_ends_a_wait(line):
    line.child.send("half a li\x03")
    line.expect(r"\^C", PROMPT)
    line.send("block_stream disk0 1B")
    line.child.send("wait disk0\r")
    line.expect("wait disk0\r\n")
    line.child.send("\x03")
    line.expect("interrupted", PROMPT)
    line.send("info block-jobs", "Streaming device disk0")
    line.ask("block_job_cancel disk0", r"Cancel job disk0: top.img\?", "y",
             "was cancelled")
    assert line.leave() == 0


def begin_commit(line):
    """One of 2 MiB, which stands still after its first piece: it can only be
    cancelled. The line is there before the job is."""
    line.send('qemu-io disk0 "write -P 7 0 2M"', "wrote 2097152")
    line.child.send("x-blkmon-commit device=disk0 speed=1\r")
    line.expect(COMMIT + r", at once\? \[y/N\] ")
    line.child.send("y\r")
    line.expect("y\r\n")
    deadline = time.monotonic() + PATIENCE
    while b"No active jobs" in line.elsewhere("info block-jobs"):
        assert time.monotonic() < deadline


def test_control_c_ends_a_commit(line, tmp_path):
    """The prompt is there again, and the chain reads the same."""
    read = 'qemu-io disk0 "read -P 7 0 2M"'
    for _ in range(2):
        begin_commit(line)
        line.child.send("\x03")
        line.expect("Cancelled; the active layer is as it was", PROMPT)
        line.send(read, "read 2097152/2097152")
    line.send("info block-jobs", "No active jobs")
    line.ask("commit disk0", COMMIT + r", at once\?", "y")
    line.send(read, "read 2097152/2097152")
    assert line.leave() == 0
    for image in ("base.img", "top.img"):
        subprocess.run(["qemu-img", "check", "-q", image], check=True,
                       cwd=tmp_path)
    out = subprocess.run(["qemu-io", "-r", "-c", "read -P 7 0 2M",
                          "base.img"], check=True, cwd=tmp_path,
                         capture_output=True, text=True).stdout
    assert "failed" not in out


def test_another_monitor_ends_a_commit(line):
    begin_commit(line)
    line.elsewhere("wait 0\nblock_job_cancel -f disk0")
    line.expect("Cancelled", PROMPT)
    assert line.leave() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_a_commit(line, number):
    begin_commit(line)
    line.child.kill(number)
    line.expect("Cancelled|the program ends")
    assert line.end() == 128 + number


LANGUAGES = (
    "block_commit disk0 base.img",
    "block_commit disk0 base.img top.img",
    "block_commit disk0",
    "block-commit device=disk0 job-id=j speed=3000000",
    '{"execute": "block-commit", "arguments": {"device": "disk0"}}',
    '{"execute": "block\\u002dcommit",\r"arguments": {"device": "disk0"}}',
    '{"execute": "human-monitor-command", "arguments": '
    '{"command-line": "block_commit disk0"}}',
)


@pytest.mark.parametrize("text", LANGUAGES)
def test_all_languages_ask_the_same(line, text):
    line.child.send(text + "\r")
    line.expect(r"base.img changes; disk0 goes over to it",
                r"Unused then: top.img", COMMIT + r"\? \[y/N\] ")
    line.send("n")
    line.send("info block-jobs", "No active jobs")
    line.ask(text, COMMIT + r"\?", "y")
    line.send("wait 0 ready")
    line.send("info block-jobs", "Type commit, device (disk0|j)")
    line.child.send("quit\r")
    line.expect(r"Quit\? \[y/N\] ")
    line.child.send("y\r")
    assert line.end() == 0


def test_names_with_blanks_are_asked_about_whole(tmp_path):
    line = Line(tmp_path, base="my base", top="my top")
    line.ask('block_commit disk0 "my base" "my top"',
             r"Commit my top \(active\) down into my base\?", "n")
    assert line.leave() == 0


def test_errors_come_before_questions(line):
    for text, says in (
            ("block_commit wbe", "Device 'wbe' not found"),
            ("commit wbe", "Device 'wbe' not found"),
            ("block_commit", "block device name expected"),
            ("block_commit disk0 nosuch", "Can't find 'nosuch' in the"),
            ("block-commit device=wbe", "Device 'wbe' not found"),
            ("block_job_cancel wbe", "'wbe' not found")):
        line.child.send(text + "\r")
        line.child.expect_exact(text + "\r\n")
        line.expect(PROMPT)
        assert "y/N" not in line.child.before
        assert says in line.child.before
    assert line.leave() == 0


def test_only_yes_is_yes(line):
    line.child.send("block_commit disk0\r")
    line.expect(r"\[y/N\] ")
    for text in ("block_job_set_speed d0 2M", "yank", " y", "q"):
        line.child.send(text + "\r")
        line.expect("y does it; n or Enter leave it", r"\[y/N\] ")
    line.send("")
    line.send("info block-jobs", "No active jobs")
    assert line.leave() == 0


def test_what_changed_is_asked_again(line):
    """Somebody takes a snapshot while the question stands."""
    line.child.send("block_commit disk0\r")
    line.expect(COMMIT + r"\? \[y/N\] ")
    line.elsewhere("snapshot_blkdev disk0 new.img")
    line.child.send("y\r")
    line.expect("This has changed since it was asked",
                r"Commit new.img \(active\) down into base.img\? \[y/N\] ")
    line.send("n")
    line.send("info block-jobs", "No active jobs")
    assert line.leave() == 0


def test_nothing_is_asked_with_yes(tmp_path):
    line = Line(tmp_path, "-y")
    line.send("block_commit disk0")
    line.send("wait disk0 ready")
    assert line.leave() == 0


def test_events_leave_the_typed_line_alone(line):
    """A job ends while the next line is half typed."""
    line.send("block_stream disk0 1B")
    line.child.send("info blo")
    line.expect("info blo")
    line.elsewhere("block_job_set_speed disk0 0")
    line.expect(r"is done: [^\r]*\r\n", PROMPT + "info blo")
    line.send("ck", r"top.img \(qcow2\)")
    assert line.leave() == 0


def test_quit_asks_while_jobs_run(line):
    line.send("block_stream disk0 1B")
    line.child.send("quit\r")
    line.expect("1 job would be cancelled", r"Quit\? \[y/N\] ")
    line.send("n")
    line.ask('{"execute": "quit"}', r"Quit\?", "n")
    line.child.send("\x04")
    line.expect(r"\[y/N\] ")
    line.child.send("y\r")
    assert line.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it(line, number):
    line.child.send("half")
    line.expect("half")
    line.child.kill(number)
    assert line.end() == 128 + number


def test_any_bytes_at_the_prompt(line):
    """Keys and broken characters, but for those that leave or stop."""
    rng = random.Random(11)
    out = b"\x03\x04\x11\x13\x1a\x1cqQyY"
    for i in range(60):
        data = bytes(b for b in rng.choices(range(256), k=200)
                     if b not in out) + b"\x1b\n\xff\xc3 \x18\x12"
        line.pour(data + b"\x07\x07\x07\x01\x0b")
        # What was left of a JSON object is ended as well.
        line.child.send(f"}}\rinfo uuid {i}\r")
        line.expect(f"info uuid {i}\r\n")
    line.send("info status", "VM status: ")


def test_a_line_is_bounded(line):
    line.pour(b"\x1b[200~" + b"x" * 80000 + b"\x1b[201~")
    line.child.send("\r")
    line.expect("a line is text of at most 64K bytes; nothing was done")
    line.send("info status", "VM status: running")


@pytest.mark.parametrize("typed", ["x", "\u00e9"])
def test_a_long_line_is_typed(line, typed):
    """Not as a paste in brackets; drawn behind each character, 64K of them
    take minutes."""
    line.pour(typed.encode() * (200000 // len(typed.encode())))
    line.child.send("\r")
    line.expect("a line is text of at most 64K bytes; nothing was done")
    line.pour(b"info " + typed.encode() * 20000)
    line.child.send("\r")
    line.expect("\\(blkmon\\) $")
    line.send("info status", "VM status: running")


@pytest.mark.parametrize("way", ["typed", "yanked"])
def test_a_search_is_bounded(line, way):
    """What is looked for grows by what is typed, and by C-y by all of a line;
    each key goes over it as often as it has characters."""
    line.pour(b"info " + "\u00e9".encode() * 20000)
    line.child.send("\r")
    line.expect("\\(blkmon\\) $")
    line.pour(b"\x12info " + (b"\x19" if way == "yanked" else
                             "\u00e9".encode() * 20000) + b"\x12" * 200)
    line.pour(b"\x07")
    line.send("info status", "VM status: running")
    line.pour(b"\x12stat\x0f")
    line.expect("VM status: running")


def test_history_is_kept(line):
    line.send("info status", "running")
    assert line.leave() == 0
    assert (line.state / "blkmon" / "history").read_text(
        encoding="utf-8").splitlines() == ["info status", "quit"]
