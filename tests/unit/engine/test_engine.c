/* The facade on real images, with qemu-img as the judge: drives, guest I/O,
 * snapshots, resize, queries. */
#include "tests/unit/engine_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "engine/files.h"
#include "engine/util/clock.h"

static char *snapshot(const char *file)
{
	struct snapshot_options o = { .device = "disk0", .file = file };
	char *line;

	if (engine_snapshot(engine, &o, &line, &err))
		fail_msg("%s", err.text);
	return line;
}

static void assert_no_snapshot(const struct snapshot_options *o,
			       const char *why)
{
	char *line;

	assert_int_equal(engine_snapshot(engine, o, &line, &err), -1);
	assert_null(line);
	if (strcmp(err.text, why))
		fail_msg("'%s' is not '%s'", err.text, why);
}

static void test_snapshot(void **state)
{
	char *line;

	(void)state;
	write_mib(0, 0x10);
	write_mib(1, 0x10);
	line = snapshot("sn,1");
	assert_string_equal(line, "Formatting 'sn,1', fmt=qcow2 "
		"cluster_size=65536 extended_l2=off compression_type=zlib "
		"size=8388608 backing_file=base backing_fmt=qcow2 "
		"lazy_refcounts=off refcount_bits=16");
	free(line);
	write_mib(1, 0x11);
	assert_mib("disk0", 0, 0x10);
	assert_mib("disk0", 1, 0x11);
	line = snapshot("sn2");
	assert_non_null(strstr(line, "backing_file=sn,,1 "));
	free(line);
	write_mib(2, 0x12);
	assert_int_equal(engine_sync(engine, &err), 0);
	run("qemu-img check -q -U base && qemu-img check -q -U sn,1 && "
	    "qemu-img check -q -U sn2");
	run("qemu-io -U -f qcow2 -r -c 'read -P 0x10 0 1M' "
	    "-c 'read -P 0x11 1M 1M' -c 'read -P 0x12 2M 1M' "
	    "-c 'read -P 0 3M 5M' sn2 > out; ! grep -q fail out");
	run("qemu-io -U -f qcow2 -r -c 'read -P 0x10 0 2M' "
	    "-c 'read -P 0 2M 6M' base > out; ! grep -q fail out");
}

static void write_piece(const char *device, uint64_t off, uint64_t len)
{
	void *data = mem_alloc(len);

	memset(data, 0x11, len);
	assert_int_equal(engine_write(engine, device, off, len, data, false,
				      &err), 0);
	free(data);
}

static bool is_wanted(const void *arg, const char *name)
{
	return !strcmp(arg, name);
}

static const struct tree_image *image_in(const struct tree_map *map,
					 const char *node)
{
	for (size_t i = 0; i < map->n; i++)
		if (!strcmp(map->image[i].node, node))
			return &map->image[i];
	fail_msg("no %s", node);
	return NULL;
}

/* base: data 0-1M and 7-8M, zeroes 4-5M; sn1: data 0-512K. */
static void test_map(void **state)
{
	struct tree_map_options o = { .node_name = "#block001", .cells = 2,
				      .whole = true };
	const struct tree_image *base;
	struct tree_map map;

	(void)state;
	write_mib(0, 0x10);
	write_mib(7, 0x10);
	write_mib(4, 0x10);
	assert_int_equal(engine_zero(engine, "disk0", 4 * MIB, MIB, false,
				     &err), 0);
	free(snapshot("sn1"));
	write_piece("disk0", 0, MIB / 2);
	assert_int_equal(engine_tree_map(engine, &o, &map, &err), 0);
	assert_true(map.exact);
	assert_int_equal(map.size, 8 * MIB);
	assert_int_equal(map.shown, 8 * MIB);
	assert_int_equal(map.n, 2);
	base = image_in(&map, "#block001");
	assert_int_equal(base->cell[0].data, MIB);
	assert_int_equal(base->cell[0].dead, MIB / 2);
	assert_int_equal(base->cell[0].zero, 0);
	assert_int_equal(base->cell[1].data, MIB);
	assert_int_equal(base->cell[1].dead, 0);
	assert_int_equal(base->cell[1].zero, MIB);
	assert_int_equal(base->cell[1].compressed, 0);
	assert_int_equal(base->sum.dead, MIB / 2);
	/* The overlay holds nothing of what is below it, and is seen. */
	assert_int_equal(image_in(&map, "#block002")->sum.data, MIB / 2);
	assert_int_equal(image_in(&map, "#block002")->sum.dead, 0);
	tree_map_release(&map);
	/* 2 of 8 MiB have data: the rest is left out. */
	o = (struct tree_map_options) { .node_name = "#block002", .cells = 4,
					.wants = is_wanted,
					.arg = "#block001" };
	assert_int_equal(engine_tree_map(engine, &o, &map, &err), 0);
	assert_int_equal(map.shown, 2 * MIB);
	base = image_in(&map, "#block001");
	for (int i = 0; i < 4; i++) {
		assert_int_equal(base->cell[i].data, MIB / 2);
		assert_int_equal(base->cell[i].dead, i ? 0 : MIB / 2);
	}
	assert_null(image_in(&map, "#block002")->cell);
	tree_map_release(&map);
	o.node_name = "nosuch";
	assert_int_equal(engine_tree_map(engine, &o, &map, &err), -1);
	assert_string_equal(err.text,
		"Cannot find device='' nor node-name='nosuch'");
	tree_map_release(&map);
}

/* Dead is what no disk sees: where two lie on one image, both have to hide it;
 * one that is smaller hides what is beyond its end, with zeroes. */
static void test_map_of_siblings(void **state)
{
	struct tree_map_options o = { .node_name = "#block001", .cells = 8 };
	struct drive_options sib = { .id = "sib", .node.path = "sib",
				     .node.format = "qcow2" };
	const struct map_cell *cell;
	struct tree_map map;

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		write_mib(i, 0x10);
	free(snapshot("sn1"));
	run("qemu-img create -q -u -f qcow2 -b base -F qcow2 sib 6M");
	assert_int_equal(engine_add_drive(engine, &sib, &err), 0);
	write_piece("sib", MIB, 2 * MIB);
	write_piece("disk0", 2 * MIB, 2 * MIB);
	write_piece("disk0", 7 * MIB, MIB);
	assert_int_equal(engine_tree_map(engine, &o, &map, &err), 0);
	assert_int_equal(map.n, 3);
	assert_int_equal(map.shown, 8 * MIB);
	cell = image_in(&map, "#block001")->cell;
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(cell[i].data, MIB);
		assert_int_equal(cell[i].dead, i == 2 || i == 7 ? MIB : 0);
	}
	assert_int_equal(image_in(&map, "#block001")->sum.dead, 2 * MIB);
	tree_map_release(&map);
}

static void test_latency(void **state)
{
	struct latency_info *list;
	uint64_t last = 0, sum = 0;
	size_t n;

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		write_mib(i, 0x10);
	/* What fails is not counted. */
	assert_int_equal(engine_write(engine, "disk0", 8 * MIB, 1, "x", false,
				      &err), -1);
	assert_int_equal(engine_query_latency(engine, &list, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(list[0].id, "disk0");
	for (size_t i = 0; i < list[0].steps; i++) {
		assert_true(list[0].step[i].most_ns > last);
		last = list[0].step[i].most_ns;
		sum += list[0].step[i].count;
	}
	assert_int_equal(sum, 8);
	free(list);
}

/* The path of a file that has gone is nobody's. */
static void test_path(void **state)
{
	struct node_info *nodes;
	char here[256];
	size_t n;

	(void)state;
	assert_non_null(getcwd(here, sizeof(here)));
	for (int gone = 0; gone < 2; gone++) {
		assert_int_equal(engine_query_nodes(engine, &nodes, &n), 0);
		if (gone) {
			assert_null(nodes[0].path);
		} else {
			assert_string_equal(nodes[0].file, "base");
			assert_int_equal(strncmp(nodes[0].path, here,
						 strlen(here)), 0);
			assert_string_equal(nodes[0].path + strlen(here),
					    "/base");
			assert_true(nodes[0].written);
		}
		node_info_free(nodes, n);
		unlink("base");
	}
}

static void test_space(void **state)
{
	struct space_info *space;
	size_t n;

	(void)state;
	assert_int_equal(engine_query_space(engine, &space, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(space[0].node_count, 1);
	assert_string_equal(space[0].nodes[0], "#block001");
	assert_true(space[0].mount[0] == '/');
	assert_true(space[0].free && space[0].free <= space[0].size);
	space_info_free(space, n);
}

static void test_snapshot_elsewhere(void **state)
{
	(void)state;
	mkdir("sub", 0777);
	free(snapshot("sub/sn1"));
	free(snapshot("sn2"));
	assert_int_equal(engine_sync(engine, &err), 0);
	run("qemu-img info -U sub/sn1 | grep -q 'backing file: ../base '");
	run("qemu-img info -U sn2 | grep -q '^backing file: sub/sn1$'");
	run("qemu-img info -U --backing-chain sn2 | grep -c ^image: | "
	    "grep -q 3");
}

static void test_snapshot_refused(void **state)
{
	struct snapshot_options o = { .device = "none", .file = "x" };
	struct stat st;

	(void)state;
	assert_no_snapshot(&o,
			   "Cannot find device='none' nor node-name=''");
	o = (struct snapshot_options){ .node_name = "none", .file = "x" };
	assert_no_snapshot(&o,
			   "Cannot find device='' nor node-name='none'");
	o.node_name = "#block001";
	assert_no_snapshot(&o, "New overlay node-name missing");
	o.snapshot_node_name = "disk0";
	assert_no_snapshot(&o, "New overlay node-name already in use");
	o = (struct snapshot_options){ .device = "disk0" };
	assert_no_snapshot(&o, "Parameter 'snapshot-file' is missing");
	o.file = "x";
	o.format = "nosuch";
	assert_no_snapshot(&o, "Unknown file format 'nosuch'");
	o.format = "raw";
	assert_no_snapshot(&o,
			   "Backing file not supported for file format 'raw'");
	o.format = NULL;
	o.file = "nosuch/x";
	assert_no_snapshot(&o, "Could not create 'nosuch/x': "
			   "No such file or directory");
	o.file = "a:b";
	assert_no_snapshot(&o, "Unknown protocol 'a'");
	o.file = "./base";
	assert_no_snapshot(&o, "Error: Trying to create an image with the "
			   "same filename as the backing file");
	o.file = "x";
	o.existing = true;
	assert_no_snapshot(&o, "Could not open 'x': "
			   "No such file or directory");
	free(snapshot("sn1"));
	o.existing = false;
	o.file = "base";
	assert_no_snapshot(&o, "Failed to get \"write\" lock\n"
			   "Is another process using the image [base]?");
	run("echo precious > full");
	o.file = "full";
	assert_no_snapshot(&o, "Could not create 'full': File exists");
	run("grep -q precious full");
	assert_int_equal(stat("x", &st), -1);
}

static void test_snapshot_takes_files(void **state)
{
	struct snapshot_options o = { .device = "disk0", .file = "full" };
	struct stat st;

	(void)state;
	run("chmod 640 base; umask 0; touch empty; echo old > full");
	free(snapshot("empty"));
	o.overwrite = true;
	assert_int_equal(engine_snapshot(engine, &o, NULL, &err), 0);
	o.overwrite = false;
	o.existing = true;
	o.file = "made";
	run("qemu-img create -q -f qcow2 made 4M");
	assert_int_equal(engine_snapshot(engine, &o, NULL, &err), 0);
	assert_int_equal(engine_sync(engine, &err), 0);
	run("qemu-img check -q -U full && qemu-img check -q -U empty");
	umask(0);
	free(snapshot("sn4"));
	umask(022);
	assert_int_equal(stat("sn4", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
}

static void test_snapshot_raw(void **state)
{
	struct snapshot_options o = { .device = "r", .file = "over" };
	char *line;

	(void)state;
	run("printf abc > r.raw");
	add("r", "r.raw", "raw", false);
	assert_int_equal(engine_snapshot(engine, &o, &line, &err), 0);
	assert_non_null(strstr(line, " size=512 backing_file=r.raw "
			       "backing_fmt=raw "));
	free(line);
	assert_int_equal(engine_sync(engine, &err), 0);
	run("qemu-img info -U over | grep -q 'backing file format: raw'");
	run("qemu-img compare -q -U -f raw -F qcow2 r.raw over");
}

static void test_snapshot_read_only(void **state)
{
	struct snapshot_options o = { .device = "ro", .file = "over" };

	(void)state;
	run("qemu-img create -q -f qcow2 fixed 1M");
	add("ro", "fixed", "qcow2", true);
	assert_int_equal(engine_snapshot(engine, &o, NULL, &err), 0);
	assert_int_equal(engine_write(engine, "ro", 0, 1, "a", false, &err),
			 -1);
	assert_string_equal(err.text, "Block node is read-only");
}

static void test_guest_errors(void **state)
{
	char c;

	(void)state;
	assert_int_equal(engine_read(engine, "x", 0, 1, &c, &err), -1);
	assert_int_equal(err.class, ERR_DEVICE_NOT_FOUND);
	assert_string_equal(err.text,
			    "Cannot find device='x' nor node-name='x'");
	assert_int_equal(engine_read(engine, "disk0", 8 * MIB, 1, &c, &err),
			 -1);
	assert_string_equal(err.text, "Could not read 1 bytes at offset "
			    "8388608 of 'disk0': Invalid argument");
	write_mib(0, 1);
	free(snapshot("sn1"));
	assert_mib("#block001", 0, 1);
	assert_int_equal(engine_write(engine, "#block001", 0, 1, "a", false,
				      &err), -1);
	assert_int_equal(engine_write(engine, "#block002", 0, 1, "a", true,
				      &err), 0);
	assert_int_equal(engine_discard(engine, "disk0", 0, MIB, &err), 0);
	assert_mib("disk0", 0, 0);
	assert_mib("#block001", 0, 1);
	assert_int_equal(engine_zero(engine, "disk0", 10, 10, true, &err), 0);
	assert_int_equal(engine_flush(engine, "disk0", &err), 0);
}

static void test_resize(void **state)
{
	(void)state;
	write_mib(7, 7);
	free(snapshot("sn1"));
	assert_int_equal(engine_resize(engine, "disk0", 1000, false, &err), -1);
	assert_string_equal(err.text,
			    "The new size must be a multiple of 512");
	assert_int_equal(engine_resize(engine, "disk0", INT64_MAX - 511,
				       false, &err),
			 -1);
	assert_string_equal(err.text, "offset(9223372036854775296) exceeds "
			    "maximum(9223372035781033984)");
	assert_int_equal(engine_resize(engine, "disk0", MIB, false, &err), -1);
	assert_int_equal(err.class, ERR_NOT_SUPPORTED);
	assert_int_equal(engine_resize(engine, "#block001", 9 * MIB,
				       false, &err),
			 -1);
	assert_int_equal(engine_resize(engine, "disk0", 8 * MIB,
				       false, &err), 0);
	assert_int_equal(engine_resize(engine, "disk0", 10 * MIB,
				       false, &err), 0);
	assert_mib("disk0", 7, 7);
	assert_mib("disk0", 9, 0);
	write_mib(9, 9);
	assert_int_equal(engine_sync(engine, &err), 0);
	run("qemu-img check -q -U sn1");
	run("qemu-img info -U sn1 | grep -q '(10485760 bytes)'");
}

static void test_block_status(void **state)
{
	uint64_t len = 8 * MIB;
	bool zero;

	(void)state;
	write_mib(2, 1);
	free(snapshot("sn1"));
	write_mib(3, 1);
	assert_int_equal(engine_block_status(engine, "disk0", 0, &len, &zero,
					     &err), 0);
	assert_true(zero);
	assert_int_equal(len, 2 * MIB);
	len = 8 * MIB;
	assert_int_equal(engine_block_status(engine, "disk0", 2 * MIB, &len,
					     &zero, &err), 0);
	assert_false(zero);
	assert_int_equal(len, MIB);
	len = 100;
	assert_int_equal(engine_block_status(engine, "disk0", 4 * MIB, &len,
					     &zero, &err), 0);
	assert_true(zero);
	assert_int_equal(len, 100);
}

static void test_queries(void **state)
{
	struct node_info *nodes;
	struct drive_info *drives;
	struct io_counts io;
	size_t n;

	(void)state;
	write_mib(0, 1);
	free(snapshot("sn1"));
	assert_mib("disk0", 0, 1);
	engine_query_nodes(engine, &nodes, &n);
	assert_int_equal(n, 2);
	assert_string_equal(nodes[0].name, "#block002");
	assert_string_equal(nodes[0].file, "sn1");
	assert_string_equal(nodes[0].driver, "qcow2");
	assert_string_equal(nodes[0].backing, "#block001");
	assert_string_equal(nodes[0].job, "");
	assert_true(nodes[0].active && !nodes[0].read_only);
	assert_true(!nodes[1].active && nodes[1].read_only);
	assert_int_equal(nodes[0].backing_depth, 1);
	assert_int_equal(nodes[0].image.virtual_size, 8 * MIB);
	assert_int_equal(nodes[0].image.cluster_size, 65536);
	assert_string_equal(nodes[0].image.backing_filename, "base");
	assert_string_equal(nodes[0].image.backing_format, "qcow2");
	assert_true(nodes[1].image.actual_size >= MIB);
	assert_string_equal(nodes[1].image.qcow2.compat, "1.1");
	node_info_free(nodes, n);
	engine_query_drives(engine, &drives, &n);
	assert_int_equal(n, 1);
	assert_string_equal(drives[0].id, "disk0");
	assert_string_equal(drives[0].node, "#block002");
	free(drives);
	assert_int_equal(engine_query_io(engine, "disk0", false, &io, &err),
			 0);
	assert_int_equal(io.wr_bytes, MIB);
	assert_int_equal(io.rd_bytes, MIB);
	assert_int_equal(engine_query_io(engine, "#block001", true, &io, &err),
			 0);
	assert_int_equal(io.wr_bytes, MIB);
	assert_true(io.wr_highest_offset > MIB);
	assert_int_equal(engine_query_io(engine, "#block001", false, &io,
					 &err), -1);
}

static enum event_type next_type(struct event_listener *l)
{
	struct event ev;
	uint64_t lost;

	return event_next(l, &ev, 0, &lost) ? ev.type : EVENT_NONE;
}

static void test_stop_and_cont(void **state)
{
	struct event_listener listener;

	(void)state;
	assert_int_equal(event_listen(engine_events(engine), &listener), 0);
	assert_int_equal(engine_vm_state(engine), VM_RUNNING);
	engine_cont(engine);
	engine_stop(engine);
	engine_stop(engine);
	assert_int_equal(engine_vm_state(engine), VM_PAUSED);
	run("qemu-img create -q -f qcow2 two 1M");
	add("disk1", "two", NULL, false);
	assert_true(drive_find(&engine->graph, "disk1")->stopped);
	engine_cont(engine);
	assert_int_equal(engine_flush(engine, "disk1", &err), 0);
	assert_int_equal(next_type(&listener), EVENT_STOP);
	assert_int_equal(next_type(&listener), EVENT_NOTICE);
	assert_int_equal(next_type(&listener), EVENT_RESUME);
	assert_int_equal(next_type(&listener), EVENT_NONE);
	event_unlisten(&listener);
}

static void test_drives(void **state)
{
	struct drive_options o = { .id = "disk0", .node = { .path = "two" } };

	(void)state;
	run("qemu-img create -q -f qcow2 two 1M");
	assert_int_equal(engine_add_drive(engine, &o, &err), -1);
	assert_string_equal(err.text, "Duplicate ID 'disk0' for drive");
	add(NULL, "two", "qcow2", false);
	assert_non_null(drive_find(&engine->graph, "disk1"));
	o = (struct drive_options){ .node = { .path = "base" } };
	assert_int_equal(engine_add_drive(engine, &o, &err), -1);
	assert_string_equal(err.text,
			    "Image 'base' is in use read-write by drive "
			    "'disk0'");
}

/* Somebody who takes the lock at the moment in which nobody writes: QEMU's
 * byte 201, "writing is not shared". */
static int rival = -1;

static int rival_comes(const struct file *f, enum file_op op, uint64_t off,
		       uint64_t len, const void *buf)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET,
			      .l_start = 201, .l_len = 1 };

	(void)off;
	(void)len;
	(void)buf;
	if (op == FILE_OP_FLUSH && rival < 0 && !strcmp(f->path, "bytes")) {
		rival = open("bytes", O_RDWR | O_CLOEXEC);
		assert_int_equal(fcntl(rival, F_OFD_SETLK, &lock), 0);
	}
	return 0;
}

/* A node of driver file becomes part of an image: its lock is changed, and
 * without the lock nothing is written. */
static void test_bytes_that_cant_be_locked(void **state)
{
	struct blockdev_options bytes = {
		.driver = "file", .node_name = "bytes", .filename = "bytes",
	};
	struct blockdev_options image = {
		.driver = "raw", .node_name = "image", .file_node = "bytes",
	};

	(void)state;
	run("truncate -s 1M bytes");
	assert_int_equal(engine_blockdev_add(engine, &bytes, &err), 0);
	file_set_hook(rival_comes);
	assert_int_equal(engine_blockdev_add(engine, &image, &err), -1);
	file_set_hook(NULL);
	assert_true(rival >= 0);
	assert_non_null(strstr(err.text, "write\" lock"));
	assert_null(graph_find(&engine->graph, "image"));
	assert_non_null(graph_find(&engine->graph, "bytes"));
	close(rival);
	/* it could not be made writable again, either, and that was said */
	assert_int_equal(engine_blockdev_del(engine, "bytes", &err), 0);
	assert_int_equal(engine_blockdev_add(engine, &bytes, &err), 0);
	assert_int_equal(engine_blockdev_add(engine, &image, &err), 0);
	assert_int_equal(engine_blockdev_del(engine, "image", &err), 0);
	assert_int_equal(engine_blockdev_del(engine, "bytes", &err), 0);
}

/* What the guest let go of is found by a check only where it counts still. */
static void test_check(void **state)
{
	struct check_report report;

	(void)state;
	write_mib(0, 0x10);
	write_mib(7, 0x10);
	assert_int_equal(engine_flush(engine, "disk0", &err), 0);
	assert_int_equal(engine_zero(engine, "disk0", 0, MIB, true, &err), 0);
	assert_int_equal(engine_check_node(engine, "#block001", &report, &err),
			 0);
	assert_int_equal(report.allocated_clusters, MIB >> 16);
	assert_int_equal(report.leaks + report.corruptions, 0);
}

static uint64_t watched_until(void)
{
	struct folder_report report;

	assert_int_equal(engine_query_folder(engine, NULL, &report, &err), 0);
	assert_true(report.watched);
	folder_report_release(&report);
	return engine->folders.until;
}

/* Who asks once is told for some time; who looks on, to the end. */
static void test_folders_are_watched(void **state)
{
	(void)state;
	assert_true(watched_until() <= clock_ns() + FOLDER_EVENTS_NS);
	engine_watch_folders(engine);
	assert_true(watched_until() == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
		TEST(test_map),
		TEST(test_map_of_siblings),
		TEST(test_path),
		TEST(test_space),
		TEST(test_latency),
		TEST(test_snapshot),
		TEST(test_snapshot_elsewhere),
		TEST(test_snapshot_refused),
		TEST(test_snapshot_takes_files),
		TEST(test_snapshot_raw),
		TEST(test_snapshot_read_only),
		TEST(test_guest_errors),
		TEST(test_resize),
		TEST(test_check),
		TEST(test_block_status),
		TEST(test_queries),
		TEST(test_folders_are_watched),
		TEST(test_stop_and_cont),
		TEST(test_drives),
		TEST(test_bytes_that_cant_be_locked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
