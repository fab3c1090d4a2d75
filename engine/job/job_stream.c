/* job_stream.c - copies what lies below an image into it.
 *
 * Nothing that the image holds is touched and the guest sees the same all the
 * time, so a stream may stop anywhere. In the end everything is made durable
 * before the header lets go of the layers that held it until then.
 */
#include <stdlib.h>

#include "engine/chain/chain.h"
#include "engine/chain/graph.h"
#include "engine/job/job_kinds.h"
#include "engine/job/pass.h"
#include "engine/util/mem.h"

struct stream {
	struct job_images im;		/* to == top */
	char *backing;			/* words for the header, NULL: none */
};

static bool has_work(const struct stream *s)
{
	return s->im.top->backing != s->im.base;
}

struct pass stream_pass(struct jobs *jobs, struct node *top, struct node *base)
{
	return (struct pass){
		.graph = jobs->graph,
		.copy = { .pool = jobs->pool, .from = top, .to = top,
			  .stop = base, .only_holes = true },
		.size = top->size,
	};
}

static int stream_run(struct job *job)
{
	struct stream *s = job->opaque;
	struct pass p = stream_pass(s->im.jobs, s->im.top, s->im.base);
	int rc;

	if (!has_work(s))
		return 0;
	p.job = job;
	rc = pass_run(&p, NULL);
	return rc ? rc : job_images_keep(&s->im, job);
}

static int stream_relink(struct stream *s, struct err *err)
{
	struct node *top = s->im.top, *base = s->im.base, *below;

	if (!top->drv->set_backing || (!has_work(s) && !s->backing))
		return 0;
	graph_hold(top);
	if (top->drv->set_backing(top, s->backing,
				  base ? base->drv->name : NULL, err) < 0)
		return -1;
	if (!has_work(s))
		return 0;
	below = graph_get(top->backing);
	graph_link(top, base);
	job_images_leave(&s->im, below, base, NULL);
	graph_put(below);
	return 0;
}

static int stream_finish(struct job *job, struct err *err)
{
	struct stream *s = job->opaque;
	int rc;

	graph_begin(s->im.jobs->graph);
	rc = stream_relink(s, err);
	graph_end(s->im.jobs->graph);
	return rc;
}

static void stream_close(struct stream *s)
{
	job_images_release(&s->im);
	free(s->backing);
}

/* What was copied stays good; a failure to flush it only costs the work. */
static void stream_release(struct job *job)
{
	struct stream *s = job->opaque;
	struct graph *graph = s->im.jobs->graph;
	struct err err = ERR_INIT;

	job_images_flush(&s->im, &err);
	graph_begin(graph);
	stream_close(s);
	graph_end(graph);
	free(s);
}

static const struct job_kind kind_stream = {
	.type = "stream", .upward = true, .run = stream_run,
	.finish = stream_finish, .release = stream_release,
};

static int choose_words(struct stream *s, const char *backing,
			struct err *err)
{
	struct node *top = s->im.top, *base = s->im.base;

	if (!base)
		return 0;
	if (backing)
		s->backing = chain_name_given(top, base, backing);
	else if (has_work(s))
		s->backing = chain_name_for(top, base, err);
	else
		return 0;
	return s->backing ? top->drv->check_backing(top, s->backing,
						    base->drv->name, err) : -1;
}

static void stream_leave(struct stream *s)
{
	job_images_unclaim(&s->im);
	free(s->backing);
}

/* All that can be refused before something is changed. */
static int stream_enter(struct stream *s, const char *backing,
			struct err *err)
{
	struct node *bottom = s->im.top;

	while (bottom->backing != s->im.base && bottom->backing)
		bottom = bottom->backing;
	if (job_images_claim(&s->im, s->im.top, bottom, err) < 0)
		return -1;
	if (!choose_words(s, backing, err) &&
	    !job_images_check(&s->im, 0, err))
		return 0;
	stream_leave(s);
	return -1;
}

static int stream_open(struct stream *s, const char *backing,
		       struct err *err)
{
	if (stream_enter(s, backing, err))
		return -1;
	if (!job_images_prepare(&s->im, 0, err))
		return 0;
	stream_close(s);
	return -1;
}

static void stream_init(struct stream *s, struct jobs *jobs, struct node *top,
			struct node *base, const struct claim *owner)
{
	*s = (struct stream){ .im = {
		.jobs = jobs, .owner = owner, .top = top, .base = base,
		.to = top,
	} };
}

int stream_check(struct jobs *jobs, struct node *top, struct node *base,
		 const char *backing, const struct job_options *o,
		 struct err *err)
{
	const struct claim owner = { .id = o->id, .type = kind_stream.type };
	struct stream s;

	stream_init(&s, jobs, top, base, &owner);
	if (job_check_id(jobs, o->id, err) || stream_enter(&s, backing, err))
		return -1;
	stream_leave(&s);
	return 0;
}

int stream_start(struct jobs *jobs, struct node *top, struct node *base,
		 const char *backing, const struct job_options *o,
		 struct err *err)
{
	struct stream *s = mem_alloc(sizeof(*s));
	struct job *job = job_new(jobs, &kind_stream, o, s, err);

	stream_init(s, jobs, top, base, job ? &job->claim : NULL);
	if (job && !stream_open(s, backing, err)) {
		job_set_len(job, has_work(s) ? top->size : 0, 0);
		job_set_images(job, top, base);
		job_start(job);
		return 0;
	}
	if (job)
		job_discard(job);
	free(s);
	return -1;
}
