/* iothreads.c - see iothreads.h. */
#include "src/qmp/iothreads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/list.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "engine/util/thread.h"

struct iothread {
	struct list link;
	char *id;
};

struct iothreads {
	struct lock lock;	/* leaf; guards all below */
	struct list list;	/* struct iothread */
};

struct iothreads *iothreads_new(void)
{
	struct iothreads *threads = mem_alloc(sizeof(*threads));

	lock_init(&threads->lock);
	list_init(&threads->list);
	return threads;
}

static void iothread_free(struct iothread *t)
{
	list_del(&t->link);
	free(t->id);
	free(t);
}

void iothreads_free(struct iothreads *threads)
{
	list_for_each_safe(link, &threads->list)
		iothread_free(container_of(link, struct iothread, link));
	lock_release(&threads->lock);
	free(threads);
}

static struct iothread *iothread_find(struct iothreads *threads,
				      const char *id)
{
	list_for_each(link, &threads->list) {
		struct iothread *t = container_of(link, struct iothread, link);

		if (!strcmp(t->id, id))
			return t;
	}
	return NULL;
}

bool iothreads_have(struct iothreads *threads, const char *id)
{
	bool found;

	lock_take(&threads->lock);
	found = iothread_find(threads, id);
	lock_drop(&threads->lock);
	return found;
}

static struct iothread *iothread_new(const char *id)
{
	struct iothread *t = mem_try(1, sizeof(*t));

	if (!t)
		return NULL;
	list_init(&t->link);
	t->id = mem_try_dup(id, strlen(id));
	if (t->id)
		return t;
	free(t);
	return NULL;
}

int iothreads_add(struct iothreads *threads, const char *id, struct err *err)
{
	struct iothread *t;
	bool twice;

	if (!str_is_id(id))
		return err_set(err, ERR_GENERIC, "Parameter 'id' expects an "
			       "identifier");
	lock_take(&threads->lock);
	twice = iothread_find(threads, id);
	t = twice ? NULL : iothread_new(id);
	if (t)
		list_add(&threads->list, &t->link);
	lock_drop(&threads->lock);
	if (twice)
		return err_set(err, ERR_GENERIC, "attempt to add duplicate "
			       "property '%s' to object (type 'container')",
			       id);
	return t ? 0 : err_sys(err, -ENOMEM, "No iothread '%s'", id);
}

int iothreads_del(struct iothreads *threads, const char *id, struct err *err)
{
	struct iothread *t;

	lock_take(&threads->lock);
	t = iothread_find(threads, id);
	if (t)
		iothread_free(t);
	lock_drop(&threads->lock);
	return t ? 0 : err_set(err, ERR_GENERIC, "object '%s' not found", id);
}
