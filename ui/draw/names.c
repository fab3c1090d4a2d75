/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/draw/names.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "ui/draw/text.h"

#define WORDS 64u
#define NAME_DEPTH 4096u	/* bytes of a name that are compared */
#define END_LONGEST 6u		/* ".qcow2" */

/* --- words --- */

static bool is_of_word(char c)
{
	return isalnum((unsigned char)c) || (c & 0x80);
}

/* The length of the word that begins at @s: the signs, then what follows. */
static size_t name_word_len(const char *s)
{
	size_t len = 0;

	while (s[len] && !is_of_word(s[len]))
		len++;
	while (s[len] && is_of_word(s[len]))
		len++;
	return len;
}

/* The words of a name: their beginnings, and the end of the last. */
struct name_words {
	const char *at[WORDS + 1];
	unsigned n;
};

static void names_split(struct name_words *w, const char *name)
{
	w->n = 0;
	while (*name && w->n < WORDS) {
		w->at[w->n++] = name;
		name += w->n < WORDS ? name_word_len(name) : strlen(name);
	}
	w->at[w->n] = name;
}

/* --- telling apart --- */

static size_t names_common(const char *a, const char *b)
{
	size_t len = 0;

	while (len < NAME_DEPTH - 1 && a[len] && a[len] == b[len])
		len++;
	return len;
}

/* Marks the word that byte @at lies in; at the end of the name, the last. */
static void mark_word(struct name_cut *cut, const struct name_words *w,
		      size_t at)
{
	unsigned i = 0;

	while (i + 1 < w->n && (size_t)(w->at[i + 1] - w->at[0]) <= at)
		i++;
	cut->words |= (uint64_t)1 << i;
}

struct sorted_name {
	const char *name;
	size_t index;
};

static int names_order(const void *a, const void *b)
{
	return strcmp(((const struct sorted_name *)a)->name,
		      ((const struct sorted_name *)b)->name);
}

/* In order, a name parts from those before it where it parts from the one
 * before, and where that one did from those before it, as far as they have
 * that much in common. @part holds these places, from the left to the right. */
struct parting {
	size_t at[NAME_DEPTH];
	size_t n;
};

static void names_part(struct parting *p, const char *name, const char *last)
{
	size_t len = names_common(name, last);

	while (p->n && p->at[p->n - 1] >= len)
		p->n--;
	/* The same name in two folders parts nowhere. */
	if (!strcmp(name, last))
		return;
	/* Where a word of the other goes on, the one that ends here differs. */
	if (len && is_of_word(last[len]) && !is_of_word(name[len]))
		len--;
	if (!p->n || p->at[p->n - 1] < len)
		p->at[p->n++] = len;
}

static void names_sweep(const struct sorted_name *list, size_t n, bool up,
			struct name_cut *cuts)
{
	struct parting *p = mem_alloc(sizeof(*p));
	struct name_words w;

	for (size_t i = 1; i < n; i++) {
		const struct sorted_name *s = &list[up ? i : n - 1 - i];

		names_part(p, s->name, list[up ? i - 1 : n - i].name);
		names_split(&w, s->name);
		for (size_t k = 0; k < p->n; k++)
			mark_word(&cuts[s->index], &w, p->at[k]);
	}
	free(p);
}

/* What stands behind the last dot, with it: "" if that is no end. */
static const char *name_end(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && dot != name && strlen(dot) <= END_LONGEST &&
		name_word_len(dot) == strlen(dot) ? dot : "";
}

void names_tell_apart(const char *const *names, struct name_cut *cuts,
		      size_t n)
{
	struct sorted_name *list = mem_alloc((n + 1) * sizeof(*list));
	bool same = n > 1;

	for (size_t i = 0; i < n; i++) {
		const char *end = name_end(names[i]);

		list[i] = (struct sorted_name) { names[i], i };
		same &= *end && !strcmp(end, name_end(names[0]));
	}
	for (size_t i = 0; i < n; i++)
		cuts[i] = (struct name_cut) { .same_end = same };
	qsort(list, n, sizeof(*list), names_order);
	names_sweep(list, n, true, cuts);
	names_sweep(list, n, false, cuts);
	free(list);
}

/* --- cutting --- */

static bool is_kept(uint64_t kept, unsigned i)
{
	return kept >> i & 1;
}

/* The words that are kept, and a sign for each run of others. */
static void add_kept(struct str *out, const struct name_words *w,
		     uint64_t kept, bool ascii)
{
	for (unsigned i = 0; i < w->n; i++)
		if (is_kept(kept, i))
			str_add_mem(out, w->at[i],
				    (size_t)(w->at[i + 1] - w->at[i]));
		else if (!i || is_kept(kept, i - 1))
			str_add(out, ascii ? "~" : "…");
}

/* Keeps the first word, or the last, that is left out, if there is room. */
static bool keep_one(const struct name_words *w, uint64_t *kept, bool front,
		     unsigned columns)
{
	struct str text = STR_INIT;
	unsigned i = front ? 0 : w->n - 1;
	uint64_t more;
	bool fits;

	while (i < w->n && is_kept(*kept, i))
		i += front ? 1 : -1u;
	if (i >= w->n)
		return false;
	more = *kept | (uint64_t)1 << i;
	add_kept(&text, w, more, false);
	fits = text_columns(str_get(&text)) <= columns;
	if (fits)
		*kept = more;
	str_release(&text);
	return fits;
}

/* From both ends, in turn. */
static void fill_up(const struct name_words *w, uint64_t *kept,
		    unsigned columns)
{
	bool front = true, back = true;

	while (front || back) {
		front = front && keep_one(w, kept, true, columns);
		back = back && keep_one(w, kept, false, columns);
	}
}

/* Without the end that all have; the caller's. */
static char *name_stem(const char *name, struct name_cut cut)
{
	size_t end = cut.same_end ? strlen(name_end(name)) : 0;

	return mem_printf("%.*s", (int)(strlen(name) - end), name);
}

unsigned names_columns(const char *name, struct name_cut cut)
{
	char *stem = name_stem(name, cut);
	unsigned columns = text_columns(stem);

	free(stem);
	return columns;
}

void names_fit(struct str *out, const char *name, struct name_cut cut,
	       unsigned columns, bool ascii)
{
	struct str text = STR_INIT;
	struct name_words w;
	char *stem;

	stem = name_stem(name, cut);
	if (text_columns(stem) <= columns) {
		str_add(out, stem);
		free(stem);
		return;
	}
	names_split(&w, stem);
	fill_up(&w, &cut.words, columns);
	/* One long word is nothing to choose from. */
	if (cut.words)
		add_kept(&text, &w, cut.words, ascii);
	else
		str_add(&text, stem);
	text_fit_middle(out, str_get(&text), columns, ascii);
	str_release(&text);
	free(stem);
}

#define SHARE_LEAST 4u	/* "…-03" */

unsigned names_share(const char *from, struct name_cut from_cut,
		     const char *to, struct name_cut to_cut, unsigned room)
{
	unsigned a = names_columns(from, from_cut), half = room / 2;
	unsigned b = names_columns(to, to_cut);
	size_t len = strlen(from);
	bool count = len > 7 && !strcmp(from + len - 7, " layers");

	if (a + b <= room || (count && a + SHARE_LEAST <= room))
		return a;
	if (b < half)
		half = room - b;
	return a < half ? a : half;
}
