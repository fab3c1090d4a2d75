/* engine_start.c - the start of a job, if there is room for what it takes.
 *
 * To count that is to look at all tables. So mostly it is not: where there is
 * room for the whole disk there is room for the job, and how much of it is
 * kept for this one is counted when somebody wants to know.
 */
#include "engine/chain/chain.h"
#include "engine/chain/siblings.h"
#include "engine/engine_impl.h"
#include "engine/job/work.h"

/* Control. The host may take its time to answer. */
static bool has_ample_room(struct engine *e, const struct work *w)
{
	const struct job_need *need = &w->job.need;
	uint64_t has, kept;

	graph_pause(&e->graph);
	has = file_space(work_file(w));
	kept = jobs_reserved(&e->jobs, need->dev, NULL, NULL);
	graph_resume(&e->graph);
	return has == UINT64_MAX ||
	       (kept <= has && need->bytes <= has - kept);
}

/* Graph write-held, begun. */
static int start_kept(struct engine *e, const struct request *r,
		      const struct work *w, struct job **job, struct err *err)
{
	int rc;

	if (r->keep && undo_keep(e, w->job.id, w->overlay, w->top, w->base,
				 err))
		return -1;
	rc = r->kind->start(&e->jobs, w, job, err);
	if (rc && r->keep)
		undo_forget(e, w->job.id);
	return rc;
}

static bool is_said(struct engine *e, const char *device)
{
	struct err none = ERR_INIT;
	struct node *top;
	bool said;

	rwlock_read(&e->graph.lock);
	top = engine_find(e, device, NULL, &none);
	said = !top || chain_is_said(top, NULL);
	rwlock_drop(&e->graph.lock);
	return said;
}

static bool is_to_look(struct engine *e, const struct request *r)
{
	if (r->if_unsaid && is_said(e, r->device))
		return false;
	return !r->no_look || r->spoils;
}

/* Graph begun: those who read what is about to change, below the images of a
 * commit or by headers that say something else. */
static void start_spoils(struct engine *e, const struct work *w,
			 const struct siblings *s)
{
	if (w->kind != WORK_STREAM)
		siblings_spoil(s, w->top, w->base);
	list_for_each(link, &e->graph.nodes) {
		const struct node *node = container_of(link, struct node, link);

		if (work_shows_otherwise(w, node))
			siblings_spoil_one(s, node);
	}
}

/* 0; 1: whether it fits has to be counted first; -1 and err. @need NULL: was
 * not counted yet. */
static int start_once(struct engine *e, const struct request *r,
		      const struct job_need *need, struct job **job,
		      struct err *err)
{
	struct siblings s = SIBLINGS_INIT, none = SIBLINGS_INIT;
	struct work w;
	int rc;

	if (is_to_look(e, r))
		engine_look(e, r->device, &s);
	graph_begin(&e->graph);
	rc = r->kind->resolve(e, r->o, r->no_look ? &none : &s, &w, err);
	if (!rc) {
		w.job.need = need ? *need : (struct job_need){
			.bytes = work_need_most(&w), .most = true,
			.dev = work_file(&w)->dev,
		};
		if (!need && !r->force && !has_ample_room(e, &w))
			rc = 1;
	}
	if (!rc)
		rc = start_kept(e, r, &w, job, err);
	if (!rc && r->spoils)
		start_spoils(e, &w, &s);
	graph_end(&e->graph);
	siblings_release(&s);
	return rc;
}

int engine_start(struct engine *e, const struct request *r, struct job **job,
		 struct err *err)
{
	struct job_need need;
	int rc = start_once(e, r, NULL, job, err);

	if (rc <= 0)
		return rc;
	return engine_admit(e, r, &need, err) ? -1 :
	       start_once(e, r, &need, job, err);
}
