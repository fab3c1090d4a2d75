/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/attach/far.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "src/attach/far_impl.h"
#include "src/qmp/json/args.h"

/* --- requests --- */

const char *far_arg(const json_t *object, const char *key)
{
	const char *text = args_str(object, key);

	return text ? text : "";
}

bool far_can(struct far *f, const char *command)
{
	bool can;

	lock_take(&f->lock);
	can = json_object_get(f->commands, command) != NULL;
	lock_drop(&f->lock);
	return can;
}

bool far_speaks_dialect(struct far *f)
{
	return far_can(f, "x-blkmon-query-jobs");
}

json_t *far_send(const struct far_call *call, json_t *request,
		 bool changes, uint64_t limit_ns, struct err *err)
{
	const struct wire_terms terms = {
		.limit_ns = limit_ns, .changes = changes,
		.interrupt = call->interrupt, .impatient = call->impatient,
	};

	return wire_request(call->far->wire, request, &terms, err);
}

void far_take_error(const json_t *reply, struct err *err)
{
	static const struct {
		const char *name;
		enum err_class class;
	} classes[] = {
		{ "CommandNotFound", ERR_COMMAND_NOT_FOUND },
		{ "DeviceNotActive", ERR_DEVICE_NOT_ACTIVE },
		{ "DeviceNotFound", ERR_DEVICE_NOT_FOUND },
	};
	const json_t *error = json_object_get(reply, "error");
	const char *name = args_str(error, "class");
	const char *desc = args_str(error, "desc");
	enum err_class class = ERR_GENERIC;
	struct str words = STR_INIT;

	for (size_t i = 0; name && i < sizeof(classes) / sizeof(*classes); i++)
		if (!strcmp(classes[i].name, name))
			class = classes[i].class;
	str_add_safe(&words, desc ? desc : "an error without words");
	err_set(err, class, "%s", str_get(&words));
	str_release(&words);
}

static json_t *far_value(json_t *reply, struct err *err)
{
	json_t *value = json_incref(json_object_get(reply, "return"));

	if (reply && !value)
		far_take_error(reply, err);
	json_decref(reply);
	if (json_array_size(value) <= FAR_LIST_MOST) {
		far_clean(value);
		return value;
	}
	json_decref(value);
	err_set(err, ERR_GENERIC, "an answer of more than %d entries",
		FAR_LIST_MOST);
	return NULL;
}

static json_t *far_request(const char *command, json_t *args)
{
	return json_pack("{s:s, s:o*}", "execute", command, "arguments", args);
}

json_t *far_ask(const struct far_call *call, const char *command, json_t *args,
		struct err *err)
{
	return far_value(far_send(call, far_request(command, args), false,
				  FAR_LIMIT_NS, err), err);
}

json_t *far_order(const struct far_call *call, const char *command,
		  json_t *args, uint64_t limit_ns, struct err *err)
{
	return far_value(far_send(call, far_request(command, args), true,
				  limit_ns, err), err);
}

/* --- what may be done --- */

bool far_changes(const char *command)
{
	static const char *const looks[] = {
		"query-", "x-blkmon-query-", "x-blkmon-node-map",
		"x-blkmon-plan", "x-blkmon-tree-map",
		"qmp_capabilities",
	};

	for (size_t i = 0; i < sizeof(looks) / sizeof(*looks); i++)
		if (!strncmp(command, looks[i], strlen(looks[i])))
			return false;
	return true;
}

/* Nodes may get such names at any time, so it is looked each time. */
static int far_check_managed(const struct far_call *call, struct err *err)
{
	struct far *f = call->far;
	json_t *nodes;
	bool managed;

	if (f->address.force)
		return 0;
	nodes = far_nodes(call, true, err);
	if (!nodes)
		return -1;
	managed = far_names_are_managed(nodes);
	json_decref(nodes);
	lock_take(&f->lock);
	f->managed = managed;
	lock_drop(&f->lock);
	if (!managed)
		return 0;
	return err_set(err, ERR_GENERIC, "%s", FAR_MANAGED);
}

int far_guard(const struct far_call *call, const char *command,
	      struct err *err)
{
	if (!far_changes(command))
		return 0;
	if (call->far->address.look)
		return err_set(err, ERR_GENERIC, "'%s' would change "
			       "something, and this place is only looked at",
			       command);
	return far_check_managed(call, err);
}

/* --- the wire's side --- */

static int far_learn_commands(const struct far_call *call, struct err *err)
{
	json_t *list = far_ask(call, "query-commands", NULL, err), *entry;
	json_t *commands = json_object();
	size_t i;

	json_array_foreach(list, i, entry) {
		const char *name = args_str(entry, "name");

		if (name)
			json_object_set_new(commands, name, json_true());
	}
	json_decref(list);
	if (!list) {
		json_decref(commands);
		return -1;
	}
	lock_take(&call->far->lock);
	json_decref(call->far->commands);
	call->far->commands = commands;
	lock_drop(&call->far->lock);
	return 0;
}

static void far_learn_guest(const struct far_call *call)
{
	struct far *f = call->far;
	struct err err = ERR_INIT;
	json_t *value = far_can(f, "query-name") ?
		far_ask(call, "query-name", NULL, &err) : NULL;
	const char *name = args_str(value, "name");

	lock_take(&f->lock);
	snprintf(f->guest, sizeof(f->guest), "%s", name ? name : "");
	lock_drop(&f->lock);
	json_decref(value);
}

void far_learn_run(const struct far_call *call)
{
	struct far *f = call->far;
	struct err err = ERR_INIT;
	bool stale, news;
	json_t *value;

	lock_take(&f->lock);
	stale = f->run_stale;
	f->run_stale = false;
	lock_drop(&f->lock);
	if (!stale || !far_can(f, "query-status"))
		return;
	value = far_ask(call, "query-status", NULL, &err);
	lock_take(&f->lock);
	news = strncmp(f->run, far_arg(value, "status"), sizeof(f->run) - 1);
	snprintf(f->run, sizeof(f->run), "%s", far_arg(value, "status"));
	f->run_stale |= !value;
	lock_drop(&f->lock);
	json_decref(value);
	if (news)
		far_tell_state(f);
}

static int far_up(void *arg, struct err *err)
{
	const struct far_call call = { .far = arg };
	struct err managed = ERR_INIT;
	bool visit = !call.far->address.hold && call.far->was_live &&
		!call.far->gone;

	if (!visit && far_learn_commands(&call, err))
		return -1;
	if (!visit)
		far_learn_guest(&call);
	if (!visit && !call.far->address.look)
		far_check_managed(&call, &managed);
	lock_take(&call.far->lock);
	call.far->run_stale = true;
	lock_drop(&call.far->lock);
	far_jobs_again(&call);
	return 0;
}

/* Being gone is told once, however often it is tried again. */
static void far_changed(void *arg, enum wire_state state, const char *why)
{
	struct far *f = arg;
	bool news = false, again;

	lock_take(&f->lock);
	again = f->was_live;
	if (state == WIRE_GONE && !f->gone && f->was_live)
		news = f->gone = true;
	if (state == WIRE_LIVE) {
		news = f->gone;
		f->gone = false;
		f->was_live = true;
	}
	lock_drop(&f->lock);
	if (state == WIRE_HELD)
		far_notice(f, "%s", why);
	else if (news && state == WIRE_GONE)
		far_notice(f, "gone: %s", why);
	else if (news && again)
		far_notice(f, "there again");
	far_tell_state(f);
}

static bool far_is_of_job(const char *name)
{
	return !strncmp(name, "BLOCK_JOB_", 10) || !strncmp(name, "JOB_", 4);
}

/* Nothing of those is about a guest that stops or goes on. */
static bool far_is_of_block(const char *name)
{
	return far_is_of_job(name) || !strncmp(name, "BLOCK_", 6);
}

/* Whose drive it is about, by the name that is shown. */
static void far_name_drive(json_t *data)
{
	const char *device = args_str(data, "device");
	const char *qdev = args_str(data, "qdev");
	const char *node = args_str(data, "node-name");
	char *shown;

	if (!device || *device)
		return;
	shown = far_names_shown(device, qdev ? qdev : "", node ? node : "");
	json_object_set_new(data, "device", json_string(shown));
	free(shown);
}

/* The end of the other machine is not the end of this program. */
static void far_event(void *arg, const json_t *event)
{
	const char *name = args_str(event, "event");
	json_t *copy = json_deep_copy(event), *data;
	struct far *f = arg;

	if (!copy)
		return;
	data = json_object_get(copy, "data");
	far_clean(data);
	if (!strcmp(name, "SHUTDOWN")) {
		far_notice(f, "shuts down (%s)", far_arg(data, "reason"));
		json_decref(copy);
		return;
	}
	if (!far_is_of_block(name)) {
		lock_take(&f->lock);
		f->run_stale = true;
		lock_drop(&f->lock);
	}
	if (!far_is_of_job(name))
		far_name_drive(data);
	else if (!far_jobs_event(f, name, data)) {
		json_decref(copy);
		return;
	}
	far_publish(f, copy);
}

static void far_tend(void *arg)
{
	const struct far_call call = { .far = arg };

	far_jobs_tend(&call);
}

static const struct wire_ops far_ops = {
	.up = far_up,
	.changed = far_changed,
	.event = far_event,
	.tend = far_tend,
};

/* --- from outside --- */

struct far *far_new(struct address *address, struct err *err)
{
	struct far *f = mem_alloc(sizeof(*f));

	f->address = *address;
	*address = (struct address) { 0 };
	lock_init(&f->lock);
	list_init(&f->channels);
	list_init(&f->maps);
	f->wire = wire_new(&f->address, &far_ops, f, err);
	if (f->wire && !wire_start(f->wire, err))
		return f;
	far_free(f);
	return NULL;
}

void far_free(struct far *f)
{
	if (!f)
		return;
	wire_free(f->wire);
	far_jobs_release(f);
	far_maps_release(f);
	json_decref(f->commands);
	lock_release(&f->lock);
	address_release(&f->address);
	free(f);
}

int far_wait(struct far *f, uint64_t deadline,
	     const struct interrupt *interrupt, struct err *err)
{
	return wire_wait_live(f->wire, deadline, interrupt, err);
}

const struct address *far_address(const struct far *f)
{
	return &f->address;
}

void far_status(struct far *f, struct far_status *out)
{
	wire_status(f->wire, &out->wire);
	lock_take(&f->lock);
	memcpy(out->guest, f->guest, sizeof(out->guest));
	memcpy(out->run, f->run, sizeof(out->run));
	out->managed = f->managed;
	out->look = f->address.look || (f->managed && !f->address.force);
	lock_drop(&f->lock);
}
