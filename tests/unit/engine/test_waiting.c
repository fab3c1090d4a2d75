/* test_waiting.c - who waits for whom: whatever is done to one disk, and
 * however long its host takes for it, the guests of other disks work on.
 */
#include "tests/unit/stall.h"

/* --- opening and closing --- */

static void assert_opening(int (*open_it)(struct err *why),
			   int (*close_it)(struct err *why))
{
	static const enum file_op ops[] = { FILE_OP_OPEN, FILE_OP_READ };

	for (unsigned i = 0; i < 2; i++) {
		assert_beside(SLOW, ops[i], open_it, guest_works);
		must_do(close_it);
		assert_beside(SLOW, ops[i], open_it, look_around);
		must_do(close_it);
	}
	/* what is dirty is mended at the opening */
	make_dirty(SLOW);
	assert_beside(SLOW, FILE_OP_WRITE, open_it, guest_works);
	must_do(close_it);
	make_dirty(SLOW);
	assert_beside(SLOW, FILE_OP_WRITE, open_it, look_around);
	must_do(close_it);
}

static void test_opening(void **state)
{
	(void)state;
	assert_opening(add_slow, del_slow);
	assert_opening(blockdev_add_slow, blockdev_del_slow);
}

static int add_above_slow(struct err *why)
{
	struct drive_options o = {
		.id = "disk1", .node = { .path = "above", .format = "qcow2" },
	};

	return engine_add_drive(engine, &o, why);
}

static int blockdev_add_above_slow(struct err *why)
{
	struct blockdev_options below = slow_options(), o = slow_options();

	below.node_name = "n0";
	below.file_name = NULL;
	below.read_only = true;
	o.filename = "above";
	o.backing = BLOCKDEV_BACKING;
	o.backing_options = &below;
	return engine_blockdev_add(engine, &o, why);
}

/* Nobody sees a node that is not whole, nor can it be read. */
static int find_no_part(struct err *why)
{
	char byte;

	if (!engine_read(engine, "n1", 0, 1, &byte, why) ||
	    !engine_read(engine, "n0", 0, 1, &byte, why))
		return -1;
	*why = (struct err)ERR_INIT;
	return 0;
}

static void test_opening_below(void **state)
{
	(void)state;
	run("qemu-img create -q -f qcow2 -b " SLOW " -F qcow2 above");
	assert_beside(SLOW, FILE_OP_READ, add_above_slow, guest_works);
	must_do(del_slow);
	assert_beside(SLOW, FILE_OP_OPEN, blockdev_add_above_slow,
		      guest_works);
	must_do(blockdev_del_slow);
	assert_beside(SLOW, FILE_OP_OPEN, blockdev_add_above_slow,
		      find_no_part);
	must_do(blockdev_del_slow);
}

/* A file that is taken over by a format. */
static int blockdev_add_on_file(struct err *why)
{
	struct blockdev_options o = slow_options();

	o.filename = NULL;
	o.file_name = NULL;
	o.file_node = "f1";
	return engine_blockdev_add(engine, &o, why);
}

static void test_on_file(void **state)
{
	struct blockdev_options o = {
		.driver = "file", .node_name = "f1", .filename = SLOW,
	};

	(void)state;
	assert_int_equal(engine_blockdev_add(engine, &o, &err), 0);
	assert_beside(SLOW, FILE_OP_READ, blockdev_add_on_file, guest_works);
	/* it comes back, when the format has let go of it */
	assert_beside(SLOW, FILE_OP_OPEN, blockdev_del_slow, guest_works);
	assert_int_equal(engine_blockdev_del(engine, "f1", &err), 0);
}

static void test_closing(void **state)
{
	(void)state;
	must_do(add_slow);
	must_do(write_slow);
	assert_beside(SLOW, FILE_OP_FLUSH, del_slow, guest_works);
	must_do(add_slow);
	must_do(write_slow);
	assert_beside(SLOW, FILE_OP_FLUSH, del_slow, look_around);
}

/* The file is free when the command has ended, not before; who wants it in
 * between waits. */
static void test_open_again(void **state)
{
	struct act del, add_it;

	(void)state;
	must_do(add_slow);
	must_do(write_slow);
	stall_next(SLOW, FILE_OP_FLUSH);
	act_begin(&del, del_slow);
	assert_true(await(&stall.reached));
	act_begin(&add_it, add_slow);
	sem_post(&stall.go_on);
	act_end(&del);
	act_end(&add_it);
	must_do(del_slow);
	run("qemu-io -f qcow2 -c 'write 0 4k' " SLOW " > out");
}

#define SECOND "second"

static int add_second(struct err *why)
{
	struct drive_options o = {
		.id = SECOND, .node = { .path = SECOND, .format = "qcow2" },
	};

	return engine_add_drive(engine, &o, why);
}

static int write_second(struct err *why)
{
	return engine_write(engine, SECOND, 0, 4, "abcd", false, why);
}

static int del_second(struct err *why)
{
	return engine_drive_del(engine, SECOND, why);
}

/* Each command closes what it has removed, and nothing else: one that has two
 * images to close stands still between them. */
static void test_two_removed_at_once(void **state)
{
	struct act one, two;

	(void)state;
	run("qemu-img create -q -f qcow2 " SECOND " 1M");
	run("qemu-img create -q -f qcow2 -b " SLOW " -F qcow2 above");
	must_do(add_above_slow);
	must_do(write_slow);
	must_do(add_second);
	must_do(write_second);
	stall_next("above", FILE_OP_FLUSH);
	act_begin(&one, del_slow);
	assert_true(await(&stall.reached));
	act_begin(&two, del_second);
	must_do(guest_works);
	must_do(look_around);
	sem_post(&stall.go_on);
	act_end(&one);
	act_end(&two);
	run("qemu-io -f qcow2 -c 'read -P 1 0 1' -c 'write 0 4k' above > out");
	run("qemu-io -f qcow2 -c 'read -P 97 0 1' -c 'write 0 4k' " SECOND
	    " > out");
	run("qemu-img check -q above");
	run("qemu-img check -q " SECOND);
}

static bool was_told(struct event_listener *ear, const char *text)
{
	struct event ev;
	uint64_t lost;

	while (event_next(ear, &ev, 0, &lost))
		if (ev.type == EVENT_NOTICE && strstr(ev.text, text))
			return true;
	return false;
}

static int fail_flushes(const struct file *f, enum file_op op, uint64_t off,
			uint64_t len, const void *buf)
{
	(void)off;
	(void)len;
	(void)buf;
	return op == FILE_OP_FLUSH && !strcmp(f->path, SLOW) ? -EIO : 0;
}

/* That a disk could not be written before it was closed is said. */
static void test_failing_close(void **state)
{
	struct event_listener ear;

	(void)state;
	must_do(add_slow);
	must_do(write_slow);
	assert_int_equal(event_listen(engine_events(engine), &ear), 0);
	file_set_hook(fail_flushes);
	must_do(del_slow);
	file_set_hook(stall_hook);
	assert_true(was_told(&ear, "Could not flush '" SLOW "'"));
	event_unlisten(&ear);
}

/* --- changes of one image --- */

static void test_internal_snapshots(void **state)
{
	(void)state;
	must_do(add_slow);
	must_do(write_slow);
	assert_beside(SLOW, FILE_OP_WRITE, internal_snapshot, guest_works);
	assert_beside(SLOW, FILE_OP_WRITE, internal_delete, guest_works);
	must_do(write_slow);
	assert_beside(SLOW, FILE_OP_FLUSH, internal_snapshot, look_around);
	assert_beside(SLOW, FILE_OP_FLUSH, internal_delete, look_around);
	must_do(del_slow);
	run("qemu-img check -q " SLOW);
}

static int resize_slow(struct err *why)
{
	return engine_resize(engine, "disk1", 12 * MIB, false, why);
}

static int check_slow(struct err *why)
{
	struct check_report report;
	struct node_info *nodes;
	size_t n;
	int rc;

	if (engine_query_nodes(engine, &nodes, &n))
		return -1;
	rc = engine_check_node(engine, nodes[0].name, &report, why);
	node_info_free(nodes, n);
	return rc;
}

static void test_resize_and_check(void **state)
{
	(void)state;
	must_do(add_slow);
	must_do(write_slow);
	assert_beside(SLOW, FILE_OP_READ, check_slow, guest_works);
	assert_beside(SLOW, FILE_OP_READ, check_slow, look_around);
	assert_beside(SLOW, FILE_OP_FLUSH, resize_slow, guest_works);
}

static int snapshot_slow(struct err *why)
{
	struct snapshot_options o = { .device = "disk1", .file = "over" };

	return engine_snapshot(engine, &o, NULL, why);
}

static int change_backing(struct err *why)
{
	struct node_info *nodes;
	size_t n;
	int rc;

	if (engine_query_nodes(engine, &nodes, &n))
		return -1;
	rc = engine_change_backing_file(engine, "disk1", nodes[0].name,
					"./" SLOW, false, why);
	node_info_free(nodes, n);
	return rc;
}

static void test_overlay(void **state)
{
	static const struct {
		const char *path;
		enum file_op op;
	} at[] = {
		{ "over", FILE_OP_OPEN }, { "over", FILE_OP_WRITE },
		{ SLOW, FILE_OP_FLUSH },
	};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		must_do(add_slow);
		must_do(write_slow);
		assert_beside(at[i].path, at[i].op, snapshot_slow,
			      guest_works);
		assert_beside("over", FILE_OP_WRITE, change_backing,
			      guest_works);
		must_do(del_slow);
		assert_int_equal(unlink("over"), 0);
	}
}

static int make_read_only(struct err *why)
{
	struct blockdev_options o = slow_options();
	const struct blockdev_options *list = &o;

	o.read_only = true;
	return engine_blockdev_reopen(engine, &list, 1, why);
}

static void test_reopen(void **state)
{
	char buf[512] = { 1 };

	(void)state;
	must_do(blockdev_add_slow);
	assert_int_equal(engine_write(engine, "n1", 0, sizeof(buf), buf, false,
				      &err), 0);
	assert_beside(SLOW, FILE_OP_FLUSH, make_read_only, guest_works);
	must_do(blockdev_del_slow);
}

/* --- jobs --- */

static int commit_into_slow(struct err *why)
{
	struct commit_options o = { .device = "disk1" };

	return engine_commit(engine, &o, why);
}

static struct event_listener job_ear;

static void await_event(enum event_type type)
{
	struct event ev;
	uint64_t lost;

	do
		event_next(&job_ear, &ev, UINT64_MAX, &lost);
	while (ev.type != type);
}

static int finish_commit(struct err *why)
{
	if (engine_job_complete(engine, "disk1", why))
		return -1;
	await_event(EVENT_JOB_COMPLETED);
	return 0;
}

static int add_over(struct err *why)
{
	struct drive_options o = {
		.id = "disk1", .node = { .path = "over", .format = "qcow2" },
	};

	return engine_add_drive(engine, &o, why);
}

/* From the repair of the base at the start to the closing of the overlay. */
static void test_jobs(void **state)
{
	(void)state;
	run("qemu-img create -q -f qcow2 -b " SLOW " -F qcow2 over");
	make_dirty(SLOW);
	must_do(add_over);
	must_do(write_slow);
	assert_int_equal(event_listen(engine_events(engine), &job_ear), 0);
	assert_beside(SLOW, FILE_OP_WRITE, commit_into_slow, guest_works);
	await_event(EVENT_JOB_READY);
	must_do(write_slow);
	assert_beside(SLOW, FILE_OP_FLUSH, finish_commit, guest_works);
	event_unlisten(&job_ear);
}

/* --- a guest's own request --- */

static int read_slow(struct err *why)
{
	struct disk_options o = { .device = "disk1", .writable = true };
	struct disk *disk = disk_open(engine, &o, why);
	char buf[512];
	int rc = disk ? disk_read(disk, 0, sizeof(buf), buf) : -EIO;

	disk_close(disk);
	return rc ? err_sys(why, rc, "reads") : 0;
}

static int come_and_go(struct err *why)
{
	struct drive_options o = {
		.id = "disk2", .node = { .path = "third", .format = "raw" },
	};

	if (engine_add_drive(engine, &o, why) || guest_works(why) ||
	    engine_resize(engine, "disk2", 2 * MIB, false, why))
		return -1;
	return engine_drive_del(engine, "disk2", why);
}

/* While it hangs others come, change and go. */
static void test_hanging_request(void **state)
{
	(void)state;
	run("qemu-img create -q -f raw third 1M");
	must_do(add_slow);
	must_do(write_slow);
	assert_beside(SLOW, FILE_OP_READ, read_slow, come_and_go);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, waiting_enter, \
						 waiting_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_opening),
		TEST(test_opening_below),
		TEST(test_on_file),
		TEST(test_closing),
		TEST(test_two_removed_at_once),
		TEST(test_open_again),
		TEST(test_failing_close),
		TEST(test_internal_snapshots),
		TEST(test_resize_and_check),
		TEST(test_overlay),
		TEST(test_reopen),
		TEST(test_jobs),
		TEST(test_hanging_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
