/* test_client.c - the picture when events are lost and questions fail. */
#include "tests/unit/ui/ui.h"

#include <poll.h>

#include "tests/unit/ui/fake_channel.h"
#include "ui/client/client.h"

#define PATIENCE_MS 60000

#define NODE "{'node-name': 'top', 'drv': 'qcow2', 'image': {'filename': " \
	"'top', 'format': 'qcow2', 'virtual-size': 1048576}}"
#define IMAGES "'query-named-block-nodes': [" NODE "], 'query-block': " \
	"[{'device': 'disk0', 'inserted': " NODE "}]"
#define JOB(more) "'x-blkmon-query-jobs': [{'device': 'disk0', 'type': " \
	"'stream', 'len': 100, 'offset': 10, 'total': 100, 'done': 10, " \
	"'io-status': 'ok', 'status': 'running'" more "}]"
/* `stop` ends it. */
#define SCENE(replies, more) "{'replies': {" replies "}, 'next': 'stop'" \
	more "}"

struct stage {
	struct play play;
	struct fake run, watch;
	struct console console;
	struct client *client;
	struct view_jobs jobs;
};

static void stage_open(struct stage *t, const char *scenes)
{
	char *text = mem_dup(scenes);

	for (char *s = text; *s; s++)
		if (*s == '\'')
			*s = '"';
	*t = (struct stage) { .play.scenes = json_loads(text, 0, NULL) };
	free(text);
	assert_non_null(t->play.scenes);
	lock_init(&t->play.lock);
	fake_init(&t->run, &t->play);
	fake_init(&t->watch, &t->play);
	t->run.other = &t->watch;
	console_init(&t->console, &t->run.channel);
	t->client = client_new(&t->console, &t->watch.channel);
}

static void stage_close(struct stage *t)
{
	client_free(t->client);
	console_release(&t->console);
	fake_release(&t->run);
	fake_release(&t->watch);
	view_jobs_release(&t->jobs);
	lock_release(&t->play.lock);
	json_decref(t->play.scenes);
}

static void await_tidings(struct stage *t)
{
	struct pollfd fd = { .fd = client_fd(t->client), .events = POLLIN };

	assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
	client_seen(t->client);
}

static void settle(struct stage *t)
{
	while (!client_settled(t->client))
		await_tidings(t);
	client_jobs(t->client, &t->jobs);
}

static void next_scene(struct stage *t)
{
	client_run(t->client, "stop");
	settle(t);
}

static unsigned images(struct stage *t)
{
	struct shape *shape = client_shape(t->client);
	unsigned n = shape ? (unsigned)shape->n : 0;

	if (shape)
		shape_put(shape);
	return n;
}

static void a_question_that_fails(void **state)
{
	struct stage t;

	(void)state;
	stage_open(&t, "[" SCENE(IMAGES "," JOB(""), "") ","
		   SCENE("", ", 'fails': ['x-blkmon-query-jobs', "
			 "'query-named-block-nodes', 'query-block']") ","
		   SCENE("", "") "]");
	settle(&t);
	assert_int_equal(t.jobs.n, 1);
	assert_int_equal(images(&t), 1);
	next_scene(&t);
	assert_int_equal(t.jobs.n, 1);
	assert_int_equal(t.jobs.list[0].end, JOB_LIVES);
	assert_int_equal(images(&t), 1);
	next_scene(&t);
	assert_int_equal(t.jobs.list[0].end, JOB_GONE);
	assert_int_equal(images(&t), 0);
	stage_close(&t);
}

/* It is asked again without being told to. */
static void commands_that_are_not_known(void **state)
{
	struct stage t;

	(void)state;
	stage_open(&t, "[" SCENE(IMAGES "," JOB(""), ", 'fails': ["
				 "'query-commands', 'query-block-jobs']") ","
		   SCENE(IMAGES "," JOB(""), "") "]");
	settle(&t);
	assert_int_equal(t.jobs.n, 0);
	lock_take(&t.play.lock);
	t.play.scene++;
	lock_drop(&t.play.lock);
	while (!t.jobs.n) {
		await_tidings(&t);
		client_jobs(t.client, &t.jobs);
	}
	assert_int_equal(t.jobs.list[0].len, 100);
	stage_close(&t);
}

/* It stands still, is told to go on, and nobody says so. */
static void a_job_moves_on_unheard(void **state)
{
	struct stage t;

	(void)state;
	stage_open(&t, "[" SCENE(IMAGES "," JOB(", 'paused': true"), "") ","
		   SCENE(IMAGES "," JOB(""), "") "]");
	settle(&t);
	assert_true(t.jobs.list[0].paused);
	lock_take(&t.play.lock);
	t.play.scene++;
	lock_drop(&t.play.lock);
	while (t.jobs.list[0].paused) {
		await_tidings(&t);
		client_jobs(t.client, &t.jobs);
	}
	stage_close(&t);
}

#define FOLDER(images) "'x-blkmon-query-folder': {'images': [" images "]}"
#define BESIDE "{'path': '/x/beside', 'role': 'unused'}"
#define TOLD ", 'events': [{'event': 'X_BLKMON_FOLDER_CHANGED', 'data': " \
	"{'folder': '/x'}}]"

/* Looked at anew when they are told to have changed, and only then; what could
 * not be had stays as it was. */
static void files_come_and_go(void **state)
{
	struct stage t;

	(void)state;
	stage_open(&t, "[" SCENE(IMAGES "," FOLDER(BESIDE), "") ","
		   SCENE(IMAGES "," FOLDER(""), TOLD) ","
		   SCENE(IMAGES "," FOLDER(BESIDE), ", 'fails': ["
			 "'x-blkmon-query-folder']") "]");
	settle(&t);
	assert_int_equal(images(&t), 2);
	client_look(t.client);
	settle(&t);
	lock_take(&t.play.lock);
	t.play.scene++;
	lock_drop(&t.play.lock);
	fake_wake(&t.watch);
	while (images(&t) != 1)
		await_tidings(&t);
	next_scene(&t);
	assert_int_equal(images(&t), 1);
	stage_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_that_fails),
		cmocka_unit_test(commands_that_are_not_known),
		cmocka_unit_test(a_job_moves_on_unheard),
		cmocka_unit_test(files_come_and_go),
	};

	return cmocka_run_group_tests_name("client", tests, utf8, NULL);
}
