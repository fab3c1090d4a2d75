/* throttle.c - see throttle.h. */
#include "engine/job/throttle.h"

#include "engine/util/bytes.h"
#include "engine/util/clock.h"

#define DELAY_MAX (UINT64_MAX / 2)
#define PIECES_PER_SEC 20

/* The level at @now_ns. Clocks read before the lock was taken may come out of
 * order; time then stands still. */
static double throttle_level(const struct throttle *t, uint64_t now_ns)
{
	double speed = (double)t->speed / NS_PER_SEC, level, credit;

	if (!t->speed)
		return 0;
	if (now_ns <= t->last_ns)
		return t->level;
	level = t->level - speed * (double)(now_ns - t->last_ns);
	credit = -speed * THROTTLE_BURST_NS;
	return level > credit ? level : credit;
}

static void throttle_advance(struct throttle *t, uint64_t now_ns)
{
	t->level = throttle_level(t, now_ns);
	t->last_ns = max_u64(t->last_ns, now_ns);
}

void throttle_init(struct throttle *t, uint64_t speed, uint64_t now_ns)
{
	*t = (struct throttle){ .speed = speed, .last_ns = now_ns };
}

/* A lower speed keeps the time that is left to stand still, not the bytes:
 * what a fast job did was within its speed, and would cost a slow one ages. */
void throttle_set_speed(struct throttle *t, uint64_t speed, uint64_t now_ns)
{
	throttle_advance(t, now_ns);
	if (speed < t->speed)
		t->level *= (double)speed / (double)t->speed;
	t->speed = speed;
}

void throttle_charge(struct throttle *t, uint64_t bytes, uint64_t now_ns)
{
	throttle_advance(t, now_ns);
	if (t->speed)
		t->level += (double)bytes;
}

uint64_t throttle_delay(const struct throttle *t, uint64_t now_ns)
{
	double level = throttle_level(t, now_ns), ns;

	if (level <= 0)
		return 0;
	ns = level / (double)t->speed * NS_PER_SEC;
	return ns < (double)DELAY_MAX ? (uint64_t)ns : DELAY_MAX;
}

uint64_t throttle_piece(const struct throttle *t, uint64_t min, uint64_t max)
{
	uint64_t piece = max;

	if (t->speed)
		piece = min_u64(t->speed / PIECES_PER_SEC, max);
	return max_u64(align_down(piece, min), min);
}
