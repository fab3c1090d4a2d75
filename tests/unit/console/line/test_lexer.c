/* test_lexer.c - HMP lines and their arguments: the recordings 03 and 04, and
 * what blkmon takes beyond them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/console/hmp/hmp.h"
#include "tests/unit/console_channel.h"

#define TRY(cmd) "Try \"help " cmd "\" for more information\n"
#define SPEED "block_job_set_speed"
#define EXTRANEOUS "extraneous characters at the end of line\n"

/* A command line, and its arguments or what is said. */
static const struct {
	const char *line, *args, *error;
} lines[] = {
	{ "block_stream", NULL, "block_stream: block device name expected\n"
	  TRY("block_stream") },
	{ "block_stream ", NULL, "block_stream: block device name expected\n"
	  TRY("block_stream") },
	{ "commit", NULL, "commit: block device name expected\n"
	  TRY("commit") },
	{ "commit a b", NULL, "commit: " EXTRANEOUS TRY("commit") },
	{ SPEED " disk0", NULL, "invalid size\n" TRY(SPEED) },
	{ SPEED " disk0 abc", NULL, "invalid size\n" TRY(SPEED) },
	{ SPEED " disk0 -1", NULL, "invalid size\n" TRY(SPEED) },
	{ SPEED " disk0 1x", NULL, SPEED ": " EXTRANEOUS TRY(SPEED) },
	{ SPEED " disk0 1M 2", NULL, SPEED ": " EXTRANEOUS TRY(SPEED) },
	{ SPEED " disk0 99999999999999999999", NULL,
	  "invalid size\n" TRY(SPEED) },
	{ SPEED " disk0 9223372036854775807B",
	  "{'device': 'disk0', 'speed': 9223372036854775807}", NULL },
	{ SPEED " disk0 9223372036854775808B", NULL,
	  "invalid size\n" TRY(SPEED) },
	{ "block_job_cancel -f", NULL,
	  "block_job_cancel: block device name expected\n"
	  TRY("block_job_cancel") },
	{ "block_job_cancel -x disk0", NULL,
	  "block_job_cancel: unsupported option -x\n"
	  TRY("block_job_cancel") },
	{ "block_job_cancel -f disk0", "{'device': 'disk0', 'force': true}",
	  NULL },
	{ "snapshot_blkdev disk0", "{'device': 'disk0'}", NULL },
	{ "snapshot_blkdev -q disk0 /x", NULL,
	  "snapshot_blkdev: unsupported option -q\n" TRY("snapshot_blkdev") },
	{ "snapshot_blkdev disk0 /x qcow2 extra", NULL,
	  "snapshot_blkdev: " EXTRANEOUS TRY("snapshot_blkdev") },
	{ "block_stream \"disk0", NULL, "unterminated string\n"
	  "block_stream: block device name expected\n" TRY("block_stream") },
	{ "block_stream \"di\\sk0\"", NULL,
	  "unsupported escape code: '\\s'\n"
	  "block_stream: block device name expected\n" TRY("block_stream") },
	{ "block_stream \"a dev\"", "{'device': 'a dev'}", NULL },
	{ "block_stream \"a\\\"\\\\b\"", "{'device': 'a\\\"\\\\b'}", NULL },
	{ "stop now", NULL, "stop|s: " EXTRANEOUS TRY("stop") },
	{ "q now", NULL, "quit|q: " EXTRANEOUS TRY("quit") },
	{ "block_stream/disk0", "{'device': '/disk0'}", NULL },
	{ "qemu-io disk0", NULL, "qemu-io: string expected\n"
	  TRY("qemu-io") },
	{ "qemu-io disk0 read 0 512", NULL, "qemu-io: " EXTRANEOUS
	  TRY("qemu-io") },
	/* flags in any place and order; a word in quotes is none */
	{ "block_job_cancel disk0 -f", "{'device': 'disk0', 'force': true}",
	  NULL },
	{ "block_job_cancel \"-f\"", "{'device': '-f'}", NULL },
	{ "snapshot_blkdev disk0 /x -n", "{'device': 'disk0', "
	  "'snapshot-file': '/x', 'reuse': true}", NULL },
	{ "snapshot_blkdev disk0 -q", "{'device': 'disk0', "
	  "'snapshot-file': '-q'}", NULL },
	/* old spellings */
	{ "block-stream", NULL, "block-stream: block device name expected\n"
	  TRY("block-stream") },
	{ "block-stream -a disk0", "{'device': 'disk0', 'all': true}", NULL },
	{ "block-job-set-speed d 200M", "{'device': 'd', 'speed': 209715200}",
	  NULL },
	{ "__com.redhat_block-commit d b", NULL,
	  "__com.redhat_block-commit: string expected\n"
	  TRY("__com.redhat_block-commit") },
	{ "__com.redhat_block_commit d b t",
	  "{'device': 'd', 'base': 'b', 'top': 't'}", NULL },
	{ "block_stream\td  4M\tbase",
	  "{'device': 'd', 'speed': 4194304, 'base': 'base'}", NULL },
};

static json_t *parse(const char *line, struct str *error)
{
	size_t len = strcspn(line, " \t/");
	const struct hmp_command *cmd = hmp_find(hmp_commands, line, len);
	char *typed = strndup(line, len);
	struct str hint = STR_INIT;
	json_t *args;

	assert_non_null(cmd);
	args = hmp_parse(cmd, typed, false, line + len, error, &hint);
	str_release(&hint);
	free(typed);
	return args;
}

static void arguments(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct str error = STR_INIT;
		json_t *args = parse(lines[i].line, &error);
		json_t *want = lines[i].args ? fake_json(lines[i].args) :
			NULL;

		assert_string_equal(str_get(&error), lines[i].error ?
				    lines[i].error : "");
		assert_true(want ? json_equal(args, want) : !args);
		json_decref(args);
		json_decref(want);
		str_release(&error);
	}
}

static const struct {
	const char *word;
	int64_t bytes;		/* -1: invalid size; -2: extraneous */
} sizes[] = {
	{ "200M", 209715200 }, { "200m", 209715200 }, { "200", 209715200 },
	{ "1048576", 1099511627776 }, { "1048576B", 1048576 },
	{ "1048576b", 1048576 }, { "512k", 524288 }, { "512K", 524288 },
	{ "1", 1048576 }, { "1.5", 1572864 }, { "1.5M", 1572864 },
	{ "0.5k", 512 }, { ".5", -1 }, { "1.", 1048576 }, { "1.k", 1024 },
	{ "0", 0 }, { "0B", 0 }, { "0x10", 16777216 }, { "0x10k", 16384 },
	{ "0x2000000B", 562949964955648 }, { "1G", 1073741824 },
	{ "1g", 1073741824 }, { "1T", 1099511627776 },
	{ "1P", 1125899906842624 }, { "7E", 8070450532247928832 },
	{ "8E", -1 }, { "16E", -1 }, { "1.5B", -1 }, { "1e3", -2 },
	{ "1.5e3M", -1 }, { "-5M", -1 }, { "+5M", 5242880 },
	{ " 5M", 5242880 }, { "5 M", -2 }, { "5MB", -2 }, { "5MiB", -2 },
	{ "08", 8388608 }, { "007", 7340032 },
};

static void size_arguments(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct str line = STR_INIT, error = STR_INIT;
		json_t *args;

		str_addf(&line, SPEED " disk0 %s", sizes[i].word);
		args = parse(str_get(&line), &error);
		if (sizes[i].bytes >= 0)
			assert_int_equal(json_integer_value(
				json_object_get(args, "speed")),
				sizes[i].bytes);
		else
			assert_string_equal(str_get(&error),
				sizes[i].bytes == -1 ?
				"invalid size\n" TRY(SPEED) :
				SPEED ": " EXTRANEOUS TRY(SPEED));
		json_decref(args);
		str_release(&error);
		str_release(&line);
	}
}

static void names(void **state)
{
	(void)state;
	assert_null(hmp_find(hmp_commands, "BLOCK_STREAM", 12));
	assert_null(hmp_find(hmp_commands, "block_strea", 11));
	assert_null(hmp_find(hmp_commands, "snapshot-blkdev", 15));
	assert_ptr_equal(hmp_find(hmp_commands, "?", 1),
			 hmp_find(hmp_commands, "help", 4));
	assert_ptr_equal(hmp_find(hmp_commands, "block-job_cancel", 16),
			 hmp_find(hmp_commands, "block_job_cancel", 16));
}

/* Every row is fit to be run, shown and completed. */
static void check_table(const struct hmp_command *table)
{
	for (; table->name; table++) {
		const char *args = table->args;
		struct hmp_arg arg;

		assert_non_null(table->params);
		assert_non_null(table->help);
		assert_true(!table->qmp != !table->run);
		while (hmp_next_arg(&args, &arg))
			assert_non_null(strchr("BJIFCso-", arg.type));
	}
}

static void rows(void **state)
{
	(void)state;
	check_table(hmp_commands);
	check_table(hmp_info_commands);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments),
		cmocka_unit_test(size_arguments),
		cmocka_unit_test(names),
		cmocka_unit_test(rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
