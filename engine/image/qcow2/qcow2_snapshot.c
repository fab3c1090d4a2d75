/* qcow2_snapshot.c - the table of internal snapshots; see qcow2.h. */
#include <errno.h>
#include <stdlib.h>

#include "engine/image/qcow2/qcow2.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define TABLE_QEMU (64ull << 20)
#define TABLE_MAX (16ull << 20)	/* all of it is kept in memory */
#define ENTRY_HEAD 40u		/* bytes in front of the extra data */
#define EXTRA_MAX 1024u
#define EXTRA_V3 16u		/* at least, in version 3 */
#define STRING_MAX 65535u

/* What the entries are read into, one after the other. */
struct entry {
	uint8_t head[ENTRY_HEAD];
	uint8_t tail[EXTRA_MAX + 2 * STRING_MAX]; /* extra data, id, name */
};

struct reader {
	struct file *file;
	const struct qcow2_header *h;
	struct err *err;
	struct entry *entry;
	uint32_t index;		/* of the snapshot */
	uint64_t at;		/* where its entry lies */
};

/* About the entry that is being read. */
#define refuse(r, fmt, ...) \
	(qcow2_refuse((r)->file, (r)->err, "has snapshot %u at offset %llu " \
		      fmt, (r)->index, (unsigned long long)(r)->at, \
		      ##__VA_ARGS__), -EINVAL)

static int snapshots_host_error(const struct reader *r, int rc)
{
	qcow2_refuse(r->file, r->err, "could not be read at offset %llu",
		     (unsigned long long)r->at);
	err_sys(r->err, rc, "%s", r->err->text);
	return rc;
}

static int check_l1(const struct reader *r, const struct qcow2_snapshot *s)
{
	uint64_t bytes = s->l1_size * 8ull;

	if (bytes > QCOW2_L1_MAX)
		return refuse(r, "with an L1 table of %llu bytes, which is "
			      "too large", (unsigned long long)bytes);
	if (bytes && (!s->l1_offset || s->l1_offset > INT64_MAX - bytes ||
		      !is_aligned(s->l1_offset, 1ull << r->h->cluster_bits)))
		return refuse(r, "with its L1 table at offset %llu, which is "
			      "not valid", (unsigned long long)s->l1_offset);
	return 0;
}

/* The variable part. What extra data does not say follows from the rest. */
static int read_tail(struct reader *r, struct qcow2_snapshot *s, uint32_t extra)
{
	uint32_t id = get_be16(r->entry->head + 12);
	uint32_t name = get_be16(r->entry->head + 14);
	const uint8_t *tail = r->entry->tail;
	int rc;

	if (extra > EXTRA_MAX || (r->h->version >= 3 && extra < EXTRA_V3))
		return refuse(r, "with %u bytes of extra data, which is not "
			      "valid", extra);
	rc = file_read(r->file, r->at + ENTRY_HEAD, r->entry->tail,
		       extra + id + name);
	if (rc)
		return snapshots_host_error(r, rc);
	s->vm_state_bytes = extra >= 8 ? get_be64(tail) :
			    get_be32(r->entry->head + 32);
	s->disk_size = extra >= 16 ? get_be64(tail + 8) : r->h->size;
	s->icount = extra >= 24 ? get_be64(tail + 16) : UINT64_MAX;
	s->id = mem_try_dup((const char *)tail + extra, id);
	s->name = mem_try_dup((const char *)tail + extra + id, name);
	if (!s->id || !s->name)
		return snapshots_host_error(r, -ENOMEM);
	s->entry_bytes = align_up((uint64_t)ENTRY_HEAD + extra + id + name, 8);
	return 0;
}

/* Reads the entry at r->at and goes behind it. */
static int snapshots_read_entry(struct reader *r, struct qcow2_snapshot *s)
{
	const uint8_t *head = r->entry->head;
	int rc = file_read(r->file, r->at, r->entry->head, ENTRY_HEAD);

	if (rc)
		return snapshots_host_error(r, rc);
	s->l1_offset = get_be64(head);
	s->l1_size = get_be32(head + 8);
	s->date_sec = get_be32(head + 16);
	s->date_nsec = get_be32(head + 20);
	s->vm_clock_ns = get_be64(head + 24);
	rc = check_l1(r, s);
	if (!rc)
		rc = read_tail(r, s, get_be32(head + 36));
	if (rc)
		return rc;
	/* The padding of the last entry need not be in the file. */
	if (r->at + s->entry_bytes > align_up(r->file->size, 8))
		return refuse(r, "which ends beyond the file");
	r->at += s->entry_bytes;
	if (r->at - r->h->snapshots_offset > TABLE_MAX)
		return refuse(r, "in a table that is too large");
	return 0;
}

int qcow2_snapshots_read(struct file *file, const struct qcow2_header *h,
			 struct qcow2_snapshot **out, uint64_t *bytes,
			 struct err *err)
{
	struct reader r = { .file = file, .h = h, .err = err,
			    .at = h->snapshots_offset };
	struct qcow2_snapshot *s;
	int rc = 0;

	*out = NULL;
	*bytes = 0;
	if (!h->nb_snapshots)
		return 0;
	s = mem_try(h->nb_snapshots, sizeof(*s));
	r.entry = mem_try(1, sizeof(*r.entry));
	if (!s || !r.entry)
		rc = snapshots_host_error(&r, -ENOMEM);
	for (; !rc && r.index < h->nb_snapshots; r.index++)
		rc = snapshots_read_entry(&r, &s[r.index]);
	free(r.entry);
	if (rc) {
		qcow2_snapshots_free(s, h->nb_snapshots);
		return rc;
	}
	*out = s;
	*bytes = r.at - h->snapshots_offset;
	return 0;
}

/* Behind the end of the file QEMU reads zeroes there. */
int qcow2_snapshots_check(struct file *file, const struct qcow2_header *h,
			  struct err *err)
{
	struct reader r = { .file = file, .h = h, .err = err,
			    .at = h->snapshots_offset };
	uint8_t head[ENTRY_HEAD];
	uint32_t extra;

	for (; r.index < h->nb_snapshots; r.index++) {
		if (r.at + ENTRY_HEAD > file->size)
			return 0;
		if (file_read(file, r.at, head, sizeof(head)))
			return snapshots_host_error(&r, -EIO);
		extra = get_be32(head + 36);
		if (extra > EXTRA_MAX)
			return refuse(&r, "with %u bytes of extra data, which "
					  "is not valid", extra);
		r.at += align_up((uint64_t)ENTRY_HEAD + extra +
				 get_be16(head + 12) + get_be16(head + 14), 8);
		if (r.at - h->snapshots_offset > TABLE_QEMU)
			return refuse(&r, "in a table that is too large");
	}
	return 0;
}

void qcow2_snapshots_free(struct qcow2_snapshot *s, uint32_t count)
{
	for (uint32_t i = 0; s && i < count; i++) {
		free(s[i].id);
		free(s[i].name);
	}
	free(s);
}
