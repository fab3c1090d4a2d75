# SPDX-License-Identifier: GPL-3.0-or-later
"""A Linux in a virtual machine, on a disk whose chain changes all the time.

`make check-guest`. The guest makes a file system, writes and verifies files
and trims; it must not see an error, nor a file that is not as it was written.
"""

import os
import random
import re
import select
import time

import pytest

import blk
import churn
import linux
from blk import MIB
from qmpsock import Server

pytestmark = pytest.mark.guest

OPERATIONS = int(os.environ.get("BLKMON_OPERATIONS", "100"))


def wait_said(machine, pattern):
    deadline = time.monotonic() + 10 * blk.PATIENCE     # without KVM
    while not re.search(pattern, machine.said()):
        machine.check()
        assert time.monotonic() < deadline, machine.said()[-8000:]
        select.select([], [], [], 0.05)


@pytest.mark.parametrize("bus", ["virtio", "nvme"])
def test_guest(d, seed, bus):
    disk = churn.Disk(d, "disk0", 96 * MIB, os.path.join(d, "nbd.sock"))
    with Server(d, "--nbd", "unix:" + disk.address,
                *disk.options()) as server, server.client() as qmp:
        try:
            machine = linux.Machine(d, disk.uri, bus)
        except linux.Missing as missing:
            server.quit()
            pytest.skip(str(missing))
        with machine:
            wait_said(machine, r"\nBEGIN")
            disk.guests.append(machine)
            churn.Driver(qmp, [disk], random.Random(seed)).run(OPERATIONS)
            wait_said(machine, r"\nROUND [5-9]")
            machine.end()
        disk.keep_shadow()
        server.quit()
    disk.judge()
