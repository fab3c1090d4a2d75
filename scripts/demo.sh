#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# demo.sh: makes the chain base <- sn1 <- sn2 in a temporary folder. At a
# terminal blkmon opens it with a guided first minute; otherwise a script streams
# and commits it, and the images are compared with what they held before.
# demo.sh --picture FILE: what the screen shows of it after some seconds.
#
# Environment: BLKMON (the program; blkmon).

set -eu
: "${BLKMON:=blkmon}"
picture=$(realpath -m "${2-.}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cd "$dir"
# What is tried out here is no part of anybody's history.
export XDG_STATE_HOME="$dir/state"

make_chain()
{
	qemu-img create -q -f qcow2 base 64M
	qemu-io -c 'write -q -P 0x11 0 16M' base
	qemu-img create -q -f qcow2 -b base -F qcow2 sn1
	qemu-io -c 'write -q -P 0x22 12M 20M' sn1
	qemu-img create -q -f qcow2 -b sn1 -F qcow2 sn2
	qemu-io -c 'write -q -P 0x33 20M 8M' sn2
}

# A commit runs already, slowly, so that there is something to see; the tour
# says what, and which keys to press.
on_the_screen()
{
	"$BLKMON" --no-config --tour --drive file=sn2,id=disk0,format=qcow2 \
		--first 'block_commit disk0 base sn2 1M' "$@"
}

picture()
{
	echo 'wait disk0 60%' >keys
	on_the_screen --ui-script keys --ui-time 12:00:00 --screenshot "$1"
}

script()
{
	cat <<-'END'
	# The chain as it was found.
	info block disk0
	# A snapshot: from here on the guest writes into sn3.
	snapshot_blkdev disk0 sn3
	qemu-io disk0 "write -P 0x44 30M 4M"
	info block disk0
	# Stream: what sn2 holds moves up into sn3, above sn1.
	block_stream disk0 0 sn1
	info block-jobs
	wait disk0 done
	info block disk0
	# Commit of the active layer: all that is above base moves into base,
	# guest writes go to both, and in the end base is the disk.
	block_commit disk0
	wait disk0 ready
	info block-jobs
	qemu-io disk0 "write -P 0x55 40M 1M"
	block_job_complete disk0
	wait disk0 done
	info block disk0
	qemu-io disk0 "read -P 0x11 0 8M"
	qemu-io disk0 "read -P 0x33 20M 8M"
	qemu-io disk0 "read -P 0x44 30M 4M"
	qemu-io disk0 "read -P 0x55 40M 1M"
	END
}

# The same writes, done by qemu-io to a plain copy of the disk.
make_model()
{
	qemu-img convert -O raw sn2 model
	qemu-io -f raw -c 'write -q -P 0x44 30M 4M' \
		-c 'write -q -P 0x55 40M 1M' model
}

as_a_script()
{
	make_model
	script | "$BLKMON" --echo disk0=sn2
	echo
	echo 'What QEMU says of base, which is the whole disk now:'
	qemu-img check base
	qemu-img compare -f raw -F qcow2 model base
}

make_chain
if test "${1-}" = --picture; then
	picture "$picture"
elif test -t 0 && test -t 1; then
	on_the_screen
else
	as_a_script
fi
