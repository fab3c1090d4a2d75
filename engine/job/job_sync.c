/* job_sync.c - commit at once: HMP's commit and the offline one.
 *
 * The guest may write meanwhile: as in an active commit its writes go to both
 * images. Base is durable before the overlay is emptied.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"
#include "engine/chain/siblings.h"
#include "engine/job/job_kinds.h"
#include "engine/util/mem.h"

struct sync {
	struct active active;
	struct claim owner;
	bool empty;			/* the overlay, in the end */
};

static int find_base(struct drive *drive, const char *name,
		     struct node **base, struct err *err)
{
	struct node *top = drive->root.node;

	if (!top->backing)
		return err_sys(err, ENOTSUP, "'%s' has no backing file to "
			       "commit to", top->file->path);
	*base = top->backing;
	if (name && chain_find(top, name, base, err) < 0)
		return -1;
	if (!*base || *base == top)
		return err_set(err, ERR_GENERIC,
			       "Can't find '%s' in the backing chain", name);
	return 0;
}

/* Graph write-held. */
static int sync_open(struct sync *s, struct jobs *jobs, struct drive *drive,
		     const char *base_name, bool force,
		     const struct siblings *found, struct err *err)
{
	struct node *top = drive->root.node, *base;

	if (find_base(drive, base_name, &base, err) < 0)
		return -1;
	s->owner = (struct claim){ .id = drive->root.id, .type = "commit" };
	s->empty = base == top->backing && top->drv->empty;
	if (s->empty && top->read_only)
		return err_sys(err, EACCES, "'%s' is read-only",
			       top->file->path);
	if (graph_check_exclusive(top, base, err) < 0 ||
	    (!force && chain_check_snapshots(top, base, "A commit", err) < 0) ||
	    siblings_check_range(found, top, base, "a commit", err) < 0)
		return -1;
	return active_open(&s->active, jobs, drive, base, &s->owner, err);
}

static int empty_overlay(struct node *node, struct err *err)
{
	struct range_hold hold;
	int rc;

	range_take(&node->range, &hold, 0, INT64_MAX, true);
	rc = node->drv->empty(node);
	range_drop(&node->range, &hold);
	return rc ? err_sys(err, rc, "Could not empty '%s'",
			    node->file->path) : 0;
}

static int sync_work(struct sync *s,
		     bool (*progress)(uint64_t done, uint64_t total,
				      void *arg),
		     void *arg, struct err *err)
{
	struct job_images *im = &s->active.im;
	int rc = active_pass(&s->active, NULL, progress, arg, err);

	if (rc == -ECANCELED)
		return err_set(err, ERR_GENERIC, "Cancelled; '%s' is as it "
			       "was", im->top->file->path);
	return rc ? -1 : job_images_flush(im, err);
}

static void sync_look(struct jobs *jobs, const char *id,
		      struct siblings *found)
{
	const struct drive *drive;

	rwlock_read(&jobs->graph->lock);
	drive = drive_find(jobs->graph, id);
	siblings_note(found, drive ? drive->root.node : NULL);
	rwlock_drop(&jobs->graph->lock);
	siblings_look(found, jobs->graph);
}

int sync_commit(struct jobs *jobs, const char *id, const char *base,
		bool force,
		      bool (*progress)(uint64_t done, uint64_t total,
				       void *arg),
		      void *arg, struct err *err)
{
	struct rwlock *lock = &jobs->graph->lock;
	struct siblings found = SIBLINGS_INIT;
	struct drive *drive;
	struct sync s;
	int rc;

	if (!force)
		sync_look(jobs, id, &found);
	rwlock_write(lock);
	drive = drive_find(jobs->graph, id);
	if (!drive)
		rc = err_set(err, ERR_DEVICE_NOT_FOUND,
			     "Device '%s' not found", id);
	else if (!drive->root.node)
		rc = err_set(err, ERR_DEVICE_NOT_FOUND,
			     "Device '%s' has no medium", id);
	else
		rc = sync_open(&s, jobs, drive, base, force, &found, err);
	rwlock_drop(lock);
	siblings_release(&found);
	if (rc < 0)
		return rc;

	rc = sync_work(&s, progress, arg, err);
	rwlock_write(lock);
	if (!rc)
		rc = active_settle(&s.active, err);
	if (!rc)
		rc = job_images_flush(&s.active.im, err);
	if (!rc && s.empty)
		rc = empty_overlay(drive->root.node, err);
	active_close(&s.active);
	rwlock_drop(lock);
	return rc;
}

/* HMP's words; @as is what the operator called it. */
static int commit_one(struct jobs *jobs, const char *id, const char *as,
		      bool force, struct err *err)
{
	if (!sync_commit(jobs, id, NULL, force, NULL, NULL, err))
		return 0;
	if (err->class == ERR_DEVICE_NOT_FOUND)
		return -1;
	if (err->class == ERR_DEVICE_IN_USE)
		err_set(err, ERR_DEVICE_IN_USE, "%s", strerror(EBUSY));
	else if (err->errnum == ENOTSUP)
		err_set(err, ERR_GENERIC, "%s", strerror(ENOTSUP));
	err_prefix(err, "'commit' error for '%s': ", as);
	return -1;
}

/* The id of the @n-th drive that has a backing file; the caller frees. */
static char *nth_with_backing(struct jobs *jobs, unsigned n)
{
	char *id = NULL;

	rwlock_read(&jobs->graph->lock);
	list_for_each(link, &jobs->graph->roots) {
		const struct root *r = &drive_linked(link)->root;

		if (r->node && *r->id && r->node->backing && !n--) {
			id = mem_dup(r->id);
			break;
		}
	}
	rwlock_drop(&jobs->graph->lock);
	return id;
}

int sync_commit_hmp(struct jobs *jobs, const char *device, bool force,
		    struct err *err)
{
	char *id;
	int rc = 0;

	if (strcmp(device, "all"))
		return commit_one(jobs, device, device, force, err);
	for (unsigned n = 0; !rc && (id = nth_with_backing(jobs, n)); n++) {
		rc = commit_one(jobs, id, "all", force, err);
		free(id);
	}
	return rc;
}
