/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "src/console/hmp/hmp.h"

const struct hmp_command hmp_commands[] = {
	{
		.name = "help", .aliases = "?",
		.params = "[cmd]", .args = "name:C?",
		.help = "list the commands, or explain one of them",
		.run = hmp_help,
	}, {
		/* The words of this help line are quoted by scripts. */
		.name = "commit", .params = "device|all",
		.args = "force:-f,device:B",
		.help = "commit changes to the disk images (if -snapshot is "
			"used) or backing files",
		.run = hmp_commit,
		.plans = true,
	}, {
		.name = "quit", .aliases = "q", .params = "", .args = "",
		.help = "cancel all jobs, close the images and leave",
		.qmp = "quit",
	}, {
		.name = "stop", .aliases = "s", .params = "", .args = "",
		.help = "hold the requests of the guest; jobs go on",
		.qmp = "stop",
	}, {
		.name = "cont", .aliases = "c", .params = "", .args = "",
		.help = "let the requests of the guest go on",
		.qmp = "cont",
	}, {
		.name = "info", .params = "[subcommand]", .args = "item:C?",
		.help = "show the state of images, jobs or the program",
		.run = hmp_info_help,
	}, {
		.name = "snapshot_blkdev",
		.params = "[-n] device [new-image-file] [format]",
		.args = "reuse:-n,force:-f,device:B,snapshot-file:F?,"
			"format:s?",
		.help = "put a new overlay (qcow2 unless format says\n"
			"\t\t\totherwise) on top of the device. The old layer "
			"becomes\n\t\t\tread-only. With -n the file is there "
			"already and is\n\t\t\tused as it is; with -f even "
			"if it is the\n\t\t\tbacking file of an image that "
			"is not open.",
		.run = hmp_snapshot_blkdev,
		.plans = true,
	}, {
		.name = "snapshot_blkdev_internal",
		.params = "device name", .args = "device:B,name:s",
		.help = "keep the disk as it is now under a name inside its "
			"active\n\t\t\tlayer, which has to be qcow2",
		.qmp = "blockdev-snapshot-internal-sync",
		.plans = true,
	}, {
		.name = "snapshot_delete_blkdev_internal",
		.params = "device name [id]", .args = "device:B,name:s,id:s?",
		.help = "delete what snapshot_blkdev_internal kept",
		.qmp = "blockdev-snapshot-delete-internal-sync",
	}, {
		.name = "block_stream",
		.params = "[-a] device [speed [base]]",
		.args = "all:-a,force:-f,device:B,speed:o?,base:I?",
		.help = "copy what the images between base and the device\n"
			"\t\t\thold up into the device, then drop them from "
			"its chain;\n\t\t\t-a or no base: the whole chain; "
			"-f: even where\n\t\t\tinternal snapshots change",
		.run = hmp_block_stream,
		.plans = true,
	}, {
		.name = "block_commit",
		.params = "device [base [top [speed]]]",
		.args = "force:-f,keep:-k,device:B,base:I?,top:I?,speed:o?",
		.help = "write the images above base up to top down into\n"
			"\t\t\tbase. With the active layer as top, or none, "
			"the job\n\t\t\tgets ready and waits for "
			"block_job_complete.\n\t\t\t-f: even where internal "
			"snapshots change,\n\t\t\tor overlays that are not "
			"open. -k: keep base, as a\n\t\t\tclone that costs "
			"nothing, for undo",
		.run = hmp_block_commit,
		.plans = true,
	}, {
		.name = "__com.redhat_block-commit",
		.params = "device base top [speed]",
		.args = "force:-f,device:B,base:I,top:I,speed:o?",
		.help = "commit the images between base and top into base",
		.run = hmp_redhat_commit,
		.plans = true,
	}, {
		.name = "block_job_set_speed", .params = "device speed",
		.args = "device:J,speed:o",
		.help = "set the speed limit of a job, a second; 0 for none",
		.qmp = "block-job-set-speed",
	}, {
		.name = "block_job_cancel", .params = "[-f] device",
		.args = "force:-f,device:J",
		.help = "end a job. A job that is ready ends with both\n"
			"\t\t\timages equal; with -f, or before it is ready, "
			"it just\n\t\t\tstops. The device stays on its "
			"active layer.",
		.qmp = "block-job-cancel",
		.plans = true,
	}, {
		.name = "block_job_complete", .params = "device",
		.args = "device:J",
		.help = "let a job that is ready end: the device goes over "
			"to base",
		.qmp = "block-job-complete",
		.plans = true,
	}, {
		.name = "block_job_pause", .params = "device|all",
		.args = "device:J",
		.help = "let a job stand still, or all of them",
		.run = hmp_block_job_pause,
	}, {
		.name = "block_job_resume", .params = "device|all",
		.args = "device:J",
		.help = "let a job that stands still go on, or all of them",
		.run = hmp_block_job_resume,
	}, {
		.name = "block_resize", .params = "device size",
		.args = "force:-f,device:B,size:o",
		.help = "change the size of the device's disk. -f: even if it "
			"is\n\t\t\tthe backing file of an image that is not "
			"open",
		.run = hmp_block_resize,
		.plans = true,
	}, {
		.name = "drive_add",
		.params = "[-n] [[<domain>:]<bus>:]<slot>\n"
			  "[file=file][,id=name][,format=format]"
			  "[,readonly=on|off][,cache=mode]\n"
			  "[,rerror=action][,werror=action][,force=on]",
		.args = "node:-n,pci_addr:s,opts:s",
		.help = "open an image as a device; the first word is passed\n"
			"\t\t\tover. With -n open a node, options as in "
			"blockdev-add.",
		.run = hmp_drive_add,
	}, {
		.name = "drive_del", .params = "device", .args = "id:B",
		.help = "close a device, or a node that drive_add -n opened",
		.run = hmp_drive_del,
	}, {
		.name = "delete", .params = "[-n] [-d] file...",
		.args = "dry-run:-n,data-files:-d,files:F+",
		.help = "remove images that nothing uses: nobody holds them,\n"
			"\t\t\tand no image beside them, or beside an open "
			"one,\n\t\t\tnames them. -n: say only what would go; "
			"-d: with\n\t\t\tthe external data files that no "
			"other image names",
		.run = hmp_delete,
		.plans = true,
	}, {
		.name = "undo", .params = "[-f] job", .args = "force:-f,id:s",
		.help = "take back a commit that kept base (-k): base and the "
			"\n\t\t\tchain are as before it; -f: even if base has "
			"overlays\n\t\t\tthat are not open",
		.run = hmp_undo,
		.plans = true,
	}, {
		.name = "drop_undo", .params = "job", .args = "id:s",
		.help = "throw away what a commit has kept for undo",
		.qmp = "x-blkmon-drop-undo",
	}, {
		.name = "rebase", .params = "[-f] file [base [format [speed]]]",
		.args = "force:-f,file:F,base:s?,base-format:s?,speed:o?",
		.help = "give an image that is not open another backing file,\n"
			"\t\t\tas a job that copies what it needs; no base: "
			"the one\n\t\t\tbelow its backing file; \"\": none; "
			"-f: even where\n\t\t\tinternal snapshots change",
		.run = hmp_rebase,
		.plans = true,
	}, {
		.name = "qemu-io", .params = "[-d] device \"command\"",
		.args = "qdev:-d,device:B,command:s",
		.help = "read and write as the guest does: read, write,\n"
			"\t\t\tdiscard, flush, length; \"help\" lists them. "
			"-d changes\n\t\t\tnothing.",
		.run = hmp_qemu_io,
	}, {
		.name = "nbd_server_start", .params = "[-a] [-w] uri",
		.args = "all:-a,writable:-w,uri:s",
		.help = "serve NBD at host:port or unix:PATH; without a\n"
			"\t\t\thost on this machine alone. -a exports every "
			"device,\n\t\t\t-w lets clients write",
		.run = hmp_nbd_server_start,
	}, {
		.name = "nbd_server_add", .params = "[-w] device [name]",
		.args = "writable:-w,device:B,name:s?",
		.help = "export a device over NBD; -w lets clients write",
		.qmp = "nbd-server-add",
	}, {
		.name = "nbd_server_remove", .params = "[-f] name",
		.args = "force:-f,name:s",
		.help = "end an export; -f even while clients use it",
		.run = hmp_nbd_server_remove,
	}, {
		.name = "nbd_server_stop", .params = "", .args = "",
		.help = "end all exports and the NBD server",
		.qmp = "nbd-server-stop",
	}, {
		.name = "plan", .params = "[--json] line", .args = "line:C",
		.help = "say what a line (HMP, qmp-shell or JSON) would do, "
			"and\n\t\t\tdo nothing: what moves, whether it fits, "
			"who is hit,\n\t\t\twhich files are left over; of "
			"a machine elsewhere\n\t\t\talso what is not known. "
			"--json: as x-blkmon-plan says it",
		.run = hmp_help,
	}, {
		.name = "connect",
		.params = "[NAME=]unix:PATH|tcp:HOST:PORT|ssh:HOST:PATH"
			  "[,look=on][,hold=off]",
		.args = "address:s",
		.help = "attach to the monitor of another machine; with\n"
			"\t\t\tlook=on nothing can be changed there, and\n"
			"\t\t\twith hold=off its monitor is held only while "
			"it is asked",
		.qmp = "x-blkmon-connect",
	}, {
		.name = "disconnect", .params = "place", .args = "place:s",
		.help = "leave a place; what runs there goes on",
		.qmp = "x-blkmon-disconnect",
	}, {
		.name = "places", .params = "", .args = "",
		.help = "show what this console is attached to",
		.run = hmp_places,
	}, {
		.name = "use", .params = "[place]", .args = "place:s?",
		.help = "mean this place (or that of the guest of this name)\n"
			"\t\t\tby names without one in front, and by QMP; "
			"without\n\t\t\ta word none",
		.run = hmp_use,
	}, {
		.name = "wait", .params = "[job] [ready|done] [timeout]",
		.args = "job:J?,state:s?,timeout:s?",
		.help = "wait until the job (all jobs) is done or, if so\n"
			"\t\t\tasked, ready; the timeout counts seconds. "
			"Fails if a\n\t\t\tjob that is waited for failed, "
			"or is gone and nobody\n\t\t\tknows how it ended.",
		.run = hmp_wait,
	},
	{ .name = NULL }
};

const struct hmp_command hmp_info_commands[] = {
	{
		.name = "block", .params = "[-n] [-v] [device]",
		.args = "nodes:-n,verbose:-v,device:B?",
		.help = "show one device or all (-n: the nodes; -v: the "
			"images of the chain too)",
		.run = hmp_info_block,
	}, {
		.name = "block-jobs", .params = "", .args = "",
		.help = "show how far the jobs are",
		.run = hmp_info_block_jobs,
	}, {
		.name = "blockstats", .params = "", .args = "",
		.help = "show what the guest read and wrote",
		.run = hmp_info_blockstats,
	}, {
		.name = "folder", .params = "[folder]", .args = "folder:F?",
		.help = "show all images of a folder, or beside the open "
			"ones, and who uses them",
		.run = hmp_info_folder,
	}, {
		.name = "history", .params = "", .args = "",
		.help = "show the lines typed so far",
		.run = hmp_info_history,
	}, {
		.name = "history-jobs", .params = "[count]",
		.args = "count:s?",
		.help = "show what jobs have done, the newest first (20 of "
			"them)",
		.run = hmp_info_history_jobs,
	}, {
		.name = "nbd", .params = "", .args = "",
		.help = "show the exports, their clients, and what these "
			"read and wrote",
		.run = hmp_info_nbd,
	}, {
		.name = "snapshots", .params = "", .args = "",
		.help = "show the snapshots that all disks have inside",
		.run = hmp_info_snapshots,
	}, {
		.name = "status", .params = "", .args = "",
		.help = "show whether the guest runs (running|paused)",
		.run = hmp_info_status,
	}, {
		.name = "undo", .params = "", .args = "",
		.help = "show the commits that can be taken back",
		.run = hmp_info_undo,
	}, {
		.name = "version", .params = "", .args = "",
		.help = "show whose protocol is spoken, and by whom",
		.run = hmp_info_version,
	},
	{ .name = NULL }
};

/* The families whose names were spelt with hyphens, with underscores, and
 * with both. */
static bool any_hyphen(const char *name)
{
	return !strncmp(name, "block_", 6) || !strncmp(name, "__com.", 6);
}

static bool is_name(const char *name, size_t name_len, const char *word,
		    size_t len, bool hyphens)
{
	if (name_len != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] != word[i] && !(hyphens && strchr("-_", name[i]) &&
					    strchr("-_", word[i])))
			return false;
	return true;
}

static bool is_alias(const char *aliases, const char *word, size_t len)
{
	while (aliases && *aliases) {
		size_t n = strcspn(aliases, "|");

		if (is_name(aliases, n, word, len, false))
			return true;
		aliases += n + (aliases[n] == '|');
	}
	return false;
}

const struct hmp_command *hmp_find(const struct hmp_command *table,
				   const char *word, size_t len)
{
	for (const struct hmp_command *cmd = table; cmd->name; cmd++)
		if (is_name(cmd->name, strlen(cmd->name), word, len,
			    any_hyphen(cmd->name)) ||
		    is_alias(cmd->aliases, word, len))
			return cmd;
	return NULL;
}

void hmp_names(const struct hmp_command *cmd, struct str *out)
{
	str_add(out, cmd->name);
	if (cmd->aliases)
		str_addf(out, "|%s", cmd->aliases);
}
