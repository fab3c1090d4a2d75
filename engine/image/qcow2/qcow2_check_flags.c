/* qcow2_check_flags.c - entries of tables set right in their place. See
 * qcow2_check.h. Only a table that nothing else uses is written to.
 */
#include "engine/image/qcow2/qcow2_check.h"

#include <inttypes.h>

#include "engine/util/bytes.h"

/* Sets *right to the entry @e with the flag that the refcount on disk asks
 * for. False if that can't be known. */
static bool right_flag(struct check *c, uint64_t e, uint64_t *right,
		       uint64_t *count, bool data)
{
	uint64_t cluster = (e & QCOW2_OFFSET_MASK) >> c->cluster_bits;

	*count = 1;
	if (!(data && c->external) && check_stored_count(c, cluster, count))
		return false;
	*right = *count == 1 ? e | QCOW2_COPIED : e & ~QCOW2_COPIED;
	return true;
}

/* The same for an L2 entry; false also if it has no such flag. */
static bool right_entry(struct check *c, uint64_t e, uint64_t *right,
			uint64_t *count)
{
	enum check_kind kind = check_kind(c, e);

	return (kind == CHECK_NORMAL || kind == CHECK_ZERO_PLACE) &&
	       right_flag(c, e, right, count, true);
}

static int look_l2(struct check *c, uint64_t table)
{
	uint64_t right, count;

	if (table >= atomic_load(&c->file->size))
		return 0;
	if (check_read(c, table, c->l2_buf, c->cluster))
		return -1;
	for (uint64_t k = 0; k < c->cluster; k += c->entry_bytes) {
		uint64_t e = get_be64(c->l2_buf + k);

		if (right_entry(c, e, &right, &count) && right != e)
			check_corrupt(c, "ERROR OFLAG_COPIED data cluster: "
				      "l2_entry=%" PRIx64 " refcount=%" PRIu64,
				      e, count);
	}
	return 0;
}

/* Where the refcount of a table is not known its entries are not looked at. */
static int look_l1(struct check *c, uint32_t i, uint64_t e, bool active)
{
	uint64_t right, count;

	(void)active;
	if (!(e & QCOW2_OFFSET_MASK) || !right_flag(c, e, &right, &count,
						    false))
		return 0;
	if (right != e)
		check_corrupt(c, "ERROR OFLAG_COPIED L2 cluster: l1_index=%u "
			      "l1_entry=%" PRIx64 " refcount=%" PRIu64, i, e,
			      count);
	return look_l2(c, e & QCOW2_OFFSET_MASK);
}

int check_flags(struct check *c)
{
	return check_each_l1(c, c->h.l1_offset, c->h.l1_size, look_l1, true);
}

/* --- setting them right --- */

static bool is_l2_alone(struct check *c, uint64_t table)
{
	uint64_t cluster = table >> c->cluster_bits;

	return is_aligned(table, c->cluster) && check_in_window(c, cluster) &&
	       (check_counted(c, cluster) & ~CHECK_COUNT) == CHECK_L2;
}

static int flags_write_table(struct check *c, uint64_t at, const void *buf,
			     uint64_t len)
{
	int rc = file_write(c->file, at, buf, len);

	return rc ? check_fail(c, rc, "Could not write a table of '%s'",
			       c->file->path) : 0;
}

static int fix_l2(struct check *c, uint64_t table)
{
	uint64_t right, count, changed = 0;

	if (table >= atomic_load(&c->file->size) || !is_l2_alone(c, table))
		return 0;
	if (check_read(c, table, c->l2_buf, c->cluster))
		return -1;
	for (uint64_t k = 0; k < c->cluster; k += c->entry_bytes) {
		uint64_t e = get_be64(c->l2_buf + k);

		if (!right_entry(c, e, &right, &count) || right == e)
			continue;
		put_be64(c->l2_buf + k, right);
		changed++;
	}
	c->others_fixed += changed;
	return changed ? flags_write_table(c, table, c->l2_buf, c->cluster) : 0;
}

/* One entry of L1, if its cluster is nothing else: one that ends outside does
 * not count itself, so what counts there may be another. */
static int fix_l1_flag(struct check *c, uint32_t i, uint64_t e)
{
	uint64_t at = c->h.l1_offset + i * 8ull, right, count;
	uint8_t raw[8];

	if (check_counted(c, at >> c->cluster_bits) != (CHECK_META | 1u) ||
	    !right_flag(c, e, &right, &count, false) || right == e)
		return 0;
	put_be64(raw, right);
	c->others_fixed++;
	return flags_write_table(c, at, raw, sizeof(raw));
}

static int fix_l1(struct check *c, uint32_t i, uint64_t e, bool active)
{
	(void)active;
	if (!(e & QCOW2_OFFSET_MASK))
		return 0;
	return fix_l1_flag(c, i, e) || fix_l2(c, e & QCOW2_OFFSET_MASK) ?
		-1 : 0;
}

int check_flags_fix(struct check *c)
{
	return check_each_l1(c, c->h.l1_offset, c->h.l1_size, fix_l1, true);
}

/* --- zeroes at no place --- */

static void make_zero(const struct check *c, uint8_t *entry)
{
	uint64_t bitmap;

	if (!c->extended) {
		put_be64(entry, QCOW2_ZERO);
		return;
	}
	bitmap = get_be64(entry + 8);
	put_be64(entry, 0);
	put_be64(entry + 8, (bitmap | bitmap << 32) & CHECK_ALL_ZERO);
}

static int fix_zeroes(struct check *c, uint32_t i, uint64_t e, bool active)
{
	uint64_t table = e & QCOW2_OFFSET_MASK, changed = 0;

	(void)i, (void)active;
	if (table >= atomic_load(&c->file->size) || !is_l2_alone(c, table))
		return 0;
	if (check_read(c, table, c->l2_buf, c->cluster))
		return -1;
	for (uint64_t k = 0; k < c->cluster; k += c->entry_bytes) {
		if (!check_is_odd_zero(c, c->l2_buf + k))
			continue;
		make_zero(c, c->l2_buf + k);
		changed++;
	}
	c->others_fixed += changed;
	return changed ? flags_write_table(c, table, c->l2_buf, c->cluster) : 0;
}

int check_zeroes_fix(struct check *c)
{
	int rc = check_each_l1(c, c->h.l1_offset, c->h.l1_size, fix_zeroes,
			       true);

	for (uint32_t i = 0; i < c->h.nb_snapshots && !rc; i++)
		if (is_aligned(c->snap[i].l1_offset, c->cluster) &&
		    c->snap[i].l1_size <= QCOW2_L1_MAX / 8)
			rc = check_each_l1(c, c->snap[i].l1_offset,
					   c->snap[i].l1_size, fix_zeroes,
					   false);
	return rc;
}
