/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/after/hook_call.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "src/after/entry.h"
#include "src/qmp/json/text.h"

#define PREFIX "BLKMON_"

const char *hook_event_name(const struct event *ev)
{
	switch (ev->type) {
	case EVENT_JOB_READY:
		return "READY";
	case EVENT_JOB_COMPLETED:
		return "COMPLETED";
	case EVENT_JOB_CANCELLED:
		return "CANCELLED";
	case EVENT_JOB_ERROR:
		return "ERROR";
	default:
		return NULL;
	}
}

__attribute__((format(printf, 3, 4)))
static void hook_set(struct hook_call *call, const char *name,
		     const char *fmt, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	if (call->variables == HOOK_VARIABLES)
		return;
	str_addf(&text, PREFIX "%s=", name);
	va_start(ap, fmt);
	str_addv(&text, fmt, ap);
	va_end(ap);
	call->variable[call->variables++] = str_detach(&text);
}

/* Files by their number: their names stand in the JSON. One is named. */
static void hook_set_end(struct hook_call *call, const struct job_end *end)
{
	if (!end)
		return;
	hook_set(call, "MOVED", "%llu", (unsigned long long)end->moved);
	hook_set(call, "SECONDS", "%.3f",
		 (double)end->elapsed_ns / (double)NS_PER_SEC);
	hook_set(call, "RATE", "%llu",
		 (unsigned long long)job_end_rate(end));
	if (end->to)
		hook_set(call, "TO", "%s", end->to);
	hook_set(call, "UNUSED", "%zu", end->unused.n);
	if (end->unused.n == 1)
		hook_set(call, "UNUSED_FILE", "%s", end->unused.list[0].path);
}

static void hook_set_error(struct hook_call *call, const struct event *ev)
{
	call->action = ev->action;
	call->more = ev->more;
	hook_set(call, "RESULT", "%s", ev->action);
	hook_set(call, "OPERATION", "%s", ev->operation);
}

static void hook_set_all(struct hook_call *call, const struct event *ev)
{
	hook_set(call, "EVENT", "%s", call->event);
	hook_set(call, "JOB", "%s", ev->id);
	hook_set(call, "KIND", "%s", ev->kind);
	hook_set(call, "PID", "%ld", (long)getpid());
	if (ev->type == EVENT_JOB_ERROR) {
		hook_set_error(call, ev);
		return;
	}
	if (ev->type == EVENT_JOB_READY) {
		hook_set(call, "RESULT", "ready");
		return;
	}
	hook_set(call, "RESULT", "%s", entry_result(ev));
	if (ev->text[0])
		hook_set(call, "ERROR", "%s", ev->text);
	hook_set_end(call, ev->end);
}

/* With a newline, for programs that read lines. */
static char *hook_text(const json_t *json)
{
	char *text = qmp_dump_text(json, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;
	char *line = text ? mem_try_dup(text, len + 1) : NULL;
	char *more = line ? realloc(line, len + 2) : NULL;

	free(text);
	if (more)
		memcpy(more + len, "\n", 2);
	else
		free(line);
	return more;
}

struct hook_call *hook_call_new(const char *program, const struct event *ev,
				const json_t *json)
{
	const char *slash = strrchr(program, '/');
	char *input = hook_text(json);
	struct hook_call *call;

	if (!input)
		return NULL;
	call = mem_alloc(sizeof(*call));
	call->program = program;
	call->name = slash ? slash + 1 : program;
	call->event = hook_event_name(ev);
	memcpy(call->job, ev->id, sizeof(call->job));
	call->input = input;
	hook_set_all(call, ev);
	return call;
}

void hook_call_free(struct hook_call *call)
{
	for (unsigned i = 0; i < call->variables; i++)
		free(call->variable[i]);
	free(call->input);
	free(call);
}

bool hook_call_joins(struct hook_call *call, const struct event *ev)
{
	if (ev->type != EVENT_JOB_ERROR || !call->action ||
	    strcmp(call->action, ev->action) || strcmp(call->job, ev->id))
		return false;
	call->more += 1 + ev->more;
	return true;
}

/* What we have of that kind is another's. */
char **hook_call_environment(struct hook_call *call)
{
	size_t n = 0, at = 0;
	char **env;

	if (call->action)
		hook_set(call, "MORE", "%llu",
			 (unsigned long long)call->more);
	while (environ[n])
		n++;
	env = mem_alloc((n + call->variables + 1) * sizeof(*env));
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], PREFIX, strlen(PREFIX)))
			env[at++] = environ[i];
	for (unsigned i = 0; i < call->variables; i++)
		env[at++] = call->variable[i];
	return env;
}
