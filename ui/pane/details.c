/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is to be known of the selected image, where the log would be empty:
 * its whole path, what it is, how it lies and what of it is dead.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/size.h"
#include "src/console/fields.h"
#include "ui/draw/text.h"
#include "ui/pane/place_row.h"
#include "ui/pane/sheet.h"

#define READS_COLUMNS 160u	/* of the screen, to list the chain */
#define READS_NAME 50u

struct details {
	struct sheet *s;
	const struct view_image *v;
	struct str text;
};

static void add_format(struct details *d)
{
	const json_t *image = d->v->image;
	const json_t *of = json_object_get(json_object_get(image,
		"format-specific"), "data");
	uint64_t cluster = field_u64(image, "cluster-size");
	const char *compat = field_str(of, "compat");
	char size[16];

	str_addf(&d->text, "%s, %s", size_short(d->v->size, size, sizeof(size)),
		 *d->v->format ? d->v->format : "unknown");
	if (*compat)
		str_addf(&d->text, " v%s", strcmp(compat, "0.10") ? "3" : "2");
	if (cluster)
		str_addf(&d->text, ", %s clusters",
			 size_brief(cluster, size, sizeof(size)));
	if (field_bool(of, "lazy-refcounts"))
		str_add(&d->text, ", lazy refcounts");
	str_add_char(&d->text, '\n');
}

static void details_bytes(struct details *d)
{
	struct map_sum sum;
	char disk[16], dead[16];

	client_map(d->s->client, d->v->node, NULL, &sum);
	str_addf(&d->text, "%s on disk", size_short(d->v->disk, disk,
						    sizeof(disk)));
	if (d->v->role != VIEW_OPEN)
		;
	else if (sum.dead)
		str_addf(&d->text, ", %s of it dead: no disk sees it",
			 size_short(sum.dead, dead, sizeof(dead)));
	else if (sum.known)
		str_add(&d->text, ", nothing of it dead");
	str_add_char(&d->text, '\n');
}

static void details_name(struct details *d, const struct view_image *v)
{
	names_fit(&d->text, v->name, v->cut, 30, d->s->canvas.ascii);
}

/* The words of the header of a file that is not open, and where they lead. */
static void add_backing_words(struct details *d)
{
	const json_t *link = json_object_get(d->v->entry, "backing");

	if (!link) {
		str_add(&d->text, "lies on nothing");
		return;
	}
	str_add(&d->text, "lies on '");
	str_add_safe(&d->text, field_str(link, "file"));
	str_add(&d->text, field_bool(link, "missing") ?
		"', which is missing; looked for in " : "', which is ");
	str_add_safe(&d->text, *field_str(link, "path") ?
		     field_str(link, "path") : "no local file");
}

static void add_neighbours(struct details *d)
{
	const struct shape *shape = d->s->shape;
	int at = (int)(d->v - shape->images);
	unsigned above = 0;

	if (d->v->backing >= 0) {
		str_add(&d->text, "lies on ");
		details_name(d, &shape->images[d->v->backing]);
	} else {
		add_backing_words(d);
	}
	for (size_t i = 0; i < shape->n; i++) {
		if (shape->images[i].backing != at)
			continue;
		str_add(&d->text, above++ ? ", " : "; under ");
		details_name(d, &shape->images[i]);
	}
	str_add_char(&d->text, '\n');
}

static void add_age(struct details *d)
{
	uint64_t age;
	char buf[16];

	if (chains_age(d->s, d->v, &age))
		str_addf(&d->text, "written %s ago\n",
			 text_age(age, buf, sizeof(buf)));
}

/* "web-03   1.20M/s  33.0M": who answers the reads, from the top down. */
static void add_reads_of(struct details *d, const struct view_image *v)
{
	const struct view_read *r = view_read_of(&d->s->uses, v->node);
	struct str name = STR_INIT;
	char rate[16], all[16];

	if (!r)
		return;
	names_fit(&name, v->name, v->cut, READS_NAME, d->s->canvas.ascii);
	str_addf(&d->text, "  %s%*s %6s/s %7s\n", str_get(&name),
		 (int)(READS_NAME - text_columns(str_get(&name))), "",
		 size_short(r->rate, rate, sizeof(rate)),
		 size_short(r->bytes, all, sizeof(all)));
	str_release(&name);
}

static void add_chain(struct details *d)
{
	const struct shape *shape = d->s->shape;
	size_t begin;

	if (d->v->top < 0 || d->s->canvas.w < READS_COLUMNS)
		return;
	str_addf(&d->text, "\nreads of the chain of %s, now and in all:\n",
		 shape->images[d->v->top].drive);
	begin = d->text.len;
	for (int at = d->v->top; at >= 0; at = shape->images[at].backing)
		add_reads_of(d, &shape->images[at]);
	if (d->text.len == begin)
		str_add(&d->text, "  not looked at: the drive is not "
			"exported\n");
}

static void add_all(struct details *d)
{
	struct str words = STR_INIT;

	str_add_safe(&d->text, d->v->full);
	str_add_char(&d->text, '\n');
	if (!d->v->missing) {
		add_format(d);
		details_bytes(d);
	}
	add_neighbours(d);
	chains_words(d->s, d->v, &words);
	if (words.len)
		str_addf(&d->text, "%s\n", str_get(&words));
	str_release(&words);
	add_age(d);
	str_addf(&d->text, "%s copies the path; %s tells what can be done\n",
		 keys_name(ACTION_COPY), keys_name(ACTION_MENU));
	add_chain(d);
}

/* The text in rows, as many as fit. */
static void draw_text(struct sheet *s, const struct area *area,
		      const char *text)
{
	unsigned y = area->y + 1, w = area->w - 3;

	while (*text && y < area->y + area->h) {
		size_t len = text_row(text, w);
		char *row = mem_printf("%.*s", (int)len, text);

		canvas_put(&s->canvas, area->x + 1, y++, w, STYLE_TEXT, row);
		free(row);
		text += len + (text[len] == '\n');
	}
}

void details_draw(struct sheet *s)
{
	const struct area *area = &s->layout.details;
	struct details d = { .s = s, .v = chains_selected(s) };
	struct str name = STR_INIT;

	if (!area->h)
		return;
	for (unsigned y = area->y + 1; y < area->y + area->h; y++)
		canvas_put(&s->canvas, area->x + area->w, y, 1, STYLE_RULE,
			   s->canvas.ascii ? "|" : "│");
	if (d.v)
		names_fit(&name, d.v->name, d.v->cut, area->w - 8,
			  s->canvas.ascii);
	layout_rule(s, area, false, d.v ? str_get(&name) : s->chains.place ?
		    s->chains.place : "Details", "");
	if (d.v)
		add_all(&d);
	else if (s->chains.place)
		place_row_words(s, place_row_find(s, s->chains.place), &d.text);
	else if (s->chains.on_fold)
		str_addf(&d.text, "Several in one row: %s opens them.",
			 keys_name(ACTION_FOLD));
	draw_text(s, area, str_get(&d.text));
	str_release(&name);
	str_release(&d.text);
}
