/* test_races.c - commands that come at once: two of one name, id or file, and
 * disks that come, change and go beside each other.
 */
#include "tests/unit/stall.h"

#include <stdatomic.h>

#define RACES 40

static int add_name_a(struct err *why)
{
	struct blockdev_options o = { .driver = "raw", .node_name = "same",
				      .filename = "a" };

	return engine_blockdev_add(engine, &o, why);
}

static int add_name_b(struct err *why)
{
	struct blockdev_options o = { .driver = "raw", .node_name = "same",
				      .filename = "b" };

	return engine_blockdev_add(engine, &o, why);
}

static int add_file_a(struct err *why)
{
	struct drive_options o = {
		.id = "second", .node = { .path = "a", .format = "raw" },
	};

	return engine_add_drive(engine, &o, why);
}

static int add_id_same(struct err *why)
{
	struct drive_options o = {
		.id = "same", .node = { .path = "b", .format = "raw" },
	};

	return engine_add_drive(engine, &o, why);
}

static int del_same(struct err *why)
{
	struct err none = ERR_INIT;

	return engine_blockdev_del(engine, "same", &none) &&
	       engine_drive_del(engine, "same", &none) &&
	       engine_drive_del(engine, "second", why);
}

/* One of them, and the loser is told. */
static void assert_one_wins(int (*one)(struct err *why),
			    int (*two)(struct err *why), const char *why)
{
	for (unsigned i = 0; i < RACES; i++) {
		struct act a, b;

		act_begin(&a, one);
		act_begin(&b, two);
		thread_join(a.thread);
		thread_join(b.thread);
		if (!a.rc == !b.rc)
			fail_msg("%s / %s", a.why.text, b.why.text);
		if (!strstr(a.rc ? a.why.text : b.why.text, why))
			fail_msg("%s", a.rc ? a.why.text : b.why.text);
		must_do(del_same);
	}
}

static void test_races(void **state)
{
	(void)state;
	run("qemu-img create -q -f raw a 1M; qemu-img create -q -f raw b 1M");
	assert_one_wins(add_name_a, add_name_b,
			"Duplicate nodes with node-name='same'");
	assert_one_wins(add_name_a, add_id_same, "same");
	assert_one_wins(add_id_same, add_id_same, "Duplicate ID 'same'");
	assert_one_wins(add_name_a, add_file_a, "a");
}

static _Atomic bool enough;

static int look_on(struct err *why)
{
	int rc = 0;

	while (!enough && !rc) {
		rc = look_around(why);
		if (!rc)
			rc = guest_works(why);
	}
	return rc;
}

static int come_and_go_often(struct err *why)
{
	int rc = 0;

	for (unsigned i = 0; i < RACES && !rc; i++) {
		rc = add_slow(why);
		if (!rc)
			rc = write_slow(why);
		if (!rc)
			rc = internal_snapshot(why);
		if (!rc)
			rc = internal_delete(why);
		if (!rc)
			rc = del_slow(why);
	}
	return rc;
}

static int add_and_del_often(struct err *why)
{
	int rc = 0;

	for (unsigned i = 0; i < RACES && !rc; i++) {
		rc = add_name_a(why);
		if (!rc)
			rc = engine_blockdev_del(engine, "same", why);
	}
	return rc;
}

/* For ThreadSanitizer above all. */
static void test_traffic(void **state)
{
	struct act looks, slow, names;

	(void)state;
	run("qemu-img create -q -f raw a 1M");
	atomic_store(&enough, false);
	act_begin(&looks, look_on);
	act_begin(&slow, come_and_go_often);
	act_begin(&names, add_and_del_often);
	act_end(&slow);
	act_end(&names);
	atomic_store(&enough, true);
	act_end(&looks);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, waiting_enter, \
						 waiting_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_races),
		TEST(test_traffic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
