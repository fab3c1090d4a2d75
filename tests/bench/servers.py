# SPDX-License-Identifier: GPL-3.0-or-later
"""Two NBD servers on the same chain, and the clients that load them.

Each server is behind start_job(op), ready(), complete() and done(); the
clients do not know which one they talk to.
"""

import json
import os
import select
import socket
import struct
import subprocess
import time

import peer
import tools

EXPORT = "disk"
READ, WRITE = 0, 1


class Blkmon(tools.Process):
    """blkmon with its lines on a pipe."""

    def __init__(self, program, chain):
        self.path = chain.path("sock")
        super().__init__([program, "--drive", "id=disk0,format=qcow2,file=" +
                          chain.path("top"), "--nbd", "unix:" + self.path,
                          "--export", f"disk0,writable=on,name={EXPORT}"])
        self.base = chain.path("base")
        self.wait_line("info block-jobs", "No active jobs")

    def wait_line(self, line, until):
        self.send(line + "\n")
        while self.line().rstrip() != until:
            pass

    def start_job(self, op):
        self.send("block_stream disk0\n" if op == "stream" else
                  f"block_commit disk0 {self.base}\n")

    def ready(self):
        self.wait_line("wait disk0 ready\ninfo status",
                       "VM status: running")

    def complete(self):
        self.send("block_job_complete disk0\nwait disk0\ninfo block-jobs\n")

    def over(self, _op):
        """Asks to be told of the end; is_over() then looks."""
        self.send("wait disk0\ninfo block-jobs\n")

    def is_over(self, text):
        return "No active jobs" in text

    def quit(self):
        self.send("quit\n")
        self.end()


class Qemu(tools.Process):
    """qemu-storage-daemon with QMP on a pipe."""

    def __init__(self, chain):
        self.path = chain.path("sock")
        super().__init__([
            "qemu-storage-daemon", "--blockdev",
            json.dumps({"driver": "qcow2", "node-name": "top", "file":
                        {"driver": "file",
                         "filename": chain.path("top")}}),
            "--nbd-server", "addr.type=unix,addr.path=" + self.path,
            "--export", f"nbd,id=e,node-name=top,name={EXPORT},writable=on",
            "--chardev", "stdio,id=c", "--monitor", "chardev=c"])
        self.base = chain.path("base")
        self.line()
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        self.command(command, **arguments)
        while True:
            reply = json.loads(self.line())
            if "error" in reply:
                raise tools.Failed(f"{command}: {reply['error']['desc']}")
            if "return" in reply:
                return

    def command(self, command, **arguments):
        self.send(json.dumps({"execute": command, "arguments": arguments}))

    def start_job(self, op):
        if op == "stream":
            self.execute("block-stream", device="top", **{"job-id": "j"})
        else:
            self.execute("block-commit", device="top", base=self.base,
                         **{"job-id": "j"})

    def ready(self):
        while "BLOCK_JOB_READY" not in self.line():
            pass

    def complete(self):
        self.command("job-complete", id="j")

    def over(self, op):
        """Told by itself."""

    def is_over(self, text):
        return "BLOCK_JOB_COMPLETED" in text

    def quit(self):
        self.execute("quit")
        self.end()


def what_is_there(server):
    """Without waiting. What it said before was read to the end."""
    fd = server.popen.stdout.fileno()
    return os.read(fd, 65536).decode() if select.select(
        [fd], [], [], 0)[0] else ""


# --- fio ---

def fio_start(path, rw, block, depth, seconds):
    """From its return on it is at work."""
    sign = path + ".fio"
    if not os.path.exists(sign):
        os.mkfifo(sign)
    end = os.open(sign, os.O_RDONLY | os.O_NONBLOCK)
    process = subprocess.Popen(
        ["fio", "--name=x", "--ioengine=nbd", f"--rw={rw}", f"--bs={block}",
         f"--uri=nbd+unix:///{EXPORT}?socket={path}", f"--iodepth={depth}",
         "--time_based", f"--runtime={seconds}", "--norandommap",
         "--randseed=4711", "--percentile_list=50:99:99.9",
         "--output-format=json", "--exec_prerun=tee < /dev/null " + sign],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        cwd=os.path.dirname(path))
    select.select([end], [], [], 30)    # whoever opened it has closed it
    os.close(end)
    return process


def fio_result(process):
    """{"rate": MiB/s, "iops":, "p50": us, "p99":, "p99.9":}"""
    out = process.communicate(timeout=tools.LIMIT)[0]
    try:
        job = json.loads(out[out.index("{"):])["jobs"][0]
    except (ValueError, LookupError):
        raise tools.Failed("fio said nothing that can be read") from None
    side = max(job["read"], job["write"], key=lambda s: s["total_ios"])
    times = side["clat_ns"].get("percentile", {})
    if job["error"] or not side["total_ios"]:
        raise tools.Failed(f"fio: error {job['error']}")
    return {"rate": side["bw_bytes"] / (1 << 20), "iops": side["iops"],
            **{f"p{float(p):g}": ns / 1000 for p, ns in times.items()}}


# --- one request after the other ---

class Client:
    """Structured replies are not asked for: its answers are simple ones."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(path)
        self.take(18)
        self.sock.sendall(struct.pack(">IQII", 3, 0x49484156454F5054, 1,
                                      len(EXPORT)) + EXPORT.encode())
        self.take(10)

    def take(self, n):
        data = b""
        while len(data) < n:
            got = self.sock.recv(n - len(data))
            if not got:
                raise tools.Failed("the server hung up")
            data += got
        return data

    def ask(self, kind, off, data=b""):
        self.sock.sendall(struct.pack(">IHHQQI", 0x25609513, 0, kind, off,
                                      off, 4096) + data)
        head = self.take(16)
        if struct.unpack(">I", head[4:8])[0]:
            raise tools.Failed("a request failed")
        if kind == READ:
            self.take(4096)

    def longest_gap(self, server, settle=0.5):
        """Reads and writes in turns while @server completes its job: the
        longest a request took, in seconds, until the job is over."""
        data, longest, over, at = bytes(4096), 0, None, 0
        said = ""
        server.complete()
        while over is None or time.perf_counter() < over:
            began = time.perf_counter()
            self.ask(at & 1, at % 4096 * 4096, data if at & 1 else b"")
            longest = max(longest, time.perf_counter() - began)
            at += 1
            said += what_is_there(server)
            if over is None and server.is_over(said):
                over = time.perf_counter() + settle
        self.sock.close()
        return longest


class Chain:
    """Three layers in a folder: a full base, and a quarter of the disk in
    each of the two above it."""

    NAMES = ("base", "mid", "top")

    def __init__(self, folder, mib, source=None):
        self.folder, self.mib = str(folder), mib
        os.makedirs(self.folder)
        if source:
            for name in self.NAMES:
                tools_run("cp", "--reflink=never", source.path(name),
                          self.path(name))
            self.rebase()
        else:
            self.make()

    def path(self, name):
        return os.path.join(self.folder, name)

    def make(self):
        size, quarter = f"{self.mib}M", self.mib // 4
        below = []
        for i, (name, lines) in enumerate((
                ("base", [f"write -P 1 {i * quarter}M {quarter}M"
                          for i in range(4)]),
                ("mid", [f"write -P 2 {quarter}M {quarter}M"]),
                ("top", [f"write -P 3 {2 * quarter}M {quarter}M"]))):
            tools_run("qemu-img", "create", "-q", "-f", "qcow2", *below,
                      self.path(name), size)
            tools_run("qemu-io", "-f", "qcow2", "-n",
                      *[a for line in lines for a in ("-c", line)],
                      self.path(name))
            below = ["-b", self.path(self.NAMES[i]), "-F", "qcow2"]

    def rebase(self):
        for above, below in (("mid", "base"), ("top", "mid")):
            tools_run("qemu-img", "rebase", "-u", "-f", "qcow2", "-F",
                      "qcow2", "-b", self.path(below), self.path(above))


def tools_run(*argv):
    subprocess.run(peer.argv(argv), check=True, stdout=subprocess.DEVNULL)
