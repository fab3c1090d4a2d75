/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/screen/panel.h"

#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/console/fields.h"
#include "src/console/plan_ask.h"
#include "ui/draw/text.h"
#include "ui/screen/screen_impl.h"

#define PANEL_SPEED (64ull << 20)	/* where nothing was measured */
#define PANEL_SLOWEST (64ull << 10)

/* --- what is shown --- */

char *panel_line(const struct panel *p, bool force)
{
	const char *line = str_get(&p->draft.line);
	size_t word = strcspn(line, " "), at = p->draft.speed_at;
	struct str out = STR_INIT;

	str_addf(&out, "%.*s%s%s", (int)word, line, force ? " -f" : "",
		 p->keep ? " -k" : "");
	if (!p->speed || !at) {
		str_add(&out, line + word);
		return str_detach(&out);
	}
	str_addf(&out, "%.*s%s %lluK%s", (int)(at - word), line + word,
		 p->draft.speed_pad, (unsigned long long)p->speed >> 10,
		 line + at + p->draft.speed_len);
	return str_detach(&out);
}

static const json_t *first_reply(const json_t *asked)
{
	return json_object_get(json_array_get(asked, 0), "reply");
}

const json_t *panel_plan(const struct panel *p)
{
	const json_t *plan = json_object_get(first_reply(p->asked), "return");

	return plan ? plan : json_object_get(first_reply(p->forced), "return");
}

const char *panel_refused(const struct panel *p)
{
	const json_t *reply = first_reply(p->asked);

	return plan_is_unknown(reply) ? NULL : channel_error(reply);
}

/* "x-blkmon-way-out"; a way out has none itself. */
static const json_t *panel_way_out(const struct panel *p)
{
	const json_t *error = json_object_get(first_reply(p->asked), "error");

	return p->after.line.len ? NULL :
		json_object_get(error, "x-blkmon-way-out");
}

const json_t *panel_way(const struct panel *p)
{
	return json_object_get(json_object_get(panel_way_out(p), "qmp"),
			       "arguments");
}

bool panel_can_keep(const struct panel *p)
{
	bool commit = str_has_prefix(str_get(&p->draft.line), "block_commit ");

	return p->keep || (commit && panel_plan(p));
}

static void panel_show(struct panel *p, struct sheet *s, json_t *asked,
		       json_t *forced)
{
	json_decref(p->asked);
	json_decref(p->forced);
	p->asked = json_incref(asked);
	p->forced = channel_error(first_reply(forced)) ? NULL :
		json_incref(forced);
	s->plan.shown = panel_plan(p);
}

static void panel_ask(struct panel *p, struct screen *s)
{
	char *line = panel_line(p, p->force);
	char *forced = p->force ? NULL : panel_line(p, true);

	p->asking = true;
	p->jobs = jobs_living(&s->sheet);
	client_plan(s->client, CLIENT_KEY, line, forced);
	free(line);
	free(forced);
}

/* --- opening and closing --- */

bool panel_open(struct panel *p, struct screen *s, enum action action)
{
	struct draft d = DRAFT_INIT;

	compose_draft(&s->sheet, action, &d);
	if (!d.line.len || !d.plans) {
		draft_release(&d);
		return false;
	}
	panel_close(p, &s->sheet);
	*p = (struct panel) { .on = true, .draft = d,
			      .focus = s->sheet.focus };
	panel_ask(p, s);
	return true;
}

void panel_close(struct panel *p, struct sheet *s)
{
	if (p->on)
		s->focus = p->focus;
	draft_release(&p->draft);
	draft_release(&p->after);
	json_decref(p->asked);
	json_decref(p->forced);
	s->plan.shown = NULL;
	s->plan.rows = 0;
	*p = (struct panel) { 0 };
}

/* Shows @d, which it takes, in place of what was shown. */
static void panel_turn(struct panel *p, struct screen *s, struct draft d)
{
	struct draft after = p->after;
	enum pane focus = p->focus;

	p->after = (struct draft)DRAFT_INIT;
	panel_close(p, &s->sheet);
	*p = (struct panel) { .on = true, .draft = d, .after = after,
			      .focus = focus };
	panel_ask(p, s);
}

/* Back to what this was the way out of; false: it was none. */
static bool panel_back(struct panel *p, struct screen *s)
{
	struct draft d = p->after;

	if (!d.line.len)
		return false;
	p->after = (struct draft)DRAFT_INIT;
	panel_turn(p, s, d);
	return true;
}

static void panel_run(struct panel *p, struct screen *s)
{
	char *line = panel_line(p, p->force);

	if (!panel_back(p, s))
		panel_close(p, &s->sheet);
	screen_do(s, line);
	free(line);
}

void panel_planned(struct panel *p, struct screen *s)
{
	struct client_plan plan;
	bool same;

	if (!p->on)
		return;
	if (!client_planned(s->client, CLIENT_KEY, &plan)) {
		if (!p->asking && p->jobs != jobs_living(&s->sheet))
			panel_ask(p, s);
		return;
	}
	p->asking = false;
	same = p->asked && plan_is_same(p->asked, plan.asked);
	panel_show(p, &s->sheet, plan.asked, plan.forced);
	client_plan_release(&plan);
	if (p->sure && same && !panel_refused(p))
		panel_run(p, s);
	else if (p->sure)
		sheet_message(&s->sheet, "this has changed: look again");
	p->sure = false;
}

static bool same_image(const struct view_image *a, const struct view_image *b)
{
	return !strcmp(a->node, b->node) && !strcmp(a->file, b->file) &&
		a->backing == b->backing && a->top == b->top;
}

void panel_shape(struct panel *p, struct screen *s,
		 const struct shape *before)
{
	const struct shape *now = s->sheet.shape;
	bool same = before && before->n == now->n;

	if (!p->on)
		return;
	for (size_t i = 0; same && i < now->n; i++)
		same = same_image(&before->images[i], &now->images[i]);
	if (!same)
		panel_ask(p, s);
}

/* --- keys --- */

/* What is not shown yet is not run. */
static void panel_enter(struct panel *p, struct screen *s)
{
	if (p->asking || !p->asked || s->sheet.layout.too_small) {
		sheet_message(&s->sheet, "what it would do is not known yet");
	} else if (panel_refused(p)) {
		sheet_message(&s->sheet, p->forced ? "refused; f forces it" :
			      "refused: there is nothing to run");
	} else {
		p->sure = true;
		panel_ask(p, s);
	}
}

static void panel_force(struct panel *p, struct screen *s)
{
	if (!p->force && !p->forced) {
		sheet_message(&s->sheet, panel_refused(p) ?
			      "force would not help" : "nothing to force");
		return;
	}
	p->force = !p->force;
	panel_ask(p, s);
}

static void panel_rebase(struct panel *p, struct screen *s)
{
	struct draft d = DRAFT_INIT;

	if (!panel_way(p)) {
		sheet_message(&s->sheet, "there is nothing to rebase first");
		return;
	}
	str_add(&d.line, field_str(panel_way_out(p), "hmp"));
	str_add(&d.note, "rebases the overlay that would be spoilt");
	d.plans = true;
	p->after = p->draft;
	p->draft = (struct draft)DRAFT_INIT;
	panel_turn(p, s, d);
}

static void panel_keep(struct panel *p, struct screen *s)
{
	if (!panel_can_keep(p)) {
		sheet_message(&s->sheet, "only a commit can keep a way back");
		return;
	}
	p->keep = !p->keep;
	panel_ask(p, s);
}

static uint64_t first_speed(const struct panel *p)
{
	const json_t *plan = panel_plan(p);
	uint64_t seconds = field_u64(plan, "seconds"), speed = 0;

	if (seconds)
		speed = field_u64(json_object_get(plan, "bytes"), "left") /
			seconds / 2;
	return speed > PANEL_SLOWEST ? speed : PANEL_SPEED;
}

static void panel_speed(struct panel *p, struct screen *s, bool faster)
{
	uint64_t speed = p->speed;

	if (!p->draft.speed_at || (!speed && faster)) {
		sheet_message(&s->sheet, speed || !faster ?
			      "it has no speed" : "there is no limit");
		return;
	}
	if (faster)
		p->speed = speed > UINT64_MAX >> 2 ? 0 : speed * 2;
	else
		p->speed = speed ? speed / 2 : first_speed(p);
	if (p->speed && p->speed < PANEL_SLOWEST)
		p->speed = PANEL_SLOWEST;
	panel_ask(p, s);
}

static void panel_edit(struct panel *p, struct screen *s)
{
	char *line = panel_line(p, p->force);
	char *note = mem_dup(str_get(&p->draft.note));

	panel_close(p, &s->sheet);
	prompt_set(line, note);
	sheet_focus(&s->sheet, PANE_PROMPT);
	free(line);
	free(note);
}

static void panel_copy(const struct panel *p, struct screen *s)
{
	char *line = panel_line(p, p->force), *safe = text_safe(line);

	sheet_copy(&s->sheet, line);
	sheet_message(&s->sheet, "to the terminal's clipboard: %s", safe);
	free(line);
	free(safe);
}

static void panel_scroll(struct panel *p, int by)
{
	unsigned most = p->rows > p->page ? p->rows - p->page : 0;
	int first = (int)p->first + by;

	p->first = first < 0 ? 0 : (unsigned)first;
	if (p->first > most)
		p->first = most;
}

/* What moves, and keys that mean the same everywhere. False: none of these. */
static bool panel_moves(struct panel *p, struct screen *s, enum action action)
{
	int page = p->page > 1 ? (int)p->page - 1 : 1;

	switch (action) {
	case ACTION_UP:
	case ACTION_DOWN:
		panel_scroll(p, action == ACTION_UP ? -1 : 1);
		return true;
	case ACTION_PAGE_UP:
	case ACTION_PAGE_DOWN:
		panel_scroll(p, action == ACTION_PAGE_UP ? -page : page);
		return true;
	case ACTION_HELP:
	case ACTION_REDRAW:
	case ACTION_SUSPEND:
		action_run(s, action);
		return true;
	case ACTION_INTERRUPT:
	case ACTION_QUIT:
		panel_close(p, &s->sheet);
		return true;
	default:
		return false;
	}
}

/* The key of the panel, or of the hint that was clicked at. */
static int panel_code(const struct panel *p, struct screen *s,
		      const struct key *key)
{
	if (key->code != KEY_MOUSE)
		return key->code;
	if (key->mouse == MOUSE_WHEEL_UP || key->mouse == MOUSE_WHEEL_DOWN)
		return key->mouse == MOUSE_WHEEL_UP ? KEY_UP : KEY_DOWN;
	if (key->mouse == MOUSE_PRESS && key->y == s->sheet.layout.hints.y)
		return panel_hint_at(p, &s->sheet, key->x);
	return 0;
}

void panel_key(struct panel *p, struct screen *s, const struct key *key)
{
	int code = panel_code(p, s, key);

	if (p->sure && code != KEY_ESC)
		return;
	switch (code) {
	case 0:
		break;
	case KEY_ESC:
		if (!panel_back(p, s))
			panel_close(p, &s->sheet);
		break;
	case KEY_RETURN:
		panel_enter(p, s);
		break;
	case 'f':
		panel_force(p, s);
		break;
	case 'b':
		panel_rebase(p, s);
		break;
	case 'u':
		panel_keep(p, s);
		break;
	case 'e':
		panel_edit(p, s);
		break;
	case 'y':
		panel_copy(p, s);
		break;
	case '+':
	case '=':
	case '-':
		panel_speed(p, s, code != '-');
		break;
	default:
		if (!panel_moves(p, s, key_action(code, PANE_CHAINS)))
			sheet_message(&s->sheet, "no such key here: Enter "
				      "runs it, Esc leaves");
	}
}
