/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The NBD server and its exports (monitor.md, 2.2).
 */
#include <string.h>

#include "src/qmp/command.h"
#include "src/qmp/json/text.h"

/* --- the server --- */

static int listen_unix(const json_t *addr, struct nbd_options *o,
		       struct err *err)
{
	json_t *data = json_object_get(addr, "data");

	o->path = args_str(data, "path");
	return args_check("path:s", data, "addr.data.", err);
}

static int listen_inet(const json_t *addr, struct nbd_options *o,
		       struct err *err)
{
	json_t *data = json_object_get(addr, "data");

	o->host = args_str(data, "host");
	o->port = args_str(data, "port");
	return args_check("host:s,port:s", data, "addr.data.", err);
}

static int read_address(json_t *addr, struct nbd_options *o, struct err *err)
{
	if (args_check("type:e=inet|unix,data:o", addr, "addr.", err))
		return -1;
	return !strcmp(args_str(addr, "type"), "unix") ?
		listen_unix(addr, o, err) : listen_inet(addr, o, err);
}

static json_t *qmp_export_start(struct qmp_context *ctx, json_t *args,
				struct err *err)
{
	int64_t most = args_int(args, "max-connections", 0);
	struct nbd_options o = { 0 };

	if (args_str(args, "tls-creds") || args_str(args, "tls-authz"))
		err_set(err, ERR_NOT_SUPPORTED, "TLS is not supported");
	else if (most < 0 || most > UINT32_MAX)
		err_set(err, ERR_GENERIC, "Parameter 'max-connections' "
			"expects uint32_t");
	else if (!read_address(json_object_get(args, "addr"), &o, err)) {
		o.max_connections = (unsigned)most;
		return qmp_done(nbd_server_start(ctx->machine->nbd, &o, err));
	}
	return NULL;
}

static json_t *qmp_export_stop(struct qmp_context *ctx, json_t *args,
			       struct err *err)
{
	(void)args;
	return qmp_done(nbd_server_stop(ctx->machine->nbd, err));
}

/* --- exports --- */

static json_t *qmp_export_add(struct qmp_context *ctx, json_t *args,
			      struct err *err)
{
	const char *device = args_str(args, "device");
	struct export_options o = {
		.name = args_str(args, "name"), .device = device,
		.description = args_str(args, "description"),
		.writable = args_bool(args, "writable", false),
		.or_read_only = true,
		.force = args_bool(args, "x-blkmon-force", false),
	};

	return qmp_done(nbd_export_add(ctx->machine->nbd, &o, err));
}

/* What QEMU's lines say of threads that there are is left to blkmon; clients
 * are always told the depth of what they read. */
static json_t *export_add(struct qmp_context *ctx, json_t *args,
			  struct err *err)
{
	const char *iothread = args_str(args, "iothread");
	struct export_options o = {
		.id = args_str(args, "id"),
		.node_name = args_str(args, "node-name"),
		.name = args_str(args, "name"),
		.description = args_str(args, "description"),
		.writable = args_bool(args, "writable", false),
		.force = args_bool(args, "x-blkmon-force", false),
	};

	if (iothread && !iothreads_have(ctx->machine->iothreads, iothread)) {
		err_set(err, ERR_GENERIC, "iothread \"%s\" not found",
			iothread);
		return NULL;
	}
	if (args_bool(args, "writethrough", false)) {
		err_set(err, ERR_NOT_SUPPORTED, "'writethrough' is not "
			"supported: what a client flushes, or writes with "
			"FUA, is durable");
		return NULL;
	}
	return qmp_done(nbd_export_add(ctx->machine->nbd, &o, err));
}

/* nbd-server-remove calls it "name", block-export-del "id". */
static json_t *export_del(struct qmp_context *ctx, json_t *args,
			  struct err *err)
{
	const char *id = args_str(args, "id"), *mode = args_str(args, "mode");

	return qmp_done(nbd_export_del(ctx->machine->nbd,
					  id ? id : args_str(args, "name"),
					  mode && !strcmp(mode, "hard"),
					  err));
}

static json_t *qmp_export_query(struct qmp_context *ctx, json_t *args,
				struct err *err)
{
	struct export_info *info;
	size_t n;
	int rc = nbd_query_exports(ctx->machine->nbd, &info, &n);
	json_t *list = rc ? NULL : json_array();

	(void)args;
	if (rc)
		err_sys(err, rc, "No list of exports");
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack(
			"{s:s, s:b, s:s, s:o}", "node-name", info[i].names.node,
			"shutting-down", (int)info[i].shutting_down,
			"type", "nbd", "id", qmp_text(info[i].id)));
	export_info_free(info, n);
	return list;
}

const struct qmp_command qmp_export_commands[] = {
	{ "nbd-server-start",
	  "addr:o,*tls-creds:s,*tls-authz:s,"
	  "*max-connections:i",
	  qmp_export_start, false },
	{ "nbd-server-add", "*name:s,*description:s,device:s,*writable:b,"
	  "*x-blkmon-force:b",
	  qmp_export_add, false },
	{ "nbd-server-remove", "name:s,*mode:e=safe|hard", export_del, false },
	{ "nbd-server-stop", "", qmp_export_stop, false },
	{ "block-export-add",
	  "type:e=nbd,id:s,*fixed-iothread:b,*iothread:s,node-name:s,"
	  "*writable:b,*writethrough:b,*name:s,*description:s,"
	  "*allocation-depth:b,*x-blkmon-force:b",
	  export_add, false },
	{ "block-export-del", "id:s,*mode:e=safe|hard", export_del, false },
	{ "query-block-exports", "", qmp_export_query, false },
	{ .name = NULL }
};
