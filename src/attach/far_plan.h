/* far_plan.h - a plan as it is made: what its checks found, and its parts. */
#ifndef BLKMON_ATTACH_FAR_PLAN_H
#define BLKMON_ATTACH_FAR_PLAN_H

#include "src/attach/far_impl.h"

struct far_plan {
	const struct far_call *call;
	const char *name;		/* of the command */
	json_t *args;			/* borrowed */
	struct far_names names;
	json_t *by_name;		/* node name -> its entry */
	json_t *below;			/* node name -> the one below, or "" */
	json_t *jobs;			/* query-block-jobs */
	json_t *works;			/* far_works(), or NULL */
	char *job;			/* id of one that it would start */
	json_t *out;			/* the plan */

	const struct far_drive *drive;	/* that it is about, or NULL */
	const char *root;		/* on top of what it is about; "" */
	const json_t **chain;		/* from the root down, ... */
	size_t n;			/* ... borrowed */
	json_t *places;			/* node name -> its number in it */
	size_t top, base;		/* in it; n: none */
	size_t first;			/* [first, base) leave the chain */
};

/* --- far_plan_check.c --- */

/* Nodes, jobs and who uses what, at one moment. Refuses what is refused of all
 * that changes something there, but not that the place is only looked at. 0, or
 * -1 and err; released either way. */
int far_plan_load(struct far_plan *p, const char *name, struct err *err);
void far_plan_release(struct far_plan *p);
/* What is not in @spec is not judged. */
int far_plan_check_args(const char *spec, json_t *args, struct err *err);

/* The drive or node of p->args: p->drive, root, and chain. */
void far_plan_take_drive(struct far_plan *p);
void far_plan_take_chain(struct far_plan *p, const char *root);
/* In the chain; p->n: it is not there. */
size_t far_plan_find(const struct far_plan *p, const char *node);
const json_t *far_plan_node(const struct far_plan *p, const char *node);
const char *far_plan_below(const struct far_plan *p, const char *node);
/* All that is known to be refused is refused, in the end's words. 0, or -1 and
 * err. The first sets top, base and job. */
int far_plan_check_start(struct far_plan *p, bool stream, struct err *err);
int far_plan_check_now(struct far_plan *p, struct err *err);
int far_plan_check_snapshot(struct far_plan *p, struct err *err);
int far_plan_check_overlay(struct far_plan *p, const json_t *overlay,
			   struct err *err);
int far_plan_check_inside(struct far_plan *p, struct err *err);
int far_plan_check_resize(struct far_plan *p, struct err *err);
/* The job of p->args, which takes @verb now; NULL and err. */
const json_t *far_plan_check_verb(struct far_plan *p, const char *verb,
				  struct err *err);
bool far_plan_is_forced(const struct far_plan *p);

/* --- far_plan_parts.c: each sets or adds to a member of the plan --- */

/* One of its lists or objects; borrowed. */
json_t *far_plan_part(struct far_plan *p, const char *key);
/* An image as plans have them; @role may be NULL. */
json_t *far_plan_entry(const json_t *node, const char *role);
void far_plan_add(struct far_plan *p, const char *key, const json_t *node,
		  const char *role);
void far_plan_kind_is(struct far_plan *p, const char *kind);
void far_plan_job_is(struct far_plan *p, const char *id);
void far_plan_cancel_is(struct far_plan *p, const char *says);
/* The plan does not know @what. */
void far_plan_unknown(struct far_plan *p, const char *what);
/* What grows, and by how much (taken); the rest of that is not known. */
void far_plan_space_in(struct far_plan *p, const char *file, json_t *needs);
/* Is @node, or another node of its file, in the chain of @root? */
bool far_plan_chain_has(struct far_plan *p, const char *root,
			const char *node);
/* Other drives that read @target. */
void far_plan_find_drives(struct far_plan *p, const char *target);
void far_plan_find_exports(struct far_plan *p);
/* By top, base and first: */
void far_plan_find_layers(struct far_plan *p);
void far_plan_find_after(struct far_plan *p);
void far_plan_find_unused(struct far_plan *p);
void far_plan_find_snapshots(struct far_plan *p, bool stream);
/* How much of what leaves the chain is moved; returns how much room that takes
 * at most, about, in bytes. */
uint64_t far_plan_estimate(struct far_plan *p);

#endif
