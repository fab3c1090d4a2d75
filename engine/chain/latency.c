/* latency.c - see latency.h.
 *
 * Times are counted in units of about a microsecond: each up to 7 has a bin of
 * its own, and from there on each doubling has four.
 */
#include "engine/chain/latency.h"

#define UNIT_BITS 10u		/* 1024 ns */

static unsigned latency_bin(uint64_t ns)
{
	uint64_t units = ns >> UNIT_BITS;
	unsigned top, bin;

	if (units < 4)
		return (unsigned)units;
	top = 63u - (unsigned)__builtin_clzll(units);
	bin = (top - 1) * 4 + (unsigned)(units >> (top - 2) & 3);
	return bin < LATENCY_BINS ? bin : LATENCY_BINS - 1;
}

void latency_add(struct latency *l, uint64_t ns)
{
	atomic_fetch_add_explicit(&l->bin[latency_bin(ns)], 1,
				  memory_order_relaxed);
}

uint64_t latency_most(unsigned bin)
{
	unsigned top = bin / 4 + 1;
	uint64_t units = bin < 4 ? bin : (4ull + bin % 4) << (top - 2);
	uint64_t step = bin < 4 ? 1 : 1ull << (top - 2);

	return ((units + step) << UNIT_BITS) - 1;
}
