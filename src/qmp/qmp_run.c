/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The connection, the program, and the guest's stop and cont.
 */
#include <stdio.h>
#include <string.h>

#include "src/qmp/command.h"
#include "src/qmp/version.h"

/* Where negotiation matters, the connection sees to it before it comes here;
 * the local channel needs none. */
static json_t *qmp_capabilities(struct qmp_context *ctx, json_t *args,
				struct err *err)
{
	(void)ctx;
	if (!json_array_size(json_object_get(args, "enable")))
		return json_object();
	err_set(err, ERR_GENERIC, "None of the capabilities is available");
	return NULL;
}

static json_t *query_version(struct qmp_context *ctx, json_t *args,
			     struct err *err)
{
	(void)ctx;
	(void)args;
	(void)err;
	return qmp_version();
}

static void qmp_run_add_name(const struct qmp_command *cmd, void *arg)
{
	json_array_append_new(arg, json_pack("{s:s}", "name", cmd->name));
}

static json_t *query_commands(struct qmp_context *ctx, json_t *args,
			      struct err *err)
{
	json_t *list = json_array();

	(void)ctx;
	(void)args;
	(void)err;
	qmp_each(qmp_run_add_name, list);
	return list;
}

static json_t *query_status(struct qmp_context *ctx, json_t *args,
			    struct err *err)
{
	static const char *const names[] = {
		[VM_RUNNING] = "running", [VM_PAUSED] = "paused",
		[VM_IO_ERROR] = "io-error",
	};
	enum vm_state state = engine_vm_state(ctx->engine);

	(void)args;
	(void)err;
	return json_pack("{s:s, s:b, s:b}", "status", names[state],
			 "running", state == VM_RUNNING, "singlestep", 0);
}

static json_t *query_name(struct qmp_context *ctx, json_t *args,
			  struct err *err)
{
	(void)ctx;
	(void)args;
	(void)err;
	return json_object();
}

static json_t *qmp_run_stop(struct qmp_context *ctx, json_t *args,
			    struct err *err)
{
	(void)args;
	(void)err;
	engine_stop(ctx->engine);
	return json_object();
}

static json_t *cont(struct qmp_context *ctx, json_t *args, struct err *err)
{
	(void)args;
	(void)err;
	engine_cont(ctx->engine);
	return json_object();
}

/* The front ends end when they see SHUTDOWN. */
static json_t *qmp_run_quit(struct qmp_context *ctx, json_t *args,
			    struct err *err)
{
	struct event ev = { .type = EVENT_SHUTDOWN };

	(void)args;
	(void)err;
	snprintf(ev.text, sizeof(ev.text), "host-qmp-quit");
	event_publish(engine_events(ctx->engine), &ev);
	engine_cancel_all(ctx->engine);
	return json_object();
}

const struct qmp_command qmp_run_commands[] = {
	{ "qmp_capabilities", "*enable:a", qmp_capabilities, false },
	{ "query-version", "", query_version, false },
	{ "query-commands", "", query_commands, false },
	{ "query-status", "", query_status, false },
	{ "query-name", "", query_name, false },
	{ "stop", "", qmp_run_stop, false },
	{ "cont", "", cont, false },
	{ "quit", "", qmp_run_quit, false },
	{ .name = NULL }
};
