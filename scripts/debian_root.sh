#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# debian_root.sh SUITE DIR COMMAND...: runs COMMAND as root in a Debian of
# that suite, in a copy of this tree, and ends as COMMAND does; with 77 and a
# reason on stderr where that Debian cannot be had.
#
# DIR/root is made with mmdebstrap from the mirrors that this machine's apt
# has, and stays: what COMMAND installs is there the next time. It holds make
# and apt, and the tree in /src, made anew each time. Nothing stays mounted:
# the mounts are seen by COMMAND only and go with it, however it ends.

set -eu
cd "$(dirname "$0")/.."

cannot()
{
	echo "blkmon: no Debian \"$suite\" here: $*" >&2
	exit 77
}

# One line for each archive of Debian that apt has, with the other suite in
# the place of this machine's: deb MIRROR SUITE[-security|-updates] main
mirrors()
{
	# shellcheck disable=SC2016 # the fields are for apt to fill in
	apt-get indextargets \
		--format '$(LABEL) $(CODENAME) $(REPO_URI) $(COMPONENT)' \
		'Created-By: Packages' |
		sed -nE "s/^Debian(-Security)? [a-z]+(-[a-z]+)? (.*) main$/deb \
\3 $suite\2 main/p" |
		sort -u
}

# apt's own way through a proxy.
apt_options()
{
	apt-config dump --format '%F "%v";%n' Acquire::http Acquire::https
}

make_root()
{
	command -v mmdebstrap >/dev/null || cannot "there is no mmdebstrap"
	sources=$(mirrors)
	if test -z "$sources"; then
		apt-get -qq update || true
		sources=$(mirrors)
	fi
	test -n "$sources" || cannot "apt has no mirror of Debian"
	echo "blkmon: making a Debian \"$suite\" in $dir, from" >&2
	echo "$sources" | sed 's/^/  /' >&2
	rm -rf --one-file-system "$root" "$root.new"
	apt_options >"$dir/apt.conf"
	echo "$sources" | mmdebstrap --quiet --mode=root --variant=minbase \
		--include=ca-certificates,make,mount --aptopt="$dir/apt.conf" \
		"$suite" "$root.new" - ||
		cannot "mmdebstrap failed"
	mv "$root.new" "$root"
}

# What is in the work tree and not ignored, committed or not.
copy_tree()
{
	rm -rf --one-file-system "$root/src" "$root/tmp"
	rm -f "$root"/var/cache/apt/archives/*.deb
	mkdir "$root/src"
	mkdir -m 1777 "$root/tmp"
	git ls-files -z --cached --others --exclude-standard >"$dir/files"
	tar -c --null --verbatim-files-from --ignore-failed-read \
		-T "$dir/files" | tar -x --no-same-owner -C "$root/src"
	cp -L /etc/resolv.conf "$root/etc/resolv.conf"
}

suite=$1
dir=$2
root=$dir/root
if test "$(id -u)" != 0; then
	command -v sudo >/dev/null || cannot "only root can make it"
	exec sudo "$0" "$@"
fi
shift 2
command -v apt-get >/dev/null || cannot "there is no apt"
unshare --mount --pid --fork true || cannot "no namespaces of our own"
mkdir -p "$dir"
exec 9>"$dir/lock"
flock -n 9 || cannot "somebody is at work in $dir"
test -d "$root" || make_root
copy_tree

# shellcheck disable=SC2016 # the inner shell expands them
exec unshare --mount --pid --fork --kill-child sh -euc '
	root=$1
	shift
	mount --rbind /dev "$root/dev"
	mount -t proc proc "$root/proc"
	mount -t sysfs sys "$root/sys"
	exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
		${http_proxy:+http_proxy="$http_proxy"} \
		${https_proxy:+https_proxy="$https_proxy"} \
		sh -c "cd /src && exec \"\$@\"" sh "$@"' sh "$root" "$@" 9>&-
