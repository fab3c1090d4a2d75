# SPDX-License-Identifier: GPL-3.0-or-later
"""What every black-box test needs: blkmon as a child process, QEMU's tools
as oracles, and a few ways to look at an image.

Nothing here knows how blkmon works inside: a test types lines, reads lines
and looks at files.  The program is $BLKMON, else ./blkmon of this tree.
"""

import contextlib
import json
import os
import re
import resource
import select
import shutil
import struct
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
BLKMON = os.environ.get("BLKMON", os.path.join(REPO, "blkmon"))

# How long any single reply may take before the test fails; sanitizers and
# loaded machines are slow, so this is about hangs and not about speed.
PATIENCE = float(os.environ.get("BLKMON_PATIENCE", "60"))

KIB = 1024
MIB = 1024 * 1024
GIB = 1024 * MIB
SECTOR = 512
PROMPT = "(blkmon) "


class Out:
    """Result of a finished process."""

    def __init__(self, argv, rc, out, err):
        self.argv, self.rc, self.raw = argv, rc, out
        self.err = err.decode("utf-8", "replace")

    @property
    def out(self):
        return self.raw.decode("utf-8", "replace")

    @property
    def text(self):
        return self.out + self.err

    def __repr__(self):
        return "%s\nexit %s\n--- stdout\n%s--- stderr\n%s" % (
            " ".join(map(str, self.argv)), self.rc, self.out[-4000:],
            self.err[-4000:])


def run(*argv, stdin=None, cwd=None, timeout=None, env=None, limit_fsize=None):
    """Run to the end; a process that outlives its time is a failed test."""
    argv = [os.fspath(a) for a in argv]

    def limits():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_fsize, limit_fsize))

    if isinstance(stdin, str):
        stdin = stdin.encode()
    feed = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    try:
        done = subprocess.run(argv, capture_output=True, cwd=cwd, env=env,
                              timeout=timeout or PATIENCE,
                              preexec_fn=limits if limit_fsize else None,
                              **feed)
    except subprocess.TimeoutExpired as late:
        raise AssertionError("no end within %gs: %s\n%r" % (
            late.timeout, " ".join(argv), late.stdout)) from late
    return Out(argv, done.returncode, done.stdout, done.stderr)


def blkmon(*args, **how):
    return run(BLKMON, *args, **how)


def blkmon_ok(*args, **how):
    out = blkmon(*args, **how)
    assert out.rc == 0, out
    return out


# ---------------------------------------------------------------- oracles

def qemu_img(*args, rc=0, **how):
    out = run("qemu-img", *args, **how)
    assert rc is None or out.rc == rc, out
    return out


def qemu_io(path, *commands, fmt="qcow2", share=False, opts=None, **how):
    """Run qemu-io commands on an image, one process for all of them."""
    argv = ["qemu-io"] + (["-U"] if share else [])
    if opts:
        argv += ["--image-opts", opts]
    else:
        argv += [*(["-f", fmt] if fmt else []), path]
    for command in commands:
        argv += ["-c", command]
    out = run(*argv, **how)
    assert out.rc == 0 and "failed" not in out.text, out
    return out


# Options for all images that are made, where a test sets some.
ALWAYS = {}


def create(path, size=None, backing=None, backing_fmt="qcow2", fmt="qcow2",
           cwd=None, **opts):
    """qemu-img create; a backing name is recorded as it is given."""
    argv = ["create", "-q", "-f", fmt]
    opts = {**ALWAYS, **opts}
    if opts:
        argv += ["-o", ",".join("%s=%s" % (k, doubled(str(v)))
                                for k, v in sorted(opts.items()))]
    if backing is not None:
        argv += ["-b", backing, "-F", backing_fmt]
    argv.append(path)
    if size is not None:
        argv.append(str(size))
    qemu_img(*argv, cwd=cwd)
    return path


def doubled(text):
    """As a value between commas."""
    return text.replace(",", ",,")


def check(path, fmt="qcow2"):
    """qemu-img check must find nothing at all, leaks included."""
    if fmt == "raw":
        return
    out = run("qemu-img", "check", "-f", fmt, path)
    assert out.rc == 0, out
    assert "Leaked" not in out.text and "ERROR" not in out.text, out


def guest(path, fmt="qcow2", share=False, opts=None, snapshot=None):
    """What a guest would read from the image, by qemu-img. Without a format
    path is one of the names that begin with json: and tell it."""
    with tempfile.NamedTemporaryFile(dir=tempdir(), suffix=".raw") as raw:
        argv = ["convert"] + (["-U"] if share else [])
        if snapshot:
            argv += ["-l", "snapshot.name=" + doubled(snapshot)]
        argv += ["--image-opts", opts] if opts else \
            [*(["-f", fmt] if fmt else []), path]
        qemu_img(*argv, "-O", "raw", raw.name)
        with open(raw.name, "rb") as stream:
            return stream.read()


def cat(path, *args, **how):
    """What a guest would read from the image, by blkmon."""
    return blkmon_ok("cat", *args, path, **how).raw


def img_info(path, share=True, fmt=None):
    argv = ["info", "--output=json"] + (["-U"] if share else [])
    return json.loads(qemu_img(*argv, *(["-f", fmt] if fmt else []),
                               path).out)


def img_chain(path, share=True):
    """qemu-img info --backing-chain, top first."""
    argv = ["info", "--backing-chain", "--output=json"]
    return json.loads(qemu_img(*argv, *(["-U"] if share else []), path).out)


def files_of_chain(path):
    return [os.path.realpath(i["filename"]) for i in img_chain(path)]


def resolved(image, name):
    """A backing name as the header of `image` means it."""
    return os.path.realpath(os.path.join(os.path.dirname(image), name))


def first_difference(a, b):
    """Offset of the first differing byte, or None; a length counts too."""
    if a == b:
        return None
    step = 64 * KIB
    for at in range(0, min(len(a), len(b)), step):
        if a[at:at + step] != b[at:at + step]:
            for i, (x, y) in enumerate(zip(a[at:at + step], b[at:at + step])):
                if x != y:
                    return at + i
    return min(len(a), len(b))


def assert_same(got, want, what):
    at = first_difference(got, want)
    assert at is None, (
        "%s: differs at %#x (length %d, wanted %d): got %s, wanted %s" % (
            what, at, len(got), len(want), bytes(got[at:at + 16]).hex(),
            bytes(want[at:at + 16]).hex()))


def stamps(tag, off, length):
    """Data in which every sector tells where it belongs and who wrote it."""
    first = off // SECTOR
    last = (off + length + SECTOR - 1) // SECTOR
    data = b"".join(struct.pack(">HHI", 0xb10c, tag & 0xffff, s) * 64
                    for s in range(first, last))
    skip = off - first * SECTOR
    return data[skip:skip + length]


def make_chain(d, count=3, size=4 * MIB, data=MIB, fmt="qcow2"):
    """l0 <- l1 <- ...: layer n holds n+1 at [n*data, (n+2)*data)."""
    paths = []
    for n in range(count):
        path = os.path.join(d, "l%d.img" % n)
        if n == 0:
            create(path, size, fmt=fmt)
        else:
            create(path, None, paths[-1], fmt if n == 1 else "qcow2")
        qemu_io(path, "write -P %d %d %d" % (
            n + 1, n * data, min(2 * data, size - n * data)),
            fmt=fmt if n == 0 else "qcow2")
        paths.append(path)
    return paths


def content(path):
    with open(path, "rb") as stream:
        return stream.read()


def unchanged(path, before):
    assert content(path) == before, "%s was changed" % path


def guest_io(args, lines, dev="disk0"):
    """One blkmon for some lines of guest I/O, none of which may fail."""
    argv = list(args)
    for line in lines:
        argv += ["-c", 'qemu-io %s "%s"' % (dev, line)]
    out = blkmon_ok(*argv)
    assert "failed" not in out.text, out
    return out


def simple(d, name="a.img", **opts):
    """1 MiB, the first 256 KiB of it 0x11."""
    path = create(os.path.join(d, name), MIB, **opts)
    qemu_io(path, "write -P 0x11 0 256k")
    return path


def best(attempt, good, tries=8):
    """The least of some tries, no more of them than it takes to come below
    `good`. What other load adds is not in every try; what the program does
    wrong is."""
    least = attempt()
    while least >= good and tries > 1:
        least, tries = min(least, attempt()), tries - 1
    return least


def tempdir():
    return os.environ.get("BLKMON_TMP") or tempfile.gettempdir()


@contextlib.contextmanager
def workdir(prefix="blkmon-test-"):
    path = tempfile.mkdtemp(prefix=prefix, dir=tempdir())
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def small_fs(d, size):
    """A file system that fills up: a tmpfs of that size."""
    place = os.path.join(d, "small")
    os.mkdir(place)
    out = run("mount", "-t", "tmpfs", "-o", "size=%d" % size, "none", place)
    if out.rc:
        import pytest   # the rest of this file does without
        pytest.skip("cannot mount a tmpfs: " + out.err.strip())
    try:
        yield place
    finally:
        run("umount", "-l", place)


# ----------------------------------------------------- the running program

ERROR = re.compile(
    r"^(Error: |'commit' error for |Device '.*' (not found|has no medium)"
    r"|unknown command: |invalid size|unterminated string"
    r"|Try \"help |.*: (string|filename|block device name) expected"
    r"|\{\"error\": |.* are mutually exclusive|.*: extraneous characters|.*: unsupported option)")


def but_free(lines):
    """What is free there changes under us: others write there, too."""
    return [re.sub(r"[0-9.]+[KMGT]? free", "free", line) for line in lines]


def errors(lines):
    return [line for line in lines if ERROR.match(line)]


class Died(AssertionError):
    pass


class Lines:
    """Lines of a pipe, each waited for with a deadline."""

    def __init__(self, fd):
        self.fd, self.rest, self.ended = fd, b"", False

    def next(self, deadline):
        """The next line without its end, None at end of file."""
        while b"\n" not in self.rest and not self.ended:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise TimeoutError
            got = os.read(self.fd, 65536)
            self.ended = not got
            self.rest += got
        if not self.rest:
            return None
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode("utf-8", "replace").rstrip("\r")

    def until(self, mark, deadline):
        """Lines before the one that equals mark."""
        lines = []
        while True:
            line = self.next(deadline)
            if line is None:
                raise Died("output ended before %r: %r" % (mark, lines))
            if line == mark:
                return lines
            lines.append(line)


class Session:
    """A blkmon that reads its lines from a pipe, one command at a time.

    --echo repeats each line before its result, so the result of a command is
    what stands between its own echo and the echo of the marker line sent
    after it.  The marker asks for a device that does not exist, which by the
    reference prints nothing and is no error.
    """

    def __init__(self, *args, cwd=None, on_error="continue", stderr=None,
                 limit_fsize=None, program=None, env=None):
        self.argv = [program or BLKMON, "--echo", "--on-error=" + on_error]
        self.argv += [os.fspath(a) for a in args]
        self.count = 0
        self.log = []

        def limits():
            resource.setrlimit(resource.RLIMIT_FSIZE,
                               (limit_fsize, limit_fsize))

        self.proc = subprocess.Popen(
            self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=stderr or subprocess.STDOUT, cwd=cwd, env=env,
            preexec_fn=limits if limit_fsize else None)
        self.lines = Lines(self.proc.stdout.fileno())
        self.banner = self.sync()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()
        if kind is not None and issubclass(kind, AssertionError):
            print("session: %s\n%s" % (" ".join(self.argv),
                                       "\n".join(self.log[-60:])))

    def send(self, line):
        try:
            self.proc.stdin.write(line.encode() + b"\n")
            self.proc.stdin.flush()
        except BrokenPipeError as broken:
            raise Died(self.story("pipe broken at %r" % line)) from broken

    def story(self, what):
        self.proc.poll()
        return "%s: exit %s\n%s\n%s" % (what, self.proc.returncode,
                                        " ".join(self.argv),
                                        "\n".join(self.log[-30:]))

    def until(self, mark, timeout=None):
        deadline = time.monotonic() + (timeout or PATIENCE)
        try:
            lines = self.lines.until(mark, deadline)
        except TimeoutError as late:
            raise AssertionError(self.story("no %r in time" % mark)) from late
        except Died as died:
            raise Died(self.story(str(died))) from died
        self.log += lines + [mark]
        return lines

    def sync(self, timeout=None):
        """Lines printed up to now."""
        self.count += 1
        marker = "info block marker-%d" % self.count
        self.send(marker)
        return self.until(PROMPT + marker, timeout)

    def cmd(self, line, timeout=None):
        """Type a line; its reply as a list of lines."""
        self.send(line)
        early = self.until(PROMPT + line)
        return early + self.sync(timeout)

    def ok(self, line, timeout=None):
        reply = self.cmd(line, timeout)
        assert not errors(reply), "%s -> %s" % (line, "\n".join(reply))
        return reply

    def fails(self, line, *needles, timeout=None):
        """The line must be refused, in words that hold every needle."""
        reply = self.cmd(line, timeout)
        text = "\n".join(reply)
        assert errors(reply), "%s was not refused: %r" % (line, text)
        for needle in needles:
            assert needle in text, "%s -> %r lacks %r" % (line, text, needle)
        return text

    def io(self, command, dev="disk0", timeout=None):
        """Guest I/O; any failure of it fails the test."""
        reply = self.ok('qemu-io %s "%s"' % (dev, command), timeout)
        text = "\n".join(reply)
        assert not re.search("failed|error|mismatch", text, re.I), \
            "%s -> %s" % (command, text)
        return text

    def wait(self, job="disk0", what="done", timeout=None):
        patience = timeout or PATIENCE
        return self.ok("wait %s %s %d" % (job, what, patience), patience + 5)

    def jobs(self):
        """`info block-jobs` as {device: (kind, offset, length, speed)}."""
        table = {}
        for line in self.ok("info block-jobs"):
            m = re.match(r"(?:Streaming device|Type (\w+), device) ([^:]+): "
                         r"Completed (\d+) of (\d+) bytes, "
                         r"speed limit (\d+) bytes/s", line)
            if m:
                table[m[2]] = (m[1] or "stream", int(m[3]), int(m[4]),
                               int(m[5]))
            else:
                assert line == "No active jobs", line
        return table

    def depth(self, dev="disk0"):
        """(active file, backing file or None, depth) of `info block`."""
        text = "\n".join(self.ok("info block " + dev))
        head = re.search(r"^%s(?: \([^)]+\))?: (.*) \(\w+(, read-only)?\)$"
                         % re.escape(dev), text, re.M)
        assert head, text
        back = re.search(r"Backing file: {5}(.*) \(chain depth: (\d+)\)", text)
        if not back:
            return head[1], None, 0
        return head[1], back[1], int(back[2])

    def finish(self, timeout=None):
        self.proc.stdin.close()
        return self.ended(timeout)

    def quit(self, timeout=None):
        self.send("quit")
        return self.ended(timeout)

    def ended(self, timeout=None):
        """Read to the end of the output; the exit status."""
        deadline = time.monotonic() + (timeout or PATIENCE)
        try:
            while True:
                line = self.lines.next(deadline)
                if line is None:
                    break
                self.log.append(line)
            return self.proc.wait(max(0.1, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired) as late:
            raise AssertionError(self.story("does not end")) from late


# ------------------------------------------------------- other users of it

class Holder:
    """A process that keeps an image open until told otherwise."""

    def __init__(self, argv, ready):
        self.proc = subprocess.Popen(argv, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT)
        deadline = time.monotonic() + PATIENCE
        seen = b""
        while ready not in seen:
            left = deadline - time.monotonic()
            fd = self.proc.stdout.fileno()
            assert left > 0 and select.select([fd], [], [], left)[0], seen
            got = os.read(fd, 4096)
            assert got, "%s ended: %r" % (argv, seen)
            seen += got

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.stdin.close()
        self.proc.kill()
        self.proc.wait()
        self.proc.stdout.close()


def held_by_qemu_io(path, fmt="qcow2", readonly=False):
    return Holder(["qemu-io", "-f", fmt] + (["-r"] if readonly else [])
                  + [path], b"qemu-io> ")


@contextlib.contextmanager
def held_by_daemon(path, fmt="qcow2", readonly=False):
    """qemu-storage-daemon with the image exported writable over NBD."""
    with workdir() as d:
        pidfile = os.path.join(d, "pid")
        out = run("qemu-storage-daemon", "--daemonize", "--pidfile", pidfile,
                  "--blockdev", "driver=%s,node-name=n,file.driver=file,"
                  "file.filename=%s,read-only=%s"
                  % (fmt, path, "on" if readonly else "off"),
                  "--nbd-server", "addr.type=unix,addr.path=%s/nbd" % d,
                  "--export", "type=nbd,id=e,node-name=n,writable=%s"
                  % ("off" if readonly else "on"))
        assert out.rc == 0, out
        with open(pidfile, encoding="ascii") as stream:
            pid = int(stream.read())
        try:
            yield "nbd+unix:///n?socket=%s/nbd" % d
        finally:
            os.kill(pid, 15)
            wait_gone(pid)


def wait_gone(pid):
    """A daemon is no child: its pidfd tells when it ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([fd], [], [], PATIENCE)[0], pid
    finally:
        os.close(fd)
