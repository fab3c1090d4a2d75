/* test_console.c - lines of three languages, and what `info` prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/console/hmp/hmp.h"
#include "tests/unit/console_channel.h"

#define IMAGE_BASE "'image': {'filename': '/images/base', 'format': " \
	"'qcow2', 'virtual-size': 67108864, 'actual-size': 8650752, " \
	"'cluster-size': 65536, 'dirty-flag': false, 'format-specific': " \
	"{'type': 'qcow2', 'data': {'compat': '1.1', 'compression-type': " \
	"'zlib', 'lazy-refcounts': false, 'refcount-bits': 16, 'corrupt': " \
	"false, 'extended-l2': false}}}"

#define TEXT_BASE "image: /images/base\nfile format: qcow2\n" \
	"virtual size: 64 MiB (67108864 bytes)\ndisk size: 8.25 MiB\n" \
	"cluster_size: 65536\nFormat specific information:\n" \
	"    compat: 1.1\n    compression type: zlib\n" \
	"    lazy refcounts: false\n    refcount bits: 16\n" \
	"    corrupt: false\n    extended l2: false\n"

#define CACHE "'cache': {'writeback': true, 'direct': false, " \
	"'no-flush': false}"

static void lay_blocks(struct fake *f)
{
	fake_reply(f, "query-block", "{'return': ["
		"{'device': 'disk0', 'removable': false, 'io-status': 'ok',"
		" 'inserted': {'file': '/images/base', 'node-name': "
		"'#block157', 'ro': false, 'drv': 'qcow2', " CACHE ", "
		IMAGE_BASE "}},"
		"{'device': 'raw0', 'removable': true, 'io-status': 'failed',"
		" 'inserted': {'file': '/images/r\\u001b.raw', 'node-name': "
		"'n1', 'ro': true, 'drv': 'raw', 'backing_file': "
		"'/images/b', 'cache': {'writeback': "
		"true, 'direct': true, 'no-flush': true}, 'image': "
		"{'filename': '/images/r.raw', 'backing-image': {'filename':"
		" '/images/b', 'backing-image': {'filename': '/c'}}}}},"
		"{'device': 'empty', 'removable': true}]}");
	fake_reply(f, "query-named-block-nodes", "{'return': ["
		"{'file': '/images/base', 'node-name': 'n7', 'ro': true, "
		"'drv': 'qcow2', " CACHE ", " IMAGE_BASE "}]}");
}

static void info_block(void **state)
{
	static const char disk0[] =
		"disk0 (#block157): /images/base (qcow2)\n"
		"    Cache mode:       writeback\n";
	struct fake *f = *state;
	struct str all = STR_INIT;

	lay_blocks(f);
	str_add(&all, disk0);
	str_add(&all, "\nraw0 (n1): /images/r\\x1b.raw (raw, read-only)\n"
		"    I/O status:       failed\n"
		"    Removable device: not locked, tray closed\n"
		"    Cache mode:       writeback, direct, ignore flushes\n"
		"    Backing file:     /images/b (chain depth: 2)\n"
		"\nempty: [not inserted]\n"
		"    Removable device: not locked, tray closed\n");
	fake_run(f, "info block", str_get(&all), 0);
	fake_run(f, "  info  block ", str_get(&all), 0);
	fake_run(f, "info block disk0", disk0, 0);
	fake_run(f, "info block nosuch", "", 0);
	str_clear(&all);
	str_addf(&all, "%s\nImages:\n" TEXT_BASE, disk0);
	fake_run(f, "info block -v disk0", str_get(&all), 0);
	fake_run(f, "info block disk0 -v", str_get(&all), 0);
	fake_run(f, "info block -n", "n7: /images/base (qcow2, read-only)\n"
		 "    Cache mode:       writeback\n", 0);
	fake_run(f, "info block n7", "n7: /images/base (qcow2, read-only)\n"
		 "    Cache mode:       writeback\n", 0);
	str_release(&all);
}

static void info_others(void **state)
{
	struct fake *f = *state;

	fake_reply(f, "query-block-jobs", "{'return': []}");
	fake_run(f, "info block-jobs", "No active jobs\n", 0);
	fake_reply(f, "query-block-jobs", "{'return': ["
		"{'type': 'stream', 'device': 'd0', 'len': 9, 'offset': 4, "
		"'speed': 2}, {'type': 'commit', 'device': 'd1', 'len': 8, "
		"'offset': 8, 'speed': 0}]}");
	fake_run(f, "info block-jobs", "Streaming device d0: Completed 4 of "
		 "9 bytes, speed limit 2 bytes/s\nType commit, device d1: "
		 "Completed 8 of 8 bytes, speed limit 0 bytes/s\n", 0);
	fake_reply(f, "query-status", "{'return': {'status': 'io-error', "
		   "'running': false}}");
	fake_run(f, "info status", "VM status: paused (io-error)\n", 0);
	fake_reply(f, "query-blockstats", "{'return': [{'device': 'd', "
		   "'stats': {'rd_bytes': 512, 'rd_operations': 1}}]}");
	fake_run(f, "info blockstats", "d: rd_bytes=512 wr_bytes=0 "
		 "rd_operations=1 wr_operations=0 flush_operations=0 "
		 "wr_total_time_ns=0 rd_total_time_ns=0 "
		 "flush_total_time_ns=0 rd_merged=0 wr_merged=0 "
		 "idle_time_ns=0\n", 0);
	fake_reply(f, "query-version", "{'return': {'qemu': {'major': 7, "
		   "'minor': 2, 'micro': 22}, 'package': 'x'}}");
	fake_run(f, "info version", "7.2.22x\n", 0);
}

static void nothing_and_unknown(void **state)
{
	struct fake *f = *state;

	fake_run(f, "", "", 0);
	fake_run(f, "   ", "", 0);
	fake_run(f, "# a comment", "", 0);
	fake_run(f, "foo bar", "unknown command: 'foo'\n", -1);
	fake_run(f, "info foo", "unknown command: 'info foo'\n", -1);
	fake_run(f, "help foo", "unknown command: 'foo'\n", -1);
	fake_run(f, "/", "unknown command: '/'\n", -1);
}

static void help(void **state)
{
	static const char commit[] = "commit device|all -- commit changes to "
		"the disk images (if -snapshot is used) or backing files\n";
	struct fake *f = *state;

	fake_run(f, "? commit", commit, 0);
	fake_run(f, "help commit and more", commit, 0);
	fake_run(f, "help info block-jobs",
		 "info block-jobs  -- show how far the jobs are\n", 0);
	assert_int_equal(console_run(&f->console, "help"), 0);
	assert_non_null(strstr(str_get(&f->out), "\nquit|q  -- "));
	assert_non_null(strstr(str_get(&f->out), "\ninfo version  -- "));
}

static void translations(void **state)
{
	struct fake *f = *state;

	fake_run(f, "block_stream d 1M /b", "", 0);
	fake_asked(f, "{'execute': 'block-stream', 'arguments': {'device': "
		   "'d', 'speed': 1048576, 'base': '/b'}}");
	fake_run(f, "block-stream -a d", "", 0);
	fake_asked(f, "{'execute': 'block-stream', 'arguments': {'device': "
		   "'d'}}");
	fake_run(f, "block_stream -a d 0 /b", "block_stream: -a and base are "
		 "mutually exclusive\n", -1);
	fake_run(f, "block_commit d \"\" /top", "", 0);
	fake_asked(f, "{'execute': 'block-commit', 'arguments': {'device': "
		   "'d', 'top': '/top'}}");
	fake_run(f, "__com.redhat_block-commit d /b /t 1B", "", 0);
	fake_asked(f, "{'execute': '__com.redhat_block-commit', 'arguments': "
		   "{'device': 'd', 'base': '/b', 'top': '/t', 'speed': 1}}");
	fake_run(f, "snapshot_blkdev d", "Error: Parameter 'snapshot-file' "
		 "is missing\n", -1);
	fake_run(f, "snapshot_blkdev -n d /f raw", "", 0);
	fake_asked(f, "{'execute': 'blockdev-snapshot-sync', 'arguments': "
		   "{'device': 'd', 'snapshot-file': '/f', 'format': 'raw', "
		   "'mode': 'existing'}}");
	fake_error(f, "block-job-pause", "Job is already paused");
	fake_run(f, "block_job_pause d", "Error: Job is already paused\n",
		 -1);
	fake_run(f, "commit d", "", 0);
	fake_asked(f, "{'execute': 'x-blkmon-commit', 'arguments': {'device': "
		   "'d'}}");
	f->console.aside = true;
	fake_run(f, "commit d", "", 0);
	fake_asked(f, "{'execute': 'x-blkmon-commit', 'arguments': {'device': "
		   "'d', 'wait': false}}");
	f->console.aside = false;
	fake_error(f, "x-blkmon-commit", "Device 'x' not found");
	fake_run(f, "commit x", "Device 'x' not found\n", -1);
}

/* Section 2.9 of the reference: which language a line is in. */
static void dispatch(void **state)
{
	struct fake *f = *state;

	fake_reply(f, "query-commands", "{'return': [{'name': "
		   "'block-commit'}, {'name': 'block_resize'}, {'name': "
		   "'query-block'}, {'name': 'stop'}]}");
	fake_run(f, "block-commit device=d top=/t speed=5 x.y=1 x.z=true",
		 "{\"return\": {}}\n", 0);
	fake_asked(f, "{'execute': 'block-commit', 'arguments': {'device': "
		   "'d', 'top': '/t', 'speed': 5, 'x': {'y': 1, 'z': "
		   "true}}}");
	fake_run(f, "block_resize d 64", "", 0);
	fake_asked(f, "{'execute': 'block_resize', 'arguments': {'device': "
		   "'d', 'size': 67108864}}");
	fake_run(f, "block_resize device=d size=64", "{\"return\": {}}\n", 0);
	fake_asked(f, "{'execute': 'block_resize', 'arguments': {'device': "
		   "'d', 'size': 64}}");
	fake_run(f, "stop", "", 0);
	fake_reply(f, "query-block", "{'return': []}");
	fake_run(f, "query-block", "{\"return\": []}\n", 0);
	fake_run(f, "block_commit d a=b", "", 0);
	fake_run(f, "nosuch a=b", "unknown command: 'nosuch'\n", -1);
}

#define DONE "{\"return\": {}}\n"

static void shell_syntax(void **state)
{
	struct fake *f = *state;

	fake_reply(f, "query-commands", "{'return': [{'name': 'q-x'}]}");
	fake_run(f, "q-x a=1M b=0x10 c=-3 d=TRUE e=null g=\"a \\\"b\" h=[1] "
		 "i={\"j\":2}", "{\"return\": {}}\n", 0);
	fake_asked(f, "{'execute': 'q-x', 'arguments': {'a': '1M', 'b': 16, "
		   "'c': -3, 'd': true, 'e': null, 'g': 'a \\\"b', 'h': [1], "
		   "'i': {'j': 2}}}");
	fake_run(f, "q-x a={'b':'c'} d={e f=[1]x", DONE, 0);
	fake_asked(f, "{'execute': 'q-x', 'arguments': {'a': {'b': 'c'}, "
		   "'d': '{e', 'f': '[1]x'}}");
	fake_run(f, "q-x a=1 b", "Error while parsing command line: Expected "
		 "a key=value pair, got 'b'\ncommand format: <command-name> "
		 "[arg-name1=arg1] ... [arg-nameN=argN]\n", -1);
	fake_run(f, "q-x a=1 a=2", "Cannot set \"a\" multiple times\n", -1);
	fake_run(f, "q-x a=1 a.b=2",
		 "Cannot use \"a\" as both leaf and non-leaf key\n", -1);
}

#define ACTION(type, n) "{'type': '" type "', 'data': {'n': " #n "}}"
#define ASKED(actions) "{'execute': 'transaction', 'arguments': " \
	"{'actions': [" actions "]}}"
#define VOID "Error: a line of the transaction was wrong: nothing of it is " \
	"done\n"

static void shell_transaction(void **state)
{
	struct fake *f = *state;

	fake_run(f, "transaction( snap n=1 )", DONE, 0);
	fake_asked(f, ASKED(ACTION("snap", 1)));
	fake_run(f, "transaction( )", DONE, 0);
	fake_asked(f, ASKED(""));
	fake_run(f, "  transaction(", "", 0);
	assert_true(console_is_pending(&f->console));
	fake_run(f, "snap n=2", "", 0);
	fake_run(f, "# a comment", "", 0);
	fake_run(f, "", "", 0);
	fake_run(f, "stop n=3", "", 0);
	fake_run(f, " ) ", DONE, 0);
	assert_false(console_is_pending(&f->console));
	fake_asked(f, ASKED(ACTION("snap", 2) ", " ACTION("stop", 3)));
	fake_run(f, "transaction( a n=4", "", 0);
	fake_run(f, "b n=5 )", DONE, 0);
	fake_asked(f, ASKED(ACTION("a", 4) ", " ACTION("b", 5)));
	fake_run(f, "abort", "unknown command: 'abort'\n", -1);
}

/* One line that is wrong: the good ones before and behind are not run, also
 * not as lines of their own. */
static void shell_transaction_void(void **state)
{
	struct fake *f = *state;
	unsigned calls;

	fake_run(f, "transaction( a n=1", "", 0);
	calls = f->calls;
	assert_int_equal(console_run(&f->console, "a n"), -1);
	fake_run(f, "stop", "", 0);
	fake_run(f, ")", VOID, -1);
	str_clear(&f->out);
	assert_int_equal(console_run(&f->console, "transaction( a n )"), -1);
	assert_null(strstr(str_get(&f->out), "of the transaction"));
	assert_false(console_is_pending(&f->console));
	assert_int_equal(f->calls, calls);
}

static void json_lines(void **state)
{
	struct fake *f = *state;

	fake_run(f, "{ \"execute\": \"stop\" }", "{\"return\": {}}\n", 0);
	fake_run(f, "{ \"execute\":", "", 0);
	assert_true(console_is_pending(&f->console));
	fake_run(f, "", "", 0);
	fake_run(f, "\"cont\" }", "{\"return\": {}}\n", 0);
	assert_false(console_is_pending(&f->console));
	fake_asked(f, "{'execute': 'cont'}");
	assert_int_equal(console_run(&f->console, "{ 5 }"), -1);
	assert_non_null(strstr(str_get(&f->out), "JSON parse error, "));
	fake_error(f, "stop", "no");
	fake_run(f, "{\"execute\": \"stop\"}", "{\"error\": {\"class\": "
		 "\"GenericError\", \"desc\": \"no\"}}\n", -1);
}

static void events(void **state)
{
	struct fake *f = *state;

	fake_events(f, "stop", "[{'event': 'X_BLKMON_NOTICE', 'data': "
		    "{'text': 'a\\u0007b'}}, {'event': 'STOP'}]");
	fake_run(f, "stop", "a\\x07b\n", 0);
	fake_run(f, "{\"execute\": \"qmp_capabilities\"}",
		 "{\"return\": {}}\n", 0);
	fake_run(f, "stop", "a\\x07b\n{\"event\": \"STOP\"}\n", 0);
	assert_false(f->console.quit);
	fake_events(f, "quit", "[{'event': 'SHUTDOWN'}]");
	fake_run(f, "q", "{\"event\": \"SHUTDOWN\"}\n", 0);
	assert_true(f->console.quit);
}

static void history(void **state)
{
	struct fake *f = *state;

	for (int i = 0; i < 70; i++)
		console_run(&f->console, "stop");
	assert_int_equal(f->console.history_len, CONSOLE_HISTORY);
	assert_int_equal(console_run(&f->console, "info history"), 0);
	assert_non_null(strstr(str_get(&f->out), "63: 'info history'\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(info_block),
		FAKE_TEST(info_others),
		FAKE_TEST(nothing_and_unknown),
		FAKE_TEST(help),
		FAKE_TEST(translations),
		FAKE_TEST(dispatch),
		FAKE_TEST(shell_syntax),
		FAKE_TEST(shell_transaction),
		FAKE_TEST(shell_transaction_void),
		FAKE_TEST(json_lines),
		FAKE_TEST(events),
		FAKE_TEST(history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
