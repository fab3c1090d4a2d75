/* qcow2_repair.c - after a crash with lazy refcounts: new refcounts.
 *
 * All references are counted from the tables that name clusters, a whole new
 * refcount structure is written behind the end of the image, and one write of
 * the header switches to it and clears the dirty bit. Until that write the
 * image is what it was, so a power cut in between costs nothing.
 */
#include "engine/image/qcow2/qcow2_image.h"

#include <stdlib.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define SLACK (1u << 16)	/* clusters that may be named beyond the end */

struct repair {
	struct qcow2 *q;
	uint32_t *count;		/* references of each cluster */
	uint64_t clusters;		/* counted so far: one past the last */
	uint64_t cap;
};

static int repair_add(struct repair *r, uint64_t first, uint64_t n)
{
	if (first > r->cap || n > r->cap - first)
		return -EIO;
	for (uint64_t c = first; c < first + n; c++)
		if (r->count[c] != UINT32_MAX)
			r->count[c]++;
	if (n)
		r->clusters = max_u64(r->clusters, first + n);
	return 0;
}

static int add_bytes(void *arg, uint64_t off, uint64_t len)
{
	struct repair *r = arg;
	uint64_t first = off >> r->q->cluster_bits;

	if (!len)
		return 0;
	return repair_add(r, first,
			  div_round_up(off + len, r->q->cluster) - first);
}

static int repair_add_entry(struct repair *r, uint64_t e)
{
	struct qcow2 *q = r->q;
	struct qcow2_extent x = qcow2_compressed_extent(q, e);

	if (e & QCOW2_COMPRESSED)
		return repair_add(r, x.first, x.count);
	if (!(e & QCOW2_OFFSET_MASK) || q->external)
		return 0;
	if (!is_aligned(e & QCOW2_OFFSET_MASK, q->cluster))
		return -EIO;
	return repair_add(r, (e & QCOW2_OFFSET_MASK) >> q->cluster_bits, 1);
}

static int read_table(struct qcow2 *q, uint64_t table, uint8_t *buf)
{
	if (!is_aligned(table, q->cluster))
		return -EIO;
	return file_read(q->file, table, buf, q->cluster);
}

static int add_l1(struct repair *r, const struct qcow2_table *l1)
{
	struct qcow2 *q = r->q;
	uint8_t *buf = buf_new(q->cluster);
	int rc = buf ? add_bytes(r, l1->host, (uint64_t)l1->count * 8) :
		       -ENOMEM;

	for (uint32_t i = 0; i < l1->count && !rc; i++) {
		uint64_t table = l1->entry[i] & QCOW2_OFFSET_MASK;

		if (!table)
			continue;
		rc = read_table(q, table, buf);
		if (!rc)
			rc = repair_add(r, table >> q->cluster_bits, 1);
		for (uint64_t k = 0; k < q->cluster && !rc;
		     k += q->entry_bytes)
			rc = repair_add_entry(r, get_be64(buf + k));
	}
	free(buf);
	return rc;
}

static int repair_add_snapshots(struct repair *r, struct err *err)
{
	struct qcow2 *q = r->q;
	struct qcow2_snapshot *snap = NULL;
	struct qcow2_table l1;
	uint64_t bytes = 0;
	int rc;

	if (!q->h.nb_snapshots)
		return 0;
	if (qcow2_snapshots_read(q->file, &q->h, &snap, &bytes, err))
		return -EIO;
	rc = add_bytes(r, q->h.snapshots_offset, bytes);
	for (uint32_t i = 0; i < q->h.nb_snapshots && !rc; i++) {
		rc = qcow2_table_read(q->file, &l1, snap[i].l1_offset,
				      snap[i].l1_size);
		if (!rc) {
			rc = add_l1(r, &l1);
			qcow2_table_release(&l1);
		}
	}
	qcow2_snapshots_free(snap, q->h.nb_snapshots);
	return rc;
}

static int count_all(struct repair *r, struct err *err)
{
	int rc = repair_add(r, 0, 1);

	if (!rc)
		rc = add_l1(r, &r->q->l1);
	if (!rc)
		rc = repair_add_snapshots(r, err);
	if (!rc)
		rc = qcow2_bitmap_clusters(r->q->file, &r->q->h, add_bytes, r);
	return rc;
}

/* --- the flags of the active tables say "refcount is exactly 1" --- */

static uint64_t with_flag(const struct repair *r, uint64_t e)
{
	uint64_t cluster = (e & QCOW2_OFFSET_MASK) >> r->q->cluster_bits;

	if (!cluster || (e & QCOW2_COMPRESSED))
		return e;
	return r->count[cluster] == 1 ? e | QCOW2_COPIED : e & ~QCOW2_COPIED;
}

static int fix_flags(struct repair *r)
{
	struct qcow2 *q = r->q;
	uint8_t *buf = buf_new(q->cluster);
	int rc = buf ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < q->l1.count && !rc; i++) {
		uint64_t table = q->l1.entry[i] & QCOW2_OFFSET_MASK;
		bool changed = false;

		if (!table)
			continue;
		rc = read_table(q, table, buf);
		for (uint64_t k = 0; k < q->cluster && !rc && !q->external;
		     k += q->entry_bytes) {
			uint64_t e = get_be64(buf + k);

			if (with_flag(r, e) == e)
				continue;
			put_be64(buf + k, with_flag(r, e));
			changed = true;
		}
		if (!rc && changed)
			rc = file_write(q->file, table, buf, q->cluster);
		if (q->l1.entry[i] != with_flag(r, q->l1.entry[i]))
			qcow2_table_set(&q->l1, i,
					with_flag(r, q->l1.entry[i]));
	}
	free(buf);
	return rc;
}

static int write_l1(struct qcow2 *q)
{
	uint8_t *raw = mem_try(max_u64(q->l1.count, 1), 8);
	int rc = raw ? 0 : -ENOMEM;

	for (uint32_t i = 0; raw && i < q->l1.count; i++)
		put_be64(raw + (size_t)i * 8, q->l1.entry[i]);
	if (!rc && q->l1.any_dirty)
		rc = file_write(q->file, q->l1.host, raw,
				(size_t)q->l1.count * 8);
	free(raw);
	return rc;
}

/* --- the new structure, behind all that is used --- */

static uint64_t count_limit(const struct qcow2 *q)
{
	unsigned order = q->h.refcount_order;

	return order >= 5 ? UINT32_MAX - 1 : (1ull << (1u << order)) - 1;
}

static int repair_write_block(struct repair *r, uint64_t block, uint64_t at,
			      uint8_t *buf)
{
	struct qcow2 *q = r->q;
	uint64_t n = 1ull << q->block_bits;

	memset(buf, 0, q->cluster);
	for (uint64_t i = 0; i < n && block * n + i < r->clusters; i++) {
		if (r->count[block * n + i] > count_limit(q))
			return -EIO;
		qcow2_count_set(buf, q->h.refcount_order, i,
				r->count[block * n + i]);
	}
	return file_write(q->file, at, buf, q->cluster);
}

static int write_structure(struct repair *r, struct qcow2_header *h)
{
	struct qcow2 *q = r->q;
	uint64_t first = max_u64(r->clusters,
				 div_round_up(atomic_load(&q->file->size),
					      q->cluster));
	uint64_t blocks = 0, table = 0, need;
	uint8_t *buf = buf_new(q->cluster), *rt = NULL;
	int rc;

	for (;;) {	/* they count themselves */
		need = div_round_up(first + blocks + table,
				    1ull << q->block_bits);
		if (need == blocks && table)
			break;
		blocks = need;
		table = div_round_up(blocks * 8, q->cluster);
	}
	h->rt_offset = (first + blocks) << q->cluster_bits;
	h->rt_clusters = (uint32_t)table;
	rc = table << q->cluster_bits > QCOW2_RT_MAX
		     ? -EFBIG
		     : repair_add(r, first, blocks + table);
	rt = mem_try(table, q->cluster);
	if (!rc && (!buf || !rt))
		rc = -ENOMEM;
	for (uint64_t b = 0; b < blocks && !rc; b++) {
		uint64_t at = (first + b) << q->cluster_bits;

		put_be64(rt + b * 8, at);
		rc = repair_write_block(r, b, at, buf);
	}
	if (!rc)
		rc = file_write(q->file, h->rt_offset, rt,
				table << q->cluster_bits);
	free(buf);
	free(rt);
	return rc;
}

static int repair_refcounts(struct repair *r, struct err *err)
{
	struct qcow2 *q = r->q;
	struct qcow2_header h;
	int rc = count_all(r, err);

	if (!rc)
		rc = fix_flags(r);
	if (!rc)
		rc = write_l1(q);
	h = q->h;
	if (!rc)
		rc = write_structure(r, &h);
	h.incompatible &= ~QCOW2_INCOMPAT_DIRTY;
	if (!rc)
		rc = qcow2_header_write_fields(q->file, &h);
	if (!rc)
		q->h = h;
	return rc;
}

int qcow2_repair(struct qcow2 *q, struct err *err)
{
	struct repair r = { .q = q };
	struct err why = ERR_INIT;
	int rc;

	r.cap = div_round_up(atomic_load(&q->file->size), q->cluster);
	r.cap += r.cap / 8 + SLACK;
	r.count = mem_try(r.cap, sizeof(*r.count));
	rc = r.count ? repair_refcounts(&r, &why) : -ENOMEM;
	free(r.count);
	/* the flags were changed on disk, not in the cache */
	q->l1.any_dirty = false;
	memset(q->l1.dirty, 0, q->l1.count / 64 + 1);
	if (!rc)
		return 0;
	return err_sys(err, rc, "'%s' was not closed cleanly and its "
		       "refcounts could not be rebuilt%s%s", q->file->path,
		       why.class ? ": " : "", why.text);
}
