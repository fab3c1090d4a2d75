/* missing.c - an image that is not there: it stands in a chain where the header
 * above names one, so that what it would answer for is not taken for zeroes.
 *
 * Nothing of it can be read, and nothing in its chain is written (graph.h).
 */
#include <errno.h>

#include "engine/image/driver.h"
#include "engine/image/image_info.h"
#include "engine/image/node.h"

#define SECTOR 512

/* As large as the image above, whose every hole leads here. */
static int missing_open(struct node *node, const struct node_options *o,
			struct err *err)
{
	(void)o;
	(void)err;
	node->size = node->file->size;
	node->cluster = SECTOR;
	node->piece = SECTOR;
	return 0;
}

static void missing_close(struct node *node)
{
	(void)node;
}

static int missing_is_read_only(struct node *node, struct err *err)
{
	return err_set(err, ERR_GENERIC, "'%s' is missing", node->file->path);
}

/* All of it would have to be asked of the image: as what is compressed is. */
static int missing_map(struct node *node, uint64_t off, uint64_t len,
		       struct run *run)
{
	(void)node;
	*run = (struct run){ .kind = RUN_COMPRESSED, .off = off, .len = len };
	return 0;
}

static int missing_read(struct node *node, const struct run *run, uint64_t off,
			void *buf, size_t len)
{
	(void)node;
	(void)run;
	(void)off;
	(void)buf;
	(void)len;
	return -EIO;
}

static int missing_write_begin(struct node *node, uint64_t off, uint64_t len,
			       unsigned flags, struct write_op *op)
{
	(void)node;
	(void)off;
	(void)len;
	(void)flags;
	(void)op;
	return -EROFS;
}

static int missing_write_end(struct node *node, struct write_op *op, int rc)
{
	(void)node;
	(void)op;
	return rc ? rc : -EROFS;
}

static int missing_zero(struct node *node, uint64_t off, uint64_t len,
			bool unmap)
{
	(void)node;
	(void)off;
	(void)len;
	(void)unmap;
	return -EROFS;
}

static int missing_flush(struct node *node)
{
	(void)node;
	return 0;
}

static int missing_grow(struct node *node, uint64_t size, struct err *err)
{
	(void)size;
	return missing_is_read_only(node, err);
}

static int missing_backing(struct node *node, const char *name,
			   const char *format, struct err *err)
{
	(void)name;
	(void)format;
	return missing_is_read_only(node, err);
}

static void missing_info(struct node *node, struct image_info *info)
{
	(void)node;
	info->format = "missing";
	info->actual_size = 0;
}

const struct driver driver_missing = {
	.name = "missing",
	.has_backing = false,
	.open = missing_open,
	.close = missing_close,
	.make_writable = missing_is_read_only,
	.map = missing_map,
	.places = missing_map,
	.read_compressed = missing_read,
	.write_begin = missing_write_begin,
	.write_end = missing_write_end,
	.zero = missing_zero,
	.flush = missing_flush,
	.settle = missing_flush,
	.grow_begin = missing_grow,
	.grow = missing_grow,
	.set_backing = missing_backing,
	.check_backing = missing_backing,
	.info = missing_info,
};
