/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * x-blkmon-io: guest requests by hand, for scripts and tests.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "src/qmp/command.h"

#define IO_PIECE (1u << 20)
/* What may be asked back as text. */
#define IO_DATA_MAX (1u << 20)

struct io {
	struct engine *engine;
	const char *device;
	uint64_t offset, length;
	int pattern;			/* -1: none */
	bool unmap, fua;
	uint64_t check_from, check_len;	/* of a read with a pattern */
	bool mismatch;
	json_t *data;			/* array of pieces in hex, or NULL */
	unsigned char *buf;		/* IO_PIECE */
};

/* Requests of any size go in pieces of the buffer. */
static int in_pieces(struct io *io, struct err *err,
		     int (*piece)(struct io *io, uint64_t off, uint64_t len,
				  struct err *err))
{
	uint64_t end = io->offset + io->length, len;

	io->buf = buf_new(IO_PIECE);
	if (!io->buf)
		return err_sys(err, ENOMEM, "x-blkmon-io");
	for (uint64_t off = io->offset; off < end; off += len) {
		len = min_u64(end - off, IO_PIECE);
		if (piece(io, off, len, err))
			return -1;
	}
	return 0;
}

static void check_pattern(struct io *io, uint64_t off, uint64_t len)
{
	uint64_t from = max_u64(off, io->check_from);
	uint64_t end = min_u64(off + len, io->check_from + io->check_len);

	for (; from < end && !io->mismatch; from++)
		io->mismatch = io->buf[from - off] != io->pattern;
}

static int keep_data(struct io *io, uint64_t len, struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	char *hex = mem_try(2 * len + 1, 1);

	if (!hex)
		return err_sys(err, ENOMEM, "x-blkmon-io");
	for (uint64_t i = 0; i < len; i++) {
		hex[2 * i] = digits[io->buf[i] >> 4];
		hex[2 * i + 1] = digits[io->buf[i] & 15];
	}
	json_array_append_new(io->data, json_string(hex));
	free(hex);
	return 0;
}

static int read_piece(struct io *io, uint64_t off, uint64_t len,
		      struct err *err)
{
	if (engine_read(io->engine, io->device, off, len, io->buf, err))
		return -1;
	if (io->pattern >= 0)
		check_pattern(io, off, len);
	return io->data ? keep_data(io, len, err) : 0;
}

static int write_piece(struct io *io, uint64_t off, uint64_t len,
		       struct err *err)
{
	if (off == io->offset)
		memset(io->buf, io->pattern, len);
	return engine_write(io->engine, io->device, off, len, io->buf,
			    io->fua, err);
}

static int do_read(struct io *io, struct err *err)
{
	if (io->data && io->length > IO_DATA_MAX)
		return err_set(err, ERR_GENERIC,
			       "Data is returned up to 1 MiB only");
	return in_pieces(io, err, read_piece);
}

static int do_write(struct io *io, struct err *err)
{
	if (io->pattern < 0)
		return err_set(err, ERR_GENERIC,
			       "Parameter 'pattern' is missing");
	return in_pieces(io, err, write_piece);
}

static int do_zero(struct io *io, struct err *err)
{
	if (engine_zero(io->engine, io->device, io->offset, io->length,
			io->unmap, err))
		return -1;
	return io->fua ? engine_flush(io->engine, io->device, err) : 0;
}

static int do_discard(struct io *io, struct err *err)
{
	return engine_discard(io->engine, io->device, io->offset, io->length,
			      err);
}

static int do_flush(struct io *io, struct err *err)
{
	if (!engine_flush(io->engine, io->device, err) ||
	    err->errnum == ENOMEDIUM)
		return 0;
	return -1;
}

static const struct {
	const char *name;
	int (*run)(struct io *io, struct err *err);
} operations[] = {
	{ "read", do_read },
	{ "write", do_write },
	{ "write-zeroes", do_zero },
	{ "discard", do_discard },
	{ "flush", do_flush },
};

static int qmp_io_run(const char *operation, struct io *io, struct err *err)
{
	size_t i = 0;

	while (strcmp(operations[i].name, operation))
		i++;
	return operations[i].run(io, err);
}

static int qmp_io_parse(struct io *io, const json_t *args, struct err *err)
{
	int64_t offset = args_int(args, "offset", 0);
	int64_t length = args_int(args, "length", 0);
	int64_t pattern = args_int(args, "pattern", -1);
	int64_t from = args_int(args, "check-offset", 0);
	int64_t check = args_int(args, "check-length", length - from);

	if (offset < 0 || length < 0 || length > INT64_MAX - offset)
		return err_set(err, ERR_INVALID_PARAMETER, "Parameters "
			       "'offset' and 'length' are out of range");
	if (pattern < -1 || pattern > 255)
		return err_set(err, ERR_INVALID_PARAMETER,
			       "Parameter 'pattern' expects a byte");
	if (from < 0 || check < 0 || from > length || check > length - from)
		return err_set(err, ERR_INVALID_PARAMETER, "Parameters "
			       "'check-offset' and 'check-length' are out of "
			       "range");
	io->offset = (uint64_t)offset;
	io->length = (uint64_t)length;
	io->pattern = (int)pattern;
	io->check_from = io->offset + (uint64_t)from;
	io->check_len = (uint64_t)check;
	return 0;
}

/* The words that QEMU has for failed requests: the errno alone, EIO for one
 * that reaches beyond the end; and for a device that is not there. */
static void quote_error(const struct io *io, struct err *err)
{
	if (err->class == ERR_DEVICE_NOT_FOUND)
		err_set(err, ERR_DEVICE_NOT_FOUND, "Cannot find device='' "
			"nor node-name='%s'", io->device);
	else if (err->errnum)
		err_set(err, ERR_GENERIC, "%s", strerror(err->errnum ==
			EINVAL ? EIO : err->errnum));
}

static json_t *result(const struct io *io, uint64_t elapsed)
{
	json_t *value = json_pack("{s:I, s:I}", "bytes",
				  (json_int_t)io->length, "elapsed-ns",
				  (json_int_t)elapsed);

	if (io->mismatch)
		json_object_set_new(value, "mismatch", json_true());
	if (io->data)
		json_object_set(value, "data", io->data);
	return value;
}

static json_t *x_io(struct qmp_context *ctx, json_t *args, struct err *err)
{
	uint64_t start = clock_ns();
	struct io io = {
		.engine = ctx->engine,
		.device = args_str(args, "device"),
		.unmap = args_bool(args, "unmap", false),
		.fua = args_bool(args, "fua", false),
	};
	json_t *value = NULL;

	if (qmp_io_parse(&io, args, err))
		return NULL;
	if (args_bool(args, "data", false))
		io.data = json_array();
	if (qmp_io_run(args_str(args, "operation"), &io, err))
		quote_error(&io, err);
	else
		value = result(&io, clock_ns() - start);
	json_decref(io.data);
	free(io.buf);
	return value;
}

const struct qmp_command qmp_io_commands[] = {
	{ "x-blkmon-io", "device:s,"
	  "operation:e=read|write|write-zeroes|discard|flush,*offset:i,"
	  "*length:i,*pattern:i,*check-offset:i,*check-length:i,*unmap:b,"
	  "*fua:b,*data:b", x_io, false },
	{ .name = NULL }
};
