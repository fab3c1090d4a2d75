#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# deb.sh FOLDER: makes the Debian package of a copy of this tree, and leaves it
# in FOLDER; fails if lintian finds an error or a warning.

set -eu
cd "$(dirname "$0")/.."
out=$1
rm -rf "$out"
mkdir -p "$out/blkmon"

# What was built here stays here.
tar --exclude-vcs --exclude=./build --exclude='./build-*' --exclude=./blkmon \
	--exclude=__pycache__ --exclude=.pytest_cache -cf - . |
	tar -C "$out/blkmon" -xf -
(cd "$out/blkmon" && dpkg-buildpackage -us -uc -b)
rm -rf "$out/blkmon"
# lintian does not like to be run by root; where it is, it says so.
lintian --fail-on error,warning --allow-root "$out"/*.changes
ls -l "$out"/*.deb
