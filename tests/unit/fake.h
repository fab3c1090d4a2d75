/* fake.h - an image format for tests: a shrunken world of 512-byte clusters
 * and a table in memory, so that layers are made in a line and every count of
 * calls can be seen. Linked instead of engine/chain/format.c.
 *
 * Format "fake" is this one. In a file name the header is the first line:
 * a fake image's file begins with "FAKE\n", its backing file's name, "\n", its
 * format, "\n" (both may be empty), and its data begin at FAKE_DATA.
 */
#ifndef BLKMON_TESTS_FAKE_H
#define BLKMON_TESTS_FAKE_H

#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/chain/chain.h"
#include "engine/chain/drive.h"
#include "engine/engine.h"
#include "engine/chain/format.h"
#include "engine/chain/graph.h"
#include "engine/chain/index.h"
#include "engine/image/node.h"
#include "engine/chain/node_io.h"
#include "engine/chain/node_open.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define FAKE_CLUSTER 512u
#define FAKE_CLUSTERS 64u
#define FAKE_DATA 4096u
#define FAKE_SIZE (FAKE_CLUSTER * FAKE_CLUSTERS)

struct fake {
	enum run_kind kind[FAKE_CLUSTERS];
	uint64_t host[FAKE_CLUSTERS];
	uint64_t next;
	_Atomic unsigned maps, flushes;
	bool no_zero;		/* zero() is -EOPNOTSUPP */
	int fail;		/* map() returns it */
};

static inline struct fake *fake_of(const struct node *node)
{
	return node->opaque;
}

static void fake_parse(struct node *node, char *head)
{
	char *name = strchr(head, '\n') + 1;
	char *format = strchr(name, '\n');

	*format++ = 0;
	*strchr(format, '\n') = 0;
	node->backing_name = *name ? mem_dup(name) : NULL;
	node->backing_format = *format ? mem_dup(format) : NULL;
}

static int fake_open(struct node *node, const struct node_options *o,
		     struct err *err)
{
	char head[FAKE_DATA] = "";

	(void)o;
	if (file_read(node->file, 0, head, sizeof(head) - 1) ||
	    strncmp(head, "FAKE\n", 5))
		return err_set(err, ERR_GENERIC, "'%s' is no fake",
			       node->file->path);
	fake_parse(node, head);
	node->opaque = mem_alloc(sizeof(struct fake));
	fake_of(node)->next = FAKE_DATA;
	node->size = FAKE_SIZE;
	node->cluster = FAKE_CLUSTER;
	return 0;
}

static void fake_close(struct node *node)
{
	free((char *)node->backing_name);
	free((char *)node->backing_format);
	free(node->opaque);
}

static int fake_make_writable(struct node *node, struct err *err)
{
	(void)node;
	(void)err;
	return 0;
}

static bool fake_goes_on(const struct fake *f, uint64_t from, uint64_t i)
{
	return f->kind[i] == f->kind[from] &&
	       (f->kind[i] != RUN_DATA ||
		f->host[i] == f->host[from] + (i - from) * FAKE_CLUSTER);
}

static int fake_map(struct node *node, uint64_t off, uint64_t len,
		    struct run *run)
{
	struct fake *f = fake_of(node);
	uint64_t first = off / FAKE_CLUSTER, i = first;

	assert_true(len && off + len <= node->size);
	f->maps++;
	if (f->fail)
		return f->fail;
	lock_take(&node->meta);
	while (i * FAKE_CLUSTER < off + len && fake_goes_on(f, first, i))
		i++;
	*run = (struct run){
		.kind = f->kind[first], .off = off,
		.len = min_u64(i * FAKE_CLUSTER, off + len) - off,
		.file = node->file,
		.host = f->host[first] + off % FAKE_CLUSTER,
	};
	lock_drop(&node->meta);
	return 0;
}

static int fake_begin_in_place(struct node *node, struct write_op *op,
			       uint64_t off, uint64_t len)
{
	struct run run;
	int rc = fake_map(node, off, len, &run);

	*op = (struct write_op){
		.off = off, .len = run.len, .file = node->file,
		.host = run.host, .in_place = true,
	};
	return rc ? rc : run.kind == RUN_DATA ? 0 : -EAGAIN;
}

static int fake_write_begin(struct node *node, uint64_t off, uint64_t len,
			    unsigned flags, struct write_op *op)
{
	int rc = fake_begin_in_place(node, op, off, len);
	struct fake *f = fake_of(node);

	if (rc != -EAGAIN || (flags & WRITE_IN_PLACE))
		return rc;
	op->in_place = false;
	op->len = min_u64(len, FAKE_CLUSTER - off % FAKE_CLUSTER);
	op->head = off % FAKE_CLUSTER;
	op->tail = FAKE_CLUSTER - op->head - op->len;
	lock_take(&node->meta);
	op->host = f->next + op->head;
	f->next += FAKE_CLUSTER;
	lock_drop(&node->meta);
	return 0;
}

static int fake_write_end(struct node *node, struct write_op *op, int rc)
{
	struct fake *f = fake_of(node);

	if (rc || op->in_place)
		return rc;
	lock_take(&node->meta);
	f->kind[op->off / FAKE_CLUSTER] = RUN_DATA;
	f->host[op->off / FAKE_CLUSTER] = op->host - op->head;
	lock_drop(&node->meta);
	return 0;
}

static int fake_zero(struct node *node, uint64_t off, uint64_t len, bool unmap)
{
	struct fake *f = fake_of(node);

	(void)unmap;
	assert_true(is_aligned(off, FAKE_CLUSTER) &&
		    is_aligned(len, FAKE_CLUSTER) && len);
	if (f->no_zero)
		return -EOPNOTSUPP;
	lock_take(&node->meta);
	for (uint64_t i = 0; i < len / FAKE_CLUSTER; i++)
		f->kind[off / FAKE_CLUSTER + i] = RUN_ZERO;
	lock_drop(&node->meta);
	return 0;
}

static int fake_flush(struct node *node)
{
	fake_of(node)->flushes++;
	return file_flush(node->file);
}

static int fake_grow_begin(struct node *node, uint64_t size, struct err *err)
{
	(void)node;
	if (size > FAKE_SIZE)
		return err_set(err, ERR_GENERIC, "fake: no room");
	return 0;
}

static int fake_grow(struct node *node, uint64_t size, struct err *err)
{
	(void)node;
	(void)size;
	(void)err;
	return 0;
}

static void fake_info(struct node *node, struct image_info *info)
{
	(void)node;
	info->cluster_size = FAKE_CLUSTER;
}

static const struct driver driver_fake = {
	.name = "fake", .has_backing = true, .open = fake_open,
	.close = fake_close, .make_writable = fake_make_writable,
	.map = fake_map, .write_begin = fake_write_begin,
	.write_end = fake_write_end, .zero = fake_zero, .flush = fake_flush,
	.settle = fake_flush,
	.grow_begin = fake_grow_begin, .grow = fake_grow, .info = fake_info,
};

const struct driver *format_find(const char *name)
{
	if (!strcmp(name, "raw"))
		return &driver_raw;
	return strcmp(name, "fake") ? NULL : &driver_fake;
}

const struct driver *format_find_said(const char *name)
{
	return format_find(name);
}

int format_probe(struct file *file, const char **name)
{
	char head[5] = "";

	if (file_read(file, 0, head, sizeof(head)))
		return -EIO;
	*name = memcmp(head, "FAKE\n", 5) ? "raw" : "fake";
	return 0;
}

static inline void fake_create(const char *path, const char *backing,
			       const char *format)
{
	FILE *f = fopen(path, "w");
	int rc;

	assert_non_null(f);
	fprintf(f, "FAKE\n%s\n%s\n", backing, format);
	rc = fclose(f);
	assert_int_equal(rc, 0);
}

/* A chain of images made just now: l0 is the lowest. Only the top is
 * writable, with the reference of a drive to come. */
static inline struct node *fake_chain(struct graph *g, unsigned layers)
{
	struct node *below = NULL;

	for (unsigned i = 0; i < layers; i++) {
		char *path = mem_printf("l%u", i);
		struct node_options o = { .path = path, .format = "fake" };
		struct err err = ERR_INIT;
		struct node *node;

		fake_create(path, "", "");
		assert_int_equal(node_open(&node, &o, &err), 0);
		assert_int_equal(graph_add(g, node, &err), 0);
		graph_link(node, below);
		if (below)
			graph_put(below);
		below = node;
		free(path);
	}
	return below;
}

/* Fills clusters [first, first + n) of one layer with @byte. */
static inline void fake_fill(struct node *node, unsigned first, unsigned n,
			     int byte)
{
	char *buf = mem_alloc(n * FAKE_CLUSTER);

	memset(buf, byte, n * FAKE_CLUSTER);
	assert_int_equal(node_write(node, first * FAKE_CLUSTER,
				    n * FAKE_CLUSTER, buf), 0);
	free(buf);
}

static inline void assert_reads(struct node *node, uint64_t off, uint64_t len,
				int byte)
{
	unsigned char *buf = mem_alloc(len);

	memset(buf, byte + 1, len);
	assert_int_equal(node_read(node, off, len, buf), 0);
	for (uint64_t i = 0; i < len; i++)
		if (buf[i] != byte)
			fail_msg("byte %llu is %d, not %d",
				 (unsigned long long)(off + i), buf[i], byte);
	free(buf);
}

#endif
