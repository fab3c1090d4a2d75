/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From replies to a tree. A chain without branches stays in one column, as
 * deep as it may be; only where images share a base does the tree grow wider.
 */
#include "ui/view/view_impl.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/util/mem.h"
#include "src/console/fields.h"
#include "ui/draw/text.h"
#include "ui/draw/theme.h"

/* --- images from replies --- */

/* Nodes that are parts of others: files, and what the channel says so of. */
static bool is_image(const json_t *node)
{
	static const char *const others[] = {
		"file", "host_device", "nbd",
	};
	const char *drv = field_str(node, "drv");

	if (field_bool(node, "x-blkmon-part"))
		return false;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (!strcmp(drv, others[i]))
			return false;
	return true;
}

static bool is_corrupt(const json_t *image)
{
	return field_bool(json_object_get(json_object_get(image,
			  "format-specific"), "data"), "corrupt");
}

struct seedling *view_add(struct builder *b)
{
	struct seedling *s = &b->list[b->n++];

	*s = (struct seedling) { .backing = -1, .child = -1, .sibling = -1,
				 .image.space = -1 };
	return s;
}

void view_set_names(struct view_image *v, const char *node, const char *path)
{
	v->node = mem_dup(node);
	v->file = mem_dup(path);
	v->path = text_safe(path);
	v->full = mem_dup(path);
	v->name = text_safe(text_base_name(path));
}

static void view_add_node(struct builder *b, const json_t *node)
{
	const json_t *image = json_object_get(node, "image");
	struct view_image *v = &view_add(b)->image;

	view_set_names(v, field_str(node, "node-name"),
		  field_str(image, "filename"));
	v->format = mem_dup(field_str(node, "drv"));
	v->missing = !strcmp(v->format, "missing");
	v->size = field_u64(image, "virtual-size");
	v->disk = field_u64(image, "actual-size");
	v->read_only = field_bool(node, "ro");
	v->compressed = field_bool(image, "compressed");
	v->dirty = field_bool(image, "dirty-flag");
	v->encrypted = field_bool(image, "encrypted");
	v->corrupt = is_corrupt(image);
	v->no_format = *field_str(image, "backing-filename") &&
		!*field_str(image, "backing-filename-format");
	v->snapshots = (unsigned)json_array_size(
		json_object_get(image, "snapshots"));
	v->image = image;
}

/* Replies list the newest first; the picture has the oldest first. */
static void view_add_nodes(struct builder *b, const json_t *nodes)
{
	for (size_t i = json_array_size(nodes); i--; ) {
		const json_t *node = json_array_get(nodes, i);

		if (is_image(node))
			view_add_node(b, node);
	}
}

/* --- who lies on whom --- */

/* Searches from @near on and then from the start, for neighbours in a chain
 * are neighbours in the lists. */
static int view_find(const struct builder *b, const char *word, bool by_file,
		     size_t near)
{
	for (size_t i = 0; i < b->n; i++) {
		size_t at = (near + i) % b->n;
		const struct view_image *v = &b->list[at].image;

		if (!strcmp(by_file ? v->file : v->node, word))
			return (int)at;
	}
	return -1;
}

/* What is known of the file itself. */
static void view_add_link(struct view_image *v, const json_t *link)
{
	const char *path = field_str(link, "path");

	v->written = field_u64(link, "written");
	if (!*path)
		return;
	free(v->full);
	v->full = mem_dup(path);
}

static void link_by_name(struct builder *b, const json_t *links)
{
	size_t near = 0;
	int at, below;

	for (size_t i = json_array_size(links); i--; ) {
		const json_t *link = json_array_get(links, i);
		const char *backing = field_str(link, "backing");

		at = view_find(b, field_str(link, "node-name"), false, near);
		if (at < 0)
			continue;
		view_add_link(&b->list[at].image, link);
		near = (size_t)at + 1;
		if (!*backing)
			continue;
		below = view_find(b, backing, false,
				  (size_t)at ? (size_t)at - 1 : 0);
		b->list[at].backing = below;
	}
}

static void link_by_file(struct builder *b)
{
	for (size_t i = 0; i < b->n; i++) {
		const char *file = field_str(b->list[i].image.image,
					     "full-backing-filename");
		b->list[i].backing =
			*file ? view_find(b, file, true, i + 1) : -1;
	}
}

/* File names can say that images lie on each other in a ring: it is cut. */
static void cut_rings(struct builder *b)
{
	size_t *walk = mem_alloc((b->n + 1) * sizeof(*walk));

	for (size_t i = 0; i < b->n; i++)
		for (int at = (int)i; at >= 0 && !walk[at]; ) {
			int below = b->list[at].backing;

			walk[at] = i + 1;
			if (below >= 0 && walk[below] == i + 1)
				b->list[at].backing = -1;
			at = b->list[at].backing;
		}
	free(walk);
}

/* A backing file that a header names and nobody has opened. */
static void add_missing(struct builder *b)
{
	for (size_t i = 0, n = b->n; i < n; i++) {
		const char *file = field_str(b->list[i].image.image,
					     "backing-filename");
		struct view_image *v;

		if (b->list[i].backing >= 0 || !*file)
			continue;
		v = &view_add(b)->image;
		view_set_names(v, "", file);
		v->format = mem_dup("");
		v->missing = true;
		b->list[i].backing = (int)b->n - 1;
	}
}

/* As the first of them that are so. */
static void link_child(struct builder *b, size_t i, bool open)
{
	struct seedling *s = &b->list[i];

	if (s->backing < 0 || (s->image.role == VIEW_OPEN) != open)
		return;
	s->sibling = b->list[s->backing].child;
	b->list[s->backing].child = (int)i;
}

/* What is not open comes first, so that chains go on below it. */
static void link_children(struct builder *b)
{
	for (size_t i = b->n; i--; )
		link_child(b, i, true);
	for (size_t i = b->n; i--; )
		link_child(b, i, false);
}

/* --- the tree as text --- */

struct prefix {
	struct str text[2];	/* UTF-8, ASCII */
};

static void view_prefix_add(struct prefix *p, enum glyph glyph)
{
	for (int ascii = 0; ascii < 2; ascii++)
		str_add(&p->text[ascii], theme_glyph(glyph, ascii));
}

static void prefix_cut(struct prefix *p, const size_t len[2])
{
	for (int ascii = 0; ascii < 2; ascii++) {
		p->text[ascii].len = len[ascii];
		p->text[ascii].s[len[ascii]] = '\0';
	}
}

static char *tree_text(const struct prefix *p, bool ascii, enum glyph glyph)
{
	return mem_printf("%s%s", str_get(&p->text[ascii]),
			  theme_glyph(glyph, ascii));
}

static void emit(struct builder *b, int i, const struct prefix *p,
		 enum glyph glyph)
{
	struct shape *shape = b->shape;
	struct view_image *v = &shape->images[shape->n];

	*v = b->list[i].image;
	v->backing = b->list[i].backing;	/* still in the old numbers */
	v->tree = tree_text(p, false, glyph);
	v->tree_ascii = tree_text(p, true, glyph);
	b->place[i] = (int)shape->n++;
}

static void place_run(struct builder *b, int i, struct prefix *p,
		      struct prefix *rest);

/* Two or more overlays of one image, each the start of a run. */
static void place_branches(struct builder *b, int first,
			   struct prefix *rest)
{
	size_t len[2] = { rest->text[0].len, rest->text[1].len };
	struct prefix p = { { STR_INIT, STR_INIT } };

	for (int i = first; i >= 0; i = b->list[i].sibling) {
		bool last = b->list[i].sibling < 0;

		for (int ascii = 0; ascii < 2; ascii++) {
			str_clear(&p.text[ascii]);
			str_add(&p.text[ascii], str_get(&rest->text[ascii]));
			str_add(&rest->text[ascii], last ? "  " :
				theme_glyph(GLYPH_TREE_LINE, ascii));
		}
		view_prefix_add(&p, last ? GLYPH_TREE_BRANCH_LAST
					 : GLYPH_TREE_BRANCH);
		place_run(b, i, &p, rest);
		prefix_cut(rest, len);
	}
	str_release(&p.text[0]);
	str_release(&p.text[1]);
}

/* The image @i and all above it. @p stands in front of the first line, @rest
 * in front of the others. */
static void place_run(struct builder *b, int i, struct prefix *p,
		      struct prefix *rest)
{
	int child = b->list[i].child;

	emit(b, i, p, b->list[i].image.role == VIEW_UNUSED ? GLYPH_CLOSED :
	     child < 0 ? GLYPH_TREE_ONLY : GLYPH_TREE_FIRST);
	while (child >= 0 && b->list[child].sibling < 0) {
		i = child;
		child = b->list[i].child;
		emit(b, i, rest, child < 0 ? GLYPH_TREE_LAST :
		     GLYPH_TREE_MIDDLE);
	}
	if (child >= 0)
		place_branches(b, child, rest);
}

static void place_group(struct builder *b, enum view_group group,
			struct prefix *p, struct prefix *rest)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->list[i].backing < 0 && b->list[i].image.group == group)
			place_run(b, (int)i, p, rest);
}

static void place_all(struct builder *b)
{
	struct prefix p = { { STR_INIT, STR_INIT } }, rest = p;

	/* So that there is memory to cut. */
	for (int ascii = 0; ascii < 2; ascii++)
		str_add(&rest.text[ascii], "");
	for (enum view_group group = 0; group < GROUP_COUNT; group++)
		place_group(b, group, &p, &rest);
	for (size_t i = 0; i < b->shape->n; i++) {
		struct view_image *v = &b->shape->images[i];

		v->backing = v->backing < 0 ? -1 : b->place[v->backing];
		v->top = -1;
		if (v->backing >= 0)
			v->group = b->shape->images[v->backing].group;
		b->shape->open += v->role == VIEW_OPEN;
	}
	str_release(&rest.text[0]);
	str_release(&rest.text[1]);
}

/* --- drives --- */

static int drive_image(const struct shape *shape, const json_t *inserted)
{
	const char *node = field_str(inserted, "node-name");
	const char *file = field_str(inserted, "file");

	for (size_t i = 0; i < shape->n; i++)
		if (*node ? !strcmp(shape->images[i].node, node) :
		    !strcmp(shape->images[i].file, file))
			return (int)i;
	return -1;
}

static void add_drives(struct shape *shape)
{
	json_t *drive;
	size_t k;

	json_array_foreach(shape->blocks, k, drive) {
		int top = drive_image(shape, json_object_get(drive,
							     "inserted"));

		shape->drives++;
		if (top < 0)
			continue;
		free(shape->images[top].drive);
		shape->images[top].drive = text_safe(field_str(drive,
							       "device"));
		for (int i = top; i >= 0 && shape->images[i].top < 0;
		     i = shape->images[i].backing)
			shape->images[i].top = top;
	}
}

/* --- the next snapshot --- */

static bool view_is_taken(const struct shape *shape, const char *file)
{
	struct stat st;

	for (size_t i = 0; i < shape->n; i++)
		if (!strcmp(shape->images[i].file, file))
			return true;
	return !lstat(file, &st);
}

/* "sn2" gives "sn3", "a-1.qcow2" gives "a-2.qcow2", "disk.img" gives
 * "disk-1.img"; beside the active layer. */
static char *view_next_file(const struct shape *shape, const char *file)
{
	const char *name = text_base_name(file), *end = strrchr(name, '.');
	const char *digits;
	unsigned long number;
	char *next = NULL;

	if (!end || end == name)
		end = name + strlen(name);
	for (digits = end; digits > name &&
	     isdigit((unsigned char)digits[-1]); digits--)
		;
	if (end - digits > 9)
		digits = end;
	number = digits < end ? strtoul(digits, NULL, 10) : 0;
	do {
		free(next);
		next = mem_printf("%.*s%s%0*lu%s", (int)(digits - file), file,
				  digits < end ? "" : "-",
				  digits < end ? (int)(end - digits) : 1,
				  ++number, end);
	} while (view_is_taken(shape, next));
	return next;
}

static void name_next(struct shape *shape)
{
	for (size_t i = 0; i < shape->n; i++) {
		struct view_image *v = &shape->images[i];

		if (v->drive)
			v->next = view_next_file(shape, v->file);
	}
}

/* --- names --- */

static int name_order(const void *a, const void *b)
{
	const struct view_image *const *v = a, *const *w = b;
	int order = strcmp((*v)->name, (*w)->name);

	return order ? order : strcmp((*v)->path, (*w)->path);
}

/* The name with one folder more in front; false: that was all. */
static bool view_longer_name(struct view_image *v)
{
	size_t name = strlen(v->name), path = strlen(v->path), at;

	if (name >= path)
		return false;
	at = path - name - 1;	/* of the slash */
	while (at && v->path[at - 1] != '/')
		at--;
	free(v->name);
	v->name = mem_dup(v->path + at);
	return true;
}

/* Files of one name in several folders are told apart by these. */
static bool view_longer_names(struct view_image **list, size_t n)
{
	bool any = false;

	qsort(list, n, sizeof(*list), name_order);
	for (size_t i = 0, end; i < n; i = end) {
		bool differ = false;

		for (end = i + 1; end < n &&
		     !strcmp(list[end]->name, list[i]->name); end++)
			differ |= strcmp(list[end]->path, list[i]->path) != 0;
		for (size_t k = i; differ && k < end; k++)
			any |= view_longer_name(list[k]);
	}
	return any;
}

static void tell_apart(struct shape *shape)
{
	size_t n = shape->n;
	struct view_image **list = mem_alloc((n + 1) * sizeof(*list));
	const char **names = mem_alloc((n + 1) * sizeof(*names));
	struct name_cut *cuts = mem_alloc((n + 1) * sizeof(*cuts));

	for (size_t i = 0; i < n; i++)
		list[i] = &shape->images[i];
	while (view_longer_names(list, n))
		;
	for (size_t i = 0; i < n; i++)
		names[i] = shape->images[i].name;
	names_tell_apart(names, cuts, n);
	for (size_t i = 0; i < n; i++)
		shape->images[i].cut = cuts[i];
	free(list);
	free(names);
	free(cuts);
}

/* How much room the images take, and what is the same for all of them. */
static void measure(struct shape *shape)
{
	const struct view_image *first = NULL;

	for (size_t i = 0; i < shape->n; i++) {
		const struct view_image *v = &shape->images[i];
		unsigned wide = text_columns(v->tree) + 1 +
			names_columns(v->name, v->cut) +
			(v->drive ? text_columns(v->drive) + 3 : 0);

		if (wide > shape->wide && v->group == GROUP_TREE)
			shape->wide = wide;
		if (v->missing || v->role != VIEW_OPEN)
			continue;
		if (!first)
			first = v;
		shape->ages |= v->written != 0;
		shape->formats |= strcmp(v->format, first->format) != 0;
		shape->sizes |= v->size != first->size;
	}
}

struct shape *shape_new(json_t *blocks, json_t *nodes, const json_t *links,
			json_t *folder)
{
	const json_t *files = json_object_get(folder, "images");
	struct shape *shape = mem_alloc(sizeof(*shape));
	struct builder b = { .shape = shape };

	shape->refs = 1;
	shape->running = true;
	shape->blocks = json_incref(blocks);
	shape->nodes = json_incref(nodes);
	shape->folder = json_incref(folder);
	/* Each that is open may lie on one that is missing. */
	b.list = mem_alloc((2 * json_array_size(nodes) +
			    json_array_size(files) + 1) * sizeof(*b.list));
	view_add_nodes(&b, nodes);
	if (links)
		link_by_name(&b, links);
	else
		link_by_file(&b);
	view_add_closed(&b, folder);
	cut_rings(&b);
	add_missing(&b);
	link_children(&b);
	shape->images = mem_alloc((b.n + 1) * sizeof(*shape->images));
	b.place = mem_alloc((b.n + 1) * sizeof(*b.place));
	place_all(&b);
	add_drives(shape);
	name_next(shape);
	tell_apart(shape);
	measure(shape);
	free(b.place);
	free(b.list);
	return shape;
}

struct shape *shape_get(struct shape *shape)
{
	shape->refs++;
	return shape;
}

void shape_put(struct shape *shape)
{
	if (!shape || --shape->refs)
		return;
	for (size_t i = 0; i < shape->n; i++) {
		struct view_image *v = &shape->images[i];

		free(v->node);
		free(v->name);
		free(v->path);
		free(v->full);
		free(v->file);
		free(v->tree);
		free(v->tree_ascii);
		free(v->next);
		free(v->drive);
		free(v->format);
	}
	for (size_t i = 0; i < shape->space_count; i++)
		free(shape->spaces[i].path);
	free(shape->spaces);
	json_decref(shape->blocks);
	json_decref(shape->nodes);
	json_decref(shape->folder);
	free(shape->images);
	free(shape);
}

int shape_find_near(const struct shape *shape, const char *node,
			   int near)
{
	size_t n = shape->n, from = near < 1 ? 0 : (size_t)near - 1;

	for (size_t i = 0; *node && i < n; i++)
		if (!strcmp(shape->images[(from + i) % n].node, node))
			return (int)((from + i) % n);
	return -1;
}

int shape_find(const struct shape *shape, const char *node)
{
	return shape ? shape_find_near(shape, node, 0) : -1;
}

const char *view_key(const struct view_image *v)
{
	return *v->node ? v->node : v->full;
}

int shape_find_key(const struct shape *shape, const char *key)
{
	for (size_t i = 0; shape && i < shape->n; i++)
		if (!strcmp(view_key(&shape->images[i]), key))
			return (int)i;
	return -1;
}
