/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Nodes by name: blockdev-add and its relatives. What is not carried out is
 * refused, but for what nobody can notice: with which system calls a file is
 * read (aio), and whether refcounts are written late (lazy-refcounts).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/qmp/command.h"

#define COMMON "*node-name:s,*read-only:b,*auto-read-only:b,*force-share:b," \
	"*discard:e=ignore|unmap,*detect-zeroes:e=off,*cache:o," \
	"*x-blkmon-force:b"
#define OF_FILES "*locking:e=auto|on,*aio:e=threads|native|io_uring"
#define ADD_ARGS "driver:e=qcow2|raw|file|host_device|null-co," COMMON \
	",*filename:s,*file:v,*backing:v,*data-file:v,*lazy-refcounts:b," \
	"*size:i,*read-zeroes:b," OF_FILES
#define FILE_ARGS "driver:e=file|host_device," COMMON ",filename:s," OF_FILES
#define DEPTH_MAX 64
#define ENTRIES_MAX 1024
#define NULL_SIZE (1ll << 30)

/* Which of ADD_ARGS each driver knows. */
static const struct {
	const char *name, *args;
} drivers[] = {
	{ "qcow2", "driver:s," COMMON ",file:v,*backing:v,*data-file:v,"
	  "*lazy-refcounts:b" },
	{ "raw", "driver:s," COMMON ",file:v" },
	{ "file", FILE_ARGS },
	{ "host_device", FILE_ARGS },
	{ "null-co", "driver:s," COMMON ",*size:i,*read-zeroes:b" },
};

/* The options of one node and of those nested below it. */
struct parsed {
	struct blockdev_options o[DEPTH_MAX];
	size_t n;
};

/* "options[3].backing." in front of names in messages. */
struct prefix {
	char text[128];
};

static struct prefix qmp_bdev_prefix_add(const char *prefix, const char *name)
{
	struct prefix out;

	snprintf(out.text, sizeof(out.text), "%s%s.", prefix, name);
	return out;
}

static int check_args(json_t *args, const char *prefix, struct err *err)
{
	const char *driver = args_str(args, "driver");

	if (args_check(ADD_ARGS, args, prefix, err))
		return -1;
	for (size_t i = 0; i < sizeof(drivers) / sizeof(*drivers); i++)
		if (!strcmp(drivers[i].name, driver))
			return args_check(drivers[i].args, args, prefix, err);
	return 0;
}

/* What is not said of the cache here is as *@cache. */
static int parse_cache(const json_t *args, const char *prefix,
		       enum file_cache *cache, struct err *err)
{
	json_t *given = json_object_get(args, "cache");
	bool direct, no_flush;

	if (!given)
		return 0;
	if (args_check("*direct:b,*no-flush:b", given,
		       qmp_bdev_prefix_add(prefix, "cache").text, err))
		return -1;
	direct = args_bool(given, "direct", *cache == FILE_CACHE_NONE);
	no_flush = args_bool(given, "no-flush", *cache == FILE_CACHE_UNSAFE);
	if (direct && no_flush)
		return err_set(err, ERR_GENERIC, "cache.direct=on and "
			       "cache.no-flush=on are not possible together");
	*cache = no_flush ? FILE_CACHE_UNSAFE :
		 direct ? FILE_CACHE_NONE : FILE_CACHE_WRITEBACK;
	return 0;
}

static int check_filename(const char *name, const char *driver,
			  struct err *err)
{
	return !name || *name ? 0 :
	       err_set(err, ERR_GENERIC, "The '%s' block driver requires a "
		       "file name", driver);
}

static int check_aio(const json_t *args, const struct blockdev_options *o,
		     struct err *err)
{
	const char *aio = args_str(args, "aio");

	if (!aio || strcmp(aio, "native") || o->cache == FILE_CACHE_NONE)
		return 0;
	return err_set(err, ERR_GENERIC, "aio=native was specified, but it "
		       "requires cache.direct=on, which was not specified.");
}

static bool ignores_discard(const json_t *args)
{
	const char *discard = args_str(args, "discard");

	return discard && !strcmp(discard, "ignore");
}

static int qmp_bdev_check_share(const struct blockdev_options *o,
				struct err *err)
{
	if (!o->force_share || o->read_only)
		return 0;
	return err_set(err, ERR_GENERIC, "force-share=on can only be used "
		       "with read-only images");
}

/* What is not said of the file is as it is said of the image. */
static int parse_file(const json_t *args, const char *prefix,
		      struct blockdev_options *o, struct err *err)
{
	json_t *file = json_object_get(args, "file");
	struct prefix inner = qmp_bdev_prefix_add(prefix, "file");

	if (json_is_string(file)) {
		o->file_node = json_string_value(file);
		return 0;
	}
	if (!json_is_object(file))
		return err_set(err, ERR_GENERIC, "Invalid parameter type for "
			       "'%sfile', expected: BlockdevRef",
			       prefix);
	if (args_check(FILE_ARGS, file, inner.text, err))
		return -1;
	o->filename = args_str(file, "filename");
	o->file_name = args_str(file, "node-name");
	o->file_driver = args_str(file, "driver");
	o->file_read_only = args_bool(file, "read-only", false);
	if (o->file_read_only && !o->read_only)
		return err_set(err, ERR_GENERIC, "Block node is read-only");
	if (check_filename(o->filename, o->file_driver, err))
		return -1;
	o->auto_read_only &= args_bool(file, "auto-read-only", true);
	o->force_share |= args_bool(file, "force-share", false);
	o->file_no_discard = ignores_discard(file);
	if (parse_cache(file, inner.text, &o->cache, err))
		return -1;
	return check_aio(file, o, err);
}

static int parse_data_file(const json_t *args, const char *prefix,
			   struct blockdev_options *o, struct err *err)
{
	json_t *file = json_object_get(args, "data-file");

	if (!file)
		return 0;
	if (json_is_string(file))
		return err_set(err, ERR_NOT_SUPPORTED, "'%sdata-file' names a "
			       "node; here it has to be the options of a file",
			       prefix);
	if (!json_is_object(file))
		return err_set(err, ERR_GENERIC, "Invalid parameter type for "
			       "'%sdata-file', expected: BlockdevRef",
			       prefix);
	if (args_check("driver:e=file|host_device,filename:s,"
		       "*aio:e=threads|io_uring,*locking:e=auto|on",
		       file, qmp_bdev_prefix_add(prefix, "data-file").text,
		       err))
		return -1;
	o->data_file = args_str(file, "filename");
	o->data_driver = args_str(file, "driver");
	return 0;
}

static struct blockdev_options *qmp_bdev_parse(struct parsed *p, json_t *args,
					       const char *prefix,
					       struct err *err);

static int parse_backing(struct parsed *p, const json_t *args,
			 const char *prefix, struct blockdev_options *o,
			 struct err *err)
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
			       "'%sbacking', expected: BlockdevRefOrNull",
			       prefix);
	o->backing_options = qmp_bdev_parse(
		p, backing, qmp_bdev_prefix_add(prefix, "backing").text, err);
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

/* Of a file by itself. */
static int parse_bytes(const json_t *args, struct blockdev_options *o,
		       struct err *err)
{
	o->file_read_only = o->read_only;
	return check_filename(o->filename, o->driver, err) ? -1 :
	       check_aio(args, o, err);
}

static int parse_kind(const json_t *args, const char *prefix,
		      struct blockdev_options *o, struct err *err)
{
	if (!strcmp(o->driver, "null-co"))
		return parse_null(args, o, err);
	if (!strcmp(o->driver, "qcow2") || !strcmp(o->driver, "raw"))
		return parse_file(args, prefix, o, err);
	return parse_bytes(args, o, err);
}

/* What lies below another is shared as that is, and read-only unless it is
 * said to be not. */
static struct blockdev_options *qmp_bdev_parse(struct parsed *p, json_t *args,
					       const char *prefix,
					       struct err *err)
{
	struct blockdev_options *o = &p->o[p->n];
	const struct blockdev_options *above = p->n ? o - 1 : NULL;

	if (p->n == DEPTH_MAX) {
		err_set(err, ERR_GENERIC, "'backing' is nested too deep");
		return NULL;
	}
	if (check_args(args, prefix, err))
		return NULL;
	p->n++;
	*o = (struct blockdev_options){
		.driver = args_str(args, "driver"),
		.node_name = args_str(args, "node-name"),
		.filename = args_str(args, "filename"),
		.read_only = args_bool(args, "read-only", above),
		.auto_read_only = args_bool(args, "auto-read-only", false),
		.force_share = args_bool(args, "force-share",
					 above && above->force_share),
		.no_discard = ignores_discard(args),
		.force = args_bool(args, "x-blkmon-force",
				   above && above->force),
		.cache = FILE_CACHE_WRITEBACK,
	};
	if (parse_cache(args, prefix, &o->cache, err) ||
	    parse_kind(args, prefix, o, err) || qmp_bdev_check_share(o, err) ||
	    parse_data_file(args, prefix, o, err) ||
	    parse_backing(p, args, prefix, o, err))
		return NULL;
	return o;
}

static json_t *blockdev_add(struct qmp_context *ctx, json_t *args,
			    struct err *err)
{
	struct parsed p = { .n = 0 };
	struct blockdev_options *o = qmp_bdev_parse(&p, args, "", err);

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

static const struct blockdev_options *parse_entry(struct parsed *p, size_t i,
						  json_t *entry,
						  struct err *err)
{
	const struct blockdev_options *o;
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "options[%zu].", i);
	if (!json_is_object(entry)) {
		err_set(err, ERR_GENERIC, "Invalid parameter type for "
			"'options[%zu]', expected: object", i);
		return NULL;
	}
	o = qmp_bdev_parse(p, entry, prefix, err);
	if (o && !o->node_name) {
		err_set(err, ERR_GENERIC, "node-name not specified");
		return NULL;
	}
	return o;
}

static json_t *blockdev_reopen(struct qmp_context *ctx, json_t *args,
			       struct err *err)
{
	json_t *list = json_object_get(args, "options"), *entry, *value = NULL;
	size_t n = json_array_size(list), i;
	struct parsed *p = n <= ENTRIES_MAX ? mem_try(n + 1, sizeof(*p)) : NULL;
	const struct blockdev_options *o[ENTRIES_MAX];

	if (!p) {
		err_set(err, ERR_GENERIC, "options: %zu nodes are too many", n);
		return NULL;
	}
	json_array_foreach(list, i, entry) {
		o[i] = parse_entry(&p[i], i, entry, err);
		if (!o[i])
			goto out;
	}
	value = qmp_done(engine_blockdev_reopen(ctx->engine, o, n, err));
out:
	free(p);
	return value;
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
		.force = args_bool(args, "x-blkmon-force", false),
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
	  "*rerror:e=report|ignore|stop,*werror:e=report|ignore|stop|enospc,"
	  "*x-blkmon-force:b",
	  x_drive_add, false },
	{ "x-blkmon-drive-del", "id:s", x_drive_del, false },
	{ .name = NULL }
};
