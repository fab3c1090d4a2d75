/* fake_channel.h - a channel that answers from JSON: a test double for the
 * engine.
 *
 * A scene is {"replies": {COMMAND: VALUE}, "maps": {NODE: [[OFF, LEN, KIND],
 * ...]}, "events": [EVENT, ...], "next": COMMAND, "fails": [COMMAND, ...],
 * "plans": {COMMAND: REPLY}}, where "COMMAND -f" is one with force, and
 * "COMMAND -k" one that keeps base. It
 * starts with the first of its scenes; when COMMAND is executed, the next one
 * begins and its events come. All channels of one play share it.
 */
#ifndef BLKMON_TESTS_UI_FAKE_CHANNEL_H
#define BLKMON_TESTS_UI_FAKE_CHANNEL_H

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/util/list.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "engine/util/thread.h"
#include "src/console/fields.h"
#include "src/qmp/channel.h"

struct play {
	struct lock lock;
	json_t *scenes;
	size_t scene;
};

struct fake {
	struct channel channel;
	struct play *play;
	size_t scene, event;	/* the next event to give */
	int fd;
	struct fake *other;	/* is woken as well */
	bool silent;		/* events are held back */
};

static inline json_t *fake_scene(struct play *p)
{
	return json_array_get(p->scenes, p->scene);
}

static inline void fake_count(json_t *cells, size_t i, uint64_t bytes)
{
	json_t *cell = json_array_get(cells, i);

	json_integer_set(cell, json_integer_value(cell) + (json_int_t)bytes);
}

static inline json_t *fake_cells(size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_integer(0));
	return list;
}

/* Where byte @off of the disk is on the axis, which has the parts @parts. */
static inline uint64_t fake_place(const json_t *parts, uint64_t off)
{
	uint64_t sum = 0;
	json_t *part;
	size_t i;

	json_array_foreach(parts, i, part) {
		uint64_t from = (uint64_t)json_integer_value(
			json_array_get(part, 0));
		uint64_t len = (uint64_t)json_integer_value(
			json_array_get(part, 1));

		if (off < from)
			break;
		sum += off - from < len ? off - from : len;
	}
	return sum;
}

/* A run [OFF, LEN, KIND]; what is "dead" is data as well. */
static inline void fake_run(json_t *image, const json_t *run,
			    const json_t *parts, uint64_t shown, size_t n)
{
	uint64_t off = (uint64_t)json_integer_value(json_array_get(run, 0));
	uint64_t end = off + (uint64_t)json_integer_value(
		json_array_get(run, 1));
	const char *kind = json_string_value(json_array_get(run, 2));
	bool dead = !strcmp(kind, "dead");
	json_t *cells = json_object_get(image, dead ? "data" : kind);

	if (dead)
		json_integer_set(json_object_get(image, "dead-bytes"),
			json_integer_value(json_object_get(image,
				"dead-bytes")) + (json_int_t)(end - off));
	off = fake_place(parts, off);
	end = fake_place(parts, end);
	for (size_t i = 0; i < n && cells; i++) {
		uint64_t from = shown * i / n, to = shown * (i + 1) / n;

		if (off > from)
			from = off;
		if (end < to)
			to = end;
		if (from >= to)
			continue;
		fake_count(cells, i, to - from);
		if (dead)
			fake_count(json_object_get(image, "dead"), i,
				   to - from);
	}
}

static inline json_t *fake_image(const char *name, const json_t *runs,
				 const json_t *parts, uint64_t shown, size_t n)
{
	json_t *image = json_pack("{s:s, s:i, s:o, s:o, s:o, s:o}",
		"node-name", name, "dead-bytes", 0, "data", fake_cells(n),
		"zero", fake_cells(n), "compressed", fake_cells(n),
		"dead", fake_cells(n)), *run;
	size_t i;

	json_array_foreach(runs, i, run)
		fake_run(image, run, parts, shown, n);
	return image;
}

/* All images that are asked for are of one tree. "maps" of the scene: "size",
 * "parts" ([[OFF, LEN], ...], all where it is not there), runs by node. */
static inline json_t *fake_map(struct play *p, const json_t *args)
{
	const json_t *maps = json_object_get(fake_scene(p), "maps");
	uint64_t size = field_u64(maps, "size"), shown;
	size_t n = (size_t)field_u64(args, "cells"), i;
	json_t *parts = json_incref(json_object_get(maps, "parts")), *node;
	json_t *images = json_array();

	if (!parts || field_bool(args, "whole")) {
		json_decref(parts);
		parts = json_pack("[[i, I]]", 0, (json_int_t)size);
	}
	shown = fake_place(parts, size);
	json_array_foreach(json_object_get(args, "nodes"), i, node) {
		const char *name = json_string_value(node);

		json_array_append_new(images, fake_image(name,
			json_object_get(maps, name), parts, shown, n));
	}
	json_decref(parts);
	return json_pack("{s:I, s:I, s:o}", "size", (json_int_t)size, "shown",
			 (json_int_t)shown, "images", images);
}

static inline json_t *fake_value(struct play *p, const char *name,
				 const json_t *args)
{
	json_t *value = json_object_get(json_object_get(fake_scene(p),
							"replies"), name);

	if (!strcmp(name, "query-commands"))
		return json_pack("[{s:s}, {s:s}, {s:s}, {s:s}, {s:s}, {s:s}]",
				 "name", "x-blkmon-query-folder", "name",
				 "x-blkmon-query-jobs", "name",
				 "x-blkmon-tree-map", "name",
				 "x-blkmon-query-links", "name",
				 "x-blkmon-query-space", "name",
				 "x-blkmon-query-exports");
	if (!strcmp(name, "x-blkmon-tree-map"))
		return fake_map(p, args);
	if (!strcmp(name, "query-status") && !value)
		return json_pack("{s:b}", "running", 1);
	if (value)
		return json_deep_copy(value);
	return str_has_prefix(name, "query-") ||
		str_has_prefix(name, "x-blkmon-query") ? json_array() :
		json_object();
}

/* Without plans it is an end that knows none. */
static inline json_t *fake_plan(struct play *p, const json_t *args)
{
	const json_t *request = json_object_get(args, "request");
	const json_t *given = json_object_get(request, "arguments");
	char *name = mem_printf("%s%s%s", field_str(request, "execute"),
		field_bool(given, "x-blkmon-force") ? " -f" : "",
		field_bool(given, "x-blkmon-keep") ? " -k" : "");
	json_t *plan = json_object_get(json_object_get(fake_scene(p), "plans"),
				       name);

	free(name);
	if (plan)
		return json_deep_copy(plan);
	return json_pack("{s:{s:s, s:s}}", "error", "class", "CommandNotFound",
			 "desc", "The command x-blkmon-plan has not been "
			 "found");
}

static inline bool fake_fails(struct play *p, const char *name)
{
	json_t *list = json_object_get(fake_scene(p), "fails"), *entry;
	size_t i;

	json_array_foreach(list, i, entry)
		if (!strcmp(json_string_value(entry), name))
			return true;
	return false;
}

static inline void fake_wake(struct fake *f)
{
	eventfd_write(f->fd, 1);
	if (f->other)
		eventfd_write(f->other->fd, 1);
}

static inline json_t *fake_execute(struct channel *c, json_t *request)
{
	struct fake *f = container_of(c, struct fake, channel);
	const char *name = field_str(request, "execute");
	const char *next;
	json_t *reply;

	lock_take(&f->play->lock);
	next = field_str(fake_scene(f->play), "next");
	if (*next && !strcmp(next, name)) {
		f->play->scene++;
		fake_wake(f);
	}
	if (fake_fails(f->play, name))
		reply = json_pack("{s:{s:s}}", "error", "desc", "no memory");
	else if (!strcmp(name, "x-blkmon-plan"))
		reply = fake_plan(f->play, json_object_get(request,
							   "arguments"));
	else
		reply = json_pack("{s:o}", "return", fake_value(f->play, name,
				  json_object_get(request, "arguments")));
	lock_drop(&f->play->lock);
	json_decref(request);
	return reply;
}

static inline json_t *fake_event(struct fake *f)
{
	json_t *events;

	while (!f->silent && f->scene <= f->play->scene) {
		events = json_object_get(json_array_get(f->play->scenes,
							f->scene), "events");
		if (f->event < json_array_size(events))
			return json_deep_copy(json_array_get(events,
							     f->event++));
		if (f->scene == f->play->scene)
			break;
		f->scene++;
		f->event = 0;
	}
	return NULL;
}

static inline json_t *fake_next_event(struct channel *c, uint64_t deadline)
{
	struct fake *f = container_of(c, struct fake, channel);
	eventfd_t count;
	json_t *event;

	(void)deadline;
	lock_take(&f->play->lock);
	event = fake_event(f);
	if (!event)
		eventfd_read(f->fd, &count);
	lock_drop(&f->play->lock);
	return event;
}

static inline int fake_fd(struct channel *c)
{
	return container_of(c, struct fake, channel)->fd;
}

static inline void fake_init(struct fake *f, struct play *play)
{
	static const struct channel_ops ops = {
		.execute = fake_execute, .next_event = fake_next_event,
		.event_fd = fake_fd,
	};

	*f = (struct fake) {
		.channel.ops = &ops, .play = play,
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
}

static inline void fake_release(struct fake *f)
{
	close(f->fd);
}

#endif
