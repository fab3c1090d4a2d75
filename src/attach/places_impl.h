/* places_impl.h - what the list of places and its channels share. */
#ifndef BLKMON_ATTACH_PLACES_IMPL_H
#define BLKMON_ATTACH_PLACES_IMPL_H

#include "engine/util/list.h"
#include "engine/util/thread.h"
#include "src/attach/far.h"
#include "src/attach/places.h"

struct place {
	char *name;
	struct far *far;
	unsigned refs;		/* the places' lock */
};

struct places {
	struct machine *machine;
	struct places_rules rules;

	struct lock lock;	/* guards what follows */
	struct place **list;
	size_t n;
	bool here;		/* the engine here has images */
	uint64_t generation;	/* counts changes of the list */
	struct list hubs;
};

struct member {			/* of a hub: a place, and a channel onto it */
	struct place *place;	/* NULL: the engine here */
	const char *name;
	struct channel *channel;
	json_t *last;		/* command -> the last value of a query that
				   is asked of all */
	json_t *when;		/* command -> clock_ns() of that; NULL none */
	bool unseen;		/* nobody looks at it */
};

struct hub {
	struct channel channel;
	struct places *places;
	struct member here;
	struct member *members;
	size_t n;
	bool counts_here;	/* among the places */
	uint64_t generation;
	char *use;		/* name of a place, or NULL */
	int epoll;		/* events of any of them, or news */
	int news;		/* eventfd: the list changed, or own events */
	json_t *events;		/* of its own, oldest first */
	struct list link;	/* the places' lock */
};

/* --- places.c --- */

void places_put(struct places *p, struct place *place);
/* 0, or -1 and err. */
int places_disconnect(struct places *p, const char *name, struct err *err);
/* Value of x-blkmon-query-places, the caller's. */
json_t *places_describe(struct places *p);

/* --- hub_attend.c --- */

/* @args has the "places" that are seen: all others are asked seldom. */
json_t *hub_attend(struct hub *h, const json_t *args, struct err *err);
/* What it said last is good enough. */
bool hub_is_known(const struct member *m, const char *command);
/* It has just said so; or something happened there. */
void hub_note_known(struct member *m, const char *command);
void hub_forget_known(struct member *m);

/* --- hub_merge.c --- */

/* How many places count, and the only one if it is one. */
size_t hub_count(struct hub *h, struct member **only);
/* By name, or by what its guest calls itself; NULL: none. */
struct member *hub_find(struct hub *h, const char *name, size_t len);
/* Is @command one that is asked of all places at once? */
bool hub_is_merged(const char *command);
/* The reply of all. Where some do not answer it has what they said last, and
 * their names in its member "x-blkmon-lost"; it is an error if nobody ever said
 * anything. Takes @request. */
json_t *hub_merge(struct hub *h, const char *command, json_t *request);
/* "name" becomes "PLACE/name" in members of @object that are names. */
void hub_add_prefix(json_t *object, const char *place);
/* The place that the names in @args are of, without it in them; NULL if they
 * say none. */
struct member *hub_take_prefix(struct hub *h, json_t *args);

/* Do the actions of a transaction name places? */
bool hub_names_places(struct hub *h, const json_t *args);
/* The one that they name, without it in them; NULL if they name none. 0, or -1
 * and err: they are of several. */
int hub_take_actions(struct hub *h, json_t *args, struct member **out,
		     struct err *err);
/* The same as hub_add_prefix() in all of a plan; @request is what was asked
 * for, in the names of all. */
void hub_name_plan(json_t *plan, const char *place, json_t *request);

#endif
