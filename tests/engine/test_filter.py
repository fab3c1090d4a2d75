# SPDX-License-Identifier: GPL-3.0-or-later
"""filter-node-name: while the job runs such a node is listed where QEMU 7.2
lists it, nothing else can have its name, and it ends with the job."""

import contextlib
import subprocess

import pytest

import blk
import qmpsock

LOOKS = ("node-name", "drv", "ro", "backing_file_depth")


def start(d, job, **more):
    """A chain n0 <- n1 <- n2 of disk0 in which `job` is at work, slowly."""
    paths = blk.make_chain(d)
    s = qmpsock.Server(
        d, "--error-classes=7.2", "--drive",
        "id=disk0,file=%s,node-name=n2,format=qcow2,backing.node-name=n1,"
        "backing.backing.node-name=n0" % paths[2])
    c = s.client()
    c.ask(job, device="disk0", job_id="j", speed=65536, **more)
    return s, c


def end(c):
    c.ask("block-job-cancel", device="j", force=True)
    c.event("JOB_STATUS_CHANGE", id="j", status="null")


def looks(node):
    return tuple(node[k] for k in LOOKS)


def listed(c):
    return [looks(n) for n in c.ask("query-named-block-nodes")]


PLAIN = [("n0", "qcow2", True, 0), ("n1", "qcow2", True, 1),
         ("n2", "qcow2", False, 2)]
# what a QEMU 7.2.22 answered: the filter, what query-block shows of disk0
KINDS = {
    "stream": ("block-stream", {}, ("flt", "copy-on-read", False, 3), "flt"),
    "active": ("block-commit", {}, ("flt", "mirror_top", False, 3), "flt"),
    "commit": ("block-commit", {"top_node": "n1"},
               ("flt", "commit_top", True, 2), "n2"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_listed(d, kind):
    job, more, filt, shown = KINDS[kind]
    s, c = start(d, job, filter_node_name="flt", **more)
    with s, c:
        got = listed(c)
        assert got[0] == filt
        assert [n[0] for n in got[1:]] == ["n0", "n1", "n2"]
        disk, = c.ask("query-block")
        inserted = disk["inserted"]
        assert inserted["node-name"] == shown
        if shown == "flt":
            assert looks(inserted) == filt
            assert "backing_file" not in inserted
            image = inserted["image"]
            assert image["format"] == filt[1]
            assert image["backing-image"]["filename"].endswith("l2.img")
        stats = {n["node-name"]
                 for n in c.ask("query-blockstats", query_nodes=True)}
        assert stats == {"flt", "n0", "n1", "n2"}
        assert c.ask("query-blockstats")[0]["node-name"] == shown
        info = c.ask("human-monitor-command", command_line="info block flt")
        assert info.startswith("flt: ") and "(%s%s)" % (
            filt[1], ", read-only" if filt[2] else "") in info
        assert "Backing file" not in info
        images = c.ask("query-block", x_blkmon_filters=False)
        assert images[0]["inserted"]["node-name"] == "n2"
        assert len(c.ask("query-named-block-nodes",
                         x_blkmon_filters=False)) == 3
        end(c)
        assert listed(c) == PLAIN
        assert c.ask("query-block")[0]["inserted"]["node-name"] == "n2"
        s.quit()


@pytest.mark.parametrize("kind", KINDS)
def test_gone_when_it_is_done(d, kind):
    job, more, _, _ = KINDS[kind]
    s, c = start(d, job, filter_node_name="flt", **more)
    with s, c:
        c.ask("block-job-set-speed", device="j", speed=0)
        if kind == "active":
            c.event("BLOCK_JOB_READY")
            assert listed(c)[0][0] == "flt"
            c.ask("block-job-complete", device="j")
        assert "error" not in c.event("BLOCK_JOB_COMPLETED")["data"]
        assert "flt" not in {n[0] for n in listed(c)}
        c.ask("blockdev-add", driver="null-co", node_name="flt", size=65536)
        s.quit()


@pytest.mark.parametrize("kind", KINDS)
def test_its_name_is_taken(d, kind):
    job, more, _, _ = KINDS[kind]
    s, c = start(d, job, filter_node_name="flt", **more)
    with s, c:
        def words(name, **args):
            got = c.request(name, **args)
            return got["error"]["desc"] if "error" in got else got

        dup = "Duplicate nodes with node-name='flt'"
        null = {"driver": "null-co", "node_name": "flt", "size": 65536}
        assert words("blockdev-add", **null) == dup
        path = blk.create(d + "/other.img", blk.MIB)
        file = {"driver": "file", "filename": path, "node-name": "flt"}
        assert words("blockdev-add", driver="qcow2", node_name="other",
                     file=file) == dup
        assert words("blockdev-add", driver="file", node_name="flt",
                     filename=path) == dup
        assert words("blockdev-del", node_name="flt") == (
            "Node flt is in use" if kind != "commit" else
            "Node 'flt' is busy: node is used as backing hd of 'n2'")
        assert "conflicts with an existing node name" in c.ask(
            "human-monitor-command", command_line="drive_add 0 if=none,"
            "id=flt,file=%s,format=qcow2" % path)
        c.ask("blockdev-add", driver="null-co", node_name="other",
              size=65536)
        assert words("blockdev-snapshot-sync", node_name="other",
                     snapshot_file=d + "/sn", snapshot_node_name="flt") != {}
        end(c)
        c.ask("blockdev-add", **null)
        s.quit()


@pytest.mark.parametrize("kind", KINDS)
def test_name_leads_to_the_image(d, kind):
    job, more, _, _ = KINDS[kind]
    s, c = start(d, job, filter_node_name="flt", **more)
    with s, c:
        assert "ops/sec" in c.ask(
            "human-monitor-command", command_line='qemu-io flt "read 0 4k"')
        c.ask("block-set-write-threshold", node_name="flt", write_threshold=5)
        for refused, args in (("block-stream", {"device": "flt",
                                                "job_id": "k"}),
                              ("block_resize", {"node_name": "flt",
                                                "size": 1 << 30})):
            assert "error" in c.request(refused, **args)
        end(c)
        s.quit()


def test_busy_comes_first(d):
    """As in QEMU, where a name can't be taken on a disk that is busy."""
    s, c = start(d, "block-stream", filter_node_name="flt")
    with s, c:
        assert c.refused({"execute": "blockdev-snapshot-sync", "arguments": {
            "device": "disk0", "snapshot-file": d + "/sn",
            "snapshot-node-name": "flt"}})[1] == \
            "Node 'disk0' is busy: block device is in use by block job: stream"
        end(c)
        s.quit()


@contextlib.contextmanager
def qemu(d):
    paths = blk.make_chain(d)
    drive = ("id=disk0,if=none,file=%s,node-name=n2,format=qcow2,"
             "backing.node-name=n1,backing.backing.node-name=n0" % paths[2])
    path = d + "/qemu.sock"
    with subprocess.Popen(
            ["qemu-system-x86_64", "-machine", "none", "-nodefaults",
             "-display", "none", "-drive", drive, "-qmp",
             "unix:%s,server=on,wait=off" % path, "-qmp", "stdio"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE) as proc:
        assert qmpsock.READY in proc.stdout.readline()
        with qmpsock.Qmp(path) as c:
            yield c
            c.ask("quit")


@pytest.mark.parametrize("kind", KINDS)
def test_as_qemu_lists_it(d, kind):
    """The table above, asked again of the QEMU that is here."""
    if blk.shutil.which("qemu-system-x86_64") is None:
        pytest.skip("no qemu-system-x86_64")
    job, more, filt, shown = KINDS[kind]
    with qemu(d) as c:
        c.ask(job, device="disk0", job_id="j", speed=65536,
              filter_node_name="flt", **more)
        assert [n for n in listed(c) if n[0] == "flt"] == [filt]
        inserted = c.ask("query-block")[0]["inserted"]
        assert inserted["node-name"] == shown
        assert ("backing_file" in inserted) == (shown != "flt")
