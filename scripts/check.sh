#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# check.sh STEP [ARG...]: runs tests and adds what it counted to $TALLY.
#   units PROGRAM...      cmocka programs, one on each processor
#   memcheck PROGRAM...   the same, each under valgrind
#   unit COMMAND...       one of these
#   fuzz SECONDS PROGRAM...  libFuzzer programs; words for them stand in
#                         tests/fuzz/NAME.dict
#   pytest [ARG...]       the Python tests under tests/
#   scripts FILE...       programs that fail by their exit status
#   debian SUITE DIR COMMAND...  debian_root.sh; what COMMAND counted counts
#                         here too, and no such Debian as one test skipped
#   sum                   prints "N passed, N failed, N skipped" over all of
#                         $TALLY, removes it, and fails if a test failed
# A failing test does not make its step fail: the steps behind it run too.
#
# Environment: TALLY (file), BLKMON (the program), PYTHON, SAN (sanitizers).

set -u
cd "$(dirname "$0")/.." || exit 1
log=$(mktemp) || exit 1
trap 'rm -rf "$log" "$log.state"' EXIT
trap 'exit 130' INT TERM

# The sanitizers' exit status must not look like one of blkmon's own.
export ASAN_OPTIONS="${ASAN_OPTIONS:-exitcode=99}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-exitcode=99}"
export CMOCKA_MESSAGE_OUTPUT=TAP
# The home of whoever runs the tests is left alone.
export XDG_STATE_HOME="$log.state" XDG_CONFIG_HOME="$log.state"

# What a sanitizer looks for does not depend on the disk, and it is slow: it
# gets memory for a disk, few of the random chains, and more patience.
if test -n "${SAN:-}"; then
	export BLKMON_CHAINS="${BLKMON_CHAINS:-30}"
	export BLKMON_PATIENCE="${BLKMON_PATIENCE:-300}"
	if test -z "${TMPDIR:-}" && test -w /dev/shm; then
		export TMPDIR=/dev/shm
	fi
fi

count()
{
	echo "$1 $2 $3" >>"$TALLY"
}

# A crash, a leak or a race, or no end, makes the program fail though no test
# did: that counts as one failure. Of a program that is well, one line is shown.
judge_unit()
{
	timeout -k 10 900 "$@" >"$log" 2>&1
	status=$?
	skip=$(grep -c '^not ok .*# SKIP' "$log")
	fail=$(($(grep -c '^not ok ' "$log") - skip))
	pass=$(grep -c '^ok ' "$log")
	if test $status -ne 0 && test $fail -eq 0; then
		fail=1
	fi
	count "$pass" $fail "$skip"
	for name; do :; done
	echo "${name##*/}: $pass passed, $fail failed, $skip skipped"
	if test $fail -ne 0; then
		echo "  exit status $status of $*"
		sed 's/^/  /' "$log"
	fi
}

# Others run beside it: what is said of it is said in one piece.
unit()
{
	said=$(judge_unit "$@")
	echo "$said"
}

# Programs from stdin, one on each processor; ARG... stands before each.
side_by_side()
{
	xargs -0 -n 1 -P "$(nproc)" scripts/check.sh unit "$@"
}

units()
{
	printf '%s\0' "$@" | side_by_side
}

memcheck()
{
	export BLKMON_CRASH=0
	printf '%s\0' "$@" | side_by_side valgrind -q --error-exitcode=99 \
		--leak-check=full --errors-for-leak-kinds=definite,possible \
		--suppressions=tests/valgrind.supp
}

# What one of the fuzzers found and said stands in a folder of its own.
run_fuzzer()
{
	name=${1##*/}
	if "$1" -max_total_time="$2" -timeout=30 -max_len=4096 \
		-rss_limit_mb=1024 -print_final_stats=1 \
		-artifact_prefix="$3/found-" \
		-dict="tests/fuzz/$name.dict" >"$3/log" 2>&1; then
		count 1 0 0
		echo "$name: $(sed -n 's/.*executed_units: *//p' "$3/log") runs"
	else
		count 0 1 0
		echo "$name: failed; the input, in base64:"
		base64 "$3"/found-*
		tail -n 60 "$3/log" | sed 's/^/  /'
	fi
}

# All at once: they take as long as they are told to.
fuzz()
{
	seconds=$1
	shift
	found=$(mktemp -d) || exit 1
	for program; do
		mkdir "$found/${program##*/}"
		run_fuzzer "$program" "$seconds" "$found/${program##*/}" &
	done
	wait
	rm -rf "$found"
}

# Prints the sum of an attribute of the <testsuite> elements.
junit()
{
	grep -o '<testsuite [^>]*' "$log" |
		sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" |
		awk '{ n += $1 } END { print n + 0 }'
}

pytest()
{
	"$PYTHON" -m pytest -q -p no:cacheprovider --junitxml="$log" "$@" tests
	status=$?
	fail=$(($(junit failures) + $(junit errors)))
	skip=$(junit skipped)
	all=$(junit tests)
	pass=$((all > fail + skip ? all - fail - skip : 0))
	# 5: there was no test to run.
	if test $status -ne 0 && test $status -ne 5 && test $fail -eq 0; then
		fail=1
	fi
	count $pass $fail "$skip"
}

scripts()
{
	for program; do
		if "$program"; then
			count 1 0 0
		else
			echo "$program: failed"
			count 0 1 0
		fi
	done
}

debian()
{
	{
		scripts/debian_root.sh "$@" </dev/null 2>&1
		echo "exit status $?"
	} | tee "$log"
	read -r pass _ fail _ skip _ <<-END
	$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" |
		tail -n 1)
	END
	case $(tail -n 1 "$log") in
	'exit status 0')	: "${pass:=1}" ;;
	'exit status 77')	: "${skip:=1}" ;;
	*)	test "${fail:-0}" -gt 0 || fail=1 ;;
	esac
	count "${pass:-0}" "${fail:-0}" "${skip:-0}"
}

sum()
{
	awk '{ p += $1; f += $2; s += $3 }
	END {
		printf "%d passed, %d failed, %d skipped\n", p, f, s
		exit f > 0
	}' "$TALLY"
	status=$?
	rm -f "$TALLY"
	exit $status
}

step=$1
shift
"$step" "$@"
