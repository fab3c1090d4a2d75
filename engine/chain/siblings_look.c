/* siblings_look.c - which images of some folders lead to a layer; see
 * siblings.h.
 */
#include "engine/chain/sibling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/folders.h"
#include "engine/chain/lead.h"
#include "engine/event/event.h"
#include "engine/file/folder.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

/* --- the look: which images lead where --- */

struct look {
	struct siblings *s;
	struct peek_cache *cache;
	struct folder *folder;
	struct folders folders;
	char last[PEEK_NAME_MAX + 1]; /* the name before, and ... */
	struct sibling_id last_to;	/* ... where it leads */
	char *last_below;
	uint32_t *slot;		/* by `self` of who has a backing file, index
				   into found + 1; 0: free */
	size_t slots;		/* a power of two */
	uint64_t end_ns;
};

static bool is_over(struct look *l)
{
	l->s->cut |= clock_ns() > l->end_ns;
	return l->s->cut;
}

/* Without the memory for @p the look is over. */
static void look_lacks(struct siblings *s, const void *p)
{
	if (p)
		return;
	s->cut = true;
	s->lost = ENOMEM;
}

static char *look_dup(struct siblings *s, const char *text)
{
	char *copy = mem_try_dup(text, strlen(text));

	look_lacks(s, copy);
	return copy;
}

/* Where a name leads: to the first that is a layer, or else that is there. */
struct landing {
	const struct look *look;
	struct sibling_id to;
	char *path;		/* NULL: nowhere */
};

static bool land(void *arg, const char *path)
{
	struct landing *at = arg;
	struct sibling_id to;
	struct stat st;

	if (stat(path, &st) || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
		return false;
	to = sibling_id_at(&st);
	if (at->path && !sibling_layer_of(at->look->s, &to))
		return false;
	free(at->path);
	at->path = look_dup(at->look->s, path);
	at->to = to;
	return sibling_layer_of(at->look->s, &to);
}

/* The path is the caller's to free, or NULL. Most images of a folder lead to
 * the same one. */
static char *follow(struct look *l, const char *path, bool link,
		    const char *name, struct sibling_id *to)
{
	struct landing at = { .look = l };

	if (!link && !strcmp(name, l->last)) {
		*to = l->last_to;
		return l->last_below ? look_dup(l->s, l->last_below) : NULL;
	}
	lead_each(path, link, name, land, &at);
	if (!link) {
		strcpy(l->last, name);
		l->last_to = at.to;
		free(l->last_below);
		l->last_below = mem_dup(at.path);
	}
	*to = at.to;
	return at.path;
}

static struct sibling *sibling_add(struct look *l, struct sibling_id self,
				   const struct timespec *changed,
				   const char *path)
{
	struct siblings *s = l->s;
	struct sibling *more = mem_try_more(s->found, &s->count_cap,
					    s->count + 1, sizeof(*more));
	char *copy = look_dup(s, path);

	look_lacks(s, more);
	s->found = more ? more : s->found;
	if (!more || !copy) {
		free(copy);
		return NULL;
	}
	more += s->count++;
	*more = (struct sibling){ .self = self, .changed = *changed,
				  .path = copy };
	return more;
}

static void sibling_link(struct look *l, struct sibling *f, bool link,
			 const char *name)
{
	f->below = follow(l, f->path, link, name, &f->to);
	f->layer = f->below ? sibling_layer_of(l->s, &f->to) : NULL;
	f->direct = f->layer;
}

/* What @path has said; one elsewhere that says nothing is remembered, not to be
 * looked at again. A layer is no sibling: in a loop, which is refused
 * when it is opened. */
static void sibling_saw(struct look *l, const struct stat *st,
			const char *path, bool link, const struct peek *said,
			bool elsewhere)
{
	struct sibling_id self = sibling_id_at(st);
	struct sibling *f;

	if (sibling_layer_of(l->s, &self))
		return;
	if (*said->data) {
		f = sibling_add(l, self, &st->st_ctim, path);
		if (f) {
			f->data = true;
			sibling_link(l, f, link, said->data);
		}
	}
	if (!*said->backing && !elsewhere)
		return;
	f = sibling_add(l, self, &st->st_ctim, path);
	if (!f || !*said->backing)
		return;
	sibling_link(l, f, link, said->backing);
	f->lost = !f->below && !elsewhere;
}

static void look_at(struct look *l, struct folder_entry *e)
{
	struct peek said;
	char *path;

	peek_cached(l->cache, l->folder, e, &said);
	if (!*said.backing && !*said.data)
		return;
	path = mem_printf("%s%s", l->folders.path, e->name);
	sibling_saw(l, &e->st, path, e->link, &said, false);
	free(path);
}

static void look_through(struct look *l)
{
	struct siblings *s = l->s;
	struct folder_entry e;

	*l->last = '\0';
	while (folder_next(l->folder, &e, &s->files, s->files_max)) {
		look_at(l, &e);
		if (is_over(l))
			return;
	}
	s->cut = s->files >= s->files_max;
}

static void tell_closed(const struct siblings *s, struct graph *g,
			const char *folder)
{
	if (g->events && !s->again)
		event_notice(g->events, "The folder '%s' can't be read: an "
			     "overlay there that is not open here would not "
			     "be found", *folder ? folder : ".");
}

static void look_beside(struct look *l, struct graph *g, const char *path)
{
	if (l->s->cut)
		return;
	l->folder = folders_enter(&l->folders, path);
	if (!l->folder && errno == EACCES)
		tell_closed(l->s, g, l->folders.path);
	l->s->cut |= l->folders.lost;
	if (l->folder)
		look_through(l);
	folder_close(l->folder);
}

/* Beside the name, and where that is a link beside all on its way. */
static void look_beside_layer(struct look *l, struct graph *g,
			      const char *path)
{
	for (char *at = mem_dup(path); at; at = folders_behind_link(at))
		look_beside(l, g, at);
}

/* --- the way down --- */

static size_t sibling_slot(const struct look *l, const struct sibling_id *id)
{
	uint64_t hash = ((uint64_t)id->ino ^ (uint64_t)id->dev << 40) *
			0x9e3779b97f4a7c15ull;
	size_t at = hash >> 32 & (l->slots - 1);

	while (l->slot[at] &&
	       sibling_compare(&l->s->found[l->slot[at] - 1].self, id))
		at = (at + 1) & (l->slots - 1);
	return at;
}

/* Of the names of one image the first that leads anywhere stands for all. */
static void slot_put(struct look *l, size_t i)
{
	const struct sibling *f = &l->s->found[i];
	size_t at;

	if (f->data)
		return;
	at = sibling_slot(l, &f->self);
	if (!l->slot[at] || !l->s->found[l->slot[at] - 1].below)
		l->slot[at] = (uint32_t)i + 1;
}

/* Room for all, and for as many more. */
static bool slots_make(struct look *l)
{
	size_t want = 1024;

	while (want < 4 * l->s->count)
		want *= 2;
	free(l->slot);
	l->slot = mem_try(want, sizeof(*l->slot));
	l->slots = l->slot ? want : 0;
	for (size_t i = 0; l->slot && i < l->s->count; i++)
		slot_put(l, i);
	look_lacks(l->s, l->slot);
	return l->slot;
}

/* Whose link leads on from where @f leads, or NULL. */
static struct sibling *sibling_below(const struct look *l,
				     const struct sibling *f)
{
	size_t at;

	if (f->layer || f->data || !f->below)
		return NULL;
	at = sibling_slot(l, &f->to);
	return l->slot[at] ? &l->s->found[l->slot[at] - 1] : NULL;
}

/* An image that stands in none of the folders. */
static bool look_elsewhere(struct look *l, const char *path)
{
	struct siblings *s = l->s;
	size_t before = s->count;
	struct peek said;
	struct stat st;

	s->cut |= ++s->files > s->files_max;
	if (is_over(l) || (!sibling_peek(path, &st, &said) && stat(path, &st)))
		return false;
	*l->last = '\0';
	sibling_saw(l, &st, path, false, &said, true);
	if (2 * s->count > l->slots)
		return slots_make(l);
	for (size_t i = before; i < s->count; i++)
		slot_put(l, i);
	return true;
}

/* Until every link ends: at a layer, at nothing, or in a loop. */
static void look_down(struct look *l)
{
	struct siblings *s = l->s;

	if (!s->count || !slots_make(l))
		return;
	for (size_t i = 0; i < s->count; i++) {
		const struct sibling *f = &s->found[i], *below;

		if (f->layer || f->data || !f->below)
			continue;
		below = sibling_below(l, f);
		if ((!below || below->lost) && !look_elsewhere(l, f->below) &&
		    s->cut)
			return;
	}
}

/* The first layer on the way is that of all who go it. */
static void walk_down(struct look *l, struct sibling *first)
{
	struct sibling *f = first, *next;

	for (; !f->walked; f = next) {
		f->walked = true;
		next = sibling_below(l, f);
		if (!next)
			break;
	}
	for (const struct sibling_layer *to = f->layer; to && !first->layer;
	     first = next) {
		next = sibling_below(l, first);
		first->layer = to;
	}
}

/* Another name of one that counts already. */
static bool is_second_name(const struct look *l, const struct sibling *f)
{
	const struct sibling *first;

	if (!l->slot || f->data)
		return false;
	first = &l->s->found[l->slot[sibling_slot(l, &f->self)] - 1];
	return f != first && f->layer == first->layer;
}

/* Those who lead to no layer are none. */
static void keep_siblings(struct look *l)
{
	struct siblings *s = l->s;
	size_t kept = 0;

	for (size_t i = 0; l->slot && i < s->count; i++)
		walk_down(l, &s->found[i]);
	for (size_t i = 0; i < s->count; i++)
		s->found[i].again = is_second_name(l, &s->found[i]);
	for (size_t i = 0; i < s->count; i++) {
		struct sibling *f = &s->found[i];

		free(f->below);
		f->below = NULL;
		if (f->layer && !f->again)
			s->found[kept++] = *f;
		else
			free(f->path);
	}
	s->count = kept;
}

/* --- all together --- */

static void tell_cut(const struct siblings *s, struct graph *g)
{
	if (g->events && s->cut && !s->lost)
		event_notice(g->events, "Not all files beside '%s' were looked "
			     "at (%llu were): an overlay of it that is not "
			     "open here may be among the others",
			     s->layers ? s->layer[0].path : "",
			     (unsigned long long)s->files);
}

void siblings_look(struct siblings *s, struct graph *g)
{
	uint64_t ms = s->ms_max ? s->ms_max : SIBLINGS_MS_MAX;
	struct look l = { .s = s, .cache = g->peeked,
			  .end_ns = clock_ns() + ms * NS_PER_MS };
	int error;

	if (!s->files_max)
		s->files_max = SIBLINGS_FILES_MAX;
	if (!s->layers)
		return;
	folder_lacked();
	if (!siblings_sort(s))
		look_lacks(s, NULL);
	for (size_t i = 0; i < s->layers; i++)
		look_beside_layer(&l, g, s->layer[i].path);
	look_down(&l);
	error = folder_lacked();
	s->lost = error ? error : s->lost;
	keep_siblings(&l);
	folders_release(&l.folders);
	free(l.last_below);
	free(l.slot);
	tell_cut(s, g);
}
