# SPDX-License-Identifier: GPL-3.0-or-later
# Made by scripts/completions.py from the tables of blkmon; not by hand.

function __blkmon_sub
    set -l words (commandline -opc)
    set -q words[2]; and contains -- $words[2] $argv
end

function __blkmon_console
    not __blkmon_sub commit info cat check map compare rebase
end

function __blkmon_first
    test (count (commandline -opc)) -eq 1
end

function __blkmon_lines
    printf '%s\n' '?' '__com.redhat_block-commit' 'block-commit' 'block-export-add' 'block-export-del' 'block-job-cancel' 'block-job-complete' 'block-job-dismiss' 'block-job-finalize' 'block-job-pause' 'block-job-resume' 'block-job-set-speed' 'block-set-write-threshold' 'block-stream' 'block_commit' 'block_job_cancel' 'block_job_complete' 'block_job_pause' 'block_job_resume' 'block_job_set_speed' 'block_resize' 'block_stream' 'blockdev-add' 'blockdev-del' 'blockdev-reopen' 'blockdev-snapshot' 'blockdev-snapshot-delete-internal-sync' 'blockdev-snapshot-internal-sync' 'blockdev-snapshot-sync' 'c' 'change-backing-file' 'commit' 'cont' 'drive_add' 'drive_del' 'help' 'human-monitor-command' 'info' 'info block' 'info block-jobs' 'info blockstats' 'info history' 'info nbd' 'info snapshots' 'info status' 'info version' 'job-cancel' 'job-complete' 'job-dismiss' 'job-finalize' 'job-pause' 'job-resume' 'nbd-server-add' 'nbd-server-remove' 'nbd-server-start' 'nbd-server-stop' 'nbd_server_add' 'nbd_server_remove' 'nbd_server_start' 'nbd_server_stop' 'q' 'qemu-io' 'qmp_capabilities' 'query-block' 'query-block-exports' 'query-block-jobs' 'query-blockstats' 'query-commands' 'query-events' 'query-jobs' 'query-name' 'query-named-block-nodes' 'query-qmp-schema' 'query-status' 'query-version' 'quit' 's' 'snapshot_blkdev' 'snapshot_blkdev_internal' 'snapshot_delete_blkdev_internal' 'stop' 'transaction' 'wait' 'x-blkmon-check' 'x-blkmon-commit' 'x-blkmon-drive-add' 'x-blkmon-drive-del' 'x-blkmon-io' 'x-blkmon-node-map' 'x-blkmon-query-exports' 'x-blkmon-query-jobs' 'x-blkmon-query-links'
end

# Of KEY=VALUE,... the last.
function __blkmon_drive
    set -l token (commandline -ct | string replace -r '^--drive=' '')
    set -l before (string replace -r '[^,]*$' '' -- $token)
    set -l last (string replace -r '^.*,' '' -- $token)
    switch $last
        case 'format=*'
            printf '%s\n' $before'format=qcow2' $before'format=raw'
        case 'readonly=*'
            printf '%s\n' $before'readonly=on' $before'readonly=off'
        case 'read-only=*'
            printf '%s\n' $before'read-only=on' $before'read-only=off'
        case 'cache=*'
            printf '%s\n' $before'cache=writeback' $before'cache=none' $before'cache=unsafe'
        case 'backing-format=*'
            printf '%s\n' $before'backing-format=qcow2' $before'backing-format=raw'
        case 'rerror=*'
            printf '%s\n' $before'rerror=report' $before'rerror=ignore' $before'rerror=stop'
        case 'werror=*'
            printf '%s\n' $before'werror=report' $before'werror=ignore' $before'werror=stop' $before'werror=enospc'
        case 'force=*'
            printf '%s\n' $before'force=on' $before'force=off'
        case 'if=*'
            printf '%s\n' $before'if=none'
        case '*=*'
        case '*'
            printf '%s\n' $before{file=,id=,format=,readonly=,read-only=,cache=,backing-format=,data-file=,metadata-max=,node-name=,rerror=,werror=,force=,if=}
    end
end

complete -c blkmon -n __blkmon_console -k -F
complete -c blkmon -n '__blkmon_console' -l drive -r -F -a '(__blkmon_drive)' -d 'open an image'
complete -c blkmon -n '__blkmon_console' -l probe -d 'guess the format of backing files whose link does not record one'
complete -c blkmon -n '__blkmon_console' -s c -l command -x -a '(__blkmon_lines)' -d 'run CMD and leave'
complete -c blkmon -n '__blkmon_console' -s f -l file -r -F -d 'run the lines of FILE (- is stdin)'
complete -c blkmon -n '__blkmon_console' -l line -d 'a prompt, without the screen'
complete -c blkmon -n '__blkmon_console' -l color -x -a 'auto always never' -d 'auto|always|never'
complete -c blkmon -n '__blkmon_console' -l theme -x -a 'auto dark light mono' -d 'auto|dark|light|mono'
complete -c blkmon -n '__blkmon_console' -l ascii -d 'no glyphs beyond ASCII'
complete -c blkmon -n '__blkmon_console' -l no-mouse -d 'leave the mouse to the terminal'
complete -c blkmon -n '__blkmon_console' -l no-bell -d 'be silent when a job ends'
complete -c blkmon -n '__blkmon_console' -l notify -d 'tell the terminal (OSC 9) when a job ends'
complete -c blkmon -n '__blkmon_console' -l log -r -F -d 'append what the screens log shows, as JSON lines'
complete -c blkmon -n '__blkmon_console' -l first -x -a '(__blkmon_lines)' -d 'run CMD once the screen is there'
complete -c blkmon -n '__blkmon_console' -l tour -d 'a guided first minute'
complete -c blkmon -n '__blkmon_console' -l ui-script -r -F -d 'keys for a screen without a display'
complete -c blkmon -n '__blkmon_console' -l ui-size -r -d 'its size (80x24)'
complete -c blkmon -n '__blkmon_console' -l ui-time -r -d 'stands for all times on it, like 12:00:00'
complete -c blkmon -n '__blkmon_console' -l screenshot -r -F -d 'save the screen at the end of it (.ans'
complete -c blkmon -n '__blkmon_console' -l echo -d 'show each line before its result'
complete -c blkmon -n '__blkmon_console' -l on-error -x -a 'stop continue' -d 'stop|continue behind a command that failed (stop)'
complete -c blkmon -n '__blkmon_console' -l error-classes -x -a '7.2' -d '7.2'
complete -c blkmon -n '__blkmon_console' -l pretty -d 'indent the replies to QMP lines'
complete -c blkmon -n '__blkmon_console' -s h -l help -d 'this'
complete -c blkmon -n '__blkmon_console' -s V -l version -d 'which blkmon this is'
complete -c blkmon -n '__blkmon_console' -l qmp -r -F -a 'unix: tcp: stdio' -d 'QMP on a socket, unix:PATH'
complete -c blkmon -n '__blkmon_console' -l nbd -r -F -a 'unix:' -d 'NBD there'
complete -c blkmon -n '__blkmon_console' -l export -r -d 'a drive for NBDs clients'
complete -c blkmon -n '__blkmon_console' -l chardev -x -a 'socket,id= stdio,id=' -d '[,server=on][,wait=off]'
complete -c blkmon -n '__blkmon_console' -l monitor -x -a 'chardev=' -d '[,mode=control|readline][,pretty=on|off]'
complete -c blkmon -n '__blkmon_console' -l blockdev -x -a 'driver=' -d 'blockdev-add'
complete -c blkmon -n '__blkmon_console' -l nbd-server -x -a 'addr.type=unix,addr.path= addr.type=inet,addr.host=' -d 'addr.type=unix,addr.path=PATH or addr.type=inet,..'
complete -c blkmon -n '__blkmon_console' -l object -x -a 'iothread,id=' -d 'accepted'
complete -c blkmon -n '__blkmon_console' -l pidfile -r -F -d 'write the number of the process there'
complete -c blkmon -n '__blkmon_console' -l daemonize -d 'leave the terminal when all is open'
complete -c blkmon -n __blkmon_first -a commit -d 'write the image into its backing file, and empty it'
complete -c blkmon -n '__blkmon_sub commit' -s b -r -F -d 'into BASE'
complete -c blkmon -n '__blkmon_sub commit' -s p -d 'show a bar, at a terminal'
complete -c blkmon -n '__blkmon_sub commit' -l progress -r -d 'write bytes done and bytes in all to a descriptor'
complete -c blkmon -n '__blkmon_sub commit' -l force -d 'even where internal snapshots change, or overlays that are not open'
complete -c blkmon -n '__blkmon_sub commit' -s f -x -a 'qcow2 raw' -d 'the format of the image'
complete -c blkmon -n '__blkmon_sub commit' -l backing-format -x -a 'qcow2 raw' -d 'of backing files whose link does not record one'
complete -c blkmon -n '__blkmon_sub commit' -l data-file -r -F -d 'the external data file of the next image that asks for one'
complete -c blkmon -n '__blkmon_sub commit' -l probe -d 'guess the format of backing files whose link does not record one'
complete -c blkmon -n '__blkmon_sub commit' -s h -l help -d 'this'
complete -c blkmon -n __blkmon_first -a info -d 'show the image and all images below it'
complete -c blkmon -n '__blkmon_sub info' -l json -d 'as JSON'
complete -c blkmon -n '__blkmon_sub info' -s f -x -a 'qcow2 raw' -d 'the format of the image'
complete -c blkmon -n '__blkmon_sub info' -l backing-format -x -a 'qcow2 raw' -d 'of backing files whose link does not record one'
complete -c blkmon -n '__blkmon_sub info' -l data-file -r -F -d 'the external data file of the next image that asks for one'
complete -c blkmon -n '__blkmon_sub info' -l probe -d 'guess the format of backing files whose link does not record one'
complete -c blkmon -n '__blkmon_sub info' -s h -l help -d 'this'
complete -c blkmon -n __blkmon_first -a cat -d 'write what a guest would read to standard output'
complete -c blkmon -n '__blkmon_sub cat' -l offset -r -d 'begin there (0)'
complete -c blkmon -n '__blkmon_sub cat' -l length -r -d 'how much (all)'
complete -c blkmon -n '__blkmon_sub cat' -s f -x -a 'qcow2 raw' -d 'the format of the image'
complete -c blkmon -n '__blkmon_sub cat' -l backing-format -x -a 'qcow2 raw' -d 'of backing files whose link does not record one'
complete -c blkmon -n '__blkmon_sub cat' -l data-file -r -F -d 'the external data file of the next image that asks for one'
complete -c blkmon -n '__blkmon_sub cat' -l probe -d 'guess the format of backing files whose link does not record one'
complete -c blkmon -n '__blkmon_sub cat' -s h -l help -d 'this'
complete -c blkmon -n __blkmon_first -a check -d 'say what is wrong with the image, and mend it'
complete -c blkmon -n '__blkmon_sub check' -s f -l format -x -a 'qcow2 raw' -d 'the format of the image'
complete -c blkmon -n '__blkmon_sub check' -s r -l repair -x -a 'leaks all' -d 'mend what is wrong, or leaks alone'
complete -c blkmon -n '__blkmon_sub check' -s q -l quiet -d 'say only what is wrong'
complete -c blkmon -n '__blkmon_sub check' -s U -l force-share -d 'look even while another program writes the image'
complete -c blkmon -n '__blkmon_sub check' -l json -d 'as JSON'
complete -c blkmon -n '__blkmon_sub check' -l output -x -a 'human json' -d 'the same, as qemu-img has it'
complete -c blkmon -n '__blkmon_sub check' -s h -l help -d 'this'
complete -c blkmon -n __blkmon_first -a map -d 'show where the bytes of the disk lie, in which file'
complete -c blkmon -n '__blkmon_sub map' -l start-offset -r -d 'begin there (0)'
complete -c blkmon -n '__blkmon_sub map' -l max-length -r -d 'how much (all)'
complete -c blkmon -n '__blkmon_sub map' -s U -l force-share -d 'look even while another program writes the image'
complete -c blkmon -n '__blkmon_sub map' -l json -d 'as JSON'
complete -c blkmon -n '__blkmon_sub map' -l output -x -a 'human json' -d 'the same, as qemu-img has it'
complete -c blkmon -n '__blkmon_sub map' -s f -x -a 'qcow2 raw' -d 'the format of the image'
complete -c blkmon -n '__blkmon_sub map' -l backing-format -x -a 'qcow2 raw' -d 'of backing files whose link does not record one'
complete -c blkmon -n '__blkmon_sub map' -l data-file -r -F -d 'the external data file of the next image that asks for one'
complete -c blkmon -n '__blkmon_sub map' -l probe -d 'guess the format of backing files whose link does not record one'
complete -c blkmon -n '__blkmon_sub map' -s h -l help -d 'this'
complete -c blkmon -n __blkmon_first -a compare -d 'say whether two disks read the same'
complete -c blkmon -n '__blkmon_sub compare' -s F -x -a 'qcow2 raw' -d 'the format of the second image'
complete -c blkmon -n '__blkmon_sub compare' -s s -d 'strict'
complete -c blkmon -n '__blkmon_sub compare' -s p -d 'show a bar, at a terminal'
complete -c blkmon -n '__blkmon_sub compare' -l progress -r -d 'write bytes done and bytes in all to a descriptor'
complete -c blkmon -n '__blkmon_sub compare' -s q -l quiet -d 'let the exit status alone say it'
complete -c blkmon -n '__blkmon_sub compare' -s U -l force-share -d 'look even while another program writes an image'
complete -c blkmon -n '__blkmon_sub compare' -s f -x -a 'qcow2 raw' -d 'the format of the image'
complete -c blkmon -n '__blkmon_sub compare' -l backing-format -x -a 'qcow2 raw' -d 'of backing files whose link does not record one'
complete -c blkmon -n '__blkmon_sub compare' -l data-file -r -F -d 'the external data file of the next image that asks for one'
complete -c blkmon -n '__blkmon_sub compare' -l probe -d 'guess the format of backing files whose link does not record one'
complete -c blkmon -n '__blkmon_sub compare' -s h -l help -d 'this'
complete -c blkmon -n __blkmon_first -a rebase -d 'give the image another backing file'
complete -c blkmon -n '__blkmon_sub rebase' -s b -r -F -d 'the new backing file, as the header is to name it'
complete -c blkmon -n '__blkmon_sub rebase' -s F -x -a 'qcow2 raw' -d 'the format of BASE'
complete -c blkmon -n '__blkmon_sub rebase' -s u -d 'change the header alone, unsafe'
complete -c blkmon -n '__blkmon_sub rebase' -s p -d 'show a bar, at a terminal'
complete -c blkmon -n '__blkmon_sub rebase' -l progress -r -d 'write bytes done and bytes in all to a descriptor'
complete -c blkmon -n '__blkmon_sub rebase' -s q -l quiet -d 'say only what is wrong'
complete -c blkmon -n '__blkmon_sub rebase' -l force -d 'even where internal snapshots change'
complete -c blkmon -n '__blkmon_sub rebase' -s f -x -a 'qcow2 raw' -d 'the format of the image'
complete -c blkmon -n '__blkmon_sub rebase' -l backing-format -x -a 'qcow2 raw' -d 'of backing files whose link does not record one'
complete -c blkmon -n '__blkmon_sub rebase' -l data-file -r -F -d 'the external data file of the next image that asks for one'
complete -c blkmon -n '__blkmon_sub rebase' -l probe -d 'guess the format of backing files whose link does not record one'
complete -c blkmon -n '__blkmon_sub rebase' -s h -l help -d 'this'
