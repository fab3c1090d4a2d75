/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * blkmon undo: of a commit --keep.
 */
#include <stdio.h>

#include "engine/undo.h"
#include "src/offline/command.h"

const struct option_row undo_rows[] = {
	{ "drop", OPT_DROP,
	  .help = "throw away what is kept, and leave BASE as it is" },
	{ "force", OPT_FORCE,
	  .help = "even where another image lies on BASE by now" },
	{ 0 }
};

int undo_run(struct offline *o)
{
	struct err err = ERR_INIT;

	if (engine_undo_file(o->machine->engine, o->node.path, o->force,
			     o->drop, &err))
		return offline_fail(&err);
	puts(o->drop ? "What was kept is gone." : "Commit taken back.");
	return 0;
}
