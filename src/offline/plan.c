/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * blkmon plan: what a commit, a stream or a snapshot of images that nobody has
 * open would do. They are opened read-only, with the locks of a reader, and
 * then it is the request that is planned at a prompt.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/console/plan_text.h"
#include "src/offline/command.h"

#define PLAN_DEVICE "disk0"	/* so do lines of a plan fit `blkmon IMAGE` */

const struct option_row plan_rows[] = {
	{ NULL, 'b', "BASE", .takes = OPTION_FILE,
	  .help = "commit into BASE; stream what lies above BASE" },
	{ "json", OPT_JSON, .help = "as JSON" },
	{ "force", OPT_FORCE,
	  .help = "as if forced: even where internal snapshots change, or\n"
		"overlays that are not open, or it does not fit" },
	{ 0 }
};

static const struct plan_verb {
	const char *name, *command, *file;	/* its argument for a file */
	bool new_file;			/* that is the second name; else -b,
					   which may be left out */
} plan_verbs[] = {
	{ "commit", "x-blkmon-commit", "base", false },
	{ "stream", "block-stream", "base", false },
	{ "snapshot", "blockdev-snapshot-sync", "snapshot-file", true },
};

#define PLAN_VERBS (sizeof(plan_verbs) / sizeof(*plan_verbs))

/* The verb, if all that it takes is there and no more; NULL: that was said. */
static const struct plan_verb *plan_verb_of(const struct offline *o)
{
	const struct plan_verb *verb = NULL;

	for (size_t i = 0; i < PLAN_VERBS; i++)
		if (!strcmp(plan_verbs[i].name, o->image[0]))
			verb = &plan_verbs[i];
	if (!verb)
		fputs("blkmon plan: commit, stream or snapshot\n", stderr);
	else if (verb->new_file && (!o->image[2] || o->base || o->force))
		fputs("blkmon plan: a snapshot takes an image and the name of "
		      "a new one\n", stderr);
	else if (!verb->new_file && o->image[2])
		fprintf(stderr, "blkmon plan: a %s takes one image\n",
			verb->name);
	else
		return verb;
	return NULL;
}

static json_t *plan_make_request(const struct offline *o,
				 const struct plan_verb *verb,
				 struct err *err)
{
	const char *name = verb->new_file ? o->image[2] : o->base;
	json_t *args = json_pack("{s:s}", "device", PLAN_DEVICE);
	json_t *file = name ? json_string(name) : NULL;

	if (name && !file) {
		err_set(err, ERR_GENERIC, "'%s' is not UTF-8", name);
		json_decref(args);
		return NULL;
	}
	if (file)
		json_object_set_new(args, verb->file, file);
	if (o->force)
		json_object_set_new(args, "x-blkmon-force", json_true());
	return json_pack("{s:{s:s, s:o}}", "request", "execute",
			 verb->command, "arguments", args);
}

static void plan_show(const struct offline *o, const json_t *plan)
{
	char *text;

	if (o->json) {
		offline_put_json(plan);
		return;
	}
	text = plan_text_of(plan, NULL);
	offline_put_text(text);
	free(text);
}

static int plan_say(struct offline *o, json_t *request, struct err *err)
{
	json_t *plan = offline_ask(o->machine, "x-blkmon-plan", request, err);

	if (!plan)
		return -1;
	plan_show(o, plan);
	json_decref(plan);
	return 0;
}

int plan_run(struct offline *o)
{
	const struct plan_verb *verb = plan_verb_of(o);
	struct drive_options drive = { .id = PLAN_DEVICE, .node = o->node,
				       .only_plans = true,
				       .guess_unsaid = true };
	struct err err = ERR_INIT;
	json_t *request;

	if (!verb)
		return offline_usage();
	drive.node.path = o->image[1];
	request = plan_make_request(o, verb, &err);
	if (!request)
		return offline_fail(&err);
	if (engine_add_drive(o->machine->engine, &drive, &err)) {
		json_decref(request);
		return offline_fail(&err);
	}
	return plan_say(o, request, &err) ? offline_fail(&err) : 0;
}
