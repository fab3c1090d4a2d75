/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a plan is made of, and what of it is known to be refused. The words are
 * those that the end itself would use.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/attach/far_plan.h"
#include "src/qmp/json/args.h"

/* --- what there is --- */

static void far_plan_index(struct far_plan *p)
{
	json_t *entry;
	size_t i;

	p->by_name = json_object();
	p->below = json_object();
	json_array_foreach(p->names.nodes, i, entry)
		json_object_set(p->by_name, far_arg(entry, "node-name"),
				entry);
	json_array_foreach(p->names.links, i, entry)
		json_object_set_new(p->below, far_arg(entry, "node-name"),
				    json_string(far_arg(entry, "backing")));
}

int far_plan_load(struct far_plan *p, const char *name, struct err *err)
{
	const struct far_call *call = p->call;
	struct err lost = ERR_INIT;

	if (!call->far->address.look && far_guard(call, name, err))
		return -1;
	if (far_names_load(&p->names, call, err))
		return -1;
	far_plan_index(p);
	p->jobs = far_ask(call, "query-block-jobs", NULL, err);
	if (!p->jobs)
		return -1;
	if (json_array_size(p->jobs))
		p->works = far_works(call, &lost);
	return 0;
}

void far_plan_release(struct far_plan *p)
{
	far_names_release(&p->names);
	json_decref(p->by_name);
	json_decref(p->below);
	json_decref(p->jobs);
	json_decref(p->works);
	json_decref(p->places);
	free(p->chain);
	free(p->job);
}

/* Ends know more than this program: only what is known here is checked. */
int far_plan_check_args(const char *spec, json_t *args, struct err *err)
{
	json_t *known = json_object();
	struct args_item item;
	const char *at = spec;
	int rc;

	while (args_next(&at, &item)) {
		char *name = mem_printf("%.*s", (int)item.name_len,
					item.name);
		json_t *value = json_object_get(args, name);

		if (value)
			json_object_set(known, name, value);
		free(name);
	}
	rc = args_check(spec, known, "", err);
	json_decref(known);
	return rc;
}

const json_t *far_plan_node(const struct far_plan *p, const char *node)
{
	return json_object_get(p->by_name, node);
}

const char *far_plan_below(const struct far_plan *p, const char *node)
{
	return far_arg(p->below, node);
}

size_t far_plan_find(const struct far_plan *p, const char *node)
{
	const json_t *number = json_object_get(p->places, node);

	return number ? (size_t)json_integer_value(number) : p->n;
}

void far_plan_take_chain(struct far_plan *p, const char *root)
{
	size_t most = json_object_size(p->by_name);
	const json_t *node;

	free(p->chain);
	json_decref(p->places);
	p->places = json_object();
	p->chain = mem_alloc((most + 1) * sizeof(*p->chain));
	p->root = root;
	for (p->n = 0; p->n < most && (node = far_plan_node(p, root)) &&
	     !json_object_get(p->places, root); p->n++) {
		p->chain[p->n] = node;
		json_object_set_new(p->places, root,
				    json_integer((json_int_t)p->n));
		root = far_plan_below(p, root);
	}
}

static const char *far_plan_word(const struct far_plan *p)
{
	const char *device = far_arg(p->args, "device");
	const char *node = far_arg(p->args, "node-name");

	return *device ? device : *node ? node : far_arg(p->args, "node");
}

/* By "id" or "device" a job is meant, where the command is of jobs. */
void far_plan_take_drive(struct far_plan *p)
{
	const char *word = far_plan_word(p);

	p->drive = strstr(p->name, "job-") ? NULL :
		far_names_find(&p->names, word);
	far_plan_take_chain(p, p->drive ? p->drive->node : word);
}

/* --- refusals --- */

static int far_plan_no_device(const char *device, const char *node,
			      struct err *err)
{
	return err_set(err, ERR_GENERIC, "Cannot find device='%s' nor "
		       "node-name='%s'", device, node);
}

static int far_plan_no_medium(const struct far_plan *p, struct err *err)
{
	if (p->n || !p->drive)
		return 0;
	return err_set(err, ERR_GENERIC, "Device '%s' has no medium",
		       p->drive->shown);
}

/* Does it work on one of the first @n images of the chain? */
static bool far_plan_uses(const struct far_plan *p, const json_t *work,
			  size_t n)
{
	json_t *used;
	size_t i;

	n = n < p->n ? n : p->n;
	json_array_foreach(json_object_get(work, "uses"), i, used)
		if (far_plan_find(p, json_string_value(used)) < n)
			return true;
	return false;
}

/* The job that does, or NULL. */
static const json_t *far_plan_job_on(struct far_plan *p, size_t n)
{
	json_t *job;
	size_t i;

	if (json_array_size(p->jobs) && !p->works)
		far_plan_unknown(p, "what the jobs that run work on");
	json_array_foreach(p->jobs, i, job)
		if (far_plan_uses(p, json_object_get(p->works, far_arg(
				  job, "device")), n))
			return job;
	return NULL;
}

/* Whose it is decides what can be done about it. */
static int far_plan_busy(struct far_plan *p, const json_t *job, struct err *err)
{
	const char *id = far_arg(job, "device");

	return err_set(err, ERR_DEVICE_IN_USE, "Node '%s' is busy: block "
		       "device is in use by block job: %s (job '%s'%s)",
		       p->drive ? p->drive->shown : p->root,
		       far_arg(job, "type"), far_job_shown(id),
		       far_jobs_is_own(p->call->far, id) ? "" :
		       ", which others began");
}

static int far_plan_check_busy(struct far_plan *p, size_t n, struct err *err)
{
	const json_t *job = far_plan_job_on(p, n);

	return job ? far_plan_busy(p, job, err) : 0;
}

/* One that is over and was ours is dismissed when the next is started. */
static int far_plan_check_id(struct far_plan *p, struct err *err)
{
	const char *given = far_arg(p->args, "job-id");
	json_t *job;
	size_t i;

	p->job = *given ? mem_dup(given) : far_job_id(
		p->drive ? p->drive->shown : far_plan_word(p));
	json_array_foreach(p->jobs, i, job) {
		const char *id = far_arg(job, "device");

		if (!strcmp(far_job_shown(id), far_job_shown(p->job)) &&
		    (far_job_shown(id) == id ||
		     strcmp(far_arg(job, "status"), "concluded")))
			return err_set(err, ERR_GENERIC, "Job ID '%s' already "
				       "in use", far_job_shown(id));
	}
	return 0;
}

/* The image of the chain that @args name by @key, a file, or "@key-node"; else
 * @otherwise. */
static int far_plan_image(struct far_plan *p, const char *key, size_t otherwise,
			  size_t *out, struct err *err)
{
	char node_key[32];
	const char *file = far_arg(p->args, key), *node, *found;

	snprintf(node_key, sizeof(node_key), "%s-node", key);
	node = far_arg(p->args, node_key);
	*out = otherwise;
	if (!*file && !*node)
		return 0;
	if (!*file && !far_plan_node(p, node))
		return far_plan_no_device("", node, err);
	found = *file ? far_names_image(&p->names, p->root, file) : node;
	*out = found ? far_plan_find(p, found) : p->n;
	if (*out < p->n)
		return 0;
	if (!strcmp(key, "top"))
		return err_set(err, ERR_GENERIC, "Top image file %s not found",
			       *file ? file : node);
	return err_set(err, ERR_GENERIC, "Can't find '%s' in the backing "
		       "chain", *file ? file : node);
}

/* That base does not lie below top. */
static int far_plan_no_way(struct far_plan *p, bool stream, struct err *err)
{
	const char *base = far_arg(p->chain[p->base], "node-name");

	if (stream)
		return err_set(err, ERR_GENERIC, "Node '%s' is not a backing "
			       "image of '%s'", base, p->drive &&
			       *p->drive->device ? p->drive->device : p->root);
	if (p->base == p->top)
		return err_set(err, ERR_GENERIC, "cannot commit an image into "
			       "itself");
	return err_set(err, ERR_GENERIC, "'%s' is not in this backing file "
		       "chain", base);
}

/* Up to and including "bottom" a stream goes, down to "base" both. */
static int far_plan_images(struct far_plan *p, bool stream, struct err *err)
{
	const char *bottom = far_arg(p->args, "bottom");
	size_t lowest = stream ? p->n : p->n - 1;

	if (far_plan_image(p, "top", 0, &p->top, err) ||
	    far_plan_image(p, "base", lowest, &p->base, err))
		return -1;
	if (stream && *bottom) {
		if (far_plan_find(p, bottom) == p->n)
			return far_plan_no_device("", bottom, err);
		p->base = far_plan_find(p, bottom) + 1;
	}
	return p->base > p->top ? 0 : far_plan_no_way(p, stream, err);
}

int far_plan_check_start(struct far_plan *p, bool stream, struct err *err)
{
	const char *word = far_plan_word(p);

	if (far_check_keep(p->call, p->args, err))
		return -1;
	if (!p->n && !p->drive)
		return stream ? far_plan_no_device(word, word, err) :
			err_set(err, ERR_DEVICE_NOT_FOUND, "Device '%s' not "
				"found", word);
	if (far_plan_no_medium(p, err))
		return -1;
	if (args_int(p->args, "speed", 0) < 0)
		return err_set(err, ERR_INVALID_PARAMETER, "Parameter 'speed' "
			       "expects a non-negative value");
	if (far_plan_check_id(p, err))
		return -1;
	if (far_plan_images(p, stream, err))
		return -1;
	return far_plan_check_busy(p, p->base + 1, err);
}

int far_plan_check_now(struct far_plan *p, struct err *err)
{
	const char *word = far_plan_word(p);

	if (far_check_keep(p->call, p->args, err))
		return -1;
	if (!far_can(p->call->far, "human-monitor-command")) {
		far_not_here("commit", err);
		return -1;
	}
	if (!strcmp(word, "all"))
		return err_set(err, ERR_DEVICE_NOT_FOUND, "A plan is of one "
			       "drive: ask for each of them");
	if (!p->drive)
		return err_set(err, ERR_DEVICE_NOT_FOUND, "Device '%s' not "
			       "found", word);
	if (far_check_commit(p->drive, err) || far_plan_no_medium(p, err))
		return -1;
	if (p->n < 2)
		return err_set(err, ERR_GENERIC, "'commit' error for '%s': "
			       "Operation not supported", word);
	return far_plan_check_busy(p, 2, err);
}

int far_plan_check_snapshot(struct far_plan *p, struct err *err)
{
	const char *device = far_arg(p->args, "device");
	const char *overlay = far_arg(p->args, "snapshot-node-name");

	if (*device && far_check_user(&p->names, device, err))
		return -1;
	if (!p->n && !p->drive)
		return far_plan_no_device(device, far_arg(p->args, "node-name"),
					  err);
	if (far_plan_no_medium(p, err))
		return -1;
	if (*overlay && far_plan_node(p, overlay))
		return err_set(err, ERR_GENERIC, "New overlay node-name "
			       "already in use");
	return far_plan_check_busy(p, 1, err);
}

int far_plan_check_overlay(struct far_plan *p, const json_t *overlay,
			   struct err *err)
{
	const char *node = far_arg(p->args, "node");
	const char *over = far_arg(p->args, "overlay");

	if (!p->n)
		return far_plan_no_device(node, node, err);
	if (!overlay)
		return far_plan_no_device(over, over, err);
	if (*far_plan_below(p, over))
		return err_set(err, ERR_GENERIC, "The overlay already has a "
			       "backing image");
	return far_plan_check_busy(p, 1, err);
}

int far_plan_check_inside(struct far_plan *p, struct err *err)
{
	const char *word = far_plan_word(p), *name = far_arg(p->args, "name");
	const char *format;

	if (!p->n && !p->drive)
		return far_plan_no_device(word, word, err);
	if (far_plan_no_medium(p, err))
		return -1;
	format = far_arg(p->chain[0], "drv");
	if (strcmp(format, "qcow2"))
		return err_set(err, ERR_GENERIC, "Block format '%s' used by "
			       "device '%s' does not support internal "
			       "snapshots", format, word);
	if (args_entry(json_object_get(json_object_get(p->chain[0], "image"),
				       "snapshots"), "name", name))
		return err_set(err, ERR_GENERIC, "Snapshot with name '%s' "
			       "already exists on device '%s'", name, word);
	return far_plan_check_busy(p, 1, err);
}

/* A client over NBD has been told how long the disk is. */
static int far_plan_check_exports(struct far_plan *p, struct err *err)
{
	json_t *export;
	size_t i;

	json_array_foreach(p->names.exports, i, export)
		if (!strcmp(far_arg(export, "node-name"), p->root) &&
		    !strcmp(far_arg(export, "type"), "nbd"))
			return err_set(err, ERR_GENERIC, "export '%s' does not "
				       "let its disk be resized",
				       far_arg(export, "id"));
	return 0;
}

int far_plan_check_resize(struct far_plan *p, struct err *err)
{
	const json_t *job;

	if (!p->n && !p->drive)
		return far_plan_no_device(far_arg(p->args, "device"),
					  far_arg(p->args, "node-name"), err);
	if (far_plan_no_medium(p, err) ||
	    far_check_grows(&p->names, p->args, err) ||
	    far_plan_check_exports(p, err))
		return -1;
	job = far_plan_job_on(p, 1);
	return job ? far_plan_busy(p, job, err) : 0;
}

/* --- jobs that run --- */

bool far_plan_is_forced(const struct far_plan *p)
{
	return args_bool(p->args, "force", args_str(p->args, "id"));
}

static bool far_plan_takes(const char *verb, const char *status)
{
	static const char *const cancels[] = {
		"created", "running", "paused", "ready", "standby", "waiting",
		"pending",
	};

	if (!strcmp(verb, "complete"))
		return !strcmp(status, "ready");
	for (size_t i = 0; i < sizeof(cancels) / sizeof(*cancels); i++)
		if (!strcmp(cancels[i], status))
			return true;
	return false;
}

const json_t *far_plan_check_verb(struct far_plan *p, const char *verb,
				  struct err *err)
{
	const char *key = json_object_get(p->args, "device") ? "device" : "id";
	const char *shown = far_arg(p->args, key), *status;
	char *id = far_job_find(p->call, shown, err);
	const json_t *job = id ? args_entry(p->jobs, "device", id) : NULL;

	if (id && !job)
		err_set(err, ERR_DEVICE_NOT_ACTIVE, "Block job '%s' not found",
			shown);
	free(id);
	if (!job)
		return NULL;
	status = far_arg(job, "status");
	if (!far_plan_takes(verb, status)) {
		err_set(err, ERR_GENERIC, "Job '%s' in state '%s' cannot "
			"accept command verb '%s'", shown, status, verb);
		return NULL;
	}
	if (!strcmp(verb, "cancel") && !far_plan_is_forced(p) &&
	    json_is_true(json_object_get(job, "paused"))) {
		err_set(err, ERR_GENERIC, "The block job for device '%s' is "
			"currently paused", shown);
		return NULL;
	}
	return job;
}
