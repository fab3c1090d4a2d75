# SPDX-License-Identifier: GPL-3.0-or-later
"""HMP has no place for the name of a job: a second one on a drive gets a free
one, and so does its plan. QMP is QEMU's: it asks for a name."""

import json

import blk


def chain(d, n):
    names = ["l%d" % i for i in range(n)]
    for below, name in zip([None] + names, names):
        blk.create(name, "4M" if below is None else None, below, cwd=d)
        blk.run("qemu-io", "-c", "write 0 1M", name, cwd=d)


def test_jobs_of_one_chain(d):
    chain(d, 6)
    with blk.Session("disk0=l5", cwd=d) as s:
        s.ok("block_commit disk0 l0 l1 1k")
        s.ok("plan block_commit disk0 l3 l4 1k")
        s.ok("block_commit disk0 l3 l4 1k")
        ids = [job["id"] for job in json.loads(
            "".join(s.ok('{"execute": "query-jobs"}')))["return"]]
        assert sorted(ids) == ["disk0", "disk0-2"]
        # The same images: busy, and not a question of names.
        s.fails("block_commit disk0 l3 l4", "busy")
        s.ok("block_job_cancel disk0-2")
        s.wait("disk0-2")
        s.fails('{"execute": "block-stream", "arguments": {"device": '
                '"disk0", "base": "l4"}}', "Job ID 'disk0' already in use")
        s.ok("block_stream disk0 0 l4")
        s.ok("block_job_cancel disk0")
        s.wait("disk0")


def test_names_that_are_taken(d):
    chain(d, 9)
    with blk.Session("disk0=l8", cwd=d) as s:
        s.ok("block_commit disk0 l0 l1 1k")
        s.ok('{"execute": "block-commit", "arguments": {"device": "disk0", '
             '"job-id": "disk0-2", "base": "l3", "top": "l4", "speed": 1}}')
        s.ok("block_commit disk0 l6 l7 1k")
        for name in "disk0-3", "disk0-2", "disk0":
            s.ok("block_job_cancel " + name)
            s.wait(name)
