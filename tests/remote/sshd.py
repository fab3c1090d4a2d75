# SPDX-License-Identifier: GPL-3.0-or-later
"""An sshd on 127.0.0.1 of the test's own: port, configuration, host key and
the key of who logs in lie in the test's folder. It runs as whoever runs the
test. As root sshd wants a user "sshd" and /run/sshd: both are there for it
alone, in a mount namespace of its own.

The ssh of the test is the real one, told to read a configuration of the
test's own in place of the user's."""

import glob
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engine"))

import blk  # noqa: E402

FETCHED = os.path.join(blk.REPO, "build/remote")
SEARCHED = os.environ["PATH"] + ":/usr/sbin:/sbin"

PRIVATE = """
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/shadow" /etc/shadow
mount -t tmpfs -o mode=755 run /run
mkdir /run/sshd
shift
exec "$@"
"""


def find_sshd():
    return shutil.which("sshd", path=SEARCHED) or \
        shutil.which(FETCHED + "/usr/sbin/sshd")


def missing():
    """Why there can be no such test here; None if there can."""
    if not find_sshd():
        return "no sshd"
    for name in ("ssh", "ssh-keygen", "socat"):
        if not shutil.which(name):
            return "no " + name
    if os.getuid() == 0 and subprocess.run(
            ["unshare", "--mount", "mount", "-t", "tmpfs", "x", "/run"],
            capture_output=True, check=False).returncode:
        return "as root sshd needs a mount namespace, which is not to be had"
    return None


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def write(path, text, mode=0o600):
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.chmod(path, mode)
    return path


def keygen(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                    path], check=True, stdin=subprocess.DEVNULL)
    return path


def environment():
    libs = [d for d in glob.glob(FETCHED + "/usr/lib/*-linux-gnu*") +
            glob.glob(FETCHED + "/lib/*-linux-gnu*") if os.path.isdir(d)]
    return dict(os.environ, LD_LIBRARY_PATH=":".join(libs)) if libs else None


class Sshd:
    """.env is for who is to find the ssh of the test; the host is called
    "there". @config: more lines for sshd; @tools: the only programs that a
    login finds."""

    def __init__(self, d, config="", tools=None):
        self.d = os.path.join(d, "sshd")
        os.mkdir(self.d, 0o700)
        self.port = free_port()
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.host_key = keygen(self.d + "/host")
        self.key = keygen(self.d + "/key")
        self.log = self.d + "/log"
        self.known = self.d + "/known"
        self.config = write(self.d + "/config", self.lines() + config +
                            self.path_of(tools))
        self.env = self.client()
        self.know()

    def path_of(self, tools):
        if tools is None:
            return ""
        where = self.d + "/tools"
        os.mkdir(where)
        for tool in tools:
            os.symlink(shutil.which(tool), where + "/" + tool.split(".")[0])
        return "SetEnv PATH=%s\n" % where

    def lines(self):
        text = ("Port %d\nListenAddress 127.0.0.1\nHostKey %s\n"
                "AuthorizedKeysFile %s.pub\nPidFile none\nUsePAM no\n"
                "StrictModes no\nPermitRootLogin yes\nPrintMotd no\n"
                "PasswordAuthentication yes\n"
                "KbdInteractiveAuthentication no\nLogLevel VERBOSE\n"
                % (self.port, self.host_key, self.key))
        for part in ("session", "auth"):
            program = FETCHED + "/usr/lib/openssh/sshd-" + part
            if os.path.exists(program):
                text += "Sshd%sPath %s\n" % (part.title(), program)
        return text

    def client(self):
        """An environment in which ssh reads a configuration of ours."""
        config = write(self.d + "/client", (
            "Host there\n HostName 127.0.0.1\n Port %d\n User %s\n"
            " IdentityFile %s\n IdentitiesOnly yes\n"
            "Host *\n UserKnownHostsFile %s\n GlobalKnownHostsFile /dev/null\n"
            " HashKnownHosts no\n" %
            (self.port, self.user, self.key, self.known)))
        os.mkdir(self.d + "/bin")
        write(self.d + "/bin/ssh",
              "#!/bin/sh\nprintf '%%s\\n' \"$@\" >> %s/argv\n"
              "exec %s -F %s \"$@\"\n" % (self.d, shutil.which("ssh"),
                                          config), stat.S_IRWXU)
        env = {k: v for k, v in os.environ.items() if k != "SSH_AUTH_SOCK"}
        env["PATH"] = self.d + "/bin:" + env["PATH"]
        return env

    def know(self, key=None):
        """The host is known by this key; by its own."""
        with open((key or self.host_key) + ".pub", encoding="ascii") as pub:
            write(self.known, "[127.0.0.1]:%d %s" % (self.port, pub.read()))

    def argv(self):
        argv = [find_sshd(), "-D", "-e", "-f", self.config]
        if os.getuid():
            return argv
        write(self.d + "/passwd", "root:x:0:0::%s:/bin/sh\n"
              "sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n" % self.d,
              0o644)
        write(self.d + "/shadow", "root:*:1::::::\n", 0o600)
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec",
                PRIVATE, "sh", self.d, *argv]

    def start(self):
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen(
                self.argv(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.PIPE, env=environment())
        said = b""
        while b"listening on" not in said:
            line = self.proc.stderr.readline()
            assert line, said
            said += line
        threading.Thread(target=self.keep, daemon=True).start()
        return self

    def keep(self):
        """What it says, so that it can say more."""
        with open(self.log, "ab") as log:
            for line in self.proc.stderr:
                log.write(line)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.wait()

    def argvs(self):
        """All that ssh was called with."""
        with open(self.d + "/argv", encoding="utf-8") as stream:
            return stream.read()
