# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a header leads to something else than what is open below its image: a
job that writes that header, or that changes what it leads to, changes what is
read by headers alone, which are snapshots inside of images and images that
nobody has open.  It is refused with their names, and force goes on."""

import os

import pytest

import blk
import header
from blk import MIB, content
from qmpsock import Server

# The image that has a snapshot inside or is read by one that is not open, and
# the request that is refused.
JOBS = {
    "commit": ("block-commit", {"device": "top", "top-node": "mid",
                                "base-node": "base"}),
    "words": ("block-commit", {"device": "top", "top-node": "mid",
                               "base-node": "base", "backing-file": "mid"}),
    "active": ("block-commit", {"device": "top", "base-node": "base"}),
    "stream": ("block-stream", {"device": "top"}),
    "stream to base": ("block-stream", {"device": "top",
                                        "base-node": "base"}),
    "stream of words": ("block-stream", {"device": "top", "base-node": "mid",
                                         "backing-file": "base"}),
    "change": ("change-backing-file", {"device": "top",
                                       "image-node-name": "top",
                                       "backing-file": "mid"}),
}


class Images:
    """base <- mid <- top, and other beside them, each with a MiB of its own;
    the headers of these as `said` has it, or as it should be."""

    def __init__(self, d, **said):
        self.d = d
        self.said = {"base": None, "other": None, "mid": "base", "top": "mid",
                     **said}
        for i, name in enumerate(("base", "other", "mid", "top")):
            blk.create(self.at(name), 4 * MIB)
            blk.qemu_io(self.at(name), "write -P %d %dM 1M" % (i + 1, i))

    def at(self, name):
        return os.path.join(self.d, name)

    def link(self):
        for name, below in self.said.items():
            if below:
                blk.qemu_img("rebase", "-u", "-b", below, "-F", "qcow2",
                             self.at(name))

    def snapshot(self, name):
        blk.qemu_img("snapshot", "-c", "kept", self.at(name))
        blk.qemu_io(self.at(name), "write -P 99 3M 64k")

    def overlay(self, name, below):
        return blk.create(self.at(name), 4 * MIB, below, cwd=self.d)

    def open(self, q, *names):
        for name, below in zip(names, (None,) + names):
            q.ask("blockdev-add", driver="qcow2", node_name=name,
                  backing=below, x_blkmon_force=True,
                  file={"driver": "file", "filename": self.at(name)})


def wanted(q, job):
    """The request as it is; what it says, or None when it was carried out."""
    name, args = JOBS[job]
    if "block-" in name:
        args = dict(args, **{"job-id": "j", "auto-dismiss": False})
    return q.request(name, **args).get("error", {}).get("desc")


def forced(q, job):
    name, args = JOBS[job]
    if "block-" not in name:
        q.ask(name, **args, **{"x-blkmon-force": True})
        return
    q.ask(name, **args, **{"x-blkmon-force": True, "job-id": "j"})
    if job == "active":
        q.event("BLOCK_JOB_READY")
        q.ask("block-job-complete", device="j")
    q.event("BLOCK_JOB_COMPLETED", device="j")


def refused(images, job, names, *words):
    before = {n: content(images.at(n)) for n in os.listdir(images.d)
              if os.path.isfile(images.at(n)) and n not in ("stderr",)}
    with Server(images.d) as s, s.client() as q:
        images.open(q, *names)
        said = wanted(q, job)
        assert said, "not refused"
        for word in words:
            assert word in said, said
        assert {n: content(images.at(n)) for n in before} == before
        forced(q, job)
        s.quit()


def carried_out(images, job, names):
    with Server(images.d) as s, s.client() as q:
        images.open(q, *names)
        said = wanted(q, job)
        assert said is None, said
        if "block-" in JOBS[job][0]:
            if job == "active":
                q.event("BLOCK_JOB_READY")
                q.ask("block-job-complete", device="j")
            q.event("BLOCK_JOB_COMPLETED", device="j")
        s.quit()


CHAIN = "base", "mid", "top"
WRITES_TOP = ["commit", "words", "stream", "stream to base",
              "stream of words", "change"]


@pytest.mark.parametrize("job", WRITES_TOP)
@pytest.mark.parametrize("said", ["other", None])
def test_snapshot_of_the_image_whose_header_is_written(d, job, said):
    if said is None and job in ("change", "stream"):
        pytest.skip("needs a link in the header, or leaves none there")
    images = Images(d, top=said)
    images.snapshot("top")
    images.link()
    kept = blk.guest(images.at("top"), snapshot="kept")
    refused(images, job, CHAIN, "'kept'", "'%s'" % images.at("top"), "force")
    assert blk.guest(images.at("top"), snapshot="kept") != kept


@pytest.mark.parametrize("job", WRITES_TOP)
def test_image_that_is_not_open(d, job):
    images = Images(d, top="other")
    images.link()
    images.overlay("sibling", "top")
    refused(images, job, CHAIN, "'%s'" % images.at("sibling"), "force")


@pytest.mark.parametrize("job", WRITES_TOP)
def test_image_that_is_not_open_over_one_that_is_not(d, job):
    images = Images(d, top="other")
    images.link()
    images.overlay("between", "top")
    images.overlay("sibling", "between")
    refused(images, job, CHAIN, "'%s'" % images.at("between"), "of 1 more",
            "force")


@pytest.mark.parametrize("job", ["commit", "words"])
def test_snapshot_of_an_image_above(d, job):
    """The active layer is read through the header that is written."""
    images = Images(d, top="other", active="top")
    images.overlay("active", "top")
    images.snapshot("active")
    images.link()
    kept = blk.guest(images.at("active"), snapshot="kept")
    before = content(images.at("top"))
    with Server(d) as s, s.client() as q:
        images.open(q, *CHAIN, "active")
        got = q.request("block-commit", job_id="j", **dict(
            JOBS[job][1], device="active"))
        assert "'kept' of '%s'" % images.at("active") in \
            got["error"]["desc"], got
        s.quit()
    assert content(images.at("top")) == before
    assert blk.guest(images.at("active"), snapshot="kept") == kept


@pytest.mark.parametrize("job", ["commit", "active", "stream to base"])
def test_layer_that_is_read_past_another(d, job):
    """top says base, and mid is between them: who reads top as it says sees
    what a commit does to base."""
    images = Images(d, top="base")
    images.link()
    images.overlay("sibling", "top")
    refused(images, job, CHAIN, "'%s'" % images.at("sibling"), "force")


@pytest.mark.parametrize("inside", [False, True])
def test_top_of_a_commit_that_is_read_past_another(d, inside):
    images = Images(d, mid="other")
    images.link()
    sibling = images.overlay("sibling", "mid")
    if inside:
        os.unlink(sibling)
        images.snapshot("mid")
    refused(images, "commit", CHAIN, "'kept'" if inside else
            "'%s'" % sibling, "force")


def test_layer_that_is_emptied(d):
    """What it held is in the image below, which its header does not know."""
    images = Images(d, top="other")
    images.link()
    sibling = images.overlay("sibling", "top")
    shown = blk.guest(sibling)
    with blk.Session("--drive", "id=d,format=qcow2,force=on,file=" +
                     images.at("mid")) as s:
        s.ok("snapshot_blkdev -n -f d %s" % images.at("top"))
        said = s.fails("commit d", "'%s'" % sibling, "force")
        assert "way out" not in said
        assert blk.guest(sibling, share=True) == shown
        s.ok("commit -f d")
        assert s.quit() == 1
    assert blk.guest(sibling) != shown


def test_other_overlays_of_what_is_committed(d):
    """Each gets a new header, and each is looked after."""
    images = Images(d, fork="other")
    images.overlay("fork", "mid")
    images.link()
    sibling = images.overlay("sibling", "fork")
    with Server(d) as s, s.client() as q:
        images.open(q, *CHAIN)
        q.ask("blockdev-add", driver="qcow2", node_name="fork",
              backing="mid", x_blkmon_force=True,
              file={"driver": "file", "filename": images.at("fork")})
        said = wanted(q, "commit")
        assert said and "'%s'" % sibling in said, said
        os.unlink(sibling)
        blk.qemu_img("snapshot", "-U", "-l", images.at("fork"))
        assert wanted(q, "commit") is None
        q.event("BLOCK_JOB_COMPLETED", device="j")
        s.quit()


def test_format_that_the_header_does_not_mean(d):
    """The same file read as something else."""
    images = Images(d)
    images.snapshot("top")
    images.link()
    blk.qemu_img("rebase", "-u", "-b", "mid", "-F", "raw", images.at("top"))
    refused(images, "change", CHAIN, "'kept'", "force")


@pytest.mark.parametrize("job", ["commit", "change"])
def test_headers_that_say_what_is_open(d, job):
    """Then nobody sees a change, and nobody is asked."""
    images = Images(d)
    images.snapshot("top")
    images.link()
    sibling = images.overlay("sibling", "top")
    kept = blk.guest(images.at("top"), snapshot="kept")
    shown = blk.guest(sibling)
    carried_out(images, job, CHAIN)
    assert blk.guest(images.at("top"), snapshot="kept") == kept
    assert blk.guest(sibling) == shown


@pytest.mark.parametrize("job", ["stream", "stream to base", "active"])
def test_sibling_where_headers_say_what_is_open(d, job):
    images = Images(d)
    images.link()
    sibling = images.overlay("sibling", "top")
    shown = blk.guest(sibling)
    carried_out(images, job, CHAIN)
    assert blk.guest(sibling) == shown


@pytest.mark.parametrize("job", ["commit", "active", "stream"])
def test_forced_plan_says_who(d, job):
    """And those who were hit are told of afterwards."""
    images = Images(d, top="base" if job == "active" else "other")
    images.snapshot("top")
    images.link()
    sibling = images.overlay("sibling", "top")
    name, args = JOBS[job]
    args = dict(args, **{"x-blkmon-force": True, "job-id": "j"})
    with Server(images.d) as s, s.client() as q:
        images.open(q, *CHAIN)
        hits = q.ask("x-blkmon-plan", request={
            "execute": name, "arguments": args})["hits"]
        assert hits["siblings"] == [sibling]
        assert [n["filename"] for n in hits["snapshots"]] == [images.at("top")]
        forced(q, job)
        told = q.ask("x-blkmon-query-folder")["images"]
        assert [i["path"] for i in told if i["spoilt"]] == [sibling]
        s.quit()


def json_names(path):
    """What QEMU and people write who mean that file as qcow2."""
    return {
        "nested": '{"driver":"qcow2","file":{"driver":"file",'
                  '"filename":"%s"}}' % path,
        "flat": '{"driver": "qcow2", "file.driver": "file", '
                '"file.filename": "%s"}' % path,
        "no format": '{"file":{"filename":"%s","driver":"file"}}' % path,
        "escapes": '{"driver":"q\\u0063ow2","file":{"driver":"file",'
                   '"filename":"%s"}}' % path.replace("/", "\\/"),
    }


# In the names of an image of which something else is read, or that QEMU does
# not open.
ODD = {
    "part": ('"file":{', '"offset":0,"file":{'),
    "part of the file": ('"filename"', '"x-blockio":"a","filename"'),
    "another driver": ('"driver":"qcow2"', '"driver":"raw"'),
    "another protocol": ('"driver":"file"', '"driver":"blkdebug"'),
    "twice": ('"driver":"qcow2"', '"driver":"qcow2","driver":"qcow2"'),
    "cut off": ("}}", "}"),
    "another file": ("mid", "other"),
}


def say_json(path, text, fmt=None):
    top = header.Header(path)
    top.name = b"json:" + text.encode()
    top.extensions = [(kind, data) for kind, data in top.extensions
                      if fmt or kind != header.BACKING_FORMAT]
    top.write()


@pytest.mark.parametrize("form", ["nested", "flat", "no format", "escapes"])
@pytest.mark.parametrize("job", ["commit", "change"])
def test_json_that_says_what_is_open(d, job, form):
    """Who goes by the header alone sees the same before and after."""
    images = Images(d)
    images.link()
    images.snapshot("top")
    say_json(images.at("top"), json_names(images.at("mid"))[form],
             "qcow2" if form == "no format" else None)
    kept = blk.guest(images.at("top"), snapshot="kept")
    carried_out(images, job, CHAIN)
    assert blk.guest(images.at("top"), snapshot="kept") == kept


@pytest.mark.parametrize("odd", ODD)
def test_json_that_says_something_else(d, odd):
    images = Images(d)
    images.link()
    images.snapshot("top")
    say_json(images.at("top"), json_names(images.at("mid"))["nested"].replace(
        *ODD[odd]))
    refused(images, "change", CHAIN, "'kept'", "force")
