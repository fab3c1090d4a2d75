/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/offline/cat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define PIECE (2u << 20)
/* How far one question about holes looks. */
#define STATUS_MAX (1ull << 40)

struct cat {
	struct engine *engine;
	const char *device;
	const struct interrupt *interrupt;
	unsigned char *buf, *zeroes;	/* PIECE each */
	bool sparse;			/* holes may be sought over */
};

/* Only a file that is written at its end can be given holes. */
static bool can_seek(void)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);
	struct stat st;
	off_t at = lseek(STDOUT_FILENO, 0, SEEK_CUR);

	return flags >= 0 && !(flags & O_APPEND) && at >= 0 &&
		!fstat(STDOUT_FILENO, &st) && S_ISREG(st.st_mode) &&
		st.st_size <= at;
}

static int cat_write_all(const unsigned char *p, uint64_t len, struct err *err)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "Cannot write the output");
		p += n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int put_zeroes(struct cat *c, uint64_t len, struct err *err)
{
	uint64_t n;

	if (c->sparse)
		return lseek(STDOUT_FILENO, (off_t)len, SEEK_CUR) >= 0 ? 0 :
			err_sys(err, errno, "Cannot write the output");
	for (; len; len -= n) {
		n = min_u64(len, PIECE);
		if (cat_write_all(c->zeroes, n, err))
			return -1;
	}
	return 0;
}

static int put_data(struct cat *c, uint64_t off, uint64_t len,
		    struct err *err)
{
	uint64_t n;

	for (; len; len -= n, off += n) {
		n = min_u64(len, PIECE);
		if (c->interrupt->signal)
			return err_set(err, ERR_GENERIC, "Interrupted");
		if (engine_read(c->engine, c->device, off, n, c->buf, err) ||
		    cat_write_all(c->buf, n, err))
			return -1;
	}
	return 0;
}

static int put_range(struct cat *c, uint64_t off, uint64_t end,
		     struct err *err)
{
	uint64_t len;
	bool zero;

	for (; off < end; off += len) {
		len = min_u64(end - off, STATUS_MAX);
		if (engine_block_status(c->engine, c->device, off, &len,
					&zero, err))
			return -1;
		if (zero ? put_zeroes(c, len, err) :
			   put_data(c, off, len, err))
			return -1;
	}
	return 0;
}

/* A hole at the end is there only once the file has its size. */
static int end_output(struct cat *c, struct err *err)
{
	if (c->sparse && ftruncate(STDOUT_FILENO,
				   lseek(STDOUT_FILENO, 0, SEEK_CUR)))
		return err_sys(err, errno, "Cannot write the output");
	return 0;
}

/* The only drive's. 0 or -ENOMEM. */
static int cat_size(struct engine *engine, uint64_t *size)
{
	struct node_info *nodes;
	size_t n;
	int rc = engine_query_nodes(engine, &nodes, &n);

	*size = 0;
	for (size_t i = 0; i < n; i++)
		if (nodes[i].active)
			*size = nodes[i].image.virtual_size;
	node_info_free(nodes, n);
	return rc;
}

int cat_image(struct engine *engine, const char *device, uint64_t offset,
	      uint64_t length, const struct interrupt *interrupt,
	      struct err *err)
{
	struct cat c = {
		.engine = engine, .device = device, .interrupt = interrupt,
		.buf = buf_new(PIECE), .zeroes = buf_new(PIECE),
		.sparse = can_seek(),
	};
	uint64_t size, end;
	int rc = -1;

	if (cat_size(engine, &size) || !c.buf || !c.zeroes) {
		err_sys(err, ENOMEM, "Cannot read");
		goto out;
	}
	memset(c.zeroes, 0, PIECE);
	end = length < size && offset < size - length ? offset + length :
		size;
	rc = put_range(&c, offset, end, err);
	if (!rc)
		rc = end_output(&c, err);
out:
	free(c.buf);
	free(c.zeroes);
	return rc;
}
