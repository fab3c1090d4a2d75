#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The whole user space of the test's guest. Makes a file system on the disk
# that the kernel's command line names (disk=), writes files and looks whether
# they still are what they were, until a line comes in on the console. Says
# PASS, or FAIL and why, and turns the machine off.

PATH=/bin:/sbin
export PATH
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mkdir -p /tmp /mnt
mount -t tmpfs none /tmp
exec </dev/console >/dev/console 2>&1

finish()
{
	echo "$*"
	sync
	poweroff -f
}

fail()
{
	dmesg | tail -n 20
	finish "FAIL $*"
}

while read -r module; do
	insmod "/modules/$module" || fail "no module $module"
done </modules/order
disk=/dev/$(sed 's/.*disk=\([a-z0-9]*\).*/\1/' /proc/cmdline)
timeout 60 sh -c "until test -b $disk; do :; done" || fail "no disk $disk"

(read -r _ </dev/console; : >/tmp/end) &

mkfs.ext4 -q -F "$disk" || fail mkfs
mount -t ext4 "$disk" /mnt || fail mount
cd /mnt || fail cd

number=0
: >/tmp/sums

# One more file, of up to 2 MiB; its sum is of what was meant to be written.
add_file()
{
	number=$((number + 1))
	blocks=$(($(od -An -N2 -tu2 /dev/urandom) % 512 + 1))
	dd if=/dev/urandom of=/tmp/new bs=4k count=$blocks 2>/dev/null
	(cd /tmp && sha256sum new | sed "s/new/$number/") >>/tmp/sums
	cp /tmp/new "$number" || fail "cp $number"
}

verify()
{
	sync
	echo 3 >/proc/sys/vm/drop_caches
	sha256sum -c /tmp/sums >/tmp/result || {
		grep -v OK /tmp/result
		fail "files differ in round $round"
	}
}

# The oldest files, and their blocks on the disk.
remove_files()
{
	head -n 4 /tmp/sums | sed 's/.* //' | xargs rm
	sed -i 1,4d /tmp/sums
	fstrim /mnt || fail fstrim
}

round=0
echo BEGIN
until test -e /tmp/end; do
	round=$((round + 1))
	for _ in 1 2 3; do
		add_file
	done
	test "$(wc -l </tmp/sums)" -lt 24 || remove_files
	verify
	echo "ROUND $round"
done

cd /
umount /mnt || fail umount
e2fsck -f -n "$disk" >/tmp/fsck || {
	cat /tmp/fsck
	fail e2fsck
}
mount -t ext4 "$disk" /mnt || fail "mount again"
cd /mnt && verify && cd / && umount /mnt
dmesg | grep -iE 'I/O error|EXT4-fs (error|warning)|critical .* error|time.?out' \
	>/tmp/errors && {
	cat /tmp/errors
	fail "the kernel had errors"
}
finish "PASS after $round rounds"
