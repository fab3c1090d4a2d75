# SPDX-License-Identifier: GPL-3.0-or-later
# Made by scripts/completions.py from the tables of blkmon; not by hand.

# The words of the line as they were typed: bash takes '=' and ':' apart. Sets
# $words and $cur, and $cut, the part of $cur that bash leaves alone.
_blkmon_words()
{
    local line=${COMP_LINE:0:COMP_POINT} i word glued
    words=() cut=
    for ((i = 0; i <= COMP_CWORD; i++)); do
        glued=$i
        [[ $line == [[:space:]]* ]] && glued=0
        line=${line#"${line%%[![:space:]]*}"}
        word=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && word=${word:0:${#line}}
        line=${line#"$word"}
        if ((glued)); then
            cut=${words[-1]}
            words[-1]+=$word
        else
            cut=
            words+=("$word")
        fi
    done
    cur=${words[-1]}
    [[ $word == [=:] ]] && cut=$cur
}

# Offers those of the given words, one a line, that begin like $1. What ends
# in '=', ':' or ',' goes on.
_blkmon_offer()
{
    local word
    while IFS= read -r word; do
        [[ $word == "$1"* ]] || continue
        COMPREPLY+=("$3$word")
        [[ $word == *[=:,] ]] && compopt -o nospace
    done <<<"$2"
}

# Files that begin like $1, behind $2, which is not theirs. A quote in it is
# the shell's.
_blkmon_files()
{
    local file part=${1#[\"\']}
    compopt -o filenames
    while IFS= read -r file; do
        COMPREPLY+=("$2$file")
    done < <(compgen -f -- "${part//\\/}")
}

# A line for the prompt, which is one word of the shell: in quotes, or with a
# backslash before each blank.
_blkmon_line()
{
    local i part=${1//\\/}
    _blkmon_offer "${part#[\"\']}" "$_blkmon_lines"
    [[ $1 == [\"\']* ]] && return
    for i in "${!COMPREPLY[@]}"; do
        printf -v COMPREPLY[i] %q "${COMPREPLY[i]}"
    done
}

# KEY=VALUE,...: the last of them.
_blkmon_keys()
{
    local before= last=$1
    if [[ $1 == *,* ]]; then
        before=${1%,*}, last=${1##*,}
    fi
    case $last in
    file=*) _blkmon_files "${last#*=}" "$before${last%%=*}=" ;;
    format=*) _blkmon_offer "${last#*=}" 'qcow2
raw' "$before${last%%=*}=" ;;
    readonly=*) _blkmon_offer "${last#*=}" 'on
off' "$before${last%%=*}=" ;;
    read-only=*) _blkmon_offer "${last#*=}" 'on
off' "$before${last%%=*}=" ;;
    cache=*) _blkmon_offer "${last#*=}" 'writeback
none
unsafe' "$before${last%%=*}=" ;;
    backing-format=*) _blkmon_offer "${last#*=}" 'qcow2
raw' "$before${last%%=*}=" ;;
    data-file=*) _blkmon_files "${last#*=}" "$before${last%%=*}=" ;;
    rerror=*) _blkmon_offer "${last#*=}" 'report
ignore
stop' "$before${last%%=*}=" ;;
    werror=*) _blkmon_offer "${last#*=}" 'report
ignore
stop
enospc' "$before${last%%=*}=" ;;
    force=*) _blkmon_offer "${last#*=}" 'on
off' "$before${last%%=*}=" ;;
    if=*) _blkmon_offer "${last#*=}" 'none' "$before${last%%=*}=" ;;
    *=*) ;;
    *)  _blkmon_offer "$last" "$_blkmon_drive_keys" "$before" ;;
    esac
}

_blkmon_words_or_files()
{
    if [[ $1 == unix:* ]]; then
        _blkmon_files "${1#unix:}" unix:
    else
        _blkmon_offer "$1" "$2"
    fi
}

# What may stand behind option $1; false if it takes nothing.
_blkmon_value()
{
    case $sub$1 in
    --drive) _blkmon_keys "$2" ;;
    --connect) : ;;
    -c|--command) _blkmon_line "$2" ;;
    -f|--file) _blkmon_files "$2" ;;
    --color) _blkmon_words_or_files "$2" 'auto
always
never' ;;
    --theme) _blkmon_words_or_files "$2" 'auto
dark
light
mono' ;;
    --log) _blkmon_files "$2" ;;
    --first) _blkmon_line "$2" ;;
    --ui-script) _blkmon_files "$2" ;;
    --ui-size) : ;;
    --ui-time) : ;;
    --screenshot) _blkmon_files "$2" ;;
    --on-error) _blkmon_words_or_files "$2" 'stop
continue' ;;
    --on-event) _blkmon_files "$2" ;;
    --progress) : ;;
    --error-classes) _blkmon_words_or_files "$2" '7.2' ;;
    --qmp) _blkmon_words_or_files "$2" 'unix:
tcp:
stdio' ;;
    --nbd) _blkmon_words_or_files "$2" 'unix:' ;;
    --export) : ;;
    --chardev) _blkmon_words_or_files "$2" 'socket,id=
stdio,id=' ;;
    --monitor) _blkmon_words_or_files "$2" 'chardev=' ;;
    --blockdev) _blkmon_words_or_files "$2" 'driver=' ;;
    --nbd-server) _blkmon_words_or_files "$2" 'addr.type=unix,addr.path=
addr.type=inet,addr.host=' ;;
    --object) _blkmon_words_or_files "$2" 'iothread,id=' ;;
    --pidfile) _blkmon_files "$2" ;;
    commit-b) _blkmon_files "$2" ;;
    commit--progress) : ;;
    commit-f) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    commit--backing-format) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    commit--data-file) _blkmon_files "$2" ;;
    info-f) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    info--backing-format) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    info--data-file) _blkmon_files "$2" ;;
    cat--offset) : ;;
    cat--length) : ;;
    cat-f) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    cat--backing-format) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    cat--data-file) _blkmon_files "$2" ;;
    check-f|check--format) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    check-r|check--repair) _blkmon_words_or_files "$2" 'leaks
all' ;;
    check--output) _blkmon_words_or_files "$2" 'human
json' ;;
    map--start-offset) : ;;
    map--max-length) : ;;
    map--output) _blkmon_words_or_files "$2" 'human
json' ;;
    map-f) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    map--backing-format) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    map--data-file) _blkmon_files "$2" ;;
    compare-F) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    compare--progress) : ;;
    compare-f) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    compare--backing-format) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    compare--data-file) _blkmon_files "$2" ;;
    measure-O) _blkmon_words_or_files "$2" 'raw
qcow2' ;;
    measure-o) : ;;
    measure--size) : ;;
    measure--output) _blkmon_words_or_files "$2" 'human
json' ;;
    measure-f) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    measure--backing-format) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    measure--data-file) _blkmon_files "$2" ;;
    rebase-b) _blkmon_files "$2" ;;
    rebase-F) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    rebase--progress) : ;;
    rebase-f) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    rebase--backing-format) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    rebase--data-file) _blkmon_files "$2" ;;
    plan-b) _blkmon_files "$2" ;;
    plan-f) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    plan--backing-format) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    plan--data-file) _blkmon_files "$2" ;;
    history-n) : ;;
    undo-f) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    undo--backing-format) _blkmon_words_or_files "$2" 'qcow2
raw' ;;
    undo--data-file) _blkmon_files "$2" ;;
    *)  return 1 ;;
    esac
    return 0
}

_blkmon()
{
    local words cur cut sub= options=$_blkmon_options i
    COMPREPLY=()
    _blkmon_words
    case ${words[1]} in
    commit) sub=commit options=$_blkmon_options_commit ;;
    info) sub=info options=$_blkmon_options_info ;;
    cat) sub=cat options=$_blkmon_options_cat ;;
    check) sub=check options=$_blkmon_options_check ;;
    map) sub=map options=$_blkmon_options_map ;;
    compare) sub=compare options=$_blkmon_options_compare ;;
    measure) sub=measure options=$_blkmon_options_measure ;;
    rebase) sub=rebase options=$_blkmon_options_rebase ;;
    plan) sub=plan options=$_blkmon_options_plan ;;
    history) sub=history options=$_blkmon_options_history ;;
    undo) sub=undo options=$_blkmon_options_undo ;;
    delete) sub=delete options=$_blkmon_options_delete ;;
    places) sub=places options=$_blkmon_options_places ;;
    esac
    ((${#words[@]} == 2)) && sub= options=$_blkmon_options
    if [[ $cur == --*=* ]]; then
        _blkmon_value "${cur%%=*}" "${cur#*=}" &&
            COMPREPLY=("${COMPREPLY[@]/#/${cur%%=*}=}")
    elif ((${#words[@]} > 2)) && _blkmon_value "${words[-2]}" "$cur"; then
        :
    elif [[ $cur == -* ]]; then
        _blkmon_offer "$cur" "$options"
    elif [[ -z $sub && $cur =~ ^[A-Za-z0-9_-]+= ]]; then
        _blkmon_files "${cur#*=}" "${cur%%=*}="
    else
        ((${#words[@]} == 2)) && _blkmon_offer "$cur" 'commit
info
cat
check
map
compare
measure
rebase
plan
history
undo
delete
places'
        _blkmon_files "$cur"
    fi
    for i in "${!COMPREPLY[@]}"; do
        COMPREPLY[i]=${COMPREPLY[i]#"$cut"}
    done
}

_blkmon_lines='?
__com.redhat_block-commit
block-commit
block-export-add
block-export-del
block-job-cancel
block-job-complete
block-job-dismiss
block-job-finalize
block-job-pause
block-job-resume
block-job-set-speed
block-set-write-threshold
block-stream
block_commit
block_job_cancel
block_job_complete
block_job_pause
block_job_resume
block_job_set_speed
block_resize
block_stream
blockdev-add
blockdev-del
blockdev-reopen
blockdev-snapshot
blockdev-snapshot-delete-internal-sync
blockdev-snapshot-internal-sync
blockdev-snapshot-sync
c
change-backing-file
commit
connect
cont
delete
disconnect
drive_add
drive_del
drop_undo
help
human-monitor-command
info
info block
info block-jobs
info blockstats
info folder
info history
info history-jobs
info nbd
info snapshots
info status
info undo
info version
job-cancel
job-complete
job-dismiss
job-finalize
job-pause
job-resume
nbd-server-add
nbd-server-remove
nbd-server-start
nbd-server-stop
nbd_server_add
nbd_server_remove
nbd_server_start
nbd_server_stop
object-add
object-del
places
plan
q
qemu-io
qmp_capabilities
query-block
query-block-exports
query-block-jobs
query-blockstats
query-commands
query-events
query-jobs
query-name
query-named-block-nodes
query-qmp-schema
query-status
query-version
quit
rebase
s
snapshot_blkdev
snapshot_blkdev_internal
snapshot_delete_blkdev_internal
stop
transaction
undo
use
wait
x-blkmon-check
x-blkmon-commit
x-blkmon-delete
x-blkmon-drive-add
x-blkmon-drive-del
x-blkmon-drop-undo
x-blkmon-io
x-blkmon-plan
x-blkmon-query-exports
x-blkmon-query-folder
x-blkmon-query-history
x-blkmon-query-jobs
x-blkmon-query-latency
x-blkmon-query-links
x-blkmon-query-space
x-blkmon-query-undo
x-blkmon-rebase
x-blkmon-tree-map
x-blkmon-undo'
_blkmon_drive_keys='file=
id=
format=
readonly=
read-only=
cache=
backing-format=
data-file=
metadata-max=
node-name=
rerror=
werror=
force=
if='
_blkmon_options='--drive
--probe
--connect
--look
--force-attach
--insecure-tcp
-c
--command
-f
--file
--line
-y
--yes
--color
--theme
--ascii
--no-mouse
--no-bell
--notify
--no-config
--log
--first
--tour
--ui-script
--ui-size
--ui-time
--screenshot
--echo
--on-error
--on-event
--no-history
--progress
--error-classes
--pretty
-h
--help
--help-all
-V
--version
--qmp
--nbd
--export
--chardev
--monitor
--blockdev
--nbd-server
--object
--pidfile
--daemonize'
_blkmon_options_commit='-b
-p
--progress
--force
--keep
--no-history
-f
--backing-format
--data-file
--probe
-h
--help'
_blkmon_options_info='--json
-f
--backing-format
--data-file
--probe
-h
--help'
_blkmon_options_cat='--offset
--length
-f
--backing-format
--data-file
--probe
-h
--help'
_blkmon_options_check='-f
--format
-r
--repair
-q
--quiet
-U
--force-share
--json
--output
-h
--help'
_blkmon_options_map='--start-offset
--max-length
-U
--force-share
--json
--output
-f
--backing-format
--data-file
--probe
-h
--help'
_blkmon_options_compare='-F
-s
-p
--progress
-q
--quiet
-U
--force-share
-f
--backing-format
--data-file
--probe
-h
--help'
_blkmon_options_measure='-O
-o
--size
-U
--force-share
--json
--output
-f
--backing-format
--data-file
--probe
-h
--help'
_blkmon_options_rebase='-b
-F
-u
-p
--progress
-q
--quiet
--force
--no-history
-f
--backing-format
--data-file
--probe
-h
--help'
_blkmon_options_plan='-b
--json
--force
-f
--backing-format
--data-file
--probe
-h
--help'
_blkmon_options_history='-n
--json
-h
--help'
_blkmon_options_undo='--drop
--force
-f
--backing-format
--data-file
--probe
-h
--help'
_blkmon_options_delete='-n
--dry-run
-d
--data-files
--json
-h
--help'
_blkmon_options_places='--scan
-h
--help'
complete -F _blkmon blkmon
