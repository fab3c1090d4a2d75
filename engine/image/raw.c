/* raw.c - the format that is none: the guest's disk is the file.
 *
 * A file may have any length; the sector in which it ends is filled up with
 * zeroes. Nothing is below a raw image, so a hole in the file is a run of
 * zeroes and never RUN_HOLE; nor is there a RUN_COMPRESSED.
 *
 * A disk whose format was guessed must not be made to look like another one:
 * the next guess would let whoever wrote it read any file of the host (hazard
 * H1), or nobody open it. So whatever is to be written to the beginning or the
 * end of such a disk, by whom and in however many pieces, goes to a place in
 * memory first; write_end() looks at what the disk would begin and end with,
 * and copies it or refuses.
 */
#include <errno.h>
#include <string.h>

#include "engine/image/driver.h"
#include "engine/image/guess.h"
#include "engine/image/image_info.h"
#include "engine/image/node.h"
#include "engine/util/bytes.h"

#define SECTOR 512
#define EDGE_BYTES 4096u	/* of a guessed disk; what is cloned is aligned
				   to no more */
#define EDGE_MAX (2 * EDGE_BYTES)	/* its end, cut where that is aligned */

static int raw_open(struct node *node, const struct node_options *o,
		    struct err *err)
{
	if (o->data_file && !o->data_file_offered)
		return err_set(err, ERR_GENERIC, "'%s' is raw and has no "
			       "external data file, but one is named ('%s')",
			       node->file->path, o->data_file);
	if (node->file->size > INT64_MAX - SECTOR)
		return err_sys(err, EFBIG, "Could not open '%s'",
			       node->file->path);
	node->size = align_up(node->file->size, SECTOR);
	node->cluster = SECTOR;
	node->piece = SECTOR;
	return 0;
}

/* Where both ends of a guessed disk are written to, else NULL: the beginning,
 * and from EDGE_BYTES on the end. */
static struct file *edges_of(const struct node *node)
{
	return node->opaque;
}

/* From here on the end of the disk is looked at. The file may be shorter than
 * the disk by a part of a sector. */
static uint64_t edge_of_end(const struct node *node)
{
	uint64_t seen = GUESS_BYTES + SECTOR;

	return max_u64(align_down(max_u64(node->size, seen) - seen,
				  EDGE_BYTES), EDGE_BYTES);
}

static void raw_close(struct node *node)
{
	file_close(edges_of(node));
	node->opaque = NULL;
}

static int raw_make_writable(struct node *node, struct err *err)
{
	struct file *edges;

	if (!node->probed || node->opaque)
		return 0;
	if (file_open_memory(&edges, EDGE_BYTES + EDGE_MAX, err))
		return -1;
	node->opaque = edges;
	return 0;
}

static int raw_map(struct node *node, uint64_t off, uint64_t len,
		   struct run *run)
{
	uint64_t n = len;
	bool data;
	int rc = file_extent(node->file, off, &n, &data);

	if (rc)
		return rc;
	/* The end of the file is a hole that begins inside a sector. */
	n = min_u64(align_up(off + n, SECTOR) - off, len);
	*run = (struct run) {
		.kind = data ? RUN_DATA : RUN_ZERO,
		.off = off,
		.len = n,
		.file = data ? node->file : NULL,
		.host = data ? off : 0,
	};
	return 0;
}

/* A hole has its place as well. */
static int raw_places(struct node *node, uint64_t off, uint64_t len,
		      struct run *run)
{
	int rc = raw_map(node, off, len, run);

	if (!rc) {
		run->file = node->file;
		run->host = off;
	}
	return rc;
}

/* Sends a write that meets an end of the disk to its place in memory, and ends
 * another one where the edge begins. */
static void raw_edge_begin(const struct node *node, struct write_op *op)
{
	uint64_t end = edge_of_end(node);

	if (op->off < EDGE_BYTES) {
		op->len = min_u64(op->len, EDGE_BYTES - op->off);
	} else if (op->off < end) {
		op->len = min_u64(op->len, end - op->off);
		return;
	} else if (op->off >= node->size) {
		return;
	} else {
		op->host = EDGE_BYTES + (op->off - end);
	}
	op->file = edges_of(node);
}

static int raw_write_begin(struct node *node, uint64_t off, uint64_t len,
			   unsigned flags, struct write_op *op)
{
	(void)flags;
	*op = (struct write_op) {
		.off = off,
		.len = len,
		.file = node->file,
		.host = off,
		.in_place = true,
	};
	if (node->opaque)
		raw_edge_begin(node, op);
	return 0;
}

/* GUESS_BYTES of the file from @at on, as they will be once @new is written
 * as @op says. */
static int edge_read(const struct node *node, const struct write_op *op,
		     const uint8_t *new, uint64_t at, uint8_t *buf)
{
	uint64_t from = max_u64(at, op->off);
	uint64_t to = min_u64(at + GUESS_BYTES, op->off + op->len);
	int rc = file_read(node->file, at, buf, GUESS_BYTES);

	if (!rc && from < to)
		memcpy(buf + (from - at), new + (from - op->off), to - from);
	return rc;
}

/* -EPERM if the disk would look like something else then. */
static int edge_check(const struct node *node, const struct write_op *op,
		      const uint8_t *new)
{
	uint64_t size = max_u64(atomic_load(&node->file->size),
				op->off + op->len);
	uint8_t buf[GUESS_BYTES];
	int rc = edge_read(node, op, new, 0, buf);

	if (!rc && strcmp(guess_format(buf, sizeof(buf)), "raw"))
		rc = -EPERM;
	if (rc || size < sizeof(buf))
		return rc;
	rc = edge_read(node, op, new, size - sizeof(buf), buf);
	if (!rc && strcmp(guess_by_end(buf, sizeof(buf)), "raw"))
		rc = -EPERM;
	return rc;
}

/* What came to the place in memory goes to the disk, or is refused. One at a
 * time, or two halves would pass. */
static int put_edge(struct node *node, const struct write_op *op)
{
	uint8_t new[EDGE_MAX];
	int rc = file_read(edges_of(node), op->host, new, op->len);

	lock_take(&node->meta);
	if (!rc)
		rc = edge_check(node, op, new);
	if (!rc)
		rc = file_write(node->file, op->off, new, op->len);
	lock_drop(&node->meta);
	return rc;
}

static int raw_write_end(struct node *node, struct write_op *op, int rc)
{
	return rc || op->file == node->file ? rc : put_edge(node, op);
}

/* What is a hole already, or has become one, is left alone: to zero it would
 * allocate it. */
static int raw_zero(struct node *node, uint64_t off, uint64_t len, bool unmap)
{
	int rc = unmap ? file_discard(node->file, off, len) : 0;

	while (len && !rc) {
		uint64_t n = len;
		bool data;

		rc = file_extent(node->file, off, &n, &data);
		if (!rc && data)
			rc = file_zero(node->file, off, n);
		off += n;
		len -= n;
	}
	return rc;
}

static int raw_flush(struct node *node)
{
	return file_flush(node->file);
}

static int raw_check_grow(struct node *node, uint64_t size, struct err *err)
{
	(void)size;
	if (!node->file->block_device)
		return 0;
	return err_set(err, ERR_GENERIC, "Cannot grow '%s': it is a block "
		       "device", node->file->path);
}

static int raw_grow_begin(struct node *node, uint64_t size, struct err *err)
{
	(void)node;
	(void)size;
	(void)err;
	return 0;
}

static int raw_grow(struct node *node, uint64_t size, struct err *err)
{
	int rc = file_truncate(node->file, size);

	if (!rc)
		rc = file_flush(node->file);
	return rc ? err_sys(err, rc, "Could not grow '%s'",
			    node->file->path) : 0;
}

static int raw_no_backing(struct node *node, const char *name,
			  const char *format, struct err *err)
{
	(void)node;
	(void)name;
	(void)format;
	return err_set(err, ERR_GENERIC,
		       "Backing file not supported for file format 'raw'");
}

static void raw_info(struct node *node, struct image_info *info)
{
	(void)node;
	info->format = "raw";
}

const struct driver driver_raw = {
	.name = "raw",
	.has_backing = false,
	.open = raw_open,
	.close = raw_close,
	.make_writable = raw_make_writable,
	.map = raw_map,
	.places = raw_places,
	.write_begin = raw_write_begin,
	.write_end = raw_write_end,
	.zero = raw_zero,
	.flush = raw_flush,
	.settle = raw_flush,
	.check_grow = raw_check_grow,
	.grow_begin = raw_grow_begin,
	.grow = raw_grow,
	.set_backing = raw_no_backing,
	.check_backing = raw_no_backing,
	.info = raw_info,
};
