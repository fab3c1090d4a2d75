/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * blkmon rebase, as qemu-img's.
 */
#include "engine/tools.h"
#include "src/offline/command.h"

const struct option_row rebase_rows[] = {
	{ NULL, 'b', "BASE", .takes = OPTION_FILE,
	  .help = "the new backing file, as the header is to name it;\n"
		"empty: none" },
	{ NULL, 'F', "FORMAT", .words = "qcow2|raw",
	  .help = "the format of BASE" },
	{ NULL, 'u', .help = "change the header alone, unsafe" },
	OFFLINE_PROGRESS_ROWS,
	{ "quiet", 'q', .help = "say only what is wrong" },
	{ "force", OPT_FORCE,
	  .help = "even where internal snapshots change, or (-u) images that\n"
		"have this one for their backing file" },
	OFFLINE_HISTORY_ROW,
	{ 0 }
};

int rebase_run(struct offline *o)
{
	const struct rebase_options r = {
		.image = o->node, .base = o->base, .format = o->format,
		.unsafe = o->unsafe, .force = o->force,
		.progress = offline_progress, .arg = o,
	};
	struct err err = ERR_INIT;
	int rc;

	if (!o->base && !o->unsafe) {
		err_set(&err, ERR_GENERIC, "Must specify backing file (-b) or "
			"use simple rebase mode (-u)");
		return offline_fail(&err);
	}
	if (o->quiet)
		o->progress.row_fd = -1;
	if (offline_begin(o, &err))
		return offline_fail(&err);
	rc = engine_rebase(o->machine->engine, &r, &err);
	offline_progress_end(o);
	offline_end(o);
	return rc ? offline_fail(&err) : 0;
}
