/* test_view.c - from replies to the picture: trees, links, jobs. */
#include "tests/unit/ui/ui.h"

#include <time.h>
#include <unistd.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "ui/view/view.h"
#include "ui/view/view_use.h"

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *value = json_loads(text, 0, &error);

	if (!value)
		fail_msg("%s", error.text);
	return value;
}

/* "node<file<full backing" by blanks, newest first; "-" for no backing. */
static json_t *nodes_of(const char *list)
{
	json_t *nodes = json_array();
	char *text = strdup(list), *save = NULL;

	for (char *w = strtok_r(text, " ", &save); w;
	     w = strtok_r(NULL, " ", &save)) {
		char *file = strchr(w, '<'), *backing;
		json_t *image;

		*file++ = '\0';
		backing = strchr(file, '<');
		*backing++ = '\0';
		image = json_pack("{s:s, s:i}", "filename", file,
				  "virtual-size", 65536);
		if (*backing != '-') {
			json_object_set_new(image, "backing-filename",
					    json_string(backing));
			json_object_set_new(image, "full-backing-filename",
					    json_string(backing));
		}
		json_array_append_new(nodes, json_pack(
			"{s:s, s:s, s:s, s:o}", "node-name", w, "drv",
			"qcow2", "file", file, "image", image));
	}
	free(text);
	return nodes;
}

static struct shape *shape_of(const char *nodes, const char *blocks,
			      const char *links)
{
	json_t *n = nodes_of(nodes), *b = parse(blocks);
	json_t *l = links ? parse(links) : NULL;
	struct shape *shape = shape_new(b, n, l, NULL);

	json_decref(n);
	json_decref(b);
	json_decref(l);
	return shape;
}

static void assert_row(const struct shape *s, size_t i, const char *tree,
		       const char *name)
{
	assert_true(i < s->n);
	assert_string_equal(s->images[i].tree, tree);
	assert_string_equal(s->images[i].name, name);
}

#define DISK0 "[{\"device\": \"disk0\", \"inserted\": {\"node-name\": \"n2\"}}]"

static void chain(void **state)
{
	struct shape *s = shape_of("n0<base<- n1<d/sn1<base n2<sn2<d/sn1",
				   DISK0, NULL);

	(void)state;
	assert_int_equal(s->n, 3);
	assert_row(s, 0, "┬", "base");
	assert_row(s, 1, "├", "sn1");
	assert_row(s, 2, "└", "sn2");
	assert_string_equal(s->images[2].drive, "disk0");
	assert_null(s->images[0].drive);
	assert_int_equal(s->images[2].backing, 1);
	assert_int_equal(s->images[0].backing, -1);
	assert_int_equal(s->images[0].top, 2);
	assert_true(s->images[1].no_format);
	assert_false(s->images[0].no_format);
	assert_int_equal(shape_find(s, "n1"), 1);
	assert_int_equal(shape_find(s, "x"), -1);
	shape_put(s);
}

/* Names of nodes say how images lie on each other, whatever the files are
 * called. */
static void linked_by_name(void **state)
{
	struct shape *s = shape_of("n0<same<- n2<same<other", DISK0,
		"[{\"node-name\": \"n2\", \"backing\": \"n0\"}, "
		"{\"node-name\": \"n0\", \"backing\": \"\"}]");

	(void)state;
	assert_int_equal(s->n, 2);
	assert_string_equal(s->images[0].node, "n0");
	assert_int_equal(s->images[1].backing, 0);
	shape_put(s);
}

/* A shared base is drawn once; a branch that goes on has a column. */
static void branches(void **state)
{
	struct shape *s = shape_of("b2<b2<b1 b1<b1<base a2<a2<a1 a1<a1<base "
				   "base<base<- lone<lone<-", "[]", NULL);

	(void)state;
	assert_int_equal(s->n, 6);
	assert_row(s, 0, "─", "lone");
	assert_row(s, 1, "┬", "base");
	assert_row(s, 2, "├─┬", "a1");
	assert_row(s, 3, "│ └", "a2");
	assert_row(s, 4, "└─┬", "b1");
	assert_row(s, 5, "  └", "b2");
	assert_string_equal(s->images[2].tree_ascii, "|-+");
	shape_put(s);
}

static void hostile(void **state)
{
	struct shape *s = shape_of(
		"n2<\033[2Jevil\n<gone a<a<b b<b<a", DISK0, NULL);

	(void)state;
	/* A loop by file names ends somewhere; what is gone is shown. */
	assert_int_equal(s->n, 5);
	for (size_t i = 0; i < s->n; i++)
		assert_null(strpbrk(s->images[i].name, "\033\n"));
	assert_int_equal(shape_find(s, ""), -1);
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->images[i].name, "gone"))
			assert_true(s->images[i].missing);
	shape_put(s);
}

static struct shape *beside(const char *images)
{
	json_t *nodes = nodes_of("n2<sn2<sn1 n1<sn1<base n0<base<-");
	char *text = mem_printf("{\"images\": [%s]}", images);
	json_t *folder, *blocks = parse(DISK0);
	struct shape *s;

	for (char *c = text; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	folder = parse(text);
	s = shape_new(blocks, nodes, NULL, folder);
	free(text);
	json_decref(nodes);
	json_decref(blocks);
	json_decref(folder);
	return s;
}

#define FILE_ON(path, role, below) "{'path': '" path "', 'role': '" role \
	"', 'backing': {'file': '" below "', 'path': '" below "'}}"
#define FILE_OPEN(path, node) "{'path': '" path "', 'role': 'layer', " \
	"'node-name': '" node "'}"

/* Files that are not open stand on what they lie on, and before what goes on
 * there; then what is alone, what nothing uses last. */
static void files_beside(void **state)
{
	struct shape *s = beside(
		FILE_OPEN("sn1", "n1") "," FILE_OPEN("base", "n0") ","
		FILE_ON("free", "unused", "sn1") ","
		FILE_ON("far", "below", "nowhere") ","
		FILE_ON("over", "overlay", "clone") ","
		FILE_ON("clone", "overlay", "sn1") ","
		FILE_ON("lost", "orphan", "gone"));

	(void)state;
	assert_int_equal(s->n, 8);
	assert_int_equal(s->open, 3);
	assert_row(s, 0, "┬", "base");
	assert_row(s, 1, "├", "sn1");
	assert_row(s, 2, "├─┬", "clone");
	assert_row(s, 3, "│ └", "over");
	assert_row(s, 4, "└──", "sn2");
	assert_row(s, 5, "─", "lost");
	assert_row(s, 6, "─", "far");
	assert_row(s, 7, "○", "free");
	assert_int_equal(s->images[2].backing, 1);
	assert_int_equal(s->images[2].top, -1);
	assert_int_equal(s->images[7].backing, -1);
	assert_int_equal(shape_find_key(s, view_key(&s->images[7])), 7);
	shape_put(s);
}

/* An answer that is behind what is open, or makes no sense. */
static void files_that_lie(void **state)
{
	struct shape *s = beside(
		FILE_ON("sn2", "unused", "sn1") ","	/* open by now */
		FILE_OPEN("old", "n9") ","		/* closed by now */
		FILE_ON("a", "overlay", "b") "," FILE_ON("b", "overlay", "a")
		"," FILE_ON("self", "orphan", "self") ","
		FILE_ON("self", "unused", "self") ","
		FILE_ON("on", "overlay", "old") ","
		"{'path': 7, 'role': 'unused'}, {'role': 'orphan'}, 5, "
		"{'path': 'bare', 'role': 'held'}");

	(void)state;
	assert_int_equal(s->open, 3);
	assert_int_equal(s->n, 3 + 5);
	for (size_t i = 3; i < s->n; i++)
		assert_true(s->images[i].backing < (int)i);
	shape_put(s);
	shape_put(beside(""));
}

static void no_answer(void **state)
{
	struct shape *s = shape_new(NULL, NULL, NULL, NULL);

	(void)state;
	assert_int_equal(s->n, 0);
	shape_put(s);
}

/* Files of one name are told apart by their folders, as far as need be. */
static void same_names(void **state)
{
	struct shape *s = shape_of(
		"c<./vm2/disk<- b</srv/vm1/b/disk<- a</srv/vm1/a/disk<- "
		"d</srv/vm1/a/disk<- e<disk<- f</other<-", "[]", NULL);

	(void)state;
	assert_row(s, 0, "─", "other");
	assert_row(s, 1, "─", "disk");
	assert_row(s, 2, "─", "a/disk");
	assert_row(s, 3, "─", "a/disk");
	assert_row(s, 4, "─", "b/disk");
	assert_row(s, 5, "─", "vm2/disk");
	shape_put(s);
	s = shape_of("b</x/a/disk<- a</y/a/disk<-", "[]", NULL);
	assert_row(s, 0, "─", "y/a/disk");
	assert_row(s, 1, "─", "x/a/disk");
	shape_put(s);
}

/* What lies on the disk is taken, though nobody has it open. */
static void next_is_free(void **state)
{
	char dir[] = "/tmp/next.XXXXXX", *other, *nodes, *sn2;
	struct shape *s;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_true(asprintf(&other, "%s/sn03.raw", dir) > 0);
	assert_true(asprintf(&sn2, "%s/sn04.raw", dir) > 0);
	assert_true(asprintf(&nodes, "n2<%s/sn02.raw<-", dir) > 0);
	assert_int_equal(symlink("nowhere", other), 0);
	s = shape_of(nodes, DISK0, NULL);
	assert_string_equal(s->images[0].next, sn2);
	shape_put(s);
	unlink(other);
	rmdir(dir);
	free(other);
	free(nodes);
	free(sn2);
}

static struct shape *deep(int n)
{
	json_t *nodes = json_array(), *links = json_array();
	struct shape *s;
	char name[16], below[16];

	for (int i = n; i--; ) {
		snprintf(name, sizeof(name), "n%d", i);
		snprintf(below, sizeof(below), "n%d", i - 1);
		json_array_append_new(nodes, json_pack(
			"{s:s, s:s, s:{s:s}}", "node-name", name, "drv",
			"qcow2", "image", "filename", name));
		json_array_append_new(links, json_pack("{s:s, s:s}",
			"node-name", name, "backing", i ? below : ""));
	}
	s = shape_new(NULL, nodes, links, NULL);
	json_decref(nodes);
	json_decref(links);
	return s;
}

static void thousand_layers(void **state)
{
	struct shape *s = deep(1000);

	(void)state;
	assert_int_equal(s->n, 1000);
	assert_row(s, 0, "┬", "n0");
	assert_row(s, 999, "└", "n999");
	shape_put(s);
}

/* Of this thread, for a chain of @n images; the least of a few. */
static uint64_t cpu_ns(int n)
{
	uint64_t least = UINT64_MAX;
	struct timespec began, ended;

	for (int i = 0; i < 5; i++) {
		uint64_t ns;

		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &began);
		shape_put(deep(n));
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
		ns = (uint64_t)(ended.tv_sec - began.tv_sec) * NS_PER_SEC +
			(uint64_t)ended.tv_nsec - (uint64_t)began.tv_nsec;
		least = ns < least ? ns : least;
	}
	return least;
}

/* Relative, so that it holds under a sanitizer, and with room for caches that
 * the deeper one does not fit into: sixteen times the depth takes sixteen
 * times as long, not two hundred and fifty-six times. */
static void depth_costs_no_square(void **state)
{
	uint64_t shallow = cpu_ns(500), deeper = cpu_ns(8000);

	(void)state;
	if (deeper > 64 * shallow)
		fail_msg("500: %ju us, 8000: %ju us",
			 (uintmax_t)shallow / 1000, (uintmax_t)deeper / 1000);
}

/* --- jobs --- */

static struct view_jobs jobs;
static uint64_t speed;		/* of update() */

static void update(uint64_t done, uint64_t total, double seconds,
		   const char *status)
{
	json_t *list = json_pack("[{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:s, s:b, s:b, s:s}]", "device", "disk0", "type", "commit",
		"len", (json_int_t)100, "offset", (json_int_t)0,
		"done", (json_int_t)done, "total", (json_int_t)total,
		"speed", (json_int_t)speed,
		"elapsed-ns", (json_int_t)(seconds * 1e9),
		"status", status, "ready", !strcmp(status, "ready"),
		"paused", !strcmp(status, "paused"), "io-status", "ok");

	view_jobs_update(&jobs, list, NULL);
	json_decref(list);
}

static void event(const char *name, const char *error)
{
	json_t *ev = json_pack("{s:s, s:{s:s, s:s, s:s*}}", "event", name,
			       "data", "device", "disk0", "type", "commit",
			       "error", error);

	view_jobs_event(&jobs, ev, NULL);
	json_decref(ev);
}

static int no_jobs(void **state)
{
	(void)state;
	view_jobs_release(&jobs);
	speed = 0;
	return 0;
}

static void progress_is_true(void **state)
{
	const struct view_job *job;
	uint64_t eta;

	(void)state;
	update(0, 0, 0.1, "running");
	job = &jobs.list[0];
	assert_int_equal(view_job_percent(job), 0);
	update(50, 100, 1.1, "running");
	assert_int_equal(view_job_percent(job), 50);
	assert_int_equal(view_job_rate(job), 50);
	assert_true(view_job_eta(job, &eta));
	assert_int_equal(eta, 1);
	/* The guest made more to do: the bar stands, it never steps back. */
	update(50, 200, 2, "running");
	assert_int_equal(view_job_percent(job), 50);
	/* 100 only when it is. */
	update(200, 200, 3, "running");
	assert_int_equal(view_job_percent(job), 99);
	update(300, 200, 3, "running");
	assert_int_equal(view_job_percent(job), 99);
	assert_int_equal(job->len, 300);
	update(300, 300, 4, "ready");
	assert_int_equal(view_job_percent(job), 100);
	assert_false(view_job_eta(job, &eta));
}

/* --- a job that races with its guest --- */

/* One second later: so much is written in all, and so much is left. */
static void race(unsigned second, uint64_t written, uint64_t left)
{
	json_t *stats = json_pack("[{s:s, s:{s:I}}]", "device", "disk0",
				  "stats", "wr_bytes", (json_int_t)written);
	struct view_job *job;

	update(1000 * second, 1000 * second + left, second, "running");
	job = &jobs.list[0];
	job->races = true;
	snprintf(job->drive, sizeof(job->drive), "disk0");
	view_jobs_race(&jobs, stats, second * NS_PER_SEC);
	json_decref(stats);
}

static void a_race_that_is_lost(void **state)
{
	struct view_race r;
	uint64_t eta;

	(void)state;
	race(1, 0, 5000);
	assert_false(view_job_race(&jobs.list[0], &r));
	for (unsigned i = 2; i <= 5; i++)
		race(i, 3000 * (i - 1), 5000 + 2000 * (i - 1));
	/* Some seconds say nothing yet. */
	assert_true(view_job_race(&jobs.list[0], &r));
	assert_false(r.endless);
	assert_int_equal(r.guest, 3000);
	assert_int_equal(r.trend, 2000);
	race(6, 15000, 15000);
	assert_true(view_job_race(&jobs.list[0], &r) && r.endless);
	assert_int_equal(r.left, 15000);
	assert_false(view_job_eta(&jobs.list[0], &eta));
	/* The guest is done: the old samples count for some seconds more. */
	for (unsigned i = 7; i <= 30; i++)
		race(i, 15000, 15000 - 500 * (i - 6));
	assert_true(view_job_race(&jobs.list[0], &r));
	assert_false(r.endless);
	assert_int_equal(r.guest, 0);
}

/* At 1000 a second, of which the guest takes 600 away. */
static void a_race_that_is_won(void **state)
{
	struct view_race r;
	uint64_t eta;

	(void)state;
	for (unsigned i = 1; i <= 10; i++)
		race(i, 600 * i, 8000 - 400 * i);
	assert_true(view_job_race(&jobs.list[0], &r));
	assert_false(r.endless);
	assert_int_equal(r.trend, -400);
	assert_true(view_job_eta(&jobs.list[0], &eta));
	assert_int_equal(eta, 11);
}

static void no_race_where_it_stands_still(void **state)
{
	struct view_race r;

	(void)state;
	for (unsigned i = 1; i <= 10; i++)
		race(i, 3000 * i, 5000 + i);
	assert_true(view_job_race(&jobs.list[0], &r) && r.endless);
	update(10000, 15000, 11, "paused");
	assert_false(view_job_race(&jobs.list[0], &r));
	view_jobs_race(&jobs, NULL, 12 * NS_PER_SEC);
	assert_int_equal(jobs.list[0].race_count, 0);
}

static void assert_eta(uint64_t rate, uint64_t want)
{
	uint64_t eta = 0;

	assert_int_equal(view_job_rate(&jobs.list[0]), rate);
	assert_int_equal(view_job_eta(&jobs.list[0], &eta), want > 0);
	assert_int_equal(eta, want);
}

/* Rate and end are those of the speed of now, from the first look on. */
static void speed_changes_the_rate(void **state)
{
	(void)state;
	update(100, 1000, 1, "running");
	assert_eta(100, 9);
	update(300, 1000, 2, "running");
	assert_eta(200, 4);
	speed = 10;
	update(400, 1000, 3, "running");
	assert_eta(0, 60);
	update(404, 1000, 3.5, "running");
	assert_eta(8, 75);
	/* What the limit let through in a burst does not go on so. */
	update(450, 1000, 4, "running");
	assert_eta(50, 55);
	/* While it stood still nothing was done: that is no rate. */
	update(450, 1000, 4.5, "paused");
	assert_eta(0, 0);
	speed = 0;
	update(450, 1000, 60, "running");
	assert_eta(0, 0);
	update(500, 1000, 60.5, "running");
	assert_eta(100, 5);
}

static void ends_stay(void **state)
{
	json_t *none = json_array();

	(void)state;
	update(10, 100, 1, "running");
	event("BLOCK_JOB_CANCELLED", NULL);
	view_jobs_update(&jobs, none, NULL);
	view_jobs_settle(&jobs);
	assert_int_equal(jobs.n, 1);
	assert_int_equal(jobs.list[0].end, JOB_CANCELLED);
	/* Another one of the same id is another job. */
	update(10, 100, 1, "running");
	event("BLOCK_JOB_COMPLETED", "No space left on device");
	assert_int_equal(jobs.n, 2);
	assert_int_equal(jobs.list[1].end, JOB_FAILED);
	assert_string_equal(jobs.list[1].error, "No space left on device");
	/* One that was over before anybody looked. */
	event("BLOCK_JOB_COMPLETED", NULL);
	assert_int_equal(jobs.n, 3);
	assert_int_equal(jobs.list[2].end, JOB_DONE);
	assert_int_equal(view_job_percent(&jobs.list[2]), 100);
	/* One that is kept until it is dismissed is not a new one. */
	update(10, 100, 1, "concluded");
	assert_int_equal(jobs.n, 3);
	view_jobs_dismiss(&jobs);
	assert_int_equal(jobs.n, 0);
	json_decref(none);
}

/* How long it took is known to the end, and a rate where it worked all the
 * time. */
static void end_has_a_time(void **state)
{
	json_t *ev;
	uint64_t us;

	(void)state;
	update(50, 100, 2, "running");
	us = jobs.list[0].began_us + 4000000;
	ev = json_pack("{s:s, s:{s:I, s:I}, s:{s:s}}", "event",
		       "BLOCK_JOB_COMPLETED", "timestamp", "seconds",
		       (json_int_t)(us / 1000000), "microseconds",
		       (json_int_t)(us % 1000000), "data", "device", "disk0");
	view_jobs_event(&jobs, ev, NULL);
	json_decref(ev);
	assert_int_equal(jobs.list[0].elapsed_ns, 4 * NS_PER_SEC);
	assert_int_equal(view_job_mean(&jobs.list[0]), 25);
	view_jobs_dismiss(&jobs);
	update(50, 100, 2, "paused");
	update(50, 100, 2, "running");
	event("BLOCK_JOB_COMPLETED", NULL);
	assert_int_equal(view_job_mean(&jobs.list[0]), 0);
}

/* What its end says, by the names that the tree has; nothing is guessed from
 * the tree. */
static void files_are_left(void **state)
{
	struct shape *before = shape_of("n0<base<- n1<sn1<base n2<sn2<sn1 "
					"o<other<-", DISK0, NULL);
	struct view_job *job;
	json_t *ev;

	(void)state;
	update(50, 100, 2, "paused");
	update(50, 100, 2, "running");
	ev = json_pack("{s:s, s:{s:s, s:s, s:{s:I, s:I, s:I, s:I, "
		       "s:[{s:s, s:I}, {s:s, s:I}]}}}", "event",
		       "BLOCK_JOB_COMPLETED", "data", "device", "disk0",
		       "type", "commit", "x-blkmon-end", "moved", 4096LL,
		       "freed", 512LL, "rate", 33LL, "time-ns", 7000LL,
		       "unused", "file", "sn1", "bytes", 100LL,
		       "file", "/x/y\n", "bytes", 23LL);
	view_jobs_event(&jobs, ev, before);
	json_decref(ev);
	job = &jobs.list[0];
	assert_int_equal(job->left, 2);
	assert_int_equal(job->left_bytes, 123);
	assert_string_equal(job->left_first, "sn1");
	assert_int_equal(job->moved, 4096);
	assert_int_equal(job->freed, 512);
	assert_int_equal(job->elapsed_ns, 7000);
	assert_int_equal(view_job_mean(job), 33);
	shape_put(before);
}

static void lost_event(void **state)
{
	json_t *none = json_array();

	(void)state;
	update(10, 100, 1, "running");
	view_jobs_update(&jobs, none, NULL);
	assert_int_equal(jobs.list[0].end, JOB_LIVES);
	view_jobs_settle(&jobs);
	assert_int_equal(jobs.list[0].end, JOB_GONE);
	json_decref(none);
}

static void list_is_bounded(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++)
		event("BLOCK_JOB_COMPLETED", NULL);
	assert_true(jobs.n <= 64);
}

/* --- over time --- */

static void spark_of_a_job(void **state)
{
	struct view_job *job;

	(void)state;
	update(10, 1000, 0, "running");
	job = &jobs.list[0];
	assert_int_equal(job->spark_count, 1);
	update(30, 1000, 0, "running");
	assert_int_equal(job->spark[0], 30);
	update(40, 1000, 1, "running");
	assert_int_equal(job->spark_count, 2);
	assert_int_equal(job->spark[1], 10);
	/* Nobody looked for three seconds: the mean of them. */
	update(100, 1000, 4, "running");
	assert_int_equal(job->spark_count, 5);
	assert_int_equal(job->spark[2], 20);
	assert_int_equal(job->spark[4], 20);
	update(1000, 1000, 1000, "running");
	assert_int_equal(job->spark_count, JOB_SPARK);
	assert_int_equal(job->spark[0], 900 / 996);
}

/* --- who uses the drives --- */

static void look(struct view_uses *uses, int number, int scale, uint64_t ns)
{
	json_t *exports = json_pack("[{s:s, s:[{s:i, s:s, s:i, s:i, s:i, "
		"s:i}, {s:i, s:s}]}]", "device", "disk0", "clients",
		"number", number,
		"address", "pid\0337", "rd_bytes", scale * 1000, "wr_bytes",
		0, "rd_operations", scale, "wr_operations", 0,
		"number", 9, "address", "other");
	json_t *stats = json_pack("[{s:s, s:{s:i, s:i, s:i, s:i, s:i}}, "
		"{s:s}]", "device", "disk0", "stats", "rd_bytes", 0,
		"wr_bytes", scale * 500, "rd_operations", scale,
		"wr_operations", scale, "wr_total_time_ns", scale * 400,
		"device", "unused");
	struct view_uses before = *uses;

	view_uses_make(uses, &before, exports, stats, ns);
	json_decref(exports);
	json_decref(stats);
}

static void latency_is_of_now(void **state)
{
	json_t *before = parse("[{\"device\": \"d\", \"bins\": [[1000, 50], "
			       "[9000, 7]]}]");
	json_t *after = parse("[{\"device\": \"d\", \"bins\": [[1000, 50], "
			      "[2000, 98], [9000, 9]]}]");
	struct view_uses uses = { .n = 2 };

	(void)state;
	strcpy(uses.list[0].drive, "d");
	strcpy(uses.list[1].drive, "idle");
	view_uses_latency(&uses, before, after);
	assert_int_equal(uses.list[0].p50_ns, 2000);
	assert_int_equal(uses.list[0].p99_ns, 9000);
	assert_int_equal(uses.list[1].p99_ns, 0);
	view_uses_latency(&uses, after, after);
	assert_int_equal(uses.list[0].p50_ns, 0);
	json_decref(before);
	json_decref(after);
}

static void sole_client_has_no_row(void **state)
{
	json_t *exports = parse("[{\"device\": \"d\", \"clients\": "
				"[{\"number\": 3, \"address\": \"me\"}]}]");
	json_t *stats = parse("[{\"device\": \"d\", \"stats\": {}}]");
	struct view_uses uses, none = { 0 };

	(void)state;
	view_uses_make(&uses, &none, exports, stats, 1);
	assert_int_equal(uses.n, 1);
	assert_string_equal(uses.list[0].only, "client 3 me");
	json_decref(exports);
	json_decref(stats);
}

static void uses_are_differences(void **state)
{
	struct view_uses uses = { 0 };

	(void)state;
	look(&uses, 1, 10, NS_PER_SEC);
	assert_int_equal(uses.n, 3);
	assert_int_equal(uses.list[0].wr, 0);	/* nothing to compare with */
	look(&uses, 1, 30, 3 * NS_PER_SEC);
	assert_string_equal(uses.list[0].drive, "disk0");
	assert_string_equal(uses.list[0].client, "");
	assert_int_equal(uses.list[0].wr, 5000);
	assert_int_equal(uses.list[0].ops, 20);
	assert_int_equal(uses.list[0].spark[USE_SPARK - 1], 5000);
	assert_int_equal(uses.list[0].spark[USE_SPARK - 2], 0);
	assert_int_equal(uses.list[1].rd, 10000);
	assert_null(strchr(uses.list[1].client, '\033'));
	/* Another client, and counters that began anew. */
	look(&uses, 2, 5, 4 * NS_PER_SEC);
	assert_int_equal(uses.list[0].wr, 0);
	assert_int_equal(uses.list[1].rd, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chain),
		cmocka_unit_test(linked_by_name),
		cmocka_unit_test(branches),
		cmocka_unit_test(hostile),
		cmocka_unit_test(no_answer),
		cmocka_unit_test(files_beside),
		cmocka_unit_test(files_that_lie),
		cmocka_unit_test(next_is_free),
		cmocka_unit_test(same_names),
		cmocka_unit_test(thousand_layers),
		cmocka_unit_test(depth_costs_no_square),
		cmocka_unit_test_teardown(progress_is_true, no_jobs),
		cmocka_unit_test_teardown(speed_changes_the_rate, no_jobs),
		cmocka_unit_test_teardown(a_race_that_is_lost, no_jobs),
		cmocka_unit_test_teardown(a_race_that_is_won, no_jobs),
		cmocka_unit_test_teardown(no_race_where_it_stands_still,
					  no_jobs),
		cmocka_unit_test_teardown(ends_stay, no_jobs),
		cmocka_unit_test_teardown(end_has_a_time, no_jobs),
		cmocka_unit_test_teardown(files_are_left, no_jobs),
		cmocka_unit_test_teardown(lost_event, no_jobs),
		cmocka_unit_test_teardown(list_is_bounded, no_jobs),
		cmocka_unit_test(uses_are_differences),
		cmocka_unit_test(spark_of_a_job),
		cmocka_unit_test(latency_is_of_now),
		cmocka_unit_test(sole_client_has_no_row),
	};

	return cmocka_run_group_tests(tests, utf8, NULL);
}
