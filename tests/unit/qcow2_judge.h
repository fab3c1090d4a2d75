/* qcow2_judge.h - does a qcow2 image in memory contradict itself? What
 * `qemu-img check` calls an error, written down a second time, without the
 * engine. Clusters that nobody names (leaks) are no error.
 */
#ifndef BLKMON_TESTS_QCOW2_JUDGE_H
#define BLKMON_TESTS_QCOW2_JUDGE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/bytes.h"

struct judge {
	const uint8_t *img;
	uint64_t size, cluster, clusters;
	unsigned bits, order, entry;	/* entry: bytes in an L2 table */
	bool zero_flag, external;
	bool lagging;			/* flags may lag behind refcounts */
	uint32_t *refs;
	uint64_t rt, rt_entries;
	char *why;			/* what was found, else "" */
	size_t why_size;
};

#define JUDGE_OFFSET 0x00fffffffffffe00ull

__attribute__((format(printf, 2, 3)))
static inline void judge_say(struct judge *j, const char *fmt, ...)
{
	va_list ap;

	if (*j->why)
		return;
	va_start(ap, fmt);
	vsnprintf(j->why, j->why_size, fmt, ap);
	va_end(ap);
}

/* Beyond the end there are zeroes. */
static inline uint64_t judge_u64(const struct judge *j, uint64_t at)
{
	return j->size >= 8 && at <= j->size - 8 ? get_be64(j->img + at) : 0;
}

static inline uint64_t judge_refcount(const struct judge *j, uint64_t c)
{
	uint64_t per_block = j->cluster * 8 >> j->order;
	uint64_t i = c / per_block, n = c % per_block, block, v = 0;
	unsigned width = 1u << j->order;

	block = i < j->rt_entries ? judge_u64(j, j->rt + i * 8) : 0;
	if (!block || block + j->cluster > j->size)
		return 0;
	if (width < 8)
		return (uint64_t)j->img[block + n * width / 8] >>
		       (n * width % 8) & ((1u << width) - 1);
	for (unsigned k = 0; k < width / 8; k++)
		v = v << 8 | j->img[block + n * width / 8 + k];
	return v;
}

static inline void judge_add(struct judge *j, uint64_t off, uint64_t len,
			     const char *what)
{
	if (!len)
		return;
	if (off + len > j->size && off + len - j->size >= j->cluster) {
		judge_say(j, "%s at %llx lies beyond the end", what,
			  (unsigned long long)off);
		return;
	}
	for (uint64_t c = off / j->cluster; c * j->cluster < off + len; c++)
		if (c < j->clusters)
			j->refs[c]++;
}

static inline void judge_place(struct judge *j, uint64_t off, const char *what)
{
	if (off & (j->cluster - 1))
		judge_say(j, "%s at %llx is not aligned", what,
			  (unsigned long long)off);
	else
		judge_add(j, off, j->cluster, what);
}

static inline void judge_compressed(struct judge *j, uint64_t e)
{
	unsigned x = 62 - (j->bits - 8);
	uint64_t off = e & ((1ull << x) - 1);
	uint64_t sectors = (e & ((1ull << 62) - 1)) >> x;

	judge_add(j, off, (sectors + 1) * 512 - (off & 511), "compressed");
}

static inline void judge_l2(struct judge *j, uint64_t table)
{
	for (uint64_t k = 0; k < j->cluster; k += j->entry) {
		uint64_t e = judge_u64(j, table + k);
		uint64_t off = e & JUDGE_OFFSET, map;

		if (e >> 62 & 1) {
			judge_compressed(j, e);
			continue;
		}
		if (off && !j->external)
			judge_place(j, off, "data");
		if (e & (j->zero_flag ? 0 : 1))
			judge_say(j, "zero flag at %llx",
				  (unsigned long long)(table + k));
		if (j->entry == 8)
			continue;
		map = judge_u64(j, table + k + 8);
		if ((map >> 32 & map & 0xffffffffu) ||
		    (!off && !j->external && (map & 0xffffffffu)))
			judge_say(j, "bitmap at %llx is impossible",
				  (unsigned long long)(table + k));
	}
}

static inline void judge_l1(struct judge *j, uint64_t l1, uint64_t entries)
{
	judge_add(j, l1, entries * 8, "L1 table");
	for (uint64_t i = 0; i < entries; i++) {
		uint64_t table = judge_u64(j, l1 + i * 8) & JUDGE_OFFSET;

		if (!table)
			continue;
		judge_place(j, table, "L2 table");
		judge_l2(j, table);
	}
}

static inline void judge_snapshots(struct judge *j)
{
	uint64_t at = get_be64(j->img + 64), from = at;
	uint32_t n = get_be32(j->img + 60);

	for (; n && at + 40 <= j->size; n--) {
		const uint8_t *p = j->img + at;

		judge_l1(j, get_be64(p), get_be32(p + 8));
		at += 40 + get_be32(p + 36) + get_be16(p + 12) +
		      get_be16(p + 14);
		at = align_up(at, 8);
	}
	judge_add(j, from, at - from, "snapshot table");
}

/* One that lags must not say that nobody else has what somebody has. */
static inline bool judge_flag_fits(const struct judge *j, uint64_t cluster,
				   bool copied)
{
	if (j->lagging)
		return !copied || cluster >= j->clusters ||
		       j->refs[cluster] <= 1;
	return (judge_refcount(j, cluster) == 1) == copied;
}

static inline void judge_flag(struct judge *j, uint64_t e, uint64_t at)
{
	uint64_t off = e & JUDGE_OFFSET;

	if (!off || (e >> 62 & 1))
		return;
	if (!judge_flag_fits(j, off / j->cluster, e >> 63))
		judge_say(j, "COPIED is wrong at %llx: %llx, refcount %llu",
			  (unsigned long long)at, (unsigned long long)e,
			  (unsigned long long)
			  judge_refcount(j, off / j->cluster));
}

static inline void judge_flags(struct judge *j)
{
	uint64_t l1 = get_be64(j->img + 40), n = get_be32(j->img + 36);

	for (uint64_t i = 0; i < n; i++) {
		uint64_t e = judge_u64(j, l1 + i * 8);
		uint64_t table = e & JUDGE_OFFSET;

		judge_flag(j, e, l1 + i * 8);
		for (uint64_t k = 0; table && k < j->cluster && !j->external;
		     k += j->entry)
			judge_flag(j, judge_u64(j, table + k), table + k);
	}
}

static inline void judge_refcounts(struct judge *j)
{
	for (uint64_t i = 0; i < j->rt_entries; i++) {
		uint64_t block = judge_u64(j, j->rt + i * 8);

		if (block && block + j->cluster > j->size)
			judge_say(j, "refcount block %llu at %llx lies beyond "
				  "the end", (unsigned long long)i,
				  (unsigned long long)block);
		else if (block)
			judge_place(j, block, "refcount block");
	}
	for (uint64_t c = 0; c < j->clusters; c++)
		if (j->refs[c] > judge_refcount(j, c))
			judge_say(j, "cluster %llx has %u references, "
				  "refcount %llu",
				  (unsigned long long)(c * j->cluster),
				  j->refs[c],
				  (unsigned long long)judge_refcount(j, c));
}

/* Looks at the image, if it is one; true: well. @why says what is not.
 * @lagging: the power may have gone between refcounts and flags, which an
 * image of version 2 can't say. */
static inline bool qcow2_judge_cut(const uint8_t *img, uint64_t size,
				   bool lagging, char *why, size_t why_size)
{
	struct judge j = {
		.img = img, .size = size, .lagging = lagging, .why = why,
		.why_size = why_size,
	};
	uint64_t features;

	*why = 0;
	if (size < 104 || get_be32(img) != 0x514649fb)
		return true;
	j.bits = get_be32(img + 20);
	j.cluster = 1ull << j.bits;
	j.clusters = div_round_up(size, j.cluster) + 1;
	j.zero_flag = get_be32(img + 4) >= 3;
	features = j.zero_flag ? get_be64(img + 72) : 0;
	j.external = features & 4;
	j.order = j.zero_flag ? get_be32(img + 96) : 4;
	j.entry = features & 16 ? 16 : 8;
	j.rt = get_be64(img + 48);
	j.rt_entries = get_be32(img + 56) * j.cluster / 8;
	if (features & 1)	/* dirty: refcounts say nothing */
		return true;
	j.refs = calloc(j.clusters, sizeof(*j.refs));
	judge_add(&j, 0, 1, "header");
	judge_add(&j, j.rt, j.rt_entries * 8, "refcount table");
	judge_l1(&j, get_be64(img + 40), get_be32(img + 36));
	judge_snapshots(&j);
	judge_refcounts(&j);
	judge_flags(&j);
	free(j.refs);
	return !*why;
}

static inline bool qcow2_judge(const uint8_t *img, uint64_t size, char *why,
			       size_t why_size)
{
	return qcow2_judge_cut(img, size, false, why, why_size);
}

#endif
