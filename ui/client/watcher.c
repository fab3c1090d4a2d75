/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread that keeps the picture. It asks for no more than a fiftieth of
 * the time that asking takes, so that a chain of thousands of images, or a map
 * of millions of runs, is looked at more seldom rather than with more effort.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "src/console/fields.h"
#include "ui/client/client_impl.h"
#include "ui/view/view_place.h"

#define NUMBERS_EVERY (250 * NS_PER_MS)
#define READY_EVERY NS_PER_SEC
#define RACE_EVERY NS_PER_SEC
#define MAPS_EVERY (400 * NS_PER_MS)
#define SHAPE_EVERY NS_PER_SEC
#define USES_EVERY NS_PER_SEC
#define OTHERS_EVERY (2 * NS_PER_SEC)
#define OTHERS_MOST (5 * NS_PER_SEC)
#define AGAIN_AFTER NS_PER_SEC
#define EFFORT 50
#define HISTORY_MOST 2000	/* jobs */
#define FILES_EVERY (2 * NS_PER_SEC)
#define FILES_EVENT "X_BLKMON_FOLDER_CHANGED"

struct due {
	uint64_t at;		/* clock_ns() of the next look */
};

struct watcher {
	struct client *c;
	/* x-blkmon commands */
	bool has_jobs, has_links, has_maps, has_uses, has_space,
	     has_latency, has_folder, has_status;
	bool attached;		/* others may change images, unheard */
	bool many;		/* places: nothing is true of all guests */
	bool knows;		/* which of those there are */
	bool places_changed;
	json_t *latency;	/* of the last look; NULL none */
	bool exports;		/* there are some */
	bool written;		/* to drives, through those, of late */
	struct shape *shape;
	struct due numbers, maps, sizes, uses, race;
	json_t *folder;		/* what lies around; NULL not known yet */
	struct due files;	/* the next look at that, if ... */
	bool files_stale;	/* something was done here, */
	bool files_moved;	/* or something else has changed there */
	struct due others;	/* all, because nobody says what others do */
	struct due again;	/* all, because something got no answer */
};

static json_t *watcher_try(struct watcher *w, const char *name, json_t *args)
{
	json_t *reply = channel_call(w->c->watch, name, args);
	json_t *value = json_incref(json_object_get(reply, "return"));

	json_decref(reply);
	return value;
}

/* NULL: no answer, which says nothing about what was asked for: what was known
 * stays, and all is asked for again. */
static json_t *watcher_ask(struct watcher *w, const char *name, json_t *args)
{
	json_t *value = watcher_try(w, name, args);

	if (!value)
		w->again.at = clock_ns() + AGAIN_AFTER;
	return value;
}

static void learn_commands(struct watcher *w)
{
	json_t *list = watcher_ask(w, "query-commands", NULL), *entry;
	size_t i;

	w->has_jobs = w->has_links = w->has_maps = w->has_uses = false;
	w->has_space = w->has_latency = w->has_folder = false;
	w->has_status = false;
	w->knows = list;
	json_array_foreach(list, i, entry) {
		const char *name = field_str(entry, "name");

		w->has_jobs |= !strcmp(name, "x-blkmon-query-jobs");
		w->has_links |= !strcmp(name, "x-blkmon-query-links");
		w->has_maps |= !strcmp(name, "x-blkmon-tree-map");
		w->has_latency |= !strcmp(name, "x-blkmon-query-latency");
		w->has_space |= !strcmp(name, "x-blkmon-query-space");
		w->has_status |= !strcmp(name, "query-status");
		w->has_uses |= !strcmp(name, "x-blkmon-query-exports");
		w->has_folder |= !strcmp(name, "x-blkmon-query-folder");
	}
	json_decref(list);
}

static void set_due(struct due *due, uint64_t began, uint64_t every)
{
	uint64_t now = clock_ns(), effort = (now - began) * EFFORT;

	due->at = now + (effort > every ? effort : every);
}

/* --- looks --- */

/* Takes @shape. */
static void show_shape(struct watcher *w, struct shape *shape,
		       const json_t *status)
{
	struct shape *old;

	shape->running = !status || field_bool(status, "running");
	lock_take(&w->c->lock);
	shape_put(w->shape);
	w->shape = shape;
	old = w->c->shape;
	w->c->shape = shape_get(shape);
	lock_drop(&w->c->lock);
	shape_put(old);
}

/* Without what jobs have put in front of images, where that can be said. */
static json_t *images_only(const struct watcher *w, json_t *args)
{
	if (w->has_links)
		json_object_set_new(args, "x-blkmon-filters", json_false());
	return args;
}

/* When files are to be looked at: at once after what was done here, and not
 * all the time where others do much. */
static uint64_t files_due(const struct watcher *w)
{
	if (w->has_folder && w->files_stale)
		return w->files.at;
	return w->has_folder && w->files_moved ? w->files.at + FILES_EVERY :
		UINT64_MAX;
}

/* True: the shape is to be made anew. */
static bool look_at_files(struct watcher *w)
{
	uint64_t began = clock_ns();
	json_t *folder;

	if (began < files_due(w))
		return false;
	w->files_stale = w->files_moved = false;
	folder = watcher_try(w, "x-blkmon-query-folder", NULL);
	set_due(&w->files, began, 0);
	lock_take(&w->c->lock);
	w->c->files_seen = w->files.at;
	lock_drop(&w->c->lock);
	if (!folder)
		return false;
	json_decref(w->folder);
	w->folder = folder;
	return true;
}

static void look_at_shape(struct watcher *w)
{
	uint64_t began = clock_ns();
	json_t *nodes = watcher_ask(w, "query-named-block-nodes",
				    images_only(w, json_pack("{s:b}", "flat",
							     1)));
	json_t *blocks = watcher_ask(w, "query-block",
				     images_only(w, json_object()));
	json_t *links = w->has_links
				? watcher_ask(w, "x-blkmon-query-links", NULL)
				: NULL;
	json_t *status = w->has_status && !w->many
				 ? watcher_ask(w, "query-status", NULL)
				 : NULL;
	json_t *spaces = w->has_space
		? watcher_ask(w, "x-blkmon-query-space", NULL) : NULL;

	if (nodes && blocks && (links || !w->has_links)) {
		struct shape *shape = shape_new(blocks, nodes, links,
						w->folder);

		shape_add_spaces(shape, spaces);
		show_shape(w, shape, status);
	}
	json_decref(spaces);
	json_decref(nodes);
	json_decref(blocks);
	json_decref(links);
	json_decref(status);
	set_due(&w->sizes, began, SHAPE_EVERY);
}

static void tell_attended(struct watcher *w)
{
	json_t *places = NULL;

	lock_take(&w->c->lock);
	if (w->c->attends)
		places = json_deep_copy(w->c->attended);
	w->c->attends = false;
	lock_drop(&w->c->lock);
	if (places)
		json_decref(watcher_try(w, "x-blkmon-attend", json_pack(
			"{s:o}", "places", places)));
}

/* A channel that knows of no places has one: here. */
static void look_at_places(struct watcher *w)
{
	json_t *places = watcher_try(w, "x-blkmon-query-places", NULL), *old;

	w->attached = view_place_count(places) > 0;
	w->many = json_array_size(places) > 1;
	if (!w->attached) {
		json_decref(places);
		places = NULL;
	}
	lock_take(&w->c->lock);
	old = w->c->places;
	w->c->places = places;
	lock_drop(&w->c->lock);
	json_decref(old);
}

static bool anything_written(const struct view_uses *uses)
{
	for (size_t i = 0; i < uses->n; i++)
		if (uses->list[i].wr)
			return true;
	return false;
}

/* Only where there are exports: nothing says that a client has come, so they
 * are looked at all the time. */
static void look_at_uses(struct watcher *w)
{
	uint64_t began = clock_ns();
	json_t *exports, *stats = NULL, *latency = NULL;
	struct view_uses uses;

	if (!w->has_uses)
		return;
	exports = watcher_ask(w, "x-blkmon-query-exports", NULL);
	w->exports = exports ? json_array_size(exports) : w->exports;
	if (w->exports)
		stats = watcher_ask(w, "query-blockstats", NULL);
	if (w->exports && w->has_latency)
		latency = watcher_ask(w, "x-blkmon-query-latency", NULL);
	if (exports && (stats || !w->exports)) {
		lock_take(&w->c->lock);
		view_uses_make(&uses, &w->c->uses, exports, stats, clock_ns());
		if (w->latency)
			view_uses_latency(&uses, w->latency, latency);
		w->c->uses = uses;
		w->written = anything_written(&uses);
		lock_drop(&w->c->lock);
	}
	json_decref(w->latency);
	w->latency = latency;
	json_decref(exports);
	json_decref(stats);
	set_due(&w->uses, began, USES_EVERY);
}

/* Events that leave images and drives as they are. A job that stands still
 * from now on has changed their sizes since the last look. */
static bool keeps_shape(const json_t *event)
{
	static const char *const names[] = {
		"BLOCK_JOB_READY", "BLOCK_JOB_PENDING",
		"BLOCK_WRITE_THRESHOLD", "SHUTDOWN", "X_BLKMON_NOTICE",
		"JOB_STATUS_CHANGE", FILES_EVENT,
	};
	const char *name = field_str(event, "event");
	const char *status = field_str(json_object_get(event, "data"),
				       "status");

	if (!strcmp(status, "paused") || !strcmp(status, "standby"))
		return false;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

/* Names may be written in another way from now on: jobs are known by them. */
static void watcher_take_place(struct watcher *w, const json_t *event)
{
	if (strcmp(field_str(event, "event"), "X_BLKMON_PLACE"))
		return;
	w->places_changed = true;
	if (!field_bool(json_object_get(event, "data"), "renamed"))
		return;
	lock_take(&w->c->lock);
	view_jobs_release(&w->c->jobs);
	lock_drop(&w->c->lock);
}

/* True if there was an event. */
static bool watcher_take_events(struct watcher *w, bool *reshape)
{
	bool any = false;
	json_t *event;

	while ((event = channel_next_event(w->c->watch, 0))) {
		lock_take(&w->c->lock);
		view_jobs_event(&w->c->jobs, event, w->shape);
		lock_drop(&w->c->lock);
		watcher_take_place(w, event);
		*reshape |= !keeps_shape(event);
		w->files_moved |= !strcmp(field_str(event, "event"),
					  FILES_EVENT);
		any = true;
		json_decref(event);
	}
	return any;
}

/* What guests write that jobs are to catch up with. */
static void look_at_races(struct watcher *w)
{
	uint64_t began = clock_ns();
	bool any = false;
	json_t *stats;

	lock_take(&w->c->lock);
	for (size_t i = 0; i < w->c->jobs.n; i++)
		any |= w->c->jobs.list[i].races &&
			view_job_moves(&w->c->jobs.list[i]);
	lock_drop(&w->c->lock);
	if (!any || began < w->race.at)
		return;
	stats = watcher_try(w, "query-blockstats", NULL);
	lock_take(&w->c->lock);
	if (stats)
		view_jobs_race(&w->c->jobs, stats, clock_ns());
	lock_drop(&w->c->lock);
	json_decref(stats);
	set_due(&w->race, began, RACE_EVERY);
}

static void look_at_jobs(struct watcher *w, bool *reshape)
{
	uint64_t began = clock_ns();
	json_t *reply = watcher_ask(
		w, w->has_jobs ? "x-blkmon-query-jobs" : "query-block-jobs",
		NULL);
	bool ready = true;

	lock_take(&w->c->lock);
	if (reply)
		view_jobs_update(&w->c->jobs, reply, w->shape);
	lock_drop(&w->c->lock);
	watcher_take_events(w, reshape);
	lock_take(&w->c->lock);
	if (reply)
		view_jobs_settle(&w->c->jobs);
	for (size_t i = 0; i < w->c->jobs.n; i++)
		ready &= !view_job_moves(&w->c->jobs.list[i]) ||
			w->c->jobs.list[i].ready;
	lock_drop(&w->c->lock);
	json_decref(reply);
	look_at_races(w);
	set_due(&w->numbers, began, ready ? READY_EVERY : NUMBERS_EVERY);
}

/* Whether any job lives, if only as one that stands still. */
static bool jobs_live(struct watcher *w, bool *moves)
{
	bool lives = false;

	*moves = false;
	lock_take(&w->c->lock);
	for (size_t i = 0; i < w->c->jobs.n; i++) {
		*moves |= view_job_moves(&w->c->jobs.list[i]);
		lives |= w->c->jobs.list[i].end == JOB_LIVES;
	}
	lock_drop(&w->c->lock);
	return lives;
}

static void look_at_maps(struct watcher *w, bool all)
{
	uint64_t began = clock_ns();

	client_watch_maps(w->c, all, w->has_maps);
	if (all)
		set_due(&w->maps, began, MAPS_EVERY);
}

static void look_at_history(struct watcher *w)
{
	json_t *list;
	bool wanted;

	lock_take(&w->c->lock);
	wanted = w->c->history_wanted;
	w->c->history_wanted = false;
	lock_drop(&w->c->lock);
	if (!wanted)
		return;
	list = watcher_try(w, "x-blkmon-query-history",
			   json_pack("{s:i}", "count", HISTORY_MOST));
	lock_take(&w->c->lock);
	json_decref(w->c->history);
	w->c->history = list ? list : json_null();
	lock_drop(&w->c->lock);
}

/* --- the loop --- */

/* A job that stands still may move on unheard. */
static int watcher_timeout_ms(struct watcher *w)
{
	uint64_t at = w->again.at;
	bool moves, lives = jobs_live(w, &moves);

	if (w->exports && w->uses.at < at)
		at = w->uses.at;
	if (files_due(w) < at)
		at = files_due(w);
	if (lives && w->numbers.at < at)
		at = w->numbers.at;
	if (moves && w->maps.at < at)
		at = w->maps.at;
	if (moves && w->sizes.at < at)
		at = w->sizes.at;
	if (w->attached && w->others.at < at)
		at = w->others.at;
	return clock_poll_ms(at);
}

static void watcher_wait(const struct watcher *w, int timeout)
{
	struct pollfd fds[] = {
		{ .fd = w->c->watch_fd, .events = POLLIN },
		{ .fd = channel_event_fd(w->c->watch), .events = POLLIN },
	};
	eventfd_t count;

	if (poll(fds, 2, timeout) > 0 && fds[0].revents)
		eventfd_read(w->c->watch_fd, &count);
}

/* What the screen has asked for by now: its number. */
static uint64_t take_requests(struct watcher *w, bool *reshape, bool *stop)
{
	uint64_t asked;

	lock_take(&w->c->lock);
	asked = w->c->asked;
	*reshape |= w->c->reshape;
	w->c->reshape = false;
	w->files_stale |= w->c->files_wanted;
	w->c->files_wanted = false;
	*stop = w->c->stop;
	lock_drop(&w->c->lock);
	return asked;
}

/* What got no answer was waited for, which was no effort; whoever gave none is
 * named at once. */
static void set_others_due(struct watcher *w, uint64_t began)
{
	set_due(&w->others, began, OTHERS_EVERY);
	if (w->others.at > began + OTHERS_MOST)
		w->others.at = began + OTHERS_MOST;
	if (w->attached && w->again.at != UINT64_MAX)
		look_at_places(w);
}

/* One look at all that is due. */
static void watcher_look(struct watcher *w, bool news, bool reshape)
{
	uint64_t now = clock_ns();
	bool moves, lives = jobs_live(w, &moves), changes, later = false;
	bool others = false;

	if (now >= w->again.at) {
		w->again.at = UINT64_MAX;
		reshape = true;
	}
	reshape |= w->attached && now >= w->others.at;
	if (reshape) {
		look_at_places(w);
		others = true;
	}
	tell_attended(w);
	if (!w->knows || w->places_changed)
		learn_commands(w);
	w->places_changed = false;
	client_watch_plans(w->c);
	w->files_stale |= reshape;
	reshape |= look_at_files(w);
	if (reshape || (w->exports && now >= w->uses.at))
		look_at_uses(w);
	changes = moves || w->written;
	if (reshape || (changes && now >= w->sizes.at))
		look_at_shape(w);
	if (news || reshape || (lives && now >= w->numbers.at))
		look_at_jobs(w, &later);
	look_at_maps(w, reshape || (changes && now >= w->maps.at));
	if (w->places_changed)
		look_at_places(w);
	if (later) {
		w->files_stale = true;
		look_at_files(w);
		look_at_shape(w);
		look_at_maps(w, true);
	}
	look_at_history(w);
	if (others)
		set_others_due(w, now);
}

void client_watcher(void *client)
{
	struct watcher w = { .c = client, .again.at = UINT64_MAX };
	bool stop = false;

	while (!stop) {
		bool reshape = false, news;
		uint64_t asked;

		watcher_wait(&w, watcher_timeout_ms(&w));
		news = watcher_take_events(&w, &reshape);
		asked = take_requests(&w, &reshape, &stop);
		if (stop)
			break;
		watcher_look(&w, news, reshape);
		lock_take(&w.c->lock);
		w.c->done = asked;
		w.c->files_late = files_due(&w) != UINT64_MAX;
		client_tell(w.c);
		lock_drop(&w.c->lock);
	}
	json_decref(w.latency);
	json_decref(w.folder);
	shape_put(w.shape);
}
