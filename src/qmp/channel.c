/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/qmp/channel.h"

#include "src/qmp/json/json_memory.h"

void channel_free(struct channel *c)
{
	if (c)
		c->ops->free(c);
}

json_t *channel_request(struct channel *c, json_t *request)
{
	return c->ops->execute(c, request);
}

json_t *channel_call(struct channel *c, const char *name, json_t *args)
{
	unsigned long before = json_memory_lacks();
	json_t *request = json_pack("{s:s, s:o*}", "execute", name,
				    "arguments", args);

	if (json_memory_lacks() == before)
		return channel_request(c, request);
	json_decref(request);
	return json_memory_error();
}

const char *channel_error(const json_t *reply)
{
	json_t *error = json_object_get(reply, "error");

	return json_string_value(json_object_get(error, "desc"));
}

json_t *channel_next_event(struct channel *c, uint64_t deadline)
{
	return c->ops->next_event(c, deadline);
}

int channel_event_fd(struct channel *c)
{
	return c->ops->event_fd(c);
}
