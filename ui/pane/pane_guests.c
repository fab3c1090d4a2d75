/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who uses the drives that are exported: a row a drive, and where it has
 * several clients a row for each of them.
 */
#include "engine/util/size.h"
#include "ui/draw/spark.h"
#include "ui/draw/text.h"
#include "ui/pane/sheet.h"

#define LATENCY_FROM 100u	/* columns of the screen to have both */

/* Columns end in front of these. */
struct guest_columns {
	unsigned names;			/* how wide */
	unsigned spark, read, write, requests, latency;
};

static struct guest_columns guest_columns(const struct sheet *s)
{
	struct guest_columns k = { .names = 8 };
	unsigned most = s->canvas.w / 3, w;

	k.latency = s->canvas.w - 1;
	k.requests = k.latency - (s->canvas.w >= LATENCY_FROM ? 17 : 9);
	k.write = k.requests - 8;
	k.read = k.write - 10;
	k.spark = k.read - 10;
	for (size_t i = 0; i < s->uses.n; i++) {
		const struct view_use *use = &s->uses.list[i];

		w = *use->client ? 2 + text_columns(use->client) :
			text_columns(use->drive) + 2 + text_columns(use->only);
		k.names = w > k.names ? w : k.names;
	}
	if (k.names > most)
		k.names = most;
	return k;
}

/* So that it ends where the numbers below it do. */
static void guests_title(struct sheet *s, unsigned end, const char *name)
{
	canvas_put_right(&s->canvas, end + 1, s->layout.guests.y, 20,
			 STYLE_DIM, name);
}

static void draw_head(struct sheet *s, const struct guest_columns *k)
{
	unsigned x = k->names + 3;

	layout_rule(s, &s->layout.guests, false, "Guests", "");
	if (k->spark > x + 14)
		canvas_put(&s->canvas, x, s->layout.guests.y, 14, STYLE_DIM,
			   " last minute ");
	guests_title(s, k->read, " read ");
	guests_title(s, k->write, " write ");
	guests_title(s, k->requests, " req/s ");
	guests_title(s, k->latency, s->canvas.w >= LATENCY_FROM ?
		     " p50 / p99 ms " : " p99 ms ");
}

static void draw_names(struct sheet *s, const struct view_use *use,
		       const struct guest_columns *k, unsigned y)
{
	struct canvas *c = &s->canvas;
	const char *client = *use->client ? use->client : use->only;
	struct str text = STR_INIT;
	unsigned x = 2, end = 2 + k->names;

	if (*use->client) {
		x += 2;
	} else {
		text_fit(&text, use->drive, end - x, c->ascii);
		x += canvas_put(c, x, y, end - x, STYLE_DRIVE, str_get(&text));
		x += 2;
		str_clear(&text);
	}
	if (x < end)
		text_fit(&text, client, end - x, c->ascii);
	canvas_put(c, x, y, c->w, STYLE_DIM, str_get(&text));
	str_release(&text);
}

static void guests_put(struct sheet *s, unsigned end, unsigned y,
		       const char *text, bool nothing)
{
	canvas_put_right(&s->canvas, end, y, 16, nothing ? STYLE_DIM :
			 STYLE_TEXT, text);
}

static void draw_speed(struct sheet *s, unsigned end, unsigned y,
		       uint64_t rate)
{
	struct str text = STR_INIT;
	char buf[16];

	str_addf(&text, rate ? "%s/s" : "%s", size_short(rate, buf,
							 sizeof(buf)));
	guests_put(s, end, y, str_get(&text), !rate);
	str_release(&text);
}

static double in_ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static void draw_latency(struct sheet *s, const struct view_use *use,
			 unsigned end, unsigned y)
{
	struct str text = STR_INIT;

	if (!use->p99_ns)
		return;
	if (s->canvas.w >= LATENCY_FROM)
		str_addf(&text, "%.2f / ", in_ms(use->p50_ns));
	str_addf(&text, "%.2f", in_ms(use->p99_ns));
	guests_put(s, end, y, str_get(&text), false);
	str_release(&text);
}

static void draw_use(struct sheet *s, const struct view_use *use,
		     const struct guest_columns *k, unsigned y)
{
	unsigned x = k->names + 4;
	struct str text = STR_INIT;

	draw_names(s, use, k, y);
	if (k->spark > x)
		spark_draw(&s->canvas, x, y, k->spark - x > USE_SPARK ?
			   USE_SPARK : k->spark - x, use->spark, USE_SPARK);
	draw_speed(s, k->read, y, use->rd);
	draw_speed(s, k->write, y, use->wr);
	str_addf(&text, "%ju", (uintmax_t)use->ops);
	guests_put(s, k->requests, y, str_get(&text), !use->ops);
	draw_latency(s, use, k->latency, y);
	str_release(&text);
}

void guests_draw(struct sheet *s)
{
	const struct area *area = &s->layout.guests;
	struct guest_columns k = guest_columns(s);

	if (!area->h)
		return;
	draw_head(s, &k);
	for (unsigned i = 0; i + 1 < area->h && i < s->uses.n; i++)
		draw_use(s, &s->uses.list[i], &k, area->y + 1 + i);
}
