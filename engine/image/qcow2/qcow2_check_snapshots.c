/* qcow2_check_snapshots.c - a table of internal snapshots that may be
 * damaged. See qcow2_check.h.
 */
#include "engine/image/qcow2/qcow2_check.h"

#include <inttypes.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define TABLE_MAX (64ull << 20)
#define HEAD 40u		/* bytes of an entry in front of extra data */
#define EXTRA_MIN 16u		/* in version 3 */
#define EXTRA_WRITTEN 24u	/* at least */
#define EXTRA_MAX 1024u

static int snaps_read_entry(struct check *c, struct check_snapshot *s,
			    uint64_t at)
{
	uint8_t head[HEAD];

	if (check_read(c, at, head, sizeof(head)))
		return -1;
	s->at = at;
	s->l1_offset = get_be64(head);
	s->l1_size = get_be32(head + 8);
	s->id = get_be16(head + 12);
	s->name = get_be16(head + 14);
	s->extra = get_be32(head + 36);
	return 0;
}

/* What QEMU cannot read, unless it is asked to mend all. */
static int check_extra(struct check *c, struct check_snapshot *s, uint32_t i)
{
	if (s->extra > EXTRA_MAX && c->o->fix != CHECK_FIX_ALL)
		return check_fail(c, -EFBIG, "'%s' has too much extra metadata "
				  "in snapshot table entry %u (-r all takes it "
				  "away)", c->file->path, i);
	if (s->extra > EXTRA_MAX) {
		check_say(c, "Discarding too much extra metadata in snapshot "
			  "table entry %u (%u > %u)", i, s->extra, EXTRA_MAX);
		c->long_snapshots++;
	} else if (c->h.version >= 3 && s->extra < EXTRA_MIN) {
		check_say(c, "ERROR snapshot table entry %u is incomplete", i);
		c->short_snapshots++;
	}
	return 0;
}

/* What an entry takes once it is complete, and no longer than it may be. */
static uint64_t mended_bytes(const struct check_snapshot *s)
{
	uint32_t extra = (uint32_t)min_u64(EXTRA_MAX, max_u64(s->extra,
							      EXTRA_WRITTEN));

	return (uint64_t)HEAD + extra + s->id + s->name;
}

/* Where all is mended it counts what the table is going to be. */
static int read_entries(struct check *c)
{
	uint64_t start = c->h.snapshots_offset, at = start, mended = 0;
	bool all = c->o->fix == CHECK_FIX_ALL;

	for (uint32_t i = 0; i < c->h.nb_snapshots; i++) {
		struct check_snapshot *s = &c->snap[i];

		at = align_up(at, 8);
		if (snaps_read_entry(c, s, at) || check_extra(c, s, i))
			return -1;
		at += (uint64_t)HEAD + s->extra + s->id + s->name;
		mended = align_up(mended, 8) + mended_bytes(s);
		if ((all ? mended : at - start) > TABLE_MAX ||
		    at - start > INT32_MAX)
			return check_fail(c, -EFBIG, "The snapshot table of "
					  "'%s' is too large", c->file->path);
	}
	c->snap_bytes = at - start;
	return 0;
}

int check_snapshots_read(struct check *c)
{
	uint32_t n = c->h.nb_snapshots;

	c->snap_bytes = c->short_snapshots = c->long_snapshots = 0;
	if (n > CHECK_SNAPSHOTS_MAX)
		return check_fail(c, -EFBIG, "'%s' has %u snapshots, which "
				  "are too many", c->file->path, n);
	if (!is_aligned(c->h.snapshots_offset, c->cluster) ||
	    c->h.snapshots_offset > INT64_MAX - 2 * (uint64_t)INT32_MAX)
		return check_fail(c, -EINVAL, "'%s' has its snapshot table at "
				  "offset %" PRIu64 ", which is not valid",
				  c->file->path, c->h.snapshots_offset);
	if (!n)
		return 0;
	if (!c->snap)
		c->snap = mem_try(n, sizeof(*c->snap));
	if (!c->snap)
		return check_fail(c, -ENOMEM, "Could not read the snapshot "
				  "table of '%s'", c->file->path);
	return read_entries(c);
}

/* --- complete entries --- */

/* What an entry of version 2 leaves out follows from the rest of it. */
static void complete_extra(const struct check *c, const uint8_t *head,
			   uint8_t *extra, uint32_t had)
{
	if (had < 8)
		put_be64(extra, get_be32(head + 32));
	if (had < 16)
		put_be64(extra + 8, c->h.size);
	if (had < EXTRA_WRITTEN)
		put_be64(extra + 16, UINT64_MAX);
}

static int write_entry(struct check *c, const struct check_snapshot *s,
		       uint8_t *to, uint32_t extra)
{
	uint32_t kept = (uint32_t)min_u64(s->extra, extra);
	int rc = file_read(c->file, s->at, to, HEAD);

	if (!rc)
		rc = file_read(c->file, s->at + HEAD, to + HEAD, kept);
	if (!rc)
		rc = file_read(c->file, s->at + HEAD + s->extra,
			       to + HEAD + extra, s->id + s->name);
	put_be32(to + 36, extra);
	complete_extra(c, to, to + HEAD, kept);
	return rc;
}

int check_snapshots_write(struct check *c, uint8_t *to, uint64_t *size)
{
	int rc = 0;

	*size = 0;
	for (uint32_t i = 0; i < c->h.nb_snapshots && !rc; i++) {
		const struct check_snapshot *s = &c->snap[i];
		uint64_t bytes = mended_bytes(s);

		*size = align_up(*size, 8);
		if (to)
			rc = write_entry(c, s, to + *size,
					 (uint32_t)(bytes - HEAD - s->id -
						    s->name));
		*size += bytes;
	}
	return rc;
}
