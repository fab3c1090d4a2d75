/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Start and control of jobs.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/tools.h"
#include "engine/util/clock.h"
#include "src/qmp/command.h"
#include "src/qmp/json/error.h"
#include "src/qmp/options.h"

/* How long a cancel waits for the job to be gone, so that a query right
 * behind it does not see it any more. A job that hangs on its disk is left
 * behind. */
#define CANCEL_WAIT_NS NS_PER_SEC

/* The order is QEMU's: of two that are wrong the first is told. */
#define ERROR_ARG "*on-error:e=report|ignore|enospc|stop|auto,"
#define END_ARGS "*auto-finalize:b,*auto-dismiss:b,*x-blkmon-force:b"
#define JOB_ARGS "*speed:i," ERROR_ARG "*filter-node-name:s," END_ARGS

/* To a job of QEMU, "auto" is "enospc". */
static enum on_error on_error(const json_t *args)
{
	const char *word = args_str(args, "on-error");
	enum on_error policy = ON_ERROR_REPORT;

	if (word && !strcmp(word, "auto"))
		policy = ON_ERROR_ENOSPC;
	else if (word)
		(void)on_error_parse(word, &policy);
	return policy;
}

static struct job_options qmp_jobs_job_options(const json_t *args)
{
	return (struct job_options) {
		.id = args_str(args, "job-id"),
		.on_error = on_error(args),
		.manual_finalize = !args_bool(args, "auto-finalize", true),
		.manual_dismiss = !args_bool(args, "auto-dismiss", true),
	};
}

void options_stream(const json_t *args, struct stream_options *o)
{
	*o = (struct stream_options){
		.device = args_str(args, "device"),
		.base = args_str(args, "base"),
		.base_node = args_str(args, "base-node"),
		.bottom = args_str(args, "bottom"),
		.backing_file = args_str(args, "backing-file"),
		.filter_node_name = args_str(args, "filter-node-name"),
		.job = qmp_jobs_job_options(args),
		.speed = args_int(args, "speed", 0),
		.force = args_bool(args, "x-blkmon-force", false),
	};
}

static json_t *block_stream(struct qmp_context *ctx, json_t *args,
			    struct err *err)
{
	struct stream_options o;

	options_stream(args, &o);
	return qmp_done(engine_stream(ctx->engine, &o, err));
}

void options_commit(const json_t *args, bool rhel6, struct commit_options *o)
{
	*o = (struct commit_options){
		.device = args_str(args, "device"),
		.base = args_str(args, "base"),
		.base_node = args_str(args, "base-node"),
		.top = args_str(args, "top"),
		.top_node = args_str(args, "top-node"),
		.backing_file = args_str(args, "backing-file"),
		.filter_node_name = args_str(args, "filter-node-name"),
		.job = qmp_jobs_job_options(args),
		.speed = args_int(args, "speed", 0),
		.force = args_bool(args, "x-blkmon-force", false),
		.keep = args_bool(args, "x-blkmon-keep", false),
		.rhel6 = rhel6,
		.words_72 = qmp_error_is_72(),
	};
}

static json_t *qmp_jobs_commit(struct qmp_context *ctx, json_t *args,
			       bool rhel6, struct err *err)
{
	struct commit_options o;

	options_commit(args, rhel6, &o);
	return qmp_done(engine_commit(ctx->engine, &o, err));
}

static json_t *block_commit(struct qmp_context *ctx, json_t *args,
			    struct err *err)
{
	return qmp_jobs_commit(ctx, args, false, err);
}

static json_t *redhat_commit(struct qmp_context *ctx, json_t *args,
			     struct err *err)
{
	return qmp_jobs_commit(ctx, args, true, err);
}

int options_rebase(const json_t *args, struct rebase_job_options *o,
		   struct err *err)
{
	const char **files;
	size_t n;

	if (options_names(args, "data-files", &files, &n, err))
		return -1;
	*o = (struct rebase_job_options){
		.file = args_str(args, "file"),
		.format = args_str(args, "format"),
		.base = args_str(args, "base"),
		.base_format = args_str(args, "base-format"),
		.force = args_bool(args, "x-blkmon-force", false),
		.data_files = files, .data_file_count = n,
		.job = qmp_jobs_job_options(args),
		.speed = args_int(args, "speed", 0),
	};
	return 0;
}

static json_t *x_rebase(struct qmp_context *ctx, json_t *args, struct err *err)
{
	struct rebase_job_options o;
	int rc = options_rebase(args, &o, err);

	if (!rc) {
		rc = engine_rebase_start(ctx->engine, &o, err);
		free((void *)o.data_files);
	}
	return qmp_done(rc);
}

const char *options_job(const json_t *args)
{
	const char *device = args_str(args, "device");

	return device ? device : args_str(args, "id");
}

int options_job_error(int rc, const json_t *args, struct err *err)
{
	if (rc && args_str(args, "id") && err->class == ERR_DEVICE_NOT_ACTIVE)
		err_set(err, ERR_GENERIC, "Job not found");
	return rc;
}

static json_t *job_done(int rc, const json_t *args, struct err *err)
{
	return qmp_done(options_job_error(rc, args, err));
}

static json_t *qmp_jobs_cancel(struct qmp_context *ctx, const json_t *args,
			       bool force, struct err *err)
{
	return job_done(engine_job_cancel(ctx->engine, options_job(args),
					  force, CANCEL_WAIT_NS, err), args,
			err);
}

static json_t *block_job_cancel(struct qmp_context *ctx, json_t *args,
				struct err *err)
{
	return qmp_jobs_cancel(ctx, args, args_bool(args, "force", false), err);
}

static json_t *job_cancel_force(struct qmp_context *ctx, json_t *args,
				struct err *err)
{
	return qmp_jobs_cancel(ctx, args, true, err);
}

static json_t *pause_job(struct qmp_context *ctx, json_t *args,
			 struct err *err)
{
	return job_done(engine_job_pause(ctx->engine, options_job(args), err),
			args, err);
}

static json_t *resume_job(struct qmp_context *ctx, json_t *args,
			  struct err *err)
{
	return job_done(engine_job_resume(ctx->engine, options_job(args), err),
			args, err);
}

static json_t *complete_job(struct qmp_context *ctx, json_t *args,
			    struct err *err)
{
	return job_done(engine_job_complete(ctx->engine, options_job(args),
					    err), args, err);
}

static json_t *finalize_job(struct qmp_context *ctx, json_t *args,
			    struct err *err)
{
	return job_done(engine_job_finalize(ctx->engine, options_job(args),
					    err), args, err);
}

static json_t *dismiss_job(struct qmp_context *ctx, json_t *args,
			   struct err *err)
{
	return job_done(engine_job_dismiss(ctx->engine, options_job(args), err),
			args, err);
}

/* These call it "id" and miss it as block-job-* do. */
static json_t *block_job_finalize(struct qmp_context *ctx, json_t *args,
				  struct err *err)
{
	return qmp_done(engine_job_finalize(ctx->engine, options_job(args),
					    err));
}

static json_t *block_job_dismiss(struct qmp_context *ctx, json_t *args,
				 struct err *err)
{
	return qmp_done(engine_job_dismiss(ctx->engine, options_job(args),
					   err));
}

/* Before 2012 the speed was called "value". */
static json_t *qmp_jobs_set_speed(struct qmp_context *ctx, json_t *args,
				  struct err *err)
{
	json_t *speed = json_object_get(args, "speed");
	json_t *value = json_object_get(args, "value");

	if (!speed && !value)
		err_set(err, ERR_GENERIC, "Parameter 'speed' is missing");
	else if (speed && value)
		err_set(err, ERR_GENERIC, "'speed' and 'value' cannot be "
			"specified at the same time");
	else
		return qmp_done(engine_job_set_speed(ctx->engine,
			args_str(args, "device"),
			json_integer_value(speed ? speed : value), err));
	return NULL;
}

const struct qmp_command qmp_job_commands[] = {
	{ "block-stream", "*job-id:s,device:s,*base:s,*base-node:s,"
	  "*backing-file:s,*bottom:s," JOB_ARGS,
	  block_stream, true },
	{ "block-commit",
	  "*job-id:s,device:s,*base-node:s,*base:s,*top-node:s,*top:s,"
	  "*backing-file:s," JOB_ARGS ",*x-blkmon-keep:b",
	  block_commit, true },
	{ "__com.redhat_block-commit",
	  "device:s,*base:s,top:s,*speed:i,"
	  "*x-blkmon-force:b",
	  redhat_commit, true },
	{ "x-blkmon-rebase",
	  "file:s,*format:s,*base:s,*base-format:s,*data-files:a,*job-id:s,"
	  "*speed:i," ERROR_ARG END_ARGS, x_rebase, false },
	{ "block-job-set-speed", "device:s,*speed:i,*value:i",
	  qmp_jobs_set_speed, true },
	{ "block-job-cancel", "device:s,*force:b", block_job_cancel, true },
	{ "block-job-pause", "device:s", pause_job, true },
	{ "block-job-resume", "device:s", resume_job, true },
	{ "block-job-complete", "device:s", complete_job, true },
	{ "block-job-finalize", "id:s", block_job_finalize, true },
	{ "block-job-dismiss", "id:s", block_job_dismiss, true },
	{ "job-cancel", "id:s", job_cancel_force, false },
	{ "job-pause", "id:s", pause_job, false },
	{ "job-resume", "id:s", resume_job, false },
	{ "job-complete", "id:s", complete_job, false },
	{ "job-finalize", "id:s", finalize_job, false },
	{ "job-dismiss", "id:s", dismiss_job, false },
	{ .name = NULL }
};
