# SPDX-License-Identifier: GPL-3.0-or-later
"""A blkmon on the chains of a random run: how they are opened, and what is
typed to have something done.

A chain has a drive, or it is made of nodes.  A drive's is opened as its
headers say (drive), or it gets some layers afterwards: by snapshots into
files that are there (grown), or by a blockdev-reopen (reopen).  So links come
about that no header knows.  Others do while it runs: when an image is put on
top, or another one below the active one.
"""

import contextlib
import json
import os

import blk
import names
import nbdsock

CHUNK = 1 << 20


class Order:
    """Something to be done to the chain of dev."""

    def __init__(self, verb, dev, **more):
        self.verb, self.dev = verb, dev
        self.base = self.top = self.new = self.name = self.words = None
        self.all = False
        self.__dict__.update(more)

    def __str__(self):
        return "%s %s %s" % (self.verb, self.dev, [
            x for x in (self.base, self.top, self.new, self.name,
                        self.words) if x])


class Talk(blk.Session):
    """at      device -> what it is called: the drive, or the active node
    nodes   layer -> the name of its node, of those that were named
    parts   layer -> the name of its file's, the same; of these, loose are
            nodes of their own, which come back when the image lets them go
    added   those that stay until they are removed
    """

    def __init__(self, world, rng, cwd, axes):
        self.world, self.rng, self.cwd, self.axes = world, rng, cwd, axes
        self.at = {dev: dev for dev in world.chains}
        self.nodes, self.added = {}, set()
        self.parts, self.loose = {}, set()
        self.count, self.exported = 0, 0
        args, lines = [], []
        how = self.how_to_open()
        for dev, chain in sorted(world.chains.items()):
            axes.meet("opened: " + how)
            getattr(self, "open_" + how)(dev, chain, args, lines)
        super().__init__(*args, cwd=cwd)
        for line in lines:
            self.ok(line)

    def how_to_open(self):
        rng, chains = self.rng, list(self.world.chains.values())
        chain = chains[0]
        if all(x[-1].straight() for x in chains) and not (
                self.axes.graph and rng.random() < 0.5):
            return "drive"
        if len(chains) > 1:
            return "nodes"
        ways = ["nodes"]
        if chain[0].straight():
            ways += ["grown"] * 2
        known = self.world.live() + self.world.cold + self.world.stale
        if len(chain) > 1 and not chain[-1].extern and \
                chain[-1].said not in [x.path for x in known]:
            ways += ["reopen"] * 2
        return rng.choice(ways)

    # -- names

    def spelled(self, path):
        """One of the ways to name a file; cwd is the folder of the run."""
        name = os.path.relpath(path, self.cwd)
        if self.rng.random() < (0.15 if self.axes.colons else 0.5):
            return path
        if name.startswith(("json:", "file:", "nbd:")) or \
                self.rng.random() < (0.1 if self.axes.colons else 0.5):
            return names.for_qemu(name)
        return name

    def spelled_new(self, path):
        """The same of a file that is to be put on top: QEMU asks there what
        protocol it is."""
        name = self.spelled(path)
        return name if os.path.isabs(name) else names.for_qemu(name)

    def word(self, text):
        """As the prompt takes it."""
        if names.needs_quotes(text) or self.rng.random() < 0.3:
            return names.quoted(text)
        return text

    def file_word(self, layer):
        return self.word(self.spelled(layer.path))

    def spell(self, word):
        """Hyphens and underscores are the same."""
        return self.rng.choice([word, word.replace("_", "-")])

    def qmp(self, command, /, **args):
        args = {k.replace("_", "-"): v for k, v in args.items()
                if v is not None}
        return json.dumps({"execute": command, "arguments": args},
                          ensure_ascii=self.rng.random() < 0.5)

    # -- opening

    def data_options(self, chain):
        """Of those of the layers that ask for one, active layer first."""
        by_depth = self.rng.random() < 0.5
        return ",".join(
            "%sdata-file=%s" % ("backing." * depth if by_depth else "",
                                blk.doubled(self.spelled(layer.extern)))
            for depth, layer in enumerate(reversed(chain)) if layer.extern)

    def drive(self, dev, chain, *more, name=None):
        top = chain[-1]
        name = name or self.spelled(top.path)
        opts = ["force=on", "file=" + blk.doubled(name), "id=" + dev, *more]
        if self.rng.random() < 0.5:
            opts.append("format=" + top.fmt)
        data = self.data_options(chain)
        self.rng.shuffle(opts)
        return ["--drive", ",".join(opts + [data] * bool(data))]

    def open_drive(self, dev, chain, args, _):
        first = len(self.world.chains) == 1 and not self.world.cold \
            and not self.world.stale and not any(x.extern for x in chain)
        if first and self.rng.random() < 0.2:
            args.append("%s=%s" % (dev, self.spelled(chain[-1].path)))
        else:
            args += self.drive(dev, chain)

    def new_node(self, layer):
        self.count += 1
        self.nodes[layer] = "n%d" % self.count
        return self.nodes[layer]

    def node_options(self, layer, node, backing, name=None):
        def file(name):
            return {"driver": "file", "filename": name}

        opts = {"driver": layer.fmt, "node-name": node,
                "file": file(name or self.spelled(layer.path))}
        if layer in self.loose:
            opts["file"] = self.parts[layer]
        elif layer in self.parts:
            opts["file"]["node-name"] = self.parts[layer]
        if layer.extern:
            opts["data-file"] = file(self.spelled(layer.extern))
        if layer.fmt == "qcow2":
            opts["backing"] = backing
        return opts

    def add(self, layer, backing=None):
        """The lines that make a node of it."""
        lines = self.add_part(layer)
        opts = self.node_options(layer, self.new_node(layer), backing)
        self.added.add(layer)
        opts["x-blkmon-force"] = True
        return [*lines, json.dumps({"execute": "blockdev-add",
                                    "arguments": opts})]

    def add_part(self, layer):
        """Now and then its file has a name, and may be a node before."""
        if not self.axes.parts or self.rng.random() < 0.3:
            return []
        self.count += 1
        self.parts[layer] = "f%d" % self.count
        self.axes.meet("file with a name")
        if self.rng.random() < 0.3:
            return []
        self.axes.meet("node of a file")
        self.loose.add(layer)
        return [self.qmp("blockdev-add", driver="file",
                         node_name=self.parts[layer],
                         filename=self.spelled(layer.path))]

    def add_all(self, chain):
        lines, below = [], None
        for layer in chain:
            if layer not in self.nodes:
                lines += self.add(layer, below)
            below = self.nodes[layer]
        return lines

    def open_nodes(self, dev, chain, _, lines):
        lines += self.add_all(chain)
        self.at[dev] = self.nodes[chain[-1]]

    def open_reopen(self, dev, chain, args, lines):
        """A drive that is given another backing file."""
        name = self.spelled(chain[-1].path)
        args += self.drive(dev, chain[-1:], "node-name=top", name=name)
        lines += self.add_all(chain[:-1])
        opts = self.node_options(chain[-1], "top", self.nodes[chain[-2]], name)
        lines.append(json.dumps({"execute": "blockdev-reopen",
                                 "arguments": {"options": [opts]}}))

    def open_grown(self, dev, chain, args, lines):
        """A drive on some of it, and snapshots into the rest."""
        last = max(i for i, x in enumerate(chain) if x.straight())
        first = self.rng.randrange(last + 1)
        args += self.drive(dev, chain[:first + 1])
        for layer in chain[first + 1:]:
            lines += self.put_on(dev, layer)

    def put_on(self, dev, layer):
        """Lines that make a snapshot into an image that is there."""
        if dev == self.at[dev] and not layer.extern and \
                self.rng.random() < 0.5:
            return ["snapshot_blkdev -n -f %s %s qcow2" % (
                dev, self.word(self.spelled_new(layer.path)))]
        lines = self.add(layer)
        node, self.at[dev] = self.at[dev], self.nodes[layer] \
            if self.at[dev] != dev else dev
        return [*lines, self.qmp("blockdev-snapshot", node=node,
                               overlay=self.nodes[layer])]

    # -- what is typed

    def io(self, command, dev="disk0", timeout=None):
        return super().io(command, self.at.get(dev, dev), timeout)

    def depth(self, dev="disk0"):
        return super().depth(self.at.get(dev, dev))

    def line(self, order, force=False):
        """What to type for it."""
        has_drive = self.at[order.dev] == order.dev
        way = "qmp_" + order.verb
        if not hasattr(self, way) or hasattr(self, "hmp_" + order.verb) and \
                has_drive and not order.words and self.rng.random() < 0.75:
            way = "hmp_" + order.verb
        return getattr(self, way)(order, force)

    def hmp_stream(self, o, force):
        words = [self.spell("block_stream")]
        if o.base is None and self.rng.random() < 0.3:
            words.append("-a")
        words += ["-f"] * force + [o.dev]
        if o.base:
            words += ["0", self.file_word(o.base)]
        return " ".join(words)

    def hmp_inner(self, o, force):
        verb = self.rng.choice(["block_commit", "block-commit",
                                "__com.redhat_block-commit"])
        return " ".join([verb, *["-f"] * force, o.dev,
                         self.file_word(o.base), self.file_word(o.top)])

    def hmp_active(self, o, force):
        words = [self.spell("block_commit"), *["-f"] * force, o.dev]
        if not o.all:
            words.append(self.file_word(o.base))
            if o.top:
                words.append(self.word(o.top.path))
        return " ".join(words)

    def hmp_commit_one(self, o, force):
        return " ".join(["commit", *["-f"] * force, o.dev])

    def hmp_speed(self, o, _):
        return "%s %s %s" % (self.spell("block_job_set_speed"), o.dev, o.name)

    def hmp_cancel(self, o, force):
        return " ".join([self.spell("block_job_cancel"), *["-f"] * force,
                         o.dev])

    def hmp_complete(self, o, _):
        return "%s %s" % (self.spell("block_job_complete"), o.dev)

    def hmp_pause(self, o, _):
        return "block_job_pause " + o.dev

    def hmp_resume(self, o, _):
        return "block_job_resume " + o.dev

    def hmp_keep(self, o, _):
        return "snapshot_blkdev_internal %s %s" % (o.dev, self.word(o.name))

    def hmp_drop(self, o, _):
        return "snapshot_delete_blkdev_internal %s %s" % (o.dev,
                                                          self.word(o.name))

    def hmp_snapshot(self, o, _):
        # By which name the new header calls the old file is blkmon's choice.
        return "snapshot_blkdev %s %s%s" % (
            o.dev, self.word(self.spelled_new(o.new)),
            self.rng.choice(["", " qcow2"]))

    def which(self, key, layer):
        """By its file, or by its node."""
        if layer in self.nodes and self.rng.random() < 0.5:
            return {key + "_node": self.nodes[layer]}
        return {key: self.spelled(layer.path)}

    def job(self, command, o, force, **more):
        return self.qmp(command, device=self.at[o.dev], job_id=o.dev,
                        backing_file=o.words,
                        x_blkmon_force=force or None, **more)

    def qmp_stream(self, o, force):
        return self.job("block-stream", o, force,
                        **(self.which("base", o.base) if o.base else {}))

    def qmp_inner(self, o, force):
        return self.job("block-commit", o, force, **self.which("base", o.base),
                        **self.which("top", o.top))

    def qmp_active(self, o, force):
        return self.job("block-commit", o, force, **(
            {} if o.all else self.which("base", o.base)), **(
            self.which("top", o.top) if o.top else {}))

    def qmp_keep(self, o, _):
        return self.qmp("blockdev-snapshot-internal-sync",
                        device=self.at[o.dev], name=o.name)

    def qmp_drop(self, o, _):
        return self.qmp("blockdev-snapshot-delete-internal-sync",
                        device=self.at[o.dev], name=o.name)

    def qmp_snapshot(self, o, _):
        path = self.spelled_new(o.new)
        if self.at[o.dev] == o.dev:
            return self.qmp("blockdev-snapshot-sync", device=o.dev,
                            snapshot_file=path)
        self.count += 1
        node, self.at[o.dev] = self.at[o.dev], "n%d" % self.count
        return self.qmp("blockdev-snapshot-sync", node_name=node,
                        snapshot_file=path, snapshot_node_name=self.at[o.dev])

    # -- links

    def node_of(self, layer):
        """Its node: the name, and how that calls the file."""
        said = self.ok(self.qmp("query-named-block-nodes", flat=True))
        nodes = [node for line in said if line.startswith('{"return"')
                 for node in json.loads(line)["return"]
                 if node["drv"] != "file" and os.path.realpath(os.path.join(
                     self.cwd, node["file"])) == layer.path]
        assert len(nodes) == 1, "%s is open as %s" % (layer, nodes)
        return nodes[0]["node-name"], nodes[0]["file"]

    def qmp_reopen(self, o, _):
        """base below top: without its data file, for that stays."""
        node, name = self.node_of(o.top)
        opts = self.node_options(o.top, node, o.base and
                                 self.node_of(o.base)[0], name)
        opts.pop("data-file", None)
        return self.qmp("blockdev-reopen", options=[opts])

    def qmp_rename(self, o, force):
        return self.qmp("change-backing-file", device=self.at[o.dev],
                        image_node_name=self.node_of(o.top)[0],
                        backing_file=o.words, x_blkmon_force=force or None)

    # -- afterwards

    def follow(self):
        """The model went on: who is active now, and nodes that nobody needs
        go, overlays first."""
        live = self.world.live()
        for dev, name in self.at.items():
            top = self.world.active(dev)
            if name != dev and top not in self.nodes:
                self.nodes[top] = name      # a snapshot just made
            elif name != dev:
                self.at[dev] = self.nodes[top]
        gone = [x for x in self.nodes if x not in live]
        for layer in sorted(gone, key=lambda x: -len(x.line())):
            node = self.nodes.pop(layer)
            if layer in self.added:
                self.ok(self.qmp("blockdev-del", node_name=node))
                self.part_is_free(layer)

    def part_is_free(self, layer):
        """Its name is that of a node, or is nobody's."""
        part = self.parts.pop(layer, None)
        if layer in self.loose:
            self.loose.remove(layer)
            self.ok(self.qmp("blockdev-del", node_name=part))
        elif part:
            self.fails(self.qmp("blockdev-del", node_name=part), part)

    @contextlib.contextmanager
    def export(self, dev):
        """A client of dev, over NBD."""
        path = os.path.join(self.cwd, "nbd")
        if not self.exported:
            self.ok("nbd_server_start unix:" + path)
        self.exported += 1
        name = "e%d" % self.exported
        if self.at[dev] == dev:
            self.ok("nbd_server_add %s %s" % (dev, name))
        else:
            self.ok(self.qmp("block-export-add", type="nbd", id=name,
                             node_name=self.at[dev], name=name))
        with nbdsock.Nbd(path, name) as nbd:
            yield nbd
        self.ok("nbd_server_remove -f " + name)

    def read(self, dev):
        """All that it sees."""
        data = bytearray()
        size = self.world.active(dev).size
        with self.export(dev) as nbd:
            while len(data) < size:
                data += nbd.ask(nbdsock.READ, len(data),
                                min(CHUNK, size - len(data)))
        return bytes(data)
