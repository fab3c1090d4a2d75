#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# sshd.sh DIR: fetches Debian's ssh server from the machine's own mirror and
# unpacks it into DIR, without installing it: the package's own scripts would
# start it, at every boot. Libraries that it needs and this machine has not
# come with it. Says nothing when it is there, here or on the machine.

set -eu
PATH=$PATH:/usr/sbin:/sbin
dir=$1
command -v sshd >/dev/null && exit 0
test -x "$dir/usr/sbin/sshd" && exit 0
for tool in apt-get apt-cache dpkg-deb; do
	command -v $tool >/dev/null || {
		echo "sshd.sh: there is no $tool" >&2
		exit 1
	}
done

# Its libraries, without those that are installed.
libraries()
{
	apt-cache depends openssh-server |
		sed -n 's/^ *Depends: \(lib[^<]*\)$/\1/p' |
		while read -r name; do
			dpkg-query -W -f '${db:Status-Abbrev}' "$name" \
				2>/dev/null | grep -q '^ii' || echo "$name"
		done
}

fetch()
{
	echo "blkmon: fetching $*" >&2
	(cd "$work" &&
		apt-get -qq download -o APT::Sandbox::User=root "$@")
}

mkdir -p "$dir"
work=$(mktemp -d "$dir/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2046 # words
fetch openssh-server $(libraries)
for deb in "$work"/*.deb; do
	dpkg-deb -x "$deb" "$work/root"
done
cp -a "$work/root/." "$dir"
