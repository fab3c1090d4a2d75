# SPDX-License-Identifier: GPL-3.0-or-later
"""The screen on other machines: whose they are stands in every question, and
q leaves them alone."""

import os
import re
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engine"))

import blk  # noqa: E402
import ends  # noqa: E402
from scripted import Script  # noqa: E402
from term import Term  # noqa: E402

KINDS = pytest.mark.parametrize("kind", ends.ALL, ids=lambda k: k.kind)


def screen(d, keys, *args):
    """The last screen of a script of keys."""
    script, shot = os.path.join(d, "keys"), os.path.join(d, "shot")
    with open(script, "w", encoding="utf-8") as stream:
        stream.write("\n".join(["# all is there", *keys]) + "\n")
    out = blk.blkmon(*args, "--ui-script", script, "--ui-size", "100x30",
                     "--ui-time", "12:00:00", "--screenshot", shot)
    assert out.rc == 0, out
    with open(shot, encoding="utf-8") as stream:
        seen = stream.read()
    os.unlink(shot)
    return seen


@KINDS
def test_the_chain_of_another_machine(d, kind):
    """One image a line: what lies between and below images is none."""
    with kind(d) as end:
        seen = screen(d, [], *end.connect())
        assert re.search(r"1 drive, 3 images, 1 place", seen), seen
        assert re.search(r"┬ base.*\n.*├ mid.*\n.*└ top ◀ disk0",
                         seen), seen


@KINDS
@pytest.mark.parametrize("job", ["stream", "commit"])
def test_filters_are_no_images(d, kind, job):
    with kind(d) as end, end.other() as qmp:
        lines = {"stream": "block_stream disk0 64K",
                 "commit": "block_commit disk0 base.qcow2 mid.qcow2 64K"}
        end.ok(lines[job], "quit")
        assert len(qmp.ask("query-jobs")) == 1
        seen = screen(d, [], *end.connect())
        assert "1 drive, 3 images" in seen and "(of others)" in seen, seen


@KINDS
def test_questions_name_guest_and_host(d, kind):
    ask = ["type :block_commit disk0 base.qcow2 mid.qcow2", "key Enter"]
    with kind(d, name="web") as end:
        seen = screen(d, ask, "--connect", "web=unix:" + end.path)
        words = r"Commit mid down into base of web/disk0 \(this host\)\? "
        assert re.search(words + r"\[y/N\]", seen), seen
        assert ("Moves about" in seen) == (kind is not ends.Blkmon), seen
        seen = screen(d, ["type :block_commit disk0", "key Enter"],
                      "--connect", "web=unix:" + end.path)
        assert "Commit top (active) down into base of web/disk0 (this " \
            "host)? " in seen, seen
        end.ok("block_stream disk0 64K", "quit")
        seen = screen(d, ["type :block_job_cancel disk0", "key Enter"],
                      "--connect", "web=unix:" + end.path)
        assert re.search(r"Cancel job .*web/disk0 \(this host\), which others "
                         r"began\? \[y/N\]", " ".join(seen.split())), seen


@KINDS
def test_the_panel_shows_the_plan(d, kind):
    """By keys alone; with two places it is marked in the tree as well."""
    with kind(d, name="web") as end:
        seen = screen(d, ["key Up", "key c"], "--connect",
                      "web=unix:" + end.path)
        assert "Plan: Commit mid down into base" in seen, seen
        assert ("by the maps of the files" in seen) == \
            (kind is not ends.Blkmon), seen
        assert re.search(r"then +top on base", seen), seen
        assert re.search(r"unused +mid; ", seen), seen
        assert ("unknown" in seen) == (kind is not ends.Blkmon), seen
        own = ends.chain(d, "own-")
        seen = screen(d, ["key End", "key Up", "key c"], "--connect",
                      "web=unix:" + end.path, "disk0=" + own[2])
        assert re.search(r"line +block_commit web/disk0 ", seen), seen
        assert re.search(r"├ mid +T", seen), seen


def test_own_images_keep_their_question(d):
    chain = ends.chain(d)
    seen = screen(d, ["type :block_commit disk0", "key Enter"],
                  "disk0=" + chain[2])
    assert "Commit top (active) down into base? [y/N]" in seen


def test_several_places(d):
    """All drives with the places in front; a question names the one."""
    folders = [os.path.join(d, name) for name in ("one", "two", "own")]
    for folder in folders:
        os.mkdir(folder)
    own = ends.chain(folders[2])
    with ends.Drive(folders[0]) as one, ends.Daemon(folders[1]) as two:
        places = ["--connect", "web=unix:" + one.path, "--connect",
                  "db=unix:" + two.path, "disk0=" + own[2]]
        seen = screen(d, ["type :block_commit db/disk0", "key Enter"],
                      *places)
        for name in ("here/disk0", "web/disk0", "db/disk0"):
            assert "◀ " + name in seen, seen
        assert "3 drives, 9 images, 2 places" in seen
        assert "Commit two/top (active) down into two/base of db/disk0 " \
            "(this host)? " in seen, seen


@KINDS
def test_maps_of_images_that_are_open_elsewhere(d, kind):
    with kind(d) as end:
        seen = screen(d, [], *end.connect())
        for name in ("base", "mid", "top"):
            assert re.search(r"%s .*▕.*█.*▏" % name, seen), seen


TMUX = pytest.mark.skipif(not shutil.which("tmux"), reason="no tmux")


@TMUX
@pytest.mark.parametrize("key", ["q", "F10"])
def test_q_leaves_the_machine_and_its_jobs(d, tmp_path, key):
    with ends.Drive(d) as end, end.other() as qmp:
        qmp.ask("block-commit", device="disk0", job_id="theirs")
        qmp.event("BLOCK_JOB_READY", device="theirs")
        term = Term("%s --connect unix:%s" % (blk.BLKMON, end.path), tmp_path,
                    columns=100)
        try:
            term.wait("commit theirs")
            term.keys(key)
            term.wait_dead()
        finally:
            term.close()
        assert [j["status"] for j in qmp.ask("query-jobs")] == ["ready"]


@TMUX
@pytest.mark.parametrize("keys", [["q"], ["F10"], [":", "quit", "Enter"]],
                         ids=" ".join)
def test_leaving_the_screen_sends_nothing(d, tmp_path, keys):
    with Script(d) as end:
        term = Term("%s --connect s=unix:%s" % (blk.BLKMON, end.path),
                    tmp_path, columns=100)
        end.accept()
        serving = threading.Thread(target=end.serve_all)
        serving.start()
        try:
            term.wait("1 place")
            term.keys(*keys)
            term.wait_dead()
        finally:
            term.close()
            serving.join(blk.PATIENCE)
        assert "query-block" in end.seen and not end.changes()


@TMUX
def test_a_machine_that_stands_still_holds_nobody_up(d, tmp_path):
    """Keys are answered, it is said that it is slow, and q leaves at once."""
    with ends.Drive(d) as end:
        term = Term("%s --connect web=unix:%s" % (blk.BLKMON, end.path),
                    tmp_path, columns=100)
        try:
            term.wait("└ top ◀ disk0")
            end.proc.send_signal(signal.SIGSTOP)
            term.wait("web answers slowly", 30)
            term.type(":info block\n")
            term.wait(") info block")
            term.keys("Escape")
            term.wait(lambda s: re.search(r"^ \? F1 Help", s, re.M))
            began = time.monotonic()
            term.keys("q")
            term.wait_dead()
            assert time.monotonic() - began < 8, "it waited for the machine"
        finally:
            end.proc.send_signal(signal.SIGCONT)
            term.close()
        assert end.alive()


@TMUX
def test_a_machine_that_dies_and_comes_back(d, tmp_path):
    """The screen lives, keeps the picture, and says since when."""
    with ends.Drive(d) as end:
        term = Term("%s --connect web=unix:%s" % (blk.BLKMON, end.path),
                    tmp_path, columns=100)
        try:
            term.wait("└ top ◀ disk0")
            end.kill()
            seen = term.wait("web gone since ")
            assert "└ top ◀ disk0" in seen, seen
            end.start()
            term.wait("web: there again")
            term.wait(lambda s: "gone since" not in s.splitlines()[0])
            term.keys("q")
        finally:
            term.close()


GOLDEN = Path(__file__).resolve().parent / "golden"
ROWS = re.compile(r" blkmon  |[▸ ][┬⋯] |[▸ ]  [┬├└] |[▸ ] commit |"
                  r" (moves +about|then  |exports  |unused  |unknown  |cancel  )")


def rows_of(screen):
    """Places, images, jobs and plans; without what the file system says, how
    old files are, and paths."""
    text = "".join(line + "\n" for line in screen.splitlines()
                   if ROWS.match(line))
    title, _, rest = text.partition("\n")
    title = re.sub(r" +", " ", re.sub(r" here:.* free of \S+", "", title))
    rest = re.sub(r"( +[TBr]*) +\S+ +(\S+) +(\d+\w+ +)?▕", r"\1 DISK \2 ▕",
                  rest)
    return title + "\n" + re.sub(r"; \S+ free when", "; DISK free when", rest)


def compare(term, name):
    """GOLDEN=write writes them, as those of the pictures."""
    path = GOLDEN / (name + ".txt")
    if os.environ.get("GOLDEN") == "write":
        was = None
        while was != (was := rows_of(term.screen())):
            term.changed(1)
        path.write_text(was, encoding="utf-8")
        return
    want = path.read_text(encoding="utf-8")
    try:
        term.wait(lambda s: rows_of(s) == want, 20)
    except AssertionError:
        assert rows_of(term.screen()) == want


@TMUX
def test_three_guests_by_keys(d, tmp_path):
    """A commit on each, guests fold, and one of the machines dies and comes
    back; what the screen shows then is compared."""
    folders = [os.path.join(d, name) for name in ("one", "two", "own")]
    for folder in folders:
        os.mkdir(folder)
    own = ends.chain(folders[2])
    with ends.Drive(folders[0]) as one, ends.Daemon(folders[1]) as two:
        term = Term("%s --connect web=unix:%s --connect db=unix:%s disk0=%s "
                    "--ui-time 12:00:00" %
                    (blk.BLKMON, one.path, two.path, own[2]), tmp_path,
                    columns=100, rows=40)
        try:
            term.wait(lambda s: all("◀ %s/disk0" % w in s
                                    for w in ("here", "web", "db")))
            term.keys("g", "Space", "j", "Space", "j", "Space", "g")
            term.wait(lambda s: all("⋯ " + w in s
                                    for w in ("here", "web", "db")))
            for name in ("here", "web", "db"):
                term.wait(lambda s, n=name: "▸⋯ " + n in s)
                term.keys("Space", "j", "j", "j")
                term.wait(lambda s, n=name: re.search(
                    r"▸ +└ .*◀ %s/disk0" % n, s))
                term.keys("c")
                term.wait("Enter Run")
                compare(term, "three-plan-" + name)
                term.keys("Enter")
                term.wait(lambda s, n=name: "Enter Run" not in s and
                          "commit %s/dis" % n in s)
                term.keys("k", "k", "k", "Space")
                term.wait(lambda s, n=name: "▸⋯ " + n in s)
                term.keys("j")
            term.wait(lambda s: s.count("READY") >= 3 and
                      s.count(", 1 drive, 3 images  1 job") == 3)
            compare(term, "three-ready")
            one.kill()
            compare(term, "three-gone")
            one.start()
            term.wait(lambda s: "gone since" not in s and
                      re.search(r"⋯ web .*3 images$", s, re.M))
            compare(term, "three-back")
            term.keys("q")
            term.wait("1 job would be cancelled")
            term.keys("y")
            term.wait_dead()
        finally:
            term.close()


@TMUX
def test_the_state_of_the_guest(d, tmp_path):
    """Why it does not run is said in its own words; with several places each
    row has it. When it is gone, of when that is what is shown."""
    with ends.Drive(d, name="web") as end, end.other() as qmp:
        term = Term("%s --connect unix:%s" % (blk.BLKMON, end.path),
                    tmp_path, columns=100)
        try:
            term.wait("guest prelaunch")
            qmp.ask("cont")
            term.wait(lambda s: "disk0" in s and "guest " not in
                      s.splitlines()[0])
            qmp.ask("stop")
            term.wait("guest paused")
            end.kill()
            term.wait(lambda s: re.search(
                r"web gone since \d\d:\d\d:\d\d, as of \d\d:\d\d:\d\d", s))
            assert "guest paused" not in term.screen()
            assert "base" in term.screen()
            end.start()
            term.wait("guest prelaunch")
            term.keys("q")
        finally:
            term.close()
        own = ends.chain(d, "own-")
        seen = screen(d, [], "--connect", "web=unix:" + end.path,
                      "disk0=" + own[2])
        assert re.search(r"┬ web  prelaunch  this host", seen), seen


@TMUX
@pytest.mark.skipif(bool(os.environ.get("SAN")),
                    reason="rates are slow to see, and the same there")
@pytest.mark.parametrize("kind", ends.ALL[:2], ids=lambda k: k.kind)
def test_a_guest_that_writes_faster_than_the_job(d, tmp_path, kind):
    """What is left does not get less, and that is said, with both rates; when
    the guest is still, nothing of it is said any more."""
    end = kind(d)
    for path in end.chain:
        blk.qemu_img("resize", "-q", path, "256M")
    blk.qemu_io(end.chain[2], "write 0 64M")
    with end, end.other() as qmp:
        qdev = qmp.ask("query-block")[0]["qdev"]
        term = Term("%s --connect unix:%s" % (blk.BLKMON, end.path),
                    tmp_path, columns=120)
        mib = 0

        def write():
            nonlocal mib
            qmp.ask("human-monitor-command", command_line='qemu-io -d %s '
                    '"aio_write %dM 1M"' % (qdev, 64 + mib % 192))
            mib += 1

        def seen(text, what):
            write()
            return re.search(what, text)

        try:
            term.wait("disk0")
            term.type(":block_commit disk0 base.qcow2 top.qcow2 4K\n")
            term.wait("[y/N]")
            term.keys("y")
            term.wait("commit disk0")
            term.wait(lambda s: seen(s, r"will not end by itself: guest "
                                     r"writes \d\S+/s, job \S+/s, left \S+"),
                      seconds=90)
            assert "never" in term.screen()
            term.type(":block_job_set_speed disk0 0\n")
            term.wait(lambda s: "will not end by itself" not in s and
                      "READY" in s)
            term.keys("q")
        finally:
            term.close()


@KINDS
def test_positions_are_no_work(d, kind):
    """Of a job that counts where it is; an active commit counts work."""
    with kind(d) as end, end.other() as qmp:
        end.ok("block_commit disk0 base.qcow2 mid.qcow2 64K", "quit")
        seen = screen(d, [], *end.connect())
        assert ("of the disk" in seen) == (kind is not ends.Blkmon), seen
        out = end.blkmon("wait disk0 done 0.1")
        assert re.search(r"of \S+ of the disk", out.out) or \
            kind is ends.Blkmon, out
        for job in qmp.ask("query-jobs"):
            qmp.ask("job-cancel", id=job["id"])
        qmp.event("BLOCK_JOB_CANCELLED")
        end.ok("block_commit disk0", "quit")
        seen = screen(d, [], *end.connect())
        assert "of the disk" not in seen and "moved in" in seen, seen
