/* history.h - what happened to a few disks, so that the past can be asked what
 * a power cut would have left of them.
 *
 * A disk is an image file, or the disk that a guest sees. An operation on it
 * has a begin and an end. A cut falls between two of these events; then
 *   - what ended before the begin of a flush that ended before the cut, is
 *     there ("settled"),
 *   - a file that was made meanwhile has its name for sure if its directory
 *     was synced after that, and before the cut; else it may be gone,
 *   - of everything else that began ("loose"), any part may be there, torn
 *     between sectors. A later write of a sector carries what was written to
 *     it before, as the host's cache holds whole sectors.
 * The recording half may be called by many threads at once; two operations
 * under way at once share no sector. The replaying half has one thread.
 */
#ifndef BLKMON_TESTS_HISTORY_H
#define BLKMON_TESTS_HISTORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512u
#define DISKS 8

enum op_kind { OP_WRITE, OP_RESIZE, OP_FLUSH };

struct op {
	enum op_kind kind;
	unsigned disk;
	uint64_t first, count;	/* sectors */
	uint8_t *data;		/* of these after it; NULL: zeroes */
	uint64_t size;		/* RESIZE: of the disk; else its least */
	size_t begin, end;	/* numbers of events; end 0: never */
	bool settled;
};

struct disk {
	char *name;
	uint8_t *start;		/* before the first event */
	uint8_t *now;		/* after the last one */
	uint64_t start_size, size, room;
	bool fresh;		/* made by whoever is recorded */
	size_t named;		/* FRESH: durably so from this event on; 0:
				   never */
	/* replay */
	uint8_t *img;		/* all that is settled */
	uint64_t img_size;
	size_t *loose, looses;	/* numbers of operations, in order */
};

struct moment {
	size_t op;
	bool end;
};

struct history {
	struct disk disk[DISKS];
	unsigned disks;
	struct op *op;
	size_t ops, op_room;
	struct moment *event;
	size_t events, event_room;
	size_t at;		/* replay: events before the cut */
	pthread_mutex_t lock;
};

/* --- recording --- */

static inline void *grown(void *v, size_t used, size_t *room, size_t each)
{
	if (used < *room)
		return v;
	*room = *room ? *room * 2 : 256;
	return realloc(v, *room * each);
}

static inline void disk_reserve(struct disk *d, uint64_t bytes)
{
	uint64_t room = d->room ? d->room : 1 << 16;

	while (room < bytes)
		room *= 2;
	if (room == d->room)
		return;
	d->now = realloc(d->now, room);
	memset(d->now + d->room, 0, room - d->room);
	d->room = room;
}

static inline void history_init(struct history *h)
{
	memset(h, 0, sizeof(*h));
	pthread_mutex_init(&h->lock, NULL);
}

static inline void history_release(struct history *h)
{
	for (unsigned i = 0; i < h->disks; i++) {
		free(h->disk[i].name);
		free(h->disk[i].start);
		free(h->disk[i].now);
		free(h->disk[i].img);
		free(h->disk[i].loose);
	}
	for (size_t i = 0; i < h->ops; i++)
		free(h->op[i].data);
	free(h->op);
	free(h->event);
	pthread_mutex_destroy(&h->lock);
}

/* Takes @data (malloc'd, @size bytes) as what is settled from the start. */
static inline unsigned history_disk(struct history *h, const char *name,
				    uint8_t *data, uint64_t size)
{
	struct disk *d = &h->disk[h->disks];

	if (h->disks == DISKS)
		abort();
	d->name = strdup(name);
	d->start = data;
	d->start_size = d->size = size;
	disk_reserve(d, size);
	if (size)
		memcpy(d->now, data, size);
	return h->disks++;
}

/* The number of the disk, or DISKS. */
static inline unsigned history_find(const struct history *h, const char *name)
{
	for (unsigned i = 0; i < h->disks; i++)
		if (!strcmp(h->disk[i].name, name))
			return i;
	return DISKS;
}

static inline void moment_add(struct history *h, size_t op, bool end)
{
	h->event = grown(h->event, h->events, &h->event_room,
			 sizeof(*h->event));
	h->event[h->events++] = (struct moment){ op, end };
	if (end)
		h->op[op].end = h->events;
	else
		h->op[op].begin = h->events;
}

static inline size_t op_add(struct history *h, struct op op)
{
	h->op = grown(h->op, h->ops, &h->op_room, sizeof(*h->op));
	h->op[h->ops] = op;
	moment_add(h, h->ops, false);
	return h->ops++;
}

/* @data NULL: zeroes. Returns the number for history_end(). */
static inline size_t history_write(struct history *h, unsigned disk,
				   uint64_t off, uint64_t len,
				   const void *data)
{
	struct disk *d = &h->disk[disk];
	struct op op = { .kind = OP_WRITE, .disk = disk };
	size_t n;

	pthread_mutex_lock(&h->lock);
	op.first = off / SECTOR;
	op.count = (off + len + SECTOR - 1) / SECTOR - op.first;
	disk_reserve(d, (op.first + op.count) * SECTOR);
	if (data)
		memcpy(d->now + off, data, len);
	else
		memset(d->now + off, 0, len);
	if (off + len > d->size)
		d->size = off + len;
	op.size = off + len;
	op.data = malloc(op.count * SECTOR + 1);
	memcpy(op.data, d->now + op.first * SECTOR, op.count * SECTOR);
	n = op_add(h, op);
	pthread_mutex_unlock(&h->lock);
	return n;
}

static inline size_t history_resize(struct history *h, unsigned disk,
				    uint64_t size)
{
	struct disk *d = &h->disk[disk];
	size_t n;

	pthread_mutex_lock(&h->lock);
	disk_reserve(d, size);
	if (size < d->size)
		memset(d->now + size, 0, d->room - size);
	d->size = size;
	n = op_add(h, (struct op){ .kind = OP_RESIZE, .disk = disk,
				   .size = size });
	pthread_mutex_unlock(&h->lock);
	return n;
}

static inline size_t history_flush(struct history *h, unsigned disk)
{
	size_t n;

	pthread_mutex_lock(&h->lock);
	n = op_add(h, (struct op){ .kind = OP_FLUSH, .disk = disk });
	pthread_mutex_unlock(&h->lock);
	return n;
}

static inline void history_end(struct history *h, size_t op)
{
	pthread_mutex_lock(&h->lock);
	moment_add(h, op, true);
	pthread_mutex_unlock(&h->lock);
}

/* The directory of all files was synced. */
static inline void history_sync_dir(struct history *h)
{
	pthread_mutex_lock(&h->lock);
	for (unsigned i = 0; i < h->disks; i++)
		if (h->disk[i].fresh && !h->disk[i].named)
			h->disk[i].named = h->events + 1;
	pthread_mutex_unlock(&h->lock);
}

/* --- replaying --- */

/* Is the disk there after a cut here, whatever was loose? */
static inline bool history_has_name(const struct history *h,
				    const struct disk *d)
{
	return !d->fresh || (d->named && h->at >= d->named);
}

static inline void history_rewind(struct history *h)
{
	h->at = 0;
	for (size_t i = 0; i < h->ops; i++)
		h->op[i].settled = false;
	for (unsigned i = 0; i < h->disks; i++) {
		struct disk *d = &h->disk[i];

		free(d->img);
		free(d->loose);
		d->img = calloc(1, d->room);
		if (d->start_size)
			memcpy(d->img, d->start, d->start_size);
		d->img_size = d->start_size;
		d->loose = calloc(h->ops + 1, sizeof(*d->loose));
		d->looses = 0;
	}
}

/* What @op leaves in its @i-th sector. */
static inline void op_put_sector(const struct op *op, uint64_t i, uint8_t *img)
{
	memcpy(img + (op->first + i) * SECTOR, op->data + i * SECTOR, SECTOR);
}

static inline void op_put_size(const struct disk *d, const struct op *op,
			       uint8_t *img, uint64_t *size)
{
	if (op->kind == OP_RESIZE && op->size < *size)
		memset(img + op->size, 0, d->room - op->size);
	if (op->kind == OP_RESIZE || op->size > *size)
		*size = op->size;
}

static inline void op_put(const struct disk *d, const struct op *op,
			  uint8_t *img, uint64_t *size)
{
	for (uint64_t i = 0; i < op->count; i++)
		op_put_sector(op, i, img);
	op_put_size(d, op, img, size);
}

static inline void flush_ended(struct history *h, const struct op *flush)
{
	struct disk *d = &h->disk[flush->disk];
	size_t kept = 0;

	for (size_t i = 0; i < d->looses; i++) {
		struct op *op = &h->op[d->loose[i]];

		if (op->end && op->end < flush->begin) {
			op_put(d, op, d->img, &d->img_size);
			op->settled = true;
		} else {
			d->loose[kept++] = d->loose[i];
		}
	}
	d->looses = kept;
}

/* Moves the cut behind the next event; returns what it was. */
static inline struct moment history_step(struct history *h)
{
	struct moment e = h->event[h->at++];
	struct op *op = &h->op[e.op];
	struct disk *d = &h->disk[op->disk];

	if (op->kind == OP_FLUSH && e.end)
		flush_ended(h, op);
	else if (op->kind != OP_FLUSH && !e.end)
		d->loose[d->looses++] = e.op;
	return e;
}

/* Could sector @i of disk @d hold @data after a cut here? */
static inline bool history_could_hold(const struct history *h,
				      const struct disk *d, uint64_t i,
				      const uint8_t *data)
{
	if (!memcmp(d->img + i * SECTOR, data, SECTOR))
		return true;
	for (size_t k = d->looses; k--;) {
		const struct op *op = &h->op[d->loose[k]];

		if (i >= op->first && i - op->first < op->count &&
		    !memcmp(op->data + (i - op->first) * SECTOR, data, SECTOR))
			return true;
	}
	return false;
}

static inline bool history_could_have_size(const struct history *h,
					   const struct disk *d,
					   uint64_t size)
{
	if (size == d->img_size)
		return true;
	for (size_t k = 0; k < d->looses; k++)
		if (h->op[d->loose[k]].size == size)
			return true;
	return false;
}

/* The last events before the cut. */
static inline void history_print(const struct history *h)
{
	static const char *const kinds[] = { "write", "resize", "flush" };

	for (size_t i = h->at > 40 ? h->at - 40 : 0; i < h->at; i++) {
		const struct op *op = &h->op[h->event[i].op];

		fprintf(stderr, "%zu: %s %zu: %s %s, sectors %llx + %llx, "
			"size %llx\n", i, h->event[i].end ? "end" : "begin",
			h->event[i].op, h->disk[op->disk].name,
			kinds[op->kind], (unsigned long long)op->first,
			(unsigned long long)op->count,
			(unsigned long long)op->size);
	}
}

#endif
