/* qcow2.c - the qcow2 driver: open, close, grow, header, info. */
#include "engine/image/qcow2/qcow2_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/image/image_info.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"

static void qcow2_set_geometry(struct qcow2 *q)
{
	const struct qcow2_header *h = &q->h;

	q->cluster_bits = h->cluster_bits;
	q->cluster = 1ull << h->cluster_bits;
	q->extended = h->incompatible & QCOW2_INCOMPAT_EXTENDED_L2;
	q->sub = q->extended ? q->cluster / 32 : q->cluster;
	q->entry_bytes = q->extended ? 16 : 8;
	q->l2_bits = h->cluster_bits - (q->extended ? 4 : 3);
	q->block_bits = h->cluster_bits + 3 - h->refcount_order;
}

/* What is read as raw has all of the disk in it. */
static int check_data_file(const struct qcow2 *q, struct err *err)
{
	uint64_t size = q->data->size;

	if (!(q->h.autoclear & QCOW2_AUTOCLEAR_RAW_DATA) || size >= q->h.size)
		return 0;
	return err_set(err, ERR_GENERIC, "'%s' has a disk of %llu bytes, but "
		       "its data file '%s' ends after %llu", q->file->path,
		       (unsigned long long)q->h.size, q->data->path,
		       (unsigned long long)size);
}

static bool names_itself(const struct qcow2 *q, const char *path)
{
	struct stat st;

	return !stat(path, &st) && st.st_dev == q->file->dev &&
	       st.st_ino == q->file->ino;
}

/* Hazard H2: a data file is opened only if the operator names it. */
static int open_data_file(struct qcow2 *q, const struct node_options *o,
			  struct err *err)
{
	struct file_options fo = {
		.path = o->data_file,
		.writable = false,
		.role = o->no_lock ? LOCKS_NONE : LOCKS_READ,
		.cache = o->cache,
	};

	q->external = q->h.incompatible & QCOW2_INCOMPAT_DATA_FILE;
	q->data = q->file;
	if (!q->external && o->data_file && !o->data_file_offered)
		return err_set(err, ERR_GENERIC,
			       "'%s' has no external data file, but one is "
			       "named ('%s')", q->file->path, o->data_file);
	if (!q->external)
		return 0;
	q->data = NULL;
	if (!o->data_file)
		return err_set(err, ERR_GENERIC,
			       "'%s' keeps its data in an external file, "
			       "which has to be named: data-file=PATH (its "
			       "header says '%s')", q->file->path,
			       q->h.data_file_name ? q->h.data_file_name :
						     "nothing");
	if (names_itself(q, o->data_file))
		return err_set(err, ERR_GENERIC, "'%s' is named as its own "
			       "data file", q->file->path);
	if (file_open(&q->data, &fo, err))
		return -1;
	return check_data_file(q, err);
}

static void qcow2_close(struct node *node)
{
	struct qcow2 *q = qcow2_of(node);

	if (q->external)
		file_close(q->data);
	qcow2_cache_release(&q->cache);
	qcow2_table_release(&q->l1);
	qcow2_table_release(&q->rt);
	qcow2_header_release(&q->h);
	free(q->set.slot);
	free(q->freed.v);
	lock_release(&q->shown);
	lock_release(&q->sync);
	cond_release(&q->synced);
	free(q);
	node->opaque = NULL;
}

static int load_l1(struct qcow2 *q, struct err *err)
{
	int rc = qcow2_table_read(q->file, &q->l1, q->h.l1_offset,
				  q->h.l1_size);

	return rc ? err_sys(err, rc, "Could not read the L1 table of '%s'",
			    q->file->path) : 0;
}

static int qcow2_open(struct node *node, const struct node_options *o,
		      struct err *err)
{
	struct qcow2 *q = mem_alloc(sizeof(*q));

	q->node = node;
	q->file = node->file;
	if (qcow2_header_read(q->file, &q->h, err)) {
		free(q);
		return -1;
	}
	if (qcow2_snapshots_check(q->file, &q->h, err) ||
	    qcow2_bitmaps_check(q->file, &q->h, err)) {
		qcow2_header_release(&q->h);
		free(q);
		return -1;
	}
	qcow2_set_geometry(q);
	lock_init(&q->shown);
	lock_init(&q->sync);
	cond_init(&q->synced);
	qcow2_cache_init(&q->cache, q->cluster);
	atomic_store(&q->untouched, true);
	node->opaque = q;
	if (open_data_file(q, o, err) || load_l1(q, err)) {
		qcow2_close(node);
		return -1;
	}
	atomic_store(&node->size, q->h.size);
	node->cluster = (uint32_t)q->cluster;
	node->piece = (uint32_t)q->sub;
	node->data = q->external ? q->data : NULL;
	node->metadata = (uint64_t)q->h.l1_size * 8;
	if (!o->read_only)
		node->metadata += (uint64_t)q->h.rt_clusters * q->cluster;
	node->backing_name = q->h.backing_name;
	node->backing_format = q->h.backing_format;
	return 0;
}

static void forget_refcounts(struct qcow2 *q)
{
	qcow2_table_release(&q->rt);
	free(q->set.slot);
	q->set = (struct qcow2_set){ 0 };
	q->hint = 0;
}

int qcow2_load_refcounts(struct qcow2 *q, struct err *err)
{
	uint64_t count = ((uint64_t)q->h.rt_clusters << q->cluster_bits) / 8;
	int rc;

	if (q->rt.entry)
		return 0;
	rc = qcow2_table_read(q->file, &q->rt, q->h.rt_offset,
			      (uint32_t)count);
	if (rc)
		return err_sys(err, rc, "Could not read the refcount table "
			       "of '%s'", q->file->path);
	rc = qcow2_set_build(q, err);
	if (rc)
		forget_refcounts(q);
	return rc;
}

/* Repairing changes refcounts and flags on disk, behind the tables that are
 * in memory already. */
static int qcow2_repair_if_dirty(struct qcow2 *q, struct err *err)
{
	if (!(q->h.incompatible & QCOW2_INCOMPAT_DIRTY))
		return 0;
	forget_refcounts(q);
	qcow2_cache_release(&q->cache);
	qcow2_cache_init(&q->cache, q->cluster);
	return qcow2_repair(q, err);
}

static int qcow2_check_writable(struct node *node, struct err *err)
{
	struct qcow2 *q = qcow2_of(node);

	if (q->h.incompatible & QCOW2_INCOMPAT_CORRUPT)
		return err_set(err, ERR_GENERIC,
			       "'%s' is marked corrupt; it cannot be opened "
			       "read-write before it has been repaired "
			       "(blkmon check -r all)", q->file->path);
	return q->external ? file_check_writable(q->data, err) : 0;
}

static int qcow2_make_writable(struct node *node, struct err *err)
{
	struct qcow2 *q = qcow2_of(node);
	struct err back = ERR_INIT;

	if (q->external && file_set_writable(q->data, true, LOCKS_WRITE, err))
		return -1;
	if (qcow2_repair_if_dirty(q, err) || qcow2_load_refcounts(q, err)) {
		if (q->external)
			file_set_writable(q->data, false, LOCKS_READ, &back);
		return -1;
	}
	q->had = atomic_load(&q->file->size);
	atomic_store(&q->writable, true);
	return 0;
}

/* The first flush unlinks what was let go, the second counts it down. What of
 * the file has been of no use since then, for the host had no room for more, is
 * cut off. */
static int qcow2_settle(struct node *node)
{
	struct qcow2 *q = qcow2_of(node);
	struct err ignored = ERR_INIT;
	int rc = qcow2_flush(node);

	if (!rc && (q->cache.dirty || q->rt.any_dirty))
		rc = qcow2_flush(node);
	if (rc || !atomic_load(&q->writable))
		return rc;
	qcow2_cut(node, q->had);
	if (q->external)
		file_set_writable(q->data, false, LOCKS_READ, &ignored);
	atomic_store(&q->writable, false);
	return 0;
}

/* --- grow --- */

static int refuse_grow(const struct node *node, uint64_t size, int rc,
		       struct err *err)
{
	return rc ? err_sys(err, rc, "Could not grow '%s' to %llu bytes",
			    node->file->path, (unsigned long long)size) : 0;
}

static uint64_t l1_entries_for(const struct qcow2 *q, uint64_t size)
{
	return div_round_up(size, q->cluster << q->l2_bits);
}

static int qcow2_check_grow(struct node *node, uint64_t size, struct err *err)
{
	struct qcow2 *q = qcow2_of(node);

	/* there a snapshot has the size of the disk as its own: nobody could
	 * go back to it */
	if (q->h.version < 3 && q->h.nb_snapshots)
		return err_set(err, ERR_NOT_SUPPORTED, "Can't grow '%s': it "
			       "is of version 2 and has internal snapshots",
			       q->file->path);
	return refuse_grow(node, size, l1_entries_for(q, size) >
			   QCOW2_L1_MAX / 8 ? -EFBIG : 0, err);
}

static int qcow2_grow_begin(struct node *node, uint64_t size, struct err *err)
{
	struct qcow2 *q = qcow2_of(node);
	uint64_t l1 = l1_entries_for(q, size);
	int rc = qcow2_first_change(q);

	if (!rc && (q->h.autoclear & QCOW2_AUTOCLEAR_RAW_DATA ||
		    (q->external && q->data->size < size)))
		rc = file_truncate(q->data, size);
	if (!rc && l1 > q->l1.count)
		rc = qcow2_l1_grow(q, (uint32_t)l1);
	return refuse_grow(node, size, rc, err);
}

/* The new part is made before the header shows it. */
static int qcow2_grow(struct node *node, uint64_t size, struct err *err)
{
	struct qcow2 *q = qcow2_of(node);
	struct qcow2_header h;
	int rc = qcow2_flush(node);

	h = q->h;
	h.size = size;
	if (!rc)
		rc = qcow2_header_write_fields(q->file, &h);
	if (!rc)
		q->h.size = size;
	return refuse_grow(node, size, rc, err);
}

/* --- the backing file's name --- */

static int qcow2_check_backing(struct node *node, const char *name,
			       const char *format, struct err *err)
{
	struct qcow2 *q = qcow2_of(node);
	int rc = qcow2_header_check_backing(&q->h, name, format);

	if (!rc)
		return 0;
	return err_sys(err, rc, "The header of '%s' has no room for the "
		       "backing file name '%s'", q->file->path, name);
}

static int qcow2_set_backing(struct node *node, const char *name,
			     const char *format, struct err *err)
{
	struct qcow2 *q = qcow2_of(node);
	int rc = qcow2_first_change(q);

	if (!rc)
		rc = qcow2_flush(node);
	qcow2_sync_lock(q);
	if (!rc)
		rc = qcow2_header_set_backing(q->file, &q->h, name, format);
	qcow2_sync_unlock(q);
	if (rc)
		return err_sys(err, rc, "Could not write the backing file "
			       "name into '%s'", q->file->path);
	node->backing_name = q->h.backing_name;
	node->backing_format = q->h.backing_format;
	return 0;
}

/* --- info --- */

#define NAMES_MAX 4u		/* of snapshots in one sentence */

static int qcow2_snapshots(struct node *node, struct str *names,
			   struct err *err)
{
	struct qcow2 *q = qcow2_of(node);
	struct qcow2_snapshot *s;
	uint32_t n = q->h.nb_snapshots;
	uint64_t bytes;

	if (!names || !n)
		return (int)n;
	if (qcow2_snapshots_read(q->file, &q->h, &s, &bytes, err))
		return -1;
	for (uint32_t i = 0; i < n && i < NAMES_MAX; i++) {
		str_add(names, i ? ", '" : "'");
		str_add_safe(names, s[i].name);
		str_add_char(names, '\'');
	}
	if (n > NAMES_MAX)
		str_addf(names, " and %u more", n - NAMES_MAX);
	qcow2_snapshots_free(s, n);
	return (int)n;
}

static void info_snapshots(struct qcow2 *q, struct image_info *info)
{
	struct qcow2_snapshot *s = NULL;
	struct err err = ERR_INIT;
	uint64_t bytes;

	if (!q->h.nb_snapshots ||
	    qcow2_snapshots_read(q->file, &q->h, &s, &bytes, &err))
		return;
	info->snapshots = mem_alloc(q->h.nb_snapshots *
				    sizeof(*info->snapshots));
	info->snapshot_count = q->h.nb_snapshots;
	for (uint32_t i = 0; i < q->h.nb_snapshots; i++)
		info->snapshots[i] = (struct snapshot_info){
			.id = mem_dup(s[i].id),
			.name = mem_dup(s[i].name),
			.vm_state_bytes = s[i].vm_state_bytes,
			.wall_us = s[i].date_sec * 1000000ull +
				   s[i].date_nsec / 1000,
			.vm_clock_ns = s[i].vm_clock_ns,
			.icount = s[i].icount,
		};
	qcow2_snapshots_free(s, q->h.nb_snapshots);
}

static void qcow2_info(struct node *node, struct image_info *info)
{
	struct qcow2 *q = qcow2_of(node);
	const struct qcow2_header *h = &q->h;

	info->format = "qcow2";
	info->cluster_size = (uint32_t)q->cluster;
	info->qcow2.compat = h->version >= 3 ? "1.1" : "0.10";
	info->qcow2.compression = h->compression ? "zstd" : "zlib";
	info->qcow2.lazy_refcounts = h->compatible & QCOW2_COMPAT_LAZY;
	info->qcow2.extended_l2 = q->extended;
	info->qcow2.refcount_bits = 1u << h->refcount_order;
	if (q->external)
		info->qcow2.data_file = mem_dup(q->data->path);
	info->qcow2.data_file_raw = h->autoclear & QCOW2_AUTOCLEAR_RAW_DATA;
	lock_take(&q->shown);
	info->dirty = h->incompatible & QCOW2_INCOMPAT_DIRTY;
	info->corrupt = (h->incompatible & QCOW2_INCOMPAT_CORRUPT) ||
			atomic_load(&q->corrupt);
	info_snapshots(q, info);
	lock_drop(&q->shown);
	(void)qcow2_bitmap_names(q->file, h, &info->qcow2.bitmaps,
				 &info->qcow2.bitmap_count);
}

const struct driver driver_qcow2 = {
	.name = "qcow2",
	.has_backing = true,
	.open = qcow2_open,
	.close = qcow2_close,
	.check_writable = qcow2_check_writable,
	.make_writable = qcow2_make_writable,
	.map = qcow2_map,
	.places = qcow2_places,
	.hollow = qcow2_hollow,
	.read_compressed = qcow2_read_compressed,
	.write_begin = qcow2_write_begin,
	.write_end = qcow2_write_end,
	.zero = qcow2_zero,
	.zeroes_fast = qcow2_zeroes_fast,
	.flush = qcow2_flush,
	.settle = qcow2_settle,
	.grow_begin = qcow2_grow_begin,
	.check_grow = qcow2_check_grow,
	.grow = qcow2_grow,
	.set_backing = qcow2_set_backing,
	.check_backing = qcow2_check_backing,
	.empty = qcow2_empty,
	.given = qcow2_given,
	.cut = qcow2_cut,
	.snapshot_create = qcow2_snapshot_create,
	.snapshot_delete = qcow2_snapshot_delete,
	.growth = qcow2_growth,
	.snapshots = qcow2_snapshots,
	.check = qcow2_check,
	.info = qcow2_info,
};
