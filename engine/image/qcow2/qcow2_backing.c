/* qcow2_backing.c - another backing file in the header; see qcow2.h.
 *
 * The header, its extensions and the name of the backing file share cluster 0.
 * All that changes is put into the first sector, which a power cut leaves old
 * or new; only a name that does not fit there is written before, to a place
 * that neither header uses yet. QEMU's own layout (392 bytes of feature names
 * in front of the name) spans two sectors, so a place is looked for in this
 * order: all extensions moved up, the format first; only the format replaced
 * where it is; the feature names, which nobody needs, dropped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/image/qcow2/qcow2.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

/* What a header is to say. */
struct words {
	const char *name, *format;	/* NULL: none */
	uint32_t name_len, format_len;
};

struct layout {
	bool move;		/* all extensions written anew */
	bool drop_names;	/* but not the feature names */
	uint32_t end;		/* behind the last extension */
	uint32_t name_at;	/* 0: no name */
};

static uint32_t ext_bytes(uint32_t len)
{
	return 8 + (uint32_t)align_up(len, 8);
}

static bool backing_is_kept(const struct layout *l, const struct qcow2_ext *e)
{
	return !l->drop_names || e->type != QCOW2_EXT_FEATURES;
}

/* The extensions behind each other, the end marker in the first sector. */
static bool fits_moved(const struct qcow2_header *h, const struct words *w,
		       struct layout *l)
{
	uint64_t end = h->header_length;

	if (w->format)
		end += ext_bytes(w->format_len);
	for (uint32_t i = 0; i < h->ext_count; i++)
		if (backing_is_kept(l, &h->ext[i]))
			end += ext_bytes(h->ext[i].len);
	l->end = (uint32_t)end;
	return end + 8 <= QCOW2_SECTOR;
}

/* The extensions as they lie, the format exchanged for one of the same size.
 * Without a name the format means nothing and may stay. Where an end marker
 * is missing but would fit into the first sector, moving fits, too. */
static bool fits_in_place(const struct qcow2_header *h, const struct words *w,
			  struct layout *l)
{
	uint32_t slot = ext_bytes(h->format_len);

	l->end = h->ext_end;
	if (!h->ext_marked)
		return false;
	if (!w->name)
		return true;
	if (!w->format || !h->format_at)
		return !w->format && !h->format_at;
	if (h->backing_format && !strcmp(h->backing_format, w->format))
		return true;
	return slot == ext_bytes(w->format_len) &&
	       h->format_at + slot <= QCOW2_SECTOR;
}

/* A place for the name: behind the end marker in the first sector, else in
 * the rest of cluster 0, where it spares what the header on disk uses: its
 * extensions, then its name. */
static bool place_name(const struct qcow2_header *h, const struct words *w,
		       struct layout *l)
{
	uint64_t old = h->backing_offset;
	uint64_t old_end = old + (old ? strlen(h->backing_name) : 0);
	uint64_t at = l->end + 8ull;

	l->name_at = 0;
	if (!w->name)
		return true;
	if (at + w->name_len > QCOW2_SECTOR) {
		at = max_u64(max_u64(at, h->ext_end + 8ull), QCOW2_SECTOR);
		if (at < old_end && old < at + w->name_len)
			at = align_up(old_end, 8);
	}
	l->name_at = (uint32_t)at;
	return at + w->name_len <= 1ull << h->cluster_bits;
}

static int find_layout(const struct qcow2_header *h, const struct words *w,
		       struct layout *l)
{
	static const struct layout tries[] = {
		{ .move = true },
		{ .move = false },
		{ .move = true, .drop_names = true },
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
		*l = tries[i];
		if ((l->move ? fits_moved : fits_in_place)(h, w, l) &&
		    place_name(h, w, l))
			return 0;
	}
	return -ENOSPC;
}

static int backing_check_words(const struct qcow2_header *h, const char *name,
			       const char *format, struct words *w)
{
	size_t name_len = name ? strlen(name) : 0;
	size_t format_len = name && format ? strlen(format) : 0;

	if (name && (!name_len || (h->autoclear & QCOW2_AUTOCLEAR_RAW_DATA)))
		return -EINVAL;
	if (name_len > QCOW2_NAME_MAX || format_len > QCOW2_FORMAT_MAX)
		return -ENAMETOOLONG;
	*w = (struct words){
		.name = name,
		.format = format_len ? format : NULL,
		.name_len = (uint32_t)name_len,
		.format_len = (uint32_t)format_len,
	};
	return 0;
}

int qcow2_header_check_backing(const struct qcow2_header *h, const char *name,
			       const char *format)
{
	struct words w;
	struct layout l;
	int rc = backing_check_words(h, name, format, &w);

	return rc ? rc : find_layout(h, &w, &l);
}

/* Writes an extension into the sector; returns where the next one goes. */
static uint32_t put_ext(uint8_t *sector, uint32_t at, uint32_t type,
			uint32_t len, const void *data)
{
	put_be32(sector + at, type);
	put_be32(sector + at + 4, len);
	memset(sector + at + 8, 0, align_up(len, 8));
	memcpy(sector + at + 8, data, len);
	return at + ext_bytes(len);
}

static void put_moved(uint8_t *sector, const struct qcow2_header *h,
		      const struct words *w, const struct layout *l)
{
	uint32_t at = h->header_length;

	memset(sector + at, 0, QCOW2_SECTOR - at);
	if (w->format)
		at = put_ext(sector, at, QCOW2_EXT_BACKING_FORMAT,
			     w->format_len, w->format);
	for (uint32_t i = 0; i < h->ext_count; i++) {
		const struct qcow2_ext *e = &h->ext[i];

		if (backing_is_kept(l, e))
			at = put_ext(sector, at, e->type, e->len, e->data);
	}
}

static void put_in_place(uint8_t *sector, const struct qcow2_header *h,
			 const struct words *w)
{
	uint32_t slot = ext_bytes(h->format_len);

	/* A format beyond the first sector is the same as before. */
	if (w->format && h->format_at + slot <= QCOW2_SECTOR)
		put_ext(sector, h->format_at, QCOW2_EXT_BACKING_FORMAT,
			w->format_len, w->format);
}

static void put_backing(uint8_t *sector, const struct qcow2_header *h,
			const struct words *w, const struct layout *l)
{
	if (l->move)
		put_moved(sector, h, w, l);
	else
		put_in_place(sector, h, w);
	put_be64(sector + QCOW2_AT_BACKING, l->name_at);
	put_be32(sector + QCOW2_AT_BACKING_LEN, w->name_len);
	if (l->name_at && l->name_at < QCOW2_SECTOR)
		memcpy(sector + l->name_at, w->name, w->name_len);
}

static void drop_feature_names(struct qcow2_header *h)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < h->ext_count; i++)
		if (h->ext[i].type != QCOW2_EXT_FEATURES)
			h->ext[kept++] = h->ext[i];
	h->ext_count = kept;
}

/* Makes *h say what is on disk now. */
static void update_header(struct qcow2_header *h, const struct words *w,
			  const struct layout *l)
{
	/* The words may be the header's own. */
	char *name = mem_dup(w->name), *format = mem_dup(w->format);

	free(h->backing_name);
	free(h->backing_format);
	h->backing_name = name;
	h->backing_format = format;
	h->backing_offset = l->name_at;
	if (l->move)
		h->format_at = w->format ? h->header_length : 0;
	if (l->move || w->format)
		h->format_len = w->format_len;
	h->ext_end = l->end;
	h->ext_marked = true;
	if (l->drop_names)
		drop_feature_names(h);
}

int qcow2_header_switch(struct file *file, struct qcow2_header *h,
			uint8_t sector[QCOW2_SECTOR], const char *name,
			const char *format)
{
	struct words w;
	struct layout l = { 0 };
	int rc = backing_check_words(h, name, format, &w);

	if (!rc)
		rc = find_layout(h, &w, &l);
	if (!rc && l.name_at >= QCOW2_SECTOR)
		rc = file_write(file, l.name_at, name, w.name_len);
	if (!rc)
		rc = file_flush(file);
	if (rc)
		return rc;
	put_backing(sector, h, &w, &l);
	rc = file_write(file, 0, sector, QCOW2_SECTOR);
	if (!rc)
		rc = file_flush(file);
	if (!rc)
		update_header(h, &w, &l);
	return rc;
}

int qcow2_header_set_backing(struct file *file, struct qcow2_header *h,
			     const char *name, const char *format)
{
	uint8_t sector[QCOW2_SECTOR];
	int rc = file_read(file, 0, sector, sizeof(sector));

	return rc ? rc : qcow2_header_switch(file, h, sector, name, format);
}
