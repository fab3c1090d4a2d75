/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What this program offers, as QMP describes itself: made from the tables of
 * commands and events, so it can't say what is not so. Results are "any": the
 * tables do not hold their shapes.
 */
#include <string.h>

#include "engine/util/bug.h"
#include "engine/util/mem.h"
#include "src/qmp/command.h"
#include "src/qmp/event.h"

static const struct builtin {
	char type;			/* in a specification */
	const char *name, *json;
} builtins[] = {
	{ 's', "str", "string" },
	{ 'i', "int", "int" },
	{ 'b', "bool", "boolean" },
	{ 'o', "object", "object" },
	{ 'a', "array", "array" },
	{ 'v', "any", "value" },
};

#define BUILTINS (sizeof(builtins) / sizeof(*builtins))

static void qmp_schema_add(json_t *schema, json_t *entry)
{
	json_array_append_new(schema, entry);
}

static json_t *type_entry(const char *name, const char *meta)
{
	return json_pack("{s:s, s:s}", "name", name, "meta-type", meta);
}

/* "enum" is called after the argument it is for. */
static json_t *enum_entry(const char *name, const struct args_item *item)
{
	json_t *entry = type_entry(name, "enum");
	json_t *values = json_array(), *members = json_array();
	const char *s = item->values, *end = s + item->values_len;

	while (s < end) {
		size_t len = strcspn(s, "|,");

		if (len > (size_t)(end - s))
			len = (size_t)(end - s);
		json_array_append_new(values, json_stringn(s, len));
		json_array_append_new(members, json_pack("{s:s%}", "name", s,
							 len));
		s += len + 1;
	}
	json_object_set_new(entry, "values", values);
	json_object_set_new(entry, "members", members);
	return entry;
}

/* To QMP all integers are one type. */
static const char *builtin_name(char type)
{
	if (type == 'u')
		type = 'i';
	for (size_t i = 0; i < BUILTINS; i++)
		if (builtins[i].type == type)
			return builtins[i].name;
	BUG("argument type '%c'", type);
}

static json_t *member(json_t *schema, const char *owner,
		      const struct args_item *item)
{
	char *name = mem_printf("%s-%.*s", owner, (int)item->name_len,
				item->name);
	bool is_enum = item->type == 'e';
	json_t *info;

	if (is_enum)
		qmp_schema_add(schema, enum_entry(name, item));
	info = json_pack("{s:s%, s:s}", "name", item->name, item->name_len,
			 "type", is_enum ? name : builtin_name(item->type));
	if (item->optional)
		json_object_set_new(info, "default", json_null());
	free(name);
	return info;
}

/* The object of a specification; its name, which the caller owns. */
static json_t *object_entry(json_t *schema, const char *owner,
			    const char *spec)
{
	json_t *name = json_sprintf("%s-arg", owner);
	json_t *entry = type_entry(json_string_value(name), "object");
	json_t *members = json_array();
	struct args_item item;

	while (args_next(&spec, &item))
		json_array_append_new(members, member(schema, owner, &item));
	json_object_set_new(entry, "members", members);
	qmp_schema_add(schema, entry);
	return name;
}

static void qmp_schema_add_command(const struct qmp_command *cmd, void *schema)
{
	json_t *entry = type_entry(cmd->name, "command");

	json_object_set_new(entry, "arg-type",
			    object_entry(schema, cmd->name, cmd->args));
	json_object_set_new(entry, "ret-type", json_string("any"));
	json_object_set_new(entry, "allow-oob", json_false());
	qmp_schema_add(schema, entry);
}

static void add_event(const char *name, const char *members, void *schema)
{
	json_t *entry = type_entry(name, "event");

	json_object_set_new(entry, "arg-type",
			    object_entry(schema, name, members));
	qmp_schema_add(schema, entry);
}

static json_t *query_schema(struct qmp_context *ctx, json_t *args,
			    struct err *err)
{
	json_t *schema = json_array();

	(void)ctx;
	(void)args;
	(void)err;
	for (size_t i = 0; i < BUILTINS; i++) {
		json_t *entry = type_entry(builtins[i].name, "builtin");

		json_object_set_new(entry, "json-type",
				    json_string(builtins[i].json));
		qmp_schema_add(schema, entry);
	}
	qmp_each(qmp_schema_add_command, schema);
	qmp_event_each(add_event, schema);
	return schema;
}

static void qmp_schema_add_name(const char *name, const char *members,
				void *list)
{
	(void)members;
	qmp_schema_add(list, json_pack("{s:s}", "name", name));
}

static json_t *query_events(struct qmp_context *ctx, json_t *args,
			    struct err *err)
{
	json_t *list = json_array();

	(void)ctx;
	(void)args;
	(void)err;
	qmp_event_each(qmp_schema_add_name, list);
	return list;
}

const struct qmp_command qmp_schema_commands[] = {
	{ "query-qmp-schema", "", query_schema, false },
	{ "query-events", "", query_events, false },
	{ .name = NULL }
};
