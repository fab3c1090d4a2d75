/* engine_plan.c - the facade's part on plans: asks what starting would ask,
 * then counts without the graph what the job would do. Where the graph changes
 * meanwhile all is asked again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain_walk.h"
#include "engine/engine_impl.h"
#include "engine/forecast/forecast.h"
#include "engine/job/job_kinds.h"
#include "engine/util/bytes.h"

#define PLAN_TRIES 16

/* --- work --- */

/* What is known of a request while the graph is not held. */
struct look {
	struct work w;
	uint64_t shape;
};

static void look_get(struct engine *e, struct look *l)
{
	l->shape = atomic_load(&e->graph.shape);
	graph_get(l->w.top);
	if (l->w.base)
		graph_get(l->w.base);
}

static void look_put(struct engine *e, struct look *l)
{
	graph_begin(&e->graph);
	graph_put(l->w.top);
	if (l->w.base)
		graph_put(l->w.base);
	graph_end(&e->graph);
}

static int no_memory(int rc, struct err *err)
{
	return rc ? err_sys(err, rc, "No plan") : 0;
}

/* All that is refused is refused here. */
static int look_begin(struct engine *e, const struct request *r,
		      struct look *l, struct forecast *f, struct err *err)
{
	struct siblings s = SIBLINGS_INIT, none = SIBLINGS_INIT;
	int rc;

	engine_look(e, r->device, &s);
	graph_begin(&e->graph);
	rc = r->kind->resolve(e, r->o, r->no_look ? &none : &s, &l->w, err);
	if (!rc)
		rc = r->kind->check(&e->jobs, &l->w, err);
	if (!rc && r->keep)
		rc = undo_check_keep(e, l->w.job.id, l->w.base, err);
	if (!rc)
		rc = no_memory(forecast_work(f, &l->w, &s), err);
	if (!rc)
		look_get(e, l);
	graph_end(&e->graph);
	siblings_release(&s);
	return rc;
}

/* The work of a job, found again by the images that it tells of. Graph
 * held. */
static bool work_of(struct engine *e, struct job *job, struct work *w)
{
	struct node *top = graph_find(&e->graph, job->top);

	if (!top)
		return false;
	*w = (struct work){
		.kind = strcmp(job->kind->type, "commit") ? WORK_STREAM :
			drive_of(top) ? WORK_ACTIVE : WORK_COMMIT,
		.drive = drive_of(top), .top = top, .job.id = job->id,
		.base = job->base[0] ? graph_find(&e->graph, job->base) : NULL,
	};
	return w->kind == WORK_STREAM || w->base;
}

static int count_need(struct engine *e, const struct look *l, uint64_t *bytes)
{
	struct copy_counts counts;
	struct err err = ERR_INIT;
	int rc = work_count(&e->jobs, &l->w, l->shape, false, &counts, &err);

	return rc ? rc : work_need(&e->jobs, &l->w, l->shape, &counts, bytes);
}

/* What is done already has its place, and is not counted. */
static void count_job(struct engine *e, struct job *job)
{
	uint64_t bytes;
	struct look l;
	bool known;
	int rc = -ESTALE;

	for (int i = 0; i < PLAN_TRIES && rc == -ESTALE; i++) {
		graph_begin(&e->graph);
		known = work_of(e, job, &l.w);
		if (known)
			look_get(e, &l);
		graph_end(&e->graph);
		if (!known)
			break;
		rc = count_need(e, &l, &bytes);
		look_put(e, &l);
	}
	job_set_need(job, rc ? NULL : &bytes);
}

static void count_jobs(struct engine *e, dev_t dev)
{
	struct job *job;

	while ((job = job_uncounted(&e->jobs, dev))) {
		count_job(e, job);
		job_put(job);
	}
}

/* 0; -ESTALE; or -1 and err. */
static int look_count(struct engine *e, struct look *l, bool told,
		      struct forecast *f, struct err *err)
{
	struct file *file = work_file(&l->w);
	int rc = work_count(&e->jobs, &l->w, l->shape, told, &f->bytes, err);

	if (!rc) {
		rc = work_need(&e->jobs, &l->w, l->shape, &f->bytes,
			       &f->space.needs);
		if (rc)
			err_sys(err, rc, "Could not look at '%s'",
				file->path);
	}
	if (!rc && told && l->w.empties) {
		rc = l->w.top->drv->given(l->w.top, &f->freed) == -ENOMEM;
		rc = no_memory(rc, err);
	}
	if (!rc) {
		count_jobs(e, file->dev);
		rc = no_memory(forecast_space(f, &e->jobs, file,
					      l->w.job.speed), err);
	}
	return rc == -ESTALE || !rc ? rc : -1;
}

/* Graph not held. */
static const char *undo_words(const struct request *r, const struct work *w)
{
	struct file *file = w->base->file;

	if (r->keep)
		return "a clone of base is kept, and undo takes the commit "
		       "back until somebody else writes to base";
	if (w->base->data)
		return "none: base changes, and has an external data file";
	file_probe_clone(file);
	if (!file->can_clone)
		return "none: base changes, and the file system can't keep a "
		       "clone of it";
	return "none: base changes, unless a clone of it is kept first "
	       "(block_commit -k; u on the screen)";
}

static int plan_once(struct engine *e, const struct request *r, bool told,
		     struct forecast *f, struct job_need *need,
		     struct err *err)
{
	struct look l;
	int rc;

	*f = (struct forecast){ 0 };
	if (look_begin(e, r, &l, f, err))
		return -1;
	rc = look_count(e, &l, told, f, err);
	if (told && l.w.kind != WORK_STREAM)
		f->undo = undo_words(r, &l.w);
	f->cancel_restores = !copy_counts_any(&f->bytes) &&
			     work_target(&l.w)->size >= l.w.top->size;
	*need = (struct job_need){ .bytes = f->space.needs,
				   .dev = work_file(&l.w)->dev };
	look_put(e, &l);
	return rc;
}

/* @told: to somebody, with what a start need not know. */
static int plan_request(struct engine *e, const struct request *r, bool told,
			struct forecast *f, struct job_need *need,
			struct err *err)
{
	int rc = -ESTALE;

	for (int i = 0; i < PLAN_TRIES && rc == -ESTALE; i++) {
		rc = plan_once(e, r, told, f, need, err);
		if (rc)
			forecast_release(f);
	}
	if (rc)
		return -1;
	f->left = f->bytes.data;
	return 0;
}

int engine_admit(struct engine *e, const struct request *r,
		 struct job_need *need, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct forecast f;
	int rc = 0;

	if (plan_request(e, r, false, &f, need, &ignored)) {
		*need = (struct job_need){ 0 };
		return 0;
	}
	if (!r->force)
		rc = forecast_check_space(&f, err);
	forecast_release(&f);
	return rc;
}

static int plan_work(struct engine *e, const struct request *r,
		     struct forecast *f, struct err *err)
{
	struct job_need need;

	if (plan_request(e, r, true, f, &need, err))
		return -1;
	if (r->force || !forecast_check_space(f, err))
		return 0;
	forecast_release(f);
	return -1;
}

int engine_plan_stream(struct engine *e, const struct stream_options *o,
		       struct forecast *f, struct err *err)
{
	const struct request r = engine_ask_stream(o);

	return plan_work(e, &r, f, err);
}

int engine_plan_commit(struct engine *e, const struct commit_options *o,
		       struct forecast *f, struct err *err)
{
	const struct request r = engine_ask_commit(o);

	return plan_work(e, &r, f, err);
}

/* --- HMP's commit, and the offline one --- */

/* No image falls out of the chain; layers end with base, with which `after`
 * begins. */
static int keep_layers(struct forecast *f)
{
	int rc = 0;

	while (f->unused.count)
		free(f->unused.file[--f->unused.count].path);
	for (size_t i = f->layers.count - 1; i-- > 0 && !rc;) {
		const struct forecast_file *layer = &f->layers.file[i];

		rc = forecast_add(&f->after, NULL, layer->path, NULL, true);
		if (rc)
			break;
		f->after.file[0].bytes = layer->bytes;
		memcpy(f->after.file[0].node, layer->node, NODE_NAME_MAX);
	}
	return rc;
}

/* The words of HMP are not those of the offline commit. */
static bool only_plans(struct engine *e, const char *device)
{
	const struct drive *drive;
	bool only;

	rwlock_read(&e->graph.lock);
	drive = drive_find(&e->graph, device);
	only = drive && drive->only_plans;
	rwlock_drop(&e->graph.lock);
	return only;
}

/* The overlay stays; on its own backing file it is emptied. */
int engine_plan_commit_sync(struct engine *e, const struct sync_options *o,
			    struct forecast *f, struct err *err)
{
	const struct request r = engine_ask_commit_sync(o);
	int rc = strcmp(o->device, "all") ? plan_work(e, &r, f, err) :
		 err_set(err, ERR_DEVICE_NOT_FOUND, "A plan is of one drive: "
			 "ask for each of them");

	if (rc)
		return only_plans(e, o->device) ? -1 :
		       sync_error(o->device, err);
	f->kind = "commit-now";
	f->job[0] = '\0';
	rc = no_memory(keep_layers(f), err);
	if (rc)
		forecast_release(f);
	return rc;
}

/* --- jobs that run --- */

static int forecast_job(struct engine *e, struct job *job, bool ends,
			struct forecast *f, struct err *err)
{
	struct siblings s = SIBLINGS_INIT;
	struct work w;
	int rc = 0;

	*f = (struct forecast){ 0 };
	if (ends)
		engine_look(e, job->top, &s);
	graph_begin(&e->graph);
	if (work_of(e, job, &w))
		rc = ends ? forecast_work(f, &w, &s) : forecast_top(f, w.top);
	graph_end(&e->graph);
	siblings_release(&s);
	snprintf(f->job, sizeof(f->job), "%s", job->id);
	lock_take(&job->lock);
	f->left = job->total - min_u64(job->done, job->total);
	lock_drop(&job->lock);
	if (!rc)
		return 0;
	forecast_release(f);
	return no_memory(rc, err);
}

int engine_plan_complete(struct engine *e, const char *id, struct forecast *f,
			 struct err *err)
{
	struct job *job = engine_find_job(e, id, err);
	int rc;

	if (!job)
		return -1;
	rc = job_check_complete(job, err);
	if (!rc)
		rc = forecast_job(e, job, true, f, err);
	job_put(job);
	if (rc)
		return -1;
	f->kind = "complete";
	f->cancel = "it can't be taken back: the guest goes on in base";
	return 0;
}

/* A job that is ready and told softly ends with both images equal. */
int engine_plan_cancel(struct engine *e, const char *id, bool force,
		       struct forecast *f, struct err *err)
{
	struct job *job = engine_find_job(e, id, err);
	struct job_info info;
	int rc;

	if (!job)
		return -1;
	rc = job_check_cancel(job, force, err);
	if (!rc)
		rc = forecast_job(e, job, false, f, err);
	job_describe(job, &info);
	job_put(job);
	if (rc)
		return -1;
	f->kind = "cancel";
	f->cancel = info.ready && !force ?
		    "both images end equal, and the drive stays on its own" :
		    "what was copied stays where it is; the chain stays as "
		    "it is";
	f->cancel_restores = !info.changed;
	return 0;
}

/* --- resize --- */

int engine_plan_resize(struct engine *e, const char *device, uint64_t size,
		       bool force, struct forecast *f, struct err *err)
{
	struct node *node;
	int rc = 0;

	if (!force && engine_look_first(e, device, err))
		return -1;
	*f = (struct forecast){ .kind = "resize" };
	graph_begin(&e->graph);
	node = engine_resolve_resize(e, device, size, err);
	if (node)
		rc = forecast_top(f, node);
	if (node && !rc)
		rc = work_need_resize(node, size, &f->space.needs);
	if (node && !rc)
		rc = forecast_space(f, &e->jobs, node_data_file(node), 0);
	graph_end(&e->graph);
	f->cancel = "a disk can't be made smaller again";
	if (node && !rc)
		return 0;
	forecast_release(f);
	return node ? no_memory(rc, err) : -1;
}
