/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The channel onto all places. It holds a channel onto each, and looks at the
 * list again when that has changed.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "src/attach/places_impl.h"
#include "src/qmp/command.h"
#include "src/qmp/json/args.h"
#include "src/qmp/json/json_memory.h"

static struct hub *hub_of(struct channel *c)
{
	return container_of(c, struct hub, channel);
}

/* --- members --- */

static void hub_watch(struct hub *h, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	epoll_ctl(h->epoll, EPOLL_CTL_ADD, fd, &ev);
}

static void hub_drop_member(struct hub *h, struct member *m)
{
	epoll_ctl(h->epoll, EPOLL_CTL_DEL, channel_event_fd(m->channel), NULL);
	channel_free(m->channel);
	json_decref(m->last);
	json_decref(m->when);
	places_put(h->places, m->place);
}

/* Takes a reference that is counted already. */
static void hub_add_member(struct hub *h, struct place *place)
{
	struct channel *channel = far_channel_new(place->far);

	if (!channel) {
		places_put(h->places, place);
		return;
	}
	h->members = mem_grow(h->members, h->n + 1, sizeof(*h->members));
	h->members[h->n++] = (struct member) {
		.place = place, .name = place->name, .channel = channel,
	};
	hub_watch(h, channel_event_fd(channel));
}

static bool hub_has(const struct hub *h, const struct place *place)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->members[i].place == place)
			return true;
	return false;
}

/* There are other things from here on, and nobody tells of them one by one.
 * @renamed: names are written in another way, too; what was known by the old
 * ones has to be asked for again. */
static void hub_tell_changed(struct hub *h, bool renamed)
{
	json_array_append_new(h->events, json_pack(
		"{s:s, s:b, s:{s:b}}", "event", "X_BLKMON_PLACE",
		"x-blkmon-private", 1, "data", "renamed", renamed));
	eventfd_write(h->news, 1);
}

static void hub_drop_gone(struct hub *h, struct place *const *list, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->n; i++) {
		bool there = false;

		for (size_t k = 0; k < n; k++)
			there |= list[k] == h->members[i].place;
		if (there)
			h->members[kept++] = h->members[i];
		else
			hub_drop_member(h, &h->members[i]);
	}
	h->n = kept;
}

/* The list as it is now, with a reference on each. */
static struct place **hub_get_list(struct hub *h, size_t *n)
{
	struct places *p = h->places;
	struct place **list = NULL;

	lock_take(&p->lock);
	*n = p->n;
	if (p->generation != h->generation) {
		list = mem_alloc((p->n + 1) * sizeof(*list));
		for (size_t i = 0; i < p->n; i++) {
			list[i] = p->list[i];
			list[i]->refs++;
		}
		h->generation = p->generation;
		h->counts_here = p->here || !p->n;
	}
	lock_drop(&p->lock);
	return list;
}

static void hub_sync(struct hub *h)
{
	bool many = h->n + h->counts_here > 1;
	struct place **list;
	size_t n;

	list = hub_get_list(h, &n);
	if (!list)
		return;
	hub_drop_gone(h, list, n);
	for (size_t i = 0; i < n; i++)
		if (hub_has(h, list[i]))
			places_put(h->places, list[i]);
		else
			hub_add_member(h, list[i]);
	free(list);
	if (h->use && !hub_find(h, h->use, strlen(h->use))) {
		free(h->use);
		h->use = NULL;
	}
	hub_tell_changed(h, many || h->n + h->counts_here > 1);
}

/* --- its own requests --- */

static json_t *hub_connect(struct hub *h, const json_t *args, struct err *err)
{
	const char *address = args_str(args, "address");

	if (!address) {
		err_set(err, ERR_GENERIC, "Parameter 'address' is missing");
		return NULL;
	}
	return qmp_done(places_connect(h->places, address, false,
				       h->channel.interrupt, err));
}

static json_t *hub_disconnect(struct hub *h, const json_t *args,
			      struct err *err)
{
	const char *place = args_str(args, "place");

	return qmp_done(places_disconnect(h->places, place ? place : "", err));
}

/* Without a name: none is in use. */
static json_t *hub_use(struct hub *h, const json_t *args, struct err *err)
{
	const char *name = args_str(args, "place");
	struct member *m = NULL, *only;

	if (name && *name)
		m = hub_find(h, name, strlen(name));
	if (name && *name && !m) {
		err_set(err, ERR_DEVICE_NOT_FOUND, "there is no place '%s'",
			name);
		return NULL;
	}
	free(h->use);
	h->use = m ? mem_dup(m->name) : NULL;
	return json_pack("{s:s, s:b}", "place", h->use ? h->use : "",
			 "prefix", hub_count(h, &only) > 1);
}

static json_t *hub_query(struct hub *h, const json_t *args, struct err *err)
{
	json_t *list = places_describe(h->places), *place;
	size_t i;

	(void)args;
	(void)err;
	json_array_foreach(list, i, place)
		if (h->use && !strcmp(args_str(place, "name"), h->use))
			json_object_set_new(place, "used", json_true());
	return list;
}

static const struct {
	const char *name;
	json_t *(*run)(struct hub *h, const json_t *args, struct err *err);
} hub_commands[] = {
	{ "x-blkmon-connect", hub_connect },
	{ "x-blkmon-disconnect", hub_disconnect },
	{ "x-blkmon-use", hub_use },
	{ "x-blkmon-attend", hub_attend },
	{ "x-blkmon-query-places", hub_query },
};

/* --- where a request goes --- */

static struct member *hub_in_use(struct hub *h)
{
	return h->use ? hub_find(h, h->use, strlen(h->use)) : NULL;
}

static int hub_which(struct hub *h, const char *command, struct err *err)
{
	struct str names = STR_INIT;

	if (h->counts_here)
		str_add(&names, PLACES_HERE);
	for (size_t i = 0; i < h->n; i++)
		str_addf(&names, "%s%s", names.len ? ", " : "",
			 h->members[i].name);
	err_set(err, ERR_GENERIC, "%s: which place is meant? Write PLACE/NAME, "
		"or `use PLACE` first (%s)", command, str_get(&names));
	str_release(&names);
	return -1;
}

static json_t *hub_pass(struct hub *h, struct member *m, json_t *request)
{
	json_t *reply;

	m->channel->interrupt = h->channel.interrupt;
	m->channel->verbatim = h->channel.verbatim;
	m->channel->impatient = h->channel.impatient;
	m->channel->progress = h->channel.progress;
	m->channel->progress_arg = h->channel.progress_arg;
	reply = channel_request(m->channel, request);
	m->channel->verbatim = false;
	return reply;
}

/* What the operator wrote as it is goes to one place, and this program's end
 * to none but itself, unless he said to whom. */
static int hub_target_verbatim(struct hub *h, const char *command,
			       struct member **out, struct err *err)
{
	struct member *only, *used = hub_in_use(h);

	hub_count(h, &only);
	*out = used ? used : only;
	if (!strcmp(command, "qmp_capabilities") ||
	    (!used && !strcmp(command, "quit")))
		*out = &h->here;
	return *out ? 0 : hub_which(h, command, err);
}

/* @args may lose the place in front of its names. */
static int hub_target(struct hub *h, const char *command, json_t *args,
		      struct member **out, struct err *err)
{
	json_t *inner = json_object_get(json_object_get(args, "request"),
					"arguments");
	struct member *only, *m;

	hub_count(h, &only);
	if (!strcmp(command, "quit") ||
	    !strcmp(command, "x-blkmon-query-history")) {
		*out = &h->here;
		return 0;
	}
	if (hub_take_actions(h, inner ? inner : args, &m, err))
		return -1;
	m = m ? m : hub_take_prefix(h, args);
	m = m ? m : hub_take_prefix(h, inner);
	m = m ? m : hub_in_use(h);
	/* Folders are of this host; it is only looked at there. */
	if (!m && !only && h->counts_here &&
	    !strcmp(command, "x-blkmon-query-folder"))
		m = &h->here;
	*out = m ? m : only;
	return *out ? 0 : hub_which(h, command, err);
}

/* Replies that are no lists of things with names. */
static void hub_name_reply(struct hub *h, const struct member *m,
			   const char *command, const json_t *request,
			   json_t *reply)
{
	json_t *value = json_object_get(reply, "return"), *image;
	struct member *only;
	size_t i;

	if (hub_count(h, &only) < 2)
		return;
	if (!strcmp(command, "x-blkmon-plan") && value)
		hub_name_plan(value, m->name, json_object_get(json_object_get(
			      request, "arguments"), "request"));
	if (strcmp(command, "x-blkmon-tree-map"))
		return;
	json_array_foreach(json_object_get(value, "images"), i, image)
		hub_add_prefix(image, m->name);
}

/* The request with other arguments, which are borrowed. */
static json_t *hub_with(const json_t *request, json_t *args)
{
	json_t *changed = json_copy((json_t *)request);

	if (args)
		json_object_set(changed, "arguments", args);
	return changed;
}

/* To the member that it is meant for. Takes @request. */
static json_t *hub_route(struct hub *h, const char *command, json_t *request)
{
	json_t *args = json_object_get(request, "arguments"), *copy = NULL;
	struct err err = ERR_INIT;
	struct member *m = NULL;
	json_t *reply = NULL;
	int rc;

	/* What names places is nobody's but ours. */
	if (!strcmp(command, "transaction") && hub_names_places(h, args))
		h->channel.verbatim = false;
	if (!h->channel.verbatim && args)
		copy = json_deep_copy(args);
	rc = h->channel.verbatim ? hub_target_verbatim(h, command, &m, &err) :
		hub_target(h, command, copy, &m, &err);
	if (!rc)
		reply = hub_pass(h, m, hub_with(request, copy));
	if (!rc && !h->channel.verbatim)
		hub_name_reply(h, m, command, request, reply);
	json_decref(copy);
	if (rc)
		return qmp_reply(request, NULL, &err);
	json_decref(request);
	return reply;
}

static bool hub_own(struct hub *h, const char *command, json_t *request,
		    json_t **reply)
{
	struct err err = ERR_INIT;
	json_t *value;

	for (size_t i = 0; i < sizeof(hub_commands) / sizeof(*hub_commands);
	     i++) {
		if (strcmp(hub_commands[i].name, command))
			continue;
		value = hub_commands[i].run(h, json_object_get(request,
					    "arguments"), &err);
		hub_sync(h);
		*reply = qmp_reply(request, value, &err);
		return true;
	}
	return false;
}

static json_t *hub_execute(struct channel *c, json_t *request)
{
	struct hub *h = hub_of(c);
	struct err err = ERR_INIT;
	const char *command;
	struct member *only;
	json_t *reply;

	hub_sync(h);
	if (qmp_check(request, &err))
		return hub_pass(h, &h->here, request);
	command = args_str(request, "execute");
	if (hub_own(h, command, request, &reply))
		return reply;
	if (hub_count(h, &only) < 2 || c->verbatim || !hub_is_merged(command))
		return hub_route(h, command, request);
	for (size_t i = 0; i < h->n; i++) {
		h->members[i].channel->interrupt = c->interrupt;
		h->members[i].channel->impatient = c->impatient;
	}
	return hub_merge(h, command, request);
}

/* --- events --- */

static void hub_name_notice(json_t *event, const char *place)
{
	json_t *data = json_object_get(event, "data");
	const char *text = args_str(data, "text");
	char *named = mem_printf("%s: %s", place, text ? text : "");

	json_object_set_new(data, "text", json_string(named));
	free(named);
}

/* The next event of @m, in the names of this channel; or NULL. */
static json_t *hub_event_of(struct hub *h, struct member *m)
{
	json_t *event = channel_next_event(m->channel, 0), *copy;
	struct member *only;
	const char *name;
	bool many = hub_count(h, &only) > 1;

	if (event)
		hub_forget_known(m);
	if (!event || (!many && m == &h->here))
		return event;
	/* Others are told the same one. */
	copy = json_deep_copy(event);
	json_decref(event);
	name = args_str(copy, "event");
	if (copy && m != &h->here && name &&
	    !strcmp(name, "X_BLKMON_NOTICE"))
		hub_name_notice(copy, m->name);
	if (copy && many)
		hub_add_prefix(json_object_get(copy, "data"), m->name);
	return copy;
}

static json_t *hub_take_event(struct hub *h)
{
	json_t *event;
	eventfd_t count;

	eventfd_read(h->news, &count);
	hub_sync(h);
	event = json_incref(json_array_get(h->events, 0));
	if (event) {
		json_array_remove(h->events, 0);
		if (json_array_size(h->events))
			eventfd_write(h->news, 1);
		return event;
	}
	event = hub_event_of(h, &h->here);
	for (size_t i = 0; !event && i < h->n; i++)
		event = hub_event_of(h, &h->members[i]);
	return event;
}

static json_t *hub_next_event(struct channel *c, uint64_t deadline)
{
	struct hub *h = hub_of(c);
	struct pollfd fd = { .fd = h->epoll, .events = POLLIN };
	json_t *event = hub_take_event(h);

	while (!event && clock_ns() < deadline) {
		poll(&fd, 1, clock_poll_ms(deadline));
		event = hub_take_event(h);
	}
	return event;
}

static int hub_event_fd(struct channel *c)
{
	return hub_of(c)->epoll;
}

/* --- made and freed --- */

static void hub_release(struct hub *h)
{
	for (size_t i = 0; i < h->n; i++)
		hub_drop_member(h, &h->members[i]);
	channel_free(h->here.channel);
	json_decref(h->here.last);
	json_decref(h->here.when);
	json_decref(h->events);
	close(h->epoll);
	close(h->news);
	free(h->members);
	free(h->use);
	free(h);
}

static void hub_free(struct channel *c)
{
	struct hub *h = hub_of(c);

	lock_take(&h->places->lock);
	list_del(&h->link);
	lock_drop(&h->places->lock);
	hub_release(h);
}

static const struct channel_ops hub_ops = {
	.execute = hub_execute,
	.next_event = hub_next_event,
	.event_fd = hub_event_fd,
	.free = hub_free,
};

struct channel *places_channel_new(struct places *p)
{
	struct hub *h = mem_alloc(sizeof(*h));

	json_memory_init();
	h->channel.ops = &hub_ops;
	h->places = p;
	h->counts_here = true;
	h->events = json_array();
	h->here = (struct member) {
		.name = PLACES_HERE, .channel = channel_local_new(p->machine),
	};
	h->epoll = epoll_create1(EPOLL_CLOEXEC);
	h->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->epoll < 0 || h->news < 0 || !h->here.channel) {
		hub_release(h);
		return NULL;
	}
	hub_watch(h, h->news);
	hub_watch(h, channel_event_fd(h->here.channel));
	lock_take(&p->lock);
	list_add_tail(&p->hubs, &h->link);
	lock_drop(&p->lock);
	hub_sync(h);
	return &h->channel;
}
