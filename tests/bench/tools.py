# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that are measured, each behind run(op, work) -> seconds.

A session (blkmon with its lines on a pipe, qemu-storage-daemon with QMP on a
pipe) has its images open before the clock starts; the clock stops when the
job is reported as completed. A command is measured from its start to its end.
"""

import json
import os
import subprocess
import tempfile
import threading
import time

import peer

LIMIT = 900     # seconds that a job or a command may take


class Failed(Exception):
    pass


class Process:
    """A program on two pipes that is killed when it takes too long."""

    def __init__(self, argv):
        self.name = os.path.basename(argv[0])
        self.stderr = tempfile.TemporaryFile("w+")
        try:
            self.popen = subprocess.Popen(
                peer.argv(argv), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=self.stderr)
        except OSError as e:
            raise Failed(str(e)) from None
        self.watch = threading.Timer(LIMIT, self.popen.kill)
        self.watch.start()

    def send(self, text):
        try:
            self.popen.stdin.write(text.encode())
            self.popen.stdin.flush()
        except BrokenPipeError:
            raise self.failure() from None

    def line(self):
        line = self.popen.stdout.readline()
        if not line:
            raise self.failure()
        return line.decode()

    def end(self):
        """Waits until it is gone; it should have ended well."""
        try:
            self.popen.stdin.close()
            self.popen.stdout.read()
        except BrokenPipeError:
            pass
        status = self.popen.wait()
        if status:
            raise self.failure()

    def failure(self):
        status = self.popen.wait()
        self.stderr.seek(0)
        said = self.stderr.read().strip().splitlines() or ["no message"]
        how = f"signal {-status}" if status < 0 else f"exit {status}"
        return Failed(f"{self.name}: {how}: {said[-1]}")

    def release(self):
        self.watch.cancel()
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        for f in (self.popen.stdin, self.popen.stdout, self.stderr):
            try:
                f.close()
            except BrokenPipeError:
                pass


class Daemon(Process):
    """qemu-storage-daemon with the chain under the node `top`."""

    def __init__(self, work):
        super().__init__([
            "qemu-storage-daemon", "--blockdev",
            json.dumps({"driver": "qcow2", "node-name": "top", "file":
                        {"driver": "file", "filename": work.path(-1)}}),
            "--chardev", "stdio,id=c", "--monitor", "chardev=c"])

    def greet(self):
        self.line()
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        self.send(json.dumps({"execute": command, "arguments": arguments}))
        while True:
            reply = json.loads(self.line())
            if "error" in reply:
                raise Failed(f"{command}: {reply['error']['desc']}")
            if "return" in reply:
                return

    def event(self, name):
        """No event that is waited for comes before its command's reply."""
        while True:
            event = json.loads(self.line())
            if event.get("event") == "BLOCK_JOB_COMPLETED":
                if "error" in event["data"]:
                    raise Failed(event["data"]["error"])
            if event.get("event") == name:
                return

    def job(self, op, work):
        command = "block-commit" if "commit" in op else "block-stream"
        arguments = {}
        if op != "stream":
            arguments["base"] = work.path(0)
        if op == "commit":
            arguments["top"] = work.path(-2)
        self.execute(command, **{"device": "top", "job-id": "j"}, **arguments)
        if op == "commit-active":
            self.event("BLOCK_JOB_READY")
            self.execute("job-complete", id="j")
        self.event("BLOCK_JOB_COMPLETED")

    def quit(self):
        self.execute("quit")
        self.end()


def blkmon_lines(op, work):
    """The job, as an operator types it."""
    base = work.path(0)
    return {
        "stream": ["block_stream disk0", "wait disk0"],
        "stream-base": [f"block_stream disk0 0 {base}", "wait disk0"],
        "commit": [f"block_commit disk0 {base} {work.path(-2)}",
                   "wait disk0"],
        "commit-active": [f"block_commit disk0 {base}", "wait disk0 ready",
                          "block_job_complete disk0", "wait disk0"],
    }[op]


class Session(Process):
    """blkmon with its lines on a pipe."""

    IDLE = "No active jobs"

    def __init__(self, program, work):
        super().__init__([program, "disk0=" + work.path(-1)])

    def greet(self):
        self.send("info block-jobs\n")
        self.idle()

    def idle(self):
        while self.line().rstrip() != self.IDLE:
            pass

    def job(self, op, work):
        lines = blkmon_lines(op, work) + ["info block-jobs"]
        self.send("\n".join(lines) + "\n")
        self.idle()

    def quit(self):
        self.send("quit\n")
        self.end()


def timed_session(start, op, work):
    """(seconds until completed, seconds until gone and all on the disk)"""
    session = start(work)
    try:
        session.greet()
        t0 = time.perf_counter()
        session.job(op, work)
        t1 = time.perf_counter()
        session.quit()
        work.fsync()
        return t1 - t0, time.perf_counter() - t0
    finally:
        session.release()


def timed_commands(commands, work):
    """(seconds until the last has ended, the same and all on the disk)"""
    t0 = time.perf_counter()
    for argv in commands:
        process = Process(argv)
        try:
            process.end()
        finally:
            process.release()
    t1 = time.perf_counter()
    work.fsync()
    return t1 - t0, time.perf_counter() - t0


def qemu_img_commands(op, work):
    base, below, top = work.path(0), work.path(-2), work.path(-1)
    qcow2 = ["-f", "qcow2", "-F", "qcow2"]
    return {
        "stream": [["rebase", "-f", "qcow2", "-b", "", top]],
        "stream-base": [["rebase", *qcow2, "-b", base, top]],
        "commit": [["commit", "-f", "qcow2", "-d", "-b", base, below],
                   ["rebase", "-u", *qcow2, "-b", base, top]],
        "commit-active": [["commit", "-f", "qcow2", "-d", "-b", base, top]],
        "commit-offline": [["commit", "-f", "qcow2", top]],
    }[op]


class Blkmon:
    def __init__(self, program):
        self.program = program

    def session(self, op, work):
        return timed_session(lambda w: Session(self.program, w), op, work)

    def command(self, op, work):
        if op == "commit-offline":
            argv = [self.program, "commit", "-f", "qcow2", work.path(-1)]
        else:
            argv = [self.program]
            for line in blkmon_lines(op, work):
                argv += ["-c", line]
            argv.append("disk0=" + work.path(-1))
        return timed_commands([argv], work)


def qemu_daemon(op, work):
    return timed_session(Daemon, op, work)


def qemu_img(op, work):
    return timed_commands([["qemu-img", *c]
                           for c in qemu_img_commands(op, work)], work)


def qemu_img_convert(_op, work):
    """Not in place: a new image is written and takes the old one's name."""
    top = work.path(-1)
    return timed_commands([["qemu-img", "convert", "-f", "qcow2", "-O",
                            "qcow2", top, top + ".new"],
                           ["mv", top + ".new", top]], work)
