/* space.c - whether it fits, and how long it takes; see forecast.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/forecast/forecast.h"
#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "engine/util/size.h"

/* As far as it can be found, from the root. */
static char *space_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == path ? mem_dup("/") :
		       slash ? mem_printf("%.*s", (int)(slash - path), path) :
		       mem_dup(".");
	char *full = realpath(folder, NULL);

	if (!full)
		return folder;
	free(folder);
	return full;
}

/* Bytes a second, 0: nothing was measured. */
static uint64_t measured(struct jobs *jobs, uint64_t limit)
{
	uint64_t rate = 0;

	lock_take(&jobs->lock);
	if (jobs->moved_ns)
		rate = (uint64_t)((double)jobs->moved * NS_PER_SEC /
				  (double)jobs->moved_ns);
	lock_drop(&jobs->lock);
	return rate && limit ? min_u64(rate, limit) : rate;
}

struct space_jobs {
	struct forecast_names *names;
	int rc;
};

static void space_add_job(const char *id, void *arg)
{
	struct space_jobs *to = arg;

	if (!to->rc)
		to->rc = forecast_add_name(to->names, id);
}

static int find_reserved(struct forecast *f, struct jobs *jobs, dev_t dev)
{
	struct space_jobs to = { .names = &f->jobs };

	f->space.dev = dev;
	f->space.reserved = jobs_reserved(jobs, dev, space_add_job, &to);
	return to.rc;
}

int forecast_space(struct forecast *f, struct jobs *jobs,
		   const struct file *file, uint64_t speed)
{
	uint64_t moved = f->bytes.copied + f->bytes.overwritten;
	uint64_t rate = measured(jobs, speed);

	free(f->space.folder);
	f->space.folder = space_folder(file->path);
	f->space.has = file_space(file);
	f->rated = rate || !moved;
	f->seconds = moved && rate ? div_round_up(moved, rate) : 0;
	return find_reserved(f, jobs, file->dev);
}

int forecast_space_at(struct forecast *f, struct jobs *jobs, const char *path)
{
	dev_t dev = 0;

	f->space.folder = space_folder(path);
	f->space.has = file_space_at(f->space.folder, &dev);
	f->rated = true;
	return find_reserved(f, jobs, dev);
}

static uint64_t space_sum(const struct forecast *list, size_t n, dev_t dev)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		if (list[i].space.folder && list[i].space.dev == dev)
			sum += list[i].space.needs;
	return sum;
}

/* Less than nothing where it does not fit. */
static int64_t space_after(const struct forecast *f, uint64_t needs)
{
	if (f->space.has == UINT64_MAX)
		return INT64_MAX;
	return (int64_t)f->space.has - (int64_t)f->space.reserved -
	       (int64_t)needs;
}

int forecast_join_space(struct forecast *f, const struct forecast *list,
			size_t n)
{
	int64_t least = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t needs = space_sum(list, n, list[i].space.dev);
		int64_t after = space_after(&list[i], needs);
		char *folder;

		if (!list[i].space.folder ||
		    (f->space.folder && after >= least))
			continue;
		folder = mem_try_dup(list[i].space.folder,
				     strlen(list[i].space.folder));
		if (!folder)
			return -ENOMEM;
		free(f->space.folder);
		f->space = list[i].space;
		f->space.folder = folder;
		f->space.needs = needs;
		least = after;
	}
	return 0;
}

int forecast_check_space(const struct forecast *f, struct err *err)
{
	uint64_t reserved = min_u64(f->space.reserved, f->space.has);
	const char *what = strcmp(f->kind, "stream") ? "commit" : f->kind;
	char needs[8], has[8], kept[8];

	if (f->space.has == UINT64_MAX || !f->space.needs ||
	    f->space.needs <= f->space.has - reserved)
		return 0;
	return err_set(err, ERR_GENERIC, "The %s needs %s, %s has %s%s%s "
		       "(x-blkmon-force, -f or --force: do it all the same)",
		       what, size_short(f->space.needs, needs, sizeof(needs)),
		       f->space.folder,
		       size_short(f->space.has, has, sizeof(has)),
		       reserved ? ", and running jobs need " : "", reserved ?
		       size_short(f->space.reserved, kept, sizeof(kept)) : "");
}
