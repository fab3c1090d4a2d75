/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Nodes by name: blockdev-add and its relatives. Options that change nothing
 * here (how to trim, which kind of I/O) are checked and passed over.
 */
#include <string.h>

#include "src/qmp/command.h"

#define COMMON "*node-name:s,*read-only:b,*auto-read-only:b,*force-share:b," \
	"*discard:e=ignore|unmap,*detect-zeroes:e=off|on|unmap,*cache:o"
#define DRIVERS "driver:e=qcow2|raw|file|host_device|null-co"
#define ADD_ARGS DRIVERS "," COMMON ",*filename:s,*file:v,*backing:v," \
	"*data-file:v,*locking:e=auto|on|off," \
	"*aio:e=threads|native|io_uring,*lazy-refcounts:b,*size:i," \
	"*read-zeroes:b"
#define FILE_ARGS "driver:e=file|host_device," COMMON ",filename:s," \
	"*locking:e=auto|on|off,*aio:e=threads|native|io_uring"
#define DEPTH_MAX 64
#define NULL_SIZE (1ll << 30)

/* The options of one node and of those nested below it. */
struct parsed {
	struct blockdev_options o[DEPTH_MAX];
	size_t n;
};

static int parse_cache(const json_t *args, enum file_cache *cache,
		       struct err *err)
{
	json_t *given = json_object_get(args, "cache");

	if (!given)
		return 0;
	if (args_check("*direct:b,*no-flush:b", given, "cache.", err))
		return -1;
	if (args_bool(given, "no-flush", false))
		*cache = FILE_CACHE_UNSAFE;
	else if (args_bool(given, "direct", false))
		*cache = FILE_CACHE_NONE;
	return 0;
}

static int parse_file(const json_t *args, struct blockdev_options *o,
		      struct err *err)
{
	json_t *file = json_object_get(args, "file");

	if (!file)
		return err_set(err, ERR_GENERIC,
			       "Parameter 'file' is missing");
	if (json_is_string(file)) {
		o->file_node = json_string_value(file);
		return 0;
	}
	if (!json_is_object(file))
		return err_set(err, ERR_GENERIC, "Invalid parameter type for "
			       "'file', expected: object");
	if (args_check(FILE_ARGS, file, "file.", err))
		return -1;
	o->filename = args_str(file, "filename");
	o->file_name = args_str(file, "node-name");
	o->file_driver = args_str(file, "driver");
	return parse_cache(file, &o->cache, err);
}

static int parse_data_file(const json_t *args, struct blockdev_options *o,
			   struct err *err)
{
	json_t *file = json_object_get(args, "data-file");

	if (!file)
		return 0;
	if (!json_is_object(file))
		return err_set(err, ERR_GENERIC, "Invalid parameter type for "
			       "'data-file', expected: object");
	if (args_check(FILE_ARGS, file, "data-file.", err))
		return -1;
	o->data_file = args_str(file, "filename");
	return 0;
}

static struct blockdev_options *parse(struct parsed *p, json_t *args,
				      struct err *err);

static int parse_backing(struct parsed *p, const json_t *args,
			 struct blockdev_options *o, struct err *err)
{
	json_t *backing = json_object_get(args, "backing");
	const char *name = json_string_value(backing);

	if (!backing)
		return 0;
	if (json_is_null(backing) || (name && !*name)) {
		o->backing = BLOCKDEV_NO_BACKING;
		return 0;
	}
	o->backing = BLOCKDEV_BACKING;
	o->backing_node = name;
	if (name)
		return 0;
	if (!json_is_object(backing))
		return err_set(err, ERR_GENERIC, "Invalid parameter type for "
			       "'backing', expected: object");
	if (args_check(ADD_ARGS, backing, "backing.", err))
		return -1;
	o->backing_options = parse(p, backing, err);
	return o->backing_options ? 0 : -1;
}

static int parse_null(const json_t *args, struct blockdev_options *o,
		      struct err *err)
{
	int64_t size = args_int(args, "size", NULL_SIZE);

	if (size < 0 || size % 512)
		return err_set(err, ERR_INVALID_PARAMETER, "Parameter 'size' "
			       "expects a multiple of 512");
	o->size = (uint64_t)size;
	return 0;
}

static struct blockdev_options *parse(struct parsed *p, json_t *args,
				      struct err *err)
{
	struct blockdev_options *o = &p->o[p->n++];
	const char *driver = args_str(args, "driver");
	int rc;

	if (p->n == DEPTH_MAX) {
		err_set(err, ERR_GENERIC, "'backing' is nested too deep");
		return NULL;
	}
	*o = (struct blockdev_options){
		.driver = driver,
		.node_name = args_str(args, "node-name"),
		.filename = args_str(args, "filename"),
		.read_only = args_bool(args, "read-only", p->n > 1),
		.cache = FILE_CACHE_WRITEBACK,
	};
	if (!strcmp(driver, "null-co"))
		rc = parse_null(args, o, err);
	else if (!strcmp(driver, "qcow2") || !strcmp(driver, "raw"))
		rc = parse_file(args, o, err);
	else if (!o->filename)
		rc = err_set(err, ERR_GENERIC,
			     "Parameter 'filename' is missing");
	else
		rc = 0;
	if (rc || parse_cache(args, &o->cache, err) ||
	    parse_data_file(args, o, err) || parse_backing(p, args, o, err))
		return NULL;
	return o;
}

static json_t *blockdev_add(struct qmp_context *ctx, json_t *args,
			    struct err *err)
{
	struct parsed p = { .n = 0 };
	struct blockdev_options *o = parse(&p, args, err);

	if (!o)
		return NULL;
	if (!o->node_name) {
		err_set(err, ERR_GENERIC, "'node-name' must be specified for "
			"the root node");
		return NULL;
	}
	return qmp_done(engine_blockdev_add(ctx->engine, o, err));
}

static json_t *blockdev_del(struct qmp_context *ctx, json_t *args,
			    struct err *err)
{
	return qmp_done(engine_blockdev_del(ctx->engine,
			args_str(args, "node-name"), err));
}

/* As far as jobs need it: between read-only and writable. */
static json_t *blockdev_reopen(struct qmp_context *ctx, json_t *args,
			       struct err *err)
{
	json_t *list = json_object_get(args, "options"), *entry;
	const char *name;
	size_t i;

	json_array_foreach(list, i, entry) {
		if (!json_is_object(entry) ||
		    !(name = args_str(entry, "node-name"))) {
			err_set(err, ERR_GENERIC, "node-name not specified");
			return NULL;
		}
		if (args_check(ADD_ARGS, entry, "options.", err) ||
		    engine_blockdev_reopen(ctx->engine, name,
					   args_bool(entry, "read-only",
						     false), err))
			return NULL;
	}
	return json_object();
}

static json_t *x_drive_add(struct qmp_context *ctx, json_t *args,
			   struct err *err)
{
	const char *cache = args_str(args, "cache");
	const char *rerror = args_str(args, "rerror");
	const char *werror = args_str(args, "werror");
	struct drive_options o = {
		.id = args_str(args, "id"),
		.node = {
			.path = args_str(args, "file"),
			.format = args_str(args, "format"),
			.node_name = args_str(args, "node-name"),
			.backing_format = args_str(args, "backing-format"),
			.read_only = args_bool(args, "read-only", false),
			.cache = !cache || !strcmp(cache, "writeback") ?
				FILE_CACHE_WRITEBACK :
				!strcmp(cache, "none") ? FILE_CACHE_NONE :
				FILE_CACHE_UNSAFE,
		},
	};

	if (rerror)
		(void)on_error_parse(rerror, &o.on_read_error);
	if (werror)
		(void)on_error_parse(werror, &o.on_write_error);
	return qmp_done(engine_add_drive(ctx->engine, &o, err));
}

static json_t *x_drive_del(struct qmp_context *ctx, json_t *args,
			   struct err *err)
{
	return qmp_done(engine_drive_del(ctx->engine, args_str(args, "id"),
					 err));
}

const struct qmp_command qmp_blockdev_commands[] = {
	{ "blockdev-add", ADD_ARGS, blockdev_add, false },
	{ "blockdev-del", "node-name:s", blockdev_del, false },
	{ "blockdev-reopen", "options:a", blockdev_reopen, false },
	{ "x-blkmon-drive-add", "*id:s,*file:s,*format:s,*node-name:s,"
	  "*backing-format:s,*read-only:b,*cache:e=writeback|none|unsafe,"
	  "*rerror:e=report|ignore|stop,*werror:e=report|ignore|stop|enospc",
	  x_drive_add, false },
	{ "x-blkmon-drive-del", "id:s", x_drive_del, false },
	{ .name = NULL }
};
