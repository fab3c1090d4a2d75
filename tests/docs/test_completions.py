"""What the shells complete: asked of the shells themselves."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

REPO = Path(__file__).resolve().parents[2]
BLKMON = os.environ.get("BLKMON", str(REPO / "blkmon"))
DIST = REPO / "dist" / "completions"
TABLES = json.loads(subprocess.run(
    [BLKMON, "--dump-commands=json"], check=True, capture_output=True,
    text=True).stdout)
PATIENCE = 60


def test_they_are_made_from_the_tables():
    subprocess.run([sys.executable, REPO / "scripts" / "completions.py",
                    "--check", BLKMON], check=True)


def test_the_tables_are_what_help_shows():
    usage = subprocess.run([BLKMON, "--help-all"], check=True, text=True,
                           capture_output=True).stdout
    for row in TABLES["options"]:
        assert "--" + row["name"] in usage
    for sub in TABLES["subcommands"]:
        assert "blkmon %s " % sub["name"] in usage


class Bash:
    """A bash at a terminal. What stands in its line is shown on Control-T,
    and Control-O puts in all that could be completed there."""

    def __init__(self, folder):
        self.child = pexpect.spawn(
            "bash", ["--noprofile", "--norc"], cwd=folder, timeout=PATIENCE,
            encoding="utf-8", dimensions=(24, 4000),
            env=dict(os.environ, TERM="dumb", INPUTRC="/dev/null"))
        self.child.setecho(False)
        self.run("set +o history; PS1=; bind 'set bell-style none'")
        self.run("source '%s'" % (DIST / "blkmon.bash"))
        self.run("""bind -x '"\\C-t": printf "<<%s>>" "$READLINE_LINE"'""")
        self.run("""bind '"\\C-o": insert-completions'""")

    def run(self, line):
        self.child.sendline(line + "; printf 'D%s\\n' one")
        self.child.expect_exact("Done")

    def keys(self, text):
        """The line behind these keys; it is empty again afterwards."""
        self.child.send(text + "\x14")
        self.child.expect("<<([^\r\n]*)>>")
        line = self.child.match[1]
        self.child.send("\x05\x15")     # to the end, and kill
        return line

    def tab(self, text):
        return self.keys(text + "\t")

    def all(self, text):
        """What could stand for the last word of the text."""
        line = self.keys(text + "\x0f")
        keep = text[:text.rindex(" ") + 1]
        assert line.startswith(keep), line
        return line[len(keep):].split()


@pytest.fixture(scope="module", name="bash")
def bash_in_a_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bash")
    for name in ("base.qcow2", "my disk.raw", "script"):
        (folder / name).write_text("")
    (folder / "images").mkdir()
    (folder / "images" / "sn1.qcow2").write_text("")
    shell = Bash(folder)
    yield shell
    shell.child.close(force=True)


def test_bash_completes_all_options(bash):
    want = {s for row in TABLES["options"]
            for s in ("--" + row["name"], "-" + row.get("letter", ""))} - {"-"}
    assert set(bash.all("blkmon -")) == want
    assert set(bash.all("blkmon --line -")) == want
    for sub in TABLES["subcommands"]:
        want = {s for row in sub["options"]
                for s in ("--" + row.get("name", ""),
                          "-" + row.get("letter", ""))} - {"-", "--"}
        assert set(bash.all("blkmon %s -" % sub["name"])) == want


def test_bash_completes_all_fixed_values(bash):
    asked = 0
    for row in TABLES["options"]:
        words = row["words"]
        if not words:
            continue
        asked += 1
        name = "--" + row["name"]
        assert bash.all("blkmon %s " % name) == sorted(words), row
        if not any(w[-1] in ":=," for w in words):
            assert " ".join(bash.all("blkmon %s=" % name)) == \
                name + "=" + " ".join(sorted(words)), row
    assert asked > 5


@pytest.mark.parametrize("typed, line", [
    ("--ech", "--echo "),
    ("--color al", "--color always "),
    ("--color=al", "--color=always "),
    ("--theme=mono --on-error c", "--theme=mono --on-error continue "),
    ("inf", "info "),
    ("info --js", "info --json "),
    ("info --json ba", "info --json base.qcow2 "),
    ("info -f ra", "info -f raw "),
    ("cat --backing-format=q", "cat --backing-format=qcow2 "),
    ("--line inf", "--line inf"),
    ("ba", "base.qcow2 "),
    ("disk0=ba", "disk0=base.qcow2 "),
    ("ima", "images/"),
    ("images/", "images/sn1.qcow2 "),
    ("my", "my\\ disk.raw "),
    ("my\\ d", "my\\ disk.raw "),
    ("'my d", "'my disk.raw' "),
    ("-f scr", "-f script "),
    ("--file=scr", "--file=script "),
    ("--drive fi", "--drive file="),
    ("--drive file=ba", "--drive file=base.qcow2 "),
    ("--drive file=base.qcow2,forma", "--drive file=base.qcow2,format="),
    ("--drive file=base.qcow2,format=q", "--drive file=base.qcow2,"
                                         "format=qcow2 "),
    ("--drive=id=x,file=images/s", "--drive=id=x,file=images/sn1.qcow2 "),
    ("--drive id=x,cache=u", "--drive id=x,cache=unsafe "),
    ("--qmp un", "--qmp unix:"),
    ("--qmp unix:ima", "--qmp unix:images/"),
    ("--nbd=unix:images/s", "--nbd=unix:images/sn1.qcow2 "),
    ("-c block_st", "-c block_stream "),
    ("-c 'block_st", "-c 'block_stream' "),
    ("--command='query-block-j", "--command='query-block-jobs' "),
    ("-c 'info blockst", "-c 'info blockstats' "),
    ("-c info\\ blockst", "-c info\\ blockstats "),
    ("--ui-time ba", "--ui-time ba"),
])
def test_bash_completes(bash, typed, line):
    assert bash.tab("blkmon " + typed) == "blkmon " + line


def test_bash_completes_in_the_middle(bash):
    """The cursor inside a word: what is behind it stays."""
    assert bash.keys("blkmon --col x\x1b[D\x1b[D\t") == "blkmon --color x"


def test_zsh_reads_it():
    if not shutil.which("zsh"):
        pytest.skip("no zsh")
    subprocess.run(["zsh", "-n", DIST / "_blkmon"], check=True)


@pytest.mark.parametrize("typed, line", [
    ("--ech", "--echo "), ("--color al", "--color always "),
    ("--color=al", "--color=always "), ("info --js", "info --json "),
    ("--drive cache=u", "--drive cache=unsafe,"),
    ("--qmp unix:imag", "--qmp unix:images/"),
    ("disk0=ba", "disk0=base.qcow2 "), ("-c block_st", "-c block_stream "),
])
def test_zsh_completes(bash, tmp_path, typed, line):
    if not shutil.which("zsh"):
        pytest.skip("no zsh")
    child = pexpect.spawn("zsh", ["-f"], cwd=bash.child.cwd, timeout=PATIENCE,
                          encoding="utf-8", dimensions=(24, 4000),
                          env=dict(os.environ, TERM="dumb",
                                   HOME=str(tmp_path)))
    child.sendline("PS1=; fpath=(%s $fpath); autoload -U compinit; "
                   "compinit -u -D; setopt no_beep; "
                   "show() { print -rn -- \"<<$BUFFER>>\" }; zle -N show; "
                   "bindkey -e; bindkey '^T' show; print D''one" % DIST)
    child.expect_exact("Done")
    child.send("blkmon " + typed + "\t\x14")
    child.expect("<<([^\r\n]*)>>")
    child.close(force=True)
    assert child.match[1].strip() == ("blkmon " + line).strip()


@pytest.mark.parametrize("typed, offered", [
    ("--ech", ["--echo"]), ("--color ", ["always", "auto", "never"]),
    ("info --js", ["--json"]), ("info -f ", ["qcow2", "raw"]),
    ("--drive cache=u", ["cache=unsafe"]), ("-f scr", ["script"]),
    ("-c block_st", ["block_stream"]),
])
def test_fish_completes(bash, tmp_path, typed, offered):
    if not shutil.which("fish"):
        pytest.skip("no fish")
    fish = ["fish", "--no-config"]
    subprocess.run(fish + ["-n", DIST / "blkmon.fish"], check=True)
    out = subprocess.run(
        fish + ["-c", "source $argv[1]; complete -C $argv[2]",
                DIST / "blkmon.fish", "blkmon " + typed],
        check=True, capture_output=True, text=True, cwd=bash.child.cwd,
        env=dict(os.environ, HOME=str(tmp_path)))
    assert [line.split("\t")[0] for line in out.stdout.splitlines()] == \
        offered, out
