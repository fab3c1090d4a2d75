# SPDX-License-Identifier: GPL-3.0-or-later
"""What images are called: which one a name means, and what headers say."""

import os

import blk
from blk import MIB
from qmpsock import Server


def node(name, path, backing=None):
    return {"driver": "qcow2", "node-name": name, "backing": backing,
            "file": {"driver": "file", "filename": path}}


def test_words_of_a_header_are_no_other_file(d):
    """top's header says a, and b was opened below it: nothing that is said of
    a may be done to b."""
    low, a, b = (os.path.join(d, n + ".qcow2") for n in ("low", "a", "b"))
    top, active = os.path.join(d, "top.qcow2"), os.path.join(d, "act.qcow2")
    blk.create(low, 4 * MIB)
    blk.create(a, None, low)
    blk.create(b, None, low)
    blk.create(top, None, a)
    blk.create(active, None, top)
    blk.qemu_io(top, "write -P 7 0 64k")
    held = blk.content(b)
    with Server(d) as s, s.client() as q:
        q.ask("blockdev-add", **node("bottom", low))
        q.ask("blockdev-add", **node("b", b, "bottom"))
        q.ask("blockdev-add", **node("top", top, "b"))
        q.ask("blockdev-add", **node("active", active, "top"))
        for words in a, "a.qcow2":
            for name, how in (
                    ("block-commit", {"base": words}),
                    ("block-commit", {"top": top, "base": words}),
                    ("block-commit", {"top": words, "base": low}),
                    ("block-stream", {"base": words})):
                got = q.request(name, device="active", job_id="j", **how)
                assert got["error"]["desc"] in (
                    "Can't find '%s' in the backing chain" % words,
                    "Top image file %s not found" % words), (how, got)
        # what is open there is found by its own name
        q.ask("block-commit", device="active", job_id="j", top=top, base=b)
        q.event("BLOCK_JOB_COMPLETED", device="j")
    assert blk.content(b) != held
    blk.qemu_io(b, "read -P 7 0 64k")
