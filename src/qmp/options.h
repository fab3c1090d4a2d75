/* options.h - from the checked arguments of a request to the engine's options,
 * for the command that runs it and for the plan of it. Strings are borrowed
 * from @args. 0, or -1 and QEMU's words.
 */
#ifndef BLKMON_QMP_OPTIONS_H
#define BLKMON_QMP_OPTIONS_H

#include <jansson.h>

#include "engine/engine.h"

void options_stream(const json_t *args, struct stream_options *o);
/* @rhel6: of __com.redhat_block-commit. */
void options_commit(const json_t *args, bool rhel6, struct commit_options *o);
void options_snapshot(const json_t *args, struct snapshot_options *o);
void options_overlay(const json_t *args, struct snapshot_options *o);

/* Of the actions of a transaction; *o is the caller's to free. */
int options_transaction(const json_t *args, struct snapshot_options **o,
			size_t *n, struct err *err);
/* Of a snapshot inside an image. */
void options_internal(const json_t *args, struct snapshot_options *o);

/* The job behind "device" of block-job-*, or "id" of job-*. */
const char *options_job(const json_t *args);
/* @rc is how it went: job-* says of a missing job what QEMU says there.
 * Returns @rc. */
int options_job_error(int rc, const json_t *args, struct err *err);

struct resize_options {
	const char *device;		/* or node */
	uint64_t size;			/* as it was given, also below 0 */
	bool force;
};
void options_resize(const json_t *args, struct resize_options *o);
/* @rc is how it went: QEMU names only the argument that was given. Returns
 * @rc. */
int options_resize_error(int rc, const json_t *args, struct err *err);

/* The strings of a list that may be missing: *names, borrowed, in an array
 * which is the caller's to free; NULL if there are none. */
int options_names(const json_t *args, const char *key, const char ***names,
		  size_t *n, struct err *err);
struct rebase_job_options;
/* o->data_files is the caller's to free. */
int options_rebase(const json_t *args, struct rebase_job_options *o,
		   struct err *err);
struct delete_options;
/* o->files is the caller's to free. */
int options_delete(const json_t *args, struct delete_options *o,
		   struct err *err);
/* Of an error of that: who names a file that is not there gets those of its
 * folder that may go, as a tip. -1. */
int options_delete_error(struct engine *e, const struct delete_options *o,
			 struct err *err);

#endif
