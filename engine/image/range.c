/* range.c - see range.h.
 *
 * Who waits counts the earlier holders in its way, waiting ones included; who
 * leaves takes itself off the count of every later one that it kept waiting.
 * Earlier is a total order, so nobody waits in a circle.
 */
#include "engine/image/range.h"

#include "engine/util/bug.h"
#include "engine/util/bytes.h"

void range_init(struct range *range)
{
	lock_init(&range->lock);
	list_init(&range->held);
}

void range_release(struct range *range)
{
	BUG_ON(!list_is_empty(&range->held));
	lock_release(&range->lock);
}

static struct range_hold *hold_of(struct list *link)
{
	return container_of(link, struct range_hold, link);
}

static bool in_the_way(const struct range_hold *a, const struct range_hold *b)
{
	return (a->exclusive || b->exclusive) &&
	       max_u64(a->off, b->off) <
	       min_u64(a->off + a->len, b->off + b->len);
}

/* Fills @hold and counts whom it would wait for; range->lock is held. */
static void hold_prepare(struct range *range, struct range_hold *hold,
			 uint64_t off, uint64_t len, bool exclusive)
{
	BUG_ON(off + len < off);
	hold->off = off;
	hold->len = len;
	hold->exclusive = exclusive;
	hold->waits_for = 0;
	list_for_each(link, &range->held)
		hold->waits_for += in_the_way(hold_of(link), hold);
}

void range_take(struct range *range, struct range_hold *hold, uint64_t off,
		uint64_t len, bool exclusive)
{
	lock_take(&range->lock);
	hold_prepare(range, hold, off, len, exclusive);
	list_add_tail(&range->held, &hold->link);
	if (hold->waits_for) {
		cond_init(&hold->go);
		while (hold->waits_for)
			cond_wait(&hold->go, &range->lock);
		cond_release(&hold->go);
	}
	lock_drop(&range->lock);
}

bool range_try(struct range *range, struct range_hold *hold, uint64_t off,
	       uint64_t len, bool exclusive)
{
	bool taken;

	lock_take(&range->lock);
	hold_prepare(range, hold, off, len, exclusive);
	taken = !hold->waits_for;
	if (taken)
		list_add_tail(&range->held, &hold->link);
	lock_drop(&range->lock);
	return taken;
}

bool range_drop(struct range *range, struct range_hold *hold)
{
	bool waited = false;

	lock_take(&range->lock);
	for (struct list *link = hold->link.next; link != &range->held;
	     link = link->next) {
		struct range_hold *later = hold_of(link);

		if (!in_the_way(hold, later))
			continue;
		waited = true;
		if (!--later->waits_for)
			cond_wake_one(&later->go);
	}
	list_del(&hold->link);
	lock_drop(&range->lock);
	return waited;
}
