/* engine_jobs.c - the facade's part on jobs: finds the images that a command
 * names, checks how they lie to each other, and starts the work. The checks
 * go device, top, base, relation, busy, speed: the first fault is told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"
#include "engine/engine_impl.h"
#include "engine/chain/graph.h"
#include "engine/chain/node_open.h"
#include "engine/job/job_kinds.h"
#include "engine/util/clock.h"
#include "engine/job/work.h"
#include "engine/util/mem.h"

static int not_both(const char *a, const char *b, const char *text,
		    struct err *err)
{
	return a && b ? err_set(err, ERR_GENERIC, "%s", text) : 0;
}

static int no_such_top(const char *name, const struct node *active,
		       struct err *err)
{
	err_set(err, ERR_GENERIC, "Top image file %s not found", name);
	chain_tell_images(active, err);
	return -1;
}

/* @base is an image of the chain, but not below top. */
static int not_below(const struct commit_options *o, const struct drive *drive,
		     const struct node *base, struct err *err)
{
	struct str line = STR_INIT;

	err_set(err, ERR_GENERIC, "Can't find '%s' in the backing chain",
		o->base);
	str_add_word(&line, drive->root.id);
	str_add_word(&line, o->top);
	str_add_word(&line, o->base);
	if (o->rhel6 && base == drive->root.node)
		err_tip(err, "'%s' lies above '%s'", o->base, o->top);
	else
		err_tip(err, "'%s' lies above '%s'; the other way round: "
			"block_commit%s", o->base, o->top, str_get(&line));
	str_release(&line);
	return -1;
}

static int not_in_this_chain(const char *node, struct err *err)
{
	return err_set(err, ERR_GENERIC,
		       "'%s' is not in this backing file chain", node);
}

/* A node that QEMU puts in front of what a job works on is not needed here;
 * but a name that it can't have is an error, and one that it has is known. */
static int check_filter(struct engine *e, const char *name, struct err *err)
{
	if (!name)
		return 0;
	if (node_check_name(name, err))
		return -1;
	if (blockdev_has_name(e, name))
		return err_set(err, ERR_GENERIC,
			       "Duplicate nodes with node-name='%s'", name);
	if (drive_find(&e->graph, name))
		return err_set(err, ERR_GENERIC, "node-name=%s is conflicting "
			       "with a device id", name);
	return 0;
}

static void name_filter(struct node *node, const char *driver,
			const char *name)
{
	if (name)
		graph_name_filter(node, driver, name);
}

/* *node NULL and 0: that is the name of a file, which is in no chain. */
static int node_named(struct engine *e, const char *name, struct node **node,
		      struct err *err)
{
	*node = graph_find(&e->graph, name);
	if (*node || protocol_find(e, name))
		return 0;
	return err_set(err, ERR_DEVICE_NOT_FOUND,
		       "Cannot find device='' nor node-name='%s'", name);
}

/* Nobody else is at work on what lies from @top down to @bottom. */
static int check_free(struct node *top, struct node *bottom, struct err *err)
{
	if (graph_check_free(top, err))
		return -1;
	for (struct node *n = top; n; n = n == bottom ? NULL : n->backing)
		if (graph_check_idle(n, err))
			return -1;
	return 0;
}

static int check_speed(int64_t speed, struct err *err)
{
	return speed >= 0 ? 0 :
	       err_set(err, ERR_INVALID_PARAMETER, "Parameter 'speed' expects "
		       "a non-negative value");
}

/* Makes *out of @given: its id first, then its speed, as in QEMU. */
static int make_options(struct engine *e, const struct job_options *given,
			const struct drive *drive, int64_t speed,
			struct job_options *out, struct err *err)
{
	*out = *given;
	if (!out->id)
		out->id = drive ? drive->root.id : "";
	out->speed = (uint64_t)speed;
	return job_check_id(&e->jobs, out->id, err) || check_speed(speed, err) ?
	       -1 : 0;
}

static const char *const filter_kinds[] = {
	[WORK_STREAM] = "copy-on-read", [WORK_COMMIT] = "commit_top",
	[WORK_ACTIVE] = "mirror_top",
};

static int start_work(struct jobs *jobs, const struct work *w, struct job **job,
		      struct err *err)
{
	*job = NULL;
	if (work_start(jobs, w, err))
		return -1;
	name_filter(w->top, filter_kinds[w->kind], w->filter);
	return 0;
}

/* --- stream --- */

static int check_stream(const struct stream_options *o, struct err *err)
{
	if (not_both(o->base, o->base_node, "'base' and 'base-node' cannot "
		     "be specified at the same time", err) < 0 ||
	    not_both(o->base, o->bottom, "'base' and 'bottom' cannot be "
		     "specified at the same time", err) < 0)
		return -1;
	return not_both(o->bottom, o->base_node, "'bottom' and 'base-node' "
			"cannot be specified at the same time", err);
}

/* *base NULL: all of the chain. */
static int stream_base(struct engine *e, const struct stream_options *o,
		       struct node *top, struct node **base, struct err *err)
{
	const char *name = o->base_node ? o->base_node : o->bottom;

	*base = NULL;
	if (o->base) {
		if (chain_find(top, o->base, base, err) < 0)
			return -1;
		return *base && *base != top ? 0 :
			chain_refuse_name(o->base, top, err);
	}
	if (!name)
		return 0;
	if (node_named(e, name, base, err))
		return -1;
	if (o->bottom && !(*base && chain_has(top, *base)))
		return err_set(err, ERR_GENERIC, "Node '%s' is not in a chain "
			       "starting from '%s'", name, top->name);
	if (!*base || !chain_has(top, *base) || (o->base_node && *base == top))
		return err_set(err, ERR_GENERIC, "Node '%s' is not a backing "
			       "image of '%s'", name, top->name);
	if (o->bottom)
		*base = (*base)->backing;
	return 0;
}

static int resolve_stream(struct engine *e, const void *options,
			  const struct siblings *s, struct work *w,
			  struct err *err)
{
	const struct stream_options *o = options;
	struct drive *drive;
	struct node *top, *base, *bottom;
	struct job_options job;

	if (check_stream(o, err) < 0)
		return -1;
	top = engine_find(e, o->device, &drive, err);
	if (!top || stream_base(e, o, top, &base, err) < 0)
		return -1;
	if (o->backing_file && !base)
		return err_set(err, ERR_GENERIC, "backing file specified, but "
			       "streaming the entire chain");
	for (bottom = top; bottom->backing != base; bottom = bottom->backing)
		;
	if (check_free(top, bottom, err) < 0)
		return -1;
	if (check_filter(e, o->filter_node_name, err) < 0) {
		err_prefix(err, "Could not create node: ");
		return -1;
	}
	if (make_options(e, &o->job, drive, o->speed, &job, err) < 0 ||
	    engine_stream_readers(o, s, top, base, err))
		return -1;
	*w = (struct work){
		.kind = WORK_STREAM, .drive = drive, .top = top, .base = base,
		.backing = o->backing_file, .filter = o->filter_node_name,
		.job = job,
	};
	return 0;
}

static const struct request_kind kind_of_stream = {
	resolve_stream, work_check, start_work,
};

struct request engine_ask_stream(const struct stream_options *o)
{
	return (struct request){
		.kind = &kind_of_stream, .o = o, .device = o->device,
		.no_look = o->force, .if_unsaid = !o->backing_file,
		.spoils = o->force, .force = o->force,
	};
}

int engine_stream(struct engine *e, const struct stream_options *o,
		  struct err *err)
{
	const struct request r = engine_ask_stream(o);
	struct job *none;

	return engine_start(e, &r, &none, err);
}

/* --- commit --- */

static int check_commit(const struct commit_options *o, struct err *err)
{
	if (not_both(o->top_node, o->top, "'top-node' and 'top' are mutually "
		     "exclusive", err) < 0 ||
	    not_both(o->base_node, o->base, "'base-node' and 'base' are "
		     "mutually exclusive", err) < 0)
		return -1;
	if (o->rhel6 && !o->top)
		return err_set(err, ERR_GENERIC, "Parameter 'top' is missing");
	return 0;
}

static int commit_top(struct engine *e, const struct commit_options *o,
		      struct node *active, struct node **top,
		      struct err *err)
{
	*top = active;
	if (o->top) {
		if (chain_find(active, o->top, top, err) < 0)
			return -1;
		if (!*top)
			return no_such_top(o->top, active, err);
	} else if (o->top_node) {
		if (node_named(e, o->top_node, top, err))
			return -1;
		if (!*top || !chain_has(active, *top))
			return not_in_this_chain(o->top_node, err);
	}
	if (o->rhel6 && *top == active)
		return err_set(err, ERR_GENERIC, "Top image as the active "
			       "layer is currently unsupported");
	return 0;
}

static int refuse_same(const struct commit_options *o, struct err *err)
{
	if (!o->words_72)
		return err_set(err, ERR_GENERIC, "Invalid files for merge: "
			       "top and base are the same");
	if (o->base)
		return err_set(err, ERR_GENERIC, "Can't find '%s' in the "
			       "backing chain", o->base);
	return err_set(err, ERR_GENERIC, "cannot commit an image into itself");
}

static int commit_base(struct engine *e, const struct commit_options *o,
		       struct drive *drive, struct node *top,
		       struct node **base, struct err *err)
{
	const char *name = o->base ? o->base : o->base_node;

	for (*base = top; !name && (*base)->backing; *base = (*base)->backing)
		;
	if (o->base && chain_find(drive->root.node, name, base, err) < 0)
		return -1;
	if (o->base_node && node_named(e, name, base, err))
		return -1;
	if (*base == top && !name && top == drive->root.node && !o->words_72)
		return err_set(err, ERR_GENERIC, "Device '%s' has no backing "
			       "file to commit to", o->device);
	if (*base == top)
		return refuse_same(o, err);
	if (*base && chain_has(top, *base))
		return 0;
	if (o->base_node)
		return not_in_this_chain(name, err);
	return *base && o->top ? not_below(o, drive, *base, err) :
				 chain_refuse_name(name, drive->root.node, err);
}

static int resolve_commit(struct engine *e, const void *options,
			  const struct siblings *s, struct work *w,
			  struct err *err)
{
	const struct commit_options *o = options;
	struct node *active, *top, *base, *overlay;
	struct job_options job;
	struct drive *drive;

	active = engine_find_root(e, o->device, &drive, err);
	if (!active && !blockdev_has_name(e, o->device))
		return err_set(err, ERR_DEVICE_NOT_FOUND,
			       "Device '%s' not found", o->device);
	if (!active || check_commit(o, err) < 0 ||
	    commit_top(e, o, active, &top, err) < 0 ||
	    commit_base(e, o, drive, top, &base, err) < 0)
		return -1;
	if (o->backing_file && top == active)
		return err_set(err, ERR_GENERIC, "'backing-file' specified, "
			       "but 'top' is the active layer");
	overlay = top == active ? active : chain_above(active, top);
	/* QEMU puts the filter of an active commit in first, others last. */
	if (check_free(overlay, base, err) < 0 ||
	    graph_check_exclusive(top, base, err) < 0 ||
	    (top == active &&
	     check_filter(e, o->filter_node_name, err) < 0) ||
	    make_options(e, &o->job, drive, o->speed, &job, err) < 0 ||
	    check_filter(e, o->filter_node_name, err) < 0 ||
	    engine_commit_readers(o, s, overlay, top, base, err) < 0)
		return -1;
	*w = (struct work){
		.kind = top == active ? WORK_ACTIVE : WORK_COMMIT,
		.drive = drive, .overlay = overlay, .top = top, .base = base,
		.backing = o->backing_file, .filter = o->filter_node_name,
		.job = job,
	};
	return 0;
}

static const struct request_kind kind_of_commit = {
	resolve_commit, work_check, start_work,
};

struct request engine_ask_commit(const struct commit_options *o)
{
	return (struct request){
		.kind = &kind_of_commit, .o = o, .device = o->device,
		.no_look = o->force, .spoils = o->force, .force = o->force,
		.keep = o->keep,
	};
}

int engine_commit(struct engine *e, const struct commit_options *o,
		  struct err *err)
{
	const struct request r = engine_ask_commit(o);
	struct job *none;

	return engine_start(e, &r, &none, err);
}

/* --- commit at once --- */

static int resolve_commit_sync(struct engine *e, const void *options,
			       const struct siblings *s, struct work *w,
			       struct err *err)
{
	return sync_resolve(&e->jobs, options, s, w, err);
}

static int start_commit_sync(struct jobs *jobs, const struct work *w,
			     struct job **job, struct err *err)
{
	*job = sync_start(jobs, w, err);
	return *job ? 0 : -1;
}

static const struct request_kind kind_of_commit_sync = {
	resolve_commit_sync, sync_check, start_commit_sync,
};

struct request engine_ask_commit_sync(const struct sync_options *o)
{
	return (struct request){
		.kind = &kind_of_commit_sync, .o = o, .device = o->device,
		.no_look = o->force, .spoils = o->force, .force = o->force,
	};
}

int engine_commit_at_once(struct engine *e, const struct sync_options *o,
			  struct err *err)
{
	const struct request r = engine_ask_commit_sync(o);
	struct job *job = NULL;

	engine_start(e, &r, &job, err);
	return sync_await(job, o, err);
}

int engine_commit_offline(struct engine *e, const struct sync_options *o,
			  struct err *err)
{
	return o->keep ? undo_commit_kept(e, o, err) :
			 engine_commit_at_once(e, o, err);
}

static int commit_one(struct engine *e, const char *id,
		      const struct sync_options *given, struct err *err)
{
	struct sync_options o = *given;

	o.device = id;
	return !engine_commit_offline(e, &o, err) ? 0 :
	       sync_error(given->device, err);
}

/* The id of the @n-th drive that has a backing file; the caller frees. */
static char *nth_with_backing(struct engine *e, unsigned n)
{
	char *id = NULL;

	rwlock_read(&e->graph.lock);
	list_for_each(link, &e->graph.roots) {
		const struct root *r = &drive_linked(link)->root;

		if (r->node && *r->id && r->node->backing && !n--) {
			id = mem_dup(r->id);
			break;
		}
	}
	rwlock_drop(&e->graph.lock);
	return id;
}

int engine_commit_sync(struct engine *e, const struct sync_options *o,
		       struct err *err)
{
	char *id;
	int rc = 0;

	if (strcmp(o->device, "all"))
		return commit_one(e, o->device, o, err);
	for (unsigned n = 0; !rc && (id = nth_with_backing(e, n)); n++) {
		rc = commit_one(e, id, o, err);
		free(id);
	}
	return rc;
}

/* --- control --- */

struct job *engine_find_job(struct engine *e, const char *id,
			    struct err *err)
{
	struct job *job = job_find(&e->jobs, id);

	if (!job)
		err_set(err, ERR_DEVICE_NOT_ACTIVE, "Block job '%s' not found",
			id);
	return job;
}

int engine_job_cancel(struct engine *e, const char *id, bool force,
		      uint64_t wait_ns, struct err *err)
{
	struct job *job = engine_find_job(e, id, err);
	int rc;

	if (!job)
		return -1;
	rc = job_cancel(job, force, err);
	if (!rc && wait_ns)
		job_wait_over(job, clock_ns() + wait_ns);
	job_put(job);
	return rc;
}

int engine_job_set_speed(struct engine *e, const char *id, int64_t speed,
			 struct err *err)
{
	struct job *job = engine_find_job(e, id, err);
	int rc;

	if (!job)
		return -1;
	if (speed < 0)
		rc = err_set(err, ERR_INVALID_PARAMETER, "Parameter 'speed' "
			     "expects a non-negative value");
	else
		rc = job_set_speed(job, (uint64_t)speed, err);
	job_put(job);
	return rc;
}

static int simple_verb(struct engine *e, const char *id,
		       int (*verb)(struct job *job, struct err *err),
		       struct err *err)
{
	struct job *job = engine_find_job(e, id, err);
	int rc;

	if (!job)
		return -1;
	rc = verb(job, err);
	job_put(job);
	return rc;
}

int engine_job_pause(struct engine *e, const char *id, struct err *err)
{
	return simple_verb(e, id, job_pause, err);
}

int engine_job_resume(struct engine *e, const char *id, struct err *err)
{
	return simple_verb(e, id, job_resume, err);
}

int engine_job_complete(struct engine *e, const char *id, struct err *err)
{
	return simple_verb(e, id, job_complete, err);
}

int engine_job_finalize(struct engine *e, const char *id, struct err *err)
{
	return simple_verb(e, id, job_finalize, err);
}

int engine_job_dismiss(struct engine *e, const char *id, struct err *err)
{
	return simple_verb(e, id, job_dismiss, err);
}

void engine_cancel_all(struct engine *e)
{
	job_cancel_all(&e->jobs);
}

int engine_query_jobs(struct engine *e, struct job_info **out, size_t *n)
{
	size_t count = 0;

	lock_take(&e->jobs.lock);
	list_for_each(link, &e->jobs.list)
		count++;
	*out = mem_try(count + 1, sizeof(**out));
	*n = 0;
	list_for_each(link, &e->jobs.list)
		if (*out)
			job_describe(container_of(link, struct job, link),
				     &(*out)[(*n)++]);
	lock_drop(&e->jobs.lock);
	return *out ? 0 : -ENOMEM;
}
