/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/util/bug.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "src/console/line/console_run.h"
#include "ui/client/client.h"
#include "ui/client/client_impl.h"

/* For so long the engine tells of changes after a look at the files. */
#define FILES_TOLD (60 * NS_PER_SEC)

void client_ask(struct client *c, bool reshape)
{
	c->asked++;
	c->reshape |= reshape;
	eventfd_write(c->watch_fd, 1);
}

/* --- the runner --- */

static void client_take_output(void *arg, enum console_kind kind,
			       const char *text)
{
	struct client *c = arg;
	size_t len = strlen(text);
	struct client_line *line = mem_alloc(sizeof(*line) + len + 1);

	memcpy(line->text, text, len);
	line->kind = kind;
	line->error = str_has_prefix(text, "Error") ||
		str_has_prefix(text, "{\"error\"") ||
		str_has_prefix(text, "unknown command");
	line->wall_us = clock_wall_us();
	lock_take(&c->lock);
	*c->lines_end = line;
	c->lines_end = &line->next;
	lock_drop(&c->lock);
	client_tell(c);
}

static struct line *next_line(struct client *c, bool *stop)
{
	struct line *line;

	lock_take(&c->lock);
	*stop = c->stop;
	line = c->queue;
	if (line) {
		c->queue = line->next;
		if (!c->queue)
			c->queue_end = &c->queue;
		c->running = true;
		c->interrupt.signal = 0;
	}
	lock_drop(&c->lock);
	return line;
}

static void end_line(struct client *c)
{
	eventfd_t count;

	lock_take(&c->lock);
	c->running = false;
	c->over = c->console->quit;
	c->wants_more = console_is_pending(c->console);
	client_ask(c, true);
	lock_drop(&c->lock);
	eventfd_read(c->interrupt.fd, &count);
	client_tell(c);
}

static void client_run_lines(struct client *c)
{
	struct line *line;
	bool stop;

	while ((line = next_line(c, &stop)) && !stop) {
		console_run(c->console, line->text);
		end_line(c);
		free(line);
	}
	free(line);
}

static void client_take_events(struct client *c)
{
	console_events(c->console, 0);
	lock_take(&c->lock);
	c->over = c->console->quit;
	c->begun = true;
	client_tell(c);
	lock_drop(&c->lock);
}

static void client_run_request(void *arg)
{
	struct client *c = arg;
	struct pollfd fds[] = {
		{ .fd = c->run_fd, .events = POLLIN },
		{ .fd = channel_event_fd(c->console->channel),
		  .events = POLLIN },
	};
	eventfd_t count;
	bool stop = false;

	client_take_events(c);
	while (!stop) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			client_take_events(c);
		if (fds[0].revents)
			eventfd_read(c->run_fd, &count);
		client_run_lines(c);
		lock_take(&c->lock);
		stop = c->stop;
		lock_drop(&c->lock);
	}
}

/* --- the screen's side --- */

static int new_fd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		BUG("no descriptor for the screen: %s", strerror(errno));
	return fd;
}

static void client_start(pthread_t *thread, const char *name,
			 void (*fn)(void *), struct client *c)
{
	int rc = thread_start(thread, name, fn, c);

	if (rc)
		BUG("no thread for the screen: %s", strerror(-rc));
}

struct client *client_new(struct console *console, struct channel *watch)
{
	struct client *c = mem_alloc(sizeof(*c));

	c->console = console;
	c->watch = watch;
	c->queue_end = &c->queue;
	c->lines_end = &c->lines;
	c->cells = 1;
	lock_init(&c->lock);
	c->fd = new_fd();
	c->run_fd = new_fd();
	c->watch_fd = new_fd();
	c->interrupt.fd = new_fd();
	c->watch_end.fd = new_fd();
	watch->interrupt = &c->watch_end;
	watch->impatient = true;
	console->write = client_take_output;
	console->arg = c;
	console->interrupt = &c->interrupt;
	console->aside = true;
	lock_take(&c->lock);
	client_ask(c, true);
	lock_drop(&c->lock);
	client_start(&c->runner, "runner", client_run_request, c);
	client_start(&c->watcher, "watcher", client_watcher, c);
	return c;
}

static void map_free(struct map *map)
{
	free(map->node);
	free(map->cells);
	free(map);
}

static void free_all(struct client *c)
{
	struct line *line = c->queue, *next;
	struct client_line *out = c->lines, *next_out;

	for (; line; line = next) {
		next = line->next;
		free(line);
	}
	for (; out; out = next_out) {
		next_out = out->next;
		free(out);
	}
	for (size_t i = 0; i < c->map_count; i++)
		map_free(c->maps[i]);
	free(c->maps);
	view_jobs_release(&c->jobs);
	json_decref(c->places);
	json_decref(c->attended);
	shape_put(c->shape);
	lock_release(&c->lock);
	json_decref(c->history);
	for (int i = 0; i < CLIENT_PLANS; i++)
		client_forget_plan(&c->plans[i]);
	free(c);
}

void client_free(struct client *c)
{
	lock_take(&c->lock);
	c->stop = true;
	lock_drop(&c->lock);
	c->interrupt.signal = SIGTERM;
	eventfd_write(c->interrupt.fd, 1);
	c->watch_end.signal = SIGTERM;
	eventfd_write(c->watch_end.fd, 1);
	eventfd_write(c->run_fd, 1);
	eventfd_write(c->watch_fd, 1);
	thread_join(c->runner);
	thread_join(c->watcher);
	c->console->interrupt = NULL;
	close(c->fd);
	close(c->run_fd);
	close(c->watch_fd);
	close(c->interrupt.fd);
	c->watch->interrupt = NULL;
	close(c->watch_end.fd);
	free_all(c);
}

int client_fd(const struct client *c)
{
	return c->fd;
}

void client_seen(struct client *c)
{
	eventfd_t count;

	eventfd_read(c->fd, &count);
}

void client_run(struct client *c, const char *text)
{
	size_t len = strlen(text);
	struct line *line = mem_alloc(sizeof(*line) + len + 1);

	memcpy(line->text, text, len);
	lock_take(&c->lock);
	*c->queue_end = line;
	c->queue_end = &line->next;
	lock_drop(&c->lock);
	eventfd_write(c->run_fd, 1);
}

void client_interrupt(struct client *c)
{
	c->interrupt.signal = SIGINT;
	eventfd_write(c->interrupt.fd, 1);
}

static bool ask_flag(struct client *c, const bool *flag)
{
	bool value;

	lock_take(&c->lock);
	value = *flag;
	lock_drop(&c->lock);
	return value;
}

bool client_busy(struct client *c)
{
	bool busy;

	lock_take(&c->lock);
	busy = c->running || c->queue;
	lock_drop(&c->lock);
	return busy;
}

bool client_over(struct client *c)
{
	return ask_flag(c, &c->over);
}

bool client_wants_more(struct client *c)
{
	return ask_flag(c, &c->wants_more);
}

bool client_settled(struct client *c)
{
	bool settled;

	lock_take(&c->lock);
	settled = c->begun && !c->running && !c->queue &&
		c->done == c->asked && !c->files_late;
	lock_drop(&c->lock);
	return settled;
}

void client_refresh(struct client *c)
{
	lock_take(&c->lock);
	client_ask(c, true);
	lock_drop(&c->lock);
}

void client_look(struct client *c)
{
	lock_take(&c->lock);
	if (c->files_seen && clock_ns() > c->files_seen + FILES_TOLD) {
		c->files_seen = 0;
		c->files_wanted = true;
		client_ask(c, false);
	}
	lock_drop(&c->lock);
}

struct client_line *client_lines(struct client *c)
{
	struct client_line *lines;

	lock_take(&c->lock);
	lines = c->lines;
	c->lines = NULL;
	c->lines_end = &c->lines;
	lock_drop(&c->lock);
	return lines;
}

struct shape *client_shape(struct client *c)
{
	struct shape *shape;

	lock_take(&c->lock);
	shape = c->shape ? shape_get(c->shape) : NULL;
	lock_drop(&c->lock);
	return shape;
}

void client_jobs(struct client *c, struct view_jobs *out)
{
	lock_take(&c->lock);
	view_jobs_copy(out, &c->jobs);
	lock_drop(&c->lock);
}

void client_uses(struct client *c, struct view_uses *out)
{
	lock_take(&c->lock);
	*out = c->uses;
	lock_drop(&c->lock);
}

void client_ask_history(struct client *c)
{
	lock_take(&c->lock);
	c->history_wanted = true;
	client_ask(c, false);
	lock_drop(&c->lock);
}

json_t *client_history(struct client *c)
{
	json_t *history;

	lock_take(&c->lock);
	history = c->history;
	c->history = NULL;
	lock_drop(&c->lock);
	return history;
}

void client_attend(struct client *c, json_t *places)
{
	lock_take(&c->lock);
	if (json_equal(c->attended, places)) {
		json_decref(places);
	} else {
		json_decref(c->attended);
		c->attended = places;
		c->attends = true;
		client_ask(c, true);
	}
	lock_drop(&c->lock);
}

json_t *client_places(struct client *c)
{
	json_t *places;

	lock_take(&c->lock);
	places = json_deep_copy(c->places);
	lock_drop(&c->lock);
	return places;
}

void client_dismiss(struct client *c)
{
	lock_take(&c->lock);
	view_jobs_dismiss(&c->jobs);
	lock_drop(&c->lock);
	client_tell(c);
}

/* --- maps --- */

/* Behind the one that was found last: neighbours are asked for in a row. */
static struct map *find_map(struct client *c, const char *node)
{
	for (size_t i = 1; i <= c->map_count; i++) {
		size_t at = (c->map_found + i) % c->map_count;

		if (strcmp(c->maps[at]->node, node))
			continue;
		c->map_found = at;
		return c->maps[at];
	}
	return NULL;
}

struct map *client_map_of(struct client *c, const char *node)
{
	struct map *map = find_map(c, node);

	if (map)
		return map;
	map = mem_alloc(sizeof(*map));
	map->node = mem_dup(node);
	map->stale = true;
	c->maps = mem_grow(c->maps, c->map_count + 1, sizeof(*c->maps));
	c->maps[c->map_count++] = map;
	return map;
}

/* What has gone from view is forgotten, when it is much. */
static void trim_maps(struct client *c)
{
	size_t kept = 0, drawn = 0;

	for (size_t i = 0; i < c->map_count; i++)
		drawn += c->maps[i]->cells != NULL;
	if (drawn < 256 && c->map_count < 8192)
		return;
	for (size_t i = 0; i < c->map_count; i++)
		if (c->maps[i]->wanted)
			c->maps[kept++] = c->maps[i];
		else
			map_free(c->maps[i]);
	c->map_count = kept;
}

void client_show(struct client *c, const char *const *nodes, size_t n,
		 unsigned cells, bool whole)
{
	bool news = false;
	struct map *map;

	if (cells > STRIP_CELLS)
		cells = STRIP_CELLS;
	lock_take(&c->lock);
	for (size_t i = 0; i < c->map_count; i++)
		c->maps[i]->wanted = false;
	for (size_t i = 0; i < n; i++) {
		map = client_map_of(c, nodes[i]);
		map->wanted = true;
		map->stale |= map->tried != cells || map->whole != whole;
		news |= map->stale;
	}
	trim_maps(c);
	c->cells = cells ? cells : 1;
	c->whole = whole;
	if (news)
		client_ask(c, false);
	lock_drop(&c->lock);
}

unsigned client_map(struct client *c, const char *node,
		    struct strip_cell *cells, struct map_sum *sum)
{
	struct map *map;
	unsigned n = 0;

	*sum = (struct map_sum) { 0 };
	lock_take(&c->lock);
	map = find_map(c, node);
	if (map)
		*sum = map->sum;
	if (map && cells) {
		n = map->n;
		if (n)
			memcpy(cells, map->cells, n * sizeof(*cells));
	}
	lock_drop(&c->lock);
	return n;
}
