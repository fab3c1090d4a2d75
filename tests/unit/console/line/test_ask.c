/* test_ask.c - what is asked about before it is done, in all languages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/util/mem.h"
#include "src/console/hmp/hmp.h"
#include "src/console/plan_ask.h"
#include "src/qmp/command.h"
#include "tests/unit/console_channel.h"

#define PLAN "'kind': 'active-commit', 'device': 'd0', 'job-id': 'd0', " \
	"'layers': [{'filename': '/a b/my top', 'role': 'top'}, " \
	"{'filename': '/a b/my base', 'role': 'base'}], " \
	"'bytes': {'left': 1048576}, 'space': {'needs': 65536, " \
	"'fits': true}, 'chain': [{'filename': '/a b/my base'}], "

static json_t *asked_of(struct fake *f, const char *lines, bool *more)
{
	json_t *asked;

	str_clear(&f->out);
	asked = console_ask_lines(&f->channel, lines, false, &f->out, more);
	return asked;
}

/* What is asked about @lines, or "" where nothing is. */
static void expect_question(struct fake *f, const char *lines, size_t jobs,
			    const char *text, const char *what)
{
	const struct plan_names names = { .jobs = jobs };
	struct plan_question q;
	bool more;
	json_t *asked = asked_of(f, lines, &more);

	assert_false(more);
	assert_int_equal(plan_question_make(asked, &names, &q), *text != '\0');
	assert_string_equal(q.text ? q.text : "", text);
	assert_string_equal(q.what ? q.what : "", what);
	plan_question_release(&q);
	json_decref(asked);
}

#define TEXT "Commit my top (active) down into my base?"
#define WHAT "my base changes; d0 goes over to it when you complete the job. " \
	"Moves 1.00M, needs 64.0K. Unused then: my top, 2.00M."

static void lay_plan(struct fake *f, const char *more)
{
	char *text = mem_printf("{'return': {" PLAN "'gives-back': 2097152, "
				"'unused': [{'filename': '/a b/my top'}]%s}}",
				more);

	fake_reply(f, "x-blkmon-plan", text);
	free(text);
}

/* Nothing but the plan is sent. */
static void all_languages(void **state)
{
	static const char *const lines[] = {
		"block_commit d0 \"/a b/my base\"",
		"  block_commit d0",
		"commit d0",
		"__com.redhat_block-commit d0 a b",
		"block-commit device=d0 job-id=j speed=3",
		"block_commit device=d0",
		"x-blkmon-commit device=d0",
		"{\"execute\": \"block-commit\"}",
		"{\"execute\": \"block_commit\"}",
		"{\"execute\": \"block\\u002dcommit\"}",
		"{\"execute\":\n\"block-commit\"\n}",
		("{\"execute\": \"human-monitor-command\", \"arguments\": "
		 "{\"command-line\": \" block_commit d0\"}}"),
		"human-monitor-command command-line=\"block_commit d0\"",
	};
	struct fake *f = *state;

	fake_reply(f, "query-commands", "{'return': [{'name': 'block-commit'},"
		   "{'name': 'x-blkmon-commit'}, "
		   "{'name': 'human-monitor-command'}]}");
	lay_plan(f, "");
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		assert_true(console_may_ask(lines[i]));
		expect_question(f, lines[i], 0, TEXT, WHAT);
		assert_string_equal(json_string_value(json_object_get(f->last,
			"execute")), "x-blkmon-plan");
		assert_string_equal(str_get(&f->out), "");
	}
}

static void others_are_not_asked(void **state)
{
	static const char *const lines[] = {
		"info block", "block_stream d0", "snapshot_blkdev d0 commit",
		"block_job_pause commit", "wait commit", "# commit", "",
		"quit", "q", "{\"execute\": \"quit\"}", "plan block_commit d0",
		"{\"execute\": \"block-stream\"}", "nosuch commit",
		"transaction(\nblockdev-snapshot-sync device=d0\n)",
	};
	struct fake *f = *state;

	lay_plan(f, "");
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		expect_question(f, lines[i], 0, "", "");
	if (f->last)
		assert_string_not_equal(json_string_value(json_object_get(
			f->last, "execute")), "x-blkmon-plan");
}

static void hits_and_several(void **state)
{
	struct fake *f = *state;

	lay_plan(f, ", 'hits': {'siblings': ['/a b/other']}");
	expect_question(f, "block_commit -f d0", 0, TEXT,
			"SPOILT by it: other. " WHAT);
	lay_plan(f, "");
	expect_question(f, "{\"execute\": \"quit\"} "
			"{\"execute\": \"block-commit\"}", 2,
			"Quit? Then: " TEXT, "2 jobs would be cancelled; READY "
			"ones don't go over to their base. " WHAT);
}

static void refused(void **state)
{
	struct fake *f = *state;
	bool more;
	json_t *asked;

	fake_reply(f, "x-blkmon-plan", "{'error': {'class': 'GenericError', "
		   "'desc': 'no such device'}}");
	asked = asked_of(f, "block_commit d0", &more);
	assert_true(plan_all_refused(asked));
	assert_string_equal(str_get(&f->out), "Error: no such device\n");
	json_decref(asked);
	asked = asked_of(f, "{\"execute\": \"block-commit\"}", &more);
	assert_true(plan_all_refused(asked));
	assert_non_null(strstr(str_get(&f->out), "{\"error\""));
	json_decref(asked);
	expect_question(f, "block_commit d0", 0, "", "");
}

/* An end that has no plans. */
static void older_end(void **state)
{
	struct fake *f = *state;

	fake_reply(f, "x-blkmon-plan", "{'error': {'class': 'CommandNotFound',"
		   "'desc': 'The command x-blkmon-plan has not been found'}}");
	expect_question(f, "block_commit d0 base top", 0,
			"Commit top down into base?", "The base changes. This "
			"end does not tell how much.");
	expect_question(f, "block_commit d0", 0,
			"Commit d0 down into its lowest image?", "The base "
			"changes. This end does not tell how much.");
	expect_question(f, "block_job_cancel d0", 0, "Cancel job d0?",
			"The job is stopped.");
}

static void goes_on(void **state)
{
	struct fake *f = *state;
	bool more;
	json_t *asked = asked_of(f, "{\"execute\": \"block-commit\",", &more);

	assert_true(more);
	assert_int_equal(json_array_size(asked), 0);
	json_decref(asked);
	asked = asked_of(f, "transaction(", &more);
	assert_true(more);
	json_decref(asked);
}

/* Numbers may change while one thinks, but not what becomes of files. */
static void what_is_the_same(void **state)
{
	struct fake *f = *state;
	json_t *one, *other;
	bool more;

	lay_plan(f, ", 'seconds': 3");
	one = asked_of(f, "commit d0", &more);
	lay_plan(f, ", 'seconds': 4, 'hits': {'jobs': []}");
	other = asked_of(f, "commit d0", &more);
	assert_true(plan_is_same(one, other));
	json_decref(other);
	lay_plan(f, ", 'hits': {'siblings': ['/x']}");
	other = asked_of(f, "commit d0", &more);
	assert_false(plan_is_same(one, other));
	json_decref(other);
	lay_plan(f, ", 'kind': 'commit'");
	other = asked_of(f, "commit d0", &more);
	assert_false(plan_is_same(one, other));
	json_decref(other);
	json_decref(one);
}

/* Values for the arguments of a row, one of each. */
static void lay_arguments(const struct hmp_command *row, struct str *line)
{
	const char *args = row->args;
	struct hmp_arg arg;

	while (hmp_next_arg(&args, &arg))
		if (arg.type != '-')
			str_add(line, arg.type == 'o' ? " 1" : " d0");
}

static void expect_may(struct fake *f, const char *line)
{
	bool more;
	json_t *asked = console_ask_lines(&f->channel, line, true, &f->out,
					  &more);

	if (json_array_size(asked) || more)
		assert_true(console_may_ask(line));
	json_decref(asked);
}

static void add_name(const struct qmp_command *cmd, void *arg)
{
	json_array_append_new(arg, json_pack("{s:s}", "name", cmd->name));
}

static void expect_shell(struct fake *f, const char *name)
{
	char *line = mem_printf(" %s device=d0", name);

	expect_may(f, line);
	for (char *s = line; *s; s++)
		*s = *s == '-' ? '_' : *s;
	expect_may(f, line);
	free(line);
}

/* No line that there would be a plan of is run unasked, whatever it is. */
static void none_is_missed(void **state)
{
	json_t *names = json_array(), *entry, *reply;
	struct fake *f = *state;
	char *text;
	size_t i;

	qmp_each(add_name, names);
	reply = json_pack("{s:O}", "return", names);
	text = json_dumps(reply, 0);
	fake_reply(f, "query-commands", text);
	lay_plan(f, "");
	for (const struct hmp_command *row = hmp_commands; row->name; row++) {
		struct str line = STR_INIT;

		str_addf(&line, "\t %s", row->name);
		lay_arguments(row, &line);
		expect_may(f, str_get(&line));
		str_release(&line);
	}
	json_array_foreach(names, i, entry)
		expect_shell(f, json_string_value(json_object_get(entry,
								  "name")));
	assert_true(console_may_ask("delete x"));
	assert_true(console_may_ask("x_blkmon_delete files=[]"));
	assert_true(console_may_ask("\v[{}]"));
	assert_true(console_may_ask("transaction("));
	assert_false(console_may_ask("snapshot_x delete"));
	assert_false(console_may_ask("wait commit"));
	free(text);
	json_decref(reply);
	json_decref(names);
}

#define SNAPSHOT "{'kind': 'snapshot', 'device': '%s', 'layers': [" \
	"{'filename': '/x/%s', 'role': 'overlay'}, " \
	"{'filename': '/x/old', 'role': 'top'}]}"

/* Of all drives at once: a plan, where all are to be seen. */
static void of_a_transaction(void **state)
{
	const struct plan_names names = { .jobs = 0 };
	struct fake *f = *state;
	struct str title = STR_INIT;
	char *text = mem_printf("{'return': {'kind': 'transaction', 'layers': "
				"[{'filename': '/x/a'}, {'filename': '/x/b'}],"
				"'actions': [" SNAPSHOT ", " SNAPSHOT "]}}",
				"d0", "a", "d1", "b");
	bool more;
	json_t *asked;

	fake_reply(f, "x-blkmon-plan", text);
	asked = console_ask_lines(&f->channel, "{\"execute\": "
				  "\"transaction\"}", true, &f->out, &more);
	assert_int_equal(json_array_size(asked), 1);
	plan_title(json_object_get(json_object_get(json_array_get(asked, 0),
		"reply"), "return"), &names, &title);
	assert_string_equal(str_get(&title),
			    "2 snapshots at one moment: a, b");
	json_decref(asked);
	str_release(&title);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(all_languages),
		FAKE_TEST(others_are_not_asked),
		FAKE_TEST(hits_and_several),
		FAKE_TEST(refused),
		FAKE_TEST(older_end),
		FAKE_TEST(goes_on),
		FAKE_TEST(what_is_the_same),
		FAKE_TEST(none_is_missed),
		FAKE_TEST(of_a_transaction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
