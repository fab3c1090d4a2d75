/* siblings.c - what is noted and what is said; see siblings.h. The look is in
 * siblings_look.c.
 */
#include "engine/chain/sibling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"
#include "engine/event/event.h"
#include "engine/file/folder.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"

void siblings_release(struct siblings *s)
{
	for (size_t i = 0; i < s->layers; i++)
		free(s->layer[i].path);
	for (size_t i = 0; i < s->count; i++) {
		free(s->found[i].path);
		free(s->found[i].below);
	}
	free(s->layer);
	free(s->by_id);
	free(s->found);
	memset(s, 0, sizeof(*s));
}

/* --- who is who --- */

static struct sibling_id sibling_id_of(const struct file *f)
{
	return (struct sibling_id){ f->dev, f->ino, f->block_device };
}

struct sibling_id sibling_id_at(const struct stat *st)
{
	if (S_ISBLK(st->st_mode))
		return (struct sibling_id){ st->st_rdev, 0, true };
	return (struct sibling_id){ st->st_dev, st->st_ino, false };
}

int sibling_compare(const struct sibling_id *x, const struct sibling_id *y)
{
	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return (int)x->block_device - (int)y->block_device;
}

static bool sibling_is_file(const struct sibling_id *id, const struct file *f)
{
	struct sibling_id other = sibling_id_of(f);

	return !sibling_compare(id, &other);
}

static int layer_order(const void *a, const void *b)
{
	const struct sibling_layer *const *x = a, *const *y = b;

	return sibling_compare(&(*x)->id, &(*y)->id);
}

bool siblings_sort(struct siblings *s)
{
	s->by_id = mem_try(s->layers, sizeof(*s->by_id));
	if (!s->by_id)
		return false;
	for (size_t i = 0; i < s->layers; i++)
		s->by_id[i] = &s->layer[i];
	qsort(s->by_id, s->layers, sizeof(*s->by_id), layer_order);
	return true;
}

const struct sibling_layer *sibling_layer_of(const struct siblings *s,
					     const struct sibling_id *id)
{
	const struct sibling_layer key = { .id = *id }, *at = &key, **found;

	found = bsearch(&at, s->by_id, s->layers, sizeof(*found), layer_order);
	return found ? *found : NULL;
}

/* --- what to look for --- */

static void siblings_add(struct siblings *s, const struct sibling_id *id,
			 const char *path)
{
	struct sibling_layer *more;

	more = mem_try_more(s->layer, &s->layers_cap, s->layers + 1,
			    sizeof(*more));
	if (!more) {
		s->lost = ENOMEM;
		return;
	}
	s->layer = more;
	s->layer[s->layers++] = (struct sibling_layer){
		.id = *id, .path = mem_dup(path),
	};
}

static void siblings_note_open(struct siblings *s, const struct file *f)
{
	struct sibling_id id = sibling_id_of(f);

	siblings_add(s, &id, f->path);
}

void siblings_note_one(struct siblings *s, const struct node *node)
{
	siblings_note_open(s, node->file);
	if (node->data)
		siblings_note_open(s, node->data);
}

void siblings_note(struct siblings *s, const struct node *top)
{
	for (const struct node *n = top; n; n = n->backing)
		siblings_note_one(s, n);
}

static bool is_noted(const struct siblings *s, const struct sibling_id *id)
{
	for (size_t i = 0; i < s->layers; i++)
		if (!sibling_compare(&s->layer[i].id, id))
			return true;
	return false;
}

/* False if it is not there, or was noted before. */
static bool note_new(struct siblings *s, const char *path)
{
	struct sibling_id id;
	struct stat st;

	if (stat(path, &st))
		return false;
	id = sibling_id_at(&st);
	if (is_noted(s, &id))
		return false;
	siblings_add(s, &id, path);
	return true;
}

void siblings_note_file(struct siblings *s, const char *path)
{
	note_new(s, path);
}

bool sibling_peek(const char *path, struct stat *st, struct peek *out)
{
	int fd = folder_peek_open(NULL, path, st);

	*out = (struct peek){ .format = NULL };
	if (fd < 0)
		return false;
	peek_read(fd, out);
	folder_unpeek(fd);
	return true;
}

void siblings_note_path(struct siblings *s, const char *path)
{
	char *at = mem_dup(path), *below;
	struct peek peek;
	struct stat st;
	int lack;

	folder_lacked();
	while (s->layers < CHAIN_DEPTH_MAX && note_new(s, at) &&
	       sibling_peek(at, &st, &peek)) {
		s->external |= s->layers == 1 && peek.external;
		if (!*peek.backing ||
		    chain_is_remote(chain_local_name(peek.backing)))
			break;
		below = chain_resolve(at, peek.backing);
		free(at);
		at = below;
	}
	lack = folder_lacked();
	s->lost = lack ? lack : s->lost;
	free(at);
}

bool chain_find_missing(const char *path, char **overlay, char **at)
{
	char *name = mem_dup(chain_local_name(path)), *below;
	struct peek peek;
	struct stat st;

	for (unsigned n = 0; n < CHAIN_DEPTH_MAX; n++) {
		if (!sibling_peek(name, &st, &peek) || !*peek.backing ||
		    chain_is_remote(chain_local_name(peek.backing)))
			break;
		below = chain_resolve(name, peek.backing);
		if (chain_is_missing(below)) {
			*overlay = name;
			*at = below;
			return true;
		}
		free(name);
		name = below;
	}
	free(name);
	return false;
}

int chain_check_data(const struct file *file, struct err *err)
{
	struct peek said;
	struct stat st;
	char *path;
	int rc = 0;

	if (peek_read(file->fd, &said) || !*said.data ||
	    chain_is_remote(chain_local_name(said.data)))
		return 0;
	path = chain_resolve(file->path, said.data);
	if (stat(path, &st))
		rc = err_sys(err, errno, "Could not open '%s', the data file "
			     "of '%s'", path, file->path);
	else if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		rc = err_set(err, ERR_GENERIC, "'%s', the data file of '%s', "
			     "is not a regular file", path, file->path);
	free(path);
	return rc;
}

static char *other_data(const char *path, const struct peek *said,
			const struct file *data)
{
	struct file id;
	char *at;

	if (!*said->data || chain_is_remote(chain_local_name(said->data)))
		return NULL;
	at = chain_resolve(path, said->data);
	if (chain_identify(at, &id) && !file_is_same(&id, data))
		return at;
	free(at);
	return NULL;
}

char *chain_other_data(const struct node *node)
{
	struct peek said;

	if (!node->data || peek_read(node->file->fd, &said))
		return NULL;
	return other_data(node->file->path, &said, node->data);
}

static int refuse_other_data(const char *path, const char *named,
			     const char *said, struct err *err)
{
	return err_set(err, ERR_GENERIC, "'%s' is named as the data file of "
		       "'%s', but its header says '%s', which is there as "
		       "well: nothing is written to either (force=on, "
		       "x-blkmon-force, -f or --force: do it all the same; "
		       "qemu-img amend -o data_file=... says which)", named,
		       path, said);
}

int chain_check_written_data(const struct node *node, struct err *err)
{
	char *other = chain_other_data(node);
	int rc = other ? refuse_other_data(node->file->path, node->data->path,
					   other, err) : 0;

	free(other);
	return rc;
}

int chain_check_named_data(const char *path, const char *named,
			   struct err *err)
{
	struct peek said;
	struct stat st;
	struct file id;
	char *other;
	int rc;

	if (!chain_identify(named, &id) || !sibling_peek(path, &st, &said) ||
	    (id.dev == st.st_dev && id.ino == st.st_ino))
		return 0;
	other = other_data(path, &said, &id);
	rc = other ? refuse_other_data(path, named, other, err) : 0;
	free(other);
	return rc;
}

/* --- what it says --- */

/* As the graph has it, whatever the header says. */
static bool reads_from(const struct node *node, const struct sibling_id *id)
{
	for (; node; node = node->backing)
		if (sibling_is_file(id, node->file) ||
		    (node->data && sibling_is_file(id, node->data)))
			return true;
	return false;
}

/* Who is open above the layer is looked after there; and what a job left
 * behind is not missed. */
static bool is_stranger(struct graph *g, const struct sibling *f)
{
	const struct file self = { .dev = f->self.dev, .ino = f->self.ino,
				   .block_device = f->self.block_device };
	const struct node *node = graph_find_file(g, &self);

	return node ? !reads_from(node, &f->layer->id) :
		      !graph_was_left(g, &self, &f->changed);
}

/* Of several, one that names the layer itself is named. */
static const struct sibling *first_named(const struct sibling *first,
					 const struct sibling *f)
{
	return !first || (f->direct && !first->direct) ? f : first;
}

static int refuse_sibling(const struct sibling *f, size_t others,
			  const char *path, const char *what, struct err *err)
{
	struct str who = STR_INIT;

	str_add_char(&who, '\'');
	str_add_safe(&who, f->path);
	str_add_char(&who, '\'');
	if (others)
		str_addf(&who, " (and of %zu more)", others);
	err_set(err, ERR_GENERIC, "Image '%s' is %s of %s, which is not open "
		"here: %s would damage %s (force=on, x-blkmon-force, -f "
		"or --force: do it all the same)", path,
		f->data ? "the data file" : f->direct ? "the backing file" :
		"in the backing chain", str_get(&who), what,
		f->data ? "all that it holds" : "what that reads from it, all "
		"that it does not hold itself");
	str_release(&who);
	return -1;
}

/* The words with which @path is to name what lies below @node. */
static char *way_base(const char *path, const struct node *node)
{
	struct err none = ERR_INIT;
	char *words;

	if (!node->backing)
		return mem_dup("");
	words = chain_name_like(path, node, node->backing, &none);
	return words ? words : chain_whole_path(node->backing->file->path);
}

/* Off the layer @node that is to change, onto what is below that. */
static void siblings_tell_way(const struct sibling *f, const struct node *node,
			      struct err *err)
{
	char *file = chain_whole_path(f->path);
	char *base = way_base(file, node);

	if (strlen(file) < ERR_PATH_MAX && strlen(base) < ERR_PATH_MAX) {
		strcpy(err->way.file, file);
		strcpy(err->way.base, base);
		err->way.format = node->backing ? node->backing->drv->name :
						  NULL;
	}
	free(file);
	free(base);
}

/* @node: the lowest layer that is to
 * change, if it is open here; or NULL. */
static int siblings_check_file(const struct siblings *s, struct graph *g,
			       const struct sibling_id *id, const char *path,
			       const struct node *node, const char *what,
			       struct err *err)
{
	const struct sibling *first = NULL;
	size_t count = 0;

	if (s->lost)
		return err_sys(err, s->lost, "Could not look for overlays of "
			       "'%s' that are not open here", path);
	if (s->layers && !s->cut && !is_noted(s, id))
		return err_set(err, ERR_GENERIC, "Image '%s' was not there a "
			       "moment ago, and overlays of it were not "
			       "looked for: try it again", path);
	for (size_t i = 0; i < s->count; i++) {
		const struct sibling *f = &s->found[i];

		if (sibling_compare(&f->layer->id, id) || !is_stranger(g, f))
			continue;
		count++;
		first = first_named(first, f);
	}
	if (!first)
		return 0;
	refuse_sibling(first, count - 1, path, what, err);
	if (node && !first->data)
		siblings_tell_way(first, node, err);
	return -1;
}

static int siblings_check_layer(const struct siblings *s,
				const struct node *node,
				const struct node *lowest, const char *what,
				struct err *err)
{
	struct sibling_id id = sibling_id_of(node->file);

	if (siblings_check_file(s, node->graph, &id, node->file->path,
				lowest, what, err))
		return -1;
	if (!node->data)
		return 0;
	if (s->layers && chain_check_written_data(node, err))
		return -1;
	id = sibling_id_of(node->data);
	return siblings_check_file(s, node->graph, &id, node->data->path, NULL,
				   what, err);
}

int siblings_check(const struct siblings *s, const struct node *node,
		   const char *what, struct err *err)
{
	return siblings_check_layer(s, node, node, what, err);
}

int siblings_check_range(const struct siblings *s, struct node *top,
			 struct node *base, const char *what, struct err *err)
{
	for (struct node *n = base; n != top; n = chain_above(top, n))
		if (siblings_check_layer(s, n, base, what, err))
			return -1;
	return 0;
}

int siblings_check_path(const struct siblings *s, struct graph *g,
			const char *path, const char *what, struct err *err)
{
	struct sibling_id id;
	struct stat st;

	if (stat(path, &st))
		return 0;
	id = sibling_id_at(&st);
	return siblings_check_file(s, g, &id, path, NULL, what, err);
}

/* Those that it reads from, in one way or the other. */
static bool sibling_reads(const struct sibling *f, const struct node *node)
{
	const struct sibling_id *id = &f->layer->id;

	return sibling_is_file(id, node->file) ||
	       (node->data && sibling_is_file(id, node->data));
}

static bool is_late(const struct sibling *f, const struct node *node)
{
	const struct file self = { .dev = f->self.dev, .ino = f->self.ino,
				   .block_device = f->self.block_device };

	return sibling_reads(f, node) &&
	       !graph_find_file(node->graph, &self) &&
	       !graph_was_left(node->graph, &self, &f->changed) &&
	       !graph_is_spoilt(node->graph, &self, &f->changed);
}

void siblings_tell_late(const struct siblings *s, const struct node *node,
			const char *who)
{
	struct graph *g = node->graph;
	struct str more = STR_INIT;
	const struct sibling *first = NULL;
	size_t count = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct sibling *f = &s->found[i];

		if (!is_late(f, node))
			continue;
		count++;
		first = first_named(first, f);
	}
	if (count > 1)
		str_addf(&more, " (and %zu more)", count - 1);
	if (first && g->events)
		event_notice(g->events, "'%s'%s, which is not open here, came "
			     "to read from '%s' while %s was writing there: "
			     "what it shows from below may have changed since",
			     first->path, str_get(&more), node->file->path,
			     who);
	str_release(&more);
	siblings_spoil_one(s, node);
}

void siblings_spoil_one(const struct siblings *s, const struct node *node)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct sibling *f = &s->found[i];
		const struct file self = { .dev = f->self.dev,
					   .ino = f->self.ino };

		if (sibling_is_file(&f->layer->id, node->file) &&
		    is_stranger(node->graph, f) &&
		    !graph_find_file(node->graph, &self))
			graph_spoil(node->graph, &self, &f->changed);
	}
}

void siblings_spoil(const struct siblings *s, struct node *top,
		    struct node *base)
{
	for (struct node *n = base; n != top; n = chain_above(top, n))
		siblings_spoil_one(s, n);
}

const char *siblings_next(const struct siblings *s, const struct node *node,
			  size_t *at)
{
	while (*at < s->count) {
		const struct sibling *f = &s->found[(*at)++];

		if (sibling_reads(f, node) && is_stranger(node->graph, f))
			return f->path;
	}
	return NULL;
}
