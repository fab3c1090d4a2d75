# SPDX-License-Identifier: GPL-3.0-or-later
"""A Linux for a virtual machine: somebody's kernel, and an initramfs made
here of busybox, e2fsprogs, the modules that are needed, and an init."""

import glob
import lzma
import os
import re
import shutil
import subprocess

import blk

# Where there may be boot/vmlinuz-* and lib/modules; the first that has them.
ROOTS = [os.environ.get("BLKMON_GUEST_KERNEL", ""),
         os.path.join(blk.REPO, "build", "guest"), "/"]
# What is built into the kernel has no file and needs none.
MODULES = ["crc32c_generic", "virtio_pci", "virtio_blk", "nvme", "ext4"]
PROGRAMS = ["mkfs.ext4", "e2fsck"]


class Missing(Exception):
    """Something that a guest needs is not on this machine."""


def program(name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not path:
        raise Missing("no " + name)
    return path


def kernel():
    """(vmlinuz, folder of its modules)"""
    for root in filter(None, ROOTS):
        for image in sorted(glob.glob(root + "/boot/vmlinuz-*")):
            modules = "%s/lib/modules/%s" % (
                root, os.path.basename(image).partition("-")[2])
            if os.access(image, os.R_OK) and os.path.isdir(modules):
                return image, modules
    raise Missing("no kernel with modules (scripts/guest_kernel.sh)")


def plain(path):
    with (lzma.open if path.endswith(".xz") else open)(path, "rb") as stream:
        return stream.read()


def modules_of(folder):
    """(name, content) of what MODULES name and need, in order of loading."""
    files = {}
    for path in glob.glob(folder + "/kernel/**/*.ko*", recursive=True):
        name = os.path.basename(path).split(".ko")[0].replace("-", "_")
        files[name] = path
    order = {}

    def add(name):
        if name not in files or name in order:
            return
        content = plain(files[name])
        needs = re.search(rb"\0depends=([^\0]*)\0", content)
        for other in needs[1].decode().split(",") if needs else []:
            add(other.replace("-", "_"))
        order[name] = content

    for name in MODULES:
        add(name)
    return list(order.items())


def libraries(path):
    out = blk.run("ldd", path)
    return re.findall(r"(/\S+) \(0x", out.out)


class Archive:
    """cpio in the format "newc", as the kernel's documentation has it."""

    def __init__(self):
        self.data, self.inode, self.folders = bytearray(), 0, set()

    def add(self, name, mode, content=b""):
        self.inode += 1
        fields = [self.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0,
                  len(name) + 1, 0]
        self.data += b"070701" + b"".join(b"%08x" % f for f in fields)
        self.data += name.encode() + b"\0"
        self.pad()
        self.data += content
        self.pad()

    def pad(self):
        self.data += bytes(-len(self.data) % 4)

    def folder(self, name):
        if name and name not in self.folders:
            self.folder(os.path.dirname(name))
            self.folders.add(name)
            self.add(name, 0o40755)

    def file(self, name, content):
        self.folder(os.path.dirname(name))
        self.add(name, 0o100755, content)

    def close(self):
        self.add("TRAILER!!!", 0)
        return bytes(self.data)


def initramfs(modules_folder):
    out = Archive()
    for name in ("proc", "sys", "dev", "mnt", "tmp", "sbin"):
        out.folder(name)
    busybox = program("busybox")
    if libraries(busybox):
        raise Missing("busybox is not static")
    out.file("bin/busybox", plain(busybox))
    out.add("bin/sh", 0o120777, b"busybox")
    done = set()
    for path in map(program, PROGRAMS):
        out.file("sbin/" + os.path.basename(path), plain(path))
        for lib in set(libraries(path)) - done:
            done.add(lib)
            out.file(lib.lstrip("/"), plain(lib))
    modules = modules_of(modules_folder)
    for name, content in modules:
        out.file("modules/%s.ko" % name, content)
    out.file("modules/order", "".join(
        "%s.ko\n" % name for name, _ in modules).encode())
    out.file("init", plain(os.path.join(blk.HERE, "guest_init.sh")))
    return out.close()


def accelerator():
    """KVM needs more than its device: inside of some clouds' machines there is
    one, without a processor that could virtualise, and guests hang."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
        able = re.search(r"^flags\s*:.* (vmx|svm)\b", info.read(), re.M)
    return "kvm" if able and os.access("/dev/kvm", os.R_OK | os.W_OK) \
        else "tcg"


class Machine:
    """A running guest; its console's output goes to a file, .said()."""

    def __init__(self, d, uri, bus):
        qemu = program("qemu-system-x86_64")
        image, modules = kernel()
        self.log = os.path.join(d, "console")
        initrd = os.path.join(d, "initrd")
        with open(initrd, "wb") as stream:
            stream.write(initramfs(modules))
        disk, device = {
            "virtio": ("vda", "virtio-blk-pci,drive=d"),
            "nvme": ("nvme0n1", "nvme,drive=d,serial=1"),
        }[bus]
        with open(self.log, "wb") as log:
            self.proc = subprocess.Popen(
                [qemu, "-nodefaults", "-display", "none", "-no-reboot",
                 "-machine", "q35,accel=" + accelerator(), "-cpu", "max",
                 "-smp", "2", "-m", "512",
                 "-serial", "stdio", "-kernel", image, "-initrd", initrd,
                 "-append", "console=ttyS0 panic=-1 disk=" + disk,
                 "-drive", "if=none,id=d,format=raw,discard=unmap,file=" + uri,
                 "-device", device],
                stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def check(self):
        """It runs, and has not failed."""
        text = self.said()
        assert "FAIL" not in text and self.proc.poll() is None, text[-8000:]

    def end(self):
        self.proc.stdin.write(b"end\n")
        self.proc.stdin.flush()
        self.proc.wait(10 * blk.PATIENCE)
        text = self.said()
        assert "\nPASS" in text and "FAIL" not in text, text[-8000:]
