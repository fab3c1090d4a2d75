/* engine_delete.c - removes images that nothing uses; see files.h.
 *
 * First all is looked at; then each file is locked for us alone, and all is
 * looked at again: who opens one of them from here on is refused. Whoever
 * makes an overlay opens the image below only for a moment, before the overlay
 * is there to be seen; who had done so just before the lock gets some time to
 * be seen before the last look.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/forest.h"
#include "engine/engine_impl.h"
#include "engine/file/folder.h"
#include "engine/file/remove.h"
#include "engine/files.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

#define DELETE_GRACE_MS 250
/* An image so young may not say yet what lies below it; one after the other
 * may be made. */
#define DELETE_YOUNG_NS NS_PER_SEC
#define DELETE_PATIENCE_NS (5 * NS_PER_SEC)

struct doomed {
	struct removal *file;
	struct sibling_id id;
	bool data;		/* the data file of one before it */
	bool ordered;
};

struct deletion {
	struct engine *engine;
	const struct delete_options *o;
	struct doomed *doomed;
	size_t count, cap;
	struct forest forest;	/* the last look */
};

void delete_report_release(struct delete_report *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->item[i].path);
		free(r->item[i].data);
	}
	free(r->item);
	*r = (struct delete_report){ .item = NULL };
}

static const struct doomed *doomed_by_id(const struct deletion *d,
					 const struct sibling_id *id)
{
	for (size_t i = 0; i < d->count; i++)
		if (!sibling_compare(&d->doomed[i].id, id))
			return &d->doomed[i];
	return NULL;
}

static int doom(struct deletion *d, const char *path, bool data,
		struct err *err)
{
	struct doomed *more, *one;
	const struct doomed *before;
	struct removal *file;

	if (removal_open(&file, path, err))
		return -1;
	more = mem_try_more(d->doomed, &d->cap, d->count + 1, sizeof(*more));
	if (!more) {
		removal_close(file);
		return err_sys(err, ENOMEM, "Could not delete '%s'", path);
	}
	d->doomed = more;
	one = &more[d->count];
	*one = (struct doomed){
		.file = file, .data = data,
		.id = sibling_id_at(removal_stat(file)),
	};
	before = doomed_by_id(d, &one->id);
	if (before) {
		err_set(err, ERR_GENERIC, "'%s' and '%s' are the same file",
			removal_path(before->file), path);
		removal_close(file);
		return -1;
	}
	d->count++;
	return 0;
}

/* --- who uses them --- */

/* The images' folders, and those of all that is open. */
static int delete_look(struct deletion *d, struct err *err)
{
	size_t open, n = 0;
	char **paths = files_paths(d->engine, &open);
	struct sibling_id *ids = mem_try(d->count, sizeof(*ids));
	const char **all = mem_try(open + d->count, sizeof(*all));
	int rc = paths && ids && all ? 0 :
		err_sys(err, ENOMEM, "Could not look who uses the images");

	for (size_t i = 0; !rc && i < d->count; i++) {
		all[n++] = removal_path(d->doomed[i].file);
		ids[i] = d->doomed[i].id;
	}
	for (size_t i = 0; !rc && i < open; i++)
		all[n++] = paths[i];
	forest_release(&d->forest);
	d->forest.wanted = ids;
	d->forest.wanted_count = d->count;
	d->forest.young_after = clock_wall_us() * 1000 - DELETE_YOUNG_NS;
	if (!rc)
		forest_look(&d->forest, &d->engine->graph, all, n);
	d->forest.wanted = NULL;
	free(all);
	free(ids);
	files_free_paths(paths, open);
	return rc;
}

/* What was not seen may be anything. */
static int check_complete(const struct deletion *d, struct err *err)
{
	const struct forest *f = &d->forest;
	const char *first = removal_path(d->doomed[0].file);

	if (f->closed)
		return err_set(err, ERR_GENERIC, "Could not delete '%s': the "
			       "folder '%s' can't be read, and an image there "
			       "may need it", first, f->closed);
	if (f->first_unread)
		return err_set(err, ERR_GENERIC, "Could not delete '%s': '%s' "
			       "can't be read, and may need it", first,
			       f->first_unread);
	if (f->cut)
		return err_set(err, ERR_GENERIC, "Could not delete '%s': not "
			       "all files beside it could be looked at (%llu "
			       "were), and one of the others may need it",
			       first, (unsigned long long)f->files);
	return 0;
}

static int check_link(const struct deletion *d, const struct forest_image *by,
		      const struct forest_link *link, const char *what,
		      struct err *err)
{
	const struct doomed *one = link->found ? doomed_by_id(d, &link->id) :
						 NULL;

	if (!one || doomed_by_id(d, &by->self))
		return 0;
	return err_set(err, ERR_GENERIC, "Could not delete '%s': it is the %s "
		       "file of '%s'", removal_path(one->file), what,
		       by->path);
}

static int check_links(const struct deletion *d, struct err *err)
{
	for (size_t i = 0; i < d->forest.count; i++) {
		const struct forest_image *by = &d->forest.image[i];

		if (check_link(d, by, &by->backing, "backing", err) ||
		    check_link(d, by, &by->data, "data", err))
			return -1;
	}
	return 0;
}

/* Whatever an image is open with here, its header apart. */
static int check_not_open(const struct deletion *d, struct err *err)
{
	struct graph *g = &d->engine->graph;
	struct open_file *open;
	size_t n;
	int rc;

	graph_begin(g);
	graph_pause(g);
	rc = files_open(d->engine, &open, &n);
	if (rc)
		rc = err_sys(err, rc, "Could not look who uses the images");
	for (size_t i = 0; !rc && i < d->count; i++) {
		const struct doomed *one = &d->doomed[i];
		const struct open_file *by = files_find(open, n, &one->id);

		if (by)
			rc = err_set(err, ERR_GENERIC, "Could not delete "
				     "'%s': it is in use by %s",
				     removal_path(one->file),
				     graph_user_of(by->node).text);
	}
	graph_end(g);
	free(open);
	return rc;
}

static const struct forest_image *seen_as(const struct deletion *d,
					  const struct doomed *one)
{
	size_t at = forest_find(&d->forest, &one->id);

	return at == FOREST_NONE ? NULL : &d->forest.image[at];
}

static bool fell_out_here(const struct deletion *d, const struct doomed *one,
			  const struct forest_image *image)
{
	const struct file id = { .dev = one->id.dev, .ino = one->id.ino };
	bool left;

	graph_begin(&d->engine->graph);
	left = graph_was_left(&d->engine->graph, &id, &image->st.st_ctim);
	graph_end(&d->engine->graph);
	return left;
}

static int check_kinds(const struct deletion *d, struct err *err)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct doomed *one = &d->doomed[i];
		const struct forest_image *image = seen_as(d, one);

		if (!image || !image->format)
			return err_set(err, ERR_GENERIC, "Could not delete "
				       "'%s': it can't be read",
				       removal_path(one->file));
		if (!one->data && !strcmp(image->format, "raw") &&
		    !fell_out_here(d, one, image))
			return err_set(err, ERR_GENERIC, "Could not delete "
				       "'%s': it does not begin as an image "
				       "does, and no job here has taken it "
				       "out of a chain",
				       removal_path(one->file));
	}
	return 0;
}

static int check_unused(struct deletion *d, struct err *err)
{
	if (delete_look(d, err) || check_not_open(d, err) ||
	    check_links(d, err) || check_complete(d, err))
		return -1;
	return check_kinds(d, err);
}

/* With all locks. An image that is just being made may come to need one of
 * them. */
static int check_once_more(struct deletion *d, struct err *err)
{
	uint64_t end = clock_ns() + DELETE_PATIENCE_NS;

	do {
		poll(NULL, 0, DELETE_GRACE_MS);
		if (check_unused(d, err))
			return -1;
		if (!d->forest.young)
			return 0;
	} while (clock_ns() < end);
	return err_set(err, ERR_GENERIC, "Could not delete '%s': '%s' is just "
		       "being made, and may need it",
		       removal_path(d->doomed[0].file), d->forest.young);
}

/* --- their data files --- */

static bool data_is_needed(const struct deletion *d,
			   const struct forest_link *data)
{
	for (size_t i = 0; i < d->forest.count; i++) {
		const struct forest_image *by = &d->forest.image[i];

		if (doomed_by_id(d, &by->self))
			continue;
		if ((by->data.found &&
		     !sibling_compare(&by->data.id, &data->id)) ||
		    (by->backing.found &&
		     !sibling_compare(&by->backing.id, &data->id)))
			return true;
	}
	return false;
}

/* Of those that are asked for; what somebody else names stays. */
static int doom_data_files(struct deletion *d, struct err *err)
{
	size_t count = d->count;

	for (size_t i = 0; d->o->data_files && i < count; i++) {
		const struct forest_image *image = seen_as(d, &d->doomed[i]);
		const struct forest_link *data = &image->data;

		if (!data->found || data_is_needed(d, data) ||
		    doomed_by_id(d, &data->id))
			continue;
		if (doom(d, data->path, true, err))
			return -1;
	}
	return count == d->count ? 0 : check_unused(d, err);
}

/* --- the order: who names another goes before it --- */

static bool is_named_yet(const struct deletion *d, const struct doomed *one)
{
	for (size_t i = 0; i < d->forest.count; i++) {
		const struct forest_image *by = &d->forest.image[i];
		const struct doomed *other = doomed_by_id(d, &by->self);

		if (!other || other == one || other->ordered)
			continue;
		if ((by->backing.found &&
		     !sibling_compare(&by->backing.id, &one->id)) ||
		    (by->data.found &&
		     !sibling_compare(&by->data.id, &one->id)))
			return true;
	}
	return false;
}

/* Of a loop any may be the first. */
static size_t next_to_go(const struct deletion *d)
{
	size_t any = d->count;

	for (size_t i = 0; i < d->count; i++) {
		if (d->doomed[i].ordered)
			continue;
		if (!is_named_yet(d, &d->doomed[i]))
			return i;
		any = any == d->count ? i : any;
	}
	return any;
}

/* --- what is told --- */

static void describe(struct deletion *d, const struct doomed *one,
		     struct delete_item *to)
{
	const struct forest_image *image = seen_as(d, one);
	const struct stat *st = removal_stat(one->file);

	to->path = mem_dup(removal_path(one->file));
	to->format = image->format;
	to->disk_bytes = (uint64_t)st->st_blocks * 512;
	to->freed = removal_freed(one->file, &to->shared);
	to->links = (unsigned)st->st_nlink;
	to->snapshots = image->snapshots;
	to->external = image->external;
	to->data = mem_dup(image->data.path);
	to->data_goes = image->data.found &&
			doomed_by_id(d, &image->data.id);
}

/* Puts the files in order. */
static int delete_report_fill(struct deletion *d, struct delete_report *out,
			      struct err *err)
{
	struct doomed *sorted = mem_try(d->count, sizeof(*sorted));

	out->item = mem_try(d->count, sizeof(*out->item));
	if (!out->item || !sorted) {
		free(sorted);
		return err_sys(err, ENOMEM, "Could not list the images");
	}
	while (out->count < d->count) {
		struct doomed *one = &d->doomed[next_to_go(d)];

		describe(d, one, &out->item[out->count]);
		out->freed += out->item[out->count].freed;
		sorted[out->count++] = *one;
		one->ordered = true;
	}
	free(d->doomed);
	d->doomed = sorted;
	return 0;
}

/* --- all together --- */

static int lock_all(struct deletion *d, struct err *err)
{
	for (size_t i = 0; i < d->count; i++)
		if ((d->o->dry_run ? removal_check(d->doomed[i].file, err) :
		     removal_lock(d->doomed[i].file, err)))
			return -1;
	return 0;
}

static int remove_all(struct deletion *d, struct delete_report *out,
		      struct err *err)
{
	int rc = 0;

	out->freed = 0;
	for (size_t i = 0; i < d->count && !rc; i++) {
		rc = removal_do(d->doomed[i].file, err);
		out->item[i].gone = !rc;
		out->freed += rc ? 0 : out->item[i].freed;
	}
	return rc;
}

static int delete_work(struct deletion *d, struct delete_report *out,
		       struct err *err)
{
	for (size_t i = 0; i < d->o->count; i++)
		if (doom(d, d->o->files[i], false, err))
			return -1;
	if (check_unused(d, err) || doom_data_files(d, err) ||
	    lock_all(d, err))
		return -1;
	if (!d->o->dry_run && check_once_more(d, err))
		return -1;
	if (delete_report_fill(d, out, err))
		return -1;
	return d->o->dry_run ? 0 : remove_all(d, out, err);
}

int engine_delete(struct engine *e, const struct delete_options *o,
		  struct delete_report *out, struct err *err)
{
	struct deletion d = { .engine = e, .o = o, .forest = FOREST_INIT };
	int rc;

	*out = (struct delete_report){ .item = NULL };
	rc = delete_work(&d, out, err);
	for (size_t i = 0; i < d.count; i++)
		removal_close(d.doomed[i].file);
	free(d.doomed);
	forest_release(&d.forest);
	return rc;
}
