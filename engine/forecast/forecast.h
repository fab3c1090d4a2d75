/* forecast.h - what a request would do, for who wants to know before: a plan.
 *
 * What becomes of each byte is counted by the job's own code, run dry
 * (work.h); here is what that means for files, drives and space.
 */
#ifndef BLKMON_FORECAST_H
#define BLKMON_FORECAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/chain/siblings.h"
#include "engine/job/work.h"

/* An image, and what its file takes of the host. */
struct forecast_file {
	char node[NODE_NAME_MAX];	/* "": not open yet */
	char *path;
	const char *role;		/* "top", "base", "between"..., or
					   NULL */
	uint64_t bytes;
};

struct forecast_files {
	struct forecast_file *file;
	size_t count, cap;
};

struct forecast_names {
	char (*name)[128];
	size_t count, cap;
};

struct forecast {
	const char *kind;		/* "stream", "commit", "active-commit",
					   "commit-now", "snapshot",
					   "complete", "cancel", "resize",
					   "delete", "undo", "rebase" */
	char drive[128], job[128];	/* "": none */
	struct forecast_files layers;	/* that it concerns, from the top */
	struct copy_counts bytes;
	uint64_t left;			/* bytes of data that are still to be
					   moved; complete, cancel: of the job
					   that runs */
	struct {
		char *folder;		/* of the file that grows; or NULL */
		dev_t dev;		/* that it is on */
		uint64_t needs;		/* bytes */
		uint64_t has;		/* UINT64_MAX: not known */
		uint64_t reserved;	/* for jobs that run */
	} space;
	uint64_t freed;			/* bytes that it gives back itself */
	struct forecast_files unused;	/* afterwards: nobody open here reads
					   them, nor who was found */
	struct forecast_files after;	/* the chain of the drive, from the
					   top */
	struct forecast_files snapshots; /* images whose internal snapshots
					   would read something else */
	struct forecast_files siblings;	/* images that are not open and would
					   read something else */
	struct forecast_names drives;	/* others that see an image of it */
	struct forecast_names jobs;	/* others that fill the same space */
	bool rated;			/* the next is known */
	uint64_t seconds;		/* that it takes, about */
	bool cancel_restores;		/* no file is left changed then */
	const char *cancel;		/* a sentence */
	const char *undo;		/* of a commit: can it be taken back?
					   Another; else NULL */
};

void forecast_release(struct forecast *f);	/* 0s again */
void forecast_files_release(struct forecast_files *list);

/* What work would do, without its bytes: kind, layers, files, who is hit, also
 * of those who were found not to be open. Graph begun. 0 or -ENOMEM. */
int forecast_work(struct forecast *f, const struct work *w,
		  const struct siblings *found);
/* Only the chain of the drive over @top, and @top. The same. */
int forecast_top(struct forecast *f, struct node *top);
/* An image at the end (@first: at the beginning) of a list. 0 or -ENOMEM. */
int forecast_add(struct forecast_files *list, const struct node *node,
		 const char *path, const char *role, bool first);

int forecast_add_name(struct forecast_names *list, const char *name);

/* What the file system that @file is on has, what jobs have reserved there,
 * and how long it takes by what was measured so far; @speed limits it, 0: no
 * limit. */
int forecast_space(struct forecast *f, struct jobs *jobs,
		   const struct file *file, uint64_t speed);
/* The same for a file that is not there yet. */
int forecast_space_at(struct forecast *f, struct jobs *jobs, const char *path);
/* Of the file systems of @n plans the one that is left with the least, by what
 * all of them need there, is that of @f. 0 or -ENOMEM. */
int forecast_join_space(struct forecast *f, const struct forecast *list,
			size_t n);
/* Refuses what does not fit: "The commit needs 30.0M, /var/lib has 7.90M ...",
 * ERR_GENERIC. */
int forecast_check_space(const struct forecast *f, struct err *err);

#endif
