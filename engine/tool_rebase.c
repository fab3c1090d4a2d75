/* tool_rebase.c - another backing file for an image; see tools.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"
#include "engine/chain/format.h"
#include "engine/chain/siblings.h"
#include "engine/engine_impl.h"
#include "engine/job/rebase.h"
#include "engine/tool.h"
#include "engine/tools.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

#define REBASE_ID "rebase"	/* of its job, and what kind that is */

struct rebasing {
	struct engine *engine;
	const struct rebase_options *o;
	const char *base;		/* NULL: none */
	const char *format;
	struct siblings siblings;	/* of the image, if it may change */
	struct tool below, image;
	char *words;			/* for the header; NULL: none */
	uint64_t read;			/* bytes of disks that were read ... */
	uint64_t copied;		/* ... and of data in the image now */
};

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
	};
	char *path;
	int rc;

	if (!r->base || r->o->unsafe)
		return 0;
	if (chain_is_remote(chain_local_name(r->base)))
		return err_set(err, ERR_GENERIC, "'%s': only local files can "
			       "be layers", r->base);
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

	o.read_only = false;
	o.no_backing = r->o->unsafe;
	if (tool_open(&r->image, &o, err))
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

/* 0, -ECANCELED, or another negative number and err. */
static int rebase_fill(struct rebasing *r, struct err *err)
{
	const struct rebase_copy c = {
		.pool = r->engine->pool, .image = r->image.top,
		.base = r->below.top, .progress = r->o->progress,
		.arg = r->o->arg, .read = &r->read, .copied = &r->copied,
	};
	int rc;

	r->image.top->to_hide = r->base;
	rc = rebase_copy(&c, err);
	if (rc == -ECANCELED)
		err_set(err, ERR_GENERIC, "Cancelled; '%s' has its old backing "
			"file", r->image.top->file->path);
	if (rc)
		return rc;
	rc = r->image.top->drv->flush(r->image.top);
	return rc ? err_sys(err, rc, "Could not flush '%s'",
			    r->image.top->file->path) : 0;
}

static int rebase_open(struct rebasing *r, struct err *err)
{
	return rebase_check_words(r, err) || rebase_open_base(r, err) ||
	       rebase_open_image(r, err) || rebase_check(r, err) ? -1 : 0;
}

static int rebase_link(struct rebasing *r, struct err *err)
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

/* What it copies, from where. */
static void rebase_name_files(const struct rebasing *r, struct job_end *end)
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
	event_publish(&r->engine->events, &ev);
	job_end_put(ev.end);
	return rc;
}

static void rebase_init(struct rebasing *r, struct engine *e,
			const struct rebase_options *o)
{
	bool has = o->base && *o->base;

	*r = (struct rebasing){
		.engine = e, .o = o, .base = has ? o->base : NULL,
		.format = has ? o->format : NULL,
		.siblings = SIBLINGS_INIT,
	};
	tool_init(&r->below);
	tool_init(&r->image);
	r->image.graph.events = &e->events;
}

static void rebase_close(struct rebasing *r)
{
	tool_close(&r->image);
	tool_close(&r->below);
	siblings_release(&r->siblings);
	free(r->words);
}

int engine_rebase(struct engine *e, const struct rebase_options *o,
		  struct err *err)
{
	struct rebasing r;
	int rc;

	rebase_init(&r, e, o);
	if (o->unsafe && !o->force) {
		siblings_note_file(&r.siblings,
				   chain_local_name(o->image.path));
		siblings_look(&r.siblings, &e->graph);
	}
	rc = rebase_open(&r, err);
	if (!rc)
		rc = rebase_work_told(&r, err);
	rebase_close(&r);
	return rc ? -1 : 0;
}

/* --- as a job --- */

struct rebase_job {
	struct rebasing r;
	struct rebase_options o;
	char *path, *image_format, *base, *format;	/* what o points to */
	struct job *job;
	uint64_t charged;		/* of r.read */
};

static void rebase_job_free(struct rebase_job *j)
{
	rebase_close(&j->r);
	free(j->path);
	free(j->image_format);
	free(j->base);
	free(j->format);
	free(j);
}

static bool rebase_job_goes_on(uint64_t done, uint64_t total, void *arg)
{
	struct rebase_job *j = arg;

	(void)total;
	job_progress(j->job, done, done);
	job_piece(j->job, 1, UINT64_MAX);
	job_charge(j->job, j->r.read - j->charged);
	j->charged = j->r.read;
	return !job_point(j->job);
}

static int rebase_job_run(struct job *job)
{
	struct rebase_job *j = job->opaque;
	struct err err = ERR_INIT;
	int rc;

	j->job = job;
	rc = job_point(job);
	if (!rc)
		rc = rebase_fill(&j->r, &err);
	return !rc || rc == -ECANCELED ? rc : job_fail(job, &err);
}

static int rebase_job_finish(struct job *job, struct err *err)
{
	struct rebase_job *j = job->opaque;

	return rebase_link(&j->r, err);
}

static void rebase_job_release(struct job *job)
{
	struct rebase_job *j = job->opaque;

	job->end->moved = j->r.copied;
	rebase_job_free(j);
}

static const struct job_kind kind_rebase = {
	.type = REBASE_ID, .run = rebase_job_run, .finish = rebase_job_finish,
	.release = rebase_job_release, .looks = true,
};

/* --- its start --- */

static int rebase_check_closed(struct engine *e, const char *path,
			       struct err *err)
{
	const struct open_file *by = NULL;
	struct open_file *open;
	struct sibling_id id;
	struct stat st;
	size_t n;
	int rc;

	if (stat(path, &st))
		return err_sys(err, errno, "Could not open '%s'", path);
	id = sibling_id_at(&st);
	graph_begin(&e->graph);
	rc = files_open(e, &open, &n);
	if (rc)
		err_sys(err, rc, "Could not rebase '%s'", path);
	else
		by = files_find(open, n, &id);
	if (by)
		rc = err_set(err, ERR_GENERIC, "Image '%s' is in use by %s: "
			     "only one that is not open can be rebased", path,
			     graph_user_of(by->node).text);
	graph_end(&e->graph);
	free(open);
	return rc;
}

/* The image below its backing file, as its header is to name it. */
static int rebase_choose_below(struct rebase_job *j, const struct node *top,
			       struct err *err)
{
	struct node *base;

	if (!top->backing)
		return err_set(err, ERR_GENERIC, "'%s' has no backing file",
			       top->file->path);
	base = top->backing->backing;
	if (base)
		j->base = chain_name_for((struct node *)top, base, err);
	else
		j->base = mem_dup("");
	j->format = mem_dup(base ? base->drv->name : NULL);
	return j->base ? 0 : -1;
}

/* Its format, if it is in the chain already. */
static void rebase_find_format(struct rebase_job *j, const struct node *top)
{
	char *path = chain_resolve(top->file->path, j->base);
	struct file id;

	for (const struct node *n = top->backing; n && !j->format;
	     n = n->backing)
		if (chain_identify(path, &id) && file_is_same(n->file, &id))
			j->format = mem_dup(n->drv->name);
	free(path);
}

/* Looks at the chain as it is, beside whoever has it open. */
static int rebase_choose_base(struct rebase_job *j,
			      const struct rebase_job_options *o,
			      struct err *err)
{
	struct node_options look = j->o.image;
	struct tool t;
	int rc;

	j->base = mem_dup(o->base);
	j->format = mem_dup(o->base_format);
	if (o->base && (!*o->base || o->base_format))
		return 0;
	look.read_only = true;
	look.no_lock = true;
	tool_init(&t);
	rc = tool_open(&t, &look, err);
	if (!rc && o->base)
		rebase_find_format(j, t.top);
	else if (!rc)
		rc = rebase_choose_below(j, t.top, err);
	tool_close(&t);
	return rc;
}

static int rebase_job_open(struct rebase_job *j, struct engine *e,
			   const struct rebase_job_options *o, struct err *err)
{
	int rc;

	j->path = mem_dup(o->file);
	j->image_format = mem_dup(o->format);
	j->o.image.path = j->path;
	j->o.image.format = j->image_format;
	j->o.force = o->force;
	j->o.progress = rebase_job_goes_on;
	j->o.arg = j;
	rc = rebase_check_closed(e, chain_local_name(o->file), err);
	if (!rc)
		rc = rebase_choose_base(j, o, err);
	j->o.base = j->base;
	j->o.format = j->format;
	rebase_init(&j->r, e, &j->o);
	return rc ? rc : rebase_open(&j->r, err);
}

/* Graph begun. */
static void rebase_choose_id(struct jobs *jobs, char id[32])
{
	struct job *taken;

	snprintf(id, 32, REBASE_ID);
	for (unsigned n = 2; (taken = job_find(jobs, id)); n++) {
		job_put(taken);
		snprintf(id, 32, REBASE_ID "%u", n);
	}
}

static int rebase_job_start(struct rebase_job *j, struct engine *e,
			    const struct rebase_job_options *o,
			    struct err *err)
{
	struct job_options options = o->job;
	char id[32];
	struct job *job;

	options.speed = (uint64_t)o->speed;
	graph_begin(&e->graph);
	rebase_choose_id(&e->jobs, id);
	if (!options.id)
		options.id = id;
	job = job_new(&e->jobs, &kind_rebase, &options, j, err);
	if (job) {
		job_set_len(job, j->r.image.top->size, j->r.image.top->size);
		rebase_name_files(&j->r, job->end);
		job_start(job);
	}
	graph_end(&e->graph);
	return job ? 0 : -1;
}

int engine_rebase_start(struct engine *e, const struct rebase_job_options *o,
			struct err *err)
{
	struct rebase_job *j;

	if (o->speed < 0)
		return err_set(err, ERR_INVALID_PARAMETER, "Parameter 'speed' "
			       "expects a non-negative value");
	j = mem_try(1, sizeof(*j));
	if (!j)
		return err_sys(err, ENOMEM, "Could not rebase '%s'", o->file);
	if (!rebase_job_open(j, e, o, err) &&
	    !rebase_job_start(j, e, o, err))
		return 0;
	rebase_job_free(j);
	return -1;
}
