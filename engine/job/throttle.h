/* throttle.h - a leaky bucket that holds a job to its speed.
 *
 * Work is paid for when it is done: throttle_charge() fills the bucket, time
 * empties it at `speed` bytes a second, and throttle_delay() says how long to
 * stand still until it is empty. Idle time earns no credit beyond
 * THROTTLE_BURST_NS. A higher speed applies to what is in the bucket at once,
 * so a crawl turned into a run starts running at once; a lower speed leaves
 * the time to stand still as it was, so a run turned into a crawl does not
 * pay for the run.
 *
 * No lock of its own and no clock: the owner's lock guards it and the caller
 * says what time it is (so tests need no sleep).
 */
#ifndef BLKMON_THROTTLE_H
#define BLKMON_THROTTLE_H

#include <stdint.h>

#define THROTTLE_BURST_NS 50000000ull	/* 50 ms: a late wake-up is made up */

struct throttle {
	uint64_t speed;		/* bytes a second, 0 = unlimited */
	uint64_t last_ns;	/* when `level` was true */
	double level;		/* bytes not yet worked off; < 0 is credit */
};

void throttle_init(struct throttle *t, uint64_t speed, uint64_t now_ns);
void throttle_set_speed(struct throttle *t, uint64_t speed, uint64_t now_ns);
void throttle_charge(struct throttle *t, uint64_t bytes, uint64_t now_ns);
/* ns until the next piece may start; 0 = now; UINT64_MAX / 2 at most. */
uint64_t throttle_delay(const struct throttle *t, uint64_t now_ns);
/* A fit size for the next piece: at most @max, at least @min, and about 50 ms
 * of the speed in between; a multiple of @min (a power of two). */
uint64_t throttle_piece(const struct throttle *t, uint64_t min, uint64_t max);

#endif
