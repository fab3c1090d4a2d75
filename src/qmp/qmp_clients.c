/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who uses the exports, and how much: x-blkmon-query-exports. Counters only
 * grow; a rate is the difference of two looks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/qmp/command.h"
#include "src/qmp/json/text.h"

/* Takes @object, and returns it with the counts. */
static json_t *counted(json_t *object, const struct nbd_counts *c)
{
	json_object_update_new(object, json_pack(
		"{s:I, s:I, s:I, s:I, s:I}",
		"rd_bytes", (json_int_t)c->rd_bytes,
		"wr_bytes", (json_int_t)c->wr_bytes,
		"rd_operations", (json_int_t)c->rd_ops,
		"wr_operations", (json_int_t)c->wr_ops,
		"requests", (json_int_t)c->requests));
	return object;
}

static json_t *client(const struct nbd_client_info *info)
{
	return counted(json_pack("{s:I, s:o}",
				 "number", (json_int_t)info->number,
				 "address", qmp_text(info->peer)),
		       &info->counts);
}

static json_t *clients_of(const struct nbd_info *nbd, uint64_t export)
{
	json_t *list = json_array();

	for (size_t i = 0; i < nbd->clients; i++)
		if (nbd->client[i].export == export)
			json_array_append_new(list, client(&nbd->client[i]));
	return list;
}

static json_t *export(const struct export_info *x, const struct nbd_info *nbd)
{
	json_t *entry = json_pack("{s:o, s:o, s:s, s:o, s:b, s:b, s:o}",
		"id", qmp_text(x->id), "name", qmp_text(x->name),
		"node-name", x->names.node, "address", qmp_text(nbd->address),
		"writable", (int)x->writable,
		"shutting-down", (int)x->shutting_down,
		"clients", clients_of(nbd, x->serial));

	if (*x->names.drive)
		json_object_set_new(entry, "device",
				    json_string(x->names.drive));
	return counted(entry, &x->counts);
}

static json_t *qmp_clients_query(struct qmp_context *ctx, json_t *args,
				 struct err *err)
{
	struct export_info *exports;
	struct nbd_info nbd;
	size_t n;
	int rc = nbd_query_exports(ctx->machine->nbd, &exports, &n);
	int rc2 = nbd_query_server(ctx->machine->nbd, &nbd);
	json_t *list = rc || rc2 ? NULL : json_array();

	(void)args;
	if (!list)
		err_sys(err, ENOMEM, "No list of clients");
	for (size_t i = 0; list && i < n; i++)
		json_array_append_new(list, export(&exports[i], &nbd));
	free(nbd.client);
	export_info_free(exports, n);
	return list;
}

const struct qmp_command qmp_client_commands[] = {
	{ "x-blkmon-query-exports", "", qmp_clients_query, false },
	{ .name = NULL }
};
