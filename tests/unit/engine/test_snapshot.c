/* Snapshots under guest load, and with every operation failing in turn. */
#include "tests/unit/engine_fixture.h"

#include <stdatomic.h>

#include "engine/util/thread.h"

/* --- guests that remember what they wrote --- */

#define GUESTS 3
#define PIECE 4096u
#define PIECES (8 * MIB / PIECE / GUESTS)

struct guest {
	pthread_t thread;
	unsigned number, seed;
	unsigned char wrote[PIECES];
	bool failed;
};

static _Atomic bool enough;

static uint64_t place(const struct guest *g, unsigned piece)
{
	return (uint64_t)(piece * GUESTS + g->number) * PIECE;
}

static void guest_works(void *arg)
{
	struct err why = ERR_INIT;
	struct guest *g = arg;
	char buf[PIECE];

	while (!enough && !g->failed) {
		unsigned piece = (unsigned)rand_r(&g->seed) % PIECES;

		g->wrote[piece]++;
		memset(buf, g->wrote[piece], sizeof(buf));
		g->failed = engine_write(engine, "disk0", place(g, piece),
					 sizeof(buf), buf, false, &why);
	}
}

static void guest_checks(const struct guest *g)
{
	char buf[PIECE], want[PIECE];

	assert_false(g->failed);
	for (unsigned i = 0; i < PIECES; i++) {
		memset(want, g->wrote[i], sizeof(want));
		assert_int_equal(engine_read(engine, "disk0", place(g, i),
					     sizeof(buf), buf, &err), 0);
		assert_memory_equal(buf, want, sizeof(buf));
	}
}

static void test_under_load(void **state)
{
	struct guest *guest = mem_alloc(GUESTS * sizeof(*guest));

	(void)state;
	enough = false;
	for (unsigned i = 0; i < GUESTS; i++) {
		guest[i].number = guest[i].seed = i;
		assert_int_equal(thread_start(&guest[i].thread, "guest",
					      guest_works, &guest[i]), 0);
	}
	for (unsigned i = 0; i < 12; i++) {
		char *file = mem_printf("sn%u", i);
		struct snapshot_options o = { .device = "disk0",
					      .file = file };

		if (engine_snapshot(engine, &o, NULL, &err))
			fail_msg("%s", err.text);
		free(file);
	}
	enough = true;
	for (unsigned i = 0; i < GUESTS; i++)
		thread_join(guest[i].thread);
	for (unsigned i = 0; i < GUESTS; i++)
		guest_checks(&guest[i]);
	assert_int_equal(engine_sync(engine, &err), 0);
	run("for f in base sn*; do qemu-img check -q -U $f || exit 1; done");
	free(guest);
}

/* --- faults --- */

static unsigned countdown;	/* 0: none is left to fail */

static int fail_once(const struct file *f, enum file_op op, uint64_t off,
		     uint64_t len, const void *buf)
{
	(void)f;
	(void)op;
	(void)off;
	(void)len;
	(void)buf;
	return countdown && !--countdown ? -EIO : 0;
}

/* Whatever fails, the drive stays where it was and no file is left. */
static bool snapshot_fails_at(unsigned nth)
{
	struct snapshot_options o = { .device = "disk0", .file = "sn1" };
	int rc;

	write_mib(3, (int)nth);
	countdown = nth;
	file_set_hook(fail_once);
	rc = engine_snapshot(engine, &o, NULL, &err);
	file_set_hook(NULL);
	assert_mib("disk0", 3, (int)nth);
	write_mib(4, (int)nth);
	assert_mib("disk0", 4, (int)nth);
	assert_int_equal(access("sn1", F_OK), rc ? -1 : 0);
	if (rc)
		assert_non_null(strstr(err.text, "Input/output error"));
	return rc;
}

static void test_faults(void **state)
{
	unsigned nth = 1;
	bool failed;

	do {
		failed = snapshot_fails_at(nth++);
		assert_int_equal(leave(state) || enter(state), 0);
	} while (failed);
	assert_true(nth > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_under_load, enter, leave),
		cmocka_unit_test_setup_teardown(test_faults, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
