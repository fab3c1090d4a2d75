# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen by asking and heard in an event is told once, whichever comes
first."""

import subprocess

import pytest

import blk
from scripted import Script

JOB = "blkmon-disk0"
NODE = {"node-name": "n", "drv": "qcow2", "file": "/n", "ro": False,
        "cache": {}, "image": {"filename": "/n", "format": "qcow2",
                               "virtual-size": 1 << 20, "actual-size": 1}}
STAMP = {"seconds": 1, "microseconds": 0}
BLOCK_JOB = {"device": JOB, "type": "commit", "len": 1, "offset": 1,
             "speed": 0}


def event(name, **data):
    return {"event": name, "timestamp": STAMP, "data": data}


class End(Script):
    COMMANDS = [*Script.COMMANDS, "block-commit", "job-dismiss"]

    def __init__(self, d):
        super().__init__(d, {
            "query-block": [{"device": "disk0", "type": "unknown",
                             "inserted": NODE}],
            "query-named-block-nodes": [NODE], "block-commit": {},
            "job-dismiss": {}})

    def job(self, status):
        self.answers["query-jobs"] = [
            {"id": JOB, "type": "commit", "status": status,
             "current-progress": 1, "total-progress": 1}]


@pytest.mark.parametrize("first", ["event", "reply"])
def test_told_once_after_a_lost_line(d, first):
    """A job gets ready, and ends, while nobody listens; both are told in the
    reply of the next look, and in an event beside it."""
    with End(d) as end:
        proc = subprocess.Popen(
            [blk.BLKMON, "--connect", "unix:" + end.path,
             "-c", "{'execute': 'qmp_capabilities'}",
             "-c", "block_commit disk0", "-c", "wait disk0 done 50"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        end.accept()
        got = end.serve("block-commit")
        end.say(event("JOB_STATUS_CHANGE", id=JOB, status="created"))
        end.say(event("JOB_STATUS_CHANGE", id=JOB, status="running"))
        end.say({"return": {}, "id": got["id"]})
        for status, name in (("ready", "BLOCK_JOB_READY"),
                             ("concluded", "BLOCK_JOB_COMPLETED")):
            end.job(status)
            end.sock.close()
            end.accept()
            got = end.serve("query-jobs")
            news = event(name, **BLOCK_JOB)
            reply = {"return": end.answers["query-jobs"], "id": got["id"]}
            for what in (news, reply) if first == "event" else (reply, news):
                end.say(what)
        end.serve("job-dismiss")
        end.say(event("JOB_STATUS_CHANGE", id=JOB, status="null"))
        end.answers["query-jobs"] = []
        end.serve("nothing")
        out = proc.communicate(timeout=blk.PATIENCE)[0]
        assert out.count('"BLOCK_JOB_READY"') == 1, out
        assert out.count('"BLOCK_JOB_COMPLETED"') == 1, out
        assert proc.returncode == 0, out
