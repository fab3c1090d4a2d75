/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Maps that were read, kept as text for as long as none of their files has
 * changed: a screen asks again every two seconds.
 *
 * A map is found again by all that it was made of: what was asked, and of each
 * file which it is, its size and both of its times. So what has changed is not
 * found, and goes when there is no room for it any more.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "src/attach/far_impl.h"
#include "src/qmp/command.h"

/* Of one place, in bytes: a screen's maps are a tenth of that. */
#define FAR_MAPS_MOST ((size_t)512 << 10)
/* The clock of a file stands still for some milliseconds, and that of a
 * server is another's. */
#define FAR_MAP_SETTLED_NS (2 * (int64_t)NS_PER_SEC)

struct far_map_kept {
	struct list link;	/* far.maps, what was used last first */
	size_t size;
	char *map;		/* behind the key */
	char key[];
};

static int64_t far_map_ns(struct timespec at)
{
	return (int64_t)at.tv_sec * (int64_t)NS_PER_SEC + at.tv_nsec;
}

/* A write that comes now would be seen in its times: it sets both, and one of
 * them has been another for a while. A block device's say nothing. */
static bool far_map_is_settled(const struct stat *st)
{
	int64_t mtime = far_map_ns(st->st_mtim);
	int64_t ctime = far_map_ns(st->st_ctim);
	int64_t now = (int64_t)(clock_wall_us() * NS_PER_US);

	return S_ISREG(st->st_mode) &&
		(mtime < ctime ? mtime : ctime) < now - FAR_MAP_SETTLED_NS;
}

static json_t *far_map_key_file(const struct tree_file *file,
				const struct stat *st)
{
	return json_pack("[s, s, I, b, I, I, I, I, I]", file->node,
		file->format, (json_int_t)file->backing, (int)file->used,
		(json_int_t)st->st_dev,
		(json_int_t)st->st_ino, (json_int_t)st->st_size,
		(json_int_t)far_map_ns(st->st_mtim),
		(json_int_t)far_map_ns(st->st_ctim));
}

char *far_map_key(const struct tree_file *files, size_t n, const json_t *args)
{
	json_t *list = json_array(), *key;
	bool whole = true;
	char *text;

	for (size_t i = 0; i < n && whole; i++) {
		struct stat st = { 0 };

		if (*files[i].path)
			whole = !stat(files[i].path, &st) &&
				far_map_is_settled(&st);
		whole = whole && !json_array_append_new(
			list, far_map_key_file(&files[i], &st));
	}
	key = json_pack("{s:O, s:o}", "asked", args, "files", list);
	text = whole ? json_dumps(key, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(key);
	return text;
}

static void far_map_drop(struct far *f, struct far_map_kept *kept)
{
	f->maps_size -= kept->size;
	list_del(&kept->link);
	free(kept);
}

/* Lock held. */
static struct far_map_kept *far_map_find(struct far *f, const char *key)
{
	list_for_each(link, &f->maps) {
		struct far_map_kept *kept = container_of(
			link, struct far_map_kept, link);

		if (!strcmp(kept->key, key))
			return kept;
	}
	return NULL;
}

json_t *far_map_kept(struct far *f, const char *key)
{
	struct far_map_kept *kept;
	char *text = NULL;
	json_t *map;

	lock_take(&f->lock);
	kept = key ? far_map_find(f, key) : NULL;
	if (kept) {
		list_del(&kept->link);
		list_add(&f->maps, &kept->link);
		text = mem_try_dup(kept->map, strlen(kept->map));
	}
	lock_drop(&f->lock);
	map = text ? json_loads(text, 0, NULL) : NULL;
	free(text);
	return map;
}

/* Takes @kept. */
static void far_map_add_kept(struct far *f, struct far_map_kept *kept)
{
	struct far_map_kept *old;

	lock_take(&f->lock);
	old = far_map_find(f, kept->key);
	if (old)
		far_map_drop(f, old);
	list_add(&f->maps, &kept->link);
	f->maps_size += kept->size;
	while (f->maps_size > FAR_MAPS_MOST)
		far_map_drop(f, container_of(f->maps.prev, struct far_map_kept,
					     link));
	lock_drop(&f->lock);
}

void far_map_keep(struct far *f, const char *key, const json_t *map)
{
	char *text = json_dumps(map, JSON_COMPACT);
	size_t n = strlen(key) + 1, size;
	struct far_map_kept *kept;

	size = sizeof(*kept) + n + (text ? strlen(text) + 1 : 0);
	kept = text && size <= FAR_MAPS_MOST ? mem_try(1, size) : NULL;
	if (kept) {
		kept->size = size;
		kept->map = kept->key + n;
		memcpy(kept->key, key, n);
		memcpy(kept->map, text, strlen(text) + 1);
		far_map_add_kept(f, kept);
	}
	free(text);
}

void far_maps_release(struct far *f)
{
	list_for_each_safe(link, &f->maps)
		far_map_drop(f, container_of(link, struct far_map_kept, link));
}
