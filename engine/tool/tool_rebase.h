/* tool_rebase.h - another backing file for an image: what tool_rebase(), the
 * job and the plan of it share.
 */
#ifndef BLKMON_TOOL_REBASE_H
#define BLKMON_TOOL_REBASE_H

#include "engine/chain/siblings.h"
#include "engine/job/rebase.h"
#include "engine/tool/tool.h"
#include "engine/tool/tools.h"

#define REBASE_ID "rebase"	/* of its job, and what kind that is */

struct rebasing {
	struct jobs *jobs;
	const struct rebase_options *o;
	const char *base;		/* NULL: none */
	const char *format;
	struct siblings siblings;	/* of the image, if it may change */
	struct tool below, image;
	char *words;			/* for the header; NULL: none */
	bool dry;			/* a plan: the image is not written */
	uint64_t read;			/* bytes of disks that were read ... */
	uint64_t copied;		/* ... and of data in the image now */
	rebase_failed *failed;		/* see rebase.h; gets o->arg */
};

/* Of @o, which is borrowed until rebase_close(). */
void rebase_init(struct rebasing *r, struct jobs *jobs,
		 const struct rebase_options *o);
/* Opens what it needs; all that can be refused is refused. 0, or -1 and err. */
int rebase_open(struct rebasing *r, struct err *err);
/* Copies what the image needs, durably. 0, -ECANCELED, or another negative
 * number and err. */
int rebase_fill(struct rebasing *r, struct err *err);
/* The header names the new base. 0, or -1 and err. */
int rebase_link(struct rebasing *r, struct err *err);
/* What it copies, from where. */
void rebase_name_files(const struct rebasing *r, struct job_end *end);
void rebase_close(struct rebasing *r);

#endif
