/* clock.h - time. Intervals and deadlines use the monotonic clock only. */
#ifndef BLKMON_UTIL_CLOCK_H
#define BLKMON_UTIL_CLOCK_H

#include <stdint.h>

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_SEC 1000000000ull

uint64_t clock_ns(void);	/* CLOCK_MONOTONIC, ns */
/* For poll(): ms until clock_ns() reaches @deadline, rounded up; 0 when it is
 * past, -1 for UINT64_MAX. */
int clock_poll_ms(uint64_t deadline);
uint64_t clock_wall_us(void);	/* CLOCK_REALTIME, us since the epoch */

#endif
