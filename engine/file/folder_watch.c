/* folder_watch.c - see folder_watch.h. */
#include "engine/file/folder_watch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"

#define WATCH_FOR (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | \
		   IN_CLOSE_WRITE | IN_ONLYDIR)

int folder_watch_open(struct folder_watch *w)
{
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	w->wake = w->fd < 0 ? -1 : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->wake >= 0)
		return 0;
	folder_watch_close(w);
	return -EMFILE;
}

void folder_watch_close(struct folder_watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	if (w->wake >= 0)
		close(w->wake);
	for (size_t i = 0; i < w->count; i++)
		free(w->folder[i].path);
	free(w->folder);
	*w = (struct folder_watch)FOLDER_WATCH_INIT;
}

bool folder_watch_add(struct folder_watch *w, const char *path)
{
	int wd = inotify_add_watch(w->fd, path, WATCH_FOR);
	struct folder_watched *more;

	if (wd < 0)
		return false;
	for (size_t i = 0; i < w->count; i++)
		if (w->folder[i].wd == wd)
			return true;
	more = mem_try_more(w->folder, &w->cap, w->count + 1, sizeof(*more));
	if (!more) {
		inotify_rm_watch(w->fd, wd);
		return false;
	}
	w->folder = more;
	w->folder[w->count++] = (struct folder_watched){
		.wd = wd, .path = mem_dup(path),
	};
	return true;
}

/* What overflowed may be anything. */
static void watch_mark(struct folder_watch *w, const struct inotify_event *ev)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->folder[i].wd == ev->wd || ev->mask & IN_Q_OVERFLOW)
			w->folder[i].changed = true;
}

bool folder_watch_take(struct folder_watch *w)
{
	char buf[4096] __attribute__((aligned(8)));
	const struct inotify_event *ev;
	bool any = false;
	ssize_t n;

	while ((n = read(w->fd, buf, sizeof(buf))) > 0)
		for (char *at = buf; at < buf + n; any = true) {
			ev = (const void *)at;
			watch_mark(w, ev);
			at += sizeof(*ev) + ev->len;
		}
	return any;
}

void folder_watch_wait(const struct folder_watch *w, uint64_t deadline)
{
	struct pollfd fds[] = { { .fd = w->fd, .events = POLLIN },
				{ .fd = w->wake, .events = POLLIN } };
	uint64_t now = clock_ns(), left;
	eventfd_t count;

	left = deadline > now ? (deadline - now) / NS_PER_MS + 1 : 0;
	poll(fds, 2, left > 1000000 ? 1000000 : (int)left);
	eventfd_read(w->wake, &count);
}

void folder_watch_wake(const struct folder_watch *w)
{
	eventfd_write(w->wake, 1);
}
