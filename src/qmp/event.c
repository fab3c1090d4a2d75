/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/qmp/event.h"

#include <stdbool.h>
#include <string.h>

#include "engine/util/bug.h"
#include "src/qmp/job_end_json.h"
#include "src/qmp/json/text.h"

static json_t *job_status(const struct event *ev)
{
	return json_pack("{s:s, s:s}", "id", ev->id, "status", ev->status);
}

static json_t *job_numbers(const struct event *ev)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:I}", "type", ev->kind,
			 "device", ev->id, "len", (json_int_t)ev->len,
			 "offset", (json_int_t)ev->offset,
			 "speed", (json_int_t)ev->speed);
}

static json_t *job_over(const struct event *ev)
{
	json_t *data = job_numbers(ev);

	if (ev->end)
		json_object_set_new(data, "x-blkmon-end",
				    job_end_json(ev->end));
	return data;
}

static json_t *job_completed(const struct event *ev)
{
	json_t *data = job_over(ev);

	if (ev->text[0])
		json_object_set_new(data, "error", qmp_text(ev->text));
	return data;
}

static json_t *job_pending(const struct event *ev)
{
	return json_pack("{s:s, s:s}", "type", ev->kind, "id", ev->id);
}

/* For a client who was far behind: it stands for so many more. */
static json_t *with_more(json_t *data, const struct event *ev)
{
	if (ev->more)
		json_object_set_new(data, "x-blkmon-more",
				    json_integer((json_int_t)ev->more));
	return data;
}

static json_t *event_job_error(const struct event *ev)
{
	return with_more(json_pack("{s:s, s:s, s:s}", "device", ev->id,
				   "operation", ev->operation, "action",
				   ev->action), ev);
}

static json_t *event_io_error(const struct event *ev)
{
	json_t *data = json_pack("{s:s, s:s, s:s, s:b, s:o}", "device",
				 ev->id, "operation", ev->operation,
				 "action", ev->action, "nospace",
				 (int)ev->nospace, "reason",
				 qmp_text(ev->text));

	if (ev->node[0])
		json_object_set_new(data, "node-name", json_string(ev->node));
	return with_more(data, ev);
}

static json_t *event_threshold(const struct event *ev)
{
	return json_pack("{s:s, s:I, s:I}", "node-name", ev->node,
			 "amount-exceeded", (json_int_t)ev->offset,
			 "write-threshold", (json_int_t)ev->len);
}

static json_t *event_corrupted(const struct event *ev)
{
	json_t *data = json_pack("{s:s, s:o, s:b}", "device", ev->id, "msg",
				 qmp_text(ev->text), "fatal",
				 (int)ev->fatal);

	if (ev->node[0])
		json_object_set_new(data, "node-name", json_string(ev->node));
	if (ev->has_offset) {
		json_object_set_new(data, "offset",
				    json_integer((json_int_t)ev->offset));
		json_object_set_new(data, "size",
				    json_integer((json_int_t)ev->len));
	}
	return data;
}

static json_t *none(const struct event *ev)
{
	(void)ev;
	return NULL;
}

static json_t *shutdown_reason(const struct event *ev)
{
	return json_pack("{s:b, s:s}", "guest", 0, "reason", ev->text);
}

static json_t *export_deleted(const struct event *ev)
{
	return json_pack("{s:o}", "id", qmp_text(ev->text));
}

static json_t *folder_changed(const struct event *ev)
{
	return json_pack("{s:o}", "folder", qmp_text(ev->text));
}

static json_t *event_from_notice(const struct event *ev)
{
	return with_more(json_pack("{s:o}", "text", qmp_text(ev->text)), ev);
}

#define MORE "*x-blkmon-more:i"
#define NUMBERS "type:s,device:s,len:i,offset:i,speed:i"
#define END ",*x-blkmon-end:o"

static const struct {
	const char *name;
	const char *members;		/* see args.h */
	json_t *(*data)(const struct event *ev);
} kinds[] = {
	[EVENT_JOB_STATUS] = { "JOB_STATUS_CHANGE", "id:s,status:s",
			       job_status },
	[EVENT_JOB_COMPLETED] = { "BLOCK_JOB_COMPLETED", NUMBERS ",*error:s"
				  END,
				  job_completed },
	[EVENT_JOB_CANCELLED] = { "BLOCK_JOB_CANCELLED", NUMBERS END,
				  job_over },
	[EVENT_JOB_READY] = { "BLOCK_JOB_READY", NUMBERS, job_numbers },
	[EVENT_JOB_PENDING] = { "BLOCK_JOB_PENDING", "type:s,id:s",
				job_pending },
	[EVENT_JOB_ERROR] = { "BLOCK_JOB_ERROR",
			      "device:s,"
			      "operation:e=read|write,"
			      "action:e=ignore|report|stop," MORE,
			      event_job_error },
	[EVENT_IO_ERROR] = { "BLOCK_IO_ERROR",
			     "device:s,*node-name:s,"
			     "operation:e=read|write,"
			     "action:e=ignore|report|stop,*nospace:b,"
			     "reason:s," MORE,
			     event_io_error },
	[EVENT_THRESHOLD] = { "BLOCK_WRITE_THRESHOLD",
			      "node-name:s,"
			      "amount-exceeded:i,write-threshold:i",
			      event_threshold },
	[EVENT_CORRUPTED] = { "BLOCK_IMAGE_CORRUPTED",
			      "device:s,*node-name:s,"
			      "msg:s,*offset:i,*size:i,fatal:b",
			      event_corrupted },
	[EVENT_EXPORT_DELETED] = { "BLOCK_EXPORT_DELETED", "id:s",
				   export_deleted },
	[EVENT_STOP] = { "STOP", "", none },
	[EVENT_RESUME] = { "RESUME", "", none },
	[EVENT_SHUTDOWN] = { "SHUTDOWN", "guest:b,reason:s", shutdown_reason },
	[EVENT_FOLDER] = { "X_BLKMON_FOLDER_CHANGED", "folder:s",
			   folder_changed },
	[EVENT_NOTICE] = { "X_BLKMON_NOTICE", "text:s," MORE,
			   event_from_notice },
};

/* The only one that is not the engine's. */
#define LOST "X_BLKMON_LOST"
#define PRIVATE "x-blkmon-private"

/* Notices are for the operator here; they do not go over a wire. */
void qmp_event_each(void (*fn)(const char *name, const char *members,
			       void *arg), void *arg)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (kinds[i].name && i != EVENT_NOTICE)
			fn(kinds[i].name, kinds[i].members, arg);
	fn(LOST, "count:i", arg);
}

json_t *qmp_event_lost(uint64_t wall_us, uint64_t count)
{
	return qmp_event_new(wall_us, LOST,
			     json_pack("{s:I}", "count", (json_int_t)count));
}

bool qmp_event_is_private(const json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));

	return !strcmp(name, kinds[EVENT_NOTICE].name) ||
		json_is_true(json_object_get(event, PRIVATE));
}

json_t *qmp_event_new(uint64_t wall_us, const char *name, json_t *data)
{
	return json_pack("{s:{s:I, s:I}, s:s, s:o*}", "timestamp",
			 "seconds", (json_int_t)(wall_us / 1000000),
			 "microseconds", (json_int_t)(wall_us % 1000000),
			 "event", name, "data", data);
}

json_t *qmp_event(const struct event *ev)
{
	size_t type = (size_t)ev->type;
	json_t *value;

	BUG_ON(type >= sizeof(kinds) / sizeof(*kinds) || !kinds[type].name);
	value = qmp_event_new(ev->wall_us, kinds[type].name,
			      kinds[type].data(ev));
	if (ev->private)
		json_object_set_new(value, PRIVATE, json_true());
	return value;
}
