# SPDX-License-Identifier: GPL-3.0-or-later
"""x-blkmon-tree-map against a model: random trees of images, cluster by
cluster what each holds, and what of it no disk sees."""

import json
import os
import random
import subprocess

import pytest

BLKMON = os.environ["BLKMON"]
CLUSTER = 64 << 10
N = 48
SEED = int(os.environ.get("BLKMON_SEED", "0")) or random.randrange(1 << 24)
WORDS = {"data": "write -q -P 5", "zero": "write -q -z",
         "compressed": "write -q -c -P 5"}


class Layer:
    def __init__(self, name, below, rng):
        self.name, self.below, self.above = name, below, []
        self.size = rng.choice((N, N, N, N // 2, N * 2)) if below else N
        self.held = {}
        if below:
            below.above.append(self)
        for _ in range(rng.randrange(6)):
            kind = rng.choice(list(WORDS) + ["data"])
            at = rng.randrange(self.size)
            for i in range(at, min(self.size, at + rng.randrange(1, 9))):
                # What is compressed can't be written over so.
                if kind != "compressed" or i not in self.held:
                    self.held[i] = kind

    def create(self, folder):
        over = ["-b", self.below.name, "-F", "qcow2"] if self.below else []
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *over,
                        self.name, str(self.size * CLUSTER)], cwd=folder,
                       check=True)
        lines = [x for i, kind in self.held.items() for x in
                 ("-c", f"{WORDS[kind]} {i * CLUSTER} {CLUSTER}")]
        if lines:
            subprocess.run(["qemu-io", *lines, self.name], cwd=folder,
                           check=True)

    def sees(self, i):
        """Does some disk read cluster i through this layer?"""
        return not self.above or any(
            i < over.size and i not in over.held and over.sees(i)
            for over in self.above)

    def dead(self, i):
        return self.held.get(i) in ("data", "compressed") and not self.sees(i)


def ask(folder, leaves, **args):
    drives = [x for leaf in leaves for x in
              ("--drive", f"file={leaf.name},id=d{leaf.name},format=qcow2,"
               "force=on")]
    lines = [json.dumps({"execute": "query-named-block-nodes",
                         "arguments": {"flat": True}}),
             json.dumps({"execute": "x-blkmon-tree-map", "arguments": args})]
    done = subprocess.run([BLKMON, *drives], input="\n".join(lines) + "\n",
                          cwd=folder, check=True, capture_output=True,
                          text=True, timeout=60)
    nodes, tree = [json.loads(line)["return"] for line in
                   done.stdout.splitlines()]
    return {n["node-name"]: n["file"] for n in nodes}, tree


def node_of(folder, leaves, name):
    """The name that the image gets, which is the same at every start."""
    done = subprocess.run(
        [BLKMON, *[x for leaf in leaves for x in
                   ("--drive", f"file={leaf.name},id=d{leaf.name},"
                    "format=qcow2,force=on")]],
        input='{"execute": "query-named-block-nodes"}\n', cwd=folder,
        check=True, capture_output=True, text=True, timeout=60)
    return next(n["node-name"] for n in json.loads(done.stdout)["return"]
                if n["file"] == name)


def check_cells(layer, got, places, cells):
    """Each cell has as many bytes of each kind as the model; places are the
    clusters that are shown, in order."""
    want = {kind: [0] * cells for kind in (*WORDS, "dead")}
    for k, i in enumerate(places):
        cell = k * cells // len(places)
        if i < layer.size and i in layer.held:
            want[layer.held[i]][cell] += CLUSTER
            want["dead"][cell] += CLUSTER * layer.dead(i)
    assert {kind: got[kind] for kind in want} == want, layer.name


@pytest.mark.parametrize("number", range(12))
def test_random_trees(tmp_path, number):
    rng = random.Random(SEED + number)
    layers = [Layer("l0", None, rng)]
    for i in range(1, rng.randrange(2, 8)):
        # Mostly chains, now and then a branch.
        below = layers[-1] if rng.random() < .7 else rng.choice(layers)
        layers.append(Layer(f"l{i}", below, rng))
    for layer in layers:
        layer.create(tmp_path)
    leaves = [layer for layer in layers if not layer.above]
    any_node = node_of(tmp_path, leaves, rng.choice(layers).name)
    size = max(layer.size for layer in layers)
    # As many cells as divide the disk, so that none has half a cluster.
    cells = rng.choice([n for n in (1, 2, 3, 4, 6, 8, 12, 24) if
                        size % n == 0])
    names, tree = ask(tmp_path, leaves, **{"node-name": any_node},
                      cells=cells, whole=True)
    assert tree["exact"] and len(tree["images"]) == len(layers), SEED
    assert tree["size"] == tree["shown"] == size * CLUSTER
    by_name = {names[image["node-name"]]: image for image in tree["images"]}
    for layer in layers:
        image = by_name[layer.name]
        assert image["dead-bytes"] == CLUSTER * sum(
            layer.dead(i) for i in range(layer.size)), (layer.name, SEED)
        check_cells(layer, image, range(size), cells)


def test_what_nobody_holds_is_left_out(tmp_path):
    rng = random.Random(SEED)
    base = Layer("l0", None, rng)
    top = Layer("l1", base, rng)
    base.held, top.held = {5: "data"}, {5: "data", 9: "data", 30: "zero"}
    top.size = N
    for layer in (base, top):
        layer.create(tmp_path)
    node = node_of(tmp_path, [top], "l1")
    names, tree = ask(tmp_path, [top], **{"node-name": node}, cells=2)
    assert tree["shown"] == 2 * CLUSTER
    by_name = {names[image["node-name"]]: image for image in tree["images"]}
    check_cells(base, by_name["l0"], [5, 9], 2)
    check_cells(top, by_name["l1"], [5, 9], 2)
    assert by_name["l0"]["dead-bytes"] == CLUSTER
    # Cells only of those that are asked for; what is dead of all.
    _, tree = ask(tmp_path, [top], **{"node-name": node}, cells=2,
                  nodes=[node])
    assert [("data" in image) for image in tree["images"]] == [False, True]
    assert tree["images"][0]["dead-bytes"] == CLUSTER


def test_a_large_disk_is_no_work(tmp_path):
    """16 TiB with a little in it, 40 layers: a look counts runs, no bytes."""
    below = []
    for i in range(40):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *below,
                        f"l{i}", "16T"], cwd=tmp_path, check=True)
        subprocess.run(["qemu-io", "-c", f"write -q {i}G 64k", f"l{i}"],
                       cwd=tmp_path, check=True)
        below = ["-b", f"l{i}", "-F", "qcow2"]
    top = type("Top", (), {"name": "l39"})
    node = node_of(tmp_path, [top], "l39")
    _, tree = ask(tmp_path, [top], **{"node-name": node}, cells=512)
    assert tree["exact"]
    assert 40 * CLUSTER <= tree["shown"] < 1 << 36
