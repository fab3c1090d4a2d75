/* plan_ask.h - what can't be taken back is asked about before it is done.
 *
 * The question is made of what x-blkmon-plan answers for the request, so it is
 * the same in whatever language that was typed, and what is true at the time.
 */
#ifndef BLKMON_CONSOLE_PLAN_ASK_H
#define BLKMON_CONSOLE_PLAN_ASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "src/console/plan_text.h"

struct console;

/* Keeps a request (takes it) in c->asked with its plan, if one asks about such
 * ones. The reply to give in its place, the caller's. */
json_t *plan_ask_keep(struct console *c, json_t *request);
/* A request with this name (old spellings, too) may be kept: it has a plan,
 * ends the program, or hands on a line of HMP. */
bool plan_may_ask(const char *name);
/* The line of HMP that a request hands on; NULL: it is none of these. */
const char *plan_ask_hmp(const json_t *request);

struct plan_question {
	char *text;		/* "Commit sn2 (active) down into base?" */
	char *what;		/* it would do; "" nothing to be said */
};

/* Adds what a plan is of: "Commit sn2 (active) down into base". */
void plan_title(const json_t *plan, const struct plan_names *names,
		struct str *out);

void plan_question_release(struct plan_question *q);
/* Of what console_ask() found. False: nothing is to be asked. What is refused
 * is not asked about, but said in `what`. */
bool plan_question_make(const json_t *asked, const struct plan_names *names,
			struct plan_question *q);
/* All of it is refused, and there is something. */
bool plan_all_refused(const json_t *asked);
/* The same would be done to the same images with the same consequences, if
 * not with the same bytes. */
bool plan_is_same(const json_t *asked, const json_t *again);

/* The file of a plan that has that role, or NULL. */
const char *plan_role(const json_t *plan, const char *role);
/* There is no such command: an older end. */
bool plan_is_unknown(const json_t *reply);

#endif
