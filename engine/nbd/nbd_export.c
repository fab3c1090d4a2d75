/* nbd_export.c - the exports of the NBD server: who may use them, how they
 * come and go. See nbd_impl.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/nbd/nbd_impl.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"

static struct export *export_at(struct list *link)
{
	return container_of(link, struct export, link);
}

/* --- for the connections --- */

static bool is_called(const struct export *x, const void *name, size_t len)
{
	return strlen(x->name) == len && !memcmp(x->name, name, len);
}

/* Server's lock held. */
static struct export *find_name(struct nbd_server *s, const void *name,
				size_t len)
{
	struct list *first = s->exports.next;

	list_for_each(link, &s->exports)
		if (is_called(export_at(link), name, len))
			return export_at(link);
	if (!len && first != &s->exports && first->next == &s->exports)
		return export_at(first);
	return NULL;
}

struct export *nbd_export_get(struct nbd_server *s, const void *name,
			      size_t len)
{
	struct export *x;

	lock_take(&s->lock);
	x = find_name(s, name, len);
	if (x && x->closing)
		x = NULL;
	if (x)
		x->users++;
	lock_drop(&s->lock);
	return x;
}

void nbd_export_put(struct nbd_server *s, struct export *x)
{
	lock_take(&s->lock);
	x->users--;
	cond_wake_all(&s->changed);
	lock_drop(&s->lock);
}

/* --- clients who are away --- */

/* Server's lock held; the gate's comes after it. */
static void recall(struct nbd_conn *c)
{
	atomic_store(&c->away, true);
	if (c->export)
		disk_recall(c->export->disk);
	cond_wake_all(&c->server->changed);
}

void nbd_export_abandon(struct nbd_conn *c)
{
	lock_take(&c->server->lock);
	recall(c);
	lock_drop(&c->server->lock);
}

void nbd_export_cut(struct nbd_conn *c)
{
	lock_take(&c->server->lock);
	nbd_hang_up(c, true);
	recall(c);
	lock_drop(&c->server->lock);
}

static struct nbd_conn *user_at(struct list *link)
{
	return container_of(link, struct nbd_conn, user);
}

/* How many connections to the disk of @x are away, each given to @fn before
 * (or NULL) if it is, or has hung up. Server's lock held. */
static unsigned count_away(struct nbd_server *s, const struct export *x,
			   void (*fn)(struct nbd_conn *c))
{
	unsigned n = 0;

	list_for_each(link, &s->exports) {
		struct export *other = export_at(link);

		if (!disk_is_same(x->disk, other->disk))
			continue;
		list_for_each(user, &other->conns) {
			struct nbd_conn *c = user_at(user);

			if (!c->away && !(fn && nbd_is_hung(c)))
				continue;
			n++;
			if (fn)
				fn(c);
		}
	}
	return n;
}

static void export_cut_conns(struct nbd_conn *c)
{
	nbd_hang_up(c, true);
}

/* Answers that a client who is away does not read are not waited for, only
 * what it asked for: the host has to be done with it. */
int nbd_export_await(struct nbd_conn *c, struct export *x)
{
	struct nbd_server *s = c->server;
	uint64_t deadline = clock_ns() + s->drain_ns;
	unsigned left;

	lock_take(&s->lock);
	left = count_away(s, x, recall);
	while (left && !c->away) {
		if (!cond_wait_until(&s->changed, &s->lock, deadline)) {
			count_away(s, x, export_cut_conns);
			deadline = UINT64_MAX;
		}
		left = count_away(s, x, NULL);
	}
	lock_drop(&s->lock);
	if (left)
		nbd_notice(s, c, "could not be served: requests of a client "
			   "who hung up have not ended");
	return left ? -ECANCELED : 0;
}

/* --- the course of a connection --- */

bool nbd_export_settle(struct nbd_conn *c, struct export *x)
{
	struct nbd_server *s = c->server;
	bool stays = peer_in_time(&c->peer);

	lock_take(&s->lock);
	/* a successor may have looked already, and not have found it here */
	stays = stays && !c->gone && !x->closing && !nbd_is_hung(c);
	if (stays) {
		c->export = x;
		list_add_tail(&x->conns, &c->user);
	}
	lock_drop(&s->lock);
	return stays;
}

void nbd_export_leave(struct nbd_conn *c)
{
	struct nbd_server *s = c->server;

	lock_take(&s->lock);
	if (c->export)
		c->export->users--;
	c->export = NULL;
	list_del(&c->user);
	cond_wake_all(&s->changed);
	lock_drop(&s->lock);
}

/* --- add --- */

/* Server's lock held. */
static struct export *find_id(struct nbd_server *s, const char *id)
{
	list_for_each(link, &s->exports)
		if (!strcmp(export_at(link)->id, id))
			return export_at(link);
	return NULL;
}

static int check_id(struct nbd_server *s, const char *id, struct err *err)
{
	if (find_id(s, id))
		return err_set(err, ERR_GENERIC,
			       "Block export id '%s' is already in use", id);
	return 0;
}

/* The empty name is one like any other here. Server's lock held. */
static int nbd_export_check_new(struct nbd_server *s, const struct export *x,
				struct err *err)
{
	if (export_check_words(x, err))
		return -1;
	list_for_each(link, &s->exports)
		if (!strcmp(export_at(link)->name, x->name))
			return err_set(err, ERR_GENERIC, "NBD server already "
				       "has export named '%s'", x->name);
	return 0;
}

static int check_may_add(struct nbd_server *s, const struct export_options *o,
			 struct err *err)
{
	int rc;

	if (export_check_id(o, err))
		return -1;
	lock_take(&s->lock);
	rc = check_id(s, o->id ? o->id : export_name(o), err);
	lock_drop(&s->lock);
	return rc;
}

static int export_add_held(struct nbd_server *s, const struct export_options *o,
			   struct err *err)
{
	struct export *x;
	int rc = 0;

	/* As in QEMU, an id that follows from the device comes after it. */
	if (o->id && check_may_add(s, o, err))
		return -1;
	x = export_new(s->engine, o, err);
	if (!x)
		return -1;
	if (!o->id)
		rc = check_may_add(s, o, err);
	if (!rc && !listener_is_running(&s->listener))
		rc = err_set(err, ERR_GENERIC, "NBD server not running");
	lock_take(&s->lock);
	if (!rc)
		rc = nbd_export_check_new(s, x, err);
	if (!rc) {
		x->serial = ++s->next_serial;
		list_add(&s->exports, &x->link);
	}
	lock_drop(&s->lock);
	if (rc)
		export_free(x);
	return rc;
}

int nbd_export_add(struct nbd_server *s, const struct export_options *o,
		   struct err *err)
{
	int rc;

	lock_take(&s->admin);
	rc = export_add_held(s, o, err);
	lock_drop(&s->admin);
	return rc;
}

/* --- delete --- */

/* Server's lock held. */
static void end_conns(struct export *x, bool hard)
{
	list_for_each(link, &x->conns)
		nbd_hang_up(user_at(link), hard);
}

/* Replies still go out, but a client who does not read them has to go
 * without. */
static void wait_unused(struct nbd_server *s, struct export *x)
{
	uint64_t deadline = clock_ns() + s->drain_ns;
	unsigned late;

	lock_take(&s->lock);
	while (x->users && cond_wait_until(&s->changed, &s->lock, deadline))
		;
	late = x->users;
	if (late)
		end_conns(x, true);
	while (x->users)
		cond_wait(&s->changed, &s->lock);
	lock_drop(&s->lock);
	if (late)
		nbd_notice(s, NULL, "export '%s': %u clients did not read "
			   "their answers in time", x->id, late);
	lock_take(&s->lock);
	list_del(&x->link);
	lock_drop(&s->lock);
}

/* It was closed before. */
static void nbd_export_drop(struct nbd_server *s, struct export *x)
{
	struct event ev = { .type = EVENT_EXPORT_DELETED };

	disk_recall(x->disk);
	wait_unused(s, x);
	snprintf(ev.text, sizeof(ev.text), "%s", x->id);
	export_free(x);
	event_publish(engine_events(s->engine), &ev);
}

void nbd_exports_drop(struct nbd_server *s)
{
	lock_take(&s->lock);
	list_for_each(link, &s->exports) {
		export_at(link)->closing = true;
		end_conns(export_at(link), false);
	}
	lock_drop(&s->lock);
	list_for_each_safe(link, &s->exports)
		nbd_export_drop(s, export_at(link));
}

/* NULL if it must not be deleted. */
static struct export *close_export(struct nbd_server *s, const char *id,
				   bool hard, struct err *err)
{
	struct export *x;

	lock_take(&s->lock);
	x = find_id(s, id);
	if (!x) {
		err_set(err, ERR_GENERIC, "Export '%s' is not found", id);
	} else if (x->users && !hard) {
		err_set(err, ERR_GENERIC, "export '%s' still in use", id);
		x = NULL;
	} else {
		x->closing = true;
		end_conns(x, false);
	}
	lock_drop(&s->lock);
	return x;
}

int nbd_export_del(struct nbd_server *s, const char *id, bool hard,
		   struct err *err)
{
	struct export *x;

	lock_take(&s->admin);
	x = close_export(s, id, hard, err);
	if (x)
		nbd_export_drop(s, x);
	lock_drop(&s->admin);
	return x ? 0 : -1;
}

/* --- query --- */

struct nbd_counts nbd_counts(const struct nbd_tally *t)
{
	return (struct nbd_counts){
		.rd_bytes = t->rd_bytes, .wr_bytes = t->wr_bytes,
		.rd_ops = t->rd_ops, .wr_ops = t->wr_ops,
		.requests = t->requests,
	};
}

/* Server's lock held. Which image it is needs the graph, which comes before
 * that lock, and was taken before. */
static void nbd_export_fill(struct export_info *info, const struct export *x)
{
	info->id = mem_dup(x->id);
	info->serial = x->serial;
	info->name = mem_dup(x->name);
	disk_names(x->disk, &info->names);
	info->writable = disk_is_writable(x->disk);
	info->shutting_down = x->closing;
	info->clients = x->users;
	info->counts = nbd_counts(&x->tally);
}

int nbd_query_exports(struct nbd_server *s, struct export_info **out,
		      size_t *n)
{
	size_t i = 0;

	*n = 0;
	disks_hold(s->engine);
	lock_take(&s->lock);
	list_for_each(link, &s->exports)
		++*n;
	*out = mem_try(*n + 1, sizeof(**out));
	list_for_each(link, &s->exports) if (*out)
		nbd_export_fill(&(*out)[i++], export_at(link));
	*n = i;
	lock_drop(&s->lock);
	disks_let_go(s->engine);
	return *out ? 0 : -ENOMEM;
}

void export_info_free(struct export_info *info, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(info[i].id);
		free(info[i].name);
	}
	free(info);
}
