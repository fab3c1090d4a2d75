/* raw.c - the format that is none: the guest's disk is the file.
 *
 * A file may have any length; the sector in which it ends is filled up with
 * zeroes. Nothing is below a raw image, so a hole in the file is a run of
 * zeroes and never RUN_HOLE; nor is there a RUN_COMPRESSED.
 *
 * A disk whose format was guessed must not be made to look like another one:
 * the next guess would let whoever wrote it read any file of the host (hazard
 * H1). So whatever is to be written to the beginning of such a disk, by whom
 * and in however many pieces, goes to a place in memory first; write_end()
 * looks at what the disk would begin with, and copies it or refuses.
 */
#include <errno.h>
#include <string.h>

#include "engine/image/driver.h"
#include "engine/image/guess.h"
#include "engine/image/image_info.h"
#include "engine/image/node.h"
#include "engine/util/bytes.h"

#define SECTOR 512
#define HEAD_BYTES 4096u	/* of a guessed disk; what is cloned is aligned
				   to no more */

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

/* Where the beginning of a guessed disk is written to, else NULL. */
static struct file *head_of(const struct node *node)
{
	return node->opaque;
}

static void raw_close(struct node *node)
{
	file_close(head_of(node));
	node->opaque = NULL;
}

static int raw_make_writable(struct node *node, struct err *err)
{
	struct file *head;

	if (!node->probed || node->opaque)
		return 0;
	if (file_open_memory(&head, HEAD_BYTES, err))
		return -1;
	node->opaque = head;
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
	if (node->opaque && off < HEAD_BYTES) {
		op->file = head_of(node);
		op->len = min_u64(len, HEAD_BYTES - off);
	}
	return 0;
}

/* What came to the place in memory goes to the disk, unless that would look
 * like something else then: -EPERM. One at a time, or two halves would pass. */
static int put_head(struct node *node, const struct write_op *op)
{
	uint8_t head[GUESS_BYTES], new[HEAD_BYTES];
	int rc = file_read(head_of(node), op->host, new, op->len);

	lock_take(&node->meta);
	if (!rc)
		rc = file_read(node->file, 0, head, sizeof(head));
	if (!rc && op->host < sizeof(head))
		memcpy(head + op->host, new,
		       min_u64(op->len, sizeof(head) - op->host));
	if (!rc && strcmp(guess_format(head, sizeof(head)), "raw"))
		rc = -EPERM;
	if (!rc)
		rc = file_write(node->file, op->host, new, op->len);
	lock_drop(&node->meta);
	return rc;
}

static int raw_write_end(struct node *node, struct write_op *op, int rc)
{
	return rc || op->file == node->file ? rc : put_head(node, op);
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
