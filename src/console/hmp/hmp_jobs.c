/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Commands whose words are not those of their QMP command.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/console/console.h"
#include "src/console/fields.h"
#include "src/console/hint.h"
#include "src/console/hmp/hmp.h"
#include "src/qmp/json/args.h"

/* An argument that is there, even if only to be skipped over as "". */
static void hmp_jobs_pass(json_t *to, const json_t *from, const char *key)
{
	if (*field_str(from, key))
		json_object_set(to, key, json_object_get(from, key));
}

/* -f in the words of QMP. */
static void pass_force(json_t *to, const json_t *from)
{
	if (field_bool(from, "force"))
		json_object_set_new(to, "x-blkmon-force", json_true());
}

/* A job is called after its drive. A second one on it is NAME-2, or the next
 * that is free: there is no place for a name in these lines. That is so in a
 * plan, too, and who takes it meanwhile is told. */
static void pass_free_id(struct console *c, json_t *to, const char *device)
{
	json_t *reply = channel_call(c->channel, "query-block-jobs", NULL);
	const json_t *jobs = json_object_get(reply, "return");
	char *id = mem_dup(device);

	for (unsigned n = 2; args_entry(jobs, "device", id); n++) {
		free(id);
		id = mem_printf("%s-%u", device, n);
	}
	if (strcmp(id, device))
		json_object_set_new(to, "job-id", json_string(id));
	free(id);
	json_decref(reply);
}

/* QMP's command of the same arguments, but for -f. */
static int do_with_force(struct console *c, const char *command, json_t *args)
{
	pass_force(args, args);
	json_object_del(args, "force");
	return console_do(c, command, json_incref(args));
}

int hmp_snapshot_blkdev(struct console *c, json_t *args)
{
	json_t *to;

	if (!json_object_get(args, "snapshot-file")) {
		console_printf(c, "Error: Parameter 'snapshot-file' is "
			       "missing\n");
		return -1;
	}
	to = json_pack("{s:s}", "mode", field_bool(args, "reuse") ?
		       "existing" : "absolute-paths");
	hmp_jobs_pass(to, args, "device");
	hmp_jobs_pass(to, args, "snapshot-file");
	hmp_jobs_pass(to, args, "format");
	pass_force(to, args);
	return console_do(c, "blockdev-snapshot-sync", to);
}

int hmp_block_stream(struct console *c, json_t *args)
{
	if (field_bool(args, "all") && *field_str(args, "base")) {
		console_printf(c, "block_stream: -a and base are mutually "
			       "exclusive\n");
		return -1;
	}
	json_object_del(args, "all");
	pass_free_id(c, args, field_str(args, "device"));
	return do_with_force(c, "block-stream", args);
}

int hmp_block_commit(struct console *c, json_t *args)
{
	json_t *to = json_object();

	hmp_jobs_pass(to, args, "device");
	hmp_jobs_pass(to, args, "base");
	hmp_jobs_pass(to, args, "top");
	if (json_object_get(args, "speed"))
		json_object_set(to, "speed", json_object_get(args, "speed"));
	if (field_bool(args, "keep"))
		json_object_set_new(to, "x-blkmon-keep", json_true());
	pass_force(to, args);
	pass_free_id(c, to, field_str(args, "device"));
	return console_do(c, "block-commit", to);
}

int hmp_redhat_commit(struct console *c, json_t *args)
{
	return do_with_force(c, "__com.redhat_block-commit", args);
}

int hmp_block_resize(struct console *c, json_t *args)
{
	return do_with_force(c, "block_resize", args);
}

/* Those that are not so yet. "all" is every job, unless one is called so. */
static int pause_all(struct console *c, const char *command, bool paused)
{
	json_t *jobs = console_query(c, "query-block-jobs", NULL), *job;
	int rc = jobs ? 0 : -1;
	size_t i;

	json_array_foreach(jobs, i, job)
		if (field_bool(job, "paused") != paused &&
		    console_do(c, command, json_pack("{s:O}", "device",
				       json_object_get(job, "device"))))
			rc = -1;
	json_decref(jobs);
	return rc;
}

static bool is_called_all(struct console *c)
{
	json_t *jobs = console_query(c, "query-block-jobs", NULL), *job;
	bool called = false;
	size_t i;

	json_array_foreach(jobs, i, job)
		called |= !strcmp(field_str(job, "device"), "all");
	json_decref(jobs);
	return called;
}

static int set_paused(struct console *c, json_t *args, const char *command,
		      bool paused)
{
	if (!strcmp(field_str(args, "device"), "all") && !is_called_all(c))
		return pause_all(c, command, paused);
	return console_do(c, command, json_incref(args));
}

int hmp_block_job_pause(struct console *c, json_t *args)
{
	return set_paused(c, args, "block-job-pause", true);
}

int hmp_block_job_resume(struct console *c, json_t *args)
{
	return set_paused(c, args, "block-job-resume", false);
}

struct hmp_commit {
	struct progress *progress;
	char *what;
};

static void hmp_commit_show(void *arg, uint64_t done, uint64_t total)
{
	const struct hmp_commit *shown = arg;

	progress_show(shown->progress, shown->what, done, total, false);
}

/* Somebody waits for it at a terminal. */
static json_t *hmp_commit_call(struct console *c, const char *device,
			       json_t *args)
{
	struct hmp_commit shown = {
		.progress = c->progress,
		.what = mem_printf("commit %s", device),
	};
	json_t *reply;

	if (progress_wanted(c->progress))
		c->channel->progress = hmp_commit_show;
	c->channel->progress_arg = &shown;
	reply = console_call(c, "x-blkmon-commit", args);
	c->channel->progress = NULL;
	progress_end(c->progress);
	free(shown.what);
	return reply;
}

/* QEMU prints what is wrong with `commit` without "Error: ". */
int hmp_commit(struct console *c, json_t *args)
{
	json_t *to = json_object(), *reply;
	const char *error;

	hmp_jobs_pass(to, args, "device");
	pass_force(to, args);
	if (c->aside)
		json_object_set_new(to, "wait", json_false());
	reply = hmp_commit_call(c, field_str(args, "device"), to);
	error = channel_error(reply);
	if (error)
		console_printf(c, "%s\n", error);
	hint_reply(c, reply, NULL);
	json_decref(reply);
	return error ? -1 : 0;
}
