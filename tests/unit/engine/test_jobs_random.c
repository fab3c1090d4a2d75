/* test_jobs_random.c - jobs on random chains with a guest that writes all the
 * time, against the model. BLKMON_SEED replays one, BLKMON_ROUNDS sets how
 * many there are.
 */
#include "tests/unit/jobs_world.h"
#include "tests/unit/slow.h"

#include <stdatomic.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"

struct guest {
	struct world *w;
	pthread_t thread;
	_Atomic bool stop;
};

static void guest_run(void *arg)
{
	struct guest *g = arg;

	while (!g->stop)
		world_change(g->w);
}

static void guest_start(struct guest *g, struct world *w)
{
	*g = (struct guest){ .w = w };
	assert_int_equal(thread_start(&g->thread, "guest", guest_run, g), 0);
}

static void guest_stop(struct guest *g)
{
	g->stop = true;
	thread_join(g->thread);
}

static void make_chain(struct world *w)
{
	unsigned layers = 2 + (unsigned)world_random(w, LAYERS_MAX - 1);

	w->layers = 0;
	memset(w->model, 0, sizeof(w->model));
	while (w->layers < layers) {
		uint64_t size = 512 * (64 + world_random(w, 2000));

		world_add_layer(w, size, 9 + (unsigned)world_random(w, 8));
		world_open(w);
		for (uint64_t n = world_random(w, 20); n; n--)
			world_change(w);
		world_verify(w);
		world_close(w);
	}
	world_open(w);
}

static unsigned depth(struct world *w)
{
	return chain_depth(drive_find(&w->engine->graph, "disk0")->root.node);
}

/* The name of the image @n below the top. */
static const char *name_below(struct world *w, unsigned n)
{
	const struct node *node =
		drive_find(&w->engine->graph, "disk0")->root.node;

	while (n--)
		node = node->backing;
	return node->file->path;
}

static void random_stream(struct world *w)
{
	struct err err = ERR_INIT;
	uint64_t base = world_random(w, depth(w) + 1);
	struct guest guest;

	print_message("stream, base %llu below\n", (unsigned long long)base);
	must(engine_stream(w->engine, &(struct stream_options){
			.device = "disk0",
			.base = base ? name_below(w, (unsigned)base) : NULL,
		}, &err), &err);
	guest_start(&guest, w);
	world_completes(w);
	guest_stop(&guest);
}

static void random_commit(struct world *w)
{
	struct err err = ERR_INIT;
	unsigned top, base;
	struct guest guest;

	if (depth(w) < 2)
		return;
	top = 1 + (unsigned)world_random(w, depth(w) - 1);
	base = top + 1 + (unsigned)world_random(w, depth(w) - top);
	print_message("commit %u to %u below\n", top, base);
	must(engine_commit(w->engine, &(struct commit_options){
			.device = "disk0", .force = true,
			.top = name_below(w, top),
			.base = name_below(w, base) }, &err), &err);
	guest_start(&guest, w);
	world_completes(w);
	guest_stop(&guest);
}

/* After a pivot to a larger image the guest sees what that held. */
static void see_size(struct world *w)
{
	struct err err = ERR_INIT;
	uint64_t size = drive_find(&w->engine->graph, "disk0")->root.node->size;

	if (size > w->size)
		must(engine_read(w->engine, "disk0", w->size, size - w->size,
				 w->model + w->size, &err), &err);
	w->size = size;
}

static void random_active_commit(struct world *w)
{
	struct err err = ERR_INIT;
	bool complete = world_random(w, 2);
	struct guest guest;
	unsigned base;

	if (!depth(w))
		return;
	base = 1 + (unsigned)world_random(w, depth(w));
	print_message("active commit to %u below, %s\n", base,
		      complete ? "pivot" : "cancel");
	must(engine_commit(w->engine, &(struct commit_options){
			.device = "disk0", .force = true,
			.base = name_below(w, base),
		}, &err), &err);
	guest_start(&guest, w);
	world_ready(w);
	if (complete)
		must(engine_job_complete(w->engine, "disk0", &err), &err);
	else
		must(engine_job_cancel(w->engine, "disk0", false, 0, &err),
		     &err);
	world_completes(w);
	guest_stop(&guest);
	see_size(w);
}

static void random_commit_now(struct world *w)
{
	struct err err = ERR_INIT;
	struct guest guest;

	if (!depth(w))
		return;
	print_message("commit at once\n");
	guest_start(&guest, w);
	must(engine_commit_sync(w->engine, &(struct sync_options){
			.device = "disk0", .force = true }, &err), &err);
	world_completes(w);
	guest_stop(&guest);
}

static void random_cancelled(struct world *w)
{
	struct err err = ERR_INIT;
	struct event ev;

	if (!depth(w))
		return;
	print_message("cancelled\n");
	if (world_random(w, 2))
		must(engine_stream(w->engine, &(struct stream_options){
				.device = "disk0", .force = true,
				.speed = 300000 }, &err),
		     &err);
	else
		must(engine_commit(w->engine, &(struct commit_options){
				.device = "disk0", .force = true,
				.speed = 300000 }, &err),
		     &err);
	for (int i = 0; i < 20; i++)
		world_change(w);
	engine_job_cancel(w->engine, "disk0", true, 0, &err);
	world_wait(w, EVENT_JOB_COMPLETED, EVENT_JOB_CANCELLED, &ev);
}

static void check_images(struct world *w)
{
	char line[4300], name[4096];

	snprintf(name, sizeof(name), "%s", name_below(w, 0));
	world_close(w);
	if (!system("command -v qemu-img >/dev/null")) {
		snprintf(line, sizeof(line),
			 "qemu-img check -q '%s' >/dev/null && for i in layer*;"
			 " do qemu-img check -q $i >/dev/null || exit 1; done",
			 name);
		assert_int_equal(system(line), 0);
	}
	w->layers = (unsigned)atoi(name + 5) + 1;
	world_open(w);
}

static void one_round(struct world *w, uint64_t seed)
{
	static void (*const job[])(struct world *) = {
		random_stream, random_commit, random_active_commit,
		random_commit_now, random_cancelled,
	};

	w->seed = seed;
	print_message("seed %llu\n", (unsigned long long)seed);
	make_chain(w);
	for (uint64_t n = 1 + world_random(w, 4); n; n--) {
		job[world_random(w, 5)](w);
		world_verify(w);
		if (world_random(w, 2)) {
			check_images(w);
			world_verify(w);
		}
	}
	check_images(w);
	world_verify(w);
	world_close(w);
	scratch_clear();
}

static void random_chains(void **state)
{
	const char *seed = getenv("BLKMON_SEED");
	const char *rounds = getenv("BLKMON_ROUNDS");
	uint64_t first = seed ? strtoull(seed, NULL, 10) :
				clock_wall_us() % 1000000;
	uint64_t n = seed ? 1 : rounds ? strtoull(rounds, NULL, 10) :
				under_valgrind() ? 3 : 25;

	for (uint64_t i = 0; i < n; i++)
		one_round(*state, first + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(random_chains,
						world_enter, world_leave),
	};

	return cmocka_run_group_tests_name("jobs_random", tests,
					   scratch_enter, scratch_leave);
}
