/* nbd_turn.c - whose turn it is among the threads of a connection, and how many
 * of them serve at once; see nbd_impl.h.
 */
#include <stdlib.h>
#include <sys/resource.h>

#include "engine/nbd/nbd_impl.h"
#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

/* Requests that take less than a thread takes to wake up are served by the
 * thread that read them, with the turn in its hands. */
#define QUICK_NS 20000u
/* Those that may take long at any time are no measure, and are not waited
 * for. */
#define SMALL_BYTES (64u << 10)
/* When of those at work none has ended for so long they do not just compute. */
#define STUCK_NS (10 * NS_PER_MS)

static bool is_small(const struct nbd_request *r)
{
	return r->buf && r->len <= SMALL_BYTES;
}

/* --- the turn --- */

/* Who serves with the turn in hand: the calling thread, or NULL. */
static _Thread_local struct nbd_worker *keeper;

static bool nbd_turn_is_full(const struct nbd_conn *c)
{
	return c->serving >= c->server->processors &&
	       atomic_load(&c->asleep) < NBD_ALL / 2;
}

static struct nbd_worker *idle_at(struct list *link)
{
	return container_of(link, struct nbd_worker, idle);
}

static void wake(struct list *link)
{
	cond_wake_one(&idle_at(link)->wake);
}

/* The last of the idle looks, while it is full, whether any other request is
 * begun: nobody is to wait for those that hang. */
static void wait_turn(struct nbd_worker *w)
{
	struct nbd_conn *c = w->conn;
	bool watch = nbd_turn_is_full(c) && c->idle.prev == &w->idle;
	uint64_t until = watch ? clock_ns() + STUCK_NS : UINT64_MAX;
	uint64_t begun = c->begun;

	c->watched |= watch;
	if (!cond_wait_until(&w->wake, &c->lock, until) && begun == c->begun)
		atomic_store(&c->asleep, NBD_ALL);
	if (watch)
		c->watched = false;
}

bool nbd_turn_take(struct nbd_worker *w)
{
	struct nbd_conn *c = w->conn;
	bool mine;

	if (keeper)
		return true;
	lock_take(&c->lock);
	c->serving -= w->counted;
	w->counted = false;
	list_add(&c->idle, &w->idle);
	while (!c->ended && (c->taken || nbd_turn_is_full(c)))
		wait_turn(w);
	list_del(&w->idle);
	mine = !c->ended;
	c->taken |= mine;
	lock_drop(&c->lock);
	if (mine)
		keeper = w;
	return mine;
}

/* Who came last is woken first: what it needs is in the caches still, and it
 * has not slept so long that it would be run in the place of those at work. */
static void wake_next(struct nbd_conn *c)
{
	if (list_is_empty(&c->idle))
		return;
	if (!nbd_turn_is_full(c))
		wake(c->idle.next);
	else if (!c->watched)
		wake(c->idle.prev);
}

static void nbd_turn_pass(struct nbd_worker *w, bool counts)
{
	struct nbd_conn *c = w->conn;

	keeper = NULL;
	lock_take(&c->lock);
	c->taken = false;
	w->counted = counts;
	c->serving += counts;
	c->begun += counts;
	wake_next(c);
	lock_drop(&c->lock);
}

void nbd_turn_end(struct nbd_worker *w)
{
	struct nbd_conn *c = w->conn;

	keeper = NULL;
	lock_take(&c->lock);
	c->ended = true;
	list_for_each(link, &c->idle)
		wake(link);
	lock_drop(&c->lock);
}

/* --- more threads --- */

void nbd_worker_init(struct nbd_worker *w, struct nbd_conn *c)
{
	w->conn = c;
	w->small = buf_new(NBD_SMALL);
	cond_init(&w->wake);
	list_init(&w->idle);
}

void nbd_worker_release(struct nbd_worker *w)
{
	cond_release(&w->wake);
	free(w->small);
	w->small = NULL;
}

static bool anyone_idle(struct nbd_conn *c)
{
	bool idle;

	lock_take(&c->lock);
	idle = !list_is_empty(&c->idle);
	lock_drop(&c->lock);
	return idle;
}

/* Threads come as they are needed and stay. Without another one the client
 * has fewer requests in flight. */
static void add_worker(struct nbd_conn *c)
{
	struct nbd_worker *w = &c->worker[c->workers];

	if (c->workers == NBD_THREADS || anyone_idle(c))
		return;
	nbd_worker_init(w, c);
	if (w->small &&
	    !thread_start(&w->thread, "nbd-io", c->work, w))
		c->workers++;
	else
		nbd_worker_release(w);
}

/* --- a request --- */

bool nbd_turn_is_kept(void)
{
	return keeper;
}

/* How often the calling thread has slept. */
static long times_slept(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

static void turn_pass_on_kept(struct nbd_worker *w, bool counts)
{
	add_worker(w->conn);
	nbd_turn_pass(w, counts);
	w->slept = times_slept();
}

/* Only small requests are served with the turn kept. */
void nbd_turn_let_go(void)
{
	if (keeper)
		turn_pass_on_kept(keeper, true);
}

void nbd_turn_begin(struct nbd_worker *w, const struct nbd_request *r)
{
	bool small = is_small(r);

	if (!small || w->conn->mean_ns >= QUICK_NS)
		turn_pass_on_kept(w, small);
	w->began = clock_ns();
}

/* A mean that forgets. Threads may overwrite each other's: it is a hint. */
static void count_in(_Atomic uint32_t *mean, uint32_t value)
{
	*mean = *mean / 8 * 7 + value / 8;
}

/* Who still has the turn has not slept. */
void nbd_turn_measure(struct nbd_worker *w, const struct nbd_request *r)
{
	struct nbd_conn *c = w->conn;

	if (!is_small(r))
		return;
	count_in(&c->mean_ns,
		 (uint32_t)min_u64(clock_ns() - w->began, NS_PER_SEC));
	count_in(&c->asleep,
		 !keeper && times_slept() != w->slept ? NBD_ALL : 0);
}
