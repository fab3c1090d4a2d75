/* drive_world.h - one drive on a fake chain, and guests who use it. */
#ifndef BLKMON_TEST_DRIVE_WORLD_H
#define BLKMON_TEST_DRIVE_WORLD_H

#include "tests/unit/fake.h"
#include "tests/unit/scratch.h"

#include "engine/chain/node_io.h"
#include "engine/util/thread.h"

static struct graph graph;
static struct drive *drive;

static inline void start(unsigned layers, const struct node_options *o)
{
	struct err err = ERR_INIT;

	graph_init(&graph);
	assert_int_equal(drive_add(&graph, "disk0",
				   fake_chain(&graph, layers), o, &err), 0);
	drive = drive_find(&graph, "disk0");
}

static inline void stop(void)
{
	drive_remove(drive);
	graph_release(&graph);
}

#define GUESTS 4
#define REQUESTS 2000

struct guest {
	pthread_t thread;
	unsigned char byte;	/* what it writes; its clusters' stripes */
	unsigned seed;
	bool failed;
};

static inline uint64_t any(struct guest *g, uint64_t below)
{
	return (uint64_t)rand_r(&g->seed) % below;
}

static inline int request(struct guest *g, uint64_t off, uint64_t len,
			  char *buf)
{
	memset(buf, g->byte, len);
	switch (any(g, 8)) {
	case 0:
		return drive_zero(drive, off, len, any(g, 2));
	case 1:
		return drive_discard(drive, off, len);
	case 2:
		return drive_flush(drive);
	case 3:
		return drive_read(drive, off, len, buf);
	default:
		return drive_write(drive, off, len, buf, false);
	}
}

static inline void guest_works(void *arg)
{
	struct guest *g = arg;
	char buf[4096];

	for (unsigned i = 0; i < REQUESTS && !g->failed; i++) {
		uint64_t off = any(g, FAKE_SIZE);
		uint64_t len = 1 + any(g, min_u64(sizeof(buf),
						  FAKE_SIZE - off));

		g->failed = request(g, off, len, buf);
	}
}

static inline void guests_start(struct guest *guest)
{
	for (unsigned i = 0; i < GUESTS; i++) {
		guest[i] = (struct guest){ .byte = (unsigned char)(0xa0 + i),
					   .seed = i };
		assert_int_equal(thread_start(&guest[i].thread, "guest",
					      guest_works, &guest[i]), 0);
	}
}

static inline void guests_join(struct guest *guest)
{
	for (unsigned i = 0; i < GUESTS; i++) {
		thread_join(guest[i].thread);
		assert_false(guest[i].failed);
	}
}

#endif
