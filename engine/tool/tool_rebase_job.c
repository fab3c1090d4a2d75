/* tool_rebase_job.c - the rebase of an image as a job, and the plan of it; see
 * tools.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"
#include "engine/forecast/forecast.h"
#include "engine/tool/tool_rebase.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

struct rebase_job {
	struct rebasing r;
	struct rebase_options o;
	char *path, *image_format, *base, *format;	/* what o points to, */
	char **data_file;		/* and o.image.data_files */
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
	for (size_t i = 0; j->data_file && i < j->o.image.data_file_count; i++)
		free(j->data_file[i]);
	free(j->data_file);
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

/* Its offset is that of the piece, and its clients are told as of any job. */
static int rebase_job_failed(const struct copy_error *e, const struct err *why,
			     void *arg)
{
	struct rebase_job *j = arg;
	bool lost = !e->reading && e->node->file->failed;

	job_progress(j->job, e->off, j->job->done);
	return lost ? job_give_up(j->job, why, e->reading) :
		      job_error(j->job, why, e->reading);
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
	if (!rc || rc == -ECANCELED || job->err.class)
		return rc;
	return job_fail(job, &err);
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
	.release = rebase_job_release, .tries_again = true, .looks = true,
};

/* --- its start --- */

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
	look.data_files_shared = true;
	tool_init(&t);
	rc = tool_open(&t, &look, err);
	if (!rc && o->base)
		rebase_find_format(j, t.top);
	else if (!rc)
		rc = rebase_choose_below(j, t.top, err);
	tool_close(&t);
	return rc;
}

/* It outlives the request. */
static int rebase_job_take_files(struct rebase_job *j,
				 const struct rebase_job_options *o,
				 struct err *err)
{
	if (!o->data_file_count)
		return 0;
	j->data_file = mem_try(o->data_file_count, sizeof(*j->data_file));
	if (!j->data_file)
		return err_sys(err, ENOMEM, "Could not rebase '%s'", o->file);
	for (size_t i = 0; i < o->data_file_count; i++)
		j->data_file[i] = mem_dup(o->data_files[i]);
	j->o.image.data_files = (const char *const *)j->data_file;
	j->o.image.data_file_count = o->data_file_count;
	return 0;
}

/* Nothing is open yet, or that is refused. */
static int rebase_job_choose(struct rebase_job *j, struct jobs *jobs,
			     const struct rebase_job_options *o,
			     struct err *err)
{
	int rc;

	j->path = mem_dup(o->file);
	j->image_format = mem_dup(o->format);
	j->o.image.path = j->path;
	j->o.image.format = j->image_format;
	j->o.force = o->force;
	j->o.progress = rebase_job_goes_on;
	j->o.arg = j;
	rc = rebase_job_take_files(j, o, err);
	if (!rc)
		rc = rebase_choose_base(j, o, err);
	j->o.base = j->base;
	j->o.format = j->format;
	rebase_init(&j->r, jobs, &j->o);
	j->r.failed = rebase_job_failed;
	return rc;
}

/* Graph begun. */
static void rebase_choose_id(struct jobs *jobs, char *id)
{
	struct job *taken;

	snprintf(id, 32, REBASE_ID);
	for (unsigned n = 2; (taken = job_find(jobs, id)); n++) {
		job_put(taken);
		snprintf(id, 32, REBASE_ID "%u", n);
	}
}

static int rebase_job_start(struct rebase_job *j, struct jobs *jobs,
			    const struct rebase_job_options *o,
			    struct err *err)
{
	struct job_options options = o->job;
	char id[32];
	struct job *job;

	options.speed = (uint64_t)o->speed;
	graph_begin(jobs->graph);
	rebase_choose_id(jobs, id);
	if (!options.id)
		options.id = id;
	job = job_new(jobs, &kind_rebase, &options, j, err);
	if (job) {
		job_set_len(job, j->r.image.top->size, j->r.image.top->size);
		rebase_name_files(&j->r, job->end);
		job_start(job);
	}
	graph_end(jobs->graph);
	return job ? 0 : -1;
}

/* All that can be refused is refused: NULL and err. */
static struct rebase_job *rebase_job_new(struct jobs *jobs,
					 const struct rebase_job_options *o,
					 bool dry, struct err *err)
{
	struct rebase_job *j;

	if (o->speed < 0) {
		err_set(err, ERR_INVALID_PARAMETER, "Parameter 'speed' "
			"expects a non-negative value");
		return NULL;
	}
	j = mem_try(1, sizeof(*j));
	if (!j) {
		err_sys(err, ENOMEM, "Could not rebase '%s'", o->file);
		return NULL;
	}
	if (!rebase_job_choose(j, jobs, o, err)) {
		j->r.dry = dry;
		j->o.progress = dry ? NULL : j->o.progress;
		j->r.failed = dry ? NULL : j->r.failed;
		if (!rebase_open(&j->r, err))
			return j;
	}
	rebase_job_free(j);
	return NULL;
}

int tool_rebase_start(struct jobs *jobs, const struct rebase_job_options *o,
		      struct err *err)
{
	struct rebase_job *j;

	j = rebase_job_new(jobs, o, false, err);
	if (!j)
		return -1;
	if (!rebase_job_start(j, jobs, o, err))
		return 0;
	rebase_job_free(j);
	return -1;
}

/* --- what it would be --- */

static int rebase_plan_add(struct forecast_files *list, const char *role,
			   const struct node *top)
{
	int rc = 0;

	for (const struct node *n = top; n && !rc; n = n->backing) {
		rc = forecast_add(list, NULL, n->file->path, role, false);
		if (!rc)
			list->file[list->count - 1].bytes =
				file_disk_bytes(n->file);
		role = role ? "between" : NULL;
	}
	return rc;
}

/* What it would take, at most: a cluster for each piece. */
static int rebase_plan_need(struct rebase_job *j, struct forecast *f)
{
	struct node *image = j->r.image.top;
	struct file_need need = { 0 };
	int rc = 0;

	if (image->drv->growth)
		rc = image->drv->growth(image, image->size,
					div_round_up(f->bytes.copied,
						     image->cluster), &need);
	f->space.needs = rc ? 0 : file_need(image->file, &need);
	return rc;
}

static int rebase_plan_fill(struct rebase_job *j, const char *id,
			    uint64_t speed, struct forecast *f)
{
	struct jobs *jobs = j->r.jobs;
	struct node *image = j->r.image.top;
	int rc = rebase_plan_add(&f->layers, "top", image);

	snprintf(f->job, sizeof(f->job), "%s", id);
	f->bytes.copied = f->left = j->r.copied;
	f->cancel_restores = !f->left;
	if (!rc)
		rc = forecast_add(&f->after, NULL, image->file->path, NULL,
				  false);
	if (!rc) {
		f->after.file[0].bytes = file_disk_bytes(image->file);
		rc = rebase_plan_add(&f->after, NULL, j->r.below.top);
	}
	if (!rc)
		rc = rebase_plan_need(j, f);
	return rc ? rc : forecast_space(f, jobs, image->file, speed);
}

static int rebase_plan_check_id(struct jobs *jobs, const char *given,
				char id[128], struct err *err)
{
	int rc;

	graph_begin(jobs->graph);
	rebase_choose_id(jobs, id);
	rc = job_check_id(jobs, given ? given : id, err);
	graph_end(jobs->graph);
	if (!rc && given)
		snprintf(id, 128, "%s", given);
	return rc;
}

int tool_rebase_plan(struct jobs *jobs, const struct rebase_job_options *o,
		     struct forecast *f, struct err *err)
{
	struct rebase_job *j = rebase_job_new(jobs, o, true, err);
	char id[128];
	int rc = j ? rebase_plan_check_id(jobs, o->job.id, id, err) : -1;

	*f = (struct forecast){
		.kind = REBASE_ID, .cancel = "what was copied stays in the "
			"image, which has its old backing file",
	};
	if (!rc)
		rc = rebase_fill(&j->r, err);
	if (!rc) {
		rc = rebase_plan_fill(j, id, (uint64_t)o->speed, f);
		if (rc)
			err_sys(err, rc, "No plan");
	}
	if (j)
		rebase_job_free(j);
	if (rc)
		forecast_release(f);
	return rc ? -1 : 0;
}
