/* tool_rebase.c - another backing file for an image; see tools.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"
#include "engine/chain/format.h"
#include "engine/chain/node_open.h"
#include "engine/tool/tool_rebase.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

static int rebase_check_words(const struct rebasing *r, struct err *err)
{
	if (!r->base)
		return 0;
	if (!r->format)
		return err_set(err, ERR_GENERIC, "Could not change the backing "
			       "file to '%s': backing format must be specified",
			       r->base);
	if (!format_find(r->format))
		return err_set(err, ERR_GENERIC, "Invalid format name: '%s'",
			       r->format);
	return 0;
}

/* The image must not be among what will lie below it; and while it is read
 * there nobody may write it, so this comes first. */
static int rebase_check_loop(const struct rebasing *r, struct err *err)
{
	struct file id;

	if (!chain_identify(chain_local_name(r->o->image.path), &id))
		return 0;
	for (const struct node *n = r->below.top; n; n = n->backing)
		if (file_is_same(n->file, &id))
			return err_set(err, ERR_GENERIC, "Backing file '%s' "
				       "creates an infinite loop.", r->base);
	return 0;
}

static int rebase_open_base(struct rebasing *r, struct err *err)
{
	const struct node_options *image = &r->o->image;
	struct node_options o = {
		.format = r->format, .read_only = true, .cache = image->cache,
		.backing_format = image->backing_format,
		.probe_backing = image->probe_backing,
		.metadata_max = image->metadata_max,
		.data_files = image->data_files,
		.data_file_count = image->data_file_count,
		.data_files_shared = true,
	};
	char *path;
	int rc;

	if (!r->base || r->o->unsafe)
		return 0;
	if (chain_is_remote(chain_local_name(r->base)))
		return err_set(err, ERR_GENERIC, "'%s': only local files can "
			       "be layers", r->base);
	if (chain_check_meaning(chain_local_name(image->path), r->base, err))
		return -1;
	path = chain_resolve(chain_local_name(image->path), r->base);
	o.path = path;
	rc = tool_open(&r->below, &o, err);
	if (rc)
		err_prefix(err, "Could not open new backing file '%s': ",
			   r->base);
	free(path);
	return rc ? rc : rebase_check_loop(r, err);
}

static int rebase_open_image(struct rebasing *r, struct err *err)
{
	struct node_options o = r->o->image;

	o.read_only = r->dry;
	o.no_backing = r->o->unsafe;
	o.data_beside = &r->below.graph;
	o.data_files_shared = true;
	if (tool_open(&r->image, &o, err) ||
	    (!o.no_backing &&
	     chain_check_data_files(&r->below.graph, &r->image.graph, &o,
				    err)) ||
	    node_check_writable(r->image.top, err))
		return -1;
	if (!r->image.top->drv->has_backing)
		return err_set(err, ERR_GENERIC, "Backing file not supported "
			       "for file format '%s'",
			       r->image.top->drv->name);
	return 0;
}

/* Do old and new words lead to one file of one format? */
static bool rebase_stays(const struct rebasing *r)
{
	const struct node *image = r->image.top;
	struct file old, new;
	char *a, *b;
	bool same;

	if (!r->base || !image->backing_name || !image->backing_format)
		return !r->base && !image->backing_name;
	a = chain_resolve(image->file->path, image->backing_name);
	b = chain_resolve(image->file->path, r->base);
	same = chain_identify(a, &old) && chain_identify(b, &new) &&
	       file_is_same(&old, &new) &&
	       !strcmp(image->backing_format, r->format);
	free(a);
	free(b);
	return same;
}

/* All that can be refused is refused before anything is written. */
static int rebase_check(struct rebasing *r, struct err *err)
{
	struct node *image = r->image.top;

	if (!r->o->force && !rebase_stays(r) &&
	    (chain_check_snapshots(image, image->backing, "A rebase", err) ||
	     siblings_check_path(&r->siblings, &r->image.graph,
				 image->file->path, "a rebase", err)))
		return -1;
	if (r->base)
		r->words = r->below.top ?
			chain_name_given(image, r->below.top, r->base) :
			chain_name_unseen(r->base);
	return image->drv->check_backing(image, r->words, r->format, err);
}

/* After a failed fsync the host may have forgotten what it had not written:
 * who is asked then can't have it tried again. */
static int rebase_keep(struct rebasing *r, struct err *err)
{
	struct node *image = r->image.top;
	struct copy_error e = { .node = image, .off = image->size };

	for (;;) {
		struct err why = ERR_INIT;
		int rc;

		e.rc = image->drv->flush(image);
		if (!e.rc)
			return 0;
		err_sys(&why, e.rc, "Could not flush '%s'", image->file->path);
		rc = r->failed ? r->failed(&e, &why, r->o->arg) : e.rc;
		if (!rc)
			continue;
		*err = why;
		return rc;
	}
}

int rebase_fill(struct rebasing *r, struct err *err)
{
	const struct rebase_copy c = {
		.pool = r->jobs->pool, .image = r->image.top,
		.base = r->below.top, .progress = r->o->progress,
		.arg = r->o->arg, .read = &r->read, .copied = &r->copied,
		.failed = r->failed, .dry = r->dry,
	};
	int rc;

	r->image.top->to_hide = r->base;
	rc = rebase_copy(&c, err);
	if (rc == -ECANCELED)
		err_set(err, ERR_GENERIC, "Cancelled; '%s' has its old backing "
			"file", r->image.top->file->path);
	return rc || r->dry ? rc : rebase_keep(r, err);
}

int rebase_open(struct rebasing *r, struct err *err)
{
	return rebase_check_words(r, err) || rebase_open_base(r, err) ||
	       rebase_open_image(r, err) || rebase_check(r, err) ? -1 : 0;
}

int rebase_link(struct rebasing *r, struct err *err)
{
	struct node *image = r->image.top;

	return image->drv->set_backing(image, r->words, r->format, err);
}

/* 0, -ECANCELED, or another negative number and err. */
static int rebase_work(struct rebasing *r, struct err *err)
{
	int rc = r->o->unsafe ? 0 : rebase_fill(r, err);

	return rc ? rc : rebase_link(r, err);
}

void rebase_name_files(const struct rebasing *r, struct job_end *end)
{
	const struct node *image = r->image.top;

	end->to = job_file_path(image->file->path);
	for (const struct node *n = image->backing; n; n = n->backing)
		job_files_add(&end->from, n->file->path, 0);
}

/* As of a job, for those here who keep a history. */
static int rebase_work_told(struct rebasing *r, struct err *err)
{
	uint64_t began = clock_ns();
	struct event ev = {
		.type = EVENT_JOB_COMPLETED, .id = REBASE_ID,
		.kind = REBASE_ID, .private = true,
		.len = r->image.top->size, .end = job_end_new(),
	};
	int rc;

	ev.end->began_us = clock_wall_us();
	rebase_name_files(r, ev.end);
	rc = rebase_work(r, err);
	ev.end->work_ns = ev.end->elapsed_ns = clock_ns() - began;
	ev.end->moved = r->copied;
	if (rc == -ECANCELED)
		ev.type = EVENT_JOB_CANCELLED;
	else if (rc)
		snprintf(ev.text, sizeof(ev.text), "%s", err->text);
	event_publish(r->jobs->events, &ev);
	job_end_put(ev.end);
	return rc;
}

void rebase_init(struct rebasing *r, struct jobs *jobs,
		 const struct rebase_options *o)
{
	bool has = o->base && *o->base;

	*r = (struct rebasing){
		.jobs = jobs, .o = o, .base = has ? o->base : NULL,
		.format = has ? o->format : NULL,
		.siblings = SIBLINGS_INIT,
	};
	tool_init(&r->below);
	tool_init(&r->image);
	r->below.graph.events = r->image.graph.events = jobs->events;
}

void rebase_close(struct rebasing *r)
{
	tool_close(&r->image);
	tool_close(&r->below);
	siblings_release(&r->siblings);
	free(r->words);
}

int tool_rebase(struct jobs *jobs, const struct rebase_options *o,
		struct err *err)
{
	struct rebasing r;
	int rc;

	rebase_init(&r, jobs, o);
	if (o->unsafe && !o->force) {
		siblings_note_file(&r.siblings,
				   chain_local_name(o->image.path));
		siblings_look(&r.siblings, jobs->graph);
	}
	rc = rebase_open(&r, err);
	if (!rc)
		rc = rebase_work_told(&r, err);
	rebase_close(&r);
	return rc ? -1 : 0;
}
