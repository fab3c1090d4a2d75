/* test_wait.c - waiting for jobs whose events come early, late or never. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/console/hmp/wait.h"
#include "tests/unit/console_channel.h"

#define UNKNOWN(id) "job '" id "' is gone, and how it ended is not known\n"
#define STATUS(id, status) "{'event': 'JOB_STATUS_CHANGE', 'data': {'id': '" \
	id "', 'status': '" status "'}}"
#define STARTED(id) STATUS(id, "created") "," STATUS(id, "running")
#define GONE(id) STATUS(id, "concluded") "," STATUS(id, "null")
#define DONE(id) "{'event': 'BLOCK_JOB_COMPLETED', 'data': {'device': '" id \
	"', 'type': 'stream'}}"
#define FAILED(id) "{'event': 'BLOCK_JOB_COMPLETED', 'data': {'device': '" \
	id "', 'type': 'stream', 'error': 'no room'}}"
#define CANCELLED(id) "{'event': 'BLOCK_JOB_CANCELLED', 'data': {'device':" \
	" '" id "', 'type': 'stream'}}"

static void early_and_late(void **state)
{
	struct fake *f = *state;

	fake_run(f, "wait", "", 0);
	fake_run(f, "wait d", "Error: Block job 'd' not found\n", -1);
	fake_events(f, NULL, "[" STARTED("d") "," DONE("d") "," GONE("d")
		    "]");
	fake_run(f, "wait d", "", 0);
	fake_run(f, "wait d done 1", "", 0);
	/* again, under the same name */
	fake_events(f, NULL, "[" STARTED("d") "]");
	fake_run(f, "wait d 0", "Error: timed out\n", -1);
	fake_run(f, "wait 0", "Error: timed out\n", -1);
	fake_events(f, NULL, "[" CANCELLED("d") "," GONE("d") "]");
	fake_run(f, "wait d", "", 0);
}

static void failures(void **state)
{
	struct fake *f = *state;

	fake_events(f, NULL, "[" STARTED("d") "," STARTED("e") ","
		    FAILED("d") "," GONE("d") "]");
	fake_run(f, "wait d", "! job 'd' failed: no room\n"
		 "Error: job 'd' failed: no room\n", -1);
	assert_int_equal(f->console.watch.failed, 1);
	/* What is over before is not meant by "all". */
	fake_events(f, NULL, "[" DONE("e") "," GONE("e") "]");
	fake_run(f, "wait", "", 0);
	fake_run(f, "wait d", "Error: job 'd' failed: no room\n", -1);
}

static void ready(void **state)
{
	struct fake *f = *state;

	fake_events(f, NULL, "[" STARTED("d") "]");
	fake_run(f, "wait d ready 0", "Error: timed out\n", -1);
	fake_events(f, NULL, "[" STATUS("d", "ready") "]");
	fake_run(f, "wait d ready", "", 0);
	fake_run(f, "wait ready", "", 0);
	fake_run(f, "wait d", "Error: job 'd' is ready and would never end "
		 "by itself\n", -1);
	fake_run(f, "block_job_complete d", "", 0);
	fake_events(f, NULL, "[" STATUS("d", "waiting") ","
		    STATUS("d", "pending") "," DONE("d") "," GONE("d") "]");
	fake_run(f, "wait d", "", 0);
	fake_events(f, NULL, "[" STARTED("s") "," DONE("s") "," GONE("s")
		    "]");
	fake_run(f, "wait s ready", "Error: job 's' ended and was never "
		 "ready\n", -1);
	fake_run(f, "wait d sometime", "wait: 'sometime' is neither ready, "
		 "done nor a number of seconds\n", -1);
}

static void pending(void **state)
{
	struct fake *f = *state;

	fake_events(f, NULL, "[" STARTED("d") "," STATUS("d", "pending") "]");
	fake_run(f, "wait d 0", "Error: timed out\n", -1);
	fake_events(f, NULL, "[{'event': 'BLOCK_JOB_PENDING', 'data': {'id': "
		    "'d', 'type': 'stream'}}]");
	fake_run(f, "wait d", "Error: job 'd' is pending and would never end "
		 "by itself\n", -1);
}

/* A job that stays until it is dismissed is done all the same. */
static void kept(void **state)
{
	struct fake *f = *state;

	fake_events(f, NULL, "[" STARTED("d") "," DONE("d") ","
		    STATUS("d", "concluded") "]");
	fake_run(f, "wait d", "", 0);
}

static void lost_events(void **state)
{
	struct fake *f = *state;

	fake_events(f, NULL, "[" STARTED("d") ", {'event': 'X_BLKMON_LOST', "
		    "'data': {'count': 3}}]");
	fake_lose(f, "[" DONE("d") "," GONE("d") "]");
	fake_run(f, "wait d", "! " UNKNOWN("d") "Error: " UNKNOWN("d"), -1);
	fake_reply(f, "query-jobs", "{'return': [{'id': 'e', 'status': "
		   "'ready'}]}");
	fake_events(f, NULL, "[{'event': 'X_BLKMON_LOST', 'data': {'count': "
		    "3}}]");
	fake_run(f, "wait e ready", "", 0);
}

/* Each kind of news is lost, and the list of jobs has it. */
static void nobody_is_told(void **state)
{
	struct fake *f = *state;

	fake_lose(f, "[" STARTED("d") "]");
	fake_run(f, "wait d 0", "Error: timed out\n", -1);
	fake_lose(f, "[" STATUS("d", "ready") "]");
	fake_run(f, "wait d ready", "", 0);
	fake_run(f, "wait d", "Error: job 'd' is ready and would never end "
		 "by itself\n", -1);
	fake_lose(f, "[" STATUS("d", "standby") "]");
	fake_run(f, "wait d", "Error: job 'd' is paused and would never end "
		 "by itself\n", -1);
	fake_lose(f, "[" STATUS("d", "pending") "]");
	fake_run(f, "wait d 0", "Error: timed out\n", -1);
	fake_reply(f, "query-block-jobs", "{'return': [{'device': 'd', "
		   "'status': 'pending', 'auto-finalize': true}]}");
	fake_run(f, "wait d 0", "Error: timed out\n", -1);
	fake_reply(f, "query-block-jobs", "{'return': [{'device': 'd', "
		   "'status': 'pending', 'auto-finalize': false}]}");
	fake_run(f, "wait d", "Error: job 'd' is pending and would never end "
		 "by itself\n", -1);
	fake_lose(f, "[" DONE("d") "," GONE("d") "]");
	fake_run(f, "wait d", "! " UNKNOWN("d") "Error: " UNKNOWN("d"), -1);
	assert_int_equal(f->console.watch.failed, 1);
	fake_run(f, "wait d", "Error: " UNKNOWN("d"), -1);
	fake_run(f, "wait", "", 0);
}

/* The end of one that waits to be dismissed can be known. */
static void a_kept_one_says_how_it_ended(void **state)
{
	struct fake *f = *state;

	fake_lose(f, "[" STARTED("d") "," FAILED("d") ","
		  STATUS("d", "concluded") "]");
	fake_run(f, "wait d", "! job 'd' failed: no room\n"
		 "Error: job 'd' failed: no room\n", -1);
	fake_lose(f, "[" STARTED("e") "," STATUS("e", "concluded") "]");
	fake_run(f, "wait e", "", 0);
	fake_lose(f, "[" STARTED("g") ", {'event': 'X', 'data': {'id': 'g', "
		  "'error': 'Operation canceled'}}, "
		  STATUS("g", "concluded") "]");
	fake_run(f, "wait g", "", 0);
	assert_int_equal(f->console.watch.failed, 1);
}

/* Told of a loss before the end that it has not heard of yet: the list has the
 * job no more, but how it ended comes next. */
static void a_loss_before_the_end(void **state)
{
	struct fake *f = *state;

	fake_events(f, NULL, "[" STARTED("d") ", {'event': 'X_BLKMON_LOST', "
		    "'data': {'count': 3}}, " DONE("d") "," GONE("d") ","
		    STARTED("e") "," FAILED("e") "," GONE("e") "]");
	fake_run(f, "wait d", "! job 'e' failed: no room\n", 0);
	assert_int_equal(f->console.watch.failed, 1);
}

/* It ends between the question and the reply, which still lists it, and the
 * next of its name has begun before the reply is there. */
static void news_come_with_the_reply(void **state)
{
	struct fake *f = *state;

	fake_events(f, NULL, "[" STARTED("d") "]");
	fake_reply(f, "query-jobs", "{'return': [{'id': 'd', 'status': "
		   "'running'}]}");
	fake_events(f, "query-jobs", "[" DONE("d") "," GONE("d") "]");
	fake_run(f, "wait d", "", 0);
	fake_reply(f, "query-jobs", "{'return': []}");
	fake_events(f, "query-jobs", "[" STARTED("d") "]");
	fake_run(f, "wait d 0", "Error: timed out\n", -1);
	assert_int_equal(f->console.watch.failed, 0);
}

/* A question that fails says nothing about the jobs. */
static void no_reply(void **state)
{
	struct fake *f = *state;

	fake_events(f, NULL, "[" STARTED("d") ", {'event': 'X_BLKMON_LOST', "
		    "'data': {'count': 3}}]");
	fake_error(f, "query-jobs", "No list of jobs: Cannot allocate memory");
	fake_run(f, "wait d 0", "Error: timed out\n", -1);
	assert_true(f->console.stale);
	json_object_del(f->replies, "query-jobs");
	fake_lose(f, "[" STATUS("d", "ready") "]");
	console_events(&f->console, 0);
	assert_false(f->console.stale);
	assert_int_equal(f->console.watch.jobs[0].state, WATCH_READY);
	assert_int_equal(f->console.watch.failed, 0);
}

static void a_script_ends_without_news(void **state)
{
	struct fake *f = *state;

	fake_events(f, NULL, "[" STARTED("d") "]");
	console_events(&f->console, 0);
	fake_lose(f, "[" DONE("d") "," GONE("d") "]");
	assert_int_equal(wait_end(&f->console), -1);
	assert_string_equal(str_get(&f->out), "! " UNKNOWN("d"));
}

static void end_of_script(void **state)
{
	struct fake *f = *state;

	fake_events(f, NULL, "[" STARTED("d") "," DONE("d") "," GONE("d")
		    "]");
	console_events(&f->console, 0);
	assert_int_equal(wait_end(&f->console), 0);
	fake_events(f, NULL, "[" STARTED("e") "," STATUS("e", "ready") "]");
	fake_events(f, "block-job-cancel", "[" DONE("e") "," GONE("e") "]");
	console_events(&f->console, 0);
	assert_int_equal(wait_end(&f->console), -1);
	assert_string_equal(str_get(&f->out), "! job 'e' was ready and "
			    "nobody went on with it: cancelled\n");
	fake_asked(f, "{'execute': 'block-job-cancel', 'arguments': "
		   "{'device': 'e', 'force': false}}");
}

/* Told to complete just before the end: that is waited for. */
static void end_after_complete(void **state)
{
	struct fake *f = *state;

	fake_events(f, NULL, "[" STARTED("e") "," STATUS("e", "ready") "]");
	console_events(&f->console, 0);
	fake_run(f, "block-job-complete e", "", 0);
	fake_events(f, NULL, "[" DONE("e") "," GONE("e") "]");
	assert_int_equal(wait_end(&f->console), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE_TEST(early_and_late),
		FAKE_TEST(failures),
		FAKE_TEST(ready),
		FAKE_TEST(pending),
		FAKE_TEST(kept),
		FAKE_TEST(lost_events),
		FAKE_TEST(nobody_is_told),
		FAKE_TEST(a_kept_one_says_how_it_ended),
		FAKE_TEST(a_loss_before_the_end),
		FAKE_TEST(news_come_with_the_reply),
		FAKE_TEST(no_reply),
		FAKE_TEST(a_script_ends_without_news),
		FAKE_TEST(end_of_script),
		FAKE_TEST(end_after_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
