#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# check_deb.sh SUITE...: for each suite of Debian a bare root in which the
# package is built and looked at by lintian, and another in which it is
# installed, used and purged. What is left behind then is a failure.
#
# As root, with mmdebstrap and a mirror. Environment: MIRROR (that of the
# suite), TMPDIR (3 GB).

set -euo pipefail
cd "$(dirname "$0")/.."
if ((EUID)); then
	echo "check-deb: a root of Debian is made by root alone" >&2
	exit 1
fi
# Mounts of our own: whatever becomes of this, the machine keeps none.
if [[ -z ${CHECK_DEB_MOUNTS-} ]]; then
	CHECK_DEB_MOUNTS=own exec unshare --mount "$0" "$@"
fi

export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
dir=$(mktemp -d)
clean()
{
	local at
	for at in "$dir"/*/proc; do
		if mountpoint -q "$at"; then
			umount "$at"
		fi
	done
	rm -rf --one-file-system "$dir"
}
trap clean EXIT
trap 'exit 130' INT TERM

step()
{
	echo "== $suite: $*"
}

# root NAME PACKAGE...: a bare root at $dir/NAME, and these packages in it.
root()
{
	local at=$dir/$1
	shift
	mmdebstrap --quiet --variant=minbase --include="$(IFS=,; echo "$*")" \
		"$suite" "$at" ${MIRROR:+"$MIRROR"}
	mount -t proc proc "$at/proc"
	cp -L /etc/resolv.conf "$at/etc/resolv.conf"
	chroot "$at" apt-get -qq update
}

# inside NAME COMMAND...: in that root, as its root, in /blkmon.
inside()
{
	local at=$dir/$1
	shift
	chroot "$at" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		TERM=dumb LC_ALL="$LC_ALL" DEBIAN_FRONTEND=noninteractive \
		sh -ec 'cd /blkmon; exec "$@"' sh "$@"
}

sources()
{
	mkdir "$dir/$1/blkmon"
	tar --exclude-vcs --exclude=./build --exclude='./build-*' \
		--exclude=./blkmon --exclude=__pycache__ -cf - . |
		tar --no-same-owner -C "$dir/$1/blkmon" -xf -
}

build()
{
	step "building"
	root build build-essential lintian
	sources build
	inside build apt-get -qq -y -o Dpkg::Use-Pty=0 build-dep \
		--no-install-recommends ./ >/dev/null
	inside build scripts/deb.sh build/deb >"$dir/log" 2>&1 ||
		{ tail -n 60 "$dir/log"; return 1; }
	grep -E '^[0-9]+ passed' "$dir/log"
	tail -n 2 "$dir/log"
}

# Names of all that is there but for what apt and dpkg remember.
list()
{
	chroot "$dir/use" find / -xdev \( -path /proc -o -path /var/cache \
		-o -path /var/log -o -path /var/lib/apt -o -path /blkmon \
		-o -path /tmp -o -path /var/lib/dpkg/status-old \) -prune \
		-o -print | sort
}

# The shell in the root expands what stands in quotes.
# shellcheck disable=SC2016
completion()
{
	inside use bash -c '
		. /usr/share/bash-completion/bash_completion
		loader=$(complete -p -D | sed "s/.*-F \([^ ]*\).*/\1/")
		"$loader" blkmon || test $? = 124
		complete -p blkmon
		COMP_LINE="blkmon --on-error c" COMP_POINT=19 COMP_CWORD=2
		COMP_WORDS=(blkmon --on-error c)
		compopt() { :; }
		_blkmon
		test "${COMPREPLY[*]}" = continue'
}

use()
{
	step "installing"
	root use man-db bash-completion qemu-utils libnbd-bin python3
	sources use
	list >"$dir/before"
	cp "$dir"/build/blkmon/build/deb/blkmon_*.deb "$dir/use/blkmon/it.deb"
	inside use apt-get -qq -y -o Dpkg::Use-Pty=0 install \
		--no-install-recommends ./it.deb
	step "using"
	inside use blkmon --version
	inside use man blkmon 2>/dev/null | grep 'block_commit.*device'
	completion
	inside use debian/tests/demo | tail -n 2
	inside use debian/tests/service
	step "removing"
	inside use apt-get -qq -y -o Dpkg::Use-Pty=0 purge --autoremove blkmon
	list >"$dir/after"
	diff "$dir/before" "$dir/after"
	if inside use dpkg -s blkmon 2>/dev/null; then
		return 1
	fi
}

for suite; do
	start=$SECONDS
	build
	use
	clean
	mkdir -p "$dir"
	echo "$suite: built, installed, used and removed," \
		"$((SECONDS - start)) s"
done
