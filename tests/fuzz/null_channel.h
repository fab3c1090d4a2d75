/* null_channel.h - a channel that checks requests as the real one does and
 * runs none: what a fuzzer makes up should neither open nor create files.
 */
#ifndef BLKMON_TESTS_NULL_CHANNEL_H
#define BLKMON_TESTS_NULL_CHANNEL_H

#include <string.h>

#include "src/qmp/channel.h"
#include "src/qmp/command.h"

static inline void null_add_name(const struct qmp_command *cmd, void *arg)
{
	json_array_append_new(arg, json_pack("{s:s}", "name", cmd->name));
}

static inline json_t *null_names(void)
{
	json_t *list = json_array();

	qmp_each(null_add_name, list);
	return list;
}

static inline int null_check(json_t *request, struct err *err)
{
	const struct qmp_command *cmd;
	json_t *args;
	int rc;

	if (qmp_check(request, err))
		return -1;
	cmd = qmp_find(args_str(request, "execute"));
	if (!cmd)
		return err_set(err, ERR_COMMAND_NOT_FOUND, "no such command");
	args = json_incref(json_object_get(request, "arguments"));
	if (!args)
		args = json_object();
	rc = args_check(cmd->args, args, "", err);
	json_decref(args);
	return rc;
}

/* What succeeds says the same for every command. */
static inline json_t *null_execute(struct channel *c, json_t *request)
{
	struct err err = ERR_INIT;
	const char *name = args_str(request, "execute");
	json_t *value = NULL;

	(void)c;
	if (name && !strcmp(name, "query-commands"))
		value = null_names();
	else if (!null_check(request, &err))
		value = json_object();
	return qmp_reply(request, value, &err);
}

static inline json_t *null_next_event(struct channel *c, uint64_t deadline)
{
	(void)c;
	(void)deadline;
	return NULL;
}

static inline int null_event_fd(struct channel *c)
{
	(void)c;
	return -1;
}

static inline void null_free(struct channel *c)
{
	(void)c;
}

static const struct channel_ops null_ops __attribute__((unused)) = {
	.execute = null_execute,
	.next_event = null_next_event,
	.event_fd = null_event_fd,
	.free = null_free,
};

#endif
