/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What x-blkmon-plan answers, in words: what matters first.
 */
#include <string.h>

#include "engine/util/size.h"
#include "engine/util/str.h"
#include "src/console/fields.h"
#include "src/console/plan_text.h"

static uint64_t plan_int(const json_t *from, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(from, key));
}

static void plan_label(struct str *out, const char *label)
{
	str_addf(out, "%-*s", PLAN_LABEL, label);
}

const char *plan_file(const json_t *entry)
{
	return json_is_string(entry) ? json_string_value(entry) :
		field_str(entry, "filename");
}

void plan_name_add(const struct plan_names *names, const char *path,
		   struct str *out)
{
	const char *slash = strrchr(path, '/');

	if (names && names->add)
		names->add(names->arg, path, out);
	else if (*path != '/' && strstr(path, "://"))
		str_add_safe(out, path);
	else
		str_add_safe(out, slash && slash[1] ? slash + 1 : path);
}

/* " WORD SIZE", with a comma in front of all but the first. */
static void plan_add_way(struct str *out, bool *any, const json_t *bytes,
			 const char *way)
{
	uint64_t n = plan_int(bytes, way);
	char buf[8];

	if (!n)
		return;
	str_addf(out, "%s%s %s", *any ? ", " : "",
		 size_short(n, buf, sizeof(buf)), way);
	*any = true;
}

static void plan_moves(const json_t *plan, struct str *out)
{
	static const char *const ways[] = {
		"copied", "overwritten", "cloned", "zeroed",
	};
	const json_t *bytes = json_object_get(plan, "bytes");
	bool any = false;
	char buf[8];

	plan_label(out, "moves");
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		plan_add_way(out, &any, bytes, ways[i]);
	if (!any && *field_str(bytes, "estimate"))
		str_addf(out, "about %s, by the %s of the files",
			 size_short(plan_int(bytes, "left"), buf,
				    sizeof(buf)),
			 strcmp(field_str(bytes, "estimate"), "maps") ?
			 "sizes" : "maps");
	else if (!any && plan_int(bytes, "left"))
		str_addf(out, "%s still", size_short(plan_int(bytes, "left"),
						     buf, sizeof(buf)));
	else if (!any)
		str_add(out, "nothing");
	str_add_char(out, '\n');
}

static void plan_room(const json_t *plan, struct str *out)
{
	const json_t *space = json_object_get(plan, "space");
	const json_t *left = json_object_get(space, "free");
	char needs[8], has[8], kept[8];

	if (!json_is_object(space))
		return;
	plan_label(out, "space");
	if (json_is_integer(json_object_get(space, "needs")))
		str_addf(out, "+%s ", size_short(plan_int(space, "needs"),
						 needs, sizeof(needs)));
	str_add(out, "in ");
	str_add_safe(out, field_str(space, "folder"));
	if (json_is_integer(left))
		str_addf(out, ", %s free", size_short(plan_int(space, "free"),
						      has, sizeof(has)));
	if (plan_int(space, "reserved"))
		str_addf(out, ", of which jobs need %s",
			 size_short(plan_int(space, "reserved"), kept,
				    sizeof(kept)));
	str_add(out, json_is_false(json_object_get(space, "fits")) ?
		": it does not fit\n" : "\n");
}

static void plan_time(const json_t *plan, struct str *out)
{
	const json_t *seconds = json_object_get(plan, "seconds");
	uint64_t s = plan_int(plan, "seconds");

	if (!json_is_integer(seconds) || !s)
		return;
	plan_label(out, "time");
	str_addf(out, "about %llu:%02llu, as measured here\n",
		 (unsigned long long)(s / 60), (unsigned long long)(s % 60));
}

/* File names of a list, the first few. */
static void plan_list(const json_t *list, const char *between,
		      const struct plan_names *names, struct str *out)
{
	size_t i, n = json_array_size(list);
	json_t *entry;

	json_array_foreach(list, i, entry) {
		if (i == 4 && n > 5) {
			str_addf(out, "%s... (%zu more)", between, n - 4);
			return;
		}
		str_add(out, i ? between : "");
		plan_name_add(names, plan_file(entry), out);
	}
}

static void plan_line_of(const json_t *list, const char *label,
			 const char *between, const struct plan_names *names,
			 struct str *out)
{
	if (!json_array_size(list))
		return;
	plan_label(out, label);
	plan_list(list, between, names, out);
	str_add_char(out, '\n');
}

static void plan_unused(const json_t *plan, const struct plan_names *names,
			struct str *out)
{
	const json_t *unused = json_object_get(plan, "unused");
	char buf[8];

	if (!json_array_size(unused) && plan_int(plan, "gives-back")) {
		plan_label(out, "frees");
		str_addf(out, "%s\n", size_short(plan_int(plan, "gives-back"),
						 buf, sizeof(buf)));
	}
	if (!json_array_size(unused))
		return;
	plan_label(out, "unused");
	plan_list(unused, ", ", names, out);
	str_addf(out, "; %s free when deleted\n",
		 size_short(plan_int(plan, "gives-back"), buf, sizeof(buf)));
}

static void plan_hits(const json_t *plan, const struct plan_names *names,
		      struct str *out)
{
	const json_t *hits = json_object_get(plan, "hits");

	plan_line_of(json_object_get(hits, "drives"), "! drives", ", ", NULL,
		     out);
	if (json_array_size(json_object_get(hits, "siblings"))) {
		plan_label(out, "! others");
		plan_list(json_object_get(hits, "siblings"), ", ", names, out);
		str_add(out, ": not open here, and would read changed data\n");
	}
	plan_line_of(json_object_get(hits, "snapshots"), "! inside", ", ",
		     names, out);
	plan_line_of(json_object_get(hits, "exports"), "exports", ", ", NULL,
		     out);
}

/* What its end does not tell. */
static void plan_not_known(const json_t *plan, struct str *out)
{
	const json_t *unknown = json_object_get(plan, "unknown");
	json_t *what;
	size_t i;

	if (!json_array_size(unknown))
		return;
	plan_label(out, "unknown");
	json_array_foreach(unknown, i, what) {
		str_add(out, i ? ", " : "");
		str_add_safe(out, json_string_value(what));
	}
	str_add_char(out, '\n');
}

static void plan_head(const json_t *plan, const struct plan_names *names,
		      bool deletes, struct str *out)
{
	str_addf(out, "%s", field_str(plan, "kind"));
	if (*field_str(plan, "device")) {
		str_add(out, " of ");
		str_add_safe(out, field_str(plan, "device"));
	}
	str_add(out, ": ");
	plan_list(json_object_get(plan, "layers"), deletes ? ", " : " on ",
		  names, out);
	str_add_char(out, '\n');
}

static void plan_cancel(const json_t *plan, struct str *out)
{
	plan_label(out, "cancel");
	str_addf(out, "%s\n", field_str(json_object_get(plan, "cancel"),
					"says"));
}

/* What is true of all of a transaction, and what becomes of each chain. */
static void plan_text_of_all(const json_t *plan, const json_t *actions,
			     const struct plan_names *names, struct str *out)
{
	size_t i, n = json_array_size(actions);
	json_t *action;

	str_addf(out, "transaction: %zu action%s at one moment, or none\n",
		 n, n == 1 ? "" : "s");
	plan_room(plan, out);
	plan_hits(plan, names, out);
	json_array_foreach(actions, i, action)
		plan_line_of(json_object_get(action, "chain"), "then", " on ",
			     names, out);
	plan_not_known(plan, out);
	plan_cancel(plan, out);
}

static void plan_text(const json_t *plan, const struct plan_names *names,
		      struct str *out)
{
	bool deletes = !strcmp(field_str(plan, "kind"), "delete");

	plan_head(plan, names, deletes, out);
	if (!deletes)
		plan_moves(plan, out);
	plan_room(plan, out);
	plan_time(plan, out);
	plan_hits(plan, names, out);
	plan_line_of(json_object_get(plan, "chain"), "then", " on ", names,
		     out);
	plan_unused(plan, names, out);
	plan_not_known(plan, out);
	plan_cancel(plan, out);
	if (*field_str(plan, "undo")) {
		plan_label(out, "undo");
		str_addf(out, "%s\n", field_str(plan, "undo"));
	}
}

char *plan_text_of(const json_t *plan, const struct plan_names *names)
{
	const json_t *actions = json_object_get(plan, "actions");
	struct str out = STR_INIT;

	if (actions)
		plan_text_of_all(plan, actions, names, &out);
	else
		plan_text(plan, names, &out);
	return str_detach(&out);
}
