/* engine_folder.c - what lies in a folder, and whose it is; see files.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/chain/drive.h"
#include "engine/chain/forest.h"
#include "engine/engine_impl.h"
#include "engine/file/folder.h"
#include "engine/file/holder.h"
#include "engine/file/lock.h"
#include "engine/file/mark.h"
#include "engine/files.h"
#include "engine/util/mem.h"

#define HOLDERS_NAMED 16	/* each one costs a look at all processes */

const char *file_role_name(enum file_role role)
{
	static const char *const names[] = {
		[FILE_ACTIVE] = "active", [FILE_LAYER] = "layer",
		[FILE_DATA] = "data", [FILE_ORPHAN] = "orphan",
		[FILE_OVERLAY] = "overlay", [FILE_BELOW] = "below",
		[FILE_HELD] = "held", [FILE_UNUSED] = "unused",
	};

	return names[role];
}

static void file_link_release(struct file_link *link)
{
	free(link->words);
	free(link->path);
}

void folder_report_release(struct folder_report *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct folder_image *image = &r->image[i];

		free(image->path);
		file_link_release(&image->backing);
		file_link_release(&image->data);
		free(image->of);
		free(image->merged_into);
	}
	free(r->image);
	free(r->first_unread);
	free(r->closed);
	*r = (struct folder_report){ .image = NULL };
}

/* --- what is open here; the graph begun --- */

int files_open(struct engine *e, struct open_file **out, size_t *n)
{
	size_t count = 0;

	*n = 0;
	list_for_each(link, &e->graph.nodes)
		count += 2;
	*out = mem_try(count + 1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	list_for_each(link, &e->graph.nodes) {
		struct node *node = container_of(link, struct node, link);

		if (node->drv == &driver_missing)
			continue;
		(*out)[(*n)++] = (struct open_file){ node->file, node, false };
		if (node->data)
			(*out)[(*n)++] = (struct open_file){ node->data, node,
							     true };
	}
	return 0;
}

const struct open_file *files_find(const struct open_file *open, size_t n,
				   const struct sibling_id *id)
{
	const struct file key = { .dev = id->dev, .ino = id->ino,
				  .block_device = id->block_device };

	for (size_t i = 0; i < n; i++)
		if (file_is_same(open[i].file, &key))
			return &open[i];
	return NULL;
}

char **files_paths(struct engine *e, size_t *n)
{
	struct open_file *open;
	char **paths;

	graph_begin(&e->graph);
	paths = files_open(e, &open, n) ? NULL :
		mem_try(*n + 1, sizeof(*paths));
	for (size_t i = 0; paths && i < *n; i++)
		paths[i] = mem_dup(open[i].file->path);
	graph_end(&e->graph);
	free(open);
	return paths;
}

void files_free_paths(char **paths, size_t n)
{
	for (size_t i = 0; paths && i < n; i++)
		free(paths[i]);
	free(paths);
}

/* --- from a forest to a report --- */

struct judging {
	struct engine *engine;
	const struct forest *forest;
	struct folder_report *report;
	struct open_file *open;
	size_t open_count;
};

static void take_link(struct file_link *to, const struct forest_link *from)
{
	to->words = mem_dup(from->words);
	to->missing = from->path && !from->found;
	to->path = to->missing ? chain_whole_path(from->path) :
				 mem_dup(from->path);
}

static void take_image(struct folder_image *to, const struct forest_image *from)
{
	to->path = mem_dup(from->path);
	to->format = from->format;
	to->virtual_size = from->size;
	to->disk_bytes = (uint64_t)from->st.st_blocks * 512;
	to->links = (unsigned)from->st.st_nlink;
	to->modified = from->st.st_mtim.tv_sec;
	to->snapshots = from->snapshots;
	to->overlays = from->overlays;
	to->outside = from->outside;
	take_link(&to->backing, &from->backing);
	take_link(&to->data, &from->data);
}

/* The first below that is open here; a loop of headers comes to its end. */
static const struct open_file *
first_open_below(const struct judging *j, const struct forest_image *image)
{
	for (size_t n = 0; n < j->forest->count; n++) {
		const struct open_file *open;

		if (image->backing.to == FOREST_NONE)
			return NULL;
		image = &j->forest->image[image->backing.to];
		open = files_find(j->open, j->open_count, &image->self);
		if (open)
			return open;
	}
	return NULL;
}

static void judge_open(struct folder_image *to, const struct open_file *open)
{
	const struct node *node = open->node;

	memcpy(to->node, node->name, sizeof(to->node));
	to->role = open->data ? FILE_DATA : graph_root_of(node) ||
		   !graph_overlay(open->node, 0) ? FILE_ACTIVE : FILE_LAYER;
	to->virtual_size = open->data ? to->virtual_size : node->size;
	to->format = open->data ? to->format : node->drv->name;
}

static void judge_closed(const struct judging *j, struct folder_image *to,
			 const struct forest_image *from)
{
	const struct file id = { .dev = from->self.dev, .ino = from->self.ino,
				 .block_device = from->self.block_device };
	const struct open_file *below = first_open_below(j, from);

	to->left = graph_was_left(&j->engine->graph, &id, &from->st.st_ctim);
	to->spoilt = graph_is_spoilt(&j->engine->graph, &id,
				     &from->st.st_ctim);
	if (to->backing.missing || to->data.missing)
		to->role = FILE_ORPHAN;
	else if (below && !to->left)
		to->role = FILE_OVERLAY;
	else
		to->role = to->overlays ? FILE_BELOW : FILE_UNUSED;
	if (to->role != FILE_OVERLAY)
		return;
	to->of = mem_dup(below->file->path);
	memcpy(to->of_node, below->node->name, sizeof(to->of_node));
}

static void folder_judge(struct judging *j)
{
	size_t n = 0;

	for (size_t i = 0; i < j->forest->count; i++) {
		const struct forest_image *from = &j->forest->image[i];
		struct folder_image *to = &j->report->image[n];
		const struct open_file *open;

		if (from->again)
			continue;
		take_image(to, from);
		open = files_find(j->open, j->open_count, &from->self);
		if (open)
			judge_open(to, open);
		else
			judge_closed(j, to, from);
		n++;
	}
	j->report->count = n;
}

/* --- who else has them --- */

static void look_at_lock(struct folder_image *image, int fd, unsigned *named)
{
	struct holder who;
	off_t at;

	image->held = lock_held(fd, &at);
	if (image->held && ++*named <= HOLDERS_NAMED &&
	    holder_find(fd, at, &who)) {
		image->holder = who.pid;
		strcpy(image->holder_name, who.name);
	}
	if (image->held && image->role == FILE_UNUSED)
		image->role = FILE_HELD;
}

static void look_at_mark(struct folder_image *image, int fd)
{
	const struct file file = { .path = image->path, .fd = fd };
	struct mark mark;

	mark_get(&file, &mark);
	if (mark.kind != MARK_MERGED)
		return;
	image->merged_into = mem_dup(mark.other);
	if (image->role != FILE_OVERLAY)
		return;
	image->role = image->overlays ? FILE_BELOW : FILE_UNUSED;
	free(image->of);
	image->of = NULL;
	*image->of_node = '\0';
}

static void look_outside(struct folder_report *r)
{
	unsigned named = 0;

	for (size_t i = 0; i < r->count; i++) {
		struct folder_image *image = &r->image[i];
		struct stat st;
		int fd;

		if (image->role <= FILE_DATA)
			continue;
		fd = folder_peek_open(NULL, image->path, &st);
		if (fd < 0)
			continue;
		look_at_mark(image, fd);
		look_at_lock(image, fd, &named);
		folder_unpeek(fd);
	}
}

/* --- all together --- */

static int judge(struct engine *e, struct forest *f, struct folder_report *out,
		 struct err *err)
{
	struct judging j = { .engine = e, .forest = f, .report = out };
	int rc;

	out->image = mem_try(f->count + 1, sizeof(*out->image));
	graph_begin(&e->graph);
	graph_pause(&e->graph);
	rc = files_open(e, &j.open, &j.open_count);
	if (!rc && out->image)
		folder_judge(&j);
	graph_end(&e->graph);
	free(j.open);
	if (rc || !out->image)
		return err_sys(err, ENOMEM, "No list of images");
	look_outside(out);
	out->files = f->files;
	out->cut = f->cut;
	out->unread = f->unread;
	out->first_unread = mem_dup(f->first_unread);
	out->closed = mem_dup(f->closed);
	return 0;
}

static int check_folder(const char *path, struct err *err)
{
	struct folder *folder = folder_open(path);

	if (!folder)
		return err_sys(err, errno, "Could not read the folder '%s'",
			       path);
	folder_close(folder);
	return 0;
}

struct watching {
	struct engine *engine;
	bool all;
};

static void watch_folder(void *arg, const char *folder)
{
	struct watching *w = arg;

	if (!folder_events_want(&w->engine->folders, *folder ? folder : "."))
		w->all = false;
}

void engine_watch_folders(struct engine *e)
{
	folder_events_keep(&e->folders);
}

int engine_query_folder(struct engine *e, const char *path,
			struct folder_report *out, struct err *err)
{
	struct watching watching = { .engine = e, .all = true };
	struct forest f = { .enters = watch_folder, .arg = &watching };
	size_t n = 1, len = path ? strlen(path) : 0;
	char *beside = path ? mem_printf("%s%s", path, len &&
					 path[len - 1] == '/' ? "" : "/") :
			      NULL;
	char **paths = path ? &beside : files_paths(e, &n);
	int rc = path ? check_folder(path, err) : paths ? 0 :
		 err_sys(err, ENOMEM, "Could not look for the folders");

	*out = (struct folder_report){ .image = NULL };
	if (!rc)
		forest_look(&f, &e->graph, (const char *const *)paths, n);
	if (!rc)
		rc = judge(e, &f, out, err);
	forest_release(&f);
	if (!path)
		files_free_paths(paths, n);
	free(beside);
	if (rc)
		folder_report_release(out);
	out->watched = !rc && watching.all;
	return rc;
}
