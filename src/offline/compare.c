/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * blkmon compare, with the words and the exit status of qemu-img.
 */
#include <inttypes.h>
#include <stdio.h>

#include "engine/tools.h"
#include "src/offline/command.h"

enum { STATUS_EQUAL, STATUS_DIFFERENT, STATUS_NOT_OPEN, STATUS_NO_MAP,
       STATUS_NOT_READ };

const struct option_row compare_rows[] = {
	{ NULL, 'F', "FORMAT", .words = "qcow2|raw",
	  .help = "the format of the second image" },
	{ NULL, 's', .help = "strict: fail on different sizes or allocation" },
	OFFLINE_PROGRESS_ROWS,
	{ "quiet", 'q', .help = "let the exit status alone say it" },
	{ "force-share", 'U',
	  .help = "look even while another program writes an image" },
	{ 0 }
};

static int compare_say(const struct offline *o, const struct compare_result *r)
{
	uint64_t shorter = r->size[r->size[1] < r->size[0]];
	bool warn = r->size[0] != r->size[1] && r->found != COMPARE_SIZES &&
		(r->found == COMPARE_EQUAL || r->off >= shorter);

	if (o->quiet)
		return r->found == COMPARE_EQUAL ? STATUS_EQUAL :
			STATUS_DIFFERENT;
	if (warn)
		puts("Warning: Image size mismatch!");
	switch (r->found) {
	case COMPARE_EQUAL:
		puts("Images are identical.");
		return STATUS_EQUAL;
	case COMPARE_SIZES:
		puts("Strict mode: Image size mismatch!");
		break;
	case COMPARE_STATUS:
		printf("Strict mode: Offset %" PRIu64 " block status "
		       "mismatch!\n", r->off);
		break;
	case COMPARE_CONTENT:
		printf("Content mismatch at offset %" PRIu64 "!\n", r->off);
		break;
	}
	return STATUS_DIFFERENT;
}

int compare_run(struct offline *o)
{
	struct compare_options c = {
		.image = { o->node, o->node }, .strict = o->strict,
		.progress = offline_progress, .arg = o,
	};
	struct compare_result r;
	struct err err = ERR_INIT;
	int rc;

	c.image[1].path = o->image[1];
	c.image[1].format = o->format;
	o->bar = o->bar && !o->quiet;
	rc = engine_compare(o->machine->engine, &c, &r, &err);
	offline_progress_end(o);
	if (!rc)
		return compare_say(o, &r);
	offline_fail(&err);
	return r.stage == COMPARE_OPEN ? STATUS_NOT_OPEN :
		r.stage == COMPARE_MAP ? STATUS_NO_MAP : STATUS_NOT_READ;
}
