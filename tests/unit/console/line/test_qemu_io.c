/* test_qemu_io.c - the words of qemu-io: requests they make, lines they
 * print (recorded from qemu-io 7.2). */
#include "src/console/hmp/hmp.h"
#include "src/console/image_text.h"
#include "tests/unit/console_channel.h"

static int enter(void **state)
{
	int rc = fake_enter(state);

	fake_reply(*state, "query-status", "{'return': {'running': true}}");
	fake_reply(*state, "x-blkmon-io", "{'return': {'bytes': 65536, "
		   "'elapsed-ns': 10000000}}");
	return rc;
}

#define IO(command) "qemu-io d \"" command "\""
#define ASKED(operation, members) "{'execute': 'x-blkmon-io', 'arguments': " \
	"{'device': 'd', 'operation': '" operation "', " members "}}"
#define PLAIN "'unmap': false, 'fua': false, 'data': false"
#define RATE "64 KiB, 1 ops; 00.01 sec (6.250 MiB/sec and 100.0000 ops/sec)\n"

static void requests(void **state)
{
	struct fake *f = *state;

	fake_run(f, IO("write -P 0x11 1M 64k"),
		 "wrote 65536/65536 bytes at offset 1048576\n" RATE, 0);
	fake_asked(f, ASKED("write", "'offset': 1048576, 'length': 65536, "
			    "'pattern': 17, " PLAIN));
	fake_run(f, IO("write -q 0 64k"), "", 0);
	fake_asked(f, ASKED("write", "'offset': 0, 'length': 65536, "
			    "'pattern': 205, " PLAIN));
	fake_run(f, IO("write -qzu 512 64k"), "", 0);
	fake_asked(f, ASKED("write-zeroes", "'offset': 512, 'length': 65536,"
			    " 'unmap': true, 'fua': false, 'data': false"));
	fake_run(f, IO("aio_write -f -P7 0 32k 32k"),
		 "wrote 65536/65536 bytes at offset 0\n" RATE, 0);
	fake_asked(f, ASKED("write", "'offset': 0, 'length': 65536, "
			    "'pattern': 7, 'unmap': false, 'fua': true, "
			    "'data': false"));
	fake_run(f, IO("discard 0 64k"),
		 "discard 65536/65536 bytes at offset 0\n" RATE, 0);
	fake_run(f, IO("read -P 1 -s 512 -l 1k 0 64k"),
		 "read 65536/65536 bytes at offset 0\n" RATE, 0);
	fake_asked(f, ASKED("read", "'offset': 0, 'length': 65536, "
			    "'pattern': 1, 'check-offset': 512, "
			    "'check-length': 1024, " PLAIN));
	fake_run(f, IO("flush"), "", 0);
	fake_asked(f, ASKED("flush", "'offset': 0, 'length': 0, " PLAIN));
}

static void failures(void **state)
{
	struct fake *f = *state;

	fake_reply(f, "x-blkmon-io", "{'return': {'bytes': 65536, "
		   "'elapsed-ns': 10000000, 'mismatch': true}}");
	fake_run(f, IO("read -P 1 8 64k"), "Pattern verification failed at "
		 "offset 8, 65536 bytes\nread 65536/65536 bytes at offset 8\n"
		 RATE, -1);
	fake_reply(f, "query-block", "{'return': [{'device': 'd', 'inserted':"
		   " {'ro': false}}]}");
	fake_error(f, "x-blkmon-io", "Input/output error");
	fake_run(f, IO("write 64M 1k"), "write failed: Input/output error\n",
		 -1);
	fake_reply(f, "query-block", "{'return': [{'device': 'd', 'inserted':"
		   " {'ro': true}}]}");
	fake_error(f, "x-blkmon-io", "It may not be written");
	fake_run(f, IO("write 0 1k"), "It may not be written\n", -1);
	fake_run(f, IO("read 0 1k"), "read failed: It may not be written\n",
		 -1);
	fake_reply(f, "query-block", "{'return': [{'device': 'd'}]}");
	fake_error(f, "x-blkmon-io", "No medium found");
	fake_run(f, IO("write 0 1k"), "write failed: No medium found\n", -1);
	fake_reply(f, "query-block", "{'return': []}");
	fake_error(f, "x-blkmon-io", "There is no d");
	fake_run(f, IO("read 0 1"), "Error: There is no d\n"
		 "there is no device\n", -1);
	fake_reply(f, "query-status", "{'return': {'running': false}}");
	fake_run(f, IO("read 0 1"), "Error: the guest is stopped; `cont` "
		 "lets requests through\n", -1);
}

static void wrong_words(void **state)
{
	static const char *const cases[][2] = {
		{ IO("foo"), "command \"foo\" not found\n" },
		{ IO("read 0"), "bad argument count 1 to read, expected at "
		  "least 2 arguments\n" },
		{ IO("discard 0 1 2"), "bad argument count 3 to discard, "
		  "expected at most 2 arguments\n" },
		{ IO("read -x 0 1"), "read: invalid option -- 'x'\n" },
		{ IO("read -P"), "read: option requires an argument -- "
		  "'P'\n" },
		{ IO("read -P 256 0 1"),
		  "256 is not a valid pattern byte\n" },
		{ IO("read 0 1kk"), "Parsing error: non-numeric argument, or "
		  "extraneous/unrecognized suffix -- 1kk\n" },
		{ IO("write -z -P 1 0 1"),
		  "-z and -P cannot be specified at the same time\n" },
	};
	struct fake *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		fake_run(f, cases[i][0], cases[i][1], -1);
}

static void dumps(void **state)
{
	struct fake *f = *state;

	fake_reply(f, "x-blkmon-io", "{'return': {'bytes': 20, 'elapsed-ns': "
		   "10000000, 'data': ["
		   "'41cd0000000000000000000000000000000000ff']}}");
	fake_run(f, IO("read -v 16 20"),
		 "00000010:  41 cd 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
		 " A...............\n"
		 "00000020:  00 00 00 ff  ....\n"
		 "read 20/20 bytes at offset 16\n"
		 "20 bytes, 1 ops; 00.01 sec (1.953 KiB/sec and 100.0000 "
		 "ops/sec)\n", 0);
}

static void length(void **state)
{
	struct fake *f = *state;

	fake_reply(f, "query-block", "{'return': [{'device': 'd', 'inserted':"
		   " {'image': {'virtual-size': 67108864}}}]}");
	fake_run(f, IO("length"), "64 MiB\n", 0);
	fake_reply(f, "query-named-block-nodes", "{'return': [{'node-name': "
		   "'n', 'image': {'virtual-size': 1048576}}]}");
	fake_run(f, "qemu-io n length", "1 MiB\n", 0);
	fake_reply(f, "query-block", "{'return': [{'device': 'd'}]}");
	fake_run(f, IO("length"), "getlength: No medium found\n", -1);
	fake_run(f, "qemu-io x length",
		 "Error: Cannot find device='' nor node-name='x'\n"
		 "the only device is: d\n", -1);
}

static void amounts(void **state)
{
	static const struct {
		double bytes;
		const char *text;
	} cases[] = {
		{ 0, "0 bytes" }, { 512, "512 bytes" }, { 1536, "1.500 KiB" },
		{ 65536, "64 KiB" }, { 3000000, "2.861 MiB" },
		{ 7274496, "6.938 MiB" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct str text = STR_INIT;

		amount_text(cases[i].bytes, &text);
		assert_string_equal(str_get(&text), cases[i].text);
		str_release(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(requests, enter, fake_leave),
		cmocka_unit_test_setup_teardown(failures, enter, fake_leave),
		cmocka_unit_test_setup_teardown(wrong_words, enter, fake_leave),
		cmocka_unit_test_setup_teardown(dumps, enter, fake_leave),
		cmocka_unit_test_setup_teardown(length, enter, fake_leave),
		cmocka_unit_test(amounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
