/* forest.c - see forest.h. */
#include "engine/chain/forest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/folders.h"
#include "engine/chain/lead.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

struct forester {
	struct forest *f;
	struct peek_cache *cache;
	struct folders folders;
	size_t *slot;		/* by id of what is no other name, index into
				   forest->image + 1; 0: free */
	size_t slots;		/* a power of two */
	uint64_t end_ns;
};

static void link_release(struct forest_link *link)
{
	free(link->words);
	free(link->path);
}

static void image_release(struct forest_image *i)
{
	free(i->path);
	link_release(&i->backing);
	link_release(&i->data);
}

void forest_release(struct forest *f)
{
	for (size_t i = 0; i < f->count; i++)
		image_release(&f->image[i]);
	free(f->image);
	free(f->first_unread);
	free(f->young);
	free(f->closed);
	*f = (struct forest)FOREST_INIT;
}

static char *forest_dup(struct forest *f, const char *text)
{
	char *copy = text && *text ? mem_try_dup(text, strlen(text)) : NULL;

	f->cut |= text && *text && !copy;
	return copy;
}

static bool forest_is_over(struct forester *w)
{
	w->f->cut |= w->f->files >= w->f->files_max ||
		     clock_ns() > w->end_ns || w->folders.lost;
	return w->f->cut;
}

/* --- by identity --- */

static size_t forest_slot(const struct forester *w, const struct sibling_id *id)
{
	uint64_t hash = ((uint64_t)id->ino ^ (uint64_t)id->dev << 40) *
			0x9e3779b97f4a7c15ull;
	size_t at = hash >> 32 & (w->slots - 1);

	while (w->slot[at] &&
	       sibling_compare(&w->f->image[w->slot[at] - 1].self, id))
		at = (at + 1) & (w->slots - 1);
	return at;
}

/* At most half of them are in use. */
static bool forest_room(struct forester *w)
{
	size_t want = w->slots ? w->slots : 1024;

	while (want < 2 * (w->f->count + 1))
		want *= 2;
	if (want == w->slots)
		return true;
	free(w->slot);
	w->slot = mem_try(want, sizeof(*w->slot));
	w->slots = w->slot ? want : 0;
	w->f->cut |= !w->slot;
	for (size_t i = 0; w->slot && i < w->f->count; i++)
		if (!w->f->image[i].again)
			w->slot[forest_slot(w, &w->f->image[i].self)] = i + 1;
	return w->slot;
}

size_t forest_find(const struct forest *f, const struct sibling_id *id)
{
	for (size_t i = 0; i < f->count; i++)
		if (!f->image[i].again &&
		    !sibling_compare(&f->image[i].self, id))
			return i;
	return FOREST_NONE;
}

static bool forest_has(struct forester *w, const struct sibling_id *id,
		       size_t *at)
{
	size_t slot = forest_room(w) ? w->slot[forest_slot(w, id)] : 0;

	*at = slot ? slot - 1 : FOREST_NONE;
	return slot;
}

/* --- one image --- */

/* NULL: no memory. */
static struct forest_image *forest_add(struct forester *w, const char *path,
				       const struct stat *st)
{
	struct forest *f = w->f;
	struct sibling_id self = sibling_id_at(st);
	struct forest_image *more;
	size_t before;
	bool again = forest_has(w, &self, &before);
	char *copy = forest_dup(f, path);

	more = !copy || f->cut ? NULL :
		mem_try_more(f->image, &f->cap, f->count + 1, sizeof(*more));
	f->cut |= !more;
	if (!more) {
		free(copy);
		return NULL;
	}
	f->image = more;
	more += f->count++;
	*more = (struct forest_image){
		.self = self, .path = copy, .again = again, .st = *st,
		.backing.to = FOREST_NONE, .data.to = FOREST_NONE,
	};
	if (!again)
		w->slot[forest_slot(w, &self)] = f->count;
	return more;
}

static void forest_says(struct forester *w, struct forest_image *i,
			const struct peek *said)
{
	i->format = said->format;
	i->size = said->size ? said->size :
		said->format && !strcmp(said->format, "raw") ?
		(uint64_t)i->st.st_size : 0;
	i->snapshots = said->snapshots;
	i->external = said->external;
	i->backing.words = forest_dup(w->f, said->backing);
	i->data.words = forest_dup(w->f, said->data);
}

/* A file by its name, whatever it is; its index, or FOREST_NONE. */
static size_t forest_add_path(struct forester *w, const char *path)
{
	struct forest_image *i;
	struct sibling_id id;
	struct peek said;
	struct stat st;
	size_t at;

	if (stat(path, &st) || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
		return FOREST_NONE;
	id = sibling_id_at(&st);
	if (forest_has(w, &id, &at))
		return at;
	w->f->files++;
	sibling_peek(path, &st, &said);
	if (!said.format && stat(path, &st))
		return FOREST_NONE;
	i = forest_add(w, path, &st);
	if (!i)
		return FOREST_NONE;
	forest_says(w, i, &said);
	i->outside = !folders_have(&w->folders, path);
	return w->f->count - 1;
}

/* --- the folders --- */

static void forest_cant_read(struct forester *w, const char *name)
{
	w->f->unread++;
	if (!w->f->first_unread)
		w->f->first_unread = mem_printf("%s%s", w->folders.path, name);
}

static bool forest_wants(const struct forest *f, const struct sibling_id *id)
{
	for (size_t i = 0; i < f->wanted_count; i++)
		if (!sibling_compare(&f->wanted[i], id))
			return true;
	return false;
}

/* One that is old can't have changed before it was made. */
static void forest_ask_age(struct forester *w, const struct folder *folder,
			   struct folder_entry *e, const char *format)
{
	struct forest *f = w->f;
	struct sibling_id id;

	if (!f->young_after || f->young || !folder_entry_stat(folder, e) ||
	    (uint64_t)e->st.st_ctim.tv_sec < f->young_after / NS_PER_SEC ||
	    (e->st.st_size && (!format || !strcmp(format, "raw"))))
		return;
	id = sibling_id_at(&e->st);
	if (!forest_wants(f, &id) &&
	    folder_born(folder, e->name) >= f->young_after)
		f->young = mem_printf("%s%s", w->folders.path, e->name);
}

static bool is_raw_name(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && (!strcmp(dot, ".raw") || !strcmp(dot, ".img"));
}

static bool forest_lists(const struct forest *f, const struct folder *folder,
			 struct folder_entry *e, const char *format)
{
	if (!format || strcmp(format, "raw"))
		return format;
	return f->raw_names && is_raw_name(e->name) &&
	       folder_entry_stat(folder, e) && e->st.st_size &&
	       e->st.st_size % 512 == 0;
}

static void forest_look_at(struct forester *w, struct folder *folder,
			   struct folder_entry *e)
{
	struct forest_image *i;
	struct peek said;
	char *path;

	peek_cached(w->cache, folder, e, &said);
	if (!said.format && folder_entry_stat(folder, e) &&
	    e->st.st_size >= PEEK_MIN)
		forest_cant_read(w, e->name);
	forest_ask_age(w, folder, e, said.format);
	if (!forest_lists(w->f, folder, e, said.format))
		return;
	path = mem_printf("%s%s", w->folders.path, e->name);
	i = forest_add(w, path, &e->st);
	if (i) {
		i->link = e->link;
		forest_says(w, i, &said);
	}
	free(path);
}

static void forest_beside(struct forester *w, const char *path)
{
	struct forest *f = w->f;
	struct folder *folder = folders_enter(&w->folders, path);
	struct folder_entry e;

	if (folder && f->enters)
		f->enters(f->arg, w->folders.path);
	if (!folder && errno && !f->closed)
		f->closed = mem_dup(*w->folders.path ? w->folders.path : ".");
	while (folder && !forest_is_over(w) &&
	       folder_next(folder, &e, &f->files, f->files_max))
		forest_look_at(w, folder, &e);
	folder_close(folder);
}

static void forest_beside_file(struct forester *w, const char *path)
{
	for (char *at = mem_dup(path); at; at = folders_behind_link(at))
		forest_beside(w, at);
}

/* --- the links --- */

struct forest_landing {
	const struct forest *f;
	struct forest_link *link;
};

/* What is there counts more than what is not, and what is wanted most. */
static bool forest_land(void *arg, const char *path)
{
	struct forest_landing *l = arg;
	struct forest_link *link = l->link;
	struct sibling_id id = { 0 };
	struct stat st;
	bool found = !stat(path, &st) &&
		     (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));

	if (found)
		id = sibling_id_at(&st);
	if (!link->path || (found && (!link->found ||
				      forest_wants(l->f, &id)))) {
		free(link->path);
		link->path = mem_dup(path);
		link->found = found;
		link->id = id;
	}
	return found && (!l->f->wanted_count || forest_wants(l->f, &id));
}

/* Without a link of its own the image moves with the array: looked up again
 * after each addition. */
static void forest_follow(struct forester *w, size_t at, bool data)
{
	struct forest_image *i = &w->f->image[at];
	struct forest_link link = data ? i->data : i->backing;
	struct forest_landing landing = { .f = w->f, .link = &link };

	if (!link.words)
		return;
	lead_each(i->path, i->link, link.words, forest_land, &landing);
	if (link.found)
		link.to = forest_add_path(w, link.path);
	i = &w->f->image[at];
	*(data ? &i->data : &i->backing) = link;
	if (link.to != FOREST_NONE && link.to != at && !i->again)
		w->f->image[link.to].overlays++;
}

static void forest_follow_all(struct forester *w)
{
	for (size_t i = 0; i < w->f->count && !forest_is_over(w); i++) {
		forest_follow(w, i, false);
		forest_follow(w, i, true);
	}
}

/* --- in order --- */

struct forest_place {
	const char *path;
	size_t from;
};

static int forest_by_path(const void *a, const void *b)
{
	const struct forest_place *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static void forest_renumber(struct forest_link *link, const size_t *to)
{
	if (link->to != FOREST_NONE)
		link->to = to[link->to];
}

static void forest_sort(struct forest *f)
{
	struct forest_place *place = mem_try(f->count + 1, sizeof(*place));
	struct forest_image *image = mem_try(f->count + 1, sizeof(*image));
	size_t *to = mem_try(f->count + 1, sizeof(*to));

	f->cut |= !place || !image || !to;
	if (!place || !image || !to)
		goto out;
	for (size_t i = 0; i < f->count; i++)
		place[i] = (struct forest_place){ f->image[i].path, i };
	qsort(place, f->count, sizeof(*place), forest_by_path);
	for (size_t i = 0; i < f->count; i++) {
		image[i] = f->image[place[i].from];
		to[place[i].from] = i;
	}
	for (size_t i = 0; i < f->count; i++) {
		forest_renumber(&image[i].backing, to);
		forest_renumber(&image[i].data, to);
	}
	free(f->image);
	f->image = image;
	f->cap = f->count + 1;
	image = NULL;
out:
	free(place);
	free(image);
	free(to);
}

void forest_look(struct forest *f, struct graph *g, const char *const *files,
		 size_t n)
{
	struct forester w = { .f = f, .cache = g->peeked,
			      .end_ns = clock_ns() +
					SIBLINGS_MS_MAX * NS_PER_MS };

	if (!f->files_max)
		f->files_max = SIBLINGS_FILES_MAX;
	folder_lacked();
	for (size_t i = 0; i < n; i++)
		forest_beside_file(&w, files[i]);
	for (size_t i = 0; i < n && !forest_is_over(&w); i++)
		forest_add_path(&w, files[i]);
	forest_follow_all(&w);
	forest_sort(f);
	f->cut |= folder_lacked() != 0;
	folders_release(&w.folders);
	free(w.slot);
}
