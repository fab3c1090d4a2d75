/* qcow2_map.c - from a guest offset to what is there, in runs. */
#include "engine/image/qcow2/qcow2_image.h"

#include <stdlib.h>
#include <string.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

int qcow2_l2_find(struct qcow2 *q, uint64_t off, uint64_t *table)
{
	uint32_t i = qcow2_l1_index(q, off);

	*table = i < q->l1.count ? q->l1.entry[i] & QCOW2_OFFSET_MASK : 0;
	return is_aligned(*table, q->cluster) ? 0 : qcow2_broken(q);
}

static void entry_load(const struct qcow2 *q, const uint8_t *p,
		       struct qcow2_entry *out)
{
	out->e = get_be64(p);
	out->bitmap = q->extended ? get_be64(p + 8) : 0;
}

int qcow2_entry_get(struct qcow2 *q, uint64_t table, uint64_t index,
		    struct qcow2_entry *out)
{
	uint64_t at = table + index * q->entry_bytes;
	struct unit *u;
	int rc = qcow2_cache_get(q, UNIT_L2, at, &u);

	if (!rc)
		entry_load(q, u->data + (at - u->host), out);
	return rc;
}

int qcow2_entry_set(struct qcow2 *q, uint64_t table, uint64_t index,
		    struct qcow2_entry entry)
{
	uint64_t at = table + index * q->entry_bytes;
	struct unit *u;
	int rc = qcow2_cache_get(q, UNIT_L2, at, &u);

	if (rc)
		return rc;
	put_be64(u->data + (at - u->host), entry.e);
	if (q->extended)
		put_be64(u->data + (at - u->host) + 8, entry.bitmap);
	qcow2_cache_dirty(q, u);
	return 0;
}

/* Offset 0 is a place only in an external data file, where the entry of
 * guest cluster 0 is always COPIED. */
bool qcow2_has_place(const struct qcow2 *q, uint64_t e)
{
	return (e & QCOW2_OFFSET_MASK) || (q->external && (e & QCOW2_COPIED));
}

static int kind_extended(const struct qcow2 *q, struct qcow2_entry entry,
			 unsigned sub)
{
	bool data = entry.bitmap >> sub & 1;
	bool zero = entry.bitmap >> (sub + 32) & 1;

	if ((data && zero) || (data && !qcow2_has_place(q, entry.e)))
		return -EIO;
	return zero ? RUN_ZERO : data ? RUN_DATA : RUN_HOLE;
}

int qcow2_kind(struct qcow2 *q, struct qcow2_entry entry, unsigned sub)
{
	int kind;

	if (entry.e & QCOW2_COMPRESSED)
		return q->external ? qcow2_broken(q) : RUN_COMPRESSED;
	if (!is_aligned(entry.e & QCOW2_OFFSET_MASK, q->cluster))
		return qcow2_broken(q);
	if (q->extended)
		kind = kind_extended(q, entry, sub);
	else if (entry.e & QCOW2_ZERO)
		kind = q->h.version >= 3 ? RUN_ZERO : -EIO;
	else
		kind = qcow2_has_place(q, entry.e) ? RUN_DATA : RUN_HOLE;
	return kind < 0 ? qcow2_broken(q) : kind;
}

/* The run of one (sub)cluster that holds @off, up to its end. With @places
 * also where what is no data has its place, if it has one. */
static int run_of(struct qcow2 *q, struct qcow2_entry entry, uint64_t off,
		  bool places, struct run *run)
{
	uint64_t in = off & (q->cluster - 1);
	int kind = qcow2_kind(q, entry, (unsigned)(in / q->sub));

	if (kind < 0)
		return kind;
	*run = (struct run){ .kind = (enum run_kind)kind, .off = off };
	if (kind == RUN_COMPRESSED) {
		run->cookie = entry.e;
		run->len = q->cluster - in;
		return 0;
	}
	run->len = q->sub - (in & (q->sub - 1));
	if (kind == RUN_DATA || (places && qcow2_has_place(q, entry.e))) {
		run->file = q->data;
		run->host = (entry.e & QCOW2_OFFSET_MASK) + in;
	}
	run->shared = kind == RUN_DATA && !(entry.e & QCOW2_COPIED);
	return 0;
}

static bool qcow2_map_joins(const struct run *a, const struct run *b)
{
	if (a->kind != b->kind || a->kind == RUN_COMPRESSED ||
	    a->file != b->file)
		return false;
	return !a->file ||
	       (b->host == a->host + a->len && a->shared == b->shared);
}

/* How many entries from @p on are empty. Most are in the tables of a sparse
 * image, and to say so of a word is all that it takes. */
static uint64_t count_empty(const struct qcow2 *q, const uint8_t *p,
			    const uint8_t *end)
{
	const uint8_t *at = p;
	uint64_t word;

	for (; at < end; at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		if (word)
			break;
	}
	return (uint64_t)(at - p) / q->entry_bytes;
}

/* Goes through the entries of one unit from @off on, as long as they join. */
static int run_in_unit(struct qcow2 *q, uint64_t table, uint64_t off,
		       uint64_t len, bool places, struct run *run)
{
	uint64_t at = table + qcow2_l2_index(q, off) * q->entry_bytes;
	struct unit *u;
	struct qcow2_entry entry;
	struct run next;
	const uint8_t *p, *end;
	uint64_t n;
	int rc = qcow2_cache_get(q, UNIT_L2, at, &u);

	if (rc)
		return rc;
	p = u->data + (at - u->host);
	end = u->data + q->cache.unit;
	entry_load(q, p, &entry);
	rc = run_of(q, entry, off, places, run);
	while (!rc && run->len < len) {
		uint64_t pos = off + run->len;

		if (is_aligned(pos, q->cluster)) {
			p += q->entry_bytes;
			if (run->kind == RUN_HOLE && !run->file) {
				n = count_empty(q, p, end);
				run->len += n * q->cluster;
				p += n * q->entry_bytes;
				pos = off + run->len;
			}
			if (p == end)
				break;
			entry_load(q, p, &entry);
		}
		/* what is broken further on is somebody else's error */
		if (run_of(q, entry, pos, places, &next) ||
		    !qcow2_map_joins(run, &next))
			break;
		run->len += next.len;
	}
	return rc;
}

/* The piece from @off on that one L1 entry or one unit answers for. */
static int map_step(struct qcow2 *q, uint64_t off, uint64_t len,
		    bool places, struct run *run)
{
	unsigned span = q->cluster_bits + q->l2_bits;
	uint32_t i = qcow2_l1_index(q, off);
	uint64_t table;
	int rc = qcow2_l2_find(q, off, &table);

	if (rc)
		return rc;
	if (table)
		return run_in_unit(q, table, off, len, places, run);
	while (++i < q->l1.count && !(q->l1.entry[i] & QCOW2_OFFSET_MASK) &&
	       ((uint64_t)i << span) - off < len)
		;
	*run = (struct run){ .kind = RUN_HOLE, .off = off };
	run->len = i < q->l1.count ? ((uint64_t)i << span) - off : len;
	return 0;
}

static int map_runs(struct node *node, uint64_t off, uint64_t len,
		    bool places, struct run *run)
{
	struct qcow2 *q = qcow2_of(node);
	struct run next;
	int rc;

	lock_take(&node->meta);
	rc = map_step(q, off, len, places, run);
	while (!rc && run->len < len) {
		if (map_step(q, off + run->len, len - run->len, places,
			     &next) ||
		    !qcow2_map_joins(run, &next))
			break;
		run->len += next.len;
	}
	lock_drop(&node->meta);
	if (!rc && run->len > len)
		run->len = len;
	return rc;
}

int qcow2_map(struct node *node, uint64_t off, uint64_t len, struct run *run)
{
	return map_runs(node, off, len, false, run);
}

int qcow2_places(struct node *node, uint64_t off, uint64_t len,
		 struct run *run)
{
	return map_runs(node, off, len, true, run);
}

/* Spec "Compressed Clusters Descriptor". */
static uint64_t compressed_place(const struct qcow2 *q, uint64_t e,
				 uint64_t *bytes)
{
	unsigned x = 62 - (q->cluster_bits - 8);
	uint64_t off = e & ((1ull << x) - 1) & (QCOW2_OFFSET_MAX - 1);
	uint64_t sectors = (e & (QCOW2_COMPRESSED - 1)) >> x;

	*bytes = (sectors + 1) * 512 - (off & 511);
	return off;
}

struct qcow2_extent qcow2_compressed_extent(const struct qcow2 *q, uint64_t e)
{
	uint64_t bytes, off = compressed_place(q, e, &bytes);
	uint64_t first = off >> q->cluster_bits;

	return (struct qcow2_extent){
		first, ((off + bytes - 1) >> q->cluster_bits) - first + 1,
	};
}

int qcow2_read_compressed(struct node *node, const struct run *run,
			  uint64_t off, void *buf, size_t len)
{
	struct qcow2 *q = qcow2_of(node);
	uint64_t bytes, host = compressed_place(q, run->cookie, &bytes);
	uint64_t in = off & (q->cluster - 1);
	bool whole = in == 0 && len == q->cluster;
	uint8_t *src = mem_try(bytes, 1);
	uint8_t *dst = whole ? buf : mem_try(q->cluster, 1);
	int rc = src && dst ? 0 : -ENOMEM;

	if (!rc)
		rc = file_read(q->file, host, src, bytes);
	if (!rc)
		rc = qcow2_inflate(q->h.compression, dst, q->cluster, src,
				   bytes);
	if (!rc && !whole)
		memcpy(buf, dst + in, len);
	free(src);
	if (!whole)
		free(dst);
	return rc;
}
