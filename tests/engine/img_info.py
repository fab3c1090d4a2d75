#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""img_info.py ARG...: what `qemu-img info ARG...` says in JSON, told in the
words of QEMU 7.2, in which the recordings were made. What another version
puts beside it, or calls otherwise, is left out."""

import json
import subprocess
import sys

UNITS = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
# Of a format's own, in the order of 7.2.
SPECIFIC = ("compat", "compression-type", "lazy-refcounts", "refcount-bits",
            "corrupt", "extended-l2", "data-file", "data-file-raw",
            "encrypt", "bitmaps")


def size(n):
    """Three digits, as 24.3 MiB."""
    i = 0
    while n >= 1000 * 1024 ** i and i + 1 < len(UNITS):
        i += 1
    return "%.3g %sB" % (n / 1024 ** i, UNITS[i])


def word(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def backing(image):
    name, full = (image.get(k) for k in ("backing-filename",
                                         "full-backing-filename"))
    if name is None:
        return
    yield "backing file: " + name + (
        "" if full in (None, name) else " (actual path: %s)" % full)
    if "backing-filename-format" in image:
        yield "backing file format: " + image["backing-filename-format"]


def told(image):
    """The lines about one image of a chain."""
    yield "image: " + image["filename"]
    yield "file format: " + image["format"]
    yield "virtual size: %s (%d bytes)" % (size(image["virtual-size"]),
                                           image["virtual-size"])
    yield "disk size: " + (size(image["actual-size"])
                           if "actual-size" in image else "unavailable")
    if image.get("encrypted"):
        yield "encrypted: yes"
    if "cluster-size" in image:
        yield "cluster_size: %d" % image["cluster-size"]
    if image.get("dirty-flag"):
        yield "cleanly shut down: no"
    yield from backing(image)
    yield from ("snapshot: " + s["name"] for s in image.get("snapshots", ()))
    specific = image.get("format-specific", {"data": {}})["data"]
    if image["format"] != "qcow2":
        return
    yield "Format specific information:"
    for key in SPECIFIC:
        if key in specific:
            yield "    %s: %s" % (key.replace("-", " "), word(specific[key]))


def main():
    done = subprocess.run(["qemu-img", "info", "--output=json", *sys.argv[1:]],
                          stdout=subprocess.PIPE, check=False)
    if done.stdout:
        images = json.loads(done.stdout)
        print("\n\n".join(
            "\n".join(told(image))
            for image in (images if isinstance(images, list) else [images])))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
