/* test_watch.c - what is believed of a job when events are lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "src/console/watch.h"

static void tell(struct watch *w, const char *text)
{
	json_t *event = json_loads(text, 0, NULL);

	assert_non_null(event);
	watch_event(w, event);
	json_decref(event);
}

static void tell_status(struct watch *w, const char *status)
{
	char text[128];

	snprintf(text, sizeof(text), "{\"event\": \"JOB_STATUS_CHANGE\", "
		 "\"data\": {\"id\": \"j\", \"status\": \"%s\"}}", status);
	tell(w, text);
}

/* There is no job any more. */
static const struct watch_job *look(struct watch *w)
{
	json_t *none = json_pack("{s:[]}", "return");
	const struct watch_job *job;

	watch_sync(w, none, w->heard);
	json_decref(none);
	job = watch_find(w, "j");
	assert_non_null(job);
	return job;
}

static void end_that_was_heard(void **state)
{
	struct watch w = { 0 };

	(void)state;
	tell_status(&w, "created");
	tell_status(&w, "running");
	tell(&w, "{\"event\": \"BLOCK_JOB_COMPLETED\", \"data\": "
	     "{\"device\": \"j\"}}");
	tell_status(&w, "null");
	assert_int_equal(look(&w)->state, WATCH_DONE);
	assert_true(watch_is_finished(look(&w)));
	assert_int_equal(w.failed, 0);
	watch_release(&w);
}

/* Whichever event is lost, no one waits for ever. */
static void end_that_was_not(void **state)
{
	static const char *const heard[] = { "running", "concluded", "null" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct watch w = { 0 };

		tell_status(&w, "created");
		tell_status(&w, heard[i]);
		assert_int_equal(look(&w)->state, WATCH_UNSEEN);
		assert_true(watch_is_finished(look(&w)));
		assert_int_equal(w.failed, 1);
		watch_release(&w);
	}
}

static void sync_text(struct watch *w, const char *text)
{
	json_t *reply = json_loads(text, 0, NULL);

	assert_non_null(reply);
	watch_sync(w, reply, w->heard);
	json_decref(reply);
}

#define LOST "\"x-blkmon-lost\": "

/* What a place said last, when it does not answer, is older than events. */
static void place_that_does_not_answer(void **state)
{
	static const char was[] = "{\"return\": [{\"id\": \"j\", \"status\": "
		"\"running\", " LOST "true}], " LOST "[\"a\"]}";
	struct watch w = { 0 };

	(void)state;
	sync_text(&w, "{\"return\": [{\"id\": \"a/k\", \"status\": "
		  "\"running\"}, {\"id\": \"ab/k\", \"status\": "
		  "\"running\"}]}");
	tell_status(&w, "created");
	tell_status(&w, "ready");
	sync_text(&w, was);
	assert_int_equal(watch_find(&w, "j")->state, WATCH_READY);
	assert_true(watch_find(&w, "j")->lost);
	assert_int_equal(watch_find(&w, "a/k")->state, WATCH_RUNNING);
	assert_true(watch_find(&w, "a/k")->lost);
	assert_int_equal(watch_find(&w, "ab/k")->state, WATCH_UNSEEN);
	tell(&w, "{\"event\": \"BLOCK_JOB_COMPLETED\", \"data\": "
	     "{\"device\": \"j\"}}");
	tell_status(&w, "null");
	sync_text(&w, was);
	assert_int_equal(look(&w)->state, WATCH_DONE);
	assert_int_equal(watch_find(&w, "a/k")->state, WATCH_UNSEEN);
	assert_int_equal(w.failed, 2);
	watch_release(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(end_that_was_heard),
		cmocka_unit_test(end_that_was_not),
		cmocka_unit_test(place_that_does_not_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
