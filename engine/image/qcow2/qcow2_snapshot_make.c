/* qcow2_snapshot_make.c - takes and deletes internal snapshots (spec
 * "Snapshots", "L1 table entry").
 *
 * A snapshot is a copy of the active L1 table; whatever that reaches has one
 * reference more from then on, so no entry may say "refcount is exactly 1".
 * One write of the header makes a snapshot visible or takes it away. While
 * refcounts and flags do not agree the image says that it is dirty (version
 * 3), so that whoever opens it after a power cut counts anew; version 2 has
 * no such bit, and at worst clusters are leaked there. What one flush writes
 * arrives in the order of qcow2_flush.c: counts before flags.
 *
 *   take:   L1 copy, table -> dirty -> counts up, flags -> flush
 *           -> header (snapshot, clean)
 *   delete: table -> flush -> header (no snapshot, dirty) -> counts down, flags
 *           -> flush -> clean
 *
 * Nobody else is at work on the image, but some may look.
 */
#include "engine/image/qcow2/qcow2_image.h"

#include <stdlib.h>
#include <string.h>

#include "engine/image/driver.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define ENTRY_HEAD 40u
#define ENTRY_EXTRA 24u			/* state size, disk size, icount */
#define SNAPSHOTS_MAX 65536u
#define TABLE_MAX (16ull << 20)

static int add_one(struct qcow2 *q, uint64_t cluster, void *arg)
{
	(void)arg;
	return qcow2_refcount_up(q, cluster);
}

static int drop_one(struct qcow2 *q, uint64_t cluster, void *arg)
{
	(void)arg;
	return qcow2_unalloc(q, (struct qcow2_extent){ cluster, 1 });
}

/* --- the flags --- */

static int flag_for(struct qcow2 *q, uint64_t e, uint64_t *out)
{
	uint64_t cluster = (e & QCOW2_OFFSET_MASK) >> q->cluster_bits, count;
	int rc;

	*out = e;
	if (!cluster || (e & QCOW2_COMPRESSED))
		return 0;
	rc = qcow2_refcount_get(q, cluster, &count);
	*out = count == 1 ? e | QCOW2_COPIED : e & ~QCOW2_COPIED;
	return rc;
}

static int flag_table(struct qcow2 *q, uint64_t table)
{
	uint64_t entries = 1ull << q->l2_bits, e;
	struct qcow2_entry entry;
	int rc = 0;

	for (uint64_t i = 0; i < entries && !rc; i++) {
		rc = qcow2_entry_get(q, table, i, &entry);
		if (!rc)
			rc = flag_for(q, entry.e, &e);
		if (rc || e == entry.e)
			continue;
		entry.e = e;
		rc = qcow2_entry_set(q, table, i, entry);
	}
	return rc;
}

/* Makes the flags of the active tables agree with the refcounts. */
static int snap_set_flags(struct qcow2 *q)
{
	uint64_t e;
	int rc = 0;

	for (uint32_t i = 0; i < q->l1.count && !rc; i++) {
		uint64_t table = q->l1.entry[i] & QCOW2_OFFSET_MASK;

		if (!table)
			continue;
		rc = qcow2_make_room(q);
		lock_take(&q->node->meta);
		if (!rc)
			rc = flag_table(q, table);
		if (!rc)
			rc = flag_for(q, q->l1.entry[i], &e);
		if (!rc && e != q->l1.entry[i])
			qcow2_table_set(&q->l1, i, e);
		lock_drop(&q->node->meta);
	}
	return rc;
}

/* --- places --- */

static struct qcow2_extent snap_extent_of(const struct qcow2 *q, uint64_t at,
					  uint64_t bytes)
{
	return (struct qcow2_extent){
		.first = at >> q->cluster_bits,
		.count = div_round_up(bytes, q->cluster),
	};
}

static void snap_let_go(struct qcow2 *q, uint64_t at, uint64_t bytes)
{
	if (!at)
		return;
	lock_take(&q->node->meta);
	qcow2_unalloc(q, snap_extent_of(q, at, bytes));
	lock_drop(&q->node->meta);
}

static int take_place(struct qcow2 *q, uint64_t bytes, uint64_t *at)
{
	struct qcow2_extent e;
	int rc;

	do {
		lock_take(&q->node->meta);
		rc = qcow2_alloc_row(q, div_round_up(bytes, q->cluster), &e);
		for (uint64_t i = 0; !rc && i < e.count; i++)
			qcow2_set_add(&q->set, e.first + i);
		lock_drop(&q->node->meta);
	} while (rc == QCOW2_TABLE_FULL && !(rc = qcow2_table_grow(q)));
	*at = rc ? 0 : e.first << q->cluster_bits;
	return rc;
}

/* Whole clusters, so that the file reaches to the end of the place. */
static int put_place(struct qcow2 *q, const void *data, uint64_t bytes,
		     uint64_t *at)
{
	uint64_t whole = align_up(bytes, q->cluster);
	uint8_t *buf = buf_new(whole);
	int rc = buf ? take_place(q, bytes, at) : -ENOMEM;

	if (!rc) {
		memset(buf, 0, whole);
		memcpy(buf, data, bytes);
		rc = file_write(q->file, *at, buf, whole);
		if (rc)
			snap_let_go(q, *at, bytes);
	}
	free(buf);
	return rc;
}

/* --- the table of snapshots --- */

struct change {
	struct qcow2 *q;
	struct qcow2_snapshot *old;
	uint32_t count;
	uint64_t old_bytes;
	uint8_t *table;			/* the new one, `bytes` long */
	uint64_t bytes;
	uint64_t table_at, l1_at;	/* new places, 0 none */
};

static int change_begin(struct change *c, struct qcow2 *q, uint64_t more,
			struct err *err)
{
	int rc;

	*c = (struct change){ .q = q, .count = q->h.nb_snapshots };
	if (qcow2_snapshots_read(q->file, &q->h, &c->old, &c->old_bytes, err))
		return -1;
	c->bytes = c->old_bytes;
	c->table = mem_try(c->old_bytes + more + 8, 1);
	rc = c->table ? 0 : -ENOMEM;
	if (!rc && c->old_bytes)
		rc = file_read(q->file, q->h.snapshots_offset, c->table,
			       c->old_bytes);
	return rc ? err_sys(err, rc, "Could not read the snapshots of '%s'",
			    q->file->path) : 0;
}

static void change_end(struct change *c)
{
	qcow2_snapshots_free(c->old, c->count);
	free(c->table);
}

/* QEMU counts ids up from the highest. */
static unsigned long next_id(const struct change *c)
{
	unsigned long highest = 0, id;

	for (uint32_t i = 0; i < c->count; i++) {
		id = strtoul(c->old[i].id, NULL, 10);
		highest = id > highest ? id : highest;
	}
	return highest + 1;
}

static void snap_add_entry(struct change *c, const struct snapshot_wish *wish)
{
	uint8_t *p = c->table + c->bytes;
	char *id = mem_printf("%lu", next_id(c));
	size_t id_len = strlen(id), name_len = strlen(wish->name);
	uint64_t bytes = ENTRY_HEAD + ENTRY_EXTRA + id_len + name_len;

	put_be64(p, c->l1_at);
	put_be32(p + 8, c->q->l1.count);
	put_be16(p + 12, (uint16_t)id_len);
	put_be16(p + 14, (uint16_t)name_len);
	put_be32(p + 16, (uint32_t)(wish->wall_us / 1000000));
	put_be32(p + 20, (uint32_t)(wish->wall_us % 1000000 * 1000));
	put_be64(p + 24, wish->vm_clock_ns);
	put_be32(p + 36, ENTRY_EXTRA);
	put_be64(p + ENTRY_HEAD + 8, c->q->h.size);
	put_be64(p + ENTRY_HEAD + 16, UINT64_MAX);
	memcpy(p + ENTRY_HEAD + ENTRY_EXTRA, id, id_len);
	memcpy(p + ENTRY_HEAD + ENTRY_EXTRA + id_len, wish->name, name_len);
	c->bytes += align_up(bytes, 8);
	free(id);
}

static void remove_entry(struct change *c, uint32_t index)
{
	uint64_t at = 0, bytes = c->old[index].entry_bytes;

	for (uint32_t i = 0; i < index; i++)
		at += c->old[i].entry_bytes;
	memmove(c->table + at, c->table + at + bytes, c->bytes - at - bytes);
	c->bytes -= bytes;
}

static int snap_write_header(struct qcow2 *q, const struct qcow2_header *h)
{
	int rc;

	lock_take(&q->shown);
	rc = qcow2_header_write_fields(q->file, h);
	if (!rc) {
		q->h.nb_snapshots = h->nb_snapshots;
		q->h.snapshots_offset = h->snapshots_offset;
		q->h.incompatible = h->incompatible;
	}
	lock_drop(&q->shown);
	return rc;
}

static void set_dirty(struct qcow2_header *h, bool dirty)
{
	if (h->version < 3)
		return;
	h->incompatible &= ~QCOW2_INCOMPAT_DIRTY;
	if (dirty)
		h->incompatible |= QCOW2_INCOMPAT_DIRTY;
}

static int write_dirty(struct qcow2 *q, bool dirty)
{
	struct qcow2_header h = q->h;

	set_dirty(&h, dirty);
	return h.incompatible == q->h.incompatible ? 0
						   : snap_write_header(q, &h);
}

/* --- take --- */

static int put_l1(struct change *c)
{
	struct qcow2 *q = c->q;
	uint64_t bytes = max_u64((uint64_t)q->l1.count * 8, 8);
	uint8_t *raw = mem_try(bytes, 1);
	int rc = raw ? 0 : -ENOMEM;

	for (uint32_t i = 0; raw && i < q->l1.count; i++)
		put_be64(raw + (size_t)i * 8,
			 q->l1.entry[i] & ~QCOW2_COPIED);
	if (!rc)
		rc = put_place(q, raw, bytes, &c->l1_at);
	free(raw);
	return rc;
}

static int put_tables(struct change *c, const struct snapshot_wish *wish)
{
	struct qcow2 *q = c->q;
	int rc = put_l1(c);

	if (rc)
		return rc;
	snap_add_entry(c, wish);
	rc = put_place(q, c->table, c->bytes, &c->table_at);
	if (rc)
		snap_let_go(q, c->l1_at, (uint64_t)q->l1.count * 8);
	return rc;
}

static int share_all(struct qcow2 *q)
{
	int rc = write_dirty(q, true);

	if (!rc)
		rc = qcow2_walk(q, &q->l1, add_one, NULL);
	if (!rc)
		rc = snap_set_flags(q);
	return rc ? rc : qcow2_flush(q->node);
}

static int show_snapshot(struct change *c)
{
	struct qcow2 *q = c->q;
	struct qcow2_header h = q->h;
	uint64_t old_at = h.snapshots_offset;
	int rc;

	h.nb_snapshots++;
	h.snapshots_offset = c->table_at;
	set_dirty(&h, false);
	rc = snap_write_header(q, &h);
	if (!rc)
		snap_let_go(q, old_at, c->old_bytes);
	return rc;
}

/* What fails behind share_all()'s begin leaves counts that are too high, and
 * the dirty bit, so that the next open mends them. */
static int snap_take(struct change *c, const struct snapshot_wish *wish)
{
	struct qcow2 *q = c->q;
	int rc = qcow2_check_room(q);

	if (!rc)
		rc = qcow2_first_change(q);
	if (!rc)
		rc = put_tables(c, wish);
	if (!rc)
		rc = share_all(q);
	return rc ? rc : show_snapshot(c);
}

static int check_can(struct qcow2 *q, const struct snapshot_wish *wish,
		     struct err *err)
{
	if (q->external)
		return err_set(err, ERR_NOT_SUPPORTED, "Image '%s' keeps its "
			       "data in an external file: internal snapshots "
			       "are not supported", q->file->path);
	if (wish && (q->h.nb_snapshots >= SNAPSHOTS_MAX ||
		     strlen(wish->name) > UINT16_MAX))
		return err_set(err, ERR_GENERIC, "Image '%s' has no room for "
			       "a snapshot of that name", q->file->path);
	return 0;
}

static void say_crowded(const struct qcow2 *q,
			const struct snapshot_wish *wish, struct err *err)
{
	unsigned bits = 1u << q->h.refcount_order;

	err_set(err, ERR_GENERIC, "Failed to create snapshot '%s' on '%s': its "
		"reference counts (refcount_bits=%u) are too narrow to count "
		"%s", wish->name, q->file->path, bits,
		bits == 1 ? "snapshots" : "one snapshot more");
}

int qcow2_snapshot_create(struct node *node, const struct snapshot_wish *wish,
			  struct err *err)
{
	struct qcow2 *q = qcow2_of(node);
	struct change c;
	int rc;

	if (check_can(q, wish, err))
		return -1;
	if (wish->dry) {
		if (qcow2_check_room(q) == -EOVERFLOW)
			say_crowded(q, wish, err);
		return err->class ? -1 : 0;
	}
	rc = change_begin(&c, q, ENTRY_HEAD + ENTRY_EXTRA + 32 +
			  strlen(wish->name), err);
	if (!rc && c.bytes + ENTRY_HEAD + ENTRY_EXTRA + 32 +
	    strlen(wish->name) > TABLE_MAX)
		rc = err_set(err, ERR_GENERIC, "The table of snapshots of "
			     "'%s' is full", q->file->path);
	if (!rc) {
		rc = snap_take(&c, wish);
		if (rc == -EOVERFLOW)
			say_crowded(q, wish, err);
		else if (rc)
			err_sys(err, rc, "Failed to create snapshot '%s' on "
				"'%s'", wish->name, q->file->path);
	}
	change_end(&c);
	return rc ? -1 : 0;
}

/* --- delete --- */

static int unshare_all(struct qcow2 *q, const struct qcow2_table *l1)
{
	int rc;

	lock_take(&q->node->meta);
	for (uint32_t i = 0; i < l1->count; i++)
		qcow2_set_add(&q->set, (l1->entry[i] & QCOW2_OFFSET_MASK) >>
				       q->cluster_bits);
	lock_drop(&q->node->meta);
	rc = qcow2_walk(q, l1, drop_one, NULL);
	if (!rc)
		rc = snap_set_flags(q);
	if (!rc)
		rc = qcow2_flush(q->node);
	return rc ? rc : write_dirty(q, false);
}

static int hide_snapshot(struct change *c)
{
	struct qcow2 *q = c->q;
	struct qcow2_header h = q->h;
	uint64_t old_at = h.snapshots_offset;
	int rc;

	h.nb_snapshots--;
	h.snapshots_offset = c->table_at;
	set_dirty(&h, true);
	rc = snap_write_header(q, &h);
	if (!rc)
		snap_let_go(q, old_at, c->old_bytes);
	return rc;
}

static int snap_delete(struct change *c, const struct qcow2_snapshot *s)
{
	struct qcow2 *q = c->q;
	struct qcow2_table l1 = { 0 };
	int rc = qcow2_first_change(q);

	if (!rc)
		rc = qcow2_table_read(q->file, &l1, s->l1_offset, s->l1_size);
	if (!rc && c->bytes)
		rc = put_place(q, c->table, c->bytes, &c->table_at);
	if (!rc)
		rc = qcow2_flush(q->node);
	if (!rc)
		rc = hide_snapshot(c);
	if (!rc) {
		rc = unshare_all(q, &l1);
		snap_let_go(q, s->l1_offset, (uint64_t)s->l1_size * 8);
	}
	qcow2_table_release(&l1);
	return rc;
}

int qcow2_snapshot_delete(struct node *node, const char *id, struct err *err)
{
	struct qcow2 *q = qcow2_of(node);
	struct change c;
	uint32_t i = 0;
	int rc;

	if (check_can(q, NULL, err))
		return -1;
	rc = change_begin(&c, q, 0, err);
	while (!rc && i < c.count && strcmp(c.old[i].id, id))
		i++;
	if (!rc && i == c.count)
		rc = err_set(err, ERR_GENERIC, "'%s' has no snapshot with id "
			     "'%s'", q->file->path, id);
	if (!rc) {
		remove_entry(&c, i);
		rc = snap_delete(&c, &c.old[i]);
		if (rc)
			err_sys(err, rc, "Failed to delete snapshot with id "
				"'%s' on '%s'", id, q->file->path);
	}
	change_end(&c);
	return rc ? -1 : 0;
}
