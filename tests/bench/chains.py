# SPDX-License-Identifier: GPL-3.0-or-later
"""The chains that are measured: what they hold, made with QEMU's own tools.

A layer is a list of clusters (64 KiB each) in the order they are written, so
that one maker makes all chains, and how much a job has to move is known
beforehand.
"""

import json
import os
import random
import subprocess
from pathlib import Path

import peer

CLUSTER = 64 << 10
REQUEST = 1024          # clusters in one write at most: 64 MiB
SEED = 20261121


class Chain:
    def __init__(self, name, size, layers, compressed=0):
        self.name = name
        self.size = size                # bytes of the guest's disk
        self.layers = layers            # base first
        self.compressed = compressed    # so many layers, from the base up
        self.names = [f"{i}.qcow2" for i in range(len(layers))]

    def moved(self, op):
        """Bytes of guest data that the job has to move."""
        base, *middle, top = map(set, self.layers)
        middle = set().union(*middle)
        clusters = {
            "stream": (middle | base) - top,
            "stream-base": middle - top,
            "commit": middle,
            "commit-active": middle | top,
            "commit-offline": top,
        }[op]
        return len(clusters) * CLUSTER

    def make(self, folder):
        below = None
        script = []
        for i, name in enumerate(self.names):
            backing = ["-u", "-b", below, "-F", "qcow2"] if below else []
            qemu("qemu-img", "create", "-q", "-f", "qcow2", *backing, name,
                 str(self.size), cwd=folder)
            # Whole clusters are written: nothing below is needed for that.
            script.append('open json:{"driver":"qcow2","backing":null,'
                          f'"file.filename":"{name}"}}')
            script += self.writes(i, folder)
            script.append("close")
            below = name
        qemu("qemu-io", cwd=folder, input="\n".join(script) + "\n")

    def writes(self, i, folder):
        source = ""
        if i < self.compressed:
            source = f"-c -s words{i}"
            (folder / f"words{i}").write_bytes(words(i))
        for n, (first, count) in enumerate(runs(self.layers[i])):
            how = source or f"-P {(37 * i + n) % 255 + 1}"
            yield f"write -q {how} {first * CLUSTER} {count * CLUSTER}"


def runs(clusters):
    """(first, count) of what is written with one request."""
    first, count = clusters[0], 0
    for c in clusters:
        if c != first + count or count == REQUEST:
            yield first, count
            first, count = c, 0
        count += 1
    yield first, count


def words(i):
    """1 MiB that deflates to less than half, as much of a system's disk does.

    Few words: QEMU deflates with a window of 4 KiB.
    """
    rng = random.Random(SEED + i)
    vocabulary = [rng.randbytes(rng.randrange(4, 12)) for _ in range(300)]
    return b" ".join(rng.choices(vocabulary, k=140000))[:1 << 20]


def qemu(*argv, **more):
    """A tool of QEMU for setting up and checking; it has to succeed."""
    done = subprocess.run(peer.argv(argv), capture_output=True, text=True,
                          check=False, **more)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def all_chains(quick):
    """name -> Chain. Quick: the same shapes, small."""
    rng = random.Random(SEED)
    layer = 512 if quick else 8192          # clusters: 512 MiB
    half = layer // 2
    disk = 2 * layer
    contiguous = [list(range(i * half, i * half + layer)) for i in range(3)]
    huge = (64 << 30 if quick else 1 << 40) // CLUSTER
    chains = (
        Chain("contiguous", disk * CLUSTER, contiguous),
        Chain("scattered", disk * CLUSTER,
              [rng.sample(range(disk), layer) for _ in range(3)]),
        Chain("compressed", disk * CLUSTER, contiguous, compressed=2),
        Chain("sparse", huge * CLUSTER,
              [rng.sample(range(huge), 64) for _ in range(3)]),
        Chain("deep", 16384 * CLUSTER,
              [rng.sample(range(16384), 16)
               for _ in range(50 if quick else 300)]),
        Chain("reflink", disk * CLUSTER, contiguous),
    )
    return {c.name: c for c in chains}


class Workplace:
    """A chain as it was made, and the copy of it that a run may change."""

    def __init__(self, chain, folder):
        self.chain = chain
        self.made = folder / "made"
        self.used = folder / "used"
        self.made.mkdir()
        self.used.mkdir()
        self.stamps = {}
        chain.make(self.made)

    def path(self, i):
        """Layer @i of the copy: 0 the base, -1 the active layer."""
        return str(self.used / self.chain.names[i])

    def restore(self):
        """Copies anew what the last run wrote to, and what it removed.

        Then both sides find the same: all of it on the disk, nothing waiting
        to be written, all of it in the page cache too.
        """
        for extra in set(os.listdir(self.used)) - set(self.chain.names):
            (self.used / extra).unlink()
        for name in self.chain.names:
            target = self.used / name
            if target.exists() and self.stamps.get(name) == stamp(target):
                continue
            target.unlink(missing_ok=True)
            subprocess.run(["cp", "--reflink=never", "--sparse=always",
                            self.made / name, target], check=True)
        subprocess.run(["sync", "-f", self.used], check=True)
        for name in self.chain.names:
            read_through(self.used / name)
            self.stamps[name] = stamp(self.used / name)

    def fsync(self):
        for name in os.listdir(self.used):
            fd = os.open(self.used / name, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)

    def verify(self, op):
        """The guest sees what it saw, the images are sound, the chain has
        the length it should have. Raises RuntimeError."""
        result = self.path(0 if op == "commit-active" else
                           -2 if op == "commit-offline" else -1)
        qemu("qemu-img", "compare", "-q", "-f", "qcow2", "-F", "qcow2",
             result, str(self.made / self.chain.names[-1]))
        length = len(json.loads(qemu("qemu-img", "info", "-U", "--output=json",
                                     "--backing-chain", result)))
        wanted = {"stream": 1, "stream-base": 2, "commit": 2,
                  "commit-active": 1}.get(op, len(self.chain.names) - 1)
        if length != wanted:
            raise RuntimeError(f"{length} images in the chain, not {wanted}")
        for name in self.chain.names:
            image = self.used / name
            if stamp(image) != self.stamps[name]:
                qemu("qemu-img", "check", "-q", "-f", "qcow2", str(image))


def stamp(path):
    if not path.exists():
        return None
    s = path.stat()
    return s.st_ino, s.st_size, s.st_mtime_ns


def read_through(path):
    with Path(path).open("rb", buffering=0) as f:
        while f.read(4 << 20):
            pass
