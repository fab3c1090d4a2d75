/* test_command.c - requests as the wire checks them, and the commands on an
 * engine with one raw disk. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "engine/util/clock.h"
#include "src/qmp/channel.h"
#include "src/qmp/command.h"
#include "src/qmp/json/error.h"
#include "src/qmp/options.h"
#include "tests/unit/disk_machine.h"

#define SIZE (4u << 20)

static int enter(void **state)
{
	static struct disk_machine m;

	*state = &m;
	return disk_machine_init(&m, SIZE);
}

static int leave(void **state)
{
	disk_machine_release(*state);
	return 0;
}

/* Single quotes stand for double ones. */
static json_t *parse(const char *text)
{
	char buf[512], *out = buf;
	json_t *value;

	for (; *text; text++)
		*out++ = *text == '\'' ? '"' : *text;
	*out = '\0';
	value = json_loads(buf, JSON_DECODE_ANY, NULL);
	assert_non_null(value);
	return value;
}

static void expect(struct disk_machine *w, const char *request,
		   const char *reply)
{
	json_t *got = channel_request(w->channel, parse(request));
	json_t *want = parse(reply);

	if (!json_equal(got, want))
		fail_msg("%s: %s", request, json_dumps(got, 0));
	json_decref(got);
	json_decref(want);
}

static void envelopes(void **state)
{
	static const char *const cases[][2] = {
		{ "[1, 2]", "QMP input must be a JSON object" },
		{ "'str'", "QMP input must be a JSON object" },
		{ "42", "QMP input must be a JSON object" },
		{ "{}", "QMP input lacks member 'execute'" },
		{ "{'execute': 5}",
		  "QMP input member 'execute' must be a string" },
		{ "{'execute': 'stop', 'foo': 1}",
		  "QMP input member 'foo' is unexpected" },
		{ "{'execute': 'stop', 'arguments': 5}",
		  "QMP input member 'arguments' must be an object" },
	};

	struct disk_machine *w = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *reply = channel_request(w->channel,
						parse(cases[i][0]));

		assert_string_equal(channel_error(reply), cases[i][1]);
		json_decref(reply);
	}
}

static void replies(void **state)
{
	struct disk_machine *w = *state;

	expect(w, "{'execute': 'query-status', 'id': [1, {}]}",
	       "{'return': {'status': 'running', 'running': true, "
	       "'singlestep': false}, 'id': [1, {}]}");
	expect(w, "{'execute': 'nosuch', 'id': null}", "{'error': {'class': "
	       "'CommandNotFound', 'desc': 'The command nosuch has not been "
	       "found'}, 'id': null}");
	expect(w, "{'execute': 'qmp_capabilities'}", "{'return': {}}");
	expect(w, "{'execute': 'query-jobs'}", "{'return': []}");
}

static const char *error_of(struct disk_machine *w, const char *request,
			    const char *class)
{
	static char desc[512];
	json_t *reply = channel_request(w->channel, parse(request));
	json_t *error = json_object_get(reply, "error");

	assert_non_null(error);
	assert_string_equal(json_string_value(json_object_get(error,
			    "class")), class);
	snprintf(desc, sizeof(desc), "%s", channel_error(reply));
	json_decref(reply);
	return desc;
}

/* The class policy of monitor.md, 2.6. */
static void errors(void **state)
{
	static const char *const cases[][3] = {
		{ "{'execute': 'block-stream', 'arguments': {'device': 'x'}}",
		  "DeviceNotFound",
		  "Cannot find device='x' nor node-name='x'" },
		{ "{'execute': 'block_commit', 'arguments': {'device': 'x'}}",
		  "DeviceNotFound", "Device 'x' not found" },
		{ "{'execute': '__com.redhat_block-commit', 'arguments': "
		  "{'device': 'x'}}", "GenericError",
		  "Parameter 'top' is missing" },
		{ "{'execute': 'block_resize', 'arguments': {'device': 'x', "
		  "'size': 512}}", "DeviceNotFound",
		  "Cannot find device='x' nor node-name=''" },
		{ "{'execute': 'block_resize', 'arguments': {'device': "
		  "'disk0', 'size': -1}}", "GenericError",
		  "Parameter 'size' expects a >0 size" },
		{ "{'execute': 'block-job-cancel', 'arguments': {'device': "
		  "'x'}}", "DeviceNotActive", "Block job 'x' not found" },
		{ "{'execute': 'job-cancel', 'arguments': {'id': 'x'}}",
		  "GenericError", "Job not found" },
		{ "{'execute': 'block-job-set-speed', 'arguments': "
		  "{'device': 'x'}}", "GenericError",
		  "Parameter 'speed' is missing" },
		{ "{'execute': 'block_job_set_speed', 'arguments': "
		  "{'device': 'x', 'value': 1}}", "DeviceNotActive",
		  "Block job 'x' not found" },
		{ "{'execute': 'block-stream', 'arguments': {'device': "
		  "'disk0', 'base': 'a', 'base-node': 'b'}}", "GenericError",
		  "'base' and 'base-node' cannot be specified at the same "
		  "time" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(error_of(*state, cases[i][0],
					     cases[i][1]), cases[i][2]);
}

static json_t *value_of(struct disk_machine *w, const char *request)
{
	json_t *reply = channel_request(w->channel, parse(request));
	json_t *value = json_object_get(reply, "return");

	if (!value)
		fail_msg("%s: %s", request, channel_error(reply));
	json_incref(value);
	json_decref(reply);
	return value;
}

static bool mismatch(struct disk_machine *w, int pattern)
{
	char request[256];
	json_t *value;
	bool differs;

	snprintf(request, sizeof(request), "{'execute': 'x-blkmon-io', "
		 "'arguments': {'device': 'disk0', 'operation': 'read', "
		 "'offset': 512, 'length': 2097152, 'pattern': %d}}",
		 pattern);
	value = value_of(w, request);
	differs = json_is_true(json_object_get(value, "mismatch"));
	json_decref(value);
	return differs;
}

/* More than one piece of the buffer. */
static void guest_io(void **state)
{
	struct disk_machine *w = *state;

	assert_false(mismatch(w, 0));
	json_decref(value_of(w, "{'execute': 'x-blkmon-io', 'arguments': "
			     "{'device': 'disk0', 'operation': 'write', "
			     "'offset': 512, 'length': 2097152, 'pattern': "
			     "7}}"));
	assert_false(mismatch(w, 7));
	assert_true(mismatch(w, 8));
	json_decref(value_of(w, "{'execute': 'x-blkmon-io', 'arguments': "
			     "{'device': 'disk0', 'operation': "
			     "'write-zeroes', 'offset': 2097151, 'length': "
			     "1, 'fua': true}}"));
	assert_true(mismatch(w, 7));
	assert_string_equal(error_of(w, "{'execute': 'x-blkmon-io', "
		"'arguments': {'device': 'disk0', 'operation': 'read', "
		"'offset': 4194304, 'length': 1}}", "GenericError"),
		"Input/output error");
}

static void queries(void **state)
{
	struct disk_machine *w = *state;
	json_t *list = value_of(w, "{'execute': 'query-block'}");
	json_t *entry = json_array_get(list, 0);
	json_t *image = json_object_get(json_object_get(entry, "inserted"),
					"image");

	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(json_string_value(json_object_get(entry,
			    "device")), "disk0");
	assert_int_equal(json_integer_value(json_object_get(image,
			 "virtual-size")), SIZE);
	json_decref(list);
	list = value_of(w, "{'execute': 'query-named-block-nodes', "
			"'arguments': {'flat': true}}");
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	list = value_of(w, "{'execute': 'query-blockstats'}");
	assert_non_null(json_object_get(json_object_get(json_array_get(list,
			0), "parent"), "stats"));
	json_decref(list);
	list = value_of(w, "{'execute': 'query-commands'}");
	assert_true(json_array_size(list) > 30);
	json_decref(list);
}

static void events(void **state)
{
	struct disk_machine *w = *state;
	json_t *event;

	while ((event = channel_next_event(w->channel, 0)))
		json_decref(event);
	expect(w, "{'execute': 'stop'}", "{'return': {}}");
	event = channel_next_event(w->channel, 0);
	assert_string_equal(json_string_value(json_object_get(event,
			    "event")), "STOP");
	assert_null(json_object_get(event, "data"));
	assert_non_null(json_object_get(json_object_get(event, "timestamp"),
					"microseconds"));
	json_decref(event);
	assert_null(channel_next_event(w->channel, 0));
	expect(w, "{'execute': 'cont'}", "{'return': {}}");
	expect(w, "{'execute': 'quit'}", "{'return': {}}");
	json_decref(channel_next_event(w->channel, 0));
	event = channel_next_event(w->channel, clock_ns() + 60 * NS_PER_SEC);
	assert_string_equal(json_string_value(json_object_get(
		json_object_get(event, "data"), "reason")), "host-qmp-quit");
	json_decref(event);
}

static enum on_error policy_of(const char *text)
{
	struct stream_options stream;
	struct commit_options commit;
	json_t *args = parse(text);

	options_stream(args, &stream);
	options_commit(args, false, &commit);
	assert_int_equal(stream.job.on_error, commit.job.on_error);
	json_decref(args);
	return stream.job.on_error;
}

/* Of a job in QEMU 7.2, `auto` stops where there is no space. */
static void policies(void **state)
{
	(void)state;
	assert_int_equal(policy_of("{}"), ON_ERROR_REPORT);
	assert_int_equal(policy_of("{'on-error': 'report'}"), ON_ERROR_REPORT);
	assert_int_equal(policy_of("{'on-error': 'ignore'}"), ON_ERROR_IGNORE);
	assert_int_equal(policy_of("{'on-error': 'stop'}"), ON_ERROR_STOP);
	assert_int_equal(policy_of("{'on-error': 'enospc'}"), ON_ERROR_ENOSPC);
	assert_int_equal(policy_of("{'on-error': 'auto'}"), ON_ERROR_ENOSPC);
}

static void names(void **state)
{
	(void)state;
	assert_non_null(qmp_find("block-stream"));
	assert_ptr_equal(qmp_find("block_stream"), qmp_find("block-stream"));
	assert_ptr_equal(qmp_find("__com.redhat_block_commit"),
			 qmp_find("__com.redhat_block-commit"));
	assert_null(qmp_find("query_block"));
	assert_null(qmp_find("block-strea"));
	assert_null(qmp_find(""));
}

static void check_row(const struct qmp_command *cmd, void *arg)
{
	const char *spec = cmd->args;
	struct args_item item;

	(void)arg;
	assert_non_null(cmd->run);
	while (args_next(&spec, &item))
		assert_non_null(strchr("siuboave", item.type));
}

static void rows(void **state)
{
	(void)state;
	qmp_each(check_row, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(envelopes, enter, leave),
		cmocka_unit_test_setup_teardown(replies, enter, leave),
		cmocka_unit_test_setup_teardown(errors, enter, leave),
		cmocka_unit_test_setup_teardown(guest_io, enter, leave),
		cmocka_unit_test_setup_teardown(queries, enter, leave),
		cmocka_unit_test_setup_teardown(events, enter, leave),
		cmocka_unit_test(policies),
		cmocka_unit_test(names),
		cmocka_unit_test(rows),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
