# SPDX-License-Identifier: GPL-3.0-or-later
"""As a service: what the unit and its example start, and what blkmon tells
the one who started it."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess

import pytest

import blk
from qmpsock import Qmp

DIST = os.path.join(blk.REPO, "dist")
UNIT = os.path.join(DIST, "blkmon@.service")
EXAMPLE = os.path.join(DIST, "example.conf")


def read(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def unit():
    """The last value of each setting; drop-ins play no part here."""
    return dict(re.findall(r"^(\w+)=(.*)$", read(UNIT), re.M))


def example_args(d):
    """The words that systemd makes of the example, with the folders of this
    machine that it names in @d."""
    text = read(EXAMPLE).replace("\\\n", "")
    line = re.search(r'^BLKMON_ARGS="(.*)"$', text, re.M)[1]
    assert "/run/blkmon/vm1/" in line and "/var/lib/libvirt/" in line
    return shlex.split(line.replace("/run/blkmon/vm1", d)
                       .replace("/var/lib/libvirt/images", d))


class Service:
    """blkmon with a socket that it tells its state to, as systemd starts it:
    no terminal, nothing on the standard input."""

    def __init__(self, d, *args, name=None):
        self.log = os.path.join(d, "stderr")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(blk.PATIENCE)
        name = name or os.path.join(d, "notify")
        self.socket.bind(re.sub("^@", "\0", name))
        with open(self.log, "wb") as log:
            self.proc = subprocess.Popen(
                [blk.BLKMON, *args], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
                env=dict(os.environ, NOTIFY_SOCKET=name))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        self.socket.close()

    def told(self):
        """The next state."""
        return self.socket.recv(4096).decode()

    def told_no_more(self):
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            raise AssertionError(self.socket.recv(4096))
        return True

    def ended(self):
        return self.proc.wait(blk.PATIENCE)


def test_the_unit_starts_what_the_example_says():
    said = unit()
    assert said["Type"] == "notify"
    assert said["ExecStart"] == "/usr/bin/blkmon $BLKMON_ARGS"
    assert said["EnvironmentFile"] == "/etc/blkmon/%i.conf"
    assert said["RuntimeDirectory"] == "blkmon/%i"


@pytest.mark.parametrize("abstract", [False, True])
def test_serves_nbd_and_qmp_until_sigterm(d, abstract):
    name = "@blkmon-test-%d" % os.getpid() if abstract else None
    disk = os.path.join(d, "vm1.qcow2")
    blk.create(disk, 8 * blk.MIB)
    with Service(d, *example_args(d), name=name) as service:
        assert service.told() == "READY=1", read(service.log)
        qmp_path, nbd_path = (os.path.join(d, s + ".sock")
                              for s in ("qmp", "nbd"))
        uri = "nbd+unix:///disk0?socket=" + nbd_path
        out = blk.run("nbdinfo", "--size", uri)
        assert out.out == "%d\n" % (8 * blk.MIB), out
        out = blk.run("qemu-io", "-f", "raw", "-c", "write -P 5 1M 1M", uri)
        assert out.rc == 0, out
        with Qmp(qmp_path) as qmp:
            assert qmp.ask("query-status")["running"]
            assert qmp.ask("query-block")[0]["device"] == "disk0"
            service.proc.send_signal(signal.SIGTERM)
            qmp.event("SHUTDOWN", reason="host-signal")
        assert service.told() == "STOPPING=1"
        assert service.ended() == 0, read(service.log)
        assert service.told_no_more()
        assert read(service.log) == ""
    assert not os.path.exists(qmp_path) and not os.path.exists(nbd_path)
    blk.check(disk)
    assert blk.guest(disk)[blk.MIB:2 * blk.MIB] == b"\5" * blk.MIB


def test_is_not_ready_where_an_image_is_missing(d):
    with Service(d, *example_args(d)) as service:
        assert service.ended() == 1
        assert "READY=1" not in service.told()
        assert "vm1.qcow2" in read(service.log)


def test_what_cannot_be_told_is_said(d):
    disk = blk.simple(d)
    env = dict(os.environ, NOTIFY_SOCKET=os.path.join(d, "nobody"))
    out = blk.run(blk.BLKMON, disk, "-c", "info block", env=env)
    assert out.rc == 0 and "disk0" in out.out, out
    assert "NOTIFY_SOCKET: could not tell 'READY=1': No such file" in out.err


@pytest.mark.skipif(not shutil.which("systemd-analyze"),
                    reason="no systemd-analyze")
def test_systemd_finds_little_that_is_exposed():
    """docs/service.md gives the number of one version of systemd."""
    out = blk.run("systemd-analyze", "security", "--offline=true", UNIT)
    if out.rc:
        pytest.skip(out.err)
    level = re.search(r"exposure level for \S+: ([0-9.]+)", out.out)[1]
    assert float(level) < 1.5, out
