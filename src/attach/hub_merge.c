/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of many places in one: in replies every name gets its place in front,
 * in requests it is taken away again.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/attach/places_impl.h"
#include "src/qmp/command.h"
#include "src/qmp/json/args.h"

/* Members of replies, events and arguments that are names of a place. */
static const char *const hub_names[] = {
	"device", "id", "node-name", "backing", "top-node", "base-node",
	"node", "overlay", "bottom",
};

#define HUB_NAMES (sizeof(hub_names) / sizeof(*hub_names))

size_t hub_count(struct hub *h, struct member **only)
{
	size_t n = h->n + h->counts_here;

	*only = n != 1 ? NULL : h->n ? h->members : &h->here;
	return n;
}

static bool hub_is_called(const char *name, const char *word, size_t len)
{
	return strlen(name) == len && !memcmp(name, word, len);
}

/* By what the guest calls itself, if no other does. */
static struct member *hub_find_guest(struct hub *h, const char *name,
				     size_t len)
{
	struct member *found = NULL;

	for (size_t i = 0; len && i < h->n; i++) {
		struct far_status status;

		far_status(h->members[i].place->far, &status);
		if (!hub_is_called(status.guest, name, len))
			continue;
		if (found)
			return NULL;
		found = &h->members[i];
	}
	return found;
}

struct member *hub_find(struct hub *h, const char *name, size_t len)
{
	if (h->counts_here && hub_is_called(PLACES_HERE, name, len))
		return &h->here;
	for (size_t i = 0; i < h->n; i++)
		if (hub_is_called(h->members[i].name, name, len))
			return &h->members[i];
	return hub_find_guest(h, name, len);
}

/* --- in front of names, and away --- */

static void hub_prefix_member(json_t *object, const char *key,
			      const char *place)
{
	const char *name = args_str(object, key);
	char *full;

	if (!name || !*name)
		return;
	full = mem_printf("%s/%s", place, name);
	json_object_set_new(object, key, json_string(full));
	free(full);
}

void hub_add_prefix(json_t *object, const char *place)
{
	json_t *inserted = json_object_get(object, "inserted");

	for (size_t i = 0; i < HUB_NAMES; i++)
		hub_prefix_member(object, hub_names[i], place);
	if (inserted)
		hub_prefix_member(inserted, "node-name", place);
}

static void hub_name_list(json_t *plan, const char *key, const char *place)
{
	json_t *list = json_object_get(plan, key), *entry;
	size_t i;

	json_array_foreach(list, i, entry)
		if (json_is_string(entry))
			json_array_set_new(list, i, json_sprintf(
				"%s/%s", place, json_string_value(entry)));
		else
			hub_prefix_member(entry, "node-name", place);
}

static void hub_name_one_plan(json_t *plan, const char *place)
{
	json_t *hits = json_object_get(plan, "hits");

	hub_prefix_member(plan, "device", place);
	hub_prefix_member(plan, "job-id", place);
	hub_name_list(plan, "layers", place);
	hub_name_list(plan, "chain", place);
	hub_name_list(plan, "unused", place);
	hub_name_list(hits, "drives", place);
	hub_name_list(hits, "exports", place);
	hub_name_list(hits, "jobs", place);
}

void hub_name_plan(json_t *plan, const char *place, json_t *request)
{
	json_t *args = json_object_get(request, "arguments"), *action;
	const struct qmp_command *cmd = qmp_find(args_str(request, "execute"));
	size_t i;

	hub_name_one_plan(plan, place);
	json_array_foreach(json_object_get(plan, "actions"), i, action)
		hub_name_one_plan(action, place);
	if (!cmd)
		return;
	args = args ? json_incref(args) : json_object();
	json_object_set_new(plan, "hmp", plan_line(cmd->name, args));
	json_object_set_new(plan, "qmp", json_pack("{s:s, s:o}", "execute",
						   cmd->name, "arguments",
						   args));
}

/* A file system of a place, which may be that of another host. */
static void hub_name_space(json_t *space, const char *place)
{
	json_t *nodes = json_object_get(space, "nodes"), *out = json_array();
	json_t *node;
	char *path;
	size_t i;

	json_array_foreach(nodes, i, node)
		json_array_append_new(out, json_sprintf("%s/%s", place,
							json_string_value(
								node)));
	json_object_set_new(space, "nodes", out);
	path = mem_printf("%s:%s", place, args_str(space, "path"));
	json_object_set_new(space, "path", json_string(path));
	free(path);
}

static struct member *hub_place_of(struct hub *h, const char *name)
{
	const char *slash = strchr(name, '/');

	return slash && slash[1] ? hub_find(h, name, (size_t)(slash - name)) :
		NULL;
}

static void hub_cut_member(struct hub *h, json_t *args, const char *key,
			   const struct member *m)
{
	const char *name = args_str(args, key);

	if (name && hub_place_of(h, name) == m)
		json_object_set_new(args, key,
				    json_string(strchr(name, '/') + 1));
}

/* Names of other places have nothing to do there. */
static void hub_cut_list(json_t *args, const char *key, const struct member *m)
{
	json_t *list = json_object_get(args, key), *out = json_array(), *name;
	size_t i, len = strlen(m->name);

	json_array_foreach(list, i, name) {
		const char *text = json_string_value(name);

		if (text && !strncmp(text, m->name, len) && text[len] == '/')
			json_array_append_new(out, json_string(text + len +
							       1));
	}
	if (list)
		json_object_set(args, key, out);
	json_decref(out);
}

/* The place that the names of @args say, or NULL. */
static struct member *hub_named_place(struct hub *h, const json_t *args)
{
	struct member *m = NULL;

	for (size_t i = 0; !m && i < HUB_NAMES; i++) {
		const char *name = args_str(args, hub_names[i]);

		m = name ? hub_place_of(h, name) : NULL;
	}
	/* nbd-server-remove has nothing but this. */
	if (!m && args_str(args, "name"))
		m = hub_place_of(h, args_str(args, "name"));
	return m;
}

struct member *hub_take_prefix(struct hub *h, json_t *args)
{
	struct member *m = hub_named_place(h, args);

	if (!m)
		return NULL;
	for (size_t i = 0; i < HUB_NAMES; i++)
		hub_cut_member(h, args, hub_names[i], m);
	hub_cut_member(h, args, "name", m);
	hub_cut_list(args, "nodes", m);
	hub_cut_member(h, args, "base", m);
	hub_cut_member(h, args, "top", m);
	return m;
}

/* --- transactions --- */

bool hub_names_places(struct hub *h, const json_t *args)
{
	json_t *action;
	size_t i;

	json_array_foreach(json_object_get(args, "actions"), i, action)
		if (hub_named_place(h, json_object_get(action, "data")))
			return true;
	return false;
}

int hub_take_actions(struct hub *h, json_t *args, struct member **out,
		     struct err *err)
{
	struct member *used = h->use ? hub_find(h, h->use, strlen(h->use)) :
		NULL;
	json_t *action;
	size_t i;

	*out = NULL;
	if (!hub_names_places(h, args))
		return 0;
	json_array_foreach(json_object_get(args, "actions"), i, action) {
		json_t *data = json_object_get(action, "data");
		struct member *m = hub_take_prefix(h, data);

		m = m ? m : json_object_size(data) ? used : *out;
		if (!m)
			return err_set(err, ERR_GENERIC, "transaction: which "
				       "place is meant by all of its names? "
				       "Write PLACE/NAME");
		if (*out && *out != m)
			return err_set(err, ERR_GENERIC, "a transaction is of "
				       "one place, and this one names %s and "
				       "%s", (*out)->name, m->name);
		*out = m;
	}
	return 0;
}

/* --- all at once --- */

bool hub_is_merged(const char *command)
{
	static const char *const merged[] = {
		"query-block", "query-named-block-nodes", "query-block-jobs",
		"query-jobs", "query-blockstats", "query-block-exports",
		"x-blkmon-query-jobs", "x-blkmon-query-links",
		"x-blkmon-query-exports", "x-blkmon-query-latency",
		"x-blkmon-query-space", "x-blkmon-query-undo",
		"query-commands",
	};

	for (size_t i = 0; i < sizeof(merged) / sizeof(*merged); i++)
		if (!strcmp(merged[i], command))
			return true;
	return false;
}

/* The list in the names of all. What is nested deeper is shared with it: a
 * chain is nested in all that stands on it. */
static json_t *hub_named(const json_t *list, const char *command,
			 const char *place)
{
	bool names = strcmp(command, "query-commands");
	json_t *out = json_array(), *entry;
	size_t i;

	json_array_foreach(list, i, entry) {
		json_t *copy = json_copy(entry);
		json_t *inserted = json_object_get(copy, "inserted");

		if (inserted)
			json_object_set_new(copy, "inserted",
					    json_copy(inserted));
		if (names)
			hub_add_prefix(copy, place);
		if (!strcmp(command, "x-blkmon-query-space"))
			hub_name_space(copy, place);
		json_array_append_new(out, copy);
	}
	return out;
}

static void hub_mark_lost(const json_t *list)
{
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
		json_object_set_new(entry, "x-blkmon-lost", json_true());
}

/* What one place says, or what it said last: one that does not answer has not
 * lost its drives and jobs. NULL and err if nothing is known of it. */
static json_t *hub_ask_member(struct member *m, const char *command,
			      json_t *args, struct err *err)
{
	json_t *reply;
	const json_t *list;

	if (hub_is_known(m, command))
		return json_incref(json_object_get(m->last, command));
	reply = channel_call(m->channel, command, json_incref(args));
	list = json_object_get(reply, "return");
	if (!m->last)
		m->last = json_object();
	if (list)
		hub_note_known(m, command);
	if (list)
		json_object_set_new(m->last, command, hub_named(
			list, command, m->name));
	else
		hub_mark_lost(json_object_get(m->last, command));
	if (!list)
		err_set(err, ERR_GENERIC, "%s: %s", m->name,
			channel_error(reply));
	json_decref(reply);
	return json_incref(json_object_get(m->last, command));
}

/* @lost gets its name if it does not answer. */
static void hub_merge_one(struct member *m, const char *command, json_t *args,
			  json_t *all, json_t *lost, bool *any, struct err *err)
{
	struct err mine = ERR_INIT;
	json_t *value = hub_ask_member(m, command, args, &mine);

	if (*mine.text) {
		json_array_append_new(lost, json_string(m->name));
		*err = mine;
	}
	*any |= value != NULL;
	json_array_extend(all, value);
	json_decref(value);
}

json_t *hub_merge(struct hub *h, const char *command, json_t *request)
{
	json_t *args = json_object_get(request, "arguments"), *reply;
	json_t *all = json_array(), *lost = json_array();
	struct err err = ERR_INIT;
	bool any = false;

	if (h->counts_here)
		hub_merge_one(&h->here, command, args, all, lost, &any, &err);
	for (size_t i = 0; i < h->n; i++)
		hub_merge_one(&h->members[i], command, args, all, lost, &any,
			      &err);
	if (!any) {
		json_decref(all);
		all = NULL;
	}
	reply = qmp_reply(request, all, &err);
	if (json_array_size(lost))
		json_object_set(reply, "x-blkmon-lost", lost);
	json_decref(lost);
	return reply;
}
