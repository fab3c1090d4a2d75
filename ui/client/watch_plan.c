/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What lines would do, asked over the watcher's channel. */
#include <stdlib.h>

#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "src/console/line/console_run.h"
#include "src/console/plan_ask.h"
#include "ui/client/client_impl.h"

/* Takes the lines. */
static struct client_plan find_plan(struct client *c, bool all, char *lines,
				    char *forced)
{
	struct str said = STR_INIT, ignored = STR_INIT;
	struct client_plan plan = { 0 };
	bool more;

	plan.asked = console_ask_lines(c->watch, lines, all, &said,
				       &plan.more);
	if (forced && plan_all_refused(plan.asked))
		plan.forced = console_ask_lines(c->watch, forced, all,
						&ignored, &more);
	plan.said = str_detach(&said);
	str_release(&ignored);
	free(lines);
	free(forced);
	return plan;
}

static void watch_slot(struct client *c, enum client_plan_of of)
{
	struct plan_slot *slot = &c->plans[of];
	struct client_plan plan;
	char *lines, *forced;
	unsigned number;

	lock_take(&c->lock);
	lines = slot->lines;
	forced = slot->forced;
	number = slot->number;
	slot->lines = slot->forced = NULL;
	lock_drop(&c->lock);
	if (!lines)
		return;
	plan = find_plan(c, of == CLIENT_KEY, lines, forced);
	lock_take(&c->lock);
	if (number == slot->number) {
		slot->plan = plan;
		slot->there = true;
		plan = (struct client_plan) { 0 };
	}
	lock_drop(&c->lock);
	client_plan_release(&plan);
	client_tell(c);
}

void client_watch_plans(struct client *c)
{
	watch_slot(c, CLIENT_LINE);
	watch_slot(c, CLIENT_KEY);
}

/* --- the screen's side --- */

void client_plan_release(struct client_plan *plan)
{
	json_decref(plan->asked);
	json_decref(plan->forced);
	free(plan->said);
	*plan = (struct client_plan) { 0 };
}

void client_forget_plan(struct plan_slot *slot)
{
	free(slot->lines);
	free(slot->forced);
	client_plan_release(&slot->plan);
	slot->lines = slot->forced = NULL;
	slot->there = false;
	slot->number++;
}

void client_plan(struct client *c, enum client_plan_of of, const char *lines,
		 const char *forced)
{
	struct plan_slot *slot = &c->plans[of];

	lock_take(&c->lock);
	client_forget_plan(slot);
	slot->lines = mem_dup(lines);
	slot->forced = forced ? mem_dup(forced) : NULL;
	client_ask(c, false);
	lock_drop(&c->lock);
}

void client_plan_drop(struct client *c, enum client_plan_of of)
{
	lock_take(&c->lock);
	client_forget_plan(&c->plans[of]);
	lock_drop(&c->lock);
}

bool client_planned(struct client *c, enum client_plan_of of,
		    struct client_plan *out)
{
	struct plan_slot *slot = &c->plans[of];
	bool there;

	lock_take(&c->lock);
	there = slot->there;
	if (there) {
		*out = slot->plan;
		slot->plan = (struct client_plan) { 0 };
		slot->there = false;
	}
	lock_drop(&c->lock);
	return there;
}
