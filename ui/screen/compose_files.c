/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files that are not open, and what may be done with them. One that nothing
 * uses may still be wanted: a disk of a guest that is off. So of several at
 * once only those go that jobs have left.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/size.h"
#include "src/console/fields.h"
#include "ui/draw/text.h"
#include "ui/screen/compose.h"

struct files_meant {
	size_t n, others;
	uint64_t bytes;
};

/* A name of bytes that are no text came as "\\xNN", which is another's. */
static bool has_odd_name(const struct view_image *v)
{
	return strstr(v->full, "\\x");
}

static void delete_add(struct draft *d, const struct view_image *v,
		       struct files_meant *m)
{
	str_add_word(&d->line, v->full);
	m->bytes += v->disk;
	m->n++;
}

static void delete_note(struct draft *d, const struct files_meant *m)
{
	char size[16];

	d->plans = true;
	size_short(m->bytes, size, sizeof(size));
	if (m->n == 1)
		str_addf(&d->note, "deletes this file, %s", size);
	else
		str_addf(&d->note, "deletes %zu files, %s", m->n, size);
	if (m->others)
		str_addf(&d->note, "; %zu that no job has left stay%s",
			 m->others, m->others == 1 ? "s" : "");
}

static void delete_fold(struct draft *d, const struct view_image *v, size_t n)
{
	struct files_meant m = { 0 };

	if (v->group != GROUP_UNUSED) {
		str_addf(&d->note, "no file that nothing uses: %s opens the "
			 "fold", keys_name(ACTION_FOLD));
		return;
	}
	str_add(&d->line, "delete");
	for (size_t i = 0; i < n; i++)
		if (v[i].left && !has_odd_name(&v[i]))
			delete_add(d, &v[i], &m);
		else
			m.others++;
	if (m.n) {
		delete_note(d, &m);
		return;
	}
	str_clear(&d->line);
	str_addf(&d->note, "no job has left these: %s lists them, %s deletes "
		 "one", keys_name(ACTION_FOLD), keys_name(ACTION_DELETE));
}

static void delete_one(struct draft *d, const struct view_image *v)
{
	struct files_meant m = { 0 };

	if (v->role == VIEW_UNUSED && has_odd_name(v)) {
		str_add(&d->note, "a name that is no text: rm it");
	} else if (v->role == VIEW_UNUSED) {
		str_add(&d->line, "delete");
		delete_add(d, v, &m);
		delete_note(d, &m);
	} else if (v->role == VIEW_OPEN) {
		str_addf(&d->note, "%s is open: only a file that nothing uses "
			 "can go", v->name);
	} else {
		str_addf(&d->note, "%s is ", v->name);
		chains_role_words(v, &d->note);
	}
}

static void compose_delete(const struct sheet *s, struct draft *d)
{
	const struct view_image *v = chains_selected(s);
	size_t n;

	if (v) {
		delete_one(d, v);
		return;
	}
	v = chains_selected_fold(s, &n);
	if (v)
		delete_fold(d, v, n);
	else
		str_add(&d->note, "select a file that nothing uses");
}

bool compose_files(const struct sheet *s, enum action action, struct draft *d)
{
	if (action != ACTION_DELETE)
		return false;
	compose_delete(s, d);
	return true;
}
