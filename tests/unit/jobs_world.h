/* jobs_world.h - chains of real qcow2 images with a model of what the guest
 * sees, for the tests of jobs.
 */
#ifndef BLKMON_TESTS_JOBS_WORLD_H
#define BLKMON_TESTS_JOBS_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_impl.h"
#include "engine/image/qcow2/qcow2.h"
#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "tests/unit/qcow2_file.h"
#include "tests/unit/scratch.h"

#define WORLD_MAX (4u << 20)	/* bytes of the largest disk */
#define LAYERS_MAX 6

struct world {
	struct engine *engine;
	struct event_listener ear;
	unsigned layers;
	uint64_t size;			/* of the drive */
	uint8_t model[WORLD_MAX];	/* what the guest sees */
	uint64_t seed;
};

static inline uint64_t world_random(struct world *w, uint64_t below)
{
	w->seed = w->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (w->seed >> 33) % below;
}

static inline void world_name(char name[16], unsigned layer)
{
	snprintf(name, 16, "layer%u", layer);
}

static inline void must(int rc, const struct err *err)
{
	if (rc < 0) {
		/* The guest's thread can't end the test with fail_msg(). */
		fprintf(stderr, "%s\n", err->text);
		abort();
	}
}

static inline void world_open(struct world *w)
{
	char name[16];
	struct drive_options o = { .id = "disk0", .force = true };
	struct err err = ERR_INIT;

	world_name(name, w->layers - 1);
	o.node.path = name;
	w->engine = engine_new();
	must(engine_add_drive(w->engine, &o, &err), &err);
	assert_int_equal(event_listen(engine_events(w->engine), &w->ear), 0);
}

static inline void world_close(struct world *w)
{
	struct err err = ERR_INIT;

	event_unlisten(&w->ear);
	must(engine_sync(w->engine, &err), &err);
	engine_free(w->engine);
	w->engine = NULL;
}

/* One more image on top; what the guest sees is cut or grows by zeroes. */
static inline void world_add_layer(struct world *w, uint64_t size,
				   unsigned cluster_bits)
{
	char name[16], below[16];
	struct qcow2_create o = {
		.size = size, .cluster_bits = cluster_bits,
		.refcount_order = 4,
	};

	world_name(name, w->layers);
	if (w->layers) {
		world_name(below, w->layers - 1);
		o.backing_name = below;
		o.backing_format = "qcow2";
	}
	qcow2_file_new(name, &o);
	if (size < WORLD_MAX)
		memset(w->model + size, 0, WORLD_MAX - size);
	w->size = size;
	w->layers++;
}

static inline void world_write(struct world *w, uint64_t off, uint64_t len)
{
	struct err err = ERR_INIT;
	uint8_t *buf = malloc(len);

	memset(buf, 1 + (int)world_random(w, 255), len);
	must(engine_write(w->engine, "disk0", off, len, buf, false, &err),
	     &err);
	memcpy(w->model + off, buf, len);
	free(buf);
}

static inline void world_zero(struct world *w, uint64_t off, uint64_t len)
{
	struct err err = ERR_INIT;

	must(engine_zero(w->engine, "disk0", off, len, true, &err), &err);
	memset(w->model + off, 0, len);
}

/* Something a guest may do. */
static inline void world_change(struct world *w)
{
	uint64_t off = world_random(w, w->size / 512) * 512;
	uint64_t most = world_random(w, 8) ? 8192 : 300000;
	uint64_t len = min_u64(512 + world_random(w, most), w->size - off);

	if (world_random(w, 4))
		world_write(w, off, len);
	else
		world_zero(w, off, len);
}

static inline void world_verify(struct world *w)
{
	struct err err = ERR_INIT;
	uint8_t *buf = malloc(w->size);

	must(engine_read(w->engine, "disk0", 0, w->size, buf, &err), &err);
	for (uint64_t i = 0; i < w->size; i++)
		if (buf[i] != w->model[i])
			fail_msg("byte %llu is %u, not %u",
				 (unsigned long long)i, buf[i], w->model[i]);
	free(buf);
}

/* The next event of one of two kinds. */
static inline void world_wait(struct world *w, enum event_type type,
			      enum event_type other, struct event *ev)
{
	uint64_t lost;

	do {
		if (!event_next(&w->ear, ev, clock_ns() + 60 * NS_PER_SEC,
				&lost))
			fail_msg("no event of type %d", type);
	} while (ev->type != type && ev->type != other);
}

/* Ends well. */
static inline void world_completes(struct world *w)
{
	struct event ev;

	world_wait(w, EVENT_JOB_COMPLETED, EVENT_JOB_CANCELLED, &ev);
	assert_int_equal(ev.type, EVENT_JOB_COMPLETED);
	assert_string_equal(ev.text, "");
}

static inline void world_ready(struct world *w)
{
	struct event ev;

	world_wait(w, EVENT_JOB_READY, EVENT_JOB_COMPLETED, &ev);
	assert_int_equal(ev.type, EVENT_JOB_READY);
}

/* By QEMU, where it is there. */
static inline void world_check(struct world *w)
{
	char line[64];

	if (system("command -v qemu-img >/dev/null"))
		return;
	for (unsigned i = 0; i < w->layers; i++) {
		snprintf(line, sizeof(line),
			 "qemu-img check -q layer%u >/dev/null", i);
		assert_int_equal(system(line), 0);
	}
}

/* Setup and teardown of a test; *state is the world. */
static inline int world_enter(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->seed = 1;
	*state = w;
	return 0;
}

static inline int world_leave(void **state)
{
	struct world *w = *state;

	if (w->engine)
		world_close(w);
	scratch_clear();
	free(w);
	return 0;
}

#endif
