/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What changes something: each row takes a request of the dialect and makes
 * the end's own of it.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "src/attach/far_impl.h"
#include "src/qmp/json/args.h"

/* -f is about checks that only a blkmon makes. */
static void far_drop_force(struct far *f, json_t *args)
{
	if (!far_speaks_dialect(f))
		json_object_del(args, "x-blkmon-force");
}

/* @args with "device" as the end has it: a drive's name, or @key with the node
 * where there is none. What is not known stays: the end has words for it. */
static void far_device_of(const struct far_names *names, json_t *args,
			  const char *key)
{
	const struct far_drive *drive = far_names_find(names, far_arg(
						       args, "device"));
	json_t *value;

	if (!drive || (!*drive->device && !*drive->node))
		return;
	value = json_string(*drive->device ? drive->device : drive->node);
	json_object_del(args, "device");
	json_object_set_new(args, *drive->device ? "device" : key, value);
}

/* --- snapshots --- */

/* A name that no node has, the caller's; *n moves behind its number. */
static char *far_new_node(const struct far_names *names, unsigned *n)
{
	for (;;) {
		char *name = mem_printf(FAR_PREFIX "node-%u", (*n)++);

		if (!far_names_node(names, name))
			return name;
		free(name);
	}
}

static void far_name_overlay(const struct far_names *names,
			     const struct far_drive *drive, unsigned *n,
			     json_t *args)
{
	char *node;

	if (*drive->device)
		return;
	json_object_del(args, "device");
	json_object_set_new(args, "node-name", json_string(drive->node));
	if (json_object_get(args, "snapshot-node-name"))
		return;
	node = far_new_node(names, n);
	json_object_set_new(args, "snapshot-node-name", json_string(node));
	free(node);
}

/* Where nobody holds on to the new layer it would be gone at once, and what is
 * written after it. */
int far_check_user(const struct far_names *names, const char *word,
		   struct err *err)
{
	const struct far_drive *drive = far_names_find(names, word);

	if (drive || !far_names_node(names, word))
		return 0;
	return err_set(err, ERR_GENERIC, "nothing uses '%s': a new layer on "
		       "it would not stay; export it first", word);
}

/* Makes the arguments of a snapshot the end's own. 0, or -1 and err. */
static int far_name_snapshot(const struct far_names *names, unsigned *n,
			     json_t *args, struct err *err)
{
	const char *word = far_arg(args, "device");
	const struct far_drive *drive = far_names_find(names, word);

	if (!drive)
		return far_check_user(names, word, err);
	if (*drive->device)
		json_object_set_new(args, "device",
				    json_string(drive->device));
	else
		far_name_overlay(names, drive, n, args);
	return 0;
}

static json_t *far_snapshot(const struct far_call *call, const char *name,
			    json_t *args, struct err *err)
{
	struct far_names names;
	unsigned n = 1;
	int rc;

	if (far_speaks_dialect(call->far))
		return far_pass(call, name, args, err);
	far_drop_force(call->far, args);
	if (far_names_load(&names, call, err))
		return NULL;
	rc = far_name_snapshot(&names, &n, args, err);
	far_names_release(&names);
	return rc ? NULL : far_pass(call, name, args, err);
}

/* Its other actions are left as they are. */
static int far_name_action(const struct far_call *call,
			   const struct far_names *names, unsigned *n,
			   const json_t *action, struct err *err)
{
	json_t *data = json_object_get(action, "data");
	const char *type = far_arg(action, "type");

	if (!strcmp(type, "blockdev-snapshot-sync")) {
		far_drop_force(call->far, data);
		return far_name_snapshot(names, n, data, err);
	}
	if (!strcmp(type, "blockdev-snapshot-internal-sync"))
		far_device_of(names, data, "device");
	return 0;
}

static json_t *far_transaction(const struct far_call *call, const char *name,
			       json_t *args, struct err *err)
{
	struct far_names names;
	json_t *action;
	unsigned n = 1;
	int rc = 0;
	size_t i;

	if (far_speaks_dialect(call->far))
		return far_pass(call, name, args, err);
	if (far_names_load(&names, call, err))
		return NULL;
	json_array_foreach(json_object_get(args, "actions"), i, action)
		rc = rc ? rc : far_name_action(call, &names, &n, action, err);
	far_names_release(&names);
	return rc ? NULL : far_pass(call, name, args, err);
}

/* --- commands of one drive --- */

static json_t *far_by_device(const struct far_call *call, const char *name,
			     json_t *args, struct err *err)
{
	struct far_names names;

	far_drop_force(call->far, args);
	if (far_names_load(&names, call, err))
		return NULL;
	far_device_of(&names, args, "device");
	far_names_release(&names);
	return far_pass(call, name, args, err);
}

/* What lies behind a new, nearer end would be gone: other ends cut it off
 * without a question. */
int far_check_grows(const struct far_names *names, const json_t *args,
		    struct err *err)
{
	const char *device = far_arg(args, "device");
	const char *word = *device ? device : far_arg(args, "node-name");
	const struct far_drive *drive = far_names_find(names, word);
	int64_t size = args_int(args, "size", 0), now;

	now = args_int(json_object_get(far_names_node(names, drive ?
						      drive->node : word),
				       "image"), "virtual-size", 0);
	if (size >= now)
		return 0;
	return err_set(err, ERR_NOT_SUPPORTED, "Shrinking images is not "
		       "supported: '%s' has %lld bytes", word,
		       (long long)now);
}

static json_t *far_resize(const struct far_call *call, const char *name,
			  json_t *args, struct err *err)
{
	struct far_names names;
	int rc;

	far_drop_force(call->far, args);
	if (far_names_load(&names, call, err))
		return NULL;
	rc = far_check_grows(&names, args, err);
	if (!rc)
		far_device_of(&names, args, "node-name");
	far_names_release(&names);
	return rc ? NULL : far_pass(call, name, args, err);
}

/* The export keeps the name that was asked for. */
static json_t *far_nbd_add(const struct far_call *call, const char *name,
			   json_t *args, struct err *err)
{
	if (!json_object_get(args, "name"))
		json_object_set_new(args, "name",
				    json_string(far_arg(args, "device")));
	return far_by_device(call, name, args, err);
}

/* --- jobs --- */

char *far_job_id(const char *word)
{
	char *id = mem_printf(FAR_PREFIX "%s", word);

	for (char *c = id; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("-._", *c))
			*c = '-';
	return id;
}

/* A job that ended and waits for nothing but us does not stand in the way of
 * the next one of its name. */
static int far_free_id(const struct far_call *call, const char *shown,
		       struct err *err)
{
	json_t *list = far_ask(call, "query-jobs", NULL, err), *entry;
	int rc = list ? 0 : -1;
	size_t i;

	json_array_foreach(list, i, entry) {
		const char *id = far_arg(entry, "id");

		if (strcmp(far_job_shown(id), shown))
			continue;
		if (strcmp(id, shown) &&
		    !strcmp(far_arg(entry, "status"), "concluded"))
			far_jobs_dismiss(call, id);
		else
			rc = err_set(err, ERR_GENERIC, "Job ID '%s' already "
				     "in use", shown);
	}
	json_decref(list);
	return rc;
}

/* "base" of "/x/base.qcow2" or "base.qcow2" becomes "base-node". */
static void far_name_image(const struct far_names *names, const char *top,
			   json_t *args, const char *key, const char *node_key)
{
	const char *word = args_str(args, key);
	const char *node = word ? far_names_image(names, top, word) : NULL;

	if (!node)
		return;
	json_object_set_new(args, node_key, json_string(node));
	json_object_del(args, key);
}

struct far_start {
	char *id;		/* of the job at the end */
	char *top, *base;	/* nodes, "" not known */
	bool active;		/* it gets READY */
};

static void far_start_release(struct far_start *s)
{
	free(s->id);
	free(s->top);
	free(s->base);
}

/* What the job works on: of a commit from top into base, of a stream all
 * above base into the device. */
static void far_start_images(struct far_start *s, const struct far_names *names,
			     const char *root, const char *name,
			     const json_t *args)
{
	bool stream = !strcmp(name, "block-stream");
	const char *top = far_arg(args, "top-node");
	const char *base = far_arg(args, "base-node"), *below;

	s->top = mem_dup(stream || !*top ? root : top);
	s->active = !stream && !strcmp(s->top, root);
	if (!*base && !stream && !json_object_get(args, "base"))
		for (below = root; *below; below = far_names_below(names,
								   below))
			base = below;
	s->base = mem_dup(base);
}

/* Makes @args the end's own, and finds out what the job will be. */
static int far_start_prepare(const struct far_call *call, const char *name,
			     json_t *args, struct far_start *s,
			     struct err *err)
{
	const struct far_drive *drive;
	struct far_names names;
	const char *root;

	if (far_names_load(&names, call, err))
		return -1;
	drive = far_names_find(&names, far_arg(args, "device"));
	s->id = far_job_id(drive ? drive->shown : far_arg(args, "device"));
	if (drive && (*drive->device || *drive->node))
		json_object_set_new(args, "device", json_string(
			*drive->device ? drive->device : drive->node));
	root = drive ? drive->node : far_arg(args, "device");
	far_name_image(&names, root, args, "base", "base-node");
	far_name_image(&names, root, args, "top", "top-node");
	far_start_images(s, &names, root, name, args);
	far_names_release(&names);
	return 0;
}

static json_t *far_start_run(const struct far_call *call, const char *name,
			     json_t *args, const struct far_start *s,
			     struct err *err)
{
	json_t *value;

	if (far_free_id(call, far_job_shown(s->id), err))
		return NULL;
	json_object_set_new(args, "job-id", json_string(s->id));
	/* So that its end can be read later; not of a stream: far_nodes.c. */
	if (far_speaks_dialect(call->far) || strcmp(name, "block-stream"))
		json_object_set_new(args, "auto-dismiss", json_false());
	far_jobs_own(call->far, s->id, s->top, s->base, s->active);
	value = far_pass(call, name, args, err);
	/* Of a lost answer nobody knows, so it stays ours. */
	if (!value && err->errnum != EINPROGRESS)
		far_jobs_forget(call->far, s->id);
	return value;
}

static json_t *far_start(const struct far_call *call, const char *name,
			 json_t *args, struct err *err)
{
	struct far_start s = { 0 };
	json_t *value = NULL;

	far_drop_force(call->far, args);
	if (far_check_keep(call, args, err))
		return NULL;
	if (!far_start_prepare(call, name, args, &s, err))
		value = far_start_run(call, name, args, &s, err);
	far_start_release(&s);
	return value;
}

/* The old spelling of a commit that is not of the active layer. */
static json_t *far_redhat(const struct far_call *call, const char *name,
			  json_t *args, struct err *err)
{
	(void)name;
	return far_start(call, "block-commit", args, err);
}

/* The end's words with the name that people know. */
static void far_name_job(const char *id, struct err *err)
{
	const char *at = strstr(err->text, id), *shown = far_job_shown(id);
	struct err words = ERR_INIT;

	if (!at || shown == id)
		return;
	err_set(&words, err->class, "%.*s%s%s", (int)(at - err->text),
		err->text, shown, at + strlen(id));
	words.errnum = err->errnum;
	*err = words;
}

static json_t *far_job_verb(const struct far_call *call, const char *name,
			    json_t *args, struct err *err)
{
	const char *key = json_object_get(args, "device") ? "device" : "id";
	char *id = far_job_find(call, far_arg(args, key), err);
	json_t *value;

	if (!id)
		return NULL;
	json_object_set_new(args, key, json_string(id));
	value = far_pass(call, name, args, err);
	if (!value)
		far_name_job(id, err);
	free(id);
	return value;
}

/* block-job-pause and its kind are on their way out: job-pause with "id",
 * where the end has it. */
static json_t *far_job_newer(const struct far_call *call, const char *name,
			     json_t *args, struct err *err)
{
	const char *newer = name + strlen("block-");
	json_t *id = json_object_get(args, "device");

	if (!far_can(call->far, newer))
		return far_job_verb(call, name, args, err);
	if (id)
		json_object_set(args, "id", id);
	json_object_del(args, "device");
	return far_job_verb(call, newer, args, err);
}

/* --- the rest --- */

static json_t *far_io(const struct far_call *call, const char *name,
		      json_t *args, struct err *err)
{
	if (far_speaks_dialect(call->far))
		return far_pass(call, name, args, err);
	return far_not_here("qemu-io", err);
}

/* stop and cont. */
static json_t *far_run_guest(const struct far_call *call, const char *name,
			     json_t *args, struct err *err)
{
	if (far_can(call->far, name))
		return far_pass(call, name, args, err);
	err_set(err, ERR_NOT_SUPPORTED, "there is no guest here");
	return NULL;
}

/* A far end is left, and not ended. */
static json_t *far_never(const struct far_call *call, const char *name,
			 json_t *args, struct err *err)
{
	(void)call;
	(void)args;
	err_set(err, ERR_GENERIC, "'%s' is not sent to another machine", name);
	return NULL;
}

const struct far_verb far_verbs[] = {
	{ "blockdev-snapshot-sync", far_snapshot },
	{ "transaction", far_transaction },
	{ "blockdev-snapshot-internal-sync", far_by_device },
	{ "blockdev-snapshot-delete-internal-sync", far_by_device },
	{ "block_resize", far_resize },
	{ "block-stream", far_start },
	{ "block-commit", far_start },
	{ "__com.redhat_block-commit", far_redhat },
	{ "block-job-set-speed", far_job_verb },
	{ "block-job-cancel", far_job_verb },
	{ "block-job-pause", far_job_newer },
	{ "block-job-resume", far_job_newer },
	{ "block-job-complete", far_job_newer },
	{ "block-job-finalize", far_job_newer },
	{ "block-job-dismiss", far_job_newer },
	{ "nbd-server-add", far_nbd_add },
	{ "x-blkmon-commit", far_commit },
	{ "x-blkmon-io", far_io },
	{ "x-blkmon-drive-add", far_drive_add },
	{ "x-blkmon-drive-del", far_drive_del },
	{ "stop", far_run_guest },
	{ "cont", far_run_guest },
	{ "quit", far_never },
	{ .name = NULL }
};

/* "query-folder" is known to people as "info folder". */
static json_t *far_unknown(const char *name, struct err *err)
{
	char *words = !strncmp(name, "query-", 6) ?
		mem_printf("info %s", name + 6) : mem_dup(name);

	far_not_here(words, err);
	free(words);
	return NULL;
}

static const struct far_verb *far_row(const struct far_verb *table,
				      const char *name)
{
	for (; table->name; table++)
		if (!strcmp(table->name, name))
			return table;
	return NULL;
}

json_t *far_do(const struct far_call *call, const char *name, json_t *args,
	       struct err *err)
{
	const struct far_verb *row = far_row(far_answers, name);

	if (row)
		return row->run(call, name, args, err);
	if (far_guard(call, name, err))
		return NULL;
	row = far_row(far_verbs, name);
	if (row)
		return row->run(call, name, args, err);
	/* More of the dialect, of which that end knows less or nothing. */
	if (!strncmp(name, "x-blkmon-", 9) && !far_can(call->far, name))
		return far_unknown(name + 9, err);
	return far_changes(name) ? far_pass(call, name, args, err) :
		far_ask(call, name, json_incref(args), err);
}
