#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# deps.sh GROUP...: installs with apt-get what is missing of these groups of
# the table below; says nothing when nothing is.
#
# What is there is found out by looking for the thing itself and not for the
# package, so that a machine without dpkg that has all of them may go on.

set -eu
PATH=$PATH:/usr/sbin:/sbin

# group, Debian's package, how to see that it is there
table='
build	gcc			cmd gcc
build	libc6-dev		file /usr/include/stdio.h
build	pkg-config		cmd pkg-config
build	libncurses-dev		pc ncursesw
build	libreadline-dev		pc readline
build	zlib1g-dev		pc zlib
build	libzstd-dev		pc libzstd
build	libjansson-dev		pc jansson
build	libinih-dev		pc inih
demo	qemu-utils		cmd qemu-img
test	libcmocka-dev		pc cmocka
test	qemu-utils		cmd qemu-io
test	qemu-system-common	cmd qemu-storage-daemon
test	qemu-system-x86		cmd qemu-system-x86_64
test	libnbd-bin		cmd nbdinfo
test	fio			cmd fio
test	clang			cmd clang
test	libclang-rt-dev		glob /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a
test	tmux			cmd tmux
test	python3-pytest		py pytest
test	python3-pytest-xdist	py xdist
test	python3-pexpect		py pexpect
test	python3-pyte		py pyte
test	xfsprogs		cmd mkfs.xfs
test	btrfs-progs		cmd mkfs.btrfs
remote	openssh-client		cmd ssh-keygen
remote	socat			cmd socat
remote	netcat-openbsd		cmd nc.openbsd
guest	busybox-static		cmd busybox
guest	e2fsprogs		cmd mkfs.ext4
bench	qemu-utils		cmd qemu-img
bench	qemu-system-common	cmd qemu-storage-daemon
bench	xfsprogs		cmd mkfs.xfs
bench	python3			cmd python3
lint	clang			cmd clang
lint	cppcheck		cmd cppcheck
lint	python3			cmd python3
deb	debhelper		cmd dh
deb	dpkg-dev		cmd dpkg-buildpackage
deb	lintian			cmd lintian
deb	libcmocka-dev		pc cmocka
roots	mmdebstrap		cmd mmdebstrap
valgrind	valgrind	cmd valgrind
valgrind	libc6-dbg	file /usr/share/doc/libc6-dbg
'

is_there()
{
	# shellcheck disable=SC2086 # a pattern is to be expanded
	case $1 in
	cmd)	command -v "$2" >/dev/null ;;
	file)	test -e "$2" ;;
	glob)	ls $2 >/dev/null 2>&1 ;;
	pc)	pkg-config --exists "$2" 2>/dev/null ;;
	py)	/usr/bin/python3 -c "import $2" 2>/dev/null ;;
	esac
}

# The packages of the wanted groups whose thing is not there.
missing()
{
	echo "$table" | while read -r group package kind thing; do
		case " $groups " in
		*" $group "*)	is_there "$kind" "$thing" || echo "$package" ;;
		esac
	done | sort -u | tr '\n' ' '
}

say()
{
	echo "blkmon: $*" >&2
}

groups=$*
list=$(missing)
test -n "$list" || exit 0

root=
test "$(id -u)" = 0 || root=sudo
if ! command -v apt-get >/dev/null; then
	say "needed and not found, by their names in Debian: $list"
	say "please install them by this system's own means"
	exit 1
fi
if test -n "$root" && ! command -v sudo >/dev/null; then
	say "needed and not found; as root, run: apt-get install $list"
	exit 1
fi

say "installing with apt-get: $list"
apt="$root env DEBIAN_FRONTEND=noninteractive apt-get -qq
	-o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300"
# Words, not one word: from here on $apt and $list are lists.
# shellcheck disable=SC2086
install()
{
	$apt install -y --no-install-recommends $list >/dev/null
}

# A machine that cannot reach its mirror may have the packages in its cache.
$apt update >/dev/null || say "the lists of packages could not be refreshed"
install

list=$(missing)
test -z "$list" && exit 0
say "still not usable after the installation: $list"
exit 1
