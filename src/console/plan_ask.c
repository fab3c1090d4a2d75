/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/plan_ask.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/size.h"
#include "src/console/console.h"
#include "src/console/fields.h"
#include "src/console/place_words.h"
#include "src/qmp/command.h"
#include "src/qmp/json/args.h"

/* --- which requests --- */

static bool plan_ask_is_dry(const json_t *request)
{
	return field_bool(json_object_get(request, "arguments"), "dry-run");
}

bool plan_may_ask(const char *name)
{
	return qmp_plans(name) || !strcmp(name, "quit") ||
		qmp_same_name(name, "human-monitor-command");
}

const char *plan_ask_hmp(const json_t *request)
{
	if (!qmp_same_name(field_str(request, "execute"),
			   "human-monitor-command"))
		return NULL;
	return field_str(json_object_get(request, "arguments"),
			 "command-line");
}

/* The drive or the job that it is about, or "". */
static const char *plan_ask_name(const json_t *request)
{
	const json_t *args = json_object_get(request, "arguments");
	const char *device = field_str(args, "device");

	return *device ? device : field_str(args, "id");
}

/* Where that is, as { "name", "address" }, the caller's; NULL: here. */
static json_t *plan_ask_place(struct console *c, const json_t *request)
{
	json_t *reply = channel_call(c->channel, "x-blkmon-query-places",
				     NULL);
	const json_t *place = place_of(json_object_get(reply, "return"),
				       plan_ask_name(request));
	json_t *out = !place ? NULL : json_pack(
		"{s:s, s:s}", "name", field_str(place, "name"), "address",
		field_str(place, "address"));

	json_decref(reply);
	return out;
}

/* Takes @place. */
static void keep(struct console *c, const json_t *request, json_t *reply,
		 json_t *place)
{
	const struct watch_job *job = watch_find(&c->watch,
						 plan_ask_name(request));

	json_array_append_new(c->asked, json_pack(
		"{s:O, s:O*, s:o*, s:b}", "request", request, "reply", reply,
		"place", place, "foreign", job && job->foreign));
}

json_t *plan_ask_keep(struct console *c, json_t *request)
{
	const char *name = field_str(request, "execute");
	enum qmp_plans plans = qmp_plans(name);
	json_t *reply = NULL, *place = NULL;

	if (plans && (c->plan == PLAN_ALL || (plans == QMP_PLAN_ASKED &&
					      !plan_ask_is_dry(request)))) {
		place = plan_ask_place(c, request);
		reply = channel_call(c->channel, "x-blkmon-plan",
				     json_pack("{s:O}", "request", request));
	}
	if (reply || !strcmp(name, "quit") || plan_ask_hmp(request))
		keep(c, request, reply, place);
	else
		json_decref(place);
	json_decref(request);
	if (channel_error(reply) && !plan_is_unknown(reply))
		return reply;
	json_decref(reply);
	return json_pack("{s:{}}", "return");
}

/* --- plans --- */

bool plan_is_unknown(const json_t *reply)
{
	const char *error = channel_error(reply);

	return error && !strcmp(field_str(json_object_get(reply, "error"),
					  "class"), "CommandNotFound") &&
		strstr(error, "plan");
}

const char *plan_role(const json_t *plan, const char *role)
{
	const json_t *entry = args_entry(json_object_get(plan, "layers"),
					 "role", role);

	return entry ? plan_file(entry) : NULL;
}

bool plan_all_refused(const json_t *asked)
{
	json_t *entry;
	size_t i;

	json_array_foreach(asked, i, entry) {
		const json_t *reply = json_object_get(entry, "reply");

		if (!channel_error(reply) || plan_is_unknown(reply))
			return false;
	}
	return json_array_size(asked);
}

static bool same_files(const json_t *a, const json_t *b)
{
	size_t n = json_array_size(a);

	if (n != json_array_size(b))
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(plan_file(json_array_get(a, i)),
			   plan_file(json_array_get(b, i))))
			return false;
	return true;
}

static bool same_lists(const json_t *a, const json_t *b,
		       const char *const *names)
{
	for (; *names; names++)
		if (!same_files(json_object_get(a, *names),
				json_object_get(b, *names)))
			return false;
	return true;
}

static bool same_plan(const json_t *a, const json_t *b)
{
	static const char *const files[] = {
		"layers", "unused", "chain", NULL,
	};
	static const char *const hits[] = {
		"drives", "siblings", "snapshots", "exports", "jobs", NULL,
	};

	return !strcmp(field_str(a, "kind"), field_str(b, "kind")) &&
		!strcmp(field_str(a, "device"), field_str(b, "device")) &&
		same_lists(a, b, files) &&
		same_lists(json_object_get(a, "hits"),
			   json_object_get(b, "hits"), hits) &&
		field_bool(json_object_get(a, "space"), "fits") ==
		field_bool(json_object_get(b, "space"), "fits");
}

static bool same_reply(const json_t *a, const json_t *b)
{
	const char *one = channel_error(a), *other = channel_error(b);

	if (one || other)
		return one && other && !strcmp(one, other);
	return same_plan(json_object_get(a, "return"),
			 json_object_get(b, "return"));
}

bool plan_is_same(const json_t *asked, const json_t *again)
{
	size_t n = json_array_size(asked);

	if (n != json_array_size(again))
		return false;
	for (size_t i = 0; i < n; i++) {
		const json_t *a = json_array_get(asked, i);
		const json_t *b = json_array_get(again, i);

		if (!same_reply(json_object_get(a, "reply"),
				json_object_get(b, "reply")) ||
		    strcmp(field_str(json_object_get(a, "place"), "address"),
			   field_str(json_object_get(b, "place"), "address")))
			return false;
	}
	return true;
}

/* --- the question --- */

static void names_of(const struct plan_names *names, const json_t *list,
		     struct str *out)
{
	size_t i, n = json_array_size(list);
	json_t *entry;

	json_array_foreach(list, i, entry) {
		if (i == 3 && n > 4) {
			str_addf(out, " and %zu more", n - 3);
			return;
		}
		str_add(out, i ? ", " : "");
		plan_name_add(names, plan_file(entry), out);
	}
}

static void title_of_commit(const json_t *plan,
			    const struct plan_names *names, struct str *out)
{
	const char *kind = field_str(plan, "kind");
	const char *top = plan_role(plan, "top"), *base = plan_role(plan,
								    "base");

	str_add(out, "Commit ");
	plan_name_add(names, top ? top : "", out);
	str_add(out, strcmp(kind, "commit") ? " (active)" : "");
	str_add(out, " down into ");
	plan_name_add(names, base ? base : "", out);
	str_add(out, strcmp(kind, "commit-now") ? "" : ", at once");
}

static void title_of_stream(const json_t *plan,
			    const struct plan_names *names, struct str *out)
{
	const json_t *layers = json_object_get(plan, "layers");
	const char *top = plan_role(plan, "top");
	size_t n = 0, i, last = 0;
	json_t *entry;

	json_array_foreach(layers, i, entry)
		if (!strcmp(field_str(entry, "role"), "between")) {
			last = i;
			n++;
		}
	str_add(out, "Stream ");
	if (n == 1)
		plan_name_add(names, plan_file(json_array_get(layers, last)),
			      out);
	else if (n)
		str_addf(out, "%zu layers", n);
	else
		str_add(out, "nothing");
	str_add(out, " up into ");
	plan_name_add(names, top ? top : "", out);
}

static void title_of_snapshot(const json_t *plan,
			      const struct plan_names *names, struct str *out)
{
	const char *overlay = plan_role(plan, "overlay");
	const char *top = plan_role(plan, "top");

	str_add(out, "Snapshot of ");
	str_add_safe(out, field_str(plan, "device"));
	str_add(out, overlay ? ": " : ", inside ");
	if (overlay) {
		plan_name_add(names, overlay, out);
		str_add(out, " on ");
	}
	plan_name_add(names, top ? top : "", out);
}

/* "Cancel job disk0: sn2, base" */
static void title_of_job(const json_t *plan, const struct plan_names *names,
			 struct str *out)
{
	const char *kind = field_str(plan, "kind");
	const json_t *layers = json_object_get(plan, "layers");

	str_add_char(out, (char)toupper((unsigned char)*kind));
	str_addf(out, "%s job ", kind + 1);
	str_add_safe(out, field_str(plan, "job-id"));
	if (!json_array_size(layers))
		return;
	str_add(out, ": ");
	names_of(names, layers, out);
}

static void title_of_delete(const json_t *plan, const struct plan_names *names,
			    struct str *out)
{
	str_add(out, "Delete ");
	names_of(names, json_object_get(plan, "layers"), out);
}

static void title_of_all(const json_t *plan, const struct plan_names *names,
			 struct str *out)
{
	const json_t *actions = json_object_get(plan, "actions");
	size_t n = json_array_size(actions);

	if (n == 1) {
		plan_title(json_array_get(actions, 0), names, out);
		return;
	}
	str_addf(out, "%zu snapshots at one moment: ", n);
	names_of(names, json_object_get(plan, "layers"), out);
}

/* A resize has a drive, or only an image. */
static void title_of_other(const json_t *plan, const struct plan_names *names,
			   struct str *out)
{
	const char *kind = field_str(plan, "kind");
	const char *device = field_str(plan, "device");

	str_addf(out, "%s of ", kind);
	if (*device)
		str_add_safe(out, device);
	else
		names_of(names, json_object_get(plan, "layers"), out);
}

static void title_of_rebase(const json_t *plan, const struct plan_names *names,
			    struct str *out)
{
	const json_t *chain = json_object_get(plan, "chain");
	const char *top = plan_role(plan, "top");

	str_add(out, "Rebase ");
	plan_name_add(names, top ? top : "", out);
	str_add(out, " onto ");
	if (json_array_size(chain) > 1)
		plan_name_add(names, plan_file(json_array_get(chain, 1)), out);
	else
		str_add(out, "nothing");
}

static const struct plan_kind {
	const char *kind;
	void (*title)(const json_t *plan, const struct plan_names *names,
		      struct str *out);
} plan_kinds[] = {
	{ "commit", title_of_commit },
	{ "active-commit", title_of_commit },
	{ "commit-now", title_of_commit },
	{ "stream", title_of_stream },
	{ "snapshot", title_of_snapshot },
	{ "transaction", title_of_all },
	{ "cancel", title_of_job },
	{ "complete", title_of_job },
	{ "undo", title_of_job },
	{ "delete", title_of_delete },
	{ "rebase", title_of_rebase },
};

void plan_title(const json_t *plan, const struct plan_names *names,
		struct str *out)
{
	const char *kind = field_str(plan, "kind");

	for (size_t i = 0; i < sizeof(plan_kinds) / sizeof(*plan_kinds); i++)
		if (!strcmp(plan_kinds[i].kind, kind)) {
			plan_kinds[i].title(plan, names, out);
			return;
		}
	title_of_other(plan, names, out);
}

static void commit_what(const json_t *plan, const struct plan_names *names,
			struct str *what)
{
	const char *base = plan_role(plan, "base");
	const char *kind = field_str(plan, "kind");

	plan_name_add(names, base ? base : "", what);
	str_add(what, " changes");
	if (!strcmp(kind, "active-commit")) {
		str_add(what, "; ");
		str_add_safe(what, field_str(plan, "device"));
		str_add(what, " goes over to it when you complete the job");
	} else if (!strcmp(kind, "commit-now")) {
		str_add(what, "; the active layer is empty then");
	}
	str_add(what, ". ");
}

static void bytes_what(const json_t *plan, const struct plan_names *names,
		       struct str *what)
{
	const json_t *unused = json_object_get(plan, "unused");
	const json_t *space = json_object_get(plan, "space");
	const json_t *bytes = json_object_get(plan, "bytes");
	char moved[8], needs[8], back[8];

	str_addf(what, "Moves %s%s", *field_str(bytes, "estimate") ?
		 "about " : "", size_short(field_u64(bytes, "left"), moved,
					   sizeof(moved)));
	if (json_is_integer(json_object_get(space, "needs")))
		str_addf(what, ", needs %s",
			 size_short(field_u64(space, "needs"), needs,
				    sizeof(needs)));
	str_add(what, ". ");
	if (!json_array_size(unused))
		return;
	str_add(what, "Unused then: ");
	names_of(names, unused, what);
	str_addf(what, ", %s. ", size_short(field_u64(plan, "gives-back"),
					    back, sizeof(back)));
}

static void hits_what(const json_t *plan, const struct plan_names *names,
		      struct str *what)
{
	static const struct {
		const char *key, *says;
	} spoilt[] = {
		{ "siblings", "SPOILT by it: " },
		{ "drives", "Drives that change with it: " },
		{ "snapshots", "Internal snapshots that change: " },
	};
	const json_t *hits = json_object_get(plan, "hits");

	for (size_t i = 0; i < sizeof(spoilt) / sizeof(*spoilt); i++) {
		const json_t *list = json_object_get(hits, spoilt[i].key);

		if (!json_array_size(list))
			continue;
		str_add(what, spoilt[i].says);
		names_of(names, list, what);
		str_add(what, ". ");
	}
}

static void delete_what(const json_t *plan, struct str *what)
{
	char back[8];

	str_addf(what, "Gives back %s, and nothing brings it back. ",
		 size_short(field_u64(plan, "gives-back"), back,
			    sizeof(back)));
}

/* Whose it is, where that is not this program's. */
static void question_whose(const json_t *entry, struct str *text)
{
	const json_t *place = json_object_get(entry, "place");

	if (place) {
		str_add(text, " of ");
		place_add_name(place, plan_ask_name(json_object_get(
			       entry, "request")), text);
	}
	str_add(text, field_bool(entry, "foreign") ? ", which others began?" :
		"?");
}

static void question_of_plan(const json_t *entry,
			     const struct plan_names *names, struct str *text,
			     struct str *what)
{
	const json_t *plan = json_object_get(json_object_get(entry, "reply"),
					     "return");

	plan_title(plan, names, text);
	question_whose(entry, text);
	if (!strcmp(field_str(plan, "kind"), "cancel")) {
		str_add_safe(what, field_str(json_object_get(plan, "cancel"),
					     "says"));
		str_add(what, ". ");
		return;
	}
	hits_what(plan, names, what);
	if (!strcmp(field_str(plan, "kind"), "delete")) {
		delete_what(plan, what);
		return;
	}
	if (strstr(field_str(plan, "kind"), "commit"))
		commit_what(plan, names, what);
	bytes_what(plan, names, what);
}

static void question_of_commit(const json_t *args, const json_t *place,
			       const struct plan_names *names,
			       struct str *text)
{
	const char *top = field_str(args, "top"), *base = field_str(args,
								    "base");

	str_add(text, "Commit ");
	if (*top)
		plan_name_add(names, top, text);
	str_add(text, *top && place ? " of " : "");
	if (!*top || place)
		place_add_name(place, field_str(args, "device"), text);
	str_add(text, " down into ");
	if (*base)
		plan_name_add(names, base, text);
	else
		str_add(text, "its lowest image");
	str_add_char(text, '?');
}

/* An end that has no plans: what was typed is all that is known. */
static void question_of_request(const json_t *entry,
				const struct plan_names *names,
				struct str *text, struct str *what)
{
	const json_t *request = json_object_get(entry, "request");
	const json_t *place = json_object_get(entry, "place");
	const char *name = field_str(request, "execute");
	const json_t *args = json_object_get(request, "arguments");

	if (strstr(name, "cancel")) {
		str_add(text, "Cancel job ");
		place_add_name(place, plan_ask_name(request), text);
		str_add(text, field_bool(entry, "foreign") ?
			", which others began?" : "?");
		str_add(what, "The job is stopped.");
		return;
	}
	if (strstr(name, "delete")) {
		str_add(text, "Delete ");
		names_of(names, json_object_get(args, "files"), text);
		str_add_char(text, '?');
		return;
	}
	if (strstr(name, "undo")) {
		str_add(text, "Undo job ");
		place_add_name(place, plan_ask_name(request), text);
		str_add_char(text, '?');
		return;
	}
	question_of_commit(args, place, names, text);
	str_add(what, "The base changes. This end does not tell how much.");
}

static void question_of_quit(size_t jobs, struct str *text, struct str *what)
{
	str_add(text, "Quit?");
	str_addf(what, "%zu job%s would be cancelled; READY ones don't go over "
		 "to their base. ", jobs, jobs == 1 ? "" : "s");
}

/* False: nothing to ask about it. */
static bool question_of(const json_t *entry, const struct plan_names *names,
			struct str *text, struct str *what)
{
	const json_t *reply = json_object_get(entry, "reply");
	const char *error = channel_error(reply);

	if (!reply && !names->jobs)
		return false;
	if (error && !plan_is_unknown(reply)) {
		str_add(what, "Refused: ");
		str_add_safe(what, error);
		str_add(what, ". ");
		return false;
	}
	str_add(text, text->len ? " Then: " : "");
	if (!reply)
		question_of_quit(names->jobs, text, what);
	else if (error)
		question_of_request(entry, names, text, what);
	else
		question_of_plan(entry, names, text, what);
	return true;
}

bool plan_question_make(const json_t *asked, const struct plan_names *names,
			struct plan_question *q)
{
	struct str text = STR_INIT, what = STR_INIT;
	json_t *entry;
	bool any = false;
	size_t i;

	json_array_foreach(asked, i, entry)
		any |= question_of(entry, names, &text, &what);
	while (what.len && str_get(&what)[what.len - 1] == ' ')
		what.s[--what.len] = '\0';
	*q = (struct plan_question) { str_detach(&text), str_detach(&what) };
	if (!any)
		plan_question_release(q);
	return any;
}

void plan_question_release(struct plan_question *q)
{
	free(q->text);
	free(q->what);
	*q = (struct plan_question) { 0 };
}
