/* jobs_fault.h - the same chain before each fault, and what has to be true
 * after it; see jobs_world.h.
 */
#ifndef BLKMON_TESTS_JOBS_FAULT_H
#define BLKMON_TESTS_JOBS_FAULT_H

#include "tests/unit/jobs_world.h"

static inline int fault_enter(void **state)
{
	*state = calloc(1, sizeof(struct world));
	return 0;
}

static inline int fault_leave(void **state)
{
	struct world *w = *state;

	file_set_hook(NULL);
	if (w->engine) {
		event_unlisten(&w->ear);
		engine_free(w->engine);
	}
	scratch_clear();
	free(w);
	return 0;
}

static inline void make_chain(struct world *w)
{
	scratch_clear();
	w->layers = 0;
	w->seed = 7;
	memset(w->model, 0, sizeof(w->model));
	for (unsigned i = 0; i < 4; i++) {
		world_add_layer(w, i == 1 ? 300 << 10 : 512 << 10,
				i == 2 ? 12 : 16);
		world_open(w);
		for (int n = 0; n < 5; n++)
			world_change(w);
		world_close(w);
	}
	world_open(w);
}

/* Leaked clusters (3) are the price of a fault, errors (2) are not. */
static inline void check_sound(void)
{
	if (system("command -v qemu-img >/dev/null"))
		return;
	assert_int_equal(system("for i in layer*; do "
				"qemu-img check -q $i >/dev/null 2>&1; "
				"case $? in 0|3) ;; *) exit 1; esac; done"),
			 0);
}

static inline void finish(struct world *w)
{
	struct err err = ERR_INIT;

	event_unlisten(&w->ear);
	engine_sync(w->engine, &err);
	engine_free(w->engine);
	w->engine = NULL;
}

/* The guest sees the same, now and after all was closed; after a pivot that
 * is layer 0. */
static inline void verify_all(struct world *w)
{
	const struct node *node;

	world_verify(w);
	node = drive_find(&w->engine->graph, "disk0")->root.node;
	w->layers = (unsigned)atoi(node->file->path + 5) + 1;
	finish(w);
	check_sound();
	world_open(w);
	world_verify(w);
	finish(w);
}

#endif
