"""`make install` puts everything where it is looked for, and `make uninstall`
takes that away and nothing else."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
BLKMON = os.environ.get("BLKMON", str(REPO / "blkmon"))

PLACES = """
bin/blkmon
lib/systemd/system/blkmon@.service
share/bash-completion/completions/blkmon
share/doc/blkmon/attach.md
share/doc/blkmon/compat.md
share/doc/blkmon/examples/demo.sh
share/doc/blkmon/examples/example.conf
share/doc/blkmon/service.md
share/fish/vendor_completions.d/blkmon.fish
share/man/man1/blkmon.1
share/zsh/site-functions/_blkmon
""".split()


def make(target, root, *more):
    """The program is there already, whatever it was built with."""
    subprocess.run(["make", "-o", "all", "-C", REPO, target,
                    "PROG=" + BLKMON, "DESTDIR=%s" % root, *more],
                   check=True, capture_output=True,
                   env={k: v for k, v in os.environ.items()
                        if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")})


def files(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*")
                  if p.is_file())


@pytest.mark.parametrize("prefix", ["usr/local", "usr", "opt/block monitor"])
def test_everything_in_its_place_and_away(tmp_path, prefix):
    root = tmp_path / "a root"
    more = [] if prefix == "usr/local" else ["PREFIX=/" + prefix]
    make("install", root, *more)
    top = root / prefix
    assert files(root) == [prefix + "/" + p for p in PLACES]
    for place in PLACES:
        mode = stat.S_IMODE((top / place).stat().st_mode)
        assert mode == (0o755 if place == "bin/blkmon" else 0o644), place
    assert (top / "bin/blkmon").read_bytes() == Path(BLKMON).read_bytes()
    unit = (top / "lib/systemd/system/blkmon@.service").read_text("utf-8")
    assert "\nExecStart=/%s/bin/blkmon $BLKMON_ARGS\n" % prefix in unit
    make("install", root, *more)        # over what is there
    foreign = ["bin/other", "share/man/man1/blkmon.1.gz",
               "share/doc/blkmon/examples/mine.conf"]
    for name in foreign:
        (top / name).write_text("")
    make("uninstall", root, *more)
    assert files(root) == sorted(prefix + "/" + p for p in foreign)
    for name in foreign:
        (top / name).unlink()
    make("uninstall", root, *more)      # what is gone is no fault
    assert not (top / "share/doc/blkmon").exists()
    assert (top / "share/doc").is_dir()


def test_where_packagers_want_them(tmp_path):
    make("install", tmp_path, "PREFIX=/usr", "ZSHDIR=share/zsh/vendor",
         "UNITDIR=lib/units")
    found = files(tmp_path)
    assert "usr/share/zsh/vendor/_blkmon" in found
    assert "usr/lib/units/blkmon@.service" in found
    assert len(found) == len(PLACES)
    make("uninstall", tmp_path, "PREFIX=/usr", "ZSHDIR=share/zsh/vendor",
         "UNITDIR=lib/units")
    assert not files(tmp_path)
