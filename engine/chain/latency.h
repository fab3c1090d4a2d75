/* latency.h - how long requests took: counts, in steps of a fifth or so. */
#ifndef BLKMON_LATENCY_H
#define BLKMON_LATENCY_H

#include <stdatomic.h>
#include <stdint.h>

#define LATENCY_BINS 112u	/* the last has all from two minutes on */

struct latency {
	_Atomic uint64_t bin[LATENCY_BINS];
};

/* One request of @ns. Any thread. */
void latency_add(struct latency *l, uint64_t ns);
/* The longest time that is counted in @bin, in ns. */
uint64_t latency_most(unsigned bin);

#endif
