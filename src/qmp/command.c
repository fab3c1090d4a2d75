/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/qmp/command.h"

#include <errno.h>
#include <string.h>

#include "engine/util/bug.h"
#include "src/qmp/json/error.h"
#include "src/qmp/json/json_memory.h"
#include "src/qmp/json/text.h"
#include "src/qmp/options.h"

static const struct qmp_command *const tables[] = {
	qmp_run_commands,
	qmp_query_commands,
	qmp_stats_commands,
	qmp_job_commands,
	qmp_plan_commands,
	qmp_image_commands,
	qmp_io_commands,
	qmp_screen_commands,
	qmp_schema_commands,
	qmp_human_commands,
	qmp_backing_commands,
	qmp_blockdev_commands,
	qmp_transaction_commands,
	qmp_export_commands,
	qmp_client_commands,
	qmp_history_commands,
	qmp_file_commands,
	qmp_object_commands,
};

#define TABLES (sizeof(tables) / sizeof(*tables))

void qmp_context_init(struct qmp_context *ctx, struct machine *machine)
{
	ctx->machine = machine;
	ctx->engine = machine->engine;
	ctx->notices = json_array();
	ctx->interrupt = NULL;
	ctx->progress = NULL;
}

void qmp_context_release(struct qmp_context *ctx)
{
	json_decref(ctx->notices);
}

void qmp_notice(struct qmp_context *ctx, const char *text)
{
	json_array_append_new(ctx->notices, qmp_text(text));
}

void qmp_each(void (*fn)(const struct qmp_command *cmd, void *arg),
	      void *arg)
{
	for (size_t i = 0; i < TABLES; i++)
		for (const struct qmp_command *cmd = tables[i]; cmd->name;
		     cmd++)
			fn(cmd, arg);
}

bool qmp_same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if (*a != *b && !(strchr("-_", *a) && strchr("-_", *b)))
			return false;
	return *a == *b;
}

struct search {
	const char *name;
	const struct qmp_command *found;
};

static void match(const struct qmp_command *cmd, void *arg)
{
	struct search *s = arg;

	if (!strcmp(cmd->name, s->name) ||
	    (!s->found && cmd->any_hyphen &&
	     qmp_same_name(cmd->name, s->name)))
		s->found = cmd;
}

const struct qmp_command *qmp_find(const char *name)
{
	struct search s = { .name = name };

	qmp_each(match, &s);
	return s.found;
}

json_t *qmp_done(int rc)
{
	return rc ? NULL : json_object();
}

int qmp_check(const json_t *request, struct err *err)
{
	const char *key;
	json_t *value;

	if (!json_is_object(request))
		return err_set(err, ERR_GENERIC,
			       "QMP input must be a JSON object");
	json_object_foreach((json_t *)request, key, value) {
		if (!strcmp(key, "execute") && !json_is_string(value))
			return err_set(err, ERR_GENERIC, "QMP input member "
				       "'execute' must be a string");
		if (!strcmp(key, "arguments") && !json_is_object(value))
			return err_set(err, ERR_GENERIC, "QMP input member "
				       "'arguments' must be an object");
		if (strcmp(key, "execute") && strcmp(key, "arguments") &&
		    strcmp(key, "id"))
			return err_set(err, ERR_GENERIC, "QMP input member "
				       "'%s' is unexpected", key);
	}
	if (!json_object_get(request, "execute"))
		return err_set(err, ERR_GENERIC,
			       "QMP input lacks member 'execute'");
	return 0;
}

const struct qmp_command *qmp_resolve(const json_t *request, json_t **args,
				      struct err *err)
{
	const struct qmp_command *cmd;
	json_t *given;
	const char *name;

	if (qmp_check(request, err))
		return NULL;
	name = args_str(request, "execute");
	cmd = qmp_find(name);
	if (!cmd) {
		err_set(err, ERR_COMMAND_NOT_FOUND,
			"The command %s has not been found", name);
		return NULL;
	}
	given = json_object_get(request, "arguments");
	*args = given ? json_incref(given) : json_object();
	if (!args_check(cmd->args, *args, "", err))
		return cmd;
	json_decref(*args);
	return NULL;
}

static json_t *command_run(struct qmp_context *ctx, json_t *request,
			   struct err *err)
{
	json_t *args, *value;
	const struct qmp_command *cmd = qmp_resolve(request, &args, err);

	if (!cmd)
		return NULL;
	value = cmd->run(ctx, args, err);
	json_decref(args);
	return value;
}

static json_t *command_error(const struct err *err)
{
	json_t *error = qmp_error(err), *args, *line;

	if (err->tip[0])
		json_object_set_new(error, "x-blkmon-tip", qmp_text(err->tip));
	if (!err->way.file[0])
		return error;
	args = json_pack("{s:o, s:o}", "file", qmp_text(err->way.file), "base",
			 qmp_text(err->way.base));
	if (err->way.format)
		json_object_set_new(args, "base-format",
				    json_string(err->way.format));
	line = plan_line("x-blkmon-rebase", args);
	json_object_set_new(error, "x-blkmon-way-out", json_pack(
		"{s:o, s:{s:s, s:o}}", "hmp", line, "qmp", "execute",
		"x-blkmon-rebase", "arguments", args));
	return error;
}

json_t *qmp_reply(json_t *request, json_t *value, const struct err *err)
{
	unsigned long before = json_memory_lacks();
	json_t *reply = json_object(), *id = json_object_get(request, "id");

	BUG_ON(!value && err->class == ERR_NONE);
	if (value)
		json_object_set_new(reply, "return", value);
	else
		json_object_set_new(reply, "error", command_error(err));
	if (id)
		json_object_set(reply, "id", id);
	json_decref(request);
	if (json_memory_lacks() == before)
		return reply;
	json_decref(reply);
	return json_memory_error();
}

json_t *qmp_execute(struct qmp_context *ctx, json_t *request)
{
	unsigned long before = json_memory_lacks();
	struct err err = ERR_INIT;
	json_t *value = command_run(ctx, request, &err);

	/* What was done is done, but what would be said of it is not whole. */
	if (json_memory_lacks() != before) {
		json_decref(value);
		value = NULL;
		err_sys(&err, ENOMEM, "No reply");
	}
	return qmp_reply(request, value, &err);
}
