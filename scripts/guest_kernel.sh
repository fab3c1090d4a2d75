#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# guest_kernel.sh DIR: fetches Debian's kernel for virtual machines from the
# machine's own mirror and unpacks boot/ and lib/modules/ into DIR, without
# installing it. Says nothing when it is there.

set -eu
dir=$1
ls "$dir"/boot/vmlinuz-* >/dev/null 2>&1 && exit 0
case $(uname -m) in
x86_64)	meta=linux-image-cloud-amd64 ;;
*)	echo "guest_kernel.sh: only for x86_64" >&2; exit 1 ;;
esac
package=$(apt-cache depends "$meta" |
	sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
test -n "$package" || {
	echo "guest_kernel.sh: apt-get knows no $meta" >&2
	exit 1
}

mkdir -p "$dir"
work=$(mktemp -d "$dir/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "blkmon: fetching $package" >&2
(cd "$work" && apt-get -qq download -o APT::Sandbox::User=root "$package")
dpkg-deb --fsys-tarfile "$work"/*.deb |
	tar -x -C "$work" --wildcards './boot/vmlinuz-*' './lib/modules'
mv "$work/lib" "$work/boot" "$dir"
