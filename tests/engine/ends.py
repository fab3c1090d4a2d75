# SPDX-License-Identifier: GPL-3.0-or-later
"""Other monitors for blkmon to be attached to: QEMU in both of its styles, its
storage daemon, and blkmon itself. Each has a drive that people call "disk0" on
the chain base <- mid <- top, and a second monitor for whoever looks on.

Nothing runs in the machines: they are started with -S."""

import os
import select
import signal
import socket
import subprocess
import time

import blk
import nbdsock
from blk import MIB
from qmpsock import Qmp

QEMU = "qemu-system-x86_64"
QSD = "qemu-storage-daemon"
LAYERS = ("base", "mid", "top")


def chain(d, prefix="", data=2 * MIB):
    """base <- mid <- top, with data of its own in each."""
    where = [os.path.join(d, prefix + name + ".qcow2") for name in LAYERS]
    for n, path in enumerate(where):
        blk.create(path, 16 * MIB if n == 0 else None,
                   where[n - 1] if n else None)
        blk.qemu_io(path, "write -P %d %d %d" % (n + 1, n * MIB, data))
    return where


def wait_listens(path, proc, log):
    """Until somebody answers there; he may be greeted, and leaves."""
    deadline = time.monotonic() + blk.PATIENCE
    while True:
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                return sock.connect(path)
            except (FileNotFoundError, ConnectionRefusedError):
                assert proc.poll() is None and \
                    time.monotonic() < deadline, log()
        select.select([], [], [], 0.01)


def children(pid):
    """Of all its threads: a child is that of the thread that started it."""
    found = []
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/children" % (pid, task),
                  encoding="ascii") as stream:
            found += [int(word) for word in stream.read().split()]
    return found


def kill_children(pid):
    """There are some."""
    found = children(pid)
    assert found, "nobody to kill"
    for child in found:
        os.kill(child, signal.SIGKILL)


class End:
    """A process with two monitors: .path is ours, .beside another's."""

    kind = None
    drive = "disk0"

    def __init__(self, d, prefix="", name=None, data=2 * MIB):
        self.d, self.name = d, name
        self.chain = chain(d, prefix, data)
        self.path = os.path.join(d, prefix + "ours.sock")
        self.beside = os.path.join(d, prefix + "theirs.sock")
        self.log = os.path.join(d, prefix + "log")
        self.proc = None

    def argv(self):
        raise NotImplementedError

    def start(self):
        for path in (self.path, self.beside):
            if os.path.exists(path):
                os.unlink(path)
        with open(self.log, "wb") as log:
            self.proc = subprocess.Popen(self.argv(), cwd=self.d,
                                         stdin=subprocess.DEVNULL,
                                         stdout=log, stderr=log)
        wait_listens(self.beside, self.proc, self.said)
        return self

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def alive(self):
        return self.proc.poll() is None

    def other(self):
        """A stranger at the second monitor."""
        return Qmp(self.beside)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.alive():
            self.kill()

    def connect(self):
        return ["--connect", "unix:" + self.path]

    def blkmon(self, *lines, args=(), **how):
        """Lines as a script on this end."""
        argv = [*self.connect(), *args]
        for line in lines:
            argv += ["-c", line]
        return blk.blkmon(*argv, **how)

    def ok(self, *lines, **how):
        out = self.blkmon(*lines, **how)
        assert out.rc == 0, out
        return out


class Qemu(End):
    def guest_write(self, pattern, offset, length):
        """As the device does it: by the path of the device."""
        with self.other() as qmp:
            qmp.ask("human-monitor-command", command_line=
                    'qemu-io -d /machine/peripheral/%s/virtio-backend '
                    '"write -P %d %d %d"' % (self.device, pattern, offset,
                                             length))

    def common(self):
        argv = [QEMU, "-machine", "pc", "-accel", "tcg", "-m", "64", "-S",
                "-display", "none", "-nodefaults",
                "-qmp", "unix:%s,server=on,wait=off" % self.path,
                "-qmp", "unix:%s,server=on,wait=off" % self.beside]
        return argv + (["-name", self.name] if self.name else [])


class Drive(Qemu):
    """The old style: the drive has a name, its nodes have not."""

    kind = "drive"
    device = "vd0"

    def argv(self):
        return [*self.common(), "-drive",
                "if=none,id=disk0,format=qcow2,file=" + self.chain[2],
                "-device", "virtio-blk-pci,drive=disk0,id=vd0"]


class Blockdev(Qemu):
    """As managers do it: nodes with names, and a device, but no drive."""

    kind = "blockdev"
    device = "disk0"
    nodes = "%s-fmt"

    def argv(self):
        argv = self.common()
        for n, path in enumerate(self.chain):
            node = self.nodes % LAYERS[n]
            argv += ["-blockdev", "driver=file,node-name=%s-file,filename=%s,"
                     "auto-read-only=on" % (LAYERS[n], path),
                     "-blockdev", "driver=qcow2,node-name=%s,file=%s-file%s%s"
                     % (node, LAYERS[n],
                        ",backing=" + self.nodes % LAYERS[n - 1] if n else "",
                        "" if n == 2 else ",read-only=on")]
        return [*argv, "-device", "virtio-blk-pci,id=disk0,drive=" +
                self.nodes % "top"]


class Managed(Blockdev):
    """With the names that libvirt gives."""

    kind = "managed"
    number = {"base": 3, "mid": 2, "top": 1}

    class Nodes(str):
        def __mod__(self, layer):
            return "libvirt-%d-format" % Managed.number[layer]

    nodes = Nodes()


class Daemon(End):
    """qemu-storage-daemon: its drives are what it exports."""

    kind = "daemon"

    def guest_write(self, pattern, offset, length):
        with nbdsock.Nbd(os.path.join(self.d, "nbd.sock"), "n") as nbd:
            nbd.ask(nbdsock.WRITE, offset, data=bytes([pattern]) * length)
            nbd.ask(nbdsock.FLUSH)

    def argv(self):
        argv = [QSD]
        for n, path in enumerate((self.path, self.beside)):
            argv += ["--chardev", "socket,id=c%d,path=%s,server=on,wait=off"
                     % (n, path), "--monitor", "chardev=c%d" % n]
        return [*argv, "--blockdev", "driver=file,node-name=f,filename=" +
                self.chain[2], "--blockdev", "driver=qcow2,node-name=n,file=f",
                "--nbd-server", "addr.type=unix,addr.path=" +
                os.path.join(self.d, "nbd.sock"),
                "--export", "nbd,id=disk0,node-name=n,writable=on"]


class Blkmon(End):
    kind = "blkmon"

    def guest_write(self, pattern, offset, length):
        with self.other() as qmp:
            qmp.ask("human-monitor-command", command_line=
                    'qemu-io disk0 "write -P %d %d %d"' % (pattern, offset,
                                                           length))

    def argv(self):
        return [blk.BLKMON, "--qmp", "unix:" + self.path, "--qmp",
                "unix:" + self.beside, "disk0=" + self.chain[2]]


ALL = [Drive, Blockdev, Daemon, Blkmon]
